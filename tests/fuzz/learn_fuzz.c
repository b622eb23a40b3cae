/* learn_fuzz.c - any conversation into the learner: what it writes is a signature that the checker
 * accepts and every pair it counts holds, or it says what it lacks. */
#include <stdlib.h>
#include <string.h>

#include "mynah/check.h"
#include "mynah/learn.h"

/* Each message: a byte of flags, one of length, its bytes. */
static void tell(my_learner *l, const uint8_t *data, size_t size)
{
  my_message m = {.client = {.family = 4, .port = 4000, .bytes = {192, 0, 2, 1}},
                  .peer = {.family = 4, .port = 53, .bytes = {192, 0, 2, 2}},
                  .time_unix_ns = 1700000000 * INT64_C(1000000000)};
  while (size >= 2) {
    uint8_t flags = data[0];
    size_t len = data[1] < size - 2 ? data[1] : size - 2;
    m.transport = flags & 0x40 ? MY_TCP : MY_UDP;
    m.from_client = flags & 1;
    m.flow = flags >> 1 & 3;
    m.peer.bytes[3] = (uint8_t)(2 + (flags >> 3 & 1));
    m.data = (my_span){data + 2, len};
    int rc = flags & 0x80 ? my_learner_hear_against(l, &m) : my_learner_hear(l, &m);
    if (rc != MY_OK && rc != MY_EFULL) abort();
    data += 2 + len;
    size -= 2 + len;
  }
}

static void check(const char *text)
{
  my_sigdb *db;
  my_scratch *scratch;
  my_where where;
  if (my_sigdb_new(&db) != MY_OK || my_scratch_new(&scratch) != MY_OK) abort();
  my_span span = {(const uint8_t *)text, strlen(text)};
  if (my_sigdb_add(db, "learned", span, &where) != MY_OK ||
      my_sigdb_check(db, 0, scratch, &where) != MY_OK)
    abort();
  my_scratch_free(scratch);
  my_sigdb_free(db);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  my_learner *l;
  my_learned learned;
  my_learn_options o = {.service = "fuzz", .strict = size > 0 && (data[0] & 0x20)};
  if (my_learner_new(&l) != MY_OK) abort();
  tell(l, data, size);
  int rc = my_learner_learn(l, &o, &learned);
  if (rc == MY_OK)
    check(learned.text);
  else if (rc != MY_NOT_YET || learned.text || !learned.needs[0])
    abort();
  my_learned_clear(&learned);
  my_learner_free(l);
  return 0;
}
