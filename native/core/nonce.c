/* nonce.c - SipHash-2-4, and what is made of it. */
#include "mynah/nonce.h"

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

static void take_word(sip *s, uint64_t word)
{
  s->v3 ^= word;
  sip_rounds(s, 2);
  s->v0 ^= word;
}

uint64_t my_siphash(const my_nonce_key *key, my_span message)
{
  uint64_t k0 = le64(key->bytes, 8), k1 = le64(key->bytes + 8, 8);
  sip s = {k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
           k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)};
  size_t whole = message.len / 8 * 8;
  for (size_t i = 0; i < whole; i += 8)
    take_word(&s, le64(message.data + i, 8));
  uint64_t rest = message.len > whole ? le64(message.data + whole, message.len - whole) : 0;
  take_word(&s, (uint64_t)message.len << 56 | rest);
  s.v2 ^= 0xff;
  sip_rounds(&s, 4);
  return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* What is hashed: everything that tells one probe from another. IPv4 and IPv6 differ in length. */
enum { SUBJECT_MAX = 16 + 2 + 4 + 4 + 4 };

/* The 'block'-th 8 bytes of what stands for random in that probe. */
static uint64_t block_of(const my_nonce_key *key, const my_endpoint *peer, unsigned attempt,
                         uint32_t block)
{
  uint8_t subject[SUBJECT_MAX];
  size_t len = peer->family == 6 ? 16 : 4;
  uint32_t words[4] = {peer->port, peer->family == 6 ? peer->scope : 0, attempt, block};
  memcpy(subject, peer->bytes, len);
  for (size_t w = 0; w < 4; w++)
    for (unsigned shift = 0; shift < (w == 0 ? 16 : 32); shift += 8)
      subject[len++] = (uint8_t)(words[w] >> shift);
  return my_siphash(key, (my_span){subject, len});
}

void my_nonce_fill(const my_nonce_key *key, const my_endpoint *peer, unsigned attempt, uint8_t *out,
                   size_t len)
{
  uint64_t word = 0;
  for (size_t i = 0; i < len; i++) {
    if (i % 8 == 0) word = block_of(key, peer, attempt, (uint32_t)(i / 8));
    out[i] = (uint8_t)(word >> 8 * (i % 8));
  }
}

uint16_t my_nonce_port(const my_nonce_key *key, const my_endpoint *peer, unsigned attempt,
                       uint16_t first, uint16_t count)
{
  return (uint16_t)(first + block_of(key, peer, attempt, UINT32_MAX) % count);
}
