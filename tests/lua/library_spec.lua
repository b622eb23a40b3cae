-- mynah.lua as a user's program has it: plain Lua, its own engine, a node in another process of ours.
local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
package.path = here .. "/support/?.lua;" .. package.path
local paths = require "paths"

local PROBE = "924002a16665ea0d8c82c30c27cdc5e74e78fea150a6"

-- A node that refuses by UDP and imitates HTTP by TCP; prints its port, ends with its standard input.
local NODE = [[
package.path = %q .. "/?.lua;" .. package.path
local uv, real = require "luv", require "real"
math.randomseed(os.time())
local udp = real.udp(require "udp_peers".rows[1][2])
local silent = real.udp(function() end)
print(udp.port, silent.port)
io.stdout:flush()
local stdin = uv.new_pipe(false)
stdin:open(0)
stdin:read_start(function(_, data) if not data then os.exit(0) end end)
uv.run()
]]

describe("the library", function()
  -- busted gives each file its own package.loaded, and luv does not bear being loaded twice: only look whether it is there.
  if not (paths.has_core and package.searchpath("luv", package.cpath)) then return pending("mynah_core or luv is missing") end
  local mynah = require "mynah"
  local node, port, silent, script

  setup(function()
    script = os.tmpname()
    local file = assert(io.open(script, "w"))
    file:write(NODE:format(here .. "/support"))
    file:close()
    local interpreter = _VERSION == "Lua 5.3" and "lua5.3" or "lua5.4"
    local out = os.tmpname()
    -- The pipe to its standard input is what keeps it alive.
    node = assert(io.popen(("%s %s > %s"):format(interpreter, script, out), "w"))
    for _ = 1, 100 do
      local f = io.open(out)
      local line = f:read("l")
      f:close()
      if line then
        port, silent = line:match("(%d+)%s+(%d+)")
        break
      end
      os.execute "sleep 0.05"
    end
    os.remove(out)
    port, silent = math.tointeger(tonumber(port)), math.tointeger(tonumber(silent))
  end)

  teardown(function()
    node:close()
    os.remove(script)
  end)

  it("replays the students' probe and explains the reply", function()
    local probe = mynah.hex(PROBE)
    local replies = assert(mynah.replay({ probe, probe }, "127.0.0.1", port))
    assert.are.equal(2, #replies)
    for _, r in ipairs(replies) do
      assert.are.equal(probe, r.sent)
      assert.are.equal(11, #r.reply)
      assert.are.equal("127.0.0.1", r.from)
      assert.are.equal(port, r.from_port)
      assert.is_true(r.rtt > 0 and r.rtt < 1)
      local lines = assert(mynah.explain(r.sent, r.reply, r))
      assert.are.equal("skype: every line of skype holds", lines[1])
      assert.is_truthy(table.concat(lines, "\n"):find("$id", 1, true))
      assert.is_truthy(table.concat(lines, "\n"):find("9240", 1, true))
    end
    assert.are_not.equal(replies[1].reply, replies[2].reply)
  end)

  it("says what got no reply, and why", function()
    local r = assert(mynah.replay({ "x" }, "127.0.0.1", silent, { timeout = 0.2 }))[1]
    assert.is_nil(r.reply)
    assert.are.equal("no-response", r.reason)
    assert.are.same({ "no reply: no-response" }, mynah.explain(r.sent, r.reply, r))
  end)

  it("identifies the node", function()
    local results = assert(mynah.identify("127.0.0.1", port, { transports = { "udp" } }))
    assert.are.equal("skype", results[1].service)
    assert.are.equal("udp", results[1].transport)
    assert.is_true(results[1].elapsed_ms < 1000)
  end)

  it("explains a reply that no signature knows", function()
    local lines = mynah.explain("abcdefgh", "xxcdefyy", {})
    assert.is_truthy(lines[1]:find("4 bytes of the request at offset 2 came back at offset 2", 1, true), lines[1])
    assert.are.same({ "nothing of the request came back" }, mynah.explain("abcd", "\1\2\3\4", {}))
  end)

  local BAD = {
    { "port 0", function() return mynah.replay({ "x" }, "127.0.0.1", 0) end, "port 0: expected 1 to 65535" },
    { "port 65536", function() return mynah.identify("127.0.0.1", 65536) end, "port 65536: expected 1 to 65535" },
    { "port as text", function() return mynah.identify("127.0.0.1", "80") end, "port 80: expected 1 to 65535" },
    { "an unknown host", function() return mynah.replay({ "x" }, "no-such-host.invalid", 9) end, "no%-such%-host" },
    { "no such file", function() return mynah.load_signatures { "/no/such/file.sig" } end, "/no/such/file.sig" },
  }
  for _, row in ipairs(BAD) do
    it("fails with a message: " .. row[1], function()
      local got, message = row[2]()
      assert.is_nil(got)
      assert.is_truthy(message:find(row[3]), message)
    end)
  end

  it("says file, line and column of a signature that does not parse", function()
    local path = os.tmpname()
    local file = io.open(path, "w")
    file:write("service x\nsig y\n  nonsense here\n")
    file:close()
    local db, message = mynah.load_signatures(path)
    os.remove(path)
    assert.is_nil(db)
    assert.is_truthy(message:find(path .. ":3:%d+: "), message)
  end)

  it("takes $MYNAH_SIGNATURES before anything else", function()
    assert.is_true(#mynah.signature_paths() >= 1)
    assert.is_true(mynah.load_signatures():count() > 0)
  end)
end)
