--- Name the pairs of requests and replies in a capture.
-- @module host.naming

local naming = {}

local function flow_key(from, from_port, to, to_port) return ("%s %d %s %d"):format(from, from_port, to, to_port) end

-- Some servers answer from another port: then who asked that host last.
local function host_key(client, client_port, server) return ("%s %d %s"):format(client, client_port, server) end

local Naming = {}
Naming.__index = Naming

function Naming:note(p, bound, doubtful)
  local key = flow_key(p.from, p.from_port, p.to, p.to_port)
  local before = self.asked[key]
  if before and before.bound and not bound then return end -- the latest request that a signature could have sent
  local asked = { payload = p, bound = bound, doubtful = doubtful }
  self.asked[key] = asked
  self.asked[host_key(p.from, p.from_port, p.to)] = asked
end

local function pair_of(asked, p)
  local q = asked.payload
  return {
    request = q.data, reply = p.data, my = q.from, my_port = q.from_port, peer = q.to, peer_port = q.to_port,
    from = p.from, from_port = p.from_port, time = math.max(0, p.time), rtt = math.max(0, p.time - q.time),
  }
end

-- Tell of a pair. A request answers nobody's: it is one unless it holds as a reply, or nothing was answered yet.
function Naming:take(p)
  local asked = self.asked[flow_key(p.to, p.to_port, p.from, p.from_port)]
    or self.asked[host_key(p.to, p.to_port, p.from)]
  local pair = asked and pair_of(asked, p)
  local name = pair and self.db:name(pair)
  if name then
    asked.answered = true
    return self.on_pair(asked.payload, p, name, self.db:match(name, pair))
  end
  local bound = #self.db:bind(p.data) > 0
  local reply = asked and not asked.doubtful and not (bound and asked.answered)
  if bound or not reply then self:note(p, bound, reply) end
  if reply then
    asked.answered = true
    self.on_pair(asked.payload, p)
  end
end

--- Go through a capture.
-- @param db signatures
-- @param capture as core.capture gives it
-- @param on_pair function called with each pair in turn: the request's payload, the reply's, and where it has one its
-- signature's name and what db:match says of it
-- @return count of TCP payloads left out; a message where the capture is damaged
function naming.run(db, capture, on_pair)
  local self = setmetatable({ db = db, asked = {}, on_pair = on_pair }, Naming)
  local tcp, p, message = 0, capture:next()
  while p do
    if p.transport == "udp" then self:take(p) elseif #p.data > 0 then tcp = tcp + 1 end
    p, message = capture:next()
  end
  return tcp, message
end

return naming
