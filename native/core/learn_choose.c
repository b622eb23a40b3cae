/* learn_choose.c - which findings become lines. The fewest that prove the service: what a protocol
 * owes first, then what its type of message is, last what one server may have for itself. */
#include "learn.h"

enum {
  TYPE_RANK = 4,     /* what says of what type a message is */
  SHORT_REPLY = 16,  /* bytes: its length is a fact about the protocol */
  ECHOES_ENOUGH = 3, /* beside which an address written out is a courtesy of some servers */
  NEVER = 1000
};

bool is_echo(const finding *f)
{
  return f->kind >= FOUND_ECHO && f->kind <= FOUND_HAS;
}

static bool is_time(const finding *f)
{
  return f->kind == FOUND_NTP || f->kind == FOUND_UNIX;
}

/* Bytes that mean nothing by themselves. */
static bool is_common(uint8_t c)
{
  return c <= 1 || c == 0xff;
}

static uint8_t constant_byte(const lesson *s, const finding *f)
{
  my_span reply = s->list[0]->pair.reply;
  if (f->view > 0 && !view_find(&s->views[f->view - 1].view, reply, &reply)) return 0;
  return f->at < reply.len ? reply.data[f->at] : 0;
}

/* What other servers of the protocol share most likely comes first: what was sent too, then what
 * has the same name in the request and says another thing there, as the type of a message does; the
 * tags of BER are types. Then what stands at the front. */
static int constant_rank(const lesson *s, const finding *f)
{
  bool type = f->view > 0 && (s->views[f->view - 1].view.tag || f->at_home);
  bool common = is_common(constant_byte(s, f));
  if (f->passing) return 10;
  if (f->doubtful) return 9;
  if (f->copied) return common ? 7 : 3;
  if (type) return TYPE_RANK;
  return common ? 6 : 5;
}

/* In a short reply every byte is the protocol's; in a long one what moves may be one server's own:
 * versions in any order, ids, padding. */
static bool is_short(const lesson *s)
{
  for (size_t i = 0; i < s->count; i++)
    if (s->list[i]->pair.reply.len > SHORT_REPLY) return false;
  return true;
}

static size_t count_echoes(const lesson *s)
{
  size_t n = 0;
  for (size_t i = 0; i < s->found_count; i++)
    n += is_echo(&s->found[i]);
  return n;
}

/* Does anything of the request come back? Else a length says little of the protocol. */
static bool answers(const lesson *s)
{
  return count_echoes(s) > 0;
}

/* Lines are added in this order: lower ones first. */
static int kind_rank(const lesson *s, const finding *f)
{
  switch (f->kind) {
  case FOUND_LENGTH_OF_REPLY:
    return f->k <= SHORT_REPLY && answers(s) ? 0 : 8;
  case FOUND_MASK:
    return 1;
  case FOUND_MY_PORT:
  case FOUND_PEER_IP:
    return 2;
  case FOUND_MOVING:
    return f->doubtful || !is_short(s) ? 8 : 0;
  case FOUND_CONSTANT:
    return constant_rank(s, f);
  case FOUND_VALUE_LENGTH:
    return TYPE_RANK;
  default:
    return 0;
  }
}

/* Of values with names those that lie deep in a message are most likely of one server. */
static int rank_of(const lesson *s, const finding *f)
{
  size_t depth = f->view > 0 ? s->views[f->view - 1].view.step_count : 0;
  return kind_rank(s, f) * (VIEW_STEPS_MAX + 1) + (int)depth;
}

/* The time counts once: of several clocks the last is the one that says when the reply left. */
static bool is_surplus(const lesson *s, const finding *f)
{
  for (size_t i = 0; is_time(f) && i < s->found_count; i++)
    if (is_time(&s->found[i]) && &s->found[i] > f) return true;
  return false;
}

void choose_first(const lesson *s, bool *use)
{
  for (size_t i = 0; i < s->found_count; i++) {
    const finding *f = &s->found[i];
    use[i] = kind_rank(s, f) <= 1 && !is_surplus(s, f);
  }
}

/* A clock that may be wrong by months is narrowed to a day, then to minutes, then to one. */
static bool narrow_clock(lesson *s, const bool *use)
{
  enum { DAY = 86400, MINUTES = 600, MINUTE = 60 };
  for (size_t i = 0; i < s->found_count; i++) {
    finding *f = &s->found[i];
    if (!use[i] || !is_time(f) || f->k <= MINUTE) continue;
    f->k = f->k > DAY ? DAY : f->k > MINUTES ? MINUTES : MINUTE;
    return true;
  }
  return false;
}

bool choose_next(lesson *s, bool *use)
{
  int least = NEVER;
  size_t best = 0;
  if (narrow_clock(s, use)) return true;
  for (size_t i = 0; i < s->found_count; i++) {
    int rank = rank_of(s, &s->found[i]);
    if (use[i] || rank >= least || is_surplus(s, &s->found[i])) continue;
    least = rank;
    best = i;
  }
  if (least == NEVER) return false;
  use[best] = true;
  return true;
}

bool may_go(const lesson *s, const finding *f)
{
  if (f->kind == FOUND_MOVING) return !is_short(s);
  if (f->kind == FOUND_MY_IP_TEXT) return count_echoes(s) >= ECHOES_ENOUGH;
  return f->kind == FOUND_VALUE_LENGTH ||
         (f->kind == FOUND_CONSTANT && constant_rank(s, f) != TYPE_RANK);
}

bool is_any_address(const lesson *s, const finding *f)
{
  size_t n = 0;
  for (size_t i = 0; i < s->found_count; i++)
    n += s->found[i].kind == FOUND_MY_IP && s->found[i].view > 0;
  return f->kind == FOUND_MY_IP && f->view > 0 && n > 1;
}
