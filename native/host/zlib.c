/* zlib.c - the module `zlib` that NSE scripts know: strings are compressed and taken apart, whole
 * or as a stream that is read piece by piece. */
#include <stdbool.h>
#include <string.h>

#include <lauxlib.h>
#include <zlib.h>

#include "host.h"

#define STREAM_MT "mynah_zlib.stream"

/* What inflates may be of zlib's form or of gzip's. */
enum { EITHER_FORM = 47, CHUNK = 16384 };

static int fail(lua_State *L, int rc, const z_stream *z)
{
  return luaL_error(L, "failed to process data: %s (%d)", z->msg ? z->msg : zError(rc), rc);
}

/* Takes what comes until the stream ends or the input does. Results: the code of zlib. */
static int drain(luaL_Buffer *b, z_stream *z, int (*step)(z_stream *, int), int flush)
{
  int rc;
  do {
    z->next_out = (Bytef *)luaL_prepbuffsize(b, CHUNK);
    z->avail_out = CHUNK;
    rc = step(z, flush);
    luaL_addsize(b, CHUNK - z->avail_out);
  } while (rc == Z_OK && (z->avail_in > 0 || z->avail_out == 0));
  return rc;
}

typedef struct stream {
  z_stream z;
  int (*end)(z_stream *);
  bool over;
} stream;

static stream *new_stream(lua_State *L)
{
  stream *s = lua_newuserdata(L, sizeof *s);
  memset(s, 0, sizeof *s);
  luaL_setmetatable(L, STREAM_MT);
  return s;
}

static int l_close(lua_State *L)
{
  stream *s = luaL_checkudata(L, 1, STREAM_MT);
  if (s->end) s->end(&s->z);
  s->end = NULL;
  return 0;
}

/* compress(text [, level [, method [, window bits [, memory level [, strategy]]]]]) -> bytes */
static int l_compress(lua_State *L)
{
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  int level = (int)luaL_optinteger(L, 2, Z_DEFAULT_COMPRESSION),
      method = (int)luaL_optinteger(L, 3, Z_DEFLATED), bits = (int)luaL_optinteger(L, 4, 15),
      memory = (int)luaL_optinteger(L, 5, 8), strategy = (int)luaL_optinteger(L, 6, 0);
  stream *s = new_stream(L);
  int rc = deflateInit2(&s->z, level, method, bits, memory, strategy);
  if (rc != Z_OK) return fail(L, rc, &s->z);
  s->end = deflateEnd;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  s->z.next_in = (Bytef *)text;
  s->z.avail_in = (uInt)len;
  rc = drain(&b, &s->z, deflate, Z_FINISH);
  if (rc != Z_STREAM_END) return fail(L, rc, &s->z);
  luaL_pushresult(&b);
  return 1;
}

static stream *new_inflating(lua_State *L, int bits)
{
  stream *s = new_stream(L);
  int rc = inflateInit2(&s->z, bits);
  if (rc != Z_OK) fail(L, rc, &s->z);
  s->end = inflateEnd;
  return s;
}

/* decompress(bytes [, window bits]) -> text */
static int l_decompress(lua_State *L)
{
  size_t len;
  const char *bytes = luaL_checklstring(L, 1, &len);
  stream *s = new_inflating(L, (int)luaL_optinteger(L, 2, EITHER_FORM));
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  s->z.next_in = (Bytef *)bytes;
  s->z.avail_in = (uInt)len;
  int rc = drain(&b, &s->z, inflate, Z_SYNC_FLUSH);
  if (rc != Z_STREAM_END && rc != Z_OK && rc != Z_BUF_ERROR) return fail(L, rc, &s->z);
  luaL_pushresult(&b);
  return 1;
}

/* inflate(bytes | function giving bytes, nil at the end [, window bits]) -> stream */
static int l_inflate(lua_State *L)
{
  luaL_argcheck(L, lua_isstring(L, 1) || lua_isfunction(L, 1), 1, "string or function expected");
  new_inflating(L, (int)luaL_optinteger(L, 2, EITHER_FORM));
  lua_createtable(L, 2, 0); /* 1: where input comes from, 2: what was inflated and not read */
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, 1);
  lua_pushliteral(L, "");
  lua_rawseti(L, -2, 2);
  lua_setuservalue(L, -2);
  return 1;
}

/* The next piece of input on the stack, nil at the end. The stream's table is at 'table'. */
static void push_input(lua_State *L, int table)
{
  if (lua_rawgeti(L, table, 1) == LUA_TFUNCTION) {
    lua_call(L, 0, 1);
    return;
  }
  lua_pushnil(L);
  lua_rawseti(L, table, 1); /* a string is input once */
}

/* Inflate one more piece of input and put it to what waits to be read. False at the end. */
static bool inflate_more(lua_State *L, stream *s, int table)
{
  if (s->over) return false;
  size_t len;
  push_input(L, table);
  const char *bytes = lua_tolstring(L, -1, &len);
  if (!bytes) {
    s->over = true;
    lua_pop(L, 1);
    return false;
  }
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  lua_rawgeti(L, table, 2);
  luaL_addvalue(&b);
  s->z.next_in = (Bytef *)bytes;
  s->z.avail_in = (uInt)len;
  int rc = len > 0 ? drain(&b, &s->z, inflate, Z_SYNC_FLUSH) : Z_OK;
  if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) fail(L, rc, &s->z);
  s->over = rc == Z_STREAM_END;
  luaL_pushresult(&b);
  lua_rawseti(L, table, 2);
  lua_pop(L, 1);
  return true;
}

/* stream:read([n | "*a" | "*l"]) -> text | nil at the end; without a word, the next line */
static int l_read(lua_State *L)
{
  stream *s = luaL_checkudata(L, 1, STREAM_MT);
  bool number = lua_isnumber(L, 2);
  size_t wanted = number ? (size_t)luaL_checkinteger(L, 2) : 0, len, take;
  const char *word = number ? "" : luaL_optstring(L, 2, "l");
  bool all = strchr(word, 'a') != NULL, line = !number && !all;
  lua_getuservalue(L, 1);
  int table = lua_gettop(L);
  for (;;) {
    lua_rawgeti(L, table, 2);
    const char *ready = lua_tolstring(L, -1, &len), *end = line ? memchr(ready, '\n', len) : NULL;
    take = end ? (size_t)(end - ready) : number && wanted < len ? wanted : len;
    if (end || (number && len >= wanted) || !inflate_more(L, s, table)) {
      if (len == 0 && !all && !(number && wanted == 0)) return 0;
      lua_pushlstring(L, ready, take);
      lua_pushlstring(L, ready + take + (end != NULL), len - take - (end != NULL));
      lua_rawseti(L, table, 2);
      return 1;
    }
    lua_pop(L, 1);
  }
}

static int l_adler32(lua_State *L)
{
  size_t len = 0;
  uLong sum = (uLong)luaL_optinteger(L, 1, 1);
  const char *bytes = luaL_optlstring(L, 2, "", &len);
  lua_pushinteger(L, (lua_Integer)adler32(sum, (const Bytef *)bytes, (uInt)len));
  return 1;
}

static int l_crc32(lua_State *L)
{
  size_t len = 0;
  uLong sum = (uLong)luaL_optinteger(L, 1, 0);
  const char *bytes = luaL_optlstring(L, 2, "", &len);
  lua_pushinteger(L, (lua_Integer)crc32(sum, (const Bytef *)bytes, (uInt)len));
  return 1;
}

static int l_version(lua_State *L)
{
  lua_pushstring(L, zlibVersion());
  return 1;
}

int luaopen_zlib(lua_State *L)
{
  static const luaL_Reg methods[] = {{"read", l_read}, {"close", l_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"compress", l_compress},
                                       {"decompress", l_decompress},
                                       {"inflate", l_inflate},
                                       {"adler32", l_adler32},
                                       {"crc32", l_crc32},
                                       {"version", l_version},
                                       {NULL, NULL}};
  luaL_newmetatable(L, STREAM_MT);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, l_close);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  return 1;
}
