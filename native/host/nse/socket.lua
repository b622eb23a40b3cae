--- The sockets of NSE scripts: what each method gives is what Nmap's gives, word for word.
-- A wait ends as soon as the kernel has something; `set_timeout` counts for each wait.
-- @module host.nse.socket

local core = require "mynah_core"
local host = require "mynah_host"

local sockets = {}

local CHUNK = 8192        -- bytes of one read; one that fills it is followed by another
local TURN = 64           -- reads one after the other, none of which had to wait, until others get their turn
local TIMEOUT_MS = 30000
local NO_TURN = "waits for its turn at %s port %d: of scripts %d threads are connected to it, as many as may be, and all of them "
  .. "wait, too"
local NO_MORE = "waits for one more %s than there may be (%d): those who have these wait, too"
local PRIVATE = {}        -- key of what a socket's object holds

local Methods = {}
local Meta = { __index = Methods, __metatable = {} }

-- Arguments ---------------------------------------------------------------------------------------------

local function bad_argument(n, expected, got)
  error(("bad argument #%d to '?' (%s expected, got %s)"):format(n, expected, got == nil and "no value" or type(got)), 0)
end

local function check_text(n, value)
  if type(value) == "number" then return tostring(value) end
  if type(value) ~= "string" then bad_argument(n, "string", value) end
  return value
end

local function check_number(n, value)
  local number = tonumber(value)
  if not number then bad_argument(n, "number", value) end
  return number
end

-- A host as a table or text: its address or name, and the name that TLS is to say.
local function check_host(n, value)
  if type(value) == "table" then
    local address = value.ip or value.targetname
    if not address then error(("bad argument #%d to '?' (host table lacks 'ip' or 'targetname' fields)"):format(n), 0) end
    return check_text(n, address), value.targetname or value.name
  end
  return check_text(n, value), value
end

-- A port as a table or number: its number and its protocol, nil where it says none.
local function check_port(n, value)
  if type(value) == "table" then return math.tointeger(check_number(n, value.number)), value.protocol end
  return math.tointeger(check_number(n, value))
end

local function state_of(socket)
  local s = type(socket) == "table" and rawget(socket, PRIVATE)
  if not s then bad_argument(1, "nsock", socket) end
  return s
end

local function open_state(socket)
  local s = state_of(socket)
  if not s.file then error("socket must be connected", 0) end
  return s
end

-- Places: how many sockets may be open ------------------------------------------------------------------

-- A port that many ask would be overwhelmed: so many threads hold connections to it at a time. Who holds one may have more, and a
-- script that holds one may have one of its workers join, or they could wait for one another for ever.
local function may_go(turn, thread, most)
  if turn.held[thread] or turn.count < most then return true end
  local base = thread.base
  return thread ~= base and turn.held[base] and (turn.workers[base] or 0) == 0
end

local function count_worker(turn, thread, change)
  if thread ~= thread.base then turn.workers[thread.base] = (turn.workers[thread.base] or 0) + change end
end

-- Take part in what a port can bear. @return true; false where another thread used the socket meanwhile
local function take_turn(s, kind, ip, port)
  local shared, thread, epoch = s.shared, s.shared.scheduler.current, s.epoch
  local place = ("%s %s %d"):format(kind, ip, port)
  local turn = shared.turns[place]
  if not turn then
    turn = { count = 0, held = {}, workers = {}, queue = {} }
    shared.turns[place] = turn
  end
  while not may_go(turn, thread, shared.threads_per_port) do
    table.insert(turn.queue, thread)
    shared.scheduler:want(NO_TURN:format(ip, port, turn.count))
  end
  if s.epoch ~= epoch then return false end
  if not turn.held[thread] then
    turn.count = turn.count + 1
    count_worker(turn, thread, 1)
  end
  turn.held[thread] = (turn.held[thread] or 0) + 1
  s.turn, s.holder, s.place = turn, thread, place
  thread.base.sockets[s.object] = s
  return true
end

-- So many at once, of sockets or connections. A thread that is woken and ends before it runs hands its place over to the next.
local function new_pool(scheduler, most, what)
  local pool = { open = 0, most = most, queue = {}, what = what }
  function pool.hand_over()
    repeat
      local thread = table.remove(pool.queue, 1)
      if thread and not thread.over then
        thread.held[pool] = true
        return scheduler:wake(thread)
      end
    until not thread
  end
  return pool
end

local function take_from(pool, scheduler)
  local thread = scheduler.current
  while pool.open >= pool.most do
    table.insert(pool.queue, thread)
    scheduler:want(NO_MORE:format(pool.what, pool.most))
    thread.held[pool] = nil
  end
  pool.open = pool.open + 1
end

local function give_to(pool)
  pool.open = pool.open - 1
  pool.hand_over()
end

local function give_turn(s)
  local turn, thread = s.turn, s.holder
  if not turn then return end
  s.turn = nil
  turn.held[thread] = turn.held[thread] - 1
  if turn.held[thread] > 0 then return end
  turn.held[thread], turn.count = nil, turn.count - 1
  count_worker(turn, thread, -1)
  local queue = turn.queue
  turn.queue = {} -- they look again whether they may
  for _, waiting in ipairs(queue) do s.shared.scheduler:wake(waiting) end
  if turn.count == 0 and #queue == 0 then s.shared.turns[s.place] = nil end
end

-- Wait until the program has a descriptor to spare, and may have one connection more. A script that has more than its share ends.
-- @return true; false where another thread used the socket meanwhile
local function take_place(s, kind)
  local shared, thread, epoch = s.shared, s.shared.scheduler.current, s.epoch
  local base = thread.base
  if base.socket_count >= shared.sockets_per_script then collectgarbage() end -- closes those that nobody holds
  if base.socket_count >= shared.sockets_per_script then
    give_turn(s)
    error(("has %d sockets open, and may have no more: are they closed?"):format(base.socket_count), 0)
  end
  local connections = kind == "tcp" and shared.connections or nil
  if connections then take_from(connections, shared.scheduler) end
  take_from(shared.places, shared.scheduler)
  if s.epoch ~= epoch then
    give_to(shared.places)
    if connections then give_to(connections) end
    return false
  end
  base.socket_count = base.socket_count + 1
  s.base, s.connections = base, connections
  base.sockets[s.object] = s
  return true
end

local function give_place(s)
  local shared, base = s.shared, s.base
  if not base then return end
  base.sockets[s.object] = nil
  base.socket_count = base.socket_count - 1
  give_to(shared.places)
  if s.connections then give_to(s.connections) end
  s.base, s.connections = nil, nil
end

-- Wait until what is to be sent may leave. @return false where another thread closed the socket meanwhile
local function take_time(s, kind, ip, bytes)
  local epoch = s.epoch
  if s.shared.turn and not (kind == "stream" and bytes == "") then s.shared.turn(kind, ip, #bytes) end
  return s.epoch == epoch
end

-- Another thread of the script that waits for the socket goes on.
local function drop(s)
  local waiter = s.waiter
  s.epoch, s.waiter = s.epoch + 1, nil
  if waiter then s.shared.scheduler:cancel(waiter) end
  if s.tls then s.tls:close() end
  if s.file then s.file:close() end
  if s.capture then s.capture:close() end
  s.tls, s.file, s.capture = nil, nil, nil
  give_turn(s)
  give_place(s)
end

-- A socket of the kernel in place of the one before.
local function open(s, kind, ip)
  if not take_place(s, kind) then return nil, "CANCELLED" end
  local file, message = s.shared.scheduler.events:socket(kind, core.family(ip))
  if not file then
    drop(s)
    return nil, message
  end
  s.file, s.kind, s.buffer, s.epoch = file, kind, nil, s.epoch + 1
  if s.bound then file:bind(s.bound.address, s.bound.port) end -- where it cannot be, any address will do, as in Nmap
  return file
end

-- Waiting -------------------------------------------------------------------------------------------------

-- Wait for "r" or "w". @return true; nil, "TIMEOUT", or "CANCELLED" where another thread closed the socket
local function wait(s, mode)
  if s.timeout == 0 then return nil, "TIMEOUT" end
  local seconds = s.timeout > 0 and s.timeout / 1000 or nil
  if s.waiter then error("socket is waited on by another thread of this script", 0) end
  local scheduler, file = s.shared.scheduler, s.capture or s.file
  s.waiter = scheduler.current
  local outcome = scheduler:wait(function(token) file:watch(mode, seconds, token) end)
  if (s.capture or s.file) ~= file then return nil, "CANCELLED" end
  s.waiter, s.reads = nil, 0
  if outcome == "timeout" then return nil, "TIMEOUT" end
  return true
end

local function trace(s, event, bytes)
  if s.shared.trace then s.shared.trace(s, event, bytes) end
end

-- @return true; false where it is closed already
local function close(s)
  local is_open = s.file or s.capture
  if is_open then trace(s, "close") end
  drop(s)
  return is_open ~= nil
end

-- All bytes to the kernel; of none, a datagram all the same. @return true; nil, status
local function send_raw(s, bytes)
  if s.peer and not take_time(s, s.kind == "tcp" and "stream" or "datagram", s.peer.ip, bytes) then return nil, "CANCELLED" end
  local from, done = 1, bytes == "" and s.kind == "tcp"
  while not done do
    local n, why = s.file:send(bytes, from)
    if n then
      from = from + n
      done = from > #bytes
    elseif why == "again" then
      local ok, status = wait(s, "w")
      if not ok then return nil, status end
    else
      return nil, "ERROR"
    end
  end
  return true
end

-- One read of the kernel's. @return bytes; nil, status
local function receive_raw(s)
  while true do
    if not s.file then return nil, "CANCELLED" end
    local bytes, why = s.file:receive(CHUNK)
    if bytes == "" then return nil, "EOF" end
    if bytes then return bytes end
    if why ~= "again" then return nil, "ERROR" end
    local ok, status = wait(s, "r")
    if not ok then return nil, status end
  end
end

-- What there is without waiting; a chunk that is full is followed by another.
local function receive_plain(s)
  local bytes, status = receive_raw(s)
  if not bytes or #bytes < CHUNK then return bytes, status end
  local parts = { bytes }
  while #bytes == CHUNK do
    bytes = s.file:receive(CHUNK)
    if not bytes or bytes == "" then break end
    parts[#parts + 1] = bytes
  end
  return table.concat(parts)
end

-- TLS -----------------------------------------------------------------------------------------------------

local function flush(s) return send_raw(s, s.tls:output()) end

-- More ciphertext from the peer into the session. @return true; nil, status
local function feed(s)
  local bytes, status = receive_raw(s)
  if not bytes then return nil, status end
  if not s.tls:feed(bytes) then return nil, "ERROR" end
  return true
end

local function handshake(s)
  while true do
    local done, why = s.tls:handshake()
    local ok = flush(s) -- an alert, too
    if done == nil or not ok then return nil, "ERROR", why end
    if done then return true end
    local fed, status = feed(s)
    if not fed then return nil, status == "TIMEOUT" and status or "ERROR" end
  end
end

local function start_tls(s, name)
  if name and core.family(name) then name = nil end -- no name, no SNI
  local session = host.tls(name)
  if not session then return nil, "ERROR" end
  s.tls = session
  local ok, status = handshake(s)
  if ok then return true end
  session:close()
  if s.tls == session then s.tls = nil end
  return nil, status
end

local function receive_tls(s)
  local parts = {}
  while true do
    local bytes, why = s.tls:read()
    if not bytes then
      if #parts > 0 then break end
      return nil, why == "eof" and "EOF" or "ERROR"
    elseif bytes ~= "" then
      parts[#parts + 1] = bytes
    elseif #parts > 0 then
      break
    else
      local ok, status = flush(s)
      if status ~= "CANCELLED" then ok, status = feed(s) end
      if not ok then return nil, status end
    end
  end
  return table.concat(parts)
end

-- Reading and writing ------------------------------------------------------------------------------------

local function receive(s)
  local bytes, status
  -- No time to wait, but the others get their turn: scripts call this again and again.
  if s.timeout == 0 then s.shared.scheduler:sleep(0) end
  if s.tls then
    bytes, status = receive_tls(s)
  else
    bytes, status = receive_plain(s)
  end
  if not bytes then return nil, status end
  trace(s, "receive", bytes)
  s.reads = s.reads + 1
  if s.reads == TURN then
    s.reads = 0
    s.shared.scheduler:sleep(0)
  end
  return bytes
end

-- Read until `enough` of the bytes. What came before an end or a time's end counts.
local function receive_until(s, enough)
  local bytes = ""
  repeat
    local more, status = receive(s)
    if not more then
      if bytes ~= "" and status ~= "ERROR" then return true, bytes end
      return nil, status
    end
    bytes = bytes .. more
  until enough(bytes)
  return true, bytes
end

--- Read once.
-- @return true and bytes; or nil and "TIMEOUT", "EOF", "ERROR"
function Methods.receive(socket)
  local s = open_state(socket)
  local bytes, status = receive(s)
  if not bytes then return nil, status end
  return true, bytes
end

--- Read at least n bytes.
function Methods.receive_bytes(socket, n)
  local s = open_state(socket)
  n = check_number(2, n)
  return receive_until(s, function(bytes) return #bytes >= n end)
end

--- Read at least n lines.
function Methods.receive_lines(socket, n)
  local s = open_state(socket)
  n = check_number(2, n)
  return receive_until(s, function(bytes) return select(2, bytes:gsub("\n", "")) >= n end)
end

local function find_in(buffer, delimiter)
  if type(delimiter) == "function" then return delimiter(buffer) end
  return buffer:find(delimiter)
end

--- Read up to a delimiter; what came beyond it is kept for the next receive_buf.
-- @param delimiter a pattern, or a function (bytes) giving the first and last byte of what delimits
-- @param keep whether the delimiter is part of the result
function Methods.receive_buf(socket, delimiter, keep)
  local s = open_state(socket)
  local kind = type(delimiter)
  if kind ~= "string" and kind ~= "function" then bad_argument(2, "string or function", delimiter) end
  if type(keep) ~= "boolean" then bad_argument(3, "boolean", keep) end
  while true do
    local buffer = s.buffer or ""
    local from, to = find_in(buffer, delimiter)
    if from then
      s.buffer = buffer:sub(to + 1)
      return true, buffer:sub(1, keep and to or from - 1)
    end
    local bytes, status = receive(s)
    if not bytes then return nil, status end
    s.buffer = buffer .. bytes
  end
end

--- Send bytes.
-- @return true; or nil and "TIMEOUT" or "ERROR"
function Methods.send(socket, bytes)
  local s = open_state(socket)
  bytes = check_text(2, bytes)
  trace(s, "send", bytes)
  if not s.tls then return send_raw(s, bytes) end
  if not s.tls:write(bytes) then return nil, "ERROR" end
  return flush(s)
end

-- Connecting ----------------------------------------------------------------------------------------------

-- The address of a name; nil and a message.
local function resolve(s, name)
  if core.family(name) then return name end
  return s.shared.resolve(name)
end

local function connect(s, kind, ip, port)
  local bound = s.unconnected and kind == s.kind
  if not bound then drop(s) end
  s.unconnected = nil
  if not take_turn(s, kind, ip, port) then return nil, "CANCELLED" end
  local file, message = bound and s.file, nil
  if not file then file, message = open(s, kind, ip) end
  if not file then return nil, message == "CANCELLED" and message or "ERROR" end
  s.peer = { ip = ip, port = port }
  if kind == "tcp" and not take_time(s, "connection", ip, "") then return nil, "CANCELLED" end
  local ok, why = file:connect(ip, port)
  if not ok and why == "again" then
    local ready, status = wait(s, "w")
    if not ready then return nil, status end
    ok = file:outcome()
  end
  if not ok then return nil, "ERROR" end
  return true
end

local KINDS = { tcp = "tcp", udp = "udp", ssl = "tcp" }

--- Connect to a host, a table or text, and a port, a table or number.
-- @param protocol "tcp", "udp", "ssl"; by default the port's, else the socket's
-- @return true; or nil and "TIMEOUT", "ERROR"; or false and a message where there is no such name
function Methods.connect(socket, target, port, protocol)
  local s = state_of(socket)
  local address, name = check_host(2, target)
  local number, of_port = check_port(3, port)
  protocol = protocol or of_port or s.default
  local kind = KINDS[protocol]
  if not kind then error(("bad argument #4 to '?' (invalid option '%s')"):format(tostring(protocol)), 0) end
  local ip, message = resolve(s, address)
  if not ip then return false, message end
  local ok, status = connect(s, kind, ip, number)
  if ok and protocol == "ssl" then ok, status = start_tls(s, name) end
  trace(s, ok and "connect" or status)
  if ok then return true end
  return nil, status
end

--- TLS on the connection that stands.
function Methods.reconnect_ssl(socket)
  local s = open_state(socket)
  if s.tls then s.tls:close() end
  s.tls = nil
  return start_tls(s)
end

--- Send a datagram without connecting.
function Methods.sendto(socket, target, port, bytes)
  local s = state_of(socket)
  local address = check_host(2, target)
  local number = check_port(3, port)
  bytes = check_text(4, bytes)
  local ip, message = resolve(s, address)
  if not ip then return false, message end
  if not s.file and not open(s, "udp", ip) then return nil, "ERROR" end
  s.peer = { ip = ip, port = number }
  if not take_time(s, "datagram", ip, bytes) then return nil, "CANCELLED" end
  trace(s, "send", bytes)
  local n, why = s.file:sendto(bytes, ip, number)
  if not n and why == "again" then
    local ok, status = wait(s, "w")
    if not ok then return nil, status end
    n = s.file:sendto(bytes, ip, number)
  end
  if n then return true end
  return nil, "ERROR"
end

--- Our address and port; nil: any. A socket for datagrams can receive from then on.
function Methods.bind(socket, address, port)
  local s = state_of(socket)
  local ip, message
  if address ~= nil then
    ip, message = resolve(s, (check_host(2, address)))
    if not ip then return nil, message end
  end
  s.bound = { address = ip, port = port and check_port(3, port) or 0 }
  if s.default ~= "udp" then return true end
  drop(s)
  local file, why = open(s, "udp", ip or s.shared.any)
  if not file then return nil, why end
  s.unconnected = true
  return true
end

--- @return true, our address and port, the peer's
function Methods.get_info(socket)
  local s = open_state(socket)
  local ip, port, peer, peer_port = s.file:names()
  if not ip then return nil, "ERROR" end
  if s.peer then peer, peer_port = s.peer.ip, s.peer.port end
  return true, ip, port, peer, peer_port
end

--- Milliseconds that each operation may take; -1: as long as it takes.
function Methods.set_timeout(socket, ms)
  local s = state_of(socket)
  ms = check_number(2, ms)
  if ms < -1 then error(("Negative timeout: %d"):format(ms), 0) end
  s.timeout = ms < 0 and -1 or math.floor(ms)
  return true
end

--- The certificate of the peer.
function Methods.get_ssl_certificate(socket)
  local s = state_of(socket)
  if not s.tls then error("bad argument #1 to '?' (not a SSL socket)", 0) end
  local der = s.tls:der()
  if not der then return nil end
  return host.certificate(der)
end

--- @return true; false and a message where it is closed
function Methods.close(socket)
  if not close(state_of(socket)) then return false, "socket already closed" end
  return true
end

--- Listen to an interface.
-- @param device its name
-- @param snaplen bytes of each packet that are kept
-- @param promiscuous whether packets for others are heard, too
-- @param filter what is heard, in libpcap's language
-- @raise where that cannot be done
function Methods.pcap_open(socket, device, snaplen, promiscuous, filter)
  local s = state_of(socket)
  device, snaplen, filter = check_text(2, device), math.floor(check_number(3, snaplen)), check_text(5, filter)
  drop(s)
  if not take_place(s, "pcap") then error("socket is used by another thread of this script", 0) end
  local capture = s.shared.scheduler.events:capture(device, snaplen, promiscuous, filter)
  if capture then
    s.capture = capture
  else
    drop(s)
    error("can't open pcap reader on " .. device, 0)
  end
end

--- The next packet that was heard.
-- @return true, its length, its link layer, the rest, when (seconds since 1970); or nil and "TIMEOUT" or "ERROR"
function Methods.pcap_receive(socket)
  local s = state_of(socket)
  if not s.capture then error("not a pcap socket", 0) end
  while true do
    local length, link, rest, time = s.capture:receive()
    if length then return true, length, link, rest, time end
    if link ~= "again" then return nil, "ERROR" end
    local ok, status = wait(s, "r")
    if not ok then return nil, status end
  end
end

--- @return true; false and a message where it is closed
function Methods.pcap_close(socket)
  local s = state_of(socket)
  if not s.capture then return false, "socket already closed" end
  drop(s)
  return true
end

Meta.__gc = function(socket)
  local s = rawget(socket, PRIVATE)
  if s then drop(s) end
end

--- What all sockets of a run share.
-- @param options table: `scheduler` of host.nse.threads; `resolve`, a function (name) giving an address, or nil and a message;
-- `any`, the address that means all of ours; `sockets`, how many may be open at once; `sockets_per_script`; `threads_per_port`,
-- how many may be connected to one; `trace`, a function (socket, event, bytes) or nil
-- @return function (kind) making a socket, as nmap.new_socket; the shared table: its `turn`, a function (kind, address, bytes)
-- or nil, is called before anything is sent, and may wait
function sockets.factory(options)
  local shared = { turns = {}, places = new_pool(options.scheduler, options.sockets, "socket") }
  for key, value in pairs(options) do shared[key] = value end
  return function(kind)
    local s = { shared = shared, timeout = TIMEOUT_MS, default = kind, epoch = 0, reads = 0, close = close }
    s.object = setmetatable({ [PRIVATE] = s }, Meta)
    return s.object
  end, shared
end

--- How many wait until they may open one.
function sockets.waiting(shared)
  return #shared.places.queue + (shared.connections and #shared.connections.queue or 0)
end

--- Let so many TCP connections be open at once; more than before, if any were.
-- @param shared of factory
function sockets.allow(shared, most)
  local pool = shared.connections or new_pool(shared.scheduler, 0, "connection")
  shared.connections = pool
  local more = most - pool.most
  pool.most = most
  for _ = 1, math.min(more, #pool.queue) do pool.hand_over() end
end

return sockets
