--- Results as XML of Nmap's form (nmap.dtd).
-- @module host.nse.xml

local core = require "mynah_core"
local fail = require "host.fail"
local host_module = require "mynah_host"
local structured = require "host.nse.structured"
local targets = require "host.nse.targets"

local xml = {}

local escape = structured.escape_xml

local function attributes(list)
  local parts = {}
  for i = 1, #list, 2 do
    local value = list[i + 1]
    if value ~= "" then parts[#parts + 1] = (' %s="%s"'):format(list[i], escape(tostring(value))) end
  end
  return table.concat(parts)
end

-- A missing value is "", so that arrays have no holes.
local function element(name, list, inner)
  if inner and inner ~= "" then return ("<%s%s>%s</%s>"):format(name, attributes(list), inner, name) end
  return ("<%s%s/>"):format(name, attributes(list))
end

xml.escape, xml.attributes, xml.element = escape, attributes, element

local function scripts(results)
  table.sort(results, function(a, b) return a.id < b.id end)
  local parts = {}
  for i, r in ipairs(results) do parts[i] = structured.xml(r.id, r) end
  return table.concat(parts)
end

local VERSION = { "name", "product", "version", "extrainfo", "hostname", "ostype", "devicetype" }

local function service(port)
  local v = port.version
  if not v.name then return "" end
  local list = {}
  for _, key in ipairs(VERSION) do table.move({ key, v[key] or "" }, 1, 2, #list + 1, list) end
  table.move({ "tunnel", v.service_tunnel == "ssl" and "ssl" or "", "method", v.service_dtype,
    "conf", math.floor(v.name_confidence) }, 1, 6, #list + 1, list)
  local cpe = {}
  for i, name in ipairs(v.cpe) do cpe[i] = ("<cpe>%s</cpe>"):format(escape(tostring(name))) end
  return element("service", list, table.concat(cpe))
end

local function port_element(port, results)
  return element("port", { "protocol", port.protocol, "portid", port.number },
    element("state", { "state", port.state, "reason", port.reason, "reason_ttl", 0 }) .. service(port) .. scripts(results))
end

local function names(host)
  local parts = {}
  if host.targetname then parts[1] = element("hostname", { "name", host.targetname, "type", "user" }) end
  if host.name ~= "" then parts[#parts + 1] = element("hostname", { "name", host.name, "type", "PTR" }) end
  return "<hostnames>\n" .. table.concat(parts, "\n") .. (#parts > 0 and "\n" or "") .. "</hostnames>\n"
end

local function host_element(host, results)
  local parts = { "<host>", element("status", { "state", "up", "reason", host.reason, "reason_ttl", 0 }), "\n",
    element("address", { "addr", host.ip, "addrtype", core.family(host.ip) == 6 and "ipv6" or "ipv4" }), "\n", names(host),
    "<ports>" }
  for _, port in ipairs(targets.sorted_ports(host)) do
    parts[#parts + 1] = port_element(port, results[port] or {}) .. "\n"
  end
  parts[#parts + 1] = "</ports>\n"
  local of_host = scripts(results[host] or {})
  if of_host ~= "" then parts[#parts + 1] = "<hostscript>" .. of_host .. "</hostscript>" end
  parts[#parts + 1] = "</host>\n"
  return table.concat(parts)
end

local TAGS = { prerule = "prescript", postrule = "postscript" }

--- A writer as host.nse.text makes one.
-- @param file an open file
-- @param words what the user called, for the report
function xml.writer(file, words)
  local began = os.time()
  local function write(text)
    local ok, message = file:write(text)
    if ok then ok, message = file:flush() end
    if not ok then fail.run("cannot write XML: %s", message) end
  end
  write('<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE nmaprun>\n<nmaprun' .. attributes {
    "scanner", "nmap", "args", words, "start", began, "startstr", os.date("%a %b %e %H:%M:%S %Y", began), -- see host.outputs
    "version", "mynah " .. host_module.version, "xmloutputversion", "1.05" } .. ">\n"
    .. '<verbose level="0"/><debugging level="0"/>\n')
  return {
    phase = function(_, name, results)
      if #results > 0 then write(("<%s>%s</%s>\n"):format(TAGS[name], scripts(results), TAGS[name])) end
    end,
    host = function(_, host, results) write(host_element(host, results)) end,
    finish = function(_, summary)
      local now = os.time()
      write("<runstats>" .. element("finished", { "time", now, "timestr", os.date("%a %b %e %H:%M:%S %Y", now),
        "elapsed", now - began, "exit", summary.problem and "error" or "success", "errormsg", summary.problem or "" })
        .. element("hosts", { "up", summary.up, "down", summary.hosts - summary.up, "total", summary.hosts })
        .. "\n</runstats>\n</nmaprun>\n")
    end,
  }
end

return xml
