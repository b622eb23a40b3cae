--- Send recorded payloads at a target and say which reply answers which.
-- @module host.replaying

local connections = require "host.connections"
local core = require "mynah_core"
local fail = require "host.fail"
local session = require "host.session"

local replaying = {}

local LEAD = 0.02     -- seconds between the plan and the first datagram
local AHEAD = 0.5     -- seconds that a payload is given to the engine before its time
local OPEN_MAX = 2048 -- exchanges open at once
local RECENT = 1024   -- payloads of a client that a reply may answer

-- When each payload leaves, in seconds from the first.
local function plan(payloads, pace)
  for i, p in ipairs(payloads) do
    if pace == "burst" then
      p.at = 0
    elseif pace == "recorded" then
      p.at = p.time
    else
      p.at = (i - 1) / pace
    end
  end
end

-- The bytes of a payload that came back.
local function echo_of(p, data)
  local length, from, to = core.echo(p.data, data)
  return length and { length = length, request_offset = from, reply_offset = to } or nil
end

-- The payload that a reply answers: of those its client had sent by then, the one it repeats the longest run of;
-- a run that stands where it stood counts before one that moved, then the later payload.
local function attribute(sent, data, received_ns)
  local best, best_score, best_echo
  for i = math.max(1, #sent - RECENT + 1), #sent do
    local p = sent[i]
    if not (p.sent_ns and received_ns and p.sent_ns > received_ns) then
      local echo = echo_of(p, data)
      local score = echo and echo.length * 2 + (echo.request_offset == echo.reply_offset and 1 or 0) or 0
      if not best or score >= best_score then best, best_score, best_echo = p, score, echo end
    end
  end
  return best, best_echo
end

local Replay = {}
Replay.__index = Replay

-- A TCP connection with all its payloads, once the first of them is due.
function Replay:connect(p)
  local list = self.streams[p.flow]
  if list[1] ~= p then return end
  local c, message = connections.open(self.engine, list, self)
  if c then
    self.by_id[c.id] = c
    self.open = self.open + 1
    return
  end
  for _, each in ipairs(list) do each.state, each.reason, each.over = "unsent", message, true end
end

function Replay:submit(p)
  if p.transport == "tcp" then return self:connect(p) end
  local id, message = self.engine:udp {
    host = self.ip, port = self.port, payloads = { p.data }, timeout = self.timeout, flow = p.flow,
    start_ns = self.base_ns + math.floor(p.at * 1e9), report_sent = true,
  }
  if not id then
    p.state, p.reason, p.over = "unsent", message, true
    return
  end
  self.by_id[id] = p
  self.open = self.open + 1
  local sent = self.sent[p.flow] or {}
  self.sent[p.flow] = sent
  sent[#sent + 1] = p
end

function Replay:on_reply(event, p)
  self.wire:heard(p, event)
  local answered, echo = attribute(self.sent[p.flow], event.data, event.received_ns)
  answered = answered or p
  local reply = {
    data = event.data, from = event.from, from_port = event.from_port, received_ns = event.received_ns, echo = echo,
  }
  if answered.over then
    answered.late = (answered.late or 0) + 1
    self.late = self.late + 1
    return
  end
  answered.state, answered.reason = "answered", event.reason or "udp-response"
  answered.replies = answered.replies or {}
  table.insert(answered.replies, reply)
end

function Replay:on_event(event)
  local p = self.by_id[event.id]
  if not p then return end
  if p.on_event then
    p:on_event(event)
    if not p.over then return end
    self.by_id[event.id] = nil
    self.open = self.open - 1
  elseif event.kind == "sent" then
    p.sent_ns = event.sent_ns or p.sent_ns
    self.wire:sent(p, event)
    p.left = true
  elseif event.kind == "reply" then
    self:on_reply(event, p)
  elseif event.kind == "icmp" then
    if p.state ~= "answered" then p.state, p.reason = "refused", event.reason end
  elseif event.kind == "end" then
    self.by_id[event.id] = nil
    self.open = self.open - 1
    p.over = true
    if not p.state then
      local failed = not p.left and event.reason ~= "no-response" and event.reason ~= "udp-response"
      p.state, p.reason = failed and "unsent" or "silent", failed and (event.error or event.reason) or "no-response"
    end
  end
end

-- Give the engine what is due soon; returns seconds until the next is, or nil.
function Replay:feed()
  local now = core.now_ns()
  while self.next <= #self.payloads and self.open < OPEN_MAX do
    local p = self.payloads[self.next]
    local due = (self.base_ns + p.at * 1e9 - now) / 1e9 - AHEAD
    if due > 0 then return due end
    self:submit(p)
    self.next = self.next + 1
  end
end

-- Tell of payloads that are settled, in their order.
function Replay:tell()
  while self.told < #self.payloads and self.payloads[self.told + 1].over do
    self.told = self.told + 1
    local p = self.payloads[self.told]
    for _, reply in ipairs(p.replies or {}) do
      if p.transport == "tcp" then reply.echo = echo_of(p, reply.data) end
      if p.sent_ns and reply.received_ns then reply.rtt = (reply.received_ns - p.sent_ns) / 1e9 end
    end
    self.on_payload(p)
  end
end

-- The payloads of each TCP connection.
local function streams_of(payloads)
  local streams = {}
  for _, p in ipairs(payloads) do
    if p.transport == "tcp" then
      streams[p.flow] = streams[p.flow] or {}
      table.insert(streams[p.flow], p)
    end
  end
  return streams
end

-- Nothing is kept of what goes over the wire.
local NO_WIRE = { sent = function() end, heard = function() end }

--- Replay.
-- @param payloads as mynah.recorded gives them; each gets `state` ("answered", "refused", "silent", "unsent"; TCP: "reset" and
-- "closed", which is closed without an answer, too), `reason`, `sent_ns` (unix) and `replies`, an array of { data=, from=,
-- from_port=, rtt=seconds or nil, echo={ length=, request_offset=, reply_offset= } or nil }
-- @param options table: `ip`, `port`, `pace` ("recorded", "burst" or payloads a second), `timeout` seconds, `on_payload`, a
-- function called with each payload, in order, once it is settled; `on_progress`, one (sent, of); `wire`, of host.wire, or nil
-- @return count of replies that came later than the timeout allows
-- @raise exit status 3, or 128 and the signal
function replaying.run(payloads, options)
  plan(payloads, options.pace)
  local engine, wait, interrupted = session.engine { rate = 1000000, max_exchanges = 2 * OPEN_MAX }
  local self = setmetatable({
    engine = engine, ip = options.ip, port = options.port, timeout = options.timeout, payloads = payloads,
    on_payload = options.on_payload, by_id = {}, sent = {}, open = 0, next = 1, told = 0, late = 0,
    streams = streams_of(payloads), wire = options.wire or NO_WIRE,
    base_ns = core.now_ns() + math.floor(LEAD * 1e9),
  }, Replay)
  while self.told < #payloads do
    local pause = self:feed()
    local _, message = engine:step()
    if message then fail.run("%s", message) end
    local event = engine:next()
    while event do
      self:on_event(event)
      event = engine:next()
    end
    self:tell()
    options.on_progress(self.next - 1, #payloads)
    if self.told < #payloads and wait(engine, pause) == "interrupt" then break end
  end
  engine:close()
  if interrupted() then fail.interrupted(interrupted()) end
  return self.late
end

return replaying
