-- voice.lua - what real clients of voice, media and peer-to-peer sent, for wire_spec.lua.

local function hex(text)
  return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local STUN = "000100002112a442b7e7a701bc34d686fa87dfae"
local RFC5769 = "RFC 5769 section 2.1, the header"
local NO_ATTRIBUTES = { { 2, 2, "ours has no attributes" } }

return {
  { sig = "stun", wire = STUN:gsub("^00010000", "00010058"), from = RFC5769, except = NO_ATTRIBUTES },
  { sig = "stun-nat", wire = STUN:gsub("^00010000", "00010058"), from = RFC5769, except = NO_ATTRIBUTES },
  { sig = "stun-error", wire = STUN:gsub("^00010000", "00010058"), from = RFC5769, except = NO_ATTRIBUTES },
  { sig = "turn", wire = "000300002112a442b7e7a701bc34d686fa87dfae",
    from = "RFC 8489 figure 2, filled in with the method Allocate of RFC 8656 section 17" },
  { sig = "sip", from = "RFC 3261 section 11.1: the request of the example, with our names and, of RFC 3581, rport",
    wire = hex("OPTIONS sip:mynah@mynah.invalid SIP/2.0\r\nVia: SIP/2.0/UDP mynah.invalid;branch=z9hG4bKhjhs8ass87;rport\r\n"
      .. "Max-Forwards: 70\r\nTo: <sip:mynah@mynah.invalid>\r\nFrom: <sip:mynah@mynah.invalid>;tag=19283017\r\n"
      .. "Call-ID: a84b4c76e667\r\nCSeq: 63104 OPTIONS\r\nContact: <sip:mynah@mynah.invalid>\r\n"
      .. "Accept: application/sdp\r\nContent-Length: 0\r\n\r\n") },
  { sig = "iax", wire = "8123" .. "0000" .. "00001111" .. "00" .. "00" .. "06" .. "1e",
    from = "RFC 5456 figure 2, filled in: type 6 of section 8.2, subclass POKE of section 8.4",
    except = { { 0, 1, "the high bits of our call's number" } } },
  { sig = "mgcp", from = "RFC 3435 section 3.2.1, filled in with AuditEndpoint",
    wire = hex "AUEP 158663169 *@mynah.invalid MGCP 1.0\r\n" },
  { sig = "mumble", wire = "00000000" .. "1122334455667788",
    from = "Mumble's protocol documentation, table of the UDP ping request, filled in" },
  { sig = "jamulus", wire = "0000" .. "f403" .. "00" .. "0000" .. "bd23",
    from = "Jamulus' src/protocol.cpp, main frame, filled in: CLM_REQ_VERSION_AND_OS; Jamulus 3.9.1 took its checksum" },
  { sig = "teamspeak3", from = "ts3protocol.md sections 1.1.1 and 2.1, filled in, with the version that it prints",
    wire = hex "TS3INIT1" .. "0065" .. "0000" .. "88" .. "063bece9" .. "00" .. "5a5b5c5d" .. "01020304" .. ("00"):rep(8) },
  { sig = "rtpengine", wire = "305f31335f302064373a636f6d6d616e64343a70696e6765",
    from = "kamailio 5.6.3 module rtpengine, captured" },
  { sig = "rtpproxy", wire = "31345f302056", from = "kamailio 5.6.3 module rtpproxy, captured" },
  { sig = "osc-sync", wire = hex "/sync\0\0\0,i\0\0" .. "01020304",
    from = "OSC 1.0, section OSC Messages; SuperCollider's Server Command Reference, /sync, filled in" },
  { sig = "osc-sync", step = 1, wire = hex "/version\0\0\0\0,\0\0\0",
    before = { hex "/sync\0\0\0,i\0\0" .. "01020304", hex "/synced\0,i\0\0" .. "01020304" },
    from = "as above, /version" },
  { sig = "osc-paths", wire = hex "/path-search\0\0\0\0,ss\0/\0\0\0mynah\0\0\0",
    from = "OSC 1.0, section OSC Messages; rtosc's /path-search, filled in" },
  { sig = "bittorrent-dht", wire = hex "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t4:aabb1:y1:qe",
    from = "BEP 5, the example of ping, with 4 bytes of transaction for its 2" },
  { sig = "bittorrent-tracker", wire = "000004172710198000000000ff437f46",
    from = "libtorrent-rasterbar 2.0.8, captured" },
  { sig = "bittorrent-tracker", step = 1, wire = "3aa91f55a9037012000000024bb2ece26d796e616820616e64206f746865722062697264",
    before = { "000004172710198000000000ff437f46", "00000000ff437f463aa91f55a9037012" },
    from = "libtorrent-rasterbar 2.0.8, captured" },
  { sig = "utp-reset", wire = "01003234be456c93000000000000100056780000" .. "00",
    from = "BEP 29, header format, filled in: ST_DATA with a byte" },
  { sig = "utp-syn", wire = "4100dffb4bd494db00000000000000003eef0000", from = "libtorrent-rasterbar 2.0.8, captured",
    except = { { 1, 1, "libutp adds an extension" }, { 20, 10, "that extension" } } },
  { sig = "opendht", from = "dhtnode 2.4.12, captured",
    wire = "85a16181a26964c414ba7ebea9a9a43f7a13f8c96c059ac3984090f56ba171a470696e67a174ce3c575a15a179a171a176a4524e4731" },
  { sig = "memberlist", wire = "00" .. "82" .. "a5" .. hex "SeqNo" .. "ce11223344" .. "a4" .. hex "Node" .. "a0",
    from = "hashicorp/memberlist, net.go: pingMsg and its struct in MessagePack, filled in for no name" },
  { sig = "memberlist-packed", wire = "00" .. "82" .. "a5" .. hex "SeqNo" .. "ce11223344" .. "a4" .. hex "Node" .. "a0",
    from = "as above" },
  { sig = "emule-kad", wire = "e401", from = "eMule's opcodes.h: OP_KADEMLIAHEADER, KADEMLIA2_BOOTSTRAP_REQ" },
  { sig = "emule-kad", step = 1,
    wire = "e421" .. "02" .. "2a0fb67b5343d48fd426e934f59921e7" .. "085545fd9699630e44fa8a872ce4a52a",
    before = { "e401", "e409085545fd9699630e44fa8a872ce4a52a5b50080000" },
    from = "eMule's opcodes.h: KADEMLIA2_REQ <type> <target> <whom>, filled in; amuled 2.3.3 answers it" },
  { sig = "tox", wire = "f0" .. ("00"):rep(77), from = "toxcore's other/bootstrap_node_packets.c: 78 bytes, the first f0" },
  { sig = "edonkey-server", wire = "e396" .. "0102" .. "aa55",
    from = "eMule's opcodes.h: OP_GLOBSERVSTATREQ, with a number whose upper half is 55aa, low byte first" },
  { sig = "lifx", from = "LIFX LAN protocol, packet contents, filled in: GetService, tagged, to all targets",
    wire = "2400" .. "0034" .. "01020304" .. ("00"):rep(14) .. "00" .. "2a" .. ("00"):rep(8) .. "0200" .. "0000" },
  { sig = "wiz", wire = hex '{"method":"getPilot","id":14711,"params":{}}', from = "wizctl's wiki, Protocol, with an id" },
  { sig = "yeelight", from = "Yeelight WiFi Light Inter-Operation Specification, section 3.1: the search request",
    wire = hex "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1982\r\nMAN: \"ssdp:discover\"\r\nST: wifi_bulb\r\n" },
  { sig = "tplink-smarthome", from = "softScheck's description, filled in: get_sysinfo under its XOR with ab to begin with",
    wire = "d0f281f88bff9af7d5ef94b6d1b4c09fec95e68fe187e8caf08bf68bf6" },
  { sig = "hdhomerun", wire = "0002000c0104000000010204ffffffff4e507f35",
    from = "libhdhomerun, hdhomerun_pkt.h, filled in: discover any tuner" },
  { sig = "plex", wire = hex "M-SEARCH * HTTP/1.0\r\n\r\n", from = "plexapi's gdm module: what it sends" },
  { sig = "slimproto", none = "its fields may stand in any order, and each client asks for others" },
}
