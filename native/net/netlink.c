/* netlink.c - requests to the kernel's tables of routes and neighbours, and what it answers. */
#include "netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int netlink_open(void)
{
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  struct timeval second = {1, 0};
  if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
  return fd;
}

void netlink_begin(netlink_message *m, uint16_t type, uint16_t flags, const void *body, size_t len)
{
  memset(m, 0, sizeof *m);
  m->head.nlmsg_type = type;
  m->head.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
  m->head.nlmsg_seq = 1;
  m->head.nlmsg_len = (uint32_t)NLMSG_LENGTH(len);
  memcpy(m->body, body, len);
}

void netlink_add(netlink_message *m, unsigned short type, const void *data, size_t len)
{
  struct rtattr a = {(unsigned short)RTA_LENGTH(len), type};
  size_t at = NLMSG_ALIGN(m->head.nlmsg_len) - sizeof m->head;
  memcpy(m->body + at, &a, sizeof a);
  memcpy(m->body + at + RTA_LENGTH(0), data, len);
  m->head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(m->head.nlmsg_len) + RTA_ALIGN(a.rta_len));
}

/* What an error message says: 0 where it is a mere acknowledgement. */
static int error_of(const netlink_message *m)
{
  struct nlmsgerr e;
  memcpy(&e, m->body, sizeof e);
  return -e.error;
}

/* The message of 'left' bytes that stands there: its length, or 0 where there is no whole one. */
static size_t read_message(const uint8_t *at, size_t left, netlink_message *out)
{
  memset(out, 0, sizeof *out);
  if (left < sizeof out->head) return 0;
  memcpy(&out->head, at, sizeof out->head);
  size_t len = out->head.nlmsg_len;
  if (len < sizeof out->head || len > left) return 0;
  size_t kept = len < sizeof *out ? len : sizeof *out;
  memcpy(out->body, at + sizeof out->head, kept - sizeof out->head);
  out->head.nlmsg_len = (uint32_t)kept;
  return NLMSG_ALIGN(len);
}

int netlink_ask(int fd, const netlink_message *m, netlink_message *answer)
{
  uint8_t room[8192];
  if (send(fd, m, m->head.nlmsg_len, 0) < 0) return errno;
  ssize_t got = recv(fd, room, sizeof room, 0);
  if (got < 0) return errno;
  if (read_message(room, (size_t)got, answer) == 0) return EPROTO;
  return answer->head.nlmsg_type == NLMSG_ERROR ? error_of(answer) : 0;
}

int netlink_list(int fd, const netlink_message *m, netlink_row_fn *fn, void *arg)
{
  uint8_t room[32768];
  netlink_message row;
  if (send(fd, m, m->head.nlmsg_len, 0) < 0) return errno;
  for (;;) {
    ssize_t got = recv(fd, room, sizeof room, 0);
    if (got < 0) return errno;
    size_t at = 0, step;
    while ((step = read_message(room + at, (size_t)got - at, &row)) > 0) {
      if (row.head.nlmsg_type == NLMSG_DONE) return 0;
      if (row.head.nlmsg_type == NLMSG_ERROR) return error_of(&row);
      fn(arg, &row);
      at += step < (size_t)got - at ? step : (size_t)got - at;
    }
    if (at == 0) return EPROTO;
  }
}

const uint8_t *netlink_find(const netlink_message *m, size_t fixed, unsigned short type,
                            size_t *len)
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

void netlink_address(const netlink_message *m, size_t fixed, unsigned short type, uint8_t family,
                     my_endpoint *out)
{
  size_t len;
  const uint8_t *data = netlink_find(m, fixed, type, &len);
  if (!data || len != netlink_width(family)) return;
  *out = (my_endpoint){.family = family};
  memcpy(out->bytes, data, len);
}
