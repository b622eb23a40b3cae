/* signature.c - databases of signatures in Lua: load, list, compose, check. */
#include "sigdb_ref.h"

#include "mynah/check.h"
#include "mynah/engine.h"

static int l_close(lua_State *L)
{
  sigdb_ref *r = luaL_checkudata(L, 1, SIGDB_CLASS);
  my_sigdb_free(r->db);
  my_scratch_free(r->scratch);
  r->db = NULL;
  r->scratch = NULL;
  return 0;
}

static int l_signatures(lua_State *L) /* core.signatures() -> db | nil, message */
{
  sigdb_ref *r = new_owner(L, sizeof *r, SIGDB_CLASS);
  int rc = my_sigdb_new(&r->db);
  if (rc == MY_OK) rc = my_scratch_new(&r->scratch);
  return rc == MY_OK ? 1 : push_failure(L, rc, NULL);
}

static int
l_add(lua_State *L) /* db:add(text, filename) -> true | nil, "file:line:column: message" */
{
  sigdb_ref *r = check_sigdb(L, 1);
  my_span text = check_span(L, 2);
  const char *file = check_text(L, 3);
  my_where where;
  int rc = my_sigdb_add(r->db, file, text, &where);
  if (rc == MY_OK) return push_true(L);
  if (rc != MY_ESYNTAX) return push_failure(L, rc, NULL);
  lua_pushnil(L);
  if (where.line > 0)
    lua_pushfstring(L, "%s:%d:%d: %s", file, (int)where.line, (int)where.column, where.text);
  else
    lua_pushfstring(L, "%s: %s", file, where.text);
  return 2;
}

static int l_count(lua_State *L)
{
  lua_pushinteger(L, (lua_Integer)my_sigdb_count(check_sigdb(L, 1)->db));
  return 1;
}

static int l_names(lua_State *L) /* db:names() -> names in file order */
{
  sigdb_ref *r = check_sigdb(L, 1);
  my_sig_info info;
  lua_newtable(L);
  for (size_t i = 0; i < my_sigdb_count(r->db); i++) {
    my_sig_get_info(my_sigdb_at(r->db, i), &info);
    lua_pushstring(L, info.name);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static const char *transport_name(my_transport t)
{
  return t == MY_UDP ? "udp" : t == MY_TCP ? "tcp" : "tls";
}

static void set_budget(lua_State *L, const my_budget *b)
{
  set_number(L, "fresh_bits", b->fresh_bits);
  set_number(L, "identity_bits", b->identity_bits);
  set_boolean(L, "enough", b->enough);
}

static void set_lines(lua_State *L, const my_sig *sig)
{
  const char *line;
  lua_newtable(L);
  for (size_t i = 0; (line = my_sig_line_text(sig, i)) != NULL; i++) {
    lua_pushstring(L, line);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "lines");
}

/* Field 'ports' of the table on top: array of { first, last } */
static void set_ports(lua_State *L, const my_sig *sig)
{
  uint16_t first, last;
  lua_newtable(L);
  for (size_t n = 0; my_sig_port_range(sig, n, &first, &last); n++) {
    lua_createtable(L, 2, 0);
    lua_pushinteger(L, first);
    lua_rawseti(L, -2, 1);
    lua_pushinteger(L, last);
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, (lua_Integer)n + 1);
  }
  lua_setfield(L, -2, "ports");
}

static int l_info(lua_State *L) /* db:info(name) -> table | nil */
{
  sigdb_ref *r = check_sigdb(L, 1);
  const my_sig *sig = my_sigdb_find(r->db, check_text(L, 2));
  my_sig_info info;
  if (sig == NULL) return 0;
  my_sig_get_info(sig, &info);
  lua_newtable(L);
  set_string(L, "name", info.name);
  set_string(L, "service", info.service);
  set_string(L, "title", info.title);
  set_string(L, "file", info.file);
  set_integer(L, "line", info.line);
  set_string(L, "transport", transport_name(info.transport));
  set_boolean(L, "banner", info.banner);
  set_boolean(L, "has_vary", info.has_vary);
  set_boolean(L, "has_control", info.has_control);
  set_boolean(L, "fresh_exempt", info.fresh_exempt);
  set_integer(L, "probe_len", (lua_Integer)info.probe_len);
  set_integer(L, "entropy_len", (lua_Integer)info.entropy_len);
  set_integer(L, "samples", (lua_Integer)my_sig_sample_count(sig));
  set_budget(L, &info.budget);
  set_boolean(L, "again", info.again);
  if (info.until.len > 0) set_span(L, "until", info.until);
  set_lines(L, sig);
  lua_newtable(L);
  for (unsigned k = 1; my_sig_step(sig, k) != NULL; k++) {
    lua_newtable(L);
    set_lines(L, my_sig_step(sig, k));
    lua_rawseti(L, -2, (lua_Integer)k);
  }
  lua_setfield(L, -2, "steps");
  set_ports(L, sig);
  return 1;
}

static int l_rank(lua_State *L) /* db:rank(name, port) -> 0, 1 or 2 */
{
  sigdb_ref *r = check_sigdb(L, 1);
  const my_sig *sig = check_sig(L, r, 2);
  lua_Integer port = luaL_checkinteger(L, 3);
  luaL_argcheck(L, port >= 0 && port <= 65535, 3, "a port from 0 to 65535 expected");
  lua_pushinteger(L, my_sig_port_rank(sig, (uint16_t)port));
  return 1;
}

/* db:compose(name [, { my=, my_port=, peer=, peer_port= } [, entropy]]) -> bytes | nil, message */
static int l_compose(lua_State *L)
{
  sigdb_ref *r = check_sigdb(L, 1);
  const my_sig *sig = check_sig(L, r, 2);
  my_endpoint my = {0}, peer = {0};
  uint8_t entropy[MY_PROBE_MAX], probe[MY_PROBE_MAX];
  my_span given = {entropy, sizeof entropy};
  int rc = MY_OK;
  if (!lua_isnoneornil(L, 3)) {
    luaL_checktype(L, 3, LUA_TTABLE);
    if (!opt_endpoint_fields(L, 3, "my", "my_port", &my) ||
        !opt_endpoint_fields(L, 3, "peer", "peer_port", &peer))
      return luaL_argerror(L, 3, "fields 'my' and 'peer': numeric addresses expected");
  }
  if (!lua_isnoneornil(L, 4))
    given = check_span(L, 4);
  else
    rc = my_random(entropy, sizeof entropy);
  if (rc == MY_OK) rc = my_sig_compose(sig, &my, &peer, given, probe, sizeof probe);
  if (rc < 0) return push_failure(L, rc, NULL);
  push_span(L, (my_span){probe, (size_t)rc});
  return 1;
}

static int l_broken(lua_State *L) /* db:broken(name, bytes) -> bytes | nil, message */
{
  sigdb_ref *r = check_sigdb(L, 1);
  const my_sig *sig = check_sig(L, r, 2);
  my_span given = check_span(L, 3);
  uint8_t probe[MY_PROBE_MAX];
  luaL_argcheck(L, given.len <= sizeof probe, 3, "a probe of at most 1500 bytes expected");
  if (given.len > 0) memcpy(probe, given.data, given.len);
  int rc = my_sig_break(sig, probe, given.len);
  if (rc != MY_OK) return push_failure(L, rc, NULL);
  push_span(L, (my_span){probe, given.len});
  return 1;
}

static int l_check(lua_State *L) /* db:check() -> { { name, service, ok, problem, line, … }, … } */
{
  sigdb_ref *r = check_sigdb(L, 1);
  lua_newtable(L);
  for (size_t i = 0; i < my_sigdb_count(r->db); i++) {
    my_sig_info info;
    my_where where;
    int rc = my_sigdb_check(r->db, i, r->scratch, &where);
    my_sig_get_info(my_sigdb_at(r->db, i), &info);
    lua_newtable(L);
    set_string(L, "name", info.name);
    set_string(L, "service", info.service);
    set_string(L, "file", info.file);
    set_integer(L, "line", rc == MY_OK ? info.line : where.line);
    set_boolean(L, "ok", rc == MY_OK);
    if (rc != MY_OK) set_string(L, "problem", rc == MY_ESYNTAX ? where.text : my_status_text(rc));
    set_budget(L, &info.budget);
    set_integer(L, "samples", (lua_Integer)my_sig_sample_count(my_sigdb_at(r->db, i)));
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* db:named(transport, port) -> array of the signatures that send something and name the port alone
 */
static int l_named(lua_State *L)
{
  sigdb_ref *r = check_sigdb(L, 1);
  const char *transport = check_text(L, 2);
  lua_Integer port = luaL_checkinteger(L, 3), count = 0;
  luaL_argcheck(L, port >= 0 && port <= 65535, 3, "a port from 0 to 65535 expected");
  lua_newtable(L);
  for (size_t i = 0; i < my_sigdb_count(r->db); i++) {
    const my_sig *sig = my_sigdb_at(r->db, i);
    my_sig_info info;
    if (my_sig_port_rank(sig, (uint16_t)port) < 2) continue;
    my_sig_get_info(sig, &info);
    if (info.banner || info.probe_len == 0 ||
        strcmp(transport_name(info.transport), transport) != 0)
      continue;
    lua_pushstring(L, info.name);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

void my_lua_open_signature(lua_State *L)
{
  static const luaL_Reg methods[] = {
      {"add", l_add},     {"count", l_count}, {"names", l_names},     {"info", l_info},
      {"named", l_named}, {"rank", l_rank},   {"compose", l_compose}, {"broken", l_broken},
      {"check", l_check}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"signatures", l_signatures}, {NULL, NULL}};
  new_class(L, SIGDB_CLASS, methods, l_close);
  luaL_setfuncs(L, functions, 0);
}
