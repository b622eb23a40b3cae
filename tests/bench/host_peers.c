/* host_peers.c - what tests/bench/host asks, and how it measures.
 *
 *   host_peers serve KIND FIRST COUNT MS
 *
 * answers on so many loopback ports, each time after so many milliseconds, until killed; prints
 * "ready". KIND: http (a page with a title), ftp (anonymous login and a list), banner (a line),
 * silent (listens only).
 *
 *   host_peers measure FILE COMMAND...
 *
 * runs a command with its output in a file; prints its exit status, seconds, seconds of CPU, peak
 * resident memory in KB.
 *
 * One thread: replies are short enough for a socket's buffer, and whoever asks FTP for a list has
 * connected before. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 1024, EVENTS = 256, PAGE = 512 };

typedef enum kind { HTTP, FTP, BANNER, SILENT, KINDS } kind;
static const char *const names[KINDS] = {"http", "ftp", "banner", "silent"};

typedef struct peer {
  int fd, data; /* data: listens for the connection that an FTP list goes over; -1: none */
  uint16_t port;
  bool listens, greeted, queued;
  double due; /* when it is to be answered, where it is queued */
  struct peer *next;
  size_t len;
  char line[LINE];
} peer;

static void die(const char *what)
{
  fprintf(stderr, "host_peers: %s: %s\n", what, strerror(errno));
  exit(3);
}

static int listen_on(uint16_t port)
{
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 1024) < 0)
    die("cannot listen");
  return fd;
}

static peer *watch(int epoll, int fd, uint16_t port, bool listens)
{
  peer *p = calloc(1, sizeof *p);
  if (!p) die("peer");
  *p = (peer){.fd = fd, .data = -1, .port = port, .listens = listens};
  struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = p};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0) die("epoll_ctl");
  return p;
}

static void say(const peer *p, const char *text)
{
  if (send(p->fd, text, strlen(text), MSG_NOSIGNAL) < 0) return; /* it hung up, and is seen next */
}

/* ---- what is said ---- */

static bool serve_http(peer *p)
{
  char body[PAGE], reply[2 * PAGE];
  if (!strstr(p->line, "\r\n\r\n")) return true;
  int len = snprintf(body, sizeof body,
                     "<html><head><title>Page of port %d</title></head><body>%d</body></html>\n",
                     p->port, p->port);
  snprintf(reply, sizeof reply,
           "HTTP/1.1 200 OK\r\nServer: peers\r\nContent-Type: text/html\r\nContent-Length: %d\r\n"
           "Connection: close\r\n\r\n%s",
           len, strncmp(p->line, "HEAD", 4) == 0 ? "" : body);
  say(p, reply);
  return false;
}

static void open_data(peer *p)
{
  struct sockaddr_in a = {0};
  socklen_t len = sizeof a;
  char reply[PAGE];
  if (p->data >= 0) close(p->data);
  p->data = listen_on(0);
  getsockname(p->data, (struct sockaddr *)&a, &len);
  int port = ntohs(a.sin_port);
  if (strncasecmp(p->line, "EPSV", 4) == 0)
    snprintf(reply, sizeof reply, "229 Entering extended passive mode (|||%d|)\r\n", port);
  else
    snprintf(reply, sizeof reply, "227 Entering passive mode (127,0,0,1,%d,%d)\r\n", port >> 8,
             port & 255);
  say(p, reply);
}

static void send_list(peer *p)
{
  char list[PAGE];
  int fd = p->data >= 0 ? accept(p->data, NULL, NULL) : -1;
  if (fd < 0) {
    say(p, "425 Use PASV or EPSV first\r\n");
    return;
  }
  snprintf(list, sizeof list,
           "drwxr-xr-x   2 0   0   4096 Nov 27 12:00 pub\r\n"
           "-rw-r--r--   1 0   0   %d Nov 27 12:00 port-%d.txt\r\n",
           p->port, p->port);
  say(p, "150 Here it comes\r\n");
  say(&(peer){.fd = fd}, list);
  close(fd);
  close(p->data);
  p->data = -1;
  say(p, "226 That was it\r\n");
}

static bool serve_command(peer *p)
{
  static const struct {
    const char *verb, *reply;
  } replies[] = {{"USER", "331 A password, please\r\n"},
                 {"PASS", "230 Welcome\r\n"},
                 {"TYPE", "200 As you like\r\n"},
                 {"SYST", "215 UNIX Type: L8\r\n"},
                 {"QUIT", "221 Goodbye\r\n"}};
  if (strncasecmp(p->line, "EPSV", 4) == 0 || strncasecmp(p->line, "PASV", 4) == 0) {
    open_data(p);
    return true;
  }
  if (strncasecmp(p->line, "LIST", 4) == 0) {
    send_list(p);
    return true;
  }
  const char *reply = "502 What?\r\n";
  for (size_t i = 0; i < sizeof replies / sizeof *replies; i++)
    if (strncasecmp(p->line, replies[i].verb, 4) == 0) reply = replies[i].reply;
  say(p, reply);
  return strncasecmp(p->line, "QUIT", 4) != 0;
}

static bool serve_ftp(peer *p)
{
  char *end;
  bool goes_on = true;
  while (goes_on && (end = strchr(p->line, '\n'))) {
    goes_on = serve_command(p);
    p->len -= (size_t)(end + 1 - p->line);
    memmove(p->line, end + 1, p->len + 1);
  }
  return goes_on;
}

/* ---- serving ---- */

static void greet(const peer *p, kind k)
{
  char line[PAGE];
  snprintf(line, sizeof line, k == FTP ? "220 FTP of port %d\r\n" : "Hello from port %d\r\n",
           p->port);
  if (k == FTP || k == BANNER) say(p, line);
}

static void hang_up(peer *p)
{
  if (p->data >= 0) close(p->data);
  close(p->fd);
  free(p);
}

static void answer(peer *p, kind k)
{
  ssize_t n = 1;
  bool goes_on = true;
  if (!p->greeted) greet(p, k);
  p->greeted = true;
  while (n > 0 && goes_on) {
    n = recv(p->fd, p->line + p->len, LINE - 1 - p->len, MSG_DONTWAIT);
    if (n <= 0) break;
    p->len += (size_t)n;
    p->line[p->len] = '\0';
    if (k == HTTP) goes_on = serve_http(p);
    if (k == FTP) goes_on = serve_ftp(p);
    if (k == BANNER || k == SILENT) p->len = 0;
  }
  bool waits = n < 0 && errno == EAGAIN;
  if (!goes_on || !waits) hang_up(p);
}

/* Who is to be answered, the first first: all wait equally long. */
typedef struct queue {
  peer *first, **last;
  double delay;
} queue;

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void enqueue(queue *q, peer *p)
{
  if (p->queued) return; /* all that came is read then */
  p->queued = true;
  p->due = now() + q->delay;
  p->next = NULL;
  *q->last = p;
  q->last = &p->next;
}

/* Answer who is due. Returns the milliseconds until the next is; -1: there is none. */
static int answer_due(queue *q, kind k)
{
  while (q->first && q->first->due <= now()) {
    peer *p = q->first;
    q->first = p->next;
    if (!q->first) q->last = &q->first;
    p->queued = false;
    answer(p, k);
  }
  return q->first ? (int)((q->first->due - now()) * 1000) + 1 : -1;
}

static void on_event(int epoll, peer *p, queue *q)
{
  if (!p->listens) {
    enqueue(q, p);
    return;
  }
  int fd;
  while ((fd = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
    enqueue(q, watch(epoll, fd, p->port, false));
}

static int serve(kind k, int first, int count, double delay)
{
  static struct epoll_event events[EVENTS];
  queue q = {.last = &q.first, .delay = delay};
  struct rlimit r;
  getrlimit(RLIMIT_NOFILE, &r);
  r.rlim_cur = r.rlim_max;
  setrlimit(RLIMIT_NOFILE, &r);
  int epoll = epoll_create1(EPOLL_CLOEXEC), ms = -1;
  for (int i = 0; i < count; i++) {
    int fd = listen_on((uint16_t)(first + i));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    watch(epoll, fd, (uint16_t)(first + i), true);
  }
  puts("ready");
  fflush(stdout);
  for (;;) {
    int n = epoll_wait(epoll, events, EVENTS, ms);
    if (n < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < n; i++)
      on_event(epoll, events[i].data.ptr, &q);
    ms = answer_due(&q, k);
  }
  return 0;
}

/* ---- measuring ---- */

static double seconds_of(struct timeval t)
{
  return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static int measure(const char *file, char **command)
{
  double began = now();
  pid_t pid = fork();
  if (pid == 0) {
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || dup2(fd, 1) < 0) die(file);
    execvp(command[0], command);
    die(command[0]);
  }
  int status;
  struct rusage usage;
  if (pid < 0 || wait4(pid, &status, 0, &usage) < 0) die("cannot run a command");
  printf("%d %.6f %.6f %ld\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1, now() - began,
         seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime), usage.ru_maxrss);
  return 0;
}

int main(int argc, char **argv)
{
  if (argc >= 4 && strcmp(argv[1], "measure") == 0) return measure(argv[2], argv + 3);
  int first = argc == 6 ? atoi(argv[3]) : 0, count = argc == 6 ? atoi(argv[4]) : 0;
  for (int k = 0; k < KINDS && first > 0 && count > 0 && first + count <= 65536; k++)
    if (strcmp(argv[1], "serve") == 0 && strcmp(argv[2], names[k]) == 0)
      return serve((kind)k, first, count, atoi(argv[5]) / 1e3);
  fputs("usage: host_peers serve KIND FIRST COUNT MS | measure FILE COMMAND...\n", stderr);
  return 2;
}
