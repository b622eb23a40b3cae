--- Scripts behind a scan: before it those with a prerule, then of each port that it found, as it finds them, so many threads at
-- once; of each host, once all ports of all are done; after it those with a postrule. Who scans has a loop of its own and calls
-- step() often.
-- A script of a port knows those of its host whose scripts run at that time, one of a host all that were found.
-- @module host.nse.behind

local core = require "mynah_core"
local jsonl = require "host.nse.jsonl"
local json = require "host.json"
local sockets = require "host.nse.socket"
local targets = require "host.nse.targets"
local text = require "mynah.text"
local turns = require "host.nse.turns"

local behind = {}

local STEP = 16 -- scripts that are started at a time
local LATE = "ended: its address was asked for as long as --host-timeout lets it"

local Behind = {}
Behind.__index = Behind

-- A result's scripts as JSON: an array of objects.
local function encode(list)
  local parts = {}
  for i, s in ipairs(list) do
    parts[i] = ('{"id":%s,"kind":%s,"output":%s,"data":%s}'):format(json.encode(s.id), json.encode(s.kind),
      json.encode(s.text), s.value == nil and "null" or jsonl.encode(s.value))
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

-- What scripts said, as the part of a result that tells it. @return how many they were
local function enter(result, said)
  table.sort(said, function(a, b) return a.id < b.id end)
  if #said > 0 then result.scripts, result.scripts_json = said, encode(said) end
  return #said
end

-- The host of a result: shared by its ports whose scripts run at the same time.
local function host_of(self, ip)
  local known = self.world.targets
  local host = known:find(ip)
  if not host then
    host = known:add(ip, ip)
    host.registry = self.found[ip] and self.found[ip].registry or host.registry
    targets.scan(self.world, { host }, true) -- our way to it; it has no ports yet
    self.uses[host] = 0
  end
  self.uses[host] = self.uses[host] + 1
  return host
end

local function leave_host(self, host)
  self.uses[host] = self.uses[host] - 1
  if self.uses[host] > 0 then return end
  self.uses[host] = nil
  self.world.targets:drop(host)
end

-- What the scripts of a host will know of it.
local function remember(self, ip, port, registry)
  if not self.counts.hosts then return end
  local found = self.found[ip]
  if not found then
    found = { ports = {}, registry = registry }
    self.found[ip], self.order[#self.order + 1] = found, ip
  end
  found.ports[#found.ports + 1] = port
end

-- The port, as the checks found it. What they name stands before what its number says.
local function port_of(self, host, r)
  self.world.targets:learn_services { { port = r.port, transport = r.transport } }
  local port = self.world.targets:add_port(host, r.port, r.transport)
  port.state, port.reason = r.state, r.reason
  if r.service then
    targets.set_version(port, { name = r.service, product = r.product, version = r.version, extrainfo = r.extra,
      service_tunnel = r.tls and "ssl" or nil, cpe = r.cpe and { r.cpe } or nil })
  end
  if r.rtt_ms then host.times.srtt = r.rtt_ms / 1000 end
  return port
end

-- The job is over: its result gets what scripts said.
local function finish(self, job)
  local host, port = job.host, job.port
  if port then
    self.jobs[port] = nil
    host.ports[port.protocol][port.number] = nil
    remember(self, host.ip, port, host.registry)
  else
    self.jobs[host], self.hosts_left = nil, self.hosts_left - 1
  end
  leave_host(self, host)
  self.said = self.said + enter(job.result, job.said)
  job.done(job.is_late)
end

-- The scripts of the next level, which may depend on those of the one before it.
local function advance(self, job)
  job.level, job.left = job.level + 1, 0
  local level = self.run.levels[job.level]
  if not level then return finish(self, job) end
  for _, s in ipairs(level) do
    if s.rules[job.kind] then
      job.left, self.last = job.left + 1, self.last + 1
      self.queue[self.last] = { script = s, job = job }
    end
  end
  if job.left == 0 then advance(self, job) end
end

local function leave(self, job, is_late)
  job.left = job.left - 1
  job.is_late = job.is_late or is_late
  if job.left == 0 then advance(self, job) end
end

local function start(self, unit)
  local job = unit.job
  local clock = job.clock
  local left = clock and clock:left()
  if left and left <= 0 then return leave(self, job, true) end
  if clock then clock:start() end
  self.active = self.active + 1
  self.run:spawn(unit.script, job.kind, job.host, job.port, function(thread)
    self.active = self.active - 1
    local is_late = thread.timed_out and thread.limit_message == LATE
    if is_late then clock:use_up() end
    if clock then clock:stop() end
    leave(self, job, is_late)
  end, left and { left, LATE })
end

local function begin(self, place, job)
  job.level, job.said = 0, {}
  self.jobs[place] = job
  advance(self, job)
end

--- Take a result whose port is open.
-- @param result of the checks; where scripts say something it gets `scripts` (array of { id, kind, text, value }) and
-- `scripts_json`
-- @param clock of host.host_clock, by which they end; nil: they take as long as they do
-- @param done function, called once all of them are over; true: not all came to their end by then
function Behind:take(result, clock, done)
  local host = host_of(self, result.ip)
  local port = port_of(self, host, result)
  begin(self, port, { kind = "portrule", host = host, port = port, result = result, clock = clock, done = done })
end

--- A result whose scripts ran before this program began.
function Behind:know(result)
  local nowhere = { ports = { tcp = {}, udp = {} }, times = {} }
  if self.counts.hosts then remember(self, result.ip, port_of(self, nowhere, result), {}) end
end

-- The next host, whose ports are all done. @return false where there is none to begin
local function begin_host(self)
  local ip = self.hosts and self.order[self.next_host]
  if not ip then return false end
  self.next_host = self.next_host + 1
  if self.hosts.is_done(ip) then
    self.hosts_left = self.hosts_left - 1
    return true
  end
  local host, found = host_of(self, ip), self.found[ip]
  self.found[ip] = nil
  for _, port in ipairs(found.ports) do host.ports[port.protocol][port.number] = port end
  local word = { kind = "hostrule", ip = ip, host_reason = found.ports[1].reason }
  begin(self, host, { kind = "hostrule", host = host, result = word, clock = self.hosts.clock_of(ip), done = function(is_late)
    word.timestamp = text.timestamp(core.unix())
    self.hosts.done(word, is_late)
  end })
  return true
end

--- All ports of all hosts are done: run the scripts of hosts.
-- @param hosts table of functions: `is_done(ip)`, was its word kept before this program began; `clock_of(ip)`, as take has it;
-- `done(word, is_late)`, called for each: `ip`, `kind`, `timestamp`, and `scripts` as take enters them
-- @return function giving how many are left
function Behind:finish(hosts)
  self.hosts, self.next_host, self.hosts_left = hosts, 1, #self.order
  return function() return self.hosts_left end
end

--- Run the scripts of a phase, "prerule" or "postrule", until they are done.
-- @return what they said, as for a host but without an address; nil where they say nothing
-- @raise what an interrupt raises
function Behind:phase(kind)
  if not self.counts[kind] then return nil end
  local said = self.run:phase(kind)
  for _, s in ipairs(said) do s.kind = kind end
  local word = { kind = kind, timestamp = text.timestamp(core.unix()) }
  self.said = self.said + enter(word, said)
  return #said > 0 and word or nil
end

--- Let scripts run, those that can.
-- @return true while there are any
function Behind:step()
  local started = 0
  while self.active < self.most and started < STEP and (self.first <= self.last or begin_host(self)) do
    local unit = self.queue[self.first]
    if unit then
      self.queue[self.first] = nil
      self.first, started = self.first + 1, started + 1
      start(self, unit)
    end
  end
  return self.world.scheduler:step() or self.first <= self.last or (self.hosts ~= nil and self.next_host <= #self.order)
end

--- Hold what they send within limits.
-- @param options table: as host.nse.turns has it; `connections` that may be open at once, nil: any number
function Behind:limit(options)
  self.world.shared.turn = turns.new(self.world.scheduler, options)
  self:allow(options.connections)
end

--- Let so many connections be open at once, more than before.
function Behind:allow(connections)
  if connections then sockets.allow(self.world.shared, connections) end
end

-- How many of a run's scripts have which rule: `ports`, `hosts`, `prerule`, `postrule`; nil: none.
local function count_rules(run)
  local counts, names = {}, { portrule = "ports", hostrule = "hosts" }
  for _, s in ipairs(run.scripts) do
    for rule, there in pairs(s.rules) do
      local name = names[rule] or rule
      if there then counts[name] = (counts[name] or 0) + 1 end
    end
  end
  return counts
end

--- Prepare.
-- @param run of host.nse.run
-- @param most threads at once
-- @return an object with take, know, finish, phase and step; `said`: how many results of scripts there were; `counts` of scripts
-- with rules: `ports`, `hosts`, `prerule`, `postrule`, each nil where there is none
function behind.new(run, most)
  local self = setmetatable({
    run = run, world = run.world, most = most, active = 0, queue = {}, first = 1, last = 0, said = 0, counts = count_rules(run),
    jobs = {}, uses = {}, found = {}, order = {},
  }, Behind)
  function run.on_result(thread, result)
    result.kind = thread.kind
    table.insert(self.jobs[thread.port or thread.host].said, result)
  end
  return self
end

return behind
