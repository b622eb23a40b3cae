/* scan_raw.c - the raw path: frames out past the queueing discipline (packet(7)), or packets whose
 * next hop is the system's to find (raw(7)); replies and ICMP errors in through libpcap's ring, one
 * for each link. Only functions of libpcap that have long been public are used:
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
  AT_ONCE = 1 << 14,    /* packets, before anything else is looked at */
  SNAP = 65575,         /* the longest packet of IPv6, and its frame */
  RETIRE_MS = 4         /* a block of the ring is given to us so late at the most */
};

/* Sockets to send by: frames with a link header of ours, without one, and packets. */
typedef enum outlet { OUT_FRAMES, OUT_BARE, OUT_ROUTED, OUTLETS } outlet;

/* How datagrams begin that go one of the ways. */
typedef struct hop {
  my_frame_head head;
  outlet out;
  struct sockaddr_ll to;
  uint32_t zone; /* of addresses that hold on one link only */
} hop;

/* What is heard on one link. */
typedef struct ear {
  struct raw_path *path;
  pcap_t *pcap;
  int fd, dlt;
} ear;

typedef struct raw_path {
  scan_path path;
  scan_ways ways;
  hop hops[SCAN_WAYS]; /* one for each of the ways */
  int fds[OUTLETS];
  bool is_bound; /* all frames leave by one link, which OUT_FRAMES knows */
  ear ears[SCAN_LINKS];
  size_t ear_count;
  my_fragments *fragments;
  bool tcp;
  int held[PORTS];
  scan_hear_fn *fn; /* while pcap_dispatch runs */
  void *arg;
} raw_path;

/* ---- out ---- */

static unsigned way_to(const raw_path *p, const my_endpoint *peer)
{
  return p->ways.stretch_count > 1 ? scan_ways_to(&p->ways, peer) : p->ways.stretches[0].way;
}

/* To our own addresses frames would come as if from outside, and be refused: there, and where there
 * are many next hops, the system wants packets without link header, and to know where to (raw(7)).
 */
static void address_to(const raw_path *p, const hop *h, const my_endpoint *peer, my_sockaddr *to,
                       struct msghdr *m)
{
  if (h->out == OUT_FRAMES && p->is_bound) return;
  if (h->out == OUT_ROUTED) {
    my_endpoint at = *peer;
    at.port = 0;
    my_sockaddr_write(to, &at);
    if (at.family == 6) to->v6.sin6_scope_id = h->zone;
    m->msg_name = to;
    m->msg_namelen = my_sockaddr_len(to);
  } else {
    m->msg_name = (void *)(uintptr_t)&h->to;
    m->msg_namelen = sizeof h->to;
  }
}

/* The datagrams at the front that leave by one socket go in one call. */
static int raw_send(scan_path *path, const scan_datagram *list, size_t count)
{
  raw_path *p = (raw_path *)path;
  struct mmsghdr messages[SCAN_BATCH];
  struct iovec parts[SCAN_BATCH];
  my_sockaddr peers[SCAN_BATCH];
  outlet out = OUTLETS;
  size_t n = 0;
  for (; n < count; n++) {
    const scan_datagram *d = &list[n];
    const hop *h = &p->hops[way_to(p, &d->peer)];
    if (n > 0 && h->out != out) break;
    out = h->out;
    uint8_t *frame = d->payload - h->head.len;
    parts[n].iov_base = frame;
    parts[n].iov_len = p->tcp ? my_frame_syn(&h->head, frame, &d->peer, d->source_port, d->seq)
                              : my_frame_udp(&h->head, frame, &d->peer, d->source_port, d->len);
    messages[n] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[n], .msg_iovlen = 1}};
    address_to(p, h, &d->peer, &peers[n], &messages[n].msg_hdr);
  }
  return sendmmsg(p->fds[out], messages, (unsigned)n, MSG_DONTWAIT);
}

static int fail_sender(my_where *where)
{
  snprintf(where->text, sizeof where->text, "cannot send whole frames: %s%s", strerror(errno),
           errno == EPERM ? " (it needs root or CAP_NET_RAW)" : "");
  return MY_ESYS;
}

static outlet outlet_of(const scan_way *way)
{
  return way->routed ? OUT_ROUTED : way->ethernet ? OUT_FRAMES : OUT_BARE;
}

static hop make_hop(const scan_way *way, bool tcp)
{
  hop h = {.out = outlet_of(way)};
  my_link link = way->link;
  link.ethernet = h.out == OUT_FRAMES;
  my_frame_head_init(&h.head, &link, &way->source, 64, tcp);
  h.to =
      (struct sockaddr_ll){.sll_family = AF_PACKET,
                           .sll_ifindex = way->index,
                           .sll_protocol = htons(way->source.family == 4 ? ETH_P_IP : ETH_P_IPV6),
                           .sll_halen = 6};
  memcpy(h.to.sll_addr, link.theirs, 6);
  return h;
}

/* What raw(7) does not say of its own accord: that there was no room for a packet. */
static void set_up_routed(int fd, const my_scan_config *config, const my_endpoint *source)
{
  int one = 1;
  my_sockaddr sa;
  setsockopt(fd, source->family == 4 ? IPPROTO_IP : IPPROTO_IPV6,
             source->family == 4 ? IP_RECVERR : IPV6_RECVERR, &one, sizeof one);
  if (config->interface)
    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, config->interface,
               (socklen_t)strlen(config->interface));
  if (!config->source.family) return;
  my_sockaddr_write(&sa,
                    source); /* routes may depend on it; one that is not ours cannot be bound */
  sa.any.sa_family == AF_INET ? (sa.v4.sin_port = 0) : (sa.v6.sin6_port = 0);
  int rc = bind(fd, &sa.any, my_sockaddr_len(&sa));
  (void)rc;
}

static int open_outlet(raw_path *p, outlet out, const my_scan_config *config, my_where *where)
{
  int one = 1, room = 1 << 23;
  const my_endpoint *source = &p->path.local;
  if (p->fds[out] >= 0) return MY_OK;
  int family = out != OUT_ROUTED ? AF_PACKET : source->family == 4 ? AF_INET : AF_INET6;
  int kind = out == OUT_BARE ? SOCK_DGRAM : SOCK_RAW;
  int fd = socket(family, kind | SOCK_CLOEXEC, out == OUT_ROUTED ? IPPROTO_RAW : 0);
  if (fd < 0) return fail_sender(where);
  if (out == OUT_ROUTED)
    set_up_routed(fd, config, source);
  else
    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) != 0)
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  p->fds[out] = fd;
  return MY_OK;
}

/* The address that datagrams to a target bear. */
static my_endpoint local_to(const scan_path *path, const my_endpoint *peer)
{
  const raw_path *p = (const raw_path *)path;
  return p->ways.list[way_to(p, peer)].source;
}

/* A socket that knows its link need not be told it with each frame. */
static void bind_frames(raw_path *p)
{
  struct sockaddr_ll at = {.sll_family = AF_PACKET}; /* and no protocol: nothing comes in here */
  for (size_t i = 0; i < p->ways.count; i++) {
    const hop *h = &p->hops[i];
    if (h->out != OUT_FRAMES) continue;
    if (at.sll_ifindex && at.sll_ifindex != h->to.sll_ifindex) return;
    at.sll_ifindex = h->to.sll_ifindex;
  }
  p->is_bound = at.sll_ifindex && bind(p->fds[OUT_FRAMES], (struct sockaddr *)&at, sizeof at) == 0;
}

static int open_senders(raw_path *p, const my_scan_config *config, my_where *where)
{
  p->tcp = config->tcp;
  p->path.local = p->ways.list[0].source;
  for (size_t i = 0; i < p->ways.count; i++) {
    const scan_way *way = &p->ways.list[i];
    p->hops[i] = make_hop(way, config->tcp);
    int rc = open_outlet(p, p->hops[i].out, config, where);
    if (rc != MY_OK) return rc;
    if (!my_endpoint_same_address(&way->source, &p->path.local)) p->path.local_to = local_to;
  }
  bind_frames(p);
  return MY_OK;
}

/* Somebody must own the ports, or our own system would answer replies with "port unreachable"; what
 * comes to these sockets is thrown away at once, for it is heard elsewhere. */
static int hold_ports(raw_path *p, const my_scan_config *config, my_where *where)
{
  struct sock_filter nothing[] = {{BPF_RET | BPF_K, 0, 0, 0}};
  struct sock_fprog filter = {1, nothing};
  my_endpoint local = p->path.local;
  if (p->path.local_to) local = (my_endpoint){.family = local.family}; /* several: at all of ours */
  if (my_endpoint_is_link_local(&local)) local.scope = (uint32_t)p->ways.list[0].index;
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
  const ear *heard_by = (const ear *)user;
  raw_path *p = heard_by->path;
  my_span frame = {bytes, h->caplen};
  my_payload payload = {0};
  my_icmp_error error;
  scan_heard heard = {.time_ns = (int64_t)h->ts.tv_sec * 1000000000 + h->ts.tv_usec};
  payload.time_ns = heard.time_ns;
  if (my_fragments_decode(p->fragments, heard_by->dlt, frame, h->len, &payload) == MY_OK) {
    if ((payload.transport == MY_TCP) != p->tcp || !is_our_port(p, payload.to.port)) return;
    if (p->tcp && !read_tcp(&payload, &heard)) return;
    heard.reason = !p->tcp          ? MY_REASON_UDP_RESPONSE
                   : heard.is_error ? MY_REASON_CONN_REFUSED
                                    : MY_REASON_SYN_ACK;
    heard.from = payload.from;
    heard.to = payload.to;
    heard.data = payload.data;
  } else if (my_packet_icmp(heard_by->dlt, frame, h->len, &error) == MY_OK) {
    if ((error.transport == MY_TCP) != p->tcp) return;
    heard.is_error = true;
    heard.is_tcp = p->tcp;
    heard.ack = error.tcp_seq + 1; /* as its answer would bear it */
    heard.reason = my_reason_of_icmp(error.from.family, error.type, error.code);
    heard.from = error.from;
    heard.to = error.sent_from;
    heard.peer = error.sent_to;
  } else {
    return;
  }
  p->fn(p->arg, &heard);
}

static bool raw_hear(scan_path *path, int wait_ms, scan_hear_fn *fn, void *arg)
{
  raw_path *p = (raw_path *)path;
  struct pollfd ready[SCAN_LINKS];
  for (size_t i = 0; i < p->ear_count; i++)
    ready[i] = (struct pollfd){.fd = p->ears[i].fd, .events = POLLIN};
  p->fn = fn;
  p->arg = arg;
  if (poll(ready, p->ear_count, wait_ms) <= 0) return true;
  bool all = true;
  for (size_t i = 0; i < p->ear_count; i++) {
    if (!ready[i].revents) continue;
    int n = pcap_dispatch(p->ears[i].pcap, AT_ONCE, on_packet, (u_char *)&p->ears[i]);
    if (n < 0) poll(NULL, 0, 10); /* the link is down: it may come back */
    if (n == AT_ONCE) all = false;
  }
  return all;
}

static uint64_t raw_dropped(scan_path *path)
{
  raw_path *p = (raw_path *)path;
  struct pcap_stat stat;
  uint64_t sum = 0;
  for (size_t i = 0; i < p->ear_count; i++)
    if (pcap_stats(p->ears[i].pcap, &stat) == 0) sum += stat.ps_drop;
  return sum;
}

static int fail_pcap(const ear *e, const char *what, my_where *where)
{
  snprintf(where->text, sizeof where->text, "cannot listen: %.60s: %.120s", what,
           pcap_geterr(e->pcap));
  return MY_ESYS;
}

enum { FILTER_TEXT = 400 + SCAN_WAYS * 64 };

/* "dst host A or dst host B": each address that we ask from. */
static void name_sources(const raw_path *p, char text[FILTER_TEXT])
{
  char address[MY_ENDPOINT_TEXT];
  size_t len = 0;
  for (size_t i = 0; i < p->ways.count; i++) {
    const my_endpoint *source = &p->ways.list[i].source;
    bool known = false;
    for (size_t k = 0; k < i && !known; k++)
      known = my_endpoint_same_address(&p->ways.list[k].source, source);
    if (!known)
      len += (size_t)snprintf(text + len, FILTER_TEXT - len, "%sdst host %s", len ? " or " : "",
                              my_endpoint_address(source, address));
  }
}

static int set_filter(const raw_path *p, const ear *e, my_where *where)
{
  char text[FILTER_TEXT + 300], sources[FILTER_TEXT];
  struct bpf_program program;
  bool four = p->path.local.family == 4;
  name_sources(p, sources);
  snprintf(text, sizeof text, "((%s) and (%s dst portrange %u-%u or %s)) or %s", sources,
           p->tcp ? "tcp" : "udp", p->path.port_first, p->path.port_first + p->path.port_count - 1u,
           four ? "(ip proto 17 and ip[6:2] & 0x1fff != 0)" : "ip6 proto 44",
           four ? "icmp" : "icmp6");
  if (pcap_compile(e->pcap, &program, text, 1, PCAP_NETMASK_UNKNOWN) != 0)
    return fail_pcap(e, text, where);
  int rc = pcap_setfilter(e->pcap, &program);
  pcap_freecode(&program);
  return rc == 0 ? MY_OK : fail_pcap(e, text, where);
}

static int open_ear(raw_path *p, ear *e, const char *interface, int room, my_where *where)
{
  char message[PCAP_ERRBUF_SIZE];
  int one = 1;
  pcap_set_snaplen(e->pcap, SNAP);
  pcap_set_promisc(e->pcap, 0);
  pcap_set_timeout(e->pcap, RETIRE_MS);
  pcap_set_buffer_size(e->pcap, room);
  pcap_set_tstamp_precision(e->pcap, PCAP_TSTAMP_PRECISION_NANO);
  if (pcap_activate(e->pcap) < 0) return fail_pcap(e, interface, where);
  e->dlt = pcap_datalink(e->pcap);
  if (pcap_setnonblock(e->pcap, 1, message) != 0) return fail_pcap(e, interface, where);
  e->fd = pcap_get_selectable_fd(e->pcap);
  /* Our own frames are none of our business (Linux 4.20; without it the filter passes them over).
   */
  setsockopt(e->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one);
  return set_filter(p, e, where);
}

/* The links that answers may come by, each once. False: too many. */
static bool find_links(const scan_ways *ways, char names[SCAN_LINKS][16], size_t *count)
{
  *count = 0;
  for (size_t i = 0; i < ways->count; i++) {
    const char *name = ways->list[i].interface;
    bool known = name[0] == 0; /* of what no way leads to */
    for (size_t k = 0; k < *count && !known; k++)
      known = strcmp(names[k], name) == 0;
    if (known) continue;
    if (*count == SCAN_LINKS) return false;
    memcpy(names[(*count)++], name, sizeof ways->list[i].interface);
  }
  return true;
}

static int open_listeners(raw_path *p, my_where *where)
{
  char message[PCAP_ERRBUF_SIZE], names[SCAN_LINKS][16];
  size_t count;
  if (!find_links(&p->ways, names, &count)) {
    snprintf(where->text, sizeof where->text,
             "the targets lie behind more than %d links: choose one with -e, or scan without --raw",
             SCAN_LINKS);
    return MY_ERANGE;
  }
  if (my_fragments_new(&p->fragments) != MY_OK) return MY_ENOMEM;
  for (size_t i = 0; i < count; i++) {
    ear *e = &p->ears[i];
    *e = (ear){.path = p, .pcap = pcap_create(names[i], message), .fd = -1};
    if (!e->pcap) {
      snprintf(where->text, sizeof where->text, "cannot listen: %.150s", message);
      return MY_ESYS;
    }
    p->ear_count++;
    int rc = open_ear(p, e, names[i], RING_BYTES / (int)count, where);
    if (rc != MY_OK) return rc;
  }
  return MY_OK;
}

/* ---- the path ---- */

static void raw_close(scan_path *path)
{
  raw_path *p = (raw_path *)path;
  for (size_t i = 0; i < p->ear_count; i++)
    pcap_close(p->ears[i].pcap);
  my_fragments_free(p->fragments);
  for (size_t i = 0; i < OUTLETS; i++)
    if (p->fds[i] >= 0) close(p->fds[i]);
  for (size_t i = 0; i < PORTS; i++)
    if (p->held[i] >= 0) close(p->held[i]);
  scan_ways_free(&p->ways);
  free(p);
}

int scan_raw_open(scan_path **out, const my_scan_config *config, my_where *where)
{
  *out = NULL;
  raw_path *p = calloc(1, sizeof *p);
  if (!p) return MY_ENOMEM;
  p->path =
      (scan_path){.send = raw_send, .hear = raw_hear, .dropped = raw_dropped, .close = raw_close};
  for (size_t i = 0; i < OUTLETS; i++)
    p->fds[i] = -1;
  for (size_t i = 0; i < PORTS; i++)
    p->held[i] = -1;
  int rc = scan_ways_find(&p->ways, config, where);
  if (rc == MY_OK) rc = open_senders(p, config, where);
  if (rc == MY_OK) rc = hold_ports(p, config, where);
  if (rc == MY_OK && !config->deaf) rc = open_listeners(p, where);
  if (rc == MY_OK)
    *out = &p->path;
  else
    raw_close(&p->path);
  return rc;
}
