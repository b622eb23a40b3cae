/* process.c - files and a child for commands that run another program: folders, links, spawn. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

/* executable(path) -> may we run this file? */
static int l_executable(lua_State *L)
{
  struct stat st;
  const char *path = luaL_checkstring(L, 1);
  lua_pushboolean(L, stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0);
  return 1;
}

/* ---- a child ---- */

/* What ends programs, and the end of the child. */
static sigset_t ending_signals(void)
{
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  sigaddset(&set, SIGQUIT);
  sigaddset(&set, SIGCHLD);
  return set;
}

/* hold_signals(): from here on what would end us waits, for run() to pass it on to the child. */
static int l_hold_signals(lua_State *L)
{
  sigset_t set = ending_signals();
  (void)L;
  sigprocmask(SIG_BLOCK, &set, NULL);
  return 0;
}

/* In the child; only returns where the program cannot be run. */
static void become(const char *file, char **args, char **env)
{
  sigset_t none;
  sigemptyset(&none);
  signal(SIGPIPE, SIG_DFL); /* ignored in this program, and that would be inherited */
  sigprocmask(SIG_SETMASK, &none, NULL);
  prctl(PR_SET_PDEATHSIG, SIGTERM); /* it would be nobody's otherwise */
  execve(file, args, env);
}

/* The child, or -1 and errno; also where it could not run the program. */
static pid_t start_child(const char *file, char **args, char **env)
{
  int report[2], error = 0;
  if (pipe2(report, O_CLOEXEC) != 0) return -1;
  pid_t pid = fork();
  if (pid == 0) {
    become(file, args, env);
    error = errno;
    if (write(report[1], &error, sizeof error) < 0) _exit(126);
    _exit(127);
  }
  if (pid < 0) error = errno;
  close(report[1]);
  while (pid > 0 && read(report[0], &error, sizeof error) < 0 && errno == EINTR)
    ;
  close(report[0]);
  if (error == 0) return pid;
  if (pid > 0) waitpid(pid, NULL, 0);
  errno = error;
  return -1;
}

/* Until the child is over. What the terminal sends reached the child too; what somebody sent to us
 * is passed on to it. */
static int wait_for_child(pid_t pid)
{
  sigset_t set = ending_signals();
  siginfo_t info;
  int status;
  for (;;) {
    pid_t done = waitpid(pid, &status, WNOHANG);
    if (done == pid) return status;
    if (done < 0 && errno != EINTR) return 0;
    int number = sigwaitinfo(&set, &info);
    if (number > 0 && number != SIGCHLD && info.si_code <= 0) kill(pid, number);
  }
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
 * args[1] is the program's own name. hold_signals() comes before. */
static int l_run(lua_State *L)
{
  const char *file = luaL_checkstring(L, 1);
  char **args = check_words(L, 2), **env = check_words(L, 3);
  pid_t pid = start_child(file, args, env);
  if (pid < 0) {
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", file, strerror(errno));
    return 3;
  }
  int status = wait_for_child(pid);
  if (WIFEXITED(status)) {
    lua_pushinteger(L, WEXITSTATUS(status));
    return 1;
  }
  lua_pushnil(L);
  lua_pushinteger(L, WTERMSIG(status));
  return 2;
}

/* end_by(signal): end as a program does that this signal ends. */
static int l_end_by(lua_State *L)
{
  int number = (int)luaL_checkinteger(L, 1);
  sigset_t none;
  sigemptyset(&none);
  setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); /* the core, if any, is the child's */
  signal(number, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, NULL);
  raise(number);
  return 0;
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
  static const luaL_Reg functions[] = {{"temp_folder", l_temp_folder},
                                       {"mkdir", l_mkdir},
                                       {"symlink", l_symlink},
                                       {"realpath", l_realpath},
                                       {"executable", l_executable},
                                       {"home", l_home},
                                       {"hold_signals", l_hold_signals},
                                       {"run", l_run},
                                       {"end_by", l_end_by},
                                       {"environment", l_environment},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  lua_pushliteral(L, MYNAH_LIBDIR);
  lua_setfield(L, -2, "libdir");
}
