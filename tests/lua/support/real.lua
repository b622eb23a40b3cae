--- The peers of the tests on real loopback sockets, in this process: libuv serves them while the engine waits.

local uv = require "luv"

local real = {}

-- libuv writes without MSG_NOSIGNAL: a peer of ours that talks to a closed connection must not end the tests.
local sigpipe = uv.new_signal()
sigpipe:start("sigpipe", function() end)
sigpipe:unref()

-- The side of a connection that the peers of peers.lua see.
local function server_side(service, handle, n)
  local c = { n = n }
  function c.others() return service.open - 1 end
  local function finish(how)
    if c.closed then return end
    c.closed = true
    service.open = service.open - 1
    if handle:is_closing() then return end
    if how == "reset" then
      handle:read_stop()
      handle:close_reset()
      c.gone = true
    else
      handle:shutdown(function()
        if not handle:is_closing() then handle:close() end
        c.gone = true
        if service.serve_next then service.serve_next() end
      end)
    end
  end
  function c:write(bytes) if not c.closed and bytes ~= "" then handle:write(bytes) end end -- luacheck: ignore self
  function c:close() finish "eof" end -- luacheck: ignore self
  function c:reset() finish "reset" end -- luacheck: ignore self
  function c:after(seconds, fn) -- luacheck: ignore self
    local timer = uv.new_timer()
    service.timers[timer] = true
    timer:start(math.floor(seconds * 1000 + 0.5), 0, function()
      service.timers[timer] = nil
      timer:close()
      if not c.closed then fn() end
    end)
  end
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
  handle:read_start(function(err, bytes)
    if bytes then
      if not c.closed then c:on_data(bytes) end
    else
      if not c.closed then c:on_eof(err) end
      finish "eof"
      c.gone = true
      if service.serve_next then service.serve_next() end
    end
  end)
  return c
end

local function serve_serially(service)
  local line = {}
  function service.serve_next()
    while line[1] and line[1].c.gone do table.remove(line, 1) end
    local head = line[1]
    if head and not head.begun then
      head.begun = true
      service.serial(head.c)
      for _, bytes in ipairs(head.waiting) do head.c:on_data(bytes) end
    end
  end
  return function(c)
    local entry = { c = c, waiting = {} }
    function c:on_data(bytes) entry.waiting[#entry.waiting + 1] = bytes end
    line[#line + 1] = entry
    service.serve_next()
  end
end

--- Serve a TCP peer at a free port of 127.0.0.1.
-- @return service: port, accepted, close()
function real.tcp(peer, serial)
  local service = { accepted = 0, open = 0, timers = {}, handles = {}, serial = serial }
  local serve = serial and serve_serially(service) or peer
  local server = uv.new_tcp()
  assert(server:bind("127.0.0.1", 0))
  assert(server:listen(64, function()
    local handle = uv.new_tcp()
    server:accept(handle)
    service.handles[#service.handles + 1] = handle
    service.accepted, service.open = service.accepted + 1, service.open + 1
    serve(server_side(service, handle, service.accepted))
  end))
  service.port = server:getsockname().port
  function service.close()
    for timer in pairs(service.timers) do timer:close() end
    for _, handle in ipairs(service.handles) do if not handle:is_closing() then handle:close() end end
    server:close()
    uv.run "nowait"
  end
  return service
end

--- Serve a UDP peer at a free port of 127.0.0.1.
function real.udp(peer)
  local service = { timers = {}, count = 0 }
  local socket, other = uv.new_udp(), uv.new_udp()
  assert(socket:bind("127.0.0.1", 0))
  assert(other:bind("127.0.0.1", 0))
  service.port, service.other_port = socket:getsockname().port, other:getsockname().port
  socket:recv_start(function(err, data, from)
    if err or not from then return end
    service.count = service.count + 1
    local u = { data = data or "", from = from.ip, from_port = from.port, n = service.count }
    function u:reply(bytes, from_port) -- luacheck: ignore self
      (from_port and other or socket):try_send(bytes, from.ip, from.port)
    end
    function u:after(seconds, fn) -- luacheck: ignore self
      local timer = uv.new_timer()
      service.timers[timer] = true
      timer:start(math.floor(seconds * 1000 + 0.5), 0, function()
        service.timers[timer] = nil
        timer:close()
        fn()
      end)
    end
    peer(u)
  end)
  function service.close()
    for timer in pairs(service.timers) do timer:close() end
    socket:close()
    other:close()
    uv.run "nowait"
  end
  return service
end

--- A loop on the real engine that lets libuv serve the peers while it waits.
-- @return loop, close function
function real.loop()
  local core = require "mynah_core"
  local engine = assert(core.engine {})
  local poll = uv.new_poll(engine:fd())
  local timer = uv.new_timer()
  local function wait(_, seconds)
    local ready = false
    poll:start("r", function() ready = true end)
    if seconds then
      -- Due before the loop begins to wait, it fires first, and the loop would wait all the same.
      timer:start(math.max(0, math.ceil(seconds * 1000)), 0, function()
        ready = true
        uv.stop()
      end)
    end
    while not ready do uv.run "once" end
    poll:stop()
    timer:stop()
  end
  return require "mynah.loop".new { engine = engine, wait = wait }, function()
    poll:close()
    timer:close()
    uv.run "nowait"
    engine:close()
  end
end

return real
