/* scan_raw.c - the raw path: frames out past the queueing discipline (packet(7)), replies and ICMP
 * errors in through libpcap's ring. Only functions of libpcap that have long been public are used:
 * some Nmap binaries bring a libpcap of their own. */
#include "scan.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mynah/fragment.h"
#include "sockaddr.h"

enum {
  PORTS = 256,          /* 8 bits that a reply must hit beside those of its nonce */
  RING_BYTES = 1 << 25, /* half a second of the fastest link measured */
  SNAP = 65575,         /* the longest packet of IPv6, and its frame */
  RETIRE_MS = 4         /* a block of the ring is given to us so late at the most */
};

typedef struct raw_path {
  scan_path path;
  int fd;
  pcap_t *pcap;
  my_fragments *fragments;
  int dlt, listen_fd;
  my_frame_head head;
  struct sockaddr_ll to;
  bool loopback;
  int held[PORTS];
  scan_hear_fn *fn; /* while pcap_dispatch runs */
  void *arg;
} raw_path;

/* ---- out ---- */

/* To our own addresses frames would come as if from outside, and be refused: there the system wants
 * packets without link header, and to know where to (raw(7)). */
static void address_to(const raw_path *p, const my_endpoint *peer, my_sockaddr *to,
                       struct msghdr *h)
{
  if (p->loopback) {
    my_endpoint at = *peer;
    at.port = 0;
    my_sockaddr_write(to, &at);
    h->msg_name = to;
    h->msg_namelen = my_sockaddr_len(to);
  } else {
    h->msg_name = (void *)(uintptr_t)&p->to;
    h->msg_namelen = sizeof p->to;
  }
}

static int raw_send(scan_path *path, const scan_datagram *list, size_t count)
{
  raw_path *p = (raw_path *)path;
  struct mmsghdr messages[SCAN_BATCH];
  struct iovec parts[SCAN_BATCH];
  my_sockaddr peers[SCAN_BATCH];
  for (size_t i = 0; i < count; i++) {
    const scan_datagram *d = &list[i];
    uint8_t *frame = d->payload - p->head.len;
    parts[i].iov_base = frame;
    parts[i].iov_len = p->head.tcp
                           ? my_frame_syn(&p->head, frame, &d->peer, d->source_port, d->seq)
                           : my_frame_udp(&p->head, frame, &d->peer, d->source_port, d->len);
    messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1}};
    address_to(p, &d->peer, &peers[i], &messages[i].msg_hdr);
  }
  return sendmmsg(p->fd, messages, (unsigned)count, MSG_DONTWAIT);
}

static int fail_sender(my_where *where)
{
  snprintf(where->text, sizeof where->text, "cannot send whole frames: %s%s", strerror(errno),
           errno == EPERM ? " (it needs root or CAP_NET_RAW)" : "");
  return MY_ESYS;
}

static int open_sender(raw_path *p, const scan_way *way, bool tcp, my_where *where)
{
  int one = 1, room = 1 << 23;
  uint16_t type = way->source.family == 4 ? ETH_P_IP : ETH_P_IPV6;
  struct sockaddr_ll here = {.sll_family = AF_PACKET, .sll_ifindex = way->index};
  p->loopback = way->loopback;
  p->to = here;
  p->to.sll_protocol = htons(type);
  p->to.sll_halen = 6;
  memcpy(p->to.sll_addr, way->link.theirs, 6);
  int family = !p->loopback ? AF_PACKET : way->source.family == 4 ? AF_INET : AF_INET6;
  int kind = p->loopback || way->ethernet ? SOCK_RAW : SOCK_DGRAM;
  p->fd = socket(family, kind | SOCK_CLOEXEC, p->loopback ? IPPROTO_RAW : 0);
  if (p->fd < 0) return fail_sender(where);
  if (!p->loopback) {
    if (bind(p->fd, (struct sockaddr *)&here, sizeof here) != 0) return fail_sender(where);
    setsockopt(p->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
  }
  if (setsockopt(p->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) != 0)
    setsockopt(p->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  my_frame_head_init(&p->head, &way->link, &way->source, 64, tcp);
  return MY_OK;
}

/* Somebody must own the ports, or our own system would answer replies with "port unreachable"; what
 * comes to these sockets is thrown away at once, for it is heard elsewhere. */
static int hold_ports(raw_path *p, const my_scan_config *config, my_where *where)
{
  struct sock_filter nothing[] = {{BPF_RET | BPF_K, 0, 0, 0}};
  struct sock_fprog filter = {1, nothing};
  my_endpoint local = p->path.local;
  local.port = config->source.port;
  int port = scan_hold_ports(&local, &p->path.local, config->targets, PORTS, p->held);
  if (port < 0 && errno == EADDRNOTAVAIL && config->source.family) {
    port = config->source.port ? config->source.port : 40000; /* not ours: then nobody answers */
  } else if (port < 0) {
    snprintf(where->text, sizeof where->text, "no %d source ports in a row: %s", PORTS,
             strerror(errno));
    return MY_ESYS;
  }
  for (size_t i = 0; i < PORTS; i++)
    if (p->held[i] >= 0)
      setsockopt(p->held[i], SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
  p->path.port_first = (uint16_t)port;
  p->path.port_count = PORTS;
  return MY_OK;
}

/* ---- in ---- */

/* The answers to a SYN: it is accepted, or refused. */
static bool read_tcp(const my_payload *p, scan_heard *out)
{
  enum { SYN = 2, RST = 4, ACK = 16 };
  out->is_tcp = true;
  out->is_error = (p->tcp_flags & RST) != 0;
  out->ack = p->tcp_ack;
  out->peer = p->from;
  return (p->tcp_flags & ACK) && (p->tcp_flags & (SYN | RST));
}

/* Fragments behind the first one name no port: the filter lets all of them pass. */
static bool is_our_port(const raw_path *p, uint16_t port)
{
  return port >= p->path.port_first && port - p->path.port_first < p->path.port_count;
}

static void on_packet(u_char *user, const struct pcap_pkthdr *h, const u_char *bytes)
{
  raw_path *p = (raw_path *)user;
  my_span frame = {bytes, h->caplen};
  my_payload payload = {0};
  my_icmp_error error;
  scan_heard heard = {.time_ns = (int64_t)h->ts.tv_sec * 1000000000 + h->ts.tv_usec};
  payload.time_ns = heard.time_ns;
  if (my_fragments_decode(p->fragments, p->dlt, frame, h->len, &payload) == MY_OK) {
    if ((payload.transport == MY_TCP) != p->head.tcp || !is_our_port(p, payload.to.port)) return;
    if (p->head.tcp && !read_tcp(&payload, &heard)) return;
    heard.reason = !p->head.tcp     ? MY_REASON_UDP_RESPONSE
                   : heard.is_error ? MY_REASON_CONN_REFUSED
                                    : MY_REASON_SYN_ACK;
    heard.from = payload.from;
    heard.to = payload.to;
    heard.data = payload.data;
  } else if (my_packet_icmp(p->dlt, frame, h->len, &error) == MY_OK) {
    heard.is_error = true;
    heard.reason = my_reason_of_icmp(error.from.family, error.type, error.code);
    heard.from = error.from;
    heard.to = error.sent_from;
    heard.peer = error.sent_to;
  } else {
    return;
  }
  p->fn(p->arg, &heard);
}

static void raw_hear(scan_path *path, int wait_ms, scan_hear_fn *fn, void *arg)
{
  raw_path *p = (raw_path *)path;
  struct pollfd ready = {.fd = p->listen_fd, .events = POLLIN};
  p->fn = fn;
  p->arg = arg;
  if (poll(&ready, p->listen_fd >= 0 ? 1 : 0, wait_ms) <= 0 || p->listen_fd < 0) return;
  if (pcap_dispatch(p->pcap, -1, on_packet, (u_char *)p) < 0)
    poll(NULL, 0, 10); /* the link is down: it may come back */
}

static uint64_t raw_dropped(scan_path *path)
{
  raw_path *p = (raw_path *)path;
  struct pcap_stat stat;
  return p->pcap && pcap_stats(p->pcap, &stat) == 0 ? stat.ps_drop : 0;
}

static int fail_pcap(raw_path *p, const char *what, my_where *where)
{
  snprintf(where->text, sizeof where->text, "cannot listen: %.60s: %.120s", what,
           pcap_geterr(p->pcap));
  return MY_ESYS;
}

static int set_filter(raw_path *p, my_where *where)
{
  char text[300], address[MY_ENDPOINT_TEXT];
  struct bpf_program program;
  bool four = p->path.local.family == 4;
  snprintf(text, sizeof text, "(dst host %s and (%s dst portrange %u-%u or %s)) or %s",
           my_endpoint_address(&p->path.local, address), p->head.tcp ? "tcp" : "udp",
           p->path.port_first, p->path.port_first + p->path.port_count - 1u,
           four ? "(ip proto 17 and ip[6:2] & 0x1fff != 0)" : "ip6 proto 44",
           four ? "icmp" : "icmp6");
  if (pcap_compile(p->pcap, &program, text, 1, PCAP_NETMASK_UNKNOWN) != 0)
    return fail_pcap(p, text, where);
  int rc = pcap_setfilter(p->pcap, &program);
  pcap_freecode(&program);
  return rc == 0 ? MY_OK : fail_pcap(p, text, where);
}

static int open_listener(raw_path *p, const scan_way *way, my_where *where)
{
  char message[PCAP_ERRBUF_SIZE];
  int one = 1;
  p->pcap = pcap_create(way->interface, message);
  if (!p->pcap) {
    snprintf(where->text, sizeof where->text, "cannot listen: %.150s", message);
    return MY_ESYS;
  }
  if (my_fragments_new(&p->fragments) != MY_OK) return MY_ENOMEM;
  pcap_set_snaplen(p->pcap, SNAP);
  pcap_set_promisc(p->pcap, 0);
  pcap_set_timeout(p->pcap, RETIRE_MS);
  pcap_set_buffer_size(p->pcap, RING_BYTES);
  pcap_set_tstamp_precision(p->pcap, PCAP_TSTAMP_PRECISION_NANO);
  if (pcap_activate(p->pcap) < 0) return fail_pcap(p, way->interface, where);
  p->dlt = pcap_datalink(p->pcap);
  if (pcap_setnonblock(p->pcap, 1, message) != 0) return fail_pcap(p, way->interface, where);
  p->listen_fd = pcap_get_selectable_fd(p->pcap);
  /* Our own frames are none of our business (Linux 4.20; without it the filter passes them over).
   */
  setsockopt(p->listen_fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one);
  return set_filter(p, where);
}

/* ---- the path ---- */

static void raw_close(scan_path *path)
{
  raw_path *p = (raw_path *)path;
  if (p->pcap) pcap_close(p->pcap);
  my_fragments_free(p->fragments);
  if (p->fd >= 0) close(p->fd);
  for (size_t i = 0; i < PORTS; i++)
    if (p->held[i] >= 0) close(p->held[i]);
  free(p);
}

/* Do frames to 'peer' go as the others do? */
static int check_same_way(const scan_way *way, const scan_way *other, const my_endpoint *peer,
                          my_where *where)
{
  char text[MY_ENDPOINT_TEXT];
  my_endpoint_address(peer, text);
  if (way->index != other->index)
    snprintf(where->text, sizeof where->text,
             "%s leaves by %s, others by %s: scan one after the other, or without --raw", text,
             other->interface, way->interface);
  else if (!way->loopback &&
           (!way->gateway.family || !my_endpoint_same_address(&way->gateway, &other->gateway)))
    snprintf(where->text, sizeof where->text,
             "%s is on the link %s itself, or behind another gateway: scan without --raw", text,
             other->interface);
  else
    return MY_OK;
  return MY_ERANGE;
}

/* All targets must lie behind the same next hop: there is one head for all frames. */
static int one_way(scan_way *way, const my_scan_config *config, my_where *where)
{
  my_range range;
  my_endpoint peer = {0};
  size_t pieces = my_ranges_pieces(config->targets);
  for (size_t i = 0; i < 2 * pieces; i++) {
    scan_way other;
    my_ranges_piece(config->targets, i / 2, &range);
    const my_endpoint *end = i % 2 ? &range.last : &range.first;
    if (i % 2 && my_endpoint_same_address(&range.first, &range.last)) continue;
    int rc = scan_way_find(i == 0 ? way : &other, end, config->interface, &config->source, where);
    if (rc != MY_OK) return rc;
    if (i == 0) {
      peer = *end;
      continue;
    }
    if ((rc = check_same_way(way, &other, end, where)) != MY_OK) return rc;
  }
  return scan_way_resolve(way, &peer, where);
}

int scan_raw_open(scan_path **out, const my_scan_config *config, my_where *where)
{
  scan_way way;
  *out = NULL;
  int rc = one_way(&way, config, where);
  if (rc != MY_OK) return rc;
  raw_path *p = calloc(1, sizeof *p);
  if (!p) return MY_ENOMEM;
  p->path = (scan_path){.send = raw_send,
                        .hear = raw_hear,
                        .dropped = raw_dropped,
                        .close = raw_close,
                        .local = way.source};
  p->fd = p->listen_fd = -1;
  for (size_t i = 0; i < PORTS; i++)
    p->held[i] = -1;
  rc = open_sender(p, &way, config->tcp, where);
  if (rc == MY_OK) rc = hold_ports(p, config, where);
  if (rc == MY_OK && !config->deaf) rc = open_listener(p, &way, where);
  if (rc == MY_OK)
    *out = &p->path;
  else
    raw_close(&p->path);
  return rc;
}
