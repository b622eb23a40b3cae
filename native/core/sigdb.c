/* sigdb.c - a database of signatures: memory, look-up, and what is told of each. */
#include "sig.h"

#include <stdlib.h>
#include <string.h>

struct arena_chunk {
  struct arena_chunk *next;
  size_t used, size;
  max_align_t data[];
};

void *arena_alloc(arena *a, size_t size)
{
  enum { CHUNK = 16 * 1024 };
  struct arena_chunk *c = a->head;
  size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
  if (c == NULL || c->size - c->used < size) {
    size_t want = size > CHUNK ? size : CHUNK;
    c = calloc(1, sizeof *c + want);
    if (c == NULL) return NULL;
    c->size = want;
    c->next = a->head;
    a->head = c;
  }
  void *p = (char *)c->data + c->used;
  c->used += size;
  return p;
}

char *arena_text(arena *a, const char *s, size_t n)
{
  char *copy = arena_alloc(a, n + 1);
  if (copy != NULL && n > 0) memcpy(copy, s, n);
  return copy;
}

void arena_free(arena *a)
{
  for (struct arena_chunk *c = a->head, *next; c != NULL; c = next) {
    next = c->next;
    free(c);
  }
  a->head = NULL;
}

static void sig_release(my_sig *s)
{
  for (size_t i = 0; i < s->step_count; i++)
    sig_release(s->steps[i]);
  for (size_t i = 0; i < s->line_count; i++)
    for (size_t r = 0; r < s->lines[i].right_count; r++)
      if (s->lines[i].right[r].regex != NULL) pcre2_code_free(s->lines[i].right[r].regex);
}

static void file_free(struct sig_file *f)
{
  for (size_t i = 0; i < f->count; i++)
    sig_release(f->sigs[i]);
  free(f->sigs);
  arena_free(&f->memory);
  free(f);
}

int my_sigdb_new(my_sigdb **out)
{
  *out = calloc(1, sizeof **out);
  return *out != NULL ? MY_OK : MY_ENOMEM;
}

void my_sigdb_free(my_sigdb *db)
{
  if (db == NULL) return;
  for (struct sig_file *f = db->files, *next; f != NULL; f = next) {
    next = f->next;
    file_free(f);
  }
  index_free(db->index);
  free(db->all);
  free(db);
}

/* Put the signatures of a file behind all others, without counting them yet. */
static int make_room(my_sigdb *db, const struct sig_file *f)
{
  my_sig **all = realloc(db->all, (db->count + f->count + 1) * sizeof *all);
  if (all == NULL) return MY_ENOMEM;
  db->all = all;
  if (f->count > 0) memcpy(all + db->count, f->sigs, f->count * sizeof *all);
  return MY_OK;
}

int my_sigdb_add(my_sigdb *db, const char *file, my_span text, my_where *where)
{
  struct sig_file *f = calloc(1, sizeof *f);
  struct sig_index *index = NULL;
  int rc = MY_ENOMEM;
  *where = (my_where){0};
  if (f != NULL) rc = sig_parse(f, db, file, text, where);
  for (size_t i = 0; rc == MY_OK && i < f->count; i++)
    rc = sig_compile(&f->memory, f->sigs[i]);
  if (rc == MY_OK) rc = make_room(db, f);
  if (rc == MY_OK) rc = index_new(&index, db->all, db->count + f->count);
  if (rc != MY_OK) {
    if (f != NULL) file_free(f);
    return rc;
  }
  index_free(db->index);
  db->index = index;
  db->count += f->count;
  f->next = db->files;
  db->files = f;
  return MY_OK;
}

size_t my_sigdb_count(const my_sigdb *db)
{
  return db->count;
}

const my_sig *my_sigdb_at(const my_sigdb *db, size_t i)
{
  return i < db->count ? db->all[i] : NULL;
}

const my_sig *my_sigdb_find(const my_sigdb *db, const char *name)
{
  for (size_t i = 0; i < db->count; i++)
    if (strcmp(db->all[i]->info.name, name) == 0) return db->all[i];
  return NULL;
}

void my_sig_get_info(const my_sig *sig, my_sig_info *out)
{
  *out = sig->info;
}

bool my_sig_port_range(const my_sig *sig, size_t n, uint16_t *first, uint16_t *last)
{
  my_transport carrier = sig->info.transport == MY_TLS ? MY_TCP : sig->info.transport;
  for (size_t i = 0; i < sig->service->port_count; i++) {
    const port_range *r = &sig->service->ports[i];
    if (r->transport != carrier || n-- > 0) continue;
    *first = r->first;
    *last = r->last;
    return true;
  }
  return false;
}

int my_sig_port_rank(const my_sig *sig, uint16_t port)
{
  int rank = 0;
  my_transport carrier = sig->info.transport == MY_TLS ? MY_TCP : sig->info.transport;
  for (size_t i = 0; i < sig->service->port_count; i++) {
    const port_range *r = &sig->service->ports[i];
    if (r->transport != carrier || port < r->first || port > r->last) continue;
    if (r->first == r->last) return 2;
    rank = 1;
  }
  return rank;
}

const char *my_sig_line_text(const my_sig *sig, size_t i)
{
  return i < sig->line_count ? sig->lines[i].text : NULL;
}

size_t my_sig_sample_count(const my_sig *sig)
{
  return sig->sample_count;
}

const my_sample *my_sig_sample_at(const my_sig *sig, size_t i)
{
  return i < sig->sample_count ? &sig->samples[i] : NULL;
}

int my_scratch_new(my_scratch **out)
{
  my_scratch *s = calloc(1, sizeof *s);
  *out = NULL;
  if (s == NULL) return MY_ENOMEM;
  s->match = pcre2_match_data_create(32, NULL);
  s->limits = pcre2_match_context_create(NULL);
  if (s->match == NULL || s->limits == NULL) {
    my_scratch_free(s);
    return MY_ENOMEM;
  }
  /* Far above what the library's patterns need on 64 KiB, far below what a hostile reply could
   * cost. */
  pcre2_set_match_limit(s->limits, 200000);
  pcre2_set_depth_limit(s->limits, 1000);
  pcre2_set_heap_limit(s->limits, 1024); /* KiB */
  *out = s;
  return MY_OK;
}

void my_scratch_free(my_scratch *s)
{
  if (s == NULL) return;
  pcre2_match_data_free(s->match);
  pcre2_match_context_free(s->limits);
  free(s);
}
