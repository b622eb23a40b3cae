-- crowd.lua - servers over UDP by the hundred, none of which speaks a protocol: they give back what they were given, or part
-- of it, or what has nothing to do with it.
--
--   lua5.3 tests/daemons/crowd.lua COUNT [KIND…]    needs Lua 5.3 or 5.4; no KIND: all of them
--   lua5.3 tests/daemons/crowd.lua --list           says which there are, and opens nothing
--
-- Kind number K listens on 127.1.K.1, on COUNT ports from 20000: run it in `netns`, where all ports are free. It prints one
-- JSON line for each kind:
--   {"name":"reversed","why":"…","host":"127.1.4.1","first":20000,"last":20059,"is":"","may":[]}
-- then {"ready":N}, and runs until its standard input ends. `is`: it must be called so; `may`: it may be; else nothing may be
-- named. `state`: what must be reported where that is not "open". `counted`: of the kinds that the issue counts out.
local uv = require "luv"
local json = require "cjson"

local FIRST = 20000

local char, pack, rep = string.char, string.pack, string.rep

local function hex(text)
  return (text:gsub("%s", ""):gsub("..", function(pair) return char(tonumber(pair, 16)) end))
end

-- Random bytes cut from a large pool: 1,400 a reply would cost more than all the rest.
local pool, pool_at = uv.random(1 << 20), 1
local function random(n)
  if pool_at + n > #pool then
    pool, pool_at = uv.random(1 << 20), 1
  end
  pool_at = pool_at + n
  return pool:sub(pool_at - n, pool_at - 1)
end

local function each_byte(text, change)
  return (text:gsub(".", function(c) return char(change(c:byte()) & 255) end))
end

-- The request with byte `at` (from 0) changed; unchanged requests are not given back, that would be an echo.
local function with_byte(q, at, change)
  if #q <= at then return nil end
  return q:sub(1, at) .. char(change(q:byte(at + 1)) & 255) .. q:sub(at + 2)
end

local function ip_bytes(text)
  local a, b, c, d = text:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  return char(tonumber(a), tonumber(b), tonumber(c), tonumber(d))
end

-- The address of nobody's node: globally routable, not ours, always the same.
local FOREIGN = ip_bytes "93.184.216.34"

local kinds, by_name = {}, {}

-- kind(name, why, make [, truth]): make(i, shared) gives the server of the i-th port, a function of (request, from), from
-- with ip and port; it returns replies: strings, or { data, elsewhere = true }. `shared` is one table for all ports of the kind.
local counted = true
local function kind(name, why, make, truth)
  assert(not by_name[name], name)
  kinds[#kinds + 1] = { name = name, why = why, make = make, truth = truth or {}, number = #kinds + 1, counted = counted }
  by_name[name] = kinds[#kinds]
end

-- A server that is the same on every port and remembers nothing.
local function simple(answer) return function() return answer end end

-- What the issue counts out -------------------------------------------------------------------------------------------------

kind("echo", "the request", simple(function(q) return q end), { is = "echo" })
kind("random", "1 to 1,400 random bytes", simple(function() return random(math.random(1, 1400)) end))
kind("reversed", "the request from its end", simple(function(q) return q:reverse() end))
kind("last-byte", "the request with its last byte changed", function(i)
  return function(q) return with_byte(q, #q - 1, function(b) return b ~ (1 + i % 255) end) end
end)
kind("zeros", "zeros, of another length on each port", function(i) local s = rep("\0", i) return function() return s end end)
kind("ones", "ff, of another length on each port", function(i) local s = rep("\255", i) return function() return s end end)
kind("letter", "one byte over and over", function(i) local s = rep(char(i % 256), 1 + i % 200) return function() return s end end)
kind("constant", "random bytes, the same always: another length on each port", function(i)
  local s = random(1 + i)
  return function() return s end
end)
kind("id-2", "the first 2 bytes, then a constant", function(i)
  local s = random(1 + i % 64)
  return function(q) return q:sub(1, 2) .. s end
end)
kind("id-4", "the first 4 bytes, then a constant", function(i)
  local s = random(1 + i % 64)
  return function(q) return q:sub(1, 4) .. s end
end)
kind("id-8", "the first 8 bytes, then a constant", function(i)
  local s = random(1 + i % 64)
  return function(q) return q:sub(1, 8) .. s end
end)
for _, n in ipairs { 1, 2, 4, 8, 12, 16 } do
  kind("id-" .. n .. "-random", ("the first %d bytes, then noise of any length"):format(n),
    simple(function(q) return q:sub(1, n) .. random(math.random(1, 80)) end))
end
kind("id-only", "the first 2, 4 or 8 bytes and nothing else", function(i)
  local n = ({ 2, 4, 8 })[i % 3 + 1]
  return function(q) if #q > n then return q:sub(1, n) end end
end)
kind("id-zeros", "the first 2, 4 or 8 bytes, then zeros up to the request's length", function(i)
  local n = ({ 2, 4, 8 })[i % 3 + 1]
  return function(q) return q:sub(1, n) .. rep("\0", math.max(1, #q - n)) end
end)
kind("id-same-length", "the first 2, 4 or 8 bytes, then noise up to the request's length", function(i)
  local n = ({ 2, 4, 8 })[i % 3 + 1]
  return function(q) if #q > n then return q:sub(1, n) .. random(#q - n) end end
end)

counted = false

-- Constants that look like something ----------------------------------------------------------------------------------------

local CONSTANTS = {
  { "text", "hello world\r\n" },
  { "text-long", ("the quick brown fox jumps over the lazy dog. "):rep(20) },
  { "ok", "OK\r\n" },
  { "pong", "PONG\n" },
  { "error", "ERROR\r\n" },
  { "json", '{"error":"bad request","code":400}' },
  { "xml", '<?xml version="1.0"?><error>bad request</error>' },
  { "http-400", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" },
  { "http-200", "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello" },
  { "http-404", "HTTP/1.0 404 Not Found\r\n\r\n" },
  { "sip-400", "SIP/2.0 400 Bad Request\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
    .. "To: <sip:c@d>;tag=2\r\nCall-ID: 1@b\r\nCSeq: 1 OPTIONS\r\nServer: thing 1.0\r\nContent-Length: 0\r\n\r\n" },
  { "rtsp", "RTSP/1.0 400 Bad Request\r\nCSeq: 1\r\n\r\n" },
  { "ftp", "220 FTP server ready\r\n" },
  { "ssh", "SSH-2.0-OpenSSH_9.2p1\r\n" },
  { "ssdp", "HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nUSN: uuid:1::upnp:rootdevice\r\n"
    .. "LOCATION: http://192.0.2.1/d.xml\r\n\r\n" },
  { "dns", hex "1234 8180 0001 0001 0000 0000 07 6578616d706c65 00 0001 0001 c00c 0001 0001 0000003c 0004 5db8d822" },
  { "dns-formerr", hex "1234 8181 0000 0000 0000 0000" },
  { "ntp", hex "240103ec 00000000 00000010 c0000201 e8b1c2d3 00000000 e8b1c2d3 11111111 e8b1c2d3 22222222 e8b1c2d3 33333333" },
  { "stun", hex "0101000c 2112a442 b7e7a701bc34d686fa87dfae 00200008 0001a147 e112a643" },
  { "stun-old", hex "01010008 00112233445566778899aabbccddeeff 00010008 00011f90 5db8d822" },
  { "snmp", hex "302c 020100 0406 7075626c6963 a21f 0204 12345678 020100 020100 3011 300f 06082b06010201010100 0403 666f6f" },
  { "radius", hex "02 01 0014 00112233445566778899aabbccddeeff" },
  { "coap", hex "6045 1234 ff 68656c6c6f" },
  { "coap-reset", hex "7000 1234" },
  { "memcached", hex "0000 0000 0001 0000" .. "ERROR\r\n" },
  { "ike", hex "0011223344556677 8899aabbccddeeff 2920 22 20 00000000 00000024 00000008 0000000e" },
  { "openvpn", hex "40 0011223344556677 01 00000000 8899aabbccddeeff 00000000" },
  { "dtls", hex "16feff 0000 000000000000 0023 03 000017 0000 000000000000 000017 feff 14"
    .. hex "00112233445566778899aabbccddeeff00112233" },
  { "quic", hex "c0 00000000 08 0011223344556677 08 8899aabbccddeeff 00000001 6b3343cf" },
  { "kerberos", hex "7e52 3050 a003020105 a10302011e a411180f32303236313132323132303030305a a505020300a1b2"
    .. hex "a60302013c a90b1b094558414d504c45" },
  { "l2tp", hex "c802 0014 0001 0000 0000 0001 8008 0000 0000 0002" },
  { "gtp", hex "3202 0002 00000000 0001 0000" },
  { "gtpv2", hex "4002 0009 00000100 03000100 05" },
  { "pfcp", hex "2002 000c 000001 00 0060 0004 e8b1c2d3" },
  { "rpc", hex "12345678 00000001 00000000 00000000 00000000 00000000" },
  { "netbios", hex "1234 8400 0000 0001 0000 0000 20 434b" .. rep("A", 30) .. hex "00 0021 0001 00000000 0007 00 000000000000" },
  { "bittorrent", "d1:rd2:id20:abcdefghij0123456789e1:t2:aa1:y1:re" },
  { "tracker", hex "00000000 12345678 0011223344556677" },
  { "tracker-error", hex "00000003 12345678" .. "invalid" },
  { "quake", "\255\255\255\255disconnect" },
  { "quake-info", "\255\255\255\255infoResponse\n\\hostname\\x\\mapname\\y\\clients\\0" },
  { "source", "\255\255\255\255I\17name\0map\0dir\0game\0\0\0\0\16\0dl\0\1" .. "1.0\0" },
  { "source-challenge", "\255\255\255\255A\1\2\3\4" },
  { "raknet", hex "1c 0000000000000001 0011223344556677 00ffff00fefefefefdfdfdfd12345678 0004 4d435045" },
  { "ipmi", hex "0600ff07 00000000 00000000 0010 81 1c 63 20 00 38 00 01 80 04 02 00 00 00 00 00" },
  { "rmcp-pong", hex "0600ff06 000011be 40 00 0010 000011be 00000000 81 00 000000000000" },
  { "bacnet", hex "810b 000c 0120 ffff00ff 1000" },
  { "knx", hex "0610 0202 0046" .. rep("00", 64) },
  { "xdmcp", hex "0001 0005 000c 0000 0004 686f7374 0004 69646c65" },
  { "teredo", hex "0001 0000 0011223344556677 00 0000 a15a 1e0a b7b1" },
  { "rtp", hex "8000 1234 00000010 12345678" .. rep("d5", 160) },
  { "rtcp", hex "80c9 0001 12345678" },
  { "iax2", hex "8001 0000 00000010 00 01 06 04" },
  { "mumble", hex "00010205 0011223344556677 00000000 00000064 00011170" },
  { "icmp-like", hex "0303 a1b2 00000000 4500001c 00000000 4011 0000 7f000001 7f000001 a1b2 4e20 0008 0000" },
  { "eleven", hex "9240 17 c0a80013 74a041f0" },
  { "nat-pmp-short", hex "0080 0000" },
}
for _, row in ipairs(CONSTANTS) do
  kind("const-" .. row[1], "always the same " .. row[1], simple(function() return row[2] end))
end
kind("const-date", "a date of long ago", simple(function() return "Thu Jan  1 00:00:00 1970\r\n" end))
kind("const-chargen", "72 letters of a pattern, then nothing more of it",
  simple(function() return ("!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefgh\r\n"):rep(3) end),
  { may = { "chargen" } })

-- The request, nearly ---------------------------------------------------------------------------------------------------------

kind("first-byte", "the request with its first byte changed", function(i)
  return function(q) return with_byte(q, 0, function(b) return b ~ (1 + i % 255) end) end
end)
for at = 1, 3 do
  kind("byte-" .. at, ("the request with its byte %d changed, on every port by other bits"):format(at), function(i)
    return function(q) return with_byte(q, at, function(b) return b ~ (1 + i % 255) end) end
  end)
end
kind("one-bit", "the request with one bit turned: another on each port, within the first 32 bytes", function(i)
  local at, bit = i // 8 % 32, 1 << (i % 8)
  return function(q) return with_byte(q, at, function(b) return b ~ bit end) end
end)
kind("bit-set", "the request with one bit set: another on each port, within the first 16 bytes", function(i)
  local at, bit = i // 8 % 16, 1 << (i % 8)
  return function(q)
    local reply = with_byte(q, at, function(b) return b | bit end)
    -- Where the bit was set already this would be an echo, and an echo server it is not.
    if reply ~= q then return reply end
  end
end)
kind("plus-one", "the request with one byte counted up: another on each port", function(i)
  local at = i % 24
  return function(q) return with_byte(q, at, function(b) return b + 1 end) end
end)
kind("middle-byte", "the request with the byte in its middle changed",
  simple(function(q) return with_byte(q, #q // 2, function(b) return b ~ 0x40 end) end))
kind("one-random-byte", "the request with a byte somewhere replaced by noise", simple(function(q)
  return #q > 0 and with_byte(q, math.random(0, #q - 1), function(b) return b + math.random(1, 255) end) or nil
end))
kind("four-random-bytes", "the request with four bytes somewhere replaced by noise", simple(function(q)
  if #q < 5 then return end
  local at = math.random(0, #q - 4)
  return q:sub(1, at) .. random(4) .. q:sub(at + 5)
end))
kind("swapped", "the bytes of the request, two by two swapped",
  simple(function(q) if #q > 1 then return (q:gsub("(.)(.)", "%2%1")) end end))
kind("rotated", "the request, its first byte put to the end",
  simple(function(q) if #q > 1 then return q:sub(2) .. q:sub(1, 1) end end))
kind("nibbles", "the request with the nibbles of each byte swapped",
  simple(function(q) return each_byte(q, function(b) return b << 4 | b >> 4 end) end))
kind("xor", "the request XORed with a constant, another on each port", function(i)
  local key = 1 + i % 255
  return function(q) return each_byte(q, function(b) return b ~ key end) end
end)
kind("add", "the request with a constant added to each byte", function(i)
  local key = 1 + i % 255
  return function(q) return each_byte(q, function(b) return b + key end) end
end)
kind("upper", "the request in capitals: not an echo where letters were small",
  simple(function(q) return q:upper() ~= q and q:upper() or nil end))
kind("sorted", "the request's bytes, sorted", simple(function(q)
  local list = { q:byte(1, -1) }
  table.sort(list)
  local sorted = char(table.unpack(list))
  if sorted ~= q then return sorted end
end))
kind("head", "the first half of the request", simple(function(q) if #q > 1 then return q:sub(1, #q // 2) end end))
kind("tail", "the second half of the request", simple(function(q) if #q > 1 then return q:sub(#q // 2 + 1) end end))
kind("all-but-last", "the request but for its last byte", simple(function(q) if #q > 1 then return q:sub(1, -2) end end))
kind("all-but-first", "the request but for its first byte", simple(function(q) if #q > 1 then return q:sub(2) end end))
kind("cut", "the first bytes of the request, another number on each port", function(i)
  return function(q) if #q > i % 64 + 1 then return q:sub(1, i % 64 + 1) end end
end)
kind("eleven-of-it", "the first 11 bytes of the request", simple(function(q) if #q > 11 then return q:sub(1, 11) end end))
kind("last-id", "the last 2, 4 or 8 bytes of the request, then noise", function(i)
  local n = ({ 2, 4, 8 })[i % 3 + 1]
  return function(q) return q:sub(-n) .. random(20) end
end)
kind("inner-id", "four bytes from within the request, at the start of noise", function(i)
  local at = 1 + i % 16
  return function(q) return q:sub(at + 1, at + 4) .. random(20) end
end)
kind("in-place", "four or eight bytes of the request at their place, the rest noise", function(i)
  local at, n = i % 20, i % 2 * 4 + 4
  return function(q) if #q >= at + n + 1 then return random(at) .. q:sub(at + 1, at + n) .. random(#q - at - n) end end
end)
kind("doubled", "the request twice", simple(function(q) if #q > 0 then return q .. q end end))

-- The request within something ------------------------------------------------------------------------------------------------

kind("behind", "the request behind 1 to 16 bytes of its own", function(i)
  local s = random(1 + i % 16)
  return function(q) return s .. q end
end)
kind("behind-noise", "the request behind 1 to 16 bytes of noise", function(i)
  return function(q) return random(1 + i % 16) .. q end
end)
kind("before", "the request and 1 to 16 bytes of its own", function(i)
  local s = random(1 + i % 16)
  return function(q) return q .. s end
end)
kind("behind-length", "the request behind its length", function(i)
  local format = ({ ">I2", "<I2", ">I4", "<I4" })[i % 4 + 1]
  return function(q) return pack(format, #q) .. q end
end)
kind("behind-own-length", "the request behind the length of the reply", function(i)
  local format, n = table.unpack(({ { ">I2", 2 }, { "<I2", 2 }, { ">I4", 4 }, { "<I4", 4 } })[i % 4 + 1])
  return function(q) return pack(format, #q + n) .. q end
end)
kind("behind-address", "the request behind our address and port, as a SOCKS relay gives it",
  simple(function(q, from) return "\0\0\0\1" .. ip_bytes(from.ip) .. pack(">I2", from.port) .. q end))
kind("behind-icmp", "the request behind what an ICMP message looks like, as a broken proxy gives it", simple(function(q, from)
  return hex "0303 0000 00000000 4500" .. pack(">I2", 28 + #q) .. hex "00000000 4011 0000" .. ip_bytes(from.ip)
    .. ip_bytes "127.1.1.1" .. pack(">I2I2I2I2", from.port, FIRST, 8 + #q, 0) .. q
end))
kind("icmp-text", "a proxy that answers every datagram with ICMP's words",
  simple(function() return "ICMP: destination unreachable (port unreachable)\r\n" end))
local function to_hex(text)
  return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

kind("in-hex", "the request in hex", simple(to_hex))
kind("in-json", "the request's hex in JSON", simple(function(q)
  return ('{"got":"%s","length":%d}'):format(to_hex(q), #q)
end))
kind("in-error", "a line that complains about the request", simple(function(q) return "ERR unknown command: " .. q .. "\r\n" end))
kind("in-http", "a page with the request in it", simple(function(q)
  return ("HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%s"):format(#q, q)
end))
kind("in-syslog", "a line of a log with the request in it",
  simple(function(q) return "<13>Nov 22 12:00:00 host thing: " .. q end))

-- Lengths, ids and lengths ----------------------------------------------------------------------------------------------------

kind("same-length", "noise as long as the request", simple(function(q) if #q > 0 then return random(#q) end end))
kind("zeros-same-length", "zeros as long as the request", simple(function(q) if #q > 0 then return rep("\0", #q) end end))
kind("eleven-random", "11 bytes of noise", simple(function() return random(11) end))
kind("eleven-constant", "11 bytes, the same always", function() local s = random(11) return function() return s end end)
kind("eleven-id", "11 bytes, the id among them", simple(function(q) return q:sub(1, 2) .. random(9) end))
kind("id-length", "the id, the length of the reply, noise: a frame that fits, of nothing", function(i)
  local n, format = ({ 2, 4, 8 })[i % 3 + 1], i % 2 == 0 and ">I2" or "<I2"
  return function(q)
    local size = math.random(1, 60)
    return q:sub(1, n) .. pack(format, n + 2 + size) .. random(size)
  end
end)
kind("length-id", "the length of the reply, the id, noise", function(i)
  local format = i % 2 == 0 and ">I2" or "<I2"
  return function(q)
    local size = math.random(1, 60)
    return pack(format, 6 + size) .. q:sub(1, 4) .. random(size)
  end
end)
kind("id-answer-bits", "the id, the flags of an answer, noise",
  simple(function(q) return q:sub(1, 2) .. "\129\128" .. random(math.random(8, 60)) end))
kind("id-text", "the id, then an error in words", simple(function(q) return q:sub(1, 4) .. "invalid request\0" end))
kind("empty", "an empty datagram", simple(function() return "" end))
kind("one-byte", "one byte, another on each port", function(i) return function() return char(i % 256) end end)
kind("counter", "how many it has answered", function()
  local n = 0
  return function() n = n + 1 return pack(">I4", n) end
end)
kind("unix-time", "the seconds since 1970 behind the id", simple(function(q) return q:sub(1, 2) .. pack(">I4", os.time()) end))
kind("crc", "noise with a checksum of the request, the id in front",
  simple(function(q)
    local sum = 0
    for i = 1, #q do sum = sum + q:byte(i) end
    return q:sub(1, 2) .. pack(">I2", sum & 65535) .. random(12)
  end))

-- Whoever asks, and when ------------------------------------------------------------------------------------------------------

kind("who-am-i", "our address and port as text", simple(function(_, from) return from.ip .. ":" .. from.port .. "\n" end))
kind("who-am-i-binary", "our address and port", simple(function(_, from) return ip_bytes(from.ip) .. pack(">I2", from.port) end))
kind("id-who-am-i", "the id, our address and port: true, and yet no protocol",
  simple(function(q, from) return q:sub(1, 2) .. ip_bytes(from.ip) .. pack(">I2", from.port) end))
kind("id-who-am-i-noise", "the first 8 bytes, our address, noise",
  simple(function(q, from) return q:sub(1, 8) .. ip_bytes(from.ip) .. random(8) end))
kind("nack-foreign", "a Skype NAck with an address that is nobody's of ours", simple(function(q)
  return q:sub(1, 2) .. "\23" .. ip_bytes "10.11.12.13" .. random(4)
end))
kind("nack-moving", "a Skype NAck with another foreign address each time",
  simple(function(q) return q:sub(1, 2) .. "\23" .. "\93" .. random(3) .. random(4) end))
kind("nack-earlier", "a Skype NAck that gives an earlier id back", function()
  local before = random(2)
  return function(q, from)
    local reply = before .. "\23" .. ip_bytes(from.ip) .. random(4)
    before = q:sub(1, 2)
    return reply
  end
end)
kind("nack-first-id", "a Skype NAck that gives the first id back for ever", function()
  local first
  return function(q, from)
    local reply = first and first .. "\23" .. ip_bytes(from.ip) .. random(4)
    first = first or q:sub(1, 2)
    return reply
  end
end)
kind("nack-seed", "a Skype NAck whose last four bytes never change",
  simple(function(q, from) return q:sub(1, 2) .. "\23" .. ip_bytes(from.ip) .. "\116\160\65\240" end))
kind("nack-foreign-constant", "a Skype NAck with a foreign address and a constant tail",
  simple(function(q) return q:sub(1, 2) .. "\23" .. FOREIGN .. "\116\160\65\240" end))
kind("previous", "the request before this one", function()
  local before
  return function(q)
    local reply = before
    before = q
    if reply ~= q then return reply end
  end
end)
kind("previous-client", "what another client asked before, on whatever port", function(_, shared)
  return function(q, from)
    local reply = shared.from ~= from.port and shared.request or nil
    shared.from, shared.request = from.port, q
    if reply ~= q then return reply end
  end
end)
kind("first-ever", "the first request that it saw, for ever", function()
  local first
  return function(q)
    first = first or q
    if first ~= q then return first end
  end
end)
kind("mimic", "an earlier request of the same length with the first bytes of this one", function()
  local before = {}
  return function(q)
    local reply = before[#q]
    before[#q] = q
    if reply and #q > 8 then return q:sub(1, 4) .. reply:sub(5) end
  end
end)
kind("previous-reply", "the right echo, one datagram late and reversed", function()
  local before
  return function(q)
    local reply = before
    before = q:reverse()
    return reply
  end
end)

-- Headers copied, with what makes an answer of a question ---------------------------------------------------------------------

kind("copy-dns", "the request with DNS's answer bit", simple(function(q)
  return with_byte(q, 2, function(b) return b < 128 and b | 128 or b & 127 end)
end))
kind("copy-dns-head", "12 bytes of the request with DNS's answer bit",
  simple(function(q) return #q > 12 and with_byte(q:sub(1, 12), 2, function(b) return b ~ 128 end) or nil end))
kind("copy-dns-refused", "the request with the answer bit and REFUSED", simple(function(q)
  if #q < 12 then return end
  return q:sub(1, 2) .. char((q:byte(3) | 128) & 255, 5) .. q:sub(5)
end))
kind("copy-stun", "the request with STUN's class of success",
  simple(function(q) return with_byte(q, 0, function(b) return b ~ 1 end) end))
kind("copy-stun-head", "20 bytes of the request with STUN's class of success",
  simple(function(q) return #q >= 20 and with_byte(q:sub(1, 20), 0, function(b) return b ~ 1 end) or nil end))
kind("copy-ntp", "the request with NTP's mode of a server",
  simple(function(q) return with_byte(q, 0, function(b) return (b & 0xf8) | (b & 7 == 4 and 3 or 4) end) end))
kind("copy-ntp-origin", "48 bytes with our transmit time in the place of the origin, else zeros", simple(function(q)
  if #q ~= 48 then return end
  return char((q:byte(1) & 0xf8) | 4) .. rep("\0", 23) .. q:sub(41, 48) .. rep("\0", 16)
end))
kind("copy-snmp", "the request with the tag of a response", simple(function(q)
  local at = q:find("[\160\161\165]")
  return at and with_byte(q, at - 1, function() return 0xa2 end) or nil
end))
kind("copy-radius", "the request with the code of an accept", simple(function(q)
  return with_byte(q, 0, function(b) return b == 2 and 3 or 2 end)
end))
kind("copy-radius-head", "20 bytes, the code of an accept, our id, a length, noise", simple(function(q)
  if #q >= 20 then return "\2" .. q:sub(2, 2) .. "\0\20" .. random(16) end
end))
kind("copy-coap", "the request as an acknowledgement", simple(function(q)
  if #q >= 4 then return char(q:byte(1) ~ 0x20, 0x45) .. q:sub(3) end
end))
kind("copy-coap-head", "4 bytes as an acknowledgement, the token, a payload mark", simple(function(q)
  if #q >= 4 then return char((q:byte(1) & 0x0f) | 0x60, 0x84) .. q:sub(3, 4 + (q:byte(1) & 15)) end
end))
kind("copy-rpc", "the request as a reply", simple(function(q)
  if #q >= 8 then return q:sub(1, 4) .. "\0\0\0\1" .. q:sub(9) end
end))
kind("copy-dht", "the query as a response", simple(function(q)
  local reply = q:gsub("1:y1:q", "1:y1:r")
  if reply ~= q then return reply end
end))
kind("copy-ike", "the request with the response flag and a cookie", simple(function(q)
  if #q >= 28 then return q:sub(1, 8) .. random(8) .. q:sub(17, 19) .. char(q:byte(20) ~ 0x20) .. q:sub(21) end
end))
kind("copy-sip", "the request's lines behind a status line", simple(function(q)
  local rest = q:match("^%u+ [^\r\n]* SIP/2.0\r\n(.*)$")
  return rest and "SIP/2.0 200 OK\r\n" .. rest or nil
end))
kind("copy-http", "the request's lines behind a status line of HTTP", simple(function(q)
  local rest = q:match("^[%u-]+ [^\r\n]*\r\n(.*)$")
  return rest and "HTTP/1.1 200 OK\r\n" .. rest or nil
end))
kind("copy-type", "the request with its first byte one up and noise behind the first eight", simple(function(q)
  if #q > 8 then return char((q:byte(1) + 1) & 255) .. q:sub(2, 8) .. random(#q - 8) end
end))
kind("copy-high-bit", "the request with the highest bit of a byte set: another byte on each port", function(i)
  local at = i % 16
  return function(q)
    local reply = with_byte(q, at, function(b) return b | 128 end)
    if reply ~= q then return reply end
  end
end)
kind("copy-direction", "the request with the second 32-bit word changed", function(i)
  return function(q) if #q >= 8 then return q:sub(1, 4) .. pack(">I4", i) .. q:sub(9) end end
end)
kind("copy-header", "the first 8, 12, 16 or 20 bytes with one bit turned, then noise", function(i)
  local n, bit = ({ 8, 12, 16, 20 })[i % 4 + 1], 1 << (i // 4 % 8)
  return function(q)
    if #q > n then return with_byte(q:sub(1, n), i // 32 % n, function(b) return b ~ bit end) .. random(16) end
  end
end)

-- Ways of answering -----------------------------------------------------------------------------------------------------------

kind("silent", "a log that says nothing", simple(function() end), { state = "open|filtered" })
kind("echo-twice", "the request, in two datagrams", simple(function(q) return q, q end), { may = { "echo" } })
kind("echo-and-noise", "noise, then the request", simple(function(q) return random(20), q end), { may = { "echo" } })
kind("burst", "five datagrams of noise for one",
  simple(function() return random(9), random(40), random(3), random(200), random(1) end))
kind("echo-elsewhere", "the request, from another port", simple(function(q) return { q, elsewhere = true } end),
  { may = { "echo" } })
kind("noise-elsewhere", "noise, from another port", simple(function() return { random(40), elsewhere = true } end))
kind("every-other", "an echo of every other datagram, noise else", function()
  local n = 0
  return function(q)
    n = n + 1
    return n % 2 == 0 and q or random(30)
  end
end, { may = { "echo" } })
kind("turning", "another way of answering for each datagram", function()
  local n = 0
  return function(q)
    n = n + 1
    local way = n % 4
    if way == 0 then return q:sub(1, 2) .. random(20) end
    if way == 1 then return q:reverse() end
    if way == 2 then return with_byte(q, 2, function(b) return b ~ 128 end) end
    return rep("\0", #q)
  end
end)

-----------------------------------------------------------------------------------------------------------------------------

local other

local function open(host, port, answer)
  local socket = uv.new_udp()
  assert(socket:bind(host, port))
  local function send(reply, from)
    if reply == nil then return end
    if type(reply) == "table" then
      if not other then
        other = uv.new_udp()
        assert(other:bind("0.0.0.0", 0))
      end
      other:try_send(reply[1], from.ip, from.port)
    else
      socket:try_send(reply, from.ip, from.port)
    end
  end
  socket:recv_start(function(err, data, from)
    if err or not from then return end
    local replies = table.pack(answer(data or "", from))
    for i = 1, replies.n do send(replies[i], from) end
  end)
  return socket
end

local function describe(one, count)
  return json.encode { name = one.name, why = one.why, host = ("127.1.%d.1"):format(one.number), first = FIRST,
    last = FIRST + count - 1, is = one.truth.is or "", may = one.truth.may or {}, counted = one.counted,
    state = one.truth.state or "open" }
end

local function main()
  if arg[1] == "--list" then
    for _, one in ipairs(kinds) do print(describe(one, 1)) end
    return 0
  end
  local count = math.tointeger(tonumber(arg[1] or ""))
  if not count or count < 1 then
    io.stderr:write("usage: crowd.lua COUNT [KIND...] | --list\n")
    return 2
  end
  local chosen = {}
  for i = 2, #arg do
    if not by_name[arg[i]] then
      io.stderr:write("crowd.lua: no such kind: ", arg[i], "\n")
      return 2
    end
    chosen[#chosen + 1] = by_name[arg[i]]
  end
  if #chosen == 0 then chosen = kinds end
  local sockets = {}
  for _, one in ipairs(chosen) do
    local shared = {}
    for i = 1, count do
      sockets[#sockets + 1] = open(("127.1.%d.1"):format(one.number), FIRST + i - 1, one.make(i, shared))
    end
    print(describe(one, count))
  end
  print(json.encode { ready = #chosen })
  io.stdout:flush()
  local stdin = uv.new_pipe(false)
  stdin:open(0)
  stdin:read_start(function(err, data) if err or not data then os.exit(0) end end)
  uv.run()
  return 0
end

os.exit(main())
