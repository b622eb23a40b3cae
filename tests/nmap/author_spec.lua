-- author_spec.lua - the library as other authors use it: in scripts of their own, inside Nmap and in plain Lua.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local support = require "support"
local child, uv = support.child, support.uv

local HEAD = [[
local mynah = require "mynah"
description = "a test"
categories = { "safe" }
portrule = function() return true end
]]

after_each(support.clean)

-- Run an action of these lines at ports; what it returned for each, by port.
local function run(lines, ports, options)
  options = options or {}
  local path = support.write(support.temp ".nse", (options.head or HEAD) .. "action = function(host, port)\n" .. lines
    .. "\nend\n")
  local name = path:match("([^/]+)%.nse$")
  local result = support.nmap { "-sT", "-p", support.list(ports), "--script", path, "127.0.0.1",
    table.unpack(options.more or {}) }
  local found = {}
  for _, port in ipairs(result.ports) do found[port.port] = (port.scripts[name] or {}).output end
  assert.equal(0, result.exit)
  return found, result
end

-- A TCP port whose number a UDP peer has too: the script runs for the one and asks the other, without a UDP scan, so
-- without root.
local function pair(answer)
  local udp = support.udp(answer)
  local tcp = support.tcp(function(handle, self) self.read(handle) end, udp.port)
  return { port = udp.port, udp = udp, close = function() udp.close() tcp.close() end }
end

describe("mynah.exchange in a script of Nmap", function()
  it("asks again while the peer is silent, and says which datagram was answered", function()
    local asked = 0
    local peer = pair(function(bytes)
      asked = asked + 1
      if asked == 3 then return "answer to " .. bytes end
    end)
    local found = run([[
      local r = assert(mynah.exchange(host, port, { "one", "two", "three", "four" }))
      return ("%s|%s|%d|%s|%s|%s"):format(r.data, r.request, r.attempt, r.from, r.my, r.rtt > 0 and r.rtt < 1)
    ]], { peer })
    peer.close()
    assert.equal("answer to three|three|3|127.0.0.1|127.0.0.1|true", found[peer.port])
    assert.equal(3, asked)
    local ports = {}
    for _, entry in ipairs(peer.udp.log) do ports[entry.from_port] = true end
    assert.equal(3, support.count(ports)) -- each from a port of its own
  end)

  it("sends one string up to three times, and says when nothing came", function()
    local peer = pair(function() end)
    local found = run('return table.concat({ tostring((mynah.exchange(host, port, "x", { timeout = 0.3 }))), '
      .. '(select(2, mynah.exchange(host, port, "x", { timeout = 0.3 }))) }, "|")', { peer })
    peer.close()
    assert.equal("nil|no-response", found[peer.port])
    assert.equal(6, peer.udp.count)
  end)

  it("waits for the right answer", function()
    local socket = uv.new_udp()
    local port = support.ports.pick()
    assert(socket:bind("127.0.0.1", port))
    socket:recv_start(function(_, data, from)
      if not data or not from then return end
      for _, reply in ipairs { "noise", "more noise", "right" } do socket:try_send(reply, from.ip, from.port) end
    end)
    local tcp = support.tcp(function(handle, self) self.read(handle) end, port)
    local found = run([[
      return mynah.exchange(host, port, "x", { accept = function(r) return r.data == "right" end }).data
    ]], { port })
    tcp.close()
    socket:close()
    assert.equal("right", found[port])
  end)

  it("says that nobody listens", function()
    local tcp = support.tcp(function(handle, self) self.read(handle) end)
    local found = run('return (select(2, mynah.exchange(host, port, "x")))', { tcp })
    tcp.close()
    assert.equal("port-unreach", found[tcp.port])
  end)

  it("takes names and numbers too, and says what is wrong with them", function()
    local peer = pair(function(bytes) return bytes end)
    local found = run(([[
      local out = {}
      out[1] = mynah.exchange("127.0.0.1", %d, "a").data
      out[2] = mynah.exchange("localhost", %d, "b").data
      for i, bad in ipairs { { "127.0.0.1", 0 }, { "127.0.0.1", "80" }, { "no-such-host.invalid", 80 } } do
        local r, message = mynah.exchange(bad[1], bad[2], "c")
        out[#out + 1] = tostring(r) .. (type(message) == "string" and #message > 5 and " message" or "")
      end
      out[#out + 1] = tostring(pcall(mynah.exchange, nil, 80, "c"))
      return table.concat(out, "|")
    ]]):format(peer.port, peer.port), { peer })
    peer.close()
    assert.equal("a|b|nil message|nil message|nil message|false", found[peer.port])
  end)

  it("by many scripts at once", function()
    local peers = {}
    for i = 1, 60 do peers[i] = pair(function(bytes) return bytes end) end
    local found = run([[
      local bytes = mynah.random(16)
      for i = 1, 5 do
        local r = mynah.exchange(host, port, bytes)
        if not r or r.data ~= bytes then return "failed" end
      end
      return "fine"
    ]], peers)
    for _, peer in ipairs(peers) do
      peer.close()
      assert.equal("fine", found[peer.port])
    end
  end)

  it("raises what accept raises, and the others go on", function()
    local peer = pair(function(bytes) return bytes end)
    local found = run([[
      local ok, why = pcall(mynah.exchange, host, port, "x", { accept = function() error("own trouble", 0) end })
      return tostring(ok) .. " " .. why .. " " .. mynah.exchange(host, port, "y").data
    ]], { peer })
    peer.close()
    assert.equal("false own trouble y", found[peer.port])
  end)
end)

describe("in a script of Nmap", function()
  it("mynah.replay, mynah.match, mynah.explain and mynah.identify work as in plain Lua", function()
    local node, port = support.demo("skype")
    local found = run([[
      local probe = mynah.hex "924002a16665ea0d8c82c30c27cdc5e74e78fea150a6"
      local results = mynah.replay({ probe, "\1", probe }, host, port, { timeout = 0.5 })
      local names = {}
      for _, r in ipairs(mynah.identify(host, port)) do names[#names + 1] = r.transport .. " " .. tostring(r.service) end
      return ("%s %s %s|%s|%s|%s"):format(results[1].reply ~= nil, results[2].reason, results[3].reply ~= nil,
        mynah.match(results[1].sent, results[1].reply, results[1])[1].service,
        mynah.explain(results[1].sent, results[1].reply, results[1])[1], table.concat(names, ","))
    ]], { port })
    node:stop()
    assert.equal("true no-response true|skype|skype: every line of skype holds|tcp skype,udp skype", found[port])
  end)

  it("mynah.run races two questions", function()
    local fast, slow = pair(function(bytes) return bytes end), pair(function() end)
    local found = run(([[
      return mynah.run(function(t)
        local function ask(number)
          return function()
            local x = assert(t:udp(host.ip, number, { "x" }, { timeout = 2 }))
            return x:reply() and ("%%d"):format(number)
          end
        end
        return (t:race { ask(%d), ask(%d) })
      end)
    ]]):format(slow.port, fast.port), { fast })
    fast.close()
    slow.close()
    assert.equal(tostring(fast.port), found[fast.port])
  end)

  it("nothing stands still meanwhile", function()
    local silent = pair(function() end)
    local head = HEAD .. [[
local core = require "mynah_core"
local stdnse = require "stdnse"
local worst = 0
]]
    local found = run([[
      local over = false
      stdnse.new_thread(function()
        while not over do
          local began = core.now()
          stdnse.sleep(0.1)
          worst = math.max(worst, core.now() - began - 0.1)
        end
      end)
      mynah.exchange(host, port, { "a", "b" }, { timeout = 1 })
      mynah.replay({ "a", "b" }, host, port, { timeout = 2 })
      over = true
      return worst < 0.5 and "went on" or "stood still for " .. worst
    ]], { silent }, { head = head })
    silent.close()
    assert.equal("went on", found[silent.port])
  end)

  it("strict mode has nothing to say: no global is read or written", function()
    local peer = pair(function(bytes) return bytes end)
    local _, result = run('mynah.exchange(host, port, "x") return "fine"', { peer }, { more = { "-d" } })
    peer.close()
    assert(not result.out:find("variable '[%w_]+' is not declared") and not result.out:find("undeclared"), result.out)
  end)
end)

describe("the guide's script", function()
  local text = support.read(here .. "example.nse")

  it("stands in README.md as it is run here", function()
    local readme = support.read(support.root .. "/README.md")
    assert.truthy(readme:find("Write your own probe script", 1, true))
    assert.truthy(readme:find(text, 1, true), "the script in README.md is not tests/nmap/example.nse")
  end)

  it("is short", function() assert(select(2, text:gsub("\n", "")) <= 24) end)

  it("works", function()
    if uv.getuid() ~= 0 then return pending "a UDP scan needs root" end
    local node, port = support.demo("skype", "--drop", "0.3")
    local result = support.nmap("-sU -p " .. port .. " --script " .. here .. "example.nse 127.0.0.1")
    node:stop()
    local output = result["udp " .. port].scripts.example.output
    assert(output:find("^skype sees us at 127%.0%.0%.1; attempt [123], [%d.]+ ms$"), output)
  end)

  it("says nothing of who is not asked or does not answer so", function()
    if uv.getuid() ~= 0 then return pending "a UDP scan needs root" end
    local echo, silent = support.udp(function(bytes) return bytes end), support.udp()
    local result = support.nmap { "-sU", "-p", support.list { echo, silent }, "--script", here .. "example.nse", "127.0.0.1" }
    echo.close()
    silent.close()
    for _, port in ipairs(result.ports) do assert.same({}, port.scripts) end
  end)
end)

describe("in plain Lua", function()
  for _, version in ipairs { "5.3", "5.4" } do
    it("mynah.exchange asks again, waits for the right answer, says why not: Lua " .. version, function()
      local asked = 0
      local peer = support.udp(function(bytes)
        asked = asked + 1
        if asked >= 2 then return bytes .. "!" end
      end)
      local closed = support.ports.pick()
      local program = support.write(support.temp ".lua", [[
        local mynah = require "mynah"
        local r = assert(mynah.exchange("127.0.0.1", tonumber(arg[1]), { "a", "b" }, { timeout = 1 }))
        print(r.data, r.request, r.attempt, r.peer_port == tonumber(arg[1]))
        print(mynah.exchange({ ip = "127.0.0.1" }, { number = tonumber(arg[2]) }, "x"))
        print(mynah.run(function(t) return t:now() > 0 end))
      ]])
      local env = support.env { LUA_PATH = support.root .. "/nse/nselib/?.lua;;",
        LUA_CPATH = support.build .. "/lua/" .. version .. "/?.so;;" }
      local result = assert(child.run("lua" .. version, { program, tostring(peer.port), tostring(closed) }, 30, { env = env }))
      peer.close()
      assert.equal("b!\tb\t2\ttrue\nnil\tport-unreach\ntrue\n", result.out .. result.err)
    end)
  end
end)

describe("mynah.learn in a script of Nmap", function()
  local capture = dofile(here .. "../host/capture.lua")

  local function refuse(bytes, from)
    if #bytes < 3 or bytes:byte(3) & 15 ~= 2 then return nil end
    local ip = from.ip:gsub("(%d+)%.?", function(n) return string.char(tonumber(n)) end)
    return bytes:sub(1, 2) .. string.char(7 | uv.random(1):byte() & 0x70) .. ip .. uv.random(4)
  end

  it("asks the port with what a capture holds, and gives a signature that names it", function()
    local peer = pair(refuse)
    local path = support.write(support.temp ".pcap", capture.write { { data = "\x92\x40\x02" .. ("x"):rep(19) } })
    local found = run(([[
      local learned, message = mynah.learn { captures = { %q }, host = host, port = port, rate = 400, budget = 200,
        service = "node" }
      if not learned then return message end
      return learned.text .. tostring(learned.verdict.service) .. " " .. learned.sent
    ]]):format(path), { peer })
    local text = found[peer.port]
    peer.close()
    assert.truthy(text:find "@0:2 += %$id" and text:find "@3:4 += my%.ip" and text:find "vary +@7:4", text)
    assert.equal(("node %d"):format(peer.udp.count), text:match "[^\n]*$")
    assert.truthy(peer.udp.count <= 200, peer.udp.count)
  end)
end)
