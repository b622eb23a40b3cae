/* raw.c - packets past the system's own sockets, for NSE scripts of who may: what an interface
 * hears, by libpcap; whole frames and whole IP packets out. Nothing here blocks. */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <lauxlib.h>
#include <pcap/pcap.h>

#include "events.h"
#include "host.h"

#define CAPTURE_MT "mynah_host.capture"
#define SENDER_MT  "mynah_host.sender"

static int push_failure(lua_State *L, const char *text)
{
  lua_pushnil(L);
  lua_pushstring(L, text);
  return 2;
}

/* ---- capturing ---- */

typedef struct capture {
  pcap_t *pcap; /* NULL: closed */
  my_waiter *waiter;
  size_t link_len; /* bytes before the network layer */
} capture;

static int l_capture_close(lua_State *L)
{
  capture *c = luaL_checkudata(L, 1, CAPTURE_MT);
  my_waiter_close(c->waiter);
  c->waiter = NULL;
  if (c->pcap) pcap_close(c->pcap);
  c->pcap = NULL;
  return 0;
}

static capture *check_capture(lua_State *L)
{
  capture *c = luaL_checkudata(L, 1, CAPTURE_MT);
  luaL_argcheck(L, c->pcap, 1, "capture is closed");
  return c;
}

/* What stands before the network layer; -1: not known. */
static int header_len(int link)
{
  switch (link) {
  case DLT_EN10MB:
    return 14;
  case DLT_LINUX_SLL:
    return 16;
  case DLT_NULL:
  case DLT_LOOP:
  case DLT_PPP:
    return 4;
  case DLT_RAW:
    return 0;
  default:
    return -1;
  }
}

/* The filter's text in place, ready to read without waiting. NULL, or why not. */
static const char *set_up(capture *c, int snaplen, bool promiscuous, const char *filter)
{
  static const int NOW_MS = 1;
  char message[PCAP_ERRBUF_SIZE];
  struct bpf_program program;
  pcap_set_snaplen(c->pcap, snaplen);
  pcap_set_promisc(c->pcap, promiscuous);
  pcap_set_immediate_mode(c->pcap, 1);
  pcap_set_timeout(c->pcap, NOW_MS);
  if (pcap_activate(c->pcap) < 0) return pcap_geterr(c->pcap);
  if (pcap_compile(c->pcap, &program, filter, 1, PCAP_NETMASK_UNKNOWN) < 0)
    return pcap_geterr(c->pcap);
  int rc = pcap_setfilter(c->pcap, &program);
  pcap_freecode(&program);
  if (rc < 0 || pcap_setnonblock(c->pcap, 1, message) < 0) return pcap_geterr(c->pcap);
  int len = header_len(pcap_datalink(c->pcap));
  if (len < 0) return "its kind of link is not known";
  c->link_len = (size_t)len;
  return NULL;
}

/* events:capture(device, snaplen, promiscuous, filter) -> capture | nil, message */
static int l_capture(lua_State *L)
{
  my_events *e = my_check_events(L, 1);
  const char *device = luaL_checkstring(L, 2), *filter = luaL_checkstring(L, 5);
  int snaplen = (int)luaL_checkinteger(L, 3);
  char message[PCAP_ERRBUF_SIZE] = "";
  capture *c = lua_newuserdata(L, sizeof *c);
  *c = (capture){0};
  luaL_setmetatable(L, CAPTURE_MT);
  lua_pushvalue(L, 1);
  lua_setuservalue(L, -2); /* the loop outlives what waits on it */
  c->pcap = pcap_create(device, message);
  const char *why = c->pcap ? set_up(c, snaplen, lua_toboolean(L, 4), filter) : message;
  if (!why) {
    c->waiter = my_waiter_new(e, pcap_get_selectable_fd(c->pcap));
    why = c->waiter ? NULL : strerror(errno);
  }
  if (!why) return 1;
  push_failure(L, why);
  if (c->pcap) pcap_close(c->pcap); /* not only once it is collected */
  c->pcap = NULL;
  return 2;
}

/* capture:receive() -> length, link layer, the rest, seconds since 1970 | nil, "again" or message
 */
static int l_receive(lua_State *L)
{
  capture *c = check_capture(L);
  struct pcap_pkthdr *header;
  const u_char *bytes;
  int rc = pcap_next_ex(c->pcap, &header, &bytes);
  if (rc == 0) return push_failure(L, "again");
  if (rc < 0) return push_failure(L, pcap_geterr(c->pcap));
  size_t link_len = c->link_len < header->caplen ? c->link_len : header->caplen;
  lua_pushinteger(L, header->len);
  lua_pushlstring(L, (const char *)bytes, link_len);
  lua_pushlstring(L, (const char *)bytes + link_len, header->caplen - link_len);
  lua_pushnumber(L, (lua_Number)header->ts.tv_sec + (lua_Number)header->ts.tv_usec / 1e6);
  return 4;
}

/* capture:watch("r", seconds | nil, token), as a socket's: the token comes once there may be a
 * packet, or the time is up */
static int l_watch(lua_State *L)
{
  capture *c = check_capture(L);
  int rc =
      my_waiter_start(c->waiter, UV_READABLE, luaL_optnumber(L, 3, -1), luaL_checkinteger(L, 4));
  return rc < 0 ? luaL_error(L, "cannot wait: %s", uv_strerror(rc)) : 0;
}

/* ---- sending ---- */

typedef struct sender {
  int fd; /* -1: closed */
  int family;
} sender;

static int l_sender_close(lua_State *L)
{
  sender *s = luaL_checkudata(L, 1, SENDER_MT);
  if (s->fd >= 0) close(s->fd);
  s->fd = -1;
  return 0;
}

static sender *new_sender(lua_State *L, int family, int protocol)
{
  sender *s = lua_newuserdata(L, sizeof *s);
  *s = (sender){-1, family};
  luaL_setmetatable(L, SENDER_MT);
  s->fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  return s->fd >= 0 ? s : NULL;
}

/* frames(device) -> sender of whole frames | nil, message */
static int l_frames(lua_State *L)
{
  const char *device = luaL_checkstring(L, 1);
  struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                .sll_ifindex = (int)if_nametoindex(device)};
  if (address.sll_ifindex == 0) return push_failure(L, strerror(errno));
  sender *s = new_sender(L, AF_PACKET, 0); /* it hears nothing */
  if (!s || bind(s->fd, (struct sockaddr *)&address, sizeof address) < 0)
    return push_failure(L, strerror(errno));
  return 1;
}

/* packets(4 | 6) -> sender of whole IP packets | nil, message */
static int l_packets(lua_State *L)
{
  int family = luaL_checkinteger(L, 1) == 6 ? AF_INET6 : AF_INET, on = 1;
  sender *s = new_sender(L, family, IPPROTO_RAW);
  if (!s) return push_failure(L, strerror(errno));
  setsockopt(s->fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
  return 1;
}

/* sender:send(bytes [, ip]) -> true | nil, message; of packets with the address that they go to */
static int l_send(lua_State *L)
{
  sender *s = luaL_checkudata(L, 1, SENDER_MT);
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len), *ip = luaL_optstring(L, 3, "");
  struct sockaddr_storage to = {0};
  socklen_t to_len = 0;
  luaL_argcheck(L, s->fd >= 0, 1, "sender is closed");
  if (s->family == AF_INET) to_len = sizeof(struct sockaddr_in);
  if (s->family == AF_INET6) to_len = sizeof(struct sockaddr_in6);
  if ((s->family == AF_INET && uv_ip4_addr(ip, 0, (struct sockaddr_in *)&to) != 0) ||
      (s->family == AF_INET6 && uv_ip6_addr(ip, 0, (struct sockaddr_in6 *)&to) != 0))
    return luaL_argerror(L, 3, "not an IP address of the sender's family");
  if (sendto(s->fd, bytes, len, MSG_NOSIGNAL, to_len ? (struct sockaddr *)&to : NULL, to_len) < 0)
    return push_failure(L, strerror(errno));
  lua_pushboolean(L, 1);
  return 1;
}

static void add_class(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc)
{
  luaL_newmetatable(L, name);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

void my_add_captures(lua_State *L)
{
  static const luaL_Reg methods[] = {
      {"receive", l_receive}, {"watch", l_watch}, {"close", l_capture_close}, {NULL, NULL}};
  add_class(L, CAPTURE_MT, methods, l_capture_close);
  lua_pushcfunction(L, l_capture);
  lua_setfield(L, -2, "capture");
}

void my_add_senders(lua_State *L)
{
  static const luaL_Reg methods[] = {{"send", l_send}, {"close", l_sender_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"frames", l_frames}, {"packets", l_packets}, {NULL, NULL}};
  add_class(L, SENDER_MT, methods, l_sender_close);
  luaL_setfuncs(L, functions, 0);
}
