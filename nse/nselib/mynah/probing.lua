--- Learning from a live UDP server: a request of which it is known that it is answered is changed, byte by byte, and the
-- replies say which bytes matter. What they mean is decided in mynah.mutation; here is what is sent, and when.
-- Every datagram leaves from a source port of its own, since some servers answer their first contact otherwise; at a
-- stated rate, and never more of them than the budget allows.
-- @module mynah.probing

local mutation = require "mynah.mutation"
local replay = require "mynah.replay"

local probing = {}

local Prober = {}
Prober.__index = Prober

--- Datagrams in all, and a second, where nothing else is said.
probing.BUDGET, probing.RATE = 300, 20

local TIMEOUT, LEAST_TIMEOUT, MOST_TIMEOUT = 1, 0.5, 2 -- seconds for a reply: at first; once answers were timed
local BASELINE = 4
local PAIRS = 30         -- with fresh nonces, for the learner
local FOLLOW_UP = 32     -- datagrams kept for what comes after the pairs are settled
local ALL = 0xff         -- of the two changes of a byte: all its bits; the other is the least
local ENOUGH = 8         -- bytes drawn anew: no further span is
local VARIED = 2         -- bytes that the client itself varied: so many of them, and no others are drawn
local CANDIDATES = 4     -- fields that are tried for a length, for a checksum
local CONTROLS = 3       -- bytes that are tried for a control, four times each
local TOP_BITS = 8       -- of the first so many bytes that are tried for one before:
local HEADER = 16
local ALIKE = 3          -- recorded payloads of one shape that are replayed

--- Make a prober of one port. Its methods run inside a task of the transport.
-- @param t transport
-- @param ip numeric address
-- @param port 1 to 65535
-- @param opts table: `random` function (n) -> bytes; `budget` datagrams at the most (300), `rate` a second (20), `on_progress`
-- function (sent, budget)
function probing.new(t, ip, port, opts)
  local hosts
  if ip:find "^127%." then
    hosts = {}
    for i = 1, 5 do hosts[i] = "127.0.0." .. i end
  end
  local budget = opts.budget or probing.BUDGET
  return setmetatable({
    t = t, ip = ip, port = port, random = opts.random, rate = opts.rate or probing.RATE, budget = budget, left = budget, sent = 0,
    timeout = TIMEOUT, next_at = t:now(), hosts = hosts, on_progress = opts.on_progress or function() end, notes = {},
  }, Prober)
end

function Prober:note(...) self.notes[#self.notes + 1] = (...):format(select(2, ...)) end

--- Send payloads once each, as many as the budget still allows, and wait for their replies.
-- @return array as mynah.replay gives it, as long as what was sent
function Prober:send(payloads, local_hosts)
  local n, gap = math.min(#payloads, self.left), 1 / self.rate
  if n == 0 then return {} end
  self.t:sleep(self.next_at - self.t:now())
  local began = self.t:now()
  self.left, self.sent = self.left - n, self.sent + n
  local results = replay.run(self.t, table.move(payloads, 1, n, 1, {}), self.ip, self.port, {
    timeout = self.timeout, gap = gap, parallel = math.ceil(self.rate * self.timeout) + 1, local_hosts = local_hosts,
  })
  self.next_at = math.max(began + n * gap, self.t:now())
  self.on_progress(self.sent, self.budget)
  return results
end

--- Send the payloads of trials, the silent ones again, for datagrams get lost.
-- @param trials array of { sent=bytes }; each gets `reply` where one came, `asked` how often it was sent
-- @param tries most times
-- @param keep datagrams of the budget that are not for this
function Prober:ask(trials, tries, keep)
  for _ = 1, tries do
    local silent, payloads = {}, {}
    for _, trial in ipairs(trials) do
      if not trial.reply and #silent < self.left - (keep or 0) then
        silent[#silent + 1], payloads[#payloads + 1] = trial, trial.sent
      end
    end
    for i, result in ipairs(self:send(payloads)) do
      silent[i].reply, silent[i].asked = result.reply, (silent[i].asked or 0) + 1
    end
  end
end

-- The unchanged request once more: time may have moved what seemed stable.
function Prober:refresh(known)
  local trial = { sent = known.request }
  self:ask({ trial }, 2)
  if trial.reply then mutation.add_to_shape(known.shape, trial.reply) end
end

-- What one payload gets, asked up to twice: "dead", "other", "same"; nil where the budget is spent.
function Prober:kind_of(known, payload)
  local trial = { sent = payload }
  self:ask({ trial }, 2)
  if not trial.asked then return nil end
  local kind = mutation.kind(known.shape, known.request, payload, trial.reply)
  if kind ~= "other" then return kind end
  self:refresh(known)
  return mutation.kind(known.shape, known.request, payload, trial.reply)
end

local RANK = { dead = 1, other = 2, same = 3 }

-- Is the first answered better than the second?
function Prober:prefers(known, a, b)
  local worse = self:kind_of(known, b)
  if not worse or worse == "same" then return false, worse == "same" end
  local better = self:kind_of(known, a)
  return better ~= nil and RANK[better] > RANK[worse], false
end

-- Baseline ---------------------------------------------------------------------------------------------

-- The same request four times, from four ports: what differs in the replies moves by itself. nil where nobody answers.
function Prober:baseline(request)
  local trials, answered, replies, slowest = {}, {}, {}, 0
  for i = 1, BASELINE do trials[i] = request end
  for _, result in ipairs(self:send(trials)) do
    if result.reply then
      answered[#answered + 1], replies[#replies + 1] = result, result.reply
      slowest = math.max(slowest, result.rtt or 0)
    end
  end
  if #replies == 0 then return nil end
  self.timeout = math.min(MOST_TIMEOUT, math.max(LEAST_TIMEOUT, 4 * slowest))
  if #replies < BASELINE then self:note("%d of %d datagrams alike were not answered", BASELINE - #replies, BASELINE) end
  return { request = request, shape = mutation.shape(replies), fields = {}, pairs = answered }
end

-- Lengths and checksums --------------------------------------------------------------------------------

-- A checksum must follow where a changed byte under it is answered only once the sum is right again.
function Prober:find_sum(known)
  for i, field in ipairs(mutation.sums(known.request)) do
    if i > CANDIDATES then return end
    for _, at in ipairs { field.from + field.len - 1, field.from + field.len // 2, field.from } do
      local changed = mutation.flip(known.request, at, 0x01)
      local needed, idle = self:prefers(known, mutation.fix(changed, { field }), changed)
      if idle then break end
      if needed then
        table.insert(known.fields, field)
        self:note("the %s at byte %d must be right", field.kind, field.offset)
        return
      end
    end
  end
end

-- A length must follow where a longer or a shorter request is answered only once it is right again.
function Prober:find_length(known)
  local request = known.request
  for i, field in ipairs(mutation.lengths(request)) do
    if i > CANDIDATES then return end
    local behind = field.offset + field.width < #request
    for _, changed in ipairs { request .. "\0", behind and request:sub(1, -2) or nil } do
      local fields = { field, table.unpack(known.fields) }
      local needed, idle = self:prefers(known, mutation.fix(changed, fields), mutation.fix(changed, known.fields))
      if needed and not idle then
        known.fields = fields
        self:note("the length at bytes %d-%d must be right", field.offset, field.offset + field.width - 1)
        return
      end
    end
  end
end

-- Bytes ------------------------------------------------------------------------------------------------

-- What is kept for pairs, verification and the rest, while bytes are changed.
function Prober:reserve() return math.min(PAIRS + FOLLOW_UP, self.left // 2) end

local function flips_of(known, twice, most)
  local trials = {}
  local function add(offset, changed, nudged)
    if #trials >= most then return end
    trials[#trials + 1] = { offset = offset, sent = mutation.fix(changed, known.fields), nudged = nudged }
  end
  for offset = 0, #known.request - 1 do
    if not mutation.in_field(offset, known.fields) then
      local nudged, is_text = mutation.nudge(known.request, offset)
      if twice or not is_text then add(offset, mutation.flip(known.request, offset, ALL)) end
      if twice or is_text then add(offset, nudged, is_text) end
    end
  end
  return trials
end

-- Each byte changed twice; once where the budget does not suffice, and then the first of them.
function Prober:flip_bytes(known)
  local keep = self:reserve()
  local room, n = self.left - keep, #known.request
  local trials = flips_of(known, 2 * n <= room, room)
  if 2 * n > room then
    self:note("bytes changed once only, for %d datagrams are few for %d bytes", self.budget, n)
  end
  if #trials < n and trials[1] then
    self:note("bytes from %d on were not changed", trials[#trials].offset + 1)
  end
  self:ask(trials, 2, keep)
  local asked = {}
  for _, trial in ipairs(trials) do
    if trial.asked then asked[#asked + 1] = trial end
  end
  self:refresh(known)
  mutation.settle(known.shape, known.request, asked)
  known.kinds, known.back = mutation.classify(known.shape, known.request, asked)
end

-- Two draws of these bytes are answered like the request itself.
function Prober:holds_together(known, offsets)
  for _ = 1, 2 do
    local drawn = mutation.redraw(known.request, mutation.spans(offsets, known.kinds), self.random)
    if self:kind_of(known, mutation.fix(drawn, known.fields)) ~= "same" then return false end
  end
  return true
end

-- As many of the offsets as may be drawn anew together, by halves.
function Prober:largest(known, offsets)
  if #offsets == 0 or self:holds_together(known, offsets) then return offsets end
  if #offsets == 1 or self.left <= PAIRS then return {} end
  local half = #offsets // 2
  local a = self:largest(known, table.move(offsets, 1, half, 1, {}))
  local b = self:largest(known, table.move(offsets, half + 1, #offsets, 1, {}))
  local both = table.move(b, 1, #b, #a + 1, { table.unpack(a) })
  if #a == 0 or #b == 0 then return both end
  if self:holds_together(known, both) then return both end
  return #a >= #b and a or b
end

-- Where the client's own requests of that length differ from this one.
local function varied_by(client, request)
  local varied = {}
  for _, other in ipairs(client or {}) do
    for offset = 0, #other == #request and #request - 1 or -1 do
      varied[offset] = varied[offset] or other:byte(offset + 1) ~= request:byte(offset + 1)
    end
  end
  return varied
end

-- Only what comes back may be drawn anew, and no more than is of use: others of the protocol may not take what this server does
-- not look at, such as a type of query that nobody knows. What the client itself varied is meant to vary.
function Prober:find_nonces(known, client)
  local offsets, own, varied = {}, {}, varied_by(client, known.request)
  for offset = 0, #known.request - 1 do
    if known.back[offset + 1] then
      offsets[#offsets + 1] = offset
      if varied[offset] then own[#own + 1] = offset end
    end
  end
  if #own >= VARIED then offsets = own end
  local drawn = 0
  known.nonces = {}
  for _, span in ipairs(mutation.spans(self:largest(known, offsets), known.kinds)) do
    if drawn < ENOUGH then known.nonces[#known.nonces + 1] = span end
    drawn = drawn + span.len
  end
end

-- Cut off its end by bisection; each cut that is answered must be so twice.
function Prober:find_smallest(known, keep)
  local low, high = 0, #known.request
  while high - low > 1 and self.left > keep + 4 do
    local middle = (low + high) // 2
    local cut = mutation.fix(known.request:sub(1, middle), known.fields)
    local taken = self:kind_of(known, cut) == "same" and self:kind_of(known, cut) == "same"
    if taken then high = middle else low = middle end
  end
  known.smallest = high
  if high < #known.request then self:note("its first %d bytes get such an answer too", high) end
end

-- Control ----------------------------------------------------------------------------------------------

local function broken(known, control)
  return mutation.fix(mutation.flip(known.request, control.offset, control.mask), known.fields)
end

-- A byte is a control where it is dead four times, and the request as it is was answered in between.
function Prober:is_control(known, control)
  local payloads = {}
  for i = 1, 8, 2 do payloads[i], payloads[i + 1] = broken(known, control), known.request end
  local alive, results = 0, self:send(payloads)
  for i = 1, #results do
    if results[i].reply and i % 2 == 1 then return false end
    if results[i].reply then alive = alive + 1 end
  end
  return #results == 8 and alive >= 3
end

-- A top bit often tells requests from replies, and then nobody answers: tried first, where a change was not taken.
function Prober:top_bits(known, keep)
  local trials, dead = {}, {}
  for offset = 0, math.min(#known.request, HEADER) - 1 do
    local kind = known.kinds[offset + 1]
    if (kind == "dead" or kind == "other") and #trials < TOP_BITS then
      local control = { offset = offset, mask = 0x80 }
      trials[#trials + 1] = { control = control, sent = broken(known, control) }
    end
  end
  self:ask(trials, 1, keep)
  for _, trial in ipairs(trials) do
    if trial.asked and not trial.reply then dead[#dead + 1] = trial.control end
  end
  return dead
end

function Prober:find_control(known, keep)
  local controls = self:top_bits(known, keep + 8)
  for offset = 0, #known.request - 1 do
    if known.kinds[offset + 1] == "dead" then controls[#controls + 1] = { offset = offset, mask = ALL } end
  end
  for i = 1, math.min(CONTROLS, #controls) do
    if self.left < keep + 8 then return end
    if self:is_control(known, controls[i]) then
      known.control = controls[i]
      return
    end
  end
end

-- Pairs ------------------------------------------------------------------------------------------------

-- Fresh requests and their replies, from many ports, and from many addresses where the target is this machine: those of them
-- that it answers.
function Prober:collect(known, count)
  local payloads, first, welcome = {}, self.hosts and math.min(count, #self.hosts) or 0, {}
  for i = 1, count do
    payloads[i] = mutation.fix(mutation.redraw(known.request, known.nonces, self.random), known.fields)
  end
  for i, result in ipairs(self:send(table.move(payloads, 1, first, 1, {}), self.hosts)) do
    if result.reply then
      known.pairs[#known.pairs + 1], welcome[#welcome + 1] = result, self.hosts[i]
    end
  end
  for _, result in ipairs(self:send(table.move(payloads, first + 1, count, 1, {}), welcome[1] and welcome)) do
    if result.reply then known.pairs[#known.pairs + 1] = result end
  end
end

local function plural(n, what) return ("%d %s%s"):format(n, what, n == 1 and "" or "s") end

local function told(known, wanted)
  local offsets = {}
  for offset = 0, #known.request - 1 do
    if known.kinds[offset + 1] == wanted then offsets[#offsets + 1] = offset end
  end
  local words = {}
  for i, span in ipairs(mutation.spans(offsets)) do
    words[i] = span.len == 1 and tostring(span.offset) or ("%d-%d"):format(span.offset, span.offset + span.len - 1)
  end
  return #words > 0 and table.concat(words, ", ")
end

function Prober:tell(known)
  local back = {}
  for i, span in ipairs(known.nonces) do back[i] = ("%s at %d"):format(plural(span.len, "byte"), span.offset) end
  self:note(#back > 0 and "may be drawn anew and come back: %s" or "no byte that may be drawn anew comes back%s",
    table.concat(back, ", "))
  local dead, other = told(known, "dead"), told(known, "other")
  if dead then self:note("not answered once changed: bytes %s", dead) end
  if other then self:note("answered otherwise once changed: bytes %s", other) end
end

--- Find out what matters in one request.
-- @param request bytes that the server answers
-- @param keep datagrams of the budget to leave for the caller
-- @param client array of requests that the same client sent, or nil
-- @return { request, shape, fields, kinds, back, nonces (spans), smallest, control or nil, pairs (as mynah.replay gives
-- them: four to the request as it is, the rest to fresh ones) }; nil where the server is silent
function Prober:study(request, keep, client)
  local known = self:baseline(request)
  if not known then return nil end
  self:find_sum(known)
  self:find_length(known)
  self:flip_bytes(known)
  self:find_nonces(known, client)
  local pairs_ = math.max(0, math.min(PAIRS, self.left - keep))
  self:find_smallest(known, keep + pairs_ + 8)
  self:find_control(known, keep + pairs_)
  self:collect(known, pairs_)
  self:tell(known)
  return known
end

-- Recorded payloads ------------------------------------------------------------------------------------

-- One after another of different shape, few of one; no two the same.
local function choose(payloads, most)
  local chosen, seen, kinds = {}, {}, {}
  for _, payload in ipairs(payloads) do
    local kind
    for _, known in ipairs(kinds) do
      if mutation.are_alike(known.of, payload) then kind = kind or known end
    end
    if not kind then
      kind = { of = payload, count = 0 }
      kinds[#kinds + 1] = kind
    end
    if not seen[payload] and kind.count < ALIKE and #chosen < most and #payload > 0 then
      kind.count = kind.count + 1
      chosen[#chosen + 1] = payload
    end
    seen[payload] = true
  end
  return chosen
end

--- Replay what clients once sent, see what is answered.
-- @param payloads array of bytes
-- @return array of results as mynah.replay gives them, of those that were answered; one request of each shape is enough to
-- study
function Prober:replay(payloads)
  local chosen, answered = choose(payloads, math.max(1, self.left // 8)), {}
  for _ = 1, 2 do
    local silent = {}
    for i, result in ipairs(self:send(chosen)) do
      if result.reply then
        answered[#answered + 1] = result
      else
        silent[#silent + 1] = chosen[i]
      end
    end
    chosen = silent
  end
  return answered
end

--- The requests of answered payloads that are worth a study: one of each shape.
-- @param answered as replay gives it
-- @return array of bytes
function probing.shapes(answered)
  local shapes = {}
  for _, result in ipairs(answered) do
    local known = false
    for _, request in ipairs(shapes) do known = known or mutation.are_alike(request, result.sent) end
    if not known then shapes[#shapes + 1] = result.sent end
  end
  return shapes
end

--- What was found as the template that a signature's probe is made of.
-- @param known as study gives it
-- @return table as learner:learn of mynah_core takes it
function probing.template(known)
  local size, kinds = #known.request, {}
  for offset = 0, size - 1 do kinds[offset] = "fixed" end
  local template = { request = known.request, control = known.control }
  for i, span in ipairs(known.nonces) do
    local class = mutation.class_of(known.request:sub(span.offset + 1, span.offset + span.len), span.text)
    template[#template + 1] = { kind = "nonce", offset = span.offset, len = span.len, class = class,
      name = i == 1 and "id" or "id" .. i }
    for at = span.offset, span.offset + span.len - 1 do kinds[at] = "nonce" end
  end
  for _, field in ipairs(known.fields) do
    template[#template + 1] = field
    for at = field.offset, size - 1 do
      if mutation.in_field(at, { field }) then kinds[at] = "field" end
    end
  end
  local fixed = {}
  for offset = 0, size - 1 do
    if kinds[offset] == "fixed" then fixed[#fixed + 1] = offset end
  end
  for _, span in ipairs(mutation.spans(fixed)) do
    template[#template + 1] = { kind = "fixed", offset = span.offset, len = span.len }
  end
  table.sort(template, function(a, b) return a.offset < b.offset end)
  return template
end

return probing
