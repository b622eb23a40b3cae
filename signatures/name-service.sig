# Names and addresses.

service domain
  title "DNS server"
  ports udp 53 tcp 53
  from  "RFC 1035 section 4.1; observed on bind 9.18"

sig dns
  send  id?2 0100 0001 0000 0000 0000 0a n?10:alpha 03 "com" 00 0001 0001
  len   >= 12
  @0:2  = $id
  @2    = b10000.0.                  # a response to a standard query, not truncated
  @3    = b.0......                  # the reserved bit stays zero
  @4:2  = 0001                       # our one question …
  @12:20 = q@12:20                   # … word for word
  control q@2 ^ 80                   # a query that says it is a response gets no answer
  match   beef 0100 0001 0000 0000 0000 0a "abcdefghij" 03 "com" 00 0001 0001 > beef 8182 0001 0000 0000 0000 0a "abcdefghij" 03 "com" 00 0001 0001
  nomatch beef 0100 0001 0000 0000 0000 0a "abcdefghij" 03 "com" 00 0001 0001 > beee 8182 0001 0000 0000 0000 0a "abcdefghij" 03 "com" 00 0001 0001
  nomatch beef 0100 0001 0000 0000 0000 0a "abcdefghij" 03 "com" 00 0001 0001 > beef 8182 0001 0000 0000 0000 0a "abcdefghik" 03 "com" 00 0001 0001

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
  control q@4 ^ 80                   # as over UDP
  match   0020 beef 0100 0001 0000 0000 0000 0a "abcdefghij" 03 "com" 00 0001 0001 > 0020 beef 8182 0001 0000 0000 0000 0a "abcdefghij" 03 "com" 00 0001 0001
  nomatch 0020 beef 0100 0001 0000 0000 0000 0a "abcdefghij" 03 "com" 00 0001 0001 > 0021 beef 8182 0001 0000 0000 0000 0a "abcdefghij" 03 "com" 00 0001 0001
