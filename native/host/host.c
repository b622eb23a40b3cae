/* host.c - the Lua module `mynah_host`. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <lauxlib.h>
#include <uv.h>

#include "host.h"

#define LOOP_MT "mynah_host.loop"
#define DIR_MT  "mynah_host.dir"

static int l_loop_gc(lua_State *L)
{
  my_loop **owner = luaL_checkudata(L, 1, LOOP_MT);
  my_loop_free(*owner);
  *owner = NULL;
  return 0;
}

static int push_uv_failure(lua_State *L, int rc)
{
  lua_pushnil(L);
  lua_pushstring(L, uv_strerror(rc));
  return 2;
}

/* wait(fd|nil, seconds|nil) -> "ready" | "timeout" | "interrupt", signal number | nil, message.
 * Upvalue 1 owns the loop, which is made at the first wait. */
static int l_wait(lua_State *L)
{
  static const char *const words[] = {"ready", "timeout", "interrupt"};
  int fd = (int)luaL_optinteger(L, 1, -1);
  double seconds = luaL_optnumber(L, 2, -1);
  my_loop **owner = lua_touserdata(L, lua_upvalueindex(1));
  luaL_argcheck(L, fd >= 0 || seconds >= 0, 1, "nothing to wait for");
  int rc = *owner ? 0 : my_loop_new(owner);
  my_wait what = MY_WAIT_TIMEOUT;
  int signal = 0;
  if (rc == 0) rc = my_loop_wait(*owner, fd, seconds, &what, &signal);
  if (rc < 0) return push_uv_failure(L, rc);
  lua_pushstring(L, words[what]);
  if (what != MY_WAIT_INTERRUPT) return 1;
  lua_pushinteger(L, signal);
  return 2;
}

static int l_isatty(lua_State *L)
{
  lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
  return 1;
}

/* columns([fd]) -> width of the terminal, 80 where there is none */
static int l_columns(lua_State *L)
{
  struct winsize size = {0};
  int fd = (int)luaL_optinteger(L, 1, STDOUT_FILENO);
  if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0) size.ws_col = 80;
  lua_pushinteger(L, size.ws_col);
  return 1;
}

/* list(folder) -> array of names, in no order | nil, message */
static int l_list(lua_State *L)
{
  const char *path = luaL_checkstring(L, 1);
  DIR **owner = lua_newuserdata(L, sizeof *owner);
  *owner = NULL;
  luaL_setmetatable(L, DIR_MT);
  *owner = opendir(path);
  if (!*owner) {
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", path, strerror(errno));
    return 2;
  }
  lua_newtable(L);
  lua_Integer n = 0;
  for (struct dirent *entry; (entry = readdir(*owner)) != NULL;)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
      lua_pushstring(L, entry->d_name);
      lua_rawseti(L, -2, ++n);
    }
  closedir(*owner);
  *owner = NULL;
  return 1;
}

/* Where listing a folder raised for want of memory. */
static int l_dir_gc(lua_State *L)
{
  DIR **owner = luaL_checkudata(L, 1, DIR_MT);
  if (*owner) closedir(*owner);
  *owner = NULL;
  return 0;
}

/* descriptors(count) -> how many this process may have open, having asked for so many at least */
static int l_descriptors(lua_State *L)
{
  rlim_t wanted = (rlim_t)luaL_checkinteger(L, 1);
  struct rlimit r, more;
  if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < wanted) {
    more = (struct rlimit){wanted, r.rlim_max < wanted ? wanted : r.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &more) != 0) { /* only root may go beyond the hard limit */
      more = (struct rlimit){r.rlim_max < wanted ? r.rlim_max : wanted, r.rlim_max};
      setrlimit(RLIMIT_NOFILE, &more);
    }
    getrlimit(RLIMIT_NOFILE, &r);
  }
  lua_pushinteger(L, r.rlim_cur < INT32_MAX ? (lua_Integer)r.rlim_cur : INT32_MAX);
  return 1;
}

/* knocked() -> did SIGUSR1 come since this was last asked? From the first time on it does nothing
 * else. */
static int l_knocked(lua_State *L)
{
  const struct timespec none = {0};
  sigset_t knock;
  sigemptyset(&knock);
  sigaddset(&knock, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &knock, NULL);
  lua_pushboolean(L, sigtimedwait(&knock, NULL, &none) == SIGUSR1);
  return 1;
}

/* step_back(): from here on this thread gives way to the others of the program. */
static int l_step_back(lua_State *L)
{
  (void)L;
  setpriority(PRIO_PROCESS, 0, 10); /* on Linux of the thread that calls (setpriority(2)) */
  return 0;
}

/* is_root() -> whether this process may do what root may */
static int l_is_root(lua_State *L)
{
  lua_pushboolean(L, geteuid() == 0);
  return 1;
}

/* replaceable(path): nothing is there, or a plain file: a new one may be renamed onto it. Not a
 * device, a pipe, a link. */
static int l_replaceable(lua_State *L)
{
  struct stat found;
  int rc = lstat(luaL_checkstring(L, 1), &found);
  lua_pushboolean(L, rc != 0 || S_ISREG(found.st_mode));
  return 1;
}

static const luaL_Reg FUNCTIONS[] = {
    {"isatty", l_isatty},       {"columns", l_columns},         {"list", l_list},
    {"step_back", l_step_back}, {"descriptors", l_descriptors}, {"knocked", l_knocked},
    {"is_root", l_is_root},     {"replaceable", l_replaceable}, {NULL, NULL}};

int luaopen_mynah_host(lua_State *L)
{
  if (luaL_newmetatable(L, DIR_MT)) {
    lua_pushcfunction(L, l_dir_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_pop(L, 1);
  luaL_newlib(L, FUNCTIONS);
  my_loop **owner = lua_newuserdata(L, sizeof *owner);
  *owner = NULL;
  if (luaL_newmetatable(L, LOOP_MT)) {
    lua_pushcfunction(L, l_loop_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  lua_pushcclosure(L, l_wait, 1);
  lua_setfield(L, -2, "wait");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setfield(L, -2, "share");
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_setfield(L, -2, "exe_dir");
  lua_pushliteral(L, MYNAH_VERSION);
  lua_setfield(L, -2, "version");
  my_add_nodes(L);
  my_add_process(L);
  my_add_tls(L);
  my_add_events(L);
  my_add_certificate(L);
  my_add_budget(L);
  my_add_interfaces(L);
  my_add_senders(L);
  my_add_sqlite(L);
  return 1;
}
