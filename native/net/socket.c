/* socket.c - opening, watching and closing sockets, and what the system's errors mean. */
#include "state.h"

#include <errno.h>
#include <linux/net_tstamp.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "sockaddr.h"

static int set_option(int fd, int level, int name, int value)
{
  return setsockopt(fd, level, name, &value, sizeof value) == 0 ? 0 : errno;
}

/* Errors and destination addresses with each datagram; without them an exchange would be misread.
 */
static int set_ip_options(int fd, uint8_t family)
{
  int rc;
  if (family == 4) {
    rc = set_option(fd, IPPROTO_IP, IP_RECVERR, 1);
    return rc ? rc : set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
  }
  rc = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (!rc) rc = set_option(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
  return rc ? rc : set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

/* Kernel times are wished for: where there are none, clocks read here stand in. */
static void set_timestamps(int fd, bool with_sending)
{
  int flags = SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE;
  if (with_sending)
    flags |= SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;
  set_option(fd, SOL_SOCKET, SO_TIMESTAMPING, flags);
}

void my_net_restart_times(net_socket *s)
{
  set_option(s->fd, SOL_SOCKET, SO_TIMESTAMPING, 0);
  set_timestamps(s->fd, true); /* asking for numbers anew begins at 0 */
  s->next_tx = 0;
}

static bool is_any(const my_endpoint *e)
{
  static const uint8_t zero[16];
  return memcmp(e->bytes, zero, sizeof zero) == 0;
}

static int bind_local(int fd, const my_endpoint *local, uint8_t family)
{
  my_sockaddr sa;
  my_endpoint any = *local;
  any.family = family; /* an unset one is all zero: any address */
  my_sockaddr_write(&sa, &any);
  return bind(fd, &sa.any, my_sockaddr_len(&sa)) == 0 ? 0 : errno;
}

int my_net_watch(my_engine *e, net_socket *s, uint32_t interest)
{
  struct epoll_event ev = {.events = interest, .data.ptr = s};
  s->interest = interest;
  if (epoll_ctl(e->epoll_fd, EPOLL_CTL_MOD, s->fd, &ev) == 0) return 0;
  if (errno != ENOENT) return errno;
  return epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, s->fd, &ev) == 0 ? 0 : errno;
}

/* Where an exchange leaves from that says so itself, or not. */
static my_endpoint leave_from(const my_engine *e, const my_endpoint *local, uint8_t family)
{
  my_endpoint from = *local;
  if (local->family || e->source.family != family) return from;
  from = e->source;
  from.port = local->port;
  return from;
}

int my_engine_local(const my_engine *e, const my_endpoint *peer, my_endpoint *local)
{
  if (e->source.family != peer->family) return my_route_local_by(peer, e->interface, local);
  *local = e->source;
  return MY_OK;
}

static int open_socket(my_engine *e, net_socket *s, int type, uint8_t family)
{
  s->fd = socket(family == 4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (s->fd < 0) return errno;
  s->family = family;
  s->port = 0;
  s->next_tx = 0;
  e->fds_open++;
  int rc = my_socket_leave_by(s->fd, e->interface);
  if (rc) my_net_close(e, s);
  return rc;
}

static int set_up_udp(my_engine *e, net_socket *s, const my_endpoint *local)
{
  my_endpoint bound;
  int rc = set_ip_options(s->fd, s->family);
  if (rc) return rc;
  set_timestamps(s->fd, true);
  my_endpoint from = leave_from(e, local, s->family);
  rc = bind_local(s->fd, &from, s->family);
  if (rc) return rc;
  if (my_socket_name(s->fd, &bound) != MY_OK) return errno;
  s->port = bound.port;
  s->counted = is_any(local);
  if (s->counted) e->own_ports[s->family == 6][s->port]++;
  struct epoll_event ev = {.events = EPOLLIN, .data.ptr = s};
  s->interest = EPOLLIN;
  return epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, s->fd, &ev) == 0 ? 0 : errno;
}

/* On loopback the port asked can be the very one the kernel hands out for asking: then the probe
 * would reach us. So draw again. */
int my_net_open_udp(my_engine *e, net_socket *s, const my_endpoint *local, const my_endpoint *peer)
{
  for (int tries = 0;; tries++) {
    int rc = open_socket(e, s, SOCK_DGRAM, peer->family);
    if (rc) return rc;
    rc = set_up_udp(e, s, local);
    if (rc) {
      my_net_close(e, s);
      return rc;
    }
    if (s->port != peer->port || local->port || tries == 8) return 0;
    my_net_close(e, s);
  }
}

int my_net_open_tcp(my_engine *e, net_socket *s, const my_endpoint *local, const my_endpoint *peer)
{
  int rc = open_socket(e, s, SOCK_STREAM, peer->family);
  if (rc) return rc;
  my_endpoint from = leave_from(e, local, peer->family);
  set_option(s->fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_timestamps(s->fd, false);
  if (from.port)
    set_option(s->fd, SOL_SOCKET, SO_REUSEADDR, 1);
  else
    set_option(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  if (from.port || !is_any(&from)) rc = bind_local(s->fd, &from, s->family);
  if (rc) my_net_close(e, s);
  return rc;
}

void my_net_close(my_engine *e, net_socket *s)
{
  if (s->fd < 0) return;
  if (s->counted) e->own_ports[s->family == 6][s->port]--;
  s->counted = false;
  close(s->fd);
  s->fd = -1;
  s->port = 0;
  e->fds_open--;
  /* What epoll already told of this socket must not be looked at any more. */
  for (int i = e->batch_at; i < e->batch_len; i++)
    if (e->batch[i].data.ptr == s) e->batch[i].data.ptr = NULL;
}

bool my_net_exhausted(int error, const my_endpoint *local)
{
  switch (error) {
  case EMFILE:
  case ENFILE:
  case ENOBUFS:
  case ENOMEM:
  case ENOSPC:
    return true; /* ENOSPC: epoll watches */
  case EADDRINUSE:
    return local->port == 0; /* no ephemeral port left to bind */
  case EADDRNOTAVAIL:
    return local->family == 0; /* nor to connect from */
  default:
    return false;
  }
}

my_reason my_net_reason_of_errno(int error)
{
  switch (error) {
  case ECONNREFUSED:
    return MY_REASON_CONN_REFUSED;
  case ECONNRESET:
  case EPIPE:
  case ECONNABORTED:
    return MY_REASON_RESET;
  case ETIMEDOUT:
    return MY_REASON_NO_RESPONSE;
  case EHOSTUNREACH:
  case EHOSTDOWN:
    return MY_REASON_HOST_UNREACH;
  case ENETUNREACH:
  case ENETDOWN:
  case ENONET:
    return MY_REASON_NET_UNREACH;
  case ENOPROTOOPT:
  case EPROTO:
    return MY_REASON_PROTO_UNREACH;
  case EACCES:
  case EPERM:
    return MY_REASON_ADMIN_PROHIBITED;
  default:
    return MY_REASON_SYSTEM;
  }
}
