/* sig_score.h - the parts of the score: what a line is worth by itself (sig_worth.c), which lines
 * are easy (sig_easy.c), and what they make together (sig_score.c). */
#ifndef MYNAH_CORE_SIG_SCORE_H
#define MYNAH_CORE_SIG_SCORE_H

#include "sig.h"

/* Fill in l->worth; copied: a copy of the probe holds the line too. */
void score_line(line *l, bool copied);

/* One of so many holds more easily than each of them. */
void charge_choice(line *l, double choices);

/* Two probes that have nothing of what is drawn anew in common. */
typedef struct echoes {
  uint8_t probe[2][MY_PROBE_MAX];
  size_t len;
} echoes;

void make_echoes(const my_sig *sig, echoes *out);
bool holds_on_echo(const line *l, const echoes *e, my_scratch *scratch);

/* Bytes of a reply long enough for a line. */
size_t line_reach(const line *l);

/* Does a reply of one byte over and over hold the line? 'reply' has room for its reach. */
bool holds_on_fill(const line *l, const echoes *e, uint8_t *reply, my_scratch *scratch);

#endif
