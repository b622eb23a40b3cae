/* capture.c - the payloads of a capture file for Lua. */
#include "lua_util.h"

#include "mynah/capture.h"

static const char class_name[] = "mynah.capture";

typedef struct owner {
  my_capture *capture;
} owner;

static my_capture *check_capture(lua_State *L)
{
  owner *o = luaL_checkudata(L, 1, class_name);
  if (!o->capture) luaL_argerror(L, 1, "capture is closed");
  return o->capture;
}

/* capture(path [, filter]) -> capture | nil, message */
static int l_open(lua_State *L)
{
  const char *path = check_text(L, 1);
  const char *filter = opt_text(L, 2, NULL);
  owner *o = new_owner(L, sizeof *o, class_name);
  my_where where;
  int rc = my_capture_open(&o->capture, path, filter, &where);
  return rc == MY_OK ? 1 : push_failure(L, rc, &where);
}

static int l_close(lua_State *L)
{
  owner *o = luaL_checkudata(L, 1, class_name);
  my_capture_close(o->capture);
  o->capture = NULL;
  return 0;
}

static void push_payload(lua_State *L, const my_payload *p)
{
  lua_createtable(L, 0, 12);
  set_integer(L, "number", (lua_Integer)p->number);
  set_number(L, "time", (lua_Number)p->time_ns / 1e9);
  set_integer(L, "time_ns", p->time_ns);
  set_string(L, "transport", p->transport == MY_UDP ? "udp" : "tcp");
  set_endpoint(L, "from", "from_port", &p->from);
  set_endpoint(L, "to", "to_port", &p->to);
  set_boolean(L, "cut", p->cut);
  set_span(L, "data", p->data);
  if (p->transport != MY_TCP) return;
  set_integer(L, "seq", p->tcp_seq);
  set_integer(L, "flags", p->tcp_flags);
}

/* cap:next() -> payload | nil at the end | nil, message */
static int l_next(lua_State *L)
{
  my_payload payload;
  my_where where;
  my_capture *capture = check_capture(L);
  luaL_checkstack(L, 4, NULL);
  int rc = my_capture_next(capture, &payload, &where);
  if (rc == MY_NOT_YET) {
    lua_pushnil(L);
    return 1;
  }
  if (rc != MY_OK) return push_failure(L, rc, &where);
  push_payload(L, &payload); /* the span lives until the next call */
  return 1;
}

static int l_counts(lua_State *L)
{
  uint64_t packets, skipped;
  my_capture_count(check_capture(L), &packets, &skipped);
  lua_pushinteger(L, (lua_Integer)packets);
  lua_pushinteger(L, (lua_Integer)skipped);
  return 2;
}

void my_lua_open_capture(lua_State *L)
{
  static const luaL_Reg methods[] = {{"next", l_next}, {"counts", l_counts}, {NULL, NULL}};
  new_class(L, class_name, methods, l_close);
  lua_pushcfunction(L, l_open);
  lua_setfield(L, -2, "capture");
}
