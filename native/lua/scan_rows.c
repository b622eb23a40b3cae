/* scan_rows.c - answers of a scan that only verifies, as lines of JSON: they come by the hundred
 * thousand a second. */
#include "scan_ref.h"

#include <string.h>
#include <time.h>

#include "json_text.h"

const char *scan_state_of(const my_answer *a)
{
  if (a->kind == MY_ANSWER_VERIFIED) return "open";
  bool udp = a->sig != NULL; /* who refuses a SYN by ICMP filters it */
  bool closed = a->reason == MY_REASON_CONN_REFUSED || (udp && a->reason == MY_REASON_PORT_UNREACH);
  return closed ? "closed" : "filtered";
}

const char *scan_time_of(const my_answer *a, char text[SCAN_TIME_TEXT])
{
  static _Thread_local time_t known = -1; /* most come within the second of the one before */
  static _Thread_local char prefix[SCAN_TIME_TEXT];
  static _Thread_local size_t len;
  int64_t ms = (a->received_ns + 500000) / 1000000;
  time_t seconds = (time_t)(ms / 1000);
  struct tm t;
  if (seconds != known) {
    gmtime_r(&seconds, &t);
    len = strftime(prefix, sizeof prefix - 6, "%Y-%m-%dT%H:%M:%S", &t);
    known = seconds;
  }
  memcpy(text, prefix, len);
  const int part = (int)(ms % 1000);
  const char end[] = {
      '.', (char)('0' + part / 100), (char)('0' + part / 10 % 10), (char)('0' + part % 10), 'Z', 0};
  memcpy(text + len, end, sizeof end);
  return text;
}

int64_t scan_rtt_of(const my_answer *a)
{
  return a->rtt_ns < 0 ? -1 : (a->rtt_ns + 500) / 1000;
}

/* ---- what of a row differs from answer to answer ---- */

static void add_text(my_json *t, const char *text)
{
  size_t len = strlen(text);
  char *to = my_json_room(t, len + 2);
  to[0] = to[len + 1] = '"';
  memcpy(to + 1, text, len);
  t->len += len + 2;
}

static void add_ip(my_json *t, const my_answer *a)
{
  char text[MY_ENDPOINT_TEXT];
  add_text(t, my_endpoint_address(&a->peer, text));
}

static void add_port(my_json *t, const my_answer *a)
{
  my_json_add_integer(t, a->peer.port);
}

static void add_state(my_json *t, const my_answer *a)
{
  add_text(t, scan_state_of(a));
}

static void add_reason(my_json *t, const my_answer *a)
{
  add_text(t, my_reason_text(a->reason));
}

static void add_null(my_json *t)
{
  my_json_add(t, "null", 4);
}

/* Milliseconds with three decimals at most, one at least. */
static void add_rtt(my_json *t, const my_answer *a)
{
  int64_t us = scan_rtt_of(a);
  if (us < 0) {
    add_null(t);
    return;
  }
  my_json_add_integer(t, us / 1000);
  char *to = my_json_room(t, 4);
  int n = 4;
  to[0] = '.';
  to[1] = (char)('0' + us / 100 % 10);
  to[2] = (char)('0' + us / 10 % 10);
  to[3] = (char)('0' + us % 10);
  while (n > 2 && to[n - 1] == '0')
    n--;
  t->len += (size_t)n;
}

static void add_received(my_json *t, const my_answer *a)
{
  my_json_add_integer(t, (lua_Integer)a->data.len);
}

static void add_reply_port(my_json *t, const my_answer *a)
{
  a->from.port ? my_json_add_integer(t, a->from.port) : add_null(t);
}

static void add_reply(my_json *t, const my_answer *a)
{
  if (a->data.len == 0) {
    add_null(t);
    return;
  }
  char *to = my_json_room(t, 2 * a->data.len + 2);
  to[0] = to[2 * a->data.len + 1] = '"';
  hex_digits(a->data, to + 1);
  t->len += 2 * a->data.len + 2;
}

/* The signature that it answers. */
static void add_probe(my_json *t, const my_answer *a)
{
  my_sig_info info;
  if (a->kind != MY_ANSWER_VERIFIED || !a->sig) {
    add_null(t);
    return;
  }
  my_sig_get_info(a->sig, &info);
  add_text(t, info.name);
}

static void add_time(my_json *t, const my_answer *a)
{
  char text[SCAN_TIME_TEXT];
  add_text(t, scan_time_of(a, text));
}

typedef void add_fn(my_json *t, const my_answer *a);

static const struct {
  const char *key;
  add_fn *add;
} PARTS[] = {
    {"ip", add_ip},
    {"port", add_port},
    {"state", add_state},
    {"reason", add_reason},
    {"probe", add_probe},
    {"rtt_ms", add_rtt},
    {"received", add_received},
    {"reply_port", add_reply_port},
    {"reply_hex", add_reply},
    {"timestamp", add_time},
};

static add_fn *part_named(const char *key)
{
  for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++)
    if (strcmp(PARTS[i].key, key) == 0) return PARTS[i].add;
  return NULL;
}

/* ---- rows ---- */

/* The text of a row between its parts; what is the same in all is in it. */
typedef struct pattern {
  my_json text;
  size_t count;
  struct {
    size_t end; /* of the text before it */
    add_fn *add;
  } parts[sizeof PARTS / sizeof *PARTS];
} pattern;

/* 'order' names the keys, 'rest' has the values of those that no answer gives. */
static void make_pattern(pattern *p, lua_State *L, int order, int rest, int odd)
{
  const size_t most = sizeof p->parts / sizeof *p->parts;
  p->count = 0;
  my_json_begin(&p->text, L, odd);
  for (lua_Integer i = 1; lua_rawgeti(L, order, i) == LUA_TSTRING; i++) {
    add_fn *part = part_named(lua_tostring(L, -1));
    my_json_add(&p->text, i > 1 ? "," : "{", 1);
    my_json_add_value(&p->text, -1);
    my_json_add(&p->text, ":", 1);
    if (part && p->count < most) {
      p->parts[p->count].end = p->text.len;
      p->parts[p->count++].add = part;
    } else {
      lua_pushvalue(L, -1);
      lua_gettable(L, rest);
      my_json_add_value(&p->text, -1);
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  my_json_add(&p->text, "}\n", 2);
}

static void add_row(my_json *t, const pattern *p, const my_answer *a)
{
  size_t at = 0;
  for (size_t i = 0; i < p->count; at = p->parts[i++].end) {
    my_json_add(t, p->text.bytes + at, p->parts[i].end - at);
    p->parts[i].add(t, a);
  }
  my_json_add(t, p->text.bytes + at, p->text.len - at);
}

/* scan:rows(order, alike, odd) -> text, of the answers that wait now, a line each: the keys that
 * 'order' names; those of which an answer says nothing are of the table 'alike'. 'odd' as of
 * json_object. The empty string: there are none. */
int my_lua_scan_rows(lua_State *L)
{
  enum { ORDER = 2, ALIKE, ODD, MOST = 1 << 20 };
  my_scan *s = check_scan(L);
  pattern row;
  my_json out;
  my_answer a;
  luaL_checktype(L, ORDER, LUA_TTABLE);
  luaL_checktype(L, ALIKE, LUA_TTABLE);
  lua_settop(L, ODD);
  make_pattern(&row, L, ORDER, ALIKE, ODD);
  my_json_begin(&out, L, ODD);
  while (out.len < MOST && my_scan_next(s, &a) == MY_OK)
    if (a.kind != MY_ANSWER_OTHER) add_row(&out, &row, &a);
  return my_json_push(&out);
}
