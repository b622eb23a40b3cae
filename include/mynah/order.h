/* order.h - the order in which a scan visits its targets: random to look at, kept in no memory.
 * A keyed permutation of 0 … size - 1 and its inverse, cut into shards; any place of it can be
 * begun at, so that a scan resumes by one number. Pure. */
#ifndef MYNAH_ORDER_H
#define MYNAH_ORDER_H

#include <stdint.h>

#include "mynah/status.h"

enum { MY_ORDER_ROUNDS = 6 };

/* Read-only once it is set up: share it between threads. */
typedef struct my_order {
  uint64_t size;
  uint64_t left, right; /* an item is two digits, of 'left' and 'right' values each */
  uint64_t keys[MY_ORDER_ROUNDS];
} my_order;

/* Set up the order of 'size' items (1 to 2^62) that belongs to 'seed': the same pair gives the same
 * order on every machine. MY_OK or MY_ERANGE. */
int my_order_init(my_order *o, uint64_t size, uint64_t seed);

/* The item at 'place' and the place of 'item', both from 0 and below size. */
uint64_t my_order_item(const my_order *o, uint64_t place);
uint64_t my_order_place(const my_order *o, uint64_t item);

/* Shard 'index' (from 0) of 'count' has every count-th place of the whole order: how many of them
 * there are, and the n-th (from 0). */
uint64_t my_shard_size(uint64_t size, uint64_t index, uint64_t count);
uint64_t my_shard_place(uint64_t n, uint64_t index, uint64_t count);

#endif
