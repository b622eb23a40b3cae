--- What is behind one UDP port: the probes of all signatures, likeliest first, each once before any is repeated;
-- every reply is judged by every signature whose probe it answers, and asked on until there is no doubt. The first certain
-- verdict ends it.
-- @module mynah.udp

local asking = require "mynah.asking"
local hints = require "mynah.hints"
local pace = require "mynah.pace"
local plan = require "mynah.plan"
local talk = require "mynah.talk"
local text = require "mynah.text"

local udp = {}

--- Datagrams to one port at the most.
udp.MOST = plan.MOST

local ATTEMPTS = 3        -- datagrams with fresh nonces before silence is believed
local LIKELY_GAP = 0.1    -- seconds after a probe that the port is known for: it mostly settles the matter
local MORE_WAIT = 0.3     -- seconds for another datagram once every probe was answered
local FIRST_WAIT = 0.04   -- seconds for a closed port to say so, where probes are handed over early
local SOON = 0.05         -- seconds: who sends later than that does not send now
local FOREIGN = 6         -- replies that all other signatures look at, for a hint

-- Sending ------------------------------------------------------------------------------------------------

-- Lateness is made good, but not by a burst.
local function gap_after(port, step, slot, at)
  local gap = step.group.rank == 2 and step.tries == 1 and LIKELY_GAP or pace.GAP
  port.next_at = math.max(slot + gap, at + gap / 2, at + port.pace.gap)
end

local function send_probe(port, step, slot, at)
  local group = step.group
  local probe, local_port = port:compose(group.name, group.tells_port)
  port.plan:sent(step, at)
  if step.tries == 1 then port.deadline = at + port.timeout end
  local x = probe and port:submit(probe, { at = at, local_port = local_port })
  if not x then
    step.finished = true
    return
  end
  x.step = step
  if port.pace.held and step.tries == 1 then port.deadline = port.t:now() + port.timeout end
  port:schedule(x)
  gap_after(port, step, slot, at)
end

-- The time from which the next probe may leave; nil: none will.
local function next_time(port)
  local step, not_before = port.plan:next(port.t:now())
  if not step then return nil end
  local want = math.max(port.next_at, port.rest_until, not_before)
  if step.tries > 0 and port.deadline and want > port.deadline - 0.05 then return nil end
  return want, step
end

-- Probes that are handed over early cannot be called back in time: the first goes alone.
local function is_beginning(port)
  return port.t.lookahead > 0 and port.datagrams_sent <= 1 and not port.first
end

-- Hand over what is due. Returns when to look again; nil once there is nothing to send any more.
local function send_due(port)
  local now, ahead = port.t:now(), port.t.lookahead
  while true do
    local want, step = next_time(port)
    local first = port.t.lookahead > 0 and port.plan.left == port.plan.most
    port.pace:sends(port, want and want < now + ahead + SOON and want or nil, is_beginning(port) and pace.BEGINS or 1)
    if not want then return nil end
    if want > now + ahead then return want - ahead / 2 end
    port.slot = port.slot or port.pace:slot(now, want)
    if port.slot > now + ahead then return port.slot - ahead / 2 end
    local wait = port.pace:wait_for_room(now)
    if wait then return now + wait end
    local slot = port.slot
    port.slot = nil
    send_probe(port, step, slot, math.max(slot, now))
    if first then port.next_at = math.max(port.next_at, slot + FIRST_WAIT) return port.next_at end
  end
end

-- Hearing ------------------------------------------------------------------------------------------------

-- Whose probe should come next, after a reply that answers none of ours?
local function follow_hints(port, pair)
  if port.foreign >= FOREIGN or port.seen[pair.reply] then return end
  port.foreign, port.seen[pair.reply] = port.foreign + 1, true
  local wanted = {}
  for _, name in ipairs(port.sigs.db:hints(pair)) do wanted[name] = true end
  for _, service in ipairs(hints.services(pair.request, pair.reply)) do wanted[service] = true end
  if not next(wanted) then return end
  port.plan:promote(function(group)
    for _, name in ipairs(group.names) do
      if wanted[name] or wanted[port.sigs.info[name].service] then return true end
    end
  end)
end

-- A reply to a probe. Returns a result where it is certain.
local function judge_reply(port, event)
  local step = event.x.step
  if not step then return nil end -- to a question of a conversation that is over
  step.answered = true
  if talk.is_echo(event) then
    local echo = talk.confirm_echo(port, event)
    -- Some services send the question back in front of their answer: the signature says whether it is one.
    if echo or #event.data == #event.request then return echo end
  end
  port.answered_otherwise = true
  if step.finished then return nil end
  local pair = port:pair_of(event)
  local verdict, name = port.sigs:judge(step.group.names, { pair })
  if verdict and verdict.state ~= "no" then
    step.finished = true
    return talk.converse(port, step.group, event, verdict, name)
  end
  if verdict then port:note(verdict.failed and ("%s: %s failed"):format(name, verdict.failed) or name .. ": no match") end
  follow_hints(port, pair)
end

-- How long to listen, once nothing is left to send.
local function listen_until(port)
  if port.first and port.plan:is_answered() then return port.heard_at + MORE_WAIT end
  return port.deadline or port.t:now()
end

local function ask_all(port)
  while not port.over do
    local look = send_due(port)
    local till = look or listen_until(port)
    local event = port:next_reply(till)
    if event then
      local result = judge_reply(port, event)
      if result then return result end
    elseif not look and port.t:now() >= till then
      return nil
    end
  end
end

-- Without any signature there is still open, closed and silent to tell.
local function ask_anything(port)
  local probe = port.random(16)
  for _ = 1, 2 do
    if not port.plan:spend() or not port:submit(probe) then break end
    local event = port:next_reply(port.t:now() + port.timeout / 2)
    if event and talk.is_echo(event) then return talk.confirm_echo(port, event) end
    if event or port.over then break end
  end
end

-- Results ------------------------------------------------------------------------------------------------

local function state_of(port)
  if port.first then return "open", "udp-response" end
  local reason = port.icmp and port.icmp.reason
  if reason == "port-unreach" then return "closed", reason end
  if reason and reason ~= "error" then return "filtered", reason end
  if port.failure and port.datagrams_sent == 0 then
    port:note(port.failure)
    return "unknown", "error"
  end
  return "open|filtered", "no-response"
end

local function untried_line(port)
  local count = port.plan:untried()
  if count > 0 and port.plan.left <= port.plan.reserve then
    port:note(("%d of %d probes not sent: at most %d datagrams to a port"):format(count, #port.plan.steps, port.plan.most))
  end
end

local function complete(port, found)
  local result = found or port.guess or {}
  local event = result.event or port.first
  result.event = nil
  result.state, result.reason = state_of(port)
  result.sent, result.received = port.sent, port.received
  result.datagrams_sent, result.datagrams_received = port.datagrams_sent, port.datagrams_received
  result.datagrams_most, result.began = port.plan.most, port.began
  result.rtt = event and event.rtt
  result.reply, result.reply_port = event and event.data, event and event.from_port
  result.confidence = result.confidence or 0
  if found then return result end
  untried_line(port)
  if event and not result.guess then port:note("answered: " .. text.to_hex(event.data:sub(1, 32))) end
  local lines = result.evidence or {}
  for _, line in ipairs(port.evidence) do lines[#lines + 1] = line end
  result.evidence = lines
  return result
end

local function ask(port)
  if #port.plan.steps == 0 then return ask_anything(port) end
  local found = ask_all(port)
  if found and found.service ~= "echo" then talk.add_details(port, found) end
  return found
end

--- Ask one UDP port what it is. Runs inside a task of the transport.
-- @param t transport
-- @param target table: `host` numeric address, `port`
-- @param sigs set of mynah.signatures
-- @param opts table: `timeout` seconds after the first round for which silence is listened to (3), `attempts` at each probe
-- before silence is believed (3), `max_probes` datagrams at the most (200), `public_ip`, `random` (function of n), `unix`
-- (function), `pace` of mynah.pace, shared by all ports, `only` the name of the signature that is asked, instead of all
-- @return table with state, reason, rtt (seconds), sent, received (bytes), datagrams_sent, datagrams_received, datagrams_most,
-- began (time), evidence, reply, reply_port, and where known service, guess, confidence, product, version, extra, cpe, probe,
-- fresh_bits, identity_bits
function udp.identify(t, target, sigs, opts)
  local port = asking.new(t, target, sigs, setmetatable({
    timeout = opts.timeout or 3, attempts = opts.attempts or ATTEMPTS, pace = opts.pace or pace.new {},
  }, { __index = opts }))
  port.next_at, port.foreign, port.seen = t:now(), 0, {}
  local ok, found = pcall(ask, port)
  port:close()
  if not ok then error(found, 0) end
  return complete(port, found)
end

return udp
