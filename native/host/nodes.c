/* nodes.c - the demo room's servers for Lua: demo{…} listens; the servers then run here or in a
 * child. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lauxlib.h>
#include <uv.h>

#include "demo/demo.h"
#include "host.h"

#define NODES_MT "mynah_host.nodes"
enum { NODES_MAX = 16 };

typedef struct nodes {
  size_t count;
  pid_t child; /* 0: none */
  my_demo_server servers[NODES_MAX];
} nodes;

static int push_failure_text(lua_State *L, const char *text)
{
  lua_pushnil(L);
  lua_pushstring(L, text);
  return 2;
}

/* Idempotent: ends the child, closes what listens. */
static void stop_nodes(nodes *n)
{
  if (n->child > 0) {
    kill(n->child, SIGTERM);
    while (waitpid(n->child, NULL, 0) < 0 && errno == EINTR)
      ;
  }
  n->child = 0;
  for (size_t i = 0; i < n->count; i++)
    my_demo_close(&n->servers[i]);
}

static int l_stop(lua_State *L)
{
  stop_nodes(luaL_checkudata(L, 1, NODES_MT));
  return 0;
}

/* list() -> { { kind=, ip=, port=, udp=bool }, … } */
static int l_list(lua_State *L)
{
  nodes *n = luaL_checkudata(L, 1, NODES_MT);
  lua_createtable(L, (int)n->count, 0);
  for (size_t i = 0; i < n->count; i++) {
    const my_demo_server *s = &n->servers[i];
    char ip[INET6_ADDRSTRLEN] = "";
    uv_ip_name((const struct sockaddr *)&s->address, ip, sizeof ip);
    lua_createtable(L, 0, 4);
    lua_pushstring(L, my_demo_kind_name(s->kind));
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, ip);
    lua_setfield(L, -2, "ip");
    lua_pushinteger(L, my_demo_port(s));
    lua_setfield(L, -2, "port");
    lua_pushboolean(L, s->kind == MY_DEMO_SKYPE);
    lua_setfield(L, -2, "udp");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* serve() -> true when a signal ended it | nil, message */
static int l_serve(lua_State *L)
{
  nodes *n = luaL_checkudata(L, 1, NODES_MT);
  int rc = my_demo_run(n->servers, n->count);
  if (rc < 0) return push_failure_text(L, uv_strerror(rc));
  lua_pushboolean(L, true);
  return 1;
}

/* The child shares nothing with us but what it serves, and goes when we go, however that is. */
static void run_child(nodes *n, pid_t parent)
{
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(0);
  int null = open("/dev/null", O_RDWR);
  if (null >= 0) {
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
  }
  _exit(my_demo_run(n->servers, n->count) < 0);
}

/* fork() -> true | nil, message: serve in a child process until stop() */
static int l_fork(lua_State *L)
{
  nodes *n = luaL_checkudata(L, 1, NODES_MT);
  pid_t parent = getpid();
  luaL_argcheck(L, n->child == 0, 1, "already running");
  pid_t pid = fork();
  if (pid < 0) return push_failure_text(L, strerror(errno));
  if (pid == 0) run_child(n, parent);
  n->child = pid;
  for (size_t i = 0; i < n->count; i++)
    my_demo_close(&n->servers[i]);
  lua_pushboolean(L, true);
  return 1;
}

/* The options of the entry at the top of the stack. Raises on a wrong type. */
static void read_options(lua_State *L, my_demo_options *out)
{
  *out = (my_demo_options){0};
  lua_getfield(L, -1, "refuse_any");
  lua_getfield(L, -2, "drop");
  lua_getfield(L, -3, "delay");
  lua_getfield(L, -4, "public_ip");
  out->refuse_any = lua_toboolean(L, -4);
  out->drop = luaL_optnumber(L, -3, 0);
  out->delay_ms = (unsigned)(luaL_optnumber(L, -2, 0) * 1000);
  const char *ip = luaL_optstring(L, -1, NULL);
  if (ip && inet_pton(AF_INET, ip, &out->public_ip) != 1)
    luaL_error(L, "public_ip: not an IPv4 address");
  out->has_public = ip != NULL;
  lua_pop(L, 4);
}

/* demo{ { kind="skype|ftp|http", bind="127.0.0.1", port=0, refuse_any=, public_ip=, drop=,
 * delay=seconds }, … }
 * -> nodes | nil, message */
static int l_demo(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  size_t count = lua_rawlen(L, 1);
  luaL_argcheck(L, count >= 1 && count <= NODES_MAX, 1, "1 to 16 servers");
  nodes *n = lua_newuserdata(L, sizeof *n);
  memset(n, 0, sizeof *n);
  luaL_setmetatable(L, NODES_MT);
  for (size_t i = 0; i < count; i++) {
    my_demo_kind kind;
    my_demo_options options;
    lua_rawgeti(L, 1, (lua_Integer)i + 1);
    luaL_checktype(L, -1, LUA_TTABLE);
    read_options(L, &options);
    lua_getfield(L, -1, "kind");
    lua_getfield(L, -2, "bind");
    lua_getfield(L, -3, "port");
    const char *address = luaL_optstring(L, -2, "127.0.0.1");
    uint16_t port = (uint16_t)luaL_optinteger(L, -1, 0);
    if (!my_demo_kind_parse(&kind, luaL_checkstring(L, -3))) return luaL_error(L, "no such server");
    int rc = my_demo_listen(&n->servers[i], kind, &options, address, port);
    if (rc < 0) {
      stop_nodes(n);
      return push_failure_text(L, strerror(-rc));
    }
    n->count = i + 1;
    lua_pop(L, 4);
  }
  return 1;
}

static const luaL_Reg METHODS[] = {
    {"list", l_list}, {"serve", l_serve}, {"fork", l_fork}, {"stop", l_stop}, {NULL, NULL}};

void my_add_nodes(lua_State *L)
{
  if (luaL_newmetatable(L, NODES_MT)) {
    lua_pushcfunction(L, l_stop);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, METHODS);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
  lua_pushcfunction(L, l_demo);
  lua_setfield(L, -2, "demo");
}
