/* evidence.c - what lines that held are worth together. Lines that say the same thing twice, or
 * that any fool of a server would hold too, must not add up to a proof. */
#include "sig.h"

/* Of several lines that say one fact the strongest counts. */
static void count_facts_once(evidence *list, size_t count)
{
  size_t best[FACT_COUNT] = {0}; /* index from 1 */
  for (size_t i = 0; i < count; i++) {
    size_t *b = &best[list[i].line->fact];
    if (list[i].line->fact == FACT_NONE) continue;
    size_t weaker = i;
    if (*b == 0 || list[i].bits > list[*b - 1].bits) {
      weaker = *b > 0 ? *b - 1 : i;
      *b = i + 1;
    }
    if (weaker + 1 != *b) list[weaker].bits = 0;
  }
}

static bool some_overlap(const evidence *list, size_t count)
{
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < i; k++)
      if (list[i].from < list[k].to && list[k].from < list[i].to) return true;
  return false;
}

/* The bounds of all lines in ascending order. */
static size_t sort_edges(const evidence *list, size_t count, size_t *edges)
{
  size_t n = 0;
  for (size_t i = 0; i < 2 * count; i++) {
    size_t edge = i % 2 == 0 ? list[i / 2].from : list[i / 2].to, k = n++;
    for (; k > 0 && edges[k - 1] > edge; k--)
      edges[k] = edges[k - 1];
    edges[k] = edge;
  }
  return n;
}

/* Between two bounds the line that says most of each byte counts, the others say nothing. */
static void count_bytes_once(evidence *list, size_t count)
{
  size_t edges[2 * MY_LINES_MAX];
  double a_byte[MY_LINES_MAX];
  if (!some_overlap(list, count)) return;
  size_t n = sort_edges(list, count, edges);
  for (size_t i = 0; i < count; i++) {
    a_byte[i] = list[i].from < list[i].to ? list[i].bits / (double)(list[i].to - list[i].from) : 0;
    if (list[i].from < list[i].to) list[i].bits = 0;
  }
  for (size_t e = 0; e + 1 < n; e++) {
    evidence *best = NULL;
    for (size_t i = 0; i < count; i++)
      if (list[i].from <= edges[e] && edges[e] < list[i].to &&
          (best == NULL || a_byte[i] > a_byte[best - list]))
        best = &list[i];
    if (best != NULL) best->bits += a_byte[best - list] * (double)(edges[e + 1] - edges[e]);
  }
}

/* What other lines say of the bytes that were searched. */
static double known_within(const evidence *list, size_t count, size_t from, size_t to)
{
  double bits = 0;
  for (size_t i = 0; i < count; i++) {
    size_t low = list[i].from > from ? list[i].from : from,
           high = list[i].to < to ? list[i].to : to;
    if (low < high)
      bits += list[i].bits * (double)(high - low) / (double)(list[i].to - list[i].from);
  }
  return bits;
}

/* Any long text holds many short ones, so that of all searches the best counts, and of it what the
 * other lines do not say already. */
static void count_search_once(evidence *list, size_t count)
{
  double most = 0;
  size_t best = 0;
  for (size_t i = 0; i < count; i++) {
    if (list[i].search_bits <= most) continue;
    double more =
        list[i].search_bits - known_within(list, count, list[i].search_from, list[i].search_to);
    if (more > most) {
      most = more;
      best = i;
    }
  }
  if (most > 0) list[best].bits += most;
}

/* What an echo, zeros or a letter over and over would hold. A header copied with a bit set holds
 * one constant byte more, 7 bits: together still less than the 16 that a certain verdict wants. */
static void limit_easy(evidence *list, size_t count, double limit)
{
  double sum = 0;
  for (size_t i = 0; i < count; i++)
    sum += list[i].line->easy ? list[i].bits : 0;
  for (size_t i = 0; i < count && sum > limit; i++)
    if (list[i].line->easy) list[i].bits *= limit / sum;
}

/* Together with those of the first reply the easy lines of a step would be too much. */
double easy_limit(const my_sig *sig)
{
  enum { EASY_BITS = 8, EASY_BITS_CONTROLLED = 12 };
  return sig->is_step ? 0 : sig->info.has_control ? EASY_BITS_CONTROLLED : EASY_BITS;
}

double evidence_sum(evidence *list, size_t count, double limit)
{
  double sum = 0;
  count_facts_once(list, count);
  count_bytes_once(list, count);
  count_search_once(list, count);
  limit_easy(list, count, limit);
  for (size_t i = 0; i < count; i++)
    sum += list[i].bits;
  return sum;
}
