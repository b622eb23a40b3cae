/* pump.c - the pump for Lua: UDP exchanges that go on while the script waits on its doorbell. */
#include "exchange.h"

#include "mynah/pump.h"

static const char class_name[] = "mynah.pump";

typedef struct owner {
  my_pump *pump;
} owner;

static my_pump *check_pump(lua_State *L)
{
  owner *o = luaL_checkudata(L, 1, class_name);
  if (!o->pump) luaL_argerror(L, 1, "pump is closed");
  return o->pump;
}

static int l_close(lua_State *L)
{
  owner *o = luaL_checkudata(L, 1, class_name);
  my_pump_close(o->pump);
  o->pump = NULL;
  return 0;
}

/* core.pump{ rate=, max_exchanges= } -> pump | nil, message */
static int l_new(lua_State *L)
{
  my_engine_config config;
  my_lua_read_engine_config(L, 1, &config);
  owner *o = new_owner(L, sizeof *o, class_name);
  int rc = my_pump_open(&o->pump, &config);
  return rc == MY_OK ? 1 : push_failure(L, rc, NULL);
}

/* pump:port(4 or 6) -> number | nil where this system has no such loopback */
static int l_port(lua_State *L)
{
  my_pump *p = check_pump(L);
  lua_Integer family = luaL_checkinteger(L, 2);
  luaL_argcheck(L, family == 4 || family == 6, 2, "4 or 6 expected");
  uint16_t port = my_pump_port(p, (int)family);
  if (port == 0) return 0;
  lua_pushinteger(L, port);
  return 1;
}

/* pump:bell() -> number, token | nil, message */
static int l_bell(lua_State *L)
{
  uint64_t bell;
  uint8_t token[MY_BELL_TOKEN];
  my_pump *p = check_pump(L);
  luaL_checkstack(L, 4, NULL);
  int rc = my_pump_bell(p, &bell, token);
  if (rc != MY_OK) return push_failure(L, rc, NULL);
  lua_pushinteger(L, (lua_Integer)bell);
  push_span(L,
            (my_span){token, sizeof token}); /* should this raise, the pump still owns the bell */
  return 2;
}

static int l_bell_close(lua_State *L)
{
  my_pump_bell_close(check_pump(L), (uint64_t)luaL_checkinteger(L, 2));
  return 0;
}

/* pump:udp{ as the engine's, bell= } -> id | nil, message */
static int l_udp(lua_State *L)
{
  my_pump *p = check_pump(L);
  my_exchange x;
  uint64_t id;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_Integer bell = opt_integer_field(L, 2, "bell", 0);
  if (!my_lua_read_udp(L, 2, &x)) return 2;
  int rc = my_pump_submit(p, &x, (uint64_t)bell, &id);
  if (rc != MY_OK) return push_failure(L, rc, NULL);
  lua_pushinteger(L, (lua_Integer)id);
  return 1;
}

/* pump:next(id) -> event | nil, and "over" once nothing more can come */
static int l_next(lua_State *L)
{
  my_event ev;
  my_pump *p = check_pump(L);
  uint64_t id = (uint64_t)luaL_checkinteger(L, 2);
  luaL_checkstack(L, 4, NULL);
  int rc = my_pump_next(p, id, &ev);
  if (rc == MY_OK) {
    my_lua_push_event(L, &ev); /* the pump keeps the bytes until the next call */
    return 1;
  }
  lua_pushnil(L);
  if (rc == MY_NOT_YET) return 1;
  lua_pushliteral(L, "over");
  return 2;
}

static int l_drop(lua_State *L)
{
  my_pump_drop(check_pump(L), (uint64_t)luaL_checkinteger(L, 2));
  return 0;
}

static int l_count(lua_State *L)
{
  lua_pushinteger(L, (lua_Integer)my_pump_count(check_pump(L)));
  return 1;
}

void my_lua_open_pump(lua_State *L)
{
  static const luaL_Reg methods[] = {
      {"port", l_port}, {"bell", l_bell}, {"bell_close", l_bell_close}, {"udp", l_udp},
      {"next", l_next}, {"drop", l_drop}, {"count", l_count},           {NULL, NULL},
  };
  new_class(L, class_name, methods, l_close);
  lua_pushcfunction(L, l_new);
  lua_setfield(L, -2, "pump");
}
