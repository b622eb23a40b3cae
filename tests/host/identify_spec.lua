-- mynah identify from outside: table and JSON, exit statuses, hostile peers.
local support = dofile((debug.getinfo(1, "S").source:match("^@(.*)/") or ".") .. "/support.lua")
local cjson = require "cjson"
local run = support.run

local KEYS = [[ip port transport state reason service product version extra tls confidence guess fresh_bits identity_bits
  probe rtt_ms elapsed_ms sent received reply_port reply_hex evidence timestamp]]

-- The keys of one line, in their order; strings are taken away first.
local function keys_of(line)
  local keys = {}
  local bare = line:gsub("\\.", ""):gsub('":', "\1"):gsub('"([%w_]+)\1', "<%1>"):gsub('"[^"]*"', "")
  for key in bare:gmatch("<([%w_]+)>") do keys[#keys + 1] = key end
  return table.concat(keys, " ")
end

local function read_rows(p)
  local rows = {}
  for i, line in ipairs(p.lines) do
    rows[i] = cjson.decode(line)
    assert.equal((KEYS:gsub("%s+", " ")), keys_of(line), line)
    assert.falsy(line:gsub("\\.", ""):gsub('"[^"]*"', ""):find(" ", 1, true), "no spaces outside strings")
    assert.falsy(line:find("[%z\1-\31\127]"), line)
  end
  return rows, p
end

local function json(args)
  table.insert(args, 2, "--json")
  return read_rows(run(args))
end

describe("identify of the demo's servers", function()
  local nodes
  setup(function() nodes = support.serve() end)
  teardown(function() nodes.stop() end)

  it("--json: one line for each transport, every key in order", function()
    local rows, p = json { "identify", nodes.skype.address, nodes.ftp.address, nodes.http.address }
    assert.equal(0, p.status, p.err)
    assert.equal("", p.err)
    assert.equal(6, #rows)
    local found = {}
    for _, row in ipairs(rows) do
      found[("%d%s"):format(row.port, row.transport)] = row.service
      assert.equal("127.0.0.1", row.ip)
      assert.truthy(row.timestamp:match("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d+Z$"))
      assert.equal("table", type(row.evidence))
      assert.truthy(row.confidence >= 0 and row.confidence <= 1)
      if row.service ~= cjson.null then assert.truthy(row.confidence >= 0.9 and row.guess == cjson.null) end
    end
    assert.equal("skype", found[nodes.skype.port .. "udp"])
    assert.equal("skype", found[nodes.skype.port .. "tcp"])
    assert.equal("ftp", found[nodes.ftp.port .. "tcp"])
    assert.equal("http", found[nodes.http.port .. "tcp"])
    assert.equal(cjson.null, found[nodes.ftp.port .. "udp"])
  end)

  it("numbers are what they should be", function()
    local rows, p = json { "identify", "-sU", nodes.skype.address }
    local row = rows[1]
    assert.truthy(p.out:find('"port":' .. nodes.skype.port .. ",", 1, true))
    assert.truthy(row.fresh_bits >= 16 and row.identity_bits >= 16)
    assert.truthy(row.sent > 0 and row.received >= 22)
    assert.equal(nodes.skype.port, row.reply_port)
    assert.equal(22, #row.reply_hex)
    assert.truthy(row.rtt_ms > 0 and row.rtt_ms < 50)
    assert.equal(false, row.tls)
  end)

  it("the table keeps the order asked, whoever answers first", function()
    local p = run { "identify", "-sT", nodes.skype.address, nodes.ftp.address, nodes.http.address }
    assert.equal(0, p.status)
    assert.equal(4, #p.lines)
    assert.truthy(p.lines[2]:find(nodes.skype.address .. "/tcp +open +skype"))
    assert.truthy(p.lines[3]:find(nodes.ftp.address .. "/tcp +open +ftp"))
    assert.truthy(p.lines[4]:find(nodes.http.address .. "/tcp +open +http"))
    assert.falsy(p.out:find("\27", 1, true))
    assert.equal("", p.err)
  end)

  it("-v shows the evidence, -vv the reply's bytes", function()
    local p = run { "identify", "-sU", "-v", nodes.skype.address }
    assert.truthy(p.out:find("@0:2", 1, true))
    assert.truthy(p.out:find("bits fresh", 1, true))
    assert.falsy(p.out:find("\n    reply ", 1, true))
    assert.truthy(run({ "identify", "-sU", "-vv", nodes.skype.address }).out:find("\n    reply %x+"))
  end)

  it("-p with U: and T: asks each over its own", function()
    local rows = json { "identify", "-p", ("U:%d,T:%d"):format(nodes.skype.port, nodes.http.port), "127.0.0.1" }
    assert.equal(2, #rows)
    for _, row in ipairs(rows) do assert.equal(row.transport == "udp" and "skype" or "http", row.service) end
  end)

  it("-sU and -sT as Nmap's users write them, together too", function()
    assert.equal(2, #json { "identify", "-sU", "-sT", nodes.http.address })
    assert.equal(2, #json { "identify", "-sTU", nodes.http.address })
    assert.equal(1, #json { "identify", "-sT", nodes.http.address })
  end)

  it("names are resolved", function()
    local rows = json { "identify", "-4", "-sT", "localhost:" .. nodes.http.port }
    assert.equal("127.0.0.1", rows[1].ip)
    assert.equal("http", rows[1].service)
  end)

  it("on a terminal: colours, unless NO_COLOR is set", function()
    if not os.execute("command -v script >/dev/null") then return pending("needs script(1)") end
    local command = ('script -qec "$MYNAH identify -sU %s" /dev/null'):format(nodes.skype.address)
    assert.truthy(support.shell(command, { env = { TERM = "xterm" } }).out:find("\27[1mskype", 1, true))
    assert.falsy(support.shell(command, { env = { TERM = "xterm", NO_COLOR = "1" } }).out:find("\27%[%d+m"))
    assert.falsy(support.shell(command, { env = { TERM = "dumb" } }).out:find("\27%[%d+m"))
  end)
end)

describe("identify of what is not there", function()
  it("a closed port: a row, status 1", function()
    local p = run "identify --timeout 1 127.0.0.1:1"
    assert.equal(1, p.status)
    assert.equal("", p.err)
    assert.truthy(p.lines[2]:find("127.0.0.1:1/tcp +closed"))
    assert.truthy(p.lines[3]:find("127.0.0.1:1/udp +closed"))
  end)

  it("many ports: silent ones are only counted, --json has them all", function()
    local p = run "identify -sT -p 1-40 --timeout 1 127.0.0.1"
    assert.truthy(#p.lines < 40)
    assert.truthy(p.out:find("not shown: %d+ closed"))
    assert.equal(40, #json { "identify", "-sT", "-p", "1-40", "--timeout", "1", "127.0.0.1" })
  end)

  it("a silent UDP port is given up after --timeout", function()
    local uv = require "luv"
    local socket = uv.new_udp()
    socket:bind("127.0.0.1", 0)
    local began = uv.hrtime()
    local rows = json { "identify", "-sU", "--timeout", "1", "127.0.0.1:" .. socket:getsockname().port }
    local took = (uv.hrtime() - began) / 1e9
    socket:close()
    support.sleep(0.01)
    assert.equal("open|filtered", rows[1].state)
    assert.equal("no-response", rows[1].reason)
    assert.truthy(took < 5, took)
  end)
end)

describe("what UDP costs", function()
  local uv = require "luv"

  -- Datagrams that a silent port gets.
  local function count(...)
    local socket, n = uv.new_udp(), 0
    socket:bind("127.0.0.1", 0)
    socket:recv_start(function(_, data) n = n + (data and 1 or 0) end)
    local p = run { "identify", "-sU", "--timeout", "1", "-v", "127.0.0.1:" .. socket:getsockname().port, ... }
    socket:close()
    support.sleep(0.01)
    return n, p
  end

  it("is at most 200 datagrams to a port, or what --max-probes says, and -v shows it", function()
    local all, p = count()
    assert.truthy(all >= 5 and all <= 200, all)
    assert.truthy(p.out:find(("sent %d datagrams of "):format(all), 1, true), p.out)
    assert.truthy(p.out:find("(at most 200), received 0 datagrams of 0 bytes", 1, true), p.out)
    local three, q = count("--max-probes", "3")
    assert.equal(2, three) -- one is kept for a conversation
    assert.truthy(q.out:find("(at most 3)", 1, true), q.out)
  end)
end)

describe("hostile peers", function()
  -- What the program prints of a peer that does `act` on each connection.
  local function against(act)
    local port, close = support.tcp_server(act)
    local words = { "identify", "-sT", "--timeout", "1", "--patience", "2", "127.0.0.1:" .. port, "--json" }
    local first = support.spawn(support.mynah, words)
    words[#words] = "-vv"
    local second = support.spawn(support.mynah, words)
    support.wait(function() return first.over() and second.over() end)
    close()
    return read_rows(support.finish(first))[1], support.finish(second)
  end

  local function assert_clean(row, p)
    assert.falsy(p.out:find("[%z\1-\9\11-\31\127]"), p.out)
    assert.falsy(p.out:find("\xc2[\x80-\x9f]"))
    assert.equal(cjson.null, row.service)
    assert.equal("open", row.state)
    for _, line in ipairs(p.lines) do assert.truthy(#line < 1000) end
  end

  it("a banner of terminal escapes and NUL bytes is shown escaped", function()
    local row, p = against(function(client)
      client:write("\27]0;owned\7\27[2J\0\0\xc2\x9b31mhello\r\n")
      client:read_start(function() end)
    end)
    assert_clean(row, p)
  end)

  it("a banner without an end is cut", function()
    local row, p = against(function(client)
      client:read_start(function(_, data) if not data and not client:is_closing() then client:close() end end)
      for _ = 1, 40 do client:write(("x"):rep(65536), function() end) end
    end)
    assert_clean(row, p)
  end)

  it("a name full of escapes in an HTTP answer is shown escaped", function()
    local port, close = support.tcp_server(function(client)
      client:read_start(function(_, data)
        if data and not client:is_closing() then
          client:write("HTTP/1.1 200 OK\r\nServer: evil\27[31m/1.0\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n" ..
            "<title>\27[2J\xff</title>", function() if not client:is_closing() then client:close() end end)
        end
      end)
    end)
    local rows = json { "identify", "-sT", "127.0.0.1:" .. port }
    local p = run { "identify", "-sT", "-vv", "127.0.0.1:" .. port }
    close()
    assert.equal("http", rows[1].service)
    assert.falsy(p.out:find("\27", 1, true))
  end)

  it("one byte a second for ever is given up", function()
    local uv = require "luv"
    local timers = {}
    local row, p = against(function(client)
      local timer = uv.new_timer()
      timers[#timers + 1] = timer
      timer:start(0, 1000, function()
        if not client:is_closing() then client:write("x", function() end) end
      end)
      client:read_start(function(_, data) if not data and not client:is_closing() then client:close() end end)
    end)
    for _, timer in ipairs(timers) do timer:close() end
    support.sleep(0.01)
    assert_clean(row, p)
  end)

  it("says that no local port is free, and not that there is no route", function()
    local held = support.file([[local uv = require "luv"
      local list = {}
      for port = 40000, 40003 do
        for _, socket in ipairs { uv.new_tcp(), uv.new_udp() } do
          assert(socket:bind("127.0.0.1", port))
          list[#list + 1] = socket
        end
      end
      os.execute(os.getenv "MYNAH" .. " identify 127.0.0.1:8080")]], ".lua")
    local file = support.file('sysctl -qw net.ipv4.ip_local_port_range="40000 40003" || echo SKIP\nlua5.3 ' .. held, ".sh")
    local p = support.shell(("%s/tests/support/netns sh %s"):format(support.root, file))
    if p.out:find "SKIP" then return pending "net.ipv4.ip_local_port_range cannot be set here" end
    assert.truthy(p.err:find("mynah: cannot reach 127.0.0.1:8080: .*: is a local port free %(net.ipv4.ip_local_port_range%)"),
      p.out .. p.err)
  end)

  it("Ctrl-C while a peer is silent ends it at once", function()
    local port, close = support.tcp_server(function(client) client:read_start(function() end) end)
    local p = support.spawn(support.mynah, { "identify", "-sT", "127.0.0.1:" .. port })
    support.wait_catching(p)
    p.kill("sigint")
    support.wait(p.over, 15) -- its patience would be 30 s
    close()
    assert.equal(130, p.status)
    assert.equal("mynah: interrupted\n", p.err)
  end)
end)
