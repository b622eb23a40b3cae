/* replies_fuzz.c - any bytes as what a TCP server says, through all the checks in Lua
 * (replies.lua). The fuzzer is told which lines of Lua ran, and which came after which, as if they
 * were branches of C. An error in Lua, 192 MiB of its memory, and more than a server may cost are
 * crashes. Built once with each Lua. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __lsan_is_turned_off(void); /* NOLINT: the sanitizer's own name */

enum { LINES = 1 << 16, MEMORY_MAX = 192 << 20 };

__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t lines[LINES];
static uint32_t line_before;
static size_t in_use;
static lua_State *lua;

/* What Lua has not collected yet is no leak, and to look for one after each run takes ten times as
 * long as the run. */
int __lsan_is_turned_off(void)
{
  return 1;
}

static void on_line(lua_State *L, lua_Debug *ar)
{
  if (lua_getinfo(L, "S", ar) == 0) return;
  uint32_t line = ((uint32_t)(uintptr_t)ar->source >> 4) * 2654435761u + (uint32_t)ar->currentline;
  uint8_t *counter = &lines[(line ^ line_before) % LINES];
  if (*counter < UINT8_MAX) ++*counter;
  line_before = line << 1;
}

static void *allocate(void *unused, void *block, size_t old, size_t size)
{
  (void)unused;
  if (block == NULL) old = 0; /* then it says what kind of object it is for */
  if (size == 0) {
    free(block);
    in_use -= old;
    return NULL;
  }
  if (size > old && in_use - old + size > MEMORY_MAX) return NULL;
  void *grown = realloc(block, size);
  if (grown != NULL) in_use += size - old;
  return grown;
}

static int add_trace(lua_State *L)
{
  luaL_traceback(L, L, lua_tostring(L, 1), 1);
  return 1;
}

static void call(int args, int results)
{
  int handler = lua_gettop(lua) - args;
  lua_pushcfunction(lua, add_trace);
  lua_insert(lua, handler);
  if (lua_pcall(lua, args, results, handler) != LUA_OK) {
    fprintf(stderr, "%s\n", lua_tostring(lua, -1));
    abort();
  }
  lua_remove(lua, handler);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
  (void)argc;
  (void)argv;
  lua = lua_newstate(allocate, NULL);
  if (lua == NULL) abort();
  luaL_openlibs(lua);
  if (luaL_loadfile(lua, REPLIES_ROOT "/tests/fuzz/replies.lua") != LUA_OK) {
    fprintf(stderr, "%s\n", lua_tostring(lua, -1));
    abort();
  }
  lua_pushliteral(lua, REPLIES_ROOT);
  lua_pushliteral(lua, REPLIES_BUILD);
  call(2, 1);
  lua_sethook(lua, on_line, LUA_MASKLINE, 0); /* coroutines inherit it */
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  line_before = 0;
  lua_pushvalue(lua, -1);
  lua_pushlstring(lua, (const char *)data, size);
  call(1, 0);
  return 0;
}
