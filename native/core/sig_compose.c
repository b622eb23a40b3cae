/* sig_compose.c - a probe from its template: nonces out of the caller's entropy, addresses, bytes
 * of the reply before, checksums, broken controls. */
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

/* Who asks whom, and what went before. */
typedef struct asking {
  const my_endpoint *my, *peer;
  const my_pair *before;
} asking;

static int fill_before(const slot *s, const my_pair *before, uint8_t *out)
{
  my_span bytes;
  if (before == NULL || !place_bytes(&s->before, before, &bytes) || bytes.len != s->len)
    return MY_ESHORT;
  memcpy(out, bytes.data, bytes.len);
  return MY_OK;
}

static int fill_slot(const slot *s, const asking *who, const uint8_t *entropy, uint8_t *probe)
{
  uint8_t *out = probe + s->offset;
  bool theirs = s->kind == SLOT_PEER_IP || s->kind == SLOT_PEER_PORT;
  const my_endpoint *e = theirs ? who->peer : who->my;
  switch (s->kind) {
  case SLOT_RANDOM:
    for (size_t i = 0; i < s->len; i++)
      out[i] = draw(s->class_, entropy[i], i == 0);
    return MY_OK;
  case SLOT_NIBBLE:
    *out = (uint8_t)(*out | (entropy[0] & s->mask));
    return MY_OK;
  case SLOT_BEFORE:
    return fill_before(s, who->before, out);
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

/* ---- checksums ---- */

static uint32_t crc32_of(const uint8_t *s, size_t n) /* IEEE 802.3, as zlib's */
{
  uint32_t crc = ~0u;
  for (size_t i = 0; i < n; i++) {
    crc ^= s[i];
    for (int bit = 0; bit < 8; bit++)
      crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return ~crc;
}

static uint32_t inet_of(const uint8_t *s, size_t n) /* RFC 1071 */
{
  uint32_t total = 0;
  for (size_t i = 0; i < n; i++)
    total += (uint32_t)s[i] << (i % 2 == 0 ? 8 : 0);
  while (total >> 16 != 0)
    total = (total & 0xffff) + (total >> 16);
  return ~total & 0xffff;
}

static uint32_t sum8_of(const uint8_t *s, size_t n) /* with it, the bytes add up to zero */
{
  uint32_t total = 0;
  for (size_t i = 0; i < n; i++)
    total += s[i];
  return -total & 0xff;
}

size_t sum_width(sum_kind kind)
{
  return kind == SUM_8 ? 1 : kind == SUM_INET ? 2 : 4;
}

uint32_t sum_of(sum_kind kind, const uint8_t *bytes, size_t n)
{
  return kind == SUM_8      ? sum8_of(bytes, n)
         : kind == SUM_INET ? inet_of(bytes, n)
                            : crc32_of(bytes, n);
}

void write_sum(sum_kind kind, uint32_t value, uint8_t *out)
{
  size_t width = sum_width(kind);
  for (size_t k = 0; k < width; k++)
    out[k] = (uint8_t)(value >> 8 * (kind == SUM_CRC32_LE ? k : width - 1 - k));
}

void write_sums(const my_sig *sig, uint8_t *probe)
{
  for (size_t i = 0; i < sig->sum_count; i++) {
    const checksum *s = &sig->sums[i];
    write_sum(s->kind, sum_of(s->kind, probe + s->from, s->len), probe + s->offset);
  }
}

/* ---- probes ---- */

static int compose(const my_sig *sig, const asking *who, my_span entropy, uint8_t *out, size_t cap)
{
  const uint8_t *drawn = entropy.data;
  if (cap < sig->info.probe_len) return MY_EFULL;
  if (entropy.len < sig->info.entropy_len) return MY_ESHORT;
  if (sig->info.probe_len > 0) memcpy(out, sig->probe, sig->info.probe_len);
  for (size_t i = 0; i < sig->slot_count; i++) {
    const slot *s = &sig->slots[i];
    int rc = fill_slot(s, who, drawn, out);
    if (rc != MY_OK) return rc;
    if (s->kind <= SLOT_NIBBLE) drawn += s->len;
  }
  write_sums(sig, out);
  return (int)sig->info.probe_len;
}

int my_sig_compose(const my_sig *sig, const my_endpoint *my, const my_endpoint *peer,
                   my_span entropy, uint8_t *out, size_t cap)
{
  return compose(sig, &(asking){my, peer, NULL}, entropy, out, cap);
}

const my_sig *my_sig_step(const my_sig *sig, unsigned step)
{
  return step > 0 && step <= sig->step_count ? sig->steps[step - 1] : NULL;
}

int my_sig_compose_step(const my_sig *sig, unsigned step, const my_pair *before, my_span entropy,
                        uint8_t *out, size_t cap)
{
  const my_sig *next = my_sig_step(sig, step);
  if (next == NULL) return MY_ENOENT;
  return compose(next, &(asking){&before->my, &before->peer, before}, entropy, out, cap);
}

int my_sig_break(const my_sig *sig, uint8_t *probe, size_t len)
{
  const place *at = &sig->control;
  if (sig->control_key.len == 0) return MY_ENOENT;
  if ((size_t)at->offset + at->width > len) return MY_ESHORT;
  for (size_t i = 0; i < at->width; i++)
    probe[at->offset + i] ^= sig->control_key.data[i];
  write_sums(sig, probe); /* what is broken is the message, not its checksum */
  return MY_OK;
}
