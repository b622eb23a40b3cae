/* pace_test.c - the parts of a scan that stand alone: the queue of answers, and its pace in a world
 * whose clock is ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mynah/scan.h"
#include "scan_state.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define MS       INT64_C(1000000)

/* ---- the queue ---- */

static void test_queue(void **state)
{
  (void)state;
  static uint8_t bytes[2000];
  scan_queue q = {0};
  my_answer in = {.kind = MY_ANSWER_VERIFIED, .rtt_ns = -1}, out;
  uint64_t put = 0, taken = 0;
  assert_int_equal(scan_queue_init(&q), MY_OK);
  my_endpoint_parse(&in.peer, "2001:db8::1", 53);
  my_endpoint_parse(&in.my, "192.0.2.1", 40000);
  for (int round = 0; round < 6; round++) { /* several times round the ring */
    for (;; put++) {
      in.data = (my_span){bytes, put * 7 % sizeof bytes};
      in.received_ns = (int64_t)put;
      in.question = put % 256;
      if (!scan_queue_put(&q, &in)) break;
    }
    assert_true(scan_queue_fill(&q) > 0.99);
    for (uint64_t stop = put - (round % 2 ? 1000 : 0); taken < stop; taken++) {
      assert_true(scan_queue_take(&q, &out));
      assert_int_equal(out.received_ns, taken);
      assert_int_equal(out.question, taken % 256);
      assert_int_equal(out.data.len, taken * 7 % sizeof bytes);
      assert_true(my_endpoint_same_address(&out.peer, &in.peer) && out.peer.port == 53);
      assert_int_equal(out.from.family, 0);
      assert_int_equal(out.my.port, 40000);
    }
  }
  while (scan_queue_take(&q, &out))
    taken++;
  assert_int_equal(taken, put);
  free(q.bytes);
}

/* ---- time ---- */

/* A clock that is set while a datagram is on its way makes its round trip unknown, and no loss. */
static void test_clock_steps(void **state)
{
  (void)state;
  static scan_pace p;
  const int64_t sent = 1700000000000 * MS, hour = 3600000 * MS;
  assert_int_equal(round_trip(sent, sent + 5 * MS), 5 * MS);
  assert_int_equal(round_trip(sent, sent), 0);
  assert_int_equal(round_trip(sent, sent + 5 * MS - hour), -1);
  assert_int_equal(round_trip(sent, sent + 5 * MS + hour), -1);
  scan_pace_init(&p, 0, true, 1000 * MS);
  scan_pace_sent(&p, 1000 * MS, 1);
  scan_pace_heard(&p, 1000 * MS, 2 * MS);
  scan_pace_sent(&p, 1001 * MS, 1);
  scan_pace_heard(&p, 1001 * MS, -1);
  assert_int_equal(p.rtt_ns, 2 * MS);
  int64_t wait;
  p.window = 16; /* both were heard: there is room for all of it */
  assert_int_equal(scan_pace_allow(&p, 1001 * MS, 16, 0, &wait), 16);
}

/* ---- pace ---- */

/* A far side that serves so many a millisecond, has room for so many to wait, and answers one in
 * 'one_in'; what finds no room is lost. */
typedef struct far_side {
  unsigned serves, room, one_in;
  int64_t delay_ns;
} far_side;

enum { WAY = 1 << 16 };

typedef struct outcome {
  uint64_t sent, lost, heard;
} outcome;

static outcome simulate(const far_side *f, double rate, int64_t duration_ns)
{
  static int64_t waiting[WAY];
  static scan_pace p;
  outcome o = {0};
  uint64_t first = 0, last = 0;
  int64_t served = 0, start = 1000 * MS;
  scan_pace_init(&p, rate, false, start);
  for (int64_t now = start; now < start + duration_ns; now += MS / 100) {
    int64_t wait;
    size_t n = scan_pace_allow(&p, now, 32, 0, &wait);
    if (n) scan_pace_sent(&p, now, n);
    for (; n > 0; n--, o.sent++) {
      if (last - first >= f->room)
        o.lost++;
      else
        waiting[last++ % WAY] = now;
    }
    for (; served < (now - start) * f->serves / MS; served++) {
      if (first == last || now - waiting[first % WAY] < f->delay_ns) continue;
      int64_t sent = waiting[first++ % WAY];
      if (first % f->one_in) continue;
      o.heard++;
      scan_pace_heard(&p, sent, now - sent);
    }
  }
  return o;
}

static const struct {
  const char *why;
  far_side far;
  double rate;
  double least, most; /* sent, of what the far side serves, or of the rate */
  double lost;        /* the share of what was sent, at the most */
} worlds[] = {
    {"all answer, a small buffer", {200, 300, 1, 0}, 0, 0.7, 1.05, 0.01},
    {"all answer, a large buffer", {200, 30000, 1, 0}, 0, 0.8, 1.3, 0},
    {"all answer, far away", {200, 30000, 1, 50 * MS}, 0, 0.5, 1.3, 0.01},
    {"one in a hundred answers", {500, 60000, 100, 20 * MS}, 0, 0.3, 2, 0.2},
    {"a rate below what is borne", {200, 300, 1, 0}, 50000, 0.98, 1.02, 0},
    {"a low rate", {200, 300, 1, 0}, 100, 0.9, 1.1, 0},
};

static void test_pace(void **state)
{
  (void)state;
  for (size_t i = 0; i < COUNT(worlds); i++) {
    const int64_t duration = 2000 * MS;
    outcome o = simulate(&worlds[i].far, worlds[i].rate, duration);
    double whole = worlds[i].rate > 0 ? worlds[i].rate * 2 : worlds[i].far.serves * 2000.0;
    double share = (double)o.sent / whole, lost = (double)o.lost / (double)o.sent;
    print_message("  %s: %.2f of it, %.4f lost\n", worlds[i].why, share, lost);
    assert_true(share >= worlds[i].least && share <= worlds[i].most);
    assert_true(lost <= worlds[i].lost);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_queue),
      cmocka_unit_test(test_clock_steps),
      cmocka_unit_test(test_pace),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
