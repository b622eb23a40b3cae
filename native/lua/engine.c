/* engine.c - the engine for Lua: exchanges in, events out. Times are seconds here, but those named
 * _ns. */
#include "exchange.h"
#include "limits_ref.h"

#include <poll.h>
#include <sys/resource.h>

static const char class_name[] = "mynah.engine";

typedef struct owner {
  my_engine *engine;
} owner;

static my_engine *check_engine(lua_State *L)
{
  owner *o = luaL_checkudata(L, 1, class_name);
  if (!o->engine) luaL_argerror(L, 1, "engine is closed");
  return o->engine;
}

static uint64_t check_id(lua_State *L)
{
  return (uint64_t)luaL_checkinteger(L, 2);
}

static int status_result(lua_State *L, int rc)
{
  return rc < 0 ? push_failure(L, rc, NULL) : push_true(L);
}

/* engine{ rate=, max_exchanges=, max_connections=, spin=, limits=, interface=, source= } -> engine
 * | nil, message */
static int l_new(lua_State *L)
{
  my_engine_config config;
  lua_settop(L, 1);
  my_lua_read_engine_config(L, 1, &config);
  config.limits = push_limits_field(L, 1);
  owner *o = new_owner(L, sizeof *o, class_name);
  lua_pushvalue(L, 2); /* which must live as long */
  lua_setuservalue(L, -2);
  int rc = my_engine_new(&o->engine, &config);
  return rc == MY_OK ? 1 : push_failure(L, rc, NULL);
}

static int l_close(lua_State *L)
{
  owner *o = luaL_checkudata(L, 1, class_name);
  my_engine_free(o->engine);
  o->engine = NULL;
  return 0;
}

/* ---- exchanges ---- */

static int submit(lua_State *L, my_engine *engine, const my_exchange *x)
{
  uint64_t id;
  int rc = my_engine_submit(engine, x, &id);
  if (rc != MY_OK) return push_failure(L, rc, NULL);
  lua_pushinteger(L, (lua_Integer)id);
  return 1;
}

/* eng:udp{ host=, port=, payloads=, timeout=, flow=, start_ns=, local_host=, local_port=,
 * report_sent= } */
static int l_udp(lua_State *L)
{
  my_engine *engine = check_engine(L);
  my_exchange x;
  return my_lua_read_udp(L, 2, &x) ? submit(L, engine, &x) : 2;
}

/* eng:tcp{ host=, port=, timeout=, start_ns=, local_host=, local_port= } -> id | nil, message */
static int l_tcp(lua_State *L)
{
  my_engine *engine = check_engine(L);
  my_exchange x;
  return my_lua_read_tcp(L, 2, &x) ? submit(L, engine, &x) : 2;
}

static int l_send(lua_State *L)
{
  my_engine *engine = check_engine(L);
  return status_result(L, my_engine_send(engine, check_id(L), check_span(L, 3)));
}

/* eng:receive(id, max_bytes, timeout) */
static int l_receive(lua_State *L)
{
  my_engine *engine = check_engine(L);
  uint64_t id = check_id(L);
  lua_Integer most = luaL_checkinteger(L, 3);
  int64_t timeout_ns = ns_from_seconds(luaL_checknumber(L, 4));
  luaL_argcheck(L, most > 0, 3, "a count of bytes above 0 expected");
  return status_result(L, my_engine_receive(engine, id, (size_t)most, timeout_ns));
}

static int l_cancel(lua_State *L)
{
  my_engine *engine = check_engine(L);
  return status_result(L, my_engine_cancel(engine, check_id(L)));
}

/* ---- events ---- */

static int l_step(lua_State *L)
{
  int rc = my_engine_step(check_engine(L), my_clock_ns());
  if (rc < 0) return push_failure(L, rc, NULL);
  lua_pushinteger(L, rc);
  return 1;
}

/* eng:next() -> event | nil */
static int l_next(lua_State *L)
{
  my_event ev;
  my_engine *engine = check_engine(L);
  luaL_checkstack(L, 4, NULL);
  if (my_engine_next(engine, &ev) == MY_OK)
    my_lua_push_event(L, &ev); /* the engine keeps the bytes until the next call */
  else
    lua_pushnil(L);
  return 1;
}

/* eng:local_address(ip) -> our address towards it, as exchanges leave | nil, message */
static int l_local_address(lua_State *L)
{
  my_engine *engine = check_engine(L);
  my_endpoint peer, local;
  const char *text = check_text(L, 2);
  int rc = my_endpoint_parse(&peer, text, 9); /* any port will do: nothing is sent */
  if (rc == MY_OK) rc = my_engine_local(engine, &peer, &local);
  if (rc != MY_OK) return push_failure(L, rc, NULL);
  push_address(L, &local);
  return 1;
}

/* ---- waiting ---- */

static int l_fd(lua_State *L)
{
  lua_pushinteger(L, my_engine_fd(check_engine(L)));
  return 1;
}

/* eng:deadline() -> seconds from now | nil */
static int l_deadline(lua_State *L)
{
  int64_t due = my_engine_deadline(check_engine(L)), now = my_clock_ns();
  if (due == INT64_MAX)
    lua_pushnil(L);
  else
    lua_pushnumber(L, due > now ? (lua_Number)(due - now) / 1e9 : 0);
  return 1;
}

/* eng:wait([seconds]) -> true when step has work, false when the time is up or a signal came */
static int l_wait(lua_State *L)
{
  struct pollfd p = {.fd = my_engine_fd(check_engine(L)), .events = POLLIN};
  struct timespec t, *timeout = NULL;
  if (!lua_isnoneornil(L, 2)) {
    int64_t ns = ns_from_seconds(luaL_checknumber(L, 2));
    t.tv_sec = ns / 1000000000;
    t.tv_nsec = ns % 1000000000;
    timeout = &t;
  }
  int n = ppoll(&p, 1, timeout, NULL);
  if (n < 0 && errno != EINTR) return push_failure(L, MY_ESYS, NULL);
  lua_pushboolean(L, n > 0); /* after a signal Lua must get the chance to see it */
  return 1;
}

/* core.descriptors() -> how many this process may have open */
static int l_descriptors(lua_State *L)
{
  struct rlimit r;
  bool known = getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < INT32_MAX;
  lua_pushinteger(L, known ? (lua_Integer)r.rlim_cur : INT32_MAX);
  return 1;
}

void my_lua_open_engine(lua_State *L)
{
  static const luaL_Reg methods[] = {
      {"udp", l_udp},
      {"tcp", l_tcp},
      {"send", l_send},
      {"receive", l_receive},
      {"cancel", l_cancel},
      {"step", l_step},
      {"next", l_next},
      {"fd", l_fd},
      {"wait", l_wait},
      {"deadline", l_deadline},
      {"local_address", l_local_address},
      {NULL, NULL},
  };
  new_class(L, class_name, methods, l_close);
  lua_pushcfunction(L, l_new);
  lua_setfield(L, -2, "engine");
  lua_pushcfunction(L, l_descriptors);
  lua_setfield(L, -2, "descriptors");
}
