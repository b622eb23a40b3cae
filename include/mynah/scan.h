/* scan.h - one datagram to each of very many targets, and every answer heard: the stateless stage
 * of a scan. A thread sends, a thread listens; a reply is checked by what it owes to the probe that
 * went to its sender (mynah/nonce.h), so that nothing is kept of a target but one bit. One thread
 * at a time calls these functions. */
#ifndef MYNAH_SCAN_H
#define MYNAH_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "mynah/engine.h"
#include "mynah/limits.h"
#include "mynah/nonce.h"
#include "mynah/order.h"
#include "mynah/range.h"

typedef struct my_scan my_scan;

enum {
  MY_SCAN_ATTEMPTS_MAX = 8,
  MY_SCAN_ASK_MAX = 256,
  MY_SCAN_BLOCK = 1 << 26 /* targets that are asked before the silent ones among them are asked
                           * again: one bit each is kept */
};

/* A question of UDP: the probe of that signature, at that port. */
typedef struct my_scan_question {
  uint16_t port;
  const my_sig *sig; /* lives as long as the scan */
  bool same; /* no question: sends what the one before it sends, and its answer may be read by
              * this signature, too */
} my_scan_question;

typedef struct my_scan_config {
  const my_sig *sig; /* of UDP; lives as long as the scan */
  /* Ports that are asked something else, or several things in turn: these, ascending by port, as
   * many of each as the targets have (my_ranges_ask). sig is for all others; NULL where there are
   * none. They are copied. The first answer of a port, whichever question it is to, ends all of
   * them. */
  const my_scan_question *questions;
  size_t question_count;
  bool tcp; /* instead: which ports accept a connection? sig is not used. Raw: by SYN,
             * never completed; else connected, and closed at once but for 'ask' */
  /* TCP by connecting: who accepts is listened to for a moment, and who says nothing is then asked
   * on the same connection: 'ask', the address as a URL has it, 'ask_end'. Its answer comes with
   * what it said. ask.data NULL: nobody is asked; at most MY_SCAN_ASK_MAX bytes, copied. */
  my_span ask, ask_end;
  const my_sig *const *owners; /* whose ports, where they are named alone, are not asked this:
                                * owner_count of them; they and the array live as long */
  size_t owner_count;
  const my_ranges *targets; /* sealed, at least one item; lives as long as the scan */
  uint64_t seed;            /* of the order */
  my_nonce_key key;
  uint64_t shard, shards; /* this one of so many, from 0; 0 shards: 1 */
  uint64_t begin;         /* how many of the shard's places were asked before, in that pass (to
                           * resume: settled and settled_pass) */
  unsigned pass;
  bool held;             /* send nothing before my_scan_start */
  double rate;           /* datagrams a second; 0: as fast as both sides bear */
  bool adapts;           /* as fast as both sides bear, but not above the rate */
  my_limits *limits;     /* shared with others, and outlives the scan; NULL: none. What has to wait
                          * for its host is put off while others are asked */
  unsigned connections;  /* TCP by connecting: open at once; 0: 4000, or as files are allowed */
  unsigned attempts;     /* to the silent, the first among them; 0: 2 */
  int64_t timeout_ns;    /* the longest wait for answers behind a pass; 0: 3 s */
  bool raw;              /* whole frames, with CAP_NET_RAW; else sockets */
  const char *interface; /* NULL: as routing says */
  my_endpoint source;    /* family 0: as routing says; port 0: any free ones */
  my_endpoint public_;   /* our address as the Internet sees it; family 0: not said */
  bool others;           /* give replies that do not verify, too */
  bool quiet;            /* do not give errors: they are only counted */
  bool deaf;             /* raw: do not listen at all (a measurement of sending) */
} my_scan_config;

/* The calling thread loses all capabilities, for good: what needed them is open. The threads of a
 * scan do so by themselves. */
void my_scan_drop_privileges(void);

/* Open sockets, find the way (and, raw, the next hop's hardware address), begin. On failure *out is
 * NULL and where->text says why: MY_ERANGE, MY_ENOENT (no route, no such interface), MY_ESYS,
 * MY_ENOMEM. */
int my_scan_open(my_scan **out, const my_scan_config *config, my_where *where);
void my_scan_close(my_scan *s); /* NULL is allowed */

typedef enum my_answer_kind {
  MY_ANSWER_VERIFIED, /* a reply to our probe, a SYN accepted: the first of that target */
  MY_ANSWER_ICMP,     /* an error about our probe, a SYN refused: the first news of that target */
  MY_ANSWER_OTHER     /* a datagram to one of our ports that does not verify */
} my_answer_kind;

typedef enum my_ending { MY_STAYS, MY_CLOSES, MY_RESETS } my_ending;

typedef struct my_answer {
  my_answer_kind kind;
  my_reason reason;
  my_endpoint peer;    /* whom we asked; family 0 where it is unknown (OTHER) */
  my_endpoint from;    /* who sent the reply or the error */
  my_endpoint my;      /* our address and port */
  unsigned attempt;    /* from 0 */
  unsigned question;   /* of those to that port, from 0 */
  const my_sig *sig;   /* that verified it, or whose probe the error is about; NULL: over TCP */
  int64_t received_ns; /* since 1970 */
  int64_t rtt_ns;  /* -1: unknown, where the time of sending was overwritten or a clock was set */
  bool asked;      /* TCP: the question was sent before 'data' came */
  int64_t took_ns; /* from then to its last byte */
  my_ending ended; /* TCP: what the peer did behind it */
  my_span data;    /* the reply; valid until the next call */
} my_answer;

/* The next answer: MY_OK; MY_NOT_YET: none now. Answers that wait are never thrown away: the scan
 * slows down until they are fetched. */
int my_scan_next(my_scan *s, my_answer *out);

/* The probe that a verified answer answers, composed again: its length, or MY_E…. */
int my_scan_probe(const my_scan *s, const my_answer *answer, uint8_t *out, size_t cap);

/* Readable when there may be answers, or the scan is over: poll it, never read it. */
int my_scan_fd(const my_scan *s);

typedef struct my_scan_counts {
  uint64_t targets;     /* of this shard, from begin on: items of the ranges */
  uint64_t asked;       /* items that got a datagram */
  uint64_t unanswered;  /* of them, so far; none of a port that answered another question */
  uint64_t sent;        /* datagrams */
  uint64_t received;    /* datagrams that came to our ports */
  uint64_t verified;    /* targets that answered so that it verifies */
  uint64_t duplicates;  /* further replies that verify */
  uint64_t unverified;  /* from a target, but they do not hold */
  uint64_t strangers;   /* from nobody whom we asked from that port */
  uint64_t errors;      /* targets that an ICMP error came about */
  uint64_t other_icmp;  /* ICMP errors that are not about a probe of ours, or say nothing of it */
  uint64_t dropped;     /* by the kernel for want of room: answers may be among them */
  uint64_t send_errors; /* datagrams that the system did not take */
  uint64_t stalls;      /* times that the link's queue was full */
  int64_t elapsed_ns;   /* from the first datagram to the last answer, or until now */
  int64_t sending_ns;   /* of it, until the first pass was sent */
  uint64_t settled;     /* places of the shard whose answers are in, from the first on, in that
                         * pass: begin there to resume */
  unsigned settled_pass;
  unsigned pass; /* from 0: the attempt that is under way */
  bool over;     /* nothing is sent any more, and the last answers were waited for */
  int error;     /* errno of what ended the scan before its time, or 0 */
} my_scan_counts;
void my_scan_get_counts(const my_scan *s, my_scan_counts *out);

/* Of a scan that is held: that target is not to be asked (it answered before). Then begin. */
void my_scan_skip(my_scan *s, const my_endpoint *target);
void my_scan_start(my_scan *s);

/* Send nothing more; what is on its way is still waited for. */
void my_scan_stop(my_scan *s);

#endif
