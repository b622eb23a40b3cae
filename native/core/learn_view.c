/* learn_view.c - values inside replies. Each is looked at as if it were the whole of a reply, by
 * what looks at replies; what is found there stands in the lesson under the value's name. */
#include "learn.h"

#include <stdlib.h>
#include <string.h>

/* The values of one view as replies. */
typedef struct values {
  told *told;
  const told **list;
  lesson *lesson;
} values;

static void free_values(values *v)
{
  free(v->told);
  free(v->list);
  free(v->lesson);
}

/* How much further on the value of the same name stands in every request. */
static size_t home_of(const lesson *s, const view *v)
{
  size_t home = NOWHERE;
  for (size_t i = 0; i < s->count; i++) {
    my_span request = s->list[i]->pair.request, value;
    if (!view_find(v, request, &value) || value.len == 0) return NOWHERE;
    size_t at = (size_t)(value.data - request.data);
    if (i > 0 && at != home) return NOWHERE;
    home = at;
  }
  return home;
}

static void begin_values(const lesson *s, const view *v, values *out)
{
  lesson *inner = out->lesson;
  *inner = (lesson){.is_value = true, .home = home_of(s, v), .list = out->list, .count = s->count};
  inner->request_len = s->request_len;
  inner->look = LOOK_MAX;
  memcpy(inner->varies, s->varies, sizeof inner->varies);
  memcpy(inner->nonce, s->nonce, sizeof inner->nonce);
  for (size_t i = 0; i < s->count; i++) {
    told *t = &out->told[i];
    *t = *s->list[i];
    view_find(v, s->list[i]->pair.reply, &t->pair.reply);
    out->list[i] = t;
    if (t->pair.reply.len < inner->look) inner->look = t->pair.reply.len;
  }
}

/* Is it about all of the value in every reply? The language compares whole values with bytes. */
static bool is_whole(const lesson *inner, const finding *f)
{
  if (f->at > 0 || (f->kind != FOUND_ECHO && f->kind != FOUND_CONSTANT)) return false;
  for (size_t i = 0; i < inner->count; i++)
    if (inner->list[i]->pair.reply.len != f->width) return false;
  return true;
}

/* A value that stays is one fact, its bytes are none by themselves. */
static bool stays_whole(const lesson *inner)
{
  size_t n = 0;
  for (size_t i = 0; i < inner->found_count; i++)
    n += inner->found[i].kind == FOUND_CONSTANT;
  return n == inner->look && n == inner->found_count &&
         is_whole(inner, &(finding){FOUND_CONSTANT, .width = (uint16_t)n});
}

/* Bytes that are no text, in a row, as ids and keys are: one server's own, where one alone taught.
 */
static bool is_somebodys(const lesson *inner)
{
  enum { LEAST = 8 };
  bool readable = true;
  my_span value = inner->list[0]->pair.reply;
  for (size_t i = 0; i < value.len; i++)
    readable = readable && value.data[i] >= 32 && value.data[i] < 127;
  return !readable && value.len >= LEAST && one_server(inner);
}

/* An id of always so many bytes. */
static void take_length(lesson *s, const lesson *inner, uint8_t number)
{
  finding f = {FOUND_VALUE_LENGTH, .view = number, .k = (int64_t)inner->look};
  for (size_t i = 0; i < inner->count; i++)
    if (inner->list[i]->pair.reply.len != inner->look) return;
  if (s->found_count < FINDINGS_MAX) s->found[s->found_count++] = f;
}

/* What comes back within a text may stand elsewhere in another server's: of it the longest row of
 * what varies is looked for. */
static void seek_nonce(const lesson *inner, finding *f)
{
  size_t end = (size_t)f->source + f->width, best = f->source, most = 0;
  for (size_t at = f->source, n; at < end; at += n + 1) {
    for (n = 0; at + n < end && inner->varies[at + n];)
      n++;
    if (n <= most) continue;
    most = n;
    best = at;
  }
  *f = (finding){FOUND_HAS, .view = f->view, .source = (uint16_t)best, .k = (int64_t)most,
                 .weight = f->weight};
}

static void take_findings(lesson *s, const lesson *inner, uint8_t number)
{
  memcpy(s->nonce, inner->nonce, sizeof s->nonce);
  bool whole = stays_whole(inner);
  for (size_t i = 0; i < inner->found_count && s->found_count < FINDINGS_MAX; i++) {
    finding f = inner->found[i];
    if (whole && i > 0) {
      s->found[s->found_count - 1].copied &= f.copied;
      continue;
    }
    if (whole) f.width = (uint16_t)inner->look;
    f.doubtful = f.doubtful || (f.kind == FOUND_CONSTANT && is_somebodys(inner));
    f.view = number;
    f.at_home = inner->home != NOWHERE;
    f.whole = is_whole(inner, &f);
    if (s->form == FORM_TEXT && f.kind == FOUND_ECHO && !f.whole) seek_nonce(inner, &f);
    s->found[s->found_count++] = f;
  }
  bool an_id = is_somebodys(inner) && (whole || inner->found_count == 0);
  if (an_id) take_length(s, inner, number);
}

int find_views(lesson *s)
{
  values v = {0};
  name_views(s);
  if (s->form == FORM_PLAIN) return MY_OK;
  v.told = malloc(s->count * sizeof *v.told);
  v.list = malloc(s->count * sizeof *v.list);
  v.lesson = malloc(sizeof *v.lesson);
  bool ready = v.told != NULL && v.list != NULL && v.lesson != NULL;
  for (size_t i = 0; ready && i < s->view_count; i++) {
    begin_values(s, &s->views[i].view, &v);
    find_relations(v.lesson);
    find_columns(v.lesson);
    take_findings(s, v.lesson, (uint8_t)(i + 1));
  }
  free_values(&v);
  s->look = s->form == FORM_TLV ? s->tlv.header : 0;
  return ready ? MY_OK : MY_ENOMEM;
}
