/* learn_template.c - fields of the requests that follow from the rest of them: lengths, where
 * requests of several lengths prove it, and checksums. A probe with fresh nonces must get them
 * right. */
#include "learn.h"

#include <string.h>

enum { DIFFERENT_MIN = 3 /* requests that prove a field */ };

static void add_part(lesson *s, const my_part *part)
{
  size_t width = part->kind == MY_PART_SUM ? strlen(part->sum) == 4 ? 2 : 4 : part->len;
  if (part->kind == MY_PART_SUM && strcmp(part->sum, "sum8") == 0) width = 1;
  if (s->part_count == LESSON_PARTS_MAX) return;
  s->parts[s->part_count++] = *part;
  for (size_t i = part->offset; i < part->offset + width; i++)
    s->nonce[i] = false;
}

/* Requests that differ from all before them, counted up to what is wanted. */
static size_t count_different(const lesson *s)
{
  const told *seen[DIFFERENT_MIN];
  size_t n = 0;
  for (size_t i = 0; i < s->count && n < DIFFERENT_MIN; i++) {
    size_t k = 0;
    while (k < n && !same_bytes(seen[k]->pair.request, s->list[i]->pair.request))
      k++;
    if (k == n) seen[n++] = s->list[i];
  }
  return n;
}

/* ---- lengths ---- */

static int64_t field_at(my_span s, size_t at, size_t width, bool little)
{
  int64_t value = 0;
  for (size_t i = 0; i < width; i++)
    value = value << 8 | s.data[at + (little ? width - 1 - i : i)];
  return value;
}

static bool is_length_field(const lesson *s, my_part *p)
{
  bool several = false;
  my_span first = s->list[0]->pair.request;
  int64_t add = field_at(first, p->offset, p->len, p->little_endian) - (int64_t)first.len;
  for (size_t i = 1; i < s->count; i++) {
    my_span q = s->list[i]->pair.request;
    if (field_at(q, p->offset, p->len, p->little_endian) - (int64_t)q.len != add) return false;
    several |= q.len != first.len;
  }
  p->add = (int16_t)add;
  return several && add <= 16 && add >= -64;
}

static void find_length_fields(lesson *s)
{
  enum { LOOKED_AT = 64 };
  for (size_t at = 0; at < LOOKED_AT; at++)
    for (uint16_t width = 4; width >= 2; width /= 2) {
      my_part p = {.kind = MY_PART_LENGTH, .offset = (uint16_t)at, .len = width};
      if (at + width > s->request_len) continue;
      bool found = is_length_field(s, &p);
      p.little_endian = !found;
      if (!found && !is_length_field(s, &p)) continue;
      add_part(s, &p);
      at += width - 1u;
      break;
    }
}

/* ---- checksums ---- */

static const struct {
  const char *name;
  sum_kind kind;
} sums[] = {{"crc32", SUM_CRC32}, {"crc32le", SUM_CRC32_LE}, {"inet", SUM_INET}, {"sum8", SUM_8}};

/* Over what: all with the field as zeros, what stands before it, what stands behind. */
typedef enum over { OVER_ALL, OVER_BEFORE, OVER_BEHIND, OVER_COUNT } over;

static void range_of(my_span q, size_t at, size_t width, over o, uint16_t *from, uint16_t *len)
{
  size_t behind = at + width;
  *from = (uint16_t)(o == OVER_BEHIND ? behind : 0);
  *len = (uint16_t)(o == OVER_ALL ? q.len : o == OVER_BEFORE ? at : q.len - behind);
}

static bool is_sum(my_span q, sum_kind kind, size_t at, over o)
{
  uint8_t bytes[MY_LEARN_BYTES], want[4];
  size_t width = sum_width(kind);
  uint16_t from, len;
  range_of(q, at, width, o, &from, &len);
  memcpy(bytes, q.data, q.len);
  memset(bytes + at, 0, width);
  write_sum(kind, sum_of(kind, bytes + from, len), want);
  return len > 0 && memcmp(want, q.data + at, width) == 0;
}

static bool is_sum_in_all(const lesson *s, sum_kind kind, size_t at, over o)
{
  for (size_t i = 0; i < s->count; i++)
    if (!is_sum(s->list[i]->pair.request, kind, at, o)) return false;
  return true;
}

/* A sum of one byte, or of two, needs values that hardly come by chance. */
static bool is_proved(const lesson *s, size_t at, size_t width)
{
  return width * (count_values(s, OF_REQUEST, at, width) - 1) >= 5;
}

static bool find_sum_at(lesson *s, size_t at)
{
  for (size_t k = 0; k < sizeof sums / sizeof *sums; k++)
    for (over o = OVER_ALL; o < OVER_COUNT; o++) {
      size_t width = sum_width(sums[k].kind);
      my_part p = {MY_PART_SUM, .offset = (uint16_t)at, .sum = sums[k].name};
      if (at + width > s->request_len || !is_proved(s, at, width) ||
          !is_sum_in_all(s, sums[k].kind, at, o))
        continue;
      range_of(s->list[0]->pair.request, at, width, o, &p.from, &p.over);
      add_part(s, &p);
      return true;
    }
  return false;
}

static void find_sums(lesson *s)
{
  enum { HEAD = 64, TAIL = 8 };
  for (size_t at = 0; at < s->request_len; at++) {
    bool looked_at = at < HEAD || at + TAIL >= s->request_len;
    if (looked_at && s->varies[at] && find_sum_at(s, at)) return;
  }
}

void find_parts(lesson *s)
{
  if (count_different(s) < DIFFERENT_MIN) return;
  find_length_fields(s);
  find_sums(s);
}
