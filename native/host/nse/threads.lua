--- Script threads: coroutines over one event loop, thousands at once, each with its own limits.
-- A thread waits by `wait`, in whatever coroutine of its own it happens to be: the functions of `coroutine` hand the wait on to
-- the loop. It goes on as soon as its event is there. A thread that fails, uses more than it may or yields what is none of
-- our waits ends alone.
-- @module host.nse.threads

local host = require "mynah_host"

local threads = {}

-- What a waiting thread yields. Nobody else has it, so no other yield is taken for a wait.
local WAIT = {}

-- Scripts leave garbage as fast as they end: at its usual speed the collector would be done when memory is several times that in
-- use.
local COLLECTOR_SPEED = 1000

-- Coroutines within a thread -----------------------------------------------------------------------------

local raw = {}
for name, fn in pairs(coroutine) do raw[name] = fn end

local function after_step(resumer, ...)
  host.limits.run(resumer)
  return ...
end

-- Resume, and say which coroutine runs meanwhile.
local function step(co, ...)
  local resumer = raw.running()
  host.limits.run(co)
  return after_step(resumer, raw.resume(co, ...))
end

local function hand_on(co, ok, first, ...)
  if ok and rawequal(first, WAIT) then return hand_on(co, step(co, raw.yield(WAIT))) end
  return ok, first, ...
end

local function resume(co, ...) return hand_on(co, step(co, ...)) end

local function result_of(ok, first, ...)
  if ok then return first, ... end
  error(first, 0)
end

local function wrap(fn)
  local co = raw.create(fn)
  return function(...) return result_of(resume(co, ...)) end
end

--- Let waits pass through every coroutine that scripts make, for the rest of this program's life.
local function replace_coroutines()
  coroutine.resume, coroutine.wrap = resume, wrap -- luacheck: ignore 122
end

-- The scheduler --------------------------------------------------------------------------------------------

local Scheduler = {}
Scheduler.__index = Scheduler

--- Make a scheduler. One a program.
-- @param options table: `memory`, bytes that one script may have (0: no limit); `busy`, seconds that it may compute without
-- waiting (0: no limit); `on_interrupt`, a function (signal number)
-- @return scheduler
function threads.new(options)
  replace_coroutines()
  host.limits.watch()
  rawset(debug, "sethook", nil) -- it would take the watch away
  collectgarbage("setstepmul", COLLECTOR_SPEED)
  return setmetatable({
    events = assert(host.events()), options = options,
    ready = {}, first = 1, last = 0,
    waits = {}, limits = {}, token = 0, -- token -> thread that waits; that ends then
    by_coroutine = setmetatable({}, { __mode = "k" }),
    living = {}, alive = 0, -- the threads, who may be held by nothing but what they wait for; how many
  }, Scheduler)
end

local function enqueue(self, thread, ...)
  self.last = self.last + 1
  self.ready[self.last] = thread
  thread.values = select("#", ...) > 0 and table.pack(...) or nil
end

--- Start a function as a thread. It runs once the caller waits or ends.
-- @param fn function
-- @param options table: `base`, the thread whose worker it is (nil: a script of its own); `on_end`, a function (thread, ok, …):
-- what it returned, or its error
-- @param ... arguments of fn
-- @return thread, a table with `co`
function Scheduler:spawn(fn, options, ...)
  local base = options.base
  local thread = { co = raw.create(fn), base = base, on_end = options.on_end, args = table.pack(...), held = {} }
  if base then
    thread.owner = base.owner
    base.workers[thread] = true
  else
    thread.owner, thread.base = host.limits.owner(self.options.memory or 0), thread
    thread.workers, thread.sockets, thread.socket_count = {}, setmetatable({}, { __mode = "k" }), 0
  end
  self.by_coroutine[thread.co] = thread
  self.living[thread], self.alive = true, self.alive + 1
  enqueue(self, thread)
  return thread
end

-- Where a failed thread was, for messages: an error of memory has no position of its own.
local function where(thread, problem)
  if type(problem) ~= "string" or problem:find ":%d+: " then return problem end
  for level = 0, 20 do
    local info = debug.getinfo(thread.co, level, "Sl")
    if not info then break end
    if info.currentline > 0 and not info.source:find "host/nse/" then
      return ("%s:%d: %s"):format(info.short_src, info.currentline, problem)
    end
  end
  return problem
end

local function close_all(base)
  for _, socket in pairs(base.sockets) do socket:close() end
end

-- The thread is over. With a script its workers end, and its sockets are closed.
local function finish(self, thread, ok, ...)
  if thread.over then return end
  thread.over = true
  self.living[thread], self.alive = nil, self.alive - 1
  if thread.token then self.waits[thread.token] = nil end
  if thread.timer then thread.timer:close() end
  if thread.limit then
    thread.limit:close()
    self.limits[thread.limit_token] = nil
  end
  for held in pairs(thread.held) do held.hand_over() end
  if thread.base == thread then
    for worker in pairs(thread.workers) do finish(self, worker, false, "its script ended") end
    close_all(thread)
    host.limits.release(thread.owner)
  else
    thread.base.workers[thread] = nil
  end
  if thread.on_end then thread.on_end(thread, ok, ...) end
end

--- End a thread from without; its on_end is told why.
function Scheduler:kill(thread, why) finish(self, thread, false, why) end

local function after_resume(self, thread, ok, first, ...)
  host.limits.enter(0)
  self.current = nil
  if thread.over then return end
  if not ok then
    thread.trace = debug.traceback(thread.co)
    finish(self, thread, false, where(thread, first), ...)
  elseif raw.status(thread.co) == "dead" then
    finish(self, thread, true, first, ...)
  elseif not rawequal(first, WAIT) then
    finish(self, thread, false, "yielded unexpectedly: a coroutine may only yield to who resumed it")
  end
end

local function run(self, thread)
  local values = thread.args or thread.values
  thread.args, thread.values = nil, nil
  self.current = thread
  host.limits.enter(thread.owner, self.options.busy or 0, thread.co)
  if values then
    after_resume(self, thread, raw.resume(thread.co, table.unpack(values, 1, values.n)))
  else
    after_resume(self, thread, raw.resume(thread.co))
  end
end

local function run_ready(self)
  while self.first <= self.last do
    local thread = self.ready[self.first]
    self.ready[self.first] = nil
    self.first = self.first + 1
    if not thread.over then run(self, thread) end
  end
  self.first, self.last = 1, 0
end

local function take_events(self)
  local token, outcome, text = self.events:next()
  while token do
    local thread, late = self.waits[token], self.limits[token]
    if late then
      late.timed_out = true
      finish(self, late, false, late.limit_message)
    elseif thread then
      self.waits[token], thread.token = nil, nil
      enqueue(self, thread, outcome, text)
    end
    token, outcome, text = self.events:next()
  end
end

-- Take what came. @param look true: without waiting for it
local function listen(self, look)
  local signal = self.events:wait(look)
  take_events(self)
  if signal and self.options.on_interrupt then self.options.on_interrupt(signal) end
end

--- Run until no thread is left. Where all that are left wait for one another, some are ended.
-- @param refill function or nil: starts some threads more and returns true, or false where there are none to start now. It is
-- asked only while no thread can go on, so that no more run at once than there is waiting to fill: what they hold stays small.
-- @raise what on_interrupt raises
function Scheduler:run(refill)
  while true do
    run_ready(self)
    if refill and next(self.waits) ~= nil then listen(self, true) end
    if self.first > self.last and not (refill and refill()) then
      if self.alive == 0 then return end
      if next(self.waits) ~= nil then listen(self) else self:end_deadlock() end
    end
  end
end

--- Let those run that can, and wait for nothing: for who has a loop of his own.
-- @return true while threads are left
function Scheduler:step()
  repeat
    run_ready(self)
    if next(self.waits) ~= nil then listen(self, true) end
  until self.first > self.last
  if self.alive > 0 and next(self.waits) == nil then self:end_deadlock() end
  return self.alive > 0
end

local FOR_EVER = "waits for ever: its mutex or condition variable has nobody left who could wake it"

-- What one of a script's threads waits for that others could give it; nil: there is no such thing.
local function wanted_by(base)
  local wants = base.wants
  for worker in pairs(base.workers) do wants = wants or worker.wants end
  return wants
end

-- Nothing can wake these any more, but sockets that nobody holds any longer and that nobody closed. Where one waits for what
-- another has, its end may be enough for the rest; else all end.
function Scheduler:end_deadlock()
  collectgarbage()
  if self.first <= self.last then return end
  local stuck = {}
  for thread in pairs(self.living) do
    if thread.base == thread then
      local wants = wanted_by(thread)
      if wants then return finish(self, thread, false, wants) end
      stuck[#stuck + 1] = thread
    end
  end
  for _, thread in ipairs(stuck) do finish(self, thread, false, FOR_EVER) end
end

-- Waiting ---------------------------------------------------------------------------------------------------

--- Let the running thread wait until an event or another thread wakes it.
-- @param start function (token): has the event come with this token; nil: another thread calls wake
-- @return what the event brings: "ready" or "timeout" and, of a lookup, the text; "cancelled"; or what wake gave
function Scheduler:wait(start)
  local thread = self.current
  if not thread then error("this waits, so it can only be called by a running script", 0) end
  if start then
    self.token = self.token + 1
    thread.token = self.token
    self.waits[self.token] = thread
    start(self.token)
  end
  return raw.yield(WAIT)
end

--- Wait without an event for what others have.
-- @param wants why the thread ends where none of them can give it back
function Scheduler:want(wants)
  local thread = self.current
  thread.wants = wants
  local value = self:wait()
  thread.wants = nil
  return value
end

--- Wake a thread that waits without an event.
function Scheduler:wake(thread, ...)
  if not thread.over then enqueue(self, thread, ...) end
end

--- End a thread's wait for an event, which brings "cancelled" then. One whose event has come already is left alone.
function Scheduler:cancel(thread)
  if thread.over or not thread.token then return end
  self.waits[thread.token], thread.token = nil, nil
  enqueue(self, thread, "cancelled")
end

--- Let time pass for the running thread.
function Scheduler:sleep(seconds)
  local thread = self.current
  if thread and not thread.timer then thread.timer = self.events:timer() end
  self:wait(function(token) thread.timer:start(seconds, token) end)
end

--- End a thread once so many seconds are over, with a message.
function Scheduler:limit(thread, seconds, message)
  self.token = self.token + 1
  thread.limit, thread.limit_token, thread.limit_message = self.events:timer(), self.token, message
  self.limits[self.token] = thread
  thread.limit:start(seconds, self.token)
end

--- The thread that a coroutine is the base of; nil where it is none.
function Scheduler:of(co) return self.by_coroutine[co] end

return threads
