-- Learning from a live server, under the virtual engine: servers that insist on lengths, checksums and bits, that
-- remember, that lose datagrams; what must be found in their requests, and that no budget is ever overdrawn.
local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
package.path = here .. "/support/?.lua;" .. package.path
local paths = require "paths"
local virtual = require "virtual"
local mutation = require "mynah.mutation"
local probing = require "mynah.probing"
local transport = require "mynah.transport"

local capture = dofile(here .. "/../host/capture.lua")

local PORT = 34567

local function random(n)
  local out = {}
  for i = 1, n do out[i] = string.char(math.random(0, 255)) end
  return table.concat(out)
end

local function hex(text) return (text:gsub("%s", ""):gsub("..", function(d) return string.char(tonumber(d, 16)) end)) end

local function skype(u)
  if #u.data >= 3 and u.data:byte(3) & 15 == 2 then
    u:reply(u.data:sub(1, 2) .. string.char(7 | math.random(0, 7) << 4) .. "\127\0\0\1" .. random(4))
  end
end

-- A tagged request behind a checksum of kind `kind` over all that follows it.
local function summed(kind, width)
  return function(u)
    local field = { kind = kind, offset = 0, from = width, len = #u.data - width }
    if #u.data < width + 8 or u.data:sub(1, width) ~= mutation.field_bytes(u.data, field) then return end
    if u.data:sub(width + 1, width + 2) ~= "\1\2" then return end
    u:reply("\1\3" .. u.data:sub(width + 3, width + 6) .. "SUMMED")
  end
end

local function sum_request(kind, width)
  local body = hex "0102 a7b3c1d9 00112233 445566"
  local blank = ("\0"):rep(width) .. body
  return mutation.fix(blank, { { kind = kind, offset = 0, from = width, len = #body } })
end

-- Its length in front, in two bytes; text with a transaction of eight letters.
local function framed(u)
  if #u.data < 4 or string.unpack(">I2", u.data) ~= #u.data - 2 then return end
  local id = u.data:match "^..ASK ([%l%d][%l%d][%l%d][%l%d][%l%d][%l%d][%l%d][%l%d]) "
  if id then u:reply("\0\18TOLD " .. id .. " fine") end
end

-- Whoever was heard before is answered in another way.
local function stateful()
  local known = {}
  return function(u)
    if u.n == 1 then known = {} end
    local first = not known[u.from_port]
    known[u.from_port] = true
    if first then u:reply("\64" .. random(8) .. "\1" .. u.data:sub(2, 9)) else u:reply("\40again") end
  end
end

local function lossy(peer, every)
  return function(u) if u.n % every ~= 0 then peer(u) end end
end

local function offsets(spans)
  local list = {}
  for _, span in ipairs(spans) do list[#list + 1] = ("%d+%d"):format(span.offset, span.len) end
  return table.concat(list, " ")
end

local SKYPE = hex "924002a16665ea0d8c82c30c27cdc5e74e78fea150a6"
local LONG = hex "00010203" .. ("Z"):rep(400)
local FRAMED = string.pack(">s2", "ASK qwertz12 about the weather")

-- name, peer, request; then what must be found: nonces, control byte, fields, smallest; pairs at least; then what else the client
-- sent.
local ROWS = {
  { "bits that a request must have, an id that comes back", skype, SKYPE,
    { nonces = "0+2", control = 2, fields = "", smallest = 3, pairs = 30 } },
  { "the same where each ninth datagram is lost", lossy(skype, 9), SKYPE,
    { nonces = "0+2", control = 2, fields = "", smallest = 3, pairs = 20 } },
  { "a CRC-32 in front", summed("crc32", 4), sum_request("crc32", 4),
    { nonces = "6+4", control = 4, fields = "crc32@0", smallest = 12, pairs = 30 } },
  { "a CRC-32, little-endian", summed("crc32le", 4), sum_request("crc32le", 4),
    { nonces = "6+4", control = 4, fields = "crc32le@0", smallest = 12, pairs = 30 } },
  { "an Internet checksum", summed("inet", 2), sum_request("inet", 2),
    { nonces = "4+4", control = 2, fields = "inet@0", smallest = 10, pairs = 30 } },
  { "a sum of bytes", summed("sum8", 1), sum_request("sum8", 1), { nonces = "3+4", control = 1, fields = "sum8@0", pairs = 30 } },
  { "a length, and an id that must stay a text", framed, FRAMED,
    { nonces = "6+8", control = 2, fields = "length@0", smallest = 15, pairs = 30 } },
  { "first contact answered otherwise: each datagram is one", stateful(), "\56" .. hex "a1a2a3a4a5a6a7a8" .. "\0\0\0\0",
    { nonces = "1+8", fields = "", smallest = 9, pairs = 30 } },
  { "an echo of all", function(u) u:reply(u.data) end, SKYPE, { nonces = "0+22", fields = "" } },
  { "nothing that comes back", function(u) if u.data:sub(1, 2) == "OK" then u:reply "WELL" end end, "OK?!",
    { nonces = "", control = 0, fields = "", smallest = 2, pairs = 30 } },
  { "a clock in the reply, which moves now and then", function(u)
    if #u.data == 12 then u:reply("\36" .. string.pack(">I4", 1000 + u.n // 45) .. u.data:sub(5)) end
  end, "\35abc" .. hex "91a2b3c4d5e6f708", { nonces = "4+8", fields = "", smallest = 12, pairs = 30 } },
  { "a top bit that tells requests from replies", function(u)
    if #u.data < 12 or u.data:byte(3) > 127 then return end
    u:reply(u.data:sub(1, 2) .. (u.data:byte(3) == 1 and "\x81\x80" or "\x81\x84") .. u.data:sub(5, 12))
  end, hex "a1b2 0100 0001000000000000",
    { nonces = "0+2 4+8", control = 2, mask = 0x80, fields = "", smallest = 12, pairs = 30 } },
  { "more that comes back than is of use", function(u)
    if #u.data == 24 and u.data:sub(3, 3) == "\1" then u:reply(u.data:sub(1, 2) .. "\2" .. u.data:sub(4)) end
  end, hex "a1b201" .. "abcdefgh" .. hex "00" .. "xyz123456789",
    { nonces = "0+2 3+21", control = 2, fields = "", smallest = 24, pairs = 30 } },
  { "more that comes back than the client ever varied", function(u)
    if #u.data == 24 and u.data:sub(3, 3) == "\1" then u:reply(u.data:sub(1, 2) .. "\2" .. u.data:sub(4)) end
  end, hex "a1b201" .. "abcdefgh" .. hex "00" .. "xyz123456789",
    { nonces = "0+2", control = 2, fields = "", smallest = 24, pairs = 30 },
    { hex "c3d401" .. "abcdefgh" .. hex "00" .. "xyz123456789", "another length" } },
  { "a long request, for which the budget is small",
    function(u) if #u.data > 3 then u:reply("\9" .. u.data:sub(1, 4)) end end, LONG,
    { nonces = "0+4", fields = "", pairs = 30 } },
}

local function study(peer, request, opts)
  math.randomseed(opts.seed or 1)
  local w = virtual.new()
  w.udp[PORT] = { peer = peer }
  local prober, known
  w:loop():run(function()
    prober = probing.new(transport.new { loop = w.loop_of }, "127.0.0.1", PORT, {
      random = random, budget = opts.budget, rate = opts.rate })
    known = prober:study(request, opts.keep or 16, opts.client)
  end)
  return known, w, prober
end

-- The transport wants the very loop that runs it.
local new_world = virtual.new
function virtual.new(config)
  local w = new_world(config)
  w.loop_of = w:loop()
  function w.loop() return w.loop_of end
  return w
end

describe("a live server is asked", function()
  for _, row in ipairs(ROWS) do
    it("and has " .. row[1], function()
      local want = row[4]
      for seed = 1, 4 do
        local known, w, prober = study(row[2], row[3], { seed = seed, client = row[5] })
        local story = row[1] .. ": " .. table.concat(prober.notes, "; ")
        assert.equal(want.nonces, offsets(known.nonces), story)
        assert.equal(want.control, known.control and known.control.offset, story)
        if want.mask then assert.equal(want.mask, known.control.mask) end
        local fields = {}
        for i, field in ipairs(known.fields) do fields[i] = field.kind .. "@" .. field.offset end
        assert.equal(want.fields, table.concat(fields, " "), story)
        if want.smallest then assert.equal(want.smallest, known.smallest, story) end
        assert.is_true(#known.pairs >= (want.pairs or 0), #known.pairs .. " pairs; " .. story)
        assert.is_true(#w.log <= 300 - 16 and #w.log == prober.sent, #w.log .. " datagrams")
      end
    end)
  end

  it("never more often than the budget allows, whatever it is", function()
    for budget = 0, 120, 13 do
      for _, row in ipairs(ROWS) do
        local _, w, prober = study(row[2], row[3], { budget = budget, keep = 4 })
        assert.is_true(#w.log <= budget, ("%s: %d datagrams of %d"):format(row[1], #w.log, budget))
        assert.equal(#w.log, prober.sent)
      end
    end
  end)

  it("at no more than the rate, each datagram from a port of its own", function()
    local _, w = study(skype, SKYPE, { rate = 50 })
    local ports = {}
    for i, sent in ipairs(w.log) do
      assert.is_nil(ports[sent.my_port])
      ports[sent.my_port] = true
      if i > 1 then assert.is_true(sent.at - w.log[i - 1].at >= 1 / 50 - 1e-6, i) end
    end
  end)

  it("and is silent", function()
    local known, w = study(function() end, SKYPE, {})
    assert.is_nil(known)
    assert.equal(4, #w.log)
  end)
end)

describe("what was recorded is replayed", function()
  it("few of one shape, no two the same, the silent again; answered ones are told apart", function()
    local w = virtual.new()
    w.udp[PORT] = { peer = lossy(skype, 3) }
    local answered, prober
    w:loop():run(function()
      prober = probing.new(transport.new { loop = w.loop_of }, "127.0.0.1", PORT, { random = random })
      local list = { "\1\2\3no", "\1\2\4not" }
      for i = 1, 9 do list[#list + 1] = mutation.redraw(SKYPE, { { offset = 0, len = 2 } }, random) list[#list + 1] = list[i] end
      answered = prober:replay(list)
    end)
    assert.equal(3, #answered)
    assert.equal(1, #probing.shapes(answered))
    assert.is_true(#w.log <= 10 and #w.log == prober.sent, #w.log)
  end)
end)

describe("a template", function()
  it("covers every byte once", function()
    for _, row in ipairs(ROWS) do
      local known = study(row[2], row[3], {})
      local at = 0
      for _, part in ipairs(probing.template(known)) do
        assert.equal(at, part.offset, row[1])
        at = at + (part.len and part.kind ~= "inet" and part.kind ~= "sum8" and not part.kind:find "^crc" and part.len
          or part.width or #mutation.field_bytes(known.request, part))
      end
      assert.equal(#row[3], at)
    end
  end)
end)

describe("a field", function()
  it("is found by what it holds", function()
    for _, kind in ipairs { "crc32", "crc32le", "inet", "sum8" } do
      local width = ({ crc32 = 4, crc32le = 4, inet = 2, sum8 = 1 })[kind]
      local found = mutation.sums(sum_request(kind, width))[1]
      assert.same({ kind, 0, width }, { found.kind, found.offset, found.from })
    end
    assert.same({ "be", 0, 2, -2 }, (function(f) return { f.endian, f.offset, f.width, f.add } end)(mutation.lengths(FRAMED)[1]))
  end)

  it("is made right again, lengths before sums", function()
    local fields = { { kind = "length", offset = 4, width = 2, endian = "le", add = -6 },
      { kind = "crc32", offset = 0, from = 4, len = 5, tail = true } }
    local fixed = mutation.fix("........x", fields)
    assert.equal("\3\0..x", fixed:sub(5))
    assert.equal(fixed, mutation.fix(fixed, fields))
    local field = { kind = "crc32", offset = 0, from = 4, len = 9 }
    assert.equal(0xcbf43926, string.unpack(">I4", mutation.field_bytes("....123456789", field)))
  end)
end)

describe("a signature is learned", function()
  if not paths.has_core then return pending("mynah_core is not built") end
  local learning = require "mynah.learning"
  local path = os.tmpname()
  teardown(function() os.remove(path) end)

  -- One request in the capture; a server that answers it.
  local function learn(peer, opts)
    math.randomseed(1)
    local file = assert(io.open(path, "wb"))
    file:write(capture.write { { data = SKYPE, from = "127.0.0.1", to_port = PORT } })
    file:close()
    local w = virtual.new()
    w.udp[PORT] = { peer = peer }
    opts.captures, opts.target, opts.service = { path }, { ip = "127.0.0.1", port = PORT }, "skype"
    local results = table.pack(w:loop():run(function() return learning.run(transport.new { loop = w.loop_of }, opts) end))
    return w, table.unpack(results, 1, results.n)
  end

  it("from a request of a capture and a live server, and tried there", function()
    local w, result, message = learn(skype, {})
    assert.is_nil(message)
    for _, pattern in ipairs { "@0:2 += %$id", "@2 += b0%.%.%.0111", "@3:4 += my%.ip", "vary +@7:4", "control q@2 ^ ff" } do
      assert.is_truthy(result.text:find(pattern), pattern .. " in\n" .. result.text)
    end
    assert.equal("skype", result.verdict.service)
    assert.equal(#w.log, result.sent)
    assert.is_true(#w.log <= 300)
  end)

  it("under another name where its own is taken", function()
    local _, result = learn(skype, { known = paths.signatures() })
    assert.is_truthy(result.text:find "\nsig skype%-learned\n")
  end)

  it("within any budget, or not at all", function()
    for budget = 1, 90, 11 do
      local w, result, message = learn(skype, { budget = budget })
      assert.is_true(#w.log <= budget, ("%d datagrams of %d"):format(#w.log, budget))
      assert.is_true(result ~= nil or #message > 0)
    end
  end)

  it("from nobody who is silent", function()
    local _, result, message, lack = learn(function() end, {})
    assert.is_nil(result)
    assert.is_truthy(message:find("answered none of 2 datagrams", 1, true), message)
    assert.is_true(lack.silent)
  end)

  it("and is named after its capture", function()
    local names = { ["/x/Skype 2009.pcap.gz"] = "skype-2009", ["a.pcapng"] = "a", ["-"] = "learned", ["7.pcap"] = "learned" }
    for name, want in pairs(names) do
      assert.equal(want, learning.name_of(name))
    end
  end)
end)
