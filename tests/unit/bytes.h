/* bytes.h - replies written as hex, and pairs of them, for the tests of signatures. */
#ifndef MYNAH_TEST_BYTES_H
#define MYNAH_TEST_BYTES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mynah/match.h"

enum { BYTES_MAX = 70000 };

/* Hex, spaces allowed; 00*300 is a byte so many times. */
static inline size_t unhex(const char *hex, uint8_t *out)
{
  size_t n = 0;
  for (; *hex != 0; hex++) {
    unsigned value, times = 1;
    int used = 0;
    if (*hex == ' ') continue;
    if (sscanf(hex, "%2x%n", &value, &used) != 1) abort();
    hex += used - 1;
    if (hex[1] == '*' && sscanf(hex + 1, "*%u%n", &times, &used) == 1) hex += used;
    if (n + times > BYTES_MAX) abort();
    memset(out + n, (int)value, times);
    n += times;
  }
  return n;
}

/* Between documentation addresses, at a known time. */
static inline my_pair make_pair(my_span request, my_span reply)
{
  my_pair p = {.request = request, .reply = reply, .now_unix_ns = 1700000005000000000};
  my_endpoint_parse(&p.my, "192.0.2.7", 40000);
  my_endpoint_parse(&p.peer, "192.0.2.1", 5000);
  return p;
}

#endif
