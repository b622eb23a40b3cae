/* match.c - hold one reply against every line of a signature. Allocates nothing, reads nothing
 * outside the spans. */
#include "sig.h"

#include <string.h>

typedef struct side {
  my_span bytes;   /* what stands there */
  uint64_t number; /* as a big-endian number, where is_number */
  bool is_number;
} side;

bool place_bytes(const place *p, const my_pair *pair, my_span *out)
{
  my_span view = p->view == VIEW_REQUEST ? pair->request : pair->reply;
  size_t start = p->from_end ? view.len - p->offset : p->offset;
  if (p->from_end && p->offset > view.len) return false;
  if (p->to_end) {
    if (start > view.len) return false;
    *out = (my_span){view.data + (view.len > 0 ? start : 0), view.len - start};
    return true;
  }
  if (start > view.len || p->width > view.len - start) return false;
  *out = (my_span){view.data + start, p->width};
  return true;
}

static bool to_number(my_span bytes, uint64_t *out)
{
  uint64_t value = 0;
  if (bytes.len == 0 || bytes.len > 8) return false;
  for (size_t i = 0; i < bytes.len; i++)
    value = value << 8 | bytes.data[i];
  *out = value;
  return true;
}

static bool place_side(const place *p, const my_pair *pair, side *out)
{
  *out = (side){0};
  if (p->sport || p->length) {
    out->is_number = true;
    out->number = p->sport ? (pair->from.family != 0 ? pair->from.port : pair->peer.port)
                  : p->view == VIEW_REQUEST ? pair->request.len
                                            : pair->reply.len;
    return true;
  }
  if (!place_bytes(p, pair, &out->bytes)) return false;
  out->is_number = to_number(out->bytes, &out->number);
  return true;
}

static uint8_t lower(uint8_t c)
{
  return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 32) : c;
}

static void apply(const transform *f, uint8_t *bytes, size_t n)
{
  uint64_t k = f->k;
  switch (f->kind) {
  case FN_REV:
    for (size_t i = 0; i < n / 2; i++) {
      uint8_t swap = bytes[i];
      bytes[i] = bytes[n - 1 - i];
      bytes[n - 1 - i] = swap;
    }
    break;
  case FN_NOT:
    for (size_t i = 0; i < n; i++)
      bytes[i] = (uint8_t)~bytes[i];
    break;
  case FN_ADD: /* with carry, from the last byte on */
    for (size_t i = n; i-- > 0;) {
      k += bytes[i];
      bytes[i] = (uint8_t)k;
      k >>= 8;
    }
    break;
  case FN_BITOR:
    for (size_t i = n; i-- > 0; k >>= 8)
      bytes[i] |= (uint8_t)k;
    break;
  case FN_FOLD:
    for (size_t i = 0; i < n; i++)
      bytes[i] = lower(bytes[i]);
    break;
  case FN_XOR:
    for (size_t i = 0; i < n; i++)
      bytes[i] ^= f->bytes.data[i % f->bytes.len];
    break;
  default:
    break;
  }
}

static void transform_all(const rhs *r, uint8_t *bytes, size_t n)
{
  for (size_t i = 0; i < r->fn_count; i++)
    apply(&r->fn[i], bytes, n);
}

static bool folds(const rhs *r)
{
  for (size_t i = 0; i < r->fn_count; i++)
    if (r->fn[i].kind == FN_FOLD) return true;
  return false;
}

static bool ordered(op_kind op, uint64_t a, uint64_t b)
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
  default:
    return a >= b;
  }
}

static bool has_bytes(my_span where, my_span what)
{
  return what.len <= where.len &&
         (what.len == 0 || memmem(where.data, where.len, what.data, what.len) != NULL);
}

static bool compare_bytes(op_kind op, my_span a, my_span b)
{
  uint64_t x, y;
  switch (op) {
  case OP_EQ:
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
  case OP_NE:
    return a.len != b.len || memcmp(a.data, b.data, a.len) != 0;
  case OP_STARTS:
    return b.len <= a.len && memcmp(a.data, b.data, b.len) == 0;
  case OP_HAS:
    return has_bytes(a, b);
  default:
    return to_number(a, &x) && to_number(b, &y) && ordered(op, x, y);
  }
}

/* Bytes against bytes, both under the line's mask. Long places (more than VALUE_MAX) carry neither
 * mask nor function: the parser sees to it that those are of fixed width. */
static bool hold_bytes(const line *l, const rhs *r, my_span left, my_span right)
{
  uint8_t a[VALUE_MAX], b[VALUE_MAX];
  bool fold = folds(r);
  if (r->fn_count > 0 && right.len > 0 && right.len <= sizeof b) {
    memcpy(b, right.data, right.len);
    transform_all(r, b, right.len);
    right.data = b;
  }
  if ((l->mask.len > 0 || fold) && left.len > 0) {
    left.len = left.len < sizeof a ? left.len : sizeof a;
    for (size_t i = 0; i < left.len; i++)
      a[i] = (uint8_t)((fold ? lower(left.data[i]) : left.data[i]) &
                       (l->mask.len > 0 ? l->mask.data[i] : 0xff));
    left.data = a;
  }
  if (l->mask.len > 0 && right.len == l->mask.len) {
    for (size_t i = 0; i < right.len; i++)
      b[i] = (uint8_t)(right.data[i] & l->mask.data[i]);
    right.data = b;
  }
  return compare_bytes(l->op, left, right);
}

static bool hold_bits(const line *l, const rhs *r, my_span left)
{
  bool equal = left.len == r->bytes.len;
  for (size_t i = 0; equal && i < left.len; i++)
    equal = (left.data[i] & r->mask.data[i]) == r->bytes.data[i];
  return l->op == OP_NE ? !equal : l->op == OP_EQ && equal;
}

static bool hold_number(const line *l, const rhs *r, const side *left)
{
  uint64_t value = left->number, mask;
  if (!left->is_number) return false;
  if (l->mask.len > 0 && to_number(l->mask, &mask)) value &= mask;
  switch (l->op) {
  case OP_EQ:
    return value >= r->lo && value <= r->hi;
  case OP_NE:
    return value < r->lo || value > r->hi;
  default:
    return ordered(l->op, value, l->op == OP_GT || l->op == OP_LE ? r->hi : r->lo);
  }
}

static my_held hold_time(const rhs *r, const side *left, const my_pair *pair)
{
  const uint64_t ntp_era = 2208988800u; /* seconds from 1900 to 1970, RFC 5905 section 6 */
  if (pair->now_unix_ns <= 0) return MY_SKIPPED;
  uint32_t now = (uint32_t)((uint64_t)(pair->now_unix_ns / 1000000000) +
                            (r->kind == RHS_TIME_NTP ? ntp_era : 0));
  uint32_t there = (uint32_t)left->number; /* both wrap after 136 years */
  uint32_t apart = there - now < now - there ? there - now : now - there;
  return left->is_number && apart <= r->hi ? MY_HELD : MY_FAILED;
}

static bool hold_digits(my_span left)
{
  for (size_t i = 0; i < left.len; i++)
    if (left.data[i] < '0' || left.data[i] > '9') return false;
  return left.len > 0;
}

static bool hold_regex(const rhs *r, my_span left, my_scratch *scratch)
{
  return scratch != NULL && pcre2_match(r->regex, (PCRE2_SPTR)left.data, left.len, 0, 0,
                                        scratch->match, scratch->limits) >= 0;
}

static bool is_private(const uint8_t a[4])
{
  return a[0] == 10 || (a[0] == 172 && a[1] >= 16 && a[1] < 32) || (a[0] == 192 && a[1] == 168) ||
         (a[0] == 100 && a[1] >= 64 && a[1] < 128) || (a[0] == 169 && a[1] == 254) || a[0] == 127;
}

static bool is_address(const rhs *r, my_span left, const my_endpoint *e)
{
  uint8_t want[16];
  memcpy(want, e->bytes, left.len);
  transform_all(r, want, left.len);
  return memcmp(want, left.data, left.len) == 0;
}

/* my.ip: ours, or what --public-ip says, or an address that may be our NAT's. */
static my_held hold_address(const line *l, const rhs *r, my_span left, const my_pair *pair)
{
  const my_endpoint *e = r->mine ? &pair->my : &pair->peer;
  uint8_t there[4];
  if (e->family != (left.len == 4 ? 4 : 6)) return MY_SKIPPED;
  bool same = is_address(r, left, e);
  if (r->mine && pair->public_.family == e->family)
    same = same || is_address(r, left, &pair->public_);
  if (l->op != OP_EQ) return l->op == OP_NE && !same ? MY_HELD : MY_FAILED;
  if (same || !r->mine || left.len != 4) return same ? MY_HELD : MY_FAILED;
  memcpy(there, left.data, 4);
  transform_all(r, there, 4); /* XOR is its own inverse */
  return my_ipv4_is_global(there) ? MY_HELD_PUBLIC
         : is_private(there)      ? MY_HELD_PRIVATE
                                  : MY_FAILED;
}

static my_held hold_one(const line *l, const rhs *r, const side *left, const my_pair *pair,
                        my_scratch *scratch)
{
  side right;
  const my_endpoint *e = r->mine ? &pair->my : &pair->peer;
  switch (r->kind) {
  case RHS_BYTES:
    return hold_bytes(l, r, left->bytes, r->bytes);
  case RHS_BITS:
    return hold_bits(l, r, left->bytes);
  case RHS_NUMBER:
    return hold_number(l, r, left);
  case RHS_ADDRESS:
    return hold_address(l, r, left->bytes, pair);
  case RHS_PORT:
    return left->is_number && ordered(l->op, left->number, e->port);
  case RHS_TIME_NTP:
  case RHS_TIME_UNIX:
    return hold_time(r, left, pair);
  case RHS_DIGITS:
    return hold_digits(left->bytes);
  case RHS_REGEX:
    return hold_regex(r, left->bytes, scratch);
  case RHS_PLACE:
    break;
  }
  if (!place_side(&r->place, pair, &right)) return MY_FAILED;
  if (r->place.length || left->bytes.data == NULL)
    return left->is_number && ordered(l->op, left->number, right.number + (uint64_t)r->add);
  return hold_bytes(l, r, left->bytes, right.bytes);
}

static int held_rank(my_held h)
{
  static const int rank[] = {[MY_FAILED] = 0,
                             [MY_SKIPPED] = 1,
                             [MY_HELD_PRIVATE] = 2,
                             [MY_HELD_PUBLIC] = 3,
                             [MY_HELD] = 4};
  return rank[h];
}

static my_held hold_line(const line *l, const my_pair *pair, my_scratch *scratch, my_span *got)
{
  side left;
  *got = (my_span){0};
  if (!place_side(&l->at, pair, &left)) return MY_FAILED;
  *got = left.bytes;
  if (l->kind != LINE_CHECK) return MY_SKIPPED;
  my_held best = l->op == OP_NE ? MY_HELD : MY_FAILED;
  for (size_t i = 0; i < l->right_count; i++) {
    my_held h = hold_one(l, &l->right[i], &left, pair, scratch);
    if (l->op == OP_NE ? held_rank(h) < held_rank(best) : held_rank(h) > held_rank(best))
      best = h; /* `!= a or b`: differs from each */
  }
  return best;
}

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

static double line_bits(const line *l, my_held h)
{
  enum { PUBLIC_ADDRESS_BITS = 16 }; /* DESIGN section 4 */
  if (h == MY_HELD_PUBLIC) return PUBLIC_ADDRESS_BITS;
  return h == MY_HELD ? l->identity_bits : 0;
}

/* Of an `any` group one line must hold, the best counts. Returns the index behind the group. */
static size_t hold_group(const my_sig *sig, size_t first, my_match *m)
{
  size_t end = first, best = first;
  for (; end < sig->line_count && sig->lines[end].any == sig->lines[first].any; end++)
    if (held_rank(m->held[end]) > held_rank(m->held[best])) best = end;
  if (m->held[best] == MY_FAILED && m->first_failed < 0) m->first_failed = (int)first;
  for (size_t i = first; i < end; i++) {
    if (i != best && m->held[i] != MY_FAILED) m->held[i] = MY_SKIPPED;
    m->line_bits[i] = i == best ? line_bits(&sig->lines[i], m->held[i]) : 0;
    m->identity_bits += m->line_bits[i];
    m->fresh_bits += i == best && m->held[i] == MY_HELD ? sig->lines[i].fresh_bits : 0;
  }
  return end;
}

int my_sig_match(const my_sig *sig, const my_pair *pair, my_scratch *scratch, my_match *out)
{
  my_match *m = out;
  m->first_failed = -1;
  m->fresh_bits = sig->info.transport == MY_UDP ? 0 : TCP_FRESH_BITS;
  m->identity_bits = 0;
  m->line_count = sig->line_count;
  for (size_t i = 0; i < sig->line_count; i++)
    m->held[i] = (uint8_t)hold_line(&sig->lines[i], pair, scratch, &m->got[i]);
  for (size_t i = 0; i < sig->line_count;) {
    const line *l = &sig->lines[i];
    if (l->any != 0) {
      i = hold_group(sig, i, m);
      continue;
    }
    if (m->held[i] == MY_FAILED && !l->soft && m->first_failed < 0) m->first_failed = (int)i;
    m->line_bits[i] = line_bits(l, m->held[i]);
    m->identity_bits += m->line_bits[i];
    m->fresh_bits += m->held[i] == MY_HELD ? l->fresh_bits : 0;
    i++;
  }
  m->matched = m->first_failed < 0 && !begins_with_request(pair) && comes_from_peer(sig, pair);
  return MY_OK;
}

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
