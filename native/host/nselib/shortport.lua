--- Port rules, as NSE's `shortport` has them, for where no Nmap is installed.
-- @module shortport

local shortport = {}

local function list_of(value)
  if value == nil then return nil end
  return type(value) == "table" and value or { value }
end

local function contains(list, value)
  for _, one in ipairs(list) do
    if one == value then return true end
  end
  return false
end

local function offered(port, protocols, states)
  return contains(list_of(protocols) or { "tcp", "udp" }, port.protocol) and
    contains(list_of(states) or { "open", "open|filtered" }, port.state)
end

--- A rule for ports by number.
-- @param ports number, or array of numbers
-- @param protocols "tcp" (the default), "udp", or both as an array
-- @param states default: open and open|filtered
function shortport.portnumber(ports, protocols, states)
  return function(_, port)
    return offered(port, protocols or "tcp", states) and contains(list_of(ports), port.number)
  end
end

--- A rule for ports by the name of their service.
function shortport.service(services, protocols, states)
  return function(_, port)
    return offered(port, protocols or "tcp", states) and contains(list_of(services), port.service)
  end
end

--- A rule for ports by number or service.
function shortport.port_or_service(ports, services, protocols, states)
  local by_number = shortport.portnumber(ports, protocols, states)
  local by_service = shortport.service(services, protocols, states)
  return function(host, port) return by_number(host, port) or by_service(host, port) end
end

shortport.LIKELY_HTTP_PORTS = { 80, 443, 631, 7080, 8080, 8443, 8088, 5800, 3872, 8180, 8000 }
shortport.LIKELY_HTTP_SERVICES = { "http", "https", "ipp", "http-alt", "https-alt", "vnc-http", "oem-agent", "soap",
  "http-proxy", "caldav", "carddav", "webdav" }

--- The rule for ports that may speak HTTP.
shortport.http = shortport.port_or_service(shortport.LIKELY_HTTP_PORTS, shortport.LIKELY_HTTP_SERVICES)

local TLS_PORTS = { 443, 465, 563, 587, 636, 989, 990, 992, 993, 994, 995, 5061, 6679, 6697, 8443, 9001 }
local TLS_SERVICES = { "https", "https-alt", "smtps", "submission", "snews", "ldapssl", "ldaps", "ftps", "ftps-data", "telnets",
  "imaps", "ircs", "pop3s", "sips", "ssl" }
local by_habit = shortport.port_or_service(TLS_PORTS, TLS_SERVICES, "tcp", { "open", "open|filtered" })

--- The rule for ports that may speak TLS.
function shortport.ssl(host, port)
  return port.version ~= nil and port.version.service_tunnel == "ssl" or by_habit(host, port)
end

return shortport
