/* certificate.c - X.509 certificates as NSE scripts see them: certificate(der) gives an object
 * whose fields are read when they are asked for. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <lauxlib.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "host.h"
#include "openssl.h"

#define CERTIFICATE_MT "SSL_CERT"

static X509 *check_certificate(lua_State *L)
{
  return *(X509 **)luaL_checkudata(L, 1, CERTIFICATE_MT);
}

static int l_gc(lua_State *L)
{
  X509 **x = luaL_checkudata(L, 1, CERTIFICATE_MT);
  X509_free(*x);
  *x = NULL;
  return 0;
}

/* certificate(der) -> object | nil, message */
static int l_certificate(lua_State *L)
{
  size_t len;
  const unsigned char *der = (const unsigned char *)luaL_checklstring(L, 1, &len);
  X509 **x = lua_newuserdata(L, sizeof *x);
  *x = NULL;
  luaL_setmetatable(L, CERTIFICATE_MT);
  *x = d2i_X509(NULL, &der, (long)len);
  if (*x) return 1;
  lua_pushnil(L);
  lua_pushliteral(L, "error parsing cert");
  return 2;
}

/* ---- names ---- */

/* The long name of an object; where it has none, its numbers as an array. */
static void push_object(lua_State *L, const ASN1_OBJECT *object)
{
  int nid = OBJ_obj2nid(object);
  char dotted[256];
  if (nid != NID_undef) {
    lua_pushstring(L, OBJ_nid2ln(nid));
    return;
  }
  OBJ_obj2txt(dotted, sizeof dotted, object, 1);
  lua_newtable(L);
  lua_Integer n = 0;
  for (char *word = dotted; *word;) {
    size_t len = strcspn(word, ".");
    lua_pushlstring(L, word, len);
    lua_rawseti(L, -2, ++n);
    word += len + (word[len] == '.');
  }
}

static void push_name(lua_State *L, const X509_NAME *name)
{
  lua_newtable(L);
  for (int i = 0; i < X509_NAME_entry_count(name); i++) {
    const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
    const ASN1_STRING *value = X509_NAME_ENTRY_get_data(entry);
    push_object(L, X509_NAME_ENTRY_get_object(entry));
    lua_pushlstring(L, (const char *)ASN1_STRING_get0_data(value),
                    (size_t)ASN1_STRING_length(value));
    lua_settable(L, -3);
  }
}

/* ---- times ---- */

static void push_time(lua_State *L, const ASN1_TIME *time)
{
  struct tm tm;
  if (ASN1_TIME_to_tm(time, &tm) != 1) {
    lua_pushlstring(L, (const char *)ASN1_STRING_get0_data(time), (size_t)ASN1_STRING_length(time));
    return;
  }
  const struct {
    const char *key;
    int value;
  } fields[] = {{"year", tm.tm_year + 1900}, {"month", tm.tm_mon + 1}, {"day", tm.tm_mday},
                {"hour", tm.tm_hour},        {"min", tm.tm_min},       {"sec", tm.tm_sec}};
  lua_createtable(L, 0, 6);
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    lua_pushinteger(L, fields[i].value);
    lua_setfield(L, -2, fields[i].key);
  }
}

static void push_validity(lua_State *L, const X509 *x)
{
  lua_createtable(L, 0, 2);
  push_time(L, X509_get0_notBefore(x));
  lua_setfield(L, -2, "notBefore");
  push_time(L, X509_get0_notAfter(x));
  lua_setfield(L, -2, "notAfter");
}

/* ---- the key ---- */

static void set_number(lua_State *L, const char *field, EVP_PKEY *key, const char *parameter)
{
  BIGNUM *n = NULL;
  if (EVP_PKEY_get_bn_param(key, parameter, &n) != 1) return;
  my_push_bignum(L, n);
  BN_free(n);
  lua_setfield(L, -2, field);
}

static void set_curve(lua_State *L, EVP_PKEY *key)
{
  char name[80];
  size_t len;
  lua_createtable(L, 0, 1);
  lua_createtable(L, 0, 2);
  if (EVP_PKEY_get_utf8_string_param(key, "group", name, sizeof name, &len) == 1) {
    lua_pushlstring(L, name, len);
    lua_setfield(L, -2, "curve");
    lua_pushliteral(L, "namedcurve");
    lua_setfield(L, -2, "ec_curve_type");
  }
  lua_setfield(L, -2, "curve_params");
  lua_setfield(L, -2, "ecdhparams");
}

static const char *type_of(int id)
{
  switch (id) {
  case EVP_PKEY_RSA:
    return "rsa";
  case EVP_PKEY_DSA:
    return "dsa";
  case EVP_PKEY_DH:
    return "dh";
  case EVP_PKEY_EC:
    return "ec";
  default:
    return "unknown";
  }
}

static void push_key(lua_State *L, X509 *x)
{
  EVP_PKEY *key = X509_get0_pubkey(x);
  if (!key) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, 0, 4);
  lua_pushstring(L, type_of(EVP_PKEY_get_base_id(key)));
  lua_setfield(L, -2, "type");
  lua_pushinteger(L, EVP_PKEY_get_bits(key));
  lua_setfield(L, -2, "bits");
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
    set_number(L, "modulus", key, "n");
    set_number(L, "exponent", key, "e");
  } else if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
    set_curve(L, key);
  }
}

/* ---- extensions and the rest ---- */

static int push_memory(lua_State *L, BIO *bio)
{
  char *bytes;
  long len = bio ? BIO_get_mem_data(bio, &bytes) : 0;
  lua_pushlstring(L, len > 0 ? bytes : "", len > 0 ? (size_t)len : 0);
  BIO_free(bio);
  return 1;
}

static void push_extension_value(lua_State *L, X509_EXTENSION *extension)
{
  BIO *bio = BIO_new(BIO_s_mem());
  if (bio && !X509V3_EXT_print(bio, extension, 0, 0))
    ASN1_STRING_print(bio, X509_EXTENSION_get_data(extension));
  push_memory(L, bio);
}

static void push_extensions(lua_State *L, const X509 *x)
{
  lua_newtable(L);
  for (int i = 0; i < X509_get_ext_count(x); i++) {
    X509_EXTENSION *extension = X509_get_ext(x, i);
    char name[256];
    lua_createtable(L, 0, 3);
    OBJ_obj2txt(name, sizeof name, X509_EXTENSION_get_object(extension), 0);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "name");
    push_extension_value(L, extension);
    lua_setfield(L, -2, "value");
    if (X509_EXTENSION_get_critical(extension)) {
      lua_pushboolean(L, 1);
      lua_setfield(L, -2, "critical");
    }
    lua_rawseti(L, -2, i + 1);
  }
}

static void push_pem(lua_State *L, X509 *x)
{
  BIO *bio = BIO_new(BIO_s_mem());
  if (bio) PEM_write_bio_X509(bio, x);
  push_memory(L, bio);
}

/* certificate:digest(algorithm) -> bytes | nil */
static int l_digest(lua_State *L)
{
  const X509 *x = check_certificate(L);
  const EVP_MD *md = EVP_get_digestbyname(luaL_checkstring(L, 2));
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned len;
  if (!md || X509_digest(x, md, out, &len) != 1) return 0;
  lua_pushlstring(L, (const char *)out, len);
  return 1;
}

static int l_index(lua_State *L)
{
  X509 *x = check_certificate(L);
  const char *key = luaL_checkstring(L, 2);
  if (strcmp(key, "digest") == 0)
    lua_pushcfunction(L, l_digest);
  else if (strcmp(key, "subject") == 0)
    push_name(L, X509_get_subject_name(x));
  else if (strcmp(key, "issuer") == 0)
    push_name(L, X509_get_issuer_name(x));
  else if (strcmp(key, "validity") == 0)
    push_validity(L, x);
  else if (strcmp(key, "pubkey") == 0)
    push_key(L, x);
  else if (strcmp(key, "extensions") == 0)
    push_extensions(L, x);
  else if (strcmp(key, "sig_algorithm") == 0)
    lua_pushstring(L, OBJ_nid2ln(X509_get_signature_nid(x)));
  else if (strcmp(key, "pem") == 0)
    push_pem(L, x);
  else
    lua_pushnil(L);
  return 1;
}

static int l_tostring(lua_State *L)
{
  lua_pushfstring(L, "SSL_CERT: %p", lua_topointer(L, 1));
  return 1;
}

void my_add_certificate(lua_State *L)
{
  static const luaL_Reg meta[] = {
      {"__index", l_index}, {"__gc", l_gc}, {"__tostring", l_tostring}, {NULL, NULL}};
  luaL_newmetatable(L, CERTIFICATE_MT);
  luaL_setfuncs(L, meta, 0);
  lua_pop(L, 1);
  lua_pushcfunction(L, l_certificate);
  lua_setfield(L, -2, "certificate");
}
