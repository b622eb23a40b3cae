/* demo.c - listening, and one libuv loop that serves what the protocols say. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "serve.h"

enum { IDLE_MS = 120 * 1000, LINGER_MS = 2000, OUTPUT = 4096, DATAGRAM = 65536, BIND_TRIES = 64 };

static const char *const KIND_NAMES[] = {"skype", "ftp", "http"};
static const my_demo_protocol *const PROTOCOLS[] = {&my_demo_skype_tcp, &my_demo_ftp,
                                                    &my_demo_http};

bool my_demo_kind_parse(my_demo_kind *out, const char *name)
{
  for (size_t i = 0; i < sizeof KIND_NAMES / sizeof *KIND_NAMES; i++)
    if (strcmp(name, KIND_NAMES[i]) == 0) {
      *out = (my_demo_kind)i;
      return true;
    }
  return false;
}

const char *my_demo_kind_name(my_demo_kind kind)
{
  return KIND_NAMES[kind];
}

void my_demo_random(void *out, size_t len)
{
  uint8_t *at = out;
  while (len > 0) {
    ssize_t n = getrandom(at, len, 0);
    if (n < 0) continue; /* EINTR: the only failure of a short request */
    at += n;
    len -= (size_t)n;
  }
}

/* ---- listening ---- */

static int read_address(struct sockaddr_storage *out, const char *text, uint16_t port)
{
  if (uv_ip4_addr(text, port, (struct sockaddr_in *)out) == 0) return 0;
  return uv_ip6_addr(text, port, (struct sockaddr_in6 *)out) == 0 ? 0 : -EINVAL;
}

static socklen_t address_len(const struct sockaddr_storage *a)
{
  return a->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

/* A bound socket and, in *a, the port it got. */
static int open_socket(int *out, int type, struct sockaddr_storage *a)
{
  socklen_t len = address_len(a);
  int yes = 1, rc = 0;
  int fd = socket(a->ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  if ((type == SOCK_STREAM && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0) ||
      bind(fd, (struct sockaddr *)a, len) < 0 || (type == SOCK_STREAM && listen(fd, 128) < 0) ||
      getsockname(fd, (struct sockaddr *)a, &len) < 0) {
    rc = -errno;
    close(fd);
    return rc;
  }
  *out = fd;
  return 0;
}

static int open_sockets(my_demo_server *s, const char *bind, uint16_t port)
{
  int rc = read_address(&s->address, bind, port);
  if (rc == 0) rc = open_socket(&s->tcp, SOCK_STREAM, &s->address);
  if (rc == 0 && s->kind == MY_DEMO_SKYPE) rc = open_socket(&s->udp, SOCK_DGRAM, &s->address);
  if (rc < 0) my_demo_close(s);
  return rc;
}

int my_demo_listen(my_demo_server *s, my_demo_kind kind, const my_demo_options *options,
                   const char *bind, uint16_t port)
{
  int rc = 0;
  /* A port that the kernel gave for TCP may be taken for UDP: then another. */
  for (int i = 0; i < BIND_TRIES; i++) {
    *s = (my_demo_server){.kind = kind, .options = *options, .tcp = -1, .udp = -1};
    rc = open_sockets(s, bind, port);
    if (rc != -EADDRINUSE || port != 0) break;
  }
  return rc;
}

void my_demo_close(my_demo_server *s)
{
  if (s->tcp >= 0) close(s->tcp);
  if (s->udp >= 0) close(s->udp);
  s->tcp = s->udp = -1;
}

uint16_t my_demo_port(const my_demo_server *s)
{
  return ntohs(s->address.ss_family == AF_INET
                   ? ((const struct sockaddr_in *)&s->address)->sin_port
                   : ((const struct sockaddr_in6 *)&s->address)->sin6_port);
}

/* Every handle's data points to its owner, which begins with the way to end it. */
typedef struct owner {
  void (*end)(struct owner *self);
} owner;

/* ---- TCP ---- */

struct my_demo_conn {
  owner owner;
  uv_tcp_t tcp;
  uv_timer_t idle;  /* ends a connection that nobody uses */
  uv_timer_t delay; /* holds answers back */
  const my_demo_server *server;
  int open_handles;
  bool spoken, last, ending;
  uv_write_t write;
  uv_shutdown_t shutdown;
  bool writing;
  char in[MY_DEMO_INPUT + 1], out[OUTPUT], sent[OUTPUT];
  size_t in_len, out_len;
};

static void on_conn_closed(uv_handle_t *handle)
{
  my_demo_conn *c = handle->data;
  if (--c->open_handles == 0) free(c);
}

static void end_conn(my_demo_conn *c)
{
  if (c->ending) return;
  c->ending = true;
  uv_close((uv_handle_t *)&c->tcp, on_conn_closed);
  uv_close((uv_handle_t *)&c->idle, on_conn_closed);
  uv_close((uv_handle_t *)&c->delay, on_conn_closed);
}

static void end_conn_owner(owner *self)
{
  end_conn((my_demo_conn *)self);
}

static void on_idle(uv_timer_t *timer)
{
  end_conn(timer->data);
}

/* Closing a socket that holds unread bytes sends a reset, which could overtake the answer: so say
 * the end and go on reading for a while. */
static void on_shutdown(uv_shutdown_t *request, int status)
{
  my_demo_conn *c = request->handle->data;
  if (c->ending) return;
  if (status < 0)
    end_conn(c);
  else
    uv_timer_start(&c->idle, on_idle, LINGER_MS, 0);
}

static void flush(my_demo_conn *c);

static void on_written(uv_write_t *request, int status)
{
  my_demo_conn *c = request->handle->data;
  c->writing = false;
  if (c->ending) return;
  if (status < 0)
    end_conn(c);
  else if (c->out_len > 0)
    flush(c);
  else if (c->last && uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shutdown) < 0)
    end_conn(c);
}

static void flush(my_demo_conn *c)
{
  if (c->writing || c->out_len == 0) return;
  memcpy(c->sent, c->out, c->out_len);
  uv_buf_t buf = uv_buf_init(c->sent, (unsigned)c->out_len);
  c->out_len = 0;
  c->writing = true;
  if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written) < 0) end_conn(c);
}

static void on_delay(uv_timer_t *timer)
{
  flush(timer->data);
}

void my_demo_say(my_demo_conn *c, const char *bytes, size_t len, bool last)
{
  if (c->ending || c->last) return;
  if (len > sizeof c->out - c->out_len) {
    end_conn(c); /* it asks much and reads nothing */
    return;
  }
  memcpy(c->out + c->out_len, bytes, len);
  c->out_len += len;
  c->last = last;
  if (c->server->options.delay_ms == 0)
    flush(c);
  else if (!uv_is_active((uv_handle_t *)&c->delay))
    uv_timer_start(&c->delay, on_delay, c->server->options.delay_ms, 0);
}

bool my_demo_first(my_demo_conn *c)
{
  bool first = !c->spoken;
  c->spoken = true;
  return first;
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
  (void)suggested;
  my_demo_conn *c = handle->data;
  *buf = uv_buf_init(c->in + c->in_len, (unsigned)(MY_DEMO_INPUT - c->in_len));
}

static void on_input(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
  (void)buf;
  my_demo_conn *c = stream->data;
  if (n < 0) {
    end_conn(c);
    return;
  }
  if (c->last || n == 0) return; /* what comes after the last answer falls away */
  uv_timer_again(&c->idle);
  c->in_len += (size_t)n;
  c->in[c->in_len] = '\0';
  size_t done = PROTOCOLS[c->server->kind]->input(c, c->in, c->in_len);
  if (done == 0 && c->in_len == MY_DEMO_INPUT) done = c->in_len;
  memmove(c->in, c->in + done, c->in_len - done);
  c->in_len -= done;
}

typedef struct tcp_node {
  owner owner;
  uv_tcp_t tcp;
  const my_demo_server *server;
} tcp_node;

static void on_connection(uv_stream_t *stream, int status)
{
  tcp_node *node = stream->data;
  my_demo_conn *c = status < 0 ? NULL : calloc(1, sizeof *c);
  if (!c) return;
  c->owner.end = end_conn_owner;
  c->server = node->server;
  uv_tcp_init(stream->loop, &c->tcp);
  uv_timer_init(stream->loop, &c->idle);
  uv_timer_init(stream->loop, &c->delay);
  c->open_handles = 3;
  c->tcp.data = c->idle.data = c->delay.data = c;
  if (uv_accept(stream, (uv_stream_t *)&c->tcp) < 0 ||
      uv_read_start((uv_stream_t *)&c->tcp, give_room, on_input) < 0) {
    end_conn(c);
    return;
  }
  uv_tcp_nodelay(&c->tcp, 1);
  uv_timer_start(&c->idle, on_idle, IDLE_MS, IDLE_MS);
  if (PROTOCOLS[c->server->kind]->greet) PROTOCOLS[c->server->kind]->greet(c);
}

/* ---- UDP ---- */

typedef struct udp_node {
  owner owner;
  uv_udp_t udp;
  const my_demo_server *server;
  char in[DATAGRAM];
} udp_node;

/* An answer on its way; it waits for its time. */
typedef struct udp_answer {
  owner owner;
  uv_timer_t timer;
  uv_udp_t *udp;
  struct sockaddr_storage to;
  uint8_t bytes[11];
  size_t len;
} udp_answer;

static void on_closed(uv_handle_t *handle)
{
  free(handle->data);
}

static void end_answer(owner *self)
{
  udp_answer *a = (udp_answer *)self;
  if (!uv_is_closing((uv_handle_t *)&a->timer)) uv_close((uv_handle_t *)&a->timer, on_closed);
}

static void send_answer(uv_timer_t *timer)
{
  udp_answer *a = timer->data;
  uv_buf_t buf = uv_buf_init((char *)a->bytes, (unsigned)a->len);
  if (!uv_is_closing((uv_handle_t *)a->udp))
    uv_udp_try_send(a->udp, &buf, 1,
                    (struct sockaddr *)&a->to); /* a lost datagram is a lost datagram */
  end_answer(&a->owner);
}

static bool drop(const my_demo_options *options)
{
  uint32_t dice;
  my_demo_random(&dice, sizeof dice);
  return dice < options->drop * 4294967296.0;
}

static void give_datagram_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
  (void)suggested;
  udp_node *node = handle->data;
  *buf = uv_buf_init(node->in, sizeof node->in);
}

static void on_datagram(uv_udp_t *udp, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from,
                        unsigned flags)
{
  (void)flags;
  udp_node *node = udp->data;
  const my_demo_options *options = &node->server->options;
  uint8_t bytes[11];
  if (n < 0 || !from || drop(options)) return;
  size_t len = my_demo_skype_udp(options, from, (const uint8_t *)buf->base, (size_t)n, bytes);
  udp_answer *a = len > 0 ? calloc(1, sizeof *a) : NULL;
  if (!a) return;
  a->owner.end = end_answer;
  a->udp = udp;
  a->len = len;
  memcpy(a->bytes, bytes, len);
  memcpy(&a->to, from,
         from->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
  uv_timer_init(udp->loop, &a->timer);
  a->timer.data = a;
  if (options->delay_ms == 0)
    send_answer(&a->timer);
  else
    uv_timer_start(&a->timer, send_answer, options->delay_ms, 0);
}

/* ---- the loop ---- */

static void end_tcp_node(owner *self)
{
  uv_close((uv_handle_t *)&((tcp_node *)self)->tcp, on_closed);
}

static void end_udp_node(owner *self)
{
  uv_close((uv_handle_t *)&((udp_node *)self)->udp, on_closed);
}

/* A node belongs to the loop, and its socket to the node, from here on. */
static int serve_tcp(uv_loop_t *loop, my_demo_server *s)
{
  tcp_node *node = calloc(1, sizeof *node);
  if (!node) return UV_ENOMEM;
  uv_tcp_init(loop, &node->tcp);
  node->owner.end = end_tcp_node;
  node->server = s;
  node->tcp.data = node;
  int rc = uv_tcp_open(&node->tcp, s->tcp);
  if (rc < 0) return rc;
  s->tcp = -1;
  return uv_listen((uv_stream_t *)&node->tcp, 128, on_connection);
}

static int serve_udp(uv_loop_t *loop, my_demo_server *s)
{
  udp_node *node = calloc(1, sizeof *node);
  if (!node) return UV_ENOMEM;
  uv_udp_init(loop, &node->udp);
  node->owner.end = end_udp_node;
  node->server = s;
  node->udp.data = node;
  int rc = uv_udp_open(&node->udp, s->udp);
  if (rc < 0) return rc;
  s->udp = -1;
  return uv_udp_recv_start(&node->udp, give_datagram_room, on_datagram);
}

static void on_stop(uv_signal_t *signal, int number)
{
  (void)number;
  uv_stop(signal->loop);
}

static void end_handle(uv_handle_t *handle, void *arg)
{
  (void)arg;
  if (uv_is_closing(handle)) return;
  if (uv_handle_get_type(handle) == UV_SIGNAL)
    uv_close(handle, NULL);
  else
    ((owner *)handle->data)->end(handle->data);
}

int my_demo_run(my_demo_server *servers, size_t count)
{
  uv_loop_t loop;
  uv_signal_t stops[2];
  static const int numbers[] = {SIGINT, SIGTERM};
  int rc = uv_loop_init(&loop);
  if (rc < 0) return rc;
  for (int i = 0; i < 2; i++) {
    uv_signal_init(&loop, &stops[i]);
    uv_signal_start(&stops[i], on_stop, numbers[i]);
  }
  for (size_t i = 0; i < count && rc == 0; i++) {
    rc = serve_tcp(&loop, &servers[i]);
    if (rc == 0 && servers[i].udp >= 0) rc = serve_udp(&loop, &servers[i]);
  }
  if (rc == 0) uv_run(&loop, UV_RUN_DEFAULT);
  uv_walk(&loop, end_handle, NULL);
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
  return rc;
}
