--- Conversations with a UDP port that answered: asked on until a verdict is final.
-- Meanwhile no other probe leaves, and what others still get is kept.
-- @module mynah.talk

local signatures = require "mynah.signatures"

local talk = {}

local TURNS = 10          -- questions in one conversation, at most
local AGAIN = 0.35        -- seconds until a question is repeated; doubled each time
local LAST_WAIT = 1       -- seconds for the answer to its last repetition
local MORE_WAIT = 0.3     -- seconds for the right datagram after a wrong one (a peer may ask before it answers)
local CONTROL_AGAIN = 0.15
local CONTROL_WAIT = 0.5  -- seconds of silence that count as none
local CONTROLS = 3        -- times that it is asked beside the probe, until the probe is answered
local DETAIL_WAIT = 0.25  -- seconds for the answers that may tell the product
-- The same for a step that can only tell more.
local OPTIONAL_TIMES, OPTIONAL_AGAIN, OPTIONAL_WAIT = 2, 0.2, 0.3
local DETAILS = 4         -- questions for it

local function is_echo(event)
  return #event.request > 0 and event.data:sub(1, #event.request) == event.request
end

--- Does a reply begin with the whole request?
talk.is_echo = is_echo

local function close_all(port, mine)
  for x in pairs(mine) do port:drop(x) end
end

local function answer_time(port) return port.slowest or port.rtt or 0 end

-- Ask up to `times` times, until a reply is taken. compose(i) gives the payload and, where that matters, the port it leaves from;
-- take(event) says whether it will do; `spare`: the answer may be missed. Returns the reply that was taken; else nil and the
-- first that came.
local function ask(port, times, compose, take, spare)
  local mine, wait, first = {}, (spare and OPTIONAL_AGAIN or AGAIN) + 3 * answer_time(port), nil
  for i = 1, times do
    local payload, local_port = compose(i)
    local x = payload and port.plan:spend() and port:submit(payload, { local_port = local_port })
    if not x then break end
    mine[x] = true
    local till = port.t:now() + (i < times and wait or math.max(spare and OPTIONAL_WAIT or LAST_WAIT, 2 * answer_time(port)))
    wait = 2 * wait
    while true do
      local event = port:next_reply_of(mine, till)
      if not event then break end
      if take(event) then
        close_all(port, mine)
        return event
      end
      if not first then till = math.min(till, port.t:now() + MORE_WAIT) end
      first = first or event
    end
    if first or port.over then break end
  end
  close_all(port, mine)
  return nil, first
end

local function complement(bytes)
  return (bytes:gsub(".", function(c) return string.char(c:byte() ~ 0xff) end))
end

--- Is it an echo service? Two datagrams of another kind tell: whatever changes some bits changes one of these.
-- @param port of mynah.asking
-- @param event the reply that began with its request
-- @return a result where it is
function talk.confirm_echo(port, event)
  if port.echo_asked then return nil end
  port.echo_asked = true
  port:hold()
  local other, exact, alike = port.random(24), event.data == event.request, true
  for _, payload in ipairs { other, complement(other) .. port.random(9) } do
    local reply = ask(port, port.attempts, function() return payload end, function() return true end)
    exact = exact and reply ~= nil and reply.data == reply.request
    alike = alike and reply ~= nil and is_echo(reply)
    if not alike then break end
  end
  if exact and not port.answered_otherwise then
    return { service = "echo", confidence = 0.95, probe = "echo", event = event,
      evidence = { "all that was sent came back, on three different datagrams" } }
  end
  port:note("the request came back, but not so each time")
  if alike then port.guess = port.guess or { guess = "echo", confidence = 0.5, event = event, evidence = {} } end
end

-- What is sent next, as ask takes it, and what the pair of its reply says of itself.
local function next_question(port, group, pairs_, name, verdict)
  local last = pairs_[#pairs_]
  if verdict.want == "step" then
    -- A cookie is good for the port that it was given to. So that one is closed and taken again.
    if last.x then port:drop(last.x) end
    local request = port.sigs:compose_step(name, verdict.step, last)
    return function() return request, last.my_port end, { step = verdict.step, of = name }
  elseif verdict.want == "same" then
    return function() return last.request end, {}
  end
  return function() return port:compose(name, group.tells_port) end, {}
end

-- The control probe: broken so that the real service does not answer it as it answers the probe. Every reply within the time is
-- looked at. Its silence tells something where the probe itself, sent behind it, is answered: a peer that is slow or has gone,
-- and a datagram that got lost, are silent, too. nil where that cannot be asked, or nobody can tell.
local function ask_control(port, group, pairs_, name)
  local compose = next_question(port, group, pairs_, name, { want = "fresh" })
  local mine, controls, answered, alive = {}, {}, false, false
  local function send(payload, from)
    local x = payload and port.plan:spend() and port:submit(payload, { local_port = from })
    if x then mine[x] = true end
    return x
  end
  local function send_control()
    local probe, from = port:compose(name, group.tells_port)
    local x = send(probe and port.sigs.db:broken(name, probe), from)
    if x then controls[x] = true end
    return x
  end
  local function listen(seconds)
    local till = port.t:now() + seconds
    while not answered do
      local event = port:next_reply_of(mine, till)
      if not event then return end
      if not controls[event.x] then
        alive = true
      elseif port.sigs.db:answers_control(name, port:pair_of(event)) then
        answered = true
      end
    end
  end
  local wait = CONTROL_WAIT - CONTROL_AGAIN
  if not send_control() then return nil end
  listen(CONTROL_AGAIN)
  for _ = 1, CONTROLS do
    if answered or alive or port.over or not (send_control() and send(compose())) then break end
    listen(math.max(wait, 4 * answer_time(port)))
    wait = 2 * wait
  end
  close_all(port, mine)
  return answered and "answered" or alive and "silent" or nil
end

local function pair_with(port, event, more)
  local pair = port:pair_of(event)
  pair.x, pair.step, pair.of = event.x, more.step, more.of
  return pair
end

-- The next datagram that a verdict wants, its reply added to the pairs. false where nobody answers.
local function ask_again(port, group, pairs_, name, verdict)
  local compose, more = next_question(port, group, pairs_, name, verdict)
  local spare = verdict.state == "certain"
  local times = spare and math.min(OPTIONAL_TIMES, port.attempts) or port.attempts
  local event, other = ask(port, times, compose, function(event)
    local all = { table.unpack(pairs_) }
    all[#all + 1] = pair_with(port, event, more)
    local v = port.sigs:judge(group.names, all)
    return v ~= nil and v.state ~= "no"
  end, spare)
  event = event or other
  if not event then return false end
  pairs_[#pairs_ + 1] = pair_with(port, event, more)
  return true
end

--- A verdict as mynah.udp returns it.
function talk.result(port, verdict, name, event)
  local info = port.sigs.info[name]
  return {
    service = info.service, confidence = verdict.confidence, probe = name, product = verdict.product,
    version = verdict.version, extra = verdict.extra, cpe = verdict.cpe, fresh_bits = verdict.fresh_bits,
    identity_bits = verdict.identity_bits, evidence = signatures.evidence(verdict), event = event,
  }
end

local function keep_guess(port, result)
  result.guess, result.service = result.service, nil
  if (result.confidence or 0) > 0 and (not port.guess or result.confidence > port.guess.confidence) then
    port.guess = result
  end
end

local function note_no(port, name, verdict, control)
  port:note(verdict.failed and ("%s: %s failed"):format(name, verdict.failed) or name .. ": no match")
  if control == "answered" then port:note(name .. ": the broken probe was answered too") end
end

-- A verdict may be certain and want a step all the same, which tells the version.
local function wants_more(verdict)
  return verdict.state == "more" or verdict.state == "certain" and verdict.want == "step"
end

-- Ask until the verdict is final. Returns it, the name of its signature and what the control got.
local function settle(port, group, pairs_, verdict, name)
  local control, turns = nil, 0
  while verdict and wants_more(verdict) and turns < TURNS and not port.over do
    turns = turns + 1
    if verdict.want == "control" then
      control = ask_control(port, group, pairs_, name)
      if not control then break end
    elseif not ask_again(port, group, pairs_, name, verdict) then
      if verdict.state == "more" then port:note(name .. ": asked again, and nothing came") end
      break
    end
    verdict, name = port.sigs:judge(group.names, pairs_, control)
  end
  return verdict, name, control
end

--- Go into a reply that may be the right one.
-- @param port of mynah.asking
-- @param group of mynah.signatures that was asked
-- @param event the reply
-- @param verdict, name what it alone shows, as signatures:judge says it; its state is not "no"
-- @return a result where it is certain
function talk.converse(port, group, event, verdict, name)
  port:hold()
  local control
  verdict, name, control = settle(port, group, { pair_with(port, event, {}) }, verdict, name)
  if not verdict then return nil end
  if verdict.state == "certain" then return talk.result(port, verdict, name, event) end
  if verdict.state == "no" then
    note_no(port, name, verdict, control)
  else
    keep_guess(port, talk.result(port, verdict, name, event))
  end
end

local function is_of(port, step, service)
  return step ~= nil and port.sigs.info[step.group.name].service == service
end

-- The other questions of the same service, unless one led nowhere already.
local function detail_questions(port, service)
  local list = {}
  for _, step in ipairs(port.plan.steps) do
    if #list < DETAILS and not step.finished and not step.answered and is_of(port, step, service) then list[#list + 1] = step end
  end
  return list
end

local function ask_details(port, list)
  local mine = {}
  for _, step in ipairs(list) do
    local probe = port:compose(step.group.name)
    local x = probe and port.plan:spend() and port:submit(probe)
    if x then mine[x] = step end
  end
  return mine
end

-- What an answer to another question of the service tells.
local function take_details(port, result, step, event)
  local verdict, name = port.sigs:judge(step.group.names, { port:pair_of(event) })
  if not verdict or verdict.state == "no" then return end
  for _, key in ipairs { "product", "version", "extra", "cpe" } do result[key] = result[key] or verdict[key] end
  if verdict.product or verdict.version then table.insert(result.evidence, "product and version by " .. name) end
end

--- Product and version of a service that is certain, where another of its questions gives them.
-- @param port of mynah.asking
-- @param result that is completed
function talk.add_details(port, result)
  for _, event in ipairs(port.waiting) do
    local step = event.x.step
    if result.product or result.version then return end
    if is_of(port, step, result.service) and not step.finished then
      step.answered = true
      take_details(port, result, step, event)
    end
  end
  if result.product or result.version then return end
  local mine = ask_details(port, detail_questions(port, result.service))
  local till = port.t:now() + math.max(DETAIL_WAIT, 3 * answer_time(port))
  while next(mine) and not (result.product or result.version) do
    local event = port:next_reply_of(mine, till)
    if not event then break end
    take_details(port, result, mine[event.x], event)
    mine[event.x] = nil
    port:drop(event.x)
  end
  close_all(port, mine)
end

return talk
