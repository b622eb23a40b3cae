/* capture.h - the payloads of a capture file (pcap or pcapng, also packed by gzip), read through
 * libpcap.
 * my_packet_decode is pure and lives in native/core; the file is opened in native/net. */
#ifndef MYNAH_CAPTURE_H
#define MYNAH_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "mynah/signature.h"
#include "mynah/status.h"
#include "mynah/target.h"

/* One transport payload. The span points into the frame. */
typedef struct my_payload {
  uint64_t number;        /* of the packet, from 1, as Wireshark counts */
  int64_t time_ns;        /* since 1970 */
  my_transport transport; /* MY_UDP or MY_TCP */
  my_endpoint from, to;
  uint32_t tcp_seq; /* of the payload's first byte */
  uint32_t tcp_ack;
  uint8_t tcp_flags;
  bool cut; /* the capture holds less than the packet had (snaplen) */
  my_span data;
} my_payload;

/* Read the headers of one frame of link type 'dlt' (DLT_…). MY_OK and *out; MY_NOT_YET for a frame
 * that is whole but carries no UDP or TCP (ARP, an IP fragment: mynah/fragment.h); MY_ESHORT for
 * one cut inside its headers; MY_EFORMAT for a link type not known. number and time_ns are left
 * alone. */
int my_packet_decode(int dlt, my_span frame, size_t wire_len, my_payload *out);

/* An ICMP or ICMPv6 error about a UDP datagram or a TCP segment, of which it quotes the beginning.
 */
typedef struct my_icmp_error {
  my_endpoint from; /* who says so; its port is 0 */
  uint8_t type, code;
  my_transport transport;
  my_endpoint sent_from, sent_to; /* of the datagram */
  uint32_t tcp_seq;               /* the number that the segment bears */
  my_span quoted;                 /* UDP: what is there of its payload; may be empty */
} my_icmp_error;

/* The same for errors: MY_OK and *out, MY_NOT_YET for any other frame, MY_ESHORT, MY_EFORMAT. */
int my_packet_icmp(int dlt, my_span frame, size_t wire_len, my_icmp_error *out);

typedef struct my_capture my_capture;

/* Open 'path' ("-" is standard input); 'filter' is a BPF expression or NULL. On failure *out is
 * NULL and where->text says why (line 0). */
int my_capture_open(my_capture **out, const char *path, const char *filter, my_where *where);
void my_capture_close(my_capture *c); /* NULL is allowed */

/* The next UDP or TCP payload (TCP segments without data are given too; what came in fragments has
 * the number and the time of the one that completed it, and a filter sees each fragment alone).
 * MY_OK; MY_NOT_YET at the end of the file; MY_ESHORT or MY_EFORMAT with where->text where the file
 * is damaged: what came before stands. The span lives until the next call. */
int my_capture_next(my_capture *c, my_payload *out, my_where *where);

/* Packets read so far, and of them those that carried no UDP or TCP or could not be decoded. */
void my_capture_count(const my_capture *c, uint64_t *packets, uint64_t *skipped);

/* Write a capture: raw IP packets, times in ns, with headers made for the payloads. */
typedef struct my_capture_writer my_capture_writer;

/* A file that is there is replaced. On failure *out is NULL and where->text says why. */
int my_capture_create(my_capture_writer **out, const char *path, my_where *where);

/* Add a packet: transport, from and to (of one family), time_ns, data, for TCP tcp_seq and
 * tcp_flags too; long TCP data makes several. MY_OK, or MY_ERANGE where it can be none. */
int my_capture_write(my_capture_writer *w, const my_payload *payload, uint32_t tcp_ack);

/* Flush and close. MY_OK, or MY_ESYS: not all of it could be written. NULL is allowed. */
int my_capture_finish(my_capture_writer *w);

#endif
