/* sockets.c - plain sockets for Lua, which never block: who would have to waits by watch(). */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <lauxlib.h>

#include "events.h"

#define SOCKET_MT "mynah_host.socket"

enum { RECEIVE_MAX = 65536 };

typedef struct sock {
  int fd; /* -1: closed */
  int family;
  my_waiter *waiter;
  struct sockaddr_storage from; /* who sent what was received last; of no family before */
} sock;

static sock *check_socket(lua_State *L)
{
  sock *s = luaL_checkudata(L, 1, SOCKET_MT);
  luaL_argcheck(L, s->fd >= 0, 1, "socket is closed");
  return s;
}

/* nil and "again", or what errno says. */
static int push_failure(lua_State *L, int code)
{
  bool again = code == EAGAIN || code == EWOULDBLOCK || code == EINPROGRESS || code == EINTR;
  lua_pushnil(L);
  lua_pushstring(L, again ? "again" : strerror(code));
  return 2;
}

static int push_success(lua_State *L, int rc)
{
  if (rc < 0) return push_failure(L, errno);
  lua_pushboolean(L, 1);
  return 1;
}

/* The address at 'arg' and the port after it. nil as address: any. Raises where it is none. */
static socklen_t check_address(lua_State *L, int arg, int family, struct sockaddr_storage *out)
{
  const char *any = family == AF_INET6 ? "::" : "0.0.0.0";
  const char *ip = luaL_optstring(L, arg, any);
  int port = (int)luaL_optinteger(L, arg + 1, 0);
  memset(out, 0, sizeof *out);
  if (family == AF_INET && uv_ip4_addr(ip, port, (struct sockaddr_in *)out) == 0)
    return sizeof(struct sockaddr_in);
  if (family == AF_INET6 && uv_ip6_addr(ip, port, (struct sockaddr_in6 *)out) == 0)
    return sizeof(struct sockaddr_in6);
  luaL_argerror(L, arg, lua_pushfstring(L, "not an IP address of the socket's family: %s", ip));
  return 0;
}

static int l_close(lua_State *L)
{
  sock *s = luaL_checkudata(L, 1, SOCKET_MT);
  my_waiter_close(s->waiter);
  s->waiter = NULL;
  if (s->fd >= 0) close(s->fd);
  s->fd = -1;
  return 0;
}

/* events:socket("tcp" | "udp", 4 | 6) -> socket | nil, message */
static int l_socket(lua_State *L)
{
  static const char *const kinds[] = {"tcp", "udp", NULL};
  my_events *e = my_check_events(L, 1);
  int type = luaL_checkoption(L, 2, NULL, kinds) == 0 ? SOCK_STREAM : SOCK_DGRAM;
  int family = luaL_checkinteger(L, 3) == 6 ? AF_INET6 : AF_INET;
  sock *s = lua_newuserdata(L, sizeof *s);
  *s = (sock){.fd = -1, .family = family};
  luaL_setmetatable(L, SOCKET_MT);
  lua_pushvalue(L, 1);
  lua_setuservalue(L, -2); /* the loop outlives what waits on it */
  s->fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (s->fd < 0) return push_failure(L, errno);
  int on = 1;
  if (type == SOCK_DGRAM) setsockopt(s->fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
  s->waiter = my_waiter_new(e, s->fd);
  return s->waiter ? 1 : push_failure(L, errno);
}

/* socket:bind(ip | nil, port | nil) -> true | nil, message */
static int l_bind(lua_State *L)
{
  sock *s = check_socket(L);
  struct sockaddr_storage address;
  socklen_t len = check_address(L, 2, s->family, &address);
  int on = 1;
  setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return push_success(L, bind(s->fd, (struct sockaddr *)&address, len));
}

/* socket:connect(ip, port) -> true | nil, "again" (watch for writing, then ask outcome()) or
 * message */
static int l_connect(lua_State *L)
{
  sock *s = check_socket(L);
  struct sockaddr_storage address;
  socklen_t len = check_address(L, 2, s->family, &address);
  return push_success(L, connect(s->fd, (struct sockaddr *)&address, len));
}

/* socket:outcome() -> true where the connection stands | nil, message */
static int l_outcome(lua_State *L)
{
  sock *s = check_socket(L);
  int code = 0;
  socklen_t len = sizeof code;
  if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0) code = errno;
  if (code != 0) return push_failure(L, code);
  lua_pushboolean(L, 1);
  return 1;
}

static int push_sent(lua_State *L, ssize_t n)
{
  if (n < 0) return push_failure(L, errno);
  lua_pushinteger(L, n);
  return 1;
}

/* socket:send(bytes [, from=1]) -> number of bytes | nil, "again" or message */
static int l_send(lua_State *L)
{
  sock *s = check_socket(L);
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  lua_Integer from = luaL_optinteger(L, 3, 1);
  luaL_argcheck(L, from >= 1 && (size_t)from <= len + 1, 3, "beyond the bytes");
  return push_sent(L, send(s->fd, bytes + from - 1, len - (size_t)from + 1, MSG_NOSIGNAL));
}

/* socket:sendto(bytes, ip, port) -> number of bytes | nil, "again" or message */
static int l_sendto(lua_State *L)
{
  sock *s = check_socket(L);
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  struct sockaddr_storage address;
  socklen_t address_len = check_address(L, 3, s->family, &address);
  return push_sent(
      L, sendto(s->fd, bytes, len, MSG_NOSIGNAL, (struct sockaddr *)&address, address_len));
}

/* socket:receive(most) -> bytes ("": the peer closed, or an empty datagram) | nil, "again" or
 * message */
static int l_receive(lua_State *L)
{
  sock *s = check_socket(L);
  char bytes[RECEIVE_MAX];
  lua_Integer most = luaL_checkinteger(L, 2);
  luaL_argcheck(L, most >= 1 && most <= RECEIVE_MAX, 2, "1 to 65536 bytes");
  socklen_t len = sizeof s->from;
  ssize_t n = recvfrom(s->fd, bytes, (size_t)most, 0, (struct sockaddr *)&s->from, &len);
  if (n < 0) return push_failure(L, errno);
  lua_pushlstring(L, bytes, (size_t)n);
  return 1;
}

static void push_name(lua_State *L, const struct sockaddr_storage *address)
{
  char ip[INET6_ADDRSTRLEN] = "";
  uv_ip_name((const struct sockaddr *)address, ip, sizeof ip);
  lua_pushstring(L, ip);
  lua_pushinteger(L, ntohs(address->ss_family == AF_INET6
                               ? ((const struct sockaddr_in6 *)address)->sin6_port
                               : ((const struct sockaddr_in *)address)->sin_port));
}

/* socket:names() -> our ip, our port [, the peer's ip, the peer's port] | nil, message. The peer of
 * a socket that is not connected is who sent what was received last. */
static int l_names(lua_State *L)
{
  sock *s = check_socket(L);
  struct sockaddr_storage address = {0};
  socklen_t len = sizeof address;
  if (getsockname(s->fd, (struct sockaddr *)&address, &len) < 0) return push_failure(L, errno);
  push_name(L, &address);
  len = sizeof address;
  if (getpeername(s->fd, (struct sockaddr *)&address, &len) < 0) address = s->from;
  if (address.ss_family == AF_UNSPEC) return 2;
  push_name(L, &address);
  return 4;
}

/* socket:watch("r" | "w", seconds | nil, token): the token comes once the socket is ready, or the
 * time is up */
static int l_watch(lua_State *L)
{
  static const char *const modes[] = {"r", "w", NULL};
  sock *s = check_socket(L);
  int events = luaL_checkoption(L, 2, NULL, modes) == 0 ? UV_READABLE : UV_WRITABLE;
  double seconds = luaL_optnumber(L, 3, -1);
  int rc = my_waiter_start(s->waiter, events, seconds, luaL_checkinteger(L, 4));
  return rc < 0 ? luaL_error(L, "cannot wait: %s", uv_strerror(rc)) : 0;
}

static int l_unwatch(lua_State *L)
{
  my_waiter_stop(check_socket(L)->waiter);
  return 0;
}

void my_add_sockets(lua_State *L)
{
  static const luaL_Reg methods[] = {{"bind", l_bind},
                                     {"connect", l_connect},
                                     {"outcome", l_outcome},
                                     {"send", l_send},
                                     {"sendto", l_sendto},
                                     {"receive", l_receive},
                                     {"names", l_names},
                                     {"watch", l_watch},
                                     {"unwatch", l_unwatch},
                                     {"close", l_close},
                                     {NULL, NULL}};
  luaL_newmetatable(L, SOCKET_MT);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, l_close);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  lua_pushcfunction(L, l_socket);
  lua_setfield(L, -2, "socket");
}
