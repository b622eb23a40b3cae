/* scan_test.c - the stateless stage against peers of every kind on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mynah/scan.h"
#include "scan_state.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define MS       INT64_C(1000000)

static const char signature[] = "service parrot\n"
                                "  title \"Parrot\"\n"
                                "  from  \"this test\"\n"
                                "sig parrot\n"
                                "  send  id?8 \"who?\"\n"
                                "  len   = 12\n"
                                "  @0:8  = $id\n"
                                "  @8:4  = \"here\"\n"
                                "sig stork\n" /* sends the same, and reads nothing of it */
                                "  send  id?8 \"who?\"\n"
                                "  @0:8  = $id\n"
                                "  @8:4  = \"none\"\n"
                                "sig sparrow\n"
                                "  send  id?8 \"tell\"\n"
                                "  len   = 12\n"
                                "  @0:8  = $id\n"
                                "  @8:4  = \"told\"\n"
                                "sig wanderer\n"
                                "  send  id?8 \"who?\"\n"
                                "  from-port any\n"
                                "  @0:8  = $id\n"
                                "  @8:4  = \"here\"\n";

/* ---- peers ---- */

typedef enum kind {
  ANSWERS,
  TWICE,     /* the same answer again */
  SECOND,    /* only when asked again */
  GARBAGE,   /* something else */
  STALE,     /* the right words, with the nonce of somebody else */
  FROM_ELSE, /* from another port of its own */
  BOTH,      /* something else first, then the answer */
  FLOOD,     /* very much else first */
  SILENT,
  KINDS
} kind;

enum { PEERS = 8 * KINDS, FLOODED = 100 };

typedef struct world {
  int fds[PEERS], other;
  uint16_t ports[PEERS];
  _Atomic unsigned *asked; /* how often each was; counted by the process that answers */
  atomic_bool *over;
  pid_t process;
} world;

static int open_socket(uint16_t *port)
{
  struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof sa;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0);
  getsockname(fd, (struct sockaddr *)&sa, &len);
  *port = ntohs(sa.sin_port);
  return fd;
}

static void answer(world *w, size_t i)
{
  uint8_t bytes[64], other[12] = "????????here";
  struct sockaddr_in from;
  socklen_t len = sizeof from;
  ssize_t n =
      recvfrom(w->fds[i], bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&from, &len);
  if (n != 12) return;
  kind k = (kind)(i % KINDS);
  int fd = k == FROM_ELSE ? w->other : w->fds[i];
  w->asked[i]++;
  if (k == SILENT || (k == SECOND && w->asked[i] == 1)) return;
  memcpy(bytes + 8, "here", 4);
  for (int times = 0; k == FLOOD && times < FLOODED; times++)
    sendto(fd, "what", 4, 0, (struct sockaddr *)&from, len);
  if (k == GARBAGE || k == BOTH) sendto(fd, "what", 4, 0, (struct sockaddr *)&from, len);
  if (k == GARBAGE) return;
  const uint8_t *said = k == STALE ? other : bytes;
  for (int times = k == TWICE ? 2 : 1; times > 0; times--)
    sendto(fd, said, 12, 0, (struct sockaddr *)&from, len);
}

static _Noreturn void serve(world *w)
{
  struct pollfd ready[PEERS];
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (;;) {
    for (size_t i = 0; i < PEERS; i++)
      ready[i] = (struct pollfd){.fd = w->fds[i], .events = POLLIN};
    int n = poll(ready, PEERS, 20);
    if (n == 0 && *w->over) _exit(0); /* all that was sent is read */
    for (size_t i = 0; n > 0 && i < PEERS; i++)
      if (ready[i].revents) answer(w, i);
  }
}

/* In a process of its own: a tool that runs one thread at a time would let nobody answer. */
static void begin(world *w)
{
  uint16_t unused;
  memset((void *)w, 0, sizeof *w);
  for (size_t i = 0; i < PEERS; i++)
    w->fds[i] = open_socket(&w->ports[i]);
  w->other = open_socket(&unused);
  w->asked = mmap(NULL, sizeof *w->asked * PEERS + sizeof *w->over, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_true(w->asked != MAP_FAILED);
  w->over = (atomic_bool *)(w->asked + PEERS);
  w->process = fork();
  assert_true(w->process >= 0);
  if (w->process == 0) serve(w);
}

static void end(world *w)
{
  *w->over = true;
  waitpid(w->process, NULL, 0);
  for (size_t i = 0; i < PEERS; i++)
    close(w->fds[i]);
  close(w->other);
}

/* ---- a scan of them ---- */

typedef struct setting {
  my_sigdb *db;
  my_ranges *targets;
  my_scan_config config;
} setting;

static void set_up_asking(setting *s, const uint16_t *ports, size_t count, unsigned questions)
{
  my_where where;
  my_endpoint here;
  *s = (setting){0};
  assert_int_equal(my_sigdb_new(&s->db), MY_OK);
  my_span text = {(const uint8_t *)signature, sizeof signature - 1};
  assert_int_equal(my_sigdb_add(s->db, "test", text, &where), MY_OK);
  assert_int_equal(my_endpoint_parse(&here, "127.0.0.1", 0), MY_OK);
  assert_int_equal(my_ranges_new(&s->targets), MY_OK);
  for (size_t i = 0; i < count; i++)
    assert_int_equal(my_ranges_ask(s->targets, ports[i], questions), MY_OK);
  int set = my_ranges_ports(s->targets, ports, count);
  assert_int_equal(my_ranges_add(s->targets, &here, &here, set), MY_OK);
  assert_int_equal(my_ranges_seal(s->targets), MY_OK);
  s->config = (my_scan_config){.sig = my_sigdb_find(s->db, "parrot"),
                               .targets = s->targets,
                               .seed = 42,
                               .timeout_ns = 1000 * MS};
  assert_int_equal(my_random(s->config.key.bytes, sizeof s->config.key.bytes), MY_OK);
}

static void set_up(setting *s, const uint16_t *ports, size_t count)
{
  set_up_asking(s, ports, count, 1);
}

static void tear_down(setting *s)
{
  my_ranges_free(s->targets);
  my_sigdb_free(s->db);
}

static my_scan *open_scan(const my_scan_config *config)
{
  my_scan *s;
  my_where where;
  int rc = my_scan_open(&s, config, &where);
  if (rc != MY_OK) print_message("%s\n", where.text);
  assert_int_equal(rc, MY_OK);
  return s;
}

/* Wait for the next answer, or the end of the scan: false. */
static bool next(my_scan *s, my_answer *a)
{
  for (;;) {
    my_scan_counts c;
    my_scan_get_counts(s, &c); /* before the look: nothing comes after it is over */
    if (my_scan_next(s, a) == MY_OK) return true;
    if (c.over) return false;
    struct pollfd ready = {.fd = my_scan_fd(s), .events = POLLIN};
    poll(&ready, 1, 50);
  }
}

static size_t peer_of(const world *w, uint16_t port)
{
  for (size_t i = 0; i < PEERS; i++)
    if (w->ports[i] == port) return i;
  fail_msg("nobody was asked at port %u", port);
  return 0;
}

/* What came of being asked once and of being asked again: replies that hold, that do not, and that
 * come from nobody who was asked. 'least': how often at the least. */
static const struct {
  const char *why;
  bool verified;
  unsigned least, holds, holds_again, fails, strange;
} expected[KINDS] = {
    [ANSWERS] = {"an answer", true, 1, 1, 1, 0, 0},
    [TWICE] = {"twice the same", true, 1, 2, 2, 0, 0},
    [SECOND] = {"the second datagram is answered", true, 2, 0, 1, 0, 0},
    [GARBAGE] = {"garbage", false, 2, 0, 0, 1, 0},
    [STALE] = {"somebody else's nonce", false, 2, 0, 0, 1, 0},
    [FROM_ELSE] = {"another port: which of so many was asked?", false, 2, 0, 0, 0, 1},
    [BOTH] = {"garbage, then an answer", true, 1, 1, 1, 1, 0},
    [FLOOD] = {"a flood of garbage, then an answer", true, 1, 1, 1, FLOODED, 0},
    [SILENT] = {"silence", false, 2, 0, 0, 0, 0},
};

/* What it answers is composed once more: with the nonce that came back. */
static void check_probe(const my_scan *scan, const my_answer *a)
{
  uint8_t probe[MY_PROBE_MAX];
  assert_int_equal(my_scan_probe(scan, a, probe, sizeof probe), 12);
  assert_memory_equal(probe, a->data.data, 8);
}

static void test_kinds(void **state)
{
  (void)state;
  static world w;
  setting s;
  my_scan_counts c;
  my_answer a;
  bool verified[PEERS] = {false};
  begin(&w);
  set_up(&s, w.ports, PEERS);
  my_scan *scan = open_scan(&s.config);
  while (next(scan, &a)) {
    assert_int_equal(a.kind, MY_ANSWER_VERIFIED);
    size_t i = peer_of(&w, a.peer.port);
    assert_false(verified[i]);
    verified[i] = true;
    assert_true(i % KINDS != SECOND || a.attempt == 1);
    assert_true(a.rtt_ns >= 0 || w.asked[i] > 1); /* which of two is answered is not known */
    assert_int_equal(a.data.len, 12);
    check_probe(scan, &a);
  }
  my_scan_get_counts(scan, &c);
  my_scan_close(scan);
  end(&w);
  uint64_t sent = 0, heard = 0, holds = 0, fails = 0, strange = 0;
  for (size_t i = 0; i < PEERS; i++) {
    kind k = (kind)(i % KINDS);
    unsigned asked = w.asked[i];
    if (verified[i] != expected[k].verified)
      print_message("  %s: %d, asked %u times\n", expected[k].why, verified[i], asked);
    assert_int_equal(verified[i], expected[k].verified);
    assert_true(asked >= expected[k].least && asked <= 2); /* a slow machine: asked again */
    sent += asked;
    heard += verified[i];
    holds += expected[k].holds + (asked - 1) * expected[k].holds_again;
    fails += asked * expected[k].fails;
    strange += asked * expected[k].strange;
  }
  assert_int_equal(c.sent, sent);
  assert_int_equal(c.asked, PEERS);
  assert_int_equal(c.verified, heard);
  assert_int_equal(c.duplicates, holds - heard);
  assert_int_equal(c.unverified, fails);
  assert_int_equal(c.strangers, strange);
  assert_int_equal(c.settled, PEERS);
  assert_int_equal(c.error, 0);
  tear_down(&s);
}

/* Where few ports are asked, an answer from another one is traced to its own. */
static void test_from_another_port(void **state)
{
  (void)state;
  static world w;
  setting s;
  my_answer a;
  begin(&w);
  uint16_t ports[] = {w.ports[FROM_ELSE], w.ports[SILENT]};
  set_up(&s, ports, 2);
  s.config.sig = my_sigdb_find(s.db, "wanderer");
  my_scan *scan = open_scan(&s.config);
  assert_true(next(scan, &a));
  assert_int_equal(a.kind, MY_ANSWER_VERIFIED);
  assert_int_equal(a.peer.port, ports[0]);
  assert_int_not_equal(a.from.port, ports[0]);
  assert_false(next(scan, &a));
  my_scan_close(scan);
  end(&w);
  tear_down(&s);
}

/* Nobody listens: an error comes about each, once, and nobody is asked again. */
static void test_closed(void **state)
{
  (void)state;
  enum { CLOSED = 40 };
  uint16_t ports[CLOSED];
  setting s;
  my_answer a;
  my_scan_counts c;
  unsigned count = 0;
  int fds[CLOSED];
  for (size_t i = 0; i < CLOSED; i++)
    fds[i] = open_socket(&ports[i]);
  for (size_t i = 0; i < CLOSED; i++)
    close(fds[i]);
  set_up(&s, ports, CLOSED);
  my_scan *scan = open_scan(&s.config);
  while (next(scan, &a)) {
    assert_int_equal(a.kind, MY_ANSWER_ICMP);
    assert_int_equal(a.reason, MY_REASON_PORT_UNREACH);
    count++;
  }
  my_scan_get_counts(scan, &c);
  my_scan_close(scan);
  assert_int_equal(count, CLOSED);
  assert_int_equal(c.errors, CLOSED);
  assert_int_equal(c.send_errors, 0);
  tear_down(&s);
}

/* Which ports accept a connection: by connecting, and by SYN where we may send frames. */
static void test_tcp(void **state)
{
  (void)state;
  enum { LISTENING = 20, CLOSED = 20, ALL = LISTENING + CLOSED };
  uint16_t ports[ALL];
  int fds[ALL];
  setting s;
  my_answer a;
  my_scan_counts c;
  for (size_t i = 0; i < ALL; i++) {
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;
    fds[i] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fds[i], (struct sockaddr *)&sa, sizeof sa), 0);
    if (i < LISTENING) assert_int_equal(listen(fds[i], 8), 0); /* else bound: nobody else listens */
    getsockname(fds[i], (struct sockaddr *)&sa, &len);
    ports[i] = ntohs(sa.sin_port);
  }
  set_up(&s, ports, ALL);
  s.config.tcp = true;
  for (int raw = 0; raw < 2; raw++) {
    unsigned open = 0, refused = 0;
    if (raw && geteuid() != 0) {
      print_message("  by SYN: skipped, whole frames need root\n");
      break;
    }
    s.config.raw = raw;
    my_scan *scan = open_scan(&s.config);
    while (next(scan, &a)) {
      size_t i = 0;
      while (ports[i] != a.peer.port)
        i++;
      assert_int_equal(a.kind, i < LISTENING ? MY_ANSWER_VERIFIED : MY_ANSWER_ICMP);
      assert_int_equal(a.reason, i < LISTENING ? MY_REASON_SYN_ACK : MY_REASON_CONN_REFUSED);
      assert_true(a.rtt_ns >= 0);
      *(i < LISTENING ? &open : &refused) += 1;
    }
    my_scan_get_counts(scan, &c);
    my_scan_close(scan);
    assert_int_equal(open, LISTENING);
    assert_int_equal(refused, CLOSED);
    assert_int_equal(c.verified, LISTENING);
    assert_int_equal(c.errors, CLOSED);
    assert_int_equal(c.sent, ALL);
  }
  for (size_t i = 0; i < ALL; i++)
    close(fds[i]);
  tear_down(&s);
}

/* A look over the connection that finds a port: what comes by itself, or the answer to a question.
 */
static const char owning[] = "service owner\n"
                             "  title \"Owner\"\n"
                             "  from  \"this test\"\n"
                             "  ports tcp %u\n"
                             "sig owner\n"
                             "  over  tcp\n"
                             "  send  id?8 \"who?\"\n"
                             "  @0:8  = $id\n"
                             "  @8:4  = \"here\"\n";

static const struct look {
  const char *name, *says, *answers;
  bool closes, owned, is_asked, resets;
  my_ending ended;
} looks[] = {
    {"a greeting is heard, and nothing is asked", "hello", NULL, .closes = false},
    {"a greeting, and an end that may come with it", "hello", NULL, .closes = true},
    {"who is silent is asked", NULL, "an answer", .is_asked = true},
    {"the end of an answer", NULL, "an answer", .closes = true, .is_asked = true,
     .ended = MY_CLOSES},
    {"a reset in answer", NULL, NULL, .is_asked = true, .resets = true, .ended = MY_RESETS},
    {"silence stays silence", NULL, NULL, .is_asked = true},
    {"who hangs up is not asked", NULL, NULL, .closes = true, .ended = MY_CLOSES},
    {"a port that belongs to others is not asked", NULL, "an answer", .owned = true},
};

typedef struct host {
  int fds[COUNT(looks)];
  char asked[COUNT(looks)][64];
} host;

static void reset(int *fd)
{
  const struct linger at_once = {1, 0};
  setsockopt(*fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(*fd);
  *fd = -1;
}

/* Serve one connection each. */
static void *serve_looks(void *arg)
{
  host *h = arg;
  int open[COUNT(looks)];
  for (size_t i = 0; i < COUNT(looks); i++) {
    open[i] = accept(h->fds[i], NULL, NULL);
    if (looks[i].says) send(open[i], looks[i].says, strlen(looks[i].says), 0);
    if (looks[i].closes && !looks[i].answers) shutdown(open[i], SHUT_WR);
  }
  for (size_t i = 0; i < COUNT(looks); i++) {
    ssize_t n = recv(open[i], h->asked[i], sizeof h->asked[i] - 1, 0);
    if (n > 0 && looks[i].answers) send(open[i], looks[i].answers, strlen(looks[i].answers), 0);
    if (n > 0 && looks[i].closes) shutdown(open[i], SHUT_WR);
    if (n > 0 && looks[i].resets) reset(&open[i]);
  }
  for (size_t i = 0; i < COUNT(looks); i++) {
    char rest;
    while (open[i] >= 0 &&
           recv(open[i], &rest, 1, 0) > 0) /* until the other side has seen enough */
      ;
    if (open[i] >= 0) close(open[i]);
  }
  return NULL;
}

static void check_look(const my_answer *a, const struct look *l, const char *asked)
{
  char question[64];
  const char *data = l->says ? l->says : l->is_asked && l->answers ? l->answers : "";
  snprintf(question, sizeof question, "ask <127.0.0.1:%u>", a->peer.port);
  if (a->asked != l->is_asked || a->data.len != strlen(data) ||
      memcmp(a->data.data ? a->data.data : (const uint8_t *)"", data, a->data.len) != 0 ||
      (a->ended != l->ended && !l->says) || strcmp(asked, l->is_asked ? question : "") != 0)
    fail_msg("%s: asked %d, ended %d, \"%.*s\" for \"%s\"", l->name, a->asked, a->ended,
             (int)a->data.len, (const char *)a->data.data, asked);
}

static void test_looks(void **state)
{
  (void)state;
  enum { ALL = COUNT(looks) };
  host h = {{0}, {{0}}};
  uint16_t ports[ALL];
  char text[512];
  setting s;
  my_answer a;
  my_scan_counts c;
  my_where where;
  pthread_t server;
  unsigned owned = 0;
  for (size_t i = 0; i < ALL; i++) {
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;
    h.fds[i] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(h.fds[i], (struct sockaddr *)&sa, sizeof sa), 0);
    assert_int_equal(listen(h.fds[i], 8), 0);
    getsockname(h.fds[i], (struct sockaddr *)&sa, &len);
    ports[i] = ntohs(sa.sin_port);
    if (looks[i].owned) owned = ports[i];
  }
  snprintf(text, sizeof text, owning, owned);
  set_up(&s, ports, ALL);
  my_span more = {(const uint8_t *)text, strlen(text)};
  assert_int_equal(my_sigdb_add(s.db, "owning", more, &where), MY_OK);
  const my_sig *owner = my_sigdb_find(s.db, "owner");
  s.config.tcp = true;
  s.config.ask = (my_span){(const uint8_t *)"ask <", 5};
  s.config.ask_end = (my_span){(const uint8_t *)">", 1};
  s.config.owners = &owner;
  s.config.owner_count = 1;
  assert_int_equal(pthread_create(&server, NULL, serve_looks, &h), 0);
  my_scan *scan = open_scan(&s.config);
  static char data[ALL][16];
  my_answer got[ALL];
  unsigned count = 0;
  while (next(scan, &a)) {
    size_t i = 0;
    while (ports[i] != a.peer.port)
      i++;
    assert_true(a.data.len < sizeof data[i]);
    if (a.data.len) memcpy(data[i], a.data.data, a.data.len);
    got[i] = a;
    got[i].data.data = (const uint8_t *)data[i];
    count++;
  }
  my_scan_get_counts(scan, &c);
  my_scan_close(scan);
  pthread_join(server, NULL);
  assert_int_equal(count, ALL);
  assert_int_equal(c.verified, ALL);
  assert_int_equal(c.received, ALL);
  for (size_t i = 0; i < ALL; i++)
    check_look(&got[i], &looks[i], h.asked[i]);
  for (size_t i = 0; i < ALL; i++)
    close(h.fds[i]);
  tear_down(&s);
}

/* ---- what others send ---- */

/* Packets of our making, from loopback to loopback; nothing of the scan itself is sent. */
static void inject(int protocol, const uint8_t *bytes, size_t len)
{
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_RAW, protocol);
  assert_true(fd >= 0);
  assert_int_equal(sendto(fd, bytes, len, 0, (struct sockaddr *)&to, sizeof to), len);
  close(fd);
}

static void put16(uint8_t *p, unsigned value)
{
  p[0] = (uint8_t)(value >> 8);
  p[1] = (uint8_t)value;
}

static my_scan *open_held(setting *s, bool tcp)
{
  s->config.raw = s->config.held = true;
  s->config.tcp = tcp;
  return open_scan(&s->config);
}

/* Wait until so many were counted, or two seconds. */
static uint64_t wait_count(const counter *c, uint64_t wanted)
{
  for (int i = 0; i < 200 && read_count(c) < wanted; i++)
    nanosleep(&(struct timespec){0, 10000000}, NULL);
  return read_count(c);
}

/* A SYN that is accepted with another number than ours is not: whatever port it comes to. */
static void test_forged_accept(void **state)
{
  (void)state;
  const uint16_t ports[] = {9};
  setting s;
  if (geteuid() != 0) {
    print_message("  skipped: packets of one's own making need root\n");
    return;
  }
  set_up(&s, ports, 1);
  my_scan *scan = open_held(&s, true);
  my_endpoint peer;
  my_endpoint_parse(&peer, "127.0.0.1", 9);
  uint32_t right = number_of(scan, &peer, 0) + 1;
  for (int forged = 1; forged >= 0; forged--) {
    for (unsigned i = 0; i < scan->path->port_count; i++) {
      uint8_t tcp[20] = {0, 9, [12] = 0x50, [13] = 0x12, [14] = 4};
      put16(tcp + 2, scan->path->port_first + i);
      put16(tcp + 8, (right + (uint32_t)forged) >> 16);
      put16(tcp + 10, right + (uint32_t)forged);
      inject(IPPROTO_TCP, tcp, sizeof tcp);
    }
    unsigned all = scan->path->port_count;
    wait_count(&scan->received, forged ? all : 2 * all);
    assert_int_equal(read_count(&scan->verified),
                     forged ? 0 : 1); /* and of the right ones one port's */
    assert_int_equal(read_count(&scan->strangers), forged ? all : 2 * all - 1);
  }
  my_scan_close(scan);
  tear_down(&s);
}

/* An ICMP error counts where it says something of the port, and quotes a datagram that we could
 * have sent. */
static void test_forged_errors(void **state)
{
  (void)state;
  const uint16_t ports[] = {9};
  static const struct {
    const char *why;
    uint8_t code;
    int port_off, peer_off; /* from what is right */
    bool counts;
  } rows[] = {
      {"too long: says nothing of the port", 4, 0, 0, false},
      {"from another port of ours", 3, 1, 0, false},
      {"about somebody else's port", 3, 0, 1, false},
      {"the right one", 3, 0, 0, true},
      {"the right one again", 3, 0, 0, false},
  };
  setting s;
  my_answer a;
  if (geteuid() != 0) {
    print_message("  skipped: packets of one's own making need root\n");
    return;
  }
  set_up(&s, ports, 1);
  s.config.attempts = 1;
  my_scan *scan = open_held(&s, false);
  my_endpoint peer;
  my_endpoint_parse(&peer, "127.0.0.1", 9);
  unsigned port =
      my_nonce_port(&s.config.key, &peer, 0, scan->path->port_first, scan->path->port_count);
  uint64_t errors = 0, others = 0;
  for (size_t i = 0; i < COUNT(rows); i++) {
    uint8_t icmp[8 + 20 + 8] = {3, rows[i].code, [8] = 0x45, [8 + 3] = 28, [8 + 9] = 17};
    print_message("  %s\n", rows[i].why);
    memcpy(icmp + 8 + 12, "\x7f\0\0\1\x7f\0\0\1", 8);
    put16(icmp + 28, port + (unsigned)rows[i].port_off);
    put16(icmp + 30, 9 + (unsigned)rows[i].peer_off);
    put16(icmp + 32, 8);
    inject(IPPROTO_ICMP, icmp, sizeof icmp);
    errors += rows[i].counts;
    others += !rows[i].counts && i + 1 < COUNT(rows);
    assert_int_equal(wait_count(&scan->errors, errors), errors);
    assert_int_equal(wait_count(&scan->other_icmp, others), others);
  }
  nanosleep(&(struct timespec){0, 100000000}, NULL);
  assert_int_equal(read_count(&scan->errors), 1);
  assert_int_equal(my_scan_next(scan, &a), MY_OK);
  assert_int_equal(a.kind, MY_ANSWER_ICMP);
  assert_int_equal(a.reason, MY_REASON_PORT_UNREACH);
  assert_int_equal(my_scan_next(scan, &a), MY_NOT_YET);
  my_scan_close(scan);
  tear_down(&s);
}

/* The parts of a scan together ask everybody, nobody twice; and one that begins in the middle asks
 * the rest. */
static void test_shards_and_begin(void **state)
{
  (void)state;
  static world w;
  setting s;
  my_answer a;
  begin(&w);
  set_up(&s, w.ports, PEERS);
  s.config.attempts = 1;
  s.config.shards = 3;
  for (s.config.shard = 0; s.config.shard < 3; s.config.shard++) {
    my_scan *scan = open_scan(&s.config);
    while (next(scan, &a))
      ;
    my_scan_close(scan);
  }
  for (size_t i = 0; i < PEERS; i++)
    assert_int_equal(w.asked[i], 1);
  s.config.shards = 1;
  s.config.shard = 0;
  my_order o;
  assert_int_equal(my_order_init(&o, PEERS, s.config.seed), MY_OK);
  s.config.begin = 10;
  my_scan *scan = open_scan(&s.config);
  while (next(scan, &a))
    ;
  my_scan_close(scan);
  end(&w);
  for (uint64_t place = 0; place < PEERS; place++) {
    my_endpoint e;
    my_ranges_item(s.targets, my_order_item(&o, place), &e);
    assert_int_equal(w.asked[peer_of(&w, e.port)], place < 10 ? 1 : 2);
  }
  tear_down(&s);
}

/* ---- several questions to each port ---- */

enum { QUESTIONS = 3, RIGHT = 1, ROWS = QUESTIONS + 1 };

static int by_port(const void *a, const void *b)
{
  return ((const my_scan_question *)a)->port - ((const my_scan_question *)b)->port;
}

/* A parrot is asked between two questions that it does not understand, and its answer is read by a
 * stork first. */
static void ask_parrots(setting *s, const world *w, my_scan_question list[PEERS * ROWS])
{
  const my_sig *sparrow = my_sigdb_find(s->db, "sparrow"), *parrot = s->config.sig;
  for (size_t i = 0; i < PEERS * ROWS; i++)
    list[i] = (my_scan_question){w->ports[i / ROWS], sparrow, false};
  qsort(list, PEERS * ROWS, sizeof *list, by_port);
  for (size_t i = RIGHT; i < PEERS * ROWS; i += ROWS) {
    list[i].sig = my_sigdb_find(s->db, "stork");
    list[i + 1].sig = parrot;
    list[i + 1].same = true;
  }
  s->config.sig = NULL;
  s->config.questions = list;
  s->config.question_count = PEERS * ROWS;
}

/* Whoever answers one of them is given once, with that question; the others are asked it all. */
static void test_questions(void **state)
{
  (void)state;
  static world w;
  setting s;
  my_scan_counts c;
  my_answer a;
  my_scan_question list[PEERS * ROWS];
  bool verified[PEERS] = {false};
  uint64_t silent = 0;
  begin(&w);
  set_up_asking(&s, w.ports, PEERS, QUESTIONS);
  ask_parrots(&s, &w, list);
  const my_sig *parrot = my_sigdb_find(s.db, "parrot");
  my_scan *scan = open_scan(&s.config);
  while (next(scan, &a)) {
    size_t i = peer_of(&w, a.peer.port);
    assert_int_equal(a.question, RIGHT);
    assert_ptr_equal(a.sig, parrot);
    assert_false(verified[i]);
    verified[i] = true;
    check_probe(scan, &a);
  }
  my_scan_get_counts(scan, &c);
  my_scan_close(scan);
  end(&w);
  for (size_t i = 0; i < PEERS; i++) {
    assert_int_equal(verified[i], expected[i % KINDS].verified);
    assert_true(w.asked[i] <= 2 * QUESTIONS);
    if (!verified[i]) assert_int_equal(w.asked[i], 2 * QUESTIONS);
    if (!verified[i]) silent += QUESTIONS;
  }
  assert_int_equal(c.targets, PEERS * QUESTIONS);
  assert_int_equal(c.unanswered, silent);
  tear_down(&s);
}

enum { LONG = 60000, LONG_ONES = 350 }; /* more than the queue of answers holds */

typedef struct chatterer {
  int fd;
  my_scan *scan;
} chatterer;

/* Very much of something else, then the answer: as fast as it is read, until nobody reads. */
static void *chatter(void *arg)
{
  static uint8_t noise[LONG];
  const chatterer *c = arg;
  uint8_t bytes[64];
  struct sockaddr_in from;
  socklen_t len = sizeof from;
  if (recvfrom(c->fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &len) != 12) return NULL;
  for (unsigned i = 0; i < LONG_ONES; i++) {
    while (read_count(&c->scan->received) + 20 < i && scan_queue_fill(&c->scan->queue) < 0.9)
      poll(NULL, 0, 1);
    sendto(c->fd, noise, LONG, 0, (struct sockaddr *)&from, len);
  }
  memcpy(bytes + 8, "here", 4);
  sendto(c->fd, bytes, 12, 0, (struct sockaddr *)&from, len);
  return NULL;
}

/* Whoever fetches answers late loses none: what waits behind them is read before the end. */
static void test_fetched_late(void **state)
{
  (void)state;
  setting s;
  my_answer a;
  my_scan_counts c;
  pthread_t thread;
  uint16_t port;
  unsigned verified = 0;
  if (geteuid() != 0) { /* SO_RCVBUFFORCE */
    print_message("SKIP: without privilege the socket has no room for so much\n");
    skip();
  }
  chatterer peer = {.fd = open_socket(&port)};
  set_up(&s, &port, 1);
  s.config.others = true;
  s.config.attempts = 1;
  s.config.timeout_ns = 1000 * MS;
  my_scan *scan = open_scan(&s.config);
  peer.scan = scan;
  assert_int_equal(pthread_create(&thread, NULL, chatter, &peer), 0);
  pthread_join(thread, NULL);
  poll(NULL, 0, 2500);
  while (next(scan, &a))
    verified += a.kind == MY_ANSWER_VERIFIED;
  my_scan_get_counts(scan, &c);
  my_scan_close(scan);
  close(peer.fd);
  assert_int_equal(c.dropped, 0);
  assert_int_equal(verified, 1);
  assert_int_equal(c.unverified, LONG_ONES);
  tear_down(&s);
}

/* An answer spares the questions that come later, in the same pass. */
static void test_spared_questions(void **state)
{
  (void)state;
  static world w;
  setting s;
  my_scan_counts c;
  my_answer a;
  my_order o;
  my_endpoint e;
  begin(&w);
  const uint16_t port = w.ports[ANSWERS];
  set_up_asking(&s, &port, 1, QUESTIONS);
  const my_sig *sparrow = my_sigdb_find(s.db, "sparrow");
  const my_scan_question list[QUESTIONS] = {
      {port, sparrow, false}, {port, s.config.sig, false}, {port, sparrow, false}};
  s.config.sig = NULL;
  s.config.questions = list;
  s.config.question_count = QUESTIONS;
  s.config.rate = 4; /* time enough to hear, on any machine */
  do                 /* until the one that is answered comes first */
    assert_int_equal(my_order_init(&o, QUESTIONS, ++s.config.seed), MY_OK);
  while (my_ranges_item(s.targets, my_order_item(&o, 0), &e) != RIGHT);
  my_scan *scan = open_scan(&s.config);
  assert_true(next(scan, &a));
  assert_false(next(scan, &a));
  my_scan_get_counts(scan, &c);
  my_scan_close(scan);
  end(&w);
  assert_true(c.asked < QUESTIONS);
  assert_int_equal(w.asked[ANSWERS], c.asked);
  assert_int_equal(c.verified, 1);
  assert_int_equal(c.unanswered, 0);
  tear_down(&s);
}

/* Parts, the rest from the middle on, and what an earlier scan heard of, with questions. */
static void test_questions_in_parts(void **state)
{
  (void)state;
  static world w;
  setting s;
  my_answer a;
  my_scan_counts c;
  my_scan_question list[PEERS * ROWS];
  unsigned before[PEERS];
  begin(&w);
  set_up_asking(&s, w.ports, PEERS, QUESTIONS);
  ask_parrots(&s, &w, list);
  s.config.attempts = 1;
  s.config.shards = 4;
  for (s.config.shard = 0; s.config.shard < 4; s.config.shard++) {
    my_scan *scan = open_scan(&s.config);
    while (next(scan, &a))
      assert_int_equal(a.question, RIGHT);
    my_scan_close(scan);
  }
  for (size_t i = SILENT; i < PEERS; i += KINDS)
    assert_int_equal(w.asked[i], QUESTIONS);
  for (size_t i = 0; i < PEERS; i++)
    before[i] = w.asked[i];
  s.config.shards = s.config.shard = 0;
  s.config.begin = PEERS;
  s.config.held = true;
  my_scan *scan = open_scan(&s.config);
  my_endpoint skipped;
  for (size_t i = SILENT; i < PEERS; i += KINDS) {
    my_endpoint_parse(&skipped, "127.0.0.1", w.ports[i]);
    my_scan_skip(scan, &skipped);
  }
  my_scan_start(scan);
  while (next(scan, &a))
    ;
  my_scan_get_counts(scan, &c);
  my_scan_close(scan);
  end(&w);
  my_order o;
  unsigned rest[PEERS] = {0};
  bool understood[PEERS] = {false};
  uint64_t silent = 0;
  assert_int_equal(my_order_init(&o, PEERS * QUESTIONS, s.config.seed), MY_OK);
  for (uint64_t place = PEERS; place < PEERS * QUESTIONS; place++) {
    my_endpoint e;
    unsigned question = my_ranges_item(s.targets, my_order_item(&o, place), &e);
    size_t i = peer_of(&w, e.port);
    rest[i]++;
    if (question == RIGHT) understood[i] = expected[i % KINDS].verified;
  }
  for (size_t i = SILENT; i < PEERS; i += KINDS)
    rest[i] = 0;
  for (size_t i = 0; i < PEERS; i++) {
    assert_true(w.asked[i] - before[i] <= rest[i]);
    if (!understood[i]) assert_int_equal(w.asked[i] - before[i], rest[i]);
    if (!understood[i]) silent += rest[i];
  }
  assert_int_equal(c.unanswered, silent);
  assert_true(c.asked <= PEERS * (QUESTIONS - 1));
  tear_down(&s);
}

/* Stopped, and closed, at any moment: it ends, and no answer that was there is lost. */
static void test_stop(void **state)
{
  (void)state;
  static world w;
  setting s;
  my_answer a;
  my_scan_counts c;
  begin(&w);
  set_up(&s, w.ports, PEERS);
  for (long wait = 0; wait < 60; wait += 3) {
    s.config.rate = 2000;
    my_scan *scan = open_scan(&s.config);
    nanosleep(&(struct timespec){0, wait * 1000000}, NULL);
    unsigned got = 0;
    if (wait % 2) {
      my_scan_close(scan); /* with answers in the queue */
      continue;
    }
    my_scan_stop(scan);
    while (next(scan, &a))
      got++;
    my_scan_get_counts(scan, &c);
    assert_int_equal(got, c.verified);
    assert_true(c.over);
    my_scan_close(scan);
  }
  end(&w);
  tear_down(&s);
}

static long data_kib(void)
{
  char line[200];
  long kib = -1;
  FILE *f = fopen("/proc/self/status", "r");
  while (f && fgets(line, sizeof line, f))
    sscanf(line, "VmData: %ld kB", &kib);
  if (f) fclose(f);
  return kib;
}

/* 2^32 targets, all of loopback at 256 ports, want no more room than some. Nothing is sent. */
static void test_memory(void **state)
{
  (void)state;
  uint16_t ports[256];
  my_endpoint first, last;
  setting s;
  for (size_t i = 0; i < COUNT(ports); i++)
    ports[i] = (uint16_t)(20000 + i);
  set_up(&s, ports, COUNT(ports));
  my_ranges_free(s.targets);
  assert_int_equal(my_ranges_new(&s.targets), MY_OK);
  my_endpoint_parse(&first, "127.0.0.0", 0);
  my_endpoint_parse(&last, "127.255.255.255", 0);
  int set = my_ranges_ports(s.targets, ports, COUNT(ports));
  assert_int_equal(my_ranges_add(s.targets, &first, &last, set), MY_OK);
  assert_int_equal(my_ranges_seal(s.targets), MY_OK);
  assert_int_equal(my_ranges_items(s.targets), UINT64_C(1) << 32);
  s.config.targets = s.targets;
  s.config.held = true;
  long before = data_kib();
  my_scan *scan = open_scan(&s.config);
  long grown = data_kib() - before;
  print_message("  %ld MiB, the threads' stacks among them\n", grown / 1024);
#ifndef __SANITIZE_ADDRESS__
#ifndef __SANITIZE_THREAD__
  assert_true(grown < 100 * 1024);
#endif
#endif
  my_scan_close(scan);
  tear_down(&s);
}

static void test_refused(void **state)
{
  (void)state;
  const uint16_t ports[] = {9};
  my_scan *scan;
  my_where where;
  setting s;
  set_up(&s, ports, 1);
  my_scan_config config = s.config;
  config.shards = 2, config.shard = 2;
  assert_int_equal(my_scan_open(&scan, &config, &where), MY_ERANGE);
  assert_string_equal(where.text, "no such shard");
  const my_scan_question twice[] = {{9, config.sig, false}, {9, config.sig, false}};
  const my_scan_question elsewhere[] = {{8, config.sig, false}}, alone[] = {{9, config.sig, true}};
  config = s.config;
  config.questions = twice, config.question_count = 2;
  assert_int_equal(my_scan_open(&scan, &config, &where), MY_ERANGE);
  assert_string_equal(where.text, "the questions are not those of the targets");
  config.questions = alone, config.question_count = 1;
  assert_int_equal(my_scan_open(&scan, &config, &where), MY_ERANGE);
  config.sig = NULL, config.questions = elsewhere, config.question_count = 1;
  assert_int_equal(my_scan_open(&scan, &config, &where), MY_ERANGE);
  config = s.config;
  config.interface = "nosuchlink0";
  assert_true(my_scan_open(&scan, &config, &where) < 0);
  assert_non_null(strstr(where.text, "nosuchlink0"));
  assert_null(scan);
  my_scan_close(NULL);
  tear_down(&s);
}

/* What is counted here is every error that passes by: where we may, on a loopback of our own. */
static int leave_the_others(void **state)
{
  (void)state;
  if (unshare(CLONE_NEWNET) != 0) {
    print_message("  on the machine's loopback: a network namespace of one's own needs root\n");
    return 0;
  }
  struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int rc = ioctl(fd, SIOCSIFFLAGS, &up);
  close(fd);
  return rc;
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_kinds),         cmocka_unit_test(test_from_another_port),
      cmocka_unit_test(test_closed),        cmocka_unit_test(test_tcp),
      cmocka_unit_test(test_looks),         cmocka_unit_test(test_forged_accept),
      cmocka_unit_test(test_forged_errors), cmocka_unit_test(test_shards_and_begin),
      cmocka_unit_test(test_questions),     cmocka_unit_test(test_spared_questions),
      cmocka_unit_test(test_fetched_late),  cmocka_unit_test(test_questions_in_parts),
      cmocka_unit_test(test_stop),          cmocka_unit_test(test_memory),
      cmocka_unit_test(test_refused),
  };
  return cmocka_run_group_tests(tests, leave_the_others, NULL);
}
