/* echo.c - which bytes of a reply came back from the request. */
#include "mynah/match.h"

size_t my_echo_find(my_span request, my_span reply, size_t *request_offset, size_t *reply_offset)
{
  enum { LOOKED_AT = 4096 }; /* bytes of each; the work grows with their product */
  size_t best = 0, best_request = 0, best_reply = 0;
  request.len = request.len < LOOKED_AT ? request.len : LOOKED_AT;
  reply.len = reply.len < LOOKED_AT ? reply.len : LOOKED_AT;
  /* Diagonals: the same shift at a time, the unmoved one first, so that of equals the unmoved wins.
   */
  for (size_t d = 0; d < request.len + reply.len; d++) {
    size_t q = d == 0 || d >= request.len ? 0 : d;
    size_t r = d < request.len ? 0 : d - request.len + 1;
    size_t run = 0;
    if (r >= reply.len && d != 0) break;
    for (; q < request.len && r < reply.len; q++, r++) {
      run = request.data[q] == reply.data[r] ? run + 1 : 0;
      if (run > best) {
        best = run;
        best_request = q + 1 - run;
        best_reply = r + 1 - run;
      }
    }
  }
  if (best < 2) return 0;
  *request_offset = best_request;
  *reply_offset = best_reply;
  return best;
}
