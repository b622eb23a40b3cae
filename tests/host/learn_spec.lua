-- mynah learn: from the students' three exchanges to a signature that names other nodes and nobody else; what it says where
-- it cannot; a live target, whose datagrams are counted.
local support = dofile((debug.getinfo(1, "S").source:match("^@(.*)/") or ".") .. "/support.lua")
local capture = dofile(support.root .. "/tests/host/capture.lua")
local cjson = require "cjson"
local uv = require "luv"

local function hex(text) return (text:gsub("%s", ""):gsub("..", function(d) return string.char(tonumber(d, 16)) end)) end

local PROBE = hex "924002a16665ea0d8c82c30c27cdc5e74e78fea150a6"
-- What the students recorded: one datagram, sent three times.
local EXCHANGES = {
  { PROBE, hex "924017c0a8001374a041f0" }, { PROBE, hex "924067c0a800131100104f" }, { PROBE, hex "924037c0a8001368 08433a" },
}

-- kept: bytes of each frame of the server that the capture holds
local function exchanges(list, server, kept)
  local packets = {}
  server = server or "10.0.0.1"
  for i, pair in ipairs(list) do
    packets[#packets + 1] = { data = pair[1], from_port = 40000 + i, to = server }
    packets[#packets + 1] = {
      data = pair[2], from = server, from_port = 33333, to = "192.168.0.19", to_port = 40000 + i, kept = kept,
    }
  end
  return support.file(capture.write(packets), ".pcap")
end

-- A peer on loopback that answers each datagram by `answer(request)`; counts them.
local function peer(answer)
  local socket, counted = uv.new_udp(), { datagrams = 0 }
  assert(socket:bind("127.0.0.1", 0))
  socket:recv_start(function(_, data, from)
    if not (data and from) then return end
    counted.datagrams = counted.datagrams + 1
    local reply = answer(data, from)
    if reply then socket:send(reply, from.ip, from.port, function() end) end
  end)
  counted.address = "127.0.0.1:" .. socket:getsockname().port
  function counted.stop()
    socket:close()
    uv.run "nowait"
  end
  return counted
end

-- A node of the test's own, which refuses in one of these kinds.
local function node(kinds)
  return function(q, from)
    if #q < 3 or q:byte(3) & 15 ~= 2 then return nil end
    local ip, dice = from.ip:gsub("(%d+)%.?", function(n) return string.char(tonumber(n)) end), uv.random(2)
    local kind = kinds[dice:byte(1) % #kinds + 1]
    return q:sub(1, 2) .. string.char(kind | dice:byte(2) & 0x70) .. ip .. uv.random(4)
  end
end

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

local function named(file, address)
  local p = support.run { "identify", "-sU", "--json", "--sig", file, address }
  local service = cjson.decode((assert(p.lines[1], p.err))).service
  return service ~= cjson.null and service or nil, p.out
end

local function assert_checked(file)
  local p = support.run { "sig", "check", file }
  assert.equal(0, p.status, p.out .. p.err)
  p = support.run { "sig", "check", support.root .. "/signatures", file }
  assert.equal(0, p.status, p.out .. p.err)
end

describe("from the students' three exchanges", function()
  local file, learned
  setup(function()
    file = support.file("", ".sig")
    learned = support.run { "learn", exchanges(EXCHANGES), "--service", "skype", "-o", file }
  end)
  teardown(support.remove)

  local function text()
    local handle = assert(io.open(file))
    local bytes = handle:read "a"
    handle:close()
    return bytes
  end

  it("a signature is learned, said on standard error alone", function()
    assert.equal(0, learned.status, learned.err)
    assert.equal("", learned.out)
    assert.truthy(learned.err:find("3 pairs of 1 server", 1, true), learned.err)
    assert_checked(file)
  end)

  it("it has the id, the bits of the kind, the address and the seed", function()
    local got = text()
    for _, pattern in ipairs {
      "service skype\n", "\nsig skype%-learned\n", "\n +len += 11", "\n +@0:2 += %$", "\n +@2 += b0%.%.%.0111",
      "\n +@3:4 += my%.ip", "\n +vary +@7:4", "One server", "\n +match +", "\n +nomatch +",
    } do
      assert.truthy(got:find(pattern), pattern .. " in\n" .. got)
    end
  end)

  it("it names a node that it never saw, of the one kind that they met", function()
    local other = peer(node { 7 })
    local service, story = named(file, other.address)
    other.stop()
    assert.equal("skype", service, story)
  end)

  it("it names none of the decoys", function()
    local script = support.root .. "/tests/daemons/decoys.lua"
    local listed = support.program("lua5.3", { script, "--list" })
    local names = { script }
    for _, line in ipairs(listed.lines) do
      local row = cjson.decode(line)
      if row.transport == "udp" then names[#names + 1] = row.name end
    end
    local decoys = support.spawn("lua5.3", names)
    support.wait(function() return decoys.status or decoys.out:find '"ready"' end)
    local by_port, args = {}, { "identify", "-sU", "--json", "--sig", file }
    for line in decoys.out:gmatch "[^\n]+" do
      local row = cjson.decode(line)
      if row.port then
        by_port[row.port] = row
        args[#args + 1] = (row.host:find ":" and "[%s]:%d" or "%s:%d"):format(row.host, row.port)
      end
    end
    local p = support.run(args)
    decoys.kill()
    support.wait(decoys.over)
    assert.equal(#args - 5, #p.lines, p.err)
    for _, line in ipairs(p.lines) do
      local result = cjson.decode(line)
      local row = by_port[result.port]
      local allowed = result.service == cjson.null or result.service == row.truth.is
      for _, name in ipairs(row.truth.may or {}) do allowed = allowed or result.service == name end
      assert.truthy(allowed, row.name .. ": " .. row.why .. ": " .. line)
    end
  end)
end)

describe("learn", function()
  teardown(support.remove)

  it("prints the signature where no file is named", function()
    local p = support.run { "learn", exchanges(EXCHANGES), "--service", "parrot" }
    assert.equal(0, p.status, p.err)
    assert.truthy(p.out:find "^[^\n]*service parrot\n" or p.out:find "\nservice parrot\n", p.out)
    assert.truthy(p.out:find "\nsig parrot\n", p.out)
  end)

  it("puts the messages of TCP together before it compares them", function()
    local packets = {}
    for i = 1, 12 do
      local id = ("%08d"):format(i * 7654321 % 100000000)
      local there = { tcp = true, from = "10.9.0.7", from_port = 41000 + i, to = "10.0.0.1", to_port = 4000 }
      local back = { tcp = true, from = "10.0.0.1", from_port = 4000, to = "10.9.0.7", to_port = 41000 + i }
      for _, part in ipairs { { there, "PIN" }, { there, "G " .. id .. "\r\n" }, { back, "PO" },
        { back, "NG " .. id .. " I am ready\r\n" } } do
        packets[#packets + 1] = setmetatable({ data = part[2] }, { __index = part[1] })
      end
    end
    local p = support.run { "learn", support.file(capture.write(packets), ".pcap"), "--service", "parrot" }
    assert.equal(0, p.status, p.err)
    for _, pattern in ipairs { "\n +over +tcp\n", "\n +send +[^\n]*[?]8", "\n +@5:8 += [$]", "12 pairs" } do
      assert.truthy((p.out .. p.err):find(pattern), pattern .. " in\n" .. p.out .. p.err)
    end
  end)

  it("takes two captures for one signature, and says of how many servers", function()
    local other = {}
    for i, pair in ipairs(EXCHANGES) do
      local id = "\1" .. string.char(i)
      other[i] = { id .. pair[1]:sub(3), id .. pair[2]:sub(3) }
    end
    local p = support.run { "learn", exchanges(EXCHANGES), exchanges(other, "10.0.0.2"), "--service", "parrot" }
    assert.equal(0, p.status, p.err)
    assert.truthy(p.out:find("6 pairs of 2 servers", 1, true), p.out)
    assert.falsy(p.out:find("One server", 1, true), p.out)
  end)

  it("says where a capture breaks off, and learns from what came before", function()
    local file = assert(io.open(exchanges(EXCHANGES), "rb"))
    local bytes = file:read "a"
    file:close()
    local broken = support.file(bytes .. bytes:sub(25, 60), ".pcap")
    local p = support.run { "learn", broken, "--service", "parrot" }
    assert.equal(0, p.status, p.err)
    assert.truthy(p.err:find(broken, 1, true) and p.err:find("learned from what came before", 1, true), p.err)
  end)

  it("takes a datagram that the capture cut for none, and says how many there are", function()
    local headers = 14 + 20 + 8
    local cut = exchanges(EXCHANGES, nil, headers + 9)
    local p = support.run { "learn", cut, "--service", "parrot" }
    assert.equal(1, p.status, p.out)
    assert.truthy(p.err:find("no request with a reply; 3 datagrams", 1, true), p.err)
    p = support.run { "learn", exchanges(EXCHANGES), cut, "--service", "parrot" }
    assert.equal(0, p.status, p.err)
    assert.truthy(p.out:find "\n +len += 11" and p.err:find("3 datagrams that the capture", 1, true), p.err)
  end)

  -- arguments, exit status, what the message says
  local one = exchanges { EXCHANGES[1] }
  for _, row in ipairs {
    { "one exchange is not enough", { one }, 1, "more" },
    { "nothing names a capture and refuses the same", { exchanges(EXCHANGES), "--not", exchanges(EXCHANGES) }, 1, "" },
    { "no such file", { "/nonexistent.pcap" }, 2, "/nonexistent.pcap" },
    { "no capture", { "/etc/passwd" }, 2, "/etc/passwd" },
    { "no capture among the counter-examples", { one, "--not", "/etc/passwd" }, 2, "/etc/passwd" },
    { "a filter that is none", { one, "--filter", "udp udp" }, 2, "udp udp" },
    { "a folder that is none", { exchanges(EXCHANGES), "-o", "/nonexistent/x.sig" }, 2, "/nonexistent/x.sig" },
    { "a name that is none", { one, "--service", "No Name" }, 2, "--service" },
    { "a target without a port", { one, "--target", "127.0.0.1" }, 2, "no port" },
    { "a budget of nothing", { one, "--target", "127.0.0.1:9", "--budget", "0" }, 2, "--budget" },
  } do
    it("says so: " .. row[1], function()
      local p = support.run { "learn", table.unpack(row[2]) }
      assert.equal(row[3], p.status, p.out .. p.err)
      assert.equal("", p.out)
      assert.truthy(p.err:find(row[4], 1, true), p.err)
    end)
  end
end)

describe("learn asks a live target", function()
  teardown(support.remove)

  it("that answers, within budget, and tries what it learned there", function()
    local server, file = peer(node { 5, 7 }), support.file("", ".sig")
    local p = support.run { "learn", exchanges { EXCHANGES[1] }, "--target", server.address, "--budget", "200", "--rate", "400",
      "--service", "skype", "-o", file }
    server.stop()
    assert.equal(0, p.status, p.err)
    assert.truthy(p.err:find("learn: will send at most 200 datagrams to " .. server.address .. ", 400 a second", 1, true), p.err)
    assert.truthy(server.datagrams <= 200 and server.datagrams > 60, server.datagrams)
    assert.truthy(p.err:find(("%d datagrams sent to"):format(server.datagrams), 1, true), p.err)
    assert.truthy(p.err:find("fresh probes name " .. server.address .. " skype", 1, true), p.err)
    assert_checked(file)
    local nodes = support.serve { "skype" }
    local service, story = named(file, nodes.skype.address)
    nodes.stop()
    assert.equal("skype", service, story)
  end)

  for _, budget in ipairs { 1, 5, 23, 50 } do
    it("never more often than " .. budget .. " times", function()
      local server = peer(node { 7 })
      local p = support.run { "learn", exchanges(EXCHANGES), "--target", server.address, "--budget", tostring(budget), "--rate",
        "400" }
      server.stop()
      assert.truthy(server.datagrams <= budget, server.datagrams .. ": " .. p.err)
      assert.truthy(p.status == 0 or p.status == 1, p.err)
    end)
  end

  it("that is silent, and says so", function()
    local server, path = peer(function() end), os.tmpname()
    os.remove(path)
    local p = support.run { "learn", exchanges(EXCHANGES), "--target", server.address, "--rate", "400", "-o", path }
    server.stop()
    assert.equal(1, p.status, p.err)
    assert.equal("", p.out)
    assert.truthy(p.err:find("answered none", 1, true), p.err)
    assert.falsy(exists(path))
  end)

  it("and leaves no file where it is interrupted", function()
    local server, path = peer(node { 7 }), os.tmpname()
    os.remove(path)
    local p = support.spawn(support.mynah, { "learn", exchanges(EXCHANGES), "--target", server.address, "-o", path })
    support.wait(function() return server.datagrams > 3 end)
    p.kill "sigint"
    support.wait(p.over)
    server.stop()
    assert.equal(130, p.status, p.err)
    assert.falsy(exists(path))
  end)
end)

describe("what stands at -o and --status-file", function()
  it("stays where it is no plain file: it is written to, not replaced", function()
    local file = os.tmpname()
    local link = file .. ".link"
    assert(uv.fs_symlink(file, link))
    local words = { { "learn", exchanges(EXCHANGES), "-o", link },
      { "scan", "-sT", "-p", "1", "127.0.0.1", "--status-file", link } }
    for _, each in ipairs(words) do
      local p = support.run(each)
      assert.equal(0, p.status, p.err)
      assert.equal("link", uv.fs_lstat(link).type)
      assert.truthy(uv.fs_stat(file).size > 0)
      assert(io.open(file, "w")):close()
    end
    os.remove(link)
    os.remove(file)
    support.remove()
  end)
end)
