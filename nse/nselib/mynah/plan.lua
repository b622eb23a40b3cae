--- Which probe goes to a UDP port next: each once, likeliest first; then those that stayed silent again, as long as the budget
-- lasts. Replies change the order. No I/O.
-- @module mynah.plan

local plan = {}

local Plan = {}
Plan.__index = Plan

--- Datagrams to one port at the most, of every kind together.
plan.MOST = 200

local RESERVE = 24 -- datagrams kept for conversations
local ROUND = 0.8  -- seconds from one round to the next, at least
local HINT_GAP = 0.3 -- the same for what a reply pointed at
local HINT_MORE = 4  -- datagrams for that beyond what others get

--- Make a plan.
-- @param groups of mynah.signatures, in their order
-- @param config table: `most` datagrams (200), `attempts` at each probe (3), `timeout` seconds for silence
-- @return the plan
function plan.new(groups, config)
  local most = config.most or plan.MOST
  local self = setmetatable({
    steps = {}, front = {}, favoured = {}, cursor = 1, round = 1, left = most, most = most, attempts = config.attempts,
    reserve = math.min(RESERVE, most // 3), gap = math.min(ROUND, config.timeout * 0.9 / config.attempts),
  }, Plan)
  for i, group in ipairs(groups) do self.steps[i] = { group = group, tries = 0 } end
  return self
end

--- Take one datagram from the budget. false where nothing is left.
function Plan:spend()
  if self.left <= 0 then return false end
  self.left = self.left - 1
  return true
end

-- Of several rounds, what is still to be asked in this one.
local function is_open(self, step)
  return not step.answered and not step.finished and step.tries < self.round
end

-- After the first round those that are likelier than all others are asked as often as anything is, before the budget ends.
-- Returns the one that may leave first, and when.
local function next_favoured(self, scarce)
  local found, when
  local more = self.attempts > 1 and HINT_MORE or 0
  for _, step in ipairs(self.round > 1 and self.favoured or {}) do
    local time = (step.last or 0) + (step.hinted and math.min(HINT_GAP, self.gap) or self.gap)
    local most = self.attempts + (step.hinted and more or 0)
    if (step.hinted or not scarce) and step.tries < most and not step.answered and not step.finished
      and (not when or time < when) then
      found, when = step, time
    end
  end
  return found, when
end

local function next_of_round(self)
  while self.front[1] do
    if is_open(self, self.front[1]) then return self.front[1] end
    table.remove(self.front, 1)
  end
  while self.cursor <= #self.steps do
    if is_open(self, self.steps[self.cursor]) then return self.steps[self.cursor] end
    self.cursor = self.cursor + 1
  end
end

-- Those that a reply pointed at, or the port, are favoured.
local function begin_round(self)
  self.round, self.cursor = self.round + 1, 1
  if self.round ~= 2 then return end
  for _, step in ipairs(self.steps) do
    if not step.hinted and step.group.rank == 2 then self.favoured[#self.favoured + 1] = step end
  end
end

--- The next probe.
-- @param now
-- @return step { group, tries } and the time before which it should not leave (0: at once); nil when there is none
function Plan:next(now)
  local scarce = self.left <= self.reserve
  if scarce and self.round == 1 then return nil end
  local favoured, when = next_favoured(self, scarce)
  if scarce and self.left <= self.reserve // 2 then return nil end
  if scarce then return favoured, when end
  if favoured and when <= now then return favoured, when end
  while true do
    local step = next_of_round(self)
    if step then return step, step.last and step.last + self.gap or 0 end
    if self.round >= self.attempts then return favoured, when end
    begin_round(self)
  end
end

--- Note that a probe leaves.
-- @param step of next
-- @param time when
function Plan:sent(step, time)
  self.left = self.left - 1
  step.tries = step.tries + 1
  step.before, step.last = step.last, time
end

--- A probe that was to leave and did not.
function Plan:unsent(step)
  self.left = self.left + 1
  step.tries = step.tries - 1
  step.last = step.before
  table.insert(self.front, 1, step)
end

--- Ask what `wanted` accepts first.
-- @param wanted function (group)
-- @return how many probes that moved
function Plan:promote(wanted)
  local moved = 0
  for _, step in ipairs(self.steps) do
    if not step.hinted and not step.finished and wanted(step.group) then
      step.hinted = true
      self.favoured[#self.favoured + 1] = step
      if is_open(self, step) then
        moved = moved + 1
        table.insert(self.front, moved, step)
      end
    end
  end
  return moved
end

--- How many probes were never sent.
function Plan:untried()
  local count = 0
  for _, step in ipairs(self.steps) do
    if step.tries == 0 then count = count + 1 end
  end
  return count
end

--- Has every probe been answered, so that nothing is waited for?
function Plan:is_answered()
  for _, step in ipairs(self.steps) do
    if not step.answered then return false end
  end
  return true
end

return plan
