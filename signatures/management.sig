# What keeps machines and their users in order.
#
# What no signature can tell: syslog, collectd, statsd, NetFlow and RADIUS accounting of strangers answer nobody; snmptrapd is
# an SNMP engine like any agent.

service snmp
  title "SNMP agent"
  ports udp 161,162,10161
  from  "RFC 3412 section 6, RFC 3414 sections 2.4 and 4, RFC 1157 section 4, RFC 3416 section 3"

# Version 3 asks for no community: who wants to speak must first learn the engine's id, and gets it in a report.
sig snmp-v3
  send  303e 020103 3011 0204 id?4:pos 020300ffe3 040104 020103
  send  0410 300e 0400 020100 020100 0400 0400 0400
  send  3014 0400 0400 a00e 0204 req?4:pos 020100 020100 3000
  tag.0 = 30
  ber.0.0 = 03                       # the version
  ber.0.1.0 = $id                    # the message's id comes back
  ber.0.1.3 = 03                     # the user-based security model
  tag.0.3.2 = a8                     # a report …
  ber.0.3.2.3.0.0 starts 2b060106030f0101    # … of one of usmStats
  from  "observed on snmpd and snmptrapd 5.9.3"
  match   303e020103301102044a69f18c020300ffe30401040201030410300e0400020100020100040004000400301404000400a00e02042b2b2b2b0201000201003000 > 3072020103301102044a69f18c020300ffe304010002010304223020041180001f8880872c1515d811036b00000000020101020201210400040004003036041180001f8880872c1515d811036b000000000400a81f02042b2b2b2b0201000201003011300f060a2b060106030f01010400410101
  nomatch 303e020103301102044a69f18c020300ffe30401040201030410300e0400020100020100040004000400301404000400a00e02042b2b2b2b0201000201003000 > 3072020103301102044a69f18d020300ffe304010002010304223020041180001f8880872c1515d811036b00000000020101020201210400040004003036041180001f8880872c1515d811036b000000000400a81f02042b2b2b2b0201000201003011300f060a2b060106030f01010400410101    # another id
  case ber.0.3.0 starts 80001f88     # an engine's id begins with who made it: IANA's enterprise 8072
    product "Net-SNMP"
  case tag.0.3.0 = 04

sig snmp-v2c
  send  3029 020101 04 06 "public" a01c 0204 id?4:pos 020100 020100 300e 300c 0608 2b06010201010100 0500
  tag.0 = 30
  ber.0.0 = 01
  ber.0.1 = "public"
  tag.0.2 = a2
  ber.0.2.0 = $id
  ber.0.2.3.0.0 = 2b06010201010100   # sysDescr.0
  any ber.0.2.1 != 00                # an error, with what was asked,
  any tag.0.2.3.0.1 != 05            # or a value, that it is missing at the least: never the request's NULL
  soft ber.0.2.3.0.1 ~ m/^(?<text>[ -~]{4,})/
  extra "$text"
  control q@13 ^ 01                  # the next object instead gets another name
  from  "observed on snmpd 5.9.3"
  match   302902010104067075626c6963a01c02047b2b2b2b020100020100300e300c06082b060102010101000500 > 303502010104067075626c6963a22802047b2b2b2b020100020100301a301806082b06010201010100040c412074657374206167656e74
  nomatch 302902010104067075626c6963a01c02047b2b2b2b020100020100300e300c06082b060102010101000500 > 302902010104067075626c6963a21c02047b2b2b2b020100020100300e300c06082b060102010101000500    # our own request, but for its kind
  nomatch 302902010104067075626c6963a01c02047b2b2b2b020100020100300e300c06082b060102010101000500 > 303502010104067075626c6963a02802047b2b2b2b020100020100301a301806082b06010201010100040c412074657374206167656e74

sig snmp-v1
  send  3029 020100 04 06 "public" a01c 0204 id?4:pos 020100 020100 300e 300c 0608 2b06010201010100 0500
  tag.0 = 30
  ber.0.0 = 00
  ber.0.1 = "public"
  tag.0.2 = a2
  ber.0.2.0 = $id
  ber.0.2.3.0.0 = 2b06010201010100
  any ber.0.2.1 != 00                # as above
  any tag.0.2.3.0.1 != 05
  soft ber.0.2.3.0.1 ~ m/^(?<text>[ -~]{4,})/
  extra "$text"
  control q@13 ^ 01                  # the next object instead gets another name
  from  "observed on snmpd 5.9.3"
  match   302902010004067075626c6963a01c02047b2b2b2b020100020100300e300c06082b060102010101000500 > 303502010004067075626c6963a22802047b2b2b2b020100020100301a301806082b06010201010100040c412074657374206167656e74
  nomatch 302902010004067075626c6963a01c02047b2b2b2b020100020100300e300c06082b060102010101000500 > 302902010004067075626c6963a21c02047b2b2b2b020100020100300e300c06082b060102010101000500    # our own request, but for its kind
  nomatch 302902010004067075626c6963a01c02047b2b2b2b020100020100300e300c06082b060102010101000500 > 303502010004067075626c6963a02802047b2b2b2b020100020100301a301806082b06010201010100040c412074657374206167656e74

service asf-rmcp
  title "IPMI over LAN, or another that listens to RMCP"
  ports udp 623,664
  from  "IPMI 2.0 revision 1.1 sections 13.1 to 13.13 and 22.13; DSP0136 (ASF 2.0) section 3.2.4; observed on OpenIPMI's ipmi_sim 2.0.33"

# What may one use to log in on this channel? The question that precedes every session.
sig ipmi
  send  06 00 ff 07 00 00000000 00000000 09 20 18 c8 81 ?4 38 0e 04 sum8(q@17:5)
  len   >= 30
  @0    = 06
  @3    = 07                         # of class IPMI
  @4:9  = 000000000000000000                  # outside of any session
  @13   = len-14
  @14:2 = 811c                       # to who asked, a response of an application
  @16   = 63                         # its checksum
  @17   = 20
  @18   = q@18                       # the sequence number
  @19   = 38
  @20   = 00                         # done
  control q@17 ^ 40                  # the checksum no longer holds
  extra "IPMI"
  match   0600ff07000000000000000000092018c88104380e0431 > 0600ff0700000000000000000010811c6320043800011706000000000086
  nomatch 0600ff07000000000000000000092018c88104380e0431 > 0600ff0700000000000000000010811c6320083800011706000000000086

# Are you there?
sig rmcp-ping
  send  06 00 ff 06 000011be 80 tag?1:pos 00 00
  len   = 28
  @0    = 06
  @3    = 06                         # of class ASF
  @4:4  = 000011be
  @8    = 40                         # a pong
  @9    = $tag
  @11   = 10                         # its length
  control q@8 ^ c0                   # a pong is not answered
  match   0600ff06000011be80440000 > 0600ff06000011be40440010000011be000000008100000000000000
  nomatch 0600ff06000011be80440000 > 0600ff06000011be40450010000011be000000008100000000000000

# Answers those alone whom its configuration names as a client, by their address; Debian's FreeRADIUS names 127.0.0.1. What a
# client asks without its secret is refused, or not heard: Status-Server, accounting and whoever wants a Message-Authenticator.
service radius
  title "RADIUS server"
  ports udp 1812,1645,3799
  from  "RFC 2865 sections 3 and 4; observed on freeradius 3.2.1"

sig radius
  send  01 id?1 be16(len) x?16 01 07 "mynah"
  len   >= 20
  @0    = 03 or 0b                   # refused, or a challenge
  @1    = $id
  @2:2  = len
  control q@3 ^ 40                   # more is said to come than comes
  match   01 6a 001b 11*16 01 07 "mynah" > 036a0014f532d95817c70186dc5ff8c705f10175
  nomatch 01 6a 001b 11*16 01 07 "mynah" > 036b0014f532d95817c70186dc5ff8c705f10175
  nomatch 01 6a 001b 11*16 01 07 "mynah" > 036a0014f532d95817c70186dc5ff8c705f1017500

service xdmcp
  title "X display manager"
  ports udp 177
  from  "X Display Manager Control Protocol 1.1 section 'Packet Details'; observed on xdm 1.1.11"

sig xdmcp
  nofresh
  send  0001 0002 0001 00            # who manages? I know no way to prove it
  len   >= 12
  @0:2  = 0001
  @2:2  = 0005 or 0006               # willing, unwilling
  @4:2  = len-6
  @6    = 00                         # no name has 256 letters
  control q@1 ^ 02                   # another version
  match   00010002000100 > 00010005001900000002766d001157696c6c696e6720746f206d616e616765
  nomatch 00010002000100 > 00010005001800000002766d001157696c6c696e6720746f206d616e616765
