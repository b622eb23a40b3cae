/* program.c - does a signature hold? The answer of my_sig_match, without evidence: the operations
 * of program.h first, then the lines that need hold_line. Allocates nothing. */
#include "program.h"
#include "compare.h"

static inline uint64_t load(const uint8_t *at, uint8_t width)
{
  switch (width) {
  case 8:
    return as_word(at, 8);
  case 4:
    return as_word(at, 4);
  case 2:
    return as_word(at, 2);
  default:
    return *at;
  }
}

static inline const uint8_t *locate(my_span s, bool at_end, uint32_t at)
{
  return at_end ? s.data + s.len - at : s.data + at;
}

static inline uint64_t number(const op *o, const my_pair *pair)
{
  if (o->width == 0) return pair->reply.len & o->mask;
  uint64_t word = load(locate(pair->reply, o->at_end, o->at), o->width);
  return be64toh(htole64(word << (64 - 8 * o->width))) >> o->shift & o->mask;
}

static bool length_holds(const op *o, const my_pair *pair)
{
  uint64_t length = o->source == FROM_REQUEST ? pair->request.len : pair->reply.len;
  int64_t add = (int64_t)o->low;
  if (add < 0 && length < (uint64_t)-add) return o->compare == OP_NE; /* below zero */
  return ordered((op_kind)o->compare, number(o, pair), length + o->low);
}

static inline bool bytes_same(const op *o, const my_pair *pair)
{
  uint64_t word = load(locate(pair->reply, o->at_end, o->at), o->width), other = o->low;
  if (o->source != FROM_CONSTANT) {
    my_span there = o->source == FROM_REQUEST ? pair->request : pair->reply;
    other = load(locate(there, o->there_end, o->there), o->width);
  }
  return ((word ^ other) & o->mask) == 0;
}

static inline bool op_holds(const op *o, const my_pair *pair)
{
  uint64_t value;
  switch (o->code) {
  case CODE_SAME:
    return bytes_same(o, pair);
  case CODE_DIFFERS:
    return !bytes_same(o, pair);
  case CODE_LENGTH:
    return length_holds(o, pair);
  default:
    value = number(o, pair);
    return (value >= o->low && value <= o->high) == (o->code == CODE_WITHIN);
  }
}

static bool ops_hold(const program *p, const my_pair *pair)
{
  if (pair->reply.len < p->least || pair->reply.len > p->most ||
      pair->request.len < p->least_request)
    return false;
  for (const op *o = p->ops, *end = o + p->op_count; o < end; o++) {
    if (op_holds(o, pair))
      o += o->others;
    else if (o->others == 0)
      return false;
  }
  return true;
}

/* Of an `any` group one line must hold. Leaves *at at its last line. */
static bool group_holds(const my_sig *sig, const program *p, size_t *at, const my_pair *pair,
                        my_scratch *scratch)
{
  uint16_t any = sig->lines[p->rest[*at]].any;
  bool held = false;
  for (size_t i = *at; i < p->rest_count && sig->lines[p->rest[i]].any == any; *at = i++) {
    holding h;
    if (held) continue;
    hold_line(&sig->lines[p->rest[i]], pair, scratch, &h);
    held = h.held != MY_FAILED;
  }
  return held;
}

static bool rest_holds(const my_sig *sig, const program *p, const my_pair *pair,
                       my_scratch *scratch)
{
  for (size_t i = 0; i < p->rest_count; i++) {
    const line *l = &sig->lines[p->rest[i]];
    holding h;
    if (l->any != 0) {
      if (!group_holds(sig, p, &i, pair, scratch)) return false;
      continue;
    }
    hold_line(l, pair, scratch, &h);
    if (h.held == MY_FAILED) return false;
  }
  return true;
}

/* Skipped is not enough to choose a case. */
static bool condition_holds(const my_sig *sig, const program *p, const my_pair *pair,
                            my_scratch *scratch)
{
  holding h;
  if (!ops_hold(p, pair)) return false;
  if (p->rest_count == 0) return true;
  hold_line(&sig->lines[p->rest[0]], pair, scratch, &h);
  return held_rank(h.held) >= held_rank(MY_HELD_PRIVATE);
}

static bool cases_hold(const my_sig *sig, const my_pair *pair, my_scratch *scratch)
{
  for (size_t b = 0; b < sig->branch_count; b++) {
    const struct case_program *c = &sig->programs->cases[b];
    if (condition_holds(sig, &c->condition, pair, scratch))
      return ops_hold(&c->lines, pair) && rest_holds(sig, &c->lines, pair, scratch);
  }
  return sig->branch_count == 0;
}

bool my_sig_holds(const my_sig *sig, const my_pair *pair, my_scratch *scratch)
{
  if (pair->step > 0) sig = my_sig_step(sig, pair->step);
  return sig != NULL && ops_hold(&sig->programs->always, pair) && reply_is_due(sig, pair) &&
         rest_holds(sig, &sig->programs->always, pair, scratch) && cases_hold(sig, pair, scratch);
}
