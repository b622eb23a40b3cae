--- One engine and one loop for a command, driven by libuv; an interrupt ends the command.
-- @module host.session

local core = require "mynah_core"
local fail = require "host.fail"
local host = require "mynah_host"
local loop = require "mynah.loop"

local session = {}

--- Open an engine.
-- @param config as mynah_core.engine takes it
-- @return engine; wait, a function (engine, seconds or nil) -> "ready", "timeout" or "interrupt"; interrupted, a function
-- giving the signal's number or nil
-- @raise exit status 3
function session.engine(config)
  local engine, message = core.engine(config or {})
  if not engine and config and (config.source or config.interface) then
    local asked = {}
    if config.source then asked[1] = "-S " .. config.source end
    if config.interface then asked[#asked + 1] = "-e " .. config.interface end
    fail.run("%s: cannot ask from there: %s (`ip address` lists this machine's links and addresses)",
      table.concat(asked, " "), message)
  end
  if not engine then fail.run("cannot start: %s", message) end
  local number
  local function wait(e, seconds)
    local what, detail = host.wait(e:fd(), seconds)
    if not what then fail.run("cannot wait: %s", detail) end
    if what == "interrupt" then number = detail end
    return what
  end
  return engine, wait, function() return number end
end

--- Run a function as a task of a loop over an engine of its own, which is closed afterwards.
-- @param config as mynah_core.engine takes it
-- @param fn function (loop)
-- @return what fn returns
-- @raise what fn raises; exit status 130 or 143 where a signal came
function session.run(config, fn)
  local engine, wait, interrupted = session.engine(config)
  local l = loop.new { engine = engine, wait = wait }
  local results = table.pack(pcall(l.run, l, fn, l))
  engine:close()
  if interrupted() then fail.interrupted(interrupted()) end
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

return session
