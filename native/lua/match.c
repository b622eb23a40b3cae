/* match.c - replies held against signatures, and echoes found, in Lua. */
#include "sigdb_ref.h"

#include "mynah/engine.h"

/* The pair in the table at 'arg' (an absolute index). Its bytes live as long as the table: one that
 * computes its fields would give bytes that nobody holds. */
my_pair check_pair(lua_State *L, int arg)
{
  if (lua_getmetatable(L, arg)) luaL_argerror(L, arg, "a plain table expected, without metatable");
  my_pair p = {.request = opt_span_field(L, arg, "request"),
               .reply = opt_span_field(L, arg, "reply")};
  const char *public_ip = opt_text_field(L, arg, "public_ip");
  if (p.reply.data == NULL) luaL_argerror(L, arg, "a pair with the field 'reply' expected");
  if (!opt_endpoint_fields(L, arg, "my", "my_port", &p.my) ||
      !opt_endpoint_fields(L, arg, "peer", "peer_port", &p.peer) ||
      !opt_endpoint_fields(L, arg, "from", "from_port", &p.from) ||
      (public_ip != NULL && my_endpoint_parse(&p.public_, public_ip, 0) != MY_OK))
    luaL_argerror(L, arg, "a pair with numeric addresses in my, peer, from and public_ip expected");
  p.now_unix_ns = ns_from_seconds(opt_number_field(L, arg, "time", 0));
  p.closed = opt_boolean_field(L, arg, "closed");
  p.rtt_ns = ns_from_seconds(opt_number_field(L, arg, "rtt", 0));
  double step = opt_number_field(L, arg, "step", 0);
  if (step < 0 || step > UINT16_MAX) luaL_argerror(L, arg, "step: a number from 0 expected");
  p.step = (unsigned)step;
  return p;
}

static void push_hex(lua_State *L, my_span bytes)
{
  static const char digits[] = "0123456789abcdef";
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < bytes.len; i++) {
    luaL_addchar(&b, digits[bytes.data[i] >> 4]);
    luaL_addchar(&b, digits[bytes.data[i] & 15]);
  }
  luaL_pushresult(&b);
}

/* Append to the array on the stack what each line of 'sig' showed; others' cases showed nothing. */
static void add_evidence(lua_State *L, const my_sig *sig, const my_match *m)
{
  static const char *const held[] = {[MY_FAILED] = "no",
                                     [MY_HELD] = "yes",
                                     [MY_HELD_PUBLIC] = "public",
                                     [MY_HELD_PRIVATE] = "private",
                                     [MY_SKIPPED] = "skipped"};
  for (size_t i = 0; i < m->line_count; i++) {
    lua_newtable(L);
    set_string(L, "line", my_sig_line_text(sig, i));
    set_string(L, "held", held[m->held[i]]);
    push_hex(L, (my_span){m->got[i].data, m->got[i].len < 256 ? m->got[i].len : 256});
    lua_setfield(L, -2, "got");
    set_number(L, "bits", m->line_bits[i]);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  }
}

static void set_evidence(lua_State *L, const my_sig *sig, const my_match *m)
{
  lua_newtable(L);
  add_evidence(L, sig, m);
  lua_setfield(L, -2, "evidence");
}

static const my_sig *sig_of_pair(const my_sig *sig, const my_pair *pair)
{
  const my_sig *step = my_sig_step(sig, pair->step);
  return step != NULL ? step : sig;
}

static int l_match(lua_State *L) /* db:match(name, pair) -> what this one pair shows */
{
  sigdb_ref *r = check_sigdb(L, 1);
  const my_sig *sig = check_sig(L, r, 2);
  my_match m;
  luaL_checktype(L, 3, LUA_TTABLE);
  my_pair pair = check_pair(L, 3);
  my_sig_match(sig, &pair, r->scratch, &m);
  sig = sig_of_pair(sig, &pair);
  lua_newtable(L);
  set_boolean(L, "matched", m.matched);
  if (m.first_failed >= 0)
    set_string(L, "first_failed", my_sig_line_text(sig, (size_t)m.first_failed));
  set_number(L, "fresh_bits", m.fresh_bits);
  set_number(L, "identity_bits", m.identity_bits);
  set_evidence(L, sig, &m);
  return 1;
}

static int l_answers_control(lua_State *L) /* db:answers_control(name, pair) -> boolean */
{
  sigdb_ref *r = check_sigdb(L, 1);
  const my_sig *sig = check_sig(L, r, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  my_pair pair = check_pair(L, 3);
  lua_pushboolean(L, my_sig_answers_control(sig, &pair, r->scratch));
  return 1;
}

/* db:compose_step(name, step, pair [, entropy]) -> bytes | nil, message; pair: the one before it */
static int l_compose_step(lua_State *L)
{
  sigdb_ref *r = check_sigdb(L, 1);
  const my_sig *sig = check_sig(L, r, 2);
  lua_Integer step = luaL_checkinteger(L, 3);
  uint8_t entropy[MY_PROBE_MAX], probe[MY_PROBE_MAX];
  my_span given = {entropy, sizeof entropy};
  int rc = MY_OK;
  luaL_checktype(L, 4, LUA_TTABLE);
  my_pair before = check_pair(L, 4);
  if (!lua_isnoneornil(L, 5))
    given = check_span(L, 5);
  else
    rc = my_random(entropy, sizeof entropy);
  if (rc == MY_OK && step > 0 && step <= UINT16_MAX)
    rc = my_sig_compose_step(sig, (unsigned)step, &before, given, probe, sizeof probe);
  else if (rc == MY_OK)
    rc = MY_ENOENT;
  if (rc < 0) return push_failure(L, rc, NULL);
  push_span(L, (my_span){probe, (size_t)rc});
  return 1;
}

static my_control check_control(lua_State *L, int arg)
{
  const char *said = opt_text(L, arg, NULL);
  if (said == NULL) return MY_CONTROL_NOT_ASKED;
  if (strcmp(said, "silent") == 0) return MY_CONTROL_SILENT;
  luaL_argcheck(L, strcmp(said, "answered") == 0, arg, "nil, \"silent\" or \"answered\" expected");
  return MY_CONTROL_ANSWERED;
}

static void push_gives(lua_State *L, const my_verdict *v)
{
  static const char *const known[] = {"product", "version", "extra", "cpe"};
  lua_newtable(L);
  for (size_t i = 0; i < v->give_count; i++) {
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
      if (strcmp(v->give[i].name, known[k]) != 0 || v->give[i].value[0] == 0) continue;
      lua_pushstring(L, v->give[i].value);
      lua_setfield(L, -3, known[k]);
    }
    lua_newtable(L);
    set_string(L, "name", v->give[i].name);
    set_string(L, "value", v->give[i].value);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "gives");
}

static void push_verdict(lua_State *L, const my_sig *sig, const my_verdict *v)
{
  static const char *const states[] = {
      [MY_NO] = "no", [MY_MORE] = "more", [MY_GUESS] = "guess", [MY_CERTAIN] = "certain"};
  static const char *const wants[] = {[MY_WANT_NOTHING] = NULL,
                                      [MY_WANT_FRESH] = "fresh",
                                      [MY_WANT_SAME] = "same",
                                      [MY_WANT_CONTROL] = "control",
                                      [MY_WANT_STEP] = "step"};
  lua_newtable(L);
  set_string(L, "state", states[v->state]);
  set_string(L, "want", wants[v->want]); /* NULL pushes nil */
  set_number(L, "confidence", v->confidence);
  set_number(L, "fresh_bits", v->fresh_bits);
  set_number(L, "identity_bits", v->identity_bits);
  if (v->last.first_failed >= 0)
    set_string(L, "failed", my_sig_line_text(sig, (size_t)v->last.first_failed));
  const my_match *step = v->step > 0 && v->want == MY_WANT_NOTHING ? &v->step_match : NULL;
  if (v->step > 0) set_integer(L, "step", v->step);
  if (step != NULL && !v->step_held && step->first_failed >= 0)
    set_string(L, "failed",
               my_sig_line_text(my_sig_step(sig, v->step), (size_t)step->first_failed));
  push_gives(L, v);
  lua_newtable(L);
  add_evidence(L, sig, &v->last);
  if (step != NULL && step->line_count > 0) add_evidence(L, my_sig_step(sig, v->step), step);
  lua_setfield(L, -2, "evidence");
}

static int
l_judge(lua_State *L) /* db:judge(name, { pair, … } [, control]) -> verdict | nil, message */
{
  enum { PAIRS_MAX = 64 };
  sigdb_ref *r = check_sigdb(L, 1);
  const my_sig *sig = check_sig(L, r, 2);
  my_verdict v;
  luaL_checktype(L, 3, LUA_TTABLE);
  my_control control = check_control(L, 4);
  size_t count = lua_rawlen(L, 3);
  luaL_argcheck(L, count >= 1 && count <= PAIRS_MAX, 3, "1 to 64 pairs expected");
  luaL_checkstack(L, (int)count + 20, "pairs");
  my_pair *pairs = lua_newuserdata(L, count * sizeof *pairs);
  for (size_t i = 0; i < count;
       i++) { /* each pair's table stays on the stack, and so do its bytes */
    if (lua_rawgeti(L, 3, (lua_Integer)i + 1) != LUA_TTABLE)
      return luaL_argerror(L, 3, "an array of pairs expected");
    pairs[i] = check_pair(L, lua_gettop(L));
  }
  int rc = my_sig_judge(sig, pairs, count, control, r->scratch, &v);
  if (rc != MY_OK) return push_failure(L, rc, NULL);
  push_verdict(L, sig, &v);
  return 1;
}

static int
l_echo(lua_State *L) /* core.echo(request, reply) -> length, request_offset, reply_offset | nil */
{
  size_t request_offset = 0, reply_offset = 0;
  size_t n = my_echo_find(check_span(L, 1), check_span(L, 2), &request_offset, &reply_offset);
  if (n == 0) return 0;
  lua_pushinteger(L, (lua_Integer)n);
  lua_pushinteger(L, (lua_Integer)request_offset);
  lua_pushinteger(L, (lua_Integer)reply_offset);
  return 3;
}

void my_lua_open_match(lua_State *L)
{
  static const luaL_Reg methods[] = {{"match", l_match},
                                     {"judge", l_judge},
                                     {"answers_control", l_answers_control},
                                     {"compose_step", l_compose_step},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {{"echo", l_echo}, {NULL, NULL}};
  luaL_getmetatable(L, SIGDB_CLASS); /* made by my_lua_open_signature */
  lua_getfield(L, -1, "__index");
  luaL_setfuncs(L, methods, 0);
  lua_pop(L, 2);
  luaL_setfuncs(L, functions, 0);
}
