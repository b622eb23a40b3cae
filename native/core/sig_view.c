/* sig_view.c - places inside a text, BER, bencode, JSON or TLVs: w0, h.via, ber.0.2, ben./t,
 * json.id, tlv.20, with a part of the value in brackets; and `view`, which says how TLVs lie. */
#include "sig_parse.h"

#include <string.h>

static const struct {
  const char *word;
  view_kind kind;
  bool tag;
} views[] = {{"h.", VIEW_HEADER, false}, {"ber.", VIEW_BER, false},   {"tag.", VIEW_BER, true},
             {"ben.", VIEW_BEN, false},  {"json.", VIEW_JSON, false}, {"tlv.", VIEW_TLV, false}};

static bool is_word_view(const char *s, size_t n)
{
  return n > 1 && s[0] == 'w' && s[1] >= '0' && s[1] <= '9';
}

bool is_view(const char *s, size_t n)
{
  for (size_t i = 0; i < sizeof views / sizeof *views; i++)
    if (text_starts(s, n, views[i].word)) return true;
  return is_word_view(s, n);
}

/* ---- paths ---- */

static int add_step(parser *p, const token *t, view *v, const char *s, size_t n)
{
  view_step step = {0};
  uint64_t index;
  if (n == 0)
    return parse_fail(p, t, "\"%.*s\": expected a name or a number behind each separator",
                      (int)t->n, t->s);
  if (v->step_count == VIEW_STEPS_MAX)
    return parse_fail(p, t, "\"%.*s\": more than %d steps", (int)t->n, t->s, VIEW_STEPS_MAX);
  step.is_index = read_decimal(s, n, 0, VIEW_ELEMENTS_MAX, &index);
  if (step.is_index) step.index = (uint32_t)index;
  if (!step.is_index && v->kind == VIEW_BER)
    return parse_fail(p, t, "\"%.*s\": expected indexes of elements such as ber.0.2", (int)t->n,
                      t->s);
  step.key = (my_span){(const uint8_t *)arena_text(&p->file->memory, s, n), n};
  if (step.key.data == NULL) return MY_ENOMEM;
  v->path[v->step_count++] = step;
  return MY_OK;
}

static int read_path(parser *p, const token *t, const char *s, size_t n, char separator, view *v)
{
  for (size_t from = 0, to; from <= n; from = to + 1) {
    for (to = from; to < n && s[to] != separator;)
      to++;
    int rc = add_step(p, t, v, s + from, to - from);
    if (rc != MY_OK) return rc;
  }
  return MY_OK;
}

static int read_type(parser *p, const token *t, const char *s, size_t n, view *v)
{
  v->tlv = p->tlv;
  if (p->tlv.type_width == 0)
    return parse_fail(p, t, "\"%.*s\" without `view tlv HEADER TYPE LENGTH be|le PAD` before it",
                      (int)t->n, t->s);
  for (size_t i = 0; i < n; i++) {
    int digit = hex_value(s[i]);
    if (digit < 0 || n > 8)
      return parse_fail(p, t, "\"%.*s\": expected the type in hex", (int)t->n, t->s);
    v->index = v->index << 4 | (uint32_t)digit;
  }
  return n > 0 ? MY_OK : parse_fail(p, t, "tlv.: expected the type in hex");
}

static int read_value_of(parser *p, const token *t, const char *s, size_t n, view *v)
{
  uint64_t index;
  if (is_word_view(s, n)) {
    if (!read_decimal(s + 1, n - 1, 0, VIEW_ELEMENTS_MAX, &index))
      return parse_fail(p, t, "\"%.*s\": expected w and the number of a word", (int)t->n, t->s);
    *v = (view){.kind = VIEW_WORD, .index = (uint32_t)index};
    return MY_OK;
  }
  for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
    size_t word = strlen(views[i].word);
    if (!text_starts(s, n, views[i].word)) continue;
    *v = (view){.kind = views[i].kind, .tag = views[i].tag};
    s += word;
    n -= word;
    if (v->kind == VIEW_TLV) return read_type(p, t, s, n, v);
    if (v->kind == VIEW_HEADER) return add_step(p, t, v, s, n);
    if (v->kind != VIEW_BEN) return read_path(p, t, s, n, '.', v);
    if (n == 0 || s[0] != '/')
      return parse_fail(p, t, "\"%.*s\": expected keys behind slashes such as ben./r/id", (int)t->n,
                        t->s);
    return read_path(p, t, s + 1, n - 1, '/', v);
  }
  return MY_EFORMAT;
}

/* ---- places ---- */

/* The request is known: there the view becomes a place of fixed offset. */
static int resolve_in_request(parser *p, const token *t, const view *v, place *out)
{
  place whole = *out;
  my_pair pair = {.request = {p->probe, p->probe_len}};
  my_span bytes;
  int rc = set_lengths(p);
  if (rc != MY_OK) return rc;
  whole.in = v;
  if (!place_bytes(&whole, &pair, &bytes) || bytes.len == 0 || bytes.len > VALUE_MAX)
    return parse_fail(p, t, "\"%.*s\": the probe has no such value of 1 to %d bytes", (int)t->n,
                      t->s, VALUE_MAX);
  *out = (place){
      .of = OF_REQUEST, .offset = (uint16_t)(bytes.data - p->probe), .width = (uint16_t)bytes.len};
  return MY_OK;
}

/* h.via, tlv.20[4:4]; out->of is set. */
int read_view(parser *p, const token *t, const char *s, size_t n, place *out)
{
  const char *bracket = n > 0 && s[n - 1] == ']' ? memrchr(s, '[', n) : NULL;
  size_t head = bracket != NULL ? (size_t)(bracket - s) : n;
  of_kind of = out->of;
  *out = (place){.of = of, .to_end = bracket == NULL};
  if (bracket != NULL && (n - head < 3 || !read_offsets(bracket + 1, n - head - 2, out)))
    return parse_fail(p, t, "\"%.*s\": expected a part such as [4:4], [-2:2] or [0]", (int)t->n,
                      t->s);
  view *v = arena_alloc(&p->file->memory, sizeof *v);
  if (v == NULL) return MY_ENOMEM;
  int rc = read_value_of(p, t, s, head, v);
  if (rc != MY_OK) return rc;
  if (of == OF_REQUEST) return resolve_in_request(p, t, v, out);
  out->in = v;
  return MY_OK;
}

/* ---- view tlv 20 2 2 be 4 ---- */

static int take_count(parser *p, const char *what, uint64_t low, uint64_t high, uint64_t *out)
{
  const token *t = parse_take(p);
  if (t->kind == TOKEN_WORD && read_decimal(t->s, t->n, low, high, out)) return MY_OK;
  return parse_fail(p, t, "%s \"%.*s\": expected a decimal byte count from %u to %u", what,
                    (int)t->n, t->s, (unsigned)low, (unsigned)high);
}

int parse_view(parser *p, const token *word)
{
  uint64_t header, type, length, pad;
  int rc;
  (void)word;
  const token *t = parse_take(p);
  if (!token_is(t, "tlv")) return parse_fail(p, t, "view \"%.*s\": expected tlv", (int)t->n, t->s);
  if ((rc = take_count(p, "header", 0, 65535, &header)) != MY_OK ||
      (rc = take_count(p, "type", 1, 4, &type)) != MY_OK ||
      (rc = take_count(p, "length", 1, 4, &length)) != MY_OK)
    return rc;
  t = parse_take(p);
  if (!token_is(t, "be") && !token_is(t, "le"))
    return parse_fail(p, t, "\"%.*s\": expected be or le", (int)t->n, t->s);
  if ((rc = take_count(p, "pad", 1, 16, &pad)) != MY_OK) return rc;
  p->tlv = (tlv_format){(uint16_t)header, (uint8_t)type, (uint8_t)length, (uint8_t)pad,
                        token_is(t, "le")};
  return expect_end(p);
}
