/* sig_compose.c - a probe from its template: nonces out of the caller's entropy, addresses, broken
 * controls. */
#include "sig.h"

#include <string.h>

static uint8_t draw(byte_class c, uint8_t random, bool first)
{
  static const char alnum[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  switch (c) {
  case CLASS_ALPHA:
    return (uint8_t)alnum[random * 26 >> 8];
  case CLASS_ALNUM:
    return (uint8_t)alnum[random * 36 >> 8];
  case CLASS_DIGIT:
    return (uint8_t)('0' + (random * 10 >> 8));
  case CLASS_POS:
    return first ? (uint8_t)(1 + (random * 127 >> 8)) : random;
  default:
    return random;
  }
}

static void put_port(uint8_t *out, const my_endpoint *e)
{
  out[0] = (uint8_t)(e->port >> 8);
  out[1] = (uint8_t)e->port;
}

static int fill_slot(const slot *s, const my_endpoint *my, const my_endpoint *peer,
                     const uint8_t *entropy, uint8_t *probe)
{
  uint8_t *out = probe + s->offset;
  const my_endpoint *e = s->kind == SLOT_PEER_IP || s->kind == SLOT_PEER_PORT ? peer : my;
  switch (s->kind) {
  case SLOT_RANDOM:
    for (size_t i = 0; i < s->len; i++)
      out[i] = draw(s->class_, entropy[i], i == 0);
    return MY_OK;
  case SLOT_NIBBLE:
    *out = (uint8_t)(*out | (entropy[0] & s->mask));
    return MY_OK;
  case SLOT_MY_PORT:
  case SLOT_PEER_PORT:
    if (e == NULL) return MY_ERANGE;
    put_port(out, e);
    return MY_OK;
  default:
    if (e == NULL || e->family != 4)
      return MY_ERANGE; /* a probe with a 4-byte address says nothing over IPv6 */
    memcpy(out, e->bytes, 4);
    return MY_OK;
  }
}

int my_sig_compose(const my_sig *sig, const my_endpoint *my, const my_endpoint *peer,
                   my_span entropy, uint8_t *out, size_t cap)
{
  const uint8_t *drawn = entropy.data;
  if (cap < sig->info.probe_len) return MY_EFULL;
  if (entropy.len < sig->info.entropy_len) return MY_ESHORT;
  if (sig->info.probe_len > 0) memcpy(out, sig->probe, sig->info.probe_len);
  for (size_t i = 0; i < sig->slot_count; i++) {
    const slot *s = &sig->slots[i];
    int rc = fill_slot(s, my, peer, drawn, out);
    if (rc != MY_OK) return rc;
    if (s->kind <= SLOT_NIBBLE) drawn += s->len;
  }
  return (int)sig->info.probe_len;
}

int my_sig_break(const my_sig *sig, uint8_t *probe, size_t len)
{
  const place *at = &sig->control;
  if (sig->control_key.len == 0) return MY_ENOENT;
  if ((size_t)at->offset + at->width > len) return MY_ESHORT;
  for (size_t i = 0; i < at->width; i++)
    probe[at->offset + i] ^= sig->control_key.data[i];
  return MY_OK;
}
