/* sig_easy.c - lines that servers hold without knowing the service: those that give our own bytes
 * back, and those that send one byte over and over. */
#include "sig_score.h"

#include <string.h>

static const my_endpoint me = {.family = 4, .port = 40000, .bytes = {192, 0, 2, 7}};
static const my_endpoint somebody = {.family = 4, .port = 9, .bytes = {192, 0, 2, 1}};

static bool holds(const line *l, my_span request, my_span reply, my_scratch *scratch)
{
  my_pair pair = {.request = request, .reply = reply};
  holding h;
  pair.my = me;
  pair.peer = somebody;
  hold_line(l, &pair, scratch, &h);
  return h.held == MY_HELD;
}

void make_echoes(const my_sig *sig, echoes *out)
{
  uint8_t entropy[MY_PROBE_MAX];
  for (int i = 0; i < 2; i++) {
    for (size_t k = 0; k < sizeof entropy; k++)
      entropy[k] = (uint8_t)((i == 0 ? 0x35 : 0xca) ^ (k * 29));
    int n = my_sig_compose(sig, &me, &somebody, (my_span){entropy, sizeof entropy}, out->probe[i],
                           MY_PROBE_MAX);
    out->len = n > 0 ? (size_t)n : 0;
  }
}

bool holds_on_echo(const line *l, const echoes *e, my_scratch *scratch)
{
  my_span a = {e->probe[0], e->len}, b = {e->probe[1], e->len};
  return e->len > 0 && holds(l, a, a, scratch) && holds(l, b, b, scratch);
}

size_t line_reach(const line *l)
{
  enum { MORE = 1000 }; /* a length that no field has by chance */
  size_t most = (size_t)l->at.offset + l->at.width;
  for (size_t i = 0; i < l->right_count; i++) {
    const rhs *r = &l->right[i];
    size_t right = (size_t)l->at.offset + r->bytes.len;
    size_t other = (size_t)r->place.offset + r->place.width;
    most = right > most ? right : most;
    most = other > most ? other : most;
  }
  return most + MORE;
}

/* One byte over and over: what uninitialised or careless servers send. */
bool holds_on_fill(const line *l, const echoes *e, uint8_t *reply, my_scratch *scratch)
{
  static const uint8_t fills[] = {0, 0xff, ' ', '0', 'A', 'a'};
  size_t reach = line_reach(l);
  for (size_t i = 0; i < sizeof fills; i++) {
    memset(reply, fills[i], reach);
    if (holds(l, (my_span){e->probe[0], e->len}, (my_span){reply, reach}, scratch)) return true;
  }
  return false;
}
