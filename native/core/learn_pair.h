/* learn_pair.h - what the learner was told, kept within bounds. */
#ifndef MYNAH_CORE_LEARN_PAIR_H
#define MYNAH_CORE_LEARN_PAIR_H

#include "learn.h"

enum {
  FLOWS_MAX = 1024, /* with requests that wait: 24 MiB of them at the most */
  SERVERS_MAX = 1024,
  ALIKE_SLOTS = 1024,
  KEPT_BYTES = 32 << 20 /* of pairs and of what was asked before */
};

typedef struct kept_pair {
  told told;
  my_span *earlier; /* requests of the flow before it, the latest first */
  size_t earlier_count;
} kept_pair;

typedef struct heard_flow {
  uint32_t number;
  uint64_t used;                     /* when it last spoke, as the store counts; 0: a free slot */
  my_endpoint peer;                  /* whom the latest request was sent to */
  my_span waiting[MY_LEARN_WAITING]; /* requests, the latest first; owned */
  size_t count;
} heard_flow;

typedef struct known_server {
  my_endpoint peer;
  uint32_t given;
} known_server;

typedef struct store {
  arena memory;
  kept_pair *pairs;
  size_t pair_count;
  heard_flow *flows; /* FLOWS_MAX slots, by number; NULL: nothing was heard */
  uint16_t alike[ALIKE_SLOTS];
  known_server *servers;
  size_t server_count, kept_bytes;
  uint64_t clock;
} store;

int store_pair(store *s, const my_pair *pair, my_transport transport, uint32_t server,
               uint32_t flow);
int store_message(store *s, const my_message *m);
/* Give replies that break the strongest echo the earlier request that keeps it. */
void store_settle(store *s);
void store_free(store *s);

#endif
