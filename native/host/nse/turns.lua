--- When scripts may send what they send, where that is limited.
-- @module host.nse.turns

local core = require "mynah_core"

local turns = {}

--- Let new connections and datagrams wait for their turn, and what is said in a connection for the link.
-- @param scheduler of host.nse.threads
-- @param options table: `limits` of mynah_core, which others may keep as well; `rate`, so many a second; each may be nil
-- @return function (kind, address, bytes) as mynah_core's limits take them, called by a thread of a script; nil where nothing is
-- limited
function turns.new(scheduler, options)
  if not options.limits and not options.rate then return nil end
  local gap, free = options.rate and 1 / options.rate or 0, 0
  return function(kind, ip, len)
    local now = core.now()
    local at = options.limits and now + options.limits:turn(kind, ip, len) or now
    if kind ~= "stream" then
      free = math.max(free, now)
      at, free = math.max(at, free), free + gap
    end
    if at > now then scheduler:sleep(at - now) end
  end
end

return turns
