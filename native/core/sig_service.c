/* sig_service.c - services: their names, titles, likely ports and provenance. */
#include "sig_parse.h"

#include <string.h>

int parse_service(parser *p, const token *word)
{
  char *name;
  int rc = take_name(p, "service", &name);
  (void)word;
  if (rc != MY_OK) return rc;
  p->service = arena_alloc(&p->file->memory, sizeof *p->service);
  if (p->service == NULL) return MY_ENOMEM;
  p->service->name = name;
  p->service->title = "";
  return expect_end(p);
}

static int parse_port_range(parser *p, const token *t, my_transport transport, const char *s,
                            size_t n)
{
  const char *dash = memchr(s, '-', n);
  uint64_t first, last;
  size_t head = dash != NULL ? (size_t)(dash - s) : n;
  if (!read_decimal(s, head, 1, 65535, &first))
    return parse_fail(p, t, "port \"%.*s\": expected 1 to 65535", (int)head, s);
  last = first;
  if (dash != NULL && !read_decimal(dash + 1, n - head - 1, first, 65535, &last))
    return parse_fail(p, t, "ports \"%.*s\": expected a range from low to high", (int)n, s);
  service *v = p->service;
  v->ports = grow(&p->file->memory, v->ports, v->port_count, sizeof *v->ports);
  if (v->ports == NULL) return MY_ENOMEM;
  v->ports[v->port_count++] = (port_range){transport, (uint16_t)first, (uint16_t)last};
  return MY_OK;
}

int parse_ports(parser *p, const token *word)
{
  (void)word;
  const token *t = parse_take(p);
  my_transport transport = token_is(t, "tcp") ? MY_TCP : MY_UDP;
  if (!token_is(t, "udp") && !token_is(t, "tcp"))
    return parse_fail(p, t, "ports of \"%.*s\": expected udp or tcp", (int)t->n, t->s);
  do {
    t = parse_take(p);
    if (t->kind != TOKEN_WORD) return parse_fail(p, t, "ports: expected 1 to 65535, or a range");
    for (size_t i = 0, start = 0; i <= t->n; i++) {
      if (i < t->n && t->s[i] != ',') continue;
      int rc = parse_port_range(p, t, transport, t->s + start, i - start);
      if (rc != MY_OK) return rc;
      start = i + 1;
    }
  } while (parse_peek(p)->kind != TOKEN_END && !token_is(parse_peek(p), "tcp") &&
           !token_is(parse_peek(p), "udp"));
  return parse_peek(p)->kind == TOKEN_END ? MY_OK : parse_ports(p, word);
}

int parse_title(parser *p, const token *word)
{
  int rc = take_text(p, "title", &p->service->title);
  (void)word;
  return rc == MY_OK ? expect_end(p) : rc;
}

/* Of a service or of a signature; kept for readers of the file alone. */
int parse_from(parser *p, const token *word)
{
  const char *provenance;
  if (p->service == NULL) return parse_fail(p, word, "\"from\" before `service NAME`");
  int rc = take_text(p, "from", &provenance);
  return rc == MY_OK ? expect_end(p) : rc;
}
