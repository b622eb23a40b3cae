/* nonce.h - nonces that need not be remembered: a keyed hash of whom a probe goes to and which
 * attempt it is. Composed again for the address that a reply came from, the probe tells by the
 * signature's relations whether the reply is to a probe of ours. Pure.
 * The hash is SipHash-2-4 (Aumasson and Bernstein, 2012). */
#ifndef MYNAH_NONCE_H
#define MYNAH_NONCE_H

#include "mynah/match.h"
#include "mynah/status.h"
#include "mynah/target.h"

/* Drawn anew for each scan; kept with it where it is to be resumed. */
typedef struct my_nonce_key {
  uint8_t bytes[16];
} my_nonce_key;

uint64_t my_siphash(const my_nonce_key *key, my_span message);

/* An attempt below 256 may be that of a further question: plus MY_NONCE_QUESTION for each before
 * it.
 */
enum { MY_NONCE_QUESTION = 256 };

/* Fill 'out' with what stands for random bytes in the probe of that attempt (from 0) at 'peer', its
 * port included: the entropy of my_sig_compose. */
void my_nonce_fill(const my_nonce_key *key, const my_endpoint *peer, unsigned attempt, uint8_t *out,
                   size_t len);

/* The source port of that probe, one of 'count' (1 or more) from 'first' on: bits that a reply must
 * hit beside those of the nonce. */
uint16_t my_nonce_port(const my_nonce_key *key, const my_endpoint *peer, unsigned attempt,
                       uint16_t first, uint16_t count);

/* The probes of a scan: what is drawn, and from which ports they leave. */
typedef struct my_cookie {
  my_nonce_key key;
  const my_sig *sig;
  unsigned attempts;               /* 1 or more, to the same peer */
  uint16_t port_first, port_count; /* source ports */
  unsigned question;               /* which, where a peer is asked several: each draws its own */
} my_cookie;

/* The source port of that attempt. */
uint16_t my_cookie_port(const my_cookie *c, const my_endpoint *peer, unsigned attempt);

/* The probe of that attempt from 'my' to 'peer', as my_sig_compose writes it; my->port becomes the
 * port that it leaves from. */
int my_cookie_compose(const my_cookie *c, my_endpoint *my, const my_endpoint *peer,
                      unsigned attempt, uint8_t *out, size_t cap);

/* Is pair->reply, which came to port pair->my.port, the reply to a probe that went to pair->peer?
 * MY_OK: *attempt says to which. MY_ENOENT: none left from that port; MY_EFORMAT: one did, and the
 * signature does not hold. pair->request is not used. */
int my_cookie_verify(const my_cookie *c, const my_pair *pair, my_scratch *scratch,
                     unsigned *attempt);

#endif
