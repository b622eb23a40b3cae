/* table.c - where the engine keeps its exchanges: by id, by what is due, and in lists of those that
 * want to send. Room for everything is made at submit, so that nothing here fails later. */
#include "state.h"

#include <stdlib.h>

/* ---- by id ---- */

static exchange **bucket_of(const my_engine *e, uint64_t id)
{
  return &e->table[id & (e->table_size - 1)]; /* ids count up: they spread by themselves */
}

exchange *my_net_find(const my_engine *e, uint64_t id)
{
  if (!e->table_size) return NULL;
  exchange *x = *bucket_of(e, id);
  while (x && x->id != id)
    x = x->hash_next;
  return x;
}

static bool grow_table(my_engine *e)
{
  size_t size = e->table_size ? e->table_size * 2 : 64;
  exchange **old = e->table, **table = calloc(size, sizeof *table);
  size_t old_size = e->table_size;
  if (!table) return old != NULL; /* a crowded table is slow, not wrong */
  e->table = table;
  e->table_size = size;
  for (size_t i = 0; i < old_size; i++) {
    for (exchange *x = old[i], *next; x; x = next) {
      next = x->hash_next;
      exchange **at = bucket_of(e, x->id);
      x->hash_next = *at;
      *at = x;
    }
  }
  free(old);
  return true;
}

static bool grow_heap(my_engine *e)
{
  size_t cap = e->heap_cap ? e->heap_cap * 2 : 64;
  exchange **heap = realloc(e->heap, cap * sizeof *heap);
  if (!heap) return false;
  e->heap = heap;
  e->heap_cap = cap;
  return true;
}

bool my_table_add(my_engine *e, exchange *x)
{
  if (e->count >= e->table_size && !grow_table(e)) return false;
  if (e->count >= e->heap_cap && !grow_heap(e)) return false;
  exchange **at = bucket_of(e, x->id);
  x->hash_next = *at;
  *at = x;
  e->count++;
  return true;
}

void my_table_remove(my_engine *e, exchange *x)
{
  exchange **at = bucket_of(e, x->id);
  while (*at != x)
    at = &(*at)->hash_next;
  *at = x->hash_next;
  e->count--;
}

/* ---- by time: a binary heap; equals in the order of submission ---- */

static bool before(const exchange *a, const exchange *b)
{
  return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->id < b->id;
}

static void place(my_engine *e, size_t i, exchange *x)
{
  e->heap[i] = x;
  x->heap_at = i + 1;
}

static void sift_up(my_engine *e, size_t i, exchange *x)
{
  for (; i && before(x, e->heap[(i - 1) / 2]); i = (i - 1) / 2)
    place(e, i, e->heap[(i - 1) / 2]);
  place(e, i, x);
}

static void sift_down(my_engine *e, size_t i, exchange *x)
{
  for (size_t child; (child = 2 * i + 1) < e->heap_len; i = child) {
    if (child + 1 < e->heap_len && before(e->heap[child + 1], e->heap[child])) child++;
    if (!before(e->heap[child], x)) break;
    place(e, i, e->heap[child]);
  }
  place(e, i, x);
}

void my_net_clear_due(my_engine *e, exchange *x)
{
  if (!x->heap_at) return;
  size_t i = x->heap_at - 1;
  exchange *last = e->heap[--e->heap_len];
  x->heap_at = 0;
  if (last == x) return;
  if (i && before(last, e->heap[(i - 1) / 2]))
    sift_up(e, i, last);
  else
    sift_down(e, i, last);
}

void my_net_set_due(my_engine *e, exchange *x, int64_t due_ns)
{
  my_net_clear_due(e, x);
  x->due_ns = due_ns;
  sift_up(e, e->heap_len++, x);
}

/* ---- lists ---- */

void my_net_list_push(my_engine *e, exchange *x, list_name name)
{
  list *l = &e->lists[name];
  x->in_list = name;
  x->prev = l->last;
  x->next = NULL;
  *(l->last ? &l->last->next : &l->first) = x;
  l->last = x;
}

void my_net_list_remove(my_engine *e, exchange *x)
{
  if (x->in_list == LIST_NONE) return;
  list *l = &e->lists[x->in_list];
  *(x->prev ? &x->prev->next : &l->first) = x->next;
  *(x->next ? &x->next->prev : &l->last) = x->prev;
  x->prev = x->next = NULL;
  x->in_list = LIST_NONE;
}
