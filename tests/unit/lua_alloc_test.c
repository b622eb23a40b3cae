/* lua_alloc_test.c - fail the n-th allocation, for every n, through every binding: of Lua's memory
 * and of ours. Each run must end in a result, nil and a message, or a Lua error; nothing may stay
 * behind. */
#include <dirent.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <lauxlib.h>
#include <lualib.h>

int luaopen_mynah_core(lua_State *L);

/* The linker sends our own malloc, calloc, realloc, free, strdup here (-Wl,--wrap). */
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);
char *__wrap_strdup(const char *s);

/* Allocations until one fails; below 0: none does. The pump's thread allocates too. */
static atomic_long countdown = -1;
static atomic_long failed, live;

static int fails(void)
{
  if (countdown < 0 || countdown-- != 0) return 0; /* this one alone: recovery may allocate */
  failed++;
  return 1;
}

void *__wrap_malloc(size_t n)
{
  void *p = fails() ? NULL : __real_malloc(n);
  live += p != NULL;
  return p;
}

void *__wrap_calloc(size_t n, size_t size)
{
  void *p = fails() ? NULL : __real_calloc(n, size);
  live += p != NULL;
  return p;
}

void *__wrap_realloc(void *p, size_t n)
{
  void *larger = fails() ? NULL : __real_realloc(p, n);
  live += p == NULL && larger != NULL;
  return larger;
}

void __wrap_free(void *p)
{
  live -= p != NULL;
  __real_free(p);
}

char *__wrap_strdup(const char *s)
{
  char *copy = __wrap_malloc(strlen(s) + 1);
  return copy != NULL ? strcpy(copy, s) : NULL;
}

static void *lua_alloc(void *ud, void *p, size_t old_size, size_t n)
{
  (void)ud;
  if (n == 0) {
    __real_free(p);
    return NULL;
  }
  if (n > (p != NULL ? old_size : 0) && fails()) /* Lua counts on shrinking */
    return NULL;
  return __real_realloc(p, n);
}

static int count_fds(void)
{
  DIR *d = opendir("/proc/self/fd");
  int n = 0;
  while (readdir(d) != NULL)
    n++;
  closedir(d);
  return n;
}

static const char *const scenarios[][2] = {
    {"signatures",
     "local core = ...\n"
     "local db = assert(core.signatures())\n"
     "assert(db:add([[service s\n ports udp 53\nsig a\n send id?4 my.ip\n @0:4 = $id\n @ ~ "
     "m/b(?<v>.)/\n version \"$v\"\n"
     " match 00*4 01020304 > 00*4 \"bb\"\n nomatch 00 > 01]], 'a.sig'))\n"
     "local refused, message = db:add('service x\\nsig', 'b.sig')\n"
     "assert(not refused and (message:find('b.sig:2') or message:find('memory')))\n"
     "local q = assert(db:compose('a', { my = '192.0.2.1', peer = '192.0.2.2' }))\n"
     "local pair = { request = q, reply = q:sub(1, 4) .. 'bc', my = '192.0.2.1', time = 1.5 }\n"
     "assert(db:match('a', pair).matched)\n"
     "assert(type(db:hints(pair)) == 'table' and core.descriptors() > 0)\n"
     "assert(#db:bind(q) == 1 and db:holds('a', pair) and db:name(pair) == 'a' and db:fits('a', "
     "q))\n"
     "assert(db:judge('a', { pair, pair }).state)\n"
     "assert(db:info('a').lines[1]); assert(db:names()[1] == 'a'); assert(db:rank('a', 53) == 2)\n"
     "assert(db:check()[1].name == 'a')\n"
     "assert(core.echo(q, pair.reply) == 4)\n"
     "local ok = pcall(db.match, db, 'none', pair)  assert(not ok)\n"
     "db:close() db:close()\n"},
    {"engine", "local core = ...\n"
               "local limits = assert(core.limits{ per_host = 1000, bits = 1e9 })\n"
               "assert(not core.limits{ bits = -1 })\n"
               "assert(limits:turn('connection', '::1') == 0)\n"
               "local e = assert(core.engine{ rate = 1000, limits = limits })\n"
               "local u = assert(e:udp{ host = '127.0.0.1', port = PORT, payloads = { 'a', 'b' }, "
               "timeout = 0.2 })\n"
               "local t = assert(e:tcp{ host = '127.0.0.1', port = PORT, timeout = 0.2 })\n"
               "local stop = core.now() + 0.5\n"
               "local ended = 0\n"
               "while ended < 2 and core.now() < stop do\n"
               "  e:wait(0.05) assert(e:step())\n"
               "  for event in function() return e:next() end do if event.kind == 'end' then ended "
               "= ended + 1 end end\n"
               "end\n"
               "assert(e:fd()) e:deadline() e:cancel(u) e:send(t, 'x') e:receive(t, 10, 1)\n"
               "e:close() e:close()\n"},
    {"pump",
     "local core = ...\n"
     "local p = assert(core.pump{ rate = 1000 })\n"
     "local b, token = p:bell()\n"
     "assert(b, token) assert(#token == 16 and p:port(4))\n"
     "local x = { host = '127.0.0.1', port = PORT, payloads = { 'a', 'b' }, timeout = 0.2 }\n"
     "local id = assert(b:udp(x))\n"
     "local stop, over = core.now() + 0.5, false\n"
     "while not over and core.now() < stop do\n"
     "  local event = b:next()\n"
     "  over = event and event.kind == 'end'\n"
     "end\n"
     "id = assert(b:udp(x)) assert(b:cancel(id)) b:udp(x)\n"
     "assert(not b:cancel(id)) b:ring() assert(p:count() >= 1)\n"
     "local forgotten = p:bell()\n"
     "b:close() b:close() assert(not pcall(b.next, b))\n"
     "p:close() p:close() assert(not pcall(forgotten.next, forgotten))\n"},
    {"capture",
     "local core = ...\n"
     "local c = assert(core.capture(FILE, 'udp'))\n"
     "local n = 0\n"
     "for p in function() return c:next() end do n = n + 1 assert(p.data) end\n"
     "assert(n == 1) assert(c:counts() == 1)\n"
     "c:close() c:close()\n"
     "local t = assert(core.capture(FILE, nil, { streams = true }))\n"
     "local h, why = t:next()\n"
     "assert(h and h.side == 'client' and h.flow == 1 or why)\n"
     "assert(not t:next()) t:close()\n"
     "local w = assert(core.capture_writer(FILE .. '.out'))\n"
     "assert(w:write{ transport = 'tcp', from = '192.0.2.1', from_port = 1, to = '192.0.2.2', "
     "to_port = 2, data = ('x'):rep(40000) })\n"
     "assert(not w:write{ from = '192.0.2.1', to = '::1', data = '' })\n"
     "assert(w:close()) os.remove(FILE .. '.out')\n"
     "assert(not core.capture_writer('/nonexistent/x'))\n"
     "local none, message = core.capture('/nonexistent') assert(not none and message)\n"},
    {"learner",
     "local core = ...\n"
     "local l = assert(core.learner())\n"
     "for i = 1, 4 do\n"
     "  local id = string.char(i * 50, i * 37 + 11)\n"
     "  local there = { side = 'client', flow = i, from = '192.0.2.1', from_port = i, to = "
     "'192.0.2.2', to_port = 9, data = id .. 'hello' }\n"
     "  local back = { side = 'server', flow = i, to = '192.0.2.1', to_port = i, from = "
     "'192.0.2.2', from_port = 9, data = id .. 'WORLD-WIDE' }\n"
     "  assert(l:said(there)) assert(l:said(there)) assert(l:said(back))\n"
     "  assert(l:pair{ request = id .. 'hello', reply = id .. 'WORLD-WIDE', my = '192.0.2.1' })\n"
     "end\n"
     "assert(l:against{ request = 'a', reply = 'b' })\n"
     "local r = assert(l:learn{ service = 'x', template = { request = '\\1\\2hello', { kind = "
     "'fixed', offset = 2, len = 5 }, control = { offset = 2, mask = 128 } } })\n"
     "assert(r.text:find('$id', 1, true) and r.pairs == 8 and r.unexplained and r.names[1] == "
     "'x')\n"
     "local none, why, lack = core.learner():learn{ service = 'x' }\n"
     "assert(not none and (why == 'out of memory' or lack.needs))\n"
     "l:close() l:close()\n"},
    {"ranges",
     "local core = ...\n"
     "local r = assert(core.ranges())\n"
     "local set = assert(r:ports{ 53, 7 })\n"
     "assert(r:add('10.0.0.0', 8, set)) assert(r:add('::1', nil, set))\n"
     "assert(r:add('10.0.0.5', '10.1.0.9', assert(r:ports{ 1, 2 })))\n"
     "assert(r:exclude('10.0.0.0', '10.0.0.3')) assert(not r:add('::1', '10.0.0.1', set))\n"
     "local items = assert(r:seal())\n"
     "local ip, port = r:item(0) assert(ip == '10.0.0.4' and port == 7)\n"
     "assert(r:find('10.0.0.5', 2) == 3) assert(not r:item(items)) assert(#r:pieces() == 4)\n"
     "r:close() r:close()\n"},
    {"scan",
     "local core = ...\n"
     "local db, r = assert(core.signatures()), assert(core.ranges())\n"
     "assert(db:add('service s\\nsig a\\n send id?4\\n @0:4 = $id\\n', 'a.sig'))\n"
     "assert(r:add('127.0.0.1', nil, assert(r:ports{ PORT }))) assert(r:seal())\n"
     "local config = { signatures = db, targets = r, name = 'a', key = ('k'):rep(16), timeout = "
     "0.01, limits = assert(core.limits{ per_host = 100 }) }\n"
     "local s = assert(core.scan(config))\n"
     "local stop, heard = core.now() + 0.5\n"
     "while not heard and core.now() < stop do heard = s:next() end\n"
     "assert(not heard or heard.kind == 'icmp') assert(s:counts().targets == 1) assert(s:fd())\n"
     "s:stop() s:close() s:close()\n"
     "config.shards, config.shard = 1, 1 assert(not core.scan(config))\n"},
    {"the rest",
     "local core = ...\n"
     "assert(core.resolve('127.0.0.1')[1] == '127.0.0.1')\n"
     "assert(#core.random(300) == 300) assert(core.family('::1') == 6) "
     "assert(core.is_global('8.8.8.8')) assert(core.in_prefix('10.1.2.3', '10.0.0.0', 8))\n"},
};

static const uint8_t capture_bytes[] = {
    0xd4, 0xc3, 0xb2, 0xa1, 2,   0,  4, 0,  0,  0,  0, 0, 0,   0,  0, 0,
    0xff, 0xff, 0,    0,    101, 0,  0, 0,                               /* raw IP */
    1,    0,    0,    0,    0,   0,  0, 0,  30, 0,  0, 0, 30,  0,  0, 0, /* one packet */
    0x45, 0,    0,    30,   0,   1,  0, 0,  64, 17, 0, 0, 192, 0,  2, 1,
    192,  0,    2,    2,    0,   53, 0, 54, 0,  10, 0, 0, 'h', 'i'};

static char capture_path[] = "/tmp/mynah-alloc-XXXXXX";

/* One run with the n-th allocation failing. Returns whether one did fail. */
static int run(const char *name, const char *code, long n)
{
  int fds = count_fds();
  live = failed = 0;
  lua_State *L = lua_newstate(lua_alloc, NULL);
  assert_non_null(L);
  luaL_openlibs(L);
  lua_pushstring(L, capture_path);
  lua_setglobal(L, "FILE");
  lua_pushinteger(L, 9); /* discard: nobody listens on loopback */
  lua_setglobal(L, "PORT");
  assert_int_equal(luaL_loadstring(L, code), LUA_OK);
  lua_pushcfunction(L, luaopen_mynah_core);
  countdown = n;
  int rc = lua_pcall(L, 0, 1, 0);
  if (rc == LUA_OK) rc = lua_pcall(L, 1, 0, 0);
  countdown = -1;
  if (rc != LUA_OK && failed == 0) fail_msg("%s without a failure: %s", name, lua_tostring(L, -1));
  lua_close(L);
  if (live != 0 || count_fds() != fds)
    fail_msg("%s, allocation %ld failing: %ld blocks and %d files stay behind", name, n, (long)live,
             count_fds() - fds);
  return failed > 0;
}

static void test_every_allocation(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
    long n = 0;
    run(scenarios[i][0], scenarios[i][1], -1);
    while (run(scenarios[i][0], scenarios[i][1], n))
      n++;
    print_message("%s: %ld allocations failed once each\n", scenarios[i][0], n);
    assert_true(n > 10);
  }
}

static int make_capture(void **state)
{
  int fd = mkstemp(capture_path);
  (void)state;
  if (fd < 0 || write(fd, capture_bytes, sizeof capture_bytes) != sizeof capture_bytes) return -1;
  return close(fd);
}

static int remove_capture(void **state)
{
  (void)state;
  return unlink(capture_path);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation)};
  return cmocka_run_group_tests(tests, make_capture, remove_capture);
}
