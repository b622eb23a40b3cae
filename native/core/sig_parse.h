/* sig_parse.h - the state of one parse, shared by the parser's files: sig_parse.c (statements),
 * sig_word.c (words of a line), sig_service.c, sig_send.c (the probe), sig_place.c, sig_right.c and
 * sig_line.c (what a reply owes), sig_sample.c (samples, and what is given). */
#ifndef MYNAH_CORE_SIG_PARSE_H
#define MYNAH_CORE_SIG_PARSE_H

#include "sig.h"

typedef struct length_fixup {
  uint16_t offset;
  uint8_t width;
  bool little;
  int32_t add;
  unsigned line_number, column;
} length_fixup;

/* What one file may ask for, so that reading it ends soon. */
enum {
  SIGS_MAX = 4096,
  FIXUPS_MAX = 16,      /* lengths in a probe */
  SAMPLE_MAX = 65536,   /* bytes of a request or a reply */
  FILE_ROOM = 4 << 20,  /* bytes of all samples, and of all patterns */
  PATTERN_STEPS = 5000, /* of a pattern that is tried for the score */
};

typedef struct parser {
  struct sig_file *file;
  const struct my_sigdb *db;
  const char *name;
  my_where *where;
  my_scratch *scratch;
  unsigned line_number;
  const char *text; /* this line as it stands in the file */
  const char *line; /* the same without its indentation and comment, kept */
  token tokens[TOKENS_MAX];
  size_t count, at; /* at: the next token */
  service *service;
  my_sig *sig;     /* the one being read, or its step; or NULL */
  my_sig *outer;   /* inside a step: the signature */
  uint16_t branch; /* the open case, 0: none */
  bool send_over;  /* a line has used the probe: it is fixed now */
  uint16_t any_group;
  bool last_was_any;
  uint8_t probe[MY_PROBE_MAX];
  uint8_t entropy[MY_PROBE_MAX];
  size_t probe_len;
  length_fixup fixups[FIXUPS_MAX];
  size_t fixup_count;
  unsigned sum_line; /* of the last checksum */
  tlv_format tlv;    /* of this signature; widths 0: not said */
  uint8_t sample[SAMPLE_MAX];
  size_t sample_bytes, pattern_bytes; /* of the whole file, each at most FILE_ROOM */
} parser;

/* Say what is wrong at token t: always MY_ESYNTAX. */
int parse_fail(parser *p, const token *t, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same at an earlier line. */
int parse_fail_at(parser *p, unsigned line_number, unsigned column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The column of a token of this line, from 1, in characters (tokens count bytes). */
unsigned column_of(const parser *p, const token *t);

const token *parse_peek(const parser *p);
const token *parse_take(parser *p);
bool token_is(const token *t, const char *word);
bool text_starts(const char *s, size_t n, const char *prefix);
int expect_end(parser *p);

/* A name, lower case, into the arena; 'what' is named in the message. */
int take_name(parser *p, const char *what, char **out);

/* A text in quotes, without control characters, into the arena. */
int take_text(parser *p, const char *what, const char **out);

/* A decimal number from low to high that is the whole of s. false: it is not. */
bool read_decimal(const char *s, size_t n, uint64_t low, uint64_t high, uint64_t *out);

/* Hex digits, an even number of them, into the arena. MY_EFORMAT: not hex. */
int read_hex(arena *a, const char *s, size_t n, my_span *out);

/* 00*39: one byte, so many times. false: something else. */
bool read_repeat(const token *t, uint8_t *byte, size_t *count);

/* Make room for one more element at the end of an arena array that doubles. NULL: memory is out. */
void *grow(arena *a, void *array, size_t count, size_t size);

/* ---- statements: 'word' is the keyword, the rest of the line comes next ---- */

int parse_service(parser *p, const token *word);
int parse_title(parser *p, const token *word);
int parse_ports(parser *p, const token *word);
int parse_from(parser *p, const token *word);
int parse_send(parser *p, const token *word);
int parse_sample(parser *p, const token *word);
int parse_give(parser *p, const token *word);
int parse_template(parser *p, const token *word);
int parse_view(parser *p, const token *word);
int parse_line(parser *p, line_kind kind, bool soft, bool any);
/* One more line, which says nothing yet. */
int new_line(parser *p, line_kind kind, line **out);

/* ---- their parts ---- */

/* Write the lengths of a probe that is complete. */
int set_lengths(parser *p);
int parse_place(parser *p, const token *t, bool left, place *out);
/* The same for the text s inside the word t. */
int read_place(parser *p, const token *t, const char *s, size_t n, bool left, place *out);
/* o, o:n, -o:n, or nothing: all of it. false: something else. */
bool read_offsets(const char *s, size_t n, place *out);
/* Does it name a value of a view, such as h.via? */
bool is_view(const char *s, size_t n);
/* That value, or a part of it; out->of says of which datagram. */
int read_view(parser *p, const token *t, const char *s, size_t n, place *out);
/* What a line compares its place with; 'l' has its place, mask and operator already. */
int parse_right(parser *p, const line *l, rhs *out);
/* Do all groups that templates name stand in some pattern? */
int check_templates(parser *p);

#endif
