/* scan_pace.c - how fast a scan sends: by the rate that was asked for, and never more in flight
 * than the far side, the way and we ourselves bear. What is answered is counted by when it was
 * asked; an epoch that is answered less than those before it, beyond chance, means that something
 * overflowed. Silence by itself means nothing: most addresses are silent. */
#include "scan.h"

#include <math.h>

enum { EPOCH_BITS = 20, REORDER = 3 };
#define MS           INT64_C(1000000)
#define LAG_MAX      (30 * MS)
#define QUEUED_MAX   (10 * MS)
#define WORTH_IT     16 /* datagrams: the cost of a call is shared */
#define WINDOW_MIN   64.0
#define WINDOW_START 256.0
#define WINDOW_MAX   (double)(1 << 20)

static int64_t epoch_of(int64_t ns)
{
  return ns >> EPOCH_BITS;
}

void scan_pace_init(scan_pace *p, double rate, bool adapts, int64_t now_ns)
{
  *p = (scan_pace){
      .rate = rate, .adapts = adapts || rate <= 0, .due_ns = now_ns, .opened = epoch_of(now_ns)};
  p->window = WINDOW_START;
  p->yield = -1;
  p->calm = true;
}

/* Was this epoch answered less than chance allows? */
static bool fell_short(const scan_pace *p, double sent, double heard)
{
  if (p->yield < 0) return false;
  double spread = sqrt(sent * p->yield * (1 - p->yield));
  return heard < sent * p->yield - 4 * spread - 1;
}

static void shrink(scan_pace *p, int64_t epoch, double factor)
{
  if (epoch < p->hold_until) return;
  p->window = fmax(WINDOW_MIN, p->window * factor);
  p->calm = false;
  int64_t rtt = atomic_load_explicit(&p->rtt_ns, memory_order_relaxed);
  p->hold_until = epoch + 2 + epoch_of(2 * rtt);
}

/* Round trips have grown: what is sent faster than it is answered only waits in somebody's queue.
 */
static bool is_queued(const scan_pace *p)
{
  return atomic_load_explicit(&p->rtt_latest_ns, memory_order_relaxed) >
         atomic_load_explicit(&p->rtt_least_ns, memory_order_relaxed) + QUEUED_MAX;
}

static void close_epoch(scan_pace *p, int64_t epoch, int64_t now)
{
  size_t at = (size_t)epoch % PACE_EPOCHS;
  uint32_t sent = atomic_exchange_explicit(&p->sent[at], 0, memory_order_relaxed);
  uint32_t heard = atomic_exchange_explicit(&p->heard[at], 0, memory_order_relaxed);
  if (sent == 0) return;
  if (heard > sent) heard = sent;
  p->sent_open -= sent;
  if (fell_short(p, sent, heard)) {
    shrink(p, epoch_of(now), 0.7);
    p->yield -= 0.01 * (p->yield - (double)heard / sent); /* it may be the targets, after all */
    return;
  }
  /* It rises at once and falls slowly, or loss would be taken for the targets' silence little by
   * little. */
  double share = (double)heard / sent, weight = share > p->yield ? 0.25 : 0.02;
  weight *= fmin(1, sent / 256.0);
  p->yield = p->yield < 0 ? share : p->yield + weight * (share - p->yield);
  if (p->limited && epoch >= p->hold_until && !is_queued(p))
    p->window = fmin(WINDOW_MAX, p->window * (p->calm ? 1.5 : 1.004));
  p->limited = false;
}

/* Close what later epochs were answered before, and what has been silent for long. */
static void close_epochs(scan_pace *p, int64_t now_ns)
{
  int64_t now = epoch_of(now_ns), newest = atomic_load_explicit(&p->newest, memory_order_relaxed);
  int64_t rtt = atomic_load_explicit(&p->rtt_ns, memory_order_relaxed);
  int64_t patience = epoch_of(rtt ? 20 * MS + 2 * rtt : 50 * MS);
  if (patience > PACE_EPOCHS / 2) patience = PACE_EPOCHS / 2;
  while (p->opened < now && (p->opened + REORDER < newest || p->opened + patience < now))
    close_epoch(p, p->opened++, now_ns);
}

/* What was sent in open epochs and is not answered yet. */
static uint64_t in_flight(const scan_pace *p)
{
  uint64_t heard = 0;
  for (int64_t e = p->opened; e <= p->latest; e++)
    heard += atomic_load_explicit(&p->heard[(size_t)e % PACE_EPOCHS], memory_order_relaxed);
  return heard < p->sent_open ? p->sent_open - heard : 0;
}

/* By the rate: how many of 'want' may go now, and else when. */
static size_t within_rate(scan_pace *p, int64_t now_ns, size_t want, int64_t *wait_ns)
{
  if (p->due_ns < now_ns - 10 * MS) p->due_ns = now_ns - 10 * MS; /* being late is made up for */
  double may = (double)(now_ns - p->due_ns) * p->rate / 1e9 + 1;
  if (may >= (double)want) return want;
  if (may < 1) *wait_ns = p->due_ns - now_ns;
  return may < 1 ? 0 : (size_t)may;
}

/* By the window. */
static size_t within_window(scan_pace *p, int64_t now_ns, size_t want, int64_t lag_ns,
                            int64_t *wait_ns)
{
  close_epochs(p, now_ns);
  if (lag_ns > LAG_MAX) shrink(p, epoch_of(now_ns), 0.7);
  double room = p->window - (double)in_flight(p);
  if (room >= (double)want) return want;
  p->limited = true;
  *wait_ns = MS / 50;
  return room < WORTH_IT ? 0 : (size_t)room;
}

size_t scan_pace_allow(scan_pace *p, int64_t now_ns, size_t want, int64_t lag_ns, int64_t *wait_ns)
{
  *wait_ns = 0;
  if (p->rate > 0) want = within_rate(p, now_ns, want, wait_ns);
  if (p->adapts && want > 0) want = within_window(p, now_ns, want, lag_ns, wait_ns);
  return want;
}

void scan_pace_sent(scan_pace *p, int64_t now_ns, size_t count)
{
  int64_t epoch = epoch_of(now_ns);
  if (p->rate > 0) p->due_ns += (int64_t)((double)count * 1e9 / p->rate);
  if (!p->adapts) return;
  close_epochs(p, now_ns);
  if (epoch > p->latest) /* what came late for the epoch that had this place before */
    atomic_store_explicit(&p->heard[(size_t)epoch % PACE_EPOCHS], 0, memory_order_relaxed);
  p->latest = epoch;
  p->sent_open += count;
  atomic_fetch_add_explicit(&p->sent[(size_t)epoch % PACE_EPOCHS], (uint32_t)count,
                            memory_order_relaxed);
}

void scan_pace_heard(scan_pace *p, int64_t sent_ns, int64_t rtt_ns)
{
  int64_t epoch = epoch_of(sent_ns);
  atomic_fetch_add_explicit(&p->heard[(size_t)epoch % PACE_EPOCHS], 1, memory_order_relaxed);
  if (epoch > atomic_load_explicit(&p->newest, memory_order_relaxed))
    atomic_store_explicit(&p->newest, epoch, memory_order_relaxed);
  if (rtt_ns < 0) return;
  atomic_store_explicit(&p->rtt_latest_ns, rtt_ns, memory_order_relaxed);
  if (rtt_ns > atomic_load_explicit(&p->rtt_ns, memory_order_relaxed))
    atomic_store_explicit(&p->rtt_ns, rtt_ns, memory_order_relaxed);
  int64_t least = atomic_load_explicit(&p->rtt_least_ns, memory_order_relaxed);
  if (least == 0 || rtt_ns < least)
    atomic_store_explicit(&p->rtt_least_ns, rtt_ns, memory_order_relaxed);
}
