-- tcp_spec.lua - the built program against the real TCP servers of tcp/*.lua, on ports that give nothing away, all in one run.
-- Every FTP and HTTP server must be found, and nothing else be called ftp, http or skype; a wrong name is never right.
--
-- Everything runs in a network namespace of its own. Times are printed, not asserted: a machine is noisy.
--   MYNAH_LONG=1                   once more by `mynah scan -sT`, which asks on the connection that found a port
--   MYNAH_ONLY="nginx-tls web"    only these servers or families (and no count of them is asserted)
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path

local ask = require "ask"
local child = require "child"
local daemons = require "daemons"

-- At least so many servers in all, and of them FTP and HTTP; issue 6 wants 60, 12 and 25.
local SERVERS = { all = 157, ftp = 29, http = 67 }
-- As long as the slowest row takes to speak, and a little.
local PATIENCE = 30

local only = os.getenv("MYNAH_ONLY")
local names = {}
for name in (only or "tcp"):gmatch("%S+") do names[#names + 1] = name end

local peers, started, failed, found, seconds = nil, {}, {}, {}, nil
local scanned = os.getenv "MYNAH_LONG" and {}

local function place(row) return ("%s:%d"):format(row.host, row.port) end
local function key(row) return ("%s %d tcp"):format(row.host, row.port) end

local function fetch()
  local fetched = assert(child.run(here .. "fetch", { ask.daemons }, 900))
  assert(fetched.exit == 0, fetched.err)
end

local function start()
  local args = { "daemons.lua", "--each", ask.daemons }
  for _, name in ipairs(names) do args[#args + 1] = name end
  peers = ask.serve(args, 300)
  for _, row in ipairs(peers.rows) do
    if row.failed then failed[row.name] = row.failed elseif row.transport == "tcp" then started[#started + 1] = row end
  end
end

local function is_right(row, result)
  return result ~= nil and (row.tls or false) == result.tls
    and result.service == (not daemons.row(row.name).unnamed and row.service or nil)
end

local function ask_all()
  local args = { "-sT", "--patience", tostring(PATIENCE) }
  for _, row in ipairs(started) do
    row.tls = daemons.row(row.name).tls
    args[#args + 1] = place(row)
  end
  found, seconds = ask.identify(peers, args, 240)
  if scanned then scanned = ask.run(peers, "scan", args, 240) end
end

-- right, waits (without a name, and its row says `later`), missed or wrong. Short of a name and wrong are two things.
local function grade(row, result)
  if is_right(row, result) then return "right" end
  if result and result.service and (result.service ~= row.service or daemons.row(row.name).unnamed) then return "wrong" end
  return daemons.row(row.name).later and "waits" or "missed"
end

local function median(numbers)
  table.sort(numbers)
  return numbers[#numbers // 2 + 1]
end

local function print_miss(row, result)
  print(("miss: %-24s is %-12s it said %s%s, guess %s, %.0f ms"):format(row.name, row.service, result and result.tls
    and "tls/" or "", tostring(result and result.service), tostring(result and result.guess), result and result.elapsed_ms or -1))
end

-- A server whose time says how quick the program is: one that is named, and not slow by its row.
local function is_prompt(row, got)
  local spec = daemons.row(row.name)
  return got == "right" and not spec.slow and not spec.unnamed
end

-- One line a kind, with the median of its prompt servers.
local function print_table()
  local kinds = { ftp = {}, http = {}, other = {}, all = {} }
  for _, row in ipairs(started) do
    local result = found[key(row)]
    local got = grade(row, result)
    if got ~= "right" then print_miss(row, result) end
    for _, name in ipairs { kinds[row.service] and row.service or "other", "all" } do
      local kind = kinds[name]
      kind[got], kind.count = (kind[got] or 0) + 1, (kind.count or 0) + 1
      kind.times = kind.times or {}
      if is_prompt(row, got) then kind.times[#kind.times + 1] = result.elapsed_ms end
    end
  end
  print "note: kind  servers  right  waits  missed  wrong  median of the prompt"
  for _, name in ipairs { "ftp", "http", "other", "all" } do
    local kind = kinds[name]
    if kind.count then
      print(("note: %-5s %7d %6d %6d %7d %6d  %s ms"):format(name, kind.count, kind.right or 0, kind.waits or 0,
        kind.missed or 0, kind.wrong or 0, kind.times[1] and ("%.0f"):format(median(kind.times)) or "-"))
    end
  end
  print(("note: %d servers in %.1f s in one run"):format(#started, seconds))
end

local FORBIDDEN = { ftp = true, http = true, skype = true }

-- Never wrong; right, unless the row says what it waits for.
local function check(name, row, result)
  local spec = daemons.row(name)
  assert(result, "no line for it")
  assert(result.state == "open", "state: " .. ask.told(result))
  assert(result.service == nil or result.service == row.service and not spec.unnamed,
    ("WRONG, it is %s: "):format(row.service) .. ask.told(result))
  assert(row.service == result.service or not FORBIDDEN[result.service], "WRONG: " .. ask.told(result))
  if spec.later then
    assert(result.service == nil, "it is named, strike `later` from its row: " .. spec.later)
    return
  end
  assert(is_right(row, result), ("is %s%s: "):format(row.tls and "tls/" or "", row.service) .. ask.told(result))
  if spec.product then
    assert((result.product or ""):lower():find(spec.product),
      ("product should be like %s: "):format(spec.product) .. ask.told(result))
  end
  if spec.extra then
    assert((result.extra or ""):find(spec.extra),
      ("extra should be like %s, not %s: "):format(spec.extra, tostring(result.extra)) .. ask.told(result))
  end
end

local function is_chosen(name)
  for _, word in ipairs(names) do
    if word == "tcp" or word == name or word == daemons.row(name).family then return true end
  end
  return false
end

describe("real TCP servers:", function()
  local message

  setup(function()
    -- What fails here fails each test below with its message.
    local ok, why = pcall(function()
      fetch()
      start()
      -- Bound is not ready: what they do first of all is not what is on trial.
      child.wait(function() return peers.process.exit end, 1)
      ask_all()
      print_table()
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

  for _, name in ipairs(daemons.tcp_names) do
    local spec = daemons.row(name)
    if is_chosen(name) then
      it(("%s (%s): %s"):format(name, spec.family, spec.service), function()
        assert(not message, "not asked")
        assert(not failed[name], failed[name])
        local shown
        for _, row in ipairs(started) do
          if row.name == name then shown = row end
        end
        assert(shown, "it was not started")
        check(name, shown, found[key(shown)])
        if scanned then check(name, shown, scanned[key(shown)]) end
      end)
    end
  end

  it("as many of them as promised", function()
    assert(not message, "not asked")
    local count = { all = 0, ftp = 0, http = 0 }
    for _, row in ipairs(started) do
      count.all = count.all + 1
      if count[row.service] then count[row.service] = count[row.service] + 1 end
    end
    print(("note: %d servers, %d of them FTP, %d HTTP"):format(count.all, count.ftp, count.http))
    if only then return end
    for kind, least in pairs(SERVERS) do assert(count[kind] >= least, ("%d %s servers"):format(count[kind], kind)) end
  end)
end)
