--- Results as Nmap prints them for people.
-- @module host.nse.text

local out = require "host.out"
local structured = require "host.nse.structured"
local targets = require "host.nse.targets"

local text = {}

local NOT_SHOWN = 25 -- so many closed or silent ports are only counted

local function print_results(results)
  table.sort(results, function(a, b) return a.id < b.id end)
  for _, r in ipairs(results) do
    for _, line in ipairs(structured.lines(r.id, r.text)) do out.add(line) end
  end
end

local function print_phase(title, results)
  if #results == 0 then return end
  out.add(title)
  print_results(results)
end

local function version_of(port)
  if not port.version_set then return "" end
  local v, parts = port.version, {}
  for _, key in ipairs { "product", "version" } do parts[#parts + 1] = v[key] end
  if v.extrainfo then parts[#parts + 1] = "(" .. v.extrainfo .. ")" end
  return table.concat(parts, " ")
end

local function service_of(port)
  local tunnel = port.version.service_tunnel == "ssl" and "ssl/" or ""
  return tunnel .. (port.service or "unknown")
end

-- Ports that say nothing are only counted, where they are many.
local function split(ports, results)
  local shown, hidden = {}, {}
  local count = {}
  for _, port in ipairs(ports) do count[port.state] = (count[port.state] or 0) + 1 end
  for _, port in ipairs(ports) do
    if count[port.state] > NOT_SHOWN and not port.state:find "open" and not results[port] then
      local key = ("%s %s ports"):format(port.state, port.protocol)
      hidden[key] = (hidden[key] or 0) + 1
    else
      shown[#shown + 1] = port
    end
  end
  return shown, hidden
end

local function columns(rows)
  local width = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do width[i] = math.max(width[i] or 0, #cell) end
  end
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do row[i] = cell .. (" "):rep(width[i] - #cell) end
    row.line = table.concat(row, " "):gsub("%s+$", "")
  end
end

local function print_ports(shown, results, versions)
  local rows = { { "PORT", "STATE", "SERVICE", versions and "VERSION" or nil } }
  for _, port in ipairs(shown) do
    rows[#rows + 1] = { ("%d/%s"):format(port.number, port.protocol), port.state, service_of(port),
      versions and version_of(port) or nil, port = port }
  end
  columns(rows)
  for _, row in ipairs(rows) do
    out.add(row.line)
    print_results(results[row.port] or {})
  end
end

local function print_hidden(hidden)
  local list = {}
  for what, n in pairs(hidden) do list[#list + 1] = ("%d %s"):format(n, what) end
  table.sort(list)
  if #list > 0 then out.add("Not shown: " .. table.concat(list, ", ")) end
end

local function print_host(host, results)
  local said = host.targetname or host.name
  out.add("Nmap scan report for " .. (said ~= "" and ("%s (%s)"):format(said, host.ip) or host.ip))
  local ports = targets.sorted_ports(host)
  local answered = host.times.srtt > 0
  if answered then out.add(("Host is up (%.2gs latency)."):format(host.times.srtt)) end
  local shown, hidden = split(ports, results)
  if next(hidden) then print_hidden(hidden) else out.add "" end
  if #shown > 0 then print_ports(shown, results) end
  local of_host = results[host] or {}
  if #of_host > 0 then
    out.add ""
    print_phase("Host script results:", of_host)
  end
  out.add ""
end

--- A writer: `phase(name, results)`, `host(host, results by port or host)`, `finish(summary)`:
-- `hosts`, `up`, `broken` (numbers), `problem` (nil, or what ended it early).
function text.writer()
  local titles = { prerule = "Pre-scan script results:", postrule = "Post-scan script results:" }
  return {
    phase = function(_, name, results)
      print_phase(titles[name], results)
      out.flush()
    end,
    host = function(_, host, results)
      print_host(host, results)
      out.flush()
    end,
    finish = function(_, summary)
      local silent = summary.hosts - summary.up
      if silent > 0 then out.line(("Not shown: %d of %d hosts, which did not answer"):format(silent, summary.hosts)) end
    end,
  }
end

return text
