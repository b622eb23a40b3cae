/* fragment_test.c - datagrams in fragments, in any order, twice, overlapping, late and incomplete.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <pcap/dlt.h>

#include "guard.h"
#include "mynah/fragment.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* most rows need few */

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

enum { BODY = 32, PARTS_MAX = 6 };
#define SECOND INT64_C(1000000000)

/* A UDP datagram of 24 bytes, "abc…x", cut into parts. */
typedef struct part {
  uint16_t from, to; /* bytes of the datagram, header included */
  uint16_t id;
  char changed; /* written over its last byte */
  unsigned seconds;
  bool last; /* else said by to == BODY */
} part;

static const struct {
  const char *why;
  part parts[PARTS_MAX];
  size_t count;
  const char *heard; /* after the last; NULL: nothing, ever */
} rows[] = {
    {"two in order", {{0, 16}, {16, 32}}, 2, "abcdefghijklmnopqrstuvwx"},
    {"three backwards", {{24, 32}, {16, 24}, {0, 16}}, 3, "abcdefghijklmnopqrstuvwx"},
    {"one of them twice", {{0, 16}, {0, 16}, {16, 32}}, 3, "abcdefghijklmnopqrstuvwx"},
    {"another datagram between", {{0, 16}, {0, 16, 9}, {16, 32}}, 3, "abcdefghijklmnopqrstuvwx"},
    {"the first alone", {{0, 16}}, 1, NULL},
    {"the middle is missing", {{0, 8}, {16, 32}}, 2, NULL},
    {"ids do not mix", {{0, 16, 1}, {16, 32, 2}}, 2, NULL},
    {"one that overlaps spoils it", {{0, 16}, {8, 24}, {24, 32}}, 3, NULL},
    {"the same place, other bytes", {{0, 16}, {0, 16, .changed = '!'}, {16, 32}}, 3, NULL},
    {"29 seconds are not too long",
     {{0, 16}, {16, 32, .seconds = 29}},
     2,
     "abcdefghijklmnopqrstuvwx"},
    {"31 are", {{0, 16}, {16, 32, .seconds = 31}}, 2, NULL},
    {"a middle part of no whole 8 bytes", {{0, 13}, {16, 32}}, 2, NULL},
    {"two ends", {{24, 32}, {16, 24, .last = true}, {0, 16}}, 3, NULL},
    {"bytes behind the end", {{16, 24, .last = true}, {24, 32}, {0, 16}}, 3, NULL},
};

static void put16(uint8_t *p, unsigned v)
{
  p[0] = (uint8_t)(v >> 8);
  p[1] = (uint8_t)v;
}

static size_t headers(uint8_t *out, const part *p, bool v6)
{
  unsigned more = p->to < BODY && !p->last;
  size_t len = (size_t)p->to - p->from;
  memset(out, 0, 48);
  if (v6) {
    out[0] = 0x60;
    put16(out + 4, (unsigned)(8 + len));
    out[6] = 44;
    out[23] = 1;
    out[39] = 2;
    out[40] = 17;
    put16(out + 42, p->from | more);
    put16(out + 46, p->id);
    return 48;
  }
  out[0] = 0x45;
  put16(out + 2, (unsigned)(20 + len));
  put16(out + 4, p->id);
  put16(out + 6, p->from / 8 | more << 13);
  out[9] = 17;
  out[15] = 1;
  out[19] = 2;
  return 20;
}

static size_t frame_of(uint8_t *out, const part *p, bool v6)
{
  uint8_t body[BODY] = {0x04, 0xd2, 0, 53, 0, BODY};
  for (size_t i = 8; i < BODY; i++)
    body[i] = (uint8_t)('a' + i - 8);
  size_t n = headers(out, p, v6), len = (size_t)p->to - p->from;
  memcpy(out + n, body + p->from, len);
  if (p->changed) out[n + len - 1] = (uint8_t)p->changed;
  return n + len;
}

/* Each part into the reassembly; what comes out of the last one. */
static void check_row(size_t row, bool v6)
{
  my_fragments *f;
  my_payload out = {0};
  uint8_t frame[128];
  assert_int_equal(my_fragments_new(&f), MY_OK);
  for (size_t i = 0; i < rows[row].count; i++) {
    const part *p = &rows[row].parts[i];
    bool last = i + 1 == rows[row].count;
    my_fragment g;
    size_t len = frame_of(frame, p, v6);
    guarded at_end = guard(frame, len);
    out = (my_payload){.number = i + 1, .time_ns = p->seconds * SECOND};
    assert_int_equal(my_packet_decode(DLT_RAW, at_end.span, len, &out), MY_NOT_YET);
    assert_int_equal(my_packet_fragment(DLT_RAW, at_end.span, len, &g), MY_OK);
    int rc = my_fragments_add(f, &g, &out);
    unguard(at_end);
    assert_int_equal(rc, last && rows[row].heard ? MY_OK : MY_NOT_YET);
    assert_int_equal(out.number, i + 1);
  }
  if (rows[row].heard) {
    assert_int_equal(out.data.len, strlen(rows[row].heard));
    assert_memory_equal(out.data.data, rows[row].heard, out.data.len);
    assert_int_equal(out.from.port, 1234);
    assert_int_equal(out.to.port, 53);
    assert_int_equal(out.from.bytes[v6 ? 15 : 3], 1);
    assert_int_equal(out.to.bytes[v6 ? 15 : 3], 2);
  }
  my_fragments_free(f);
}

static void test_rows(void **state)
{
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    print_message("  %s\n", rows[i].why);
    check_row(i, false);
    check_row(i, true);
  }
}

/* More datagrams than are kept at a time: the oldest gives way, the newest is whole. */
static void test_many(void **state)
{
  my_fragments *f;
  my_payload out;
  my_fragment g;
  uint8_t frame[128];
  (void)state;
  assert_int_equal(my_fragments_new(&f), MY_OK);
  for (unsigned half = 0; half < 2; half++)
    for (unsigned i = 0; i <= MY_FRAGMENT_DATAGRAMS; i++) {
      part p = {.from = half ? 16 : 0, .to = half ? 32 : 16, .id = (uint16_t)i};
      unsigned id = half ? MY_FRAGMENT_DATAGRAMS - i : i; /* the second halves backwards */
      p.id = (uint16_t)id;
      size_t len = frame_of(frame, &p, false);
      out = (my_payload){.time_ns = (half ? 1000 : 0) + id};
      assert_int_equal(my_packet_fragment(DLT_RAW, (my_span){frame, len}, len, &g), MY_OK);
      int rc = my_fragments_add(f, &g, &out);
      assert_int_equal(rc, half && id != 0 ? MY_OK : MY_NOT_YET);
    }
  my_fragments_free(f);
}

/* A fragment that the capture cut is none. */
static void test_cut(void **state)
{
  my_fragment g;
  uint8_t frame[128];
  part p = {0, 16};
  size_t len = frame_of(frame, &p, false);
  (void)state;
  for (size_t cut = 0; cut < len; cut++) {
    guarded at_end = guard(frame, cut);
    int rc = my_packet_fragment(DLT_RAW, at_end.span, len, &g);
    assert_true(rc == MY_ESHORT || rc == MY_NOT_YET);
    unguard(at_end);
  }
}

/* Any offsets and lengths: no byte outside is touched (asan), and all memory comes back. */
static void test_chaos(void **state)
{
  uint64_t seed = 3;
  static uint8_t bytes[65535];
  my_fragments *f;
  (void)state;
  assert_int_equal(my_fragments_new(&f), MY_OK);
  for (size_t i = 0; i < 100000; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    uint32_t r = (uint32_t)(seed >> 32);
    my_fragment g = {.id = r % 50, .protocol = 17, .more = r >> 8 & 1};
    g.from.family = g.to.family = r >> 9 & 1 ? 4 : 6;
    g.offset = (uint16_t)((r >> 10) % 40 * 8);
    if (r % 97 == 0) g.offset = 65528;
    g.data = (my_span){bytes, (r >> 16) % 5 * 8 + (g.more ? 0 : r % 8)};
    my_payload out = {.time_ns = (int64_t)i * 1000000};
    int rc = my_fragments_add(f, &g, &out);
    assert_true(rc == MY_OK || rc == MY_NOT_YET);
  }
  my_fragments_free(f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rows),
      cmocka_unit_test(test_many),
      cmocka_unit_test(test_cut),
      cmocka_unit_test(test_chaos),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
