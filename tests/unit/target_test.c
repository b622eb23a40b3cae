/* target_test.c - addresses as text and values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mynah/target.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static const struct {
  const char *why, *text;
  uint8_t family;
  const char *printed; /* with port 53; NULL: refused */
} addresses[] = {
    {"plain IPv4", "192.0.2.1", 4, "192.0.2.1:53"},
    {"IPv6 is put in brackets only with its port", "2001:db8::1", 6, "[2001:db8::1]:53"},
    {"the unspecified address is an address", "::", 6, "[::]:53"},
    {"a zone by number is kept", "fe80::1%2", 6, "[fe80::1%2]:53"},
    {"the largest zone, the longest text", "fe80:1111:2222:3333:4444:5555:6666:7777%4294967295", 6,
     "[fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:53"},
    {"a zone past 32 bits", "fe80::1%4294967296", 0, NULL},
    {"a zone of a name needs the system", "fe80::1%eth0", 0, NULL},
    {"an empty zone", "fe80::1%", 0, NULL},
    {"a zone on IPv4", "192.0.2.1%1", 0, NULL},
    {"octal and short forms mean different things to different programs", "127.1", 0, NULL},
    {"a leading zero likewise", "127.0.0.01", 0, NULL},
    {"an octet too large", "256.0.0.1", 0, NULL},
    {"brackets belong to the caller", "[::1]", 0, NULL},
    {"nothing", "", 0, NULL},
    {"a name", "localhost", 0, NULL},
    {"white space", " 127.0.0.1", 0, NULL},
    {"longer than any address", "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd",
     0, NULL},
};

static void test_addresses(void **state)
{
  (void)state;
  for (size_t i = 0; i < COUNT(addresses); i++) {
    char text[MY_ENDPOINT_TEXT];
    my_endpoint e;
    memset(&e, 0xff, sizeof e);
    print_message("  %s\n", addresses[i].why);
    int rc = my_endpoint_parse(&e, addresses[i].text, 53);
    if (!addresses[i].printed) {
      static const my_endpoint none;
      assert_int_equal(rc, MY_EFORMAT);
      assert_memory_equal(&e, &none, sizeof e);
      continue;
    }
    assert_int_equal(rc, MY_OK);
    assert_int_equal(e.family, addresses[i].family);
    assert_string_equal(my_endpoint_format(&e, text), addresses[i].printed);
    assert_string_equal(my_endpoint_address(&e, text), addresses[i].text);
  }
}

static const struct {
  const char *why, *text;
  bool global;
} routed[] = {
    {"a public resolver", "8.8.8.8", true},
    {"this network", "0.1.2.3", false},
    {"RFC 1918, first", "10.0.0.0", false},
    {"RFC 1918, last", "10.255.255.255", false},
    {"next to it", "11.0.0.0", true},
    {"shared space begins", "100.64.0.0", false},
    {"shared space ends", "100.127.255.255", false},
    {"just below shared space", "100.63.255.255", true},
    {"just above shared space", "100.128.0.0", true},
    {"loopback", "127.9.9.9", false},
    {"link-local", "169.254.0.1", false},
    {"172.16/12 ends", "172.31.255.255", false},
    {"just above 172.16/12", "172.32.0.0", true},
    {"IETF protocol assignments", "192.0.0.1", false},
    {"but PCP anycast is reachable", "192.0.0.9", true},
    {"documentation 1", "192.0.2.200", false},
    {"documentation 2", "198.51.100.1", false},
    {"documentation 3", "203.0.113.255", false},
    {"next to documentation 3", "203.0.114.0", true},
    {"192.168/16", "192.168.255.255", false},
    {"benchmarking ends", "198.19.255.255", false},
    {"just above benchmarking", "198.20.0.0", true},
    {"last unicast", "223.255.255.255", true},
    {"multicast", "224.0.0.1", false},
    {"reserved", "240.0.0.1", false},
    {"broadcast", "255.255.255.255", false},
};

static void test_global(void **state)
{
  (void)state;
  for (size_t i = 0; i < COUNT(routed); i++) {
    my_endpoint e;
    print_message("  %s\n", routed[i].why);
    assert_int_equal(my_endpoint_parse(&e, routed[i].text, 0), MY_OK);
    assert_int_equal(my_ipv4_is_global(e.bytes), routed[i].global);
  }
}

static const struct {
  const char *why, *a, *b;
  bool same;
} pairs[] = {
    {"equal", "192.0.2.1", "192.0.2.1", true},
    {"the last byte", "192.0.2.1", "192.0.2.2", false},
    {"families differ though bytes begin alike", "1.2.3.4", "102:304::", false},
    {"a zone that one side does not know", "fe80::1", "fe80::1%2", true},
    {"different zones are different links", "fe80::1%1", "fe80::1%2", false},
    {"the last byte of IPv6", "2001:db8::1", "2001:db8::2", false},
};

static void test_same(void **state)
{
  (void)state;
  for (size_t i = 0; i < COUNT(pairs); i++) {
    my_endpoint a, b;
    print_message("  %s\n", pairs[i].why);
    assert_int_equal(my_endpoint_parse(&a, pairs[i].a, 1), MY_OK);
    assert_int_equal(my_endpoint_parse(&b, pairs[i].b, 2), MY_OK);
    assert_int_equal(my_endpoint_same_address(&a, &b), pairs[i].same);
    assert_int_equal(my_endpoint_same_address(&b, &a), pairs[i].same);
  }
}

static void test_no_address(void **state)
{
  char text[MY_ENDPOINT_TEXT];
  my_endpoint none = {0};
  (void)state;
  assert_string_equal(my_endpoint_address(&none, text), "");
  assert_string_equal(my_endpoint_format(&none, text), ":0");
  for (int status = -20; status < 5; status++)
    assert_non_null(my_status_text(status));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_addresses),
      cmocka_unit_test(test_global),
      cmocka_unit_test(test_same),
      cmocka_unit_test(test_no_address),
  };
  return cmocka_run_group_tests_name("target", tests, NULL, NULL);
}
