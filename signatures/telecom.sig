# Between the parts of a mobile network.
#
# BFD (RFC 5880) answers only configured neighbours, whose datagrams must arrive with the full TTL of 255, and it answers
# from another port: nothing that a stranger can ask.

service gtp-user
  title "GTP user plane"
  ports udp 2152
  from  "3GPP TS 29.281 sections 5.1 and 7.3.1; observed on osmo-ggsn 1.9.0"

# A packet of a tunnel that is not there is an error of that tunnel. Some send it to port 2152 only.
sig gtp-user
  send  32 ff 0018 tunnel?4 id?2 00 00 45000014 00000000 40fd0000 00000000 00000000
  len   >= 20
  @0    = b0011....                  # version 1, GTP and not GTP'
  @1    = 1a                         # Error Indication
  @2:2  = len-8
  @4:4  = 00000000
  case  @12 = 10                     # which tunnel
    @13:4 = $tunnel
    @17   = 85                       # whose address follows
  case  @16 = 10                     # … behind an extension header that tells the port
    @11:2 = 4001
    @17:4 = $tunnel
    @21   = 85
  match   32 ff 0018 afe11953 33a7 00 00 45000014 00000000 40fd0000 00000000 00000000 > 321a00100000000033a7000010afe119538500047f000008
  match   32 ff 0018 afe11953 33a7 00 00 45000014 00000000 40fd0000 00000000 00000000 > 361a00140000000033a70040 01086800 10afe119538500047f000008
  nomatch 32 ff 0018 afe11953 33a7 00 00 45000014 00000000 40fd0000 00000000 00000000 > 321a00100000000033a7000010afe119548500047f000008
  nomatch 32 ff 0018 afe11953 33a7 00 00 45000014 00000000 40fd0000 00000000 00000000 > 32ff00100000000033a7000010afe119538500047f000008

service gtp-control
  title "GTP control plane"
  ports udp 2123
  from  "3GPP TS 29.060 sections 7.3.3, 7.3.4 and 7.7.1; TS 29.274 section 7.1; observed on osmo-ggsn 1.9.0"

# An update for a context that is not there, without anything that such a message must carry: refused, and nothing changed.
sig gtp-control
  send  32 12 0004 tunnel?4 id?2 00 00
  len   >= 14
  @0    = b0011.0..
  @1    = 13                         # Update PDP Context Response
  @2:2  = len-8
  @4:4  = 00000000 or $tunnel
  @8:2  = $id
  @12   = 01                         # cause:
  @13   = c0..ef                     # rejected
  match   32 12 0004 53b8822a 7684 00 00 > 3213000600000000 7684 00 00 01ca
  nomatch 32 12 0004 53b8822a 7684 00 00 > 3213000600000000 7685 00 00 01ca
  nomatch 32 12 0004 53b8822a 7684 00 00 > 3213000600000000 7684 00 00 0180

# Version 2, which the control plane alone speaks: an echo.
sig gtp2-control
  send  40 01 0009 id?3 00 03 0001 00 00
  len   >= 13
  @0    = b010.0...                  # version 2, no tunnel
  @1    = 02                         # Echo Response
  @2:2  = len-4
  @4:3  = $id
  @8:3  = 030001                     # the restart counter comes first
  control q@0 ^ 80                   # version 6
  match   40 01 0009 359403 00 03 0001 00 00 > 40 02 0009 359403 00 03 0001 00 07
  nomatch 40 01 0009 359403 00 03 0001 00 00 > 40 02 0009 359404 00 03 0001 00 07
  nomatch 40 01 0009 359403 00 03 0001 00 00 > 40 01 0009 359403 00 03 0001 00 07

service gprs-data
  title "GTP version 0 and charging"
  ports udp 3386
  from  "3GPP TS 09.60 sections 6 and 7.4; observed on osmo-ggsn 1.9.0"

sig gtp0-echo
  send  1e 01 0000 id?2 0000 ff ffffff tunnel?8
  len   >= 22
  @0    = b0001111.                  # version 0, GTP and not GTP'
  @1    = 02                         # Echo Response
  @2:2  = len-20
  @4:2  = $id
  @20   = 0e                         # its restart counter
  match   1e 01 0000 eae5 0000 ffffffff 00*8 > 1e020002eae50000ffffffff00000000000000000e01
  nomatch 1e 01 0000 eae5 0000 ffffffff 00*8 > 1e020002eae60000ffffffff00000000000000000e01
  nomatch 1e 01 0000 eae5 0000 ffffffff 00*8 > 1e010002eae50000ffffffff00000000000000000e01

service pfcp
  title "Packet Forwarding Control Protocol"
  ports udp 8805
  from  "3GPP TS 29.244 sections 7.2.2, 7.4.2 and 8.2.65"

# A heartbeat. The time is that of 2020 and says no more than that we were not started just now.
sig pfcp
  send  20 01 000c id?3 00 0060 0004 e1b70000
  len   >= 16
  @0    = b001..0.0                  # version 1, no session
  @1    = 02                         # Heartbeat Response
  @2:2  = len-4
  @4:3  = $id
  @8:4  = 00600004                   # when it was started
  @12   = d8..ff
  control q@0 ^ 80                   # version 5
  match   20 01 000c 0a0b0c 00 0060 0004 e1b70000 > 20 02 000c 0a0b0c 00 0060 0004 e8b2c001
  nomatch 20 01 000c 0a0b0c 00 0060 0004 e1b70000 > 20 02 000c 0a0b0d 00 0060 0004 e8b2c001
  nomatch 20 01 000c 0a0b0c 00 0060 0004 e1b70000 > 20 01 000c 0a0b0c 00 0060 0004 e8b2c001

service gtp
  title "GTP version 1, of either plane"
  ports udp 2123,2152
  from  "3GPP TS 29.060 section 7.2; TS 29.281 section 7.2; observed on osmo-ggsn 1.9.0"

# Both planes answer an echo alike: last, for what leaves the others unanswered.
sig gtp1-echo
  send  32 01 0004 tunnel?4 id?2 00 00
  len   >= 14
  @0    = b0011.0..
  @1    = 02                         # Echo Response
  @2:2  = len-8
  @4:4  = 00000000 or $tunnel
  @8:2  = $id
  @12   = 0e                         # its restart counter
  match   32 01 0004 00000000 1c9c 00 00 > 3202000600000000 1c9c 00 00 0e01
  nomatch 32 01 0004 00000000 1c9c 00 00 > 3202000600000000 1c9d 00 00 0e01
  nomatch 32 01 0004 00000000 1c9c 00 00 > 3201000600000000 1c9c 00 00 0e01
