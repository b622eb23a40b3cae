/* resolve.c - names to addresses by the system's resolver, and our own address towards a peer. */
#include "mynah/engine.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sockaddr.h"

static bool seen_before(const my_endpoint *list, size_t count, const my_endpoint *e)
{
  for (size_t i = 0; i < count; i++)
    if (my_endpoint_same_address(&list[i], e)) return true;
  return false;
}

static size_t collect(const struct addrinfo *ai, uint16_t port, my_endpoint *out, size_t cap)
{
  size_t count = 0;
  for (; ai && count < cap; ai = ai->ai_next) {
    my_endpoint e;
    my_sockaddr_read(ai->ai_addr, &e);
    e.port = port;
    if (e.family && !seen_before(out, count, &e)) out[count++] = e;
  }
  return count;
}

int my_resolve(const char *host, uint16_t port, int family, my_endpoint *out, size_t cap,
               my_where *where)
{
  struct addrinfo hints = {0}, *list = NULL;
  *where = (my_where){0};
  if (cap == 0) return MY_ERANGE;
  hints.ai_family = family == 4 ? AF_INET : family == 6 ? AF_INET6 : AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM; /* one answer an address, not one a socket type */
  /* A zone ("fe80::1%eth0") belongs to an address; no name has one, so nobody need be asked. */
  hints.ai_flags = strchr(host, '%') ? AI_NUMERICHOST : 0;
  int rc = getaddrinfo(host, NULL, &hints, &list);
  size_t count = rc == 0 ? collect(list, port, out, cap) : 0;
  if (list) freeaddrinfo(list);
  if (count) return (int)count;
  snprintf(where->text, sizeof where->text, "cannot resolve \"%.100s\": %.60s", host,
           rc ? gai_strerror(rc) : "no address of a family that is usable here");
  return MY_ENOENT;
}

int my_route_local_by(const my_endpoint *peer, const char *interface, my_endpoint *local)
{
  my_sockaddr sa;
  *local = (my_endpoint){0};
  if (!my_sockaddr_write(&sa, peer)) return MY_ERANGE;
  int fd = socket(sa.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return MY_ESYS;
  /* Connecting a UDP socket sends nothing: it only asks the routing table. */
  int rc = my_socket_leave_by(fd, interface) == 0 && connect(fd, &sa.any, my_sockaddr_len(&sa)) == 0
               ? MY_OK
               : MY_ESYS;
  if (rc == MY_OK) rc = my_socket_name(fd, local);
  local->port = 0;
  close(fd);
  return rc;
}

int my_route_local(const my_endpoint *peer, my_endpoint *local)
{
  return my_route_local_by(peer, "", local);
}
