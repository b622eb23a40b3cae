/* budget.c - see budget.h; the table `limits` of the module mynah_host. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <lauxlib.h>

#include "host.h"
#include "budget.h"

/* Small blocks come from slabs, by size in units, and go back to a list of their size: scripts make
 * and drop hundreds of them each, and libc's heap would cost a sixth of their time, and more
 * memory. With AddressSanitizer every block is libc's, so that it sees what happens to each. */
enum {
  UNIT = 16,
  SLAB = 64 * 1024,
#if defined(__SANITIZE_ADDRESS__)
  UNITS = 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
  UNITS = 0
#else
  UNITS = 32
#endif
#else
  UNITS = 32
#endif
};

/* Before each block: whose it is, and how many units it has (0: it is libc's). Lua aligns nothing
 * to more than 8 bytes. */
typedef struct header {
  uint32_t owner, units;
} header;

typedef struct unused { /* a block that waits in its list */
  struct unused *next;
} unused;

typedef struct slab {
  struct slab *next;
  uint64_t padding; /* so that blocks begin at a multiple of UNIT */
} slab;

typedef struct owner {
  size_t used, most; /* bytes; most 0: no limit */
  bool released;     /* free for another once used is 0 */
} owner;

struct my_budget {
  owner *owners;
  size_t count, room, scan;    /* scan: where the search for a free one goes on */
  size_t current;              /* who allocates now */
  double deadline;             /* of the current owner, in processor time; 0: none */
  double slice;                /* seconds that it was given */
  lua_State *volatile running; /* the coroutine that runs now; NULL: the program itself */
  unused *lists[UNITS + 1];
  slab *slabs;
  char *fresh, *end; /* of the first slab: what was never used */
};

enum {
  TICK_MS = 50, /* of processor time between two looks at the clock */
  LOOKS = 16    /* places that are looked at before a new one is made */
};

/* A hook that always counted would cost a third of a script's speed. Instead a timer of this
 * thread's processor time looks now and then, and sets one where it must; Lua allows that of a
 * signal handler, and a handler gets no argument. */
static my_budget *watched;

my_budget *my_budget_new(void)
{
  my_budget *l = calloc(1, sizeof *l);
  if (l) l->owners = calloc(64, sizeof *l->owners);
  if (l && l->owners) {
    l->room = 64;
    l->count = 1;
    return l;
  }
  free(l);
  return NULL;
}

void my_budget_free(my_budget *l)
{
  if (!l) return;
  if (watched == l) watched = NULL;
  while (l->slabs) {
    slab *next = l->slabs->next;
    free(l->slabs);
    l->slabs = next;
  }
  free(l->owners);
  free(l);
}

static void keep(my_budget *l, void *block, size_t units)
{
  unused *u = block;
  u->next = l->lists[units];
  l->lists[units] = u;
}

/* What is left of the slab before is kept for blocks of its size. */
static bool new_slab(my_budget *l)
{
  slab *s = malloc(SLAB);
  if (!s) return false;
  if (l->fresh < l->end) keep(l, l->fresh, (size_t)(l->end - l->fresh) / UNIT);
  s->next = l->slabs;
  l->slabs = s;
  l->fresh = (char *)(s + 1);
  l->end = (char *)s + SLAB;
  return true;
}

static size_t units_of(size_t size)
{
  return (sizeof(header) + size + UNIT - 1) / UNIT;
}

/* A block of 'size' bytes and its header; NULL: out of memory. */
static header *take(my_budget *l, size_t size)
{
  size_t units = units_of(size);
  header *h;
  if (units > UNITS) {
    h = malloc(sizeof *h + size);
    if (h) h->units = 0;
    return h;
  }
  if (l->lists[units]) {
    h = (header *)l->lists[units];
    l->lists[units] = l->lists[units]->next;
  } else {
    if ((size_t)(l->end - l->fresh) < units * UNIT && !new_slab(l)) return NULL;
    h = (header *)l->fresh;
    l->fresh += units * UNIT;
  }
  h->units = (uint32_t)units;
  return h;
}

static void give(my_budget *l, header *h)
{
  if (h && h->units == 0)
    free(h);
  else if (h)
    keep(l, h, h->units);
}

/* The block with another size. NULL: out of memory, never for one that shrinks. */
static header *resize(my_budget *l, header *h, size_t old_size, size_t size)
{
  size_t units = units_of(size);
  if (h->units == 0 && units > UNITS) return realloc(h, sizeof *h + size);
  if (h->units == units) return h;
  header *moved = take(l, size);
  if (!moved) return size <= old_size ? h : NULL;
  memcpy(moved + 1, h + 1, size < old_size ? size : old_size);
  moved->owner = h->owner;
  give(l, h);
  return moved;
}

/* Shrinking never fails; what grows is charged to whom the block belongs. */
void *my_budget_alloc(void *ud, void *block, size_t old_size, size_t new_size)
{
  my_budget *l = ud;
  header *h = block ? (header *)block - 1 : NULL;
  size_t id = h ? h->owner : l->current;
  if (!h) old_size = 0; /* Lua says there what kind of object it is */
  owner *o = &l->owners[id];
  if (new_size == 0) {
    o->used -= old_size;
    give(l, h);
    return NULL;
  }
  if (new_size > old_size && o->most && o->used + new_size - old_size > o->most) return NULL;
  h = h ? resize(l, h, old_size, new_size) : take(l, new_size);
  if (!h) return NULL;
  h->owner = (uint32_t)id;
  o->used += new_size - old_size;
  return h + 1;
}

static my_budget *budget_of(lua_State *L)
{
  void *ud;
  lua_getallocf(L, &ud);
  return ud;
}

/* Processor time of this thread: others that keep the machine busy do not count. */
static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool is_over(const my_budget *l)
{
  return l->current != 0 && l->deadline != 0 && now() >= l->deadline;
}

/* A script may catch this error and go on; then the next instruction raises it again. */
static void on_step(lua_State *L, lua_Debug *ar)
{
  (void)ar;
  my_budget *l = budget_of(L);
  if (!is_over(l)) {
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  luaL_where(L, 0);
  lua_pushfstring(L, "ran for %f seconds without waiting", l->slice);
  lua_concat(L, 2);
  lua_error(L);
}

static void on_tick(int number)
{
  (void)number;
  int kept = errno;
  if (watched && watched->running && is_over(watched))
    lua_sethook(watched->running, on_step, LUA_MASKCOUNT, 1);
  errno = kept;
}

static int start_timer(void)
{
  struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGVTALRM};
  event._sigev_un._tid = gettid();
  struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};
  struct itimerspec ticks = {.it_interval = tick, .it_value = tick};
  timer_t timer;
  if (sigaction(SIGVTALRM, &action, NULL) < 0) return -1;
  if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) < 0) return -1;
  return timer_settime(timer, 0, &ticks, NULL);
}

/* limits.watch(): from now on who runs for too long is interrupted. Once a program. */
static int l_watch(lua_State *L)
{
  watched = budget_of(L);
  return start_timer() < 0 ? luaL_error(L, "cannot set a timer: %s", strerror(errno)) : 0;
}

/* limits.run(coroutine): it is the one that runs now, for the owner that was entered. Where the
 * time is over already, none of the owner's coroutines gets further. */
static int l_run(lua_State *L)
{
  my_budget *l = budget_of(L);
  l->running = lua_tothread(L, 1);
  if (l->running && is_over(l)) lua_sethook(l->running, on_step, LUA_MASKCOUNT, 1);
  return 0;
}

/* A place whose owner is gone with all that it had, or a new one. 0: out of memory. */
static size_t free_place(my_budget *l)
{
  for (int i = 0; i < LOOKS && l->count > 1; i++) {
    l->scan = l->scan + 1 < l->count ? l->scan + 1 : 1;
    if (l->owners[l->scan].released && l->owners[l->scan].used == 0) return l->scan;
  }
  if (l->count == l->room) {
    owner *more = realloc(l->owners, 2 * l->room * sizeof *more);
    if (!more) return 0;
    l->owners = more;
    l->room *= 2;
  }
  return l->count++;
}

/* limits.owner(bytes) -> a new owner, who may have so many bytes (0: any number) */
static int l_owner(lua_State *L)
{
  my_budget *l = budget_of(L);
  size_t most = (size_t)luaL_checkinteger(L, 1), id = free_place(l);
  if (id == 0) return luaL_error(L, "out of memory");
  l->owners[id] = (owner){.most = most};
  lua_pushinteger(L, (lua_Integer)id);
  return 1;
}

static size_t check_owner(lua_State *L, int arg)
{
  lua_Integer id = luaL_checkinteger(L, arg);
  luaL_argcheck(L, id >= 0 && (size_t)id < budget_of(L)->count, arg, "no such owner");
  return (size_t)id;
}

/* limits.release(owner): what it still holds may go when it goes */
static int l_release(lua_State *L)
{
  budget_of(L)->owners[check_owner(L, 1)].released = true;
  return 0;
}

/* limits.used(owner) -> bytes */
static int l_used(lua_State *L)
{
  lua_pushinteger(L, (lua_Integer)budget_of(L)->owners[check_owner(L, 1)].used);
  return 1;
}

/* limits.enter(owner, seconds, coroutine) -> who it was before: what runs now is this owner's, for
 * so long */
static int l_enter(lua_State *L)
{
  my_budget *l = budget_of(L);
  size_t before = l->current;
  double seconds = luaL_optnumber(L, 2, 0);
  l->running = lua_tothread(L, 3);
  l->current = check_owner(L, 1);
  l->slice = seconds;
  l->deadline = seconds > 0 ? now() + seconds : 0;
  lua_pushinteger(L, (lua_Integer)before);
  return 1;
}

void my_add_budget(lua_State *L)
{
  static const luaL_Reg functions[] = {
      {"watch", l_watch}, {"run", l_run},     {"owner", l_owner}, {"release", l_release},
      {"used", l_used},   {"enter", l_enter}, {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "limits");
}
