-- The same rows on real loopback sockets, with the built engine: what virtual time may hide.
local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
package.path = here .. "/support/?.lua;" .. package.path
local paths = require "paths"
local identify = require "mynah.identify"

-- All rows at once: patience runs in parallel.
local function ask_all(rows, factor)
  local real = require "real"
  for _, r in ipairs(rows) do
    r.service = r.transport == "tcp" and real.tcp(r.row[2], r.row.serial) or real.udp(r.row[2])
  end
  local l, close = real.loop()
  local targets = {}
  for i, r in ipairs(rows) do targets[i] = { ip = "127.0.0.1", port = r.service.port, transport = r.transport } end
  local ok, results = pcall(identify.run, l, {
    signatures = paths.signatures(), patience = 3 * factor, timeout = 1.5 * factor, targets = targets,
  })
  close()
  for _, r in ipairs(rows) do r.service.close() end
  assert(ok, results)
  for i, r in ipairs(rows) do r.result = results[i] end
end

local function hold(row, got)
  local want = row[3]
  local story = row[1] .. " -> " .. tostring(got.guess) .. " " .. table.concat(got.evidence, "; ")
  assert.are.equal(want.state or "open", got.state, story)
  assert.are.equal(want.signed or want.service or nil, got.service, story)
  for _, key in ipairs { "product", "version", "tls" } do
    if want[key] ~= nil then assert.are.equal(want[key], got[key], story) end
  end
end

local function hold_row(r)
  hold(r.row, r.result)
  if r.transport == "tcp" then
    assert.is_true(r.service.accepted <= (r.row[3].most or 6), r.service.accepted .. " connections")
  end
end

-- Who is asked and who asks share one thread: on a busy machine patience ends before a peer could speak. So what does not hold
-- is asked again, by itself and with more patience; a defect stays one.
local function ask_until_certain(rows)
  ask_all(rows, 1)
  for factor = 1, 4 do
    local again = {}
    for _, r in ipairs(rows) do if not pcall(hold_row, r) then again[#again + 1] = r end end
    if #again == 0 then return end
    ask_all(again, factor)
  end
end

describe("on real sockets", function()
  if not (paths.has_core and pcall(require, "luv")) then return pending("mynah_core or luv is missing") end
  local rows = {}
  for _, row in ipairs(require "peers".tcp) do
    if not row.slow and not row.refuse then rows[#rows + 1] = { row = row, transport = "tcp" } end
  end
  for _, row in ipairs(require "udp_peers".rows) do
    if not row.slow and not row.virtual then rows[#rows + 1] = { row = row, transport = "udp" } end
  end
  setup(function() ask_until_certain(rows) end)
  for _, r in ipairs(rows) do
    it(r.transport .. " " .. r.row[1], function() hold_row(r) end)
  end
end)
