/* evidence_test.c - what lines are worth, alone and together, by the rules of signatures/README.md:
 * a careless or malicious author must not get a proof out of nothing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "bytes.h"
#include "mynah/match.h"

typedef struct bits_row {
  const char *why, *text; /* behind "sig s" */
  int times;              /* that the next line is repeated; %d in it count from 0 and from 1 */
  const char *repeated;
  double fresh, identity; /* the budget, in bits */
  bool enough;
  const char *request, *reply; /* hex; NULL: nothing is matched */
  double shown, shown_fresh;   /* what this reply shows, in bits */
} bits_row;

static const bits_row bits_rows[] = {
    /* one line at a time */
    {"a constant", " nofresh\n send 02\n @0:3 = a1b2c3\n", 0, NULL, 0, 21, false, "02", "a1b2c3",
     21, 0},
    {"zeros, ones, 01", " nofresh\n send 02\n @0:4 = 00a101ff\n", 0, NULL, 0, 18, false, "02",
     "00a101ff", 18, 0},
    {"a text", " nofresh\n send 02\n @0:6 = \"Ab 1-.\"\n", 0, NULL, 0, 15, false, "02",
     "416220312d2e", 15, 0},
    {"an echo of two bytes", " send id?2 02\n @0:2 = $id\n", 0, NULL, 16, 1.3, false, "111102",
     "1111aa", 1.3, 16},
    {"an echo of two, further on", " send 02 id?2\n @1:2 = $id\n", 0, NULL, 16, 2.2, false,
     "021111", "aa1111", 2.2, 16},
    {"an echo that moved", " send 02 id?2\n @0:2 = $id\n", 0, NULL, 16, 3.7, false, "021111",
     "1111aa", 3.7, 16},
    {"an echo, reversed", " send 02 id?2\n @0:2 = rev($id)\n", 0, NULL, 16, 5.7, false, "021112",
     "1211aa", 5.7, 16},
    {"an echo of 16", " send 01020304 x?16\n @4:16 = $x\n", 0, NULL, 128, 5, false,
     "01020304 11*16", "00*4 11*16", 5, 128},
    {"an echo of 100", " send 01 x?100\n @1:100 = $x\n", 0, NULL, 800, 6.5, false, "01 11*100",
     "00 11*100", 6.5, 800},
    {"a length", " nofresh\n send 02\n len = 3\n", 0, NULL, 0, 4, false, "02", "000000", 4, 0},
    {"four lengths", " nofresh\n send 02\n len = 3..6\n", 0, NULL, 0, 2, false, "02", "000000", 2,
     0},
    {"every length", " nofresh\n send 02\n len = 0..65535\n", 0, NULL, 0, 0, false, "02", "000000",
     0, 0},
    {"a length and more", " nofresh\n send 02\n len = q.len+2\n", 0, NULL, 0, 3, false, "02",
     "000000", 3, 0},
    {"the same length", " nofresh\n send 02\n len = q.len\n", 0, NULL, 0, 1.5, false, "02", "00",
     1.5, 0},
    {"a least length", " nofresh\n send 02\n len >= 3\n", 0, NULL, 0, 0.5, false, "02", "000000",
     0.5, 0},
    {"a length field", " nofresh\n send 02\n @0:2 = len-2\n", 0, NULL, 0, 8, false, "02", "0001aa",
     8, 0},
    {"a length field of a byte", " nofresh\n send 02\n @0 = len-2\n", 0, NULL, 0, 6, false, "02",
     "01aaaa", 6, 0},
    {"a length field that is no more than it says", " nofresh\n send 02\n @0:2 <= len-2\n", 0, NULL,
     0, 0.5, false, "02", "0001aa", 0.5, 0},
    {"a length that a field says", " nofresh\n send 02\n len = @0:2\n", 0, NULL, 0, 3, false, "02",
     "0003aa", 3, 0},
    {"bits", " nofresh\n send 02\n @0 = b1..0...1\n", 0, NULL, 0, 2.7, false, "02", "81", 2.7, 0},
    {"bits that our probe has at that place", " nofresh\n send 81\n @0 = b1..0...1\n", 0, NULL, 0,
     1.08, false, "81", "8100", 1.08, 0},
    {"a range", " nofresh\n send 02\n @0 = 80..8f\n", 0, NULL, 0, 3.6, false, "02", "81", 3.6, 0},
    {"less than 17", " nofresh\n send 23\n @0 < 11\n", 0, NULL, 0, 3.52, false, "23", "10", 3.52,
     0},
    {"a bound of 8 bytes", " nofresh\n send 02\n @0:8 < 11\n", 0, NULL, 0, 4, false, "02", "00*8",
     4, 0},
    {"bounds on each side", " nofresh\n send 02\n @0 > f0\n @1 >= f0\n @2 <= 0f\n", 0, NULL, 0, 8,
     false, "02", "f1f00f", 8, 0},
    {"a bound that is a text", " nofresh\n send 02\n @0:2 <= \"zz\"\n", 0, NULL, 0, 0.96, false,
     "02", "0000", 0.96, 0},
    {"no bound at all", " nofresh\n send 02\n @0 >= 00\n", 0, NULL, 0, 0, false, "02", "10", 0, 0},
    {"our address", " nofresh\n send 02\n @0:4 = my.ip\n", 0, NULL, 0, 32, true, "02", "c0000207",
     32, 0},
    {"our address behind NAT", " nofresh\n send 02\n @0:4 = my.ip\n", 0, NULL, 0, 32, true, "02",
     "51000001", 16, 0},
    {"our address: a guess", " nofresh\n send 02\n @0:4 = my.ip\n", 0, NULL, 0, 32, true, "02",
     "0a000001", 0, 0},
    {"the peer's address", " nofresh\n send 02\n @0:4 = peer.ip\n", 0, NULL, 0, 12, false, "02",
     "c0000201", 12, 0},
    {"our port", " nofresh\n send 02\n @0:2 = my.port\n", 0, NULL, 0, 16, false, "02", "9c40", 16,
     0},
    {"the peer's port", " nofresh\n send 02\n @0:2 = peer.port\n", 0, NULL, 0, 4, false, "02",
     "1388", 4, 0},
    {"from the port that was asked", " nofresh\n send 02\n sport = peer.port\n", 0, NULL, 0, 0,
     false, "02", "00", 0, 0},
    {"from another", " nofresh\n send 02\n sport != peer.port\n", 0, NULL, 0, 0.1, false, NULL,
     NULL, 0, 0},
    {"from our port's number", " nofresh\n send 02\n sport = my.port\n", 0, NULL, 0, 4, false, NULL,
     NULL, 0, 0},
    {"the time within a second", " nofresh\n send 02\n @0:4 ~ now.unix 1s\n", 0, NULL, 0, 31, true,
     "02", "6553f105", 31, 0},
    {"the time within a century", " nofresh\n send 02\n @0:4 ~ now.unix 36500d\n", 0, NULL, 0, 0,
     false, "02", "6553f105", 0, 0},
    {"digits", " nofresh\n send 02\n @0:4 ~ digits\n", 0, NULL, 0, 2, false, "02", "30313233", 2,
     0},
    {"two places alike", " nofresh\n send 02\n @0:2 = @2:2\n", 0, NULL, 0, 6, false, "02",
     "a1a2a1a2", 6, 0},
    {"two places in order", " nofresh\n send 02\n @0:2 <= @2:2\n", 0, NULL, 0, 0.5, false, "02",
     "a1a2a1a3", 0.5, 0},
    /* masks and choices */
    {"under a mask", " nofresh\n send 02\n @0:2 & f000 = a000\n", 0, NULL, 0, 3.6, false, "02",
     "abcd", 3.6, 0},
    {"an echo under a mask", " send 02 id?2\n @1:2 & 0001 = $id\n", 0, NULL, 1, 0.9, false,
     "021235", "001235", 0.9, 1},
    {"a number under a mask", " nofresh\n send 02\n @0 & 01 = dec 1\n", 0, NULL, 0, 0.9, false,
     "02", "a1", 0.9, 0},
    {"not this", " nofresh\n send 02\n @0 != a1\n", 0, NULL, 0, 0.1, false, "02", "a2", 0.1, 0},
    {"a choice of two", " nofresh\n send 02\n @0:2 = a1b2 or c3d4\n", 0, NULL, 0, 13, false, "02",
     "a1b2", 13, 0},
    {"a choice with a weak one", " nofresh\n send 02\n @0:2 = a1b2 or 0000\n", 0, NULL, 0, 1.25,
     false, "02", "a1b2", 1.25, 0},
    /* what is searched for */
    {"has, near", " nofresh\n send 02\n @ has \"magic word\"\n", 0, NULL, 0, 28.5, true, "02",
     "6d6167696320776f7264", 28.5, 0},
    {"has, far", " nofresh\n send 02\n @ has \"magic word\"\n", 0, NULL, 0, 28.5, true, "02",
     "00*1014 6d6167696320776f7264", 22.5, 0},
    {"has of one letter", " nofresh\n send 02\n @ has \"e\"\n", 0, NULL, 0, 0, false, "02", "65", 0,
     0},
    {"has of nothing", " nofresh\n send 02\n @ has \"\"\n", 0, NULL, 0, 0, false, "02", "65", 0, 0},
    {"starts", " nofresh\n send 02\n @ starts \"Magic\"\n", 0, NULL, 0, 18, false, "02",
     "4d61676963 aa", 18, 0},
    {"a nonce somewhere", " send id?8\n @ has $id\n", 0, NULL, 60, 0.9, false, "11*8", "00 11*8",
     0.9, 60},
    {"a nonce far off", " send id?8\n @ has $id\n", 0, NULL, 60, 0.9, false, "11*8", "00*248 11*8",
     0, 56},
    {"starts and has the same text", " nofresh\n send 02\n @ starts \"magic\"\n @ has \"magic\"\n",
     0, NULL, 0, 17.5, false, "02", "6d61676963", 17.5, 0},
    {"two searches", " nofresh\n send 02\n @ has \"magic\"\n @ has \"words\"\n", 0, NULL, 0, 13.5,
     false, "02", "6d61676963776f726473", 13.5, 0},
    /* patterns: the least that every match contains */
    {"a pattern from the start", " over tcp\n banner\n @ ~ m/^SSH-2\\.0-/\n", 0, NULL, 32, 21.5,
     true, "", "5353482d322e302d", 21.5, 32},
    {"a pattern somewhere", " over tcp\n banner\n @ ~ m/SSH-2\\.0-/\n", 0, NULL, 32, 17.5, true, "",
     "00*16 5353482d322e302d", 16.92, 32},
    {"a pattern somewhere near", " over tcp\n banner\n @ ~ m/SSH-2\\.0-/\n", 0, NULL, 32, 17.5,
     true, "", "5353482d322e302d", 17.5, 32},
    {"text behind what varies", " over tcp\n banner\n @ ~ m/^220[- ][^\\r\\n]*\\bE?SMTP\\b/\n", 0,
     NULL, 32, 18, true, "", "323230206d61696c20534d5450", 18, 32},
    {"… far behind", " over tcp\n banner\n @ ~ m/^220[- ][^\\r\\n]*\\bE?SMTP\\b/\n", 0, NULL, 32,
     18, true, "", "32323020 61*60 20534d5450", 15.89, 32},
    {"a pattern of nothing", " over tcp\n banner\n @ ~ m/.*/\n", 0, NULL, 32, 0, false, "", "61", 0,
     32},
    {"an empty pattern", " over tcp\n banner\n @ ~ m//\n", 0, NULL, 32, 0, false, "", "61", 0, 32},
    {"the weakest alternative counts", " over tcp\n banner\n @ ~ m/abcdefgh|x/\n", 0, NULL, 32, 0,
     false, NULL, NULL, 0, 0},
    {"an empty alternative", " over tcp\n banner\n @ ~ m/|abcdefgh/\n", 0, NULL, 32, 0, false, NULL,
     NULL, 0, 0},
    {"alternatives of the whole", " over tcp\n banner\n @ ~ m/^abcdefgh|^ijklmnop/\n", 0, NULL, 32,
     23, true, NULL, NULL, 0, 0},
    {"alternatives within", " over tcp\n banner\n @ ~ m/^ab(?:cdefgh|ijklmn)/\n", 0, NULL, 32, 23,
     true, NULL, NULL, 0, 0},
    {"a group that may be missing", " over tcp\n banner\n @ ~ m/^ab(?:cdefgh)?/\n", 0, NULL, 32, 7,
     false, NULL, NULL, 0, 0},
    {"a group once at least", " over tcp\n banner\n @ ~ m/^ab(?:cdefgh)+/\n", 0, NULL, 32, 24, true,
     NULL, NULL, 0, 0},
    {"a group so many times", " over tcp\n banner\n @ ~ m/^ab(?:cdefgh){2,3}/\n", 0, NULL, 32, 24,
     true, NULL, NULL, 0, 0},
    {"a group none or more", " over tcp\n banner\n @ ~ m/^ab(?:cdefgh){0,3}/\n", 0, NULL, 32, 7,
     false, NULL, NULL, 0, 0},
    {"a named group", " over tcp\n banner\n @ ~ m/^ab(?<n>cdefgh)/\n", 0, NULL, 32, 24, true, NULL,
     NULL, 0, 0},
    {"a letter that may be missing", " over tcp\n banner\n @ ~ m/^abcd?/\n", 0, NULL, 32, 10.5,
     false, NULL, NULL, 0, 0},
    {"a letter none or more", " over tcp\n banner\n @ ~ m/^abcd*/\n", 0, NULL, 32, 10.5, false,
     NULL, NULL, 0, 0},
    {"a letter once or more", " over tcp\n banner\n @ ~ m/^abcd+e/\n", 0, NULL, 32, 14, false, NULL,
     NULL, 0, 0},
    {"lazy and possessive", " over tcp\n banner\n @ ~ m/^abcd+?e++f/\n", 0, NULL, 32, 14, false,
     NULL, NULL, 0, 0},
    {"a brace for itself", " over tcp\n banner\n @ ~ m/^ab{x}/\n", 0, NULL, 32, 0, false, NULL,
     NULL, 0, 0},
    {"a set that begins with its end", " over tcp\n banner\n @ ~ m/^[]abcdefgh]/\n", 0, NULL, 32, 0,
     false, NULL, NULL, 0, 0},
    {"a set without its end first", " over tcp\n banner\n @ ~ m/^[^]abcdefgh]/\n", 0, NULL, 32, 0,
     false, NULL, NULL, 0, 0},
    {"a class in a set", " over tcp\n banner\n @ ~ m/^[[:alpha:]abcdefgh]z/\n", 0, NULL, 32, 0,
     false, NULL, NULL, 0, 0},
    {"an escape in a set", " over tcp\n banner\n @ ~ m/^[\\]abcdefgh]z/\n", 0, NULL, 32, 0, false,
     NULL, NULL, 0, 0},
    {"an escaped letter", " over tcp\n banner\n @ ~ m/^\\x41bc\\r\\n/\n", 0, NULL, 32, 13, false,
     NULL, NULL, 0, 0},
    {"a class", " over tcp\n banner\n @ ~ m/^\\d\\w.z/\n", 0, NULL, 32, 0, false, NULL, NULL, 0, 0},
    {"an escaped point", " over tcp\n banner\n @ ~ m/^1\\.0/\n", 0, NULL, 32, 7.5, false, NULL,
     NULL, 0, 0},
    {"case ignored", " over tcp\n banner\n @ ~ m/(?i)^abcd/\n", 0, NULL, 32, 10, false, NULL, NULL,
     0, 0},
    {"options inside: not judged", " over tcp\n banner\n @ ~ m/^ab(?i)cdefgh/\n", 0, NULL, 32, 0,
     false, NULL, NULL, 0, 0},
    {"extended: its comment is none of it", " over tcp\n banner\n @ ~ m/(?x)abcdefgh # abcdefgh/\n",
     0, NULL, 32, 0, false, NULL, NULL, 0, 0},
    {"a comment", " over tcp\n banner\n @ ~ m/^a(?#bcdefgh)/\n", 0, NULL, 32, 0, false, NULL, NULL,
     0, 0},
    {"a quotation", " over tcp\n banner\n @ ~ m/^\\Qabcdefgh\\E/\n", 0, NULL, 32, 0, false, NULL,
     NULL, 0, 0},
    {"a verb ends it at once", " over tcp\n banner\n @ ~ m/(*ACCEPT)abcdefgh/\n", 0, NULL, 32, 0,
     false, NULL, NULL, 0, 0},
    {"looks ahead", " over tcp\n banner\n @ ~ m/^(?=abcdefgh)/\n", 0, NULL, 32, 0, false, NULL,
     NULL, 0, 0},
    {"looks behind", " over tcp\n banner\n @ ~ m/(?<=abcdefgh)/\n", 0, NULL, 32, 0, false, NULL,
     NULL, 0, 0},
    {"a property", " over tcp\n banner\n @ ~ m/^\\p{Lu}abcdefgh/\n", 0, NULL, 32, 0, false, NULL,
     NULL, 0, 0},
    {"a back reference", " over tcp\n banner\n @ ~ m/^(abcd)\\1efgh/\n", 0, NULL, 32, 0, false,
     NULL, NULL, 0, 0},
    {"a control letter", " over tcp\n banner\n @ ~ m/^\\cAbcdefgh/\n", 0, NULL, 32, 0, false, NULL,
     NULL, 0, 0},
    {"places between", " over tcp\n banner\n @ ~ m/^\\babcd\\Z$/\n", 0, NULL, 32, 14, false, NULL,
     NULL, 0, 0},
    {"two words in order", " over tcp\n banner\n @ ~ m/magic[^\\n]*words/\n", 0, NULL, 32, 27, true,
     "", "6d61676963 00*27 776f726473", 24.58, 32},
    /* silly signatures: nothing adds up to a proof */
    {"60 lines that exclude nothing", " nofresh\n send 02\n", 60, " len >= 0\n", 0, 0, false, "02",
     "00", 0, 0},
    {"60 lines that hardly exclude", " nofresh\n send 02\n", 60, " len >= 1\n", 0, 0.2, false, "02",
     "00", 0.2, 0},
    {"60 lines of lengths", " nofresh\n send 02\n", 60, " len = 3\n", 0, 4, false, "02", "000000",
     4, 0},
    {"a line twice", " nofresh\n send 02\n @0:3 = a1b2c3\n @0:3 = a1b2c3\n", 0, NULL, 0, 21, false,
     "02", "a1b2c3", 21, 0},
    {"60 times the same", " nofresh\n send 02\n", 60, " @0 = a1\n", 0, 7, false, "02", "a1", 7, 0},
    {"constants that overlap", " nofresh\n send 02\n @0:2 = a1b2\n @1:2 = b2c3\n", 0, NULL, 0, 21,
     false, "02", "a1b2c3", 21, 0},
    {"one within the other", " nofresh\n send 02\n @0:4 = a1b2c3d4\n @1:2 = b2c3\n", 0, NULL, 0, 28,
     true, "02", "a1b2c3d4", 28, 0},
    {"weak first, strong behind", " nofresh\n send 02\n @0:4 != 00000000\n @0:2 = a1b2\n", 0, NULL,
     0, 14.05, false, "02", "a1b2c3d4", 14.05, 0},
    {"from both ends the same", " nofresh\n send 02\n @0:2 = a1b2\n @-2:2 = a1b2\n", 0, NULL, 0, 28,
     true, "02", "a1b2", 14, 0},
    {"has \"\" 60 times", " nofresh\n send 02\n", 60, " @ has \"\"\n", 0, 0, false, "02", "61", 0,
     0},
    {"has each letter",
     " nofresh\n send 02\n @ has \"a\"\n @ has \"b\"\n @ has \"c\"\n @ has \"d\"\n @ has \"e\"\n @ "
     "has \"f\"\n @ has \"g\"\n @ has \"h\"\n @ has \"i\"\n @ has \"j\"\n @ has \"k\"\n @ has "
     "\"l\"\n @ has \"m\"\n @ has \"n\"\n @ has \"o\"\n @ has \"p\"\n @ has \"q\"\n @ has \"r\"\n "
     "@ has \"s\"\n @ has \"t\"\n @ has \"u\"\n @ has \"v\"\n @ has \"w\"\n @ has \"x\"\n @ has "
     "\"y\"\n @ has \"z\"\n",
     0, NULL, 0, 0, false, "02", "6162636465666768696a6b6c6d6e6f707172737475767778797a", 0, 0},
    {"words that any text has",
     " nofresh\n send 02\n @ has \"the\"\n @ has \"and\"\n @ has \"with\"\n @ has \"that\"\n @ has "
     "\"this\"\n @ has \"from\"\n",
     0, NULL, 0, 10, false, "02", "746865 616e64 77697468 74686174 74686973 66726f6d", 10, 0},
    {"patterns that match anything", " nofresh\n send 02\n", 60, " @ ~ m/.*/\n", 0, 0, false, "02",
     "61", 0, 0},
    {"60 zeros in a reply of zeros", " nofresh\n send 02\n", 60, " @%d = 00\n", 0, 8, false, "02",
     "00*60", 8, 0},
    {"60 zeros at once",
     " nofresh\n send 02\n @0:60 = "
     "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
     "000000000000000000000000000\n",
     0, NULL, 0, 8, false, "02", "00*60", 8, 0},
    {"60 bytes of ff", " nofresh\n send 02\n", 60, " @%d = ff\n", 0, 8, false, "02", "ff*60", 8, 0},
    {"60 small bytes", " nofresh\n send 02\n", 60, " @%d < 80\n", 0, 8, false, "02", "00*60", 8, 0},
    {"60 letters", " nofresh\n send 02\n", 60, " @%d = 61..7a\n", 0, 8, false, "02", "61*60", 8, 0},
    {"60 that are not", " nofresh\n send 02\n", 60, " @%d != a1\n", 0, 6, false, "02", "00*60", 6,
     0},
    {"60 pairs alike", " nofresh\n send 02\n", 60, " @%d = @%d\n", 0, 8, false, "02", "a1*61", 8,
     0},
    {"a place like itself", " nofresh\n send 02\n", 60, " @%1$d = @%1$d\n", 0, 8, false, "02",
     "a1*60", 8, 0},
    {"60 digits", " nofresh\n send 02\n", 60, " @%d:1 ~ digits\n", 0, 8, false, "02", "30*60", 8,
     0},
    {"zeros and a one at the end",
     " nofresh\n send 02\n @0:30 = 000000000000000000000000000000000000000000000000000000000001\n",
     0, NULL, 0, 14, false, "02", "00*29 01", 14, 0},
    {"our address twice", " nofresh\n send 02\n @0:4 = my.ip\n @4:4 = my.ip\n", 0, NULL, 0, 32,
     true, "02", "c0000207c0000207", 32, 0},
    {"the peer's address twice", " nofresh\n send 02\n @0:4 = peer.ip\n @4:4 = peer.ip\n", 0, NULL,
     0, 12, false, "02", "c0000201c0000201", 12, 0},
    {"our port and the peer's, twice each",
     " nofresh\n send 02\n @0:2 = my.port\n @2:2 = my.port\n @4:2 = peer.port\n @6:2 = peer.port\n",
     0, NULL, 0, 20, false, "02", "9c409c4013881388", 20, 0},
    {"our address, and as a constant", " nofresh\n send 02\n @0:4 = my.ip\n @0:4 = c0000207\n", 0,
     NULL, 0, 32, true, "02", "c0000207", 32, 0},
    {"the time twice", " nofresh\n send 02\n @0:4 ~ now.unix 1s\n @4:4 ~ now.unix 1h\n", 0, NULL, 0,
     31, true, "02", "6553f1056553f105", 31, 0},
    {"our own address comes back", " nofresh\n send 00*4 my.ip\n @4:4 = my.ip\n", 0, NULL, 0, 8,
     false, "00*4 c0000207", "00*4 c0000207", 8, 0},
    {"60 bytes of our probe, one by one", " nofresh\n send 01 x?60\n", 60, " @%1$d = q@%1$d\n", 472,
     8, false, "01 11*60", "01 11*59 00", 8, 472},
    {"60 bytes of our probe, moved by one", " nofresh\n send 01 x?60\n", 60, " @%2$d = q@%1$d\n",
     472, 8, false, "01 11*60", "00 01 11*59", 8, 472},
    {"constants of our probe",
     " nofresh\n send a1b2c3d4e5f607 x?1\n @0 = a1\n @1 = b2\n @2 = c3\n @3:4 = d4e5f607\n", 0,
     NULL, 0, 7.7, false, "a1b2c3d4e5f607ff", "a1b2c3d4e5f60700", 7.7, 0},
    {"our probe's own text", " nofresh\n send \"HELLO server\"\n @ ~ m/^HELLO server/\n", 0, NULL,
     0, 8, false, "48454c4c4f20736572766572", "48454c4c4f20736572766572 00", 8, 0},
    {"all soft", " nofresh\n send 02\n soft @0:2 = a1b2\n soft @2:2 = c3d4\n", 0, NULL, 0, 0, false,
     "02", "a1b2c3d4", 26, 0},
    {"a lottery of soft lines", " nofresh\n send 02\n", 60, " soft @%d = 80..8f\n", 0, 0, false,
     "02", "81*60", 0, 0},
    {"any of one", " nofresh\n send 02\n any @0:2 = a1b2\n", 0, NULL, 0, 14, false, "02", "a1b2",
     14, 0},
    {"any of two", " nofresh\n send 02\n any @0:2 = a1b2\n any @0:2 = c3d4\n", 0, NULL, 0, 13,
     false, "02", "c3d4", 13, 0},
    {"any with a weak one", " nofresh\n send 02\n any @0:2 = a1b2\n any @0 != 00\n", 0, NULL, 0, 0,
     false, "02", "a1b2", 8, 0},
    {"any with an easy one is easy", " nofresh\n send 02\n any @0:4 = a1b2c3d4\n any len = 4\n", 0,
     NULL, 0, 3, false, "02", "a1b2c3d4", 8, 0},
    {"60 of any", " nofresh\n send 02\n", 60, " any @%d = a1\n", 0, 1.09, false, "02", "a1*60",
     1.09, 0},
    {"two groups of any",
     " nofresh\n send 02\n any @0:2 = a1b2\n any @0:2 = c3d4\n len >= 1\n any @2 = a1\n any @2 = "
     "b2\n",
     0, NULL, 0, 19.2, false, "02", "a1b2b2", 19.2, 0},
    /* fresh bits */
    {"a nonce twice", " send id?2 01\n @0:2 = $id\n @2:2 = $id\n", 0, NULL, 16, 5, false, "111101",
     "11111111", 5, 16},
    {"a nonce under no bits", " send id?2 01\n @0:2 & 0000 = $id\n", 0, NULL, 0, 0, false, "111101",
     "1111", 0, 0},
    {"a nonce under half its bits", " send id?2 01\n @0:2 & ff00 = $id\n", 0, NULL, 8, 1.3, false,
     "111101", "1111", 1.3, 8},
    {"a nonce drowned in ones", " send id?2 01\n @0:2 = bitor($id,ffff)\n", 0, NULL, 0, 3.3, false,
     "111101", "ffff", 3.3, 0},
    {"… reversed first", " send id?4 01\n @0:4 = bitor(rev(bitor($id,ffff)),ffff)\n", 0, NULL, 0,
     3.7, false, "1111111101", "ffffffff", 3.7, 0},
    {"a nonce in any case", " send id?4 01\n @0:4 = fold($id)\n", 0, NULL, 28, 3.7, false,
     "4142434401", "61626364", 3.7, 28},
    {"at most a nonce", " send id?2 01\n @0:2 <= $id\n", 0, NULL, 0, 0.5, false, "111101", "0000",
     0.5, 0},
    {"not a nonce", " send id?2 01\n @0:2 != $id\n", 0, NULL, 0, 0.1, false, "111101", "0000", 0.1,
     0},
    {"a nonce or nothing", " send id?2 01\n @0:2 = $id or 0000\n", 0, NULL, 0, 0.3, false, "111101",
     "0000", 0.3, 0},
    {"a nonce, any or nothing", " send id?2 01\n any @0:2 = $id\n any @0:2 = 0000\n", 0, NULL, 0,
     0.3, false, "111101", "1111", 0.3, 16},
    {"a nonce in each of any", " send id?2 01\n any @0:2 = $id\n any @2:2 = $id\n", 0, NULL, 16,
     0.3, false, "111101", "1111", 0.3, 16},
    {"a nonce that is soft first", " send id?2 01\n soft @2:2 = $id\n @0:2 = $id\n", 0, NULL, 16,
     1.3, false, "111101", "1111 0000", 1.3, 16},
    {"letters, digits, positive",
     " send a?3:alpha n?3:alnum d?3:digit p?3:pos 02\n @0:12 = q@0:12\n", 0, NULL, 62.5, 3.3, false,
     NULL, NULL, 0, 0},
    {"a nibble", " send ?a 02\n @0 = q@0\n", 0, NULL, 4, 1.1, false, NULL, NULL, 0, 0},
    {"a control adds 4", " nofresh\n send 02\n @0:2 = a1b2\n control q@0 ^ 80\n", 0, NULL, 0, 18,
     false, "02", "a1b2", 14, 0},
    {"vary adds 2, stable 1", " nofresh\n send 02\n vary @0\n stable @1\n vary @2\n stable @3\n", 0,
     NULL, 0, 3, false, "02", "a1b2c3d4", 0, 0},
};

static my_sigdb *load(const bits_row *row)
{
  char text[9000];
  my_sigdb *db;
  my_where where;
  int n = snprintf(text, sizeof text, "service s\nsig s\n%s", row->text);
  for (int i = 0; i < row->times; i++)
    n += snprintf(text + n, sizeof text - (size_t)n, row->repeated, i, i + 1);
  assert_int_equal(my_sigdb_new(&db), MY_OK);
  int rc = my_sigdb_add(db, "t", (my_span){(const uint8_t *)text, (size_t)n}, &where);
  if (rc != MY_OK) fail_msg("%s: %u:%u %s", row->why, where.line, where.column, where.text);
  return db;
}

static bool near_to(double a, double b)
{
  return fabs(a - b) < 0.006;
}

static size_t check_match(const bits_row *row, const my_sig *sig, my_scratch *scratch)
{
  static uint8_t request[BYTES_MAX], reply[BYTES_MAX];
  my_match m;
  double sum = 0;
  if (row->reply == NULL) return 0;
  my_pair pair = make_pair((my_span){request, unhex(row->request, request)},
                           (my_span){reply, unhex(row->reply, reply)});
  my_sig_match(sig, &pair, scratch, &m);
  for (size_t i = 0; i < m.line_count; i++)
    sum += m.line_bits[i];
  if (m.first_failed < 0 && near_to(m.identity_bits, row->shown) &&
      near_to(m.fresh_bits, row->shown_fresh) && near_to(sum, m.identity_bits))
    return 0;
  print_error(
      "%s: shows %.2f fresh and %.2f identity bits (lines: %.2f, failed %d), expected %.2f and "
      "%.2f\n",
      row->why, m.fresh_bits, m.identity_bits, sum, m.first_failed, row->shown_fresh, row->shown);
  return 1;
}

static void test_bits(void **state)
{
  my_scratch *scratch;
  size_t wrong = 0;
  (void)state;
  assert_int_equal(my_scratch_new(&scratch), MY_OK);
  for (size_t i = 0; i < sizeof bits_rows / sizeof *bits_rows; i++) {
    const bits_row *row = &bits_rows[i];
    my_sig_info info;
    my_sigdb *db = load(row);
    const my_sig *sig = my_sigdb_at(db, 0);
    my_sig_get_info(sig, &info);
    const my_budget *b = &info.budget;
    if (!near_to(b->fresh_bits, row->fresh) || !near_to(b->identity_bits, row->identity) ||
        b->enough != row->enough) {
      print_error("%s: %.2f fresh and %.2f identity bits%s, expected %.2f and %.2f%s\n", row->why,
                  b->fresh_bits, b->identity_bits, b->enough ? ", enough" : "", row->fresh,
                  row->identity, row->enough ? ", enough" : "");
      wrong++;
    }
    wrong += check_match(row, sig, scratch);
    my_sigdb_free(db);
  }
  my_scratch_free(scratch);
  assert_int_equal(wrong, 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_bits)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
