/* fragment.h - datagrams that came in fragments of IP, put together again. Pure. Bounded: at most
 * MY_FRAGMENT_DATAGRAMS wait at a time, the oldest gives way; what is not whole within 30 s of the
 * capture's time is forgotten (RFC 791 section 3.2, RFC 8200 section 4.5). A datagram whose
 * fragments overlap is dropped whole (RFC 5722), for nobody knows which bytes its receiver saw. */
#ifndef MYNAH_FRAGMENT_H
#define MYNAH_FRAGMENT_H

#include "mynah/capture.h"

enum { MY_FRAGMENT_DATAGRAMS = 256 };

/* One fragment, as a frame carries it. The span points into the frame. */
typedef struct my_fragment {
  my_endpoint from, to; /* port 0 */
  uint32_t id;
  uint8_t protocol; /* of what follows the IP header, or the fragment header of IPv6 */
  bool more;        /* further ones follow this */
  uint16_t offset;  /* bytes */
  my_span data;
} my_fragment;

/* Is this frame, of which my_packet_decode said MY_NOT_YET, a fragment that the capture kept whole?
 * MY_OK and *out, else MY_NOT_YET, MY_ESHORT or MY_EFORMAT. */
int my_packet_fragment(int dlt, my_span frame, size_t wire_len, my_fragment *out);

typedef struct my_fragments my_fragments;

int my_fragments_new(my_fragments **out);
void my_fragments_free(my_fragments *f); /* NULL is allowed */

/* Take a fragment that was captured at out->time_ns. MY_OK: a UDP or TCP payload is whole and
 * stands in *out (but for number and time_ns, which are left alone) until the next call;
 * MY_NOT_YET: not yet, or it is something else; MY_ENOMEM. */
int my_fragments_add(my_fragments *f, const my_fragment *fragment, my_payload *out);

/* The payload of a frame, or of the datagram whose last missing fragment it is: as
 * my_packet_decode, of a frame that was captured at out->time_ns. */
int my_fragments_decode(my_fragments *f, int dlt, my_span frame, size_t wire_len, my_payload *out);

#endif
