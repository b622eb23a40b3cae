/* scan_connect.c - the path without privilege for TCP: connections asked for, and closed as soon as
 * they are known to be accepted or refused; or, where a question is given, looked at first: what
 * the peer says by itself in the first moment, or its answer to the question. */
#include "scan.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sockaddr.h"

#define MS INT64_C(1000000)

enum {
  USUAL_AT_ONCE = 4000,
  SPARE = 64,
  EVENTS = 256,
  LISTEN_MS = 50,   /* and two round trips: who speaks first has begun by then */
  ANSWER_MS = 1000, /* and four round trips: for the first byte of an answer */
  QUIET_MS = 250,   /* without a byte: it is over */
  LOOK_MS = 3000,   /* for the whole answer */
  ROUND_MS = 500,   /* a round trip counts for no more */
  TURN_MS = 10,     /* between two looks at what is due */
  KEEP = 16384      /* bytes of an answer */
};

typedef enum stage { STAGE_FREE, STAGE_CONNECTS, STAGE_LISTENS, STAGE_ASKED } stage;

/* A connection: the sending thread's until it connects, then the listening thread's. */
typedef struct attempt {
  _Atomic stage stage;
  int fd;
  my_endpoint peer, us;
  unsigned number;
  int64_t due_ns, end_ns; /* CLOCK_MONOTONIC: when it is looked at next, and at the last */
  int64_t began_ns, rtt_ns, asked_ns, came_ns;
  int64_t accepted_ns; /* CLOCK_REALTIME */
  uint8_t *data;
  size_t len;
} attempt;

typedef struct connect_path {
  scan_path path;
  int poll_fd;
  my_endpoint source; /* family 0: as routing says */
  char interface[16];
  int64_t timeout_ns, next_turn_ns;
  const my_scan_config *config; /* its owners */
  char ask[MY_SCAN_ASK_MAX], ask_end[MY_SCAN_ASK_MAX];
  size_t ask_len, ask_end_len; /* ask_len 0: connections are closed at once */
  uint8_t room[KEEP];
  size_t count;
  attempt *attempts;
  pthread_mutex_t lock; /* of the list of free ones, and of what goes from thread to thread */
  uint32_t *free_list;
  size_t free_count;
} connect_path;

static int64_t now(void)
{
  return my_clock_ns();
}

/* ---- out ---- */

static attempt *take(connect_path *p)
{
  attempt *a = NULL;
  pthread_mutex_lock(&p->lock);
  if (p->free_count) a = &p->attempts[p->free_list[--p->free_count]];
  pthread_mutex_unlock(&p->lock);
  return a;
}

static void finish(connect_path *p, attempt *a)
{
  if (a->fd >= 0) close(a->fd);
  free(a->data);
  if (a->stage > STAGE_CONNECTS) p->path.looks--;
  a->stage = STAGE_FREE;
  pthread_mutex_lock(&p->lock);
  p->free_list[p->free_count++] = (uint32_t)(a - p->attempts);
  pthread_mutex_unlock(&p->lock);
}

static int open_socket(const connect_path *p, const my_endpoint *peer)
{
  my_sockaddr sa;
  int family = peer->family == 4 ? AF_INET : AF_INET6;
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  bool ok = !p->interface[0] || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, p->interface,
                                           (socklen_t)strlen(p->interface)) == 0;
  if (ok && p->source.family) {
    int one = 1; /* the port is chosen as connect knows the peer, so that many may share one */
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    my_sockaddr_write(&sa, &p->source);
    ok = bind(fd, &sa.any, my_sockaddr_len(&sa)) == 0;
  }
  if (ok) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

/* To the listening thread. Its stage and its place among the events are set as one, or who gives up
 * what is due might end it between the two. 0, or errno: then it is still ours. */
static int hand_over(connect_path *p, attempt *a)
{
  struct epoll_event want = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = a};
  pthread_mutex_lock(&p->lock);
  atomic_store_explicit(&a->stage, STAGE_CONNECTS, memory_order_release);
  int error = epoll_ctl(p->poll_fd, EPOLL_CTL_ADD, a->fd, &want) == 0 ? 0 : errno;
  if (error) atomic_store_explicit(&a->stage, STAGE_FREE, memory_order_relaxed);
  pthread_mutex_unlock(&p->lock);
  return error;
}

/* One that does not connect in time, unless it is just being taken back. */
static void give_up(connect_path *p, attempt *a)
{
  pthread_mutex_lock(&p->lock);
  bool is_ours = atomic_load_explicit(&a->stage, memory_order_relaxed) == STAGE_CONNECTS;
  pthread_mutex_unlock(&p->lock);
  if (is_ours) finish(p, a);
}

/* Begin one. 0, or errno: then nothing is left of it. */
static int start(connect_path *p, const scan_datagram *d)
{
  my_sockaddr sa;
  attempt *a = take(p);
  if (!a) return EAGAIN;
  int64_t present = now();
  a->fd = open_socket(p, &d->peer);
  a->peer = d->peer;
  a->us = (my_endpoint){0};
  a->number = d->attempt;
  a->began_ns = present;
  a->due_ns = present + p->timeout_ns;
  a->end_ns = a->rtt_ns = a->accepted_ns = 0;
  a->data = NULL;
  a->len = 0; /* its stage says to the listening thread that it is none of its own */
  int error = a->fd < 0 ? errno : 0;
  my_sockaddr_write(&sa, &d->peer);
  if (!error && connect(a->fd, &sa.any, my_sockaddr_len(&sa)) != 0 && errno != EINPROGRESS &&
      errno != ECONNREFUSED)
    error = errno == EADDRNOTAVAIL ? EAGAIN : errno; /* no port is free now */
  if (!error && (error = hand_over(p, a)) == 0) return 0;
  finish(p, a);
  return error == EMFILE || error == ENFILE ? EAGAIN : error;
}

static int connect_send(scan_path *path, const scan_datagram *list, size_t count)
{
  connect_path *p = (connect_path *)path;
  for (size_t i = 0; i < count; i++) {
    int error = start(p, &list[i]);
    if (error == 0) continue;
    if (i > 0) return (int)i;
    errno = error;
    return -1;
  }
  return (int)count;
}

/* ---- in ---- */

static my_reason reason_of(int error)
{
  switch (error) {
  case 0:
    return MY_REASON_SYN_ACK;
  case ECONNREFUSED:
    return MY_REASON_CONN_REFUSED;
  case ENETUNREACH:
    return MY_REASON_NET_UNREACH;
  case EACCES:
  case EPERM:
    return MY_REASON_ADMIN_PROHIBITED;
  default:
    return MY_REASON_HOST_UNREACH;
  }
}

/* What became of the connection: 0 or errno. That it was reset after it was accepted comes later.
 */
static int connected(attempt *a)
{
  int error = 0;
  socklen_t len = sizeof error;
  getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len);
  if (error == ECONNRESET || error == EPIPE) error = 0;
  my_socket_name(a->fd, &a->us);
  /* The system chose the very port that we asked: we spoke to ourselves. */
  bool is_self = a->us.port == a->peer.port && my_endpoint_same_address(&a->us, &a->peer);
  return error == 0 && is_self ? ECONNREFUSED : error;
}

static scan_heard news_of(const attempt *a, int error)
{
  return (scan_heard){.is_error = error != 0,
                      .is_known = true,
                      .is_tcp = true,
                      .reason = reason_of(error),
                      .peer = a->peer,
                      .from = a->peer,
                      .to = a->us,
                      .attempt = a->number,
                      .time_ns = a->accepted_ns,
                      .rtt_ns = a->rtt_ns};
}

static int64_t round_trips(const attempt *a, int n)
{
  return n * (a->rtt_ns < ROUND_MS * MS ? a->rtt_ns : ROUND_MS * MS);
}

/* It is accepted, or refused. */
static void tell_begin(connect_path *p, attempt *a, scan_hear_fn *fn, void *arg)
{
  int error = connected(a);
  int64_t present = now();
  a->accepted_ns = my_clock_unix_ns();
  a->rtt_ns = present - a->began_ns;
  scan_heard heard = news_of(a, error);
  bool looks = error == 0 && p->ask_len > 0;
  if (looks) {
    heard.part = HEARD_BEGINS;
    p->path.looks++; /* before anybody can think that all is heard */
    a->end_ns = present + LOOK_MS * MS;
    a->due_ns = present + LISTEN_MS * MS + round_trips(a, 2);
    a->stage = STAGE_LISTENS;
  }
  bool first = error != ETIMEDOUT && fn(arg, &heard);
  if (!looks || !first) finish(p, a);
}

static void tell_end(connect_path *p, attempt *a, my_ending ended, scan_hear_fn *fn, void *arg)
{
  scan_heard heard = news_of(a, 0);
  heard.part = HEARD_ENDS;
  heard.data = (my_span){a->data, a->len};
  heard.asked = a->stage == STAGE_ASKED;
  heard.ended = ended;
  heard.took_ns = heard.asked && a->len > 0 ? a->came_ns - a->asked_ns : 0;
  fn(arg, &heard);
  finish(p, a);
}

/* Keep some bytes. False: there is no room for more. */
static bool keep(attempt *a, const uint8_t *bytes, size_t len)
{
  uint8_t *grown = realloc(a->data, a->len + len);
  if (!grown) return false;
  memcpy(grown + a->len, bytes, len);
  a->data = grown;
  a->len += len;
  return a->len < KEEP;
}

/* Something came, or the end. */
static void hear_out(connect_path *p, attempt *a, uint32_t events, scan_hear_fn *fn, void *arg)
{
  bool more = true, came = false;
  my_ending ended = MY_STAYS;
  while (more && !ended) {
    ssize_t n = recv(a->fd, p->room, sizeof p->room, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    came = came || n > 0;
    if (n < 0)
      ended = MY_RESETS;
    else if (n == 0 || (events & EPOLLRDHUP && n < (ssize_t)sizeof p->room))
      ended = MY_CLOSES;
    more = n > 0 && keep(a, p->room, (size_t)n) && n == (ssize_t)sizeof p->room;
  }
  if (came) a->came_ns = now();
  if (ended || a->len >= KEEP || (came && a->stage == STAGE_LISTENS))
    tell_end(p, a, ended, fn, arg);
  else if (came)
    a->due_ns = now() + QUIET_MS * MS;
}

static bool has_owner(const connect_path *p, uint16_t port)
{
  for (size_t i = 0; i < p->config->owner_count; i++)
    if (my_sig_port_rank(p->config->owners[i], port) == 2) return true;
  return false;
}

/* The peer's address as a URL has it: the port that is usual is left out. */
static size_t write_address(const my_endpoint *peer, char text[MY_ENDPOINT_TEXT])
{
  my_endpoint plain = *peer;
  plain.scope = 0;
  my_endpoint_format(&plain, text);
  return peer->port == 80 ? (size_t)(strrchr(text, ':') - text) : strlen(text);
}

static void ask(connect_path *p, attempt *a)
{
  char text[2 * MY_SCAN_ASK_MAX + MY_ENDPOINT_TEXT];
  memcpy(text, p->ask, p->ask_len);
  size_t len = p->ask_len + write_address(&a->peer, text + p->ask_len);
  memcpy(text + len, p->ask_end, p->ask_end_len);
  len += p->ask_end_len;
  my_limits_link(p->config->limits, my_packet_bytes(MY_PACKET_STREAM, a->peer.family, len), now());
  ssize_t n = send(a->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
  (void)n; /* where it fails, the next event says why */
  a->stage = STAGE_ASKED;
  a->asked_ns = now();
  a->due_ns = a->asked_ns + ANSWER_MS * MS + round_trips(a, 4);
  if (a->due_ns > a->end_ns) a->due_ns = a->end_ns;
}

/* Those whose time has come: to be given up, asked, or told of. */
static void run_due(connect_path *p, scan_hear_fn *fn, void *arg)
{
  int64_t present = now();
  if (present < p->next_turn_ns) return;
  p->next_turn_ns = present + TURN_MS * MS;
  for (size_t i = 0; i < p->count; i++) {
    attempt *a = &p->attempts[i];
    stage at = atomic_load_explicit(&a->stage, memory_order_acquire);
    if (at == STAGE_FREE ||
        (a->due_ns >= present && (at == STAGE_CONNECTS || a->end_ns >= present)))
      continue;
    if (at == STAGE_CONNECTS)
      give_up(p, a);
    else if (at == STAGE_LISTENS && !has_owner(p, a->peer.port))
      ask(p, a);
    else
      tell_end(p, a, MY_STAYS, fn, arg);
  }
}

static bool connect_hear(scan_path *path, int wait_ms, scan_hear_fn *fn, void *arg)
{
  connect_path *p = (connect_path *)path;
  struct epoll_event events[EVENTS];
  int got = epoll_wait(p->poll_fd, events, EVENTS, wait_ms < TURN_MS ? wait_ms : TURN_MS);
  for (int i = 0; i < got; i++) {
    attempt *a = events[i].data.ptr;
    if (a->stage == STAGE_CONNECTS) tell_begin(p, a, fn, arg);
    if (a->stage > STAGE_CONNECTS && events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLERR))
      hear_out(p, a, events[i].events, fn, arg);
  }
  if (got == EVENTS) return false; /* nobody is given up before what came is read */
  run_due(p, fn, arg);
  return true;
}

/* ---- the path ---- */

static void connect_close(scan_path *path)
{
  connect_path *p = (connect_path *)path;
  for (size_t i = 0; p->attempts && i < p->count; i++) {
    if (p->attempts[i].stage == STAGE_FREE) continue;
    close(p->attempts[i].fd);
    free(p->attempts[i].data);
  }
  if (p->poll_fd >= 0) close(p->poll_fd);
  pthread_mutex_destroy(&p->lock);
  free(p->attempts);
  free(p->free_list);
  free(p);
}

/* Descriptors are others', too. */
static size_t room(size_t wanted)
{
  struct rlimit r;
  if (wanted == 0) wanted = USUAL_AT_ONCE;
  if (getrlimit(RLIMIT_NOFILE, &r) != 0) return SPARE;
  size_t most = r.rlim_cur / 2 > SPARE ? (size_t)r.rlim_cur / 2 : SPARE;
  return most < wanted ? most : wanted;
}

static int take_question(connect_path *p, const my_scan_config *config)
{
  if (!config->ask.data) return MY_OK;
  if (config->ask.len == 0 || config->ask.len > MY_SCAN_ASK_MAX ||
      config->ask_end.len > MY_SCAN_ASK_MAX)
    return MY_ERANGE;
  memcpy(p->ask, config->ask.data, config->ask.len);
  if (config->ask_end.len) memcpy(p->ask_end, config->ask_end.data, config->ask_end.len);
  p->ask_len = config->ask.len;
  p->ask_end_len = config->ask_end.len;
  p->path.look_ns = (LISTEN_MS + 2 * ROUND_MS + LOOK_MS) * MS;
  return MY_OK;
}

/* May sockets be bound as they shall be? Else none of them would ever leave. */
static int try_socket(const connect_path *p, my_where *where)
{
  my_endpoint first;
  char text[MY_ENDPOINT_TEXT];
  my_ranges_item(p->config->targets, 0, &first);
  int fd = open_socket(p, &first);
  if (fd >= 0) {
    close(fd);
    return MY_OK;
  }
  const char *why = strerror(errno);
  const char *address = p->source.family ? my_endpoint_address(&p->source, text) : "any address";
  snprintf(where->text, sizeof where->text, "cannot connect from %s%s%s: %s", address,
           p->interface[0] ? " through " : "", p->interface, why);
  return MY_ENOENT;
}

static int set_up(connect_path *p, const my_scan_config *config, my_where *where)
{
  int rc = take_question(p, config);
  if (rc != MY_OK) return rc;
  p->config = config;
  p->count = room(config->connections);
  p->source = config->source;
  p->source.port = 0; /* another for each */
  p->timeout_ns = config->timeout_ns;
  if (config->interface) snprintf(p->interface, sizeof p->interface, "%s", config->interface);
  if (my_endpoint_is_link_local(&p->source)) p->source.scope = if_nametoindex(p->interface);
  if ((rc = try_socket(p, where)) != MY_OK) return rc;
  p->attempts = calloc(p->count, sizeof *p->attempts);
  p->free_list = calloc(p->count, sizeof *p->free_list);
  if (!p->attempts || !p->free_list) return MY_ENOMEM;
  for (size_t i = 0; i < p->count; i++)
    p->free_list[p->free_count++] = (uint32_t)i;
  p->poll_fd = epoll_create1(EPOLL_CLOEXEC);
  return p->poll_fd >= 0 ? MY_OK : MY_ESYS;
}

int scan_connect_open(scan_path **out, const my_scan_config *config, my_where *where)
{
  *out = NULL;
  connect_path *p = calloc(1, sizeof *p);
  if (!p) return MY_ENOMEM;
  p->path = (scan_path){.send = connect_send,
                        .hear = connect_hear,
                        .close = connect_close,
                        .local = config->source,
                        .port_first = 1,
                        .port_count = 1};
  p->poll_fd = -1;
  pthread_mutex_init(&p->lock, NULL);
  int rc = set_up(p, config, where);
  if (rc == MY_OK)
    *out = &p->path;
  else
    connect_close(&p->path);
  return rc;
}
