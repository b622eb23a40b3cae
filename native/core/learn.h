/* learn.h (core) - what the files of the learner share. A lesson is a set of pairs whose requests
 * are of one shape; findings are what all its replies have in common. */
#ifndef MYNAH_CORE_LEARN_H
#define MYNAH_CORE_LEARN_H

#include "mynah/learn.h"
#include "sig.h"

typedef struct told {
  my_pair pair; /* spans into the learner's memory */
  my_transport transport;
  uint32_t server, flow;
} told;

enum {
  LOOK_MAX = 256 /* bytes of a reply in which relations are looked for */,
  FINDINGS_MAX = 320
};

typedef enum finding_kind {
  FOUND_LENGTH_OF_REPLY, /* len = k */
  FOUND_ECHO,            /* bytes of the request come back */
  FOUND_REVERSED,
  FOUND_ADDED, /* … plus k */
  FOUND_MY_IP, /* our address; XORed with bytes of the request where width_of_key > 0 */
  FOUND_MY_PORT,
  FOUND_PEER_IP,
  FOUND_LENGTH, /* the bytes say the reply's length plus k */
  FOUND_NTP,
  FOUND_UNIX,
  FOUND_MASK,    /* bits that stay */
  FOUND_MOVING,  /* differs between replies to one request */
  FOUND_CONSTANT /* stays; a byte each */
} finding_kind;

typedef struct finding {
  finding_kind kind;
  uint16_t at, width; /* in the reply */
  uint16_t source;    /* in the request: ECHO, REVERSED, ADDED; MY_IP: of the key */
  bool has_key;       /* MY_IP */
  int64_t k;          /* LENGTH, LENGTH_OF_REPLY, ADDED */
  uint8_t bits, mask; /* MASK */
  bool copied;        /* CONSTANT: the request has the same there */
  double weight;      /* bits of evidence that it is no chance */
} finding;

typedef struct lesson {
  const told *const *list;
  size_t count;
  size_t request_len;          /* of all */
  size_t look;                 /* bytes that every reply has, at most LOOK_MAX */
  bool nonce[MY_LEARN_BYTES];  /* bytes of the request that vary and come back */
  bool varies[MY_LEARN_BYTES]; /* bytes of the request that vary */
  bool taken[LOOK_MAX];        /* bytes of the reply that a finding explains */
  finding found[FINDINGS_MAX];
  size_t found_count;
} lesson;

/* Add a finding and take its bytes; false where there is no more room. */
bool lesson_add(lesson *s, const finding *f);
bool lesson_is_free(const lesson *s, size_t at, size_t width);

/* Distinct values of 'width' bytes of the requests or replies, counted up to the number of pairs.
 */
size_t count_values(const lesson *s, of_kind of, size_t at, size_t width);

/* learn_relate.c: what replies owe to requests, addresses, lengths and clocks. */
void find_relations(lesson *s);
/* learn_column.c: what each byte does by itself. */
void find_columns(lesson *s);

/* ---- text ---- */

typedef struct text {
  char *data;
  size_t len, size;
  bool failed; /* memory is out: what follows is dropped */
} text;
__attribute__((format(printf, 2, 3))) void text_add(text *t, const char *format, ...);
void text_hex(text *t, my_span bytes);
/* Bytes as tokens of the language: texts where they are printable, else hex. */
void text_tokens(text *t, my_span bytes);

/* learn_write.c: the signature that says the findings of 'use' (by index). */
void write_signature(text *t, const lesson *s, const bool *use, const told *const *against,
                     size_t against_count, const my_learn_options *o);

#endif
