/* sig_parse.c - the statements of a signature file: services, signatures, samples, what they give.
 */
#include "sig_parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Characters of the first n bytes, as people count columns. */
static unsigned count_characters(const char *s, size_t n)
{
  unsigned count = 0;
  for (size_t i = 0; i < n; i++)
    count += ((unsigned char)s[i] & 0xc0) != 0x80;
  return count;
}

unsigned column_of(const parser *p, const token *t)
{
  return count_characters(p->text, t->column - 1) + 1;
}

static int fail_at(parser *p, unsigned line_number, unsigned column, const char *format,
                   va_list args)
{
  p->where->line = line_number;
  p->where->column = column;
  int n = vsnprintf(p->where->text, sizeof p->where->text, format, args);
  size_t end = strlen(p->where->text);
  while (n >= (int)sizeof p->where->text && end > 0 &&
         (unsigned char)p->where->text[end - 1] >= 0x80)
    p->where->text[--end] = 0;                 /* no half of a character */
  for (char *c = p->where->text; *c != 0; c++) /* words of the file may stand in it */
    if ((unsigned char)*c < 32 || *c == 127) *c = '?';
  return MY_ESYNTAX;
}

int parse_fail(parser *p, const token *t, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  int rc = fail_at(p, p->line_number, column_of(p, t), format, args);
  va_end(args);
  return rc;
}

int parse_fail_at(parser *p, unsigned line_number, unsigned column, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  int rc = fail_at(p, line_number, column, format, args);
  va_end(args);
  return rc;
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

bool read_repeat(const token *t, uint8_t *byte, size_t *count)
{
  uint64_t n;
  if (t->n < 4 || t->s[2] != '*' || hex_value(t->s[0]) < 0 || hex_value(t->s[1]) < 0 ||
      !read_decimal(t->s + 3, t->n - 3, 1, 65535, &n))
    return false;
  *byte = (uint8_t)(hex_value(t->s[0]) << 4 | hex_value(t->s[1]));
  *count = (size_t)n;
  return true;
}

void *grow(arena *a, void *array, size_t count, size_t size)
{
  if (count > 0 && (count & (count - 1)) != 0) return array;
  void *larger = arena_alloc(a, (count == 0 ? 1 : 2 * count) * size);
  if (larger != NULL && count > 0) memcpy(larger, array, count * size);
  return larger;
}

int expect_end(parser *p)
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
    if (!(t->s[i] >= 'a' && t->s[i] <= 'z') && !(t->s[i] >= '0' && t->s[i] <= '9') &&
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

int take_text(parser *p, const char *what, const char **out)
{
  const token *t = parse_take(p);
  if (t->kind != TOKEN_TEXT) return parse_fail(p, t, "%s: expected a text in quotes", what);
  for (size_t i = 0; i < t->n; i++) /* escapes can spell what the lexer keeps out */
    if ((unsigned char)t->s[i] < 32 || t->s[i] == 127)
      return parse_fail(p, t, "%s: control character in a text that people read", what);
  *out = arena_text(&p->file->memory, t->s, t->n);
  return *out != NULL ? MY_OK : MY_ENOMEM;
}

/* ---- the end of a signature ---- */

/* What makes no sense together, said at the word sig. */
static int check_sig(parser *p)
{
  const my_sig_info *info = &p->sig->info;
  unsigned at = info->line;
  if (info->banner && p->probe_len > 0)
    return parse_fail_at(p, at, 1, "sig %s: both `banner` and `send`: expected one of them",
                         info->name);
  if (!info->banner && p->probe_len == 0)
    return parse_fail_at(p, at, 1, "sig %s: nothing is sent: expected `send …` or `banner`",
                         info->name);
  if (info->banner && info->transport == MY_UDP)
    return parse_fail_at(p, at, 1, "sig %s: `banner` over udp: nobody speaks first there",
                         info->name);
  if (p->sig->line_count == 0)
    return parse_fail_at(p, at, 1, "sig %s: no line says what a reply owes", info->name);
  return MY_OK;
}

static int keep_probe(parser *p)
{
  my_sig *s = p->sig;
  s->probe = arena_alloc(&p->file->memory, p->probe_len + 1);
  s->entropy = arena_alloc(&p->file->memory, p->probe_len + 1);
  if (s->probe == NULL || s->entropy == NULL) return MY_ENOMEM;
  memcpy(s->probe, p->probe, p->probe_len);
  memcpy(s->entropy, p->entropy, p->probe_len);
  s->info.probe_len = p->probe_len;
  for (size_t i = 0; i < s->slot_count; i++)
    if (s->slots[i].kind <= SLOT_NIBBLE) s->info.entropy_len += s->slots[i].len;
  return MY_OK;
}

static int finish_sig(parser *p)
{
  my_sig *s = p->sig;
  int rc;
  if (s == NULL) return MY_OK;
  if ((rc = check_sig(p)) != MY_OK || (rc = set_lengths(p)) != MY_OK ||
      (rc = check_templates(p)) != MY_OK || (rc = keep_probe(p)) != MY_OK)
    return rc;
  p->sig = NULL;
  for (size_t i = 0; i < s->line_count; i++)
    s->info.has_vary |= s->lines[i].kind != LINE_CHECK;
  s->info.has_control = s->control_key.len > 0;
  return sig_score(s, p->scratch);
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
    if (t->kind != TOKEN_WORD) return parse_fail(p, t, "ports: expected 1 to 65535, or a range");
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

/* Does the key turn a bit that is the same in every probe? */
static bool turns_fixed_bit(const parser *p, const place *at, my_span key)
{
  for (size_t i = 0; i < key.len; i++)
    if (key.data[i] != 0 && p->entropy[at->offset + i] == 0) return true;
  return false;
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
  if (!turns_fixed_bit(p, &s->control, s->control_key))
    return parse_fail(p, t, "\"%.*s\" turns no bit, or only such that are drawn anew", (int)t->n,
                      t->s);
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
  p->text = s;
  p->at = 0;
  int rc = sig_lex(&p->file->memory, s, n, p->tokens, &p->count, p->where);
  if (rc != MY_OK) {
    p->where->line = p->line_number;
    p->where->column = count_characters(s, p->where->column > 0 ? p->where->column - 1 : 0) + 1;
  }
  if (rc != MY_OK || p->count == 0) return rc;
  p->line = line_text(p, s);
  return p->line != NULL ? parse_statement(p) : MY_ENOMEM;
}

static int parse_lines(parser *p, const char *s, size_t n)
{
  const char *end = s + n;
  int rc = MY_OK;
  if (n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0) s += 3; /* a byte order mark */
  while (rc == MY_OK && s < end) {
    const char *stop = memchr(s, '\n', (size_t)(end - s));
    size_t len = (size_t)((stop != NULL ? stop : end) - s);
    p->line_number++;
    rc = parse_one_line(p, s, len > 0 && s[len - 1] == '\r' ? len - 1 : len);
    s = stop != NULL ? stop + 1 : end;
  }
  return rc == MY_OK ? finish_sig(p) : rc;
}

int sig_parse(struct sig_file *f, const struct my_sigdb *db, const char *name, my_span text,
              my_where *where)
{
  if (text.len > MY_SIG_FILE_MAX) {
    snprintf(where->text, sizeof where->text, "%zu bytes: expected at most %d", text.len,
             MY_SIG_FILE_MAX);
    return MY_ESYNTAX;
  }
  parser *p = calloc(1, sizeof *p);
  int rc = MY_ENOMEM;
  if (p == NULL) return rc;
  p->file = f;
  p->db = db;
  p->where = where;
  p->name = arena_text(&f->memory, name, strlen(name));
  if (p->name != NULL) rc = my_scratch_new(&p->scratch);
  if (rc == MY_OK && text.len > 0) rc = parse_lines(p, (const char *)text.data, text.len);
  my_scratch_free(p->scratch);
  free(p);
  return rc;
}
