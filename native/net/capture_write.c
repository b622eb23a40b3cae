/* capture_write.c - what was sent and heard, as a capture of raw IP packets. */
#include "mynah/capture.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SNAPLEN = 262144, PACKET_MAX = 65535, TCP_BYTES = 16384 /* of one segment */ };

struct my_capture_writer {
  pcap_t *pcap;
  pcap_dumper_t *dumper;
  uint8_t packet[PACKET_MAX];
};

/* ---- headers ---- */

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

/* The Internet checksum (RFC 1071), from a sum that began elsewhere. */
static unsigned checksum(const uint8_t *p, size_t n, uint32_t sum)
{
  for (size_t i = 0; i < n; i++)
    sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

static size_t ip_header(uint8_t *p, const my_payload *m, size_t body)
{
  unsigned protocol = m->transport == MY_UDP ? 17 : 6;
  bool v6 = m->from.family == 6;
  memset(p, 0, 40);
  if (v6) {
    p[0] = 0x60;
    put16(p + 4, (unsigned)body);
    p[6] = (uint8_t)protocol;
    p[7] = 64;
    memcpy(p + 8, m->from.bytes, 16);
    memcpy(p + 24, m->to.bytes, 16);
    return 40;
  }
  p[0] = 0x45;
  put16(p + 2, (unsigned)(20 + body));
  p[8] = 64;
  p[9] = (uint8_t)protocol;
  memcpy(p + 12, m->from.bytes, 4);
  memcpy(p + 16, m->to.bytes, 4);
  put16(p + 10, checksum(p, 20, 0));
  return 20;
}

static size_t transport_header(uint8_t *p, const my_payload *m, uint32_t ack, size_t data)
{
  put16(p, m->from.port);
  put16(p + 2, m->to.port);
  if (m->transport == MY_UDP) {
    put16(p + 4, (unsigned)(8 + data));
    put16(p + 6, 0);
    return 8;
  }
  memset(p + 4, 0, 16);
  put32(p + 4, m->tcp_seq);
  put32(p + 8, ack);
  p[12] = 0x50;
  p[13] = m->tcp_flags;
  put16(p + 14, 65535);
  return 20;
}

/* Over the addresses, the protocol and the length besides (RFC 9293 section 3.1, RFC 8200 8.1). */
static void write_checksum(uint8_t *ip, size_t ip_len, const my_payload *m, size_t body)
{
  size_t address = ip_len == 40 ? 16 : 4, at = m->transport == MY_UDP ? 6 : 16;
  const uint8_t *addresses = ip_len == 40 ? ip + 8 : ip + 12;
  uint32_t sum = (m->transport == MY_UDP ? 17u : 6u) + (uint32_t)body;
  sum += 0xffffu & ~checksum(addresses, 2 * address, 0);
  unsigned c = checksum(ip + ip_len, body, sum);
  put16(ip + ip_len + at, c == 0 && m->transport == MY_UDP ? 0xffff : c);
}

/* ---- the file ---- */

static int fail(my_where *where, const char *path, const char *why)
{
  *where = (my_where){0};
  snprintf(where->text, sizeof where->text, "%.100s: %.90s", path, why);
  return MY_ESYS;
}

int my_capture_create(my_capture_writer **out, const char *path, my_where *where)
{
  *out = NULL;
  my_capture_writer *w = calloc(1, sizeof *w);
  FILE *file = w != NULL ? fopen(path, "wbe") : NULL;
  int rc = w == NULL ? MY_ENOMEM : file == NULL ? fail(where, path, strerror(errno)) : MY_OK;
  if (rc == MY_OK) {
    w->pcap = pcap_open_dead_with_tstamp_precision(DLT_RAW, SNAPLEN, PCAP_TSTAMP_PRECISION_NANO);
    w->dumper = w->pcap != NULL ? pcap_dump_fopen(w->pcap, file) : NULL;
    if (w->dumper == NULL) {
      rc = w->pcap != NULL ? fail(where, path, pcap_geterr(w->pcap)) : MY_ENOMEM;
      fclose(file);
    }
  }
  if (rc == MY_OK)
    *out = w;
  else
    my_capture_finish(w);
  return rc;
}

static void dump(my_capture_writer *w, const my_payload *m, uint32_t ack)
{
  size_t header = m->transport == MY_UDP ? 8 : 20, body = header + m->data.len;
  size_t ip_len = ip_header(w->packet, m, body);
  transport_header(w->packet + ip_len, m, ack, m->data.len);
  if (m->data.len > 0) memcpy(w->packet + ip_len + header, m->data.data, m->data.len);
  write_checksum(w->packet, ip_len, m, body);
  struct pcap_pkthdr h = {.caplen = (bpf_u_int32)(ip_len + body),
                          .len = (bpf_u_int32)(ip_len + body)};
  h.ts.tv_sec = (time_t)(m->time_ns / 1000000000);
  h.ts.tv_usec = (suseconds_t)(m->time_ns % 1000000000); /* nanoseconds, as the file says */
  pcap_dump((u_char *)w->dumper, &h, w->packet);
}

int my_capture_write(my_capture_writer *w, const my_payload *payload, uint32_t tcp_ack)
{
  my_payload part = *payload;
  bool known =
      (part.from.family == 4 || part.from.family == 6) && part.from.family == part.to.family;
  if (!known || part.time_ns < 0 || (part.transport == MY_UDP && part.data.len > 65507 - 20))
    return MY_ERANGE;
  size_t left = part.data.len;
  do {
    part.data.len = part.transport != MY_UDP && left > TCP_BYTES ? TCP_BYTES : left;
    dump(w, &part, tcp_ack);
    left -= part.data.len;
    part.tcp_seq += (uint32_t)part.data.len;
    if (part.data.len > 0) part.data.data += part.data.len;
  } while (left > 0);
  return MY_OK;
}

int my_capture_finish(my_capture_writer *w)
{
  int rc = MY_OK;
  if (w == NULL) return MY_OK;
  if (w->dumper != NULL) {
    if (pcap_dump_flush(w->dumper) != 0) rc = MY_ESYS;
    pcap_dump_close(w->dumper);
  }
  if (w->pcap != NULL) pcap_close(w->pcap);
  free(w);
  return rc;
}
