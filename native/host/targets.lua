--- Targets and ports as users write them.
-- Pure but for `expand`, which asks its resolver.
-- @module host.targets

local targets = {}

local EXPECTED = "expected a number from 1 to 65535"

local function read_port(digits)
  if not digits:match("^%d+$") or #digits > 10 then return nil end
  local n = math.tointeger(tonumber(digits))
  return n and n >= 1 and n <= 65535 and n or nil
end

-- "80", "1000-2000", "1000-", "-1023", "-": first and last port, or nil and a message.
local function read_range(item)
  local from, to = item:match("^([^-]*)%-([^-]*)$")
  if not from then
    local port = read_port(item)
    if not port then return nil, ('port "%s": %s'):format(item, EXPECTED) end
    return port, port
  end
  local first, last = from == "" and 1 or read_port(from), to == "" and 65535 or read_port(to)
  if not first or not last then
    return nil, ('port "%s": %s'):format(not first and from or to, EXPECTED)
  end
  if first > last then return nil, ('ports "%s": the first is greater than the last'):format(item) end
  return first, last
end

--- Read a list of ports as Nmap writes it, as it stands there.
-- @param spec text
-- @return array of { first, last, only = "tcp", "udp" or nil }; or nil and a message
function targets.port_ranges(spec)
  local list, only = {}, nil
  for item in (spec .. ","):gmatch("([^,]*),") do
    local prefix, rest = item:match("^%s*(%a):(.*)$")
    if prefix then
      only = ({ T = "tcp", U = "udp" })[prefix:upper()]
      if not only then return nil, ('port "%s": expected U: or T: before the number'):format(item) end
    end
    local first, last = read_range((rest or item):match("^%s*(.-)%s*$"))
    if not first then return nil, last end
    list[#list + 1] = { first, last, only = only }
  end
  return list
end

--- Read a list of ports as Nmap writes it: `80,U:53,T:1000-2000`. `T:` and `U:` hold until the next of them; what stands
-- before the first goes to every transport asked.
-- @param spec text
-- @param asked table: tcp, udp: booleans
-- @return array of { port=, transport= } in the order written, none twice; or nil and a message
function targets.ports(spec, asked)
  local list, seen = {}, {}
  local function add(port, transport)
    local key = port .. transport
    if asked[transport] and not seen[key] then
      seen[key] = true
      list[#list + 1] = { port = port, transport = transport }
    end
  end
  local ranges, message = targets.port_ranges(spec)
  if not ranges then return nil, message end
  for _, range in ipairs(ranges) do
    for port = range[1], range[2] do
      if range.only ~= "udp" then add(port, "tcp") end
      if range.only ~= "tcp" then add(port, "udp") end
    end
  end
  if #list == 0 then return nil, ('ports "%s": none for the transport asked'):format(spec) end
  return list
end

--- Read HOST:PORT, HOST, [IPV6]:PORT, [IPV6] or a bare IPv6 address.
-- @param word text
-- @return host and port (nil where none is written); or nil and a message
function targets.address(word)
  local host, rest = word:match("^%[([^%]]*)%](.*)$")
  if host then
    if not host:find(":", 1, true) or (rest ~= "" and rest:sub(1, 1) ~= ":") then
      return nil, ('"%s": expected [IPV6]:PORT'):format(word)
    end
    rest = rest ~= "" and rest:sub(2) or nil
  elseif select(2, word:gsub(":", "")) == 1 then
    host, rest = word:match("^(.*):(.*)$")
  else
    host = word
  end
  if host == "" or host:find("[%s/%c]") then
    return nil, ('"%s": expected HOST:PORT, [IPV6]:PORT, or HOST with -p PORTS'):format(word)
  end
  if not rest then return host end
  local port = read_port(rest)
  if not port then return nil, ('"%s": port "%s": %s'):format(word, rest, EXPECTED) end
  return host, port
end

-- The ports of one word: its own, else those of -p.
local function ports_of(word, port, spec, asked)
  if port then return targets.ports(tostring(port), asked) end
  if spec then return targets.ports(spec, asked) end
  return nil, ('"%s": no port; write HOST:PORT or add -p PORTS'):format(word)
end

--- Make the list of what to ask.
-- @param words array of targets as written
-- @param options table: `ports` (text of -p, or nil), `tcp`, `udp` (booleans: transports asked; neither means both),
-- `resolve`, a function (host) -> array of addresses, or nil and a message; the first address is taken
-- @return array of { ip=, port=, transport=, name=the host as written }, none twice; or nil and a message
function targets.expand(words, options)
  local asked = { tcp = options.tcp, udp = options.udp }
  if not asked.tcp and not asked.udp then asked = { tcp = true, udp = true } end
  local list, seen, known = {}, {}, {}
  for _, word in ipairs(words) do
    local host, port = targets.address(word)
    if not host then return nil, port end
    local ports, message = ports_of(word, port, options.ports, asked)
    if not ports then return nil, message end
    local ips = known[host]
    if not ips then
      ips, message = options.resolve(host)
      if not ips then return nil, message end
      known[host] = ips
    end
    for _, p in ipairs(ports) do
      local key = ("%s %d %s"):format(ips[1], p.port, p.transport)
      if not seen[key] then
        seen[key] = true
        list[#list + 1] = { ip = ips[1], port = p.port, transport = p.transport, name = host }
      end
    end
  end
  return list
end

--- An address and port as written: "127.0.0.1:80", "[::1]:80".
function targets.format(ip, port)
  return (ip:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(ip, port)
end

return targets
