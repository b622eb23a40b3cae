/* status.h - what every call answers with, and the bytes that calls pass around.
 * 0 or positive is success, negative is MY_E…; my_status_text gives the message of each. */
#ifndef MYNAH_STATUS_H
#define MYNAH_STATUS_H

#include <stddef.h>
#include <stdint.h>

enum {
  MY_OK = 0,
  MY_NOT_YET = 1, /* nothing wrong: ask again later */
  MY_ENOMEM = -1,
  MY_ESYNTAX = -2, /* a signature file or an argument; my_where says where and why */
  MY_ESHORT = -3,  /* the input ends in the middle of something */
  MY_EFORMAT = -4, /* the input is not what it should be (not a capture, unknown link type) */
  MY_ERANGE = -5,  /* a number, length or offset outside what is allowed */
  MY_ESYS = -6,    /* the system refused; errno says why */
  MY_ESTATE = -7,  /* closed, or not open yet */
  MY_ENOENT = -8,  /* no such signature, exchange or host */
  MY_EFULL = -9    /* a stated limit is reached */
};

/* A static English phrase without a full stop, for example "out of memory". Never NULL. */
const char *my_status_text(int status);

/* Bytes that somebody else owns. data may be NULL where len is 0. */
typedef struct my_span {
  const uint8_t *data;
  size_t len; /* bytes */
} my_span;

/* Where in a text something is wrong: line and column count from 1, text says what was got and
 * what was expected. line 0: the whole. */
typedef struct my_where {
  unsigned line, column;
  char text[200];
} my_where;

#endif
