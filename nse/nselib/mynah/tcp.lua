--- What is behind one TCP port: who speaks first is heard out, who is silent is asked, each question on a connection of
-- its own, a little after the one before stayed silent; the first certain verdict ends all.
--
-- Connection 1 only listens. The others ask: GET by HTTP/1.1 and 1.0, TLS, the probes of signatures, garbage (twice, for
-- Skype). Never more than `max_connections` of them; what is still worth asking depends on the answers so far.
-- @module mynah.tcp

local case = require "mynah.case"
local greeting = require "mynah.greeting"
local http = require "mynah.http"
local likelihood = require "mynah.likelihood"
local questions = require "mynah.questions"
local secure = require "mynah.secure"
local skype = require "mynah.skype"
local text = require "mynah.text"

local tcp = {}

local LISTEN_FIRST = 0.05 -- seconds, and two round trips: who speaks first has done so by then
local STAGGER = { 0.3, 0.3, 0.3, 1, 1.5 } -- seconds of silence after which the next question goes out beside the last
local SECOND_WAIT = 2     -- seconds for the answer to a question that only checks another answer
local LATER_WAIT = 3      -- seconds at least for the answer to any question, where there is patience
local HEARD_WAIT = 5      -- seconds for the answer of a peer that is known to speak
local OPEN_PAUSES = { 0.2, 0.5, 1 } -- seconds between attempts at a port that is known to be open
local ALONE_PAUSE = 0.2   -- seconds that a server for one client needs to see the other gone
local ALONE_TRIES = 10
local HUSH_WAIT = 0.3     -- seconds for a server to turn to the next connection
local CONTROL_WAIT = 0.5  -- seconds of silence that count as none, where answers came in a quarter of that
local LAST_PAUSE = 2      -- seconds that the last connection is kept back for what answers still to come may call for
local LAST_WORDS = 1      -- seconds for the rest, once the peer spoke and everything was asked
local LATE_WORDS = 4      -- the same while questions are still without an answer
local PAGE_QUIET = 0.25   -- seconds without a byte that end a page

-- Asking ----------------------------------------------------------------------------------------------

-- Hold an answer against every signature whose probe is this very request.
local function judge_by_signatures(c, conn, fact)
  if fact.bytes == "" or fact.http then return nil end
  local function judged_by(group)
    if not group or group.constant ~= fact.sent then return nil end
    local pair = c:pair(conn, fact.sent, fact.bytes, fact.status == "eof" or fact.status == "reset")
    return c:named_by(c.sigs:judge(group.names, { pair }))
  end
  local verdict = judged_by(c.groups.page)
  for _, group in ipairs(c.groups) do verdict = verdict or judged_by(group) end
  return verdict
end

local function is_open(status)
  return status == "more" or status == "timeout"
end

-- A connection that answered and stayed open serves for the next probe; but not where a half line of ours waits there for its
-- end, as a ClientHello does.
local function keep_spare(c, conn, fact)
  if is_open(fact.status) and fact.bytes ~= "" and not fact.http and not fact.echo and fact.sent:find "\n$" then
    c.spare = conn
  else
    conn:close()
  end
end

local function hung_up(c, key)
  local fact = c.facts[key]
  return fact and fact.bytes == "" and (fact.status == "eof" or fact.status == "reset" or fact.failed == "reset")
end

-- Before the question: who greets everybody greets here too, and that is no answer; and who hangs up at once was not
-- asked. Returns what came, and true where the peer hung up.
local function listen_before(c, conn)
  if c.heard and c.heard_after <= 1 then
    local wait = 2 * c.heard_after + LISTEN_FIRST + 2 * (conn.rtt or 0)
    local bytes, status = c:collect(conn, c.t:now() + wait, function(s) return #s >= #c.heard end, function()
      return LISTEN_FIRST
    end)
    return bytes, bytes == "" and not is_open(status)
  elseif hung_up(c, "get11") and not c.asked.alone then
    local bytes, status = conn:receive(c.t:now() + LISTEN_FIRST)
    return bytes, bytes == "" and not is_open(status)
  end
  return "", false
end

local function patience_for(c, q, conn)
  if q.second or questions.http_answer(c) then
    -- A server that took its time for the first answer takes it for the others.
    return math.min(c.patience, math.max(SECOND_WAIT, 8 * (conn.rtt or 0), 3 * c.slowest))
  end
  if c.heard or c.busy then return math.min(c.patience, HEARD_WAIT) end
  -- A server that is silent to the first question is waited for; the later ones need not begin their patience anew.
  return math.min(c.patience, math.max(LATER_WAIT, c.began + c.patience - c.t:now()))
end

-- What was sent came back whole: does something else, on the same connection?
local function confirm_echo(c, conn, fact)
  if not fact.echo or not is_open(fact.status) then return end
  local other = skype.garbage(c.random)
  if not conn:send(other) then return end
  local bytes = c:collect(conn, c.t:now() + SECOND_WAIT, function(s) return #s >= #other end, function()
    return LISTEN_FIRST
  end)
  fact.echo_twice = bytes == other
end

local function failed(c, key, why)
  c.facts[key] = { failed = why, bytes = "", sent = "", status = why }
  c:note(("%s: %s"):format(questions.list[key].label, why == "limit" and "not asked" or "connection " .. why))
  return questions.judge(c)
end

local function receive_answer(c, q, conn)
  local asked_at, began = c.t:now(), 0
  local function is_whole(s) return q.whole(s, c) end
  local bytes, status = c:collect(conn, asked_at + patience_for(c, q, conn), is_whole, function(s)
    c.speaking, began = c.speaking + 1 - began, 1
    return q.quiet(s)
  end)
  c.speaking = c.speaking - began
  if bytes ~= "" then
    c.spoke = true
    c.slowest = math.max(c.slowest, c.t:now() - asked_at)
  end
  return bytes, status
end

local function judge_answer(c, conn, fact)
  local verdict = questions.judge(c) or judge_by_signatures(c, conn, fact)
  if verdict then return verdict end
  if not c.heard and greeting.is_late(fact.bytes) and is_open(fact.status) then
    c.hold = true
    verdict = greeting.hear_late(c, conn, fact.bytes)
    c.hold = false
  end
  return verdict
end

-- A connection for a question: an idle one where a few bytes will do; one where nobody has said anything for the page.
local function serves(c, q)
  return c.spare and q and (q.idle or q == questions.list.get11 and c.spare.unused)
end

local function open_for(c, q)
  if not serves(c, q) then return c:open() end
  local conn = c.spare
  c.spare, conn.unused = nil, nil
  return conn
end

local function ask_plain(c, key)
  local conn, why = open_for(c, questions.list[key])
  if not conn then return failed(c, key, why) end
  if conn.protocol == "h2" and not c.asked.h2 then key, c.asked.h2 = "h2", true end -- agreed on within TLS
  local q = questions.list[key]
  local before, gone = listen_before(c, conn)
  if gone then
    conn:close()
    c.hangs_up = true
    return failed(c, key, "closed at once")
  end
  local sent = q.bytes(c, conn)
  conn:send(sent)
  local bytes, status = receive_answer(c, q, conn)
  if c.over then return nil end
  if key == "h2" then bytes = before .. bytes end -- the server's SETTINGS may come before our preface
  local fact = questions.read(key, { sent = sent, bytes = bytes, status = status })
  c.facts[key] = fact
  c.h2 = c.h2 or fact.h2
  if not fact.http then c:note(case.told(q.label, bytes, status)) end
  confirm_echo(c, conn, fact)
  local verdict = judge_answer(c, conn, fact)
  if verdict then
    conn:close()
  else
    keep_spare(c, conn, fact)
  end
  return verdict
end

-- One exchange of a signature's probe: on a connection that answered something before, unless `again` wants a new one.
local function exchange(c, bytes, wait, again, is_enough)
  local conn = c.spare
  c.spare = nil
  if again and conn then
    conn:close()
    conn = nil
  end
  if not (conn and conn:send(bytes)) then
    if conn then conn:close() end
    local why
    conn, why = c:open()
    if not conn then return nil, why end
    if c.heard then listen_before(c, conn) end
    conn:send(bytes)
  end
  local reply, status = c:collect(conn, c.t:now() + wait, function(s) return is_enough(conn, s) end, function()
    return LISTEN_FIRST
  end)
  if reply ~= "" and is_open(status) then
    c.spare = conn
  else
    conn:close()
  end
  return conn, reply, status
end

local function is_answered(c, name, conn, bytes, reply)
  if reply == "" then return "silent" end
  return c.sigs.db:answers_control(name, c:pair(conn, bytes, reply)) and "answered" or "silent"
end

-- The pair of one exchange; step: { step = number, of = name } where it is one.
local function pair_of(c, conn, step, request, reply, closed)
  local pair = c:pair(conn, request, reply, closed)
  if step then pair.step, pair.of = step.step, step.of end
  return pair
end

-- What a conversation sends next, nil where it cannot be composed: the probe, once more or drawn anew, broken, or the step
-- behind it.
local function next_request(c, name, talk)
  if talk.want == "step" then return c.sigs:compose_step(name, talk.step.step, talk[#talk]) end
  if talk.want ~= "same" then talk.request = c.sigs:compose(name, { peer = c.host, peer_port = c.port }) end
  if talk.want == "control" then return c.sigs.db:broken(name, talk.request) end
  return talk.request
end

-- Enough is what ends as the signature says, else what settles the matter.
local function is_enough(c, names, talk, pair, control)
  local ends = c.sigs.info[names[1]]["until"]
  if talk.want == "control" then return false end
  if ends then return pair.reply:find(ends, 1, true) ~= nil end
  local all = { table.unpack(talk) }
  all[#all + 1] = pair
  local verdict = c.sigs:judge(names, all, control)
  return verdict ~= nil and verdict.state == "certain"
end

local function ask_signature(c, key, group)
  local talk = { want = "fresh" }
  local names, name, wait = group.names, group.name, math.min(HEARD_WAIT, c.patience)
  local control, found, slowest = nil, nil, 0
  c.facts[key] = { bytes = "", sent = "", failed = "silent", status = "timeout" }
  for _ = 1, 6 do
    local bytes, step = next_request(c, name, talk), talk.want == "step" and talk.step or nil
    if not bytes then return found end
    local asked_at = c.t:now()
    local conn, reply, status = exchange(c, bytes, wait, c.sigs.info[name].again, function(conn, reply)
      return is_enough(c, names, talk, pair_of(c, conn, step, bytes, reply), control)
    end)
    if c.over or not conn then return found end
    if talk.want == "control" then
      control = is_answered(c, name, conn, bytes, reply)
    elseif reply == "" then
      return found
    else
      c.spoke, slowest = true, math.max(slowest, c.t:now() - asked_at)
      talk[#talk + 1] = pair_of(c, conn, step, bytes, reply, not is_open(status))
      c.facts[key] = { bytes = reply, sent = bytes, status = status, http = http.parse(reply), echo = reply == bytes }
    end
    local verdict, by = c.sigs:judge(names, talk, control)
    found = c:named_by(verdict, by) or found
    if not verdict or not verdict.want then return found end
    talk.want, wait = verdict.want, verdict.want == "control" and math.max(CONTROL_WAIT, 4 * slowest) or SECOND_WAIT
    if talk.want == "step" then talk.step, name = { step = verdict.step, of = by }, by end
  end
  return found
end

-- A server for one client that hangs up on the second is asked once more, alone.
local function ask_alone(c)
  c:hush()
  c.busy, c.hangs_up, c.hold = true, false, true -- nobody asks anything new
  for _ = 1, ALONE_TRIES do
    c.t:sleep(ALONE_PAUSE)
    if c.over then return nil end
    if c.pending == 1 then break end -- only we are left
  end
  c.hold = false
  c.facts, c.asked.get10, c.asked.garbage = {}, nil, nil
  return ask_plain(c, "get11")
end

-- A server that serves one connection after the other reads ours only when the listening one is gone.
local function ask_hushed(c)
  c:hush()
  c.t:sleep(HUSH_WAIT)
end

-- Listening -------------------------------------------------------------------------------------------

local advance -- further down: asks the next question

local function listen(c)
  local conn = c.listener
  if not conn then return nil end
  local began = c.t:now()
  local deadline = math.max(c.began + c.patience, began + math.min(c.patience, LATER_WAIT))
  -- Nobody else can ask: this connection, within TLS, is the last there may be.
  if c.count == 0 and not c:can_open() then deadline = began + math.min(c.patience, LATER_WAIT) end
  local bytes, status = conn:receive(deadline)
  if c.over then return nil end
  if bytes == "" then
    if not is_open(status) then
      if c.listener == conn then c:note("closed before anything was said") end -- not hushed by us
      return nil
    end
    -- Who has said nothing for so long may be asked here, too: it is one connection less.
    c.listener, c.spare, conn.unused = nil, conn, true
    return advance(c)
  end
  c.heard, c.spoke, c.hold = bytes, true, true
  c.heard_after = c.t:now() - began
  local verdict = greeting.hear(c, conn, bytes, deadline)
  c.hold = false
  if verdict then return verdict end
  conn:close()
  if c.over then return nil end
  return advance(c)
end

-- Who was hushed, or refused others while we listened, gets its time to speak first after all.
local function listen_again(c)
  local conn = c:open()
  if not conn or c.heard then return nil end
  c.listener = conn
  return listen(c)
end

-- Planning --------------------------------------------------------------------------------------------

local function any_fact(c, test)
  for _, fact in pairs(c.facts) do
    if test(fact) then return true end
  end
  return false
end

local function greets_late(c)
  return not c.heard and any_fact(c, function(fact) return greeting.is_late(fact.bytes) end)
end

local function answers_in_text(c)
  return any_fact(c, function(fact)
    return fact.bytes ~= "" and text.is_text(fact.bytes) and not fact.bytes:find("^[45]%d%d[ -]")
  end)
end

-- A line protocol that knows no GET says so in its first word, as redis and memcached do.
local function answers_with_error(c)
  return any_fact(c, function(fact) return fact.bytes:find "^%-?ERR" ~= nil end)
end

local function answers_in_bytes(c)
  return any_fact(c, function(fact) return fact.bytes ~= "" and not text.is_text(fact.bytes) end)
end

-- Signatures by rank; among equals those of the kind that this server seems to speak first. All targets at a port share them.
local function ranked(groups, least, most, kind)
  local key = ("%d %d %s"):format(least, most, kind or "")
  if groups.ranked[key] then return groups.ranked[key] end
  local list, later = {}, {}
  for _, group in ipairs(groups) do
    if group.rank >= least and group.rank <= most then
      local into = kind and group.rank == 0 and group.kind ~= kind and later or list
      into[#into + 1] = group
    end
  end
  groups.ranked[key] = table.move(later, 1, #later, #list + 1, list)
  return list
end

local function add(list, more, from)
  table.move(more, from or 1, #more, #list + 1, list)
end

local function add_signatures(c, list, least, most, kind) add(list, ranked(c.groups, least, most, kind)) end

-- Who answers in frames of its own is asked in such: a probe that begins as an answer did.
local function add_kin(c, list)
  local begun = {}
  for _, fact in pairs(c.facts) do
    if #fact.bytes > 1 and not fact.echo and not text.is_text(fact.bytes) then begun[fact.bytes:sub(1, 2)] = true end
  end
  if not next(begun) then return end
  for _, group in ipairs(c.groups) do
    if begun[group.head] then list[#list + 1] = group end
  end
end

-- Asked, and not answered yet.
local function waits_for(c, key) return c.asked[key] and not c.facts[key] end

-- What hangs up on text as this peer does: who waits for more of one text and not of another counts lengths; a reset means
-- that some of it was left unread.
local function add_likely(c, list)
  local way = waits_for(c, "proxied") and "waits" or c.facts.get11.status
  if way == "eof" then list[#list + 1] = "socks" end
  for _, group in ipairs(c.groups) do
    if likelihood.hangs_up(group.service) == way then list[#list + 1] = group end
  end
end

local function plan_silent(c, list)
  list[#list + 1] = "hush"
  local groups = ranked(c.groups, 0, 1, "binary")
  list[#list + 1] = groups[1]
  list[#list + 1] = "tls"
  add(list, groups, 2)
end

-- Who hangs up on GET hangs up on the other one too. It may answer a proxy's line or another method, if only to say that it
-- is none; or it speaks something else. Where it did so before we listened, silence to both may mean that it serves who listens.
local function plan_hung_up(c, list)
  list[#list + 1] = "proxied"
  list[#list + 1] = "tls"
  if c.begun and waits_for(c, "proxied") and waits_for(c, "tls") then list[#list + 1] = "hush" end
  list[#list + 1] = "options"
  local likely = {}
  add_likely(c, likely)
  list[#list + 1] = table.remove(likely, 1)
  list[#list + 1] = "head"
  add(list, likely)
  add_signatures(c, list, 0, 1, "binary")
end

-- The questions in the order of this moment: keys, or groups of signatures.
local function plan_all(c)
  local r = questions.http_answer(c)
  if r then return questions.doubts(c, r) end
  if greets_late(c) then return { not c.listener and "again" or nil } end
  local list = {}
  if any_fact(c, function(fact) return fact.bytes == "\5\xff" end) then list[#list + 1] = "socks" end
  if any_fact(c, function(fact) return fact.alert end) then list[#list + 1] = "tls" end
  if c.h2 then list[#list + 1] = "h2" end
  add_kin(c, list)
  add_signatures(c, list, 2, 2)
  list[#list + 1] = "get11"
  if c.hangs_up and c.listener then list[#list + 1] = "alone" end
  if answers_with_error(c) then
    if not hung_up(c, "get11") then list[#list + 1] = "get10" end -- its answer is held against signatures
    add_signatures(c, list, 0, 1, "text")
  end
  if questions.turns_away(c) then list[#list + 1] = "options" end
  if not hung_up(c, "get11") or answers_in_bytes(c) then
    list[#list + 1] = "get10"
  elseif not c.spoke then
    plan_hung_up(c, list)
  end
  if answers_in_text(c) then
    add_signatures(c, list, 0, 1, "text")
    list[#list + 1] = "tls"
  elseif not c.spoke and not hung_up(c, "get11") then
    plan_silent(c, list)
  else
    list[#list + 1] = "tls"
    if not answers_in_bytes(c) then add_signatures(c, list, 0, 1) end
  end
  list[#list + 1] = "get10"
  list[#list + 1] = "garbage"
  add_signatures(c, list, 0, 1)
  list[#list + 1] = "h2"
  if not c.listener and not c.heard and not c.spoke then list[#list + 1] = "again" end
  return list
end

-- Within TLS there is no TLS.
local function plan(c)
  local list = plan_all(c)
  for i = #list, c.inside and 1 or #list + 1, -1 do
    if list[i] == "tls" then table.remove(list, i) end
  end
  return list
end

-- Connections that a question may still take: one is left for listening again where nobody listens any more.
local function is_affordable(c, q)
  if q == "hush" then return c.listener and c:can_open() end
  if c.spare and (type(q) == "table" or serves(c, questions.list[q])) then return true end
  local spared = not c.listener and not c.heard and not c.spoke and q ~= "again"
  return c:can_open() and (not spared or c.opened < c.max_connections - 1)
end

local function next_question(c)
  if c.over or c.hold or not (c.spare or c:can_open()) then return nil end
  for _, q in ipairs(plan(c)) do
    local key = type(q) == "table" and q.key or q
    if not c.asked[key] and is_affordable(c, q) then return key, q end
  end
end

local function ask(c, key, q)
  if type(q) == "table" then return ask_signature(c, key, q) end
  if key == "hush" then return ask_hushed(c) end
  if key == "alone" then return ask_alone(c) end
  if key == "again" then return listen_again(c) end
  return ask_plain(c, key)
end

-- Everything was asked. Once the peer spoke, nobody waits out its patience; but a web server that turns garbage
-- away at once may take its time for the page.
local function exhausted(c)
  if c.hold or c.over or not c.spoke then return nil end
  local at_work = c.speaking > 0 or any_fact(c, function(fact) return fact.http end)
  if c.pending > 0 and at_work then return nil end
  local before = c.count
  c.t:sleep(c.pending > 0 and LATE_WORDS or LAST_WORDS)
  if c.hold or c.over or c.count ~= before then return nil end
  return questions.judge(c) or { none = true }
end

-- A question is over: the next one goes out at once, but for the last that there may be.
local function go_on(c)
  if c.pending > 0 and not c.over and c.opened == c.max_connections - 1 then
    c.t:sleep(math.max(LAST_PAUSE, 8 * (c.rtt or 0)))
  end
  return advance(c)
end

function advance(c)
  local key, q = next_question(c)
  if not key then return exhausted(c) end
  c.asked[key] = true
  c.count = c.count + 1
  c.pending = c.pending + 1
  local mine, finished = c.count, false
  return c.t:race {
    function()
      local verdict = ask(c, key, q)
      finished = true
      c.pending = c.pending - 1
      return verdict or go_on(c)
    end,
    function()
      repeat
        c.t:sleep(math.max(STAGGER[mine] or STAGGER[#STAGGER], 4 * (c.rtt or 0)))
      until c.speaking == 0 -- who is answering is let finish
      if finished or c.over or c.busy or c.count ~= mine then return nil end
      return advance(c)
    end,
  }
end

-- The whole -------------------------------------------------------------------------------------------

local function not_open(why, reason)
  local state = why == "refused" and "closed" or reason == "error" and "unknown" or "filtered"
  return { state = state, reason = reason, sent = 0, received = 0, confidence = 0,
    evidence = reason == "error" and { text.escape(why) } or {} }
end

local function run(c)
  c.began = c.t:now()
  return c.t:race {
    function() return listen(c) end,
    function()
      c.t:sleep(LISTEN_FIRST + 2 * (c.rtt or 0))
      if c.heard or c.over then return nil end
      return advance(c)
    end,
  }
end

local function as_result(c, verdict)
  local found = verdict and not verdict.none and verdict or c.guess or {}
  local result = { state = "open", reason = "syn-ack", rtt = c.rtt, confidence = 0, tls = false }
  for k, v in pairs(found) do result[k] = v end
  if not (found.service or found.tls) then
    result.evidence = c.evidence
    for _, line in ipairs(found.evidence or {}) do c:note(line) end
  end
  return result
end

-- The connection that listens. A port that is known to be open is not closed because it refuses for a moment, as servers for
-- one client at a time do after whoever found it open.
local function connect_first(t, c, target, known_open)
  local conn, why, reason
  for attempt = 0, known_open and #OPEN_PAUSES or 0 do
    if attempt > 0 then t:sleep(OPEN_PAUSES[attempt]) end
    conn, why, reason = t:connect(target.host, target.port, t:now() + c.timeout)
    if why ~= "refused" then break end
  end
  return conn, why, reason
end

-- What whoever found the port asked it on its connection is not asked again, where it was answered, if by hanging up.
local function take_begun(c, begun)
  if not begun.asked or begun.data == "" and not begun.ended then return end
  local page = questions.list.get11
  if not begun.ended and page.quiet(begun.data) > PAGE_QUIET then return end -- cut in the middle
  local fact = questions.read("get11", { sent = page.bytes(c), bytes = begun.data, status = begun.ended or "timeout" })
  c.facts.get11, c.asked.get11, c.spoke, c.slowest = fact, true, begun.data ~= "", begun.took or 0
  c.begun = true
end

-- One look at a port, over whatever the transport speaks. Returns the result, and how many connections it took.
local function look(t, target, sigs, opts, inside)
  local c = case.new(t, target, sigs, opts)
  c.inside, c.opened = inside, opts.opened + 1
  if target.begun and not inside then take_begun(c, target.begun) end
  local conn, why, reason = connect_first(t, c, target, opts.open or inside)
  -- reset: it was open, and hung up faster than we looked
  if not conn and why ~= "reset" then return not_open(why, reason), c.opened end
  if conn then
    c.listener, c.rtt, c.conns[1] = conn, conn.rtt, conn
    c.h2 = conn.protocol == "h2"
  end
  local ok, verdict = pcall(run, c)
  local sent, received = c:close()
  if not ok then error(verdict, 0) end
  local result = as_result(c, verdict)
  result.sent, result.received = sent, received
  return result, c.opened
end

local function told_of(info)
  local certificate, lines = info.certificate, {}
  if certificate then
    local names = #certificate.names > 0 and table.concat(certificate.names, " ") or certificate.subject or "no name"
    lines[1] = ("certificate of %s%s"):format(text.escape(names, 120),
      certificate.issuer and ", by " .. text.escape(certificate.issuer, 60) or "")
  end
  if info.wants_certificate then lines[#lines + 1] = "a certificate of the client is asked for" end
  return lines
end

-- What is within TLS, by the connections that are left: the same questions again.
local function look_inside(t, target, sigs, opts, outside, opened)
  local over = t.secured and t:secured() or secure.over(t, opts.tls, target.name)
  local within = look(over, target, sigs, setmetatable({ opened = opened, patience = opts.patience }, { __index = opts }), true)
  local result = within.service and within or outside
  result.tls, result.rtt = true, outside.rtt
  result.sent, result.received = outside.sent + within.sent, outside.received + within.received
  local evidence = {}
  for _, line in ipairs(result.evidence or {}) do evidence[#evidence + 1] = line end
  if over.info then
    if over.info.version and result == within then table.insert(evidence, 1, "within " .. over.info.version) end
    for _, line in ipairs(told_of(over.info)) do evidence[#evidence + 1] = line end
  end
  if over.failed and result ~= within then evidence[#evidence + 1] = "handshake: " .. text.escape(over.failed, 80) end
  if not result.service and within.guess and not outside.guess then
    result.guess, result.confidence = within.guess, within.confidence
  end
  result.evidence = evidence
  return result
end

--- What one connection shows already, of a port that was found so: listened to, and asked for a page where it said nothing.
-- @param target table: `host` numeric address, `port`, `name`; `begun`: `data` that came, `asked` (http.request_11 was sent
-- before, else the port spoke first), `took` (seconds from then to its last byte), `ended` ("eof", "reset": by the peer),
-- `my`, `my_port`, `rtt`
-- @param sigs set of mynah.signatures
-- @param opts as for identify
-- @return as identify, where that is certain; else nil
function tcp.settle(target, sigs, opts)
  local c, begun, verdict = case.new(nil, target, sigs, opts), target.begun, nil
  c.opened, c.rtt = 1, begun.rtt
  take_begun(c, begun)
  if begun.asked then
    verdict = c.facts.get11 and questions.judge(c)
  elseif not begun.ended then
    verdict = greeting.at_once(c, begun, begun.data)
  end
  if not verdict then return nil end
  local result = as_result(c, verdict)
  result.sent, result.received = c.facts.get11 and #c.facts.get11.sent or 0, #begun.data
  return result
end

--- Ask one TCP port what it is. Runs inside a task of the transport.
-- @param t transport
-- @param target table: `host` numeric address, `port`, `name` as the user gave the host, `begun` as for settle (or nil): that
-- connection counts
-- @param sigs set of mynah.signatures
-- @param opts table: `timeout` seconds for a connect (3), `patience` seconds for a silent peer (30), `max_connections` (6),
-- `public_ip`, `random` (function of n), `unix` (function), `open` (true where it is known to be), `tls` (function that
-- begins a session, as mynah_host.tls; nil: what is within TLS stays unknown, unless t:secured() gives a transport over TLS)
-- @return table with state, reason, rtt (seconds), sent, received (bytes), evidence, and where known service, guess,
-- confidence, product, version, extra, tls, probe, fresh_bits, identity_bits
-- @raise what the transport raises
function tcp.identify(t, target, sigs, opts)
  opts = setmetatable({ opened = target.begun and 1 or 0 }, { __index = opts })
  local result, opened = look(t, target, sigs, opts, false)
  if not (result.tls and (opts.tls or t.secured)) then return result end
  return look_inside(t, target, sigs, opts, result, opened)
end

return tcp
