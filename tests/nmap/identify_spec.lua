-- identify_spec.lua - Debian's nmap with mynah-identify says of every real server and every decoy what `mynah identify` says.
--
-- Both are asked at the same time, each with decoys of its own: some remember what they were asked.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local support = require "support"
local child, json, uv = support.child, support.json, support.uv
local daemons = require "daemons"

local fetched = uv.fs_realpath(os.getenv("MYNAH_DAEMONS") or support.build .. "/daemons")
local PATIENCE = 12 -- as long as the slowest true decoy speaks late, and a little

-- Skype's name in Nmap's tables, and what `mynah identify` calls it.
local function nmap_name(service) return service == "skype" and "skype2" or service end

local function place(row)
  return (row.host:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(row.host, row.port)
end

local function start_host(rows, ...)
  local args = { "identify", "--json", ... }
  for _, row in ipairs(rows) do args[#args + 1] = place(row) end
  local process = assert(child.spawn(support.mynah, args, { whole = true }))
  return function()
    child.wait(function() return process.exit and not process.stdout:is_active() end, 240)
    process:stop()
    local found = {}
    for line in process.rest:gmatch("[^\n]+") do
      local r = json.decode(line)
      for key, value in pairs(r) do if value == json.null then r[key] = nil end end
      found[r.transport .. " " .. math.tointeger(r.port)] = r
    end
    return found
  end
end

local SCAN = { tcp = "-sT", udp = "-sU" }

local function start_plugin(rows, transport, ...)
  local args = { SCAN[transport], "-p", support.list(rows), "--script", "mynah-identify", "--script-args",
    "mynah.patience=" .. PATIENCE .. "s", rows[1].host, ... }
  if rows[1].host:find(":", 1, true) then table.insert(args, 1, "-6") end
  local _, finish = support.start_nmap(args)
  return finish
end

-- Of one port: structured output, the port's own row, and the normal output agree, and say `service`.
local function hold(run, key, service, story)
  local port = assert(run[key], key .. " is not in the XML output")
  local output = port.scripts["mynah-identify"] or {}
  story = ("%s; nmap's script: %s, guess %s; port %s: %s, %s; %s"):format(story, tostring(output.service),
    tostring(output.guess), key, tostring(port.state), tostring(port.reason), json.encode(output))
  story = story .. "\n" .. (run.out:match("\n(" .. port.port .. "/[^\n]+\n[^\n]+\n[^\n]+)") or "")
  assert(output.service == service, story)
  local line = run.out:match("\n(" .. port.port .. "/" .. port.transport .. " +[^\n]+)")
  assert(line, "no line for it in the normal output")
  if service then
    assert(port.service == nmap_name(service) and port.method == "probed", story .. "; its port: " .. tostring(port.service))
    assert(line:match("^%S+ +open +(%S+)"):gsub("^ssl/", "") == nmap_name(service), line)
    assert(run.out:find("\n|   service: " .. service .. "\n", 1, true), "not in the normal output")
  else
    assert(port.method ~= "probed", story .. "; its port: " .. tostring(port.service))
  end
  return port, output
end

-- Nmap's own sockets speak TLS to these, in mynah as in mynah-identify.
local WITHIN_TLS = { "nginx-tls", "proftpd-tls", "stunnel-ssh" }

describe("nmap names real servers as mynah identify does:", function()
  local process, servers, run = nil, {}, {}

  setup(function()
    assert(fetched, "no daemons; run tests/daemons/fetch " .. support.build .. "/daemons")
    local rows
    local args = { here .. "../daemons/daemons.lua", fetched }
    for _, list in ipairs { daemons.names, WITHIN_TLS } do table.move(list, 1, #list, #args + 1, args) end
    process, rows = support.serve(args)
    for _, row in ipairs(rows) do
      servers[row.name] = servers[row.name] or row
      servers[row.name].transports = servers[row.name].transports or {}
      servers[row.name].transports[row.transport] = true
    end
    local finish = {}
    for _, transport in ipairs { "tcp", "udp" } do
      local list = {}
      for _, row in ipairs(rows) do if row.transport == transport then list[#list + 1] = row end end
      finish[transport] = start_plugin(list, transport)
    end
    for transport, fn in pairs(finish) do run[transport] = fn() end
  end)

  teardown(function()
    if process then process:stop(20) end
    support.clean()
  end)

  for _, name in ipairs(WITHIN_TLS) do
    it(name, function()
      local _, output = hold(run.tcp, "tcp " .. servers[name].port, servers[name].service, name)
      assert(output.tls, name .. " is within TLS, and that is not said")
    end)
  end

  for _, name in ipairs(daemons.names) do
    it(name, function()
      local server = servers[name]
      for transport in pairs(server.transports) do
        local port = hold(run[transport], transport .. " " .. server.port, server.service, name)
        if server.product then assert(port.product:lower():find(server.product), port.product) end
      end
    end)
  end
end)

describe("nmap is not fooled, as mynah identify is not:", function()
  local listed = assert(child.run("lua5.3", { here .. "../daemons/decoys.lua", "--list" }, 20))
  assert(listed.exit == 0, listed.err)
  local names = {}
  for line in listed.out:gmatch("[^\n]+") do names[#names + 1] = json.decode(line) end

  local processes, plugin, host, rows = {}, {}, {}, { plugin = {}, host = {} }

  local function of_kind(list, transport, family)
    local out = {}
    for _, row in ipairs(list) do
      if row.transport == transport and (row.host == "::1") == (family == 6) then out[#out + 1] = row end
    end
    return out
  end

  setup(function()
    for _, who in ipairs { "plugin", "host" } do
      local list
      processes[who], list = support.serve { here .. "../daemons/decoys.lua" }
      rows[who].list = list
      for _, row in ipairs(list) do rows[who][row.transport .. " " .. row.name] = row end
    end
    local finish = {}
    for _, transport in ipairs { "tcp", "udp" } do
      for _, family in ipairs { 4, 6 } do
        local of_plugin = of_kind(rows.plugin.list, transport, family)
        local name = transport .. family
        finish["plugin " .. name] = start_plugin(of_plugin, transport)
        finish["host " .. name] = start_host(of_kind(rows.host.list, transport, family), SCAN[transport], "--patience",
          tostring(PATIENCE))
      end
    end
    for name, fn in pairs(finish) do
      local who, run = name:match("(%S+) (%S+)")
      local into = who == "plugin" and plugin or host
      into[run] = fn()
    end
  end)

  teardown(function()
    for _, process in pairs(processes) do process:stop(2) end
    support.clean()
  end)

  for _, decoy in ipairs(names) do
    it(decoy.transport .. " " .. decoy.name, function()
      local key = decoy.transport .. " " .. decoy.name
      local family = decoy.host == "::1" and 6 or 4
      local mine, theirs = rows.plugin[key], rows.host[key]
      local expected = assert(host[decoy.transport .. family][decoy.transport .. " " .. theirs.port])
      local run = plugin[decoy.transport .. family]
      -- Nmap's own probe was first, and the node took it for nothing; who counts remembers it all the same.
      local _, output = hold(run, decoy.transport .. " " .. mine.port, expected.service,
        ("mynah identify: %s, guess %s"):format(tostring(expected.service), tostring(expected.guess)))
      if output.evidence then
        for _, line in ipairs(output.evidence) do assert(not line:find("[%z\1-\31\127]"), "raw bytes in the evidence") end
      end
    end)
  end

  it("by escapes: none reaches the terminal raw", function()
    for _, run in pairs(plugin) do assert(not run.out:find("[%z\1-\8\11-\31\127]")) end
  end)

  -- But for what Nmap says of itself, as of a connection that was reset while it looked.
  local NMAPS = { "Host discovery disabled[^\n]*\n", "Warning: [^\n]*\n", "Strange read error from [^\n]*\n" }

  it("and nothing is said on stderr", function()
    for _, run in pairs(plugin) do
      local said = run.err
      for _, line in ipairs(NMAPS) do said = said:gsub(line, "") end
      assert.equal(0, run.exit)
      assert.equal("", said)
    end
  end)
end)
