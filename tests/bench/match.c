/* match.c - how many replies a second one core names, beside PCRE2, and with how many signatures.
 * Run by tests/bench/match, which adds ndpiReader. Times are of this process on its core, so that
 * what else the machine does hardly counts. It looks into the compiled form of signatures (sig.h),
 * to write the same lines as patterns. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <sys/resource.h>
#include <time.h>

#include "program.h"
#include "sig.h"

#include "mynah/capture.h"

enum { VARIANTS = 100, BYTES = 65536 };

/* A pair to be named, and what the library calls it. */
typedef struct item {
  my_pair pair;
  const my_sig *sig;
  const pcre2_code *pattern;
} item;

typedef struct corpus {
  item *items;
  size_t count, room;
  size_t patterns;
} corpus;

static my_scratch *scratch;
static volatile size_t sink;

/* ---- helpers ---- */

static void die(const char *what)
{
  fprintf(stderr, "bench_match: %s\n", what);
  exit(3);
}

static void *must(void *p)
{
  if (p == NULL) die("memory is out");
  return p;
}

static uint64_t seed = 7;

static uint32_t draw(uint32_t below)
{
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((seed >> 33) % below);
}

static double cpu_seconds(void)
{
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static my_span keep(const void *bytes, size_t n)
{
  uint8_t *copy = must(malloc(n + 1));
  memcpy(copy, bytes, n);
  return (my_span){copy, n};
}

static void load_folder(my_sigdb *db, const char *folder)
{
  struct dirent **names;
  my_where where;
  int n = scandir(folder, &names, NULL, alphasort);
  char *text = must(malloc(MY_SIG_FILE_MAX));
  if (n < 0) die("no such folder of signatures");
  for (int i = 0; i < n; i++) {
    const char *suffix = strrchr(names[i]->d_name, '.');
    char path[4096];
    if (suffix == NULL || strcmp(suffix, ".sig") != 0) continue;
    snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
    FILE *f = must(fopen(path, "rb"));
    size_t len = fread(text, 1, MY_SIG_FILE_MAX, f);
    fclose(f);
    if (my_sigdb_add(db, names[i]->d_name, (my_span){(uint8_t *)text, len}, &where) != MY_OK)
      die(where.text);
  }
  free(text);
}

/* ---- pairs: the samples of the library under nonces of their own ---- */

/* Where the sample's nonce stands in the reply, the new one goes. */
static void renew(const my_sig *sig, const my_sample *s, const uint8_t *probe, uint8_t *reply)
{
  for (size_t i = 0; i < sig->slot_count; i++) {
    const slot *t = &sig->slots[i];
    if (t->kind != SLOT_RANDOM || t->len < 2) continue;
    my_span old = {s->request.data + t->offset, t->len}, rest = s->reply;
    for (size_t at; (at = find_bytes(rest, old)) != SIZE_MAX;) {
      size_t offset = (size_t)(rest.data - s->reply.data) + at;
      memcpy(reply + offset, probe + t->offset, t->len);
      rest = (my_span){rest.data + at + 1, rest.len - at - 1};
    }
  }
}

static void add_item(corpus *c, my_pair pair, const my_sig *sig)
{
  if (c->count == c->room) {
    c->room = c->room * 2 + 1024;
    c->items = must(realloc(c->items, c->room * sizeof *c->items));
  }
  pair.request = keep(pair.request.data, pair.request.len);
  pair.reply = keep(pair.reply.data, pair.reply.len);
  c->items[c->count++] = (item){pair, sig, NULL};
}

static void add_sample(corpus *c, const my_sigdb *db, const my_sig *sig, const my_sample *s)
{
  static uint8_t probe[MY_PROBE_MAX], reply[BYTES];
  my_pair p = {.my = s->my, .request = s->request, .reply = s->reply};
  if (p.my.family == 0) my_endpoint_parse(&p.my, "192.0.2.7", 40000);
  my_endpoint_parse(&p.peer, "192.0.2.1", 9); /* as the checker has it */
  const my_sig *named = my_sigdb_name(db, MY_UDP, &p, scratch);
  if (named == NULL) return; /* a request of another kind: it binds to none */
  for (int i = 0; i < VARIANTS; i++) {
    uint8_t entropy[MY_PROBE_MAX];
    for (size_t k = 0; k < sizeof entropy; k++)
      entropy[k] = (uint8_t)draw(256);
    int n = my_sig_compose(sig, &p.my, &p.peer, (my_span){entropy, sizeof entropy}, probe,
                           sizeof probe);
    memcpy(reply, s->reply.data, s->reply.len);
    my_pair q = p;
    if (n > 0 && (size_t)n == s->request.len) {
      renew(sig, s, probe, reply);
      q.request = (my_span){probe, (size_t)n};
      q.reply = (my_span){reply, s->reply.len};
    }
    if (!my_sig_holds(sig, &q, scratch)) q = p; /* a nonce that comes back in another form */
    add_item(c, q, my_sigdb_name(db, MY_UDP, &q, scratch));
  }
}

static bool is_binary(const my_sig *sig)
{
  const programs *p = sig->programs;
  size_t rest = p->always.rest_count;
  for (size_t b = 0; b < sig->branch_count; b++)
    rest += p->cases[b].condition.rest_count + p->cases[b].lines.rest_count;
  return rest == 0;
}

static void shuffle(corpus *c)
{
  for (size_t i = c->count; i > 1; i--) {
    size_t k = draw((uint32_t)i);
    item swap = c->items[i - 1];
    c->items[i - 1] = c->items[k];
    c->items[k] = swap;
  }
}

static corpus gather(const my_sigdb *db)
{
  corpus c = {0};
  for (size_t i = 0; i < my_sigdb_count(db); i++) {
    const my_sig *sig = my_sigdb_at(db, i);
    if (sig->info.transport != MY_UDP || sig->info.banner) continue;
    for (size_t k = 0; k < my_sig_sample_count(sig); k++)
      if (my_sig_sample_at(sig, k)->expect) add_sample(&c, db, sig, my_sig_sample_at(sig, k));
  }
  shuffle(&c);
  return c;
}

static corpus only(const corpus *all, bool binary)
{
  corpus c = {0};
  for (size_t i = 0; i < all->count; i++)
    if (is_binary(all->items[i].sig) == binary) add_item(&c, all->items[i].pair, all->items[i].sig);
  return c;
}

/* ---- the same lines as one PCRE2 pattern over the reply ----
 * What a pattern can say: constants, masks, ranges of a byte, choices of such, texts, lengths,
 * patterns. What it cannot is left out: relations to the request, addresses, times, values of
 * views. Constants stand one behind the other, the rest in look-aheads before them. JIT compiled.
 */

typedef struct writer {
  char text[65536];
  size_t used;
  bool allowed[4096][256]; /* bytes that a place may have */
  bool asked[4096];
} writer;

static void put(writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(writer *w, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  int n = vsnprintf(w->text + w->used, sizeof w->text - w->used, format, args);
  va_end(args);
  if (n < 0 || w->used + (size_t)n >= sizeof w->text) die("a pattern is too long");
  w->used += (size_t)n;
}

static bool fixed(const place *p)
{
  return p->in == NULL && !p->length && !p->sport && !p->from_end && p->of == OF_REPLY;
}

static void allow_none(writer *w, size_t at)
{
  if (!w->asked[at]) memset(w->allowed[at], 1, sizeof w->allowed[at]);
  w->asked[at] = true;
}

/* Of a byte: those that a right side lets through. */
static void collect(const line *l, const rhs *r, size_t i, bool out[256])
{
  for (unsigned v = 0; v < 256; v++) {
    uint8_t m = l->mask.len > i ? l->mask.data[i] : 255;
    if (r->kind == RHS_BYTES) out[v] |= (v & m) == (r->bytes.data[i] & m);
    if (r->kind == RHS_BITS) out[v] |= (v & r->mask.data[i]) == r->bytes.data[i];
    if (r->kind == RHS_NUMBER) out[v] |= (v & m) >= r->lo && (v & m) <= r->hi;
  }
}

static bool write_bytes(writer *w, const line *l)
{
  size_t width = l->op == OP_STARTS && l->at.to_end ? l->right->bytes.len : l->at.width;
  bool one = l->right_count == 1;
  if (!fixed(&l->at) || l->at.offset + width > 4096 || (l->at.to_end && l->op != OP_STARTS))
    return false;
  for (size_t k = 0; k < l->right_count; k++) {
    const rhs *r = &l->right[k];
    if (r->fn_count > 0 || (!one && width > 1)) return false;
    if (r->kind == RHS_NUMBER && width > 1) return false;
    if (r->kind != RHS_NUMBER && r->kind != RHS_BITS && r->kind != RHS_BYTES) return false;
    if (r->kind != RHS_NUMBER && r->bytes.len < width) return false;
  }
  for (size_t i = 0; i < width; i++) {
    bool good[256] = {false};
    for (size_t k = 0; k < l->right_count; k++)
      collect(l, &l->right[k], i, good);
    allow_none(w, l->at.offset + i);
    for (unsigned v = 0; v < 256; v++)
      w->allowed[l->at.offset + i][v] &= good[v] == (l->op != OP_NE);
  }
  return true;
}

static void write_length(writer *w, const line *l)
{
  const rhs *r = l->right;
  if (l->right_count != 1 || r->kind != RHS_NUMBER || l->op == OP_NE || r->hi > 65535) return;
  uint64_t low = r->lo, high = r->hi;
  if (l->op == OP_LT || l->op == OP_LE) low = 0, high = r->lo - (l->op == OP_LT);
  if (l->op == OP_GT || l->op == OP_GE) {
    put(w, "(?=.{%" PRIu64 "})", r->lo + (l->op == OP_GT));
    return;
  }
  put(w, "(?=.{%" PRIu64 ",%" PRIu64 "}\\z)", low, high);
}

/* m/…/ as the line has it. */
static void write_regex(writer *w, const line *l)
{
  const char *from = strstr(l->text, "m/"), *to = strrchr(l->text, '/');
  if (from == NULL || to <= from + 2 || strstr(to, " or ") != NULL || l->right_count != 1) return;
  from += 2;
  bool anchored = from[0] == '^' || strncmp(from, "\\A", 2) == 0;
  if (anchored) from += from[0] == '^' ? 1 : 2;
  put(w, "(?=.{%u}%s(?%s:%.*s))", l->at.offset, anchored ? "" : ".*?",
      strspn(to + 1, "is") > 0 ? (to[1] == 'i' ? "i" : "s") : "-s", (int)(to - from), from);
}

static void write_search(writer *w, const line *l)
{
  const rhs *r = l->right;
  if (l->right_count != 1 || r->kind != RHS_BYTES || r->fn_count > 0) return;
  put(w, "(?=.{%u}.*?", l->at.offset);
  for (size_t i = 0; i < r->bytes.len; i++)
    put(w, "\\x%02x", r->bytes.data[i]);
  put(w, ")");
}

static void write_line(writer *w, const line *l)
{
  if (l->kind != LINE_CHECK || l->soft || l->any != 0 || l->branch != 0 || l->right_count == 0)
    return;
  if (l->at.length && l->at.in == NULL)
    write_length(w, l);
  else if (l->op == OP_LIKE && l->right->kind == RHS_REGEX && fixed(&l->at))
    write_regex(w, l);
  else if (l->op == OP_HAS && fixed(&l->at))
    write_search(w, l);
  else if (l->op == OP_EQ || l->op == OP_NE || l->op == OP_STARTS)
    write_bytes(w, l);
}

static void write_class(writer *w, const bool allowed[256])
{
  unsigned count = 0, only_one = 0;
  for (unsigned v = 0; v < 256; v++)
    if (allowed[v]) count++, only_one = v;
  if (count == 1) {
    put(w, "\\x%02x", only_one);
    return;
  }
  put(w, "[");
  for (unsigned v = 0; v < 256; v++) {
    unsigned end = v;
    if (!allowed[v]) continue;
    while (end < 255 && allowed[end + 1])
      end++;
    put(w, "\\x%02x-\\x%02x", v, end);
    v = end;
  }
  put(w, "]");
}

static pcre2_code *pattern_of(const my_sig *sig)
{
  static writer w;
  int error;
  PCRE2_SIZE where;
  size_t free_run = 0, last = 0;
  memset(&w, 0, sizeof w);
  put(&w, "(?sJ)\\A");
  for (size_t i = 0; i < sig->line_count; i++)
    write_line(&w, &sig->lines[i]);
  for (size_t i = 0; i < 4096; i++)
    if (w.asked[i]) last = i + 1;
  for (size_t i = 0; i < last; i++) {
    if (!w.asked[i]) {
      free_run++;
      continue;
    }
    if (free_run > 0) put(&w, ".{%zu}", free_run);
    free_run = 0;
    write_class(&w, w.allowed[i]);
  }
  pcre2_code *code = pcre2_compile((PCRE2_SPTR)w.text, w.used, 0, &error, &where, NULL);
  if (code == NULL) {
    fprintf(stderr, "bench_match: no pattern for %s: %s\n", sig->info.name, w.text);
    return NULL;
  }
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  return code;
}

static const pcre2_code **all_patterns(const my_sigdb *db)
{
  const pcre2_code **list = must(calloc(my_sigdb_count(db) + 1, sizeof *list));
  for (size_t i = 0; i < my_sigdb_count(db); i++) {
    const my_sig *sig = my_sigdb_at(db, i);
    if (sig->info.transport == MY_UDP && !sig->info.banner) list[i] = pattern_of(sig);
  }
  return list;
}

static void set_patterns(corpus *c, const my_sigdb *db, const pcre2_code **patterns)
{
  for (size_t i = 0; i < c->count; i++)
    for (size_t k = 0; k < my_sigdb_count(db); k++)
      if (my_sigdb_at(db, k) == c->items[i].sig) c->items[i].pattern = patterns[k];
}

/* ---- what is measured ---- */

typedef struct method {
  const my_sigdb *db;
  const pcre2_code **patterns;
} method;

/* What the reply is said to be; NULL: nothing. */
typedef const my_sig *ask(const method *m, const item *it);

static const my_sig *by_name(const method *m, const item *it)
{
  return my_sigdb_name(m->db, MY_UDP, &it->pair, scratch);
}

static const my_sig *by_holds(const method *m, const item *it)
{
  (void)m;
  return my_sig_holds(it->sig, &it->pair, scratch) ? it->sig : NULL;
}

static const my_sig *by_match(const method *m, const item *it)
{
  my_match shown;
  (void)m;
  my_sig_match(it->sig, &it->pair, scratch, &shown);
  return shown.matched ? it->sig : NULL;
}

/* Every signature whose probe is as long asked in turn, without an index. */
static const my_sig *by_all(const method *m, const item *it)
{
  for (size_t i = 0; i < my_sigdb_count(m->db); i++) {
    const my_sig *sig = my_sigdb_at(m->db, i);
    if (sig->info.transport == MY_UDP && !sig->info.banner &&
        sig->info.probe_len == it->pair.request.len && my_sig_holds(sig, &it->pair, scratch))
      return sig;
  }
  return NULL;
}

static bool matches(const pcre2_code *code, my_span reply)
{
  return code != NULL && pcre2_match(code, reply.data, reply.len, 0, 0, scratch->match, NULL) >= 0;
}

static const my_sig *by_pattern(const method *m, const item *it)
{
  (void)m;
  return matches(it->pattern, it->pair.reply) ? it->sig : NULL;
}

static const my_sig *by_patterns(const method *m, const item *it)
{
  for (size_t i = 0; i < my_sigdb_count(m->db); i++)
    if (matches(m->patterns[i], it->pair.reply)) return my_sigdb_at(m->db, i);
  return NULL;
}

/* All of them: which ones might it be? The last counts. */
static const my_sig *by_each_pattern(const method *m, const item *it)
{
  const my_sig *last = NULL;
  for (size_t i = 0; i < my_sigdb_count(m->db); i++)
    if (matches(m->patterns[i], it->pair.reply)) last = my_sigdb_at(m->db, i);
  return last;
}

/* Replies a second: the best of five, half a second each. */
static double measure(const corpus *c, ask *f, const method *m)
{
  double best = 0;
  for (int round = 0; round < 5; round++) {
    double begun = cpu_seconds(), took;
    size_t done = 0, held = 0;
    do {
      size_t n = c->count < 4096 ? c->count : 4096;
      for (size_t i = 0; i < n; i++)
        held += f(m, &c->items[(done + i) % c->count]) != NULL;
      done += n;
    } while ((took = cpu_seconds() - begun) < 0.5);
    sink += held;
    if ((double)done / took > best) best = (double)done / took;
  }
  return best;
}

/* Per cent of the replies that are named rightly. */
static double share(const corpus *c, ask *f, const method *m)
{
  size_t right = 0;
  for (size_t i = 0; i < c->count; i++) {
    const my_sig *sig = f(m, &c->items[i]);
    right += sig != NULL && strcmp(sig->info.service, c->items[i].sig->info.service) == 0;
  }
  return 100 * (double)right / (double)c->count;
}

static double print_row(const char *what, const corpus *c, ask *f, const method *m)
{
  double rate = measure(c, f, m);
  printf("%-58s %8.2f %7.0f %7.1f\n", what, rate / 1e6, 1e9 / rate, share(c, f, m));
  fflush(stdout);
  return rate;
}

/* ---- how the cost grows ---- */

/* Signatures that nobody has: some of each length, constants of their own. */
static void generate(my_sigdb *db, unsigned count)
{
  size_t room = count * 400 + 100, used = 0;
  char *text = must(malloc(room));
  my_where where;
  used += (size_t)sprintf(text, "service s\n");
  for (unsigned i = 0; i < count; i++) {
    uint32_t a = draw(1u << 24), b = draw(1u << 24), c = draw(1u << 30);
    unsigned more = draw(24);
    used += (size_t)sprintf(text + used,
                            "sig s%u\n send id?4 %06x 00*%u %06x x?4\n len = %u\n @0:4 = $id\n"
                            " @4:4 = %08x\n @8 & c0 = 80\n @9:2 = len-2\n",
                            i, a, 1 + more, b, 16 + i % 40, c);
  }
  if (my_sigdb_add(db, "generated", (my_span){(uint8_t *)text, used}, &where) != MY_OK)
    die(where.text);
  free(text);
}

static corpus generated_pairs(const my_sigdb *db)
{
  corpus c = {0};
  for (size_t i = 0; i < 20000; i++) {
    const my_sig *sig = my_sigdb_at(db, draw((uint32_t)my_sigdb_count(db)));
    uint8_t entropy[8], probe[MY_PROBE_MAX], reply[64] = {0};
    for (size_t k = 0; k < sizeof entropy; k++)
      entropy[k] = (uint8_t)draw(256);
    my_pair p = {.request = {probe, 0}, .reply = {reply, sig->programs->always.least}};
    my_endpoint_parse(&p.my, "192.0.2.7", 40000);
    my_endpoint_parse(&p.peer, "192.0.2.1", 5000);
    p.request.len = (size_t)my_sig_compose(sig, &p.my, &p.peer, (my_span){entropy, sizeof entropy},
                                           probe, sizeof probe);
    memcpy(reply, probe, 4);
    for (size_t k = 0; k < sig->line_count; k++)
      if (sig->lines[k].at.offset == 4 && sig->lines[k].right->kind == RHS_BYTES)
        memcpy(reply + 4, sig->lines[k].right->bytes.data, 4);
    reply[8] = 0x80;
    reply[10] = (uint8_t)(p.reply.len - 2);
    if (!my_sig_holds(sig, &p, scratch)) die("a generated reply does not hold");
    add_item(&c, p, sig);
  }
  return c;
}

static double nanoseconds(unsigned count, ask *f)
{
  my_sigdb *db;
  if (my_sigdb_new(&db) != MY_OK) die("memory is out");
  generate(db, count);
  corpus c = generated_pairs(db);
  double rate = measure(&c, f, &(method){.db = db});
  for (size_t i = 0; i < c.count; i++) {
    free((void *)c.items[i].pair.request.data);
    free((void *)c.items[i].pair.reply.data);
  }
  free(c.items);
  my_sigdb_free(db);
  return 1e9 / rate;
}

/* ---- the same pairs as a capture ---- */

static void put16(uint8_t *out, size_t n)
{
  out[0] = (uint8_t)(n >> 8);
  out[1] = (uint8_t)n;
}

static void write_packet(FILE *f, size_t number, bool reply, my_span data)
{
  uint8_t head[42] = {[12] = 8, [14] = 0x45, [22] = 64, [23] = 17};
  uint32_t client = 0x0a000000u + (uint32_t)(number % 60000) + 1, server = 0x0b000001u;
  uint16_t client_port = (uint16_t)(20000 + number / 60000), server_port = 45001;
  uint32_t record[4] = {(uint32_t)(1700000000 + number / 10000), (uint32_t)(number % 10000 * 100),
                        (uint32_t)(42 + data.len), (uint32_t)(42 + data.len)};
  uint32_t from = reply ? server : client, to = reply ? client : server;
  record[1] += reply ? 50 : 0;
  put16(head + 16, 28 + data.len);
  for (int i = 0; i < 4; i++) {
    head[26 + i] = (uint8_t)(from >> (24 - 8 * i));
    head[30 + i] = (uint8_t)(to >> (24 - 8 * i));
  }
  put16(head + 34, reply ? server_port : client_port);
  put16(head + 36, reply ? client_port : server_port);
  put16(head + 38, 8 + data.len);
  fwrite(record, sizeof record, 1, f);
  fwrite(head, sizeof head, 1, f);
  fwrite(data.data, 1, data.len, f);
}

static void write_capture(const corpus *c, const char *path, size_t pairs)
{
  uint32_t head[6] = {0xa1b2c3d4, 4u << 16 | 2, 0, 0, 65535, 1};
  FILE *f = must(fopen(path, "wb"));
  fwrite(head, sizeof head, 1, f);
  for (size_t i = 0; i < pairs; i++) {
    const my_pair *p = &c->items[i % c->count].pair;
    write_packet(f, i, false, p->request);
    write_packet(f, i, true, p->reply);
  }
  if (fclose(f) != 0) die("cannot write the capture");
}

enum { FLOWS = 1 << 20 };

typedef struct flow {
  my_endpoint client, server;
  my_span request;
} flow;

static size_t flow_slot(const my_endpoint *client, const my_endpoint *server)
{
  uint32_t a, b;
  memcpy(&a, client->bytes, sizeof a);
  memcpy(&b, server->bytes, sizeof b);
  uint64_t h = ((uint64_t)a << 32 | b) ^ ((uint64_t)client->port << 24 | server->port);
  h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
  h = (h ^ h >> 27) * 0x94d049bb133111ebu;
  return (size_t)(h ^ h >> 31) % FLOWS;
}

static bool same_end(const my_endpoint *a, const my_endpoint *b)
{
  return a->port == b->port && my_endpoint_same_address(a, b);
}

static flow *find_flow(flow *flows, const my_endpoint *client, const my_endpoint *server)
{
  size_t i = flow_slot(client, server);
  while (flows[i].request.data != NULL &&
         !(same_end(&flows[i].client, client) && same_end(&flows[i].server, server)))
    i = (i + 1) % FLOWS;
  return &flows[i];
}

/* Read a capture through libpcap, keep each flow's request, name each reply. */
static int name_capture(const my_sigdb *db, const char *path)
{
  flow *flows = must(calloc(FLOWS, sizeof *flows));
  my_capture *capture;
  my_where where;
  my_payload p;
  size_t packets = 0, named = 0, replies = 0;
  if (my_capture_open(&capture, path, NULL, &where) != MY_OK) die(where.text);
  while (my_capture_next(capture, &p, &where) == MY_OK) {
    packets++;
    flow *back = find_flow(flows, &p.to, &p.from);
    if (back->request.data == NULL) {
      flow *f = find_flow(flows, &p.from, &p.to);
      free((void *)f->request.data);
      *f = (flow){p.from, p.to, keep(p.data.data, p.data.len)};
      continue;
    }
    my_pair pair = {.request = back->request,
                    .reply = p.data,
                    .my = back->client,
                    .peer = back->server,
                    .from = p.from,
                    .now_unix_ns = p.time_ns};
    replies++;
    named += my_sigdb_name(db, MY_UDP, &pair, scratch) != NULL;
  }
  my_capture_close(capture);
  printf("%zu packets, %zu of %zu replies named\n", packets, named, replies);
  return 0;
}

/* ---- all of it ---- */

static void run_tables(const my_sigdb *db, const corpus *all)
{
  const pcre2_code **patterns = all_patterns(db);
  method m = {db, patterns};
  corpus binary = only(all, true), text = only(all, false);
  set_patterns(&binary, db, patterns);
  set_patterns(&text, db, patterns);
  printf("%zu signatures; %zu pairs, %zu of them of signatures with simple lines alone\n\n",
         my_sigdb_count(db), all->count, binary.count);
  printf("%-58s %8s %7s %7s\n", "replies, one core", "M/s", "ns", "right %");
  double rate =
      print_row("simple lines: whose request, and does the reply hold", &binary, by_name, &m);
  print_row("  the signature known: does the reply hold", &binary, by_holds, &m);
  print_row("  the same with evidence", &binary, by_match, &m);
  print_row("  every signature whose probe is as long, no index", &binary, by_all, &m);
  print_row("  PCRE2, the signature known: its one pattern", &binary, by_pattern, &m);
  print_row("  PCRE2, every pattern until one matches", &binary, by_patterns, &m);
  print_row("  PCRE2, every pattern", &binary, by_each_pattern, &m);
  print_row("texts, views, addresses too: whose request, does it hold", &text, by_name, &m);
  print_row("  the signature known: does the reply hold", &text, by_holds, &m);
  print_row("  the same with evidence", &text, by_match, &m);
  print_row("  PCRE2, the signature known: its one pattern", &text, by_pattern, &m);
  print_row("  PCRE2, every pattern until one matches", &text, by_patterns, &m);
  print_row("  PCRE2, every pattern", &text, by_each_pattern, &m);
  double few = nanoseconds(10, by_name), some = nanoseconds(100, by_name),
         many = nanoseconds(1000, by_name);
  printf("\n%-58s %8s %7s %7s\n", "ns a reply, generated signatures", "10", "100", "1000");
  printf("%-58s %8.0f %7.0f %7.0f\n", "whose request, does it hold", few, some, many);
  printf("%-58s %8.0f %7.0f %7.0f\n\n", "every signature whose probe is as long asked",
         nanoseconds(10, by_all), nanoseconds(100, by_all), nanoseconds(1000, by_all));
  printf("bars %.2f %.2f\n", rate / 1e6, many / few);
}

int main(int argc, char **argv)
{
  my_sigdb *db;
  if (argc < 3 || my_sigdb_new(&db) != MY_OK || my_scratch_new(&scratch) != MY_OK) {
    fprintf(stderr, "usage: bench_match SIGNATURES tables | write FILE PAIRS | name FILE\n");
    return 2;
  }
  load_folder(db, argv[1]);
  if (strcmp(argv[2], "name") == 0 && argc == 4) return name_capture(db, argv[3]);
  corpus all = gather(db);
  if (strcmp(argv[2], "write") == 0 && argc == 5)
    write_capture(&all, argv[3], strtoul(argv[4], NULL, 10));
  else
    run_tables(db, &all);
  return 0;
}
