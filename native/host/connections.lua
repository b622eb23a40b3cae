--- Recorded TCP connections, played again: each on a connection of its own, in the turns in which it was spoken.
-- @module host.connections

local core = require "mynah_core"

local connections = {}

local QUIET = 0.05  -- seconds without a byte after which the peer has had its say
local CHUNK = 65536 -- bytes of one receive
local KEPT = 1 << 20 -- bytes of one answer

local Connection = {}
Connection.__index = Connection

--- A connection to be.
-- @param engine of mynah_core
-- @param payloads of one recorded connection, in order: `data`, `at` (seconds), `turn` (the server spoke before it)
-- @param options table: `ip`, `port`, `timeout` seconds for each turn, `base_ns`, `wire` of host.wire or one like it
-- @return connection, whose `id` is the engine's; or nil and a message
function connections.open(engine, payloads, options)
  local id, message = engine:tcp {
    host = options.ip, port = options.port, timeout = options.timeout,
    start_ns = options.base_ns + math.floor(payloads[1].at * 1e9),
  }
  if not id then return nil, message end
  return setmetatable({
    engine = engine, id = id, payloads = payloads, wire = options.wire, timeout = options.timeout,
    base = options.base_ns / 1e9, sent = 0,
  }, Connection)
end

local function now() return core.now_ns() / 1e9 end

-- The payload that the peer answers now; nil: it speaks first.
function Connection:last() return self.payloads[self.sent] end

local function settle(p, state, reason)
  if not p.state then p.state, p.reason = state, reason end
  p.over = true
end

-- The connection is over, for a reason of nmap's words; what was not sent never will be.
function Connection:finish(state, reason)
  for i, p in ipairs(self.payloads) do
    if i < self.sent then
      settle(p, "silent", "no-response")
    elseif i == self.sent then
      settle(p, state, reason)
    else
      settle(p, state == "refused" and "refused" or "unsent", reason)
    end
  end
  if not self.over then self.engine:cancel(self.id) end
  self.over = true
end

function Connection:send(p)
  if not self.engine:send(self.id, p.data) then return self:finish("reset", "reset") end
  local before = self:last()
  if before then settle(before, "silent", "no-response") end
  self.sent, self.heard = self.sent + 1, false
  self.turn_began = now()
  p.sent_ns, p.left = math.floor(core.unix() * 1e9), true
  self.wire:sent(p, { my = self.my, my_port = self.my_port, sent_ns = p.sent_ns, connection = self })
end

-- When the next payload leaves at the latest: its time in the plan, or, where it answers the peer, once the peer was heard.
function Connection:due(p)
  local planned = self.base + p.at
  if not p.turn then return planned end
  if self.heard then return math.max(planned, self.heard + QUIET) end
  return math.max(planned, self.turn_began + self.timeout)
end

-- Send what is due, then listen until something is.
function Connection:go_on()
  while not self.over do
    local p = self.payloads[self.sent + 1]
    local due = p and self:due(p) or self.turn_began + self.timeout
    local left = due - now()
    if left > 0 then
      if not self.engine:receive(self.id, CHUNK, left) then self:finish("reset", "reset") end
      return
    elseif not p then
      return self:finish("silent", "no-response")
    end
    self:send(p)
  end
end

-- More of the answer to the last payload; what comes before any is the peer's own.
function Connection:take(event)
  local p = self:last()
  self.wire:heard(self.payloads[1], { my = self.my, my_port = self.my_port, data = event.data, connection = self,
    received_ns = event.received_ns or math.floor(core.unix() * 1e9) })
  self.heard = now()
  if not p then return end
  p.state, p.reason = "answered", "data"
  p.replies = p.replies or { { data = "", received_ns = event.received_ns or math.floor(core.unix() * 1e9) } }
  local reply = p.replies[1]
  if #reply.data < KEPT then reply.data = reply.data .. event.data end
end

--- What happened to it.
-- @param event of the engine: "open", "data", "eof", "timeout", "end"
function Connection:on_event(event)
  if self.over then return end
  if event.kind == "open" then
    self.turn_began, self.my, self.my_port = now(), event.my, event.my_port
  elseif event.kind == "data" then
    self:take(event)
  elseif event.kind == "eof" then
    return self:finish("closed", "the peer closed")
  elseif event.kind == "end" then
    self.over = true
    local reason = event.reason == "error" and event.error or event.reason
    return self:finish(self.turn_began and "reset" or "refused", reason)
  end
  self:go_on()
end

return connections
