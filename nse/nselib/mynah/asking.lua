--- One UDP port that is being asked: its open exchanges, what it said, and how much was sent. Knows no protocol.
-- @module mynah.asking

local plan = require "mynah.plan"

local asking = {}

local A = {}
A.__index = A

local NOTES = 12         -- lines of evidence about what did not match
local DEAD_AFTER = 3     -- ICMP errors after replies: whoever answered is gone
local DEAD_PAUSE = 0.3   -- seconds of rest after each of them
local KEPT_REPLIES = 64  -- that wait to be judged while a conversation goes on
-- Ports of ours that a datagram may name: below those that the system gives to others.
local OWN_PORTS, OWN_COUNT = 20000, 12000

--- Begin.
-- @param t transport
-- @param target table: `host` numeric address, `port`
-- @param sigs set of mynah.signatures
-- @param opts as mynah.udp takes them; `pace` of mynah.pace
-- @return the port
function asking.new(t, target, sigs, opts)
  local self = setmetatable({
    t = t, host = target.host, port = target.port, sigs = sigs, pace = opts.pace, public_ip = opts.public_ip,
    timeout = opts.timeout, attempts = opts.attempts, random = opts.random, unix = opts.unix,
    inbox = t:inbox(), open = {}, scheduled = {}, evidence = {}, waiting = {}, unreached = 0,
    sent = 0, received = 0, datagrams_sent = 0, datagrams_received = 0, rest_until = 0, began = t:now(),
  }, A)
  self.plan = plan.new(sigs:probes("udp", target.port, opts.only), { most = opts.max_probes, attempts = opts.attempts,
    timeout = opts.timeout })
  self.my = t:local_address(target.host)
  return self
end

--- Stop listening, to everything.
function A:close()
  for x in pairs(self.open) do self:drop(x) end
  self.pace:sends(self, nil)
  self.inbox:close()
end

--- A line for people who ask why nothing was named.
function A:note(line)
  if #self.evidence < NOTES then self.evidence[#self.evidence + 1] = line end
end

--- Draw a probe. Some protocols say the sender's port in the datagram: then it must be known before.
-- @param name of a signature
-- @param tells_port it does so: a port is drawn
-- @return bytes, and the port that it must leave from, or nil; or nil and a message
function A:compose(name, tells_port)
  local port = tells_port and OWN_PORTS + ("<I2"):unpack(self.random(2)) % OWN_COUNT or nil
  local bytes, message = self.sigs:compose(name, { my = self.my, my_port = port, peer = self.host, peer_port = self.port })
  if not bytes then return nil, message end
  return bytes, port
end

-- Sending ------------------------------------------------------------------------------------------------

local function close_exchange(x) x.of:drop(x) end

--- Send a datagram. The budget is the caller's business.
-- @param payload bytes
-- @param opts table: `at` when (now), `local_port`
-- @return an exchange, or nil: then self.failure says why
function A:submit(payload, opts)
  local x, why = self.inbox:send(self.host, self.port, payload, {
    timeout = 4 * self.timeout + 60, at = opts and opts.at, local_port = opts and opts.local_port,
  })
  if not x then
    self.failure = self.failure or why
    return nil
  end
  x.of, x.close, x.at, x.local_port = self, close_exchange, opts and opts.at or self.t:now(), opts and opts.local_port
  self.open[x] = true
  self.pace:opened(x)
  if self.pace.held then self:await_sent(x) end
  return x
end

--- Stop listening to an exchange. Also called where another port needs its socket.
function A:drop(x)
  if x.closed then return end
  x.closed = true
  self.open[x] = nil
  pcall(self.inbox.drop, self.inbox, x) -- the engine of a script that was killed is closed already
  self.pace:closed(x)
end

--- Note a probe that is handed over early, so that it can be held back.
function A:schedule(x)
  if x.at <= self.t:now() then return end
  local list = {}
  for _, old in ipairs(self.scheduled) do
    if not old.sent and not old.closed then list[#list + 1] = old end
  end
  list[#list + 1] = x
  self.scheduled = list
end

--- Hold back what was handed over early and has not left yet: a server that is being confirmed is not flooded.
function A:hold()
  local now = self.t:now()
  for i = #self.scheduled, 1, -1 do
    local x = self.scheduled[i]
    if not x.sent and not x.closed and x.at > now + 0.002 then
      self:drop(x)
      self.pace:give_back(x.at)
      self.plan:unsent(x.step)
    end
  end
  self.scheduled = {}
  if self.slot then self.pace:give_back(self.slot) end
  self.slot = nil
  self.pace:sends(self, nil)
end

-- Hearing ------------------------------------------------------------------------------------------------

local function take_sent(self, x)
  x.sent = true
  self.sent = self.sent + #x.payload
  self.datagrams_sent = self.datagrams_sent + 1
end

local function take_reply(self, event, x)
  if not x.sent then take_sent(self, x) end
  self.received = self.received + #event.data
  self.datagrams_received = self.datagrams_received + 1
  event.request, event.x = x.payload, x
  if not self.first then
    self.first = event
    self.rtt = event.rtt
  end
  self.heard_at = self.t:now()
  -- What a peer repeats of itself later says nothing of the way.
  if event.rtt and not x.heard then self.slowest = math.max(self.slowest or 0, event.rtt) end
  x.heard = true
end

-- Before any reply an ICMP error settles the port. After one, the server has gone, for a moment or for good.
local function take_icmp(self, event)
  if not self.first then
    self.icmp = self.icmp or { reason = event.reason, from = event.from }
    self.over = true
    return
  end
  self.unreached = self.unreached + 1
  self.rest_until = math.max(self.rest_until, self.t:now() + DEAD_PAUSE * self.unreached)
  if self.unreached == 1 then self:note(("answered, and then %s"):format(event.reason)) end
  if self.unreached >= DEAD_AFTER then self.over = true end
end

local function take_end(self, event, x)
  x.closed = true
  self.open[x] = nil
  self.pace:closed(x)
  if event.reason == "error" then self.failure = self.failure or "error: " .. tostring(event.error) end
  if not x.sent and event.reason ~= "no-response" and event.reason ~= "udp-response" and not self.first then
    self.icmp = self.icmp or { reason = event.reason }
    self.over = event.reason ~= "error" or self.datagrams_sent == 0 and not x.local_port
  end
end

-- One event. Returns it where it is a reply.
local function take(self, event, x)
  if event.kind == "reply" then
    take_reply(self, event, x)
    return event
  elseif event.kind == "sent" then
    take_sent(self, x)
  elseif event.kind == "icmp" then
    take_icmp(self, event)
  elseif event.kind == "end" then
    take_end(self, event, x)
  end
end

--- The next reply, of any exchange; those that were kept come first.
-- @param deadline
-- @return an event with `request` and `x`, its exchange; nil at the deadline, or where the port is over
function A:next_reply(deadline)
  if self.waiting[1] then return table.remove(self.waiting, 1) end
  while not self.over do
    local event, x = self.inbox:next(deadline)
    if not event then return nil end
    local reply = take(self, event, x)
    if reply then return reply end
  end
end

--- Keep a reply, if it is one, for whoever asks for it later.
function A:keep(reply)
  if reply and #self.waiting < KEPT_REPLIES then table.insert(self.waiting, reply) end
end

--- The next reply to one of these exchanges; what the others get is kept.
-- @param mine set of exchanges
-- @param deadline
-- @return as next_reply
function A:next_reply_of(mine, deadline)
  for i, reply in ipairs(self.waiting) do
    if mine[reply.x] then return table.remove(self.waiting, i) end
  end
  while not self.over do
    local event, x = self.inbox:next(deadline)
    if not event then return nil end
    local reply = take(self, event, x)
    if reply and mine[x] then return reply end
    self:keep(reply)
  end
end

--- Where limits may hold a datagram up, silence only counts from when it left.
function A:await_sent(x)
  while not (x.sent or x.closed or self.over) do
    local event, other = self.inbox:next()
    if not event then return end
    self:keep(take(self, event, other))
  end
end

--- A reply and its request as mynah_core takes them.
function A:pair_of(event)
  return {
    request = event.request, reply = event.data, my = event.my, my_port = event.my_port, peer = self.host,
    peer_port = self.port, from = event.from, from_port = event.from_port, public_ip = self.public_ip, time = self.unix(),
    rtt = event.rtt,
  }
end

return asking
