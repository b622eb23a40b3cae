/* signature_test.c - the signature language: what parses into which probe, and what is refused
 * where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "guard.h"
#include "mynah/check.h"
#include "mynah/signature.h"

static const my_sig *load(my_sigdb **db, const char *text)
{
  my_where where;
  guarded g = guard(text, strlen(text));
  assert_int_equal(my_sigdb_new(db), MY_OK);
  int rc = my_sigdb_add(*db, "test.sig", g.span, &where);
  unguard(g); /* the database keeps no pointer into the text */
  if (rc != MY_OK) print_error("%u:%u: %s\n", where.line, where.column, where.text);
  assert_int_equal(rc, MY_OK);
  return my_sigdb_at(*db, 0);
}

/* ---- refused, and where ---- */

typedef struct bad_row {
  const char *why, *text;
  unsigned line, column;
  const char *says; /* part of the message */
} bad_row;

#define HEAD "service s\nsig a\n  send id?2 02\n"

static const bad_row bad_rows[] = {
    {"a word that is no keyword", "service s\nbogus\n", 2, 1, "bogus"},
    {"a signature of nothing", "sig a\n", 1, 1, "service NAME"},
    {"a relation outside a signature", "service s\n@0 = 30\n", 2, 1, "sig NAME"},
    {"names are lower case", "service S\n", 1, 9, "lower-case"},
    {"port 0", "service s\nports udp 0\n", 2, 11, "1 to 65535"},
    {"port 65536", "service s\nports udp 65536\n", 2, 11, "1 to 65535"},
    {"a range turned round", "service s\nports udp 9-5\n", 2, 11, "low to high"},
    {"ports of no transport", "service s\nports 53\n", 2, 7, "udp or tcp"},
    {"a hex length, as in STYLE", "service s\nsig a\n send x?0x10\n", 3, 7,
     "length \"0x10\": expected a decimal byte count from 1 to 1500"},
    {"a field of no bytes", "service s\nsig a\n send x?0\n", 3, 7, "1 to 1500"},
    {"a field longer than a probe", "service s\nsig a\n send x?1501\n", 3, 7, "1 to 1500"},
    {"two fields longer than a probe", "service s\nsig a\n send x?1000 y?1000\n", 3, 14,
     "longer than"},
    {"odd hex", "service s\nsig a\n send 123\n", 3, 7, "expected hex bytes"},
    {"odd nibbles", "service s\nsig a\n send ?a?\n", 3, 7, "two nibbles"},
    {"an unknown class", "service s\nsig a\n send x?4:greek\n", 3, 7, "greek"},
    {"a field twice", "service s\nsig a\n send x?4 x?2\n", 3, 11, "name of its own"},
    {"send without bytes", "service s\nsig a\n send\n", 3, 6, "nothing"},
    {"a text without an end", "service s\nsig a\n send \"abc\n", 3, 7, "closing"},
    {"an unknown escape", "service s\nsig a\n send \"\\q\"\n", 3, 9, "escape"},
    {"lengths of the wrong form", "service s\nsig a\n send be16(len*2)\n", 3, 7, "be16(len)"},
    {"a length below zero", "service s\nsig a\n send be16(len-9)\n @0 = 01\n", 3, 7, "below zero"},
    {"widths that differ", HEAD " @0:2 = 010203\n", 4, 9, "010203"},
    {"a text of another width", HEAD " @0:2 = \"abc\"\n", 4, 9, "3 byte(s) against 2"},
    {"bits of another width", HEAD " @0:2 = b0000000.\n", 4, 9, "against 2"},
    {"a field that is not sent", HEAD " @0:2 = $other\n", 4, 9, "no field of that name"},
    {"past the probe", HEAD " @0:2 = q@2:2\n", 4, 9, "past the probe's 3 bytes"},
    {"no operator", HEAD " @0:2 id\n", 4, 7, "expected ="},
    {"nothing on the right", HEAD " @0:2 =\n", 4, 8, "compared with"},
    {"something behind the line", HEAD " @0 = 01 02\n", 4, 10, "after the end"},
    {"a header without a name", HEAD " h. = \"x\"\n", 4, 2, "a name or a number"},
    {"a BER path of names", HEAD " ber.0.x = 01\n", 4, 2, "indexes of elements"},
    {"a bencode path without a slash", HEAD " ben.id = 01\n", 4, 2, "behind slashes"},
    {"an empty step of a path", HEAD " json.a..b = 01\n", 4, 2, "a name or a number"},
    {"too many steps", HEAD " json.1.2.3.4.5.6.7.8.9.1.2.3.4 = 01\n", 4, 2, "more than 12 steps"},
    {"a TLV of which nobody said how", HEAD " tlv.20 = 01\n", 4, 2, "without `view tlv"},
    {"a type that is not hex", HEAD " view tlv 2 1 1 be 1\n tlv.xy = 01\n", 5, 2, "type in hex"},
    {"a part that is none", HEAD " h.via[x] = \"x\"\n", 4, 2, "a part such as"},
    {"a view of another kind", HEAD " view xml\n", 4, 7, "expected tlv"},
    {"a TLV of five bytes", HEAD " view tlv 0 5 1 be 1\n", 4, 13, "from 1 to 4"},
    {"a TLV of middle endian", HEAD " view tlv 0 1 1 me 1\n", 4, 17, "be or le"},
    {"a TLV without padding", HEAD " view tlv 0 1 1 be 0\n", 4, 20, "from 1 to 16"},
    {"a header that the probe has not", HEAD " h.via = q.h.via\n", 4, 10, "no such value"},
    {"a length of no view", HEAD " len.@0 = 5\n", 4, 2, "a view such as"},
    {"a port written out, as a number", HEAD " sport = my.port.text\n", 4, 10, "as text"},
    {"a step before any line", HEAD " step 01\n", 4, 2, "before any line"},
    {"two steps", HEAD " @0 = 01\n step 01\n @0 = 01\n step 02\n", 7, 2, "a second step"},
    {"a step of which no line says anything", HEAD " @0 = 01\n step 01\n", 5, 1, "no line says"},
    {"a step of nothing", HEAD " @0 = 01\n step\n", 5, 6, "nothing"},
    {"a case behind a step", HEAD " @0 = 01\n step 01\n @0 = 01\n case @0 = 02\n", 7, 2,
     "behind the step"},
    {"a control in a step", HEAD " @0 = 01\n step 01\n control q@0 ^ 01\n", 6, 2, "inside a step"},
    {"bytes of a reply before there is one", "service s\nsig a\n send r@0:4\n", 3, 7, "in a step"},
    {"bytes past the first request", HEAD " @0 = 01\n step q@2:2\n", 5, 7, "what went before"},
    {"a checksum of nothing", "service s\nsig a\n send crc32(q@0)\n", 3, 7, "crc32(q@4:20)"},
    {"a checksum past the end", "service s\nsig a\n send 01 inet(q@0:9)\n @0 = 01\n", 3, 1,
     "past the probe's 3"},
    {"closes over udp", HEAD " closes\n", 4, 2, "over udp"},
    {"again over udp", HEAD " again\n", 4, 2, "over udp"},
    {"until over udp", HEAD " until \"x\"\n", 4, 2, "over udp"},
    {"until nothing", "service s\nsig a\n over tcp\n until zz\n", 4, 8, "hex or a text"},
    {"a time without an end", HEAD " timing 5\n", 4, 9, "such as 0..500"},
    {"a time from late to early", HEAD " timing 5..4\n", 4, 9, "such as 0..500"},
    {"then of nothing", HEAD " @0 = 01\n match 00 > 01 then 00\n", 5, 23, "before the reply"},
    {"a place of no bytes", HEAD " @0:0 = 01\n", 4, 2, "place"},
    {"from the end, past it", HEAD " @-1:2 = 0102\n", 4, 2, "place"},
    {"an address on 3 bytes", HEAD " @0:3 = my.ip\n", 4, 9, "4 or 16"},
    {"a range turned round", HEAD " @0 = 20..10\n", 4, 7, "low to high"},
    {"a number too wide", HEAD " @0 < 1000\n", 4, 7, "against 1 byte"},
    {"hex where a count is decimal", HEAD " len = 0x10\n", 4, 8, "decimal"},
    {"a pattern that is none", HEAD " @ ~ m/(/\n", 4, 9, "pattern"},
    {"a pattern without an end", HEAD " @ ~ m/a\n", 4, 6, "expected m/"},
    {"control of the reply", HEAD " @0 = 01\n control @1 ^ 80\n", 5, 10, "request"},
    {"control of another width", HEAD " @0 = 01\n control q@1 ^ 8080\n", 5, 16, "1 byte(s)"},
    {"two controls", HEAD " @0 = 01\n control q@2 ^ 80\n control q@2 ^ 81\n", 6, 2, "second"},
    {"send behind a relation", HEAD " @0 = 01\n send 00\n", 5, 2, "expected it before"},
    {"nothing is owed", "service s\nsig a\n send 00\n", 2, 1, "no line"},
    {"nothing is sent", "service s\nsig a\n @0 = 30\n", 2, 1, "nothing is sent"},
    {"a banner over udp", "service s\nsig a\n banner\n @0 = 30\n", 2, 1, "over udp"},
    {"a second signature of a name", HEAD " @0 = 01\nsig a\n", 5, 5, "name of its own"},
    {"a sample without a reply", HEAD " @0 = 01\n match 0102\n", 5, 12, "before the reply"},
    {"a sample with no address", HEAD " @0 = 01\n match 01 > 02 my.ip here\n", 5, 22, "IP address"},
    {"a control character", "service s\nsig a\n send \x01\n", 3, 7, "control character"},
    {"functions over functions", HEAD " @0:2 = rev(rev(rev(rev(rev(q@0:2)))))\n", 4, 9,
     "functions"},
    {"a function over all", HEAD " @0:2 = rev(q@)\n", 4, 9, "fixed length"},
    {"a time on 2 bytes", HEAD " @0:2 ~ now.ntp 90d\n", 4, 9, "4 bytes"},
    {"a time without a tolerance", HEAD " @0:4 ~ now.ntp\n", 4, 16, "90d"},
    /* our own request on the left would be evidence out of nothing */
    {"a field on the left", HEAD " any $id = 0102\n", 4, 6, "a place of the reply"},
    {"a soft field on the left", HEAD " soft $id = $id\n", 4, 7, "a place of the reply"},
    /* what could never hold, or would hold in silence without its mask or function */
    {"a mask on an address", HEAD " @0:4 & ffffff00 = my.ip\n", 4, 20, "mask"},
    {"a mask on a port", HEAD " @0:2 & ff00 = my.port\n", 4, 16, "mask"},
    {"a mask on bits", HEAD " @0 & 80 = b1.......\n", 4, 12, "mask"},
    {"a mask under starts", HEAD " @0:2 & ff00 starts 0102\n", 4, 21, "mask"},
    {"order of bits", HEAD " @0 < b1.......\n", 4, 7, "= and !="},
    {"order of addresses", HEAD " @0:4 < my.ip\n", 4, 9, "= and !="},
    {"order of a range", HEAD " @0 < 10..20\n", 4, 7, "= and !="},
    {"order of folded bytes", HEAD " @0:2 < fold($id)\n", 4, 9, "fold"},
    {"order of more than 8 bytes", HEAD " @0:9 < \"abcdefghi\"\n", 4, 9, "8 bytes"},
    {"a length of 9 bytes", HEAD " @0:9 = len\n", 4, 9, "8 bytes"},
    {"a length in 9 bytes", HEAD " len = @0:9\n", 4, 8, "8 bytes"},
    {"a length is a number: starts", HEAD " len starts $id\n", 4, 6, "a number"},
    {"a length is a number: pattern", HEAD " len ~ m/1/\n", 4, 6, "a number"},
    {"a port is a number: has", HEAD " sport has 01\n", 4, 8, "a number"},
    {"the whole is no number", HEAD " @ < 10\n", 4, 6, "without a length"},
    {"the whole in no range", HEAD " @ = 1..5\n", 4, 6, "without a length"},
    {"the whole is no length", HEAD " @ = len\n", 4, 6, "without a length"},
    {"hex of too few digits", HEAD " @0:4 = 0102\n", 4, 9, "expected 8 hex digits"},
    {"a single digit", HEAD " @0 = 5\n", 4, 7, "expected 2 hex digits"},
    {"bitor of more than there is", HEAD " @0:2 = bitor($id,800000)\n", 4, 9, "800000"},
    {"a range of ports that is a text", "service s\nports udp \"53\"\n", 2, 11, "1 to 65535"},
    {"a field of a strange name", "service s\nsig a\n send a(b?2\n", 3, 7, "field \"a(b\""},
    {"all of a request that is none", "service s\nsig a\n over tcp\n banner\n @ starts q@\n", 5, 11,
     "past the probe's 0 bytes"},
    /* a control that breaks nothing makes every real service answer it */
    {"a control that turns no bit", HEAD " @0 = 01\n control q@2 ^ 00\n", 5, 16, "no bit"},
    {"a control of a nonce", HEAD " @0 = 01\n control q@0 ^ 80\n", 5, 16, "drawn anew"},
    {"a length is given", HEAD " @0 = 01\n give len as \"n\"\n", 5, 7, "bytes"},
    {"a template without a pattern", HEAD " @0 = 01\n product \"$p\"\n", 5, 10, "$p"},
    {"a group that no pattern has", HEAD " @ ~ m/(a)/\n product \"$2\"\n", 5, 10, "$2"},
    /* nothing of a file that somebody sends reaches a terminal raw */
    {"a control character in a title", "service s\n title \"a\\x1bb\"\n", 2, 8,
     "control character"},
    {"a NUL that would hide the rest", "service s\n title \"a\\0b\"\n", 2, 8, "control character"},
    {"one of Latin-1 in a title", "service s\n title \"a\\x9b\"\n", 2, 8, "control character"},
    {"half a character in a title", "service s\n title \"a\\xc3\"\n", 2, 8, "not UTF-8"},
    {"one in the name of what is given", HEAD " @0 = 01\n give @0 as \"a\\x07\"\n", 5, 13,
     "control character"},
    {"one inside a word",
     "service s\nsig a\n send 01\x01"
     "02\n",
     3, 9, "control character"},
    {"one in a comment", "service s # \x1b[2J\n", 1, 13, "control character"},
    {"one that only Latin-1 and UTF-8 terminals know", "service s # \xc2\x9b\n", 1, 13,
     "control character"},
    {"lines that end in CR alone: no comment to the end of the file", "# a\rservice s\r", 1, 4,
     "control character"},
    {"Latin-1", "service s\n title \"caf\xe9\"\n", 2, 12, "UTF-8"},
    {"UTF-8 of more bytes than it takes", "# \xc0\xaf\n", 1, 3, "UTF-8"},
    {"a surrogate", "# \xed\xa0\x80\n", 1, 3, "UTF-8"},
    {"past the last character", "# \xf4\x90\x80\x80\n", 1, 3, "UTF-8"},
    {"UTF-8 cut by the end", "# \xe2\x82", 1, 3, "UTF-8"},
    /* columns count characters, as editors do */
    {"behind UTF-8", "service s\n title \"\xc3\xa9\xe2\x82\xac\" x\n", 2, 13, "\"x\""},
    {"behind a tab", "service s\n\ttitle x\n", 2, 8, "quotes"},
    {"behind CRLF", "service s\r\nsig a\r\n send 123\r\n", 3, 7, "expected hex"},
    {"behind a BOM", "\xef\xbb\xbfservice S\n", 1, 9, "lower-case"},
    {"at the end of CRLF", "service s\r\nsig\r\n", 2, 4, "lower-case"},
    /* every other message of the parser */
    {"a title inside a signature", HEAD " title \"t\"\n", 4, 2, "right behind"},
    {"a title of nothing", "title \"t\"\n", 1, 1, "right behind"},
    {"ports inside a signature", HEAD " ports udp 1\n", 4, 2, "right behind"},
    {"provenance of nothing", "from \"f\"\n", 1, 1, "before"},
    {"provenance that is no text", "service s\nfrom f\n", 2, 6, "quotes"},
    {"a second text", "service s\nfrom \"f\" \"g\"\n", 2, 10, "after the end"},
    {"an operator first", "service s\n= 1\n", 2, 1, "begins with"},
    {"a text first", "service s\n\"x\"\n", 2, 1, "begins with"},
    {"an unknown word in a signature", HEAD " bogus 1\n", 4, 2, "keyword"},
    {"both a banner and a probe", "service s\nsig a\n over tcp\n banner\n send 01\n @0 = 01\n", 2,
     1, "expected one of them"},
    {"a banner of something", "service s\nsig a\n over tcp\n banner 1\n", 4, 9, "after the end"},
    {"over something else", "service s\nsig a\n over sctp\n", 3, 7, "udp, tcp or tls"},
    {"over behind the probe", HEAD " over tcp\n", 4, 7, "right behind `sig NAME`"},
    {"over behind a line", "service s\nsig a\n over tcp\n banner\n @0 = 01\n over udp\n", 6, 7,
     "right behind `sig NAME`"},
    {"freshness of something", HEAD " nofresh 1\n", 4, 10, "after the end"},
    {"from a certain port", HEAD " from-port 53\n", 4, 12, "expected any"},
    {"a control without an operator", HEAD " @0 = 01\n control q@2 80\n", 5, 14, "expected ^"},
    {"a control that ends there", HEAD " @0 = 01\n control q@2\n", 5, 13, "expected ^"},
    {"a control of the end", HEAD " @0 = 01\n control q@-1 ^ 80\n", 5, 10, "request"},
    {"a control of all", HEAD " @0 = 01\n control q@ ^ 80\n", 5, 10, "request"},
    {"a control of a length", HEAD " @0 = 01\n control q.len ^ 80\n", 5, 10, "request"},
    {"a control by nothing", HEAD " @0 = 01\n control q@2 ^\n", 5, 15, "1 byte(s)"},
    {"a mask of another width", HEAD " @0:2 & 80 = 8000\n", 4, 9, "2 byte(s) of hex"},
    {"a mask of the whole", HEAD " @ & 80 = 80\n", 4, 6, "byte(s) of hex"},
    {"a mask of a length", HEAD " len & 80 = 80\n", 4, 8, "byte(s) of hex"},
    {"a mask that is no hex", HEAD " @0 & xy = 80\n", 4, 7, "byte(s) of hex"},
    {"a mask that is a text", HEAD " @0 & \"x\" = 80\n", 4, 7, "byte(s) of hex"},
    {"vary of the whole", HEAD " vary @\n", 4, 7, "fixed length"},
    {"stable of a length", HEAD " stable len\n", 4, 9, "fixed length"},
    {"vary of a port", HEAD " vary sport\n", 4, 7, "fixed length"},
    {"vary and more", HEAD " vary @0 = 1\n", 4, 10, "after the end"},
    {"a text as a place", HEAD " any \"x\" = 01\n", 4, 6, "place such as"},
    {"a lone exclamation mark", HEAD " @0 ! 01\n", 4, 5, "expected ="},
    {"a word that means nothing", HEAD " @0:2 = wxyz\n", 4, 9, "not understood"},
    {"a range of nothing", HEAD " @0 = ..5\n", 4, 7, "not understood"},
    {"a number that means nothing", HEAD " @0 < wx\n", 4, 7, "not understood"},
    {"more than 16 digits", HEAD " @0:8 < 11112222333344445\n", 4, 9, "not understood"},
    {"a decimal number that is hex", HEAD " @0 = dec ff\n", 4, 11, "decimal"},
    {"a decimal number too large", HEAD " @0 = dec 256\n", 4, 11, "against 1 byte(s)"},
    {"a length plus nothing", HEAD " @0 = len+\n", 4, 7, "not understood"},
    {"a length times", HEAD " @0:2 = len*2\n", 4, 9, "hex digits"},
    {"a port on 4 bytes", HEAD " @0:4 = my.port\n", 4, 9, "place of 2"},
    {"an address XORed with nothing", HEAD " @0:4 = my.ip ^\n", 4, 16, "XORed"},
    {"an address XORed with a text", HEAD " @0:4 = my.ip ^ \"x\"\n", 4, 17, "XORed"},
    {"an address as a length", HEAD " len = my.ip\n", 4, 8, "4 or 16"},
    {"bytes that are like bytes", HEAD " @0:2 ~ 0102\n", 4, 9, "after ~"},
    {"starts with a range", HEAD " @0 starts 01..02\n", 4, 12, "after starts"},
    {"has a length", HEAD " @ has len\n", 4, 8, "after starts"},
    {"digits are equal to nothing", HEAD " @0 = digits\n", 4, 7, "operator ~"},
    {"a pattern is equal to nothing", HEAD " @ = m/a/\n", 4, 6, "operator ~"},
    {"a text is no length", HEAD " len = \"x\"\n", 4, 8, "against a number"},
    {"an empty text", HEAD " @0:2 = \"\"\n", 4, 9, "empty"},
    {"the whole against a place", HEAD " @ = q@\n", 4, 6, "without a length"},
    {"a place against the whole", HEAD " @0:2 = q@\n", 4, 9, "without a length"},
    {"nothing behind or", HEAD " @0 = 01 or\n", 4, 12, "compared with"},
    {"a function without its number", HEAD " @0:2 = add($id)\n", 4, 9, "hex number"},
    {"a function with a number that is none", HEAD " @0:2 = add($id,xy)\n", 4, 9, "hex number"},
    {"a function without its end", HEAD " @0:2 = rev($id\n", 4, 9, "hex digits"},
    {"a function over nothing", HEAD " @0:2 = rev()\n", 4, 9, "a place"},
    {"a time of no unit", HEAD " @0:4 ~ now.ntp 90\n", 4, 17, "90d"},
    {"a time of nothing", HEAD " @0:4 ~ now.ntp 0d\n", 4, 17, "90d"},
    {"a field longer than a place", "service s\nsig a\n send x?300\n @0:2 = $x\n", 4, 9,
     "256 bytes"},
    {"a field without a name", HEAD " @0:2 = $\n", 4, 9, "a place"},
    {"an offset past a datagram", HEAD " @65536 = 01\n", 4, 2, "a place"},
    {"a width past what a place has", HEAD " @0:257 = 01\n", 4, 2, "a place"},
    {"nibbles that are none", "service s\nsig a\n send ?g\n", 3, 7, "hex digits and ?"},
    {"a pad of nothing", "service s\nsig a\n send pad 0\n", 3, 11, "decimal byte count"},
    {"a pad without a count", "service s\nsig a\n send pad\n", 3, 10, "decimal byte count"},
    {"an operator in a probe", "service s\nsig a\n send 01 ^ 02\n", 3, 10, "in a probe"},
    {"a pattern in a probe", "service s\nsig a\n send m/x/\n", 3, 7, "in a probe"},
    {"a byte too often", "service s\nsig a\n send 00*65536\n", 3, 7, "expected hex bytes"},
    {"more bytes than a probe has", "service s\nsig a\n send 00*1501\n", 3, 7, "longer than 1500"},
    {"more texts than a probe has room for", "service s\nsig a\n send 00*1499 \"ab\"\n", 3, 15,
     "longer than 1500"},
    {"17 lengths",
     "service s\nsig a\n send be16(len) be16(len) be16(len) be16(len) be16(len) be16(len) "
     "be16(len) "
     "be16(len) be16(len) be16(len) be16(len) be16(len) be16(len) be16(len) be16(len) be16(len) "
     "be16(len)\n",
     3, 167, "more than 16 lengths"},
    {"a sample of more than a datagram", HEAD " @0 = 01\n match 00*65535 0102 > 03\n", 5, 17,
     "65536 bytes"},
    {"a sample with more behind", HEAD " @0 = 01\n match 01 > 02 03 x\n", 5, 19, "after the end"},
    {"an address that is a text", HEAD " @0 = 01\n match 01 > 02 my.ip \"::1\"\n", 5, 22,
     "IP address"},
    {"given without a name", HEAD " @0 = 01\n give @0:4\n", 5, 11, "as"},
    {"given of nothing", HEAD " @0 = 01\n give as\n", 5, 7, "a place"},
    {"given by a word", HEAD " @0 = 01\n give @0:4 as name\n", 5, 15, "quotes"},
    {"nine things given",
     HEAD " @0 = 01\n cpe \"\"\n cpe \"\"\n cpe \"\"\n cpe \"\"\n cpe \"\"\n cpe \"\"\n cpe \"\"\n "
          "cpe \"\"\n "
          "cpe \"\"\n",
     13, 2, "more than 8"},
    {"a product that is a word", HEAD " @0 = 01\n product x\n", 5, 10, "quotes"},
    {"what escapes spell, in a message", "service s \"a\\x9b\\xc2\\x85\\n\"\n", 1, 11, "\"a????\""},
    {"a name of 61 letters",
     "service aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", 1, 9, "lower-case"},
    {"a name that is a text", "service \"s\"\n", 1, 9, "lower-case"},
    {"two names", "service s t\n", 1, 11, "after the end"},
    {"ports of nothing", "service s\nports udp\n", 2, 10, "1 to 65535"},
    {"UTF-8 in a message",
     HEAD
     " @0:2 = xx\"\xe2\x82\xac\" \xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2"
     "\x82\xac\xe2\x82\xac\xe2\x82\xac\n",
     4, 9, "not understood"},
};

static void test_refused(void **state)
{
  size_t wrong = 0;
  (void)state;
  for (size_t i = 0; i < sizeof bad_rows / sizeof *bad_rows; i++) {
    const bad_row *row = &bad_rows[i];
    my_sigdb *db;
    my_where where;
    guarded g = guard(row->text, strlen(row->text));
    assert_int_equal(my_sigdb_new(&db), MY_OK);
    int rc = my_sigdb_add(db, "test.sig", g.span, &where);
    if (rc != MY_ESYNTAX || where.line != row->line || where.column != row->column ||
        strstr(where.text, row->says) == NULL ||
        my_sigdb_count(db) != 0) /* the database is as before */
      print_error("%zu %s: got %d at %u:%u \"%s\", expected %u:%u \"…%s…\"\n", ++wrong, row->why,
                  rc, where.line, where.column, where.text, row->line, row->column, row->says);
    unguard(g);
    my_sigdb_free(db);
  }
  assert_int_equal(wrong, 0);
}

/* ---- read, however it was written ---- */

typedef struct good_row {
  const char *why, *text;
} good_row;

static const good_row good_rows[] = {
    {"without a final newline", HEAD " @0 = 01"},
    {"CRLF", "service s\r\nsig a\r\n send id?2 02\r\n @0:2 = $id # c\r\n"},
    {"CRLF, the last line without", "service s\r\nsig a\r\n send 02\r\n @0 = 01"},
    {"CR behind a text", "service s\r\n title \"t\"\r\nsig a\r\n send \"x\"\r\n @ ~ m/a/\r\n"},
    {"tabs", "service\ts\nsig\ta\n\tsend\tid?2 02\n\t@0:2\t=\t$id\t# c\n"},
    {"a BOM", "\xef\xbb\xbf" HEAD " @0 = 01\n"},
    {"UTF-8 in a comment, a title and a text",
     "# \xe2\x80\xa6\nservice s\n title \"\xc3\xa9\xf0\x9f\x90\xa6\"\nsig a\n send \"\xc3\xa9\"\n "
     "@0 = "
     "01 # \xf4\x8f\xbf\xbf\n"},
    {"no blanks around an operator", HEAD " len>=5\n @0&80=80\n"},
    {"tokens that touch", "service s\nsig a\n send 01\"a\"\"b\"02\n @0 = 01\n"},
    {"capital hex", HEAD " @0 = AB\n"},
    {"empty lines and comments between", "\n\n# c\n" HEAD "\n   \n # c\n @0 = 01\n\n"},
    {"a mask on a length", HEAD " @0:2 & 7fff = len\n"},
    {"over udp, said", "service s\nsig a\n over udp\n send 01\n @0 = 01\n"},
    {"over tls", "service s\nsig a\n over tls\n send 01\n @0 = 01\n"},
    {"provenance, of a service and of a signature",
     "service s\n from \"f\"\nsig a\n from \"g\"\n send 01\n @0 = 01\n"},
    {"a probe of 1500 bytes", "service s\nsig a\n send 00*1500\n @0 = 01\n"},
    {"8 things given",
     HEAD " @0:4 = 01020304\n give @0 as \"a\"\n give @1 as \"b\"\n give @2 as \"c\"\n"
          " give @3 as \"d\"\n give @0:2 as \"e\"\n cpe \"f\"\n extra \"g\"\n cpe \"h\"\n"},
    {"an order of ports", HEAD " sport < my.port\n"},
    {"a length that stands in the reply", HEAD " len = @0:2\n"},
    {"an empty reply as a sample", HEAD " @0 = 01\n nomatch 010203 >\n"},
    {"a dollar that names no group", HEAD " @ ~ m/(a)/\n product \"US$ $1$\"\n"},
    {"a group of the second pattern",
     HEAD " @ ~ m/(?<a>x)/\n soft @ ~ m/(?<b>y)/\n product \"$a\"\n version \"$b\"\n"},
    {"a probe whose length is known at its end",
     "service s\nsig a\n send be16(len-4) 01\n send 0203\n @0 = 01\n"},
};

static void test_read(void **state)
{
  size_t wrong = 0;
  (void)state;
  for (size_t i = 0; i < sizeof good_rows / sizeof *good_rows; i++) {
    my_sigdb *db;
    my_where where;
    guarded g = guard(good_rows[i].text, strlen(good_rows[i].text));
    assert_int_equal(my_sigdb_new(&db), MY_OK);
    if (my_sigdb_add(db, "test.sig", g.span, &where) != MY_OK || my_sigdb_count(db) != 1)
      print_error("%zu %s: %u:%u %s, %zu signatures\n", ++wrong, good_rows[i].why, where.line,
                  where.column, where.text, my_sigdb_count(db));
    unguard(g);
    my_sigdb_free(db);
  }
  assert_int_equal(wrong, 0);
}

/* Every prefix of a good file ends in MY_OK or a message, and never reads past its end. */
static void test_every_prefix(void **state)
{
  static const char text[] =
      "service s # c\n title \"t\"\n ports udp 1,2-3 tcp 4\nsig a\n send a?2:pos ?f 00*2 "
      "\"x\\x41\" be16(len)\n"
      " len >= 5 or 9..10\n @0:2 = $a\n any @2 & 80 = 80\n any @-1 ~ digits\n @3 = add(q@0,1)\n"
      " vary @0\n control q@0 ^ 80\n give @0:2 as \"n\"\n match 00*9 > 01\n nomatch > 02 my.ip "
      "::1\n";
  (void)state;
  for (size_t n = 0; n < sizeof text; n++) {
    my_sigdb *db;
    my_where where;
    guarded g = guard(text, n);
    assert_int_equal(my_sigdb_new(&db), MY_OK);
    int rc = my_sigdb_add(db, "p", g.span, &where);
    assert_true(rc == MY_OK || (rc == MY_ESYNTAX && where.text[0] != 0));
    unguard(g);
    my_sigdb_free(db);
  }
}

/* ---- memory ---- */

/* The linker sends the core's calloc, realloc and malloc here (-Wl,--wrap). */
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);

static long countdown = -1; /* allocations until one fails; -1: none does */
static bool failed;         /* one did */
static size_t asked_for;    /* bytes, in all */

static bool fails(size_t n)
{
  asked_for += n;
  bool now = countdown >= 0 && countdown-- == 0;
  failed |= now;
  return now;
}

void *__wrap_calloc(size_t n, size_t size)
{
  return fails(n * size) ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
  return fails(n) ? NULL : __real_realloc(p, n);
}

void *__wrap_malloc(size_t n)
{
  return fails(n) ? NULL : __real_malloc(n);
}

typedef struct big_row {
  const char *why, *head, *repeated; /* %d in it: the number of the repetition */
  int times;
  const char *says;     /* NULL: it parses */
  size_t at_most_bytes; /* of memory, together */
} big_row;

static const big_row big_rows[] = {
    {"lines past what a chunk holds: their patterns stay owned", HEAD, " @%d ~ m/a%%d/ or m/b/\n",
     60, NULL, 1 << 20},
    {"fields and slots", "service s\nsig a\n", " send f%d?2 00*9\n", 100, "no line", 1 << 20},
    {"ports", "service s\n", " ports udp %d-60000\n", 3000, NULL, 1 << 20},
    {"signatures, each translated in a room of 40 KiB that is given back", "service s\n",
     "sig s%d\n send 00\n @0 = 01\n", 300, NULL, 16 << 20},
    {"samples", HEAD " @0 = 01\n", " match 01 > 02 03*90\n", 300, NULL, 1 << 20},
    {"16 bytes of text that ask for 128 KiB", HEAD " @0 = 01\n", " match 00*65535 > 00*65535\n",
     1000, "the samples of this file need more than 4 MiB", 8 << 20},
    {"20 bytes that ask for 20 KiB", "service s\n", "sig s%d\n send 00\n @ ~ m/(?:ab|c){900}/\n",
     1000, "the patterns of this file need more than 4 MiB", 16 << 20},
    {"4097 signatures", "service s\n", "sig s%d\n send 00\n @0 = 01\n", 4097,
     "more than 4096 signatures", 16 << 20},
    {"patterns that would try for minutes", "service s\n",
     "sig s%d\n send 00\n @ ~ m/^(a+)+b/\n @65535 = 00\n", 2000, NULL, 512 << 20},
    {"65 lines", HEAD, " @%d = 01\n", 65, "more than 64 lines", 1 << 20},
    {"a long word in a message: no half of a character", "service s\nsig a\n send x",
     "\xe2\x82\xac", 100, "\xe2\x82\xac??", 1 << 20},
    {"256 words", "service s\nsig a\n send", " 00", 256, "at most 255 words", 1 << 20},
    {"texts in front of a long comment", "service s\n title \"", "\" \"", 120, "after the end",
     1 << 20},
};

static char *build_big(const big_row *row, size_t *len)
{
  size_t room = strlen(row->head) + (size_t)row->times * (strlen(row->repeated) + 10) + 500000;
  char *text = __real_calloc(1, room);
  assert_non_null(text);
  *len = (size_t)sprintf(text, "%s", row->head);
  for (int i = 0; i < row->times; i++)
    *len += (size_t)sprintf(text + *len, row->repeated, i + 1);
  if (row->repeated[0] == '"') /* one line: let the rest of it be long */
    *len += (size_t)sprintf(text + *len, "\" #%0400000d", 0);
  return text;
}

static void test_big(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof big_rows / sizeof *big_rows; i++) {
    const big_row *row = &big_rows[i];
    my_sigdb *db;
    my_where where;
    size_t len;
    char *text = build_big(row, &len);
    assert_int_equal(my_sigdb_new(&db), MY_OK);
    asked_for = 0;
    int rc = my_sigdb_add(db, "big", (my_span){(const uint8_t *)text, len}, &where);
    if ((rc == MY_OK) != (row->says == NULL) ||
        (row->says != NULL && strstr(where.text, row->says) == NULL) ||
        asked_for > row->at_most_bytes)
      fail_msg("%s: got %d \"%s\" with %zu bytes", row->why, rc, where.text, asked_for);
    my_sigdb_free(db);
    free(text);
  }
}

/* Whichever allocation fails, the database stays as it was and nothing is lost or freed twice. */
static void test_out_of_memory(void **state)
{
  (void)state;
  for (size_t i = 0; i < 5; i++) { /* the small ones */
    my_sigdb *db;
    my_where where;
    size_t len;
    char *text = build_big(&big_rows[i], &len);
    int rc = MY_ENOMEM;
    assert_int_equal(my_sigdb_new(&db), MY_OK);
    for (long n = 0; rc == MY_ENOMEM; n++) {
      failed = false;
      countdown = n;
      rc = my_sigdb_add(db, "big", (my_span){(const uint8_t *)text, len}, &where);
      countdown = -1;
      assert_int_equal(rc == MY_ENOMEM, failed);
      if (failed) assert_int_equal(my_sigdb_count(db), 0);
      assert_true(n > 0 || failed);
    }
    assert_int_equal(rc, big_rows[i].says == NULL ? MY_OK : MY_ESYNTAX);
    my_sigdb_free(db);
    free(text);
  }
}

/* No bytes at all, with and without an address. */
static void test_nothing(void **state)
{
  my_sigdb *db;
  my_where where;
  (void)state;
  assert_int_equal(my_sigdb_new(&db), MY_OK);
  assert_int_equal(my_sigdb_add(db, "none", (my_span){NULL, 0}, &where), MY_OK);
  assert_int_equal(my_sigdb_add(db, "none", (my_span){(const uint8_t *)"", 0}, &where), MY_OK);
  static uint8_t much[MY_SIG_FILE_MAX + 1];
  assert_int_equal(my_sigdb_add(db, "much", (my_span){much, sizeof much}, &where), MY_ESYNTAX);
  assert_int_equal(where.line, 0); /* the whole */
  assert_int_equal(my_sigdb_count(db), 0);
  my_sigdb_free(db);
}

/* ---- probes ---- */

typedef struct probe_row {
  const char *why, *send, *hex;
} probe_row;

static const probe_row probe_rows[] = {
    {"hex, in pieces", "92 4002", "924002"},
    {"text and escapes", "\"a\\r\\n\\x7f\\0\\\"\"", "610d0a7f0022"},
    {"random bytes are the entropy's", "02 id?2", "02fffe"},
    {"letters", "x?3:alpha", "7a7a7a"},
    {"digits", "x?2:digit", "3939"},
    {"letters and digits", "x?8:alnum", "3939393939393938"},
    {"random bytes, nibbles, random bytes", "x?1 ?a y?1", "fffafd"},
    {"positive: top bit of the first clear", "x?2:pos", "7ffe"},
    {"nibbles among fixed ones", "?a?b 11", "fafb11"},
    {"repeated bytes", "00*3 ff*2", "000000ffff"},
    {"padded to a length", "01 pad 4", "01000000"},
    {"its own length, both ways round", "be16(len) le16(len-1) be32(len+1)", "0008070000000009"},
    {"our address and port", "my.ip my.port", "c0000207 9c40"},
    {"the peer's", "peer.ip peer.port", "c00002010035"},
    {"a comment behind it", "0102 # 03", "0102"},
    {"a CRC-32, both ways round", "x?4 crc32(q@0:4) crc32le(q@0:4)", "fffefdfc 5502a6f0 f0a60255"},
    {"the Internet's checksum, of an even and an odd count", "x?4 inet(q@0:4) inet(q@0:3)",
     "fffefdfc 0204 0300"},
    {"what adds up to zero", "x?4 sum8(q@0:4)", "fffefdfc 0a"},
    {"a checksum in front of its bytes", "crc32(q@4:4) x?4", "5502a6f0 fffefdfc"},
};

static void hex_of(const uint8_t *bytes, size_t n, char *out)
{
  for (size_t i = 0; i < n; i++)
    sprintf(out + 2 * i, "%02x", bytes[i]);
  out[2 * n] = 0;
}

static void test_probes(void **state)
{
  static const uint8_t entropy[8] = {0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0xfa, 0xf9, 0xf8};
  my_endpoint my, peer;
  (void)state;
  my_endpoint_parse(&my, "192.0.2.7", 40000);
  my_endpoint_parse(&peer, "192.0.2.1", 53);
  for (size_t i = 0; i < sizeof probe_rows / sizeof *probe_rows; i++) {
    char text[300], got[2 * MY_PROBE_MAX + 1], want[200] = "";
    uint8_t probe[MY_PROBE_MAX];
    my_sigdb *db;
    snprintf(text, sizeof text, "service s\nsig a\n send %s\n @0 = 01\n", probe_rows[i].send);
    const my_sig *sig = load(&db, text);
    int n =
        my_sig_compose(sig, &my, &peer, (my_span){entropy, sizeof entropy}, probe, sizeof probe);
    assert_true(n > 0);
    hex_of(probe, (size_t)n, got);
    for (const char *c = probe_rows[i].hex; *c != 0; c++)
      if (*c != ' ') strncat(want, c, 1);
    if (strcmp(got, want) != 0) fail_msg("%s: got %s, expected %s", probe_rows[i].why, got, want);
    my_sigdb_free(db);
  }
}

static void test_compose_limits(void **state)
{
  my_sigdb *db;
  uint8_t probe[16], entropy[2] = {1, 2};
  my_endpoint six;
  (void)state;
  const my_sig *sig = load(&db, "service s\nsig a\n send id?2 my.ip\n @0:2 = $id\n");
  my_endpoint_parse(&six, "::1", 1);
  assert_int_equal(my_sig_compose(sig, &six, &six, (my_span){entropy, 1}, probe, 16), MY_ESHORT);
  assert_int_equal(my_sig_compose(sig, &six, &six, (my_span){entropy, 2}, probe, 5), MY_EFULL);
  assert_int_equal(my_sig_compose(sig, &six, &six, (my_span){entropy, 2}, probe, 16), MY_ERANGE);
  assert_int_equal(my_sig_compose(sig, NULL, &six, (my_span){entropy, 2}, probe, 16), MY_ERANGE);
  my_sigdb_free(db);
  sig = load(&db, "service s\nsig a\n send my.port 01\n @0:2 = 0102\n"); /* nothing to draw */
  assert_int_equal(my_sig_compose(sig, &six, &six, (my_span){NULL, 0}, probe, 16), 3);
  assert_int_equal(my_sig_compose(sig, NULL, &six, (my_span){NULL, 0}, probe, 16), MY_ERANGE);
  my_sigdb_free(db);
  sig = load(&db, "service s\nsig a\n over tcp\n banner\n @0:2 = 0102\n");
  assert_int_equal(my_sig_compose(sig, NULL, NULL, (my_span){NULL, 0}, NULL, 0), 0);
  my_sigdb_free(db);
}

static void test_break(void **state)
{
  my_sigdb *db;
  uint8_t probe[] = {0x12, 0x34, 0x01};
  (void)state;
  const my_sig *sig =
      load(&db, "service s\nsig a\n send id?2 01\n @0:2 = $id\n control q@2 ^ 80\n");
  assert_int_equal(my_sig_break(sig, probe, 3), MY_OK);
  assert_int_equal(probe[2], 0x81);
  assert_int_equal(my_sig_break(sig, probe, 2), MY_ESHORT);
  my_sigdb_free(db);
  sig = load(&db, "service s\nsig a\n send id?2 01\n @0:2 = $id\n");
  assert_int_equal(my_sig_break(sig, probe, 3), MY_ENOENT);
  my_sigdb_free(db);
  uint8_t summed[] = {0x12, 0x34, 0x01, 0xb9};
  sig = load(&db, "service s\nsig a\n send id?2 01 sum8(q@0:3)\n @0:2 = $id\n control q@2 ^ 80\n");
  assert_int_equal(my_sig_break(sig, summed, 4), MY_OK); /* its checksum is right again */
  assert_int_equal((summed[0] + summed[1] + summed[2] + summed[3]) & 0xff, 0);
  assert_int_equal(summed[2], 0x81);
  my_sigdb_free(db);
}

static void test_ports(void **state)
{
  my_sigdb *db;
  (void)state;
  const my_sig *sig =
      load(&db, "service s\nports udp 53,1024-2000 tcp 80\nsig a\n send 00\n @0 = 01\n");
  assert_int_equal(my_sig_port_rank(sig, 53), 2);
  assert_int_equal(my_sig_port_rank(sig, 1500), 1);
  assert_int_equal(my_sig_port_rank(sig, 80), 0); /* tcp's */
  assert_int_equal(my_sig_port_rank(sig, 2001), 0);
  my_sigdb_free(db);
}

/* A file that fails leaves those before it untouched, and its names free. */
static void test_add_is_whole(void **state)
{
  static const char good[] = "service s\nsig b\n send 00\n @0 = 01\n";
  static const char bad[] = "service s\nsig c\n send 00\n @0 = 01\nsig d\n send\n";
  my_sigdb *db;
  my_where where;
  (void)state;
  load(&db, "service s\nsig a\n send 00\n @0 = 01\n");
  assert_int_equal(my_sigdb_add(db, "bad", (my_span){(const uint8_t *)bad, sizeof bad - 1}, &where),
                   MY_ESYNTAX);
  assert_int_equal(my_sigdb_count(db), 1);
  assert_null(my_sigdb_find(db, "c"));
  assert_int_equal(
      my_sigdb_add(db, "good", (my_span){(const uint8_t *)good, sizeof good - 1}, &where), MY_OK);
  assert_non_null(my_sigdb_find(db, "b"));
  my_sigdb_free(db);
}

/* ---- the checker ---- */

#define SAMPLES " match 01020304 > 01020304aa\n nomatch 01020304 > 00\n"

typedef struct check_row {
  const char *why, *text, *says; /* says NULL: passes */
} check_row;

static const check_row check_rows[] = {
    {"enough, and a copier is unmasked by the control",
     "service s\nsig a\n send n?8 01020304\n len = 20\n @0:8 = $n\n @8:8 = 5172839455667788\n "
     "@16:4 = a1b2c3d4\n"
     " match 1122334455667788 01020304 > 1122334455667788 5172839455667788 a1b2c3d4\n"
     " nomatch 1122334455667788 01020304 > 1122334455667789 5172839455667788 a1b2c3d4\n",
     NULL},
    {"no sample that matches", "service s\nsig a\n send n?4\n @0:4 = $n\n nomatch 01020304 > 00\n",
     "match REQUEST"},
    {"an echo and more as a sample",
     "service s\nsig a\n send n?4\n @0:4 = $n\n match 01020304 > 0102030405\n",
     "begins with the whole request"},
    {"an id alone is not an identity",
     "service s\nsig a\n send id?2 00\n @0:2 = $id\n match 010200 > 0102ff\n nomatch 010200 > 00\n",
     "too little evidence"},
    {"constants without freshness",
     "service s\nsig a\n send 00\n @0:4 = a1b2c3d4\n match 00 > a1b2c3d4\n nomatch 00 > 00\n",
     "too little evidence"},
    {"the same, said to have none to give",
     "service s\nsig a\n nofresh\n send 00\n @0:4 = a1b2c3d4\n match 00 > a1b2c3d4\n nomatch 00 > "
     "00\n",
     NULL},
    {"a header copier that nothing unmasks",
     "service s\nsig a\n send 01 id?8 x?16\n @0 = 81\n @1:8 = $id\n @9:16 = $x\n len = 25\n"
     " match 01 00*24 > 81 00*24\n nomatch 01 00*24 > 00\n",
     "15.0 identity bits"},
    {"a nonce that no line asks for: an old reply would do",
     "service s\nsig a\n over tcp\n send n?4\n @0:4 = a1b2c3d4\n match 01020304 > a1b2c3d4\n"
     " nomatch 01020304 > 00\n",
     "an old reply"},
    {"the same with a control that does",
     "service s\nsig a\n send 01 id?8 x?16\n @0 = 81\n @1:8 = $id\n @9:16 = $x\n len = 25\n "
     "control q@0 ^ 80\n"
     " match 01 00*24 > 81 00*24\n nomatch 01 00*24 > 00\n",
     NULL},
    {"no sample that does not",
     "service s\nsig a\n nofresh\n send 00\n @0:4 = a1b2c3d4\n match 00 > a1b2c3d4\n",
     "nomatch REQUEST"},
    {"evidence that lines promise but no sample shows: it is the same two bytes",
     "service s\nsig a\n nofresh\n send 00\n @0:2 = a1b2\n @-2:2 = a1b2\n match 00 > a1b2\n"
     " nomatch 00 > 00\n",
     "shows too little: 14.0 identity"},
    {"… in one of its samples",
     "service s\nsig a\n nofresh\n send 00\n @0:2 = a1b2\n @-2:2 = a1b2\n match 00 > a1b2a1b2\n "
     "match "
     "00 > a1b2\n nomatch 00 > 00\n",
     "shows too little: 14.0 identity"},
    {"… of the 24 that count without freshness",
     "service s\nsig a\n nofresh\n send 00\n @0:3 = a1b2c3\n @-1 = c3\n match 00 > a1b2c3\n "
     "nomatch 00 > "
     "00\n",
     "shows too little: 21.0 identity"},
    {"what one reply cannot show is taken for shown",
     "service s\nsig a\n nofresh\n send 00\n @0:2 = a1b2\n @2:4 ~ now.unix 1s\n vary @6\n"
     " match 00 > a1b2 00000000 01\n nomatch 00 > 00\n",
     NULL},
    {"a sample that should not match, and does",
     "service s\nsig a\n nofresh\n send 00\n @0:4 = a1b2c3d4\n match 00 > a1b2c3d4\n"
     " nomatch 00 > a1b2c3d400\n",
     "should not match"},
    {"a sample of another service matches",
     "service s\nsig a\n nofresh\n send 00\n @0:4 = a1b2c3d4\n match 00 > a1b2c3d4\n nomatch 00 > "
     "00\nservice t\nsig b\n nofresh\n send 01\n @0:5 = a1b2c3d4e5\n match 01 > a1b2c3d4e5\n"
     " nomatch 01 > 00\n",
     "matches a sample of signature b (test.sig:13)"},
    {"of the same service it may",
     "service s\nsig a\n nofresh\n send 00\n @0:4 = a1b2c3d4\n match 00 > a1b2c3d4\n nomatch 00 > "
     "00\nsig b\n nofresh\n send 01\n @0:5 = a1b2c3d4e5\n match 01 > a1b2c3d4e5\n"
     " nomatch 01 > 00\n",
     NULL},
    {"over another transport it may",
     "service s\nsig a\n nofresh\n send 00\n @0:4 = a1b2c3d4\n match 00 > a1b2c3d4\n nomatch 00 > "
     "00\nservice t\nsig b\n over tcp\n send 01\n @0:5 = a1b2c3d4e5\n match 01 > a1b2c3d4e5\n"
     " nomatch 01 > 00\n",
     NULL},
    {"a control that a copier of a short probe stays silent to by chance",
     "service s\nsig a\n send 01 id?6\n @0 = 81\n @1:6 = $id\n len = 7\n stable @0\n control q@0 ^ "
     "40\n match 01 11*6 > 81 11*6\n nomatch 01 11*6 > 00\n",
     "bit 80 of byte 0"},
    {"`then` where there is no step",
     "service s\nsig a\n nofresh\n send 00\n @0:4 = a1b2c3d4\n match 00 > a1b2c3d4 then 00 > 01\n"
     " nomatch 00 > 00\n",
     "behind which no step follows"},
    {"a step whose reply should match",
     "service s\nsig a\n nofresh\n send 00\n @0:4 = a1b2c3d4\n step 05\n @0 = 06\n"
     " match 00 > a1b2c3d4 then 05 > 07\n nomatch 00 > 00\n",
     "the step should match"},
    {"a step whose reply should not",
     "service s\nsig a\n nofresh\n send 00\n @0:4 = a1b2c3d4\n step 05\n @0 = 06\n"
     " match 00 > a1b2c3d4 then 05 > 06\n nomatch 00 > a1b2c3d4 then 05 > 06\n",
     "should not match"},
    {"a step adds what it shows",
     "service s\nsig a\n nofresh\n send 00\n @0:2 = a1b2\n step 05\n @0:2 = c3d4\n"
     " match 00 > a1b2 then 05 > c3d4\n nomatch 00 > a1b2 then 05 > c3d5\n",
     NULL},
    {"… but not where it may be missing",
     "service s\nsig a\n nofresh\n send 00\n @0:2 = a1b2\n soft step 05\n @0:2 = c3d4\n"
     " match 00 > a1b2 then 05 > c3d4\n nomatch 00 > a1b2 then 05 > c3d5\n",
     "too little evidence"},
    {"… nor what an echo would hold",
     "service s\nsig a\n nofresh\n send 00\n @0:2 = a1b2\n step 05c3d4\n @1:2 = c3d4\n"
     " match 00 > a1b2 then 05c3d4 > 06c3d4\n nomatch 00 > a1b2 then 05 > c3d5\n",
     "too little evidence"},
    {"the weakest case counts",
     "service s\nsig a\n nofresh\n send 00\n @0 = a1\n case @1:3 = b2c3d4\n case @1:2 = b1c2\n"
     " match 00 > a1b2c3d4\n nomatch 00 > a1b2c3d5\n",
     "21.0 identity"},
    {"none of the cases",
     "service s\nsig a\n nofresh\n send 00\n @0 = a1\n case @1:3 = b2c3d4\n case @1:3 = b1c2d3\n"
     " match 00 > a1b3c3d4\n nomatch 00 > a1b2c3d5\n",
     "case @1:3 = b2c3d4\" does not hold"},
    {"a sample that lies",
     "service s\nsig a\n send n?8\n @8:8 = 1122334455667788\n @0:8 = $n\n"
     " match 0102030405060708 > 01\n nomatch 00*8 > 01\n",
     "should match"},
};

static void test_check(void **state)
{
  my_scratch *scratch;
  (void)state;
  assert_int_equal(my_scratch_new(&scratch), MY_OK);
  for (size_t i = 0; i < sizeof check_rows / sizeof *check_rows; i++) {
    const check_row *row = &check_rows[i];
    my_sigdb *db;
    my_where problem;
    load(&db, row->text);
    int rc = my_sigdb_check(db, 0, scratch, &problem);
    if ((rc == MY_OK) != (row->says == NULL) ||
        (row->says != NULL && strstr(problem.text, row->says) == NULL))
      fail_msg("%s: got %d \"%s\"", row->why, rc, problem.text);
    my_sigdb_free(db);
  }
  my_scratch_free(scratch);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_refused),      cmocka_unit_test(test_read),
      cmocka_unit_test(test_big),          cmocka_unit_test(test_out_of_memory),
      cmocka_unit_test(test_nothing),      cmocka_unit_test(test_every_prefix),
      cmocka_unit_test(test_probes),       cmocka_unit_test(test_compose_limits),
      cmocka_unit_test(test_break),        cmocka_unit_test(test_ports),
      cmocka_unit_test(test_add_is_whole), cmocka_unit_test(test_check),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
