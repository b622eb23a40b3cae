/* capture_test.c - capture files: pcap and pcapng, whole, filtered, cut anywhere, damaged anywhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "hex.h"
#include "mynah/capture.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* Three packets: UDP "abc" to port 53, ARP, TCP "abc" to port 80; times 1, 2 and 3 s with 5 ns or
 * µs. */
#define ETH       "020000000002 020000000001 "
#define UDP_FRAME ETH "0800 4500001f0000000040110000c0a80001c0a80013 04d20035000b0000 616263 "
#define ARP_FRAME ETH "0806 0001080006040001020000000001c0a80001000000000000c0a80013 "
#define TCP_FRAME                                                                                  \
  ETH "0800 4500002b0000000040060000c0a80001c0a80013 04d20050000000090000000050 18ffff00000000 "   \
      "616263 "
#define NANO  "4d3cb2a1 0200 0400 00000000 00000000 ffff0000 01000000 "
#define MICRO "d4c3b2a1 0200 0400 00000000 00000000 ffff0000 01000000 "
#define PACKETS                                                                                    \
  "01000000 05000000 2d000000 2d000000 " UDP_FRAME                                                 \
  "02000000 05000000 2a000000 2a000000 " ARP_FRAME                                                 \
  "03000000 05000000 39000000 39000000 " TCP_FRAME
/* pcapng: section, interface (Ethernet, times in ns), one packet of 45 bytes padded to 48. */
#define PCAPNG                                                                                     \
  "0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000 "                                \
  "01000000 20000000 0100 0000 ffff0000 0900 0100 09000000 0000 0000 20000000 "                    \
  "06000000 50000000 00000000 00000000 05ca9a3b 2d000000 2d000000 " UDP_FRAME "000000 50000000 "

static size_t write_hex(const char *path, const char *hex)
{
  uint8_t bytes[1024];
  size_t len = unhex(hex, bytes, sizeof bytes);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, len, f), len);
  assert_int_equal(fclose(f), 0);
  return len;
}

/* Each test works in a folder of its own; 'path' is a file name in it. */
static int enter_folder(void **state)
{
  char *folder = strdup("/tmp/mynah-capture-XXXXXX");
  if (!folder || !mkdtemp(folder) || chdir(folder) != 0) return -1;
  *state = folder;
  return 0;
}

static int leave_folder(void **state)
{
  char *folder = *state;
  unlink("x.pcap");
  if (chdir("/") != 0 || rmdir(folder) != 0) return -1;
  free(folder);
  return 0;
}

static void test_read(void **state)
{
  static const struct {
    const char *why, *hex;
    int64_t fraction_ns;
  } files[] = {
      {"nanoseconds stay", NANO PACKETS, 5},
      {"microseconds become nanoseconds", MICRO PACKETS, 5000},
  };
  (void)state;
  for (size_t i = 0; i < COUNT(files); i++) {
    my_capture *c;
    my_payload p;
    my_where where;
    uint64_t packets, skipped;
    print_message("  %s\n", files[i].why);
    write_hex("x.pcap", files[i].hex);
    assert_int_equal(my_capture_open(&c, "x.pcap", NULL, &where), MY_OK);
    assert_int_equal(my_capture_next(c, &p, &where), MY_OK);
    assert_int_equal(p.number, 1);
    assert_int_equal(p.transport, MY_UDP);
    assert_int_equal(p.time_ns, 1000000000 + files[i].fraction_ns);
    assert_int_equal(p.data.len, 3);
    assert_memory_equal(p.data.data, "abc", 3);
    assert_int_equal(my_capture_next(c, &p, &where), MY_OK);
    assert_int_equal(p.number, 3); /* ARP was passed over, but counted */
    assert_int_equal(p.transport, MY_TCP);
    assert_int_equal(p.to.port, 80);
    for (int again = 0; again < 2; again++)
      assert_int_equal(my_capture_next(c, &p, &where), MY_NOT_YET);
    my_capture_count(c, &packets, &skipped);
    assert_int_equal(packets, 3);
    assert_int_equal(skipped, 1);
    my_capture_close(c);
  }
  my_capture_close(NULL);
}

static void test_pcapng(void **state)
{
  my_capture *c;
  my_payload p;
  my_where where;
  (void)state;
  write_hex("x.pcap", PCAPNG);
  assert_int_equal(my_capture_open(&c, "x.pcap", NULL, &where), MY_OK);
  assert_int_equal(my_capture_next(c, &p, &where), MY_OK);
  assert_int_equal(p.time_ns, 1000000005);
  assert_memory_equal(p.data.data, "abc", 3);
  assert_int_equal(my_capture_next(c, &p, &where), MY_NOT_YET);
  my_capture_close(c);
}

/* A filter drops packets, but their numbers stay those that Wireshark shows. */
static void test_filter(void **state)
{
  my_capture *c;
  my_payload p;
  my_where where;
  (void)state;
  write_hex("x.pcap", NANO PACKETS);
  assert_int_equal(my_capture_open(&c, "x.pcap", "tcp port 80", &where), MY_OK);
  assert_int_equal(my_capture_next(c, &p, &where), MY_OK);
  assert_int_equal(p.number, 3);
  assert_int_equal(my_capture_next(c, &p, &where), MY_NOT_YET);
  my_capture_close(c);
  assert_int_equal(my_capture_open(&c, "x.pcap", "no such filter", &where), MY_ESYNTAX);
  assert_null(c);
  assert_non_null(strstr(where.text, "filter \"no such filter\""));
}

static void test_standard_input(void **state)
{
  my_capture *c;
  my_payload p;
  my_where where;
  (void)state;
  write_hex("x.pcap", NANO PACKETS);
  assert_non_null(freopen("x.pcap", "rb", stdin));
  assert_int_equal(my_capture_open(&c, "-", NULL, &where), MY_OK);
  assert_int_equal(my_capture_next(c, &p, &where), MY_OK);
  my_capture_close(c);
  write_hex("x.pcap", "00010203");
  assert_non_null(freopen("x.pcap", "rb", stdin));
  assert_int_equal(my_capture_open(&c, "-", NULL, &where), MY_EFORMAT);
  assert_string_equal(where.text, "standard input: not a capture: unknown file format");
}

static void test_no_capture(void **state)
{
  static const struct {
    const char *why, *hex;
    int rc;
    const char *text;
  } files[] = {
      {"some other file", "23212f62696e2f7368", MY_EFORMAT,
       "x.pcap: not a capture: unknown file format"},
      {"an empty file", "", MY_EFORMAT, "x.pcap: not a capture: the file is empty"},
      {"a header cut short", "4d3cb2a1 0200", MY_EFORMAT,
       "x.pcap: not a capture: cut short inside its header"},
      {"a link type nobody here reads", "4d3cb2a1 0200 0400 00000000 00000000 ffff0000 77000000",
       MY_EFORMAT, "x.pcap: cannot read link type 119 (PRISM_HEADER)"},
  };
  my_capture *c;
  my_where where;
  (void)state;
  for (size_t i = 0; i < COUNT(files); i++) {
    print_message("  %s\n", files[i].why);
    write_hex("x.pcap", files[i].hex);
    c = (my_capture *)&where;
    assert_int_equal(my_capture_open(&c, "x.pcap", NULL, &where), files[i].rc);
    assert_null(c);
    assert_memory_equal(where.text, files[i].text, strlen(files[i].text));
  }
  assert_int_equal(my_capture_open(&c, "none.pcap", NULL, &where), MY_ESYS);
  assert_string_equal(where.text, "none.pcap: No such file or directory");
  assert_int_equal(my_capture_open(&c, ".", NULL, &where), MY_ESYS);
  assert_string_equal(where.text, ".: Is a directory");
}

/* Read all of x.pcap. Returns how it ended, and the payloads before. */
static int read_all(size_t *payloads, my_where *where)
{
  my_capture *c;
  my_payload p;
  unsigned sum = 0;
  *payloads = 0;
  int rc = my_capture_open(&c, "x.pcap", NULL, where);
  if (rc != MY_OK) return rc;
  while ((rc = my_capture_next(c, &p, where)) == MY_OK) {
    for (size_t i = 0; i < p.data.len; i++)
      sum += p.data.data[i]; /* asan looks */
    ++*payloads;
  }
  assert_true(sum < UINT32_MAX);
  my_where again;
  assert_int_equal(my_capture_next(c, &p, &again), rc); /* and it stays ended so */
  assert_string_equal(again.text, where->text);
  my_capture_close(c);
  return rc;
}

static void test_cut_message(void **state)
{
  size_t payloads;
  my_where where;
  (void)state;
  size_t len = write_hex("x.pcap", NANO PACKETS);
  assert_int_equal(truncate("x.pcap", (off_t)len - 14), 0);
  assert_int_equal(read_all(&payloads, &where), MY_ESHORT);
  assert_int_equal(payloads, 1); /* what came before stands */
  assert_string_equal(where.text, "x.pcap: packet 3: cut short: 43 bytes of 57 are there");
  len = write_hex("x.pcap", PCAPNG);
  assert_int_equal(truncate("x.pcap", (off_t)len - 60), 0);
  assert_int_equal(read_all(&payloads, &where), MY_ESHORT);
  assert_memory_equal(where.text, "x.pcap: packet 1: cut short: ", 29);
}

static const char *const samples[] = {NANO PACKETS, PCAPNG};

static void test_every_length(void **state)
{
  (void)state;
  for (size_t i = 0; i < COUNT(samples); i++) {
    size_t len = write_hex("x.pcap", samples[i]), payloads, whole = 0;
    for (size_t n = 0; n <= len; n++) {
      my_where where;
      write_hex("x.pcap", samples[i]);
      assert_int_equal(truncate("x.pcap", (off_t)n), 0);
      int rc = read_all(&payloads, &where);
      if (rc == MY_NOT_YET)
        whole++; /* cut exactly between packets: nobody can know */
      else
        assert_true(rc < 0 && where.text[0] && strlen(where.text) < sizeof where.text - 1);
    }
    /* pcap: after the header and each packet; pcapng: after each block but the first, which
     * must be followed by an interface. */
    assert_in_range(whole, 2, 4);
  }
}

static void test_every_byte_flipped(void **state)
{
  static const uint8_t flips[] = {0x01, 0x80, 0xff};
  (void)state;
  for (size_t i = 0; i < COUNT(samples); i++) {
    uint8_t bytes[1024];
    size_t len = unhex(samples[i], bytes, sizeof bytes), payloads;
    for (size_t at = 0; at < len * COUNT(flips); at++) {
      my_where where;
      bytes[at / COUNT(flips)] ^= flips[at % COUNT(flips)];
      FILE *f = fopen("x.pcap", "wb");
      assert_non_null(f);
      assert_int_equal(fwrite(bytes, 1, len, f), len);
      fclose(f);
      int rc = read_all(&payloads, &where);
      assert_true(rc == MY_NOT_YET || (rc < 0 && where.text[0]));
      bytes[at / COUNT(flips)] ^= flips[at % COUNT(flips)];
    }
  }
}

/* ---- packed by gzip ---- */

/* The sample as gzip packs it, in as many members as it has halves. */
static size_t pack(const char *hex, unsigned members, uint8_t *out, size_t size)
{
  uint8_t bytes[1024];
  size_t len = unhex(hex, bytes, sizeof bytes), used = 0;
  for (unsigned m = 0; m < members; m++) {
    size_t from = len * m / members, to = len * (m + 1) / members;
    z_stream z = {.next_in = bytes + from,
                  .avail_in = (uInt)(to - from),
                  .next_out = out + used,
                  .avail_out = (uInt)(size - used)};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    used += z.total_out;
    deflateEnd(&z);
  }
  return used;
}

static int read_bytes(const uint8_t *bytes, size_t len, size_t *payloads, my_where *where)
{
  FILE *f = fopen("x.pcap", "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, len, f), len);
  fclose(f);
  return read_all(payloads, where);
}

static void test_gzip(void **state)
{
  (void)state;
  for (size_t i = 0; i < COUNT(samples); i++)
    for (unsigned members = 1; members <= 2; members++) {
      uint8_t packed[2048];
      size_t len = pack(samples[i], members, packed, sizeof packed), payloads, all;
      my_where where;
      write_hex("x.pcap", samples[i]);
      assert_int_equal(read_all(&all, &where), MY_NOT_YET);
      assert_int_equal(read_bytes(packed, len, &payloads, &where), MY_NOT_YET);
      assert_int_equal(payloads, all);
    }
}

/* Cut anywhere, each byte turned: a message, or what was there; never more, never a crash. */
static void test_gzip_damaged(void **state)
{
  uint8_t packed[2048];
  size_t len = pack(samples[0], 1, packed, sizeof packed), payloads;
  my_where where;
  (void)state;
  for (size_t n = 0; n < len; n++) {
    int rc = read_bytes(packed, n, &payloads, &where);
    assert_true(rc < 0 && where.text[0]);
    assert_true(payloads <= 2);
  }
  for (size_t at = 0; at < len; at++) {
    packed[at] ^= 0x10;
    int rc = read_bytes(packed, len, &payloads, &where);
    assert_true(rc == MY_NOT_YET || (rc < 0 && where.text[0]));
    packed[at] ^= 0x10;
  }
  read_bytes(packed, len - 4, &payloads, &where);
  assert_non_null(strstr(where.text, "the compressed file is damaged, or breaks off"));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_read),         cmocka_unit_test(test_pcapng),
      cmocka_unit_test(test_filter),       cmocka_unit_test(test_standard_input),
      cmocka_unit_test(test_no_capture),   cmocka_unit_test(test_cut_message),
      cmocka_unit_test(test_every_length), cmocka_unit_test(test_every_byte_flipped),
      cmocka_unit_test(test_gzip),         cmocka_unit_test(test_gzip_damaged),
  };
  return cmocka_run_group_tests_name("capture", tests, enter_folder, leave_folder);
}
