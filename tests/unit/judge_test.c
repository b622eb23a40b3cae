/* judge_test.c - whole conversations under a signature: what is still asked, what is certain, and
 * what is given then. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "bytes.h"
#include "guard.h"
#include "loaded.h"
#include "mynah/match.h"

/* ---- conversations: the Skype signature against everything that comes close ---- */

#define SKYPE                                                                                      \
  "service skype\nsig skype\n send id?2 02 a16665ea0d x?14\n len = 11\n @0:2 = $id\n"              \
  " @2 = b0...01.1\n @3:4 = my.ip\n vary @7:4\n"

/* What a row does not say is not looked at. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

enum { ASKED_MAX = 9 };

typedef struct talk_row {
  const char *why, *text; /* the signature */
  const char *my, *public_;
  const char *asked; /* "request > reply; request > reply", in hex */
  my_control control;
  my_state state;
  my_want want;
  double identity; /* bits */
  double confidence;
  const char *failed; /* the line */
} talk_row;

#define HEAD "service s\nsig s\n"
#define TCP  " over tcp\n banner\n"
#define A50  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define HEX50                                                                                      \
  "4141414141414141414141414141414141414141414141414141414141414141414141414141414141414141414141" \
  "414141"
/* 16 fresh bits and 22.3 of identity: short of 40 */
#define SHORT HEAD " send id?2 01\n @0:2 = $id\n @2:3 = a1b2c3\n"

#define STEPPED HEAD " send id?2 01\n @0:2 = $id\n @2:3 = a1b2c3\n step 02 r@2:1\n @0:3 = d4e5f6\n"
#define EXTRA   HEAD " send id?2 01\n @0:2 = $id\n @2:4 = a1b2c3d4\n soft step 02 r@2:1\n @0 = d4\n"
#define CASES                                                                                      \
  HEAD " send id?2 01\n @0:2 = $id\n @2 = a1\n @4 = c3\n case @3 = b2\n @5 = d4\n case @3 = b3\n"  \
       " step 02\n @0:3 = d4e5f6\n"

#define A    "1111 02 a16665ea0d 0102030405060708090a0b0c0d0e"
#define B    "2222 02 a16665ea0d 1102030405060708090a0b0c0d0e"
#define C    "3333 02 a16665ea0d 2102030405060708090a0b0c0d0e"
#define REST " 02 a16665ea0d 0102030405060708090a0b0c0d0e"
#define OURS "c0000207"

#define CONTROLLED                                                                                 \
  HEAD " send id?8 0102030405060708\n len = 20\n @0:8 = $id\n @8:8 = 55667788990a0b0c\n control "  \
       "q@8 ^ 80\n"
#define CONTROLLED_Q "1111111111111111 0102030405060708"
#define CONTROLLED_R "1111111111111111 55667788990a0b0c ffffffff"

static const talk_row talk_rows[] = {
    {"one refusal is not enough", SKYPE, "192.0.2.7", NULL, A ">1111 17" OURS "74a041f0", 0,
     MY_MORE, MY_WANT_FRESH},
    {"then the same datagram again", SKYPE, "192.0.2.7", NULL,
     A ">1111 17" OURS "74a041f0;" B ">2222 65" OURS "1100104f", 0, MY_MORE, MY_WANT_SAME,
     .identity = 40.9},
    {"a request of one byte, and a reply that begins with it",
     HEAD " nofresh\n send 02\n @1:4 = a1b2c3d4\n", "192.0.2.7", NULL, "02>02a1b2c3d4", 0, MY_NO,
     MY_WANT_NOTHING},
    {"what comes behind a group counts too",
     HEAD " nofresh\n send 02\n @0:4 = a1b2c3d4\n any @4 = 00\n any @4 = 01\n @5 = 00\n",
     "192.0.2.7", NULL, "02>a1b2c3d40001", 0, MY_NO, MY_WANT_NOTHING, .failed = "@5 = 00"},
    {"a Skype node", SKYPE, "192.0.2.7", NULL,
     A ">1111 17" OURS "74a041f0;" B ">2222 65" OURS "1100104f;" B ">2222 37" OURS "6808433a", 0,
     MY_CERTAIN, MY_WANT_NOTHING},
    {"a byte that happens to stay: once more", SKYPE, "192.0.2.7", NULL,
     A ">1111 17" OURS "74a041f0;" B ">2222 65" OURS "1100104f;" B ">2222 37" OURS "6808104e", 0,
     MY_MORE, MY_WANT_SAME},
    {"… and then it moves", SKYPE, "192.0.2.7", NULL,
     A ">1111 17" OURS "74a041f0;" B ">2222 65" OURS "1100104f;" B ">2222 37" OURS "6808104e;" B
       ">2222 37" OURS "99085577",
     0, MY_CERTAIN, MY_WANT_NOTHING},
    {"a byte that never moves", SKYPE, "192.0.2.7", NULL,
     A ">1111 17" OURS "74a041f0;" B ">2222 65" OURS "1100104f;" B ">2222 37" OURS "6808104e;" B
       ">2222 37" OURS "99081077",
     0, MY_NO, MY_WANT_NOTHING},
    {"a constant tail", SKYPE, "192.0.2.7", NULL,
     A ">1111 17" OURS "74a041f0;" B ">2222 65" OURS "74a041f0;" B ">2222 65" OURS "74a041f0;" B
       ">2222 65" OURS "74a041f0",
     0, MY_NO, MY_WANT_NOTHING},
    {"a tail computed from the request", SKYPE, "192.0.2.7", NULL,
     A ">1111 17" OURS "74a041f0;" B ">2222 65" OURS "1100104f;" B ">2222 65" OURS "1100104f;" B
       ">2222 65" OURS "1100104f",
     0, MY_NO, MY_WANT_NOTHING},
    {"a tail that is our port, twice", SKYPE, "192.0.2.7", NULL,
     A ">1111 17" OURS "9c409c40;" B ">2222 17" OURS "9d429d42;" B ">2222 17" OURS "9e449e44", 0,
     MY_NO, MY_WANT_NOTHING, .failed = "vary @7:4"},
    {"our port, its bytes swapped and masked, beside two that move", SKYPE, "192.0.2.7", NULL,
     A ">1111 17" OURS "74a041f0;" B ">2222 17" OURS "0163a5f0;" B ">2222 17" OURS "7765a6f1", 0,
     MY_NO, MY_WANT_NOTHING, .failed = "vary @7:4"},
    {"a tail copied from the request", SKYPE, "192.0.2.7", NULL, A ">1111 17" OURS "05060708", 0,
     MY_NO, MY_WANT_NOTHING},
    {"an earlier id", SKYPE, "192.0.2.7", NULL,
     A ">1111 17" OURS "74a041f0;" B ">1111 65" OURS "1100104f", 0, MY_NO, MY_WANT_NOTHING},
    {"12 bytes", SKYPE, "192.0.2.7", NULL, A ">1111 17" OURS "74a041f000", 0, MY_NO,
     MY_WANT_NOTHING},
    {"10 bytes", SKYPE, "192.0.2.7", NULL, A ">1111 17" OURS "74a041", 0, MY_NO, MY_WANT_NOTHING},
    {"behind NAT: the same public address", SKYPE, "192.168.0.19", NULL,
     A ">1111 17 51000001 74a041f0;" B ">2222 65 51000001 1100104f;" B ">2222 37 51000001 6808433a",
     0, MY_CERTAIN, MY_WANT_NOTHING},
    {"a public address that changes", SKYPE, "192.168.0.19", NULL,
     A ">1111 17 51000001 74a041f0;" B ">2222 65 51000002 1100104f", 0, MY_NO, MY_WANT_NOTHING},
    {"ours first, then another", SKYPE, "192.0.2.7", NULL,
     A ">1111 17" OURS "74a041f0;" B ">2222 65 51000002 1100104f", 0, MY_NO, MY_WANT_NOTHING},
    {"a private address not ours: a guess", SKYPE, "192.0.2.7", NULL,
     A ">1111 17 0a000001 74a041f0;" B ">2222 65 0a000001 1100104f;" B ">2222 37 0a000001 6808433a",
     0, MY_GUESS, MY_WANT_NOTHING},
    {"the address that --public-ip names", SKYPE, "192.168.0.19", "203.0.113.9",
     A ">1111 17 cb007109 74a041f0;" B ">2222 65 cb007109 1100104f;" B ">2222 37 cb007109 6808433a",
     0, MY_CERTAIN, MY_WANT_NOTHING},
    {"a documentation address, not named", SKYPE, "192.168.0.19", NULL,
     A ">1111 17 cb007109 74a041f0", 0, MY_NO, MY_WANT_NOTHING},
    {"over IPv6 the address says nothing: a guess", SKYPE, "2001:db8::7", NULL,
     A ">1111 17" OURS "74a041f0;" B ">2222 65" OURS "1100104f;" B ">2222 37" OURS "6808433a", 0,
     MY_GUESS, MY_WANT_NOTHING},
    {"three different nonces show no movement by itself", SKYPE, "192.0.2.7", NULL,
     A ">1111 17" OURS "74a041f0;" B ">2222 65" OURS "1100104f;" C ">3333 37" OURS "6808433a", 0,
     MY_MORE, MY_WANT_SAME},
    {"replies in any order", SKYPE, "192.0.2.7", NULL,
     B ">2222 37" OURS "6808433a;" B ">2222 65" OURS "1100104f;" A ">1111 17" OURS "74a041f0", 0,
     MY_CERTAIN, MY_WANT_NOTHING},
    {"twice the same first: then another nonce", SKYPE, "192.0.2.7", NULL,
     A ">1111 17" OURS "74a041f0;" A ">1111 65" OURS "1100104f", 0, MY_MORE, MY_WANT_FRESH},
    {"who copies 7 bytes of our header has not seen our public address", SKYPE, "192.168.0.19",
     NULL, A ">1111 17 a16665ea 74a041f0", 0, MY_NO, MY_WANT_NOTHING},
    {"nor a private one that stands in the request", SKYPE, "192.168.0.19", NULL,
     "1111 02 a16665ea0d 01020304 0a000001 090a0b0c0d0e>1111 17 0a000001 74a041f0", 0, MY_NO,
     MY_WANT_NOTHING},
    {"another public address in the middle", SKYPE, "192.168.0.19", NULL,
     A ">1111 17 51000001 74a041f0;" B ">2222 65 51000002 1100104f;" B ">2222 37 51000001 6808433a",
     0, MY_NO, MY_WANT_NOTHING},
    {"a private address, then ours", SKYPE, "192.0.2.7", NULL,
     A ">1111 17 0a000001 74a041f0;" B ">2222 65" OURS "1100104f", 0, MY_NO, MY_WANT_NOTHING},
    {"a public address under `any` must stay the same too",
     HEAD " send id?2 02 a16665ea0d x?14\n @0:2 = $id\n any @3:4 = my.ip\n any @3:4 = 00000000\n"
          " @7 != 00\n",
     "192.168.0.19", NULL, A ">1111 17 51000001 74a041f0;" B ">2222 65 51000002 1100104f", 0, MY_NO,
     MY_WANT_NOTHING},
    {"one that changes under `soft` is no evidence",
     HEAD " send id?2 02 a16665ea0d x?14\n @0:2 = $id\n soft @3:4 = my.ip\n @7:4 = 74a041f0\n",
     "192.168.0.19", NULL, A ">1111 17 51000001 74a041f0;" B ">2222 17 51000002 74a041f0", 0,
     MY_CERTAIN, MY_WANT_NOTHING, .identity = 29.3},
    {"one that stays is",
     HEAD " send id?2 02 a16665ea0d x?14\n @0:2 = $id\n soft @3:4 = my.ip\n @7:4 = 74a041f0\n",
     "192.168.0.19", NULL, A ">1111 17 51000001 74a041f0;" B ">2222 17 51000001 74a041f0", 0,
     MY_CERTAIN, MY_WANT_NOTHING, .identity = 45.3},
    {"38 bits: another nonce would make them 54", SHORT, "192.0.2.7", NULL, "1111 01>1111 a1b2c3",
     0, MY_MORE, MY_WANT_FRESH, .identity = 22.3},
    {"… and does", SHORT, "192.0.2.7", NULL, "1111 01>1111 a1b2c3;2222 01>2222 a1b2c3", 0,
     MY_CERTAIN, MY_WANT_NOTHING, .identity = 22.3},
    {"the same nonce again adds nothing", SHORT, "192.0.2.7", NULL,
     "1111 01>1111 a1b2c3;1111 01>1111 a1b2c3", 0, MY_MORE, MY_WANT_FRESH},
    {"… nor without end", SHORT, "192.0.2.7", NULL,
     "1111 01>1111 a1b2c3;1111 01>1111 a1b2c3;1111 01>1111 a1b2c3;1111 01>1111 a1b2c3;1111 01>1111 "
     "a1b2c3;1111 01>1111 a1b2c3;1111 01>1111 a1b2c3;1111 01>1111 a1b2c3",
     0, MY_GUESS, MY_WANT_NOTHING},
    {"a control that the signature has not is no evidence", SHORT, "192.0.2.7", NULL,
     "1111 01>1111 a1b2c3", MY_CONTROL_SILENT, MY_MORE, MY_WANT_FRESH, .identity = 22.3},
    {"… nor evidence against it", SHORT, "192.0.2.7", NULL,
     "1111 01>1111 a1b2c3;2222 01>2222 a1b2c3", MY_CONTROL_ANSWERED, MY_CERTAIN, MY_WANT_NOTHING},
    {"nonces of one byte: as many as it takes",
     HEAD " send id?1 01\n @0 = $id\n @1:5 = a1b2c3d4e5\n", "192.0.2.7", NULL,
     "11 01>11 a1b2c3d4e5;22 01>22 a1b2c3d4e5", 0, MY_CERTAIN, MY_WANT_NOTHING},
    {"nonces of a nibble: four of them are too few, and no more are asked",
     HEAD " send ?a 01\n @0 = q@0\n @1:5 = a1b2c3d4e5\n", "192.0.2.7", NULL,
     "1a 01>1a a1b2c3d4e5;2a 01>2a a1b2c3d4e5;3a 01>3a a1b2c3d4e5", 0, MY_MORE, MY_WANT_FRESH},
    {"what identity lacks no nonce brings", HEAD " send id?2 01\n @0:2 = $id\n @2 = a1\n",
     "192.0.2.7", NULL, "1111 01>1111 a1", 0, MY_GUESS, MY_WANT_NOTHING},
    {"a nonce that no line sees come back", HEAD " send id?2 01\n @0:5 = a1b2c3d4e5\n", "192.0.2.7",
     NULL, "1111 01>a1b2c3d4e5", 0, MY_GUESS, MY_WANT_NOTHING},
    {"a probe without a nonce moves by itself or not: no second one",
     HEAD " nofresh\n send 01\n @0:5 = a1b2c3d4e5\n vary @5\n", "192.0.2.7", NULL,
     "01>a1b2c3d4e5 01", 0, MY_MORE, MY_WANT_SAME},
    {"… and it does", HEAD " nofresh\n send 01\n @0:5 = a1b2c3d4e5\n vary @5\n", "192.0.2.7", NULL,
     "01>a1b2c3d4e5 01;01>a1b2c3d4e5 02", 0, MY_CERTAIN, MY_WANT_NOTHING, .identity = 37},
    {"two vary lines are one proof",
     HEAD " nofresh\n send 01\n @0:5 = a1b2c3d4e5\n vary @5\n vary @6\n", "192.0.2.7", NULL,
     "01>a1b2c3d4e5 0102;01>a1b2c3d4e5 0203", 0, MY_CERTAIN, MY_WANT_NOTHING, .identity = 37},
    {"what stays the same under one nonce is not stable yet, and nothing can show it",
     HEAD " nofresh\n send 01\n @0:5 = a1b2c3d4e5\n stable @5\n", "192.0.2.7", NULL,
     "01>a1b2c3d4e5 01", 0, MY_GUESS, MY_WANT_NOTHING},
    {"stable under two nonces", HEAD " nofresh\n send id?2\n @0:5 = a1b2c3d4e5\n stable @5\n",
     "192.0.2.7", NULL, "1111>a1b2c3d4e5 01;2222>a1b2c3d4e5 01", 0, MY_CERTAIN, MY_WANT_NOTHING,
     .identity = 36},
    {"not stable", HEAD " nofresh\n send id?2\n @0:5 = a1b2c3d4e5\n stable @5\n", "192.0.2.7", NULL,
     "1111>a1b2c3d4e5 01;2222>a1b2c3d4e5 02", 0, MY_NO, MY_WANT_NOTHING},
    {"stable wants a second nonce", HEAD " nofresh\n send id?2\n @0:5 = a1b2c3d4e5\n stable @5\n",
     "192.0.2.7", NULL, "1111>a1b2c3d4e5 01", 0, MY_MORE, MY_WANT_FRESH},
    {"the vary place is not there", HEAD " nofresh\n send 01\n @0:5 = a1b2c3d4e5\n vary @5\n",
     "192.0.2.7", NULL, "01>a1b2c3d4e5", 0, MY_NO, MY_WANT_NOTHING},
    {"the stable place is not there", HEAD " nofresh\n send id?2\n @0:5 = a1b2c3d4e5\n stable @5\n",
     "192.0.2.7", NULL, "1111>a1b2c3d4e5", 0, MY_NO, MY_WANT_NOTHING},
    {"soft lines alone never make it certain",
     HEAD " send id?2 01\n @0:2 = $id\n soft @2:5 = a1b2c3d4e5\n", "192.0.2.7", NULL,
     "1111 01>1111 a1b2c3d4e5;2222 01>2222 a1b2c3d4e5", 0, MY_GUESS, MY_WANT_NOTHING,
     .identity = 36.3},
    {"over TCP one answer is fresh, and asking again adds nothing",
     HEAD " over tcp\n send 01\n @0:3 = a1b2c3\n", "192.0.2.7", NULL, "01>a1b2c3", 0, MY_CERTAIN,
     MY_WANT_NOTHING, .identity = 21},
    {"without an end the control is asked last", SHORT " control q@2 ^ 80\n", "192.0.2.7", NULL,
     "1111 01>1111 a1b2c3;2222 01>2222 a1b2c3", 0, MY_MORE, MY_WANT_CONTROL},
    {"the bits that a silent control will bring spare a nonce", SHORT " control q@2 ^ 80\n",
     "192.0.2.7", NULL, "1111 01>1111 a1b2c3", 0, MY_MORE, MY_WANT_CONTROL},
    {"… and it does", SHORT " control q@2 ^ 80\n", "192.0.2.7", NULL, "1111 01>1111 a1b2c3",
     MY_CONTROL_SILENT, MY_CERTAIN, MY_WANT_NOTHING, .identity = 26.3},
    {"a control that was not asked yet", CONTROLLED, "192.0.2.7", NULL,
     CONTROLLED_Q ">" CONTROLLED_R, 0, MY_MORE, MY_WANT_CONTROL},
    {"a control that met silence", CONTROLLED, "192.0.2.7", NULL, CONTROLLED_Q ">" CONTROLLED_R,
     MY_CONTROL_SILENT, MY_CERTAIN, MY_WANT_NOTHING},
    {"a control that was answered", CONTROLLED, "192.0.2.7", NULL, CONTROLLED_Q ">" CONTROLLED_R,
     MY_CONTROL_ANSWERED, MY_NO, MY_WANT_NOTHING},
    {"nonces that collide: a second one is waited for in five pairs", SKYPE, "192.0.2.7", NULL,
     A ">1111 17" OURS "74a041f0;" A ">1111 65" OURS "1100104f;" A ">1111 65" OURS "1200104f;" A
       ">1111 65" OURS "1300104f",
     0, MY_MORE, MY_WANT_FRESH},
    {"… and no longer", SKYPE, "192.0.2.7", NULL,
     A ">1111 17" OURS "74a041f0;" A ">1111 65" OURS "1100104f;" A ">1111 65" OURS "1200104f;" A
       ">1111 65" OURS "1300104f;" A ">1111 65" OURS "1400104f",
     0, MY_CERTAIN, MY_WANT_NOTHING},
    {"seven nonces, none of them twice", SKYPE, "192.0.2.7", NULL,
     A ">1111 17" OURS "74a041f0;" B ">2222 17" OURS "74a041f0;" C ">3333 17" OURS
       "74a041f0;4444" REST ">4444 17" OURS "74a041f0;5555" REST ">5555 17" OURS
       "74a041f0;6666" REST ">6666 17" OURS "74a041f0;7777" REST ">7777 17" OURS "74a041f0",
     0, MY_MORE, MY_WANT_SAME},
    {"eight of them: who asks so gets no answer", SKYPE, "192.0.2.7", NULL,
     A ">1111 17" OURS "74a041f0;" B ">2222 17" OURS "74a041f0;" C ">3333 17" OURS
       "74a041f0;4444" REST ">4444 17" OURS "74a041f0;5555" REST ">5555 17" OURS
       "74a041f0;6666" REST ">6666 17" OURS "74a041f0;7777" REST ">7777 17" OURS
       "74a041f0;8888" REST ">8888 17" OURS "74a041f0",
     0, MY_GUESS, MY_WANT_NOTHING},
    {"two pairs of the same are no three of it", SKYPE, "192.0.2.7", NULL,
     A ">1111 17" OURS "74a041f0;" A ">1111 65" OURS "7400104f;" B ">2222 65" OURS "1100104f;" B
       ">2222 37" OURS "1108433a",
     0, MY_MORE, MY_WANT_SAME},
    {"a byte that moves there and back is one byte",
     HEAD " nofresh\n send 01\n @0:5 = a1b2c3d4e5\n vary @5:2\n", "192.0.2.7", NULL,
     "01>a1b2c3d4e5 01aa;01>a1b2c3d4e5 02aa;01>a1b2c3d4e5 01aa", 0, MY_NO, MY_WANT_NOTHING,
     .failed = "vary @5:2"},
    {"three bytes of the request are a copy",
     HEAD " nofresh\n send 01 x?4\n @0:5 = a1b2c3d4e5\n vary @5:3\n", "192.0.2.7", NULL,
     "0102030405>a1b2c3d4e5 020304", 0, MY_NO, MY_WANT_NOTHING, .failed = "vary @5:3"},
    {"two bytes are chance", HEAD " nofresh\n send 01 x?4\n @0:5 = a1b2c3d4e5\n vary @5:2\n",
     "192.0.2.7", NULL, "0102030405>a1b2c3d4e5 0203", 0, MY_MORE, MY_WANT_FRESH},
    {"one place moves, the one before it not yet",
     HEAD " nofresh\n send 01\n vary @5\n vary @6\n @0:5 = a1b2c3d4e5\n", "192.0.2.7", NULL,
     "01>a1b2c3d4e5 01 01;01>a1b2c3d4e5 01 02", 0, MY_MORE, MY_WANT_SAME},
    {"a place that cannot show that it is stable, then one that moves",
     HEAD " nofresh\n send 01\n stable @5\n vary @6\n @0:5 = a1b2c3d4e5\n", "192.0.2.7", NULL,
     "01>a1b2c3d4e5 01 01;01>a1b2c3d4e5 01 02", 0, MY_GUESS, MY_WANT_NOTHING},
    {"whatever else holds, a private address that is not ours is a guess",
     HEAD " send id?2 01\n @7:4 = my.ip\n @0:2 = $id\n @2:5 = a1b2c3d4e5\n", "192.0.2.7", NULL,
     "1111 01>1111 a1b2c3d4e5 0a000001;2222 01>2222 a1b2c3d4e5 0a000001", 0, MY_GUESS,
     MY_WANT_NOTHING},
    {"… under two lines too, one of them right",
     HEAD " send id?2 01\n @7:4 = my.ip\n @11:4 = my.ip\n @0:2 = $id\n @2:5 = a1b2c3d4e5\n",
     "192.0.2.7", NULL,
     "1111 01>1111 a1b2c3d4e5 0a000001" OURS ";2222 01>2222 a1b2c3d4e5 0a000001" OURS, 0, MY_GUESS,
     MY_WANT_NOTHING},
    {"… and may change yet", HEAD " send id?2 01\n @7:4 = my.ip\n @0:2 = $id\n @2:5 = a1b2c3d4e5\n",
     "192.0.2.7", NULL, "1111 01>1111 a1b2c3d4e5 0a000001", 0, MY_MORE, MY_WANT_FRESH},
    {"one public address is none yet, whatever else holds",
     HEAD " send id?2 01\n @7:4 = my.ip\n @0:2 = $id\n @2:5 = a1b2c3d4e5\n", "192.168.0.19", NULL,
     "1111 01>1111 a1b2c3d4e5 51000001", 0, MY_MORE, MY_WANT_FRESH, .identity = 52.3},
    {"the line that failed is the address",
     HEAD " send id?2 01\n @7:4 = my.ip\n @0:2 = $id\n @2:5 = a1b2c3d4e5\n", "192.168.0.19", NULL,
     "1111 01>1111 a1b2c3d4e5 51000001;2222 01>2222 a1b2c3d4e5 51000002", 0, MY_NO, MY_WANT_NOTHING,
     .failed = "@7:4 = my.ip"},
    {"a public address where every probe is the same",
     HEAD " nofresh\n send 01\n @5:4 = my.ip\n @0:5 = a1b2c3d4e5\n", "192.168.0.19", NULL,
     "01>a1b2c3d4e5 51000001", 0, MY_GUESS, MY_WANT_NOTHING},
    {"the second line failed, after a soft one that does not count",
     HEAD " send id?2 01\n soft @0 = 00\n @2:5 = a1b2c3d4e5\n @0:2 = 2222\n", "192.0.2.7", NULL,
     "1111 01>1111 a1b2c3d4e6", 0, MY_NO, MY_WANT_NOTHING, .failed = "@2:5 = a1b2c3d4e5"},
    {"the first line failed, and others too",
     HEAD " send id?2 01\n @0 = 00\n any @2 = 00\n any @2 = 01\n @0:2 = 2222\n", "192.0.2.7", NULL,
     "1111 01>1111 a1b2c3d4e6", 0, MY_NO, MY_WANT_NOTHING, .failed = "@0 = 00"},
    {"a group fails by its first line",
     HEAD " send id?2 01\n @0:2 = $id\n any @2 = 00\n any @2 = 01\n @0:2 = 2222\n", "192.0.2.7",
     NULL, "1111 01>1111 a1b2c3d4e6", 0, MY_NO, MY_WANT_NOTHING, .failed = "any @2 = 00"},
    {"39 bits, which the control's would make 43: but it has none",
     HEAD " send id?2 01\n @0:2 = $id\n @2:3 = a1b2c3\n @5 = 80..ff\n", "192.0.2.7", NULL,
     "1111 01>1111 a1b2c3 80", 0, MY_MORE, MY_WANT_FRESH, .identity = 23.2},
    {"without freshness no nonce is missing",
     HEAD " nofresh\n send id?1 01\n @0 = $id\n @1:5 = a1b2c3d4e5\n", "192.0.2.7", NULL,
     "11 01>11 a1b2c3d4e5", 0, MY_CERTAIN, MY_WANT_NOTHING},
    {"a single bit of nonce", HEAD " send id?1 01\n @0 & 01 = $id\n @1:5 = a1b2c3d4e5\n",
     "192.0.2.7", NULL, "11 01>11 a1b2c3d4e5", 0, MY_MORE, MY_WANT_FRESH},
    {"four nonces are all that is asked, even where they are too few",
     HEAD " send id?1:digit 01\n @0 = $id\n @1:5 = a1b2c3d4e5\n", "192.0.2.7", NULL,
     "30 01>30 a1b2c3d4e5;31 01>31 a1b2c3d4e5;32 01>32 a1b2c3d4e5;33 01>33 a1b2c3d4e5", 0, MY_GUESS,
     MY_WANT_NOTHING},
    {"three are not", HEAD " send id?1:digit 01\n @0 = $id\n @1:5 = a1b2c3d4e5\n", "192.0.2.7",
     NULL, "30 01>30 a1b2c3d4e5;31 01>31 a1b2c3d4e5;32 01>32 a1b2c3d4e5", 0, MY_MORE,
     MY_WANT_FRESH},
    {"just certain", HEAD " nofresh\n send 02\n @0:3 = a1b2c3\n @3 = 00\n len = 3..10\n",
     "192.0.2.7", NULL, "02>a1b2c300", 0, MY_CERTAIN, MY_WANT_NOTHING, .identity = 24,
     .confidence = 0.90001},
    {"16 bits more halve the doubt", HEAD " nofresh\n send 02\n @0:5 = a1b2c3d4e5\n @6 = 01\n",
     "192.0.2.7", NULL, "02>a1b2c3d4e500 01", 0, MY_CERTAIN, MY_WANT_NOTHING, .identity = 40,
     .confidence = 0.950005},
    {"a guess by its bits, of 60", HEAD " nofresh\n send 02\n @0:2 = a1b2\n", "192.0.2.7", NULL,
     "02>a1b2", 0, MY_GUESS, MY_WANT_NOTHING, .identity = 14, .confidence = 14.0 / 60},
    {"a step is asked once the rest holds", STEPPED, "192.0.2.7", NULL, "1111 01>1111 a1b2c3", 0,
     MY_MORE, MY_WANT_STEP},
    {"… and adds its evidence", STEPPED, "192.0.2.7", NULL, "1111 01>1111 a1b2c3;+02 a1>d4e5f6", 0,
     MY_CERTAIN, MY_WANT_NOTHING, .identity = 43.3},
    {"… or refuses", STEPPED, "192.0.2.7", NULL, "1111 01>1111 a1b2c3;+02 a1>d4e5f7", 0, MY_NO,
     MY_WANT_NOTHING},
    {"… as an echo does", STEPPED, "192.0.2.7", NULL, "1111 01>1111 a1b2c3;+02 a1>02a1", 0, MY_NO,
     MY_WANT_NOTHING},
    {"a step that only tells more: certain before", EXTRA, "192.0.2.7", NULL,
     "1111 01>1111 a1b2c3d4", 0, MY_CERTAIN, MY_WANT_STEP, .identity = 29.3},
    {"… and after", EXTRA, "192.0.2.7", NULL, "1111 01>1111 a1b2c3d4;+02 a1>d4", 0, MY_CERTAIN,
     MY_WANT_NOTHING, .identity = 36.3},
    {"… and where it says something else", EXTRA, "192.0.2.7", NULL,
     "1111 01>1111 a1b2c3d4;+02 a1>d5", 0, MY_CERTAIN, MY_WANT_NOTHING, .identity = 29.3},
    {"the first case that holds counts", CASES, "192.0.2.7", NULL, "1111 01>1111 a1b2c3d4", 0,
     MY_CERTAIN, MY_WANT_NOTHING, .identity = 29.3},
    {"… and its lines must hold", CASES, "192.0.2.7", NULL, "1111 01>1111 a1b2c3d5", 0, MY_NO,
     MY_WANT_NOTHING, .failed = "@5 = d4"},
    {"… the other's step is its own", CASES, "192.0.2.7", NULL, "1111 01>1111 a1b3c3d4", 0, MY_MORE,
     MY_WANT_STEP},
    {"… and none is none", CASES, "192.0.2.7", NULL, "1111 01>1111 a1b4c3d4", 0, MY_NO,
     MY_WANT_NOTHING, .failed = "case @3 = b2"},
    {"a guess stays below certain",
     HEAD " send id?2 01\n @0:2 = $id\n soft @2:8 = a1b2c3d4e5f1e2d3\n", "192.0.2.7", NULL,
     "1111 01>1111 a1b2c3d4e5f1e2d3;2222 01>2222 a1b2c3d4e5f1e2d3", 0, MY_GUESS, MY_WANT_NOTHING,
     .confidence = 0.89},
};

/* The pairs of a row; they point into 'bytes'. */
static size_t make_pairs(const talk_row *row, uint8_t bytes[], my_pair pairs[])
{
  char text[2000], *rest = text, *asked, *reply;
  size_t count = 0;
  assert_true(strlen(row->asked) < sizeof text);
  strcpy(text, row->asked);
  while ((asked = strsep(&rest, ";")) != NULL) {
    my_span q = {bytes, 0}, r;
    reply = strchr(asked, '>');
    assert_non_null(reply);
    *reply++ = 0;
    bool step = *asked == '+'; /* behind the first request */
    q.len = unhex(asked + step, bytes);
    r = (my_span){bytes + q.len, unhex(reply, bytes + q.len)};
    bytes += q.len + r.len;
    assert_true(count < ASKED_MAX);
    pairs[count] = make_pair(q, r);
    pairs[count].step = step;
    my_endpoint_parse(&pairs[count].my, row->my, (uint16_t)(0x9c40 + 0x102 * count));
    if (row->public_ != NULL) my_endpoint_parse(&pairs[count].public_, row->public_, 0);
    count++;
  }
  return count;
}

static void judge_row(const my_sig *sig, const talk_row *row, my_verdict *v)
{
  static uint8_t bytes[2 * BYTES_MAX];
  my_pair pairs[ASKED_MAX];
  size_t count = make_pairs(row, bytes, pairs);
  assert_int_equal(my_sig_judge(sig, pairs, count, row->control, scratch, v), MY_OK);
}

/* What every verdict owes to itself. */
static const char *odd(const talk_row *row, const my_sig *sig, const my_verdict *v)
{
  my_sig_info info;
  my_sig_get_info(sig, &info);
  double sum = info.has_control && row->control == MY_CONTROL_SILENT ? 4 : 0;
  for (size_t i = 0; i < v->last.line_count; i++)
    sum += v->last.line_bits[i];
  for (size_t i = 0; v->step_held && i < v->step_match.line_count; i++)
    sum += v->step_match.line_bits[i];
  if (v->state == MY_NO)
    return v->confidence != 0 || v->fresh_bits != 0 || v->identity_bits != 0 ? "a no with bits"
                                                                             : NULL;
  if (fabs(sum - v->identity_bits) > 0.001) return "the lines' bits are not the sum";
  for (size_t i = 0; i < v->last.line_count; i++)
    if (v->last.held[i] == MY_FAILED && v->last.line_bits[i] != 0) return "bits of a failed line";
  if (v->last.first_failed >= 0) return "a failed line";
  if (v->confidence <= 0 || v->confidence >= 1) return "no confidence";
  return (v->confidence >= 0.9) != (v->state == MY_CERTAIN) ? "confidence against state" : NULL;
}

static bool as_expected(const talk_row *row, const my_sig *sig, const my_verdict *v)
{
  const char *failed =
      v->last.first_failed >= 0 ? my_sig_line_text(sig, (size_t)v->last.first_failed) : "";
  if (row->failed != NULL &&
      (strcmp(failed, row->failed) != 0 || v->last.held[v->last.first_failed] != MY_FAILED))
    return false;
  return v->state == row->state && v->want == row->want &&
         (row->identity <= 0 || fabs(v->identity_bits - row->identity) < 0.01) &&
         (row->confidence <= 0 || fabs(v->confidence - row->confidence) < 0.0000005);
}

static void test_talks(void **state)
{
  size_t wrong = 0;
  (void)state;
  for (size_t i = 0; i < sizeof talk_rows / sizeof *talk_rows; i++) {
    const talk_row *row = &talk_rows[i];
    const my_sig *sig = load(row->text);
    my_verdict v;
    judge_row(sig, row, &v);
    if (odd(row, sig, &v) != NULL)
      print_error("%zu. %s: %s\n", ++wrong, row->why, odd(row, sig, &v));
    if (!as_expected(row, sig, &v))
      print_error(
          "%zu. %s: state %d want %d, %.2f bits of identity, confidence %.6f, failed %d; expected "
          "state %d want %d, %.2f bits, confidence %.6f\n",
          ++wrong, row->why, v.state, v.want, v.identity_bits, v.confidence, v.last.first_failed,
          row->state, row->want, row->identity, row->confidence);
    unload();
  }
  assert_int_equal(wrong, 0);
}

static void test_no_pairs(void **state)
{
  my_verdict v;
  (void)state;
  assert_int_equal(my_sig_judge(load(SKYPE), NULL, 0, 0, scratch, &v), MY_ERANGE);
  unload();
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

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_talks), cmocka_unit_test(test_no_pairs),
                                     cmocka_unit_test(test_gives)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
