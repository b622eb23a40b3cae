/* learn_send.c - `send`: the first request of a lesson as a template, its nonces by name. */
#include "learn.h"

#include <stdio.h>
#include <string.h>

static bool all_in(const lesson *s, size_t at, size_t width, bool (*fits)(uint8_t c))
{
  for (size_t i = 0; i < s->count; i++)
    for (size_t k = at; k < at + width; k++)
      if (!fits(s->list[i]->pair.request.data[k])) return false;
  return true;
}

static bool is_digit(uint8_t c)
{
  return c >= '0' && c <= '9';
}

static bool is_small(uint8_t c)
{
  return c >= 'a' && c <= 'z';
}

static bool is_hex(uint8_t c)
{
  return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

static bool is_printable(uint8_t c)
{
  return c > 32 && c < 127;
}

/* What a nonce may be: letters where nothing else was seen, digits where a hex number was, and a
 * positive number where its length stands before it as BER has it. */
static const char *class_of(const lesson *s, size_t at, size_t width)
{
  enum { HEX_MIN = 4 };
  const uint8_t *request = s->list[0]->pair.request.data;
  if (at >= 2 && request[at - 2] == 0x02 && request[at - 1] == width && width <= 4) return ":pos";
  if (all_in(s, at, width, is_digit)) return ":digit";
  if (all_in(s, at, width, is_small)) return ":alpha";
  if (width >= HEX_MIN && all_in(s, at, width, is_hex)) return ":digit";
  return all_in(s, at, width, is_printable) ? ":alnum" : "";
}

size_t nonce_run(const lesson *s, size_t at)
{
  size_t n = 0;
  while (at + n < s->request_len && s->nonce[at + n])
    n++;
  return n;
}

/* The nonces in their order: id, n2, n3 … */
void nonce_name(const lesson *s, size_t at, char name[NONCE_NAME_MAX])
{
  unsigned number = 0;
  for (size_t i = 0; i <= at; i++)
    number += s->nonce[i] && (i == 0 || !s->nonce[i - 1]);
  if (number <= 1)
    snprintf(name, NONCE_NAME_MAX, "id");
  else
    snprintf(name, NONCE_NAME_MAX, "n%u", number);
}

static const my_part *find_part(const my_part *parts, size_t count, size_t at)
{
  for (size_t i = 0; i < count; i++)
    if (parts[i].offset == at && (parts[i].kind == MY_PART_LENGTH || parts[i].kind == MY_PART_SUM))
      return &parts[i];
  return NULL;
}

/* What experiments say goes before what the pairs show. */
static const my_part *part_at(const lesson *s, const my_learn_options *o, size_t at)
{
  const my_part *p = find_part(o->parts, o->part_count, at);
  return p != NULL || o->request.len > 0 ? p : find_part(s->parts, s->part_count, at);
}

static size_t sum_bytes(const char *name)
{
  return strcmp(name, "inet") == 0 ? 2 : strcmp(name, "sum8") == 0 ? 1 : 4;
}

static size_t write_part(text *t, const my_part *p)
{
  if (p->kind == MY_PART_SUM) {
    text_add(t, " %s(q@%u:%u)", p->sum, p->from, p->over);
    return sum_bytes(p->sum);
  }
  text_add(t, " %s%u(len", p->little_endian ? "le" : "be", p->len * 8u);
  if (p->add != 0) text_add(t, "%+d", p->add);
  text_add(t, ")");
  return p->len;
}

void write_send(text *t, const lesson *s, const my_learn_options *o)
{
  my_span request = o->request.len > 0 ? o->request : s->list[0]->pair.request;
  text_add(t, "  send ");
  for (size_t at = 0; at < request.len;) {
    const my_part *part = part_at(s, o, at);
    size_t n = nonce_run(s, at), end = at;
    if (part != NULL) {
      at += write_part(t, part);
      continue;
    }
    if (n > 0) {
      char name[NONCE_NAME_MAX];
      nonce_name(s, at, name);
      text_add(t, " %s?%zu%s", name, n, class_of(s, at, n));
      at += n;
      continue;
    }
    while (end < request.len && nonce_run(s, end) == 0 && part_at(s, o, end) == NULL)
      end++;
    text_add(t, " ");
    text_tokens(t, (my_span){request.data + at, end - at});
    at = end;
  }
  text_add(t, "\n");
}
