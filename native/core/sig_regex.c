/* sig_regex.c - the least that every match of a pattern contains, as evidence. A walk over the
 * pattern's text that knows the plain part of PCRE2's syntax; whatever it does not know makes the
 * pattern worth nothing, so that none is worth too much. */
#include "sig.h"

#include <math.h>
#include <string.h>

typedef struct walk {
  const char *s, *end;
  bool unknown;  /* met something that it cannot judge */
  bool any_case; /* (?i) at the start */
  bool anchored; /* ^ at the start, no alternative beside it */
} walk;

/* One alternative, and the run of characters at its end that must follow each other. */
typedef struct alternative {
  worth sum;
  double run_bits;
  unsigned run_len;
  bool at_start; /* nothing but the run stands before: it is the pattern's beginning */
} alternative;

static worth walk_alternatives(walk *w, bool top);

static bool next_is(const walk *w, const char *text)
{
  size_t n = strlen(text);
  return (size_t)(w->end - w->s) >= n && memcmp(w->s, text, n) == 0;
}

static bool skip(walk *w, const char *text)
{
  bool there = next_is(w, text);
  if (there) w->s += strlen(text);
  return there;
}

static bool is_word(char c)
{
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* A run ends: it was found behind what came before, unless the pattern begins with it. */
static void end_run(alternative *b)
{
  if (b->at_start) {
    b->sum.bits += b->run_bits;
    b->sum.prefix = (uint16_t)b->run_len;
  } else if (b->run_bits > SEARCH_NEAR_BITS) {
    b->sum.search_bits += b->run_bits - SEARCH_NEAR_BITS;
    b->sum.searches++;
  }
  b->run_bits = b->run_len = 0;
  b->at_start = false;
}

/* Decimal digits. false: they are all zero. */
static bool skip_digits(walk *w)
{
  bool some = false;
  for (; w->s < w->end && *w->s >= '0' && *w->s <= '9'; w->s++)
    some |= *w->s != '0';
  return some;
}

/* {2} {2,} {2,5}: whether it asks for one at the least. false, and nothing read: the brace stands
 * for itself. */
static bool skip_braces(walk *w, bool *once)
{
  const char *start = w->s;
  if (skip(w, "{") && w->s < w->end && *w->s >= '0' && *w->s <= '9') {
    *once = skip_digits(w);
    if (skip(w, ",")) skip_digits(w);
    if (skip(w, "}")) return true;
  }
  w->s = start;
  return false;
}

/* What follows an item: is it there once at the least, and may it be there again? */
static bool skip_quantifier(walk *w, bool *again)
{
  bool once = true;
  *again = true;
  if (skip(w, "?") || skip(w, "*"))
    once = false;
  else if (!skip(w, "+") && !skip_braces(w, &once))
    *again = false;
  if (*again && !skip(w, "?")) skip(w, "+"); /* lazy, possessive */
  return once;
}

static void add_char(walk *w, alternative *b, uint8_t c)
{
  bool again, letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  if (skip_quantifier(w, &again)) {
    b->run_bits += char_bits(c) - (w->any_case && letter ? 1 : 0);
    b->run_len++;
  }
  if (again) end_run(b);
}

/* A set or a class of characters: one of many is worth nothing. */
static void add_some(walk *w, alternative *b)
{
  bool again;
  end_run(b);
  skip_quantifier(w, &again);
}

/* [ is read already. */
static void skip_set(walk *w)
{
  skip(w, "^");
  skip(w, "]"); /* the first one stands for itself */
  while (w->s < w->end && *w->s != ']') {
    size_t left = (size_t)(w->end - w->s);
    const char *close = next_is(w, "[:") ? memmem(w->s, left, ":]", 2) : NULL;
    w->unknown |= next_is(w, "\\Q");
    w->s = close != NULL ? close + 2 : w->s + (*w->s == '\\' && left > 1 ? 2 : 1);
  }
  w->unknown |= !skip(w, "]");
}

static void add_escape(walk *w, alternative *b)
{
  static const char control[] = "n\nr\rt\tf\fe\x1b"
                                "a\a";
  char c = w->s < w->end ? *w->s++ : 0;
  const char *value = c != 0 ? memchr(control, c, sizeof control - 1) : NULL;
  if (c == 0 || strchr("bBAzZ", c) != NULL) {
    w->unknown |= c == 0; /* the others are places between characters */
  } else if (strchr("dDwWsShHvVNR", c) != NULL) {
    add_some(w, b);
  } else if (value != NULL && (value - control) % 2 == 0) {
    add_char(w, b, (uint8_t)value[1]);
  } else if (c == 'x' && w->end - w->s >= 2 && hex_value(w->s[0]) >= 0 && hex_value(w->s[1]) >= 0) {
    w->s += 2;
    add_char(w, b, (uint8_t)(hex_value(w->s[-2]) << 4 | hex_value(w->s[-1])));
  } else if (is_word(c)) {
    w->unknown = true; /* back references, \Q, \K … */
  } else {
    add_char(w, b, (uint8_t)c);
  }
}

/* ( is read already. */
static void add_group(walk *w, alternative *b)
{
  bool again;
  if (skip(w, "?<") || skip(w, "?P<")) {
    while (w->s < w->end && is_word(*w->s))
      w->s++;
    w->unknown |= !skip(w, ">"); /* looks behind */
  } else if (!skip(w, "?:") && (next_is(w, "?") || next_is(w, "*"))) {
    w->unknown = true;
  }
  end_run(b);
  if (w->unknown) return;
  worth inside = walk_alternatives(w, false);
  w->unknown |= !skip(w, ")");
  if (!skip_quantifier(w, &again)) return;
  b->sum.search_bits += inside.search_bits;
  b->sum.searches += inside.searches;
}

static worth walk_branch(walk *w, bool top)
{
  alternative b = {.at_start = top && w->anchored};
  while (!w->unknown && w->s < w->end && *w->s != '|' && *w->s != ')') {
    char c = *w->s++;
    if (c == '[') skip_set(w);
    if (c == '\\')
      add_escape(w, &b);
    else if (c == '(')
      add_group(w, &b);
    else if (c == '[' || c == '.')
      add_some(w, &b);
    else if (c == '{')
      w->unknown = true; /* {,5} and the like: versions of PCRE2 differ */
    else if (c != '^' && c != '$')
      add_char(w, &b, (uint8_t)c);
  }
  end_run(&b);
  return b.sum;
}

/* The weakest alternative is what a pattern proves, less the choice. */
static worth walk_alternatives(walk *w, bool top)
{
  worth least = walk_branch(w, top);
  double choices = 1;
  for (; !w->unknown && skip(w, "|"); choices++) {
    worth other = walk_branch(w, false);
    least.search_bits += least.bits; /* it no longer begins every match */
    least.bits = least.prefix = 0;
    if (other.search_bits < least.search_bits) least = other;
  }
  if (choices > 1) least.search_bits = fmax(0, least.search_bits - log2(choices));
  return least;
}

worth regex_worth(const char *s, size_t n)
{
  walk w = {.s = s, .end = s + n};
  w.any_case = skip(&w, "(?i)");
  w.anchored = skip(&w, "^") || skip(&w, "\\A");
  worth out = walk_alternatives(&w, true);
  return w.unknown || w.s != w.end ? (worth){0} : out;
}
