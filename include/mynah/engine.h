/* engine.h - many exchanges at once: UDP probes with retransmission, TCP conversations, as one
 * state machine that a loop drives. Not thread-safe: one thread at a time. Deadlines and pacing are
 * on CLOCK_MONOTONIC in ns; the times of what was sent and received are the kernel's,
 * CLOCK_REALTIME in ns. */
#ifndef MYNAH_ENGINE_H
#define MYNAH_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "mynah/limits.h"
#include "mynah/signature.h"
#include "mynah/status.h"
#include "mynah/target.h"

typedef struct my_engine my_engine;

typedef struct my_engine_config {
  double rate_pps; /* UDP datagrams and TCP connects a second, all exchanges together; 0: 1000 */
  unsigned max_exchanges;   /* open at once; 0: 4096; further ones wait inside the engine */
  unsigned max_connections; /* of these, TCP connections; 0: as many */
  int64_t spin_ns;   /* step may be called so long before an exact start and burns the time that is
                      * left, so that no wake-up makes it late; 0: never; at most 10 ms */
  my_limits *limits; /* shared with others, and outlives the engine; NULL: none. Exact starts wait
                      * for them, too; bytes of a connection go at once, and what follows waits */
  const char *interface; /* exchanges leave by this one; NULL: as routing says; copied */
  my_endpoint source;    /* the address that exchanges of its family leave from, which name none
                          * themselves; family 0: as routing says */
} my_engine_config;

/* Why an exchange ended as it did; my_reason_text names each as nmap does. */
typedef enum my_reason {
  MY_REASON_NONE,
  MY_REASON_UDP_RESPONSE,     /* "udp-response" */
  MY_REASON_SYN_ACK,          /* "syn-ack": connected */
  MY_REASON_NO_RESPONSE,      /* "no-response" */
  MY_REASON_PORT_UNREACH,     /* "port-unreach" (ICMP 3/3, ICMPv6 1/4) */
  MY_REASON_HOST_UNREACH,     /* "host-unreach" */
  MY_REASON_NET_UNREACH,      /* "net-unreach" (also: no route from here) */
  MY_REASON_PROTO_UNREACH,    /* "proto-unreach" */
  MY_REASON_ADMIN_PROHIBITED, /* "admin-prohibited" (3/9, 3/10, 3/13; ICMPv6 1/1) */
  MY_REASON_CONN_REFUSED,     /* "conn-refused": RST to the SYN */
  MY_REASON_RESET,            /* "reset": RST later */
  MY_REASON_SYSTEM            /* "error": event.error holds errno */
} my_reason;
const char *my_reason_text(my_reason reason);
/* Of an ICMP (family 4) or ICMPv6 error about a datagram of ours; NONE where it says nothing about
 * the port. */
my_reason my_reason_of_icmp(uint8_t family, unsigned type, unsigned code);

typedef enum my_event_kind {
  MY_EVENT_SENT,    /* UDP: one attempt left us; time is its kernel time. Only where wanted. */
  MY_EVENT_REPLY,   /* UDP: a datagram came, from whatever address and port; if from the peer's
                     * address, retransmission of this exchange stops. It stays open. */
  MY_EVENT_ICMP,    /* UDP: an ICMP error quoted one of our datagrams; retransmission stops, and
                     * port-unreach with no reply before it ends the exchange at once */
  MY_EVENT_OPEN,    /* TCP: connected */
  MY_EVENT_DATA,    /* TCP: answer to my_engine_receive */
  MY_EVENT_EOF,     /* TCP: answer to receive: the peer closed */
  MY_EVENT_TIMEOUT, /* TCP: answer to receive: nothing came in time; the connection stays open */
  MY_EVENT_END /* the exchange is over and its id void: UDP time is up, or it failed (reason) */
} my_event_kind;

typedef struct my_event {
  uint64_t id;
  my_event_kind kind;
  my_reason reason;
  int error;           /* END: the errno behind the reason, where a system call gave one */
  unsigned attempt;    /* UDP: which payload, from 0, this event belongs to */
  my_span data;        /* valid until the next call to the engine */
  my_endpoint local;   /* our address and port, as far as known: family 0, port 0 */
  my_endpoint from;    /* who sent the reply, or the ICMP error */
  int64_t sent_ns;     /* kernel time of that attempt (or of connect), 0: unknown */
  int64_t received_ns; /* kernel time of the reply (or of the connection's completion) */
} my_event;

typedef struct my_exchange {
  my_transport transport; /* MY_UDP or MY_TCP */
  my_endpoint peer;
  my_endpoint local; /* family 0: as routing says; port 0: any */
  /* UDP: one payload an attempt, copied; attempt i goes out only while all before stayed silent,
   * after the retransmission timeout (RFC 6298 shape, seeded at 1 s, kept per peer address; at
   * least 100 ms). Every attempt leaves from a source port of its own, so that the port says which
   * attempt a reply answers (but where local.port is given: then all share it, and a reply is taken
   * for the last). 1 to 255 payloads of at most 65507 bytes, empty ones too. */
  const my_span *payloads;
  size_t payload_count;
  /* UDP: exchanges of one flow number (not 0) share one source port, like one recorded client; then
   * a reply is reported for the exchange of that flow sent last to where the reply came from, or
   * else sent last. The port is kept while any exchange of the flow is submitted and not over. */
  uint64_t flow;
  int64_t start_ns;   /* CLOCK_MONOTONIC; not sent before; 0: at once. Exact where it is given: it
                       * takes its place in the rate, but does not wait for one. */
  int64_t timeout_ns; /* UDP: how long to listen after the last attempt; TCP: for connect */
  bool report_sent;
} my_exchange;

/* config may be NULL. MY_ERANGE; MY_ESYS and errno, where nothing can leave as it says. */
int my_engine_new(my_engine **out, const my_engine_config *config);
void my_engine_free(my_engine *e); /* closes everything; NULL allowed */

/* Take a copy of *x. MY_OK and *id (never 0, never reused), or MY_ERANGE, MY_ENOMEM. Where the
 * system is out of descriptors or ports the exchange waits for others to end. */
int my_engine_submit(my_engine *e, const my_exchange *x, uint64_t *id);

/* TCP, after MY_EVENT_OPEN: queue bytes to send (at most 1 MiB waiting, else MY_EFULL); ask for the
 * next bytes: one MY_EVENT_DATA with 1 to max_bytes of them, or _EOF, _TIMEOUT, _END. One receive
 * at a time. */
int my_engine_send(my_engine *e, uint64_t id, my_span bytes);
int my_engine_receive(my_engine *e, uint64_t id, size_t max_bytes, int64_t timeout_ns);

/* Give an exchange up: sockets close, no further event of it is reported. MY_ENOENT once its END
 * was fetched. */
int my_engine_cancel(my_engine *e, uint64_t id);

/* Do what is due, without blocking (but for spin_ns). Returns the number of events waiting, or
 * MY_E…. Fetch them all: with 16 MiB of them waiting step reads and sends nothing more. */
int my_engine_step(my_engine *e, int64_t now_ns);

/* The next event: MY_OK, or MY_NOT_YET when there is none. */
int my_engine_next(my_engine *e, my_event *out);

/* Readable when step has work (sockets, and a timer for what is due next): poll it, never read it.
 */
int my_engine_fd(const my_engine *e);

/* When step is next wanted at the latest, CLOCK_MONOTONIC ns; INT64_MAX: only when fd is readable.
 */
int64_t my_engine_deadline(const my_engine *e);

int64_t my_clock_ns(void);      /* CLOCK_MONOTONIC */
int64_t my_clock_unix_ns(void); /* CLOCK_REALTIME */

/* Fill with random bytes of the kernel. */
int my_random(uint8_t *out, size_t len);

/* Resolve a name or numeric address, blocking. Up to cap endpoints with 'port'; family 0 any, 4
 * or 6. Returns the count, or MY_ENOENT with where->text. */
int my_resolve(const char *host, uint16_t port, int family, my_endpoint *out, size_t cap,
               my_where *where);

/* Our own address as routing chooses it towards 'peer' (port 0), for probes that carry it. Sends
 * nothing. MY_OK, or MY_ESYS (no route: errno says so). */
int my_route_local(const my_endpoint *peer, my_endpoint *local);

/* The same, as the exchanges of that engine leave. */
int my_engine_local(const my_engine *e, const my_endpoint *peer, my_endpoint *local);

#endif
