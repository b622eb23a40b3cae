/* main.c - the mynah program: finds its Lua files beside itself, runs host/main.lua, exits with
 * what it says. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lualib.h>

#include "budget.h"
#include "host.h"

enum { EXIT_COULD_NOT_RUN = 3, DESCRIPTORS_WANTED = 8192 };

typedef struct program {
  int argc;
  char **argv;
  char exe_dir[PATH_MAX];
  char share[PATH_MAX];
  int status;
} program;

/* A closed standard file must not become a socket's number: what is printed would go to the
 * network. Opened against its use, so that reading or writing fails as it would on a closed one. */
static void hold_standard_files(void)
{
  for (int fd = 0; fd <= 2; fd++)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0)
      _exit(EXIT_COULD_NOT_RUN);
}

/* Every probe has a socket of its own: take what the administrator leaves to be taken. */
static void raise_descriptor_limit(void)
{
  struct rlimit r;
  if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur >= DESCRIPTORS_WANTED) return;
  r.rlim_cur = r.rlim_max < DESCRIPTORS_WANTED ? r.rlim_max : DESCRIPTORS_WANTED;
  setrlimit(RLIMIT_NOFILE, &r); /* where it fails, fewer are asked at once */
}

/* build/bin/mynah -> build/share/mynah, /usr/bin/mynah -> /usr/share/mynah. */
static int find_files(program *p)
{
  ssize_t n = readlink("/proc/self/exe", p->exe_dir, sizeof p->exe_dir - 1);
  if (n < 0) n = 0;
  p->exe_dir[n] = '\0';
  char *slash = strrchr(p->exe_dir, '/');
  if (slash) *slash = '\0';
  char main_file[PATH_MAX + 32];
  int len = snprintf(p->share, sizeof p->share, "%.*s/../share/mynah", PATH_MAX - 32, p->exe_dir);
  snprintf(main_file, sizeof main_file, "%s/host/main.lua", p->share);
  if (len > 0 && access(main_file, R_OK) == 0) return 0;
  snprintf(p->share, sizeof p->share, "%s", MYNAH_DATADIR);
  snprintf(main_file, sizeof main_file, "%s/host/main.lua", p->share);
  if (access(main_file, R_OK) == 0) return 0;
  fprintf(stderr, "mynah: cannot read %s: %s; is it installed whole?\n", main_file,
          strerror(errno));
  return -1;
}

/* Ours first; nothing from the folder that we happen to stand in. The path is at the top of the
 * stack. */
static void set_path(lua_State *L, const char *field, const char *ours)
{
  lua_getglobal(L, "package");
  lua_getfield(L, -1, field);
  luaL_Buffer b;
  const char *rest = lua_tostring(L, -1);
  luaL_buffinit(L, &b);
  luaL_addstring(&b, ours);
  bool first = *ours == '\0';
  while (rest && *rest) {
    size_t len = strcspn(rest, ";");
    if (len > 0 && strncmp(rest, "./", 2) != 0) {
      if (!first) luaL_addchar(&b, ';');
      luaL_addlstring(&b, rest, len);
      first = false;
    }
    rest += len + (rest[len] == ';');
  }
  luaL_pushresult(&b);
  lua_setfield(L, -3, field);
  lua_pop(L, 2);
}

static void preload(lua_State *L, const program *p)
{
  luaL_getsubtable(L, LUA_REGISTRYINDEX, "_PRELOAD");
  lua_pushcfunction(L, luaopen_mynah_core);
  lua_setfield(L, -2, "mynah_core");
  lua_pushstring(L, p->share);
  lua_pushstring(L, p->exe_dir);
  lua_pushcclosure(L, luaopen_mynah_host, 2);
  lua_setfield(L, -2, "mynah_host");
  lua_pushcfunction(L, luaopen_openssl);
  lua_setfield(L, -2, "mynah_openssl");
  lua_pushcfunction(L, luaopen_zlib);
  lua_setfield(L, -2, "mynah_zlib");
  lua_pop(L, 1);
}

/* Runs protected: whatever is raised in here comes out as an internal error. */
static int run(lua_State *L)
{
  program *p = lua_touserdata(L, 1);
  /* LUA_PATH and LUA_CPATH are meant for plain Lua and for nmap: without ;; they would hide what we
   * need. */
  lua_pushboolean(L, 1);
  lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
  luaL_openlibs(L);
  preload(L, p);
  lua_pushfstring(L, "%s/nselib/?.lua;%s/?.lua", p->share, p->share);
  set_path(L, "path", lua_tostring(L, -1));
  set_path(L, "cpath", "");
  lua_pushfstring(L, "%s/host/main.lua", p->share);
  if (luaL_loadfile(L, lua_tostring(L, -1)) != LUA_OK) return lua_error(L);
  luaL_checkstack(L, p->argc, "too many arguments");
  for (int i = 1; i < p->argc; i++)
    lua_pushstring(L, p->argv[i]);
  lua_call(L, p->argc - 1, 1);
  p->status = (int)luaL_checkinteger(L, -1);
  return 0;
}

static int add_traceback(lua_State *L)
{
  const char *text = luaL_tolstring(L, 1, NULL);
  if (getenv("MYNAH_DEBUG")) luaL_traceback(L, L, text, 1);
  return 1;
}

int main(int argc, char **argv)
{
  program p = {.argc = argc, .argv = argv, .status = EXIT_COULD_NOT_RUN};
  hold_standard_files();
  raise_descriptor_limit();
  signal(SIGPIPE, SIG_IGN);
  if (find_files(&p) < 0) return EXIT_COULD_NOT_RUN;
  my_budget *budget = my_budget_new();
  lua_State *L = budget ? lua_newstate(my_budget_alloc, budget) : NULL;
  if (!L) {
    fputs("mynah: out of memory\n", stderr);
    my_budget_free(budget);
    return EXIT_COULD_NOT_RUN;
  }
  lua_pushcfunction(L, add_traceback);
  lua_pushcfunction(L, run);
  lua_pushlightuserdata(L, &p);
  if (lua_pcall(L, 1, 0, 1) != LUA_OK) {
    const char *text = lua_tostring(L, -1);
    p.status = EXIT_COULD_NOT_RUN;
    fprintf(stderr, "mynah: internal error: %s\n", text ? text : "(no message)");
  }
  lua_close(L);
  my_budget_free(budget);
  return p.status;
}
