/* learn_text.c - a text that grows, and bytes as the language spells them. */
#include "learn.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static bool make_room(text *t, size_t more)
{
  size_t size = t->size > 0 ? t->size : 1024;
  if (t->failed) return false;
  while (size - t->len <= more)
    size *= 2;
  if (size == t->size) return true;
  char *data = realloc(t->data, size);
  if (data == NULL) {
    t->failed = true;
    return false;
  }
  t->data = data;
  t->size = size;
  return true;
}

void text_add(text *t, const char *format, ...)
{
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (n >= 0 && make_room(t, (size_t)n)) {
    vsnprintf(t->data + t->len, (size_t)n + 1, format, again);
    t->len += (size_t)n;
  }
  va_end(again);
}

void text_hex(text *t, my_span bytes)
{
  for (size_t i = 0; i < bytes.len; i++)
    text_add(t, "%02x", bytes.data[i]);
}

static bool is_plain(uint8_t c)
{
  return (c >= 32 && c < 127) || c == '\r' || c == '\n';
}

void text_quoted(text *t, my_span bytes)
{
  text_add(t, "\"");
  for (size_t i = 0; i < bytes.len; i++) {
    uint8_t c = bytes.data[i];
    if (c == '\r')
      text_add(t, "\\r");
    else if (c == '\n')
      text_add(t, "\\n");
    else if (c == '"' || c == '\\')
      text_add(t, "\\%c", c);
    else
      text_add(t, "%c", c);
  }
  text_add(t, "\"");
}

size_t plain_run(my_span bytes, size_t at)
{
  size_t n = 0;
  while (at + n < bytes.len && is_plain(bytes.data[at + n]))
    n++;
  return n;
}

void text_tokens(text *t, my_span bytes)
{
  enum { TEXT_MIN = 4 };
  for (size_t at = 0; at < bytes.len;) {
    size_t n = plain_run(bytes, at);
    if (at > 0) text_add(t, " ");
    if (n >= TEXT_MIN) {
      text_quoted(t, (my_span){bytes.data + at, n});
      at += n;
      continue;
    }
    size_t end = at + n;
    while (end < bytes.len && (n = plain_run(bytes, end)) < TEXT_MIN)
      end += n > 0 ? n : 1;
    text_hex(t, (my_span){bytes.data + at, end - at});
    at = end;
  }
}
