-- loader.lua SCRIPT IP PORT tcp|udp - runs one of our scripts as a newer Nmap's engine would, where no such Nmap is at hand:
-- strict globals, nselib before any C module, libraries shared by scripts, one private value that may be yielded, and as
-- much of the modules nmap and stdnse as the scripts use, on luv. Prints the script's output and the version that it set, as
-- JSON. MYNAH_NSELIB names the folder of libraries; the C module is found by LUA_CPATH.
local uv = require "luv"
local json = require "cjson"

local path, ip, number, protocol = ...
number = math.tointeger(tonumber(number))
local nselib = os.getenv "MYNAH_NSELIB"
local YIELD = {} -- what a script may yield, and nothing else

-- NSE looks for nselib/NAME.lua before anything else.
table.insert(package.searchers, 2, function(name)
  local file = nselib .. "/" .. name:gsub("%.", "/") .. ".lua"
  local handle = io.open(file)
  if not handle then return "\n\tno nselib file " .. file end
  handle:close()
  return assert(loadfile(file)), file
end)

-- Coroutines inside a script pass that value on to the engine, and what comes back to where it was yielded.
local raw_resume = coroutine.resume

function coroutine.resume(co, ...) -- luacheck: ignore
  local results = table.pack(raw_resume(co, ...))
  while results[1] and results[2] == YIELD and coroutine.status(co) == "suspended" do
    results = table.pack(raw_resume(co, coroutine.yield(YIELD)))
  end
  return table.unpack(results, 1, results.n)
end

-- Threads: each waits for an event; the loop goes on until the script and its workers are done.
local threads, failed, base = 0, nil, nil

local function resume(co, ...)
  base = co
  local ok, what = raw_resume(co, ...)
  base = nil
  if coroutine.status(co) == "dead" then
    threads = threads - 1
    if not ok then failed = failed or debug.traceback(co, tostring(what)) end
  elseif what ~= YIELD then
    failed = failed or "a script yielded something of its own: " .. tostring(what)
  end
end

local function start(fn, ...)
  threads = threads + 1
  local co = coroutine.create(fn)
  local args = table.pack(...)
  local timer = uv.new_timer()
  timer:start(0, 0, function()
    timer:close()
    resume(co, table.unpack(args, 1, args.n))
  end)
  return co
end

-- Wait for `begin(done)` to call done(…), at most `ms`.
local function wait(ms, begin)
  local co, over, timer = base, false, nil
  local function done(...)
    if over then return end
    over = true
    if timer then timer:close() end
    resume(co, ...)
  end
  if ms then
    timer = uv.new_timer()
    timer:start(ms, 0, function() done(nil, "TIMEOUT") end)
  end
  begin(done)
  return coroutine.yield(YIELD)
end

local Socket = {}
Socket.__index = Socket

function Socket:set_timeout(ms) self.timeout = ms end

local function feed(self, item)
  self.queue[#self.queue + 1] = item
  if self.waiter then
    local waiter = self.waiter
    self.waiter = nil
    waiter()
  end
end

function Socket:connect(host, port)
  if self.kind == "udp" then return true end
  self.handle = uv.new_tcp()
  local ok, why = wait(self.timeout, function(done)
    self.handle:connect(host, port, function(err) done(not err or nil, err and "ERROR") end)
  end)
  if not ok then return nil, why end
  self.handle:read_start(function(err, data) feed(self, data or (err and { "ERROR" } or { "EOF" })) end)
  return true
end

function Socket:sendto(host, port, data)
  if not self.handle then
    self.handle = uv.new_udp()
    self.handle:bind(host:find(":", 1, true) and "::1" or "127.0.0.1", 0)
    self.handle:recv_start(function(_, bytes) if bytes then feed(self, bytes) end end)
  end
  return self.handle:send(data, host, port) and true
end

function Socket:send(data) return self.handle:write(data) and true end

function Socket:receive()
  if not self.queue[1] then
    wait(self.timeout, function(done) self.waiter = function() done(true) end end)
    self.waiter = nil
  end
  local item = table.remove(self.queue, 1)
  if type(item) == "string" then return true, item end
  return nil, item and item[1] or "TIMEOUT"
end

function Socket:get_info()
  local name = self.handle:getsockname()
  return true, name.ip, name.port, ip, number
end

function Socket:close()
  if self.handle and not self.handle:is_closing() then self.handle:close() end
  feed(self, { "CANCELLED" })
end

local function condvar()
  local waiting = {}
  return function(what)
    if what == "wait" then
      wait(nil, function(done) waiting[#waiting + 1] = done end)
    else
      local list = waiting
      waiting = {}
      for _, done in ipairs(list) do uv.new_timer():start(0, 0, function() done(true) end) end
    end
  end
end

local condvars, locked, version = {}, {}, nil

package.loaded.nmap = {
  registry = { args = {} },
  new_socket = function(kind) return setmetatable({ kind = kind, timeout = 30000, queue = {} }, Socket) end,
  address_family = function() return ip:find(":", 1, true) and "inet6" or "inet" end,
  mutex = function(key)
    return function(what)
      while what == "lock" and locked[key] do wait(1, function() end) end
      locked[key] = what == "lock" or nil
    end
  end,
  condvar = function(key)
    condvars[key] = condvars[key] or condvar()
    return condvars[key]
  end,
  set_port_state = function(_, port, state) port.state = state end,
  set_port_version = function(_, port) version = port.version end,
}

local stdnse = {
  new_thread = start,
  sleep = function(seconds) wait(math.max(1, math.floor(seconds * 1000)), function() end) end,
  get_script_args = function() return nil end,
  parse_timespec = function(text) return tonumber((text:gsub("s$", ""))) end,
  output_table = function() return {} end,
}
package.loaded.stdnse = stdnse

-- Strict: an undeclared global throws, read or written.
setmetatable(_G, {
  __index = function(_, name) error("variable '" .. tostring(name) .. "' is not declared", 2) end,
  __newindex = function(_, name) error("assign to undeclared variable '" .. tostring(name) .. "'", 2) end,
})

local env = { SCRIPT_PATH = path, SCRIPT_NAME = path:match "([^/]+)%.nse$", SCRIPT_TYPE = "portrule" }
setmetatable(env, { __index = _G })
local chunk = assert(loadfile(path, "t", env))
local host = { ip = ip, name = "", targetname = nil }
local port = { number = number, protocol = protocol, state = protocol == "tcp" and "open" or "open|filtered" }
local output

start(function()
  chunk()
  assert(type(env.categories) == "table" and #env.categories > 0, "no categories")
  assert(env.portrule(host, port), "the rule does not hold")
  output = env.action(host, port)
end)
while threads > 0 and not failed and uv.run "once" do end -- luacheck: ignore
if failed then
  io.stderr:write(failed, "\n")
  os.exit(1)
end
print(json.encode { output = output or json.null, version = version or json.null, state = port.state, lua = _VERSION })
os.exit(0, true)
