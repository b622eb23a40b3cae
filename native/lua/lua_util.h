/* lua_util.h - what the binding's files share: arguments in, failures out, owners of C objects.
 *
 * The order that every binding keeps: check arguments (may raise, nothing is held), make the owner
 * (new_owner: empty, metatable set), acquire into it, return. Between an acquisition and its owner
 * nothing that can raise is called. Scratch memory is Lua userdata, so that an error cannot leak
 * it.
 *
 * The same source is compiled for Lua 5.3 and 5.4; what differs stands here and nowhere else. */
#ifndef MYNAH_LUA_UTIL_H
#define MYNAH_LUA_UTIL_H

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "mynah/status.h"
#include "mynah/target.h"

#if LUA_VERSION_NUM != 503 && LUA_VERSION_NUM != 504
#error "mynah_core is written for Lua 5.3 and 5.4"
#endif

/* Each adds its functions to the module's table, which is on top of the stack, and leaves it there.
 */
void my_lua_open_signature(lua_State *L);
void my_lua_open_match(lua_State *L);
void my_lua_open_classify(lua_State *L);
void my_lua_open_learn(lua_State *L);
void my_lua_open_capture(lua_State *L);
void my_lua_open_engine(lua_State *L);
void my_lua_open_pump(lua_State *L);
void my_lua_open_target(lua_State *L);
void my_lua_open_range(lua_State *L);
void my_lua_open_scan(lua_State *L);
void my_lua_open_json(lua_State *L);
void my_lua_open_limits(lua_State *L);

/* ---- arguments ---- */

/* The bytes of a string argument; they live as long as the argument stays on the stack. */
static inline my_span check_span(lua_State *L, int arg)
{
  size_t len;
  const char *data = luaL_checklstring(L, arg, &len);
  return (my_span){(const uint8_t *)data, len};
}

/* A string that C may read to its NUL: one inside it would hide the rest. */
static inline const char *check_text(lua_State *L, int arg)
{
  size_t len;
  const char *text = luaL_checklstring(L, arg, &len);
  luaL_argcheck(L, strlen(text) == len, arg, "string contains a NUL byte");
  return text;
}

static inline const char *opt_text(lua_State *L, int arg, const char *otherwise)
{
  return lua_isnoneornil(L, arg) ? otherwise : check_text(L, arg);
}

/* Push t[name] of the table at 'arg'; true unless it is nil (then nothing is pushed). */
static inline int push_field(lua_State *L, int arg, const char *name)
{
  if (lua_getfield(L, arg, name) != LUA_TNIL) return 1;
  lua_pop(L, 1);
  return 0;
}

static inline void bad_field(lua_State *L, int arg, const char *name, const char *expected)
{
  const char *got = luaL_typename(L, -1); /* the value is on top */
  luaL_argerror(L, arg, lua_pushfstring(L, "field '%s': %s expected, got %s", name, expected, got));
}

/* Fields of a table argument: the value, or 'otherwise' for nil; a wrong type raises. */
static inline lua_Integer opt_integer_field(lua_State *L, int arg, const char *name,
                                            lua_Integer otherwise)
{
  int ok;
  if (!push_field(L, arg, name)) return otherwise;
  lua_Integer value = lua_tointegerx(L, -1, &ok);
  if (!ok) bad_field(L, arg, name, "integer");
  lua_pop(L, 1);
  return value;
}

static inline lua_Number opt_number_field(lua_State *L, int arg, const char *name,
                                          lua_Number otherwise)
{
  int ok;
  if (!push_field(L, arg, name)) return otherwise;
  lua_Number value = lua_tonumberx(L, -1, &ok);
  if (!ok) bad_field(L, arg, name, "number");
  lua_pop(L, 1);
  return value;
}

static inline int opt_boolean_field(lua_State *L, int arg, const char *name)
{
  int value = push_field(L, arg, name);
  if (value) {
    value = lua_toboolean(L, -1);
    lua_pop(L, 1);
  }
  return value;
}

/* The text stays alive through the table it came from. NULL for nil. */
static inline const char *opt_text_field(lua_State *L, int arg, const char *name)
{
  if (!push_field(L, arg, name)) return NULL;
  /* A number would be converted in the copy that is popped: only a real string is kept by its
   * table. */
  if (lua_type(L, -1) != LUA_TSTRING) bad_field(L, arg, name, "string");
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  if (strlen(text) != len)
    luaL_argerror(L, arg, lua_pushfstring(L, "field '%s' contains a NUL byte", name));
  lua_pop(L, 1);
  return text;
}

/* Bytes of a field; the empty span with data NULL for nil. */
static inline my_span opt_span_field(lua_State *L, int arg, const char *name)
{
  my_span span = {NULL, 0};
  if (!push_field(L, arg, name)) return span;
  if (lua_type(L, -1) != LUA_TSTRING) bad_field(L, arg, name, "string");
  span.data = (const uint8_t *)lua_tolstring(L, -1, &span.len);
  lua_pop(L, 1);
  return span;
}

/* A port as a field: 0 where it is nil, raises outside 'least' to 65535. */
static inline uint16_t opt_port_field(lua_State *L, int arg, const char *name, int least)
{
  lua_Integer port = opt_integer_field(L, arg, name, least > 0 ? -1 : 0);
  if (port < least || port > 65535)
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "field '%s': a port from %d to 65535 expected", name, least));
  return (uint16_t)port;
}

/* Seconds as Lua gives them, in ns: not a number and what is below 0 count as 0, too much as a
 * century. */
static inline int64_t ns_from_seconds(lua_Number seconds)
{
  const lua_Number most = 3.2e9;
  if (!(seconds > 0)) return 0;
  return (int64_t)((seconds < most ? seconds : most) * 1e9);
}

/* An endpoint of two fields, an address as text and a port. Absent address: family 0. Returns 0 and
 * raises nothing where the text is no numeric address. */
static inline int opt_endpoint_fields(lua_State *L, int arg, const char *address, const char *port,
                                      my_endpoint *out)
{
  const char *text = opt_text_field(L, arg, address);
  uint16_t number = opt_port_field(L, arg, port, 0);
  memset(out, 0, sizeof *out);
  out->port = number;
  return !text || my_endpoint_parse(out, text, number) == MY_OK;
}

/* ---- results ---- */

/* nil and a message; errno, where the status is MY_ESYS, is read before Lua can change it. */
static inline int push_failure(lua_State *L, int status, const my_where *where)
{
  int error = errno;
  lua_pushnil(L);
  if (where && where->text[0])
    lua_pushstring(L, where->text);
  else
    lua_pushstring(L, status == MY_ESYS && error ? strerror(error) : my_status_text(status));
  return 2;
}

static inline int push_true(lua_State *L)
{
  lua_pushboolean(L, 1);
  return 1;
}

static inline void push_span(lua_State *L, my_span span)
{
  lua_pushlstring(L, span.len ? (const char *)span.data : "", span.len);
}

static inline void push_address(lua_State *L, const my_endpoint *e)
{
  char text[MY_ENDPOINT_TEXT];
  lua_pushstring(L, my_endpoint_address(e, text));
}

/* Set fields of the table on top of the stack. */
static inline void set_string(lua_State *L, const char *name, const char *value)
{
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

static inline void set_span(lua_State *L, const char *name, my_span value)
{
  push_span(L, value);
  lua_setfield(L, -2, name);
}

static inline void set_integer(lua_State *L, const char *name, lua_Integer value)
{
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

static inline void set_number(lua_State *L, const char *name, lua_Number value)
{
  lua_pushnumber(L, value);
  lua_setfield(L, -2, name);
}

static inline void set_boolean(lua_State *L, const char *name, int value)
{
  lua_pushboolean(L, value);
  lua_setfield(L, -2, name);
}

/* name and port_name, as far as they are known. */
static inline void set_endpoint(lua_State *L, const char *name, const char *port_name,
                                const my_endpoint *e)
{
  if (e->family) {
    push_address(L, e);
    lua_setfield(L, -2, name);
  }
  if (e->port) set_integer(L, port_name, e->port);
}

/* ---- owners ---- */

/* Make the class: methods, and 'close' as close(), __gc and, in 5.4, __close: one function, which
 * must be idempotent. Leaves nothing on the stack. */
static inline void new_class(lua_State *L, const char *name, const luaL_Reg *methods,
                             lua_CFunction close)
{
  luaL_newmetatable(L, name);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_pushcfunction(L, close);
  lua_setfield(L, -2, "close");
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, close);
  lua_setfield(L, -2, "__gc");
#if LUA_VERSION_NUM >= 504
  lua_pushcfunction(L, close);
  lua_setfield(L, -2, "__close");
#endif
  lua_pop(L, 1);
}

/* An owner with nothing in it yet: all zero, its metatable set, on top of the stack. */
static inline void *new_owner(lua_State *L, size_t size, const char *class_name)
{
  void *owner = lua_newuserdata(L, size);
  memset(owner, 0, size);
  luaL_setmetatable(L, class_name);
  return owner;
}

#endif
