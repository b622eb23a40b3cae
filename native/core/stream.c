/* stream.c - flows by their two ends, and TCP put in order. A segment in its place is passed on
 * without a copy; one that comes too early is copied and waits. */
#include "mynah/stream.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1 << 14, TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_ACK = 0x10 };

/* A segment that waits, or one that is ready to be fetched. */
typedef struct segment {
  struct segment *next;
  my_heard heard; /* payload.data: 'bytes', or the caller's where nothing was copied */
  uint8_t bytes[];
} segment;

typedef struct direction {
  bool known; /* next_seq is */
  bool torn;  /* the capture kept less of a segment than it had: nobody knows what follows */
  bool ended;
  uint32_t next_seq;
  segment *waiting; /* in the order of their numbers */
  size_t waiting_count;
} direction;

typedef struct stream {
  struct stream *in_bucket;
  struct stream *older, *newer;
  my_endpoint client, server;
  my_transport transport;
  uint32_t number, client_syn;
  bool has_syn;
  direction sides[2]; /* the client's, the server's */
} stream;

struct my_streams {
  stream *buckets[BUCKETS];
  stream *oldest, *newest;
  size_t count;
  uint32_t numbers;
  my_heard direct; /* in its place, and given before what is ready */
  bool has_direct;
  segment *ready, **ready_end;
  segment *given; /* what next gave, freed at the next call */
  size_t waiting_bytes;
};

/* ---- ready segments ---- */

static void push_ready(my_streams *s, segment *g)
{
  g->next = NULL;
  *s->ready_end = g;
  s->ready_end = &g->next;
}

static segment *new_segment(const my_heard *heard, bool copy)
{
  my_span data = heard->payload.data;
  segment *g = malloc(sizeof *g + (copy ? data.len : 0));
  if (g == NULL) return NULL;
  g->next = NULL;
  g->heard = *heard;
  if (copy && data.len > 0) {
    memcpy(g->bytes, data.data, data.len);
    g->heard.payload.data.data = g->bytes;
  }
  return g;
}

/* Most payloads are alone in their turn: no memory is asked for these. */
static int give(my_streams *s, const my_heard *heard)
{
  if (s->ready == NULL && !s->has_direct) {
    s->direct = *heard;
    s->has_direct = true;
    return MY_OK;
  }
  segment *g = new_segment(heard, false);
  if (g == NULL) return MY_ENOMEM;
  push_ready(s, g);
  return MY_OK;
}

static void free_segments(segment *g)
{
  for (segment *next; g != NULL; g = next) {
    next = g->next;
    free(g);
  }
}

int my_streams_next(my_streams *s, my_heard *out)
{
  free(s->given);
  s->given = NULL;
  if (s->has_direct) {
    s->has_direct = false;
    *out = s->direct;
    return MY_OK;
  }
  s->given = s->ready;
  if (s->ready == NULL) return MY_NOT_YET;
  s->ready = s->ready->next;
  if (s->ready == NULL) s->ready_end = &s->ready;
  *out = s->given->heard;
  return MY_OK;
}

/* ---- flows ---- */

static bool same_end(const my_endpoint *a, const my_endpoint *b)
{
  return a->port == b->port && my_endpoint_same_address(a, b);
}

static uint64_t hash_end(const my_endpoint *e)
{
  uint64_t words[2];
  memcpy(words, e->bytes, sizeof words);
  uint64_t h = (words[0] ^ e->port) * UINT64_C(0x9e3779b97f4a7c15);
  return (h ^ h >> 32 ^ words[1]) * UINT64_C(0x9e3779b97f4a7c15);
}

/* The same for both directions. */
static size_t bucket_of(const my_endpoint *a, const my_endpoint *b, my_transport transport)
{
  uint64_t h = hash_end(a) + hash_end(b) + transport;
  return (size_t)(h >> 40) % BUCKETS;
}

static stream *find_stream(my_streams *s, const my_payload *p)
{
  stream *t = s->buckets[bucket_of(&p->from, &p->to, p->transport)];
  for (; t != NULL; t = t->in_bucket) {
    if (t->transport != p->transport) continue;
    if (same_end(&t->client, &p->from) && same_end(&t->server, &p->to)) return t;
    if (same_end(&t->client, &p->to) && same_end(&t->server, &p->from)) return t;
  }
  return NULL;
}

static void unlink_age(my_streams *s, stream *t)
{
  *(t->older ? &t->older->newer : &s->oldest) = t->newer;
  *(t->newer ? &t->newer->older : &s->newest) = t->older;
}

static void link_newest(my_streams *s, stream *t)
{
  t->older = s->newest;
  t->newer = NULL;
  *(s->newest ? &s->newest->newer : &s->oldest) = t;
  s->newest = t;
}

/* Give what still waits on both sides, with its gaps. */
static void give_waiting(my_streams *s, stream *t)
{
  for (int side = 0; side < 2; side++) {
    direction *d = &t->sides[side];
    while (d->waiting != NULL) {
      segment *g = d->waiting;
      d->waiting = g->next;
      s->waiting_bytes -= g->heard.payload.data.len;
      g->heard.lost = true;
      push_ready(s, g);
    }
    d->waiting_count = 0;
  }
}

static void forget(my_streams *s, stream *t)
{
  stream **at = &s->buckets[bucket_of(&t->client, &t->server, t->transport)];
  while (*at != t)
    at = &(*at)->in_bucket;
  *at = t->in_bucket;
  unlink_age(s, t);
  s->count--;
  give_waiting(s, t);
  free(t);
}

static stream *new_stream(my_streams *s, const my_payload *p, bool from_client)
{
  if (s->count == MY_STREAM_FLOWS) forget(s, s->oldest);
  stream *t = calloc(1, sizeof *t);
  if (t == NULL) return NULL;
  t->client = from_client ? p->from : p->to;
  t->server = from_client ? p->to : p->from;
  t->transport = p->transport;
  t->number = ++s->numbers;
  stream **bucket = &s->buckets[bucket_of(&p->from, &p->to, p->transport)];
  t->in_bucket = *bucket;
  *bucket = t;
  link_newest(s, t);
  s->count++;
  return t;
}

int my_streams_new(my_streams **out)
{
  *out = calloc(1, sizeof **out);
  if (*out == NULL) return MY_ENOMEM;
  (*out)->ready_end = &(*out)->ready;
  return MY_OK;
}

void my_streams_free(my_streams *s)
{
  if (s == NULL) return;
  while (s->oldest != NULL)
    forget(s, s->oldest);
  free_segments(s->ready);
  free(s->given);
  free(s);
}

/* ---- TCP in order ---- */

/* How far 'a' stands behind 'b' in a space of numbers that comes round. */
static int32_t behind(uint32_t a, uint32_t b)
{
  return (int32_t)(a - b);
}

static my_stream_end end_of(const my_payload *p)
{
  if (p->tcp_flags & TCP_RST) return MY_STREAM_RST;
  return p->tcp_flags & TCP_FIN ? MY_STREAM_FIN : MY_STREAM_GOES_ON;
}

/* Leave out what was given before. false: nothing is left. */
static bool cut_front(const direction *d, my_heard *h)
{
  int32_t old = behind(d->next_seq, h->payload.tcp_seq);
  bool news = h->ends != MY_STREAM_GOES_ON && !d->ended;
  if (old <= 0) return h->payload.data.len > 0 || news;
  if ((size_t)old >= h->payload.data.len) {
    h->payload.data.len = 0;
    return news;
  }
  h->payload.data.data += old;
  h->payload.data.len -= (size_t)old;
  h->payload.tcp_seq += (uint32_t)old;
  return true;
}

static void move_on(direction *d, const my_heard *h)
{
  d->next_seq = h->payload.tcp_seq + (uint32_t)h->payload.data.len;
  d->ended |= h->ends != MY_STREAM_GOES_ON;
  if (h->payload.cut) {
    d->known = false;
    d->torn = true;
  }
}

/* Give the segments that have their turn now; 'force': the first one, whatever is missing. */
static void give_turn(my_streams *s, direction *d, bool force)
{
  while (d->waiting != NULL) {
    segment *g = d->waiting;
    int32_t gap = behind(g->heard.payload.tcp_seq, d->next_seq);
    if (gap > 0 && !force) return;
    d->waiting = g->next;
    d->waiting_count--;
    s->waiting_bytes -= g->heard.payload.data.len;
    g->heard.lost = gap > 0;
    force = false;
    if (!cut_front(d, &g->heard)) {
      free(g);
      continue;
    }
    move_on(d, &g->heard);
    push_ready(s, g);
  }
}

static int wait_in_order(my_streams *s, direction *d, const my_heard *h)
{
  segment *g = new_segment(h, true), **at = &d->waiting;
  if (g == NULL) return MY_ENOMEM;
  while (*at != NULL && behind((*at)->heard.payload.tcp_seq, h->payload.tcp_seq) <= 0)
    at = &(*at)->next;
  g->next = *at;
  *at = g;
  d->waiting_count++;
  s->waiting_bytes += h->payload.data.len;
  while (d->waiting != NULL &&
         (d->waiting_count > MY_STREAM_WAITING || s->waiting_bytes > MY_STREAM_BYTES))
    give_turn(s, d, true);
  return MY_OK;
}

static int take_segment(my_streams *s, direction *d, my_heard *h)
{
  if (!d->known) {
    h->lost = d->torn;
    d->known = true;
    d->next_seq = h->payload.tcp_seq;
  }
  /* A reset may carry any number; it ends the stream where that is. */
  if (h->ends != MY_STREAM_RST && behind(h->payload.tcp_seq, d->next_seq) > 0)
    return wait_in_order(s, d, h);
  if (!cut_front(d, h)) return MY_OK;
  move_on(d, h);
  int rc = give(s, h);
  give_turn(s, d, false);
  return rc;
}

/* The stream of a segment: a SYN of another number begins a new one. */
static stream *stream_of(my_streams *s, const my_payload *p)
{
  stream *t = find_stream(s, p);
  bool syn = (p->tcp_flags & TCP_SYN) != 0, answer = syn && (p->tcp_flags & TCP_ACK) != 0;
  if (p->transport == MY_TCP && syn && !answer && t != NULL &&
      (!t->has_syn || t->client_syn != p->tcp_seq)) {
    forget(s, t);
    t = NULL;
  }
  return t != NULL ? t : new_stream(s, p, p->transport != MY_TCP || !answer);
}

static int take_tcp(my_streams *s, stream *t, my_heard *h)
{
  const my_payload *p = &h->payload;
  direction *d = &t->sides[h->from_client ? 0 : 1];
  bool opens = (p->tcp_flags & TCP_SYN) != 0 && (p->tcp_flags & TCP_ACK) == 0;
  if (p->tcp_flags & TCP_SYN) {
    d->known = true;
    d->next_seq = p->tcp_seq;
  }
  if (opens && !t->has_syn) {
    t->has_syn = true;
    t->client_syn = p->tcp_seq;
    h->opens = true;
    if (p->data.len == 0) return give(s, h);
  }
  h->ends = end_of(p);
  if (p->data.len == 0 && h->ends == MY_STREAM_GOES_ON) return MY_OK;
  return take_segment(s, d, h);
}

int my_streams_add(my_streams *s, const my_payload *payload)
{
  my_heard h = {.payload = *payload};
  stream *t = stream_of(s, payload);
  if (t == NULL) return MY_ENOMEM;
  if (s->newest != t) {
    unlink_age(s, t);
    link_newest(s, t);
  }
  h.flow = t->number;
  h.from_client = same_end(&t->client, &payload->from);
  return payload->transport == MY_TCP ? take_tcp(s, t, &h) : give(s, &h);
}

void my_streams_finish(my_streams *s)
{
  for (stream *t = s->oldest; t != NULL; t = t->newer)
    for (int side = 0; side < 2; side++)
      while (t->sides[side].waiting != NULL)
        give_turn(s, &t->sides[side], true);
}
