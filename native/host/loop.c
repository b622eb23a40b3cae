/* loop.c - one wait at a time on a libuv loop. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include <uv.h>

#include "host.h"

enum { SIGNALS = 2 };
static const int NUMBERS[SIGNALS] = {SIGINT, SIGTERM};

struct my_loop {
  uv_loop_t loop;
  uv_timer_t timer;
  uv_signal_t signals[SIGNALS];
  bool signals_started;
  uv_poll_t *poll; /* NULL before the first file */
  int poll_fd;
  bool ready, timed_out;
  int signal; /* 0: none waiting to be told */
};

static void on_ready(uv_poll_t *poll, int status, int events)
{
  (void)status; /* an error on the file is the reader's to find */
  (void)events;
  ((my_loop *)poll->loop->data)->ready = true;
}

/* A timer that is due when uv_run begins fires before the files are looked at; without uv_stop that
 * look would then wait for ever. */
static void on_time(uv_timer_t *timer)
{
  ((my_loop *)timer->loop->data)->timed_out = true;
  uv_stop(timer->loop);
}

static void on_signal(uv_signal_t *handle, int number)
{
  ((my_loop *)handle->loop->data)->signal = number;
}

static void free_poll(uv_handle_t *poll)
{
  free(poll);
}

int my_loop_new(my_loop **out)
{
  *out = NULL;
  my_loop *l = calloc(1, sizeof *l);
  if (!l) return UV_ENOMEM;
  int rc = uv_loop_init(&l->loop);
  if (rc < 0) {
    free(l);
    return rc;
  }
  l->loop.data = l;
  uv_timer_init(&l->loop, &l->timer);
  for (int i = 0; i < SIGNALS; i++)
    uv_signal_init(&l->loop, &l->signals[i]);
  *out = l;
  return 0;
}

void my_loop_free(my_loop *l)
{
  if (!l) return;
  if (l->poll) uv_close((uv_handle_t *)l->poll, free_poll);
  uv_close((uv_handle_t *)&l->timer, NULL);
  for (int i = 0; i < SIGNALS; i++)
    uv_close((uv_handle_t *)&l->signals[i], NULL);
  uv_run(&l->loop, UV_RUN_DEFAULT);
  uv_loop_close(&l->loop);
  free(l);
}

/* Watched only while somebody waits: a file's number may belong to another file by then. */
static int watch(my_loop *l, int fd)
{
  if (!l->poll || l->poll_fd != fd) {
    uv_poll_t *poll = malloc(sizeof *poll);
    if (!poll) return UV_ENOMEM;
    int rc = uv_poll_init(&l->loop, poll, fd);
    if (rc < 0) {
      free(poll);
      return rc;
    }
    if (l->poll) uv_close((uv_handle_t *)l->poll, free_poll);
    l->poll = poll;
    l->poll_fd = fd;
  }
  return uv_poll_start(l->poll, UV_READABLE, on_ready);
}

/* One shot each: the kernel restores the default, so that a second Ctrl-C ends a program that is
 * busy. */
static int catch_signals(my_loop *l)
{
  int rc = 0;
  for (int i = 0; i < SIGNALS && rc == 0 && !l->signals_started; i++)
    rc = uv_signal_start_oneshot(&l->signals[i], on_signal, NUMBERS[i]);
  l->signals_started = rc == 0;
  return rc;
}

int my_loop_wait(my_loop *l, int fd, double seconds, my_wait *out, int *signal)
{
  l->ready = l->timed_out = false;
  int rc = catch_signals(l);
  if (rc == 0 && fd >= 0) rc = watch(l, fd);
  if (rc < 0) return rc;
  uv_update_time(&l->loop);
  if (seconds >= 0)
    uv_timer_start(&l->timer, on_time,
                   seconds > 1e9 ? UINT64_MAX / 2 : (uint64_t)ceil(seconds * 1000), 0);
  while (!l->ready && !l->timed_out && !l->signal && uv_run(&l->loop, UV_RUN_ONCE))
    ;
  uv_timer_stop(&l->timer);
  if (fd >= 0) uv_poll_stop(l->poll);
  *out = l->signal ? MY_WAIT_INTERRUPT : l->ready ? MY_WAIT_READY : MY_WAIT_TIMEOUT;
  *signal = l->signal;
  l->signal = 0;
  return 0;
}
