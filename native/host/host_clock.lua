--- How long an address was asked: the time in which any of its ports is asked, or any of its scripts runs, not that in which they
-- wait for their turn among others.
-- @module host.host_clock

local core = require "mynah_core"

local host_clock = {}

local Clock = {}
Clock.__index = Clock

--- @param limit seconds that there are
-- @return clock, which stands; `ports` is for who counts them
function host_clock.new(limit) return setmetatable({ rest = limit, running = 0, since = 0, ports = 0 }, Clock) end

--- Something is asked from now on; as often as this is called, stop ends it.
function Clock:start()
  if self.running == 0 then self.since = core.now() end
  self.running = self.running + 1
end

function Clock:stop()
  self.running = self.running - 1
  if self.running == 0 then self.rest = self.rest - (core.now() - self.since) end
end

--- Seconds that are left, while it runs.
function Clock:left()
  return self.running > 0 and self.rest - (core.now() - self.since) or self.rest
end

--- There is no time left, whatever a timer that was early may say.
function Clock:use_up() self.rest = -math.huge end

return host_clock
