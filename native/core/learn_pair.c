/* learn_pair.c - pairs kept, and messages made into pairs: which request does a reply answer? */
#include "learn_pair.h"

#include <stdlib.h>
#include <string.h>

/* ---- memory ---- */

static void forget(heard_flow *f)
{
  for (size_t i = 0; i < f->count; i++)
    free((void *)f->waiting[i].data);
  *f = (heard_flow){0};
}

void store_free(store *s)
{
  arena_free(&s->memory);
  free(s->pairs);
  for (size_t i = 0; s->flows != NULL && i < FLOWS_MAX; i++)
    forget(&s->flows[i]);
  free(s->flows);
  free(s->servers);
  *s = (store){0};
}

static bool copy_span(store *s, my_span *bytes)
{
  static const uint8_t none;
  if (bytes->len == 0) {
    *bytes = (my_span){&none, 0};
    return true;
  }
  char *copy = arena_text(&s->memory, (const char *)bytes->data, bytes->len);
  s->kept_bytes += bytes->len;
  bytes->data = (const uint8_t *)copy;
  return copy != NULL;
}

/* Room for one more element; the array doubles. */
static void *grow_array(void *array, size_t count, size_t size)
{
  bool full = count == 0 || (count >= 16 && (count & (count - 1)) == 0);
  if (!full) return array;
  return realloc(array, size * (count == 0 ? 16 : 2 * count));
}

/* Servers are told apart by address and port, and by the number given. */
static int server_number(store *s, const my_endpoint *peer, uint32_t given, uint32_t *out)
{
  for (size_t i = 0; i < s->server_count; i++) {
    const known_server *k = &s->servers[i];
    if (k->given == given && k->peer.port == peer->port &&
        my_endpoint_same_address(&k->peer, peer)) {
      *out = (uint32_t)i;
      return MY_OK;
    }
  }
  if (s->server_count == SERVERS_MAX) {
    *out = SERVERS_MAX;
    return MY_OK;
  }
  known_server *list = grow_array(s->servers, s->server_count, sizeof *list);
  if (list == NULL) return MY_ENOMEM;
  s->servers = list;
  *out = (uint32_t)s->server_count;
  list[s->server_count++] = (known_server){*peer, given};
  return MY_OK;
}

static uint32_t mix(uint32_t h, uint32_t more)
{
  h = (h ^ more) * 0x9e3779b1u;
  return h ^ h >> 15;
}

/* How many pairs of this server and length are kept; those that share a slot share the room. */
static uint16_t *alike(store *s, const my_pair *pair, my_transport transport, uint32_t given)
{
  uint32_t h = mix(mix(given, transport), pair->peer.port);
  for (size_t i = 0; i < sizeof pair->peer.bytes; i++)
    h = mix(h, pair->peer.bytes[i]);
  return &s->alike[mix(h, (uint32_t)pair->request.len) % ALIKE_SLOTS];
}

int store_pair(store *s, const my_pair *pair, my_transport transport, uint32_t server,
               uint32_t flow)
{
  kept_pair p = {.told = {*pair, transport, server, flow}};
  uint16_t *count = alike(s, pair, transport, server);
  if (pair->request.len > MY_LEARN_BYTES || pair->reply.len > MY_LEARN_BYTES) return MY_ERANGE;
  if (s->pair_count == MY_LEARN_PAIRS || s->kept_bytes > KEPT_BYTES || *count == MY_LEARN_ALIKE)
    return MY_EFULL;
  kept_pair *list = grow_array(s->pairs, s->pair_count, sizeof *list);
  if (list == NULL) return MY_ENOMEM;
  s->pairs = list;
  if (!copy_span(s, &p.told.pair.request) || !copy_span(s, &p.told.pair.reply) ||
      server_number(s, &pair->peer, server, &p.told.server) != MY_OK)
    return MY_ENOMEM;
  s->pairs[s->pair_count++] = p;
  ++*count;
  return MY_OK;
}

/* ---- messages ---- */

/* The flow of that number; of those whose slots lie side by side the one silent longest makes room
 * for a new one. */
static heard_flow *find_flow(store *s, uint32_t number)
{
  enum { PROBES = 8 };
  if (s->flows == NULL && (s->flows = calloc(FLOWS_MAX, sizeof *s->flows)) == NULL) return NULL;
  heard_flow *oldest = NULL;
  for (size_t i = 0; i < PROBES; i++) {
    heard_flow *f = &s->flows[(mix(0, number) + i) % FLOWS_MAX];
    if (f->used > 0 && f->number == number) return f;
    if (oldest == NULL || f->used < oldest->used) oldest = f;
  }
  forget(oldest);
  oldest->number = number;
  return oldest;
}

static int hear_request(heard_flow *f, my_span data)
{
  uint8_t *copy = malloc(data.len);
  if (copy == NULL) return MY_ENOMEM;
  memcpy(copy, data.data, data.len);
  if (f->count == MY_LEARN_WAITING) free((void *)f->waiting[--f->count].data);
  memmove(f->waiting + 1, f->waiting, f->count++ * sizeof f->waiting[0]);
  f->waiting[0] = (my_span){copy, data.len};
  return MY_OK;
}

/* Copies of the requests before the latest, for the pair that was kept last. */
static int keep_earlier(store *s, const heard_flow *f)
{
  kept_pair *p = &s->pairs[s->pair_count - 1];
  size_t count = f->count - 1;
  p->earlier = arena_alloc(&s->memory, count * sizeof *p->earlier);
  if (p->earlier == NULL) return MY_ENOMEM;
  for (; p->earlier_count < count; p->earlier_count++) {
    my_span *to = &p->earlier[p->earlier_count];
    *to = f->waiting[p->earlier_count + 1];
    if (!copy_span(s, to)) return MY_ENOMEM;
  }
  return MY_OK;
}

static int hear_reply(store *s, const heard_flow *f, const my_message *m)
{
  my_pair pair = {.request = f->waiting[0],
                  .reply = m->data,
                  .my = m->client,
                  .peer = f->peer, /* who answers may do so from another port */
                  .from = m->from,
                  .now_unix_ns = m->time_unix_ns};
  int rc = store_pair(s, &pair, m->transport, m->server, m->flow);
  return rc != MY_OK || f->count < 2 ? rc : keep_earlier(s, f);
}

int store_message(store *s, const my_message *m)
{
  heard_flow *f = find_flow(s, m->flow);
  if (f == NULL) return MY_ENOMEM;
  f->used = ++s->clock;
  if (m->data.len == 0) return MY_OK;
  if (m->data.len > MY_LEARN_BYTES) return MY_ERANGE;
  if (m->from_client) {
    f->peer = m->peer;
    return hear_request(f, m->data);
  }
  return f->count > 0 ? hear_reply(s, f, m) : MY_OK; /* the peer spoke first: no pair */
}

/* ---- which request a reply answers ---- */

/* Bytes of the request that come back. */
typedef struct window {
  size_t source, at, width;
  size_t held;
} window;

static bool holds_window(my_span request, my_span reply, const window *w)
{
  return w->source + w->width <= request.len && w->at + w->width <= reply.len &&
         memcmp(request.data + w->source, reply.data + w->at, w->width) == 0;
}

/* Do the requests differ there from what follows each other? Else everything holds. */
static size_t changes(const store *s, const window *w)
{
  size_t n = 0, end = w->source + w->width;
  for (size_t i = 1; i < s->pair_count; i++) {
    my_span a = s->pairs[i - 1].told.pair.request, b = s->pairs[i].told.pair.request;
    n += end <= a.len && end <= b.len &&
         memcmp(a.data + w->source, b.data + w->source, w->width) != 0;
  }
  return n;
}

static size_t count_held(const store *s, const window *w)
{
  size_t n = 0;
  for (size_t i = 0; i < s->pair_count; i++)
    n += holds_window(s->pairs[i].told.pair.request, s->pairs[i].told.pair.reply, w);
  return n;
}

/* The two bytes that come back most often among those that change most of the time; of equals
 * those that stay at their place. */
static window strongest_window(const store *s)
{
  enum { LOOKED_AT = 64, WIDTH = 2 };
  window best = {0};
  for (size_t source = 0; source < LOOKED_AT; source++) {
    window w = {source, source, WIDTH, 0};
    if (changes(s, &w) * 2 < s->pair_count) continue;
    for (size_t at = 0; at <= LOOKED_AT; at++) {
      w.at = at < LOOKED_AT ? at : source; /* its own place last */
      w.held = count_held(s, &w);
      if (w.held > best.held || (w.held == best.held && at == LOOKED_AT && best.source != best.at))
        best = w;
    }
  }
  return best;
}

/* As wide as nearly all of those that hold it let it be: few of the others hold that by chance. */
static void grow_window(const store *s, window *w)
{
  enum { WIDEST = 16 };
  for (bool grown = true; grown && w->width < WIDEST;) {
    window right = {w->source, w->at, w->width + 1, 0};
    window left = {w->source - 1, w->at - 1, w->width + 1, 0};
    size_t least = w->held - w->held / 8;
    right.held = count_held(s, &right);
    left.held = w->source > 0 && w->at > 0 ? count_held(s, &left) : 0;
    const window *wider = left.held > right.held ? &left : &right;
    grown = wider->held > 0 && wider->held >= least;
    if (grown) *w = *wider;
  }
}

void store_settle(store *s)
{
  window w = strongest_window(s);
  if (w.held < 3 || w.held * 2 < s->pair_count) return;
  grow_window(s, &w);
  for (size_t i = 0; i < s->pair_count; i++) {
    kept_pair *p = &s->pairs[i];
    if (holds_window(p->told.pair.request, p->told.pair.reply, &w)) continue;
    for (size_t k = 0; k < p->earlier_count; k++)
      if (holds_window(p->earlier[k], p->told.pair.reply, &w)) {
        p->told.pair.request = p->earlier[k];
        break;
      }
  }
}
