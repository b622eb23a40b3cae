/* rtt.c - how long to wait for a peer before asking again: RFC 6298's estimate, one a peer address.
 * A table of fixed size in which a newcomer takes the place of whoever had it: forgetting costs one
 * wait of 1 s. */
#include "state.h"

#include <string.h>

enum { SEED_MS = 1000, LEAST_MS = 100, MOST_MS = 60000 };

static rtt_slot *slot_of(const my_engine *e, const my_endpoint *peer)
{
  uint64_t h = peer->family;
  for (size_t i = 0; i < sizeof peer->bytes; i++)
    h = (h ^ peer->bytes[i]) * UINT64_C(0x100000001b3);
  h ^= h >> 29;
  return (rtt_slot *)&e->rtt[h % RTT_SLOTS];
}

void my_rtt_sample(my_engine *e, const my_endpoint *peer, int64_t rtt_ns)
{
  rtt_slot *s = slot_of(e, peer);
  if (rtt_ns < 1) rtt_ns = 1;
  if (!s->srtt || !my_endpoint_same_address(&s->peer, peer)) {
    *s = (rtt_slot){.peer = *peer, .srtt = rtt_ns, .rttvar = rtt_ns / 2};
    return;
  }
  int64_t off = s->srtt > rtt_ns ? s->srtt - rtt_ns : rtt_ns - s->srtt;
  s->rttvar += (off - s->rttvar) / 4;
  s->srtt += (rtt_ns - s->srtt) / 8;
  if (s->srtt < 1) s->srtt = 1;
}

int64_t my_rtt_timeout(const my_engine *e, const my_endpoint *peer, unsigned attempts_sent)
{
  const rtt_slot *s = slot_of(e, peer);
  int64_t rto = SEED_MS * MS;
  if (s->srtt && my_endpoint_same_address(&s->peer, peer)) rto = s->srtt + 4 * s->rttvar;
  if (rto < LEAST_MS * MS) rto = LEAST_MS * MS;
  for (unsigned i = 1; i < attempts_sent && rto < MOST_MS * MS; i++)
    rto *= 2;
  return rto < MOST_MS * MS ? rto : MOST_MS * MS;
}
