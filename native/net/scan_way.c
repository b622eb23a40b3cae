/* scan_way.c - which interface, source address and next hop lead to a target: asked of the kernel
 * over netlink (rtnetlink(7)), the hardware address of the next hop too. */
#include "scan.h"

#include <net/if.h> /* before the kernel's own, which give way */

#include <errno.h>
#include <linux/if_arp.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A request with room for attributes, and the answer to it. */
typedef struct message {
  struct nlmsghdr head;
  uint8_t body[1024];
} message;

static void begin(message *m, uint16_t type, uint16_t flags, const void *body, size_t len)
{
  memset(m, 0, sizeof *m);
  m->head.nlmsg_type = type;
  m->head.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
  m->head.nlmsg_seq = 1;
  m->head.nlmsg_len = (uint32_t)NLMSG_LENGTH(len);
  memcpy(m->body, body, len);
}

static void add(message *m, unsigned short type, const void *data, size_t len)
{
  struct rtattr a = {(unsigned short)RTA_LENGTH(len), type};
  size_t at = NLMSG_ALIGN(m->head.nlmsg_len) - sizeof m->head;
  memcpy(m->body + at, &a, sizeof a);
  memcpy(m->body + at + RTA_LENGTH(0), data, len);
  m->head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(m->head.nlmsg_len) + RTA_ALIGN(a.rta_len));
}

/* Ask and wait for the one answer: 0, or the errno that the kernel says. */
static int ask(message *m, message *answer)
{
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return errno;
  struct timeval second = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
  int rc = send(fd, m, m->head.nlmsg_len, 0) < 0 ? errno : 0;
  ssize_t got = rc ? 0 : recv(fd, answer, sizeof *answer, 0);
  if (got < 0) rc = errno;
  close(fd);
  if (rc) return rc;
  if (got < (ssize_t)sizeof answer->head || answer->head.nlmsg_len > (size_t)got) return EPROTO;
  if (answer->head.nlmsg_type != NLMSG_ERROR) return 0;
  struct nlmsgerr e;
  memcpy(&e, answer->body, sizeof e);
  return -e.error;
}

/* The attribute of that type behind 'fixed' bytes of the answer: its bytes, or NULL. */
static const uint8_t *find(const message *m, size_t fixed, unsigned short type, size_t *len)
{
  size_t at = NLMSG_ALIGN(fixed), end = m->head.nlmsg_len - sizeof m->head;
  while (at + sizeof(struct rtattr) <= end) {
    struct rtattr a;
    memcpy(&a, m->body + at, sizeof a);
    if (a.rta_len < sizeof a || at + a.rta_len > end) return NULL;
    *len = a.rta_len - sizeof a;
    if (a.rta_type == type) return m->body + at + sizeof a;
    at += RTA_ALIGN(a.rta_len);
  }
  return NULL;
}

static size_t width_of(uint8_t family)
{
  return family == 4 ? 4 : 16;
}

static uint8_t af_of(uint8_t family)
{
  return family == 4 ? AF_INET : AF_INET6;
}

static void read_address(const message *m, size_t fixed, unsigned short type, uint8_t family,
                         my_endpoint *out)
{
  size_t len;
  const uint8_t *data = find(m, fixed, type, &len);
  if (!data || len != width_of(family)) return;
  *out = (my_endpoint){.family = family};
  memcpy(out->bytes, data, len);
}

/* ---- interfaces ---- */

static int read_interface(scan_way *way, my_where *where)
{
  struct ifreq request = {0};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return MY_ESYS;
  memcpy(request.ifr_name, way->interface, sizeof way->interface);
  int rc = ioctl(fd, SIOCGIFFLAGS, &request);
  way->loopback = rc == 0 && (request.ifr_flags & IFF_LOOPBACK);
  bool up = rc == 0 && (request.ifr_flags & IFF_UP);
  if (rc == 0) rc = ioctl(fd, SIOCGIFHWADDR, &request);
  int error = errno;
  close(fd);
  if (rc != 0 || !up) {
    snprintf(where->text, sizeof where->text, "interface %s: %s", way->interface,
             rc ? strerror(error) : "it is down; bring it up, or choose another with -e");
    return MY_ENOENT;
  }
  int type = request.ifr_hwaddr.sa_family;
  way->ethernet = type == ARPHRD_ETHER;
  way->link.ethernet = way->ethernet;
  memcpy(way->link.ours, request.ifr_hwaddr.sa_data, 6);
  return MY_OK;
}

/* ---- routes ---- */

int scan_way_find(scan_way *out, const my_endpoint *peer, const char *interface,
                  const my_endpoint *source, my_where *where)
{
  message request, answer;
  char text[MY_ENDPOINT_TEXT];
  struct rtmsg head = {.rtm_family = af_of(peer->family),
                       .rtm_dst_len = (uint8_t)(8 * width_of(peer->family))};
  *out = (scan_way){0};
  begin(&request, RTM_GETROUTE, 0, &head, sizeof head);
  add(&request, RTA_DST, peer->bytes, width_of(peer->family));
  if (interface) {
    int index = (int)if_nametoindex(interface);
    if (index == 0) {
      snprintf(where->text, sizeof where->text, "there is no interface \"%.20s\"", interface);
      return MY_ENOENT;
    }
    add(&request, RTA_OIF, &index, sizeof index);
  }
  int error = ask(&request, &answer);
  size_t len;
  const uint8_t *oif = error ? NULL : find(&answer, sizeof head, RTA_OIF, &len);
  if (!oif || len != sizeof out->index) {
    snprintf(where->text, sizeof where->text, "no way to %s: %s", my_endpoint_address(peer, text),
             strerror(error ? error : ENETUNREACH));
    return MY_ENOENT;
  }
  memcpy(&out->index, oif, sizeof out->index);
  if (!if_indextoname((unsigned)out->index, out->interface)) return MY_ESYS;
  read_address(&answer, sizeof head, RTA_GATEWAY, peer->family, &out->gateway);
  read_address(&answer, sizeof head, RTA_PREFSRC, peer->family, &out->source);
  if (source->family) out->source = *source;
  if (out->source.family == 0) my_route_local(peer, &out->source);
  out->source.port = 0;
  if (out->source.family != peer->family) {
    snprintf(where->text, sizeof where->text, "no address of ours to ask %s from; give one with -S",
             my_endpoint_address(peer, text));
    return MY_ENOENT;
  }
  return read_interface(out, where);
}

/* ---- neighbours ---- */

static bool known_neighbour(const scan_way *way, const my_endpoint *hop, uint8_t mac[6])
{
  message request, answer;
  struct ndmsg head = {.ndm_family = af_of(hop->family), .ndm_ifindex = way->index}, got;
  begin(&request, RTM_GETNEIGH, 0, &head, sizeof head);
  add(&request, NDA_DST, hop->bytes, width_of(hop->family));
  if (ask(&request, &answer) != 0) return false;
  size_t len;
  memcpy(&got, answer.body, sizeof got);
  const uint8_t *address = find(&answer, sizeof got, NDA_LLADDR, &len);
  if (!address || len != 6 || (got.ndm_state & (NUD_INCOMPLETE | NUD_FAILED))) return false;
  memcpy(mac, address, 6);
  return true;
}

/* The kernel asks for it as if it had to send something there. */
static int want_neighbour(const scan_way *way, const my_endpoint *hop)
{
  message request, answer;
  struct ndmsg head = {.ndm_family = af_of(hop->family),
                       .ndm_ifindex = way->index,
                       .ndm_state = NUD_NONE,
                       .ndm_flags = NTF_USE};
  begin(&request, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, &head, sizeof head);
  add(&request, NDA_DST, hop->bytes, width_of(hop->family));
  return ask(&request, &answer);
}

int scan_way_resolve(scan_way *way, const my_endpoint *peer, my_where *where)
{
  enum { TRIES = 50 };
  const struct timespec pause = {0, 20000000};
  const my_endpoint *hop = way->gateway.family ? &way->gateway : peer;
  char text[MY_ENDPOINT_TEXT];
  if (!way->ethernet) return MY_OK;
  int error = 0;
  for (int i = 0; i < TRIES; i++) {
    if (known_neighbour(way, hop, way->link.theirs)) return MY_OK;
    if (i == 0) error = want_neighbour(way, hop);
    nanosleep(&pause, NULL);
  }
  snprintf(where->text, sizeof where->text, "%s on %s does not tell its hardware address%s%s",
           my_endpoint_address(hop, text), way->interface, error ? ": " : "",
           error ? strerror(error) : "");
  return MY_ENOENT;
}
