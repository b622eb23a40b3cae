/* stream.h - who said what to whom: the payloads of a capture put together by flow, TCP in the
 * order in which it was sent, each byte once. Pure. Bounded: at most MY_STREAM_FLOWS flows (the one
 * silent longest is forgotten), MY_STREAM_WAITING segments of a direction wait for one that is
 * missing. */
#ifndef MYNAH_STREAM_H
#define MYNAH_STREAM_H

#include "mynah/capture.h"

enum { MY_STREAM_FLOWS = 65536, MY_STREAM_WAITING = 64, MY_STREAM_BYTES = 16 << 20 };

typedef enum my_stream_end { MY_STREAM_GOES_ON, MY_STREAM_FIN, MY_STREAM_RST } my_stream_end;

typedef struct my_heard {
  my_payload payload; /* its data may be a part of the packet's, or empty: see opens, ends */
  uint32_t flow; /* from 1, in the order of their first packets; a port used again is a new one */
  bool from_client;   /* who sent SYN is the client, else who was heard first */
  bool opens;         /* TCP: the client's SYN */
  bool lost;          /* TCP: bytes before these are missing in the capture */
  my_stream_end ends; /* TCP: this side said that it ends, or reset the connection */
} my_heard;

typedef struct my_streams my_streams;

int my_streams_new(my_streams **out);
void my_streams_free(my_streams *s); /* NULL is allowed */

/* Take the next payload, in the order of the capture, then fetch what it makes whole until there is
 * no more. MY_OK or MY_ENOMEM. */
int my_streams_add(my_streams *s, const my_payload *payload);

/* At the end of the capture: what still waits can be fetched, as `lost`. */
void my_streams_finish(my_streams *s);

/* MY_OK, or MY_NOT_YET: nothing more. The data lives until the next call. */
int my_streams_next(my_streams *s, my_heard *out);

#endif
