/* json.c - a result as a line of JSON. What is common is written here; what is not plain (text that
 * must be escaped) is left to a function of the caller. */
#include "lua_util.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct text {
  lua_State *L;
  int room, odd; /* where on the stack: userdata for more bytes; the function for strings */
  char *bytes;
  size_t len, cap;
  char first[1000];
} text;

/* Room for 'n' bytes more. */
static char *more(text *t, size_t n)
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

static void add(text *t, const char *bytes, size_t n)
{
  memcpy(more(t, n), bytes, n);
  t->len += n;
}

static void add_char(text *t, char c)
{
  *more(t, 1) = c;
  t->len++;
}

/* Nothing in it has another form in JSON. */
static bool is_plain(const char *s, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (s[i] < ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\') return false;
  return true;
}

static void add_string(text *t, int at)
{
  size_t n;
  const char *s = lua_tolstring(t->L, at, &n);
  if (is_plain(s, n)) {
    char *to = more(t, n + 2);
    to[0] = to[n + 1] = '"';
    memcpy(to + 1, s, n);
    t->len += n + 2;
    return;
  }
  lua_pushvalue(t->L, t->odd);
  lua_pushvalue(t->L, at < 0 ? at - 1 : at);
  lua_call(t->L, 1, 1);
  s = luaL_checklstring(t->L, -1, &n);
  add(t, s, n);
  lua_pop(t->L, 1);
}

static void add_integer(text *t, lua_Integer n)
{
  char digits[24], *at = digits + sizeof digits;
  lua_Unsigned rest = n < 0 ? 0 - (lua_Unsigned)n : (lua_Unsigned)n;
  do
    *--at = (char)('0' + rest % 10);
  while ((rest /= 10) > 0);
  if (n < 0) *--at = '-';
  add(t, at, (size_t)(digits + sizeof digits - at));
}

/* At most six decimals, one at least. */
static void add_float(text *t, lua_Number n)
{
  char digits[400];
  if (!isfinite(n)) {
    add(t, "null", 4);
    return;
  }
  int len = snprintf(digits, sizeof digits, "%.6f", (double)n);
  while (digits[len - 1] == '0' && digits[len - 2] != '.')
    len--;
  add(t, digits, (size_t)len);
}

static void add_value(text *t, int at);

static void add_array(text *t, int at)
{
  luaL_checkstack(t->L, 8, "nested too deeply");
  lua_pushvalue(t->L, at);
  add_char(t, '[');
  for (lua_Integer i = 1; lua_geti(t->L, -1, i) != LUA_TNIL; i++) {
    if (i > 1) add_char(t, ',');
    add_value(t, -1);
    lua_pop(t->L, 1);
  }
  lua_pop(t->L, 2);
  add_char(t, ']');
}

static void add_value(text *t, int at)
{
  switch (lua_type(t->L, at)) {
  case LUA_TSTRING:
    add_string(t, at);
    break;
  case LUA_TNUMBER:
    if (lua_isinteger(t->L, at))
      add_integer(t, lua_tointeger(t->L, at));
    else
      add_float(t, lua_tonumber(t->L, at));
    break;
  case LUA_TBOOLEAN:
    lua_toboolean(t->L, at) ? add(t, "true", 4) : add(t, "false", 5);
    break;
  case LUA_TNIL:
    add(t, "null", 4);
    break;
  case LUA_TTABLE:
    add_array(t, at);
    break;
  default:
    luaL_error(t->L, "a %s has no form in JSON", luaL_typename(t->L, at));
  }
}

static void begin(text *t, lua_State *L, int odd)
{
  luaL_checktype(L, odd, LUA_TFUNCTION);
  lua_settop(L, odd + 1); /* nil where the room will be */
  t->L = L;
  t->room = odd + 1;
  t->odd = odd;
  t->bytes = t->first;
  t->len = 0;
  t->cap = sizeof t->first;
}

static int end(text *t)
{
  lua_pushlstring(t->L, t->bytes, t->len);
  return 1;
}

/* json_value(value, odd) -> text. Tables are arrays, nil is null, floats have at most six decimals;
 * 'odd' gives a string that is not plain ASCII, or holds quotes or backslashes, as JSON. */
static int l_value(lua_State *L)
{
  luaL_checkany(L, 1);
  text t;
  begin(&t, L, 2);
  add_value(&t, 1);
  return end(&t);
}

/* json_object(order, object, odd) -> text: the keys that the array 'order' names (plain ones), in
 * that order; what is absent is null. */
static int l_object(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TTABLE);
  text t;
  begin(&t, L, 3);
  for (lua_Integer i = 1; lua_rawgeti(L, 1, i) == LUA_TSTRING; i++) {
    add_char(&t, i > 1 ? ',' : '{');
    add_string(&t, -1);
    add_char(&t, ':');
    lua_gettable(L, 2);
    add_value(&t, -1);
    lua_pop(L, 1);
  }
  if (t.len == 0) add_char(&t, '{');
  add_char(&t, '}');
  return end(&t);
}

/* hex(bytes) -> text */
static int l_hex(lua_State *L)
{
  static const char digits[] = "0123456789abcdef";
  my_span s = check_span(L, 1);
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, 2 * s.len);
  for (size_t i = 0; i < s.len; i++) {
    to[2 * i] = digits[s.data[i] >> 4];
    to[2 * i + 1] = digits[s.data[i] & 15];
  }
  luaL_pushresultsize(&b, 2 * s.len);
  return 1;
}

void my_lua_open_json(lua_State *L)
{
  static const luaL_Reg functions[] = {
      {"json_value", l_value}, {"json_object", l_object}, {"hex", l_hex}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
