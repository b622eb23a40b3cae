/* scan_state.h - a scan as its two threads share it: scan_send.c, scan_hear.c, and scan.c, which
 * begins and ends them and answers whoever asks. */
#ifndef MYNAH_NET_SCAN_STATE_H
#define MYNAH_NET_SCAN_STATE_H

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "scan.h"

#define MS INT64_C(1000000)

enum {
  TIMES = 1 << 19, /* sendings whose time is kept */
  MARKS = 64,      /* snapshots of how far the sending is */
  HEAR_MS = 20,
  PASS_SHIFT = 60,
  ATTEMPT_BITS = 3
};

/* When a place was sent: 'tag' is its number and the attempt, plus 1. */
typedef struct sending {
  _Atomic uint64_t tag;
  _Atomic int64_t unix_ns, mono_ns;
} sending;

typedef struct mark {
  int64_t ns;
  uint64_t at;
} mark;

typedef _Atomic uint64_t counter;

struct my_scan {
  my_scan_config config;
  scan_path *path;
  my_cookie cookie;
  my_scan_question *questions;
  bool looks; /* whether somebody was heard of before being asked for the first time */
  my_order order;
  uint64_t places; /* of the shard, from 0 on */
  scan_pace pace;
  scan_queue queue;
  scan_later later;
  sending *times;
  /* Who was heard of: two blocks of places, that which is under way and the one before it. */
  _Atomic uint64_t *heard_of[2];
  size_t words;
  _Atomic uint64_t block;
  pthread_t sender, listener;
  bool sending, listening;
  atomic_bool held, stop, closing, sent_all, over;
  _Atomic int error;
  int bell;
  counter asked, sent, received, verified, duplicates, unverified, strangers, errors, other_icmp,
      dropped, send_errors, stalls, settled;
  /* Places: heard of by another question to the same port; by an earlier scan; not asked for it. */
  counter others, resumed, spared;
  counter news;  /* targets of the present block that were heard of */
  counter given; /* answers */
  _Atomic unsigned pass;
  _Atomic int64_t began_ns, pass_ended_ns, last_answer_ns, lag_ns, last_sent_ns;
  _Atomic int64_t heard_until_ns; /* all that came before was read */
  mark marks[MARKS];
  unsigned mark_at;
  uint8_t room[SCAN_BATCH * (SCAN_HEADROOM + MY_PROBE_MAX)];
  my_scratch *scratch;
};

static inline void count(counter *c, uint64_t n)
{
  atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

static inline uint64_t read_count(const counter *c)
{
  return atomic_load_explicit(c, memory_order_relaxed);
}

static inline void sleep_ns(int64_t ns)
{
  const struct timespec t = {ns / 1000000000, ns % 1000000000};
  nanosleep(&t, NULL);
}

/* Both times are of the clock that people set: -1 where that happened in between, as far as it
 * shows.
 */
static inline int64_t round_trip(int64_t sent_ns, int64_t received_ns)
{
  const int64_t sane = 60000 * MS;
  int64_t rtt = received_ns - sent_ns;
  return rtt < 0 || rtt > sane ? -1 : rtt;
}

static inline bool stopped(const my_scan *s)
{
  return atomic_load_explicit(&s->stop, memory_order_relaxed);
}

static inline void ring_bell(my_scan *s)
{
  uint64_t one = 1;
  ssize_t n = write(s->bell, &one, sizeof one);
  (void)n; /* full: it is rung already */
}

/* How far the sending is, in one word: the pass within its block of places, and the next place. */
static inline uint64_t position(unsigned pass, uint64_t n)
{
  return (uint64_t)pass << PASS_SHIFT | n;
}

/* The number of a SYN is its nonce. */
static inline uint32_t number_of(const my_scan *s, const my_endpoint *peer, unsigned attempt)
{
  uint32_t seq;
  my_nonce_fill(&s->cookie.key, peer, attempt, (uint8_t *)&seq, sizeof seq);
  return seq;
}

/* ---- who was heard of (scan_hear.c) ---- */

/* The place of a question to a target in this shard; false: it has none. */
bool scan_place_of(const my_scan *s, const my_endpoint *peer, unsigned question, uint64_t *n);
/* The k-th signature that an answer to a question at that port may be read by, NULL where there is
 * none; the first is the one that is sent. */
const my_sig *scan_reading(const my_scan *s, uint16_t port, unsigned question, unsigned k);
/* What is drawn for, and sent with, a question to that port. */
my_cookie scan_cookie(const my_scan *s, uint16_t port, unsigned question);
bool scan_is_heard_of(const my_scan *s, uint64_t n);
/* True for the first time. What is older than two blocks is not known any more: better told twice
 * than not at all. */
bool scan_note_heard(my_scan *s, uint64_t n);
void scan_begin_block(my_scan *s, uint64_t block);

/* ---- the threads; each is given the scan ---- */

void *scan_sender_main(void *arg);
void *scan_listener_main(void *arg);

#endif
