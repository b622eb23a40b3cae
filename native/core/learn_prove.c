/* learn_prove.c - the fewest lines of a lesson that prove it, by the checker's word on the text
 * that says them. */
#include "learn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mynah/check.h"

/* ---- who taught ---- */

/* Those that taught what was accepted before, and the lesson's. */
static const told *teacher_at(const work *w, size_t i)
{
  return i < w->used_count ? w->used[i] : w->lesson->list[i - w->used_count];
}

static size_t count_teachers(const work *w, bool servers)
{
  size_t n = 0, count = w->used_count + w->lesson->count;
  for (size_t i = 0; i < count; i++) {
    const told *t = teacher_at(w, i);
    size_t k = 0;
    while (k < i &&
           (servers ? teacher_at(w, k)->server != t->server : teacher_at(w, k)->flow != t->flow))
      k++;
    n += k == i;
  }
  return n;
}

void count_pairs(work *w)
{
  w->now.pairs = w->used_count + w->lesson->count;
  w->now.servers = count_teachers(w, true);
  w->now.flows = count_teachers(w, false);
}

/* ---- the text, and whether it will do ---- */

static void write_head(text *t, const work *w)
{
  const my_learn_options *o = w->o;
  const my_learned *m = &w->now;
  text_add(t, "# Learned by mynah from %zu pairs of %zu server%s and %zu client port%s.\n",
           m->pairs, m->servers, m->servers == 1 ? "" : "s", m->flows, m->flows == 1 ? "" : "s");
  if (m->servers == 1)
    text_add(t,
             "# One server taught it: what stays the same may be its own, not the protocol's.\n");
  text_add(t, "\nservice %s\n", o->service);
  if (o->title != NULL) {
    text_add(t, "  title ");
    text_tokens(t, (my_span){(const uint8_t *)o->title, strlen(o->title)});
    text_add(t, "\n");
  }
  if (o->ports != NULL) text_add(t, "  ports %s\n", o->ports);
  text_add(t, "  from  \"%s\"\n", o->from != NULL ? o->from : "learned from a capture");
}

static void write_lesson(text *t, const work *w, const bool *use)
{
  text_add(t, w->strict ? "\n# This very implementation.\n" : "\n");
  for (size_t i = 0; i < w->now.unexplained_count && !w->strict; i++)
    text_add(t, "# Not explained: %s.\n", w->now.unexplained[i]);
  text_add(t, "sig %s", w->o->sig != NULL ? w->o->sig : w->o->service);
  if (w->sig_count > 0) text_add(t, "-%zu", w->sig_count + 1);
  text_add(t, w->strict ? "-strict\n" : "\n");
  write_signature(t, w->lesson, use, w->against, w->against_count, w->o);
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

/* MY_OK: the text is of signatures that hold, the last of them that of the lesson; MY_NOT_YET: it
 * is not, w->lack says why. */
static int try_text(work *w, const text *t)
{
  my_sigdb *db;
  my_where where = {0};
  int rc = my_sigdb_new(&db);
  if (rc != MY_OK) return rc;
  rc = my_sigdb_add(db, "learned", (my_span){(const uint8_t *)t->data, t->len}, &where);
  size_t last = my_sigdb_count(db) - 1;
  if (rc == MY_OK) rc = my_sigdb_check(db, last, w->scratch, &where);
  if (rc == MY_OK) {
    my_sig_info info;
    my_sig_get_info(my_sigdb_at(db, last), &info);
    w->now.fresh_bits = info.budget.fresh_bits;
    w->now.identity_bits = info.budget.identity_bits;
    if (!is_true(w, my_sigdb_at(db, last))) {
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

/* MY_OK: w->now.text is a file with what was accepted before and this. */
static int try_lines(work *w, const bool *use)
{
  text t = {0};
  write_head(&t, w);
  if (w->accepted.len > 0) text_add(&t, "%s", w->accepted.data);
  write_lesson(&t, w, use);
  int rc = t.failed ? MY_ENOMEM : try_text(w, &t);
  if (rc != MY_OK) {
    free(t.data);
    return rc;
  }
  free(w->now.text);
  w->now.text = t.data;
  return MY_OK;
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

/* Bytes that stay side by side are one line, and go together: the first of those up to 'last'. */
static size_t first_of_run(const lesson *s, const bool *use, size_t last)
{
  const finding *f = &s->found[last];
  size_t first = last;
  while (first > 0 && use[first - 1] && f[-1].kind == f->kind && may_go(s, f - 1) &&
         f[-1].view == f->view && f[-1].at + f[-1].width == f->at) {
    first--;
    f--;
  }
  return first;
}

static void set_use(bool *use, size_t first, size_t last, bool value)
{
  for (size_t i = first; i <= last; i++)
    use[i] = value;
}

/* Leave out, the last ones first, what was added and is not needed after all. */
static int drop_lines(work *w, bool *use)
{
  const lesson *s = w->lesson;
  for (size_t last = s->found_count, first; last-- > 0; last = first) {
    first = last;
    if (!use[last] || !may_go(s, &s->found[last])) continue;
    first = first_of_run(s, use, last);
    set_use(use, first, last, false);
    note_unexplained(&w->now, s, use);
    int rc = try_lines(w, use);
    if (rc == MY_OK) continue;
    set_use(use, first, last, true);
    if (rc != MY_NOT_YET) return rc;
  }
  note_unexplained(&w->now, s, use);
  return try_lines(w, use); /* its budget, too */
}

/* Keep what was learned, and go on behind it. */
static int accept(work *w, const bool *use)
{
  my_learned *out = w->out;
  write_lesson(&w->accepted, w, use);
  if (w->accepted.failed) return MY_ENOMEM;
  free(out->text);
  if (w->sig_count == 0 && !w->strict)
    *out = w->now; /* the first one's budget and remarks stand for all */
  out->text = w->now.text;
  out->pairs = w->now.pairs;
  out->servers = w->now.servers;
  out->flows = w->now.flows;
  w->now.text = NULL;
  return MY_OK;
}

/* The fewest lines that the checker accepts, or all that there are. */
static int prove_lean(work *w)
{
  lesson *s = w->lesson;
  bool use[FINDINGS_MAX] = {false};
  int rc;
  choose_first(s, use);
  do {
    note_unexplained(&w->now, s, use);
    rc = try_lines(w, use);
  } while (rc == MY_NOT_YET && choose_next(s, use));
  if (rc == MY_OK) rc = drop_lines(w, use);
  return rc == MY_OK ? accept(w, use) : rc;
}

/* All that was found, in a signature of its own. It may be too much to be told from the lean one.
 */
static int prove_strict(work *w)
{
  bool use[FINDINGS_MAX];
  memset(use, true, sizeof use);
  w->strict = true;
  int rc = try_lines(w, use);
  if (rc == MY_OK) rc = accept(w, use);
  w->strict = false;
  return rc == MY_NOT_YET ? MY_OK : rc;
}

int prove_lesson(work *w)
{
  int rc = prove_lean(w);
  if (rc == MY_OK && w->o->strict) rc = prove_strict(w);
  if (rc != MY_OK) return rc;
  memcpy(w->used + w->used_count, w->lesson->list, w->lesson->count * sizeof *w->used);
  w->used_count += w->lesson->count;
  w->sig_count++;
  return MY_OK;
}

static bool taught_by(const work *w, uint32_t server)
{
  for (size_t i = 0; i < w->used_count; i++)
    if (w->used[i]->server == server) return true;
  return false;
}

static bool some_match(const work *w, const my_sigdb *db, const told *t)
{
  for (size_t i = 0; i < my_sigdb_count(db); i++)
    if (matches(my_sigdb_at(db, i), t, w->scratch)) return true;
  return false;
}

size_t of_use_first(const work *w, const told **list, size_t count)
{
  my_sigdb *db;
  my_where where;
  size_t front = 0;
  my_span all = {(const uint8_t *)w->out->text, strlen(w->out->text)};
  if (my_sigdb_new(&db) != MY_OK) return 0;
  bool ready = my_sigdb_add(db, "learned", all, &where) == MY_OK;
  for (size_t i = 0; ready && i < count; i++) {
    const told *t = list[i];
    if (!taught_by(w, t->server) || some_match(w, db, t)) continue;
    memmove(list + front + 1, list + front, (i - front) * sizeof *list);
    list[front++] = t;
  }
  my_sigdb_free(db);
  return front;
}
