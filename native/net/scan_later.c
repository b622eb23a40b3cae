/* scan_later.c - places whose hosts were asked a moment ago, until these may be asked again: a
 * binary heap by time, of a size that does not change. */
#include "scan.h"

#include <stdlib.h>

int scan_later_init(scan_later *l)
{
  l->list = calloc(LATER_MAX, sizeof *l->list);
  return l->list ? MY_OK : MY_ENOMEM;
}

void scan_later_put(scan_later *l, scan_put_off which)
{
  size_t i = l->count++;
  for (; i > 0 && l->list[(i - 1) / 2].due_ns > which.due_ns; i = (i - 1) / 2)
    l->list[i] = l->list[(i - 1) / 2];
  l->list[i] = which;
}

bool scan_later_take(scan_later *l, int64_t now_ns, scan_put_off *out)
{
  if (l->count == 0 || l->list[0].due_ns > now_ns) return false;
  *out = l->list[0];
  scan_put_off last = l->list[--l->count];
  size_t i = 0;
  for (size_t k = 1; k < l->count; k = 2 * i + 1) {
    if (k + 1 < l->count && l->list[k + 1].due_ns < l->list[k].due_ns) k++;
    if (last.due_ns <= l->list[k].due_ns) break;
    l->list[i] = l->list[k];
    i = k;
  }
  l->list[i] = last;
  return true;
}

uint64_t scan_later_first(const scan_later *l, uint64_t n)
{
  for (size_t i = 0; i < l->count; i++)
    if (l->list[i].place < n) n = l->list[i].place;
  return n;
}
