/* exchange.c - exchanges as tables, events as tables: what the engine and the pump say to Lua
 * alike. */
#include "exchange.h"

static unsigned count_field(lua_State *L, int arg, const char *name)
{
  lua_Integer most = opt_integer_field(L, arg, name, 0);
  if (most < 0 || most > 1000000)
    luaL_argerror(L, arg, lua_pushfstring(L, "field '%s': 0 to 1000000 expected", name));
  return (unsigned)most;
}

void my_lua_read_engine_config(lua_State *L, int arg, my_engine_config *out)
{
  *out = (my_engine_config){0};
  if (lua_isnoneornil(L, arg)) return;
  luaL_checktype(L, arg, LUA_TTABLE);
  out->rate_pps = opt_number_field(L, arg, "rate", 0);
  out->max_exchanges = count_field(L, arg, "max_exchanges");
  out->max_connections = count_field(L, arg, "max_connections");
  out->interface = opt_text_field(L, arg, "interface");
  if (!opt_endpoint_fields(L, arg, "source", "source_port", &out->source))
    luaL_argerror(L, arg, "a numeric address in source expected");
  out->spin_ns = ns_from_seconds(opt_number_field(L, arg, "spin", 0));
}

/* An address as an exchange takes it. False, and the message on the stack, where it is none. */
static bool read_endpoint(lua_State *L, int arg, const char *address, const char *port,
                          my_endpoint *out)
{
  my_where where;
  if (opt_endpoint_fields(L, arg, address, port, out)) return true;
  const char *text = opt_text_field(L, arg, address);
  /* The name of a zone ("%eth0") is the one thing that only the system can read. */
  if (strchr(text, '%') && my_resolve(text, out->port, 0, out, 1, &where) == 1) return true;
  lua_pushnil(L);
  lua_pushfstring(L, "not a numeric address: \"%s\"", text);
  return false;
}

/* The payloads' spans, in userdata left on the stack; their bytes live through the table. */
static void read_payloads(lua_State *L, int arg, my_exchange *x)
{
  if (!push_field(L, arg, "payloads") || !lua_istable(L, -1))
    luaL_argerror(L, arg, "field 'payloads': an array of strings expected");
  size_t count = lua_rawlen(L, -1);
  my_span *spans = lua_newuserdata(L, (count ? count : 1) * sizeof *spans);
  for (size_t i = 0; i < count; i++) {
    if (lua_rawgeti(L, -2, (lua_Integer)i + 1) != LUA_TSTRING)
      luaL_argerror(L, arg, "field 'payloads': an array of strings expected");
    spans[i].data = (const uint8_t *)lua_tolstring(L, -1, &spans[i].len);
    lua_pop(L, 1);
  }
  x->payloads = spans;
  x->payload_count = count;
}

static bool read_common(lua_State *L, int arg, my_exchange *x)
{
  if (!opt_text_field(L, arg, "host"))
    luaL_argerror(L, arg, "field 'host': string expected, got nil");
  opt_port_field(L, arg, "port", 1);
  if (!read_endpoint(L, arg, "host", "port", &x->peer)) return false;
  if (!read_endpoint(L, arg, "local_host", "local_port", &x->local)) return false;
  x->timeout_ns = ns_from_seconds(opt_number_field(L, arg, "timeout", 3));
  x->start_ns = opt_integer_field(L, arg, "start_ns", 0);
  return true;
}

bool my_lua_read_udp(lua_State *L, int arg, my_exchange *x)
{
  *x = (my_exchange){.transport = MY_UDP};
  luaL_checktype(L, arg, LUA_TTABLE);
  read_payloads(L, arg, x);
  x->flow = (uint64_t)opt_integer_field(L, arg, "flow", 0);
  x->report_sent = opt_boolean_field(L, arg, "report_sent");
  return read_common(L, arg, x);
}

bool my_lua_read_tcp(lua_State *L, int arg, my_exchange *x)
{
  *x = (my_exchange){.transport = MY_TCP};
  luaL_checktype(L, arg, LUA_TTABLE);
  return read_common(L, arg, x);
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

void my_lua_push_event(lua_State *L, const my_event *ev)
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
