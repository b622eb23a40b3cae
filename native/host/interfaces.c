/* interfaces.c - the network interfaces of this machine, as NSE scripts see them. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <lauxlib.h>

#include "host.h"

static void set(lua_State *L, const char *field, const char *value)
{
  lua_pushstring(L, value);
  lua_setfield(L, -2, field);
}

static int count_bits(const uint8_t *mask, size_t len)
{
  int n = 0;
  for (size_t i = 0; i < len; i++)
    n += __builtin_popcount(mask[i]);
  return n;
}

/* Address, prefix length and broadcast address; false where it is no IP address. */
static int set_address(lua_State *L, const struct ifaddrs *i)
{
  char text[INET6_ADDRSTRLEN];
  int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC, six = family == AF_INET6;
  if (!six && family != AF_INET) return 0;
  size_t at =
      six ? offsetof(struct sockaddr_in6, sin6_addr) : offsetof(struct sockaddr_in, sin_addr);
  set(L, "address", inet_ntop(family, (const char *)i->ifa_addr + at, text, sizeof text));
  if (i->ifa_netmask) {
    lua_pushinteger(L, count_bits((const uint8_t *)i->ifa_netmask + at, six ? 16 : 4));
    lua_setfield(L, -2, "netmask");
  }
  if (!six && (i->ifa_flags & IFF_BROADCAST) && i->ifa_broadaddr)
    set(L, "broadcast", inet_ntop(family, (const char *)i->ifa_broadaddr + at, text, sizeof text));
  return 1;
}

static void set_mtu(lua_State *L, const char *name)
{
  struct ifreq r = {0};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
  if (fd >= 0 && ioctl(fd, SIOCGIFMTU, &r) == 0) {
    lua_pushinteger(L, r.ifr_mtu);
    lua_setfield(L, -2, "mtu");
  }
  if (fd >= 0) close(fd);
}

/* The hardware address of an interface stands in an entry of its own. */
static void set_mac(lua_State *L, const struct ifaddrs *list, const char *name)
{
  for (; list; list = list->ifa_next) {
    if (!list->ifa_addr || list->ifa_addr->sa_family != AF_PACKET || strcmp(list->ifa_name, name))
      continue;
    const struct sockaddr_ll *link = (const struct sockaddr_ll *)list->ifa_addr;
    if (link->sll_halen != 6) return;
    lua_pushlstring(L, (const char *)link->sll_addr, 6);
    lua_setfield(L, -2, "mac");
    return;
  }
}

static void set_device(lua_State *L, const struct ifaddrs *list, const struct ifaddrs *i)
{
  char name[IFNAMSIZ] = "";
  snprintf(name, sizeof name, "%s", i->ifa_name);
  set(L, "device", name);
  name[strcspn(name, ":")] = '\0';
  set(L, "shortname", name);
  set(L, "up", i->ifa_flags & IFF_UP ? "up" : "down");
  set(L, "link",
      i->ifa_flags & IFF_LOOPBACK      ? "loopback"
      : i->ifa_flags & IFF_POINTOPOINT ? "p2p"
                                       : "ethernet");
  set_mtu(L, name);
  if (!(i->ifa_flags & IFF_LOOPBACK)) set_mac(L, list, name);
}

/* interfaces() -> { { device=, shortname=, address=, netmask=bits, broadcast=, link=, mtu=, up=,
 * mac= }, … }, one for each address */
static int l_interfaces(lua_State *L)
{
  struct ifaddrs *list;
  lua_newtable(L);
  if (getifaddrs(&list) != 0) return 1;
  lua_Integer n = 0;
  for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
    lua_createtable(L, 0, 8);
    if (set_address(L, i)) {
      set_device(L, list, i);
      lua_rawseti(L, -2, ++n);
    } else {
      lua_pop(L, 1);
    }
  }
  freeifaddrs(list);
  return 1;
}

void my_add_interfaces(lua_State *L)
{
  lua_pushcfunction(L, l_interfaces);
  lua_setfield(L, -2, "interfaces");
}
