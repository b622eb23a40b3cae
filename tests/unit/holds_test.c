/* holds_test.c - the fast answer beside the one with evidence, on everything that the library knows
 * and on what random changes make of it; and the index beside asking every signature. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>

#include <cmocka.h>

#include "guard.h"

#include "mynah/match.h"

enum { BYTES = 70000, ROUNDS = 300 };

static my_sigdb *library;
static my_scratch *scratch;

/* ---- allocations ---- */

static size_t allocations;
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n)
{
  allocations++;
  return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
  allocations++;
  return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
  allocations++;
  return __real_realloc(p, n);
}

/* ---- chance, the same every time ---- */

static uint64_t seed = 1;

static uint32_t draw(uint32_t below)
{
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((seed >> 33) % below);
}

/* Bytes that lines may ask for are drawn more often than others. */
static uint8_t draw_byte(my_span near)
{
  static const uint8_t likely[] = {0, 1, 2, 0x7f, 0x80, 0xff, 'A', '0', ' ', '\r', '\n'};
  uint32_t choice = draw(4);
  if (choice == 0 && near.len > 0) return near.data[draw((uint32_t)near.len)];
  return choice == 1 ? likely[draw(sizeof likely)] : (uint8_t)draw(256);
}

/* Change a few bytes, cut, or make longer. Returns the new length. */
static size_t mutate(uint8_t *bytes, size_t len, my_span near)
{
  for (uint32_t i = draw(4); len > 0 && i > 0; i--)
    bytes[draw(draw(2) ? (uint32_t)len : 1 + (uint32_t)(len - 1) / 4)] = draw_byte(near);
  switch (draw(8)) {
  case 0:
    return draw((uint32_t)len + 1);
  case 1:
    for (uint32_t i = draw(12); i > 0 && len < BYTES; i--)
      bytes[len++] = draw_byte(near);
    return len;
  case 2:
    return len > 0 ? len - 1 : 0;
  default:
    return len;
  }
}

/* ---- the two answers ---- */

static void set_addresses(my_pair *p)
{
  static const char *const mine[] = {"192.0.2.7", "192.168.0.19", "2001:db8::7", "8.8.8.8"};
  uint32_t choice = draw(64);
  my_endpoint_parse(&p->my, mine[choice % 4], 40000);
  my_endpoint_parse(&p->peer, choice % 4 == 2 ? "2001:db8::1" : "192.0.2.1", 5000);
  if (choice & 4) p->from = p->peer;
  if ((choice & 12) == 12) p->from.port++;
  if (choice & 16) my_endpoint_parse(&p->public_, "81.0.0.1", 0);
  if (choice & 32) p->now_unix_ns = 1700000000000000000;
}

static size_t held_count, compared_count;

/* The last bytes before a page without access, over and over. */
static my_span at_the_end(guarded *g, my_span bytes)
{
  if (g->map == NULL) {
    static const uint8_t zeros[BYTES + 16];
    *g = guard(zeros, sizeof zeros);
  }
  uint8_t *start = (uint8_t *)g->span.data + g->span.len - bytes.len;
  if (bytes.len > 0) memcpy(start, bytes.data, bytes.len);
  return (my_span){start, bytes.len};
}

/* Both answers on a pair whose datagrams end where memory ends; nothing is allocated. */
static void compare(const my_sig *sig, my_pair p)
{
  static guarded request, reply;
  my_match m;
  my_sig_info info;
  p.request = at_the_end(&request, p.request);
  p.reply = at_the_end(&reply, p.reply);
  size_t before = allocations;
  bool holds = my_sig_holds(sig, &p, scratch);
  assert_int_equal(allocations, before);
  my_sig_match(sig, &p, scratch, &m);
  my_sig_get_info(sig, &info);
  if (holds != m.matched)
    fail_msg("%s: holds %d, matches %d (step %u, reply of %zu bytes, line %d: %s)", info.name,
             holds, m.matched, p.step, p.reply.len, m.first_failed,
             m.first_failed >= 0 ? my_sig_line_text(sig, (size_t)m.first_failed) : "");
  held_count += holds;
  compared_count++;
}

/* A pair and what chance makes of it. */
static void compare_around(const my_sig *sig, my_pair p, int rounds)
{
  static uint8_t request[BYTES + 16], reply[BYTES + 16];
  my_span asked = p.request, got = p.reply;
  compare(sig, p);
  for (int i = 0; i < rounds; i++) {
    memcpy(request, asked.len > 0 ? asked.data : request, asked.len);
    memcpy(reply, got.len > 0 ? got.data : reply, got.len);
    p.request = (my_span){request, draw(4) ? asked.len : mutate(request, asked.len, got)};
    p.reply = (my_span){reply, mutate(reply, got.len, asked)};
    if (i % 2) set_addresses(&p);
    compare(sig, p);
  }
}

/* ---- the library ---- */

static my_span read_file(const char *path)
{
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  uint8_t *bytes = malloc(MY_SIG_FILE_MAX);
  size_t len = fread(bytes, 1, MY_SIG_FILE_MAX, f);
  fclose(f);
  return (my_span){bytes, len};
}

static int load_library(void **state)
{
  struct dirent **names;
  my_where where;
  (void)state;
  int n = scandir(MYNAH_SIGNATURES, &names, NULL, alphasort);
  assert_int_equal(my_sigdb_new(&library), MY_OK);
  assert_int_equal(my_scratch_new(&scratch), MY_OK);
  for (int i = 0; i < n; i++) {
    const char *suffix = strrchr(names[i]->d_name, '.');
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", MYNAH_SIGNATURES, names[i]->d_name);
    if (suffix != NULL && strcmp(suffix, ".sig") == 0) {
      my_span text = read_file(path);
      int rc = my_sigdb_add(library, names[i]->d_name, text, &where);
      if (rc != MY_OK) fail_msg("%s:%u: %s", path, where.line, where.text);
      free((void *)text.data);
    }
    free(names[i]);
  }
  free(names);
  assert_true(my_sigdb_count(library) > 0);
  return 0;
}

static int free_library(void **state)
{
  (void)state;
  my_sigdb_free(library);
  my_scratch_free(scratch);
  return 0;
}

static my_pair pair_of(const my_sample *s)
{
  my_pair p = {.request = s->request, .reply = s->reply, .my = s->my, .closed = true};
  if (p.my.family == 0) my_endpoint_parse(&p.my, "192.0.2.7", 40000);
  my_endpoint_parse(&p.peer, "192.0.2.1", 9); /* as the checker has it */
  return p;
}

/* Every sample of every signature, and many like it, under its own signature and its steps; and as
 * it is under every other one. */
static void test_library(void **state)
{
  (void)state;
  size_t count = my_sigdb_count(library);
  int rounds = count > 60 ? ROUNDS / 4 : ROUNDS;
  held_count = compared_count = 0;
  for (size_t i = 0; i < count; i++) {
    const my_sig *sig = my_sigdb_at(library, i);
    for (size_t k = 0; k < my_sig_sample_count(sig); k++) {
      const my_sample *s = my_sig_sample_at(sig, k);
      my_pair p = pair_of(s);
      compare_around(sig, p, rounds);
      for (size_t other = 0; other < count; other++)
        compare(my_sigdb_at(library, other), p);
      if (s->then_reply.data != NULL) {
        p.request = s->then_request;
        p.reply = s->then_reply;
      }
      for (p.step = 1; my_sig_step(sig, p.step) != NULL; p.step++)
        compare_around(sig, p, rounds);
      p.step = 999; /* there is none */
      compare(sig, p);
    }
  }
  assert_true(held_count > compared_count / 100);
}

/* ---- each kind of line ---- */

#define HEAD "service s\nsig s\n send id?4 00000001 \"ABCD\" x?4\n "

/* The request is 01020304 00000001 "ABCD" 05060708, the reply starts with it turned a little. */
static const char *const lines[] = {
    "@0 = 01",
    "@0:2 = 0102",
    "@0:3 = 010203",
    "@0:5 = 0102030400",
    "@0:7 = 01020304000000",
    "@1:3 = 020304",
    "@0:4 = $id",
    "@0:3 = q@0:3",
    "@1:3 = q@1:3",
    "@0:5 = q@0:5",
    "@0:16 = q@0:16",
    "@0:12 = q@0:12",
    "@4:12 = q@4:12",
    "@1:11 = q@1:11",
    "@0:7 = q@0:7",
    "@-4:4 = $x",
    "@-3:3 = q@-3:3",
    "@-4:4 = q@12:4",
    "@12:4 = q@-4:4",
    "@-1:1 = 08",
    "@-3:3 = 060708",
    "@-8:8 = 4142434405060708",
    "@0:2 = @4:2",
    "@0:1 != @1:1",
    "@0:3 != q@0:3",
    "@0:8 != q@0:8",
    "@0 != 00 or 01",
    "@0:3 != 000000 or 010203",
    "@0 = 00 or 01 or 02..7f",
    "@0 = 80..8f",
    "@0:2 = 0000..01ff",
    "@1:3 = 000000..02ffff",
    "@0:8 >= 0102030400000001",
    "@0:3 = 000000..010203",
    "@0:3 < 010204",
    "@0:5 >= 0102030400",
    "@1:3 = q@0:3",
    "@0:3 = q@1:3",
    "@13:3 = q@13:3",
    "@-16:3 = q@0:3",
    "@0:3 & 00ff00 = 000000..000200",
    "@0:3 < 010204\n @5 != 77",
    "@0:3 = 000000..010203\n @5 != 77",
    "@0:5 != 0102030400\n @9 != 77",
    "@0:3 = 010203 or 010303\n @5 != 77",
    "@0 < 02",
    "@0 > 00",
    "@0 <= 01",
    "@0 >= 02",
    "@0:2 < 0103",
    "@0:2 > ffff",
    "@0:2 < 0000",
    "@0:2 & fff0 = 0100",
    "@0:2 & 00ff != 0002",
    "@0:3 & ffff00 = 010200",
    "@0:4 & 0f0f0f0f = $id",
    "@0:2 & 0ff0 < 0200",
    "@0 & f0 = 00..40",
    "@0 = b0000...1",
    "@0 != b1.......",
    "@0:2 = b0000...1......1.",
    "@0 = b0000...0 or b.......1",
    "@0 = dec 1 or dec 7",
    "@0 starts 01",
    "@0 starts $id",
    "@1 starts 020304",
    "@ starts \"ABCD\"",
    "@8 starts \"ABCD\"",
    "@8:4 starts \"AB\"",
    "@ has \"BCD\"",
    "@ ~ m/ABCD/",
    "@8:4 ~ digits",
    "@8:4 = fold(q@8:4)",
    "@0:4 = rev($id)",
    "@0:4 = add($id,1)",
    "len = 16",
    "len = 16..20",
    "len = 3 or 16 or 20..30",
    "len != 16",
    "len > 15",
    "len < 17",
    "len >= 17",
    "len <= 16",
    "len < 0",
    "len = q.len",
    "len != q.len",
    "len > q.len-1",
    "len = q.len+1",
    "len < q.len-16",
    "@0:2 = len-2",
    "@0:2 != len-2",
    "@0:2 > len",
    "@0 = q.len-15",
    "@0:2 = q.len+242",
    "@6:2 = len-99",
    "@6:2 != len-99",
    "@0:4 = my.ip",
    "@0:2 = my.port",
    "sport = peer.port",
    "sport < 6000",
    "@0:16 = my.ip",
    "@0:4 ~ now.unix 90d",
    "len = rev(@0:2)",
    "vary @0:4",
    "vary @14:4",
    "stable @-4:4",
    "@0:2 = 0102\n @1:2 = 0203",
    "@0:2 = 0102\n @1:2 = 0303",
    "any @0 = 01\n any @0 = 02\n @1 = 02",
    "any len = 3\n any @ has \"CD\"\n any @20 = 00",
    "soft @0 = 99\n @1 = 02",
    "any @0 = 09\n any @1 = 02\n any @30 = 00",
    "case @0 = 01\n @1 = 02\n case @0 = 02\n @1 = 03\n len = 16..18",
    "@8 = 41\n case @0:3 = 010203\n any @3 = 04\n any @3 = 05\n case @ has \"CD\"\n @1 < 80",
    "case @0:4 = my.ip\n @1 = 02\n case @0:2 = my.port\n len = 16\n case @0 = 01\n @2 != 03",
    "@0 & 03 = 01\n @0 & 30 = 00\n @1:3 & 0000ff = 000004\n @2 = 03\n @12:3 = 050607",
    "@300 = 00",
    "@4000:2 = 0000",
    "@0:256 = @256:256",
    "@-300:2 = 0000",
    "from-port any\n @0 = 01",
};

static void test_lines(void **state)
{
  static const uint8_t sent[16] = {1, 2, 3, 4, 0, 0, 0, 1, 'A', 'B', 'C', 'D', 5, 6, 7, 8};
  static uint8_t reply[BYTES];
  (void)state;
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    char text[1000];
    my_where where;
    my_sigdb *db;
    snprintf(text, sizeof text, HEAD "%s\n", lines[i]);
    assert_int_equal(my_sigdb_new(&db), MY_OK);
    int rc = my_sigdb_add(db, "t", (my_span){(const uint8_t *)text, strlen(text)}, &where);
    if (rc != MY_OK) fail_msg("%s: %s", lines[i], where.text);
    my_pair p = {.request = {sent, sizeof sent}};
    my_endpoint_parse(&p.my, "192.0.2.7", 40000);
    my_endpoint_parse(&p.peer, "192.0.2.1", 5000);
    for (size_t len = 0; len <= 20; len++) {
      memset(reply, (int)draw(256), sizeof reply);
      memcpy(reply, sent, len < 16 ? len : 16);
      p.reply = (my_span){reply, len};
      compare_around(my_sigdb_at(db, 0), p, 60);
      reply[0] ^= 0x80; /* no copy of the request any more */
      compare_around(my_sigdb_at(db, 0), p, 60);
      reply[0] = 0, reply[1] = (uint8_t)(len - 2);
      compare_around(my_sigdb_at(db, 0), p, 20);
    }
    p.reply.len = 5000;
    compare_around(my_sigdb_at(db, 0), p, 20);
    my_sigdb_free(db);
  }
}

/* ---- the index ---- */

/* May 'request' be composed by it? Asked of the composer itself: what differs between two probes of
 * opposite entropy is drawn. */
static bool may_be_sent(const my_sig *sig, my_span request, uint8_t zeros[static MY_PROBE_MAX],
                        uint8_t ones[static MY_PROBE_MAX])
{
  static uint8_t low[MY_PROBE_MAX], high[MY_PROBE_MAX];
  my_endpoint a, b;
  my_endpoint_parse(&a, "0.0.0.0", 1);
  my_endpoint_parse(&b, "255.255.255.255", 65535);
  a.port = 0;
  memset(low, 0, sizeof low);
  memset(high, 255, sizeof high);
  int n = my_sig_compose(sig, &a, &a, (my_span){low, sizeof low}, zeros, MY_PROBE_MAX);
  int m = my_sig_compose(sig, &b, &b, (my_span){high, sizeof high}, ones, MY_PROBE_MAX);
  if (n < 0 || n != m || (size_t)n != request.len) return false;
  for (int i = 0; i < n; i++) {
    uint8_t fixed = (uint8_t) ~(zeros[i] ^ ones[i]);
    if (zeros[i] != ones[i] && (zeros[i] != 0 || ones[i] != 255)) continue; /* a class, a sum */
    if ((request.data[i] & fixed) != (zeros[i] & fixed)) return false;
  }
  return true;
}

static bool is_bound(const my_sigdb *db, const my_sig *sig, my_span request)
{
  const my_sig *found[MY_BIND_MAX];
  my_sig_info info;
  my_sig_get_info(sig, &info);
  static guarded g;
  my_span guarded_request = at_the_end(&g, request);
  size_t before = allocations;
  size_t n = my_sigdb_bind(db, info.transport, guarded_request, found, MY_BIND_MAX);
  assert_int_equal(allocations, before);
  bool here = false;
  for (size_t i = 0; i < n; i++)
    here = here || found[i] == sig;
  assert_int_equal(here, my_sig_fits(sig, guarded_request));
  return here;
}

/* A probe of each signature is bound to it; with any fixed byte changed it is not; and whatever is
 * bound may have been sent. */
static void test_bind(void **state)
{
  static uint8_t probe[MY_PROBE_MAX], zeros[MY_PROBE_MAX], ones[MY_PROBE_MAX];
  (void)state;
  for (size_t i = 0; i < my_sigdb_count(library); i++) {
    const my_sig *sig = my_sigdb_at(library, i);
    my_sig_info info;
    my_sig_get_info(sig, &info);
    for (int round = 0; round < 20 && !info.banner; round++) {
      uint8_t entropy[MY_PROBE_MAX];
      my_endpoint my, peer;
      my_endpoint_parse(&my, "192.0.2.7", 40000);
      my_endpoint_parse(&peer, "192.0.2.1", 5000);
      for (size_t k = 0; k < sizeof entropy; k++)
        entropy[k] = (uint8_t)draw(256);
      int n =
          my_sig_compose(sig, &my, &peer, (my_span){entropy, sizeof entropy}, probe, sizeof probe);
      assert_true(n > 0);
      my_span request = {probe, (size_t)n};
      if (!is_bound(library, sig, request)) fail_msg("%s is not bound", info.name);
      uint32_t at = draw((uint32_t)n);
      probe[at] ^= (uint8_t)(1 + draw(255));
      const my_sig *found[MY_BIND_MAX];
      size_t count = my_sigdb_bind(library, info.transport, request, found, MY_BIND_MAX);
      for (size_t k = 0; k < count; k++)
        assert_true(may_be_sent(found[k], request, zeros, ones));
      may_be_sent(sig, request, zeros, ones);
      if (zeros[at] == ones[at] && is_bound(library, sig, request))
        fail_msg("%s is bound with byte %u changed", info.name, at);
      request.len--;
      assert_false(is_bound(library, sig, request));
    }
  }
}

/* Many signatures that differ in a byte or two: each probe finds its own, in file order. */
static void test_many(void **state)
{
  enum { MANY = 600 };
  static char text[MANY * 120];
  size_t used = 0;
  my_sigdb *db;
  my_where where;
  (void)state;
  used += (size_t)sprintf(text, "service s\n");
  for (unsigned i = 0; i < MANY; i++)
    used += (size_t)sprintf(text + used, "sig s%u\n send id?2 %02x%s 00 %04x x?%u\n @0:2 = $id\n",
                            i, i % 7, i % 3 ? "" : " y?1", i / 5, 2 + i % 2);
  assert_int_equal(my_sigdb_new(&db), MY_OK);
  assert_int_equal(my_sigdb_add(db, "t", (my_span){(const uint8_t *)text, used}, &where), MY_OK);
  for (unsigned i = 0; i < MANY; i++) {
    const my_sig *found[MY_BIND_MAX];
    uint8_t probe[20], entropy[20] = {0};
    for (size_t k = 0; k < sizeof entropy; k++)
      entropy[k] = (uint8_t)draw(256);
    int n = my_sig_compose(my_sigdb_at(db, i), NULL, NULL, (my_span){entropy, sizeof entropy},
                           probe, sizeof probe);
    my_span request = {probe, (size_t)n};
    size_t count = my_sigdb_bind(db, MY_UDP, request, found, MY_BIND_MAX), expected = 0;
    for (unsigned k = 0; k < MANY; k++) {
      uint8_t zeros[MY_PROBE_MAX], ones[MY_PROBE_MAX];
      if (!may_be_sent(my_sigdb_at(db, k), request, zeros, ones)) continue;
      assert_true(expected < count && found[expected] == my_sigdb_at(db, k));
      expected++;
    }
    assert_int_equal(count, expected);
    assert_int_equal(my_sigdb_bind(db, MY_UDP, request, found, 1), 1);
    assert_int_equal(my_sigdb_bind(db, MY_TCP, request, found, 1), 0);
    assert_int_equal(my_sigdb_bind(db, MY_UDP, request, found, 0), 0);
  }
  my_sigdb_free(db);
}

/* What is found behind different bytes comes in file order all the same, and the first of many. */
static void test_order(void **state)
{
  static const char text[] = "service s\nsig a\n send x?1 02 03\n @0 = 01\n"
                             "sig b\n send 01 02 03\n @0 = 01\nsig c\n send 01 x?1 03\n @0 = 01\n"
                             "sig d\n send 04 02 03\n @0 = 01\nsig e\n send 01 02 x?1\n @0 = 01\n"
                             "sig f\n send 01 02 03\n @0 = 01\nsig g\n send x?3\n @0 = 01\n"
                             "sig h\n send 01 05 03\n @0 = 01\n";
  const my_sig *found[MY_BIND_MAX];
  my_sigdb *db;
  my_where where;
  char names[20] = "";
  (void)state;
  assert_int_equal(my_sigdb_new(&db), MY_OK);
  assert_int_equal(my_sigdb_add(db, "t", (my_span){(const uint8_t *)text, sizeof text - 1}, &where),
                   MY_OK);
  my_span request = {(const uint8_t *)"\1\2\3", 3};
  size_t n = my_sigdb_bind(db, MY_UDP, request, found, MY_BIND_MAX);
  for (size_t i = 0; i < n; i++) {
    my_sig_info info;
    my_sig_get_info(found[i], &info);
    strcat(names, info.name);
  }
  assert_string_equal(names, "abcefg");
  assert_int_equal(my_sigdb_bind(db, MY_UDP, request, found, 2), 2);
  assert_ptr_equal(found[0], my_sigdb_at(db, 0));
  my_sigdb_free(db);
}

/* Classes, checksums and nibbles of somebody else's request. */
static const struct {
  const char *send, *request;
  size_t len;
  bool bound;
} requests[] = {
    {"01 n?2:alpha", "\1az", 3, true},
    {"01 n?2:alpha", "\1aZ", 3, false},
    {"01 n?2:alpha", "\1a0", 3, false},
    {"01 n?2:alnum", "\1a0", 3, true},
    {"01 n?2:digit", "\1a0", 3, false},
    {"01 n?2:digit",
     "\1"
     "90",
     3, true},
    {"01 n?2:pos", "\1\0\1", 3, false},
    {"01 n?2:pos", "\1\1\0", 3, true},
    {"01 n?2:pos", "\1\x80\0", 3, false},
    {"01 ?0", "\1\xf0", 2, true},
    {"01 ?0", "\1\xf1", 2, false},
    {"be16(len) 07", "\0\3\7", 3, true},
    {"be16(len) 07", "\0\4\7", 3, false},
    {"a?2 sum8(q@0:2)", "\1\2\xfd", 3, true},
    {"a?2 sum8(q@0:2)", "\1\2\xfc", 3, false},
    {"a?2 inet(q@0:4)", "\1\2\xfe\xfd", 4, true}, /* over its own bytes too */
    {"a?2 inet(q@0:4)", "\1\3\xfe\xfd", 4, false},
    {"my.ip 01", "\1\2\3\4\1", 5, true}, /* whoever sent it */
    {"00", "\0", 1, true},
    {"00", "", 0, false},
};

static void test_requests(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
    char text[300];
    my_where where;
    my_sigdb *db;
    snprintf(text, sizeof text, "service s\nsig s\n send %s\n @0 = 01\n", requests[i].send);
    assert_int_equal(my_sigdb_new(&db), MY_OK);
    assert_int_equal(my_sigdb_add(db, "t", (my_span){(const uint8_t *)text, strlen(text)}, &where),
                     MY_OK);
    my_span request = {(const uint8_t *)requests[i].request, requests[i].len};
    if (is_bound(db, my_sigdb_at(db, 0), request) != requests[i].bound)
      fail_msg("row %zu: %s", i, requests[i].send);
    my_sigdb_free(db);
  }
}

/* ---- names ---- */

static void test_name(void **state)
{
  my_pair p;
  my_sigdb *empty;
  (void)state;
  for (size_t i = 0; i < my_sigdb_count(library); i++) {
    const my_sig *sig = my_sigdb_at(library, i);
    my_sig_info info, other;
    my_sig_get_info(sig, &info);
    for (size_t k = 0; k < my_sig_sample_count(sig) && !info.banner; k++) {
      const my_sample *s = my_sig_sample_at(sig, k);
      p = pair_of(s);
      const my_sig *named = my_sigdb_name(library, info.transport, &p, scratch);
      if (s->expect && named == NULL && is_bound(library, sig, s->request))
        fail_msg("%s: sample of line %u has no name", info.name, s->line);
      if (named == NULL) continue;
      my_sig_get_info(named, &other);
      assert_true(my_sig_holds(named, &p, scratch));
      if (s->expect) assert_string_equal(other.service, info.service);
    }
  }
  assert_int_equal(my_sigdb_new(&empty), MY_OK);
  assert_null(my_sigdb_name(empty, MY_UDP, &p, scratch));
  my_sigdb_free(empty);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lines), cmocka_unit_test(test_library),  cmocka_unit_test(test_bind),
      cmocka_unit_test(test_many),  cmocka_unit_test(test_requests), cmocka_unit_test(test_order),
      cmocka_unit_test(test_name),
  };
  return cmocka_run_group_tests_name("holds", tests, load_library, free_library);
}
