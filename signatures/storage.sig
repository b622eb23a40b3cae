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
