/* scan.h - what the parts of a scan share: its two ways out and in, how it paces itself, and the
 * queue of its answers. */
#ifndef MYNAH_NET_SCAN_H
#define MYNAH_NET_SCAN_H

#include <stdatomic.h>

#include "mynah/frame.h"
#include "mynah/scan.h"

enum {
  SCAN_BATCH = 128,  /* datagrams given to the kernel at once, at the most */
  SCAN_HEADROOM = 80 /* in front of each payload, where the raw path writes headers */
};

/* ---- paths ---- */

typedef struct scan_datagram {
  my_endpoint peer;
  uint16_t source_port;
  unsigned attempt;
  uint8_t *payload; /* SCAN_HEADROOM bytes before it are free */
  size_t len;
  uint32_t seq; /* of a SYN */
} scan_datagram;

typedef struct scan_heard {
  bool is_error; /* 'from' says so about what went from 'to' to 'peer' */
  bool is_known; /* who was asked, 'peer', and at which attempt need not be verified */
  unsigned attempt;
  bool is_tcp; /* SYN and ACK (no error), or RST (an error), with the number that it acknowledges */
  uint32_t ack;
  my_reason reason;
  my_endpoint from, to, peer;
  int64_t time_ns; /* CLOCK_REALTIME */
  int64_t rtt_ns;  /* of a connection, where it was measured; or 0 */
  my_span data;
  enum { HEARD_WHOLE, HEARD_BEGINS, HEARD_ENDS } part; /* a connection, and what it brought later */
  bool asked;                                          /* this and what follows as in my_answer */
  my_ending ended;
  int64_t took_ns;
} scan_heard;

/* True: it is the first news of that target. */
typedef bool scan_hear_fn(void *arg, const scan_heard *heard);

/* 'send' is the sending thread's, 'hear' and 'dropped' the listening thread's. */
typedef struct scan_path {
  /* How many of the first ones the kernel took; -1 and errno: it did not take the first. */
  int (*send)(struct scan_path *p, const scan_datagram *list, size_t count);
  /* Wait so long at the most, then tell of what came. False: more of it may be left. */
  bool (*hear)(struct scan_path *p, int wait_ms, scan_hear_fn *fn, void *arg);
  uint64_t (*dropped)(struct scan_path *p); /* so far; NULL: not known */
  void (*close)(struct scan_path *p);
  my_endpoint local; /* our address */
  /* The one that datagrams to that target leave from; NULL: they all leave from 'local'. */
  my_endpoint (*local_to)(const struct scan_path *p, const my_endpoint *peer);
  uint16_t port_first, port_count;
  int64_t look_ns;        /* how long after HEARD_BEGINS its end may come */
  _Atomic unsigned looks; /* begun and not ended */
} scan_path;

int scan_raw_open(scan_path **out, const my_scan_config *config, my_where *where);
int scan_connect_open(scan_path **out, const my_scan_config *config, my_where *where);
int scan_socket_open(scan_path **out, const my_scan_config *config, my_where *where);

/* Sockets bound to 'count' ports in a row at 'local' (from local->port on, or anywhere but among
 * the targets, where 'us' is one of them), of which the first is returned; or MY_ESYS with errno.
 */
int scan_hold_ports(const my_endpoint *local, const my_endpoint *us, const my_ranges *targets,
                    size_t count, int *fds);

/* ---- the way ---- */

typedef struct scan_way {
  int index; /* of the interface */
  char interface[16];
  bool loopback, ethernet;
  bool routed; /* the next hop is the system's to find: raw(7) */
  my_endpoint source;
  my_endpoint gateway; /* family 0: the peer is on the link */
  my_link link;
} scan_way;

/* How datagrams go to 'peer', asked of the kernel by 'netlink' (netlink.h): interface and source as
 * given, or as routing says. */
int scan_way_find(scan_way *out, int netlink, const my_endpoint *peer, const char *interface,
                  const my_endpoint *source, my_where *where);
/* The hardware addresses in way->link: ours, and that of the next hop, which is asked for and
 * waited for until the kernel gives up. Who may not make the kernel ask gets a way that is routed.
 */
int scan_way_resolve(scan_way *way, int netlink, const my_endpoint *peer, my_where *where);

enum { SCAN_WAYS = 64, SCAN_LINKS = 8 };

/* From this address of the targets on, until the next one, it goes by list[way]. */
typedef struct scan_stretch {
  uint8_t from[16];
  unsigned way;
} scan_stretch;

typedef struct scan_ways {
  scan_way list[SCAN_WAYS];
  size_t count;
  scan_stretch *stretches; /* ascending, the first one at or before all targets */
  size_t stretch_count, room;
} scan_ways;

/* The ways to all targets, by one look at the kernel's routes: each ready to be sent by. Targets
 * that no way leads to go by one that is routed, and fail there. MY_ENOENT: none leads to any;
 * MY_ERANGE: too many. */
int scan_ways_find(scan_ways *out, const my_scan_config *config, my_where *where);
void scan_ways_free(scan_ways *w);
/* Which of the list leads to a target. */
unsigned scan_ways_to(const scan_ways *w, const my_endpoint *peer);

/* ---- pace ---- */

enum { PACE_EPOCHS = 4096 }; /* of 2^20 ns */

/* Sent and heard are counted by the epoch of sending, so that what stays silent is known as soon as
 * later ones are answered. */
typedef struct scan_pace {
  double rate;        /* 0: none */
  bool adapts;        /* as fast as both sides bear */
  int64_t due_ns;     /* when the next datagram may go, by the rate */
  int64_t opened;     /* the oldest epoch that is not closed */
  uint64_t sent_open; /* sent in open epochs */
  double window;      /* datagrams in flight, at the most */
  double yield; /* the share of datagrams that is answered, as far as known; below 0: unknown */
  bool calm, limited; /* no loss was seen yet; the window held the sender back */
  int64_t latest;     /* epoch of the latest sending */
  int64_t hold_until; /* epoch before which the window does not change */
  _Atomic uint32_t sent[PACE_EPOCHS], heard[PACE_EPOCHS];
  _Atomic int64_t newest; /* epoch of the latest sending that was answered */
  _Atomic int64_t rtt_ns; /* the longest seen */
  _Atomic int64_t rtt_least_ns, rtt_latest_ns;
} scan_pace;

void scan_pace_init(scan_pace *p, double rate, bool adapts, int64_t now_ns);
/* How many of 'want' datagrams may go now. 0: none until *wait_ns from now. 'lag_ns': how far the
 * listener is behind. */
size_t scan_pace_allow(scan_pace *p, int64_t now_ns, size_t want, int64_t lag_ns, int64_t *wait_ns);
void scan_pace_sent(scan_pace *p, int64_t now_ns, size_t count);
/* The listener's: an answer to what was sent then; rtt_ns -1: unknown. */
void scan_pace_heard(scan_pace *p, int64_t sent_ns, int64_t rtt_ns);

/* ---- places put off ---- */

enum { LATER_MAX = 1 << 16 };

typedef struct scan_put_off {
  int64_t due_ns;
  uint64_t place;
  bool has_turn; /* of its host: it was taken, and is then */
} scan_put_off;

/* The sending thread's. Where it is full, nothing new is asked until the first of it was. */
typedef struct scan_later {
  scan_put_off *list;
  size_t count;
} scan_later;

int scan_later_init(scan_later *l);
void scan_later_put(scan_later *l, scan_put_off which); /* count is below LATER_MAX */
bool scan_later_take(scan_later *l, int64_t now_ns, scan_put_off *out); /* false: none is due */
/* The lowest place of them all and n. */
uint64_t scan_later_first(const scan_later *l, uint64_t n);

/* ---- answers ---- */

enum { QUEUE_BYTES = 1 << 24 };

/* One thread puts, another takes; the bytes of an answer lie behind it. */
typedef struct scan_queue {
  uint8_t *bytes;
  _Atomic uint64_t head, tail; /* taken and put so far */
  uint64_t taking;             /* what 'head' becomes at the next take */
} scan_queue;

int scan_queue_init(scan_queue *q);
bool scan_queue_put(scan_queue *q, const my_answer *answer); /* false: no room now */
bool scan_queue_take(scan_queue *q, my_answer *out);
double scan_queue_fill(scan_queue *q); /* 0 to 1 */

#endif
