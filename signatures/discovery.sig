# Who is there, and who opens the way out: devices and gateways of a home or an office.

service ssdp
  title "UPnP discovery"
  ports udp 1900
  from  "UPnP Device Architecture 1.1 sections 1.3.2 and 1.3.3; observed on miniupnpd 2.3.1"

# Root devices alone: "ssdp:all" would bring an answer for each of their services.
sig ssdp
  nofresh
  send  "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: upnp:rootdevice\r\n\r\n"
  @ starts "HTTP/1."
  w1    = "200"
  h.st  = "upnp:rootdevice"
  h.usn starts "uuid:"
  h.usn has "::upnp:rootdevice"
  soft h.server ~ m/UPnP\/[0-9.]+,? +(?<product>[^\/]+)\/(?<version>[^ ,;]+)/
  control q@0 ^ 01                   # a method that nobody knows
  product "$product"
  version "$version"
  match   "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: upnp:rootdevice\r\n\r\n" > "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: upnp:rootdevice\r\nUSN: uuid:00000000-0000-0000-0000-000000000001::upnp:rootdevice\r\nEXT:\r\nSERVER: Debian/6.18.44 UPnP/1.1 MiniUPnPd/2.3.1\r\nLOCATION: http://10.78.0.1:23100/rootDesc.xml\r\nOPT: \"http://schemas.upnp.org/upnp/1/0/\"; ns=01\r\n01-NLS: 1795365257\r\nBOOTID.UPNP.ORG: 1795365257\r\nCONFIGID.UPNP.ORG: 1337\r\n\r\n"
  nomatch "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: upnp:rootdevice\r\n\r\n" > "HTTP/1.1 400 Bad Request\r\nST: upnp:rootdevice\r\nUSN: uuid:00000000-0000-0000-0000-000000000001::upnp:rootdevice\r\n\r\n"

# wsdd 0.7 hears nobody who does not ask the group's address.
service ws-discovery
  title "Web services discovery"
  ports udp 3702
  from  "WS-Discovery, April 2005, sections 5.2 and 5.3"

sig ws-discovery
  send  "<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope xmlns:soap=\"http://www.w3.org/2003/05/soap-envelope\""
  send  " xmlns:wsa=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\""
  send  " xmlns:wsd=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\""
  send  " xmlns:wsdp=\"http://schemas.xmlsoap.org/ws/2006/02/devprof\"><soap:Header>"
  send  "<wsa:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</wsa:To>"
  send  "<wsa:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</wsa:Action><wsa:MessageID>urn:uuid:"
  send  id?8:digit "-abcd-4bcd-8bcd-abcdefabcdef"
  send  "</wsa:MessageID></soap:Header><soap:Body><wsd:Probe><wsd:Types>wsdp:Device</wsd:Types></wsd:Probe></soap:Body></soap:Envelope>"
  @ has $id
  @ has "discovery/ProbeMatches"
  @ has "RelatesTo"
  match   "<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope xmlns:soap=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:wsa=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" xmlns:wsd=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\" xmlns:wsdp=\"http://schemas.xmlsoap.org/ws/2006/02/devprof\"><soap:Header><wsa:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</wsa:To><wsa:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</wsa:Action><wsa:MessageID>urn:uuid:12345678-abcd-4bcd-8bcd-abcdefabcdef</wsa:MessageID></soap:Header><soap:Body><wsd:Probe><wsd:Types>wsdp:Device</wsd:Types></wsd:Probe></soap:Body></soap:Envelope>" > "<e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\"><e:Header><a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches</a:Action><a:MessageID>urn:uuid:e32e6863-ea5e-4ee4-997e-69539d1ff2cc</a:MessageID><a:RelatesTo>urn:uuid:12345678-abcd-4bcd-8bcd-abcdefabcdef</a:RelatesTo><a:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:To></e:Header><e:Body><d:ProbeMatches><d:ProbeMatch><a:EndpointReference><a:Address>urn:uuid:98190dc2-0890-4ef8-ac9a-5940995e6119</a:Address></a:EndpointReference><d:MetadataVersion>75965</d:MetadataVersion></d:ProbeMatch></d:ProbeMatches></e:Body></e:Envelope>"
  nomatch "<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope xmlns:soap=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:wsa=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" xmlns:wsd=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\" xmlns:wsdp=\"http://schemas.xmlsoap.org/ws/2006/02/devprof\"><soap:Header><wsa:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</wsa:To><wsa:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</wsa:Action><wsa:MessageID>urn:uuid:12345678-abcd-4bcd-8bcd-abcdefabcdef</wsa:MessageID></soap:Header><soap:Body><wsd:Probe><wsd:Types>wsdp:Device</wsd:Types></wsd:Probe></soap:Body></soap:Envelope>" > "<e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\"><e:Header><a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches</a:Action><a:MessageID>urn:uuid:e32e6863-ea5e-4ee4-997e-69539d1ff2cc</a:MessageID><a:RelatesTo>urn:uuid:12345679-abcd-4bcd-8bcd-abcdefabcdef</a:RelatesTo><a:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:To></e:Header><e:Body><d:ProbeMatches><d:ProbeMatch><a:EndpointReference><a:Address>urn:uuid:98190dc2-0890-4ef8-ac9a-5940995e6119</a:Address></a:EndpointReference><d:MetadataVersion>75965</d:MetadataVersion></d:ProbeMatch></d:ProbeMatches></e:Body></e:Envelope>"

# A gateway that opens ports. Its answers hold nothing of the question, but it tells the address that the world sees.
service nat-pmp
  title "NAT port mapping: NAT-PMP, PCP"
  ports udp 5351
  from  "RFC 6886 sections 3.2 and 3.5; observed on miniupnpd 2.3.1"

sig nat-pmp
  nofresh
  send  0000
  len   = 12
  @0:2  = 0080                       # version 0, the answer to operation 0
  @4    = 00..03                     # running for less than two years
  control q@1 ^ 40                   # no operation
  match   0000 > 00800000000000145db8d822
  match   0000 > 008000030000001400000000
  nomatch 0000 > 00800003000000145db8d822
  nomatch 0000 > 008000000000001400000000
  case @2:2 = 0000                   # done
    @8:4 != 00000000
    give @8:4 as "external address"
  case @2:2 = 0002..0004             # not allowed, or it has no address itself
    @8:4 = 00000000

# Its successor on the same port, spoken by the same gateways, says the nonce again. What is asked to be closed was never
# open: nothing changes.
sig pcp
  from  "RFC 6887 sections 7.1, 7.2, 11.1 and 15; observed on miniupnpd 2.3.1"
  extra "PCP"
  send  02 01 0000 00000000 00000000 00000000 0000 ffff my.ip
  send  n?12 11 000000 0009 0000 00000000 00000000 0000 ffff 00000000
  len   = 60
  @0    = 02
  @1    = 81                         # the answer to MAP
  @3    < 20
  @12:12 = 000000000000000000000000   # where our address stands in the question
  @24:12 = $n
  @36   = 11
  @40:2 = 0009
  control q@1 ^ 80                   # an answer is not answered
  match   02010000 00000000 00000000 00000000 0000 ffff 0a4e0002 a1a2a3a4a5a6a7a8a9aaabac 11000000 0009 0000 00000000 00000000 0000 ffff 00000000 > 028100080000001e0000001a000000000000000000000000a1a2a3a4a5a6a7a8a9aaabac110000000009000000000000000000000000ffff5db8d822
  nomatch 02010000 00000000 00000000 00000000 0000 ffff 0a4e0002 a1a2a3a4a5a6a7a8a9aaabac 11000000 0009 0000 00000000 00000000 0000 ffff 00000000 > 028100080000001e0000001a000000000000000000000000a1a2a3a4a5a6a7a8a9aaabad110000000009000000000000000000000000ffff5db8d822

# Servers answer to port 68 of who asks, which is not ours; dnsmasq answers to the port that asked, if we say who we are. No lease is made.
service bootps
  title "DHCP server"
  ports udp 67,4011
  from  "RFC 2131 sections 2, 3.4 and 4.3.5; RFC 2132 section 9.6; observed on dnsmasq 2.90"

sig dhcp
  send  01 01 06 00 xid?4 0000 0000 my.ip 00000000 00000000 00000000 02 mac?5 00*202
  send  63825363 35 01 08 ff         # DHCPINFORM
  len   >= 244
  @0    = 02
  @1:2  = 0106
  @4:4  = $xid
  @28:6 = q@28:6
  @236:4 = 63825363
  @ has 350105                       # DHCPACK
  control q@0 ^ 03                   # a reply is not answered
  match   01010600deadbeef000000000a4e0002000000000000000000000000 020000000001 00*202 63825363 350108ff > 02010600deadbeef000000000a4e0002000000000a4e000100000000020000000001 00*202 6382536335010536040a4e00010104ffffff001c040a4e00ff03040a4e0001ff
  nomatch 01010600deadbeef000000000a4e0002000000000000000000000000 020000000001 00*202 63825363 350108ff > 02010600deadbeee000000000a4e0002000000000a4e000100000000020000000001 00*202 6382536335010536040a4e00010104ffffff001c040a4e00ff03040a4e0001ff

# Directories that are asked where they are before anybody logs in.
service ldap
  title "Lightweight directory access"
  ports udp 389 tcp 389,3268
  from  "RFC 1798 sections 3 and 4; RFC 4511 sections 4.1.1 and 4.5; observed on samba 4.17.12, a domain controller"

sig cldap
  send  303e 0204 id?4:pos 6336 0400 0a0100 0a0100 020100 020100 010100 870b "objectclass" 3016 0414 "supportedLDAPVersion"
  tag.0 = 30
  ber.0.0 = $id
  tag.0.1 = 64                       # an entry …
  len.ber.0.1.0 = 0                  # … of the root
  ber.0.1.1.0.0 = "supportedLDAPVersion"
  match   303e02047f868b6c63360400 0a01000a0100020100020100010100 870b "objectclass" 30160414 "supportedLDAPVersion" > 302c02047f868b6c642404003020301e0414737570706f727465644c44415056657273696f6e3106040132040133300f02047f868b6c65070a010004000400
  nomatch 303e02047f868b6c63360400 0a01000a0100020100020100010100 870b "objectclass" 30160414 "supportedLDAPVersion" > 302c02047f868b6d642404003020301e0414737570706f727465644c44415056657273696f6e3106040132040133300f02047f868b6d65070a010004000400

# The same over TCP: what the root of the directory says of itself to a stranger, or that it says nothing to one.
sig ldap
  over  tcp
  from  "RFC 4511 sections 4.1.1, 4.5 and 5.1; observed on OpenLDAP 2.5.13"
  send  303e 0204 id?4:pos 6336 0400 0a0100 0a0100 020100 020100 010100 870b "objectclass" 3016 0414 "supportedLDAPVersion"
  tag.0 = 30
  ber.0.0 = $id
  case  tag.0.1 = 64
    len.ber.0.1.0 = 0
    ber.0.1.1.0.0 = "supportedLDAPVersion"
  case  tag.0.1 = 65
    tag.0.1.0 = 0a
    len.ber.0.1.0 = 1
    tag.0.1.1 = 04
    tag.0.1.2 = 04
  match   303e02047f868b6c63360400 0a01000a0100020100020100010100 870b "objectclass" 30160414 "supportedLDAPVersion" > 302c02047f868b6c642404003020301e0414737570706f727465644c44415056657273696f6e3106040132040133300f02047f868b6c65070a010004000400
  match   303e02047f868b6c63360400 0a01000a0100020100020100010100 870b "objectclass" 30160414 "supportedLDAPVersion" > 300f02047f868b6c65070a013204000400
  nomatch 303e02047f868b6c63360400 0a01000a0100020100020100010100 870b "objectclass" 30160414 "supportedLDAPVersion" > 300f02047f868b6d65070a013204000400
