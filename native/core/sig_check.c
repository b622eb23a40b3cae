/* sig_check.c - samples replayed, decoys refused, evidence weighed. */
#include "mynah/check.h"
#include "decoy.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 3, 4))) static int refuse(my_where *problem, unsigned line_number,
                                                        const char *format, ...)
{
  va_list args;
  problem->line = line_number;
  problem->column = 1;
  va_start(args, format);
  vsnprintf(problem->text, sizeof problem->text, format, args);
  va_end(args);
  return MY_ESYNTAX;
}

static my_pair pair_of_sample(const my_sample *s)
{
  my_pair p = pair_of(s->request, s->reply);
  if (s->my.family != 0) p.my = s->my;
  return p;
}

/* The second pair of a sample that goes on, held against the step behind the first. */
static int check_then(const my_sig *sig, const my_sample *s, my_scratch *scratch, my_where *problem)
{
  my_pair pair = pair_of_sample(s);
  my_match m;
  if (s->then_reply.data == NULL) return MY_OK;
  my_sig_match(sig, &pair, scratch, &m);
  pair.step = step_behind(sig, &m);
  const my_sig *step = my_sig_step(sig, pair.step);
  if (step == NULL)
    return refuse(problem, s->line, "`then` in a sample behind which no step follows");
  pair.request = s->then_request;
  pair.reply = s->then_reply;
  my_sig_match(sig, &pair, scratch, &m);
  if (s->expect && m.first_failed >= 0)
    return refuse(problem, s->line, "the step should match: \"%s\" does not hold",
                  step->lines[m.first_failed].text);
  if (s->expect && !m.matched)
    return refuse(problem, s->line, "the step should match: it begins with the whole request");
  if (!s->expect && m.matched) return refuse(problem, s->line, "the sample should not match");
  return MY_OK;
}

static int check_sample(const my_sig *sig, const my_sample *s, my_scratch *scratch,
                        my_where *problem)
{
  my_pair pair = pair_of_sample(s);
  my_match m;
  bool goes_on = s->then_reply.data != NULL;
  my_sig_match(sig, &pair, scratch, &m);
  if (goes_on && !s->expect) return check_then(sig, s, scratch, problem);
  if (s->expect && m.first_failed >= 0)
    return refuse(problem, s->line, "the sample should match: \"%s\" does not hold",
                  sig->lines[m.first_failed].text);
  if (s->expect && !m.matched)
    return refuse(problem, s->line, "the sample should match: it begins with the whole request");
  if (!s->expect && m.matched) return refuse(problem, s->line, "the sample should not match");
  return s->expect ? check_then(sig, s, scratch, problem) : MY_OK;
}

static int check_samples(const my_sig *sig, my_scratch *scratch, my_where *problem)
{
  size_t good = 0, bad = 0;
  for (size_t i = 0; i < sig->sample_count; i++) {
    int rc = check_sample(sig, &sig->samples[i], scratch, problem);
    if (rc != MY_OK) return rc;
    good += sig->samples[i].expect;
    bad += !sig->samples[i].expect;
  }
  if (good == 0)
    return refuse(problem, sig->info.line, "no sample that matches: add `match REQUEST > REPLY`");
  if (bad == 0)
    return refuse(problem, sig->info.line,
                  "no sample that does not match: add `nomatch REQUEST > REPLY`");
  return MY_OK;
}

/* What a matching sample shows; what one reply cannot show, or not without a clock, counts as
 * shown. */
static double shown_bits(const my_sig *sig, const my_sample *s, my_scratch *scratch)
{
  my_pair pair = pair_of_sample(s);
  my_match m;
  my_sig_match(sig, &pair, scratch, &m);
  double bits = m.identity_bits + (sig->info.has_control ? CONTROL_BITS : 0);
  for (size_t i = 0; i < sig->line_count; i++) {
    const line *l = &sig->lines[i];
    if (l->branch != 0 && l->branch != m.branch) continue;
    if (m.held[i] == MY_SKIPPED && l->any == 0 && !l->soft) bits += l->worth.bits;
  }
  const my_sig *step = my_sig_step(sig, step_behind(sig, &m));
  return bits + (step != NULL && !step->optional ? step->info.budget.identity_bits : 0);
}

static int check_budget(const my_sig *sig, my_scratch *scratch, my_where *problem)
{
  const my_budget *b = &sig->info.budget;
  double fresh =
      sig->info.fresh_exempt ? b->fresh_bits : CERTAIN_BITS; /* else it can be asked for */
  const char *wanted =
      sig->info.fresh_exempt ? "16 of identity, 24 together" : "16 of each, 40 together";
  if (!b->enough)
    return refuse(
        problem, sig->info.line,
        "too little evidence: %.1f fresh and %.1f identity bits; a certain verdict wants %s",
        b->fresh_bits, b->identity_bits, wanted);
  for (size_t i = 0; i < sig->sample_count; i++) {
    const my_sample *s = &sig->samples[i];
    double shown = s->expect ? shown_bits(sig, s, scratch) : b->identity_bits;
    if (budget_is_enough(fresh, shown, sig->info.fresh_exempt)) continue;
    return refuse(problem, s->line,
                  "the sample shows too little: %.1f identity bits; a certain verdict wants %s",
                  shown, wanted);
  }
  return MY_OK;
}

/* A banner or a constant answer is all that some TCP services owe: there an old reply is a right
 * one. */
static bool decoy_applies(const my_sig *sig, const char *name)
{
  if (strstr(name, "old reply") != NULL)
    return sig->info.entropy_len > 0 && !sig->info.fresh_exempt;
  return true;
}

static int check_decoys(const my_sig *sig, const my_sample *s, decoy_talk *room,
                        my_scratch *scratch, my_where *problem)
{
  for (size_t d = 0; d < decoy_count(); d++) {
    char room_for_name[DECOY_NAME_MAX];
    const char *name = decoy_name(d, room_for_name);
    bool fooled;
    if (!decoy_applies(sig, name)) continue;
    int rc = decoy_try(sig, d, s, room, scratch, &fooled);
    if (rc != MY_OK)
      return refuse(problem, sig->info.line, "its probe cannot be composed: %s",
                    my_status_text(rc));
    if (fooled)
      return refuse(problem, sig->info.line, "is fooled by %s: add a relation or a `control`",
                    name);
  }
  return MY_OK;
}

/* Decoys as long as each of the first samples that match. */
static int check_all_decoys(const my_sig *sig, my_scratch *scratch, my_where *problem)
{
  enum { TRIED_AT_MOST = 3 };
  decoy_talk *room = malloc(sizeof *room);
  int rc = room != NULL ? MY_OK : MY_ENOMEM, tried = 0;
  for (size_t i = 0; rc == MY_OK && i < sig->sample_count && tried < TRIED_AT_MOST; i++) {
    if (!sig->samples[i].expect) continue;
    rc = check_decoys(sig, &sig->samples[i], room, scratch, problem);
    tried++;
  }
  free(room);
  return rc;
}

/* Could a reply to the one be taken for a reply to the other? */
static bool may_overlap(const my_sig *a, const my_sig *b)
{
  return strcmp(a->info.service, b->info.service) != 0 && a->info.banner == b->info.banner &&
         (a->info.transport == MY_UDP) == (b->info.transport == MY_UDP);
}

/* Replies of other services must not match, whatever was asked. */
static int check_overlap(const my_sigdb *db, const my_sig *sig, my_scratch *scratch,
                         my_where *problem)
{
  for (size_t i = 0; i < db->count; i++) {
    const my_sig *other = db->all[i];
    for (size_t s = 0; may_overlap(sig, other) && s < other->sample_count; s++) {
      my_pair pair = pair_of_sample(&other->samples[s]);
      my_match m;
      if (!other->samples[s].expect) continue;
      my_sig_match(sig, &pair, scratch, &m);
      if (m.matched)
        return refuse(problem, sig->info.line, "matches a sample of signature %s (%s:%u)",
                      other->info.name, other->info.file, other->samples[s].line);
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
      (rc = check_budget(sig, scratch, problem)) != MY_OK ||
      (rc = check_all_decoys(sig, scratch, problem)) != MY_OK)
    return rc;
  return check_overlap(db, sig, scratch, problem);
}
