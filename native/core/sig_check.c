/* sig_check.c - samples replayed, decoys refused, evidence weighed. */
#include "mynah/check.h"
#include "sig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPLY_MAX = 2048, TALK_MAX = 6 };

static int refuse(my_where *problem, unsigned line_number, const char *format, const char *what)
{
  problem->line = line_number;
  problem->column = 1;
  snprintf(problem->text, sizeof problem->text, format, what);
  return MY_ESYNTAX;
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

static my_pair pair_of(my_span request, my_span reply)
{
  my_pair p = {.request = request, .reply = reply};
  my_endpoint_parse(&p.my, "192.0.2.7", 40000);
  my_endpoint_parse(&p.peer, "192.0.2.1", 9);
  p.now_unix_ns = 1700000000000000000;
  p.closed = true;
  return p;
}

static my_pair pair_of_sample(const my_sample *s)
{
  my_pair p = pair_of(s->request, s->reply);
  if (s->my.family != 0) p.my = s->my;
  p.now_unix_ns = 0;
  return p;
}

/* ---- decoys ---- */

typedef enum decoy {
  DECOY_ECHO,
  DECOY_REVERSED,
  DECOY_LAST_CHANGED,
  DECOY_ZEROS,
  DECOY_ONES,
  DECOY_TEXT,
  DECOY_RANDOM,
  DECOY_FIRST_2, /* so many bytes come back, random ones follow */
  DECOY_FIRST_4,
  DECOY_FIRST_8,
  DECOY_COPY_BIT_80, /* our header with one bit set */
  DECOY_COPY_BYTE_2_80,
  DECOY_COPY_BYTE_0_40,
  DECOY_STALE, /* the sample, whatever is asked */
  DECOY_COUNT
} decoy;

static const char *const decoy_names[DECOY_COUNT] = {"an echo",
                                                     "the request reversed",
                                                     "the request with its last byte changed",
                                                     "zero bytes",
                                                     "ff bytes",
                                                     "a constant text",
                                                     "random bytes",
                                                     "2 bytes returned, then random ones",
                                                     "4 bytes returned, then random ones",
                                                     "8 bytes returned, then random ones",
                                                     "the request with bit 80 of byte 0 set",
                                                     "the request with bit 80 of byte 2 set",
                                                     "the request with bit 40 of byte 0 set",
                                                     "an old reply to another request"};

static size_t play(decoy d, my_span request, const my_sample *sample, uint64_t *state, uint8_t *out)
{
  size_t n = request.len < REPLY_MAX ? request.len : REPLY_MAX;
  size_t reply = sample->reply.len < REPLY_MAX ? sample->reply.len : REPLY_MAX;
  size_t first = d == DECOY_FIRST_2 ? 2 : d == DECOY_FIRST_4 ? 4 : 8;
  switch (d) {
  case DECOY_ZEROS:
  case DECOY_ONES:
  case DECOY_TEXT:
    memset(out, d == DECOY_ZEROS ? 0 : d == DECOY_ONES ? 0xff : 'A', reply);
    return reply;
  case DECOY_RANDOM:
  case DECOY_FIRST_2:
  case DECOY_FIRST_4:
  case DECOY_FIRST_8:
    fill_random(state, out, reply);
    first = first < n ? first : n;
    first = first < reply ? first : reply;
    if (d != DECOY_RANDOM && first > 0) memcpy(out, request.data, first);
    return reply;
  case DECOY_STALE:
    if (reply > 0) memcpy(out, sample->reply.data, reply);
    return reply;
  default:
    break;
  }
  if (n > 0) memcpy(out, request.data, n);
  for (size_t i = 0; d == DECOY_REVERSED && i < n; i++)
    out[i] = request.data[n - 1 - i];
  if (n > 0 && d == DECOY_LAST_CHANGED) out[n - 1] ^= 0x5a;
  if (n > 0 && d == DECOY_COPY_BIT_80) out[0] |= 0x80;
  if (n > 0 && d == DECOY_COPY_BYTE_0_40) out[0] |= 0x40;
  if (n > 2 && d == DECOY_COPY_BYTE_2_80) out[2] |= 0x80;
  return n;
}

typedef struct talk {
  uint8_t request[TALK_MAX][MY_PROBE_MAX], reply[TALK_MAX][REPLY_MAX], entropy[4096];
  my_pair pairs[TALK_MAX];
} talk;

static int compose_at(const my_sig *sig, talk *t, size_t i, uint64_t *state)
{
  my_pair p = pair_of((my_span){0}, (my_span){0});
  fill_random(state, t->entropy, sizeof t->entropy);
  return my_sig_compose(sig, &p.my, &p.peer, (my_span){t->entropy, sizeof t->entropy},
                        t->request[i], MY_PROBE_MAX);
}

/* Does the decoy also answer the broken probe as the service must not? */
static my_control ask_control(const my_sig *sig, decoy d, const my_sample *sample, talk *t,
                              size_t i, uint64_t *state, my_scratch *scratch)
{
  int n = compose_at(sig, t, i, state);
  if (n < 0 || my_sig_break(sig, t->request[i], (size_t)n) != MY_OK) return MY_CONTROL_NOT_ASKED;
  my_span request = {t->request[i], (size_t)n};
  my_span reply = {t->reply[i], play(d, request, sample, state, t->reply[i])};
  my_pair pair = pair_of(request, reply);
  return my_sig_answers_control(sig, &pair, scratch) ? MY_CONTROL_ANSWERED : MY_CONTROL_SILENT;
}

/* Hold the conversation that the prober would hold. MY_OK, *fooled says how it ended. */
static int hold_talk(const my_sig *sig, decoy d, const my_sample *sample, talk *t,
                     my_scratch *scratch, bool *fooled)
{
  uint64_t state = 0x9e3779b97f4a7c15u;
  my_verdict v = {.want = MY_WANT_FRESH};
  my_control control = MY_CONTROL_NOT_ASKED;
  *fooled = false;
  for (size_t i = 0; i < TALK_MAX; i++) {
    int n = v.want == MY_WANT_SAME && i > 0 ? (int)t->pairs[i - 1].request.len
                                            : compose_at(sig, t, i, &state);
    if (n < 0) return n;
    if (v.want == MY_WANT_SAME && i > 0)
      memcpy(t->request[i], t->pairs[i - 1].request.data, (size_t)n);
    my_span request = {t->request[i], (size_t)n};
    my_span reply = {t->reply[i], play(d, request, sample, &state, t->reply[i])};
    t->pairs[i] = pair_of(request, reply);
    my_sig_judge(sig, t->pairs, i + 1, control, scratch, &v);
    if (v.want == MY_WANT_CONTROL && i + 1 < TALK_MAX) {
      control = ask_control(sig, d, sample, t, i + 1, &state, scratch);
      my_sig_judge(sig, t->pairs, i + 1, control, scratch, &v);
    }
    if (v.state != MY_MORE) break;
  }
  *fooled = v.state == MY_CERTAIN;
  return MY_OK;
}

/* A banner or a constant answer is all that some TCP services owe: there an old reply is a right
 * one. */
static bool decoy_applies(const my_sig *sig, decoy d)
{
  bool asks = sig->info.probe_len > 0;
  if (d == DECOY_STALE) return sig->info.entropy_len > 0 && !sig->info.fresh_exempt;
  return asks || d == DECOY_RANDOM || d == DECOY_ZEROS || d == DECOY_ONES || d == DECOY_TEXT;
}

static int check_decoys(const my_sig *sig, my_scratch *scratch, my_where *problem)
{
  talk *t = calloc(1, sizeof *t);
  int rc = t != NULL ? MY_OK : MY_ENOMEM;
  for (size_t s = 0; rc == MY_OK && s < sig->sample_count; s++) {
    for (int d = 0; rc == MY_OK && sig->samples[s].expect && d < DECOY_COUNT; d++) {
      bool fooled = false;
      if (!decoy_applies(sig, (decoy)d)) continue;
      rc = hold_talk(sig, (decoy)d, &sig->samples[s], t, scratch, &fooled);
      if (rc == MY_OK && fooled)
        rc = refuse(problem, sig->info.line, "is fooled by %s: add a relation or a `control`",
                    decoy_names[d]);
      else if (rc != MY_OK)
        rc =
            refuse(problem, sig->info.line, "its probe cannot be composed: %s", my_status_text(rc));
    }
  }
  free(t);
  return rc;
}

static int check_samples(const my_sig *sig, my_scratch *scratch, my_where *problem)
{
  size_t good = 0, bad = 0;
  for (size_t i = 0; i < sig->sample_count; i++) {
    const my_sample *s = &sig->samples[i];
    my_pair pair = pair_of_sample(s);
    my_match m;
    my_sig_match(sig, &pair, scratch, &m);
    if (s->expect && !m.matched)
      return refuse(problem, s->line, "the sample should match: %s does not hold",
                    m.first_failed >= 0 ? sig->lines[m.first_failed].text : "that it is no echo");
    if (!s->expect && m.matched)
      return refuse(problem, s->line, "the sample should not match%s", "");
    good += s->expect;
    bad += !s->expect;
  }
  if (good == 0)
    return refuse(problem, sig->info.line, "no sample that matches: add `match REQUEST > REPLY`%s",
                  "");
  if (bad == 0)
    return refuse(problem, sig->info.line,
                  "no sample that does not: add `nomatch REQUEST > REPLY`%s", "");
  return MY_OK;
}

static int check_budget(const my_sig *sig, my_where *problem)
{
  char figures[80];
  if (sig->info.budget.enough) return MY_OK;
  snprintf(figures, sizeof figures, "%.1f fresh and %.1f identity bits",
           sig->info.budget.fresh_bits, sig->info.budget.identity_bits);
  return refuse(problem, sig->info.line,
                "too little evidence: %s; a certain verdict wants 16 of each, 40 together",
                figures);
}

/* Replies of other services must not match, whatever was asked. */
static int check_overlap(const my_sigdb *db, const my_sig *sig, my_scratch *scratch,
                         my_where *problem)
{
  for (size_t i = 0; i < db->count; i++) {
    const my_sig *other = db->all[i];
    if (strcmp(other->info.service, sig->info.service) == 0 ||
        (other->info.transport == MY_UDP) != (sig->info.transport == MY_UDP) ||
        other->info.banner != sig->info.banner)
      continue;
    for (size_t s = 0; s < other->sample_count; s++) {
      my_pair pair = pair_of_sample(&other->samples[s]);
      my_match m;
      if (!other->samples[s].expect) continue;
      my_sig_match(sig, &pair, scratch, &m);
      if (m.matched)
        return refuse(problem, sig->info.line, "matches a sample of signature %s",
                      other->info.name);
    }
  }
  return MY_OK;
}

int my_sigdb_check(const my_sigdb *db, size_t i, my_scratch *scratch, my_where *problem)
{
  const my_sig *sig = my_sigdb_at(db, i);
  int rc;
  *problem = (my_where){0};
  if (sig == NULL) return MY_ENOENT;
  if ((rc = check_samples(sig, scratch, problem)) != MY_OK ||
      (rc = check_budget(sig, problem)) != MY_OK ||
      (rc = check_decoys(sig, scratch, problem)) != MY_OK)
    return rc;
  return check_overlap(db, sig, scratch, problem);
}
