# Clocks.

service ntp
  title "NTP server"
  ports udp 123
  from  "RFC 5905 sections 7.3 and 8"

sig ntp
  send  23 00*39 org?8
  len   >= 48
  @0    = b..100100                  # version 4, server
  @1    < 11                         # stratum 0 to 16
  @24:8 = $org                       # our transmit time is its origin time
  @40:4 ~ now.ntp 90d
  control q@0 ^ 07                   # nobody answers a server
  match   23 00*39 0102030405060708 > 240203e7000000000000000000000000e8b2c0010000000001020304050607 08e8b2c00200000000e8b2c00200000000
  nomatch 23 00*39 0102030405060708 > 240203e7000000000000000000000000e8b2c0010000000001020304050607 09e8b2c00200000000e8b2c00200000000
