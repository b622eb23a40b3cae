-- Planning for a UDP port under the virtual engine: order, budget, rounds, hints, conversations, steps, and how all ports share.
local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
package.path = here .. "/support/?.lua;" .. package.path
local paths = require "paths"
local many = require "many"
local virtual = require "virtual"
local identify = require "mynah.identify"
local pace = require "mynah.pace"

local COUNT = 60

-- Ask one port of a virtual world. Returns the result and the world.
local function ask(db, peer, opts)
  opts = opts or {}
  local w = virtual.new()
  w.udp[opts.port or 34567] = peer and { peer = peer }
  local settings = setmetatable({
    signatures = db, targets = { { ip = "127.0.0.1", port = opts.port or 34567, transport = "udp" } },
  }, { __index = opts })
  local results = identify.run(w:loop(), settings)
  return results[1], w
end

local function answer(fn)
  return function(u)
    local reply = fn(u.data, u)
    if reply then u:reply(reply) end
  end
end

local function silent() end

-- Numbers of the protocols that were asked for, in order.
local function asked(w)
  local list = {}
  for _, sent in ipairs(w.log) do list[#list + 1] = many.number(sent.bytes) or 0 end
  return list
end

local function service(name, ports, word)
  return ([[
service %s
  title "%s"
  %s
sig %s-probe
  send  id?8 "%s"
  @0:8  = $id
  @8    starts "answers %s"
  match 01*8 "%s" > 01*8 "answers %s"
  nomatch 01*8 "%s" > 01*8 "refuses %s"
]]):format(name, name, ports and "ports udp " .. ports or "", name, word, word, word, word, word, word)
end

local function db_of(text)
  local db = assert(require "mynah_core".signatures())
  assert(db:add(text, "test.sig"))
  return db
end

describe("order", function()
  if not paths.has_core then return pending("mynah_core is not built") end

  it("is by port, then by range, then by likelihood; services that nobody ranked stand before rare ones", function()
    local db = db_of(service("knxnet-ip", nil, "rare") .. service("unheard-of", nil, "none") .. service("tftp", nil, "often")
      .. service("domain", nil, "most") .. service("bacnet", "34000-35000", "range") .. service("pfcp", "34567", "port"))
    local _, w = ask(db, silent, { attempts = 1 })
    local words = {}
    for _, sent in ipairs(w.log) do words[#words + 1] = sent.bytes:sub(9) end
    assert.same({ "port", "range", "most", "often", "none", "rare" }, words)
  end)

  it("waits a little behind a probe that names the port", function()
    local db = many.db(COUNT, function(i) return i == 40 and "  ports udp 34567" or "" end)
    local got, w = ask(db, answer(many.answer))
    assert.equal("p40", got.service)
    assert.equal(1, #w.log)
  end)

  it("sends each probe once before any twice, 8 ms apart", function()
    local _, w = ask(many.db(COUNT), silent)
    local list = asked(w)
    for i = 1, COUNT do assert.equal(i, list[i]) end
    local span = w.log[COUNT].at - w.log[1].at
    assert.is_true(span > 0.4 and span < 0.008 * COUNT + 0.2, span)
    assert.equal(180 - 4, #list) -- 200, and 24 of them kept back
    for i = 2, #w.log do assert.is_true(w.log[i].at - w.log[i - 1].at > 0.003) end
  end)

  it("gives a silent port up after the timeout behind the first round", function()
    local got, w = ask(many.db(COUNT), silent, { timeout = 2 })
    local took = w.clock - w.log[1].at
    assert.equal("open|filtered", got.state)
    assert.is_true(took > 2.4 and took < 2.8, took)
  end)

  it("stops at the first certain verdict", function()
    local got, w = ask(many.db(COUNT), answer(many.answer))
    assert.equal("p1", got.service)
    assert.equal(1, #w.log)
  end)
end)

describe("budget", function()
  if not paths.has_core then return pending("mynah_core is not built") end
  local TALKATIVE = [[
service chatter
  title "Answers anything, and is asked on"
sig chatter
  send  id?2 "chatter"
  @0:2  = $id
  @2    starts "yes, "
  vary  @7:4
  control q@2 ^ 80
  match 0102 "chatter" > 0102 "yes, abcd"
  nomatch 0102 "chatter" > 0102 "no"
]]
  local peers = {
    silent = silent,
    ["no conversation ends well"] = answer(function(d) return d:sub(1, 2) .. "yes, same" end),
    ["every other is dropped"] = answer(function(d, u)
      return u.n % 2 == 0 and d:sub(1, 2) .. "yes, " .. math.random(1000, 9999)
    end),
    echo = answer(function(d) return d end),
    random = answer(function() return tostring(math.random()) end),
  }
  for name, peer in pairs(peers) do
    it("is never exceeded: " .. name, function()
      for _, most in ipairs { 1, 2, 7, 50, 200 } do
        local got, w = ask(many.db(COUNT, "", TALKATIVE), peer, { max_probes = most })
        assert.is_true(#w.log <= most, #w.log .. " of " .. most)
        assert.equal(#w.log, got.datagrams_sent)
        local bytes = 0
        for _, sent in ipairs(w.log) do bytes = bytes + #sent.bytes end
        assert.equal(bytes, got.sent)
        assert.equal(most, got.datagrams_most)
      end
    end)
  end

  it("that does not reach for every probe is said", function()
    local got = ask(many.db(COUNT), silent, { max_probes = 30 })
    assert.is_truthy(table.concat(got.evidence, "\n"):find("40 of 60 probes not sent: at most 30 datagrams to a port", 1, true))
  end)

  it("is shown with what came back", function()
    local got = ask(many.db(COUNT), answer(function(d) return many.number(d) == 3 and many.answer(d) end))
    assert.equal("sent 3 datagrams of 84 bytes (at most 200), received 1 datagram of 29 bytes", identify.traffic(got))
  end)
end)

describe("hints", function()
  if not paths.has_core then return pending("mynah_core is not built") end

  it("a reply that looks like another's moves that one to the front", function()
    local got, w = ask(many.db(COUNT), answer(function(d)
      local n = many.number(d)
      if n == 50 then return many.answer(d) end
      if n == 3 then return "????????protocol 050 says something" end
    end))
    assert.equal("p50", got.service)
    assert.same({ 1, 2, 3, 50 }, asked(w))
  end)

  it("a known error does", function()
    local text = many.text(COUNT) .. service("knxnet-ip", nil, "rare") .. service("coap", nil, "coap")
    local rows = { -- which probe is answered by what
      { "\x06\x10\x02\x06\0\x08\0\0", "rare" }, -- a KNXnet/IP header
    }
    for _, row in ipairs(rows) do
      local got, w = ask(db_of(text), answer(function(d)
        if many.number(d) == 2 then return row[1] end
        if d:sub(9) == row[2] then return d:sub(1, 8) .. "answers " .. row[2] end
      end))
      assert.equal("knxnet-ip", got.service)
      assert.equal(4, #w.log) -- coap, p1, p2 and the one that the error pointed at
    end
  end)

  it("prove nothing", function()
    local got = ask(many.db(COUNT), answer(function(d) return d:sub(1, 8):reverse() .. "protocol 050 says something" end))
    assert.is_nil(got.service)
    assert.equal("open", got.state)
  end)
end)

describe("conversation", function()
  if not paths.has_core then return pending("mynah_core is not built") end
  local CONTROL = [[
service careful
  title "Has a control"
sig careful
  send  id?8 01 "careful"
  @0:8  = $id
  @8    starts "careful says"
  control q@8 ^ 80
  match 01*8 01 "careful" > 01*8 "careful says"
  nomatch 01*8 01 "careful" > 01*8 "nobody says"
]]
  local function careful(d) return d:sub(9) == "\1careful" and d:sub(1, 8) .. "careful says" end

  -- In file order these come first, so that probes are left that must wait.
  local function careful_db(text)
    return db_of((text or CONTROL) .. many.text(COUNT))
  end

  it("pauses the other probes", function()
    local got, w = ask(careful_db(), answer(careful))
    assert.equal("careful", got.service)
    assert.equal(4, #w.log)
    assert.equal("\x81careful", w.log[2].bytes:sub(9))
    assert.equal("\x81careful", w.log[3].bytes:sub(9))
    assert.equal("\1careful", w.log[4].bytes:sub(9)) -- alive all the while
  end)

  it("draws a port of ours anew for each datagram that names it, and sends from there", function()
    local db = db_of "service caller\nsig caller\n  send my.port id?4 \"call\"\n  @0:4 = $id\n  @4 starts \"here\"\n"
    local seen, count = {}, 0
    for _ = 1, 4 do
      local _, w = ask(db, silent)
      for _, sent in ipairs(w.log) do
        local port = (">I2"):unpack(sent.bytes)
        assert.equal(port, sent.my_port)
        if not seen[port] then seen[port], count = true, count + 1 end
      end
    end
    assert.is_true(count > 8, count) -- of twelve; 12,000 may be drawn
  end)

  -- Whoever answers the broken probe, too, is not it, however late that answer comes, and whatever gets lost.
  local function copies(d) return d:sub(10) == "careful" and d:sub(1, 8) .. "careful says" end
  local FALSE = {
    { "answers it late", function(u, n)
      local reply = copies(u.data)
      if reply then u:after(n > 1 and 0.8 or 0.01, function() u:reply(reply) end) end
    end },
    { "loses the first two of them", function(u, n)
      if copies(u.data) and n ~= 2 and n ~= 3 and n ~= 4 then u:reply(copies(u.data)) end
    end },
    { "is gone by then", function(u, n)
      if copies(u.data) and n == 1 then u:reply(copies(u.data)) end
    end },
  }
  for _, row in ipairs(FALSE) do
    it("is not led to believe a peer that " .. row[1], function()
      local n = 0
      local got = ask(db_of(CONTROL), function(u)
        n = n + 1
        row[2](u, n)
      end)
      assert.is_nil(got.service)
    end)
  end

  it("believes silence on a broken probe where one answer to a good one is lost", function()
    local n = 0
    local got = ask(db_of(CONTROL), function(u)
      local reply = careful(u.data)
      n = reply and n + 1 or n
      if reply and n ~= 2 then u:reply(reply) end
    end)
    assert.equal("careful", got.service)
  end)

  it("gives way where it does not end well", function()
    local got, w = ask(careful_db(), answer(function(d)
      return d:sub(10) == "careful" and d:sub(1, 8) .. "careful says" or many.number(d) == 9 and many.answer(d)
    end))
    assert.equal("p9", got.service)
    assert.equal(2 + 9, #w.log) -- careful, its control at once answered, and nine others
  end)

  it("is not led twice about one probe", function()
    local got, w = ask(careful_db(), answer(function(d)
      return d:sub(10) == "careful" and d:sub(1, 8) .. "careful says"
    end))
    local count = 0
    for _, sent in ipairs(w.log) do if sent.bytes:sub(10) == "careful" then count = count + 1 end end
    assert.is_nil(got.service)
    assert.equal(2, count)
  end)

  it("keeps what comes meanwhile", function()
    local got, w = ask(careful_db(), function(u)
      if u.data:sub(10) == "careful" then u:after(0.04, function() u:reply(u.data:sub(1, 8) .. "careful says") end) end
      if many.number(u.data) == 2 then u:after(0.1, function() u:reply(many.answer(u.data)) end) end
    end)
    assert.equal("p2", got.service)
    assert.is_true(#w.log < 17, #w.log)
  end)

  it("of the more specific of two that send the same goes on", function()
    local text = [[
service generic
  title "Any server of the family"
sig generic
  send  id?8 01 "family"
  @0:8  = $id
  @8    starts "family: "
  match 01*8 01 "family" > 01*8 "family: x"
  nomatch 01*8 01 "family" > 01*8 "nobody"
service specific
  title "One of them"
sig specific
  send  id?8 01 "family"
  @0:8  = $id
  @8    starts "family: specific, version "
  control q@8 ^ 80
  match 01*8 01 "family" > 01*8 "family: specific, version 1"
  nomatch 01*8 01 "family" > 01*8 "family: another"
]]
    local function member(name)
      return answer(function(d) return d:sub(9) == "\1family" and d:sub(1, 8) .. "family: " .. name end)
    end
    assert.equal("specific", (ask(db_of(text), member "specific, version 1")).service)
    assert.equal("generic", (ask(db_of(text), member "another")).service)
    local function copier(d) return d:sub(10) == "family" and d:sub(1, 8) .. "family: specific, version 1" end
    assert.equal("generic", (ask(db_of(text), answer(copier))).service)
  end)

  it("asks another question of the service for its version", function()
    local text = service("domain", nil, "name") .. [[
sig domain-version
  send  id?8 "version?"
  @0:8  = $id
  @8    starts "version "
  @8    ~ m/^version (?<v>[0-9.]+)$/
  version "$v"
  match 01*8 "version?" > 01*8 "version 1"
  nomatch 01*8 "version?" > 01*8 "refused"
]]
    local function server(d)
      return d:sub(9) == "name" and d:sub(1, 8) .. "answers name" or d:sub(9) == "version?" and d:sub(1, 8) .. "version 9.18"
    end
    local got, w = ask(db_of(text .. many.text(COUNT)), answer(server))
    assert.equal("domain", got.service)
    assert.equal("9.18", got.version)
    assert.equal(2, #w.log)
    local far = ask(db_of(text .. many.text(COUNT)), function(u)
      local reply = server(u.data)
      if reply then u:after(0.05, function() u:reply(reply) end) end
    end)
    assert.equal("9.18", far.version)
    local mute = ask(db_of(text .. many.text(COUNT)), answer(function(d)
      return d:sub(9) == "name" and d:sub(1, 8) .. "answers name"
    end))
    assert.equal("domain", mute.service)
    assert.is_nil(mute.version)
  end)
end)

describe("steps", function()
  if not paths.has_core then return pending("mynah_core is not built") end
  local STEP = [[
service cookie
  title "Gives a cookie first"
sig cookie
  send  id?4 "cookie?"
  @0:4  = $id
  @4    starts "cookie: "
  len   = 16
  step  new?4 "with " r@12:4
  @0:4  = $new
  @4    starts "thanks, version "
  @4    ~ m/^thanks, version (?<v>[0-9.]+)$/
  version "$v"
  match 01*4 "cookie?" > 01*4 "cookie: abcd" then 02*4 "with abcd" > 02*4 "thanks, version 1"
  nomatch 01*4 "cookie?" > 01*4 "cookie: abcd" then 02*4 "with abcd" > 02*4 "no"
]]
  -- Cookies are good for the port that they were given to.
  local function baker(says)
    local cookies = {}
    return answer(function(d, u)
      if d:sub(5) == "cookie?" then
        cookies[u.from_port] = ("%04d"):format(math.random(0, 9999))
        return d:sub(1, 4) .. "cookie: " .. cookies[u.from_port]
      end
      if cookies[u.from_port] and d:sub(5) == "with " .. cookies[u.from_port] then return says and d:sub(1, 4) .. says end
    end)
  end

  it("carry the cookie, from the port that it was given to", function()
    local got, w = ask(db_of(STEP .. many.text(COUNT)), baker "thanks, version 2.5")
    assert.equal("cookie", got.service, table.concat(got.evidence, "; "))
    assert.equal("2.5", got.version)
    assert.equal(w.log[1].my_port, w.log[2].my_port)
  end)

  it("that get no answer prove nothing", function()
    local got = ask(db_of(STEP .. many.text(COUNT)), baker(nil))
    assert.is_nil(got.service)
  end)
end)

describe("ICMP", function()
  if not paths.has_core then return pending("mynah_core is not built") end

  it("closes a port at once", function()
    local got, w = ask(many.db(COUNT), nil)
    assert.equal("closed", got.state)
    assert.equal(1, #w.log)
  end)

  it("after a reply means that the server went away: it is left in peace, and remains open", function()
    local w = virtual.new()
    local service_of = { peer = function(u)
      u:reply("what?")
      w:after(0.05, function() w.udp[34567] = nil end)
    end }
    w.udp[34567] = service_of
    local got = identify.run(w:loop(), {
      signatures = many.db(COUNT), targets = { { ip = "127.0.0.1", port = 34567, transport = "udp" } },
    })[1]
    assert.equal("open", got.state)
    assert.is_true(#w.log < 30, #w.log)
    assert.is_truthy(table.concat(got.evidence, "\n"):find("answered, and then port-unreach", 1, true))
  end)
end)

describe("many ports", function()
  if not paths.has_core then return pending("mynah_core is not built") end

  local function ask_many(count, peer, opts)
    local w, targets = virtual.new(), {}
    for i = 1, count do
      w.udp[i] = { peer = peer }
      targets[i] = { ip = "127.0.0.1", port = i, transport = "udp" }
    end
    local results = identify.run(w:loop(), setmetatable({ signatures = many.db(COUNT), targets = targets }, { __index = opts }))
    return results, w
  end

  it("stay within the rate together", function()
    local _, w = ask_many(30, silent, { rate = 400 })
    local first = 1
    for i = 1, #w.log do
      while w.log[i].at - w.log[first].at > 0.5 do first = first + 1 end
      assert.is_true(i - first + 1 <= 205, i - first + 1)
    end
  end)

  it("each take as long as one alone, in the median", function()
    local results, w = ask_many(40, answer(function(d) return many.number(d) == 30 and many.answer(d) end))
    local times = {}
    for i, r in ipairs(results) do
      assert.equal("p30", r.service)
      times[i] = r.elapsed_ms
    end
    table.sort(times)
    assert.is_true(times[20] < 500, times[20])
    assert.is_true(w.clock - 1000 < 3, w.clock - 1000)
  end)

  it("share a bounded number of sockets", function()
    local shared = pace.new { rate = 1000, descriptors = 400 }
    local most = 0
    local opened = shared.opened
    function shared:opened(x)
      opened(self, x)
      most = math.max(most, self.open)
    end
    local _, w = ask_many(20, silent, { pace = shared })
    assert.is_true(most <= 204, most)
    assert.equal(0, shared.open)
    assert.is_true(#w.log >= 20 * COUNT, #w.log)
  end)
end)

describe("handed over early, as inside Nmap,", function()
  if not paths.has_core then return pending("mynah_core is not built") end
  local transport = require "mynah.transport"
  local signatures = require "mynah.signatures"

  local function ask_early(db, peer)
    local w = virtual.new()
    w.udp[34567] = { peer = peer }
    local l = w:loop()
    local t = transport.new { loop = l, lookahead = 0.12 }
    local got = l:run(function()
      return identify.port(t, { ip = "127.0.0.1", port = 34567, transport = "udp" }, { signatures = signatures.new(db) })
    end)
    return got, w
  end

  it("probes leave at their times all the same", function()
    local _, w = ask_early(many.db(COUNT), silent)
    assert.is_true(w.log[2].at - w.log[1].at > 0.039) -- the first alone, since closed ports are many
    for i = 3, COUNT do
      local gap = w.log[i].at - w.log[i - 1].at
      assert.is_true(gap > 0.006 and gap < 0.012, gap)
    end
  end)

  it("probes are held back during a conversation, and none is lost", function()
    local text = [[
service careful
  title "Has a control"
sig careful
  send  id?8 01 "careful"
  @0:8  = $id
  @8    starts "careful says"
  control q@8 ^ 80
  match 01*8 01 "careful" > 01*8 "careful says"
  nomatch 01*8 01 "careful" > 01*8 "nobody says"
]]
    local got, w = ask_early(db_of(text .. many.text(COUNT)), answer(function(d)
      return d:sub(10) == "careful" and d:sub(1, 8) .. "careful says" or many.number(d) == 40 and many.answer(d)
    end))
    assert.equal("p40", got.service)
    local list, seen = asked(w), {}
    for _, n in ipairs(list) do seen[n] = (seen[n] or 0) + 1 end
    for n = 1, 40 do assert.equal(1, seen[n], n) end
    assert.equal(got.datagrams_sent, #w.log)
  end)
end)
