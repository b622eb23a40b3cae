/* scan_socket.c - the path without privilege: datagrams through a few sockets, sent and received
 * many at a time; ICMP errors from their error queues (ip(7)). */
#include "scan.h"

#include <time.h> /* before the kernel's headers, which want it */

#include <errno.h>
#include <linux/errqueue.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sockaddr.h"

enum {
  SOCKETS = 16, /* 4 bits that a reply must hit beside those of its nonce */
  BATCH = 64,
  ROOM = (1 << 16) + 192, /* the longest datagram; rooms begin in different sets of the cache */
  CONTROL = 512,
  BUFFER = 1 << 23
};

typedef struct socket_path {
  scan_path path;
  int fds[SOCKETS];
  uint32_t zone; /* of addresses that hold on one link only */
  uint64_t dropped;
  uint32_t overflows[SOCKETS]; /* as each socket counts them */
  uint8_t data[BATCH][ROOM], control[BATCH][CONTROL];
} socket_path;

/* Whoever asks a port of his own from that port hears himself. */
static bool are_asked(const my_endpoint *us, const my_ranges *targets, unsigned first, size_t count)
{
  my_endpoint e = *us;
  uint64_t item;
  for (size_t i = 0; i < count; i++) {
    e.port = (uint16_t)(first + i);
    if (my_ranges_find(targets, &e, &item)) return true;
  }
  return false;
}

int scan_hold_ports(const my_endpoint *local, const my_endpoint *us, const my_ranges *targets,
                    size_t count, int *fds)
{
  enum { TRIES = 200, LOWEST = 1100, HIGHEST = 65000 };
  int error = EADDRINUSE;
  for (int attempt = 0; attempt < (local->port ? 1 : TRIES); attempt++) {
    uint16_t drawn;
    my_random((uint8_t *)&drawn, sizeof drawn);
    unsigned first = local->port ? local->port : LOWEST + drawn % (HIGHEST - LOWEST);
    size_t held = 0;
    if (attempt < TRIES / 2 && !local->port && are_asked(us, targets, first, count)) continue;
    for (; held < count && first + held <= 65535; held++) {
      my_sockaddr sa;
      my_endpoint at = *local;
      at.port = (uint16_t)(first + held);
      my_sockaddr_write(&sa, &at);
      fds[held] = socket(sa.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      if (fds[held] >= 0 && bind(fds[held], &sa.any, my_sockaddr_len(&sa)) == 0) continue;
      error = errno;
      if (fds[held] >= 0) close(fds[held]);
      fds[held] = -1;
      break;
    }
    if (held == count) return (int)first;
    while (held > 0) {
      close(fds[--held]);
      fds[held] = -1;
    }
    if (error != EADDRINUSE && error != EACCES) break;
  }
  errno = error;
  return MY_ESYS;
}

/* ---- out ---- */

/* The datagrams at the front that leave from one socket go in one call: the caller sorts by port.
 */
static int socket_send(scan_path *path, const scan_datagram *list, size_t count)
{
  socket_path *p = (socket_path *)path;
  struct mmsghdr messages[SCAN_BATCH];
  struct iovec parts[SCAN_BATCH];
  my_sockaddr peers[SCAN_BATCH];
  size_t n = 0;
  for (; n < count && list[n].source_port == list[0].source_port; n++) {
    my_sockaddr_write(&peers[n], &list[n].peer);
    if (list[n].peer.family == 6) peers[n].v6.sin6_scope_id = p->zone;
    parts[n] = (struct iovec){list[n].payload, list[n].len};
    messages[n] = (struct mmsghdr){.msg_hdr = {.msg_name = &peers[n],
                                               .msg_namelen = my_sockaddr_len(&peers[n]),
                                               .msg_iov = &parts[n],
                                               .msg_iovlen = 1}};
  }
  int fd = p->fds[list[0].source_port - path->port_first];
  return sendmmsg(fd, messages, (unsigned)n, MSG_DONTWAIT);
}

/* ---- in ---- */

typedef struct notes {
  int64_t time_ns;
  my_endpoint to, reporter; /* which address of ours; who sent the ICMP error */
  bool is_error;
  my_reason reason;
  bool has_overflows;
  uint32_t overflows;
} notes;

static void read_error(const struct cmsghdr *c, notes *out)
{
  struct sock_extended_err e;
  if (c->cmsg_len < CMSG_LEN(sizeof e)) return;
  memcpy(&e, CMSG_DATA(c), sizeof e);
  if (e.ee_origin != SO_EE_ORIGIN_ICMP && e.ee_origin != SO_EE_ORIGIN_ICMP6) return;
  out->is_error = true;
  out->reason = my_reason_of_icmp(e.ee_origin == SO_EE_ORIGIN_ICMP ? 4 : 6, e.ee_type, e.ee_code);
  if (c->cmsg_len >= CMSG_LEN(sizeof e + sizeof(struct sockaddr_in)))
    my_sockaddr_read((const struct sockaddr *)(const void *)(CMSG_DATA(c) + sizeof e),
                     &out->reporter);
}

static void read_note(const struct cmsghdr *c, notes *out)
{
  int level = c->cmsg_level, type = c->cmsg_type;
  if (level == SOL_SOCKET && type == SCM_TIMESTAMPNS) {
    struct timespec t;
    memcpy(&t, CMSG_DATA(c), sizeof t);
    out->time_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
  } else if (level == SOL_SOCKET && type == SO_RXQ_OVFL) {
    out->has_overflows = true;
    memcpy(&out->overflows, CMSG_DATA(c), sizeof out->overflows);
  } else if (level == IPPROTO_IP && type == IP_PKTINFO) {
    struct in_pktinfo info;
    memcpy(&info, CMSG_DATA(c), sizeof info);
    out->to.family = 4;
    memcpy(out->to.bytes, &info.ipi_addr, 4);
  } else if (level == IPPROTO_IPV6 && type == IPV6_PKTINFO) {
    struct in6_pktinfo info;
    memcpy(&info, CMSG_DATA(c), sizeof info);
    out->to.family = 6;
    memcpy(out->to.bytes, &info.ipi6_addr, 16);
  } else if ((level == IPPROTO_IP && type == IP_RECVERR) ||
             (level == IPPROTO_IPV6 && type == IPV6_RECVERR)) {
    read_error(c, out);
  }
}

static void tell(socket_path *p, size_t which, struct msghdr *h, size_t len, scan_hear_fn *fn,
                 void *arg)
{
  notes n = {0};
  scan_heard heard = {.reason = MY_REASON_UDP_RESPONSE};
  for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c))
    read_note(c, &n);
  if (n.has_overflows) {
    p->dropped += (uint32_t)(n.overflows - p->overflows[which]);
    p->overflows[which] = n.overflows;
  }
  heard.time_ns = n.time_ns ? n.time_ns : my_clock_unix_ns();
  heard.to = n.to.family ? n.to : p->path.local;
  heard.to.port = (uint16_t)(p->path.port_first + which);
  my_sockaddr_read(h->msg_name, &heard.from);
  heard.data = (my_span){h->msg_iov->iov_base, len};
  if (n.is_error) { /* the name is the one that the datagram went to */
    heard.is_error = true;
    heard.reason = n.reason;
    heard.peer = heard.from;
    heard.from = n.reporter;
    heard.to.family = 0; /* which address it left from is not said */
  }
  fn(arg, &heard);
}

/* What waits at a socket, or in its queue of errors. False: there may be more. */
static bool drain(socket_path *p, size_t which, int flags, scan_hear_fn *fn, void *arg)
{
  struct mmsghdr messages[BATCH];
  struct iovec parts[BATCH];
  my_sockaddr from[BATCH];
  int got = BATCH;
  for (int rounds = 0; got == BATCH && rounds < 64; rounds++) {
    for (size_t i = 0; i < BATCH; i++) {
      parts[i] = (struct iovec){p->data[i], ROOM};
      messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &from[i],
                                                 .msg_namelen = sizeof from[i],
                                                 .msg_iov = &parts[i],
                                                 .msg_iovlen = 1,
                                                 .msg_control = p->control[i],
                                                 .msg_controllen = CONTROL}};
    }
    got = recvmmsg(p->fds[which], messages, BATCH, MSG_DONTWAIT | flags, NULL);
    for (int i = 0; i < got; i++)
      tell(p, which, &messages[i].msg_hdr, messages[i].msg_len, fn, arg);
  }
  return got < BATCH;
}

static bool socket_hear(scan_path *path, int wait_ms, scan_hear_fn *fn, void *arg)
{
  socket_path *p = (socket_path *)path;
  struct pollfd ready[SOCKETS];
  for (size_t i = 0; i < SOCKETS; i++)
    ready[i] = (struct pollfd){.fd = p->fds[i], .events = POLLIN};
  if (poll(ready, SOCKETS, wait_ms) <= 0) return true;
  bool all = true;
  for (size_t i = 0; i < SOCKETS; i++) {
    if (ready[i].revents & POLLERR) all &= drain(p, i, MSG_ERRQUEUE, fn, arg);
    if (ready[i].revents & (POLLIN | POLLERR)) all &= drain(p, i, 0, fn, arg);
  }
  return all;
}

static uint64_t socket_dropped(scan_path *path)
{
  return ((socket_path *)path)->dropped;
}

/* ---- the path ---- */

static void socket_close(scan_path *path)
{
  socket_path *p = (socket_path *)path;
  for (size_t i = 0; i < SOCKETS; i++)
    if (p->fds[i] >= 0) close(p->fds[i]);
  free(p);
}

static void set(int fd, int level, int name, int value)
{
  setsockopt(fd, level, name, &value, sizeof value);
}

static int fail_interface(const char *name, int error, my_where *where)
{
  snprintf(where->text, sizeof where->text, "interface %.20s: %s", name, strerror(error));
  return MY_ENOENT;
}

static int set_up(int fd, uint8_t family, const my_scan_config *config, my_where *where)
{
  if (family == 4) {
    set(fd, IPPROTO_IP, IP_RECVERR, 1);
    set(fd, IPPROTO_IP, IP_PKTINFO, 1);
  } else {
    set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
    set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  }
  set(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
  set(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
  set(fd, SOL_SOCKET, SO_RCVBUF, BUFFER);
  set(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER); /* beyond net.core.rmem_max, where we may */
  set(fd, SOL_SOCKET, SO_SNDBUF, BUFFER);
  int error = my_socket_leave_by(fd, config->interface ? config->interface : "");
  return error ? fail_interface(config->interface, error, where) : MY_OK;
}

/* The address that datagrams bear, of which sockets bind the one that was asked for, or any. */
static int find_local(socket_path *p, const my_scan_config *config, my_where *where)
{
  char text[MY_ENDPOINT_TEXT];
  my_endpoint first;
  my_ranges_item(config->targets, 0, &first);
  if (config->interface && (p->zone = if_nametoindex(config->interface)) == 0)
    return fail_interface(config->interface, errno, where);
  if (my_endpoint_is_link_local(&first)) first.scope = p->zone;
  p->path.local = config->source;
  if (p->path.local.family == 0 &&
      my_route_local_by(&first, config->interface ? config->interface : "", &p->path.local) !=
          MY_OK) {
    snprintf(where->text, sizeof where->text, "no way to %s: %s", my_endpoint_address(&first, text),
             strerror(errno));
    return MY_ENOENT;
  }
  p->path.local.scope = 0;
  return MY_OK;
}

static int open_sockets(socket_path *p, const my_scan_config *config, my_where *where)
{
  my_endpoint local = config->source;
  char text[MY_ENDPOINT_TEXT];
  int rc = find_local(p, config, where);
  if (rc != MY_OK) return rc;
  if (local.family == 0) local.family = p->path.local.family; /* any address of ours */
  if (my_endpoint_is_link_local(&local)) local.scope = p->zone;
  int port = scan_hold_ports(&local, &p->path.local, config->targets, SOCKETS, p->fds);
  if (port < 0) {
    snprintf(where->text, sizeof where->text, "cannot open %d ports in a row at %s: %s", SOCKETS,
             my_endpoint_address(&local, text), strerror(errno));
    return MY_ESYS;
  }
  p->path.port_first = (uint16_t)port;
  for (size_t i = 0; i < SOCKETS && rc == MY_OK; i++)
    rc = set_up(p->fds[i], local.family, config, where);
  return rc;
}

int scan_socket_open(scan_path **out, const my_scan_config *config, my_where *where)
{
  *out = NULL;
  socket_path *p = calloc(1, sizeof *p);
  if (!p) return MY_ENOMEM;
  p->path = (scan_path){.send = socket_send,
                        .hear = socket_hear,
                        .dropped = socket_dropped,
                        .close = socket_close,
                        .port_count = SOCKETS};
  for (size_t i = 0; i < SOCKETS; i++)
    p->fds[i] = -1;
  int rc = open_sockets(p, config, where);
  if (rc == MY_OK)
    *out = &p->path;
  else
    socket_close(&p->path);
  return rc;
}
