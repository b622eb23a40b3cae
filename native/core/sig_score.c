/* sig_score.c - what each line is worth as evidence, in bits, from what it asks and what the probe
 * says. The figures are those of DESIGN section 4, measured over real servers: an echo proves that
 * a reply is fresh and hardly who sent it, a byte that a copier of our header would get right too
 * is worth little. */
#include "sig.h"

#include <math.h>

enum { CERTAIN_BITS = 40, CERTAIN_IDENTITY_BITS = 16, CERTAIN_FRESH_BITS = 16, ASKED_AT_MOST = 4 };

bool budget_is_enough(double fresh_bits, double identity_bits, bool fresh_exempt)
{
  if (identity_bits < CERTAIN_IDENTITY_BITS) return false;
  if (fresh_exempt) return identity_bits + fresh_bits >= CERTAIN_IDENTITY_BITS + 8;
  return fresh_bits >= CERTAIN_FRESH_BITS && fresh_bits + identity_bits >= CERTAIN_BITS;
}

/* n bytes that came back: 1.3 bits for two at the start, about 5 for sixteen further on. */
static double echo_bits(size_t n, bool at_start, bool moved)
{
  double bits = (at_start ? 1.3 : 2.2) + 0.2 * ((double)n - 2) + (moved ? 1.5 : 0);
  return bits < 1 ? 1 : bits > 6.5 ? 6.5 : bits;
}

static double byte_bits(uint8_t c)
{
  if (c == 0) return 2;
  if (c == 1) return 5;
  if (c == 0xff) return 4;
  return 7;
}

/* A character of a text: protocols share digits, blanks and line ends. */
static double char_bits(uint8_t c)
{
  if (c == ' ' || c == '\r' || c == '\n' || c == '-') return 1;
  if (c >= '0' && c <= '9') return 2;
  return c > 32 && c < 127 ? 3.5 : byte_bits(c);
}

static bool is_text(my_span s)
{
  size_t letters = 0;
  for (size_t i = 0; i < s.len; i++) {
    if ((s.data[i] < 32 || s.data[i] > 126) && s.data[i] != '\r' && s.data[i] != '\n' &&
        s.data[i] != '\t')
      return false;
    letters += s.data[i] > 32;
  }
  return letters > 0;
}

/* The probe's fixed bytes at the same place as 'at', or false: outside, from the end, or drawn
 * anew. */
static bool same_in_probe(const my_sig *sig, const place *at, const uint8_t *probe,
                          const uint8_t *entropy, size_t probe_len, my_span *out)
{
  if (sig->info.banner || at->from_end || at->to_end || at->length || at->sport ||
      (size_t)at->offset + at->width > probe_len)
    return false;
  for (size_t i = 0; i < at->width; i++)
    if (entropy[at->offset + i] != 0) return false;
  *out = (my_span){probe + at->offset, at->width};
  return true;
}

static double constant_bits(const my_sig *sig, const line *l, my_span value)
{
  my_span probe;
  double bits = 0;
  bool text = is_text(value),
       copied = same_in_probe(sig, &l->at, sig->probe, sig->entropy, sig->info.probe_len, &probe) &&
                probe.len == value.len;
  for (size_t i = 0; i < value.len; i++) {
    copied = copied && probe.data[i] == value.data[i];
    bits += text ? char_bits(value.data[i]) : byte_bits(value.data[i]);
  }
  if (copied) return echo_bits(value.len, l->at.offset == 0, false);
  if (l->mask.len > 0) { /* only the bits under the mask speak */
    int fixed = 0;
    for (size_t i = 0; i < l->mask.len; i++)
      fixed += __builtin_popcount(l->mask.data[i]);
    bits = bits < 0.9 * fixed ? bits : 0.9 * fixed;
  }
  return l->op == OP_HAS ? bits * 0.8 : bits;
}

static double pattern_bits(const my_sig *sig, const line *l, const rhs *r)
{
  my_span probe;
  int fixed = 0;
  bool held_by_copy =
      same_in_probe(sig, &l->at, sig->probe, sig->entropy, sig->info.probe_len, &probe);
  for (size_t i = 0; i < r->mask.len; i++) {
    fixed += __builtin_popcount(r->mask.data[i]);
    held_by_copy = held_by_copy && (probe.data[i] & r->mask.data[i]) == r->bytes.data[i];
  }
  return 0.9 * fixed * (held_by_copy ? 0.4 : 1);
}

/* How many of all values a comparison lets pass, as bits. */
static double range_bits(const line *l, const rhs *r)
{
  if (l->at.length || l->at.sport) return l->op == OP_EQ ? (r->lo == r->hi ? 4 : 2) : 0.5;
  double all = pow(2, 8.0 * l->at.width), low = (double)r->lo, high = (double)r->hi, pass = all;
  switch (l->op) {
  case OP_EQ:
    pass = high - low + 1;
    break;
  case OP_LT:
    pass = low;
    break;
  case OP_LE:
    pass = high + 1;
    break;
  case OP_GT:
    pass = all - high - 1;
    break;
  case OP_GE:
    pass = all - low;
    break;
  default:
    return 0.1;
  }
  double bits = pass < 1 ? 0 : 0.9 * log2(all / pass);
  return l->op != OP_EQ && bits > 4 ? 4 : bits; /* small numbers are common everywhere */
}

static double relation_bits(const line *l, const rhs *r)
{
  if (r->place.length)
    return l->at.length             ? (r->place.view == VIEW_REQUEST && r->add == 0 ? 1.5 : 3)
           : 8.0 * l->at.width > 12 ? 12
                                    : 6;
  if (r->place.view == VIEW_REPLY)
    return l->op == OP_EQ ? (8.0 * l->at.width < 6 ? 8.0 * l->at.width : 6) : 1;
  if (l->op != OP_EQ && l->op != OP_STARTS && l->op != OP_HAS) return 0.5;
  bool moved = l->at.from_end || l->at.to_end || l->at.offset != r->place.offset;
  return echo_bits(r->place.width, l->at.offset == 0 && !moved, moved) + (r->fn_count > 0 ? 2 : 0);
}

static double right_bits(const my_sig *sig, const line *l, const rhs *r)
{
  if (l->op == OP_NE) return 0.1;
  switch (r->kind) {
  case RHS_BYTES:
    return constant_bits(sig, l, r->bytes);
  case RHS_BITS:
    return pattern_bits(sig, l, r);
  case RHS_NUMBER:
    return range_bits(l, r);
  case RHS_PLACE:
    return relation_bits(l, r);
  case RHS_ADDRESS:
    return r->mine ? 32 : 12;
  case RHS_PORT:
    return r->mine ? 16 : 4;
  case RHS_TIME_NTP:
  case RHS_TIME_UNIX:
    return fmax(0, 32 - log2(2.0 * (double)r->hi));
  case RHS_DIGITS:
    return 2;
  case RHS_REGEX:
    return 2.5 * r->regex_literals;
  }
  return 0;
}

/* Bits of nonce that a line sees come back. */
static double right_fresh(const my_sig *sig, const rhs *r)
{
  double sixteenths = 0;
  if (r->kind != RHS_PLACE || r->place.view != VIEW_REQUEST || r->place.length ||
      r->place.from_end || r->place.to_end)
    return 0;
  for (size_t i = 0; i < r->place.width; i++)
    sixteenths += sig->entropy[r->place.offset + i];
  return sixteenths / 16;
}

/* A line that offers a choice is worth what its weakest choice is, less the choice. */
static void score_line(const my_sig *sig, line *l)
{
  if (l->kind != LINE_CHECK) {
    l->identity_bits = l->kind == LINE_VARY ? VARY_BITS : STABLE_BITS;
    return;
  }
  l->identity_bits = l->fresh_bits = INFINITY;
  for (size_t i = 0; i < l->right_count; i++) {
    l->identity_bits = fmin(l->identity_bits, right_bits(sig, l, &l->right[i]));
    l->fresh_bits = fmin(l->fresh_bits, l->op == OP_NE ? 0 : right_fresh(sig, &l->right[i]));
  }
  l->identity_bits = fmax(0, l->identity_bits - log2((double)l->right_count));
}

void sig_score(my_sig *sig)
{
  double identity = sig->info.has_control ? CONTROL_BITS : 0;
  double fresh = sig->info.transport == MY_UDP ? 0 : TCP_FRESH_BITS;
  for (size_t i = 0; i < sig->line_count; i++)
    score_line(sig, &sig->lines[i]);
  for (size_t i = 0; i < sig->line_count;) {
    double least = sig->lines[i].identity_bits, least_fresh = sig->lines[i].fresh_bits;
    size_t end = i + 1;
    for (; sig->lines[i].any != 0 && end < sig->line_count &&
           sig->lines[end].any == sig->lines[i].any;
         end++) {
      least = fmin(least, sig->lines[end].identity_bits);
      least_fresh = fmin(least_fresh, sig->lines[end].fresh_bits);
    }
    if (!sig->lines[i].soft) {
      identity += least;
      fresh += least_fresh;
    }
    i = end;
  }
  sig->info.budget =
      (my_budget){fresh, identity,
                  budget_is_enough(sig->info.transport == MY_UDP ? fresh * ASKED_AT_MOST : fresh,
                                   identity, sig->info.fresh_exempt)};
}
