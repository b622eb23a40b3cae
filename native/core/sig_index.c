/* sig_index.c - which signatures a request fits: by transport and length, then byte by byte of what
 * they send, so that a look-up does not ask them all. */
#include "sig.h"

#include <stdlib.h>
#include <string.h>

enum { TRANSPORTS = MY_TLS + 1, LEAF_AT_MOST = 2, NONE = UINT32_MAX };

/* What a signature sends: bits that are always the same, and how they are. */
typedef struct shape {
  const my_sig *sig;
  uint8_t *mask, *value;
} shape;

/* A node asks for one byte: its child stands behind so many lower ones that are possible too.
 * 'other' is the node of those that have no fixed byte there. A leaf asks for nothing. */
typedef struct node {
  uint64_t possible[4];
  uint32_t children; /* the first; of a leaf: into 'leaves' */
  uint32_t other;
  uint32_t leaf_count;
  uint16_t at;
  bool leaf;
} node;

struct sig_index {
  shape *shapes;
  uint8_t *bytes; /* of all shapes */
  node *nodes;
  uint32_t node_count, node_room;
  uint32_t *leaves, leaf_count;
  uint32_t roots[TRANSPORTS][MY_PROBE_MAX + 1];
};

/* ---- shapes ---- */

static void open_bytes(shape *s, size_t offset, size_t n)
{
  memset(s->mask + offset, 0, n);
}

static void make_shape(shape *s, const my_sig *sig, uint8_t *room)
{
  size_t len = sig->info.probe_len;
  *s = (shape){sig, room, room + len};
  memset(s->mask, 255, len);
  for (size_t i = 0; i < sig->slot_count; i++) {
    const slot *t = &sig->slots[i];
    if (t->kind == SLOT_NIBBLE)
      s->mask[t->offset] = (uint8_t)~t->mask;
    else
      open_bytes(s, t->offset, t->len);
  }
  for (size_t i = 0; i < sig->sum_count; i++)
    open_bytes(s, sig->sums[i].offset, sum_width(sig->sums[i].kind));
  for (size_t i = 0; i < len; i++)
    s->value[i] = sig->probe[i] & s->mask[i];
}

static bool is_of_class(byte_class c, uint8_t byte, bool first)
{
  bool letter = byte >= 'a' && byte <= 'z', digit = byte >= '0' && byte <= '9';
  switch (c) {
  case CLASS_ALPHA:
    return letter;
  case CLASS_ALNUM:
    return letter || digit;
  case CLASS_DIGIT:
    return digit;
  case CLASS_POS:
    return !first || (byte >= 1 && byte <= 0x7f);
  default:
    return true;
  }
}

static bool classes_hold(const my_sig *sig, const uint8_t *request)
{
  for (size_t i = 0; i < sig->slot_count; i++) {
    const slot *s = &sig->slots[i];
    if (s->kind != SLOT_RANDOM || s->class_ == CLASS_ANY) continue;
    for (size_t k = 0; k < s->len; k++)
      if (!is_of_class(s->class_, request[s->offset + k], k == 0)) return false;
  }
  return true;
}

static bool sums_hold(const my_sig *sig, my_span request)
{
  uint8_t probe[MY_PROBE_MAX];
  if (sig->sum_count == 0) return true;
  memcpy(probe, request.data, request.len);
  for (size_t i = 0; i < sig->sum_count; i++)
    memset(probe + sig->sums[i].offset, 0, sum_width(sig->sums[i].kind));
  write_sums(sig, probe);
  return memcmp(probe, request.data, request.len) == 0;
}

static uint64_t word_at(const uint8_t *s)
{
  uint64_t word;
  memcpy(&word, s, sizeof word);
  return word;
}

static bool fits(const shape *s, my_span request)
{
  size_t i = 0;
  for (; i + 8 <= request.len; i += 8)
    if ((word_at(request.data + i) & word_at(s->mask + i)) != word_at(s->value + i)) return false;
  for (; i < request.len; i++)
    if ((request.data[i] & s->mask[i]) != s->value[i]) return false;
  return classes_hold(s->sig, request.data) && sums_hold(s->sig, request);
}

/* ---- building ---- */

static uint32_t add_nodes(struct sig_index *x, uint32_t n)
{
  if (x->node_room - x->node_count < n) {
    uint32_t room = 2 * x->node_room + n;
    node *nodes = realloc(x->nodes, room * sizeof *nodes);
    if (nodes == NULL) return NONE;
    x->nodes = nodes;
    x->node_room = room;
  }
  memset(x->nodes + x->node_count, 0, n * sizeof *x->nodes);
  x->node_count += n;
  return x->node_count - n;
}

/* How many signatures are looked at behind this byte, on the average. */
static double cost_of(const struct sig_index *x, const uint32_t *list, size_t count, size_t at)
{
  size_t each[256] = {0}, fixed = 0;
  double squares = 0;
  for (size_t i = 0; i < count; i++) {
    const shape *s = &x->shapes[list[i]];
    if (s->mask[at] != 255) continue;
    each[s->value[at]]++;
    fixed++;
  }
  for (size_t v = 0; v < 256; v++)
    squares += (double)(each[v] * each[v]);
  return fixed > 0 ? squares / (double)fixed + (double)(count - fixed) : (double)count;
}

/* The byte that tells most. false: none tells anything. */
static bool choose_byte(const struct sig_index *x, const uint32_t *list, size_t count, size_t *at)
{
  double best = (double)count - 0.5;
  size_t len = x->shapes[list[0]].sig->info.probe_len;
  bool found = false;
  for (size_t i = 0; i < len; i++) {
    double cost = cost_of(x, list, count, i);
    if (cost >= best) continue;
    best = cost;
    *at = i;
    found = true;
  }
  return found;
}

/* Those of the list with this value (256: with none) at a byte to its front; how many. */
static size_t gather(const struct sig_index *x, uint32_t *list, size_t count, size_t at, unsigned v)
{
  size_t n = 0;
  for (size_t i = 0; i < count; i++) {
    const shape *s = &x->shapes[list[i]];
    unsigned there = s->mask[at] == 255 ? s->value[at] : 256;
    if (there != v) continue;
    uint32_t swap = list[n];
    list[n++] = list[i];
    list[i] = swap;
  }
  return n;
}

static int build(struct sig_index *x, uint32_t self, uint32_t *list, size_t count);

static void make_leaf(struct sig_index *x, uint32_t self, const uint32_t *list, size_t count)
{
  x->nodes[self] =
      (node){.leaf = true, .other = NONE, .children = x->leaf_count, .leaf_count = (uint32_t)count};
  memcpy(x->leaves + x->leaf_count, list, count * sizeof *list);
  x->leaf_count += (uint32_t)count;
}

static int build_children(struct sig_index *x, uint32_t self, uint32_t *list, size_t count)
{
  uint32_t child = x->nodes[self].children;
  size_t at = x->nodes[self].at, n;
  for (unsigned v = 0; v < 256; v++) {
    if ((x->nodes[self].possible[v / 64] >> v % 64 & 1) == 0) continue;
    n = gather(x, list, count, at, v);
    int rc = build(x, child++, list, n);
    if (rc != MY_OK) return rc;
    list += n;
    count -= n;
  }
  if (count == 0) return MY_OK;
  uint32_t other = add_nodes(x, 1);
  if (other == NONE) return MY_ENOMEM;
  x->nodes[self].other = other;
  return build(x, other, list, count);
}

static int build(struct sig_index *x, uint32_t self, uint32_t *list, size_t count)
{
  size_t at = 0;
  uint32_t different = 0;
  node n = {.other = NONE};
  if (count <= LEAF_AT_MOST || !choose_byte(x, list, count, &at)) {
    make_leaf(x, self, list, count);
    return MY_OK;
  }
  for (size_t i = 0; i < count; i++) {
    const shape *s = &x->shapes[list[i]];
    uint64_t bit = UINT64_C(1) << s->value[at] % 64;
    if (s->mask[at] != 255 || (n.possible[s->value[at] / 64] & bit) != 0) continue;
    n.possible[s->value[at] / 64] |= bit;
    different++;
  }
  n.at = (uint16_t)at;
  n.children = add_nodes(x, different);
  if (n.children == NONE) return MY_ENOMEM;
  x->nodes[self] = n;
  return build_children(x, self, list, count);
}

static int build_root(struct sig_index *x, my_transport transport, size_t len, size_t total,
                      uint32_t *list)
{
  size_t count = 0;
  for (uint32_t i = 0; i < total; i++) {
    const my_sig_info *info = &x->shapes[i].sig->info;
    if (info->transport == transport && info->probe_len == len && !info->banner) list[count++] = i;
  }
  uint32_t root = add_nodes(x, 1);
  if (root == NONE) return MY_ENOMEM;
  x->roots[transport][len] = root;
  return build(x, root, list, count);
}

static int build_all(struct sig_index *x, my_sig *const *sigs, size_t count)
{
  uint8_t *room = x->bytes;
  uint32_t *list = malloc((count + 1) * sizeof *list);
  int rc = list != NULL ? MY_OK : MY_ENOMEM;
  for (size_t i = 0; i < count; i++) {
    make_shape(&x->shapes[i], sigs[i], room);
    room += 2 * sigs[i]->info.probe_len;
  }
  for (size_t i = 0; rc == MY_OK && i < count; i++) {
    const my_sig_info *info = &sigs[i]->info;
    if (info->probe_len == 0 || x->roots[info->transport][info->probe_len] != NONE) continue;
    rc = build_root(x, info->transport, info->probe_len, count, list);
  }
  free(list);
  return rc;
}

int index_new(struct sig_index **out, my_sig *const *sigs, size_t count)
{
  struct sig_index *x = calloc(1, sizeof *x);
  size_t bytes = 0;
  *out = NULL;
  if (x == NULL) return MY_ENOMEM;
  for (size_t i = 0; i < count; i++)
    bytes += 2 * sigs[i]->info.probe_len;
  memset(x->roots, 255, sizeof x->roots);
  x->shapes = calloc(count + 1, sizeof *x->shapes);
  x->leaves = calloc(count + 1, sizeof *x->leaves);
  x->bytes = malloc(bytes + 1);
  int rc = x->shapes != NULL && x->leaves != NULL && x->bytes != NULL ? MY_OK : MY_ENOMEM;
  if (rc == MY_OK) rc = build_all(x, sigs, count);
  if (rc == MY_OK)
    *out = x;
  else
    index_free(x);
  return rc;
}

void index_free(struct sig_index *x)
{
  if (x == NULL) return;
  free(x->shapes);
  free(x->leaves);
  free(x->bytes);
  free(x->nodes);
  free(x);
}

/* ---- looking up ---- */

/* The child for a byte: NONE where nobody has it. */
static uint32_t child_of(const node *n, uint8_t byte)
{
  uint64_t word = n->possible[byte / 64], bit = UINT64_C(1) << byte % 64;
  if ((word & bit) == 0) return NONE;
  unsigned before = (unsigned)__builtin_popcountll(word & (bit - 1));
  for (unsigned i = 0; i < byte / 64u; i++)
    before += (unsigned)__builtin_popcountll(n->possible[i]);
  return n->children + before;
}

/* Those that fit, in the order of the database: 'found' is kept sorted, and what comes first stays
 * where there are too many. */
typedef struct finding {
  const struct sig_index *index;
  my_span request;
  uint32_t found[MY_BIND_MAX];
  size_t count;
} finding;

static void add_found(finding *f, uint32_t number)
{
  size_t at = f->count;
  if (at == MY_BIND_MAX && f->found[at - 1] < number) return;
  if (at < MY_BIND_MAX) f->count++;
  for (at = f->count - 1; at > 0 && f->found[at - 1] > number; at--)
    f->found[at] = f->found[at - 1];
  f->found[at] = number;
}

static void find(finding *f, uint32_t at)
{
  const struct sig_index *x = f->index;
  while (at != NONE) {
    const node *n = &x->nodes[at];
    for (uint32_t i = 0; i < n->leaf_count; i++) {
      uint32_t number = x->leaves[n->children + i];
      if (fits(&x->shapes[number], f->request)) add_found(f, number);
    }
    if (n->leaf) return;
    uint32_t child = child_of(n, f->request.data[n->at]);
    if (child != NONE) find(f, child);
    at = n->other;
  }
}

bool my_sig_fits(const my_sig *sig, my_span request)
{
  uint8_t room[2 * MY_PROBE_MAX];
  shape s;
  if (request.len != sig->info.probe_len || request.len == 0) return false;
  make_shape(&s, sig, room);
  return fits(&s, request);
}

static void find_all(finding *f, const my_sigdb *db, my_transport transport, my_span request)
{
  f->index = db->index;
  f->request = request;
  f->count = 0;
  if (f->index != NULL && (int)transport < TRANSPORTS && request.len <= MY_PROBE_MAX)
    find(f, f->index->roots[transport][request.len]);
}

size_t my_sigdb_bind(const my_sigdb *db, my_transport transport, my_span request,
                     const my_sig **out, size_t cap)
{
  finding f;
  find_all(&f, db, transport, request);
  for (size_t i = 0; i < f.count && i < cap; i++)
    out[i] = f.index->shapes[f.found[i]].sig;
  return f.count < cap ? f.count : cap;
}

const my_sig *my_sigdb_name(const my_sigdb *db, my_transport transport, const my_pair *pair,
                            my_scratch *scratch)
{
  finding f;
  find_all(&f, db, transport, pair->request);
  for (size_t i = 0; i < f.count; i++) {
    const my_sig *sig = f.index->shapes[f.found[i]].sig;
    if (my_sig_holds(sig, pair, scratch)) return sig;
  }
  return NULL;
}
