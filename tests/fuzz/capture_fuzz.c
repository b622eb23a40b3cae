/* capture_fuzz.c - whatever a capture file holds: no crash, every span inside its frame, every
 * failure with a message. The first byte chooses: a file for libpcap, or one frame of some link
 * type. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mynah/fragment.h"
#include "mynah/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned checksum; /* so that reading the payloads is not optimised away */

static void touch(my_span s)
{
  for (size_t i = 0; i < s.len; i++)
    checksum += s.data[i];
}

static void hear(my_streams *s, const my_payload *p)
{
  my_heard h;
  if (my_streams_add(s, p) != MY_OK) abort();
  while (my_streams_next(s, &h) == MY_OK)
    touch(h.payload.data);
}

static void read_file(const uint8_t *data, size_t size)
{
  my_capture *c;
  my_streams *s;
  my_payload p;
  my_where where;
  char path[64];
  int fd = memfd_create("capture", MFD_CLOEXEC), rc;
  if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  rc = my_capture_open(&c, path, NULL, &where);
  if (rc != MY_OK && !where.text[0]) abort();
  if (my_streams_new(&s) != MY_OK) abort();
  while (rc == MY_OK && (rc = my_capture_next(c, &p, &where)) == MY_OK)
    hear(s, &p);
  my_streams_free(s);
  if (c && rc < 0 && !where.text[0]) abort();
  my_capture_close(c);
  close(fd);
}

static void read_frame(unsigned choice, const uint8_t *data, size_t size)
{
  static const int links[] = {0, 1, 9, 12, 14, 50, 51, 105, 108, 113, 127, 228, 229, 276};
  my_payload p = {0};
  my_fragment fragment;
  my_icmp_error error;
  size_t wire_len = size + (choice & 1 ? 40 : 0);
  if (my_packet_decode(links[choice % (sizeof links / sizeof links[0])], (my_span){data, size},
                       wire_len, &p) == MY_OK)
    touch(p.data);
  if (my_packet_fragment(links[choice % (sizeof links / sizeof links[0])], (my_span){data, size},
                         wire_len, &fragment) == MY_OK)
    touch(fragment.data);
  if (my_packet_icmp(links[choice % (sizeof links / sizeof links[0])], (my_span){data, size},
                     wire_len, &error) == MY_OK)
    touch(error.quoted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size == 0) return 0;
  if (data[0] & 0x80)
    read_frame(data[0] & 0x7f, data + 1, size - 1);
  else
    read_file(data + 1, size - 1);
  return 0;
}
