/* program.h - the simple lines of a signature as fixed operations, for an answer without evidence.
 * What a reply must be long enough for is asked once, before the first of them. */
#ifndef MYNAH_CORE_PROGRAM_H
#define MYNAH_CORE_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <endian.h>

typedef enum op_code {
  CODE_SAME,    /* bytes under the mask equal those of the source */
  CODE_DIFFERS, /* … do not */
  CODE_WITHIN,  /* a big-endian number under the mask lies in low..high */
  CODE_OUTSIDE, /* … does not */
  CODE_LENGTH   /* a number is to a length, plus 'low', as 'compare' says */
} op_code;

typedef enum op_source { FROM_CONSTANT, FROM_REQUEST, FROM_REPLY } op_source;

typedef struct op {
  uint8_t code, source;
  uint8_t width; /* bytes that are loaded: 1, 2, 4, 8; 0: no bytes but the reply's length */
  uint8_t shift; /* of a number: bits behind it that were loaded too */
  bool at_end, there_end;   /* 'at', 'there' count back from the end */
  uint8_t others;           /* so many operations that follow would do instead */
  uint8_t compare;          /* op_kind */
  uint32_t at, there;       /* in the reply; in the source */
  uint64_t mask, low, high; /* of bytes: mask and constant, the first byte lowest */
} op;

/* Up to 8 bytes as a word, the first one lowest. */
static inline uint64_t as_word(const uint8_t *bytes, size_t n)
{
  uint64_t word = 0;
  memcpy(&word, bytes, n);
  return le64toh(word);
}

/* Lines of one signature that must all hold. */
typedef struct program {
  size_t least, most;   /* length of the reply */
  size_t least_request; /* at the least, of the request */
  const op *ops;
  size_t op_count;
  const uint8_t *rest; /* lines that hold_line must see, ascending; an `any` group as a whole */
  size_t rest_count;
} program;

/* All of a signature: what always counts, and for each `case` its condition and its lines. */
typedef struct programs {
  program always;
  const struct case_program {
    program condition, lines;
  } * cases;
} programs;

#endif
