/* events.c - see events.h; the object `events` of the module mynah_host. */
#include <errno.h>
#include <math.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <lauxlib.h>

#include "events.h"
#include "host.h"

#define EVENTS_MT "mynah_host.events"
#define TIMER_MT  "mynah_host.timer"

enum { SIGNALS = 2, ADDRESSES_MAX = 32, BATCH = 64 };

typedef struct entry {
  struct entry *next;
  lua_Integer token;
  my_outcome outcome;
  char *text; /* of a lookup: what was found, a line each; NULL else */
} entry;

/* libuv would add a file at each wait and take it out after each event: two system calls for every
 * read. Files are therefore in a set of our own, for as long as they are open, which tells of
 * changes; libuv waits for the set. */
struct my_events {
  uv_loop_t loop;
  uv_signal_t signals[SIGNALS];
  uv_poll_t poll; /* of the set */
  int set;
  entry *first, **last; /* what came and was not taken yet */
  bool out_of_memory;
  int signal; /* 0: none came */
};

static void push(my_events *e, lua_Integer token, my_outcome outcome, char *text)
{
  entry *new = malloc(sizeof *new);
  if (!new) {
    free(text);
    e->out_of_memory = true;
    return;
  }
  *new = (entry){.token = token, .outcome = outcome, .text = text};
  *e->last = new;
  e->last = &new->next;
}

/* ---- waiters ---- */

static void finish(my_waiter *w, my_outcome outcome)
{
  if (!w->waiting) return;
  my_waiter_stop(w);
  push(w->events, w->token, outcome, NULL);
}

/* What ends a wait for reading or writing. An error on the file is found by who reads or writes. */
static int events_of(uint32_t events)
{
  bool both = events & (EPOLLERR | EPOLLHUP), in = events & (EPOLLIN | EPOLLRDHUP);
  return (in || both ? UV_READABLE : 0) | (events & EPOLLOUT || both ? UV_WRITABLE : 0);
}

static void look_at_files(my_events *e)
{
  struct epoll_event events[BATCH];
  int n;
  do {
    n = epoll_wait(e->set, events, BATCH, 0);
    for (int i = 0; i < n; i++) {
      my_waiter *w = events[i].data.ptr;
      if (w->wanted & events_of(events[i].events)) finish(w, MY_EVENT_READY);
    }
  } while (n == BATCH);
}

static void on_files(uv_poll_t *poll, int status, int unused)
{
  (void)status;
  (void)unused;
  look_at_files(poll->loop->data);
}

/* libuv looks at timers before files. Where a script kept us long, what was waited for may have
 * come in time: it comes first. Without uv_stop the look at the files that follows would wait for
 * ever. */
static void on_time(uv_timer_t *timer)
{
  my_waiter *w = timer->data;
  if (w->fd >= 0) look_at_files(w->events);
  finish(w, MY_EVENT_TIMEOUT);
  uv_stop(timer->loop);
}

my_waiter *my_waiter_new(my_events *e, int fd)
{
  my_waiter *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  w->events = e;
  w->fd = fd;
  struct epoll_event all = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = w};
  if (fd >= 0 && epoll_ctl(e->set, EPOLL_CTL_ADD, fd, &all) < 0) {
    free(w);
    return NULL;
  }
  uv_timer_init(&e->loop, &w->timer);
  w->timer.data = w;
  return w;
}

int my_waiter_start(my_waiter *w, int events, double seconds, lua_Integer token)
{
  my_waiter_stop(w);
  w->token = token;
  w->waiting = true;
  w->wanted = events;
  int rc = 0;
  if (seconds >= 0) {
    uv_update_time(&w->events->loop);
    uint64_t ms = seconds > 1e9 ? UINT64_MAX / 2 : (uint64_t)ceil(seconds * 1000);
    rc = uv_timer_start(&w->timer, on_time, ms, 0);
  }
  if (rc < 0) my_waiter_stop(w);
  return rc;
}

void my_waiter_stop(my_waiter *w)
{
  if (!w->waiting) return;
  w->waiting = false;
  uv_timer_stop(&w->timer);
}

static void on_closed(uv_handle_t *handle)
{
  free(handle->data);
}

void my_waiter_close(my_waiter *w)
{
  if (!w) return;
  my_waiter_stop(w);
  if (w->fd >= 0) epoll_ctl(w->events->set, EPOLL_CTL_DEL, w->fd, NULL);
  uv_close((uv_handle_t *)&w->timer, on_closed);
}

/* ---- the timer object: events:timer() ---- */

typedef struct timer {
  my_waiter *waiter;
} timer;

static int l_timer(lua_State *L)
{
  my_events *e = my_check_events(L, 1);
  timer *t = lua_newuserdata(L, sizeof *t);
  t->waiter = NULL;
  luaL_setmetatable(L, TIMER_MT);
  lua_pushvalue(L, 1);
  lua_setuservalue(L, -2); /* the loop outlives what waits on it */
  t->waiter = my_waiter_new(e, -1);
  return t->waiter ? 1 : luaL_error(L, "out of memory");
}

static my_waiter *check_timer(lua_State *L)
{
  timer *t = luaL_checkudata(L, 1, TIMER_MT);
  luaL_argcheck(L, t->waiter, 1, "timer is closed");
  return t->waiter;
}

/* timer:start(seconds, token) */
static int l_timer_start(lua_State *L)
{
  my_waiter *w = check_timer(L);
  double seconds = luaL_checknumber(L, 2);
  my_waiter_start(w, 0, seconds < 0 ? 0 : seconds, luaL_checkinteger(L, 3));
  return 0;
}

static int l_timer_stop(lua_State *L)
{
  my_waiter_stop(check_timer(L));
  return 0;
}

static int l_timer_close(lua_State *L)
{
  timer *t = luaL_checkudata(L, 1, TIMER_MT);
  my_waiter_close(t->waiter);
  t->waiter = NULL;
  return 0;
}

/* ---- names ---- */

typedef struct lookup {
  uv_getaddrinfo_t req;
  my_events *events;
  lua_Integer token;
} lookup;

/* Addresses as text, a line each, none twice. NULL: none. */
static char *addresses_text(const struct addrinfo *list)
{
  char *text = calloc(ADDRESSES_MAX, INET6_ADDRSTRLEN + 1);
  int n = 0;
  for (; text && list && n < ADDRESSES_MAX; list = list->ai_next) {
    char ip[INET6_ADDRSTRLEN + 1];
    if (uv_ip_name(list->ai_addr, ip, sizeof ip - 1) != 0) continue;
    strcat(ip, "\n");
    if (!strstr(text, ip)) {
      strcat(text, ip);
      n++;
    }
  }
  if (n > 0) return text;
  free(text);
  return NULL;
}

static void on_addresses(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
  lookup *l = req->data;
  push(l->events, l->token, MY_EVENT_READY, status == 0 ? addresses_text(list) : NULL);
  uv_freeaddrinfo(list);
  free(l);
}

static lookup *new_lookup(my_events *e, lua_Integer token)
{
  lookup *l = calloc(1, sizeof *l);
  if (!l) return NULL;
  l->events = e;
  l->token = token;
  l->req.data = l;
  return l;
}

/* What libuv does not even begin, such as a name that can be none, is answered like one that is not
 * found. */
static void answer_failed(lookup *l, int rc)
{
  if (rc == 0) return;
  push(l->events, l->token, MY_EVENT_READY, NULL);
  free(l);
}

/* events:resolve(name, family 4 | 6 | 0, token): the token brings the lines, none where there is no
 * such name */
static int l_resolve(lua_State *L)
{
  my_events *e = my_check_events(L, 1);
  const char *name = luaL_checkstring(L, 2);
  lua_Integer family = luaL_checkinteger(L, 3);
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                           .ai_family = family == 4   ? AF_INET
                                        : family == 6 ? AF_INET6
                                                      : AF_UNSPEC};
  lookup *l = new_lookup(e, luaL_checkinteger(L, 4));
  if (!l) return luaL_error(L, "out of memory");
  answer_failed(l, uv_getaddrinfo(&e->loop, &l->req, on_addresses, name, NULL, &hints));
  return 0;
}

/* ---- the loop ---- */

my_events *my_check_events(lua_State *L, int arg)
{
  my_events **owner = luaL_checkudata(L, arg, EVENTS_MT);
  luaL_argcheck(L, *owner, arg, "events are closed");
  return *owner;
}

static void on_signal(uv_signal_t *handle, int number)
{
  my_events *e = handle->loop->data;
  e->signal = number;
  uv_stop(&e->loop);
}

/* events:wait([look]) -> signal number or nil. Until something is in the queue or a signal came;
 * true only looks, as where something is there already. */
static int l_wait(lua_State *L)
{
  my_events *e = my_check_events(L, 1);
  uv_run_mode mode = lua_toboolean(L, 2) || e->first ? UV_RUN_NOWAIT : UV_RUN_ONCE;
  while (uv_run(&e->loop, mode) != 0 && mode == UV_RUN_ONCE)
    if (e->first || e->signal || e->out_of_memory) break;
  if (e->out_of_memory) return luaL_error(L, "out of memory");
  if (!e->signal) return 0;
  lua_pushinteger(L, e->signal);
  return 1;
}

/* events:next() -> token, "ready" | "timeout", text of a lookup or nil; nothing where there is none
 */
static int l_next(lua_State *L)
{
  my_events *e = my_check_events(L, 1);
  entry *taken = e->first;
  if (!taken) return 0;
  lua_pushinteger(L, taken->token);
  lua_pushstring(L, taken->outcome == MY_EVENT_READY ? "ready" : "timeout");
  lua_pushstring(L, taken->text);
  e->first = taken->next;
  if (!e->first) e->last = &e->first;
  free(taken->text);
  free(taken);
  return 3;
}

static void on_walk(uv_handle_t *handle, void *unused)
{
  (void)unused;
  bool ours = handle->type == UV_SIGNAL || handle->type == UV_POLL;
  if (ours && !uv_is_closing(handle)) uv_close(handle, NULL);
}

/* Waiters are closed by now: they keep this object alive. A lookup under way is waited for. */
static int l_events_gc(lua_State *L)
{
  my_events **owner = luaL_checkudata(L, 1, EVENTS_MT);
  my_events *e = *owner;
  if (!e) return 0;
  *owner = NULL;
  uv_walk(&e->loop, on_walk, NULL);
  uv_run(&e->loop, UV_RUN_DEFAULT);
  uv_loop_close(&e->loop);
  close(e->set);
  while (e->first) {
    entry *next = e->first->next;
    free(e->first->text);
    free(e->first);
    e->first = next;
  }
  free(e);
  return 0;
}

static int start_files(my_events *e)
{
  int rc = uv_poll_init(&e->loop, &e->poll, e->set);
  return rc < 0 ? rc : uv_poll_start(&e->poll, UV_READABLE, on_files);
}

static int start(my_events *e)
{
  static const int NUMBERS[SIGNALS] = {SIGINT, SIGTERM};
  int rc = start_files(e);
  for (int i = 0; i < SIGNALS && rc == 0; i++) {
    uv_signal_init(&e->loop, &e->signals[i]);
    rc = uv_signal_start_oneshot(&e->signals[i], on_signal, NUMBERS[i]);
    uv_unref((uv_handle_t *)&e->signals[i]);
  }
  return rc;
}

/* events() -> events | nil, message */
static int l_events(lua_State *L)
{
  my_events **owner = lua_newuserdata(L, sizeof *owner);
  *owner = NULL;
  luaL_setmetatable(L, EVENTS_MT);
  my_events *e = calloc(1, sizeof *e);
  if (!e) return luaL_error(L, "out of memory");
  e->last = &e->first;
  e->set = epoll_create1(EPOLL_CLOEXEC);
  int rc = e->set < 0 ? -errno : uv_loop_init(&e->loop);
  if (rc < 0) {
    if (e->set >= 0) close(e->set);
    free(e);
    lua_pushnil(L);
    lua_pushstring(L, uv_strerror(rc));
    return 2;
  }
  e->loop.data = e;
  *owner = e;
  rc = start(e);
  return rc < 0 ? luaL_error(L, "signals: %s", uv_strerror(rc)) : 1;
}

static void new_class(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc)
{
  luaL_newmetatable(L, name);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__index");
  lua_pushcfunction(L, gc);
  lua_setfield(L, -3, "__gc");
  lua_remove(L, -2);
}

void my_add_events(lua_State *L)
{
  static const luaL_Reg timer_methods[] = {
      {"start", l_timer_start}, {"stop", l_timer_stop}, {"close", l_timer_close}, {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"timer", l_timer}, {"resolve", l_resolve}, {"wait", l_wait}, {"next", l_next}, {NULL, NULL}};
  new_class(L, TIMER_MT, timer_methods, l_timer_close);
  lua_pop(L, 1);
  new_class(L, EVENTS_MT, methods, l_events_gc);
  my_add_sockets(L);
  my_add_captures(L);
  lua_pop(L, 1);
  lua_pushcfunction(L, l_events);
  lua_setfield(L, -2, "events");
}
