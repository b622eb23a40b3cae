/* engine.c - the state machine: what is admitted, what is due, when to send, and the one descriptor
 * that says so. */
#include "state.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "sockaddr.h"

enum {
  DEFAULT_RATE = 1000,
  DEFAULT_OPEN = 4096,
  FDS_FOR_OTHERS = 64, /* left to the rest of the process */
  CATCH_UP_MS = 10,    /* how much lateness pacing makes good */
  SPIN_MAX_MS = 10,
  STARVED_WAIT_MS = 100,
  PORT_TRIES_MAX = 50
};

/* ---- life ---- */

static size_t fds_allowed(void)
{
  struct rlimit r;
  if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur == RLIM_INFINITY) return SIZE_MAX / 2;
  size_t n = (size_t)r.rlim_cur;
  return n > 2 * FDS_FOR_OTHERS ? n - FDS_FOR_OTHERS : n / 2 + 1;
}

static int configure(my_engine *e, const my_engine_config *config)
{
  double rate = config && config->rate_pps != 0 ? config->rate_pps : DEFAULT_RATE;
  if (!(rate >= 1e-6 && rate <= 1e9)) return MY_ERANGE;
  int64_t spin = config ? config->spin_ns : 0;
  if (spin < 0 || spin > SPIN_MAX_MS * MS) return MY_ERANGE;
  e->interval = (int64_t)(1e9 / rate);
  e->spin = spin;
  e->limits = config ? config->limits : NULL;
  e->max_open = config && config->max_exchanges ? config->max_exchanges : DEFAULT_OPEN;
  e->max_tcp = config && config->max_connections ? config->max_connections : e->max_open;
  e->fds_ceiling = e->fds_limit = fds_allowed();
  e->armed = NEVER;
  return MY_OK;
}

/* How exchanges leave is tried once, so that it is known to be possible before any does. */
static int choose_way(my_engine *e, const char *interface, const my_endpoint *source)
{
  my_sockaddr sa;
  if (!interface && !source->family) return MY_OK;
  if (interface && strlen(interface) >= sizeof e->interface) return MY_ERANGE;
  if (interface) memcpy(e->interface, interface, strlen(interface) + 1);
  e->source = *source;
  e->source.port = 0;
  if (my_endpoint_is_link_local(source)) e->source.scope = if_nametoindex(e->interface);
  int fd = socket(source->family == 6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return MY_ESYS;
  int error = my_socket_leave_by(fd, e->interface);
  if (!error && source->family) {
    my_sockaddr_write(&sa, &e->source);
    error = bind(fd, &sa.any, my_sockaddr_len(&sa)) == 0 ? 0 : errno;
  }
  close(fd);
  errno = error;
  return error ? MY_ESYS : MY_OK;
}

static int open_descriptors(my_engine *e)
{
  e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (e->epoll_fd < 0) return MY_ESYS;
  e->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (e->timer_fd < 0) return MY_ESYS;
  struct epoll_event ev = {.events = EPOLLIN,
                           .data.ptr = e}; /* the engine itself stands for its timer */
  return epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, e->timer_fd, &ev) == 0 ? MY_OK : MY_ESYS;
}

int my_engine_new(my_engine **out, const my_engine_config *config)
{
  *out = NULL;
  my_engine *e = calloc(1, sizeof *e);
  if (!e) return MY_ENOMEM;
  e->epoll_fd = e->timer_fd = -1;
  int rc = configure(e, config);
  if (rc == MY_OK && config) rc = choose_way(e, config->interface, &config->source);
  if (rc == MY_OK) rc = open_descriptors(e);
  if (rc == MY_OK) {
    *out = e;
    return MY_OK;
  }
  int error = errno;
  my_engine_free(e);
  errno = error;
  return rc;
}

/* Sockets, places and reservations go; the structure stays. */
static void let_go(my_engine *e, exchange *x)
{
  my_net_list_remove(e, x);
  my_net_clear_due(e, x);
  if (x->transport == MY_UDP)
    my_udp_close(e, x);
  else
    my_tcp_close(e, x);
  e->fds_reserved -= x->fds_reserved;
  x->fds_reserved = 0;
  if (x->state == STATE_OPEN) {
    e->open--;
    e->tcp_open -= x->transport == MY_TCP;
    e->starved_until = 0;
    if (e->fds_limit < e->fds_ceiling) e->fds_limit++; /* perhaps others gave some back too */
  }
  x->state = STATE_OVER;
}

void my_net_finish(my_engine *e, exchange *x, my_reason reason, int error)
{
  if (x->state == STATE_OVER) return;
  let_go(e, x);
  my_event_end(e, x, reason, error);
}

void my_engine_free(my_engine *e)
{
  if (!e) return;
  my_event_free_all(e);
  for (size_t i = 0; i < e->table_size; i++) {
    for (exchange *x = e->table[i], *next; x; x = next) {
      next = x->hash_next;
      let_go(e, x);
      free(x);
    }
  }
  if (e->timer_fd >= 0) close(e->timer_fd);
  if (e->epoll_fd >= 0) close(e->epoll_fd);
  free(e->table);
  free(e->heap);
  free(e);
}

/* ---- submit and cancel ---- */

static int check_exchange(const my_exchange *x)
{
  bool udp = x->transport == MY_UDP;
  if (!udp && x->transport != MY_TCP) return MY_ERANGE;
  if ((x->peer.family != 4 && x->peer.family != 6) || x->peer.port == 0) return MY_ERANGE;
  if (x->local.family && x->local.family != x->peer.family) return MY_ERANGE;
  if (x->timeout_ns < 0) return MY_ERANGE;
  if (udp && (x->payload_count == 0 || x->payload_count > PAYLOADS_MAX)) return MY_ERANGE;
  for (size_t i = 0; udp && i < x->payload_count; i++)
    if (x->payloads[i].len > UDP_PAYLOAD_MAX) return MY_ERANGE;
  return MY_OK;
}

/* One allocation: the exchange, its attempts, the spans of its payloads, their bytes. */
static exchange *allocate(const my_exchange *from)
{
  size_t count = from->transport == MY_UDP ? from->payload_count : 0, bytes = 0;
  for (size_t i = 0; i < count; i++)
    bytes += from->payloads[i].len;
  exchange *x = calloc(1, sizeof *x + count * (sizeof *x->attempts + sizeof *x->payloads) + bytes);
  if (!x) return NULL;
  x->attempts = (attempt *)(x + 1);
  x->payloads = (my_span *)(x->attempts + count);
  x->payload_count = (unsigned)count;
  uint8_t *at = (uint8_t *)(x->payloads + count);
  for (size_t i = 0; i < count; i++) {
    my_span p = from->payloads[i];
    if (p.len) memcpy(at, p.data, p.len);
    x->payloads[i] = (my_span){at, p.len};
    at += p.len;
    x->attempts[i].socket = (net_socket){.fd = -1, .attempt = (unsigned)i, .owner = x};
  }
  x->tcp.socket = (net_socket){.fd = -1, .kind = SOCKET_TCP, .owner = x};
  return x;
}

static exchange *make_exchange(my_engine *e, const my_exchange *from)
{
  exchange *x = allocate(from);
  if (!x) return NULL;
  x->id = e->last_id + 1;
  x->in_list = LIST_NONE;
  x->transport = from->transport;
  x->peer = from->peer;
  x->local = from->local;
  x->timeout_ns = from->timeout_ns;
  x->report_sent = from->report_sent;
  x->exact = from->start_ns != 0;
  /* A given source port cannot be had twice: whoever asks for it shares it as a flow does. */
  bool shares = from->transport == MY_UDP && (from->flow || from->local.port);
  x->flow = shares ? my_flow_join(e, from) : NULL;
  if ((!shares || x->flow) && my_table_add(e, x)) return x;
  my_flow_leave(e, x);
  free(x);
  return NULL;
}

static bool wants_to_send(const my_engine *e)
{
  return e->lists[LIST_EXACT].first || e->lists[LIST_AGAIN].first || e->lists[LIST_FRESH].first;
}

/* Join those that want to send. After a pause the first goes at once, but no credit was saved up.
 */
static void enqueue(my_engine *e, exchange *x, list_name name, int64_t now)
{
  if (!wants_to_send(e) && e->next_slot < now) e->next_slot = now;
  my_net_list_push(e, x, name);
}

int my_engine_submit(my_engine *e, const my_exchange *from, uint64_t *id)
{
  int rc = check_exchange(from);
  if (rc != MY_OK) return rc;
  exchange *x = make_exchange(e, from);
  if (!x) return MY_ENOMEM;
  *id = x->id;
  e->last_id = x->id;
  if (x->exact) {
    x->state = STATE_SCHEDULED;
    my_net_set_due(e, x, from->start_ns);
  } else {
    x->state = STATE_READY;
    enqueue(e, x, LIST_FRESH, my_clock_ns());
  }
  my_net_arm(e);
  return MY_OK;
}

int my_engine_cancel(my_engine *e, uint64_t id)
{
  exchange *x = my_net_find(e, id);
  if (!x) return MY_ENOENT;
  let_go(e, x);
  my_event_drop(e, x);
  my_table_remove(e, x);
  free(x);
  my_net_arm(e);
  return MY_OK;
}

/* ---- sending ---- */

static bool slot_is_free(const my_engine *e)
{
  return e->next_slot <= e->now;
}

static void take_slot(my_engine *e)
{
  int64_t oldest = e->now - CATCH_UP_MS * MS;
  if (e->next_slot < oldest) e->next_slot = oldest;
  e->next_slot = add_ns(e->next_slot, e->interval);
}

/* Every attempt may want a socket; a flow's one is not counted, there are few. */
static size_t fds_wanted(const exchange *x)
{
  if (x->transport == MY_TCP) return 1;
  return x->flow ? 0 : x->payload_count;
}

void my_net_opened(my_engine *e, exchange *x)
{
  my_net_list_remove(e, x);
  x->state = STATE_OPEN;
  x->busy_tries = 0;
  x->fds_reserved = fds_wanted(x);
  e->fds_reserved += x->fds_reserved;
  e->open++;
  e->tcp_open += x->transport == MY_TCP;
}

static bool may_open(const my_engine *e, const exchange *x)
{
  if (e->open >= e->max_open || e->starved_until > e->now) return false;
  if (x->transport == MY_TCP && e->tcp_open >= e->max_tcp) return false;
  return !e->open || e->fds_reserved + fds_wanted(x) <= e->fds_limit;
}

/* No descriptor, buffer or port for the first sending: wait for an ending, unless none can come or
 * the shortage is of a kind that endings do not mend. */
static void starve(my_engine *e, exchange *x, int error)
{
  bool hopeless = error == EADDRNOTAVAIL && ++x->busy_tries > PORT_TRIES_MAX;
  if (!e->open || hopeless) {
    my_net_finish(e, x, MY_REASON_SYSTEM, error);
    return;
  }
  e->starved_until = add_ns(e->now, STARVED_WAIT_MS * MS);
  if (error == EMFILE || error == ENFILE) e->fds_limit = e->fds_open ? e->fds_open : 1;
}

/* Begin x, which is first in its list. False: it has to stay there. */
static bool begin(my_engine *e, exchange *x)
{
  bool admitted = x->admitted;
  x->admitted = false; /* its next attempt takes a turn of its own */
  int rc = x->transport == MY_UDP ? my_udp_send(e, x) : my_tcp_connect(e, x);
  if (rc == MY_NOT_YET) {
    x->admitted = admitted;
    starve(e, x, errno);
    return x->state == STATE_OVER;
  }
  take_slot(e);
  return true;
}

static int64_t turn_of(my_engine *e, const exchange *x)
{
  bool udp = x->transport == MY_UDP;
  size_t bytes = my_packet_bytes(udp ? MY_PACKET_DATAGRAM : MY_PACKET_CONNECTION, x->peer.family,
                                 udp ? x->payloads[x->sent].len : 0);
  int64_t host = my_limits_host(e->limits, &x->peer, e->now),
          link = my_limits_link(e->limits, bytes, e->now);
  return host > link ? host : link;
}

/* x, first in its list, may be sent by the rate. True: the limits put it off; it comes back then.
 */
static bool must_wait(my_engine *e, exchange *x)
{
  if (!e->limits || x->admitted) return false;
  int64_t due = turn_of(e, x);
  x->admitted = true;
  if (due <= e->now) return false;
  my_net_list_remove(e, x);
  if (x->state == STATE_READY) x->state = STATE_SCHEDULED;
  my_net_set_due(e, x, due);
  return true;
}

static void send_what_may_go(my_engine *e)
{
  exchange *x;
  while ((x = e->lists[LIST_EXACT].first) && may_open(e, x))
    if (!must_wait(e, x) && !begin(e, x)) return;
  while ((x = e->lists[LIST_AGAIN].first) && slot_is_free(e)) {
    if (must_wait(e, x)) continue;
    my_net_list_remove(e, x);
    x->admitted = false;
    my_udp_send(e, x);
    take_slot(e);
  }
  if (e->lists[LIST_EXACT].first) return; /* first come, first served */
  while ((x = e->lists[LIST_FRESH].first) && slot_is_free(e) && may_open(e, x))
    if (!must_wait(e, x) && !begin(e, x)) return;
}

/* ---- step ---- */

static void take_batch(my_engine *e)
{
  for (e->batch_at = 0; e->batch_at < e->batch_len && !my_net_full(e);) {
    struct epoll_event ev = e->batch[e->batch_at++];
    net_socket *s = ev.data.ptr;
    uint64_t expirations;
    if (ev.data.ptr == e) {
      if (read(e->timer_fd, &expirations, sizeof expirations) > 0) e->armed = NEVER;
    } else if (s && s->kind == SOCKET_TCP) {
      my_tcp_ready(e, s->owner, ev.events);
    } else if (s) {
      my_udp_readable(e, s);
    }
  }
}

static int read_sockets(my_engine *e)
{
  int rc = MY_OK;
  for (int round = 0; round < EPOLL_ROUNDS && !my_net_full(e); round++) {
    e->batch_len = epoll_wait(e->epoll_fd, e->batch, EPOLL_BATCH, 0);
    if (e->batch_len < 0 && errno != EINTR) rc = MY_ESYS;
    if (e->batch_len < 0) break;
    take_batch(e);
    if (e->batch_len < EPOLL_BATCH) break;
  }
  e->batch_at = e->batch_len = 0;
  return rc;
}

/* The exact start that comes next, once it is near: a timer's wake-up is late by what the machine
 * likes, a look at the clock is not. 'skew' is how far the caller's clock is ahead of ours. */
static void spin_until_due(my_engine *e, int64_t skew)
{
  const exchange *x = e->heap_len ? e->heap[0] : NULL;
  if (!e->spin || !x || x->state != STATE_SCHEDULED || x->due_ns - e->spin > e->now) return;
  while (e->now < x->due_ns)
    e->now = my_clock_ns() + skew;
}

static void run_due(my_engine *e)
{
  while (e->heap_len && e->heap[0]->due_ns <= e->now && !my_net_full(e)) {
    exchange *x = e->heap[0];
    my_net_clear_due(e, x);
    if (x->state == STATE_SCHEDULED) {
      x->state = STATE_READY;
      enqueue(e, x, x->exact ? LIST_EXACT : LIST_FRESH, e->now);
    } else if (x->transport == MY_UDP) {
      my_udp_due(e, x);
    } else {
      my_tcp_due(e, x);
    }
  }
}

int my_engine_step(my_engine *e, int64_t now_ns)
{
  int64_t clock = my_clock_ns(), skew = now_ns > clock ? now_ns - clock : 0;
  e->now = now_ns;
  e->unseen = false;
  e->in_step = true;
  int rc = read_sockets(e);
  if (!my_net_full(e)) spin_until_due(e, skew);
  run_due(e);
  if (!my_net_full(e)) send_what_may_go(e);
  e->in_step = false;
  my_net_arm(e);
  if (rc != MY_OK) return rc;
  return e->events < INT32_MAX ? (int)e->events : INT32_MAX;
}

int my_engine_next(my_engine *e, my_event *out)
{
  my_event_release(e);
  if (!my_event_take(e)) return MY_NOT_YET;
  *out = e->current->event;
  return MY_OK;
}

/* ---- when ---- */

static int64_t earlier(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

static int64_t earliest_opening(const my_engine *e, const exchange *x, int64_t when)
{
  if (!x || e->open >= e->max_open) return NEVER;
  if (e->starved_until > e->now) return e->starved_until > when ? e->starved_until : when;
  return may_open(e, x) ? when : NEVER;
}

static int64_t earliest_due(const my_engine *e)
{
  const exchange *x = e->heap_len ? e->heap[0] : NULL;
  if (!x) return NEVER;
  return x->state == STATE_SCHEDULED ? add_ns(x->due_ns, -e->spin) : x->due_ns;
}

int64_t my_engine_deadline(const my_engine *e)
{
  if (e->unseen) return e->now;
  int64_t due = earliest_due(e);
  const exchange *exact = e->lists[LIST_EXACT].first;
  if (e->lists[LIST_AGAIN].first) due = earlier(due, e->next_slot);
  if (exact) return earlier(due, earliest_opening(e, exact, e->now));
  return earlier(due, earliest_opening(e, e->lists[LIST_FRESH].first, e->next_slot));
}

int my_engine_fd(const my_engine *e)
{
  return e->epoll_fd;
}

void my_net_arm(my_engine *e)
{
  int64_t due = my_engine_deadline(e);
  if (due == e->armed) return;
  struct itimerspec t = {0};
  if (due != NEVER) {
    int64_t at = due > 1 ? due : 1; /* 0 would switch it off */
    t.it_value.tv_sec = at / SECOND;
    t.it_value.tv_nsec = at % SECOND;
  }
  timerfd_settime(e->timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
  e->armed = due;
}

const char *my_reason_text(my_reason reason)
{
  switch (reason) {
  case MY_REASON_NONE:
    return "none";
  case MY_REASON_UDP_RESPONSE:
    return "udp-response";
  case MY_REASON_SYN_ACK:
    return "syn-ack";
  case MY_REASON_NO_RESPONSE:
    return "no-response";
  case MY_REASON_PORT_UNREACH:
    return "port-unreach";
  case MY_REASON_HOST_UNREACH:
    return "host-unreach";
  case MY_REASON_NET_UNREACH:
    return "net-unreach";
  case MY_REASON_PROTO_UNREACH:
    return "proto-unreach";
  case MY_REASON_ADMIN_PROHIBITED:
    return "admin-prohibited";
  case MY_REASON_CONN_REFUSED:
    return "conn-refused";
  case MY_REASON_RESET:
    return "reset";
  case MY_REASON_SYSTEM:
    return "error";
  }
  return "unknown";
}
