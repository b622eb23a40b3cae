-- thousand_spec.lua - decoys over UDP by the thousand (crowd.lua): not one service may be named but echo, on echo servers.
--
-- A sample in every run; with MYNAH_LONG set (./bootstrap test --long) 1,000 ports of each kind that the issue counts out, 100
-- of the others. Everything is in a
-- network namespace of its own. Times are printed, not asserted.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path

local json = require "cjson"
local ask = require "ask"
local child = require "child"

local LONG = os.getenv("MYNAH_LONG") ~= nil
-- Datagrams a second: what the Lua peers keep up with on one core of a busy machine.
local RATE = "8000"
-- Sockets of one process at a time.
local AT_ONCE = 12000

local listed = assert(child.run("lua5.3", { here .. "crowd.lua", "--list" }, 20))
assert(listed.exit == 0, listed.err)

-- Kinds that are asked together: { count = ports of each, kinds = { … } }
local batches = {}
local function batch(count, kinds)
  local now
  for _, kind in ipairs(kinds) do
    if not now or (#now.kinds + 1) * count > AT_ONCE then
      now = { count = count, kinds = {} }
      batches[#batches + 1] = now
    end
    now.kinds[#now.kinds + 1] = kind
  end
end

do
  local counted, others = {}, {}
  for line in listed.out:gmatch("[^\n]+") do
    local kind = json.decode(line)
    local list = kind.counted and counted or others
    list[#list + 1] = kind
  end
  batch(LONG and 1000 or 60, counted)
  batch(LONG and 100 or 8, others)
end

local function run(one)
  local args = { "crowd.lua", one.count }
  local asked = { "-sU", "--all-probes", "--rate", RATE, "-p",
    ("%d-%d"):format(one.kinds[1].first, one.kinds[1].first + one.count - 1) }
  for _, kind in ipairs(one.kinds) do
    args[#args + 1] = kind.name
    asked[#asked + 1] = kind.host
  end
  local peers = ask.serve(args)
  local ok, found, seconds = pcall(ask.identify, peers, asked, LONG and 1800 or 300)
  peers:stop()
  assert(ok, found)
  local bytes, most = 0, 0
  for _, result in pairs(found) do
    bytes = bytes + (result.sent or 0)
    most = math.max(most, result.elapsed_ms or 0)
  end
  print(("note: %d ports of %d kinds in %.1f s; %d bytes sent, the slowest port took %.1f s"):format(
    one.count * #one.kinds, #one.kinds, seconds, bytes, most / 1000))
  return found
end

local function allowed(kind, service)
  if service == nil then return kind.is == "" end
  if service == kind.is then return true end
  for _, name in ipairs(kind.may) do
    if name == service then return true end
  end
  return false
end

for number, one in ipairs(batches) do
  describe(("among %d ports of each kind (part %d)"):format(one.count, number), function()
    local found, message

    setup(function()
      local ok, result = pcall(run, one)
      if ok then found = result else message = result end
    end)

    teardown(function() child.stop_all() end)

    for _, kind in ipairs(one.kinds) do
      it(kind.name .. ": " .. kind.why, function()
        assert(found, message)
        local wrong, states, missing = {}, 0, 0
        for port = kind.first, kind.first + one.count - 1 do
          local result = found[("%s %d udp"):format(kind.host, port)]
          if not result then
            missing = missing + 1
          else
            if not allowed(kind, result.service) then wrong[#wrong + 1] = ("port %d: %s"):format(port, ask.told(result)) end
            -- A kind may have no answer to some probes; one that is always silent must never seem open.
            if kind.state ~= "open" and result.state ~= kind.state then states = states + 1 end
          end
        end
        assert(missing == 0, missing .. " ports without a line")
        assert(#wrong == 0, ("%d of %d named wrongly, should be %s\n  %s"):format(#wrong, one.count,
          kind.is ~= "" and kind.is or "nothing", table.concat(wrong, "\n  ", 1, math.min(#wrong, 3))))
        assert(states == 0, states .. " ports not said to be " .. kind.state)
      end)
    end
  end)
end
