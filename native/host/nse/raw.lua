--- What NSE scripts send past the system's own sockets: nmap.new_dnet, whole frames and whole IP packets.
-- @module host.nse.raw

local core = require "mynah_core"
local host = require "mynah_host"

local raw = {}

local ETHERNET = 14 -- bytes of its header

local Dnet = {}
Dnet.__index = Dnet

local function check_bytes(value)
  if type(value) == "string" then return value end
  error(("bad argument #2 to '?' (string expected, got %s)"):format(value == nil and "no value" or type(value)), 0)
end

local function interface_of(device)
  for _, interface in ipairs(host.interfaces()) do
    if interface.device == device then return interface end
  end
end

-- The version of a packet, and the address that it goes to.
local function read_packet(packet)
  local version = #packet >= 20 and packet:byte(1) >> 4
  if version == 4 then return 4, ("%d.%d.%d.%d"):format(packet:byte(17, 20)) end
  if version == 6 and #packet >= 40 then
    return 6, ("%x:%x:%x:%x:%x:%x:%x:%x"):format((">I2I2I2I2I2I2I2I2"):unpack(packet, 25))
  end
  error("can't parse ip packet", 0)
end

-- Wait until a packet may leave, headers and all.
local function take_time(self, ip, packet)
  if self.shared.turn then self.shared.turn("datagram", ip, math.max(0, #packet - 28)) end
end

--- Open an interface for whole frames: one that has such.
-- @return true
-- @raise where that cannot be done
function Dnet:ethernet_open(device)
  local interface = interface_of(check_bytes(device))
  if not interface or interface.link ~= "ethernet" then
    error("bad argument #2 to '?' (device is not valid ethernet interface)", 0)
  end
  self:ethernet_close()
  local sender, message = host.frames(device)
  if not sender then error(("cannot open %s for frames: %s"):format(device, message), 0) end
  self.frames = sender
  return true
end

--- @return true; nil and a message
function Dnet:ethernet_send(frame)
  if not self.frames then error("dnet ethernet interface is not open", 0) end
  local is_ip, _, ip = pcall(read_packet, check_bytes(frame):sub(ETHERNET + 1))
  if is_ip then take_time(self, ip, frame:sub(ETHERNET + 1)) end
  if not self.frames then error("dnet ethernet interface is not open", 0) end
  return self.frames:send(frame)
end

function Dnet:ethernet_close()
  if self.frames then self.frames:close() end
  self.frames = nil
  return true
end

--- Open for whole IP packets.
-- @return true
-- @raise where that cannot be done
function Dnet:ip_open()
  self:ip_close()
  local sender, message = host.packets(4)
  if not sender then error(("cannot open a raw socket: %s"):format(message), 0) end
  self.packets = { [4] = sender }
  return true
end

--- Send a packet.
-- @param packet IP header and all behind it
-- @param target a host's table, or an address; nil: where the packet says
-- @return true; nil and a message
function Dnet:ip_send(packet, target)
  if not self.packets then error("raw socket not open to send", 0) end
  local family, ip = read_packet(check_bytes(packet))
  if type(target) == "table" then target = target.ip or target.targetname end
  if target and core.family(target) == family then ip = target end
  local message
  take_time(self, ip, packet)
  if not self.packets then error("raw socket not open to send", 0) end
  if not self.packets[family] then self.packets[family], message = host.packets(family) end
  if not self.packets[family] then return nil, message end
  return self.packets[family]:send(packet, ip)
end

--- @return true; false and a message where it is closed
function Dnet:ip_close()
  if not self.packets then return false, "raw socket already closed" end
  for _, sender in pairs(self.packets) do sender:close() end
  self.packets = nil
  return true
end

--- @param shared what the sockets of a run share
-- @return an object as nmap.new_dnet gives it
function raw.new(shared) return setmetatable({ shared = shared }, Dnet) end

return raw
