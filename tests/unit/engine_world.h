/* engine_world.h - an engine under test, peers on loopback made by the test itself, and a clock
 * that can be put forward, so that no test waits for a second to pass. */
#ifndef MYNAH_TEST_ENGINE_WORLD_H
#define MYNAH_TEST_ENGINE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "mynah/engine.h"

#define MS      INT64_C(1000000)
#define SECOND  INT64_C(1000000000)
#define TEXT(s) ((my_span){(const uint8_t *)(s), sizeof(s) - 1})

enum { PATIENCE_MS = 60000, BYTES = 70000 };

typedef struct world {
  my_engine *e;
  int64_t skew;   /* how far the engine's clock is ahead of the real one */
  my_event event; /* the last one, its bytes copied to data */
  uint8_t data[BYTES];
} world;

static inline void begin_world(world *w, double rate, unsigned most)
{
  my_engine_config config = {.rate_pps = rate ? rate : 1e6,
                             .max_exchanges = most}; /* where pacing is not the question */
  memset(w, 0, sizeof *w);
  assert_int_equal(my_engine_new(&w->e, &config), MY_OK);
}

static inline void end_world(world *w)
{
  my_engine_free(w->e);
}

static inline int step(world *w)
{
  return my_engine_step(w->e, my_clock_ns() + w->skew);
}

static inline bool take(world *w)
{
  if (my_engine_next(w->e, &w->event) != MY_OK) return false;
  assert_true(w->event.data.len <= BYTES);
  if (w->event.data.len) memcpy(w->data, w->event.data.data, w->event.data.len);
  return true;
}

static inline bool readable(int fd, int timeout_ms)
{
  struct pollfd p = {.fd = fd, .events = POLLIN};
  return poll(&p, 1, timeout_ms) == 1;
}

/* Wait for the next event, as a host's loop would: poll the one descriptor, step, fetch. */
static inline bool next_within(world *w, int timeout_ms)
{
  int64_t until = my_clock_ns() + timeout_ms * MS;
  while (!take(w)) {
    int64_t left = until - my_clock_ns();
    if (left <= 0) return false;
    readable(my_engine_fd(w->e), w->skew ? 1 : (int)(left / MS) + 1);
    assert_true(step(w) >= 0);
  }
  return true;
}

/* The next event must be of this kind (and, for END, of this reason). */
static inline void expect(world *w, uint64_t id, my_event_kind kind, my_reason reason)
{
  if (!next_within(w, PATIENCE_MS)) fail_msg("no event; wanted kind %d", kind);
  if (w->event.kind != kind)
    print_message("got kind %d reason %s error %d\n", w->event.kind,
                  my_reason_text(w->event.reason), w->event.error);
  assert_int_equal(w->event.kind, kind);
  assert_int_equal(w->event.id, id);
  if (kind == MY_EVENT_END || kind == MY_EVENT_ICMP)
    assert_string_equal(my_reason_text(w->event.reason), my_reason_text(reason));
}

static inline void expect_bytes(const world *w, my_span bytes)
{
  assert_int_equal(w->event.data.len, bytes.len);
  if (bytes.len) assert_memory_equal(w->data, bytes.data, bytes.len);
}

/* Nothing more happens: the engine is stepped a few times and stays silent. */
static inline void expect_quiet(world *w)
{
  if (next_within(w, 30)) fail_msg("unexpected event of kind %d", w->event.kind);
}

/* ---- peers ---- */

typedef struct peer {
  int fd;
  my_endpoint at;
} peer;

static inline my_endpoint endpoint_of(const struct sockaddr_storage *ss)
{
  my_endpoint e = {0};
  if (ss->ss_family == AF_INET) {
    const struct sockaddr_in *in = (const void *)ss;
    e.family = 4;
    e.port = ntohs(in->sin_port);
    memcpy(e.bytes, &in->sin_addr, 4);
  } else {
    const struct sockaddr_in6 *in6 = (const void *)ss;
    e.family = 6;
    e.port = ntohs(in6->sin6_port);
    memcpy(e.bytes, &in6->sin6_addr, 16);
  }
  return e;
}

static inline socklen_t sockaddr_of(const my_endpoint *e, struct sockaddr_storage *ss)
{
  memset(ss, 0, sizeof *ss);
  if (e->family == 4) {
    struct sockaddr_in *in = (void *)ss;
    in->sin_family = AF_INET;
    in->sin_port = htons(e->port);
    memcpy(&in->sin_addr, e->bytes, 4);
    return sizeof *in;
  }
  struct sockaddr_in6 *in6 = (void *)ss;
  in6->sin6_family = AF_INET6;
  in6->sin6_port = htons(e->port);
  memcpy(&in6->sin6_addr, e->bytes, 16);
  return sizeof *in6;
}

static inline peer make_peer(int type, const char *address)
{
  peer p;
  struct sockaddr_storage ss;
  socklen_t len = sizeof ss;
  assert_int_equal(my_endpoint_parse(&p.at, address, 0), MY_OK);
  p.fd = socket(p.at.family == 4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);
  assert_true(p.fd >= 0);
  len = sockaddr_of(&p.at, &ss);
  assert_int_equal(bind(p.fd, (void *)&ss, len), 0);
  if (type == SOCK_STREAM) assert_int_equal(listen(p.fd, 64), 0);
  len = sizeof ss;
  assert_int_equal(getsockname(p.fd, (void *)&ss, &len), 0);
  p.at.port = endpoint_of(&ss).port;
  return p;
}

/* A port that was free a moment ago and refuses. */
static inline my_endpoint closed_port(int type, const char *address)
{
  peer p = make_peer(type, address);
  close(p.fd);
  return p.at;
}

static inline size_t hear(const peer *p, uint8_t bytes[static BYTES], my_endpoint *from)
{
  struct sockaddr_storage ss;
  socklen_t len = sizeof ss;
  if (!readable(p->fd, PATIENCE_MS)) fail_msg("the peer heard nothing");
  ssize_t n = recvfrom(p->fd, bytes, BYTES, 0, (void *)&ss, &len);
  assert_true(n >= 0);
  *from = endpoint_of(&ss);
  return (size_t)n;
}

static inline void say(const peer *p, const my_endpoint *to, my_span bytes)
{
  struct sockaddr_storage ss;
  socklen_t len = sockaddr_of(to, &ss);
  assert_int_equal(sendto(p->fd, bytes.data, bytes.len, 0, (void *)&ss, len), bytes.len);
}

/* ---- exchanges ---- */

static inline uint64_t ask(world *w, my_exchange x)
{
  uint64_t id = 0;
  assert_int_equal(my_engine_submit(w->e, &x, &id), MY_OK);
  assert_true(id != 0);
  return id;
}

static inline uint64_t ask_udp(world *w, my_endpoint to, const my_span *payloads, size_t count,
                               int64_t timeout_ns)
{
  return ask(w, (my_exchange){.transport = MY_UDP,
                              .peer = to,
                              .payloads = payloads,
                              .payload_count = count,
                              .timeout_ns = timeout_ns});
}

static inline uint64_t ask_tcp(world *w, my_endpoint to, int64_t timeout_ns)
{
  return ask(w, (my_exchange){.transport = MY_TCP, .peer = to, .timeout_ns = timeout_ns});
}

/* Let the engine do what is due, without looking at events. */
static inline void settle(world *w)
{
  for (int i = 0; i < 3; i++)
    assert_true(step(w) >= 0);
}

#endif
