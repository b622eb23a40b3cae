/* learn_relate.c - what the replies of a lesson owe to their requests, to addresses, to their
 * length and to the clock. Every relation pays for the number of those that were tried: it is
 * believed only where chance would have to be lucky over many bits. */
#include "learn.h"

#include "compare.h"

#include <endian.h>
#include <math.h>
#include <string.h>

enum {
  TRIED_BITS = 17,     /* log2 of the relations of the kind that are tried on one lesson */
  SAME_PLACE_BITS = 8, /* less for what comes back where it stood: most that comes back does */
  START_BITS = 4,      /* less again at the start: a third of all protocols have their id there */
  VALUE_BITS_MAX = 24, /* that one more value can prove */
  FIRST_ECHO_MAX = 8
};

static const uint8_t *byte_of(const told *t, of_kind of, size_t at)
{
  return (of == OF_REQUEST ? t->pair.request.data : t->pair.reply.data) + at;
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

/* ---- how much a relation on these values proves ---- */

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

static uint64_t number_at(const told *t, of_kind of, size_t at, size_t width)
{
  return to_number((my_span){byte_of(t, of, at), width});
}

/* The bytes of a run of the request that vary: the first, and how many there are. */
static size_t varying(const lesson *s, size_t from, size_t width, size_t *first)
{
  size_t n = 0;
  for (size_t i = from; i < from + width; i++)
    if (s->varies[i] && n++ == 0) *first = i;
  return n;
}

/* Values that only count on prove little: any other counter may run beside them. */
static bool is_counter(const lesson *s, size_t at, size_t width, size_t values)
{
  uint64_t least = UINT64_MAX, most = 0;
  width = width > 8 ? 8 : width;
  for (size_t i = 0; i < s->count; i++) {
    uint64_t v = number_at(s->list[i], OF_REQUEST, at, width);
    least = v < least ? v : least;
    most = v > most ? v : most;
  }
  return most - least < 8 * (uint64_t)values;
}

static double echo_weight(const lesson *s, size_t from, size_t width)
{
  size_t first = 0, n = varying(s, from, width, &first), end = from + width;
  if (n == 0) return 0;
  size_t values = count_values(s, OF_REQUEST, from, width);
  double each = fmin(8.0 * (double)n, VALUE_BITS_MAX);
  while (end > first && !s->varies[end - 1])
    end--;
  if (is_counter(s, first, end - first, values)) each = 1;
  return each * (double)(values - 1);
}

/* ---- echoes ---- */

typedef struct run {
  size_t source, at, width;
} run;

static bool same_everywhere(const lesson *s, size_t source, size_t at)
{
  for (size_t i = 0; i < s->count; i++)
    if (*byte_of(s->list[i], OF_REQUEST, source) != *byte_of(s->list[i], OF_REPLY, at))
      return false;
  return true;
}

static bool is_common(uint8_t c)
{
  return c <= 1 || c == 0xff;
}

/* Of the fixed bytes at an end of the run those that a copy of what varies takes along: up to the
 * first that any message has. */
static size_t kept_edge(const lesson *s, const run *r, bool last)
{
  const uint8_t *request = byte_of(s->list[0], OF_REQUEST, r->source);
  size_t fixed = 0, kept = 0;
  while (fixed < r->width && !s->varies[r->source + (last ? r->width - 1 - fixed : fixed)])
    fixed++;
  if (fixed == r->width) return 0;
  while (kept < fixed && !is_common(request[last ? r->width - fixed + kept : fixed - 1 - kept]))
    kept++;
  return fixed - kept;
}

/* Nothing is explained twice; and a few fixed bytes beside what varies are more likely a header
 * that both sides write than a part of what comes back. Returns the fixed bytes to leave out. */
static size_t edge_of(const lesson *s, const run *r, bool last)
{
  enum { EDGE_MAX = 4 };
  size_t fixed = 0, left_out = kept_edge(s, r, last);
  while (fixed < r->width && !s->varies[r->source + (last ? r->width - 1 - fixed : fixed)])
    fixed++;
  return fixed - left_out < EDGE_MAX ? fixed : left_out;
}

static bool trim(const lesson *s, run *r)
{
  size_t skip = 0, width = 0;
  while (skip < r->width && s->taken[r->at + skip])
    skip++;
  while (skip + width < r->width && !s->taken[r->at + skip + width])
    width++;
  *r = (run){r->source + skip, r->at + skip, width};
  size_t edge = edge_of(s, r, false);
  *r = (run){r->source + edge, r->at + edge, r->width - edge};
  r->width -= edge_of(s, r, true);
  return r->width > 0;
}

/* What is at its place in the request is likelier to have come from there. */
static double place_bits(const lesson *s, const run *r)
{
  if (r->source != s->home + r->at) return 0;
  return SAME_PLACE_BITS + (r->source == 0 ? START_BITS : 0);
}

/* The run of bytes that come back with the most evidence, over all shifts. */
static double best_run(const lesson *s, run *best)
{
  double most = 0;
  for (size_t d = 0; d < s->request_len + s->look; d++) {
    size_t q = d < s->request_len ? d : 0, r = d < s->request_len ? 0 : d - s->request_len + 1;
    for (; q < s->request_len && r < s->look; q++, r++) {
      run here = {q, r, 0};
      while (q < s->request_len && r < s->look && same_everywhere(s, q, r)) {
        q++;
        r++;
        here.width++;
      }
      if (here.width == 0 || !trim(s, &here)) continue;
      double weight = echo_weight(s, here.source, here.width);
      if (weight > 0) weight += place_bits(s, &here);
      if (weight > most) {
        most = weight;
        *best = here;
      }
    }
  }
  return most;
}

static void mark_nonces(lesson *s, size_t from, size_t width)
{
  for (size_t i = from; i < from + width; i++)
    s->nonce[i] = s->varies[i];
}

static void find_echoes(lesson *s)
{
  run best;
  for (double weight; (weight = best_run(s, &best)) >= TRIED_BITS;) {
    mark_nonces(s, best.source, best.width);
    if (!lesson_add(s,
                    &(finding){FOUND_ECHO, .at = (uint16_t)best.at, .width = (uint16_t)best.width,
                               .source = (uint16_t)best.source, .weight = weight}))
      break;
  }
}

/* One request alone, sent again and again: what comes back at its very start is taken for an id, as
 * a third of all protocols have one there, if it is no number that any message begins with. */
static void find_first_echo(lesson *s)
{
  size_t width = 0;
  while (width < FIRST_ECHO_MAX && width < s->request_len && lesson_is_free(s, width, 1) &&
         !s->varies[width] && same_everywhere(s, width, width))
    width++;
  size_t id = width >= 8 ? 8 : width >= 4 ? 4 : width >= 2 ? 2 : 0;
  if (id == 0 || id == s->request_len) return;
  const uint8_t *bytes = byte_of(s->list[0], OF_REQUEST, 0);
  if (is_common(bytes[0]) || is_common(bytes[1])) return;
  for (size_t i = 0; i < id; i++)
    s->nonce[i] = true;
  lesson_add(s, &(finding){FOUND_ECHO, .at = 0, .width = (uint16_t)id, .source = 0, .weight = 1});
}

/* ---- echoes at no fixed place ---- */

static bool is_somewhere(const lesson *s, size_t source, size_t width)
{
  for (size_t i = 0; i < s->count; i++)
    if (find_bytes(s->list[i]->pair.reply,
                   (my_span){byte_of(s->list[i], OF_REQUEST, source), width}) == SIZE_MAX)
      return false;
  return true;
}

/* Bytes that vary, in a row that is long enough not to stand anywhere by chance. */
static void find_moved_echoes(lesson *s)
{
  enum { WIDTH_MIN = 4, WIDTH_MAX = 64 };
  for (size_t at = 0, width; at < s->request_len; at += width + 1) {
    for (width = 0; at + width < s->request_len && width < WIDTH_MAX && s->varies[at + width];)
      width++;
    double weight = width < WIDTH_MIN || s->nonce[at] ? 0 : echo_weight(s, at, width);
    if (weight < TRIED_BITS || !is_somewhere(s, at, width)) continue;
    mark_nonces(s, at, width);
    lesson_add(
        s, &(finding){FOUND_HAS, .source = (uint16_t)at, .k = (int64_t)width, .weight = weight});
  }
}

/* ---- changed echoes ---- */

static bool is_reversed(const lesson *s, size_t source, size_t at, size_t width)
{
  for (size_t i = 0; i < s->count; i++)
    for (size_t b = 0; b < width; b++)
      if (*byte_of(s->list[i], OF_REQUEST, source + width - 1 - b) !=
          *byte_of(s->list[i], OF_REPLY, at + b))
        return false;
  return true;
}

static uint64_t all_ones(size_t width)
{
  return width == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * width) - 1;
}

static uint64_t difference(const told *t, size_t source, size_t at, size_t width)
{
  return (number_at(t, OF_REPLY, at, width) - number_at(t, OF_REQUEST, source, width)) &
         all_ones(width);
}

/* reply = request + k, for a k that is no more than a step. A last byte that is always the same is
 * none to count in. */
static bool is_added(const lesson *s, size_t source, size_t at, size_t width, int64_t *k)
{
  enum { STEP_MAX = 16 };
  uint64_t first = difference(s->list[0], source, at, width);
  if (first == 0 || first > STEP_MAX || !s->varies[source + width - 1]) return false;
  for (size_t i = 1; i < s->count; i++)
    if (difference(s->list[i], source, at, width) != first) return false;
  *k = (int64_t)first;
  return true;
}

static bool is_complement(const lesson *s, size_t source, size_t at, size_t width)
{
  for (size_t i = 0; i < s->count; i++)
    if ((number_at(s->list[i], OF_REPLY, at, width) ^
         number_at(s->list[i], OF_REQUEST, source, width)) != all_ones(width))
      return false;
  return true;
}

/* A bit that is set in every reply, in a byte that was sent one way and another. */
static bool is_flagged(const lesson *s, size_t source, size_t at, size_t width, int64_t *k)
{
  uint64_t set = 0;
  for (size_t i = 0; i < s->count; i++)
    set |= number_at(s->list[i], OF_REPLY, at, width) &
           ~number_at(s->list[i], OF_REQUEST, source, width);
  if (set == 0 || (set & (set - 1)) != 0) return false; /* one flag */
  size_t byte = width - 1 - (size_t)__builtin_ctzll(set) / 8;
  if (!s->varies[source + byte]) return false;
  for (size_t i = 0; i < s->count; i++)
    if (number_at(s->list[i], OF_REPLY, at, width) !=
        (number_at(s->list[i], OF_REQUEST, source, width) | set))
      return false;
  *k = (int64_t)set;
  return true;
}

static bool change_of(const lesson *s, size_t source, size_t at, size_t width, finding *f)
{
  if (is_reversed(s, source, at, width))
    f->kind = FOUND_REVERSED;
  else if (is_added(s, source, at, width, &f->k))
    f->kind = FOUND_ADDED;
  else if (is_complement(s, source, at, width))
    f->kind = FOUND_NOT;
  else if (is_flagged(s, source, at, width, &f->k))
    f->kind = FOUND_BITOR;
  else
    return false;
  return true;
}

static void find_changed(lesson *s, size_t width)
{
  for (size_t source = 0; source + width <= s->request_len; source++) {
    double weight = echo_weight(s, source, width);
    if (weight < TRIED_BITS || s->nonce[source]) continue;
    for (size_t at = 0; at + width <= s->look; at++) {
      finding f = {.at = (uint16_t)at,
                   .width = (uint16_t)width,
                   .source = (uint16_t)source,
                   .weight = weight};
      if (!lesson_is_free(s, at, width) || !change_of(s, source, at, width, &f)) continue;
      if (!lesson_add(s, &f)) return;
      mark_nonces(s, source, width);
    }
  }
}

/* ---- addresses ---- */

static bool has_address(const lesson *s, size_t at, bool mine, const uint8_t key[4])
{
  for (size_t i = 0; i < s->count; i++) {
    const my_endpoint *e = mine ? &s->list[i]->pair.my : &s->list[i]->pair.peer;
    if (e->family != 4) return false;
    for (size_t b = 0; b < 4; b++)
      if ((*byte_of(s->list[i], OF_REPLY, at + b) ^ key[b]) != e->bytes[b]) return false;
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

/* Clients with private addresses, each of which is told one public address of its own, in several
 * flows: that of its NAT. What every client is told is a constant, what differs by flow is an id,
 * and what can be read is a text. */
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
      readable = readable && there[b] >= 32 && there[b] < 127;
  }
  return differ && !readable;
}

static bool is_fixed(const lesson *s, size_t at, size_t width)
{
  for (size_t i = at; i < at + width; i++)
    if (s->varies[i]) return false;
  return true;
}

/* Bytes of the request that are the same in all and turn the reply's into our address. */
static bool find_key(const lesson *s, size_t at, size_t *source)
{
  for (size_t q = 0; q + 4 <= s->request_len; q++) {
    if (!is_fixed(s, q, 4) || !has_address(s, at, true, byte_of(s->list[0], OF_REQUEST, q)))
      continue;
    *source = q;
    return true;
  }
  return false;
}

/* An address that stands in the request too comes back, that is all. */
static bool stands_in_request(const lesson *s, size_t at)
{
  my_span four = {byte_of(s->list[0], OF_REPLY, at), 4};
  return find_bytes(s->list[0]->pair.request, four) != SIZE_MAX;
}

static bool address_at(const lesson *s, size_t at, finding *f)
{
  static const uint8_t plain[4];
  size_t source = 0;
  if (find_key(s, at, &source)) {
    f->has_key = memcmp(byte_of(s->list[0], OF_REQUEST, source), plain, 4) != 0;
    f->source = (uint16_t)source;
    return true;
  }
  if (has_address(s, at, true, plain) || has_outer_address(s, at)) return true;
  f->kind = FOUND_PEER_IP;
  return has_address(s, at, false, plain);
}

static void find_addresses(lesson *s)
{
  for (size_t at = 0; at + 4 <= s->look; at++) {
    finding f = {FOUND_MY_IP, .at = (uint16_t)at, .width = 4, .weight = 32 - TRIED_BITS};
    if (lesson_is_free(s, at, 4) && !stands_in_request(s, at) && address_at(s, at, &f))
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
  find_changed(s, 8); /* before echoes: bytes of it come back, too */
  find_changed(s, 4);
  find_changed(s, 2);
  find_echoes(s);
  find_addresses(s);
  find_port(s);
  find_clocks(s);
  if (s->is_value)
    find_written_address(s);
  else
    find_lengths(s);
  if (!s->is_value) find_moved_echoes(s);
  bool echoed = s->is_value;
  for (size_t i = 0; i < s->found_count; i++)
    echoed |= s->found[i].kind == FOUND_ECHO;
  if (!echoed) find_first_echo(s);
}

/* ---- nonces of texts ---- */

static bool is_alnum(uint8_t c)
{
  return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* Does the byte come back, be it within a longer run or beside what is looked for? */
static bool comes_back(const lesson *s, size_t at)
{
  for (size_t i = 0; i < s->found_count; i++) {
    const finding *f = &s->found[i];
    size_t width = f->kind == FOUND_HAS ? (size_t)f->k : f->width;
    if ((f->kind == FOUND_ECHO || f->kind == FOUND_HAS) && f->source <= at &&
        at < (size_t)f->source + width)
      return true;
  }
  return false;
}

/* Of a few random letters some are the same in all requests by chance. */
void join_nonces(lesson *s)
{
  const uint8_t *request = s->list[0]->pair.request.data;
  for (size_t i = 1; i + 1 < s->request_len; i++)
    if (!s->nonce[i] && s->nonce[i - 1] && s->nonce[i + 1] && is_alnum(request[i - 1]) &&
        is_alnum(request[i]) && is_alnum(request[i + 1]) && comes_back(s, i))
      s->nonce[i] = true;
}
