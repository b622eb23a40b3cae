/* status.c - the one table of messages. */
#include "mynah/status.h"

const char *my_status_text(int status)
{
  switch (status) {
  case MY_OK:
    return "ok";
  case MY_NOT_YET:
    return "not yet";
  case MY_ENOMEM:
    return "out of memory";
  case MY_ESYNTAX:
    return "syntax error";
  case MY_ESHORT:
    return "cut short";
  case MY_EFORMAT:
    return "unknown format";
  case MY_ERANGE:
    return "out of range";
  case MY_ESYS:
    return "system error";
  case MY_ESTATE:
    return "closed, or not open yet";
  case MY_ENOENT:
    return "no such thing";
  case MY_EFULL:
    return "limit reached";
  default:
    return status > 0 ? "ok" : "unknown error";
  }
}
