/* http.c - a web server with one page. */
#include <stdio.h>
#include <string.h>

#include "serve.h"

static void respond(my_demo_conn *c, const char *status, const char *body, bool with_body)
{
  char text[1024];
  int n =
      snprintf(text, sizeof text,
               "HTTP/1.1 %s\r\nServer: mynah-demo/" MYNAH_VERSION "\r\nContent-Type: text/html\r\n"
               "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
               status, strlen(body), with_body ? body : "");
  my_demo_say(c, text, (size_t)n, true);
}

/* bytes is followed by a NUL. */
static size_t input(my_demo_conn *c, const char *bytes, size_t len)
{
  static const char page[] =
      "<!doctype html>\n<title>Mynah demo</title>\n<p>A page to be recognised.\n";
  static const char bad[] = "<!doctype html>\n<title>400 Bad Request</title>\n";
  const char *line_end = memchr(bytes, '\n', len);
  if (!line_end && len < MY_DEMO_INPUT) return 0;
  size_t line = line_end ? (size_t)(line_end - bytes) : len;
  bool head = strncmp(bytes, "HEAD ", 5) == 0;
  bool known = (head || strncmp(bytes, "GET ", 4) == 0) && memmem(bytes, line, " HTTP/1.", 8);
  bool whole = memmem(bytes, len, "\r\n\r\n", 4) || memmem(bytes, len, "\n\n", 2);
  if (known && !whole && len < MY_DEMO_INPUT) return 0;
  if (!my_demo_first(c)) return len;
  if (known && whole)
    respond(c, "200 OK", page, !head);
  else
    respond(c, "400 Bad Request", bad, true);
  return len;
}

const my_demo_protocol my_demo_http = {.input = input};
