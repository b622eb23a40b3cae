-- scan_spec.lua - real UDP servers scanned through sockets and with whole frames: the same verdicts, and the right ones.
-- Everything runs in a network namespace of its own.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path

local json = require "cjson"
local ask = require "ask"
local child = require "child"

-- Signature, and servers that it is for.
local GROUPS = {
  { "dns", { "unbound", "knot", "dnsmasq", "pdnsd", "bind9" } },
  { "ntp", { "chrony", "ntpsec", "openntpd" } },
  { "snmp", { "snmpd" } },
  { "stun", { "coturn", "stun" } },
  { "sip", { "kamailio", "asterisk", "baresip" } },
  { "memcached", { "memcached" } },
}
local LEAST = 8 -- servers that must have started and been named

local peers, rows, alone = nil, {}, {}

-- mynah scan --json in the namespace of the servers: what is said of each, by "address:port".
local function scan(signature, list, path)
  local words = ask.inside(peers)
  for _, word in ipairs { ask.mynah, "scan", "--json", "--probe", signature, "--timeout", "2" } do words[#words + 1] = word end
  if path then words[#words + 1] = path end
  for _, row in ipairs(list) do words[#words + 1] = ("%s:%d"):format(row.host, row.port) end
  local ran = assert(child.run("nsenter", words, 120))
  assert(ran.exit == 0, ran.err)
  local found = {}
  for line in ran.out:gmatch "[^\n]+" do
    local r = json.decode(line)
    local function given(value) return value ~= json.null and value or "-" end
    found[("%s:%d"):format(r.ip, r.port)] = ("%s %s %s %s"):format(r.state, given(r.service), given(r.product), given(r.version))
  end
  return found
end

describe("real servers, scanned", function()
  setup(function()
    local fetched = assert(child.run(here .. "fetch", { ask.daemons }, 900))
    assert(fetched.exit == 0, fetched.err)
    local args = { "daemons.lua", "--each", ask.daemons }
    for _, group in ipairs(GROUPS) do
      for _, name in ipairs(group[2]) do args[#args + 1] = name end
    end
    peers = ask.serve(args, 200)
    for _, row in ipairs(peers.rows) do
      if row.transport == "udp" then rows[row.name] = row end
    end
  end)
  teardown(function() if peers then peers:stop() end end)

  it("say the same through sockets and with whole frames", function()
    local named = 0
    for _, group in ipairs(GROUPS) do
      local list = {}
      for _, name in ipairs(group[2]) do list[#list + 1] = rows[name] end
      if #list > 0 then
        local sockets, frames = scan(group[1], list), scan(group[1], list, "--raw")
        assert.are.same(sockets, frames, group[1])
        for place, what in pairs(sockets) do alone[place] = what end
        for _, row in ipairs(list) do
          local said = sockets[("%s:%d"):format(row.host, row.port)]
          if said and said:find(" " .. row.service .. " ", 1, true) then named = named + 1 end
        end
      end
    end
    print(("note: %d servers named, the same both ways"):format(named))
    assert(named >= LEAST, named .. " named")
  end)

  it("are named by one scan that asks all of them everything", function()
    local names, list = {}, {}
    for i, group in ipairs(GROUPS) do
      names[i] = group[1]
      for _, name in ipairs(group[2]) do list[#list + 1] = rows[name] end
    end
    local found, named, services = scan(table.concat(names, ","), list), 0, {}
    for _, row in ipairs(list) do
      local place = ("%s:%d"):format(row.host, row.port)
      if (alone[place] or ""):find(" " .. row.service .. " ", 1, true) then
        assert.equal(alone[place], found[place])
        named, services[row.service] = named + 1, true
      end
    end
    assert(named >= LEAST, named .. " named")
    local kinds = 0
    for _ in pairs(services) do kinds = kinds + 1 end
    print(("note: %d servers of %d services named by one scan"):format(named, kinds))
    assert(kinds >= 3, kinds .. " services")
  end)
end)
