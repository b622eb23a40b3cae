-- mynah sig: signatures proved together, tried on a pair, and a capture named.
local here = debug.getinfo(1, "S").source:match("^@(.*)/") or "."
local support = dofile(here .. "/support.lua")
local capture = dofile(here .. "/capture.lua")
local run, root = support.run, support.root
local text = require "mynah.text"

local function hex(bytes) return text.from_hex((bytes:gsub("%s", ""))) end

after_each(function() support.remove() end)

local REQUEST, REPLY = "924002a16665ea0d8c82c30c27cdc5e74e78fea150a6", "924017c0a8001374a041f0"

-- A signature with a relation, a case and enough that is constant.
local ORACLE = [[
service oracle
  title "Oracle"
  from "this test"
sig oracle
  send  id?4 "WHAT?"
  @0:4  = $id
  @4:8  = "WELL NOW"
  case  @12 = 01
    len = 13
  case  @12 = 02
    @13 = 41
  match   01020304 "WHAT?" > 01020304 "WELL NOW" 01
  nomatch 01020304 "WHAT?" > 01020305 "WELL NOW" 01
]]

describe("sig match with a pair", function()
  local SKYPE = root .. "/signatures/skype.sig"
  local function match(name, request, reply, ...)
    return run { "sig", "match", "--sig", SKYPE, name, request, reply, ... }
  end

  it("says of each line that it holds", function()
    local p = match("skype", REQUEST, REPLY, "--my-ip", "192.168.0.19")
    assert.equal(0, p.status, p.out .. p.err)
    assert.equal("", p.err)
    assert.truthy(p.out:find("fits the probe", 1, true), p.out)
    assert.truthy(p.out:find("\nyes%s+32.0%s+c0a80013%s+@3:4%s+= my.ip"), p.out)
    assert.truthy(p.out:find("\nyes%s+[%d.]+%s+11 bytes%s+len%s+= 11"), p.out)
    assert.truthy(p.out:find("\nmatch: 16.0 bits fresh, [%d.]+ bits identity\n"), p.out)
  end)

  it("says which line does not hold, and what was got", function()
    local p = match("skype", REQUEST, "924117c0a8001374a041f0")
    assert.equal(1, p.status)
    assert.truthy(p.out:find("\nno%s+9241%s+@0:2%s+= %$id"), p.out)
    assert.truthy(p.out:find("\nno match: `@0:2 +=.- %$id` does not hold\n"), p.out)
    assert.truthy(p.out:find("\n%-%s+c0a80013%s+@3:4"), p.out) -- no address known
  end)

  it("says where the request is another's, and tries all the same", function()
    local p = match("skype", REQUEST:sub(1, -3), REPLY)
    assert.truthy(p.out:find("21 bytes: not the probe, which has 22 bytes", 1, true), p.out)
    p = match("skype", "924002a16665ea0e" .. REQUEST:sub(17), REPLY)
    assert.truthy(p.out:find("22 bytes: not the probe", 1, true), p.out)
    assert.equal(0, p.status)
  end)

  it("a reply that is the request", function()
    local path = support.file('service e\nsig e\n send id?4\n @0:4 = $id\n', ".sig")
    local p = run { "sig", "match", "--sig", path, "e", "01020304", "01020304" }
    assert.equal(1, p.status)
    assert.truthy(p.out:find("no match: the reply begins with the whole request", 1, true), p.out)
  end)

  it("lines of another case do not count", function()
    local path = support.file(ORACLE, ".sig")
    local p = run { "sig", "match", "--sig", path, "oracle", "0102030457484154 3f", "0102030457454c4c204e4f57 02 41" }
    assert.equal(0, p.status, p.out .. p.err)
    assert.truthy(p.out:find("\n%-%s+14 bytes%s+len = 13"), p.out)
  end)

  for _, row in ipairs {
    { { "skype", "zz", "00" }, 'request "zz": expected hex bytes' }, { { "skype", "00", "0" }, 'reply "0": expected hex' },
    { { "nothing", "00", "00" }, 'no signature "nothing"' }, { { "skype", "00", "00", "--my-ip", "x" }, '--my-ip "x"' },
    { { "skype" }, "what" }, { { "skype", "00", "00", "00" }, "too many arguments" },
  } do
    it("refuses " .. table.concat(row[1], " "), function()
      local words = { "sig", "match", "--sig", SKYPE, table.unpack(row[1]) }
      local p = run(words)
      assert.equal(2, p.status, p.out .. p.err)
      assert.equal("", p.out)
      assert.truthy(p.err:find(row[2], 1, true), p.err)
    end)
  end
end)

describe("sig match with a capture", function()
  local client, server = "10.9.0.1", "10.9.0.2"

  local function ask(port, data, more)
    local p = { from = client, from_port = port, to = server, to_port = 7000, data = data }
    for key, value in pairs(more or {}) do p[key] = value end
    return p
  end
  local function answer(port, data, more)
    local p = { from = server, from_port = 7000, to = client, to_port = port, data = data }
    for key, value in pairs(more or {}) do p[key] = value end
    return p
  end

  local function name(packets, path)
    path = path or support.file(ORACLE, ".sig")
    local p = run { "sig", "match", path, support.file(capture.write(packets), ".pcap") }
    local rows = {}
    for i, line in ipairs(p.lines) do
      local n, from, to, service, bits, rest = line:match "^(%d+)\t(%S+)\t(%S+)\t(%S+)\t([%d.]+)(.*)$"
      assert.equal(i, tonumber(n), line)
      assert.equal("", rest)
      rows[i] = { from, to, service, tonumber(bits) }
    end
    return rows, p
  end

  local Q, Q2 = hex "01020304" .. "WHAT?", hex "05060708" .. "WHAT?"
  local R, R2 = hex "01020304" .. "WELL NOW\1", hex "05060708" .. "WELL NOW\1"

  it("each pair: number, client, server, service, bits; nothing else", function()
    local rows, p = name { ask(1, Q), answer(1, R), ask(2, "?"), answer(2, "!"), ask(3, Q2), answer(3, R) }
    assert.equal(0, p.status)
    assert.equal("", p.err)
    assert.same({ "10.9.0.1:1", "10.9.0.2:7000", "oracle" }, { table.unpack(rows[1], 1, 3) })
    assert.truthy(rows[1][4] > 60, p.out)
    assert.same({ "10.9.0.1:2", "10.9.0.2:7000", "-", 0 }, rows[2])
    assert.same({ "10.9.0.1:3", "10.9.0.2:7000", "-", 0 }, rows[3]) -- another's id
    assert.equal(3, #rows)
  end)

  it("the latest request that binds counts, whatever else the client said", function()
    local rows = name { ask(1, Q2), ask(1, Q), ask(1, "by the way"), answer(1, R) }
    assert.equal(1, #rows)
    assert.equal("oracle", rows[1][3])
  end)

  it("a request that fits no template has a pair all the same", function()
    local rows, p = name { ask(1, Q .. "?"), answer(1, R), answer(1, R) }
    assert.equal(1, p.status)
    assert.same({ "-", "-" }, { rows[1][3], rows[2][3] })
    rows = name { ask(1, Q:sub(1, 8) .. "!"), answer(1, R) } -- a fixed byte differs
    assert.equal("-", rows[1][3])
  end)

  it("an echo, and one with its last byte changed, are nobody's", function()
    local rows, p = name { ask(1, Q), answer(1, Q), ask(2, Q), answer(2, hex "01020305" .. "WHAT?") }
    assert.equal(1, p.status)
    assert.same({ "-", "-" }, { rows[1][3], rows[2][3] })
  end)

  it("both ends may ask each other on one flow", function()
    local rows = name { ask(1, Q), answer(1, R), answer(1, Q2), ask(1, R2) }
    assert.equal(2, #rows)
    assert.same({ "10.9.0.2:7000", "10.9.0.1:1", "oracle" }, { table.unpack(rows[2], 1, 3) })
    rows = name { ask(1, Q), answer(1, Q2), ask(1, R2), answer(1, R) } -- crosswise
    assert.equal("oracle", rows[#rows][3])
    assert.equal("oracle", rows[#rows - 1][3])
  end)

  it("the answer to a step, behind a pair that has a name", function()
    local path = support.file([[
service gate
sig gate
  send  id?4 "KNOCK"
  @0:4  = $id
  @4:4  = "WHO?"
  step  r@8:4 "ME" n?4
  @0:4  = $n
  @4:4  = "COME"
]], ".sig")
    local knock, who = "\1\2\3\4KNOCK", "\1\2\3\4WHO?cook"
    local rows = name({ ask(1, knock), answer(1, who), ask(1, "cookMEabcd"), answer(1, "abcdCOME") }, path)
    assert.same({ "gate", "gate" }, { rows[1][3], rows[2][3] })
    rows = name({ ask(1, knock), answer(1, who), ask(1, "cookMEabcd"), answer(1, "abcxCOME") }, path)
    assert.same({ "gate", "-" }, { rows[1][3], rows[2][3] })
    rows = name({ ask(1, knock), answer(1, who), ask(1, "cookYOabcd"), answer(1, "abcdCOME") }, path)
    assert.same({ "gate", "-" }, { rows[1][3], rows[2][3] })
    rows = name({ ask(1, "cookMEabcd"), answer(1, "abcdCOME") }, path) -- a step alone is none
    assert.same({ "-" }, { rows[1][3] })
  end)

  it("a reply from another port: only where the signature says so", function()
    local rows = name { ask(1, Q), answer(1, R, { from_port = 9 }) }
    assert.same({ "10.9.0.1:1", "10.9.0.2:7000", "-", 0 }, rows[1])
    local any = support.file((ORACLE:gsub("  send", "  from-port any\n  send", 1)), ".sig")
    rows = name({ ask(1, Q), answer(1, R, { from_port = 9 }) }, any)
    assert.equal("oracle", rows[1][3])
  end)

  it("the client's address stands for my.ip, the time of the packet for ours", function()
    local path = support.file([[
service mirror
sig mirror
  send  id?4 01
  @0:4  = my.ip
  @4:2  = my.port
  @6:4  ~ now.unix 60s
  timing 0..100
]], ".sig")
    local good = "\10\9\0\1" .. string.pack(">I2I4", 555, 1700000000)
    local packets = { ask(555, "\0\0\0\0\1"), answer(555, good), ask(555, "\0\0\0\0\1"),
      answer(555, "\0\0\0\9" .. good:sub(5)), ask(555, "\0\0\0\0\1"), answer(555, good:sub(1, 6) .. "\0\0\0\0") }
    local rows = name(packets, path)
    assert.same({ "mirror", "-", "-" }, { rows[1][3], rows[2][3], rows[3][3] })
    rows = name({ ask(555, "\0\0\0\0\1", { time = 0 }), answer(555, good, { time = 0.5 }) }, path)
    assert.equal("-", rows[1][3])
  end)

  it("with a whole folder", function()
    local rows, p = name({ { data = hex(REQUEST) },
      { from = "10.0.0.1", from_port = 33333, to = "192.168.0.19", to_port = 40000, data = hex(REPLY) } }, root .. "/signatures")
    assert.equal(0, p.status, p.err)
    assert.equal("skype", rows[1][3])
    assert.truthy(rows[1][4] > 40)
  end)

  it("no pair at all", function()
    local rows, p = name { ask(1, Q) }
    assert.equal(0, #rows)
    assert.equal(1, p.status)
  end)

  it("what is no capture, or breaks off", function()
    local sig = support.file(ORACLE, ".sig")
    local p = run { "sig", "match", sig, "/nonexistent" }
    assert.equal(2, p.status)
    assert.truthy(p.err:find("/nonexistent", 1, true), p.err)
    local bytes = capture.write { ask(1, Q), answer(1, R), ask(1, Q) }
    p = run { "sig", "match", sig, support.file(bytes:sub(1, -3), ".pcap") }
    assert.equal(2, p.status)
    assert.equal(1, #p.lines) -- what came before stands
  end)
end)

describe("sig check and list", function()
  it("hold signatures of one file against samples of another", function()
    local path = support.file(ORACLE, ".sig")
    local other = support.file((ORACLE:gsub("oracle", "prophet"):gsub("Oracle", "Prophet")), ".sig")
    assert.equal(0, run({ "sig", "check", path }).status)
    local p = run { "sig", "check", path, other }
    assert.equal(1, p.status)
    assert.truthy(p.out:find("matches a sample of signature", 1, true), p.out)
    assert.truthy(p.err:find("2 of 2 files refused", 1, true), p.err)
  end)

  it("refuse a name that stands in two files", function()
    local path = support.file(ORACLE, ".sig")
    local p = run { "sig", "check", path, support.file(ORACLE, ".sig") }
    assert.equal(1, p.status)
    assert.truthy(p.err:find("1 of 2 files refused", 1, true), p.err)
  end)

  it("print one table, sorted: service, probe, bits, samples, verdict", function()
    local p = run { "sig", "check", root .. "/signatures" }
    assert.equal(0, p.status, p.out)
    local last = ""
    assert.truthy(p.lines[1]:find "^SERVICE%s+SIGNATURE%s+PROBE%s+FRESH%s+IDENTITY%s+SAMPLES%s+VERDICT$")
    for i = 2, #p.lines - 1 do
      local service, _, probe, fresh, identity, samples, verdict =
        p.lines[i]:match "^(%S+)%s+(%S+)%s+(%S+)%s+([%d.]+)%s+([%d.]+)%s+(%d+)%s+(%S+)$"
      assert.truthy(service, p.lines[i])
      assert.truthy(service >= last)
      assert.truthy(probe == "banner" or tonumber(probe))
      assert.truthy(tonumber(fresh) >= 0 and tonumber(identity) >= 16 and tonumber(samples) >= 2, p.lines[i])
      assert.equal("ok", verdict)
      last = service
    end
    assert.truthy(p.lines[#p.lines]:find "^%d+ signatures of %d+ services in %d+ files$", p.lines[#p.lines])
  end)

  it("list in columns, sorted", function()
    local p = run "sig list"
    local last = ""
    local at = p.lines[1]:find "WHAT"
    for i = 2, #p.lines do
      local service = p.lines[i]:match "^%S+"
      assert.truthy(service >= last)
      assert.equal(" ", p.lines[i]:sub(at - 1, at - 1), p.lines[i])
      last = service
    end
  end)
end)
