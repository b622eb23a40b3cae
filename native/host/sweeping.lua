--- Many ports: which of them are open is found first, by one datagram or one SYN to each.
-- @module host.sweeping

local core = require "mynah_core"
local host = require "mynah_host"
local reserved = require "host.reserved"
local signatures = require "mynah.signatures"
local text = require "mynah.text"
local transport = require "mynah.transport"

local sweeping = {}

local MANY = 300         -- ports of one transport from which on they are swept first
local NEAR, FAR = 50000, 5000 -- packets a second at the most: in networks of one's own, and elsewhere
local LOOK = 0.01        -- seconds between two looks at the answers

local function is_near(ip)
  for _, range in ipairs(reserved) do
    if range.own and core.in_prefix(ip, range[1], range[2]) then return true end
  end
  return false
end

local function key(ip, port) return ip .. " " .. port end

-- The targets as ranges, and each by its key.
local function gather(list)
  local whole, places, ports = assert(core.ranges()), {}, {}
  for _, target in ipairs(list) do
    ports[target.ip] = ports[target.ip] or {}
    table.insert(ports[target.ip], target.port)
    places[key(target.ip, target.port)] = target
  end
  for ip, numbers in pairs(ports) do assert(whole:add(ip, nil, assert(whole:ports(numbers)))) end
  assert(whole:seal())
  return whole, places
end

local function milliseconds(seconds) return seconds and math.floor(seconds * 1e6 + 0.5) / 1000 or nil end

-- A port of which nothing more is to be asked.
local function settled(target, state, reason, answer)
  return {
    ip = target.ip, port = target.port, transport = target.transport, state = state, reason = reason, tls = false,
    confidence = 0, rtt_ms = answer and milliseconds(answer.rtt) or nil, sent = 0, received = 0, evidence = {},
    timestamp = text.timestamp(core.unix()),
  }
end

-- Whole frames where we may and all lies behind one next hop, else sockets.
local function open(config)
  config.raw = host.is_root()
  local scan, message = core.scan(config)
  if not scan and config.raw then
    config.raw = false
    scan, message = core.scan(config)
  end
  return scan, message
end

-- Sweep one transport by one question. on_answer(answer) is told of all; ends when the scan is over.
local function sweep(t, config, on_answer)
  local scan, message = open(config)
  if not scan then return nil, message end
  local ok, problem = pcall(function()
    repeat
      local over = scan:counts().over
      local answer = scan:next()
      while answer do
        on_answer(answer)
        answer = scan:next()
      end
      if not over then t:sleep(LOOK) end
    until over
  end)
  scan:close()
  if not ok then error(problem, 0) end
  return true
end

local Sweep = {}
Sweep.__index = Sweep

function Sweep:config(whole, more)
  local config = {
    targets = whole, key = core.random(16), seed = string.unpack("<I6", core.random(6)), adapts = true, rate = self.rate,
    timeout = math.min(self.opts.timeout or 3, 3), public_ip = self.opts.public_ip, attempts = 2,
  }
  for name, value in pairs(more) do config[name] = value end
  return config
end

function Sweep:tcp(t, list)
  local whole, places = gather(list)
  local done, message = sweep(t, self:config(whole, { tcp = true }), function(answer)
    local target = places[key(answer.ip, answer.port)]
    places[key(answer.ip, answer.port)] = nil
    if answer.kind == "verified" then
      self.found[#self.found + 1] = { ip = target.ip, port = target.port, transport = "tcp", name = target.name, open = true }
    else
      self.on_result(settled(target, answer.reason == "conn-refused" and "closed" or "filtered", answer.reason, answer))
    end
  end)
  if not done then return nil, message end
  for _, target in pairs(places) do self.on_result(settled(target, "filtered", "no-response")) end
  return true
end

-- The signature that is likeliest where a port says nothing.
function Sweep:usual(list)
  for _, target in ipairs(list) do
    if #self.db:named("udp", target.port) == 0 then return self.sigs:probes("udp", target.port)[1].name end
  end
  return self.sigs:probes("udp", list[1].port)[1].name
end

-- Each gets the likeliest datagram. What answers it, or is silent at a port that says what would be answered, is asked on.
function Sweep:udp(t, list)
  local whole, places = gather(list)
  local config = self:config(whole, { signatures = self.db, name = self:usual(list), others = true })
  local done, message = sweep(t, config, function(answer)
    local place = key(answer.ip or answer.from, answer.port or answer.from_port)
    local target = places[place]
    if not target then return end
    places[place] = nil
    if answer.kind == "icmp" then
      self.on_result(settled(target, answer.reason == "port-unreach" and "closed" or "filtered", answer.reason, answer))
    else
      self.found[#self.found + 1] = target
    end
  end)
  if not done then return nil, message end
  for _, target in pairs(places) do
    if #self.db:named("udp", target.port) > 0 then
      self.found[#self.found + 1] = target
    else
      self.on_result(settled(target, "open|filtered", "no-response"))
    end
  end
  return true
end

--- Which of many ports are worth asking? The others' results are given at once.
-- @param loop of mynah.loop
-- @param list array of { ip, port, transport, name }
-- @param opts table: `db`, `rate` or nil, `timeout`, `public_ip`
-- @param on_result function, called with each result of a port that is closed or silent
-- @return array of the targets that are left: all of a transport that has few of them
function sweeping.run(loop, list, opts, on_result)
  local parts, left = { tcp = {}, udp = {} }, {}
  for _, target in ipairs(list) do table.insert(parts[target.transport], target) end
  local near = true
  for _, target in ipairs(list) do near = near and is_near(target.ip) end
  local self = setmetatable({
    db = opts.db, sigs = signatures.new(opts.db), opts = opts, found = left, on_result = on_result,
    rate = opts.rate or (near and NEAR or FAR),
  }, Sweep)
  local t, tasks = transport.new { loop = loop }, {}
  for name, part in pairs(parts) do
    tasks[#tasks + 1] = function()
      if #part > MANY and self[name](self, t, part) then return end
      table.move(part, 1, #part, #left + 1, left)
    end
  end
  t:race(tasks)
  return left
end

return sweeping
