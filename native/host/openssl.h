/* openssl.h - the big numbers of the module `openssl`, which certificates have too. */
#ifndef MYNAH_OPENSSL_H
#define MYNAH_OPENSSL_H

#include <lua.h>
#include <openssl/bn.h>

/* Pushes a copy. */
void my_push_bignum(lua_State *L, const BIGNUM *value);

#endif
