-- script_spec.lua - the scripts in Debian's nmap: one question for all of them, each script argument by its effect, wrong ones by
-- one line, and mynah-version in -sV.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;" .. here .. "../host/?.lua;" .. package.path
local support = require "support"
local many = dofile(here .. "../lua/support/many.lua")
local capture = require "capture"
local child, uv, xml = support.child, support.uv, support.xml

local PLURAL = "mynah-identify,mynah-ftp,mynah-http,mynah-skype,mynah-udp"

-- Nmap's UDP scan wants root.
local function udp_it(name, fn)
  if uv.getuid() ~= 0 then return pending(name .. " (needs root)") end
  it(name, fn)
end

-- A UDP peer that refuses as a Skype node does, seeing `address`.
local function node(address)
  return function(bytes)
    if #bytes < 3 then return nil end
    return bytes:sub(1, 2) .. "\x17" .. address .. uv.random(4)
  end
end

-- A protocol that no other program knows.
local OWN = [[
service mynah-test
  title "The protocol of this test"
  ports udp 1-65535
  from  "tests/nmap"

sig mynah-test-udp
  send  id?4 "mynah test protocol, version 1"
  len   = 24
  @0:4  = $id
  @4    starts "mynah test says ok"
  match 01020304 "mynah test protocol, version 1" > 01020304 "mynah test says ok!!"
  nomatch 01020304 > 01020304

sig mynah-test-banner
  over tcp
  banner
  @ starts "mynah test protocol, version "
  @ ~ m/^mynah test protocol, version (?<v>[0-9.]+)\r\n/
  version "$v"
  match > "mynah test protocol, version 1.5" 0d0a
  nomatch > "hello" 0d0a
]]

-- Scans that take long are started together; each is a function that waits for its end.
local slow = {}

local function start_patience(patience)
  local server = support.tcp(function(handle, self) self.read(handle) end)
  local _, finish = support.start_nmap("-sT -p " .. server.port .. " --script mynah-identify --script-args mynah.patience="
    .. patience .. " 127.0.0.1")
  return function()
    local run = finish()
    server.close()
    return run.seconds
  end
end

local function start_counted(scripts)
  local server = support.tcp(function(handle, self) self.read(handle, function() handle:write("what?\r\n") end) end)
  local _, finish = support.start_nmap("-sT -p " .. server.port .. " --script " .. scripts
    .. " --script-args mynah.patience=2s 127.0.0.1")
  return function()
    finish()
    server.close()
    return server
  end
end

-- A scan with -sV of a server; the result also has `server`, `port` (its row) and `line` (of the normal output).
local function start_version_scan(server, words, options)
  local _, finish = support.start_nmap("-sT -sV -p " .. server.port .. " " .. words .. " 127.0.0.1", options)
  return function()
    local run = finish()
    run.server, run.port = server, run["tcp " .. server.port]
    run.line = run.out:match("\n(" .. server.port .. "/tcp [^\n]*)")
    if server.close then server.close() end
    return run
  end
end

local function speaker(greeting)
  return support.tcp(function(handle, self)
    handle:write(greeting)
    self.read(handle)
  end)
end

local function web(page)
  return support.tcp(function(handle, self)
    self.read(handle, function(bytes)
      if bytes:find("^GET / HTTP/1") then handle:write(page) end
      handle:shutdown()
    end)
  end)
end

setup(function()
  local own = support.write(support.temp ".sig", OWN)
  local ssh = "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"
  local page = "HTTP/1.1 200 OK\r\nServer: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
  local light, light_too = "--version-intensity 0 --script mynah-version ", "--version-intensity 1 --script "
  slow.short, slow.long = start_patience "1s", start_patience "9s"
  slow.one, slow.all = start_counted "mynah-identify", start_counted(PLURAL)
  slow.node = start_version_scan({ port = select(2, support.demo "skype") }, light)
  slow.own = start_version_scan(speaker "mynah test protocol, version 2.7\r\n", light .. "--script-args mynah.signatures=" .. own)
  slow.not_own = start_version_scan(speaker "mynah test protocol, version 2.7\r\n",
    light .. "--script-args mynah.signatures=/nonexistent") -- fails before it could ask
  slow.page = start_version_scan(web(page:format "mynah-only/9.1"), light_too .. "mynah-version")
  slow.settled = start_version_scan(speaker(ssh), light)
  slow.plain = start_version_scan(speaker(ssh), "--version-intensity 0", { env = { NMAPDIR = false } })
  slow.nginx = start_version_scan(web(page:format "nginx/1.22.1"), light_too .. "mynah-identify")
end)

teardown(support.clean)

describe("all scripts selected", function()
  it("ask a TCP port once, and each shows its part", function()
    local process, port = support.demo("ftp")
    local together = support.nmap("-sT -p " .. port .. " --script " .. PLURAL .. " 127.0.0.1")
    local found = together["tcp " .. port]
    assert.equal("ftp", found.service)
    assert.equal("ftp", found.scripts["mynah-ftp"].service)
    assert.equal("ftp", found.scripts["mynah-identify"].service)
    for _, other in ipairs { "mynah-http", "mynah-skype", "mynah-udp" } do assert.is_nil(found.scripts[other]) end
    process:stop()
  end)

  it("connect as often as one of them does", function()
    local one, all = slow.one(), slow.all()
    assert(one.count >= 2 and one.count <= 7, one.count) -- one of them is Nmap's own scan
    assert.equal(one.count, all.count)
    assert(all.most <= 6, all.most)
  end)

  udp_it("ask a UDP port once", function()
    local function count(scripts)
      local peer = support.udp(node "\127\0\0\1")
      local run = support.nmap("-sU -p " .. peer.port .. " --script " .. scripts .. " 127.0.0.1")
      peer.close()
      return run["udp " .. peer.port], peer.count
    end
    local one, datagrams = count "mynah-identify"
    local all, together = count(PLURAL)
    assert.equal("skype2", one.service)
    assert.equal("skype2", all.service)
    for _, name in ipairs { "mynah-identify", "mynah-skype", "mynah-udp" } do
      assert.equal("skype", all.scripts[name].service)
    end
    assert(math.abs(datagrams - together) <= 4, datagrams .. " and " .. together) -- a signature more or less may be under way
  end)
end)

describe("script argument", function()
  local function start_udp_scan(peers, args)
    return select(2, support.start_nmap { "-sU", "-p", support.list(peers), "--script", "mynah-udp", "--script-args", args,
      "127.0.0.1" })
  end
  local function udp_scan(...) return start_udp_scan(...)() end

  udp_it("mynah.signatures: a file of one's own instead of the installed ones", function()
    local path = support.write(support.temp ".sig", OWN)
    local function answer(bytes)
      if bytes:sub(5) == "mynah test protocol, version 1" then return bytes:sub(1, 4) .. "mynah test says ok!!" end
      return node "\127\0\0\1"(bytes)
    end
    local peer = support.udp(answer)
    local own = udp_scan({ peer }, "mynah.signatures=" .. path)
    local installed = udp_scan({ peer }, "mynah.timeout=3s")
    peer.close()
    assert.equal("mynah-test", own["udp " .. peer.port].service)
    assert.equal("skype2", installed["udp " .. peer.port].service)
  end)

  -- Ask a silent port with each of these arguments, all at once. Results: `span`, seconds from the first to the last of our
  -- datagrams (Nmap's own are empty), `count` of them, `seconds` of the run.
  local function ask_silent(...)
    local list = {}
    for i, args in ipairs { ... } do
      local peer = support.udp()
      list[i] = { peer = peer, finish = start_udp_scan({ peer }, args) }
    end
    for _, one in ipairs(list) do
      local run, ours = one.finish(), {}
      one.peer.close()
      for _, entry in ipairs(one.peer.log) do if #entry.bytes > 0 then ours[#ours + 1] = entry.time end end
      assert.equal("open|filtered", run["udp " .. one.peer.port].state)
      one.span, one.count, one.seconds = ours[#ours] - ours[1], #ours, run.seconds
    end
    return table.unpack(list)
  end

  udp_it("mynah.timeout, mynah.retries, mynah.max-probes: how long and how often a silent UDP port is asked", function()
    local few = "mynah.signatures=" .. support.write(support.temp ".sig", many.text(6))
    local short, long, none, four, most
    for _ = 1, 3 do -- where the machine stood still, once more
      short, long, none, four, most = ask_silent(few .. ",mynah.timeout=900ms", few .. ",mynah.timeout=4s",
        few .. ",mynah.retries=0", few .. ",mynah.retries=4", few .. ",mynah.max-probes=6")
      if short.span < 0.9 and long.seconds - short.seconds > 2 then break end
    end
    assert(short.span < 0.9 and long.span > 1.2, short.span .. " and " .. long.span)
    assert(long.seconds - short.seconds > 2, short.seconds .. " and " .. long.seconds)
    assert.equal(6, none.count)
    assert.equal(18, long.count)
    assert.equal(30, four.count)
    assert.equal(4, most.count) -- two are kept for conversations
  end)

  udp_it("mynah.max-probes: 200 unless told otherwise, with all that is installed", function()
    local all, some = ask_silent("mynah.timeout=1s", "mynah.timeout=1s,mynah.max-probes=30")
    assert(all.count > 30 and all.count <= 200, all.count)
    assert(some.count > 15 and some.count <= 30, some.count)
  end)

  udp_it("mynah.rate: no more UDP datagrams a second", function()
    local peer = support.udp()
    local few = support.write(support.temp ".sig", many.text(6))
    udp_scan({ peer }, "mynah.rate=8,mynah.timeout=2s,mynah.retries=1,mynah.signatures=" .. few)
    peer.close()
    local ours = {}
    for _, entry in ipairs(peer.log) do if #entry.bytes > 0 then ours[#ours + 1] = entry.time end end
    local pace = (ours[#ours] - ours[1]) / (#ours - 1)
    assert(pace > 0.115, pace .. " s from one to the next")
  end)

  udp_it("mynah.public-ip: our address behind a NAT", function()
    local peer = support.udp(node "\10\9\8\7")
    local with, without = start_udp_scan({ peer }, "mynah.public-ip=10.9.8.7"), start_udp_scan({ peer }, "mynah.timeout=2s")
    with, without = with(), without()
    peer.close()
    assert.equal("skype2", with["udp " .. peer.port].service)
    assert.equal("skype", without["udp " .. peer.port].scripts["mynah-udp"].guess)
    assert.is_nil(without["udp " .. peer.port].scripts["mynah-udp"].service)
    assert.not_equal("probed", without["udp " .. peer.port].method)
  end)

  it("mynah.patience: how long a connected silent peer is waited for", function()
    local short, long = slow.short(), slow.long()
    assert(long - short > 2, short .. " and " .. long)
  end)

  udp_it("mynah.pcap: what a capture's payloads get", function()
    local payload = "\x92\x40\x02\xa1\x66\x65\xea\x0d\x8c\x82\xc3\x0c\x27\xcd\xc5\xe7\x4e\x78\xfe\xa1\x50\xa6"
    local path = support.write(support.temp ".pcap", capture.write {
      { data = "unanswered\0\1\2" }, { data = payload }, { data = "unanswered too" },
    })
    local peer = support.udp(function(bytes) if bytes == payload then return "\x92\x40\x17\127\0\0\1abcd" end end)
    local run = udp_scan({ peer }, "mynah.timeout=1s,mynah.pcap=" .. path)
    peer.close()
    local replay = run["udp " .. peer.port].scripts["mynah-udp"].replay
    assert.equal("3", replay.sent)
    assert.equal(1, #replay.answered)
    local story = "^packet 2: 924002a16665ea0d8c82c30c27cdc5e74e78fea150a6 %-> 9240177f00000161626364, [%d.]+ ms$"
    assert(replay.answered[1]:find(story), replay.answered[1])
    assert.equal("open", run["udp " .. peer.port].state)
  end)

  for _, row in ipairs {
    { "mynah.timeout=soon", 'mynah.timeout "soon": expected a time' },
    { "mynah.timeout=0", 'mynah.timeout "0": expected a time' },
    { "mynah.timeout", "mynah.timeout: expected a value" },
    { "mynah.timeout={1s,2s}", "mynah.timeout: expected one value" },
    { "mynah={timeout=soon}", 'mynah.timeout "soon"' },
    { "mynah.patience=-1s", 'mynah.patience "-1s"' },
    { "mynah.retries=2.5", 'mynah.retries "2.5": expected a whole number from 0 to 20' },
    { "mynah.rate=0", 'mynah.rate "0": expected a whole number from 1' },
    { "mynah.max-probes=0", 'mynah.max-probes "0": expected a whole number from 1 to 10000' },
    { "mynah.public-ip=::1", 'mynah.public-ip "::1": expected an IPv4 address' },
    { "mynah.signatures=/nonexistent", "/nonexistent: No such file" },
    { "mynah.tiemout=3s", "mynah.tiemout: no such script argument" },
    { "mynah={tiemout=3s}", "mynah.tiemout: no such script argument" },
  } do
    it(row[1] .. ": one line", function()
      local server = support.tcp(function(handle, self) self.read(handle) end)
      local other = support.tcp(function(handle, self) self.read(handle) end)
      local run = support.nmap { "-sT", "-p", support.list { server, other }, "--script", PLURAL, "--script-args", row[1],
        "127.0.0.1" }
      server.close()
      other.close()
      assert.equal(0, run.exit)
      local lines, text = 0, nil
      for line in run.out:gmatch("[^\n]+") do
        if line:find("ERROR", 1, true) then lines, text = lines + 1, line end
      end
      assert.equal(1, lines, run.out)
      assert(text:find("^|_mynah%-%l+: ERROR: ") and text:find(row[2], 1, true), text)
      assert(not run.out:find("traceback", 1, true) and not run.out:find("%.lua:%d"), run.out)
      assert.equal(2, server.count + other.count) -- by Nmap's own scan
    end)
  end

  udp_it("a wrong mynah.pcap: one line", function()
    local peer = support.udp()
    local run = udp_scan({ peer }, "mynah.timeout=500ms,mynah.pcap=/etc/passwd")
    peer.close()
    assert(run.out:find("ERROR: /etc/passwd: ", 1, true), run.out)
  end)

  it("a broken signature file: file, line and column", function()
    local path = support.write(support.temp ".sig", "service x\n  title \"X\"\nsig y\n  send zz\n")
    local server = support.tcp(function(handle, self) self.read(handle) end)
    local run = support.nmap { "-sT", "-p", tostring(server.port), "--script", "mynah-ftp", "--script-args",
      "mynah.signatures=" .. path, "127.0.0.1" }
    server.close()
    assert(run.out:find("ERROR: " .. path .. ":4:%d+: "), run.out)
  end)
end)

describe("mynah-version in -sV", function()
  it("names a node that behaves as Skype's did", function()
    local run = slow.node()
    assert(run.line:find("^%d+/tcp open  skype2"), run.line)
    assert.equal("skype2", run.port.service)
    assert.equal("probed", run.port.method)
  end)

  it("names what only our signatures know, from what Nmap has heard: nothing is asked again", function()
    local with, without = slow.own(), slow.not_own()
    assert.equal("mynah-test", with.port.service, with.out)
    assert.equal("2.7", with.port.version)
    assert.equal(without.server.count, with.server.count)
    assert(with.line:find("/tcp open  mynah%-test%s+2%.7"), with.line)
  end)

  it("takes a page that Nmap has seen", function()
    local run = slow.page()
    assert.equal("http", run.port.service, run.out)
  end)

  it("leaves what Nmap has settled alone", function()
    local with, plain = slow.settled(), slow.plain()
    for _, key in ipairs { "service", "product", "version", "extra" } do assert.equal(plain.port[key], with.port[key]) end
    assert.equal("OpenSSH", plain.port.product)
  end)
end)

describe("what Nmap itself found", function()
  it("of the product is kept where the service is the same", function()
    local run = slow.nginx()
    assert.equal("http", run.port.service)
    assert.equal("nginx", run.port.product)
    assert.equal("1.22.1", run.port.version)
    assert.truthy(xml.find(xml.parse(run.xml), "cpe"))
  end)
end)

describe("the five scripts and mynah-version", function()
  it("explain themselves: every field of NSEDoc is there", function()
    local names = { "identify", "ftp", "http", "skype", "udp", "version" }
    for _, name in ipairs(names) do
      local text = support.read(support.root .. "/nse/scripts/mynah-" .. name .. ".nse")
      for _, field in ipairs { "description = [[", "@usage", "@args", "@output", "author =", "license =", "categories =" } do
        assert(text:find(field, 1, true), name .. " lacks " .. field)
      end
      assert(name == "version" or text:find("@xmloutput", 1, true), name .. " lacks @xmloutput")
    end
    local help = assert(child.run(support.nmap_path, { "--script-help", PLURAL .. ",mynah-version" }, 30,
      { env = support.plugin_env() }))
    for _, name in ipairs(names) do
      assert(help.out:find("\nmynah-" .. name .. "\nCategories: ", 1, true), help.out .. help.err)
    end
  end)
end)
