-- The stages of mynah scan: several questions to each UDP port, UDP and TCP in one scan, scripts behind the checks.
local here = debug.getinfo(1, "S").source:match("^@(.*)/") or "."
local support = dofile(here .. "/support.lua")
local cjson = require "cjson"
local uv = require "luv"
local run, summary = support.run, support.summary

-- Two services at one port, one at two; two signatures that send the same; one at a range.
local SIGNATURES = [[
service alpha
  title "Alpha"
  from  "this test"
  ports udp 47101
sig alpha
  send  0a id?8
  @0    = 8a
  @1:8  = $id
  @9:6  = "alpha!"

service beta
  title "Beta"
  from  "this test"
  ports udp 47101,47102
sig beta
  send  0b id?8
  @0    = 8b
  @1:8  = $id
  @9:6  = "beta!!"

service gamma
  title "Gamma"
  from  "this test"
  ports udp 47103
sig gamma-one
  send  0c id?8
  @0    = 8c
  @1:8  = $id
  @9:6  = "gamma1"
sig gamma-two
  send  0c id?8
  @0    = 8c
  @1:8  = $id
  @9:6  = "gamma2"

service delta
  title "Delta"
  from  "this test"
  ports udp 47200-47210
sig delta
  send  0d id?8
  @0    = 8d
  @1:8  = $id
  @9:6  = "delta!"
]]
local SPEAK = { alpha = { 0x0a, "alpha!" }, beta = { 0x0b, "beta!!" }, gamma = { 0x0c, "gamma2" }, delta = { 0x0d, "delta!" } }

-- A server that answers one question and no other.
-- @return how often it was asked, by first byte; a function that closes it
local function serve(ip, port, speaks, delay)
  local socket, asked = uv.new_udp(), {}
  assert(socket:bind(ip, port))
  socket:recv_start(function(_, bytes, from)
    if not bytes or not from then return end
    local head, words = table.unpack(SPEAK[speaks] or {})
    asked[bytes:byte(1)] = (asked[bytes:byte(1)] or 0) + 1
    if bytes:byte(1) ~= head then return end
    local timer = uv.new_timer()
    timer:start(delay or 0, 0, function()
      timer:close()
      if not socket:is_closing() then
        socket:send(string.char(head | 0x80) .. bytes:sub(2, 9) .. words, from.ip, from.port, function() end)
      end
    end)
  end)
  return asked, function() socket:close() end
end

local WORLD = { { 47101, "beta" }, { 47102, "beta" }, { 47103, "gamma" }, { 47205, "delta" }, { 47300, "alpha" },
  { 47104, "silent" } }
local PORTS = "47101-47104,47205,47300,47301"

local closing, sigs, folder

-- The servers of WORLD at an address.
local function serve_world(ip, delay)
  local asked = {}
  for _, row in ipairs(WORLD) do asked[row[1]], closing[#closing + 1] = serve(ip, row[1], row[2], delay) end
  return asked
end

local function start(words)
  local args = {}
  for word in words:gmatch "%S+" do args[#args + 1] = word end
  return support.spawn(support.mynah, args)
end

-- Kill a scan some time after it has begun to keep results in that file.
local function kill_after(words, db, seconds)
  local p = start(words)
  support.poll(function() return p.status or run("report " .. db).status == 0 end)
  support.sleep(seconds)
  p.kill "sigkill"
  support.wait(p.over, 10)
end

local function change_store(db, sql)
  local words = ("import sqlite3; c = sqlite3.connect('%s'); c.executescript(\"%s\"); c.commit()"):format(db, sql)
  local p = support.program("/usr/bin/env", { "python3", "-c", words })
  assert.equal(0, p.status, p.err)
end

-- "127.7.2.1:47101/udp open beta" of each row, sorted.
local function said(lines)
  local list = {}
  for i, line in ipairs(lines) do
    local r = cjson.decode(line)
    local place = r.port == cjson.null and r.ip or ("%s:%d/%s %s"):format(r.ip, r.port, r.transport, r.state)
    list[i] = place .. " " .. (r.service ~= cjson.null and r.service or "-")
  end
  table.sort(list)
  return list
end

local FOUND = { "127.7.2.1:47101/udp open beta", "127.7.2.1:47102/udp open beta", "127.7.2.1:47103/udp open gamma",
  "127.7.2.1:47205/udp open delta", "127.7.2.1:47300/udp open alpha", "127.7.2.1:47301/udp closed -" }

local function begin()
  closing, sigs = {}, support.file(SIGNATURES, ".sig")
  folder = assert(uv.fs_mkdtemp "/tmp/mynah-stages-XXXXXX")
end

local function finish()
  for _, close in ipairs(closing) do close() end
  uv.run "nowait"
  support.remove()
  os.execute(("rm -rf '%s'"):format(folder))
end

describe("scan without --probe", function()
  before_each(begin)
  after_each(finish)

  it("asks each port what services say of it, one service at a time, and gives each port once", function()
    local asked = serve_world "127.7.2.1"
    local p = run(("scan --json --sig %s -p %s 127.7.2.1"):format(sigs, PORTS))
    assert.equal(0, p.status, p.err)
    assert.same(FOUND, said(p.lines))
    for _, line in ipairs(p.lines) do
      local r = cjson.decode(line)
      if r.service == "gamma" then assert.equal("gamma-two", r.probe) end
    end
    assert.same({ [0x0a] = 2 }, asked[47104]) -- nobody names it: the likeliest, and once more
    assert.is_nil(asked[47102][0x0a])
    assert.is_nil(asked[47205][0x0a])
    local counts = summary(p)
    assert.same({ 5, 5, 1 }, { counts.verified, counts.named, counts.unanswered })
  end)

  it("and without -p asks the library's own ports", function()
    serve_world "127.7.2.1"
    local p = run(("scan --json --sig %s 127.7.2.1"):format(sigs))
    assert.same({ FOUND[1], FOUND[2], FOUND[3] }, said(p.lines))
    assert.equal("127.7.2.1:47101\n127.7.2.1:47102\n127.7.2.1:47103\n", run(("scan --list --sig %s 127.7.2.1"):format(sigs)).out)
  end)

  it("says exactly what it would send", function()
    local p = run(("scan --dry-run --sig %s -p %s 127.7.2.0/31 --retries 2"):format(sigs, PORTS))
    assert.equal(0, p.status, p.err)
    assert.same({ "alpha (alpha): 9 bytes to U:47101,47104,47300-47301", "beta (beta): 9 bytes to U:47101-47102",
      "gamma (gamma-one): 9 bytes to U:47103", "delta (delta): 9 bytes to U:47205",
      "48 datagrams to find who answers, at the most" }, p.lines)
    assert.truthy(p.err:find("14 targets (2 addresses); 16 datagrams, to each port its own: alpha, beta, gamma, delta; 3 ports "
      .. "that no service names: alpha, the likeliest of all; the silent get 2 more; ", 1, true), p.err)
  end)

  it("in parts finds what the whole finds, and asks nothing twice", function()
    local asked, lines = serve_world "127.7.2.1", {}
    for part = 1, 3 do
      local p = run(("scan --json --sig %s -p %s 127.7.2.1 --seed 9 --retries 0 --shard %d/3"):format(sigs, PORTS, part))
      assert.equal(0, p.status, p.err)
      table.move(p.lines, 1, #p.lines, #lines + 1, lines)
    end
    assert.same(FOUND, said(lines))
    assert.same({ [0x0a] = 1 }, asked[47104])
  end)
end)

describe("scan with several names in --probe", function()
  before_each(begin)
  after_each(finish)

  it("asks each port those that name it, and a port of none all of them", function()
    local asked = serve_world "127.7.2.1"
    local p = run(("scan --json --sig %s --probe beta,gamma-two -p %s 127.7.2.1 --retries 0"):format(sigs, PORTS))
    assert.equal(0, p.status, p.err)
    assert.same({ FOUND[1], FOUND[2], FOUND[3], FOUND[6] }, said(p.lines))
    assert.same({ [0x0b] = 1, [0x0c] = 1 }, asked[47104])
    assert.is_nil(asked[47101][0x0a])
    assert.is_nil(asked[47102][0x0c])
  end)
end)

describe("scan over UDP and TCP", function()
  before_each(begin)
  after_each(finish)

  local function serve_tcp()
    local nodes = support.serve { "ftp" }
    closing[#closing + 1] = nodes.stop
    return nodes.ftp.port
  end

  it("counts both, and has both in one store", function()
    local port = serve_tcp()
    serve_world "127.7.2.1"
    serve_world "127.0.0.1"
    local db = folder .. "/both.db"
    local words = ("scan --json --sig %s -p U:%s,T:%d,1 127.0.0.1 -o %s"):format(sigs, PORTS, port, db)
    local p = run(words)
    assert.equal(0, p.status, p.err)
    local expected = { ("127.0.0.1:%d/tcp open ftp"):format(port), "127.0.0.1:1/tcp closed -" }
    for _, line in ipairs(FOUND) do expected[#expected + 1] = (line:gsub("127.7.2.1", "127.0.0.1")) end
    table.sort(expected)
    assert.same(expected, said(p.lines))
    assert.same(expected, said(run("report --json " .. db).lines))
    local counts = summary(p)
    assert.same({ 6, 6, 1, 8 }, { counts.verified, counts.named, counts.unanswered, counts.answered })
    local finished = run("scan --resume " .. db)
    assert.truthy(finished.err:find("this scan is finished", 1, true), finished.err)
  end)

  it("reads standard input for both", function()
    local p = support.shell(("printf '127.7.2.1\\n127.7.2.2 # two\\n' | \"$MYNAH\" scan --list -sU -sT -p 5 -iL - --sig %s")
      :format(sigs))
    assert.equal("127.7.2.1:5/udp\n127.7.2.2:5/udp\n127.7.2.1:5/tcp\n127.7.2.2:5/tcp\n", p.out)
    local pipe = support.shell("echo 127.7.2.1 | \"$MYNAH\" scan --list -sU -sT -p 5 -iL /dev/stdin --sig " .. sigs)
    assert.equal("127.7.2.1:5/udp\n127.7.2.1:5/tcp\n", pipe.out, pipe.err)
  end)

  it("is over, in the file of --status-file, once all of it is", function()
    local port, close = support.tcp_server(function() end)
    closing[#closing + 1] = close
    local status, words = folder .. "/status", "scan -sT -p %d 127.0.0.1 --patience 20 --timeout 0.3 --status-file %s"
    local p = start(words:format(port, status))
    local function now()
      local file = io.open(status)
      local text = file and file:read "a"
      if file then file:close() end
      return text and cjson.decode(text)
    end
    support.poll(function() return p.status or (now() and now().verified == 1) end)
    support.sleep(1.5) -- the server says nothing: it is asked on for a long time, but nobody else is looked for
    assert.same({ 1, false }, { now().verified, now().over })
    p.kill "sigint"
    support.wait(p.over, 10)
  end)

  -- Killed at moments of the first and of the second sweep.
  it("goes on after kill -9, whichever is under way", function()
    local port = serve_tcp()
    serve_world("127.0.0.1", 50)
    local words = ("scan --sig %s -p U:%s,T:%d,1-40 127.0.0.1 --rate 80 --seed 5 --timeout 0.5 -o "):format(sigs, PORTS, port)
    local whole = run(words .. folder .. "/whole.db")
    assert.equal(0, whole.status, whole.err)
    local expected = said(run(("report --json %s/whole.db"):format(folder)).lines)
    assert.equal(47, #expected)
    for i, seconds in ipairs { 0, 0.2, 0.4, 0.6 } do
      local db = ("%s/%d.db"):format(folder, i)
      kill_after(words .. db, db, seconds)
      local resumed = run("scan --resume " .. db)
      assert.equal(0, resumed.status, resumed.err)
      assert.same(expected, said(run("report --json " .. db).lines))
    end
  end)

  it("does not go on where ports would be asked something else", function()
    local db = folder .. "/other.db"
    kill_after(("scan --sig %s -p 47101-47102 127.7.2.0/24 --rate 20 -o %s"):format(sigs, db), db, 0)
    change_store(db, "update setting set value = 'x' where name = 'questions'")
    local refused = run("scan --resume " .. db)
    assert.equal(2, refused.status, refused.err)
    assert.truthy(refused.err:find("its ports would be asked something else now", 1, true), refused.err)
    assert.equal(2, run("scan --resume " .. db .. " -sU").status)
  end)

  it("does not go on in another order than the one it began in", function()
    local db = folder .. "/order.db"
    kill_after(("scan --sig %s -p 47101-47102 127.7.2.0/24 --rate 20 -o %s"):format(sigs, db), db, 0)
    change_store(db, "delete from setting where name = 'order'") -- as earlier versions wrote it
    local refused = run("scan --resume " .. db)
    assert.equal(2, refused.status, refused.err)
    assert.truthy(refused.err:find("in another order now, some twice and some never", 1, true), refused.err)
  end)
end)

-- Scripts, each with the head that all have.
local function script(name, text)
  local path = ("%s/%s.nse"):format(folder, name)
  local file = assert(io.open(path, "w"))
  file:write('local stdnse = require "stdnse"\ndescription = "A test."\nauthor = "this test"\nlicense = "BSD-2-Clause"\n',
    'categories = { "safe" }\n', text)
  file:close()
  return path
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read "a"
  file:close()
  return bytes
end

-- What the checks said of a port, what its server says at once, and an argument.
local TOLD = [[
portrule = function(host, port) return port.service == "ftp" end
action = function(host, port)
  local s = nmap.new_socket()
  assert(s:connect(host, port))
  local ok, line = s:receive_lines(1)
  s:close()
  local t = stdnse.output_table()
  t.service, t.tunnel, t.code = port.service, port.version.service_tunnel, ok and line:sub(1, 3)
  t.word = stdnse.get_script_args "told.word"
  return t, "it is " .. port.service .. "\nand <more>"
end
]]
local OF_HOST = [[
hostrule = function(host) return true end
action = function(host)
  nmap.registry.hosts = (nmap.registry.hosts or 0) + 1
  return ("%s, the %d."):format(host.ip, nmap.registry.hosts)
end
]]
-- In all four phases: what was found of a host, and what scripts of its ports left of themselves.
local PHASES = [[
prerule = function() return nmap.registry.args.silent ~= "yes" end
postrule, hostrule, portrule = prerule, prerule, function() return true end
local says = {
  prerule = function() nmap.registry.began = "begun" return "first" end,
  portrule = function(host, port)
    host.registry[port.number] = true
    nmap.set_port_version(host, { number = port.number, protocol = "tcp", version = { name = "renamed" } })
    return nmap.registry.began .. " " .. port.state
  end,
  hostrule = function(host)
    local n, left, port = 0, 0, nil
    repeat
      port = nmap.get_ports(host, port, "tcp", "open")
      n = n + (port and port.service == "renamed" and 1 or 0)
    until not port
    for _ in pairs(host.registry) do left = left + 1 end
    if nmap.registry.args.slow then stdnse.sleep(0.5) end
    return ("%s has %d, left %d"):format(host.ip, n, left)
  end,
  postrule = function() return { last = "the <end>" } end,
}
action = function(...) return says[SCRIPT_TYPE](...) end
]]
-- How many of it run at the same time.
local CROWD = [[
local running, most = 0, 0
portrule = function() return true end
action = function()
  nmap.registry.running = (nmap.registry.running or 0) + 1
  nmap.registry.most = math.max(nmap.registry.most or 0, nmap.registry.running)
  stdnse.sleep(0.1)
  nmap.registry.running = nmap.registry.running - 1
  return "at most " .. nmap.registry.most
end
]]
-- Why its port is open, once the scripts of two ports of the host run.
local REASON = [[
portrule = function() return true end
action = function(host, port)
  host.registry.ports = (host.registry.ports or 0) + 1
  while host.registry.ports < 2 do stdnse.sleep(0.01) end
  return nmap.get_port_state(host, port).reason
end
]]

-- It is what nmap.dtd says.
local function check_xml(path)
  local DTD = "/usr/share/nmap/nmap.dtd"
  if not io.open(DTD) then return pending "no nmap.dtd here" end
  local lint = support.program("/usr/bin/env", { "xmllint", "--noout", "--dtdvalid", DTD, path })
  assert.equal(0, lint.status, lint.err)
end

-- A web server at a port of every address. @return the port
local function serve_everywhere()
  local port, close = support.web_everywhere()
  closing[#closing + 1] = close
  return port
end

describe("scan --script", function()
  before_each(begin)
  after_each(finish)

  it("leaves a port as it was found while another of its host comes", function()
    local nodes = support.serve { "ftp", "http" }
    closing[#closing + 1] = nodes.stop
    local p = run(("scan -sT -p %d,%d 127.0.0.1 --json --script-timeout 30 --script %s"):format(nodes.ftp.port,
      nodes.http.port, script("reason", REASON)))
    for _, line in ipairs(p.lines) do
      local r = cjson.decode(line)
      assert.equal(r.reason, r.scripts[1].output, p.err)
    end
    assert.equal(2, #p.lines)
  end)

  it("runs scripts behind the checks, and writes what they say into every form", function()
    local nodes = support.serve { "ftp", "http" }
    closing[#closing + 1] = nodes.stop
    local words = ("scan -sT -p %d,%d,1 127.0.0.1 --script %s,%s --script-args told.word=yes --json"):format(nodes.ftp.port,
      nodes.http.port, script("told", TOLD), script("of-host", OF_HOST))
    for _, suffix in ipairs { "csv", "xml", "gnmap", "db", "jsonl" } do
      words = ("%s -o %s/s.%s"):format(words, folder, suffix)
    end
    local p = run(words)
    assert.equal(0, p.status, p.err)
    local rows, of_hosts = {}, 0
    for _, line in ipairs(p.lines) do
      local r = cjson.decode(line)
      rows[r.port ~= cjson.null and r.port or "host"] = r
      for _, said_by in ipairs(r.scripts ~= cjson.null and r.scripts or {}) do
        if said_by.id == "of-host" then
          of_hosts = of_hosts + 1
          assert.same({ "hostrule", "127.0.0.1, the 1.", cjson.null }, { said_by.kind, said_by.output, said_by.data })
        end
      end
    end
    assert.equal(1, of_hosts)
    assert.equal(cjson.null, rows[1].scripts)
    assert.equal("http", rows[nodes.http.port].service)
    local told = rows[nodes.ftp.port].scripts[#rows[nodes.ftp.port].scripts]
    assert.same({ id = "told", kind = "portrule", output = "it is ftp\nand <more>",
      data = { service = "ftp", tunnel = "none", code = "220", word = "yes" } }, told)
    assert.equal(2, summary(p)["results of scripts"])
    local sorted, stored = p.lines, run(("report --json %s/s.db"):format(folder)).lines
    table.sort(sorted)
    table.sort(stored)
    assert.same(said(sorted), said(stored))
    for _, line in ipairs(stored) do
      local r = cjson.decode(line)
      assert.same(rows[r.port ~= cjson.null and r.port or "host"].scripts, r.scripts)
    end
    local jsonl = {}
    for line in read(folder .. "/s.jsonl"):gmatch "[^\n]+" do jsonl[#jsonl + 1] = line end
    table.sort(jsonl)
    assert.same(sorted, jsonl)
    assert.truthy(read(folder .. "/s.csv"):find('told: it is ftp\nand <more>"\r\n', 1, true), read(folder .. "/s.csv"))
    assert.equal(0, run(("report --html %s/s.html %s/s.db"):format(folder, folder)).status)
    assert.truthy(read(folder .. "/s.html"):find("<td>told: it is ftp\nand &lt;more&gt;</td>", 1, true))
    assert.truthy(read(folder .. "/s.html"):find("<pre>|_of-host: 127.0.0.1, the 1.</pre>", 1, true))
    local xml = read(folder .. "/s.xml")
    assert.truthy(xml:find("script [^ ]+/told%.nse,[^ ]+/of%-host%.nse 127%.0%.0%.1\""), xml)
    assert.truthy(xml:find('<script id="told" output="it is ftp&#xa;and &lt;more&gt;">', 1, true), xml)
    assert.truthy(xml:find('<elem key="word">yes</elem>', 1, true), xml)
    assert.truthy(xml:find('<hostscript><script id="of-host" output="127.0.0.1, the 1."/></hostscript>', 1, true), xml)
    check_xml(folder .. "/s.xml")
  end)

  it("prints them as nmap does, and filters and fields know them", function()
    local nodes = support.serve { "ftp", "http" }
    closing[#closing + 1] = nodes.stop
    local words = ("scan -sT -p %d,%d 127.0.0.1 --script %s"):format(nodes.ftp.port, nodes.http.port, script("told", TOLD))
    local p = run(words)
    assert.truthy(p.out:find("\n| told: it is ftp\n|_and <more>\n", 1, true) or p.out:find("^127[^\n]+\n| told"), p.out)
    assert.equal(2, select(2, p.out:gsub("127%.0%.0%.1:", "")), p.out)
    local few = run(words .. " --json --fields scripts,port --filter scripts~<more>")
    assert.same({ ('{"port":%d,"scripts":[{"id":"told","kind":"portrule","output":"it is ftp\\nand <more>","data":'):format(
      nodes.ftp.port) }, { (few.lines[1] or ""):match '^(.*"data":)' })
    assert.equal(1, #few.lines)
  end)

  it("runs those before the scan, of hosts and after it, each in its time", function()
    local words = ("scan -sT -p %d,%d,1 127.0.0.1-127.0.0.2 --script %s --host-timeout 60"):format(serve_everywhere(),
      serve_everywhere(), script("phases", PHASES))
    for _, suffix in ipairs { "csv", "xml", "gnmap", "db", "jsonl" } do
      words = ("%s -o %s/p.%s"):format(words, folder, suffix)
    end
    local p = run(words)
    assert.equal(0, p.status, p.err)
    assert.truthy(p.err:find("; 1 script for what is open; 1 for its hosts; 1 before the scan; 1 after it\n", 1, true), p.err)
    assert.equal(1, (p.out:find "Pre%-scan script results:\n|_phases: first\n127"), p.out)
    assert.equal(4, select(2, p.out:gsub("\n|_phases: begun open\n", "%0\n")), p.out)
    local before = p.out:find "\nHost script results of 127"
    for n = 1, 2 do
      local at = p.out:find(("\nHost script results of 127.0.0.%d:\n|_phases: 127.0.0.%d has 2, left 2\n"):format(n, n), 1, true)
      assert.truthy(at, p.out)
      assert.falsy(p.out:find("\n127", at), p.out)
    end
    assert.truthy(before and p.out:find("\nPost%-scan script results:\n| phases: \n|_  last: the <end>\n$", before), p.out)
    assert.equal(8, summary(p)["results of scripts"])

    check_xml(folder .. "/p.xml")
    local xml = read(folder .. "/p.xml")
    assert.truthy(xml:find('\n<prescript><script id="phases" output="first"/></prescript>\n<host>', 1, true), xml)
    assert.truthy(xml:find('<address addr="127.0.0.2" addrtype="ipv4"/><hostscript><script id="phases" '
      .. 'output="127.0.0.2 has 2, left 2"/></hostscript></host>\n', 1, true), xml)
    assert.truthy(xml:find('\n<postscript><script id="phases" output="&#xa;  last: the &lt;end&gt;"><elem key="last">'
      .. 'the &lt;end&gt;</elem>\n</script></postscript>\n<runstats>', 1, true), xml)
    assert.truthy(read(folder .. "/p.csv"):find '\r\n127%.0%.0%.1,,,[^\n]*phases: 127%.0%.0%.1 has 2, left 2"\r\n')
    assert.falsy(read(folder .. "/p.gnmap"):find "Host: %(")

    local kinds = { "prerule", "hostrule", "hostrule", "postrule" }
    for _, text in ipairs { run(("report --json %s/p.db"):format(folder)).out, read(folder .. "/p.jsonl") } do
      local of_none = {}
      for line in text:gmatch "[^\n]+" do
        local r = cjson.decode(line)
        if r.port == cjson.null then of_none[#of_none + 1] = r.scripts[1].kind end
      end
      assert.same(kinds, of_none)
    end
    local page = run(("report %s/p.db"):format(folder)).out
    assert.truthy(page:find("\nPost-scan script results:\n| phases: \n", 1, true), page)
    -- They are no targets.
    local again = run(("scan -sT --list -iL %s/p.jsonl"):format(folder))
    assert.equal(4, #again.lines, again.err)
  end)

  it("ends where it is interrupted before it began and after all, and is not over before its last script is", function()
    local status = folder .. "/status"
    for kind, is_sent in pairs { pre = false, post = true } do
      local path = script(kind, kind .. 'rule = function() return true end\naction = function() stdnse.print_verbose(0, "now") '
        .. "stdnse.sleep(60) end\n")
      local words = "scan -sT -p 1 127.0.0.1 --retries 0 --timeout 0.3 --script %s -v --status-file %s -o %s/%s.xml"
      local p = start(words:format(path, status, folder, kind))
      support.poll(function() return p.status or p.err:find "now" end)
      assert.falsy(cjson.decode(read(status)).over)
      p.kill "sigint"
      support.wait(p.over, 10)
      assert.equal(130, p.status, p.err)
      assert.equal(is_sent and 1 or 0, summary(p).sent, p.err)
      assert.falsy(p.out:find "script results", p.out)
      check_xml(("%s/%s.xml"):format(folder, kind))
    end
  end)

  it("says before and after a scan what nmap says", function()
    local words = ("-p %d,1 127.0.0.1-2 --script resolveall,reverse-index --script-args resolveall.hosts={localhost}"):format(
      serve_everywhere())
    local nmap = support.shell("nmap -n -sT -Pn " .. words)
    local p = run("scan -sT --retries 0 " .. words:gsub("127.0.0.1%-2", "127.0.0.1-127.0.0.2"))
    -- The lines of scripts behind each title.
    local function phases(text)
      local list, title = {}, nil
      for line in text:gmatch "[^\n]+" do
        title = line:match "^%a+%-scan script results:$" or line:find "^|" and title or nil
        if title then list[title] = (list[title] or "") .. line .. "\n" end
      end
      return list
    end
    local theirs = phases(nmap.out)
    assert.truthy(theirs["Pre-scan script results:"] and theirs["Post-scan script results:"], nmap.out)
    assert.same(theirs, phases(p.out))
  end)

  it("goes on with hosts whose scripts had not run when it was killed, and joins those of parts", function()
    local db = folder .. "/h.db"
    local words = ("scan -sT -p %d 127.0.0.1-127.0.0.8 --retries 0 --script %s --script-args slow=yes --script-threads 1 -o %s")
      :format(serve_everywhere(), script("phases", PHASES), db)
    local function words_of()
      local list = {}
      for _, line in ipairs(run("report --json " .. db).lines) do
        local r = cjson.decode(line)
        if r.port == cjson.null then list[#list + 1] = r.scripts[1].output .. " " .. r.timestamp end
      end
      return list
    end
    local p = start(words)
    support.poll(function() return p.status or #words_of() > 2 end)
    p.kill "sigkill"
    support.wait(p.over, 10)
    local before = words_of()
    assert.truthy(#before > 2 and #before < 9, #before)
    local xml = folder .. "/h.xml"
    local resumed = run(("scan --resume %s -o %s"):format(db, xml))
    assert.equal(0, resumed.status, resumed.err)
    local after = words_of()
    assert.equal(10, #after)
    local said_now = " " .. table.concat(after, " ")
    for n = 2, #before do -- what was said is not asked again
      assert.truthy(said_now:find(" " .. before[n], 1, true), before[n] .. "\n" .. said_now)
    end
    check_xml(xml)
    assert.equal(8, select(2, read(xml):gsub("<hostscript>", "")))
    assert.equal(1, select(2, read(xml):gsub("<prescript>", "")))
    assert.equal(0, run(("merge %s/m.db %s %s"):format(folder, db, db)).status)
    db = folder .. "/m.db"
    assert.same(after, words_of())
  end)

  it("runs no more of them at once than it may, over UDP too", function()
    for n = 1, 30 do closing[#closing + 1] = select(2, serve("127.7.2." .. n, 47102, "beta")) end
    local p = run(("scan --json --sig %s -p 47102 127.7.2.1-127.7.2.30 --script %s --script-threads 4"):format(sigs,
      script("crowd", CROWD)))
    assert.equal(0, p.status, p.err)
    local most = 0
    for _, line in ipairs(p.lines) do
      local r = cjson.decode(line)
      assert.equal("beta", r.service)
      most = math.max(most, tonumber(r.scripts[1].output:match "at most (%d+)"))
    end
    assert.same({ 30, 4 }, { #p.lines, most })
  end)

  it("goes on after kill -9, with every script's word, and with stores of before there were scripts", function()
    for n = 1, 30 do closing[#closing + 1] = select(2, serve("127.7.2." .. n, 47102, "beta")) end
    local db = folder .. "/k.db"
    local words = ("scan --sig %s -p 47102 127.7.2.1-127.7.2.30 --script %s --script-threads 4 -o %s"):format(sigs,
      script("crowd", CROWD), db)
    kill_after(words, db, 0.3)
    local resumed = run("scan --resume " .. db)
    assert.equal(0, resumed.status, resumed.err)
    local lines = run("report --json " .. db).lines
    assert.equal(30, #lines)
    for _, line in ipairs(lines) do assert.truthy(cjson.decode(line).scripts[1].output:find "^at most %d$", line) end
    local old = folder .. "/old.db"
    kill_after(("scan --sig %s -p 47102 127.7.2.1-127.7.2.200 --rate 100 --retries 0 -o %s"):format(sigs, old), old, 0.2)
    change_store(old, "alter table result drop column scripts; drop table script; pragma user_version = 1; "
      .. "delete from setting where name = 'questions' or name = 'sweep'")
    assert.equal(0, run("report --json " .. old).status)
    assert.equal(0, run("scan --resume " .. old).status)
    assert.equal(200, #run("report --json " .. old).lines)
    assert.falsy(run("report --json " .. old).out:find '"scripts"')
  end)

  it("says what is wrong with scripts before it sends anything", function()
    local fails = script("fails", 'portrule = function() return true end\naction = function() error "no such luck" end\n')
    local broken = script("broken", "portrule = = 1\n")
    for words, message in pairs {
      ["--script /nonexistent/x.nse"] = "/nonexistent/x.nse",
      ["--script " .. broken] = "1 of them cannot be loaded",
      ["--verify-only --script " .. fails] = "--script: scripts run after",
    } do
      local p = run(("scan --sig %s -p 47101 127.7.2.1 %s"):format(sigs, words))
      assert.equal(2, p.status, words .. p.err)
      assert.truthy(p.err:find(message, 1, true), p.err)
      assert.is_nil(summary(p).verified)
    end
    serve_world "127.7.2.1"
    local p = run(("scan --json --sig %s -p 47102 127.7.2.1 --script %s"):format(sigs, fails))
    assert.equal(0, p.status, p.err)
    assert.truthy(p.err:find("no such luck", 1, true), p.err)
    assert.equal("ERROR: Script execution failed (use -d to debug)", cjson.decode(p.lines[1]).scripts[1].output)
  end)
end)
