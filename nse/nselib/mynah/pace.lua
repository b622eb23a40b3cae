--- How fast probes leave and how many are listened for, over all ports of a run together. In Nmap every script shares one.
-- Times are seconds on the clock of the transport.
-- @module mynah.pace

local pace = {}

local Pace = {}
Pace.__index = Pace

--- Seconds between two probes at one port: servers drop bursts.
pace.GAP = 0.008

local RATE = 1000       -- datagrams a second, as the engine has it
local SHARE = 0.9       -- of the rate that first questions may take; the rest is for asking again
local SPACING = 0.001   -- seconds: time is given away in pieces of no less
local SENDER_LIFE = 0.5 -- seconds for which somebody who said that he sends is counted without saying so again
local LIFE = 0.5        -- seconds that a probe is listened for at the least, however many others want its socket
local MOST_OPEN = 3072  -- of the about 28,000 ports that a system has for this
local LEAST_OPEN = 64
local OTHERS = 128      -- descriptors left to the rest of the process

-- Of the descriptors that this process may have, three quarters at most.
local function most_open(descriptors)
  if not descriptors then return 512 end
  return math.max(LEAST_OPEN, math.min(MOST_OPEN, (descriptors - OTHERS) * 3 // 4))
end

--- Share out a rate.
-- @param config table: `rate` datagrams a second (1000), `descriptors` that the process may have open, as mynah_core says it,
-- `gap` seconds between two datagrams to a port at the least, `held` true where the engine has limits of its own
-- @return the pace
function pace.new(config)
  local rate = (config.rate or RATE) * SHARE
  local spacing = math.max(SPACING, 1 / rate)
  return setmetatable({
    gap = config.gap or 0, held = config.held,
    spacing = spacing, each = math.max(1, math.floor(rate * spacing + 1e-6)), taken = {}, low = 0,
    lanes = math.max(1, math.floor(rate * pace.GAP)), senders = setmetatable({}, { __mode = "k" }),
    most = most_open(config.descriptors), open = 0, line = {}, first = 1, last = 0,
  }, Pace)
end

-- Time ---------------------------------------------------------------------------------------------------

-- What is past is forgotten.
local function forget(self, now)
  local here = math.floor(now / self.spacing)
  if not next(self.taken) then
    self.low = here
    return
  end
  for i = self.low, here - 1 do self.taken[i] = nil end
  self.low = math.max(self.low, here)
end

--- When a datagram may leave.
-- @param now
-- @param want not before this
-- @return the time, which nobody else gets
function Pace:slot(now, want)
  forget(self, now)
  want = math.max(now, want)
  -- A slow pace is kept to the beat, a fast one on the average.
  local i = want / self.spacing
  i = self.spacing > pace.GAP and math.ceil(i - 1e-6) or math.floor(i)
  while (self.taken[i] or 0) >= self.each do i = i + 1 end
  self.taken[i] = (self.taken[i] or 0) + 1
  return math.max(want, i * self.spacing)
end

--- A slot that is not used after all.
function Pace:give_back(time)
  local i = math.floor(time / self.spacing + 1e-6)
  local count = self.taken[i]
  if count then self.taken[i] = count > 1 and count - 1 or nil end
end

--- The weight of a port that has got one probe at most: it may be closed, and is done with at once then.
pace.BEGINS = 0.25

--- Say that a port is being asked its first questions now, or (till nil) that this is over.
-- @param who anything that stands for it, a table
-- @param till when it sends next
-- @param weight 1, or BEGINS
function Pace:sends(who, till, weight)
  self.senders[who] = till
  who.weight = weight or 1
end

--- Do as many ports send as the rate bears? Then another had better begin later: a few that are asked quickly are done sooner
-- than many that are asked slowly.
function Pace:is_busy(now)
  local count = 0
  for who, till in pairs(self.senders) do
    if till + SENDER_LIFE < now then
      self.senders[who] = nil -- its script was killed
    else
      count = count + who.weight
    end
  end
  return count >= self.lanes
end

-- Sockets ------------------------------------------------------------------------------------------------

local function shift(self)
  local x = self.line[self.first]
  self.line[self.first] = nil
  self.first = self.first + 1
  return x
end

--- Is there room to listen for one more? Where there is none, the oldest that has been listened for long enough is given up.
-- @param now
-- @return nil where there is room, else how many seconds it takes until there may be
function Pace:wait_for_room(now)
  while self.open >= self.most and self.first <= self.last do
    local x = self.line[self.first]
    if not x.closed then
      local left = x.at + LIFE - now
      if left > 0 then return left end
      x:close()
      if not x.closed then self:closed(x) end
    end
    if self.line[self.first] == x then shift(self) end
  end
end

--- Count an exchange.
-- @param x with `at` (when it began), `closed` (boolean) and close(), which calls closed(x)
function Pace:opened(x)
  self.open = self.open + 1
  self.last = self.last + 1
  self.line[self.last] = x
end

--- The exchange is over.
function Pace:closed(x)
  if x.uncounted then return end
  x.uncounted = true
  self.open = self.open - 1
  while self.first <= self.last and self.line[self.first].uncounted do shift(self) end
end

return pace
