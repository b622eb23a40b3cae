/* scan_peers.c - the other side of tests/bench/scan, and the least that a scanner does.
 *
 *   scan_peers respond INTERFACE             answer every DNS question over UDP, to whatever
 * address scan_peers send INTERFACE SOURCE NETWORK MAC COUNT send that many questions as fast as it
 * goes scan_peers exchange INTERFACE SOURCE NETWORK MAC COUNT WINDOW the same, never more than
 * WINDOW unanswered; drain the answers unread
 *
 * Frames go through AF_PACKET sockets in batches, past the queueing discipline. 'send' and
 * 'exchange' print: sent, answers, seconds, seconds of CPU. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 128, ROOM = 256, ETHER = 14, IP = 20, UDP = 8, HEAD = ETHER + IP + UDP };

/* What is asked: dig example.com A, as a probe of a scanner may be. */
static const uint8_t question[] = {0x12, 0x34, 0x01, 0x00, 0,   1,   0,   0,   0,   0,
                                   0,    0,    7,    'e',  'x', 'a', 'm', 'p', 'l', 'e',
                                   3,    'c',  'o',  'm',  0,   0,   1,   0,   1};

static void die(const char *what)
{
  fprintf(stderr, "scan_peers: %s: %s\n", what, strerror(errno));
  exit(3);
}

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A socket that gives the frames of UDP that came in, and nothing else: to send only where
 * 'listens' is false. */
static int open_link(const char *interface, bool listens)
{
  static struct sock_filter udp_in[] = {
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)},
      {BPF_JMP | BPF_JEQ | BPF_K, 5, 0, PACKET_OUTGOING},
      {BPF_LD | BPF_H | BPF_ABS, 0, 0, 12},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, ETH_P_IP},
      {BPF_LD | BPF_B | BPF_ABS, 0, 0, 23},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, IPPROTO_UDP},
      {BPF_RET | BPF_K, 0, 0, ROOM},
      {BPF_RET | BPF_K, 0, 0, 0},
  };
  struct sock_fprog filter = {sizeof udp_in / sizeof *udp_in, udp_in};
  struct sockaddr_ll here = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(listens ? ETH_P_ALL : 0),
                             .sll_ifindex = (int)if_nametoindex(interface)};
  int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1, room = 1 << 25;
  if (fd < 0 || here.sll_ifindex == 0) die(interface);
  if (listens && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0)
    die("filter");
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
  setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
  setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&here, sizeof here) != 0) die("bind");
  return fd;
}

typedef struct batch {
  struct mmsghdr messages[BATCH];
  struct iovec parts[BATCH];
  uint8_t frames[BATCH][ROOM];
} batch;

static void lay(batch *b)
{
  for (size_t i = 0; i < BATCH; i++) {
    b->parts[i] = (struct iovec){b->frames[i], ROOM};
    b->messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &b->parts[i], .msg_iovlen = 1}};
  }
}

static void send_all(int fd, batch *b, unsigned count)
{
  for (unsigned done = 0; done < count;) {
    int n = sendmmsg(fd, b->messages + done, count - done, 0);
    if (n < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR) die("send");
    if (n > 0) done += (unsigned)n;
  }
}

/* ---- the responder ---- */

static void swap(uint8_t *a, uint8_t *b, size_t len)
{
  for (size_t i = 0; i < len; i++) {
    uint8_t keep = a[i];
    a[i] = b[i];
    b[i] = keep;
  }
}

/* Turn a question into its answer: addresses and ports change places, so that the sums stay right,
 * but for the two bits that make it an answer. */
static void turn(uint8_t *f)
{
  swap(f, f + 6, 6);
  swap(f + ETHER + 12, f + ETHER + 16, 4);
  swap(f + ETHER + IP, f + ETHER + IP + 2, 2);
  f[HEAD + 2] |= 0x80;                       /* QR */
  f[HEAD + 3] |= 0x80;                       /* RA */
  f[ETHER + IP + 6] = f[ETHER + IP + 7] = 0; /* no sum (RFC 768) */
}

static _Noreturn void respond(const char *interface)
{
  static batch b;
  int fd = open_link(interface, true);
  for (;;) {
    lay(&b);
    int n = recvmmsg(fd, b.messages, BATCH, MSG_WAITFORONE, NULL);
    if (n < 0 && errno != EINTR) die("receive");
    unsigned answers = 0;
    for (int i = 0; i < n; i++) {
      size_t len = b.messages[i].msg_len;
      if (len < HEAD + 12) continue;
      turn(b.frames[i]);
      b.parts[answers] = (struct iovec){b.frames[i], len};
      b.messages[answers].msg_hdr.msg_iov = &b.parts[answers];
      answers++;
    }
    send_all(fd, &b, answers);
  }
}

/* ---- the bare sender ---- */

static _Atomic uint64_t drained;
static _Atomic int over;

static void *drain(void *arg)
{
  static batch b;
  int fd = *(int *)arg;
  struct timeval pause = {0, 50000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &pause, sizeof pause);
  lay(&b);
  for (size_t i = 0; i < BATCH; i++)
    b.parts[i].iov_len = 1; /* unread */
  while (!over) {
    int n = recvmmsg(fd, b.messages, BATCH, MSG_WAITFORONE, NULL);
    if (n > 0) atomic_fetch_add(&drained, (uint64_t)n);
  }
  return NULL;
}

static uint16_t sum_of(const uint8_t *p, size_t len)
{
  uint32_t total = 0;
  for (size_t i = 0; i < len; i += 2)
    total += (uint32_t)p[i] << 8 | p[i + 1];
  while (total >> 16)
    total = (total & 0xffff) + (total >> 16);
  return (uint16_t)~total;
}

typedef struct plan {
  const char *interface;
  uint8_t ours[6], theirs[6];
  uint32_t source, network; /* host byte order; a /16 */
  uint64_t count, window;
} plan;

static void compose(const plan *p, uint8_t *f, uint64_t n)
{
  uint32_t source = htonl(p->source), to = htonl(p->network + (uint32_t)(n & 0xffff));
  memset(f, 0, HEAD);
  memcpy(f, p->theirs, 6);
  memcpy(f + 6, p->ours, 6);
  f[12] = 8;
  uint8_t *ip = f + ETHER, *udp = ip + IP;
  ip[0] = 0x45;
  ip[3] = IP + UDP + sizeof question;
  ip[8] = 64;
  ip[9] = IPPROTO_UDP;
  memcpy(ip + 12, &source, 4);
  memcpy(ip + 16, &to, 4);
  uint16_t sum = sum_of(ip, IP);
  ip[10] = (uint8_t)(sum >> 8);
  ip[11] = (uint8_t)sum;
  udp[0] = 0x9c; /* port 40000 */
  udp[1] = 0x40;
  udp[3] = 53;
  udp[5] = UDP + sizeof question;
  memcpy(udp + UDP, question, sizeof question);
}

static void run(const plan *p)
{
  static batch b;
  bool listens = p->window > 0;
  int out = open_link(p->interface, false), in = listens ? open_link(p->interface, true) : -1;
  pthread_t listener;
  if (listens && pthread_create(&listener, NULL, drain, &in) != 0) die("thread");
  double began = now(), last = began;
  lay(&b);
  for (size_t i = 0; i < BATCH; i++)
    b.parts[i].iov_len = HEAD + sizeof question;
  uint64_t lost = 0;
  for (uint64_t sent = 0; sent < p->count;) {
    while (listens && sent + BATCH > drained + lost + p->window) {
      uint64_t before = drained;
      usleep(20);
      if (drained != before)
        last = now();
      else if (now() - last > 0.05)
        lost = sent - drained; /* never to come */
    }
    for (size_t i = 0; i < BATCH; i++)
      compose(p, b.frames[i], sent + i);
    send_all(out, &b, BATCH);
    sent += BATCH;
  }
  double ended = now();
  for (uint64_t before = 0; listens && drained < p->count && drained != before;) {
    before = drained;
    usleep(20000);
    if (drained != before) ended = now();
  }
  over = 1;
  if (listens) pthread_join(listener, NULL);
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  printf("%llu %llu %.6f %.6f\n", (unsigned long long)p->count, (unsigned long long)drained,
         ended - began,
         (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
             (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
}

static uint32_t address(const char *text)
{
  struct in_addr a;
  if (inet_pton(AF_INET, text, &a) != 1) die(text);
  return ntohl(a.s_addr);
}

int main(int argc, char **argv)
{
  if (argc == 3 && strcmp(argv[1], "respond") == 0) respond(argv[2]);
  bool listens = argc == 8 && strcmp(argv[1], "exchange") == 0;
  if (!listens && !(argc == 7 && strcmp(argv[1], "send") == 0)) {
    fprintf(stderr,
            "usage: scan_peers respond INTERFACE | send INTERFACE SOURCE NETWORK MAC COUNT | "
            "exchange INTERFACE SOURCE NETWORK MAC COUNT WINDOW\n");
    return 2;
  }
  plan p = {.interface = argv[2],
            .source = address(argv[3]),
            .network = address(argv[4]),
            .count = strtoull(argv[6], NULL, 10) / BATCH * BATCH,
            .window = listens ? strtoull(argv[7], NULL, 10) : 0};
  unsigned m[6];
  if (sscanf(argv[5], "%x:%x:%x:%x:%x:%x", m, m + 1, m + 2, m + 3, m + 4, m + 5) != 6) die(argv[5]);
  for (size_t i = 0; i < 6; i++)
    p.theirs[i] = (uint8_t)m[i];
  struct ifreq request = {0};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", argv[2]);
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (ioctl(fd, SIOCGIFHWADDR, &request) != 0) die(argv[2]);
  close(fd);
  memcpy(p.ours, request.ifr_hwaddr.sa_data, 6);
  run(&p);
  return 0;
}
