/* range.h - the whole of what a scan asks: ranges of addresses with the ports of each, less what is
 * excluded, as items numbered from 0. IPv4 comes before IPv6, addresses in their order, ports
 * ascending, the questions to a port in their order. Pure. IPv6 zones are left out: an interface is
 * the scan's matter. */
#ifndef MYNAH_RANGE_H
#define MYNAH_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mynah/status.h"
#include "mynah/target.h"

typedef struct my_ranges my_ranges;

int my_ranges_new(my_ranges **out);
void my_ranges_free(my_ranges *r); /* NULL is allowed */

/* A set of ports (1 to 65535, any order, twice is once), for my_ranges_add. Its number, from 0, or
 * MY_ERANGE, MY_ENOMEM. */
int my_ranges_ports(my_ranges *r, const uint16_t *ports, size_t count);

/* So many questions are asked at that port wherever it stands, an item each (1 where nothing is
 * said). To be said before the first set that has the port: else MY_ESTATE. MY_ERANGE: none, or
 * more than MY_QUESTIONS_MAX. */
enum { MY_QUESTIONS_MAX = 255 };
int my_ranges_ask(my_ranges *r, uint16_t port, unsigned questions);
unsigned my_ranges_questions(const my_ranges *r, uint16_t port);

/* Ask these addresses, 'first' and 'last' among them, at the ports of that set; ranges may overlap,
 * then each of their ports is asked once. Never ask those that are excluded, whatever is added
 * before or after. MY_OK; MY_ERANGE: two families, or the first above the last; MY_ESTATE: sealed;
 * MY_ENOMEM. */
int my_ranges_add(my_ranges *r, const my_endpoint *first, const my_endpoint *last, int ports);
int my_ranges_exclude(my_ranges *r, const my_endpoint *first, const my_endpoint *last);

/* Make one whole of it; from then on it is read-only: share it between threads. MY_OK, MY_ENOMEM;
 * MY_ERANGE: more than 2^62 items. */
int my_ranges_seal(my_ranges *r);

/* Of a sealed one: how many items and addresses there are, and how many addresses were excluded of
 * those that were added. */
uint64_t my_ranges_items(const my_ranges *r);
uint64_t my_ranges_addresses(const my_ranges *r);
uint64_t my_ranges_excluded(const my_ranges *r);

/* The item of that number, below my_ranges_items: whom, and which of the questions to that port,
 * from 0. And the number of an endpoint's first question, which the others follow. False: it is
 * none. */
unsigned my_ranges_item(const my_ranges *r, uint64_t item, my_endpoint *out);
bool my_ranges_find(const my_ranges *r, const my_endpoint *e, uint64_t *item);

/* The pieces that it is made of, disjoint and ascending: how many, and the n-th. */
typedef struct my_range {
  my_endpoint first, last;
  uint64_t addresses; /* how many */
  const uint16_t *ports;
  size_t port_count;
} my_range;
size_t my_ranges_pieces(const my_ranges *r);
void my_ranges_piece(const my_ranges *r, size_t n, my_range *out);

#endif
