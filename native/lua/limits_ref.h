/* limits_ref.h - the userdata that owns limits, used by limits.c, engine.c and scan.c. */
#ifndef MYNAH_LUA_LIMITS_REF_H
#define MYNAH_LUA_LIMITS_REF_H

#include "lua_util.h"

#include "mynah/limits.h"

#define LIMITS_CLASS "mynah.limits"

typedef struct limits_ref {
  my_limits *limits;
} limits_ref;

/* Field 'limits' of the table at 'arg', which whoever uses it keeps: pushed, nil too. */
static inline my_limits *push_limits_field(lua_State *L, int arg)
{
  if (lua_isnoneornil(L, arg) || !push_field(L, arg, "limits")) {
    lua_pushnil(L);
    return NULL;
  }
  limits_ref *r = luaL_testudata(L, -1, LIMITS_CLASS);
  if (!r) bad_field(L, arg, "limits", LIMITS_CLASS);
  return r->limits;
}

#endif
