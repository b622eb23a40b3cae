--- Lists of targets: plain ones, and what other scanners wrote: XML and grepable of Nmap and masscan, list and JSON of masscan,
-- CSV of zmap, JSON lines of ours and of others. Of those only what was found open counts.
-- @module host.inputs

local cjson = require "cjson"

local inputs = {}

-- As ranges take it: "192.0.2.1", "192.0.2.1:53", "[2001:db8::1]:53".
local function word(ip, port)
  if not port then return ip end
  return (ip:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(ip, port)
end

local readers = {}

-- <host> … <address addr=…/> … <port protocol=… portid=…><state state="open"…
function readers.xml(lines, transport, add)
  local ip, port
  for line, number in lines do
    for tag, attributes in line:gmatch "<(%a+)%s([^>]*)>" do
      local function value(name) return attributes:match("%f[%w]" .. name .. '="([^"]*)"') end
      if tag == "address" and value "addrtype" ~= "mac" then
        ip = value "addr"
      elseif tag == "port" then
        port = value "protocol" == transport and tonumber(value "portid") or nil
      elseif tag == "state" and port and ip and (value "state" or ""):find "^open" then
        local ok, message = add(word(ip, port), number)
        if not ok then return nil, message end
      end
    end
  end
  return true
end

-- Host: 192.0.2.1 ()  Ports: 53/open/udp//domain///, …
function readers.gnmap(lines, transport, add)
  for line, number in lines do
    local ip, ports = line:match "^Host: (%S+).-\tPorts: ([^\t]*)"
    for port, state, protocol in (ports or ""):gmatch "(%d+)/([^/]*)/([^/]*)/" do
      if protocol == transport and state:find "^open" then
        local ok, message = add(word(ip, tonumber(port)), number)
        if not ok then return nil, message end
      end
    end
  end
  return true
end

-- open tcp 80 192.0.2.1 1390380064
function readers.list(lines, transport, add)
  for line, number in lines do
    local state, protocol, port, ip = line:match "^(%a+) (%a+) (%d+) (%S+)"
    if state == "open" and protocol == transport then
      local ok, message = add(word(ip, tonumber(port)), number)
      if not ok then return nil, message end
    end
  end
  return true
end

local function from_object(object, transport, give)
  local ip = object.ip or object.saddr
  if type(ip) ~= "string" then return true end
  if type(object.ports) ~= "table" then
    local other = object.transport and object.transport ~= transport
    if other or (object.state and not tostring(object.state):find "^open") then return true end
    return give(ip, math.tointeger(tonumber(object.port or object.sport)))
  end
  for _, p in ipairs(object.ports) do
    if p.proto == transport and p.status == "open" then
      local ok, message = give(ip, p.port)
      if not ok then return nil, message end
    end
  end
  return true
end

-- One object a line, as masscan writes its array and others their lines.
function readers.json(lines, transport, add)
  for line, number in lines do
    local text = line:match "^%s*[%[,]?%s*({.*})%s*,?%s*%]?%s*$"
    if text then
      local ok, object = pcall(cjson.decode, text)
      if not ok then return nil, ("%d: no JSON"):format(number) end
      local good, message = from_object(object, transport, function(ip, port) return add(word(ip, port), number) end)
      if not good then return nil, message end
    end
  end
  return true
end

-- A line of names, among them saddr or ip, and sport or port where there is one.
function readers.csv(lines, _, add, header)
  local columns, count = {}, 0
  for name in (header .. ","):gmatch "([^,]*),%s*" do
    count = count + 1
    columns[name:lower():gsub('"', "")] = count
  end
  local ip_at, port_at, state_at = columns.saddr or columns.ip, columns.sport or columns.port, columns.state
  for line, number in lines do
    local values = {}
    for value in (line .. ","):gmatch "([^,]*)," do values[#values + 1] = (value:gsub('"', "")) end
    local ip = values[ip_at]
    if ip and ip ~= "" and (not state_at or (values[state_at] or ""):find "^open") then
      local ok, message = add(word(ip, port_at and math.tointeger(tonumber(values[port_at]))), number)
      if not ok then return nil, message end
    end
  end
  return true
end

-- Words between spaces; what follows # is for people.
function readers.plain(lines, _, add)
  for line, number in lines do
    for each in line:gsub("#.*", ""):gmatch "%S+" do
      local ok, message = add(each, number)
      if not ok then return nil, message end
    end
  end
  return true
end

-- What the first line that says anything is.
local function kind_of(line)
  if line:find "^%s*<" then return "xml" end
  if line:find "^%s*[%[{]" and not line:find "^%s*%[[%x:]+%]" then return "json" end
  if line:find "^Host: " or line:find "^# Nmap " or line:find "^# Masscan " or line:find "^# Mynah " then return "gnmap" end
  if line:find "^#masscan" or line:find "^open %a+ %d+ " then return "list" end
  local head = "," .. line:lower():gsub('[%s"]', "") .. ","
  if head:find(",saddr,", 1, true) or head:find(",ip,", 1, true) then return "csv" end
  return "plain"
end

--- Read targets.
-- @param file an open file
-- @param transport "tcp" or "udp": others' ports are passed over
-- @param add function of a word and the number of its line, true where it is good, else nil and a message
-- @return true; or nil and "LINE: message"
function inputs.read(file, transport, add)
  local number, first = 0, nil
  for line in file:lines() do
    number = number + 1
    if line:find "%S" then
      first = (line:gsub("\r$", ""))
      break
    end
  end
  if not first then return true end
  local kind, begun = kind_of(first), false
  local function lines()
    if not begun and kind ~= "csv" then
      begun = true
      return first, number
    end
    local line = file:read "l"
    number = number + 1
    return line and (line:gsub("\r$", "")), number
  end
  return readers[kind](lines, transport, function(each, at)
    local ok, message = add(each)
    if ok then return true end
    return nil, ("%d: %s"):format(at, message)
  end, first)
end

return inputs
