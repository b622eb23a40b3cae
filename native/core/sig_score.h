/* sig_score.h - the parts of the score: what a line is worth by itself (sig_worth.c), which lines
 * are easy (sig_easy.c), and what they make together (sig_score.c). */
#ifndef MYNAH_CORE_SIG_SCORE_H
#define MYNAH_CORE_SIG_SCORE_H

#include "sig.h"

/* Fill in l->worth; copied: a copy of the probe holds the line too. */
void score_line(line *l, bool copied);

/* One of so many holds more easily than each of them. */
void charge_choice(line *l, double choices);

/* For each line: does a copy of the probe hold it, and is it easy for this or another reason? */
typedef struct ease {
  bool copied[MY_LINES_MAX], easy[MY_LINES_MAX];
} ease;

/* MY_OK or MY_ENOMEM. */
int find_easy(const my_sig *sig, my_scratch *scratch, ease *out);

#endif
