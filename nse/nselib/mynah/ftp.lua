--- FTP, and the others that greet with a number: SMTP, LMTP, NNTP, dictd, HylaFAX, SVDRP.
-- A greeting alone decides nothing. The server is asked on the same connection, by commands that need no login.
-- @module mynah.ftp

local text = require "mynah.text"

local ftp = {}

local DRAIN = 0.2        -- seconds without a byte after which a text of no stated end is over
local COMMAND_WAIT = 10 -- seconds for the answer to one command; a server that says 220 is awake
local DRIP_WAIT = 40    -- seconds for features of which more comes all the time
local DRIP_QUIET = 3    -- seconds between two pieces of such an answer

--- Read one reply of RFC 959: lines of a three-digit code, "-" after it where more lines follow.
-- @param s bytes
-- @param at position of the first, default 1
-- @return table {code (number), lines (array, without line ends), text (lines joined by "\n", without the first code)} and the
-- position after it; or nil where it is not whole yet; or false where this is no such reply
function ftp.parse_reply(s, at)
  at = at or 1
  if not s:find("\n", at, true) then
    local head = s:sub(at, at + 3)
    if #head > 0 and not (head:find("^%d+$") and #head <= 3 or head:find("^%d%d%d[ -]") or head:find("^%d%d%d\r")) then
      return false
    end
    return nil
  end
  local lines, code = {}, nil
  while true do
    local line, after = s:match("^([^\n]*)\n()", at)
    if not line then return nil end
    line = line:gsub("\r$", "")
    local digits, sign = line:match("^(%d%d%d)([ -]?)")
    if not code then
      if not digits or (sign == "" and #line > 3) then return false end
      code = digits
    end
    lines[#lines + 1] = line
    at = after
    if digits == code and (sign == " " or #line == 3) then
      local first = lines[1]:sub(5)
      local joined = #lines == 1 and first or first .. "\n" .. table.concat(lines, "\n", 2)
      return { code = tonumber(code), lines = lines, text = joined }, at
    end
  end
end

-- What there is of a reply that never says it is over.
local function parse_open_reply(s)
  local code = s:match("^%d%d%d")
  if not code then return nil end
  local reply, after = ftp.parse_reply(s:gsub("[^\n]$", "%0\n") .. code .. " \n")
  if not reply then return nil end
  if #reply.lines > 1 then reply.lines[#reply.lines] = nil end
  reply.open = true
  return reply, after
end

--- A conversation in such replies, on one connection.
-- @param t transport
-- @param conn connection
-- @param buffer bytes that came already
-- @param patience seconds that the answer to a command is waited for at the most (10)
-- @return dialogue, whose field `log` is an array of {verb or nil, reply}
function ftp.dialogue(t, conn, buffer, patience)
  local d, command_wait = { buffer = buffer or "", log = {} }, math.min(COMMAND_WAIT, patience or COMMAND_WAIT)

  -- One reply. `quiet` seconds without a byte end a reply that is not well closed. With `is_enough`: a list of features that
  -- drips is waited for, until what there is of it is enough.
  local function read(deadline, quiet, is_enough)
    local latest = deadline + DRIP_WAIT - COMMAND_WAIT
    while true do
      local reply, after = ftp.parse_reply(d.buffer)
      if reply then
        d.buffer = d.buffer:sub(after)
        return reply
      end
      if reply == false and d.log[1] and d.buffer:find("\n") then
        d.buffer = d.buffer:match("\n(.*)$") -- text between replies, as after dictd's 113
      elseif reply == false or d.status then
        return parse_open_reply(d.buffer), d.status or "other"
      end
      if is_enough and t:now() > latest - DRIP_WAIT + quiet then
        local open = parse_open_reply(d.buffer)
        if open and is_enough(open) then return open end
      end
      local bytes, status = conn:receive(math.min(deadline, t:now() + quiet))
      d.buffer = d.buffer .. bytes
      if is_enough and bytes ~= "" and d.buffer:find("^211%-") then
        deadline = math.max(deadline, math.min(latest, t:now() + DRIP_QUIET))
        if t:now() >= latest then d.status = "drips" end
      end
      if bytes == "" and status == "timeout" and (t:now() >= deadline or d.buffer ~= "") then
        local open = parse_open_reply(d.buffer)
        d.buffer = ""
        return open, "timeout"
      end
      if status ~= "more" and status ~= "timeout" then d.status = status end
      if #d.buffer > 65536 then d.status = "full" end
    end
  end

  --- The greeting: 120 is passed over, for another follows it.
  function d.greeting(deadline)
    local reply
    for _ = 1, 5 do
      local r, why = read(deadline, 5)
      if not r then return reply, why end
      reply = r
      if r.code ~= 120 then break end
    end
    return reply
  end

  -- After a 1xx reply text follows, and perhaps another reply: all of that belongs to the command before.
  local function drain()
    local last = d.log[#d.log]
    while last and last.reply.code < 200 do
      local bytes, status = conn:receive(t:now() + DRAIN)
      if status ~= "more" then
        if status ~= "timeout" then d.status = status end
        break
      end
      if #bytes > 65536 then break end
    end
    d.buffer = ""
  end

  --- Send a command, return the reply to it, or nil. `is_enough` of what there is of a reply that drips: no more is waited for.
  function d.ask(verb, is_enough)
    drain()
    if d.status then return nil, d.status end
    if not conn:send(verb .. "\r\n") then
      d.status = "reset"
      return nil, "reset"
    end
    local deadline = t:now() + command_wait
    for _ = 1, 4 do
      local reply, why = read(deadline, 3, is_enough)
      if not reply then return nil, why end
      -- A greeting in two pieces is no answer.
      if reply.code ~= 220 and reply.code ~= 120 then
        d.log[#d.log + 1] = { verb = verb, reply = reply }
        return reply
      end
    end
  end

  return d
end

-- Features of RFC 2389 and its followers that no other protocol lists under 211.
local FEATURES = {}
for word in ("MDTM SIZE REST EPSV EPRT PASV UTF8 MLST MLSD TVFS AUTH PBSZ PROT LANG CLNT MFMT MFCT HOST CCC SSCN "
  .. "XCRC XMD5 XSHA1 SPSV CPSV ESTA ESTP PRET SITE MODE COMB HASH RANG AVBL STAT CSID THMB MFF"):gmatch("%u%w*") do
  FEATURES[word] = true
end

--- The FTP features that a reply to FEAT lists.
-- @param reply what parse_reply gave, or nil
-- @return array of words; empty where it is not FTP's answer
function ftp.features(reply)
  local found = {}
  if reply and reply.code == 211 then
    for i = 2, #reply.lines do
      local word = reply.lines[i]:gsub("^211[ -]", ""):match("^%s*(%w+)")
      if word and FEATURES[word:upper()] then found[#found + 1] = word:upper() end
    end
  end
  return found
end

-- Two features are FTP's.
local function is_feature_list(reply)
  return #ftp.features(reply) >= 2
end

-- FEAT and the features it lists; an offer of TLS, as the verdict's `extra`; nil, nil, nil where there is no answer.
local function ask_features(d)
  local feat = d.ask("FEAT", is_feature_list)
  local offers = feat and feat.code == 211 and feat.text:upper():find("%f[%w]AUTH[^\n]*TLS")
  return feat, ftp.features(feat), offers and "TLS after AUTH TLS" or nil
end

local function words_of(reply)
  local set = {}
  for word in (reply and reply.text or ""):gmatch("%f[%w]%u%u%u%u?%u?%f[^%w]") do set[word] = true end
  return set
end

local function count(set, list)
  local n = 0
  for word in list:gmatch("%u+") do
    if set[word] then n = n + 1 end
  end
  return n
end

local FTP_VERBS = "RETR STOR PASV PORT CWD NLST LIST MODE STRU TYPE CDUP MKD RMD RNFR RNTO APPE STOU PWD XPWD EPSV"
local COMMON_VERBS = "RETR PORT LIST MODE TYPE" -- of these, what others have too
local MAIL_VERBS = "HELO EHLO MAIL RCPT LHLO VRFY EXPN ETRN STARTTLS BDAT"
local FAX_VERBS = "JNEW JKILL JSUBM JSUSP JPARM JQUEUE JWAIT JINTR JDELE FNUMBER ANSWER"
local SVDRP_VERBS = "LSTC LSTE LSTR LSTT CHAN GRAB HITK MODC NEWC UPDT"

-- What FTP servers say of themselves when they turn somebody away at the door.
local TURNED_AWAY = {
  "^There are too many connected users, please try later%.?$",
  "^There are too many connections from your internet address%.?$",
  "maximum number of allowed clients",
  "maximum number of clients",
  "^%d+ users %(the maximum%) are already logged in",
  "^Too many connections %(%d+%) from this IP",
  "[Tt]oo many users",
  "^Sorry, the maximum number of connections %(%d+%) for your host are already connected", -- ProFTPD
  "^Too many connections%. Service temporarily unavailable%.$", -- pyftpdlib
  "[Nn]o anonymous",
  "[Aa]nonymous .*not allowed",
}

-- A word with "ftp" in it, an optional word between, and a version; or the word alone.
local function generic_product(line)
  local name, version = line:match("%f[%w]([%w][%w_.-]-[Ff][Tt][Pp][%w_-]*)[ /]+v?(%d+%.[%w_.-]*%w)")
  if not name then
    name, version = line:match("%f[%w]([%w_.-]*[Ff][Tt][Pp][%w_-]*) +[Ss]erver +v?(%d+%.[%w_.-]*%w)")
  end
  if not name then
    name, version = line:match("(FileZilla Server)[%a ]*v?(%d+%.[%w.-]*%w)")
    if not name then name = line:match("FileZilla Server") or line:match("Microsoft FTP Service") end
  end
  if not name then
    for word in line:gmatch("%f[%w][%w_.-]*[Ff][Tt][Pp][%w_-]*") do
      if #word > 4 and not word:find("%.") and not word:lower():find("^s?ftp[ds]?$") then
        name = word
        break
      end
    end
  end
  return name, version
end

--- Product and version as a banner tells them.
-- @param banner the text of the greeting
-- @return product, version; nil where it tells none
function ftp.product(banner)
  for line in (banner or ""):gmatch("[^\n]+") do
    local name, version = generic_product(line:gsub("^%d%d%d[ -]", ""))
    if name and not name:lower():find("^s?ftp[ds]?$") then -- the protocol's own name is no product
      return text.escape(name, 60), version and text.escape(version, 40)
    end
  end
end

local function said(verb, reply)
  return ("%s: %s"):format(verb, text.escape(reply.lines[1], 80))
end

local function name(service, confidence, evidence, more)
  local v = { service = service, confidence = confidence, evidence = evidence }
  for k, x in pairs(more or {}) do v[k] = x end
  return v
end

local function as_ftp(banner, confidence, evidence, extra)
  local product, version = ftp.product(banner)
  return name("ftp", confidence, evidence, { product = product, version = version, extra = extra, probe = "ftp" })
end

local function by_features(banner, evidence, features, extra)
  local shown = "FEAT: " .. table.concat(features, " ", 1, math.min(8, #features))
  return as_ftp(banner, 0.98, { evidence, shown, extra and "AUTH TLS is offered" }, extra)
end

-- A word that begins so, and is no name of a host.
local function says_ftp(line)
  for word in line:gmatch "[%w._-]+" do
    if word:find "^[Ff][Tt][Pp]" and not word:find "%.%w" then return true end
  end
  return false
end

--- A reply that turns us away before anything was asked: 421, 530 or 500.
-- @param reply the greeting
-- @return a verdict, of 0.9 and more where the text itself tells FTP; nil where it tells nothing
function ftp.judge_refusal(reply)
  local line, evidence = reply.text, { said("greeting", reply) }
  if reply.code == 500 then -- vsftpd's own words, where it cannot begin
    return line:find "^OOPS: " and as_ftp(line, 0.92, evidence) or nil
  end
  if line:find("^%d%.%d+%.%d+ ") or line:find("%f[%a]E?SMTP%f[%A]") then
    return { guess = "smtp", confidence = 0.6, evidence = evidence }
  end
  if says_ftp(line) or ftp.product(line) then return as_ftp(line, 0.92, evidence) end
  for _, pattern in ipairs(TURNED_AWAY) do
    if line:find(pattern) then return as_ftp(line, 0.91, evidence) end
  end
  -- 530 is RFC 959's "not logged in"; dictd, the other one that greets with it, denies access.
  if reply.code == 530 and line:find("[Ll]og[- ]?[io]n") then return as_ftp(line, 0.91, evidence) end
  return { guess = "ftp", confidence = 0.5, evidence = evidence }
end

local function is_fax(banner, help)
  local set = words_of(help)
  return banner:find("HylaFAX", 1, true) or (help and help.text:find("HylaFAX", 1, true)) or count(set, FAX_VERBS) >= 2
end

local function by_help(reply)
  local set, evidence = words_of(reply), { said("HELP", reply) }
  if count(set, FAX_VERBS) >= 2 then return name("hylafax", 0.95, evidence) end
  if count(set, SVDRP_VERBS) >= 3 then return name("svdrp", 0.95, evidence) end
  if reply.code == 113 then return name("dict", 0.95, evidence) end
  if reply.code == 100 then return name("nntp", 0.92, evidence) end
  if reply.code ~= 214 then return nil end
  local mail, file = count(set, MAIL_VERBS), count(set, FTP_VERBS)
  if file >= 3 and mail < 2 and file - count(set, COMMON_VERBS) >= 2 then return name("ftp", 0.95, evidence) end
  if mail >= 2 and file < 3 then return { mail = evidence } end
end

local function lead(evidence, line)
  table.insert(evidence, 1, line)
  return evidence
end

-- A verb that no protocol has, so that what answers it alike is no evidence.
local NONSENSE = "XQZW"

local function asks_login(reply)
  return reply and (reply.code == 530 or reply.code == 503) and reply.text:find("USER") and reply.text:find("PASS")
end

local function judge_files(d, banner, evidence)
  local feat, features, extra = ask_features(d)
  if #features >= 2 then return by_features(banner, evidence, features, extra) end
  if not feat then return nil, nil, true end
  local syst = d.ask("SYST")
  local help = syst and d.ask("HELP")
  local nonsense = (help or syst) and d.ask(NONSENSE)
  if is_fax(banner, help) then
    return name("hylafax", 0.95, { evidence, said(help and "HELP" or "greeting", help or feat) })
  end
  local control = nonsense and nonsense.code
  if #features == 1 and control and control ~= 211 then
    return as_ftp(banner, 0.93, { evidence, "FEAT: " .. features[1] })
  end
  local helped = help and control and control ~= help.code and by_help(help)
  if helped and helped.mail then
    return nil, name("smtp", 0.92, lead(helped.mail, evidence)) -- unless EHLO and LHLO tell more
  elseif helped and helped.service ~= "ftp" then
    lead(helped.evidence, evidence)
    return helped
  end
  if syst and syst.code == 215 and syst.text:find("%a") and control and control >= 400 then
    return as_ftp(banner, 0.95, { evidence, said("SYST", syst) })
  end
  if helped then return as_ftp(banner, 0.95, { evidence, said("HELP", help) }) end
  for _, reply in ipairs { feat, syst or feat, help or feat } do
    if asks_login(reply) then
      return as_ftp(banner, 0.92, { evidence, said("before login", reply) })
    end
  end
  return nil
end

local function judge_mail(d, evidence)
  local ehlo = d.ask("EHLO localhost")
  local control = ehlo and d.ask(NONSENSE)
  if ehlo and ehlo.code == 250 and control and control.code >= 400 then
    return name("smtp", 0.96, { evidence, said("EHLO", ehlo) })
  end
  local lhlo = ehlo and ehlo.code >= 400 and d.ask("LHLO localhost")
  if lhlo and lhlo.code == 250 and control and control.code >= 400 then
    return name("lmtp", 0.96, { evidence, said("LHLO", lhlo) })
  end
  local helo = lhlo and d.ask("HELO localhost") -- mail of before 1995
  if helo and helo.code == 250 and control and control.code >= 400 then
    return name("smtp", 0.95, { evidence, said("HELO", helo) })
  end
end

--- Ask a server that greeted with 220 (or 120) what it is: FEAT, SYST, HELP, then EHLO, LHLO and HELO; never a login.
-- @param d what dialogue gave
-- @param reply its greeting
-- @param trusted a certain verdict that signatures gave for the banner, or nil: it stands where FEAT is refused
-- @return a verdict {service or guess, confidence, evidence, product, version}, or nil where nothing is known
function ftp.judge_220(d, reply, trusted)
  local evidence = said("greeting", reply)
  if trusted then
    local _, features, extra = ask_features(d)
    if #features >= 2 then return by_features(reply.text, evidence, features, extra) end
    -- The letters SMTP may stand in any greeting: only mail answers EHLO so.
    if trusted.service ~= "smtp" or d.status or judge_mail(d, evidence) then return trusted end
  end
  local verdict, mail, mute = judge_files(d, reply.text, evidence)
  verdict = verdict or (not mute and judge_mail(d, evidence)) or mail
  if verdict then return verdict end
  local product = ftp.product(reply.text)
  if product or reply.text:find("%f[%a][Ff][Tt][Pp]%f[%A]") then
    return { guess = "ftp", confidence = 0.7, evidence = { evidence }, product = product }
  elseif reply.text:find("%f[%a]E?SMTP%f[%A]") then
    return { guess = "smtp", confidence = 0.7, evidence = { evidence } }
  end
  return { guess = "ftp", confidence = 0.3, evidence = { evidence } }
end

--- Ask a server that greeted with 200 or 201 whether it is NNTP.
-- @param d what dialogue gave
-- @param reply its greeting
-- @return a verdict or nil
function ftp.judge_200(d, reply)
  local evidence = said("greeting", reply)
  local help = d.ask("HELP")
  local control = help and d.ask(NONSENSE)
  if help and help.code == 100 and control and control.code ~= 100 then
    return name("nntp", 0.95, { evidence, said("HELP", help) })
  end
  local caps = control and d.ask("CAPABILITIES")
  if caps and caps.code == 101 and control.code ~= 101 then
    return name("nntp", 0.95, { evidence, said("CAPABILITIES", caps) })
  end
end

return ftp
