/* learn_column.c - what the bytes of a reply do that no relation explains: stay, keep some of their
 * bits, or move by themselves. */
#include "learn.h"

#include <math.h>
#include <string.h>

static uint8_t reply_byte(const told *t, size_t at)
{
  return t->pair.reply.data[at];
}

/* ---- what moves ---- */

static bool same_request(const told *a, const told *b)
{
  return same_bytes(a->pair.request, b->pair.request);
}

/* Over all replies to one and the same request: how many pairs of them there are, and whether the
 * byte differs in each, but for the few in which what moves comes to the same by chance. */
static bool always_differs(const lesson *s, size_t at, size_t *compared)
{
  enum { LOOKED_AT = 48, BY_CHANCE = 6 /* one of so many, where random bytes do in one of 256 */ };
  size_t n = s->count < LOOKED_AT ? s->count : LOOKED_AT, alike = 0;
  *compared = 0;
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < i; k++) {
      if (!same_request(s->list[i], s->list[k])) continue;
      (*compared)++;
      alike += reply_byte(s->list[i], at) == reply_byte(s->list[k], at);
    }
  return alike * BY_CHANCE <= *compared;
}

/* Numbers that only grow, in either order of bytes, are a clock or a counter: two replies of one
 * moment may have the same. */
static bool only_grows(const lesson *s, size_t at, size_t width)
{
  bool big = true, little = true;
  for (size_t i = 1; i < s->count; i++) {
    const uint8_t *a = s->list[i - 1]->pair.reply.data + at, *b = s->list[i]->pair.reply.data + at;
    int first = memcmp(a, b, width), last = 0;
    for (size_t k = width; k-- > 0 && last == 0;)
      last = (int)a[k] - (int)b[k];
    big = big && first < 0;
    little = little && last < 0;
  }
  return big || little;
}

/* A single byte may differ three times by chance; two side by side hardly. */
static void find_moving(lesson *s)
{
  enum { COMPARED_MIN = 3, WIDTH_MIN = 2, SEED_MIN = 4 };
  for (size_t at = 0; at < s->look; at++) {
    size_t width = 0, compared = 0;
    while (lesson_is_free(s, at + width, 1) && always_differs(s, at + width, &compared) &&
           compared >= COMPARED_MIN)
      width++;
    if (width < WIDTH_MIN) continue;
    lesson_add(s, &(finding){FOUND_MOVING, .at = (uint16_t)at, .width = (uint16_t)width,
                             .doubtful = width < SEED_MIN || only_grows(s, at, width),
                             .weight = (double)width});
    at += width;
  }
}

/* ---- what stays ---- */

/* Bits that are the same in n different values by chance agree with 1 in 2^(n-1): a nibble that is
 * all the same is believed at 6 bits, one of two there are; a bit by itself at 8. Above a low
 * nibble that says something the top bit is a flag far more often than chance: it is believed with
 * it. High bits above low ones that move may be the top of a number that has not come far: they are
 * believed once most values that the low ones can make were seen. */
static uint8_t believed_bits(uint8_t same, size_t values)
{
  double each = (double)values - 1;
  uint8_t mask = 0;
  if (4 * each - 1 >= 6 && (same & 0x0f) == 0x0f) mask |= 0x0f;
  if (4 * each - 1 >= 6 && (same & 0xf0) == 0xf0) mask |= 0xf0;
  if (mask == 0x0f) mask |= same & 0x80;
  if (each - 3 >= 5) mask = same;
  unsigned free_bits = 8 - (unsigned)__builtin_popcount(mask);
  bool tops_a_number = (same & 1) == 0;
  return tops_a_number && 4 * values < (size_t)3 << free_bits ? 0 : mask;
}

static void find_masks(lesson *s)
{
  enum { VALUES_MIN = 3, BITS_MIN = 3 };
  for (size_t at = 0; at < s->look; at++) {
    uint8_t every = 0xff, some = 0;
    if (!lesson_is_free(s, at, 1)) continue;
    for (size_t i = 0; i < s->count; i++) {
      every &= reply_byte(s->list[i], at);
      some |= reply_byte(s->list[i], at);
    }
    size_t values = count_values(s, OF_REPLY, at, 1);
    if (values < VALUES_MIN) continue;
    uint8_t mask = believed_bits((uint8_t)(every | ~some), values);
    if (__builtin_popcount(mask) < BITS_MIN) continue;
    /* High bits that are all zero say that numbers are small, no more. */
    if ((every & mask) == 0) continue;
    lesson_add(s, &(finding){FOUND_MASK, .at = (uint16_t)at, .width = 1, .bits = every & mask,
                             .mask = mask, .weight = 0.9 * __builtin_popcount(mask)});
  }
}

static bool is_copied(const lesson *s, size_t at)
{
  size_t there = s->home + at;
  return there < s->request_len && !s->varies[there] && !s->nonce[there] &&
         s->list[0]->pair.request.data[there] == reply_byte(s->list[0], at);
}

/* It counts bytes of the reply, or nearly: where all replies are of one length it may say so. */
static bool may_be_length(const lesson *s, size_t at)
{
  enum { LEAST = 4, HEAD_MAX = 4 };
  size_t len = s->list[0]->pair.reply.len, value = reply_byte(s->list[0], at);
  return value >= LEAST && value <= len && len - value <= at + HEAD_MAX;
}

bool one_server(const lesson *s)
{
  for (size_t i = 1; i < s->count; i++)
    if (s->list[i]->server != s->list[0]->server) return false;
  return true;
}

static bool is_constant(const lesson *s, size_t at)
{
  return lesson_is_free(s, at, 1) && count_values(s, OF_REPLY, at, 1) == 1;
}

/* Behind the front, several bytes in a row that are neither text, nor small, nor as they were sent:
 * a cookie or a name of one server's own looks like that, a type of message does not. */
static bool may_be_cookie(const lesson *s, size_t at)
{
  enum { FRONT = 4, LEAST = 4, SMALL = 16 };
  size_t from = at, to = at + 1, large = 0, letters = 0;
  while (from > 0 && is_constant(s, from - 1) && !is_copied(s, from - 1))
    from--;
  while (to < s->look && is_constant(s, to) && !is_copied(s, to))
    to++;
  for (size_t i = from; i < to; i++) {
    uint8_t c = reply_byte(s->list[0], i);
    large += c >= SMALL && c != 0xff;
    letters += c >= 32 && c < 127;
  }
  return from >= FRONT && to - from >= LEAST && 4 * large >= 3 * (to - from) &&
         4 * letters < 3 * (to - from);
}

static bool moves(const lesson *s, size_t at)
{
  return lesson_is_free(s, at, 1) && count_values(s, OF_REPLY, at, 1) > 1;
}

static bool never_falls(const lesson *s, size_t at, size_t width, bool little)
{
  for (size_t i = 1; i < s->count; i++) {
    int order = 0;
    for (size_t k = 0; k < width && order == 0; k++) {
      size_t b = at + (little ? width - 1 - k : k);
      order = (int)reply_byte(s->list[i - 1], b) - (int)reply_byte(s->list[i], b);
    }
    if (order > 0) return false;
  }
  return true;
}

/* It stays in front of bytes that only grow, or behind them where the last byte counts most: the
 * top of a counter or a clock, which is another after some more replies, or hours. */
static bool tops_a_number(const lesson *s, size_t at)
{
  enum { PAIRS_MIN = 5 /* that grow by chance once in 120 */, BIG = 4, LITTLE = 8 };
  size_t front = at + 1, end, back = at, begin;
  if (s->count < PAIRS_MIN) return false;
  while (front < s->look && is_constant(s, front))
    front++;
  for (end = front; end < s->look && end < at + BIG && moves(s, end);)
    end++;
  if (end > front && never_falls(s, front, end - front, false)) return true;
  while (back > 0 && is_constant(s, back - 1))
    back--;
  for (begin = back; begin > 0 && at < begin - 1 + LITTLE && moves(s, begin - 1);)
    begin--;
  return begin < back && never_falls(s, begin, back - begin, true);
}

/* A byte each, so that the fewest can be chosen. */
static void find_constants(lesson *s)
{
  bool mine[LOOK_MAX], passing[LOOK_MAX];
  for (size_t at = 0; at < s->look; at++) {
    bool stays = !s->is_value && is_constant(s, at);
    mine[at] = stays && one_server(s) && may_be_cookie(s, at);
    passing[at] = stays && !is_copied(s, at) && tops_a_number(s, at);
  }
  for (size_t at = 0; at < s->look; at++) {
    finding f = {FOUND_CONSTANT, .at = (uint16_t)at, .width = 1, .weight = 1};
    if (!lesson_is_free(s, at, 1) || count_values(s, OF_REPLY, at, 1) != 1) continue;
    f.copied = is_copied(s, at);
    f.doubtful = !s->is_value && (mine[at] || may_be_length(s, at));
    f.passing = passing[at];
    lesson_add(s, &f);
  }
}

void find_columns(lesson *s)
{
  bool one_length = s->count >= 2;
  size_t len = s->list[0]->pair.reply.len;
  for (size_t i = 1; i < s->count; i++)
    one_length &= s->list[i]->pair.reply.len == len;
  if (one_length && !s->is_value)
    lesson_add(s, &(finding){FOUND_LENGTH_OF_REPLY, .k = (int64_t)len, .weight = 4});
  find_masks(s);
  if (!s->is_value) find_moving(s);
  find_constants(s);
}
