/* match_fuzz.c - any bytes as requests and replies against every kind of line. The first byte
 * chooses the signature, the second the addresses and the control; then come pairs: how long the
 * request and the reply are, and their bytes. A request of length 255 is a probe of the signature's
 * own, drawn from what follows; one of 254 is its step, behind the pair before. All is copied to
 * the heap, so that the sanitizer sees a byte too far. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mynah/match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PAIRS_MAX = 9, OWN_STEP = 254, OWN_PROBE = 255 };

static const char signatures[] =
    "service skype\nsig skype\n send id?2 02 a16665ea0d x?14\n len = 11\n @0:2 = $id\n @2 = "
    "b0...01.1\n @3:4 = my.ip\n vary @7:4\n give @3:4 as \"address\"\n"
    "service all\nsig all\n from-port any\n send id?4 00000001 \"ABCD\"\n soft @0:4 = rev($id) or "
    "not($id) or add(q@4:4,ff)\n soft @-4:4 = fold(q@8:4) or bitor($id,80)\n soft @0:2 = len-2\n"
    " soft len = q.len+1 or 3..9\n soft len != rev(@0:2)\n soft @1 has \"OK\"\n soft @ starts $id\n"
    " soft @ has fold(q@8:4)\n soft @2:4 ~ digits\n soft @ ~ m/^(a+)+b(?<product>.*)$/\n"
    " any @0 & 80 = 80\n any @0 < 11\n any @0:16 = my.ip\n any @0:4 = my.ip ^ 2112a442\n any len "
    ">= 0\n soft @0:4 ~ now.unix 90d\n soft @2:2 <= @4:2\n soft @0:256 != @256:256\n"
    " soft @0:2 = my.port ^ 2112\n soft sport < my.port\n stable @0\n control q@4 ^ 80\n"
    " product \"$product\"\n give @ as \"all\"\n"
    "service banner\nsig banner\n over tcp\n banner\n @ ~ m/^([A-Z]+)-(\\d+)/\n version \"$1$2\"\n"
    "service easy\nsig easy\n send n?2 01\n @0:2 = $n\n soft @2:3 = a1b2c3\n @2:2 != 0000\n vary "
    "@4\n stable @2\n"
    "service views\nsig views\n send n?2 \"\\r\\nvia: nm\\r\\n\"\n view tlv 2 1 2 le 4\n soft w1 ~ "
    "digits\n soft h.via starts q.h.via\n soft len.h.b < 9\n soft ber.0.1.0 = $n\n soft tag.0.1 = "
    "a2\n soft ben./a/1/b has \"x\"\n soft len.ben./c = 20\n soft json.a.1.b = \"x\"\n soft "
    "json.c[-2:2] = $n\n soft tlv.7[1:2] = $n\n soft h.a has my.ip.text\n soft w0 = my.port.text\n"
    " soft ber.1 < 0102\n  soft w3 = fold(q@0:2)\n any @0 < 80\n any @0 >= 80\n give w1 as "
    "\"one\"\n"
    "service steps\nsig steps\n send n?2 crc32(q@0:2)\n @0:2 = $n\n @2:3 = a1b2c3\n case @5 = 01\n"
    " @6 = 02\n step m?1 r@6:2 q@0:2 inet(q@0:4)\n @0 = $m\n @1:3 = d4e5f6\n case @5 = 02\n"
    " soft step 01 r@-2:2\n @0:2 = q@1:2\n @2:2 = 0708\n version \"x\"\n case @5 > 02\n"
    " timing 0..9\n";

static my_sigdb *db;
static my_scratch *scratch;

typedef struct input {
  const uint8_t *s, *end;
} input;

static uint8_t take(input *in)
{
  return in->s < in->end ? *in->s++ : 0;
}

/* A copy of the next bytes on the heap, freed by free_pairs. */
static my_span copy(input *in, size_t len)
{
  size_t left = (size_t)(in->end - in->s), n = len < left ? len : left;
  uint8_t *bytes = malloc(n > 0 ? n : 1);
  if (bytes == NULL) abort();
  if (n > 0) memcpy(bytes, in->s, n);
  in->s += n;
  return (my_span){bytes, n};
}

static my_span own_probe(const my_sig *sig, const my_pair *p, input *in)
{
  uint8_t entropy[MY_PROBE_MAX] = {0}, *probe = malloc(MY_PROBE_MAX);
  my_sig_info info;
  my_sig_get_info(sig, &info);
  for (size_t i = 0; i < info.entropy_len; i++)
    entropy[i] = take(in);
  if (probe == NULL) abort();
  int n = my_sig_compose(sig, &p->my, &p->peer, (my_span){entropy, sizeof entropy}, probe,
                         MY_PROBE_MAX);
  return (my_span){probe, n > 0 ? (size_t)n : 0};
}

static my_span own_step(const my_sig *sig, my_pair *p, const my_pair *before)
{
  uint8_t entropy[MY_PROBE_MAX] = {0x5a}, *probe = malloc(MY_PROBE_MAX);
  if (probe == NULL) abort();
  p->step = 1 + (before->reply.len & 1);
  int n = my_sig_compose_step(sig, p->step, before, (my_span){entropy, sizeof entropy}, probe,
                              MY_PROBE_MAX);
  return (my_span){probe, n > 0 ? (size_t)n : 0};
}

static void set_addresses(my_pair *p, unsigned choice)
{
  static const char *const mine[] = {"192.0.2.7", "192.168.0.19", "2001:db8::7", "8.8.8.8"};
  my_endpoint_parse(&p->my, mine[choice % 4], 40000);
  my_endpoint_parse(&p->peer, choice % 4 == 2 ? "2001:db8::1" : "192.0.2.1", 5000);
  if (choice & 4) p->from = p->peer;
  if (choice & 8) p->from.port++;
  if (choice & 16) my_endpoint_parse(&p->public_, "81.0.0.1", 0);
  if (choice & 32) p->now_unix_ns = 1700000000000000000;
}

static size_t take_pairs(const my_sig *sig, input *in, unsigned choice, my_pair *pairs)
{
  size_t count = 0;
  do {
    my_pair *p = &pairs[count++];
    *p = (my_pair){0};
    set_addresses(p, choice);
    size_t asked = take(in), answered = take(in);
    bool step = asked == OWN_STEP && count > 1;
    p->request = step                 ? own_step(sig, p, p - 1)
                 : asked == OWN_PROBE ? own_probe(sig, p, in)
                                      : copy(in, asked);
    p->reply = copy(in, answered | (size_t)(asked >= OWN_STEP ? 0 : take(in) & 3) << 8);
  } while (in->s < in->end && count < PAIRS_MAX);
  return count;
}

static void check_verdict(const my_sig *sig, const my_verdict *v)
{
  my_sig_info info;
  double sum = 0;
  my_sig_get_info(sig, &info);
  bool more = v->state == MY_CERTAIN && v->want == MY_WANT_STEP; /* it can only tell more */
  for (size_t i = 0; i < v->last.line_count; i++)
    sum += v->last.line_bits[i];
  if ((v->confidence >= 0.9) != (v->state == MY_CERTAIN)) abort();
  if (v->state == MY_CERTAIN && (!info.budget.enough || v->identity_bits < 16)) abort();
  if (!more && (v->want != MY_WANT_NOTHING) != (v->state == MY_MORE)) abort();
  if (v->state != MY_NO && (sum < -0.001 || sum > v->identity_bits + 0.001)) abort();
  for (size_t i = 0; i < v->give_count; i++)
    if (memchr(v->give[i].value, 0, sizeof v->give[i].value) == NULL) abort();
}

/* The fast answer is the one with evidence; what a request fits has a name where it holds. */
static void check_fast(const my_sig *sig, const my_pair *p)
{
  const my_sig *found[MY_BIND_MAX];
  my_match m;
  my_sig_info info;
  my_sig_match(sig, p, scratch, &m);
  if (my_sig_holds(sig, p, scratch) != m.matched) abort();
  my_sig_get_info(sig, &info);
  bool named = my_sigdb_name(db, info.transport, p, scratch) != NULL, holds = false;
  size_t n = my_sigdb_bind(db, info.transport, p->request, found, MY_BIND_MAX);
  for (size_t i = 0; i < n; i++)
    holds = holds || my_sig_holds(found[i], p, scratch);
  if (named != holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  my_pair pairs[PAIRS_MAX];
  my_where where;
  my_verdict v;
  size_t from, to;
  if (db == NULL &&
      (my_sigdb_new(&db) != MY_OK || my_scratch_new(&scratch) != MY_OK ||
       my_sigdb_add(db, "f", (my_span){(const uint8_t *)signatures, sizeof signatures - 1},
                    &where) != MY_OK))
    abort();
  input in = {data, data + size};
  const my_sig *sig = my_sigdb_at(db, take(&in) % my_sigdb_count(db));
  unsigned choice = take(&in);
  size_t count = take_pairs(sig, &in, choice, pairs);
  if (my_sig_judge(sig, pairs, count, (my_control)(choice >> 6) % 3, scratch, &v) != MY_OK) abort();
  check_verdict(sig, &v);
  my_sig_answers_control(sig, &pairs[0], scratch);
  my_echo_find(pairs[0].request, pairs[0].reply, &from, &to);
  for (size_t i = 0; i < count; i++) {
    check_fast(sig, &pairs[i]);
    free((void *)pairs[i].request.data);
    free((void *)pairs[i].reply.data);
  }
  return 0;
}
