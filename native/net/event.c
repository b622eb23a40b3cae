/* event.c - the queue of what happened. An event's bytes follow it in its allocation; END needs
 * none. */
#include "state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool my_net_full(const my_engine *e)
{
  return e->event_bytes >= EVENT_BYTES_MAX;
}

static void append(my_engine *e, exchange *x, event_node *n)
{
  n->prev = e->last_event;
  n->next = NULL;
  *(e->last_event ? &e->last_event->next : &e->first_event) = n;
  e->last_event = n;
  e->event_bytes += n->cost;
  e->events++;
  e->unseen |= !e->in_step; /* or nobody would come to fetch it */
  x->queued++;
}

static void unlink_node(my_engine *e, event_node *n)
{
  *(n->prev ? &n->prev->next : &e->first_event) = n->next;
  *(n->next ? &n->next->prev : &e->last_event) = n->prev;
  e->event_bytes -= n->cost;
}

int my_net_event(my_engine *e, exchange *x, my_event event, my_span data)
{
  if (x->state == STATE_OVER) return MY_ESTATE; /* END is the last word */
  event_node *n = malloc(sizeof *n + data.len);
  if (!n) {
    my_net_finish(e, x, MY_REASON_SYSTEM, ENOMEM); /* rather than a hole nobody knows of */
    return MY_ENOMEM;
  }
  uint8_t *bytes = (uint8_t *)(n + 1);
  if (data.len) memcpy(bytes, data.data, data.len);
  *n = (event_node){.event = event, .cost = sizeof *n + data.len};
  n->event.id = x->id;
  n->event.data = (my_span){bytes, data.len};
  append(e, x, n);
  return MY_OK;
}

void my_event_end(my_engine *e, exchange *x, my_reason reason, int error)
{
  event_node *n = &x->end;
  *n = (event_node){.embedded = true, .owner = x};
  n->event = (my_event){.id = x->id, .kind = MY_EVENT_END, .reason = reason, .error = error};
  n->event.from = x->peer;
  n->event.local = x->seen_local;
  if (x->sent) n->event.attempt = x->sent - 1;
  append(e, x, n);
}

/* Forget what waits of an exchange that was given up: its END now, the rest when their turn comes.
 */
void my_event_drop(my_engine *e, exchange *x)
{
  e->events -= x->queued;
  if (x->end.embedded) unlink_node(e, &x->end);
}

/* Let go of the event given last; its span is void from here on. */
void my_event_release(my_engine *e)
{
  event_node *n = e->current;
  e->current = NULL;
  if (n) free(n->embedded ? (void *)n->owner : (void *)n);
}

/* The next event of an exchange that is still known, into e->current. False: none. */
bool my_event_take(my_engine *e)
{
  for (event_node *n; (n = e->first_event);) {
    unlink_node(e, n);
    exchange *x = my_net_find(e, n->event.id);
    if (!x) {
      free(n); /* cancelled meanwhile; an embedded one would have gone with it */
      continue;
    }
    x->queued--;
    e->events--;
    if (n->embedded) my_table_remove(e, x);
    e->current = n;
    return true;
  }
  return false;
}

void my_event_free_all(my_engine *e)
{
  my_event_release(e);
  for (event_node *n = e->first_event, *next; n; n = next) {
    next = n->next;
    if (!n->embedded) free(n);
  }
  e->first_event = e->last_event = NULL;
}
