/* frame.c - Ethernet (IEEE 802.3), IPv4 (RFC 791), IPv6 (RFC 8200), UDP (RFC 768) and TCP (RFC
 * 9293) in front of a payload, and the Internet checksum (RFC 1071). */
#include "mynah/frame.h"

#include <string.h>

enum { IPV4 = 20, IPV6 = 40, UDP = 8, SYN = 24, PROTOCOL_TCP = 6, PROTOCOL_UDP = 17 };

static void put16(uint8_t *p, size_t value)
{
  p[0] = (uint8_t)(value >> 8);
  p[1] = (uint8_t)value;
}

/* The sum of 16-bit words as they lie in memory: folded, it needs no turning round. */
static uint64_t sum_words(const uint8_t *p, size_t len)
{
  uint64_t total = 0;
  for (; len >= 4; p += 4, len -= 4) {
    uint32_t word;
    memcpy(&word, p, 4);
    total += word;
  }
  uint8_t rest[4] = {0};
  uint32_t word;
  if (len) memcpy(rest, p, len);
  memcpy(&word, rest, 4);
  return total + word;
}

static uint16_t fold(uint64_t total)
{
  while (total >> 16 != 0)
    total = (total & 0xffff) + (total >> 16);
  return (uint16_t)total;
}

static size_t lay_link(uint8_t *out, const my_link *link, uint8_t family)
{
  if (!link->ethernet) return 0;
  memcpy(out, link->theirs, 6);
  memcpy(out + 6, link->ours, 6);
  put16(out + 12, family == 4 ? 0x0800 : 0x86dd);
  return 14;
}

void my_frame_head_init(my_frame_head *h, const my_link *link, const my_endpoint *source,
                        uint8_t hops, bool tcp)
{
  *h = (my_frame_head){.family = source->family, .tcp = tcp};
  h->ip_at = lay_link(h->bytes, link, source->family);
  uint8_t *ip = h->bytes + h->ip_at, protocol = tcp ? PROTOCOL_TCP : PROTOCOL_UDP;
  size_t transport = tcp ? SYN : UDP;
  if (source->family == 4) {
    ip[0] = 0x45;
    ip[6] = 0x40; /* not to be fragmented: then its number may be 0 (RFC 6864) */
    ip[8] = hops;
    ip[9] = protocol;
    memcpy(ip + 12, source->bytes, 4);
    h->len = h->ip_at + IPV4 + transport;
    h->ip_sum = fold(sum_words(ip, IPV4));
    h->sum = fold(sum_words(source->bytes, 4));
  } else {
    ip[0] = 0x60;
    ip[6] = protocol;
    ip[7] = hops;
    memcpy(ip + 8, source->bytes, 16);
    h->len = h->ip_at + IPV6 + transport;
    h->sum = fold(sum_words(source->bytes, 16));
  }
  const uint8_t pseudo[2] = {0, protocol};
  h->sum += (uint32_t)sum_words(pseudo, 2);
}

/* The IP header of 'len' bytes behind it, and what the sum of those begins with. */
static uint64_t put_ip(const my_frame_head *h, uint8_t *ip, const my_endpoint *peer, size_t len)
{
  uint8_t size[2];
  put16(size, len);
  if (h->family == 4) {
    put16(ip + 2, IPV4 + len);
    memcpy(ip + 16, peer->bytes, 4);
    uint16_t sum = (uint16_t)~fold(h->ip_sum + sum_words(ip + 2, 2) + sum_words(ip + 16, 4));
    memcpy(ip + 10, &sum, 2);
  } else {
    put16(ip + 4, len);
    memcpy(ip + 24, peer->bytes, 16);
  }
  return h->sum + sum_words(peer->bytes, h->family == 4 ? 4 : 16) + sum_words(size, 2);
}

size_t my_frame_udp(const my_frame_head *h, uint8_t *frame, const my_endpoint *peer,
                    uint16_t source_port, size_t len)
{
  uint8_t *udp = frame + h->len - UDP;
  memcpy(frame, h->bytes, h->len);
  put16(udp, source_port);
  put16(udp + 2, peer->port);
  put16(udp + 4, UDP + len);
  uint64_t total = put_ip(h, frame + h->ip_at, peer, UDP + len);
  uint16_t sum = (uint16_t)~fold(total + sum_words(udp, UDP + len));
  if (sum == 0) sum = 0xffff; /* 0 would say that there is none */
  memcpy(udp + 6, &sum, 2);
  return h->len + len;
}

size_t my_frame_syn(const my_frame_head *h, uint8_t *frame, const my_endpoint *peer,
                    uint16_t source_port, uint32_t seq)
{
  static const uint8_t rest[] = {SYN / 4 << 4, 2, 4, 0, 0, 0, 0, 0, 2, 4, 5, 0xb4}; /* MSS 1460 */
  uint8_t *tcp = frame + h->len - SYN;
  memcpy(frame, h->bytes, h->len);
  put16(tcp, source_port);
  put16(tcp + 2, peer->port);
  put16(tcp + 4, seq >> 16);
  put16(tcp + 6, seq & 0xffff);
  memcpy(tcp + 12, rest, sizeof rest);
  uint64_t total = put_ip(h, frame + h->ip_at, peer, SYN);
  uint16_t sum = (uint16_t)~fold(total + sum_words(tcp, SYN));
  memcpy(tcp + 16, &sum, 2);
  return h->len;
}
