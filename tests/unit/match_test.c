/* match_test.c - one reply held against a signature: lines, addresses, controls, echoes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "bytes.h"
#include "guard.h"
#include "loaded.h"
#include "mynah/match.h"

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
    {"a public address that is not ours, behind NAT", "@0:4 = my.ip", "08080808", true},
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
    {"case ignored up to z", "@0:2 = fold(@2:2)", "7a61 5a41", true},
    {"case ignored, no further", "@0:2 = fold(@2:2)", "7b61 5b41", false},
    {"case ignored, not before", "@0:2 = fold(@2:2)", "6061 4041", false},
    {"case ignored, the first differs", "@0:2 = fold(@2:2)", "6261 4141", false},
    {"case ignored, at the start of a longer text", "@ has fold(q@8:4)", "61424364 78", true},
    {"8 bytes as a number", "@0:8 = dec 1", "0000000000000001", true},
    {"8 bytes as a number, not", "@0:8 = dec 1", "0000000000000101", false},
    {"a length field of zero", "@0:2 = len-2", "0000", true},
    {"the request's length, not", "len != q.len", "00*12", false},
    {"another length than the request's", "len != q.len", "00*11", true},
    {"plus k, into the first byte", "@0:2 = add(q@10:2,1000)", "5344", true},
    {"256 bytes under a function", "@0:256 = not(@256:256)", "00*256 ff*256", true},
    {"256 bytes under a function, the last one off", "@0:256 = not(@256:256)", "00*256 ff*255 fe",
     false},
    {"one byte under a function", "@0 = not(q@0)", "ee", true},
    {"a length under a function", "len = not(q@3)", "00*187", true},
    {"a mask on both sides", "@0 & 80 = ff", "80", true},
    {"a mask of a place", "@0 & f0 = q@8", "4f", true},
    {"nines and zeros are digits", "@0:2 ~ digits", "3930", true},
    {"past nine", "@0:2 ~ digits", "393a", false},
    {"before zero, and first", "@0:2 ~ digits", "2f30", false},
    {"no digit at all", "@ ~ digits", "", false},
    {"30 s ahead", "@0:4 ~ now.unix 30s", "6553f123", true},
    {"31 s ahead", "@0:4 ~ now.unix 30s", "6553f124", false},
    {"30 s behind", "@0:4 ~ now.unix 30s", "6553f0e7", true},
    {"31 s behind", "@0:4 ~ now.unix 30s", "6553f0e6", false},
    {"a public address XORed", "@0:4 = my.ip ^ ffffffff", "f7f7f7f7", true},
    {"nobody's address XORed", "@0:4 = my.ip ^ ffffffff", "0ffffffe", false},
    {"a public address that stands in our request", "@0:4 = my.ip", "41424344", false},
    {"… XORed there", "@0:4 = my.ip ^ ffffffff", "bebdbcbb", false},
    {"… that is XORed only here", "@0:4 = my.ip ^ ffffffff", "41424344", false},
    {"private: 10/8", "@0:4 = my.ip", "0a010203", true},
    {"private: 100.64/10", "@0:4 = my.ip", "64400001", true},
    {"private: 127/8", "@0:4 = my.ip", "7f000001", true},
    {"private: 169.254/16", "@0:4 = my.ip", "a9fe0001", true},
    {"private: 172.16/12", "@0:4 = my.ip", "ac100001", true},
    {"private: 192.168/16", "@0:4 = my.ip", "c0a80001", true},
    {"documentation", "@0:4 = my.ip", "c0000209", false},
    {"benchmarks", "@0:4 = my.ip", "c6120001", false},
    {"more documentation", "@0:4 = my.ip", "cb007101", false},
    {"multicast", "@0:4 = my.ip", "e0000001", false},
    {"nothing", "@0:4 = my.ip", "00000000", false},
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
    if (m.matched != row->matches || (m.matched && m.first_failed != -1))
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

/* ---- when it came, and what came after ---- */

static void test_time_and_end(void **state)
{
  static const struct {
    const char *why, *line;
    int64_t rtt_ns;
    bool closed, matches;
  } times[] = {
      {"in time", "timing 5..9", 7000000, false, true},
      {"the first moment", "timing 5..9", 5000000, false, true},
      {"too soon", "timing 5..9", 4900000, false, false},
      {"too late", "timing 5..9", 10000000, false, false},
      {"nobody measured", "timing 5..9", 0, false, true},
      {"closed", "closes", 0, true, true},
      {"still open", "closes", 0, false, false},
  };
  static const uint8_t reply[] = {0x01};
  (void)state;
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
    char text[100];
    my_match m;
    snprintf(text, sizeof text, "service s\nsig a\n over tcp\n banner\n @0 = 01\n %s\n",
             times[i].line);
    const my_sig *sig = load(text);
    my_pair pair = make_pair((my_span){NULL, 0}, (my_span){reply, sizeof reply});
    pair.rtt_ns = times[i].rtt_ns;
    pair.closed = times[i].closed;
    my_sig_match(sig, &pair, scratch, &m);
    if (m.matched != times[i].matches || my_sig_holds(sig, &pair, scratch) != m.matched)
      fail_msg("%s: got %d", times[i].why, m.matched);
    unload();
  }
}

/* ---- who asked, and who answered ---- */

typedef struct who_row {
  const char *why, *relation;
  const char *my; /* NULL: not known */
  uint16_t my_port;
  const char *from; /* NULL: not known; we asked 192.0.2.1, port 5000 */
  uint16_t from_port;
  const char *reply;
  bool matches;
} who_row;

#define ME   "192.0.2.7", 40000
#define PEER "192.0.2.1", 5000
#define MY6  "20010db8000000000000000000000007"

static const who_row who_rows[] = {
    {"who was asked", "len = 1", ME, PEER, "aa", true},
    {"nobody says who answered", "len = 1", ME, NULL, 0, "aa", true},
    {"from another port", "len = 1", ME, "192.0.2.1", 5001, "aa", false},
    {"… as TFTP and BFD do, and say", "from-port any\n len = 1", ME, "192.0.2.1", 5001, "aa", true},
    {"another host", "from-port any\n len = 1", ME, "192.0.2.2", 5000, "aa", false},
    {"another port, as a line wants it", "sport != peer.port", ME, "192.0.2.1", 5001, "aa", true},
    {"… and it is the same", "sport != peer.port", ME, PEER, "aa", false},
    {"from a certain port", "sport = 5001", ME, "192.0.2.1", 5001, "aa", true},
    {"… and not", "sport = 5002", ME, "192.0.2.1", 5001, "aa", false},
    {"our port is not known: zeros are no proof of it", "@0:2 = my.port\n len = 2", "192.0.2.7", 0,
     PEER, "aaaa", true},
    {"our port 1", "@0:2 = my.port", "192.0.2.7", 1, PEER, "0001", true},
    {"our port 1, not", "@0:2 = my.port", "192.0.2.7", 1, PEER, "0002", false},
    {"our address is not known", "@0:4 = my.ip\n len = 4", NULL, 0, PEER, "aaaaaaaa", true},
    {"our address over IPv6", "@0:16 = my.ip", "2001:db8::7", 9, PEER, MY6, true},
    {"another's over IPv6", "@0:16 = my.ip", "2001:db8::8", 9, PEER, MY6, false},
    {"4 bytes say nothing over IPv6", "@0:4 = my.ip\n len = 4", "2001:db8::7", 9, PEER, "aaaaaaaa",
     true},
    {"… unless they may be something else", "@0:4 = my.ip or 01020304\n len = 4", "2001:db8::7", 9,
     PEER, "01020304", true},
};

static void test_who(void **state)
{
  uint8_t request[64], reply[64];
  size_t n = unhex(REQUEST, request), wrong = 0;
  (void)state;
  for (size_t i = 0; i < sizeof who_rows / sizeof *who_rows; i++) {
    const who_row *row = &who_rows[i];
    char text[300];
    my_match m;
    snprintf(text, sizeof text, "service s\nsig a\n" SEND " %s\n", row->relation);
    const my_sig *sig = load(text);
    my_pair pair = make_pair((my_span){request, n}, (my_span){reply, unhex(row->reply, reply)});
    memset(&pair.my, 0, sizeof pair.my);
    if (row->my != NULL) my_endpoint_parse(&pair.my, row->my, row->my_port);
    pair.my.port = row->my_port;
    if (row->from != NULL) my_endpoint_parse(&pair.from, row->from, row->from_port);
    my_sig_match(sig, &pair, scratch, &m);
    if (m.matched != row->matches) print_error("%zu. %s: got %d\n", ++wrong, row->why, m.matched);
    unload();
  }
  assert_int_equal(wrong, 0);
}

/* ---- the control ---- */

typedef struct control_row {
  const char *why, *request, *reply; /* the request is broken already */
  bool answered;
} control_row;

static const control_row control_rows[] = {
    {"as to the right probe", "11*8 0182030405060708", "11*8 aabb", true},
    {"the broken probe itself", "11*8 0182030405060708", "11*8 0182030405060708", true},
    {"… with a byte changed", "11*8 0182030405060708", "11*8 0102030405060708", true},
    {"… with two", "11*8 0182030405060708", "12 11*7 0102030405060708", true},
    {"… with three", "11*8 0182030405060708", "12 11*7 0102030405060709", false},
    {"… and more behind", "11*8 0182030405060708", "11*8 0102030405060708 ff", true},
    {"… cut by a byte", "11*8 0182030405060708", "11*8 01020304050607", false},
    {"8 bytes are enough to know a copy", "1122334455667788", "1122334455667788", true},
    {"7 are not", "11223344556677", "11223344556677", false},
    {"an error", "11*8 0182030405060708", "11*8 00000000", false},
    {"nothing like it", "11*8 0182030405060708", "99", false},
    {"nothing", "11*8 0182030405060708", "", false},
};

static void test_answers_control(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof control_rows / sizeof *control_rows; i++) {
    const control_row *row = &control_rows[i];
    uint8_t q[64], r[64];
    const my_sig *sig = load("service s\nsig s\n send id?8 0102030405060708\n @0:8 = $id\n @8:2 = "
                             "aabb\n control q@9 ^ 80\n");
    guarded gq = guard(q, unhex(row->request, q)), gr = guard(r, unhex(row->reply, r));
    my_pair pair = make_pair(gq.span, gr.span);
    if (my_sig_answers_control(sig, &pair, scratch) != row->answered) fail_msg("%s", row->why);
    unguard(gq);
    unguard(gr);
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
      cmocka_unit_test(test_lines),
      cmocka_unit_test(test_time_and_end),
      cmocka_unit_test(test_who),
      cmocka_unit_test(test_answers_control),
      cmocka_unit_test(test_hostile_pattern),
      cmocka_unit_test(test_echo),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
