--- What a replay sends and hears, kept as a capture.
-- @module host.wire

local core = require "mynah_core"

local wire = {}

local Wire = {}
Wire.__index = Wire

--- Begin a capture.
-- @param path of the file, which is replaced
-- @param target table: `ip`, `port`
-- @return wire; or nil and a message
function wire.open(path, target)
  local writer, message = core.capture_writer(path)
  if not writer then return nil, message end
  return setmetatable({ path = path, writer = writer, target = target, here = core.local_address(target.ip) }, Wire)
end

-- The numbers of a TCP connection's next byte of this side and of the other; this one moves on.
local function sequence(connection, side, data)
  if not connection then return nil end
  connection.numbers = connection.numbers or { sent = 1, heard = 1 }
  local n = connection.numbers[side]
  connection.numbers[side] = n + #data
  return n & 0xffffffff, connection.numbers[side == "sent" and "heard" or "sent"] & 0xffffffff
end

--- A payload left.
-- @param p payload
-- @param event `my`, `my_port`, `sent_ns`; `connection`, a table of the TCP connection
function Wire:sent(p, event)
  local seq, ack = sequence(event.connection, "sent", p.data)
  self.writer:write {
    transport = p.transport, from = event.my or self.here, from_port = event.my_port, to = self.target.ip,
    to_port = self.target.port, time_ns = event.sent_ns or math.floor(core.unix() * 1e9), data = p.data,
    seq = seq, ack = ack,
  }
end

--- Something came.
-- @param p payload of the flow
-- @param event `data`, `my`, `my_port`, `from`, `from_port`, `received_ns`, `connection`
function Wire:heard(p, event)
  local seq, ack = sequence(event.connection, "heard", event.data)
  self.writer:write {
    transport = p.transport, from = event.from or self.target.ip, from_port = event.from_port or self.target.port,
    to = event.my or self.here, to_port = event.my_port, data = event.data,
    time_ns = event.received_ns or math.floor(core.unix() * 1e9), seq = seq, ack = ack,
  }
end

--- End the capture.
-- @return true; or nil and a message where not all of it could be written
function Wire:close()
  local ok, message = self.writer:close()
  if ok then return true end
  return nil, self.path .. ": " .. message
end

return wire
