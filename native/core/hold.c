/* hold.c - one line of a signature against one reply. Allocates nothing, reads nothing outside the
 * spans. */
#include "compare.h"

#include <string.h>

typedef struct side {
  my_span bytes;   /* what stands there */
  uint64_t number; /* as a big-endian number, of at most 8 bytes: the parser sees to it */
} side;

/* ---- places ---- */

bool place_bytes(const place *p, const my_pair *pair, my_span *out)
{
  my_span all = p->of == OF_REQUEST ? pair->request : pair->reply;
  if (p->in != NULL && !view_find(p->in, all, &all)) return false;
  if (p->from_end && p->offset > all.len) return false;
  size_t start = p->from_end ? all.len - p->offset : p->offset;
  if (start > all.len || (!p->to_end && p->width > all.len - start)) return false;
  *out = (my_span){start > 0 ? all.data + start : all.data, p->to_end ? all.len - start : p->width};
  return true;
}

static bool place_side(const place *p, const my_pair *pair, side *out)
{
  *out = (side){0};
  if (p->sport) {
    out->number = pair->from.family != 0 ? pair->from.port : pair->peer.port;
    return true;
  }
  if (p->length && p->in != NULL) {
    if (!place_bytes(p, pair, &out->bytes)) return false;
    out->number = out->bytes.len;
    return true;
  }
  if (p->length) {
    out->number = p->of == OF_REQUEST ? pair->request.len : pair->reply.len;
    return true;
  }
  if (!place_bytes(p, pair, &out->bytes)) return false;
  out->number = to_number(out->bytes);
  return true;
}

/* ---- comparisons ---- */

/* Bytes against bytes. Functions and masks work on copies: the parser sees to it that only places
 * of at most VALUE_MAX bytes have them. */
static bool hold_bytes(const line *l, const rhs *r, my_span left, my_span right, my_span *cover)
{
  uint8_t a[VALUE_MAX], b[VALUE_MAX];
  if (r->fn_count > 0 && right.len > sizeof b) return false; /* a long value of a view */
  if ((r->fn_count > 0 || l->mask.len > 0) && right.len > 0 && right.len <= sizeof b) {
    memcpy(b, right.data, right.len);
    apply_all(r, b, right.len);
    right.data = b;
  }
  if (l->mask.len > 0 && left.len == l->mask.len && right.len == l->mask.len) {
    for (size_t i = 0; i < l->mask.len; i++) {
      a[i] = left.data[i] & l->mask.data[i];
      b[i] &= l->mask.data[i];
    }
    left.data = a;
  }
  return compare_bytes(l->op, left, right, ignores_case(r), cover);
}

static bool hold_bits(const line *l, const rhs *r, my_span left)
{
  bool equal = left.len == r->bytes.len;
  for (size_t i = 0; equal && i < left.len; i++)
    equal = (left.data[i] & r->mask.data[i]) == r->bytes.data[i];
  return equal == (l->op == OP_EQ);
}

static uint64_t masked(const line *l, uint64_t value)
{
  return l->mask.len > 0 ? value & to_number(l->mask) : value;
}

static bool hold_number(const line *l, const rhs *r, const side *left)
{
  uint64_t value = masked(l, left->number);
  if (left->bytes.len > 8 && !l->at.length) return false;
  bool within = value >= r->lo && value <= r->hi;
  return l->op == OP_EQ ? within : l->op == OP_NE ? !within : ordered(l->op, value, r->lo);
}

/* len = q.len+4, @0:2 = len-2, len = rev(@0:2) */
static bool hold_length(const line *l, const rhs *r, const side *left, const side *right)
{
  uint8_t bytes[8];
  uint64_t number = right->number;
  if (right->bytes.len > 0 && right->bytes.len <= sizeof bytes) {
    memcpy(bytes, right->bytes.data, right->bytes.len);
    apply_all(r, bytes, right->bytes.len);
    number = to_number((my_span){bytes, right->bytes.len});
  }
  if (r->add < 0 && number < (uint64_t)-r->add) return l->op == OP_NE; /* below zero */
  return ordered(l->op, masked(l, left->number), number + (uint64_t)r->add);
}

static my_held hold_time(const rhs *r, const side *left, const my_pair *pair)
{
  const uint64_t ntp_era = 2208988800u; /* seconds from 1900 to 1970, RFC 5905 section 6 */
  if (pair->now_unix_ns <= 0) return MY_SKIPPED;
  uint32_t now = (uint32_t)((uint64_t)(pair->now_unix_ns / 1000000000) +
                            (r->kind == RHS_TIME_NTP ? ntp_era : 0));
  uint32_t there = (uint32_t)left->number; /* both wrap after 136 years */
  uint32_t apart = there - now < now - there ? there - now : now - there;
  return apart <= r->hi ? MY_HELD : MY_FAILED;
}

static bool hold_digits(my_span left)
{
  for (size_t i = 0; i < left.len; i++)
    if (left.data[i] < '0' || left.data[i] > '9') return false;
  return left.len > 0;
}

bool match_regex(const pcre2_code *code, my_span subject, my_scratch *scratch)
{
  PCRE2_SPTR text = subject.len > 0 ? subject.data : (PCRE2_SPTR) "";
  return scratch != NULL &&
         pcre2_match(code, text, subject.len, 0, 0, scratch->match, scratch->limits) >= 0;
}

static bool hold_regex(const rhs *r, my_span left, my_scratch *scratch, my_span *cover)
{
  if (!match_regex(r->regex, left, scratch)) return false;
  const PCRE2_SIZE *at = pcre2_get_ovector_pointer(scratch->match);
  *cover = at[0] < at[1] ? (my_span){left.data + at[0], at[1] - at[0]} : (my_span){0};
  return true;
}

/* ---- addresses and ports ---- */

/* Of those that are not global: RFC 1918, shared (100.64/10), loopback, link-local. */
static bool is_private(const uint8_t a[4])
{
  return a[0] == 10 || a[0] == 100 || a[0] == 127 || a[0] == 169 || a[0] == 172 ||
         (a[0] == 192 && a[1] == 168);
}

static bool is_address(const rhs *r, my_span left, const my_endpoint *e)
{
  uint8_t want[16];
  memcpy(want, e->bytes, left.len);
  apply_all(r, want, left.len);
  return memcmp(want, left.data, left.len) == 0;
}

/* An address that is not ours but may be our NAT's. One that stands in the request came back from
 * there. */
static my_held hold_foreign(const rhs *r, my_span left, const my_pair *pair)
{
  uint8_t there[4];
  memcpy(there, left.data, 4);
  apply_all(r, there, 4); /* XOR is its own inverse */
  if (find_bytes(pair->request, left) != SIZE_MAX ||
      find_bytes(pair->request, (my_span){there, 4}) != SIZE_MAX)
    return MY_FAILED;
  return my_ipv4_is_global(there) ? MY_HELD_PUBLIC
         : is_private(there)      ? MY_HELD_PRIVATE
                                  : MY_FAILED;
}

/* my.ip: ours, or what --public-ip says, or an address that may be our NAT's. */
static my_held hold_address(const line *l, const rhs *r, my_span left, const my_pair *pair)
{
  const my_endpoint *e = r->mine ? &pair->my : &pair->peer;
  if (e->family != (left.len == 4 ? 4 : 6)) return MY_SKIPPED;
  bool same = is_address(r, left, e) ||
              (r->mine && pair->public_.family == e->family && is_address(r, left, &pair->public_));
  if (l->op == OP_NE) return same ? MY_FAILED : MY_HELD;
  if (same || !r->mine || left.len != 4) return same ? MY_HELD : MY_FAILED;
  return hold_foreign(r, left, pair);
}

static my_held hold_port(const line *l, const rhs *r, const side *left, const my_pair *pair)
{
  uint16_t port = r->mine ? pair->my.port : pair->peer.port;
  uint8_t bytes[2] = {(uint8_t)(port >> 8), (uint8_t)port};
  if (port == 0) return MY_SKIPPED; /* not known */
  apply_all(r, bytes, 2);
  return ordered(l->op, left->number, (uint64_t)bytes[0] << 8 | bytes[1]) ? MY_HELD : MY_FAILED;
}

static void write_port(uint16_t port, char *out)
{
  char digits[6];
  size_t n = 0;
  do
    digits[n++] = (char)('0' + port % 10);
  while ((port /= 10) > 0);
  while (n > 0)
    *out++ = digits[--n];
  *out = 0;
}

/* An address or a port, written out. */
static my_held hold_written(const line *l, const rhs *r, my_span left, const my_endpoint *e,
                            my_span *cover)
{
  char text[MY_ENDPOINT_TEXT];
  if (e->family == 0 || e->port == 0) return MY_SKIPPED; /* not known */
  if (r->kind == RHS_ADDRESS_TEXT)
    my_endpoint_address(e, text);
  else
    write_port(e->port, text);
  my_span want = {(const uint8_t *)text, strlen(text)};
  return compare_bytes(l->op, left, want, false, cover) ? MY_HELD : MY_FAILED;
}

static my_held hold_text(const line *l, const rhs *r, my_span left, const my_pair *pair,
                         my_span *cover)
{
  my_endpoint outside = pair->public_;
  my_held held = hold_written(l, r, left, r->mine ? &pair->my : &pair->peer, cover);
  if (held != MY_FAILED || !r->mine || r->kind != RHS_ADDRESS_TEXT || outside.family == 0)
    return held;
  outside.port = 1; /* only its address is written */
  return hold_written(l, r, left, &outside, cover);
}

/* ---- lines ---- */

static my_held hold_place(const line *l, const rhs *r, side *left, const my_pair *pair,
                          my_span *cover)
{
  side right;
  if (!place_side(&r->place, pair, &right)) return MY_FAILED;
  if (r->place.length || l->at.length || l->at.sport)
    return hold_length(l, r, left, &right) ? MY_HELD : MY_FAILED;
  return hold_bytes(l, r, left->bytes, right.bytes, cover) ? MY_HELD : MY_FAILED;
}

static my_held hold_one(const line *l, const rhs *r, side *left, const my_pair *pair,
                        my_scratch *scratch, my_span *cover)
{
  switch (r->kind) {
  case RHS_BYTES:
    return hold_bytes(l, r, left->bytes, r->bytes, cover) ? MY_HELD : MY_FAILED;
  case RHS_BITS:
    return hold_bits(l, r, left->bytes) ? MY_HELD : MY_FAILED;
  case RHS_NUMBER:
    return hold_number(l, r, left) ? MY_HELD : MY_FAILED;
  case RHS_PLACE:
    return hold_place(l, r, left, pair, cover);
  case RHS_ADDRESS:
    return hold_address(l, r, left->bytes, pair);
  case RHS_PORT:
    return hold_port(l, r, left, pair);
  case RHS_ADDRESS_TEXT:
  case RHS_PORT_TEXT:
    return hold_text(l, r, left->bytes, pair, cover);
  case RHS_TIME_NTP:
  case RHS_TIME_UNIX:
    return hold_time(r, left, pair);
  case RHS_DIGITS:
    return hold_digits(left->bytes) ? MY_HELD : MY_FAILED;
  case RHS_REGEX:
    return hold_regex(r, left->bytes, scratch, cover) ? MY_HELD : MY_FAILED;
  }
  return MY_FAILED;
}

int held_rank(my_held h)
{
  static const int rank[] = {[MY_FAILED] = 0,
                             [MY_SKIPPED] = 1,
                             [MY_HELD_PRIVATE] = 2,
                             [MY_HELD_PUBLIC] = 3,
                             [MY_HELD] = 4};
  return rank[h];
}

static my_held hold_timing(const line *l, const my_pair *pair)
{
  if (pair->rtt_ns <= 0) return MY_SKIPPED;
  uint64_t ms = (uint64_t)pair->rtt_ns / 1000000;
  return ms >= l->least_ms && ms <= l->most_ms ? MY_HELD : MY_FAILED;
}

void hold_line(const line *l, const my_pair *pair, my_scratch *scratch, holding *out)
{
  side left;
  *out = (holding){.held = MY_FAILED};
  if (l->kind == LINE_TIMING) out->held = hold_timing(l, pair);
  if (l->kind == LINE_CLOSES && pair->closed) out->held = MY_HELD;
  if (l->kind == LINE_TIMING || l->kind == LINE_CLOSES) return;
  if (!place_side(&l->at, pair, &left)) return;
  out->got = out->cover = left.bytes;
  out->held = l->kind != LINE_CHECK ? MY_SKIPPED : l->op == OP_NE ? MY_HELD : MY_FAILED;
  for (size_t i = 0; i < l->right_count; i++) {
    my_span cover = left.bytes;
    my_held h = hold_one(l, &l->right[i], &left, pair, scratch, &cover);
    int better = held_rank(h) - held_rank(out->held);
    if (l->op == OP_NE ? better >= 0 : better <= 0) continue; /* `!= a or b`: differs from each */
    out->held = h;
    out->cover = cover;
  }
}
