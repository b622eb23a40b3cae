/* sig_easy.c - lines that servers hold without knowing the service: those that give our own bytes
 * back, and those that send one byte over and over. */
#include "sig_score.h"

#include <stdlib.h>
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

/* Does a line ask for bytes of the request, moved or changed as they may be? */
static bool is_returned(const line *l)
{
  for (size_t i = 0; i < l->right_count; i++)
    if (l->right[i].kind == RHS_PLACE && l->right[i].place.of == OF_REQUEST &&
        !l->right[i].place.length)
      return true;
  return false;
}

/* Two probes that have nothing of what is drawn anew in common. */
typedef struct echoes {
  uint8_t probe[2][MY_PROBE_MAX];
  size_t len;
} echoes;

static void make_echoes(const my_sig *sig, echoes *out)
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

static bool holds_on_echo(const line *l, const echoes *e, my_scratch *scratch)
{
  my_span a = {e->probe[0], e->len}, b = {e->probe[1], e->len};
  return e->len > 0 && holds(l, a, a, scratch) && holds(l, b, b, scratch);
}

/* Bytes of a reply that all lines can look at, and some more: a length that no field has by chance.
 */
static size_t sig_reach(const my_sig *sig)
{
  enum { MORE = 1000 };
  size_t most = 0;
  for (size_t i = 0; i < sig->line_count; i++) {
    const line *l = &sig->lines[i];
    size_t reach = (size_t)l->at.offset + l->at.width;
    for (size_t r = 0; r < l->right_count; r++) {
      size_t text = (size_t)l->at.offset + l->right[r].bytes.len;
      size_t other = (size_t)l->right[r].place.offset + l->right[r].place.width;
      reach = text > reach ? text : reach;
      reach = other > reach ? other : reach;
    }
    most = reach > most ? reach : most;
  }
  return most + MORE;
}

/* One byte over and over: what uninitialised or careless servers send. */
static void try_fills(const my_sig *sig, const echoes *e, my_span reply, uint8_t *bytes,
                      my_scratch *scratch, ease *out)
{
  static const uint8_t fills[] = {0, 0xff, ' ', '0', 'A', 'a'};
  for (size_t f = 0; f < sizeof fills; f++) {
    memset(bytes, fills[f], reply.len);
    for (size_t i = 0; i < sig->line_count; i++)
      out->easy[i] =
          out->easy[i] || holds(&sig->lines[i], (my_span){e->probe[0], e->len}, reply, scratch);
  }
}

int find_easy(const my_sig *sig, my_scratch *scratch, ease *out)
{
  echoes e;
  size_t reach = sig_reach(sig);
  uint8_t *bytes = malloc(reach);
  if (bytes == NULL) return MY_ENOMEM;
  make_echoes(sig, &e);
  for (size_t i = 0; i < sig->line_count; i++) {
    const line *l = &sig->lines[i];
    out->copied[i] = holds_on_echo(l, &e, scratch);
    out->easy[i] = out->copied[i] || is_returned(l) || l->at.length || l->at.sport;
  }
  try_fills(sig, &e, (my_span){bytes, reach}, bytes, scratch, out);
  free(bytes);
  return MY_OK;
}
