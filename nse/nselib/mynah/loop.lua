--- A scheduler of coroutine tasks over one engine.
-- A task waits for an exchange of the engine, for a time, or for another task; meanwhile the others go on.
-- How the process itself waits is injected, so that the same code runs under libuv and in plain Lua.
-- Times are seconds, monotonic.
-- @module mynah.loop

local loop = {}

local Loop = {}
Loop.__index = Loop
local Task = {}
Task.__index = Task
local Channel = {}
Channel.__index = Channel
local Lock = {}
Lock.__index = Lock

-- Timers: a binary heap by time. Entries of waits that ended early stay until they come to the top, or are most of it.
local function heap_push(heap, entry)
  local i = #heap + 1
  while i > 1 do
    local up = i // 2
    if heap[up].at <= entry.at then break end
    heap[i] = heap[up]
    i = up
  end
  heap[i] = entry
end

local function heap_pop(heap)
  local n = #heap
  local last = heap[n]
  heap[n] = nil
  n = n - 1
  if n == 0 then return end
  local i = 1
  while true do
    local k = 2 * i
    if k > n then break end
    if k < n and heap[k + 1].at < heap[k].at then k = k + 1 end
    if last.at <= heap[k].at then break end
    heap[i] = heap[k]
    i = k
  end
  heap[i] = last
end

local MOSTLY = 4 -- times as many entries as tasks that wait for a time, and
local FEW = 256  -- so many more

local function is_live(entry) return not entry.task.done and entry.token == entry.task.token end

-- Throw out what nobody waits for any more.
local function sweep(self)
  local old = self.timers
  self.timers = {}
  for _, entry in ipairs(old) do
    if is_live(entry) then heap_push(self.timers, entry) end
  end
end

local function disarm(self, task)
  if task.armed then self.armed = self.armed - 1 end
  task.armed = false
end

--- Make a scheduler.
-- @param config table: `engine` (of mynah_core.engine); `wait`, a function (engine, seconds or nil) that returns when
-- the engine has work or the time is up, and "interrupt" where the user asked to stop (default: engine:wait);
-- `now`, a function giving monotonic seconds (default: mynah_core.now)
-- @return the loop
function loop.new(config)
  local engine = assert(config.engine, "loop.new wants an engine")
  return setmetatable({
    engine = engine,
    wait = config.wait or function(e, seconds) return e:wait(seconds) end,
    clock = config.now or require "mynah_core".now,
    ready = {}, ready_first = 1,
    timers = {}, armed = 0, -- tasks that wait for a time
    channels = {}, -- exchange id -> channel
    tasks = 0,
  }, Loop)
end

--- Now, in monotonic seconds.
function Loop:now()
  return self.clock()
end

local function enqueue(self, task, token, value)
  self.ready[#self.ready + 1] = { task = task, token = token, value = value }
end

-- Suspend the running task until wake or the deadline; returns what wake gave, nil at the deadline.
function Loop:pause(deadline)
  local task = assert(self.current, "this waits, so it must run inside loop:run")
  task.token = task.token + 1
  if not deadline then return coroutine.yield() end
  heap_push(self.timers, { at = deadline, task = task, token = task.token })
  self.armed, task.armed = self.armed + 1, true
  if #self.timers > MOSTLY * self.armed + FEW then sweep(self) end
  local value = coroutine.yield()
  disarm(self, task)
  return value
end

-- Wake a paused task once; a second wake of the same pause does nothing.
function Loop:wake(task, value)
  enqueue(self, task, task.token, value)
end

--- Let time pass for this task.
-- @param seconds zero or less: only let the others run
function Loop:sleep(seconds)
  self:pause(self:now() + math.max(0, seconds))
end

local function finish(self, task, ok, results)
  task.done, task.ok, task.results = true, ok, results
  self.tasks = self.tasks - 1
  disarm(self, task)
  local parent = task.parent
  if parent then parent.children[task] = nil end
  for thing in pairs(task.owned) do
    if ok and parent and not parent.done then
      parent.owned[thing] = true -- what a task leaves open belongs to whoever started it
      thing.owner = parent
    else
      thing:close()
    end
  end
  for child in pairs(task.children) do child:cancel() end
  for _, waiter in ipairs(task.waiters) do self:wake(waiter, true) end
  -- What it kept on its stack is not kept by whoever still knows it: timers of waits that ended early do, for long.
  task.co = nil
end

local function resume(self, task, value)
  local before, co = self.current, task.co
  self.current = task
  local results
  if task.args then
    local args = task.args
    task.args = nil
    results = table.pack(coroutine.resume(co, table.unpack(args, 1, args.n)))
  else
    results = table.pack(coroutine.resume(co, value))
  end
  self.current = before
  if task.done then return end -- it cancelled itself
  if not results[1] then
    task.trace = debug.traceback(co)
    finish(self, task, false, results)
  elseif coroutine.status(co) == "dead" then
    finish(self, task, true, results)
  end
end

--- Start a function as a task of its own. It runs when the caller next waits.
-- What it opens is closed when it is cancelled or fails; when it returns, that passes to the task that started it.
-- @param fn function
-- @param ... its arguments
-- @return the task
function Loop:spawn(fn, ...)
  local task = setmetatable({
    loop = self, co = coroutine.create(fn), args = table.pack(...), token = 0,
    owned = {}, children = {}, waiters = {}, parent = self.current,
  }, Task)
  if task.parent then task.parent.children[task] = true end
  self.tasks = self.tasks + 1
  enqueue(self, task, 0)
  return task
end

--- Wait until the task is over.
-- @return true and its results; or false and its error, "cancelled" where it was cancelled
function Task:wait()
  while not self.done do
    self.waiters[#self.waiters + 1] = self.loop.current
    self.loop:pause()
  end
  if self.ok then return true, table.unpack(self.results, 2, self.results.n) end
  return false, self.results[2]
end

--- Stop the task: it never runs again, what it and the tasks it started have open is closed.
function Task:cancel()
  if self.done then return end
  finish(self.loop, self, false, { false, "cancelled", n = 2 })
end

--- Note that `thing` (with a close method) is to be closed if the running task is cancelled or fails.
function Loop:own(thing)
  local task = self.current
  if task then
    task.owned[thing] = true
    thing.owner = task
  end
end

--- Take back what own noted.
function Loop:disown(thing) -- luacheck: ignore self
  if thing.owner then
    thing.owner.owned[thing] = nil
    thing.owner = nil
  end
end

--- The events of one exchange, as a queue that one task at a time waits on.
-- @param id of the exchange
-- @return the channel: channel:next(deadline or nil) gives an event, or nil at the deadline or once it is closed;
-- channel:close() forgets it and wakes who waits
function Loop:channel(id)
  local ch = setmetatable({ loop = self, id = id, first = 1, last = 0 }, Channel)
  self.channels[id] = ch
  return ch
end

function Channel:push(event)
  self.last = self.last + 1
  self[self.last] = event
  if self.waiter then
    local waiter = self.waiter
    self.waiter = nil
    self.loop:wake(waiter, true)
  end
end

function Channel:next(deadline)
  while self.first > self.last do
    if self.closed or (deadline and deadline <= self.loop:now()) then return nil end
    self.waiter = self.loop.current
    self.loop:pause(deadline)
    self.waiter = nil
  end
  local event = self[self.first]
  self[self.first] = nil
  self.first = self.first + 1
  return event
end

function Channel:close()
  self.closed = true
  if self.id then self.loop.channels[self.id] = nil end
  if self.waiter then
    self.loop:wake(self.waiter)
    self.waiter = nil
  end
end

--- One queue for the events of many exchanges.
-- @return a channel as Loop:channel gives it, of no exchange yet; join(id) and leave(id) say whose events it gets
function Loop:inbox()
  return setmetatable({ loop = self, first = 1, last = 0 }, Channel)
end

function Channel:join(id) self.loop.channels[id] = self end

function Channel:leave(id) self.loop.channels[id] = nil end

--- A lock for tasks, who get it in the order in which they asked.
-- @return the lock: lock:take() waits, lock:release() passes it on
function Loop:lock()
  return setmetatable({ loop = self, line = {} }, Lock)
end

function Lock:take()
  local me = self.loop.current
  if self.holder and not self.holder.done then
    table.insert(self.line, me)
    repeat self.loop:pause() until self.holder == me
  end
  self.holder = me
end

function Lock:release()
  repeat self.holder = table.remove(self.line, 1) until not (self.holder and self.holder.done)
  if self.holder then self.loop:wake(self.holder) end
end

local function run_ready(self)
  while self.ready_first <= #self.ready do
    local batch = self.ready
    self.ready = {}
    for _, entry in ipairs(batch) do
      local task = entry.task
      if not task.done and task.token == entry.token then
        task.token = task.token + 1
        resume(self, task, entry.value)
      end
    end
  end
end

local function fire_timers(self)
  local now, heap = self:now(), self.timers
  while heap[1] do
    local top = heap[1]
    local live = is_live(top)
    if live and top.at > now then return top.at - now end
    heap_pop(heap)
    if live then enqueue(self, top.task, top.token) end
  end
end

local function dispatch(self)
  local _, message = self.engine:step()
  if message then error("engine: " .. tostring(message), 0) end
  local event = self.engine:next()
  while event do
    local ch = self.channels[event.id]
    if ch then
      if event.kind == "end" then self.channels[event.id] = nil end
      ch:push(event)
    end
    event = self.engine:next()
  end
end

--- Run a function as a task until it returns; other tasks go on meanwhile. Inside a task: a plain call.
-- @param fn function
-- @param ... its arguments
-- @return what fn returned; or nil and "interrupt" where the wait was interrupted (then every task is cancelled)
-- @raise what fn raised
function Loop:run(fn, ...)
  if self.current then return fn(...) end
  local main = self:spawn(fn, ...)
  while not main.done do
    run_ready(self)
    if main.done then break end
    dispatch(self)
    local pause = fire_timers(self)
    if #self.ready == 0 then
      if not pause and not next(self.channels) then
        main:cancel()
        error("loop: every task waits for something that cannot happen", 0)
      end
      if self.wait(self.engine, pause) == "interrupt" then
        main:cancel()
        return nil, "interrupt"
      end
    end
  end
  if not main.ok then error(main.results[2], 0) end
  return table.unpack(main.results, 2, main.results.n)
end

return loop
