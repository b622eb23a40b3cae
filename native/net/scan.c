/* scan.c - the stateless stage: one thread composes and sends in the order of the permutation, one
 * listens and verifies, and answers wait in a queue. */
#include "scan.h"

#include <errno.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

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
  my_order order;
  uint64_t places; /* of the shard, from 0 on */
  scan_pace pace;
  scan_queue queue;
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
  counter news; /* targets of the present block that were heard of */
  _Atomic unsigned pass;
  _Atomic int64_t began_ns, pass_ended_ns, last_answer_ns, lag_ns, last_sent_ns;
  mark marks[MARKS];
  unsigned mark_at;
  uint8_t room[SCAN_BATCH][SCAN_HEADROOM + MY_PROBE_MAX];
  my_scratch *scratch;
};

static void count(counter *c, uint64_t n)
{
  atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

static uint64_t read_count(const counter *c)
{
  return atomic_load_explicit(c, memory_order_relaxed);
}

static void sleep_ns(int64_t ns)
{
  const struct timespec t = {ns / 1000000000, ns % 1000000000};
  nanosleep(&t, NULL);
}

static bool stopped(const my_scan *s)
{
  return atomic_load_explicit(&s->stop, memory_order_relaxed);
}

static void ring_bell(my_scan *s)
{
  uint64_t one = 1;
  ssize_t n = write(s->bell, &one, sizeof one);
  (void)n; /* full: it is rung already */
}

/* ---- who was heard of ---- */

static bool is_heard_of(const my_scan *s, uint64_t n)
{
  uint64_t at = n % MY_SCAN_BLOCK;
  return atomic_load_explicit(&s->heard_of[n / MY_SCAN_BLOCK % 2][at / 64], memory_order_relaxed) >>
             (at % 64) &
         1;
}

/* True for the first time. What is older than two blocks is not known any more: better told twice
 * than not at all. */
static bool note_heard(my_scan *s, uint64_t n)
{
  uint64_t block = n / MY_SCAN_BLOCK, at = n % MY_SCAN_BLOCK, bit = UINT64_C(1) << (at % 64);
  uint64_t now = atomic_load_explicit(&s->block, memory_order_relaxed);
  if (block + 1 < now) return true;
  bool first = !(
      atomic_fetch_or_explicit(&s->heard_of[block % 2][at / 64], bit, memory_order_relaxed) & bit);
  if (first && block == now) count(&s->news, 1);
  return first;
}

static void begin_block(my_scan *s, uint64_t block)
{
  for (size_t i = 0; i < s->words; i++)
    atomic_store_explicit(&s->heard_of[block % 2][i], 0, memory_order_relaxed);
  atomic_store_explicit(&s->news, 0, memory_order_relaxed);
  atomic_store_explicit(&s->block, block, memory_order_relaxed);
}

/* ---- sending ---- */

static void note_sending(my_scan *s, const uint64_t *places, size_t n, unsigned attempt)
{
  int64_t unix_ns = my_clock_unix_ns(), mono_ns = my_clock_ns();
  for (size_t i = 0; i < n; i++) {
    sending *t = &s->times[places[i] % TIMES];
    atomic_store_explicit(&t->unix_ns, unix_ns, memory_order_relaxed);
    atomic_store_explicit(&t->mono_ns, mono_ns, memory_order_relaxed);
    atomic_store_explicit(&t->tag, (places[i] << ATTEMPT_BITS | attempt) + 1, memory_order_release);
  }
  scan_pace_sent(&s->pace, mono_ns, n);
  if (s->last_sent_ns == 0 && s->began_ns == 0) s->began_ns = mono_ns;
  atomic_store_explicit(&s->last_sent_ns, mono_ns, memory_order_relaxed);
}

/* How far the sending is, in one word: the pass within its block of places, and the next place. */
static uint64_t position(unsigned pass, uint64_t n)
{
  return (uint64_t)pass << PASS_SHIFT | n;
}

/* Everything before the place that was reached a whole timeout ago is settled. */
static void note_progress(my_scan *s, unsigned pass, uint64_t n)
{
  int64_t now = my_clock_ns();
  const mark *best = NULL, *latest = &s->marks[(s->mark_at + MARKS - 1) % MARKS];
  if (now - latest->ns < s->config.timeout_ns / (MARKS / 2)) return;
  s->marks[s->mark_at] = (mark){now, position(pass, n)};
  s->mark_at = (s->mark_at + 1) % MARKS;
  for (unsigned i = 0; i < MARKS; i++) {
    const mark *m = &s->marks[i];
    if (m->ns && now - m->ns >= s->config.timeout_ns && (!best || m->ns > best->ns)) best = m;
  }
  if (best) atomic_store_explicit(&s->settled, best->at, memory_order_relaxed);
}

/* A pass is over, and its answers were waited for. */
static void settle(my_scan *s, unsigned pass, uint64_t n)
{
  memset(s->marks, 0, sizeof s->marks);
  atomic_store_explicit(&s->settled, position(pass, n), memory_order_relaxed);
}

static int port_order(const void *a, const void *b)
{
  const scan_datagram *x = a, *y = b;
  return x->source_port - y->source_port;
}

typedef enum trouble { TROUBLE_FULL, TROUBLE_ONE, TROUBLE_LINK } trouble;

static trouble trouble_of(int error)
{
  switch (error) {
  case ENOBUFS:
  case EAGAIN:
  case EINTR:
    return TROUBLE_FULL;
  case ENETDOWN:
  case ENODEV:
  case ENXIO:
  case EBADF:
  case ENOMEM:
    return TROUBLE_LINK;
  default:
    return TROUBLE_ONE; /* no way to this one, not allowed, too long */
  }
}

/* Give the batch to the kernel; what it does not take for want of room is offered again, what
 * cannot be sent is counted. False: the link stayed down for a whole timeout. */
static bool send_batch(my_scan *s, scan_datagram *list, size_t n)
{
  enum { TRIES = 16 };
  int64_t down_since = 0;
  size_t done = 0;
  int tries = 0;
  while (done < n) {
    int rc = s->path->send(s->path, list + done, n - done);
    if (rc > 0) {
      count(&s->sent, (uint64_t)rc);
      done += (size_t)rc;
      down_since = 0;
      tries = 0;
      continue;
    }
    int error = rc < 0 ? errno : EAGAIN;
    trouble what = trouble_of(error);
    if (what == TROUBLE_ONE) {
      /* A socket may say at this sending what became of an earlier one: then it goes at the next
       * try. */
      if (++tries < TRIES) continue;
      count(&s->send_errors, 1);
      done++;
      tries = 0;
      continue;
    }
    if (atomic_load_explicit(&s->closing, memory_order_relaxed)) return false;
    if (what == TROUBLE_FULL) {
      count(&s->stalls, 1);
      sleep_ns(MS / 20);
      continue;
    }
    int64_t now = my_clock_ns();
    if (!down_since) down_since = now;
    if (now - down_since > s->config.timeout_ns || stopped(s)) {
      count(&s->send_errors, n - done);
      s->error = error;
      return false;
    }
    sleep_ns(20 * MS);
  }
  return true;
}

/* How many may go now; waits until it is one at least. 0: stopped. */
static size_t wait_turn(my_scan *s, size_t want)
{
  while (!stopped(s)) {
    int64_t wait, lag = atomic_load_explicit(&s->lag_ns, memory_order_relaxed);
    if (scan_queue_fill(&s->queue) > 0.5) { /* answers must be fetched first */
      sleep_ns(MS);
      continue;
    }
    size_t n = scan_pace_allow(&s->pace, my_clock_ns(), want, lag, &wait);
    if (n > 0) return n;
    sleep_ns(wait > 100 * MS ? 100 * MS : wait);
  }
  return 0;
}

/* As many as fit into half a millisecond of the rate, that they leave evenly. */
static size_t batch_size(const my_scan *s)
{
  double n = s->config.rate > 0 ? s->config.rate / 2000 : SCAN_BATCH;
  return n < 1 ? 1 : n > SCAN_BATCH ? SCAN_BATCH : (size_t)n;
}

/* The number of a SYN is its nonce. */
static uint32_t number_of(const my_scan *s, const my_endpoint *peer, unsigned attempt)
{
  uint32_t seq;
  my_nonce_fill(&s->cookie.key, peer, attempt, (uint8_t *)&seq, sizeof seq);
  return seq;
}

static void compose_syn(const my_scan *s, unsigned attempt, scan_datagram *d)
{
  const my_cookie *c = &s->cookie;
  d->len = 0;
  d->seq = number_of(s, &d->peer, attempt);
  d->source_port = my_nonce_port(&c->key, &d->peer, attempt, c->port_first, c->port_count);
}

static size_t compose(my_scan *s, uint64_t n, unsigned attempt, scan_datagram *d, uint8_t *room)
{
  uint64_t shards = s->config.shards, place = my_shard_place(n, s->config.shard, shards);
  my_ranges_item(s->config.targets, my_order_item(&s->order, place), &d->peer);
  d->payload = room + SCAN_HEADROOM;
  d->attempt = attempt;
  if (s->config.tcp) {
    compose_syn(s, attempt, d);
    return 1;
  }
  my_endpoint my = s->path->local;
  int len = my_cookie_compose(&s->cookie, &my, &d->peer, attempt, d->payload, MY_PROBE_MAX);
  d->source_port = my.port;
  if (len < 0) { /* a 4-byte address over IPv6 */
    count(&s->send_errors, 1);
    return 0;
  }
  d->len = (size_t)len;
  return 1;
}

/* From place *n on to 'end': a batch of those not heard of yet. False: nothing more is to be sent.
 */
static bool send_some(my_scan *s, uint64_t *n, uint64_t end, unsigned attempt)
{
  scan_datagram list[SCAN_BATCH];
  uint64_t places[SCAN_BATCH];
  size_t most = wait_turn(s, batch_size(s)), have = 0;
  if (most == 0) return false;
  while (have < most && *n < end) {
    if ((attempt == 0 && !s->config.held) || !is_heard_of(s, *n)) {
      places[have] = *n;
      have += compose(s, *n, attempt, &list[have], s->room[have]);
    }
    ++*n;
  }
  if (have == 0) return true;
  if (!s->config.raw && !s->config.tcp) qsort(list, have, sizeof *list, port_order);
  note_sending(s, places, have, attempt);
  if (attempt == 0) count(&s->asked, have);
  return send_batch(s, list, have);
}

/* Listen until all of the block were heard of, or nothing more is to be expected: as long as four
 * of the longest round trips, or the whole timeout where there was none. */
static void wait_for_answers(my_scan *s, uint64_t targets)
{
  while (!atomic_load_explicit(&s->closing, memory_order_relaxed)) {
    int64_t rtt = atomic_load_explicit(&s->pace.rtt_ns, memory_order_relaxed), now = my_clock_ns();
    int64_t wait = rtt ? 4 * rtt + 200 * MS : s->config.timeout_ns;
    if (wait > s->config.timeout_ns) wait = s->config.timeout_ns;
    int64_t last = atomic_load_explicit(&s->last_sent_ns, memory_order_relaxed);
    int64_t heard = atomic_load_explicit(&s->last_answer_ns, memory_order_relaxed);
    if (heard > last) last = heard < last + s->config.timeout_ns ? heard : last;
    if (read_count(&s->news) >= targets || now - last >= wait) return;
    sleep_ns(MS);
  }
}

/* A block of places, from that pass and place on: all of them, then the silent ones. */
static bool send_block(my_scan *s, unsigned pass, uint64_t begin, uint64_t end)
{
  uint64_t from = begin / MY_SCAN_BLOCK * MY_SCAN_BLOCK;
  for (unsigned attempt = pass; attempt < s->cookie.attempts; attempt++) {
    atomic_store_explicit(&s->pass, attempt, memory_order_relaxed);
    bool go = true;
    for (uint64_t n = attempt == pass ? begin : from; n < end && go;) {
      go = send_some(s, &n, end, attempt);
      note_progress(s, attempt, n);
    }
    if (s->pass_ended_ns == 0) s->pass_ended_ns = my_clock_ns();
    wait_for_answers(s, end - from);
    if (!go || stopped(s)) return false;
    settle(s, attempt + 1, from);
  }
  return true;
}

static void *sender_main(void *arg)
{
  my_scan *s = arg;
  prctl(PR_SET_NAME, "mynah-send");
  my_scan_drop_privileges();
  prctl(PR_SET_TIMERSLACK, 1000); /* ns: pauses are short */
  uint64_t n = s->config.begin;
  unsigned pass = s->config.pass;
  while (atomic_load_explicit(&s->held, memory_order_relaxed) && !stopped(s))
    sleep_ns(MS);
  for (bool go = true; n < s->places && go; pass = 0) {
    uint64_t block = n / MY_SCAN_BLOCK, end = (block + 1) * MY_SCAN_BLOCK;
    if (end > s->places) end = s->places;
    if (block != read_count(&s->block)) begin_block(s, block);
    go = send_block(s, pass, n, end);
    n = end;
    if (go) settle(s, 0, end);
  }
  atomic_store_explicit(&s->over, true, memory_order_release);
  ring_bell(s);
  return NULL;
}

/* ---- listening ---- */

/* The place of a target in this shard. */
static bool place_of(const my_scan *s, const my_endpoint *peer, uint64_t *n)
{
  uint64_t item;
  if (!my_ranges_find(s->config.targets, peer, &item)) return false;
  uint64_t place = my_order_place(&s->order, item);
  *n = place / s->config.shards;
  return place % s->config.shards == s->config.shard;
}

static void time_answer(my_scan *s, uint64_t n, my_answer *a)
{
  const int64_t sane = 60000 * MS;
  sending *t = &s->times[n % TIMES];
  a->rtt_ns = -1;
  if (atomic_load_explicit(&t->tag, memory_order_acquire) != (n << ATTEMPT_BITS | a->attempt) + 1)
    return;
  int64_t rtt = a->received_ns - atomic_load_explicit(&t->unix_ns, memory_order_relaxed);
  if (rtt < 0 || rtt > sane) return; /* a clock was set */
  a->rtt_ns = rtt;
  scan_pace_heard(&s->pace, atomic_load_explicit(&t->mono_ns, memory_order_relaxed), rtt);
}

static void give(my_scan *s, const my_answer *a)
{
  while (!scan_queue_put(&s->queue, a)) {
    if (atomic_load_explicit(&s->closing, memory_order_relaxed)) return;
    ring_bell(s);
    sleep_ns(MS);
  }
}

/* Is it about a datagram, or a SYN, of ours to 'peer'? */
static bool is_ours(const my_scan *s, const scan_heard *h, unsigned *attempt)
{
  *attempt = h->attempt;
  if (h->is_known) return true;
  for (unsigned i = 0; i < s->cookie.attempts; i++) {
    if (my_nonce_port(&s->cookie.key, &h->peer, i, s->cookie.port_first, s->cookie.port_count) !=
        h->to.port)
      continue;
    if (h->is_tcp && h->ack != number_of(s, &h->peer, i) + 1) continue;
    *attempt = i;
    return true;
  }
  return false;
}

static void on_error(my_scan *s, const scan_heard *h)
{
  uint64_t n;
  my_answer a = {.kind = MY_ANSWER_ICMP,
                 .reason = h->reason,
                 .peer = h->peer,
                 .from = h->from,
                 .my = h->to,
                 .received_ns = h->time_ns};
  if (h->reason == MY_REASON_NONE || !place_of(s, &h->peer, &n) || !is_ours(s, h, &a.attempt)) {
    count(&s->other_icmp, 1);
    return;
  }
  a.peer.scope = 0;
  time_answer(s, n, &a);
  if (!note_heard(s, n)) return;
  count(&s->errors, 1);
  if (!s->config.quiet) give(s, &a);
}

/* An answer that verifies: given where it is the target's first. */
static void give_verified(my_scan *s, uint64_t n, my_answer *a)
{
  time_answer(s, n, a);
  if (!note_heard(s, n)) {
    count(&s->duplicates, 1);
    return;
  }
  count(&s->verified, 1);
  atomic_store_explicit(&s->last_answer_ns, my_clock_ns(), memory_order_relaxed);
  give(s, a);
}

/* A SYN was accepted. */
static void on_accepted(my_scan *s, const scan_heard *h)
{
  uint64_t n;
  my_answer a = {.kind = MY_ANSWER_VERIFIED,
                 .reason = MY_REASON_SYN_ACK,
                 .peer = h->peer,
                 .from = h->peer,
                 .my = h->to,
                 .received_ns = h->time_ns};
  count(&s->received, 1);
  if (!place_of(s, &h->peer, &n) || !is_ours(s, h, &a.attempt)) {
    count(&s->strangers, 1);
    return;
  }
  a.peer.scope = a.from.scope = 0;
  give_verified(s, n, &a);
}

static void on_other(my_scan *s, my_answer *a, counter *kind)
{
  count(kind, 1);
  if (!s->config.others) return;
  a->kind = MY_ANSWER_OTHER;
  a->peer = (my_endpoint){0};
  give(s, a);
}

/* Servers may answer from another port than the one that was asked (TFTP): where not many ports are
 * asked, all of them are tried. */
static bool find_asked(my_scan *s, my_pair *pair, uint64_t *n, unsigned *attempt, int *rc)
{
  enum { PORTS_TRIED = 16 };
  my_range range;
  if (place_of(s, &pair->peer, n)) {
    *rc = my_cookie_verify(&s->cookie, pair, s->scratch, attempt);
    return true;
  }
  my_ranges_piece(s->config.targets, 0, &range);
  if (my_ranges_pieces(s->config.targets) > 1 || range.port_count > PORTS_TRIED) return false;
  for (size_t i = 0; i < range.port_count; i++) {
    pair->peer.port = range.ports[i];
    if (!place_of(s, &pair->peer, n)) continue;
    *rc = my_cookie_verify(&s->cookie, pair, s->scratch, attempt);
    if (*rc == MY_OK) return true;
  }
  return false;
}

static void on_reply(my_scan *s, const scan_heard *h)
{
  int rc = MY_ENOENT;
  uint64_t n = 0;
  my_answer a = {.kind = MY_ANSWER_VERIFIED,
                 .reason = h->reason,
                 .from = h->from,
                 .my = h->to,
                 .received_ns = h->time_ns,
                 .rtt_ns = -1,
                 .data = h->data};
  my_pair pair = {.reply = h->data,
                  .my = h->to,
                  .peer = h->from,
                  .from = h->from,
                  .public_ = s->config.public_,
                  .now_unix_ns = h->time_ns};
  count(&s->received, 1);
  pair.peer.scope = pair.from.scope = 0;
  if (!find_asked(s, &pair, &n, &a.attempt, &rc) || rc == MY_ENOENT) {
    on_other(s, &a, &s->strangers);
    return;
  }
  if (rc != MY_OK) {
    on_other(s, &a, &s->unverified);
    return;
  }
  a.peer = pair.peer;
  give_verified(s, n, &a);
}

static void on_heard(void *arg, const scan_heard *h)
{
  my_scan *s = arg;
  atomic_store_explicit(&s->lag_ns, my_clock_unix_ns() - h->time_ns, memory_order_relaxed);
  if (h->is_error)
    on_error(s, h);
  else if (s->config.tcp)
    on_accepted(s, h);
  else
    on_reply(s, h);
}

static void *listener_main(void *arg)
{
  my_scan *s = arg;
  prctl(PR_SET_NAME, "mynah-listen");
  my_scan_drop_privileges();
  while (!atomic_load_explicit(&s->closing, memory_order_relaxed)) {
    uint64_t before = read_count(&s->received) + read_count(&s->errors);
    s->path->hear(s->path, HEAR_MS, on_heard, s);
    atomic_store_explicit(&s->lag_ns, 0, memory_order_relaxed); /* all that waited was read */
    if (s->path->dropped)
      atomic_store_explicit(&s->dropped, s->path->dropped(s->path), memory_order_relaxed);
    if (read_count(&s->received) + read_count(&s->errors) != before) ring_bell(s);
  }
  return NULL;
}

/* ---- opening ---- */

static void fill_in(my_scan_config *c)
{
  if (c->shards == 0) c->shards = 1;
  if (c->attempts == 0) c->attempts = 2;
  if (c->attempts > MY_SCAN_ATTEMPTS_MAX) c->attempts = MY_SCAN_ATTEMPTS_MAX;
  if (c->timeout_ns <= 0) c->timeout_ns = 3000 * MS;
}

/* Frames and sockets are of one family; pieces are in order, IPv4 first. */
static bool families_differ(const my_scan_config *c)
{
  my_range first, last;
  my_ranges_piece(c->targets, 0, &first);
  my_ranges_piece(c->targets, my_ranges_pieces(c->targets) - 1, &last);
  return first.first.family != last.first.family ||
         (c->source.family && c->source.family != first.first.family);
}

static int check(const my_scan_config *c, my_where *where)
{
  my_sig_info info;
  const char *why = NULL;
  if (!c->tcp) my_sig_get_info(c->sig, &info);
  if (!c->tcp && (info.transport != MY_UDP || info.probe_len == 0))
    why = "the signature sends no datagram";
  else if (my_ranges_items(c->targets) == 0)
    why = "there is nothing to ask";
  else if (families_differ(c))
    why = "IPv4 and IPv6 cannot be mixed: scan one after the other";
  else if (c->shard >= c->shards)
    why = "no such shard";
  else if (c->pass >= c->attempts || my_ranges_items(c->targets) > position(1, 0) - 1)
    why = "no such place to go on at";
  if (why) snprintf(where->text, sizeof where->text, "%s", why);
  return why ? MY_ERANGE : MY_OK;
}

static int make_room(my_scan *s)
{
  uint64_t bits = s->places < MY_SCAN_BLOCK ? s->places : MY_SCAN_BLOCK;
  s->words = (size_t)(bits / 64 + 1);
  s->times = calloc(TIMES, sizeof *s->times);
  s->heard_of[0] = calloc(s->words, 8);
  s->heard_of[1] = s->places > MY_SCAN_BLOCK ? calloc(s->words, 8) : s->heard_of[0];
  if (!s->times || !s->heard_of[0] || !s->heard_of[1]) return MY_ENOMEM;
  int rc = scan_queue_init(&s->queue);
  return rc == MY_OK ? my_scratch_new(&s->scratch) : rc;
}

void my_scan_drop_privileges(void)
{
  struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct none[2] = {{0}};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  syscall(SYS_capset, &head, none);
}

/* Signals are for whoever called us. */
static int start_thread(pthread_t *t, void *(*main)(void *), my_scan *s, bool *runs)
{
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int rc = pthread_create(t, NULL, main, s);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  *runs = rc == 0;
  errno = rc;
  return rc == 0 ? MY_OK : MY_ESYS;
}

static int open_scan(my_scan *s, my_where *where)
{
  int rc = check(&s->config, where);
  if (rc != MY_OK) return rc;
  uint64_t items = my_ranges_items(s->config.targets);
  s->places = my_shard_size(items, s->config.shard, s->config.shards);
  if (s->config.begin > s->places) s->config.begin = s->places;
  if ((rc = my_order_init(&s->order, items, s->config.seed)) != MY_OK) return rc;
  if ((rc = make_room(s)) != MY_OK) return rc;
  if ((s->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) return MY_ESYS;
  rc = s->config.raw   ? scan_raw_open(&s->path, &s->config, where)
       : s->config.tcp ? scan_connect_open(&s->path, &s->config, where)
                       : scan_socket_open(&s->path, &s->config, where);
  if (rc != MY_OK) return rc;
  s->cookie = (my_cookie){s->config.key, s->config.sig, s->config.attempts, s->path->port_first,
                          s->path->port_count};
  atomic_store(&s->block, s->config.begin / MY_SCAN_BLOCK);
  atomic_store(&s->settled, position(s->config.pass, s->config.begin));
  atomic_store(&s->held, s->config.held);
  scan_pace_init(&s->pace, s->config.rate, s->config.adapts, my_clock_ns());
  rc = start_thread(&s->listener, listener_main, s, &s->listening);
  return rc == MY_OK ? start_thread(&s->sender, sender_main, s, &s->sending) : rc;
}

int my_scan_open(my_scan **out, const my_scan_config *config, my_where *where)
{
  *out = NULL;
  *where = (my_where){0};
  my_scan *s = calloc(1, sizeof *s);
  if (!s) return MY_ENOMEM;
  s->config = *config;
  s->bell = -1;
  fill_in(&s->config);
  int rc = open_scan(s, where);
  if (rc == MY_OK) {
    *out = s;
    return MY_OK;
  }
  int error = errno;
  my_scan_close(s);
  errno = error;
  return rc;
}

void my_scan_close(my_scan *s)
{
  if (!s) return;
  atomic_store(&s->stop, true);
  atomic_store(&s->closing, true);
  if (s->sending) pthread_join(s->sender, NULL);
  if (s->listening) pthread_join(s->listener, NULL);
  if (s->path) s->path->close(s->path);
  if (s->bell >= 0) close(s->bell);
  my_scratch_free(s->scratch);
  free(s->queue.bytes);
  if (s->heard_of[1] != s->heard_of[0]) free((void *)s->heard_of[1]);
  free((void *)s->heard_of[0]);
  free(s->times);
  free(s);
}

/* ---- for whoever asks ---- */

int my_scan_next(my_scan *s, my_answer *out)
{
  uint64_t rung;
  if (scan_queue_take(&s->queue, out)) return MY_OK;
  ssize_t n = read(s->bell, &rung, sizeof rung);
  (void)n;
  if (scan_queue_take(&s->queue, out)) return MY_OK; /* put between the two */
  if (atomic_load(&s->over)) ring_bell(s);           /* and stays so */
  return MY_NOT_YET;
}

int my_scan_probe(const my_scan *s, const my_answer *answer, uint8_t *out, size_t cap)
{
  my_endpoint my = answer->my;
  return my_cookie_compose(&s->cookie, &my, &answer->peer, answer->attempt, out, cap);
}

int my_scan_fd(const my_scan *s)
{
  return s->bell;
}

void my_scan_skip(my_scan *s, const my_endpoint *target)
{
  uint64_t n;
  if (place_of(s, target, &n)) note_heard(s, n);
}

void my_scan_start(my_scan *s)
{
  atomic_store(&s->held, false);
}

void my_scan_stop(my_scan *s)
{
  atomic_store(&s->stop, true);
}

void my_scan_get_counts(const my_scan *s, my_scan_counts *out)
{
  int64_t began = atomic_load(&s->began_ns), last = atomic_load(&s->last_answer_ns);
  bool over = atomic_load(&s->over);
  int64_t ended = atomic_load(&s->pass_ended_ns);
  *out = (my_scan_counts){
      .targets = s->places - s->config.begin,
      .asked = read_count(&s->asked),
      .sent = read_count(&s->sent),
      .received = read_count(&s->received),
      .verified = read_count(&s->verified),
      .duplicates = read_count(&s->duplicates),
      .unverified = read_count(&s->unverified),
      .strangers = read_count(&s->strangers),
      .errors = read_count(&s->errors),
      .other_icmp = read_count(&s->other_icmp),
      .dropped = read_count(&s->dropped),
      .send_errors = read_count(&s->send_errors),
      .stalls = read_count(&s->stalls),
      .settled = read_count(&s->settled) & (position(1, 0) - 1),
      .settled_pass = (unsigned)(read_count(&s->settled) >> PASS_SHIFT),
      .pass = atomic_load(&s->pass),
      .over = over,
      .error = atomic_load(&s->error),
  };
  if (began == 0) return;
  out->elapsed_ns = (over && last > began ? last : my_clock_ns()) - began;
  out->sending_ns = ended > began ? ended - began : out->elapsed_ns;
}
