/* udp.c - UDP exchanges: attempts, each from a port of its own, until somebody answers or the time
 * is up. */
#include "state.h"

#include <errno.h>

#include "sockaddr.h"

enum { BUSY_TRIES_MAX = 200, BUSY_WAIT_MS = 10 };

static net_socket *socket_of(exchange *x, unsigned attempt_no)
{
  return x->flow ? &x->flow->socket : &x->attempts[attempt_no].socket;
}

void my_udp_close(my_engine *e, exchange *x)
{
  for (unsigned i = 0; i < x->payload_count; i++)
    my_net_close(e, &x->attempts[i].socket);
  my_flow_leave(e, x);
}

/* ---- what is due next ---- */

static bool asks_again(const exchange *x)
{
  return !x->quiet && x->sent < x->payload_count;
}

/* A closed port needs no waiting, unless something answered all the same. */
static bool is_closed(const exchange *x)
{
  return x->icmp == MY_REASON_PORT_UNREACH && !x->replies;
}

static int64_t next_due(const my_engine *e, const exchange *x)
{
  if (is_closed(x)) return x->last_sent;
  if (asks_again(x)) return add_ns(x->last_sent, my_rtt_timeout(e, &x->peer, x->sent));
  return add_ns(x->last_sent, x->timeout_ns);
}

/* Somebody spoke: no further attempt, and the descriptors kept for them are free. */
static void stop_asking(my_engine *e, exchange *x)
{
  if (x->quiet) return;
  x->quiet = true;
  if (!x->flow) {
    e->fds_reserved -= x->fds_reserved - x->sent;
    x->fds_reserved = x->sent;
  }
  my_net_list_remove(e, x);
  my_net_set_due(e, x, next_due(e, x));
}

static my_reason final_reason(const exchange *x)
{
  if (x->replies) return MY_REASON_UDP_RESPONSE;
  return x->icmp != MY_REASON_NONE ? x->icmp : MY_REASON_NO_RESPONSE;
}

void my_udp_due(my_engine *e, exchange *x)
{
  int64_t due = next_due(e, x);
  if (due > e->now && !x->busy_tries)
    my_net_set_due(e, x, due);
  else if (asks_again(x))
    my_net_list_push(e, x, LIST_AGAIN);
  else
    my_net_finish(e, x, final_reason(x), 0);
}

/* ---- sending ---- */

/* Where the system has no socket left, the oldest of this exchange is given up for its next
 * attempt: then at least the newest probe is listened for, and nobody waits for ever. */
static bool give_up_oldest(my_engine *e, exchange *x)
{
  for (unsigned i = 0; i < x->sent; i++) {
    if (x->attempts[i].socket.fd < 0) continue;
    my_net_close(e, &x->attempts[i].socket);
    return true;
  }
  return false;
}

static int open_for(my_engine *e, exchange *x, net_socket *s)
{
  const my_endpoint *local = &x->local;
  if (s->fd >= 0) return 0;
  int rc = my_net_open_udp(e, s, local, &x->peer);
  if (my_net_exhausted(rc, local) && !x->flow && give_up_oldest(e, x))
    rc = my_net_open_udp(e, s, local, &x->peer);
  return rc;
}

static int send_bytes(const net_socket *s, const exchange *x, my_span payload)
{
  my_sockaddr to;
  my_sockaddr_write(&to, &x->peer);
  ssize_t n;
  do
    n = sendto(s->fd, payload.data, payload.len, MSG_NOSIGNAL | MSG_DONTWAIT, &to.any,
               my_sockaddr_len(&to));
  while (n < 0 && errno == EINTR);
  return n < 0 ? errno : 0;
}

/* On a shared socket an earlier datagram's ICMP error would be returned by this send: read it
 * first, and once more if one arrived in between. */
static int send_clean(my_engine *e, net_socket *s, exchange *x, attempt *a)
{
  if (x->flow) my_net_drain_errors(e, s);
  if (x->state == STATE_OVER) return 0;
  a->asked_ns = my_clock_unix_ns();
  int rc = send_bytes(s, x, x->payloads[x->sent]);
  if (rc && x->flow) {
    my_flow_restart_times(x->flow);
    my_net_drain_errors(e, s);
    if (x->state == STATE_OVER) return 0;
    a->asked_ns = my_clock_unix_ns();
    rc = send_bytes(s, x, x->payloads[x->sent]);
  }
  return rc;
}

/* Our address towards the peer; the exchange of the flow that was sent before it may know. */
static void see_local(const my_engine *e, exchange *x)
{
  const exchange *before = x->flow ? x->flow_prev : NULL;
  if (x->local.family)
    x->seen_local = x->local;
  else if (before && before->seen_local.family && my_endpoint_same_address(&before->peer, &x->peer))
    x->seen_local = before->seen_local;
  else
    my_engine_local(e, &x->peer, &x->seen_local);
}

/* Once for each attempt, before anything else is told of it. */
static void report_sent(my_engine *e, exchange *x, const net_socket *s, unsigned attempt_no)
{
  attempt *a = &x->attempts[attempt_no];
  if (!x->report_sent || a->reported || x->state == STATE_OVER) return;
  a->reported = true;
  if (!x->seen_local.family) see_local(e, x);
  my_event ev = {.kind = MY_EVENT_SENT, .attempt = attempt_no, .sent_ns = a->sent_ns};
  ev.local = x->seen_local;
  ev.local.port = s->port;
  my_net_event(e, x, ev, (my_span){NULL, 0});
}

static void note_sent(my_engine *e, exchange *x, net_socket *s, attempt *a)
{
  a->sent_ns = a->asked_ns; /* until the kernel says better */
  a->tx_number = s->next_tx++;
  x->sent++;
  x->last_sent = e->now;
  x->busy_tries = 0;
  if (x->flow) my_flow_sent(x);
  my_net_set_due(e, x, next_due(e, x));
  my_net_drain_errors(e, s); /* on most devices the send time waits there already */
  report_sent(e, x, s, x->sent - 1);
}

/* The socket's own queue or the device's is full: not worth an ending. */
static void send_later(my_engine *e, exchange *x, int error)
{
  if (x->busy_tries++ < BUSY_TRIES_MAX)
    my_net_set_due(e, x, add_ns(e->now, BUSY_WAIT_MS * MS));
  else
    my_net_finish(e, x, MY_REASON_SYSTEM, error);
}

static int send_held(my_engine *e, exchange *x)
{
  attempt *a = &x->attempts[x->sent];
  net_socket *s = socket_of(x, x->sent);
  int rc = open_for(e, x, s);
  if (rc && x->sent == 0 && my_net_exhausted(rc, &x->local)) {
    errno = rc;
    return MY_NOT_YET;
  }
  if (x->state != STATE_OPEN) my_net_opened(e, x);
  if (!rc) rc = send_clean(e, s, x, a);
  if (x->state == STATE_OVER) return MY_ESTATE;
  if (!rc)
    note_sent(e, x, s, a);
  else if (rc == EAGAIN || my_net_exhausted(rc, &x->local))
    send_later(e, x, rc);
  else
    my_net_finish(e, x, my_net_reason_of_errno(rc), rc);
  return x->state == STATE_OVER ? MY_ESTATE : MY_OK;
}

int my_udp_send(my_engine *e, exchange *x)
{
  flow *f = x->flow;
  my_flow_hold(f);
  int rc = send_held(e, x);
  my_flow_release(e, f);
  return rc;
}

/* ---- what comes back ---- */

/* The attempt a datagram to this socket belongs to, and its exchange. NULL: nobody's any more. */
static exchange *owner_of_reply(const net_socket *s, const my_endpoint *from, unsigned *attempt_no)
{
  exchange *x = s->flow ? my_flow_of_reply(s->flow, from) : s->owner;
  if (x) *attempt_no = s->flow ? x->sent - 1 : s->attempt;
  return x;
}

static bool plausible(const attempt *a, int64_t time_ns)
{
  return time_ns >= a->asked_ns - MS && time_ns <= my_clock_unix_ns() + MS;
}

/* True where the time is that of this attempt. */
static bool take_sent_time(attempt *a, uint32_t number, int64_t time_ns)
{
  if (!a->sent_ns || a->kernel_time || a->tx_number != number || !plausible(a, time_ns))
    return false;
  a->sent_ns = time_ns;
  return a->kernel_time = true;
}

void my_udp_sent_time(net_socket *s, uint32_t tx_number, int64_t time_ns)
{
  if (!s->flow) {
    take_sent_time(&s->owner->attempts[s->attempt], tx_number, time_ns);
    return;
  }
  for (exchange *x = s->flow->last_sent; x; x = x->flow_prev)
    for (unsigned i = x->sent; i-- > 0;)
      if (take_sent_time(&x->attempts[i], tx_number, time_ns)) return;
}

/* The first answer to an attempt times the path; later ones time the peer's patience. */
static void sample_rtt(my_engine *e, const exchange *x, attempt *a, int64_t received_ns)
{
  if (a->answered || !a->sent_ns) return;
  a->answered = true;
  if (received_ns >= a->sent_ns && received_ns - a->sent_ns < 60 * SECOND)
    my_rtt_sample(e, &x->peer, received_ns - a->sent_ns);
}

/* A datagram from a socket of ours: on loopback a probe of one exchange can reach the port of
 * another. */
static bool is_our_own(const my_engine *e, const my_endpoint *from, const my_endpoint *local)
{
  return local->family && my_endpoint_same_address(from, local) &&
         e->own_ports[from->family == 6][from->port];
}

static void take_reply(my_engine *e, net_socket *s, const my_endpoint *from, const ancillary *a,
                       my_span data)
{
  unsigned attempt_no = 0;
  exchange *x = owner_of_reply(s, from, &attempt_no);
  if (!x || is_our_own(e, from, &a->local)) return;
  attempt *asked = &x->attempts[attempt_no];
  report_sent(e, x, s, attempt_no);
  my_event ev = {.kind = MY_EVENT_REPLY, .reason = MY_REASON_UDP_RESPONSE, .attempt = attempt_no};
  ev.from = *from;
  ev.local = a->local;
  ev.local.port = s->port;
  ev.sent_ns = asked->sent_ns;
  ev.received_ns = a->time_ns ? a->time_ns : my_clock_unix_ns();
  if (a->local.family) x->seen_local = a->local;
  if (my_net_event(e, x, ev, data) != MY_OK) return;
  x->replies++;
  if (!my_endpoint_same_address(from, &x->peer))
    return; /* a stranger does not keep us from asking */
  sample_rtt(e, x, asked, ev.received_ns);
  stop_asking(e, x);
}

/* False when there is nothing to read. */
static bool read_one(my_engine *e, net_socket *s)
{
  _Alignas(struct cmsghdr) char control[512];
  my_sockaddr sa;
  ancillary a;
  struct iovec iov = {e->scratch, sizeof e->scratch};
  struct msghdr m = {.msg_name = &sa,
                     .msg_namelen = sizeof sa,
                     .msg_iov = &iov,
                     .msg_iovlen = 1,
                     .msg_control = control,
                     .msg_controllen = sizeof control};
  memset(&sa, 0, sizeof sa);
  ssize_t n = recvmsg(s->fd, &m, MSG_DONTWAIT);
  if (n < 0)
    return errno != EAGAIN && errno != EWOULDBLOCK; /* else a pending ICMP error, told elsewhere */
  my_endpoint from;
  my_net_read_ancillary(&m, &a);
  my_sockaddr_read(&sa.any, &from);
  take_reply(e, s, &from, &a, (my_span){e->scratch, (size_t)n});
  return true;
}

void my_udp_readable(my_engine *e, net_socket *s)
{
  flow *f = s->flow;
  my_flow_hold(f);
  /* The error queue first: it holds the send times that replies are measured against. An ICMP error
   * found there ends its exchange only when it is next due, after the replies here were read. */
  my_net_drain_errors(e, s);
  for (int i = 0; i < READS_A_SOCKET && s->fd >= 0 && !my_net_full(e); i++)
    if (!read_one(e, s)) break;
  my_flow_release(e, f);
}

void my_udp_icmp(my_engine *e, net_socket *s, const my_endpoint *to, const ancillary *a,
                 my_span quoted)
{
  exchange *x = s->flow ? my_flow_of_icmp(s->flow, to, quoted) : s->owner;
  if (!x || x->state == STATE_OVER || !my_endpoint_same_address(&x->peer, to) ||
      x->peer.port != to->port)
    return;
  unsigned attempt_no = s->flow ? x->sent - 1 : s->attempt;
  report_sent(e, x, s, attempt_no);
  my_event ev = {.kind = MY_EVENT_ICMP, .reason = a->reason, .attempt = attempt_no};
  ev.from = a->offender;
  ev.local = x->seen_local;
  ev.local.port = s->port;
  ev.sent_ns = x->attempts[attempt_no].sent_ns;
  ev.received_ns = my_clock_unix_ns();
  if (my_net_event(e, x, ev, (my_span){NULL, 0}) != MY_OK) return;
  x->icmp = a->reason;
  stop_asking(e, x);
}
