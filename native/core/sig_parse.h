/* sig_parse.h - the state of one parse, shared by the parser's files: sig_parse.c (statements),
 * sig_send.c (the probe), sig_line.c (what a reply owes). */
#ifndef MYNAH_CORE_SIG_PARSE_H
#define MYNAH_CORE_SIG_PARSE_H

#include "sig.h"

typedef struct length_fixup {
  uint16_t offset;
  uint8_t width;
  bool little;
  int32_t add;
} length_fixup;

enum { FIXUPS_MAX = 16 };

typedef struct parser {
  struct sig_file *file;
  const struct my_sigdb *db;
  const char *name;
  my_where *where;
  unsigned line_number;
  const char *line; /* text of this line, without its indentation and comment */
  token tokens[TOKENS_MAX];
  size_t count, at; /* at: the next token */
  service *service;
  my_sig *sig;    /* the one being read, or NULL */
  bool send_over; /* a line has used the probe: it is fixed now */
  uint16_t any_group;
  bool last_was_any;
  uint8_t probe[MY_PROBE_MAX];
  uint8_t entropy[MY_PROBE_MAX];
  size_t probe_len;
  length_fixup fixups[FIXUPS_MAX];
  size_t fixup_count;
} parser;

/* Say what is wrong at token t: always MY_ESYNTAX. */
int parse_fail(parser *p, const token *t, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

const token *parse_peek(const parser *p);
const token *parse_take(parser *p);
bool token_is(const token *t, const char *word);

/* A decimal number from low to high that is the whole of s. false: it is not. */
bool read_decimal(const char *s, size_t n, uint64_t low, uint64_t high, uint64_t *out);
/* Hex digits, an even number of them, into the arena. MY_EFORMAT: not hex. */
int read_hex(arena *a, const char *s, size_t n, my_span *out);

/* 00*39: one byte, so many times, into the arena. MY_EFORMAT: something else. */
int read_repeat(arena *a, const token *t, my_span *out);

/* Make room for one more element at the end of an arena array that doubles. NULL: memory is out. */
void *grow(arena *a, void *array, size_t count, size_t size);

int parse_send(parser *p);
int parse_place(parser *p, const token *t, bool left, place *out);
int parse_line(parser *p, line_kind kind, bool soft, bool any);

#endif
