/* learn_relate.c - what the replies of a lesson owe to addresses, to their length and to the clock.
 */
#include "learn.h"

#include "compare.h"

#include <endian.h>
#include <string.h>

const uint8_t *byte_of(const told *t, of_kind of, size_t at)
{
  return (of == OF_REQUEST ? t->pair.request.data : t->pair.reply.data) + at;
}

uint64_t number_at(const told *t, of_kind of, size_t at, size_t width)
{
  return to_number((my_span){byte_of(t, of, at), width});
}

bool lesson_is_free(const lesson *s, size_t at, size_t width)
{
  for (size_t i = at; i < at + width; i++)
    if (i >= s->look || s->taken[i]) return false;
  return true;
}

bool lesson_add(lesson *s, const finding *f)
{
  if (s->found_count == FINDINGS_MAX) return false;
  s->found[s->found_count++] = *f;
  for (size_t i = f->at; i < (size_t)f->at + f->width && i < LOOK_MAX; i++)
    s->taken[i] = true;
  return true;
}

size_t count_values(const lesson *s, of_kind of, size_t at, size_t width)
{
  enum { COMPARED_MAX = 64 }; /* more values prove no more */
  const told *distinct[COMPARED_MAX];
  size_t n = 0;
  for (size_t i = 0; i < s->count && n < COMPARED_MAX; i++) {
    size_t k = 0;
    while (k < n && memcmp(byte_of(distinct[k], of, at), byte_of(s->list[i], of, at), width) != 0)
      k++;
    if (k == n) distinct[n++] = s->list[i];
  }
  return n;
}

/* ---- addresses ---- */

/* An address of that many bytes, 4 or 16, under a key that repeats. */
static bool has_address(const lesson *s, size_t at, size_t width, bool mine, const uint8_t key[4])
{
  for (size_t i = 0; i < s->count; i++) {
    const my_endpoint *e = mine ? &s->list[i]->pair.my : &s->list[i]->pair.peer;
    if (e->family != (width == 4 ? 4 : 6)) return false;
    for (size_t b = 0; b < width; b++)
      if ((*byte_of(s->list[i], OF_REPLY, at + b) ^ key[b % 4]) != e->bytes[b]) return false;
  }
  return true;
}

/* Has the client of pair i another flow in which it was told the same four bytes? */
static bool told_again(const lesson *s, size_t i, size_t at)
{
  for (size_t k = 0; k < s->count; k++)
    if (s->list[k]->flow != s->list[i]->flow &&
        my_endpoint_same_address(&s->list[k]->pair.my, &s->list[i]->pair.my))
      return memcmp(byte_of(s->list[k], OF_REPLY, at), byte_of(s->list[i], OF_REPLY, at), 4) == 0;
  return false;
}

static bool is_turned_address(const lesson *s, size_t at)
{
  for (size_t i = 0; i < s->count; i++)
    for (size_t b = 0; b < 4; b++)
      if (*byte_of(s->list[i], OF_REPLY, at + b) != s->list[i]->pair.my.bytes[3 - b]) return false;
  return true;
}

/* Do the four bytes hold a part of the client's own address, or of that last byte first? */
static bool is_part_of_own(const lesson *s, size_t at)
{
  static const uint8_t plain[4];
  for (size_t from = at < 3 ? 0 : at - 3; from <= at + 3 && from + 4 <= s->look; from++)
    if (is_turned_address(s, from) || has_address(s, from, 4, true, plain)) return true;
  return false;
}

static bool is_readable(uint8_t c)
{
  return (c >= 32 && c < 127) || c == '\t' || c == '\r' || c == '\n';
}

/* Clients with private addresses, each of which is told one public address of its own, in several
 * flows: that of its NAT. What every client is told is a constant, what differs by flow is an id,
 * what can be read is a text, and a part of its own address is none of a NAT. */
static bool has_outer_address(const lesson *s, size_t at)
{
  bool differ = false, readable = true;
  for (size_t i = 0; i < s->count; i++) {
    const uint8_t *there = byte_of(s->list[i], OF_REPLY, at);
    const my_endpoint *my = &s->list[i]->pair.my;
    if (my->family != 4 || my_ipv4_is_global(my->bytes) || !my_ipv4_is_global(there) ||
        !told_again(s, i, at))
      return false;
    differ |= memcmp(byte_of(s->list[0], OF_REPLY, at), there, 4) != 0;
    for (size_t b = 0; b < 4; b++)
      readable = readable && is_readable(there[b]);
  }
  return differ && !readable && !is_part_of_own(s, at);
}

static bool is_fixed(const lesson *s, size_t at, size_t width)
{
  for (size_t i = at; i < at + width; i++)
    if (s->varies[i]) return false;
  return true;
}

/* Bytes of the request that are the same in all and turn the reply's into our address. */
static bool find_key(const lesson *s, size_t at, size_t width, size_t *source)
{
  for (size_t q = 0; q + 4 <= s->request_len; q++) {
    if (!is_fixed(s, q, 4) || !has_address(s, at, width, true, byte_of(s->list[0], OF_REQUEST, q)))
      continue;
    *source = q;
    return true;
  }
  return false;
}

/* An address that stands in the request too comes back, that is all. */
static bool stands_in_request(const lesson *s, size_t at, size_t width)
{
  my_span there = {byte_of(s->list[0], OF_REPLY, at), width};
  return find_bytes(s->list[0]->pair.request, there) != SIZE_MAX;
}

static bool address_at(const lesson *s, size_t at, finding *f)
{
  static const uint8_t plain[4];
  size_t source = 0;
  if (find_key(s, at, f->width, &source)) {
    f->has_key = memcmp(byte_of(s->list[0], OF_REQUEST, source), plain, 4) != 0;
    f->source = (uint16_t)source;
    return true;
  }
  if (has_address(s, at, f->width, true, plain)) return true;
  if (f->width == 4 && has_outer_address(s, at)) return true;
  f->kind = FOUND_PEER_IP;
  return has_address(s, at, f->width, false, plain);
}

static void find_addresses(lesson *s)
{
  size_t width = s->list[0]->pair.my.family == 6 ? 16 : 4;
  for (size_t at = 0; at + width <= s->look; at++) {
    finding f = {FOUND_MY_IP, .at = (uint16_t)at, .width = (uint16_t)width,
                 .weight = 32 - TRIED_BITS};
    if (lesson_is_free(s, at, width) && !stands_in_request(s, at, width) && address_at(s, at, &f))
      lesson_add(s, &f);
  }
}

static bool has_port(const lesson *s, size_t at, uint16_t key)
{
  for (size_t i = 0; i < s->count; i++)
    if ((number_at(s->list[i], OF_REPLY, at, 2) ^ key) != s->list[i]->pair.my.port) return false;
  return true;
}

/* Our port, plain or under two bytes of the request that are the same in all. */
static bool port_at(const lesson *s, size_t at, finding *f)
{
  if (has_port(s, at, 0)) return true;
  for (size_t q = 0; q + 2 <= s->request_len; q++) {
    if (!is_fixed(s, q, 2) || !has_port(s, at, (uint16_t)number_at(s->list[0], OF_REQUEST, q, 2)))
      continue;
    f->has_key = true;
    f->source = (uint16_t)q;
    return true;
  }
  return false;
}

static void find_port(lesson *s)
{
  for (size_t at = 0; at + 2 <= s->look; at++) {
    finding f = {FOUND_MY_PORT, .at = (uint16_t)at, .width = 2, .weight = 16};
    if (lesson_is_free(s, at, 2) && count_values(s, OF_REPLY, at, 2) >= 3 && port_at(s, at, &f))
      lesson_add(s, &f);
  }
}

/* Our address as text in a value, where no request has it. Where both ends have one address nobody
 * knows whose it is. */
static void find_written_address(lesson *s)
{
  for (size_t i = 0; i < s->count; i++) {
    const my_pair *p = &s->list[i]->pair;
    char address[MY_ENDPOINT_TEXT];
    my_span want = {(const uint8_t *)my_endpoint_address(&p->my, address), strlen(address)};
    if (p->my.family == 0 || my_endpoint_same_address(&p->my, &p->peer) ||
        find_bytes(p->reply, want) == SIZE_MAX || find_bytes(p->request, want) != SIZE_MAX)
      return;
  }
  lesson_add(s, &(finding){FOUND_MY_IP_TEXT, .weight = 24});
}

/* ---- lengths and clocks ---- */

static bool is_length(const lesson *s, size_t at, size_t width, int64_t *k)
{
  bool several = false;
  for (size_t i = 0; i < s->count; i++) {
    const told *t = s->list[i];
    int64_t add = (int64_t)number_at(t, OF_REPLY, at, width) - (int64_t)t->pair.reply.len;
    if (i > 0 && add != *k) return false;
    several |= t->pair.reply.len != s->list[0]->pair.reply.len;
    *k = add;
  }
  bool usual = *k == 0 || *k == -(int64_t)(at + width);
  return *k <= 16 && *k >= -64 && (several || (usual && at <= 4 && width == 2));
}

/* Last byte first, and with nothing added: the language says no more. */
static bool is_little_length(const lesson *s, size_t at, size_t width)
{
  bool several = false;
  for (size_t i = 0; i < s->count; i++) {
    uint64_t value = number_at(s->list[i], OF_REPLY, at, width);
    value = be64toh(value) >> (64 - 8 * width);
    if (value != s->list[i]->pair.reply.len) return false;
    several |= s->list[i]->pair.reply.len != s->list[0]->pair.reply.len;
  }
  return several && width > 1;
}

static void find_lengths(lesson *s)
{
  for (size_t width = 4; width >= 1; width /= 2)
    for (size_t at = 0; at + width <= s->look && at < 32; at++) {
      finding f = {FOUND_LENGTH, .at = (uint16_t)at, .width = (uint16_t)width, .weight = 12};
      if (!lesson_is_free(s, at, width)) continue;
      f.little_endian = is_little_length(s, at, width);
      if (f.little_endian || is_length(s, at, width, &f.k)) lesson_add(s, &f);
    }
}

/* Is it the time of day, to a few seconds, in every reply? A clock may be wrong by more, but the
 * small numbers that look like one are not this exact. */
static bool is_clock(const lesson *s, size_t at, int64_t epoch)
{
  enum { EXACT = 3 };
  for (size_t i = 0; i < s->count; i++) {
    const told *t = s->list[i];
    int64_t now = t->pair.now_unix_ns / 1000000000 + epoch;
    int64_t off = (int64_t)number_at(t, OF_REPLY, at, 4) - (now & UINT32_MAX);
    if (t->pair.now_unix_ns == 0 || off > EXACT || off < -EXACT) return false;
  }
  return true;
}

static void find_clocks(lesson *s)
{
  enum { MONTHS = 90 * 86400 };
  static const int64_t ntp_epoch = 2208988800; /* RFC 5905: 1900 to 1970 */
  for (size_t at = 0; at + 4 <= s->look; at++) {
    finding f = {FOUND_NTP, .at = (uint16_t)at, .width = 4, .k = MONTHS, .weight = 32 - TRIED_BITS};
    if (!lesson_is_free(s, at, 4)) continue;
    if (!is_clock(s, at, ntp_epoch)) {
      if (!is_clock(s, at, 0)) continue;
      f.kind = FOUND_UNIX;
    }
    lesson_add(s, &f);
  }
}

void find_relations(lesson *s)
{
  find_echoes(s);
  find_addresses(s);
  find_port(s);
  find_clocks(s);
  if (s->is_value)
    find_written_address(s);
  else
    find_lengths(s);
}
