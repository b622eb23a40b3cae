--- The questions that a silent TCP port is asked, and what their answers mean together.
-- A fact is one question's answer: { sent, bytes, status, failed }; judge looks at all facts of a case. No I/O.
-- @module mynah.questions

local case = require "mynah.case"
local http = require "mynah.http"
local skype = require "mynah.skype"
local text = require "mynah.text"
local tls = require "mynah.tls"

local questions = {}

local QUIET = 0.25   -- seconds without a byte that end an answer of unknown shape
local LINE_QUIET = 0.05 -- the same at the end of a line
local SLOW_QUIET = 5 -- the same for one that is plainly unfinished
local CLOSE_WAIT = 3 -- seconds for the close that belongs to Skype's 404

-- A greeting that came late, and whose first line is not whole: digits, and no end.
local function is_begun(bytes)
  return bytes:find("^%d%d?%d?$") ~= nil or bytes:find("^[12]%d%d[ -][^\n]*$") ~= nil
end

local function plain_quiet(bytes)
  return is_begun(bytes) and SLOW_QUIET or QUIET
end

local function http_quiet(bytes)
  if is_begun(bytes) then return SLOW_QUIET end
  if bytes == http.SKYPE_404 then return CLOSE_WAIT end
  local head = bytes:sub(1, 7)
  if head ~= ("HTTP/1."):sub(1, #head) then return bytes:find("\n$") and LINE_QUIET or QUIET end
  local r = http.parse(bytes)
  return r and r.names_end and QUIET or SLOW_QUIET
end

-- Noise may drip; less than a node sends is not whole.
local function noise_quiet(bytes)
  return #bytes < 14 and SLOW_QUIET / 2 or http_quiet(bytes)
end

-- Noise is settled once it is noise; anything else is heard out.
local function is_noise_whole(bytes, c)
  return #bytes >= 64 or skype.is_noise(bytes, c.garbage)
end

local function garbage_of(c)
  c.garbage = c.garbage or skype.garbage(c.random)
  return c.garbage
end

--- Each question: `label` and `probe` for people; bytes(case, connection); whole(bytes so far, case); quiet(bytes so far) in
-- seconds; `second`: it only checks what another answer seemed to say, so its silence is believed soon; `idle`: a connection
-- where nothing was said yet will do for it.
questions.list = {
  get11 = {
    label = "GET / HTTP/1.1", probe = "http-get-1.1", whole = http.is_whole, quiet = http_quiet,
    bytes = function(c) return http.request_11(c.name, c.port) end,
  },
  get10 = {
    label = "GET / HTTP/1.0", probe = "http-get-1.0", whole = http.is_whole, quiet = http_quiet,
    bytes = function() return http.GET_10 end,
  },
  options = {
    label = "OPTIONS / HTTP/1.1", probe = "http-options", whole = http.is_whole, quiet = http_quiet,
    bytes = function(c) return http.request_11(c.name, c.port, "OPTIONS") end,
  },
  head = {
    label = "HEAD / HTTP/1.1", probe = "http-head", idle = true, whole = http.is_head_whole, quiet = http_quiet,
    bytes = function(c) return http.request_11(c.name, c.port, "HEAD") end,
  },
  -- Not 1.1: Redis hangs up on Host, and says what it is to the rest.
  proxied = {
    label = "PROXY, GET / HTTP/1.0", probe = "http-proxied", whole = http.is_whole, quiet = http_quiet,
    bytes = function(c, conn)
      return http.proxy_line(conn.my, conn.my_port, c.host, c.port) .. http.GET_10
    end,
  },
  garbage = {
    label = "garbage", probe = "garbage", whole = is_noise_whole, quiet = noise_quiet, bytes = garbage_of,
  },
  garbage2 = {
    label = "the same garbage", probe = "garbage", second = true, whole = is_noise_whole,
    quiet = noise_quiet, bytes = garbage_of,
  },
  tls = {
    label = "ClientHello", probe = "tls-hello", whole = function(s) return tls.server_hello(s) ~= nil end,
    quiet = plain_quiet, bytes = function(c) return tls.client_hello(c.random, c.name) end,
  },
  rtsp = {
    label = "OPTIONS * RTSP/1.0", probe = "rtsp-options", second = true, quiet = http_quiet,
    whole = function(s) return s:find("\n\r?\n") ~= nil end, bytes = function() return http.RTSP_OPTIONS end,
  },
  socks = {
    label = "SOCKS5 greeting", probe = "socks5", second = true, idle = true, whole = function(s) return #s >= 2 end,
    quiet = plain_quiet, bytes = function() return "\5\1\0" end,
  },
  h2 = {
    label = "HTTP/2 preface", probe = "http-2", whole = http.is_h2, quiet = plain_quiet,
    bytes = function() return http.H2_PREFACE end,
  },
}

--- Read an answer for what it is by itself.
-- @param key of the question
-- @param fact table { sent, bytes, status }; gets `echo`, `alert`, `tls`, `kin`, `h2`, `http` where these apply
-- @return the fact
function questions.read(key, fact)
  local bytes = fact.bytes
  if bytes == "" then return fact end
  fact.echo = bytes == fact.sent
  if fact.echo then return fact end
  fact.alert = tls.alert(bytes)
  fact.kin = http.kin(bytes)
  if key == "tls" then
    fact.tls = tls.server_hello(bytes)
  elseif key ~= "h2" then
    fact.h2 = http.h2_settings(bytes) ~= nil
    fact.http = http.parse(bytes)
  end
  return fact
end

-- How a web server turns away what is no request of its own: garbage, or the probe of a signature.
local function turned_away(c)
  local g = c.facts.garbage
  if g and g.http and http.is_weblike(g.http) then return g.http, g, "garbage" end
  for key, fact in pairs(c.facts) do
    if not questions.list[key] and fact.http and http.is_weblike(fact.http) then return fact.http, fact, key end
  end
end

--- Does it turn what is no request away as web servers do? Then one that leaves GET without an answer may answer another
-- method.
function questions.turns_away(c)
  return turned_away(c) ~= nil
end

--- The answer that speaks HTTP: the one to 1.1, else to 1.0, to another method, to GET handed on by a proxy; else, where
-- GET got nothing (nginx's 444), the one to what is no request, or the error that came before any: pages are not sent unasked.
-- @return the answer as http.parse gives it, its fact and the key of its question; or nil
function questions.http_answer(c)
  local f = c.facts
  local is_answered = false -- a GET, and not as HTTP says
  for _, key in ipairs { "get11", "get10" } do
    if f[key] and f[key].http then return f[key].http, f[key], key end
    is_answered = is_answered or f[key] ~= nil and f[key].bytes ~= ""
  end
  if is_answered then return nil end
  for _, key in ipairs { "options", "head", "proxied" } do
    if f[key] and f[key].http then return f[key].http, f[key], key end
  end
  if not f.get11 then return nil end
  local r, fact, key = turned_away(c)
  if r then return r, fact, key end
  r = c.heard and http.parse(c.heard)
  if r and r.status >= 400 and http.is_weblike(r) then return r, { bytes = c.heard, status = "eof" }, "banner" end
end

local function is_exact(fact)
  return fact ~= nil and skype.is_404(fact.bytes, fact.status)
end

local function is_noise(fact)
  return fact ~= nil and not fact.failed and skype.is_noise(fact.bytes, fact.sent)
end

local function is_bare_404(r)
  return r.body == "" and r.header_count == 0 and r.line == "HTTP/1.0 404 Not Found"
end

--- What must be asked before an HTTP status line is believed, because others say it too: Skype, TLS ports, Tor, RTSP servers.
-- @param c case
-- @param r the answer, as http_answer gives it
-- @return keys of questions, in order; those asked already are among them
function questions.doubts(c, r)
  if is_bare_404(r) then
    local more = is_exact(c.facts.get10) and is_noise(c.facts.garbage) and not c.heard
    return { "get10", "garbage", more and "garbage2" or nil }
  end
  if (r.headers["content-type"] or ""):find "rtsp" then return { "rtsp" } end -- a tunnel through HTTP for it
  local thin = not http.is_weblike(r)
  if r.status == 400 and not c.inside then return thin and { "tls", "rtsp" } or { "tls" } end
  if r.status == 501 then return { "socks", "rtsp" } end
  if r.status >= 500 then return thin and { "rtsp", "socks" } or { "rtsp" } end
  return thin and { "rtsp", "garbage" } or {}
end

local function judge_skype(c)
  local f = c.facts
  local a, b = f.garbage, f.garbage2
  if c.heard or not (is_exact(f.get10) and is_noise(a) and is_noise(b)) then return nil end
  local unlike, why = skype.are_unlike(a.bytes, b.bytes)
  if not unlike then
    c:note("garbage: noise, but " .. why)
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

-- May the answer be believed? false: something is still to be asked, or cannot be, and would have told.
local function is_settled(c, r)
  for _, key in ipairs(questions.doubts(c, r)) do
    if not c.facts[key] then
      if c.asked[key] or c:can_open() then return false end
      if is_bare_404(r) then
        c:keep_guess("skype", key == "garbage2" and 0.8 or 0.5, { "Skype's 404; " .. questions.list[key].label .. ": not asked" })
        return false
      end
      -- TLS would only have told what is around it, and whoever speaks RTSP sends no page.
      if key ~= "tls" and not (key == "rtsp" and (r.body or ""):find "<[hH!]") then
        c:keep_guess("http", 0.7, { case.told(questions.list.get11.label, r.line), questions.list[key].label .. ": not asked" })
        return false
      end
    end
  end
  return true
end

-- An answer in HTTP that says that this is none; the second value is true where it does.
local function judge_disclaimer(c, r, key)
  local service, said = http.disclaims(r)
  if service == nil then return nil, false end
  local q = questions.list[key]
  local evidence = { case.told(q and q.label or key, said) }
  if service then return { service = service, confidence = 0.95, probe = q and q.probe, evidence = evidence }, true end
  c:keep_guess("http", 0.5, evidence)
  return nil, true
end

local function judge_http(c)
  local r, fact, key = questions.http_answer(c)
  if not r or not is_settled(c, r) then return nil end
  local other, is_none = judge_disclaimer(c, r, key)
  if is_none then return other end
  if c.heard and not c.heard:find("^HTTP/1%.") then
    c:keep_guess("http", 0.7, { "a status line for GET, but it spoke first: " .. text.first_line(c.heard, 40) })
    return nil
  end
  local garbage = c.facts.garbage
  if is_bare_404(r) and garbage and garbage.bytes ~= "" and not text.is_text(garbage.bytes) then
    c:keep_guess("http", 0.6, { "exactly Skype's 404, and bytes that are no text for garbage" })
    return nil
  end
  local verdict = http.describe(r)
  local q = questions.list[key] or { label = key, probe = key:gsub("^sig:", "") }
  verdict.service, verdict.probe = "http", q.probe
  verdict.confidence = http.is_weblike(r) and 0.99 or 0.9
  verdict.evidence = { case.told(q.label, fact.bytes, fact.status) }
  if key == "proxied" and r.status ~= 400 then verdict.extra = verdict.extra .. "; wants the PROXY protocol" end
  if r.headers["server"] then verdict.evidence[2] = "Server: " .. text.escape(r.headers["server"], 80) end
  return verdict
end

local function judge_tls(c)
  local fact = c.facts.tls
  if not fact or not fact.tls then return nil end
  local verdict = { tls = true, confidence = 0, probe = "tls-hello", evidence = {} }
  verdict.evidence[1] = fact.tls == "alert" and ("ClientHello: alert %d"):format(fact.alert)
    or "ClientHello: ServerHello, " .. fact.tls
  local r = questions.http_answer(c)
  if r and r.status == 400 then
    -- Only a web server answers plain text on a TLS port with a status line.
    local plain = http.describe(r)
    verdict.service, verdict.confidence, verdict.product, verdict.version = "http", 0.95, plain.product, plain.version
    verdict.extra = plain.extra
    verdict.evidence[2] = "GET / in plain text: " .. text.escape(r.line, 60)
  elseif c.guess and c.guess.guess ~= "echo" then
    verdict.guess, verdict.confidence = c.guess.guess, c.guess.confidence
  end
  return verdict
end

local function judge_kin(c)
  for key, fact in pairs(c.facts) do
    if fact.kin then
      local q = questions.list[key]
      return { service = fact.kin, confidence = 0.95, probe = q.probe, evidence = { case.told(q.label, fact.bytes) } }
    end
  end
  local socks = c.facts.socks
  if socks and socks.bytes:find("^\5[\0\xff]$") then
    return { service = "socks5", confidence = 0.95, probe = "socks5",
      evidence = { "SOCKS5 greeting: " .. text.to_hex(socks.bytes) } }
  end
  local h2 = c.facts.h2
  if h2 and http.is_h2(h2.bytes) then
    return { service = "http", confidence = 0.95, probe = "http-2", extra = c.inside and "HTTP/2" or "HTTP/2 without TLS",
      evidence = { "HTTP/2 preface: SETTINGS, and ours acknowledged" } }
  end
end

local function judge_echo(c)
  if c.heard then return nil end -- an echo service says nothing of its own
  local echoes, probe = 0, nil
  for key, fact in pairs(c.facts) do
    if fact.bytes ~= "" and not fact.echo then return nil end
    if fact.echo then
      echoes = echoes + (fact.echo_twice and 2 or 1)
      probe = key
    end
  end
  if echoes >= 2 then
    return { service = "echo", confidence = 0.95, probe = questions.list[probe] and questions.list[probe].probe or probe,
      evidence = { "all that was sent came back, on two different questions" } }
  elseif echoes == 1 then
    c:keep_guess("echo", 0.6, { "what was sent came back" })
  end
end

--- What all facts of a case say together.
-- @param c case
-- @return a certain verdict { service, confidence, probe, evidence, product, version, extra, tls }, or nil
function questions.judge(c)
  return judge_kin(c) or judge_echo(c) or judge_tls(c) or judge_skype(c) or judge_http(c)
end

return questions
