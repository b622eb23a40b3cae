-- identify_spec.lua - the built program against real servers, which it must name, and against decoys, which must not fool
-- it. Everything here is what ships: $MYNAH (default build/bin/mynah) on loopback.
--
-- MYNAH_DAEMONS: where the real servers are unpacked (default: daemons/ beside the program's bin/). Nothing is asserted
-- about time but that it ends: tests/bench/identify measures.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path

local json = require "cjson"
local uv = require "luv"
local child = require "child"
local daemons = require "daemons"
local ports = require "ports"

local unpack = table.unpack or unpack -- luacheck: ignore 113 (5.1)
local top = uv.fs_realpath(here .. "../..")
local mynah = os.getenv("MYNAH") or top .. "/build/bin/mynah"
mynah = uv.fs_realpath(mynah) or mynah
local dir = os.getenv("MYNAH_DAEMONS") or mynah:gsub("/bin/[^/]*$", "") .. "/daemons"

-- As long as the slowest true decoy speaks late, and a little.
local PATIENCE = 12

local KEYS = { "ip", "port", "transport", "state", "reason", "service", "product", "version", "extra", "tls", "confidence",
  "guess", "fresh_bits", "identity_bits", "probe", "rtt_ms", "elapsed_ms", "sent", "received", "reply_port", "reply_hex",
  "evidence", "timestamp" }
local STATES = { open = true, closed = true, filtered = true, ["open|filtered"] = true }

local function given(value)
  if value == json.null then return nil end
  return value
end

local function place(host, port)
  return host:find(":", 1, true) and ("[%s]:%d"):format(host, port) or ("%s:%d"):format(host, port)
end

-- Runs the program to its end; more than 4 minutes means that it hangs.
local function run(...)
  local result, message = child.run(mynah, { ... }, 240)
  assert(result, message)
  if result.late then error("does not end: mynah " .. table.concat({ ... }, " "):sub(1, 200)) end
  if result.signal and result.signal ~= 0 then
    error(("ended by signal %d: mynah %s\n%s"):format(result.signal, table.concat({ ... }, " "):sub(1, 200), result.err))
  end
  return result
end

-- What is wrong with a line of --json, or nil.
local function wrong_shape(line)
  local ok, object = pcall(json.decode, line)
  if not ok then return "no JSON: " .. tostring(object) end
  if not line:find('^{"') or line:gsub("\\.", ""):gsub('"[^"]*"', '""'):find("%s") then return "not compact" end
  local seen = {}
  for _, key in ipairs(KEYS) do
    seen[key] = true
    if object[key] == nil then return "without the key " .. key end
  end
  for key in pairs(object) do if not seen[key] then return "with a key of no contract: " .. key end end
  local function is(key, kind)
    return given(object[key]) == nil or type(object[key]) == kind
  end
  if math.floor(object.port) ~= object.port or line:find('"port":%d+%.') then return "port is no integer" end
  if not STATES[object.state] then return "state " .. tostring(object.state) end
  if not is("tls", "boolean") then return "tls is no boolean" end
  if type(object.evidence) ~= "table" then return "evidence is no array" end
  if not object.timestamp:match("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.?%d*[Z+-]") then return "timestamp" end
  for _, key in ipairs { "ip", "transport", "state", "reason", "service", "product", "version", "extra", "guess", "probe",
    "reply_hex" } do
    if not is(key, "string") then return key .. " is no string" end
  end
  for _, key in ipairs { "confidence", "fresh_bits", "identity_bits", "rtt_ms", "elapsed_ms", "sent", "received",
    "reply_port" } do
    if not is(key, "number") then return key .. " is no number" end
  end
  local confidence = given(object.confidence) or 0
  if confidence < 0 or confidence > 1 then return "confidence outside 0..1" end
  if given(object.service) then
    if confidence < 0.9 then return "a service named with confidence " .. confidence end
    if object.service ~= object.service:lower() or object.service:find("/", 1, true) then return "service is no bare name" end
  end
  if given(object.reply_hex) and not object.reply_hex:match("^[0-9a-f]*$") then return "reply_hex is not hex" end
end

-- A byte that a terminal would act upon, or a letter that turns the line around, or nil.
local function raw(text)
  local at = text:find("[%z\1-\9\11-\31\127]") or text:find("\194[\128-\159]") or text:find("\226\128[\142\143\170-\174]")
    or text:find("\226\129[\166-\169]")
  if not at then
    -- A C1 byte that is no part of a UTF-8 character.
    for position in text:gmatch("()[\128-\159]") do
      if not text:sub(1, position):find("[\194-\244][\128-\191]*$") then at = position break end
    end
  end
  if at then return ("byte %02x in: %s"):format(text:byte(at), text:sub(math.max(1, at - 30), at + 10):gsub("%c", "?")) end
end

-- identify --json on these; results by "host port transport", and the lines.
local function identify(...)
  local result = run("identify", "--json", ...)
  local found, lines = {}, {}
  for line in result.out:gmatch("[^\n]+") do
    lines[#lines + 1] = line
    local problem = wrong_shape(line)
    if problem then error(problem .. ":\n" .. line) end
    local object = json.decode(line)
    local key = ("%s %d %s"):format(object.ip, object.port, object.transport)
    if found[key] then error("two lines for " .. key) end
    object.line = line
    found[key] = object
  end
  return found, lines, result
end

local function told(result)
  return ("it said service %s, guess %s, confidence %s, state %s\n%s"):format(tostring(given(result.service)),
    tostring(given(result.guess)), tostring(given(result.confidence)), result.state, result.line:sub(1, 1500))
end

-- Starts a program that prints JSON lines until {"ready":N}; returns it and its rows. A second try is granted, and said: what
-- is on trial here is not how thirteen servers start at once on a busy machine.
local function serve(args, again)
  local self = assert(child.spawn("lua5.3", args, { stdin = true }))
  local ready = child.wait(function()
    return self.exit or (self.lines[#self.lines] or ""):find('^{"ready"')
  end, 60)
  if not ready or self.exit then
    self:stop()
    if not again then
      print("note: " .. table.concat(args, " ") .. " did not start, tried once more: " .. self.errors)
      return serve(args, true)
    end
    error("cannot start " .. table.concat(args, " ") .. ": " .. self.errors)
  end
  local rows = {}
  for i = 1, #self.lines - 1 do rows[i] = json.decode(self.lines[i]) end
  return self, rows
end

assert(uv.fs_stat(mynah), mynah .. " is missing; build first, or set MYNAH")

describe("identify names real servers:", function()
  local process, servers = nil, {}

  setup(function()
    local fetched = assert(child.run(here .. "fetch", { dir }, 540))
    assert(fetched.exit == 0, fetched.err)
    local rows
    process, rows = serve { here .. "daemons.lua", dir }
    for _, row in ipairs(rows) do
      local server = servers[row.name] or row
      servers[row.name] = server
      server.transports = server.transports or {}
      server.transports[row.transport] = true
    end
  end)

  teardown(function()
    if process then process:stop(20) end
    child.stop_all()
  end)

  for _, name in ipairs(daemons.names) do
    it(name .. ", alone, on a port that gives nothing away", function()
      local server = servers[name]
      local found, lines = identify(place(server.host, server.port))
      assert.are.equal(2, #lines)
      for _, transport in ipairs { "tcp", "udp" } do
        local result = found[("%s %d %s"):format(server.host, server.port, transport)]
        assert(result, "no line for " .. transport)
        if server.transports[transport] then
          assert(given(result.service) == server.service, told(result))
          assert(result.state == "open", told(result))
          -- What the server says of itself without being asked for more.
          if server.product then
            assert((given(result.product) or ""):lower():find(server.product), "product: " .. told(result))
          end
          if given(result.product) and server.said then
            assert(result.product:lower():find(server.said, 1, true), "product: " .. told(result))
          end
          assert(#result.evidence > 0, "named without evidence: " .. told(result))
        else
          -- Loopback answers with an ICMP error where nobody listens.
          assert(result.state == "closed" and not given(result.service), told(result))
        end
      end
    end)
  end

  it("all of them in one run, with exit status 0", function()
    local args = {}
    for _, server in pairs(servers) do args[#args + 1] = place(server.host, server.port) end
    local found, lines, ran = identify(unpack(args))
    assert.are.equal(2 * #args, #lines)
    assert.are.equal(0, ran.exit)
    assert.are.equal("", ran.err)
    for _, server in pairs(servers) do
      local result = found[("%s %d tcp"):format(server.host, server.port)]
      assert(given(result.service) == server.service, server.name .. ": " .. told(result))
    end
  end)

  it("as a plain table in a pipe: a row for each port, no colours", function()
    local args = { "identify" }
    for _, server in pairs(servers) do args[#args + 1] = place(server.host, server.port) end
    local ran = run(unpack(args))
    assert.are.equal(0, ran.exit)
    assert(not raw(ran.out), raw(ran.out))
    for _, server in pairs(servers) do
      local row
      for line in ran.out:gmatch("[^\n]+") do
        if line:find((":%d/"):format(server.port), 1, true) and line:find(server.service, 1, true) then row = line end
      end
      assert(row, ("no row for %s on port %d in:\n%s"):format(server.name, server.port, ran.out))
    end
  end)

  it("without bytes that a terminal acts upon, with all evidence too", function()
    for _, flag in ipairs { "-v", "-vv" } do
      local server = servers["pure-ftpd"]
      local ran = run("identify", flag, place(server.host, server.port))
      assert.are.equal(0, ran.exit)
      assert(not raw(ran.out), raw(ran.out))
    end
  end)
end)

describe("identify names the demo node", function()
  -- Options of `mynah demo --serve skype`, the transports' truth, and why.
  local NODES = {
    { "as it is", {}, { tcp = "skype", udp = "skype" } },
    { "that refuses anything of 3 bytes", { "--refuse", "any" }, { tcp = "skype", udp = "skype" } },
    { "that answers 300 ms late", { "--delay", "300" }, { tcp = "skype", udp = "skype" } },
    { "that sees us behind a NAT", { "--public-ip", "93.184.216.34" }, { tcp = "skype", udp = "skype" } },
    -- A private address that is not ours is worth a guess, no more.
    { "that sees somebody else in us", { "--public-ip", "10.9.8.7" }, { tcp = "skype" } },
  }
  for _, row in ipairs(NODES) do
    it(row[1], function()
      local args = { "demo", "--serve", "skype" }
      for _, word in ipairs(row[2]) do args[#args + 1] = word end
      local node = assert(child.spawn(mynah, args))
      finally(function() node:stop() end)
      assert(child.wait(function() return node.exit or node.lines[1] end, 20) and node.lines[1], node.errors)
      local host, port = node.lines[1]:match("^skype (%S+):(%d+) ")
      assert(host, "unexpected: " .. node.lines[1])
      local found, lines = identify(place(host, tonumber(port)))
      assert.are.equal(2, #lines)
      for _, transport in ipairs { "tcp", "udp" } do
        local result = found[("%s %s %s"):format(host, port, transport)]
        assert(given(result.service) == row[3][transport], transport .. ": " .. told(result))
      end
    end)
  end
end)

describe("identify where nobody listens", function()
  it("says closed for both transports, with exit status 1", function()
    local port = ports.pick()
    local found, lines, ran = identify(place("127.0.0.1", port))
    assert.are.equal(2, #lines)
    assert.are.equal(1, ran.exit)
    for _, result in pairs(found) do assert(result.state == "closed" and not given(result.service), told(result)) end
  end)
end)

describe("identify is not fooled:", function()
  local process, counts, found = nil, {}, {}
  local decoys, ran = {}, {}
  local scan = { counts = {}, found = {} } -- the same under `mynah scan -sT`, by decoys of its own, meanwhile

  -- Their names and truths, without a port yet.
  local listed = assert(child.run("lua5.3", { here .. "decoys.lua", "--list" }, 20))
  assert(listed.exit == 0, listed.err)
  local rows = {}
  for line in listed.out:gmatch("[^\n]+") do rows[#rows + 1] = json.decode(line) end

  local function read_counts(of, into)
    local before = #of.lines
    of:say("counts")
    child.wait(function() return of.exit or of.lines[#of.lines] == '{"end":true}' end, 20)
    for i = before + 1, #of.lines do
      local count = json.decode(of.lines[i])
      if count.name then into[count.transport .. " " .. count.name] = count end
    end
  end

  local function begin_scan()
    local live
    scan.process, live = serve { here .. "decoys.lua" }
    local words = { "scan", "-sT", "--json", "--retries", "0", "--patience", tostring(PATIENCE) }
    for _, row in ipairs(live) do
      if row.transport == "tcp" and row.host == "127.0.0.1" then
        scan.found[row.name] = false
        scan[math.tointeger(row.port)] = row.name
        words[#words + 1] = place(row.host, row.port)
      end
    end
    scan.run = assert(child.spawn(mynah, words, { whole = true }))
  end

  local function end_scan()
    child.wait(function() return scan.run.exit and not scan.run.stdout:is_active() end, 240)
    for line in scan.run.rest:gmatch "[^\n]+" do
      local object = json.decode(line)
      object.line = line
      scan.found[scan[math.tointeger(object.port)]] = object
    end
    read_counts(scan.process, scan.counts)
  end

  setup(function()
    local live
    process, live = serve { here .. "decoys.lua" }
    begin_scan()
    local args = { tcp = { "-sT", "--patience", tostring(PATIENCE) }, udp = { "-sU" } }
    for _, row in ipairs(live) do
      decoys[row.transport .. " " .. row.name] = row
      local list = args[row.transport]
      list[#list + 1] = place(row.host, row.port)
    end
    for _, transport in ipairs { "tcp", "udp" } do
      -- What fails here fails each test below with its message.
      local ok, results, lines, result = pcall(identify, unpack(args[transport]))
      ran[transport] = { ok = ok, message = results, lines = lines, result = result, asked = #args[transport] }
      for key, one in pairs(ok and results or {}) do found[key] = one end
    end
    read_counts(process, counts)
    end_scan()
  end)

  teardown(function()
    if process then process:stop(2) end
    child.stop_all()
  end)

  local function result_of(row)
    local decoy = decoys[row.transport .. " " .. row.name]
    assert(ran[row.transport].ok, tostring(ran[row.transport].message))
    local result = found[("%s %d %s"):format(decoy.host, decoy.port, decoy.transport)]
    return assert(result, "no line for it; stderr: " .. ran[row.transport].result.err:sub(1, 500))
  end

  local function judge(truth, result)
    local service, guess = given(result.service), given(result.guess)
    if truth.is then
      assert(service == truth.is, ("is %s; "):format(truth.is) .. told(result))
    elseif service then
      local allowed = false
      for _, name in ipairs(truth.may or {}) do allowed = allowed or service == name end
      assert(allowed, ("may be called %s; "):format(truth.may and table.concat(truth.may, ", ") or "nothing") .. told(result))
    end
    if truth.hint then
      assert(service == truth.hint or guess == truth.hint, ("should at least be guessed %s; "):format(truth.hint)
        .. told(result))
    end
    if truth.state ~= false then
      assert(result.state == (truth.state or "open"), ("state should be %s; "):format(truth.state or "open") .. told(result))
    end
  end

  for _, row in ipairs(rows) do
    it(row.transport .. " " .. row.name .. ": " .. row.why, function()
      judge(row.truth, result_of(row))
      local count = counts[row.transport .. " " .. row.name]
      assert(count, "the decoys did not count")
      if row.transport == "tcp" then
        assert(count.connections >= 1, "it was never asked")
        -- Servers may be fragile: a stated number of connections, no more.
        assert(count.connections <= 6, ("%d connections were made"):format(count.connections))
      else
        assert(count.datagrams >= 1, "it was never asked")
        assert(count.datagrams <= 200, ("%d datagrams were sent"):format(count.datagrams)) -- --max-probes
      end
    end)
  end

  it("nor is scan -sT, by the same decoys", function()
    local wrong, seen = {}, 0
    for _, row in ipairs(rows) do
      local result = scan.found[row.name]
      if row.transport == "tcp" and result ~= nil then
        seen = seen + 1
        local ok, message = pcall(judge, row.truth, result or error("no row: " .. scan.run.errors))
        if not ok then wrong[#wrong + 1] = row.name .. ": " .. tostring(message) end
        local made = scan.counts["tcp " .. row.name].connections
        if made > 6 then wrong[#wrong + 1] = ("%s: %d connections were made"):format(row.name, made) end
      end
    end
    assert(seen > 100 and #wrong == 0, table.concat(wrong, "\n"))
  end)

  it("one line for each, and nothing else on stdout or stderr", function()
    for transport, one in pairs(ran) do
      assert(one.ok, tostring(one.message))
      local asked = 0
      for _, row in ipairs(rows) do if row.transport == transport then asked = asked + 1 end end
      assert.are.equal(asked, #one.lines)
      assert.are.equal("", one.result.err)
      assert.are.equal(0, one.result.exit)
    end
  end)

  it("by escapes: none reaches stdout raw, as JSON or as a table", function()
    for _, one in pairs(ran) do
      for _, line in ipairs(one.lines or {}) do assert(not raw(line), raw(line)) end
    end
    local args = { "identify", "-sT", "-vv", "--patience", "2" }
    for _, name in ipairs { "ftp-escapes", "http-escapes", "escapes", "nul", "http-10mb", "flood-220" } do
      local decoy = decoys["tcp " .. name]
      args[#args + 1] = place(decoy.host, decoy.port)
    end
    local table_ = run(unpack(args))
    assert(not raw(table_.out), raw(table_.out))
    assert(not raw(table_.err), raw(table_.err))
    -- What a peer said is cut at a limit a person can read.
    for line in table_.out:gmatch("[^\n]+") do
      assert(#line < 4000, "a line of " .. #line .. " bytes: " .. line:sub(1, 80))
    end
    args = { "identify", "-sU", "-vv" }
    local decoy = decoys["udp udp-escapes"]
    args[#args + 1] = place(decoy.host, decoy.port)
    table_ = run(unpack(args))
    assert(not raw(table_.out), raw(table_.out))
  end)

  it("by floods: what is kept and shown is bounded", function()
    for _, line in ipairs(ran.tcp.lines or {}) do
      assert(#line < 200000, "a line of " .. #line .. " bytes: " .. line:sub(1, 80))
    end
  end)
end)
