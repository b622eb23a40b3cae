/* hint.c - what a reply to the probe of one signature looks like to another. */
#include "sig.h"

/* Does a line speak of the request, or of us? Under a probe of another kind it need not hold. */
static bool binds(const line *l)
{
  for (size_t i = 0; i < l->right_count; i++) {
    const rhs *r = &l->right[i];
    if (r->kind == RHS_PLACE && r->place.of == OF_REQUEST) return true;
    if (r->kind == RHS_ADDRESS || r->kind == RHS_ADDRESS_TEXT || r->kind == RHS_PORT ||
        r->kind == RHS_PORT_TEXT)
      return true;
  }
  return false;
}

bool my_sig_hinted(const my_sig *sig, const my_pair *pair, my_scratch *scratch)
{
  enum { HINT_BITS = 12 }; /* that the lines that hold must show */
  my_match m;
  double bits = 0;
  my_sig_match(sig, pair, scratch, &m);
  for (size_t i = 0; i < m.line_count; i++) {
    const line *l = &sig->lines[i];
    bool may_fail = l->soft || l->any != 0 || l->branch != 0 || binds(l);
    if (m.held[i] == MY_FAILED && !may_fail) return false;
    bits += m.line_bits[i];
  }
  return bits >= HINT_BITS;
}
