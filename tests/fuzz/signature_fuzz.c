/* signature_fuzz.c - any text as a signature file: parsed or refused with a place and a reason;
 * what parsed is composed, checked and freed. */
#include <stdlib.h>

#include "mynah/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static uint8_t entropy[MY_PROBE_MAX], probe[MY_PROBE_MAX];
  my_sigdb *db;
  my_scratch *scratch;
  my_where where;
  my_endpoint my;
  my_endpoint_parse(&my, "192.0.2.7", 40000);
  if (my_sigdb_new(&db) != MY_OK || my_scratch_new(&scratch) != MY_OK) abort();
  int rc = my_sigdb_add(db, "fuzz", (my_span){data, size}, &where);
  if (rc == MY_ESYNTAX && where.text[0] == 0) abort(); /* refused without a reason */
  for (size_t i = 0; i < my_sigdb_count(db) && i < 4; i++) {
    int n = my_sig_compose(my_sigdb_at(db, i), &my, &my, (my_span){entropy, sizeof entropy}, probe,
                           sizeof probe);
    if (n > 0) my_sig_break(my_sigdb_at(db, i), probe, (size_t)n);
    my_sigdb_check(db, i, scratch, &where);
  }
  my_sigdb_free(db);
  my_scratch_free(scratch);
  return 0;
}
