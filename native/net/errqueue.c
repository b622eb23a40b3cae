/* errqueue.c - what the kernel says beside the data: send and receive times, the address a datagram
 * was sent to, ICMP errors. */
#include "state.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <time.h>

#include "sockaddr.h"

/* Types and codes that say something about the port or the way to it; the others only ask to send
 * smaller or elsewhere, and the kernel sees to that. */
static my_reason reason_of_icmp4(unsigned type, unsigned code)
{
  if (type == ICMP_TIME_EXCEEDED) return MY_REASON_HOST_UNREACH;
  if (type == ICMP_PARAMETERPROB) return MY_REASON_PROTO_UNREACH;
  if (type != ICMP_DEST_UNREACH) return MY_REASON_NONE;
  switch (code) {
  case ICMP_NET_UNREACH:
  case ICMP_SR_FAILED:
  case ICMP_NET_UNKNOWN:
  case ICMP_NET_UNR_TOS:
    return MY_REASON_NET_UNREACH;
  case ICMP_PROT_UNREACH:
    return MY_REASON_PROTO_UNREACH;
  case ICMP_PORT_UNREACH:
    return MY_REASON_PORT_UNREACH;
  case ICMP_FRAG_NEEDED:
    return MY_REASON_NONE;
  case ICMP_NET_ANO:
  case ICMP_HOST_ANO:
  case ICMP_PKT_FILTERED:
  case ICMP_PREC_VIOLATION:
  case ICMP_PREC_CUTOFF:
    return MY_REASON_ADMIN_PROHIBITED;
  default:
    return MY_REASON_HOST_UNREACH;
  }
}

static my_reason reason_of_icmp6(unsigned type, unsigned code)
{
  if (type == ICMP6_TIME_EXCEEDED) return MY_REASON_HOST_UNREACH;
  if (type == ICMP6_PARAM_PROB) return MY_REASON_PROTO_UNREACH;
  if (type != ICMP6_DST_UNREACH) return MY_REASON_NONE;
  switch (code) {
  case ICMP6_DST_UNREACH_NOROUTE:
  case ICMP6_DST_UNREACH_BEYONDSCOPE:
    return MY_REASON_NET_UNREACH;
  case ICMP6_DST_UNREACH_NOPORT:
    return MY_REASON_PORT_UNREACH;
  case ICMP6_DST_UNREACH_ADMIN:
  case 5:
  case 6: /* policy; rejected route */
    return MY_REASON_ADMIN_PROHIBITED;
  default:
    return MY_REASON_HOST_UNREACH;
  }
}

my_reason my_reason_of_icmp(uint8_t family, unsigned type, unsigned code)
{
  return family == 6 ? reason_of_icmp6(type, code) : reason_of_icmp4(type, code);
}

static void read_error(const struct cmsghdr *c, ancillary *out)
{
  struct sock_extended_err err;
  if (c->cmsg_len < CMSG_LEN(sizeof err)) return;
  memcpy(&err, CMSG_DATA(c), sizeof err);
  if (err.ee_origin == SO_EE_ORIGIN_TIMESTAMPING) {
    out->is_timestamp = err.ee_info == SCM_TSTAMP_SND;
    out->tx_number = err.ee_data;
    return;
  }
  if (err.ee_origin == SO_EE_ORIGIN_ICMP)
    out->reason = my_reason_of_icmp(4, err.ee_type, err.ee_code);
  else if (err.ee_origin == SO_EE_ORIGIN_ICMP6)
    out->reason = my_reason_of_icmp(6, err.ee_type, err.ee_code);
  else
    return;
  out->is_icmp = true;
  /* The offender's address stands behind the structure, its port means nothing. */
  my_sockaddr from;
  size_t there = c->cmsg_len - CMSG_LEN(sizeof err);
  memset(&from, 0, sizeof from);
  memcpy(&from, CMSG_DATA(c) + sizeof err, there < sizeof from ? there : sizeof from);
  my_sockaddr_read(&from.any, &out->offender);
  out->offender.port = 0;
}

static void read_times(const struct cmsghdr *c, ancillary *out)
{
  struct scm_timestamping t;
  if (c->cmsg_len < CMSG_LEN(sizeof t)) return;
  memcpy(&t, CMSG_DATA(c), sizeof t);
  out->time_ns = (int64_t)t.ts[0].tv_sec * SECOND + t.ts[0].tv_nsec;
}

static void read_ipv4(const struct cmsghdr *c, ancillary *out)
{
  struct in_pktinfo info;
  if (c->cmsg_type == IP_RECVERR) read_error(c, out);
  if (c->cmsg_type != IP_PKTINFO || c->cmsg_len < CMSG_LEN(sizeof info)) return;
  memcpy(&info, CMSG_DATA(c), sizeof info);
  out->local.family = 4;
  memcpy(out->local.bytes, &info.ipi_addr, 4);
}

static void read_ipv6(const struct cmsghdr *c, ancillary *out)
{
  struct in6_pktinfo info;
  if (c->cmsg_type == IPV6_RECVERR) read_error(c, out);
  if (c->cmsg_type != IPV6_PKTINFO || c->cmsg_len < CMSG_LEN(sizeof info)) return;
  memcpy(&info, CMSG_DATA(c), sizeof info);
  out->local.family = 6;
  memcpy(out->local.bytes, &info.ipi6_addr, 16);
  if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) out->local.scope = info.ipi6_ifindex;
}

void my_net_read_ancillary(struct msghdr *m, ancillary *out)
{
  memset(out, 0, sizeof *out);
  for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING) read_times(c, out);
    if (c->cmsg_level == IPPROTO_IP) read_ipv4(c, out);
    if (c->cmsg_level == IPPROTO_IPV6) read_ipv6(c, out);
  }
}

/* One message of the error queue. False when it is empty. */
static bool drain_one(my_engine *e, net_socket *s)
{
  _Alignas(struct cmsghdr) char control[512];
  my_sockaddr to;
  ancillary a;
  struct iovec iov = {e->scratch, sizeof e->scratch};
  struct msghdr m = {.msg_name = &to,
                     .msg_namelen = sizeof to,
                     .msg_iov = &iov,
                     .msg_iovlen = 1,
                     .msg_control = control,
                     .msg_controllen = sizeof control};
  memset(&to, 0, sizeof to);
  ssize_t n = recvmsg(s->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT);
  if (n < 0) return errno == EINTR;
  my_net_read_ancillary(&m, &a);
  if (a.is_timestamp && a.time_ns) my_udp_sent_time(s, a.tx_number, a.time_ns);
  if (a.is_icmp && a.reason != MY_REASON_NONE) {
    my_endpoint quoted_to;
    my_sockaddr_read(&to.any, &quoted_to);
    my_udp_icmp(e, s, &quoted_to, &a, (my_span){e->scratch, (size_t)n});
  }
  return true;
}

void my_net_drain_errors(my_engine *e, net_socket *s)
{
  /* An ICMP error can end the exchange that holds the socket: fd is -1 then. A flow is held by the
   * caller. */
  for (int i = 0; i < 4 * READS_A_SOCKET && s->fd >= 0 && !my_net_full(e); i++)
    if (!drain_one(e, s)) return;
}
