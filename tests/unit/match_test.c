/* match_test.c - replies held against signatures: one pair, whole conversations, echoes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "guard.h"
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

static size_t unhex(const char *hex, uint8_t *out)
{
  size_t n = 0;
  unsigned value;
  for (; *hex != 0; hex++)
    if (*hex != ' ' && sscanf(hex++, "%2x", &value) == 1) out[n++] = (uint8_t)value;
  return n;
}

/* ---- one line at a time ---- */

typedef struct line_row {
  const char *why, *relation, *reply;
  bool matches;
} line_row;

#define REQUEST "11223344 00000001 41424344"
#define SEND    " send id?4 00000001 \"ABCD\"\n"

static const line_row line_rows[] = {
    {"a constant", "@0:2 = a1b2", "a1b2", true},
    {"… one bit off", "@0:2 = a1b2", "a1b3", false},
    {"… one byte too soon", "@0:2 = a1b2", "a1", false},
    {"no reply at all", "@0 = 00", "", false},
    {"what was sent", "@1:4 = $id", "ff11223344", true},
    {"what was sent, moved by one", "@1:4 = $id", "1122334400", false},
    {"a place of the request", "@0:4 = q@8:4", "41424344", true},
    {"a place within the reply", "@0:2 = @2:2", "abcdabcd", true},
    {"… that differs", "@0:2 = @2:2", "abcdabce", false},
    {"… that reaches past its end", "@0:2 = @2:2", "abcdab", false},
    {"from the end", "@-2:2 = 0d0a", "ffff0d0a", true},
    {"from the end of too little", "@-2:2 = 0d0a", "0a", false},
    {"bits", "@0 = b0...01.1", "37", true},
    {"bits: kind 5", "@0 = b0...01.1", "05", true},
    {"bits: kind 6", "@0 = b0...01.1", "06", false},
    {"bits: the top one set", "@0 = b0...01.1", "87", false},
    {"bits of two bytes", "@0:2 = b1.......0......1", "ff7f", true},
    {"a mask", "@0 & 80 = 80", "c1", true},
    {"a mask, other bit", "@0 & 80 = 80", "41", false},
    {"one of several", "@0 = 45 or 80..8f or a0", "8a", true},
    {"none of several", "@0 = 45 or 80..8f or a0", "90", false},
    {"not this", "@0 != 00", "01", true},
    {"not this, but it is", "@0 != 00", "00", false},
    {"neither", "@0 != 00 or 01", "01", false},
    {"less, hex", "@0 < 11", "10", true},
    {"not less, hex", "@0 < 11", "11", false},
    {"less, decimal", "@0 < dec 11", "0a", true},
    {"less, decimal, not", "@0 < dec 11", "0b", false},
    {"two bytes as a number", "@0:2 >= 0100", "0100", true},
    {"two bytes as a number, less", "@0:2 >= 0100", "00ff", false},
    {"ordered places", "@0:2 <= @2:2", "00010002", true},
    {"length, decimal", "len = 11", "0000000000000000000000", true},
    {"length, not hex", "len = 11", "0000000000000000000000000000000000", false},
    {"length of a range", "len = 2..3", "0000", true},
    {"the request's length and more", "len = q.len+1", "00000000000000000000000000", true},
    {"the request's length", "len = q.len", "00", false},
    {"a length field", "@0:2 = len-2", "0003aabbcc", true},
    {"a length field that lies", "@0:2 = len-2", "0004aabbcc", false},
    {"a text", "@0:2 = \"OK\"", "4f4b", true},
    {"starts", "@ starts \"OK \"", "4f4b2079", true},
    {"starts, too short", "@ starts \"OK \"", "4f4b", false},
    {"starts further on", "@1 starts \"OK\"", "ff4f4b79", true},
    {"the whole is", "@ = \"OK\"", "4f4b", true},
    {"the whole is not", "@ = \"OK\"", "4f4b00", false},
    {"has", "@ has \"OK\"", "00004f4b", true},
    {"has not", "@ has \"OK\"", "00004f", false},
    {"digits", "@0:3 ~ digits", "323230", true},
    {"no digits", "@0:3 ~ digits", "32322e", false},
    {"a pattern", "@ ~ m/^SSH-[0-9.]+-/", "5353482d322e302d", true},
    {"a pattern on NUL bytes", "@ ~ m/^a.b$/", "610062", true},
    {"a pattern that fails", "@ ~ m/^SSH-/", "5353", false},
    {"reversed", "@0:4 = rev($id)", "44332211", true},
    {"complement", "@0:4 = not($id)", "eeddccbb", true},
    {"plus k, with carry", "@0:4 = add(q@4:4,ff)", "00000100", true},
    {"or k", "@0:4 = bitor($id,80)", "112233c4", true},
    {"case ignored", "@0:4 = fold(q@8:4)", "61424364", true},
    {"our address", "@0:4 = my.ip", "c0000207", true},
    {"our address XORed", "@0:4 = my.ip ^ ffffffff", "3ffffdf8", true},
    {"a foreign private address is good for a guess", "@0:4 = my.ip", "0a000001", true},
    {"an address that nobody has", "@0:4 = my.ip", "f0000001", false},
    {"the peer's address", "@0:4 = peer.ip", "c0000201", true},
    {"not the peer's", "@0:4 = peer.ip", "c0000202", false},
    {"our port", "@0:2 = my.port", "9c40", true},
    {"our port, not", "@0:2 = my.port", "9c41", false},
    {"16 bytes of address do not apply", "@0:16 = my.ip", "00000000000000000000000000000000", true},
    {"an echo is no answer", "len >= 1", "112233440000000141424344", false},
    {"nor is an echo and more", "len >= 1", "11223344000000014142434400", false},
    {"any of two", "any @0 = 01\n any @0 = 02", "02", true},
    {"none of two", "any @0 = 01\n any @0 = 02", "03", false},
    {"soft lines do not refuse", "soft @0 = 01\n len = 1", "03", true},
    {"time known and near", "@0:4 ~ now.unix 90d", "6553f101", true},
    {"time far off", "@0:4 ~ now.unix 90d", "00000001", false},
    {"NTP time", "@0:4 ~ now.ntp 30s", "e8fe6f85", true},
};

static my_pair make_pair(my_span request, my_span reply)
{
  my_pair p = {.request = request, .reply = reply, .now_unix_ns = 1700000005000000000};
  my_endpoint_parse(&p.my, "192.0.2.7", 40000);
  my_endpoint_parse(&p.peer, "192.0.2.1", 5000);
  return p;
}

static void test_lines(void **state)
{
  uint8_t request[64], reply[64];
  size_t request_len = unhex(REQUEST, request), wrong = 0;
  (void)state;
  for (size_t i = 0; i < sizeof line_rows / sizeof *line_rows; i++) {
    const line_row *row = &line_rows[i];
    char text[300];
    my_match m;
    snprintf(text, sizeof text, "service s\nsig a\n" SEND " %s\n", row->relation);
    const my_sig *sig = load(text);
    size_t reply_len = unhex(row->reply, reply);
    guarded q = guard(request, request_len), r = guard(reply, reply_len);
    my_pair pair = make_pair(q.span, r.span);
    assert_int_equal(my_sig_match(sig, &pair, scratch, &m), MY_OK);
    if (m.matched != row->matches)
      print_error("%zu. %s: \"%s\" on %s: got %d\n", ++wrong, row->why, row->relation, row->reply,
                  m.matched);
    unguard(q);
    unguard(r);
    unload();
  }
  assert_int_equal(wrong, 0);
}

static void test_from(void **state)
{
  uint8_t request[64], reply[] = {0xaa};
  size_t n = unhex(REQUEST, request);
  my_match m;
  (void)state;
  for (int any = 0; any < 2; any++) {
    const my_sig *sig = load(any ? "service s\nsig a\n" SEND " from-port any\n len = 1\n"
                                 : "service s\nsig a\n" SEND " len = 1\n");
    my_pair pair = make_pair((my_span){request, n}, (my_span){reply, 1});
    pair.from = pair.peer;
    my_sig_match(sig, &pair, scratch, &m);
    assert_true(m.matched);
    pair.from.port++; /* TFTP and BFD do so, and say it in their signatures */
    my_sig_match(sig, &pair, scratch, &m);
    assert_int_equal(m.matched, any);
    pair.from = pair.peer;
    pair.from.bytes[3]++; /* another host */
    my_sig_match(sig, &pair, scratch, &m);
    assert_false(m.matched);
    unload();
  }
}

/* ---- conversations: the Skype signature against everything that comes close ---- */

static const char skype[] =
    "service skype\nsig skype\n send id?2 02 a16665ea0d x?14\n len = 11\n @0:2 = $id\n"
    " @2 = b0...01.1\n @3:4 = my.ip\n vary @7:4\n";

typedef struct exchange_row {
  const char *request, *reply; /* hex; the fixed middle of the request is filled in */
} exchange_row;

typedef struct talk_row {
  const char *why;
  const char *my, *public_;
  exchange_row asked[6];
  my_control control;
  my_state state;
  my_want want;
} talk_row;

#define A    "1111 02 a16665ea0d 0102030405060708090a0b0c0d0e"
#define B    "2222 02 a16665ea0d 1102030405060708090a0b0c0d0e"
#define C    "3333 02 a16665ea0d 2102030405060708090a0b0c0d0e"
#define OURS "c0000207"

static const talk_row talk_rows[] = {
    {"one refusal is not enough",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"}},
     0,
     MY_MORE,
     MY_WANT_FRESH},
    {"then the same datagram again",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"}, {B, "2222 65" OURS "1100104f"}},
     0,
     MY_MORE,
     MY_WANT_SAME},
    {"a Skype node",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"},
      {B, "2222 65" OURS "1100104f"},
      {B, "2222 37" OURS "6808433a"}},
     0,
     MY_CERTAIN,
     MY_WANT_NOTHING},
    {"a byte that happens to stay: once more",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"},
      {B, "2222 65" OURS "1100104f"},
      {B, "2222 37" OURS "6808104e"}},
     0,
     MY_MORE,
     MY_WANT_SAME},
    {"… and then it moves",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"},
      {B, "2222 65" OURS "1100104f"},
      {B, "2222 37" OURS "6808104e"},
      {B, "2222 37" OURS "99085577"}},
     0,
     MY_CERTAIN,
     MY_WANT_NOTHING},
    {"a byte that never moves",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"},
      {B, "2222 65" OURS "1100104f"},
      {B, "2222 37" OURS "6808104e"},
      {B, "2222 37" OURS "99081077"}},
     0,
     MY_NO,
     MY_WANT_NOTHING},
    {"a constant tail",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"},
      {B, "2222 65" OURS "74a041f0"},
      {B, "2222 65" OURS "74a041f0"},
      {B, "2222 65" OURS "74a041f0"}},
     0,
     MY_NO,
     MY_WANT_NOTHING},
    {"a tail computed from the request",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"},
      {B, "2222 65" OURS "1100104f"},
      {B, "2222 65" OURS "1100104f"},
      {B, "2222 65" OURS "1100104f"}},
     0,
     MY_NO,
     MY_WANT_NOTHING},
    {"a tail copied from the request",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "05060708"}},
     0,
     MY_NO,
     MY_WANT_NOTHING},
    {"an earlier id",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"}, {B, "1111 65" OURS "1100104f"}},
     0,
     MY_NO,
     MY_WANT_NOTHING},
    {"12 bytes", "192.0.2.7", NULL, {{A, "1111 17" OURS "74a041f000"}}, 0, MY_NO, MY_WANT_NOTHING},
    {"10 bytes", "192.0.2.7", NULL, {{A, "1111 17" OURS "74a041"}}, 0, MY_NO, MY_WANT_NOTHING},
    {"behind NAT: the same public address",
     "192.168.0.19",
     NULL,
     {{A, "1111 17 51000001 74a041f0"},
      {B, "2222 65 51000001 1100104f"},
      {B, "2222 37 51000001 6808433a"}},
     0,
     MY_CERTAIN,
     MY_WANT_NOTHING},
    {"a public address that changes",
     "192.168.0.19",
     NULL,
     {{A, "1111 17 51000001 74a041f0"}, {B, "2222 65 51000002 1100104f"}},
     0,
     MY_NO,
     MY_WANT_NOTHING},
    {"ours first, then another",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"}, {B, "2222 65 51000002 1100104f"}},
     0,
     MY_NO,
     MY_WANT_NOTHING},
    {"a private address not ours: a guess",
     "192.0.2.7",
     NULL,
     {{A, "1111 17 0a000001 74a041f0"},
      {B, "2222 65 0a000001 1100104f"},
      {B, "2222 37 0a000001 6808433a"}},
     0,
     MY_GUESS,
     MY_WANT_NOTHING},
    {"the address that --public-ip names",
     "192.168.0.19",
     "203.0.113.9",
     {{A, "1111 17 cb007109 74a041f0"},
      {B, "2222 65 cb007109 1100104f"},
      {B, "2222 37 cb007109 6808433a"}},
     0,
     MY_CERTAIN,
     MY_WANT_NOTHING},
    {"a documentation address, not named",
     "192.168.0.19",
     NULL,
     {{A, "1111 17 cb007109 74a041f0"}},
     0,
     MY_NO,
     MY_WANT_NOTHING},
    {"over IPv6 the address says nothing: a guess",
     "2001:db8::7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"},
      {B, "2222 65" OURS "1100104f"},
      {B, "2222 37" OURS "6808433a"}},
     0,
     MY_GUESS,
     MY_WANT_NOTHING},
    {"three different nonces show no movement by itself",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"},
      {B, "2222 65" OURS "1100104f"},
      {C, "3333 37" OURS "6808433a"}},
     0,
     MY_MORE,
     MY_WANT_SAME},
};

static void judge_row(const my_sig *sig, const talk_row *row, my_verdict *v)
{
  uint8_t bytes[12][64];
  my_pair pairs[6];
  size_t count = 0;
  for (; count < 6 && row->asked[count].request != NULL; count++) {
    size_t q = unhex(row->asked[count].request, bytes[2 * count]);
    size_t r = unhex(row->asked[count].reply, bytes[2 * count + 1]);
    pairs[count] = make_pair((my_span){bytes[2 * count], q}, (my_span){bytes[2 * count + 1], r});
    my_endpoint_parse(&pairs[count].my, row->my, 40000);
    if (row->public_ != NULL) my_endpoint_parse(&pairs[count].public_, row->public_, 0);
  }
  assert_int_equal(my_sig_judge(sig, pairs, count, row->control, scratch, v), MY_OK);
}

static void test_talks(void **state)
{
  size_t wrong = 0;
  (void)state;
  for (size_t i = 0; i < sizeof talk_rows / sizeof *talk_rows; i++) {
    const talk_row *row = &talk_rows[i];
    my_verdict v;
    judge_row(load(skype), row, &v);
    if (v.state != row->state || v.want != row->want ||
        (v.confidence >= 0.9) != (v.state == MY_CERTAIN))
      print_error("%zu. %s: state %d want %d confidence %.3f, expected state %d want %d\n", ++wrong,
                  row->why, v.state, v.want, v.confidence, row->state, row->want);
    unload();
  }
  assert_int_equal(wrong, 0);
}

static void test_control(void **state)
{
  static const char text[] = "service s\nsig s\n send id?8 0102030405060708\n len = 20\n @0:8 = "
                             "$id\n @8:8 = 55667788990a0b0c\n"
                             " control q@8 ^ 80\n";
  static const char q[] = "1111111111111111 0102030405060708",
                    r[] = "1111111111111111 55667788990a0b0c ffffffff";
  static const struct {
    my_control control;
    my_state state;
    my_want want;
  } rows[] = {{MY_CONTROL_NOT_ASKED, MY_MORE, MY_WANT_CONTROL},
              {MY_CONTROL_SILENT, MY_CERTAIN, MY_WANT_NOTHING},
              {MY_CONTROL_ANSWERED, MY_NO, MY_WANT_NOTHING}};
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    talk_row row = {"", "192.0.2.7", NULL, {{q, r}}, rows[i].control, MY_NO, MY_WANT_NOTHING};
    my_verdict v;
    judge_row(load(text), &row, &v);
    assert_int_equal(v.state, rows[i].state);
    assert_int_equal(v.want, rows[i].want);
    unload();
  }
}

static void test_answers_control(void **state)
{
  static const struct {
    const char *why, *reply;
    bool answered;
  } rows[] = {{"as to the right probe", "1111111111111111aabb", true},
              {"the broken probe itself", "1111111111111111 0182030405060708", true},
              {"… with a bit turned", "1111111111111111 0102030405060708", true},
              {"an error", "1111111111111111 00000000", false},
              {"nothing like it", "99", false}};
  uint8_t q[64], r[64];
  size_t n = unhex("1111111111111111 0182030405060708", q);
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const my_sig *sig = load("service s\nsig s\n send id?8 0102030405060708\n @0:8 = $id\n @8:2 = "
                             "aabb\n control q@9 ^ 80\n");
    size_t reply_len = unhex(rows[i].reply, r);
    my_pair pair = make_pair((my_span){q, n}, (my_span){r, reply_len});
    if (my_sig_answers_control(sig, &pair, scratch) != rows[i].answered)
      fail_msg("%s", rows[i].why);
    unload();
  }
}

static void test_gives(void **state)
{
  static const char text[] =
      "service s\nsig s\n over tcp\n banner\n @ ~ m/^SSH-2\\.0-(?<product>[^_\\r]+)_(\\S+)/\n"
      " product \"$product\"\n version \"v$2!\"\n give @0:3 as \"first\"\n give @0:4 as "
      "\"address\"\n";
  static const char banner[] = "SSH-2.0-Open\x1bSSH_9.2p1 x\r\n";
  my_verdict v;
  (void)state;
  const my_sig *sig = load(text);
  my_pair pair = make_pair((my_span){0}, (my_span){(const uint8_t *)banner, sizeof banner - 1});
  assert_int_equal(my_sig_judge(sig, &pair, 1, 0, scratch, &v), MY_OK);
  assert_int_equal(v.give_count, 4);
  assert_string_equal(v.give[0].value,
                      "Open\\x1bSSH"); /* nothing of a peer's reaches a terminal raw */
  assert_string_equal(v.give[1].value, "v9.2p1!");
  assert_string_equal(v.give[2].value, "535348");
  assert_string_equal(v.give[3].value, "83.83.72.45");
  unload();
}

/* A pattern made to backtrack for ever ends at its limits, as no match. */
static void test_hostile_pattern(void **state)
{
  static uint8_t text[60000];
  my_match m;
  (void)state;
  memset(text, 'a', sizeof text);
  const my_sig *sig = load("service s\nsig s\n over tcp\n banner\n @ ~ m/^(a+)+b/\n");
  my_pair pair = make_pair((my_span){0}, (my_span){text, sizeof text});
  my_sig_match(sig, &pair, scratch, &m);
  assert_false(m.matched);
  unload();
}

static void test_echo(void **state)
{
  static const struct {
    const char *why, *request, *reply;
    size_t length, from, to;
  } rows[] = {{"the students' id", "924002a16665", "924017c0a800", 2, 0, 0},
              {"moved", "0000aabbccdd", "11aabbccdd", 4, 2, 1},
              {"backwards moved", "aabbccdd", "0102 03aabbccdd", 4, 0, 3},
              {"one byte is chance", "aa01", "aa02", 0, 0, 0},
              {"of equals the unmoved one", "1122 3344 1122", "ff11 2244 1122", 3, 3, 3},
              {"nothing asked", "", "1122", 0, 0, 0},
              {"nothing answered", "1122", "", 0, 0, 0},
              {"all of it", "11223344", "11223344", 4, 0, 0}};
  uint8_t q[64], r[64];
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    size_t from = 0, to = 0;
    size_t request_len = unhex(rows[i].request, q), reply_len = unhex(rows[i].reply, r);
    guarded gq = guard(q, request_len), gr = guard(r, reply_len);
    size_t n = my_echo_find(gq.span, gr.span, &from, &to);
    if (n != rows[i].length || from != rows[i].from || to != rows[i].to)
      fail_msg("%s: got %zu from %zu to %zu", rows[i].why, n, from, to);
    unguard(gq);
    unguard(gr);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lines),           cmocka_unit_test(test_from),
      cmocka_unit_test(test_talks),           cmocka_unit_test(test_control),
      cmocka_unit_test(test_answers_control), cmocka_unit_test(test_gives),
      cmocka_unit_test(test_hostile_pattern), cmocka_unit_test(test_echo),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
