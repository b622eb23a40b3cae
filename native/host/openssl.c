/* openssl.c - the module `openssl` that NSE scripts know, on libcrypto: digests, ciphers, random
 * bytes, big numbers. Old algorithms are there too: scripts speak old protocols. */
#include <string.h>

#include <lauxlib.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/provider.h>
#include <openssl/rand.h>

#include "host.h"
#include "openssl.h"

#define BIGNUM_MT "BIGNUM"

static int raise(lua_State *L)
{
  char text[256];
  ERR_error_string_n(ERR_peek_last_error(), text, sizeof text);
  ERR_clear_error();
  lua_pushfstring(L, "OpenSSL error: %s", text);
  return lua_error(L);
}

/* Without a position: who calls is a library more often than not. */
static int fail(lua_State *L, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  lua_pushvfstring(L, format, args);
  va_end(args);
  return lua_error(L);
}

/* ---- big numbers ---- */

static BIGNUM **new_bignum(lua_State *L)
{
  BIGNUM **n = lua_newuserdata(L, sizeof *n);
  *n = NULL;
  luaL_setmetatable(L, BIGNUM_MT);
  *n = BN_new();
  if (!*n) luaL_error(L, "out of memory");
  return n;
}

void my_push_bignum(lua_State *L, const BIGNUM *value)
{
  luaL_requiref(L, "openssl", luaopen_openssl, 0); /* numbers want their metatable */
  lua_pop(L, 1);
  if (!BN_copy(*new_bignum(L), value)) luaL_error(L, "out of memory");
}

static BIGNUM *check_bignum(lua_State *L, int arg)
{
  return *(BIGNUM **)luaL_checkudata(L, arg, BIGNUM_MT);
}

static int l_bignum_gc(lua_State *L)
{
  BIGNUM **n = luaL_checkudata(L, 1, BIGNUM_MT);
  BN_clear_free(*n);
  *n = NULL;
  return 0;
}

static int push_text(lua_State *L, char *text)
{
  if (!text) return raise(L);
  lua_pushstring(L, text);
  OPENSSL_free(text);
  return 1;
}

static int l_bn2dec(lua_State *L)
{
  return push_text(L, BN_bn2dec(check_bignum(L, 1)));
}

static int l_bn2hex(lua_State *L)
{
  return push_text(L, BN_bn2hex(check_bignum(L, 1)));
}

static int l_bn2bin(lua_State *L)
{
  const BIGNUM *n = check_bignum(L, 1);
  luaL_Buffer b;
  char *bytes = luaL_buffinitsize(L, &b, (size_t)BN_num_bytes(n) + 1);
  luaL_pushresultsize(&b, (size_t)BN_bn2bin(n, (unsigned char *)bytes));
  return 1;
}

static int l_bin2bn(lua_State *L)
{
  size_t len;
  const char *bytes = luaL_checklstring(L, 1, &len);
  BIGNUM **n = new_bignum(L);
  return BN_bin2bn((const unsigned char *)bytes, (int)len, *n) ? 1 : raise(L);
}

static int l_dec2bn(lua_State *L)
{
  const char *text = luaL_checkstring(L, 1);
  BN_dec2bn(new_bignum(L), text); /* 0 where it is no number, as in Nmap */
  return 1;
}

static int l_hex2bn(lua_State *L)
{
  const char *text = luaL_checkstring(L, 1);
  BN_hex2bn(new_bignum(L), text);
  return 1;
}

static int l_rand(lua_State *L)
{
  int bits = (int)luaL_checkinteger(L, 1);
  BIGNUM **n = new_bignum(L);
  return BN_rand(*n, bits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) ? 1 : raise(L);
}

static int l_add(lua_State *L)
{
  const BIGNUM *a = check_bignum(L, 1), *b = check_bignum(L, 2);
  return BN_add(*new_bignum(L), a, b) ? 1 : raise(L);
}

static int l_div(lua_State *L)
{
  const BIGNUM *a = check_bignum(L, 1), *b = check_bignum(L, 2);
  BIGNUM **quotient = new_bignum(L), **rest = new_bignum(L);
  BN_CTX *ctx = BN_CTX_new();
  int ok = ctx && BN_div(*quotient, *rest, a, b, ctx);
  BN_CTX_free(ctx);
  return ok ? 2 : raise(L);
}

static int l_mod_exp(lua_State *L)
{
  const BIGNUM *a = check_bignum(L, 1), *p = check_bignum(L, 2), *m = check_bignum(L, 3);
  BIGNUM **n = new_bignum(L);
  BN_CTX *ctx = BN_CTX_new();
  int ok = ctx && BN_mod_exp(*n, a, p, m, ctx);
  BN_CTX_free(ctx);
  return ok ? 1 : raise(L);
}

static int is_prime(const BIGNUM *n, BN_CTX *ctx)
{
  return BN_check_prime(n, ctx, NULL);
}

static int l_is_prime(lua_State *L)
{
  const BIGNUM *n = check_bignum(L, 1);
  BN_CTX *ctx = BN_CTX_new();
  lua_pushboolean(L, ctx && is_prime(n, ctx) == 1);
  BN_CTX_free(ctx);
  return 1;
}

/* Prime, and so is (n - 1) / 2. A second result says whether n itself is. */
static int l_is_safe_prime(lua_State *L)
{
  const BIGNUM *n = check_bignum(L, 1);
  BN_CTX *ctx = BN_CTX_new();
  BIGNUM *half = BN_dup(n);
  int prime = ctx && half && is_prime(n, ctx) == 1;
  int safe = prime && BN_sub_word(half, 1) && BN_rshift1(half, half) && is_prime(half, ctx) == 1;
  BN_free(half);
  BN_CTX_free(ctx);
  lua_pushboolean(L, safe);
  lua_pushboolean(L, prime);
  return 2;
}

static int l_num_bits(lua_State *L)
{
  lua_pushinteger(L, BN_num_bits(check_bignum(L, 1)));
  return 1;
}

static int l_num_bytes(lua_State *L)
{
  lua_pushinteger(L, BN_num_bytes(check_bignum(L, 1)));
  return 1;
}

static int l_set_bit(lua_State *L)
{
  return BN_set_bit(check_bignum(L, 1), (int)luaL_checkinteger(L, 2)) ? 0 : raise(L);
}

static int l_clear_bit(lua_State *L)
{
  return BN_clear_bit(check_bignum(L, 1), (int)luaL_checkinteger(L, 2)) ? 0 : raise(L);
}

static int l_is_bit_set(lua_State *L)
{
  lua_pushboolean(L, BN_is_bit_set(check_bignum(L, 1), (int)luaL_checkinteger(L, 2)));
  return 1;
}

/* ---- random bytes ---- */

static int l_rand_bytes(lua_State *L)
{
  lua_Integer len = luaL_checkinteger(L, 1);
  luaL_argcheck(L, len >= 0 && len <= 1 << 30, 1, "0 to 2^30 bytes");
  luaL_Buffer b;
  char *bytes = luaL_buffinitsize(L, &b, (size_t)len + 1);
  if (len > 0 && RAND_bytes((unsigned char *)bytes, (int)len) != 1) return raise(L);
  luaL_pushresultsize(&b, (size_t)len);
  return 1;
}

/* ---- digests ---- */

static int push_digest(lua_State *L, const char *name, int arg)
{
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned out_len;
  size_t len;
  const char *bytes = luaL_checklstring(L, arg, &len);
  const EVP_MD *md = EVP_get_digestbyname(name);
  if (!md) return fail(L, "Unknown digest algorithm: %s", name);
  if (EVP_Digest(bytes, len, out, &out_len, md, NULL) != 1) return raise(L);
  lua_pushlstring(L, (const char *)out, out_len);
  return 1;
}

static int l_md4(lua_State *L)
{
  return push_digest(L, "md4", 1);
}

static int l_md5(lua_State *L)
{
  return push_digest(L, "md5", 1);
}

static int l_sha1(lua_State *L)
{
  return push_digest(L, "sha1", 1);
}

static int l_ripemd160(lua_State *L)
{
  return push_digest(L, "ripemd160", 1);
}

static int l_digest(lua_State *L)
{
  return push_digest(L, luaL_checkstring(L, 1), 2);
}

static int l_hmac(lua_State *L)
{
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned out_len;
  size_t key_len, len;
  const char *name = luaL_checkstring(L, 1), *key = luaL_checklstring(L, 2, &key_len),
             *bytes = luaL_checklstring(L, 3, &len);
  const EVP_MD *md = EVP_get_digestbyname(name);
  if (!md) return fail(L, "Unknown digest algorithm: %s", name);
  if (!HMAC(md, key, (int)key_len, (const unsigned char *)bytes, len, out, &out_len))
    return raise(L);
  lua_pushlstring(L, (const char *)out, out_len);
  return 1;
}

/* ---- ciphers ---- */

static int run_cipher(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, lua_State *L, int encrypt,
                      unsigned char *out)
{
  size_t key_len, iv_len, len;
  int n, last;
  const char *key = luaL_checklstring(L, 2, &key_len), *iv = luaL_optlstring(L, 3, "", &iv_len),
             *bytes = luaL_checklstring(L, 4, &len);
  const unsigned char *iv_given = iv_len > 0 ? (const unsigned char *)iv : NULL;
  if (!EVP_CipherInit_ex(ctx, cipher, NULL, NULL, NULL, encrypt) ||
      !EVP_CIPHER_CTX_set_key_length(ctx, (int)key_len) ||
      !EVP_CipherInit_ex(ctx, NULL, NULL, (const unsigned char *)key, iv_given, encrypt) ||
      !EVP_CIPHER_CTX_set_padding(ctx, lua_toboolean(L, 5)) ||
      !EVP_CipherUpdate(ctx, out, &n, (const unsigned char *)bytes, (int)len) ||
      !EVP_CipherFinal_ex(ctx, out + n, &last))
    return -1;
  return n + last;
}

/* (algorithm, key, iv or nil, data, padding=false) */
static int crypt(lua_State *L, int encrypt)
{
  const char *name = luaL_checkstring(L, 1);
  size_t key_len, iv_len, len;
  luaL_checklstring(L, 2, &key_len);
  luaL_optlstring(L, 3, "", &iv_len);
  luaL_checklstring(L, 4, &len); /* what raises does so before anything is held */
  const EVP_CIPHER *cipher = EVP_get_cipherbyname(name);
  if (!cipher) return fail(L, "Unknown cipher algorithm: %s", name);
  int iv_wanted = EVP_CIPHER_get_iv_length(cipher);
  if (iv_len > 0 && iv_len != (size_t)iv_wanted)
    return fail(L, "Length of iv is %d; should be %d", (int)iv_len, iv_wanted);
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, len + 2 * EVP_MAX_BLOCK_LENGTH);
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  int n = ctx ? run_cipher(ctx, cipher, L, encrypt, (unsigned char *)out) : -1;
  EVP_CIPHER_CTX_free(ctx);
  if (n < 0) return raise(L);
  luaL_pushresultsize(&b, (size_t)n);
  return 1;
}

static int l_encrypt(lua_State *L)
{
  return crypt(L, 1);
}

static int l_decrypt(lua_State *L)
{
  return crypt(L, 0);
}

/* Seven bytes -> a key of eight for DES, seven bits in each; the parity bits stay 0, as in Nmap. */
static int l_des_key(lua_State *L)
{
  size_t len;
  const unsigned char *in = (const unsigned char *)luaL_checklstring(L, 1, &len);
  if (len != 7) return fail(L, "String must have length of 7 bytes.");
  unsigned char key[8];
  uint64_t bits = 0;
  for (int i = 0; i < 7; i++)
    bits = bits << 8 | in[i];
  for (int i = 0; i < 8; i++)
    key[i] = (unsigned char)((bits >> (49 - 7 * i) & 0x7f) << 1);
  lua_pushlstring(L, (const char *)key, sizeof key);
  return 1;
}

/* ---- lists ---- */

static void add_name(lua_State *L, const char *name)
{
  if (!name) return;
  lua_pushstring(L, name);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

static void on_cipher(const EVP_CIPHER *cipher, const char *from, const char *to, void *L)
{
  (void)cipher;
  (void)to;
  add_name(L, from);
}

static void on_digest(const EVP_MD *md, const char *from, const char *to, void *L)
{
  (void)md;
  (void)to;
  add_name(L, from);
}

static int l_supported_ciphers(lua_State *L)
{
  lua_newtable(L);
  EVP_CIPHER_do_all_sorted(on_cipher, L);
  return 1;
}

static int l_supported_digests(lua_State *L)
{
  lua_newtable(L);
  EVP_MD_do_all_sorted(on_digest, L);
  return 1;
}

static const luaL_Reg FUNCTIONS[] = {
    {"bignum_bn2dec", l_bn2dec},
    {"bignum_bn2hex", l_bn2hex},
    {"bignum_bn2bin", l_bn2bin},
    {"bignum_bin2bn", l_bin2bn},
    {"bignum_dec2bn", l_dec2bn},
    {"bignum_hex2bn", l_hex2bn},
    {"bignum_rand", l_rand},
    {"bignum_pseudo_rand", l_rand},
    {"bignum_add", l_add},
    {"bignum_div", l_div},
    {"bignum_mod_exp", l_mod_exp},
    {"bignum_is_prime", l_is_prime},
    {"bignum_is_safe_prime", l_is_safe_prime},
    {"bignum_num_bits", l_num_bits},
    {"bignum_num_bytes", l_num_bytes},
    {"bignum_set_bit", l_set_bit},
    {"bignum_clear_bit", l_clear_bit},
    {"bignum_is_bit_set", l_is_bit_set},
    {"rand_bytes", l_rand_bytes},
    {"rand_pseudo_bytes", l_rand_bytes},
    {"md4", l_md4},
    {"md5", l_md5},
    {"sha1", l_sha1},
    {"ripemd160", l_ripemd160},
    {"digest", l_digest},
    {"hmac", l_hmac},
    {"encrypt", l_encrypt},
    {"decrypt", l_decrypt},
    {"DES_string_to_key", l_des_key},
    {"supported_ciphers", l_supported_ciphers},
    {"supported_digests", l_supported_digests},
    {NULL, NULL},
};

/* What a number answers to. */
static const luaL_Reg METHODS[] = {
    {"tobin", l_bn2bin},
    {"todec", l_bn2dec},
    {"tohex", l_bn2hex},
    {"num_bits", l_num_bits},
    {"num_bytes", l_num_bytes},
    {"is_prime", l_is_prime},
    {"is_safe_prime", l_is_safe_prime},
    {"is_bit_set", l_is_bit_set},
    {"set_bit", l_set_bit},
    {"clear_bit", l_clear_bit},
    {NULL, NULL},
};

/* ---- algorithms ---- */

typedef struct providers {
  OSSL_PROVIDER *legacy, *usual;
} providers;

static int l_unload(lua_State *L)
{
  providers *p = lua_touserdata(L, 1);
  if (p->legacy) OSSL_PROVIDER_unload(p->legacy);
  if (p->usual) OSSL_PROVIDER_unload(p->usual);
  *p = (providers){0};
  return 0;
}

/* MD4, RC4, DES. Loading one provider by hand takes the default one away, so that is named too.
 * They live as long as the Lua state. */
static void load_providers(lua_State *L)
{
  providers *p = lua_newuserdata(L, sizeof *p);
  *p = (providers){0};
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_unload);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_setfield(L, LUA_REGISTRYINDEX, "mynah_openssl.providers");
  p->legacy = OSSL_PROVIDER_load(NULL, "legacy");
  p->usual = OSSL_PROVIDER_load(NULL, "default");
  ERR_clear_error();
}

int luaopen_openssl(lua_State *L)
{
  load_providers(L);
  luaL_newmetatable(L, BIGNUM_MT);
  luaL_newlib(L, METHODS);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, l_bignum_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, l_bn2hex);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  luaL_newlib(L, FUNCTIONS);
  return 1;
}
