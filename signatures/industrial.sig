# Sensors, buildings, machines.
#
# DNP3 over UDP answers only who knows its link address; OPC UA and S7 are TCP; PROFINET's context manager wants a known object.

service coap
  title "Constrained Application Protocol"
  ports udp 5683,5684,61616
  from  "RFC 7252 sections 3, 4.2 and 5; RFC 6690 section 4"

# Asks for the list of resources. The reply rides on the acknowledgement.
sig coap
  from  "observed on libcoap 4.3.1"
  send  48 01 mid?2 tok?8 bb ".well-known" 04 "core"
  len   >= 12
  @0    = 68                         # an acknowledgement with eight bytes of token
  @2:2  = $mid
  @4:8  = $tok
  soft  @ has "</"
  case  @1 = 45                      # 2.05 Content
    @12   = c0..c2 or 41..48 or d1 or ff
  case  @1 = 80..8f                  # 4.xx, mostly Not Found
    @0    = 68
  case  @1 = a0..a5                  # 5.xx
    @0    = 68
  control q@0 ^ c0                   # version 2, and not even confirmable
  match   48 01 255b 9cafc5f801020304 bb ".well-known" 04 "core" > 6845255b9cafc5f801020304 c128ff "</>;title=" 22 "General Info" 22
  match   48 01 255b 9cafc5f801020304 bb ".well-known" 04 "core" > 6884255b9cafc5f801020304
  nomatch 48 01 255b 9cafc5f801020304 bb ".well-known" 04 "core" > 4845255b9cafc5f801020304 c128ff "</>"
  nomatch 48 01 255b 9cafc5f801020304 bb ".well-known" 04 "core" > 6845255b9cafc5f801020305 c128ff "</>"

service knxnet-ip
  title "KNXnet/IP"
  ports udp 3671
  from  "KNX specification 3.8.2, sections 2.3, 7.5 and 7.6; observed on knxd 0.14.54"

# A description is asked for; nothing of the request returns in it. The endpoint in the request says where to.
sig knxnet-ip
  send  0610 0203 000e 08 01 my.ip my.port
  nofresh
  len   >= 68
  @0:2  = 0610
  @2:2  = 0204                       # DESCRIPTION_RESPONSE
  @4:2  = len
  @6:2  = 3601                       # device information, which comes first
  @8    = 01 or 02 or 04 or 10 or 20 # medium
  @30   ~ m/^(?<product>[ -~\xa0-\xff]{1,30})\0/
  product "$product"
  match   0610 0203 000e 08 01 7f000001 d431 > 0610020400443601020011010000000000000000e000170c02fc00000001 "mynah" 00*25 0802020103010401
  nomatch 0610 0203 000e 08 01 7f000001 d431 > 0610020300443601020011010000000000000000e000170c02fc00000001 "mynah" 00*25 0802020103010401
  nomatch 0610 0203 000e 08 01 7f000001 d431 > 0610020400453601020011010000000000000000e000170c02fc00000001 "mynah" 00*25 0802020103010401

# The same for who stands behind NAT: the answer is to go where the question came from.
sig knxnet-ip-nat
  send  0610 0203 000e 08 01 00000000 0000
  nofresh
  len   >= 68
  @0:2  = 0610
  @2:2  = 0204
  @4:2  = len
  @6:2  = 3601
  @8    = 01 or 02 or 04 or 10 or 20
  @30   ~ m/^(?<product>[ -~\xa0-\xff]{1,30})\0/
  product "$product"
  match   0610 0203 000e 08 01 00*6 > 0610020400443601020011010000000000000000e000170c02fc00000001 "mynah" 00*25 0802020103010401
  nomatch 0610 0203 000e 08 01 00*6 > 0610020200443601020011010000000000000000e000170c02fc00000001 "mynah" 00*25 0802020103010401

service bacnet
  title "BACnet/IP"
  ports udp 47808,47809-47823
  from  "ASHRAE 135 clauses 6.2, 15.5, 20.1 and annex J"

# Whatever device is here, by the instance that stands for any, is asked for the name of its model.
sig bacnet
  send  81 0a 0011 01 04 00 05 id?1 0c 0c 023fffff 19 46
  @0:2  = 810a
  @2:2  = len
  @4:2  = 0100
  @7    = $id
  @8    = 0c                         # ReadProperty
  case  @6 = 30                      # here it is
    @9    = 0c
    @10   = 02
    @14:2 = 1946
    @16   = 3e
    @-1   = 3f
    @17   ~ m/^\x75[\x00-\xff]\x00(?<product>[ -~]+)\x3f$/
    product "$product"
  case  @6 = 50                      # an error: class and code
    @9    = 91
    @10   = 00..0f
    @11   = 91
    len   = 13
  match   81 0a 0011 01 04 00 05 42 0c 0c 023fffff 19 46 > 81 0a 001c 01 00 30 42 0c 0c 02000539 19 46 3e 75 08 00 "Model-9" 3f
  match   81 0a 0011 01 04 00 05 42 0c 0c 023fffff 19 46 > 81 0a 000d 01 00 50 42 0c 91 01 91 1f
  nomatch 81 0a 0011 01 04 00 05 42 0c 0c 023fffff 19 46 > 81 0a 001c 01 00 30 43 0c 0c 02000539 19 46 3e 75 08 00 "Model-9" 3f
  nomatch 81 0a 0011 01 04 00 05 42 0c 0c 023fffff 19 46 > 81 0a 000d 01 00 20 42 0c 91 01 91 1f

service ethernet-ip
  title "EtherNet/IP (CIP)"
  ports udp 44818,2222
  from  "CIP specification volume 2, sections 2-3 and 2-4.2"

# ListIdentity. The first two bytes of the context bound the time that the device may take.
sig ethernet-ip
  send  6300 0000 00000000 00000000 0100 context?6 00000000
  len   >= 60
  @0:2  = 6300
  @4:8  = 0000000000000000           # no session, no error
  @12:8 = q@12:8
  @20:4 = 00000000
  @24:2 = 0100                       # one item …
  @26:2 = 0c00                       # … of this kind: identity
  @30:2 = 0100                       # version 1
  @32:2 = 0002                       # AF_INET, in network order among numbers that are not
  @62   ~ m/^[\x01-\xff](?<product>[ -~]+)/
  product "$product"
  control q@0 ^ 10                   # there is no such command
  match   6300 0000 00000000 00000000 0100 010203040506 00000000 > 6300 3c00 00000000 00000000 0100 010203040506 00000000 0100 0c00 3600 0100 0002af12c0a8010a 00*8 0100 0e00 3600 1401 6000 31c4f700 14 "1756-L61/B LOGIX5561" 03
  nomatch 6300 0000 00000000 00000000 0100 010203040506 00000000 > 6300 3c00 00000000 00000000 0100 010203040507 00000000 0100 0c00 3600 0100 0002af12c0a8010a 00*8 0100 0e00 3600 1401 6000 31c4f700 14 "1756-L61/B LOGIX5561" 03

service fins
  title "Omron FINS"
  ports udp 9600
  from  "Omron W342, sections 3 and 5-3-8"

# Controller data read.
sig fins
  send  80 00 02 00 00 00 00 node?1:pos 00 id?1 0501 00
  @0:2  = c000                       # a response
  @2    <= 07
  @3:2  = q@6:2                      # from us to them, turned round
  @9    = $id
  @10:2 = 0501
  @12:2 = 0000
  len   >= 54
  @14   ~ m/^(?<product>[A-Z][A-Z0-9]+[-_][A-Z0-9_-]+) */
  product "$product"
  match   80 00 02 00 00 00 00 6e 00 7a 0501 00 > c0 00 02 00 6e 00 00 01 00 7a 0501 0000 "CJ2M-CPU33          02.01               " 00*40
  nomatch 80 00 02 00 00 00 00 6e 00 7a 0501 00 > c0 00 02 00 6e 00 00 01 00 7b 0501 0000 "CJ2M-CPU33          02.01               " 00*40
  nomatch 80 00 02 00 00 00 00 6e 00 7a 0501 00 > 80 00 02 00 6e 00 00 01 00 7a 0501 0000 "CJ2M-CPU33          02.01               " 00*40

service modbus
  title "Modbus over UDP"
  ports udp 502
  from  "Modbus application protocol 1.1b3, sections 6.21 and 7; Modbus messaging on TCP/IP 1.0b, section 3.1"

# Who made it: the basic device identification. Those who cannot say it refuse the function.
sig modbus
  send  id?2 0000 0005 ff 2b 0e 01 00
  @0:2  = $id
  @2:2  = 0000
  @4:2  = len-6
  @6    = ff
  control q@3 ^ 40                   # another protocol than Modbus
  case  @7 = ab                      # refused
    @8    = 01..0b
    len   = 9
  case  @7 = 2b
    @8:2  = 0e01
    @10   = 01..83
    @14   = 00
    @15   ~ m/^[\x01-\xff](?<maker>[ -~]+)\x01[\x01-\xff](?<product>[ -~]+)\x02[\x01-\xff](?<version>[ -~]+)/
    product "$maker $product"
    version "$version"
  match   0102 0000 0005 ff 2b 0e 01 00 > 0102 0000 0003 ff ab 01
  match   0102 0000 0005 ff 2b 0e 01 00 > 0102 0000 001a ff 2b 0e 01 01 00 00 03 00 04 "ACME" 01 03 "PLC" 02 05 "1.0.2"
  nomatch 0102 0000 0005 ff 2b 0e 01 00 > 0103 0000 0003 ff ab 01
  nomatch 0102 0000 0005 ff 2b 0e 01 00 > 0102 0000 0003 ff 2b 01
