/* order_test.c - the order of a scan is a permutation, its shards are a partition, and a nonce
 * belongs to one target and attempt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mynah/match.h"
#include "mynah/nonce.h"
#include "mynah/order.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- order ---- */

static void check_bijection(uint64_t size, uint64_t seed)
{
  my_order o;
  uint8_t *seen = calloc(size, 1);
  assert_non_null(seen);
  assert_int_equal(my_order_init(&o, size, seed), MY_OK);
  for (uint64_t place = 0; place < size; place++) {
    uint64_t item = my_order_item(&o, place);
    assert_true(item < size);
    assert_int_equal(seen[item], 0);
    seen[item] = 1;
    assert_int_equal(my_order_place(&o, item), place);
  }
  free(seen);
}

static void test_small_sizes(void **state)
{
  (void)state;
  for (uint64_t size = 1; size <= 600; size++)
    check_bijection(size, size * 7 + 1);
}

static const struct {
  const char *why;
  uint64_t size, seed;
} larger[] = {
    {"a /16", 65536, 0},
    {"a /16 of 3 ports", 3 * 65536, 1},
    {"a prime", 1000003, 2},
    {"one more than a square", 1000 * 1000 + 1, UINT64_MAX},
    {"one less", 1000 * 1000 - 1, UINT64_C(1) << 63},
};

static void test_larger_sizes(void **state)
{
  (void)state;
  for (size_t i = 0; i < COUNT(larger); i++) {
    print_message("  %s\n", larger[i].why);
    check_bijection(larger[i].size, larger[i].seed);
  }
}

/* Too many to visit all: the inverse undoes what the order did. */
static void test_huge_sizes(void **state)
{
  static const uint64_t sizes[] = {UINT64_C(1) << 32, (UINT64_C(1) << 32) * 65535,
                                   UINT64_C(1) << 62, (UINT64_C(1) << 62) - 1};
  (void)state;
  for (size_t s = 0; s < COUNT(sizes); s++) {
    my_order o;
    assert_int_equal(my_order_init(&o, sizes[s], 42), MY_OK);
    for (uint64_t i = 0; i < 100000; i++) {
      uint64_t place = i < 50000 ? i : sizes[s] - 1 - (i - 50000);
      uint64_t item = my_order_item(&o, place);
      assert_true(item < sizes[s]);
      assert_int_equal(my_order_place(&o, item), place);
    }
  }
}

/* With --long all of 2^32 places are walked: their items have the sum, and the sum of squares, that
 * all numbers below have. */
static void test_whole_internet(void **state)
{
  (void)state;
  const uint64_t size = UINT64_C(1) << 32;
  my_order o;
  uint64_t sum = 0, squares = 0, expected_sum = 0, expected_squares = 0;
  if (!getenv("MYNAH_LONG")) {
    print_message("  left to ./bootstrap test --long: it takes minutes\n");
    return;
  }
  assert_int_equal(my_order_init(&o, size, 4711), MY_OK);
  for (uint64_t place = 0; place < size; place++) {
    uint64_t item = my_order_item(&o, place);
    sum += item, squares += item * item;
    expected_sum += place, expected_squares += place * place;
  }
  assert_true(sum == expected_sum && squares == expected_squares);
}

static void test_refused_sizes(void **state)
{
  my_order o;
  (void)state;
  assert_int_equal(my_order_init(&o, 0, 1), MY_ERANGE);
  assert_int_equal(my_order_init(&o, (UINT64_C(1) << 62) + 1, 1), MY_ERANGE);
}

/* The first places spread over the whole: of 256 equal parts each gets its share, by a chi-square
 * of 255 degrees of freedom (mean 255, standard deviation 23). */
static void test_spread(void **state)
{
  enum { PARTS = 256, DRAWN = 25600 };
  (void)state;
  for (uint64_t seed = 0; seed < 20; seed++) {
    unsigned hits[PARTS] = {0};
    double chi = 0, expected = (double)DRAWN / PARTS;
    my_order o;
    assert_int_equal(my_order_init(&o, UINT64_C(1) << 32, seed), MY_OK);
    for (uint64_t place = 0; place < DRAWN; place++)
      hits[my_order_item(&o, place) >> 24]++;
    for (size_t i = 0; i < PARTS; i++)
      chi += (hits[i] - expected) * (hits[i] - expected) / expected;
    assert_true(chi > 150 && chi < 380);
  }
}

/* Neighbours in the order are no neighbours on the network, and two seeds share no order. */
static void test_seeds_differ(void **state)
{
  enum { SIZE = 65536 };
  my_order a, b;
  unsigned same = 0, near = 0;
  (void)state;
  my_order_init(&a, SIZE, 1);
  my_order_init(&b, SIZE, 2);
  for (uint64_t place = 1; place < SIZE; place++) {
    int64_t step = (int64_t)my_order_item(&a, place) - (int64_t)my_order_item(&a, place - 1);
    same += my_order_item(&a, place) == my_order_item(&b, place);
    near += step >= -16 && step <= 16;
  }
  assert_true(same < 20); /* 1 by chance */
  assert_true(near < 90); /* 32 by chance */
}

/* ---- shards ---- */

static void test_shards_partition(void **state)
{
  (void)state;
  for (uint64_t size = 1; size <= 200; size++)
    for (uint64_t count = 1; count <= size + 3; count++) {
      uint8_t seen[200] = {0};
      uint64_t sum = 0;
      for (uint64_t index = 0; index < count; index++) {
        uint64_t mine = my_shard_size(size, index, count);
        sum += mine;
        for (uint64_t n = 0; n < mine; n++) {
          uint64_t place = my_shard_place(n, index, count);
          assert_true(place < size);
          assert_int_equal(seen[place]++, 0);
        }
      }
      assert_int_equal(sum, size);
    }
}

/* ---- nonces ---- */

/* Appendix A of the paper: key 00 … 0f, message 00 … 0e. */
static void test_siphash_vector(void **state)
{
  my_nonce_key key;
  uint8_t message[15];
  (void)state;
  for (uint8_t i = 0; i < 16; i++)
    key.bytes[i] = i;
  for (uint8_t i = 0; i < 15; i++)
    message[i] = i;
  assert_true(my_siphash(&key, (my_span){message, 15}) == UINT64_C(0xa129ca6149be45e5));
}

static my_endpoint endpoint(const char *address, uint16_t port)
{
  my_endpoint e;
  assert_int_equal(my_endpoint_parse(&e, address, port), MY_OK);
  return e;
}

static const struct {
  const char *why, *address;
  uint16_t port;
  unsigned attempt;
  uint8_t key;
} subjects[] = {
    {"the first", "192.0.2.1", 53, 0, 0},
    {"another address", "192.0.2.2", 53, 0, 0},
    {"another port", "192.0.2.1", 54, 0, 0},
    {"the next attempt", "192.0.2.1", 53, 1, 0},
    {"another question", "192.0.2.1", 53, MY_NONCE_QUESTION, 0},
    {"the next attempt at it", "192.0.2.1", 53, MY_NONCE_QUESTION + 1, 0},
    {"another scan", "192.0.2.1", 53, 0, 1},
    {"an IPv6 address of the same first bytes", "c000:201::", 53, 0, 0},
    {"link-local in one zone", "fe80::1%2", 53, 0, 0},
    {"and in another", "fe80::1%3", 53, 0, 0},
};

static void test_every_part_counts(void **state)
{
  uint8_t nonces[COUNT(subjects)][24];
  (void)state;
  for (size_t i = 0; i < COUNT(subjects); i++) {
    my_nonce_key key = {{subjects[i].key}};
    my_endpoint peer = endpoint(subjects[i].address, subjects[i].port);
    print_message("  %s\n", subjects[i].why);
    my_nonce_fill(&key, &peer, subjects[i].attempt, nonces[i], sizeof nonces[i]);
    assert_memory_not_equal(nonces[i], nonces[i] + 8, 8); /* its parts differ, too */
    for (size_t k = 0; k < i; k++)
      assert_memory_not_equal(nonces[i], nonces[k], 8);
    uint8_t less[11];
    my_nonce_fill(&key, &peer, subjects[i].attempt, less, sizeof less);
    assert_memory_equal(less, nonces[i], sizeof less);
  }
}

static const char signature[] = "service example\n"
                                "sig example\n"
                                "  send id?4 01\n"
                                "  @0:4 = $id\n"
                                "  @4   = 02\n";

/* A thousand probes, a thousand replies: each reply is to its own probe and to no other. */
static void test_million_pairs(void **state)
{
  enum { TARGETS = 500, ATTEMPTS = 2, PROBES = TARGETS * ATTEMPTS, LEN = 5 };
  static uint8_t probes[PROBES][LEN], replies[PROBES][LEN];
  my_nonce_key key = {{7}};
  my_sigdb *db;
  my_scratch *scratch;
  my_where where;
  (void)state;
  assert_int_equal(my_sigdb_new(&db), MY_OK);
  assert_int_equal(my_scratch_new(&scratch), MY_OK);
  my_span text = {(const uint8_t *)signature, sizeof signature - 1};
  assert_int_equal(my_sigdb_add(db, "example", text, &where), MY_OK);
  const my_sig *sig = my_sigdb_at(db, 0);
  my_endpoint me = endpoint("192.0.2.99", 4000), peer = endpoint("198.51.100.0", 53);
  for (unsigned i = 0; i < PROBES; i++) {
    uint8_t entropy[16];
    peer.bytes[2] = (uint8_t)(i / ATTEMPTS >> 8);
    peer.bytes[3] = (uint8_t)(i / ATTEMPTS);
    my_nonce_fill(&key, &peer, i % ATTEMPTS, entropy, sizeof entropy);
    my_span given = {entropy, sizeof entropy};
    assert_int_equal(my_sig_compose(sig, &me, &peer, given, probes[i], LEN), LEN);
    memcpy(replies[i], probes[i], LEN);
    replies[i][4] = 2;
  }
  for (unsigned i = 0; i < PROBES; i++)
    for (unsigned k = 0; k < PROBES; k++) {
      my_pair pair = {
          .request = {probes[k], LEN}, .reply = {replies[i], LEN}, .my = me, .peer = peer};
      assert_true(my_sig_holds(sig, &pair, scratch) == (i == k));
    }
  my_scratch_free(scratch);
  my_sigdb_free(db);
}

/* Two questions of the same signature: an answer to one is none to the other. */
static void test_questions(void **state)
{
  (void)state;
  my_sigdb *db;
  my_scratch *scratch;
  my_where where;
  assert_int_equal(my_sigdb_new(&db), MY_OK);
  assert_int_equal(my_scratch_new(&scratch), MY_OK);
  my_span text = {(const uint8_t *)signature, sizeof signature - 1};
  assert_int_equal(my_sigdb_add(db, "example", text, &where), MY_OK);
  my_endpoint me = endpoint("192.0.2.99", 0), peer = endpoint("198.51.100.1", 53);
  for (unsigned asked = 0; asked < 4; asked++)
    for (unsigned read = 0; read < 4; read++) {
      my_cookie c = {{{3}}, my_sigdb_at(db, 0), 2, 40000, 1,
                     asked}; /* one port: only nonces tell */
      uint8_t probe[8];
      unsigned attempt;
      assert_int_equal(my_cookie_compose(&c, &me, &peer, 1, probe, sizeof probe), 5);
      assert_int_equal(my_cookie_port(&c, &peer, 1), me.port);
      probe[4] = 2;
      my_pair pair = {.reply = {probe, 5}, .my = me, .peer = peer, .from = peer};
      c.question = read;
      int rc = my_cookie_verify(&c, &pair, scratch, &attempt);
      assert_int_equal(rc, asked == read ? MY_OK : MY_EFORMAT);
      if (rc == MY_OK) assert_int_equal(attempt, 1);
    }
  my_scratch_free(scratch);
  my_sigdb_free(db);
}

static void test_ports(void **state)
{
  my_nonce_key key = {{9}};
  my_endpoint peer = endpoint("192.0.2.1", 53);
  unsigned hits[64] = {0};
  (void)state;
  for (unsigned attempt = 0; attempt < 6400; attempt++) {
    uint16_t port = my_nonce_port(&key, &peer, attempt, 65472, 64);
    assert_true(port >= 65472);
    hits[port - 65472]++;
  }
  for (size_t i = 0; i < 64; i++)
    assert_in_range(hits[i], 50, 160); /* 100, give or take 10 */
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_small_sizes),    cmocka_unit_test(test_larger_sizes),
      cmocka_unit_test(test_huge_sizes),     cmocka_unit_test(test_whole_internet),
      cmocka_unit_test(test_refused_sizes),  cmocka_unit_test(test_spread),
      cmocka_unit_test(test_seeds_differ),   cmocka_unit_test(test_shards_partition),
      cmocka_unit_test(test_siphash_vector), cmocka_unit_test(test_every_part_counts),
      cmocka_unit_test(test_million_pairs),  cmocka_unit_test(test_ports),
      cmocka_unit_test(test_questions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
