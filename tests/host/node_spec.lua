-- The demo's servers, byte by byte: what tests and users take for the real thing.
local support = dofile((debug.getinfo(1, "S").source:match("^@(.*)/") or ".") .. "/support.lua")
local ask_udp, ask_tcp = support.ask_udp, support.ask_tcp

local STUDENTS = "\x92\x40\x02\xa1\x66\x65\xea\x0d\x8c\x82\xc3\x0c\x27\xcd\xc5\xe7\x4e\x78\xfe\xa1\x50\xa6"

local function one(replies)
  assert.equal(1, #replies)
  return replies[1]
end

describe("the Skype-like node over UDP", function()
  local nodes, port
  setup(function()
    nodes = support.serve { "skype" }
    port = nodes.skype.port
  end)
  teardown(function() nodes.stop() end)

  it("refuses the students' probe: id, kind 5 or 7, our address, 4 moving bytes", function()
    local kinds, highs, tails = {}, {}, {}
    for _ = 1, 40 do
      local reply = one(ask_udp(port, STUDENTS, 20))
      assert.equal(11, #reply)
      assert.equal("\x92\x40", reply:sub(1, 2))
      local f = reply:byte(3)
      assert.equal(0, f & 0x80)
      kinds[f & 15], highs[f >> 4] = true, true
      assert.equal("\127\0\0\1", reply:sub(4, 7))
      assert.is_nil(tails[reply:sub(8)])
      tails[reply:sub(8)] = true
    end
    assert.same({ [5] = true, [7] = true }, kinds)
    local count = 0
    for _ in pairs(highs) do count = count + 1 end
    assert.truthy(count >= 4, "the high nibble runs over 0 to 7")
  end)

  for _, row in ipairs {
    { "kind 2 of 3 bytes", "ab\x02", true }, { "kind 2 with a high nibble", "ab\xf2cdef", true },
    { "2 bytes", "a\x02", false }, { "kind 3", "ab\x03cdefgh", false }, { "kind 0", "ab\x00cdefgh", false },
    { "text", "GET / HTTP/1.0\r\n\r\n", false }, { "a refusal", "ab\x17\127\0\0\1wxyz", false },
  } do
    it(row[1] .. (row[3] and " is refused" or " gets silence"), function()
      local replies = ask_udp(port, row[2], row[3] and 20 or 0.1)
      assert.equal(row[3] and 1 or 0, #replies)
      if row[3] then assert.equal(row[2]:sub(1, 2), replies[1]:sub(1, 2)) end
    end)
  end
end)

describe("behaviours of the node", function()
  local function with(args, fn)
    table.insert(args, 1, "skype")
    local nodes = support.serve(args)
    local ok, message = pcall(fn, nodes.skype.port)
    nodes.stop()
    assert(ok, message)
  end

  it("--refuse any refuses every kind, but no refusal", function()
    with({ "--refuse", "any" }, function(port)
      assert.equal(11, #one(ask_udp(port, "ab\x00cdefgh", 20)))
      assert.equal(11, #one(ask_udp(port, "abc", 20)))
      assert.equal(0, #ask_udp(port, "ab", 0.1))
      assert.equal(0, #ask_udp(port, "ab\x17\127\0\0\1wxyz", 0.1))
    end)
  end)

  it("--public-ip reports that address", function()
    with({ "--public-ip", "198.51.100.7" }, function(port)
      assert.equal("\198\51\100\7", one(ask_udp(port, STUDENTS, 20)):sub(4, 7))
    end)
  end)

  it("--drop 1 drops all, --drop 0.5 some", function()
    with({ "--drop", "1" }, function(port) assert.equal(0, #ask_udp(port, STUDENTS, 0.2)) end)
    with({ "--drop", "0.5" }, function(port)
      local answered, asked = 0, 0
      while asked < 400 and (answered < 6 or asked - answered < 6) do -- some answers may come late
        answered, asked = answered + #ask_udp(port, STUDENTS, 0.02), asked + 1
      end
      assert.truthy(answered >= 6 and asked - answered >= 6, answered .. " of " .. asked)
    end)
  end)

  it("--delay answers so much later", function()
    with({ "--delay", "300" }, function(port)
      assert.equal(0, #ask_udp(port, STUDENTS, 0.1))
      assert.equal(1, #ask_udp(port, STUDENTS, 20))
    end)
  end)

  it("--bind ::1 serves IPv6", function()
    local file = io.open("/proc/net/if_inet6")
    local has = file and file:read("a"):find("^0+1 ") or file
    if file then file:close() end
    if not has then return pending("no IPv6 here") end
    with({ "--bind", "::1" }, function(port)
      local reply = one(ask_udp(port, STUDENTS, 20, "::1"))
      assert.equal("\x92\x40", reply:sub(1, 2))
      assert.equal(11, #reply)
    end)
  end)
end)

describe("the Skype-like node over TCP", function()
  local nodes, port
  local NOT_FOUND = "HTTP/1.0 404 Not Found\r\n\r\n"
  setup(function()
    nodes = support.serve { "skype" }
    port = nodes.skype.port
  end)
  teardown(function() nodes.stop() end)

  for _, request in ipairs {
    "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HEAD /x HTTP/1.0\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "GET / HTTP/1.0\n\n",
  } do
    it(("answers %q with exactly its 404 and a close"):format(request:match("^[^\r\n]*")), function()
      local got, closed = ask_tcp(port, request, 2)
      assert.equal(NOT_FOUND, got)
      assert.truthy(closed)
    end)
  end

  it("says nothing by itself", function() assert.equal("", (ask_tcp(port, "", 0.2))) end)

  it("answers anything else with noise, other noise each time, and stays", function()
    local seen = {}
    for _, bytes in ipairs { "\1\2\3\4\5", "\1\2\3\4\5", "hello\r\n", "GET /\r\n", "OPTIONS * RTSP/1.0\r\n\r\n" } do
      local got, closed = ask_tcp(port, bytes, 0.2)
      assert.truthy(#got >= 14)
      assert.falsy(closed)
      assert.is_nil(seen[got])
      seen[got] = true
      assert.falsy(got:find("HTTP", 1, true))
    end
  end)
end)

describe("the FTP server", function()
  local nodes
  setup(function() nodes = support.serve { "ftp" } end)
  teardown(function() nodes.stop() end)

  it("greets, lists features, names its system, refuses to let in, says goodbye", function()
    local got, closed = ask_tcp(nodes.ftp.port, "FEAT\r\nsyst\r\nUSER x\r\nPASS y\r\nLIST\r\nQUIT\r\n", 2)
    assert.truthy(closed)
    local codes = {}
    for code in got:gmatch("%f[^\0\n](%d%d%d) [^\r\n]*\r\n") do codes[#codes + 1] = code end
    assert.equal("220 211 215 331 530 530 221", table.concat(codes, " "))
    assert.truthy(got:find("211-Features:\r\n SIZE\r\n", 1, true))
  end)

  it("gives up a line without an end", function()
    local got, closed = ask_tcp(nodes.ftp.port, ("x"):rep(8000), 2)
    assert.truthy(closed)
    assert.truthy(got:find("\n500 ", 1, true))
  end)
end)

describe("the HTTP server", function()
  local nodes
  setup(function() nodes = support.serve { "http" } end)
  teardown(function() nodes.stop() end)

  it("gives its page", function()
    local got, closed = ask_tcp(nodes.http.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 2)
    assert.truthy(closed)
    assert.equal("HTTP/1.1 200 OK\r\nServer: mynah-demo/", got:sub(1, 36))
    local head, body = got:match("^(.-\r\n\r\n)(.*)$")
    assert.equal(#body, tonumber(head:match("Content%-Length: (%d+)")))
  end)

  it("gives HEAD no body", function()
    assert.truthy(ask_tcp(nodes.http.port, "HEAD / HTTP/1.0\r\n\r\n", 2):find("\r\n\r\n$"))
  end)

  it("answers garbage with 400", function()
    assert.equal("HTTP/1.1 400", ask_tcp(nodes.http.port, "\1\2\3\r\n", 2):sub(1, 12))
  end)
end)

describe("demo --serve", function()
  it("prints one line each and ends by SIGTERM with status 0", function()
    local nodes = support.serve()
    assert.truthy(nodes.skype and nodes.ftp and nodes.http)
    assert.truthy(nodes.process.out:find("skype 127.0.0.1:" .. nodes.skype.port .. " udp+tcp\n", 1, true))
    assert.truthy(nodes.process.out:find("ftp 127.0.0.1:" .. nodes.ftp.port .. " tcp\n", 1, true))
    assert.equal(0, nodes.stop().status)
  end)

  it("ends with connections open, leaking nothing", function()
    local nodes = support.serve { "ftp", "--delay", "200" }
    local socket = require("luv").new_tcp()
    socket:connect("127.0.0.1", nodes.ftp.port, function() socket:write("FEAT\r\n") end)
    support.sleep(0.1)
    local p = nodes.stop()
    socket:close()
    support.sleep(0.01)
    assert.equal(0, p.status, p.err)
    assert.equal("", p.err)
  end)

  it("takes a given port for UDP and TCP", function()
    local nodes = support.serve { "skype" }
    local port = nodes.skype.port
    nodes.stop()
    nodes = support.serve { "skype", "--port", tostring(port) }
    assert.equal(port, nodes.skype.port)
    assert.equal(1, #ask_udp(port, STUDENTS, 20))
    assert.truthy(ask_tcp(port, "GET / HTTP/1.0\r\n\r\n", 2):find("404", 1, true))
    nodes.stop()
  end)
end)
