/* sig_parse.c - the statements of a signature file: services, signatures, samples, what they give.
 */
#include "sig_parse.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int parse_fail(parser *p, const token *t, const char *format, ...)
{
  va_list args;
  p->where->line = p->line_number;
  p->where->column = t->column;
  va_start(args, format);
  vsnprintf(p->where->text, sizeof p->where->text, format, args);
  va_end(args);
  for (char *c = p->where->text; *c != 0; c++) /* words of the file may stand in it */
    if ((unsigned char)*c < 32 || *c == 127) *c = '?';
  return MY_ESYNTAX;
}

const token *parse_peek(const parser *p)
{
  return &p->tokens[p->at < p->count ? p->at : p->count];
}

const token *parse_take(parser *p)
{
  const token *t = parse_peek(p);
  if (p->at < p->count) p->at++;
  return t;
}

bool token_is(const token *t, const char *word)
{
  return (t->kind == TOKEN_WORD || t->kind == TOKEN_OP) && strlen(word) == t->n &&
         memcmp(t->s, word, t->n) == 0;
}

bool read_decimal(const char *s, size_t n, uint64_t low, uint64_t high, uint64_t *out)
{
  uint64_t value = 0;
  if (n == 0 || n > 18) return false;
  for (size_t i = 0; i < n; i++) {
    if (s[i] < '0' || s[i] > '9') return false;
    value = value * 10 + (uint64_t)(s[i] - '0');
  }
  *out = value;
  return value >= low && value <= high;
}

int read_hex(arena *a, const char *s, size_t n, my_span *out)
{
  if (n == 0 || n % 2 != 0) return MY_EFORMAT;
  for (size_t i = 0; i < n; i++)
    if (hex_value(s[i]) < 0) return MY_EFORMAT;
  uint8_t *bytes = arena_alloc(a, n / 2);
  if (bytes == NULL) return MY_ENOMEM;
  for (size_t i = 0; i < n; i += 2)
    bytes[i / 2] = (uint8_t)(hex_value(s[i]) << 4 | hex_value(s[i + 1]));
  *out = (my_span){bytes, n / 2};
  return MY_OK;
}

int read_repeat(arena *a, const token *t, my_span *out)
{
  uint64_t n;
  if (t->n < 4 || t->s[2] != '*' || hex_value(t->s[0]) < 0 || hex_value(t->s[1]) < 0 ||
      !read_decimal(t->s + 3, t->n - 3, 1, 65535, &n))
    return MY_EFORMAT;
  uint8_t *bytes = arena_alloc(a, n);
  if (bytes == NULL) return MY_ENOMEM;
  memset(bytes, hex_value(t->s[0]) << 4 | hex_value(t->s[1]), n);
  *out = (my_span){bytes, n};
  return MY_OK;
}

void *grow(arena *a, void *array, size_t count, size_t size)
{
  if (count > 0 && (count & (count - 1)) != 0) return array;
  void *larger = arena_alloc(a, (count == 0 ? 1 : 2 * count) * size);
  if (larger != NULL && count > 0) memcpy(larger, array, count * size);
  return larger;
}

static int expect_end(parser *p)
{
  const token *t = parse_peek(p);
  if (t->kind == TOKEN_END) return MY_OK;
  return parse_fail(p, t, "\"%.*s\" after the end of the statement", (int)t->n, t->s);
}

static int need_sig(parser *p, const token *t)
{
  if (p->sig != NULL) return MY_OK;
  return parse_fail(p, t, "\"%.*s\" outside a signature: expected `sig NAME` first", (int)t->n,
                    t->s);
}

static bool is_name(const token *t)
{
  if (t->kind != TOKEN_WORD || t->n == 0 || t->n > 60) return false;
  for (size_t i = 0; i < t->n; i++)
    if (!islower((unsigned char)t->s[i]) && !isdigit((unsigned char)t->s[i]) &&
        strchr("-_.", t->s[i]) == NULL)
      return false;
  return true;
}

static int take_name(parser *p, const char *what, char **out)
{
  const token *t = parse_take(p);
  if (!is_name(t))
    return parse_fail(p, t, "%s \"%.*s\": expected lower-case letters, digits, - _ .", what,
                      (int)t->n, t->s);
  *out = arena_text(&p->file->memory, t->s, t->n);
  return *out != NULL ? MY_OK : MY_ENOMEM;
}

static int take_text(parser *p, const char *what, const char **out)
{
  const token *t = parse_take(p);
  if (t->kind != TOKEN_TEXT) return parse_fail(p, t, "%s: expected a text in quotes", what);
  *out = arena_text(&p->file->memory, t->s, t->n);
  return *out != NULL ? MY_OK : MY_ENOMEM;
}

/* ---- the end of a signature ---- */

static int finish_sig(parser *p)
{
  my_sig *s = p->sig;
  token at = {TOKEN_END, 1, "", 0};
  if (s == NULL) return MY_OK;
  p->sig = NULL;
  unsigned line_number = p->line_number;
  p->line_number = s->info.line;
  if (s->info.banner && p->probe_len > 0)
    return parse_fail(p, &at, "sig %s: both `banner` and `send`: expected one of them",
                      s->info.name);
  if (!s->info.banner && p->probe_len == 0)
    return parse_fail(p, &at, "sig %s: nothing is sent: expected `send …` or `banner`",
                      s->info.name);
  if (s->info.banner && s->info.transport == MY_UDP)
    return parse_fail(p, &at, "sig %s: `banner` over udp: nobody speaks first there", s->info.name);
  if (s->line_count == 0)
    return parse_fail(p, &at, "sig %s: no line says what a reply owes", s->info.name);
  p->line_number = line_number;
  s->probe = arena_alloc(&p->file->memory, p->probe_len + 1);
  s->entropy = arena_alloc(&p->file->memory, p->probe_len + 1);
  if (s->probe == NULL || s->entropy == NULL) return MY_ENOMEM;
  memcpy(s->probe, p->probe, p->probe_len);
  memcpy(s->entropy, p->entropy, p->probe_len);
  s->info.probe_len = p->probe_len;
  for (size_t i = 0; i < s->slot_count; i++)
    if (s->slots[i].kind <= SLOT_NIBBLE) s->info.entropy_len += s->slots[i].len;
  for (size_t i = 0; i < s->line_count; i++)
    s->info.has_vary |= s->lines[i].kind != LINE_CHECK;
  s->info.has_control = s->control_key.len > 0;
  sig_score(s);
  return MY_OK;
}

/* ---- statements ---- */

static int parse_service(parser *p)
{
  char *name;
  int rc = finish_sig(p);
  if (rc != MY_OK || (rc = take_name(p, "service", &name)) != MY_OK) return rc;
  p->service = arena_alloc(&p->file->memory, sizeof *p->service);
  if (p->service == NULL) return MY_ENOMEM;
  p->service->name = name;
  p->service->title = "";
  return expect_end(p);
}

static int need_service(parser *p, const token *t)
{
  if (p->service != NULL && p->sig == NULL) return MY_OK;
  return parse_fail(p, t, "\"%.*s\" belongs right behind `service NAME`", (int)t->n, t->s);
}

static int parse_port_range(parser *p, const token *t, my_transport transport, const char *s,
                            size_t n)
{
  const char *dash = memchr(s, '-', n);
  uint64_t first, last;
  size_t head = dash != NULL ? (size_t)(dash - s) : n;
  if (!read_decimal(s, head, 1, 65535, &first))
    return parse_fail(p, t, "port \"%.*s\": expected 1 to 65535", (int)head, s);
  last = first;
  if (dash != NULL && !read_decimal(dash + 1, n - head - 1, first, 65535, &last))
    return parse_fail(p, t, "ports \"%.*s\": expected a range from low to high", (int)n, s);
  service *v = p->service;
  v->ports = grow(&p->file->memory, v->ports, v->port_count, sizeof *v->ports);
  if (v->ports == NULL) return MY_ENOMEM;
  v->ports[v->port_count++] = (port_range){transport, (uint16_t)first, (uint16_t)last};
  return MY_OK;
}

static int parse_ports(parser *p)
{
  const token *t = parse_take(p);
  my_transport transport = token_is(t, "tcp") ? MY_TCP : MY_UDP;
  if (!token_is(t, "udp") && !token_is(t, "tcp"))
    return parse_fail(p, t, "ports of \"%.*s\": expected udp or tcp", (int)t->n, t->s);
  do {
    t = parse_take(p);
    for (size_t i = 0, start = 0; i <= t->n; i++) {
      if (i < t->n && t->s[i] != ',') continue;
      int rc = parse_port_range(p, t, transport, t->s + start, i - start);
      if (rc != MY_OK) return rc;
      start = i + 1;
    }
  } while (parse_peek(p)->kind != TOKEN_END && !token_is(parse_peek(p), "tcp") &&
           !token_is(parse_peek(p), "udp"));
  return parse_peek(p)->kind == TOKEN_END ? MY_OK : parse_ports(p);
}

static bool name_taken(const parser *p, const char *name)
{
  for (size_t i = 0; i < p->file->count; i++)
    if (strcmp(p->file->sigs[i]->info.name, name) == 0) return true;
  return my_sigdb_find(p->db, name) != NULL;
}

static int parse_sig(parser *p, const token *t)
{
  char *name;
  int rc = finish_sig(p);
  if (rc != MY_OK) return rc;
  if (p->service == NULL)
    return parse_fail(p, t, "a signature of no service: expected `service NAME` first");
  const token *named = parse_peek(p);
  if ((rc = take_name(p, "sig", &name)) != MY_OK) return rc;
  if (name_taken(p, name))
    return parse_fail(p, named, "a second signature \"%s\": expected a name of its own", name);
  struct sig_file *f = p->file;
  if ((f->count & (f->count - 1)) == 0) {
    my_sig **larger = realloc(f->sigs, (f->count == 0 ? 1 : 2 * f->count) * sizeof *larger);
    if (larger == NULL) return MY_ENOMEM;
    f->sigs = larger;
  }
  my_sig *s = arena_alloc(&f->memory, sizeof *s);
  if (s == NULL) return MY_ENOMEM;
  f->sigs[f->count++] = p->sig = s;
  s->service = p->service;
  s->info.name = name;
  s->info.service = p->service->name;
  s->info.title = p->service->title;
  s->info.file = p->name;
  s->info.line = p->line_number;
  p->send_over = p->last_was_any = false;
  p->any_group = 0;
  p->probe_len = p->fixup_count = 0;
  return expect_end(p);
}

static int parse_over(parser *p)
{
  const token *t = parse_take(p);
  if (p->probe_len > 0 || p->sig->line_count > 0)
    return parse_fail(p, t, "`over` belongs right behind `sig NAME`");
  if (token_is(t, "udp"))
    p->sig->info.transport = MY_UDP;
  else if (token_is(t, "tcp"))
    p->sig->info.transport = MY_TCP;
  else if (token_is(t, "tls"))
    p->sig->info.transport = MY_TLS;
  else
    return parse_fail(p, t, "over \"%.*s\": expected udp, tcp or tls", (int)t->n, t->s);
  return expect_end(p);
}

static int parse_control(parser *p, const token *t)
{
  my_sig *s = p->sig;
  int rc;
  p->send_over = true;
  if (s->control_key.len > 0) return parse_fail(p, t, "a second `control`: expected one");
  const token *place_token = parse_take(p);
  if ((rc = parse_place(p, place_token, false, &s->control)) != MY_OK) return rc;
  if (s->control.view != VIEW_REQUEST || s->control.length || s->control.from_end ||
      s->control.to_end)
    return parse_fail(p, place_token,
                      "control of \"%.*s\": expected a place of the request, q@o or q@o:n",
                      (int)place_token->n, place_token->s);
  if (!token_is(parse_take(p), "^"))
    return parse_fail(p, &p->tokens[p->at - 1], "expected ^ and the bits to turn");
  t = parse_take(p);
  rc = t->kind == TOKEN_WORD ? read_hex(&p->file->memory, t->s, t->n, &s->control_key) : MY_EFORMAT;
  if (rc == MY_ENOMEM) return rc;
  if (rc != MY_OK || s->control_key.len != s->control.width)
    return parse_fail(p, t, "\"%.*s\": expected %u byte(s) of hex", (int)t->n, t->s,
                      s->control.width);
  return expect_end(p);
}

static give *add_give(parser *p)
{
  my_sig *s = p->sig;
  s->gives = grow(&p->file->memory, s->gives, s->give_count, sizeof *s->gives);
  return s->gives != NULL ? &s->gives[s->give_count++] : NULL;
}

static int parse_give(parser *p)
{
  give g = {0};
  const token *t = parse_take(p);
  int rc = parse_place(p, t, false, &g.at);
  if (rc != MY_OK) return rc;
  if (!token_is(parse_take(p), "as"))
    return parse_fail(p, &p->tokens[p->at - 1], "expected `as \"…\"`");
  if ((rc = take_text(p, "give", &g.name)) != MY_OK) return rc;
  if (p->sig->give_count == MY_GIVES_MAX)
    return parse_fail(p, t, "more than %d things given", MY_GIVES_MAX);
  give *out = add_give(p);
  if (out == NULL) return MY_ENOMEM;
  *out = g;
  return expect_end(p);
}

/* product "…", version "…": templates in which $1 and $name stand for groups of a pattern. */
static int parse_template(parser *p, const token *t)
{
  const char *text;
  int rc = take_text(p, "template", &text);
  if (rc != MY_OK) return rc;
  if (p->sig->give_count == MY_GIVES_MAX)
    return parse_fail(p, t, "more than %d things given", MY_GIVES_MAX);
  give *g = add_give(p);
  if (g == NULL || (g->name = arena_text(&p->file->memory, t->s, t->n)) == NULL) return MY_ENOMEM;
  g->text = text;
  return expect_end(p);
}

/* Hex and texts up to the operator `>` or a word that is neither. */
static int parse_bytes(parser *p, my_span *out)
{
  enum { SAMPLE_MAX = 65536 };
  uint8_t *bytes = NULL;
  size_t used = 0, room = 0;
  int rc = MY_OK;
  for (;;) {
    const token *t = parse_peek(p);
    my_span part = {(const uint8_t *)t->s, t->n};
    if (t->kind == TOKEN_WORD) {
      rc = read_repeat(&p->file->memory, t, &part);
      if (rc == MY_EFORMAT) rc = read_hex(&p->file->memory, t->s, t->n, &part);
      if (rc == MY_EFORMAT) break;
      if (rc != MY_OK) return rc;
    } else if (t->kind != TOKEN_TEXT) {
      break;
    }
    if (used + part.len > SAMPLE_MAX)
      return parse_fail(p, t, "sample longer than %d bytes", SAMPLE_MAX);
    if (used + part.len > room) {
      uint8_t *larger = arena_alloc(&p->file->memory, room = 2 * (used + part.len));
      if (larger == NULL) return MY_ENOMEM;
      if (used > 0) memcpy(larger, bytes, used);
      bytes = larger;
    }
    if (part.len > 0) memcpy(bytes + used, part.data, part.len);
    used += part.len;
    parse_take(p);
  }
  *out = (my_span){bytes, used};
  return MY_OK;
}

static int parse_sample(parser *p, bool expect)
{
  my_sample sample = {.expect = expect, .line = p->line_number};
  my_sig *s = p->sig;
  int rc = parse_bytes(p, &sample.request);
  if (rc != MY_OK) return rc;
  if (!token_is(parse_peek(p), ">"))
    return parse_fail(p, parse_peek(p),
                      "\"%.*s\": expected hex or \"text\", and > before the reply",
                      (int)parse_peek(p)->n, parse_peek(p)->s);
  parse_take(p);
  if ((rc = parse_bytes(p, &sample.reply)) != MY_OK) return rc;
  if (token_is(parse_peek(p), "my.ip")) {
    char address[64] = "";
    parse_take(p);
    const token *t = parse_take(p);
    if (t->kind == TOKEN_WORD && t->n < sizeof address) memcpy(address, t->s, t->n);
    if (my_endpoint_parse(&sample.my, address, 0) != MY_OK)
      return parse_fail(p, t, "\"%.*s\": expected an IP address", (int)t->n, t->s);
  }
  s->samples = grow(&p->file->memory, s->samples, s->sample_count, sizeof *s->samples);
  if (s->samples == NULL) return MY_ENOMEM;
  s->samples[s->sample_count++] = sample;
  return expect_end(p);
}

static int parse_from_port(parser *p)
{
  const token *t = parse_take(p);
  if (!token_is(t, "any"))
    return parse_fail(p, t, "from-port \"%.*s\": expected any", (int)t->n, t->s);
  p->sig->any_port = true;
  return expect_end(p);
}

static int parse_relation(parser *p, const token *t)
{
  if (token_is(t, "vary")) return parse_line(p, LINE_VARY, false, false);
  if (token_is(t, "stable")) return parse_line(p, LINE_STABLE, false, false);
  if (token_is(t, "soft")) return parse_line(p, LINE_CHECK, true, false);
  if (token_is(t, "any")) return parse_line(p, LINE_CHECK, false, true);
  if (t->s[0] == '@' || token_is(t, "len") || token_is(t, "sport")) {
    p->at--; /* the place is part of the line */
    return parse_line(p, LINE_CHECK, false, false);
  }
  return parse_fail(p, t, "\"%.*s\": expected a keyword of the language or a place such as @0:2",
                    (int)t->n, t->s);
}

/* A statement inside a signature. */
static int parse_inside(parser *p, const token *t)
{
  int rc = need_sig(p, t);
  if (rc != MY_OK) return rc;
  if (token_is(t, "over")) return parse_over(p);
  if (token_is(t, "banner")) {
    p->sig->info.banner = true;
    return expect_end(p);
  }
  if (token_is(t, "send")) return parse_send(p);
  if (token_is(t, "nofresh")) {
    p->sig->info.fresh_exempt = true;
    return expect_end(p);
  }
  if (token_is(t, "control")) return parse_control(p, t);
  if (token_is(t, "give")) return parse_give(p);
  if (token_is(t, "product") || token_is(t, "version") || token_is(t, "extra") ||
      token_is(t, "cpe"))
    return parse_template(p, t);
  if (token_is(t, "match")) return parse_sample(p, true);
  if (token_is(t, "nomatch")) return parse_sample(p, false);
  if (token_is(t, "from-port")) return parse_from_port(p);
  return parse_relation(p, t);
}

static int parse_statement(parser *p)
{
  const token *t = parse_take(p);
  const char *provenance;
  int rc;
  if (t->kind != TOKEN_WORD)
    return parse_fail(p, t, "a line begins with \"%.*s\": expected a keyword or a place", (int)t->n,
                      t->s);
  if (token_is(t, "service")) return parse_service(p);
  if (token_is(t, "sig")) return parse_sig(p, t);
  if (token_is(t, "title") || token_is(t, "ports")) {
    if ((rc = need_service(p, t)) != MY_OK) return rc;
    if (token_is(t, "ports")) return parse_ports(p);
    rc = take_text(p, "title", &p->service->title);
    return rc == MY_OK ? expect_end(p) : rc;
  }
  if (token_is(t,
               "from")) { /* of a service or of a signature; kept for readers of the file alone */
    if (p->service == NULL) return parse_fail(p, t, "\"from\" before `service NAME`");
    rc = take_text(p, "from", &provenance);
    return rc == MY_OK ? expect_end(p) : rc;
  }
  return parse_inside(p, t);
}

/* The line without indentation, comment and the blanks before it: evidence is shown with it. */
static const char *line_text(parser *p, const char *s)
{
  const token *last = &p->tokens[p->count - 1];
  size_t first = p->tokens[0].column - 1, end = last->column - 1;
  if (last->kind == TOKEN_TEXT || last->kind == TOKEN_REGEX) {
    char close = last->kind == TOKEN_TEXT ? '"' : '/';
    end += last->kind == TOKEN_TEXT ? 1 : 2;
    while (s[end] != close)
      end += s[end] == '\\' ? 2 : 1;
    end++;
  } else {
    end += last->n;
  }
  return arena_text(&p->file->memory, s + first, end - first);
}

static int parse_one_line(parser *p, const char *s, size_t n)
{
  int rc = sig_lex(&p->file->memory, s, n, p->tokens, &p->count, p->where);
  p->where->line = p->line_number;
  if (rc != MY_OK || p->count == 0) return rc;
  p->at = 0;
  p->line = line_text(p, s);
  return p->line != NULL ? parse_statement(p) : MY_ENOMEM;
}

int sig_parse(struct sig_file *f, const struct my_sigdb *db, const char *name, my_span text,
              my_where *where)
{
  parser *p = calloc(1, sizeof *p);
  int rc = MY_OK;
  if (p == NULL) return MY_ENOMEM;
  p->file = f;
  p->db = db;
  p->where = where;
  p->name = arena_text(&f->memory, name, strlen(name));
  if (p->name == NULL) rc = MY_ENOMEM;
  if (text.len > MY_SIG_FILE_MAX) {
    snprintf(where->text, sizeof where->text, "%zu bytes: expected at most %d", text.len,
             MY_SIG_FILE_MAX);
    rc = MY_ESYNTAX;
  }
  const char *s = (const char *)text.data, *end = s + text.len;
  while (rc == MY_OK && s < end) {
    const char *stop = memchr(s, '\n', (size_t)(end - s));
    size_t n = stop != NULL ? (size_t)(stop - s) : (size_t)(end - s);
    p->line_number++;
    rc = parse_one_line(p, s, n);
    s = stop != NULL ? stop + 1 : end;
  }
  if (rc == MY_OK) rc = finish_sig(p);
  free(p);
  return rc;
}
