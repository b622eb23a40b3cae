/* scan_ref.h - scans as arguments, and an answer as results show it. */
#ifndef MYNAH_LUA_SCAN_REF_H
#define MYNAH_LUA_SCAN_REF_H

#include "lua_util.h"

#include "mynah/scan.h"

#define SCAN_CLASS "mynah.scan"

typedef struct scan_owner {
  my_scan *scan;
} scan_owner;

static inline my_scan *check_scan(lua_State *L)
{
  scan_owner *o = luaL_checkudata(L, 1, SCAN_CLASS);
  luaL_argcheck(L, o->scan != NULL, 1, "the scan is closed");
  return o->scan;
}

/* The state of the port that an answer shows. */
const char *scan_state_of(const my_answer *a);

/* When it came, as 2026-11-27T09:30:00.123Z. */
enum { SCAN_TIME_TEXT = 32 };
const char *scan_time_of(const my_answer *a, char text[SCAN_TIME_TEXT]);

/* Microseconds; -1: unknown. */
int64_t scan_rtt_of(const my_answer *a);

/* scan:rows(…), see scan_rows.c */
int my_lua_scan_rows(lua_State *L);

#endif
