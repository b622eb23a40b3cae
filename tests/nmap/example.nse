local mynah = require "mynah"

description = [[Asks a UDP port for our address as it sees it, as nodes of the old Skype tell it to whom they refuse.]]
author, license = "you", "BSD-2-Clause"
categories = { "discovery", "safe" }

portrule = function(_, port) return port.protocol == "udp" and port.state:find "open" end

-- The nonce of each attempt is its own, so a reply can only be to one of them.
local function probe() return mynah.random(2) .. mynah.hex "02a16665ea0d" .. mynah.random(14) end

local function is_answer(reply) return #reply.data == 11 and reply.data:sub(1, 2) == reply.request:sub(1, 2) end

action = function(host, port)
  local reply = mynah.exchange(host, port, { probe(), probe(), probe() }, { timeout = 2, accept = is_answer })
  if not reply then return nil end
  local best = mynah.match(reply.request, reply.data, reply)[1]
  return ("%s sees us at %d.%d.%d.%d; attempt %d, %.3f ms"):format(best and best.service or "something",
    reply.data:byte(4), reply.data:byte(5), reply.data:byte(6), reply.data:byte(7), reply.attempt, reply.rtt * 1000)
end
