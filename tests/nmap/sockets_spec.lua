-- What the sockets of scripts give, in Nmap and in `mynah run`, against servers of the test's own: the table of the contract.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path

local support = require "support"
local uv = support.uv

-- { what is tried, the script's code, what it gives }. `tcp(name)` connects to the server of that name.
local ROWS = {
  { "a read that times out", "return tcp 'silent':receive()", "nil TIMEOUT" },
  { "a read at the end", "return tcp 'closes':receive()", "nil EOF" },
  { "an end with bytes before it", "local s = tcp 'abc_closes' return s:receive_bytes(10)", "true abc" },
  { "after that", "local s = tcp 'abc_closes' s:receive_bytes(10) return s:receive()", "nil EOF" },
  { "a time's end with bytes before it", "return tcp 'abc':receive_bytes(10)", "true abc" },
  { "lines that do not come", "return tcp 'abc':receive_lines(1)", "true abc" },
  { "more lines than asked for", "return tcp 'lines':receive_lines(1)", "true a\\nb\\nc\\n" },
  { "more bytes than asked for", "return tcp 'lines':receive_bytes(2)", "true a\\nb\\nc\\n" },
  { "a buffer with a pattern", "local s = tcp 'lines' local _, a = s:receive_buf('\\n', false) local _, b = " ..
    "s:receive_buf('\\n', true) return a, b", "a b\\n" },
  { "a buffer that plain receive ignores", "local s = tcp 'lines_closes' s:receive_buf('\\n', false) return s:receive()",
    "nil EOF" },
  { "a buffer outlives the end", "local s = tcp 'lines_closes' s:receive_buf('\\n', false) s:receive() " ..
    "return s:receive_buf('\\n', false)", "true b" },
  { "a buffer with a function", "return tcp 'lines':receive_buf(function(b) return b:find('b', 1, true) end, true)",
    "true a\\nb" },
  { "a buffer whose delimiter does not come", "return tcp 'abc_closes':receive_buf('x', false)", "nil EOF" },
  { "a chunk that is full is followed by another", "local _, d = tcp 'big':receive_bytes(20000) return #d", "20000" },
  { "a reset", "local s = tcp 'resets' s:send 'x' return s:receive()", "nil ERROR" },
  { "after a reset", "local s = tcp 'resets' s:send 'x' s:receive() return s:receive()", "nil EOF" },
  { "a refused connection", "return nmap.new_socket():connect(host, 1)", "nil ERROR" },
  { "a name that is none", "return (nmap.new_socket():connect('no-such-name.invalid', 1))", "false" },
  { "a timeout of nothing", "local s = tcp 'silent' s:set_timeout(0) return s:receive()", "nil TIMEOUT" },
  { "a timeout of nothing, and bytes that are there", "local s = tcp 'abc' s:set_timeout(0) return s:receive()", "true abc" },
  { "a timeout below -1", "return (pcall(tcp('abc').set_timeout, tcp 'abc', -2))", "false" },
  { "set_timeout", "return nmap.new_socket():set_timeout(5)", "true" },
  { "close", "local s = tcp 'silent' return s:close(), s:close()", "true false socket already closed" },
  { "what is done after close", "local s = tcp 'silent' s:close() return pcall(s.send, s, 'x')",
    "false socket must be connected" },
  { "a certificate without TLS", "local s = tcp 'silent' return pcall(s.get_ssl_certificate, s)",
    "false bad argument #1 to '?' (not a SSL socket)" },
  { "get_info", "local s = tcp 'silent' local ok, mine, port, peer, peer_port = s:get_info() " ..
    "return ok, mine, math.type(port), peer, peer_port == port_of 'silent'",
    "true 127.0.0.1 integer 127.0.0.1 true" },
  { "TLS where there is none", "return nmap.new_socket():connect(host, port_of 'closes', 'ssl')", "nil ERROR" },
  { "UDP to a closed port", "local s = udp(1) return s:send 'x', s:receive()", "true nil ERROR" },
  { "UDP answered", "local s = udp(port_of 'echo') s:send 'ping' return s:receive()", "true ping" },
  { "UDP of nothing", "local s = udp(port_of 'echo') s:send '' return s:receive()", "nil EOF" },
  { "UDP cut at 8192", "local s = udp(port_of 'large') s:send 'x' local _, d = s:receive() return #d", "8192" },
  { "UDP from another port", "local s = udp(port_of 'other') s:send 'x' return s:receive()", "nil TIMEOUT" },
  { "sendto, and any peer", "local s = nmap.new_socket 'udp' s:set_timeout(2000) s:sendto(host, port_of 'other', 'x') " ..
    "return s:receive()", "true elsewhere" },
  { "sendto sees no ICMP", "local s = nmap.new_socket 'udp' s:set_timeout(200) s:sendto(host, 1, 'x') return s:receive()",
    "nil TIMEOUT" },
  { "an address that is not ours to bind", "local s = nmap.new_socket 'udp' return s:bind('192.0.2.1', 7), " ..
    "s:connect(host, 9, 'udp')", "true true" },
  { "a port that is taken", "local s = nmap.new_socket 'udp' s:bind(nil, port_of 'echo') " ..
    "return s:connect(host, port_of 'echo', 'udp')", "true" },
  { "a bound port", "local s = nmap.new_socket 'udp' s:bind(nil, 0) s:connect(host, 9, 'udp') return (s:get_info())", "true" },
}

local HEAD = [[
local nmap, stdnse = require "nmap", require "stdnse"
description, author, license, categories = "d", "a", "l", { "safe" }
function prerule() return true end
local host = { ip = "127.0.0.1" }
local function port_of(name) return tonumber(stdnse.get_script_args(name)) end
local function tcp(name)
  local s = nmap.new_socket()
  s:set_timeout(300)
  assert(s:connect(host, port_of(name), "tcp"))
  stdnse.sleep(0.05) -- what the server says first is there
  return s
end
local function udp(port)
  local s = nmap.new_socket "udp"
  s:set_timeout(1000)
  s:connect(host, port, "udp")
  return s
end
]]

local function script()
  local bodies = {}
  for i, row in ipairs(ROWS) do bodies[i] = row[2] end
  return support.row_script(HEAD, bodies)
end

local function shut(handle) handle:shutdown(function() end) end

-- What each server does with a client once it is connected.
local SERVERS = {
  silent = function() end,
  closes = shut,
  abc = function(c) c:write "abc" end,
  abc_closes = function(c) c:write "abc" shut(c) end,
  lines = function(c) c:write "a\nb\nc\n" end,
  lines_closes = function(c) c:write "a\nb\nc\n" shut(c) end,
  big = function(c) c:write(("x"):rep(20000)) end,
  resets = function(c) c:read_start(function(_, bytes) if bytes then c:close_reset() end end) end,
}

local function serve_tcp(on_client)
  local server, clients = uv.new_tcp(), {}
  assert(server:bind("127.0.0.1", 0))
  assert(server:listen(64, function()
    local client = uv.new_tcp()
    server:accept(client)
    clients[#clients + 1] = client
    on_client(client)
  end))
  return server:getsockname().port, function()
    for _, client in ipairs(clients) do if not client:is_closing() then client:close() end end
    server:close()
  end
end

local function serve_udp(answer)
  local socket = uv.new_udp()
  assert(socket:bind("127.0.0.1", 0))
  socket:recv_start(function(_, data, from)
    if from then answer(socket, data or "", from) end
  end)
  return socket:getsockname().port, function() socket:close() end
end

describe("the sockets of scripts", function()
  local closers, arguments = {}, {}

  setup(function()
    local function add(name, port, close)
      arguments[#arguments + 1] = ("%s=%d"):format(name, port)
      closers[#closers + 1] = close
    end
    for name, on_client in pairs(SERVERS) do add(name, serve_tcp(on_client)) end
    add("echo", serve_udp(function(socket, data, from) socket:send(data, from.ip, from.port) end))
    add("large", serve_udp(function(socket, _, from) socket:send(("y"):rep(9000), from.ip, from.port) end))
    local elsewhere = uv.new_udp()
    elsewhere:bind("127.0.0.1", 0)
    closers[#closers + 1] = function() elsewhere:close() end
    add("other", serve_udp(function(_, _, from) elsewhere:send("elsewhere", from.ip, from.port) end))
  end)

  teardown(function()
    for _, close in ipairs(closers) do close() end
    uv.run "nowait"
    support.clean()
  end)

  local function run(program, words)
    local process = support.run_whole(program, words)
    return support.row_results(process.rest), process.rest .. process.errors
  end

  local function check(found, said)
    for i, row in ipairs(ROWS) do
      assert.equal(row[1] .. ": " .. row[3], row[1] .. ": " .. tostring(found[i]), said)
    end
  end

  it("give in Nmap what the table says", function()
    check(run(support.nmap_path, { "-n", "-sn", "--script", script(), "--script-args", table.concat(arguments, ","),
      "127.0.0.1" }))
  end)

  it("give the same in mynah run", function()
    check(run(support.mynah, { "run", script(), "127.0.0.1", "-p", "1", "--script-args", table.concat(arguments, ",") }))
  end)
end)
