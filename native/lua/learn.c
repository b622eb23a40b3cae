/* learn.c - the learner in Lua. */
#include "lua_util.h"

#include <stdlib.h>

#include "mynah/learn.h"
#include "sigdb_ref.h"

static const char class_name[] = "mynah.learner";

typedef struct owner {
  my_learner *learner;
  my_learned learned; /* while its fields go to Lua */
} owner;

static owner *check_owner(lua_State *L)
{
  owner *o = luaL_checkudata(L, 1, class_name);
  if (!o->learner) luaL_argerror(L, 1, "learner is closed");
  return o;
}

static int l_new(lua_State *L) /* learner() -> learner | nil, message */
{
  owner *o = new_owner(L, sizeof *o, class_name);
  int rc = my_learner_new(&o->learner);
  return rc == MY_OK ? 1 : push_failure(L, rc, NULL);
}

static int l_close(lua_State *L)
{
  owner *o = luaL_checkudata(L, 1, class_name);
  my_learned_clear(&o->learned);
  my_learner_free(o->learner);
  o->learner = NULL;
  return 0;
}

/* ---- what is told ---- */

static my_transport transport_field(lua_State *L, int arg)
{
  const char *word = opt_text_field(L, arg, "transport");
  if (word == NULL || strcmp(word, "udp") == 0) return MY_UDP;
  if (strcmp(word, "tcp") != 0) luaL_argerror(L, arg, "field 'transport': udp or tcp expected");
  return MY_TCP;
}

static uint32_t number_field(lua_State *L, int arg, const char *name)
{
  lua_Integer n = opt_integer_field(L, arg, name, 0);
  if (n < 0 || n > UINT32_MAX)
    luaL_argerror(L, arg, lua_pushfstring(L, "field '%s': a number from 0 expected", name));
  return (uint32_t)n;
}

/* Longer than is looked at, or more than is kept: passed over, which is no failure. */
static int push_told(lua_State *L, int rc)
{
  if (rc != MY_OK && rc != MY_ERANGE && rc != MY_EFULL) return push_failure(L, rc, NULL);
  lua_pushboolean(L, rc == MY_OK);
  return 1;
}

/* learner:pair(table) -> true, false where it is passed over | nil, message */
static int l_pair(lua_State *L)
{
  owner *o = check_owner(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  my_pair pair = check_pair(L, 2);
  my_transport transport = transport_field(L, 2);
  uint32_t server = number_field(L, 2, "server"), flow = number_field(L, 2, "flow");
  return push_told(L, my_learner_pair(o->learner, &pair, transport, server, flow));
}

static my_message check_message(lua_State *L, int arg)
{
  my_message m = {.transport = transport_field(L, arg),
                  .server = number_field(L, arg, "server"),
                  .flow = number_field(L, arg, "flow"),
                  .data = opt_span_field(L, arg, "data"),
                  .time_unix_ns = opt_integer_field(L, arg, "time_ns", 0)};
  my_endpoint from, to;
  const char *side = opt_text_field(L, arg, "side");
  bool is_server = side != NULL && strcmp(side, "server") == 0;
  if (!is_server && (side == NULL || strcmp(side, "client") != 0))
    luaL_argerror(L, arg, "field 'side': client or server expected");
  if (!opt_endpoint_fields(L, arg, "from", "from_port", &from) ||
      !opt_endpoint_fields(L, arg, "to", "to_port", &to))
    luaL_argerror(L, arg, "numeric addresses in from and to expected");
  m.from_client = !is_server;
  m.client = is_server ? to : from;
  m.peer = is_server ? from : to;
  if (is_server) m.from = from;
  return m;
}

/* learner:said(table) -> true, false where it is passed over | nil, message */
static int l_said(lua_State *L)
{
  owner *o = check_owner(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  my_message m = check_message(L, 2);
  return push_told(L, my_learner_hear(o->learner, &m));
}

/* learner:against(table of a pair or a message) -> as they do */
static int l_against(lua_State *L)
{
  owner *o = check_owner(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  if (push_field(L, 2, "reply")) {
    my_pair pair = check_pair(L, 2);
    return push_told(L, my_learner_pair_against(o->learner, &pair, transport_field(L, 2)));
  }
  my_message m = check_message(L, 2);
  return push_told(L, my_learner_hear_against(o->learner, &m));
}

/* ---- what is learned ---- */

enum { PARTS_MAX = 64 };

static uint16_t offset_field(lua_State *L, int arg, const char *name)
{
  lua_Integer n = opt_integer_field(L, arg, name, 0);
  if (n < 0 || n > MY_LEARN_BYTES)
    luaL_argerror(
        L, 2, lua_pushfstring(L, "template field '%s': 0 to %d expected", name, MY_LEARN_BYTES));
  return (uint16_t)n;
}

static const char *sum_named(const char *kind)
{
  static const char *const names[] = {"crc32", "crc32le", "inet", "sum8"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(kind, names[i]) == 0) return names[i];
  return NULL;
}

static my_part check_part(lua_State *L, int arg)
{
  my_part p = {.offset = offset_field(L, arg, "offset"), .len = offset_field(L, arg, "len")};
  const char *kind = opt_text_field(L, arg, "kind"), *endian = opt_text_field(L, arg, "endian");
  if (kind == NULL) luaL_argerror(L, 2, "template: each part wants a kind");
  p.sum = sum_named(kind);
  if (p.sum != NULL) {
    p.kind = MY_PART_SUM;
    p.from = offset_field(L, arg, "from");
    p.over = p.len;
  } else if (strcmp(kind, "length") == 0) {
    p.kind = MY_PART_LENGTH;
    p.len = offset_field(L, arg, "width");
    p.add = (int16_t)opt_integer_field(L, arg, "add", 0);
    p.little_endian = endian != NULL && strcmp(endian, "le") == 0;
    if (p.len != 2 && p.len != 4)
      luaL_argerror(L, 2, "template: a length of width 2 or 4 expected");
  } else if (strcmp(kind, "nonce") == 0 || strcmp(kind, "fixed") == 0) {
    p.kind = kind[0] == 'n' ? MY_PART_NONCE : MY_PART_FIXED;
  } else {
    luaL_argerror(L, 2, lua_pushfstring(L, "template: there is no kind '%s'", kind));
  }
  return p;
}

/* The template on top of the stack: what experiments say of the request. */
static void read_template(lua_State *L, my_learn_options *o, my_part *parts)
{
  int arg = lua_gettop(L);
  o->request = opt_span_field(L, arg, "request");
  lua_Integer n = (lua_Integer)lua_rawlen(L, arg);
  if (n > PARTS_MAX) luaL_argerror(L, 2, "template: too many parts");
  for (lua_Integer i = 1; i <= n; i++) {
    if (lua_rawgeti(L, arg, i) != LUA_TTABLE) luaL_argerror(L, 2, "template: parts are tables");
    parts[o->part_count++] = check_part(L, lua_gettop(L));
    lua_pop(L, 1);
  }
}

static my_learn_options check_options(lua_State *L, my_part *parts, uint8_t *key)
{
  luaL_checktype(L, 2, LUA_TTABLE);
  my_learn_options o = {.service = opt_text_field(L, 2, "service"),
                        .sig = opt_text_field(L, 2, "sig"),
                        .title = opt_text_field(L, 2, "title"),
                        .from = opt_text_field(L, 2, "from"),
                        .ports = opt_text_field(L, 2, "ports"),
                        .strict = opt_boolean_field(L, 2, "strict"),
                        .parts = parts};
  if (o.service == NULL) luaL_argerror(L, 2, "field 'service': a name expected");
  if (!push_field(L, 2, "template")) return o;
  luaL_checktype(L, -1, LUA_TTABLE);
  read_template(L, &o, parts); /* its strings live by the table in the argument */
  if (push_field(L, lua_gettop(L), "control")) {
    luaL_checktype(L, -1, LUA_TTABLE);
    o.control_at = offset_field(L, lua_gettop(L), "offset");
    *key = (uint8_t)opt_integer_field(L, lua_gettop(L), "mask", 0xff);
    o.control_key = (my_span){key, 1};
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return o;
}

/* The names of the signatures in a text, in their order. */
static void set_names(lua_State *L, const char *text)
{
  static const char word[] = "\nsig ";
  lua_newtable(L);
  for (const char *at = text; (at = strstr(at, word)) != NULL;) {
    at += sizeof word - 1;
    lua_pushlstring(L, at, strcspn(at, " \n"));
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  }
  lua_setfield(L, -2, "names");
}

static void push_learned(lua_State *L, const my_learned *m)
{
  lua_createtable(L, 0, 9);
  set_names(L, m->text);
  set_string(L, "text", m->text);
  set_integer(L, "pairs", (lua_Integer)m->pairs);
  set_integer(L, "servers", (lua_Integer)m->servers);
  set_integer(L, "flows", (lua_Integer)m->flows);
  set_number(L, "fresh_bits", m->fresh_bits);
  set_number(L, "identity_bits", m->identity_bits);
  set_boolean(L, "enough", 1);
  lua_createtable(L, (int)m->unexplained_count, 0);
  for (size_t i = 0; i < m->unexplained_count; i++) {
    lua_pushstring(L, m->unexplained[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "unexplained");
}

static int push_needs(lua_State *L, const my_learned *m)
{
  lua_pushnil(L);
  lua_pushfstring(L, "not enough evidence: %s", m->needs);
  lua_createtable(L, 0, 2);
  set_string(L, "needs", m->needs);
  set_integer(L, "pairs", (lua_Integer)m->pairs);
  return 3;
}

/* learner:learn(options) -> result | nil, message [, { needs, pairs } where evidence is short] */
static int l_learn(lua_State *L)
{
  owner *o = check_owner(L);
  my_part parts[PARTS_MAX];
  uint8_t key;
  my_learn_options options = check_options(L, parts, &key);
  my_learned_clear(&o->learned);
  int rc = my_learner_learn(o->learner, &options, &o->learned);
  if (rc == MY_NOT_YET) return push_needs(L, &o->learned);
  if (rc != MY_OK) return push_failure(L, rc, NULL);
  push_learned(L, &o->learned); /* the owner frees the text */
  return 1;
}

void my_lua_open_learn(lua_State *L)
{
  static const luaL_Reg methods[] = {
      {"pair", l_pair}, {"said", l_said}, {"against", l_against}, {"learn", l_learn}, {NULL, NULL}};
  new_class(L, class_name, methods, l_close);
  lua_pushcfunction(L, l_new);
  lua_setfield(L, -2, "learner");
}
