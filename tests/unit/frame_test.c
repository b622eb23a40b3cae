/* frame_test.c - frames that we compose are read back as what they should be, with sums that hold;
 * ICMP errors are read with what they quote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mynah/capture.h"
#include "mynah/frame.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

enum { ETHERNET = 1, RAW = 12 }; /* DLT_… */

static my_endpoint at(const char *address, uint16_t port)
{
  my_endpoint e;
  assert_int_equal(my_endpoint_parse(&e, address, port), MY_OK);
  return e;
}

/* RFC 1071, the plain way, byte for byte. */
static uint16_t sum_of(const uint8_t *p, size_t len, uint32_t total)
{
  for (size_t i = 0; i < len; i++)
    total += (uint32_t)p[i] << (i % 2 ? 0 : 8);
  while (total >> 16)
    total = (total & 0xffff) + (total >> 16);
  return (uint16_t)total;
}

static void check_sums(const uint8_t *ip, size_t len)
{
  bool v4 = ip[0] >> 4 == 4;
  size_t head = v4 ? 20 : 40;
  if (v4) assert_int_equal(sum_of(ip, head, 0), 0xffff);
  uint32_t pseudo = 17 + (uint32_t)(len - head);
  uint16_t addresses = v4 ? sum_of(ip + 12, 8, 0) : sum_of(ip + 8, 32, 0);
  assert_int_equal(sum_of(ip + head, len - head, pseudo + addresses), 0xffff);
  assert_false(ip[head + 6] == 0 && ip[head + 7] == 0);
}

static void check(bool ethernet, const char *from, const char *to, size_t len)
{
  my_link link = {ethernet, {2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
  my_endpoint source = at(from, 40000), peer = at(to, 53);
  my_frame_head h;
  uint8_t frame[2000], payload[1500];
  my_frame_head_init(&h, &link, &source, 64, false);
  for (size_t i = 0; i < len; i++)
    payload[i] = frame[h.len + i] = (uint8_t)(i * 37 + len);
  size_t total = my_frame_udp(&h, frame, &peer, 40000, len);
  my_payload got = {0};
  assert_int_equal(total, h.len + len);
  if (ethernet) assert_memory_equal(frame, "\2\0\0\0\0\2\2\0\0\0\0\1", 12);
  assert_int_equal(
      my_packet_decode(ethernet ? ETHERNET : RAW, (my_span){frame, total}, total, &got), MY_OK);
  assert_int_equal(got.transport, MY_UDP);
  assert_true(my_endpoint_same_address(&got.from, &source) && got.from.port == 40000);
  assert_true(my_endpoint_same_address(&got.to, &peer) && got.to.port == 53);
  assert_int_equal(got.data.len, len);
  assert_memory_equal(got.data.data, payload, len);
  check_sums(frame + h.ip_at, total - h.ip_at);
}

static void test_frames(void **state)
{
  (void)state;
  for (size_t len = 0; len <= 1400; len += len < 70 ? 1 : 61)
    for (int ethernet = 0; ethernet < 2; ethernet++) {
      check(ethernet, "192.0.2.1", "198.51.100.7", len);
      check(ethernet, "255.255.255.255", "255.255.255.255", len);
      check(ethernet, "2001:db8::1", "2001:db8:ffff::7", len);
    }
}

static void test_syn(void **state)
{
  (void)state;
  static const char *const pairs[][2] = {{"192.0.2.1", "198.51.100.7"},
                                         {"2001:db8::1", "2001:db8::7"}};
  for (size_t i = 0; i < COUNT(pairs); i++) {
    my_link link = {true, {2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
    my_endpoint source = at(pairs[i][0], 0), peer = at(pairs[i][1], 443);
    my_frame_head h;
    my_payload got = {0};
    uint8_t frame[200];
    my_frame_head_init(&h, &link, &source, 64, true);
    assert_true(h.len <= MY_FRAME_HEAD_MAX);
    size_t total = my_frame_syn(&h, frame, &peer, 40001, 0xdeadbeef);
    assert_int_equal(my_packet_decode(ETHERNET, (my_span){frame, total}, total, &got), MY_OK);
    assert_int_equal(got.transport, MY_TCP);
    assert_int_equal(got.tcp_flags, 2);
    assert_int_equal(got.tcp_seq, 0xdeadbeef + 1u);
    assert_int_equal(got.tcp_ack, 0);
    assert_true(my_endpoint_same_address(&got.to, &peer) && got.to.port == 443);
    assert_int_equal(got.from.port, 40001);
    assert_int_equal(got.data.len, 0);
    const uint8_t *ip = frame + h.ip_at;
    size_t head = ip[0] >> 4 == 4 ? 20 : 40, len = total - h.ip_at - head;
    uint16_t addresses = head == 20 ? sum_of(ip + 12, 8, 0) : sum_of(ip + 8, 32, 0);
    assert_int_equal(sum_of(ip + head, len, 6 + (uint32_t)len + addresses), 0xffff);
  }
}

/* A sum of 0 means "none" (RFC 768): it is sent as ffff. */
static void test_sum_of_zero(void **state)
{
  (void)state;
  my_link link = {0};
  my_endpoint source = at("192.0.2.1", 0), peer = at("198.51.100.7", 53);
  my_frame_head h;
  uint8_t frame[200];
  my_frame_head_init(&h, &link, &source, 64, false);
  memset(frame + h.len, 0, 2);
  my_frame_udp(&h, frame, &peer, 40000, 2);
  memcpy(frame + h.len, frame + h.len - 2, 2); /* what was missing to ffff: now nothing is */
  my_frame_udp(&h, frame, &peer, 40000, 2);
  assert_memory_equal(frame + h.len - 2, "\xff\xff", 2);
  check_sums(frame, h.len + 2);
}

/* ---- ICMP ---- */

static const struct {
  const char *why;
  bool v6;
  uint8_t type, code;
  size_t quoted; /* bytes of the datagram's payload; of a SYN, of its head */
  int expected;
  bool tcp;
} errors[] = {
    {"port unreachable, 8 bytes of UDP alone", false, 3, 3, 0, MY_OK, false},
    {"with payload", false, 3, 13, 16, MY_OK, false},
    {"time exceeded", false, 11, 0, 4, MY_OK, false},
    {"parameter problem", false, 12, 0, 4, MY_OK, false},
    {"an echo reply is no error", false, 0, 0, 16, MY_NOT_YET, false},
    {"a redirect is none", false, 5, 1, 16, MY_NOT_YET, false},
    {"ICMPv6 port unreachable", true, 1, 4, 16, MY_OK, false},
    {"packet too big says nothing of the port", true, 2, 0, 16, MY_NOT_YET, false},
    {"a router's advertisement", true, 134, 0, 16, MY_NOT_YET, false},
    {"of a SYN, its first 8 bytes", false, 3, 13, 8, MY_OK, true},
    {"of a SYN, less than its ports and number", false, 3, 13, 7, MY_NOT_YET, true},
    {"of a SYN, all of it", true, 1, 1, 24, MY_OK, true},
};

static void test_errors(void **state)
{
  (void)state;
  for (size_t i = 0; i < COUNT(errors); i++) {
    bool v6 = errors[i].v6;
    my_link link = {0};
    my_endpoint router = at(v6 ? "2001:db8::9" : "203.0.113.9", 0);
    my_endpoint my = at(v6 ? "2001:db8::1" : "192.0.2.1", 40000);
    my_endpoint peer = at(v6 ? "2001:db8::7" : "198.51.100.7", 53);
    my_frame_head inner, outer;
    uint8_t frame[400] = {0};
    my_icmp_error got;
    print_message("  %s\n", errors[i].why);
    my_frame_head_init(&outer, &link, &router, 60, false);
    my_frame_head_init(&inner, &link, &my, 60, errors[i].tcp);
    size_t ip = v6 ? 40 : 20;
    uint8_t *icmp = frame + ip, *quote = icmp + 8;
    size_t head = errors[i].tcp ? ip : inner.len; /* that is quoted at the least */
    memset(quote + inner.len, 0xab, 16);
    size_t total = ip + 8 + head + errors[i].quoted;
    my_frame_udp(&outer, frame, &my, 0, total - outer.len); /* its UDP head is written over */
    if (errors[i].tcp)
      my_frame_syn(&inner, quote, &peer, 40000, 0xc0ffee01);
    else
      my_frame_udp(&inner, quote, &peer, 40000, 16);
    frame[v6 ? 6 : 9] = v6 ? 58 : 1;
    memset(icmp, 0, 8);
    icmp[0] = errors[i].type;
    icmp[1] = errors[i].code;
    int rc = my_packet_icmp(RAW, (my_span){frame, total}, total, &got);
    assert_int_equal(rc, errors[i].expected);
    if (rc != MY_OK) continue;
    assert_int_equal(got.type, errors[i].type);
    assert_int_equal(got.code, errors[i].code);
    assert_true(my_endpoint_same_address(&got.from, &router));
    assert_true(my_endpoint_same_address(&got.sent_from, &my) && got.sent_from.port == 40000);
    assert_true(my_endpoint_same_address(&got.sent_to, &peer) && got.sent_to.port == 53);
    assert_int_equal(got.transport, errors[i].tcp ? MY_TCP : MY_UDP);
    assert_int_equal(got.tcp_seq, errors[i].tcp ? 0xc0ffee01 : 0);
    assert_int_equal(got.quoted.len, errors[i].tcp ? 0 : errors[i].quoted);
    for (size_t cut = 0; cut < total; cut++) { /* nothing is read that is not there */
      uint8_t *exact = malloc(cut ? cut : 1);
      memcpy(exact, frame, cut);
      rc = my_packet_icmp(RAW, (my_span){exact, cut}, total, &got);
      assert_true(rc == MY_ESHORT || rc == MY_NOT_YET ||
                  cut >= ip + 8 + head + (errors[i].tcp ? 8 : 0));
      free(exact);
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_frames),
      cmocka_unit_test(test_syn),
      cmocka_unit_test(test_sum_of_zero),
      cmocka_unit_test(test_errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
