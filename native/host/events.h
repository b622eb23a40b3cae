/* events.h - many waits at once on one libuv loop: for a socket, for a time, for a name. Who waits
 * gives a token, an integer of its own; whatever comes first, readiness or the end of the time,
 * puts the token into a queue, once. */
#ifndef MYNAH_EVENTS_H
#define MYNAH_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include <lua.h>
#include <uv.h>

typedef struct my_events my_events;

typedef enum my_outcome { MY_EVENT_READY, MY_EVENT_TIMEOUT } my_outcome;

/* One place to wait at. Lives until my_waiter_close, which frees it when libuv lets it go. */
typedef struct my_waiter {
  my_events *events;
  uv_timer_t timer;
  int fd; /* -1: waits for time only */
  bool waiting;
  int wanted; /* UV_READABLE, UV_WRITABLE */
  lua_Integer token;
} my_waiter;

/* NULL and errno: out of memory, or the file cannot be waited for. 'fd' stays the caller's. */
my_waiter *my_waiter_new(my_events *e, int fd);

/* Wait for 'events' of libuv (0: only for the time) or for 'seconds' (negative: for ever). One wait
 * at a time: another one takes the place of the first. Only a change is an event: wait where the
 * system call has just said that it would have to. 0 or a negative libuv error. */
int my_waiter_start(my_waiter *w, int events, double seconds, lua_Integer token);
void my_waiter_stop(my_waiter *w);
void my_waiter_close(my_waiter *w); /* NULL is allowed; close the file after this */

/* The events object at 'arg'; raises where there is none. */
my_events *my_check_events(lua_State *L, int arg);

/* Adds socket() (sockets.c) and capture() (raw.c) to the methods of events, the table on top of the
 * stack. */
void my_add_sockets(lua_State *L);
void my_add_captures(lua_State *L);

#endif
