/* match_test.c - replies held against signatures: one pair, whole conversations, echoes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "bytes.h"
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
    {"NTP time, a minute off", "@0:4 ~ now.ntp 30s", "e8fe6fc1", false},
    /* what was read past, or left out, before */
    {"a port XORed, as STUN does", "@0:2 = my.port ^ 2112", "bd52", true},
    {"a port that only looks so without the XOR", "@0:2 = my.port ^ 2112", "9c40", false},
    {"a length below zero is no large one", "@0:2 <= len-20", "00ff", false},
    {"… nor anything but different", "@0:2 != len-20", "00ff", true},
    {"a length reversed", "len = rev(q@6:2)", "00", false},
    {"… and it is", "len = rev(q@6:2)", "00*256", true},
    {"a width that is written counts: one byte", "@1:1 has \"K\"", "4f004b", false},
    {"case ignored, far behind", "@ has fold(q@8:4)", "78*300 61624364", true},
    {"case ignored, one letter off", "@ has fold(q@8:4)", "78*300 61624365", false},
    {"case ignored, at the start", "@ starts fold(q@8:4)", "61624364 00", true},
    {"case ignored, too short", "@ starts fold(q@8:4)", "616243", false},
    {"case ignored, and it differs", "@0:4 != fold(q@8:4)", "61626364", false},
    {"a mask on a length", "@0:2 & 7fff = len", "8004aabb", true},
    {"a mask on a number", "@0 & 0f = dec 5", "f5", true},
    {"a mask on a number, bits off", "@0 & 0f = dec 5", "56", false},
    {"a mask on what was sent", "@0:4 & 00ffffff = $id", "ff223344", true},
    {"a mask on a range", "@0 & f0 = 20..30", "3f", true},
    {"plus k, carried beyond its own 8 bytes", "@0:12 = add(q@0:12,ffffffffffffffff)",
     "11223345 00000001 41424343", true},
    {"plus k, carried on", "@0:8 = add(q@4:8,ffffffffffffffff)", "0000000141424343", true},
    {"our address copied from our request", "@0:4 = my.ip", "08080808", true},
    {"order of ports", "@0:2 < my.port", "9c3f", true},
    {"order of ports, not", "@0:2 < my.port", "9c40", false},
    {"greater", "@0 > 10", "11", true},
    {"greater, not", "@0 > 10", "10", false},
    {"at most", "@0 <= 10", "10", true},
    {"at most, not", "@0 <= 10", "11", false},
    {"outside a range", "@0 != 20..30", "31", true},
    {"outside a range, not", "@0 != 20..30", "30", false},
    {"a range ends where it says", "@0 = 80..8f", "90", false},
    {"a range begins where it says", "@0 = 80..8f", "7f", false},
    {"bits that must differ", "@0 != b1.......", "7f", true},
    {"bits that must differ, not", "@0 != b1.......", "80", false},
    {"not the whole", "@ != \"OK\"", "4f4b00", true},
    {"a text from the end on", "@-3 starts \"OK\"", "ff4f4b0a", true},
    {"not our address", "@0:4 != my.ip", "c0000207", false},
    {"not our address, it is not", "@0:4 != my.ip", "c0000208", true},
    {"our address, or zeros", "@0:4 = my.ip or 00000000", "00000000", true},
    {"the peer's address: no other counts", "@0:4 = peer.ip", "08080808", false},
    {"from the port that was asked", "sport = peer.port\n len = 1", "00", true},
    {"from our port", "sport = my.port\n len = 1", "00", false},
    {"length of a field", "len = @0", "03aabb", true},
    {"length of a field that lies", "len = @0", "02aabb", false},
    {"everything holds the empty text", "@ has \"\"", "", true},
    {"a byte more than was sent is no echo if it stands in front", "len >= 1",
     "00112233440000000141424344", true},
    {"all but the last byte of the request", "len >= 1", "1122334400000001414243", true},
};

static void test_lines(void **state)
{
  static uint8_t request[BYTES_MAX], reply[BYTES_MAX];
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
    pair.request = pair.reply = (my_span){NULL, 0}; /* nothing at all: no line reads it */
    my_sig_match(sig, &pair, scratch, &m);
    my_sig_answers_control(sig, &pair, scratch);
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

enum { ASKED_MAX = 9 };

typedef struct talk_row {
  const char *why;
  const char *my, *public_;
  exchange_row asked[ASKED_MAX];
  my_control control;
  my_state state;
  my_want want;
  const char *text; /* the signature, NULL: Skype's */
  double identity;  /* bits, 0: not looked at */
} talk_row;

#define HEAD "service s\nsig s\n"
#define TCP  " over tcp\n banner\n"
#define A50  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define HEX50                                                                                      \
  "4141414141414141414141414141414141414141414141414141414141414141414141414141414141414141414141" \
  "414141"
/* 16 fresh bits and 22.3 of identity: short of 40 */
#define SHORT HEAD " send id?2 01\n @0:2 = $id\n @2:3 = a1b2c3\n"

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
     MY_WANT_FRESH,
     NULL,
     0},
    {"then the same datagram again",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"}, {B, "2222 65" OURS "1100104f"}},
     0,
     MY_MORE,
     MY_WANT_SAME,
     NULL,
     0},
    {"a Skype node",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"},
      {B, "2222 65" OURS "1100104f"},
      {B, "2222 37" OURS "6808433a"}},
     0,
     MY_CERTAIN,
     MY_WANT_NOTHING,
     NULL,
     0},
    {"a byte that happens to stay: once more",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"},
      {B, "2222 65" OURS "1100104f"},
      {B, "2222 37" OURS "6808104e"}},
     0,
     MY_MORE,
     MY_WANT_SAME,
     NULL,
     0},
    {"… and then it moves",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"},
      {B, "2222 65" OURS "1100104f"},
      {B, "2222 37" OURS "6808104e"},
      {B, "2222 37" OURS "99085577"}},
     0,
     MY_CERTAIN,
     MY_WANT_NOTHING,
     NULL,
     0},
    {"a byte that never moves",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"},
      {B, "2222 65" OURS "1100104f"},
      {B, "2222 37" OURS "6808104e"},
      {B, "2222 37" OURS "99081077"}},
     0,
     MY_NO,
     MY_WANT_NOTHING,
     NULL,
     0},
    {"a constant tail",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"},
      {B, "2222 65" OURS "74a041f0"},
      {B, "2222 65" OURS "74a041f0"},
      {B, "2222 65" OURS "74a041f0"}},
     0,
     MY_NO,
     MY_WANT_NOTHING,
     NULL,
     0},
    {"a tail computed from the request",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"},
      {B, "2222 65" OURS "1100104f"},
      {B, "2222 65" OURS "1100104f"},
      {B, "2222 65" OURS "1100104f"}},
     0,
     MY_NO,
     MY_WANT_NOTHING,
     NULL,
     0},
    {"a tail copied from the request",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "05060708"}},
     0,
     MY_NO,
     MY_WANT_NOTHING,
     NULL,
     0},
    {"an earlier id",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"}, {B, "1111 65" OURS "1100104f"}},
     0,
     MY_NO,
     MY_WANT_NOTHING,
     NULL,
     0},
    {"12 bytes",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f000"}},
     0,
     MY_NO,
     MY_WANT_NOTHING,
     NULL,
     0},
    {"10 bytes",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041"}},
     0,
     MY_NO,
     MY_WANT_NOTHING,
     NULL,
     0},
    {"behind NAT: the same public address",
     "192.168.0.19",
     NULL,
     {{A, "1111 17 51000001 74a041f0"},
      {B, "2222 65 51000001 1100104f"},
      {B, "2222 37 51000001 6808433a"}},
     0,
     MY_CERTAIN,
     MY_WANT_NOTHING,
     NULL,
     0},
    {"a public address that changes",
     "192.168.0.19",
     NULL,
     {{A, "1111 17 51000001 74a041f0"}, {B, "2222 65 51000002 1100104f"}},
     0,
     MY_NO,
     MY_WANT_NOTHING,
     NULL,
     0},
    {"ours first, then another",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"}, {B, "2222 65 51000002 1100104f"}},
     0,
     MY_NO,
     MY_WANT_NOTHING,
     NULL,
     0},
    {"a private address not ours: a guess",
     "192.0.2.7",
     NULL,
     {{A, "1111 17 0a000001 74a041f0"},
      {B, "2222 65 0a000001 1100104f"},
      {B, "2222 37 0a000001 6808433a"}},
     0,
     MY_GUESS,
     MY_WANT_NOTHING,
     NULL,
     0},
    {"the address that --public-ip names",
     "192.168.0.19",
     "203.0.113.9",
     {{A, "1111 17 cb007109 74a041f0"},
      {B, "2222 65 cb007109 1100104f"},
      {B, "2222 37 cb007109 6808433a"}},
     0,
     MY_CERTAIN,
     MY_WANT_NOTHING,
     NULL,
     0},
    {"a documentation address, not named",
     "192.168.0.19",
     NULL,
     {{A, "1111 17 cb007109 74a041f0"}},
     0,
     MY_NO,
     MY_WANT_NOTHING,
     NULL,
     0},
    {"over IPv6 the address says nothing: a guess",
     "2001:db8::7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"},
      {B, "2222 65" OURS "1100104f"},
      {B, "2222 37" OURS "6808433a"}},
     0,
     MY_GUESS,
     MY_WANT_NOTHING,
     NULL,
     0},
    {"three different nonces show no movement by itself",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"},
      {B, "2222 65" OURS "1100104f"},
      {C, "3333 37" OURS "6808433a"}},
     0,
     MY_MORE,
     MY_WANT_SAME,
     NULL,
     0},
    {"replies in any order",
     "192.0.2.7",
     NULL,
     {{B, "2222 37" OURS "6808433a"},
      {B, "2222 65" OURS "1100104f"},
      {A, "1111 17" OURS "74a041f0"}},
     0,
     MY_CERTAIN,
     MY_WANT_NOTHING,
     NULL,
     0},
    {"twice the same first: then another nonce",
     "192.0.2.7",
     NULL,
     {{A, "1111 17" OURS "74a041f0"}, {A, "1111 65" OURS "1100104f"}},
     0,
     MY_MORE,
     MY_WANT_FRESH,
     NULL,
     0},
    {"who copies 7 bytes of our header has not seen our public address",
     "192.168.0.19",
     NULL,
     {{A, "1111 17 a16665ea 74a041f0"}},
     0,
     MY_NO,
     MY_WANT_NOTHING,
     NULL,
     0},
    {"nor a private one that stands in the request",
     "192.168.0.19",
     NULL,
     {{"1111 02 a16665ea0d 01020304 0a000001 090a0b0c0d0e", "1111 17 0a000001 74a041f0"}},
     0,
     MY_NO,
     MY_WANT_NOTHING,
     NULL,
     0},
    {"another public address in the middle",
     "192.168.0.19",
     NULL,
     {{A, "1111 17 51000001 74a041f0"},
      {B, "2222 65 51000002 1100104f"},
      {B, "2222 37 51000001 6808433a"}},
     0,
     MY_NO,
     MY_WANT_NOTHING,
     NULL,
     0},
    {"a private address, then ours",
     "192.0.2.7",
     NULL,
     {{A, "1111 17 0a000001 74a041f0"}, {B, "2222 65" OURS "1100104f"}},
     0,
     MY_NO,
     MY_WANT_NOTHING,
     NULL,
     0},
    {"a public address under `any` must stay the same too",
     "192.168.0.19",
     NULL,
     {{A, "1111 17 51000001 74a041f0"}, {B, "2222 65 51000002 1100104f"}},
     0,
     MY_NO,
     MY_WANT_NOTHING,
     HEAD " send id?2 02 a16665ea0d x?14\n @0:2 = $id\n any @3:4 = my.ip\n any @3:4 = 00000000\n"
          " @7 != 00\n",
     0},
    {"one that changes under `soft` is no evidence",
     "192.168.0.19",
     NULL,
     {{A, "1111 17 51000001 74a041f0"}, {B, "2222 17 51000002 74a041f0"}},
     0,
     MY_CERTAIN,
     MY_WANT_NOTHING,
     HEAD " send id?2 02 a16665ea0d x?14\n @0:2 = $id\n soft @3:4 = my.ip\n @7:4 = 74a041f0\n",
     29.3},
    {"one that stays is",
     "192.168.0.19",
     NULL,
     {{A, "1111 17 51000001 74a041f0"}, {B, "2222 17 51000001 74a041f0"}},
     0,
     MY_CERTAIN,
     MY_WANT_NOTHING,
     HEAD " send id?2 02 a16665ea0d x?14\n @0:2 = $id\n soft @3:4 = my.ip\n @7:4 = 74a041f0\n",
     45.3},
    {"38 bits: another nonce would make them 54",
     "192.0.2.7",
     NULL,
     {{"1111 01", "1111 a1b2c3"}},
     0,
     MY_MORE,
     MY_WANT_FRESH,
     SHORT,
     22.3},
    {"… and does",
     "192.0.2.7",
     NULL,
     {{"1111 01", "1111 a1b2c3"}, {"2222 01", "2222 a1b2c3"}},
     0,
     MY_CERTAIN,
     MY_WANT_NOTHING,
     SHORT,
     22.3},
    {"the same nonce again adds nothing",
     "192.0.2.7",
     NULL,
     {{"1111 01", "1111 a1b2c3"}, {"1111 01", "1111 a1b2c3"}},
     0,
     MY_MORE,
     MY_WANT_FRESH,
     SHORT,
     0},
    {"… nor without end",
     "192.0.2.7",
     NULL,
     {{"1111 01", "1111 a1b2c3"},
      {"1111 01", "1111 a1b2c3"},
      {"1111 01", "1111 a1b2c3"},
      {"1111 01", "1111 a1b2c3"},
      {"1111 01", "1111 a1b2c3"},
      {"1111 01", "1111 a1b2c3"},
      {"1111 01", "1111 a1b2c3"},
      {"1111 01", "1111 a1b2c3"}},
     0,
     MY_GUESS,
     MY_WANT_NOTHING,
     SHORT,
     0},
    {"a control that the signature has not is no evidence",
     "192.0.2.7",
     NULL,
     {{"1111 01", "1111 a1b2c3"}},
     MY_CONTROL_SILENT,
     MY_MORE,
     MY_WANT_FRESH,
     SHORT,
     22.3},
    {"… nor evidence against it",
     "192.0.2.7",
     NULL,
     {{"1111 01", "1111 a1b2c3"}, {"2222 01", "2222 a1b2c3"}},
     MY_CONTROL_ANSWERED,
     MY_CERTAIN,
     MY_WANT_NOTHING,
     SHORT,
     0},
    {"nonces of one byte: as many as it takes",
     "192.0.2.7",
     NULL,
     {{"11 01", "11 a1b2c3d4e5"}, {"22 01", "22 a1b2c3d4e5"}},
     0,
     MY_CERTAIN,
     MY_WANT_NOTHING,
     HEAD " send id?1 01\n @0 = $id\n @1:5 = a1b2c3d4e5\n",
     0},
    {"nonces of a nibble: four of them are too few, and no more are asked",
     "192.0.2.7",
     NULL,
     {{"1a 01", "1a a1b2c3d4e5"}, {"2a 01", "2a a1b2c3d4e5"}, {"3a 01", "3a a1b2c3d4e5"}},
     0,
     MY_MORE,
     MY_WANT_FRESH,
     HEAD " send ?a 01\n @0 = q@0\n @1:5 = a1b2c3d4e5\n",
     0},
    {"what identity lacks no nonce brings",
     "192.0.2.7",
     NULL,
     {{"1111 01", "1111 a1"}},
     0,
     MY_GUESS,
     MY_WANT_NOTHING,
     HEAD " send id?2 01\n @0:2 = $id\n @2 = a1\n",
     0},
    {"a nonce that no line sees come back",
     "192.0.2.7",
     NULL,
     {{"1111 01", "a1b2c3d4e5"}},
     0,
     MY_GUESS,
     MY_WANT_NOTHING,
     HEAD " send id?2 01\n @0:5 = a1b2c3d4e5\n",
     0},
    {"a probe without a nonce moves by itself or not: no second one",
     "192.0.2.7",
     NULL,
     {{"01", "a1b2c3d4e5 01"}},
     0,
     MY_MORE,
     MY_WANT_SAME,
     HEAD " nofresh\n send 01\n @0:5 = a1b2c3d4e5\n vary @5\n",
     0},
    {"… and it does",
     "192.0.2.7",
     NULL,
     {{"01", "a1b2c3d4e5 01"}, {"01", "a1b2c3d4e5 02"}},
     0,
     MY_CERTAIN,
     MY_WANT_NOTHING,
     HEAD " nofresh\n send 01\n @0:5 = a1b2c3d4e5\n vary @5\n",
     37},
    {"two vary lines are one proof",
     "192.0.2.7",
     NULL,
     {{"01", "a1b2c3d4e5 0102"}, {"01", "a1b2c3d4e5 0203"}},
     0,
     MY_CERTAIN,
     MY_WANT_NOTHING,
     HEAD " nofresh\n send 01\n @0:5 = a1b2c3d4e5\n vary @5\n vary @6\n",
     37},
    {"what stays the same under one nonce is not stable yet, and nothing can show it",
     "192.0.2.7",
     NULL,
     {{"01", "a1b2c3d4e5 01"}},
     0,
     MY_GUESS,
     MY_WANT_NOTHING,
     HEAD " nofresh\n send 01\n @0:5 = a1b2c3d4e5\n stable @5\n",
     0},
    {"stable under two nonces",
     "192.0.2.7",
     NULL,
     {{"1111", "a1b2c3d4e5 01"}, {"2222", "a1b2c3d4e5 01"}},
     0,
     MY_CERTAIN,
     MY_WANT_NOTHING,
     HEAD " nofresh\n send id?2\n @0:5 = a1b2c3d4e5\n stable @5\n",
     36},
    {"not stable",
     "192.0.2.7",
     NULL,
     {{"1111", "a1b2c3d4e5 01"}, {"2222", "a1b2c3d4e5 02"}},
     0,
     MY_NO,
     MY_WANT_NOTHING,
     HEAD " nofresh\n send id?2\n @0:5 = a1b2c3d4e5\n stable @5\n",
     0},
    {"stable wants a second nonce",
     "192.0.2.7",
     NULL,
     {{"1111", "a1b2c3d4e5 01"}},
     0,
     MY_MORE,
     MY_WANT_FRESH,
     HEAD " nofresh\n send id?2\n @0:5 = a1b2c3d4e5\n stable @5\n",
     0},
    {"the vary place is not there",
     "192.0.2.7",
     NULL,
     {{"01", "a1b2c3d4e5"}},
     0,
     MY_NO,
     MY_WANT_NOTHING,
     HEAD " nofresh\n send 01\n @0:5 = a1b2c3d4e5\n vary @5\n",
     0},
    {"the stable place is not there",
     "192.0.2.7",
     NULL,
     {{"1111", "a1b2c3d4e5"}},
     0,
     MY_NO,
     MY_WANT_NOTHING,
     HEAD " nofresh\n send id?2\n @0:5 = a1b2c3d4e5\n stable @5\n",
     0},
    {"soft lines alone never make it certain",
     "192.0.2.7",
     NULL,
     {{"1111 01", "1111 a1b2c3d4e5"}, {"2222 01", "2222 a1b2c3d4e5"}},
     0,
     MY_GUESS,
     MY_WANT_NOTHING,
     HEAD " send id?2 01\n @0:2 = $id\n soft @2:5 = a1b2c3d4e5\n",
     36.3},
    {"over TCP one answer is fresh, and asking again adds nothing",
     "192.0.2.7",
     NULL,
     {{"01", "a1b2c3"}},
     0,
     MY_CERTAIN,
     MY_WANT_NOTHING,
     HEAD " over tcp\n send 01\n @0:3 = a1b2c3\n",
     21},
    {"without an end the control is asked last",
     "192.0.2.7",
     NULL,
     {{"1111 01", "1111 a1b2c3"}, {"2222 01", "2222 a1b2c3"}},
     0,
     MY_MORE,
     MY_WANT_CONTROL,
     SHORT " control q@2 ^ 80\n",
     0},
    {"the bits that a silent control will bring spare a nonce",
     "192.0.2.7",
     NULL,
     {{"1111 01", "1111 a1b2c3"}},
     0,
     MY_MORE,
     MY_WANT_CONTROL,
     SHORT " control q@2 ^ 80\n",
     0},
    {"… and it does",
     "192.0.2.7",
     NULL,
     {{"1111 01", "1111 a1b2c3"}},
     MY_CONTROL_SILENT,
     MY_CERTAIN,
     MY_WANT_NOTHING,
     SHORT " control q@2 ^ 80\n",
     26.3},
};

static void judge_row(const my_sig *sig, const talk_row *row, my_verdict *v)
{
  uint8_t bytes[2 * ASKED_MAX][64];
  my_pair pairs[ASKED_MAX];
  size_t count = 0;
  for (; count < ASKED_MAX && row->asked[count].request != NULL; count++) {
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
    judge_row(load(row->text != NULL ? row->text : skype), row, &v);
    if (row->identity > 0 && fabs(v.identity_bits - row->identity) > 0.01)
      print_error("%zu. %s: %.2f bits of identity, expected %.2f\n", ++wrong, row->why,
                  v.identity_bits, row->identity);
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
    talk_row row = {.my = "192.0.2.7", .asked = {{q, r}}, .control = rows[i].control};
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

/* ---- what is given ---- */

typedef struct give_row {
  const char *why, *text, *reply; /* reply: as text */
  const char *values[4];
} give_row;

#define PATTERN TCP " @ ~ m/^SSH-2\\.0-(?<product>[^_\\r]+)_(\\S+)/\n"
#define SSH     "SSH-2.0-Open\x1bSSH_9.2p1 x\r\n"

static const give_row give_rows[] = {
    {"nothing of a peer's reaches a terminal raw",
     PATTERN " product \"$product\"\n",
     SSH,
     {"Open\\x1bSSH"}},
    {"a group by its number, among other text",
     PATTERN " version \"v$2!\"\n extra \"$0\"\n",
     SSH,
     {"v9.2p1!", "SSH-2.0-Open\\x1bSSH_9.2p1"}},
    {"bytes, and an address",
     PATTERN " give @0:3 as \"first\"\n give @0:4 as \"address\"\n give @-2:2 as \"last\"\n",
     SSH,
     {"535348", "83.83.72.45", "0d0a"}},
    {"a place that is not there", TCP " @0 = 41\n give @1:2 as \"n\"\n", "A", {""}},
    {"a dollar for itself", PATTERN " cpe \"US$ $\"\n", SSH, {"US$ $"}},
    {"a pattern that does not match gives nothing, not its name",
     TCP " @0 = 41\n soft @ ~ m/x(?<v>.)/\n version \"v$v\"\n",
     "A",
     {"v"}},
    {"the second pattern's group",
     TCP " @ ~ m/(?<a>A)/\n @ ~ m/(?<b>B)/\n product \"$b$a\"\n",
     "AB",
     {"BA"}},
    {"a number that the first pattern does not have",
     TCP " @ ~ m/(A)/\n @ ~ m/(B)(C)/\n product \"$2$1\"\n",
     "ABC",
     {"CA"}},
    {"the choice that matched",
     TCP " @ ~ m/^A(?<v>.)/ or m/^B(?<v>.)/\n version \"$v\"\n",
     "B2",
     {"2"}},
    {"a group that took no part", TCP " @ ~ m/A(?<v>B)?/\n version \"v$v\"\n", "A", {"v"}},
    {"a match that \\K turns round is never read backwards",
     TCP " @ ~ m/(?=(?1))(?(DEFINE)(ab\\K))/\n product \"$0\"\n",
     "ab",
     {""}},
    {"a group past what the scratch has room for",
     TCP " @ ~ m/^(((((((((((((((((((((((((((((((((?<v>A)))))))))))))))))))))))))))))))))/\n"
         " version \"$v\"\n",
     "A",
     {""}},
    {"values end where their room ends",
     TCP " @ ~ m/^(A+)/\n product \"$1\"\n give @0:100 as \"n\"\n",
     A50 A50 A50,
     {A50 A50 "AAAAAAAAAAAAAAAAAAAAAAA", HEX50 "41414141414141414141414141"}},
};

static void test_gives(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof give_rows / sizeof *give_rows; i++) {
    const give_row *row = &give_rows[i];
    char text[500];
    my_verdict v;
    snprintf(text, sizeof text, HEAD "%s", row->text);
    const my_sig *sig = load(text);
    guarded r = guard(row->reply, strlen(row->reply));
    my_pair pair = make_pair((my_span){0}, r.span);
    assert_int_equal(my_sig_judge(sig, &pair, 1, 0, scratch, &v), MY_OK);
    assert_int_not_equal(v.state, MY_NO);
    for (size_t k = 0; k < 4 && row->values[k] != NULL; k++)
      if (k >= v.give_count || strcmp(v.give[k].value, row->values[k]) != 0)
        fail_msg("%s: got \"%s\"", row->why, k < v.give_count ? v.give[k].value : "nothing");
    unguard(r);
    unload();
  }
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
