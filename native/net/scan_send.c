/* scan_send.c - the sending thread of a scan: places in the order of the permutation, composed and
 * given to the kernel in batches, as fast as the pace allows; then the silent ones again. */
#include "scan_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

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

/* Everything before the place that was reached a whole timeout ago is settled, where a look at what
 * accepts is over by then. */
static void note_progress(my_scan *s, unsigned pass, uint64_t n)
{
  int64_t now = my_clock_ns();
  const mark *best = NULL, *latest = &s->marks[(s->mark_at + MARKS - 1) % MARKS];
  int64_t wait = s->config.timeout_ns + s->path->look_ns;
  if (now - latest->ns < wait / (MARKS / 2)) return;
  n = scan_later_first(&s->later, n);
  s->marks[s->mark_at] = (mark){now, position(pass, n)};
  s->mark_at = (s->mark_at + 1) % MARKS;
  for (unsigned i = 0; i < MARKS; i++) {
    const mark *m = &s->marks[i];
    if (m->ns && now - m->ns >= wait && (!best || m->ns > best->ns)) best = m;
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
  case EADDRNOTAVAIL: /* the address to send from is gone */
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
      atomic_store_explicit(&s->last_sent_ns, my_clock_ns(), memory_order_relaxed);
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

static unsigned find_peer(const my_scan *s, uint64_t n, my_endpoint *out)
{
  uint64_t place = my_shard_place(n, s->config.shard, s->config.shards);
  return my_ranges_item(s->config.targets, my_order_item(&s->order, place), out);
}

static void compose_syn(const my_scan *s, unsigned attempt, scan_datagram *d)
{
  d->len = 0;
  d->seq = number_of(s, &d->peer, attempt);
  d->source_port = my_cookie_port(&s->cookie, &d->peer, attempt);
}

static bool compose(my_scan *s, uint64_t n, unsigned attempt, scan_datagram *d, uint8_t *room)
{
  unsigned question = find_peer(s, n, &d->peer);
  d->payload = room + SCAN_HEADROOM;
  d->attempt = attempt;
  if (s->config.tcp) {
    compose_syn(s, attempt, d);
    return true;
  }
  my_endpoint my = s->path->local;
  if (s->path->local_to) my = s->path->local_to(s->path, &d->peer);
  my_cookie cookie = scan_cookie(s, d->peer.port, question);
  int len = my_cookie_compose(&cookie, &my, &d->peer, attempt, d->payload, MY_PROBE_MAX);
  d->source_port = my.port;
  if (len < 0) { /* a 4-byte address over IPv6 */
    count(&s->send_errors, 1);
    return false;
  }
  d->len = (size_t)len;
  return true;
}

static bool is_to_be_asked(my_scan *s, uint64_t n, unsigned attempt)
{
  if ((attempt == 0 && !s->looks) || !scan_is_heard_of(s, n)) return true;
  if (attempt == 0) count(&s->spared, 1);
  return false;
}

/* May that host be asked now? Else it is put off. Its turn is taken when it is due by plan, so that
 * whoever asks on what was found does not wait until all of its ports were asked. */
static bool take_turn(my_scan *s, uint64_t place, bool is_planned, int64_t now)
{
  my_endpoint peer;
  find_peer(s, place, &peer);
  int64_t due = is_planned ? now : my_limits_plan(s->config.limits, &peer, now);
  bool has_turn = due <= now;
  if (has_turn) due = my_limits_host(s->config.limits, &peer, now);
  if (due <= now) return true;
  scan_later_put(&s->later, (scan_put_off){due, place, has_turn});
  return false;
}

/* The next place that may be asked now: one that was put off for its host's sake and is due, or one
 * from *n on. False: none, until something is due or at all. */
static bool next_place(my_scan *s, uint64_t *n, uint64_t end, unsigned attempt, uint64_t *place)
{
  int64_t now = s->config.limits ? my_clock_ns() : 0;
  scan_put_off due;
  while (scan_later_take(&s->later, now, &due)) {
    *place = due.place;
    if (!is_to_be_asked(s, *place, attempt)) continue;
    if (due.has_turn || take_turn(s, *place, true, now)) return true;
  }
  while (*n < end && s->later.count < LATER_MAX) {
    *place = (*n)++;
    if (!is_to_be_asked(s, *place, attempt)) continue;
    if (!s->config.limits || take_turn(s, *place, false, now)) return true;
  }
  return false;
}

static size_t bytes_of(const my_scan *s, const scan_datagram *d)
{
  my_packet kind = !s->config.tcp  ? MY_PACKET_DATAGRAM
                   : s->config.raw ? MY_PACKET_SYN
                                   : MY_PACKET_CONNECTION;
  return my_packet_bytes(kind, d->peer.family, d->len);
}

/* False: stopped before the link was free. */
static bool wait_for_link(my_scan *s, size_t bytes)
{
  int64_t now = my_clock_ns(), due = my_limits_link(s->config.limits, bytes, now);
  for (; due > now && !stopped(s); now = my_clock_ns())
    sleep_ns(due - now > 100 * MS ? 100 * MS : due - now);
  return due <= now;
}

/* From place *n on to 'end': a batch of those not heard of yet. False: nothing more is to be sent.
 */
static bool send_some(my_scan *s, uint64_t *n, uint64_t end, unsigned attempt)
{
  scan_datagram list[SCAN_BATCH];
  uint64_t places[SCAN_BATCH];
  size_t most = wait_turn(s, batch_size(s)), have = 0, used = 0, bytes = 0;
  const size_t burst = my_limits_burst(s->config.limits);
  if (most == 0) return false;
  while (have < most && bytes <= burst && next_place(s, n, end, attempt, &places[have])) {
    if (!compose(s, places[have], attempt, &list[have], s->room + used)) continue;
    used += SCAN_HEADROOM + list[have].len;
    bytes += bytes_of(s, &list[have++]);
  }
  if (have == 0) {
    if (s->later.count > 0) sleep_ns(MS / 5); /* all that is left waits for its hosts */
    return true;
  }
  if (s->config.limits && !wait_for_link(s, bytes)) return false;
  if (!s->config.raw && !s->config.tcp) qsort(list, have, sizeof *list, port_order);
  note_sending(s, places, have, attempt);
  if (attempt == 0) count(&s->asked, have);
  return send_batch(s, list, have);
}

/* Listen until all of the block were heard of, or nothing more is to be expected: as long as four
 * of the longest round trips, or the whole timeout where there was none. What came in that time may
 * wait to be read; a flood, that never lets us read it all, is given up after a timeout more. */
static void wait_for_answers(my_scan *s, uint64_t targets)
{
  int64_t held_up = 0; /* when the listener last waited for its own answers to be fetched */
  while (!atomic_load_explicit(&s->closing, memory_order_relaxed)) {
    int64_t rtt = atomic_load_explicit(&s->pace.rtt_ns, memory_order_relaxed), now = my_clock_ns();
    int64_t wait = rtt ? 4 * rtt + 200 * MS : s->config.timeout_ns;
    if (wait > s->config.timeout_ns) wait = s->config.timeout_ns;
    int64_t last = atomic_load_explicit(&s->last_sent_ns, memory_order_relaxed);
    int64_t heard = atomic_load_explicit(&s->last_answer_ns, memory_order_relaxed);
    if (heard > last) last = heard < last + s->config.timeout_ns ? heard : last;
    if (scan_queue_fill(&s->queue) > 0.5) held_up = now;
    int64_t late = (held_up > last ? held_up : last) + wait + s->config.timeout_ns;
    if (atomic_load_explicit(&s->path->looks, memory_order_relaxed) == 0 &&
        (read_count(&s->news) >= targets || now >= late ||
         atomic_load_explicit(&s->heard_until_ns, memory_order_relaxed) - last >= wait))
      return;
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
    for (uint64_t n = attempt == pass ? begin : from; (n < end || s->later.count > 0) && go;) {
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

void *scan_sender_main(void *arg)
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
    if (block != read_count(&s->block)) scan_begin_block(s, block);
    go = send_block(s, pass, n, end);
    n = end;
    if (go) settle(s, 0, end);
  }
  atomic_store_explicit(&s->sent_all, true, memory_order_release);
  return NULL;
}
