/* sockaddr.h - endpoints to and from what the socket calls take. */
#ifndef MYNAH_SOCKADDR_H
#define MYNAH_SOCKADDR_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "mynah/status.h"
#include "mynah/target.h"

typedef union my_sockaddr {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} my_sockaddr;

static inline socklen_t my_sockaddr_len(const my_sockaddr *sa)
{
  return sa->any.sa_family == AF_INET ? sizeof sa->v4 : sizeof sa->v6;
}

static inline bool my_sockaddr_write(my_sockaddr *sa, const my_endpoint *e)
{
  memset(sa, 0, sizeof *sa);
  if (e->family == 4) {
    sa->v4.sin_family = AF_INET;
    sa->v4.sin_port = htons(e->port);
    memcpy(&sa->v4.sin_addr, e->bytes, 4);
  } else if (e->family == 6) {
    sa->v6.sin6_family = AF_INET6;
    sa->v6.sin6_port = htons(e->port);
    sa->v6.sin6_scope_id = e->scope;
    memcpy(&sa->v6.sin6_addr, e->bytes, 16);
  }
  return e->family == 4 || e->family == 6;
}

/* family 0 where it is neither IPv4 nor IPv6. */
static inline void my_sockaddr_read(const struct sockaddr *sa, my_endpoint *e)
{
  memset(e, 0, sizeof *e);
  if (sa->sa_family == AF_INET) {
    struct sockaddr_in v4;
    memcpy(&v4, sa, sizeof v4);
    e->family = 4;
    e->port = ntohs(v4.sin_port);
    memcpy(e->bytes, &v4.sin_addr, 4);
  } else if (sa->sa_family == AF_INET6) {
    struct sockaddr_in6 v6;
    memcpy(&v6, sa, sizeof v6);
    e->family = 6;
    e->port = ntohs(v6.sin6_port);
    e->scope = v6.sin6_scope_id;
    memcpy(e->bytes, &v6.sin6_addr, 16);
  }
}

/* The address and port that a socket is bound to. */
static inline int my_socket_name(int fd, my_endpoint *out)
{
  my_sockaddr sa;
  socklen_t len = sizeof sa;
  memset(&sa, 0, sizeof sa);
  *out = (my_endpoint){0};
  if (getsockname(fd, &sa.any, &len) != 0) return MY_ESYS;
  my_sockaddr_read(&sa.any, out);
  return MY_OK;
}

/* All that the socket sends leaves by that interface ("": as routing says): 0 or errno. */
static inline int my_socket_leave_by(int fd, const char *interface)
{
  if (!interface[0]) return 0;
  size_t len = strlen(interface);
  return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)len) == 0 ? 0 : errno;
}

/* As my_route_local, of what leaves so (resolve.c). */
int my_route_local_by(const my_endpoint *peer, const char *interface, my_endpoint *local);

#endif
