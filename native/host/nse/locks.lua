--- Mutexes and condition variables of NSE scripts, one for each object that scripts name.
-- @module host.nse.locks

local locks = {}

local function key_of(object, name)
  local kind = type(object)
  if kind == "nil" or kind == "number" or kind == "boolean" then
    error(("bad argument #1 to 'nmap.%s' (object expected)"):format(name), 0)
  end
  return object
end

local function invalid(word) error(("bad argument #1 to '?' (invalid option '%s')"):format(tostring(word)), 0) end

-- The first that still lives.
local function next_of(queue)
  repeat
    local thread = table.remove(queue, 1)
    if not thread or not thread.over then return thread end
  until false
end

local function new_mutex(scheduler)
  local owner, queue = nil, {}
  local mutex = {}
  -- To the next who waits. A thread that ends without giving the mutex back gives it back by this, too.
  function mutex.hand_over()
    if owner then owner.held[mutex] = nil end
    owner = next_of(queue)
    if not owner then return end
    owner.held[mutex] = true
    scheduler:wake(owner)
  end
  local function take(thread)
    owner = thread
    owner.held[mutex] = true
  end
  return function(what)
    local thread = scheduler.current
    if what == "lock" then
      if not owner then
        take(thread)
      elseif owner ~= thread then
        table.insert(queue, thread)
        scheduler:wait()
      end
    elseif what == "trylock" then
      if owner then return false end
      take(thread)
      return true
    elseif what == "done" then
      if owner ~= thread then error("do not have a lock on this mutex", 0) end
      mutex.hand_over()
    elseif what == "running" then
      return owner and owner.co
    else
      invalid(what)
    end
  end
end

local function new_condvar(scheduler)
  local queue = {}
  return function(what)
    if what == "wait" then
      table.insert(queue, scheduler.current)
      scheduler:wait()
    elseif what == "signal" then
      local thread = next_of(queue)
      if thread then scheduler:wake(thread) end
    elseif what == "broadcast" then
      local all = queue
      queue = {}
      for _, thread in ipairs(all) do scheduler:wake(thread) end
    else
      invalid(what)
    end
  end
end

--- The functions nmap.mutex and nmap.condvar over a scheduler of host.nse.threads.
function locks.new(scheduler)
  local function maker(name, new)
    local known = setmetatable({}, { __mode = "kv" })
    return function(object)
      key_of(object, name)
      known[object] = known[object] or new(scheduler)
      return known[object]
    end
  end
  return maker("mutex", new_mutex), maker("condvar", new_condvar)
end

return locks
