/* scan_connect.c - the path without privilege for TCP: connections asked for, and closed as soon as
 * they are known to be accepted or refused. */
#include "scan.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sockaddr.h"

enum { USUAL_AT_ONCE = 4000, SPARE = 64, EVENTS = 256 };

/* One that is being connected. */
typedef struct attempt {
  int fd; /* -1: free */
  my_endpoint peer;
  unsigned number;
  int64_t given_up_ns;
} attempt;

typedef struct connect_path {
  scan_path path;
  int poll_fd;
  my_endpoint source; /* family 0: as routing says */
  char interface[16];
  int64_t timeout_ns;
  size_t count;
  attempt *attempts;
  pthread_mutex_t lock; /* of the list of free ones: one thread takes, the other gives back */
  uint32_t *free_list;
  size_t free_count;
} connect_path;

static int64_t now(void)
{
  return my_clock_ns();
}

/* ---- out ---- */

static attempt *take(connect_path *p)
{
  attempt *a = NULL;
  pthread_mutex_lock(&p->lock);
  if (p->free_count) a = &p->attempts[p->free_list[--p->free_count]];
  pthread_mutex_unlock(&p->lock);
  return a;
}

static void finish_locked(connect_path *p, attempt *a, int fd)
{
  if (fd >= 0) close(fd);
  a->fd = -1;
  p->free_list[p->free_count++] = (uint32_t)(a - p->attempts);
}

static void finish(connect_path *p, attempt *a, int fd)
{
  pthread_mutex_lock(&p->lock);
  finish_locked(p, a, fd);
  pthread_mutex_unlock(&p->lock);
}

static int open_socket(const connect_path *p, const my_endpoint *peer)
{
  my_sockaddr sa;
  int family = peer->family == 4 ? AF_INET : AF_INET6;
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  bool ok = !p->interface[0] || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, p->interface,
                                           (socklen_t)strlen(p->interface)) == 0;
  if (ok && p->source.family) {
    my_sockaddr_write(&sa, &p->source);
    ok = bind(fd, &sa.any, my_sockaddr_len(&sa)) == 0;
  }
  if (ok) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

/* Begin one. 0, or errno: then nothing is left of it. */
static int start(connect_path *p, const scan_datagram *d)
{
  my_sockaddr sa;
  attempt *a = take(p);
  if (!a) return EAGAIN;
  int fd = open_socket(p, &d->peer);
  int error = fd < 0 ? errno : 0;
  my_sockaddr_write(&sa, &d->peer);
  if (!error && connect(fd, &sa.any, my_sockaddr_len(&sa)) != 0 && errno != EINPROGRESS &&
      errno != ECONNREFUSED)
    error = errno;
  if (!error) {
    pthread_mutex_lock(&p->lock);
    *a = (attempt){fd, d->peer, d->attempt, now() + p->timeout_ns};
    pthread_mutex_unlock(&p->lock);
    struct epoll_event want = {.events = EPOLLOUT | EPOLLONESHOT, .data.ptr = a};
    if (epoll_ctl(p->poll_fd, EPOLL_CTL_ADD, fd, &want) == 0) return 0;
    error = errno;
  }
  finish(p, a, fd);
  return error == EMFILE || error == ENFILE || error == EADDRNOTAVAIL ? EAGAIN : error;
}

static int connect_send(scan_path *path, const scan_datagram *list, size_t count)
{
  connect_path *p = (connect_path *)path;
  for (size_t i = 0; i < count; i++) {
    int error = start(p, &list[i]);
    if (error == 0) continue;
    if (i > 0) return (int)i;
    errno = error;
    return -1;
  }
  return (int)count;
}

/* ---- in ---- */

static my_reason reason_of(int error)
{
  switch (error) {
  case 0:
    return MY_REASON_SYN_ACK;
  case ECONNREFUSED:
    return MY_REASON_CONN_REFUSED;
  case ENETUNREACH:
    return MY_REASON_NET_UNREACH;
  case EACCES:
  case EPERM:
    return MY_REASON_ADMIN_PROHIBITED;
  default:
    return MY_REASON_HOST_UNREACH;
  }
}

static void tell(connect_path *p, attempt *a, scan_hear_fn *fn, void *arg)
{
  int error = 0;
  socklen_t len = sizeof error;
  getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len);
  my_endpoint us = {0};
  my_socket_name(a->fd, &us);
  if (error == 0 && us.port == a->peer.port && my_endpoint_same_address(&us, &a->peer))
    error = ECONNREFUSED; /* the system chose the very port that we asked: we spoke to ourselves */
  scan_heard heard = {.is_error = error != 0,
                      .is_known = true,
                      .is_tcp = true,
                      .reason = reason_of(error),
                      .peer = a->peer,
                      .from = a->peer,
                      .to = us,
                      .attempt = a->number,
                      .time_ns = my_clock_unix_ns()};
  finish(p, a, a->fd);
  if (error != ETIMEDOUT) fn(arg, &heard);
}

/* Those that nobody answers are given up. */
static void give_up_old(connect_path *p)
{
  int64_t present = now();
  pthread_mutex_lock(&p->lock);
  for (size_t i = 0; i < p->count; i++) {
    attempt *a = &p->attempts[i];
    if (a->fd >= 0 && a->given_up_ns < present) finish_locked(p, a, a->fd);
  }
  pthread_mutex_unlock(&p->lock);
}

static void connect_hear(scan_path *path, int wait_ms, scan_hear_fn *fn, void *arg)
{
  connect_path *p = (connect_path *)path;
  struct epoll_event events[EVENTS];
  int got = epoll_wait(p->poll_fd, events, EVENTS, wait_ms);
  for (int i = 0; i < got; i++)
    tell(p, events[i].data.ptr, fn, arg);
  if (got < EVENTS) give_up_old(p);
}

/* ---- the path ---- */

static void connect_close(scan_path *path)
{
  connect_path *p = (connect_path *)path;
  for (size_t i = 0; p->attempts && i < p->count; i++)
    if (p->attempts[i].fd >= 0) close(p->attempts[i].fd);
  if (p->poll_fd >= 0) close(p->poll_fd);
  pthread_mutex_destroy(&p->lock);
  free(p->attempts);
  free(p->free_list);
  free(p);
}

/* Descriptors are others', too. */
static size_t room(size_t wanted)
{
  struct rlimit r;
  if (wanted == 0) wanted = USUAL_AT_ONCE;
  if (getrlimit(RLIMIT_NOFILE, &r) != 0) return SPARE;
  size_t most = r.rlim_cur / 2 > SPARE ? (size_t)r.rlim_cur / 2 : SPARE;
  return most < wanted ? most : wanted;
}

static int set_up(connect_path *p, const my_scan_config *config)
{
  p->count = room(config->connections);
  p->source = config->source;
  p->timeout_ns = config->timeout_ns;
  if (config->interface) snprintf(p->interface, sizeof p->interface, "%s", config->interface);
  p->attempts = calloc(p->count, sizeof *p->attempts);
  p->free_list = calloc(p->count, sizeof *p->free_list);
  if (!p->attempts || !p->free_list) return MY_ENOMEM;
  for (size_t i = 0; i < p->count; i++) {
    p->attempts[i].fd = -1;
    p->free_list[p->free_count++] = (uint32_t)i;
  }
  p->poll_fd = epoll_create1(EPOLL_CLOEXEC);
  return p->poll_fd >= 0 ? MY_OK : MY_ESYS;
}

int scan_connect_open(scan_path **out, const my_scan_config *config, my_where *where)
{
  *out = NULL;
  connect_path *p = calloc(1, sizeof *p);
  if (!p) return MY_ENOMEM;
  p->path = (scan_path){connect_send, connect_hear, NULL, connect_close, config->source, 1, 1};
  p->poll_fd = -1;
  pthread_mutex_init(&p->lock, NULL);
  int rc = set_up(p, config);
  if (rc == MY_OK)
    *out = &p->path;
  else
    connect_close(&p->path);
  (void)where;
  return rc;
}
