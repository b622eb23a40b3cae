/* fragment.c - fragments of IP put together: each datagram has its bytes and, for every 8 of them,
 * a bit that says they came. */
#include "mynah/fragment.h"
#include "packet.h"

#include <stdlib.h>
#include <string.h>

enum { DATAGRAM_MAX = 65535, UNIT = 8, UNITS = (DATAGRAM_MAX + UNIT) / UNIT };
#define FORGOTTEN_NS (INT64_C(30) * 1000000000)

typedef struct datagram {
  bool used, spoilt; /* spoilt: its fragments overlap, the rest of them is ignored */
  my_endpoint from, to;
  uint32_t id;
  uint8_t protocol;
  int64_t began_ns;
  size_t len;    /* 0: the last fragment did not come yet */
  size_t filled; /* bytes that came */
  size_t size;   /* of bytes */
  uint8_t *bytes;
  uint8_t came[(UNITS + 7) / 8];
} datagram;

struct my_fragments {
  datagram list[MY_FRAGMENT_DATAGRAMS];
  uint8_t *given; /* the bytes of the last that was whole */
};

int my_fragments_new(my_fragments **out)
{
  *out = calloc(1, sizeof **out);
  return *out != NULL ? MY_OK : MY_ENOMEM;
}

static void forget(datagram *d)
{
  free(d->bytes);
  *d = (datagram){0};
}

void my_fragments_free(my_fragments *f)
{
  if (f == NULL) return;
  for (size_t i = 0; i < MY_FRAGMENT_DATAGRAMS; i++)
    free(f->list[i].bytes);
  free(f->given);
  free(f);
}

/* ---- which datagram ---- */

static bool is_of(const datagram *d, const my_fragment *g)
{
  return d->used && d->id == g->id && (d->protocol == g->protocol || g->from.family == 6) &&
         my_endpoint_same_address(&d->from, &g->from) && my_endpoint_same_address(&d->to, &g->to);
}

/* The datagram of a fragment, or room for it: what is too old, else unused, else the oldest. */
static datagram *find_datagram(my_fragments *f, const my_fragment *g, int64_t now_ns)
{
  datagram *room = &f->list[0];
  for (size_t i = 0; i < MY_FRAGMENT_DATAGRAMS; i++) {
    datagram *d = &f->list[i];
    if (d->used && (now_ns - d->began_ns > FORGOTTEN_NS || now_ns < d->began_ns - FORGOTTEN_NS))
      forget(d);
    if (is_of(d, g)) return d;
    if (room->used && (!d->used || d->began_ns < room->began_ns)) room = d;
  }
  forget(room);
  *room = (datagram){.used = true,
                     .from = g->from,
                     .to = g->to,
                     .id = g->id,
                     .protocol = g->protocol,
                     .began_ns = now_ns};
  return room;
}

/* ---- its bytes ---- */

static bool make_room(datagram *d, size_t size)
{
  if (size <= d->size) return true;
  size = size < 4096 ? 4096 : size < DATAGRAM_MAX / 2 ? 2 * size : DATAGRAM_MAX;
  uint8_t *bytes = realloc(d->bytes, size);
  if (bytes == NULL) return false;
  d->bytes = bytes;
  d->size = size;
  return true;
}

/* Of the units that the fragment covers: how many came before. */
static size_t mark_units(datagram *d, size_t first, size_t count)
{
  size_t before = 0;
  for (size_t u = first; u < first + count; u++) {
    uint8_t bit = (uint8_t)(1u << u % 8);
    before += (d->came[u / 8] & bit) != 0;
    d->came[u / 8] |= bit;
  }
  return before;
}

/* Can this be a fragment at all, beside those that came? */
static bool is_sound(const datagram *d, const my_fragment *g)
{
  size_t end = (size_t)g->offset + g->data.len;
  if (g->data.len == 0 || end > DATAGRAM_MAX || (g->more && g->data.len % UNIT != 0)) return false;
  return d->len == 0 || (g->more ? end <= d->len : end == d->len);
}

/* MY_OK: it is in its place; MY_NOT_YET: it came before, or spoilt the datagram. */
static int put(datagram *d, const my_fragment *g)
{
  size_t end = (size_t)g->offset + g->data.len, units = (g->data.len + UNIT - 1) / UNIT;
  if (!make_room(d, end)) return MY_ENOMEM;
  size_t before = mark_units(d, g->offset / UNIT, units);
  bool again = before == units && memcmp(d->bytes + g->offset, g->data.data, g->data.len) == 0;
  if (before > 0) {
    d->spoilt |= !again;
    return MY_NOT_YET;
  }
  memcpy(d->bytes + g->offset, g->data.data, g->data.len);
  d->filled += g->data.len;
  if (g->offset == 0) d->protocol = g->protocol; /* RFC 8200: that of the first counts */
  if (!g->more) d->len = end;
  return MY_OK;
}

int my_fragments_add(my_fragments *f, const my_fragment *fragment, my_payload *out)
{
  datagram *d = find_datagram(f, fragment, out->time_ns);
  if (d->spoilt) return MY_NOT_YET;
  if (!is_sound(d, fragment)) {
    d->spoilt = true;
    return MY_NOT_YET;
  }
  int rc = put(d, fragment);
  if (rc != MY_OK || d->len == 0 || d->filled != d->len) return rc == MY_OK ? MY_NOT_YET : rc;
  free(f->given);
  f->given = d->bytes;
  d->bytes = NULL;
  rc = packet_decode_body((my_span){f->given, d->len}, d->protocol, &d->from, &d->to, out);
  forget(d);
  return rc == MY_OK ? MY_OK : MY_NOT_YET;
}

int my_fragments_decode(my_fragments *f, int dlt, my_span frame, size_t wire_len, my_payload *out)
{
  my_fragment fragment;
  int rc = my_packet_decode(dlt, frame, wire_len, out);
  if (rc != MY_NOT_YET || my_packet_fragment(dlt, frame, wire_len, &fragment) != MY_OK) return rc;
  return my_fragments_add(f, &fragment, out);
}
