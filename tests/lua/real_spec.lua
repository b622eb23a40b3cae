-- The same rows on real loopback sockets, with the built engine: what virtual time may hide.
local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
package.path = here .. "/support/?.lua;" .. package.path
local paths = require "paths"
local identify = require "mynah.identify"

-- All rows at once: patience runs in parallel.
local function ask_all(rows)
  local real = require "real"
  local l, close = real.loop()
  local targets = {}
  for i, r in ipairs(rows) do targets[i] = { ip = "127.0.0.1", port = r.service.port, transport = r.transport } end
  local ok, results = pcall(identify.run, l, {
    signatures = paths.signatures(), patience = 3, timeout = 1.5, targets = targets,
  })
  close()
  for _, r in ipairs(rows) do r.service.close() end
  assert(ok, results)
  return results
end

local function hold(row, got)
  local want = row[3]
  local story = row[1] .. " -> " .. tostring(got.guess) .. " " .. table.concat(got.evidence, "; ")
  assert.are.equal(want.state or "open", got.state, story)
  assert.are.equal(want.service or nil, got.service, story)
  for _, key in ipairs { "product", "version", "tls" } do
    if want[key] ~= nil then assert.are.equal(want[key], got[key], story) end
  end
end

describe("on real sockets", function()
  if not (paths.has_core and pcall(require, "luv")) then return pending("mynah_core or luv is missing") end
  local real = require "real"
  local rows, results = {}, nil
  for _, row in ipairs(require "peers".tcp) do
    if not row.slow and not row.refuse then rows[#rows + 1] = { row = row, transport = "tcp" } end
  end
  for _, row in ipairs(require "udp_peers".rows) do
    if not row.slow and not row.virtual then rows[#rows + 1] = { row = row, transport = "udp" } end
  end
  setup(function()
    for _, r in ipairs(rows) do
      r.service = r.transport == "tcp" and real.tcp(r.row[2], r.row.serial) or real.udp(r.row[2])
    end
    results = ask_all(rows)
  end)
  for i, r in ipairs(rows) do
    it(r.transport .. " " .. r.row[1], function()
      hold(r.row, results[i])
      if r.transport == "tcp" then
        assert.is_true(r.service.accepted <= (r.row[3].most or 6), r.service.accepted .. " connections")
      end
    end)
  end
end)
