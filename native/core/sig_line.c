/* sig_line.c - one line of what a reply owes: a place, an operator, and what stands on its right.
 */
#include "sig_parse.h"

#include <string.h>

static bool starts_with(const char *s, size_t n, const char *prefix)
{
  size_t k = strlen(prefix);
  return n >= k && memcmp(s, prefix, k) == 0;
}

/* @o, @o:n, @-o:n, @ (all of it); 's' begins behind the @. */
static bool read_offsets(const char *s, size_t n, place *out)
{
  uint64_t offset, width = 1;
  if (n == 0) {
    out->to_end = true;
    return true;
  }
  if (s[0] == '-') {
    out->from_end = true;
    s++, n--;
  }
  const char *colon = memchr(s, ':', n);
  size_t head = colon != NULL ? (size_t)(colon - s) : n;
  if (!read_decimal(s, head, 0, 65535, &offset) || (out->from_end && offset == 0)) return false;
  if (colon != NULL && !read_decimal(colon + 1, n - head - 1, 1, VALUE_MAX, &width)) return false;
  if (out->from_end && width > offset) return false;
  out->offset = (uint16_t)offset;
  out->width = (uint16_t)width;
  return true;
}

static int check_request_bounds(parser *p, const token *t, const place *at)
{
  if (at->view != VIEW_REQUEST || at->length || at->to_end) return MY_OK;
  size_t end = at->from_end ? at->offset : (size_t)at->offset + at->width;
  if (end <= p->probe_len) return MY_OK;
  return parse_fail(p, t, "\"%.*s\" reaches past the probe's %zu bytes", (int)t->n, t->s,
                    p->probe_len);
}

static int find_field(parser *p, const token *t, const char *name, size_t n, place *out)
{
  my_sig *s = p->sig;
  for (size_t i = 0; i < s->field_count; i++) {
    if (strlen(s->fields[i].name) != n || memcmp(s->fields[i].name, name, n) != 0) continue;
    if (s->fields[i].len > VALUE_MAX)
      return parse_fail(p, t, "$%.*s is longer than %d bytes", (int)n, name, VALUE_MAX);
    out->view = VIEW_REQUEST;
    out->offset = s->fields[i].offset;
    out->width = s->fields[i].len;
    return MY_OK;
  }
  return parse_fail(p, t, "$%.*s: no field of that name in `send`", (int)n, name);
}

/* The text of a place, inside a word (column of t). */
static int place_from(parser *p, const token *t, const char *s, size_t n, bool left, place *out)
{
  bool request = starts_with(s, n, "q");
  *out = (place){.view = request ? VIEW_REQUEST : VIEW_REPLY};
  if (request && left)
    return parse_fail(p, t, "\"%.*s\": the left side is a place of the reply", (int)n, s);
  if (n > 1 && s[0] == '$') return find_field(p, t, s + 1, n - 1, out);
  if (left && n == 5 && memcmp(s, "sport", 5) == 0) {
    out->sport = true;
    p->sig->any_port = true;
    return MY_OK;
  }
  if ((n == 3 && memcmp(s, "len", 3) == 0) || (n == 5 && memcmp(s, "q.len", 5) == 0)) {
    out->length = true;
    return MY_OK;
  }
  if (request) s++, n--;
  if (n == 0 || s[0] != '@' || !read_offsets(s + 1, n - 1, out))
    return parse_fail(
        p, t, "\"%.*s\": expected a place: @offset, @offset:bytes (1 to %d), @-offset:bytes, len",
        (int)t->n, t->s, VALUE_MAX);
  return check_request_bounds(p, t, out);
}

int parse_place(parser *p, const token *t, bool left, place *out)
{
  if (t->kind != TOKEN_WORD) return parse_fail(p, t, "expected a place such as @0:2");
  return place_from(p, t, t->s, t->n, left, out);
}

/* ---- the right side ---- */

/* len+4, q.len-2: a length and a decimal byte count. false: something else. */
static bool read_length(const char *s, size_t n, rhs *out)
{
  bool request = starts_with(s, n, "q.len");
  size_t word = request ? 5 : 3;
  uint64_t k = 0;
  if (!request && !starts_with(s, n, "len")) return false;
  if (n > word && ((s[word] != '+' && s[word] != '-') ||
                   !read_decimal(s + word + 1, n - word - 1, 0, 65535, &k)))
    return false;
  out->kind = RHS_PLACE;
  out->place = (place){.view = request ? VIEW_REQUEST : VIEW_REPLY, .length = true};
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

static bool is_order(op_kind op)
{
  return op == OP_LT || op == OP_LE || op == OP_GT || op == OP_GE;
}

/* Byte values are hex and byte counts are decimal; `dec` makes a byte value decimal. */
static int read_value(parser *p, const token *t, const place *at, op_kind op, bool decimal,
                      rhs *out)
{
  const char *dots = NULL;
  bool count = at->length || at->sport;
  for (size_t i = 0; i + 1 < t->n && dots == NULL; i++)
    if (t->s[i] == '.' && t->s[i + 1] == '.') dots = t->s + i;
  size_t head = dots != NULL ? (size_t)(dots - t->s) : t->n;
  decimal = decimal || count;
  out->kind = RHS_NUMBER;
  bool text_op = op == OP_STARTS || op == OP_HAS;
  if (!decimal && dots == NULL && !is_order(op) &&
      (text_op || at->to_end || t->n == 2u * at->width)) {
    int rc = read_hex(&p->file->memory, t->s, t->n, &out->bytes);
    if (rc == MY_EFORMAT)
      return parse_fail(p, t, "\"%.*s\": not understood on the right side of a line", (int)t->n,
                        t->s);
    out->kind = RHS_BYTES;
    return rc;
  }
  if (!read_number(t->s, head, decimal, &out->lo))
    return parse_fail(p, t,
                      decimal ? "\"%.*s\": expected a decimal number"
                              : "\"%.*s\": not understood on the right side of a line",
                      (int)t->n, t->s);
  out->hi = out->lo;
  if (dots != NULL &&
      (!read_number(dots + 2, t->n - head - 2, decimal, &out->hi) || out->hi < out->lo))
    return parse_fail(p, t, "\"%.*s\": expected a range from low to high", (int)t->n, t->s);
  if (!count && (at->width > 8 || (at->width < 8 && out->hi >> 8 * at->width != 0)))
    return parse_fail(p, t, "\"%.*s\" against %u byte(s): expected %u hex digits", (int)t->n, t->s,
                      at->width, 2u * at->width);
  return MY_OK;
}

static int add_transform(parser *p, const token *t, rhs *r, transform f)
{
  if (r->fn_count == TRANSFORMS_MAX)
    return parse_fail(p, t, "more than %d functions in one another", TRANSFORMS_MAX);
  r->fn[r->fn_count++] = f;
  return MY_OK;
}

/* rev(x) not(x) fold(x) add(x,k) bitor(x,k): the innermost is applied first. */
static int read_function(parser *p, const token *t, const char *s, size_t n, rhs *out, bool *found)
{
  static const struct {
    const char *name;
    transform_kind kind;
    bool argument;
  } functions[] = {{"rev(", FN_REV, false},
                   {"not(", FN_NOT, false},
                   {"fold(", FN_FOLD, false},
                   {"add(", FN_ADD, true},
                   {"bitor(", FN_BITOR, true}};
  *found = false;
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    size_t word = strlen(functions[i].name);
    transform f = {.kind = functions[i].kind};
    if (!starts_with(s, n, functions[i].name) || s[n - 1] != ')') continue;
    const char *inner = s + word;
    size_t inner_len = n - word - 1;
    if (functions[i].argument) {
      size_t comma = inner_len;
      while (comma > 0 && inner[comma - 1] != ',')
        comma--;
      if (comma == 0 || !read_number(inner + comma, inner_len - comma, false, &f.k))
        return parse_fail(p, t, "\"%.*s\": expected a place, a comma and a hex number", (int)n, s);
      inner_len = comma - 1;
    }
    int rc = read_function(p, t, inner, inner_len, out, found);
    if (rc == MY_OK && !*found) {
      out->kind = RHS_PLACE;
      rc = place_from(p, t, inner, inner_len, false, &out->place);
      if (rc == MY_OK && (out->place.to_end || out->place.length))
        rc = parse_fail(p, t, "\"%.*s\": expected a place of fixed length inside", (int)n, s);
    }
    *found = true;
    return rc == MY_OK ? add_transform(p, t, out, f) : rc;
  }
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

static int read_regex(parser *p, const token *t, rhs *out)
{
  int code;
  PCRE2_SIZE at;
  out->kind = RHS_REGEX;
  out->regex = pcre2_compile((PCRE2_SPTR)t->s, t->n, PCRE2_NEVER_UTF, &code, &at, NULL);
  if (out->regex == NULL) {
    char reason[100] = "";
    token where = *t;
    if (code == PCRE2_ERROR_NOMEMORY || code == 121) /* 121: out of memory while compiling */
      return MY_ENOMEM;
    pcre2_get_error_message(code, (PCRE2_UCHAR *)reason, sizeof reason);
    where.column += 2 + (unsigned)at;
    return parse_fail(p, &where, "pattern: %s", reason);
  }
  int depth = 0;
  for (size_t i = 0; i < t->n;
       i++) { /* a careful lower bound: letters outside groups, sets and options */
    char c = t->s[i], next = i + 1 < t->n ? t->s[i + 1] : 0;
    if (c == '\\')
      i++;
    else if (c == '(' || c == '[')
      depth++;
    else if (c == ')' || c == ']')
      depth--;
    else if (c == '|')
      out->regex_literals = depth > 0 ? out->regex_literals : 0;
    else if (depth == 0 && (hex_value(c) >= 10 || (c | 32) >= 'g') && (c | 32) <= 'z' &&
             strchr("?*{", next) == NULL)
      out->regex_literals++;
  }
  return MY_OK;
}

static int read_address(parser *p, const token *t, const place *at, rhs *out)
{
  bool ip = token_is(t, "my.ip") || token_is(t, "peer.ip");
  out->kind = ip ? RHS_ADDRESS : RHS_PORT;
  out->mine = token_is(t, "my.ip") || token_is(t, "my.port");
  if (ip && (at->length || (at->width != 4 && at->width != 16)))
    return parse_fail(p, t, "an address against %u byte(s): expected a place of 4 or 16",
                      at->width);
  if (!ip && !at->sport && (at->length || at->width != 2))
    return parse_fail(p, t, "a port against %u byte(s): expected a place of 2", at->width);
  if (!token_is(parse_peek(p), "^")) return MY_OK;
  parse_take(p);
  t = parse_take(p);
  transform f = {.kind = FN_XOR};
  int rc = t->kind == TOKEN_WORD ? read_hex(&p->file->memory, t->s, t->n, &f.bytes) : MY_EFORMAT;
  if (rc == MY_EFORMAT)
    return parse_fail(p, t, "\"%.*s\": expected the hex that the address is XORed with", (int)t->n,
                      t->s);
  return rc == MY_OK ? add_transform(p, t, out, f) : rc;
}

static int right_word(parser *p, const token *t, const place *at, op_kind op, rhs *out)
{
  bool found;
  if (token_is(t, "my.ip") || token_is(t, "peer.ip") || token_is(t, "my.port") ||
      token_is(t, "peer.port"))
    return read_address(p, t, at, out);
  if (token_is(t, "now.ntp") || token_is(t, "now.unix")) {
    out->kind = token_is(t, "now.ntp") ? RHS_TIME_NTP : RHS_TIME_UNIX;
    if (op != OP_LIKE || at->length || at->width != 4)
      return parse_fail(p, t, "a time: expected a place of 4 bytes and the operator ~");
    return read_tolerance(p, out);
  }
  if (token_is(t, "digits")) {
    out->kind = RHS_DIGITS;
    return op == OP_LIKE ? MY_OK : parse_fail(p, t, "digits: expected the operator ~");
  }
  if (token_is(t, "dec")) return read_value(p, parse_take(p), at, op, true, out);
  if (is_bit_pattern(t->s, t->n)) return read_bits(p, t, at, out);
  if (read_length(t->s, t->n, out)) return MY_OK;
  int rc = read_function(p, t, t->s, t->n, out, &found);
  if (rc != MY_OK || found) return rc;
  if (t->s[0] == '$' || t->s[0] == '@' || starts_with(t->s, t->n, "q@")) {
    out->kind = RHS_PLACE;
    return place_from(p, t, t->s, t->n, false, &out->place);
  }
  return read_value(p, t, at, op, false, out);
}

/* The widths of both sides must fit, or the line could never hold. */
static int check_widths(parser *p, const token *t, const place *at, op_kind op, const rhs *r)
{
  size_t right = r->kind == RHS_BYTES                       ? r->bytes.len
                 : r->kind == RHS_PLACE && !r->place.length ? r->place.width
                                                            : 0;
  bool text_op = op == OP_STARTS || op == OP_HAS;
  if (right == 0 || text_op || at->length || at->sport) return MY_OK;
  if (at->to_end && r->kind == RHS_BYTES && (op == OP_EQ || op == OP_NE))
    return MY_OK; /* @ = "…": the whole reply */
  if (at->to_end || (r->kind == RHS_PLACE && r->place.to_end))
    return parse_fail(p, t, "a place without a length: expected @offset:bytes, or starts, has, ~");
  if (right != at->width)
    return parse_fail(p, t, "%zu byte(s) against %u: expected the same width on both sides", right,
                      at->width);
  return MY_OK;
}

static int parse_right(parser *p, const place *at, op_kind op, rhs *out)
{
  const token *t = parse_take(p);
  int rc;
  if (t->kind == TOKEN_TEXT) {
    out->kind = RHS_BYTES;
    out->bytes = (my_span){(const uint8_t *)t->s, t->n};
    if (at->length || at->sport) return parse_fail(p, t, "a text against a number");
    rc = t->n > 0 || op == OP_HAS ? MY_OK : parse_fail(p, t, "an empty text");
  } else if (t->kind == TOKEN_REGEX) {
    rc = op == OP_LIKE ? read_regex(p, t, out)
                       : parse_fail(p, t, "a pattern: expected the operator ~");
  } else if (t->kind == TOKEN_WORD) {
    rc = right_word(p, t, at, op, out);
  } else {
    rc = parse_fail(p, t, "expected what the place is compared with");
  }
  if (rc == MY_OK && op == OP_LIKE && out->kind != RHS_REGEX && out->kind != RHS_TIME_NTP &&
      out->kind != RHS_TIME_UNIX && out->kind != RHS_DIGITS)
    rc = parse_fail(p, t, "after ~: expected m/…/, digits, now.ntp or now.unix");
  if (rc == MY_OK && (op == OP_STARTS || op == OP_HAS) && out->kind != RHS_BYTES &&
      out->kind != RHS_PLACE)
    rc = parse_fail(p, t, "after starts and has: expected a text, hex or a place");
  return rc == MY_OK ? check_widths(p, t, at, op, out) : rc;
}

static int read_op(parser *p, op_kind *out)
{
  static const char *const names[] = {"=", "!=", "<", "<=", ">", ">=", "starts", "has", "~"};
  const token *t = parse_take(p);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (token_is(t, names[i])) {
      *out = (op_kind)i;
      return MY_OK;
    }
  }
  return parse_fail(p, t, "\"%.*s\": expected = != < <= > >= starts has or ~", (int)t->n, t->s);
}

static int read_mask(parser *p, line *l)
{
  parse_take(p);
  const token *t = parse_take(p);
  int rc = t->kind == TOKEN_WORD ? read_hex(&p->file->memory, t->s, t->n, &l->mask) : MY_EFORMAT;
  if (rc == MY_ENOMEM) return rc;
  if (rc != MY_OK || l->at.length || l->at.sport || l->at.to_end || l->mask.len != l->at.width)
    return parse_fail(p, t, "mask \"%.*s\": expected %u byte(s) of hex", (int)t->n, t->s,
                      l->at.width);
  return MY_OK;
}

static int parse_check(parser *p, line *l)
{
  int rc;
  if (token_is(parse_peek(p), "&") && (rc = read_mask(p, l)) != MY_OK) return rc;
  if ((rc = read_op(p, &l->op)) != MY_OK) return rc;
  bool text_op = l->op == OP_STARTS || l->op == OP_HAS || l->op == OP_LIKE;
  if (text_op && !l->at.length && l->at.width == 1) /* @o: from there to the end */
    l->at.to_end = true;
  do {
    rhs r = {0};
    rhs *list = grow(&p->file->memory, l->right, l->right_count, sizeof *list);
    if (list == NULL) return MY_ENOMEM;
    l->right = list;
    rc = parse_right(p, &l->at, l->op, &r);
    l->right[l->right_count++] = r; /* also on failure: it may own a pattern */
    if (rc != MY_OK) return rc;
  } while (token_is(parse_peek(p), "or") && parse_take(p) != NULL);
  return MY_OK;
}

int parse_line(parser *p, line_kind kind, bool soft, bool any)
{
  my_sig *s = p->sig;
  p->send_over = true;
  if (s->line_count == MY_LINES_MAX)
    return parse_fail(p, &p->tokens[0], "more than %d lines in a signature", MY_LINES_MAX);
  s->lines = grow(&p->file->memory, s->lines, s->line_count, sizeof *s->lines);
  if (s->lines == NULL) return MY_ENOMEM;
  line *l = &s->lines[s->line_count++];
  *l = (line){.kind = kind, .soft = soft, .number = p->line_number, .text = p->line};
  if (any && !p->last_was_any) p->any_group++;
  l->any = any ? p->any_group : 0;
  p->last_was_any = any;
  const token *t = parse_take(p);
  int rc = parse_place(p, t, true, &l->at);
  if (rc != MY_OK) return rc;
  if (kind == LINE_CHECK)
    rc = parse_check(p, l);
  else if (l->at.length || l->at.sport || l->at.to_end)
    rc = parse_fail(p, t, "vary and stable: expected a place of fixed length");
  const token *rest = parse_peek(p);
  if (rc == MY_OK && rest->kind != TOKEN_END)
    rc = parse_fail(p, rest, "\"%.*s\" after the end of the line", (int)rest->n, rest->s);
  return rc;
}
