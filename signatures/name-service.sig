# Names and addresses.

service domain
  title "DNS server"
  ports udp 53 tcp 53
  from  "RFC 1035 section 4.1; RFC 4892 section 3; observed on bind 9.18, unbound 1.17, knot 3.2, nsd 4.6, pdns 4.7, dnsmasq 2.90, dnsdist 1.7, yadifa 2.6, gdnsd 3.8"

sig dns
  send  id?2 0100 0001 0000 0000 0000 0a n?10:alpha 03 "com" 00 0001 0001
  len   >= 12
  @0:2  = $id
  @2    = b10000.0.                  # a response to a standard query, not truncated
  @3    = b.0......                  # the reserved bit stays zero
  @2:2  != 8400                      # so would multicast DNS
  @4:2  = 0001                       # our one question …
  @12:20 = q@12:20                   # … word for word
  any   @2 & 04 = 04                 # more than the query with one bit turned: by the authority, or
  any   @3 & 8f != 00                # recursion to be had, an error, or
  any   @6:6 != 000000000000         # records
  control q@2 ^ 80                   # a query that says it is a response gets no answer
  match   beef 0100 0001 0000 0000 0000 0a "abcdefghij" 03 "com" 00 0001 0001 > beef 8182 0001 0000 0000 0000 0a "abcdefghij" 03 "com" 00 0001 0001
  nomatch beef 0100 0001 0000 0000 0000 0a "abcdefghij" 03 "com" 00 0001 0001 > beee 8182 0001 0000 0000 0000 0a "abcdefghij" 03 "com" 00 0001 0001
  nomatch beef 0100 0001 0000 0000 0000 0a "abcdefghij" 03 "com" 00 0001 0001 > beef 8182 0001 0000 0000 0000 0a "abcdefghik" 03 "com" 00 0001 0001
  match   beef 0100 0001 0000 0000 0000 0a "abcdefghij" 03 "com" 00 0001 0001 > beef 8583 0001 0000 0000 0000 0a "abcdefghij" 03 "com" 00 0001 0001 then beef010000010000000000000776657273696f6e0462696e640000100003 > beef818000010001000000000776657273696f6e0462696e640000100003c00c0010000300000000000f0e "unbound 1.17.1"
  soft step id?2 0100 0001 0000 0000 0000 07 "version" 04 "bind" 00 0010 0003
  @0:2  = $id
  @2    & f8 = 80
  @6:2  >= 0001
  @30   ~ m/^(?:\xc0\x0c|\x07version\x04bind\x00)\x00\x10\x00\x03[\x00-\xff]{7}(?:(?<product>[A-Za-z][A-Za-z .]*?)[ \/-])?v?(?<version>[0-9][0-9A-Za-z.~+_-]*)/
  product "$product"
  version "$version"
  nomatch beef 0100 0001 0000 0000 0000 0a "abcdefghij" 03 "com" 00 0001 0001 > beef 8100 0001 0000 0000 0000 0a "abcdefghij" 03 "com" 00 0001 0001    # the query, one bit turned

# For servers that keep silent about names that are not theirs, think long about them, or answer to responses too: what every
# server knows of itself.
sig dns-version
  from  "RFC 4892 section 3; observed on tinydns 1.05, dnslib 0.9, unbound 1.17"
  send  id?2 0100 0001 0000 0000 0000 07 "version" 04 "bind" 00 0010 0003
  len   >= 12
  @0:2  = $id
  @2    = b10000.0.
  @3    = b.0......
  @2:2  != 8400 or 8101
  @4:2  = 0001
  @12:18 = q@12:18
  any   @2 & 04 = 04
  any   @3 & 8f != 00
  any   @6:6 != 000000000000
  control q@12 ^ 40                  # a name that cannot be read
  soft @30 ~ m/^(?:\xc0\x0c|\x07version\x04bind\x00)\x00\x10\x00\x03[\x00-\xff]{7}(?:(?<product>[A-Za-z][A-Za-z .]*?)[ \/-])?v?(?<version>[0-9][0-9A-Za-z.~+_-]*)/
  product "$product"
  version "$version"
  match   beef010000010000000000000776657273696f6e0462696e640000100003 > beef818000010001000000000776657273696f6e0462696e640000100003c00c0010000300000000000f0e "unbound 1.17.1"
  match   beef010000010000000000000776657273696f6e0462696e640000100003 > beef818500010000000000000776657273696f6e0462696e640000100003
  nomatch beef010000010000000000000776657273696f6e0462696e640000100003 > beee818500010000000000000776657273696f6e0462696e640000100003
  nomatch beef010000010000000000000776657273696f6e0462696e640000100003 > beef018500010000000000000776657273696f6e0462696e640000100003    # no response

sig dns-tcp
  over  tcp
  send  be16(len-2) id?2 0100 0001 0000 0000 0000 0a n?10:alpha 03 "com" 00 0001 0001
  len   >= 14
  @0:2  = len-2
  @2:2  = $id
  @4    = b10000.0.
  @5    = b.0......
  @6:2  = 0001
  @14:20 = q@14:20
  any   @4 & 04 = 04
  any   @5 & 8f != 00
  any   @8:6 != 000000000000
  control q@4 ^ 80                   # as over UDP
  match   0020 beef 0100 0001 0000 0000 0000 0a "abcdefghij" 03 "com" 00 0001 0001 > 0020 beef 8182 0001 0000 0000 0000 0a "abcdefghij" 03 "com" 00 0001 0001
  nomatch 0020 beef 0100 0001 0000 0000 0000 0a "abcdefghij" 03 "com" 00 0001 0001 > 0021 beef 8182 0001 0000 0000 0000 0a "abcdefghij" 03 "com" 00 0001 0001

# A responder of multicast DNS answers who asks it from a port of his own as a DNS server would, if it has anything to offer.
service mdns
  title "Multicast DNS"
  ports udp 5353
  from  "RFC 6762 section 6.7, RFC 6763 section 9"

sig mdns
  send  id?2 0000 0001 0000 0000 0000 09 "_services" 07 "_dns-sd" 04 "_udp" 05 "local" 00 000c 0001
  len   > 46
  @0:2  = $id
  @2:2  = 8400                       # a response by the authority
  @4:2  = 0001
  @6:2  >= 0001
  @12:34 = q@12:34
  control q@2 ^ 80                   # a response from such a port is not heard (section 11)
  match   beef 0000 0001 0000 0000 0000 09 "_services" 07 "_dns-sd" 04 "_udp" 05 "local" 00 000c 0001 > beef 8400 0001 0001 0000 0000 09 "_services" 07 "_dns-sd" 04 "_udp" 05 "local" 00 000c 0001 c00c 000c 0001 0000000a 000c 05 "_http" 04 "_tcp" c023
  nomatch beef 0000 0001 0000 0000 0000 09 "_services" 07 "_dns-sd" 04 "_udp" 05 "local" 00 000c 0001 > beef 8183 0001 0000 0000 0000 09 "_services" 07 "_dns-sd" 04 "_udp" 05 "local" 00 000c 0001    # a DNS server that knows no such name

# LLMNR (RFC 4795) answers its own host's name and no other, and its addresses backwards: nothing that fits every host can be asked.

service netbios-ns
  title "NetBIOS name service"
  ports udp 137
  from  "RFC 1002 sections 4.2.17 and 4.2.18; observed on nmbd 4.17"

sig netbios-ns
  send  id?2 0000 0001 0000 0000 0000 20 "CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" 00 0021 0001
  len   > 56
  @0:2  = $id
  @2    = 84                         # a response by the authority
  @3    & 8f = 00
  @4:8  = 0000000100000000           # one answer, the question does not come back
  @12:38 = q@12:38                   # the name *, its status
  @54:2 = len-56
  soft @57 ~ m/^(?<name>[!-~]+)/
  extra "$name"
  match   beef 0000 0001 0000 0000 0000 20 "CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" 00 0021 0001 > beef 8400 0000 0001 0000 0000 20 "CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" 00 0021 0001 00000000 0041 01 "MYNAH          " 00 0400 00*46
  nomatch beef 0000 0001 0000 0000 0000 20 "CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" 00 0021 0001 > beef 8400 0000 0001 0000 0000 20 "CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" 00 0021 0001 00000000 0042 01 "MYNAH          " 00 0400 00*46
