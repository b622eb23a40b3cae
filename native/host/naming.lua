--- Name the pairs of requests and replies in a capture.
-- @module host.naming

local naming = {}

-- Within one client: short keys, since Lua 5.3 leaves out every other character of longer ones when it hashes them.
local function flow_key(port, peer, peer_port) return port .. " " .. peer .. " " .. peer_port end

-- Some servers answer from another port: then who asked that host last.
local function host_key(port, peer) return port .. " " .. peer end

local Naming = {}
Naming.__index = Naming

function Naming:note(p, bound, doubtful)
  local mine = self.asked[p.from] or {}
  self.asked[p.from] = mine
  local key = flow_key(p.from_port, p.to, p.to_port)
  local before = mine[key]
  if before and before.bound and not bound then -- the latest that a signature could have sent counts
    before.next = p
    return
  end
  mine[key] = { payload = p, bound = bound, doubtful = doubtful }
  mine[host_key(p.from_port, p.to)] = mine[key]
end

local function pair_of(q, p, step)
  return {
    request = q.data, reply = p.data, my = q.from, my_port = q.from_port, peer = q.to, peer_port = q.to_port,
    from = p.from, from_port = p.from_port, time = math.max(0, p.time), rtt = math.max(0, p.time - q.time), step = step,
  }
end

-- What a named server was asked next may be a step of the same signature: its service and bits.
function Naming:name_step(asked, p)
  local step = 1
  while self.steps[asked.name] >= step do
    local pair = pair_of(asked.next, p, step)
    if self.db:fits(asked.name, asked.next.data, step) and self.db:holds(asked.name, pair) then
      local shown = self.db:match(asked.name, pair)
      return asked.service, shown.fresh_bits + shown.identity_bits
    end
    step = step + 1
  end
end

function Naming:name(asked, p)
  if asked.next and asked.name then
    local service, bits = self:name_step(asked, p)
    if service then return asked.next, service, bits end
  end
  local name, service, bits = self.db:name(pair_of(asked.payload, p))
  if name then asked.name, asked.service = name, service end
  return asked.payload, service, bits
end

-- Tell of a pair. A request answers nobody's: it is one unless it holds as a reply, or nothing was answered yet.
function Naming:take(p)
  local theirs = self.asked[p.to]
  local asked = theirs and (theirs[flow_key(p.to_port, p.from, p.from_port)] or theirs[host_key(p.to_port, p.from)])
  if asked then
    local request, service, bits = self:name(asked, p)
    if service then
      asked.answered = true
      return self.on_pair(request, service, bits)
    end
  end
  local bound = #self.db:bind(p.data) > 0
  local reply = asked and not asked.doubtful and not (bound and asked.answered)
  if bound or not reply then self:note(p, bound, reply) end
  if reply then
    asked.answered = true
    self.on_pair(asked.payload)
  end
end

--- Go through a capture.
-- @param db signatures
-- @param capture as core.capture gives it
-- @param on_pair function called with each pair in turn: the request's payload, and where it has a name its service and bits
-- @return count of TCP payloads left out; a message where the capture is damaged
function naming.run(db, capture, on_pair)
  local self = setmetatable({ db = db, asked = {}, steps = {}, on_pair = on_pair }, Naming)
  for _, name in ipairs(db:names()) do self.steps[name] = #db:info(name).steps end
  local tcp, p, message = 0, capture:next()
  while p do
    if p.transport == "udp" then self:take(p) elseif #p.data > 0 then tcp = tcp + 1 end
    p, message = capture:next()
  end
  return tcp, message
end

return naming
