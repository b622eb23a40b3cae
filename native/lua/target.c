/* target.c - addresses, names, clocks and random bytes for Lua. */
#include "lua_util.h"

#include <net/if.h>

#include "mynah/engine.h"

enum { RESOLVED_MAX = 64, RANDOM_MAX = 1 << 20 };

static const char *const family_names[] = {"any", "inet", "inet6", NULL};
static const int family_numbers[] = {0, 4, 6};

/* resolve(host [, port [, "inet"|"inet6"]]) -> array of addresses | nil, message */
static int l_resolve(lua_State *L)
{
  const char *host = check_text(L, 1);
  lua_Integer port = luaL_optinteger(L, 2, 0);
  int family = family_numbers[luaL_checkoption(L, 3, "any", family_names)];
  luaL_argcheck(L, port >= 0 && port <= 65535, 2, "a port from 0 to 65535 expected");
  my_endpoint *list = lua_newuserdata(L, RESOLVED_MAX * sizeof *list);
  my_where where;
  int count = my_resolve(host, (uint16_t)port, family, list, RESOLVED_MAX, &where);
  if (count < 0) return push_failure(L, count, &where);
  lua_createtable(L, count, 0);
  for (int i = 0; i < count; i++) {
    push_address(L, &list[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* local_address(ip) -> our address towards it | nil, message */
static int l_local_address(lua_State *L)
{
  my_endpoint peer, local;
  const char *text = check_text(L, 1);
  if (my_endpoint_parse(&peer, text, 9) != MY_OK) { /* any port will do: nothing is sent */
    lua_pushnil(L);
    lua_pushfstring(L, "not a numeric address: \"%s\"", text);
    return 2;
  }
  int rc = my_route_local(&peer, &local);
  if (rc != MY_OK) return push_failure(L, rc, NULL);
  push_address(L, &local);
  return 1;
}

/* interface_name(index) -> name | nil, message */
static int l_interface_name(lua_State *L)
{
  char name[IF_NAMESIZE];
  lua_Integer index = luaL_checkinteger(L, 1);
  luaL_argcheck(L, index >= 0 && index <= UINT32_MAX, 1, "an index from 0 to 2^32-1 expected");
  if (!if_indextoname((unsigned)index, name)) return push_failure(L, MY_ESYS, NULL);
  lua_pushstring(L, name);
  return 1;
}

static int l_is_global(lua_State *L)
{
  my_endpoint e;
  bool parsed = my_endpoint_parse(&e, check_text(L, 1), 0) == MY_OK;
  lua_pushboolean(L, parsed && e.family == 4 && my_ipv4_is_global(e.bytes));
  return 1;
}

/* in_prefix(address, of, bits): do they share their first bits? Addresses of two families do not.
 */
static int l_in_prefix(lua_State *L)
{
  my_endpoint a, b;
  const char *address = check_text(L, 1), *of = check_text(L, 2);
  lua_Integer bits = luaL_checkinteger(L, 3);
  bool same = my_endpoint_parse(&a, address, 0) == MY_OK && my_endpoint_parse(&b, of, 0) == MY_OK &&
              a.family == b.family && bits >= 0 && bits <= (a.family == 4 ? 32 : 128);
  for (lua_Integer i = 0; same && i < bits; i += 8) {
    uint8_t mask = bits - i >= 8 ? 0xff : (uint8_t)(0xff00 >> (bits - i));
    same = ((a.bytes[i / 8] ^ b.bytes[i / 8]) & mask) == 0;
  }
  lua_pushboolean(L, same);
  return 1;
}

static int l_family(lua_State *L)
{
  my_endpoint e;
  if (my_endpoint_parse(&e, check_text(L, 1), 0) == MY_OK)
    lua_pushinteger(L, e.family);
  else
    lua_pushnil(L);
  return 1;
}

static int l_now(lua_State *L)
{
  lua_pushnumber(L, (lua_Number)my_clock_ns() / 1e9);
  return 1;
}

static int l_now_ns(lua_State *L)
{
  lua_pushinteger(L, my_clock_ns());
  return 1;
}

static int l_unix(lua_State *L)
{
  lua_pushnumber(L, (lua_Number)my_clock_unix_ns() / 1e9);
  return 1;
}

static int l_random(lua_State *L)
{
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0 && n <= RANDOM_MAX, 1, "0 to 1048576 bytes expected");
  uint8_t *bytes = lua_newuserdata(L, n ? (size_t)n : 1);
  int rc = my_random(bytes, (size_t)n);
  if (rc != MY_OK) return push_failure(L, rc, NULL);
  lua_pushlstring(L, (const char *)bytes, (size_t)n);
  return 1;
}

void my_lua_open_target(lua_State *L)
{
  static const luaL_Reg functions[] = {
      {"resolve", l_resolve},
      {"local_address", l_local_address},
      {"interface_name", l_interface_name},
      {"is_global", l_is_global},
      {"in_prefix", l_in_prefix},
      {"family", l_family},
      {"now", l_now},
      {"now_ns", l_now_ns},
      {"unix", l_unix},
      {"random", l_random},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
