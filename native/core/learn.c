/* learn.c - from pairs to a signature: lessons of one shape, the fewest lines that prove it, and
 * the checker's word on the text that says them. */
#include "learn_pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mynah/check.h"

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

typedef struct work {
  const my_learn_options *o;
  const told **against;
  size_t against_count;
  my_scratch *scratch;
  lesson *lesson;
  my_learned *out;
  int splits;       /* how often the pairs were divided to come here */
  const char *lack; /* of the last lesson that was too weak */
  char lack_room[160];
} work;

static void begin_lesson(lesson *s, const told *const *list, size_t count)
{
  *s = (lesson){.list = list, .count = count, .request_len = list[0]->pair.request.len};
  s->look = LOOK_MAX;
  for (size_t i = 0; i < count; i++) {
    const my_pair *p = &list[i]->pair;
    if (p->reply.len < s->look) s->look = p->reply.len;
    for (size_t b = 0; b < s->request_len; b++)
      s->varies[b] |= p->request.data[b] != list[0]->pair.request.data[b];
  }
}

static size_t count_distinct(const lesson *s, bool servers)
{
  size_t n = 0;
  for (size_t i = 0; i < s->count; i++) {
    size_t k = 0;
    while (k < i && (servers ? s->list[k]->server != s->list[i]->server
                             : s->list[k]->flow != s->list[i]->flow))
      k++;
    n += k == i;
  }
  return n;
}

static bool begins_with_request(const told *t)
{
  my_span q = t->pair.request, r = t->pair.reply;
  return q.len > 0 && r.len >= q.len && memcmp(q.data, r.data, q.len) == 0;
}

/* ---- the text, and whether it will do ---- */

static void write_unexplained(text *t, const my_learned *out)
{
  for (size_t i = 0; i < out->unexplained_count; i++)
    text_add(t, "# Not explained: %s.\n", out->unexplained[i]);
}

static void write_file(text *t, const work *w, const bool *use)
{
  const my_learn_options *o = w->o;
  const my_learned *out = w->out;
  text_add(t, "# Learned by mynah from %zu pairs of %zu server%s and %zu client port%s.\n",
           out->pairs, out->servers, out->servers == 1 ? "" : "s", out->flows,
           out->flows == 1 ? "" : "s");
  if (out->servers == 1)
    text_add(t,
             "# One server taught it: what stays the same may be its own, not the protocol's.\n");
  write_unexplained(t, out);
  text_add(t, "\nservice %s\n", o->service);
  if (o->title != NULL) {
    text_add(t, "  title ");
    text_tokens(t, (my_span){(const uint8_t *)o->title, strlen(o->title)});
    text_add(t, "\n");
  }
  if (o->ports != NULL) text_add(t, "  ports %s\n", o->ports);
  text_add(t, "  from  \"%s\"\n\n", o->from != NULL ? o->from : "learned from a capture");
  write_signature(t, w->lesson, use, w->against, w->against_count, o);
}

static bool matches(const my_sig *sig, const told *t, my_scratch *scratch)
{
  my_match m;
  if (my_sig_match(sig, &t->pair, scratch, &m) != MY_OK) return false;
  return m.matched;
}

/* Every pair holds it, no counter-example does. */
static bool is_true(const work *w, const my_sig *sig)
{
  for (size_t i = 0; i < w->lesson->count; i++)
    if (!matches(sig, w->lesson->list[i], w->scratch)) return false;
  for (size_t i = 0; i < w->against_count; i++)
    if (matches(sig, w->against[i], w->scratch)) return false;
  return true;
}

/* MY_OK: the text is a signature that holds; MY_NOT_YET: it is not, w->lack says why. */
static int try_text(work *w, const text *t)
{
  my_sigdb *db;
  my_where where = {0};
  int rc = my_sigdb_new(&db);
  if (rc != MY_OK) return rc;
  rc = my_sigdb_add(db, "learned", (my_span){(const uint8_t *)t->data, t->len}, &where);
  if (rc == MY_OK) rc = my_sigdb_check(db, 0, w->scratch, &where);
  if (rc == MY_OK) {
    my_sig_info info;
    my_sig_get_info(my_sigdb_at(db, 0), &info);
    w->out->fresh_bits = info.budget.fresh_bits;
    w->out->identity_bits = info.budget.identity_bits;
    if (!is_true(w, my_sigdb_at(db, 0))) {
      w->lack = w->against_count > 0 ? "a counter-example holds it too" : "not every pair holds it";
      rc = MY_NOT_YET;
    }
  } else if (rc != MY_ENOMEM) {
    snprintf(w->lack_room, sizeof w->lack_room, "%.150s", where.text);
    w->lack = w->lack_room;
    rc = MY_NOT_YET;
  }
  my_sigdb_free(db);
  return rc;
}

static int try_lines(work *w, const bool *use)
{
  text t = {0};
  write_file(&t, w, use);
  int rc = t.failed ? MY_ENOMEM : try_text(w, &t);
  if (rc == MY_OK)
    w->out->text = t.data;
  else
    free(t.data);
  return rc;
}

/* ---- which lines ---- */

static void remark(my_learned *out, const lesson *s, size_t from, size_t to)
{
  bool moves = false;
  for (size_t i = from; i < to; i++)
    moves |= count_values(s, OF_REPLY, i, 1) > 1;
  if (out->unexplained_count == MY_LEARN_UNEXPLAINED) return;
  char *room = out->unexplained[out->unexplained_count++];
  size_t size = sizeof out->unexplained[0];
  if (to - from == 1)
    snprintf(room, size, "byte %zu of the reply, which %s", from, moves ? "varies" : "stays");
  else
    snprintf(room, size, "bytes %zu to %zu of the reply, which %s", from, to - 1,
             moves ? "vary" : "stay");
}

/* What no line says anything about. */
static void note_unexplained(my_learned *out, const lesson *s, const bool *use)
{
  bool said[LOOK_MAX] = {false};
  out->unexplained_count = 0;
  for (size_t i = 0; i < s->found_count; i++)
    for (size_t b = s->found[i].at;
         use[i] && s->found[i].view == 0 && b < (size_t)s->found[i].at + s->found[i].width; b++)
      said[b] = true;
  for (size_t at = 0, end; at < s->look; at = end) {
    end = at + 1;
    if (said[at]) continue;
    while (end < s->look && !said[end])
      end++;
    remark(out, s, at, end);
  }
}

/* Leave out, the last ones first, what was added and is not needed after all. */
static int drop_lines(work *w, bool *use)
{
  const lesson *s = w->lesson;
  for (size_t i = s->found_count; i-- > 0;) {
    if (!use[i] || !may_go(s, &s->found[i])) continue;
    char *before = w->out->text;
    use[i] = false;
    note_unexplained(w->out, s, use);
    int rc = try_lines(w, use);
    if (rc == MY_OK) {
      free(before);
      continue;
    }
    w->out->text = before;
    use[i] = true;
    if (rc != MY_NOT_YET) return rc;
  }
  note_unexplained(w->out, s, use);
  free(w->out->text);
  w->out->text = NULL;
  return try_lines(w, use); /* its budget, too */
}

/* The fewest lines that the checker accepts, or all that there are. */
static int choose_lines(work *w)
{
  lesson *s = w->lesson;
  bool use[FINDINGS_MAX] = {false};
  choose_first(s, w->o->strict, use);
  do {
    note_unexplained(w->out, s, use);
    int rc = try_lines(w, use);
    if (rc == MY_OK && !w->o->strict) return drop_lines(w, use);
    if (rc != MY_NOT_YET) return rc;
  } while (choose_next(s, use));
  return MY_NOT_YET;
}

static bool has_echo(const lesson *s)
{
  for (size_t i = 0; i < s->found_count; i++)
    if (is_echo(&s->found[i])) return true;
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

static int learn_lesson(work *w, const told *const *list, size_t count)
{
  lesson *s = w->lesson;
  begin_lesson(s, list, count);
  w->out->pairs = count;
  w->out->servers = count_distinct(s, true);
  w->out->flows = count_distinct(s, false);
  if (s->look == 0 || s->request_len == 0) return MY_NOT_YET;
  if (count < 2 || all_alike(s)) {
    w->lack = "one pair alone shows nothing that stays";
    return MY_NOT_YET;
  }
  int rc = find_views(s);
  if (rc != MY_OK) return rc;
  find_relations(s);
  find_columns(s);
  join_nonces(s);
  take_parts(s, w->o);
  if (!has_echo(s) && w->out->servers < 2) {
    w->lack = "nothing of the request comes back, and one server alone cannot show what stays";
    return MY_NOT_YET;
  }
  return choose_lines(w);
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

static int learn_shapes(work *w, const told **list, size_t count)
{
  enum { SHAPES_MAX = 16 };
  shape *shapes = calloc(count, sizeof *shapes);
  size_t n = 0;
  int rc = MY_NOT_YET;
  if (shapes == NULL) return MY_ENOMEM;
  for (size_t from = 0; from < count; from += shapes[n++].count)
    shapes[n] = (shape){from, gather_shape(list, from, count) - from};
  qsort(shapes, n, sizeof *shapes, by_count);
  for (size_t i = 0; rc == MY_NOT_YET && i < n && i < SHAPES_MAX; i++)
    rc = learn_shape(w, list + shapes[i].from, shapes[i].count);
  free(shapes);
  return rc;
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
  bool ready = list != NULL && w->against != NULL && w->lesson != NULL;
  int rc = ready ? my_scratch_new(&w->scratch) : MY_ENOMEM;
  if (rc == MY_OK) rc = count > 0 ? learn_shapes(w, list, count) : MY_NOT_YET;
  if (rc == MY_NOT_YET) say_needs(w, l->good.pair_count, count);
  my_scratch_free(w->scratch);
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
