-- Writes captures (pcap, Ethernet, IPv4, UDP) for tests.

local capture = {}

local function address(text)
  local a, b, c, d = text:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  return string.char(a, b, c, d)
end

local function frame(p)
  local udp = string.pack(">I2I2I2I2", p.from_port or 40000, p.to_port or 33333, 8 + #p.data, 0) .. p.data
  local ip = string.pack(">BBI2I2I2BBI2c4c4", 0x45, 0, 20 + #udp, 0, 0, 64, 17, 0, address(p.from or "192.168.0.19"),
    address(p.to or "10.0.0.1"))
  return ("\0"):rep(12) .. "\8\0" .. ip .. udp
end

--- A capture's bytes.
-- @param packets array of { data=, from=, from_port=, to=, to_port=, time=seconds (default: 10 ms after the one before) }
function capture.write(packets)
  local parts = { string.pack("<I4I2I2i4I4I4I4", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1) }
  local time = 1700000000.0
  for _, p in ipairs(packets) do
    time = p.time and 1700000000.0 + p.time or time + 0.01
    local f = frame(p)
    parts[#parts + 1] = string.pack("<I4I4I4I4", math.floor(time), math.floor((time % 1) * 1e6), #f, #f) .. f
  end
  return table.concat(parts)
end

return capture
