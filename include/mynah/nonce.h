/* nonce.h - nonces that need not be remembered: a keyed hash of whom a probe goes to and which
 * attempt it is. Composed again for the address that a reply came from, the probe tells by the
 * signature's relations whether the reply is to a probe of ours. Pure.
 * The hash is SipHash-2-4 (Aumasson and Bernstein, 2012). */
#ifndef MYNAH_NONCE_H
#define MYNAH_NONCE_H

#include "mynah/status.h"
#include "mynah/target.h"

/* Drawn anew for each scan; kept with it where it is to be resumed. */
typedef struct my_nonce_key {
  uint8_t bytes[16];
} my_nonce_key;

uint64_t my_siphash(const my_nonce_key *key, my_span message);

/* Fill 'out' with what stands for random bytes in the probe of that attempt (from 0) at 'peer', its
 * port included: the entropy of my_sig_compose. */
void my_nonce_fill(const my_nonce_key *key, const my_endpoint *peer, unsigned attempt, uint8_t *out,
                   size_t len);

/* The source port of that probe, one of 'count' (1 or more) from 'first' on: bits that a reply must
 * hit beside those of the nonce. */
uint16_t my_nonce_port(const my_nonce_key *key, const my_endpoint *peer, unsigned attempt,
                       uint16_t first, uint16_t count);

#endif
