-- child.lua - a child process with its lines read and its end certain, for the tests that talk to servers.
-- Runs under lua5.1 to 5.4: what runs busted is not ours to choose.
local uv = require "luv"

local child = {}
local running = {}

local function drain(pipe, on_data)
  pipe:read_start(function(err, data)
    if err or not data then pipe:read_stop() return end
    on_data(data)
  end)
end

--- Starts `command` in its own process group.
-- @param command string: program
-- @param args array of strings
-- @param options { cwd=, env={ "A=b", … }|nil, stdin=bool }: stdin keeps a pipe open to it (closed by stop)
-- @return child with lines (what it printed), pid, exit (once ended); or nil, message
function child.spawn(command, args, options)
  options = options or {}
  local self = { lines = {}, errors = "", rest = "", output = {} }
  local stdin = options.stdin and uv.new_pipe(false) or nil
  local stdout, stderr = uv.new_pipe(false), uv.new_pipe(false)
  local handle, pid
  handle, pid = uv.spawn(command, { args = args, stdio = { stdin, stdout, stderr }, cwd = options.cwd,
    env = options.env, detached = true }, function(code, signal)
    self.exit, self.signal = code, signal
    running[self] = nil
    handle:close()
  end)
  if not handle then
    stdout:close() stderr:close()
    if stdin then stdin:close() end
    return nil, ("cannot run %s: %s"):format(command, tostring(pid))
  end
  self.handle, self.pid, self.stdin, self.stdout, self.stderr = handle, pid, stdin, stdout, stderr
  running[self] = true
  drain(stdout, function(data)
    self.rest = self.rest .. data
    if options.whole then return end
    for line in self.rest:gmatch("([^\n]*)\n") do self.lines[#self.lines + 1] = line end
    self.rest = self.rest:match("([^\n]*)$")
  end)
  drain(stderr, function(data)
    self.errors = (self.errors .. data):sub(-8192)
  end)
  return setmetatable(self, { __index = child })
end

--- Runs the loop till `done()` is true, or `seconds` have passed.
-- @return true, or nil when the time was up
function child.wait(done, seconds)
  local timer, late, ends = uv.new_timer(), false, uv.hrtime() + seconds * 1e9
  -- It beats: where a timer, this or another, is due before the loop begins to wait (after a slow step of ours), uv.run fires it
  -- first and then waits all the same, for the next one.
  timer:start(math.min(50, math.floor(seconds * 1000)), 10, function() late = uv.hrtime() >= ends end)
  while not late and not done() do uv.run("once") end
  timer:stop() timer:close()
  uv.run("nowait")
  return done() and true or nil
end

--- Sends a line to its stdin.
function child:say(line)
  self.stdin:write(line .. "\n")
end

--- Kills its whole process group, by the number it was started with, and does not wait.
function child:kill()
  -- Not reaped before we saw its exit, so the number cannot have passed to somebody else.
  if not self.exit then uv.kill(-self.pid, "sigkill") end
end

--- Ends it: its stdin is closed, which it may take as the wish to end; after `grace` seconds (default 0) it is killed.
-- Harmless when it ended before.
function child:stop(grace)
  if self.stopped then return end
  self.stopped = true
  if self.stdin then self.stdin:close() end
  if not self.exit and grace then child.wait(function() return self.exit end, grace) end
  if not self.exit then
    self:kill()
    child.wait(function() return self.exit end, 10)
  end
  for _, pipe in ipairs { self.stdout, self.stderr } do
    if not pipe:is_closing() then pipe:close() end
  end
  uv.run("nowait")
end

--- Ends every child still running; one with a stdin may take its end as the word to clean up.
function child.stop_all()
  local all = {}
  for one in pairs(running) do all[#all + 1] = one end
  for _, one in ipairs(all) do one:stop(one.stdin and 20) end
end

--- Runs a program to its end. @return { exit=, signal=, out=, err=, seconds= } or nil, message
function child.run(command, args, seconds, options)
  options = options or {}
  options.whole = true
  local started = uv.hrtime()
  local self, message = child.spawn(command, args, options)
  if not self then return nil, message end
  local open = 2
  -- Both ends of file and the exit: what it wrote last may come after its death is known.
  child.wait(function()
    open = (self.stdout:is_active() and 1 or 0) + (self.stderr:is_active() and 1 or 0)
    return self.exit and open == 0
  end, seconds)
  local late = not self.exit
  self:stop()
  return { exit = self.exit, signal = self.signal, out = self.rest, err = self.errors, late = late,
    seconds = (uv.hrtime() - started) / 1e9 }
end

return child
