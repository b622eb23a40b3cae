/* batch_peers.c - the other side of tests/bench/batch, and the least that a batch scanner does.
 *
 *   batch_peers serve             HTTP on port 80, FTP on 21, silence on 9; on 8000 all three, by
 * the last number of the address: 0 to 3 of 8 HTTP, 4 and 5 FTP. A line on standard input is
 * answered: accepted, open at once at the most (since the line before); its end ends the program
 *   batch_peers bare FIRST COUNT  ask that many addresses from FIRST on for a page, at port 80, and
 *                                 throw it away; prints answered, seconds, seconds of CPU
 *   batch_peers run FILE COMMAND  run a program, its standard output in FILE; prints seconds, CPU
 * of user and of system, and the most memory in KiB */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, ROOM = 4096, WINDOW = 1000, FDS = 65536, MIXED_PORT = 8000 };

typedef enum kind { KIND_HTTP, KIND_FTP, KIND_SILENT, KIND_MIXED } kind;

static const char page[] =
    "HTTP/1.1 200 OK\r\nServer: nginx/1.24.0\r\nDate: Fri, 27 Nov 2026 19:00:00 GMT\r\n"
    "Content-Type: text/html\r\nContent-Length: 153\r\nLast-Modified: Tue, 11 Apr 2023 01:45:34 "
    "GMT\r\n"
    "Connection: close\r\nETag: \"6434bbbe-99\"\r\nAccept-Ranges: bytes\r\n\r\n"
    "<!DOCTYPE html>\n<html>\n<head>\n<title>Welcome to nginx!</title>\n</head>\n<body>\n"
    "<h1>Welcome to nginx!</h1>\n<p>It works, says this page.</p>\n</body>\n</html>\n";
static const char welcome[] = "220 (vsFTPd 3.0.5)\r\n";
static const char features[] =
    "211-Features:\r\n EPRT\r\n EPSV\r\n MDTM\r\n PASV\r\n REST STREAM\r\n"
    " SIZE\r\n TVFS\r\n211 End\r\n";
static const char login[] = "530 Please login with USER and PASS.\r\n";

static _Noreturn void die(const char *what)
{
  fprintf(stderr, "batch_peers: %s: %s\n", what, strerror(errno));
  exit(3);
}

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds_of(struct timeval t)
{
  return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void watch(int poll_fd, int fd, uint32_t events, uint32_t value)
{
  struct epoll_event e = {.events = events, .data.u64 = (uint64_t)value << 32 | (uint32_t)fd};
  if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &e) != 0) die("epoll");
}

/* ---- the servers ---- */

typedef enum role { ROLE_LISTENER = 16, ROLE_STDIN = 32 } role;

static unsigned long accepted, open_now, open_most;

static int listen_on(uint16_t port)
{
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port)};
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&here, sizeof here) != 0 || listen(fd, 4096) != 0) die("listen");
  return fd;
}

static void say(int fd, const char *text, size_t len)
{
  ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
  (void)n; /* who has gone does not listen */
}

static kind kind_of(int fd, kind listener)
{
  if (listener != KIND_MIXED) return listener;
  struct sockaddr_in us;
  socklen_t len = sizeof us;
  if (getsockname(fd, (struct sockaddr *)&us, &len) != 0) return KIND_SILENT;
  unsigned place = ntohl(us.sin_addr.s_addr) % 8;
  return place < 4 ? KIND_HTTP : place < 6 ? KIND_FTP : KIND_SILENT;
}

static void take(int poll_fd, int listener, kind what)
{
  int fd;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    kind k = kind_of(fd, what);
    accepted++;
    if (++open_now > open_most) open_most = open_now;
    if (k == KIND_FTP) say(fd, welcome, sizeof welcome - 1);
    watch(poll_fd, fd, EPOLLIN, (uint32_t)k);
  }
}

static void leave(int fd)
{
  open_now--;
  close(fd);
}

static void serve_one(int fd, kind k)
{
  char room[ROOM];
  ssize_t n = recv(fd, room, sizeof room, 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) {
    leave(fd);
    return;
  }
  if (k == KIND_FTP && n >= 4 && memcmp(room, "FEAT", 4) == 0)
    say(fd, features, sizeof features - 1);
  else if (k == KIND_FTP)
    say(fd, login, sizeof login - 1);
  if (k != KIND_HTTP) return;
  say(fd, page, sizeof page - 1);
  leave(fd);
}

static void tell(void)
{
  char line[256];
  ssize_t n = read(STDIN_FILENO, line, sizeof line);
  if (n <= 0) exit(0);
  printf("%lu %lu\n", accepted, open_most);
  fflush(stdout);
  accepted = 0;
  open_most = open_now;
}

static _Noreturn void serve(void)
{
  static const struct {
    uint16_t port;
    kind what;
  } ports[] = {{80, KIND_HTTP}, {21, KIND_FTP}, {9, KIND_SILENT}, {MIXED_PORT, KIND_MIXED}};
  struct epoll_event events[EVENTS];
  int poll_fd = epoll_create1(0);
  for (size_t i = 0; i < sizeof ports / sizeof *ports; i++)
    watch(poll_fd, listen_on(ports[i].port), EPOLLIN, ROLE_LISTENER | ports[i].what);
  watch(poll_fd, STDIN_FILENO, EPOLLIN, ROLE_STDIN);
  puts("ready");
  fflush(stdout);
  for (;;) {
    int n = epoll_wait(poll_fd, events, EVENTS, -1);
    for (int i = 0; i < n; i++) {
      int fd = (int)(uint32_t)events[i].data.u64;
      uint32_t value = (uint32_t)(events[i].data.u64 >> 32);
      if (value & ROLE_STDIN)
        tell();
      else if (value & ROLE_LISTENER)
        take(poll_fd, fd, value & ~(uint32_t)ROLE_LISTENER);
      else
        serve_one(fd, value);
    }
  }
}

/* ---- the least ---- */

/* As mynah asks. */
static const char request[] = "GET / HTTP/1.1\r\nHost: 127.100.100.100\r\nUser-Agent: Mozilla/5.0 "
                              "(compatible; mynah)\r\nAccept: */*\r\nConnection: close\r\n\r\n";

static void begin(int poll_fd, uint32_t address)
{
  struct sockaddr_in to = {
      .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(address)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (fd < 0) die("socket");
  if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) die("connect");
  watch(poll_fd, fd, EPOLLIN | EPOLLOUT | EPOLLET, 0);
}

/* True where the server has ended. */
static bool go_on(int fd, bool asks, bool *answered)
{
  char room[ROOM];
  if (asks) say(fd, request, sizeof request - 1);
  ssize_t n;
  while ((n = recv(fd, room, sizeof room, 0)) > 0)
    *answered = true;
  return n == 0 || errno != EAGAIN;
}

static void ask_all(uint32_t first, unsigned count)
{
  static bool asked[FDS], answered[FDS];
  struct epoll_event events[EVENTS];
  int poll_fd = epoll_create1(0);
  unsigned sent = 0, over = 0, heard = 0;
  double began = now();
  while (over < count) {
    for (; sent < count && sent - over < WINDOW; sent++)
      begin(poll_fd, first + sent);
    int n = epoll_wait(poll_fd, events, EVENTS, -1);
    for (int i = 0; i < n; i++) {
      int fd = (int)(uint32_t)events[i].data.u64;
      bool asks = events[i].events & EPOLLOUT && !asked[fd];
      asked[fd] = asked[fd] || asks;
      if (!go_on(fd, asks, &answered[fd])) continue;
      heard += answered[fd];
      over++;
      asked[fd] = answered[fd] = false;
      close(fd);
    }
  }
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  printf("%u %.3f %.3f\n", heard, now() - began,
         seconds_of(used.ru_utime) + seconds_of(used.ru_stime));
}

/* ---- measuring ---- */

static int run(const char *path, char **words)
{
  double began = now();
  pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid == 0) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0) die(path);
    execvp(words[0], words);
    die(words[0]);
  }
  struct rusage used;
  int status;
  if (wait4(pid, &status, 0, &used) != pid) die("wait");
  printf("%.3f %.3f %.3f %ld\n", now() - began, seconds_of(used.ru_utime),
         seconds_of(used.ru_stime), used.ru_maxrss);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}

int main(int argc, char **argv)
{
  struct in_addr first;
  if (argc == 2 && strcmp(argv[1], "serve") == 0) serve();
  if (argc >= 4 && strcmp(argv[1], "run") == 0) return run(argv[2], argv + 3);
  if (argc != 4 || strcmp(argv[1], "bare") != 0 || inet_pton(AF_INET, argv[2], &first) != 1) {
    fprintf(stderr, "usage: batch_peers serve | bare FIRST COUNT | run FILE COMMAND...\n");
    return 2;
  }
  ask_all(ntohl(first.s_addr), (unsigned)strtoul(argv[3], NULL, 10));
  return 0;
}
