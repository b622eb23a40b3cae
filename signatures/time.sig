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

# The question after the version, where the server tells it: most do so to themselves alone.
sig ntp-control
  from  "RFC 9327 sections 2 and 3.1; observed on ntpsec 1.2.2"
  send  16 02 seq?2 0000 0000 0000 0007 "version" 00
  len   >= 12
  @0    & 3f = 16                    # the leap bits are the server's own
  @1    = 82                         # the response to what we asked, no error, no more to come
  @2:2  = $seq
  @6:4  = 00000000
  @12   ~ m/^version="(?:ntpd )?(?<product>[A-Za-z]+)[ -](?<version>[0-9][^ "]*)/
  product "$product"
  version "$version"
  control q@1 ^ 80                   # a response is not answered
  match   1602 beef 0000 0000 0000 0007 "version" 00 > d682 beef c016 0000 0000 001d "version=\"ntpd ntpsec-1.2.2\"\r\n" 000000
  nomatch 1602 beef 0000 0000 0000 0007 "version" 00 > d682 beee c016 0000 0000 001d "version=\"ntpd ntpsec-1.2.2\"\r\n" 000000

service chrony
  title "chronyd's monitoring port"
  ports udp 323
  from  "chronyc's traffic; observed on chrony 4.3, which answers its own machine alone unless told otherwise"

sig chrony
  send  06 01 0000 000e 0000 seq?4 00*20    # how many sources have you?
  len   >= 28
  @0    = 05..08                     # the version it speaks
  @1    = 02                         # a reply …
  @2:2  = 0000
  @4:2  = 000e                       # … to our command
  @10:6 = 000000000000
  @16:4 = $seq
  control q@1 ^ 03                   # a reply is not answered
  product "chrony"
  match   06 01 0000 000e 0000 deadbeef 00*20 > 06020000000e00020000000000000000deadbeef000000000000000000000000
  match   07 01 0000 000e 0000 deadbeef 00*20 > 06020000000e00010012000000000000deadbeef0000000000000000    # a version it does not speak
  nomatch 06 01 0000 000e 0000 deadbeef 00*20 > 06020000000e00020000000000000000deadbeee000000000000000000000000
