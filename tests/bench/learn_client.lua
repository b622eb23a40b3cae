-- learn_client.lua TOP SERVICE HOST PORT [ADDRESS] - the client of tests/bench/learn: sends the probes of the shipped signatures
-- of a service, each several times with other nonces and from other ports (of ADDRESS); where programs that people use vary
-- more than our probes do, what those send. Prints how many.
local top, service, host, port = arg[1], arg[2], arg[3], math.tointeger(tonumber(arg[4]))
package.path = top .. "nse/nselib/?.lua;" .. package.path
package.cpath = (os.getenv("MYNAH_BUILD") or top .. "build") .. "/lua/5.3/?.so;" .. package.cpath
local mynah = require "mynah"

local address = arg[5] ~= "" and arg[5] or nil

local TIMES = 12 -- of each
local GAP = 0.05 -- seconds: some servers answer one client no faster
local REST = 1.1 -- seconds, where no answer came: some count them
local SILENT = 3 -- such rests for each kind of request

-- What clients ask for that our probes do not: by service, a function that makes the n-th request of one.
local CLIENTS = {
  -- A boot ROM, the block size that suits its network.
  tftp = function()
    return ("\0\1pxelinux.0\0octet\0blksize\0%d\0"):format(math.random(1000, 1468))
  end,
}

local function makers()
  if CLIENTS[service] then return { CLIENTS[service] } end
  local db = assert(mynah.load_signatures(top .. "signatures"))
  local list = {}
  for _, name in ipairs(db:names()) do
    local info = db:info(name)
    if info.service == service and info.transport == "udp" then
      list[#list + 1] = function(_, my_port)
        return assert(db:compose(name, { my = address or host, my_port = my_port, peer = host, peer_port = port }))
      end
    end
  end
  return list
end

local list, count = makers(), 0
if #list == 0 then
  io.stderr:write("no probe of ", service, "\n")
  os.exit(1)
end

-- One request; true if it was answered.
local function ask(t, make, n)
  local my_port = math.random(33000, 60000)
  local x = assert(t:udp(host, port, { make(n, my_port) }, { timeout = REST, local_host = address, local_port = my_port }))
  count = count + 1
  local answered = x:reply(t:now() + GAP) ~= nil
  if answered then t:sleep(GAP) end
  return x, answered
end

math.randomseed(os.time())
assert(mynah.run(function(t)
  for _, make in ipairs(list) do
    local silent = 0
    for n = 1, TIMES do
      local x, answered = ask(t, make, n)
      if not answered and silent < SILENT then
        answered = x:reply(t:now() + REST) ~= nil
        if answered then silent = 0 else silent = silent + 1 end
      end
    end
  end
  t:sleep(1)
  return true
end))
print(count)
