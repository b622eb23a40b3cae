/* check.h - prove a signature before it is used: its samples, its evidence, and that nothing which
 * merely gives our bytes back is taken for it. Pure: the "random" bytes are the same every time. */
#ifndef MYNAH_CHECK_H
#define MYNAH_CHECK_H

#include "mynah/match.h"

/* Check signature number i of 'db': it has a sample that matches and one that does not, all behave
 * as they say; its evidence, as the lines promise it and as a sample shows it, can reach a certain
 * verdict; no decoy does in a simulated conversation (echo, reversed, last byte changed, constant,
 * random, the first bytes returned, an old reply, one bit of the header turned); no sample of
 * another service matches. MY_OK; MY_ESYNTAX and *problem (line of the file, text); MY_ENOMEM. */
int my_sigdb_check(const my_sigdb *db, size_t i, my_scratch *scratch, my_where *problem);

#endif
