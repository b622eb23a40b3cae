/* packet.c - the UDP or TCP payload of one captured frame. Every length read from the frame is only
 * ever used to make the view smaller: what is not there is never looked at. */
#include "packet.h"

#include <string.h>

#include "mynah/fragment.h"

/* Link types as libpcap numbers them (DLT_…); the core does not include pcap.h. */
enum {
  LINK_NULL = 0,
  LINK_ETHERNET = 1,
  LINK_PPP = 9,
  LINK_RAW = 12,
  LINK_RAW_OPENBSD = 14,
  LINK_PPP_SERIAL = 50,
  LINK_PPP_ETHER = 51,
  LINK_IEEE802_11 = 105,
  LINK_LOOP = 108,
  LINK_LINUX_SLL = 113,
  LINK_RADIOTAP = 127,
  LINK_IPV4 = 228,
  LINK_IPV6 = 229,
  LINK_LINUX_SLL2 = 276
};

enum { ETHER_IPV4 = 0x0800, ETHER_IPV6 = 0x86dd, ETHER_PPPOE = 0x8864 };

enum { NO_PROTO = -1 }; /* an ether type that carries nothing for us */

/* What is left of the frame; 'whole' says that the capture kept all of it. 'part' and 'error',
 * where somebody asks for them, are filled in if the packet is a fragment, or an ICMP error. */
typedef struct view {
  my_span rest;
  bool whole;
  my_fragment *part;
  my_icmp_error *error;
  bool quoted; /* it is what an ICMP error is about */
} view;

static uint16_t be16(const uint8_t *p)
{
  return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t be32(const uint8_t *p)
{
  return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static bool take(view *v, size_t len, const uint8_t **out)
{
  if (v->rest.len < len) return false;
  *out = v->rest.data;
  v->rest.data += len;
  v->rest.len -= len;
  return true;
}

/* Keep at most 'len' bytes: a length field ends the packet before padding. If it promises more than
 * is there, the packet is not whole, whatever the capture says; if not, it is, however the frame
 * went on. */
static void shrink(view *v, size_t len)
{
  v->whole = len <= v->rest.len;
  if (v->whole) v->rest.len = len;
}

/* ---- transport ---- */

static int decode_udp(view v, my_payload *out)
{
  const uint8_t *h;
  if (!take(&v, 8, &h)) return MY_ESHORT;
  size_t len = be16(h + 4);
  if (len != 0 && len < 8) return MY_NOT_YET; /* malformed: no receiver would take it */
  if (len != 0) shrink(&v, len - 8);          /* RFC 2675: 0 is a jumbogram, the IP length stands */
  out->transport = MY_UDP;
  out->from.port = be16(h);
  out->to.port = be16(h + 2);
  out->data = v.rest;
  out->cut = !v.whole;
  return MY_OK;
}

static int decode_tcp(view v, my_payload *out)
{
  const uint8_t *h, *options;
  if (!take(&v, 20, &h)) return MY_ESHORT;
  size_t header_len = (size_t)(h[12] >> 4) * 4;
  if (header_len < 20) return MY_NOT_YET;
  if (!take(&v, header_len - 20, &options)) return MY_ESHORT;
  out->transport = MY_TCP;
  out->from.port = be16(h);
  out->to.port = be16(h + 2);
  out->tcp_seq = be32(h + 4) + (h[13] & 0x02 ? 1u : 0u); /* SYN takes one number */
  out->tcp_ack = be32(h + 8);
  out->tcp_flags = h[13];
  out->data = v.rest;
  out->cut = !v.whole;
  return MY_OK;
}

static int decode_ip(view v, my_payload *out);

/* The first 8 bytes are all that is sure to be quoted. */
static int decode_quoted_tcp(view v, my_payload *out)
{
  const uint8_t *h;
  if (!take(&v, 8, &h)) return MY_ESHORT;
  out->transport = MY_TCP;
  out->from.port = be16(h);
  out->to.port = be16(h + 2);
  out->tcp_seq = be32(h + 4);
  return MY_OK;
}

/* Unreachable, time exceeded, parameter problem: behind 8 bytes the packet that it is about, cut
 * somewhere behind its headers. */
static int decode_icmp(view v, bool v6, my_payload *out)
{
  const uint8_t *h;
  my_payload quoted = {0};
  if (v.error == NULL) return MY_NOT_YET;
  if (!take(&v, 8, &h)) return MY_ESHORT;
  if (v6 ? h[0] < 1 || h[0] > 4 || h[0] == 2 : h[0] != 3 && h[0] != 11 && h[0] != 12)
    return MY_NOT_YET;
  view inside = {.rest = v.rest, .whole = v.whole, .quoted = true};
  if (decode_ip(inside, &quoted) != MY_OK) return MY_NOT_YET;
  *v.error = (my_icmp_error){.from = out->from,
                             .type = h[0],
                             .code = h[1],
                             .transport = quoted.transport,
                             .sent_from = quoted.from,
                             .sent_to = quoted.to,
                             .tcp_seq = quoted.tcp_seq,
                             .quoted = quoted.data};
  return MY_OK;
}

static int decode_transport(view v, int proto, my_payload *out)
{
  if (proto == 17) return decode_udp(v, out);
  if (proto == 6) return v.quoted ? decode_quoted_tcp(v, out) : decode_tcp(v, out);
  if (proto == 1 && out->from.family == 4) return decode_icmp(v, false, out);
  if (proto == 58 && out->from.family == 6) return decode_icmp(v, true, out);
  return MY_NOT_YET;
}

/* ---- network ---- */

/* A fragment is no payload yet; one that the capture cut never will be. */
static int note_fragment(const view *v, const my_payload *out, uint32_t id, my_fragment f)
{
  if (v->part != NULL && v->whole) {
    f.from = out->from;
    f.to = out->to;
    f.id = id;
    f.data = v->rest;
    *v->part = f;
  }
  return MY_NOT_YET;
}

static int decode_ipv4(view v, my_payload *out)
{
  const uint8_t *h, *options;
  if (!take(&v, 20, &h)) return MY_ESHORT;
  size_t header_len = (size_t)(h[0] & 15) * 4, total_len = be16(h + 2);
  if (h[0] >> 4 != 4 || header_len < 20) return MY_NOT_YET;
  bool offloaded = total_len == 0; /* the card would have filled it in */
  if (!offloaded && total_len < header_len) return MY_NOT_YET;
  if (!take(&v, header_len - 20, &options)) return MY_ESHORT;
  if (!offloaded) shrink(&v, total_len - header_len);
  out->from.family = out->to.family = 4;
  memcpy(out->from.bytes, h + 12, 4);
  memcpy(out->to.bytes, h + 16, 4);
  unsigned where = be16(h + 6);
  if (where & 0x3fff) /* more fragments, or an offset */
    return note_fragment(&v, out, be16(h + 4),
                         (my_fragment){.protocol = h[9],
                                       .more = (where & 0x2000) != 0,
                                       .offset = (uint16_t)(where << 3)});
  return decode_transport(v, h[9], out);
}

/* A fragment header is in front; an atomic fragment (RFC 6946) is a whole packet. */
static int fragment_of_ipv6(const view *v, const my_payload *out)
{
  const uint8_t *h;
  view rest = *v;
  if (!take(&rest, 8, &h)) return MY_ESHORT;
  unsigned where = be16(h + 2);
  if ((where & 0xfff9) == 0) return MY_OK;
  return note_fragment(&rest, out, be32(h + 4),
                       (my_fragment){.protocol = h[0],
                                     .more = (where & 1) != 0,
                                     .offset = (uint16_t)(where & 0xfff8)});
}

/* Step over extension headers to *proto; or MY_NOT_YET, MY_ESHORT. */
static int skip_extensions(view *v, const my_payload *out, int *proto)
{
  int rc;
  for (;;) {
    const uint8_t *h, *body;
    size_t len;
    switch (*proto) {
    case 0:
    case 43:
    case 60:
    case 135:
    case 139:
    case 140: /* options, routing, mobility, HIP, shim6 */
      if (!take(v, 2, &h)) return MY_ESHORT;
      len = 8 + 8 * (size_t)h[1];
      break;
    case 44: /* fragment */
      if ((rc = fragment_of_ipv6(v, out)) != MY_OK) return rc;
      if (!take(v, 2, &h)) return MY_ESHORT;
      len = 8;
      break;
    case 51: /* authentication: counts 4-byte words, less two */
      if (!take(v, 2, &h)) return MY_ESHORT;
      len = 4 * ((size_t)h[1] + 2);
      break;
    default:
      return MY_OK;
    }
    if (!take(v, len - 2, &body)) return MY_ESHORT;
    *proto = h[0];
  }
}

static int decode_ipv6(view v, my_payload *out)
{
  const uint8_t *h;
  if (!take(&v, 40, &h)) return MY_ESHORT;
  if (h[0] >> 4 != 6) return MY_NOT_YET;
  if (be16(h + 4)) shrink(&v, be16(h + 4)); /* 0: a jumbogram, or offload */
  int proto = h[6];
  out->from.family = out->to.family = 6;
  memcpy(out->from.bytes, h + 8, 16);
  memcpy(out->to.bytes, h + 24, 16);
  int rc = skip_extensions(&v, out, &proto);
  if (rc != MY_OK) return rc;
  return decode_transport(v, proto, out);
}

static int decode_ip(view v, my_payload *out)
{
  if (v.rest.len < 1) return MY_ESHORT;
  return v.rest.data[0] >> 4 == 6 ? decode_ipv6(v, out) : decode_ipv4(v, out);
}

/* ---- link ---- */

/* A PPP protocol number is one byte if that is odd. */
static int decode_ppp(view v, my_payload *out)
{
  const uint8_t *h;
  if (v.rest.len >= 2 && v.rest.data[0] == 0xff && v.rest.data[1] == 3) take(&v, 2, &h);
  if (!take(&v, 1, &h)) return MY_ESHORT;
  unsigned proto = h[0];
  if (!(proto & 1)) {
    if (!take(&v, 1, &h)) return MY_ESHORT;
    proto = proto << 8 | h[0];
  }
  if (proto == 0x21) return decode_ipv4(v, out);
  if (proto == 0x57) return decode_ipv6(v, out);
  return MY_NOT_YET;
}

static int decode_pppoe(view v, my_payload *out)
{
  const uint8_t *h;
  if (!take(&v, 6, &h)) return MY_ESHORT;
  if (h[0] != 0x11 || h[1] != 0) return MY_NOT_YET; /* version 1, type 1, session data */
  shrink(&v, be16(h + 4));
  return decode_ppp(v, out);
}

static bool is_vlan(unsigned type)
{
  return type == 0x8100 || type == 0x88a8 || type == 0x9100 || type == 0x9200;
}

static int decode_ether_type(view v, unsigned type, my_payload *out)
{
  const uint8_t *tag;
  while (is_vlan(type)) {
    if (!take(&v, 4, &tag)) return MY_ESHORT;
    type = be16(tag + 2);
  }
  if (type == ETHER_IPV4) return decode_ipv4(v, out);
  if (type == ETHER_IPV6) return decode_ipv6(v, out);
  if (type == ETHER_PPPOE) return decode_pppoe(v, out);
  return MY_NOT_YET;
}

/* A link header of fixed size with its ether type at a fixed place. */
static int decode_typed(view v, size_t header_len, size_t type_at, my_payload *out)
{
  const uint8_t *h;
  if (!take(&v, header_len, &h)) return MY_ESHORT;
  return decode_ether_type(v, be16(h + type_at), out);
}

/* BSD loopback: an address family in the byte order of whoever captured. */
static int decode_null(view v, my_payload *out)
{
  const uint8_t *h;
  if (!take(&v, 4, &h)) return MY_ESHORT;
  uint32_t family = be32(h);
  if (family > 0xffff)
    family = (uint32_t)h[3] << 24 | (uint32_t)h[2] << 16 | (uint32_t)h[1] << 8 | h[0];
  switch (family) {
  case 2:
    return decode_ipv4(v, out);
  case 10:
  case 24:
  case 28:
  case 30:
    return decode_ipv6(v, out); /* Linux, NetBSD, FreeBSD, macOS */
  default:
    return MY_NOT_YET;
  }
}

static unsigned le16(const uint8_t *p)
{
  return p[0] | (unsigned)p[1] << 8;
}

/* LLC and SNAP in front of an ether type (RFC 1042). */
static int decode_snap(view v, my_payload *out)
{
  const uint8_t *h;
  if (!take(&v, 8, &h)) return MY_ESHORT;
  if (memcmp(h, "\xaa\xaa\x03\0\0\0", 6) != 0) return MY_NOT_YET;
  return decode_ether_type(v, be16(h + 6), out);
}

/* A frame of IEEE 802.11 (section 9.2 of the 2016 edition): data in clear, neither in fragments nor
 * several packets in one. 'padded': the header is padded to a multiple of 4. */
static int decode_80211(view v, bool padded, my_payload *out)
{
  enum {
    DATA = 0x08,
    NO_DATA = 0x40,
    QOS = 0x80,
    BOTH_DS = 3,
    MORE_FRAGMENTS = 4,
    PROTECTED = 0x40,
    ORDER = 0x80,
    SEVERAL = 0x80
  };
  const uint8_t *h, *rest;
  if (!take(&v, 24, &h)) return MY_ESHORT;
  if ((h[0] & 0x0f) != DATA || (h[0] & NO_DATA) || (h[1] & (PROTECTED | MORE_FRAGMENTS)) ||
      (h[22] & 0x0f) != 0)
    return MY_NOT_YET;
  bool qos = (h[0] & QOS) != 0;
  size_t addresses = (h[1] & BOTH_DS) == BOTH_DS ? 6 : 0, more = addresses + (qos ? 2 : 0);
  if (qos && (h[1] & ORDER)) more += 4;
  size_t pad = padded ? (4 - (24 + more) % 4) % 4 : 0;
  if (!take(&v, more + pad, &rest)) return MY_ESHORT;
  if (qos && (rest[addresses] & SEVERAL)) return MY_NOT_YET;
  return decode_snap(v, out);
}

/* Radiotap (radiotap.org) before it: of its fields only the flags matter, that come behind a time
 * stamp. */
static int decode_radiotap(view v, my_payload *out)
{
  enum { TIME = 1, FLAGS = 2, PADDED = 0x20, WORD_FOLLOWS = 0x80, HEAD = 8 };
  const uint8_t *h, *rest;
  if (!take(&v, HEAD, &h)) return MY_ESHORT;
  size_t len = le16(h + 2), at = 4;
  if (h[0] != 0 || len < HEAD) return MY_NOT_YET;
  if (!take(&v, len - HEAD, &rest)) return MY_ESHORT;
  uint8_t present = h[4];
  while (at + 4 <= len && (h[at + 3] & WORD_FOLLOWS))
    at += 4;
  at += 4;
  if (present & TIME) at = (at + 7) / 8 * 8 + 8;
  bool padded = (present & FLAGS) && at < len && (h[at] & PADDED);
  return decode_80211(v, padded, out);
}

static int decode_link(int dlt, view v, my_payload *out)
{
  switch (dlt) {
  case LINK_ETHERNET:
    return decode_typed(v, 14, 12, out);
  case LINK_LINUX_SLL:
    return decode_typed(v, 16, 14, out);
  case LINK_LINUX_SLL2:
    return decode_typed(v, 20, 0, out);
  case LINK_IEEE802_11:
    return decode_80211(v, false, out);
  case LINK_RADIOTAP:
    return decode_radiotap(v, out);
  case LINK_NULL:
  case LINK_LOOP:
    return decode_null(v, out);
  case LINK_RAW:
  case LINK_RAW_OPENBSD:
    return decode_ip(v, out);
  case LINK_IPV4:
    return decode_ipv4(v, out);
  case LINK_IPV6:
    return decode_ipv6(v, out);
  case LINK_PPP:
  case LINK_PPP_SERIAL:
    return decode_ppp(v, out);
  case LINK_PPP_ETHER:
    return decode_pppoe(v, out);
  default:
    return MY_EFORMAT;
  }
}

int my_packet_decode(int dlt, my_span frame, size_t wire_len, my_payload *out)
{
  uint64_t number = out->number;
  int64_t time_ns = out->time_ns;
  my_payload decoded = {.number = number, .time_ns = time_ns};
  int rc = decode_link(dlt, (view){.rest = frame, .whole = frame.len >= wire_len}, &decoded);
  if (rc != MY_OK) decoded = (my_payload){.number = number, .time_ns = time_ns};
  *out = decoded;
  return rc;
}

int my_packet_fragment(int dlt, my_span frame, size_t wire_len, my_fragment *out)
{
  my_payload unused = {0};
  *out = (my_fragment){0};
  int rc =
      decode_link(dlt, (view){.rest = frame, .whole = frame.len >= wire_len, .part = out}, &unused);
  if (rc == MY_ESHORT || rc == MY_EFORMAT) return rc;
  return out->data.len > 0 ? MY_OK : MY_NOT_YET;
}

int my_packet_icmp(int dlt, my_span frame, size_t wire_len, my_icmp_error *out)
{
  my_payload unused = {0};
  *out = (my_icmp_error){0};
  int rc = decode_link(dlt, (view){.rest = frame, .whole = frame.len >= wire_len, .error = out},
                       &unused);
  return rc == MY_OK && out->from.family == 0 ? MY_NOT_YET : rc;
}

int packet_decode_body(my_span bytes, int protocol, const my_endpoint *from, const my_endpoint *to,
                       my_payload *out)
{
  view v = {.rest = bytes, .whole = true};
  my_payload decoded = {.number = out->number, .time_ns = out->time_ns, .from = *from, .to = *to};
  int rc = from->family == 6 ? skip_extensions(&v, &decoded, &protocol) : MY_OK;
  if (rc == MY_OK) rc = decode_transport(v, protocol, &decoded);
  if (rc == MY_OK) *out = decoded;
  return rc;
}
