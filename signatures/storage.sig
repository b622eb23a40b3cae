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
