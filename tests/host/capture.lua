-- Writes captures (pcap, Ethernet, IPv4, UDP and TCP) for tests.

local capture = {}

local function address(text)
  local a, b, c, d = text:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  return string.char(a, b, c, d)
end

local sequence = {} -- next number of each direction of a TCP connection

local function tcp_header(p)
  local key = table.concat({ p.from or "", p.from_port or 0, p.to or "", p.to_port or 0 }, " ")
  local seq = sequence[key] or 1000
  sequence[key] = seq + #p.data + (p.syn and 1 or 0)
  return string.pack(">I2I2I4I4BBI2I2I2", p.from_port or 40000, p.to_port or 33333, seq, 1, 0x50, p.syn and 0x02 or 0x18,
    65535, 0, 0)
end

local function frame(p)
  local udp = not p.tcp and string.pack(">I2I2I2I2", p.from_port or 40000, p.to_port or 33333, 8 + #p.data, 0)
  local segment = (udp or tcp_header(p)) .. p.data
  local ip = string.pack(">BBI2I2I2BBI2c4c4", 0x45, 0, 20 + #segment, 0, 0, 64, p.tcp and 6 or 17, 0,
    address(p.from or "192.168.0.19"), address(p.to or "10.0.0.1"))
  return ("\0"):rep(12) .. "\8\0" .. ip .. segment
end

--- A capture's bytes.
-- @param packets array of { data=, tcp=true or nil, syn=true or nil, from=, from_port=, to=, to_port=, time=seconds (default:
-- 10 ms after the one before),
-- kept=bytes of the frame that the capture holds (default: all) }
function capture.write(packets)
  local parts = { string.pack("<I4I2I2i4I4I4I4", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1) }
  local time = 1700000000.0
  sequence = {}
  for _, p in ipairs(packets) do
    time = p.time and 1700000000.0 + p.time or time + 0.01
    local f = frame(p)
    parts[#parts + 1] = string.pack("<I4I4I4I4", math.floor(time), math.floor((time % 1) * 1e6), math.min(p.kept or #f, #f), #f)
      .. f:sub(1, p.kept)
  end
  return table.concat(parts)
end

return capture
