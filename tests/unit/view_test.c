/* view_test.c - values inside texts, BER, bencode, JSON and TLVs: found where they are, nowhere
 * else, and never past the end of what a peer sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "bytes.h"
#include "guard.h"
#include "loaded.h"
#include "mynah/match.h"

typedef struct view_row {
  const char *why, *relation, *reply; /* reply: text, or hex behind "x:" */
  bool matches;
} view_row;

#define HEADERS                                                                                    \
  "SIP/2.0 404 Not  Found\r\nVia: a;b\r\nCALL-ID : \t xyz \t\r\nEmpty:\r\n\r\nTo: body\r\n"
#define SNMP "x:30 1b 020101 0406 7075626c6963 a20e 0204 11223344 020100 020100 3000 9f8101 0155"
#define LONG "x:30 8203e8 04 8203e4 41*996"
#define BEN  "d1:ad2:id3:abc1:n4:wxyze1:lli1ei-22e3:spae1:q4:ping2:yy0:e"
#define JSON                                                                                       \
  "{\"id\" : \"a\\\"b\",\"n\":-12.5,\"l\":[1,[2,3],{\"k\":\"}]\"}],\"o\":{\"t\":true},\"e\":\"\"}"
#define TLVS "x:aaaa 0001 0003 010203ff 0020 0004 c0a80001 0020 0001 99"

static const view_row rows[] = {
    {"a word", "w0 = \"SIP/2.0\"", HEADERS, true},
    {"the next one", "w1 = \"404\"", HEADERS, true},
    {"behind two blanks", "w3 = \"Found\"", HEADERS, true},
    {"in the next line", "w4 = \"Via:\"", HEADERS, true},
    {"a word too many", "w1 has \"\"", "alone", false},
    {"only blanks", "w0 has \"\"", " \r\n\t ", false},
    {"a word of digits", "w1 ~ digits", HEADERS, true},
    {"its length", "len.w1 = 3", HEADERS, true},
    {"… is another", "len.w1 = 4", HEADERS, false},
    {"the length of nothing", "len.w9 = 0", HEADERS, false},
    {"a header", "h.via = \"a;b\"", HEADERS, true},
    {"case ignored, blanks around", "h.call-id = \"xyz\"", HEADERS, true},
    {"an empty one", "h.empty has \"\"", HEADERS, true},
    {"… which is not blank", "h.empty has \" \"", HEADERS, false},
    {"none in the body", "h.to has \"\"", HEADERS, false},
    {"none in the first line", "h.sip has \"\"", "SIP: 1\r\nVia: 2\r\n\r\n", false},
    {"a name that only begins so", "h.vi has \"\"", HEADERS, false},
    {"without a colon", "h.via has \"\"", "X\r\nVia\r\n", false},
    {"lines that end in LF", "h.b = \"2\"", "x\na:1\nb:2\n", true},
    {"a last line without an end", "h.b = \"2\"", "x\na:1\nb:2", true},
    {"a part of a value", "h.via[2:1] = \"b\"", HEADERS, true},
    {"a part from its end", "h.via[-3:2] = \"a;\"", HEADERS, true},
    {"a part past its end", "h.via[3:1] = \"b\"", HEADERS, false},
    {"equal, with a longer one", "h.via = \"a;\"", HEADERS, false},
    {"starts", "h.via starts \"a;\"", HEADERS, true},

    {"a version", "ber.0.0 = 01", SNMP, true},
    {"a tag", "tag.0 = 30", SNMP, true},
    {"a tag inside", "tag.0.2 = a2", SNMP, true},
    {"a string", "ber.0.1 = \"public\"", SNMP, true},
    {"deeper", "ber.0.2.0 = 11223344", SNMP, true},
    {"an empty content", "len.ber.0.2.3 = 0", SNMP, true},
    {"a tag of three bytes", "tag.1 = 9f", SNMP, true},
    {"… and its content", "ber.1 = 55", SNMP, true},
    {"an element too many", "ber.0.3 has \"\"", SNMP, false},
    {"inside of nothing", "ber.0.2.3.0 has \"\"", SNMP, false},
    {"as a number", "ber.0.0 < 02", SNMP, true},
    {"no number of nine bytes", "ber.0 < ff", SNMP, false},
    {"lengths of several bytes", "len.ber.0.0 = 996", LONG, true},
    {"a length past the end", "ber.0 has \"\"", "x:30 05 01", false},
    {"an indefinite length", "ber.0 has \"\"", "x:30 80 0000", false},
    {"a length of five bytes", "ber.0 has \"\"", "x:30 85 0000000000", false},
    {"a tag without an end", "ber.0 has \"\"", "x:1f ffffffffffff", false},
    {"a tag and no length", "ber.0 has \"\"", "x:30", false},
    {"a length whose bytes are missing", "ber.0 has \"\"", "x:30 82 01", false},

    {"a key", "ben./q = \"ping\"", BEN, true},
    {"a key inside", "ben./a/id = \"abc\"", BEN, true},
    {"the next one", "ben./a/n = \"wxyz\"", BEN, true},
    {"an index", "ben./l/0 = \"1\"", BEN, true},
    {"a negative number", "ben./l/1 = \"-22\"", BEN, true},
    {"a string in a list", "ben./l/2 = \"spa\"", BEN, true},
    {"an index too many", "ben./l/3 has \"\"", BEN, false},
    {"an empty string", "len.ben./yy = 0", BEN, true},
    {"the whole of a table", "ben./a starts \"d2:id\"", BEN, true},
    {"a key that is none", "ben./x has \"\"", BEN, false},
    {"a step into a string", "ben./q/p has \"\"", BEN, false},
    {"a name in a list", "ben./l/x has \"\"", BEN, false},
    {"a string past the end", "ben./a has \"\"", "d1:a9:abce", false},
    {"a number without an end", "ben./a has \"\"", "d1:ai12", false},
    {"a key that is a number", "ben./1 has \"\"", "di1ei2ee", false},
    {"a table without an end", "ben./b has \"\"", "d1:al", false},
    {"an end at once", "ben./a has \"\"", "e", false},
    {"nested too deeply", "ben./b = \"1\"",
     "d1:allllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllleeeeeeeeeeee1:"
     "bi1ee",
     false},

    {"a name", "json.n = \"-12.5\"", JSON, true},
    {"a string as it stands", "json.id = \"a\\\\\\\"b\"", JSON, true},
    {"an index", "json.l.0 = \"1\"", JSON, true},
    {"lists in lists", "json.l.1.1 = \"3\"", JSON, true},
    {"brackets in a string", "json.l.2.k = \"}]\"", JSON, true},
    {"a word", "json.o.t = \"true\"", JSON, true},
    {"an empty string", "len.json.e = 0", JSON, true},
    {"a whole list", "json.l.1 = \"[2,3]\"", JSON, true},
    {"no such name", "json.x has \"\"", JSON, false},
    {"an index too many", "json.l.3 has \"\"", JSON, false},
    {"a string without an end", "json.a has \"\"", "{\"a\":\"b", false},
    {"a key without a value", "json.a has \"\"", "{\"a\"", false},
    {"a value that ends the datagram", "json.a has \"\"", "{\"a\":1", true},
    {"blanks in front", "json.a = \"1\"", " \r\n{ \"a\"\t: 1 }", true},
    {"no JSON", "json.a has \"\"", "a:1", false},
    {"a backslash at the end", "json.a has \"\"", "{\"a\":\"\\", false},

    {"a type", "tlv.20 = c0a80001", TLVS, true},
    {"a part of it", "tlv.20[2:2] = 0001", TLVS, true},
    {"padded", "tlv.1 = 010203", TLVS, true},
    {"the first of a type", "len.tlv.20 = 4", TLVS, true},
    {"none", "tlv.21 has \"\"", TLVS, false},
    {"a length past the end", "tlv.1 has \"\"", "x:aaaa 0001 0009 01", false},
    {"half a head", "tlv.1 has \"\"", "x:aaaa 0001 00", false},
    {"less than the header", "tlv.1 has \"\"", "x:aa", false},
    {"an address", "tlv.20 = my.ip.text", "x:aaaa 0020 0009 3139322e302e322e37", true},
    {"… of somebody else", "tlv.20 = my.ip.text", "x:aaaa 0020 0009 3139322e302e322e38", false},
    {"our port", "h.port = my.port.text", "x\r\nport: 40000\r\n", true},
    {"… of another", "h.port = my.port.text", "x\r\nport: 4000\r\n", false},
    {"the port asked", "h.port has peer.port.text", "x\r\nport: 5000;\r\n", true},
};

static size_t reply_bytes(const view_row *row, uint8_t *out)
{
  size_t n = strlen(row->reply);
  if (strncmp(row->reply, "x:", 2) == 0) return unhex(row->reply + 2, out);
  memcpy(out, row->reply, n);
  return n;
}

static const my_sig *load_row(const view_row *row)
{
  char text[400];
  snprintf(text, sizeof text, "service s\nsig a\n send id?4\n view tlv 2 2 2 be 4\n %s\n",
           row->relation);
  return load(text);
}

static bool matches(const my_sig *sig, my_span reply)
{
  static const uint8_t request[] = {0xf1, 0xf2, 0xf3, 0xf4};
  my_pair pair = make_pair((my_span){request, sizeof request}, reply);
  my_match m;
  assert_int_equal(my_sig_match(sig, &pair, scratch, &m), MY_OK);
  return m.matched;
}

static void test_rows(void **state)
{
  static uint8_t bytes[BYTES_MAX];
  size_t wrong = 0;
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const my_sig *sig = load_row(&rows[i]);
    guarded reply = guard(bytes, reply_bytes(&rows[i], bytes));
    if (matches(sig, reply.span) != rows[i].matches)
      print_error("%zu. %s: \"%s\"\n", ++wrong, rows[i].why, rows[i].relation);
    unguard(reply);
    unload();
  }
  assert_int_equal(wrong, 0);
}

/* Cut anywhere, and with any byte turned: nothing is read behind the end, all of it ends. */
static void test_damage(void **state)
{
  static uint8_t bytes[BYTES_MAX];
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const my_sig *sig = load_row(&rows[i]);
    size_t len = reply_bytes(&rows[i], bytes);
    for (size_t cut = 0; cut < len; cut++) {
      guarded reply = guard(bytes, cut);
      matches(sig, reply.span);
      unguard(reply);
    }
    for (size_t at = 0; at < len; at++) {
      static const uint8_t turns[] = {0xff, 0x80, 0x01, 0x5a};
      guarded reply = guard(bytes, len);
      uint8_t *byte = (uint8_t *)reply.span.data + at, was = *byte;
      for (size_t t = 0; t < sizeof turns; t++) {
        *byte = was ^ turns[t];
        matches(sig, reply.span);
      }
      unguard(reply);
    }
    unload();
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_damage)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
