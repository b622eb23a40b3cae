--- The one interface through which the checks reach the network.
-- Here it stands on a loop and its engine (the mynah program, plain Lua); in Nmap another implementation
-- (mynah.nse) takes its place. The checks know only these functions:
--
--     t:now()                            seconds, monotonic
--     t:sleep(seconds)
--     t:connect(host, port, deadline)    -> conn | nil, reason, reason as nmap names it
--     conn:send(bytes)                   -> true | nil, reason
--     conn:receive(deadline [, want])    -> bytes, status
--     conn:close()                       conn.my, conn.my_port, conn.rtt, conn.sent, conn.received
--     t:udp(host, port, payloads, opts)  -> exchange | nil, reason
--     exchange:reply(deadline)           -> event | nil, reason
--     exchange:close()                   exchange.sent, exchange.received
--     t:local_address(host)              -> our address towards it | nil
--     t:inbox()                          -> many exchanges of one datagram each, heard in one place
--     t:race(functions)                  -> first true result, its index | nil
--
-- `host` is a numeric address. Deadlines are on the clock of t:now().
-- @module mynah.transport

local transport = {}

local T = {}
T.__index = T
local Conn = {}
Conn.__index = Conn
local Exchange = {}
Exchange.__index = Exchange
local Inbox = {}
Inbox.__index = Inbox

local KEEP_BYTES = 65536 -- of one receive: what a peer sends without end stops there
local CHUNK_BYTES = 16384
local LATE = 0.05 -- seconds by which the engine's own timeout may come after ours

-- The engine speaks nmap's words; these are the short ones of the interface.
local SHORT = {
  ["conn-refused"] = "refused", ["no-response"] = "timeout", ["reset"] = "reset",
  ["host-unreach"] = "unreachable", ["net-unreach"] = "unreachable", ["proto-unreach"] = "unreachable",
  ["admin-prohibited"] = "unreachable",
}

--- Make a transport.
-- @param config table: `loop` (mynah.loop); `keep` bytes kept of one receive, default 65536; `lookahead` seconds by which
-- datagrams should be handed over early, where the loop wakes late (0); `tls` true where the engine itself puts TLS on every
-- connection
-- @return the transport
function transport.new(config)
  local l = assert(config.loop, "transport.new wants a loop")
  return setmetatable({ loop = l, engine = l.engine, keep = config.keep or KEEP_BYTES, lookahead = config.lookahead or 0,
    tls = config.tls }, T)
end

--- Now, in monotonic seconds.
function T:now() return self.loop:now() end

--- Let time pass.
function T:sleep(seconds) self.loop:sleep(seconds) end

--- Our own address towards a host.
-- @param host numeric address
-- @return it; or nil
function T:local_address(host) return (self.engine:local_address(host)) end

--- Connect over TCP.
-- @param host numeric address
-- @param port 1 to 65535
-- @param deadline when to give up
-- @return a connection; or nil, a reason ("refused", "timeout", "unreachable", "error: …") and nmap's word for it
function T:connect(host, port, deadline)
  local timeout = math.max(0.001, deadline - self:now())
  local id, message = self.engine:tcp { host = host, port = port, timeout = timeout, tls = self.tls }
  if not id then return nil, "error: " .. tostring(message), "error" end
  local conn = setmetatable({
    t = self, loop = self.loop, engine = self.engine, id = id, channel = self.loop:channel(id),
    sent = 0, received = 0,
  }, Conn)
  self.loop:own(conn)
  local event = conn.channel:next()
  if event and event.kind == "open" then
    conn.my, conn.my_port, conn.rtt = event.my, event.my_port, event.rtt
    return conn
  end
  conn.over = true
  conn:close()
  if not event then return nil, "closed", "error" end
  local reason = event.reason or "error"
  return nil, SHORT[reason] or ("error: " .. tostring(event.error or reason)), reason
end

--- Queue bytes to send.
-- @return true; or nil and a reason where the connection is over
function Conn:send(bytes)
  if self.ended == "reset" or self.closed then return nil, self.ended or "closed" end
  local ok, message = self.engine:send(self.id, bytes)
  if not ok then return nil, message end
  self.sent = self.sent + #bytes
  return true
end

local function take(self, event)
  if event.kind == "data" then
    self.received = self.received + #event.data
    return event.data
  elseif event.kind == "eof" then
    self.ended = "eof"
  elseif event.kind == "end" then
    self.ended, self.over = "reset", true
  end
  return ""
end

--- Receive what comes.
-- @param deadline when to stop waiting
-- @param want a function of the bytes so far, true once they are enough; nil: the first bytes are
-- @return bytes (may be "") that came since the last receive, and a status: "more" (want is satisfied), "eof", "reset",
-- "timeout", "full" (the limit of bytes kept is reached), "closed" (by us)
function Conn:receive(deadline, want)
  local buffer, keep = "", self.t.keep
  while true do
    if #buffer > 0 and (not want or want(buffer)) then return buffer, "more" end
    if #buffer >= keep then return buffer, "full" end
    if self.closed then return buffer, "closed" end
    if self.ended then return buffer, self.ended end
    local left = deadline - self.loop:now()
    if left <= 0 then return buffer, "timeout" end
    -- A task that was cancelled while it received leaves its question with the engine: its answer is ours.
    if not self.asked then
      if not self.engine:receive(self.id, math.min(keep - #buffer, CHUNK_BYTES), left) then
        self.ended = "reset"
        return buffer, "reset"
      end
      self.asked = true
    end
    local event = self.channel:next(deadline + LATE)
    if event then
      self.asked = false
      buffer = buffer .. take(self, event)
    end
  end
end

--- Close; whoever waits on this connection is woken with "closed". More than once is fine.
function Conn:close()
  if self.closed then return end
  self.closed = true
  self.loop:disown(self)
  self.channel:close()
  if not self.over then self.engine:cancel(self.id) end
end

--- Start a UDP exchange: one payload an attempt, the next only while all before stayed silent.
-- @param host numeric address
-- @param port 1 to 65535
-- @param payloads array of byte strings
-- @param opts table: `timeout` seconds to listen after the last attempt (default 3), `local_host`, `local_port`, `flow`,
-- `start_ns` as the engine takes them
-- @return an exchange, or nil and a reason
function T:udp(host, port, payloads, opts)
  opts = opts or {}
  local id, message = self.engine:udp {
    host = host, port = port, payloads = payloads, timeout = opts.timeout or 3, flow = opts.flow,
    start_ns = opts.start_ns, local_host = opts.local_host, local_port = opts.local_port, report_sent = true,
  }
  if not id then return nil, message end
  local l, engine = self.loop, self.engine
  local channel = l:channel(id)
  local x = transport.exchange(channel, payloads, function(exchange)
    l:disown(exchange)
    channel:close()
    if not exchange.over then engine:cancel(id) end
  end)
  l:own(x)
  return x
end

--- An exchange over any source of the engine's events (here a loop's channel, in Nmap the pump).
-- @param channel has next(deadline or nil) -> event, or nil at the deadline or once it is closed
-- @param payloads that it sends
-- @param release function (exchange), called once when it is closed; exchange.over: the engine has ended it already
-- @return the exchange
function transport.exchange(channel, payloads, release)
  return setmetatable({ channel = channel, payloads = payloads, release = release, sent = 0, received = 0, attempts = 0 },
    Exchange)
end

--- The next reply.
-- @param deadline when to stop waiting; nil: until the exchange itself is over
-- @return an event of the engine (data, attempt, my, my_port, from, from_port, rtt, sent_ns, received_ns) with `request`, the
-- payload it answers; or nil and a reason: "timeout", "ended", nmap's word for an ICMP error
-- ("port-unreach" …; its sender is the third result), "closed", "error: …"
function Exchange:reply(deadline)
  while true do
    if self.closed then return nil, "closed" end
    if self.ended then return nil, self.ended end
    local event = self.channel:next(deadline)
    if not event then return nil, self.closed and "closed" or "timeout" end
    if event.kind == "sent" then
      self.attempts = self.attempts + 1
      self.sent = self.sent + #(self.payloads[event.attempt] or "")
    elseif event.kind == "reply" then
      self.received = self.received + #event.data
      event.request = self.payloads[event.attempt]
      return event
    elseif event.kind == "icmp" then
      return nil, event.reason, event.from
    elseif event.kind == "end" then
      self.over = true
      local reason = event.reason
      local quiet = reason == nil or reason == "no-response" or reason == "udp-response" or reason == "none"
      self.ended = quiet and "ended" or reason == "error" and ("error: " .. tostring(event.error)) or reason
    end
  end
end

--- Stop the exchange. More than once is fine.
function Exchange:close()
  if self.closed then return end
  self.closed = true
  self:release()
end

--- Many datagrams, each from a source port of its own and without repetition, whose replies are heard in one place.
-- @return the inbox, which closes with the task that made it
function T:inbox()
  local inbox = setmetatable({ loop = self.loop, engine = self.engine, channel = self.loop:inbox(), open = {} }, Inbox)
  self.loop:own(inbox)
  return inbox
end

--- Send a datagram.
-- @param host numeric address
-- @param port 1 to 65535
-- @param payload bytes
-- @param opts table: `timeout` seconds to listen at the most, `at` when to send (now), `local_port`
-- @return an exchange: `id`, `payload`; or nil and a reason
function Inbox:send(host, port, payload, opts)
  local id, message = self.engine:udp {
    host = host, port = port, payloads = { payload }, timeout = opts.timeout, local_port = opts.local_port,
    start_ns = opts.at and math.floor(opts.at * 1e9), report_sent = true,
  }
  if not id then return nil, message end
  local x = { id = id, payload = payload }
  self.open[id] = x
  self.channel:join(id)
  return x
end

--- What happens next.
-- @param deadline
-- @return an event of the engine ("sent", "reply", "icmp", "end") and its exchange; nil at the deadline
function Inbox:next(deadline)
  while true do
    local event = self.channel:next(deadline)
    if not event then return nil end
    local x = self.open[event.id]
    if x then
      if event.kind == "end" then self.open[event.id] = nil end
      return event, x
    end
  end
end

--- Stop listening for an exchange.
function Inbox:drop(x)
  if not self.open[x.id] then return end
  self.open[x.id] = nil
  self.channel:leave(x.id)
  self.engine:cancel(x.id)
end

--- Stop all. More than once is fine.
function Inbox:close()
  if self.closed then return end
  self.closed = true
  self.loop:disown(self)
  for _, x in pairs(self.open) do
    self.channel:leave(x.id)
    self.engine:cancel(x.id)
  end
  self.open = {}
  self.channel:close()
end

--- Run functions at once, each as a task.
-- They may share upvalues and nothing else; the losers are cancelled, what they opened is closed.
-- @param functions array
-- @return the first result that is neither nil nor false, and the index of its function; nil when none came
-- @raise what one of the functions raised
function T:race(functions)
  local l, tasks, left, winner = self.loop, {}, #functions, nil
  local function cancel_all()
    for _, task in ipairs(tasks) do task:cancel() end
  end
  for i, fn in ipairs(functions) do
    tasks[i] = l:spawn(fn)
    tasks[i].waiters[1] = l.current
  end
  while left > 0 and not winner do
    left = 0
    for i, task in ipairs(tasks) do
      if not task.done then
        left = left + 1
      elseif not task.ok then
        cancel_all()
        error(task.results[2], 0)
      elseif task.results[2] and not winner then
        winner = i
      end
    end
    if left > 0 and not winner then l:pause() end
  end
  cancel_all()
  if winner then return tasks[winner].results[2], winner end
  return nil
end

return transport
