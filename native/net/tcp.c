/* tcp.c - TCP exchanges: connect, then bytes out as they are queued and bytes in as they are asked
 * for. */
#include "state.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#include "sockaddr.h"

void my_tcp_close(my_engine *e, exchange *x)
{
  my_net_close(e, &x->tcp.socket);
  free(x->tcp.out);
  x->tcp.out = NULL;
  x->tcp.out_at = x->tcp.out_len = x->tcp.out_cap = 0;
}

static void fail(my_engine *e, exchange *x, int error)
{
  my_net_finish(e, x, my_net_reason_of_errno(error), error);
}

/* Watch for what somebody wants. A socket that hung up would report that without end: it is taken
 * out until somebody wants to read. */
static void watch(my_engine *e, exchange *x)
{
  tcp_state *t = &x->tcp;
  uint32_t interest = (t->receiving ? EPOLLIN : 0) | (t->out_len > t->out_at ? EPOLLOUT : 0);
  if (t->muted && !interest) return;
  if (!t->muted && interest == t->socket.interest) return;
  t->muted = false;
  int error = my_net_watch(e, &t->socket, interest);
  if (error) fail(e, x, error);
}

static void mute(my_engine *e, exchange *x)
{
  if (!x->tcp.muted) epoll_ctl(e->epoll_fd, EPOLL_CTL_DEL, x->tcp.socket.fd, NULL);
  x->tcp.muted = true;
}

/* ---- connecting ---- */

int my_tcp_connect(my_engine *e, exchange *x)
{
  tcp_state *t = &x->tcp;
  my_sockaddr to;
  int rc = my_net_open_tcp(e, &t->socket, &x->local, &x->peer);
  if (!rc) {
    my_sockaddr_write(&to, &x->peer);
    t->sent_ns = my_clock_unix_ns();
    x->last_sent = e->now;
    if (connect(t->socket.fd, &to.any, my_sockaddr_len(&to)) != 0 && errno != EINPROGRESS &&
        errno != EINTR)
      rc = errno;
  }
  if (!rc) rc = my_net_watch(e, &t->socket, EPOLLOUT);
  if (my_net_exhausted(rc, &x->local)) {
    my_net_close(e, &t->socket);
    errno = rc;
    return MY_NOT_YET;
  }
  my_net_opened(e, x);
  if (rc)
    fail(e, x, rc);
  else
    my_net_set_due(e, x, add_ns(e->now, x->timeout_ns));
  return rc ? MY_ESTATE : MY_OK;
}

/* The kernel measured the handshake; where it will not say, the clock here does. */
static int64_t handshake_end(const tcp_state *t)
{
  struct tcp_info info;
  socklen_t len = sizeof info;
  memset(&info, 0, sizeof info);
  if (getsockopt(t->socket.fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_rtt)
    return t->sent_ns + (int64_t)info.tcpi_rtt * 1000;
  return my_clock_unix_ns();
}

static void finish_connect(my_engine *e, exchange *x)
{
  tcp_state *t = &x->tcp;
  int error = 0;
  socklen_t len = sizeof error;
  if (getsockopt(t->socket.fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) error = errno;
  if (error) {
    fail(e, x, error);
    return;
  }
  my_net_clear_due(e, x);
  my_event ev = {.kind = MY_EVENT_OPEN, .reason = MY_REASON_SYN_ACK, .from = x->peer};
  my_socket_name(t->socket.fd, &ev.local);
  /* Asked for a free port of our own machine's range, the kernel may connect a socket to itself. */
  if (my_endpoint_same_address(&ev.local, &x->peer) && ev.local.port == x->peer.port) {
    fail(e, x, ECONNREFUSED);
    return;
  }
  t->connected = true;
  ev.sent_ns = t->sent_ns;
  ev.received_ns = handshake_end(t);
  x->seen_local = ev.local;
  if (my_net_event(e, x, ev, (my_span){NULL, 0}) == MY_OK) watch(e, x);
}

/* ---- receiving ---- */

static void answer(my_engine *e, exchange *x, my_event_kind kind, int64_t received_ns, my_span data)
{
  my_event ev = {.kind = kind, .from = x->peer, .local = x->seen_local, .received_ns = received_ns};
  x->tcp.receiving = false;
  my_net_clear_due(e, x);
  if (my_net_event(e, x, ev, data) == MY_OK) watch(e, x);
}

static ssize_t receive_some(my_engine *e, exchange *x, int64_t *received_ns)
{
  _Alignas(struct cmsghdr) char control[256];
  ancillary a;
  size_t want = x->tcp.receive_max < sizeof e->scratch ? x->tcp.receive_max : sizeof e->scratch;
  struct iovec iov = {e->scratch, want};
  struct msghdr m = {
      .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  ssize_t n;
  do
    n = recvmsg(x->tcp.socket.fd, &m, MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n < 0) return n;
  my_net_read_ancillary(&m, &a);
  *received_ns = a.time_ns ? a.time_ns : my_clock_unix_ns();
  return n;
}

static void read_asked(my_engine *e, exchange *x)
{
  int64_t received_ns = 0;
  ssize_t n = receive_some(e, x, &received_ns);
  if (n > 0)
    answer(e, x, MY_EVENT_DATA, received_ns, (my_span){e->scratch, (size_t)n});
  else if (n == 0 && x->tcp.broken)
    fail(e, x, x->tcp.broken);
  else if (n == 0)
    answer(e, x, MY_EVENT_EOF, received_ns, (my_span){NULL, 0});
  else if (errno != EAGAIN && errno != EWOULDBLOCK)
    fail(e, x, errno);
}

/* Hung up while nobody asks: unread bytes and an orderly end wait for their receive, a reset is
 * told. */
static void hung_up(my_engine *e, exchange *x)
{
  char byte;
  ssize_t n = recv(x->tcp.socket.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n < 0 && errno != EAGAIN && errno != EINTR)
    fail(e, x, errno);
  else if (n == 0 && x->tcp.broken)
    fail(e, x, x->tcp.broken);
  else
    mute(e, x);
}

/* ---- sending ---- */

static void flush(exchange *x)
{
  tcp_state *t = &x->tcp;
  while (t->out_at < t->out_len) {
    ssize_t n =
        send(t->socket.fd, t->out + t->out_at, t->out_len - t->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)) return;
    if (n < 0) {
      /* What the peer said before may still be unread; that it hung up comes after. */
      t->broken = errno;
      t->out_at = t->out_len = 0;
      return;
    }
    t->out_at += (size_t)n;
  }
  t->out_at = t->out_len = 0;
}

static int keep_for_later(tcp_state *t, my_span bytes)
{
  if (t->out_at) {
    memmove(t->out, t->out + t->out_at, t->out_len - t->out_at);
    t->out_len -= t->out_at;
    t->out_at = 0;
  }
  if (t->out_len + bytes.len > t->out_cap) {
    size_t cap = t->out_len + bytes.len;
    uint8_t *grown = realloc(t->out, cap);
    if (!grown) return MY_ENOMEM;
    t->out = grown;
    t->out_cap = cap;
  }
  memcpy(t->out + t->out_len, bytes.data, bytes.len);
  t->out_len += bytes.len;
  return MY_OK;
}

int my_engine_send(my_engine *e, uint64_t id, my_span bytes)
{
  exchange *x = my_net_find(e, id);
  if (!x || x->state == STATE_OVER) return MY_ENOENT;
  tcp_state *t = &x->tcp;
  if (!t->connected || t->broken) return MY_ESTATE;
  if (bytes.len > SEND_WAITING_MAX - (t->out_len - t->out_at)) return MY_EFULL;
  if (bytes.len == 0) return MY_OK;
  int rc = keep_for_later(t, bytes);
  if (rc != MY_OK) return rc;
  my_limits_link(e->limits, my_packet_bytes(MY_PACKET_STREAM, x->peer.family, bytes.len),
                 my_clock_ns());
  flush(x);
  if (t->broken && !t->receiving)
    hung_up(e, x);
  else
    watch(e, x);
  my_net_arm(e);
  return MY_OK;
}

int my_engine_receive(my_engine *e, uint64_t id, size_t max_bytes, int64_t timeout_ns)
{
  exchange *x = my_net_find(e, id);
  if (!x || x->state == STATE_OVER) return MY_ENOENT;
  tcp_state *t = &x->tcp;
  if (!t->connected || t->receiving) return MY_ESTATE;
  if (max_bytes == 0 || timeout_ns < 0) return MY_ERANGE;
  t->receiving = true;
  t->receive_max = max_bytes;
  my_net_set_due(e, x, add_ns(my_clock_ns(), timeout_ns));
  watch(e, x);
  my_net_arm(e);
  return MY_OK;
}

/* ---- what step calls ---- */

void my_tcp_ready(my_engine *e, exchange *x, uint32_t events)
{
  tcp_state *t = &x->tcp;
  if (!t->connected) {
    finish_connect(e, x);
    return;
  }
  if (events & EPOLLOUT && t->out_len > t->out_at) {
    flush(x);
    watch(e, x);
    if (x->state == STATE_OVER) return;
  }
  if (t->receiving)
    read_asked(e, x);
  else if (events & (EPOLLHUP | EPOLLERR))
    hung_up(e, x);
}

void my_tcp_due(my_engine *e, exchange *x)
{
  if (!x->tcp.connected)
    my_net_finish(e, x, MY_REASON_NO_RESPONSE, 0);
  else if (x->tcp.receiving)
    answer(e, x, MY_EVENT_TIMEOUT, 0, (my_span){NULL, 0});
}
