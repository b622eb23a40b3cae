/* tls.c - one side of a TLS conversation for Lua, by OpenSSL, without a socket: ciphertext goes in
 * and comes out as strings, whoever carries it. Made to look at servers, not to trust them: any
 * version and cipher that OpenSSL still knows, no certificate is verified. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "host.h"

#define TLS_MT "mynah_host.tls"

enum { CHUNK = 16384, NAMES_MAX = 32, ALPN_MAX = 255 };

typedef struct session {
  SSL_CTX *ctx;
  SSL *ssl;
  BIO *in, *out;          /* owned by ssl */
  bool wants_certificate; /* the server asked for one of ours */
} session;

static session *check_session(lua_State *L)
{
  session *s = luaL_checkudata(L, 1, TLS_MT);
  if (s->ssl == NULL) luaL_argerror(L, 1, "session is closed");
  return s;
}

static int l_close(lua_State *L)
{
  session *s = luaL_checkudata(L, 1, TLS_MT);
  SSL_free(s->ssl);
  SSL_CTX_free(s->ctx);
  s->ssl = NULL;
  s->ctx = NULL;
  return 0;
}

/* nil and what OpenSSL says, in its own words without its numbers. */
static int push_error(lua_State *L)
{
  unsigned long code = ERR_peek_last_error();
  const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
  ERR_clear_error();
  lua_pushnil(L);
  lua_pushstring(L, reason != NULL ? reason : "broken off");
  return 2;
}

/* ---- opening ---- */

static int note_certificate_wanted(SSL *ssl, X509 **certificate, EVP_PKEY **key)
{
  session *s = SSL_get_app_data(ssl);
  (void)certificate;
  (void)key;
  s->wants_certificate = true;
  return 0; /* go on without one */
}

static bool set_up_context(session *s)
{
  s->ctx = SSL_CTX_new(TLS_client_method());
  if (s->ctx == NULL) return false;
  SSL_CTX_set_security_level(s->ctx, 0);
  SSL_CTX_set_options(s->ctx, SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_verify(s->ctx, SSL_VERIFY_NONE, NULL);
  SSL_CTX_set_client_cert_cb(s->ctx, note_certificate_wanted);
  return SSL_CTX_set_min_proto_version(s->ctx, TLS1_VERSION) == 1 &&
         SSL_CTX_set_cipher_list(s->ctx, "ALL:COMPLEMENTOFALL:!NULL:!aNULL:@SECLEVEL=0") == 1;
}

static bool set_up_session(session *s)
{
  s->ssl = SSL_new(s->ctx);
  if (s->ssl == NULL) return false;
  s->in = BIO_new(BIO_s_mem());
  s->out = BIO_new(BIO_s_mem());
  if (s->in == NULL || s->out == NULL) {
    BIO_free(s->in);
    BIO_free(s->out);
    return false;
  }
  BIO_set_mem_eof_return(s->in, -1); /* empty means: not yet */
  SSL_set_bio(s->ssl, s->in, s->out);
  SSL_set_app_data(s->ssl, s);
  SSL_set_connect_state(s->ssl);
  return true;
}

/* Protocols by name, as a list in the wire's form. Raises where one is too long. */
static size_t check_protocols(lua_State *L, int arg, unsigned char *wire)
{
  size_t used = 0;
  luaL_checktype(L, arg, LUA_TTABLE);
  for (lua_Integer i = 1; lua_rawgeti(L, arg, i) == LUA_TSTRING; i++) {
    size_t len;
    const char *name = lua_tolstring(L, -1, &len);
    if (len == 0 || used + 1 + len > ALPN_MAX) luaL_argerror(L, arg, "names of protocols expected");
    wire[used++] = (unsigned char)len;
    memcpy(wire + used, name, len);
    used += len;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return used;
}

/* tls([server_name|nil [, protocols]]) -> session | nil, message. server_name: for SNI; protocols:
 * array of names for ALPN. */
static int l_new(lua_State *L)
{
  const char *name = luaL_optstring(L, 1, NULL);
  unsigned char protocols[ALPN_MAX];
  size_t protocols_len = lua_isnoneornil(L, 2) ? 0 : check_protocols(L, 2, protocols);
  session *s = lua_newuserdata(L, sizeof *s);
  memset(s, 0, sizeof *s);
  luaL_setmetatable(L, TLS_MT);
  ERR_clear_error();
  if (!set_up_context(s) || !set_up_session(s)) return push_error(L);
  if (name != NULL) SSL_set_tlsext_host_name(s->ssl, name);
  if (protocols_len > 0) SSL_set_alpn_protos(s->ssl, protocols, (unsigned)protocols_len);
  return 1;
}

/* ---- talking ---- */

/* session:feed(bytes): what came from the peer */
static int l_feed(lua_State *L)
{
  session *s = check_session(L);
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  if (len > 0 && BIO_write(s->in, bytes, (int)len) != (int)len) return push_error(L);
  lua_pushboolean(L, 1);
  return 1;
}

/* session:output() -> bytes for the peer, "" where there are none */
static int l_output(lua_State *L)
{
  session *s = check_session(L);
  char *bytes;
  long len = BIO_get_mem_data(s->out, &bytes);
  lua_pushlstring(L, len > 0 ? bytes : "", len > 0 ? (size_t)len : 0);
  (void)BIO_reset(s->out);
  return 1;
}

/* After a call of OpenSSL's that did not do it: false where it only wants more of the peer. */
static int push_outcome(lua_State *L, const session *s, int rc)
{
  int what = SSL_get_error(s->ssl, rc);
  if (what != SSL_ERROR_WANT_READ && what != SSL_ERROR_WANT_WRITE) return push_error(L);
  lua_pushboolean(L, 0);
  return 1;
}

/* session:handshake() -> true once it is done, false where more must come | nil, message */
static int l_handshake(lua_State *L)
{
  session *s = check_session(L);
  ERR_clear_error();
  int rc = SSL_do_handshake(s->ssl);
  if (rc != 1) return push_outcome(L, s, rc);
  lua_pushboolean(L, 1);
  return 1;
}

/* session:write(bytes) -> true | nil, message */
static int l_write(lua_State *L)
{
  session *s = check_session(L);
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  ERR_clear_error();
  if (len > 0 && SSL_write(s->ssl, bytes, (int)len) != (int)len) return push_error(L);
  lua_pushboolean(L, 1);
  return 1;
}

/* session:read() -> bytes, "" where more must come | nil, "eof" or a message */
static int l_read(lua_State *L)
{
  session *s = check_session(L);
  char bytes[CHUNK];
  ERR_clear_error();
  int n = SSL_read(s->ssl, bytes, sizeof bytes);
  if (n > 0) {
    lua_pushlstring(L, bytes, (size_t)n);
    return 1;
  }
  int what = SSL_get_error(s->ssl, n);
  if (what == SSL_ERROR_WANT_READ || what == SSL_ERROR_WANT_WRITE) {
    lua_pushliteral(L, "");
    return 1;
  }
  if (what != SSL_ERROR_ZERO_RETURN) return push_error(L);
  lua_pushnil(L);
  lua_pushliteral(L, "eof");
  return 2;
}

/* ---- what is known of the peer ---- */

static void set_field(lua_State *L, const char *name, const char *value)
{
  if (value == NULL) return;
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

/* The common name of a subject or an issuer. */
static void set_common_name(lua_State *L, const char *field, const X509_NAME *name)
{
  int at = X509_NAME_get_index_by_NID((X509_NAME *)name, NID_commonName, -1);
  if (at < 0) return;
  const ASN1_STRING *text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
  lua_pushlstring(L, (const char *)ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
  lua_setfield(L, -2, field);
}

/* The names of DNS that the certificate is for. */
static void set_names(lua_State *L, const X509 *certificate)
{
  GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  lua_Integer n = 0;
  lua_createtable(L, 0, 0);
  for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names) && n < NAMES_MAX; i++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_DNS) continue;
    lua_pushlstring(L, (const char *)ASN1_STRING_get0_data(name->d.dNSName),
                    (size_t)ASN1_STRING_length(name->d.dNSName));
    lua_rawseti(L, -2, ++n);
  }
  GENERAL_NAMES_free(names);
  lua_setfield(L, -2, "names");
}

static void set_certificate(lua_State *L, const session *s)
{
  const X509 *certificate = SSL_get0_peer_certificate(s->ssl);
  if (certificate == NULL) return;
  lua_createtable(L, 0, 3);
  set_common_name(L, "subject", X509_get_subject_name(certificate));
  set_common_name(L, "issuer", X509_get_issuer_name(certificate));
  set_names(L, certificate);
  lua_setfield(L, -2, "certificate");
}

/* session:info() -> { version=, cipher=, alpn=, certificate={ subject=, issuer=, names={…} },
 * wants_certificate= }, as far as known */
static int l_info(lua_State *L)
{
  session *s = check_session(L);
  const unsigned char *alpn;
  unsigned alpn_len;
  lua_createtable(L, 0, 5);
  set_field(L, "version", SSL_get_version(s->ssl));
  set_field(L, "cipher", SSL_get_cipher_name(s->ssl));
  SSL_get0_alpn_selected(s->ssl, &alpn, &alpn_len);
  if (alpn_len > 0) {
    lua_pushlstring(L, (const char *)alpn, alpn_len);
    lua_setfield(L, -2, "alpn");
  }
  lua_pushboolean(L, s->wants_certificate);
  lua_setfield(L, -2, "wants_certificate");
  set_certificate(L, s);
  return 1;
}

/* session:der() -> the peer's certificate in DER, nil where there is none */
static int l_der(lua_State *L)
{
  session *s = check_session(L);
  const X509 *certificate = SSL_get0_peer_certificate(s->ssl);
  unsigned char *der = NULL;
  int len = certificate != NULL ? i2d_X509(certificate, &der) : -1;
  if (len < 0) return 0;
  lua_pushlstring(L, (const char *)der, (size_t)len);
  OPENSSL_free(der);
  return 1;
}

void my_add_tls(lua_State *L)
{
  static const luaL_Reg methods[] = {
      {"feed", l_feed},   {"output", l_output}, {"handshake", l_handshake},
      {"write", l_write}, {"read", l_read},     {"info", l_info},
      {"der", l_der},     {"close", l_close},   {NULL, NULL}};
  if (luaL_newmetatable(L, TLS_MT)) {
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, l_close);
    lua_setfield(L, -2, "__gc");
  }
  lua_pop(L, 1);
  lua_pushcfunction(L, l_new);
  lua_setfield(L, -2, "tls");
}
