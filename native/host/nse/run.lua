--- A run: which scripts, on what, in what order, within what limits.
-- Phases as in Nmap: prerule, then for each group of hosts hostrule and portrule, level by level, then postrule.
-- @module host.nse.run

local api = require "host.nse.api"
local core = require "mynah_core"
local fail = require "host.fail"
local files = require "host.nse.files"
local out = require "host.out"
local script = require "host.nse.script"
local selection = require "host.nse.selection"
local sockets = require "host.nse.socket"
local structured = require "host.nse.structured"
local targets = require "host.nse.targets"
local text = require "mynah.text"
local threads = require "host.nse.threads"

local run = {}

local FAILED = "ERROR: Script execution failed (use -d to debug)"
local HOSTS, PORTS = 1024, 16384 -- hosts whose scripts run at the same time, and their ports, at the most
local STEP = 16                  -- scripts that are started at a time

local Run = {}
Run.__index = Run

-- Messages ----------------------------------------------------------------------------------------------

local function place_of(thread)
  local base = thread.base
  if not base.host then return base.script.id end
  local ip = base.host.ip
  local port = base.port and (ip:find ":" and "[%s]:%d" or "%s:%d"):format(ip, base.port.number) or ip
  return ("%s at %s"):format(base.script.id, port)
end

local function message_of(problem)
  if type(problem) == "string" then return problem end
  return ("an error that is a %s: %s"):format(type(problem), tostring(problem))
end

-- A script that fails alike on many targets is reported once.
function Run:report(thread, problem)
  local s, message = thread.base.script, text.shown(message_of(problem), 500)
  if self.options.debugging > 0 then
    out.note(("%s: %s\n%s"):format(place_of(thread), message, thread.trace or ""))
  elseif not (self.reported[s] and self.reported[s][message]) then
    out.note(("%s: %s"):format(place_of(thread), message))
  end
  self.reported[s] = self.reported[s] or {}
  self.reported[s][message] = true
end

function Run:debug(message)
  if self.options.debugging > 0 then out.note(message) end
end

-- The world of the scripts ------------------------------------------------------------------------------

local function new_lookup(scheduler)
  return function(name, family)
    if core.family(name) then return { name } end
    local _, lines = scheduler:wait(function(token) scheduler.events:resolve(name, family, token) end)
    local list = {}
    for ip in (lines or ""):gmatch "[^\n]+" do list[#list + 1] = ip end
    if #list == 0 then return nil, "Name or service not known" end
    return list
  end
end

-- Whether the function that reads or writes a global is of C: these may do as they like, as ipairs does.
local function by_c()
  local info = debug.getinfo(3, "S")
  return not info or info.what == "C"
end

local function strict()
  setmetatable(_G, {
    __index = function(_, name)
      if not by_c() then error(("variable '%s' is not declared"):format(tostring(name)), 2) end
    end,
    __newindex = function(t, name, value)
      local info = debug.getinfo(2, "S")
      if info and info.what ~= "main" and not by_c() then
        error(("assign to undeclared variable '%s'"):format(tostring(name)), 2)
      end
      rawset(t, name, value)
    end,
  })
end

local function provide(name, module)
  package.loaded[name] = module
  rawset(_G, name, module)
end

-- LuaFileSystem, with the one word that Nmap's adds.
local function file_system()
  local ok, lfs = pcall(require, "lfs")
  if not ok then return nil end
  local copy = {}
  for key, value in pairs(lfs) do copy[key] = value end
  function copy.get_path_separator() return "/" end
  return copy
end

-- Modules that scripts ask for; libraries of the user's Nmap, or ours; then no more globals.
local function furnish(world)
  files.set_path(world.folders)
  provide("nmap", api.nmap(world))
  package.loaded["nmap.socket"] = package.loaded.nmap.socket
  provide("openssl", require "mynah_openssl")
  provide("zlib", require "mynah_zlib")
  provide("lpeg", require "lpeg")
  provide("lfs", file_system())
  local ok, stdnse = pcall(require, "stdnse")
  if not ok then return nil, "nselib: " .. tostring(stdnse) end
  api.extend(stdnse, world)
  strict()
  return true
end

-- Threads of scripts ---------------------------------------------------------------------------------------

-- What a script thread does: the script anew, its rule, its action.
local function instance(self, s, kind, host, port)
  local env = s:open(kind)
  local rule = rawget(env, kind)
  local host_table = host and targets.copy_host(host)
  local port_table = port and targets.copy_port(port)
  local forced = s.forced and (kind == "portrule" or kind == "hostrule")
  if not rule or not (forced or rule(host_table, port_table)) then return false end
  if self.options.debugging > 0 then
    out.note(("%s starts%s"):format(s.id, host and " at " .. host.ip .. (port and ":" .. port.number or "") or ""))
  end
  return true, rawget(env, "action")(host_table, port_table)
end

function Run:take(thread, ok, ran, value, words)
  if ok and not ran then return end
  local result
  if ok then
    result = structured.result(value, words)
  else
    local problem = ran
    local why = api.is_silent(problem)
    if why then return self:debug(("%s ends: %s"):format(place_of(thread), why)) end
    self:report(thread, problem)
    if thread.timed_out then return end
    result = { text = FAILED }
  end
  if not result then return end
  result.id = thread.script.id
  self.on_result(thread, result)
end

--- Start a thread of a script.
-- @param on_end function (thread)
-- @param left nil, or { seconds, why }: when it ends at the latest, and what it is told
function Run:spawn(s, kind, host, port, on_end, left)
  local thread = self.world.scheduler:spawn(instance, {
    on_end = function(thread, ...)
      self:take(thread, ...)
      on_end(thread)
    end,
  }, self, s, kind, host, port)
  thread.script, thread.kind, thread.host, thread.port = s, kind, host, port
  local seconds = self.options.script_timeout
  local why = seconds and ("not done after %g seconds (--script-timeout)"):format(seconds)
  if left and left[1] < (seconds or math.huge) then seconds, why = table.unpack(left) end
  if seconds then self.world.scheduler:limit(thread, seconds, why) end
end

-- Run what `next_job` gives, so many at once, until there is none left.
-- @param on_host function or nil: called with each host whose jobs are all done
function Run:run_jobs(next_job, on_host)
  local active, most = 0, self.options.at_once
  local running, current = {}, nil -- how many of a host run; the host whose jobs are given now
  local function look_at(host)
    if host and on_host and host ~= current and running[host] == 0 then on_host(host) end
  end
  local function start(s, kind, host, port)
    if host ~= current then
      local before = current
      current = host
      look_at(before)
    end
    active = active + 1
    if host then running[host] = (running[host] or 0) + 1 end
    self:spawn(s, kind, host, port, function()
      active = active - 1
      if host then running[host] = running[host] - 1 end
      look_at(host)
    end)
  end
  self.world.scheduler:run(function()
    local before = active
    while active < most and active < before + STEP do
      local s, kind, host, port = next_job()
      if not s then break end
      start(s, kind, host, port)
    end
    return active > before
  end)
end

local OFFERED = { open = true, ["open|filtered"] = true, unfiltered = true }

-- All threads of a level, one after the other: an iterator.
local function jobs_of(level, hosts)
  return coroutine.wrap(function()
    for _, host in ipairs(hosts) do
      for _, s in ipairs(host.asked and level or {}) do
        if s.rules.hostrule then coroutine.yield(s, "hostrule", host) end
      end
      for _, port in ipairs(targets.sorted_ports(host)) do
        for _, s in ipairs(OFFERED[port.state] and level or {}) do
          if s.rules.portrule then coroutine.yield(s, "portrule", host, port) end
        end
      end
    end
    while true do coroutine.yield(nil) end
  end)
end

local function jobs_of_phase(level, kind)
  return coroutine.wrap(function()
    for _, s in ipairs(level) do
      if s.rules[kind] then coroutine.yield(s, kind) end
    end
    while true do coroutine.yield(nil) end
  end)
end

--- Run the scripts of a phase, "prerule" or "postrule".
-- @param results array or nil: what they say is put there as it comes
-- @return array of what they said
function Run:phase(kind, results)
  results = results or {}
  local before = self.on_result
  self.on_result = function(_, result) results[#results + 1] = result end
  for _, level in ipairs(self.levels) do self:run_jobs(jobs_of_phase(level, kind)) end
  self.on_result = before
  return results
end

-- Hosts are written as soon as their scripts are done. Of many, those that say nothing are only counted.
function Run:run_group(hosts)
  local results, written = {}, {}
  for _, host in ipairs(hosts) do results[host] = {} end
  self.on_result = function(thread, result)
    local of_host = results[thread.host]
    local place = thread.port or thread.host
    of_host[place] = of_host[place] or {}
    table.insert(of_host[place], result)
    if self.writer.result then self.writer:result(thread.host, thread.port, result) end
  end
  local ok, message = targets.scan(self.world, hosts, self.options.given)
  if not ok then fail.run("cannot look for open ports: %s", message) end
  for _, host in ipairs(hosts) do
    host.asked = not self.many or targets.answered(host)
  end
  local function write(host)
    if written[host] then return end
    written[host] = true
    self.done = self.done + 1
    local shown = not self.many or next(results[host]) ~= nil or targets.answered(host)
    self.up = self.up + (shown and 1 or 0)
    if shown or self.options.verbosity > 0 then self.writer:host(host, results[host]) end
    results[host] = nil
    self.world.targets:drop(host)
  end
  self.rest = function()
    for _, host in ipairs(hosts) do
      if results[host] and next(results[host]) then write(host) end
    end
  end
  for i, level in ipairs(self.levels) do self:run_jobs(jobs_of(level, hosts), i == #self.levels and write or nil) end
  for _, host in ipairs(hosts) do write(host) end
  self.rest = nil
end

-- Loading --------------------------------------------------------------------------------------------------

function Run:load_all(chosen)
  local good = {}
  for _, entry in ipairs(chosen) do
    local s, message = script.load(entry)
    if s then
      local thread = self.world.scheduler:spawn(function() s:read_fields() end, {
        on_end = function(thread, ok, problem)
          local why = not ok and api.is_silent(problem)
          if ok then
            good[#good + 1] = s
          elseif why then
            out.note(("%s does not run: %s"):format(s.id, why))
          else
            self:report(thread, problem)
            self.broken = self.broken + 1
          end
        end,
      })
      thread.script = s
    else
      out.note(("%s: %s"):format(entry.name, message))
      self.broken = self.broken + 1
    end
  end
  self.world.scheduler:run()
  table.sort(good, function(a, b) return a.id < b.id end)
  return good
end

--- Prepare a run.
-- @param options table: `scripts` (array of texts as --script takes them), `datadir`, `alone`, `arguments`, `verbosity`,
-- `debugging`, `timing`, `version_intensity`, `family`, `given` (ports are taken to be open), `at_once` scripts, `memory` bytes a
-- script, `busy` seconds, `script_timeout` seconds or nil, `sockets`, `sockets_per_script`, `threads_per_port`,
-- `trace`, `on_interrupt`
-- @return run, or nil and a message
function run.new(options)
  local self = setmetatable({ options = options, reported = {}, broken = 0 }, Run)
  local folders = files.folders(options)
  local scheduler = threads.new {
    memory = options.memory, busy = options.busy, on_interrupt = function(number) self:interrupt(number) end,
  }
  local lookup = new_lookup(scheduler)
  local family = options.family == "inet6" and 6 or 4
  local world = {
    scheduler = scheduler, folders = folders, options = options, lookup = lookup, family = options.family or "inet",
    targets = targets.new(folders),
    log = function(file, message)
      if file == "stderr" or options.verbosity > 0 or options.debugging > 0 then out.note(message) end
    end,
    debug = function(message) self:debug(message) end,
    on_worker_error = function(thread, problem)
      if not api.is_silent(problem) then self:report(thread, problem) end
    end,
  }
  world.new_socket, world.shared = sockets.factory {
    scheduler = scheduler, sockets = options.sockets, sockets_per_script = options.sockets_per_script, trace = options.trace,
    threads_per_port = options.threads_per_port, any = family == 6 and "::" or "0.0.0.0",
    resolve = function(name)
      local list, message = lookup(name, family)
      return list and list[1], message
    end,
  }
  self.world = world
  local ok, message = furnish(world)
  if not ok then return nil, message end
  local chosen, why = selection.choose(options.scripts, folders)
  if not chosen then return nil, why end
  self.scripts = self:load_all(chosen)
  self.levels, why = script.levels(self.scripts)
  if not self.levels then return nil, why end
  return self
end

-- What scripts that are done have said of what is under way is written, and the end.
function Run:interrupt(number)
  if self.rest then self.rest() end
  if self.writer then
    self.writer:finish { hosts = self.done, up = self.up, broken = self.broken, problem = "interrupted" }
  end
  self.options.on_interrupt(number)
end

--- Run the scripts.
-- @param list of host.nse.list
-- @param writer as host.nse.text makes one
-- @return number of scripts that could not be loaded
function Run:go(list, writer)
  self.writer, self.done, self.up, self.many = writer, 0, 0, list.hosts > 1
  local known = self.world.targets
  local function phase(kind)
    local results = {}
    self.rest = function() writer:phase(kind, results) end
    self:phase(kind, results)
    self.rest()
    self.rest = nil
  end
  phase "prerule"
  local function add(asked)
    local host = known:add(asked.ip, asked.name)
    known:learn_services(asked.ports)
    for _, p in ipairs(asked.ports) do known:add_port(host, p.port, p.transport) end
    return host
  end
  repeat
    local group = list:next(HOSTS, PORTS)
    for i, asked in ipairs(group) do group[i] = add(asked) end
    if #group > 0 then self:run_group(group) end
  until #group == 0
  phase "postrule"
  writer:finish { hosts = self.done, up = self.up, broken = self.broken }
  return self.broken
end

return run
