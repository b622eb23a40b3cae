--- What a run asks: hosts with their ports, written as for `mynah scan`, a few at a time, in the order of their addresses.
-- @module host.nse.list

local ranges = require "host.ranges"
local targets = require "host.targets"
local binary = require "host.nse.targets".binary

local list = {}

local List = {}
List.__index = List

-- Which transports the text of -p has ports of, among those asked; all of these where it has none, which ranges then says.
local function transports_of(spec, asked)
  local found = {}
  for _, range in ipairs(spec and targets.port_ranges(spec) or {}) do
    if range.only ~= "udp" and asked.tcp then found.tcp = true end
    if range.only ~= "tcp" and asked.udp then found.udp = true end
  end
  return next(found) and found or asked
end

-- A resolver that asks once, and remembers what name an address was found by.
local function remembering(resolve, names)
  local known = {}
  return function(name)
    if not known[name] then
      local ips, message = resolve(name)
      if not ips then return nil, message end
      known[name], names[ips[1]] = ips, names[ips[1]] or name
    end
    return known[name]
  end
end

local function fill(maker, options)
  for _, step in ipairs { { "add", options.words }, { "exclude", options.exclude } } do
    for _, word in ipairs(step[2]) do
      local ok, message = maker[step[1]](maker, word)
      if not ok then return nil, message end
    end
  end
  for _, step in ipairs { { "add", options.files }, { "exclude", options.exclude_files } } do
    for _, path in ipairs(step[2]) do
      local ok, message = maker:file(path, step[1])
      if not ok then return nil, message end
    end
  end
  return maker:seal()
end

local function advance(cursor)
  cursor.ip, cursor.port = cursor.whole:item(cursor.at)
  cursor.key = cursor.ip and binary(cursor.ip)
  cursor.at = cursor.at + 1
end

--- Read what is to be asked.
-- @param options table: `words`, `files`, `exclude`, `exclude_files` (arrays, as host.ranges takes them), `ports` (text of -p, or
-- nil), `tcp`, `udp` (booleans: what ports without T: or U: mean), `resolve` as for host.targets
-- @return list with `hosts` (how many at the most) and `family` (4 or 6); or nil and a message
function list.new(options)
  local self = setmetatable({ cursors = {}, names = {}, hosts = 0 }, List)
  local resolve = remembering(options.resolve, self.names)
  for transport in pairs(transports_of(options.ports, { tcp = options.tcp or nil, udp = options.udp or nil })) do
    local set, message = fill(ranges.new { ports = options.ports, transport = transport, resolve = resolve }, options)
    if not set then return nil, message end
    local cursor = { whole = set.whole, at = 0, transport = transport }
    advance(cursor)
    if cursor.ip then table.insert(self.cursors, cursor) end
    self.hosts = self.hosts + set.addresses
  end
  if #self.cursors == 0 then return nil, "nothing is left to ask" end
  self.family = #self.cursors[1].key == 4 and 4 or 6
  return self
end

-- The next address, with its ports of all transports.
local function next_host(self)
  local first
  for _, cursor in ipairs(self.cursors) do
    if cursor.ip and (not first or cursor.key < first.key) then first = cursor end
  end
  if not first then return nil end
  local host = { ip = first.ip, name = self.names[first.ip], ports = {} }
  for _, cursor in ipairs(self.cursors) do
    while cursor.ip == host.ip do
      table.insert(host.ports, { port = cursor.port, transport = cursor.transport })
      advance(cursor)
    end
  end
  return host
end

--- The next hosts.
-- @param hosts, ports: so many at the most; of ports the last host may have more
-- @return array of { ip=, name= (nil where an address was written), ports={ { port=, transport= }, … } }, empty at the end
function List:next(hosts, ports)
  local group, count = {}, 0
  while #group < hosts and count < ports do
    local host = next_host(self)
    if not host then break end
    group[#group + 1] = host
    count = count + #host.ports
  end
  return group
end

return list
