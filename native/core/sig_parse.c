/* sig_parse.c - a signature file line by line: which statements there are, where they belong, and
 * what makes a whole signature. */
#include "sig_parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
  if (s->probe != NULL) return MY_OK; /* a step follows it already */
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

/* What the parser knows of the probe is again that of the signature, whose step has ended. */
static void resume_outer(parser *p)
{
  my_sig *s = p->sig = p->outer;
  p->outer = NULL;
  memcpy(p->probe, s->probe, s->info.probe_len);
  memcpy(p->entropy, s->entropy, s->info.probe_len);
  p->probe_len = s->info.probe_len;
  p->fixup_count = 0; /* they stand in it */
  p->send_over = true;
  p->last_was_any = false;
}

static int finish_step(parser *p)
{
  my_sig *s = p->sig;
  int rc;
  if (p->outer == NULL) return MY_OK;
  if (s->line_count == 0)
    return parse_fail_at(p, s->info.line, 1, "a step of which no line says what its reply owes");
  if ((rc = set_lengths(p)) != MY_OK || (rc = check_templates(p)) != MY_OK ||
      (rc = keep_probe(p)) != MY_OK || (rc = sig_score(s, p->scratch)) != MY_OK)
    return rc;
  resume_outer(p);
  return MY_OK;
}

static int finish_sig(parser *p)
{
  int rc = finish_step(p);
  my_sig *s = p->sig;
  if (s == NULL || rc != MY_OK) return rc;
  if ((rc = check_sig(p)) != MY_OK || (rc = set_lengths(p)) != MY_OK ||
      (rc = check_templates(p)) != MY_OK || (rc = keep_probe(p)) != MY_OK)
    return rc;
  p->sig = NULL;
  p->branch = 0;
  for (size_t i = 0; i < s->line_count; i++)
    s->info.has_vary |= s->lines[i].kind == LINE_VARY || s->lines[i].kind == LINE_STABLE;
  s->info.has_control = s->control_key.len > 0;
  return sig_score(s, p->scratch);
}

/* ---- statements of a signature ---- */

static bool name_taken(const parser *p, const char *name)
{
  for (size_t i = 0; i < p->file->count; i++)
    if (strcmp(p->file->sigs[i]->info.name, name) == 0) return true;
  return my_sigdb_find(p->db, name) != NULL;
}

static int parse_sig(parser *p, const token *word)
{
  char *name;
  int rc;
  if (p->service == NULL)
    return parse_fail(p, word, "a signature of no service: expected `service NAME` first");
  const token *named = parse_peek(p);
  if ((rc = take_name(p, "sig", &name)) != MY_OK) return rc;
  if (name_taken(p, name))
    return parse_fail(p, named, "a second signature \"%s\": expected a name of its own", name);
  struct sig_file *f = p->file;
  if (f->count == SIGS_MAX)
    return parse_fail(p, word, "more than %d signatures in a file", SIGS_MAX);
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
  p->tlv = (tlv_format){0};
  p->any_group = 0;
  p->probe_len = p->fixup_count = 0;
  return expect_end(p);
}

static int parse_over(parser *p, const token *word)
{
  (void)word;
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

static int parse_control(parser *p, const token *word)
{
  my_sig *s = p->sig;
  int rc;
  p->send_over = true;
  if (s->control_key.len > 0) return parse_fail(p, word, "a second `control`: expected one");
  const token *place_token = parse_take(p);
  if ((rc = parse_place(p, place_token, false, &s->control)) != MY_OK) return rc;
  if (s->control.of != OF_REQUEST || s->control.length || s->control.from_end || s->control.to_end)
    return parse_fail(p, place_token,
                      "control of \"%.*s\": expected a place of the request, q@o or q@o:n",
                      (int)place_token->n, place_token->s);
  const token *sign = parse_take(p);
  if (!token_is(sign, "^")) return parse_fail(p, sign, "expected ^ and the bits to turn");
  const token *t = parse_take(p);
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

static int parse_from_port(parser *p, const token *word)
{
  (void)word;
  const token *t = parse_take(p);
  if (!token_is(t, "any"))
    return parse_fail(p, t, "from-port \"%.*s\": expected any", (int)t->n, t->s);
  p->sig->any_port = true;
  return expect_end(p);
}

static int parse_banner(parser *p, const token *word)
{
  (void)word;
  p->sig->info.banner = true;
  return expect_end(p);
}

static int parse_nofresh(parser *p, const token *word)
{
  (void)word;
  p->sig->info.fresh_exempt = true;
  return expect_end(p);
}

static int parse_echoes(parser *p, const token *word)
{
  (void)word;
  p->sig->echoes = true;
  return expect_end(p);
}

/* ---- cases and steps ---- */

static my_sig **add_step(parser *p, my_sig *outer, my_sig *step)
{
  my_sig **steps = grow(&p->file->memory, outer->steps, outer->step_count, sizeof *steps);
  if (steps == NULL) return NULL;
  outer->steps = steps;
  outer->steps[outer->step_count++] = step;
  return steps;
}

/* Where the step is noted that follows: at the open case, else at the signature. */
static unsigned *step_place(parser *p)
{
  my_sig *s = p->sig;
  return p->branch > 0 ? &s->branches[p->branch - 1].step : &s->step;
}

static int parse_step(parser *p, const token *word, bool optional)
{
  my_sig *outer = p->sig;
  int rc;
  if (p->outer != NULL || *step_place(p) != 0)
    return parse_fail(p, word, "a second step: expected one behind a signature or a case");
  if (outer->line_count == 0)
    return parse_fail(p, word, "a step before any line: expected what the first reply owes");
  p->send_over = true;
  if ((rc = set_lengths(p)) != MY_OK || (rc = keep_probe(p)) != MY_OK) return rc;
  my_sig *s = arena_alloc(&p->file->memory, sizeof *s);
  if (s == NULL) return MY_ENOMEM;
  *s = (my_sig){.service = outer->service, .info = outer->info, .any_port = outer->any_port};
  s->info.line = p->line_number;
  s->info.probe_len = s->info.entropy_len = 0;
  s->is_step = true;
  s->optional = optional;
  if (add_step(p, outer, s) == NULL) return MY_ENOMEM;
  *step_place(p) = (unsigned)outer->step_count;
  p->outer = outer;
  p->sig = s;
  p->probe_len = p->fixup_count = 0;
  p->send_over = p->last_was_any = false;
  return parse_send(p, word);
}

static int parse_must_step(parser *p, const token *word)
{
  return parse_step(p, word, false);
}

static int parse_case(parser *p, const token *word)
{
  int rc = finish_step(p);
  my_sig *s = p->sig;
  if (rc != MY_OK) return rc;
  if (s->step != 0)
    return parse_fail(p, word, "a case behind the step: expected the step at its end");
  branch *branches = grow(&p->file->memory, s->branches, s->branch_count, sizeof *branches);
  if (branches == NULL) return MY_ENOMEM;
  s->branches = branches;
  s->branches[s->branch_count++] = (branch){.condition = s->line_count};
  p->branch = (uint16_t)s->branch_count;
  p->last_was_any = false;
  return parse_line(p, LINE_CHECK, false, false);
}

/* ---- lines ---- */

/* timing 0..500: milliseconds from the request to the reply */
static int parse_timing(parser *p, const token *word)
{
  uint64_t least, most;
  (void)word;
  const token *t = parse_take(p);
  const char *dots = t->kind == TOKEN_WORD ? memmem(t->s, t->n, "..", 2) : NULL;
  size_t head = dots != NULL ? (size_t)(dots - t->s) : 0;
  if (dots == NULL || !read_decimal(t->s, head, 0, 600000, &least) ||
      !read_decimal(dots + 2, t->n - head - 2, least, 600000, &most))
    return parse_fail(p, t, "timing \"%.*s\": expected milliseconds such as 0..500", (int)t->n,
                      t->s);
  line *l;
  int rc = new_line(p, LINE_TIMING, &l);
  if (rc != MY_OK) return rc;
  l->least_ms = (uint32_t)least;
  l->most_ms = (uint32_t)most;
  return expect_end(p);
}

static int parse_closes(parser *p, const token *word)
{
  if (p->sig->info.transport == MY_UDP)
    return parse_fail(p, word, "`closes` over udp: expected `over tcp` or `over tls`");
  line *l;
  int rc = new_line(p, LINE_CLOSES, &l);
  return rc == MY_OK ? expect_end(p) : rc;
}

/* until "\r\n" */
static int parse_until(parser *p, const token *word)
{
  my_sig_info *info = &p->sig->info;
  const token *t = parse_take(p);
  int rc = MY_OK;
  if (info->transport == MY_UDP)
    return parse_fail(p, word, "`until` over udp: expected `over tcp` or `over tls`");
  if (t->kind == TOKEN_TEXT)
    info->until = (my_span){(const uint8_t *)t->s, t->n};
  else
    rc = t->kind == TOKEN_WORD ? read_hex(&p->file->memory, t->s, t->n, &info->until) : MY_EFORMAT;
  if (rc == MY_ENOMEM) return rc;
  if (rc != MY_OK || info->until.len == 0)
    return parse_fail(p, t, "until \"%.*s\": expected hex or a text", (int)t->n, t->s);
  return expect_end(p);
}

static int parse_again(parser *p, const token *word)
{
  if (p->sig->info.transport == MY_UDP)
    return parse_fail(p, word, "`again` over udp: expected `over tcp` or `over tls`");
  p->sig->info.again = true;
  return expect_end(p);
}

static int parse_relation(parser *p, const token *word)
{
  if (token_is(word, "soft") && token_is(parse_peek(p), "step"))
    return parse_step(p, parse_take(p), true);
  bool soft = token_is(word, "soft"), any = token_is(word, "any");
  line_kind kind = token_is(word, "vary")     ? LINE_VARY
                   : token_is(word, "stable") ? LINE_STABLE
                                              : LINE_CHECK;
  if (kind == LINE_CHECK && !soft && !any) p->at--; /* the word is the place */
  return parse_line(p, kind, soft, any);
}

/* ---- all statements ---- */

typedef enum belongs {
  ANYWHERE,
  BEHIND_SERVICE,
  INSIDE_SIG,
  BEFORE_STEP /* inside a signature, of which it says something as a whole */
} belongs;

static const struct {
  const char *word;
  belongs where;
  int (*parse)(parser *p, const token *word);
} statements[] = {
    {"service", ANYWHERE, parse_service},    {"sig", ANYWHERE, parse_sig},
    {"from", ANYWHERE, parse_from},          {"title", BEHIND_SERVICE, parse_title},
    {"ports", BEHIND_SERVICE, parse_ports},  {"over", BEFORE_STEP, parse_over},
    {"banner", BEFORE_STEP, parse_banner},   {"send", INSIDE_SIG, parse_send},
    {"nofresh", BEFORE_STEP, parse_nofresh}, {"from-port", BEFORE_STEP, parse_from_port},
    {"echoes", BEFORE_STEP, parse_echoes},   {"case", INSIDE_SIG, parse_case},
    {"step", INSIDE_SIG, parse_must_step},   {"timing", INSIDE_SIG, parse_timing},
    {"closes", INSIDE_SIG, parse_closes},    {"until", BEFORE_STEP, parse_until},
    {"again", BEFORE_STEP, parse_again},     {"view", INSIDE_SIG, parse_view},
    {"control", BEFORE_STEP, parse_control}, {"vary", BEFORE_STEP, parse_relation},
    {"stable", BEFORE_STEP, parse_relation}, {"soft", INSIDE_SIG, parse_relation},
    {"any", INSIDE_SIG, parse_relation},     {"len", INSIDE_SIG, parse_relation},
    {"sport", INSIDE_SIG, parse_relation},   {"give", INSIDE_SIG, parse_give},
    {"product", INSIDE_SIG, parse_template}, {"version", INSIDE_SIG, parse_template},
    {"extra", INSIDE_SIG, parse_template},   {"cpe", INSIDE_SIG, parse_template},
    {"match", INSIDE_SIG, parse_sample},     {"nomatch", INSIDE_SIG, parse_sample}};

static int check_belongs(parser *p, const token *word, belongs where)
{
  if (where == BEHIND_SERVICE && (p->service == NULL || p->sig != NULL))
    return parse_fail(p, word, "\"%.*s\" belongs right behind `service NAME`", (int)word->n,
                      word->s);
  if (where == BEFORE_STEP && p->outer != NULL)
    return parse_fail(p, word, "\"%.*s\" inside a step: expected it before", (int)word->n, word->s);
  if (where >= INSIDE_SIG && p->sig == NULL)
    return parse_fail(p, word, "\"%.*s\" outside a signature: expected `sig NAME` first",
                      (int)word->n, word->s);
  return MY_OK;
}

static int parse_statement(parser *p)
{
  const token *word = parse_take(p);
  int rc;
  if (word->kind != TOKEN_WORD)
    return parse_fail(p, word, "a line begins with \"%.*s\": expected a keyword or a place",
                      (int)word->n, word->s);
  if ((token_is(word, "service") || token_is(word, "sig")) && (rc = finish_sig(p)) != MY_OK)
    return rc;
  for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
    if (!token_is(word, statements[i].word)) continue;
    rc = check_belongs(p, word, statements[i].where);
    return rc == MY_OK ? statements[i].parse(p, word) : rc;
  }
  if ((rc = check_belongs(p, word, INSIDE_SIG)) != MY_OK) return rc;
  if (word->s[0] == '@' || is_view(word->s, word->n) || text_starts(word->s, word->n, "len."))
    return parse_relation(p, word);
  return parse_fail(p, word, "\"%.*s\": expected a keyword of the language or a place such as @0:2",
                    (int)word->n, word->s);
}

/* ---- lines and files ---- */

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
  if (rc == MY_ESYNTAX) {
    token at = {.column = p->where->column};
    p->where->line = p->line_number;
    p->where->column = column_of(p, &at);
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
  if (rc == MY_OK) pcre2_set_match_limit(p->scratch->limits, PATTERN_STEPS);
  if (rc == MY_OK && text.len > 0) rc = parse_lines(p, (const char *)text.data, text.len);
  my_scratch_free(p->scratch);
  free(p);
  return rc;
}
