/* state.h - what the engine's files share. An exchange lives in one table by id, in at most one
 * list of those that want to send, and at most once in the heap of what is due. Its END event is
 * part of it, so that an ending can always be told. */
#ifndef MYNAH_STATE_H
#define MYNAH_STATE_H

#include "mynah/engine.h"

#include <stddef.h>
#include <sys/epoll.h>

#define MS     INT64_C(1000000)
#define SECOND INT64_C(1000000000)
#define NEVER  INT64_MAX

enum {
  EPOLL_BATCH = 256,
  EPOLL_ROUNDS = 64,   /* batches a step reads at most */
  READS_A_SOCKET = 16, /* datagrams a socket may give in one batch: nobody starves the others */
  EVENT_BYTES_MAX = 16 << 20, /* waiting events; then reading stops until they are fetched */
  PAYLOADS_MAX = 255,
  UDP_PAYLOAD_MAX = 65507,
  SEND_WAITING_MAX = 1 << 20, /* TCP */
  DATAGRAM_MAX = 65536,
  RTT_SLOTS = 4096,
  FLOW_BUCKETS = 256,
  PORTS = 65536
};

typedef struct exchange exchange;
typedef struct flow flow;

typedef enum socket_kind { SOCKET_ATTEMPT, SOCKET_FLOW, SOCKET_TCP } socket_kind;

typedef struct net_socket {
  int fd; /* -1: closed */
  socket_kind kind;
  unsigned attempt; /* SOCKET_ATTEMPT: which */
  uint16_t port;    /* bound to, UDP */
  uint8_t family;
  bool counted;      /* in own_ports */
  uint32_t next_tx;  /* the number under which the kernel times the next datagram */
  uint32_t interest; /* what epoll was asked for */
  exchange *owner;   /* SOCKET_ATTEMPT, SOCKET_TCP */
  flow *flow;        /* SOCKET_FLOW */
} net_socket;

typedef struct attempt {
  net_socket socket; /* unused in a flow */
  int64_t sent_ns;   /* CLOCK_REALTIME, 0: not sent */
  int64_t asked_ns;  /* the same clock just before sendmsg; no kernel time can be earlier */
  uint32_t tx_number;
  bool kernel_time;
  bool answered; /* its RTT was taken */
  bool reported; /* MY_EVENT_SENT was queued */
} attempt;

/* One source port for many exchanges: those of one flow number, or of one given local port. */
struct flow {
  flow *next;
  uint64_t number;
  my_endpoint local; /* as asked for */
  net_socket socket;
  size_t users;                     /* exchanges, from submit to their end */
  exchange *first_sent, *last_sent; /* open ones, in the order of their last sending */
};

typedef struct event_node {
  struct event_node *next, *prev;
  my_event event;
  size_t cost;
  bool embedded;   /* an exchange's END: freed with the exchange */
  exchange *owner; /* of an embedded one */
  /* Bytes of event.data follow, where it is not embedded. */
} event_node;

typedef enum exchange_state {
  STATE_SCHEDULED, /* start_ns is to come */
  STATE_READY,     /* waits in a list for its first sending */
  STATE_OPEN,      /* UDP: sent; TCP: connecting or connected */
  STATE_OVER       /* END waits to be fetched */
} exchange_state;

typedef enum list_name { LIST_EXACT, LIST_AGAIN, LIST_FRESH, LIST_COUNT, LIST_NONE } list_name;

typedef struct list {
  exchange *first, *last;
} list;

typedef struct tcp_state {
  net_socket socket;
  bool connected, receiving;
  bool muted; /* taken out of epoll: hung up, with bytes nobody asked for yet */
  int broken; /* errno of a failed send: what follows the last byte is no orderly end */
  size_t receive_max;
  int64_t sent_ns;
  uint8_t *out; /* waiting bytes: out[out_at .. out_len) */
  size_t out_at, out_len, out_cap;
} tcp_state;

struct exchange {
  uint64_t id;
  exchange *hash_next;
  exchange *prev, *next;           /* in a list */
  exchange *flow_prev, *flow_next; /* in its flow, once sent */
  list_name in_list;
  exchange_state state;
  my_transport transport;
  my_endpoint peer, local;
  my_endpoint seen_local; /* address learned from routing or a reply */
  flow *flow;
  bool in_flow_list;
  int64_t timeout_ns, due_ns;
  int64_t last_sent; /* CLOCK_MONOTONIC */
  size_t heap_at;    /* index + 1; 0: not in the heap */
  size_t fds_reserved;
  size_t queued;                  /* events of it that wait */
  bool exact, report_sent, quiet; /* quiet: heard, so no more attempts */
  bool admitted;                  /* its turn by the limits is taken */
  unsigned replies, sent, busy_tries;
  my_reason icmp;
  tcp_state tcp;
  event_node end;
  unsigned payload_count;
  my_span *payloads; /* these two follow the structure in its allocation */
  attempt *attempts;
};

typedef struct rtt_slot {
  my_endpoint peer;
  int64_t srtt, rttvar; /* srtt 0: empty */
} rtt_slot;

struct my_engine {
  int epoll_fd, timer_fd;
  int64_t now;
  int64_t armed; /* what the timer is set to; NEVER: off */
  int64_t interval, next_slot;
  int64_t spin; /* before an exact start */
  my_limits *limits;
  char interface[16];   /* that all leave by; "": as routing says */
  my_endpoint source;   /* of those that name none; family 0: as routing says */
  bool in_step, unseen; /* unseen: something was queued outside step */
  size_t max_open, open;
  size_t max_tcp, tcp_open; /* of these */
  size_t fds_ceiling, fds_limit, fds_reserved, fds_open;
  int64_t starved_until; /* no descriptors: wait for an ending, or until then; 0: not so */
  uint64_t last_id;
  exchange **table;
  size_t table_size, count;
  exchange **heap;
  size_t heap_len, heap_cap;
  list lists[LIST_COUNT];
  flow *flows[FLOW_BUCKETS];
  event_node *first_event, *last_event, *current;
  size_t events, event_bytes;
  struct epoll_event batch[EPOLL_BATCH];
  int batch_at, batch_len;
  rtt_slot rtt[RTT_SLOTS];
  uint16_t own_ports[2][PORTS]; /* sockets of ours bound to any address, by family and port */
  uint8_t scratch[DATAGRAM_MAX];
};

/* Saturating: times come from callers. */
static inline int64_t add_ns(int64_t a, int64_t b)
{
  int64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? (b > 0 ? INT64_MAX : INT64_MIN) : sum;
}

/* ---- engine.c ---- */

exchange *my_net_find(const my_engine *e, uint64_t id);
bool my_net_full(const my_engine *e);
/* Queue an event with a copy of 'data'. MY_ENOMEM: the exchange was ended instead. */
int my_net_event(my_engine *e, exchange *x, my_event event, my_span data);
/* x takes the step from waiting to open. */
void my_net_opened(my_engine *e, exchange *x);
/* Close what x holds and queue its END. */
void my_net_finish(my_engine *e, exchange *x, my_reason reason, int error);
void my_net_set_due(my_engine *e, exchange *x, int64_t due_ns);
void my_net_clear_due(my_engine *e, exchange *x);
void my_net_list_push(my_engine *e, exchange *x, list_name name);
void my_net_list_remove(my_engine *e, exchange *x);
/* Set the timer to what is due next; the last act of every call that changes anything. */
void my_net_arm(my_engine *e);

/* ---- table.c, besides those above that queue and unqueue ---- */

bool my_table_add(my_engine *e, exchange *x); /* false: no memory */
void my_table_remove(my_engine *e, exchange *x);

/* ---- event.c ---- */

void my_event_end(my_engine *e, exchange *x, my_reason reason, int error);
void my_event_drop(my_engine *e, exchange *x);
void my_event_release(my_engine *e);
bool my_event_take(my_engine *e);
void my_event_free_all(my_engine *e);

/* ---- socket.c ---- */

/* Open, bind and watch. Returns 0 or an errno. */
int my_net_open_udp(my_engine *e, net_socket *s, const my_endpoint *local, const my_endpoint *peer);
int my_net_open_tcp(my_engine *e, net_socket *s, const my_endpoint *local, const my_endpoint *peer);
void my_net_close(my_engine *e, net_socket *s);
void my_net_restart_times(net_socket *s);
int my_net_watch(my_engine *e, net_socket *s, uint32_t interest);
/* Too little of something that an ending may give back: descriptors, buffers, ports. */
bool my_net_exhausted(int error, const my_endpoint *local);
my_reason my_net_reason_of_errno(int error);

/* ---- errqueue.c ---- */

/* What came with a message: times, addresses, errors. */
typedef struct ancillary {
  int64_t time_ns;   /* 0: none */
  my_endpoint local; /* family 0: not said */
  my_endpoint offender;
  bool is_timestamp, is_icmp;
  uint32_t tx_number;
  my_reason reason; /* of an ICMP error; NONE: one that says nothing about the port */
} ancillary;

struct msghdr;
void my_net_read_ancillary(struct msghdr *m, ancillary *out);
/* Read the socket's error queue empty: send times and ICMP errors find their exchanges. */
void my_net_drain_errors(my_engine *e, net_socket *s);

/* ---- udp.c ---- */

/* The next attempt of x: MY_OK; MY_NOT_YET: no descriptors, nothing done; MY_ESTATE: it has ended.
 */
int my_udp_send(my_engine *e, exchange *x);
void my_udp_due(my_engine *e, exchange *x);
void my_udp_readable(my_engine *e, net_socket *s);
void my_udp_sent_time(net_socket *s, uint32_t tx_number, int64_t time_ns);
void my_udp_icmp(my_engine *e, net_socket *s, const my_endpoint *to, const ancillary *a,
                 my_span quoted);
void my_udp_close(my_engine *e, exchange *x);

/* ---- flow.c ---- */

flow *my_flow_join(my_engine *e, const my_exchange *x); /* NULL: no memory */
void my_flow_leave(my_engine *e, exchange *x);
/* Keep a flow while its socket is read: an error read from it can end its last exchange. NULL
 * allowed. */
void my_flow_hold(flow *f);
void my_flow_release(my_engine *e, flow *f);
void my_flow_sent(exchange *x);
/* After a failed send nobody knows whether the kernel counted it: count anew. */
void my_flow_restart_times(flow *f);
/* Whose reply, or whose ICMP error, this is: NULL if nobody is left. */
exchange *my_flow_of_reply(const flow *f, const my_endpoint *from);
exchange *my_flow_of_icmp(const flow *f, const my_endpoint *to, my_span quoted);

/* ---- rtt.c ---- */

void my_rtt_sample(my_engine *e, const my_endpoint *peer, int64_t rtt_ns);
int64_t my_rtt_timeout(const my_engine *e, const my_endpoint *peer, unsigned attempts_sent);

/* ---- tcp.c ---- */

int my_tcp_connect(my_engine *e, exchange *x); /* as my_udp_send */
void my_tcp_due(my_engine *e, exchange *x);
void my_tcp_ready(my_engine *e, exchange *x, uint32_t events);
void my_tcp_close(my_engine *e, exchange *x);

#endif
