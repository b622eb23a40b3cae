/* judge.c - a whole conversation under one signature: what repetition, replay and the control probe
 * add, and what is still to be asked. */
#include "sig.h"

#include <math.h>
#include <string.h>

/* What a conversation asks for at the most, so that it always ends: pairs, pairs that wait for a
 * second nonce, and nonces that add fresh bits. */
enum { PAIRS_MAX = 8, PAIRS_ENOUGH = 5, NONCES_MAX = 4 };

typedef struct talk {
  const my_sig *sig;
  const my_pair *pairs;
  size_t count, distinct; /* distinct: of different requests */
  my_control control;
  my_scratch *scratch;
  bool more_fresh, more_same; /* what some line still wants */
  bool guess;                 /* some line is good for a guess at most */
  /* For each line that asks for my.ip: what it showed first, and the bytes. */
  uint8_t seen[MY_LINES_MAX]; /* my_held, MY_FAILED: nothing yet */
  my_span address[MY_LINES_MAX];
} talk;

static bool request_is_new(const my_pair *pairs, size_t i)
{
  for (size_t k = 0; k < i; k++)
    if (same_bytes(pairs[i].request, pairs[k].request)) return false;
  return true;
}

/* ---- lines that need several replies ---- */

/* Bytes of at least 3 that stand in the request too do not move by themselves. */
static bool copied_from_request(my_span part, my_span request)
{
  return part.len >= 3 && find_bytes(request, part) != SIZE_MAX;
}

/* The port that a datagram came from moves by itself, too: two bytes that change just as it did,
 * plain or under one mask, are the port again. */
static bool follows_port(my_span a, const my_pair *p, my_span b, const my_pair *q)
{
  unsigned moved = p->my.port ^ q->my.port;
  if (moved == 0 || p->my.port == 0 || q->my.port == 0) return false;
  for (size_t n = 0; n + 1 < a.len; n++) {
    unsigned first = a.data[n] ^ b.data[n], second = a.data[n + 1] ^ b.data[n + 1];
    if ((first << 8 | second) == moved || (second << 8 | first) == moved) return true;
  }
  return false;
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
      if (follows_port(a, &pairs[i], b, &pairs[k])) return MY_FAILED;
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

static my_held hold_stable(const line *l, const talk *t)
{
  my_span first, other;
  if (!place_bytes(&l->at, &t->pairs[0], &first)) return MY_FAILED;
  for (size_t i = 1; i < t->count; i++)
    if (!place_bytes(&l->at, &t->pairs[i], &other) || !same_bytes(first, other)) return MY_FAILED;
  return t->distinct > 1 ? MY_HELD : MY_SKIPPED;
}

/* The address of a node's that is not ours must be the same in every reply, and so must ours. */
static bool same_address(talk *t, const my_match *m, size_t i)
{
  my_held h = (my_held)m->held[i];
  if (t->sig->lines[i].fact != FACT_MY_IP || held_rank(h) < held_rank(MY_HELD_PRIVATE)) return true;
  if (t->seen[i] == MY_FAILED) {
    t->seen[i] = (uint8_t)h;
    t->address[i] = m->got[i];
  }
  return t->seen[i] == h && same_bytes(t->address[i], m->got[i]);
}

static bool check_addresses(talk *t, my_match *m)
{
  for (size_t i = 0; i < m->line_count; i++) {
    if (same_address(t, m, i)) continue;
    m->held[i] = MY_FAILED;
    m->identity_bits -= m->line_bits[i];
    m->line_bits[i] = 0;
    if (!t->sig->lines[i].soft) {
      m->first_failed = (int)i;
      return false;
    }
  }
  return true;
}

/* Match every pair; sum the fresh bits of those with a nonce of their own. false: one does not
 * match. */
static bool match_all(talk *t, my_verdict *out)
{
  my_match *m = &out->last;
  for (size_t i = 0; i < t->count; i++) {
    bool is_new = request_is_new(t->pairs, i);
    my_sig_match(t->sig, &t->pairs[i], t->scratch, m);
    t->distinct += is_new;
    if (i == 0 || (is_new && t->sig->info.transport == MY_UDP)) out->fresh_bits += m->fresh_bits;
    if (!m->matched || !check_addresses(t, m)) return false;
  }
  return true;
}

/* vary and stable. false: one failed, and out->last says which. */
static bool weigh_moves(talk *t, my_match *m)
{
  for (size_t i = 0; i < t->sig->line_count; i++) {
    const line *l = &t->sig->lines[i];
    if ((l->kind != LINE_VARY && l->kind != LINE_STABLE) ||
        (l->branch != 0 && l->branch != m->branch))
      continue;
    my_held h = l->kind == LINE_VARY ? hold_vary(l, t->pairs, t->count) : hold_stable(l, t);
    m->held[i] = (uint8_t)h;
    m->line_bits[i] = h == MY_HELD ? l->worth.bits : 0;
    m->identity_bits += m->line_bits[i];
    t->more_fresh |= h == MY_SKIPPED && t->distinct < 2;
    t->more_same |= h == MY_SKIPPED && l->kind == LINE_VARY;
    if (h == MY_FAILED) {
      m->first_failed = (int)i;
      return false;
    }
  }
  return true;
}

static void weigh_addresses(talk *t)
{
  for (size_t i = 0; i < t->sig->line_count; i++) {
    t->guess |= t->seen[i] == MY_HELD_PRIVATE;
    t->more_fresh |=
        t->distinct < 2 && (t->seen[i] == MY_HELD_PUBLIC || t->seen[i] == MY_HELD_PRIVATE);
  }
}

/* ---- the verdict ---- */

/* Would another nonce still help? */
static bool wants_nonce(const talk *t, const my_verdict *v)
{
  const my_sig_info *info = &t->sig->info;
  bool control_open = info->has_control && t->control == MY_CONTROL_NOT_ASKED;
  const my_sig *step = my_sig_step(t->sig, step_behind(t->sig, &v->last));
  double identity = v->identity_bits + (control_open ? CONTROL_BITS : 0);
  if (step != NULL && !step->optional) identity += step->info.budget.identity_bits;
  if (info->fresh_exempt || info->transport != MY_UDP || v->fresh_bits <= 0) return false;
  return v->fresh_bits < CERTAIN_FRESH_BITS ||
         (identity >= CERTAIN_IDENTITY_BITS && v->fresh_bits + identity < CERTAIN_BITS);
}

static my_want next_want(const talk *t, const my_verdict *v)
{
  const my_sig_info *info = &t->sig->info;
  bool can_differ = info->entropy_len > 0; /* else every probe is the same */
  bool wants_repeat = t->more_fresh || (info->has_vary && t->distinct < 2);
  if (wants_repeat && can_differ && t->count < PAIRS_ENOUGH) return MY_WANT_FRESH;
  if (t->more_same && t->count < PAIRS_MAX) return MY_WANT_SAME;
  if (wants_nonce(t, v) && can_differ && t->distinct < NONCES_MAX && t->count < PAIRS_MAX)
    return MY_WANT_FRESH;
  if (info->has_control && t->control == MY_CONTROL_NOT_ASKED) return MY_WANT_CONTROL;
  return MY_WANT_NOTHING;
}

static my_state final_state(const talk *t, const my_verdict *v)
{
  const my_sig_info *info = &t->sig->info;
  if (t->more_fresh || t->more_same || t->guess || !info->budget.enough) return MY_GUESS;
  return budget_is_enough(v->fresh_bits, v->identity_bits, info->fresh_exempt) ? MY_CERTAIN
                                                                               : MY_GUESS;
}

/* 0.9 at the bar of certain, towards 1 with every further bit; below it at most 0.89. */
static double confidence(const my_verdict *v)
{
  double total = v->fresh_bits + v->identity_bits;
  if (v->state == MY_CERTAIN) return 1 - 0.1 * pow(2, -(total - 24) / 16) * 0.9999;
  return fmin(0.89, total / 60);
}

/* ---- the step behind the first request ---- */

/* Its reply, if there is one already. What must come is missing: not final yet. */
static void weigh_step(const talk *t, const my_pair *reply, my_verdict *out)
{
  const my_sig *step = my_sig_step(t->sig, out->step);
  my_match *m = &out->step_match;
  if (reply == NULL || reply->step != out->step) {
    out->want = MY_WANT_STEP;
    if (!step->optional) out->state = MY_MORE;
    if (step->optional && out->state != MY_CERTAIN) out->want = MY_WANT_NOTHING;
    return;
  }
  my_sig_match(t->sig, reply, t->scratch, m);
  out->step_held = m->matched;
  if (!m->matched) {
    if (!step->optional) out->state = MY_NO;
    return;
  }
  out->identity_bits += m->identity_bits;
  if (t->sig->info.transport == MY_UDP) out->fresh_bits += m->fresh_bits;
  out->state = final_state(t, out);
  give_all(step, reply, m, t->scratch, out);
}

/* Pairs of the first request; those of a step stand behind them. */
static size_t count_first(const my_pair *pairs, size_t count)
{
  size_t n = 0;
  while (n < count && pairs[n].step == 0)
    n++;
  return n;
}

int my_sig_judge(const my_sig *sig, const my_pair *pairs, size_t count, my_control control,
                 my_scratch *scratch, my_verdict *out)
{
  size_t first = count_first(pairs, count);
  talk t = {.sig = sig, .pairs = pairs, .count = first, .scratch = scratch};
  if (first == 0) return MY_ERANGE;
  memset(out, 0, sizeof *out);
  if (sig->info.has_control) t.control = control; /* of a group's others it says nothing here */
  if (!match_all(&t, out) || t.control == MY_CONTROL_ANSWERED || !weigh_moves(&t, &out->last)) {
    out->state = MY_NO;
    out->fresh_bits = 0; /* identity and confidence are still 0 */
    return MY_OK;
  }
  weigh_addresses(&t);
  out->identity_bits =
      out->last.identity_bits + (t.control == MY_CONTROL_SILENT ? CONTROL_BITS : 0);
  out->want = next_want(&t, out);
  out->state = out->want != MY_WANT_NOTHING ? MY_MORE : final_state(&t, out);
  give_all(sig, &pairs[first - 1], &out->last, scratch, out);
  out->step = step_behind(sig, &out->last);
  if (out->step > 0 && out->want == MY_WANT_NOTHING)
    weigh_step(&t, first < count ? &pairs[count - 1] : NULL, out);
  if (out->state == MY_NO) {
    out->fresh_bits = out->identity_bits = 0;
    return MY_OK;
  }
  out->confidence = confidence(out);
  return MY_OK;
}
