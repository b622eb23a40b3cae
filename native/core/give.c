/* give.c - what a signature gives of a reply: bytes as text, product and version from patterns. */
#include "sig.h"

#include <stdio.h>
#include <string.h>

size_t group_length(const char *s)
{
  size_t n = 0;
  if (s[0] >= '0' && s[0] <= '9') return 1;
  while (n < GROUP_NAME_MAX &&
         ((s[n] >= 'a' && s[n] <= 'z') || (s[n] >= '0' && s[n] <= '9') || s[n] == '_'))
    n++;
  return n;
}

int group_number(const pcre2_code *code, const char *s, size_t n)
{
  char name[GROUP_NAME_MAX + 1];
  uint32_t groups = 0;
  if (s[0] >= '0' && s[0] <= '9') {
    pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups);
    return (uint32_t)(s[0] - '0') <= groups ? s[0] - '0' : -1;
  }
  memcpy(name, s, n);
  name[n] = 0;
  return pcre2_substring_number_from_name(code, (PCRE2_SPTR)name);
}

/* An address as such, other bytes as hex. */
static void give_bytes(my_span bytes, char *out, size_t cap)
{
  size_t used = 0;
  if (bytes.len == 4) {
    snprintf(out, cap, "%u.%u.%u.%u", bytes.data[0], bytes.data[1], bytes.data[2], bytes.data[3]);
    return;
  }
  for (size_t i = 0; i < bytes.len && used + 3 < cap; i++, used += 2)
    snprintf(out + used, cap - used, "%02x", bytes.data[i]);
}

static size_t put_printable(char *out, size_t cap, size_t used, const uint8_t *s, size_t n)
{
  for (size_t i = 0; i < n && used + 5 < cap; i++) {
    if (s[i] >= 32 && s[i] < 127)
      out[used++] = (char)s[i];
    else
      used += (size_t)snprintf(out + used, cap - used, "\\x%02x", s[i]);
  }
  out[used] = 0;
  return used;
}

/* The bytes of a group, of the first pattern that holds and has it. Empty: none. */
static my_span group_bytes(const my_sig *sig, const my_pair *pair, const my_match *m,
                           my_scratch *scratch, const char *name, size_t n)
{
  for (size_t i = 0; i < sig->line_count; i++) {
    const line *l = &sig->lines[i];
    my_span subject;
    if (l->branch != 0 && l->branch != m->branch) continue;
    for (size_t r = 0; r < l->right_count && place_bytes(&l->at, pair, &subject); r++) {
      const pcre2_code *code = l->right[r].regex;
      int group = code != NULL ? group_number(code, name, n) : -1;
      if (group < 0 || !match_regex(code, subject, scratch)) continue;
      const PCRE2_SIZE *at = pcre2_get_ovector_pointer(scratch->match) + 2 * group;
      if ((uint32_t)group < pcre2_get_ovector_count(scratch->match) && at[0] != PCRE2_UNSET &&
          at[0] <= at[1])
        return (my_span){subject.data + at[0], at[1] - at[0]};
    }
  }
  return (my_span){0};
}

static void give_text(const my_sig *sig, const my_pair *pair, const my_match *m, const char *text,
                      my_scratch *scratch, char *out, size_t cap)
{
  size_t used = 0, n;
  for (const char *s = text; *s != 0; s += n) {
    n = *s == '$' ? group_length(s + 1) : 0;
    if (n > 0) {
      my_span group = group_bytes(sig, pair, m, scratch, ++s, n);
      used = put_printable(out, cap, used, group.data, group.len);
    } else {
      used = put_printable(out, cap, used, (const uint8_t *)s, n = 1);
    }
  }
}

static bool is_printable(my_span s)
{
  for (size_t i = 0; i < s.len; i++)
    if (s.data[i] < 32 || s.data[i] > 126) return false;
  return s.len > 0;
}

void give_all(const my_sig *sig, const my_pair *pair, const my_match *m, my_scratch *scratch,
              my_verdict *out)
{
  for (size_t i = 0; i < sig->give_count && out->give_count < MY_GIVES_MAX; i++) {
    const give *g = &sig->gives[i];
    char *value = out->give[out->give_count].value;
    size_t cap = sizeof out->give[0].value;
    my_span bytes;
    if (g->branch != 0 && g->branch != m->branch) continue;
    out->give[out->give_count++].name = g->name;
    value[0] = 0;
    if (g->text != NULL)
      give_text(sig, pair, m, g->text, scratch, value, cap);
    else if (!place_bytes(&g->at, pair, &bytes))
      continue;
    else if (g->at.in != NULL && is_printable(bytes)) /* the value of a table: mostly a text */
      put_printable(value, cap, 0, bytes.data, bytes.len);
    else
      give_bytes(bytes, value, cap);
  }
}
