/* packet_test.c - headers of captured frames, whole, cut and lying. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <pcap/dlt.h>

#include "guard.h"
#include "hex.h"
#include "mynah/capture.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* 192.168.0.1:1234 -> 192.168.0.19:53, three bytes "abc" */
#define ETH                   "020000000002 020000000001 "
#define IP4(len, frag, proto) "4500" len "0000" frag "40" proto "0000 c0a80001 c0a80013 "
#define UDP(len)              "04d2 0035" len "0000 "
#define TCP(words, flags)     "04d2 0035 00000009 00000000" words flags "ffff 0000 0000 "
#define IP6(len, next)                                                                             \
  "60000000" len next "40 fd000000000000000000000000000001 \
fd000000000000000000000000000002 "
#define ABC  "616263 "
#define UDP4 IP4("001f", "0000", "11") UDP("000b") ABC
#define UDP6 IP6("000b", "11") UDP("000b") ABC

#define WLAN(control) control "0000 020000000001 020000000002 020000000003 0000 "
#define SNAP          "aaaa03000000 "

typedef struct row {
  const char *why;
  int dlt;
  const char *frame;
  size_t wire_len; /* 0: all of the frame is there */
  int rc;
  const char *data;
  bool cut;
} row;

static const row rows[] = {
    {"Ethernet, IPv4, UDP", DLT_EN10MB, ETH "0800" UDP4, 0, MY_OK, "abc", false},
    {"padding to 60 bytes is no payload", DLT_EN10MB, ETH "0800" UDP4 "000000000000000000000000", 0,
     MY_OK, "abc", false},
    {"one VLAN", DLT_EN10MB, ETH "8100 0064 0800" UDP4, 0, MY_OK, "abc", false},
    {"provider and customer VLAN", DLT_EN10MB, ETH "88a8 0064 8100 0065 0800" UDP4, 0, MY_OK, "abc",
     false},
    {"PPP over Ethernet", DLT_EN10MB, ETH "8864 1100 0001 0021 0021" UDP4, 0, MY_OK, "abc", false},
    {"IPv6", DLT_EN10MB, ETH "86dd" UDP6, 0, MY_OK, "abc", false},
    {"ARP carries nothing", DLT_EN10MB, ETH "0806 0001080006040001", 0, MY_NOT_YET, NULL, false},
    {"raw IP, version 4 by its first nibble", DLT_RAW, UDP4, 0, MY_OK, "abc", false},
    {"raw IP, version 6", DLT_RAW, UDP6, 0, MY_OK, "abc", false},
    {"link type IPV4", DLT_IPV4, UDP4, 0, MY_OK, "abc", false},
    {"link type IPV6", DLT_IPV6, UDP6, 0, MY_OK, "abc", false},
    {"Linux cooked", DLT_LINUX_SLL, "0000 0001 0006 020000000001 0000 0800" UDP4, 0, MY_OK, "abc",
     false},
    {"Linux cooked 2", DLT_LINUX_SLL2, "86dd 0000 00000002 0001 00 06 0200000000010000" UDP6, 0,
     MY_OK, "abc", false},
    {"BSD loopback, written on little endian", DLT_NULL, "02000000" UDP4, 0, MY_OK, "abc", false},
    {"BSD loopback, big endian, IPv6 of macOS", DLT_NULL, "0000001e" UDP6, 0, MY_OK, "abc", false},
    {"802.11, data to an access point", DLT_IEEE802_11, WLAN("0801") SNAP "0800" UDP4, 0, MY_OK,
     "abc", false},
    {"802.11 with quality of service", DLT_IEEE802_11, WLAN("8802") "0000 " SNAP "0800" UDP4, 0,
     MY_OK, "abc", false},
    {"802.11 between access points: a fourth address", DLT_IEEE802_11,
     WLAN("0803") "020000000004 " SNAP "86dd" UDP6, 0, MY_OK, "abc", false},
    {"802.11, encrypted", DLT_IEEE802_11, WLAN("0841") SNAP "0800" UDP4, 0, MY_NOT_YET, NULL,
     false},
    {"802.11, a beacon", DLT_IEEE802_11, WLAN("8000") SNAP "0800" UDP4, 0, MY_NOT_YET, NULL, false},
    {"802.11, several packets in one", DLT_IEEE802_11, WLAN("8802") "8000 " SNAP "0800" UDP4, 0,
     MY_NOT_YET, NULL, false},
    {"802.11, not SNAP", DLT_IEEE802_11, WLAN("0801") "4242030000000800" UDP4, 0, MY_NOT_YET, NULL,
     false},
    {"radiotap without fields", DLT_IEEE802_11_RADIO,
     "0000 0800 00000000 " WLAN("0801") SNAP "0800" UDP4, 0, MY_OK, "abc", false},
    {"radiotap: a time, and flags that say the header is padded", DLT_IEEE802_11_RADIO,
     "0000 1100 03000000 0102030405060708 20 " WLAN("8802") "0000 0000 " SNAP "0800" UDP4, 0, MY_OK,
     "abc", false},
    {"radiotap: two words of fields", DLT_IEEE802_11_RADIO,
     "0000 0d00 02000080 00000000 00 " WLAN("0801") SNAP "0800" UDP4 "deadbeef", 0, MY_OK, "abc",
     false},
    {"radiotap longer than the frame", DLT_IEEE802_11_RADIO, "0000 ff00 00000000", 0, MY_ESHORT,
     NULL, false},
    {"OpenBSD loopback", DLT_LOOP, "00000002" UDP4, 0, MY_OK, "abc", false},
    {"BSD loopback of something else", DLT_NULL, "00000007" UDP4, 0, MY_NOT_YET, NULL, false},
    {"PPP with address and control", DLT_PPP, "ff03 0021" UDP4, 0, MY_OK, "abc", false},
    {"PPP with its protocol compressed", DLT_PPP, "57" UDP6, 0, MY_OK, "abc", false},
    {"PPP of something else", DLT_PPP, "c021 01010004", 0, MY_NOT_YET, NULL, false},
    {"a link type nobody here reads", DLT_PRISM_HEADER, UDP4, 0, MY_EFORMAT, NULL, false},

    {"IPv4 options are stepped over", DLT_RAW,
     "460000230000000040110000c0a80001c0a80013 01010100" UDP("000b") ABC, 0, MY_OK, "abc", false},
    {"a header length below 20 is no IPv4", DLT_RAW,
     "4400001f0000000040110000c0a80001c0a80013" UDP("000b") ABC, 0, MY_NOT_YET, NULL, false},
    {"a first fragment is not a whole payload", DLT_RAW, IP4("001f", "2000", "11") UDP("000b") ABC,
     0, MY_NOT_YET, NULL, false},
    {"a later fragment has no UDP header", DLT_RAW, IP4("001f", "0001", "11") UDP("000b") ABC, 0,
     MY_NOT_YET, NULL, false},
    {"do not fragment is no fragment", DLT_RAW, IP4("001f", "4000", "11") UDP("000b") ABC, 0, MY_OK,
     "abc", false},
    {"ICMP", DLT_RAW, IP4("001c", "0000", "01") "0800000000000000", 0, MY_NOT_YET, NULL, false},
    {"a total length of 0 comes from offload: the frame's end stands", DLT_RAW,
     IP4("0000", "0000", "11") UDP("000b") ABC, 0, MY_OK, "abc", false},
    {"a total length below the header's is a lie", DLT_RAW,
     IP4("0010", "0000", "11") UDP("000b") ABC, 0, MY_NOT_YET, NULL, false},
    {"a total length past the frame does not read past it", DLT_RAW,
     IP4("ffff", "0000", "11") UDP("000b") ABC, 0, MY_OK, "abc", false},

    {"an empty datagram", DLT_RAW, IP4("001c", "0000", "11") UDP("0008"), 0, MY_OK, "", false},
    {"a UDP length past the packet: what is there, marked", DLT_RAW,
     IP4("001f", "0000", "11") UDP("ffff") ABC, 0, MY_OK, "abc", true},
    {"a UDP length inside the packet ends the payload", DLT_RAW,
     IP4("001f", "0000", "11") UDP("000a") ABC, 0, MY_OK, "ab", false},
    {"a UDP length below its header is a lie", DLT_RAW, IP4("001f", "0000", "11") UDP("0007") ABC,
     0, MY_NOT_YET, NULL, false},
    {"a UDP length of 0 is a jumbogram's", DLT_RAW, IP6("000b", "11") UDP("0000") ABC, 0, MY_OK,
     "abc", false},
    {"an IP length that ends inside the UDP header", DLT_RAW,
     IP4("0018", "0000", "11") UDP("000b") ABC, 0, MY_ESHORT, NULL, false},
    {"cut by the snap length", DLT_RAW, IP4("0033", "0000", "11") UDP("001f") ABC, 51, MY_OK, "abc",
     true},
    {"an offloaded packet cut by the snap length", DLT_RAW,
     IP4("0000", "0000", "06") TCP("50", "18") ABC, 51, MY_OK, "abc", true},
    {"cut behind the packet is not cut", DLT_RAW, UDP4, 60, MY_OK, "abc", false},

    {"TCP", DLT_RAW, IP4("002b", "0000", "06") TCP("50", "18") ABC, 0, MY_OK, "abc", false},
    {"TCP options are stepped over", DLT_RAW,
     IP4("002f", "0000", "06") TCP("60", "18") "01010101" ABC, 0, MY_OK, "abc", false},
    {"TCP without data is given too", DLT_RAW, IP4("0028", "0000", "06") TCP("50", "10"), 0, MY_OK,
     "", false},
    {"a TCP header length below 20 is a lie", DLT_RAW,
     IP4("002b", "0000", "06") TCP("40", "18") ABC, 0, MY_NOT_YET, NULL, false},
    {"TCP options that run past the frame", DLT_RAW, IP4("002b", "0000", "06") TCP("f0", "18") ABC,
     0, MY_ESHORT, NULL, false},

    {"hop-by-hop, routing, destination options", DLT_RAW,
     IP6("0023", "00") "2b00000000000000 3c00000000000000 1100000000000000" UDP("000b") ABC, 0,
     MY_OK, "abc", false},
    {"an authentication header counts in fours", DLT_RAW,
     IP6("001b", "33") "11020000000000000000000000000000" UDP("000b") ABC, 0, MY_OK, "abc", false},
    {"an atomic fragment is a whole packet", DLT_RAW,
     IP6("0013", "2c") "1100000000000001" UDP("000b") ABC, 0, MY_OK, "abc", false},
    {"a real fragment is not", DLT_RAW, IP6("0013", "2c") "1100000100000001" UDP("000b") ABC, 0,
     MY_NOT_YET, NULL, false},
    {"an extension longer than the packet", DLT_RAW,
     IP6("0013", "3c") "11ff000000000000" UDP("000b") ABC, 0, MY_ESHORT, NULL, false},
    {"no next header", DLT_RAW, IP6("0000", "3b"), 0, MY_NOT_YET, NULL, false},
    {"an IPv6 length that ends before the UDP header does", DLT_RAW,
     IP6("0004", "11") UDP("000b") ABC, 0, MY_ESHORT, NULL, false},
    {"version 5", DLT_RAW, "55000000" UDP4, 0, MY_NOT_YET, NULL, false},
    {"IPv4 behind IPv6's ether type", DLT_EN10MB, ETH "86dd" UDP4 UDP4, 0, MY_NOT_YET, NULL, false},
};

static void check_endpoints(const my_payload *p)
{
  assert_int_equal(p->from.port, 1234);
  assert_int_equal(p->to.port, 53);
  assert_int_equal(p->from.family, p->to.family);
  assert_int_equal(p->from.bytes[p->from.family == 4 ? 3 : 15], 1);
  assert_int_equal(p->to.bytes[p->to.family == 4 ? 3 : 15], p->to.family == 4 ? 19 : 2);
}

static void test_rows(void **state)
{
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    const row *r = &rows[i];
    uint8_t bytes[256];
    size_t len = unhex(r->frame, bytes, sizeof bytes);
    guarded g = guard(bytes, len);
    my_payload p = {.number = 7, .time_ns = 8};
    print_message("  %s\n", r->why);
    assert_int_equal(my_packet_decode(r->dlt, g.span, r->wire_len ? r->wire_len : len, &p), r->rc);
    assert_int_equal(p.number, 7);
    assert_int_equal(p.time_ns, 8);
    if (r->rc == MY_OK) {
      assert_int_equal(p.data.len, strlen(r->data));
      assert_memory_equal(p.data.data, r->data, p.data.len);
      assert_int_equal(p.cut, r->cut);
      check_endpoints(&p);
    } else {
      assert_null(p.data.data);
      assert_int_equal(p.from.family, 0);
    }
    unguard(g);
  }
}

/* Whatever length a frame is cut to, nothing past it is read, and what is given lies inside it. */
static void test_every_truncation(void **state)
{
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    uint8_t bytes[256];
    size_t len = unhex(rows[i].frame, bytes, sizeof bytes);
    for (size_t n = 0; n < len; n++) {
      guarded g = guard(bytes, n);
      my_payload p = {0};
      int rc = my_packet_decode(rows[i].dlt, g.span, len, &p);
      assert_true(rc == MY_OK || rc == MY_ESHORT || rc == MY_NOT_YET || rc == MY_EFORMAT);
      if (rc == MY_OK) {
        assert_true(p.data.data >= g.span.data);
        assert_true(p.data.data + p.data.len <= g.span.data + n);
      }
      unguard(g);
    }
  }
}

/* A shortened frame loses payload only with the mark that says so. */
static void test_cut_is_marked(void **state)
{
  uint8_t bytes[256];
  size_t len = unhex(ETH "0800" UDP4, bytes, sizeof bytes);
  (void)state;
  for (size_t missing = 1; missing <= 3; missing++) {
    guarded g = guard(bytes, len - missing);
    my_payload p = {0};
    assert_int_equal(my_packet_decode(DLT_EN10MB, g.span, len, &p), MY_OK);
    assert_int_equal(p.data.len, 3 - missing);
    assert_true(p.cut);
    unguard(g);
  }
  guarded g = guard(bytes, len - 4);
  my_payload p = {0};
  assert_int_equal(my_packet_decode(DLT_EN10MB, g.span, len, &p), MY_ESHORT);
  unguard(g);
}

static void test_tcp_fields(void **state)
{
  uint8_t bytes[256];
  my_payload p = {0};
  (void)state;
  size_t len = unhex(IP4("002b", "0000", "06") TCP("50", "18") ABC, bytes, sizeof bytes);
  assert_int_equal(my_packet_decode(DLT_RAW, (my_span){bytes, len}, len, &p), MY_OK);
  assert_int_equal(p.transport, MY_TCP);
  assert_int_equal(p.tcp_seq, 9);
  assert_int_equal(p.tcp_flags, 0x18);
  len = unhex(IP4("002b", "0000", "06") TCP("50", "02") ABC, bytes, sizeof bytes);
  assert_int_equal(my_packet_decode(DLT_RAW, (my_span){bytes, len}, len, &p), MY_OK);
  assert_int_equal(p.tcp_seq, 10); /* data behind a SYN begins one later */
}

/* Every byte set to every bit pattern that has one bit flipped: no lie makes it read elsewhere. */
static void test_every_bit_flipped(void **state)
{
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    uint8_t bytes[256];
    size_t len = unhex(rows[i].frame, bytes, sizeof bytes);
    for (size_t bit = 0; bit < 8 * len; bit++) {
      bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
      guarded g = guard(bytes, len);
      my_payload p = {0};
      if (my_packet_decode(rows[i].dlt, g.span, len, &p) == MY_OK) {
        assert_true(p.data.data >= g.span.data);
        assert_true(p.data.data + p.data.len <= g.span.data + len);
      }
      unguard(g);
      bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rows),
      cmocka_unit_test(test_every_truncation),
      cmocka_unit_test(test_cut_is_marked),
      cmocka_unit_test(test_tcp_fields),
      cmocka_unit_test(test_every_bit_flipped),
  };
  return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}
