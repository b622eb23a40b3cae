-- mynah run: scripts in the engine of our own. Against real nmap: tests/nmap/conformance_spec.lua.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path

local support = require "support"

local HEAD = 'local nmap, stdnse = require "nmap", require "stdnse"\n' ..
  'description, author, license, categories = "d", "a", "l", { "safe" }\n'
local ALWAYS = HEAD .. "function portrule() return true end\n"

local ONCE = HEAD .. "function portrule(_, port) return port.number == 20001 end\n"

-- A script whose action has this body; its file's name is the script's.
local function script(body, head) return support.file((head or ALWAYS) .. body .. "\n", ".nse") end
local function action(body, head) return script("function action(host, port)\n" .. body .. "\nend", head) end
local function id_of(path) return path:match "([^/]+)%.nse$" end

-- The lines of a script's output, without what stands before them.
local function output(p, path)
  local id, lines = id_of(path), {}
  for line in p.out:gmatch "[^\n]+" do
    local rest = line:match "^|[_ ] ?(.*)$"
    if rest then lines[#lines + 1] = rest:gsub("^ ?" .. id .. ": ", "") end
  end
  return table.concat(lines, "\n")
end

local function run(words, options)
  options = options or {}
  options.env = options.env or {}
  return support.run(words, options)
end

describe("mynah run", function()
  teardown(support.remove)

  it("gives the output of a stock script as Nmap prints it", function()
    local port, close = support.tcp_server(function(client)
      client:write("hello\1\r\nthere\n", function() client:shutdown() end)
    end)
    local p = run { "run", "banner", "127.0.0.1", "-p", tostring(port), "--script-timeout", "20" }
    close()
    assert.equal(0, p.status, p.err)
    assert.truthy(p.out:find("Nmap scan report for 127.0.0.1\n", 1, true), p.out)
    assert.truthy(p.out:find(("\n%d/tcp open  "):format(port), 1, true), p.out)
    assert.truthy(p.out:find("\n|_banner: hello\\x01\\x0D\\x0Athere\n", 1, true) or
      p.out:find("\n| banner: hello", 1, true), p.out)
  end)

  it("says what is closed, and asks no script there", function()
    local p = run { "run", "banner", "127.0.0.1", "-p", "1" }
    assert.equal(0, p.status, p.err)
    assert.truthy(p.out:find("\n1/tcp closed tcpmux\n", 1, true), p.out)
  end)

  it("takes ports as open where they are given", function()
    local path = action "return port.state .. ' ' .. port.reason"
    local p = run { "run", path, "127.0.0.1", "-p", "1", "--given" }
    assert.equal("open user-set", output(p, path))
  end)

  -- What is printed of each value: { action's body, output }.
  local VALUES = {
    { 'return "one\\ntwo"', "one\ntwo" },
    { 'return { "a", k = { 1, true } }', "\n  a\n  k: \n    1\n    true" },
    { "return false", "false" },
    { 'return { x = 1 }, "text"', "text" },
    { "return nil", "" },
    { 'return SCRIPT_TYPE .. tostring(SCRIPT_PATH ~= nil)', "portruletrue" },
    { 'return stdnse.get_script_args("a.b") .. stdnse.get_script_args("c.d")', "xy, z" },
    { "return nmap.registry.args.list[2]", "two" },
    { "return nmap.registry.args[1]", "word" },
    { "local co = coroutine.wrap(function() stdnse.sleep(0.001) coroutine.yield(7) end) return co()", "7" },
    { "local ok, why = pcall(function() return undeclared end) return (why:gsub('^.-:%d+: ', ''))",
      "variable 'undeclared' is not declared" },
    { "return require 'openssl'.bignum_bn2dec(require 'openssl'.bignum_dec2bn '12345678901234567890')",
      "12345678901234567890" },
    { "return require 'zlib'.decompress(require 'zlib'.compress 'pressed')", "pressed" },
    { "return tostring(nmap.get_port_state(host, { number = 1, protocol = 'udp' }))", "nil" },
    { "nmap.set_port_state(host, port, 'closed') return port.state .. nmap.get_port_state(host, port).state", "openclosed" },
    { "host.registry.mine = 5 return host.registry.mine", "5" },
    { "nmap.new_try()(false, 'no') return 'not reached'", "" },
    { "stdnse.silent_require 'no_such_module'", "" },
    { [[local said = {}
      for i, name in ipairs { "\xff", ("a"):rep(300) } do said[i] = select(2, nmap.resolve(name)) end
      return table.concat(said, "; ")]], "Failed to resolve; Failed to resolve" },
    { [[local s, said = nmap.new_socket "udp", {}
      local function hear() said[#said + 1] = select(2, s:receive()) end
      for _, leave in ipairs { s.connect, s.close } do
        s:connect(host.ip, 9, "udp")
        stdnse.new_thread(hear)
        stdnse.sleep(0.01)
        leave(s, host.ip, 9, "udp")
        stdnse.sleep(0.01)
      end
      return table.concat(said, "; ")]], "CANCELLED; CANCELLED" },
  }

  it("prints what scripts return, and gives them what they expect", function()
    local paths, words = {}, { "run" }
    for i, row in ipairs(VALUES) do paths[i] = action(row[1]) end
    for _, path in ipairs(paths) do words[#words + 1] = path end
    for _, word in ipairs { "127.0.0.1", "-p", "9", "--given", "--script-args",
      'a.b=x,d="y, z",list={one,two},word' } do words[#words + 1] = word end
    local p = run(words)
    assert.equal("", p.err)
    for i, row in ipairs(VALUES) do
      local id = id_of(paths[i])
      local block = {}
      local mine
      for line in p.out:gmatch "[^\n]+" do
        local start = line:match("^|[_ ] ?" .. id .. ": (.*)$")
        if start then mine = true elseif line:match "^|[_ ] ?file%w*" or line:match "^|[_ ] ?lua_%w+:" then mine = false end
        if mine then block[#block + 1] = start or line:sub(3) end
        if line:sub(1, 2) == "|_" then mine = false end
      end
      assert.equal(row[2], table.concat(block, "\n"), row[1])
    end
  end)

  it("runs what depends on another after it, prerules first and postrules last", function()
    local first = action([[nmap.registry.seen = (nmap.registry.seen or "") .. SCRIPT_TYPE return nil]],
      HEAD .. "function prerule() return true end function portrule() return true end\n")
    local last = action("return nmap.registry.seen", ALWAYS .. ('dependencies = { "%s" }\n'):format(id_of(first)))
    local post = action("return nmap.registry.seen .. SCRIPT_TYPE", HEAD .. "function postrule() return true end\n")
    local p = run { "run", last, first, post, "127.0.0.1", "-p", "9", "--given" }
    assert.truthy(p.out:find("\n|_" .. id_of(last) .. ": preruleportrule\n", 1, true), p.out)
    assert.truthy(p.out:find("Post-scan script results:\n|_" .. id_of(post) .. ": preruleportrulepostrule\n", 1, true), p.out)
  end)

  -- Broken scripts: { what it is, the whole script or an action's body, what is said of it }.
  local BROKEN = {
    { "syntax", script "function function", ":4: <name> expected near 'function'" },
    { "an undeclared global", action("return nowhere", ONCE), ":5: variable 'nowhere' is not declared" },
    { "an endless loop", action("while true do pcall(function() while true do end end) end", ONCE), "without waiting" },
    { "an endless loop in coroutines, each caught", action([[while true do pcall(coroutine.wrap(function()
      while true do pcall(function() while true do end end) end end)) end]], ONCE), "without waiting" },
    { "a memory hog", action("local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end", ONCE), "not enough memory" },
    { "an error in a rule", action("", HEAD .. "function portrule() return nil + 1 end\n"), ":3: attempt to perform arithmetic" },
    { "closing twice", action("local s = nmap.new_socket() s:close() s:close() s:send 'x'", ONCE), "socket must be connected" },
    { "a yield of its own", action("coroutine.yield(5)", ONCE), "yielded unexpectedly" },
    { "a missing module", action("require 'no_such_module'", ONCE), "module 'no_such_module' not found" },
    { "an error that is no text", action("error { 1 }", ONCE), "an error that is a table" },
    { "a leak of sockets", action([[local all = {}
      while true do all[#all + 1] = nmap.new_socket "udp" all[#all]:connect(host.ip, 9, "udp") end]], ONCE),
      "has 50 sockets open" },
  }

  it("ends broken scripts alone, each reported once, among a hundred good ones", function()
    local good = action "stdnse.sleep(0.01) return 'good'"
    local words, ports = { "run", good }, {}
    for _, row in ipairs(BROKEN) do words[#words + 1] = row[2] end
    for i = 1, 100 do ports[i] = tostring(20000 + i) end
    for _, word in ipairs { "127.0.0.1", "-p", table.concat(ports, ","), "--given", "--script-busy", "0.6",
      "--script-memory", "4", "--script-sockets", "50", "--at-once", "40" } do words[#words + 1] = word end
    local p = run(words, { seconds = 120 })
    assert.equal(1, p.status, p.err) -- one could not even be loaded
    assert.equal(100, select(2, p.out:gsub("[|_]* ?" .. id_of(good) .. ": good\n", "")))
    for _, row in ipairs(BROKEN) do
      local count = 0
      for line in p.err:gmatch "[^\n]+" do
        if line:find(id_of(row[2]), 1, true) then
          count = count + 1
          assert.truthy(line:find(row[3], 1, true), row[1] .. ": " .. line)
        end
      end
      assert.equal(1, count, row[1] .. ": " .. p.err)
    end
  end)

  it("ends a script after --script-timeout, and one that nobody can wake", function()
    local late, stuck = action "stdnse.sleep(60) return 'late'", action "nmap.condvar 'x' 'wait'"
    local p = run { "run", late, "127.0.0.1", "-p", "9", "--given", "--script-timeout", "0.1" }
    assert.truthy(p.err:find("not done after 0.1 seconds", 1, true), p.err)
    p = run { "run", stuck, "127.0.0.1", "-p", "9", "--given" }
    assert.truthy(p.err:find("waits for ever", 1, true), p.err)
  end)

  it("says of a script that waits for its turn at a port that it does, and ends it once all others wait, too", function()
    -- Workers keep their connections until all have one; and --script-timeout, which is far off, is not waited for.
    local path = action [[
      local connected, over, all = 0, 0, nmap.condvar "all"
      for i = 1, 3 do
        stdnse.new_thread(function()
          local s = nmap.new_socket()
          s:connect(host, port)
          connected = connected + 1
          all "broadcast"
          while connected < 3 do all "wait" end
          over = over + 1
          all "broadcast"
        end)
      end
      while over < 3 do all "wait" end
      return "all at once"
    ]]
    local port, close = support.tcp_server(function() end)
    local p = run { "run", path, "127.0.0.1", "-p", tostring(port), "--per-port", "2", "--script-timeout", "60" }
    assert.truthy(p.err:find(("its turn at 127.0.0.1 port %d: of scripts 2 threads are connected"):format(port), 1, true), p.err)
    assert.falsy(p.err:find("for ever", 1, true), p.err)
    p = run { "run", path, "127.0.0.1", "-p", tostring(port), "--per-port", "3" }
    close()
    assert.equal("all at once", output(p, path), p.err)
  end)

  it("wakes who slept, even where the time was up before it began to wait", function()
    local path = action "for _ = 1, 1000 do stdnse.sleep(0.001) end return 'awake'"
    local p = run { "run", path, "127.0.0.1", "-p", "9", "--given" }
    assert.equal("awake", output(p, path))
  end)

  it("lets others run beside a script that always has something to read", function()
    local path = action [[if port.number == 2 then
        stdnse.sleep(0.05)
        nmap.registry.enough = true
        return
      end
      local s = nmap.new_socket "udp"
      s:bind("127.0.0.1", 0)
      local _, _, mine = s:get_info()
      while not nmap.registry.enough do
        s:sendto("127.0.0.1", mine, "x")
        s:receive()
      end
      return "enough"]]
    local p = run { "run", path, "127.0.0.1", "-p", "1,2", "--given", "--script-busy", "3" }
    assert.equal("enough", output(p, path), p.err)
  end)

  it("reads what came in time, however long another script kept it from looking", function()
    local path = action [[local s = nmap.new_socket "udp"
      if port.number == 2 then
        stdnse.sleep(0.1)
        s:sendto("127.0.0.1", nmap.registry.theirs, "in time")
        local stop = os.clock() + 0.8
        while os.clock() < stop do end
        return
      end
      s:bind("127.0.0.1", 0)
      s:set_timeout(400)
      nmap.registry.theirs = select(3, s:get_info())
      return select(2, s:receive())]]
    local p = run { "run", path, "127.0.0.1", "-p", "1,2", "--given", "--script-busy", "3" }
    assert.equal("in time", output(p, path), p.err)
  end)

  it("keeps nothing of a script that is over, with --script-timeout either", function()
    local path = action([[if SCRIPT_TYPE == "postrule" then
        collectgarbage()
        collectgarbage()
        local left = 0
        for _ in pairs(nmap.registry.seen) do left = left + 1 end
        return left < 10 and "few" or left .. " are left"
      end
      nmap.registry.seen = nmap.registry.seen or setmetatable({}, { __mode = "k" })
      nmap.registry.seen[coroutine.running()] = true]], ALWAYS .. "function postrule() return true end\n")
    for _, more in ipairs { "--given", "--script-timeout=100" } do
      assert.equal("few", output(run { "run", path, "127.0.0.1", "-p", "1-300", "--given", more }, path))
    end
  end)

  -- What three scripts do at the same time, told apart by their port, with 200 sockets for all of them. The second is woken to
  -- take the place that the first gives back, and is over before it does: the third must get it.
  local PLACES_OF = [[local r = nmap.registry
    local function until_set(key) while not r[key] do stdnse.sleep(0.01) end end
    local function open()
      local s = nmap.new_socket "udp"
      s:connect(host.ip, 9, "udp")
      return s
    end
    local change = nmap.condvar "change"
    if port.number == 1 then
      local all = {}
      for i = 1, 200 do all[i] = open() end
      r.full = true
      until_set "waits"
      stdnse.sleep(0.05)
      change "signal"
      all[1]:close()
      until_set "done"
    elseif port.number == 2 then
      until_set "full"
      stdnse.new_thread(open)
      r.worker = true
      change "wait"
    else
      until_set "worker"
      stdnse.sleep(0.05)
      r.waits = true
      open()
      r.done = true
      return "has a socket"
    end]]
  it("gives a socket's place on where who was to have it is over", function()
    local path = action(PLACES_OF)
    local p = support.shell(('ulimit -n 400; "$MYNAH" run %s 127.0.0.1 -p 1-3 --given --script-timeout 30'):format(path))
    assert.equal("has a socket", output(p, path), p.err)
  end)

  it("takes nobody's turn at a port for a socket that could not be opened", function()
    local path = action [[local r, s = nmap.registry, nmap.new_socket "udp"
      if port.number == 1 then
        s:connect(host.ip, 10, "udp")
        local more = nmap.new_socket "udp"
        local ok = pcall(more.connect, more, host.ip, 9, "udp")
        r.first = true
        while not r.second do stdnse.sleep(0.01) end
        return tostring(ok) .. tostring((more:close()))
      end
      while not r.first do stdnse.sleep(0.01) end
      s:connect(host.ip, 9, "udp")
      r.second = true]]
    local p = run { "run", path, "127.0.0.1", "-p", "1,2", "--given", "--per-port", "1", "--script-sockets", "1",
      "--script-timeout", "30" }
    assert.equal("falsefalse", output(p, path), p.err)
  end)

  it("writes XML of Nmap's form, and JSON", function()
    local path = action [[local t = stdnse.output_table() t.k = "--<v>" t.list = { 1, { a = "b" } } return t]]
    local p = run { "run", path, "127.0.0.1", "-p", "9", "--given", "-oX", "-" }
    assert.truthy(p.out:find('<nmaprun scanner="nmap" args="mynah run -p 9 ' .. path .. ' 127.0.0.1"', 1, true), p.out)
    assert.truthy(p.out:find('<port protocol="tcp" portid="9"><state state="open" reason="user-set" reason_ttl="0"/>' ..
      '<service name="discard" method="table" conf="3"/><script id="' .. id_of(path), 1, true), p.out)
    assert.truthy(p.out:find('<elem key="k">-&#45;&lt;v&gt;</elem>\n<table key="list">\n<elem>1</elem>\n<table>\n' ..
      '<elem key="a">b</elem>\n</table>\n</table>\n</script>', 1, true), p.out)
    if io.open "/usr/share/nmap/nmap.dtd" then
      local file = support.file(p.out, ".xml")
      local lint = support.program("/usr/bin/env", { "xmllint", "--noout", "--dtdvalid", "/usr/share/nmap/nmap.dtd", file })
      assert.equal(0, lint.status, lint.err)
    end
    p = run { "run", path, "127.0.0.1", "-p", "9", "--given", "--json" }
    assert.equal(('{"ip":"127.0.0.1","port":9,"transport":"tcp","script":"%s","kind":"portrule","output":' ..
      '"\\n  k: --<v>\\n  list: \\n    1\\n    \\n      a: b","data":{"k":"--<v>","list":[1,{"a":"b"}]}}\n')
      :format(id_of(path)), p.out)
  end)

  it("says what scripts are for", function()
    local p = run { "run", "--script-help", "banner,mynah-ftp" }
    assert.equal(0, p.status, p.err)
    assert.truthy(p.out:find("\nbanner\nCategories: discovery safe\n  A simple banner grabber", 1, true), p.out)
    assert.truthy(p.out:find("\nmynah-ftp\nCategories: ", 1, true), p.out)
  end)

  it("shows what scripts send and receive", function()
    local port, close = support.tcp_server(function(client) client:write "hello\n" end)
    local path = action [[local s = nmap.new_socket() s:connect(host, port) s:send 'hey'
      local _, d = s:receive() s:close() return d]]
    local p = run { "run", "--script-trace", path, "127.0.0.1", "-p", tostring(port), "--given" }
    close()
    local place = "127.0.0.1:" .. port .. " | "
    for _, row in ipairs { { ">", "CONNECT" }, { ">", "hey" }, { "<", "hello" }, { ">", "CLOSE" } } do
      assert.truthy(p.err:find(row[1] .. " " .. place .. row[2] .. "\n", 1, true), p.err)
    end
  end)

  it("reads targets from a file", function()
    local path = action "return host.ip .. ' ' .. port.number"
    local list = support.file("127.0.0.1:9 # one\n\n127.0.0.2:10 127.0.0.1:11\n", ".txt")
    local p = run { "run", path, "-iL", list, "--given" }
    assert.equal(0, p.status, p.err)
    for _, place in ipairs { "127.0.0.1 9", "127.0.0.1 11", "127.0.0.2 10" } do
      assert.truthy(p.out:find("|_" .. id_of(path) .. ": " .. place .. "\n", 1, true), p.out)
    end
  end)

  -- Targets as mynah scan takes them: { words, the hosts and ports that the script ran at, in the order of the output }.
  local PLACES = {
    { { "127.0.1.0/30", "-p", "9" }, "127.0.1.0:9 127.0.1.1:9 127.0.1.2:9 127.0.1.3:9" },
    { { "127.0.1-2.1,7", "-p", "9,7" }, "127.0.1.1:7 127.0.1.1:9 127.0.1.7:7 127.0.1.7:9 127.0.2.1:7 127.0.2.1:9 127.0.2.7:7 " ..
      "127.0.2.7:9" },
    { { "127.0.0.9-127.0.0.11", "--exclude", "127.0.0.10", "-p", "9" }, "127.0.0.9:9 127.0.0.11:9" },
    { { "127.0.0.1", "127.0.0.1:7", "-p", "T:9,U:9" }, "127.0.0.1:7 127.0.0.1:9 127.0.0.1:7u 127.0.0.1:9u" },
    { { "::1", "-p", "9" }, "::1:9" },
    { { "localhost", "-4", "-p", "9" }, "localhost=127.0.0.1:9" },
  }
  it("takes targets as mynah scan does", function()
    local path = action [[return ("%s%s:%d%s"):format(host.targetname and host.targetname .. "=" or "", host.ip, port.number,
      port.protocol == "udp" and "u" or "")]]
    for _, row in ipairs(PLACES) do
      local p = run { "run", "--given", "--script", path, table.unpack(row[1]) }
      local places = {}
      for place in p.out:gmatch("|_" .. id_of(path) .. ": (%S+)") do places[#places + 1] = place end
      assert.equal(row[2], table.concat(places, " "), p.err)
    end
  end)

  it("reads what other scanners wrote, and standard input", function()
    local path = action "return host.ip .. ' ' .. port.number"
    local list = support.file("# Nmap 7.93 scan\nHost: 127.0.0.3 ()\tPorts: 9/open/tcp//x///, 10/closed/tcp//y///\n", "")
    local p = support.shell(('echo 127.0.0.2:9 | "$MYNAH" run %s -iL %s -iL - --given'):format(path, list))
    assert.equal("127.0.0.2 9\n127.0.0.3 9", output(p, path))
  end)

  -- Nmap's words for why a port is what it is: { address, what `ip route` is told of it first, state, reason }.
  local REASONS = {
    { "127.0.0.1", "", "closed", "conn-refused" },
    { "10.98.0.1", "ip route add unreachable 10.98.0.1", "filtered", "host-unreach" },
    { "10.98.0.2", "ip route add prohibit 10.98.0.2", "filtered", "admin-prohibited" },
    { "10.98.0.3", "", "filtered", "net-unreach" },
    { "10.98.0.4", "ip route add 10.98.0.4 dev lo", "filtered", "no-response" },
  }
  it("tells why connecting failed as Nmap does", function()
    for _, row in ipairs(REASONS) do
      local command = row[2] .. "\n" .. [["$MYNAH" run banner %s -p 9 -oX -
        nmap -n -Pn -sT -p 9 --max-retries 0 %s -oX -]]
      local file = support.file(command:format(row[1], row[1]), ".sh")
      local p = support.shell(("%s/tests/support/netns sh %s"):format(support.root, file))
      local wanted, count = ('<state state="%s" reason="%s" '):format(row[3], row[4]), 0
      for state in p.out:gmatch '<state state="[^"]*" reason="[^"]*" ' do
        assert.equal(wanted, state)
        count = count + 1
      end
      assert.equal(2, count, p.out .. p.err)
    end
  end)

  it("writes what scripts have said, and the end, where it is interrupted", function()
    local path = action [[if port.number == 1 then return "said" end
      stdnse.sleep(0.1)
      io.stderr:write "waits"
      stdnse.sleep(60)]]
    local xml = support.file("", ".xml")
    local p = support.spawn(support.mynah, { "run", path, "127.0.0.1", "-p", "1,2", "--given", "-oX", xml })
    support.wait(function() return p.err:find "waits" or p.over() end, 30)
    p.kill "sigint"
    support.wait(p.over, 30)
    assert.equal(130, p.status, p.err)
    assert.equal("said", output(p, path))
    local lines = {}
    for line in io.lines(xml) do lines[#lines + 1] = line end
    local text = table.concat(lines, "\n")
    assert.truthy(text:find('output="said"', 1, true), text)
    assert.truthy(text:find 'exit="error" errormsg="interrupted"/><hosts up="1" [^\n]*\n</runstats>\n</nmaprun>$', text)
  end)

  it("writes each of many hosts once its scripts are done, and counts the silent", function()
    local slow = action [[local r = nmap.registry
      r.count = (r.count or 0) + 1
      while host.ip == "127.0.0.1" and r.count < 700 do stdnse.sleep(0.01) end
      return host.ip]]
    local port, close = support.tcp_server(function(client) client:close() end, "0.0.0.0")
    local file = support.file(([["$MYNAH" run --script %s -p %d 127.0.0.0/22 10.98.0.0/24]]):format(slow, port), ".sh")
    local p = support.shell("sh " .. file)
    close()
    local order = {}
    for ip in p.out:gmatch("|_" .. id_of(slow) .. ": (%S+)") do order[#order + 1] = ip end
    assert.equal(1024, #order)
    assert.equal("127.0.0.0", order[1])
    assert.truthy(order[2] ~= "127.0.0.1", "it waited for others")
    assert.truthy(p.out:find("\nNot shown: 256 of 1280 hosts, which did not answer\n", 1, true), p.out:sub(-300))
  end)

  -- { words, what is said }
  local MISTAKES = {
    { { "--script", "banner", "127.0.0.300", "-p", "9" }, '"127.0.0.300"' },
    { { "--script", "banner", "127.0.0.1", "::1", "-p", "9" }, "IPv4 and IPv6 cannot be mixed" },
    { { "--script", "banner", "127.0.0.1", "--exclude", "127.0.0.0/8", "-p", "9" }, "nothing is left to ask" },
    { { "no-such-script", "127.0.0.1", "-p", "9" }, 'script "no-such-script": no script, category, file or folder' },
    { { "banner", "127.0.0.1" }, "no port" },
    { { "127.0.0.1:9" }, "expected SCRIPT... TARGET" },
    { { "banner", "-iL", "/nowhere" }, "/nowhere: No such file" },
    { { "banner", "127.0.0.1", "-p", "9", "--json", "-oX", "-" }, "only one of them" },
    { { "banner", "127.0.0.1", "-p", "9", "--script-args", "a={b" }, 'script arguments "a={b"' },
    { { "banner", "127.0.0.1", "-p", "9", "--script-args-file", "/nowhere" }, "/nowhere: No such file" },
    { { "banner", "127.0.0.1", "-p", "9", "--script-args-file", "/tmp" }, "/tmp: Is a directory" },
    { { "banner", "-p", "9", "-iL", "/tmp" }, "/tmp: Is a directory" },
  }
  for _, row in ipairs(MISTAKES) do
    it("explains the mistake in " .. table.concat(row[1], " "), function()
      local words = { "run" }
      for _, word in ipairs(row[1]) do words[#words + 1] = word end
      local p = run(words)
      assert.equal(2, p.status)
      assert.truthy(p.err:find(row[2], 1, true), p.err)
    end)
  end
end)
