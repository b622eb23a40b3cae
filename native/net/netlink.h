/* netlink.h - what the kernel knows of routes and neighbours (rtnetlink(7)). */
#ifndef MYNAH_NET_NETLINK_H
#define MYNAH_NET_NETLINK_H

#include <net/if.h> /* before the kernel's own, which give way */

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>

#include "mynah/target.h"

/* A request with room for attributes, or an answer; of a longer one the end is left out. */
typedef struct netlink_message {
  struct nlmsghdr head;
  uint8_t body[1024];
} netlink_message;

int netlink_open(void); /* a descriptor, or -1 and errno */

void netlink_begin(netlink_message *m, uint16_t type, uint16_t flags, const void *body, size_t len);
void netlink_add(netlink_message *m, unsigned short type, const void *data, size_t len);

/* Ask and wait for the one answer: 0, or the errno that the kernel says. */
int netlink_ask(int fd, const netlink_message *m, netlink_message *answer);

/* Ask for a whole table: each row is given to fn. 0, or errno. */
typedef void netlink_row_fn(void *arg, const netlink_message *row);
int netlink_list(int fd, const netlink_message *m, netlink_row_fn *fn, void *arg);

/* The attribute of that type behind 'fixed' bytes of an answer: its bytes, or NULL. */
const uint8_t *netlink_find(const netlink_message *m, size_t fixed, unsigned short type,
                            size_t *len);
/* The address in an attribute; *out is left as it is where there is none of that family. */
void netlink_address(const netlink_message *m, size_t fixed, unsigned short type, uint8_t family,
                     my_endpoint *out);

static inline size_t netlink_width(uint8_t family)
{
  return family == 4 ? 4 : 16;
}

static inline uint8_t netlink_family(uint8_t family)
{
  return family == 4 ? AF_INET : AF_INET6;
}

#endif
