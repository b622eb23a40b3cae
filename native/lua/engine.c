/* engine.c - the engine for Lua: exchanges in, events out. Times are seconds here, but those named
 * _ns. */
#include "lua_util.h"

#include <poll.h>

#include "mynah/engine.h"

static const char class_name[] = "mynah.engine";

typedef struct owner {
  my_engine *engine;
} owner;

static my_engine *check_engine(lua_State *L)
{
  owner *o = luaL_checkudata(L, 1, class_name);
  if (!o->engine) luaL_argerror(L, 1, "engine is closed");
  return o->engine;
}

static uint64_t check_id(lua_State *L)
{
  return (uint64_t)luaL_checkinteger(L, 2);
}

static int status_result(lua_State *L, int rc)
{
  return rc < 0 ? push_failure(L, rc, NULL) : push_true(L);
}

/* engine{ rate=, max_exchanges= } -> engine | nil, message */
static int l_new(lua_State *L)
{
  my_engine_config config = {0};
  if (!lua_isnoneornil(L, 1)) {
    luaL_checktype(L, 1, LUA_TTABLE);
    config.rate_pps = opt_number_field(L, 1, "rate", 0);
    lua_Integer most = opt_integer_field(L, 1, "max_exchanges", 0);
    luaL_argcheck(L, most >= 0 && most <= 1000000, 1,
                  "field 'max_exchanges': 0 to 1000000 expected");
    config.max_exchanges = (unsigned)most;
  }
  owner *o = new_owner(L, sizeof *o, class_name);
  int rc = my_engine_new(&o->engine, &config);
  return rc == MY_OK ? 1 : push_failure(L, rc, NULL);
}

static int l_close(lua_State *L)
{
  owner *o = luaL_checkudata(L, 1, class_name);
  my_engine_free(o->engine);
  o->engine = NULL;
  return 0;
}

/* ---- exchanges ---- */

/* An address as an exchange takes it. False, and the message on the stack, where it is none. */
static bool read_endpoint(lua_State *L, const char *address, const char *port, my_endpoint *out)
{
  my_where where;
  if (opt_endpoint_fields(L, 2, address, port, out)) return true;
  const char *text = opt_text_field(L, 2, address);
  /* The name of a zone ("%eth0") is the one thing that only the system can read. */
  if (strchr(text, '%') && my_resolve(text, out->port, 0, out, 1, &where) == 1) return true;
  lua_pushnil(L);
  lua_pushfstring(L, "not a numeric address: \"%s\"", text);
  return false;
}

/* The payloads' spans, in userdata left on the stack; their bytes live through the table. */
static void read_payloads(lua_State *L, my_exchange *x)
{
  if (!push_field(L, 2, "payloads") || !lua_istable(L, -1))
    luaL_argerror(L, 2, "field 'payloads': an array of strings expected");
  size_t count = lua_rawlen(L, -1);
  my_span *spans = lua_newuserdata(L, (count ? count : 1) * sizeof *spans);
  for (size_t i = 0; i < count; i++) {
    if (lua_rawgeti(L, -2, (lua_Integer)i + 1) != LUA_TSTRING)
      luaL_argerror(L, 2, "field 'payloads': an array of strings expected");
    spans[i].data = (const uint8_t *)lua_tolstring(L, -1, &spans[i].len);
    lua_pop(L, 1);
  }
  x->payloads = spans;
  x->payload_count = count;
}

static int submit(lua_State *L, my_engine *engine, my_exchange *x)
{
  uint64_t id;
  if (!opt_text_field(L, 2, "host")) luaL_argerror(L, 2, "field 'host': string expected, got nil");
  opt_port_field(L, 2, "port", 1);
  if (!read_endpoint(L, "host", "port", &x->peer)) return 2;
  if (!read_endpoint(L, "local_host", "local_port", &x->local)) return 2;
  x->timeout_ns = ns_from_seconds(opt_number_field(L, 2, "timeout", 3));
  x->start_ns = opt_integer_field(L, 2, "start_ns", 0);
  int rc = my_engine_submit(engine, x, &id);
  if (rc != MY_OK) return push_failure(L, rc, NULL);
  lua_pushinteger(L, (lua_Integer)id);
  return 1;
}

/* eng:udp{ host=, port=, payloads=, timeout=, flow=, start_ns=, local_host=, local_port=,
 * report_sent= } */
static int l_udp(lua_State *L)
{
  my_engine *engine = check_engine(L);
  my_exchange x = {.transport = MY_UDP};
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  read_payloads(L, &x);
  x.flow = (uint64_t)opt_integer_field(L, 2, "flow", 0);
  x.report_sent = opt_boolean_field(L, 2, "report_sent");
  return submit(L, engine, &x);
}

/* eng:tcp{ host=, port=, timeout=, start_ns=, local_host=, local_port= } -> id | nil, message */
static int l_tcp(lua_State *L)
{
  my_engine *engine = check_engine(L);
  my_exchange x = {.transport = MY_TCP};
  luaL_checktype(L, 2, LUA_TTABLE);
  return submit(L, engine, &x);
}

static int l_send(lua_State *L)
{
  my_engine *engine = check_engine(L);
  return status_result(L, my_engine_send(engine, check_id(L), check_span(L, 3)));
}

/* eng:receive(id, max_bytes, timeout) */
static int l_receive(lua_State *L)
{
  my_engine *engine = check_engine(L);
  uint64_t id = check_id(L);
  lua_Integer most = luaL_checkinteger(L, 3);
  int64_t timeout_ns = ns_from_seconds(luaL_checknumber(L, 4));
  luaL_argcheck(L, most > 0, 3, "a count of bytes above 0 expected");
  return status_result(L, my_engine_receive(engine, id, (size_t)most, timeout_ns));
}

static int l_cancel(lua_State *L)
{
  my_engine *engine = check_engine(L);
  return status_result(L, my_engine_cancel(engine, check_id(L)));
}

/* ---- events ---- */

static int l_step(lua_State *L)
{
  int rc = my_engine_step(check_engine(L), my_clock_ns());
  if (rc < 0) return push_failure(L, rc, NULL);
  lua_pushinteger(L, rc);
  return 1;
}

static const char *kind_text(my_event_kind kind)
{
  switch (kind) {
  case MY_EVENT_SENT:
    return "sent";
  case MY_EVENT_REPLY:
    return "reply";
  case MY_EVENT_ICMP:
    return "icmp";
  case MY_EVENT_OPEN:
    return "open";
  case MY_EVENT_DATA:
    return "data";
  case MY_EVENT_EOF:
    return "eof";
  case MY_EVENT_TIMEOUT:
    return "timeout";
  case MY_EVENT_END:
    return "end";
  }
  return "unknown";
}

static void push_event(lua_State *L, const my_event *ev)
{
  lua_createtable(L, 0, 14);
  set_integer(L, "id", (lua_Integer)ev->id);
  set_string(L, "kind", kind_text(ev->kind));
  set_string(L, "reason", my_reason_text(ev->reason));
  if (ev->error) set_string(L, "error", strerror(ev->error));
  set_integer(L, "attempt", (lua_Integer)ev->attempt + 1);
  if (ev->kind == MY_EVENT_REPLY || ev->kind == MY_EVENT_DATA) set_span(L, "data", ev->data);
  set_endpoint(L, "my", "my_port", &ev->local);
  set_endpoint(L, "from", "from_port", &ev->from);
  if (ev->sent_ns) set_integer(L, "sent_ns", ev->sent_ns);
  if (ev->received_ns) set_integer(L, "received_ns", ev->received_ns);
  /* The clock of these two can be set back in between: no time is better than a wrong one. */
  if (ev->sent_ns && ev->received_ns >= ev->sent_ns)
    set_number(L, "rtt", (lua_Number)(ev->received_ns - ev->sent_ns) / 1e9);
}

/* eng:next() -> event | nil */
static int l_next(lua_State *L)
{
  my_event ev;
  my_engine *engine = check_engine(L);
  luaL_checkstack(L, 4, NULL);
  if (my_engine_next(engine, &ev) == MY_OK)
    push_event(L, &ev); /* the engine keeps the bytes until the next call */
  else
    lua_pushnil(L);
  return 1;
}

/* ---- waiting ---- */

static int l_fd(lua_State *L)
{
  lua_pushinteger(L, my_engine_fd(check_engine(L)));
  return 1;
}

/* eng:deadline() -> seconds from now | nil */
static int l_deadline(lua_State *L)
{
  int64_t due = my_engine_deadline(check_engine(L)), now = my_clock_ns();
  if (due == INT64_MAX)
    lua_pushnil(L);
  else
    lua_pushnumber(L, due > now ? (lua_Number)(due - now) / 1e9 : 0);
  return 1;
}

/* eng:wait([seconds]) -> true when step has work, false when the time is up or a signal came */
static int l_wait(lua_State *L)
{
  struct pollfd p = {.fd = my_engine_fd(check_engine(L)), .events = POLLIN};
  struct timespec t, *timeout = NULL;
  if (!lua_isnoneornil(L, 2)) {
    int64_t ns = ns_from_seconds(luaL_checknumber(L, 2));
    t.tv_sec = ns / 1000000000;
    t.tv_nsec = ns % 1000000000;
    timeout = &t;
  }
  int n = ppoll(&p, 1, timeout, NULL);
  if (n < 0 && errno != EINTR) return push_failure(L, MY_ESYS, NULL);
  lua_pushboolean(L, n > 0); /* after a signal Lua must get the chance to see it */
  return 1;
}

void my_lua_open_engine(lua_State *L)
{
  static const luaL_Reg methods[] = {
      {"udp", l_udp},       {"tcp", l_tcp},           {"send", l_send}, {"receive", l_receive},
      {"cancel", l_cancel}, {"step", l_step},         {"next", l_next}, {"fd", l_fd},
      {"wait", l_wait},     {"deadline", l_deadline}, {NULL, NULL},
  };
  new_class(L, class_name, methods, l_close);
  lua_pushcfunction(L, l_new);
  lua_setfield(L, -2, "engine");
}
