/* decoy.h - servers that play with our bytes and know no service, and the conversation that the
 * prober would hold with them. */
#ifndef MYNAH_CORE_DECOY_H
#define MYNAH_CORE_DECOY_H

#include "sig.h"

enum { DECOY_NAME_MAX = 64, DECOY_REPLY_MAX = 2048, DECOY_TALK_MAX = 10 };

/* Room for one conversation. */
typedef struct decoy_talk {
  uint8_t request[DECOY_TALK_MAX][MY_PROBE_MAX], reply[DECOY_TALK_MAX][DECOY_REPLY_MAX];
  uint8_t entropy[MY_PROBE_MAX];
  my_pair pairs[DECOY_TALK_MAX];
} decoy_talk;

size_t decoy_count(void);
const char *decoy_name(size_t decoy, char name[DECOY_NAME_MAX]);

/* Does the decoy, which answers as long as 'sample', pass for the service? MY_OK and *fooled, or
 * why the probe cannot be composed. */
int decoy_try(const my_sig *sig, size_t decoy, const my_sample *sample, decoy_talk *room,
              my_scratch *scratch, bool *fooled);

/* A pair with addresses of documentation, at no known time. */
my_pair pair_of(my_span request, my_span reply);

#endif
