/* clock.c - the two clocks, and the kernel's random bytes. */
#include "mynah/engine.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
  struct timespec t;
  clock_gettime(id, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t my_clock_ns(void)
{
  return read_clock(CLOCK_MONOTONIC);
}

int64_t my_clock_unix_ns(void)
{
  return read_clock(CLOCK_REALTIME);
}

int my_random(uint8_t *out, size_t len)
{
  while (len) {
    ssize_t n = getrandom(out, len, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return MY_ESYS;
    out += n;
    len -= (size_t)n;
  }
  return MY_OK;
}
