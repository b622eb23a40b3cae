/* compare.c - bytes beside bytes: equal, ordered as numbers, found in each other, turned by
 * functions. */
#include "compare.h"

#include <string.h>

/* ---- bytes ---- */

bool same_bytes(my_span a, my_span b)
{
  return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

size_t find_bytes(my_span where, my_span what)
{
  if (what.len > where.len) return SIZE_MAX;
  if (what.len == 0) return 0;
  const uint8_t *at = memmem(where.data, where.len, what.data, what.len);
  return at != NULL ? (size_t)(at - where.data) : SIZE_MAX;
}

static uint8_t lower(uint8_t c)
{
  return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 32) : c;
}

static bool same_letters(my_span a, my_span b)
{
  for (size_t i = 0; i < a.len && i < b.len; i++)
    if (lower(a.data[i]) != lower(b.data[i])) return false;
  return a.len == b.len;
}

/* As find_bytes, case ignored. */
static size_t find_letters(my_span where, my_span what)
{
  for (size_t i = 0; i + what.len <= where.len; i++)
    if (same_letters((my_span){where.data + i, what.len}, what)) return i;
  return SIZE_MAX;
}

static my_span first_bytes(my_span s, size_t n)
{
  return (my_span){s.data, n < s.len ? n : s.len};
}

uint64_t to_number(my_span bytes)
{
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.len && i < 8; i++)
    value = value << 8 | bytes.data[i];
  return value;
}

/* ---- functions ---- */

static void reverse(uint8_t *bytes, size_t n)
{
  for (size_t i = 0; i < n / 2; i++) {
    uint8_t swap = bytes[i];
    bytes[i] = bytes[n - 1 - i];
    bytes[n - 1 - i] = swap;
  }
}

static void apply(const transform *f, uint8_t *bytes, size_t n)
{
  uint64_t k = f->k;
  unsigned carry = 0;
  switch (f->kind) {
  case FN_REV:
    reverse(bytes, n);
    break;
  case FN_NOT:
    for (size_t i = 0; i < n; i++)
      bytes[i] = (uint8_t)~bytes[i];
    break;
  case FN_ADD: /* from the last byte on */
    for (size_t i = n; i-- > 0; k >>= 8, carry >>= 8) {
      carry += bytes[i] + (unsigned)(k & 0xff);
      bytes[i] = (uint8_t)carry;
    }
    break;
  case FN_BITOR:
    for (size_t i = n; i-- > 0; k >>= 8)
      bytes[i] |= (uint8_t)k;
    break;
  case FN_XOR:
    for (size_t i = 0; i < n; i++)
      bytes[i] ^= f->bytes.data[i % f->bytes.len];
    break;
  case FN_FOLD: /* by the comparison, for both sides */
  case FN_NONE:
    break;
  }
}

void apply_all(const rhs *r, uint8_t *bytes, size_t n)
{
  for (size_t i = 0; i < r->fn_count; i++)
    apply(&r->fn[i], bytes, n);
}

bool ignores_case(const rhs *r)
{
  for (size_t i = 0; i < r->fn_count; i++)
    if (r->fn[i].kind == FN_FOLD) return true;
  return false;
}

/* ---- comparisons ---- */

bool ordered(op_kind op, uint64_t a, uint64_t b)
{
  switch (op) {
  case OP_EQ:
    return a == b;
  case OP_NE:
    return a != b;
  case OP_LT:
    return a < b;
  case OP_LE:
    return a <= b;
  case OP_GT:
    return a > b;
  case OP_GE:
    return a >= b;
  default:
    return false;
  }
}

bool compare_bytes(op_kind op, my_span a, my_span b, bool any_case, my_span *cover)
{
  my_span head = first_bytes(a, b.len);
  size_t at;
  switch (op) {
  case OP_EQ:
  case OP_NE:
    return (any_case ? same_letters(a, b) : same_bytes(a, b)) == (op == OP_EQ);
  case OP_STARTS:
    *cover = head;
    return any_case ? same_letters(head, b) : same_bytes(head, b);
  case OP_HAS:
    at = any_case ? find_letters(a, b) : find_bytes(a, b);
    if (at != SIZE_MAX) *cover = (my_span){b.len > 0 ? a.data + at : a.data, b.len};
    return at != SIZE_MAX;
  default:
    return a.len <= 8 && b.len <= 8 && ordered(op, to_number(a), to_number(b));
  }
}
