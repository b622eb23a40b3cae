/* engine_test.c - the engine against peers on loopback that the test itself plays. */
#include "engine_world.h"

static const my_span one[] = {{(const uint8_t *)"probe", 5}};
static const my_span three[] = {
    {(const uint8_t *)"first", 5}, {(const uint8_t *)"second", 6}, {(const uint8_t *)"third", 5}};

static const char *const addresses[] = {"127.0.0.1", "::1"};

/* ---- UDP ---- */

/* The plain case in both families: bytes both ways, who we were, when it was. */
static void test_reply(void **state)
{
  (void)state;
  for (int i = 0; i < 2; i++) {
    world w;
    uint8_t bytes[BYTES];
    my_endpoint from;
    begin_world(&w, 0, 0);
    peer p = make_peer(SOCK_DGRAM, addresses[i]);
    int64_t before = my_clock_unix_ns();
    uint64_t id = ask_udp(&w, p.at, one, 1, 50 * MS);
    settle(&w);
    assert_int_equal(hear(&p, bytes, &from), 5);
    assert_memory_equal(bytes, "probe", 5);
    say(&p, &from, TEXT("answer"));
    expect(&w, id, MY_EVENT_REPLY, 0);
    expect_bytes(&w, TEXT("answer"));
    assert_int_equal(w.event.attempt, 0);
    assert_true(my_endpoint_same_address(&w.event.from, &p.at));
    assert_int_equal(w.event.from.port, p.at.port);
    assert_true(my_endpoint_same_address(&w.event.local, &from));
    assert_int_equal(w.event.local.port, from.port);
    assert_true(w.event.sent_ns >= before);
    assert_true(w.event.received_ns >= w.event.sent_ns);
    assert_true(w.event.received_ns <= my_clock_unix_ns());
    expect(&w, id, MY_EVENT_END, MY_REASON_UDP_RESPONSE);
    assert_int_equal(my_engine_cancel(w.e, id), MY_ENOENT);
    close(p.fd);
    end_world(&w);
  }
}

/* The real local address is what the reply was sent to, not what the socket is bound to. */
static void test_local_address(void **state)
{
  (void)state;
  world w;
  uint8_t bytes[BYTES];
  my_endpoint from;
  begin_world(&w, 0, 0);
  peer p = make_peer(SOCK_DGRAM, "127.0.0.1");
  my_exchange x = {.transport = MY_UDP,
                   .peer = p.at,
                   .payloads = one,
                   .payload_count = 1,
                   .timeout_ns = SECOND,
                   .report_sent = true};
  my_endpoint_parse(&x.local, "127.0.0.77", 0);
  uint64_t id = ask(&w, x);
  expect(&w, id, MY_EVENT_SENT, 0);
  assert_int_equal(w.event.local.bytes[3], 77);
  hear(&p, bytes, &from);
  assert_int_equal(from.bytes[3], 77);
  say(&p, &from, TEXT("x"));
  expect(&w, id, MY_EVENT_REPLY, 0);
  assert_int_equal(w.event.local.bytes[3], 77);
  close(p.fd);
  end_world(&w);
}

/* TFTP and BFD answer from another port; some hosts from another address. Both are told as they
 * are. */
static void test_reply_from_elsewhere(void **state)
{
  (void)state;
  world w;
  uint8_t bytes[BYTES];
  my_endpoint from;
  begin_world(&w, 0, 0);
  peer p = make_peer(SOCK_DGRAM, "127.0.0.1"), other = make_peer(SOCK_DGRAM, "127.0.0.1"),
       stranger = make_peer(SOCK_DGRAM, "127.0.0.5");
  uint64_t id = ask_udp(&w, p.at, three, 3, 50 * MS);
  settle(&w);
  hear(&p, bytes, &from);
  say(&stranger, &from, TEXT("noise"));
  expect(&w, id, MY_EVENT_REPLY, 0);
  assert_int_equal(w.event.from.bytes[3], 5);
  w.skew += 1001 * MS; /* a stranger does not keep us from asking again */
  settle(&w);
  hear(&p, bytes, &from);
  say(&other, &from, TEXT("answer"));
  expect(&w, id, MY_EVENT_REPLY, 0);
  assert_int_equal(w.event.from.port, other.at.port);
  assert_int_equal(w.event.attempt, 1);
  expect(&w, id, MY_EVENT_END, MY_REASON_UDP_RESPONSE);
  assert_false(readable(p.fd, 0)); /* but the peer's host does */
  close(p.fd);
  close(other.fd);
  close(stranger.fd);
  end_world(&w);
}

static void test_two_replies_and_an_empty_one(void **state)
{
  (void)state;
  world w;
  uint8_t bytes[BYTES];
  my_endpoint from;
  begin_world(&w, 0, 0);
  peer p = make_peer(SOCK_DGRAM, "127.0.0.1");
  uint64_t id = ask_udp(&w, p.at, one, 1, 50 * MS);
  settle(&w);
  hear(&p, bytes, &from);
  say(&p, &from, TEXT("a"));
  say(&p, &from, TEXT(""));
  expect(&w, id, MY_EVENT_REPLY, 0);
  expect_bytes(&w, TEXT("a"));
  expect(&w, id, MY_EVENT_REPLY, 0);
  expect_bytes(&w, TEXT(""));
  expect(&w, id, MY_EVENT_END, MY_REASON_UDP_RESPONSE);
  close(p.fd);
  end_world(&w);
}

/* An empty probe is a probe (some services answer it), and 65507 bytes are the most that fit. */
static void test_sizes(void **state)
{
  (void)state;
  world w;
  static uint8_t big[65508], bytes[BYTES];
  my_endpoint from;
  my_span payloads[] = {{NULL, 0}, {big, 65507}, {big, 65508}};
  memset(big, 0x5a, sizeof big);
  begin_world(&w, 0, 0);
  peer p = make_peer(SOCK_DGRAM, "127.0.0.1");
  uint64_t id = ask_udp(&w, p.at, &payloads[0], 1, SECOND);
  settle(&w);
  assert_int_equal(hear(&p, bytes, &from), 0);
  assert_int_equal(my_engine_cancel(w.e, id), MY_OK);
  id = ask_udp(&w, p.at, &payloads[1], 1, SECOND);
  settle(&w);
  assert_int_equal(hear(&p, bytes, &from), 65507);
  say(&p, &from, payloads[1]);
  expect(&w, id, MY_EVENT_REPLY, 0);
  expect_bytes(&w, payloads[1]);
  my_exchange x = {.transport = MY_UDP, .peer = p.at, .payloads = &payloads[2], .payload_count = 1};
  assert_int_equal(my_engine_submit(w.e, &x, &id), MY_ERANGE);
  close(p.fd);
  end_world(&w);
}

static void test_port_unreachable(void **state)
{
  (void)state;
  for (int i = 0; i < 2; i++) {
    world w;
    begin_world(&w, 0, 0);
    my_endpoint at = closed_port(SOCK_DGRAM, addresses[i]);
    uint64_t id = ask_udp(&w, at, three, 3, 60 * SECOND);
    expect(&w, id, MY_EVENT_ICMP, MY_REASON_PORT_UNREACH);
    assert_true(my_endpoint_same_address(&w.event.from, &at));
    assert_true(w.event.local.port != 0);
    expect(&w, id, MY_EVENT_END, MY_REASON_PORT_UNREACH); /* at once, not after a minute */
    end_world(&w);
  }
}

/* A port that refuses and all the same answers (from a helper's socket, as inetd's children do) is
 * open: the exchange stays, whichever of the two comes first. */
static void test_reply_beside_unreachable(void **state)
{
  (void)state;
  world w;
  begin_world(&w, 0, 0);
  peer other = make_peer(SOCK_DGRAM, "127.0.0.1");
  my_exchange x = {.transport = MY_UDP,
                   .peer = closed_port(SOCK_DGRAM, "127.0.0.1"),
                   .payloads = one,
                   .payload_count = 1,
                   .timeout_ns = 60 * SECOND,
                   .report_sent = true};
  uint64_t id = ask(&w, x);
  assert_int_equal(step(&w), 2); /* sent, and refused already */
  expect(&w, id, MY_EVENT_SENT, 0);
  my_endpoint from = w.event.local;
  expect(&w, id, MY_EVENT_ICMP, MY_REASON_PORT_UNREACH);
  say(&other, &from, TEXT("answer"));
  expect(&w, id, MY_EVENT_REPLY, 0);
  expect_quiet(&w);
  w.skew += 60 * SECOND;
  expect(&w, id, MY_EVENT_END, MY_REASON_UDP_RESPONSE);
  close(other.fd);
  end_world(&w);
}

/* Each attempt has its own bytes and its own source port; then silence is said. */
static void test_silence(void **state)
{
  (void)state;
  world w;
  uint8_t bytes[BYTES];
  my_endpoint from[3];
  begin_world(&w, 0, 0);
  peer p = make_peer(SOCK_DGRAM, "127.0.0.1");
  int64_t sent = my_clock_ns();
  uint64_t id = ask_udp(&w, p.at, three, 3, 30 * SECOND);
  settle(&w);
  for (int i = 0; i < 3; i++) {
    size_t len = hear(&p, bytes, &from[i]);
    assert_int_equal(len, three[i].len);
    assert_memory_equal(bytes, three[i].data, len);
    if (i == 2) break;
    w.skew += (800 << i) * MS; /* the first wait is 1 s, the next 2 */
    settle(&w);
    if (my_clock_ns() - sent < 200 * MS) assert_false(readable(p.fd, 0));
    w.skew += (210 << i) * MS;
    sent = my_clock_ns();
    settle(&w);
  }
  assert_true(from[0].port != from[1].port && from[1].port != from[2].port &&
              from[0].port != from[2].port);
  assert_false(readable(p.fd, 0));
  w.skew += 20 * SECOND;
  expect_quiet(&w); /* half a minute to listen after the last */
  w.skew += 10 * SECOND;
  expect(&w, id, MY_EVENT_END, MY_REASON_NO_RESPONSE);
  close(p.fd);
  end_world(&w);
}

/* The port says which attempt a reply answers, however late it is. */
static void test_late_reply(void **state)
{
  (void)state;
  world w;
  uint8_t bytes[BYTES];
  my_endpoint first, second;
  begin_world(&w, 0, 0);
  peer p = make_peer(SOCK_DGRAM, "127.0.0.1");
  uint64_t id = ask_udp(&w, p.at, three, 3, SECOND);
  settle(&w);
  hear(&p, bytes, &first);
  w.skew += 1001 * MS;
  settle(&w);
  hear(&p, bytes, &second);
  say(&p, &first, TEXT("late"));
  expect(&w, id, MY_EVENT_REPLY, 0);
  assert_int_equal(w.event.attempt, 0);
  assert_int_equal(w.event.local.port, first.port);
  say(&p, &second, TEXT("in time"));
  expect(&w, id, MY_EVENT_REPLY, 0);
  assert_int_equal(w.event.attempt, 1);
  close(p.fd);
  end_world(&w);
}

/* A step that comes late finds the reply before it finds that the time was up. */
static void test_late_step(void **state)
{
  (void)state;
  world w;
  uint8_t bytes[BYTES];
  my_endpoint from;
  begin_world(&w, 0, 0);
  peer p = make_peer(SOCK_DGRAM, "127.0.0.1");
  uint64_t id = ask_udp(&w, p.at, three, 3, MS);
  settle(&w);
  hear(&p, bytes, &from);
  say(&p, &from, TEXT("answer"));
  w.skew += 100 * SECOND;
  assert_true(step(&w) >= 1);
  expect(&w, id, MY_EVENT_REPLY, 0);
  expect(&w, id, MY_EVENT_END, MY_REASON_UDP_RESPONSE);
  assert_false(readable(p.fd, 0));
  close(p.fd);
  end_world(&w);
}

/* How soon a peer that answered at once is asked again; how long the measured round took is in
 * *round_ns, and how far the machine held us up in *held_ns. */
static int64_t wait_after_quick_reply(int64_t *round_ns, int64_t *held_ns)
{
  world w;
  uint8_t bytes[BYTES];
  my_endpoint from;
  begin_world(&w, 0, 0);
  peer p = make_peer(SOCK_DGRAM, "127.0.0.1");
  int64_t begun = my_clock_ns(), waited = 0;
  uint64_t id = ask_udp(&w, p.at, one, 1, SECOND);
  settle(&w);
  hear(&p, bytes, &from);
  say(&p, &from, TEXT("quick"));
  expect(&w, id, MY_EVENT_REPLY, 0);
  *round_ns = my_clock_ns() - begun;
  my_engine_cancel(w.e, id);
  begun = my_clock_ns();
  ask_udp(&w, p.at, three, 3, SECOND);
  settle(&w);
  hear(&p, bytes, &from);
  for (; !readable(p.fd, 0) && waited < 2 * SECOND; waited += 10 * MS) {
    w.skew += 10 * MS;
    settle(&w);
  }
  *held_ns = my_clock_ns() - begun;
  close(p.fd);
  end_world(&w);
  return waited;
}

/* A measured peer is asked again sooner than an unknown one: 100 ms at the least, not 1 s. */
static void test_round_trip_is_learned(void **state)
{
  (void)state;
  int64_t round_ns, held_ns, waited;
  int tries = 0;
  do /* a round of 30 ms on loopback tells of the machine only */
    waited = wait_after_quick_reply(&round_ns, &held_ns);
  while ((round_ns > 30 * MS || held_ns > 40 * MS) && ++tries < 200);
  assert_true(tries < 200);
  assert_in_range(waited, 60 * MS, 200 * MS);
}

/* Exchanges of one flow leave from one port, and a reply belongs to the one sent last. */
static void test_flow(void **state)
{
  (void)state;
  world w;
  uint8_t bytes[BYTES];
  my_endpoint from[4];
  uint64_t id[4];
  begin_world(&w, 100000, 0);
  peer p = make_peer(SOCK_DGRAM, "127.0.0.1"), q = make_peer(SOCK_DGRAM, "127.0.0.1");
  my_exchange x = {.transport = MY_UDP,
                   .peer = p.at,
                   .payload_count = 1,
                   .timeout_ns = SECOND,
                   .flow = 7,
                   .report_sent = true};
  for (int i = 0; i < 3; i++) {
    x.payloads = &three[i];
    id[i] = ask(&w, x);
    expect(&w, id[i], MY_EVENT_SENT, 0);
    assert_int_equal(hear(&p, bytes, &from[i]), three[i].len);
    assert_int_equal(w.event.local.port, from[i].port);
    assert_int_equal(from[i].port, from[0].port);
  }
  x.flow = 8; /* another flow, another port */
  id[3] = ask(&w, x);
  expect(&w, id[3], MY_EVENT_SENT, 0);
  hear(&p, bytes, &from[3]);
  assert_true(from[3].port != from[0].port);
  say(&p, &from[0], TEXT("x"));
  expect(&w, id[2], MY_EVENT_REPLY, 0);
  x.flow = 7; /* the same flow to another peer: each peer's replies find their own */
  x.peer = q.at;
  uint64_t to_q = ask(&w, x);
  expect(&w, to_q, MY_EVENT_SENT, 0);
  hear(&q, bytes, &from[1]);
  assert_int_equal(from[1].port, from[0].port);
  say(&p, &from[0], TEXT("x"));
  expect(&w, id[2], MY_EVENT_REPLY, 0);
  say(&q, &from[0], TEXT("x"));
  expect(&w, to_q, MY_EVENT_REPLY, 0);
  close(p.fd);
  close(q.fd);
  end_world(&w);
}

/* In a flow each ICMP error finds the exchange whose datagram it quotes. */
static void test_flow_unreachable(void **state)
{
  (void)state;
  world w;
  uint64_t id[3];
  bool closed[3] = {false};
  begin_world(&w, 100000, 0);
  my_exchange x = {.transport = MY_UDP,
                   .peer = closed_port(SOCK_DGRAM, "127.0.0.1"),
                   .payload_count = 1,
                   .timeout_ns = 60 * SECOND,
                   .flow = 7};
  for (int i = 0; i < 3; i++) {
    x.payloads = &three[i / 2]; /* two alike: then one that knows of no error yet */
    id[i] = ask(&w, x);
  }
  for (int ends = 0; ends < 3;) {
    assert_true(next_within(&w, PATIENCE_MS));
    if (w.event.kind != MY_EVENT_END) continue;
    assert_int_equal(w.event.reason, MY_REASON_PORT_UNREACH);
    for (int i = 0; i < 3; i++)
      closed[i] |= w.event.id == id[i];
    ends++;
  }
  assert_true(closed[0] && closed[1] && closed[2]);
  end_world(&w);
}

/* A given source port is used, by two exchanges if need be. */
static void test_local_port(void **state)
{
  (void)state;
  world w;
  uint8_t bytes[BYTES];
  my_endpoint from, mine = closed_port(SOCK_DGRAM, "127.0.0.1");
  begin_world(&w, 0, 0);
  peer p = make_peer(SOCK_DGRAM, "127.0.0.1");
  my_exchange x = {.transport = MY_UDP,
                   .peer = p.at,
                   .local = mine,
                   .payloads = three,
                   .payload_count = 3,
                   .timeout_ns = SECOND};
  ask(&w, x);
  ask(&w, x);
  settle(&w);
  for (int i = 0; i < 2; i++) {
    if (i) assert_true(!next_within(&w, 5));
    hear(&p, bytes, &from);
    assert_int_equal(from.port, mine.port);
  }
  w.skew += 1010 * MS;
  settle(&w);
  hear(&p, bytes, &from);
  assert_int_equal(from.port, mine.port);
  close(p.fd);
  end_world(&w);
}

/* On loopback a probe can meet a port of our own engine: that is nobody's reply. */
static void test_own_datagrams(void **state)
{
  (void)state;
  world w;
  begin_world(&w, 0, 0);
  peer p = make_peer(SOCK_DGRAM, "127.0.0.1");
  my_exchange x = {.transport = MY_UDP,
                   .peer = p.at,
                   .payloads = one,
                   .payload_count = 1,
                   .timeout_ns = 60 * SECOND,
                   .report_sent = true};
  uint64_t victim = ask(&w, x);
  expect(&w, victim, MY_EVENT_SENT, 0);
  x.peer.port = w.event.local.port;
  uint64_t prober = ask(&w, x);
  expect(&w, prober, MY_EVENT_SENT, 0);
  expect_quiet(&w);
  /* A port that was ours is anybody's again. */
  uint8_t bytes[BYTES];
  my_endpoint from, heir = x.peer;
  struct sockaddr_storage ss;
  assert_int_equal(my_engine_cancel(w.e, victim), MY_OK);
  peer q = {.fd = socket(AF_INET, SOCK_DGRAM, 0), .at = heir};
  socklen_t len = sockaddr_of(&heir, &ss);
  assert_int_equal(bind(q.fd, (void *)&ss, len), 0);
  uint64_t id = ask(&w, x);
  expect(&w, id, MY_EVENT_SENT, 0);
  hear(&q, bytes, &from);
  say(&q, &from, TEXT("x"));
  expect(&w, id, MY_EVENT_REPLY, 0);
  close(p.fd);
  close(q.fd);
  end_world(&w);
}

static void test_send_errors(void **state)
{
  (void)state;
  world w;
  my_endpoint broadcast;
  begin_world(&w, 0, 0);
  my_endpoint_parse(&broadcast, "255.255.255.255", 9);
  uint64_t id = ask_udp(&w, broadcast, three, 3, 60 * SECOND);
  expect(&w, id, MY_EVENT_END, MY_REASON_ADMIN_PROHIBITED);
  assert_int_equal(w.event.error, EACCES);
  id = ask_tcp(&w, broadcast, 60 * SECOND);
  expect(&w, id, MY_EVENT_END, MY_REASON_NET_UNREACH);
  my_exchange x = {.transport = MY_UDP,
                   .peer = closed_port(SOCK_DGRAM, "127.0.0.1"),
                   .payloads = one,
                   .payload_count = 1};
  my_endpoint_parse(&x.local, "192.0.2.1", 0); /* not an address of this machine */
  id = ask(&w, x);
  expect(&w, id, MY_EVENT_END, MY_REASON_SYSTEM);
  assert_int_equal(w.event.error, EADDRNOTAVAIL);
  end_world(&w);
}

static void test_arguments(void **state)
{
  (void)state;
  world w;
  uint64_t id = 0;
  begin_world(&w, 0, 0);
  my_exchange good = {.transport = MY_UDP, .payloads = one, .payload_count = 1}, x;
  my_endpoint_parse(&good.peer, "127.0.0.1", 9);
  x = good, x.peer.family = 0;
  assert_int_equal(my_engine_submit(w.e, &x, &id), MY_ERANGE);
  x = good, x.peer.port = 0;
  assert_int_equal(my_engine_submit(w.e, &x, &id), MY_ERANGE);
  x = good, x.payload_count = 0;
  assert_int_equal(my_engine_submit(w.e, &x, &id), MY_ERANGE);
  x = good, x.payload_count = 256;
  assert_int_equal(my_engine_submit(w.e, &x, &id), MY_ERANGE);
  x = good, x.timeout_ns = -1;
  assert_int_equal(my_engine_submit(w.e, &x, &id), MY_ERANGE);
  x = good, x.transport = MY_TLS;
  assert_int_equal(my_engine_submit(w.e, &x, &id), MY_ERANGE);
  x = good, my_endpoint_parse(&x.local, "::1", 0); /* another family than the peer's */
  assert_int_equal(my_engine_submit(w.e, &x, &id), MY_ERANGE);
  x = good, x.timeout_ns = INT64_MAX; /* for ever, without overflow */
  assert_int_equal(my_engine_submit(w.e, &x, &id), MY_OK);
  settle(&w);
  assert_int_equal(my_engine_send(w.e, id + 1, TEXT("x")), MY_ENOENT);
  assert_int_equal(my_engine_receive(w.e, 0, 1, 1), MY_ENOENT);
  assert_int_equal(my_engine_cancel(w.e, UINT64_MAX), MY_ENOENT);
  my_engine *e = (my_engine *)&w;
  static const my_engine_config bad[] = {
      {.rate_pps = -1}, {.spin_ns = -1}, {.spin_ns = 11 * MS}, /* would hold the host up */
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_int_equal(my_engine_new(&e, &bad[i]), MY_ERANGE);
    assert_null(e);
  }
  my_engine_free(NULL);
  end_world(&w);
}

/* ---- how exchanges leave ---- */

static void test_leaving(void **state)
{
  (void)state;
  static const struct {
    const char *interface, *source, *local; /* of the engine; of the exchange */
    int rc;
    const char *from;
  } rows[] = {
      {NULL, "127.0.0.3", NULL, MY_OK, "127.0.0.3"},
      {NULL, "127.0.0.3", "127.0.0.4", MY_OK, "127.0.0.4"}, /* it says so itself */
      {NULL, "::1", NULL, MY_OK, "127.0.0.1"},              /* not of its family */
      {"lo", NULL, NULL, MY_OK, "127.0.0.1"},
      {"lo", "127.0.0.3", NULL, MY_OK, "127.0.0.3"},
      {NULL, "192.0.2.77", NULL, MY_ESYS, NULL},
      {"nosuchlink0", NULL, NULL, MY_ESYS, NULL},
      {"a name that no link has", NULL, NULL, MY_ERANGE, NULL},
  };
  const my_span hello = TEXT("hello");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    world w;
    my_engine_config config = {.rate_pps = 1e6, .interface = rows[i].interface};
    my_endpoint local = {0}, heard;
    uint8_t bytes[BYTES];
    char text[MY_ENDPOINT_TEXT];
    memset(&w, 0, sizeof w);
    if (rows[i].source) my_endpoint_parse(&config.source, rows[i].source, 0);
    if (rows[i].local) my_endpoint_parse(&local, rows[i].local, 0);
    assert_int_equal(my_engine_new(&w.e, &config), rows[i].rc);
    if (rows[i].rc != MY_OK) continue;
    peer udp = make_peer(SOCK_DGRAM, "127.0.0.2"), tcp = make_peer(SOCK_STREAM, "127.0.0.2");
    my_exchange x = {.peer = udp.at, .local = local, .timeout_ns = SECOND};
    x.payloads = &hello;
    x.payload_count = 1;
    x.transport = MY_UDP;
    ask(&w, x);
    x.transport = MY_TCP;
    x.peer = tcp.at;
    uint64_t id = ask(&w, x);
    expect(&w, id, MY_EVENT_OPEN, MY_REASON_SYN_ACK);
    assert_string_equal(my_endpoint_address(&w.event.local, text), rows[i].from);
    assert_true(readable(udp.fd, PATIENCE_MS));
    hear(&udp, bytes, &heard);
    assert_string_equal(my_endpoint_address(&heard, text), rows[i].from);
    if (!rows[i].local) {
      assert_int_equal(my_engine_local(w.e, &udp.at, &heard), MY_OK);
      assert_string_equal(my_endpoint_address(&heard, text), rows[i].from);
    }
    close(udp.fd);
    close(tcp.fd);
    end_world(&w);
  }
}

/* ---- pacing and times ---- */

enum { PACED = 20 };

static void test_pacing(void **state)
{
  (void)state;
  world w;
  uint8_t bytes[BYTES], names[PACED];
  my_endpoint from;
  int64_t sent[PACED];
  begin_world(&w, 200, 0); /* 5 ms apart */
  peer p = make_peer(SOCK_DGRAM, "127.0.0.1");
  for (int i = 0; i < PACED; i++) {
    names[i] = (uint8_t)i;
    my_span payload = {&names[i], 1};
    ask(&w, (my_exchange){.transport = MY_UDP,
                          .peer = p.at,
                          .payloads = &payload,
                          .payload_count = 1,
                          .timeout_ns = 60 * SECOND,
                          .report_sent = true});
  }
  for (int i = 0; i < PACED; i++) {
    assert_true(next_within(&w, PATIENCE_MS));
    assert_int_equal(w.event.kind, MY_EVENT_SENT);
    sent[i] = w.event.sent_ns;
  }
  for (int i = 0; i < PACED; i++) {
    hear(&p, bytes, &from);
    assert_int_equal(bytes[0], i); /* in the order asked */
  }
  /* 95 ms at this rate; lateness of up to 10 ms may be made good. */
  assert_true(sent[PACED - 1] - sent[0] >= 80 * MS);
  close(p.fd);
  end_world(&w);
}

/* Silence before does not save up for a burst. */
static void test_no_credit(void **state)
{
  (void)state;
  world w;
  begin_world(&w, 500, 0); /* 2 ms apart */
  peer p = make_peer(SOCK_DGRAM, "127.0.0.1");
  for (int pause = 0; pause < 2; pause++) {
    int64_t before = my_clock_ns();
    uint64_t id[10];
    for (int i = 0; i < 10; i++)
      id[i] = ask(&w, (my_exchange){.transport = MY_UDP,
                                    .peer = p.at,
                                    .payloads = one,
                                    .payload_count = 1,
                                    .timeout_ns = 60 * SECOND,
                                    .report_sent = true});
    int64_t now = my_clock_ns();
    int sent = my_engine_step(w.e, now);
    assert_in_range(sent, 1, 1 + (now - before) / (2 * MS));
    for (int i = 0; i < 10; i++)
      my_engine_cancel(w.e, id[i]);
    usleep(30000);
  }
  close(p.fd);
  end_world(&w);
}

/* Given times are kept whatever the order of asking and the rate. */
static void test_start_times(void **state)
{
  (void)state;
  world w;
  uint8_t bytes[BYTES];
  my_endpoint from;
  begin_world(&w, 0.001, 0);
  peer p = make_peer(SOCK_DGRAM, "127.0.0.1");
  int64_t now = my_clock_ns(), offset = my_clock_unix_ns() - now;
  int64_t start[] = {now + 60 * MS, now + 20 * MS, now + 40 * MS};
  for (int i = 0; i < 3; i++)
    ask(&w, (my_exchange){.transport = MY_UDP,
                          .peer = p.at,
                          .payloads = &three[i],
                          .payload_count = 1,
                          .timeout_ns = 60 * SECOND,
                          .start_ns = start[i],
                          .report_sent = true});
  static const int order[] = {1, 2, 0};
  for (int i = 0; i < 3; i++) {
    assert_true(next_within(&w, PATIENCE_MS));
    assert_int_equal(w.event.kind, MY_EVENT_SENT);
    assert_true(w.event.sent_ns - offset >= start[order[i]] - MS);
    assert_int_equal(hear(&p, bytes, &from), three[order[i]].len);
    assert_memory_equal(bytes, three[order[i]].data, three[order[i]].len);
  }
  close(p.fd);
  end_world(&w);
}

/* The descriptor alone tells a host when to step. */
static void test_descriptor(void **state)
{
  (void)state;
  world w;
  uint8_t bytes[BYTES];
  my_endpoint from;
  begin_world(&w, 0, 0);
  peer p = make_peer(SOCK_DGRAM, "127.0.0.1");
  int fd = my_engine_fd(w.e);
  assert_false(readable(fd, 0));
  assert_int_equal(my_engine_deadline(w.e), INT64_MAX);
  uint64_t id = ask_udp(&w, p.at, one, 1, 60 * SECOND);
  assert_true(readable(fd, PATIENCE_MS)); /* something to send */
  settle(&w);
  assert_false(readable(fd, 0)); /* it waits, and does not make the host spin */
  assert_true(my_engine_deadline(w.e) > my_clock_ns());
  hear(&p, bytes, &from);
  say(&p, &from, TEXT("x"));
  assert_true(readable(fd, PATIENCE_MS)); /* something to read */
  expect(&w, id, MY_EVENT_REPLY, 0);
  assert_false(readable(fd, 0));
  assert_int_equal(my_engine_cancel(w.e, id), MY_OK);
  assert_false(readable(fd, 0));
  assert_int_equal(my_engine_deadline(w.e), INT64_MAX);
  int64_t start = my_clock_ns() + 100 * MS;
  id = ask(&w, (my_exchange){.transport = MY_UDP,
                             .peer = p.at,
                             .payloads = one,
                             .payload_count = 1,
                             .start_ns = start});
  bool early = readable(fd, 0);
  if (my_clock_ns() < start) assert_false(early);
  assert_true(readable(fd, PATIENCE_MS)); /* the time has come */
  step(&w);
  hear(&p, bytes, &from);
  expect(&w, id, MY_EVENT_END, MY_REASON_NO_RESPONSE);
  close(p.fd);
  end_world(&w);
}

/* A host that is woken early is held in step until the time has come, where it wants that: the
 * datagram is never early, and step never returns without it. */
static void test_spin(void **state)
{
  (void)state;
  static const struct {
    int64_t spin, before; /* ns; how long before its start step is called */
    bool sends;
  } rows[] = {
      {0, 5 * MS, false},
      {10 * MS, 5 * MS, true},
      {10 * MS, 500 * MS, false}, /* too far off to burn time for */
      {5 * MS, 0, true},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    world w;
    begin_world(&w, 0, 0);
    my_engine_free(w.e);
    my_engine_config config = {.rate_pps = 1e6, .spin_ns = rows[i].spin};
    assert_int_equal(my_engine_new(&w.e, &config), MY_OK);
    peer p = make_peer(SOCK_DGRAM, "127.0.0.1");
    int64_t start = my_clock_ns() + SECOND;
    ask(&w, (my_exchange){.transport = MY_UDP,
                          .peer = p.at,
                          .payloads = one,
                          .payload_count = 1,
                          .timeout_ns = SECOND,
                          .start_ns = start});
    assert_int_equal(my_engine_deadline(w.e), start - rows[i].spin);
    int64_t called = my_clock_ns();
    assert_true(my_engine_step(w.e, start - rows[i].before) >= 0);
    if (rows[i].sends) assert_true(my_clock_ns() - called >= rows[i].before);
    assert_int_equal(readable(p.fd, rows[i].sends ? PATIENCE_MS : 0), rows[i].sends);
    close(p.fd);
    end_world(&w);
  }
}

/* One question a second to an address, whether it is a new one, one again, or has a time of its
 * own; others do not wait. */
static void test_limits(void **state)
{
  (void)state;
  world w;
  my_limits *limits;
  const my_limits_config least = {.per_host = 1};
  const my_span twice[] = {TEXT("a"), TEXT("b")};
  peer first = make_peer(SOCK_DGRAM, "127.0.0.1"), second = make_peer(SOCK_DGRAM, "127.0.0.2");
  memset(&w, 0, sizeof w);
  assert_int_equal(my_limits_new(&limits, &least), MY_OK);
  assert_int_equal(my_engine_new(&w.e, &(my_engine_config){.rate_pps = 1e6, .limits = limits}),
                   MY_OK);
  int64_t at = my_clock_ns();
  my_exchange x = {.transport = MY_UDP, .peer = first.at, .payloads = twice, .payload_count = 2};
  ask(&w, x);
  x.start_ns = at + 1;
  x.payload_count = 1;
  x.timeout_ns = 100 * SECOND;
  ask(&w, x);
  x.start_ns = 0;
  ask(&w, x);
  x.peer = second.at;
  ask(&w, x);
  /* After so many ms: how many have come to each by then. The second attempt of the first is due
   * after a second, when the two others have taken their turns. */
  static const struct {
    int64_t ms;
    int one, two;
  } rows[] = {{0, 1, 1},    {990, 1, 1},  {1010, 2, 1}, {1990, 2, 1},
              {2010, 3, 1}, {2990, 3, 1}, {3020, 4, 1}};
  int heard[2] = {0};
  at = my_clock_ns();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    uint8_t bytes[BYTES];
    my_endpoint from;
    assert_true(my_engine_step(w.e, at + rows[i].ms * MS) >= 0);
    assert_true(my_engine_step(w.e, at + rows[i].ms * MS) >=
                0); /* what is due joins those that want to send */
    for (; readable(first.fd, 0); heard[0]++)
      hear(&first, bytes, &from);
    for (; readable(second.fd, 0); heard[1]++)
      hear(&second, bytes, &from);
    assert_int_equal(heard[0], rows[i].one);
    assert_int_equal(heard[1], rows[i].two);
  }
  close(first.fd);
  close(second.fd);
  end_world(&w);
  my_limits_free(limits);
}

/* One TCP connection at a time: the second waits until the first has ended, datagrams before it do
 * not. */
static void test_max_connections(void **state)
{
  (void)state;
  world w;
  uint8_t bytes[BYTES];
  my_endpoint from;
  const my_span hello = TEXT("hello");
  peer server = make_peer(SOCK_STREAM, "127.0.0.1"), p = make_peer(SOCK_DGRAM, "127.0.0.1");
  memset(&w, 0, sizeof w);
  assert_int_equal(my_engine_new(&w.e, &(my_engine_config){.rate_pps = 1e6, .max_connections = 1}),
                   MY_OK);
  uint64_t first = ask_tcp(&w, server.at, SECOND);
  ask_udp(&w, p.at, &hello, 1, 100 * SECOND);
  uint64_t second = ask_tcp(&w, server.at, SECOND);
  expect(&w, first, MY_EVENT_OPEN, MY_REASON_NONE);
  hear(&p, bytes, &from);
  expect_quiet(&w);
  assert_int_equal(my_engine_cancel(w.e, first), MY_OK);
  expect(&w, second, MY_EVENT_OPEN, MY_REASON_NONE);
  close(server.fd);
  close(p.fd);
  end_world(&w);
}

/* ---- many ---- */

/* Answer everything that lies at the peer, without waiting. */
static void answer_all(const peer *p)
{
  struct sockaddr_storage ss;
  uint8_t byte[16];
  for (;;) {
    socklen_t len = sizeof ss;
    ssize_t n = recvfrom(p->fd, byte, sizeof byte, MSG_DONTWAIT, (void *)&ss, &len);
    if (n < 0) return;
    sendto(p->fd, byte, (size_t)n, 0, (void *)&ss, len);
  }
}

enum { MANY = 3000 };

/* Run MANY one-datagram exchanges against an answering peer; every one must end, answered. */
static void run_many(world *w, size_t attempts)
{
  peer p = make_peer(SOCK_DGRAM, "127.0.0.1");
  size_t ended = 0, answered = 0;
  for (int i = 0; i < MANY; i++)
    ask_udp(w, p.at, three, attempts, MS);
  int64_t until = my_clock_ns() + PATIENCE_MS * MS;
  while (ended < MANY && my_clock_ns() < until) {
    assert_true(step(w) >= 0);
    answer_all(&p);
    while (take(w)) {
      if (w->event.kind != MY_EVENT_END) continue;
      ended++;
      answered += w->event.reason == MY_REASON_UDP_RESPONSE;
      assert_true(w->event.reason != MY_REASON_SYSTEM);
    }
    readable(my_engine_fd(w->e), 1);
  }
  assert_int_equal(ended, MANY);
  assert_true(answered > MANY * 9 / 10); /* the listening time of 1 ms is short on purpose */
  close(p.fd);
}

static rlim_t limit_descriptors(rlim_t soft)
{
  struct rlimit r;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &r), 0);
  rlim_t before = r.rlim_cur;
  r.rlim_cur = soft;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &r), 0);
  return before;
}

/* The number that the next descriptor would get. */
static rlim_t next_descriptor(void)
{
  int fd = dup(0);
  assert_true(fd >= 0);
  close(fd);
  return (rlim_t)fd;
}

static void test_most_open(void **state)
{
  (void)state;
  world w;
  begin_world(&w, 1e6, 3);
  rlim_t before = limit_descriptors(next_descriptor() + 1 + 3 * 3); /* the peer, three of three */
  run_many(&w, 3);
  limit_descriptors(before);
  end_world(&w);
}

/* A limit known at the start. */
static void test_few_descriptors(void **state)
{
  (void)state;
  world w;
  rlim_t before = limit_descriptors(next_descriptor() + 40);
  begin_world(&w, 1e6, 0);
  run_many(&w, 1);
  limit_descriptors(before);
  end_world(&w);
}

/* Every attempt that may come has its descriptor set aside, and an answer gives back what is not
 * needed. */
static void test_set_aside(void **state)
{
  (void)state;
  world w;
  uint8_t bytes[BYTES];
  my_endpoint from;
  rlim_t before = limit_descriptors(40); /* of them 40 / 2 + 1 for an engine, so seven exchanges */
  begin_world(&w, 0, 0);
  peer p = make_peer(SOCK_DGRAM, "127.0.0.1");
  for (int again = 0; again < 2; again++) { /* and the books are balanced afterwards */
    uint64_t id[40];
    int heard = 0, at_first = 0;
    for (int i = 0; i < 40; i++)
      id[i] = ask_udp(&w, p.at, three, 3, 60 * SECOND);
    expect_quiet(&w);
    for (; readable(p.fd, 0) && at_first < 40; at_first++) {
      hear(&p, bytes, &from);
      say(&p, &from, TEXT("x"));
    }
    assert_int_equal(at_first, 7);
    for (; next_within(&w, 20); heard++)
      answer_all(&p);
    assert_int_equal(heard, 19); /* 18 that keep one, and the last that may want three */
    for (int i = 0; i < 40; i++)
      my_engine_cancel(w.e, id[i]);
  }
  limit_descriptors(before);
  close(p.fd);
  end_world(&w);
}

/* Others in the process used the descriptors up: the engine meets EMFILE and loses nothing. */
static void test_sudden_shortage(void **state)
{
  (void)state;
  world w;
  begin_world(&w, 1e6, 0);
  rlim_t before = limit_descriptors(next_descriptor() + 8);
  run_many(&w, 1);
  run_many(&w, 3);
  limit_descriptors(before);
  end_world(&w);
}

/* All sockets are taken by first attempts, and every exchange wants a second: nobody waits for
 * ever. */
static void test_shortage_of_silent_ones(void **state)
{
  (void)state;
  world w;
  begin_world(&w, 1e6, 0);
  peer p = make_peer(SOCK_DGRAM, "127.0.0.1");
  rlim_t before = limit_descriptors(next_descriptor() + 8);
  for (int i = 0; i < 50; i++)
    ask_udp(&w, p.at, three, 3, SECOND);
  int ended = 0;
  for (int turn = 0; turn < 400 && ended < 50; turn++) {
    settle(&w);
    while (take(&w)) {
      assert_int_equal(w.event.kind, MY_EVENT_END);
      assert_int_equal(w.event.reason, MY_REASON_NO_RESPONSE);
      ended++;
    }
    w.skew += 500 * MS;
  }
  limit_descriptors(before);
  assert_int_equal(ended, 50);
  close(p.fd);
  end_world(&w);
}

/* Nothing of ours is open that could end: then it is said. */
static void test_no_descriptor_at_all(void **state)
{
  (void)state;
  world w;
  begin_world(&w, 0, 0);
  my_endpoint at = closed_port(SOCK_DGRAM, "127.0.0.1");
  rlim_t before = limit_descriptors(next_descriptor());
  uint64_t udp = ask_udp(&w, at, three, 3, SECOND), tcp = ask_tcp(&w, at, SECOND);
  expect(&w, udp, MY_EVENT_END, MY_REASON_SYSTEM);
  assert_int_equal(w.event.error, EMFILE);
  expect(&w, tcp, MY_EVENT_END, MY_REASON_SYSTEM);
  limit_descriptors(before);
  end_world(&w);
}

static void test_cancel(void **state)
{
  (void)state;
  world w;
  uint8_t bytes[BYTES];
  my_endpoint from;
  begin_world(&w, 0, 0);
  peer p = make_peer(SOCK_DGRAM, "127.0.0.1");
  uint64_t waiting = ask(&w, (my_exchange){.transport = MY_UDP,
                                           .peer = p.at,
                                           .payloads = one,
                                           .payload_count = 1,
                                           .start_ns = my_clock_ns() + SECOND});
  uint64_t ready = ask_udp(&w, p.at, one, 1, SECOND);
  assert_int_equal(my_engine_cancel(w.e, waiting), MY_OK);
  assert_int_equal(my_engine_cancel(w.e, waiting), MY_ENOENT);
  assert_int_equal(my_engine_cancel(w.e, ready), MY_OK);
  settle(&w);
  assert_false(readable(p.fd, 0)); /* never sent */
  uint64_t heard = ask_udp(&w, p.at, one, 1, 30 * SECOND),
           other = ask_udp(&w, p.at, one, 1, 60 * SECOND);
  settle(&w);
  for (int i = 0; i < 2; i++) {
    while (!readable(p.fd, 1))
      settle(&w);
    hear(&p, bytes, &from);
    say(&p, &from, TEXT("x"));
    say(&p, &from, TEXT("y"));
  }
  w.skew += 30 * SECOND;
  settle(&w); /* two replies each and one END wait */
  assert_int_equal(step(&w), 5);
  assert_int_equal(my_engine_cancel(w.e, heard), MY_OK);
  assert_int_equal(step(&w), 2);
  expect(&w, other, MY_EVENT_REPLY, 0);
  /* The bytes of an event outlive the cancelling of its exchange, until the next event is asked
   * for. */
  my_span kept = w.event.data;
  assert_int_equal(my_engine_cancel(w.e, other), MY_OK);
  assert_memory_equal(kept.data, "x", 1);
  assert_false(take(&w));
  close(p.fd);
  end_world(&w);
}

/* Free at every stage of an exchange's life; the sanitizers and valgrind look for what is left. */
static void test_free_in_flight(void **state)
{
  (void)state;
  world w;
  uint8_t bytes[BYTES];
  my_endpoint from;
  begin_world(&w, 10, 2);
  peer p = make_peer(SOCK_DGRAM, "127.0.0.1"), q = make_peer(SOCK_STREAM, "127.0.0.1");
  rlim_t before = next_descriptor();
  for (int i = 0; i < 5; i++)
    ask_udp(&w, p.at, three, 3, SECOND);
  ask(&w, (my_exchange){.transport = MY_UDP,
                        .peer = p.at,
                        .payloads = one,
                        .payload_count = 1,
                        .flow = 3,
                        .start_ns = my_clock_ns()});
  uint64_t id = ask_tcp(&w, q.at, SECOND);
  ask(&w, (my_exchange){.transport = MY_UDP,
                        .peer = p.at,
                        .payloads = one,
                        .payload_count = 1,
                        .start_ns = my_clock_ns() + SECOND});
  settle(&w);
  hear(&p, bytes, &from);
  say(&p, &from, TEXT("queued, never fetched"));
  w.skew += 200 * MS;
  settle(&w);
  (void)id;
  take(&w);
  end_world(&w);
  assert_true(next_descriptor() < before + 1); /* and its descriptors are gone */
  close(p.fd);
  close(q.fd);
}

/* Nobody fetches: memory stays bounded, and when somebody does, reading goes on. */
static void test_bounded_memory(void **state)
{
  (void)state;
  world w;
  static uint8_t big[60000];
  uint8_t bytes[BYTES];
  my_endpoint from;
  begin_world(&w, 0, 0);
  peer p = make_peer(SOCK_DGRAM, "127.0.0.1");
  uint64_t id = ask_udp(&w, p.at, one, 1, 3600 * SECOND);
  settle(&w);
  hear(&p, bytes, &from);
  int waiting = 0;
  for (int i = 0; i < 400; i++) {
    say(&p, &from, (my_span){big, sizeof big});
    waiting = step(&w);
  }
  assert_true(waiting > 250 && waiting < 300); /* 16 MiB of 60,000 bytes each */
  for (int i = 0; i < waiting; i++)
    expect(&w, id, MY_EVENT_REPLY, 0);
  while (next_within(&w, 50)) {
  } /* what the kernel kept */
  say(&p, &from, TEXT("again"));
  expect(&w, id, MY_EVENT_REPLY, 0);
  expect_bytes(&w, TEXT("again"));
  close(p.fd);
  end_world(&w);
}

/* ---- TCP ---- */

static int accept_one(const peer *p)
{
  if (!readable(p->fd, PATIENCE_MS)) fail_msg("nobody connected");
  int fd = accept(p->fd, NULL, NULL);
  assert_true(fd >= 0);
  return fd;
}

static void reset(int fd)
{
  struct linger hard = {.l_onoff = 1};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close(fd);
}

/* An open conversation: the engine's id, and our end of it. */
static uint64_t converse(world *w, peer *p, int *ours, const char *address)
{
  begin_world(w, 0, 0);
  *p = make_peer(SOCK_STREAM, address);
  uint64_t id = ask_tcp(w, p->at, SECOND);
  expect(w, id, MY_EVENT_OPEN, 0);
  *ours = accept_one(p);
  return id;
}

static void test_tcp_conversation(void **state)
{
  (void)state;
  for (int i = 0; i < 2; i++) {
    world w;
    peer p;
    char bytes[16];
    int ours;
    uint64_t id = converse(&w, &p, &ours, addresses[i]);
    assert_int_equal(w.event.reason, MY_REASON_SYN_ACK);
    assert_true(my_endpoint_same_address(&w.event.from, &p.at));
    assert_true(my_endpoint_same_address(&w.event.local, &p.at));
    assert_true(w.event.local.port != 0);
    assert_true(w.event.received_ns > w.event.sent_ns);
    assert_int_equal(my_engine_send(w.e, id, TEXT("hello")), MY_OK);
    assert_int_equal(recv(ours, bytes, sizeof bytes, 0), 5);
    assert_int_equal(my_engine_receive(w.e, id, 3, 60 * SECOND), MY_OK);
    assert_int_equal(my_engine_receive(w.e, id, 3, 60 * SECOND), MY_ESTATE); /* one at a time */
    expect_quiet(&w);
    assert_int_equal(send(ours, "welcome", 7, 0), 7);
    expect(&w, id, MY_EVENT_DATA, 0);
    expect_bytes(&w, TEXT("wel")); /* no more than asked for */
    assert_true(w.event.received_ns != 0);
    assert_int_equal(my_engine_receive(w.e, id, 100, 60 * SECOND), MY_OK);
    expect(&w, id, MY_EVENT_DATA, 0);
    expect_bytes(&w, TEXT("come"));
    shutdown(ours, SHUT_WR);
    for (int again = 0; again < 2; again++) {
      assert_int_equal(my_engine_receive(w.e, id, 100, 60 * SECOND), MY_OK);
      expect(&w, id, MY_EVENT_EOF, 0);
    }
    assert_int_equal(my_engine_send(w.e, id, TEXT("bye")), MY_OK); /* our half is still open */
    assert_int_equal(recv(ours, bytes, sizeof bytes, 0), 3);
    assert_int_equal(my_engine_cancel(w.e, id), MY_OK);
    assert_int_equal(recv(ours, bytes, sizeof bytes, 0), 0);
    close(ours);
    close(p.fd);
    end_world(&w);
  }
}

static void test_tcp_receive_timeout(void **state)
{
  (void)state;
  world w;
  peer p;
  int ours;
  uint64_t id = converse(&w, &p, &ours, "127.0.0.1");
  assert_int_equal(my_engine_receive(w.e, id, 100, 20 * MS), MY_OK);
  expect(&w, id, MY_EVENT_TIMEOUT, 0);
  assert_int_equal(send(ours, "later", 5, 0), 5);
  expect_quiet(&w); /* nobody asked */
  assert_false(readable(my_engine_fd(w.e), 0));
  assert_int_equal(my_engine_receive(w.e, id, 100, 0),
                   MY_OK); /* what is there comes without waiting */
  expect(&w, id, MY_EVENT_DATA, 0);
  expect_bytes(&w, TEXT("later"));
  assert_int_equal(my_engine_receive(w.e, id, 100, 0), MY_OK);
  expect(&w, id, MY_EVENT_TIMEOUT, 0);
  close(ours);
  close(p.fd);
  end_world(&w);
}

static void test_tcp_reset(void **state)
{
  (void)state;
  world w;
  peer p;
  int ours;
  uint64_t id = converse(&w, &p, &ours, "127.0.0.1"); /* while somebody reads */
  assert_int_equal(my_engine_receive(w.e, id, 100, 60 * SECOND), MY_OK);
  reset(ours);
  expect(&w, id, MY_EVENT_END, MY_REASON_RESET);
  close(p.fd);
  end_world(&w);

  id = converse(&w, &p, &ours, "127.0.0.1"); /* while nobody does */
  reset(ours);
  expect(&w, id, MY_EVENT_END, MY_REASON_RESET);
  assert_int_equal(my_engine_send(w.e, id, TEXT("x")), MY_ENOENT);
  close(p.fd);
  end_world(&w);
}

/* What was said before the reset is not lost with it, and the host does not spin meanwhile. */
static void test_tcp_data_before_reset(void **state)
{
  (void)state;
  world w;
  peer p;
  int ours;
  uint64_t id = converse(&w, &p, &ours, "127.0.0.1");
  assert_int_equal(send(ours, "last words", 10, 0), 10);
  reset(ours);
  expect_quiet(&w);
  assert_false(readable(my_engine_fd(w.e), 0));
  assert_int_equal(my_engine_receive(w.e, id, 100, 60 * SECOND), MY_OK);
  expect(&w, id, MY_EVENT_DATA, 0);
  expect_bytes(&w, TEXT("last words"));
  if (my_engine_receive(w.e, id, 100, 60 * SECOND) != MY_OK) fail();
  expect(&w, id, MY_EVENT_END, MY_REASON_RESET);
  close(p.fd);
  end_world(&w);
}

/* Writing to a peer that is gone: no SIGPIPE, its last words first, then the truth. */
static void test_tcp_write_to_the_dead(void **state)
{
  (void)state;
  world w;
  peer p;
  int ours;
  uint64_t id = converse(&w, &p, &ours, "127.0.0.1");
  assert_int_equal(send(ours, "bye", 3, 0), 3);
  reset(ours);
  assert_int_equal(my_engine_send(w.e, id, TEXT("are you there?")), MY_OK);
  assert_int_equal(my_engine_send(w.e, id, TEXT("and now?")), MY_ESTATE);
  assert_int_equal(my_engine_receive(w.e, id, 100, 60 * SECOND), MY_OK);
  expect(&w, id, MY_EVENT_DATA, 0);
  expect_bytes(&w, TEXT("bye"));
  assert_int_equal(my_engine_receive(w.e, id, 100, 60 * SECOND), MY_OK);
  expect(&w, id, MY_EVENT_END, MY_REASON_RESET);
  close(p.fd);
  end_world(&w);

  id = converse(&w, &p, &ours, "127.0.0.1");
  close(ours); /* an orderly end, then a reset for what we say: the classic way to SIGPIPE */
  for (int i = 0; i < 3; i++)
    my_engine_send(w.e, id, TEXT("are you there?"));
  expect(&w, id, MY_EVENT_END, MY_REASON_RESET);
  close(p.fd);
  end_world(&w);

  id = converse(&w, &p, &ours, "127.0.0.1");
  reset(ours); /* nothing left to read: then the failed send tells at once, and a host that polls
                  sees it */
  assert_int_equal(my_engine_send(w.e, id, TEXT("are you there?")), MY_OK);
  assert_true(readable(my_engine_fd(w.e), PATIENCE_MS));
  expect(&w, id, MY_EVENT_END, MY_REASON_RESET);
  close(p.fd);
  end_world(&w);
}

static void test_tcp_refused(void **state)
{
  (void)state;
  for (int i = 0; i < 2; i++) {
    world w;
    begin_world(&w, 0, 0);
    uint64_t id = ask_tcp(&w, closed_port(SOCK_STREAM, addresses[i]), SECOND);
    expect(&w, id, MY_EVENT_END, MY_REASON_CONN_REFUSED);
    end_world(&w);
  }
}

/* Connected from the very port that is asked, a socket meets itself: that is no service. */
static void test_tcp_self_connect(void **state)
{
  (void)state;
  world w;
  begin_world(&w, 0, 0);
  my_endpoint at = closed_port(SOCK_STREAM, "127.0.0.1");
  uint64_t id = ask(
      &w, (my_exchange){.transport = MY_TCP, .peer = at, .local = at, .timeout_ns = 5 * SECOND});
  expect(&w, id, MY_EVENT_END, MY_REASON_CONN_REFUSED);
  end_world(&w);
}

/* A full backlog leaves a SYN unanswered, as a filter would. */
static void test_tcp_connect_timeout(void **state)
{
  (void)state;
  world w;
  begin_world(&w, 0, 0);
  peer p = make_peer(SOCK_STREAM, "127.0.0.1");
  struct sockaddr_storage ss;
  socklen_t len = sockaddr_of(&p.at, &ss);
  int fill[4];
  assert_int_equal(listen(p.fd, 0), 0);
  for (int i = 0; i < 4; i++) {
    fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(fill[i], (void *)&ss, len);
  }
  uint64_t id = ask_tcp(&w, p.at, 5 * SECOND);
  settle(&w);
  assert_int_equal(my_engine_send(w.e, id, TEXT("x")), MY_ESTATE); /* not open yet */
  assert_int_equal(my_engine_receive(w.e, id, 1, 1), MY_ESTATE);
  expect_quiet(&w);
  w.skew += 5 * SECOND;
  expect(&w, id, MY_EVENT_END, MY_REASON_NO_RESPONSE);
  for (int i = 0; i < 4; i++)
    close(fill[i]);
  close(p.fd);
  end_world(&w);
}

/* More than a socket buffer holds is queued up to a limit, arrives whole and in order. */
static void test_tcp_much(void **state)
{
  (void)state;
  world w;
  peer p;
  int ours;
  static uint8_t out[1 << 20], in[1 << 16];
  for (size_t i = 0; i < sizeof out; i++)
    out[i] = (uint8_t)(i * 7 + i / 251);
  uint64_t id = converse(&w, &p, &ours, "127.0.0.1");
  size_t queued = 0, got = 0;
  int rc = MY_OK;
  for (int i = 0; i < 64; i++) {
    rc = my_engine_send(w.e, id, (my_span){out, sizeof out});
    if (rc != MY_OK) break;
    queued += sizeof out;
  }
  assert_int_equal(rc, MY_EFULL); /* nobody reads, so it must fill */
  assert_true(queued >= sizeof out);
  while (got < queued) {
    assert_true(readable(ours, PATIENCE_MS));
    ssize_t n = recv(ours, in, sizeof in, 0);
    assert_true(n > 0);
    for (ssize_t i = 0; i < n; i++)
      if (in[i] != out[(got + (size_t)i) % sizeof out])
        fail_msg("byte %zu differs", got + (size_t)i);
    got += (size_t)n;
    settle(&w);
  }
  assert_int_equal(my_engine_send(w.e, id, TEXT("")), MY_OK);
  assert_false(readable(ours, 0));
  assert_false(readable(my_engine_fd(w.e), 0)); /* all sent: no more waiting to write */
  close(ours);
  close(p.fd);
  end_world(&w);
}

/* Many at once, one of every kind. */
static void test_tcp_many(void **state)
{
  (void)state;
  world w;
  begin_world(&w, 1e6, 50);
  peer p = make_peer(SOCK_STREAM, "127.0.0.1");
  my_endpoint shut = closed_port(SOCK_STREAM, "127.0.0.1");
  uint64_t last = 0;
  int open = 0, refused = 0;
  for (int i = 0; i < 400; i++)
    last = ask_tcp(&w, i % 2 ? shut : p.at, 5 * SECOND);
  while (open + refused < 400) {
    assert_true(next_within(&w, PATIENCE_MS));
    if (w.event.kind == MY_EVENT_OPEN) {
      open++;
      close(accept_one(&p));
      assert_int_equal(my_engine_cancel(w.e, w.event.id), MY_OK);
    } else {
      assert_int_equal(w.event.kind, MY_EVENT_END);
      assert_int_equal(w.event.reason, MY_REASON_CONN_REFUSED);
      refused++;
    }
  }
  assert_int_equal(open, 200);
  assert_int_equal(last, 400); /* ids are never used again */
  close(p.fd);
  end_world(&w);
}

/* ---- names ---- */

static void test_resolve(void **state)
{
  (void)state;
  my_endpoint list[4];
  my_where where;
  assert_int_equal(my_resolve("127.0.0.1", 80, 0, list, 4, &where), 1);
  assert_int_equal(list[0].family, 4);
  assert_int_equal(list[0].port, 80);
  assert_int_equal(my_resolve("::1", 80, 6, list, 4, &where), 1);
  assert_true(my_resolve("localhost", 0, 4, list, 4, &where) >= 1);
  assert_int_equal(my_resolve("::1", 80, 4, list, 4, &where), MY_ENOENT);
  assert_int_equal(my_resolve("name.invalid", 80, 0, list, 4, &where), MY_ENOENT);
  assert_non_null(strstr(where.text, "name.invalid"));
  assert_int_equal(my_resolve("fe80::1%lo", 80, 0, list, 4, &where), 1);
  assert_true(list[0].scope != 0);
  assert_int_equal(my_resolve("name%lo", 80, 0, list, 4, &where), MY_ENOENT);
  my_endpoint remote, local;
  my_endpoint_parse(&remote, "127.0.0.9", 9);
  assert_int_equal(my_route_local(&remote, &local), MY_OK);
  assert_int_equal(local.bytes[0], 127);
  assert_int_equal(local.port, 0);
  uint8_t a[32] = {0}, b[32] = {0};
  assert_int_equal(my_random(a, sizeof a), MY_OK);
  assert_int_equal(my_random(b, sizeof b), MY_OK);
  assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reply),
      cmocka_unit_test(test_local_address),
      cmocka_unit_test(test_reply_from_elsewhere),
      cmocka_unit_test(test_two_replies_and_an_empty_one),
      cmocka_unit_test(test_sizes),
      cmocka_unit_test(test_port_unreachable),
      cmocka_unit_test(test_reply_beside_unreachable),
      cmocka_unit_test(test_silence),
      cmocka_unit_test(test_late_reply),
      cmocka_unit_test(test_late_step),
      cmocka_unit_test(test_spin),
      cmocka_unit_test(test_leaving),
      cmocka_unit_test(test_limits),
      cmocka_unit_test(test_max_connections),
      cmocka_unit_test(test_round_trip_is_learned),
      cmocka_unit_test(test_flow),
      cmocka_unit_test(test_flow_unreachable),
      cmocka_unit_test(test_local_port),
      cmocka_unit_test(test_own_datagrams),
      cmocka_unit_test(test_send_errors),
      cmocka_unit_test(test_arguments),
      cmocka_unit_test(test_pacing),
      cmocka_unit_test(test_no_credit),
      cmocka_unit_test(test_start_times),
      cmocka_unit_test(test_descriptor),
      cmocka_unit_test(test_most_open),
      cmocka_unit_test(test_few_descriptors),
      cmocka_unit_test(test_set_aside),
      cmocka_unit_test(test_sudden_shortage),
      cmocka_unit_test(test_shortage_of_silent_ones),
      cmocka_unit_test(test_no_descriptor_at_all),
      cmocka_unit_test(test_cancel),
      cmocka_unit_test(test_free_in_flight),
      cmocka_unit_test(test_bounded_memory),
      cmocka_unit_test(test_tcp_conversation),
      cmocka_unit_test(test_tcp_receive_timeout),
      cmocka_unit_test(test_tcp_reset),
      cmocka_unit_test(test_tcp_data_before_reset),
      cmocka_unit_test(test_tcp_write_to_the_dead),
      cmocka_unit_test(test_tcp_refused),
      cmocka_unit_test(test_tcp_self_connect),
      cmocka_unit_test(test_tcp_connect_timeout),
      cmocka_unit_test(test_tcp_much),
      cmocka_unit_test(test_tcp_many),
      cmocka_unit_test(test_resolve),
  };
  return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
