--- What is known about one TCP port while it is asked: its connections, what each question brought, notes for the
-- evidence, weaker ideas. Shared by the functions that run at once; nothing here decides anything.
--
-- Fields that the others read and write: `facts` (question -> { sent, bytes, status, failed, … }), `listener` (the connection
-- that only listens), `heard` (what the peer said first), `spoke` (it said anything), `hold` (somebody talks with it: ask
-- nothing new), `over` (a verdict stands: stop).
-- @module mynah.case

local http = require "mynah.http"
local signatures = require "mynah.signatures"
local text = require "mynah.text"

local case = {}

local Case = {}
Case.__index = Case

local BUSY_PAUSES = { 0.2, 0.5 } -- seconds between attempts at a server that takes one client at a time
local KEEP_BYTES = 65536         -- of one answer
local NOTES = 12

-- What signatures want to be asked, but for the page that every port is asked for: its answer is held against them anyway.
local function groups_of(sigs, port)
  local known = sigs.latest
  if known and known.port == port then return known.groups end -- batches ask thousands at the same port
  local groups = { ranked = {} }
  for _, group in ipairs(sigs:probes("tcp", port)) do
    group.key = "sig:" .. group.name
    if group.constant == http.GET_10 then groups.page = group else groups[#groups + 1] = group end
  end
  sigs.latest = { port = port, groups = groups }
  return groups
end

--- Begin.
-- @param t transport
-- @param target table: `host`, `port`, `name`
-- @param sigs set of mynah.signatures
-- @param opts as for mynah.tcp.identify
-- @return the case
function case.new(t, target, sigs, opts)
  return setmetatable({
    t = t, host = target.host, port = target.port, name = target.name or target.host, sigs = sigs,
    groups = groups_of(sigs, target.port),
    timeout = opts.timeout or 3, patience = opts.patience or 30, max_connections = opts.max_connections or 6,
    public_ip = opts.public_ip, random = opts.random, unix = opts.unix,
    facts = {}, asked = {}, evidence = {}, conns = {},
    opened = 0,   -- connections tried
    pending = 0,  -- questions on their way
    speaking = 0, -- of these, such as have a part of their answer
    count = 0,    -- questions asked
    slowest = 0,  -- seconds that an answer took
  }, Case)
end

--- Keep a line for people.
function Case:note(line)
  if #self.evidence < NOTES then self.evidence[#self.evidence + 1] = line end
end

--- Keep an idea that is short of certain, unless there is a better one.
function Case:keep_guess(guess, confidence, evidence)
  if guess and (not self.guess or confidence > self.guess.confidence) then
    self.guess = { guess = guess, confidence = confidence, evidence = evidence }
  end
end

--- What mynah_core judges: a request (nil for a banner) and what came for it.
function Case:pair(conn, request, reply, closed)
  return {
    request = request, reply = reply, my = conn.my, my_port = conn.my_port, peer = self.host, peer_port = self.port,
    from = self.host, from_port = self.port, public_ip = self.public_ip, time = self.unix(), closed = closed or false,
  }
end

--- Turn a verdict of the signatures into one of ours.
-- @param v verdict of mynah_core, or nil
-- @param name of its signature
-- @return the verdict where it is certain; weaker ones are kept as a guess
function Case:named_by(v, name)
  if not v or v.state == "no" then return nil end
  local info = self.sigs.info[name]
  local verdict = {
    service = info.service, confidence = v.confidence, probe = name, product = v.product, version = v.version,
    extra = v.extra, fresh_bits = v.fresh_bits, identity_bits = v.identity_bits, evidence = signatures.evidence(v),
  }
  if v.state == "certain" then return verdict end
  if v.state == "guess" then self:keep_guess(info.service, v.confidence, verdict.evidence) end
end

--- May another connection be opened?
function Case:can_open()
  return self.opened < self.max_connections and not self.dead
end

--- Open a connection. A server for one client at a time refuses for a moment while another is open: it is tried again,
-- at last with the listening connection given up.
-- @return connection; or nil and a reason: "limit", "over", or the transport's
function Case:open()
  if not self:can_open() then return nil, "limit" end
  self.opened = self.opened + 1
  local conn, why
  for attempt = 0, #BUSY_PAUSES + 1 do
    if attempt > #BUSY_PAUSES then
      if not self.listener or self.heard then break end
      self:hush()
      self.t:sleep(BUSY_PAUSES[1])
    elseif attempt > 0 then
      self.t:sleep(BUSY_PAUSES[attempt])
    end
    if self.over then return nil, "over" end
    conn, why = self.t:connect(self.host, self.port, self.t:now() + self.timeout)
    if conn then
      self.conns[#self.conns + 1] = conn
      self.rtt = self.rtt or conn.rtt
      return conn
    end
    local waits = why == "busy" and self.listener and not self.heard
    if waits then self:hush() elseif why ~= "refused" then break end
    self.busy = true -- from here on one question waits for the other
  end
  self.dead = why == "refused"
  return nil, why
end

--- Give the listening connection up, for who serves one connection after the other.
function Case:hush()
  if self.listener then self.listener:close() end
  self.listener = nil
end

--- Receive until `whole` says so, the peer ends, or it is quiet for as long as quiet(bytes) allows.
-- @param begun bytes that came already, or nil: then quiet counts from the first
-- @return bytes, those begun with among them, status as conn:receive gives it
function Case:collect(conn, deadline, whole, quiet, begun)
  local t, buffer = self.t, begun or ""
  while true do
    local limit = buffer == "" and deadline or math.min(deadline, t:now() + quiet(buffer))
    local bytes, status = conn:receive(limit)
    buffer = buffer .. bytes
    if status ~= "more" then return buffer, status end
    if #buffer >= KEEP_BYTES then return buffer, "full" end
    if whole(buffer) then return buffer, "more" end
  end
end

--- What an answer was, for people.
function case.told(label, bytes, status)
  if bytes == "" then
    return ("%s: %s"):format(label, status == "timeout" and "silence" or "closed without a word")
  end
  return ("%s: %s"):format(label, text.first_line(bytes, 80))
end

--- Close everything.
-- @return bytes sent and received on all connections
function Case:close()
  self.over = true
  local sent, received = 0, 0
  for _, conn in ipairs(self.conns) do
    conn:close()
    sent, received = sent + conn.sent, received + conn.received
  end
  return sent, received
end

return case
