/* loading.c - what tests/bench/loading runs: writes a capture, reads one by flow.
 *
 *   bench_loading write FILE MEGABYTES     UDP of some thousand flows, and TCP in segments
 *   bench_loading read FILE                prints payloads, bytes and the peak of memory in KiB */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "mynah/stream.h"

enum { FRAME_MAX = 1514, HEADERS = 14 + 20, PORTS = 5000 };

static void put16(uint8_t *p, unsigned v)
{
  p[0] = (uint8_t)(v >> 8);
  p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
  put16(p, v >> 16);
  put16(p + 2, v & 0xffff);
}

/* Frame i: three of four are UDP, the rest are segments of TCP, ever further on. */
static size_t frame_of(uint8_t *f, uint32_t i, uint32_t next[static PORTS])
{
  bool tcp = i % 4 == 3;
  size_t header = tcp ? 20 : 8, len = 20 + (size_t)(i * 37 % 1200);
  memset(f, 0, HEADERS + header);
  put16(f + 12, 0x0800);
  f[14] = 0x45;
  put16(f + 16, (unsigned)(20 + header + len));
  f[23] = tcp ? 6 : 17;
  put32(f + 26, 0x0a000000 + i % 1000);
  put32(f + 30, 0x0a010001);
  put16(f + 34, 1024 + i % PORTS);
  put16(f + 36, tcp ? 80 : 53);
  if (tcp) {
    put32(f + 38, next[i % PORTS]);
    next[i % PORTS] += (uint32_t)len;
    f[46] = 0x50;
    f[47] = 0x10;
  } else {
    put16(f + 38, (unsigned)(8 + len));
  }
  memset(f + HEADERS + header, (int)(i & 0xff), len);
  return HEADERS + header + len;
}

static int write_capture(const char *path, uint64_t bytes)
{
  static const uint32_t head[] = {0xa1b2c3d4, 4u << 16 | 2, 0, 0, 65535, 1};
  static uint32_t next[PORTS];
  uint8_t frame[FRAME_MAX];
  FILE *out = fopen(path, "wb");
  if (out == NULL || fwrite(head, sizeof head, 1, out) != 1) return 3;
  for (uint32_t i = 0; bytes > 0; i++) {
    uint32_t len = (uint32_t)frame_of(frame, i, next);
    uint32_t record[] = {i / 1000000, i % 1000000, len, len};
    if (fwrite(record, sizeof record, 1, out) != 1 || fwrite(frame, len, 1, out) != 1) return 3;
    bytes = bytes > len + sizeof record ? bytes - len - sizeof record : 0;
  }
  return fclose(out) == 0 ? 0 : 3;
}

static void count(my_streams *s, uint64_t *payloads, uint64_t *bytes)
{
  my_heard h;
  while (my_streams_next(s, &h) == MY_OK) {
    (*payloads)++;
    *bytes += h.payload.data.len;
  }
}

static int read_capture(const char *path)
{
  my_capture *c;
  my_streams *s;
  my_where where;
  my_payload p;
  struct rusage usage;
  uint64_t payloads = 0, bytes = 0;
  if (my_capture_open(&c, path, NULL, &where) != MY_OK || my_streams_new(&s) != MY_OK) {
    fprintf(stderr, "%s\n", where.text);
    return 3;
  }
  while (my_capture_next(c, &p, &where) == MY_OK) {
    if (my_streams_add(s, &p) != MY_OK) return 3;
    count(s, &payloads, &bytes);
  }
  my_streams_finish(s);
  count(s, &payloads, &bytes);
  my_streams_free(s);
  my_capture_close(c);
  getrusage(RUSAGE_SELF, &usage);
  printf("%" PRIu64 " %" PRIu64 " %ld\n", payloads, bytes, usage.ru_maxrss);
  return 0;
}

int main(int argc, char **argv)
{
  if (argc == 4 && strcmp(argv[1], "write") == 0)
    return write_capture(argv[2], strtoull(argv[3], NULL, 10) << 20);
  if (argc == 3 && strcmp(argv[1], "read") == 0) return read_capture(argv[2]);
  fprintf(stderr, "usage: bench_loading write FILE MEGABYTES | read FILE\n");
  return 2;
}
