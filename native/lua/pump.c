/* pump.c - the pump for Lua: UDP exchanges that go on while the script waits on its doorbell. */
#include "exchange.h"

#include "mynah/pump.h"

static const char pump_class[] = "mynah.pump", bell_class[] = "mynah.bell";

typedef struct owner {
  my_pump *pump;
} owner;

/* A bell keeps its pump's owner alive, as its user value: the pump itself may be closed before. */
typedef struct bell_owner {
  const owner *of; /* NULL once closed */
  uint64_t number;
} bell_owner;

static my_pump *check_pump(lua_State *L)
{
  owner *o = luaL_checkudata(L, 1, pump_class);
  if (!o->pump) luaL_argerror(L, 1, "pump is closed");
  return o->pump;
}

static my_pump *check_bell(lua_State *L, uint64_t *number)
{
  bell_owner *b = luaL_checkudata(L, 1, bell_class);
  if (!b->of) luaL_argerror(L, 1, "bell is closed");
  if (!b->of->pump) luaL_argerror(L, 1, "the bell's pump is closed");
  *number = b->number;
  return b->of->pump;
}

/* ---- pump ---- */

static int l_close(lua_State *L)
{
  owner *o = luaL_checkudata(L, 1, pump_class);
  my_pump_close(o->pump);
  o->pump = NULL;
  return 0;
}

/* core.pump{ rate=, max_exchanges=, spin= } -> pump | nil, message */
static int l_new(lua_State *L)
{
  my_engine_config config;
  my_lua_read_engine_config(L, 1, &config);
  owner *o = new_owner(L, sizeof *o, pump_class);
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

/* pump:bell() -> bell, token | nil, message */
static int l_bell(lua_State *L)
{
  uint8_t token[MY_BELL_TOKEN];
  my_pump *p = check_pump(L);
  luaL_checkstack(L, 4, NULL);
  bell_owner *b = new_owner(L, sizeof *b, bell_class);
  lua_pushvalue(L, 1);
  lua_setuservalue(L, -2);
  int rc = my_pump_bell(p, &b->number, token);
  if (rc != MY_OK) return push_failure(L, rc, NULL);
  b->of = lua_touserdata(L, 1);
  push_span(L, (my_span){token, sizeof token});
  return 2;
}

static int l_count(lua_State *L)
{
  lua_pushinteger(L, (lua_Integer)my_pump_count(check_pump(L)));
  return 1;
}

/* ---- bell: an engine's udp, cancel and next for the exchanges of one script ---- */

static int l_bell_close(lua_State *L)
{
  bell_owner *b = luaL_checkudata(L, 1, bell_class);
  if (b->of && b->of->pump) my_pump_bell_close(b->of->pump, b->number);
  b->of = NULL;
  return 0;
}

/* bell:udp{ as the engine's } -> id | nil, message */
static int l_udp(lua_State *L)
{
  uint64_t number, id;
  my_exchange x;
  my_pump *p = check_bell(L, &number);
  if (!my_lua_read_udp(L, 2, &x)) return 2;
  int rc = my_pump_submit(p, &x, number, &id);
  if (rc != MY_OK) return push_failure(L, rc, NULL);
  lua_pushinteger(L, (lua_Integer)id);
  return 1;
}

/* bell:next() -> event | nil: then it rings again */
static int l_next(lua_State *L)
{
  my_event ev;
  uint64_t number;
  my_pump *p = check_bell(L, &number);
  luaL_checkstack(L, 4, NULL);
  if (my_pump_next(p, number, &ev) == MY_OK)
    my_lua_push_event(L, &ev); /* the pump keeps the bytes until the next call */
  else
    lua_pushnil(L);
  return 1;
}

/* bell:cancel(id) -> true | nil, message */
static int l_cancel(lua_State *L)
{
  uint64_t number;
  my_pump *p = check_bell(L, &number);
  int rc = my_pump_cancel(p, (uint64_t)luaL_checkinteger(L, 2));
  return rc == MY_OK ? push_true(L) : push_failure(L, rc, NULL);
}

/* bell:ring() */
static int l_ring(lua_State *L)
{
  uint64_t number;
  my_pump *p = check_bell(L, &number);
  my_pump_ring(p, number);
  return 0;
}

void my_lua_open_pump(lua_State *L)
{
  static const luaL_Reg pump_methods[] = {
      {"port", l_port}, {"bell", l_bell}, {"count", l_count}, {NULL, NULL}};
  static const luaL_Reg bell_methods[] = {
      {"udp", l_udp}, {"next", l_next}, {"cancel", l_cancel}, {"ring", l_ring}, {NULL, NULL}};
  new_class(L, pump_class, pump_methods, l_close);
  new_class(L, bell_class, bell_methods, l_bell_close);
  lua_pushcfunction(L, l_new);
  lua_setfield(L, -2, "pump");
}
