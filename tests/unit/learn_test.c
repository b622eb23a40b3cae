/* learn_test.c - what the learner finds in conversations whose truth is known, and what it must not
 * find in those that only look like it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mynah/check.h"
#include "mynah/learn.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- chance, the same every time ---- */

static uint64_t seed = 1;

static uint32_t draw(uint32_t below)
{
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((seed >> 33) % below);
}

static void draw_bytes(uint8_t *out, size_t n)
{
  for (size_t i = 0; i < n; i++)
    out[i] = (uint8_t)draw(256);
}

/* ---- conversations ---- */

enum { CLIENTS = 4 };

typedef struct talk {
  my_learner *learner;
  unsigned server, client; /* who talks */
  uint8_t q[256], r[512];
  size_t q_len, r_len;
} talk;

static my_endpoint host(unsigned last, uint16_t port)
{
  char address[32];
  my_endpoint e;
  snprintf(address, sizeof address, "192.168.0.%u", last);
  assert_int_equal(my_endpoint_parse(&e, address, port), MY_OK);
  return e;
}

static my_message message(const talk *t, bool from_client, const uint8_t *data, size_t len)
{
  my_message m = {.transport = MY_UDP,
                  .flow = t->server * 100 + t->client,
                  .from_client = from_client,
                  .client = host(19 + t->client % 2, (uint16_t)(4000 + 77 * t->client)),
                  .peer = host(100 + t->server, 34567),
                  .time_unix_ns = 1700000000 * INT64_C(1000000000),
                  .data = {data, len}};
  if (!from_client) m.from = m.peer;
  return m;
}

static void ask(talk *t)
{
  my_message m = message(t, true, t->q, t->q_len);
  assert_int_equal(my_learner_hear(t->learner, &m), MY_OK);
}

static void answer(talk *t)
{
  my_message m = message(t, false, t->r, t->r_len);
  assert_int_equal(my_learner_hear(t->learner, &m), MY_OK);
}

static void set(uint8_t *out, size_t *len, const char *hex)
{
  *len = strlen(hex) / 2;
  for (size_t i = 0; i < *len; i++) {
    unsigned byte;
    assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
    out[i] = (uint8_t)byte;
  }
}

static void exchange(talk *t)
{
  ask(t);
  answer(t);
}

/* n exchanges of each client with each of the servers: fill() writes the next request and reply. */
static void converse(talk *t, unsigned servers, unsigned n, void (*fill)(talk *t, unsigned i))
{
  for (t->server = 0; t->server < servers; t->server++)
    for (t->client = 0; t->client < CLIENTS; t->client++)
      for (unsigned i = 0; i < n; i++) {
        fill(t, i);
        exchange(t);
      }
}

/* ---- what is there to be found ---- */

static void students(talk *t)
{
  static const char *const replies[] = {"924017c0a8001374a041f0", "924067c0a800131100104f",
                                        "924037c0a8001368"
                                        "08433a"};
  set(t->q, &t->q_len, "924002a16665ea0d8c82c30c27cdc5e74e78fea150a6");
  for (size_t i = 0; i < 3; i++) {
    set(t->r, &t->r_len, replies[i]);
    exchange(t);
  }
}

static void fill_id(talk *t, unsigned i)
{
  (void)i;
  set(t->q, &t->q_len, "0000a5370badcafe0102");
  draw_bytes(t->q, 2);
  set(t->r, &t->r_len, "0000a5b7110badcafe2233445566778899aa");
  memcpy(t->r, t->q, 2);
  draw_bytes(t->r + 14, 4);
}
static void id(talk *t)
{
  converse(t, 1, 6, fill_id);
}
static void id_of_two_servers(talk *t)
{
  converse(t, 2, 6, fill_id);
}

/* Asked the same again and again it ends otherwise each time. */
static void fill_moving(talk *t, unsigned i)
{
  uint8_t id[2] = {t->q[0], t->q[1]};
  fill_id(t, i);
  if (i == 0) return;
  memcpy(t->q, id, 2);
  memcpy(t->r, id, 2);
}
static void moving(talk *t)
{
  converse(t, 1, 6, fill_moving);
}

static void fill_moved(talk *t, unsigned i)
{
  (void)i;
  set(t->q, &t->q_len, "c0ffee00000000000000000000000000");
  draw_bytes(t->q + 8, 8);
  set(t->r, &t->r_len, "e0ffaa17430000000000000000deadbeef");
  memcpy(t->r + 5, t->q + 8, 8);
}
static void moved(talk *t)
{
  converse(t, 1, 4, fill_moved);
}

static void fill_reversed(talk *t, unsigned i)
{
  fill_moved(t, i);
  for (size_t b = 0; b < 4; b++)
    t->r[5 + b] = t->q[11 - b];
  memset(t->r + 9, 0x61, 4);
}
static void reversed(talk *t)
{
  converse(t, 1, 6, fill_reversed);
}

static void fill_added(talk *t, unsigned i)
{
  fill_moved(t, i);
  memset(t->r + 5, 0x61, 8);
  memcpy(t->r + 5, t->q + 8, 4);
  t->q[11] = (uint8_t)(1 + draw(200));
  t->r[8] = (uint8_t)(t->q[11] + 1);
}
static void added(talk *t)
{
  converse(t, 1, 6, fill_added);
}

static void fill_stun(talk *t, unsigned i)
{
  static const uint8_t key[4] = {0x21, 0x12, 0xa4, 0x42};
  (void)i;
  set(t->q, &t->q_len, "000100002112a442000000000000000000000000");
  draw_bytes(t->q + 8, 12);
  set(t->r, &t->r_len, "0101000c2112a442000000000000000000000000002000080001000000000000");
  memcpy(t->r + 8, t->q + 8, 12);
  my_endpoint me = host(19 + t->client % 2, 0);
  for (size_t b = 0; b < 4; b++)
    t->r[28 + b] = me.bytes[b] ^ key[b];
}
static void stun(talk *t)
{
  converse(t, 1, 3, fill_stun);
}

static void fill_length(talk *t, unsigned i)
{
  fill_id(t, i);
  t->r_len = 20 + draw(60);
  memset(t->r + 14, 0x41, t->r_len - 14);
  draw_bytes(t->r + 14, t->r_len - 14);
  t->r[9] = 0;
  t->r[10] = (uint8_t)(t->r_len - 4);
}
static void length(talk *t)
{
  converse(t, 1, 6, fill_length);
}

/* ---- values that have names, at places that move ---- */

__attribute__((format(printf, 3, 4))) static void print(uint8_t *out, size_t *len,
                                                        const char *format, ...)
{
  va_list args;
  va_start(args, format);
  int n = vsnprintf((char *)out, 256, format, args);
  va_end(args);
  assert_true(n > 0 && n < 256);
  *len = (size_t)n;
}

static const char *letters(char *out, size_t n)
{
  for (size_t i = 0; i < n; i++)
    out[i] = (char)('a' + draw(26));
  out[n] = 0;
  return out;
}

static void fill_text(talk *t, unsigned i)
{
  char a[16], b[16], agent[32];
  (void)i;
  letters(a, 10);
  letters(b, 12);
  print(t->q, &t->q_len, "ASK me TXT/1.0\r\nVia: here;k=z%s\r\nCall: %s\r\n\r\n", a, b);
  print(t->r, &t->r_len,
        "TXT/1.0 200 OK\r\nAgent: %s\r\nVia: here;k=z%s;seen=192.168.0.%u\r\nCall: %s\r\n\r\n",
        letters(agent, 3 + draw(20)), a, 19 + t->client % 2, b);
}
static void text(talk *t)
{
  converse(t, 1, 3, fill_text);
}

/* The same with a third thing that comes back. */
static void fill_text_of_three(talk *t, unsigned i)
{
  char more[8];
  fill_text(t, i);
  letters(more, 7);
  t->q_len -= 2;
  t->r_len -= 2;
  t->q_len += (size_t)sprintf((char *)t->q + t->q_len, "From: %s\r\n\r\n", more);
  t->r_len += (size_t)sprintf((char *)t->r + t->r_len, "From: %s\r\n\r\n", more);
}
static void text_of_three(talk *t)
{
  converse(t, 1, 3, fill_text_of_three);
}

/* Letters come back behind what the server says of itself. */
static void fill_told(talk *t, unsigned i)
{
  char nonce[12];
  (void)i;
  letters(nonce, 11);
  print(t->q, &t->q_len, "\xff\xff\xff\xff%s %s", "tellme", nonce);
  print(t->r, &t->r_len, "\xff\xff\xff\xff%s%s", "toldYou\n\\name\\a bird of some kind\\nonce\\",
        nonce);
}
static void told_behind(talk *t)
{
  converse(t, 1, 3, fill_told);
}

/* A list of elements, one of them of any length, in front of what comes back. */
static void fill_ber(talk *t, unsigned i)
{
  static const uint8_t tail[] = {0x02, 0x02, 0, 0, 0xa2, 0x03, 0x0a, 0x01, 0x05};
  size_t n = 3 + draw(30);
  (void)i;
  set(t->q, &t->q_len, "300e02010304027777020200000a0105");
  t->q[11] = (uint8_t)(1 + draw(127));
  t->q[12] = (uint8_t)draw(256);
  t->r_len = 7 + n + sizeof tail;
  t->r[0] = 0x30;
  t->r[1] = (uint8_t)(t->r_len - 2);
  memcpy(t->r + 2, (uint8_t[]){0x02, 0x01, 0x03, 0x04, (uint8_t)n}, 5);
  draw_bytes(t->r + 7, n);
  memcpy(t->r + 7 + n, tail, sizeof tail);
  memcpy(t->r + 9 + n, t->q + 11, 2);
}
static void ber(talk *t)
{
  converse(t, 1, 6, fill_ber);
}

static void fill_bencode(talk *t, unsigned i)
{
  char id[8], name[24];
  (void)i;
  letters(id, 4);
  print(t->q, &t->q_len, "d1:ad2:id4:abcde1:q4:ping1:t4:%s1:y1:qe", id);
  size_t n = 10 + draw(10);
  print(t->r, &t->r_len, "d1:rd2:id%zu:%s2:ip2:xye1:t4:%s1:y1:re", n, letters(name, n), id);
}
static void bencode(talk *t)
{
  converse(t, 1, 4, fill_bencode);
}

static void fill_json(talk *t, unsigned i)
{
  char id[12], name[24];
  (void)i;
  letters(id, 8);
  print(t->q, &t->q_len, "{\"id\":\"%s\",\"method\":\"ping\"}", id);
  print(t->r, &t->r_len,
        "{\"who\": {\"name\": \"%s\", \"state\": \"waiting\"}, \"id\": \"%s\", \"result\": true}\n",
        letters(name, 3 + draw(12)), id);
}
static void json(talk *t)
{
  converse(t, 1, 4, fill_json);
}

/* As STUN, with an attribute of any length before the address. */
static void fill_tlv(talk *t, unsigned i)
{
  static const uint8_t key[4] = {0x21, 0x12, 0xa4, 0x42};
  fill_stun(t, i);
  size_t n = 4 * (1 + draw(4));
  memmove(t->r + 24 + n, t->r + 20, 12);
  memcpy(t->r + 20, (uint8_t[]){0x80, 0x22, 0, (uint8_t)n}, 4);
  draw_bytes(t->r + 24, n);
  t->r_len += 4 + n;
  t->r[3] = (uint8_t)(t->r_len - 20);
  uint16_t port = (uint16_t)(4000 + 77 * t->client);
  t->r[30 + n] = (uint8_t)(port >> 8) ^ key[0];
  t->r[31 + n] = (uint8_t)port ^ key[1];
}
static void tlv(talk *t)
{
  converse(t, 1, 3, fill_tlv);
}

/* ---- what only looks like something else ---- */

/* A node's own name, long and the same in all of its replies. */
static void fill_named(talk *t, unsigned i)
{
  char id[8];
  (void)i;
  letters(id, 4);
  print(t->q, &t->q_len, "d1:q4:ping1:t4:%s1:y1:qe", id);
  print(t->r, &t->r_len,
        "d2:id12:\xa1\xb2\xc3\xd4\xe5\xf6\x17\x28\x39\x4a\x5b\x6c"
        "1:rd3:yes6:surelye1:t4:%s1:y1:re",
        id);
}
static void named(talk *t)
{
  converse(t, 1, 4, fill_named);
}

/* Behind a NAT each client is told its outer address; where there is one client, or one address for
 * all, that is a constant. */
static void fill_nat(talk *t, unsigned i)
{
  fill_id(t, i);
  memcpy(t->r + 5, (uint8_t[]){198, 41, 0, (uint8_t)(4 + t->client % 2)}, 4);
  draw_bytes(t->r + 9, 9);
}
static void nat(talk *t)
{
  converse(t, 1, 4, fill_nat);
}

static void fill_one_nat(talk *t, unsigned i)
{
  fill_nat(t, i);
  t->r[8] = 4;
}
static void one_nat(talk *t)
{
  converse(t, 1, 4, fill_one_nat);
}

/* Without a NAT, its own address last byte first; and a text that ends in it. */
static void fill_turned(talk *t, unsigned i)
{
  fill_nat(t, i);
  memcpy(t->r + 5, (uint8_t[]){(uint8_t)(19 + t->client % 2), 0, 168, 192}, 4);
}
static void turned(talk *t)
{
  converse(t, 1, 4, fill_turned);
}

static void fill_line(talk *t, unsigned i)
{
  fill_id(t, i);
  memcpy(t->r + 14, "0.0\n", 4);
  t->r[16] = (uint8_t)('8' + t->client % 2);
}
static void line_end(talk *t)
{
  converse(t, 1, 4, fill_line);
}

/* Over IPv6 an address has 16 bytes. */
static void of_ipv6(talk *t)
{
  for (t->client = 0; t->client < CLIENTS; t->client++)
    for (unsigned i = 0; i < 4; i++) {
      char address[32];
      my_message m[2];
      fill_id(t, i);
      t->r_len = 30;
      for (int side = 0; side < 2; side++) {
        m[side] = side == 0 ? message(t, true, t->q, t->q_len) : message(t, false, t->r, t->r_len);
        snprintf(address, sizeof address, "fd09::%u", 2 + t->client % 2);
        assert_int_equal(my_endpoint_parse(&m[side].client, address, 4000), MY_OK);
        assert_int_equal(my_endpoint_parse(&m[side].peer, "fd09::100", 34567), MY_OK);
      }
      m[1].from = m[1].peer;
      memcpy(t->r + 14, m[1].client.bytes, 16);
      assert_int_equal(my_learner_hear(t->learner, &m[0]), MY_OK);
      assert_int_equal(my_learner_hear(t->learner, &m[1]), MY_OK);
    }
}

static void put_be32(uint8_t *out, uint32_t value)
{
  for (size_t i = 0; i < 4; i++)
    out[i] = (uint8_t)(value >> 8 * (3 - i));
}

static void fill_clock(talk *t, unsigned i)
{
  fill_id(t, i);
  put_be32(t->r + 8, 1700000000 + draw(2));
}
static void a_clock(talk *t)
{
  converse(t, 1, 4, fill_clock);
}

/* Whatever is asked, it says the time, and one server's own zeros. */
static void fill_time(talk *t, unsigned i)
{
  (void)i;
  set(t->q, &t->q_len, "0d0a");
  set(t->r, &t->r_len, "0000000000000000");
  put_be32(t->r, 1700000000);
}
static void tells_time(talk *t)
{
  converse(t, 1, 2, fill_time);
}

/* A small number, and the top of one that has not come far. */
static void fill_numbers(talk *t, unsigned i)
{
  fill_id(t, i);
  put_be32(t->r + 8, 3 + draw(2));
  t->r[14] = (uint8_t)(0x10 | i % 6);
}
static void numbers(talk *t)
{
  converse(t, 1, 6, fill_numbers);
}

/* ---- further relations ---- */

static void fill_somewhere(talk *t, unsigned i)
{
  size_t n = draw(30);
  (void)i;
  set(t->q, &t->q_len, "c0ffee000000000000000000");
  draw_bytes(t->q + 4, 8);
  set(t->r, &t->r_len, "e0f1a2b3");
  draw_bytes(t->r + 4, n);
  memcpy(t->r + 4 + n, t->q + 4, 8);
  t->r_len = 12 + n;
}
static void somewhere(talk *t)
{
  converse(t, 1, 6, fill_somewhere);
}

/* All that comes back is changed, behind a name that both sides begin with. */
static void fill_named_added(talk *t, unsigned i)
{
  (void)i;
  set(t->q, &t->q_len, "a7331000000000005501");
  set(t->r, &t->r_len, "a7331100000000772109817744");
  draw_bytes(t->q + 3, 4);
  t->q[6] = (uint8_t)draw(250);
  memcpy(t->r + 3, t->q + 3, 4);
  t->r[6]++;
}
static void named_added(talk *t)
{
  converse(t, 1, 4, fill_named_added);
}

/* A counter of the server's, and a clock in ms whose last byte counts most. */
static void fill_grown(talk *t, unsigned i)
{
  unsigned n = 4 * t->client + i;
  fill_id(t, i);
  set(t->r, &t->r_len, "0000000013880000d296a19a0100003141");
  memcpy(t->r, t->q, 2);
  t->r[5] = (uint8_t)(0x88 + n);
  t->r[7] = (uint8_t)(17 * n + draw(17));
  t->r[8] = (uint8_t)(0x20 + n);
}
static void grown(talk *t)
{
  converse(t, 1, 4, fill_grown);
}

static void fill_complement(talk *t, unsigned i)
{
  fill_moved(t, i);
  memset(t->r + 5, 0x61, 8);
  for (size_t b = 0; b < 4; b++)
    t->r[5 + b] = (uint8_t)~t->q[8 + b];
}
static void complement(talk *t)
{
  converse(t, 1, 6, fill_complement);
}

static void fill_flagged(talk *t, unsigned i)
{
  fill_moved(t, i);
  memset(t->r + 5, 0x61, 8);
  memcpy(t->r + 5, t->q + 8, 4);
  t->r[5] |= 0x80;
}
static void flagged(talk *t)
{
  converse(t, 1, 6, fill_flagged);
}

/* It answers questions of two lengths in two ways. */
static void fill_two(talk *t, unsigned i)
{
  fill_id(t, i);
  if (i % 2 == 0) return;
  t->q_len = 8;
  set(t->r, &t->r_len, "0000c1c2c3c4c5c6");
  memcpy(t->r, t->q, 2);
}
static void two_shapes(talk *t)
{
  converse(t, 1, 8, fill_two);
}

/* Requests of any length, which they say; the checksum is over all but itself. */
static void fill_summed(talk *t, unsigned i)
{
  size_t more = draw(30);
  uint32_t crc = ~0u;
  (void)i;
  set(t->q, &t->q_len, "c0ffee00000000000000000000000000");
  t->q_len = 16 + more;
  t->q[5] = (uint8_t)(t->q_len - 4);
  draw_bytes(t->q + 6, 4);
  draw_bytes(t->q + 16, more);
  for (size_t b = 0; b < t->q_len; b++) {
    crc ^= t->q[b];
    for (int bit = 0; bit < 8; bit++)
      crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  put_be32(t->q + 10, ~crc);
  set(t->r, &t->r_len, "e0f1a2b300000000c4d5");
  memcpy(t->r + 4, t->q + 6, 4);
}
static void summed(talk *t)
{
  converse(t, 1, 8, fill_summed);
}

/* The same question of one length: the sum shows, the length does not. */
static void fill_summed_alike(talk *t, unsigned i)
{
  do
    fill_summed(t, i);
  while (t->q_len != 20);
}
static void summed_alike(talk *t)
{
  converse(t, 1, 4, fill_summed_alike);
}

static void constant_of_three(talk *t);

/* ---- who answers whom ---- */

/* Every reply comes after the next request of its flow was sent. */
static void late(talk *t)
{
  uint8_t reply[256];
  size_t len = 0;
  for (t->client = 0; t->client < CLIENTS; t->client++) {
    len = 0;
    for (unsigned i = 0; i < 10; i++) {
      fill_id(t, i);
      ask(t);
      bool waits = i % 5 == 2;
      if (len > 0) {
        uint8_t mine[256];
        memcpy(mine, t->r, t->r_len);
        memcpy(t->r, reply, len);
        answer(t);
        memcpy(t->r, mine, len);
        len = 0;
      }
      if (waits) {
        memcpy(reply, t->r, t->r_len);
        len = t->r_len;
      } else {
        answer(t);
      }
    }
  }
}

/* As TFTP's servers do: each answer from a port of its own. */
static void other_ports(talk *t)
{
  for (t->client = 0; t->client < CLIENTS; t->client++)
    for (unsigned i = 0; i < 6; i++) {
      fill_id(t, i);
      ask(t);
      my_message m = message(t, false, t->r, t->r_len);
      m.peer.port = m.from.port = (uint16_t)(50000 + i);
      assert_int_equal(my_learner_hear(t->learner, &m), MY_OK);
    }
}

static const struct {
  const char *why;
  void (*make)(talk *t);
  const char *lines[5]; /* that must stand in the text; behind a !, that must not */
} found[] = {
    {"the students' three replies to one request",
     students,
     {"send  id?2 02a16665ea0d", "len   = 11", "@0:2  = $id", "@2    = b0...0111",
      "@3:4  = my.ip"}},
    {"what moves by itself is said to", students, {"vary  @7:4"}},
    {"not in a long reply, of which it may be one server's own",
     moving,
     {"@0:2  = $id", "!vary  @"}},
    {"an id comes back", id, {"id?2 a537", "@0:2  = $id"}},
    {"what stays, from the front", id, {"@2    = a5"}},
    {"answers from other ports", other_ports, {"from-port any", "@0:2  = $id", "of 1 server "}},
    {"two servers are counted", id_of_two_servers, {"of 2 servers"}},
    {"a nonce that comes back elsewhere", moved, {"id?8", "@5:8  = $id"}},
    {"one that comes back last byte first", reversed, {"@5:4  = rev(q@8:4)"}},
    {"one that is counted on", added, {"@5:4  = add(q@8:4,1)"}},
    {"our address under a key of the request", stun, {"id?12", "@28:4 = my.ip ^ 2112a442"}},
    {"a field that says how long the reply is", length, {"= len-4"}},
    {"headers of a text, wherever they stand",
     text,
     {"n2?12:alpha", "h.call = $n2", "h.via has my.ip.text", "h.via has $id"}},
    {"our address is a courtesy beside three things that come back",
     text_of_three,
     {"h.call = $n2", "h.from = $n3", "!my.ip.text"}},
    {"letters behind what a server says of itself", told_behind, {"id?11:alpha", "@ has $id"}},
    {"elements of BER behind one of any length",
     ber,
     {"id?2:pos", "ber.0.2 = $id", "tag.0.3 = a2"}},
    {"keys of bencode", bencode, {"id?4:alpha", "ben./t = $id", "ben./y = \"r\""}},
    {"keys of JSON", json, {"id?8:alpha", "json.id = $id", "json.result = \"true\""}},
    {"elements with type and length, our address and port in one",
     tlv,
     {"view  tlv 20 2 2 be 4", "tlv.20[4:4] = my.ip ^ 2112a442", "@4:16 = q@4:16",
      "@2:2  = len-20"}},
    {"a name of one server's own", named, {"ben./t = $id", "!ben./id ="}},
    {"our address outside of a NAT", nat, {"@0:2  = $id", "@5:4  = my.ip"}},
    {"our address last byte first is not one of a NAT", turned, {"@0:2  = $id", "!my.ip  "}},
    {"nor is the end of a line", line_end, {"@0:2  = $id", "!my.ip  "}},
    {"our address over IPv6", of_ipv6, {"@0:2  = $id", "@14:16 = my.ip"}},
    {"what both sides begin with is no id where one is counted on",
     named_added,
     {"a73310 id?4", "@3:4  = add(q@3:4,1)"}},
    {"the top of a counter or a clock is another soon", grown, {"@0:2  = $id", "!@4 ", "!@9 "}},
    {"what may be one, or a constant", one_nat, {"@0:2  = $id", "!my.ip  "}},
    {"a clock", a_clock, {"@8:4  ~ now.unix"}},
    {"a clock and nothing else", tells_time, {"nofresh", "@0:4  ~ now.unix 60s", "!len ", "!@4"}},
    {"small numbers are none", numbers, {"@0:2  = $id", "!now."}},
    {"the top of a number is no mask", numbers, {"@0:2  = $id", "!= b0001"}},
    {"a nonce that comes back somewhere", somewhere, {"id?8", "@ has $id"}},
    {"one whose bits are turned", complement, {"= not(q@8:4)"}},
    {"one with a bit set", flagged, {"= bitor(q@8:4,80000000)"}},
    {"two questions make two signatures", two_shapes, {"sig example\n", "sig example-2\n", "c1"}},
    {"questions of many lengths, with one and a checksum",
     summed,
     {"be16(len-4) id?4 crc32(q@0:", "@4:4  = $id", "from 32 pairs", "!example-2"}},
    {"a checksum alone", summed_alike, {"c0ffee000010 id?4 crc32(q@0:20)", "@4:4  = $id"}},
    {"three servers that always say the same", constant_of_three, {"nofresh", "of 3 servers"}},
    {"replies that overtake each other find their requests",
     late,
     {"from 40 pairs", "@0:2  = $id"}},
};

static my_learn_options options(void)
{
  return (my_learn_options){.service = "example", .from = "a test"};
}

static void test_found(void **state)
{
  (void)state;
  for (size_t i = 0; i < COUNT(found); i++) {
    talk t = {0};
    my_learned learned;
    my_learn_options o = options();
    seed = i + 1;
    print_message("  %s\n", found[i].why);
    assert_int_equal(my_learner_new(&t.learner), MY_OK);
    found[i].make(&t);
    int rc = my_learner_learn(t.learner, &o, &learned);
    if (rc != MY_OK) print_message("%s\n", learned.needs);
    assert_int_equal(rc, MY_OK);
    for (size_t k = 0; k < COUNT(found[i].lines) && found[i].lines[k] != NULL; k++) {
      bool never = found[i].lines[k][0] == '!';
      if ((strstr(learned.text, found[i].lines[k] + never) == NULL) != never)
        fail_msg("\"%s\" against\n%s", found[i].lines[k], learned.text);
    }
    my_learned_clear(&learned);
    my_learner_free(t.learner);
  }
}

/* ---- what is not ---- */

static void nothing(talk *t)
{
  (void)t;
}

static void fill_noise(talk *t, unsigned i)
{
  (void)i;
  t->q_len = t->r_len = 24;
  draw_bytes(t->q, 24);
  draw_bytes(t->r, 24);
}
static void noise(talk *t)
{
  converse(t, 2, 4, fill_noise);
}

static void fill_echo(talk *t, unsigned i)
{
  fill_noise(t, i);
  memcpy(t->r, t->q, 24);
}
static void echo(talk *t)
{
  converse(t, 2, 4, fill_echo);
}

static void fill_constant(talk *t, unsigned i)
{
  fill_noise(t, i);
  set(t->r, &t->r_len, "a1b2c3d4e5f60718293a4b5c6d7e8f90");
}
static void constant(talk *t)
{
  converse(t, 1, 4, fill_constant);
}
static void constant_of_two(talk *t)
{
  converse(t, 2, 4, fill_constant);
}
static void constant_of_three(talk *t)
{
  converse(t, 3, 4, fill_constant);
}

/* Both sides count what they sent, and began together. */
static void fill_counters(talk *t, unsigned i)
{
  fill_constant(t, i);
  memset(t->q, 0, t->q_len);
  t->q[3] = (uint8_t)i;
  t->r[6] = t->r[7] = t->r[8] = 0;
  t->r[9] = (uint8_t)i;
}
static void counters(talk *t)
{
  converse(t, 1, 6, fill_counters);
}

/* A request and the beginning of a reply that merely say the same. */
static void fill_version(talk *t, unsigned i)
{
  (void)i;
  set(t->q, &t->q_len, "0101000000000000");
  set(t->r, &t->r_len, "0101000000000100000000a1b2c3d4");
  t->r[14] = (uint8_t)draw(256);
}
static void version(talk *t)
{
  converse(t, 1, 4, fill_version);
}

static void once(talk *t)
{
  fill_id(t, 0);
  exchange(t);
}

static const struct {
  const char *why;
  void (*make)(talk *t);
  const char *needs;
} refused[] = {
    {"nothing was said", nothing, "no request with a reply"},
    {"noise owes nothing", noise, "another server"},
    {"an echo service owes everything", echo, "echo service"},
    {"one server that always says the same", constant, "one server alone"},
    {"two servers that do", constant_of_two, "by chance"},
    {"counters that run side by side", counters, "one server alone"},
    {"a version that both name", version, "one server alone"},
    {"one pair", once, "at least 2 more pairs"},
};

static void test_refused(void **state)
{
  (void)state;
  for (size_t i = 0; i < COUNT(refused); i++) {
    talk t = {0};
    my_learned learned;
    my_learn_options o = options();
    seed = i + 1;
    print_message("  %s\n", refused[i].why);
    assert_int_equal(my_learner_new(&t.learner), MY_OK);
    refused[i].make(&t);
    int rc = my_learner_learn(t.learner, &o, &learned);
    if (rc == MY_OK) print_message("%s\n", learned.text);
    assert_int_equal(rc, MY_NOT_YET);
    assert_null(learned.text);
    if (strstr(learned.needs, refused[i].needs) == NULL) fail_msg("\"%s\"", learned.needs);
    my_learner_free(t.learner);
  }
}

/* Chance does not enter a signature: noise of many lengths, alone and behind a fixed header. */
static void test_chance(void **state)
{
  enum { SEEDS = 1000 };
  (void)state;
  for (unsigned i = 0; i < SEEDS; i++) {
    talk t = {0};
    my_learned learned;
    my_learn_options o = options();
    seed = 1000 + i;
    unsigned pairs = 2 + draw(12), q_len = 4 + draw(40), r_len = 4 + draw(60);
    bool header = i % 2 == 0, again = i % 3 == 0;
    assert_int_equal(my_learner_new(&t.learner), MY_OK);
    draw_bytes(t.q, sizeof t.q);
    for (unsigned n = 0; n < pairs; n++) {
      t.q_len = q_len;
      t.r_len = r_len;
      t.client = n % CLIENTS;
      if (!again) draw_bytes(t.q, q_len);
      draw_bytes(t.r, r_len);
      if (header) memset(t.r, 0x80, r_len / 4);
      exchange(&t);
    }
    if (my_learner_learn(t.learner, &o, &learned) == MY_OK)
      fail_msg("seed %u\n%s", i, learned.text);
    my_learner_free(t.learner);
  }
}

/* ---- counter-examples, strictness ---- */

static void test_counter_example(void **state)
{
  talk t = {0};
  my_learned learned;
  my_learn_options o = options();
  (void)state;
  assert_int_equal(my_learner_new(&t.learner), MY_OK);
  id(&t);
  assert_int_equal(my_learner_learn(t.learner, &o, &learned), MY_OK);
  assert_null(strstr(learned.text, "22  "));
  assert_null(strstr(learned.text, "2233  "));
  my_learned_clear(&learned);
  /* Another protocol that begins alike: only what stands further on tells. */
  fill_id(&t, 0);
  memset(t.r + 9, 0x77, 5);
  my_message q = message(&t, true, t.q, t.q_len), r = message(&t, false, t.r, t.r_len);
  assert_int_equal(my_learner_hear_against(t.learner, &q), MY_OK);
  assert_int_equal(my_learner_hear_against(t.learner, &r), MY_OK);
  assert_int_equal(my_learner_learn(t.learner, &o, &learned), MY_OK);
  assert_non_null(strstr(learned.text, "a counter-example"));
  assert_non_null(strstr(learned.text, "22  "));
  my_learned_clear(&learned);
  my_learner_free(t.learner);
}

static void test_strict(void **state)
{
  talk t = {0};
  my_learned learned;
  my_learn_options o = options();
  (void)state;
  o.strict = true;
  assert_int_equal(my_learner_new(&t.learner), MY_OK);
  id(&t);
  assert_int_equal(my_learner_learn(t.learner, &o, &learned), MY_OK);
  assert_non_null(strstr(learned.text, "2233"));
  assert_non_null(strstr(learned.text, "len   = 18"));
  assert_non_null(strstr(learned.text, "sig example\n"));
  assert_non_null(strstr(learned.text, "sig example-strict\n"));
  my_learned_clear(&learned);
  my_learner_free(t.learner);
}

/* More messages and flows than are kept: told so, and learned from all the same. */
static void test_bounds(void **state)
{
  talk t = {0};
  my_learned learned;
  my_learn_options o = options();
  int rc = MY_OK;
  (void)state;
  assert_int_equal(my_learner_new(&t.learner), MY_OK);
  for (unsigned i = 0; i < 20000; i++) {
    t.client = i % 5000;
    fill_id(&t, i);
    my_message q = message(&t, true, t.q, t.q_len), r = message(&t, false, t.r, t.r_len);
    assert_int_equal(my_learner_hear(t.learner, &q), MY_OK);
    rc = my_learner_hear(t.learner, &r);
    assert_true(rc == MY_OK || rc == MY_EFULL);
  }
  assert_int_equal(rc, MY_EFULL);
  t.server = 1; /* finds room all the same */
  for (unsigned i = 0; i < 20; i++) {
    fill_id(&t, i);
    exchange(&t);
  }
  uint8_t *big = calloc(1, 60000);
  my_message q = message(&t, true, big, 60000);
  assert_int_equal(my_learner_hear(t.learner, &q), MY_ERANGE);
  free(big);
  assert_int_equal(my_learner_learn(t.learner, &o, &learned), MY_OK);
  assert_int_equal(learned.pairs, MY_LEARN_ALIKE + 20);
  assert_int_equal(learned.servers, 2);
  my_learned_clear(&learned);
  my_learner_free(t.learner);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_found),  cmocka_unit_test(test_refused),
      cmocka_unit_test(test_chance), cmocka_unit_test(test_counter_example),
      cmocka_unit_test(test_strict), cmocka_unit_test(test_bounds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
