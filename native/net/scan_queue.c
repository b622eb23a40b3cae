/* scan_queue.c - answers from the listening thread to whoever asks for them, without a lock. */
#include "scan.h"

#include <stdlib.h>
#include <string.h>

/* An endpoint without the room that it does not use. */
typedef struct packed {
  uint8_t family;
  uint16_t port;
} packed;

/* An answer as it lies in the queue: this, the addresses, the reply; all of it is a multiple of 8.
 * An answer never wraps: what is left at the end of the ring is passed over. */
typedef struct entry {
  uint32_t size; /* of the whole; the highest bit: nothing but room to pass over */
  uint32_t len;  /* of the reply */
  int64_t received_ns, rtt_ns, took_ns;
  const my_sig *sig;
  uint8_t kind, reason, attempt, question;
  bool asked;
  uint8_t ended;
  packed peer, from, my;
} entry;

enum { ENDPOINTS_MAX = 3 * 16 };

#define PASS_OVER UINT32_C(0x80000000)

int scan_queue_init(scan_queue *q)
{
  q->bytes = malloc(QUEUE_BYTES);
  return q->bytes ? MY_OK : MY_ENOMEM;
}

static size_t rounded(size_t n)
{
  return (n + 7) / 8 * 8;
}

static size_t pack(const my_endpoint *e, packed *p, uint8_t *out)
{
  size_t len = e->family == 6 ? 16 : e->family == 4 ? 4 : 0;
  *p = (packed){e->family, e->port};
  memcpy(out, e->bytes, len);
  return len;
}

static size_t unpack(const packed *p, const uint8_t *bytes, my_endpoint *out)
{
  size_t len = p->family == 6 ? 16 : p->family == 4 ? 4 : 0;
  *out = (my_endpoint){.family = p->family, .port = p->port};
  memcpy(out->bytes, bytes, len);
  return len;
}

/* Room for so many bytes in one piece at the end of the queue, or NULL; *tail becomes where it is.
 */
static uint8_t *make_room(scan_queue *q, size_t size, uint64_t *tail)
{
  uint64_t head = atomic_load_explicit(&q->head, memory_order_acquire);
  size_t at = *tail % QUEUE_BYTES, left = QUEUE_BYTES - at, skip = left < size ? left : 0;
  if (*tail - head + skip + size > QUEUE_BYTES) return NULL;
  if (skip) {
    uint32_t mark = PASS_OVER | (uint32_t)skip;
    memcpy(q->bytes + at, &mark, sizeof mark);
    *tail += skip;
  }
  return q->bytes + *tail % QUEUE_BYTES;
}

bool scan_queue_put(scan_queue *q, const my_answer *answer)
{
  uint8_t addresses[ENDPOINTS_MAX];
  uint64_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
  entry e = {.len = (uint32_t)answer->data.len,
             .received_ns = answer->received_ns,
             .rtt_ns = answer->rtt_ns,
             .kind = (uint8_t)answer->kind,
             .reason = (uint8_t)answer->reason,
             .attempt = (uint8_t)answer->attempt,
             .question = (uint8_t)answer->question,
             .asked = answer->asked,
             .ended = (uint8_t)answer->ended,
             .took_ns = answer->took_ns,
             .sig = answer->sig};
  size_t len = pack(&answer->peer, &e.peer, addresses);
  len += pack(&answer->from, &e.from, addresses + len);
  len += pack(&answer->my, &e.my, addresses + len);
  e.size = (uint32_t)rounded(sizeof e + len + answer->data.len);
  uint8_t *out = make_room(q, e.size, &tail);
  if (!out) return false;
  memcpy(out, &e, sizeof e);
  memcpy(out + sizeof e, addresses, len);
  if (answer->data.len) memcpy(out + sizeof e + len, answer->data.data, answer->data.len);
  atomic_store_explicit(&q->tail, tail + e.size, memory_order_release);
  return true;
}

static void read_entry(const uint8_t *at, my_answer *out)
{
  entry e;
  memcpy(&e, at, sizeof e);
  *out = (my_answer){.kind = (my_answer_kind)e.kind,
                     .reason = (my_reason)e.reason,
                     .attempt = e.attempt,
                     .question = e.question,
                     .asked = e.asked,
                     .ended = (my_ending)e.ended,
                     .took_ns = e.took_ns,
                     .sig = e.sig,
                     .received_ns = e.received_ns,
                     .rtt_ns = e.rtt_ns};
  at += sizeof e;
  at += unpack(&e.peer, at, &out->peer);
  at += unpack(&e.from, at, &out->from);
  at += unpack(&e.my, at, &out->my);
  out->data = (my_span){at, e.len};
}

bool scan_queue_take(scan_queue *q, my_answer *out)
{
  atomic_store_explicit(&q->head, q->taking,
                        memory_order_release); /* the last one's bytes are free */
  for (;;) {
    uint64_t tail = atomic_load_explicit(&q->tail, memory_order_acquire);
    if (q->taking == tail) return false;
    const uint8_t *at = q->bytes + q->taking % QUEUE_BYTES;
    uint32_t size;
    memcpy(&size, at, sizeof size);
    q->taking += size & ~PASS_OVER;
    if (size & PASS_OVER) continue;
    read_entry(at, out);
    return true;
  }
}

double scan_queue_fill(scan_queue *q)
{
  uint64_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
  return (double)(atomic_load_explicit(&q->tail, memory_order_relaxed) - head) / QUEUE_BYTES;
}
