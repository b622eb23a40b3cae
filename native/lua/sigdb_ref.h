/* sigdb_ref.h - the userdata that owns a database of signatures, used by signature.c, match.c and
 * classify.c. */
#ifndef MYNAH_LUA_SIGDB_REF_H
#define MYNAH_LUA_SIGDB_REF_H

#include "lua_util.h"

#include "mynah/match.h"
#include "mynah/signature.h"

#define SIGDB_CLASS "mynah.signatures"

typedef struct sigdb_ref {
  my_sigdb *db;
  my_scratch *scratch; /* for the one thread that Lua is */
} sigdb_ref;

/* Raises where the argument is no database or a closed one. */
static inline sigdb_ref *check_sigdb(lua_State *L, int arg)
{
  sigdb_ref *r = luaL_checkudata(L, arg, SIGDB_CLASS);
  luaL_argcheck(L, r->db != NULL, arg, "the signatures are closed");
  return r;
}

/* The signature that argument 'arg' names; raises where there is none. */
static inline const my_sig *check_sig(lua_State *L, const sigdb_ref *r, int arg)
{
  const char *name = check_text(L, arg);
  const my_sig *sig = my_sigdb_find(r->db, name);
  if (sig == NULL) luaL_argerror(L, arg, lua_pushfstring(L, "no signature '%s'", name));
  return sig;
}

/* The pair in the table at 'arg' (an absolute index); in match.c. */
my_pair check_pair(lua_State *L, int arg);

#endif
