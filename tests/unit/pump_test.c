/* pump_test.c - the thread that drives an engine, and its doorbells, against peers on loopback. */
#include "engine_world.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "mynah/pump.h"

static const my_span one[] = {{(const uint8_t *)"probe", 5}};

/* One who waits: a bell and the socket that it rings at. */
typedef struct waiter {
  my_pump *p;
  uint64_t bell;
  uint8_t token[MY_BELL_TOKEN];
  peer socket;
  my_event event;
  uint8_t data[BYTES];
} waiter;

static my_pump *open_pump(void)
{
  my_pump *p = NULL;
  my_engine_config config = {.rate_pps = 1e6};
  assert_int_equal(my_pump_open(&p, &config), MY_OK);
  assert_non_null(p);
  return p;
}

static void say_hello(const waiter *w, my_span token)
{
  my_endpoint door = {.family = w->socket.at.family};
  memcpy(door.bytes, w->socket.at.bytes, sizeof door.bytes);
  door.port = my_pump_port(w->p, door.family);
  say(&w->socket, &door, token);
}

static void greet(const waiter *w)
{
  say_hello(w, (my_span){w->token, sizeof w->token});
}

static void begin_waiter(waiter *w, my_pump *p, const char *address)
{
  memset(w, 0, sizeof *w);
  w->p = p;
  assert_int_equal(my_pump_bell(p, &w->bell, w->token), MY_OK);
  assert_true(w->bell != 0);
  w->socket = make_peer(SOCK_DGRAM, address);
}

static void end_waiter(waiter *w)
{
  close(w->socket.fd);
}

/* Rung within this time? Takes the ring. */
static bool rung(const waiter *w, int timeout_ms)
{
  uint8_t bytes[8];
  return readable(w->socket.fd, timeout_ms) && recv(w->socket.fd, bytes, sizeof bytes, 0) == 1;
}

static int take_news(waiter *w)
{
  int rc = my_pump_next(w->p, w->bell, &w->event);
  if (rc == MY_OK && w->event.data.len) memcpy(w->data, w->event.data.data, w->event.data.len);
  return rc;
}

/* As a script waits: look, then wait for the bell. */
static bool next_news(waiter *w)
{
  while (take_news(w) != MY_OK)
    if (!rung(w, PATIENCE_MS)) return false;
  return true;
}

static uint64_t submit(waiter *w, my_endpoint to, int64_t timeout_ns)
{
  uint64_t id = 0;
  my_exchange x = {.transport = MY_UDP,
                   .peer = to,
                   .payloads = one,
                   .payload_count = 1,
                   .timeout_ns = timeout_ns};
  assert_int_equal(my_pump_submit(w->p, &x, w->bell, &id), MY_OK);
  return id;
}

static void expect_news(waiter *w, uint64_t id, my_event_kind kind)
{
  assert_true(next_news(w));
  assert_int_equal(w->event.kind, kind);
  assert_int_equal(w->event.id, id);
}

static int count_entries(const char *folder)
{
  DIR *d = opendir(folder);
  int n = 0;
  assert_non_null(d);
  while (readdir(d) != NULL)
    n++;
  closedir(d);
  return n;
}

static int count_fds(void)
{
  return count_entries("/proc/self/fd");
}

/* What was submitted before has left by the end of this, and its refusals are news: loopback
 * refuses at once, and the thread takes all that is there before it lets go of its lock. */
static void let_pass(my_pump *p)
{
  waiter w;
  begin_waiter(&w, p, "127.0.0.1");
  greet(&w);
  uint64_t id = submit(&w, closed_port(SOCK_DGRAM, "127.0.0.1"), 100 * SECOND);
  expect_news(&w, id, MY_EVENT_ICMP);
  expect_news(&w, id, MY_EVENT_END);
  my_pump_bell_close(p, w.bell);
  end_waiter(&w);
}

/* A thread that was joined is in the kernel's list for a while yet, and reading that list while one
 * leaves it may skip another. Its end is marked before anybody can have joined it. */
static bool is_ending(const char *task)
{
  char path[300], line[1000] = "";
  unsigned flags = 0;
  snprintf(path, sizeof path, "/proc/self/task/%s/stat", task);
  FILE *f = fopen(path, "r");
  if (f == NULL) return true;
  const char *name_end = fgets(line, sizeof line, f) != NULL ? strrchr(line, ')') : NULL;
  fclose(f);
  if (name_end == NULL) return true;
  assert_int_equal(sscanf(name_end, ") %*c %*d %*d %*d %*d %*d %u", &flags), 1);
  return (flags & 4) != 0; /* PF_EXITING */
}

/* Threads of this program that run; -1 while one is just ending. */
static int look_at_threads(void)
{
  DIR *d = opendir("/proc/self/task");
  int n = 0;
  bool ending = false;
  assert_non_null(d);
  for (struct dirent *e; (e = readdir(d)) != NULL;) {
    if (e->d_name[0] == '.') continue;
    n++;
    ending = ending || is_ending(e->d_name);
  }
  closedir(d);
  return ending ? -1 : n;
}

static int count_threads(void)
{
  int n;
  while ((n = look_at_threads()) < 0)
    usleep(1000);
  return n;
}

/* ---- bells ---- */

/* A server that answers at once; false where the machine was so slow that the time was over. */
static bool reply_in_time(const char *address, int64_t timeout_ns)
{
  waiter w;
  uint8_t bytes[BYTES];
  my_endpoint from;
  my_pump *p = open_pump();
  begin_waiter(&w, p, address);
  greet(&w);
  peer server = make_peer(SOCK_DGRAM, address);
  uint64_t id = submit(&w, server.at, timeout_ns);
  assert_int_equal(my_pump_count(p), 1);
  hear(&server, bytes, &from);
  say(&server, &from, TEXT("answer"));
  assert_true(next_news(&w));
  bool in_time = w.event.kind == MY_EVENT_REPLY;
  if (in_time) {
    assert_int_equal(w.event.id, id);
    assert_int_equal(w.event.data.len, 6);
    assert_memory_equal(w.data, "answer", 6);
    expect_news(&w, id, MY_EVENT_END);
    assert_int_equal(take_news(&w), MY_NOT_YET);
    assert_int_equal(my_pump_count(p), 0);
    assert_int_equal(my_pump_cancel(p, id), MY_ENOENT);
  }
  close(server.fd);
  end_waiter(&w);
  my_pump_close(p);
  return in_time;
}

static void test_reply(void **state)
{
  (void)state;
  for (int i = 0; i < 2; i++) {
    const char *address = i == 0 ? "127.0.0.1" : "::1";
    if (!reply_in_time(address, 50 * MS)) assert_true(reply_in_time(address, 8 * SECOND));
  }
}

static void test_news_before_hello(void **state)
{
  (void)state;
  waiter w;
  my_pump *p = open_pump();
  begin_waiter(&w, p, "127.0.0.1");
  uint64_t id = submit(&w, closed_port(SOCK_DGRAM, "127.0.0.1"), 100 * SECOND);
  let_pass(p);
  assert_false(rung(&w, 0));
  greet(&w);
  assert_true(rung(&w, PATIENCE_MS));
  expect_news(&w, id, MY_EVENT_ICMP);
  expect_news(&w, id, MY_EVENT_END);
  end_waiter(&w);
  my_pump_close(p);
}

/* However much comes, one ring until everything was taken; then the next one rings again. */
static void test_rings_once(void **state)
{
  (void)state;
  waiter w;
  my_pump *p = open_pump();
  begin_waiter(&w, p, "127.0.0.1");
  greet(&w);
  my_endpoint closed = closed_port(SOCK_DGRAM, "127.0.0.1");
  submit(&w, closed, 100 * SECOND);
  submit(&w, closed, 100 * SECOND);
  assert_true(rung(&w, PATIENCE_MS));
  let_pass(p);
  assert_false(rung(&w, 0));
  for (int i = 0; i < 4; i++)
    assert_int_equal(take_news(&w), MY_OK);
  my_pump_ring(p, w.bell);
  assert_false(rung(&w, 30));
  assert_int_equal(take_news(&w), MY_NOT_YET);
  submit(&w, closed, 100 * SECOND);
  assert_true(rung(&w, PATIENCE_MS));
  end_waiter(&w);
  my_pump_close(p);
}

/* That something left us is no news to wake anybody for; it is told with the next that is. */
static void test_sent_does_not_ring(void **state)
{
  (void)state;
  waiter w;
  uint64_t id;
  uint8_t bytes[BYTES];
  my_endpoint from;
  my_pump *p = open_pump();
  begin_waiter(&w, p, "127.0.0.1");
  greet(&w);
  peer server = make_peer(SOCK_DGRAM, "127.0.0.1");
  my_exchange x = {.transport = MY_UDP,
                   .peer = server.at,
                   .payloads = one,
                   .payload_count = 1,
                   .timeout_ns = 100 * SECOND,
                   .report_sent = true};
  assert_int_equal(my_pump_submit(p, &x, w.bell, &id), MY_OK);
  hear(&server, bytes, &from);
  assert_false(rung(&w, 50));
  say(&server, &from, TEXT("answer"));
  assert_true(rung(&w, PATIENCE_MS));
  expect_news(&w, id, MY_EVENT_SENT);
  expect_news(&w, id, MY_EVENT_REPLY);
  close(server.fd);
  end_waiter(&w);
  my_pump_close(p);
}

static void test_ring_by_hand(void **state)
{
  (void)state;
  waiter w;
  my_pump *p = open_pump();
  begin_waiter(&w, p, "127.0.0.1");
  my_pump_ring(p, w.bell); /* before hello: kept */
  greet(&w);
  assert_true(rung(&w, PATIENCE_MS));
  assert_int_equal(take_news(&w), MY_NOT_YET);
  my_pump_ring(p, w.bell);
  assert_true(rung(&w, PATIENCE_MS));
  my_pump_ring(p, w.bell + 1); /* nobody's */
  end_waiter(&w);
  my_pump_close(p);
}

/* Only who has the token is rung: others on this machine may send what they like. */
static void test_strangers(void **state)
{
  (void)state;
  static uint8_t much[60000];
  waiter w, stranger;
  my_pump *p = open_pump();
  begin_waiter(&w, p, "127.0.0.1");
  begin_waiter(&stranger, p, "127.0.0.1");
  uint8_t token[MY_BELL_TOKEN + 1] = {0};
  memcpy(token, w.token, MY_BELL_TOKEN);
  say_hello(&stranger, TEXT(""));
  say_hello(&stranger, (my_span){token, MY_BELL_TOKEN - 1});
  say_hello(&stranger, (my_span){token, MY_BELL_TOKEN + 1});
  say_hello(&stranger, (my_span){much, sizeof much});
  token[MY_BELL_TOKEN - 1] ^= 1;
  say_hello(&stranger, (my_span){token, MY_BELL_TOKEN});
  memset(token, 0xff, sizeof token); /* the number of no bell */
  say_hello(&stranger, (my_span){token, MY_BELL_TOKEN});
  my_pump_ring(p, w.bell);
  assert_false(rung(&stranger, 50));
  greet(&w);
  assert_true(rung(&w, PATIENCE_MS));
  end_waiter(&w);
  end_waiter(&stranger);
  my_pump_close(p);
}

static void test_unknown_bell(void **state)
{
  (void)state;
  waiter w;
  my_pump *p = open_pump();
  begin_waiter(&w, p, "127.0.0.1");
  uint64_t id;
  my_exchange x = {.transport = MY_UDP,
                   .peer = closed_port(SOCK_DGRAM, "127.0.0.1"),
                   .payloads = one,
                   .payload_count = 1};
  assert_int_equal(my_pump_submit(p, &x, w.bell + 1, &id), MY_ERANGE);
  x.transport = MY_TCP;
  assert_int_equal(my_pump_submit(p, &x, w.bell, &id), MY_ERANGE);
  x.transport = MY_UDP;
  x.payload_count = 0;
  assert_int_equal(my_pump_submit(p, &x, w.bell, &id), MY_ERANGE);
  assert_int_equal(my_pump_count(p), 0);
  my_pump_bell_close(p, w.bell);
  my_pump_bell_close(p, w.bell);
  assert_int_equal(take_news(&w), MY_ENOENT);
  end_waiter(&w);
  my_pump_close(p);
}

/* ---- giving up ---- */

static void test_cancel(void **state)
{
  (void)state;
  waiter w;
  my_pump *p = open_pump();
  begin_waiter(&w, p, "127.0.0.1");
  greet(&w);
  peer silent = make_peer(SOCK_DGRAM, "127.0.0.1");
  my_endpoint closed = closed_port(SOCK_DGRAM, "127.0.0.1");
  uint64_t waiting = submit(&w, silent.at, 100 * SECOND), over = submit(&w, closed, 100 * SECOND),
           kept = submit(&w, closed, 100 * SECOND);
  let_pass(p);
  assert_int_equal(my_pump_cancel(p, waiting), MY_OK);
  assert_int_equal(my_pump_cancel(p, waiting), MY_ENOENT);
  assert_int_equal(my_pump_cancel(p, over), MY_OK); /* what waits of it goes too */
  expect_news(&w, kept, MY_EVENT_ICMP);
  expect_news(&w, kept, MY_EVENT_END);
  assert_int_equal(take_news(&w), MY_NOT_YET);
  assert_int_equal(my_pump_count(p), 0);
  close(silent.fd);
  end_waiter(&w);
  my_pump_close(p);
}

static void test_bell_closed_in_mid_exchange(void **state)
{
  (void)state;
  waiter w, other;
  my_pump *p = open_pump();
  begin_waiter(&w, p, "127.0.0.1");
  begin_waiter(&other, p, "127.0.0.1");
  greet(&other);
  peer silent = make_peer(SOCK_DGRAM, "127.0.0.1");
  int fds = count_fds();
  my_endpoint closed = closed_port(SOCK_DGRAM, "127.0.0.1");
  for (int i = 0; i < 10; i++)
    submit(&w, i < 5 ? silent.at : closed, 100 * SECOND);
  uint64_t id = submit(&other, closed, 100 * SECOND);
  let_pass(p);
  my_pump_bell_close(p, w.bell);
  assert_int_equal(my_pump_count(p), 1);
  expect_news(&other, id, MY_EVENT_ICMP);
  expect_news(&other, id, MY_EVENT_END);
  assert_int_equal(count_fds(), fds);
  close(silent.fd);
  end_waiter(&w);
  end_waiter(&other);
  my_pump_close(p);
}

static void test_close_in_mid_exchange(void **state)
{
  (void)state;
  for (int i = 0; i < 20; i++) {
    waiter w;
    int fds = count_fds(), tasks = count_threads();
    peer silent = make_peer(SOCK_DGRAM, "127.0.0.1");
    my_pump *p = open_pump();
    begin_waiter(&w, p, "127.0.0.1");
    greet(&w);
    for (int k = 0; k < 30; k++)
      submit(&w, silent.at, 100 * SECOND);
    usleep((useconds_t)i * 100);
    end_waiter(&w);
    my_pump_close(p);
    close(silent.fd);
    assert_int_equal(count_fds(), fds);
    assert_int_equal(count_threads(), tasks);
  }
  my_pump_close(NULL);
}

/* How much of a flood one bell keeps; 0 where the machine was too slow to say. */
static size_t flood(my_pump *p, int64_t timeout_ns)
{
  static uint8_t much[30000];
  waiter w;
  uint8_t bytes[BYTES];
  my_endpoint from;
  size_t total = 0;
  begin_waiter(&w, p, "127.0.0.1");
  peer server = make_peer(SOCK_DGRAM, "127.0.0.1");
  uint64_t id = submit(&w, server.at, timeout_ns);
  hear(&server, bytes, &from);
  for (int i = 0; i < 200; i++) {
    say(&server, &from, (my_span){much, sizeof much});
    usleep(500);
  }
  usleep((useconds_t)(timeout_ns / 1000 + 100000));
  int rc;
  while ((rc = take_news(&w)) == MY_OK && w.event.kind == MY_EVENT_REPLY)
    total += w.event.data.len;
  if (rc == MY_OK) {
    assert_true(total <= 1 << 20);
    assert_int_equal(w.event.kind, MY_EVENT_END);
    assert_int_equal(w.event.id, id);
  }
  my_pump_bell_close(p, w.bell);
  close(server.fd);
  end_waiter(&w);
  return rc == MY_OK ? total : 0;
}

/* A peer that floods fills one bell's megabyte; the end comes through all the same. */
static void test_flood(void **state)
{
  (void)state;
  my_pump *p = open_pump();
  size_t total = 0;
  for (int64_t timeout_ns = 300 * MS; total <= 500000 && timeout_ns < 30 * SECOND; timeout_ns *= 4)
    total = flood(p, timeout_ns);
  assert_true(total > 500000);
  my_pump_close(p);
}

static void test_refused_config(void **state)
{
  (void)state;
  int fds = count_fds();
  my_pump *p = (my_pump *)state;
  assert_int_equal(my_pump_open(&p, &(my_engine_config){.rate_pps = -1}), MY_ERANGE);
  assert_null(p);
  assert_int_equal(count_fds(), fds);
}

/* ---- threads ---- */

enum { THREADS = 8, EACH = 40 };

typedef struct crowd {
  my_pump *p;
  my_endpoint server;
  atomic_int answered;
} crowd;

static void *echo_until_told(void *arg)
{
  int fd = *(int *)arg;
  uint8_t bytes[64];
  struct sockaddr_storage from;
  socklen_t len = sizeof from;
  ssize_t n;
  while ((n = recvfrom(fd, bytes, sizeof bytes, 0, (void *)&from, &len)) > 0) {
    sendto(fd, bytes, (size_t)n, 0, (void *)&from, len);
    len = sizeof from;
  }
  return NULL;
}

/* What a script does, EACH times; nothing here may jump out of a thread, so it only counts. */
static void *one_of_many(void *arg)
{
  crowd *c = arg;
  uint64_t bell, id;
  uint8_t token[MY_BELL_TOKEN];
  if (my_pump_bell(c->p, &bell, token) != MY_OK) return NULL;
  for (int i = 0; i < EACH; i++) {
    my_exchange x = {.transport = MY_UDP,
                     .peer = c->server,
                     .payloads = one,
                     .payload_count = 1,
                     .timeout_ns = 100 * SECOND};
    my_event ev = {0};
    if (my_pump_submit(c->p, &x, bell, &id) != MY_OK) break;
    for (int k = 0; k < 400000 && my_pump_next(c->p, bell, &ev) != MY_OK; k++)
      usleep(250);
    if (ev.kind == MY_EVENT_REPLY && ev.id == id && ev.data.len == 5) c->answered++;
    if (i % 3 == 0) my_pump_ring(c->p, bell);
    if (i % 5 != 0) my_pump_cancel(c->p, id); /* the rest goes with the bell */
  }
  my_pump_bell_close(c->p, bell);
  return NULL;
}

static void test_many_threads(void **state)
{
  (void)state;
  pthread_t threads[THREADS], echo;
  peer server = make_peer(SOCK_DGRAM, "127.0.0.1");
  crowd c = {.p = open_pump(), .server = server.at};
  assert_int_equal(pthread_create(&echo, NULL, echo_until_told, &server.fd), 0);
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, one_of_many, &c), 0);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  assert_int_equal(c.answered, THREADS * EACH);
  assert_int_equal(my_pump_count(c.p), 0);
  say(&server, &server.at, TEXT("")); /* ends the echo */
  pthread_join(echo, NULL);
  close(server.fd);
  my_pump_close(c.p);
}

/* Threads of this program that block what ends or times programs. */
static int count_blocking(void)
{
  DIR *d = opendir("/proc/self/task");
  int blocking = 0;
  for (struct dirent *e; (e = readdir(d)) != NULL;) {
    char path[300], line[200];
    unsigned long long mask = 0, wanted = 1ULL << (SIGINT - 1) | 1ULL << (SIGTERM - 1) |
                                          1ULL << (SIGALRM - 1) | 1ULL << (SIGCHLD - 1);
    snprintf(path, sizeof path, "/proc/self/task/%s/status", e->d_name);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
      sscanf(line, "SigBlk: %llx", &mask);
    if (f != NULL) fclose(f);
    if ((mask & wanted) == wanted) blocking++;
  }
  closedir(d);
  return blocking;
}

/* Signals are the program's: the pump's thread takes none, and changes nothing for the others. */
static void test_signals_are_blocked(void **state)
{
  (void)state;
  int before = count_blocking(), threads = count_threads();
  my_pump *p = open_pump();
  assert_int_equal(count_threads(), threads + 1);
  assert_int_equal(count_blocking(), before + 1);
  my_pump_close(p);
}

/* ---- exit ---- */

static int wait_for(pid_t child, int seconds)
{
  int status = -1;
  for (int i = 0; i < seconds * 100; i++) {
    if (waitpid(child, &status, WNOHANG) == child) return status;
    usleep(10000);
  }
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  fail_msg("the program did not end");
  return -1;
}

static void busy(my_pump *p, bool for_ever)
{
  waiter w;
  peer silent = make_peer(SOCK_DGRAM, "127.0.0.1");
  begin_waiter(&w, p, "127.0.0.1");
  greet(&w);
  do {
    uint64_t id = submit(&w, silent.at, 100 * SECOND);
    take_news(&w);
    if (for_ever) my_pump_cancel(p, id);
  } while (for_ever);
}

static void leave(int number)
{
  exit(number == SIGALRM ? 9 : 1);
}

static int threads_before;

/* Registered before the pump's own, so called after it. */
static void look_for_threads(void)
{
  if (count_threads() != threads_before) _exit(8);
}

static void *do_nothing(void *arg)
{
  return arg;
}

/* What the children do: argv[1] is "" for an exit as programs do it, else the microseconds until a
 * signal whose handler exits. */
static int child_main(const char *how)
{
  struct itimerval t = {.it_value.tv_usec = atoi(how)};
  pthread_t first; /* with the first thread ThreadSanitizer starts one of its own, which stays */
  pthread_create(&first, NULL, do_nothing, NULL);
  pthread_join(first, NULL);
  threads_before = count_threads();
  if (!*how) atexit(look_for_threads);
  my_pump *p = open_pump();
  if (*how) {
    signal(SIGALRM, leave);
    setitimer(ITIMER_REAL, &t, NULL);
    busy(p, true);
  }
  busy(open_pump(), false);
  busy(p, false);
  exit(7);
}

static const char *program; /* not /proc/self/exe, which is valgrind where it runs us */

static void expect_child_exit(const char *how, int wanted)
{
  pid_t child = fork();
  if (child == 0) {
    /* Whoever exits in a signal handler may hold a lock of the sanitizer's allocator, which its
     * look for leaks would wait for in vain. */
    if (*how) setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
    execl(program, program, how, (char *)NULL);
    _exit(1);
  }
  int status = wait_for(child, 60);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), wanted);
}

static void test_exit_without_close(void **state)
{
  (void)state;
  for (int i = 0; i < 5; i++)
    expect_child_exit("", 7);
}

/* Nmap calls exit in its signal handlers, wherever the signal found it: also with the pump locked.
 */
static void test_exit_in_signal_handler(void **state)
{
  (void)state;
  for (int i = 0; i < 20; i++) {
    char how[16];
    snprintf(how, sizeof how, "%d", 5000 + 713 * i);
    expect_child_exit(how, 9);
  }
}

int main(int argc, char **argv)
{
  program = argv[0];
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reply),
      cmocka_unit_test(test_news_before_hello),
      cmocka_unit_test(test_rings_once),
      cmocka_unit_test(test_sent_does_not_ring),
      cmocka_unit_test(test_ring_by_hand),
      cmocka_unit_test(test_strangers),
      cmocka_unit_test(test_unknown_bell),
      cmocka_unit_test(test_cancel),
      cmocka_unit_test(test_bell_closed_in_mid_exchange),
      cmocka_unit_test(test_close_in_mid_exchange),
      cmocka_unit_test(test_flood),
      cmocka_unit_test(test_refused_config),
      cmocka_unit_test(test_many_threads),
      cmocka_unit_test(test_signals_are_blocked),
      cmocka_unit_test(test_exit_without_close),
      cmocka_unit_test(test_exit_in_signal_handler),
  };
  return argc > 1 ? child_main(argv[1]) : cmocka_run_group_tests(tests, NULL, NULL);
}
