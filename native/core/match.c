/* match.c - hold one reply against every line of a signature. Allocates nothing. */
#include "sig.h"

#include <math.h>
#include <string.h>

/* ---- what the lines that held are worth ---- */

/* Of a line that held, be it by a public address that is not ours. */
static double identity_bits(const line *l, my_held h)
{
  enum { PUBLIC_ADDRESS_BITS = 16 }; /* DESIGN section 4 */
  return h == MY_HELD_PUBLIC ? fmin(PUBLIC_ADDRESS_BITS, l->worth.bits) : l->worth.bits;
}

/* What is found further on is found more easily. */
static double search_cost(size_t reach)
{
  return reach > 1u << SEARCH_NEAR_BITS ? log2((double)reach) - SEARCH_NEAR_BITS : 0;
}

static evidence line_evidence(const line *l, my_held held, const holding *h, const my_pair *pair)
{
  evidence e = {.line = l, .bits = identity_bits(l, held)};
  if (h->cover.len == 0) return e;
  e.from = (size_t)(h->cover.data - pair->reply.data);
  e.to = e.from + h->cover.len;
  if (l->worth.searches == 0 && l->worth.prefix == 0) return e;
  size_t compared = l->worth.prefix < h->cover.len ? l->worth.prefix : h->cover.len;
  e.search_from = e.from + compared;
  e.search_to = e.to;
  e.to = e.search_from;
  size_t reach = e.search_to - (size_t)(h->got.data - pair->reply.data);
  double found = l->worth.search_bits - l->worth.searches * search_cost(reach);
  e.search_bits = found > 0 ? found : 0;
  return e;
}

static double fresh_bits(const line *l, const holding *h)
{
  if (l->op != OP_HAS) return l->fresh_bits;
  size_t reach = (size_t)(h->cover.data - h->got.data) + h->cover.len;
  return fmax(0, l->fresh_bits - search_cost(reach));
}

/* ---- lines together ---- */

/* Of an `any` group one line must hold, and the best counts. Returns the index behind the group. */
static size_t hold_group(const my_sig *sig, size_t first, my_match *m)
{
  size_t end = first, best = first;
  for (; end < sig->line_count && sig->lines[end].any == sig->lines[first].any; end++) {
    int better = held_rank((my_held)m->held[end]) - held_rank((my_held)m->held[best]);
    const worth *a = &sig->lines[end].worth, *b = &sig->lines[best].worth;
    if (better > 0 || (better == 0 && a->bits + a->search_bits > b->bits + b->search_bits))
      best = end;
  }
  if (m->held[best] == MY_FAILED && m->first_failed < 0) m->first_failed = (int)first;
  for (size_t i = first; i < end; i++)
    if (i != best && m->held[i] != MY_FAILED) m->held[i] = MY_SKIPPED;
  return end;
}

/* The first case whose condition holds counts; the lines of the others say nothing. */
static void choose_branch(const my_sig *sig, my_match *m)
{
  m->branch = 0;
  for (unsigned b = 0; b < sig->branch_count && m->branch == 0; b++)
    if (held_rank((my_held)m->held[sig->branches[b].condition]) >= held_rank(MY_HELD_PRIVATE))
      m->branch = b + 1;
  if (sig->branch_count > 0 && m->branch == 0) {
    m->first_failed = (int)sig->branches[0].condition;
    return;
  }
  for (size_t i = 0; i < sig->line_count; i++)
    if (sig->lines[i].branch != 0 && sig->lines[i].branch != m->branch) m->held[i] = MY_SKIPPED;
}

unsigned step_behind(const my_sig *sig, const my_match *m)
{
  return m->branch > 0 ? sig->branches[m->branch - 1].step : sig->step;
}

static void hold_together(const my_sig *sig, my_match *m)
{
  for (size_t i = 0; i < sig->line_count;) {
    const line *l = &sig->lines[i];
    if (l->any != 0) {
      i = hold_group(sig, i, m);
      continue;
    }
    if (m->held[i] == MY_FAILED && !l->soft && m->first_failed < 0) m->first_failed = (int)i;
    i++;
  }
}

static void weigh(const my_sig *sig, const my_pair *pair, const holding *holdings, my_match *m)
{
  evidence list[MY_LINES_MAX];
  size_t count = 0;
  for (size_t i = 0; i < sig->line_count; i++) {
    const line *l = &sig->lines[i];
    my_held held = (my_held)m->held[i];
    m->line_bits[i] = 0;
    if (held != MY_HELD && held != MY_HELD_PUBLIC) continue;
    list[count++] = line_evidence(l, held, &holdings[i], pair);
    m->fresh_bits += held == MY_HELD ? fresh_bits(l, &holdings[i]) : 0;
  }
  m->identity_bits = evidence_sum(list, count, easy_limit(sig));
  for (size_t i = 0; i < count; i++)
    m->line_bits[list[i].line - sig->lines] = list[i].bits;
}

/* ---- the reply as a whole ---- */

static bool begins_with_request(const my_pair *pair)
{
  return pair->request.len > 0 && pair->reply.len >= pair->request.len &&
         memcmp(pair->request.data, pair->reply.data, pair->request.len) == 0;
}

static bool comes_from_peer(const my_sig *sig, const my_pair *pair)
{
  if (pair->from.family == 0) return true;
  if (!my_endpoint_same_address(&pair->from, &pair->peer)) return false;
  return sig->any_port || pair->from.port == pair->peer.port;
}

bool reply_is_due(const my_sig *sig, const my_pair *pair)
{
  bool more = sig->echoes && pair->reply.len > pair->request.len;
  return (more || !begins_with_request(pair)) && comes_from_peer(sig, pair);
}

static int match_pair(const my_sig *sig, const my_pair *pair, my_scratch *scratch, my_match *m)
{
  holding holdings[MY_LINES_MAX];
  m->first_failed = -1;
  m->fresh_bits = sig->info.transport == MY_UDP ? 0 : TCP_FRESH_BITS;
  m->line_count = sig->line_count;
  for (size_t i = 0; i < sig->line_count; i++) {
    hold_line(&sig->lines[i], pair, scratch, &holdings[i]);
    m->held[i] = (uint8_t)holdings[i].held;
    m->got[i] = holdings[i].got;
  }
  choose_branch(sig, m);
  hold_together(sig, m);
  weigh(sig, pair, holdings, m);
  m->matched = m->first_failed < 0 && reply_is_due(sig, pair);
  return MY_OK;
}

int my_sig_match(const my_sig *sig, const my_pair *pair, my_scratch *scratch, my_match *out)
{
  const my_sig *held = pair->step > 0 ? my_sig_step(sig, pair->step) : sig;
  if (held == NULL) {
    *out = (my_match){.first_failed = -1};
    return MY_OK;
  }
  return match_pair(held, pair, scratch, out);
}

/* ---- the control ---- */

/* Nearly all of the request, at the same places. Short requests prove nothing either way. */
static bool is_copy(const my_pair *pair)
{
  enum { SHORTEST = 8, CHANGED_AT_MOST = 2 };
  size_t changed = 0;
  if (pair->request.len < SHORTEST || pair->reply.len < pair->request.len) return false;
  for (size_t i = 0; i < pair->request.len; i++)
    changed += pair->request.data[i] != pair->reply.data[i];
  return changed <= CHANGED_AT_MOST;
}

bool my_sig_answers_control(const my_sig *sig, const my_pair *pair, my_scratch *scratch)
{
  my_match m;
  my_sig_match(sig, pair, scratch, &m);
  return m.first_failed < 0 || is_copy(pair);
}
