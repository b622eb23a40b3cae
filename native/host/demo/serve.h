/* serve.h - what demo.c gives each protocol: a TCP connection with room for a request, delayed
 * answers, random bytes. */
#ifndef MYNAH_DEMO_SERVE_H
#define MYNAH_DEMO_SERVE_H

#include <uv.h>

#include "demo.h"

enum { MY_DEMO_INPUT = 4096 }; /* bytes of a request that a server looks at */

typedef struct my_demo_conn my_demo_conn;

/* What a server does on TCP. greet may be NULL. input is called whenever bytes came: it looks at
 * all that is waiting (a NUL stands behind it) and returns how many bytes it is done with, 0: wait
 * for more. */
typedef struct my_demo_protocol {
  void (*greet)(my_demo_conn *c);
  size_t (*input)(my_demo_conn *c, const char *bytes, size_t len);
} my_demo_protocol;

extern const my_demo_protocol my_demo_skype_tcp, my_demo_ftp, my_demo_http;

/* What a Skype-like node answers to a datagram: bytes written to out, 0 for silence. */
size_t my_demo_skype_udp(const my_demo_options *options, const struct sockaddr *from,
                         const uint8_t *in, size_t len, uint8_t out[static 11]);

/* Send 'len' bytes, after the server's delay; then close where 'last'. */
void my_demo_say(my_demo_conn *c, const char *bytes, size_t len, bool last);

/* True once in a connection: for a server that answers only the first thing it is told. */
bool my_demo_first(my_demo_conn *c);

void my_demo_random(void *out, size_t len);

#endif
