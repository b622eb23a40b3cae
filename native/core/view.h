/* view.h - a value inside a datagram that is read as a text, BER, bencode, JSON or TLV. Bounded:
 * one pass over the bytes for each step of a path, nothing allocated, nothing recursive. */
#ifndef MYNAH_CORE_VIEW_H
#define MYNAH_CORE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mynah/status.h"

typedef enum view_kind {
  VIEW_WORD,   /* of a text, from 0: `index` */
  VIEW_HEADER, /* of a text: `path[0]` is its name */
  VIEW_BER,    /* the content of an element; `tag`: its tag byte. The top level is a list */
  VIEW_BEN,
  VIEW_JSON,
  VIEW_TLV /* the first of type `index` */
} view_kind;

enum { VIEW_STEPS_MAX = 12, VIEW_NESTING_MAX = 64, VIEW_ELEMENTS_MAX = 4096 };

/* One step into a list or a table. */
typedef struct view_step {
  my_span key;
  bool is_index; /* key is a number, `index` */
  uint32_t index;
} view_step;

/* How TLVs lie: the first behind so many bytes; widths of type and length; each padded to `pad`. */
typedef struct tlv_format {
  uint16_t header;
  uint8_t type_width, length_width, pad;
  bool little;
} tlv_format;

typedef struct view {
  view_kind kind;
  bool tag;
  uint32_t index;
  tlv_format tlv;
  size_t step_count;
  view_step path[VIEW_STEPS_MAX];
} view;

/* The value in 'whole'. false: it is not there, or what stands before it is damaged. */
bool view_find(const view *v, my_span whole, my_span *out);

#endif
