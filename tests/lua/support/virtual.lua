--- An engine without a network: the same calls and events as mynah_core.engine, peers written in Lua, and a clock that
-- jumps from one event to the next. A test of a minute's patience takes a millisecond and always ends the same.
--
-- A TCP peer is a function (c) called for each connection: c.n counts them from 1; it sets c.on_data(bytes) and
-- c.on_eof() and calls c:write(bytes), c:close(), c:reset(), c:after(seconds, fn), c:drip(bytes, seconds each).
-- A UDP peer is a function (u): u.data, u.from, u.from_port, u.n; it calls u:reply(bytes [, from_port]), u:after(seconds, fn).

local virtual = {}

local World = {}
World.__index = World
local Engine = {}
Engine.__index = Engine

--- A world with one host, 127.0.0.1.
-- @param config table: rtt seconds (0.0002), my (address)
function virtual.new(config)
  config = config or {}
  local w = setmetatable({
    clock = 1000, rtt = config.rtt or 0.0002, my = config.my or "127.0.0.1", queue = {}, order = 0,
    tcp = {}, udp = {}, next_port = 40000, log = {},
  }, World)
  w.engine = setmetatable({ world = w, events = {}, first = 1, exchanges = {}, last_id = 0 }, Engine)
  return w
end

function World:at(time, fn)
  self.order = self.order + 1
  local q, entry = self.queue, { at = time, order = self.order, fn = fn }
  local i = #q
  while i > 0 and q[i].at > time do i = i - 1 end
  table.insert(q, i + 1, entry)
end

function World:after(seconds, fn) self:at(self.clock + seconds, fn) end

function World:port()
  self.next_port = self.next_port + 1
  return self.next_port
end

local function event(engine, x, kind, more)
  if engine.exchanges[x.id] ~= x then return end
  more = more or {}
  more.id, more.kind, more.my, more.my_port = x.id, kind, engine.world.my, more.my_port or x.my_port
  engine.events[#engine.events + 1] = more
  if kind == "end" then engine.exchanges[x.id] = nil end
end

local function new_exchange(engine, options)
  engine.last_id = engine.last_id + 1
  local x = { id = engine.last_id, options = options, inbox = {}, attempts = {} }
  engine.exchanges[x.id] = x
  return x
end

-- TCP: what waits in the inbox answers an outstanding receive.
local function deliver(engine, x)
  local ask = x.ask
  if not ask then return end
  local head = x.inbox[1]
  if not head then return end
  x.ask = nil
  if head.bytes then
    local bytes = head.bytes
    table.remove(x.inbox, 1)
    while x.inbox[1] and x.inbox[1].bytes do bytes = bytes .. table.remove(x.inbox, 1).bytes end
    if #bytes > ask.max then
      table.insert(x.inbox, 1, { bytes = bytes:sub(ask.max + 1) })
      bytes = bytes:sub(1, ask.max)
    end
    event(engine, x, "data", { data = bytes })
  elseif head.eof then
    event(engine, x, "eof")
  else
    event(engine, x, "end", { reason = "reset" })
  end
end

local function server_side(engine, x, n)
  local w, c = engine.world, { n = n, my_port = x.my_port }
  function c.others() return x.service.open - 1 end
  local function arrive(item)
    if c.closed then return end
    w:after(w.rtt / 2, function()
      if engine.exchanges[x.id] ~= x then return end
      x.inbox[#x.inbox + 1] = item
      deliver(engine, x)
    end)
  end
  function c:write(bytes) if bytes ~= "" then arrive { bytes = bytes } end end -- luacheck: ignore self
  function c:close() arrive { eof = true } self.closed = true end
  function c:reset() arrive { reset = true } self.closed = true end
  function c:after(seconds, fn) w:after(seconds, function() if not self.closed then fn() end end) end
  function c:drip(bytes, seconds, done)
    local i = 0
    local function one()
      i = i + 1
      self:write(bytes:sub(i, i))
      if i < #bytes then self:after(seconds, one) elseif done then done() end
    end
    one()
  end
  function c:on_data() end -- luacheck: ignore self
  function c:on_eof() end -- luacheck: ignore self
  return c
end

function World:serve_next(service)
  local head = service.line[1]
  if not head or head.begun then return end
  head.begun = true
  local c = head.x.server
  head.serve()
  for _, bytes in ipairs(c.waiting) do c:on_data(bytes) end
  local function poll()
    if c.closed or c.gone then
      table.remove(service.line, 1)
      self:serve_next(service)
    else
      self:after(0.001, poll)
    end
  end
  poll()
end

local function connect(engine, x, port)
  local w = engine.world
  local service = w.tcp[port]
  if not service then return event(engine, x, "end", { reason = "conn-refused" }) end
  service.count = (service.count or 0) + 1
  service.open = service.open or 0
  local refused = service.refuse and service.refuse(service.count, service.open)
  if refused then
    return event(engine, x, "end", { reason = refused == "reset" and "reset" or "conn-refused" })
  end
  service.accepted = (service.accepted or 0) + 1
  service.open = service.open + 1
  x.service, x.server = service, server_side(engine, x, service.accepted)
  event(engine, x, "open", { rtt = w.rtt })
  x.open = true
  local function serve() (service.serial or service.peer)(x.server) end
  if service.serial then
    -- Accepted by the kernel, read by nobody until the ones before are gone.
    service.line = service.line or {}
    table.insert(service.line, { x = x, serve = serve })
    x.server.waiting = {}
    x.server.on_data = function(_, bytes) table.insert(x.server.waiting, bytes) end
    World.serve_next(w, service)
  else
    w:after(0, serve)
  end
end

function Engine:tcp(o)
  local w, x = self.world, new_exchange(self, o)
  x.my_port = w:port()
  local service = w.tcp[o.port]
  if service and service.filtered then
    w:after(o.timeout, function() event(self, x, "end", { reason = service.filtered == true and "no-response"
      or service.filtered }) end)
  else
    w:after(w.rtt, function() if self.exchanges[x.id] == x then connect(self, x, o.port) end end)
  end
  return x.id
end

function Engine:send(id, bytes)
  local x = assert(self.exchanges[id] or nil, "send on a void id")
  local w = self.world
  w.log[#w.log + 1] = { at = w.clock, n = x.server.n, bytes = bytes }
  w:after(w.rtt / 2, function()
    if not x.server.closed then x.server:on_data(bytes) end
  end)
  return true
end

function Engine:receive(id, max, timeout)
  local x = self.exchanges[id]
  if not x then return nil, "no such exchange" end
  assert(not x.ask, "one receive at a time")
  local ask = { max = max }
  x.ask = ask
  self.world:after(timeout, function()
    if x.ask == ask then
      x.ask = nil
      event(self, x, "timeout")
    end
  end)
  deliver(self, x)
  return true
end

function Engine:cancel(id)
  local x = self.exchanges[id]
  if not x then return nil, "no such exchange" end
  self.exchanges[id] = nil
  if x.server and not x.server.gone then
    x.server.gone = true
    x.service.open = x.service.open - 1
    self.world:after(self.world.rtt / 2, function() if not x.server.closed then x.server:on_eof() end end)
  end
  return true
end

local function udp_attempt(engine, x, i, wait)
  local w, o = engine.world, x.options
  if engine.exchanges[x.id] ~= x or x.answered then return end
  local port, sent_at = o.local_port or w:port(), w.clock
  x.attempts[i] = port
  event(engine, x, "sent", { attempt = i, my_port = port })
  w.log[#w.log + 1] = { at = w.clock, bytes = o.payloads[i], my_port = port }
  local service = w.udp[o.port]
  w:after(w.rtt / 2, function()
    if not service then
      return w:after(w.rtt / 2, function()
        x.answered = true
        event(engine, x, "icmp", { reason = "port-unreach", from = o.host, attempt = i, my_port = port })
        w:after(o.timeout, function() event(engine, x, "end", { reason = "port-unreach" }) end)
      end)
    end
    service.count = (service.count or 0) + 1
    local u = { data = o.payloads[i], from = w.my, from_port = port, n = service.count }
    function u:reply(bytes, from_port) -- luacheck: ignore self
      w:after(w.rtt / 2, function()
        if not x.answered then
          w:after(o.timeout, function() event(engine, x, "end", { reason = "udp-response" }) end)
        end
        x.answered = true
        event(engine, x, "reply", { data = bytes, attempt = i, my_port = port, from = o.host, reason = "udp-response",
          from_port = from_port or o.port, rtt = w.clock - sent_at })
      end)
    end
    function u:after(seconds, fn) w:after(seconds, fn) end -- luacheck: ignore self
    if service.peer then service.peer(u) end
  end)
  if o.payloads[i + 1] then
    w:after(wait, function() udp_attempt(engine, x, i + 1, wait * 2) end)
  else
    w:after(o.timeout, function()
      if not x.answered then event(engine, x, "end", { reason = "no-response" }) end
    end)
  end
end

function Engine:local_address() return self.world.my end

function Engine:udp(o)
  local x = new_exchange(self, o)
  self.world:at(math.max(self.world.clock, (o.start_ns or 0) / 1e9), function() udp_attempt(self, x, 1, 1) end)
  return x.id
end

function Engine:step()
  local w = self.world
  while w.queue[1] and w.queue[1].at <= w.clock do table.remove(w.queue, 1).fn() end
  return #self.events - self.first + 1
end

function Engine:next()
  local e = self.events[self.first]
  if not e then
    self.events, self.first = {}, 1
    return nil
  end
  self.events[self.first] = false
  self.first = self.first + 1
  return e
end

function Engine:wait(seconds)
  local w = self.world
  local due = w.queue[1] and w.queue[1].at
  local till = seconds and w.clock + seconds
  if not due and not till then error("virtual: nothing will ever happen", 0) end
  w.clock = math.max(w.clock, math.min(due or till, till or due))
  return due ~= nil and due <= w.clock
end

function Engine:close() self.exchanges = {} end -- luacheck: ignore

--- A loop over this world.
function World:loop()
  return require "mynah.loop".new { engine = self.engine, now = function() return self.clock end }
end

return virtual
