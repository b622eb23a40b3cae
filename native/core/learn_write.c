/* learn_write.c - findings as the text of a signature, as somebody would write it by hand. */
#include "learn.h"

#include <inttypes.h>
#include <string.h>

/* Lines of two columns: what is said, and why. */
static void add_line(text *t, size_t start, const char *why)
{
  enum { COLUMN = 36 };
  size_t used = t->len - start;
  if (why != NULL) text_add(t, "%*s# %s", used < COLUMN ? (int)(COLUMN - used) : 1, "", why);
  text_add(t, "\n");
}

/* ---- what is owed ---- */

static void write_place(text *t, const lesson *s, const finding *f)
{
  enum { PLACE_COLUMN = 6 };
  size_t start = t->len;
  if (f->view > 0)
    text_add(t, "  %s%s%s", is_any_address(s, f) ? "any   " : "", s->views[f->view - 1].name,
             f->whole || f->width == 0 ? "" : "[");
  else
    text_add(t, "  @");
  bool all = f->view > 0 && (f->whole || f->width == 0);
  if (!all) text_add(t, "%u", f->at);
  if (!all && f->width != 1) text_add(t, ":%u", f->width);
  if (!all && f->view > 0) text_add(t, "]");
  size_t used = t->len - start;
  if (used < PLACE_COLUMN + 1) text_add(t, "%*s", (int)(PLACE_COLUMN + 1 - used), "");
}

/* The nonce by its name where the whole of it comes back, else the bytes. */
static void write_source(text *t, const lesson *s, const finding *f)
{
  bool whole = (f->source == 0 || !s->nonce[f->source - 1]) && nonce_run(s, f->source) == f->width;
  char name[NONCE_NAME_MAX];
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
  my_span bytes = s->list[0]->pair.reply;
  if (f->view > 0) view_find(&s->views[f->view - 1].view, bytes, &bytes);
  bytes = (my_span){bytes.data + f->at, f->width};
  enum { READABLE = 3 /* letters; fewer may be anything */ };
  bool text_form = s->form == FORM_TEXT || s->form == FORM_JSON || s->form == FORM_BENCODE;
  text_add(t, " = ");
  if ((text_form || f->width >= READABLE) && plain_run(bytes, 0) == f->width)
    text_quoted(t, bytes);
  else
    text_hex(t, bytes);
}

static void write_clock(text *t, const finding *f)
{
  enum { DAY = 86400 };
  text_add(t, " ~ now.%s ", f->kind == FOUND_NTP ? "ntp" : "unix");
  if (f->k % DAY == 0)
    text_add(t, "%" PRId64 "d", f->k / DAY);
  else
    text_add(t, "%" PRId64 "s", f->k);
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
  case FOUND_NOT:
    text_add(t, " = not(q@%u:%u)", f->source, f->width);
    return "comes back, every bit turned";
  case FOUND_BITOR:
    text_add(t, " = bitor(q@%u:%u,%" PRIx64 ")", f->source, f->width, (uint64_t)f->k);
    return "comes back with a bit set";
  case FOUND_MY_IP:
    text_add(t, " = my.ip");
    if (!f->has_key) return "our address, as the peer sees it";
    text_add(t, " ^ ");
    text_hex(t, (my_span){s->list[0]->pair.request.data + f->source, 4});
    return "our address, under bytes of the request";
  case FOUND_MY_IP_TEXT:
    text_add(t, " has my.ip.text");
    return "our address, as the peer sees it";
  case FOUND_MY_PORT:
    text_add(t, " = my.port");
    if (!f->has_key) return "our port, as the peer sees it";
    text_add(t, " ^ ");
    text_hex(t, (my_span){s->list[0]->pair.request.data + f->source, 2});
    return "our port, under bytes of the request";
  case FOUND_PEER_IP:
    text_add(t, " = peer.ip");
    return "the address that was asked";
  case FOUND_LENGTH:
    return write_number(t, f);
  case FOUND_NTP:
  case FOUND_UNIX:
    write_clock(t, f);
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
  if (f->kind == FOUND_HAS) {
    text_add(t, "  %s has ", f->view > 0 ? s->views[f->view - 1].name : "@");
    write_source(t, s, &(finding){.source = f->source, .width = (uint16_t)f->k});
    add_line(t, start, "comes back somewhere");
    return;
  }
  if (f->kind == FOUND_VALUE_LENGTH) {
    text_add(t, "  len.%s = %" PRId64, s->views[f->view - 1].name, f->k);
    add_line(t, start, "in every reply");
    return;
  }
  if (f->little_endian) {
    text_add(t, "  len   = rev(@%u:%u)", f->at, f->width);
    add_line(t, start, "its length, last byte first");
    return;
  }
  write_place(t, s, f);
  const char *why = write_right(t, s, f);
  add_line(t, start, why);
}

/* Lines stand in the order of what they look at, that about the length before all. */
static int rank_of(const lesson *s, const finding *f)
{
  enum { A_VIEW = 4096 };
  enum { ANY = 1 << 20, BEHIND_ALL = 1 << 21 };
  if (f->kind == FOUND_LENGTH_OF_REPLY) return -1;
  if (f->kind == FOUND_HAS && f->view == 0) return BEHIND_ALL + f->source;
  if (f->kind == FOUND_HAS) return f->view * A_VIEW + f->source + 1;
  if (is_any_address(s, f)) return ANY + f->view * A_VIEW + f->at; /* side by side */
  return f->view * A_VIEW + (f->kind == FOUND_VALUE_LENGTH ? A_VIEW - 1 : f->at + f->width);
}

/* Bytes that stay, side by side, make one line. */
static void extend(const lesson *s, const bool *use, finding *first)
{
  enum { WIDTH_MAX = 16 };
  for (size_t i = 0; first->kind == FOUND_CONSTANT && i < s->found_count; i++) {
    const finding *f = &s->found[i]; /* they were found in their order */
    if (use[i] && f->kind == FOUND_CONSTANT && f->copied == first->copied &&
        f->view == first->view && f->at == first->at + first->width && first->width < WIDTH_MAX)
      first->width++;
  }
}

static const finding *next_line(const lesson *s, const bool *use, const finding *after)
{
  const finding *best = NULL;
  for (size_t i = 0; i < s->found_count; i++) {
    const finding *f = &s->found[i];
    if (use[i] && (after == NULL || rank_of(s, f) > rank_of(s, after)) &&
        (best == NULL || rank_of(s, f) < rank_of(s, best)))
      best = f;
  }
  return best;
}

/* ---- samples ---- */

/* A text to be read, anything else in hex. */
static void text_sample(text *t, my_span bytes)
{
  if (plain_run(bytes, 0) == bytes.len)
    text_quoted(t, bytes);
  else
    text_hex(t, bytes);
}

static void write_sample(text *t, const char *word, my_span request, my_span reply,
                         const my_endpoint *my)
{
  char address[MY_ENDPOINT_TEXT];
  text_add(t, "  %-7s ", word);
  text_sample(t, request);
  text_add(t, " > ");
  text_sample(t, reply);
  if (my != NULL && my->family == 4) text_add(t, " my.ip %s", my_endpoint_address(my, address));
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

/* The nonce that comes back, or a line about bytes of the reply. NULL: neither. */
static const finding *line_to_break(const lesson *s, const bool *use)
{
  static const finding_kind kinds[] = {FOUND_ECHO, FOUND_HAS,   FOUND_CONSTANT,
                                       FOUND_MASK, FOUND_ADDED, FOUND_REVERSED,
                                       FOUND_NOT,  FOUND_BITOR, FOUND_LENGTH};
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
    for (size_t i = 0; i < s->found_count; i++)
      if (use[i] && s->found[i].kind == kinds[k]) return &s->found[i];
  return NULL;
}

/* Where in the first reply a byte must be changed to break the line; in an echo its first nonce. */
static size_t place_to_break(const lesson *s, const finding *f)
{
  my_span reply = s->list[0]->pair.reply, value = reply;
  if (f->view > 0) view_find(&s->views[f->view - 1].view, reply, &value);
  size_t from = (size_t)(value.data - reply.data), at = from + f->at, nonce = 0;
  my_span sent = {s->list[0]->pair.request.data + f->source, (size_t)f->k};
  if (f->kind == FOUND_HAS) return from + find_bytes(value, sent);
  if (f->kind != FOUND_ECHO) return at;
  while (nonce < f->width && !s->nonce[f->source + nonce])
    nonce++;
  return nonce < f->width ? at + nonce : at;
}

/* One that must not match: a reply to another nonce, or with a byte that breaks a line. What is
 * left asks for an address or the time, of which a sample knows nothing: then the reply breaks off.
 */
static void write_counter_sample(text *t, const lesson *s, const bool *use)
{
  uint8_t bytes[MY_LEARN_BYTES];
  const my_pair *a = &s->list[0]->pair;
  const finding *f = line_to_break(s, use);
  memcpy(bytes, a->reply.data, a->reply.len);
  if (f != NULL) bytes[place_to_break(s, f)] ^= f->kind == FOUND_MASK ? f->mask : 0x55;
  write_sample(t, "nomatch", a->request, (my_span){bytes, f != NULL ? a->reply.len : 1}, &a->my);
  text_add(t, "    # %s\n",
           f == NULL    ? "broken off"
           : is_echo(f) ? "to another request"
                        : "one byte is another");
}

static void write_samples(text *t, const lesson *s, const bool *use, const told *const *against,
                          size_t count)
{
  const told *a = s->list[0], *b = second_sample(s);
  write_sample(t, "match", a->pair.request, a->pair.reply, &a->pair.my);
  text_add(t, "\n");
  if (b != NULL) {
    write_sample(t, "match", b->pair.request, b->pair.reply, &b->pair.my);
    text_add(t, "\n");
  }
  write_counter_sample(t, s, use);
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
    if (use[i] && is_echo(&s->found[i])) return true;
  return false;
}

static bool from_other_port(const lesson *s)
{
  for (size_t i = 0; i < s->count; i++)
    if (s->list[i]->pair.from.family != 0 &&
        s->list[i]->pair.from.port != s->list[i]->pair.peer.port)
      return true;
  return false;
}

void write_signature(text *t, const lesson *s, const bool *use, const told *const *against,
                     size_t against_count, const my_learn_options *o)
{
  if (s->list[0]->transport == MY_TCP) text_add(t, "  over tcp\n");
  if (!has_nonce(s, use) && s->list[0]->transport == MY_UDP)
    text_add(t, "  nofresh                           # nothing that was sent comes back\n");
  write_send(t, s, o);
  if (s->form == FORM_TLV)
    text_add(t, "  view  tlv %u %u %u %s %u\n", s->tlv.header, s->tlv.type_width,
             s->tlv.length_width, s->tlv.little ? "le" : "be", s->tlv.pad);
  if (from_other_port(s))
    text_add(t, "  from-port any                     # the reply may come from another one\n");
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
  write_samples(t, s, use, against, against_count);
}
