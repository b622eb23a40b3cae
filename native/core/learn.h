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
  LOOK_MAX = 256, /* bytes of a reply in which relations are looked for */
  FINDINGS_MAX = 320,
  VIEWS_MAX = 48, /* values inside a reply that are looked at */
  VIEW_NAME_MAX = 48,
  LESSON_PARTS_MAX = 8,
  NOWHERE = 1 << 20,
  TRIED_BITS = 17 /* log2 of the relations of a kind that are tried on one lesson */
};

typedef enum finding_kind {
  FOUND_LENGTH_OF_REPLY, /* len = k */
  FOUND_ECHO,            /* bytes of the request come back */
  FOUND_REVERSED,
  FOUND_ADDED,      /* … plus k */
  FOUND_NOT,        /* … complemented */
  FOUND_BITOR,      /* … with bits k set */
  FOUND_HAS,        /* bytes of the request come back, at no fixed place */
  FOUND_MY_IP,      /* our address; XORed with bytes of the request where has_key */
  FOUND_MY_PORT,    /* our port, likewise */
  FOUND_MY_IP_TEXT, /* our address, written out somewhere in a value */
  FOUND_PEER_IP,
  FOUND_LENGTH, /* the bytes say the reply's length plus k */
  FOUND_NTP,
  FOUND_UNIX,
  FOUND_MASK,         /* bits that stay */
  FOUND_VALUE_LENGTH, /* a value inside has k bytes */
  FOUND_MOVING,       /* differs between replies to one request */
  FOUND_CONSTANT      /* stays; a byte each */
} finding_kind;

typedef struct finding {
  finding_kind kind;
  uint8_t view;       /* 0: the reply itself; else the number of a value inside it, from 1 */
  bool at_home;       /* the requests have a value of that name too */
  bool whole;         /* all of that value, in every reply */
  uint16_t at, width; /* in the reply, or the value */
  uint16_t source;    /* in the request: ECHO to BITOR; MY_IP, MY_PORT: of the key */
  bool has_key;       /* MY_IP, MY_PORT */
  int64_t k; /* LENGTH, LENGTH_OF_REPLY, VALUE_LENGTH, ADDED, BITOR; NTP, UNIX: seconds that
                the clock may be wrong */
  uint8_t bits, mask; /* MASK */
  bool copied;        /* CONSTANT: the request has the same there */
  bool
      doubtful; /* CONSTANT: it may be a length or one server's own; MOVING: a clock or a counter */
  bool passing; /* CONSTANT: the top of a number that grows */
  bool little_endian; /* LENGTH */
  double weight;      /* bits of evidence that it is no chance */
} finding;

/* A value inside the replies, as the language names it. */
typedef struct named_view {
  view view;
  char name[VIEW_NAME_MAX];
} named_view;

/* How the replies of a lesson are written: where one parses to its end, values have names, and no
 * fixed places. */
typedef enum reply_form {
  FORM_PLAIN,
  FORM_TEXT, /* lines of headers */
  FORM_BER,
  FORM_BENCODE,
  FORM_JSON,
  FORM_TLV
} reply_form;

typedef struct lesson {
  bool is_value; /* the replies are values inside replies */
  size_t home;   /* what stands at an offset of a reply stands so much further on in the request,
                    if at the same place; NOWHERE: the request has no such value */
  reply_form form;
  tlv_format tlv;
  named_view views[VIEWS_MAX];
  size_t view_count;
  const told *const *list;
  size_t count;
  size_t request_len;              /* of the shortest; all are like the first's up to there */
  size_t look;                     /* bytes that every reply has, at most LOOK_MAX */
  bool nonce[MY_LEARN_BYTES];      /* bytes of the request that vary and come back */
  bool varies[MY_LEARN_BYTES];     /* bytes of the request that vary */
  bool taken[LOOK_MAX];            /* bytes of the reply that a finding explains */
  my_part parts[LESSON_PARTS_MAX]; /* fields of the requests that follow from the rest */
  size_t part_count;
  finding found[FINDINGS_MAX];
  size_t found_count;
} lesson;

/* Add a finding and take its bytes; false where there is no more room. */
bool lesson_add(lesson *s, const finding *f);
bool lesson_is_free(const lesson *s, size_t at, size_t width);

/* Distinct values of 'width' bytes of the requests or replies, counted up to the number of pairs.
 */
size_t count_values(const lesson *s, of_kind of, size_t at, size_t width);

const uint8_t *byte_of(const told *t, of_kind of, size_t at);
/* Big-endian, of at most 8 bytes. */
uint64_t number_at(const told *t, of_kind of, size_t at, size_t width);

/* learn_view.c: values inside replies that parse to their end, each looked at as a reply of its
 * own. What is left to look at by fixed places: s->look. MY_OK or MY_ENOMEM. */
int find_views(lesson *s);
/* learn_walk.c: how the replies are written, and the values that all of them have. */
void name_views(lesson *s);
/* learn_echo.c: what comes back of the requests. */
void find_echoes(lesson *s);
/* learn_relate.c: that, and what replies owe to addresses, lengths and clocks. */
void find_relations(lesson *s);
/* learn_echo.c: letters that are the same in all requests by chance, between nonces. */
void join_nonces(lesson *s);
/* learn_column.c: what each byte does by itself. */
void find_columns(lesson *s);
bool one_server(const lesson *s);

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
/* Printable bytes and line ends as a text between quotes; how many there are from 'at' on. */
void text_quoted(text *t, my_span bytes);
size_t plain_run(my_span bytes, size_t at);

/* learn_send.c: the line `send`, and the names of the nonces in it. */
enum { NONCE_NAME_MAX = 16 };
void write_send(text *t, const lesson *s, const my_learn_options *o);
size_t nonce_run(const lesson *s, size_t at);
void nonce_name(const lesson *s, size_t at, char name[static NONCE_NAME_MAX]);

/* Does that finding bind the reply to its request? */
bool is_echo(const finding *f);

/* learn_template.c: lengths and checksums in the requests; they are no nonces. */
void find_parts(lesson *s);

/* learn_choose.c: the lines to begin with, and the next one, or a narrower one, where they prove
 * too little. */
void choose_first(const lesson *s, bool *use);
bool choose_next(lesson *s, bool *use);
/* Is it no loss where others prove enough? */
bool may_go(const lesson *s, const finding *f);
/* Several places in which our address was found: at least one of them must hold it. */
bool is_any_address(const lesson *s, const finding *f);

/* learn_write.c: what follows the name of the signature that says the findings of 'use' (by index).
 */
void write_signature(text *t, const lesson *s, const bool *use, const told *const *against,
                     size_t against_count, const my_learn_options *o);

/* ---- learning ---- */

typedef struct work {
  const my_learn_options *o;
  const told **against;
  size_t against_count;
  my_scratch *scratch;
  lesson *lesson;
  int splits;        /* how often the pairs were divided to come here */
  my_learned now;    /* of the lesson */
  my_learned *out;   /* of all that was accepted */
  text accepted;     /* signatures, without the head of their file */
  size_t sig_count;  /* of them, those that are strict apart */
  bool strict;       /* at work on such a one */
  const told **used; /* that taught them */
  size_t used_count;
  const char *lack; /* of the last lesson that was too weak */
  char lack_room[160];
} work;

/* learn_prove.c: accept the fewest lines that prove the lesson. MY_OK; MY_NOT_YET: all together are
 * too few; MY_ENOMEM. */
int prove_lesson(work *w);
/* Who taught so far, with the lesson's, into w->now. */
void count_pairs(work *w);
/* Behind the first signature only what its servers say otherwise is of the same protocol for sure,
 * and of use: move pairs of theirs that no signature matches to the front; returns how many. */
size_t of_use_first(const work *w, const told **list, size_t count);

#endif
