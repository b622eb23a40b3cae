/* flow.c - exchanges that share a source port, and whose a datagram is that comes back to it. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

static bool same_local(const my_endpoint *a, const my_endpoint *b)
{
  return a->family == b->family && a->port == b->port && a->scope == b->scope &&
         memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static flow **bucket_of(my_engine *e, uint64_t number)
{
  return &e->flows[(number * UINT64_C(0x9e3779b97f4a7c15)) >> 56]; /* FLOW_BUCKETS is 2^8 */
}

flow *my_flow_join(my_engine *e, const my_exchange *x)
{
  my_endpoint local = x->local;
  local.family = x->peer.family; /* one socket speaks one family */
  flow **bucket = bucket_of(e, x->flow);
  for (flow *f = *bucket; f; f = f->next) {
    if (f->number != x->flow || !same_local(&f->local, &local)) continue;
    f->users++;
    return f;
  }
  flow *f = calloc(1, sizeof *f);
  if (!f) return NULL;
  f->number = x->flow;
  f->local = local;
  f->users = 1;
  f->socket = (net_socket){.fd = -1, .kind = SOCKET_FLOW, .flow = f};
  f->next = *bucket;
  *bucket = f;
  return f;
}

static void unlink_sent(exchange *x)
{
  flow *f = x->flow;
  if (!x->in_flow_list) return;
  *(x->flow_prev ? &x->flow_prev->flow_next : &f->first_sent) = x->flow_next;
  *(x->flow_next ? &x->flow_next->flow_prev : &f->last_sent) = x->flow_prev;
  x->flow_prev = x->flow_next = NULL;
  x->in_flow_list = false;
}

void my_flow_sent(exchange *x)
{
  flow *f = x->flow;
  unlink_sent(x);
  x->flow_prev = f->last_sent;
  *(f->last_sent ? &f->last_sent->flow_next : &f->first_sent) = x;
  f->last_sent = x;
  x->in_flow_list = true;
}

void my_flow_restart_times(flow *f)
{
  /* Times of datagrams sent before would come under numbers that are used again. */
  for (exchange *x = f->last_sent; x; x = x->flow_prev)
    for (unsigned i = 0; i < x->sent; i++)
      x->attempts[i].kernel_time = true;
  my_net_restart_times(&f->socket);
}

void my_flow_hold(flow *f)
{
  if (f) f->users++;
}

void my_flow_release(my_engine *e, flow *f)
{
  if (!f || --f->users) return;
  my_net_close(e, &f->socket);
  flow **at = bucket_of(e, f->number);
  while (*at != f)
    at = &(*at)->next;
  *at = f->next;
  free(f);
}

void my_flow_leave(my_engine *e, exchange *x)
{
  flow *f = x->flow;
  if (!f) return;
  unlink_sent(x);
  x->flow = NULL;
  my_flow_release(e, f);
}

/* The exchange sent last to that very endpoint; else to that address; else the last of all. */
exchange *my_flow_of_reply(const flow *f, const my_endpoint *from)
{
  exchange *same_host = NULL;
  for (exchange *x = f->last_sent; x; x = x->flow_prev) {
    if (!my_endpoint_same_address(&x->peer, from)) continue;
    if (x->peer.port == from->port) return x;
    if (!same_host) same_host = x;
  }
  return same_host ? same_host : f->last_sent;
}

static bool was_quoted(const exchange *x, my_span quoted)
{
  if (!x->sent) return false;
  my_span payload = x->payloads[x->sent - 1];
  size_t n = quoted.len < payload.len ? quoted.len : payload.len;
  return n == 0 || memcmp(quoted.data, payload.data, n) == 0;
}

/* Of those sent to that endpoint: one whose payload is quoted and that knows of no error yet, else
 * the last. */
exchange *my_flow_of_icmp(const flow *f, const my_endpoint *to, my_span quoted)
{
  exchange *last = NULL;
  for (exchange *x = f->last_sent; x; x = x->flow_prev) {
    if (!my_endpoint_same_address(&x->peer, to) || x->peer.port != to->port) continue;
    if (was_quoted(x, quoted) && x->icmp == MY_REASON_NONE) return x;
    if (!last) last = x;
  }
  return last;
}
