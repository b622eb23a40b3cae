/* limits.c - when a host, and the link, are free again. */
#include "mynah/limits.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "mynah/status.h"

enum {
  PLACES = 1 << 20, /* of hosts, 16 bytes each: memory is taken only where hosts are asked */
  CATCH_UP_MS = 10,
  SEGMENT = 1400
};

typedef struct turns {
  _Atomic int64_t free_ns, planned_ns; /* the next that is not taken; that is not planned */
} turns;

struct my_limits {
  int64_t host_gap_ns; /* 0: none */
  double byte_ns;      /* 0: none */
  _Atomic int64_t link_free_ns;
  turns *hosts; /* PLACES of them, where there is a gap */
};

static bool is_sane(double rate)
{
  return rate >= 0 && rate <= 1e12;
}

int my_limits_new(my_limits **out, const my_limits_config *config)
{
  *out = NULL;
  if (!is_sane(config->per_host) || !is_sane(config->bits)) return MY_ERANGE;
  my_limits *l = calloc(1, sizeof *l);
  if (!l) return MY_ENOMEM;
  if (config->per_host > 0) {
    double gap = 1e9 / config->per_host;
    l->host_gap_ns = gap < 1 ? 1 : gap > 1e18 ? (int64_t)1e18 : (int64_t)gap;
    l->hosts = calloc(PLACES, sizeof *l->hosts);
  }
  if (config->bits > 0) l->byte_ns = 8e9 / config->bits;
  if (l->host_gap_ns && !l->hosts) {
    my_limits_free(l);
    return MY_ENOMEM;
  }
  *out = l;
  return MY_OK;
}

void my_limits_free(my_limits *l)
{
  if (!l) return;
  free(l->hosts);
  free(l);
}

/* From 'earliest' on, or as soon as it is free; then it is not for 'cost'. */
static int64_t take_turn(_Atomic int64_t *free_ns, int64_t earliest, int64_t cost)
{
  int64_t at, was = atomic_load_explicit(free_ns, memory_order_relaxed);
  do
    at = was > earliest ? was : earliest;
  while (!atomic_compare_exchange_weak_explicit(free_ns, &was, at + cost, memory_order_relaxed,
                                                memory_order_relaxed));
  return at;
}

static size_t place_of(const my_endpoint *peer)
{
  uint64_t h = peer->family, part;
  for (size_t i = 0; i < sizeof peer->bytes; i += sizeof part) {
    memcpy(&part, peer->bytes + i, sizeof part);
    h = (h ^ part) * UINT64_C(0x9e3779b97f4a7c15);
    h ^= h >> 29;
  }
  return (size_t)(h >> 20) % PLACES;
}

int64_t my_limits_host(my_limits *l, const my_endpoint *peer, int64_t now_ns)
{
  if (!l || !l->host_gap_ns) return now_ns;
  return take_turn(&l->hosts[place_of(peer)].free_ns, now_ns, l->host_gap_ns);
}

int64_t my_limits_plan(my_limits *l, const my_endpoint *peer, int64_t now_ns)
{
  if (!l || !l->host_gap_ns) return now_ns;
  turns *host = &l->hosts[place_of(peer)];
  int64_t taken = atomic_load_explicit(&host->free_ns, memory_order_relaxed);
  return take_turn(&host->planned_ns, taken > now_ns ? taken : now_ns, l->host_gap_ns);
}

int64_t my_limits_link(my_limits *l, size_t bytes, int64_t now_ns)
{
  const int64_t catch_up = CATCH_UP_MS * INT64_C(1000000);
  if (!l || l->byte_ns <= 0) return now_ns;
  int64_t at =
      take_turn(&l->link_free_ns, now_ns - catch_up, (int64_t)((double)bytes * l->byte_ns));
  return at > now_ns ? at : now_ns;
}

size_t my_limits_burst(const my_limits *l)
{
  const double half_ms = 500000;
  return l && l->byte_ns > 0 ? (size_t)(half_ms / l->byte_ns) : SIZE_MAX;
}

size_t my_packet_bytes(my_packet kind, uint8_t family, size_t len)
{
  size_t ip = family == 4 ? 20 : 40;
  switch (kind) {
  case MY_PACKET_DATAGRAM:
    return ip + 8 + len;
  case MY_PACKET_SYN:
    return ip + 24;
  case MY_PACKET_CONNECTION:
    return 3 * ip + 40 + 32 + 32;
  default:
    return len + (len + SEGMENT - 1) / SEGMENT * (ip + 32);
  }
}
