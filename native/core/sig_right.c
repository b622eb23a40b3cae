/* sig_right.c - the right side of a line: what a place of the reply is compared with. */
#include "sig_parse.h"

#include <string.h>

static bool is_order(op_kind op)
{
  return op == OP_LT || op == OP_LE || op == OP_GT || op == OP_GE;
}

static bool is_number(const place *at)
{
  return at->length || at->sport;
}

static int not_understood(parser *p, const token *t)
{
  return parse_fail(p, t, "\"%.*s\": not understood on the right side of a line", (int)t->n, t->s);
}

/* ---- numbers, bits, bytes ---- */

/* len+4, q.len-2: a length and a decimal byte count. false: something else. */
static bool read_length(const char *s, size_t n, rhs *out)
{
  bool request = text_starts(s, n, "q.len");
  size_t word = request ? 5 : 3;
  uint64_t k = 0;
  if (!request && !text_starts(s, n, "len")) return false;
  if (n > word && s[word] == '.') return false; /* len.h.via */
  if (n > word && ((s[word] != '+' && s[word] != '-') ||
                   !read_decimal(s + word + 1, n - word - 1, 0, 65535, &k)))
    return false;
  out->kind = RHS_PLACE;
  out->place = (place){.of = request ? OF_REQUEST : OF_REPLY, .length = true};
  out->add = n > word && s[word] == '-' ? -(int64_t)k : (int64_t)k;
  return true;
}

static bool is_bit_pattern(const char *s, size_t n)
{
  if (n < 9 || (n - 1) % 8 != 0 || s[0] != 'b') return false;
  for (size_t i = 1; i < n; i++)
    if (s[i] != '0' && s[i] != '1' && s[i] != '.') return false;
  return true;
}

static int read_bits(parser *p, const token *t, const place *at, rhs *out)
{
  size_t bytes = (t->n - 1) / 8;
  uint8_t *value = arena_alloc(&p->file->memory, bytes),
          *mask = arena_alloc(&p->file->memory, bytes);
  if (value == NULL || mask == NULL) return MY_ENOMEM;
  if (bytes != at->width)
    return parse_fail(p, t, "%zu byte(s) of bits against %u", bytes, at->width);
  for (size_t i = 0; i < 8 * bytes; i++) {
    char c = t->s[1 + i];
    uint8_t bit = (uint8_t)(0x80 >> i % 8);
    mask[i / 8] |= c != '.' ? bit : 0;
    value[i / 8] |= c == '1' ? bit : 0;
  }
  out->kind = RHS_BITS;
  out->bytes = (my_span){value, bytes};
  out->mask = (my_span){mask, bytes};
  return MY_OK;
}

static bool read_number(const char *s, size_t n, bool decimal, uint64_t *out)
{
  uint64_t value = 0;
  if (decimal) return read_decimal(s, n, 0, UINT64_MAX / 20, out);
  if (n == 0 || n > 16) return false;
  for (size_t i = 0; i < n; i++) {
    int digit = hex_value(s[i]);
    if (digit < 0) return false;
    value = value << 4 | (uint64_t)digit;
  }
  *out = value;
  return true;
}

static int read_bytes(parser *p, const token *t, const line *l, rhs *out)
{
  int rc = read_hex(&p->file->memory, t->s, t->n, &out->bytes);
  out->kind = RHS_BYTES;
  if (rc == MY_EFORMAT && (t->n % 2 == 0 || l->at.to_end)) return not_understood(p, t);
  if (rc != MY_EFORMAT &&
      (rc != MY_OK || l->at.to_end || l->op >= OP_STARTS || out->bytes.len == l->at.width))
    return rc;
  return parse_fail(p, t, "\"%.*s\" against %u byte(s): expected %u hex digits", (int)t->n, t->s,
                    l->at.width, 2u * l->at.width);
}

/* Byte values are hex and byte counts are decimal; `dec` makes a byte value decimal. */
static int read_value(parser *p, const token *t, const line *l, bool decimal, rhs *out)
{
  const char *dots = memmem(t->s, t->n, "..", 2);
  const place *at = &l->at;
  size_t head = dots != NULL ? (size_t)(dots - t->s) : t->n;
  decimal = decimal || is_number(at);
  if (!decimal && dots == NULL && !is_order(l->op)) return read_bytes(p, t, l, out);
  out->kind = RHS_NUMBER;
  if (!read_number(t->s, head, decimal, &out->lo))
    return decimal ? parse_fail(p, t, "\"%.*s\": expected a decimal number", (int)t->n, t->s)
                   : not_understood(p, t);
  out->hi = out->lo;
  if (dots != NULL && is_order(l->op))
    return parse_fail(p, t, "\"%.*s\": a range goes with = and !=", (int)t->n, t->s);
  if (dots != NULL &&
      (!read_number(dots + 2, t->n - head - 2, decimal, &out->hi) || out->hi < out->lo))
    return parse_fail(p, t, "\"%.*s\": expected a range from low to high", (int)t->n, t->s);
  if (is_number(at) || at->to_end) return MY_OK;
  if (at->width > 8 || (at->width < 8 && out->hi >> 8 * at->width != 0))
    return parse_fail(p, t, "\"%.*s\" against %u byte(s): expected %u hex digits", (int)t->n, t->s,
                      at->width, 2u * at->width);
  return MY_OK;
}

/* ---- functions over places ---- */

static const struct {
  const char *name;
  transform_kind kind;
  bool argument;
} functions[] = {{"rev(", FN_REV, false},
                 {"not(", FN_NOT, false},
                 {"fold(", FN_FOLD, false},
                 {"add(", FN_ADD, true},
                 {"bitor(", FN_BITOR, true}};

/* The hex number behind the last comma of a function's text; *n ends before it. */
static bool read_argument(const char *s, size_t *n, uint64_t *out)
{
  size_t comma = *n;
  while (comma > 0 && s[comma - 1] != ',')
    comma--;
  if (comma == 0 || !read_number(s + comma, *n - comma, false, out)) return false;
  *n = comma - 1;
  return true;
}

static int read_inner_place(parser *p, const token *t, const char *s, size_t n, rhs *out)
{
  out->kind = RHS_PLACE;
  int rc = read_place(p, t, s, n, false, &out->place);
  if (rc == MY_OK && ((out->place.to_end && out->place.in == NULL) || out->place.length))
    rc = parse_fail(p, t, "\"%.*s\": expected a place of fixed length inside", (int)t->n, t->s);
  return rc;
}

static int add_transform(parser *p, const token *t, rhs *r, transform f)
{
  if (r->fn_count == TRANSFORMS_MAX)
    return parse_fail(p, t, "more than %d functions in one another", TRANSFORMS_MAX);
  if (f.kind == FN_BITOR && r->place.width < 8 && f.k >> 8 * r->place.width != 0)
    return parse_fail(p, t, "\"%.*s\": expected a number of %u byte(s)", (int)t->n, t->s,
                      r->place.width);
  r->fn[r->fn_count++] = f;
  return MY_OK;
}

/* rev(x) not(x) fold(x) add(x,k) bitor(x,k): the innermost is applied first. */
static int read_function(parser *p, const token *t, const char *s, size_t n, rhs *out, bool *found)
{
  *found = false;
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    size_t word = strlen(functions[i].name);
    transform f = {.kind = functions[i].kind};
    if (!text_starts(s, n, functions[i].name) || s[n - 1] != ')') continue;
    const char *inner = s + word;
    size_t inner_len = n - word - 1;
    if (functions[i].argument && !read_argument(inner, &inner_len, &f.k))
      return parse_fail(p, t, "\"%.*s\": expected a place, a comma and a hex number", (int)n, s);
    int rc = read_function(p, t, inner, inner_len, out, found);
    if (rc == MY_OK && !*found) rc = read_inner_place(p, t, inner, inner_len, out);
    *found = true;
    return rc == MY_OK ? add_transform(p, t, out, f) : rc;
  }
  return MY_OK;
}

/* ---- patterns, times, addresses ---- */

static int read_regex(parser *p, const token *t, rhs *out)
{
  int code;
  PCRE2_SIZE at, size = 0;
  out->kind = RHS_REGEX;
  out->regex = pcre2_compile((PCRE2_SPTR)t->s, t->n, PCRE2_NEVER_UTF, &code, &at, NULL);
  if (out->regex == NULL) {
    char reason[100] = "";
    token where = *t;
    if (code == PCRE2_ERROR_NOMEMORY || code == PCRE2_ERROR_HEAP_FAILED) return MY_ENOMEM;
    pcre2_get_error_message(code, (PCRE2_UCHAR *)reason, sizeof reason);
    where.column += 2 + (unsigned)at;
    return parse_fail(p, &where, "pattern: %s", reason);
  }
  pcre2_pattern_info(out->regex, PCRE2_INFO_SIZE, &size);
  p->pattern_bytes += size > 1024 ? size : 1024;
  if (p->pattern_bytes > FILE_ROOM)
    return parse_fail(p, t, "the patterns of this file need more than %d MiB", FILE_ROOM >> 20);
  out->regex_worth = regex_worth(t->s, t->n);
  return MY_OK;
}

/* 90d, 12h, 30s */
static int read_tolerance(parser *p, rhs *out)
{
  const token *t = parse_take(p);
  uint64_t k, unit = 0;
  char last = t->kind == TOKEN_WORD && t->n > 1 ? t->s[t->n - 1] : 0;
  unit = last == 'd' ? 86400 : last == 'h' ? 3600 : last == 's' ? 1 : 0;
  if (unit == 0 || !read_decimal(t->s, t->n - 1, 1, 36500, &k))
    return parse_fail(p, t, "expected how far the clocks may differ, for example 90d, 12h or 30s");
  out->hi = k * unit;
  return MY_OK;
}

static int read_time(parser *p, const token *t, const line *l, rhs *out)
{
  out->kind = token_is(t, "now.ntp") ? RHS_TIME_NTP : RHS_TIME_UNIX;
  if (l->op != OP_LIKE || l->at.width != 4)
    return parse_fail(p, t, "a time: expected a place of 4 bytes and the operator ~");
  return read_tolerance(p, out);
}

static int read_address(parser *p, const token *t, const line *l, rhs *out)
{
  const place *at = &l->at;
  bool ip = token_is(t, "my.ip") || token_is(t, "peer.ip");
  out->kind = ip ? RHS_ADDRESS : RHS_PORT;
  out->mine = token_is(t, "my.ip") || token_is(t, "my.port");
  if (ip && (at->length || at->to_end || (at->width != 4 && at->width != 16)))
    return parse_fail(p, t, "an address against %u byte(s): expected a place of 4 or 16",
                      at->width);
  if (ip && is_order(l->op)) return parse_fail(p, t, "an address goes with = and !=");
  if (!ip && !at->sport && (at->length || at->width != 2))
    return parse_fail(p, t, "a port against %u byte(s): expected a place of 2", at->width);
  if (!token_is(parse_peek(p), "^")) return MY_OK;
  parse_take(p);
  t = parse_take(p);
  transform f = {.kind = FN_XOR};
  int rc = t->kind == TOKEN_WORD ? read_hex(&p->file->memory, t->s, t->n, &f.bytes) : MY_EFORMAT;
  if (rc == MY_EFORMAT)
    return parse_fail(p, t, "\"%.*s\": expected the hex that it is XORed with", (int)t->n, t->s);
  return rc == MY_OK ? add_transform(p, t, out, f) : rc;
}

/* my.ip.text, my.port.text: written out */
static bool read_written(const token *t, rhs *out)
{
  bool ip = token_is(t, "my.ip.text") || token_is(t, "peer.ip.text");
  out->kind = ip ? RHS_ADDRESS_TEXT : RHS_PORT_TEXT;
  out->mine = text_starts(t->s, t->n, "my.");
  return ip || token_is(t, "my.port.text") || token_is(t, "peer.port.text");
}

/* ---- all together ---- */

static bool is_place_word(const char *s, size_t n)
{
  bool request = text_starts(s, n, "q.");
  if (text_starts(s, n, "len.")) return true;
  return s[0] == '$' || s[0] == '@' || text_starts(s, n, "q@") ||
         is_view(request ? s + 2 : s, request ? n - 2 : n);
}

static int right_word(parser *p, const token *t, const line *l, rhs *out)
{
  bool found;
  if (token_is(t, "my.ip") || token_is(t, "peer.ip") || token_is(t, "my.port") ||
      token_is(t, "peer.port"))
    return read_address(p, t, l, out);
  if (read_written(t, out)) return MY_OK;
  if (token_is(t, "now.ntp") || token_is(t, "now.unix")) return read_time(p, t, l, out);
  if (token_is(t, "digits")) {
    out->kind = RHS_DIGITS;
    return l->op == OP_LIKE ? MY_OK : parse_fail(p, t, "digits: expected the operator ~");
  }
  if (token_is(t, "dec")) return read_value(p, parse_take(p), l, true, out);
  if (is_bit_pattern(t->s, t->n)) return read_bits(p, t, &l->at, out);
  if (read_length(t->s, t->n, out)) return MY_OK;
  int rc = read_function(p, t, t->s, t->n, out, &found);
  if (rc != MY_OK || found) return rc;
  if (is_place_word(t->s, t->n)) {
    out->kind = RHS_PLACE;
    return read_place(p, t, t->s, t->n, false, &out->place);
  }
  return read_value(p, t, l, false, out);
}

static int right_text(parser *p, const token *t, const line *l, rhs *out)
{
  out->kind = RHS_BYTES;
  out->bytes = (my_span){(const uint8_t *)t->s, t->n};
  if (is_number(&l->at)) return parse_fail(p, t, "a text against a number");
  return t->n > 0 || l->op == OP_HAS ? MY_OK : parse_fail(p, t, "an empty text");
}

static bool has_fold(const rhs *r)
{
  for (size_t i = 0; i < r->fn_count; i++)
    if (r->fn[i].kind == FN_FOLD) return true;
  return false;
}

/* Operators, and masks, have kinds of right sides that they go with. */
static int check_kind(parser *p, const token *t, const line *l, const rhs *r)
{
  bool bytes = r->kind == RHS_BYTES || r->kind == RHS_PLACE;
  bool written = r->kind == RHS_ADDRESS_TEXT || r->kind == RHS_PORT_TEXT;
  bool like = r->kind == RHS_REGEX || r->kind == RHS_DIGITS || r->kind == RHS_TIME_NTP ||
              r->kind == RHS_TIME_UNIX;
  if (l->op == OP_LIKE && !like)
    return parse_fail(p, t, "after ~: expected m/…/, digits, now.ntp or now.unix");
  if (written && (is_order(l->op) || l->op == OP_LIKE || is_number(&l->at) || l->mask.len > 0))
    return parse_fail(p, t, "an address or a port as text goes with = != starts and has");
  if ((l->op == OP_STARTS || l->op == OP_HAS) && (!(bytes || written) || r->place.length))
    return parse_fail(p, t, "after starts and has: expected a text, hex or a place");
  if (is_order(l->op) && r->kind == RHS_BITS)
    return parse_fail(p, t, "a pattern of bits goes with = and !=");
  if (is_order(l->op) && has_fold(r)) return parse_fail(p, t, "fold goes with = != starts and has");
  if (l->mask.len > 0 && (l->op >= OP_STARTS || !(bytes || r->kind == RHS_NUMBER)))
    return parse_fail(p, t, "a mask goes with = != < <= > >= and bytes or a number");
  return MY_OK;
}

static int check_number_width(parser *p, const token *t, const line *l, const rhs *r)
{
  bool left = r->kind == RHS_PLACE && r->place.length && !is_number(&l->at);
  bool right = r->kind == RHS_PLACE && !r->place.length && is_number(&l->at);
  bool order = is_order(l->op) && !is_number(&l->at);
  size_t width = right ? r->place.width : l->at.width;
  const place *number = right ? &r->place : &l->at;
  bool open = number->to_end && number->in == NULL;
  if (!left && !right && !order) return MY_OK;
  if (open) return parse_fail(p, t, "a number in a place without a length: expected @offset:bytes");
  if (width <= 8) return MY_OK;
  return parse_fail(p, t, "a number of %zu bytes: expected at most 8 bytes", width);
}

/* The widths of both sides must fit, or the line could never hold. */
static int check_widths(parser *p, const token *t, const line *l, const rhs *r)
{
  const place *at = &l->at;
  bool bytes = r->kind == RHS_BYTES || (r->kind == RHS_PLACE && !r->place.length);
  bool whole = at->to_end && r->kind == RHS_BYTES && (l->op == OP_EQ || l->op == OP_NE);
  size_t right = r->kind == RHS_BYTES ? r->bytes.len : r->place.width;
  int rc = check_number_width(p, t, l, r);
  if (rc != MY_OK || is_number(at) || l->op >= OP_STARTS || whole) return rc;
  bool any_width = at->in != NULL && at->to_end;
  if (r->kind == RHS_PLACE && r->place.to_end && r->place.in != NULL) return MY_OK;
  if (r->kind == RHS_ADDRESS_TEXT || r->kind == RHS_PORT_TEXT) return MY_OK;
  if (any_width && (bytes || r->kind == RHS_NUMBER)) return MY_OK;
  if (at->to_end || (bytes && r->kind == RHS_PLACE && r->place.to_end))
    return parse_fail(p, t, "a place without a length: expected @offset:bytes, or starts, has, ~");
  if (!bytes || right == at->width) return MY_OK;
  return parse_fail(p, t, "%zu byte(s) against %u: expected the same width on both sides", right,
                    at->width);
}

int parse_right(parser *p, const line *l, rhs *out)
{
  const token *t = parse_take(p);
  int rc;
  if (t->kind == TOKEN_TEXT)
    rc = right_text(p, t, l, out);
  else if (t->kind == TOKEN_WORD)
    rc = right_word(p, t, l, out);
  else if (t->kind != TOKEN_REGEX)
    rc = parse_fail(p, t, "expected what the place is compared with");
  else
    rc = l->op == OP_LIKE ? read_regex(p, t, out)
                          : parse_fail(p, t, "a pattern: expected the operator ~");
  if (rc == MY_OK) rc = check_kind(p, t, l, out);
  return rc == MY_OK ? check_widths(p, t, l, out) : rc;
}
