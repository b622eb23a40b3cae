/* hex.h - test bytes written as hex, spaces allowed. */
#ifndef MYNAH_TEST_HEX_H
#define MYNAH_TEST_HEX_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline int hex_digit(char c)
{
  const char *digits = "0123456789abcdef", *at = strchr(digits, c);
  return c && at ? (int)(at - digits) : -1;
}

/* Write what 'text' spells to out and return its length; aborts on anything but whole bytes. */
static inline size_t unhex(const char *text, uint8_t *out, size_t cap)
{
  size_t len = 0;
  for (; *text; text++) {
    if (*text == ' ') continue;
    int high = hex_digit(text[0]), low = hex_digit(text[1]);
    if (high < 0 || low < 0 || len == cap) abort();
    out[len++] = (uint8_t)(high << 4 | low);
    text++;
  }
  return len;
}

#endif
