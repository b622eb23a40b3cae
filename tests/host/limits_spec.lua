-- What mynah scan sends at the most, as tcpdump sees it on the wire: to one address, over the link, at once, for so long.
-- A slow machine can only make a scan slower: what is held is that it never is faster than it may be.
local here = debug.getinfo(1, "S").source:match("^@(.*)/") or "."
local support = dofile(here .. "/support.lua")
local cjson = require "cjson"
local uv = require "luv"

-- Root of the machine, not of a namespace of users alone: tcpdump insists on becoming somebody else.
local IS_ROOT = uv.getuid() == 0 and tonumber(io.open("/proc/self/uid_map"):read "a":match "^%s*%d+%s+%d+%s+(%d+)") > 1

local function seen_it(name, body)
  it(name, function()
    if not IS_ROOT then return pending "tcpdump needs root" end
    body()
  end)
end

-- Every packet on loopback of which the filter holds, in the order in which it left: function that ends it and gives an array of
-- { time (since 1970), from, from_port, to, to_port, flags ("S", "F.", … of TCP), len (of UDP payload) }.
local function watch(filter)
  local p = support.spawn("/usr/bin/tcpdump", { "-i", "lo", "-nn", "-tt", "-l", "-B", "16384", "--immediate-mode", filter })
  support.wait(function() return p.err:find "listening on" or p.status end)
  assert(not p.status, p.err)
  return function()
    support.sleep(0.3)
    p.kill "sigint"
    support.wait(p.over)
    local list = {}
    for time, from, from_port, to, to_port, rest in p.out:gmatch "([%d.]+) IP ([%d.]+)%.(%d+) > ([%d.]+)%.(%d+): ([^\n]*)" do
      list[#list + 1] = { time = tonumber(time), from = from, from_port = tonumber(from_port), to = to,
        to_port = tonumber(to_port), flags = rest:match "Flags %[(.-)%]", len = tonumber(rest:match "^UDP, length (%d+)") }
    end
    return list
  end
end

local function now()
  local seconds, micro = uv.gettimeofday()
  return seconds + micro / 1e6
end

local function scan(words)
  local p = support.run("scan " .. words)
  assert.equal(0, p.status, p.err)
  return p
end

describe("scan --per-host-rate", function()
  local HOSTS, PORTS, RATE = 3, 40, 50
  -- Words; which packets are questions.
  local ROWS = {
    { "by datagrams", "--probe ntp", "udp and dst portrange 33001-33040" },
    { "by frames", "--probe ntp --raw", "udp and dst portrange 33001-33040" },
    { "by connections", "-sT", "tcp[tcpflags] == tcp-syn and dst portrange 33001-33040" },
    { "by SYNs", "-sT --raw", "tcp[tcpflags] == tcp-syn and dst portrange 33001-33040" },
  }
  for _, row in ipairs(ROWS) do
    seen_it("asks no address faster, and others meanwhile, " .. row[1], function()
      local seen, began = watch(row[3]), now()
      scan(("%s -p 33001-33040 127.8.0.1-127.8.0.%d --rate max --retries 0 --timeout 1 --per-host-rate %d"):format(row[2], HOSTS,
        RATE))
      local count, latest, apart = {}, {}, 0
      for _, packet in ipairs(seen()) do
        count[packet.to] = (count[packet.to] or 0) + 1
        latest[packet.to] = packet.time
        local least, most = math.huge, 0
        for n = 1, HOSTS do
          local c = count["127.8.0." .. n] or 0
          least, most = math.min(least, c), math.max(most, c)
        end
        apart = math.max(apart, most - least)
      end
      for n = 1, HOSTS do
        local ip = "127.8.0." .. n
        assert.equal(PORTS, count[ip])
        assert.truthy(latest[ip] - began >= (PORTS - 1) / RATE, ("%s: %g s"):format(ip, latest[ip] - began))
      end
      assert.truthy(apart <= 3, "one address is " .. apart .. " questions ahead") -- a random order alone has 10
    end)
  end

  seen_it("counts what names an answer, too", function()
    local nodes = support.serve { "skype" }
    local seen, began = watch("udp and dst port " .. nodes.skype.port), now()
    local p = scan(("--json --probe skype -p %d 127.0.0.1 --per-host-rate 2"):format(nodes.skype.port))
    local list = seen()
    nodes.stop()
    assert.equal("skype", cjson.decode(p.lines[1]).service)
    assert.truthy(#list >= 3, #list)
    assert.truthy(list[#list].time - began >= (#list - 1) / 2, #list .. " packets")
  end)

  it("does not take for silence what could not be asked yet", function()
    -- Ports of one address wait for each other; each of their questions is listened to from when it left.
    local nodes, ports = {}, {}
    for i = 1, 4 do
      nodes[i] = support.serve { "skype" }
      ports[i] = nodes[i].skype.port
    end
    local p = scan(("--json --probe skype -p %s 127.0.0.1 --per-host-rate 3"):format(table.concat(ports, ",")))
    for i = 1, 4 do nodes[i].stop() end
    assert.equal(4, #p.lines)
    for _, line in ipairs(p.lines) do
      local row = cjson.decode(line)
      assert.equal("skype", row.service, line)
      assert.truthy(row.confidence >= 0.9, line)
    end
  end)

  it("does not keep what was found waiting until all of its host was asked", function()
    -- 1,500 ports of one address take 5 s; the one that is open is named meanwhile, or its time would be over.
    local nodes = support.serve { "ftp" }
    local port = nodes.ftp.port
    local first = math.max(1, math.min(port - 750, 65535 - 1499))
    local p = scan(("-sT --json -p %d-%d 127.0.0.1 --per-host-rate 300 --host-timeout 2 --filter port=%d"):format(first,
      first + 1499, port))
    nodes.stop()
    assert.equal(1, #p.lines, p.err)
    assert.equal("ftp", cjson.decode(p.lines[1]).service, p.lines[1])
  end)

  it("loses and repeats nothing where more wait than there is room for", function()
    -- 129,022 questions to two addresses: as many as may be are put off, then it goes on; those of others are asked once.
    local port, asked, close = support.udp_servers("127.7.0", 2)
    local p = support.spawn(support.mynah, { "scan", "--verify-only", "--probe", "dns", "--rate", "max", "--retries", "0",
      "--timeout", "1", "--per-host-rate", "20000", "-p", "1025-65535", "127.9.0.1-2",
      "127.7.0.1:" .. port, "127.7.0.2:" .. port })
    support.wait(p.over)
    close()
    assert.equal(0, p.status, p.err)
    assert.same({ 1, 1 }, asked)
    local sent, failed = p.err:match "\nmynah: 129,0(%d%d) sent", p.err:match "(%d+) could not be sent" or 0
    assert.equal(24, tonumber(sent) + tonumber(failed), p.err)
  end)
end)

describe("scan --per-host-rate, killed", function()
  it("loses and repeats nothing of what it had put off", function()
    local HOSTS, PORTS = 4, 150
    local db = os.tmpname() .. ".db"
    local p = support.spawn(support.mynah, { "scan", "--verify-only", "--probe", "ntp", "-p", ("33001-%d"):format(33000 + PORTS),
      ("127.8.0.1-127.8.0.%d"):format(HOSTS), "--per-host-rate", "50", "--timeout", "0.3", "-o", db })
    support.wait(function() return p.status or p.err:find "to one address" end)
    support.sleep(1.5) -- all that is left waits for its hosts, and much longer than a timeout
    p.kill "sigkill"
    support.wait(p.over)
    local before = #support.run({ "report", "--json", db }).lines
    local resumed = support.run { "scan", "--resume", db }
    assert.equal(0, resumed.status, resumed.err)
    local seen, rows = {}, support.run({ "report", "--json", db }).lines
    os.remove(db)
    for _, line in ipairs(rows) do
      local row = cjson.decode(line)
      local key = ("%s %d"):format(row.ip, row.port)
      seen[key] = (seen[key] or 0) + 1
    end
    assert.truthy(before < HOSTS * PORTS, "it was over before it was killed")
    for n = 1, HOSTS do
      for port = 33001, 33000 + PORTS do assert.equal(1, seen[("127.8.0.%d %d"):format(n, port)], n .. " " .. port) end
    end
  end)
end)

describe("scan --bandwidth", function()
  -- Bytes of a question's IP packets: of datagrams as they are seen; 44 of a SYN; 164 of a connection's three.
  local ROWS = {
    { "of datagrams", "--probe ntp", "udp and dst port 33001", 28 },
    { "of frames", "--probe ntp --raw", "udp and dst port 33001", 28 },
    { "of SYNs", "-sT --raw", "tcp[tcpflags] == tcp-syn and dst port 33001", 44 },
    { "of connections", "-sT", "tcp[tcpflags] == tcp-syn and dst port 33001", 164 },
  }
  for _, row in ipairs(ROWS) do
    seen_it("is kept to, " .. row[1], function()
      local seen, began = watch(row[3]), now()
      scan(row[2] .. " -p 33001 127.8.0.0/25 --rate max --retries 0 --timeout 1 --bandwidth 100k")
      local list, bytes = seen(), 0
      assert.equal(128, #list)
      for i = 1, #list - 1 do bytes = bytes + row[4] + (list[i].len or 0) end
      local took = list[#list].time - began
      assert.truthy(took >= bytes * 8 / 100000 - 0.02, ("%d bytes in %g s"):format(bytes, took))
    end)
  end
end)

-- Open from the SYN to the FIN or RST of the client, as they left.
local function most_open(list)
  local open, count, most = {}, 0, 0
  for _, packet in ipairs(list) do
    local key = packet.from .. " " .. packet.from_port
    if packet.flags == "S" and not open[key] then
      open[key], count = true, count + 1
      most = math.max(most, count)
    elseif packet.flags:find "[FR]" and open[key] then
      open[key], count = nil, count - 1
    end
  end
  return most
end

describe("scan --max-connections", function()
  seen_it("is never exceeded by both stages together, and used", function()
    local port, close = support.web_everywhere()
    local function run(words)
      local seen = watch(("tcp and dst port %d and tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst) != 0"):format(port))
      local p = scan(("--json -sT -p %d 127.0.0.1-127.0.0.60 --rate max --retries 0 --timeout 2 --patience 0.1 %s"):format(port,
        words))
      assert.equal(60, #p.lines)
      return most_open(seen())
    end
    local free, held = run "", run "--max-connections 16"
    close()
    assert.truthy(free > 16, free)
    assert.truthy(held <= 16 and held >= 4, held)
  end)
end)

describe("scan --max-connections", function()
  it("says so where the system does not allow as many files, and goes on", function()
    local words = ("exec setpriv --bounding-set=-sys_resource '%s' scan -sT -p 33001 127.0.0.1 --max-connections %s")
    for count, said in pairs { ["5000"] = true, ["10"] = false } do
      local p = support.shell("ulimit -n 300; " .. words:format(support.mynah, count))
      assert.equal(0, p.status, p.err)
      assert.equal(said, p.err:find("--max-connections 5000: only 300 files may be open", 1, true) ~= nil, p.err)
      assert.truthy(p.err:find("1 sent, 1 answered", 1, true), p.err)
    end
  end)

  it("does not hold back datagrams", function()
    local nodes = support.serve { "skype" }
    local p = scan(("--json --probe skype -p %d 127.0.0.1 --max-connections 2"):format(nodes.skype.port))
    nodes.stop()
    assert.equal("skype", cjson.decode(p.lines[1]).service)
  end)
end)

describe("scan, in a pipe,", function()
  it("says how far it is where SIGUSR1 asks, as often as it does, and nothing else", function()
    local p = support.spawn(support.mynah, { "scan", "--probe", "ntp", "-p", "33001", "127.8.0.0/24", "--rate", "100",
      "--retries", "0", "--timeout", "1" })
    support.wait(function() return p.err:find "1 s for all\n" or p.err:find "3 s for all\n" or p.status end)
    for n = 1, 2 do
      assert.equal(n - 1, select(2, p.err:gsub(" of 256 asked", "")), p.err)
      p.kill "sigusr1"
      support.wait(function() return p.status or select(2, p.err:gsub(" of 256 asked", "")) == n end)
    end
    support.wait(p.over)
    assert.equal(0, p.status, p.err)
    local lines = {}
    for line in p.err:gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
    assert.equal(4, #lines, p.err)
    for i = 2, 3 do assert.truthy(lines[i]:find "^mynah: %d+ of 256 asked, %d+ a second, 0 verified", lines[i]) end
  end)
end)

describe("scan --host-timeout", function()
  it("gives up what is at an address, asks it nothing more, and names others", function()
    local silent, closers, count = {}, {}, {}
    for i = 1, 4 do
      silent[i], closers[i] = support.tcp_server(function(client)
        count[i] = (count[i] or 0) + 1
        client:read_start(function() end)
      end)
    end
    local nodes = support.serve { "ftp" }
    local words = "--json -sT --max-connections 2 --host-timeout 0.5 --retries 0 --timeout 1"
    for i = 1, 4 do words = words .. " 127.0.0.1:" .. silent[i] end
    local p = scan(words)
    for i = 1, 4 do closers[i]() end
    nodes.stop()
    assert.equal(4, #p.lines)
    local asked_once = 0
    for i = 1, 4 do
      local row = cjson.decode(p.lines[i])
      assert.equal("open", row.state)
      assert.equal("given up: this address was asked for 0.5 s (--host-timeout)", row.evidence[#row.evidence])
      if count[i] == 1 then asked_once = asked_once + 1 end
    end
    assert.equal(3, asked_once) -- but for the first that was asked what it is, all got the sweep's connection alone
  end)
end)

-- Scripts behind a scan ------------------------------------------------------------------------------------

local HEAD = 'local stdnse = require "stdnse"\ndescription, author, license, categories = "A test.", "us", "BSD", { "safe" }\n'
  .. "portrule = function() return true end\n"

-- A script of that text, as a word of a command line; its file goes with the test.
local scripts = {}
local function script(name, text)
  local path = os.tmpname()
  os.remove(path)
  scripts[#scripts + 1] = path .. "-" .. name .. ".nse"
  local file = assert(io.open(scripts[#scripts], "w"))
  file:write(HEAD, text)
  file:close()
  return "--script " .. scripts[#scripts]
end

-- Connects so many times, one after the other, and keeps each connection for a while.
local CONNECTS = [[
action = function(host, port)
  local n = 0
  for i = 1, %d do
    local s = nmap.new_socket()
    n = n + (s:connect(host, port) and 1 or 0)
    stdnse.sleep(%g)
    s:close()
  end
  return "connected " .. n
end
]]

-- Sends so many datagrams to a port of its own choice, in all ways that there are.
local DATAGRAMS = [[
action = function(host)
  for i = 1, %d do
    local s = nmap.new_socket "udp"
    if i %% 3 == 0 then
      s:sendto(host, 33999, ("x"):rep(100))
    elseif i %% 3 == 1 then
      s:connect(host, 33999, "udp")
      s:send(("x"):rep(100))
    else
      local dnet = nmap.new_dnet()
      dnet:ip_open()
      local a, b, c, d = host.ip:match "(%%d+).(%%d+).(%%d+).(%%d+)"
      local to = string.char(a, b, c, d)
      dnet:ip_send(string.pack(">BBI2I2I2BBI2", 0x45, 0, 128, i, 0, 64, 17, 0) .. to .. to
        .. string.pack(">I2I2I2I2", 33998, 33999, 108, 0) .. ("x"):rep(100), host)
      dnet:ip_close()
    end
    s:close()
  end
  return "sent"
end
]]

describe("scripts behind a scan", function()
  local server, port, clients

  before_each(function()
    server, clients = uv.new_tcp(), {}
    assert(server:bind("0.0.0.0", 0))
    assert(server:listen(128, function()
      local client = uv.new_tcp()
      clients[client] = true
      server:accept(client)
      client:read_start(function(_, bytes) -- named at once, by what it answers the connection that finds it
        if bytes and not client:is_closing() then client:write "HTTP/1.0 404 Not Found\r\nServer: test\r\n\r\n" end
        if client:is_closing() then return end
        clients[client] = nil
        client:shutdown(function() if not client:is_closing() then client:close() end end)
      end)
    end))
    port = server:getsockname().port
  end)

  after_each(function()
    for client in pairs(clients) do
      if not client:is_closing() then client:close() end
    end
    server:close()
    uv.run "nowait"
    for i, path in ipairs(scripts) do scripts[i] = os.remove(path) and nil end
  end)

  -- What scripts said, in all rows.
  local function said(p)
    local list = {}
    for _, line in ipairs(p.lines) do
      local row = cjson.decode(line)
      for _, s in ipairs(row.scripts ~= cjson.null and row.scripts or {}) do list[#list + 1] = s.output end
    end
    return list
  end

  local TO_PORT = "tcp and dst port %d and tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst) != 0"

  seen_it("open no more connections than --max-connections leaves, and wait for them", function()
    local seen = watch(TO_PORT:format(port))
    local p = scan(("--json -sT -p %d 127.0.0.1-127.0.0.40 --rate max --retries 0 --timeout 1 --patience 0.1 "
      .. "--max-connections 16 %s"):format(port, script("connects", CONNECTS:format(2, 0.05))))
    local most, answers = most_open(seen()), said(p)
    assert.equal(40, #answers)
    for _, text in ipairs(answers) do assert.equal("connected 2", text) end
    assert.truthy(most <= 16 and most >= 8, most) -- more than the four that scripts have while others are found
  end)

  it("end where those who have the connections all want one more, and say so", function()
    local wants = script("wants", [[
action = function(host, port)
  local sockets = {}
  for i = 1, 3 do
    sockets[i] = nmap.new_socket()
    sockets[i]:connect(host, port)
  end
  return "has all"
end
]])
    local p = scan(("--json -sT -p %d 127.0.0.1 --retries 0 --timeout 1 --max-connections 3 %s"):format(port, wants))
    assert.same({ "ERROR: Script execution failed (use -d to debug)" }, said(p))
    assert.truthy(p.err:find("wants at 127%.0%.0%.1:%d+: waits for one more connection than there may be"), p.err)
    local more = scan(("--json -sT -p %d 127.0.0.1 --retries 0 --timeout 1 --max-connections 12 %s"):format(port, wants))
    assert.same({ "has all" }, said(more))
    local refused = support.run(("scan -sT -p %d 127.0.0.1 --max-connections 2 %s"):format(port, wants))
    assert.equal(2, refused.status)
    assert.truthy(refused.err:find("3 are the least with --script", 1, true), refused.err)
  end)

  it("have the connections back that they only forgot", function()
    local forgets = script("forgets", [[
action = function(host, port)
  local n = 0
  for i = 1, 40 do
    n = n + (nmap.new_socket():connect(host, port) and 1 or 0)
  end
  return "connected " .. n
end
]])
    local p = scan(("--json -sT -p %d 127.0.0.1-127.0.0.3 --retries 0 --timeout 1 --max-connections 3 %s"):format(port, forgets))
    assert.same({ "connected 40", "connected 40", "connected 40" }, said(p))
  end)

  -- Words; script; packets that it sends; how many to each address; how far apart they leave at the least, to one address (or,
  -- where all share it, to any).
  local ROWS = {
    { "connections by --per-host-rate", "--per-host-rate 20", CONNECTS:format(10, 0), "tcp[tcpflags] == tcp-syn", 10, 1 / 20 },
    { "connections by --rate", "--rate 40", CONNECTS:format(10, 0), "tcp[tcpflags] == tcp-syn", 10, 1 / 20, true },
    { "datagrams by --per-host-rate", "--per-host-rate 20", DATAGRAMS:format(12), "udp and dst port 33999", 12, 1 / 20 },
    { "datagrams by --rate", "--rate 40", DATAGRAMS:format(12), "udp and dst port 33999", 12, 1 / 20, true },
    { "datagrams by --bandwidth", "--bandwidth 20k", DATAGRAMS:format(12), "udp and dst port 33999", 12, 128 * 8 / 20000, true },
  }
  for _, row in ipairs(ROWS) do
    seen_it("are held to a rate: " .. row[1], function()
      local name, words, text, filter, count, apart, shared = table.unpack(row)
      if filter:find "tcp" then filter = filter .. " and dst port " .. port end
      local seen = watch(filter)
      local p = scan(("--json -sT -p %d 127.0.0.1-127.0.0.3 --retries 0 --timeout 1 %s %s"):format(port, words,
        script("sends", text)))
      local first, latest, sent = {}, {}, {}
      for _, packet in ipairs(seen()) do
        local to = shared and "all" or packet.to
        first[to], latest[to], sent[to] = first[to] or packet.time, packet.time, (sent[to] or 0) + 1
      end
      assert.equal(3, #said(p))
      for to, n in pairs(sent) do
        assert.truthy(n >= count * (shared and 3 or 1), name)
        -- Connections that find and name the port come first, at a rate of their own where it is --rate.
        local own = shared and count * 3 or n
        -- The first may leave late on a busy machine, and those behind it in their time.
        assert.truthy(latest[to] - first[to] >= 0.8 * (own - 1) * apart, ("%d in %g s"):format(n, latest[to] - first[to]))
      end
    end)
  end

  it("lose none of the time of their host while they wait until they may run", function()
    local naps = script("naps", 'action = function(host, port) stdnse.sleep(0.6) return "slept" end\n')
    local p = scan(("--json -sT -p %d 127.0.0.1-127.0.0.5 --retries 0 --timeout 1 --host-timeout 1.5 --script-threads 1 %s")
      :format(port, naps))
    assert.same({ "slept", "slept", "slept", "slept", "slept" }, said(p), p.err)
  end)

  it("end with the time of their host, and the result is kept and says so", function()
    local slow = script("slow", 'action = function(host, port) stdnse.sleep(60) return "done" end\n')
    local quick = script("quick", 'action = function() return "was there" end\n')
    local p = scan(("--json -sT -p %d 127.0.0.1 127.0.0.2 --retries 0 --timeout 1 --host-timeout 1 %s %s"):format(port, slow,
      quick))
    assert.equal(2, #p.lines)
    for _, line in ipairs(p.lines) do
      local row = cjson.decode(line)
      assert.equal("scripts ended: this address was asked for 1 s (--host-timeout)", row.evidence[#row.evidence])
    end
    assert.same({ "was there", "was there" }, said(p))
    assert.truthy(p.err:find "slow at 127%.0%.0%.%d:%d+: ended: its address was asked for as long as %-%-host%-timeout lets it",
      p.err)
  end)
end)
