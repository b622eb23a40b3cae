/* order.c - a Feistel network over two digits of any base (Black and Rogaway, Ciphers with
 * Arbitrary Finite Domains, 2002): the bases are chosen so that their product hardly exceeds the
 * size, and what falls outside walks on until it is inside. Scans that are gone on with rely on the
 * order of their seed: whoever changes it raises ORDER in native/host/command/scan.lua. */
#include "mynah/order.h"

#define SIZE_MAX_ITEMS (UINT64_C(1) << 62)

/* Every bit of the result depends on every bit of x (Stafford's variant 13 of the MurmurHash3
 * finalizer, as in SplitMix64). */
static uint64_t mix(uint64_t x)
{
  x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
  return x ^ x >> 31;
}

/* The least number whose square is at least n. */
static uint64_t root_of(uint64_t n)
{
  uint64_t low = 1, high = UINT64_C(1) << 31;
  while (low < high) {
    uint64_t middle = low + (high - low) / 2;
    if (middle * middle >= n)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

int my_order_init(my_order *o, uint64_t size, uint64_t seed)
{
  *o = (my_order){0};
  if (size < 1 || size > SIZE_MAX_ITEMS) return MY_ERANGE;
  o->size = size;
  o->left = root_of(size);
  o->right = (size + o->left - 1) / o->left;
  for (unsigned i = 0; i < MY_ORDER_ROUNDS; i++)
    o->keys[i] = mix(mix(seed) + (i + 1) * UINT64_C(0x9e3779b97f4a7c15));
  return MY_OK;
}

/* A number below n, all of them equally often but for one in 2^32 / n: n is below 2^32. */
static uint64_t below(uint64_t n, uint64_t x)
{
  return (mix(x) >> 32) * n >> 32;
}

static uint64_t add(uint64_t a, uint64_t b, uint64_t n)
{
  return a + b < n ? a + b : a + b - n;
}

/* Even rounds change the left digit by the right one, odd rounds the right digit by the left one.
 */
static uint64_t forward(const my_order *o, uint64_t x)
{
  uint64_t l = x / o->right, r = x % o->right;
  for (unsigned i = 0; i < MY_ORDER_ROUNDS; i += 2) {
    l = add(l, below(o->left, r ^ o->keys[i]), o->left);
    r = add(r, below(o->right, l ^ o->keys[i + 1]), o->right);
  }
  return l * o->right + r;
}

static uint64_t backward(const my_order *o, uint64_t x)
{
  uint64_t l = x / o->right, r = x % o->right;
  for (unsigned i = MY_ORDER_ROUNDS; i > 0; i -= 2) {
    r = add(r, o->right - below(o->right, l ^ o->keys[i - 1]), o->right);
    l = add(l, o->left - below(o->left, r ^ o->keys[i - 2]), o->left);
  }
  return l * o->right + r;
}

/* A walk from inside comes back inside before it comes round, and the other way likewise. */
uint64_t my_order_item(const my_order *o, uint64_t place)
{
  do
    place = forward(o, place);
  while (place >= o->size);
  return place;
}

uint64_t my_order_place(const my_order *o, uint64_t item)
{
  do
    item = backward(o, item);
  while (item >= o->size);
  return item;
}

uint64_t my_shard_size(uint64_t size, uint64_t index, uint64_t count)
{
  return size / count + (index < size % count ? 1 : 0);
}

uint64_t my_shard_place(uint64_t n, uint64_t index, uint64_t count)
{
  return n * count + index;
}
