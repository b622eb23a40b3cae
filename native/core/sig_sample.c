/* sig_sample.c - samples that prove a signature, and what it gives of a reply: addresses, product
 * and version. */
#include "sig_parse.h"

#include <string.h>

/* ---- samples ---- */

/* One word or text of a sample, behind what p->sample holds already. MY_EFORMAT: neither hex nor
 * text. */
static int add_sample_part(parser *p, const token *t, size_t *used)
{
  my_span part = {(const uint8_t *)t->s, t->n};
  uint8_t byte = 0;
  bool repeated = t->kind == TOKEN_WORD && read_repeat(t, &byte, &part.len);
  int rc = MY_OK;
  if (t->kind == TOKEN_WORD && !repeated) rc = read_hex(&p->file->memory, t->s, t->n, &part);
  if (rc != MY_OK) return rc;
  if (part.len > SAMPLE_MAX - *used)
    return parse_fail(p, t, "sample longer than %d bytes", SAMPLE_MAX);
  if (repeated)
    memset(p->sample + *used, byte, part.len);
  else if (part.len > 0)
    memcpy(p->sample + *used, part.data, part.len);
  *used += part.len;
  return MY_OK;
}

/* Hex and texts up to the operator `>` or a word that is neither. */
static int parse_bytes(parser *p, my_span *out)
{
  const token *t;
  size_t used = 0;
  for (; (t = parse_peek(p))->kind == TOKEN_WORD || t->kind == TOKEN_TEXT; parse_take(p)) {
    int rc = add_sample_part(p, t, &used);
    if (rc == MY_EFORMAT) break;
    if (rc != MY_OK) return rc;
  }
  p->sample_bytes += used;
  if (p->sample_bytes > FILE_ROOM)
    return parse_fail(p, t, "the samples of this file need more than %d MiB", FILE_ROOM >> 20);
  uint8_t *bytes = arena_alloc(&p->file->memory, used);
  if (bytes == NULL) return MY_ENOMEM;
  if (used > 0) memcpy(bytes, p->sample, used);
  *out = (my_span){bytes, used};
  return MY_OK;
}

static int parse_sample_address(parser *p, my_endpoint *out)
{
  char address[64] = "";
  if (!token_is(parse_peek(p), "my.ip")) return MY_OK;
  parse_take(p);
  const token *t = parse_take(p);
  if (t->kind == TOKEN_WORD && t->n < sizeof address) memcpy(address, t->s, t->n);
  if (my_endpoint_parse(out, address, 0) == MY_OK) return MY_OK;
  return parse_fail(p, t, "\"%.*s\": expected an IP address", (int)t->n, t->s);
}

/* then REQUEST > REPLY: those of the step */
static int parse_then(parser *p, my_sample *sample)
{
  int rc;
  if (!token_is(parse_peek(p), "then")) return MY_OK;
  parse_take(p);
  if ((rc = parse_bytes(p, &sample->then_request)) != MY_OK) return rc;
  const token *t = parse_take(p);
  if (!token_is(t, ">"))
    return parse_fail(p, t, "\"%.*s\": expected hex or \"text\", and > before the reply", (int)t->n,
                      t->s);
  return parse_bytes(p, &sample->then_reply);
}

int parse_sample(parser *p, const token *word)
{
  my_sample sample = {.expect = token_is(word, "match"), .line = p->line_number};
  my_sig *s = p->outer != NULL ? p->outer : p->sig;
  int rc = parse_bytes(p, &sample.request);
  if (rc != MY_OK) return rc;
  const token *t = parse_take(p);
  if (!token_is(t, ">"))
    return parse_fail(p, t, "\"%.*s\": expected hex or \"text\", and > before the reply", (int)t->n,
                      t->s);
  if ((rc = parse_bytes(p, &sample.reply)) != MY_OK ||
      (rc = parse_sample_address(p, &sample.my)) != MY_OK || (rc = parse_then(p, &sample)) != MY_OK)
    return rc;
  s->samples = grow(&p->file->memory, s->samples, s->sample_count, sizeof *s->samples);
  if (s->samples == NULL) return MY_ENOMEM;
  s->samples[s->sample_count++] = sample;
  return expect_end(p);
}

/* ---- what is given ---- */

static int add_give(parser *p, const token *t, give g)
{
  my_sig *s = p->sig;
  if (s->give_count == MY_GIVES_MAX)
    return parse_fail(p, t, "more than %d things given", MY_GIVES_MAX);
  s->gives = grow(&p->file->memory, s->gives, s->give_count, sizeof *s->gives);
  if (s->gives == NULL) return MY_ENOMEM;
  g.branch = p->outer == NULL ? p->branch : 0;
  s->gives[s->give_count++] = g;
  return expect_end(p);
}

int parse_give(parser *p, const token *word)
{
  give g = {0};
  (void)word;
  const token *t = parse_take(p);
  int rc = parse_place(p, t, false, &g.at);
  if (rc != MY_OK) return rc;
  if (g.at.length) return parse_fail(p, t, "give: expected a place of bytes such as @3:4");
  const token *as = parse_take(p);
  if (!token_is(as, "as")) return parse_fail(p, as, "expected `as \"…\"`");
  if ((rc = take_text(p, "give", &g.name)) != MY_OK) return rc;
  return add_give(p, t, g);
}

/* product "…", version "…": templates in which $1 and $name stand for groups of a pattern. */
int parse_template(parser *p, const token *word)
{
  give g = {.line_number = p->line_number, .column = column_of(p, parse_peek(p))};
  int rc = take_text(p, "template", &g.text);
  if (rc != MY_OK) return rc;
  if ((g.name = arena_text(&p->file->memory, word->s, word->n)) == NULL) return MY_ENOMEM;
  return add_give(p, word, g);
}

static bool some_pattern_has(const my_sig *s, const char *group, size_t n)
{
  for (size_t i = 0; i < s->line_count; i++)
    for (size_t r = 0; r < s->lines[i].right_count; r++)
      if (s->lines[i].right[r].regex != NULL &&
          group_number(s->lines[i].right[r].regex, group, n) >= 0)
        return true;
  return false;
}

int check_templates(parser *p)
{
  const my_sig *s = p->sig;
  for (size_t i = 0; i < s->give_count; i++) {
    const give *g = &s->gives[i];
    for (const char *at = g->text; at != NULL && (at = strchr(at, '$')) != NULL;) {
      size_t n = group_length(++at);
      if (n == 0 || some_pattern_has(s, at, n)) continue;
      return parse_fail_at(p, g->line_number, g->column,
                           "$%.*s: no pattern of this signature has such a group", (int)n, at);
    }
  }
  return MY_OK;
}
