/* range_test.c - the whole of a scan's targets: overlaps once, what is excluded never, and every
 * item found again by its address and port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mynah/range.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static my_endpoint at(const char *address)
{
  my_endpoint e;
  assert_int_equal(my_endpoint_parse(&e, address, 0), MY_OK);
  return e;
}

/* One range: ports end with 0; none: it is excluded. */
typedef struct given {
  const char *first, *last;
  uint16_t ports[6];
} given;

static const struct {
  const char *why;
  given ranges[6];   /* end with first NULL */
  const char *items; /* all of them */
  uint64_t addresses, excluded;
} rows[] = {
    {"one address, two ports", {{"10.0.0.1", "10.0.0.1", {53, 7}}}, "10.0.0.1:7 10.0.0.1:53", 1, 0},
    {"twice the same is once",
     {{"10.0.0.1", "10.0.0.2", {9}}, {"10.0.0.1", "10.0.0.2", {9}}},
     "10.0.0.1:9 10.0.0.2:9",
     2,
     0},
    {"where two overlap the ports of both are asked",
     {{"10.0.0.1", "10.0.0.3", {9}}, {"10.0.0.2", "10.0.0.4", {8}}},
     "10.0.0.1:9 10.0.0.2:8 10.0.0.2:9 10.0.0.3:8 10.0.0.3:9 10.0.0.4:8",
     4,
     0},
    {"one inside another, and three at once",
     {{"10.0.0.0", "10.0.0.3", {1}}, {"10.0.0.1", "10.0.0.1", {2}}, {"10.0.0.1", "10.0.0.2", {3}}},
     "10.0.0.0:1 10.0.0.1:1 10.0.0.1:2 10.0.0.1:3 10.0.0.2:1 10.0.0.2:3 10.0.0.3:1",
     4,
     0},
    {"a hole",
     {{"10.0.0.1", "10.0.0.4", {5}}, {"10.0.0.2", "10.0.0.3", {0}}},
     "10.0.0.1:5 10.0.0.4:5",
     2,
     2},
    {"excluded first, and beyond what is asked",
     {{"10.0.0.3", "10.0.0.9", {0}}, {"10.0.0.1", "10.0.0.4", {5}}},
     "10.0.0.1:5 10.0.0.2:5",
     2,
     2},
    {"all excluded",
     {{"10.0.0.1", "10.0.0.2", {5}}, {"0.0.0.0", "255.255.255.255", {0}}},
     "",
     0,
     2},
    {"neighbours become one",
     {{"10.0.0.1", "10.0.0.1", {5}}, {"10.0.0.2", "10.0.0.2", {5}}},
     "10.0.0.1:5 10.0.0.2:5",
     2,
     0},
    {"both ends of IPv4",
     {{"255.255.255.254", "255.255.255.255", {1}}, {"0.0.0.0", "0.0.0.0", {1}}},
     "0.0.0.0:1 255.255.255.254:1 255.255.255.255:1",
     3,
     0},
    {"two families, that exclude nothing of each other",
     {{"::1", "::2", {1}}, {"0.0.0.1", "0.0.0.1", {1}}, {"::2", "::2", {0}}},
     "0.0.0.1:1 [::1]:1",
     2,
     1},
    {"the last address of IPv6",
     {{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", {1}}},
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:1 [ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:1",
     2,
     0},
};

static void add(my_ranges *r, const given *g)
{
  my_endpoint first = at(g->first), last = at(g->last);
  size_t count = 0;
  while (g->ports[count])
    count++;
  if (count == 0) {
    assert_int_equal(my_ranges_exclude(r, &first, &last), MY_OK);
    return;
  }
  int set = my_ranges_ports(r, g->ports, count);
  assert_true(set >= 0);
  assert_int_equal(my_ranges_add(r, &first, &last, set), MY_OK);
}

static void test_rows(void **state)
{
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    char text[2000] = "", one[MY_ENDPOINT_TEXT];
    my_ranges *r;
    print_message("  %s\n", rows[i].why);
    assert_int_equal(my_ranges_new(&r), MY_OK);
    for (size_t k = 0; rows[i].ranges[k].first; k++)
      add(r, &rows[i].ranges[k]);
    assert_int_equal(my_ranges_seal(r), MY_OK);
    for (uint64_t n = 0; n < my_ranges_items(r); n++) {
      my_endpoint e;
      uint64_t back = ~n;
      my_ranges_item(r, n, &e);
      assert_true(my_ranges_find(r, &e, &back));
      assert_int_equal(back, n);
      strcat(text, n ? " " : "");
      strcat(text, my_endpoint_format(&e, one));
    }
    assert_string_equal(text, rows[i].items);
    assert_int_equal(my_ranges_addresses(r), rows[i].addresses);
    assert_int_equal(my_ranges_excluded(r), rows[i].excluded);
    my_ranges_free(r);
  }
}

/* How many questions a port is asked in that round: every other round one each. */
static unsigned questions_of(int round, unsigned port)
{
  return round % 2 ? 1 + ((unsigned)round + port * 5) % 4 : 1;
}

/* Random ranges of a /24, beside a table that is filled by hand. */
static void test_against_a_table(void **state)
{
  (void)state;
  uint64_t seed = 88172645463325252u;
  for (int round = 0; round < 400; round++) {
    static uint8_t asked[256][9], out[256]; /* ports 1 to 8 */
    my_ranges *r;
    memset(asked, 0, sizeof asked);
    memset(out, 0, sizeof out);
    assert_int_equal(my_ranges_new(&r), MY_OK);
    for (unsigned p = 1; p <= 8 && round % 2; p++)
      assert_int_equal(my_ranges_ask(r, (uint16_t)p, questions_of(round, p)), MY_OK);
    for (int k = 0; k < 12; k++) {
      seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
      unsigned a = seed & 255, b = seed >> 8 & 255, ports = seed >> 16 & 255;
      my_endpoint first = at("10.1.2.0"), last = first;
      first.bytes[3] = (uint8_t)(a < b ? a : b);
      last.bytes[3] = (uint8_t)(a < b ? b : a);
      uint16_t list[8];
      size_t count = 0;
      for (unsigned p = 1; p <= 8; p++)
        if (ports >> (p - 1) & 1) list[count++] = (uint16_t)p;
      bool excluded = count < 3;
      for (unsigned n = first.bytes[3]; n <= last.bytes[3]; n++) {
        if (excluded) out[n] = 1;
        for (size_t p = 0; p < count && !excluded; p++)
          asked[n][list[p]] = 1;
      }
      if (excluded)
        assert_int_equal(my_ranges_exclude(r, &first, &last), MY_OK);
      else
        assert_int_equal(my_ranges_add(r, &first, &last, my_ranges_ports(r, list, count)), MY_OK);
    }
    assert_int_equal(my_ranges_seal(r), MY_OK);
    uint64_t expected = 0;
    for (unsigned n = 0; n < 256; n++)
      for (unsigned p = 1; p <= 8; p++) {
        my_endpoint e = at("10.1.2.0"), back;
        uint64_t item;
        e.bytes[3] = (uint8_t)n;
        e.port = (uint16_t)p;
        bool wanted = asked[n][p] && !out[n];
        assert_int_equal(my_ranges_find(r, &e, &item), wanted);
        if (!wanted) continue;
        assert_int_equal(item, expected); /* addresses in order, ports ascending */
        for (unsigned q = 0; q < questions_of(round, p); q++) {
          assert_int_equal(my_ranges_item(r, expected++, &back), q);
          assert_true(my_endpoint_same_address(&e, &back) && e.port == back.port);
        }
      }
    assert_int_equal(my_ranges_items(r), expected);
    my_ranges_free(r);
  }
}

static void test_refused(void **state)
{
  (void)state;
  my_ranges *r;
  const uint16_t zero[] = {0}, one[] = {1};
  my_endpoint low = at("10.0.0.1"), high = at("10.0.0.2"), six = at("::1"), none = {0};
  my_endpoint all = at("::"), last = at("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  assert_int_equal(my_ranges_new(&r), MY_OK);
  assert_int_equal(my_ranges_ports(r, zero, 1), MY_ERANGE);
  assert_int_equal(my_ranges_ports(r, one, 0), MY_ERANGE);
  assert_int_equal(my_ranges_ask(r, 2, 0), MY_ERANGE);
  assert_int_equal(my_ranges_ask(r, 2, MY_QUESTIONS_MAX + 1), MY_ERANGE);
  assert_int_equal(my_ranges_ask(r, 2, 3), MY_OK);
  assert_int_equal(my_ranges_ask(r, 2, 4), MY_ESTATE);
  int set = my_ranges_ports(r, one, 1);
  assert_int_equal(my_ranges_ask(r, 1, 2), MY_ESTATE); /* it is in a set */
  assert_int_equal(my_ranges_ask(r, 1, 1), MY_OK);
  assert_int_equal(my_ranges_questions(r, 1), 1);
  assert_int_equal(my_ranges_questions(r, 2), 3);
  assert_int_equal(my_ranges_add(r, &high, &low, set), MY_ERANGE);
  assert_int_equal(my_ranges_add(r, &low, &six, set), MY_ERANGE);
  assert_int_equal(my_ranges_add(r, &none, &none, set), MY_ERANGE);
  assert_int_equal(my_ranges_add(r, &low, &high, set + 1), MY_ERANGE);
  assert_int_equal(my_ranges_add(r, &all, &last, set), MY_OK);
  assert_int_equal(my_ranges_seal(r), MY_ERANGE); /* 2^128 */
  assert_int_equal(my_ranges_add(r, &low, &high, set), MY_ESTATE);
  my_ranges_free(r);
  my_ranges_free(NULL);
}

/* 2^32 addresses cost no more than one: places in the middle are found in no time. */
static void test_whole_internet(void **state)
{
  (void)state;
  my_ranges *r;
  const uint16_t ports[] = {53, 123, 5060};
  my_endpoint first = at("0.0.0.0"), last = at("255.255.255.255"), e;
  uint64_t item;
  assert_int_equal(my_ranges_new(&r), MY_OK);
  assert_int_equal(my_ranges_add(r, &first, &last, my_ranges_ports(r, ports, 3)), MY_OK);
  assert_int_equal(my_ranges_seal(r), MY_OK);
  assert_int_equal(my_ranges_items(r), 3 * (UINT64_C(1) << 32));
  for (uint64_t n = 1; n < my_ranges_items(r); n = n * 3 + 1) {
    my_ranges_item(r, n, &e);
    assert_true(my_ranges_find(r, &e, &item));
    assert_int_equal(item, n);
  }
  my_ranges_free(r);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rows),
      cmocka_unit_test(test_against_a_table),
      cmocka_unit_test(test_refused),
      cmocka_unit_test(test_whole_internet),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
