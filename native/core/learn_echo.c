/* learn_echo.c - which bytes of the requests come back, as they are or changed. Every relation pays
 * for the number of those that were tried: it is believed only where chance would have to be lucky
 * over many bits. */
#include "learn.h"

#include <math.h>
#include <string.h>

enum {
  SAME_PLACE_BITS = 8, /* less for what comes back where it stood: most that comes back does */
  START_BITS = 4,      /* less again at the start: a third of all protocols have their id there */
  VALUE_BITS_MAX = 24, /* that one more value can prove */
  FIRST_ECHO_MAX = 8
};

/* ---- how much a relation on these values proves ---- */

/* The bytes of a run of the request that vary: the first, and how many there are. */
static size_t varying(const lesson *s, size_t from, size_t width, size_t *first)
{
  size_t n = 0;
  for (size_t i = from; i < from + width; i++)
    if (s->varies[i] && n++ == 0) *first = i;
  return n;
}

/* Values that only count on prove little: any other counter may run beside them. */
static bool is_counter(const lesson *s, size_t at, size_t width, size_t values)
{
  uint64_t least = UINT64_MAX, most = 0;
  width = width > 8 ? 8 : width;
  for (size_t i = 0; i < s->count; i++) {
    uint64_t v = number_at(s->list[i], OF_REQUEST, at, width);
    least = v < least ? v : least;
    most = v > most ? v : most;
  }
  return most - least < 8 * (uint64_t)values;
}

static double echo_weight(const lesson *s, size_t from, size_t width)
{
  size_t first = 0, n = varying(s, from, width, &first), end = from + width;
  if (n == 0) return 0;
  size_t values = count_values(s, OF_REQUEST, from, width);
  double each = fmin(8.0 * (double)n, VALUE_BITS_MAX);
  while (end > first && !s->varies[end - 1])
    end--;
  if (is_counter(s, first, end - first, values)) each = 1;
  return each * (double)(values - 1);
}

/* ---- echoes ---- */

typedef struct run {
  size_t source, at, width;
} run;

static bool same_everywhere(const lesson *s, size_t source, size_t at)
{
  for (size_t i = 0; i < s->count; i++)
    if (*byte_of(s->list[i], OF_REQUEST, source) != *byte_of(s->list[i], OF_REPLY, at))
      return false;
  return true;
}

static bool is_common(uint8_t c)
{
  return c <= 1 || c == 0xff;
}

/* Of the fixed bytes at an end of the run those that a copy of what varies takes along: up to the
 * first that any message has. */
static size_t kept_edge(const lesson *s, const run *r, bool last)
{
  const uint8_t *request = byte_of(s->list[0], OF_REQUEST, r->source);
  size_t fixed = 0, kept = 0;
  while (fixed < r->width && !s->varies[r->source + (last ? r->width - 1 - fixed : fixed)])
    fixed++;
  if (fixed == r->width) return 0;
  while (kept < fixed && !is_common(request[last ? r->width - fixed + kept : fixed - 1 - kept]))
    kept++;
  return fixed - kept;
}

/* Nothing is explained twice; and a few fixed bytes beside what varies are more likely a header
 * that both sides write than a part of what comes back. Returns the fixed bytes to leave out. */
static size_t edge_of(const lesson *s, const run *r, bool last)
{
  enum { EDGE_MAX = 4 };
  size_t fixed = 0, left_out = kept_edge(s, r, last);
  while (fixed < r->width && !s->varies[r->source + (last ? r->width - 1 - fixed : fixed)])
    fixed++;
  return fixed - left_out < EDGE_MAX ? fixed : left_out;
}

static bool trim(const lesson *s, run *r)
{
  size_t skip = 0, width = 0;
  while (skip < r->width && s->taken[r->at + skip])
    skip++;
  while (skip + width < r->width && !s->taken[r->at + skip + width])
    width++;
  *r = (run){r->source + skip, r->at + skip, width};
  size_t edge = edge_of(s, r, false);
  *r = (run){r->source + edge, r->at + edge, r->width - edge};
  r->width -= edge_of(s, r, true);
  return r->width > 0;
}

/* What is at its place in the request is likelier to have come from there. */
static double place_bits(const lesson *s, const run *r)
{
  if (r->source != s->home + r->at) return 0;
  return SAME_PLACE_BITS + (r->source == 0 ? START_BITS : 0);
}

/* The run of bytes that come back with the most evidence, over all shifts. */
static double best_run(const lesson *s, run *best)
{
  double most = 0;
  for (size_t d = 0; d < s->request_len + s->look; d++) {
    size_t q = d < s->request_len ? d : 0, r = d < s->request_len ? 0 : d - s->request_len + 1;
    for (; q < s->request_len && r < s->look; q++, r++) {
      run here = {q, r, 0};
      while (q < s->request_len && r < s->look && same_everywhere(s, q, r)) {
        q++;
        r++;
        here.width++;
      }
      if (here.width == 0 || !trim(s, &here)) continue;
      double weight = echo_weight(s, here.source, here.width);
      if (weight > 0) weight += place_bits(s, &here);
      if (weight > most) {
        most = weight;
        *best = here;
      }
    }
  }
  return most;
}

static void mark_nonces(lesson *s, size_t from, size_t width)
{
  for (size_t i = from; i < from + width; i++)
    s->nonce[i] = s->varies[i];
}

static bool is_readable(const lesson *s, size_t at, size_t width)
{
  for (size_t i = 0; i < s->count; i++)
    for (size_t b = 0; b < width; b++) {
      uint8_t c = *byte_of(s->list[i], OF_REPLY, at + b);
      if (c < 32 || c >= 127) return false;
    }
  return true;
}

/* Letters that come back elsewhere than they were sent, behind a text of the server's own, which
 * is longer with others. */
static bool is_behind_text(const lesson *s, const run *r)
{
  enum { WIDTH_MIN = 4, TEXT_MIN = 8 };
  return !s->is_value && one_server(s) && r->width >= WIDTH_MIN && r->at > r->source + TEXT_MIN &&
         is_readable(s, r->at - TEXT_MIN, TEXT_MIN + r->width);
}

static void find_runs(lesson *s)
{
  run best = {0};
  for (double weight; (weight = best_run(s, &best)) >= TRIED_BITS;) {
    finding f = {FOUND_ECHO, .at = (uint16_t)best.at, .width = (uint16_t)best.width,
                 .source = (uint16_t)best.source, .weight = weight};
    mark_nonces(s, best.source, best.width);
    if (is_behind_text(s, &best)) {
      f.kind = FOUND_HAS;
      f.k = f.width;
    }
    if (!lesson_add(s, &f)) break;
  }
}

static bool is_one_request(const lesson *s)
{
  for (size_t i = 0; i < s->request_len; i++)
    if (s->varies[i]) return false;
  return true;
}

/* One request alone, sent again and again: what comes back at its very start is taken for an id, as
 * a third of all protocols have one there, if it is no number that any message begins with. Where
 * requests differ, what they all begin with is a name of the protocol, and none is drawn anew. */
static void find_first_echo(lesson *s)
{
  size_t width = 0;
  if (!is_one_request(s)) return;
  while (width < FIRST_ECHO_MAX && width < s->request_len && lesson_is_free(s, width, 1) &&
         !s->varies[width] && same_everywhere(s, width, width))
    width++;
  size_t id = width >= 8 ? 8 : width >= 4 ? 4 : width >= 2 ? 2 : 0;
  if (id == 0 || id == s->request_len) return;
  const uint8_t *bytes = byte_of(s->list[0], OF_REQUEST, 0);
  if (is_common(bytes[0]) || is_common(bytes[1])) return;
  for (size_t i = 0; i < id; i++)
    s->nonce[i] = true;
  lesson_add(s, &(finding){FOUND_ECHO, .at = 0, .width = (uint16_t)id, .source = 0, .weight = 1});
}

/* ---- echoes at no fixed place ---- */

static bool is_somewhere(const lesson *s, size_t source, size_t width)
{
  for (size_t i = 0; i < s->count; i++)
    if (find_bytes(s->list[i]->pair.reply,
                   (my_span){byte_of(s->list[i], OF_REQUEST, source), width}) == SIZE_MAX)
      return false;
  return true;
}

/* Bytes that vary, in a row that is long enough not to stand anywhere by chance. */
static void find_moved_echoes(lesson *s)
{
  enum { WIDTH_MIN = 4, WIDTH_MAX = 64 };
  for (size_t at = 0, width; at < s->request_len; at += width + 1) {
    for (width = 0; at + width < s->request_len && width < WIDTH_MAX && s->varies[at + width];)
      width++;
    double weight = width < WIDTH_MIN || s->nonce[at] ? 0 : echo_weight(s, at, width);
    if (weight < TRIED_BITS || !is_somewhere(s, at, width)) continue;
    mark_nonces(s, at, width);
    lesson_add(
        s, &(finding){FOUND_HAS, .source = (uint16_t)at, .k = (int64_t)width, .weight = weight});
  }
}

/* ---- changed echoes ---- */

static bool is_reversed(const lesson *s, size_t source, size_t at, size_t width)
{
  for (size_t i = 0; i < s->count; i++)
    for (size_t b = 0; b < width; b++)
      if (*byte_of(s->list[i], OF_REQUEST, source + width - 1 - b) !=
          *byte_of(s->list[i], OF_REPLY, at + b))
        return false;
  return true;
}

static uint64_t all_ones(size_t width)
{
  return width == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * width) - 1;
}

static uint64_t difference(const told *t, size_t source, size_t at, size_t width)
{
  return (number_at(t, OF_REPLY, at, width) - number_at(t, OF_REQUEST, source, width)) &
         all_ones(width);
}

/* reply = request + k, for a k that is no more than a step. A last byte that is always the same is
 * none to count in. */
static bool is_added(const lesson *s, size_t source, size_t at, size_t width, int64_t *k)
{
  enum { STEP_MAX = 16 };
  uint64_t first = difference(s->list[0], source, at, width);
  if (first == 0 || first > STEP_MAX || !s->varies[source + width - 1]) return false;
  for (size_t i = 1; i < s->count; i++)
    if (difference(s->list[i], source, at, width) != first) return false;
  *k = (int64_t)first;
  return true;
}

static bool is_complement(const lesson *s, size_t source, size_t at, size_t width)
{
  for (size_t i = 0; i < s->count; i++)
    if ((number_at(s->list[i], OF_REPLY, at, width) ^
         number_at(s->list[i], OF_REQUEST, source, width)) != all_ones(width))
      return false;
  return true;
}

/* A bit that is set in every reply, in a byte that was sent one way and another. */
static bool is_flagged(const lesson *s, size_t source, size_t at, size_t width, int64_t *k)
{
  uint64_t set = 0;
  for (size_t i = 0; i < s->count; i++)
    set |= number_at(s->list[i], OF_REPLY, at, width) &
           ~number_at(s->list[i], OF_REQUEST, source, width);
  if (set == 0 || (set & (set - 1)) != 0) return false; /* one flag */
  size_t byte = width - 1 - (size_t)__builtin_ctzll(set) / 8;
  if (!s->varies[source + byte]) return false;
  for (size_t i = 0; i < s->count; i++)
    if (number_at(s->list[i], OF_REPLY, at, width) !=
        (number_at(s->list[i], OF_REQUEST, source, width) | set))
      return false;
  *k = (int64_t)set;
  return true;
}

static bool change_of(const lesson *s, size_t source, size_t at, size_t width, finding *f)
{
  if (is_reversed(s, source, at, width))
    f->kind = FOUND_REVERSED;
  else if (is_added(s, source, at, width, &f->k))
    f->kind = FOUND_ADDED;
  else if (is_complement(s, source, at, width))
    f->kind = FOUND_NOT;
  else if (is_flagged(s, source, at, width, &f->k))
    f->kind = FOUND_BITOR;
  else
    return false;
  return true;
}

static void find_changed(lesson *s, size_t width)
{
  for (size_t source = 0; source + width <= s->request_len; source++) {
    double weight = echo_weight(s, source, width);
    if (weight < TRIED_BITS || s->nonce[source]) continue;
    for (size_t at = 0; at + width <= s->look; at++) {
      finding f = {.at = (uint16_t)at,
                   .width = (uint16_t)width,
                   .source = (uint16_t)source,
                   .weight = weight};
      if (!lesson_is_free(s, at, width) || !change_of(s, source, at, width, &f)) continue;
      if (!lesson_add(s, &f)) return;
      mark_nonces(s, source, width);
    }
  }
}

/* ---- all together ---- */

void find_echoes(lesson *s)
{
  find_changed(s, 8); /* before the unchanged: bytes of it come back, too */
  find_changed(s, 4);
  find_changed(s, 2);
  find_runs(s);
  if (s->is_value) return;
  find_moved_echoes(s);
  for (size_t i = 0; i < s->found_count; i++)
    if (s->found[i].kind == FOUND_ECHO) return;
  find_first_echo(s);
}

/* ---- nonces of texts ---- */

static bool is_alnum(uint8_t c)
{
  return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* Does the byte come back, be it within a longer run or beside what is looked for? */
static bool comes_back(const lesson *s, size_t at)
{
  for (size_t i = 0; i < s->found_count; i++) {
    const finding *f = &s->found[i];
    size_t width = f->kind == FOUND_HAS ? (size_t)f->k : f->width;
    if ((f->kind == FOUND_ECHO || f->kind == FOUND_HAS) && f->source <= at &&
        at < (size_t)f->source + width)
      return true;
  }
  return false;
}

/* Of a few random letters some are the same in all requests by chance. */
void join_nonces(lesson *s)
{
  const uint8_t *request = s->list[0]->pair.request.data;
  for (size_t i = 1; i + 1 < s->request_len; i++)
    if (!s->nonce[i] && s->nonce[i - 1] && s->nonce[i + 1] && is_alnum(request[i - 1]) &&
        is_alnum(request[i]) && is_alnum(request[i + 1]) && comes_back(s, i))
      s->nonce[i] = true;
}
