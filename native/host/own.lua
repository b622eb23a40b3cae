--- Networks of one's own: whoever names addresses in one of them means them, and nobody else's are harmed.
-- Private use (RFC 1918, RFC 4193), loopback (RFC 1122, RFC 4291) and link-local (RFC 3927, RFC 4291).
-- @module host.own

local core = require "mynah_core"

local own = {}

local NETWORKS = {
  { "10.0.0.0", 8 }, { "127.0.0.0", 8 }, { "169.254.0.0", 16 }, { "172.16.0.0", 12 }, { "192.168.0.0", 16 }, { "::1", 128 },
  { "fc00::", 7 }, { "fe80::", 10 },
}

-- A range as a set that tells its bounds and what lies in it; nil where it is larger than any scan.
local function set_of(r)
  local set = assert(core.ranges())
  set:add(r[1], r[2], assert(set:ports { 1 }))
  return set:seal() and set or nil
end

--- Does all of a range lie in another one?
-- @param r, range arrays of an address and the last one, or the length of the prefix, or nothing
function own.within(r, range)
  local last, bits = r[2] or r[1], range[2]
  if math.type(bits) then
    if math.type(last) then return last >= bits and core.in_prefix(r[1], range[1], bits) end
    return core.in_prefix(r[1], range[1], bits) and core.in_prefix(last, range[1], bits)
  end
  local inner, outer = set_of(r), set_of(range)
  if not inner or not outer then return false end
  local bounds = inner:pieces()[1]
  return outer:find(bounds.first, 1) ~= nil and outer:find(bounds.last, 1) ~= nil
end

--- Does all of a range lie in one network of one's own?
function own.has(r)
  for _, network in ipairs(NETWORKS) do
    if own.within(r, network) then return true end
  end
  return false
end

return own
