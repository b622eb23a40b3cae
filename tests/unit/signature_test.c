/* signature_test.c - the signature language: what parses into which probe, and what is refused
 * where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
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
    {"a length below zero", "service s\nsig a\n send be16(len-9)\n", 3, 2, "below zero"},
    {"widths that differ", HEAD " @0:2 = 010203\n", 4, 9, "010203"},
    {"a text of another width", HEAD " @0:2 = \"abc\"\n", 4, 9, "3 byte(s) against 2"},
    {"bits of another width", HEAD " @0:2 = b0000000.\n", 4, 9, "against 2"},
    {"a field that is not sent", HEAD " @0:2 = $other\n", 4, 9, "no field of that name"},
    {"past the probe", HEAD " @0:2 = q@2:2\n", 4, 9, "past the probe's 3 bytes"},
    {"no operator", HEAD " @0:2 id\n", 4, 7, "expected ="},
    {"nothing on the right", HEAD " @0:2 =\n", 4, 8, "compared with"},
    {"something behind the line", HEAD " @0 = 01 02\n", 4, 10, "after the end"},
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
    {"two controls", HEAD " @0 = 01\n control q@1 ^ 80\n control q@1 ^ 81\n", 6, 2, "second"},
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
        strstr(where.text, row->says) == NULL)
      print_error("%zu %s: got %d at %u:%u \"%s\", expected %u:%u \"…%s…\"\n", ++wrong, row->why,
                  rc, where.line, where.column, where.text, row->line, row->column, row->says);
    assert_int_equal(my_sigdb_count(db), 0); /* as before */
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
    {"positive: top bit of the first clear", "x?2:pos", "7ffe"},
    {"nibbles among fixed ones", "?a?b 11", "fafb11"},
    {"repeated bytes", "00*3 ff*2", "000000ffff"},
    {"padded to a length", "01 pad 4", "01000000"},
    {"its own length, both ways round", "be16(len) le16(len-1) be32(len+1)", "0008070000000009"},
    {"our address and port", "my.ip my.port", "c0000207 9c40"},
    {"the peer's", "peer.ip peer.port", "c00002010035"},
    {"a comment behind it", "0102 # 03", "0102"},
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
    {"no sample that does not",
     "service s\nsig a\n send n?4\n @0:4 = $n\n match 01020304 > 0102030405\n",
     "echo"}, /* begins with the request: the sample itself is an echo */
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
     "bit 80 of byte 0"},
    {"the same with a control that does",
     "service s\nsig a\n send 01 id?8 x?16\n @0 = 81\n @1:8 = $id\n @9:16 = $x\n len = 25\n "
     "control q@0 ^ 80\n"
     " match 01 00*24 > 81 00*24\n nomatch 01 00*24 > 00\n",
     NULL},
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
      cmocka_unit_test(test_refused),      cmocka_unit_test(test_every_prefix),
      cmocka_unit_test(test_probes),       cmocka_unit_test(test_compose_limits),
      cmocka_unit_test(test_break),        cmocka_unit_test(test_ports),
      cmocka_unit_test(test_add_is_whole), cmocka_unit_test(test_check),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
