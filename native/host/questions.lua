--- What a scan asks each UDP port: the probes of the library in the order in which identify tries them, each port's own.
-- @module host.questions

local fail = require "host.fail"

local questions = {}

local Questions = {}
Questions.__index = Questions

-- Probes as identify orders those of one rank: signatures that send the same datagram share one.
local function in_order(groups)
  local list = table.move(groups, 1, #groups, 1, {})
  table.sort(list, function(a, b)
    if a.likelihood ~= b.likelihood then return a.likelihood < b.likelihood end
    return a.order < b.order
  end)
  return list
end

-- The signature that a word of --probe names: itself, or the first of a service that sends over UDP.
local function signature_of(sigs, word)
  local own = sigs.info[word]
  local function sends(info) return info.transport == "udp" and info.probe_len > 0 end
  if own and sends(own) then return word end
  if own then fail.input('--probe "%s": it sends no datagram', word) end
  for _, name in ipairs(sigs.db:names()) do
    local info = sigs.info[name]
    if info.service == word and sends(info) then return name end
  end
  fail.input('--probe "%s": no signature or service of this name; `mynah sig list` has them', word)
end

local function named(sigs, words)
  local list, seen = {}, {}
  for word in words:gmatch "[^,%s]+" do
    local name = signature_of(sigs, word)
    if not seen[name] then list[#list + 1], seen[name] = { names = { name }, service = sigs.info[name].service }, true end
  end
  if #list == 0 then fail.input('--probe "%s": expected names of services or signatures, with commas', words) end
  return list
end

-- Of each port that services name alone, their probes; and the ranges that they name.
local function index(self)
  for _, group in ipairs(self.probes) do
    local seen = {}
    for _, name in ipairs(group.names) do
      for _, range in ipairs(self.sigs.info[name].ports) do
        local first, last = range[1], range[2]
        if first < last then
          self.ranges[#self.ranges + 1] = { first = first, last = last, group = group }
        elseif not seen[first] then
          seen[first], self.alone[first] = true, self.alone[first] or {}
          table.insert(self.alone[first], group)
        end
      end
    end
  end
end

--- What to ask.
-- @param sigs set of mynah.signatures
-- @param words text of --probe: names with commas; nil: whatever the library has
-- @return an object with of, own_ports, rows, only, kinds
-- @raise exit status 2 where a name is none
function questions.new(sigs, words)
  local self = setmetatable({ sigs = sigs, alone = {}, ranges = {}, asked = {} }, Questions)
  self.probes = words and named(sigs, words) or in_order(sigs.groups.udp)
  index(self)
  -- A port that nobody names is asked the likeliest of all, as identify asks it first; or whatever the user named.
  self.otherwise = words and self.probes or { self.probes[1] }
  return self
end

--- The probes for a port: all of services that name it alone, else the likeliest of those that name a range with it; else what
-- is asked anywhere.
-- @return array of { names = signatures that read the answer, the first is sent; service }
function Questions:of(port)
  local known = self.asked[port] or (#self.probes == 1 and self.probes) or self.alone[port]
  if not known then
    for _, r in ipairs(self.ranges) do
      if port >= r.first and port <= r.last then
        known = { r.group }
        break
      end
    end
    known = known or self.otherwise
  end
  self.asked[port] = known
  return known
end

--- How many ports of those asked no service names, and what these are asked.
function Questions:unnamed()
  local count = 0
  for _, asked in pairs(self.asked) do
    if asked == self.otherwise then count = count + 1 end
  end
  return count, self.otherwise[1].service
end

--- The ports that services name alone, as a text of -p; nil where there are none.
function Questions:own_ports()
  local list = {}
  for port in pairs(self.alone) do list[#list + 1] = port end
  table.sort(list)
  return #list > 0 and table.concat(list, ",") or nil
end

local function ports_of(asked)
  local list = {}
  for port in pairs(asked) do list[#list + 1] = port end
  table.sort(list)
  return list
end

--- What of() gave for all ports, as mynah_core.scan takes it.
-- @return the signature for every port, or nil; rows for ports that have others
function Questions:rows()
  local first = self.otherwise[1]
  local name = #self.otherwise == 1 and #first.names == 1 and first.names[1] or nil
  local rows = {}
  for _, port in ipairs(ports_of(self.asked)) do
    for _, group in ipairs(name and self.asked[port] == self.otherwise and {} or self.asked[port]) do
      for i, each in ipairs(group.names) do rows[#rows + 1] = { port, each, i > 1 } end
    end
  end
  return name, rows
end

--- The signatures that a port is asked by: a name, or a set of them.
function Questions:only(port)
  local set, count, last = {}, 0, nil
  for _, group in ipairs(self:of(port)) do
    for _, name in ipairs(group.names) do set[name], count, last = true, count + 1, name end
  end
  return count == 1 and last or set
end

local function ranges_text(ports)
  local parts, first = {}, ports[1]
  for i, port in ipairs(ports) do
    if ports[i + 1] ~= port + 1 then
      parts[#parts + 1] = first == port and tostring(port) or ("%d-%d"):format(first, port)
      first = ports[i + 1]
    end
  end
  return table.concat(parts, ",")
end

--- The datagrams that go out, in the order of their likelihood.
-- @return array of { service, name, bytes, ports = text }
function Questions:kinds()
  local ports, list = {}, {}
  for _, port in ipairs(ports_of(self.asked)) do
    for _, group in ipairs(self.asked[port]) do
      ports[group] = ports[group] or {}
      table.insert(ports[group], port)
    end
  end
  for _, group in ipairs(self.probes) do
    local name = group.names[1]
    list[#list + 1] = ports[group] and {
      service = group.service, name = name, bytes = self.sigs.info[name].probe_len, ports = ranges_text(ports[group]),
    } or nil
  end
  return list
end

return questions
