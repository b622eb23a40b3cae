/* view.c - values inside texts, BER, bencode, JSON and TLVs, found without trust in any length. */
#include "view.h"

#include <string.h>

static my_span part(my_span s, size_t from, size_t to)
{
  return (my_span){from > 0 ? s.data + from : s.data, to - from};
}

/* ---- texts ---- */

static bool is_blank(uint8_t c)
{
  return c == ' ' || c == '\t';
}

static bool is_space(uint8_t c)
{
  return is_blank(c) || c == '\r' || c == '\n';
}

static bool find_word(my_span s, uint32_t index, my_span *out)
{
  for (size_t at = 0, end; at < s.len; at = end) {
    while (at < s.len && is_space(s.data[at]))
      at++;
    for (end = at; end < s.len && !is_space(s.data[end]);)
      end++;
    if (end == at) return false;
    if (index-- == 0) {
      *out = part(s, at, end);
      return true;
    }
  }
  return false;
}

static uint8_t lower(uint8_t c)
{
  return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 32) : c;
}

/* "Name: value" in the line from..to: where the value begins, 0 where the name is another. */
static size_t after_name(my_span s, size_t from, size_t to, my_span name)
{
  if (to - from <= name.len) return 0;
  for (size_t i = 0; i < name.len; i++)
    if (lower(s.data[from + i]) != lower(name.data[i])) return 0;
  size_t at = from + name.len;
  while (at < to && is_blank(s.data[at]))
    at++;
  return at < to && s.data[at] == ':' ? at + 1 : 0;
}

/* The first line says what the message is; headers end at an empty one. */
static bool find_header(my_span s, my_span name, my_span *out)
{
  bool first = true;
  for (size_t from = 0, next; from < s.len; from = next, first = false) {
    const uint8_t *stop = memchr(s.data + from, '\n', s.len - from);
    size_t to = stop != NULL ? (size_t)(stop - s.data) : s.len;
    next = to + 1;
    if (to > from && s.data[to - 1] == '\r') to--;
    if (to == from) return false;
    size_t value = first ? 0 : after_name(s, from, to, name);
    if (value == 0) continue;
    while (value < to && is_blank(s.data[value]))
      value++;
    while (to > value && is_blank(s.data[to - 1]))
      to--;
    *out = part(s, value, to);
    return true;
  }
  return false;
}

/* ---- BER (X.690), definite lengths ---- */

/* Behind the tag at 'at' of an element that may have several bytes of it. 0: damaged. */
static size_t ber_tag_end(my_span s, size_t at)
{
  enum { LONG_TAG = 0x1f, MORE = 0x80, LONGEST = 5 };
  size_t end = at + 1;
  if ((s.data[at] & LONG_TAG) != LONG_TAG) return end;
  while (end < s.len && end - at < LONGEST && (s.data[end] & MORE) != 0)
    end++;
  return end < s.len && end - at < LONGEST ? end + 1 : 0;
}

/* The content of the element at 'at'. false: it is damaged, or reaches outside. */
static bool ber_content(my_span s, size_t at, my_span *out)
{
  size_t head = at < s.len ? ber_tag_end(s, at) : 0, len;
  if (head == 0 || head >= s.len) return false;
  uint8_t first = s.data[head++];
  len = first & 0x7f;
  if (first & 0x80) {
    size_t count = len;
    if (count == 0 || count > 4 || count > s.len - head) return false;
    for (len = 0; count > 0; count--)
      len = len << 8 | s.data[head++];
  }
  if (len > s.len - head) return false;
  *out = part(s, head, head + len);
  return true;
}

static bool find_ber(const view *v, my_span s, my_span *out)
{
  my_span content = s;
  size_t at = 0, seen = 0;
  for (size_t step = 0; step < v->step_count; step++) {
    s = content;
    at = 0;
    for (uint32_t skip = v->path[step].index;; skip--) {
      if (seen++ > VIEW_ELEMENTS_MAX || !ber_content(s, at, &content)) return false;
      if (skip == 0) break;
      at = (size_t)(content.data + content.len - s.data);
    }
  }
  *out = v->tag ? part(s, at, at + 1) : content;
  return true;
}

/* ---- bencode (BEP 3) ---- */

/* The string at 'at' ("4:spam"): its bytes. */
static bool ben_string(my_span s, size_t at, my_span *out)
{
  size_t len = 0, digits = 0;
  for (; at < s.len && s.data[at] >= '0' && s.data[at] <= '9' && digits < 6; at++, digits++)
    len = 10 * len + (size_t)(s.data[at] - '0');
  if (digits == 0 || at >= s.len || s.data[at] != ':' || len > s.len - at - 1) return false;
  *out = part(s, at + 1, at + 1 + len);
  return true;
}

/* Behind the value at 'at'. 0: damaged, or nested too deeply. */
static size_t ben_end(my_span s, size_t at)
{
  size_t depth = 0, start = at;
  do {
    my_span text;
    if (at >= s.len) return 0;
    uint8_t c = s.data[at];
    if (c == 'i') {
      const uint8_t *end = memchr(s.data + at, 'e', s.len - at);
      if (end == NULL) return 0;
      at = (size_t)(end - s.data) + 1;
    } else if (c == 'd' || c == 'l') {
      if (++depth > VIEW_NESTING_MAX) return 0;
      at++;
    } else if (c == 'e') {
      if (at == start) return 0;
      depth--;
      at++;
    } else if (ben_string(s, at, &text)) {
      at = (size_t)(text.data + text.len - s.data);
    } else {
      return 0;
    }
  } while (depth > 0);
  return at;
}

static bool ben_key_is(my_span s, size_t at, const view_step *step, size_t *value)
{
  my_span key;
  if (!ben_string(s, at, &key)) return false;
  *value = (size_t)(key.data + key.len - s.data);
  return key.len == step->key.len && memcmp(key.data, step->key.data, key.len) == 0;
}

/* Into the list or dictionary at *at, to the value that the step names. */
static bool ben_enter(my_span s, size_t *at, const view_step *step)
{
  bool dict = *at < s.len && s.data[*at] == 'd';
  uint32_t skip = step->index;
  if (*at >= s.len || (!dict && (s.data[*at] != 'l' || !step->is_index))) return false;
  for (size_t i = *at + 1; i < s.len && s.data[i] != 'e';) {
    size_t value = i;
    bool found = dict ? ben_key_is(s, i, step, &value) : skip-- == 0;
    if (dict && value == i) return false;
    if (found) {
      *at = value;
      return true;
    }
    if ((i = ben_end(s, value)) == 0) return false;
  }
  return false;
}

static bool find_ben(const view *v, my_span s, my_span *out)
{
  size_t at = 0;
  for (size_t i = 0; i < v->step_count; i++)
    if (!ben_enter(s, &at, &v->path[i])) return false;
  size_t end = ben_end(s, at);
  if (end == 0) return false;
  if (ben_string(s, at, out)) return true;
  *out = s.data[at] == 'i' ? part(s, at + 1, end - 1) : part(s, at, end);
  return true;
}

/* ---- JSON (RFC 8259) ---- */

static size_t json_blanks(my_span s, size_t at)
{
  while (at < s.len && is_space(s.data[at]))
    at++;
  return at;
}

/* Behind the string whose first quote stands at 'at'. 0: it has no end. */
static size_t json_string_end(my_span s, size_t at)
{
  for (at++; at < s.len && s.data[at] != '"'; at++)
    if (s.data[at] == '\\') at++;
  return at < s.len ? at + 1 : 0;
}

/* Behind the value at 'at'. 0: damaged, or nested too deeply. */
static size_t json_end(my_span s, size_t at)
{
  size_t depth = 0, start = at;
  for (; at < s.len; at++) {
    uint8_t c = s.data[at];
    if (c == '"') {
      if ((at = json_string_end(s, at)) == 0) return 0;
      if (depth == 0) return at;
      at--;
    } else if (c == '{' || c == '[') {
      if (++depth > VIEW_NESTING_MAX) return 0;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return at > start ? at : 0; /* the end of what holds a number */
      if (--depth == 0) return at + 1;
    } else if (depth == 0 && (c == ',' || is_space(c))) {
      return at > start ? at : 0;
    }
  }
  return depth == 0 && at > start ? at : 0;
}

/* The string at 'at' is the key, and a colon follows. *value: where its value begins, 0: damaged.
 */
static bool json_key_is(my_span s, size_t at, const view_step *step, size_t *value)
{
  *value = 0;
  if (at >= s.len || s.data[at] != '"') return false;
  size_t end = json_string_end(s, at);
  if (end == 0) return false;
  size_t colon = json_blanks(s, end);
  if (colon >= s.len || s.data[colon] != ':') return false;
  *value = json_blanks(s, colon + 1);
  size_t len = end - at - 2;
  return len == step->key.len && memcmp(s.data + at + 1, step->key.data, len) == 0;
}

static bool json_enter(my_span s, size_t *at, const view_step *step)
{
  size_t i = json_blanks(s, *at);
  bool object = i < s.len && s.data[i] == '{';
  uint32_t skip = step->index;
  if (i >= s.len || (!object && (s.data[i] != '[' || !step->is_index))) return false;
  for (i = json_blanks(s, i + 1); i < s.len && s.data[i] != '}' && s.data[i] != ']';) {
    size_t value = i;
    bool found = object ? json_key_is(s, i, step, &value) : skip-- == 0;
    if (object && value == 0) return false;
    if (found) {
      *at = value;
      return true;
    }
    if ((i = json_end(s, value)) == 0) return false;
    i = json_blanks(s, i);
    if (i < s.len && s.data[i] == ',') i = json_blanks(s, i + 1);
  }
  return false;
}

static bool find_json(const view *v, my_span s, my_span *out)
{
  size_t at = json_blanks(s, 0);
  for (size_t i = 0; i < v->step_count; i++)
    if (!json_enter(s, &at, &v->path[i])) return false;
  size_t end = json_end(s, at);
  if (end == 0) return false;
  *out = s.data[at] == '"' ? part(s, at + 1, end - 1) : part(s, at, end);
  return true;
}

/* ---- TLV ---- */

static uint32_t read_uint(const uint8_t *s, size_t width, bool little)
{
  uint32_t value = 0;
  for (size_t i = 0; i < width; i++)
    value = value << 8 | s[little ? width - 1 - i : i];
  return value;
}

static bool find_tlv(const view *v, my_span s, my_span *out)
{
  const tlv_format *f = &v->tlv;
  size_t head = (size_t)f->type_width + f->length_width, at = f->header;
  for (size_t seen = 0; seen < VIEW_ELEMENTS_MAX && at <= s.len && s.len - at >= head; seen++) {
    uint32_t type = read_uint(s.data + at, f->type_width, f->little);
    uint32_t len = read_uint(s.data + at + f->type_width, f->length_width, f->little);
    at += head;
    if (len > s.len - at) return false;
    if (type == v->index) {
      *out = part(s, at, at + len);
      return true;
    }
    at += (len + f->pad - 1) / f->pad * f->pad;
  }
  return false;
}

/* ---- all together ---- */

bool view_find(const view *v, my_span whole, my_span *out)
{
  *out = (my_span){0};
  if (whole.len == 0) return false;
  switch (v->kind) {
  case VIEW_WORD:
    return find_word(whole, v->index, out);
  case VIEW_HEADER:
    return find_header(whole, v->path[0].key, out);
  case VIEW_BER:
    return find_ber(v, whole, out);
  case VIEW_BEN:
    return find_ben(v, whole, out);
  case VIEW_JSON:
    return find_json(v, whole, out);
  case VIEW_TLV:
    return find_tlv(v, whole, out);
  }
  return false;
}
