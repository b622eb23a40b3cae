/* sig_score.c - the budget of a signature: what its lines are worth together, and how many bits of
 * nonce come back. */
#include "sig_score.h"

#include <math.h>
#include <string.h>

enum { ASKED_AT_MOST = 4 /* nonces, as judge.c does */ };

bool budget_is_enough(double fresh_bits, double identity_bits, bool fresh_exempt)
{
  if (identity_bits < CERTAIN_IDENTITY_BITS) return false;
  if (fresh_exempt) return identity_bits + fresh_bits >= CERTAIN_IDENTITY_BITS + 8;
  return fresh_bits >= CERTAIN_FRESH_BITS && fresh_bits + identity_bits >= CERTAIN_BITS;
}

/* ---- facts ---- */

static fact right_fact(const rhs *r)
{
  switch (r->kind) {
  case RHS_ADDRESS:
  case RHS_ADDRESS_TEXT:
    return r->mine ? FACT_MY_IP : FACT_PEER_IP;
  case RHS_PORT:
  case RHS_PORT_TEXT:
    return r->mine ? FACT_MY_PORT : FACT_PEER_PORT;
  case RHS_TIME_NTP:
  case RHS_TIME_UNIX:
    return FACT_TIME;
  default:
    return FACT_NONE;
  }
}

static fact line_fact(const line *l)
{
  fact found = FACT_NONE;
  if (l->at.length) return FACT_LENGTH;
  if (l->at.sport) return FACT_FROM_PORT;
  for (size_t i = 0; i < l->right_count && found == FACT_NONE; i++)
    found = right_fact(&l->right[i]);
  return found;
}

/* ---- fresh bits ---- */

/* Sixteenths of a bit that are left of a nonce's byte under a mask and functions. */
static double byte_entropy(const my_sig *sig, const line *l, const rhs *r, size_t i)
{
  double left = sig->entropy[r->place.offset + i];
  if (l->mask.len > 0) left = left * __builtin_popcount(l->mask.data[i]) / 8;
  for (size_t f = 0; f < r->fn_count; f++) {
    size_t back = r->place.width - 1 - i; /* bitor counts from the last byte; rev may turn it */
    uint8_t low = back < 8 ? (uint8_t)(r->fn[f].k >> 8 * back) : 0;
    uint8_t high = i < 8 ? (uint8_t)(r->fn[f].k >> 8 * i) : 0;
    if (r->fn[f].kind == FN_BITOR) left = left * __builtin_popcount((uint8_t) ~(low | high)) / 8;
    if (r->fn[f].kind == FN_FOLD) left = fmin(left, 7 * 16);
  }
  return left;
}

/* Bits of nonce that a line sees come back, and no line before it: each byte counts once. */
static double right_fresh(const my_sig *sig, const line *l, const rhs *r, const bool *claimed,
                          bool *claims)
{
  double sixteenths = 0;
  bool same = l->op == OP_EQ || l->op == OP_STARTS || l->op == OP_HAS;
  if (r->kind != RHS_PLACE || r->place.of != OF_REQUEST || r->place.length || r->place.from_end ||
      r->place.to_end || !same || l->at.length || l->at.sport)
    return 0;
  for (size_t i = 0; i < r->place.width; i++) {
    size_t at = r->place.offset + i;
    if (!claimed[at]) sixteenths += byte_entropy(sig, l, r, i);
    claims[at] = true;
  }
  double bits = sixteenths / 16;
  return l->op == OP_HAS ? fmax(0, bits - SEARCH_NEAR_BITS) : bits;
}

static void claim_line(const my_sig *sig, line *l, const bool *claimed, bool *claims)
{
  double least = l->right_count > 0 ? INFINITY : 0;
  for (size_t i = 0; i < l->right_count; i++)
    least = fmin(least, right_fresh(sig, l, &l->right[i], claimed, claims));
  l->fresh_bits = least;
}

/* Lines that must hold claim their bytes before soft ones; those of a group stand for each other.
 */
static void claim_fresh(my_sig *sig, bool soft, bool *claimed)
{
  bool claims[MY_PROBE_MAX], before_cases[MY_PROBE_MAX];
  for (size_t i = 0; i < sig->line_count; i++) {
    line *l = &sig->lines[i];
    bool first = i == 0 || l->branch != sig->lines[i - 1].branch;
    if (first && l->branch == 1) memcpy(before_cases, claimed, sizeof before_cases);
    if (first && l->branch > 1) memcpy(claimed, before_cases, sizeof before_cases);
    bool group_goes_on = i > 0 && l->any != 0 && l->any == sig->lines[i - 1].any;
    if (l->soft != soft) continue;
    if (!group_goes_on) memcpy(claims, claimed, sizeof claims);
    claim_line(sig, l, claimed, claims);
    bool group_ends = l->any == 0 || i + 1 == sig->line_count || sig->lines[i + 1].any != l->any;
    if (group_ends) memcpy(claimed, claims, sizeof claims);
  }
}

/* ---- a signature ---- */

static size_t group_end(const my_sig *sig, size_t first)
{
  size_t end = first + 1;
  while (sig->lines[first].any != 0 && end < sig->line_count &&
         sig->lines[end].any == sig->lines[first].any)
    end++;
  return end;
}

static int score_lines(my_sig *sig, my_scratch *scratch)
{
  ease e;
  int rc = find_easy(sig, scratch, &e);
  for (size_t i = 0; rc == MY_OK && i < sig->line_count; i++) {
    line *l = &sig->lines[i];
    score_line(l, e.copied[i]);
    l->fact = line_fact(l);
    l->easy = e.easy[i];
  }
  return rc;
}

static bool same_structure(const view *a, const view *b)
{
  return a != NULL && a->kind == b->kind && (b->kind == VIEW_BER || b->kind == VIEW_TLV);
}

/* That the reply is BER, or TLVs, is one fact: the line or the group that says most of it counts.
 */
static void count_structure_once(my_sig *sig)
{
  for (size_t i = 0; i < sig->line_count; i++) {
    line *l = &sig->lines[i];
    for (size_t k = 0; k < i && l->at.in != NULL; k++) {
      line *other = &sig->lines[k];
      bool together = l->any != 0 && l->any == other->any;
      if (together || other->structure_bits == 0 || !same_structure(other->at.in, l->at.in))
        continue;
      line *less = l->structure_bits > other->structure_bits ? other : l;
      less->worth.bits -= less->structure_bits;
      less->structure_bits = 0;
    }
  }
}

/* One line of a group must hold: a choice among them all, easy where one of them is. */
static void score_groups(my_sig *sig)
{
  for (size_t i = 0, end; i < sig->line_count; i = end) {
    end = group_end(sig, i);
    bool easy = false;
    for (size_t k = i; k < end; k++)
      easy |= sig->lines[k].easy;
    for (size_t k = i; k < end; k++) {
      sig->lines[k].easy = easy;
      charge_choice(&sig->lines[k], (double)(end - i));
    }
  }
}

/* Of many soft lines some hold by chance. */
static void score_soft(my_sig *sig)
{
  size_t soft = 0;
  for (size_t i = 0; i < sig->line_count; i++)
    soft += sig->lines[i].soft;
  for (size_t i = 0; i < sig->line_count; i++)
    if (sig->lines[i].soft) charge_choice(&sig->lines[i], (double)soft);
}

static void score_moves(my_sig *sig)
{
  bool seen[LINE_CLOSES + 1] = {false};
  for (size_t i = 0; i < sig->line_count; i++) {
    line *l = &sig->lines[i];
    if (l->kind == LINE_CHECK || seen[l->kind]) continue;
    l->worth.bits = l->kind == LINE_VARY ? VARY_BITS : STABLE_BITS; /* and timing, closes */
    seen[l->kind] = true; /* once each, however the place is cut up */
  }
}

static bool same_view(const view *a, const view *b)
{
  if (a == NULL || a->kind != b->kind || a->tag != b->tag || a->index != b->index ||
      a->step_count != b->step_count)
    return false;
  for (size_t i = 0; i < a->step_count; i++)
    if (!same_bytes(a->path[i].key, b->path[i].key)) return false;
  return true;
}

/* Nobody knows where the value of a view stands, but lines that look at one value look at the same
 * bytes: the number of the first of them. */
static size_t first_of_view(const my_sig *sig, const view *v)
{
  size_t i = 0;
  while (i < sig->line_count && !same_view(sig->lines[i].at.in, v))
    i++;
  return i;
}

/* Where a line stands in a reply whose length nobody knows: what counts from the end is put far
 * behind. */
static evidence expected_evidence(const my_sig *sig, const line *l)
{
  enum { FAR = 1 << 20 };
  evidence e = {.line = l, .bits = l->worth.bits, .search_bits = l->worth.search_bits};
  if (l->kind != LINE_CHECK)
    return e; /* what moves, or does not, is another matter than its bytes */
  e.from = l->at.from_end ? FAR - l->at.offset : l->at.offset;
  if (l->at.in != NULL) e.from += FAR * (2 + first_of_view(sig, l->at.in));
  e.to = e.from + l->at.width;
  if (l->at.to_end && l->right_count > 0) {
    const rhs *r = &l->right[0];
    size_t len = r->kind == RHS_BYTES ? r->bytes.len : r->kind == RHS_PLACE ? r->place.width : 0;
    e.to = e.from + (r->kind == RHS_REGEX ? l->worth.prefix : len);
  }
  if (l->op == OP_HAS) e.to = e.from;
  e.search_from = e.to;
  e.search_to = e.from + FAR;
  return e;
}

static double total_bits(const evidence *e)
{
  return e->bits + e->search_bits;
}

/* A step that must be answered adds to what the first reply shows. */
static void add_step_budget(const my_sig *sig, unsigned number, double *fresh, double *identity)
{
  const my_sig *step = my_sig_step(sig, number);
  if (step == NULL || step->optional) return;
  *identity += step->info.budget.identity_bits;
  if (sig->info.transport == MY_UDP) *fresh += step->info.budget.fresh_bits;
}

/* The least that a match shows whose case is 'number', 0 where there are none. */
static my_budget branch_budget(const my_sig *sig, unsigned number)
{
  evidence list[MY_LINES_MAX];
  size_t count = 0;
  double fresh = sig->info.transport == MY_UDP ? 0 : TCP_FRESH_BITS;
  for (size_t i = 0, end; i < sig->line_count; i = end) {
    evidence weakest = expected_evidence(sig, &sig->lines[i]);
    double least_fresh = sig->lines[i].fresh_bits;
    end = group_end(sig, i);
    for (size_t k = i + 1; k < end; k++) {
      evidence other = expected_evidence(sig, &sig->lines[k]);
      if (total_bits(&other) < total_bits(&weakest)) weakest = other;
      least_fresh = fmin(least_fresh, sig->lines[k].fresh_bits);
    }
    if (sig->lines[i].soft || (sig->lines[i].branch != 0 && sig->lines[i].branch != number))
      continue;
    list[count++] = weakest;
    fresh += least_fresh;
  }
  double identity =
      evidence_sum(list, count, easy_limit(sig)) + (sig->info.has_control ? CONTROL_BITS : 0);
  add_step_budget(sig, number > 0 ? sig->branches[number - 1].step : sig->step, &fresh, &identity);
  bool once = sig->info.transport != MY_UDP || sig->info.fresh_exempt;
  double asked = once ? fresh : fresh * ASKED_AT_MOST;
  return (my_budget){fresh, identity, budget_is_enough(asked, identity, sig->info.fresh_exempt)};
}

static bool is_weaker(const my_budget *a, const my_budget *b)
{
  if (a->enough != b->enough) return !a->enough;
  return a->fresh_bits + a->identity_bits < b->fresh_bits + b->identity_bits;
}

/* That of the weakest case. */
static void set_budget(my_sig *sig)
{
  my_budget *out = &sig->info.budget;
  *out = branch_budget(sig, sig->branch_count > 0 ? 1 : 0);
  for (unsigned number = 2; number <= sig->branch_count; number++) {
    my_budget other = branch_budget(sig, number);
    if (is_weaker(&other, out)) *out = other;
  }
}

int sig_score(my_sig *sig, my_scratch *scratch)
{
  bool claimed[MY_PROBE_MAX] = {false};
  int rc = score_lines(sig, scratch);
  if (rc != MY_OK) return rc;
  count_structure_once(sig);
  score_groups(sig);
  score_soft(sig);
  score_moves(sig);
  claim_fresh(sig, false, claimed);
  claim_fresh(sig, true, claimed);
  set_budget(sig);
  return MY_OK;
}
