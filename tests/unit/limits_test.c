/* limits_test.c - whose turn it is, exactly: every time here is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>

#include "mynah/limits.h"
#include "scan.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define MS       INT64_C(1000000)

static my_endpoint address(const char *text, uint16_t port)
{
  my_endpoint e;
  assert_int_equal(my_endpoint_parse(&e, text, port), MY_OK);
  return e;
}

static my_limits *make(double per_host, double bits)
{
  my_limits *l;
  const my_limits_config config = {per_host, bits};
  assert_int_equal(my_limits_new(&l, &config), MY_OK);
  return l;
}

static void test_refusals(void **state)
{
  (void)state;
  const my_limits_config bad[] = {
      {.per_host = -1}, {.bits = -1}, {.bits = 2e12}, {.per_host = 0.0 / 0.0}};
  for (size_t i = 0; i < COUNT(bad); i++) {
    my_limits *l = (my_limits *)&bad;
    assert_int_equal(my_limits_new(&l, &bad[i]), MY_ERANGE);
    assert_null(l);
  }
  my_limits_free(NULL);
}

/* Asked in this order of one limit of 10 a second: who, when, and when his turn is. */
static void test_hosts(void **state)
{
  (void)state;
  static const struct {
    const char *who;
    uint16_t port;
    int64_t now_ms, turn_ms;
    const char *why;
  } rows[] = {
      {"192.0.2.1", 80, 1000, 1000, "the first goes at once"},
      {"192.0.2.1", 81, 1000, 1100, "the second waits, whatever its port"},
      {"192.0.2.2", 80, 1001, 1001, "others do not wait for it"},
      {"192.0.2.1", 80, 1010, 1200, "turns are taken in the order of asking"},
      {"2001:db8::1", 80, 1010, 1010, "IPv6 likewise"},
      {"2001:db8::1", 80, 1020, 1110, "IPv6 likewise"},
      {"2001:db8::2", 80, 1020, 1020, "the last bit counts"},
      {"192.0.2.1", 80, 5000, 5000, "what was not used is not saved"},
      {"192.0.2.1", 80, 5000, 5100, "what was not used is not saved"},
  };
  my_limits *l = make(10, 0);
  for (size_t i = 0; i < COUNT(rows); i++) {
    my_endpoint peer = address(rows[i].who, rows[i].port);
    int64_t turn = my_limits_host(l, &peer, rows[i].now_ms * MS);
    if (turn != rows[i].turn_ms * MS) print_message("row %zu: %s\n", i, rows[i].why);
    assert_int_equal(turn, rows[i].turn_ms * MS);
    assert_int_equal(my_limits_link(l, 1 << 20, rows[i].now_ms * MS), rows[i].now_ms * MS);
  }
  assert_int_equal(my_limits_burst(l), SIZE_MAX);
  my_limits_free(l);
}

/* What is planned is not taken: others come in between, and what is planned then comes behind. */
static void test_plan(void **state)
{
  (void)state;
  static const struct {
    bool plans;
    const char *who;
    int64_t now_ms, turn_ms;
    const char *why;
  } rows[] = {
      {true, "192.0.2.1", 1000, 1000, "nobody was there"},
      {true, "192.0.2.1", 1000, 1100, "plans follow each other"},
      {true, "192.0.2.1", 1000, 1200, "plans follow each other"},
      {true, "192.0.2.2", 1000, 1000, "each host its own"},
      {false, "192.0.2.1", 1000, 1000, "no turn was taken by them"},
      {false, "192.0.2.1", 1050, 1100, "nor does a turn wait for plans"},
      {false, "192.0.2.1", 1050, 1200, "nor does a turn wait for plans"},
      {false, "192.0.2.1", 1050, 1300, "nor does a turn wait for plans"},
      {true, "192.0.2.1", 1050, 1400, "a plan comes behind the turns that are taken"},
      {true, "192.0.2.1", 5000, 5000, "what was not used is not saved"},
  };
  my_limits *l = make(10, 0);
  for (size_t i = 0; i < COUNT(rows); i++) {
    my_endpoint peer = address(rows[i].who, 80);
    int64_t turn = (rows[i].plans ? my_limits_plan : my_limits_host)(l, &peer, rows[i].now_ms * MS);
    if (turn != rows[i].turn_ms * MS) print_message("row %zu: %s\n", i, rows[i].why);
    assert_int_equal(turn, rows[i].turn_ms * MS);
  }
  my_limits_free(l);
}

/* Very many hosts fit into no table: some share a turn, none goes too early. */
static void test_shared(void **state)
{
  (void)state;
  enum { HOSTS = 200000, LATE = HOSTS / 4 };
  my_limits *l = make(1, 0);
  size_t late = 0;
  for (uint32_t n = 0; n < HOSTS; n++) {
    my_endpoint peer = {.family = 4,
                        .bytes = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
    int64_t turn = my_limits_host(l, &peer, MS);
    late += turn > MS;
    assert_true(turn >= MS);
    assert_true(my_limits_host(l, &peer, MS) >= turn + 1000 * MS);
  }
  assert_true(late < LATE);
  my_limits_free(l);
}

/* 8 kbit/s: a byte takes a millisecond. */
static void test_link(void **state)
{
  (void)state;
  static const struct {
    size_t bytes;
    int64_t now_ms, turn_ms;
    const char *why;
  } rows[] = {
      {100, 1000, 1000, "it is free"},
      {50, 1000, 1090, "10 ms that nobody used are made up for"},
      {1, 1001, 1140, "in the order of asking"},
      {1, 2000, 2000, "what was not used is not saved"},
      {9, 2000, 2000, "but for 10 ms"},
      {1, 2000, 2000, "but for 10 ms"},
      {1, 2000, 2001, "but for 10 ms"},
  };
  my_limits *l = make(0, 8000);
  my_endpoint peer = address("192.0.2.1", 1);
  for (size_t i = 0; i < COUNT(rows); i++) {
    int64_t turn = my_limits_link(l, rows[i].bytes, rows[i].now_ms * MS);
    if (turn != rows[i].turn_ms * MS) print_message("row %zu: %s\n", i, rows[i].why);
    assert_int_equal(turn, rows[i].turn_ms * MS);
    assert_int_equal(my_limits_host(l, &peer, 5), 5);
    assert_int_equal(my_limits_plan(l, &peer, 5), 5);
  }
  my_limits_free(l);
  l = make(0, 16e6);
  assert_int_equal(my_limits_burst(l), 1000);
  my_limits_free(l);
  assert_int_equal(my_limits_host(NULL, &peer, 7), 7);
  assert_int_equal(my_limits_plan(NULL, &peer, 7), 7);
  assert_int_equal(my_limits_link(NULL, 1000, 7), 7);
}

static void test_packets(void **state)
{
  (void)state;
  static const struct {
    my_packet kind;
    uint8_t family;
    size_t len, bytes;
  } rows[] = {
      {MY_PACKET_DATAGRAM, 4, 32, 60},   {MY_PACKET_DATAGRAM, 6, 0, 48},
      {MY_PACKET_SYN, 4, 0, 44},         {MY_PACKET_SYN, 6, 0, 64},
      {MY_PACKET_CONNECTION, 4, 0, 164}, {MY_PACKET_CONNECTION, 6, 0, 224},
      {MY_PACKET_STREAM, 4, 1400, 1452}, {MY_PACKET_STREAM, 4, 1401, 1505},
      {MY_PACKET_STREAM, 6, 1, 73},
  };
  for (size_t i = 0; i < COUNT(rows); i++)
    assert_int_equal(my_packet_bytes(rows[i].kind, rows[i].family, rows[i].len), rows[i].bytes);
}

/* Two threads take turns at one host: each turn is given once. */
enum { TURNS = 20000 };

static void *take_turns(void *arg)
{
  my_endpoint peer = address("192.0.2.1", 1);
  int64_t *turns = malloc(TURNS * sizeof *turns);
  for (int i = 0; i < TURNS; i++)
    turns[i] = my_limits_host(arg, &peer, 0);
  return turns;
}

static void test_threads(void **state)
{
  (void)state;
  pthread_t other;
  my_limits *l = make(1000, 0);
  char *seen = calloc(2 * TURNS, 1);
  void *theirs;
  assert_int_equal(pthread_create(&other, NULL, take_turns, l), 0);
  int64_t *turns[2] = {take_turns(l), NULL};
  assert_int_equal(pthread_join(other, &theirs), 0);
  turns[1] = theirs;
  for (int i = 0; i < 2 * TURNS; i++) {
    int64_t turn = turns[i / TURNS][i % TURNS] / MS;
    assert_in_range(turn, 0, 2 * TURNS - 1);
    assert_int_equal(seen[turn]++, 0);
  }
  free(turns[0]);
  free(turns[1]);
  free(seen);
  my_limits_free(l);
}

/* Places put off come back by their times, none lost, none twice, none early. */
static void test_later(void **state)
{
  (void)state;
  enum { PLACES = 5000 };
  scan_later l = {0};
  uint32_t x = 1;
  scan_put_off out;
  char *seen = calloc(PLACES, 1);
  assert_int_equal(scan_later_init(&l), MY_OK);
  assert_false(scan_later_take(&l, INT64_MAX, &out));
  for (uint64_t n = 0; n < PLACES; n++) {
    x = x * 1664525 + 1013904223;
    scan_later_put(&l, (scan_put_off){x >> 22, PLACES - 1 - n, n % 2});
    assert_int_equal(scan_later_first(&l, PLACES), PLACES - 1 - n);
  }
  assert_int_equal(scan_later_first(&l, 0), 0);
  for (int64_t now = 0; now < 1024; now++)
    while (scan_later_take(&l, now, &out)) {
      assert_true(l.count == 0 || l.list[0].due_ns >= now);
      assert_int_equal(out.due_ns, now);
      assert_int_equal(out.has_turn, (PLACES - 1 - out.place) % 2);
      assert_int_equal(seen[out.place]++, 0);
    }
  assert_int_equal(l.count, 0);
  for (size_t i = 0; i < PLACES; i++)
    assert_int_equal(seen[i], 1);
  free(l.list);
  free(seen);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_refusals), cmocka_unit_test(test_hosts),
      cmocka_unit_test(test_shared),   cmocka_unit_test(test_link),
      cmocka_unit_test(test_packets),  cmocka_unit_test(test_threads),
      cmocka_unit_test(test_later),    cmocka_unit_test(test_plan),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
