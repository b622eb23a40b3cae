/* limits.c - what may be sent at the most, all told, for Lua: given to scans and engines. */
#include "limits_ref.h"

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
  lua_pop(L, 1);
  lua_pushcfunction(L, l_new);
  lua_setfield(L, -2, "limits");
}
