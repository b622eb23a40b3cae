/* capture.c - the payloads of a capture file for Lua. */
#include "lua_util.h"

#include "mynah/capture.h"
#include "mynah/stream.h"

static const char class_name[] = "mynah.capture";

typedef struct owner {
  my_capture *capture;
  my_streams *streams; /* NULL: payloads as they stand in the file */
  int over;            /* what the file ended with, once it did */
  my_where where;
} owner;

static owner *check_owner(lua_State *L)
{
  owner *o = luaL_checkudata(L, 1, class_name);
  if (!o->capture) luaL_argerror(L, 1, "capture is closed");
  return o;
}

/* capture(path [, filter [, options]]) -> capture | nil, message; options: streams */
static int l_open(lua_State *L)
{
  const char *path = check_text(L, 1);
  const char *filter = opt_text(L, 2, NULL);
  int streams = 0;
  if (!lua_isnoneornil(L, 3)) {
    luaL_checktype(L, 3, LUA_TTABLE);
    streams = opt_boolean_field(L, 3, "streams");
  }
  owner *o = new_owner(L, sizeof *o, class_name);
  int rc = my_capture_open(&o->capture, path, filter, &o->where);
  if (rc == MY_OK && streams) rc = my_streams_new(&o->streams);
  return rc == MY_OK ? 1 : push_failure(L, rc, &o->where);
}

static int l_close(lua_State *L)
{
  owner *o = luaL_checkudata(L, 1, class_name);
  my_capture_close(o->capture);
  my_streams_free(o->streams);
  o->capture = NULL;
  o->streams = NULL;
  return 0;
}

static void push_payload(lua_State *L, const my_payload *p)
{
  lua_createtable(L, 0, 16);
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

static void push_heard(lua_State *L, const my_heard *h)
{
  static const char *const ends[] = {[MY_STREAM_FIN] = "fin", [MY_STREAM_RST] = "rst"};
  push_payload(L, &h->payload);
  set_integer(L, "flow", h->flow);
  set_string(L, "side", h->from_client ? "client" : "server");
  set_boolean(L, "opens", h->opens);
  set_boolean(L, "lost", h->lost);
  if (h->ends != MY_STREAM_GOES_ON) set_string(L, "ends", ends[h->ends]);
}

/* Read on until something is whole. MY_NOT_YET or a failure: the file is over, and all was given.
 */
static int next_heard(owner *o, my_heard *out)
{
  my_payload payload;
  int rc;
  while ((rc = my_streams_next(o->streams, out)) == MY_NOT_YET && o->over == MY_OK) {
    o->over = my_capture_next(o->capture, &payload, &o->where);
    if (o->over != MY_OK)
      my_streams_finish(o->streams);
    else if ((rc = my_streams_add(o->streams, &payload)) != MY_OK)
      return rc;
  }
  return rc == MY_OK ? MY_OK : o->over;
}

/* cap:next() -> payload | nil at the end | nil, message. With streams: flow, side, opens, lost,
 * ends besides. */
static int l_next(lua_State *L)
{
  my_heard heard = {0};
  owner *o = check_owner(L);
  luaL_checkstack(L, 4, NULL);
  int rc =
      o->streams ? next_heard(o, &heard) : my_capture_next(o->capture, &heard.payload, &o->where);
  if (rc == MY_NOT_YET) {
    lua_pushnil(L);
    return 1;
  }
  if (rc != MY_OK) return push_failure(L, rc, &o->where);
  if (o->streams)
    push_heard(L, &heard);
  else
    push_payload(L, &heard.payload); /* the span lives until the next call */
  return 1;
}

static int l_counts(lua_State *L)
{
  uint64_t packets, skipped;
  my_capture_count(check_owner(L)->capture, &packets, &skipped);
  lua_pushinteger(L, (lua_Integer)packets);
  lua_pushinteger(L, (lua_Integer)skipped);
  return 2;
}

/* ---- writing ---- */

static const char writer_class[] = "mynah.capture_writer";

typedef struct writer {
  my_capture_writer *w;
} writer;

/* capture_writer(path) -> writer | nil, message */
static int l_create(lua_State *L)
{
  const char *path = check_text(L, 1);
  writer *o = new_owner(L, sizeof *o, writer_class);
  my_where where = {0};
  int rc = my_capture_create(&o->w, path, &where);
  return rc == MY_OK ? 1 : push_failure(L, rc, &where);
}

/* writer:write{ transport=, from=, from_port=, to=, to_port=, time_ns=, data=, seq=, flags= } ->
 * true | nil, message */
static int l_write(lua_State *L)
{
  writer *o = luaL_checkudata(L, 1, writer_class);
  if (!o->w) luaL_argerror(L, 1, "writer is closed");
  luaL_checktype(L, 2, LUA_TTABLE);
  const char *transport = opt_text_field(L, 2, "transport");
  my_payload p = {.transport = transport && strcmp(transport, "tcp") == 0 ? MY_TCP : MY_UDP,
                  .time_ns = opt_integer_field(L, 2, "time_ns", 0),
                  .data = opt_span_field(L, 2, "data"),
                  .tcp_seq = (uint32_t)opt_integer_field(L, 2, "seq", 0),
                  .tcp_flags = (uint8_t)opt_integer_field(L, 2, "flags", 0x18)};
  if (!opt_endpoint_fields(L, 2, "from", "from_port", &p.from) ||
      !opt_endpoint_fields(L, 2, "to", "to_port", &p.to))
    luaL_argerror(L, 2, "numeric addresses in from and to expected");
  int rc = my_capture_write(o->w, &p, (uint32_t)opt_integer_field(L, 2, "ack", 0));
  return rc == MY_OK ? push_true(L) : push_failure(L, rc, NULL);
}

/* writer:close() -> true | nil, message: not all of it could be written */
static int l_finish(lua_State *L)
{
  writer *o = luaL_checkudata(L, 1, writer_class);
  my_capture_writer *w = o->w;
  o->w = NULL;
  int rc = my_capture_finish(w);
  return rc == MY_OK ? push_true(L) : push_failure(L, rc, NULL);
}

void my_lua_open_capture(lua_State *L)
{
  static const luaL_Reg methods[] = {{"next", l_next}, {"counts", l_counts}, {NULL, NULL}};
  new_class(L, class_name, methods, l_close);
  lua_pushcfunction(L, l_open);
  lua_setfield(L, -2, "capture");
  static const luaL_Reg writing[] = {{"write", l_write}, {NULL, NULL}};
  new_class(L, writer_class, writing, l_finish);
  lua_pushcfunction(L, l_create);
  lua_setfield(L, -2, "capture_writer");
}
