/* process.c - files and a child for commands that run another program: folders, links, spawn. */
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>
#include <uv.h>

#include "host.h"

static int push_uv_error(lua_State *L, const char *what, int rc)
{
  lua_pushnil(L);
  lua_pushfstring(L, "%s: %s", what, uv_strerror(rc));
  return 2;
}

static int push_done(lua_State *L, const char *what, int rc)
{
  if (rc < 0) return push_uv_error(L, what, rc);
  lua_pushboolean(L, true);
  return 1;
}

/* temp_folder(name) -> path of a new folder that only we may enter | nil, message */
static int l_temp_folder(lua_State *L)
{
  char base[PATH_MAX];
  size_t size = sizeof base;
  uv_fs_t req;
  int rc = uv_os_tmpdir(base, &size);
  if (rc < 0) return push_uv_error(L, "temporary folder", rc);
  const char *template = lua_pushfstring(L, "%s/%s-XXXXXX", base, luaL_checkstring(L, 1));
  rc = uv_fs_mkdtemp(NULL, &req, template, NULL);
  if (rc == 0) {
    size = strlen(req.path);
    if (size < sizeof base) memcpy(base, req.path, size + 1);
  }
  uv_fs_req_cleanup(&req);
  if (rc < 0) return push_uv_error(L, template, rc);
  lua_pushstring(L, base);
  return 1;
}

/* mkdir(path) -> true | nil, message */
static int l_mkdir(lua_State *L)
{
  uv_fs_t req;
  const char *path = luaL_checkstring(L, 1);
  int rc = uv_fs_mkdir(NULL, &req, path, 0700, NULL);
  uv_fs_req_cleanup(&req);
  return push_done(L, path, rc);
}

/* symlink(target, path) -> true | nil, message */
static int l_symlink(lua_State *L)
{
  uv_fs_t req;
  const char *target = luaL_checkstring(L, 1), *path = luaL_checkstring(L, 2);
  int rc = uv_fs_symlink(NULL, &req, target, path, 0, NULL);
  uv_fs_req_cleanup(&req);
  return push_done(L, path, rc);
}

/* realpath(path) -> the path without links | nil, message */
static int l_realpath(lua_State *L)
{
  char real[PATH_MAX] = "";
  uv_fs_t req;
  const char *path = luaL_checkstring(L, 1);
  int rc = uv_fs_realpath(NULL, &req, path, NULL);
  if (rc == 0 && strlen(req.ptr) < sizeof real) strcpy(real, req.ptr);
  uv_fs_req_cleanup(&req);
  if (rc < 0) return push_uv_error(L, path, rc);
  lua_pushstring(L, real);
  return 1;
}

/* home() -> the user's folder by the password database | nil, message */
static int l_home(lua_State *L)
{
  char path[PATH_MAX] = "";
  uv_passwd_t user;
  int rc = uv_os_get_passwd(&user);
  if (rc < 0) return push_uv_error(L, "home", rc);
  if (strlen(user.homedir) < sizeof path) strcpy(path, user.homedir);
  uv_os_free_passwd(&user);
  lua_pushstring(L, path);
  return 1;
}

/* ---- a child ---- */

enum { FORWARDED = 4 };

typedef struct child {
  uv_loop_t loop;
  uv_process_t process;
  uv_signal_t signals[FORWARDED];
  bool over;
  int64_t status;
  int signal;
} child;

static void on_exit_of(uv_process_t *process, int64_t status, int signal)
{
  child *c = process->data;
  c->status = status;
  c->signal = signal;
  c->over = true;
  uv_close((uv_handle_t *)process, NULL);
  for (size_t i = 0; i < FORWARDED; i++)
    uv_close((uv_handle_t *)&c->signals[i], NULL);
}

/* What ends us ends the child first; then the caller can clean up. */
static void on_signal(uv_signal_t *handle, int number)
{
  child *c = handle->data;
  if (!c->over) uv_process_kill(&c->process, number);
}

static int run_child(child *c, const char *file, char **args, char **env)
{
  static const int numbers[FORWARDED] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  uv_stdio_container_t stdio[3];
  for (int i = 0; i < 3; i++)
    stdio[i] = (uv_stdio_container_t){.flags = UV_INHERIT_FD, .data.fd = i};
  uv_process_options_t options = {.file = file,
                                  .args = args,
                                  .env = env,
                                  .exit_cb = on_exit_of,
                                  .stdio_count = 3,
                                  .stdio = stdio};
  int rc = uv_loop_init(&c->loop);
  if (rc < 0) return rc;
  for (size_t i = 0; i < FORWARDED; i++) {
    uv_signal_init(&c->loop, &c->signals[i]);
    c->signals[i].data = c;
    uv_signal_start(&c->signals[i], on_signal, numbers[i]);
  }
  c->process.data = c;
  rc = uv_spawn(&c->loop, &c->process, &options);
  if (rc < 0) on_exit_of(&c->process, 0, 0);
  uv_run(&c->loop, UV_RUN_DEFAULT);
  uv_loop_close(&c->loop);
  return rc;
}

/* An array of strings as execve takes it, in userdata; the strings live through the table. */
static char **check_words(lua_State *L, int arg)
{
  luaL_checktype(L, arg, LUA_TTABLE);
  size_t count = lua_rawlen(L, arg);
  char **words = lua_newuserdata(L, (count + 1) * sizeof *words);
  for (size_t i = 0; i < count; i++) {
    if (lua_rawgeti(L, arg, (lua_Integer)i + 1) != LUA_TSTRING)
      luaL_argerror(L, arg, "an array of strings expected");
    words[i] = (char *)lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  words[count] = NULL;
  return words;
}

/* run(file, args, env) -> exit status, or nil and the signal that ended it, or nil, nil, message.
 * args[1] is the program's own name; signals that would end us are passed on to the child. */
static int l_run(lua_State *L)
{
  child c = {0};
  const char *file = luaL_checkstring(L, 1);
  char **args = check_words(L, 2), **env = check_words(L, 3);
  int rc = run_child(&c, file, args, env);
  if (rc < 0) {
    lua_pushnil(L);
    return 1 + push_uv_error(L, file, rc);
  }
  if (c.signal == 0) {
    lua_pushinteger(L, (lua_Integer)c.status);
    return 1;
  }
  lua_pushnil(L);
  lua_pushinteger(L, c.signal);
  return 2;
}

/* environment() -> array of "NAME=value" */
static int l_environment(lua_State *L)
{
  lua_newtable(L);
  for (lua_Integer i = 0; environ != NULL && environ[i] != NULL; i++) {
    lua_pushstring(L, environ[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

void my_add_process(lua_State *L)
{
  static const luaL_Reg functions[] = {
      {"temp_folder", l_temp_folder}, {"mkdir", l_mkdir}, {"symlink", l_symlink},
      {"realpath", l_realpath},       {"home", l_home},   {"run", l_run},
      {"environment", l_environment}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
