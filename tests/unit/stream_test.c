/* stream_test.c - segments as a network delivers them, and what was said all the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mynah/stream.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* most packets are plain */

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

static my_endpoint host(const char *address, uint16_t port)
{
  my_endpoint e;
  assert_int_equal(my_endpoint_parse(&e, address, port), MY_OK);
  return e;
}

/* What was heard, written out: "c1:hello" is the client of flow 1; in front ^ opens, ? lost; behind
 * . FIN, ! RST. */
typedef struct script {
  char text[4096];
  size_t len;
} script;

static void drain(my_streams *s, script *out)
{
  my_heard h;
  while (my_streams_next(s, &h) == MY_OK)
    out->len += (size_t)snprintf(
        out->text + out->len, sizeof out->text - out->len, "%s%s%s%c%u:%.*s%s", out->len ? " " : "",
        h.opens ? "^" : "", h.lost ? "?" : "", h.from_client ? 'c' : 's', h.flow,
        (int)h.payload.data.len, h.payload.data.len ? (const char *)h.payload.data.data : "",
        h.ends == MY_STREAM_FIN   ? "."
        : h.ends == MY_STREAM_RST ? "!"
                                  : "");
}

typedef struct packet {
  bool back; /* from 192.0.2.2 port 80 to 192.0.2.1 port 4000 */
  uint8_t flags;
  uint32_t seq; /* of the first byte, as my_packet_decode gives it */
  const char *data;
  bool cut, udp;
} packet;

enum { PACKETS_MAX = 8 };

static const struct {
  const char *why;
  packet packets[PACKETS_MAX];
  size_t count;
  const char *heard;
} rows[] = {
    {"a connection from its opening to its end",
     {{0, SYN, 101, ""},
      {1, SYN | ACK, 501, ""},
      {0, ACK, 101, "GET"},
      {1, ACK, 501, "200"},
      {1, FIN | ACK, 504, ""},
      {0, FIN | ACK, 104, ""}},
     6,
     "^c1: c1:GET s1:200 s1:. c1:."},
    {"who sent SYN is the client, though the answer was captured first",
     {{1, SYN | ACK, 501, ""}, {1, ACK, 501, "220"}, {0, ACK, 101, "HELO"}},
     3,
     "s1:220 c1:HELO"},
    {"without an opening, who speaks first",
     {{1, ACK, 501, "220"}, {0, ACK, 101, "HELO"}},
     2,
     "c1:220 s1:HELO"},
    {"segments that overtook each other",
     {{0, SYN, 1, ""}, {0, ACK, 4, "def"}, {0, ACK, 7, "ghi"}, {0, ACK, 1, "abc"}},
     4,
     "^c1: c1:abc c1:def c1:ghi"},
    {"a retransmission is heard once",
     {{0, SYN, 1, ""}, {0, ACK, 1, "abc"}, {0, ACK, 1, "abc"}, {0, ACK, 4, "d"}},
     4,
     "^c1: c1:abc c1:d"},
    {"one that is longer than what it repeats gives the rest",
     {{0, SYN, 1, ""}, {0, ACK, 1, "abc"}, {0, ACK, 1, "abcdef"}, {0, ACK, 3, "cd"}},
     4,
     "^c1: c1:abc c1:def"},
    {"what waits is cut where it overlaps",
     {{0, SYN, 1, ""}, {0, ACK, 3, "cdef"}, {0, ACK, 1, "abcd"}},
     3,
     "^c1: c1:abcd c1:ef"},
    {"a segment that never came",
     {{0, SYN, 1, ""}, {0, ACK, 1, "a"}, {0, ACK, 9, "z"}},
     3,
     "^c1: c1:a ?c1:z"},
    {"numbers come round",
     {{0, SYN, 0xfffffffeu, ""}, {0, ACK, 1, "d"}, {0, ACK, 0xfffffffeu, "abc"}},
     3,
     "^c1: c1:abc c1:d"},
    {"a port used again is another flow",
     {{0, SYN, 1, ""}, {0, ACK, 1, "a"}, {0, SYN, 900, ""}, {0, ACK, 900, "b"}},
     4,
     "^c1: c1:a ^c2: c2:b"},
    {"a SYN sent again is not",
     {{0, SYN, 1, ""}, {0, SYN, 1, ""}, {0, ACK, 1, "a"}},
     3,
     "^c1: c1:a"},
    {"a FIN that overtook the last words waits for them",
     {{0, SYN, 1, ""}, {0, FIN | ACK, 4, ""}, {0, ACK, 1, "abc"}},
     3,
     "^c1: c1:abc c1:."},
    {"words and FIN in one, sent twice",
     {{0, SYN, 1, ""}, {0, FIN | ACK, 1, "bye"}, {0, FIN | ACK, 1, "bye"}},
     3,
     "^c1: c1:bye."},
    {"a reset ends it, whatever its number",
     {{0, SYN, 1, ""}, {0, ACK, 1, "a"}, {1, RST, 77, ""}},
     3,
     "^c1: c1:a s1:!"},
    {"bare acknowledgements say nothing", {{0, ACK, 1, ""}, {1, ACK, 1, ""}}, 2, ""},
    {"what a short snaplen tore off is missing, and what follows is heard",
     {{0, SYN, 1, ""}, {0, ACK, 1, "abc", .cut = true}, {0, ACK, 101, "z"}},
     3,
     "^c1: c1:abc ?c1:z"},
    {"datagrams pass, empty ones too",
     {{0, 0, 0, "q", .udp = true}, {1, 0, 0, "r", .udp = true}, {0, 0, 0, "", .udp = true}},
     3,
     "c1:q s1:r c1:"},
    {"UDP and TCP between the same ports are two flows",
     {{0, 0, 0, "q", .udp = true}, {0, SYN, 1, ""}},
     2,
     "c1:q ^c2:"},
};

static void hear(my_streams *s, const packet *p, script *out)
{
  my_endpoint a = host("192.0.2.1", 4000), b = host("192.0.2.2", 80);
  size_t len = strlen(p->data);
  char *copy = malloc(len + 1); /* gone before the next packet comes: whoever keeps it must copy */
  memcpy(copy, p->data, len);
  my_payload payload = {.transport = p->udp ? MY_UDP : MY_TCP,
                        .from = p->back ? b : a,
                        .to = p->back ? a : b,
                        .tcp_seq = p->seq,
                        .tcp_flags = p->flags,
                        .cut = p->cut,
                        .data = {(uint8_t *)copy, len}};
  assert_int_equal(my_streams_add(s, &payload), MY_OK);
  drain(s, out);
  memset(copy, '#', len);
  free(copy);
}

static void test_rows(void **state)
{
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    script out = {0};
    my_streams *s;
    print_message("  %s\n", rows[i].why);
    assert_int_equal(my_streams_new(&s), MY_OK);
    for (size_t k = 0; k < rows[i].count; k++)
      hear(s, &rows[i].packets[k], &out);
    my_streams_finish(s);
    drain(s, &out);
    assert_string_equal(out.text, rows[i].heard);
    my_streams_free(s);
  }
}

/* More that waits than is kept: the gap is given up, nothing is lost but what is missing. */
static void test_waiting_is_bounded(void **state)
{
  script out = {0};
  my_streams *s;
  (void)state;
  assert_int_equal(my_streams_new(&s), MY_OK);
  hear(s, &(packet){0, SYN, 1, ""}, &out);
  for (uint32_t i = 0; i < MY_STREAM_WAITING; i++)
    hear(s, &(packet){0, ACK, 10 + i, "x"}, &out);
  assert_string_equal(out.text, "^c1:");
  hear(s, &(packet){0, ACK, 10 + MY_STREAM_WAITING, "x"}, &out);
  assert_non_null(strstr(out.text, "?c1:x c1:x"));
  assert_int_equal(out.len, 4 + 6 + 5 * MY_STREAM_WAITING);
  my_streams_free(s);
}

/* All flows together keep no more bytes waiting than is stated: what comes on top is given at once.
 */
static void test_bytes_are_bounded(void **state)
{
  enum { LEN = 40000 };
  my_heard h;
  my_streams *s;
  uint8_t *bytes = calloc(1, LEN);
  size_t early = 0;
  (void)state;
  assert_int_equal(my_streams_new(&s), MY_OK);
  my_payload p = {.transport = MY_TCP, .tcp_flags = ACK, .to = host("192.0.2.2", 80)};
  for (uint32_t i = 0; i < 2 * MY_STREAM_BYTES / LEN; i++) {
    p.from = host("192.0.2.1", (uint16_t)(1000 + i));
    for (uint32_t k = 0; k < 2; k++) {
      p.data = (my_span){bytes, k == 0 ? 1 : LEN};
      p.tcp_seq = 1 + 1000 * k; /* the second has a gap before it */
      assert_int_equal(my_streams_add(s, &p), MY_OK);
      while (my_streams_next(s, &h) == MY_OK)
        early += h.lost;
    }
  }
  assert_in_range(early, MY_STREAM_BYTES / LEN - 2, MY_STREAM_BYTES / LEN + 2);
  my_streams_finish(s);
  while (my_streams_next(s, &h) == MY_OK)
    early += h.lost;
  assert_int_equal(early, 2 * MY_STREAM_BYTES / LEN);
  my_streams_free(s);
  free(bytes);
}

/* More flows than are kept: the oldest gives what waited, and a new one has another number. */
static void test_flows_are_bounded(void **state)
{
  my_heard h = {0};
  my_streams *s;
  (void)state;
  assert_int_equal(my_streams_new(&s), MY_OK);
  my_payload p = {.transport = MY_UDP, .data = {(const uint8_t *)"x", 1}};
  p.to = host("192.0.2.2", 80);
  p.from = host("10.0.0.0", 1000);
  for (uint32_t i = 0; i <= MY_STREAM_FLOWS; i++) {
    p.from.bytes[1] = (uint8_t)(i >> 16);
    p.from.bytes[2] = (uint8_t)(i >> 8);
    p.from.bytes[3] = (uint8_t)i;
    assert_int_equal(my_streams_add(s, &p), MY_OK);
    assert_int_equal(my_streams_next(s, &h), MY_OK);
    assert_int_equal(h.flow, i + 1);
  }
  memset(p.from.bytes, 0, 4);
  p.from.bytes[0] = 10;
  assert_int_equal(my_streams_add(s, &p), MY_OK);
  assert_int_equal(my_streams_next(s, &h), MY_OK);
  assert_int_equal(h.flow, MY_STREAM_FLOWS + 2);
  my_streams_free(s);
}

/* Any order of any flags and numbers: no byte is invented, and memory is in order (asan). */
static void test_chaos(void **state)
{
  enum { PACKETS = 200000 };
  uint64_t seed = 7;
  uint64_t said = 0, heard = 0;
  my_heard h;
  my_streams *s;
  (void)state;
  assert_int_equal(my_streams_new(&s), MY_OK);
  for (size_t i = 0; i < PACKETS; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    uint32_t r = (uint32_t)(seed >> 32);
    static const uint8_t flags[] = {ACK, ACK, ACK, ACK, SYN, SYN | ACK, FIN | ACK, RST};
    packet p = {
        .back = r & 1, .flags = flags[r >> 1 & 7], .seq = (r >> 4) % 300, .cut = r % 61 == 0};
    my_payload payload = {
        .transport = MY_TCP, .tcp_seq = p.seq, .tcp_flags = p.flags, .cut = p.cut};
    payload.from = host(p.back ? "192.0.2.2" : "192.0.2.1", p.back ? 80 : (uint16_t)(4000 + r % 3));
    payload.to = host(p.back ? "192.0.2.1" : "192.0.2.2", p.back ? (uint16_t)(4000 + r % 3) : 80);
    payload.data = (my_span){(const uint8_t *)"abcdefghijklmnopqrst", (r >> 20) % 20};
    said += payload.data.len;
    assert_int_equal(my_streams_add(s, &payload), MY_OK);
    while (my_streams_next(s, &h) == MY_OK)
      heard += h.payload.data.len;
  }
  my_streams_finish(s);
  while (my_streams_next(s, &h) == MY_OK)
    heard += h.payload.data.len;
  assert_true(heard > 0 && heard <= said);
  my_streams_free(s);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rows),
      cmocka_unit_test(test_waiting_is_bounded),
      cmocka_unit_test(test_bytes_are_bounded),
      cmocka_unit_test(test_flows_are_bounded),
      cmocka_unit_test(test_chaos),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
