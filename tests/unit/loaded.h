/* loaded.h - the signature of one row, and what matching it needs. Include behind cmocka.h. */
#ifndef MYNAH_TEST_LOADED_H
#define MYNAH_TEST_LOADED_H

#include <string.h>

#include "mynah/match.h"

static my_sigdb *db;
static my_scratch *scratch;

static const my_sig *load(const char *text)
{
  my_where where;
  assert_int_equal(my_sigdb_new(&db), MY_OK);
  assert_int_equal(my_scratch_new(&scratch), MY_OK);
  int rc = my_sigdb_add(db, "t", (my_span){(const uint8_t *)text, strlen(text)}, &where);
  if (rc != MY_OK) print_error("%u:%u %s in %s\n", where.line, where.column, where.text, text);
  assert_int_equal(rc, MY_OK);
  return my_sigdb_at(db, 0);
}

static void unload(void)
{
  my_sigdb_free(db);
  my_scratch_free(scratch);
}

#endif
