-- replay_spec.lua - a mixed capture replayed at a real name server: which payloads were answered, and by which bytes, has to be
-- what tcpdump saw on the same wire.
--
-- MYNAH_DAEMONS: where the real servers are unpacked (default: daemons/ beside the program's bin/).
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;" .. here .. "../host/?.lua;" .. package.path

local json = require "cjson"
local uv = require "luv"
local ask = require "ask"
local capture = require "capture"
local child = require "child"

local MARK = "the replay is over"

-- A DNS message: `flags` as in the header, the name's labels.
local function message(id, flags, ...)
  local name = ""
  for _, label in ipairs { ... } do name = name .. string.pack("s1", label) end
  return string.pack(">I2I2I2I2I2I2", id, flags, 1, 0, 0, 0) .. name .. "\0" .. string.pack(">I2I2", 1, 1)
end

local QUERY, RESPONSE = 0x0100, 0x8180

-- Over UDP: every third is no question but an answer, which a name server must not answer; every fifth no DNS.
local function datagrams()
  local packets = {}
  for i = 1, 40 do
    local data = message(0x4000 + i, i % 3 == 0 and RESPONSE or QUERY, "host" .. i, "localhost")
    if i % 5 == 0 then data = data:sub(1, 7) .. "\1" end
    packets[i] = { data = data, from_port = 40000 + i % 4, wanted = i % 3 ~= 0 and i % 5 ~= 0 }
  end
  return packets
end

local next_id = 0x6000
local function framed(flags)
  next_id = next_id + 1
  return string.pack(">s2", message(next_id, flags, "tcp" .. next_id, "localhost"))
end

-- Over TCP, a connection a row: what the client says, in turns where the server spoke ("<").
local function conversations()
  local whole = framed(QUERY)
  return {
    { framed(QUERY) },
    { framed(QUERY), "<", framed(QUERY), "<", framed(QUERY) },
    { whole:sub(1, 9), whole:sub(10), wanted = { false, true } }, -- the first half alone is no question
    { framed(QUERY), "<", framed(RESPONSE), wanted = { true, false } },
    { "\0\3abc", wanted = { false } },
  }
end

-- All packets of the capture, and of these the client's payloads: { number, data, wanted, connection, ends }.
local function mixed()
  local packets, payloads = datagrams(), {}
  for i, p in ipairs(packets) do payloads[i] = { number = i, transport = "udp", data = p.data, wanted = p.wanted } end
  for c, row in ipairs(conversations()) do
    local there = { tcp = true, from_port = 50000 + c }
    local function add(fields)
      packets[#packets + 1] = setmetatable(fields, { __index = there })
    end
    add { data = "", syn = true }
    local nth, ends = 0, 0
    for _, data in ipairs(row) do
      if data == "<" then
        add { data = "\0\2ok", from = "10.0.0.1", from_port = 33333, to = "192.168.0.19", to_port = there.from_port }
      else
        nth, ends = nth + 1, ends + #data
        add { data = data }
        payloads[#payloads + 1] = { number = #packets, transport = "tcp", data = data, connection = c, ends = ends,
          wanted = not row.wanted or row.wanted[nth] }
      end
    end
  end
  return packets, payloads
end

-- What tcpdump wrote of IPv4 on loopback, payloads only: { transport, from, to (ports), data }.
local function read_wire(path)
  local bytes, list, at = assert(io.open(path, "rb")):read("a"), {}, 25
  while at <= #bytes do
    local _, _, caught = string.unpack("<I4I4I4", bytes, at)
    local ip = at + 16 + 14
    local segment, last = ip + (bytes:byte(ip) & 15) * 4, ip + string.unpack(">I2", bytes, ip + 2) - 1
    local protocol = bytes:byte(ip + 9)
    if protocol == 6 or protocol == 17 then
      local from, to = string.unpack(">I2I2", bytes, segment)
      local data = bytes:sub(segment + (protocol == 17 and 8 or (bytes:byte(segment + 12) >> 4) * 4), last)
      if data ~= "" then list[#list + 1] = { transport = protocol == 6 and "tcp" or "udp", from = from, to = to, data = data } end
    end
    at = at + 16 + caught
  end
  return list
end

-- The answer to each UDP payload on the wire: what has its id and went to its port.
local function judge_udp(payloads, wire, port)
  for _, p in ipairs(payloads) do
    for _, w in ipairs(wire) do
      if p.transport == "udp" and w.transport == "udp" then
        if w.to == port and w.data == p.data then p.seen, p.port = (p.seen or 0) + 1, w.from end
        if w.from == port and w.to == p.port and w.data:sub(1, 2) == p.data:sub(1, 2) then p.answer = w.data end
      end
    end
  end
end

-- Of TCP: a connection is known by the bytes it begins with; an answer is the last payload's of which all was sent by then.
local function judge_tcp(payloads, wire, port)
  local streams = {}
  for _, w in ipairs(wire) do
    local here_port = w.to == port and w.from or w.to
    if w.transport == "tcp" and w.to == port then
      local s = streams[here_port] or { said = "" }
      streams[here_port] = s
      for _, p in ipairs(payloads) do
        if s.said == "" and p.data == w.data then s.connection = p.connection end
      end
      s.said = s.said .. w.data
      for _, p in ipairs(payloads) do
        if p.connection == s.connection and p.ends == #s.said then s.last, p.seen = p, (p.seen or 0) + 1 end
      end
    elseif w.transport == "tcp" and streams[here_port] then
      local p = streams[here_port].last
      p.answer = (p.answer or "") .. w.data
    end
  end
end

local function hex(bytes) return bytes and (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end

describe("a mixed capture replayed at bind9", function()
  local peers, port, folder
  local payloads, rows = nil, {}

  local function inside(command, args)
    local words = ask.inside(peers)
    for _, word in ipairs { command, table.unpack(args) } do words[#words + 1] = word end
    return words
  end

  local function write(name, packets)
    local path = folder .. "/" .. name
    assert(io.open(path, "wb")):write(capture.write(packets)):close()
    return path
  end

  local function replay(path, where)
    local run = assert(child.run("nsenter", inside(ask.mynah, { "replay", "--json", "--timeout", "1.5", path, where }), 60))
    assert.is_false(run.late)
    return run
  end

  setup(function()
    local fetched = assert(child.run(here .. "fetch", { ask.daemons }, 900))
    assert(fetched.exit == 0, fetched.err)
    folder = assert(uv.fs_mkdtemp("/tmp/mynah-replay-XXXXXX"))
    peers = ask.serve({ "daemons.lua", ask.daemons, "bind9" }, 60)
    port = math.tointeger(peers.rows[1].port)
  end)

  teardown(function()
    if peers then peers:stop() end
    child.stop_all()
    child.run("rm", { "-r", folder }, 10)
  end)

  it("is heard as tcpdump hears it", function()
    local packets
    packets, payloads = mixed()
    local path, mark, seen = write("sent.pcap", packets), write("mark.pcap", { { data = MARK } }), folder .. "/seen.pcap"
    local watch = assert(child.spawn("nsenter", inside("tcpdump", { "-i", "lo", "-n", "-U", "--immediate-mode", "-s", "0",
      "-w", seen, "ip and not icmp" })))
    assert(child.wait(function() return watch.exit or watch.errors:find("listening on") end, 20) and not watch.exit, watch.errors)
    local run = replay(path, "127.0.0.1:" .. port)
    assert.equal(0, run.exit, run.err)
    for line in run.out:gmatch("[^\n]+") do rows[#rows + 1] = json.decode(line) end
    replay(mark, "127.0.0.1:9")
    assert(child.wait(function() return assert(io.open(seen, "rb")):read("a"):find(MARK, 1, true) end, 20))
    watch:stop()
    local wire = read_wire(seen)
    judge_udp(payloads, wire, port)
    judge_tcp(payloads, wire, port)
    assert.equal(#payloads, #rows)
    for i, p in ipairs(payloads) do
      local row, what = rows[i], ("%s packet %d"):format(p.transport, p.number)
      assert.equal(p.number, row.packet)
      assert.equal(p.transport, row.transport)
      assert.equal(hex(p.data), row.request_hex)
      assert.equal(1, p.seen, what .. " on the wire")
      assert.equal(p.answer ~= nil, row.state == "answered", what .. ": " .. row.state)
      if p.answer then assert.equal(hex(p.answer), row.reply_hex, what) end
    end
  end)

  -- The wire could be misread as the program misreads it; these are known beforehand.
  it("was answered what a name server answers, and nothing else", function()
    local wrong = {}
    for i, p in ipairs(payloads) do
      if p.wanted ~= (rows[i].state == "answered") then
        wrong[#wrong + 1] = ("%s packet %d: %s (%s)"):format(p.transport, p.number, rows[i].state, tostring(rows[i].reason))
      end
    end
    assert.same({}, wrong)
  end)
end)
