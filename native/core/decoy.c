/* decoy.c - servers that play with our bytes and know no service. The "random" bytes are the same
 * every time. */
#include "decoy.h"

#include <stdio.h>
#include <string.h>

typedef enum play_kind {
  PLAY_ECHO,
  PLAY_REVERSED,
  PLAY_LAST_CHANGED,
  PLAY_FILL,  /* with byte n */
  PLAY_FIRST, /* n bytes come back, random ones follow */
  PLAY_STALE, /* the sample, whatever is asked */
  PLAY_BIT    /* our bytes with one bit turned */
} play_kind;

static const struct {
  const char *name;
  play_kind kind;
  uint8_t n;
} plays[] = {{"an echo", PLAY_ECHO, 0},
             {"the request reversed", PLAY_REVERSED, 0},
             {"the request with its last byte changed", PLAY_LAST_CHANGED, 0},
             {"zero bytes", PLAY_FILL, 0},
             {"ff bytes", PLAY_FILL, 0xff},
             {"a constant text", PLAY_FILL, 'A'},
             {"random bytes", PLAY_FIRST, 0},
             {"2 bytes returned, then random ones", PLAY_FIRST, 2},
             {"4 bytes returned, then random ones", PLAY_FIRST, 4},
             {"8 bytes returned, then random ones", PLAY_FIRST, 8},
             {"16 bytes returned, then random ones", PLAY_FIRST, 16},
             {"an old reply to another request", PLAY_STALE, 0}};

enum { PLAYS = sizeof plays / sizeof *plays, BIT_BYTES = 16 /* of the header */ };

size_t decoy_count(void)
{
  return PLAYS + 8 * BIT_BYTES;
}

const char *decoy_name(size_t decoy, char name[DECOY_NAME_MAX])
{
  if (decoy < PLAYS) return plays[decoy].name;
  snprintf(name, DECOY_NAME_MAX, "the request with bit %02x of byte %zu turned",
           0x80u >> (decoy - PLAYS) % 8, (decoy - PLAYS) / 8);
  return name;
}

static play_kind kind_of(size_t decoy)
{
  return decoy < PLAYS ? plays[decoy].kind : PLAY_BIT;
}

/* A xorshift: the same bytes every time, and different ones for each call. */
static void fill_random(uint64_t *state, uint8_t *out, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    out[i] = (uint8_t)(*state >> 32);
  }
}

static size_t least(size_t a, size_t b)
{
  return a < b ? a : b;
}

/* What it answers with bytes of its own, as long as the sample. */
static size_t play_own(size_t decoy, my_span request, my_span sample, uint64_t *state, uint8_t *out)
{
  size_t n = least(sample.len, DECOY_REPLY_MAX);
  size_t first = least(plays[decoy].n, least(request.len, n));
  if (plays[decoy].kind == PLAY_FILL) {
    memset(out, plays[decoy].n, n);
  } else if (plays[decoy].kind == PLAY_STALE) {
    if (n > 0) memcpy(out, sample.data, n);
  } else {
    fill_random(state, out, n);
    if (first > 0) memcpy(out, request.data, first);
  }
  return n;
}

/* Its reply to 'request'. */
static my_span play(size_t decoy, my_span request, my_span sample, uint64_t *state, uint8_t *out)
{
  play_kind kind = kind_of(decoy);
  if (kind == PLAY_FILL || kind == PLAY_FIRST || kind == PLAY_STALE)
    return (my_span){out, play_own(decoy, request, sample, state, out)};
  size_t n = least(request.len, DECOY_REPLY_MAX), bit = decoy - PLAYS;
  for (size_t i = 0; i < n; i++)
    out[i] = request.data[kind == PLAY_REVERSED ? n - 1 - i : i];
  if (kind == PLAY_LAST_CHANGED && n > 0) out[n - 1] ^= 0x5a;
  if (kind == PLAY_BIT && bit / 8 < n) out[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
  return (my_span){out, n};
}

my_pair pair_of(my_span request, my_span reply)
{
  my_pair p = {.request = request, .reply = reply, .closed = true};
  my_endpoint_parse(&p.my, "192.0.2.7", 40000);
  my_endpoint_parse(&p.peer, "192.0.2.1", 9);
  return p;
}

/* The next datagram of the conversation at pairs[i]: a new probe, the last one again, or the step.
 */
static int ask(const my_sig *sig, size_t decoy, const my_sample *model, decoy_talk *t, size_t i,
               const my_verdict *v, uint64_t *state)
{
  my_want want = v->want;
  my_pair blank = pair_of((my_span){0}, (my_span){0});
  my_span entropy = {t->entropy, sizeof t->entropy}, request = {t->request[i], 0};
  my_span sample = want == MY_WANT_STEP ? model->then_reply : model->reply;
  if (want == MY_WANT_SAME && i > 0) {
    request = t->pairs[i - 1].request;
  } else {
    fill_random(state, t->entropy, sizeof t->entropy);
    int n = want == MY_WANT_STEP
                ? my_sig_compose_step(sig, v->step, &t->pairs[i - 1], entropy, t->request[i],
                                      MY_PROBE_MAX)
                : my_sig_compose(sig, &blank.my, &blank.peer, entropy, t->request[i], MY_PROBE_MAX);
    if (n < 0) return n;
    request.len = (size_t)n;
  }
  if (want == MY_WANT_CONTROL) my_sig_break(sig, t->request[i], request.len);
  t->pairs[i] = pair_of(request, play(decoy, request, sample, state, t->reply[i]));
  t->pairs[i].now_unix_ns = 1700000000000000000;
  t->pairs[i].step = want == MY_WANT_STEP ? v->step : 0;
  return MY_OK;
}

int decoy_try(const my_sig *sig, size_t decoy, const my_sample *sample, decoy_talk *room,
              my_scratch *scratch, bool *fooled)
{
  uint64_t state = 0x9e3779b97f4a7c15u;
  my_verdict v = {.state = MY_MORE, .want = MY_WANT_FRESH};
  my_control control = MY_CONTROL_NOT_ASKED;
  *fooled = false;
  for (size_t count = 0, i = 0; v.state == MY_MORE && i < DECOY_TALK_MAX; i = count) {
    int rc = ask(sig, decoy, sample, room, i, &v, &state);
    if (rc != MY_OK) return rc;
    if (v.want != MY_WANT_CONTROL)
      count++;
    else
      control = my_sig_answers_control(sig, &room->pairs[i], scratch) ? MY_CONTROL_ANSWERED
                                                                      : MY_CONTROL_SILENT;
    my_sig_judge(sig, room->pairs, count, control, scratch, &v);
  }
  *fooled = v.state == MY_CERTAIN;
  return MY_OK;
}
