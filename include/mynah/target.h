/* target.h - addresses and ports as values. No I/O: names are resolved in native/net.
 * Ports in host byte order, addresses in network byte order. */
#ifndef MYNAH_TARGET_H
#define MYNAH_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "mynah/status.h"

typedef struct my_endpoint {
  uint8_t family; /* 4 or 6; 0 means none */
  uint16_t port;
  uint32_t scope;    /* IPv6 zone index, else 0 */
  uint8_t bytes[16]; /* IPv4 in the first 4 */
} my_endpoint;

enum { MY_ENDPOINT_TEXT = 72 }; /* room for "[fe80::…%4294967295]:65535" and its NUL */

/* Read a numeric address ("192.0.2.1", "2001:db8::1", "fe80::1%2"), no port, no brackets.
 * MY_OK, or MY_EFORMAT with *out all zero. */
int my_endpoint_parse(my_endpoint *out, const char *address, uint16_t port);

/* The address alone, or with its port ("192.0.2.1:53", "[::1]:53"). Returns 'text'. */
const char *my_endpoint_address(const my_endpoint *e, char text[MY_ENDPOINT_TEXT]);
const char *my_endpoint_format(const my_endpoint *e, char text[MY_ENDPOINT_TEXT]);

bool my_endpoint_same_address(const my_endpoint *a, const my_endpoint *b);

/* True for an IPv6 address that holds on one link only (fe80::/10). */
bool my_endpoint_is_link_local(const my_endpoint *e);

/* True for an IPv4 address that the Internet routes: not private, shared (100.64/10), loopback,
 * link-local, documentation, benchmarking, multicast or reserved (RFC 6890 and its registry). */
bool my_ipv4_is_global(const uint8_t address[4]);

#endif
