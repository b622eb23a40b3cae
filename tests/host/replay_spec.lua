-- mynah replay against the demo's node: which payloads were answered, by what, how fast.
local support = dofile((debug.getinfo(1, "S").source:match("^@(.*)/") or ".") .. "/support.lua")
local capture = dofile(support.root .. "/tests/host/capture.lua")
local cjson = require "cjson"
local uv = require "luv"

local KINDS = { 0, 1, 3, 4, 6, 8, 13 } -- none that a node refuses

-- Forty payloads from three client ports; 9, 17, 18 and 33 are such as Skype refuses. With `answers` the node's recorded
-- replies stand between them.
local function forty(answers)
  local packets, refused = {}, { [9] = true, [17] = true, [18] = true, [33] = true }
  for i = 1, 40 do
    local id = string.pack(">I2", (i * 7919) % 65536)
    local kind = refused[i] and 2 or KINDS[i % #KINDS + 1]
    local from_port = 40000 + i % 3
    local data = id .. string.char(kind | (i % 8) << 4) .. ("%016d"):format(i * 123456789)
    packets[#packets + 1] = { data = data, from_port = from_port, wanted = refused[i] }
    if answers and refused[i] then
      packets[#packets + 1] = {
        data = id .. "\x17\xc0\xa8\0\x13wxyz", from = "10.0.0.1", to = "192.168.0.19", from_port = 33333,
        to_port = from_port,
      }
    end
  end
  return packets
end

local function write(packets) return support.file(capture.write(packets), ".pcap") end

local function decode(p)
  local rows = {}
  for i, line in ipairs(p.lines) do rows[i] = cjson.decode(line) end
  return rows
end

local ORDER = [[packet transport client client_port ip port bytes cut state reason replies rtt_ms reply_ip reply_port
  echo_bytes request_offset reply_offset request_hex reply_hex repeats answered bytes_map timestamp]]

local function hex(s) return (s:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end

-- Every row right: who was answered, by a reply that echoes its own id.
local function assert_forty(rows, packets)
  local clients = {}
  for i, packet in ipairs(packets) do
    if not packet.from then clients[#clients + 1] = { number = i, data = packet.data, wanted = packet.wanted } end
  end
  assert.equal(40, #clients)
  assert.equal(40, #rows)
  for i, row in ipairs(rows) do
    local c = clients[i]
    assert.equal(c.number, row.packet)
    assert.equal(hex(c.data), row.request_hex)
    assert.equal(c.wanted and "answered" or "silent", row.state, "packet " .. row.packet)
    if c.wanted then
      assert.equal(1, row.replies)
      assert.equal(22, #row.reply_hex)
      assert.equal(hex(c.data:sub(1, 2)), row.reply_hex:sub(1, 4))
      assert.equal("7f000001", row.reply_hex:sub(7, 14))
      assert.equal(2, row.echo_bytes)
      assert.equal(0, row.request_offset)
      assert.equal("number", type(row.rtt_ms))
    else
      assert.equal(cjson.null, row.reply_hex)
    end
  end
end

describe("replay of forty payloads, four of them such as Skype refuses", function()
  local nodes
  setup(function() nodes = support.serve { "skype" } end)
  teardown(function()
    nodes.stop()
    support.remove()
  end)

  it("names the four in its table, with bytes and times, and sums up", function()
    local path = write(forty())
    local p = support.run { "replay", "--timeout", "0.5", path, nodes.skype.address }
    assert.equal(0, p.status, p.out .. p.err)
    assert.equal("", p.err)
    assert.equal(4, select(2, p.out:gsub("answered in %d+%.%d%d%d ms, 11 bytes\n", "")))
    assert.equal(36, select(2, p.out:gsub("  silent\n", "")))
    assert.equal(4, select(2, p.out:gsub("\n +sent %x+\n +got  %x+\n", "")))
    assert.truthy(p.out:find("\npackets 9, 17-18, 33: UDP, answered\n", 1, true), p.out)
    assert.truthy(p.out:find("\npackets 1-8, 10-16, 19-32, 34-40: UDP, silent\n", 1, true), p.out)
    assert.truthy(p.out:find("40 payloads for " .. nodes.skype.address .. ": 4 answered, 36 silent\n", 1, true))
    assert.falsy(p.out:find("\27", 1, true))
  end)

  for _, answers in ipairs { false, true } do
    for _, pace in ipairs { "recorded", "burst", "500" } do
      it(("pace %s, %s the server's side in the capture"):format(pace, answers and "with" or "without"), function()
        local packets = forty(answers)
        local p = support.run { "replay", "--json", "--pace", pace, "--timeout", "0.5", write(packets),
          nodes.skype.address }
        assert.equal(0, p.status, p.err)
        local rows = decode(p)
        assert_forty(rows, packets)
        local keys = {}
        for key in p.lines[1]:gmatch('"([%w_]+)":') do keys[#keys + 1] = key end
        assert.equal((ORDER:gsub("%s+", " ")), table.concat(keys, " "))
        for _, row in ipairs(rows) do
          if row.state == "answered" then assert.truthy(row.rtt_ms > 0 and row.rtt_ms < 100, row.rtt_ms) end
        end
      end)
    end
  end

  it("keeps the capture's pace, and burst does not", function()
    local packets = {}
    for i = 1, 6 do packets[i] = { data = "ab\3" .. i, time = i * 0.1 } end
    local path = write(packets)
    local function span(...)
      local rows = decode(support.run { "replay", "--json", "--timeout", "0.1", path, nodes.skype.address, ... })
      local function seconds(t) return tonumber(t:match(":(%d+%.%d+)Z$")) end
      return (seconds(rows[6].timestamp) - seconds(rows[1].timestamp)) % 60
    end
    local recorded, burst, paced = span(), span("--pace", "burst"), span("--pace", "20")
    assert.truthy(math.abs(recorded - 0.5) < 0.03, recorded)
    assert.truthy(burst < 0.05, burst)
    assert.truthy(math.abs(paced - 0.25) < 0.03, paced)
  end)

  it("--limit and --filter leave the rest out", function()
    local path = write(forty())
    local rows = decode(support.run { "replay", "--json", "--timeout", "0.1", "--limit", "3", path, nodes.skype.address })
    assert.equal(3, #rows)
    rows = decode(support.run { "replay", "--json", "--timeout", "0.1", "--pace", "burst", "--filter",
      "udp src port 40001", path, nodes.skype.address })
    assert.equal(14, #rows)
    for _, row in ipairs(rows) do assert.equal(40001, row.client_port) end
  end)

  it("reads a capture from standard input", function()
    local p = support.shell(('"$MYNAH" replay --json --timeout 0.1 --pace burst - %s < %s'):format(
      nodes.skype.address, write(forty())))
    assert.equal(0, p.status, p.err)
  end)
end)

describe("replay at a node that answers late", function()
  local nodes
  setup(function() nodes = support.serve { "skype", "--delay", "120" } end)
  teardown(function()
    nodes.stop()
    support.remove()
  end)

  -- Twelve payloads of a client are on the way when the answer to the first comes.
  for _, pace in ipairs { "recorded", "burst" } do
    it("gives each answer to its own payload, pace " .. pace, function()
      local packets = forty()
      local p = support.run { "replay", "--json", "--pace", pace, "--timeout", "0.6", write(packets), nodes.skype.address }
      local rows = decode(p)
      assert_forty(rows, packets)
      for _, row in ipairs(rows) do
        if row.state == "answered" then assert.truthy(row.rtt_ms > 118 and row.rtt_ms < 300, row.rtt_ms) end
      end
    end)
  end

  it("says so when answers come too late to count", function()
    local packets = {}
    for i = 1, 30 do packets[i] = { data = string.pack(">I2", i * 300) .. (i == 1 and "\2" or "\3") .. "abcdef" } end
    local p = support.run { "replay", "--timeout", "0.05", write(packets), nodes.skype.address }
    assert.equal(1, p.status)
    assert.truthy(p.err:find("1 replies? came later than %-%-timeout"), p.err)
  end)
end)

describe("replay at other peers", function()
  teardown(support.remove)

  local function udp_server(on_datagram)
    local socket = uv.new_udp()
    socket:bind("127.0.0.1", 0)
    socket:recv_start(function(_, data, from)
      if data then on_datagram(socket, data, from) end
    end)
    return socket:getsockname().port, socket
  end

  it("a closed port is refused, status 1", function()
    local port, socket = udp_server(function() end)
    socket:close()
    support.sleep(0.01)
    local p = support.run { "replay", "--timeout", "0.2", write { { data = "abc" }, { data = "def" } },
      "127.0.0.1:" .. port }
    assert.equal(1, p.status, p.err)
    assert.truthy(p.out:find("packets 1-2: UDP, refused\n2 payloads for 127.0.0.1:" .. port .. ": 2 refused\n", 1, true), p.out)
  end)

  it("what one client port sent leaves from one port, another client's from another", function()
    local seen = {}
    local port, socket = udp_server(function(_, data, from) seen[data] = from.port end)
    support.run { "replay", "--timeout", "0.1", write {
      { data = "a1", from_port = 1000 }, { data = "b1", from_port = 2000 }, { data = "a2", from_port = 1000 },
    }, "127.0.0.1:" .. port }
    socket:close()
    support.sleep(0.01)
    assert.equal(seen.a1, seen.a2)
    assert.not_equal(seen.a1, seen.b1)
  end)

  it("an answer that repeats nothing goes to the payload sent last", function()
    local port, socket = udp_server(function(s, data, from)
      if data:sub(1, 1) == "q" then s:send("\0\0\0\0", from.ip, from.port) end
    end)
    local p = support.run { "replay", "--json", "--timeout", "0.2", write { { data = "x1111" }, { data = "q2222" } },
      "127.0.0.1:" .. port }
    socket:close()
    support.sleep(0.01)
    local rows = decode(p)
    assert.equal("silent", rows[1].state)
    assert.equal("answered", rows[2].state)
    assert.equal(cjson.null, rows[2].echo_bytes)
  end)

  it("several answers are all counted, terminal escapes stay hex", function()
    local port, socket = udp_server(function(s, data, from)
      for i = 1, 3 do s:send(data .. "\27[2J" .. i, from.ip, from.port) end
    end)
    local path = write { { data = "hello" } }
    local p = support.run { "replay", "--timeout", "0.2", path, "127.0.0.1:" .. port }
    assert.falsy(p.out:find("\27", 1, true))
    assert.equal(3, select(2, p.out:gsub("answered in", "")))
    local rows = decode(support.run { "replay", "--json", "--timeout", "0.2", path, "127.0.0.1:" .. port })
    socket:close()
    support.sleep(0.01)
    assert.equal(3, rows[1].replies)
    assert.equal(5, rows[1].echo_bytes)
  end)

  it("a capture that breaks off: what came before is sent, one line, status 2", function()
    local bytes = capture.write(forty())
    local path = support.file(bytes:sub(1, 1000), ".pcap")
    local nodes = support.serve { "skype" }
    local p = support.run { "replay", "--json", "--pace", "burst", "--timeout", "0.2", path, nodes.skype.address }
    nodes.stop()
    assert.equal(2, p.status)
    assert.equal(1, select(2, p.err:gsub("\n", "")))
    assert.truthy(p.err:find(path, 1, true), p.err)
    assert.truthy(#p.lines > 5)
  end)

  it("a capture of which only the beginning of a header is there", function()
    local p = support.run { "replay", support.file(capture.write(forty()):sub(1, 10), ".pcap"), "127.0.0.1:1" }
    assert.equal(2, p.status)
    assert.equal(1, select(2, p.err:gsub("\n", "")))
  end)

  it("a capture without any payload", function()
    local p = support.run { "replay", support.file(capture.write {}, ".pcap"), "127.0.0.1:1" }
    assert.equal(2, p.status)
    assert.truthy(p.err:find("no payload of a client in it", 1, true))
  end)

  it("a filter that does not parse", function()
    local p = support.run { "replay", "--filter", "bogus((", write(forty()), "127.0.0.1:1" }
    assert.equal(2, p.status)
    assert.truthy(p.err:find("bogus((", 1, true))
  end)

  it("repeated, it tells what stays, comes back and moves", function()
    local n = 0
    local port, socket = udp_server(function(s, data, from)
      if data:sub(1, 1) ~= "q" then return end
      n = n + 1
      s:send("AB" .. data:sub(2, 4) .. ("%02d"):format(n) .. "Z", from.ip, from.port)
    end)
    local path = write { { data = "q123" }, { data = "no" } }
    local p = support.run { "replay", "--repeat", "4", "--timeout", "0.2", path, "127.0.0.1:" .. port }
    local rows = decode(support.run { "replay", "--json", "--repeat", "3", "--timeout", "0.2", path, "127.0.0.1:" .. port })
    socket:close()
    support.sleep(0.01)
    assert.equal(0, p.status, p.err)
    assert.truthy(p.out:find("answered 4 of 4 times, 8 bytes\n +map  ====eeeeee==%*%*==\n"), p.out)
    assert.truthy(p.out:find("2 payloads for", 1, true))
    assert.same({ 3, 3, "==eee=*=" }, { rows[1].repeats, rows[1].answered, rows[1].bytes_map })
    assert.same({ "silent", 0, cjson.null }, { rows[2].state, rows[2].answered, rows[2].bytes_map })
  end)

  it("Ctrl-C stops it at once", function()
    local packets = {}
    for i = 1, 50 do packets[i] = { data = "ab" .. i, time = i } end
    local port, socket = udp_server(function() end)
    local p = support.spawn(support.mynah, { "replay", write(packets), "127.0.0.1:" .. port })
    support.wait_catching(p)
    p.kill("sigint")
    support.wait(p.over, 15) -- the packets last 50 s
    socket:close()
    support.sleep(0.01)
    assert.equal(130, p.status)
    assert.equal("mynah: interrupted\n", p.err)
  end)

  it("Ctrl-C amid payloads too close to write between them: what was settled is told", function()
    local packets, heard = {}, 0
    for i = 1, 20000 do packets[i] = { data = ("ab%05d"):format(i), time = i / 1000 } end
    local port, socket = udp_server(function() heard = heard + 1 end)
    local p = support.spawn(support.mynah, { "replay", "--json", "--timeout", "0.05", write(packets), "127.0.0.1:" .. port })
    support.wait(function() return heard >= 500 end)
    p.kill("sigint")
    support.wait(p.over, 15) -- the packets last 20 s
    socket:close()
    support.sleep(0.01)
    assert.equal(130, p.status)
    local rows = decode(support.finish(p))
    assert.truthy(#rows >= 100 and #rows < 20000, #rows)
    for i, row in ipairs(rows) do assert.equal(i, row.packet) end
  end)
end)

describe("replay of TCP connections", function()
  teardown(support.remove)

  local function said(text, more)
    local packet = { tcp = true, data = text, from_port = 50000, to_port = 80 }
    for key, value in pairs(more or {}) do packet[key] = value end
    return packet
  end

  local function heard(text, more)
    local packet = said(text, { from = "10.0.0.1", to = "192.168.0.19", from_port = 80, to_port = 50000 })
    for key, value in pairs(more or {}) do packet[key] = value end
    return packet
  end

  -- A server that keeps what each connection said and answers by on_data (socket, all it said so far).
  local function server(on_data, on_connect)
    local connections = {}
    local port, close = support.tcp_server(function(socket)
      local c = { text = "" }
      connections[#connections + 1] = c
      if on_connect then on_connect(socket) end
      socket:read_start(function(_, bytes)
        if not bytes then return end
        c.text = c.text .. bytes
        on_data(socket, c.text)
      end)
    end)
    return port, connections, close
  end

  local function replay(packets, port, ...)
    local args = { "replay", "--json", "--timeout", "0.4" }
    for _, word in ipairs { ... } do args[#args + 1] = word end
    args[#args + 1], args[#args + 2] = write(packets), "127.0.0.1:" .. port
    local p = support.run(args)
    return decode(p), p
  end

  it("turns are kept: what answers the server waits for it", function()
    local spoke = {}
    local port, _, close = server(function(socket, text)
      spoke[#spoke + 1] = text
      if text == "USER a\r\n" then
        -- The password must not come before this was said.
        local timer = uv.new_timer()
        timer:start(120, 0, function()
          timer:close()
          spoke[#spoke + 1] = "331"
          socket:write("331 password\r\n")
        end)
      elseif text:find("PASS") then
        socket:write("230 in\r\n")
      end
    end, function(socket) socket:write("220 hello\r\n") end)
    local rows, p = replay({
      said("", { syn = true }), heard "220 x\r\n", said "USER a\r\n", heard "331 x\r\n", said "PASS b\r\n",
      heard "230 x\r\n",
    }, port, "--filter", "tcp", "--pace", "burst")
    close()
    assert.equal(0, p.status, p.err)
    assert.same({ "USER a\r\n", "331", "USER a\r\nPASS b\r\n" }, spoke)
    assert.same({ 3, "answered", 14, 5, "answered", 8 },
      { rows[1].packet, rows[1].state, #rows[1].reply_hex // 2, rows[2].packet, rows[2].state, #rows[2].reply_hex // 2 })
    assert.equal("tcp", rows[1].transport)
    assert.equal("number", type(rows[1].rtt_ms))
  end)

  it("a server that does not take its turn is waited for, then spoken on to", function()
    local port, connections, close = server(function(socket, text)
      if text == "onetwo" then socket:write "at last" end
    end)
    local rows = replay({ said "one", heard "x", said "two" }, port)
    close()
    assert.equal("onetwo", connections[1].text)
    assert.same({ "silent", "answered" }, { rows[1].state, rows[2].state })
  end)

  it("each recorded connection is one here", function()
    local port, connections, close = server(function(socket, text) socket:write(text) end)
    local rows = replay({ said "a", said("b", { from_port = 50001 }), said "c" }, port)
    close()
    assert.equal(3, #rows)
    local texts = { connections[1].text, connections[2].text, connections[3] }
    table.sort(texts)
    assert.same({ "ac", "b" }, texts)
  end)

  it("a peer that closes, one that closes without a word, one that resets", function()
    local port, _, close = server(function(socket, text)
      if text == "bye" then
        socket:write("so long", function() socket:close() end)
      elseif text == "hush" then
        socket:close()
      elseif text == "kill" then
        socket:close_reset()
      end
    end)
    local rows = replay({
      said "bye", heard "x", said "more", said("hush", { from_port = 50001 }), said("kill", { from_port = 50002 }),
    }, port)
    close()
    local states = {}
    for i, row in ipairs(rows) do states[i] = ("%d %s"):format(row.packet, row.state) end
    assert.same({ "1 answered", "3 unsent", "4 closed", "5 reset" }, states)
    assert.equal("the peer closed", rows[2].reason)
  end)

  it("a closed port refuses all that would have been said, status 1", function()
    local port, _, close = server(function() end)
    close()
    support.sleep(0.01)
    local rows, p = replay({ said "a", heard "x", said "b" }, port)
    assert.equal(1, p.status, p.err)
    assert.same({ "refused", "refused" }, { rows[1].state, rows[2].state })
    assert.equal("conn-refused", rows[1].reason)
  end)

  it("UDP and TCP of one capture, summed up apart; parts of it by number and side", function()
    local port, connections, close = server(function(socket, text) socket:write(text) end)
    local path = write { { data = "nobody hears this" }, said "hello", heard "world", said "again" }
    local p = support.run { "replay", "--timeout", "0.3", path, "127.0.0.1:" .. port }
    assert.equal(0, p.status, p.err)
    assert.truthy(p.out:find("packets 2-4: TCP, answered", 1, true), p.out)
    assert.truthy(p.out:find("packet 1: UDP, refused", 1, true), p.out)
    assert.truthy(p.out:find("3 payloads for 127.0.0.1:" .. port .. ": 2 answered, 1 refused", 1, true), p.out)
    support.run { "replay", "--timeout", "0.3", "--side", "server", path, "127.0.0.1:" .. port }
    support.run { "replay", "--timeout", "0.3", "--from", "2", "--to", "3", path, "127.0.0.1:" .. port }
    close()
    local texts = {}
    for i, c in ipairs(connections) do texts[i] = c.text end
    assert.same({ "helloagain", "world", "hello" }, texts)
  end)

  it("-w keeps both directions as a capture that tcpdump reads, checksums right", function()
    local port, _, close = server(function(socket, text) socket:write("re:" .. text) end)
    local nodes = support.serve { "skype" }
    local file = support.file("", ".pcap")
    local udp = write { { data = "\x12\x34\2abcdefghijk" } }
    local p = support.run { "replay", "--timeout", "0.3", "-w", file, udp, nodes.skype.address }
    assert.equal(0, p.status, p.err)
    local seen = support.shell("tcpdump -nnvvSr " .. file).out
    nodes.stop()
    assert.truthy(seen:find("127.0.0.1.%d+ > 127.0.0.1." .. nodes.skype.port .. ": %[udp sum ok%] UDP, length 14"), seen)
    assert.truthy(seen:find("127.0.0.1." .. nodes.skype.port .. " > 127.0.0.1.%d+: %[udp sum ok%] UDP, length 11"), seen)
    p = support.run { "replay", "--timeout", "0.3", "-w", file, write { said "hello", heard "x", said "again" },
      "127.0.0.1:" .. port }
    close()
    assert.equal(0, p.status, p.err)
    seen = support.shell("tcpdump -nnvvSr " .. file).out
    assert.truthy(seen:find("127.0.0.1." .. port .. ": Flags %[P%.%], cksum 0x%x+ %(correct%), seq 1:6, ack 1,"), seen)
    assert.truthy(seen:find("> 127.0.0.1." .. port .. ": Flags %[P%.%], cksum 0x%x+ %(correct%), seq 6:11, ack 9,"), seen)
    local answer = " > 127.0.0.1.%d+: Flags %[P%.%], cksum 0x%x+ %(correct%), seq 1:9, ack 6,"
    assert.truthy(seen:find("127.0.0.1." .. port .. answer), seen)
  end)

  it("a file for -w that cannot be written: said before anything is sent, status 2", function()
    local port, connections, close = server(function() end)
    local p = support.run { "replay", "-w", "/nonexistent/x.pcap", write { said "a" }, "127.0.0.1:" .. port }
    close()
    assert.equal(2, p.status)
    assert.truthy(p.err:find("/nonexistent/x.pcap: No such file or directory", 1, true), p.err)
    assert.equal(0, #connections)
  end)
end)
