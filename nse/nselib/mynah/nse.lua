--- The network inside Nmap: an engine for mynah.loop, so that a script runs the very tasks and transport of the program.
-- UDP goes through the module's pump, a thread that sends, retransmits and takes times. TCP goes through NSE's own sockets,
-- so that Nmap's parallelism, proxies and limits hold: the script's thread connects, and one worker thread a
-- connection sends and receives. The script itself waits at one place only, on its doorbell: a socket that pump and
-- workers send a datagram to. NSE knows no other wait for "this or that, until then".
-- @module mynah.nse

local nmap = require "nmap"
local stdnse = require "stdnse"
local core = require "mynah_core"
local loop = require "mynah.loop"
local transport = require "mynah.transport"

local nse = {}

local Engine = {}
Engine.__index = Engine

local BELL_WAIT = 5 -- seconds: a ring that got lost costs no more
local AHEAD = 0.12  -- seconds by which probes are handed over early: NSE wakes a script up to 50 ms late
local SLICE = 0.25  -- seconds that a receive holds a connection: what is to be sent meanwhile waits for its end

local pump -- one for all scripts of the run; ends with the Lua state

local function set_timeout(socket, seconds)
  socket:set_timeout(math.max(1, math.ceil(seconds * 1000)))
end

-- Engine ----------------------------------------------------------------------------------------------

-- Nmap resolves an address of a family only where the machine has one besides loopback's: that may be either.
local LOOPBACK = { { family = 4, ip = "127.0.0.1" }, { family = 6, ip = "::1", af = "inet6" } }

-- The doorbell's socket. sendto needs no connected socket, so it takes none of the places that Nmap counts.
local function new_bell()
  local bell, token = pump:bell()
  if not bell then return nil, token end
  local reasons = {}
  for i, at in ipairs(LOOPBACK) do
    local socket = nmap.new_socket("udp", at.af)
    set_timeout(socket, 1)
    local ok, why = socket:sendto(at.ip, pump:port(at.family), token)
    if ok then return bell, socket end
    socket:close()
    reasons[i] = tostring(why)
  end
  bell:close()
  return nil, "doorbell: " .. table.concat(reasons, "; ")
end

-- Nmap lets a few threads at a time hold connected sockets, the others wait. This script's place is taken before anything is
-- measured, by a socket that is never written to, and kept to its end.
local function take_place(host, port)
  local socket = nmap.new_socket "udp"
  socket:connect(host, port, "udp")
  return socket
end

--- An engine for the running script thread: of mynah_core.engine what mynah.loop and mynah.transport call.
-- @param config table: `rate`, UDP datagrams a second of all scripts together (what the first script says holds); `place`, a
-- table { ip, port } where the script is going to connect over TCP
-- @return engine, or nil and a message
function nse.engine(config)
  local message
  if not pump then
    pump, message = core.pump { rate = config.rate }
    if not pump then return nil, "pump: " .. message end
  end
  local bell, socket = new_bell()
  if not bell then return nil, socket end
  return setmetatable({
    bell = bell, socket = socket, place = config.place and take_place(config.place.ip, config.place.port),
    conns = {}, last = 0,      -- connections by id; ids below 0, since the pump's are above
    events = {}, first = 1,    -- of the connections
  }, Engine)
end

--- Close everything. More than once is fine.
function Engine:close()
  if self.closed then return end
  self.closed = true
  for id in pairs(self.conns) do self:cancel(id) end
  if self.place then self.place:close() end
  self.bell:close()
  self.socket:close()
end

--- Wait until there may be an event, or the time is up.
function Engine:wait(seconds)
  if self.events[self.first] then return end
  set_timeout(self.socket, math.min(seconds or BELL_WAIT, BELL_WAIT))
  self.socket:receive()
end

function Engine:step() return 0 end -- luacheck: ignore self

function Engine:next()
  local event = self.events[self.first]
  if not event then
    self.events, self.first = {}, 1
    return self.bell:next()
  end
  self.first = self.first + 1
  if not self.conns[event.id] then return self:next() end -- cancelled meanwhile
  if event.kind == "end" then self:cancel(event.id) end
  return event
end

function Engine:local_address(host) return core.local_address(host) end -- luacheck: ignore self

function Engine:udp(exchange) return self.bell:udp(exchange) end

-- TCP -------------------------------------------------------------------------------------------------

local function push(self, conn, event)
  event.id = conn.id
  self.events[#self.events + 1] = event
end

-- NSE does not say why a connection failed: what is no timeout counts as refused.
local function not_connected(why)
  return { kind = "end", reason = tostring(why) == "TIMEOUT" and "no-response" or "conn-refused" }
end

--- Connect. In the script's own thread, for a worker that connects would take one of the places that Nmap counts.
function Engine:tcp(target)
  self.last = self.last - 1
  local conn = { id = self.last, socket = nmap.new_socket "tcp", todo = {}, rest = "" }
  self.conns[conn.id] = conn
  set_timeout(conn.socket, target.timeout)
  local began = core.now()
  local ok, why = conn.socket:connect(target.host, target.port, target.tls and "ssl" or "tcp")
  if not ok then
    push(self, conn, not_connected(why))
    return conn.id
  end
  local event = { kind = "open", rtt = core.now() - began }
  local known, my, my_port = conn.socket:get_info()
  if known then event.my, event.my_port = my, my_port end
  push(self, conn, event)
  return conn.id
end

local ENDS = { EOF = { kind = "eof" }, ERROR = { kind = "end", reason = "reset" } }

-- The same from a worker: the script is woken.
local function tell(self, conn, event)
  push(self, conn, event)
  self.bell:ring()
end

local function send(self, conn, work)
  local ok = conn.socket:send(work.bytes)
  if ok or conn.closed then return end
  conn.todo = {}
  tell(self, conn, { kind = "end", reason = "reset" })
end

-- In slices, so that what is to be sent meanwhile need not wait for the peer. More than `most` is kept for the next.
local function receive(self, conn, work)
  local left = work.deadline - core.now()
  if conn.rest == "" then
    set_timeout(conn.socket, math.min(left, SLICE))
    local ok, data = conn.socket:receive()
    if conn.closed then return end
    if not ok and data == "TIMEOUT" then
      if left > SLICE then
        table.insert(conn.todo, work)
      else
        tell(self, conn, { kind = "timeout" })
      end
      return
    elseif not ok then
      local ending = ENDS[tostring(data)] or ENDS.ERROR
      tell(self, conn, { kind = ending.kind, reason = ending.reason })
      return
    end
    conn.rest = data
  end
  tell(self, conn, { kind = "data", data = conn.rest:sub(1, work.most) })
  conn.rest = conn.rest:sub(work.most + 1)
end

local function work_on(self, conn)
  local condvar = nmap.condvar(conn)
  while not conn.closed do
    local work = table.remove(conn.todo, 1)
    if not work then
      condvar "wait"
    else
      local do_it = work.bytes and send or receive
      do_it(self, conn, work)
    end
  end
end

local function add_work(self, id, work)
  local conn = self.conns[id]
  if not conn then return nil, "no such exchange" end
  table.insert(conn.todo, work)
  if conn.worker then
    nmap.condvar(conn) "signal"
  else
    conn.worker = stdnse.new_thread(work_on, self, conn)
  end
  return true
end

function Engine:send(id, bytes) return add_work(self, id, { bytes = bytes }) end

function Engine:receive(id, most, timeout) return add_work(self, id, { most = most, deadline = core.now() + timeout }) end

function Engine:cancel(id)
  if id > 0 then return self.bell:cancel(id) end
  local conn = self.conns[id]
  if not conn then return nil, "no such exchange" end
  self.conns[id] = nil
  conn.closed = true
  conn.socket:close()
  if conn.worker then nmap.condvar(conn) "signal" end
  return true
end

-- Running ---------------------------------------------------------------------------------------------

--- Run a function on a transport of mynah.transport, in the running script thread.
-- @param config as for nse.engine; `keep` as mynah.transport takes it
-- @param fn function (transport)
-- @return what fn returns; or nil and a message where the network here does not let us
-- @raise what fn raises
function nse.run(config, fn)
  local engine, message = nse.engine(config)
  if not engine then return nil, message end
  local l = loop.new { engine = engine, wait = function(_, seconds) engine:wait(seconds) end }
  local t = transport.new { loop = l, keep = config.keep, lookahead = AHEAD }
  -- NSE's sockets speak TLS themselves.
  function t.secured() return transport.new { loop = l, keep = config.keep, tls = true } end
  local results = table.pack(pcall(l.run, l, fn, t))
  engine:close()
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

return nse
