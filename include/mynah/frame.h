/* frame.h - UDP datagrams and TCP SYNs as whole frames, composed in place: what is the same for all
 * of a scan is laid once, addresses, ports and sums are put in for each. Pure. */
#ifndef MYNAH_FRAME_H
#define MYNAH_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mynah/target.h"

enum { MY_FRAME_HEAD_MAX = 14 + 40 + 24 }; /* Ethernet, IPv6, TCP with one option */

/* How a frame begins on the link. Tags of a VLAN are laid by its interface. */
typedef struct my_link {
  bool ethernet;              /* else the frame begins with the IP header */
  uint8_t ours[6], theirs[6]; /* hardware addresses; of the next hop: theirs */
} my_link;

typedef struct my_frame_head {
  uint8_t bytes[MY_FRAME_HEAD_MAX];
  size_t len;     /* of everything in front of the payload */
  size_t ip_at;   /* where the IP header begins */
  uint8_t family; /* 4 or 6 */
  bool tcp;
  uint32_t ip_sum; /* of the fixed words of the IPv4 header */
  uint32_t sum;    /* of the fixed words that the sum of UDP or TCP covers */
} my_frame_head;

/* Lay the head of datagrams, or of SYNs, from 'source' (its port is not used) with that hop limit.
 */
void my_frame_head_init(my_frame_head *h, const my_link *link, const my_endpoint *source,
                        uint8_t hops, bool tcp);

/* Make a frame of the payload of 'len' bytes that stands at frame + h->len already: everything in
 * front of it is written. Returns the frame's length. 'peer' is of the head's family. */
size_t my_frame_udp(const my_frame_head *h, uint8_t *frame, const my_endpoint *peer,
                    uint16_t source_port, size_t len);

/* The SYN with the number 'seq', from a head of SYNs. Returns the frame's length. */
size_t my_frame_syn(const my_frame_head *h, uint8_t *frame, const my_endpoint *peer,
                    uint16_t source_port, uint32_t seq);

#endif
