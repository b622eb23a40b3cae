/* demo.h - small servers for the demo and for tests: a Skype-like node, an FTP server, an HTTP
 * server. They listen first (so that their ports are known), then serve on a libuv loop of their
 * own until a signal or until their parent is gone. Nothing here knows the checks. */
#ifndef MYNAH_DEMO_H
#define MYNAH_DEMO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include <sys/socket.h>

typedef enum my_demo_kind { MY_DEMO_SKYPE, MY_DEMO_FTP, MY_DEMO_HTTP } my_demo_kind;

/* How a server behaves, for tests of what real ones do. */
typedef struct my_demo_options {
  bool refuse_any; /* skype: refuse every datagram of 3 bytes and more, not only kind 2 */
  bool has_public; /* skype: report public_ip instead of the address a datagram came from */
  struct in_addr public_ip;
  double drop;       /* skype: the share of datagrams to ignore, 0 to 1 */
  unsigned delay_ms; /* wait before each answer */
} my_demo_options;

typedef struct my_demo_server {
  my_demo_kind kind;
  my_demo_options options;
  struct sockaddr_storage address; /* with the port that the kernel gave */
  int tcp, udp;                    /* listening sockets, -1: none */
} my_demo_server;

/* "skype", "ftp", "http"; false for any other. */
bool my_demo_kind_parse(my_demo_kind *out, const char *name);
const char *my_demo_kind_name(my_demo_kind kind);

/* Listen on 'bind' (a numeric address) and 'port' (0: any free one; for skype the same for UDP and
 * TCP). 0, or a negative errno. */
int my_demo_listen(my_demo_server *s, my_demo_kind kind, const my_demo_options *options,
                   const char *bind, uint16_t port);
void my_demo_close(my_demo_server *s);
uint16_t my_demo_port(const my_demo_server *s);

/* Serve until SIGINT or SIGTERM; 0, or a negative libuv error. The sockets are closed then. */
int my_demo_run(my_demo_server *servers, size_t count);

#endif
