-- learn_client.lua TOP SERVICE HOST PORT [ADDRESS] - the client of tests/bench/learn: sends the probes of the shipped signatures
-- of a service, each several times with other nonces and from other ports (of ADDRESS). Prints how many.
local top, service, host, port = arg[1], arg[2], arg[3], math.tointeger(tonumber(arg[4]))
package.path = top .. "nse/nselib/?.lua;" .. package.path
package.cpath = (os.getenv("MYNAH_BUILD") or top .. "build") .. "/lua/5.3/?.so;" .. package.cpath
local mynah = require "mynah"

local address = arg[5] ~= "" and arg[5] or nil

local TIMES = 12 -- of each
local GAP = 0.05 -- seconds: some servers answer one client no faster
local db = assert(mynah.load_signatures(top .. "signatures"))
local payloads = {}
for _, name in ipairs(db:names()) do
  local info = db:info(name)
  if info.service == service and info.transport == "udp" then
    for _ = 1, TIMES do
      payloads[#payloads + 1] = assert(db:compose(name, { my = address or host, peer = host, peer_port = port }))
    end
  end
end
assert(#payloads > 0, "no probe of " .. service)
assert(mynah.run(function(t)
  for _, payload in ipairs(payloads) do
    t:udp(host, port, { payload }, { timeout = 1, local_host = address })
    t:sleep(GAP)
  end
  t:sleep(1)
  return true
end))
print(#payloads)
