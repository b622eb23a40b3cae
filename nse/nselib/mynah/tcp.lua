--- What is behind one TCP port: who speaks first is heard out, who is silent is asked, by several connections
-- in a fixed order, each a little after the one before stayed silent; the first certain verdict ends all.
--
-- Connection 1 only listens. The others ask: GET by HTTP/1.1 and 1.0, TLS, garbage (twice, for Skype), then
-- the probes of signatures. Never more than `max_connections` of them.
-- @module mynah.tcp

local ftp = require "mynah.ftp"
local http = require "mynah.http"
local signatures = require "mynah.signatures"
local skype = require "mynah.skype"
local text = require "mynah.text"
local tls = require "mynah.tls"

local tcp = {}

local LISTEN_FIRST = 0.05 -- seconds, and two round trips: who speaks first has done so by then
local STAGGER = { 0.3, 0.3, 0.6, 1, 1.5 } -- seconds of silence after which the next question goes out beside the last
local SPARE_CONNECTIONS = 2 -- beyond max_connections, for the noise that tells Skype's 404 from anybody's
local SECOND_WAIT = 2     -- seconds for the answer to a question that only checks another answer
local QUIET = 0.25        -- seconds without a byte that end an answer of unknown shape
local SLOW_QUIET = 5      -- the same for one that is plainly unfinished
local CLOSE_WAIT = 3      -- seconds for the close that belongs to Skype's 404
local BUSY_PAUSES = { 0.2, 0.5 } -- seconds between attempts at a server that takes one client at a time
local LAST_WORDS = 1      -- seconds for the rest, once the peer spoke and everything was asked
local LATE_WORDS = 4      -- the same while questions are still without an answer
local HEARD_WAIT = 5      -- seconds for the answer of a peer that is known to speak

local function note(ctx, line)
  if #ctx.evidence < 12 then ctx.evidence[#ctx.evidence + 1] = line end
end

local function pair_of(ctx, conn, request, reply, closed)
  return {
    request = request, reply = reply, my = conn.my, my_port = conn.my_port, peer = ctx.host, peer_port = ctx.port,
    from = ctx.host, from_port = ctx.port, public_ip = ctx.public_ip, time = ctx.unix(), closed = closed,
  }
end

local function keep_guess(ctx, guess, confidence, evidence)
  if guess and (not ctx.guess or confidence > ctx.guess.confidence) then
    ctx.guess = { guess = guess, confidence = confidence, evidence = evidence }
  end
end

-- Turn a verdict of the signatures into one of ours; certain ones are returned, weaker ones kept.
local function from_signature(ctx, v, name)
  if not v or v.state == "no" then return nil end
  local info = ctx.sigs.info[name]
  local verdict = {
    service = info.service, confidence = v.confidence, probe = name, product = v.product, version = v.version,
    extra = v.extra, fresh_bits = v.fresh_bits, identity_bits = v.identity_bits, evidence = signatures.evidence(v),
    signature = true,
  }
  if v.state == "certain" then return verdict end
  if v.state == "guess" then keep_guess(ctx, info.service, v.confidence, verdict.evidence) end
end

-- Connections -----------------------------------------------------------------------------------------

local function count(ctx, conn)
  ctx.conns[#ctx.conns + 1] = conn
  return conn
end

-- A server for one client at a time refuses for a moment while another connection is open.
local function open(ctx, more)
  if ctx.opened >= ctx.max_connections + (more or 0) or ctx.dead then return nil, "limit" end
  ctx.opened = ctx.opened + 1
  local conn, why
  for attempt = 0, #BUSY_PAUSES + 1 do
    if attempt > #BUSY_PAUSES then
      if not ctx.listener or ctx.heard then break end
      ctx.listener:close() -- the last try: alone
      ctx.listener, ctx.alone = nil, true
      ctx.t:sleep(BUSY_PAUSES[1])
    elseif attempt > 0 then
      ctx.t:sleep(BUSY_PAUSES[attempt])
    end
    if ctx.over then return nil, "over" end
    conn, why = ctx.t:connect(ctx.host, ctx.port, ctx.t:now() + ctx.timeout)
    if conn then return count(ctx, conn) end
    if why ~= "refused" then break end
    ctx.busy = true
  end
  ctx.dead = why == "refused"
  return nil, why
end

-- Receive until `whole` says so, the peer ends, or it stays quiet for as long as quiet(bytes) allows.
local function collect(ctx, conn, deadline, whole, quiet)
  local t, buffer = ctx.t, ""
  while true do
    local limit = buffer == "" and deadline or math.min(deadline, t:now() + quiet(buffer))
    local bytes, status = conn:receive(limit)
    buffer = buffer .. bytes
    if status ~= "more" then return buffer, status end
    if #buffer >= ctx.keep then return buffer, "full" end
    if whole(buffer) then return buffer, "more" end
  end
end

-- Questions -------------------------------------------------------------------------------------------

local function http_quiet(bytes)
  if bytes == http.SKYPE_404 then return CLOSE_WAIT end
  local head = bytes:sub(1, 7)
  if head ~= ("HTTP/1."):sub(1, #head) then return QUIET end
  local r = http.parse(bytes)
  if r and r.names_end then return QUIET end
  return SLOW_QUIET
end

local function always_quiet() return QUIET end

local function never() return false end

-- Noise may drip; less than a node sends is not whole.
local function noise_quiet(bytes)
  return #bytes < 14 and SLOW_QUIET / 2 or http_quiet(bytes)
end

local function is_noise_whole(bytes)
  return #bytes >= 64
end

local QUESTIONS = {
  get11 = {
    label = "GET / HTTP/1.1", probe = "http-get-1.1", whole = http.is_whole, quiet = http_quiet,
    bytes = function(ctx) return http.get_11(ctx.name, ctx.port) end,
  },
  get10 = {
    label = "GET / HTTP/1.0", probe = "http-get-1.0", whole = http.is_whole, quiet = http_quiet,
    bytes = function() return http.GET_10 end,
  },
  garbage = {
    label = "garbage", whole = is_noise_whole, quiet = noise_quiet,
    bytes = function(ctx)
      ctx.garbage = ctx.garbage or skype.garbage(ctx.random)
      return ctx.garbage
    end,
  },
  tls = {
    label = "ClientHello", whole = function(s) return tls.server_hello(s) ~= nil end, quiet = always_quiet,
    bytes = function(ctx) return tls.client_hello(ctx.random, ctx.name) end,
  },
  rtsp = {
    label = "OPTIONS * RTSP/1.0", second = true, quiet = http_quiet,
    whole = function(s) return s:find("\n\r?\n") ~= nil end,
    bytes = function() return http.RTSP_OPTIONS end,
  },
  socks = {
    label = "SOCKS5 greeting", second = true, whole = function(s) return #s >= 2 end, quiet = always_quiet,
    bytes = function() return "\5\1\0" end,
  },
  h2 = {
    label = "HTTP/2 preface", whole = http.is_h2, quiet = always_quiet,
    bytes = function() return http.H2_PREFACE end,
  },
}
QUESTIONS.garbage2 = {
  label = "the same garbage", second = true, whole = is_noise_whole, quiet = noise_quiet, bytes = QUESTIONS.garbage.bytes,
}

-- Did what we sent come back? "echo", or nil.
local function is_echo(fact)
  return fact.bytes ~= "" and #fact.bytes >= #fact.sent and fact.bytes:sub(1, #fact.sent) == fact.sent
end

local function read_fact(key, fact)
  local bytes = fact.bytes
  fact.echo = is_echo(fact)
  if fact.echo or bytes == "" then return fact end
  fact.alert = tls.alert(bytes)
  if key == "tls" then fact.tls = tls.server_hello(bytes) end
  fact.kin, fact.kin_line = http.kin(bytes)
  fact.h2 = key ~= "h2" and http.h2_settings(bytes) ~= nil
  if key ~= "h2" and key ~= "tls" then fact.http = http.parse(bytes) end
  return fact
end

-- A question that came back whole: does another one, on the same connection?
local function confirm_echo(ctx, conn, fact)
  if not fact.echo or fact.status ~= "timeout" and fact.status ~= "more" then return end
  local other = skype.garbage(ctx.random)
  if not conn:send(other) then return end
  local bytes = collect(ctx, conn, ctx.t:now() + SECOND_WAIT, function(s) return #s >= #other end, always_quiet)
  fact.echo_twice = bytes == other
end

-- Judging ---------------------------------------------------------------------------------------------

local function told(label, bytes, status)
  if bytes == "" then
    return ("%s: %s"):format(label, status == "timeout" and "silence" or "closed without a word")
  end
  return ("%s: %s"):format(label, text.first_line(bytes, 80))
end

-- The answer that speaks HTTP: the one to 1.1, else to 1.0; else, where both GETs got nothing (nginx's 444), the one
-- to garbage. Returns it read, its fact and its key.
local function http_answer(ctx)
  local f = ctx.facts
  for _, key in ipairs { "get11", "get10" } do
    if f[key] and f[key].http then return f[key].http, f[key], key end
  end
  local g = f.garbage and f.garbage.http
  if g and f.get11 and f.get10 and f.get11.bytes .. f.get10.bytes == "" and http.is_weblike(g) then
    return g, f.garbage, "garbage"
  end
end

local function is_exact(fact)
  return fact ~= nil and skype.is_404(fact.bytes, fact.status)
end

-- What must be asked before an HTTP status line is believed: keys of QUESTIONS, in order.
local function doubts(ctx, r)
  local f = ctx.facts
  if r.body == "" and r.header_count == 0 and r.line == "HTTP/1.0 404 Not Found" then
    local list = { "get10", "garbage" }
    local g = f.garbage
    if is_exact(f.get10) and g and not g.failed and skype.is_noise(g.bytes, g.sent) then list[3] = "garbage2" end
    return list
  end
  local thin = not http.is_weblike(r)
  if r.status == 400 then return thin and { "tls", "rtsp" } or { "tls" } end
  if r.status == 501 then return { "socks", "rtsp" } end
  if r.status >= 500 then return thin and { "rtsp", "socks" } or { "rtsp" } end
  if thin then return { "rtsp", "garbage" } end
  return {}
end

local function judge_skype(ctx)
  local f = ctx.facts
  local a, b = f.garbage, f.garbage2
  if not (is_exact(f.get10) and a and b) or a.failed or b.failed or ctx.heard then return nil end
  if not (skype.is_noise(a.bytes, a.sent) and skype.is_noise(b.bytes, b.sent)) then return nil end
  local unlike, why = skype.are_unlike(a.bytes, b.bytes)
  if not unlike then
    note(ctx, "garbage: noise, but " .. why)
    return nil
  end
  return {
    service = "skype", confidence = 0.97, probe = "skype-tcp",
    evidence = {
      "GET / HTTP/1.0: exactly Skype's 404, then closed",
      ("garbage: %d bytes of noise: %s"):format(#a.bytes, text.to_hex(a.bytes:sub(1, 14))),
      ("the same garbage again: %d bytes of other noise: %s"):format(#b.bytes, text.to_hex(b.bytes:sub(1, 14))),
    },
  }
end

local function judge_http(ctx)
  local r, fact, key = http_answer(ctx)
  if not r then return nil end
  for _, doubt in ipairs(doubts(ctx, r)) do
    if not ctx.facts[doubt] then return nil end -- still to be asked, or on its way
  end
  local verdict = http.describe(r)
  verdict.service, verdict.probe = "http", QUESTIONS[key].probe or key
  verdict.confidence = http.is_weblike(r) and 0.99 or 0.9
  verdict.evidence = { told(QUESTIONS[key].label, fact.bytes, fact.status) }
  if r.headers["server"] then verdict.evidence[2] = "Server: " .. text.escape(r.headers["server"], 80) end
  return verdict
end

local function judge_tls(ctx)
  local fact = ctx.facts.tls
  if not fact or not fact.tls then return nil end
  local verdict = { tls = true, confidence = 0, probe = "tls-hello", done = true }
  verdict.evidence = { fact.tls == "alert" and ("ClientHello: alert %d"):format(fact.alert or 0)
    or "ClientHello: ServerHello, " .. fact.tls }
  local r = http_answer(ctx)
  if r and r.status == 400 then
    local plain = http.describe(r)
    verdict.service, verdict.confidence, verdict.product, verdict.version = "http", 0.95, plain.product, plain.version
    verdict.extra = plain.extra
    table.insert(verdict.evidence, "GET / in plain text: " .. text.escape(r.line, 60))
  elseif ctx.guess and ctx.guess.guess ~= "echo" then
    verdict.guess, verdict.confidence = ctx.guess.guess, ctx.guess.confidence
  end
  return verdict
end

local function judge_kin(ctx)
  for key, fact in pairs(ctx.facts) do
    if fact.kin then
      return {
        service = fact.kin, confidence = 0.95, probe = key,
        evidence = { told(QUESTIONS[key] and QUESTIONS[key].label or key, fact.bytes) },
      }
    end
  end
  local socks = ctx.facts.socks
  if socks and not socks.failed and socks.bytes:find("^\5[\0\xff]$") then
    return { service = "socks5", confidence = 0.95, probe = "socks5",
      evidence = { "SOCKS5 greeting: " .. text.to_hex(socks.bytes) } }
  end
  local h2 = ctx.facts.h2
  if h2 and not h2.failed and http.is_h2(h2.bytes) then
    return { service = "http", confidence = 0.95, probe = "http-2", extra = "HTTP/2 without TLS",
      evidence = { "HTTP/2 preface: SETTINGS and its acknowledgement" } }
  end
end

local function judge_echo(ctx)
  local echoes = {}
  if ctx.heard then return nil end -- an echo service says nothing of its own
  for key, fact in pairs(ctx.facts) do
    if fact.bytes ~= "" and not fact.echo then return nil end
    if fact.echo then echoes[#echoes + 1] = key end
    if fact.echo_twice then echoes[#echoes + 1] = key end
  end
  if #echoes >= 2 then
    return { service = "echo", confidence = 0.95, probe = echoes[1],
      evidence = { "all that was sent came back, on two different questions" } }
  elseif #echoes == 1 then
    keep_guess(ctx, "echo", 0.6, { "what was sent came back" })
  end
end

local function decide(ctx)
  return judge_kin(ctx) or judge_echo(ctx) or judge_tls(ctx) or judge_skype(ctx) or judge_http(ctx)
end

-- Asking ----------------------------------------------------------------------------------------------

-- Hold an answer against every signature whose probe is this very request.
local function judge_by_signatures(ctx, conn, request, bytes, status)
  if bytes == "" then return nil end
  for _, group in ipairs(ctx.groups) do
    if group.constant == request then
      local pair = pair_of(ctx, conn, request, bytes, status == "eof" or status == "reset")
      local verdict = from_signature(ctx, ctx.sigs:judge(group.names, { pair }))
      if verdict then return verdict end
    end
  end
end

local function keep_spare(ctx, conn, fact)
  local open_still = fact.status == "more" or fact.status == "timeout"
  if open_still and fact.bytes ~= "" and not fact.http and not fact.echo then
    ctx.spare = conn
  else
    conn:close()
  end
end

-- Who greets everybody greets here too: what comes before the question is no answer to it.
local function skip_greeting(ctx, conn)
  if not ctx.heard or ctx.heard_after > 1 then return "" end
  local wait = 2 * ctx.heard_after + LISTEN_FIRST + 2 * (conn.rtt or 0)
  return collect(ctx, conn, ctx.t:now() + wait, function(s) return #s >= #ctx.heard end, function() return LISTEN_FIRST end)
end

local function patience_for(ctx, q, conn)
  if q.second or http_answer(ctx) then
    -- A server that took its time for the first answer takes it for the others.
    return math.min(ctx.patience, math.max(SECOND_WAIT, 8 * (conn.rtt or 0), 3 * ctx.slowest))
  end
  return (ctx.heard or ctx.busy) and math.min(ctx.patience, HEARD_WAIT) or ctx.patience
end

-- Answers that come only when the first connection is gone: this server serves one after the other. Then nobody listens
-- meanwhile, and one question waits for the other.
local function notice_serial(ctx, asked_at, fact)
  local since = ctx.anew_at and ctx.t:now() - ctx.anew_at
  if not since or asked_at > ctx.anew_at or since > LAST_WORDS or fact.bytes:find("^[12]%d%d[ -]") then return end
  ctx.busy, ctx.alone = true, true
  if ctx.listener then ctx.listener:close() end
  ctx.listener = nil
end

local function ask_plain(ctx, key, more)
  local q = QUESTIONS[key]
  local conn, why = open(ctx, more)
  if not conn then
    ctx.facts[key] = { failed = why, bytes = "", sent = "" }
    note(ctx, ("%s: %s"):format(q.label, why == "limit" and "not asked" or "connection " .. why))
    return decide(ctx)
  end
  local sent = q.bytes(ctx)
  local greeting = skip_greeting(ctx, conn)
  conn:send(sent)
  local began, asked_at = 0, ctx.t:now()
  local bytes, status = collect(ctx, conn, ctx.t:now() + patience_for(ctx, q, conn), q.whole, function(s)
    ctx.speaking, began = ctx.speaking + 1 - began, 1
    return q.quiet(s)
  end)
  ctx.speaking = ctx.speaking - began
  if ctx.over then return nil end
  if key == "h2" then bytes = greeting .. bytes end -- the server's SETTINGS may come before our preface
  local fact = read_fact(key, { sent = sent, bytes = bytes, status = status })
  ctx.facts[key] = fact
  if bytes ~= "" then
    ctx.spoke = true
    ctx.slowest = math.max(ctx.slowest, ctx.t:now() - asked_at)
  end
  ctx.h2 = ctx.h2 or fact.h2
  if not ctx.heard then notice_serial(ctx, asked_at, fact) end
  if not fact.http then note(ctx, told(q.label, bytes, status)) end
  confirm_echo(ctx, conn, fact)
  local verdict = decide(ctx) or (not fact.http and judge_by_signatures(ctx, conn, sent, bytes, status))
  if verdict then
    conn:close()
  else
    keep_spare(ctx, conn, fact)
  end
  return verdict
end

-- One exchange of a signature's probe: on a connection that answered something before, or on a new one.
local function exchange(ctx, bytes, wait)
  local conn = ctx.spare
  ctx.spare = nil
  if not (conn and conn:send(bytes)) then
    if conn then conn:close() end
    local why
    conn, why = open(ctx)
    if not conn then return nil, why end
    conn:send(bytes)
  end
  local reply, status = collect(ctx, conn, ctx.t:now() + wait, never, always_quiet)
  if reply ~= "" and (status == "timeout" or status == "more") then
    ctx.spare = conn
  else
    conn:close()
  end
  return conn, reply, status
end

local function ask_signature(ctx, key, group)
  local pairs_, control, request = {}, nil, nil
  local want, wait = "fresh", SLOW_QUIET
  for _ = 1, 4 do
    if want ~= "same" then request = ctx.sigs:compose(group.name, { peer = ctx.host, peer_port = ctx.port }) end
    if not request then break end
    local bytes = request
    if want == "control" then bytes = ctx.sigs.db:broken(group.name, request) or request end
    local conn, reply, status = exchange(ctx, bytes, wait)
    if ctx.over or not conn then break end
    if want == "control" then
      local answered = reply ~= "" and (reply:sub(1, #bytes) == bytes
        or ctx.sigs.db:match(group.name, pair_of(ctx, conn, bytes, reply)).matched)
      control = answered and "answered" or "silent"
    elseif reply == "" then
      break
    else
      ctx.spoke = true
      pairs_[#pairs_ + 1] = pair_of(ctx, conn, request, reply, status == "eof" or status == "reset")
    end
    local verdict, name = ctx.sigs:judge(group.names, pairs_, control)
    local found = from_signature(ctx, verdict, name)
    ctx.facts[key] = { bytes = reply, sent = bytes, status = status }
    if found then return found end
    if not verdict or verdict.state ~= "more" then break end
    want, wait = verdict.want, SECOND_WAIT
    if want == "control" then wait = 0.5 end
  end
  ctx.facts[key] = ctx.facts[key] or { bytes = "", sent = request or "", failed = "silent" }
end

-- A server that serves one connection after the other reads ours only when the listening one is gone; a slow
-- one still gets to speak first on its successor.
local function listen_anew(ctx)
  if ctx.heard or not ctx.listener then return nil end
  local before = ctx.listener
  local conn = open(ctx)
  if not conn then return nil end
  if ctx.heard or ctx.listener ~= before then
    conn:close()
    return nil
  end
  ctx.listener, ctx.anew_at = conn, ctx.t:now()
  before:close()
end

-- A server for one client that hangs up on the second is asked once more, alone.
local function ask_alone(ctx)
  ctx.listener:close()
  ctx.listener, ctx.alone = nil, true
  ctx.t:sleep(BUSY_PAUSES[1])
  if ctx.over then return nil end
  return ask_plain(ctx, "get11")
end

local function hung_up(ctx, key)
  local fact = ctx.facts[key]
  return fact and fact.bytes == "" and (fact.status == "eof" or fact.status == "reset" or fact.failed == "reset")
end

local function answered_as_text(ctx)
  for _, fact in pairs(ctx.facts) do
    if not fact.failed and fact.bytes ~= "" and text.is_text(fact.bytes) and not fact.bytes:find("^[45]%d%d[ -]") then
      return true
    end
  end
end

local function has_alert(ctx)
  for _, fact in pairs(ctx.facts) do
    if fact.alert then return true end
  end
end

-- The questions in the order of this moment: keys, or groups of signatures.
local function plan(ctx)
  local r = http_answer(ctx)
  if r then return doubts(ctx, r), is_exact(ctx.facts.get10) and SPARE_CONNECTIONS or 0 end
  local list = {}
  local function signature_groups(least, most)
    for _, group in ipairs(ctx.groups) do
      if group.rank >= least and group.rank <= most then list[#list + 1] = group end
    end
  end
  if has_alert(ctx) then list[#list + 1] = "tls" end
  if ctx.h2 then list[#list + 1] = "h2" end
  signature_groups(2, 2)
  list[#list + 1] = "get11"
  list[#list + 1] = "get10"
  if answered_as_text(ctx) then
    signature_groups(0, 1)
  elseif not ctx.spoke and not hung_up(ctx, "get11") and not ctx.alone then
    list[#list + 1] = "anew"
  end
  list[#list + 1] = "tls"
  list[#list + 1] = "garbage"
  if ctx.listener and not ctx.heard and hung_up(ctx, "get11") and hung_up(ctx, "get10") and hung_up(ctx, "tls") then
    list[#list + 1] = "alone"
  end
  signature_groups(0, 1)
  list[#list + 1] = "h2"
  return list
end

local function next_question(ctx)
  if ctx.over or ctx.dialogue then return nil end
  local list, more = plan(ctx)
  for _, q in ipairs(list) do
    local key = type(q) == "table" and "sig:" .. q.name or q
    local affordable = ctx.opened < ctx.max_connections + (more or 0) or (type(q) == "table" and ctx.spare)
    if not ctx.asked[key] and affordable then return key, q, more end
  end
end

local function ask(ctx, key, q, more)
  if type(q) == "table" then return ask_signature(ctx, key, q) end
  if key == "anew" then return listen_anew(ctx) end
  if key == "alone" then return ask_alone(ctx) end
  return ask_plain(ctx, key, more)
end

-- A greeting that came as the answer to a question: the one who listens will hear it too.
local function greets_late(ctx)
  for _, fact in pairs(ctx.facts) do
    if fact.bytes:find("^[12]%d%d[ -]") then return true end
  end
end

local function speaks_http(ctx)
  for _, fact in pairs(ctx.facts) do
    if fact.http then return true end
  end
end

-- Everything was asked. Once the peer spoke, nobody waits out its patience; but a web server that turns garbage
-- away at once may take its time for the page.
local function exhausted(ctx)
  if ctx.dialogue or ctx.over or not ctx.spoke then return nil end
  if ctx.pending > 0 and (speaks_http(ctx) or ctx.speaking > 0) then return nil end
  local wait = ctx.pending > 0 and LATE_WORDS or LAST_WORDS
  if not ctx.heard and greets_late(ctx) then wait = LATE_WORDS end
  local before = ctx.count
  ctx.t:sleep(wait)
  if ctx.dialogue or ctx.over or ctx.count ~= before then return nil end
  return decide(ctx) or { none = true }
end

local function advance(ctx)
  local key, q, more = next_question(ctx)
  if not key then return exhausted(ctx) end
  ctx.asked[key] = true
  ctx.count = ctx.count + 1
  ctx.pending = ctx.pending + 1
  local mine, finished = ctx.count, false
  return ctx.t:race {
    function()
      local verdict = ask(ctx, key, q, more)
      finished = true
      ctx.pending = ctx.pending - 1
      return verdict or advance(ctx)
    end,
    function()
      repeat
        ctx.t:sleep(math.max(STAGGER[mine] or STAGGER[#STAGGER], 4 * (ctx.rtt or 0)))
      until ctx.speaking == 0 -- who is answering is let finish
      if finished or ctx.over or ctx.busy or ctx.count ~= mine then return nil end
      return advance(ctx)
    end,
  }
end

-- Listening -------------------------------------------------------------------------------------------

local function finish_greeting(ctx, verdict, hint)
  if not verdict then return nil end
  if verdict.service == "ftp" and hint and hint.service == "ftp" then
    verdict.product, verdict.version = hint.product or verdict.product, hint.version or verdict.version
  end
  if verdict.service then return verdict end
  keep_guess(ctx, verdict.guess, verdict.confidence, verdict.evidence)
end

-- The peer greets with a number: that is FTP's and a dozen others' habit.
local function hear_number(ctx, conn, bytes, deadline)
  local d = ftp.dialogue(ctx.t, conn, bytes)
  local reply = d.greeting(deadline)
  if not reply then
    d.buffer = d.buffer == "" and bytes or d.buffer
    return from_signature(ctx, ctx.sigs:judge_banner(pair_of(ctx, conn, nil, d.buffer)))
  end
  local raw = table.concat(reply.lines, "\r\n") .. "\r\n"
  note(ctx, "greeting: " .. text.escape(reply.lines[1], 80))
  local hint = from_signature(ctx, ctx.sigs:judge_banner(pair_of(ctx, conn, nil, raw, d.status == "eof")))
  local trusted = hint and hint.service ~= "ftp" and hint or nil
  if reply.code == 220 or reply.code == 120 then
    return finish_greeting(ctx, ftp.judge_220(d, reply, trusted), hint)
  elseif reply.code == 421 or reply.code == 530 then
    return trusted or finish_greeting(ctx, ftp.judge_refusal(reply), hint)
  elseif trusted then
    return trusted
  elseif reply.code == 200 or reply.code == 201 then
    return finish_greeting(ctx, ftp.judge_200(d, reply), hint)
  end
end

local function banner_quiet(bytes)
  if text.is_text(bytes) and not bytes:find("\n") then return 2 end
  return QUIET
end

local function banner_whole(bytes)
  return bytes:find("\n$") ~= nil and text.is_text(bytes)
end

-- What a peer says first that is no number: signatures know it, or nobody.
local function hear(ctx, conn, bytes, deadline)
  if not banner_whole(bytes) then
    local more, status = collect(ctx, conn, deadline, function(s) return banner_whole(bytes .. s) end, function(s)
      return banner_quiet(bytes .. s)
    end)
    bytes, ctx.heard_status = bytes .. more, status
  end
  ctx.heard = bytes
  note(ctx, "banner: " .. text.first_line(bytes, 80))
  local kin, line = http.kin(bytes)
  if kin then
    return { service = kin, confidence = 0.9, probe = "banner", evidence = { "banner: " .. text.escape(line, 80) } }
  end
  if http.h2_settings(bytes) then ctx.h2 = true end
  return from_signature(ctx, ctx.sigs:judge_banner(pair_of(ctx, conn, nil, bytes)))
end

local function first_bytes(ctx)
  while true do
    local conn = ctx.listener
    if not conn then return nil, "", "closed" end
    local deadline = ctx.t:now() + ctx.patience
    local bytes, status = conn:receive(deadline)
    if status ~= "closed" or ctx.listener == conn or bytes ~= "" then return conn, bytes, status, deadline end
  end
end

local function listen(ctx)
  local began = ctx.t:now()
  local conn, bytes, status, deadline = first_bytes(ctx)
  if bytes == "" or ctx.over then
    ctx.facts.listen = { bytes = "", sent = "", status = status, failed = status }
    if conn and status ~= "closed" and status ~= "timeout" then
      note(ctx, "closed before anything was said")
    end
    return nil
  end
  ctx.heard, ctx.spoke, ctx.dialogue = bytes, true, true
  ctx.heard_after = ctx.t:now() - began
  if #bytes < 4 and bytes:find("^%d+$") then
    local more = collect(ctx, conn, deadline, function(s) return #bytes + #s >= 4 end, function() return SLOW_QUIET end)
    bytes = bytes .. more
  end
  local verdict
  if bytes:find("^%d%d%d[ \r\n-]") then
    verdict = hear_number(ctx, conn, bytes, deadline)
  else
    verdict = hear(ctx, conn, bytes, deadline)
  end
  ctx.dialogue = false
  if verdict then return verdict end
  conn:close()
  if ctx.over then return nil end
  return advance(ctx)
end

-- A server for one client at a time gets its chance to speak after all questions failed.
local function listen_last(ctx)
  if not ctx.alone or ctx.heard or ctx.opened >= ctx.max_connections then return nil end
  ctx.listener = open(ctx)
  return ctx.listener and listen(ctx)
end

local function close_all(ctx)
  ctx.over = true
  for _, conn in ipairs(ctx.conns) do conn:close() end
end

local function totals(ctx)
  local sent, received = 0, 0
  for _, conn in ipairs(ctx.conns) do
    sent, received = sent + conn.sent, received + conn.received
  end
  return sent, received
end

--- Ask one TCP port what it is. Runs inside a task of the transport.
-- @param t transport
-- @param target table: `host` numeric address, `port`, `name` as the user gave the host
-- @param sigs set of mynah.signatures
-- @param opts table: `timeout` seconds for a connect (3), `patience` seconds for a silent peer (30), `max_connections` (6),
-- `public_ip`, `random` (function of n), `unix` (function)
-- @return table with state, reason, rtt (seconds), sent, received (bytes), evidence, and where known service, guess, confidence,
-- product, version, extra, tls, probe, fresh_bits, identity_bits
function tcp.identify(t, target, sigs, opts)
  local timeout = opts.timeout or 3
  local ctx = {
    t = t, host = target.host, port = target.port, name = target.name or target.host, sigs = sigs,
    timeout = timeout, patience = opts.patience or 30, max_connections = opts.max_connections or 6,
    public_ip = opts.public_ip, random = opts.random, unix = opts.unix, keep = 65536,
    groups = sigs:probes("tcp", target.port),
    facts = {}, asked = {}, conns = {}, evidence = {}, opened = 1, count = 0, pending = 0, speaking = 0, slowest = 0,
  }
  local conn, why, reason = t:connect(target.host, target.port, t:now() + timeout)
  if not conn and why ~= "reset" then -- reset: it was open, and hung up faster than we looked
    local state = why == "refused" and "closed" or reason == "error" and "unknown" or "filtered"
    return { state = state, reason = reason, sent = 0, received = 0, confidence = 0,
      evidence = reason == "error" and { text.escape(why) } or {} }
  end
  ctx.listener, ctx.rtt = conn and count(ctx, conn), conn and conn.rtt
  local ok, verdict = pcall(t.race, t, {
    function() return listen(ctx) end,
    function()
      t:sleep(LISTEN_FIRST + 2 * (ctx.rtt or 0))
      if ctx.heard or ctx.over then return nil end
      return advance(ctx)
    end,
  })
  if ok and not verdict then ok, verdict = pcall(listen_last, ctx) end
  close_all(ctx)
  if not ok then error(verdict, 0) end
  local found = verdict and not verdict.none and verdict or ctx.guess or {}
  local result = {}
  for k, v in pairs(found) do result[k] = v end
  result.state, result.reason, result.rtt = "open", "syn-ack", ctx.rtt
  result.sent, result.received = totals(ctx)
  result.tls = result.tls or false
  if not (found.service or found.tls) then
    result.evidence = ctx.evidence
    for _, line in ipairs(found.evidence or {}) do note(ctx, line) end
  end
  result.confidence = result.confidence or 0
  return result
end

return tcp
