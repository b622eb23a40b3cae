/* scan.c - the stateless stage of a scan, for Lua. Times are seconds. */
#include "limits_ref.h"
#include "range_ref.h"
#include "scan_ref.h"
#include "sigdb_ref.h"

static uint64_t count_field(lua_State *L, const char *name)
{
  lua_Integer n = opt_integer_field(L, 1, name, 0);
  if (n < 0) luaL_argerror(L, 1, lua_pushfstring(L, "field '%s': a number from 0 expected", name));
  return (uint64_t)n;
}

/* What belongs to the scan as long as it lives, in field 'name' of the table at 1: pushed. */
static void push_part(lua_State *L, const char *name)
{
  if (!push_field(L, 1, name)) luaL_argerror(L, 1, lua_pushfstring(L, "field '%s' expected", name));
}

static void read_config(lua_State *L, my_scan_config *c)
{
  my_span key = opt_span_field(L, 1, "key");
  const char *public_ip = opt_text_field(L, 1, "public_ip");
  luaL_argcheck(L, key.len == sizeof c->key.bytes, 1, "field 'key': 16 bytes expected");
  memcpy(c->key.bytes, key.data, key.len);
  c->seed = (uint64_t)opt_integer_field(L, 1, "seed", 0);
  c->shard = count_field(L, "shard");
  c->shards = count_field(L, "shards");
  c->begin = count_field(L, "begin");
  c->pass = (unsigned)count_field(L, "pass");
  c->held = opt_boolean_field(L, 1, "held");
  c->attempts = (unsigned)count_field(L, "attempts");
  c->connections = (unsigned)count_field(L, "connections");
  c->rate = opt_number_field(L, 1, "rate", 0);
  c->timeout_ns = ns_from_seconds(opt_number_field(L, 1, "timeout", 0));
  c->interface = opt_text_field(L, 1, "interface");
  c->adapts = opt_boolean_field(L, 1, "adapts");
  c->raw = opt_boolean_field(L, 1, "raw");
  c->tcp = opt_boolean_field(L, 1, "tcp");
  c->quiet = opt_boolean_field(L, 1, "quiet");
  c->others = opt_boolean_field(L, 1, "others");
  c->deaf = opt_boolean_field(L, 1, "deaf");
  c->ask = opt_span_field(L, 1, "ask");
  c->ask_end = opt_span_field(L, 1, "ask_end");
  if (!opt_endpoint_fields(L, 1, "source", "source_port", &c->source) ||
      (public_ip && my_endpoint_parse(&c->public_, public_ip, 0) != MY_OK))
    luaL_argerror(L, 1, "numeric addresses in source and public_ip expected");
}

/* The array 'questions' of { port, name of a signature, whether it only reads the answer to the
 * one before it } at 5, with the signatures at 3; what it
 * becomes is pushed. */
static void read_questions(lua_State *L, my_scan_config *c)
{
  const sigdb_ref *db = check_sigdb(L, 3);
  size_t count = lua_rawlen(L, 5);
  my_scan_question *list = lua_newuserdata(L, (count + 1) * sizeof *list);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, 5, (lua_Integer)i + 1);
    luaL_checktype(L, -1, LUA_TTABLE);
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    bool same = lua_rawgeti(L, -3, 3) == LUA_TBOOLEAN && lua_toboolean(L, -1);
    lua_pop(L, 1);
    lua_Integer port = luaL_checkinteger(L, -2);
    luaL_argcheck(L, port >= 1 && port <= 65535, 1, "questions: a port from 1 to 65535 expected");
    list[i] = (my_scan_question){(uint16_t)port, check_sig(L, db, lua_gettop(L)), same};
    lua_pop(L, 3);
  }
  c->questions = list;
  c->question_count = count;
}

/* Field 'signatures' at 3, and 'name' or 'questions', or both, at 4 and 5. */
static void read_signatures(lua_State *L, my_scan_config *c)
{
  push_part(L, "signatures");
  if (push_field(L, 1, "name"))
    c->sig = check_sig(L, check_sigdb(L, 3), 4);
  else
    lua_pushnil(L);
  if (push_field(L, 1, "questions")) {
    luaL_checktype(L, 5, LUA_TTABLE);
    read_questions(L, c);
  }
  luaL_argcheck(L, c->sig || c->question_count, 1, "field 'name' or 'questions' expected");
}

/* Field 'signatures' at 3, and those whose names stand in field 'owners', pushed as a block of
 * memory. */
static void read_owners(lua_State *L, my_scan_config *c)
{
  push_part(L, "signatures");
  push_part(L, "owners");
  luaL_checktype(L, 4, LUA_TTABLE);
  const sigdb_ref *db = check_sigdb(L, 3);
  c->owner_count = lua_rawlen(L, 4);
  const my_sig **list = lua_newuserdata(L, (c->owner_count + 1) * sizeof *list);
  for (size_t i = 0; i < c->owner_count; i++) {
    lua_rawgeti(L, 4, (lua_Integer)i + 1);
    list[i] = check_sig(L, db, lua_gettop(L));
    lua_pop(L, 1);
  }
  c->owners = list;
}

/* scan{ signatures=, name= and/or questions= { { port, name, same }, … } ascending by port (or tcp=
 * true), targets= (sealed ranges), key= (16 bytes), seed=, shard=, shards=, begin=, rate=,
 * attempts=, timeout=, raw=, interface=, source=, source_port=, public_ip=, others=, quiet=, deaf=,
 * limits=, connections=, ask=, ask_end=, owners= (names, of signatures=, wanted with ask=) } ->
 * scan | nil, message */
static int l_new(lua_State *L)
{
  my_scan_config config = {0};
  my_where where = {0};
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  read_config(L, &config);
  push_part(L, "targets");
  if (!config.tcp)
    read_signatures(L, &config);
  else if (config.ask.data)
    read_owners(L, &config);
  ranges_ref *targets = check_ranges(L, 2);
  luaL_argcheck(L, targets->sealed, 1, "field 'targets': sealed ranges expected");
  config.targets = targets->ranges;
  config.limits = push_limits_field(L, 1);
  int limits = lua_gettop(L);
  scan_owner *o = new_owner(L, sizeof *o, SCAN_CLASS);
  lua_createtable(L, limits, 0); /* what must live as long */
  for (int i = 2; i <= limits; i++) {
    lua_pushvalue(L, i);
    lua_rawseti(L, -2, i - 1);
  }
  lua_setuservalue(L, -2);
  int rc = my_scan_open(&o->scan, &config, &where);
  return rc == MY_OK ? 1 : push_failure(L, rc, &where);
}

static int l_close(lua_State *L)
{
  scan_owner *o = luaL_checkudata(L, 1, SCAN_CLASS);
  my_scan_close(o->scan);
  o->scan = NULL;
  return 0;
}

static void set_seconds(lua_State *L, const char *name, int64_t ns)
{
  set_number(L, name, (lua_Number)ns / 1e9);
}

/* scan:next() -> { kind= "verified", "icmp" or "other", reason=, ip=, port=, from=, from_port=,
 * my=, my_port=, attempt=, name= (of the signature; nil: TCP), time=, rtt= (nil: unknown), data=,
 * request=, asked=, ended= ("eof", "reset"), took=, and as results have it: state=, rtt_ms=,
 * timestamp= } | nil */
static int l_next(lua_State *L)
{
  static const char *const kinds[] = {
      [MY_ANSWER_VERIFIED] = "verified", [MY_ANSWER_ICMP] = "icmp", [MY_ANSWER_OTHER] = "other"};
  my_scan *s = check_scan(L);
  uint8_t probe[MY_PROBE_MAX];
  my_answer a;
  char time[SCAN_TIME_TEXT];
  if (my_scan_next(s, &a) != MY_OK) return 0;
  lua_createtable(L, 0, 19);
  set_string(L, "kind", kinds[a.kind]);
  set_string(L, "reason", my_reason_text(a.reason));
  set_endpoint(L, "ip", "port", &a.peer);
  set_endpoint(L, "from", "from_port", &a.from);
  set_endpoint(L, "my", "my_port", &a.my);
  set_integer(L, "attempt", a.attempt);
  if (a.sig) {
    my_sig_info info;
    my_sig_get_info(a.sig, &info);
    set_string(L, "name", info.name);
  }
  set_seconds(L, "time", a.received_ns);
  if (a.rtt_ns >= 0) {
    set_seconds(L, "rtt", a.rtt_ns);
    set_number(L, "rtt_ms", (lua_Number)scan_rtt_of(&a) / 1000);
  }
  set_string(L, "state", scan_state_of(&a));
  set_string(L, "timestamp", scan_time_of(&a, time));
  set_span(L, "data", a.data);
  if (a.asked) set_boolean(L, "asked", true);
  if (a.asked) set_seconds(L, "took", a.took_ns);
  if (a.ended) set_string(L, "ended", a.ended == MY_RESETS ? "reset" : "eof");
  int len = a.kind == MY_ANSWER_VERIFIED && a.reason == MY_REASON_UDP_RESPONSE
                ? my_scan_probe(s, &a, probe, sizeof probe)
                : -1;
  if (len >= 0) set_span(L, "request", (my_span){probe, (size_t)len});
  return 1;
}

static int l_fd(lua_State *L)
{
  lua_pushinteger(L, my_scan_fd(check_scan(L)));
  return 1;
}

/* scan:skip(address, port): of a scan that is held */
static int l_skip(lua_State *L)
{
  my_scan *s = check_scan(L);
  my_endpoint e;
  lua_Integer port = luaL_checkinteger(L, 3);
  luaL_argcheck(L, port >= 1 && port <= 65535, 3, "a port from 1 to 65535 expected");
  luaL_argcheck(L, my_endpoint_parse(&e, check_text(L, 2), (uint16_t)port) == MY_OK, 2,
                "a numeric address expected");
  e.scope = 0;
  my_scan_skip(s, &e);
  return 0;
}

static int l_start(lua_State *L)
{
  my_scan_start(check_scan(L));
  return 0;
}

static int l_stop(lua_State *L)
{
  my_scan_stop(check_scan(L));
  return 0;
}

/* scan:counts() -> table as my_scan_counts; elapsed and sending in seconds */
static int l_counts(lua_State *L)
{
  my_scan_counts c;
  my_scan_get_counts(check_scan(L), &c);
  const struct {
    const char *name;
    uint64_t value;
  } counts[] = {
      {"targets", c.targets},           {"asked", c.asked},
      {"unanswered", c.unanswered},     {"sent", c.sent},
      {"received", c.received},         {"verified", c.verified},
      {"duplicates", c.duplicates},     {"unverified", c.unverified},
      {"strangers", c.strangers},       {"errors", c.errors},
      {"other_icmp", c.other_icmp},     {"dropped", c.dropped},
      {"send_errors", c.send_errors},   {"stalls", c.stalls},
      {"settled", c.settled},           {"pass", c.pass},
      {"settled_pass", c.settled_pass},
  };
  lua_createtable(L, 0, 20);
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
    set_integer(L, counts[i].name, (lua_Integer)counts[i].value);
  set_seconds(L, "elapsed", c.elapsed_ns);
  set_seconds(L, "sending", c.sending_ns);
  set_boolean(L, "over", c.over);
  if (c.error) set_string(L, "error", strerror(c.error));
  return 1;
}

/* core.drop_privileges(): what needed them is open */
static int l_drop_privileges(lua_State *L)
{
  (void)L;
  my_scan_drop_privileges();
  return 0;
}

void my_lua_open_scan(lua_State *L)
{
  static const luaL_Reg methods[] = {
      {"next", l_next},   {"rows", my_lua_scan_rows}, {"fd", l_fd},         {"skip", l_skip},
      {"start", l_start}, {"stop", l_stop},           {"counts", l_counts}, {NULL, NULL},
  };
  new_class(L, SCAN_CLASS, methods, l_close);
  lua_pushcfunction(L, l_new);
  lua_setfield(L, -2, "scan");
  lua_pushcfunction(L, l_drop_privileges);
  lua_setfield(L, -2, "drop_privileges");
}
