/* exchange.h - exchanges as tables, events as tables: what the engine and the pump say to Lua
 * alike. */
#ifndef MYNAH_LUA_EXCHANGE_H
#define MYNAH_LUA_EXCHANGE_H

#include "lua_util.h"

#include "mynah/engine.h"

/* Read { host=, port=, payloads=, timeout=, flow=, start_ns=, local_host=, local_port=,
 * report_sent= } at 'arg' (an absolute index). Its spans live while the table and what this leaves
 * on the stack do. A wrong type raises; false, with nil and a message on the stack, where an
 * address is none. */
bool my_lua_read_udp(lua_State *L, int arg, my_exchange *x);

/* The same for { host=, port=, timeout=, start_ns=, local_host=, local_port= }. */
bool my_lua_read_tcp(lua_State *L, int arg, my_exchange *x);

/* Read { rate=, max_exchanges=, spin= (seconds) } or nil at 'arg'. */
void my_lua_read_engine_config(lua_State *L, int arg, my_engine_config *out);

/* Push an event as a table. */
void my_lua_push_event(lua_State *L, const my_event *ev);

#endif
