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

-- Each gets the lines with their numbers, the transport that is asked, and give(word, number), which ends the reading where a
-- word is wrong.
local readers = {}

local function wrong(number, message) error({ ("%d: %s"):format(number, message) }, 0) end

-- The next line without its end, or nil. What cannot be read, or is no text, ends the reading.
local function next_line(file, number)
  local line, problem = file:read "l"
  if problem then error({ " " .. problem }, 0) end
  if line and line:find("\0", 1, true) then wrong(number, "a NUL byte: expected text, as UTF-8") end
  return line and line:gsub("\r$", ""):gsub(number == 1 and "^\xEF\xBB\xBF" or "^$", "") or nil
end

-- <host> ... <address addr=.../> ... <port protocol=... portid=...><state state="open"...
function readers.xml(lines, transport, give)
  local ip, port
  for line, number in lines do
    for tag, attributes in line:gmatch "<(%a+)%s([^>]*)>" do
      local function value(name) return attributes:match("%f[%w]" .. name .. '="([^"]*)"') end
      if tag == "address" and value "addrtype" ~= "mac" then
        ip = value "addr"
      elseif tag == "port" then
        port = value "protocol" == transport and tonumber(value "portid") or nil
      elseif tag == "state" and port and ip and (value "state" or ""):find "^open" then
        give(word(ip, port), number)
      end
    end
  end
end

-- Host: 192.0.2.1 ()  Ports: 53/open/udp//domain///, ...
function readers.gnmap(lines, transport, give)
  for line, number in lines do
    local ip, ports = line:match "^Host: (%S+).-\tPorts: ([^\t]*)"
    for port, state, protocol in (ports or ""):gmatch "(%d+)/([^/]*)/([^/]*)/" do
      if protocol == transport and state:find "^open" then give(word(ip, tonumber(port)), number) end
    end
  end
end

-- open tcp 80 192.0.2.1 1390380064
function readers.list(lines, transport, give)
  for line, number in lines do
    local state, protocol, port, ip = line:match "^(%a+) (%a+) (%d+) (%S+)"
    if state == "open" and protocol == transport then give(word(ip, tonumber(port)), number) end
  end
end

-- Is it open, over the transport that is asked, as far as it says?
local function counts(state, protocol, transport)
  return (not state or state:find "^open" ~= nil) and (not protocol or protocol == transport)
end

local function give_object(object, transport, give, number)
  if object.port == cjson.null then return end -- what scripts say of a host, or of no host
  local ip = object.ip or object.saddr
  if type(ip) ~= "string" then wrong(number, "an object without ip or saddr") end
  if type(object.ports) ~= "table" then
    if counts(object.state, object.transport, transport) then
      give(word(ip, math.tointeger(tonumber(object.port or object.sport))), number)
    end
    return
  end
  for _, p in ipairs(object.ports) do
    if counts(p.status, p.proto, transport) then give(word(ip, p.port), number) end
  end
end

-- One object a line, as masscan writes its array and others their lines; old masscans end in {finished: 1}.
function readers.json(lines, transport, give)
  for line, number in lines do
    local text = line:gsub("^[%s,%[]+", ""):gsub("[%s,%]]+$", "")
    if text ~= "" and text ~= "{finished: 1}" then
      local ok, object = pcall(cjson.decode, text)
      if not ok or type(object) ~= "table" then wrong(number, "expected one whole JSON object on each line") end
      give_object(object, transport, give, number)
    end
  end
end

-- A line of names, among them saddr or ip, and perhaps sport or port, state, transport.
function readers.csv(lines, transport, give, header)
  local columns, count = {}, 0
  for name in (header .. ","):gmatch "([^,]*),%s*" do
    count = count + 1
    columns[name:lower():gsub('"', "")] = count
  end
  for line, number in lines do
    local values = {}
    for value in (line .. ","):gmatch "([^,]*)," do values[#values + 1] = (value:gsub('"', "")) end
    local function value(name) return columns[name] and values[columns[name]] end
    local ip = value "saddr" or value "ip"
    if ip and ip ~= "" and counts(value "state", value "transport", transport) then
      give(word(ip, math.tointeger(tonumber(value "sport" or value "port"))), number)
    end
  end
end

-- Words between spaces; what follows # is for people.
function readers.plain(lines, _, give)
  for line, number in lines do
    for each in line:gsub("#.*", ""):gmatch "%S+" do give(each, number) end
  end
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

-- Read them all, in the form that the first line with something in it has.
local function read_all(file, transport, give)
  local number, first = 0, nil
  while not (first and first:find "%S") do
    number = number + 1
    first = next_line(file, number)
    if not first then return end
  end
  local kind, begun = kind_of(first), false
  local function lines()
    if not begun and kind ~= "csv" then
      begun = true
      return first, number
    end
    number = number + 1
    return next_line(file, number), number
  end
  readers[kind](lines, transport, give, first)
end

--- Read targets.
-- @param file an open file
-- @param transport "tcp" or "udp": others' ports are passed over
-- @param add function of a word and the number of its line, true where it is good, else nil and a message
-- @return true; or nil and "LINE: message", " message" where it stands in no line
function inputs.read(file, transport, add)
  local ok, problem = pcall(read_all, file, transport, function(each, at)
    local good, message = add(each)
    if not good then wrong(at, message) end
  end)
  if ok then return true end
  if type(problem) ~= "table" then error(problem, 0) end
  return nil, problem[1]
end

return inputs
