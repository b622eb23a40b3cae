/* signature_fuzz.c - any text as a signature file: parsed or refused with a place and a reason;
 * what parsed is composed, weighed, checked and freed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mynah/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nothing of a file reaches a terminal raw. */
static void check_text(const char *s)
{
  for (; *s != 0; s++)
    if ((unsigned char)*s < 32 && *s != '\t') abort();
}

static void check_refusal(const my_where *where)
{
  if (where->text[0] == 0) abort();
  if (where->line > 0 && where->column == 0) abort();
  check_text(where->text);
}

static void check_sig(const my_sig *sig)
{
  const char *line;
  my_sig_info info;
  my_sig_get_info(sig, &info);
  check_text(info.title);
  for (size_t i = 0; (line = my_sig_line_text(sig, i)) != NULL; i++)
    check_text(line);
  if (!(info.budget.fresh_bits >= 0) || !(info.budget.identity_bits >= 0) ||
      !isfinite(info.budget.fresh_bits) || !isfinite(info.budget.identity_bits))
    abort();
  if (info.budget.enough && info.budget.identity_bits < 16) abort();
}

static void compose(const my_sig *sig)
{
  static uint8_t entropy[MY_PROBE_MAX], probe[MY_PROBE_MAX];
  my_endpoint my;
  my_endpoint_parse(&my, "192.0.2.7", 40000);
  int n = my_sig_compose(sig, &my, &my, (my_span){entropy, sizeof entropy}, probe, sizeof probe);
  if (n > 0) my_sig_break(sig, probe, (size_t)n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  my_sigdb *db;
  my_scratch *scratch;
  my_where where;
  if (my_sigdb_new(&db) != MY_OK || my_scratch_new(&scratch) != MY_OK) abort();
  int rc = my_sigdb_add(db, "fuzz", (my_span){size > 0 ? data : NULL, size}, &where);
  if (rc == MY_ESYNTAX) check_refusal(&where);
  if (rc != MY_OK && my_sigdb_count(db) != 0) abort();
  for (size_t i = 0; i < my_sigdb_count(db) && i < 4; i++) {
    check_sig(my_sigdb_at(db, i));
    compose(my_sigdb_at(db, i));
    if (my_sigdb_check(db, i, scratch, &where) == MY_ESYNTAX) check_refusal(&where);
  }
  my_sigdb_free(db);
  my_scratch_free(scratch);
  return 0;
}
