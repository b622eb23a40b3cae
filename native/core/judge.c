/* judge.c - a whole conversation under one signature: what repetition, replay and the control probe
 * add, and what is still to be asked. */
#include "sig.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PAIRS_ENOUGH = 5, PAIRS_FRESH_MAX = 4 };

static bool same_bytes(my_span a, my_span b)
{
  return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static size_t count_distinct(const my_pair *pairs, size_t count)
{
  size_t distinct = 0;
  for (size_t i = 0; i < count; i++) {
    size_t k = 0;
    while (k < i && !same_bytes(pairs[i].request, pairs[k].request))
      k++;
    distinct += k == i;
  }
  return distinct;
}

/* Bytes of at least 3 that stand in the request too do not move by themselves. */
static bool copied_from_request(my_span part, my_span request)
{
  return part.len >= 3 && request.len >= part.len &&
         memmem(request.data, request.len, part.data, part.len) != NULL;
}

/* Every byte of a `vary` place must differ between two replies to the very same request: then it
 * neither stays nor follows what was sent. MY_HELD, MY_FAILED, or MY_SKIPPED: not shown yet. */
static my_held hold_vary(const line *l, const my_pair *pairs, size_t count)
{
  bool moved[VALUE_MAX] = {false};
  size_t left = l->at.width, compared = 0;
  for (size_t i = 0; i < count; i++) {
    my_span a, b;
    if (!place_bytes(&l->at, &pairs[i], &a) || copied_from_request(a, pairs[i].request))
      return MY_FAILED;
    for (size_t k = 0; k < i; k++) {
      if (!same_bytes(pairs[i].request, pairs[k].request) || !place_bytes(&l->at, &pairs[k], &b))
        continue;
      compared++;
      for (size_t n = 0; n < a.len; n++) {
        left -= !moved[n] && a.data[n] != b.data[n];
        moved[n] |= a.data[n] != b.data[n];
      }
    }
  }
  if (left == 0) return MY_HELD;
  /* A byte of noise stays the same once in 256: three replies to one request leave little doubt. */
  return compared >= 3 ? MY_FAILED : MY_SKIPPED;
}

static my_held hold_stable(const line *l, const my_pair *pairs, size_t count)
{
  my_span first, other;
  if (!place_bytes(&l->at, &pairs[0], &first)) return MY_FAILED;
  for (size_t i = 1; i < count; i++)
    if (!place_bytes(&l->at, &pairs[i], &other) || !same_bytes(first, other)) return MY_FAILED;
  return count_distinct(pairs, count) > 1 ? MY_HELD : MY_SKIPPED;
}

/* An address that is not ours must be the same in every reply. */
static my_held hold_public(size_t index, const my_match *m, my_span first, size_t distinct)
{
  if (!same_bytes(first, m->got[index])) return MY_FAILED;
  return distinct > 1 ? m->held[index] : MY_SKIPPED;
}

typedef struct weighing {
  bool more_fresh, more_same; /* what some line still wants */
  bool guess;                 /* some line is good for a guess at most */
} weighing;

/* The lines that need several replies. false: one failed, and out->last says which. */
static bool weigh_lines(const my_sig *sig, const my_pair *pairs, size_t count,
                        const my_match *first, my_verdict *out, weighing *w)
{
  my_match *m = &out->last;
  size_t distinct = count_distinct(pairs, count);
  for (size_t i = 0; i < sig->line_count; i++) {
    const line *l = &sig->lines[i];
    my_held h = (my_held)m->held[i], before = (my_held)first->held[i];
    if (l->kind == LINE_VARY || l->kind == LINE_STABLE) {
      h = l->kind == LINE_VARY ? hold_vary(l, pairs, count) : hold_stable(l, pairs, count);
      w->more_fresh |= h == MY_SKIPPED && distinct < 2;
      w->more_same |= h == MY_SKIPPED && l->kind == LINE_VARY;
      m->line_bits[i] = h == MY_HELD ? l->identity_bits : 0;
      m->identity_bits += m->line_bits[i];
    } else if (h == MY_HELD_PUBLIC || h == MY_HELD_PRIVATE || before == MY_HELD_PUBLIC ||
               before == MY_HELD_PRIVATE) {
      w->guess |= h == MY_HELD_PRIVATE;
      h = h == before ? hold_public(i, m, first->got[i], distinct) : MY_FAILED;
      w->more_fresh |= h == MY_SKIPPED;
    }
    if (h == MY_SKIPPED && l->kind == LINE_CHECK)
      continue; /* still open: keep what the pair showed */
    m->held[i] = (uint8_t)h;
    if (h == MY_FAILED && !l->soft && l->any == 0) {
      m->first_failed = (int)i;
      return false;
    }
  }
  return true;
}

static void give_bytes(my_span bytes, char *out, size_t cap)
{
  size_t used = 0;
  out[0] = 0;
  if (bytes.len == 4) {
    snprintf(out, cap, "%u.%u.%u.%u", bytes.data[0], bytes.data[1], bytes.data[2], bytes.data[3]);
    return;
  }
  for (size_t i = 0; i < bytes.len && used + 3 < cap; i++, used += 2)
    snprintf(out + used, cap - used, "%02x", bytes.data[i]);
}

static size_t put_printable(char *out, size_t cap, size_t used, const uint8_t *s, size_t n)
{
  for (size_t i = 0; i < n && used + 5 < cap; i++) {
    if (s[i] >= 32 && s[i] < 127)
      out[used++] = (char)s[i];
    else
      used += (size_t)snprintf(out + used, cap - used, "\\x%02x", s[i]);
  }
  out[used] = 0;
  return used;
}

/* Number of the group that "$name" or "$1" at s means, and its length in *n. -1: none. */
static int template_group(const pcre2_code *code, const char *s, size_t *n)
{
  char name[33];
  size_t k = 0;
  while (k < sizeof name - 1 &&
         ((s[k] >= 'a' && s[k] <= 'z') || (s[k] >= '0' && s[k] <= '9') || s[k] == '_'))
    k++;
  *n = k;
  if (k == 0) return -1;
  if (s[0] >= '0' && s[0] <= '9') {
    *n = 1;
    return s[0] - '0';
  }
  memcpy(name, s, k);
  name[k] = 0;
  return pcre2_substring_number_from_name(code, (PCRE2_SPTR)name);
}

/* The first pattern line that holds on this pair leaves its groups in the scratch. NULL: none. */
static const pcre2_code *match_groups(const my_sig *sig, const my_pair *pair, my_scratch *scratch,
                                      my_span *subject, int *groups)
{
  for (size_t i = 0; scratch != NULL && i < sig->line_count; i++) {
    const line *l = &sig->lines[i];
    for (size_t r = 0; r < l->right_count; r++) {
      if (l->right[r].kind != RHS_REGEX || !place_bytes(&l->at, pair, subject)) continue;
      *groups = pcre2_match(l->right[r].regex, (PCRE2_SPTR)subject->data, subject->len, 0, 0,
                            scratch->match, scratch->limits);
      if (*groups > 0) return l->right[r].regex;
    }
  }
  return NULL;
}

static void give_text(const my_sig *sig, const my_pair *pair, const char *text, my_scratch *scratch,
                      char *out, size_t cap)
{
  my_span subject = {0};
  int groups = 0;
  size_t used = 0, n;
  const pcre2_code *code = match_groups(sig, pair, scratch, &subject, &groups);
  out[0] = 0;
  for (const char *s = text; *s != 0; s++) {
    int group = *s == '$' && code != NULL ? template_group(code, s + 1, &n) : -1;
    if (*s == '$' && code != NULL && group >= 0) {
      const PCRE2_SIZE *at = pcre2_get_ovector_pointer(scratch->match);
      if (group < groups && at[2 * group] != PCRE2_UNSET)
        used = put_printable(out, cap, used, subject.data + at[2 * group],
                             at[2 * group + 1] - at[2 * group]);
      s += n;
    } else {
      used = put_printable(out, cap, used, (const uint8_t *)s, 1);
    }
  }
}

static void give_all(const my_sig *sig, const my_pair *pair, my_scratch *scratch, my_verdict *out)
{
  out->give_count = sig->give_count;
  for (size_t i = 0; i < sig->give_count; i++) {
    const give *g = &sig->gives[i];
    my_span bytes;
    out->give[i].name = g->name;
    out->give[i].value[0] = 0;
    if (g->text != NULL)
      give_text(sig, pair, g->text, scratch, out->give[i].value, sizeof out->give[i].value);
    else if (place_bytes(&g->at, pair, &bytes))
      give_bytes(bytes, out->give[i].value, sizeof out->give[i].value);
  }
}

/* 0.9 at the bar of certain, towards 1 with every further bit; below it at most 0.89. */
static double confidence(const my_verdict *v)
{
  double total = v->fresh_bits + v->identity_bits;
  if (v->state == MY_CERTAIN) return 1 - 0.1 * pow(2, -(total - 24) / 16) * 0.9999;
  return fmin(0.89, total / 60);
}

static my_want next_want(const my_sig *sig, const weighing *w, const my_verdict *v, size_t count,
                         size_t distinct, my_control control)
{
  bool wants_repeat = sig->info.has_vary && distinct < 2;
  if ((w->more_fresh || wants_repeat) && count < PAIRS_ENOUGH) return MY_WANT_FRESH;
  if (w->more_same && count < PAIRS_ENOUGH) return MY_WANT_SAME;
  if (!sig->info.fresh_exempt && v->fresh_bits > 0 && v->fresh_bits < 16 &&
      distinct < PAIRS_FRESH_MAX)
    return MY_WANT_FRESH;
  if (sig->info.has_control && control == MY_CONTROL_NOT_ASKED) return MY_WANT_CONTROL;
  return MY_WANT_NOTHING;
}

/* Match every pair; sum the fresh bits of those with a nonce of their own. false: one does not
 * match. */
static bool match_all(const my_sig *sig, const my_pair *pairs, size_t count, my_scratch *scratch,
                      my_match *first, my_verdict *out)
{
  for (size_t i = 0; i < count; i++) {
    my_sig_match(sig, &pairs[i], scratch, &out->last);
    if (i == 0) *first = out->last;
    bool nonce_is_new = count_distinct(pairs, i + 1) > count_distinct(pairs, i);
    if (i == 0 || (nonce_is_new && sig->info.transport == MY_UDP))
      out->fresh_bits += out->last.fresh_bits;
    if (!out->last.matched) return false;
  }
  return true;
}

int my_sig_judge(const my_sig *sig, const my_pair *pairs, size_t count, my_control control,
                 my_scratch *scratch, my_verdict *out)
{
  weighing w = {0};
  my_match first;
  if (count == 0) return MY_ERANGE;
  memset(out, 0, sizeof *out);
  if (!match_all(sig, pairs, count, scratch, &first, out) || control == MY_CONTROL_ANSWERED ||
      !weigh_lines(sig, pairs, count, &first, out, &w)) {
    out->state = MY_NO;
    out->fresh_bits = out->identity_bits = 0;
    return MY_OK;
  }
  size_t distinct = count_distinct(pairs, count);
  out->identity_bits = out->last.identity_bits + (control == MY_CONTROL_SILENT ? CONTROL_BITS : 0);
  out->want = next_want(sig, &w, out, count, distinct, control);
  if (out->want != MY_WANT_NOTHING)
    out->state = MY_MORE;
  else if (w.more_fresh || w.more_same || w.guess ||
           !budget_is_enough(out->fresh_bits, out->identity_bits, sig->info.fresh_exempt))
    out->state = MY_GUESS;
  else
    out->state = MY_CERTAIN;
  give_all(sig, &pairs[count - 1], scratch, out);
  out->confidence = confidence(out);
  return MY_OK;
}
