--- Many ports: which of them are open is found first, by one datagram or one SYN to each.
-- @module host.sweeping

local core = require "mynah_core"
local host = require "mynah_host"
local own = require "host.own"
local signatures = require "mynah.signatures"
local text = require "mynah.text"
local transport = require "mynah.transport"

local sweeping = {}

local MANY = 300         -- ports of one transport and family from which on they are swept first
local SILENT = 300       -- silent UDP ports that are asked by every probe, at the most
local NEAR, FAR = 50000, 5000 -- packets a second at the most: in networks of one's own, and elsewhere
local ATTEMPTS = 2
local LOOK = 0.01        -- seconds between two looks at the answers

local function key(ip, port) return ip .. " " .. port end

-- An address, and the link that it names (an index as text, "" for none): sets of addresses know no links.
local function apart(ip) return ip:match "^([^%%]*)%%?(.*)$" end

-- The targets as ranges, and each by its key.
local function gather(list)
  local whole, places, ports = assert(core.ranges()), {}, {}
  for _, target in ipairs(list) do
    local ip = apart(target.ip)
    ports[ip] = ports[ip] or {}
    table.insert(ports[ip], target.port)
    places[key(ip, target.port)] = target
  end
  for ip, numbers in pairs(ports) do assert(whole:add(ip, nil, assert(whole:ports(numbers)))) end
  assert(whole:seal())
  return whole, places
end

local function milliseconds(seconds) return seconds and math.floor(seconds * 1e6 + 0.5) / 1000 or nil end

-- A port of which nothing more is to be asked: `size` bytes were sent so many times.
local function settled(target, state, reason, answer, size)
  local times = answer and answer.attempt + 1 or ATTEMPTS
  return {
    ip = target.ip, port = target.port, transport = target.transport, state = state, reason = reason, tls = false,
    confidence = 0, rtt_ms = answer and milliseconds(answer.rtt) or nil, sent = size * times, received = 0, evidence = {},
    timestamp = text.timestamp(core.unix()),
  }
end

local function new_config(list, rate, opts, more)
  local whole, places = gather(list)
  local _, zone = apart(list[1].ip)
  local config = {
    interface = opts.interface or zone ~= "" and core.interface_name(math.tointeger(tonumber(zone))) or nil, source = opts.source,
    targets = whole, key = core.random(16), seed = string.unpack("<I6", core.random(6)), adapts = true, rate = rate,
    timeout = math.min(opts.timeout or 3, 3), public_ip = opts.public_ip, attempts = ATTEMPTS,
  }
  for name, value in pairs(more) do config[name] = value end
  return config, places
end

local Sweep = {}
Sweep.__index = Sweep

function Sweep:config(list, more) return new_config(list, self.rate, self.opts, more) end

-- The signature that is likeliest where a port says nothing.
function Sweep:usual(list)
  for _, target in ipairs(list) do
    if #self.db:named("udp", target.port) == 0 then return self.sigs:probes("udp", target.port)[1].name end
  end
  return self.sigs:probes("udp", list[1].port)[1].name
end

-- Each transport's question, what becomes of an answer, and of silence. Both are given the job and the target.
local KINDS = { tcp = {}, udp = {} }

function KINDS.tcp.open(self, list)
  local config, places = self:config(list, { tcp = true })
  return config, places, ("%d TCP ports"):format(#list), 0
end

function KINDS.tcp.answered(self, target, answer)
  if answer.kind == "verified" then
    self.left[#self.left + 1] = { ip = target.ip, port = target.port, transport = "tcp", name = target.name, open = true }
  else
    self.on_result(settled(target, answer.reason == "conn-refused" and "closed" or "filtered", answer.reason, answer, 0))
  end
end

function KINDS.tcp.silent(self, places)
  for _, target in pairs(places) do self.on_result(settled(target, "filtered", "no-response", nil, 0)) end
end

function KINDS.udp.open(self, list)
  local name = self:usual(list)
  local info = self.db:info(name)
  local config, places = self:config(list, { signatures = self.db, name = name, others = true })
  return config, places, ("%d UDP ports by one %s datagram each"):format(#list, info.service), info.probe_len
end

-- Whatever answers is asked on, by all signatures.
function KINDS.udp.answered(self, target, answer, size)
  if answer.kind == "icmp" then
    local closed = answer.reason == "port-unreach"
    self.on_result(settled(target, closed and "closed" or "filtered", answer.reason, answer, size))
  else
    self.left[#self.left + 1] = target
  end
end

-- Most services are silent to others' datagrams: so are, behind a filter, all ports. A few are asked by every probe, of many only
-- those that say what would be answered; the rest says that it was asked once.
function KINDS.udp.silent(self, places, size)
  local count = 0
  for _ in pairs(places) do count = count + 1 end
  local all = count <= SILENT or self.opts.all_probes
  for _, target in pairs(places) do
    if all or #self.db:named("udp", target.port) > 0 then
      self.left[#self.left + 1] = target
    else
      local result = settled(target, "open|filtered", "no-response", nil, size)
      result.evidence[1] = ("one of %d silent ports: asked by one probe alone; --all-probes asks by every one"):format(count)
      self.on_result(result)
    end
  end
end

-- Whole frames where we may and they find their way, else sockets.
local function open_scan(config)
  config.raw = host.is_root()
  local scan, message = core.scan(config)
  if not scan and config.raw then
    config.raw = false
    scan, message = core.scan(config)
  end
  return scan, message
end

-- Begin to sweep a list: a job; or nil where that cannot be done, which is said.
function Sweep:begin(kind, list)
  local config, places, words, size = kind.open(self, list)
  local scan, message = open_scan(config)
  if not scan then
    self.note(("cannot sweep %s: %s; they are asked one by one"):format(words, message))
    return nil
  end
  self.note(("%s are swept first, at most %d a second"):format(words, self.rate))
  return { kind = kind, scan = scan, places = places, size = size }
end

-- Until the scan is over: give each answer with its target, which leaves `places`. `sleep` lets so many seconds pass.
local function follow(scan, places, sleep, give)
  repeat
    local over = scan:counts().over
    for answer in function() return scan:next() end do
      local place = key(answer.ip or answer.from, answer.port or answer.from_port)
      local target = places[place]
      places[place] = nil
      if target then give(target, answer) end
    end
    if not over then sleep(LOOK) end
  until over
end

function Sweep:follow(t, job)
  follow(job.scan, job.places, function(seconds) t:sleep(seconds) end, function(target, answer)
    job.kind.answered(self, target, answer, job.size)
  end)
  job.kind.silent(self, job.places, job.size)
end

-- What is to be swept, by transport, family and link; all else is left as it is.
local function split(list)
  local parts, left, near = {}, {}, true
  for _, target in ipairs(list) do
    local _, zone = apart(target.ip)
    local name = ("%s %d %s"):format(target.transport, core.family(target.ip), zone)
    parts[name] = parts[name] or { transport = target.transport }
    table.insert(parts[name], target)
    near = near and own.has { target.ip }
  end
  for name, part in pairs(parts) do
    if #part <= MANY then
      table.move(part, 1, #part, #left + 1, left)
      parts[name] = nil
    end
  end
  return parts, left, near
end

--- Ask TCP ports by connecting, however few they are. A server that many connect to lets some wait until they seem silent:
-- these are asked again, as long as that finds any.
-- @param list array of { ip, port, … } of one family
-- @param sleep function (seconds): lets the others go on
-- @param give function (target, state, reason, seconds that the answer took or nil), called for each of the list: "open",
-- "closed" or "filtered", and why, in Nmap's words
-- @return true; or nil and a message
function sweeping.connect(list, sleep, give)
  local near, attempts = true, ATTEMPTS
  for _, target in ipairs(list) do near = near and own.has { target.ip } end
  repeat
    local config, places = new_config(list, near and NEAR or FAR, {}, { tcp = true, attempts = attempts })
    local scan, message = core.scan(config)
    if not scan then return nil, message end
    follow(scan, places, sleep, function(target, answer)
      local open, refused = answer.kind == "verified", answer.reason == "conn-refused"
      give(target, open and "open" or refused and "closed" or "filtered", open and "syn-ack" or answer.reason, answer.rtt)
    end)
    scan:close()
    local before = #list
    list, attempts = {}, 1
    for _, target in pairs(places) do list[#list + 1] = target end
  until #list == 0 or #list == before
  for _, target in ipairs(list) do give(target, "filtered", "no-response") end
  return true
end

--- Which of many ports are worth asking? The others' results are given at once.
-- @param loop of mynah.loop
-- @param list array of { ip, port, transport, name }
-- @param opts table: `db`, `rate` or nil, `timeout`, `public_ip`, `all_probes`, `interface`,
-- `source`; `note`, a function of a line of text
-- @param on_result function, called with each result of a port that is closed or silent
-- @return array of the targets that are left: all of a transport that has few of them
function sweeping.run(loop, list, opts, on_result)
  local parts, left, near = split(list)
  if not next(parts) then return left end
  local self = setmetatable({
    db = opts.db, sigs = signatures.new(opts.db), opts = opts, left = left, on_result = on_result, note = opts.note,
    rate = opts.rate or (near and NEAR or FAR),
  }, Sweep)
  local t, jobs, tasks = transport.new { loop = loop }, {}, {}
  for _, part in pairs(parts) do
    local job = self:begin(KINDS[part.transport], part)
    if job then jobs[#jobs + 1] = job else table.move(part, 1, #part, #left + 1, left) end
  end
  core.drop_privileges() -- all that needed them is open
  for i, job in ipairs(jobs) do tasks[i] = function() self:follow(t, job) end end
  local ok, problem = pcall(t.race, t, tasks)
  for _, job in ipairs(jobs) do job.scan:close() end
  if not ok then error(problem, 0) end
  return left
end

return sweeping
