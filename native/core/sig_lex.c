/* sig_lex.c - one line of a signature file becomes words, texts, patterns and operators. */
#include "sig.h"

#include <stdio.h>
#include <string.h>

static int complain(my_where *where, unsigned column, const char *text)
{
  where->column = column;
  snprintf(where->text, sizeof where->text, "%s", text);
  return MY_ESYNTAX;
}

int hex_value(char c)
{
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* The escape after a backslash at s[*i]; *i ends behind it. -1: no such escape. */
static int unescape(const char *s, size_t n, size_t *i)
{
  int high, low;
  char c = *i < n ? s[(*i)++] : 0;
  switch (c) {
  case 'r':
    return '\r';
  case 'n':
    return '\n';
  case 't':
    return '\t';
  case '0':
    return 0;
  case '\\':
  case '"':
    return c;
  case 'x':
    if (*i + 2 > n || (high = hex_value(s[*i])) < 0 || (low = hex_value(s[*i + 1])) < 0) return -1;
    *i += 2;
    return high << 4 | low;
  default:
    return -1;
  }
}

static int lex_text(arena *a, const char *s, size_t n, size_t *i, token *t, my_where *where)
{
  size_t start = *i, used = 0, end = start + 1;
  while (end < n && s[end] != '"')
    end += s[end] == '\\' ? 2 : 1;
  char *bytes = arena_alloc(a, (end < n ? end : n) - start); /* no longer than it is written */
  if (bytes == NULL) return MY_ENOMEM;
  for ((*i)++; *i < n && s[*i] != '"';) {
    int c = (unsigned char)s[(*i)++];
    if (c == '\\' && (c = unescape(s, n, i)) < 0)
      return complain(where, (unsigned)*i,
                      "unknown escape: expected \\r \\n \\t \\0 \\\\ \\\" or \\xHH");
    bytes[used++] = (char)c;
  }
  if (*i >= n)
    return complain(where, (unsigned)start + 1, "text without an end: expected a closing \"");
  (*i)++;
  *t = (token){TOKEN_TEXT, (unsigned)start + 1, bytes, used};
  return MY_OK;
}

static int lex_regex(const char *s, size_t n, size_t *i, token *t, my_where *where)
{
  size_t start = *i + 2, end = start;
  while (end < n && s[end] != '/')
    end += s[end] == '\\' && end + 1 < n ? 2 : 1;
  if (end >= n) return complain(where, (unsigned)*i + 1, "pattern without an end: expected m/…/");
  *t = (token){TOKEN_REGEX, (unsigned)*i + 1, s + start, end - start};
  *i = end + 1;
  return MY_OK;
}

static bool is_operator(char c)
{
  return strchr("=!<>&^~", c) != NULL && c != 0;
}

static void lex_operator(const char *s, size_t n, size_t *i, token *t)
{
  size_t len = *i + 1 < n && s[*i + 1] == '=' && strchr("!<>", s[*i]) != NULL ? 2 : 1;
  *t = (token){TOKEN_OP, (unsigned)*i + 1, s + *i, len};
  *i += len;
}

size_t utf8_length(const char *text, size_t n)
{
  const unsigned char *s = (const unsigned char *)text;
  size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
  if (len == 0 || len > n || s[0] > 0xf4) return 0;
  for (size_t i = 1; i < len; i++)
    if ((s[i] & 0xc0) != 0x80) return 0;
  bool too_long = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
  bool surrogate = s[0] == 0xed && s[1] > 0x9f, past_last = s[0] == 0xf4 && s[1] > 0x8f;
  return too_long || surrogate || past_last ? 0 : len;
}

bool is_control(const char *s)
{
  const unsigned char *c = (const unsigned char *)s;
  return c[0] < 32 || c[0] == 127 || (c[0] == 0xc2 && c[1] < 0xa0);
}

/* Lines are UTF-8 without control characters, comments too: they are shown to people. */
static int check_characters(const char *s, size_t n, my_where *where)
{
  for (size_t i = 0, len; i < n; i += len) {
    len = utf8_length(s + i, n - i);
    if (len == 0)
      return complain(where, (unsigned)i + 1, "not UTF-8: expected it, or \\xHH inside a text");
    if (is_control(s + i) && s[i] != '\t')
      return complain(where, (unsigned)i + 1,
                      "control character: expected \\xHH, inside a text or a pattern");
  }
  return MY_OK;
}

static void lex_word(const char *s, size_t n, size_t *i, token *t)
{
  size_t start = *i;
  while (*i < n && s[*i] != ' ' && s[*i] != '\t' && s[*i] != '"' && !is_operator(s[*i]))
    (*i)++;
  *t = (token){TOKEN_WORD, (unsigned)start + 1, s + start, *i - start};
}

int sig_lex(arena *a, const char *s, size_t n, token *out, size_t *count, my_where *where)
{
  size_t i = 0;
  int rc = check_characters(s, n, where);
  *count = 0;
  while (rc == MY_OK) {
    while (i < n && (s[i] == ' ' || s[i] == '\t'))
      i++;
    if (i >= n || s[i] == '#') break;
    if (*count == TOKENS_MAX - 1)
      return complain(where, (unsigned)i + 1, "line too long: expected at most 255 words");
    token *t = &out[(*count)++];
    if (s[i] == '"')
      rc = lex_text(a, s, n, &i, t, where);
    else if (s[i] == 'm' && i + 1 < n && s[i + 1] == '/')
      rc = lex_regex(s, n, &i, t, where);
    else if (is_operator(s[i]))
      lex_operator(s, n, &i, t);
    else
      lex_word(s, n, &i, t);
  }
  out[*count] = (token){TOKEN_END, (unsigned)n + 1, "", 0};
  return rc;
}
