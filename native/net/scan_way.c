/* scan_way.c - which interface, source address and next hop lead to a target: asked of the kernel,
 * the hardware address of the next hop too. */
#include "netlink.h"
#include "scan.h"

#include <errno.h>
#include <linux/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LOOPBACK_INDEX = 1 }; /* in each network namespace */

/* ---- interfaces ---- */

/* Frames are for Ethernet, and for links without a header that have one other end. */
static int read_interface(scan_way *way, my_where *where)
{
  struct ifreq request = {0};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return MY_ESYS;
  memcpy(request.ifr_name, way->interface, sizeof way->interface);
  int rc = ioctl(fd, SIOCGIFFLAGS, &request), flags = rc == 0 ? request.ifr_flags : 0;
  if (rc == 0) rc = ioctl(fd, SIOCGIFHWADDR, &request);
  int error = errno;
  close(fd);
  if (rc != 0 || !(flags & IFF_UP)) {
    snprintf(where->text, sizeof where->text, "interface %s: %s", way->interface,
             rc ? strerror(error) : "it is down; bring it up, or choose another with -e");
    return MY_ENOENT;
  }
  way->loopback = way->loopback || (flags & IFF_LOOPBACK);
  way->ethernet = request.ifr_hwaddr.sa_family == ARPHRD_ETHER;
  way->link.ethernet = way->ethernet;
  memcpy(way->link.ours, request.ifr_hwaddr.sa_data, 6);
  if (way->loopback || (way->ethernet ? flags & IFF_NOARP : !(flags & IFF_POINTOPOINT)))
    way->routed = true;
  return MY_OK;
}

/* ---- routes ---- */

static int ask_route(int netlink, const my_endpoint *peer, int index, const my_endpoint *source,
                     netlink_message *answer)
{
  netlink_message request;
  size_t width = netlink_width(peer->family);
  struct rtmsg head = {.rtm_family = netlink_family(peer->family),
                       .rtm_dst_len = (uint8_t)(8 * width)};
  if (source->family) head.rtm_src_len = head.rtm_dst_len;
  netlink_begin(&request, RTM_GETROUTE, 0, &head, sizeof head);
  netlink_add(&request, RTA_DST, peer->bytes, width);
  if (index) netlink_add(&request, RTA_OIF, &index, sizeof index);
  if (source->family) netlink_add(&request, RTA_SRC, source->bytes, width);
  return netlink_ask(netlink, &request, answer);
}

/* What the answer says of the way; false: nothing. */
static bool read_route(scan_way *way, const netlink_message *answer, uint8_t family)
{
  struct rtmsg head;
  size_t len;
  memcpy(&head, answer->body, sizeof head);
  const uint8_t *oif = netlink_find(answer, sizeof head, RTA_OIF, &len);
  if (!oif || len != sizeof way->index) return false;
  memcpy(&way->index, oif, sizeof way->index);
  way->loopback = head.rtm_type == RTN_LOCAL;
  if (way->loopback) way->index = LOOPBACK_INDEX;
  way->routed = head.rtm_type != RTN_UNICAST ||
                netlink_find(answer, sizeof head, RTA_VIA, &len) != NULL ||
                netlink_find(answer, sizeof head, RTA_ENCAP, &len) != NULL;
  netlink_address(answer, sizeof head, RTA_GATEWAY, family, &way->gateway);
  netlink_address(answer, sizeof head, RTA_PREFSRC, family, &way->source);
  return true;
}

static int find_source(scan_way *way, const my_endpoint *peer, const my_endpoint *source,
                       my_where *where)
{
  char text[MY_ENDPOINT_TEXT];
  my_endpoint there = *peer;
  if (my_endpoint_is_link_local(peer)) there.scope = (uint32_t)way->index;
  if (source->family) way->source = *source;
  if (way->source.family == 0) my_route_local(&there, &way->source);
  way->source.port = 0;
  way->source.scope = 0;
  if (way->source.family == peer->family) return MY_OK;
  snprintf(where->text, sizeof where->text, "no address of ours to ask %s from; give one with -S",
           my_endpoint_address(peer, text));
  return MY_ENOENT;
}

int scan_way_find(scan_way *out, int netlink, const my_endpoint *peer, const char *interface,
                  const my_endpoint *source, my_where *where)
{
  netlink_message answer;
  char text[MY_ENDPOINT_TEXT];
  *out = (scan_way){0};
  int index = interface ? (int)if_nametoindex(interface) : 0;
  if (interface && index == 0) {
    snprintf(where->text, sizeof where->text, "there is no interface \"%.20s\"", interface);
    return MY_ENOENT;
  }
  if (!interface && my_endpoint_is_link_local(peer)) {
    snprintf(where->text, sizeof where->text, "%s is an address of one link: say which with -e",
             my_endpoint_address(peer, text));
    return MY_ENOENT;
  }
  int error = ask_route(netlink, peer, index, source, &answer);
  if (error && source->family) /* an address that is not ours */
    error = ask_route(netlink, peer, index, &(my_endpoint){0}, &answer);
  if (error || !read_route(out, &answer, peer->family)) {
    snprintf(where->text, sizeof where->text, "no way to %s: %s", my_endpoint_address(peer, text),
             strerror(error ? error : ENETUNREACH));
    return MY_ENOENT;
  }
  if (!if_indextoname((unsigned)out->index, out->interface)) return MY_ESYS;
  int rc = find_source(out, peer, source, where);
  return rc == MY_OK ? read_interface(out, where) : rc;
}

/* ---- neighbours ---- */

typedef enum neighbour { NEIGHBOUR_KNOWN, NEIGHBOUR_ASKED, NEIGHBOUR_SILENT } neighbour;

static neighbour look_up(int netlink, const scan_way *way, const my_endpoint *hop, uint8_t mac[6])
{
  netlink_message request, answer;
  struct ndmsg head = {.ndm_family = netlink_family(hop->family), .ndm_ifindex = way->index}, got;
  netlink_begin(&request, RTM_GETNEIGH, 0, &head, sizeof head);
  netlink_add(&request, NDA_DST, hop->bytes, netlink_width(hop->family));
  if (netlink_ask(netlink, &request, &answer) != 0) return NEIGHBOUR_ASKED;
  size_t len;
  memcpy(&got, answer.body, sizeof got);
  if (got.ndm_state & NUD_FAILED) return NEIGHBOUR_SILENT;
  const uint8_t *address = netlink_find(&answer, sizeof got, NDA_LLADDR, &len);
  if (!address || len != 6 || (got.ndm_state & NUD_INCOMPLETE)) return NEIGHBOUR_ASKED;
  memcpy(mac, address, 6);
  return NEIGHBOUR_KNOWN;
}

/* The kernel asks for it as if it had to send something there. */
static int want_neighbour(int netlink, const scan_way *way, const my_endpoint *hop)
{
  netlink_message request, answer;
  struct ndmsg head = {.ndm_family = netlink_family(hop->family),
                       .ndm_ifindex = way->index,
                       .ndm_state = NUD_NONE,
                       .ndm_flags = NTF_USE};
  netlink_begin(&request, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, &head,
                sizeof head);
  netlink_add(&request, NDA_DST, hop->bytes, netlink_width(hop->family));
  return netlink_ask(netlink, &request, &answer);
}

int scan_way_resolve(scan_way *way, int netlink, const my_endpoint *peer, my_where *where)
{
  enum { TRIES = 200 }; /* more than the kernel takes, which asks three times, a second apart */
  const struct timespec pause = {0, 20000000};
  const my_endpoint *hop = way->gateway.family ? &way->gateway : peer;
  char text[MY_ENDPOINT_TEXT];
  if (way->routed || !way->ethernet) return MY_OK;
  int error = 0;
  for (int i = 0; i < TRIES && error == 0; i++) {
    neighbour what = look_up(netlink, way, hop, way->link.theirs);
    if (what == NEIGHBOUR_KNOWN) return MY_OK;
    if (what == NEIGHBOUR_SILENT && i > 0) break;
    if (i == 0) error = want_neighbour(netlink, way, hop);
    way->routed = error == EPERM;
    if (way->routed) return MY_OK;
    nanosleep(&pause, NULL);
  }
  snprintf(where->text, sizeof where->text, "%s on %s does not tell its hardware address%s%s",
           my_endpoint_address(hop, text), way->interface, error ? ": " : "",
           error ? strerror(error) : "");
  return MY_ENOENT;
}
