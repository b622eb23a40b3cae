/* sig_line.c - one line of what a reply owes: a place, a mask, an operator, and one right side or
 * several. */
#include "sig_parse.h"

static int read_op(parser *p, const place *at, op_kind *out)
{
  static const char *const names[] = {"=", "!=", "<", "<=", ">", ">=", "starts", "has", "~"};
  const token *t = parse_take(p);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (!token_is(t, names[i])) continue;
    if ((at->length || at->sport) && i >= OP_STARTS)
      return parse_fail(p, t, "%s of a number: expected = != < <= > or >=", names[i]);
    *out = (op_kind)i;
    return MY_OK;
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
  if ((rc = read_op(p, &l->at, &l->op)) != MY_OK) return rc;
  if (l->op >= OP_STARTS && l->at.bare) l->at.to_end = true;
  do {
    rhs r = {0};
    rhs *list = grow(&p->file->memory, l->right, l->right_count, sizeof *list);
    if (list == NULL) return MY_ENOMEM;
    l->right = list;
    rc = parse_right(p, l, &r);
    l->right[l->right_count++] = r; /* also on failure: it may own a pattern */
    if (rc != MY_OK) return rc;
  } while (token_is(parse_peek(p), "or") && parse_take(p) != NULL);
  return MY_OK;
}

static line *add_line(parser *p)
{
  my_sig *s = p->sig;
  line *lines = grow(&p->file->memory, s->lines, s->line_count, sizeof *lines);
  if (lines == NULL) return NULL; /* the old ones stay: they own patterns */
  s->lines = lines;
  return &s->lines[s->line_count++];
}

int new_line(parser *p, line_kind kind, line **out)
{
  if (p->sig->line_count == MY_LINES_MAX)
    return parse_fail(p, &p->tokens[0], "more than %d lines in a signature", MY_LINES_MAX);
  line *l = *out = add_line(p);
  p->send_over = true;
  p->last_was_any = false;
  if (l == NULL) return MY_ENOMEM;
  *l = (line){.kind = kind, .number = p->line_number, .text = p->line};
  l->branch = p->outer == NULL ? p->branch : 0;
  return MY_OK;
}

int parse_line(parser *p, line_kind kind, bool soft, bool any)
{
  bool goes_on = p->last_was_any;
  line *l;
  int rc = new_line(p, kind, &l);
  if (rc != MY_OK) return rc;
  l->soft = soft;
  if (any && !goes_on) p->any_group++;
  l->any = any ? p->any_group : 0;
  p->last_was_any = any;
  const token *t = parse_take(p);
  rc = parse_place(p, t, true, &l->at);
  if (rc == MY_OK && kind == LINE_CHECK)
    rc = parse_check(p, l);
  else if (rc == MY_OK && (l->at.length || l->at.sport || l->at.to_end))
    rc = parse_fail(p, t, "vary and stable: expected a place of fixed length");
  return rc == MY_OK ? expect_end(p) : rc;
}
