/* signature.h - what a service's reply owes to the probe that caused it, read from *.sig text.
 * No I/O, no globals. Offsets and lengths in bytes, times in ns, ports in host byte order.
 * A parsed my_sigdb is read-only: share it between threads. The language: signatures/README.md. */
#ifndef MYNAH_SIGNATURE_H
#define MYNAH_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mynah/status.h"
#include "mynah/target.h"

typedef struct my_sigdb my_sigdb;
typedef struct my_sig my_sig;

typedef enum my_transport { MY_UDP, MY_TCP, MY_TLS } my_transport;

enum {
  MY_PROBE_MAX = 1500, /* bytes of a composed probe */
  MY_SIG_FILE_MAX = 1 << 20
};

/* An empty database, and its end (NULL is allowed). */
int my_sigdb_new(my_sigdb **out);
void my_sigdb_free(my_sigdb *db);

/* Parse 'text' and add what it says to 'db', which keeps no pointer into it. 'file' is the name
 * that messages and my_sig_info give. On failure db is as before and, for MY_ESYNTAX, *where says
 * which line and column (from 1) and why. */
int my_sigdb_add(my_sigdb *db, const char *file, my_span text, my_where *where);

size_t my_sigdb_count(const my_sigdb *db);
const my_sig *my_sigdb_at(const my_sigdb *db, size_t i);           /* NULL past the end */
const my_sig *my_sigdb_find(const my_sigdb *db, const char *name); /* NULL where there is none */

/* The two budgets of evidence that a match of all lines but the soft ones gives at the least
 * (DESIGN section 4), in bits, and whether they reach what a certain verdict wants. */
typedef struct my_budget {
  double fresh_bits, identity_bits;
  bool enough;
} my_budget;

typedef struct my_sig_info {
  const char *name, *service, *title, *file; /* never NULL; title may be "" */
  unsigned line;                             /* of the word sig */
  my_transport transport;
  bool banner;       /* TCP: the peer speaks first, nothing is sent */
  bool fresh_exempt; /* says `nofresh`: the protocol has no freshness to give */
  bool has_vary, has_control;
  size_t probe_len, entropy_len; /* bytes that compose writes, and that it wants; steps want at most
                                    MY_PROBE_MAX */
  my_span until;                 /* TCP: what ends a reply; empty: not said */
  bool again;                    /* TCP: each request goes over a connection of its own */
  my_budget budget;
} my_sig_info;

void my_sig_get_info(const my_sig *sig, my_sig_info *out);

/* The n-th range of ports that the service names for its transport. False: there are no more. */
bool my_sig_port_range(const my_sig *sig, size_t n, uint16_t *first, uint16_t *last);

/* The likelihood that 'port' serves this: 2 named alone, 1 within a named range, 0 not named. It
 * orders probes and is never a condition. */
int my_sig_port_rank(const my_sig *sig, uint16_t port);

/* Write a probe to out (cap bytes, MY_PROBE_MAX is always enough). 'entropy' feeds the fields drawn
 * anew, at least entropy_len random bytes. my and peer fill my.ip, my.port …. Returns the length or
 * MY_E…. */
int my_sig_compose(const my_sig *sig, const my_endpoint *my, const my_endpoint *peer,
                   my_span entropy, uint8_t *out, size_t cap);

typedef struct my_pair my_pair; /* mynah/match.h */

/* The same for a step (from 1), which may carry bytes of the pair before it, and goes to its peer.
 * MY_ENOENT: there is no such step; MY_ESHORT: the reply has not the bytes that it carries. */
int my_sig_compose_step(const my_sig *sig, unsigned step, const my_pair *before, my_span entropy,
                        uint8_t *out, size_t cap);
/* The step as a signature of its own, for its lines. NULL: there is none. */
const my_sig *my_sig_step(const my_sig *sig, unsigned step);

/* Break the byte(s) that `control` names in a composed probe: a real service does not answer the
 * result as it answers the probe. MY_ENOENT where the signature has no control. */
int my_sig_break(const my_sig *sig, uint8_t *probe, size_t len);

/* The lines of a signature that a reply is held against, in file order, for evidence. NULL past the
 * end. */
const char *my_sig_line_text(const my_sig *sig, size_t i);

/* Samples (`match`, `nomatch`) of a signature, for the checker. */
typedef struct my_sample {
  bool expect;
  unsigned line;
  my_span request, reply;
  my_endpoint my;                   /* family 0: not given */
  my_span then_request, then_reply; /* of the step; data NULL: not given */
} my_sample;
size_t my_sig_sample_count(const my_sig *sig);
const my_sample *my_sig_sample_at(const my_sig *sig, size_t i);

/* The signatures whose probe 'request' can be, whoever sent it: its length, every fixed byte,
 * classes of drawn bytes and checksums agree. The first ones, in the order of the database, go to
 * out; returns how many, at most cap and MY_BIND_MAX. What it costs hardly grows with the database.
 */
enum { MY_BIND_MAX = 256 };
size_t my_sigdb_bind(const my_sigdb *db, my_transport transport, my_span request,
                     const my_sig **out, size_t cap);
/* The same asked of one signature or step; bytes that a step carries may be any. */
bool my_sig_fits(const my_sig *sig, my_span request);

#endif
