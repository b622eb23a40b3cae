/* sig.h - the compiled form of a signature, shared by the files of native/core that parse, compose,
 * score and match. Every line of a signature becomes one fixed check; nothing here is changed after
 * parsing. */
#ifndef MYNAH_CORE_SIG_H
#define MYNAH_CORE_SIG_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "mynah/match.h"
#include "mynah/signature.h"
#include "view.h"

/* ---- memory: everything of one file lives and dies together ---- */

typedef struct arena {
  struct arena_chunk *head;
} arena;
void *arena_alloc(arena *a, size_t size); /* zeroed; NULL when memory is out */
char *arena_text(arena *a, const char *s, size_t n);
void arena_free(arena *a);

/* ---- send ---- */

typedef enum slot_kind {
  SLOT_RANDOM, /* n bytes of a class */
  SLOT_NIBBLE, /* one byte: the bits of 'mask' are random */
  SLOT_MY_IP,
  SLOT_MY_PORT,
  SLOT_PEER_IP,
  SLOT_PEER_PORT,
  SLOT_BEFORE /* of a step: bytes of the request or the reply before it */
} slot_kind;

typedef enum byte_class { CLASS_ANY, CLASS_ALPHA, CLASS_ALNUM, CLASS_DIGIT, CLASS_POS } byte_class;

typedef struct field {
  const char *name;
  uint16_t offset, len;
} field;

/* A checksum over bytes of the probe, written when all else stands there. */
typedef enum sum_kind { SUM_CRC32, SUM_CRC32_LE, SUM_INET, SUM_8 } sum_kind;
typedef struct checksum {
  sum_kind kind;
  uint16_t offset, from, len;
} checksum;
size_t sum_width(sum_kind kind);
uint32_t sum_of(sum_kind kind, const uint8_t *bytes, size_t n);
/* As `send` writes it in a probe, first byte first. */
void write_sum(sum_kind kind, uint32_t value, uint8_t *out);

/* ---- lines ---- */

typedef enum of_kind { OF_REPLY, OF_REQUEST } of_kind;

/* A place in the request or the reply. Offset and width count within the value of the view, where
 * there is one; of the request only plain places are left once it is parsed. */
typedef struct place {
  of_kind of;
  const view *in; /* NULL: the datagram itself */
  bool length;    /* the word len: the size itself, not bytes */
  bool sport;     /* the word sport: the port that the reply came from */
  bool from_end;  /* offset counts back from the end */
  bool to_end;    /* from offset to the end, width does not count */
  bool bare;      /* @o without a width: one byte, or all that follows under starts, has and ~ */
  uint16_t offset, width;
} place;

typedef struct slot {
  slot_kind kind;
  byte_class class_;
  uint16_t offset, len;
  uint8_t mask;
  place before; /* SLOT_BEFORE */
} slot;

typedef enum op_kind {
  OP_EQ,
  OP_NE,
  OP_LT,
  OP_LE,
  OP_GT,
  OP_GE,
  OP_STARTS,
  OP_HAS,
  OP_LIKE
} op_kind;

typedef enum rhs_kind {
  RHS_BYTES,  /* hex of the place's width, or text */
  RHS_NUMBER, /* lo; a range lo..hi */
  RHS_BITS,   /* value and mask, as wide as the place */
  RHS_PLACE,  /* bytes or length elsewhere, plus 'add' for lengths */
  RHS_ADDRESS,
  RHS_PORT,
  RHS_ADDRESS_TEXT, /* as dotted text, the port in decimal */
  RHS_PORT_TEXT,
  RHS_TIME_NTP,
  RHS_TIME_UNIX,
  RHS_DIGITS,
  RHS_REGEX
} rhs_kind;

typedef enum transform_kind {
  FN_NONE,
  FN_REV,
  FN_NOT,
  FN_ADD,
  FN_BITOR,
  FN_FOLD,
  FN_XOR
} transform_kind;

enum { TRANSFORMS_MAX = 4, VALUE_MAX = 256 /* bytes of a place */ };

typedef struct transform {
  transform_kind kind;
  uint64_t k;
  my_span bytes; /* FN_XOR: the key, repeated */
} transform;

/* What a line is worth when it holds, in bits of identity. */
typedef struct worth {
  double bits;        /* of the bytes that it compares */
  double search_bits; /* of what it finds somewhere, within the first SEARCH_NEAR bytes */
  unsigned searches;  /* so many texts are found one behind the other */
  uint16_t prefix;    /* a pattern: bytes at its start that 'bits' stand for */
} worth;

enum { SEARCH_NEAR_BITS = 4 }; /* log2 of 16 bytes; what is found further on is worth less */

typedef struct rhs {
  rhs_kind kind;
  my_span bytes, mask; /* RHS_BYTES; RHS_BITS: value and mask */
  uint64_t lo, hi;     /* RHS_NUMBER; for times 'hi' is the tolerance in seconds */
  place place;
  int64_t add;
  bool mine; /* an address or a port: ours, else the peer's */
  transform fn[TRANSFORMS_MAX];
  uint8_t fn_count;
  pcre2_code *regex;
  worth regex_worth;
} rhs;

typedef enum line_kind { LINE_CHECK, LINE_VARY, LINE_STABLE, LINE_TIMING, LINE_CLOSES } line_kind;

/* Facts that count once, however many lines say them. */
typedef enum fact {
  FACT_NONE,
  FACT_LENGTH,
  FACT_FROM_PORT,
  FACT_MY_IP,
  FACT_PEER_IP,
  FACT_MY_PORT,
  FACT_PEER_PORT,
  FACT_TIME,
  FACT_COUNT
} fact;

typedef struct line {
  line_kind kind;
  bool soft;       /* adds evidence, never refuses */
  uint16_t any;    /* number of the `any` group, from 1; 0: none */
  uint16_t branch; /* counts in this case only, from 1; 0: always */
  unsigned number;
  const char *text;
  place at;
  my_span mask; /* empty: none */
  op_kind op;
  rhs *right;
  size_t right_count;
  uint32_t least_ms, most_ms; /* LINE_TIMING */
  /* By sig_score, for a line that held: */
  worth worth;
  double structure_bits; /* of worth: that the view finds something */
  double fresh_bits;
  fact fact;
  bool easy; /* servers that do not know the service hold it too */
} line;

typedef struct give {
  const char *name;
  const char *text; /* a template with $group, or NULL: bytes of 'at' */
  place at;
  uint16_t branch;
  unsigned line_number, column;
} give;

/* A `case`: its condition is a line, its step may be none (0). */
typedef struct branch {
  size_t condition;
  unsigned step;
} branch;

struct my_sig {
  my_sig_info info;
  const struct service *service;
  uint8_t *probe;   /* probe_len bytes, slots zero */
  uint8_t *entropy; /* for each byte of the probe: sixteenths of a bit that are drawn anew */
  slot *slots;
  size_t slot_count;
  field *fields;
  size_t field_count;
  checksum *sums;
  size_t sum_count;
  line *lines;
  size_t line_count;
  give *gives;
  size_t give_count;
  bool any_port; /* the reply may come from another port than the one asked */
  bool echoes;   /* it may begin with the whole request, if more follows */
  place control; /* bytes of the request that are XORed with control_key */
  my_span control_key;
  my_sample *samples;
  size_t sample_count;
  branch *branches;
  size_t branch_count;
  my_sig **steps; /* signatures of their own, without samples */
  size_t step_count;
  unsigned step;          /* what follows where there is no case; 0: nothing */
  bool is_step, optional; /* optional: a step that can only tell more */

  const struct programs *programs; /* program.h: the lines once more, for my_sig_holds */
};

typedef struct port_range {
  my_transport transport;
  uint16_t first, last;
} port_range;

typedef struct service {
  const char *name, *title;
  port_range *ports;
  size_t port_count;
} service;

struct sig_file {
  arena memory;
  my_sig **sigs;
  size_t count;
  struct sig_file *next;
};

struct my_sigdb {
  struct sig_file *files;
  my_sig **all; /* in the order in which they were added */
  size_t count;
  struct sig_index *index;
};

struct my_scratch {
  pcre2_match_data *match;
  pcre2_match_context *limits;
};

/* ---- parts ---- */

typedef enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_TEXT, TOKEN_REGEX, TOKEN_OP } token_kind;

typedef struct token {
  token_kind kind;
  unsigned column;
  const char
      *s; /* as written; for TEXT the decoded bytes; for REGEX what stands between the slashes */
  size_t n;
} token;

enum { TOKENS_MAX = 256 };

int hex_value(char c); /* -1: not a hex digit */

/* Bytes of the UTF-8 character at s (n > 0), in the shortest form of one that exists. 0: it is
 * none. */
size_t utf8_length(const char *s, size_t n);
/* Is that character one that terminals obey? */
bool is_control(const char *s);

/* Split one line of text. Decoded strings go into the arena. MY_OK and *count (0 for an empty
 * line), or MY_ESYNTAX with where->column and text. */
int sig_lex(arena *a, const char *s, size_t n, token *out, size_t *count, my_where *where);

/* Parse a whole file into f->sigs. */
int sig_parse(struct sig_file *f, const struct my_sigdb *db, const char *name, my_span text,
              my_where *where);

/* What every match of a pattern must contain, at the least. */
worth regex_worth(const char *s, size_t n);

/* A character of a text, as bits. */
double char_bits(uint8_t c);

/* Fill in what each line is worth, and the signature's budget. MY_OK or MY_ENOMEM. */
int sig_score(my_sig *sig, my_scratch *scratch);
enum { CONTROL_BITS = 4, VARY_BITS = 2, STABLE_BITS = 1, TCP_FRESH_BITS = 32 };
enum { CERTAIN_BITS = 40, CERTAIN_IDENTITY_BITS = 16, CERTAIN_FRESH_BITS = 16 };
bool budget_is_enough(double fresh_bits, double identity_bits, bool fresh_exempt);

/* ---- evidence: what lines that held are worth together ---- */

typedef struct evidence {
  const line *line;
  size_t from, to; /* the bytes of the reply that it compares; equal: none */
  double bits;
  size_t search_from, search_to; /* where it searched, up to the end of what it found */
  double search_bits;
} evidence;

/* Leave in each 'bits' what the line adds to the others, and return the sum: a byte of the reply
 * counts once, by the line that says most of it, a fact once, a search once, easy lines together up
 * to a limit, which is higher where a control unmasks copiers. At most MY_LINES_MAX. */
double evidence_sum(evidence *list, size_t count, double easy_limit);
double easy_limit(const my_sig *sig);

/* ---- matching ---- */

/* How a line fared on a pair: the bytes that it looked at, and those of them that it is about. */
typedef struct holding {
  my_held held;
  my_span got, cover;
} holding;

void hold_line(const line *l, const my_pair *pair, my_scratch *scratch, holding *out);

/* Does the reply come from where it should, and not begin with the whole request? */
bool reply_is_due(const my_sig *sig, const my_pair *pair);

/* Translate the lines of a signature and its steps: sig->programs. MY_OK or MY_ENOMEM. */
int sig_compile(arena *a, my_sig *sig);

/* By what is sent: which of the signatures does a request fit? MY_OK or MY_ENOMEM. */
int index_new(struct sig_index **out, my_sig *const *sigs, size_t count);
void index_free(struct sig_index *x); /* NULL is allowed */

/* Fill in the checksums of a probe whose other bytes stand. */
void write_sums(const my_sig *sig, uint8_t *probe);

/* What says more: held, a public, a private address, skipped, failed. */
int held_rank(my_held h);

/* The step behind a pair that matches so; 0: none. */
unsigned step_behind(const my_sig *sig, const my_match *m);

/* The bytes that a place names. false: it reaches outside. */
bool place_bytes(const place *p, const my_pair *pair, my_span *out);

bool same_bytes(my_span a, my_span b);
/* Where 'what' begins in 'where', from 0; SIZE_MAX: nowhere. */
size_t find_bytes(my_span where, my_span what);

/* Does the pattern match? Then its groups stand in scratch->match. */
bool match_regex(const pcre2_code *code, my_span subject, my_scratch *scratch);

/* ---- what is given ---- */

enum { GROUP_NAME_MAX = 32 };
/* The length of the group's name at s, behind a $: one digit, or small letters, digits and _. */
size_t group_length(const char *s);
/* The number of that group in a pattern, negative: it has none. */
int group_number(const pcre2_code *code, const char *s, size_t n);

/* Fill in what a signature gives of a pair that matches. */
void give_all(const my_sig *sig, const my_pair *pair, const my_match *m, my_scratch *scratch,
              my_verdict *out);

#endif
