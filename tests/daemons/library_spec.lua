-- library_spec.lua - the built program and its whole library against the real UDP servers of udp/*.lua, on ports that give
-- nothing away: all together in one run, then each alone. Each must be named, none wrongly.
--
-- Everything runs in a network namespace of its own. Times are printed, not asserted: a machine is noisy.
--   MYNAH_ONLY="unbound knot"    only these servers or families (and no count of them is asserted)
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path

local json = require "cjson"
local uv = require "luv"
local ask = require "ask"
local child = require "child"
local daemons = require "daemons"

-- Servers that are known not to be named, and why. One that is named after all fails here, so that the list stays true.
local KNOWN = {
}
-- Servers whose product is known not to be found.
local KNOWN_PRODUCT = {
}

-- The bar of the issue.
local SERVERS, SERVICES, SHARE = 40, 25, 0.95
-- To be reached on a quiet machine.
local MEDIAN_MS, TOGETHER_S = 1500, 20

local only = os.getenv("MYNAH_ONLY")
local names = {}
for name in (only or "udp"):gmatch("%S+") do names[#names + 1] = name end

local peers, started, failed, ended = nil, {}, {}, {}
local lines_read = 0
local together, alone, together_s = {}, {}, nil

-- How long the parts of the setup took, for the note.
local phases, phase_began = {}, uv.hrtime()
local function phase(name)
  phases[#phases + 1] = ("%s %.0f s"):format(name, (uv.hrtime() - phase_began) / 1e9)
  phase_began = uv.hrtime()
end

local function fetch()
  local fetched = assert(child.run(here .. "fetch", { ask.daemons }, 900))
  assert(fetched.exit == 0, fetched.err)
end

local function start()
  local args = { "daemons.lua", "--each", ask.daemons }
  for _, name in ipairs(names) do args[#args + 1] = name end
  peers = ask.serve(args, 300)
  for _, row in ipairs(peers.rows) do
    if row.failed then
      failed[row.name] = row.failed
    elseif row.transport == "udp" then
      started[#started + 1] = row
    end
  end
end

local function place(row) return ("%s:%d"):format(row.host, row.port) end
local function key(row) return ("%s %d udp"):format(row.host, row.port) end

-- What has been printed since last time: servers that ended and were not started again, by name.
local gone = {}
local function read_ended()
  child.wait(function() return false end, 0.01)
  for i = lines_read + 1, #peers.process.lines do
    local row = json.decode(peers.process.lines[i])
    if row.ended then
      gone[row.name] = true
      if not daemons.row(row.name).mortal then ended[#ended + 1] = ("%s: %s"):format(row.name, row.ended:sub(1, 2000)) end
    end
  end
  lines_read = #peers.process.lines
end

-- Starts a server again that did not live through being asked with all others.
local function restart(row)
  gone[row.name] = nil
  local before = #peers.process.lines
  peers.process:say("again " .. row.name)
  child.wait(function() return peers.process.exit or #peers.process.lines > before end, 60)
  for i = before + 1, #peers.process.lines do
    local new = json.decode(peers.process.lines[i])
    if new.name == row.name and new.transport == "udp" then row.host, row.port = new.host, new.port end
  end
end

local function is_right(row, result) return result ~= nil and result.service == row.service end

local function ask_many(rows)
  local args = { "-sU" }
  for _, row in ipairs(rows) do args[#args + 1] = place(row) end
  local found, seconds = ask.identify(peers, args)
  for _, row in ipairs(rows) do
    local result = found[key(row)]
    -- What was wrong once stays wrong.
    local before = together[row.name]
    if not (before and before.service and before.service ~= row.service) then together[row.name] = result end
  end
  return seconds
end

-- All in one run; who was not named in it is asked in a second one, which is said: a machine with more to do than it can
-- answers late, and a datagram may be lost.
local function ask_together()
  together_s = ask_many(started)
  local missed = {}
  read_ended()
  for _, row in ipairs(started) do
    if gone[row.name] then restart(row) end
    if not KNOWN[row.name] and not is_right(row, together[row.name]) then missed[#missed + 1] = row end
  end
  if #missed == 0 then return end
  ask_many(missed)
  for _, row in ipairs(missed) do
    if is_right(row, together[row.name]) then print("note: " .. row.name .. " is named in a second run only") end
  end
end

local function ask_one(row)
  read_ended()
  if gone[row.name] then restart(row) end
  local ok, found = pcall(ask.identify, peers, { "-sU", place(row) }, 60)
  if ok then alone[row.name] = found[key(row)] else print("note: " .. row.name .. ": " .. tostring(found)) end
end

local function ask_alone()
  for _, row in ipairs(started) do
    ask_one(row)
    -- A mortal one that was asked before with all others may take its time to die, and be said to be dead.
    if daemons.row(row.name).mortal and alone[row.name] and alone[row.name].state == "closed" then
      child.wait(function()
        read_ended()
        return gone[row.name]
      end, 5)
      ask_one(row)
    end
  end
  read_ended()
end

local function median(list)
  table.sort(list)
  return list[math.floor(#list / 2) + 1]
end

local function print_table()
  local times, bytes = {}, 0
  for _, row in ipairs(started) do
    local one, all = alone[row.name], together[row.name]
    if one then
      times[#times + 1] = one.elapsed_ms
      bytes = bytes + (one.sent or 0)
    end
    if not (is_right(row, one) and is_right(row, all)) then
      print(("miss: %-24s %-8s is %-14s alone %s, %.0f ms; with all %s; reply %s"):format(row.name, row.family, row.service,
        one and (one.service or one.guess and one.guess .. "?") or "nothing", one and one.elapsed_ms or -1,
        all and all.service or "nothing", one and one.reply_hex or "none"))
    end
  end
  if #times == 0 then return end
  print(("note: %d servers; alone a median of %.0f ms (wanted: %d), the slowest %.0f ms, %d bytes sent; all together %.1f s"
    .. " (wanted: %d)"):format(#times, median(times), MEDIAN_MS, times[#times], bytes, together_s, TOGETHER_S))
end

local function check_product(row, result)
  local product = (result.product or ""):lower()
  local right = row.product == nil or product:find(row.product) ~= nil
  if row.said and product ~= "" then right = right and product:find(row.said, 1, true) ~= nil end
  local known = KNOWN_PRODUCT[row.name]
  if known then
    assert(not right, "the product is found, strike it from KNOWN_PRODUCT: " .. known)
  else
    assert(right, ("product should be like %s: "):format(tostring(row.product or row.said)) .. ask.told(result))
  end
end

-- Never wrong; right, unless it is a known miss.
local function check(row, result)
  assert(result, "no line for it")
  assert(result.service == nil or result.service == row.service, ("WRONG, it is %s: "):format(row.service) .. ask.told(result))
  local known = KNOWN[row.name]
  if known then
    assert(result.service == nil, "it is named, strike it from KNOWN: " .. known)
  else
    assert(is_right(row, result), ("is %s: "):format(row.service) .. ask.told(result))
    assert(result.state == "open", "state: " .. ask.told(result))
    check_product(row, result)
  end
end

local function is_chosen(name)
  for _, word in ipairs(names) do
    if word == "udp" or word == name or word == daemons.row(name).family then return true end
  end
  return false
end

describe("the library names real servers:", function()
  local message

  setup(function()
    -- What fails here fails each test below with its message.
    local ok, why = pcall(function()
      fetch()
      phase "fetching"
      start()
      phase "starting"
      -- Bound is not ready: what they do first of all is not what is on trial.
      child.wait(function() return peers.process.exit end, 2)
      ask_together()
      phase "all together"
      ask_alone()
      phase "each alone"
      print_table()
      print("note: " .. table.concat(phases, ", "))
    end)
    if not ok then message = why end
  end)

  teardown(function()
    if peers then peers:stop() end
    child.stop_all()
  end)

  it("they are fetched, started and asked", function() assert(not message, message) end)

  it("their files say what they should", function()
    assert(#daemons.broken == 0, table.concat(daemons.broken, "\n"))
  end)

  for _, name in ipairs(daemons.udp_names) do
    local row = daemons.row(name)
    local udp = false
    for _, transport in ipairs(row.transports) do udp = udp or transport == "udp" end
    if udp and is_chosen(name) then
      it(("%s (%s): %s"):format(name, row.family, row.service), function()
        assert(not message, "not asked")
        assert(not failed[name], failed[name])
        local shown
        for _, one in ipairs(started) do
          if one.name == name then shown = one end
        end
        assert(shown, "it was not started")
        check(shown, alone[name])
        check(shown, together[name])
      end)
    end
  end

  it("and none of them ends of it", function()
    assert(not message, "not asked")
    assert(#ended == 0, table.concat(ended, "\n"))
  end)

  it("as many of them as promised", function()
    assert(not message, "not asked")
    local services, count, right = {}, 0, 0
    for _, row in ipairs(started) do
      if is_right(row, alone[row.name]) and is_right(row, together[row.name]) then
        right = right + 1
        if not services[row.service] then count = count + 1 end
        services[row.service] = true
      end
    end
    print(("note: %d of %d servers named, %d services"):format(right, #started, count))
    if only then return end
    assert(right >= SERVERS, right .. " servers named")
    assert(count >= SERVICES, count .. " services named")
    assert(right >= SHARE * #started, ("%d of %d named"):format(right, #started))
  end)

  it("with no known miss of a server that is none", function()
    for _, list in ipairs { KNOWN, KNOWN_PRODUCT } do
      for name, why in pairs(list) do
        assert(daemons.row(name), "there is no server " .. name)
        assert(type(why) == "string" and #why > 10, name .. ": say why")
      end
    end
  end)
end)
