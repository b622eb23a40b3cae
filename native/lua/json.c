/* json.c - a result as a line of JSON. What is common is written here; what is not plain (text that
 * must be escaped) is left to a function of the caller. */
#include "json_text.h"

#include <stdio.h>

char *my_json_room(my_json *t, size_t n)
{
  if (t->cap - t->len < n) {
    size_t cap = 2 * t->cap + n;
    char *bytes = lua_newuserdata(t->L, cap);
    memcpy(bytes, t->bytes, t->len);
    lua_replace(t->L, t->room);
    t->bytes = bytes;
    t->cap = cap;
  }
  return t->bytes + t->len;
}

void my_json_add(my_json *t, const char *bytes, size_t n)
{
  memcpy(my_json_room(t, n), bytes, n);
  t->len += n;
}

static void add_char(my_json *t, char c)
{
  *my_json_room(t, 1) = c;
  t->len++;
}

/* Nothing in it has another form in JSON. */
static bool is_plain(const char *s, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (s[i] < ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\') return false;
  return true;
}

static void add_string(my_json *t, int at)
{
  size_t n;
  const char *s = lua_tolstring(t->L, at, &n);
  if (is_plain(s, n)) {
    char *to = my_json_room(t, n + 2);
    to[0] = to[n + 1] = '"';
    memcpy(to + 1, s, n);
    t->len += n + 2;
    return;
  }
  lua_pushvalue(t->L, t->odd);
  lua_pushvalue(t->L, at < 0 ? at - 1 : at);
  lua_call(t->L, 1, 1);
  s = luaL_checklstring(t->L, -1, &n);
  my_json_add(t, s, n);
  lua_pop(t->L, 1);
}

void my_json_add_integer(my_json *t, lua_Integer n)
{
  char digits[24], *at = digits + sizeof digits;
  lua_Unsigned rest = n < 0 ? 0 - (lua_Unsigned)n : (lua_Unsigned)n;
  do
    *--at = (char)('0' + rest % 10);
  while ((rest /= 10) > 0);
  if (n < 0) *--at = '-';
  my_json_add(t, at, (size_t)(digits + sizeof digits - at));
}

/* At most six decimals, one at least. */
static void add_float(my_json *t, lua_Number n)
{
  char digits[400];
  if (!isfinite(n)) {
    my_json_add(t, "null", 4);
    return;
  }
  int len = snprintf(digits, sizeof digits, "%.6f", (double)n);
  while (digits[len - 1] == '0' && digits[len - 2] != '.')
    len--;
  my_json_add(t, digits, (size_t)len);
}

enum { MOST_DEEP = 200 };

static void add_array(my_json *t, int at)
{
  luaL_checkstack(t->L, 8, NULL);
  if (lua_gettop(t->L) > MOST_DEEP) luaL_error(t->L, "nested too deeply for JSON");
  lua_pushvalue(t->L, at);
  add_char(t, '[');
  for (lua_Integer i = 1; lua_geti(t->L, -1, i) != LUA_TNIL; i++) {
    if (i > 1) add_char(t, ',');
    my_json_add_value(t, -1);
    lua_pop(t->L, 1);
  }
  lua_pop(t->L, 2);
  add_char(t, ']');
}

void my_json_add_value(my_json *t, int at)
{
  switch (lua_type(t->L, at)) {
  case LUA_TSTRING:
    add_string(t, at);
    break;
  case LUA_TNUMBER:
    if (lua_isinteger(t->L, at))
      my_json_add_integer(t, lua_tointeger(t->L, at));
    else
      add_float(t, lua_tonumber(t->L, at));
    break;
  case LUA_TBOOLEAN:
    lua_toboolean(t->L, at) ? my_json_add(t, "true", 4) : my_json_add(t, "false", 5);
    break;
  case LUA_TNIL:
    my_json_add(t, "null", 4);
    break;
  case LUA_TTABLE:
    add_array(t, at);
    break;
  default:
    luaL_error(t->L, "a %s has no form in JSON", luaL_typename(t->L, at));
  }
}

void my_json_begin(my_json *t, lua_State *L, int odd)
{
  luaL_checktype(L, odd, LUA_TFUNCTION);
  lua_pushnil(L); /* where the room will be */
  t->L = L;
  t->room = lua_gettop(L);
  t->odd = odd;
  t->bytes = t->first;
  t->len = 0;
  t->cap = sizeof t->first;
}

int my_json_push(my_json *t)
{
  lua_pushlstring(t->L, t->bytes, t->len);
  return 1;
}

/* json_value(value, odd) -> text. Tables are arrays, nil is null, floats have at most six decimals;
 * 'odd' gives a string that is not plain ASCII, or holds quotes or backslashes, as JSON. */
static int l_value(lua_State *L)
{
  luaL_checkany(L, 1);
  my_json t;
  lua_settop(L, 2);
  my_json_begin(&t, L, 2);
  my_json_add_value(&t, 1);
  return my_json_push(&t);
}

/* json_object(order, object, odd) -> text: the keys that the array 'order' names (plain ones), in
 * that order; what is absent is null. */
static int l_object(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TTABLE);
  my_json t;
  lua_settop(L, 3);
  my_json_begin(&t, L, 3);
  for (lua_Integer i = 1; lua_rawgeti(L, 1, i) == LUA_TSTRING; i++) {
    add_char(&t, i > 1 ? ',' : '{');
    add_string(&t, -1);
    add_char(&t, ':');
    lua_gettable(L, 2);
    my_json_add_value(&t, -1);
    lua_pop(L, 1);
  }
  if (t.len == 0) add_char(&t, '{');
  add_char(&t, '}');
  return my_json_push(&t);
}

/* hex(bytes) -> text */
static int l_hex(lua_State *L)
{
  my_span s = check_span(L, 1);
  luaL_Buffer b;
  hex_digits(s, luaL_buffinitsize(L, &b, 2 * s.len));
  luaL_pushresultsize(&b, 2 * s.len);
  return 1;
}

void my_lua_open_json(lua_State *L)
{
  static const luaL_Reg functions[] = {
      {"json_value", l_value}, {"json_object", l_object}, {"hex", l_hex}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
