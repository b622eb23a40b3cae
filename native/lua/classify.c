/* classify.c - in Lua: whose probe a request is, what a pair is, and what else it looks like. */
#include "sigdb_ref.h"

static my_transport check_transport(lua_State *L, int arg)
{
  static const char *const names[] = {"udp", "tcp", "tls", NULL};
  static const my_transport transports[] = {MY_UDP, MY_TCP, MY_TLS};
  return transports[luaL_checkoption(L, arg, "udp", names)];
}

static void push_name(lua_State *L, const my_sig *sig)
{
  my_sig_info info;
  my_sig_get_info(sig, &info);
  lua_pushstring(L, info.name);
}

static int l_bind(lua_State *L) /* db:bind(request [, transport]) -> names, in file order */
{
  sigdb_ref *r = check_sigdb(L, 1);
  my_span request = check_span(L, 2);
  const my_sig *found[MY_BIND_MAX];
  size_t count = my_sigdb_bind(r->db, check_transport(L, 3), request, found, MY_BIND_MAX);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    push_name(L, found[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* db:fits(name, request [, step]) -> boolean: can it have sent this? */
static int l_fits(lua_State *L)
{
  sigdb_ref *r = check_sigdb(L, 1);
  const my_sig *sig = check_sig(L, r, 2);
  my_span request = check_span(L, 3);
  lua_Integer step = luaL_optinteger(L, 4, 0);
  if (step != 0) sig = step > 0 && step <= UINT16_MAX ? my_sig_step(sig, (unsigned)step) : NULL;
  lua_pushboolean(L, sig != NULL && my_sig_fits(sig, request));
  return 1;
}

static int l_holds(lua_State *L) /* db:holds(name, pair) -> boolean */
{
  sigdb_ref *r = check_sigdb(L, 1);
  const my_sig *sig = check_sig(L, r, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  my_pair pair = check_pair(L, 3);
  lua_pushboolean(L, my_sig_holds(sig, &pair, r->scratch));
  return 1;
}

/* db:name(pair [, transport]) -> name, service, bits of both kinds | nil */
static int l_name(lua_State *L)
{
  sigdb_ref *r = check_sigdb(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  my_transport transport = check_transport(L, 3);
  my_pair pair = check_pair(L, 2);
  const my_sig *sig = my_sigdb_name(r->db, transport, &pair, r->scratch);
  if (sig == NULL) return 0;
  my_match shown;
  my_sig_info info;
  my_sig_match(sig, &pair, r->scratch, &shown);
  my_sig_get_info(sig, &info);
  lua_pushstring(L, info.name);
  lua_pushstring(L, info.service);
  lua_pushnumber(L, shown.fresh_bits + shown.identity_bits);
  return 3;
}

/* db:hints(pair) -> names of UDP signatures whose reply this could be, see my_sig_hinted */
static int l_hints(lua_State *L)
{
  sigdb_ref *r = check_sigdb(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  my_pair pair = check_pair(L, 2);
  lua_Integer count = 0;
  lua_newtable(L);
  for (size_t i = 0; i < my_sigdb_count(r->db); i++) {
    const my_sig *sig = my_sigdb_at(r->db, i);
    my_sig_info info;
    my_sig_get_info(sig, &info);
    if (info.transport != MY_UDP || !my_sig_hinted(sig, &pair, r->scratch)) continue;
    push_name(L, sig);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

void my_lua_open_classify(lua_State *L)
{
  static const luaL_Reg methods[] = {{"bind", l_bind}, {"fits", l_fits},   {"holds", l_holds},
                                     {"name", l_name}, {"hints", l_hints}, {NULL, NULL}};
  luaL_getmetatable(L, SIGDB_CLASS); /* made by my_lua_open_signature */
  lua_getfield(L, -1, "__index");
  luaL_setfuncs(L, methods, 0);
  lua_pop(L, 2);
}
