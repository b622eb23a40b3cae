/* limits.c - what may be sent at the most, all told, for Lua: given to scans and engines, or asked
 * by whoever sends in other ways. */
#include "limits_ref.h"

#include "mynah/engine.h"

/* limits{ per_host=, bits= } -> limits | nil, message */
static int l_new(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  my_limits_config config = {.per_host = opt_number_field(L, 1, "per_host", 0),
                             .bits = opt_number_field(L, 1, "bits", 0)};
  limits_ref *r = new_owner(L, sizeof *r, LIMITS_CLASS);
  int rc = my_limits_new(&r->limits, &config);
  return rc == MY_OK ? 1 : push_failure(L, rc, NULL);
}

/* limits:turn("datagram" | "connection" | "stream", address, bytes of payload) -> seconds until it
 * may leave: that turn is taken. Bytes of a stream wait for the link alone. */
static int l_turn(lua_State *L)
{
  static const char *const words[] = {"datagram", "connection", "stream", NULL};
  static const my_packet kinds[] = {MY_PACKET_DATAGRAM, MY_PACKET_CONNECTION, MY_PACKET_STREAM};
  limits_ref *r = luaL_checkudata(L, 1, LIMITS_CLASS);
  my_packet kind = kinds[luaL_checkoption(L, 2, NULL, words)];
  const char *address = luaL_checkstring(L, 3);
  lua_Integer len = luaL_optinteger(L, 4, 0);
  my_endpoint peer;
  luaL_argcheck(L, my_endpoint_parse(&peer, address, 0) == MY_OK, 3, "an address expected");
  luaL_argcheck(L, len >= 0, 4, "a count of bytes expected");
  int64_t now = my_clock_ns();
  int64_t link = my_limits_link(r->limits, my_packet_bytes(kind, peer.family, (size_t)len), now);
  int64_t host = kind == MY_PACKET_STREAM ? now : my_limits_host(r->limits, &peer, now);
  lua_pushnumber(L, (lua_Number)((host > link ? host : link) - now) / 1e9);
  return 1;
}

static int l_collect(lua_State *L)
{
  limits_ref *r = luaL_checkudata(L, 1, LIMITS_CLASS);
  my_limits_free(r->limits);
  r->limits = NULL;
  return 0;
}

/* Without close(): whoever was given it needs it until he ends himself. */
void my_lua_open_limits(lua_State *L)
{
  luaL_newmetatable(L, LIMITS_CLASS);
  lua_pushcfunction(L, l_collect);
  lua_setfield(L, -2, "__gc");
  lua_newtable(L);
  lua_pushcfunction(L, l_turn);
  lua_setfield(L, -2, "turn");
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_pushcfunction(L, l_new);
  lua_setfield(L, -2, "limits");
}
