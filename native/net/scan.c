/* scan.c - the stateless stage: a scan is opened, its two threads begun and ended, and its answers
 * and counts given to whoever asks. */
#include "scan_state.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* ---- opening ---- */

static void fill_in(my_scan_config *c)
{
  if (c->shards == 0) c->shards = 1;
  if (c->attempts == 0) c->attempts = 2;
  if (c->attempts > MY_SCAN_ATTEMPTS_MAX) c->attempts = MY_SCAN_ATTEMPTS_MAX;
  if (c->timeout_ns <= 0) c->timeout_ns = 3000 * MS;
}

/* Frames and sockets are of one family; pieces are in order, IPv4 first. */
static bool families_differ(const my_scan_config *c)
{
  my_range first, last;
  my_ranges_piece(c->targets, 0, &first);
  my_ranges_piece(c->targets, my_ranges_pieces(c->targets) - 1, &last);
  return first.first.family != last.first.family ||
         (c->source.family && c->source.family != first.first.family);
}

static bool sends(const my_sig *sig)
{
  my_sig_info info;
  my_sig_get_info(sig, &info);
  return info.transport == MY_UDP && info.probe_len > 0;
}

static bool all_send(const my_scan_config *c)
{
  for (size_t i = 0; i < c->question_count; i++)
    if (!c->questions[i].sig || !sends(c->questions[i].sig)) return false;
  return !c->sig || sends(c->sig);
}

/* The first question to that port, or where it would stand. */
static size_t first_question(const my_scan_question *list, size_t count, unsigned port)
{
  size_t low = 0, high = count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (list[middle].port < port)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* As many questions to each port of the targets as these count. */
static bool questions_fit(const my_scan_config *c)
{
  const my_scan_question *list = c->questions;
  for (size_t i = 0; i < c->question_count; i++) {
    if (i > 0 && list[i].port < list[i - 1].port) return false;
    if (list[i].same && (i == 0 || list[i].port != list[i - 1].port)) return false;
  }
  for (size_t p = 0; p < my_ranges_pieces(c->targets); p++) {
    my_range range;
    my_ranges_piece(c->targets, p, &range);
    for (size_t i = 0; i < range.port_count; i++) {
      unsigned port = range.ports[i];
      unsigned here = 0;
      for (size_t k = first_question(list, c->question_count, port);
           k < c->question_count && list[k].port == port; k++)
        here += !list[k].same;
      if (here == 0 && c->sig) here = 1;
      if (here != my_ranges_questions(c->targets, range.ports[i])) return false;
    }
  }
  return true;
}

static int check(const my_scan_config *c, my_where *where)
{
  const char *why = NULL;
  if (!c->tcp && !all_send(c))
    why = "the signature sends no datagram";
  else if (!c->tcp && !questions_fit(c))
    why = "the questions are not those of the targets";
  else if (my_ranges_items(c->targets) == 0)
    why = "there is nothing to ask";
  else if (families_differ(c))
    why = "IPv4 and IPv6 cannot be mixed: scan one after the other";
  else if (c->shard >= c->shards)
    why = "no such shard";
  else if (c->pass >= c->attempts || my_ranges_items(c->targets) > position(1, 0) - 1)
    why = "no such place to go on at";
  if (why) snprintf(where->text, sizeof where->text, "%s", why);
  return why ? MY_ERANGE : MY_OK;
}

static int make_room(my_scan *s)
{
  uint64_t bits = s->places < MY_SCAN_BLOCK ? s->places : MY_SCAN_BLOCK;
  s->words = (size_t)(bits / 64 + 1);
  s->times = calloc(TIMES, sizeof *s->times);
  s->heard_of[0] = calloc(s->words, 8);
  s->heard_of[1] = s->places > MY_SCAN_BLOCK ? calloc(s->words, 8) : s->heard_of[0];
  if (!s->times || !s->heard_of[0] || !s->heard_of[1]) return MY_ENOMEM;
  int rc = scan_later_init(&s->later);
  if (rc == MY_OK) rc = scan_queue_init(&s->queue);
  return rc == MY_OK ? my_scratch_new(&s->scratch) : rc;
}

void my_scan_drop_privileges(void)
{
  struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct none[2] = {{0}};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  syscall(SYS_capset, &head, none);
}

/* Signals are for whoever called us. */
static int start_thread(pthread_t *t, void *(*main)(void *), my_scan *s, bool *runs)
{
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int rc = pthread_create(t, NULL, main, s);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  *runs = rc == 0;
  errno = rc;
  return rc == 0 ? MY_OK : MY_ESYS;
}

static int open_scan(my_scan *s, my_where *where)
{
  int rc = check(&s->config, where);
  if (rc != MY_OK) return rc;
  uint64_t items = my_ranges_items(s->config.targets);
  s->places = my_shard_size(items, s->config.shard, s->config.shards);
  if (s->config.begin > s->places) s->config.begin = s->places;
  if ((rc = my_order_init(&s->order, items, s->config.seed)) != MY_OK) return rc;
  if ((rc = make_room(s)) != MY_OK) return rc;
  if ((s->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) return MY_ESYS;
  rc = s->config.raw   ? scan_raw_open(&s->path, &s->config, where)
       : s->config.tcp ? scan_connect_open(&s->path, &s->config, where)
                       : scan_socket_open(&s->path, &s->config, where);
  if (rc != MY_OK) return rc;
  s->cookie = (my_cookie){s->config.key,       s->config.sig,       s->config.attempts,
                          s->path->port_first, s->path->port_count, 0};
  atomic_store(&s->block, s->config.begin / MY_SCAN_BLOCK);
  atomic_store(&s->settled, position(s->config.pass, s->config.begin));
  atomic_store(&s->held, s->config.held);
  scan_pace_init(&s->pace, s->config.rate, s->config.adapts, my_clock_ns());
  rc = start_thread(&s->listener, scan_listener_main, s, &s->listening);
  return rc == MY_OK ? start_thread(&s->sender, scan_sender_main, s, &s->sending) : rc;
}

static int copy_questions(my_scan *s)
{
  size_t size = s->config.question_count * sizeof *s->questions;
  s->looks = s->config.held || size > 0;
  if (size == 0) return MY_OK;
  if (!(s->questions = malloc(size))) return MY_ENOMEM;
  memcpy(s->questions, s->config.questions, size);
  s->config.questions = s->questions;
  return MY_OK;
}

int my_scan_open(my_scan **out, const my_scan_config *config, my_where *where)
{
  *out = NULL;
  *where = (my_where){0};
  my_scan *s = calloc(1, sizeof *s);
  if (!s) return MY_ENOMEM;
  s->config = *config;
  s->bell = -1;
  fill_in(&s->config);
  int rc = copy_questions(s);
  if (rc == MY_OK) rc = open_scan(s, where);
  if (rc == MY_OK) {
    *out = s;
    return MY_OK;
  }
  int error = errno;
  my_scan_close(s);
  errno = error;
  return rc;
}

void my_scan_close(my_scan *s)
{
  if (!s) return;
  atomic_store(&s->stop, true);
  atomic_store(&s->closing, true);
  if (s->sending) pthread_join(s->sender, NULL);
  if (s->listening) pthread_join(s->listener, NULL);
  if (s->path) s->path->close(s->path);
  if (s->bell >= 0) close(s->bell);
  my_scratch_free(s->scratch);
  free(s->queue.bytes);
  free(s->later.list);
  free(s->questions);
  if (s->heard_of[1] != s->heard_of[0]) free((void *)s->heard_of[1]);
  free((void *)s->heard_of[0]);
  free(s->times);
  free(s);
}

/* ---- for whoever asks ---- */

int my_scan_next(my_scan *s, my_answer *out)
{
  uint64_t rung;
  if (scan_queue_take(&s->queue, out)) return MY_OK;
  ssize_t n = read(s->bell, &rung, sizeof rung);
  (void)n;
  if (scan_queue_take(&s->queue, out)) return MY_OK; /* put between the two */
  if (atomic_load(&s->over)) ring_bell(s);           /* and stays so */
  return MY_NOT_YET;
}

const my_sig *scan_reading(const my_scan *s, uint16_t port, unsigned question, unsigned k)
{
  const my_scan_question *list = s->questions;
  size_t count = s->config.question_count, i = first_question(list, count, port);
  if (i == count || list[i].port != port) return k == 0 ? s->config.sig : NULL;
  for (; question > 0; question--)
    do
      i++;
    while (i < count && list[i].same);
  for (; k > 0; k--)
    if (++i == count || list[i].port != port || !list[i].same) return NULL;
  return list[i].sig;
}

my_cookie scan_cookie(const my_scan *s, uint16_t port, unsigned question)
{
  my_cookie c = s->cookie;
  c.sig = scan_reading(s, port, question, 0);
  c.question = question;
  return c;
}

int my_scan_probe(const my_scan *s, const my_answer *answer, uint8_t *out, size_t cap)
{
  my_endpoint my = answer->my;
  my_cookie cookie = scan_cookie(s, answer->peer.port, answer->question);
  return my_cookie_compose(&cookie, &my, &answer->peer, answer->attempt, out, cap);
}

int my_scan_fd(const my_scan *s)
{
  return s->bell;
}

void my_scan_skip(my_scan *s, const my_endpoint *target)
{
  uint64_t n;
  unsigned questions = my_ranges_questions(s->config.targets, target->port);
  for (unsigned q = 0; q < questions; q++)
    if (scan_place_of(s, target, q, &n) && scan_note_heard(s, n) && n >= s->config.begin)
      count(&s->resumed, 1);
}

void my_scan_start(my_scan *s)
{
  atomic_store(&s->held, false);
}

void my_scan_stop(my_scan *s)
{
  atomic_store(&s->stop, true);
}

/* Asked, less whose port was heard of. Those that were spared being asked count neither way. */
static uint64_t unanswered(const my_scan *s)
{
  uint64_t reached = read_count(&s->asked) + read_count(&s->spared);
  uint64_t heard = read_count(&s->verified) + read_count(&s->errors) + read_count(&s->others) +
                   read_count(&s->resumed);
  return reached > heard ? reached - heard : 0;
}

void my_scan_get_counts(const my_scan *s, my_scan_counts *out)
{
  int64_t began = atomic_load(&s->began_ns), last = atomic_load(&s->last_answer_ns);
  bool over = atomic_load(&s->over);
  int64_t ended = atomic_load(&s->pass_ended_ns);
  *out = (my_scan_counts){
      .targets = s->places - s->config.begin,
      .asked = read_count(&s->asked),
      .unanswered = unanswered(s),
      .sent = read_count(&s->sent),
      .received = read_count(&s->received),
      .verified = read_count(&s->verified),
      .duplicates = read_count(&s->duplicates),
      .unverified = read_count(&s->unverified),
      .strangers = read_count(&s->strangers),
      .errors = read_count(&s->errors),
      .other_icmp = read_count(&s->other_icmp),
      .dropped = read_count(&s->dropped),
      .send_errors = read_count(&s->send_errors),
      .stalls = read_count(&s->stalls),
      .settled = read_count(&s->settled) & (position(1, 0) - 1),
      .settled_pass = (unsigned)(read_count(&s->settled) >> PASS_SHIFT),
      .pass = atomic_load(&s->pass),
      .over = over,
      .error = atomic_load(&s->error),
  };
  if (began == 0) return;
  out->elapsed_ns = (over && last > began ? last : my_clock_ns()) - began;
  out->sending_ns = ended > began ? ended - began : out->elapsed_ns;
}
