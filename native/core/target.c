/* target.c - addresses as text and as values, and which of them the Internet routes. */
#include "mynah/target.h"

#include <arpa/inet.h>
#include <string.h>

/* Decimal digits of an IPv6 zone index; names of interfaces need the system and are native/net's.
 */
static int parse_scope(uint32_t *out, const char *text)
{
  uint64_t value = 0;
  if (!*text) return MY_EFORMAT;
  for (; *text; text++) {
    if (*text < '0' || *text > '9') return MY_EFORMAT;
    value = value * 10 + (uint64_t)(*text - '0');
    if (value > UINT32_MAX) return MY_EFORMAT;
  }
  *out = (uint32_t)value;
  return MY_OK;
}

static int parse_ipv6(my_endpoint *out, const char *address)
{
  char bare[INET6_ADDRSTRLEN];
  const char *zone = strchr(address, '%');
  size_t len = zone ? (size_t)(zone - address) : strlen(address);
  if (len >= sizeof bare) return MY_EFORMAT;
  memcpy(bare, address, len);
  bare[len] = 0;
  if (inet_pton(AF_INET6, bare, out->bytes) != 1) return MY_EFORMAT;
  out->family = 6;
  return zone ? parse_scope(&out->scope, zone + 1) : MY_OK;
}

int my_endpoint_parse(my_endpoint *out, const char *address, uint16_t port)
{
  memset(out, 0, sizeof *out);
  int rc = MY_OK;
  if (inet_pton(AF_INET, address, out->bytes) == 1)
    out->family = 4;
  else
    rc = parse_ipv6(out, address);
  if (rc != MY_OK) {
    memset(out, 0, sizeof *out);
    return rc;
  }
  out->port = port;
  return MY_OK;
}

/* Append 'value' in decimal and a NUL; the caller has the room. */
static char *put_decimal(char *end, uint32_t value)
{
  char digits[10];
  int n = 0;
  do {
    digits[n++] = (char)('0' + value % 10);
    value /= 10;
  } while (value);
  while (n)
    *end++ = digits[--n];
  *end = 0;
  return end;
}

/* Write the address at 'text' and return its end. */
static char *put_address(char *text, const my_endpoint *e)
{
  text[0] = 0;
  if (e->family == 4) { /* inet_ntop would print */
    for (size_t i = 0; i < 4; i++) {
      if (i > 0) *text++ = '.';
      text = put_decimal(text, e->bytes[i]);
    }
    return text;
  }
  if (e->family != 6) return text;
  inet_ntop(AF_INET6, e->bytes, text, INET6_ADDRSTRLEN);
  char *end = text + strlen(text);
  if (!e->scope) return end;
  *end++ = '%';
  return put_decimal(end, e->scope);
}

const char *my_endpoint_address(const my_endpoint *e, char text[MY_ENDPOINT_TEXT])
{
  put_address(text, e);
  return text;
}

const char *my_endpoint_format(const my_endpoint *e, char text[MY_ENDPOINT_TEXT])
{
  char *end = text;
  if (e->family == 6) *end++ = '[';
  end = put_address(end, e);
  if (e->family == 6) *end++ = ']';
  *end++ = ':';
  put_decimal(end, e->port);
  return text;
}

bool my_endpoint_same_address(const my_endpoint *a, const my_endpoint *b)
{
  if (a->family != b->family) return false;
  if (a->family == 4) return memcmp(a->bytes, b->bytes, 4) == 0;
  if (a->family != 6) return true;
  /* A zone that only one side names says nothing against the other. */
  return memcmp(a->bytes, b->bytes, 16) == 0 && (a->scope == b->scope || !a->scope || !b->scope);
}

bool my_endpoint_is_link_local(const my_endpoint *e)
{
  return e->family == 6 && e->bytes[0] == 0xfe && (e->bytes[1] & 0xc0) == 0x80;
}

/* IANA's IPv4 special-purpose registry, without those marked globally reachable, and class D and E.
 */
static const struct {
  uint8_t net[4];
  uint8_t bits;
} not_global[] = {
    {{0, 0, 0, 0}, 8},      {{10, 0, 0, 0}, 8},     {{100, 64, 0, 0}, 10}, {{127, 0, 0, 0}, 8},
    {{169, 254, 0, 0}, 16}, {{172, 16, 0, 0}, 12},  {{192, 0, 0, 0}, 24},  {{192, 0, 2, 0}, 24},
    {{192, 88, 99, 2}, 32}, {{192, 168, 0, 0}, 16}, {{198, 18, 0, 0}, 15}, {{198, 51, 100, 0}, 24},
    {{203, 0, 113, 0}, 24}, {{224, 0, 0, 0}, 4},    {{240, 0, 0, 0}, 4},
};

static uint32_t load_be32(const uint8_t *p)
{
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

bool my_ipv4_is_global(const uint8_t address[4])
{
  uint32_t ip = load_be32(address);
  /* 192.0.0.9 and .10 (anycast PCP and TURN) are reachable inside an otherwise reserved /24. */
  if (ip == 0xc0000009 || ip == 0xc000000a) return true;
  for (size_t i = 0; i < sizeof not_global / sizeof not_global[0]; i++) {
    uint32_t mask = UINT32_MAX << (32 - not_global[i].bits);
    if ((ip & mask) == load_be32(not_global[i].net)) return false;
  }
  return true;
}
