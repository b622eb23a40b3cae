/* learn_write.c - findings as the text of a signature, as somebody would write it by hand. */
#include "learn.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- text ---- */

static bool make_room(text *t, size_t more)
{
  size_t size = t->size > 0 ? t->size : 1024;
  if (t->failed) return false;
  while (size - t->len <= more)
    size *= 2;
  if (size == t->size) return true;
  char *data = realloc(t->data, size);
  if (data == NULL) {
    t->failed = true;
    return false;
  }
  t->data = data;
  t->size = size;
  return true;
}

void text_add(text *t, const char *format, ...)
{
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (n >= 0 && make_room(t, (size_t)n)) {
    vsnprintf(t->data + t->len, (size_t)n + 1, format, again);
    t->len += (size_t)n;
  }
  va_end(again);
}

void text_hex(text *t, my_span bytes)
{
  for (size_t i = 0; i < bytes.len; i++)
    text_add(t, "%02x", bytes.data[i]);
}

static bool is_plain(uint8_t c)
{
  return (c >= 32 && c < 127) || c == '\r' || c == '\n';
}

static void text_quoted(text *t, my_span bytes)
{
  text_add(t, "\"");
  for (size_t i = 0; i < bytes.len; i++) {
    uint8_t c = bytes.data[i];
    if (c == '\r')
      text_add(t, "\\r");
    else if (c == '\n')
      text_add(t, "\\n");
    else if (c == '"' || c == '\\')
      text_add(t, "\\%c", c);
    else
      text_add(t, "%c", c);
  }
  text_add(t, "\"");
}

static size_t plain_run(my_span bytes, size_t at)
{
  size_t n = 0;
  while (at + n < bytes.len && is_plain(bytes.data[at + n]))
    n++;
  return n;
}

void text_tokens(text *t, my_span bytes)
{
  enum { TEXT_MIN = 4 };
  for (size_t at = 0; at < bytes.len;) {
    size_t n = plain_run(bytes, at);
    if (at > 0) text_add(t, " ");
    if (n >= TEXT_MIN) {
      text_quoted(t, (my_span){bytes.data + at, n});
      at += n;
      continue;
    }
    size_t end = at + n;
    while (end < bytes.len && (n = plain_run(bytes, end)) < TEXT_MIN)
      end += n > 0 ? n : 1;
    text_hex(t, (my_span){bytes.data + at, end - at});
    at = end;
  }
}

/* Lines of two columns: what is said, and why. */
static void add_line(text *t, size_t start, const char *why)
{
  enum { COLUMN = 36 };
  size_t used = t->len - start;
  if (why != NULL) text_add(t, "%*s# %s", used < COLUMN ? (int)(COLUMN - used) : 1, "", why);
  text_add(t, "\n");
}

/* ---- what is sent ---- */

typedef enum letters { LETTERS_ALPHA, LETTERS_DIGIT, LETTERS_ALNUM, LETTERS_ANY } letters;
static const char *const class_names[] = {":alpha", ":digit", ":alnum", ""};

static bool fits_class(uint8_t c, letters class_)
{
  bool alpha = c >= 'a' && c <= 'z', digit = c >= '0' && c <= '9';
  return class_ == LETTERS_ANY || (alpha && class_ != LETTERS_DIGIT) ||
         (digit && class_ != LETTERS_ALPHA);
}

/* What a nonce may be: letters where nothing else was seen, and a positive number where its length
 * stands before it as BER has it. */
static const char *class_of(const lesson *s, size_t at, size_t width)
{
  const uint8_t *request = s->list[0]->pair.request.data;
  int class_ = LETTERS_ALPHA;
  bool positive = at >= 2 && request[at - 2] == 0x02 && request[at - 1] == width && width <= 4;
  for (size_t i = 0; i < s->count; i++)
    for (size_t k = at; k < at + width; k++)
      while (!fits_class(s->list[i]->pair.request.data[k], (letters)class_))
        class_++;
  return positive ? ":pos" : class_names[class_];
}

static size_t nonce_run(const lesson *s, size_t at)
{
  size_t n = 0;
  while (at + n < s->request_len && s->nonce[at + n])
    n++;
  return n;
}

/* The nonces in their order: id, n2, n3 … */
static void nonce_name(const lesson *s, size_t at, char name[16])
{
  unsigned number = 0;
  for (size_t i = 0; i <= at; i++)
    number += s->nonce[i] && (i == 0 || !s->nonce[i - 1]);
  if (number <= 1)
    snprintf(name, 16, "id");
  else
    snprintf(name, 16, "n%u", number);
}

static const my_part *part_at(const my_learn_options *o, size_t at)
{
  for (size_t i = 0; i < o->part_count; i++)
    if (o->parts[i].offset == at &&
        (o->parts[i].kind == MY_PART_LENGTH || o->parts[i].kind == MY_PART_SUM))
      return &o->parts[i];
  return NULL;
}

static size_t sum_bytes(const char *name)
{
  return strcmp(name, "inet") == 0 ? 2 : strcmp(name, "sum8") == 0 ? 1 : 4;
}

static size_t write_part(text *t, const my_part *p)
{
  if (p->kind == MY_PART_SUM) {
    text_add(t, " %s(q@%u:%u)", p->sum, p->from, p->over);
    return sum_bytes(p->sum);
  }
  text_add(t, " %s%u(len", p->little_endian ? "le" : "be", p->len * 8u);
  if (p->add != 0) text_add(t, "%+d", p->add);
  text_add(t, ")");
  return p->len;
}

static void write_send(text *t, const lesson *s, const my_learn_options *o)
{
  my_span request = o->request.len > 0 ? o->request : s->list[0]->pair.request;
  text_add(t, "  send ");
  for (size_t at = 0; at < request.len;) {
    const my_part *part = part_at(o, at);
    size_t n = nonce_run(s, at), end = at;
    if (part != NULL) {
      at += write_part(t, part);
      continue;
    }
    if (n > 0) {
      char name[16];
      nonce_name(s, at, name);
      text_add(t, " %s?%zu%s", name, n, class_of(s, at, n));
      at += n;
      continue;
    }
    while (end < request.len && nonce_run(s, end) == 0 && part_at(o, end) == NULL)
      end++;
    text_add(t, " ");
    text_tokens(t, (my_span){request.data + at, end - at});
    at = end;
  }
  text_add(t, "\n");
}

/* ---- what is owed ---- */

static void write_place(text *t, const finding *f)
{
  enum { PLACE_COLUMN = 6 };
  size_t start = t->len;
  if (f->width == 1)
    text_add(t, "  @%u", f->at);
  else
    text_add(t, "  @%u:%u", f->at, f->width);
  size_t used = t->len - start;
  if (used < PLACE_COLUMN + 1) text_add(t, "%*s", (int)(PLACE_COLUMN + 1 - used), "");
}

/* The nonce by its name where the whole of it comes back, else the bytes. */
static void write_source(text *t, const lesson *s, const finding *f)
{
  bool whole = (f->source == 0 || !s->nonce[f->source - 1]) && nonce_run(s, f->source) == f->width;
  char name[16];
  nonce_name(s, f->source, name);
  if (whole)
    text_add(t, "$%s", name);
  else if (f->width == 1)
    text_add(t, "q@%u", f->source);
  else
    text_add(t, "q@%u:%u", f->source, f->width);
}

static void write_mask(text *t, const finding *f)
{
  text_add(t, " = b");
  for (int bit = 7; bit >= 0; bit--)
    text_add(t, "%c", f->mask >> bit & 1 ? (f->bits >> bit & 1 ? '1' : '0') : '.');
}

static const char *write_number(text *t, const finding *f)
{
  text_add(t, " = len");
  if (f->k != 0) text_add(t, "%+" PRId64, f->k);
  return "its length";
}

static void write_constant(text *t, const lesson *s, const finding *f)
{
  my_span bytes = {s->list[0]->pair.reply.data + f->at, f->width};
  text_add(t, " = ");
  if (f->width >= 2 && plain_run(bytes, 0) == f->width)
    text_quoted(t, bytes);
  else
    text_hex(t, bytes);
}

/* Everything behind the place. Returns why, for the comment. */
static const char *write_right(text *t, const lesson *s, const finding *f)
{
  switch (f->kind) {
  case FOUND_ECHO:
    text_add(t, " = ");
    write_source(t, s, f);
    return "comes back";
  case FOUND_REVERSED:
    text_add(t, " = rev(q@%u:%u)", f->source, f->width);
    return "comes back, last byte first";
  case FOUND_ADDED:
    text_add(t, " = add(q@%u:%u,%" PRIx64 ")", f->source, f->width, (uint64_t)f->k);
    return "comes back, counted on";
  case FOUND_MY_IP:
    text_add(t, " = my.ip");
    if (!f->has_key) return "our address, as the peer sees it";
    text_add(t, " ^ ");
    text_hex(t, (my_span){s->list[0]->pair.request.data + f->source, 4});
    return "our address, under bytes of the request";
  case FOUND_MY_PORT:
    text_add(t, " = my.port");
    return "our port, as the peer sees it";
  case FOUND_PEER_IP:
    text_add(t, " = peer.ip");
    return "the address that was asked";
  case FOUND_LENGTH:
    return write_number(t, f);
  case FOUND_NTP:
    text_add(t, " ~ now.ntp 90d");
    return "the time";
  case FOUND_UNIX:
    text_add(t, " ~ now.unix 90d");
    return "the time";
  case FOUND_MASK:
    write_mask(t, f);
    return "bits that stay";
  case FOUND_CONSTANT:
    write_constant(t, s, f);
    return f->copied ? "as it was sent" : "stays";
  default:
    return NULL;
  }
}

static void write_line(text *t, const lesson *s, const finding *f)
{
  size_t start = t->len;
  if (f->kind == FOUND_LENGTH_OF_REPLY) {
    text_add(t, "  len   = %" PRId64, f->k);
    add_line(t, start, "of every reply");
    return;
  }
  if (f->kind == FOUND_MOVING) {
    text_add(t, "  vary  @%u:%u", f->at, f->width);
    add_line(t, start, "moves by itself");
    return;
  }
  write_place(t, f);
  const char *why = write_right(t, s, f);
  add_line(t, start, why);
}

/* Lines stand in the order of what they look at, that about the length before all. */
static int rank_of(const finding *f)
{
  return f->kind == FOUND_LENGTH_OF_REPLY ? -1 : f->at + f->width;
}

/* Bytes that stay, side by side, make one line. */
static void extend(const lesson *s, const bool *use, finding *first)
{
  enum { WIDTH_MAX = 16 };
  for (size_t i = 0; first->kind == FOUND_CONSTANT && i < s->found_count; i++) {
    const finding *f = &s->found[i]; /* they were found in their order */
    if (use[i] && f->kind == FOUND_CONSTANT && f->copied == first->copied &&
        f->at == first->at + first->width && first->width < WIDTH_MAX)
      first->width++;
  }
}

static const finding *next_line(const lesson *s, const bool *use, const finding *after)
{
  const finding *best = NULL;
  for (size_t i = 0; i < s->found_count; i++) {
    const finding *f = &s->found[i];
    if (use[i] && (after == NULL || rank_of(f) > rank_of(after)) &&
        (best == NULL || rank_of(f) < rank_of(best)))
      best = f;
  }
  return best;
}

/* ---- samples ---- */

static void write_sample(text *t, const char *word, my_span request, my_span reply,
                         const my_endpoint *my)
{
  char address[MY_ENDPOINT_TEXT];
  text_add(t, "  %-7s ", word);
  text_hex(t, request);
  text_add(t, " > ");
  text_hex(t, reply);
  if (my != NULL && my->family == 4) text_add(t, " my.ip %s", my_endpoint_address(my, address));
}

static const finding *first_echo(const lesson *s)
{
  for (size_t i = 0; i < s->found_count; i++)
    if (s->found[i].kind == FOUND_ECHO) return &s->found[i];
  return NULL;
}

/* The first pair, and another: of another server, another client, or with another reply. */
static const told *second_sample(const lesson *s)
{
  const told *a = s->list[0], *best = NULL;
  int best_rank = -1;
  for (size_t i = 1; i < s->count; i++) {
    const told *b = s->list[i];
    int rank = (a->server != b->server) * 4 + (a->flow != b->flow) * 2 +
               !same_bytes(a->pair.reply, b->pair.reply);
    if (rank > best_rank) {
      best = b;
      best_rank = rank;
    }
  }
  return best;
}

/* One that must not match: a reply to another nonce; where there is no nonce, one that is cut. */
static void write_counter_sample(text *t, const lesson *s)
{
  uint8_t bytes[MY_LEARN_BYTES];
  const told *a = s->list[0];
  const finding *echo = first_echo(s);
  size_t len = a->pair.reply.len;
  memcpy(bytes, a->pair.reply.data, len);
  size_t at = echo != NULL ? echo->at : 0;
  for (size_t i = 0; echo != NULL && i < echo->width; i++)
    if (s->nonce[echo->source + i]) {
      at = echo->at + i;
      break;
    }
  bytes[at] ^= 0x55;
  write_sample(t, "nomatch", a->pair.request, (my_span){bytes, len}, &a->pair.my);
  text_add(t, "    # %s\n", echo != NULL ? "to another request" : "its first byte is another");
}

static void write_samples(text *t, const lesson *s, const told *const *against, size_t count)
{
  const told *a = s->list[0], *b = second_sample(s);
  write_sample(t, "match", a->pair.request, a->pair.reply, &a->pair.my);
  text_add(t, "\n");
  if (b != NULL) {
    write_sample(t, "match", b->pair.request, b->pair.reply, &b->pair.my);
    text_add(t, "\n");
  }
  write_counter_sample(t, s);
  write_sample(t, "nomatch", a->pair.request, a->pair.request, &a->pair.my);
  text_add(t, "    # an echo\n");
  if (count > 0) {
    const my_pair *p = &against[0]->pair;
    write_sample(t, "nomatch", p->request, p->reply, &p->my);
    text_add(t, "    # a counter-example\n");
  }
}

static bool has_nonce(const lesson *s, const bool *use)
{
  for (size_t i = 0; i < s->found_count; i++)
    if (use[i] && s->found[i].kind <= FOUND_ADDED && s->found[i].kind >= FOUND_ECHO) return true;
  return false;
}

void write_signature(text *t, const lesson *s, const bool *use, const told *const *against,
                     size_t against_count, const my_learn_options *o)
{
  text_add(t, "sig %s\n", o->sig != NULL ? o->sig : o->service);
  if (s->list[0]->transport == MY_TCP) text_add(t, "  over tcp\n");
  if (!has_nonce(s, use) && s->list[0]->transport == MY_UDP)
    text_add(t, "  nofresh                           # nothing that was sent comes back\n");
  write_send(t, s, o);
  finding whole;
  for (const finding *f = next_line(s, use, NULL); f != NULL; f = next_line(s, use, &whole)) {
    whole = *f;
    extend(s, use, &whole);
    write_line(t, s, &whole);
  }
  if (o->control_key.len > 0) {
    text_add(t, "  control q@%u ^ ", o->control_at);
    text_hex(t, o->control_key);
    text_add(t, "                # so broken it stays silent\n");
  }
  write_samples(t, s, against, against_count);
}
