/* learn.c - from pairs to a signature: lessons of one shape, the fewest lines that prove it, and
 * the checker's word on the text that says them. */
#include "learn_pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct my_learner {
  store good, bad;
};

int my_learner_new(my_learner **out)
{
  *out = calloc(1, sizeof **out);
  return *out != NULL ? MY_OK : MY_ENOMEM;
}

void my_learner_free(my_learner *l)
{
  if (l == NULL) return;
  store_free(&l->good);
  store_free(&l->bad);
  free(l);
}

int my_learner_pair(my_learner *l, const my_pair *pair, my_transport transport, uint32_t server,
                    uint32_t flow)
{
  return store_pair(&l->good, pair, transport, server, flow);
}

int my_learner_hear(my_learner *l, const my_message *message)
{
  return store_message(&l->good, message);
}

int my_learner_pair_against(my_learner *l, const my_pair *pair, my_transport transport)
{
  return store_pair(&l->bad, pair, transport, 0, 0);
}

int my_learner_hear_against(my_learner *l, const my_message *message)
{
  return store_message(&l->bad, message);
}

void my_learned_clear(my_learned *learned)
{
  free(learned->text);
  learned->text = NULL;
}

/* ---- a lesson, and what it shows ---- */

static void begin_lesson(lesson *s, const told *const *list, size_t count)
{
  *s = (lesson){.list = list, .count = count, .request_len = list[0]->pair.request.len};
  s->look = LOOK_MAX;
  for (size_t i = 0; i < count; i++)
    if (list[i]->pair.request.len < s->request_len) s->request_len = list[i]->pair.request.len;
  for (size_t i = 0; i < count; i++) {
    const my_pair *p = &list[i]->pair;
    if (p->reply.len < s->look) s->look = p->reply.len;
    for (size_t b = 0; b < s->request_len; b++)
      s->varies[b] |= p->request.data[b] != list[0]->pair.request.data[b];
  }
}

static bool begins_with_request(const told *t)
{
  my_span q = t->pair.request, r = t->pair.reply;
  return q.len > 0 && r.len >= q.len && memcmp(q.data, r.data, q.len) == 0;
}

/* Does it owe anything to its request, to us or to the clock? The rest is only what stays. */
static bool has_relation(const lesson *s)
{
  for (size_t i = 0; i < s->found_count; i++)
    if (is_echo(&s->found[i]) || s->found[i].kind == FOUND_MY_IP ||
        s->found[i].kind == FOUND_MY_IP_TEXT || s->found[i].kind == FOUND_NTP ||
        s->found[i].kind == FOUND_UNIX)
      return true;
  return false;
}

static bool has_clock(const lesson *s)
{
  for (size_t i = 0; i < s->found_count; i++)
    if (s->found[i].kind == FOUND_NTP || s->found[i].kind == FOUND_UNIX) return true;
  return false;
}

static bool all_alike(const lesson *s)
{
  for (size_t i = 1; i < s->count; i++)
    if (!same_bytes(s->list[i]->pair.request, s->list[0]->pair.request) ||
        !same_bytes(s->list[i]->pair.reply, s->list[0]->pair.reply))
      return false;
  return true;
}

/* Nonces that experiments found, beside those that the pairs show. */
static void take_parts(lesson *s, const my_learn_options *o)
{
  for (size_t i = 0; i < o->part_count; i++)
    for (size_t b = 0; b < o->parts[i].len; b++) {
      size_t at = (size_t)o->parts[i].offset + b;
      if (at < s->request_len && o->parts[i].kind == MY_PART_FIXED) s->nonce[at] = false;
    }
}

/* Of n servers that agree the next differs with a chance of 1 in n + 2. */
enum { SERVERS_AGREE = 3 };

static int learn_lesson(work *w, const told *const *list, size_t count)
{
  lesson *s = w->lesson;
  begin_lesson(s, list, count);
  count_pairs(w);
  if (s->look == 0 || s->request_len == 0) return MY_NOT_YET;
  int rc = find_views(s);
  if (rc != MY_OK) return rc;
  find_relations(s);
  find_columns(s);
  join_nonces(s);
  find_parts(s);
  if (count < 2 || (all_alike(s) && !has_clock(s))) {
    w->lack = "one pair alone shows nothing that stays";
    return MY_NOT_YET;
  }
  take_parts(s, w->o);
  if (!has_relation(s) && w->now.servers < SERVERS_AGREE) {
    w->lack = w->now.servers == 1
                  ? "nothing of the request comes back, and one server alone cannot show what stays"
                  : "nothing of the request comes back, and two servers may agree by chance";
    return MY_NOT_YET;
  }
  return prove_lesson(w);
}

/* ---- pairs of one shape ---- */

/* What tells shapes apart: the length of the reply, or a byte at the front of either. */
typedef struct feature {
  of_kind of;
  size_t at;
  bool length;
} feature;

static size_t value_of(const told *t, const feature *f)
{
  my_span s = f->of == OF_REQUEST ? t->pair.request : t->pair.reply;
  if (f->length) return s.len;
  return f->at < s.len ? s.data[f->at] : 256;
}

/* Move the pairs of the most common value to the front; returns how many they are. 0: there are too
 * many values for a feature that tells shapes apart, or one. */
static size_t commonest_first(const told **list, size_t count, const feature *f)
{
  enum { VALUES_MAX = 8 };
  size_t values[VALUES_MAX], counts[VALUES_MAX] = {0}, n = 0, best = 0, front = 0;
  for (size_t i = 0; i < count; i++) {
    size_t v = value_of(list[i], f), k = 0;
    while (k < n && values[k] != v)
      k++;
    if (k == VALUES_MAX) return 0;
    if (k == n) values[n++] = v;
    counts[k]++;
    if (counts[k] > counts[best]) best = k;
  }
  if (n < 2) return 0;
  for (size_t i = 0; i < count; i++) {
    if (value_of(list[i], f) != values[best]) continue;
    const told *t = list[i];
    memmove(list + front + 1, list + front, (i - front) * sizeof *list);
    list[front++] = t;
  }
  return front;
}

static int learn_shape(work *w, const told **list, size_t count)
{
  static const feature features[] = {
      {OF_REPLY, 0, true},  {OF_REPLY, 0, false},   {OF_REPLY, 2, false},   {OF_REPLY, 3, false},
      {OF_REPLY, 1, false}, {OF_REQUEST, 0, false}, {OF_REQUEST, 2, false},
  };
  enum { SPLITS_MAX = 2, PAIRS_MIN = 3 };
  int rc = learn_lesson(w, list, count);
  if (rc != MY_NOT_YET || w->splits == SPLITS_MAX) return rc;
  w->splits++;
  for (size_t i = 0; rc == MY_NOT_YET && i < sizeof features / sizeof *features; i++) {
    size_t part = commonest_first(list, count, &features[i]);
    if (part >= PAIRS_MIN) rc = learn_shape(w, list, part);
  }
  w->splits--;
  return rc;
}

/* ---- all pairs ---- */

static bool same_shape(const told *a, const told *b)
{
  return a->transport == b->transport && a->pair.request.len == b->pair.request.len;
}

/* The pairs whose requests are as long as that of list[from], put together behind it. */
static size_t gather_shape(const told **list, size_t from, size_t count)
{
  size_t end = from + 1;
  for (size_t i = end; i < count; i++) {
    if (!same_shape(list[from], list[i])) continue;
    const told *t = list[i];
    list[i] = list[end];
    list[end++] = t;
  }
  return end;
}

typedef struct shape {
  size_t from, count;
} shape;

static int by_count(const void *a, const void *b)
{
  const shape *x = a, *y = b;
  if (x->count != y->count) return x->count < y->count ? 1 : -1;
  return x->from < y->from ? -1 : 1;
}

/* Requests of many lengths in one lesson, where no length is that of most: what the replies to all
 * of them owe holds for the shortest, too. The first of the largest shape is the probe. */
static int learn_together(work *w, const told *const *list, size_t count, const shape *largest)
{
  const told **all = malloc(count * sizeof *all);
  size_t n = 0;
  if (all == NULL) return MY_ENOMEM;
  for (size_t i = 0; i < count; i++) {
    const told *t = list[(largest->from + i) % count];
    if (t->transport == list[largest->from]->transport) all[n++] = t;
  }
  int rc = largest->count * 2 < n ? learn_lesson(w, all, n) : MY_NOT_YET;
  free(all);
  return rc;
}

static int learn_more(work *w, const told **list, size_t count)
{
  enum { PAIRS_MIN = 3 };
  if (w->sig_count == 0) return learn_shape(w, list, count);
  size_t front = of_use_first(w, list, count);
  return front >= PAIRS_MIN ? learn_shape(w, list, front) : MY_NOT_YET;
}

static int learn_shapes(work *w, const told **list, size_t count)
{
  enum { SHAPES_MAX = 16, SIGS_MAX = 3 };
  shape *shapes = calloc(count, sizeof *shapes);
  size_t n = 0;
  int rc = MY_NOT_YET;
  if (shapes == NULL) return MY_ENOMEM;
  for (size_t from = 0; from < count; from += shapes[n++].count)
    shapes[n] = (shape){from, gather_shape(list, from, count) - from};
  qsort(shapes, n, sizeof *shapes, by_count);
  if (n > 1) rc = learn_together(w, list, count, &shapes[0]);
  for (size_t i = 0; (rc == MY_OK || rc == MY_NOT_YET) && i < n && i < SHAPES_MAX; i++)
    if (w->sig_count < SIGS_MAX) rc = learn_more(w, list + shapes[i].from, shapes[i].count);
  free(shapes);
  return rc == MY_NOT_YET && w->sig_count > 0 ? MY_OK : rc;
}

/* Pointers to the pairs that can teach: not those whose reply is the request again. */
static const told **pairs_of(store *s, size_t *count)
{
  const told **list = malloc((s->pair_count + 1) * sizeof *list);
  *count = 0;
  for (size_t i = 0; list != NULL && i < s->pair_count; i++)
    if (s->pairs[i].told.pair.reply.len > 0 && !begins_with_request(&s->pairs[i].told))
      list[(*count)++] = &s->pairs[i].told;
  return list;
}

static void say_needs(const work *w, size_t all, size_t usable)
{
  my_learned *out = w->out;
  out->pairs = usable;
  if (all == 0)
    snprintf(out->needs, sizeof out->needs, "no request with a reply");
  else if (usable == 0)
    snprintf(out->needs, sizeof out->needs,
             "every reply begins with its request: an echo service owes nothing else");
  else if (usable < 3)
    snprintf(out->needs, sizeof out->needs, "at least %zu more pair%s with another request id: %s",
             3 - usable, usable == 2 ? "" : "s", w->lack);
  else
    snprintf(out->needs, sizeof out->needs,
             "some pairs more with other ids, or of another server: %.120s", w->lack);
}

static int learn_all(work *w, my_learner *l)
{
  size_t count;
  const told **list = pairs_of(&l->good, &count);
  w->against = pairs_of(&l->bad, &w->against_count);
  w->lesson = malloc(sizeof *w->lesson);
  w->used = malloc((count + 1) * sizeof *w->used);
  bool ready = list != NULL && w->against != NULL && w->lesson != NULL && w->used != NULL;
  int rc = ready ? my_scratch_new(&w->scratch) : MY_ENOMEM;
  if (rc == MY_OK) rc = count > 0 ? learn_shapes(w, list, count) : MY_NOT_YET;
  if (rc != MY_OK) my_learned_clear(w->out);
  if (rc == MY_NOT_YET) say_needs(w, l->good.pair_count, count);
  my_scratch_free(w->scratch);
  free(w->accepted.data);
  free(w->now.text);
  free(w->used);
  free(w->lesson);
  free(w->against);
  free(list);
  return rc;
}

int my_learner_learn(my_learner *l, const my_learn_options *options, my_learned *out)
{
  work w = {.o = options, .out = out, .lack = "they show too little"};
  *out = (my_learned){0};
  store_settle(&l->good);
  store_settle(&l->bad);
  return learn_all(&w, l);
}
