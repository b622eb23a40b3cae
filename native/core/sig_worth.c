/* sig_worth.c - what a line is worth as evidence, in bits, from what it asks. The figures are those
 * of DESIGN section 4, measured over real servers: an echo proves that a reply is fresh and hardly
 * who sent it, a byte that a copier of our header would get right too is worth little.
 * signatures/README.md says it for authors. */
#include "sig_score.h"

#include <math.h>
#include <string.h>

/* ---- bytes and characters ---- */

/* n bytes that came back: 1.3 bits for two at the start, about 5 for sixteen further on. */
static double echo_bits(size_t n, bool at_start, bool moved)
{
  double bits = (at_start ? 1.3 : 2.2) + 0.2 * ((double)n - 2) + (moved ? 1.5 : 0);
  return bits < 6.5 ? bits : 6.5;
}

static double byte_bits(uint8_t c)
{
  if (c == 0) return 2;
  if (c == 1) return 5;
  if (c == 0xff) return 4;
  return 7;
}

/* Protocols share digits, blanks and line ends; capitals are rarer than small letters. */
double char_bits(uint8_t c)
{
  if (c != 0 && strchr(" \t\r\n-", c) != NULL) return 1;
  if (c >= '0' && c <= '9') return 2;
  if (c >= 'A' && c <= 'Z') return 4;
  return c > 32 && c < 127 ? 3.5 : byte_bits(c);
}

static bool is_text(my_span s)
{
  for (size_t i = 0; i < s.len; i++)
    if ((s.data[i] < 32 || s.data[i] > 126) &&
        (s.data[i] == 0 || strchr("\t\r\n", s.data[i]) == NULL))
      return false;
  return true;
}

/* A byte that only repeats the one before it, as in a field of zeros, is worth an eighth. */
static double constant_bits(my_span value)
{
  double bits = 0;
  bool text = is_text(value);
  for (size_t i = 0; i < value.len; i++) {
    bool repeats = !text && i > 0 && value.data[i] == value.data[i - 1];
    bits += text ? char_bits(value.data[i]) : byte_bits(value.data[i]) * (repeats ? 0.125 : 1);
  }
  return bits;
}

static double fixed_bits(my_span mask)
{
  int fixed = 0;
  for (size_t i = 0; i < mask.len; i++)
    fixed += __builtin_popcount(mask.data[i]);
  return 0.9 * fixed;
}

/* ---- what each kind of right side is worth ---- */

/* How many of all values a comparison lets pass, as bits. */
static double range_bits(const line *l, uint64_t low, uint64_t high)
{
  double all = pow(2, 8.0 * l->at.width), pass = all;
  if (l->op == OP_EQ) pass = (double)high - (double)low + 1;
  if (l->op == OP_LT) pass = (double)low;
  if (l->op == OP_LE) pass = (double)low + 1;
  if (l->op == OP_GT) pass = all - (double)low - 1;
  if (l->op == OP_GE) pass = all - (double)low;
  double bits = pass < 1 ? 0 : 0.9 * log2(all / pass);
  return l->op != OP_EQ && bits > 4 ? 4 : bits; /* small numbers are common everywhere */
}

/* One length is worth 4 bits, a bound half a bit where it excludes anything. */
static double length_bits(const line *l, const rhs *r)
{
  if (l->op == OP_EQ) return fmax(0, 4 - log2((double)r->hi - (double)r->lo + 1));
  if (l->op == OP_GE) return r->lo > 0 ? 0.5 : 0;
  return l->op == OP_GT || r->lo < UINT16_MAX ? 0.5 : 0;
}

static double number_bits(const line *l, const rhs *r)
{
  return l->at.length || l->at.sport ? length_bits(l, r) : range_bits(l, r->lo, r->hi);
}

static double bytes_bits(const line *l, my_span value)
{
  uint64_t number = 0;
  if (l->op == OP_EQ || l->op >= OP_STARTS) return constant_bits(value);
  for (size_t i = 0; i < value.len; i++)
    number = number << 8 | value.data[i];
  return range_bits(l, number, number);
}

static double relation_bits(const line *l, const rhs *r)
{
  bool number = l->at.length || l->at.sport;
  if (l->op != OP_EQ && l->op < OP_STARTS) return 0.5;
  if (number) return r->place.length && r->place.of == OF_REQUEST && r->add == 0 ? 1.5 : 3;
  if (r->place.length) return l->at.width > 1 ? 12 : 6;
  if (r->place.of == OF_REPLY) return 6;
  bool moved =
      l->at.in != NULL || l->at.from_end || l->op == OP_HAS || l->at.offset != r->place.offset;
  return echo_bits(r->place.width, l->at.offset == 0 && !moved, moved) + (r->fn_count > 0 ? 2 : 0);
}

static double port_bits(const line *l, const rhs *r)
{
  if (l->op != OP_EQ) return 0.5;
  if (l->at.sport) return r->mine ? 4 : 0; /* replies come from the port that was asked */
  return r->mine ? 16 : 4;
}

/* That there is such a value: a name stands for its letters, the rest for the structure before it.
 */
static double view_bits(const view *v)
{
  enum { NAME_BITS_MAX = 8 };
  double bits = 0;
  if (v->kind == VIEW_WORD) return 0;
  if (v->kind == VIEW_TLV) return 5;
  for (size_t i = 0; i < v->step_count; i++)
    bits += v->kind == VIEW_BER || v->path[i].is_index ? 2 : 2.0 * (double)v->path[i].key.len;
  return bits < NAME_BITS_MAX ? bits : NAME_BITS_MAX;
}

static double right_bits(const line *l, const rhs *r)
{
  if (l->op == OP_NE) return 0.1;
  switch (r->kind) {
  case RHS_BYTES:
    return bytes_bits(l, r->bytes);
  case RHS_BITS:
    return fixed_bits(r->mask);
  case RHS_NUMBER:
    return number_bits(l, r);
  case RHS_PLACE:
    return relation_bits(l, r);
  case RHS_ADDRESS:
    return r->mine ? 32 : 12;
  case RHS_PORT:
    return port_bits(l, r);
  case RHS_ADDRESS_TEXT:
    return r->mine ? 24 : 12;
  case RHS_PORT_TEXT:
    return r->mine ? 12 : 4;
  case RHS_TIME_NTP:
  case RHS_TIME_UNIX:
    return fmax(0, 32 - log2(2.0 * (double)r->hi));
  case RHS_DIGITS:
    return 2;
  case RHS_REGEX:
    return 0; /* has a worth of its own */
  }
  return 0;
}

/* What a copy of the probe holds as well is worth what an echo is. */
static double copied_bits(const line *l, const rhs *r, double bits)
{
  if (r->kind == RHS_BYTES && l->op == OP_EQ)
    return fmin(bits, echo_bits(r->bytes.len, l->at.offset == 0, false));
  return r->kind == RHS_BITS || r->kind == RHS_NUMBER ? 0.4 * bits : bits;
}

static worth right_worth(const line *l, const rhs *r, bool copied)
{
  if (r->kind == RHS_REGEX) return r->regex_worth;
  double bits = right_bits(l, r);
  if (l->mask.len > 0) bits = fmin(bits, fixed_bits(l->mask)); /* only bits under it speak */
  if (copied) bits = copied_bits(l, r, bits);
  if (l->op != OP_HAS) return (worth){.bits = bits};
  return (worth){.search_bits = fmax(0, bits - SEARCH_NEAR_BITS), .searches = 1};
}

void charge_choice(line *l, double choices)
{
  double rest = fmax(0, log2(choices) - l->worth.search_bits);
  l->worth.search_bits = fmax(0, l->worth.search_bits - log2(choices));
  l->worth.bits = fmax(0, l->worth.bits - rest);
}

/* A line that offers a choice is worth what its weakest choice is, less the choice. */
void score_line(line *l, bool copied)
{
  if (l->kind != LINE_CHECK) return;
  for (size_t i = 0; i < l->right_count; i++) {
    worth w = right_worth(l, &l->right[i], copied);
    if (i == 0 || w.bits + w.search_bits < l->worth.bits + l->worth.search_bits) l->worth = w;
  }
  charge_choice(l, (double)l->right_count);
  if (l->at.in == NULL || l->op == OP_NE) return;
  l->structure_bits = view_bits(l->at.in);
  l->worth.bits += l->structure_bits;
}
