/* range_ref.h - the userdata that owns ranges of targets, used by range.c and scan.c. */
#ifndef MYNAH_LUA_RANGE_REF_H
#define MYNAH_LUA_RANGE_REF_H

#include "lua_util.h"

#include "mynah/range.h"

#define RANGES_CLASS "mynah.ranges"

typedef struct ranges_ref {
  my_ranges *ranges;
  int sealed;
} ranges_ref;

static inline ranges_ref *check_ranges(lua_State *L, int arg)
{
  ranges_ref *r = luaL_checkudata(L, arg, RANGES_CLASS);
  luaL_argcheck(L, r->ranges != NULL, arg, "the ranges are closed");
  return r;
}

#endif
