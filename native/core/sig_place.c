/* sig_place.c - places of the request and the reply: @o, @o:n, @-o:n, q@o:n, $field, len, sport. */
#include "sig_parse.h"

#include <string.h>

bool text_starts(const char *s, size_t n, const char *prefix)
{
  size_t k = strlen(prefix);
  return n >= k && memcmp(s, prefix, k) == 0;
}

static bool text_is(const char *s, size_t n, const char *word)
{
  return n == strlen(word) && memcmp(s, word, n) == 0;
}

/* @o, @o:n, @-o:n, @ (all of it); 's' begins behind the @. */
bool read_offsets(const char *s, size_t n, place *out)
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
  out->bare = colon == NULL;
  out->offset = (uint16_t)offset;
  out->width = (uint16_t)width;
  return true;
}

static int check_request_bounds(parser *p, const token *t, const place *at)
{
  if (at->of != OF_REQUEST) return MY_OK;
  size_t end = at->to_end ? 1 : at->from_end ? at->offset : (size_t)at->offset + at->width;
  if (end <= p->probe_len) return MY_OK;
  return parse_fail(p, t, "\"%.*s\" reaches past the probe's %zu bytes", (int)t->n, t->s,
                    p->probe_len);
}

static int find_field(parser *p, const token *t, const char *name, size_t n, place *out)
{
  const my_sig *s = p->sig;
  for (size_t i = 0; i < s->field_count; i++) {
    if (!text_is(name, n, s->fields[i].name)) continue;
    if (s->fields[i].len > VALUE_MAX)
      return parse_fail(p, t, "$%.*s is longer than %d bytes", (int)n, name, VALUE_MAX);
    out->of = OF_REQUEST;
    out->offset = s->fields[i].offset;
    out->width = s->fields[i].len;
    return MY_OK;
  }
  return parse_fail(p, t, "$%.*s: no field of that name in `send`", (int)n, name);
}

int read_place(parser *p, const token *t, const char *s, size_t n, bool left, place *out)
{
  bool length = text_starts(s, n, "len.");
  if (length) s += 4, n -= 4;
  bool request = text_starts(s, n, "q.") || text_starts(s, n, "q@");
  bool named = n > 1 && s[0] == '$';
  *out = (place){.of = request ? OF_REQUEST : OF_REPLY};
  if (left && (request || named))
    return parse_fail(p, t, "\"%.*s\": the left side is a place of the reply", (int)n, s);
  if (named) return find_field(p, t, s + 1, n - 1, out);
  if (left && text_is(s, n, "sport")) {
    out->sport = true;
    p->sig->any_port = true;
    return MY_OK;
  }
  if (text_is(s, n, "len") || text_is(s, n, "q.len")) {
    out->length = true;
    return MY_OK;
  }
  size_t prefix = !request ? 0 : s[1] == '.' ? 2 : 1;
  s += prefix;
  n -= prefix;
  if (is_view(s, n)) {
    int rc = read_view(p, t, s, n, out);
    out->length = length;
    return rc;
  }
  if (length)
    return parse_fail(p, t, "\"%.*s\": expected a view such as len.ben./r/id", (int)t->n, t->s);
  if (n == 0 || s[0] != '@' || !read_offsets(s + 1, n - 1, out))
    return parse_fail(
        p, t,
        "\"%.*s\": expected a place: @offset, @offset:bytes (1 to %d), @-offset:bytes, h.name, len",
        (int)t->n, t->s, VALUE_MAX);
  return check_request_bounds(p, t, out);
}

int parse_place(parser *p, const token *t, bool left, place *out)
{
  if (t->kind != TOKEN_WORD) return parse_fail(p, t, "expected a place such as @0:2");
  return read_place(p, t, t->s, t->n, left, out);
}
