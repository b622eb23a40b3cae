/* pump.c - the thread that drives an engine where the program's own loop cannot. One lock guards
 * everything; the thread holds it while it steps, never while it waits. */
#include "mynah/pump.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  BUCKETS = 1024,
  WAITING_MAX = 1 << 20, /* bytes of events that one bell keeps */
  EXIT_WAIT_MS = 3000,   /* for the thread to end, at exit */
  LOCK_WAIT_MS = 20,     /* how often a thread that wants the lock looks whether it is to stop */
  FAULT_WAIT_MS = 50     /* between two looks at an engine that the system fails */
};

typedef struct news {
  struct news *next;
  my_event event; /* its data follows */
  uint8_t data[];
} news;

typedef struct bell {
  struct bell *next; /* in its bucket */
  uint64_t number;
  uint8_t token[MY_BELL_TOKEN];
  struct sockaddr_storage to;
  socklen_t to_len; /* 0 until it said hello */
  int door;         /* which of the pump's two sockets it said hello to */
  bool rung;        /* since its exchanges last had no news; also before hello */
  news *first, *last;
  news *taken; /* what my_pump_next gave last */
  size_t waiting;
} bell;

typedef struct talk {
  struct talk *next; /* in its bucket */
  uint64_t id;
  bell *bell;
  news *end; /* room for the last event, so that this one never wants memory */
} talk;

struct my_pump {
  my_pump *next_open; /* in the list of those to be stopped at exit */
  pthread_t thread;
  atomic_bool stopping;
  bool joined;
  pthread_mutex_t lock;
  my_engine *engine;
  talk *talks[BUCKETS];
  bell *bells[BUCKETS];
  size_t talk_count;
  uint64_t last_bell;
  int doors[2]; /* loopback UDP, IPv4 and IPv6 (-1: none) */
  uint16_t ports[2];
  int stop; /* eventfd */
};

/* ---- what is open: threads must be gone before the last of exit ---- */

static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static my_pump *open_pumps;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;

static struct timespec in_ms(int ms)
{
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  t.tv_nsec += ms * 1000000L;
  t.tv_sec += t.tv_nsec / 1000000000L;
  t.tv_nsec %= 1000000000L;
  return t;
}

static void tell_to_stop(my_pump *p)
{
  uint64_t one = 1;
  atomic_store(&p->stopping, true);
  while (write(p->stop, &one, sizeof one) < 0 && errno == EINTR)
    ;
}

/* Exit may be called from a signal handler, as Nmap's does, while this very thread holds a lock:
 * then nothing here may wait for good. */
static void stop_all(void)
{
  struct timespec until = in_ms(EXIT_WAIT_MS);
  if (pthread_mutex_trylock(&open_lock) != 0) return;
  for (my_pump *p = open_pumps; p != NULL; p = p->next_open) {
    if (p->joined) continue;
    tell_to_stop(p);
    p->joined = pthread_timedjoin_np(p->thread, NULL, &until) == 0;
  }
  pthread_mutex_unlock(&open_lock);
}

static void register_exit(void)
{
  atexit(stop_all);
}

static void note_open(my_pump *p)
{
  pthread_once(&exit_once, register_exit);
  pthread_mutex_lock(&open_lock);
  p->next_open = open_pumps;
  open_pumps = p;
  pthread_mutex_unlock(&open_lock);
}

static void note_closed(my_pump *p)
{
  pthread_mutex_lock(&open_lock);
  for (my_pump **at = &open_pumps; *at != NULL; at = &(*at)->next_open) {
    if (*at != p) continue;
    *at = p->next_open;
    break;
  }
  pthread_mutex_unlock(&open_lock);
}

/* ---- bells ---- */

static bell **find_bell(my_pump *p, uint64_t number)
{
  bell **at = &p->bells[number % BUCKETS];
  while (*at != NULL && (*at)->number != number)
    at = &(*at)->next;
  return at;
}

static void ring(my_pump *p, bell *b)
{
  if (b->rung) return;
  b->rung = true;
  /* A full socket buffer loses nothing: what fills it are rings that were not looked at yet. */
  if (b->to_len > 0)
    sendto(p->doors[b->door], "!", 1, MSG_DONTWAIT, (struct sockaddr *)&b->to, b->to_len);
}

/* A token begins with its bell's number, so that it is found at once; the rest cannot be guessed.
 */
static bell *bell_of_token(my_pump *p, const uint8_t *token)
{
  uint64_t number;
  memcpy(&number, token, sizeof number);
  bell *b = *find_bell(p, number);
  return b != NULL && memcmp(b->token, token, MY_BELL_TOKEN) == 0 ? b : NULL;
}

/* A hello may come after the first news: then it is answered at once. */
static void read_hellos(my_pump *p, int door)
{
  uint8_t token[MY_BELL_TOKEN + 1];
  struct sockaddr_storage from;
  socklen_t len = sizeof from;
  ssize_t n;
  while ((n = recvfrom(p->doors[door], token, sizeof token, MSG_DONTWAIT, (struct sockaddr *)&from,
                       &len)) >= 0) {
    bell *b = n == MY_BELL_TOKEN ? bell_of_token(p, token) : NULL;
    if (b != NULL) {
      bool missed = b->rung;
      b->to = from;
      b->to_len = len;
      b->door = door;
      b->rung = false;
      if (missed) ring(p, b);
    }
    len = sizeof from;
  }
}

/* ---- events ---- */

static talk **find_talk(my_pump *p, uint64_t id)
{
  talk **at = &p->talks[id % BUCKETS];
  while (*at != NULL && (*at)->id != id)
    at = &(*at)->next;
  return at;
}

static void append(my_pump *p, bell *b, news *n)
{
  n->next = NULL;
  if (b->last != NULL)
    b->last->next = n;
  else
    b->first = n;
  b->last = n;
  b->waiting += sizeof *n + n->event.data.len;
  if (n->event.kind != MY_EVENT_SENT) ring(p, b); /* nobody waits for that one */
}

static news *take_first(bell *b)
{
  news *n = b->first;
  if (n == NULL) return NULL;
  b->first = n->next;
  if (b->first == NULL) b->last = NULL;
  b->waiting -= sizeof *n + n->event.data.len;
  return n;
}

static void free_talk(my_pump *p, talk **at)
{
  talk *t = *at;
  *at = t->next;
  p->talk_count--;
  free(t->end);
  free(t);
}

static void deliver(my_pump *p, const my_event *ev)
{
  talk *t = *find_talk(p, ev->id);
  if (t == NULL) return;
  if (ev->kind == MY_EVENT_END) {
    news *end = t->end;
    if (end == NULL) return;
    t->end = NULL;
    end->event = *ev;
    append(p, t->bell, end);
    return;
  }
  size_t size = sizeof(news) + ev->data.len;
  news *n = t->bell->waiting + size <= WAITING_MAX ? malloc(size) : NULL;
  if (n == NULL) return;
  n->event = *ev;
  if (ev->data.len > 0) memcpy(n->data, ev->data.data, ev->data.len);
  n->event.data.data = n->data;
  append(p, t->bell, n);
}

/* ---- the thread ---- */

/* Never waits for good: whoever holds the lock may be a thread that a signal handler stopped in
 * its tracks and that now waits for this one to end. */
static bool lock_unless_stopping(my_pump *p)
{
  while (!atomic_load(&p->stopping)) {
    struct timespec until = in_ms(LOCK_WAIT_MS);
    if (pthread_mutex_timedlock(&p->lock, &until) == 0) return true;
  }
  return false;
}

static void *run(void *arg)
{
  my_pump *p = arg;
  struct pollfd fds[4] = {{.fd = p->stop, .events = POLLIN},
                          {.fd = p->doors[0], .events = POLLIN},
                          {.fd = p->doors[1], .events = POLLIN},
                          {.fd = my_engine_fd(p->engine), .events = POLLIN}};
  for (;;) {
    my_event ev;
    int rc = poll(fds, 4, -1);
    if (!lock_unless_stopping(p)) break;
    for (int door = 0; door < 2; door++)
      if (p->doors[door] >= 0) read_hellos(p, door);
    if (my_engine_step(p->engine, my_clock_ns()) < 0) rc = -1;
    while (my_engine_next(p->engine, &ev) == MY_OK)
      deliver(p, &ev);
    pthread_mutex_unlock(&p->lock);
    /* The system is out of something: what failed stays ready, so give it time. */
    if (rc < 0) poll(fds, 1, FAULT_WAIT_MS);
  }
  return NULL;
}

/* ---- start and end ---- */

static int open_door(my_pump *p, int door)
{
  struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  struct sockaddr *address = door == 0 ? (struct sockaddr *)&four : (struct sockaddr *)&six;
  socklen_t len = door == 0 ? sizeof four : sizeof six;
  int fd = socket(address->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return MY_ESYS;
  if (bind(fd, address, len) != 0 || getsockname(fd, address, &len) != 0) {
    int error = errno;
    close(fd);
    errno = error;
    return MY_ESYS;
  }
  p->doors[door] = fd;
  p->ports[door] = ntohs(door == 0 ? four.sin_port : six.sin6_port);
  return MY_OK;
}

static int start_thread(my_pump *p)
{
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* signals belong to the program's own threads */
  int error = pthread_create(&p->thread, NULL, run, p);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = error;
  p->joined = error != 0;
  return error == 0 ? MY_OK : MY_ESYS;
}

static void free_bell(my_pump *p, bell **at)
{
  bell *b = *at;
  for (size_t i = 0; i < BUCKETS; i++) {
    for (talk **t = &p->talks[i]; *t != NULL;) {
      if ((*t)->bell != b) {
        t = &(*t)->next;
        continue;
      }
      my_engine_cancel(p->engine, (*t)->id);
      free_talk(p, t);
    }
  }
  for (news *n; (n = take_first(b)) != NULL;)
    free(n);
  free(b->taken);
  *at = b->next;
  free(b);
}

static void free_pump(my_pump *p)
{
  for (size_t i = 0; i < BUCKETS; i++)
    while (p->bells[i] != NULL)
      free_bell(p, &p->bells[i]);
  my_engine_free(p->engine);
  for (int door = 0; door < 2; door++)
    if (p->doors[door] >= 0) close(p->doors[door]);
  if (p->stop >= 0) close(p->stop);
  pthread_mutex_destroy(&p->lock);
  free(p);
}

int my_pump_open(my_pump **out, const my_engine_config *config)
{
  my_pump *p = calloc(1, sizeof *p);
  int rc;
  *out = NULL;
  if (p == NULL) return MY_ENOMEM;
  pthread_mutex_init(&p->lock, NULL);
  p->doors[0] = p->doors[1] = -1;
  p->joined = true;
  p->stop = eventfd(0, EFD_CLOEXEC);
  rc = p->stop >= 0 ? my_engine_new(&p->engine, config) : MY_ESYS;
  if (rc == MY_OK) rc = open_door(p, 0);
  if (rc == MY_OK) open_door(p, 1); /* a system without IPv6 has only the one */
  if (rc == MY_OK) rc = start_thread(p);
  if (rc != MY_OK) {
    int error = errno;
    free_pump(p);
    errno = error;
    return rc;
  }
  note_open(p);
  *out = p;
  return MY_OK;
}

void my_pump_close(my_pump *p)
{
  if (p == NULL) return;
  note_closed(p);
  if (!p->joined) {
    tell_to_stop(p);
    pthread_join(p->thread, NULL);
  }
  free_pump(p);
}

/* ---- calls ---- */

uint16_t my_pump_port(const my_pump *p, int family)
{
  return p->ports[family == 6];
}

int my_pump_bell(my_pump *p, uint64_t *number, uint8_t token[MY_BELL_TOKEN])
{
  bell *b = calloc(1, sizeof *b);
  if (b == NULL) return MY_ENOMEM;
  int rc = my_random(b->token, sizeof b->token);
  if (rc != MY_OK) {
    free(b);
    return rc;
  }
  pthread_mutex_lock(&p->lock);
  *number = b->number = ++p->last_bell;
  memcpy(b->token, &b->number, sizeof b->number);
  memcpy(token, b->token, sizeof b->token);
  b->next = p->bells[b->number % BUCKETS];
  p->bells[b->number % BUCKETS] = b;
  pthread_mutex_unlock(&p->lock);
  return MY_OK;
}

void my_pump_bell_close(my_pump *p, uint64_t number)
{
  pthread_mutex_lock(&p->lock);
  bell **at = find_bell(p, number);
  if (*at != NULL) free_bell(p, at);
  pthread_mutex_unlock(&p->lock);
}

void my_pump_ring(my_pump *p, uint64_t number)
{
  pthread_mutex_lock(&p->lock);
  bell *b = *find_bell(p, number);
  if (b != NULL) ring(p, b);
  pthread_mutex_unlock(&p->lock);
}

/* With the lock held. */
static int submit(my_pump *p, const my_exchange *x, uint64_t number, uint64_t *id, talk *t)
{
  t->bell = *find_bell(p, number);
  if (t->bell == NULL || x->transport != MY_UDP) return MY_ERANGE;
  int rc = my_engine_submit(p->engine, x, id);
  if (rc != MY_OK) return rc;
  t->id = *id;
  t->next = p->talks[*id % BUCKETS];
  p->talks[*id % BUCKETS] = t;
  p->talk_count++;
  return MY_OK;
}

int my_pump_submit(my_pump *p, const my_exchange *x, uint64_t number, uint64_t *id)
{
  talk *t = calloc(1, sizeof *t);
  news *end = calloc(1, sizeof *end);
  int rc = MY_ENOMEM;
  if (t != NULL && end != NULL) {
    t->end = end;
    pthread_mutex_lock(&p->lock);
    rc = submit(p, x, number, id, t);
    pthread_mutex_unlock(&p->lock);
  }
  if (rc == MY_OK) return MY_OK;
  free(t);
  free(end);
  return rc;
}

static void drop_news(bell *b, uint64_t id)
{
  news *kept = b->first, *next;
  b->first = b->last = NULL;
  b->waiting = 0;
  for (news *n = kept; n != NULL; n = next) {
    next = n->next;
    n->next = NULL;
    if (n->event.id == id) {
      free(n);
      continue;
    }
    if (b->last != NULL)
      b->last->next = n;
    else
      b->first = n;
    b->last = n;
    b->waiting += sizeof *n + n->event.data.len;
  }
}

int my_pump_cancel(my_pump *p, uint64_t id)
{
  int rc = MY_ENOENT;
  pthread_mutex_lock(&p->lock);
  talk **at = find_talk(p, id);
  if (*at != NULL) {
    my_engine_cancel(p->engine,
                     id); /* its end may wait here already, and the engine know it no more */
    drop_news((*at)->bell, id);
    free_talk(p, at);
    rc = MY_OK;
  }
  pthread_mutex_unlock(&p->lock);
  return rc;
}

/* With the lock held. */
static int next_of(my_pump *p, bell *b, my_event *out)
{
  free(b->taken);
  b->taken = take_first(b);
  if (b->taken == NULL) {
    b->rung = false; /* it has looked: the next news rings again */
    return MY_NOT_YET;
  }
  *out = b->taken->event;
  if (out->kind == MY_EVENT_END) {
    talk **at = find_talk(p, out->id);
    if (*at != NULL) free_talk(p, at);
  }
  return MY_OK;
}

int my_pump_next(my_pump *p, uint64_t number, my_event *out)
{
  pthread_mutex_lock(&p->lock);
  bell *b = *find_bell(p, number);
  int rc = b != NULL ? next_of(p, b, out) : MY_ENOENT;
  pthread_mutex_unlock(&p->lock);
  return rc;
}

size_t my_pump_count(my_pump *p)
{
  pthread_mutex_lock(&p->lock);
  size_t n = p->talk_count;
  pthread_mutex_unlock(&p->lock);
  return n;
}
