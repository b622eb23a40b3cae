/* compare.h - bytes beside bytes, for the lines of hold.c. same_bytes and find_bytes are in sig.h.
 */
#ifndef MYNAH_CORE_COMPARE_H
#define MYNAH_CORE_COMPARE_H

#include "sig.h"

/* Big-endian, of at most 8 bytes; further ones do not count. */
uint64_t to_number(my_span bytes);

/* The functions of a right side, the innermost first, on n bytes of its own. fold is none of them:
 * it is how both sides are compared. */
void apply_all(const rhs *r, uint8_t *bytes, size_t n);
bool ignores_case(const rhs *r);

bool ordered(op_kind op, uint64_t a, uint64_t b);

/* starts and has leave in *cover what they found. */
bool compare_bytes(op_kind op, my_span a, my_span b, bool any_case, my_span *cover);

#endif
