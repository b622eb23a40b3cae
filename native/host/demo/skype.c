/* skype.c - a node as Skype's were: UDP datagrams it cannot verify are refused in clear, with the
 * id that was sent and the address they came from; on TCP a web server's 404 to HTTP, noise to all
 * else. */
#include <string.h>

#include "serve.h"

enum { KIND_DATA = 2, KIND_REFUSED = 5, KIND_REFUSED_NEWER = 7, REFUSAL_LEN = 11 };

/* The four bytes that a refusal reports. IPv6 has no room there: its last four bytes stand in. */
static void write_address(uint8_t out[static 4], const my_demo_options *options,
                          const struct sockaddr *from)
{
  if (options->has_public)
    memcpy(out, &options->public_ip, 4);
  else if (from->sa_family == AF_INET)
    memcpy(out, &((const struct sockaddr_in *)from)->sin_addr, 4);
  else
    memcpy(out, (const uint8_t *)&((const struct sockaddr_in6 *)from)->sin6_addr + 12, 4);
}

size_t my_demo_skype_udp(const my_demo_options *options, const struct sockaddr *from,
                         const uint8_t *in, size_t len, uint8_t out[static 11])
{
  if (len < 3) return 0;
  unsigned kind = in[2] & 0x0f;
  /* Two nodes must never refuse each other's refusals for ever. */
  bool refusal = len == REFUSAL_LEN && (kind == KIND_REFUSED || kind == KIND_REFUSED_NEWER);
  if (refusal || (kind != KIND_DATA && !options->refuse_any)) return 0;
  uint8_t dice[1];
  my_demo_random(dice, sizeof dice);
  memcpy(out, in, 2);
  out[2] = (uint8_t)((dice[0] & 0x70) | (dice[0] & 1 ? KIND_REFUSED : KIND_REFUSED_NEWER));
  write_address(out + 3, options, from);
  my_demo_random(out + 7, 4);
  return REFUSAL_LEN;
}

/* 1: an HTTP request, whole; 0: it may become one; -1: it is none. */
static int read_request(const char *bytes, size_t len)
{
  static const char *const methods[] = {"GET ", "HEAD ", "POST "};
  bool method = false, may = false;
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
    size_t n = strlen(methods[i]);
    method |= len >= n && memcmp(bytes, methods[i], n) == 0;
    may |= len < n && memcmp(bytes, methods[i], len) == 0;
  }
  if (!method) return may ? 0 : -1;
  const char *line_end = memchr(bytes, '\n', len);
  if (line_end && !memmem(bytes, (size_t)(line_end - bytes), " HTTP/1.", 8)) return -1;
  if (memmem(bytes, len, "\r\n\r\n", 4) || memmem(bytes, len, "\n\n", 2)) return 1;
  return len < MY_DEMO_INPUT ? 0 : -1;
}

static size_t input(my_demo_conn *c, const char *bytes, size_t len)
{
  static const char not_found[] = "HTTP/1.0 404 Not Found\r\n\r\n";
  int request = read_request(bytes, len);
  if (request == 0) return 0;
  if (!my_demo_first(c)) return len;
  if (request > 0) {
    my_demo_say(c, not_found, sizeof not_found - 1, true);
    return len;
  }
  char noise[14 + 63];
  my_demo_random(noise, sizeof noise);
  my_demo_say(c, noise, 14 + ((unsigned char)noise[0] & 63), false);
  return len;
}

const my_demo_protocol my_demo_skype_tcp = {.input = input};
