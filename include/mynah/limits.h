/* limits.h - what may be sent at the most, all told: to each host, and over the link. Scans and
 * engines that share one keep it together; any thread may call these functions at any time. Times
 * are CLOCK_MONOTONIC in ns.
 * Nothing is kept of a host but when it may be asked next, and when that is planned, in a table
 * whose size never changes: hosts that meet in a place of it share the rate of one, so that it is
 * never exceeded. */
#ifndef MYNAH_LIMITS_H
#define MYNAH_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "mynah/target.h"

typedef struct my_limits my_limits;

typedef struct my_limits_config {
  double per_host; /* datagrams, SYNs and connections a second to one address; 0: no limit */
  double bits;     /* a second, of IP packets, sent; 0: no limit */
} my_limits_config;

/* MY_OK, MY_ENOMEM; MY_ERANGE: below 0, not a number, or above 1e12. */
int my_limits_new(my_limits **out, const my_limits_config *config);
void my_limits_free(my_limits *l); /* NULL is allowed */

/* Take the next turn at a host (its port does not matter): when it is, 'now' at the earliest.
 * Where there is no such limit, or l is NULL, that is now. */
int64_t my_limits_host(my_limits *l, const my_endpoint *peer, int64_t now_ns);

/* When a turn at a host may come, in the order of the calls, but none is taken: who has very much
 * to send comes again at that time, and does not stand before all others until then. */
int64_t my_limits_plan(my_limits *l, const my_endpoint *peer, int64_t now_ns);

/* Take the link for so many bytes: when they may leave. It is lent out in the order of the calls;
 * up to 10 ms that nobody used are made up for. */
int64_t my_limits_link(my_limits *l, size_t bytes, int64_t now_ns);

/* How many bytes may be sent in one go, that they leave evenly; SIZE_MAX where nothing limits. */
size_t my_limits_burst(const my_limits *l);

typedef enum my_packet {
  MY_PACKET_DATAGRAM,
  MY_PACKET_SYN,        /* one frame of ours */
  MY_PACKET_CONNECTION, /* the system's SYN, ACK and FIN */
  MY_PACKET_STREAM      /* bytes of a connection */
} my_packet;

/* How many bytes the link carries for 'len' bytes of payload, IP headers among them. */
size_t my_packet_bytes(my_packet kind, uint8_t family, size_t len);

#endif
