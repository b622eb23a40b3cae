/* json_text.h - JSON while it is written (json.c). */
#ifndef MYNAH_LUA_JSON_TEXT_H
#define MYNAH_LUA_JSON_TEXT_H

#include "lua_util.h"

typedef struct my_json {
  lua_State *L;
  int room, odd; /* where on the stack: userdata for more bytes; the function for strings */
  char *bytes;
  size_t len, cap;
  char first[1000];
} my_json;

/* Empty; 'odd' is where on the stack a function stands that gives a string which is not plain as
 * JSON. Leaves one value on the stack. */
void my_json_begin(my_json *t, lua_State *L, int odd);

/* Room for 'n' bytes more, behind those that are there: add them to len. */
char *my_json_room(my_json *t, size_t n);
void my_json_add(my_json *t, const char *bytes, size_t n);
void my_json_add_integer(my_json *t, lua_Integer n);

/* The Lua value at 'at': tables are arrays, nil is null, floats have at most six decimals. */
void my_json_add_value(my_json *t, int at);

/* All of it, as a string on the stack: 1. */
int my_json_push(my_json *t);

static inline void hex_digits(my_span s, char *to)
{
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < s.len; i++) {
    to[2 * i] = digits[s.data[i] >> 4];
    to[2 * i + 1] = digits[s.data[i] & 15];
  }
}

#endif
