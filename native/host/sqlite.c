/* sqlite.c - stored results for Lua, on SQLite. */
#include "host.h"

#include <sqlite3.h>

#include "lua_util.h"

static const char db_class[] = "mynah.sqlite", statement_class[] = "mynah.sqlite.statement";

typedef struct database {
  sqlite3 *handle;
} database;

typedef struct statement {
  sqlite3_stmt *handle;
} statement;

static sqlite3 *check_db(lua_State *L)
{
  database *d = luaL_checkudata(L, 1, db_class);
  luaL_argcheck(L, d->handle != NULL, 1, "the database is closed");
  return d->handle;
}

static int fail(lua_State *L, sqlite3 *db)
{
  lua_pushnil(L);
  lua_pushstring(L, db != NULL ? sqlite3_errmsg(db) : "out of memory");
  return 2;
}

/* sqlite(path [, "read"]) -> database | nil, message; without "read" the file is made where it is
 * not there */
static int l_open(lua_State *L)
{
  const char *path = luaL_checkstring(L, 1);
  int flags =
      lua_isnoneornil(L, 2) ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
  database *d = new_owner(L, sizeof *d, db_class);
  if (sqlite3_open_v2(path, &d->handle, flags, NULL) != SQLITE_OK) return fail(L, d->handle);
  sqlite3_busy_timeout(d->handle, 5000);
  return 1;
}

static int l_close(lua_State *L)
{
  database *d = luaL_checkudata(L, 1, db_class);
  sqlite3_close_v2(d->handle); /* waits for its statements; NULL is allowed */
  d->handle = NULL;
  return 0;
}

/* db:exec(sql) -> true | nil, message: one statement or several, results left out */
static int l_exec(lua_State *L)
{
  sqlite3 *db = check_db(L);
  if (sqlite3_exec(db, luaL_checkstring(L, 2), NULL, NULL, NULL) != SQLITE_OK) return fail(L, db);
  lua_pushboolean(L, 1);
  return 1;
}

/* db:prepare(sql) -> statement | nil, message */
static int l_prepare(lua_State *L)
{
  sqlite3 *db = check_db(L);
  const char *sql = luaL_checkstring(L, 2);
  statement *s = new_owner(L, sizeof *s, statement_class);
  if (sqlite3_prepare_v2(db, sql, -1, &s->handle, NULL) != SQLITE_OK) return fail(L, db);
  return 1;
}

static int l_finalize(lua_State *L)
{
  statement *s = luaL_checkudata(L, 1, statement_class);
  sqlite3_finalize(s->handle);
  s->handle = NULL;
  return 0;
}

static void bind(lua_State *L, sqlite3_stmt *s, int place, int arg)
{
  size_t len;
  const char *text;
  switch (lua_type(L, arg)) {
  case LUA_TNUMBER:
    if (lua_isinteger(L, arg))
      sqlite3_bind_int64(s, place, lua_tointeger(L, arg));
    else
      sqlite3_bind_double(s, place, lua_tonumber(L, arg));
    break;
  case LUA_TBOOLEAN:
    sqlite3_bind_int(s, place, lua_toboolean(L, arg));
    break;
  case LUA_TSTRING:
    text = lua_tolstring(L, arg, &len);
    sqlite3_bind_text64(s, place, text, len, SQLITE_TRANSIENT, SQLITE_UTF8);
    break;
  default:
    sqlite3_bind_null(s, place);
  }
}

static void push_column(lua_State *L, sqlite3_stmt *s, int i)
{
  switch (sqlite3_column_type(s, i)) {
  case SQLITE_INTEGER:
    lua_pushinteger(L, sqlite3_column_int64(s, i));
    break;
  case SQLITE_FLOAT:
    lua_pushnumber(L, sqlite3_column_double(s, i));
    break;
  case SQLITE_NULL:
    lua_pushnil(L);
    break;
  default:
    lua_pushlstring(L, (const char *)sqlite3_column_blob(s, i), (size_t)sqlite3_column_bytes(s, i));
  }
}

/* statement:run(values in their order…) -> array of rows, each a table by name of column | nil,
 * message */
static int l_run(lua_State *L)
{
  statement *own = luaL_checkudata(L, 1, statement_class);
  luaL_argcheck(L, own->handle != NULL, 1, "the statement is closed");
  sqlite3_stmt *s = own->handle;
  int places = sqlite3_bind_parameter_count(s), rc;
  sqlite3_reset(s);
  for (int i = 1; i <= places; i++)
    bind(L, s, i, i + 1 <= lua_gettop(L) ? i + 1 : lua_gettop(L) + 1);
  lua_newtable(L);
  for (lua_Integer row = 1; (rc = sqlite3_step(s)) == SQLITE_ROW; row++) {
    lua_createtable(L, 0, sqlite3_column_count(s));
    for (int i = 0; i < sqlite3_column_count(s); i++) {
      push_column(L, s, i);
      lua_setfield(L, -2, sqlite3_column_name(s, i));
    }
    lua_rawseti(L, -2, row);
  }
  sqlite3_reset(s);
  return rc == SQLITE_DONE ? 1 : fail(L, sqlite3_db_handle(s));
}

void my_add_sqlite(lua_State *L)
{
  static const luaL_Reg db_methods[] = {{"exec", l_exec}, {"prepare", l_prepare}, {NULL, NULL}};
  static const luaL_Reg statement_methods[] = {{"run", l_run}, {NULL, NULL}};
  new_class(L, db_class, db_methods, l_close);
  new_class(L, statement_class, statement_methods, l_finalize);
  lua_pushcfunction(L, l_open);
  lua_setfield(L, -2, "sqlite");
}
