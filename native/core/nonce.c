/* nonce.c - SipHash-2-4, and what is made of it. */
#include "mynah/nonce.h"

#include <endian.h>
#include <string.h>

typedef struct sip {
  uint64_t v0, v1, v2, v3;
} sip;

static uint64_t rotate(uint64_t x, unsigned bits)
{
  return x << bits | x >> (64 - bits);
}

static void sip_rounds(sip *s, unsigned rounds)
{
  while (rounds-- > 0) {
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 = rotate(s->v2, 32);
  }
}

static uint64_t le64(const uint8_t *p, size_t len)
{
  uint64_t x = 0;
  for (size_t i = len; i > 0; i--)
    x = x << 8 | p[i - 1];
  return x;
}

static uint64_t le64_whole(const uint8_t *p)
{
  uint64_t x;
  memcpy(&x, p, sizeof x);
  return le64toh(x);
}

static void take_word(sip *s, uint64_t word)
{
  s->v3 ^= word;
  sip_rounds(s, 2);
  s->v0 ^= word;
}

uint64_t my_siphash(const my_nonce_key *key, my_span message)
{
  uint64_t k0 = le64_whole(key->bytes), k1 = le64_whole(key->bytes + 8);
  sip s = {k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
           k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)};
  size_t whole = message.len / 8 * 8;
  for (size_t i = 0; i < whole; i += 8)
    take_word(&s, le64_whole(message.data + i));
  uint64_t rest = message.len > whole ? le64(message.data + whole, message.len - whole) : 0;
  take_word(&s, (uint64_t)message.len << 56 | rest);
  s.v2 ^= 0xff;
  sip_rounds(&s, 4);
  return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* What is hashed: everything that tells one probe from another. IPv4 and IPv6 differ in length. */
enum { SUBJECT_MAX = 16 + 2 + 4 + 4 };

static uint64_t hash_of(const my_nonce_key *key, const my_endpoint *peer, unsigned attempt)
{
  uint8_t subject[SUBJECT_MAX];
  size_t len = peer->family == 6 ? 16 : 4;
  uint32_t words[3] = {peer->port, peer->family == 6 ? peer->scope : 0, attempt};
  memcpy(subject, peer->bytes, len);
  for (size_t w = 0; w < 3; w++)
    for (unsigned shift = 0; shift < (w == 0 ? 16 : 32); shift += 8)
      subject[len++] = (uint8_t)(words[w] >> shift);
  return my_siphash(key, (my_span){subject, len});
}

/* The 'block'-th 8 bytes that one hash stands for (SplitMix64). */
static uint64_t expand(uint64_t hash, uint64_t block)
{
  uint64_t x = hash + block * UINT64_C(0x9e3779b97f4a7c15);
  x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
  return x ^ x >> 31;
}

static void fill(uint64_t hash, uint8_t *out, size_t len)
{
  uint64_t word = 0;
  for (size_t i = 0; i < len; i++) {
    if (i % 8 == 0) word = expand(hash, 2 + i / 8);
    out[i] = (uint8_t)(word >> 8 * (i % 8));
  }
}

static uint16_t port_of(uint64_t hash, uint16_t first, uint16_t count)
{
  return (uint16_t)(first + expand(hash, 1) % count);
}

void my_nonce_fill(const my_nonce_key *key, const my_endpoint *peer, unsigned attempt, uint8_t *out,
                   size_t len)
{
  fill(hash_of(key, peer, attempt), out, len);
}

uint16_t my_nonce_port(const my_nonce_key *key, const my_endpoint *peer, unsigned attempt,
                       uint16_t first, uint16_t count)
{
  return port_of(hash_of(key, peer, attempt), first, count);
}

/* ---- probes ---- */

static int compose(const my_cookie *c, uint64_t hash, const my_endpoint *my,
                   const my_endpoint *peer, uint8_t *out, size_t cap)
{
  uint8_t drawn[MY_PROBE_MAX];
  my_sig_info info;
  my_sig_get_info(c->sig, &info);
  fill(hash, drawn, info.entropy_len);
  return my_sig_compose(c->sig, my, peer, (my_span){drawn, info.entropy_len}, out, cap);
}

static uint64_t hash_for(const my_cookie *c, const my_endpoint *peer, unsigned attempt)
{
  return hash_of(&c->key, peer, attempt + c->question * MY_NONCE_QUESTION);
}

uint16_t my_cookie_port(const my_cookie *c, const my_endpoint *peer, unsigned attempt)
{
  return port_of(hash_for(c, peer, attempt), c->port_first, c->port_count);
}

int my_cookie_compose(const my_cookie *c, my_endpoint *my, const my_endpoint *peer,
                      unsigned attempt, uint8_t *out, size_t cap)
{
  uint64_t hash = hash_for(c, peer, attempt);
  my->port = port_of(hash, c->port_first, c->port_count);
  return compose(c, hash, my, peer, out, cap);
}

int my_cookie_verify(const my_cookie *c, const my_pair *pair, my_scratch *scratch,
                     unsigned *attempt)
{
  uint8_t probe[MY_PROBE_MAX];
  int rc = MY_ENOENT;
  my_pair sent = *pair;
  for (unsigned i = 0; i < c->attempts; i++) {
    uint64_t hash = hash_for(c, &pair->peer, i);
    if (port_of(hash, c->port_first, c->port_count) != pair->my.port) continue;
    int len = compose(c, hash, &pair->my, &pair->peer, probe, sizeof probe);
    if (len < 0) return len;
    rc = MY_EFORMAT;
    sent.request = (my_span){probe, (size_t)len};
    if (my_sig_holds(c->sig, &sent, scratch)) {
      *attempt = i;
      return MY_OK;
    }
  }
  return rc;
}
