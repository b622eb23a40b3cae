/* guard.h - test inputs that end where memory ends: one byte too far faults. */
#ifndef MYNAH_TEST_GUARD_H
#define MYNAH_TEST_GUARD_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mynah/status.h"

typedef struct guarded {
  my_span span;
  void *map;
  size_t map_len;
} guarded;

/* A copy of the bytes whose last one is followed by a page without access. */
static inline guarded guard(const void *bytes, size_t len)
{
  size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (len / page + 1) * page;
  guarded g = {.map_len = room + page};
  g.map = mmap(NULL, g.map_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (g.map == MAP_FAILED || mprotect((char *)g.map + room, page, PROT_NONE) != 0) abort();
  uint8_t *start = (uint8_t *)g.map + room - len;
  if (len > 0) memcpy(start, bytes, len);
  g.span = (my_span){start, len};
  return g;
}

static inline void unguard(guarded g)
{
  munmap(g.map, g.map_len);
}

#endif
