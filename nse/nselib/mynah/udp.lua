--- What is behind one UDP port: the probes of all signatures, likeliest first, each once before any is repeated;
-- every reply is judged by every signature whose probe it may answer, and asked again until there is no doubt.
-- @module mynah.udp

local signatures = require "mynah.signatures"
local text = require "mynah.text"

local udp = {}

local ATTEMPTS = 3        -- datagrams with fresh nonces before silence is believed
local GAP = 0.02          -- seconds between two probes at one port: servers drop bursts
local LIKELY_GAP = 0.05   -- after a probe that the port is known for: it mostly settles the matter
local ROUND = 0.8         -- seconds from the first round to the next, at least
local MORE_WAIT = 0.3     -- seconds for the right datagram after a wrong one (a peer may ask before it answers)
local CONTROL_WAIT = 0.5  -- seconds of silence that count as none
local TURNS = 8           -- questions in one conversation, at most

local function who(ctx)
  return { peer = ctx.host, peer_port = ctx.port }
end

local function pair_of(ctx, event)
  return {
    request = event.request, reply = event.data, my = event.my, my_port = event.my_port, peer = ctx.host,
    peer_port = ctx.port, from = event.from, from_port = event.from_port, public_ip = ctx.public_ip, time = ctx.unix(),
  }
end

local function note(ctx, line)
  if #ctx.evidence < 12 then ctx.evidence[#ctx.evidence + 1] = line end
end

local function heard(ctx, event)
  if not ctx.first then
    ctx.first = event
    ctx.rtt = event.rtt
  end
end

local function begins_with_request(event)
  return #event.request > 0 and event.data:sub(1, #event.request) == event.request
end

-- Submit payloads, count their bytes with the port's.
local function submit(ctx, payloads, timeout)
  local x, why = ctx.t:udp(ctx.host, ctx.port, payloads, { timeout = timeout })
  if x then
    ctx.exchanges[#ctx.exchanges + 1] = x
    return x
  end
  ctx.failure = ctx.failure or why
  return nil
end

-- The first reply on an exchange that `judge` accepts, or the first at all. nil and a reason where none came.
local function listen(ctx, x, deadline, judge)
  local event, why, from = x:reply(deadline)
  if not event then
    if why ~= "timeout" and why ~= "ended" and why ~= "closed" then ctx.icmp = ctx.icmp or { reason = why, from = from } end
    return nil, why
  end
  heard(ctx, event)
  local first, verdict, name = event, judge(event)
  local till = ctx.t:now() + MORE_WAIT
  while verdict == nil or verdict.state == "no" do
    event = x:reply(till)
    if not event then break end
    verdict, name = judge(event)
  end
  if not event then
    verdict, name = judge(first)
    event = first
  end
  return event, verdict, name
end

local function failed_line(ctx, name, verdict)
  local line = verdict.failed and ("%s: %s failed"):format(name, verdict.failed) or name .. ": no match"
  note(ctx, line)
end

-- Is it an echo service? One datagram of another kind tells.
local function confirm_echo(ctx, event)
  if ctx.echo_asked then return nil end
  ctx.echo_asked = true
  local other = ctx.random(24)
  local x = submit(ctx, { other, other, other }, ctx.timeout)
  local second = x and x:reply()
  if x then x:close() end
  if second and event.data == event.request and second.data == second.request then
    return { service = "echo", confidence = 0.95, probe = "echo", event = event,
      evidence = { "all that was sent came back, on two different datagrams" } }
  end
  note(ctx, "the request came back, but not so each time")
  if second and begins_with_request(second) then
    ctx.guess = ctx.guess or { guess = "echo", confidence = 0.5, event = event, evidence = {} }
  end
end

-- The control probe: broken so that the real service does not answer it as it answers the probe.
local function ask_control(ctx, name)
  local broken = {}
  for i = 1, 2 do
    local probe = ctx.sigs:compose(name, who(ctx))
    broken[i] = probe and ctx.sigs.db:broken(name, probe)
  end
  if not broken[2] then return "silent" end
  local x = submit(ctx, broken, math.max(CONTROL_WAIT, 4 * (ctx.rtt or 0)))
  if not x then return nil end
  local control = "silent"
  while control == "silent" do
    local event = x:reply()
    if not event then break end
    if ctx.sigs.db:answers_control(name, pair_of(ctx, event)) then control = "answered" end
  end
  x:close()
  return control
end

-- The next datagram that a verdict wants, its reply added to the pairs. false where nobody answers.
local function ask_again(ctx, group, pairs_, want)
  local payloads = {}
  for i = 1, ctx.attempts do
    if want == "same" then
      payloads[i] = pairs_[#pairs_].request
    else
      payloads[i] = ctx.sigs:compose(group.name, who(ctx))
    end
  end
  local x = submit(ctx, payloads, ctx.timeout)
  if not x then return false end
  local event = listen(ctx, x, nil, function(event)
    local all = { table.unpack(pairs_) }
    all[#all + 1] = pair_of(ctx, event)
    return ctx.sigs:judge(group.names, all)
  end)
  x:close()
  if not event then return false end
  pairs_[#pairs_ + 1] = pair_of(ctx, event)
  return true
end

local function as_result(ctx, verdict, name, event)
  local info = ctx.sigs.info[name]
  return {
    service = info.service, confidence = verdict.confidence, probe = name, product = verdict.product,
    version = verdict.version, extra = verdict.extra, fresh_bits = verdict.fresh_bits,
    identity_bits = verdict.identity_bits, evidence = signatures.evidence(verdict), event = event,
  }
end

local function keep_guess(ctx, result)
  result.guess, result.service = result.service, nil
  if (result.confidence or 0) > 0 and (not ctx.guess or result.confidence > ctx.guess.confidence) then
    ctx.guess = result
  end
end

-- Ask until the verdict is final. Returns a result only when it is certain.
local function converse(ctx, group, event)
  if begins_with_request(event) then return confirm_echo(ctx, event) end
  local pairs_, control, turns = { pair_of(ctx, event) }, nil, 0
  local verdict, name = ctx.sigs:judge(group.names, pairs_)
  while verdict and verdict.state == "more" and turns < TURNS do
    turns = turns + 1
    if verdict.want == "control" then
      control = ask_control(ctx, name)
      if not control then break end
    elseif not ask_again(ctx, group, pairs_, verdict.want) then
      note(ctx, name .. ": asked again, and nothing came")
      break
    end
    verdict, name = ctx.sigs:judge(group.names, pairs_, control)
  end
  if not verdict then return nil end
  if verdict.state == "certain" then return as_result(ctx, verdict, name, event) end
  if verdict.state == "no" then
    failed_line(ctx, name, verdict)
    if control == "answered" then note(ctx, name .. ": the broken probe was answered too") end
  else
    keep_guess(ctx, as_result(ctx, verdict, name, event))
  end
end

-- One datagram of one group at its time; the first reply to any of a group's datagrams starts the conversation.
local function attempt(ctx, group, at)
  ctx.t:sleep(at - ctx.t:now())
  if ctx.over or group.answered then return nil end
  local probe = ctx.sigs:compose(group.name, who(ctx))
  if not probe then return nil end
  local x = submit(ctx, { probe }, math.max(0.001, ctx.deadline - ctx.t:now()))
  if not x then return nil end
  local event = listen(ctx, x, ctx.deadline, function(event)
    return ctx.sigs:judge(group.names, { pair_of(ctx, event) })
  end)
  x:close()
  if ctx.icmp and not ctx.first then return { icmp = true } end
  if event then group.answered = true end
  return event
end

local function try_group(ctx, group, starts)
  local functions = {}
  for i, at in ipairs(starts) do
    functions[i] = function() return attempt(ctx, group, at) end
  end
  local event = ctx.t:race(functions)
  if not event or event.icmp then return event end
  return converse(ctx, group, event)
end

-- When each group's datagrams leave: every group once, then every silent one again.
local function schedule(ctx, groups)
  local span, offsets = 0, {}
  for i, group in ipairs(groups) do
    offsets[i] = span
    span = span + (group.rank == 2 and LIKELY_GAP or GAP)
  end
  local round = math.max(math.min(ROUND, ctx.timeout * 0.9 / ctx.attempts), span)
  ctx.deadline = ctx.t:now() + math.max(ctx.timeout, span + ctx.timeout / 2)
  local functions, now = {}, ctx.t:now()
  for i, group in ipairs(groups) do
    local starts = {}
    for k = 1, ctx.attempts do
      local at = now + offsets[i] + (k - 1) * round
      if k == 1 or at < ctx.deadline - 0.05 then starts[k] = at end
    end
    functions[i] = function() return try_group(ctx, group, starts) end
  end
  return functions
end

-- Without any signature there is still open, closed and silent to tell.
local function bare_probe(ctx)
  local probe = ctx.random(16)
  local x = submit(ctx, { probe, probe }, ctx.timeout / 2)
  local event = x and listen(ctx, x, ctx.t:now() + ctx.timeout, function() return { state = "more" } end)
  if event and begins_with_request(event) then return confirm_echo(ctx, event) end
end

local function state_of(ctx)
  if ctx.first then return "open", "udp-response" end
  local reason = ctx.icmp and ctx.icmp.reason
  if reason == "port-unreach" then return "closed", reason end
  if reason then
    if reason:find("^error") then
      note(ctx, reason)
      return "unknown", "error"
    end
    return "filtered", reason
  end
  if ctx.failure then
    note(ctx, ctx.failure)
    return "unknown", "error"
  end
  return "open|filtered", "no-response"
end

local function totals(ctx)
  local sent, received = 0, 0
  for _, x in ipairs(ctx.exchanges) do
    sent, received = sent + x.sent, received + x.received
    x:close()
  end
  return sent, received
end

--- Ask one UDP port what it is. Runs inside a task of the transport.
-- @param t transport
-- @param target table: `host` numeric address, `port`
-- @param sigs set of mynah.signatures
-- @param opts table: `timeout` seconds after which silence is believed (3), `attempts` at each probe before that (3),
-- `public_ip`, `random` (function of n), `unix` (function)
-- @return table with state, reason, rtt (seconds), sent, received (bytes), evidence, reply, reply_port, and where known service,
-- guess, confidence, product, version, extra, probe, fresh_bits, identity_bits
function udp.identify(t, target, sigs, opts)
  local ctx = {
    t = t, host = target.host, port = target.port, sigs = sigs, timeout = opts.timeout or 3, public_ip = opts.public_ip,
    attempts = opts.attempts or ATTEMPTS, random = opts.random, unix = opts.unix, evidence = {}, exchanges = {},
  }
  local groups = sigs:probes("udp", target.port)
  local ok, found
  if #groups == 0 then
    ok, found = pcall(bare_probe, ctx)
  else
    ok, found = pcall(t.race, t, schedule(ctx, groups))
  end
  ctx.over = true
  local sent, received = totals(ctx)
  if not ok then error(found, 0) end
  if found and found.icmp then found = nil end
  local result = found or ctx.guess or {}
  local event = result.event or ctx.first
  result.event = nil
  result.state, result.reason = state_of(ctx)
  result.sent, result.received = sent, received
  result.rtt = event and event.rtt
  result.reply, result.reply_port = event and event.data, event and event.from_port
  result.confidence = result.confidence or 0
  if not found then
    if event and not result.guess then note(ctx, "answered: " .. text.to_hex(event.data:sub(1, 32))) end
    local lines = result.evidence or {}
    for _, line in ipairs(ctx.evidence) do lines[#lines + 1] = line end
    result.evidence = lines
  end
  return result
end

return udp
