-- UDP: every row of support/udp_peers.lua is named as it must be, and never more; under the virtual engine.
local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
package.path = here .. "/support/?.lua;" .. package.path
local paths = require "paths"
local peers = require "udp_peers"
local virtual = require "virtual"
local identify = require "mynah.identify"

local function ask(row, seed, port)
  math.randomseed(seed)
  peers.reset()
  local w = virtual.new()
  w.udp[port] = { peer = row[2] }
  local began = w.clock
  local results = identify.run(w:loop(), {
    signatures = paths.signatures(), targets = { { ip = "127.0.0.1", port = port, transport = "udp" } },
  })
  return results[1], w.clock - began, w
end

describe("udp", function()
  if not paths.has_core then return pending("mynah_core is not built") end
  for _, row in ipairs(peers.rows) do
    it(row[1], function()
      local want = row[3]
      for seed = 1, 5 do
        local got, took = ask(row, seed, 34567)
        local story = row[1] .. " -> " .. tostring(got.guess) .. " " .. table.concat(got.evidence, "; ")
        assert.are.equal(want.state or "open", got.state, story)
        assert.are.equal(want.service or nil, got.service, story)
        for _, key in ipairs { "reason", "guess", "probe", "reply_port" } do
          if want[key] then assert.are.equal(want[key], got[key], story) end
        end
        if want.service and want.service ~= "echo" then
          assert.is_true(got.fresh_bits >= 16 and got.identity_bits >= 16, story)
        end
        assert.is_true(took <= 30, took .. " s: " .. story)
        for _, line in ipairs(got.evidence) do assert.is_nil(line:find("%c"), "unescaped: " .. story) end
      end
    end)
  end

  it("tries every probe once before any twice", function()
    local groups = #require "mynah.signatures".new(paths.signatures()):probes("udp", 34567)
    local _, _, w = ask({ "silent", function() end }, 1, 34567)
    local budget = 200 - 24
    local sent = {}
    for i = 1, math.min(groups, budget) do
      assert.is_nil(sent[w.log[i].bytes], i)
      sent[w.log[i].bytes] = true
    end
    assert.equal(math.min(3 * groups, budget), #w.log)
  end)

  it("leaves each datagram from a port of its own", function()
    local _, _, w = ask(peers.rows[1], 1, 34567)
    local seen = {}
    for _, sent in ipairs(w.log) do
      assert.is_nil(seen[sent.my_port])
      seen[sent.my_port] = true
    end
  end)

  it("says closed at once", function()
    local w = virtual.new()
    local r = identify.run(w:loop(), {
      signatures = paths.signatures(), targets = { { ip = "127.0.0.1", port = 9, transport = "udp" } },
    })[1]
    assert.are.equal("closed", r.state)
    assert.are.equal("port-unreach", r.reason)
    assert.is_true(r.elapsed_ms < 100)
  end)

  it("asks the likely probe first", function()
    local _, _, w = ask({ "silent", function() end }, 1, 53)
    assert.are.equal("\1\0\0\1", w.log[1].bytes:sub(3, 6))
  end)
end)
