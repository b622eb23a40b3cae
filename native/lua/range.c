/* range.c - the whole of what a scan asks, for Lua. */
#include "range_ref.h"

/* ranges() -> ranges | nil, message */
static int l_new(lua_State *L)
{
  ranges_ref *r = new_owner(L, sizeof *r, RANGES_CLASS);
  int rc = my_ranges_new(&r->ranges);
  return rc == MY_OK ? 1 : push_failure(L, rc, NULL);
}

static int l_close(lua_State *L)
{
  ranges_ref *r = luaL_checkudata(L, 1, RANGES_CLASS);
  my_ranges_free(r->ranges);
  r->ranges = NULL;
  return 0;
}

/* r:ports(array of numbers) -> a number for add | nil, message */
static int l_ports(lua_State *L)
{
  ranges_ref *r = check_ranges(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  size_t count = lua_rawlen(L, 2);
  luaL_argcheck(L, count > 0 && count <= 65535, 2, "1 to 65535 ports expected");
  uint16_t *list = lua_newuserdata(L, count * sizeof *list);
  for (size_t i = 0; i < count; i++) {
    int ok;
    lua_rawgeti(L, 2, (lua_Integer)i + 1);
    lua_Integer port = lua_tointegerx(L, -1, &ok);
    luaL_argcheck(L, ok && port >= 1 && port <= 65535, 2, "ports from 1 to 65535 expected");
    list[i] = (uint16_t)port;
    lua_pop(L, 1);
  }
  int set = my_ranges_ports(r->ranges, list, count);
  if (set < 0) return push_failure(L, set, NULL);
  lua_pushinteger(L, set);
  return 1;
}

/* The range that arguments 2 and 3 say: an address, and the last one, or the length of the prefix
 * that they share. False where they say none. */
static bool read_range(lua_State *L, my_endpoint *first, my_endpoint *last)
{
  if (my_endpoint_parse(first, check_text(L, 2), 0) != MY_OK) return false;
  first->scope = 0;
  *last = *first;
  if (lua_isnoneornil(L, 3)) return true;
  if (lua_type(L, 3) == LUA_TSTRING) {
    if (my_endpoint_parse(last, check_text(L, 3), 0) != MY_OK) return false;
    last->scope = 0;
    return true;
  }
  lua_Integer prefix = luaL_checkinteger(L, 3), bits = first->family == 4 ? 32 : 128;
  if (prefix < 0 || prefix > bits) return false;
  for (lua_Integer bit = prefix; bit < bits; bit++) {
    uint8_t mask = (uint8_t)(0x80 >> bit % 8);
    first->bytes[bit / 8] &= (uint8_t)~mask;
    last->bytes[bit / 8] |= mask;
  }
  return true;
}

static int change(lua_State *L, bool excluded)
{
  ranges_ref *r = check_ranges(L, 1);
  my_endpoint first, last;
  lua_Integer ports = excluded ? 0 : luaL_checkinteger(L, 4);
  if (!read_range(L, &first, &last)) return push_failure(L, MY_EFORMAT, NULL);
  int rc = excluded ? my_ranges_exclude(r->ranges, &first, &last)
                    : my_ranges_add(r->ranges, &first, &last, (int)ports);
  return rc == MY_OK ? push_true(L) : push_failure(L, rc, NULL);
}

/* r:ask(port, how many questions) -> true | nil, message: before the first set with that port */
static int l_ask(lua_State *L)
{
  ranges_ref *r = check_ranges(L, 1);
  lua_Integer port = luaL_checkinteger(L, 2), questions = luaL_checkinteger(L, 3);
  luaL_argcheck(L, port >= 1 && port <= 65535, 2, "a port from 1 to 65535 expected");
  luaL_argcheck(L, questions >= 1 && questions <= MY_QUESTIONS_MAX, 3, "1 to 255 expected");
  int rc = my_ranges_ask(r->ranges, (uint16_t)port, (unsigned)questions);
  return rc == MY_OK ? push_true(L) : push_failure(L, rc, NULL);
}

/* r:add(address, last address | length of the prefix | nil, ports) -> true | nil, message */
static int l_add(lua_State *L)
{
  return change(L, false);
}

/* r:exclude(address, last address | length of the prefix | nil) -> true | nil, message */
static int l_exclude(lua_State *L)
{
  return change(L, true);
}

/* r:seal() -> items, addresses, addresses excluded | nil, message */
static int l_seal(lua_State *L)
{
  ranges_ref *r = check_ranges(L, 1);
  int rc = my_ranges_seal(r->ranges);
  if (rc != MY_OK) return push_failure(L, rc, NULL);
  r->sealed = 1;
  lua_pushinteger(L, (lua_Integer)my_ranges_items(r->ranges));
  lua_pushinteger(L, (lua_Integer)my_ranges_addresses(r->ranges));
  lua_pushinteger(L, (lua_Integer)my_ranges_excluded(r->ranges));
  return 3;
}

/* r:item(number from 0) -> address, port, which question to it (from 0) | nil */
static int l_item(lua_State *L)
{
  ranges_ref *r = check_ranges(L, 1);
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, r->sealed, 1, "sealed ranges expected");
  my_endpoint e;
  if (n < 0 || (uint64_t)n >= my_ranges_items(r->ranges)) return 0;
  unsigned question = my_ranges_item(r->ranges, (uint64_t)n, &e);
  push_address(L, &e);
  lua_pushinteger(L, e.port);
  lua_pushinteger(L, question);
  return 3;
}

/* r:find(address, port) -> its number | nil */
static int l_find(lua_State *L)
{
  ranges_ref *r = check_ranges(L, 1);
  const char *text = check_text(L, 2);
  lua_Integer port = luaL_checkinteger(L, 3);
  my_endpoint e;
  uint64_t item;
  luaL_argcheck(L, r->sealed, 1, "sealed ranges expected");
  if (port < 1 || port > 65535 || my_endpoint_parse(&e, text, (uint16_t)port) != MY_OK ||
      !my_ranges_find(r->ranges, &e, &item))
    return 0;
  lua_pushinteger(L, (lua_Integer)item);
  return 1;
}

/* r:pieces() -> array of { first=, last=, addresses=, ports= (how many of both) }, disjoint and
 * ascending */
static int l_pieces(lua_State *L)
{
  ranges_ref *r = check_ranges(L, 1);
  luaL_argcheck(L, r->sealed, 1, "sealed ranges expected");
  size_t count = my_ranges_pieces(r->ranges);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    my_range range;
    my_ranges_piece(r->ranges, i, &range);
    lua_createtable(L, 0, 4);
    push_address(L, &range.first);
    lua_setfield(L, -2, "first");
    push_address(L, &range.last);
    lua_setfield(L, -2, "last");
    set_integer(L, "addresses", (lua_Integer)range.addresses);
    set_integer(L, "ports", (lua_Integer)range.port_count);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

void my_lua_open_range(lua_State *L)
{
  static const luaL_Reg methods[] = {
      {"ports", l_ports},     {"ask", l_ask},       {"add", l_add},
      {"exclude", l_exclude}, {"seal", l_seal},     {"item", l_item},
      {"find", l_find},       {"pieces", l_pieces}, {NULL, NULL},
  };
  new_class(L, RANGES_CLASS, methods, l_close);
  lua_pushcfunction(L, l_new);
  lua_setfield(L, -2, "ranges");
}
