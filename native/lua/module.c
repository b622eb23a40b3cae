/* module.c - mynah_core, what require gives. Everything else in the module is hidden. */
#include "lua_util.h"

#include "mynah/engine.h"

__attribute__((visibility("default"))) int luaopen_mynah_core(lua_State *L);

int luaopen_mynah_core(lua_State *L)
{
  luaL_checkversion(L);
  lua_newtable(L);
  set_string(L, "version", MYNAH_VERSION);
  set_string(L, "datadir", MYNAH_DATADIR);
  my_lua_open_target(L);
  my_lua_open_range(L);
  my_lua_open_scan(L);
  my_lua_open_limits(L);
  my_lua_open_capture(L);
  my_lua_open_engine(L);
  my_lua_open_pump(L);
  my_lua_open_signature(L);
  my_lua_open_match(L);
  my_lua_open_classify(L);
  my_lua_open_learn(L);
  my_lua_open_json(L);
  return 1;
}
