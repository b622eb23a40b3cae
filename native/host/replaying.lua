--- Send recorded payloads at a target and say which reply answers which.
-- @module host.replaying

local connections = require "host.connections"
local core = require "mynah_core"
local fail = require "host.fail"
local session = require "host.session"

local replaying = {}

local LEAD = 0.02     -- seconds between the plan and the first datagram
local SPIN = 0.001    -- seconds before its time from which the engine watches the clock
local TOGETHER = 3e5  -- ns within which payloads are given to the engine at once
local HICCUP = 2e4    -- ns by which a payload may leave later than usual; more, and those after it keep their distance from it
local TELLING = 2e6   -- ns that telling of a payload may take
local TOLD_AT_ONCE = 8
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

-- A TCP connection with all its payloads, with the first of them; true where it was begun.
function Replay:connect(p)
  local list = self.streams[p.flow]
  if list[1] ~= p then return false end
  local c, message = connections.open(self.engine, list, self)
  if c then
    self.by_id[c.id] = c
    self.open = self.open + 1
    return true
  end
  for _, each in ipairs(list) do each.state, each.reason, each.over = "unsent", message, true end
  return false
end

-- True where the engine has something to do at the payload's time.
function Replay:submit(p)
  if p.transport == "tcp" then return self:connect(p) end
  local id, message = self.engine:udp {
    host = self.ip, port = self.port, payloads = { p.data }, timeout = self.timeout, flow = p.flow,
    start_ns = self.base_ns + math.floor(p.at * 1e9), report_sent = true,
  }
  if not id then
    p.state, p.reason, p.over = "unsent", message, true
    return false
  end
  self.by_id[id] = p
  self.open = self.open + 1
  local sent = self.sent[p.flow] or {}
  self.sent[p.flow] = sent
  sent[#sent + 1] = p
  return true
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

function Replay:due_ns(p) return self.base_ns + math.floor(p.at * 1e9) end

-- Give the engine what comes next, once nothing is awaited: one payload, or those that leave almost together.
function Replay:feed()
  if self.awaited then return end
  local first
  while self.next <= #self.payloads and self.open < OPEN_MAX do
    local p = self.payloads[self.next]
    local due = self:due_ns(p)
    if first and due > first + TOGETHER then return end
    if self:submit(p) then first, self.awaited = first or due, due end
    self.next = self.next + 1
  end
end

-- Right after a step. Where the machine held us up, what comes later is put off by as much: one gap is wrong then, while a burst
-- that makes good for it would spoil many.
function Replay:keep_distance()
  local late = self.awaited and core.now_ns() - self.awaited or -1
  if late < 0 then return end
  self.awaited = nil
  local beyond = late - self.usual
  if beyond > HICCUP then self.base_ns = self.base_ns + math.floor(beyond) end
  self.usual = self.usual + math.min(beyond, HICCUP) / 8
end

-- Whether there is time to tell of a payload before the next one is due.
function Replay:has_time() return not self.awaited or self.awaited - core.now_ns() > TELLING end

-- Tell of payloads that are settled, in their order, a few at a time. What is written keeps no payload waiting: it has its time
-- between them, or after all. True where there is more to tell.
function Replay:tell()
  for _ = 1, TOLD_AT_ONCE do
    if self.told == #self.payloads or not self.payloads[self.told + 1].over or not self:has_time() then return false end
    self.told = self.told + 1
    local p = self.payloads[self.told]
    for _, reply in ipairs(p.replies or {}) do
      if p.transport == "tcp" then reply.echo = echo_of(p, reply.data) end
      if p.sent_ns and reply.received_ns then reply.rtt = (reply.received_ns - p.sent_ns) / 1e9 end
    end
    self.on_payload(p)
  end
  return true
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
  local engine, wait, interrupted = session.engine { rate = 1000000, max_exchanges = 2 * OPEN_MAX, spin = SPIN }
  local self = setmetatable({
    engine = engine, ip = options.ip, port = options.port, timeout = options.timeout, payloads = payloads,
    on_payload = options.on_payload, by_id = {}, sent = {}, open = 0, next = 1, told = 0, usual = 0, late = 0,
    streams = streams_of(payloads), wire = options.wire or NO_WIRE,
    base_ns = core.now_ns() + math.floor(LEAD * 1e9),
  }, Replay)
  self:feed()
  while self.told < #payloads do
    local _, message = engine:step()
    if message then fail.run("%s", message) end
    self:keep_distance()
    self:feed()
    local event = engine:next()
    while event do
      self:on_event(event)
      event = engine:next()
    end
    local more = self:tell()
    options.on_progress(self.next - 1, #payloads)
    if self.told < #payloads and wait(engine, more and 0 or nil) == "interrupt" then break end
  end
  self.awaited = nil -- after Ctrl-C what is settled is told
  while self:tell() do end
  engine:close()
  if interrupted() then fail.interrupted(interrupted()) end
  return self.late
end

return replaying
