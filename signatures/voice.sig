# Calls, conferences and what helps them through a NAT.

service stun
  title "STUN or TURN server"
  ports udp 3478,5349,19302,3479
  from  "RFC 8489 sections 5 and 14, RFC 5389, RFC 3489 section 11; observed on coturn 4.6.1, stund 0.97, ejabberd 23.01"

sig stun
  send  0001 0000 2112a442 tid?12
  view  tlv 20 2 2 be 4
  @0:2  = 0101                       # Binding success
  @2:2  = len-20
  @4:16 = q@4:16                     # cookie and transaction; to RFC 3489 the cookie is a part of the transaction
  any   tlv.20[4:4] = my.ip ^ 2112a442
  any   tlv.1[4:4]  = my.ip
  any   tlv.8020[4:4] = my.ip ^ 2112a442
  soft  tlv.8022 ~ m/^(?<product>[A-Za-z][A-Za-z0-9._]*(?: [A-Za-z]+)*)(?:[- \/]v?(?<version>[0-9][0-9A-Za-z.]*))?/
  product "$product"
  version "$version"
  control q@0 ^ 80                   # the first two bits of every STUN message are zero
  match   00010000 2112a442 b7e7a701bc34d686fa87dfae > 0101003c 2112a442 b7e7a701bc34d686fa87dfae 002000080001 88955e12a443 000100080001 a9877f000001 802b00080001 4f4d7f000001 80220014 "Coturn-4.6.1 'Gorst'" my.ip 127.0.0.1
  match   00010000 2112a442 b7e7a701bc34d686fa87dfae > 01010044 2112a442 b7e7a701bc34d686fa87dfae 000100080001 8c337f000001 000400080001 5e7f7f000001 000500080001 5e817f000002 002000080001 ad215e12a443 80220010 "Vovida.org 0.97" 00 my.ip 127.0.0.1
  match   00010000 2112a442 b7e7a701bc34d686fa87dfae > 0101000c 2112a442 b7e7a701bc34d686fa87dfae 000100080001 a147c0000201 my.ip 192.0.2.1
  nomatch 00010000 2112a442 b7e7a701bc34d686fa87dfae > 0101000c 2112a442 b7e7a701bc34d686fa87dfae 002000080001 a147e112a643 my.ip 192.0.2.2    # another's address
  nomatch 00010000 2112a442 b7e7a701bc34d686fa87dfae > 0101000c 2112a442 b7e7a701bc34d686fa87dfaf 002000080001 a147e112a643 my.ip 192.0.2.1    # another transaction
  nomatch 00010000 2112a442 b7e7a701bc34d686fa87dfae > 0001000c 2112a442 b7e7a701bc34d686fa87dfae 002000080001 a147e112a643 my.ip 192.0.2.1    # a request

# An address translator between the server and us makes it tell another address than ours.
sig stun-nat
  send  0001 0000 2112a442 tid?12
  view  tlv 20 2 2 be 4
  @0:2  = 0101
  @2:2  = len-20
  @4:16 = q@4:16
  any   tlv.20[0:2] = 0001
  any   tlv.20[0:2] = 0002
  any   tlv.1[0:2]  = 0001
  soft  tlv.8022 ~ m/^(?<product>[A-Za-z][A-Za-z0-9._]*(?: [A-Za-z]+)*)(?:[- \/]v?(?<version>[0-9][0-9A-Za-z.]*))?/
  product "$product"
  version "$version"
  control q@0 ^ 80
  match   00010000 2112a442 b7e7a701bc34d686fa87dfae > 0101000c 2112a442 b7e7a701bc34d686fa87dfae 002000080001 a147e112a643
  match   00010000 2112a442 b7e7a701bc34d686fa87dfae > 01010018 2112a442 b7e7a701bc34d686fa87dfae 002000140002 a1470113a9faa5d3f179bc25f4b5bed2b9d9
  nomatch 00010000 2112a442 b7e7a701bc34d686fa87dfae > 01010018 2112a442 b7e7a701bc34d686fa87dfae 002000080001 a147e112a643    # wrong length
  nomatch 00010000 2112a442 b7e7a701bc34d686fa87dfae > 0101000c 2112a442 b7e7a701bc34d686fa87dfaf 002000080001 a147e112a643

# ICE agents answer those only who know their password, others with 400 or 401.
sig stun-error
  send  0001 0000 2112a442 tid?12
  view  tlv 20 2 2 be 4
  @0:2  = 0111
  @2:2  = len-20
  @4:16 = q@4:16
  tlv.9[0:2] = 0000
  tlv.9[2] = 03..06
  soft  tlv.8022 ~ m/^(?<product>[A-Za-z][A-Za-z0-9._]*(?: [A-Za-z]+)*)(?:[- \/]v?(?<version>[0-9][0-9A-Za-z.]*))?/
  product "$product"
  version "$version"
  control q@0 ^ 80
  match   00010000 2112a442 b7e7a701bc34d686fa87dfae > 01110014 2112a442 b7e7a701bc34d686fa87dfae 00090010 00000401 "Unauthorized"
  nomatch 00010000 2112a442 b7e7a701bc34d686fa87dfae > 01110014 2112a442 b7e7a701bc34d686fa87dfae 00090010 00000701 "Unauthorized"
  nomatch 00010000 2112a442 b7e7a701bc34d686fa87dfae > 01110010 2112a442 b7e7a701bc34d686fa87dfae 00090010 00000401 "Unauthorized"

service turn
  title "TURN server that does not do STUN"
  ports udp 3478,5349
  from  "RFC 8656 section 7; observed on coturn 4.6.1"

# Without REQUESTED-TRANSPORT: refused by each, so that nothing is left allocated.
sig turn
  send  0003 0000 2112a442 tid?12
  view  tlv 20 2 2 be 4
  @0:2  = 0113
  @2:2  = len-20
  @4:16 = q@4:16
  tlv.9[0:2] = 0000
  tlv.9[2] = 03..06
  soft  tlv.8022 ~ m/^(?<product>[A-Za-z][A-Za-z0-9._]*(?: [A-Za-z]+)*)(?:[- \/]v?(?<version>[0-9][0-9A-Za-z.]*))?/
  product "$product"
  version "$version"
  control q@0 ^ 80
  match   00030000 2112a442 b7e7a701bc34d686fa87dfae > 01130050 2112a442 b7e7a701bc34d686fa87dfae 00090010 00000401 "Unauthorized" 00150010 "6813eb95ff0200c0" 0014000b "example.org" 00 80220014 "Coturn-4.6.1 'Gorst'"
  nomatch 00030000 2112a442 b7e7a701bc34d686fa87dfae > 01130014 2112a442 b7e7a701bc34d686fa87dfae 00090010 00000101 "Unauthorized"
  nomatch 00030000 2112a442 b7e7a701bc34d686fa87dfae > 01030008 2112a442 b7e7a701bc34d686fa87dfae 000d0004 00000258

service sip
  title "SIP server or telephone"
  ports udp 5060,5061,5070,5080,5062-5069
  from  "RFC 3261 sections 7, 8.2.6 and 11; observed on kamailio 5.6.3, baresip 1.0.0, SIPp 3.6.1, linphone 5.1.65, ejabberd 23.01"

# Any answer will do, 404 and 501 too: what is copied into it says that it is one.
sig sip
  send  "OPTIONS sip:mynah@mynah.invalid SIP/2.0\r\nVia: SIP/2.0/UDP mynah.invalid;branch=z9hG4bK" b?10:alnum ";rport\r\n"
  send  "Max-Forwards: 70\r\nTo: <sip:mynah@mynah.invalid>\r\nFrom: <sip:mynah@mynah.invalid>;tag=" t?8:alnum "\r\n"
  send  "Call-ID: " c?12:alnum "\r\nCSeq: 63104 OPTIONS\r\nContact: <sip:mynah@mynah.invalid>\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n"
  @0:8  = "SIP/2.0 "
  @8    = 31..36
  @9:2  ~ digits
  any   h.call-id = $c
  any   h.i = $c                     # the compact form of its name
  h.cseq = "63104 OPTIONS"
  any   h.to has ";tag="             # the answerer's own (RFC 3261 section 8.2.6.2) …
  any   h.t has ";tag="
  any   h.contact != q.h.contact     # … or, of SIPp, which gives none, its address: who copies our lines has neither
  soft  @ has $b                     # in the first Via, which has a compact form too
  soft  h.server ~ m/^(?<product>[A-Za-z][A-Za-z_ .]*?(?:-[A-Za-z]+)*)(?:[ \/(-]+v?(?<version>[0-9][0-9A-Za-z._-]*)|[ \/();]|$)/
  soft  h.user-agent ~ m/^(?<product>[A-Za-z][A-Za-z_ .]*?(?:-[A-Za-z]+)*)(?:[ \/(-]+v?(?<version>[0-9][0-9A-Za-z._-]*)|[ \/();]|$)/
  product "$product"
  version "$version"
  match   "OPTIONS sip:mynah@mynah.invalid SIP/2.0\r\nVia: SIP/2.0/UDP mynah.invalid;branch=z9hG4bKhjhs8ass87;rport\r\nMax-Forwards: 70\r\nTo: <sip:mynah@mynah.invalid>\r\nFrom: <sip:mynah@mynah.invalid>;tag=19283017\r\nCall-ID: a84b4c76e667\r\nCSeq: 63104 OPTIONS\r\nContact: <sip:mynah@mynah.invalid>\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n" > "SIP/2.0 404 Nobody here\r\nVia: SIP/2.0/UDP mynah.invalid;branch=z9hG4bKhjhs8ass87;rport=48611;received=127.0.0.1\r\nFrom: <sip:mynah@mynah.invalid>;tag=19283017\r\nTo: <sip:mynah@mynah.invalid>;tag=0131d4d89a94de7261201f682cfa058a.757e3938\r\nCall-ID: a84b4c76e667\r\nCSeq: 63104 OPTIONS\r\nServer: kamailio (5.6.3 (x86_64/linux))\r\nContent-Length: 0\r\n\r\n"
  match   "OPTIONS sip:mynah@mynah.invalid SIP/2.0\r\nVia: SIP/2.0/UDP mynah.invalid;branch=z9hG4bKhjhs8ass87;rport\r\nMax-Forwards: 70\r\nTo: <sip:mynah@mynah.invalid>\r\nFrom: <sip:mynah@mynah.invalid>;tag=19283017\r\nCall-ID: a84b4c76e667\r\nCSeq: 63104 OPTIONS\r\nContact: <sip:mynah@mynah.invalid>\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n" > "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP mynah.invalid;branch=z9hG4bKhjhs8ass87;rport\r\nFrom: <sip:mynah@mynah.invalid>;tag=19283017\r\nTo: <sip:mynah@mynah.invalid>\r\ni: a84b4c76e667\r\nCSeq: 63104 OPTIONS\r\nContact: <sip:127.0.0.1:30043;transport=UDP>\r\nContent-Length: 0\r\n\r\n"
  nomatch "OPTIONS sip:mynah@mynah.invalid SIP/2.0\r\nVia: SIP/2.0/UDP mynah.invalid;branch=z9hG4bKhjhs8ass87;rport\r\nMax-Forwards: 70\r\nTo: <sip:mynah@mynah.invalid>\r\nFrom: <sip:mynah@mynah.invalid>;tag=19283017\r\nCall-ID: a84b4c76e667\r\nCSeq: 63104 OPTIONS\r\nContact: <sip:mynah@mynah.invalid>\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n" > "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP mynah.invalid;branch=z9hG4bKhjhs8ass87;rport\r\nMax-Forwards: 70\r\nTo: <sip:mynah@mynah.invalid>\r\nFrom: <sip:mynah@mynah.invalid>;tag=19283017\r\nCall-ID: a84b4c76e667\r\nCSeq: 63104 OPTIONS\r\nContact: <sip:mynah@mynah.invalid>\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n"    # our lines, copied
  nomatch "OPTIONS sip:mynah@mynah.invalid SIP/2.0\r\nVia: SIP/2.0/UDP mynah.invalid;branch=z9hG4bKhjhs8ass87;rport\r\nMax-Forwards: 70\r\nTo: <sip:mynah@mynah.invalid>\r\nFrom: <sip:mynah@mynah.invalid>;tag=19283017\r\nCall-ID: a84b4c76e667\r\nCSeq: 63104 OPTIONS\r\nContact: <sip:mynah@mynah.invalid>\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n" > "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP mynah.invalid;branch=z9hG4bKhjhs8ass87;rport\r\nFrom: <sip:mynah@mynah.invalid>;tag=19283017\r\nTo: <sip:mynah@mynah.invalid>;tag=1\r\nCall-ID: a84b4c76e668\r\nCSeq: 63104 OPTIONS\r\nContent-Length: 0\r\n\r\n"
  nomatch "OPTIONS sip:mynah@mynah.invalid SIP/2.0\r\nVia: SIP/2.0/UDP mynah.invalid;branch=z9hG4bKhjhs8ass87;rport\r\nMax-Forwards: 70\r\nTo: <sip:mynah@mynah.invalid>\r\nFrom: <sip:mynah@mynah.invalid>;tag=19283017\r\nCall-ID: a84b4c76e667\r\nCSeq: 63104 OPTIONS\r\nContact: <sip:mynah@mynah.invalid>\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n" > "SIP/2.0 700 OK\r\nVia: SIP/2.0/UDP mynah.invalid;branch=z9hG4bKhjhs8ass87;rport\r\nFrom: <sip:mynah@mynah.invalid>;tag=19283017\r\nTo: <sip:mynah@mynah.invalid>;tag=1\r\nCall-ID: a84b4c76e667\r\nCSeq: 63104 OPTIONS\r\nContent-Length: 0\r\n\r\n"

service iax
  title "Inter-Asterisk eXchange, version 2"
  ports udp 4569
  from  "RFC 5456 sections 6.7 and 8.1; observed on iaxmodem 1.2.0"

# POKE wants PONG; some send an ACK before it.
sig iax
  send  81 call?1 0000 ts?4 00 00 06 1e
  @0    = b1.......                  # a full frame …
  @2    = 01                         # … to our call, not sent before
  @3    = $call
  @4:4  = $ts
  @8:2  = 0001                       # its first frame, and it has ours
  @10   = 06                         # IAX control
  @11   = 03 or 04                   # PONG or ACK
  control q@10 ^ 40
  match   8123 0000 00001111 0000 061e > dd4b 0123 00001111 0001 0604
  match   8123 0000 00001111 0000 061e > dd4b 0123 00001111 0001 0603 2e0400000000 2f0400000000 300400000001 31020028 320400000000 330400000000
  nomatch 8123 0000 00001111 0000 061e > dd4b 0124 00001111 0001 0604
  nomatch 8123 0000 00001111 0000 061e > dd4b 0123 00001111 0001 0605
  nomatch 8123 0000 00001111 0000 061e > 5d4b 0123 00001111 0001 0604

service mgcp
  title "Media gateway (MGCP)"
  ports udp 2427,2727
  from  "RFC 3435 sections 3.2 and 3.3; observed on osmo-mgw 1.10.0"

# Which endpoints are there? Refused or not: the answer is a number and the number of our transaction.
sig mgcp
  send  "AUEP 1" t?8:digit " *@mynah.invalid MGCP 1.0\r\n"
  @0    = 31..38
  @1:2  ~ digits
  @3:2  = " 1"
  @5:8  = $t
  @13   = 20 or 0d or 0a
  control q@32 ^ 01
  match   "AUEP 158663169 *@mynah.invalid MGCP 1.0\r\n" > "500 158663169 FAIL\r\n"
  match   "AUEP 158663169 *@mynah.invalid MGCP 1.0\r\n" > "200 158663169 OK\r\nZ: rtpbridge/1@mgw\r\n"
  nomatch "AUEP 158663169 *@mynah.invalid MGCP 1.0\r\n" > "510 000000 FAIL\r\n"
  nomatch "AUEP 158663169 *@mynah.invalid MGCP 1.0\r\n" > "500 1586631690 FAIL\r\n"

service mumble
  title "Mumble server"
  ports udp 64738
  from  "Mumble protocol documentation, section Ping; observed on mumble-server 1.3.4"

# How many are here, of how many, at what bandwidth.
sig mumble
  send  00000000 x?8
  len   = 24
  @0    = 00
  @1    = 01 or 02                   # version 1 or 2
  @4:8  = $x
  @12:2 = 0000                       # users …
  @12:4 <= @16:4                     # … and room for users
  @16:2 = 0000
  @20   = 00
  control q@0 ^ ff
  product "Mumble server"
  match   00000000 1122334455667788 > 00010304 1122334455667788 00000000 000003e8 00011940
  nomatch 00000000 1122334455667788 > 00010304 1122334455667788 000003e9 000003e8 00011940
  nomatch 00000000 1122334455667788 > 00010304 1122334455667789 00000000 000003e8 00011940
  nomatch 00000000 1122334455667788 > 00010304 1122334455667788 00000000 000003e8

service jamulus
  title "Jamulus server"
  ports udp 22124
  from  "Jamulus' docs/JAMULUS_PROTOCOL.md; observed on 3.9.1"

# Every message ends in a CRC-16 that no probe here can compute, so it carries no nonce: version and system are asked.
sig jamulus
  nofresh
  send  0000 f403 00 0000 bd23
  @0:2  = 0000
  @2:2  = f303                       # CLM_VERSION_AND_OS
  @4    = 00
  @5    = len-9
  @6:2  = 0000..0004                 # length, high byte; operating system
  @9    = 00
  @10   ~ m/^(?<version>[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.-]*)[\x00-\xff]{2}\z/
  version "$version"
  product "Jamulus"
  control q@2 ^ 10
  match   0000f403000000bd23 > 0000 f303 00 0800 02 0500 "3.9.1" 673c
  nomatch 0000f403000000bd23 > 0000 f303 00 0900 02 0500 "3.9.1" 673c
  nomatch 0000f403000000bd23 > 0000 f703 00 0100 f0 c1a1

service teamspeak3
  title "TeamSpeak 3 server"
  ports udp 9987
  from  "ts3protocol.md of TS3AudioBot and ReSpeak, sections 1.1 and 2"

# The first packet of the handshake; a server keeps nothing before the third.
sig teamspeak3
  send  "TS3INIT1" 0065 0000 88 063bece9 00 ts?4 a?4 00*8
  @0:8  = "TS3INIT1"
  @8:2  = 0065
  @10   = 88
  @11   = 01                         # its first packet
  len   = 32
  @-4:4 = rev($a)
  control q@7 ^ 01
  match   "TS3INIT1" 0065 0000 88 063bece9 00 5a5b5c5d 01020304 00*8 > "TS3INIT1" 0065 88 01 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 04030201
  nomatch "TS3INIT1" 0065 0000 88 063bece9 00 5a5b5c5d 01020304 00*8 > "TS3INIT1" 0065 88 01 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 01020304
  nomatch "TS3INIT1" 0065 0000 88 063bece9 00 5a5b5c5d 01020304 00*8 > "TS3INIT1" 0065 88 7f a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 04030201
