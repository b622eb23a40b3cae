--- A scan in two stages: stateless verification in C, then what is verified is asked on until it is named.
-- @module host.scanning

local core = require "mynah_core"
local fail = require "host.fail"
local host = require "mynah_host"
local host_clock = require "host.host_clock"
local http = require "mynah.http"
local identify = require "mynah.identify"
local pace = require "mynah.pace"
local scan_text = require "host.scan_text"
local session = require "host.session"
local signatures = require "mynah.signatures"
local text = require "mynah.text"
local transport = require "mynah.transport"

local scanning = {}

local WORKERS = 500      -- UDP targets that are asked on at once
local OPEN = 10000       -- connections to those that are asked on, where files enough may be open
local UDP_OPEN = 4096   -- and datagrams listened for
local SWEPT = 4500       -- files that are left to the sweep and the rest
local WAITING = 10000    -- that wait for it at the most: then no further answer is fetched
local KEEP = 0.25        -- seconds between two times that progress is kept
local LOOK = 0.02        -- seconds between two looks at the answers
local SCRIPTS_LOOK = 0.002 -- the same, at scripts that run
local SCRIPTED = 1000    -- targets whose scripts run, beside those that are asked on
local EACH = 3           -- connections to a target that is asked on: one that listens, one or two that ask
local FURTHER = 20       -- datagrams to a target that is asked on, at the most
local FASTEST = 20000    -- datagrams a second of the second stage

-- A result in the shape of mynah.identify, of what stage 1 knows.
local function result_of(answer, found)
  found = found or {}
  return {
    probe = found.probe or answer.kind == "verified" and answer.name or nil,
    ip = answer.ip, port = answer.port, transport = answer.transport, state = answer.state,
    reason = answer.reason, service = found.service, product = found.product, version = found.version, extra = found.extra,
    cpe = found.cpe, tls = false,
    confidence = found.confidence or 0, guess = found.guess, fresh_bits = found.fresh_bits,
    identity_bits = found.identity_bits, rtt_ms = answer.rtt_ms, elapsed_ms = nil,
    sent = found.sent, received = #answer.data, reply_port = answer.from_port,
    reply_hex = answer.transport ~= "tcp" and #answer.data > 0 and text.to_hex(answer.data) or nil,
    evidence = found.evidence or {}, timestamp = answer.timestamp,
  }
end

-- What all answers of a sweep have in common.
local function alike(sweep)
  return { transport = sweep.transport, tls = false, confidence = 0, evidence = {} }
end

-- Connections that are made anyway are listened to, and asked for a page.
local function looks(config) return config.naming and not config.raw end

local Stage = {}
Stage.__index = Stage

local function pair_of(answer, public_ip)
  return {
    request = answer.request, reply = answer.data, my = answer.my, my_port = answer.my_port, peer = answer.ip,
    peer_port = answer.port, from = answer.from, from_port = answer.from_port, time = answer.time, rtt = answer.rtt,
    public_ip = public_ip,
  }
end

local function round(n) return n and math.floor(n * 10 + 0.5) / 10 end

-- What one pair shows already.
function Stage:judge(answer)
  local verdict = self.config.db:judge(answer.name, { pair_of(answer, self.config.public_ip) })
  if not verdict or verdict.state == "no" then return nil end
  local certain = verdict.state == "certain"
  local found = {
    confidence = math.floor(verdict.confidence * 1000 + 0.5) / 1000, fresh_bits = round(verdict.fresh_bits),
    identity_bits = round(verdict.identity_bits), probe = answer.name, sent = #answer.request,
    product = certain and verdict.product or nil, version = certain and verdict.version or nil,
    extra = certain and verdict.extra or nil, evidence = signatures.evidence(verdict),
  }
  found[certain and "service" or "guess"] = self.signatures.info[answer.name].service
  return found, verdict.state == "more" or verdict.want == "step"
end

function Stage:give(result)
  if result.service then self.named = self.named + 1 end
  self.outputs.add(result)
  self.view.add(result)
end

function Stage:ask_later(answer, found, is_certain)
  self.last = self.last + 1
  self.waiting[self.last] = { answer = answer, found = found, is_certain = is_certain }
end

function Stage:target_of(answer)
  local tcp = answer.transport == "tcp"
  return {
    ip = answer.ip, port = answer.port, transport = answer.transport, name = answer.ip,
    only = not tcp and self.questions:only(answer.port) or nil, open = tcp, begun = answer.looked and answer or nil,
  }
end

-- An answer of stage 1.
function Stage:take(answer, sweep)
  if answer.kind == "other" then return end
  answer.transport = sweep.transport
  if answer.kind == "icmp" or not self.config.naming then return self:give(result_of(answer)) end
  if sweep.tcp then answer.looked = looks(self.config) end
  if answer.looked and answer.data ~= "" then
    answer.settled = identify.settle(self:target_of(answer), self.settings.tcp)
    if answer.settled and not self.scripts then return self:give(answer.settled) end
  end
  local found, more = nil, true
  if not sweep.tcp then found, more = self:judge(answer) end
  if not more and not self.scripts then return self:give(result_of(answer, found)) end
  self.outputs.found(result_of(answer, found))
  self:ask_later(answer, found, not more)
end

local function late(result, seconds, what)
  result.evidence = result.evidence or {}
  result.evidence[#result.evidence + 1] = ("%s: this address was asked for %g s (--host-timeout)"):format(what, seconds)
  return result
end

-- The clock of an address is forgotten once none of its ports is asked on any more; but who used it up is asked nothing again.
-- nil: there is no limit.
function Stage:enter(ip)
  local limit = self.config.host_timeout
  if not limit then return nil end
  local clock = self.clocks[ip] or host_clock.new(limit)
  self.clocks[ip], clock.ports = clock, clock.ports + 1
  return clock
end

function Stage:leave(ip, clock)
  if not clock then return end
  clock.ports = clock.ports - 1
  if clock.ports == 0 and clock:left() > 0 then self.clocks[ip] = nil end
end

-- The checks' result; nil where the time of its address is over.
function Stage:within_time(t, target, clock)
  if not clock then return identify.port(t, target, self.settings[target.transport]) end
  local result
  if clock:left() > 0 then
    clock:start()
    t:race {
      function()
        result = identify.port(t, target, self.settings[target.transport])
        return true
      end,
      function()
        t:sleep(clock:left())
        return true
      end,
    }
    clock:stop()
  end
  if not result then clock:use_up() end
  return result
end

-- One target is asked on, until it is named. What stage 1 found stands where that brings nothing.
function Stage:name(t, item, clock)
  local answer = item.answer
  if answer.settled then return answer.settled end
  if item.is_certain then return result_of(answer, item.found) end
  local tcp = answer.transport == "tcp"
  local asked = self:within_time(t, self:target_of(answer), clock)
  if not asked then return late(result_of(answer, item.found), self.config.host_timeout, "given up") end
  if not tcp then return result_of(answer, (asked.service or asked.guess) and asked or item.found) end
  if asked.state == "open" then return asked end
  local result = result_of(answer) -- it was open when it was found
  result.evidence = { ("%s when it was asked what it is"):format(asked.reason or asked.state) }
  return result
end

-- Wait until scripts have said what they say of an open port.
function Stage:run_scripts(t, result, clock)
  local over = t.loop:lock()
  over:take()
  self.scripts:take(result, clock, function(is_late)
    if is_late then late(result, self.config.host_timeout, "scripts ended") end
    over:release()
  end)
  over:take() -- once it is released
end

function Stage:ask_on(t, item)
  local ip = item.answer.ip
  local clock = self:enter(ip)
  local result = self:name(t, item, clock)
  local function rest()
    if self.scripts and result.state == "open" then self:run_scripts(t, result, clock) end
    self:leave(ip, clock)
    self:give(result)
  end
  if not self.scripts or self.scripted >= SCRIPTED then return rest() end
  self.scripted = self.scripted + 1 -- by a task that is none of this one's: the next target is asked on meanwhile
  self.rests[#self.rests + 1] = rest
end

-- What scripts said of no port: of a host, or before or after the scan.
function Stage:say(word)
  if not word or not word.scripts then return end
  self.outputs.say(word)
  self.view.say(word)
end

-- All ports are done: the scripts of hosts run. @return function giving how many hosts are left
function Stage:finish_hosts()
  local limit, kept = self.config.host_timeout, {}
  for _, word in ipairs(self.config.resumed_words or {}) do kept[word.ip or word.kind] = true end
  return self.scripts:finish {
    is_done = function(ip) return kept[ip] end,
    clock_of = function(ip) return limit and (self.clocks[ip] or host_clock.new(limit)) end, -- kept: it is used up
    done = function(word, is_late)
      if is_late then late(word, limit, "scripts ended") end
      self:say(word)
    end,
  }
end

-- Scripts have a loop of their own, which is looked at now and then.
function Stage:drive_scripts(t)
  t.loop:spawn(function()
    local ok, problem = true, nil
    while ok and not self.is_over do
      local busy
      ok, busy = pcall(self.scripts.step, self.scripts)
      problem = not ok and busy or nil
      t:sleep(busy and SCRIPTS_LOOK or LOOK)
    end
    self.problem = self.problem or problem
  end)
end

function Stage:pending() return self.last - self.first + 1 end

-- A task; its failure is that of all.
function Stage:spawn(t, fn, on_end)
  t.loop:spawn(function()
    local ok, problem = pcall(fn)
    if not ok then self.problem = self.problem or problem end
    on_end()
  end)
end

-- As many at once as there may be.
function Stage:start(t)
  local function work()
    self.starting = self.starting - 1
    while self:pending() > 0 do
      local item = self.waiting[self.first]
      self.waiting[self.first] = nil
      self.first = self.first + 1
      self:ask_on(t, item)
    end
  end
  while self.working < self.workers and self.starting < self:pending() do
    self.working, self.starting = self.working + 1, self.starting + 1
    self:spawn(t, work, function() self.working = self.working - 1 end)
  end
  local rests = self.rests
  self.rests = {}
  for _, rest in ipairs(rests) do self:spawn(t, rest, function() self.scripted = self.scripted - 1 end) end
end

function Stage:drain(scan, sweep)
  if self.whole then -- nobody looks at a single answer
    self.view.drain(scan, alike(sweep))
    return self.view.flush()
  end
  local answer = self:pending() < WAITING and scan:next()
  while answer do
    self:take(answer, sweep)
    answer = self:pending() < WAITING and scan:next()
  end
  self.view.flush()
end

-- How far it is, beside the results until here. Where answers may be left in the queue, not all of what is settled is among them.
function Stage:keep(counts)
  local now = core.now()
  if self:pending() >= WAITING then return end
  if now < self.kept_at + KEEP and not counts.over then return end
  self.kept_at = now
  self.outputs.progress { sweep = self.sweep, settled = counts.settled, settled_pass = counts.settled_pass,
    asked = counts.asked, sent = counts.sent }
end

-- The counts of all sweeps together; where one is, is that of the one under way.
function Stage:counts()
  local sum, now = { elapsed = 0 }, nil
  for i = self.first_sweep, #self.config.sweeps do
    local c = self.ended[i] or self.scans[i]:counts()
    for name, value in pairs(c) do
      if name ~= "elapsed" and type(value) == "number" then sum[name] = (sum[name] or 0) + value end
    end
    if i <= self.sweep and (i == self.sweep or c.verified > 0) then sum.elapsed = self.begun[i] - self.began + c.elapsed end
    sum.error = sum.error or c.error
    if i == self.sweep then now = c end
  end
  sum.settled, sum.settled_pass, sum.pass, sum.over = now.settled, now.settled_pass, now.pass, now.over
  return sum
end

-- What finds is done: its connections are free for what scripts do.
function Stage:pass_on(counts)
  if self.has_passed_on or not self.scripts or not counts.over then return end
  self.has_passed_on = true
  self.scripts:allow(self.shares.scripts and self.shares.scripts + self.shares.sweep)
end

-- Fetch answers until there are no more to come. Sweeps follow each other; what they found is asked on meanwhile.
function Stage:feed(t)
  while true do
    local scan = self.scans[self.sweep]
    local counts = self:counts() -- before the look: what is settled then has come by its end
    local last = counts.error ~= nil or self.sweep == #self.config.sweeps
    self:drain(scan, self.config.sweeps[self.sweep])
    local over = counts.over and self:pending() < WAITING -- else answers are left
    self:keep(counts)
    self:start(t)
    if self.problem then error(self.problem, 0) end
    if last then self:pass_on(counts) end
    local left = self:pending() + self.working + self.scripted
    if self.scripts and over and last and left == 0 then
      self.hosts_left = self.hosts_left or self:finish_hosts()
      left = self.hosts_left()
    end
    self.is_over = over and last and left == 0
    self.progress(self:counts(), left)
    if self.is_over then return end
    if over and not last then self:next_sweep() else t:sleep(LOOK) end
  end
end

-- The one under way is over.
function Stage:next_sweep()
  local scan = self.scans[self.sweep]
  self.ended[self.sweep] = scan:counts()
  scan:close()
  self.sweep = self.sweep + 1
  self.begun[self.sweep] = core.now()
  self.scans[self.sweep]:start()
end

local function open_sweep(config, i)
  local sweep, at = config.sweeps[i], config.sweep or 1
  local name, rows, ask, ask_end, owners
  if sweep.questions then name, rows = sweep.questions:rows() end
  if sweep.tcp and looks(config) then
    ask, ask_end = http.around_host()
    owners = config.signatures:askers(http.GET_10)
  end
  local scan, message = core.scan {
    ask = ask, ask_end = ask_end, owners = owners,
    signatures = config.db, name = name, questions = rows, targets = sweep.set.whole, key = config.key or core.random(16),
    seed = config.seed or string.unpack("<I6", core.random(6)), shard = config.shard, shards = config.shards,
    rate = config.rate, attempts = config.attempts, timeout = config.timeout, raw = config.raw,
    limits = config.limits, connections = config.max_connections and config.max_connections // 2,
    interface = config.interface, source = config.source, source_port = config.source_port,
    tcp = sweep.tcp, public_ip = config.public_ip,
    quiet = config.quiet, begin = i == at and config.begin or nil, pass = i == at and config.pass or nil,
    held = config.resumed ~= nil or config.scripts ~= nil or i > at,
  }
  if not scan then fail.run("cannot scan: %s", message) end
  return scan
end

-- Frames may bear an address that is none of ours; whoever asks on needs one that is.
local function check_source(config)
  if not config.raw or not config.naming or not config.source then return end
  local engine, message = core.engine { interface = config.interface, source = config.source }
  if not engine then fail.run("cannot ask on from %s: %s; --verify-only does without", config.source, message) end
  engine:close()
end

-- All that are not over. But for the first they wait for their turn; that, too, where scripts come before it, or it goes on.
local function open(config)
  check_source(config)
  local scans = {}
  for i = config.sweep or 1, #config.sweeps do scans[i] = open_sweep(config, i) end
  if config.raw then core.drop_privileges() end
  return scans
end

-- Results of before: they are not asked again, but for those that wait to be asked on.
local function go_on(self, results)
  local of_transport = {}
  for i, scan in pairs(self.scans) do of_transport[self.config.sweeps[i].transport] = scan end
  for _, r in ipairs(results) do
    local scan = of_transport[r.transport]
    if scan then scan:skip(r.ip, r.port) end
    if r.pending == 1 then
      self:ask_later({ ip = r.ip, port = r.port, transport = r.transport, kind = "verified", state = "open", reason = r.reason,
        data = text.from_hex(r.reply_hex or ""), rtt_ms = r.rtt_ms, from_port = r.reply_port, timestamp = r.timestamp }, r)
    elseif self.scripts and r.state == "open" then
      self.scripts:know(r)
    end
  end
end

-- The scan, from the scripts before it to those after it. @raise what ends it before its time
local function run(self, engine)
  local scripts = self.scripts
  if scripts then self:say(scripts:phase "prerule") end
  if scripts or self.config.resumed then self.scans[self.sweep]:start() end
  session.run(engine, function(l)
    local t = transport.new { loop = l }
    return l:run(function()
      if scripts then self:drive_scripts(t) end
      self:feed(t)
    end)
  end)
  if scripts and not self:counts().error then self:say(scripts:phase "postrule") end
  self.is_done = true
  self.progress(self:counts(), 0)
end

-- Who may have how many connections: what finds one half, what names the other, of which scripts have theirs.
local function share_out(config, has_tcp)
  local most = config.max_connections
  local sweep = most and has_tcp and most // 2 or 0
  local rest = most and most - sweep or math.max(math.min(OPEN, core.descriptors() - SWEPT), WORKERS)
  local scripts = config.scripts and most and (has_tcp and math.max(1, rest // 2) or most) or nil
  return { sweep = sweep, naming = has_tcp and scripts and rest - scripts or rest, scripts = scripts }
end

local function with_timeout(settings, seconds) return setmetatable({ timeout = seconds }, { __index = settings }) end

--- Scan.
-- @param config table: `db`, `signatures` (its set), `probe` (the user named what is asked over UDP), `sweeps` (one after the
-- other, array of { transport, `tcp` true or `questions` of host.questions, `set` of host.ranges }), `patience` (TCP),
-- `rate` (0: as fast as both sides bear),
-- `attempts`, `timeout`, `raw`, `interface`, `source`, `source_port`, `public_ip`, `seed`, `shard` (from 0), `shards`,
-- `per_host_rate`, `bandwidth` in bits a second, `max_connections`, `host_timeout` in seconds, each nil for none,
-- `naming` false: only verify; `quiet`: errors are only counted; `scripts` of host.nse.behind, or nil; `sweep` (its number),
-- `begin`, `pass`, `key`, `resumed` (results) and `resumed_words` (of scripts, as store has them) to go on
-- @param view of host.report: add is called with each result as identify has them, flush soon after; or, where nobody else wants
-- a scan's answers that are only verified, drain; say is called with what scripts said of no port
-- @param files of host.outputs
-- @param on_progress function of a line of text, and counts
-- @return counts as mynah_core has them, `named`, and `seconds` in all; and what ended it before its time, or nil
-- @raise exit status 3 where it could not begin
function scanning.run(config, files, view, on_progress)
  if config.per_host_rate or config.bandwidth then
    config.limits = assert(core.limits { per_host = config.per_host_rate, bits = config.bandwidth })
  end
  local scans, began = open(config), core.now()
  local has_tcp = false
  for _, each in ipairs(config.sweeps) do has_tcp = has_tcp or each.tcp end
  -- Rows come and go by the thousand; who waits holds memory, and is not to wait beside as much that is garbage.
  collectgarbage("setpause", has_tcp and 110 or 400)
  collectgarbage("setstepmul", 400)
  host.step_back() -- sending and listening must not wait for what becomes of the answers
  local whole = config.rate > 0 and config.rate or nil
  if whole and config.scripts then whole = whole / 2 end -- the other half is theirs
  local rate = math.min(whole or FASTEST, FASTEST)
  local between = config.per_host_rate and 1 / config.per_host_rate or 0
  local shares = share_out(config, has_tcp)
  local rest = shares.naming
  if config.scripts then
    config.scripts:limit { limits = config.limits, rate = whole, connections = shares.scripts }
  end
  local settings = {
    signatures = config.signatures, max_probes = FURTHER, patience = config.patience, tls = host.tls,
    public_ip = config.public_ip,
    pace = pace.new { rate = rate, descriptors = core.descriptors(), gap = between, held = config.limits ~= nil },
  }
  local sweep = config.sweep or 1
  local self
  self = setmetatable({
    config = config, signatures = config.signatures, view = view, outputs = files, kept_at = 0,
    settings = { udp = with_timeout(settings, 1), tcp = with_timeout(settings, config.timeout) },
    scripts = config.scripts, whole = view.drain and not config.naming and files.is_empty,
    scans = scans, sweep = sweep, first_sweep = sweep, ended = {}, begun = { [sweep] = began }, began = began,
    waiting = {}, first = 1, last = 0, working = 0, starting = 0, rests = {}, scripted = 0, named = 0, shares = shares,
    is_done = false, clocks = {}, workers = (has_tcp or config.max_connections) and math.max(1, rest // EACH) or WORKERS,
    progress = function(c, pending)
      c.over = self.is_done
      on_progress(scan_text.progress(c, pending), c)
    end,
  }, Stage)
  for _, each in ipairs(config.sweeps) do self.questions = self.questions or each.questions end
  if config.resumed then go_on(self, config.resumed) end
  local ok, problem = pcall(run, self, { rate = rate, limits = config.limits, interface = config.interface,
    source = config.naming and config.source or nil, max_connections = rest, max_exchanges = rest + UDP_OPEN })
  local counts, scan = self:counts(), scans[self.sweep]
  if not ok then self:drain(scan, config.sweeps[self.sweep]) end
  self.kept_at = -KEEP
  self:keep(counts)
  counts.scripts = self.scripts and self.scripts.said or 0
  counts.named, counts.seconds = self.named, core.now() - began
  for i = self.sweep, #config.sweeps do scans[i]:close() end
  return counts, not ok and problem or nil
end

return scanning
