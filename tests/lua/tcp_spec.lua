-- TCP: every row of support/peers.lua is named as it must be, and never more; under the virtual engine.
local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
package.path = here .. "/support/?.lua;" .. package.path
local paths = require "paths"
local peers = require "peers"
local virtual = require "virtual"
local identify = require "mynah.identify"

local function ask(row, signatures)
  math.randomseed(7)
  local w = virtual.new()
  w.tcp[1] = { peer = row[2], refuse = row.refuse, serial = row.serial }
  local began = w.clock
  local results = identify.run(w:loop(), {
    signatures = signatures, patience = row.patience or 30, max_connections = row.max_connections,
    targets = { { ip = "127.0.0.1", port = 1, transport = "tcp", open = row.open, begun = row.begun } },
  })
  return results[1], w.tcp[1].accepted or 0, w.clock - began
end

-- With and without the signatures of the source tree: what they name must not hide what the questions must settle.
for _, with in ipairs { "alone", "with signatures" } do
describe("tcp " .. with, function()
  if with ~= "alone" and not paths.has_core then return pending("mynah_core is not built") end
  for _, row in ipairs(peers.tcp) do
    it(row[1], function()
      local want = row[3]
      local service = with ~= "alone" and want.signed or want.service
      local got, connections, took = ask(row, with == "alone" and paths.no_signatures() or paths.signatures())
      local story = row[1] .. " -> " .. table.concat(got.evidence, "; ")
      assert.are.equal(want.state or "open", got.state)
      assert.are.equal(service or nil, got.service, story)
      if want.tls ~= nil then assert.are.equal(want.tls, got.tls, story) end
      if service then
        assert.is_true(got.confidence >= 0.9)
      else
        assert.is_true(got.confidence < 0.9)
        assert.are_not.equal(nil, got.evidence[1])
      end
      for _, key in ipairs { "guess", "product", "version", "extra" } do
        if want[key] then assert.are.equal(want[key], got[key], story) end
      end
      assert.is_true(connections <= (want.most or 6), connections .. " connections: " .. story)
      assert.is_true(took <= (want.within or 2 * (row.patience or 30) + 10), took .. " s: " .. story)
      for _, line in ipairs(got.evidence) do assert.is_nil(line:find("%c"), "unescaped: " .. story) end
    end)
  end
end)
end

-- A conversation of several requests on one connection, in the words of a signature.
describe("tcp by signature", function()
  if not paths.has_core then return pending("mynah_core is not built") end
  local text = [[
service oracle
sig oracle
  over  tcp
  send  "WHO ARE YOU?\n"
  until "\n.\n"
  @ starts "I AM THE ORACLE"
  soft step "AND HOW OLD ARE " n?8:alnum "?\n"
  @ starts "VERSION "
  @ has $n
  @ ~ m/^VERSION (?<version>[0-9.]+)/
  version "$version"
service gate
sig gate
  over  tcp
  again
  send  "KNOCK\n"
  @ starts "TICKET"
  case  @6 = " "
    step "SHOW " r@7:4 "\n"
    @ starts "COME IN"
  case  @6 = "/"
    @7:4 = "FREE"
]]
  -- Answers line by line on every connection.
  local function answering(fn)
    return function(c)
      local rest = ""
      function c:on_data(bytes)
        rest = rest .. bytes
        for line in rest:gmatch "([^\n]*)\n" do
          local answer = fn(line, self)
          if answer then self:write(answer) end
        end
        rest = rest:match "[^\n]*$"
      end
    end
  end
  local function oracle(line)
    local nonce = line:match "^AND HOW OLD ARE (%w+)%?$"
    if nonce then return "VERSION 1.2 for " .. nonce .. "\n.\n" end
    return line == "WHO ARE YOU?" and "I AM THE ORACLE\n.\n" or nil
  end
  local function mute(line) return line == "WHO ARE YOU?" and "I AM THE ORACLE\n.\n" or nil end
  local function gate(line, connection) -- who knocked here does not come in here
    if line == "KNOCK" then
      connection.knocked = true
      return "TICKET 4711 of ours\n"
    end
    return line == "SHOW 4711" and not connection.knocked and "COME IN, STRANGER\n" or "NO\n"
  end
  local function locked(line) return line == "KNOCK" and "TICKET 4711 of ours\n" or "GO AWAY\n" end
  local function free(line) return line == "KNOCK" and "TICKET/FREE\n" or "NO\n" end

  for _, row in ipairs {
    { "a step tells the version", oracle, service = "oracle", version = "1.2" },
    { "a step without an answer takes nothing away", mute, service = "oracle" },
    { "a step carries what the reply before said, over a connection of its own", gate, service = "gate" },
    { "a step that must be answered refuses", locked },
    { "a case of its own", free, service = "gate" },
  } do
    it(row[1], function()
      local db = assert(require "mynah_core".signatures())
      assert(db:add(text, "text"))
      local got = ask({ row[1], answering(row[2]) }, db)
      assert.are.equal(row.service, got.service, table.concat(got.evidence, "; "))
      assert.are.equal(row.version, got.version)
    end)
  end
end)

describe("tcp by signature,", function()
  if not paths.has_core then return pending("mynah_core is not built") end
  local function db_of(text)
    local db = assert(require "mynah_core".signatures())
    assert(db:add(text, "text"))
    return db
  end

  local FRAMED = [[
service s%02d
sig s%02d
  over  tcp
  send  %02x %02x id?8
  @0:2  = "RE"
  @2:8  = $id
  @10   starts "answered"
]]

  it("who answers in frames is asked in such first, of twenty that might be", function()
    local parts = {}
    for i = 1, 20 do parts[i] = FRAMED:format(i, i, 0x80 + i, i) end
    for _, i in ipairs { 1, 10, 20 } do
      local head = string.char(0x80 + i, i)
      local got = ask({ "frames", function(c)
        function c:on_data(bytes)
          self:write(bytes:sub(1, 2) == head and "RE" .. bytes:sub(3) .. "answered" or head .. "\0\0what?")
          self:close()
        end
      end }, db_of(table.concat(parts)))
      assert.equal(("s%02d"):format(i), got.service, table.concat(got.evidence, "; "))
    end
  end)

  it("who takes a second to answer the broken probe, too, is not it", function()
    local db = db_of [[
service careful
sig careful
  over  tcp
  send  id?8 01 "careful"
  @0:8  = $id
  @8    starts "careful says"
  control q@8 ^ 80
]]
    for _, strict in ipairs { false, true } do
      local got = ask({ "late", function(c)
        function c:on_data(bytes)
          if bytes:sub(10) ~= "careful" or strict and bytes:byte(9) ~= 1 then return end
          self:after(0.9, function() self:write(bytes:sub(1, 8) .. "careful says") end)
        end
      end }, db)
      assert.equal(strict and "careful" or nil, got.service, table.concat(got.evidence, "; "))
    end
  end)
end)

-- What the connection shows by which a port was found; and that it counts where the port is asked on.
describe("tcp settled at once", function()
  if not paths.has_core then return pending("mynah_core is not built") end
  local tcp = require "mynah.tcp"
  local signatures = require "mynah.signatures"
  local page = "HTTP/1.1 200 OK\r\nServer: nginx/1.24.0\r\n\r\n<title>Hi</title>"
  local sigs = signatures.new(paths.signatures())
  for _, row in ipairs {
    { "a page, and closed", { asked = true, ended = "eof", data = page }, "http" },
    { "a page, and silence", { asked = true, data = page }, "http" },
    { "a page that was not asked for: who speaks first is heard out", { data = page } },
    { "headers that go on", { asked = true, data = page:sub(1, 40) } },
    { "headers cut by a close", { asked = true, ended = "eof", data = page:sub(1, 40) }, "http" },
    { "Skype's 404: it must be asked on", { asked = true, ended = "eof", data = "HTTP/1.0 404 Not Found\r\n\r\n" } },
    { "a 400: it may want TLS", { asked = true, ended = "eof", data = "HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n" } },
    { "a status line alone", { asked = true, ended = "eof", data = "HTTP/1.1 200 OK\r\n\r\n" } },
    { "RTSP", { asked = true, ended = "eof", data = "RTSP/1.0 400 Bad Request\r\n\r\n" }, "rtsp" },
    { "bytes", { asked = true, ended = "eof", data = "\21\3\1\0\2\2\50" } },
    { "a banner that signatures know", { data = "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n" }, "ssh" },
    { "bytes that signatures know", { data = "NBDMAGICIHAVEOPT\0\3" }, "nbd" },
    { "a TLS alert: what is within must be asked", { asked = true, ended = "eof", data = "\21\3\1\0\2\2\50" } },
    { "the half of it", { data = "SSH-2.0-Open" } },
    { "the answer to our question, not a banner", { asked = true, data = "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n" } },
    { "a number: it is asked back", { data = "220 (vsFTPd 3.0.5)\r\n" } },
  } do
    it(row[1], function()
      local got = tcp.settle({ host = "127.0.0.1", port = 1, begun = row[2] }, sigs, { unix = function() return 0 end })
      assert.are.equal(row[3], got and got.service)
      if got then assert.are.equal(#row[2].data, got.received) end
    end)
  end

  it("who took its time for that answer is given it for the next", function()
    local w = virtual.new()
    w.tcp[1] = { peer = function(c)
      function c:on_data(bytes)
        if bytes:find "^OPTIONS" then self:after(3, function() self:write "RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n" end) end
      end
    end }
    local target = { ip = "127.0.0.1", port = 1, transport = "tcp", open = true, begun = { asked = true, ended = "eof", took = 3,
      data = "HTTP/1.0 503 Service Unavailable\r\nServer: GStreamer RTSP server\r\n\r\n" } }
    assert.equal("rtsp", identify.run(w:loop(), { signatures = sigs, patience = 12, targets = { target } })[1].service)
  end)

  for _, row in ipairs(peers.tcp) do
    if row.hung_up then
      it("who hung up before: " .. row[1], function()
        local got = ask(setmetatable({ begun = { asked = true, ended = row.hung_up, data = "" } }, { __index = row }), sigs)
        assert.equal(row[3].signed, got.service, table.concat(got.evidence, "; "))
      end)
    end
  end

  it("who hung up before serves one after the other, it may be: then nobody is listened to", function()
    local w = virtual.new()
    w.tcp[1] = { peer = function() end, serial = function(c)
      function c:on_data(bytes)
        if bytes:byte() == 22 then self:write "\21\3\1\0\2\2\50" end
        self:close()
      end
    end }
    local begun = { asked = true, ended = "eof", data = "" }
    local target = { ip = "127.0.0.1", port = 1, transport = "tcp", open = true, begun = begun }
    local got = identify.run(w:loop(), { signatures = sigs, patience = 12, targets = { target } })[1]
    assert.is_true(got.tls, table.concat(got.evidence, "; "))
  end)

  it("what could not be asked any more leaves a guess: others say HTTP, too", function()
    local w, ending = virtual.new(), "Server: GStreamer RTSP server\r\n\r\n"
    local function peer(c)
      function c:on_data(bytes)
        if bytes:find "^GET" then
          self:after(4, function()
            self:write("HTTP/1.0 503 Service Unavailable\r\n" .. ending)
            self:close()
          end)
        end
      end
    end
    w.tcp[1] = { peer = peer }
    local target = { ip = "127.0.0.1", port = 1, transport = "tcp", open = true }
    local got = identify.run(w:loop(), { signatures = sigs, patience = 12, max_connections = 3, targets = { target } })[1]
    assert.same({ nil, "http" }, { got.service, got.guess })
    ending = "\r\n<html><body>No server is available</body></html>"
    w = virtual.new()
    w.tcp[1] = { peer = peer }
    got = identify.run(w:loop(), { signatures = sigs, patience = 12, max_connections = 3, targets = { target } })[1]
    assert.equal("http", got.service)
  end)

  it("no question is asked twice, and six connections are all of them", function()
    local asked = {}
    local w = virtual.new()
    w.tcp[1] = { peer = function(c)
      function c:on_data(bytes) asked[#asked + 1] = bytes end -- luacheck: ignore self
    end }
    local target = { ip = "127.0.0.1", port = 1, transport = "tcp", open = true, begun = { asked = true, ended = "eof",
      data = "HTTP/1.1 503 Busy\r\n\r\n" } }
    identify.run(w:loop(), { signatures = sigs, patience = 3, targets = { target } })
    assert.is_true(#asked > 0 and w.tcp[1].accepted <= 5, w.tcp[1].accepted .. " connections")
    for _, bytes in ipairs(asked) do assert.is_nil(bytes:find("^GET / HTTP/1.1")) end
  end)
end)

-- A session that hides nothing.
local function plain()
  local s = { data = "" }
  function s:output() return self.closed and error "closed" or "" end
  function s:feed(bytes) self.data = self.closed and error "closed" or self.data .. bytes end
  function s:read() -- luacheck: ignore self
    local bytes = self.data
    self.data = ""
    return bytes
  end
  function s:handshake() return true end -- luacheck: ignore self
  function s:info() return {} end -- luacheck: ignore self
  function s:close() self.closed = true end
  return s
end

describe("within TLS", function()
  local secure, transport = require "mynah.secure", require "mynah.transport"

  it("a connection that another task closes wakes who receives on it", function()
    local w, got, status = virtual.new(), nil, nil
    w.tcp[1] = { peer = function() end }
    local l = w:loop()
    l:run(function(t)
      local conn = secure.over(t, plain):connect("127.0.0.1", 1, t:now() + 3)
      local task = l:spawn(function() got, status = conn:receive(t:now() + 30) end)
      t:sleep(1)
      conn:close()
      task:wait()
    end, transport.new { loop = l })
    assert.same({ "", "closed" }, { got, status })
  end)
end)
