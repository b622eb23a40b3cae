-- What real clients sent, or those who made a protocol print: the probes of games.sig.
local function hex(text) return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end

local a2s = "ffffffff54" .. hex "Source Engine Query" .. "00"

return {
  { sig = "minetest", from = "the check of Minetest's list of servers (serverlist, server.py)", wire = "4f45740300000001" },
  { sig = "teeworlds", none = "0.7's clients want a display; laid out as in src/engine/shared/network.cpp" },
  { sig = "teeworlds-06", from = "qstat 2.17 -tees, captured", wire = ("ff"):rep(10) .. hex "gie3" .. "00",
    except = { { 14, 1, "tells answers apart" } } },
  { sig = "bzflag", none = "its client wants a display; laid out as in include/Protocol.h and src/net/Ping.cxx" },
  { sig = "armagetron", none = "its client wants a display; laid out as in src/network/nNetwork.cpp" },
  { sig = "armagetron-large", none = "its client wants a display; laid out as in src/network/nNetwork.cpp" },
  { sig = "armagetron-denied", none = "no client sends what makes no sense" },
  { sig = "openttd", from = "qstat 2.17 -ottds, captured", wire = "030000",
    except = { { 0, 1, "its length" }, { 3, 8, "more, which nobody reads" } } },
  { sig = "openttd-11", from = "qstat 2.17 -ottds, captured", wire = "030000",
    except = { { 0, 1, "its length" }, { 3, 8, "more, which nobody reads" } } },
  { sig = "chocolate-doom", from = "chocolate-doom 3.0.0 -query, captured", wire = "000d" },
  { sig = "enet", from = "libenet 1.3.17, enet_host_connect with one channel, captured",
    wire = "8fff753182ff00010000ffff00000578000100000000000100000000000000000000138800000002000000023bcb103f00000000" },
  { sig = "quake3", from = "dpmaster's techinfo.txt and messages.h", wire = "ffffffff" .. hex "getinfo A_Challenge" },
  { sig = "doom3", from = "qstat 2.17 -dm3s, captured", wire = "ffff" .. hex "getInfo" .. "0000000000" },
  { sig = "quake3-master", from = "dpmaster's messages.h", wire = "ffffffff" .. hex "getservers Transfusion 3 empty full" },
  { sig = "quake2", from = "qstat 2.17 -q2s, captured", wire = "ffffffff" .. hex "status 23\n",
    except = { { 11, 2, "what is asked for: the least" } } },
  { sig = "quakeworld", from = "qstat 2.17 -qws, captured", wire = "ffffffff" .. hex "status 23\n",
    except = { { 11, 2, "what is asked for: the least" } } },
  { sig = "quake", from = "qstat 2.17 -qs, captured", wire = "8000000c025155414b450003",
    except = { { 3, 1, "its length" }, { 12, 1, "one more, which nobody reads" } } },
  { sig = "source", from = "qstat 2.17 -a2s, captured", wire = a2s },
  { sig = "source-2004", from = "qstat 2.17 -a2s, captured", wire = a2s },
  { sig = "goldsrc", from = "qstat 2.17 -hla2s, captured", wire = a2s },
  { sig = "raknet", from = "wiki.vg, Raknet Protocol, Unconnected Ping; OFFLINE_MESSAGE_DATA_ID of RakPeer.cpp",
    wire = "01" .. ("00"):rep(8) .. "00ffff00fefefefefdfdfdfd12345678" .. ("00"):rep(8) },
  { sig = "minecraft", from = "qstat 2.17 -gs4, captured", wire = "fefd0910203040" },
  { sig = "gamespy", from = "GameSpy's SDK, types of queries; qstat 2.17 -gps asks \\status\\", wire = hex "\\basic\\" },
  { sig = "ase", from = "qstat 2.17 -eye, captured", wire = "73" },
}
