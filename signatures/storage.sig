# Databases and caches.

service memcached
  title "memcached"
  ports udp 11211 tcp 11211
  from  "memcached's doc/protocol.txt; observed on 1.6.18"

sig memcached
  send  id?2 0000 0001 0000 "version\r\n"
  @0:2  = $id
  @2:2  = 0000
  @4:2  = 0001
  @6:2  = 0000
  @8:8  = "VERSION "
  @-2:2 = "\r\n"
  @8    ~ m/^VERSION (?<version>[0-9][0-9A-Za-z.-]*)/
  version "$version"
  match   beef 0000 0001 0000 "version\r\n" > beef 0000 0001 0000 "VERSION 1.6.18\r\n"
  nomatch beef 0000 0001 0000 "version\r\n" > beee 0000 0001 0000 "VERSION 1.6.18\r\n"

# The binary protocol, for those who were told to speak nothing else.
sig memcached-binary
  send  id?2 0000 0001 0000 80 0b 0000 00 00 0000 00000000 o?4 00*8
  len   >= 32
  @0:2  = $id
  @2:6  = 000000010000
  @8:2  = 810b                       # an answer to "version"
  @12:4 = 00000000                   # without fault
  @16:4 = len-32
  @20:4 = $o
  @24:8 = 0000000000000000
  @32   ~ m/^(?<version>[0-9][0-9A-Za-z.-]*)$/
  version "$version"
  match   1234 0000 0001 0000 80 0b 00*10 61626364 00*8 > 1234000000010000810b00000000000000000006616263640000000000000000312e362e3138
  nomatch 1234 0000 0001 0000 80 0b 00*10 61626364 00*8 > 1234000000010000810b00000000000000000007616263640000000000000000312e362e3138

sig memcached-tcp
  over  tcp
  send  "version\r\n"
  @ ~ m/^VERSION (?<version>[0-9]+\.[0-9]+\.[0-9A-Za-z.-]+)\r\n$/
  version "$version"
  match   "version\r\n" > "VERSION 1.6.18\r\n"
  nomatch "version\r\n" > "ERROR\r\n"

service redis
  title "Redis key-value store"
  ports tcp 6379
  from  "Redis serialization protocol specification; observed on 7.0.15"

sig redis
  over  tcp
  send  "*1\r\n$4\r\nPING\r\n"
  any @ = "+PONG\r\n"
  any @ starts "-NOAUTH Authentication required"
  any @ starts "-DENIED Redis "
  any @ starts "-MISCONF Redis "
  any @ starts "-LOADING Redis "
  match   "*1\r\n$4\r\nPING\r\n" > "+PONG\r\n"
  match   "*1\r\n$4\r\nPING\r\n" > "-NOAUTH Authentication required.\r\n"
  nomatch "*1\r\n$4\r\nPING\r\n" > "PONG\r\n"

service afs
  title "AFS server (Rx)"
  ports udp 7000-7009,7021,7025
  from  "Rx protocol, appendix of OpenAFS's doc/txt/rx-debug.txt; observed on openafs-fileserver 1.8.9 (fileserver, bosserver)"

# What `rxdebug -version` asks.
sig afs-rx-version
  send  epoch?4 cid?4 call?4 00*4 00*4 0d 05 00 00 0000 0000
  len   = 93                         # a text in 65 bytes
  @0:12 = q@0:12
  @20   = 0d                         # the version, …
  @21   & fb = 00                    # … said by the server; perhaps its last packet
  @22:2 = 0000
  @28   = 20..7e
  soft @28 ~ m/^ ?(?<product>[A-Za-z]+) (?<version>[0-9][^ \x00]*)/
  product "$product"
  version "$version"
  control q@21 ^ 01                  # without the client's bit it is an answer, and gets none
  match   11223344 a1a2a3a4 00000001 00*8 0d 05 00*6 > 11223344a1a2a3a400000001000000000000000d0d040000000000004f70656e41465320312e382e392d312b646562313275312d64656269616e20323032342d31322d3235000000000000000000000000000000000000000000000000
  nomatch 11223344 a1a2a3a4 00000001 00*8 0d 05 00*6 > 11223344a1a2a3a400000001000000000000000d0d050000000000004f70656e41465320312e382e392d312b646562313275312d64656269616e20323032342d31322d3235000000000000000000000000000000000000000000000000

service icp
  title "Internet Cache Protocol"
  ports udp 3130
  from  "RFC 2186 sections 2 and 3; observed on squid 5.7"

# Is this in the cache? Nobody has it there.
sig icp
  send  01 02 be16(len) req?4 00*8 00*4 00*4 "http://" h?8:alpha ".invalid/" 00
  len   >= 21
  @0    = 02..04 or 15..17           # hit, miss, error, or one of three ways to refuse
  @1    = 02
  @2:2  = len
  @4:4  = $req
  @8:2  & 3fff = 0000                # options that nobody asked for
  @20   = 68 or 00
  any   @20:24 = q@24:24             # the address that was asked for
  any   @-24:24 = q@24:24
  control q@0 ^ 80                   # no opcode
  match   01 02 0031 11223344 00*16 "http://abcdefgh.invalid/" 00 > 04 02 002d 11223344 00*12 "http://abcdefgh.invalid/" 00
  match   01 02 0031 11223344 00*16 "http://abcdefgh.invalid/" 00 > 16 02 002d 11223344 00*12 "http://abcdefgh.invalid/" 00
  nomatch 01 02 0031 11223344 00*16 "http://abcdefgh.invalid/" 00 > 04 02 002d 11223345 00*12 "http://abcdefgh.invalid/" 00
  nomatch 01 02 0031 11223344 00*16 "http://abcdefgh.invalid/" 00 > 04 02 002c 11223344 00*12 "http://abcdefgh.invalid/" 00

service htcp
  title "Hyper Text Caching Protocol"
  ports udp 4827
  from  "RFC 2756 sections 2.4, 2.6 and 6.2; observed on squid 5.7"

sig htcp
  send  be16(len) 0001 be16(len-6) 10 02 id?4 0003 "GET" 0018 "http://" h?8:alpha ".invalid/" 0003 "1/1" 0000 0002
  len   >= 14
  @0:2  = len
  @2    = 00                         # major version
  @4:2  = len-6                      # all but header and signature
  @6    = 10..1f                     # an answer to TST …
  @7    = b......01                  # … by its bit, in clear
  @8:4  = $id
  @-2:2 = 0002                       # no signature
  control q@7 ^ 02                   # no answer is wanted
  match   0034 0001 002e 10 02 11223344 0003 "GET" 0018 "http://abcdefgh.invalid/" 0003 "1/1" 0000 0002 > 00140001000e1101112233440000000000000002
  nomatch 0034 0001 002e 10 02 11223344 0003 "GET" 0018 "http://abcdefgh.invalid/" 0003 "1/1" 0000 0002 > 00140001000e1101112233450000000000000002

service amanda
  title "Amanda, backups"
  ports udp 10080
  from  "Amanda's packet header, as observed on amanda-client 3.5.1"

# A service that is none, from a port that is not trusted.
sig amanda
  send  "Amanda 3.5 REQ HANDLE 00-" h?8:digit " SEQ 17" s?6:digit "\nSERVICE noop\n"
  @ starts "Amanda "
  @ has " HANDLE 00-"
  @ has $h
  @ has $s
  @     ~ m/^Amanda (?<version>[0-9][0-9.]*) (?:NAK|ACK|PREP) HANDLE /
  version "$version"
  product "Amanda"
  match   "Amanda 3.5 REQ HANDLE 00-12345678 SEQ 17123456\nSERVICE noop\n" > "Amanda 3.5 NAK HANDLE 00-12345678 SEQ 17123456\nERROR host localhost: port 46990 not secure.\n"
  nomatch "Amanda 3.5 REQ HANDLE 00-12345678 SEQ 17123456\nSERVICE noop\n" > "Amanda 3.5 REQ HANDLE 00-12345678 SEQ 17123456\nERROR host localhost: port 46990 not secure.\n"
