--- The transport inside Nmap: TCP on NSE's own sockets, so that Nmap's parallelism, proxies and limits hold; UDP through
-- the module's pump, a thread that sends, retransmits and takes times while the script waits on a doorbell.
-- The interface is that of mynah.transport. Each race function runs as a worker thread of the script.
-- @module mynah.nse

local nmap = require "nmap"
local stdnse = require "stdnse"
local core = require "mynah_core"
local transport = require "mynah.transport"

local nse = {}

local T = {}
T.__index = T
local Conn = {}
Conn.__index = Conn
local Channel = {}
Channel.__index = Channel

local KEEP_BYTES = 65536
local SLICE = 0.2      -- seconds: a sleeper looks that often whether it was cancelled
local BELL_WAIT = 5    -- seconds: a ring that got lost costs no more
local CANCELLED = {}   -- the error that ends a worker whose race is decided

local pump -- one for all scripts of the run; ends with the Lua state

local function milliseconds(deadline)
  return math.max(1, math.ceil((deadline - core.now()) * 1000))
end

-- Scopes ----------------------------------------------------------------------------------------------
-- What a thread opens belongs to its scope; when a race is decided, the scopes of the losers die, what they
-- hold is closed, and whatever they call next ends them.

local scopes = setmetatable({}, { __mode = "k" }) -- coroutine -> scope

local function new_scope(parent)
  local scope = { things = {}, children = {}, parent = parent, dead = false }
  if parent then parent.children[scope] = true end
  return scope
end

local function kill(scope)
  if scope.dead then return end
  scope.dead = true
  for child in pairs(scope.children) do kill(child) end
  for thing in pairs(scope.things) do thing:close() end
  if scope.parent then scope.parent.children[scope] = nil end
end

local function current(t)
  local scope = scopes[coroutine.running()] or t.scope
  if scope.dead then error(CANCELLED, 0) end
  return scope
end

local function own(t, thing)
  thing.scope = current(t)
  thing.scope.things[thing] = true
end

local function disown(thing)
  if thing.scope then thing.scope.things[thing] = nil end
end

-- What a finished worker leaves open passes to whoever started it.
local function hand_over(scope, parent)
  for thing in pairs(scope.things) do
    thing.scope = parent
    parent.things[thing] = true
  end
  scope.things = {}
  kill(scope)
end

--- Make a transport for the running script thread. Close it at the end of the action.
-- @param config table: `rate` UDP datagrams a second of all scripts together (what the first script says holds), `keep`
-- @return the transport
function nse.new(config)
  return setmetatable({ scope = new_scope(), rate = config and config.rate, keep = config and config.keep or KEEP_BYTES }, T)
end

--- Close all that was opened through this transport.
function T:close() kill(self.scope) end

--- Now, in monotonic seconds.
function T:now() return core.now() end -- luacheck: ignore self

--- Let time pass.
function T:sleep(seconds)
  local deadline = core.now() + seconds
  repeat
    current(self)
    local left = deadline - core.now()
    if left > 0 then stdnse.sleep(math.min(left, SLICE)) end
  until core.now() >= deadline
  current(self)
end

-- TCP -------------------------------------------------------------------------------------------------

local CONNECT_REASONS = { TIMEOUT = { "timeout", "no-response" }, CANCELLED = { "closed", "error" } }

--- Connect over TCP.
-- @return a connection; or nil, a reason and nmap's word for it. NSE does not say why a connection failed: "refused"
function T:connect(host, port, deadline)
  local socket = nmap.new_socket "tcp"
  local conn = setmetatable({ t = self, socket = socket, sent = 0, received = 0 }, Conn)
  own(self, conn)
  socket:set_timeout(milliseconds(deadline))
  local began = core.now()
  local ok, why = socket:connect(host, port, "tcp")
  conn.rtt = core.now() - began
  if conn.closed then return nil, "closed", "error" end
  if not ok then
    conn:close()
    local reason = CONNECT_REASONS[tostring(why)] or { "refused", "conn-refused" }
    return nil, reason[1], reason[2]
  end
  local known, my, my_port = socket:get_info()
  if known then conn.my, conn.my_port = my, my_port end
  return conn
end

function Conn:send(bytes)
  if self.closed then return nil, "closed" end
  if self.ended == "reset" then return nil, "reset" end
  local ok, why = self.socket:send(bytes)
  if not ok then return nil, tostring(why) end
  self.sent = self.sent + #bytes
  return true
end

local ENDS = { EOF = "eof", ERROR = "reset", CANCELLED = "closed" }

--- Receive what comes, as mynah.transport says.
function Conn:receive(deadline, want)
  local buffer, keep = "", self.t.keep
  while true do
    current(self.t)
    if #buffer > 0 and (not want or want(buffer)) then return buffer, "more" end
    if #buffer >= keep then return buffer:sub(1, keep), "full" end
    if self.closed then return buffer, "closed" end
    if self.ended then return buffer, self.ended end
    if core.now() >= deadline then return buffer, "timeout" end
    self.socket:set_timeout(milliseconds(deadline))
    local ok, data = self.socket:receive()
    if ok then
      self.received = self.received + #data
      buffer = buffer .. data
    elseif data ~= "TIMEOUT" then
      self.ended = self.closed and "closed" or ENDS[tostring(data)] or "reset"
    end
  end
end

function Conn:close()
  if self.closed then return end
  self.closed = true
  disown(self)
  self.socket:close()
end

-- UDP -------------------------------------------------------------------------------------------------

-- A doorbell: a socket that the pump knows, one for each exchange. sendto needs no connected socket, which Nmap counts.
local function new_bell()
  local number, token = pump:bell()
  if not number then return nil, token end
  local six = nmap.address_family() == "inet6"
  local socket = nmap.new_socket("udp", six and "inet6" or nil)
  socket:set_timeout(1000)
  local ok, why = socket:sendto(six and "::1" or "127.0.0.1", pump:port(six and 6 or 4), token)
  if not ok then
    pump:bell_close(number)
    socket:close()
    return nil, "doorbell: " .. tostring(why)
  end
  return { number = number, socket = socket }
end

-- The events of one exchange: taken from the pump, waited for on the bell.
function Channel:next(deadline)
  while not self.closed do
    local event, over = pump:next(self.id)
    if event or over then return event end
    current(self.t)
    local now = core.now()
    if deadline and now >= deadline then return nil end
    self.bell.socket:set_timeout(milliseconds(math.min(deadline or now + BELL_WAIT, now + BELL_WAIT)))
    self.bell.socket:receive()
  end
  return nil
end

local function release(exchange)
  local channel = exchange.channel
  disown(exchange)
  channel.closed = true
  pump:drop(channel.id)
  pump:bell_close(channel.bell.number)
  channel.bell.socket:close()
end

--- Start a UDP exchange, as mynah.transport says.
function T:udp(host, port, payloads, opts)
  current(self)
  local message
  if not pump then
    pump, message = core.pump { rate = self.rate }
    if not pump then return nil, "pump: " .. message end
  end
  local bell, why = new_bell()
  if not bell then return nil, why end
  local id
  id, message = pump:udp {
    host = host, port = port, payloads = payloads, timeout = opts and opts.timeout or 3, flow = opts and opts.flow,
    start_ns = opts and opts.start_ns, local_host = opts and opts.local_host, report_sent = true, bell = bell.number,
  }
  if not id then
    pump:bell_close(bell.number)
    bell.socket:close()
    return nil, message
  end
  local exchange = transport.exchange(setmetatable({ t = self, id = id, bell = bell }, Channel), payloads, release)
  own(self, exchange)
  return exchange
end

-- Tasks -----------------------------------------------------------------------------------------------

local function start_worker(race, i, fn)
  local scope = new_scope(race.parent)
  race.scopes[i] = scope
  stdnse.new_thread(function()
    scopes[coroutine.running()] = scope
    local ok, result = pcall(fn)
    race.left = race.left - 1
    if not scope.dead then
      if not ok then
        race.failure = race.failure or { result }
      elseif result and not race.winner then
        race.winner, race.result = i, result
      end
      hand_over(scope, race.parent)
    end
    nmap.condvar(race) "signal"
  end)
end

--- Run functions at once, each as a worker thread, as mynah.transport says.
function T:race(functions)
  local race = { parent = current(self), scopes = {}, left = #functions }
  local condvar = nmap.condvar(race)
  for i, fn in ipairs(functions) do start_worker(race, i, fn) end
  while race.left > 0 and not race.winner and not race.failure do
    condvar "wait"
    if race.parent.dead then break end
  end
  for _, scope in pairs(race.scopes) do kill(scope) end
  current(self)
  if race.failure then error(race.failure[1], 0) end
  return race.result, race.winner
end

return nse
