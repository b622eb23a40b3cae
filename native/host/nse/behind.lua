--- Scripts behind a scan: of each port that it found, as it finds them, so many threads at once. Who scans has a loop of its own
-- and calls step() often.
-- Scripts of a host run once, with the first of its open ports, and know those of its ports whose scripts run at that time.
-- @module host.nse.behind

local core = require "mynah_core"
local jsonl = require "host.nse.jsonl"
local json = require "host.json"
local sockets = require "host.nse.socket"
local targets = require "host.nse.targets"
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

-- The host of a result: shared by its ports whose scripts run at the same time.
local function host_of(self, ip)
  local known = self.world.targets
  local host = known:find(ip)
  if not host then
    host = known:add(ip, ip)
    targets.scan(self.world, { host }, true) -- our way to it; it has no ports yet
    self.uses[host] = 0
  end
  self.uses[host] = self.uses[host] + 1
  return host
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
  self.jobs[port] = nil
  host.ports[port.protocol][port.number] = nil
  self.uses[host] = self.uses[host] - 1
  if self.uses[host] == 0 then
    self.uses[host] = nil
    self.world.targets:drop(host)
  end
  table.sort(job.said, function(a, b) return a.id < b.id end)
  if #job.said > 0 then
    job.result.scripts, job.result.scripts_json = job.said, encode(job.said)
    self.said = self.said + #job.said
  end
  job.done(job.is_late)
end

-- The scripts of the next level, which may depend on those of the one before it.
local function advance(self, job)
  job.level, job.left = job.level + 1, 0
  local level = self.run.levels[job.level]
  if not level then return finish(self, job) end
  for _, s in ipairs(level) do
    for _, kind in ipairs { "hostrule", "portrule" } do
      if s.rules[kind] and (kind == "portrule" or job.of_host) then
        job.left, self.last = job.left + 1, self.last + 1
        self.queue[self.last] = { script = s, kind = kind, job = job }
      end
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
  local left = job.till - core.now()
  if left <= 0 then return leave(self, job, true) end
  self.active = self.active + 1
  self.run:spawn(unit.script, unit.kind, job.host, unit.kind == "portrule" and job.port or nil, function(thread)
    self.active = self.active - 1
    leave(self, job, thread.timed_out and thread.limit_message == LATE)
  end, left < math.huge and { left, LATE } or nil)
end

--- Take a result whose port is open.
-- @param result of the checks; where scripts say something it gets `scripts` (array of { id, kind, text, value }) and
-- `scripts_json`
-- @param till when the last of them ends at the latest, on the clock of mynah_core; nil: they take as long as they do
-- @param done function, called once all of them are over; true: not all came to their end by then
function Behind:take(result, till, done)
  local host = host_of(self, result.ip)
  local job = { host = host, result = result, done = done, level = 0, said = {}, of_host = not self.asked[result.ip],
    till = till or math.huge }
  self.asked[result.ip] = true
  if job.of_host then self.first_of[host] = job end
  job.port = port_of(self, host, result)
  self.jobs[job.port] = job
  advance(self, job)
end

--- Let scripts run, those that can.
-- @return true while there are any
function Behind:step()
  local started = 0
  while self.first <= self.last and self.active < self.most and started < STEP do
    local unit = self.queue[self.first]
    self.queue[self.first] = nil
    self.first, started = self.first + 1, started + 1
    start(self, unit)
  end
  return self.world.scheduler:step() or self.first <= self.last
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

--- Prepare.
-- @param run of host.nse.run
-- @param most threads at once
-- @return an object with take and step; `said`: how many results of scripts there were
function behind.new(run, most)
  local self = setmetatable({
    run = run, world = run.world, most = most, active = 0, queue = {}, first = 1, last = 0, said = 0,
    jobs = {}, asked = {}, uses = {}, first_of = setmetatable({}, { __mode = "k" }),
  }, Behind)
  function run.on_result(thread, result)
    local job = thread.port and self.jobs[thread.port] or self.first_of[thread.host]
    result.kind = thread.kind
    job.said[#job.said + 1] = result
  end
  return self
end

--- How many of a run's scripts have a rule for ports or hosts.
function behind.count(run)
  local count = 0
  for _, s in ipairs(run.scripts) do
    if s.rules.portrule or s.rules.hostrule then count = count + 1 end
  end
  return count
end

return behind
