/* learn_walk.c - how the replies of a lesson are written, and the values in them that have names in
 * the language: headers of a text, elements of BER, keys of bencode and JSON, TLVs. */
#include "learn.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- names ---- */

static bool in_all(const lesson *s, const view *v)
{
  my_span value;
  for (size_t i = 0; i < s->count; i++)
    if (!view_find(v, s->list[i]->pair.reply, &value) || value.len == 0) return false;
  return true;
}

/* The next view, to be filled in; NULL where there is no more room. */
static named_view *next_view(lesson *s)
{
  if (s->view_count == VIEWS_MAX) return NULL;
  s->views[s->view_count] = (named_view){0};
  return &s->views[s->view_count];
}

/* It counts if every reply has such a value, and it was not there before. */
static void keep_view(lesson *s)
{
  named_view *n = &s->views[s->view_count];
  bool again = false;
  for (size_t i = 0; i < s->view_count; i++)
    again |= strcmp(s->views[i].name, n->name) == 0;
  s->view_count += n->name[0] != 0 && !again && in_all(s, &n->view);
}

__attribute__((format(printf, 2, 3))) static void name_view(named_view *n, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  int len = vsnprintf(n->name, sizeof n->name, format, args);
  va_end(args);
  if (len < 0 || (size_t)len >= sizeof n->name) n->name[0] = 0; /* too long to be told */
}

/* Letters that a path of the language may have. */
static bool is_key(my_span key)
{
  enum { KEY_MAX = 20 };
  for (size_t i = 0; i < key.len; i++) {
    uint8_t c = key.data[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
    if (!letter && (i == 0 || c < '0' || c > '9')) return false;
  }
  return key.len > 0 && key.len <= KEY_MAX;
}

/* ---- texts ---- */

static bool is_text(my_span s)
{
  for (size_t i = 0; i < s.len; i++)
    if ((s.data[i] < 32 || s.data[i] == 127) && s.data[i] != '\r' && s.data[i] != '\n' &&
        s.data[i] != '\t')
      return false;
  return s.len > 0;
}

static void add_word(lesson *s, unsigned index)
{
  named_view *n = next_view(s);
  if (n == NULL) return;
  n->view = (view){.kind = VIEW_WORD, .index = index};
  name_view(n, "w%u", index);
  keep_view(s);
}

static void add_header(lesson *s, my_span key)
{
  named_view *n = next_view(s);
  if (n == NULL || !is_key(key)) return;
  n->view = (view){.kind = VIEW_HEADER, .step_count = 1, .path = {{.key = key}}};
  name_view(n, "h.%.*s", (int)key.len, (const char *)key.data);
  for (char *c = n->name; *c != 0; c++)
    if (*c >= 'A' && *c <= 'Z') *c = (char)(*c | 32);
  keep_view(s);
}

/* The header lines behind the first, up to an empty one. */
static void walk_text(lesson *s)
{
  enum { WORDS = 2 };
  my_span whole = s->list[0]->pair.reply;
  for (unsigned i = 0; i < WORDS; i++)
    add_word(s, i);
  const uint8_t *at = memchr(whole.data, '\n', whole.len), *end = whole.data + whole.len;
  while (at != NULL && ++at < end && *at != '\r' && *at != '\n') {
    const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
    const uint8_t *colon = memchr(at, ':', (size_t)((stop != NULL ? stop : end) - at));
    if (colon != NULL) add_header(s, (my_span){at, (size_t)(colon - at)});
    at = stop;
  }
}

static bool has_headers(my_span reply)
{
  const uint8_t *first = memchr(reply.data, '\n', reply.len);
  if (first == NULL || !is_text(reply)) return false;
  size_t rest = reply.len - (size_t)(++first - reply.data);
  const uint8_t *stop = memchr(first, '\n', rest), *colon = memchr(first, ':', rest);
  return colon != NULL && stop != NULL && colon < stop &&
         is_key((my_span){first, (size_t)(colon - first)});
}

/* ---- BER ---- */

/* Behind the element at 'at', whose head and content view_find reads. 0: damaged. */
static size_t ber_end(my_span s, size_t at)
{
  view first = {.kind = VIEW_BER, .step_count = 1, .path = {{.is_index = true}}};
  my_span content;
  if (at >= s.len || !view_find(&first, (my_span){s.data + at, s.len - at}, &content)) return 0;
  return (size_t)(content.data + content.len - s.data);
}

static bool is_ber(my_span reply)
{
  enum { LEAST = 8, SEQUENCE = 0x20 };
  return reply.len >= LEAST && (reply.data[0] & SEQUENCE) != 0 && ber_end(reply, 0) == reply.len;
}

static void add_element(lesson *s, const view *path, bool tag)
{
  named_view *n = next_view(s);
  if (n == NULL) return;
  n->view = *path;
  n->view.tag = tag;
  size_t used = (size_t)snprintf(n->name, sizeof n->name, tag ? "tag" : "ber");
  for (size_t i = 0; i < path->step_count && used < sizeof n->name; i++)
    used += (size_t)snprintf(n->name + used, sizeof n->name - used, ".%u", path->path[i].index);
  if (used >= sizeof n->name) n->name[0] = 0;
  keep_view(s);
}

/* The elements of a message in their order, each before those inside it. */
static void walk_ber(lesson *s)
{
  enum { DEPTH_MAX = 6, SEQUENCE = 0x20 };
  my_span whole = s->list[0]->pair.reply;
  size_t end[DEPTH_MAX], at = 0;
  view path = {.kind = VIEW_BER, .step_count = 1, .path = {{.is_index = true}}};
  end[0] = whole.len;
  while (s->view_count < VIEWS_MAX) {
    size_t depth = path.step_count, next = ber_end((my_span){whole.data, end[depth - 1]}, at);
    my_span content;
    if (next == 0 || !view_find(&path, whole, &content)) return;
    bool inside = (whole.data[at] & SEQUENCE) != 0 && content.len > 0;
    add_element(s, &path, true);
    if (!inside) add_element(s, &path, false);
    if (inside && depth < DEPTH_MAX) {
      path.path[path.step_count++] = (view_step){.is_index = true};
      at = (size_t)(content.data - whole.data);
      end[depth] = next;
      continue;
    }
    for (at = next; path.step_count > 0 && at >= end[path.step_count - 1]; path.step_count--)
      at = end[path.step_count - 1];
    if (path.step_count == 0) return;
    path.path[path.step_count - 1].index++;
  }
}

/* ---- bencode and JSON ---- */

/* Does the first value reach to the end? Both views read a value without a path as the whole. */
static bool is_value_of(view_kind kind, my_span reply, char open)
{
  view whole = {.kind = kind};
  my_span value;
  if (reply.len < 2 || reply.data[0] != (uint8_t)open || !view_find(&whole, reply, &value))
    return false;
  size_t end = (size_t)(value.data + value.len - reply.data);
  while (end < reply.len && kind == VIEW_JSON && strchr(" \r\n\t", reply.data[end]) != NULL)
    end++;
  return end == reply.len;
}

static void add_path(lesson *s, const view *path)
{
  named_view *n = next_view(s);
  bool json = path->kind == VIEW_JSON;
  if (n == NULL) return;
  n->view = *path;
  size_t used = (size_t)snprintf(n->name, sizeof n->name, json ? "json" : "ben.");
  for (size_t i = 0; i < path->step_count && used < sizeof n->name; i++)
    used += (size_t)snprintf(n->name + used, sizeof n->name - used, json ? ".%.*s" : "/%.*s",
                             (int)path->path[i].key.len, (const char *)path->path[i].key.data);
  if (used >= sizeof n->name) n->name[0] = 0;
  keep_view(s);
}

/* What may be a key behind the quote or the colon at 'at'. Empty: none. */
static my_span key_at(my_span s, size_t at)
{
  size_t end = at + 1;
  if (s.data[at] == ':')
    end += s.data[at - 1] >= '0' && s.data[at - 1] <= '9' ? (size_t)(s.data[at - 1] - '0') : 0;
  else
    while (end < s.len && s.data[end] != '"')
      end++;
  return end < s.len ? (my_span){s.data + at + 1, end - at - 1} : (my_span){0};
}

/* Keys are found as texts between quotes, or behind their length, wherever they stand: whether one
 * is a key of the table that 'path' leads to, view_find says. */
static void walk_keys(lesson *s, view *path)
{
  enum { DEPTH_MAX = 3, GAP = 8 /* bytes between a key and its value */ };
  my_span whole = s->list[0]->pair.reply, value;
  if (!view_find(path, whole, &value)) return;
  char open = path->kind == VIEW_JSON ? '{' : 'd', mark = path->kind == VIEW_JSON ? '"' : ':';
  if (value.len == 0 || value.data[0] != (uint8_t)open) {
    add_path(s, path);
    return;
  }
  if (path->step_count == DEPTH_MAX) return;
  for (size_t at = 1; at < value.len && s->view_count < VIEWS_MAX; at++) {
    if (value.data[at] != (uint8_t)mark) continue;
    my_span key = key_at(value, at), found;
    if (!is_key(key)) continue;
    path->path[path->step_count++] = (view_step){.key = key};
    /* The value of a key of this very table stands right behind it. */
    if (view_find(path, whole, &found) && found.data >= key.data + key.len &&
        (size_t)(found.data - key.data) <= key.len + GAP)
      walk_keys(s, path);
    path->step_count--;
  }
}

/* ---- TLV ---- */

static uint32_t read_number(const uint8_t *bytes, size_t width, bool little)
{
  uint32_t value = 0;
  for (size_t i = 0; i < width; i++)
    value = value << 8 | bytes[little ? width - 1 - i : i];
  return value;
}

/* Elements up to the very end; 0: they do not fit. */
static size_t count_elements(my_span s, const tlv_format *f)
{
  size_t head = (size_t)f->type_width + f->length_width, n = 0, at = f->header;
  for (; at < s.len; n++) {
    if (s.len - at < head) return 0;
    size_t len = read_number(s.data + at + f->type_width, f->length_width, f->little);
    at += head + (len + f->pad - 1) / f->pad * f->pad;
    if (len == 0 || n > VIEWS_MAX) return 0;
  }
  return at == s.len ? n : 0;
}

/* With two bytes each of type and length hardly anything parses by chance. */
static bool find_tlv_format(const lesson *s, tlv_format *out)
{
  static const uint16_t headers[] = {4, 8, 12, 16, 20, 24, 28};
  for (size_t h = 0; h < sizeof headers / sizeof *headers; h++)
    for (int shape = 0; shape < 4; shape++) {
      tlv_format f = {headers[h], 2, 2, shape % 2 == 0 ? 4 : 1, shape >= 2};
      size_t i = 0, more = 0;
      for (; i < s->count; i++) {
        size_t n = count_elements(s->list[i]->pair.reply, &f);
        if (n == 0) break;
        more += n > 1;
      }
      if (i < s->count || more == 0) continue;
      *out = f;
      return true;
    }
  return false;
}

static void walk_tlv(lesson *s)
{
  my_span whole = s->list[0]->pair.reply;
  const tlv_format *f = &s->tlv;
  for (size_t at = f->header; at < whole.len;) {
    named_view *n = next_view(s);
    if (n == NULL) return;
    uint32_t type = read_number(whole.data + at, 2, f->little);
    size_t len = read_number(whole.data + at + 2, 2, f->little);
    n->view = (view){.kind = VIEW_TLV, .index = type, .tlv = *f};
    name_view(n, "tlv.%x", type);
    keep_view(s);
    at += 4 + (len + f->pad - 1) / f->pad * f->pad;
  }
}

/* ---- all together ---- */

static bool all_are(const lesson *s, reply_form form)
{
  for (size_t i = 0; i < s->count; i++) {
    my_span r = s->list[i]->pair.reply;
    bool is = form == FORM_TEXT      ? has_headers(r)
              : form == FORM_BER     ? is_ber(r)
              : form == FORM_BENCODE ? is_value_of(VIEW_BEN, r, 'd')
                                     : is_value_of(VIEW_JSON, r, '{');
    if (!is) return false;
  }
  return true;
}

void name_views(lesson *s)
{
  view path = {0};
  s->form = FORM_PLAIN;
  for (reply_form form = FORM_TEXT; form <= FORM_JSON && s->form == FORM_PLAIN; form++)
    if (all_are(s, form)) s->form = form;
  if (s->form == FORM_PLAIN && find_tlv_format(s, &s->tlv)) s->form = FORM_TLV;
  path.kind = s->form == FORM_JSON ? VIEW_JSON : VIEW_BEN;
  if (s->form == FORM_TEXT) walk_text(s);
  if (s->form == FORM_BER) walk_ber(s);
  if (s->form == FORM_BENCODE || s->form == FORM_JSON) walk_keys(s, &path);
  if (s->form == FORM_TLV) walk_tlv(s);
}
