-- The scheduler and the transport on it, in virtual time.
local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
package.path = here .. "/support/?.lua;" .. package.path
require "paths"
local transport = require "mynah.transport"
local virtual = require "virtual"

local function world()
  local w = virtual.new()
  local l = w:loop()
  return w, l, transport.new { loop = l }
end

describe("loop", function()
  it("runs a function and gives what it returns", function()
    local _, l = world()
    assert.are.same({ 1, nil, 3 }, { l:run(function(a, b) return a, nil, b end, 1, 3) })
  end)

  it("raises what the function raised", function()
    local _, l = world()
    assert.has_error(function() l:run(function() error("boom", 0) end) end, "boom")
  end)

  it("sleeps, in order and all at once", function()
    local w, l = world()
    local log = {}
    l:run(function()
      local tasks = {}
      for i, s in ipairs { 3, 1, 2, 1 } do
        tasks[i] = l:spawn(function()
          l:sleep(s)
          log[#log + 1] = i
        end)
      end
      for _, task in ipairs(tasks) do task:wait() end
    end)
    assert.are.same({ 2, 4, 3, 1 }, log)
    assert.is_true(math.abs(w.clock - 1003) < 1e-6)
  end)

  it("tells a task's error to who waits for it, and goes on", function()
    local _, l = world()
    local ok, why = l:run(function()
      return l:spawn(function() error("inside", 0) end):wait()
    end)
    assert.is_false(ok)
    assert.are.equal("inside", why)
  end)

  it("cancels a task and all it started", function()
    local _, l = world()
    local ran = {}
    l:run(function()
      local task = l:spawn(function()
        l:spawn(function() l:sleep(1) ran[1] = true end)
        l:sleep(1)
        ran[2] = true
      end)
      l:sleep(0.5)
      task:cancel()
      local ok, why = task:wait()
      assert.is_false(ok)
      assert.are.equal("cancelled", why)
      l:sleep(2)
    end)
    assert.are.same({}, ran)
  end)

  it("says so where nothing can happen any more", function()
    local _, l = world()
    assert.has_error(function() l:run(function() l:pause() end) end,
      "loop: every task waits for something that cannot happen")
  end)

  it("stops on an interrupt, and closes what was open", function()
    local w = virtual.new()
    w.tcp[1] = { peer = function() end }
    local waits = 0
    local l = require "mynah.loop".new { engine = w.engine, now = function() return w.clock end, wait = function(e, s)
      waits = waits + 1
      if waits > 1 then return "interrupt" end
      e:wait(s)
    end }
    local t = transport.new { loop = l }
    local got, why = l:run(function()
      local conn = t:connect("127.0.0.1", 1, t:now() + 1)
      conn:receive(t:now() + 100)
      return "never"
    end)
    assert.is_nil(got)
    assert.are.equal("interrupt", why)
    assert.are.equal(0, w.tcp[1].open)
  end)

  it("keeps nothing of tasks that are over, however long they would have waited", function()
    local _, l = world()
    local most, kept, woken = 0, setmetatable({}, { __mode = "k" }), 0
    l:run(function()
      for _ = 1, 2000 do
        local task = l:spawn(function()
          local held = {} -- on the stack of one that is cancelled while it waits for long
          kept[held] = true
          l:sleep(3600)
          return held
        end)
        local other = l:spawn(function()
          l:pause(l:now() + 1800)
          woken = woken + 1
        end)
        l:sleep(0.001)
        task:cancel()
        l:wake(other)
        other:wait()
        most = math.max(most, #l.timers)
      end
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(kept))
      assert.is_true(most < 500)
      local late = l:now() + 5 -- and those who still wait are not forgotten
      for _ = 1, 400 do l:spawn(function() l:sleep(3600) end):cancel() end
      l:sleep(5)
      assert.is_true(l:now() >= late)
    end)
    assert.are.equal(2000, woken)
    assert.are.equal(0, l.armed)
  end)

  it("keeps a thousand tasks apart", function()
    local _, l = world()
    local sum = 0
    l:run(function()
      local tasks = {}
      for i = 1, 1000 do
        tasks[i] = l:spawn(function()
          for _ = 1, 5 do l:sleep((i * 7919 % 100) / 100) end
          sum = sum + i
        end)
      end
      for _, task in ipairs(tasks) do assert(task:wait()) end
    end)
    assert.are.equal(500500, sum)
  end)
end)

describe("transport", function()
  it("connects, sends, receives", function()
    local w, l, t = world()
    w.tcp[1] = { peer = function(c) function c:on_data(b) self:write(b:upper()) self:close() end end }
    l:run(function()
      local conn = assert(t:connect("127.0.0.1", 1, t:now() + 1))
      assert.is_true(conn.rtt > 0)
      assert.is_true(conn:send("abc"))
      assert.are.same({ "ABC", "more" }, { conn:receive(t:now() + 1) })
      assert.are.same({ "", "eof" }, { conn:receive(t:now() + 1) })
      assert.are.same({ "", "eof" }, { conn:receive(t:now() + 1) })
      assert.are.same({ 3, 3 }, { conn.sent, conn.received })
    end)
  end)

  local REASONS = {
    { "closed", nil, "refused", "conn-refused" },
    { "silent", { filtered = true }, "timeout", "no-response" },
    { "unreachable", { filtered = "host-unreach" }, "unreachable", "host-unreach" },
  }
  for _, row in ipairs(REASONS) do
    it("says why it cannot connect: " .. row[1], function()
      local w, l, t = world()
      w.tcp[1] = row[2]
      l:run(function()
        local conn, short, long = t:connect("127.0.0.1", 1, t:now() + 1)
        assert.is_nil(conn)
        assert.are.same({ row[3], row[4] }, { short, long })
      end)
    end)
  end

  it("waits until enough has come, a byte at a time", function()
    local w, l, t = world()
    w.tcp[1] = { peer = function(c) c:drip("hello\nworld", 0.1) end }
    l:run(function()
      local conn = t:connect("127.0.0.1", 1, t:now() + 1)
      local bytes, status = conn:receive(t:now() + 9, function(s) return s:find("\n") end)
      assert.are.same({ "hello\n", "more" }, { bytes, status })
      assert.are.same({ "wo", "timeout" }, { conn:receive(t:now() + 0.25, function() return false end) })
      assert.are.equal("rld", (conn:receive(t:now() + 9, function(s) return #s == 3 end)))
    end)
  end)

  it("keeps no more than its limit", function()
    local w, l = world()
    local t = transport.new { loop = l, keep = 1000 }
    w.tcp[1] = { peer = function(c) c:write(("x"):rep(5000)) end }
    l:run(function()
      local conn = t:connect("127.0.0.1", 1, t:now() + 1)
      local bytes, status = conn:receive(t:now() + 1, function() return false end)
      assert.are.same({ 1000, "full" }, { #bytes, status })
    end)
  end)

  it("wakes a receiver whose connection another task closes", function()
    local w, l, t = world()
    w.tcp[1] = { peer = function() end }
    l:run(function()
      local conn = t:connect("127.0.0.1", 1, t:now() + 1)
      local task = l:spawn(function() return conn:receive(t:now() + 100) end)
      l:sleep(1)
      conn:close()
      assert.are.same({ true, "", "closed" }, { task:wait() })
      assert.is_nil((conn:send("x")))
      assert.is_true(t:now() < 1002)
    end)
  end)

  it("loses no byte to a task that was cancelled while it received", function()
    local w, l, t = world()
    w.tcp[1] = { peer = function(c) c:after(1, function() c:write("late") end) end }
    l:run(function()
      local conn = t:connect("127.0.0.1", 1, t:now() + 1)
      local task = l:spawn(function() conn:receive(t:now() + 100) end)
      l:sleep(0.1)
      task:cancel()
      assert.are.same({ "late", "more" }, { conn:receive(t:now() + 5) })
    end)
  end)

  it("races: the first true result wins, the losers' connections close", function()
    local w, l, t = world()
    w.tcp[1] = { peer = function() end }
    l:run(function()
      local result, index = t:race {
        function() local c = t:connect("127.0.0.1", 1, t:now() + 1) c:receive(t:now() + 50) return "slow" end,
        function() t:sleep(0.1) return nil end,
        function() t:sleep(0.2) return false end,
        function() t:sleep(1) return "won" end,
      }
      assert.are.same({ "won", 4 }, { result, index })
      assert.are.equal(0, w.tcp[1].open)
      assert.is_nil((t:race { function() end, function() return false end }))
      assert.is_nil((t:race {}))
    end)
  end)

  it("races: what the winner opened stays open", function()
    local w, l, t = world()
    w.tcp[1] = { peer = function(c) function c:on_data(b) self:write(b) end end }
    l:run(function()
      local conn = t:race { function() return t:connect("127.0.0.1", 1, t:now() + 1) end }
      conn:send("x")
      assert.are.equal("x", (conn:receive(t:now() + 1)))
    end)
  end)

  it("races: an error ends the race and reaches the caller", function()
    local w, l, t = world()
    w.tcp[1] = { peer = function() end }
    assert.has_error(function()
      l:run(function()
        t:race {
          function() local c = t:connect("127.0.0.1", 1, t:now() + 1) c:receive(t:now() + 50) end,
          function() t:sleep(0.5) error("oops", 0) end,
        }
      end)
    end, "oops")
    assert.are.equal(0, w.tcp[1].open)
  end)

  it("UDP: replies know which payload they answer", function()
    local w, l, t = world()
    w.udp[1] = { peer = function(u) if u.data == "two" then u:reply("re:" .. u.data) end end }
    l:run(function()
      local x = t:udp("127.0.0.1", 1, { "one", "two", "three" }, { timeout = 1 })
      local event = x:reply()
      assert.are.same({ "re:two", "two", 2 }, { event.data, event.request, event.attempt })
      assert.are.same({ 6, 6 }, { x.sent, x.received })
      assert.are.same({ nil, "timeout" }, { x:reply(t:now() + 0.1) })
      assert.are.same({ nil, "ended" }, { x:reply() })
      x:close()
    end)
  end)

  it("a dialogue drops the text that follows a 1xx", function()
    local w, l, t = world()
    w.tcp[1] = { peer = function(c)
      function c:on_data(b) self:write(b:find("^HELP") and "113 text\r\nwords\r\n.\r\n250 ok\r\n" or "500 no\r\n") end
    end }
    l:run(function()
      local conn = t:connect("127.0.0.1", 1, t:now() + 1)
      local d = require "mynah.ftp".dialogue(t, conn)
      assert.are.equal(113, d.ask("HELP").code)
      assert.are.equal(500, d.ask("WHAT").code)
      assert.are.equal(500, d.ask("WHAT").code)
    end)
  end)

  it("UDP: says closed", function()
    local _, l, t = world()
    l:run(function()
      local x = t:udp("127.0.0.1", 9, { "x" }, { timeout = 1 })
      assert.are.same({ nil, "port-unreach", "127.0.0.1" }, { x:reply() })
    end)
  end)
end)
