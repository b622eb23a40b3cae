/* pump.c - the thread that drives an engine where the program's own loop cannot. One lock guards
 * everything; the thread holds it while it steps, never while it waits. */
#include "mynah/pump.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUCKETS = 1024 };

typedef struct news {
  struct news *next;
  my_event event;
  uint8_t data[];
} news;

typedef struct talk {
  struct talk *next; /* in its bucket */
  uint64_t id, bell;
  news *first, *last;
  bool over;
} talk;

typedef struct bell {
  struct bell *next;
  uint64_t number;
  uint8_t token[MY_BELL_TOKEN];
  struct sockaddr_storage to; /* family 0 until it said hello */
  socklen_t to_len;
  int door;  /* which of the pump's two sockets it said hello to */
  bool rung; /* since its exchanges last had no news; also before hello */
} bell;

struct my_pump {
  my_pump *next_open; /* in the list of those to be stopped at exit */
  pthread_t thread;
  pthread_mutex_t lock;
  my_engine *engine;
  talk *talks[BUCKETS];
  size_t talk_count;
  bell *bells;
  uint64_t last_bell;
  news *taken;  /* what my_pump_next gave last */
  int doors[2]; /* loopback UDP, IPv4 and IPv6 (-1: none) */
  uint16_t ports[2];
  int stop; /* eventfd */
  bool joined;
};

/* ---- what is open: threads must be gone before the last of exit
 * ---- */

static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static my_pump *open_pumps;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;

static void stop_thread(my_pump *p)
{
  uint64_t one = 1;
  if (p->joined) return;
  while (write(p->stop, &one, sizeof one) < 0 && errno == EINTR)
    ;
  pthread_join(p->thread, NULL);
  p->joined = true;
}

static void stop_all(void)
{
  pthread_mutex_lock(&open_lock);
  for (my_pump *p = open_pumps; p != NULL; p = p->next_open)
    stop_thread(p);
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

static bell *find_bell(my_pump *p, uint64_t number)
{
  bell *b = p->bells;
  while (b != NULL && b->number != number)
    b = b->next;
  return b;
}

static void ring(my_pump *p, uint64_t number)
{
  bell *b = find_bell(p, number);
  if (b == NULL || b->rung) return;
  b->rung = true;
  /* A full socket buffer loses nothing: what fills it are rings that were not looked at yet. */
  if (b->to_len > 0)
    sendto(p->doors[b->door], "!", 1, MSG_DONTWAIT, (struct sockaddr *)&b->to, b->to_len);
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
    bell *b = p->bells;
    while (b != NULL && (n != MY_BELL_TOKEN || memcmp(b->token, token, MY_BELL_TOKEN) != 0))
      b = b->next;
    if (b != NULL) {
      bool missed = b->rung;
      b->to = from;
      b->to_len = len;
      b->door = door;
      b->rung = false;
      if (missed) ring(p, b->number);
    }
    len = sizeof from;
  }
}

/* ---- exchanges ---- */

static talk **find_talk(my_pump *p, uint64_t id)
{
  talk **at = &p->talks[id % BUCKETS];
  while (*at != NULL && (*at)->id != id)
    at = &(*at)->next;
  return at;
}

static void free_news(news *n)
{
  for (news *next; n != NULL; n = next) {
    next = n->next;
    free(n);
  }
}

/* Queue an event for whoever asks. An event that finds no memory is lost, but for the end: 'over'
 * keeps that. */
static void deliver(my_pump *p, const my_event *ev)
{
  talk *t = *find_talk(p, ev->id);
  if (t == NULL) return;
  news *n = malloc(sizeof *n + ev->data.len);
  if (n != NULL) {
    *n = (news){.event = *ev};
    if (ev->data.len > 0) memcpy(n->data, ev->data.data, ev->data.len);
    n->event.data.data = n->data;
    if (t->last != NULL)
      t->last->next = n;
    else
      t->first = n;
    t->last = n;
  }
  t->over |= ev->kind == MY_EVENT_END;
  ring(p, t->bell);
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
    if (poll(fds, 4, -1) < 0 && errno != EINTR) break;
    if (fds[0].revents != 0) break;
    pthread_mutex_lock(&p->lock);
    for (int door = 0; door < 2; door++)
      if (p->doors[door] >= 0) read_hellos(p, door);
    my_engine_step(p->engine, my_clock_ns());
    while (my_engine_next(p->engine, &ev) == MY_OK)
      deliver(p, &ev);
    pthread_mutex_unlock(&p->lock);
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

static void free_pump(my_pump *p)
{
  for (size_t i = 0; i < BUCKETS; i++) {
    for (talk *t = p->talks[i], *next; t != NULL; t = next) {
      next = t->next;
      free_news(t->first);
      free(t);
    }
  }
  for (bell *b = p->bells, *next; b != NULL; b = next) {
    next = b->next;
    free(b);
  }
  free_news(p->taken);
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
  stop_thread(p);
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
  memcpy(token, b->token, sizeof b->token);
  pthread_mutex_lock(&p->lock);
  *number = b->number = ++p->last_bell;
  b->next = p->bells;
  p->bells = b;
  pthread_mutex_unlock(&p->lock);
  return MY_OK;
}

void my_pump_bell_close(my_pump *p, uint64_t number)
{
  pthread_mutex_lock(&p->lock);
  for (bell **at = &p->bells; *at != NULL; at = &(*at)->next) {
    bell *b = *at;
    if (b->number != number) continue;
    *at = b->next;
    free(b);
    break;
  }
  pthread_mutex_unlock(&p->lock);
}

int my_pump_submit(my_pump *p, const my_exchange *x, uint64_t bell_number, uint64_t *id)
{
  talk *t = calloc(1, sizeof *t);
  if (t == NULL) return MY_ENOMEM;
  pthread_mutex_lock(&p->lock);
  int rc = my_engine_submit(p->engine, x, id);
  if (rc == MY_OK) {
    t->id = *id;
    t->bell = bell_number;
    t->next = p->talks[*id % BUCKETS];
    p->talks[*id % BUCKETS] = t;
    p->talk_count++;
    t = NULL;
  }
  pthread_mutex_unlock(&p->lock);
  free(t);
  return rc;
}

void my_pump_drop(my_pump *p, uint64_t id)
{
  pthread_mutex_lock(&p->lock);
  talk **at = find_talk(p, id), *t = *at;
  if (t != NULL) {
    *at = t->next;
    p->talk_count--;
    if (!t->over) my_engine_cancel(p->engine, id);
    free_news(t->first);
    free(t);
  }
  pthread_mutex_unlock(&p->lock);
}

int my_pump_next(my_pump *p, uint64_t id, my_event *out)
{
  int rc = MY_NOT_YET;
  pthread_mutex_lock(&p->lock);
  talk *t = *find_talk(p, id);
  free_news(p->taken);
  p->taken = NULL;
  if (t == NULL || (t->first == NULL && t->over)) {
    rc = MY_ENOENT;
  } else if (t->first != NULL) {
    news *n = t->first;
    t->first = n->next;
    if (t->first == NULL) t->last = NULL;
    n->next = NULL;
    p->taken = n;
    *out = n->event;
    rc = MY_OK;
  } else {
    bell *b = find_bell(p, t->bell);
    if (b != NULL) b->rung = false; /* it has looked: the next news rings again */
  }
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
