-- What the specs of the program share: run it beside servers of the test's own, on one luv loop.

local cjson = require "cjson"
local uv = require "luv"

local support = {}

-- A peer that hangs up must not end the test.
local sigpipe = uv.new_signal()
sigpipe:start("sigpipe", function() end)
sigpipe:unref()

local root = os.getenv("MYNAH_ROOT") or debug.getinfo(1, "S").source:match("^@(.*)/tests/host/[^/]*$") or "."
support.root = root
support.mynah = os.getenv("MYNAH") or root .. "/build/bin/mynah"

package.path = root .. "/nse/nselib/?.lua;" .. root .. "/native/?.lua;" .. package.path
package.cpath = (os.getenv("MYNAH_BUILD") or root .. "/build") .. "/lua/" .. _VERSION:match "%d.%d" .. "/?.so;" .. package.cpath

local function environment(extra)
  local env = {}
  for name, value in pairs(uv.os_environ()) do
    if not (extra and extra[name] ~= nil) and name ~= "MYNAH_DEBUG" and name ~= "NO_COLOR" then
      env[#env + 1] = name .. "=" .. value
    end
  end
  for name, value in pairs(extra or {}) do
    if value then env[#env + 1] = name .. "=" .. value end
  end
  return env
end

--- Start a program; its output is gathered while the loop runs.
function support.spawn(path, args, options)
  options = options or {}
  local p = { out = "", err = "" }
  local out, err = uv.new_pipe(false), uv.new_pipe(false)
  p.handle, p.pid = uv.spawn(path, {
    args = args, stdio = { options.stdin, out, err }, env = environment(options.env),
  }, function(status, signal)
    p.status, p.signal = status, signal
    p.handle:close()
  end)
  assert(p.handle, p.pid)
  local open = 2
  for key, pipe in pairs { out = out, err = err } do
    pipe:read_start(function(_, bytes)
      if bytes then
        p[key] = p[key] .. bytes
      else
        pipe:close()
        open = open - 1
      end
    end)
  end
  function p.over() return p.status and open == 0 end
  function p.kill(signal) if not p.status then p.handle:kill(signal or "sigterm") end end
  return p
end

--- Add the lines of what an ended program printed.
function support.finish(p)
  p.lines = {}
  for line in p.out:gmatch("([^\n]*)\n") do p.lines[#p.lines + 1] = line end
  return p
end

--- Let the loop run until `done` says so. Fails after `seconds`.
function support.wait(done, seconds)
  local late = false
  local timer, ends = uv.new_timer(), uv.hrtime() + (seconds or 30) * 1e9
  -- It beats: a timer that is due before the loop begins to wait fires first, and the loop waits all the same, for the next one.
  timer:start(20, 20, function() late = uv.hrtime() > ends end)
  while not done() and not late do uv.run("once") end
  timer:close()
  uv.run("nowait") -- luv crashes at exit on a handle that was closed but not run to its end
  assert(not late or done(), "waited too long")
end

--- Let time pass.
function support.sleep(seconds)
  local over = false
  local timer = uv.new_timer()
  timer:start(math.floor(seconds * 1000), 0, function() over = true end)
  support.wait(function() return over end, seconds + 30)
  timer:close()
  uv.run("nowait")
end

--- Run the program to its end.
-- @param args array, or text that is split at spaces
-- @return table: status, signal, out, err, lines (of out)
function support.run(args, options)
  if type(args) == "string" then
    local words = {}
    for word in args:gmatch("%S+") do words[#words + 1] = word end
    args = words
  end
  return support.program(support.mynah, args, options)
end

--- Run any program to its end, as run does.
function support.program(path, args, options)
  local p = support.spawn(path, args, options)
  support.wait(p.over, options and options.seconds or 60)
  return support.finish(p)
end

--- The results that a program printed as lines of JSON, in the order of their addresses as text.
function support.rows_of(p)
  local rows = {}
  for i, line in ipairs(p.lines) do rows[i] = cjson.decode(line) end
  table.sort(rows, function(a, b) return a.ip .. a.port < b.ip .. b.port end)
  return rows
end

--- What a scan says at its end, "5 sent" and so on, by the words behind the numbers.
function support.summary(p)
  local counts = {}
  local line = p.err:match "([^\n]+ sent, [^\n]+)" or ""
  for count, what in line:gmatch "([%d,]+) ([%a ]+)[,;]" do counts[what] = tonumber((count:gsub(",", ""))) end
  return counts
end

--- Run a shell command, for redirections. "$MYNAH" is the program.
function support.shell(command, options)
  options = options or {}
  options.env = options.env or {}
  options.env.MYNAH = support.mynah
  local p = support.spawn("/bin/sh", { "-c", command }, options)
  support.wait(p.over, 60)
  return p
end

--- Start servers of the demo.
-- @param args array of words after `demo --serve`
-- @return table: stop(), pid, and for each kind its { ip, port, address }
function support.serve(args)
  local words = { "demo", "--serve" }
  for _, word in ipairs(args or {}) do words[#words + 1] = word end
  local p = support.spawn(support.mynah, words)
  local wanted = 0
  for _, word in ipairs(args or {}) do
    if word == "skype" or word == "ftp" or word == "http" then wanted = wanted + 1 end
  end
  if wanted == 0 then wanted = 3 end
  support.wait(function() return p.status or select(2, p.out:gsub("\n", "")) >= wanted end)
  assert(not p.status, "demo --serve ended: " .. p.err)
  local nodes = { pid = p.pid, process = p }
  for kind, address in p.out:gmatch("(%a+) (%S+) [%a+]+\n") do
    local ip, port = address:match("^%[?(.-)%]?:(%d+)$")
    nodes[kind] = { ip = ip, port = math.tointeger(tonumber(port)), address = address }
  end
  function nodes.stop()
    p.kill()
    support.wait(p.over)
    return p
  end
  return nodes
end

--- A TCP server of the test's own on loopback: on_connection(client) for each.
-- @return port and a function that closes it
function support.tcp_server(on_connection, address)
  local server, clients = uv.new_tcp(), {}
  assert(server:bind(address or "127.0.0.1", 0))
  assert(server:listen(64, function()
    local client = uv.new_tcp()
    server:accept(client)
    clients[#clients + 1] = client
    on_connection(client)
  end))
  return server:getsockname().port, function()
    for _, client in ipairs(clients) do
      if not client:is_closing() then client:close() end
    end
    server:close()
    uv.run("nowait")
  end
end

--- A web server at a port of every address of this machine.
-- @return as tcp_server
function support.web_everywhere()
  return support.tcp_server(function(client)
    client:read_start(function(_, bytes)
      if client:is_closing() then return end
      if not bytes then return client:close() end
      client:write("HTTP/1.0 404 Not Found\r\nServer: test\r\n\r\n", function()
        if not client:is_closing() then client:close() end
      end)
    end)
  end, "0.0.0.0")
end

--- An answer to a DNS question that verifies: nothing but its flags is turned.
function support.turned(bytes)
  return bytes:sub(1, 2) .. string.char(bytes:byte(3) | 0x80, bytes:byte(4) | 0x80) .. bytes:sub(5)
end

--- UDP servers of the test's own at PREFIX.1 to PREFIX.COUNT, all at one port.
-- @param behave function (n, bytes, times asked) giving an array of replies; without it each gives support.turned
-- @param delay milliseconds before a reply
-- @return port; an array that counts how often each was asked; a function that closes them
function support.udp_servers(prefix, count, behave, delay)
  behave = behave or function(_, bytes) return { support.turned(bytes) } end
  local sockets, port, asked, over = {}, nil, {}, false
  local function reply(socket, bytes, to)
    if not over then socket:send(bytes, to.ip, to.port, function() end) end
  end
  local function later(socket, bytes, to)
    local timer = uv.new_timer()
    timer:start(delay, 0, function()
      timer:close()
      reply(socket, bytes, to)
    end)
  end
  for n = 1, count do
    local socket = uv.new_udp()
    assert(socket:bind(prefix .. "." .. n, port or 0))
    port = port or socket:getsockname().port
    socket:recv_start(function(_, bytes, from)
      if not bytes or not from then return end
      asked[n] = (asked[n] or 0) + 1
      for _, each in ipairs(behave(n, bytes, asked[n])) do (delay and later or reply)(socket, each, from) end
    end)
    sockets[n] = socket
  end
  return port, asked, function()
    over = true
    for _, socket in ipairs(sockets) do socket:close() end
    uv.run "nowait"
  end
end

--- Send a datagram, gather what comes back for `seconds`.
function support.ask_udp(port, bytes, seconds, host)
  local socket, replies = uv.new_udp(), {}
  socket:bind(host == "::1" and "::1" or "127.0.0.1", 0)
  socket:recv_start(function(_, data) if data then replies[#replies + 1] = data end end)
  socket:send(bytes, host or "127.0.0.1", port)
  if (seconds or 0.2) > 1 then
    support.wait(function() return #replies > 0 end, seconds)
  else
    support.sleep(seconds or 0.2)
  end
  socket:close()
  uv.run("nowait")
  return replies
end

--- Connect, send, gather until the peer closes or `seconds` are over.
-- @return bytes, whether the peer closed
function support.ask_tcp(port, bytes, seconds)
  local socket, got, closed = uv.new_tcp(), "", false
  socket:connect("127.0.0.1", port, function(failure)
    if failure then
      closed = failure
      return
    end
    socket:read_start(function(_, data)
      if data then got = got .. data else closed = true end
    end)
    if bytes ~= "" then socket:write(bytes) end
  end)
  local over = false
  local timer = uv.new_timer()
  timer:start(math.floor((seconds or 0.3) * 1000), 0, function() over = true end)
  support.wait(function() return over or closed end)
  timer:close()
  if not socket:is_closing() then socket:close() end
  uv.run("nowait")
  return got, closed
end

--- True while a process lives.
function support.alive(pid)
  local file = io.open("/proc/" .. pid .. "/stat")
  if not file then return false end
  local state = file:read("a"):match("%) (%a)")
  file:close()
  return state ~= "Z" and state ~= "X"
end

--- Look every few milliseconds until `done` says so: for what no event tells.
function support.poll(done, seconds)
  local tries = (seconds or 30) * 100
  while not done() do
    tries = tries - 1
    assert(tries > 0, "waited too long")
    support.sleep(0.01)
  end
end

--- Wait until a started program catches SIGINT: it is waiting for something then, however slow the machine is.
function support.wait_catching(p)
  support.poll(function()
    local file = io.open(("/proc/%d/status"):format(p.pid))
    local caught = file and file:read("a"):match("SigCgt:%s*(%x+)")
    if file then file:close() end
    return p.status or (caught and tonumber(caught, 16) & 2 ~= 0)
  end)
end

--- Pids of the children of a process.
function support.children(pid)
  local file = io.open(("/proc/%d/task/%d/children"):format(pid, pid))
  local list = {}
  for child in (file and file:read("a") or ""):gmatch("%d+") do list[#list + 1] = tonumber(child) end
  if file then file:close() end
  return list
end

--- A file with these bytes, removed by remove().
function support.file(bytes, suffix)
  local path = os.tmpname()
  os.remove(path)
  path = path .. (suffix or "")
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
  support.files[#support.files + 1] = path
  return path
end
support.files = {}

function support.remove()
  for _, path in ipairs(support.files) do os.remove(path) end
  support.files = {}
end

return support
