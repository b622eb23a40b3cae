/* scan_hear.c - the listening thread of a scan: what came is verified, timed, given once, and
 * counted otherwise. */
#include "scan_state.h"

#include <sys/prctl.h>

/* ---- who was heard of ---- */

bool scan_place_of(const my_scan *s, const my_endpoint *peer, unsigned question, uint64_t *n)
{
  uint64_t item;
  if (!my_ranges_find(s->config.targets, peer, &item)) return false;
  uint64_t place = my_order_place(&s->order, item + question);
  *n = place / s->config.shards;
  return place % s->config.shards == s->config.shard;
}

bool scan_is_heard_of(const my_scan *s, uint64_t n)
{
  uint64_t at = n % MY_SCAN_BLOCK;
  return atomic_load_explicit(&s->heard_of[n / MY_SCAN_BLOCK % 2][at / 64], memory_order_relaxed) >>
             (at % 64) &
         1;
}

bool scan_note_heard(my_scan *s, uint64_t n)
{
  uint64_t block = n / MY_SCAN_BLOCK, at = n % MY_SCAN_BLOCK, bit = UINT64_C(1) << (at % 64);
  uint64_t now = atomic_load_explicit(&s->block, memory_order_relaxed);
  if (block + 1 < now) return true;
  bool first = !(
      atomic_fetch_or_explicit(&s->heard_of[block % 2][at / 64], bit, memory_order_relaxed) & bit);
  if (first && block == now) count(&s->news, 1);
  return first;
}

/* All questions to a port are over with its first news, the answer to the one at place n. True:
 * this is that. */
static bool note_port(my_scan *s, const my_endpoint *peer, uint64_t n)
{
  uint64_t other, now = atomic_load_explicit(&s->block, memory_order_relaxed);
  bool first = scan_note_heard(s, n);
  unsigned questions = my_ranges_questions(s->config.targets, peer->port);
  for (unsigned q = 0; q < questions && questions > 1; q++) {
    if (!scan_place_of(s, peer, q, &other) || other == n) continue;
    uint64_t block = other / MY_SCAN_BLOCK; /* those to come have no room yet */
    if (block > now || block + 1 < now || !scan_note_heard(s, other)) continue;
    if (other >= s->config.begin) count(&s->others, 1);
  }
  return first;
}

void scan_begin_block(my_scan *s, uint64_t block)
{
  for (size_t i = 0; i < s->words; i++)
    atomic_store_explicit(&s->heard_of[block % 2][i], 0, memory_order_relaxed);
  atomic_store_explicit(&s->news, 0, memory_order_relaxed);
  atomic_store_explicit(&s->block, block, memory_order_relaxed);
}

/* ---- answers ---- */

/* When what it answers was sent; NULL: that is not known any more. A round trip that whoever heard
 * it has measured stays. */
static const sending *time_answer(my_scan *s, uint64_t n, my_answer *a)
{
  const sending *t = &s->times[n % TIMES];
  int64_t measured = a->rtt_ns;
  a->rtt_ns = measured > 0 ? measured : -1;
  if (atomic_load_explicit(&t->tag, memory_order_acquire) != (n << ATTEMPT_BITS | a->attempt) + 1)
    return NULL;
  if (measured <= 0)
    a->rtt_ns = round_trip(atomic_load_explicit(&t->unix_ns, memory_order_relaxed), a->received_ns);
  return t;
}

static void pace_answer(my_scan *s, uint64_t n, my_answer *a)
{
  const sending *t = time_answer(s, n, a);
  if (t)
    scan_pace_heard(&s->pace, atomic_load_explicit(&t->mono_ns, memory_order_relaxed), a->rtt_ns);
}

static void give(my_scan *s, const my_answer *a)
{
  count(&s->given, 1);
  while (!scan_queue_put(&s->queue, a)) {
    if (atomic_load_explicit(&s->closing, memory_order_relaxed)) return;
    ring_bell(s);
    sleep_ns(MS);
  }
}

/* Did that question leave from the port that was heard at? */
static bool is_of(const my_scan *s, const scan_heard *h, unsigned question, unsigned *attempt)
{
  my_cookie c = scan_cookie(s, h->peer.port, question);
  for (unsigned i = 0; i < c.attempts; i++) {
    if (my_cookie_port(&c, &h->peer, i) != h->to.port) continue;
    if (h->is_tcp && h->ack != number_of(s, &h->peer, i) + 1) continue;
    *attempt = i;
    return true;
  }
  return false;
}

/* Is it about a datagram, or a SYN, of ours to a->peer? Its place, and which it was. */
static bool is_ours(const my_scan *s, const scan_heard *h, my_answer *a, uint64_t *n)
{
  unsigned questions = my_ranges_questions(s->config.targets, h->peer.port);
  a->attempt = h->attempt;
  for (a->question = 0; a->question < questions; a->question++)
    if (scan_place_of(s, &h->peer, a->question, n) &&
        (h->is_known || is_of(s, h, a->question, &a->attempt)))
      return true;
  return false;
}

static bool on_error(my_scan *s, const scan_heard *h)
{
  uint64_t n;
  my_answer a = {.kind = MY_ANSWER_ICMP,
                 .reason = h->reason,
                 .peer = h->peer,
                 .from = h->from,
                 .my = h->to,
                 .received_ns = h->time_ns};
  if (h->reason == MY_REASON_NONE || !is_ours(s, h, &a, &n)) {
    count(&s->other_icmp, 1);
    return false;
  }
  a.peer.scope = 0;
  a.sig = s->config.tcp ? NULL : scan_reading(s, a.peer.port, a.question, 0);
  pace_answer(s, n, &a);
  if (!note_port(s, &a.peer, n)) return false;
  count(&s->errors, 1);
  if (!s->config.quiet) give(s, &a);
  return true;
}

/* An answer that verifies: is it the target's first? */
static bool count_verified(my_scan *s, uint64_t n, my_answer *a)
{
  pace_answer(s, n, a);
  if (!note_port(s, &a->peer, n)) {
    count(&s->duplicates, 1);
    return false;
  }
  count(&s->verified, 1);
  atomic_store_explicit(&s->last_answer_ns, my_clock_ns(), memory_order_relaxed);
  return true;
}

/* A SYN was accepted; what a connection brings may come in a second piece of news. */
static bool on_accepted(my_scan *s, const scan_heard *h)
{
  uint64_t n;
  my_answer a = {.kind = MY_ANSWER_VERIFIED,
                 .reason = MY_REASON_SYN_ACK,
                 .peer = h->peer,
                 .from = h->peer,
                 .my = h->to,
                 .received_ns = h->time_ns,
                 .rtt_ns = h->rtt_ns,
                 .asked = h->asked,
                 .ended = h->ended,
                 .took_ns = h->took_ns,
                 .data = h->data};
  bool ends = h->part == HEARD_ENDS;
  if (!ends) count(&s->received, 1);
  if (!is_ours(s, h, &a, &n)) {
    count(&s->strangers, 1);
    return false;
  }
  a.peer.scope = a.from.scope = 0;
  if (ends)
    time_answer(s, n, &a);
  else if (!count_verified(s, n, &a))
    return false;
  if (h->part != HEARD_BEGINS) give(s, &a);
  return true;
}

static void on_other(my_scan *s, my_answer *a, counter *kind)
{
  count(kind, 1);
  if (!s->config.others) return;
  a->kind = MY_ANSWER_OTHER;
  a->peer = (my_endpoint){0};
  give(s, a);
}

/* As my_cookie_verify says, by the first of the signatures that reads it. */
static int read_answer(my_scan *s, const my_pair *pair, unsigned question, my_answer *a)
{
  my_cookie c = scan_cookie(s, pair->peer.port, question);
  int rc = MY_ENOENT;
  for (unsigned k = 0; c.sig; c.sig = scan_reading(s, pair->peer.port, question, ++k)) {
    rc = my_cookie_verify(&c, pair, s->scratch, &a->attempt);
    a->sig = c.sig;
    if (rc != MY_EFORMAT) break; /* it is read, or answers none of ours */
  }
  return rc;
}

/* The question to pair->peer that this answers. False: none of this scan was asked there. Else *rc
 * says what my_cookie_verify does of the one that comes nearest. */
static bool find_question(my_scan *s, my_pair *pair, my_answer *a, uint64_t *n, int *rc)
{
  unsigned questions = my_ranges_questions(s->config.targets, pair->peer.port);
  bool asked = false;
  for (unsigned q = 0; q < questions; q++) {
    if (!scan_place_of(s, &pair->peer, q, n)) continue;
    int said = read_answer(s, pair, q, a);
    if (!asked || said != MY_ENOENT) *rc = said;
    asked = true;
    a->question = q;
    if (said == MY_OK) break;
  }
  return asked;
}

/* Servers may answer from another port than the one that was asked (TFTP): where not many ports are
 * asked, all of them are tried. */
static bool find_asked(my_scan *s, my_pair *pair, my_answer *a, uint64_t *n, int *rc)
{
  enum { PORTS_TRIED = 16 };
  my_range range;
  if (find_question(s, pair, a, n, rc)) return true;
  my_ranges_piece(s->config.targets, 0, &range);
  if (my_ranges_pieces(s->config.targets) > 1 || range.port_count > PORTS_TRIED) return false;
  for (size_t i = 0; i < range.port_count; i++) {
    pair->peer.port = range.ports[i];
    if (find_question(s, pair, a, n, rc) && *rc == MY_OK) return true;
  }
  return false;
}

static bool on_reply(my_scan *s, const scan_heard *h)
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
  if (!find_asked(s, &pair, &a, &n, &rc) || rc == MY_ENOENT) {
    on_other(s, &a, &s->strangers);
    return false;
  }
  if (rc != MY_OK) {
    on_other(s, &a, &s->unverified);
    return false;
  }
  a.peer = pair.peer;
  if (!count_verified(s, n, &a)) return false;
  give(s, &a);
  return true;
}

static bool on_heard(void *arg, const scan_heard *h)
{
  my_scan *s = arg;
  if (h->part != HEARD_ENDS)
    atomic_store_explicit(&s->lag_ns, my_clock_unix_ns() - h->time_ns, memory_order_relaxed);
  if (h->is_error) return on_error(s, h);
  return s->config.tcp ? on_accepted(s, h) : on_reply(s, h);
}

void *scan_listener_main(void *arg)
{
  my_scan *s = arg;
  prctl(PR_SET_NAME, "mynah-listen");
  my_scan_drop_privileges();
  bool more = true; /* once it is over nothing is heard: what is counted was given */
  while (more && !atomic_load_explicit(&s->closing, memory_order_relaxed)) {
    uint64_t before = read_count(&s->given);
    int64_t begun = my_clock_ns();
    if (s->path->hear(s->path, HEAR_MS, on_heard, s)) { /* all that waited was read */
      atomic_store_explicit(&s->lag_ns, 0, memory_order_relaxed);
      atomic_store_explicit(&s->heard_until_ns, begun, memory_order_relaxed);
    }
    if (s->path->dropped)
      atomic_store_explicit(&s->dropped, s->path->dropped(s->path), memory_order_relaxed);
    more = !atomic_load_explicit(&s->sent_all, memory_order_acquire);
    if (!more) atomic_store_explicit(&s->over, true, memory_order_release);
    if (!more || read_count(&s->given) != before) ring_bell(s);
  }
  return NULL;
}
