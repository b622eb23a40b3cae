/* sig_program.c - translate the lines of a signature into the operations of program.h, once, when
 * it is read. What is not simple is left to hold_line. */
#include "compare.h"
#include "program.h"

#include <stdlib.h>
#include <string.h>

enum {
  CONSTANT_END = 2048, /* constants up to there are joined into words */
  OPS_MAX = 1024,
  LINE_OPS_MAX = OPS_MAX - CONSTANT_END / 8 - 1
};

typedef struct compiler {
  const my_sig *sig;
  program *out;
  op ops[OPS_MAX];
  size_t op_count;
  uint8_t rest[MY_LINES_MAX];
  size_t rest_count;
  /* Constants at fixed offsets: bits that are asked for, and how they must be. */
  uint8_t mask[CONSTANT_END], value[CONSTANT_END];
  size_t constant_end;
  bool never;
} compiler;

/* ---- what is simple ---- */

static bool is_plain(const place *p)
{
  return p->in == NULL && !p->length && !p->sport && !p->to_end;
}

/* `@5 starts X`: all from an offset on, of which the first bytes count. */
static bool is_open(const line *l)
{
  return l->op == OP_STARTS && l->at.to_end && l->at.in == NULL && !l->at.from_end &&
         l->mask.len == 0;
}

static bool is_length(const place *p)
{
  return p->length && p->in == NULL;
}

/* A number of the reply: at most 8 bytes, or its length. */
static bool is_number(const line *l)
{
  return (is_length(&l->at) && l->at.of == OF_REPLY) || (is_plain(&l->at) && l->at.width <= 8);
}

static bool is_simple_bytes(const line *l, const rhs *r)
{
  size_t width = l->at.width;
  if (r->fn_count > 0) return false;
  if (is_open(l)) return true;
  if (!is_plain(&l->at) || r->bytes.len != width) return false;
  if (l->mask.len != 0 && l->mask.len != width) return false;
  return l->op == OP_EQ || l->op == OP_STARTS || (l->op <= OP_GE && width <= 8);
}

static bool is_simple_bits(const line *l, const rhs *r)
{
  if (!is_plain(&l->at) || l->op > OP_NE || l->at.width > 8 || r->bytes.len != l->at.width ||
      r->mask.len != l->at.width)
    return false;
  for (size_t i = 0; i < r->bytes.len; i++)
    if (r->bytes.data[i] & ~r->mask.data[i]) return false; /* holds never */
  return true;
}

static bool is_simple_place(const line *l, const rhs *r)
{
  if (r->place.in != NULL || r->place.sport || l->at.sport) return false;
  if (r->place.length) return is_number(l) && l->op <= OP_GE;
  if (!is_plain(&r->place) || r->fn_count > 0 || l->at.length) return false;
  if (is_open(l)) return true;
  if (!is_plain(&l->at) || r->place.width != l->at.width) return false;
  if (l->mask.len != 0 && l->mask.len != l->at.width) return false;
  return l->op == OP_EQ || l->op == OP_STARTS || (l->op == OP_NE && l->at.width <= 8);
}

static bool is_simple(const line *l)
{
  if (l->kind == LINE_VARY || l->kind == LINE_STABLE) return is_plain(&l->at);
  if (l->kind != LINE_CHECK || l->soft || l->any != 0 || l->right_count == 0) return false;
  if (l->at.of != OF_REPLY) return false;
  for (size_t i = 0; i < l->right_count; i++) {
    const rhs *r = &l->right[i];
    bool choice = l->right_count > 1;
    switch (r->kind) {
    case RHS_BYTES:
      if (!is_simple_bytes(l, r) || (choice && (!is_plain(&l->at) || l->at.width > 8)))
        return false;
      break;
    case RHS_NUMBER:
      if (!is_number(l) || l->op > OP_GE) return false;
      break;
    case RHS_BITS:
      if (!is_simple_bits(l, r)) return false;
      break;
    case RHS_PLACE:
      if (choice || !is_simple_place(l, r)) return false;
      break;
    default:
      return false;
    }
  }
  return true;
}

/* ---- lengths that are asked once ---- */

static void need(size_t *least, size_t n)
{
  if (n > *least) *least = n;
}

static void need_place(program *p, const place *at, size_t width)
{
  need(at->of == OF_REQUEST ? &p->least_request : &p->least,
       at->from_end ? at->offset : (size_t)at->offset + width);
  if (!at->from_end || width <= at->offset) return;
  p->least = SIZE_MAX; /* reaches past the end: holds never */
  p->most = 0;
}

/* The bytes that an open place compares, those of any other. */
static size_t width_of(const line *l)
{
  const rhs *r = l->right;
  if (!l->at.to_end) return l->at.width;
  return r->kind == RHS_BYTES ? r->bytes.len : r->place.width;
}

static void need_line(program *p, const line *l)
{
  if (!l->at.length) need_place(p, &l->at, width_of(l));
  for (size_t i = 0; i < l->right_count; i++)
    if (l->right[i].kind == RHS_PLACE && !l->right[i].place.length)
      need_place(p, &l->right[i].place, l->right[i].place.width);
}

/* The numbers that a comparison with 'value' lets through. false: none. */
static bool bounds(op_kind compare, uint64_t value, uint64_t *low, uint64_t *high)
{
  *low = compare == OP_GT || compare == OP_GE || compare == OP_EQ || compare == OP_NE ? value : 0;
  *high = compare == OP_GT || compare == OP_GE ? UINT64_MAX : value;
  if (compare == OP_GT && (*low)++ == UINT64_MAX) return false;
  if (compare == OP_LT && (*high)-- == 0) return false;
  return true;
}

/* ---- operations ---- */

static void emit(compiler *c, op o)
{
  if (c->op_count < OPS_MAX) c->ops[c->op_count++] = o;
}

/* A load of 1, 2, 4 or 8 bytes around n of them, so many of them before. false: it would reach
 * outside of what is known to be there. */
static bool find_window(size_t n, size_t before, size_t behind, uint8_t *width, size_t *early)
{
  for (size_t w = 1; w <= 8; w *= 2) {
    if (w < n) continue;
    *early = before < w - n ? before : w - n;
    if (w - n - *early > behind) continue;
    *width = (uint8_t)w;
    return true;
  }
  return false;
}

typedef struct room {
  size_t before, behind;
} room;

/* What surely lies before and behind n bytes of a place. */
static room room_around(const program *p, const place *at, size_t offset, size_t n)
{
  size_t least = at->of == OF_REQUEST ? p->least_request : p->least;
  return at->from_end ? (room){least - offset, offset - n} : (room){offset, least - offset - n};
}

/* n bytes (1 to 8), 'skip' bytes behind the start of the line's place, beside a constant or the
 * same bytes of another place. */
static bool emit_some(compiler *c, const line *l, const rhs *r, size_t skip, size_t n, op o)
{
  const place *at = &l->at, *there = r->kind == RHS_PLACE ? &r->place : NULL;
  size_t offset = at->from_end ? at->offset - skip : at->offset + skip, early;
  room around = room_around(c->out, at, offset, n);
  o.at_end = at->from_end;
  if (there != NULL) {
    size_t other = there->from_end ? there->offset - skip : there->offset + skip;
    room more = room_around(c->out, there, other, n);
    if (more.before < around.before) around.before = more.before;
    if (more.behind < around.behind) around.behind = more.behind;
    o.source = there->of == OF_REQUEST ? FROM_REQUEST : FROM_REPLY;
    o.there_end = there->from_end;
    o.there = (uint32_t)other;
  }
  if (!find_window(n, around.before, around.behind, &o.width, &early)) return false;
  o.at = (uint32_t)(at->from_end ? offset + early : offset - early);
  o.there = (uint32_t)(o.there_end ? o.there + early : o.there - (there != NULL ? early : 0));
  o.shift = (uint8_t)(8 * (o.width - n - early));
  if (o.code <= CODE_DIFFERS) {
    o.mask <<= 8 * early;
    o.low <<= 8 * early;
  }
  emit(c, o);
  return true;
}

static my_span bytes_of(const rhs *r)
{
  return r->kind == RHS_PLACE ? (my_span){NULL, 0} : r->bytes;
}

/* Bytes beside bytes, in pieces of at most 8; an overlap does no harm. */
static bool emit_pieces(compiler *c, const line *l, const rhs *r, my_span mask, op_code code)
{
  size_t width = width_of(l), piece = width < 8 ? width : 8;
  my_span bytes = bytes_of(r);
  for (size_t skip = 0; skip < width;) {
    uint8_t all[8] = {255, 255, 255, 255, 255, 255, 255, 255};
    op o = {.code = (uint8_t)code};
    o.mask = as_word(mask.len > 0 ? mask.data + skip : all, piece);
    if (bytes.len > 0) o.low = as_word(bytes.data + skip, piece);
    if (!emit_some(c, l, r, skip, piece, o)) return false;
    if (skip + piece >= width) break;
    skip = skip + 2 * piece > width ? width - piece : skip + piece;
  }
  return true;
}

/* Three bytes where a load of four reaches outside: a load of two, twice. */
static bool emit_bytes(compiler *c, const line *l, const rhs *r, my_span mask)
{
  size_t begun = c->op_count, width = width_of(l);
  if (width == 0) return true;
  if (emit_pieces(c, l, r, mask, CODE_SAME)) return true;
  c->op_count = begun;
  size_t half = width > 4 ? 4 : 2;
  for (size_t skip = 0; skip < width; skip = width - half) {
    uint8_t all[8] = {255, 255, 255, 255, 255, 255, 255, 255};
    op o = {.code = CODE_SAME, .mask = as_word(mask.len > 0 ? mask.data + skip : all, half)};
    if (bytes_of(r).len > 0) o.low = as_word(bytes_of(r).data + skip, half);
    if (!emit_some(c, l, r, skip, half, o)) return false;
    if (skip == width - half) break;
  }
  return true;
}

/* ---- constants at fixed offsets, joined ---- */

static void add_constant(compiler *c, size_t offset, my_span bytes, my_span mask)
{
  for (size_t i = 0; i < bytes.len; i++) {
    uint8_t m = mask.len > 0 ? mask.data[i] : 255, v = bytes.data[i] & m;
    uint8_t *there = &c->mask[offset + i], *value = &c->value[offset + i];
    if ((*there & m & (*value ^ v)) != 0) c->never = true; /* two lines that contradict */
    *there |= m;
    *value |= v;
  }
  if (offset + bytes.len > c->constant_end) c->constant_end = offset + bytes.len;
}

static void emit_constants(compiler *c)
{
  size_t least = c->out->least;
  for (size_t i = 0; i < c->constant_end; i++) {
    if (c->mask[i] == 0) continue;
    size_t left = c->constant_end - i, w = left > 4 ? 8 : left > 2 ? 4 : left;
    while (w > least)
      w /= 2;
    size_t at = i + w <= least ? i : least - w, end = at + w;
    uint8_t mask[8] = {0}, value[8] = {0};
    for (size_t k = at; k < end && k < c->constant_end; k++) {
      mask[k - at] = c->mask[k];
      value[k - at] = c->value[k];
    }
    emit(c, (op){.code = CODE_SAME,
                 .width = (uint8_t)w,
                 .at = (uint32_t)at,
                 .mask = as_word(mask, w),
                 .low = as_word(value, w)});
    i = end - 1;
  }
}

/* ---- lines ---- */

static bool emit_number(compiler *c, const line *l, const rhs *r, uint64_t low, uint64_t high,
                        uint64_t mask)
{
  op o = {
      .code = l->op == OP_NE ? CODE_OUTSIDE : CODE_WITHIN, .mask = mask, .low = low, .high = high};
  if (!l->at.length) return emit_some(c, l, r, 0, l->at.width, o);
  emit(c, o);
  return true;
}

static uint64_t number_mask(const line *l)
{
  size_t n = l->at.length ? 8 : l->at.width;
  uint64_t all = n == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * n) - 1;
  return l->mask.len > 0 ? all & to_number(l->mask) : all;
}

static void never(compiler *c)
{
  emit(c, (op){.code = CODE_WITHIN, .mask = 0, .low = 1, .high = 1});
}

static bool compile_range(compiler *c, const line *l, const rhs *r)
{
  uint64_t low = r->lo, high = r->hi;
  if (l->op > OP_NE && !bounds(l->op, r->lo, &low, &high)) {
    never(c);
    return true;
  }
  return emit_number(c, l, r, low, high, number_mask(l));
}

static bool compile_ordered(compiler *c, const line *l, const rhs *r)
{
  uint64_t low, high, mask = number_mask(l);
  if (!bounds(l->op, to_number(r->bytes) & mask, &low, &high)) {
    never(c);
    return true;
  }
  return emit_number(c, l, r, low, high, mask);
}

static bool compile_bytes(compiler *c, const line *l, const rhs *r)
{
  bool choice = l->right_count > 1;
  if (l->op == OP_NE) return emit_pieces(c, l, r, l->mask, CODE_DIFFERS);
  if (l->op > OP_NE && l->op < OP_STARTS) return compile_ordered(c, l, r);
  if (choice) return emit_pieces(c, l, r, l->mask, CODE_SAME);
  if (l->at.from_end || (size_t)l->at.offset + r->bytes.len > CONSTANT_END)
    return emit_bytes(c, l, r, l->mask);
  add_constant(c, l->at.offset, r->bytes, l->mask);
  return true;
}

static bool compile_bits(compiler *c, const line *l, const rhs *r)
{
  bool choice = l->right_count > 1, far = (size_t)l->at.offset + l->at.width > CONSTANT_END;
  if (choice || l->op == OP_NE || l->at.from_end || far)
    return emit_pieces(c, l, r, r->mask, l->op == OP_NE ? CODE_DIFFERS : CODE_SAME);
  add_constant(c, l->at.offset, r->bytes, r->mask);
  return true;
}

static bool compile_place(compiler *c, const line *l, const rhs *r)
{
  if (!r->place.length)
    return l->op == OP_NE ? emit_pieces(c, l, r, l->mask, CODE_DIFFERS)
                          : emit_bytes(c, l, r, l->mask);
  op o = {.code = CODE_LENGTH,
          .source = r->place.of == OF_REQUEST ? FROM_REQUEST : FROM_REPLY,
          .compare = (uint8_t)l->op,
          .mask = number_mask(l),
          .low = (uint64_t)r->add};
  if (l->at.length) {
    emit(c, o);
    return true;
  }
  rhs none = {.kind = RHS_NUMBER};
  return emit_some(c, l, &none, 0, l->at.width, o);
}

static bool compile_right(compiler *c, const line *l, const rhs *r)
{
  switch (r->kind) {
  case RHS_BYTES:
    return compile_bytes(c, l, r);
  case RHS_NUMBER:
    return compile_range(c, l, r);
  case RHS_BITS:
    return compile_bits(c, l, r);
  default:
    return compile_place(c, l, r);
  }
}

/* Of a choice each part is one operation; `!= A or B` differs from each. */
static bool compile_line(compiler *c, const line *l)
{
  size_t begun = c->op_count;
  for (size_t i = 0; i < l->right_count; i++) {
    if (compile_right(c, l, &l->right[i]) && c->op_count <= LINE_OPS_MAX) continue;
    c->op_count = begun;
    return false;
  }
  for (size_t i = begun; l->right_count > 1 && l->op != OP_NE && i < c->op_count; i++)
    c->ops[i].others = (uint8_t)(c->op_count - 1 - i);
  return true;
}

/* `len = 11` alone is said by the bounds. */
static bool is_bound(const line *l)
{
  const rhs *r = l->right;
  return l->at.length && l->mask.len == 0 && l->right_count == 1 && r->kind == RHS_NUMBER &&
         l->op != OP_NE;
}

static void set_bounds(program *p, const line *l)
{
  uint64_t low = l->right->lo, high = l->right->hi;
  if (l->op > OP_NE && !bounds(l->op, l->right->lo, &low, &high)) low = SIZE_MAX, high = 0;
  need(&p->least, low);
  if (high < p->most) p->most = high;
}

/* ---- programs ---- */

typedef bool line_filter(const line *l, size_t i, size_t wanted);

static bool is_of_branch(const line *l, size_t i, size_t wanted)
{
  (void)i;
  return l->branch == wanted;
}

static bool is_line(const line *l, size_t i, size_t wanted)
{
  (void)l;
  return i == wanted;
}

static bool counts(const line *l)
{
  return !l->soft || l->any != 0;
}

static int keep(compiler *c, arena *a)
{
  op *ops = arena_alloc(a, (c->op_count + 1) * sizeof *ops);
  uint8_t *rest = arena_alloc(a, c->rest_count + 1);
  if (ops == NULL || rest == NULL) return MY_ENOMEM;
  memcpy(ops, c->ops, c->op_count * sizeof *ops);
  memcpy(rest, c->rest, c->rest_count);
  c->out->ops = ops;
  c->out->op_count = c->op_count;
  c->out->rest = rest;
  c->out->rest_count = c->rest_count;
  return MY_OK;
}

static int compile_lines(compiler *c, arena *a, line_filter *of, size_t wanted, program *out)
{
  const my_sig *s = c->sig;
  *c = (compiler){.sig = s, .out = out};
  *out = (program){.most = SIZE_MAX};
  for (size_t i = 0; i < s->line_count; i++) {
    const line *l = &s->lines[i];
    if (!of(l, i, wanted) || !counts(l) || !is_simple(l)) continue;
    if (is_bound(l)) set_bounds(out, l);
    need_line(out, l);
  }
  if (out->least > out->most) return keep(c, a); /* no reply is so long */
  for (size_t i = 0; i < s->line_count; i++) {
    const line *l = &s->lines[i];
    if (!of(l, i, wanted) || !counts(l)) continue;
    bool done = is_simple(l) && (l->kind != LINE_CHECK || is_bound(l) || compile_line(c, l));
    if (!done) c->rest[c->rest_count++] = (uint8_t)i;
  }
  emit_constants(c);
  if (c->never) never(c);
  return keep(c, a);
}

static int compile_cases(compiler *c, arena *a, programs *out)
{
  const my_sig *s = c->sig;
  struct case_program *cases = arena_alloc(a, (s->branch_count + 1) * sizeof *cases);
  int rc = cases != NULL ? MY_OK : MY_ENOMEM;
  for (size_t b = 0; rc == MY_OK && b < s->branch_count; b++) {
    rc = compile_lines(c, a, is_line, s->branches[b].condition, &cases[b].condition);
    if (rc == MY_OK) rc = compile_lines(c, a, is_of_branch, b + 1, &cases[b].lines);
  }
  out->cases = cases;
  return rc;
}

int sig_compile(arena *a, my_sig *sig)
{
  compiler *c = calloc(1, sizeof *c);
  programs *out = arena_alloc(a, sizeof *out);
  int rc = MY_ENOMEM;
  if (c != NULL && out != NULL) {
    c->sig = sig;
    rc = compile_lines(c, a, is_of_branch, 0, &out->always);
    if (rc == MY_OK) rc = compile_cases(c, a, out);
  }
  free(c);
  sig->programs = out;
  for (size_t i = 0; rc == MY_OK && i < sig->step_count; i++)
    rc = sig_compile(a, sig->steps[i]);
  return rc;
}
