/* hint.c - what a reply to the probe of one signature looks like to the others. */
#include "sigdb_ref.h"

/* Bits that the lines that hold must show. */
static const double HINT_BITS = 12;

static bool starts_with_word(const char *line, const char *const *words)
{
  for (; *words != NULL; words++)
    if (strncmp(line, *words, strlen(*words)) == 0) return true;
  return false;
}

/* Lines that speak of the request or of us need not hold under a probe of another kind. */
static bool binds(const char *line)
{
  static const char *const signs[] = {"$", "q@", "q.", "my.", "peer.", NULL};
  for (const char *const *s = signs; *s != NULL; s++)
    if (strstr(line, *s) != NULL) return true;
  return false;
}

static bool looks_like(const my_sig *sig, const my_pair *pair, my_scratch *scratch)
{
  static const char *const free_to_fail[] = {"any ", "soft ", "case ", NULL};
  my_match m;
  double bits = 0;
  my_sig_match(sig, pair, scratch, &m);
  for (size_t i = 0; i < m.line_count; i++) {
    const char *line = my_sig_line_text(sig, i);
    if (m.held[i] == MY_FAILED && !binds(line) && !starts_with_word(line, free_to_fail))
      return false;
    bits += m.line_bits[i];
  }
  return bits >= HINT_BITS;
}

/* db:hints(pair) -> names of UDP signatures whose reply this could be, were it not for what binds a
 * reply to its probe: a hint at what to ask next, and no verdict */
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
    if (info.transport != MY_UDP || !looks_like(sig, &pair, r->scratch)) continue;
    lua_pushstring(L, info.name);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

void my_lua_open_hint(lua_State *L)
{
  static const luaL_Reg methods[] = {{"hints", l_hints}, {NULL, NULL}};
  luaL_getmetatable(L, SIGDB_CLASS); /* made by my_lua_open_signature */
  lua_getfield(L, -1, "__index");
  luaL_setfuncs(L, methods, 0);
  lua_pop(L, 2);
}
