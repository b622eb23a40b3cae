/* match.h - hold a reply against a signature: one pair at a time, then all of a conversation
 * together. Pure and bounded: no allocation (but for what PCRE2 keeps in the scratch), no clock, no
 * backtracking outside PCRE2's limits. How bits are counted: signatures/README.md. */
#ifndef MYNAH_MATCH_H
#define MYNAH_MATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "mynah/signature.h"

/* One probe and the reply that came to the very socket it left from. */
struct my_pair {
  my_span request; /* empty for a banner */
  my_span reply;
  my_endpoint my;      /* our address and port of this exchange, as the reply was addressed */
  my_endpoint peer;    /* where the probe went */
  my_endpoint from;    /* where the reply came from; family 0: from peer */
  my_endpoint public_; /* what --public-ip says; family 0: not said */
  int64_t now_unix_ns; /* when the reply came; 0: unknown, then time relations are skipped */
  bool closed;         /* TCP: the peer closed after this reply */
  unsigned step;       /* 0: the probe and its reply; else the step, as a verdict names it */
  int64_t rtt_ns;      /* from the request to the reply; 0: unknown, then `timing` is skipped */
};

typedef struct my_scratch my_scratch; /* room for regular expressions; one a thread */
int my_scratch_new(my_scratch **out);
void my_scratch_free(my_scratch *s); /* NULL is allowed */

enum { MY_LINES_MAX = 64, MY_GIVES_MAX = 8 };

typedef enum my_held {
  MY_FAILED = 0,
  MY_HELD = 1,
  MY_HELD_PUBLIC,  /* my.ip: not ours but globally routable, and not copied from the request: behind
                      NAT, if it stays the same */
  MY_HELD_PRIVATE, /* my.ip: a private address that is not ours: good for a guess */
  MY_SKIPPED       /* does not apply (a 4-byte address over IPv6, a clock not known), another
                      line of its group counts, or it needs more replies */
} my_held;

/* What one pair shows, line by line. matched: no line failed (vary and control are not judged
 * here). */
typedef struct my_match {
  bool matched;
  int first_failed; /* index of a line, or -1 */
  double fresh_bits, identity_bits;
  uint8_t held[MY_LINES_MAX];     /* my_held */
  my_span got[MY_LINES_MAX];      /* the reply's bytes that each line looked at, may be empty */
  double line_bits[MY_LINES_MAX]; /* identity bits that each line adds */
  size_t line_count;
  unsigned branch; /* the `case` that holds, from 1; 0: none */
} my_match;

/* Hold one pair against 'sig', that of a step against the step. MY_OK whether it matched or not. */
int my_sig_match(const my_sig *sig, const my_pair *pair, my_scratch *scratch, my_match *out);

/* Does this reply to the broken probe unmask a copier: every line holds, or it gives nearly the
 * whole broken request back? Any other reply (an error, say) counts as the silence that is due. */
bool my_sig_answers_control(const my_sig *sig, const my_pair *pair, my_scratch *scratch);

/* Could this reply to another signature's probe be one of 'sig', were it not for the lines that
 * bind a reply to its probe? A hint at what to ask next, and no verdict. */
bool my_sig_hinted(const my_sig *sig, const my_pair *pair, my_scratch *scratch);

typedef enum my_control { MY_CONTROL_NOT_ASKED, MY_CONTROL_SILENT, MY_CONTROL_ANSWERED } my_control;

typedef enum my_state {
  MY_NO,    /* a line failed, or the control unmasked a copier */
  MY_MORE,  /* nothing failed; 'want' says what is still to be asked */
  MY_GUESS, /* everything asked, evidence short of certain */
  MY_CERTAIN
} my_state;

typedef enum my_want {
  MY_WANT_NOTHING,
  MY_WANT_FRESH,   /* the probe again with a new nonce */
  MY_WANT_SAME,    /* the last datagram again, byte for byte: what moves must move by itself */
  MY_WANT_CONTROL, /* the broken probe, which a real service does not answer so */
  MY_WANT_STEP     /* the request of my_sig_compose_step, behind the last pair */
} my_want;

typedef struct my_verdict {
  my_state state;
  my_want want;
  double fresh_bits, identity_bits;
  double confidence; /* 0..1; at least 0.9 exactly when state is MY_CERTAIN */
  my_match last;     /* of the last pair but those of a step, or of the first that failed */
  unsigned step;     /* the step that is wanted, or whose reply stands in step_match; 0: none */
  bool step_held;
  my_match step_match;
  /* What the signature gives, product, version …: names and spans into the pairs or the signature.
   */
  size_t give_count;
  struct {
    const char *name; /* "product", "version", "cpe", "extra" or the words after `as` */
    char value[128];  /* printable: an address as text, bytes escaped */
  } give[MY_GIVES_MAX];
} my_verdict;

/* Judge a conversation: 'count' pairs (at least 1) of one signature with one peer, in the order in
 * which they were sent, those of a step last. A verdict may be certain and want a step all the
 * same: its reply can only tell more, such as a version. MY_OK and *out, or MY_E…. */
int my_sig_judge(const my_sig *sig, const my_pair *pairs, size_t count, my_control control,
                 my_scratch *scratch, my_verdict *out);

/* The longest run of at least 2 bytes of 'reply' that stands in 'request' too; the earliest of
 * equals, and one at the same offset before one that moved. Returns its length, 0 where there is
 * none. */
size_t my_echo_find(my_span request, my_span reply, size_t *request_offset, size_t *reply_offset);

/* The answer that my_sig_match gives in 'matched', without evidence and therefore fast. */
bool my_sig_holds(const my_sig *sig, const my_pair *pair, my_scratch *scratch);

/* What a pair of somebody else's is: the first signature that its request fits and its reply holds.
 * NULL: none. */
const my_sig *my_sigdb_name(const my_sigdb *db, my_transport transport, const my_pair *pair,
                            my_scratch *scratch);

#endif
