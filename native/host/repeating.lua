--- The same payloads replayed several times: which bytes of the replies stay, come back from the request, or move.
-- @module host.repeating

local core = require "mynah_core"
local replaying = require "host.replaying"

local repeating = {}

-- The places of a reply at which bytes of the request stand.
local function echoed(request, reply)
  local set, length, _, at = {}, core.echo(request, reply)
  for i = 1, length or 0 do set[at + i] = true end
  return set
end

--- What each byte of the replies to one payload does, as far as all of them reach.
-- @param request bytes
-- @param replies array of byte strings
-- @return text with a letter a byte: "e" comes back from the request in every reply, "=" is the same in all, "*" moves; nil
-- where there are fewer than two replies
function repeating.map(request, replies)
  if #replies < 2 then return nil end
  local least, echoes = math.huge, {}
  for i, reply in ipairs(replies) do least, echoes[i] = math.min(least, #reply), echoed(request, reply) end
  local letters = {}
  for at = 1, least do
    local same, echo = true, true
    for i, reply in ipairs(replies) do
      same = same and reply:byte(at) == replies[1]:byte(at)
      echo = echo and echoes[i][at]
    end
    letters[at] = echo and "e" or same and "=" or "*"
  end
  return table.concat(letters)
end

local function fresh(payloads)
  local copies = {}
  for i, p in ipairs(payloads) do
    local copy = {}
    for key, value in pairs(p) do copy[key] = value end
    copies[i] = copy
  end
  return copies
end

-- Settled payloads of one round are added to what the rounds before gave.
local function add_round(results, round)
  for i, p in ipairs(round) do
    local r = results[i] or p
    if r.state ~= "answered" and p.state == "answered" then
      for key, value in pairs(p) do r[key] = value end
    end
    r.all = r.all or {}
    if p.replies then r.all[#r.all + 1] = p.replies[1].data end
    results[i] = r
  end
end

--- Replay several times, one round after the other.
-- @param payloads, options as host.replaying takes them; `repeats`, how many rounds; each payload is told once, as its first
-- answer says, with `answered` (rounds), and `map` as above
-- @return count of late replies
function repeating.run(payloads, options)
  local results, late, round = {}, 0, 0
  local function progress(sent, of) options.on_progress((round - 1) * of + sent, options.repeats * of) end
  while round < options.repeats do
    round = round + 1
    local copies = fresh(payloads)
    late = late + replaying.run(copies, setmetatable({ on_payload = function() end, on_progress = progress },
      { __index = options }))
    add_round(results, copies)
  end
  for i, r in ipairs(results) do
    r.answered, r.map = #r.all, repeating.map(r.data, r.all)
    payloads[i] = r
    options.on_payload(r)
  end
  return late
end

return repeating
