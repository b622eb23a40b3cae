/* sig_send.c - `send`: literal bytes, fields drawn anew, lengths and addresses become a probe's
 * template. */
#include "sig_parse.h"

#include <string.h>

static int room_for(parser *p, const token *t, size_t n)
{
  if (n <= MY_PROBE_MAX - p->probe_len) return MY_OK;
  return parse_fail(p, t, "probe longer than %d bytes", MY_PROBE_MAX);
}

static int put_bytes(parser *p, const token *t, const void *bytes, size_t n)
{
  int rc = room_for(p, t, n);
  if (rc != MY_OK) return rc;
  if (n > 0) memcpy(p->probe + p->probe_len, bytes, n);
  memset(p->entropy + p->probe_len, 0, n);
  p->probe_len += n;
  return MY_OK;
}

static int put_repeated(parser *p, const token *t, uint8_t byte, size_t n)
{
  int rc = room_for(p, t, n);
  if (rc != MY_OK) return rc;
  memset(p->probe + p->probe_len, byte, n);
  memset(p->entropy + p->probe_len, 0, n);
  p->probe_len += n;
  return MY_OK;
}

static int put_slot(parser *p, const token *t, slot s)
{
  my_sig *sig = p->sig;
  sig->slots = grow(&p->file->memory, sig->slots, sig->slot_count, sizeof *sig->slots);
  if (sig->slots == NULL) return MY_ENOMEM;
  s.offset = (uint16_t)p->probe_len;
  int rc = put_repeated(p, t, 0, s.len);
  if (rc == MY_OK) sig->slots[sig->slot_count++] = s;
  return rc;
}

/* Sixteenths of a bit that one byte of a class holds. */
static uint8_t class_entropy(byte_class c, bool first)
{
  switch (c) {
  case CLASS_ALPHA:
    return 75; /* log2 26 */
  case CLASS_ALNUM:
    return 83; /* log2 36 */
  case CLASS_DIGIT:
    return 53; /* log2 10 */
  case CLASS_POS:
    return first ? 111 : 128; /* 01 to 7f first, so that BER keeps the length */
  default:
    return 128;
  }
}

static bool read_class(const char *s, size_t n, byte_class *out)
{
  static const char *const names[] = {"any", "alpha", "alnum", "digit", "pos"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (strlen(names[i]) == n && memcmp(names[i], s, n) == 0) {
      *out = (byte_class)i;
      return true;
    }
  }
  return false;
}

static bool is_letter(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_field_name(const char *s, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (!is_letter(s[i]) && !(s[i] >= '0' && s[i] <= '9') && s[i] != '_' && s[i] != '-')
      return false;
  return true;
}

static bool has_field(const my_sig *sig, const char *name, size_t n)
{
  for (size_t i = 0; i < sig->field_count; i++)
    if (strlen(sig->fields[i].name) == n && memcmp(sig->fields[i].name, name, n) == 0) return true;
  return false;
}

/* name?N or name?N:class */
static int put_field(parser *p, const token *t, const char *mark)
{
  const char *count = mark + 1, *end = t->s + t->n;
  const char *colon = memchr(count, ':', (size_t)(end - count));
  size_t digits = (size_t)((colon != NULL ? colon : end) - count), name_len = (size_t)(mark - t->s);
  byte_class class_ = CLASS_ANY;
  my_sig *sig = p->sig;
  uint64_t n;
  if (!is_field_name(t->s, name_len))
    return parse_fail(p, t, "field \"%.*s\": expected letters, digits, - and _", (int)name_len,
                      t->s);
  if (!read_decimal(count, digits, 1, MY_PROBE_MAX, &n))
    return parse_fail(p, t, "length \"%.*s\": expected a decimal byte count from 1 to %d",
                      (int)digits, count, MY_PROBE_MAX);
  if (colon != NULL && !read_class(colon + 1, (size_t)(end - colon - 1), &class_))
    return parse_fail(p, t, "class \"%.*s\": expected alpha, alnum, digit or pos",
                      (int)(end - colon - 1), colon + 1);
  if (has_field(sig, t->s, name_len))
    return parse_fail(p, t, "a second field \"%.*s\": expected a name of its own", (int)name_len,
                      t->s);
  sig->fields = grow(&p->file->memory, sig->fields, sig->field_count, sizeof *sig->fields);
  char *name = arena_text(&p->file->memory, t->s, name_len);
  if (sig->fields == NULL || name == NULL) return MY_ENOMEM;
  size_t offset = p->probe_len;
  int rc = put_slot(p, t, (slot){.kind = SLOT_RANDOM, .class_ = class_, .len = (uint16_t)n});
  if (rc != MY_OK) return rc;
  sig->fields[sig->field_count++] = (field){name, (uint16_t)offset, (uint16_t)n};
  for (size_t i = 0; i < n; i++)
    p->entropy[offset + i] = class_entropy(class_, i == 0);
  return MY_OK;
}

/* ?a?a: nibbles that are drawn anew among nibbles that are fixed */
static int put_nibbles(parser *p, const token *t)
{
  if (t->n % 2 != 0)
    return parse_fail(p, t, "\"%.*s\": expected two nibbles a byte, hex digits or ?", (int)t->n,
                      t->s);
  for (size_t i = 0; i < t->n; i += 2) {
    uint8_t mask = 0, value = 0;
    for (size_t k = 0; k < 2; k++) {
      int digit = hex_value(t->s[i + k]);
      if (t->s[i + k] != '?' && digit < 0)
        return parse_fail(p, t, "\"%.*s\": expected hex digits and ?", (int)t->n, t->s);
      mask = (uint8_t)(mask << 4 | (digit < 0 ? 15 : 0));
      value = (uint8_t)(value << 4 | (digit < 0 ? 0 : digit));
    }
    size_t offset = p->probe_len;
    int rc = mask == 0 ? put_bytes(p, t, &value, 1)
                       : put_slot(p, t, (slot){.kind = SLOT_NIBBLE, .len = 1, .mask = mask});
    if (rc != MY_OK) return rc;
    p->probe[offset] = value;
    p->entropy[offset] = mask == 0xff ? 128 : mask != 0 ? 64 : 0;
  }
  return MY_OK;
}

/* be16(len), le32(len-4): the probe's own length */
static int put_length(parser *p, const token *t)
{
  length_fixup f = {.offset = (uint16_t)p->probe_len, .little = t->s[0] == 'l'};
  f.line_number = p->line_number, f.column = column_of(p, t);
  uint64_t k = 0;
  f.width = t->s[2] == '1' ? 2 : 4;
  const char *inner = t->s + 5;
  size_t n = t->n - 6;
  if (t->s[t->n - 1] != ')' || n < 3 || memcmp(inner, "len", 3) != 0 ||
      (n > 3 && ((inner[3] != '+' && inner[3] != '-') ||
                 !read_decimal(inner + 4, n - 4, 0, MY_PROBE_MAX, &k))))
    return parse_fail(p, t, "\"%.*s\": expected for example be16(len) or be16(len-2)", (int)t->n,
                      t->s);
  f.add = n > 3 && inner[3] == '-' ? -(int32_t)k : (int32_t)k;
  if (p->fixup_count == FIXUPS_MAX)
    return parse_fail(p, t, "more than %d lengths in a probe", FIXUPS_MAX);
  int rc = put_repeated(p, t, 0, f.width);
  if (rc == MY_OK) p->fixups[p->fixup_count++] = f;
  return rc;
}

static int put_pad(parser *p)
{
  const token *t = parse_take(p);
  uint64_t n;
  if (t->kind != TOKEN_WORD || !read_decimal(t->s, t->n, 1, MY_PROBE_MAX, &n))
    return parse_fail(p, t, "pad \"%.*s\": expected a decimal byte count from 1 to %d", (int)t->n,
                      t->s, MY_PROBE_MAX);
  return n > p->probe_len ? put_repeated(p, t, 0, n - p->probe_len) : MY_OK;
}

/* r@5:4, q@0:2: bytes of the reply, of the request, before the step */
static int put_before(parser *p, const token *t)
{
  slot s = {.kind = SLOT_BEFORE};
  s.before.of = t->s[0] == 'q' ? OF_REQUEST : OF_REPLY;
  if (p->outer == NULL)
    return parse_fail(p, t, "\"%.*s\": nothing was asked before: expected it in a step", (int)t->n,
                      t->s);
  if (t->n < 3 || !read_offsets(t->s + 2, t->n - 2, &s.before) ||
      (s.before.of == OF_REQUEST && !s.before.from_end &&
       (size_t)s.before.offset + s.before.width > p->outer->info.probe_len))
    return parse_fail(p, t, "\"%.*s\": expected bytes such as r@5:4 of what went before", (int)t->n,
                      t->s);
  s.len = s.before.width;
  return put_slot(p, t, s);
}

/* crc32(q@4:20), inet(q@0:8): a checksum over bytes of the probe, before or behind it */
static const struct {
  const char *word;
  sum_kind kind;
} sums[] = {{"crc32(q@", SUM_CRC32},
            {"crc32le(q@", SUM_CRC32_LE},
            {"inet(q@", SUM_INET},
            {"sum8(q@", SUM_8}};

static const char *sum_word(const token *t, sum_kind *kind)
{
  for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
    *kind = sums[i].kind;
    if (text_starts(t->s, t->n, sums[i].word)) return sums[i].word;
  }
  return NULL;
}

static int put_sum(parser *p, const token *t, const char *word, sum_kind kind)
{
  const char *colon = memchr(t->s, ':', t->n);
  size_t head = strlen(word), at = colon != NULL ? (size_t)(colon - t->s) : 0;
  uint64_t from, len;
  my_sig *s = p->sig;
  if (colon == NULL || t->s[t->n - 1] != ')' ||
      !read_decimal(t->s + head, at - head, 0, MY_PROBE_MAX, &from) ||
      !read_decimal(colon + 1, t->n - at - 2, 1, MY_PROBE_MAX, &len))
    return parse_fail(p, t, "\"%.*s\": expected for example crc32(q@4:20)", (int)t->n, t->s);
  s->sums = grow(&p->file->memory, s->sums, s->sum_count, sizeof *s->sums);
  if (s->sums == NULL) return MY_ENOMEM;
  s->sums[s->sum_count++] = (checksum){kind, (uint16_t)p->probe_len, (uint16_t)from, (uint16_t)len};
  p->sum_line = p->line_number;
  return put_repeated(p, t, 0, sum_width(kind));
}

static bool is_length(const token *t)
{
  return text_starts(t->s, t->n, "be16(") || text_starts(t->s, t->n, "be32(") ||
         text_starts(t->s, t->n, "le16(") || text_starts(t->s, t->n, "le32(");
}

static int put_word(parser *p, const token *t)
{
  const char *mark = memchr(t->s, '?', t->n);
  my_span bytes;
  uint8_t byte;
  size_t count;
  sum_kind kind;
  if (token_is(t, "pad")) return put_pad(p);
  if (token_is(t, "my.ip")) return put_slot(p, t, (slot){.kind = SLOT_MY_IP, .len = 4});
  if (token_is(t, "peer.ip")) return put_slot(p, t, (slot){.kind = SLOT_PEER_IP, .len = 4});
  if (token_is(t, "my.port")) return put_slot(p, t, (slot){.kind = SLOT_MY_PORT, .len = 2});
  if (token_is(t, "peer.port")) return put_slot(p, t, (slot){.kind = SLOT_PEER_PORT, .len = 2});
  if (is_length(t)) return put_length(p, t);
  if (text_starts(t->s, t->n, "r@") || text_starts(t->s, t->n, "q@")) return put_before(p, t);
  const char *sum_name = sum_word(t, &kind);
  if (sum_name != NULL) return put_sum(p, t, sum_name, kind);
  if (mark == t->s) return put_nibbles(p, t);
  if (mark != NULL && is_letter(t->s[0])) return put_field(p, t, mark);
  if (read_repeat(t, &byte, &count)) return put_repeated(p, t, byte, count);
  int rc = read_hex(&p->file->memory, t->s, t->n, &bytes);
  if (rc == MY_EFORMAT)
    return parse_fail(
        p, t, "\"%.*s\": expected hex bytes, \"text\", name?N, 00*N, pad N, be16(len) or my.ip",
        (int)t->n, t->s);
  return rc == MY_OK ? put_bytes(p, t, bytes.data, bytes.len) : rc;
}

int set_lengths(parser *p)
{
  for (size_t i = 0; i < p->sig->sum_count; i++)
    if ((size_t)p->sig->sums[i].from + p->sig->sums[i].len > p->probe_len)
      return parse_fail_at(p, p->sum_line, 1, "a checksum over bytes past the probe's %zu",
                           p->probe_len);
  for (size_t i = 0; i < p->fixup_count; i++) {
    const length_fixup *f = &p->fixups[i];
    int64_t value = (int64_t)p->probe_len + f->add;
    if (value < 0)
      return parse_fail_at(p, f->line_number, f->column,
                           "a length below zero: the probe has %zu bytes", p->probe_len);
    for (size_t k = 0; k < f->width; k++)
      p->probe[f->offset + k] = (uint8_t)(value >> 8 * (f->little ? k : f->width - 1u - k));
  }
  return MY_OK;
}

int parse_send(parser *p, const token *word)
{
  if (p->send_over)
    return parse_fail(p, word, "`send` after a line that uses the probe: expected it before");
  const token *t = parse_peek(p);
  if (t->kind == TOKEN_END) return parse_fail(p, t, "`send` of nothing: expected bytes");
  while ((t = parse_take(p))->kind != TOKEN_END) {
    int rc = t->kind == TOKEN_TEXT   ? put_bytes(p, t, t->s, t->n)
             : t->kind == TOKEN_WORD ? put_word(p, t)
                                     : parse_fail(p, t, "\"%.*s\" in a probe", (int)t->n, t->s);
    if (rc != MY_OK) return rc;
  }
  return MY_OK;
}
