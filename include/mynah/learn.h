/* learn.h - from pairs of requests and replies to a signature: what do all the replies owe to their
 * requests, and is it too much for chance? Pure: no I/O, no clock, no randomness; the same pairs in
 * the same order give the same text. How evidence is counted: signatures/README.md. */
#ifndef MYNAH_LEARN_H
#define MYNAH_LEARN_H

#include "mynah/match.h"

enum {
  MY_LEARN_PAIRS = 4096, /* kept; further ones are left out */
  MY_LEARN_ALIKE = 512,  /* of them with one server and of one length, so that others find room */
  MY_LEARN_BYTES = 1500, /* of a request or a reply that are looked at; longer pairs are left out */
  MY_LEARN_WAITING = 16, /* requests of one flow that a reply may still answer */
  MY_LEARN_UNEXPLAINED = 8 /* remarks on what was not explained */
};

typedef struct my_learner my_learner;

int my_learner_new(my_learner **out);
void my_learner_free(my_learner *l); /* NULL is allowed */

/* Take a copy of a pair that belongs together. server and flow: any numbers that tell one server,
 * one client's port, from another. MY_OK, MY_ERANGE: longer than is looked at, MY_EFULL, MY_ENOMEM.
 */
int my_learner_pair(my_learner *l, const my_pair *pair, my_transport transport, uint32_t server,
                    uint32_t flow);

/* One message of a capture, in the order of time. The learner finds out which reply answers which
 * request: the latest of its flow, unless that breaks an echo which an earlier one keeps. */
typedef struct my_message {
  my_transport transport;
  uint32_t server, flow;
  bool from_client;
  my_endpoint client, peer; /* peer: the server, as the client addressed it */
  my_endpoint from;         /* of a reply: where it came from */
  int64_t time_unix_ns;     /* 0: unknown */
  my_span data;
} my_message;
int my_learner_hear(my_learner *l, const my_message *message);

/* The same for what the signature must not match. */
int my_learner_pair_against(my_learner *l, const my_pair *pair, my_transport transport);
int my_learner_hear_against(my_learner *l, const my_message *message);

/* What is known of the request besides, as experiments with a server show it. */
typedef enum my_part_kind {
  MY_PART_NONCE,
  MY_PART_FIXED,
  MY_PART_LENGTH,
  MY_PART_SUM
} my_part_kind;
typedef struct my_part {
  my_part_kind kind;
  uint16_t offset, len; /* LENGTH: 2 or 4 bytes */
  bool little_endian;   /* LENGTH */
  int16_t add;          /* LENGTH: the field is the length of the whole plus this */
  const char *sum;      /* SUM: "crc32", "crc32le", "inet" or "sum8" */
  uint16_t from, over;  /* SUM: of these bytes */
} my_part;

typedef struct my_learn_options {
  const char *service;              /* its name, in the language's letters */
  const char *sig;                  /* NULL: as the service */
  const char *title, *from, *ports; /* NULL: not said; ports as in "udp 5060" */
  bool strict;                      /* all that stays the same, besides what proves the protocol */
  my_span request;                  /* the probe to build on; empty: the learner chooses */
  const my_part *parts;
  size_t part_count;
  my_span
      control_key; /* empty: none; else bits that, turned at control_at, silence a real server */
  uint16_t control_at;
} my_learn_options;

typedef struct my_learned {
  char *text; /* a whole .sig file that my_sigdb_check accepts; NULL where evidence is short */
  size_t pairs, servers, flows; /* that hold it; where evidence is short: that there were */
  double fresh_bits, identity_bits;
  size_t unexplained_count;
  char unexplained[MY_LEARN_UNEXPLAINED][100];
  char needs[200]; /* where evidence is short: what more would help */
} my_learned;

/* MY_OK: *out owns its text (my_learned_clear). MY_NOT_YET: not enough evidence, out->needs says of
 * what. MY_ENOMEM. */
int my_learner_learn(my_learner *l, const my_learn_options *options, my_learned *out);
void my_learned_clear(my_learned *learned);

#endif
