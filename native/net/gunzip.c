/* gunzip.c - gzip (RFC 1952) by zlib, behind a FILE of libc, so that libpcap need not know. */
#include "gunzip.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { CHUNK = 1 << 16, GZIP_BITS = 16 + MAX_WBITS };

typedef struct unpacker {
  FILE *raw;
  bool compressed, member_over; /* another member may follow */
  z_stream z;
  uint8_t in[CHUNK];
} unpacker;

static bool refill(unpacker *u)
{
  u->z.next_in = u->in;
  u->z.avail_in = (uInt)fread(u->in, 1, sizeof u->in, u->raw);
  return u->z.avail_in > 0;
}

static ssize_t read_plain(unpacker *u, char *out, size_t size)
{
  if (u->z.avail_in == 0 && !refill(u)) return ferror(u->raw) ? -1 : 0;
  size_t n = size < u->z.avail_in ? size : u->z.avail_in;
  memcpy(out, u->z.next_in, n);
  u->z.next_in += n;
  u->z.avail_in -= (uInt)n;
  return (ssize_t)n;
}

static ssize_t damaged(void)
{
  errno = EBADMSG;
  return -1;
}

static ssize_t read_packed(unpacker *u, char *out, size_t size)
{
  u->z.next_out = (Bytef *)out;
  u->z.avail_out = size < CHUNK ? (uInt)size : CHUNK;
  uInt room = u->z.avail_out;
  while (u->z.avail_out == room) {
    if (u->z.avail_in == 0 && !refill(u)) return u->member_over ? 0 : damaged();
    if (u->member_over && inflateReset(&u->z) != Z_OK) return damaged();
    int rc = inflate(&u->z, Z_NO_FLUSH);
    u->member_over = rc == Z_STREAM_END;
    if (rc != Z_OK && rc != Z_STREAM_END) return damaged();
  }
  return room - u->z.avail_out;
}

static ssize_t read_cookie(void *cookie, char *out, size_t size)
{
  unpacker *u = cookie;
  if (size == 0) return 0;
  return u->compressed ? read_packed(u, out, size) : read_plain(u, out, size);
}

static int close_cookie(void *cookie)
{
  unpacker *u = cookie;
  if (u->compressed) inflateEnd(&u->z);
  if (u->raw != stdin) fclose(u->raw);
  free(u);
  return 0;
}

FILE *gunzip_file(FILE *raw, bool *compressed)
{
  static const cookie_io_functions_t functions = {.read = read_cookie, .close = close_cookie};
  unpacker *u = calloc(1, sizeof *u);
  if (u == NULL) return NULL;
  u->raw = raw;
  refill(u);
  u->compressed = u->z.avail_in >= 2 && u->in[0] == 0x1f && u->in[1] == 0x8b;
  *compressed = u->compressed;
  FILE *file = NULL;
  if (!u->compressed || inflateInit2(&u->z, GZIP_BITS) == Z_OK) {
    file = fopencookie(u, "rb", functions);
    if (file == NULL && u->compressed) inflateEnd(&u->z);
  }
  if (file == NULL) free(u);
  return file;
}
