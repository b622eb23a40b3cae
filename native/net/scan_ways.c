/* scan_ways.c - the next hops of all targets. Within stretches that no route of the kernel's begins
 * or ends in, all addresses go the same way: one question for each, not for each target. */
#include "netlink.h"
#include "scan.h"

#include <linux/fib_rules.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- where ways may part ---- */

typedef uint8_t place[16]; /* an address; IPv4 in the first 4 */

typedef struct borders {
  uint8_t family;
  place first, last; /* of all targets */
  place *at;
  size_t count, room;
  bool failed; /* no memory */
} borders;

static void add_border(borders *b, const place at)
{
  if (memcmp(at, b->first, sizeof(place)) <= 0 || memcmp(at, b->last, sizeof(place)) > 0) return;
  if (b->count == b->room) {
    size_t more = b->room ? 2 * b->room : 64;
    place *bigger = realloc(b->at, more * sizeof *bigger);
    b->failed = b->failed || !bigger;
    if (!bigger) return;
    b->at = bigger;
    b->room = more;
  }
  memcpy(b->at[b->count++], at, sizeof(place));
}

/* False: there is none behind the last one. */
static bool step(place at, size_t bits)
{
  for (size_t i = bits; i > 0; i--) {
    uint8_t bit = (uint8_t)(1u << (7 - (i - 1) % 8));
    at[(i - 1) / 8] ^= bit;
    if (at[(i - 1) / 8] & bit) return true;
  }
  return false;
}

/* Routes and rules have the same head, as far as it matters here. */
static void read_row(void *arg, const netlink_message *row)
{
  borders *b = arg;
  struct rtmsg head;
  my_endpoint begin = {0};
  bool rule = row->head.nlmsg_type == RTM_NEWRULE;
  memcpy(&head, row->body, sizeof head);
  netlink_address(row, sizeof head, rule ? FRA_DST : RTA_DST, b->family, &begin);
  if (head.rtm_dst_len == 0 || head.rtm_dst_len > 8 * netlink_width(b->family)) return;
  if (begin.family == 0 || (head.rtm_flags & RTM_F_CLONED && !rule)) return;
  add_border(b, begin.bytes);
  if (step(begin.bytes, head.rtm_dst_len)) add_border(b, begin.bytes);
}

static int compare(const void *a, const void *b)
{
  return memcmp(a, b, sizeof(place));
}

/* Where routes begin and where they end among the targets, ascending. */
static int find_borders(borders *b, int netlink, const my_ranges *targets, my_where *where)
{
  const uint16_t tables[] = {RTM_GETROUTE, RTM_GETRULE};
  my_range range;
  my_ranges_piece(targets, 0, &range);
  b->family = range.first.family;
  memcpy(b->first, range.first.bytes, sizeof(place));
  my_ranges_piece(targets, my_ranges_pieces(targets) - 1, &range);
  memcpy(b->last, range.last.bytes, sizeof(place));
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    netlink_message request;
    struct rtmsg head = {.rtm_family = netlink_family(b->family)};
    netlink_begin(&request, tables[i], NLM_F_DUMP, &head, sizeof head);
    int error = netlink_list(netlink, &request, read_row, b);
    if (error == 0 || tables[i] == RTM_GETRULE) continue; /* there may be no rules at all */
    snprintf(where->text, sizeof where->text, "cannot read the routes: %s", strerror(error));
    return MY_ESYS;
  }
  if (b->failed) return MY_ENOMEM;
  if (b->count) qsort(b->at, b->count, sizeof(place), compare);
  return MY_OK;
}

/* ---- ways ---- */

typedef struct walk {
  scan_ways *ways;
  const my_scan_config *config;
  int netlink;
  my_endpoint peers[SCAN_WAYS]; /* of each way, the first target */
  my_where trouble;             /* why no way leads to the first of those that none leads to */
  unsigned missing;             /* number of the way that they go by; SCAN_WAYS: there are none */
} walk;

/* May what goes by 'b' go by 'a', too? A way that is routed leads to every next hop of its link. */
static bool covers(const scan_way *a, const scan_way *b)
{
  if (a->index != b->index || !my_endpoint_same_address(&a->source, &b->source)) return false;
  if (b->routed) return a->routed;
  return my_endpoint_same_address(&a->gateway, &b->gateway);
}

/* The number of the way in the list, or MY_ERANGE. */
static int note_way(walk *w, const scan_way *way, const my_endpoint *peer, my_where *where)
{
  scan_ways *ways = w->ways;
  for (size_t i = 0; i < ways->count; i++)
    if (i != w->missing && covers(&ways->list[i], way)) return (int)i;
  if (ways->count == SCAN_WAYS) {
    snprintf(where->text, sizeof where->text,
             "the targets lie behind more than %d gateways: scan fewer at a time, or without --raw",
             SCAN_WAYS);
    return MY_ERANGE;
  }
  ways->list[ways->count] = *way;
  w->peers[ways->count] = *peer;
  return (int)ways->count++;
}

/* The number of the way to that target, or MY_E…. */
static int ask_way(walk *w, const my_endpoint *peer, my_where *where)
{
  scan_way way;
  my_where why = {0};
  const my_scan_config *c = w->config;
  int rc = scan_way_find(&way, w->netlink, peer, c->interface, &c->source, &why);
  if (rc == MY_OK) return note_way(w, &way, peer, where);
  if (rc != MY_ENOENT) return rc;
  if (w->missing < SCAN_WAYS) return (int)w->missing;
  w->trouble = why;
  int number = note_way(w, &(scan_way){.routed = true}, peer, where);
  if (number >= 0) w->missing = (unsigned)number;
  return number;
}

/* From 'from' to 'to' by that way: only where it is another one than before is it noted. One next
 * hop is asked for its hardware address, but not each of very many. */
static int note_stretch(walk *w, const my_endpoint *from, const place to, unsigned number)
{
  scan_ways *ways = w->ways;
  scan_way *way = &ways->list[number];
  if (way->gateway.family == 0 && way->ethernet &&
      (memcmp(from->bytes, to, sizeof(place)) != 0 ||
       !my_endpoint_same_address(from, &w->peers[number])))
    way->routed = true;
  if (ways->stretch_count && ways->stretches[ways->stretch_count - 1].way == number) return MY_OK;
  if (ways->stretch_count == ways->room) {
    size_t more = ways->room ? 2 * ways->room : 16;
    scan_stretch *bigger = realloc(ways->stretches, more * sizeof *bigger);
    if (!bigger) return MY_ENOMEM;
    ways->stretches = bigger;
    ways->room = more;
  }
  scan_stretch *s = &ways->stretches[ways->stretch_count++];
  memcpy(s->from, from->bytes, sizeof(place));
  s->way = number;
  return MY_OK;
}

/* All targets in their order. What lies between the same two borders is asked for once. */
static int walk_targets(walk *w, const borders *b, my_where *where)
{
  size_t next = 0,
         asked = SIZE_MAX; /* the border ahead; that which was ahead at the last question */
  int number = 0;
  for (size_t i = 0; i < my_ranges_pieces(w->config->targets); i++) {
    my_range range;
    my_ranges_piece(w->config->targets, i, &range);
    for (my_endpoint from = range.first;;) {
      while (next < b->count && memcmp(b->at[next], from.bytes, sizeof(place)) <= 0)
        next++;
      if (asked != next) number = ask_way(w, &from, where);
      if (number < 0) return number;
      asked = next;
      bool more = next < b->count && memcmp(b->at[next], range.last.bytes, sizeof(place)) <= 0;
      int rc = note_stretch(w, &from, more ? b->at[next] : range.last.bytes, (unsigned)number);
      if (rc != MY_OK) return rc;
      if (!more) break;
      memcpy(from.bytes, b->at[next], sizeof(place));
    }
  }
  return MY_OK;
}

/* Where the system finds next hops, it says to ourselves which of them it does not find. */
static int hear_ourselves(walk *w, const my_endpoint *us, my_where *where)
{
  scan_way way;
  my_where why = {0};
  const my_scan_config *c = w->config;
  int rc = scan_way_find(&way, w->netlink, us, c->interface, &c->source, &why);
  if (rc != MY_OK || !way.loopback) return MY_OK; /* loopback is down, or it is not our address */
  rc = note_way(w, &way, us, where);
  return rc < 0 ? rc : MY_OK;
}

/* The ways can be sent by: that which leads nowhere, too, as if it led somewhere. */
static int make_ready(walk *w, my_where *where)
{
  const scan_way *good = NULL, *routed = NULL;
  for (size_t i = 0; i < w->ways->count; i++) {
    scan_way *way = &w->ways->list[i];
    if (i == w->missing) continue;
    int rc = scan_way_resolve(way, w->netlink, &w->peers[i], where);
    if (rc != MY_OK) return rc;
    if (!good) good = way;
    if (!routed && way->routed && !way->loopback) routed = way;
  }
  if (!good) {
    *where = w->trouble;
    return MY_ENOENT;
  }
  if (w->missing < SCAN_WAYS) w->ways->list[w->missing].source = good->source;
  return routed ? hear_ourselves(w, &routed->source, where) : MY_OK;
}

int scan_ways_find(scan_ways *out, const my_scan_config *config, my_where *where)
{
  borders b = {0};
  walk *w = calloc(1, sizeof *w);
  *out = (scan_ways){0};
  if (!w) return MY_ENOMEM;
  *w = (walk){.ways = out, .config = config, .netlink = netlink_open(), .missing = SCAN_WAYS};
  int rc = w->netlink >= 0 ? find_borders(&b, w->netlink, config->targets, where) : MY_ESYS;
  if (rc == MY_OK) rc = walk_targets(w, &b, where);
  if (rc == MY_OK) rc = make_ready(w, where);
  if (w->netlink >= 0) close(w->netlink);
  free(b.at);
  free(w);
  if (rc != MY_OK) scan_ways_free(out);
  return rc;
}

void scan_ways_free(scan_ways *w)
{
  free(w->stretches);
  *w = (scan_ways){0};
}

unsigned scan_ways_to(const scan_ways *w, const my_endpoint *peer)
{
  size_t low = 0, high = w->stretch_count;
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    if (memcmp(w->stretches[middle].from, peer->bytes, sizeof(place)) <= 0)
      low = middle;
    else
      high = middle;
  }
  return w->stretches[low].way;
}
