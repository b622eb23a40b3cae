/* sig_word.c - what all statements need: words and texts of the line, numbers and bytes in them,
 * and a message for what is wrong. */
#include "sig_parse.h"

#include <stdarg.h>
#include <stdio.h>
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

/* Texts of the file may stand in a message, decoded, and its end may be cut: what people cannot
 * read, or terminals obey, becomes a question mark. */
static void make_printable(char *text)
{
  size_t n = strlen(text);
  for (size_t i = 0, len; i < n; i += len) {
    len = utf8_length(text + i, n - i);
    if (len > 0 && !is_control(text + i)) continue;
    len = len > 0 ? len : 1;
    memset(text + i, '?', len);
  }
}

static int fail_at(parser *p, unsigned line_number, unsigned column, const char *format,
                   va_list args)
{
  p->where->line = line_number;
  p->where->column = column;
  vsnprintf(p->where->text, sizeof p->where->text, format, args);
  make_printable(p->where->text);
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

static bool is_name(const token *t)
{
  if (t->kind != TOKEN_WORD || t->n == 0 || t->n > 60) return false;
  for (size_t i = 0; i < t->n; i++)
    if (!(t->s[i] >= 'a' && t->s[i] <= 'z') && !(t->s[i] >= '0' && t->s[i] <= '9') &&
        strchr("-_.", t->s[i]) == NULL)
      return false;
  return true;
}

int take_name(parser *p, const char *what, char **out)
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
  for (size_t i = 0, len; i < t->n; i += len) { /* escapes can spell what the lexer keeps out */
    len = utf8_length(t->s + i, t->n - i);
    if (len == 0 || is_control(t->s + i))
      return parse_fail(p, t, "%s: control character, or not UTF-8, in a text that people read",
                        what);
  }
  *out = arena_text(&p->file->memory, t->s, t->n);
  return *out != NULL ? MY_OK : MY_ENOMEM;
}
