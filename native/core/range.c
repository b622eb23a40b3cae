/* range.c - ranges are kept as they come and made one whole by a sweep: at each address where some
 * begin or end, what is asked there is the union of those that are open. */
#include "mynah/range.h"

#include <stdlib.h>
#include <string.h>

__extension__ typedef unsigned __int128 address; /* IPv4 in its lowest 32 bits */

enum { EXCLUDED = -100, PORTS_ALL = 65536 }; /* no set, and no MY_E… */
#define ITEMS_MAX (UINT64_C(1) << 62)

typedef struct port_set {
  uint16_t *ports; /* ascending */
  size_t count;
  uint32_t *begins; /* of each port, its first question; NULL: one to each */
  uint32_t questions;
} port_set;

typedef struct entry {
  address first, last;
  int ports;
  uint8_t family;
} entry;

typedef struct piece {
  address first, last;
  uint64_t begin; /* the number of its first item */
  int ports;
  uint8_t family;
} piece;

struct my_ranges {
  port_set *sets;
  size_t set_count, set_room;
  int single[PORTS_ALL];    /* the set of that port alone, plus 1; 0: none yet */
  uint8_t asked[PORTS_ALL]; /* questions to each; 0: not said, and in no set */
  entry *entries;
  size_t entry_count, entry_room;
  piece *pieces;
  size_t piece_count, piece_room;
  uint64_t items, addresses, excluded;
  bool sealed;
};

/* Room for one more: doubles. */
static int grow(void **array, size_t *room, size_t count, size_t size)
{
  if (count < *room) return MY_OK;
  size_t more = *room ? *room * 2 : 16;
  void *bigger = realloc(*array, more * size);
  if (!bigger) return MY_ENOMEM;
  *array = bigger;
  *room = more;
  return MY_OK;
}

int my_ranges_new(my_ranges **out)
{
  *out = calloc(1, sizeof **out);
  return *out ? MY_OK : MY_ENOMEM;
}

void my_ranges_free(my_ranges *r)
{
  if (!r) return;
  for (size_t i = 0; i < r->set_count; i++) {
    free(r->sets[i].ports);
    free(r->sets[i].begins);
  }
  free(r->sets);
  free(r->entries);
  free(r->pieces);
  free(r);
}

/* ---- ports ---- */

static int find_set(const my_ranges *r, const uint16_t *ports, size_t count)
{
  if (count == 1) return r->single[ports[0]] - 1;
  for (size_t i = 0; i < r->set_count; i++)
    if (r->sets[i].count == count && memcmp(r->sets[i].ports, ports, count * sizeof *ports) == 0)
      return (int)i;
  return -1;
}

int my_ranges_ask(my_ranges *r, uint16_t port, unsigned questions)
{
  if (questions == 0 || questions > MY_QUESTIONS_MAX) return MY_ERANGE;
  if (r->asked[port]) return r->asked[port] == questions ? MY_OK : MY_ESTATE;
  r->asked[port] = (uint8_t)questions;
  return MY_OK;
}

unsigned my_ranges_questions(const my_ranges *r, uint16_t port)
{
  return r->asked[port] ? r->asked[port] : 1;
}

/* Where the questions of each port begin. */
static int count_questions(my_ranges *r, port_set *set)
{
  set->questions = 0;
  for (size_t i = 0; i < set->count; i++) {
    my_ranges_ask(r, set->ports[i], my_ranges_questions(r, set->ports[i]));
    set->questions += r->asked[set->ports[i]];
  }
  if (set->questions == set->count) return MY_OK;
  set->begins = malloc(set->count * sizeof *set->begins);
  if (!set->begins) return MY_ENOMEM;
  uint32_t begin = 0;
  for (size_t i = 0; i < set->count; i++) {
    set->begins[i] = begin;
    begin += r->asked[set->ports[i]];
  }
  return MY_OK;
}

/* 'ports' is ascending and none stands twice. */
static int intern(my_ranges *r, const uint16_t *ports, size_t count)
{
  int known = find_set(r, ports, count);
  if (known >= 0) return known;
  int rc = grow((void **)&r->sets, &r->set_room, r->set_count, sizeof *r->sets);
  if (rc != MY_OK) return rc;
  uint16_t *copy = malloc(count * sizeof *copy);
  if (!copy) return MY_ENOMEM;
  memcpy(copy, ports, count * sizeof *copy);
  port_set *set = &r->sets[r->set_count];
  *set = (port_set){.ports = copy, .count = count};
  if ((rc = count_questions(r, set)) != MY_OK) {
    free(copy);
    return rc;
  }
  if (count == 1) r->single[ports[0]] = (int)r->set_count + 1;
  return (int)r->set_count++;
}

/* The ports that are marked, as a set. */
static int intern_marked(my_ranges *r, const bool marked[PORTS_ALL])
{
  uint16_t *list = malloc(PORTS_ALL * sizeof *list);
  if (!list) return MY_ENOMEM;
  size_t count = 0;
  for (int port = 1; port < PORTS_ALL; port++)
    if (marked[port]) list[count++] = (uint16_t)port;
  int set = count ? intern(r, list, count) : MY_ERANGE;
  free(list);
  return set;
}

int my_ranges_ports(my_ranges *r, const uint16_t *ports, size_t count)
{
  if (count == 1 && ports[0] > 0) return intern(r, ports, 1);
  bool *marked = calloc(PORTS_ALL, sizeof *marked);
  if (!marked) return MY_ENOMEM;
  for (size_t i = 0; i < count; i++)
    marked[ports[i]] = true;
  int set = marked[0] ? MY_ERANGE : intern_marked(r, marked);
  free(marked);
  return set;
}

/* ---- addresses ---- */

static address address_of(const my_endpoint *e)
{
  address a = 0;
  for (size_t i = 0; i < (e->family == 4 ? 4u : 16u); i++)
    a = a << 8 | e->bytes[i];
  return a;
}

static void endpoint_of(uint8_t family, address a, uint16_t port, my_endpoint *out)
{
  *out = (my_endpoint){.family = family, .port = port};
  for (size_t i = family == 4 ? 4 : 16; i > 0; i--, a >>= 8)
    out->bytes[i - 1] = (uint8_t)a;
}

static int add_entry(my_ranges *r, const my_endpoint *first, const my_endpoint *last, int ports)
{
  if (r->sealed) return MY_ESTATE;
  if (first->family != last->family || first->family == 0) return MY_ERANGE;
  entry e = {address_of(first), address_of(last), ports, first->family};
  if (e.first > e.last) return MY_ERANGE;
  int rc = grow((void **)&r->entries, &r->entry_room, r->entry_count, sizeof *r->entries);
  if (rc == MY_OK) r->entries[r->entry_count++] = e;
  return rc;
}

int my_ranges_add(my_ranges *r, const my_endpoint *first, const my_endpoint *last, int ports)
{
  if (ports < 0 || (size_t)ports >= r->set_count) return MY_ERANGE;
  return add_entry(r, first, last, ports);
}

int my_ranges_exclude(my_ranges *r, const my_endpoint *first, const my_endpoint *last)
{
  return add_entry(r, first, last, EXCLUDED);
}

/* ---- the sweep ---- */

static int by_first(const void *a, const void *b)
{
  const entry *x = a, *y = b;
  if (x->family != y->family) return x->family < y->family ? -1 : 1;
  if (x->first != y->first) return x->first < y->first ? -1 : 1;
  return x->ports - y->ports;
}

/* The entries that cover the place where the sweep is. */
typedef struct open_list {
  const entry **at;
  size_t count, room;
} open_list;

static void drop_ended(open_list *open, address here)
{
  size_t kept = 0;
  for (size_t i = 0; i < open->count; i++)
    if (open->at[i]->last >= here) open->at[kept++] = open->at[i];
  open->count = kept;
}

/* What is asked where these are open: a set; EXCLUDED, where nothing is; or MY_ENOMEM. */
static int ports_of(my_ranges *r, const open_list *open, bool *excluded)
{
  int only = open->at[0]->ports;
  bool differ = false;
  *excluded = false;
  for (size_t i = 0; i < open->count; i++) {
    if (open->at[i]->ports == EXCLUDED)
      *excluded = true;
    else if (only == EXCLUDED)
      only = open->at[i]->ports;
    else
      differ = differ || open->at[i]->ports != only;
  }
  if (*excluded || !differ) return only;
  bool *marked = calloc(PORTS_ALL, sizeof *marked);
  if (!marked) return MY_ENOMEM;
  for (size_t i = 0; i < open->count; i++) {
    const port_set *set = &r->sets[open->at[i]->ports];
    for (size_t k = 0; k < set->count; k++)
      marked[set->ports[k]] = true;
  }
  int set = intern_marked(r, marked);
  free(marked);
  return set;
}

static uint64_t clipped(address n)
{
  return n > UINT64_MAX ? UINT64_MAX : (uint64_t)n;
}

static int add_piece(my_ranges *r, piece p)
{
  address width = p.last - p.first + 1;
  if (width == 0 || width > ITEMS_MAX) return MY_ERANGE; /* 0: all of 2^128 */
  address items = width * r->sets[p.ports].questions;
  if (items + r->items > ITEMS_MAX) return MY_ERANGE;
  p.begin = r->items;
  r->items += (uint64_t)items;
  r->addresses += (uint64_t)width;
  piece *before = r->piece_count ? &r->pieces[r->piece_count - 1] : NULL;
  if (before && before->family == p.family && before->ports == p.ports &&
      before->last + 1 == p.first) {
    before->last = p.last;
    return MY_OK;
  }
  int rc = grow((void **)&r->pieces, &r->piece_room, r->piece_count, sizeof *r->pieces);
  if (rc == MY_OK) r->pieces[r->piece_count++] = p;
  return rc;
}

/* One stretch of addresses over which the same entries are open. */
static int close_stretch(my_ranges *r, const open_list *open, address from, address to)
{
  bool excluded;
  int ports = ports_of(r, open, &excluded);
  if (ports == EXCLUDED) return MY_OK; /* excluded, and nobody asked */
  if (ports < 0) return ports;
  if (!excluded) return add_piece(r, (piece){from, to, 0, ports, open->at[0]->family});
  uint64_t width = clipped(to - from);
  r->excluded += width < UINT64_MAX - r->excluded ? width + 1 : 0;
  return MY_OK;
}

/* From 'here' on until all that are open have ended, or 'before' is reached. */
static int sweep_to(my_ranges *r, open_list *open, address *here, const address *before)
{
  int rc = MY_OK;
  while (rc == MY_OK && open->count > 0 && (!before || *here < *before)) {
    address end = open->at[0]->last;
    for (size_t i = 1; i < open->count; i++)
      if (open->at[i]->last < end) end = open->at[i]->last;
    if (before && *before - 1 < end) end = *before - 1;
    rc = close_stretch(r, open, *here, end);
    *here = end + 1;
    if (*here == 0) open->count = 0; /* the last address there is */
    drop_ended(open, *here);
  }
  return rc;
}

static int sweep(my_ranges *r, open_list *open)
{
  address here = 0;
  uint8_t family = 0;
  int rc = MY_OK;
  for (size_t i = 0; i < r->entry_count && rc == MY_OK; i++) {
    const entry *e = &r->entries[i];
    rc = sweep_to(r, open, &here, e->family == family ? &e->first : NULL);
    if (rc != MY_OK) break;
    rc = grow((void **)&open->at, &open->room, open->count, sizeof *open->at);
    if (rc != MY_OK) break;
    open->at[open->count++] = e;
    here = e->first;
    family = e->family;
  }
  return rc == MY_OK ? sweep_to(r, open, &here, NULL) : rc;
}

int my_ranges_seal(my_ranges *r)
{
  open_list open = {0};
  if (r->sealed) return MY_OK;
  if (r->entry_count) qsort(r->entries, r->entry_count, sizeof *r->entries, by_first);
  int rc = sweep(r, &open);
  free((void *)open.at);
  free(r->entries);
  r->entries = NULL;
  r->entry_count = r->entry_room = 0;
  r->sealed = true;
  return rc;
}

/* ---- items ---- */

uint64_t my_ranges_items(const my_ranges *r)
{
  return r->items;
}

uint64_t my_ranges_addresses(const my_ranges *r)
{
  return r->addresses;
}

uint64_t my_ranges_excluded(const my_ranges *r)
{
  return r->excluded;
}

/* Which port the n-th question of a set is for; *n becomes its number among that port's. */
static size_t port_of(const port_set *set, uint64_t *n)
{
  size_t low = 0, high = set->count;
  if (!set->begins) {
    low = (size_t)*n;
    *n = 0;
    return low;
  }
  while (high - low > 1) { /* the last port that begins at or before it */
    size_t middle = low + (high - low) / 2;
    if (set->begins[middle] <= *n)
      low = middle;
    else
      high = middle;
  }
  *n -= set->begins[low];
  return low;
}

unsigned my_ranges_item(const my_ranges *r, uint64_t item, my_endpoint *out)
{
  size_t low = 0, high = r->piece_count;
  while (high - low > 1) { /* the last piece that begins at or before it */
    size_t middle = low + (high - low) / 2;
    if (r->pieces[middle].begin <= item)
      low = middle;
    else
      high = middle;
  }
  const piece *p = &r->pieces[low];
  const port_set *set = &r->sets[p->ports];
  uint64_t within = item - p->begin, question = within % set->questions;
  uint16_t port = set->ports[port_of(set, &question)];
  endpoint_of(p->family, p->first + within / set->questions, port, out);
  return (unsigned)question;
}

static int compare_piece(const piece *p, uint8_t family, address a)
{
  if (p->family != family) return p->family < family ? -1 : 1;
  return p->last < a ? -1 : p->first > a ? 1 : 0;
}

static bool find_port(const port_set *set, uint16_t port, size_t *at)
{
  size_t low = 0, high = set->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (set->ports[middle] < port)
      low = middle + 1;
    else
      high = middle;
  }
  *at = low;
  return low < set->count && set->ports[low] == port;
}

bool my_ranges_find(const my_ranges *r, const my_endpoint *e, uint64_t *item)
{
  address a = address_of(e);
  size_t low = 0, high = r->piece_count, at;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const piece *p = &r->pieces[middle];
    int order = compare_piece(p, e->family, a);
    if (order == 0) {
      const port_set *set = &r->sets[p->ports];
      if (!find_port(set, e->port, &at)) return false;
      *item = p->begin + (uint64_t)(a - p->first) * set->questions +
              (set->begins ? set->begins[at] : at);
      return true;
    }
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return false;
}

size_t my_ranges_pieces(const my_ranges *r)
{
  return r->piece_count;
}

void my_ranges_piece(const my_ranges *r, size_t n, my_range *out)
{
  const piece *p = &r->pieces[n];
  const port_set *set = &r->sets[p->ports];
  endpoint_of(p->family, p->first, 0, &out->first);
  endpoint_of(p->family, p->last, 0, &out->last);
  out->addresses = (uint64_t)(p->last - p->first) + 1;
  out->ports = set->ports;
  out->port_count = set->count;
}
