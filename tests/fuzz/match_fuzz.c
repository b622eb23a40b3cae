/* match_fuzz.c - any bytes as request and reply against every kind of line: the first byte says how
 * long the request is, the rest is the reply. Both are copied to the heap, so that the sanitizer
 * sees a byte too far. */
#include <stdlib.h>
#include <string.h>

#include "mynah/match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char signatures[] =
    "service skype\nsig skype\n send id?2 02 a16665ea0d x?14\n len = 11\n @0:2 = $id\n @2 = "
    "b0...01.1\n"
    " @3:4 = my.ip\n vary @7:4\n give @3:4 as \"address\"\n"
    "service all\nsig all\n from-port any\n send id?4 00000001 \"ABCD\"\n soft @0:4 = rev($id) or "
    "not($id) or add(q@4:4,ff)\n"
    " soft @-4:4 = fold(q@8:4) or bitor($id,80)\n soft @0:2 = len-2\n soft len = q.len+1 or 3..9\n"
    " soft @1 has \"OK\"\n soft @ starts $id\n soft @2:4 ~ digits\n soft @ ~ "
    "m/^(a+)+b(?<product>.*)$/\n"
    " any @0 & 80 = 80\n any @0 < 11\n any @0:16 = my.ip\n any @0:4 = my.ip ^ 2112a442\n any len "
    ">= 0\n"
    " soft @0:4 ~ now.unix 90d\n soft @2:2 <= @4:2\n stable @0\n control q@4 ^ 80\n product "
    "\"$product\"\n"
    "service banner\nsig banner\n over tcp\n banner\n @ ~ m/^([A-Z]+)-(\\d+)/\n version \"$1$2\"\n";

static my_span copy(const uint8_t *data, size_t len, void **held)
{
  *held = malloc(len > 0 ? len : 1);
  if (*held == NULL) abort();
  if (len > 0) memcpy(*held, data, len);
  return (my_span){*held, len};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static my_sigdb *db;
  static my_scratch *scratch;
  my_where where;
  void *held[2];
  if (db == NULL &&
      (my_sigdb_new(&db) != MY_OK || my_scratch_new(&scratch) != MY_OK ||
       my_sigdb_add(db, "f", (my_span){(const uint8_t *)signatures, sizeof signatures - 1},
                    &where) != MY_OK))
    abort();
  if (size == 0) return 0;
  size_t request_len = data[0] < size - 1 ? data[0] : size - 1, from, to;
  my_span request = copy(data + 1, request_len, &held[0]);
  my_span reply = copy(data + 1 + request_len, size - 1 - request_len, &held[1]);
  my_pair pairs[2] = {{.request = request, .reply = reply, .now_unix_ns = 1700000000000000000}};
  my_endpoint_parse(&pairs[0].my, size % 2 ? "192.0.2.7" : "2001:db8::7", 40000);
  pairs[0].peer = pairs[0].my;
  pairs[1] = pairs[0];
  for (size_t i = 0; i < my_sigdb_count(db); i++) {
    my_verdict v;
    my_sig_judge(my_sigdb_at(db, i), pairs, 1 + size % 2, (my_control)(size % 3), scratch, &v);
    my_sig_answers_control(my_sigdb_at(db, i), &pairs[0], scratch);
    if ((v.confidence >= 0.9) != (v.state == MY_CERTAIN)) abort();
  }
  my_echo_find(request, reply, &from, &to);
  free(held[0]);
  free(held[1]);
  return 0;
}
