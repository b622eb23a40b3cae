-- names.lua - what real clients of names, addresses, clocks and management sent, for wire_spec.lua.

local function hex(text)
  return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

return {
  { sig = "dns", wire = "8fa2010000010000000000000a6162636465666768696a03636f6d0000010001",
    from = "dig 9.18.49 +noedns +noad abcdefghij.com, captured" },
  { sig = "dns", step = 1, wire = "90e2010000010000000000000776657273696f6e0462696e640000100003",
    before = { "8fa2010000010000000000000a6162636465666768696a03636f6d0000010001",
      "8fa2818500010000000000000a6162636465666768696a03636f6d0000010001" },
    from = "dig 9.18.49 +noedns +noad CH TXT version.bind, captured" },
  { sig = "dns-version", wire = "90e2010000010000000000000776657273696f6e0462696e640000100003",
    from = "dig 9.18.49 +noedns +noad CH TXT version.bind, captured" },
  { sig = "dns-tcp", wire = "0020c999010000010000000000000a6162636465666768696a03636f6d0000010001",
    from = "dig 9.18.49 +tcp +noedns +noad abcdefghij.com, captured" },
  { sig = "mdns", wire = "069c00000001000000000000095f7365727669636573075f646e732d7364045f756470056c6f63616c00000c0001",
    from = "dig 9.18.49 +norecurse +noedns +noad PTR _services._dns-sd._udp.local, captured" },
  { sig = "netbios-ns", from = "nmblookup 4.17.12 -A, captured",
    wire = "330b0000000100000000000020434b4141414141414141414141414141414141414141414141414141414141410000210001" },
  { sig = "ntp", wire = "e3" .. ("00"):rep(39) .. "eead9658d9e80800", from = "ntpdig 1.2.2, captured",
    except = { { 0, 1, "its clock is not synchronised, ours may be" } } },
  { sig = "ntp-control", wire = "d6020002000000000000000776657273696f6e00", from = "ntpq 1.2.2 -c 'rv 0 version', captured",
    except = { { 0, 1, "as above" } } },
  { sig = "chrony", wire = "06010000000e0000a161257c" .. ("00"):rep(20), from = "chronyc 4.3 sources, captured" },
  { sig = "snmp-v3", from = "snmpget 5.9.3 -v3 -l noAuthNoPriv, captured",
    wire = "303e0201033011020449a838ca020300ffe30401040201030410300e0400020100020100040004000400301404000400a00e0204"
      .. "53daa43d0201000201003000" },
  { sig = "snmp-v2c", from = "snmpget 5.9.3 -v2c -c public 1.3.6.1.2.1.1.1.0, captured",
    wire = "302902010104067075626c6963a01c020462ab2acd020100020100300e300c06082b060102010101000500" },
  { sig = "snmp-v1", from = "snmpget 5.9.3 -v1 -c public 1.3.6.1.2.1.1.1.0, captured",
    wire = "302902010004067075626c6963a01c02042174fb72020100020100300e300c06082b060102010101000500" },
  { sig = "ipmi", wire = "0600ff07000000000000000000092018c88104380e0431", from = "ipmitool 1.8.19 -I lan mc info, captured",
    except = { { 22, 1, "a checksum over the sequence number" } } },
  { sig = "rmcp-ping", wire = "0600ff06000011be80000000", from = "ipmitool 1.8.19 -I lan mc info, captured" },
  { sig = "radius", wire = "01e2001b629bd07b7797433d7e9a4a8aa3db4e4001076d796e6168", from = "radclient 3.2.1, captured" },
  { sig = "xdmcp", wire = "00010002000100",
    from = "XDMCP 1.1, section Packet Formats: Query with an empty list of authentication names" },
  { sig = "tftp", wire = "00016162636465666768696a006f6374657400", from = "tftp 5.2 -m octet get abcdefghij, captured" },
  { sig = "ssdp", from = "UPnP Device Architecture 1.1, section 1.3.2: the format of M-SEARCH, with MX 1 and a root device",
    wire = hex("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n"
      .. "ST: upnp:rootdevice\r\n\r\n") },
  { sig = "ws-discovery", none = "XML can be written in many ways, and the standard's example asks for a printer" },
  { sig = "nat-pmp", wire = "0000", from = "natpmpc 20150609 -g 127.0.0.1, captured; RFC 6886 section 3.2" },
  { sig = "pcp", from = "RFC 6887 figures 2 and 9, filled in: MAP, lifetime 0, UDP, port 9, no suggestion",
    wire = "0201" .. "0000" .. "00000000" .. "00000000000000000000ffffc0000201" .. ("00"):rep(12) .. "11000000" .. "0009"
      .. "0000" .. "00000000000000000000ffff00000000" },
  { sig = "dhcp", from = "RFC 2131 figure 1 and section 3.4, RFC 2132 section 9.6, filled in: DHCPINFORM",
    wire = "01010600" .. "00000000" .. "0000" .. "0000" .. "c0000201" .. ("00"):rep(12) .. "02" .. ("00"):rep(15)
      .. ("00"):rep(64) .. ("00"):rep(128) .. "63825363" .. "350108" .. "ff" },
  { sig = "cldap", from = "RFC 4511 section 4.5.1 in the BER of section 5.1: of the root, (objectClass=*), one attribute",
    wire = "303e" .. "020400000000" .. "6336" .. "0400" .. "0a0100" .. "0a0100" .. "020100" .. "020100" .. "010100"
      .. "870b" .. hex "objectclass" .. "3016" .. "0414" .. hex "supportedLDAPVersion" },
}
