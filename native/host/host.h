/* host.h - what the mynah program gives Lua besides mynah_core: waiting on a libuv loop, the
 * terminal, the demo's servers. */
#ifndef MYNAH_HOST_H
#define MYNAH_HOST_H

#include <lua.h>

typedef struct my_loop my_loop;

typedef enum my_wait { MY_WAIT_READY, MY_WAIT_TIMEOUT, MY_WAIT_INTERRUPT } my_wait;

/* A loop that waits for one thing at a time. 0, or a negative libuv error. */
int my_loop_new(my_loop **out);
void my_loop_free(my_loop *l); /* NULL is allowed */

/* Wait until 'fd' is readable (-1: no file), 'seconds' are over (negative: never), or SIGINT or
 * SIGTERM came (*signal: which). The first of each signal only interrupts; from the first wait on,
 * a second one ends the program as it always would. 0 and *out, or a negative libuv error. */
int my_loop_wait(my_loop *l, int fd, double seconds, my_wait *out, int *signal);

/* The module `mynah_host`. Upvalues: 1 the path of share/mynah, 2 the folder of the executable. */
int luaopen_mynah_host(lua_State *L);

/* Adds demo(…) (nodes.c), what commands that run another program want (process.c), tls(…) (tls.c),
 * events() (events.c), what is known of certificates (certificate.c), limits (budget.c),
 * interfaces() (interfaces.c), frames(…) and packets(…) (raw.c) and sqlite(…) (sqlite.c) to the
 * module on top of the stack. */
void my_add_nodes(lua_State *L);
void my_add_process(lua_State *L);
void my_add_tls(lua_State *L);
void my_add_events(lua_State *L);
void my_add_certificate(lua_State *L);
void my_add_budget(lua_State *L);
void my_add_interfaces(lua_State *L);
void my_add_senders(lua_State *L);
void my_add_sqlite(lua_State *L);

int luaopen_mynah_core(lua_State *L);

/* Modules that NSE scripts know as `openssl` and `zlib`. */
int luaopen_openssl(lua_State *L);
int luaopen_zlib(lua_State *L);

#endif
