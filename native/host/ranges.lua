--- What a scan asks, as users write it: names, CIDR, octet ranges, from-to, files of them, with ports, less what is excluded.
-- @module host.ranges

local core = require "mynah_core"
local inputs = require "host.inputs"
local own = require "host.own"
local targets = require "host.targets"

local ranges = {}

local EXPECTED = "expected an address, ADDRESS/BITS, 10.0-3.1,7.*, FIRST-LAST, or a name"

-- "5", "0-3", "-3", "250-", "*", "1,7-9" as ranges of 0 to 255; nil where it is none.
local function octet(word)
  local list = {}
  for item in (word .. ","):gmatch("([^,]*),") do
    local from, to = item:match("^(%d*)%-(%d*)$")
    if item == "*" then from, to = "0", "255" end
    if not from then from, to = item:match("^(%d+)$"), item end
    if not from then return nil end
    local first, last = from == "" and 0 or tonumber(from), to == "" and 255 or tonumber(to)
    if first > last or last > 255 then return nil end
    list[#list + 1] = { first, last }
  end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return list
end

local function dotted(n) return ("%d.%d.%d.%d"):format(n >> 24, n >> 16 & 255, n >> 8 & 255, n & 255) end

-- Octet ranges as ranges of addresses: as soon as all further octets may be anything, one is enough.
local function octets(word)
  local parts = {}
  for part in (word .. "."):gmatch("([^.]*)%.") do
    parts[#parts + 1] = octet(part) or false
    if not parts[#parts] then return nil end
  end
  if #parts ~= 4 then return nil end
  local list, whole = {}, { [5] = true }
  for i = 4, 1, -1 do
    whole[i] = whole[i + 1] and #parts[i] == 1 and parts[i][1][1] == 0 and parts[i][1][2] == 255
  end
  local function add(i, base)
    local width = 8 * (4 - i)
    for _, r in ipairs(parts[i]) do
      if whole[i + 1] then
        list[#list + 1] = { dotted(base | r[1] << width), dotted(base | r[2] << width | (1 << width) - 1) }
      else
        for n = r[1], r[2] do add(i + 1, base | n << width) end
      end
    end
  end
  add(1, 0)
  return list
end

-- Ranges { first, last or bits } of a word without a port; or nil and a message.
local function addresses(word, resolve)
  local base, bits = word:match("^(.-)/(%d+)$")
  local first, last = word:match("^([%x.:]+)%-([%x.:]+)$")
  if core.family(word) then return { { word } } end
  if first and core.family(first) and core.family(first) == core.family(last) then return { { first, last } } end
  if not base and word:find("^[%d.,*-]+$") then
    local list = octets(word)
    if list then return list end
    return nil, ('"%s": %s'):format(word, EXPECTED)
  end
  local name = base or word
  if name == "" or name:find("[%s/%c*,]") then return nil, ('"%s": %s'):format(word, EXPECTED) end
  local ips, message = { name }, nil
  if not core.family(name) then ips, message = resolve(name) end
  if not ips then return nil, message end
  local most = core.family(ips[1]) == 4 and 32 or 128
  if bits and tonumber(bits) > most then return nil, ('"%s": a prefix of 0 to %d bits expected'):format(word, most) end
  return { { ips[1], bits and math.tointeger(bits) } }
end

-- The word's own port, if it ends in one: "192.0.2.1:53", "[::1]:53", "10.0.0.0/24:53".
local function split(word)
  local inside, rest = word:match("^%[([^%]]*)%](.*)$")
  if inside then
    local bits, port = rest:match("^(/?%d*):(%d+)$")
    return inside .. (bits or rest), port
  end
  if select(2, word:gsub(":", "")) == 1 then
    local host, port = word:match("^(.*):(%d+)$")
    if host then return host, port end
  end
  return word
end

local Maker = {}
Maker.__index = Maker

-- A word without its zone ("fe80::1%eth0"): that is the whole scan's, and one.
function Maker:bare(word)
  local before, zone, after = word:match "^(%[?[%x:.]+)%%([^/%]%%]+)(.*)$"
  if not zone then return word end
  local index = math.tointeger(tonumber(zone))
  zone = index and core.interface_name(index) or zone
  if self.zone and self.zone ~= zone then
    return nil, ('"%s": other targets are on the link %s: scan one after the other'):format(word, self.zone)
  end
  self.zone = zone
  return before .. after
end

-- The set of the ports of a text of -p, made once.
function Maker:ports(text)
  local known = self.sets[text]
  if known then return known end
  local list, message = targets.port_ranges(text)
  if not list then return nil, message end
  local numbers, seen = {}, {}
  for _, range in ipairs(list) do
    local asked = range.only == nil or range.only == self.transport
    for port = range[1], asked and range[2] or 0 do
      if not seen[port] then
        numbers[#numbers + 1], seen[port] = port, true
        if self.questions then assert(self.whole:ask(port, #self.questions:of(port))) end
      end
    end
  end
  if #numbers == 0 then return nil, ('ports "%s": none for the transport asked'):format(text) end
  self.sets[text] = self.whole:ports(numbers)
  return self.sets[text]
end

--- Add a target.
-- @param word text
-- @return true; or nil and a message
function Maker:add(word)
  local bare, elsewhere = self:bare(word)
  if not bare then return nil, elsewhere end
  local host, port = split(bare)
  local text = port or self.spec
  if not text then return nil, ('"%s": no port; write HOST:PORT or add -p PORTS'):format(word) end
  local set, wrong = self:ports(text)
  if not set then return nil, wrong end
  local list, message = addresses(host, self.resolve)
  if not list then return nil, message end
  for _, r in ipairs(list) do
    local ok, problem = self.whole:add(r[1], r[2], set)
    if not ok then return nil, ('"%s": %s'):format(word, problem) end
    self.words[#self.words + 1] = r
  end
  return true
end

--- Leave something out, whatever is added.
-- @return true; or nil and a message
function Maker:exclude(word)
  local bare, elsewhere = self:bare(word)
  if not bare then return nil, elsewhere end
  if select(2, split(bare)) then return nil, ('"%s": whole addresses are left out, without a port'):format(word) end
  local list, message = addresses(bare, self.resolve)
  if not list then return nil, message end
  for _, r in ipairs(list) do
    local ok, why = self.whole:exclude(r[1], r[2])
    if not ok then return nil, ('"%s": %s'):format(word, why) end
  end
  self.excludes = true
  return true
end

--- Leave something out that is on a list of everybody's, unless those who named targets within it mean a network of their own.
-- @return true; or nil and a message
function Maker:block(word)
  local list, message = addresses(word, self.resolve)
  if not list then return nil, message end
  for _, r in ipairs(list) do
    local meant = false
    for _, each in ipairs(own.has(r) and self.words or {}) do
      meant = own.within(each, r)
      if meant then break end
    end
    local ok, why = true, nil
    if not meant then ok, why = self.whole:exclude(r[1], r[2]) end
    if not ok then return nil, ('"%s": %s'):format(word, why) end
  end
  return true
end

-- A file to read, and whether to close it. What can be read only once is kept where each transport reads it.
local kept = {}
local function open(path, again)
  local file, problem = io.stdin, nil
  if kept[path] then
    kept[path]:seek "set"
    return kept[path], false
  end
  if path ~= "-" then file, problem = io.open(path, "r") end
  if not file then return nil, problem end
  if not again or (path ~= "-" and file:seek()) then return file, path ~= "-" end
  kept[path] = assert(io.tmpfile())
  for part in function() return file:read(1 << 16) end do assert(kept[path]:write(part)) end
  if path ~= "-" then file:close() end
  return open(path)
end

--- Take words from a file, as host.inputs reads it.
-- @param path "-": standard input
-- @param method "add", "exclude" or, once all targets are added, "block"
-- @return true; or nil and a message with file and line
function Maker:file(path, method)
  local file, closes = open(path, self.again)
  if not file then return nil, closes end
  local ok, message = inputs.read(file, self.transport, function(word) return self[method](self, word) end)
  if closes then file:close() end
  if ok then return true end
  return nil, ("%s:%s"):format(path == "-" and "standard input" or path, message)
end

--- Finish.
-- @return table: `whole` (sealed ranges of mynah_core), `items`, `targets` (the same, each port once), `addresses`, `excluded`
-- (addresses), `others` (addresses that are not in a network of one's own), `zone` (the link that they name, or nil),
-- `near` (one that holds on one link only, or nil); or nil and a message
function Maker:seal()
  local items, count, excluded = self.whole:seal()
  if not items then return nil, ("the targets: %s (at most 2^62 of them)"):format(count) end
  local pieces, others, asked, near = self.whole:pieces(), 0, 0, nil
  for _, piece in ipairs(pieces) do
    asked = asked + piece.addresses * piece.ports
    if core.in_prefix(piece.first, "fe80::", 10) then near = piece.first end
    if not own.has { piece.first, piece.last } then others = others + piece.addresses end
  end
  if #pieces > 0 and core.family(pieces[1].first) ~= core.family(pieces[#pieces].first) then
    return nil, ("%s and %s: IPv4 and IPv6 cannot be mixed; scan one after the other"):format(pieces[1].first,
      pieces[#pieces].first)
  end
  return { whole = self.whole, items = items, targets = asked, addresses = count, excluded = excluded, others = others,
    has_excludes = self.excludes, zone = self.zone,
    near = near }
end

--- Begin.
-- @param options table: `ports` text of -p or nil, `transport` "tcp" or "udp", `resolve` as for host.targets,
-- `questions` of host.questions (UDP: an item for each; nil: one), `again`: standard input is read by another one, too
-- @return an object with add, exclude, block, file and seal
function ranges.new(options)
  return setmetatable({
    whole = assert(core.ranges()), sets = {}, words = {}, spec = options.ports, resolve = options.resolve,
    transport = options.transport, questions = options.questions, again = options.again,
  }, Maker)
end

return ranges
