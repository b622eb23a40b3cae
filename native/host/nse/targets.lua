--- The hosts of a run and their ports: what is known of them, as NSE scripts see it, and how it is found out.
-- @module host.nse.targets

local core = require "mynah_core"
local files = require "host.nse.files"
local host_module = require "mynah_host"
local sweeping = require "host.sweeping"

local targets = {}

local Targets = {}
Targets.__index = Targets

-- Names of services ---------------------------------------------------------------------------------------

--- The hosts of a run.
-- @param folders of host.nse.files
-- @return an object with find, add_new, count_new
function targets.new(folders)
  return setmetatable({ folders = folders, services = { tcp = {}, udp = {} }, by_ip = {}, new_names = {}, known_names = {} },
    Targets)
end

--- Learn the names of services at these ports. Only theirs are kept: there are tens of thousands.
-- @param list array of { port=, transport= }
function Targets:learn_services(list)
  local services, more = self.services, false
  for _, t in ipairs(list) do
    local names = services[t.transport]
    if names[t.port] == nil then names[t.port], more = false, true end
  end
  if not more then return end
  local path = files.find(self.folders, "nmap-services") or "/etc/services"
  for name, number, protocol in ("\n" .. (files.read(path) or "")):gmatch "\n([^%s#]+)%s+(%d+)/(%l+)" do
    local names, port = services[protocol], tonumber(number)
    if names and names[port] == false then names[port] = name end
  end
end

-- Hosts ----------------------------------------------------------------------------------------------------

local function binary(ip)
  if core.family(ip) == 4 then
    return (ip:gsub("(%d+)%.?", function(n) return string.char(tonumber(n)) end))
  end
  local head, tail = ip:match "^(.-)::(.*)$"
  local function groups(text)
    local bytes = (text or ""):gsub("(%x+):?", function(g) return string.pack(">I2", tonumber(g, 16)) end)
    return bytes
  end
  if not head then return groups(ip) end
  local left, right = groups(head), groups(tail)
  return left .. ("\0"):rep(16 - #left - #right) .. right
end
targets.binary = binary

--- Add a host.
-- @param ip its address
-- @param said what the user wrote
-- @return the host
function Targets:add(ip, said)
  local host = {
    ip = ip, bin_ip = binary(ip), targetname = said ~= ip and said or nil, name = "", registry = {},
    ports = { tcp = {}, udp = {} }, times = { srtt = 0.0, rttvar = 0.005, timeout = 0.1 }, reason = "user-set",
  }
  self.by_ip[ip] = host
  return host
end

function Targets:find(ip) return self.by_ip[ip] end

--- Forget a host, whose scripts are done.
function Targets:drop(host) self.by_ip[host.ip] = nil end

--- Did a host answer, as far as its ports say?
function targets.answered(host)
  for _, ports in pairs(host.ports) do
    for _, port in pairs(ports) do
      if port.state == "open" or port.state == "closed" then return true end
    end
  end
  return false
end

--- The table that a rule or an action gets for a host: its own, but for the registry.
function targets.copy_host(host)
  return {
    ip = host.ip, bin_ip = host.bin_ip, bin_ip_src = host.bin_ip_src, targetname = host.targetname, name = host.name,
    interface = host.interface, interface_mtu = host.interface_mtu, directly_connected = host.directly_connected,
    mac_addr = host.mac_addr, mac_addr_src = host.mac_addr_src, mac_addr_next_hop = host.mac_addr,
    reason = host.reason, reason_ttl = 0, registry = host.registry,
    times = { srtt = host.times.srtt, rttvar = host.times.rttvar, timeout = host.times.timeout },
  }
end

-- Ports ----------------------------------------------------------------------------------------------------

--- Add a port of a host.
function Targets:add_port(host, number, protocol)
  local name = self.services[protocol][number] or nil
  local port = { number = number, protocol = protocol, state = "unknown", reason = "", service = name, version = {
    name = name, name_confidence = name and 3.0 or 0.0, service_dtype = "table", service_tunnel = "none", cpe = {},
  } }
  host.ports[protocol][number] = port
  return port
end

function targets.port(host, number, protocol) return host.ports[protocol] and host.ports[protocol][number] end

--- The table that a rule or an action gets for a port: its own.
function targets.copy_port(port)
  local version = {}
  for key, value in pairs(port.version) do version[key] = value end
  version.cpe = table.move(port.version.cpe, 1, #port.version.cpe, 1, {})
  return {
    number = port.number, protocol = port.protocol, state = port.state, reason = port.reason, reason_ttl = 0,
    service = port.service, version = version,
  }
end

--- All ports of a host, TCP before UDP, by number.
function targets.sorted_ports(host)
  local list = {}
  for _, protocol in ipairs { "tcp", "udp" } do
    local first = #list + 1
    for _, port in pairs(host.ports[protocol]) do list[#list + 1] = port end
    local part = table.move(list, first, #list, 1, {})
    table.sort(part, function(a, b) return a.number < b.number end)
    table.move(part, 1, #part, first, list)
  end
  return list
end

--- The port after this one among those of a protocol (nil: any) and a state (nil: any); nil after the last.
function targets.next_port(host, before, protocol, state)
  local reached = before == nil
  for _, port in ipairs(targets.sorted_ports(host)) do
    if reached and (not protocol or port.protocol == protocol) and (not state or port.state == state) then
      return targets.copy_port(port)
    end
    if before and port.number == before.number and port.protocol == before.protocol then reached = true end
  end
end

local VERSION_FIELDS = { "name", "product", "version", "extrainfo", "hostname", "ostype", "devicetype", "service_fp", "cpe" }
local CONFIDENCE = { hardmatched = 10.0, softmatched = 10.0, tcpwrapped = 8.0, nomatch = 3.0, incomplete = 3.0 }

--- Enter what a script found out about a port.
function targets.set_version(port, version, probe_state)
  probe_state = probe_state or "hardmatched"
  local new = { service_dtype = "probed", name_confidence = CONFIDENCE[probe_state], cpe = {} }
  for _, field in ipairs(VERSION_FIELDS) do
    local value = version[field]
    if value ~= nil then new[field] = type(value) == "table" and value or tostring(value) end
  end
  new.service_tunnel = version.service_tunnel == "ssl" and "ssl" or "none"
  if probe_state == "nomatch" or probe_state == "incomplete" then
    new.service_dtype, new.name = "table", port.version.name
  end
  port.version, port.service, port.version_set = new, new.name, true
end

-- Targets that scripts add ------------------------------------------------------------------------------

--- Take names or addresses that a script found; where none are given, only say how many wait.
-- @return how many were new; or false and a message
function Targets:add_new(...)
  local count = 0
  for _, name in ipairs { ... } do
    if type(name) == "string" and not self.known_names[name] and not self.by_ip[name] then
      self.known_names[name] = true
      table.insert(self.new_names, name)
      count = count + 1
    end
  end
  return count
end

function Targets:count_new() return #self.new_names end

-- Finding out -------------------------------------------------------------------------------------------------

local function settle(port, state, reason) port.state, port.reason = state, reason end

-- What this machine says at once where it has no way to a host.
local NO_WAY = {
  ["Network is unreachable"] = "net-unreach", ["No route to host"] = "host-unreach", ["Permission denied"] = "admin-prohibited",
}

-- The machine's own way to a host; nil and a reason where it has none.
local function find_way(world, host, interfaces)
  local socket = world.scheduler.events:socket("udp", core.family(host.ip))
  if not socket then return true end
  local ok, message = socket:connect(host.ip, 9)
  local source = ok and socket:names()
  socket:close()
  if not ok then return nil, NO_WAY[message] or "no-response" end
  host.bin_ip_src = binary(source)
  for _, interface in ipairs(interfaces) do
    if interface.address == source then host.interface, host.interface_mtu = interface.device, interface.mtu end
  end
  if source == host.ip then host.directly_connected, host.reason = true, "localhost-response" end
  return true
end

-- The hosts on our own link, by what the system has learned of them on the way.
local function find_neighbours(hosts, interfaces)
  local macs = {}
  for ip, mac, device in (files.read "/proc/net/arp" or ""):gmatch "\n(%S+)%s+%S+%s+%S+%s+([%x:]+)%s+%S+%s+(%S+)" do
    if mac ~= "00:00:00:00:00:00" then macs[ip .. " " .. device] = mac end
  end
  for _, host in ipairs(next(macs) and hosts or {}) do
    local mac = macs[("%s %s"):format(host.ip, host.interface)]
    if mac then
      host.mac_addr = mac:gsub("(%x%x):?", function(byte) return string.char(tonumber(byte, 16)) end)
      host.directly_connected = true
      for _, interface in ipairs(interfaces) do
        if interface.device == host.interface then host.mac_addr_src = interface.mac end
      end
    end
  end
end

-- What connecting says. The quickest answer is how far the host is.
local function on_answer(target, state, reason, seconds)
  local times = target.host.times
  settle(target.of_port, state, reason)
  if seconds and (times.srtt == 0 or seconds < times.srtt) then times.srtt = seconds end
end

--- Find the states of ports: of TCP by connecting, of UDP nothing is known before a script asks.
-- @param world as host.nse.api takes it
-- @param hosts array, all of one family
-- @param given true: they are taken to be open
-- @return true; or nil and a message
function targets.scan(world, hosts, given)
  local list, interfaces = {}, host_module.interfaces()
  for _, host in ipairs(hosts) do
    local way, reason = find_way(world, host, interfaces)
    for _, port in ipairs(targets.sorted_ports(host)) do
      if given then
        settle(port, "open", "user-set")
      elseif not way then
        settle(port, "filtered", reason)
      elseif port.protocol == "udp" then
        settle(port, "open|filtered", "no-response")
      else
        list[#list + 1] = { ip = host.ip, port = port.number, host = host, of_port = port }
      end
    end
  end
  if #list == 0 then return true end
  local scheduler, ok, message = world.scheduler, nil, nil
  scheduler:spawn(function()
    return sweeping.connect(list, function(seconds) scheduler:sleep(seconds) end, on_answer)
  end, { on_end = function(_, ran, done, problem)
    if not ran then error(done, 0) end
    ok, message = done, problem
  end })
  scheduler:run()
  find_neighbours(hosts, interfaces)
  return ok, message
end

return targets
