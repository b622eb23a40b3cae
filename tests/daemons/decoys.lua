-- decoys.lua - servers that look like FTP, HTTP or Skype and are not, and odd ones that are; each row names the sentence of
-- a check that it attacks.
--
--   lua5.3 tests/daemons/decoys.lua [NAME…]     no NAME: all of them; needs Lua 5.3 or 5.4
--   lua5.3 tests/daemons/decoys.lua --list      says which there are, and opens nothing
--
-- prints one JSON line for each port:
--   {"name":"echo","host":"127.0.0.1","port":23456,"transport":"tcp","why":"…","truth":{"may":["echo"]}}
-- then {"ready":N}. On standard input it takes lines: `counts` prints one JSON line for each port, {"name","port","transport",
-- "connections","most_at_once","datagrams","received","sent"}, then {"end":true}. It ends when its input does.
--
-- truth: what may be said of it, and nothing else
--   is = "ftp"           must be called so
--   may = {"smtp", …}    may be called so, or not named
--   (neither)            must not be named
--   hint = "ftp"         named or guessed so: enough was said to have an idea
--   state = "open"       the state that must be reported, where it is not simply open
local here = (arg and arg[0] or ""):match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path

local uv = require "luv"
local json = require "cjson"
local ports = require "ports"

local function bytes(n)
  return uv.random(n)
end

local function hex(text)
  return (text:gsub("%s", ""):gsub("..", function(pair) return string.char(tonumber(pair, 16)) end))
end

local function xor(text, key)
  return (text:gsub(".", function(c) return string.char(c:byte() ~ key) end))
end

-- A stream of bytes that follows from `seed` alone (xorshift): noise that is the same for the same question.
local function noise_of(seed, n)
  local state = 88172645463325252
  for i = 1, #seed do state = (state * 31 + seed:byte(i)) & 0x7fffffffffffffff end
  local out = {}
  for i = 1, n do
    state = state ~ (state << 13)
    state = state ~ (state >> 7)
    state = state ~ (state << 17)
    out[i] = string.char((state >> 24) & 255)
  end
  return table.concat(out)
end

-- What a Skype node takes for an HTTP request.
local function is_http(data)
  return data:find("^%u+ %S+ HTTP/%d") ~= nil
end

---------------------------------------------------------------------------------------------------------------------------
-- TCP: a decoy is a function of a connection, run as a coroutine; when it returns the connection is closed.

local conn_mt = {}
conn_mt.__index = conn_mt

local function resume(conn, ...)
  local ok, message = coroutine.resume(conn.thread, ...)
  if not ok then io.stderr:write("decoy ", conn.name, ": ", tostring(message), "\n") end
  if coroutine.status(conn.thread) == "dead" then conn:close() end
end

-- What came next, or nil at the end.
function conn_mt:read()
  if #self.queue == 0 and not self.ended then
    self.reading = true
    coroutine.yield()
    self.reading = false
  end
  return table.remove(self.queue, 1)
end

-- false once the connection is gone.
function conn_mt:sleep(ms)
  if self.gone then return false end
  self.timer = uv.new_timer()
  self.timer:start(ms, 0, function()
    if self.timer then self.timer:close() self.timer = nil end
    resume(self)
  end)
  coroutine.yield()
  return not self.gone
end

function conn_mt:write(data)
  if self.gone then return false end
  self.sent = self.sent + #data
  self.count.sent = self.count.sent + #data
  self.handle:write(data)
  return true
end

-- Waits till it is written.
function conn_mt:push(data)
  if self.gone then return false end
  self.count.sent = self.count.sent + #data
  local failed
  self.handle:write(data, function(err)
    failed = err
    if coroutine.status(self.thread) == "suspended" then resume(self) end
  end)
  coroutine.yield()
  return not failed and not self.gone
end

-- One byte at a time.
function conn_mt:drip(data, ms)
  for i = 1, #data do
    if not self:write(data:sub(i, i)) or not self:sleep(ms) then return false end
  end
  return true
end

function conn_mt:close()
  if self.gone then return end
  self.gone = true
  if self.timer then self.timer:close() self.timer = nil end
  if not self.handle:is_closing() then
    -- Written bytes still go out: shutdown first. Unread input would turn close into a reset, so it is read away.
    local handle = self.handle
    local after = function() if not handle:is_closing() then handle:close() end end
    if not handle:shutdown(after) then after() end
  end
  if self.on_close then self.on_close() end
end

function conn_mt:reset()
  self.gone = true
  if not self.handle:is_closing() then self.handle:close_reset() end
  if self.on_close then self.on_close() end
end

-- Stays connected and says nothing more until the peer goes.
function conn_mt:stay()
  while self:read() do end
end

local function accept(listener, decoy, count, on_close)
  local handle = uv.new_tcp()
  listener:accept(handle)
  handle:nodelay(true)
  count.connections = count.connections + 1
  count.now = count.now + 1
  count.most_at_once = math.max(count.most_at_once, count.now)
  local conn = setmetatable({ handle = handle, name = decoy.name, queue = {}, sent = 0, count = count,
    number = count.connections, memory = count.memory }, conn_mt)
  conn.thread = coroutine.create(decoy.tcp)
  conn.on_close = function() count.now = count.now - 1 if on_close then on_close() end end
  handle:read_start(function(err, data)
    if data then
      count.received = count.received + #data
      if conn.gone then return end
      conn.queue[#conn.queue + 1] = data
    else
      conn.ended = true
      if err and not conn.gone then conn.ended = true conn:close() return end
    end
    if conn.reading then
      resume(conn)
    elseif conn.ended and conn.timer then
      conn:close()
    end
  end)
  resume(conn, conn)
end

local function listen(decoy, host, port, count)
  local function open()
    local listener = uv.new_tcp()
    assert(listener:bind(host, port))
    assert(listener:listen(128, function(err)
      if err then return end
      if not decoy.single then accept(listener, decoy, count) return end
      accept(listener, decoy, count, function()
        -- A server for one client: nobody else gets in till a moment after it left.
        local timer = uv.new_timer()
        timer:start(300, 0, function() timer:close() open() end)
      end)
      listener:close()
    end))
  end
  open()
end

-- A peer that says `banner`, then answers lines by `answer(line, conn)`: text, or nil for silence, or false to close.
local function talk(banner, answer)
  return function(conn)
    if banner then conn:write(banner) end
    local rest = ""
    while true do
      local data = conn:read()
      if not data then return end
      rest = rest .. data
      while true do
        local line, after = rest:match("^([^\n]*)\n(.*)$")
        if not line then break end
        rest = after
        local reply = answer(line:gsub("\r$", ""), conn)
        if reply == false then return end
        if reply then conn:write(reply) end
      end
      if #rest > 65536 then rest = "" end
    end
  end
end

-- answers{ EHLO = "250 …", [1] = "500 …" }: by the first word in capitals, [1] for every other.
local function answers(table_)
  return function(line)
    local word = line:match("^%a+")
    local reply = table_[word and word:upper() or ""]
    if reply == nil then reply = table_[1] end
    return reply
  end
end

local EHLO = "250-mail.example\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250 8BITMIME\r\n"
local FEAT = "211-Features:\r\n EPSV\r\n MDTM\r\n PASV\r\n REST STREAM\r\n SIZE\r\n211 End\r\n"
local HELP = "214-The following commands are recognized.\r\n CWD EPSV FEAT HELP LIST MKD NLST PASS PASV PORT QUIT RETR RMD"
  .. " SIZE STOR SYST TYPE USER\r\n214 Help OK.\r\n"

local ftp = answers { FEAT = FEAT, SYST = "215 UNIX Type: L8\r\n", HELP = HELP, NOOP = "200 NOOP ok.\r\n",
  USER = "331 Please specify the password.\r\n", QUIT = "221 Goodbye.\r\n", "500 Unknown command.\r\n" }
local smtp = answers { EHLO = EHLO, HELO = "250 mail.example\r\n", NOOP = "250 2.0.0 Ok\r\n", QUIT = "221 2.0.0 Bye\r\n",
  GET = "221 2.7.0 Error: I can break rules, too. Goodbye.\r\n", "502 5.5.2 Error: command not recognized\r\n" }

local function with(answer, changes)
  local changed = answers(changes)
  return function(line)
    local reply = changed(line)
    if reply == nil then return answer(line) end
    return reply
  end
end

-- HTTP: `page` to what looks like a request, `other` (text, or nil for silence, or false to close) to anything else.
local function web(page, other, options)
  options = options or {}
  return function(conn)
    local data = conn:read()
    if not data then return end
    local reply = page
    if not is_http(data) then reply = other end
    if type(reply) == "function" then reply = reply(data, conn) end
    if reply == nil then return conn:stay() end
    if not reply then return end
    if options.late then conn:sleep(options.late) end
    if options.drip then conn:drip(reply, options.drip) else conn:write(reply) end
    if options.stay then conn:stay() end
  end
end

local function page_of(status, headers, body)
  return ("HTTP/1.1 %s\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s"):format(status, headers or "",
    #(body or ""), body or "")
end

local PAGE = page_of("200 OK", "Server: decoy/1.0\r\nContent-Type: text/html\r\n", "<title>A page</title>\n")
local BAD = page_of("400 Bad Request", "Server: decoy/1.0\r\n", "")
local SKYPE = "HTTP/1.0 404 Not Found\r\n\r\n"

local function random_noise() return bytes(math.random(14, 60)) end

-- Everything a Skype node does on TCP, but for what `options` change.
local function skype_tcp(options)
  options = options or {}
  local noise = options.noise
  if noise == nil then noise = random_noise end
  return web(options.page or SKYPE, noise, options)
end

local fixed_noise = bytes(30)
local TEN_MB = 10485760

-- Much, in pieces that the peer has room for: what it does not read costs nobody anything.
local function flood(conn, head, letter)
  conn.handle:send_buffer_size(65536)
  local piece, left = letter:rep(65536), TEN_MB
  if not conn:write(head) then return end
  while left > 0 and conn:push(piece) do left = left - #piece end
end

local TCP = {
  -- "220 comes from …": the reply class alone never decides.
  { "smtp-postfix", "220 is SMTP's greeting too", { may = { "smtp" } },
    talk("220 mail.example ESMTP Postfix\r\n", smtp) },
  { "smtp-plain", "220 without the word ESMTP: only a question tells", { may = { "smtp" } },
    talk("220 mail.example ready\r\n", smtp) },
  { "smtp-named-ftp", "the letters FTP in a host name make no FTP server", { may = { "smtp" } },
    talk("220 ftp.example ready at Sun, 22 Nov 2026 12:00:00 +0000\r\n", smtp) },
  { "smtp-says-ftp", "nor does the word FTP in an SMTP greeting", { may = { "smtp" } },
    talk("220 relay.example FTP-to-mail gateway SMTP ready\r\n", smtp) },
  { "smtp-bare", "bare `220  ` from a mail server: asking settles it, never as ftp", { may = { "smtp" } },
    talk("220  \r\n", smtp) },
  { "smtp-help", "214 to HELP is FTP's and SMTP's", { may = { "smtp" } },
    talk("220 mail.example ready\r\n", with(smtp, { HELP = "214-2.0.0 Topics:\r\n214-2.0.0 HELO EHLO MAIL RCPT DATA RSET"
      .. " NOOP QUIT HELP VRFY\r\n214 2.0.0 End of HELP info\r\n" })) },
  { "smtp-500", "500 to FEAT and SYST is what an old FTP server says too", { may = { "smtp" } },
    talk("220 host ready\r\n", with(smtp, { FEAT = "500 Command unrecognized\r\n", SYST = "500 Command unrecognized\r\n",
      HELP = "500 Command unrecognized\r\n" })) },
  { "smtp-slow-greeting", "220- and a pause of 4 s (postscreen): the class is there, the service is not FTP",
    { may = { "smtp" } }, function(conn)
      conn:write("220-mail.example ESMTP Postfix\r\n")
      if conn:sleep(4000) then talk("220 mail.example ESMTP Postfix\r\n", smtp)(conn) end
    end },
  { "smtp-421", "421 and close is an SMTP server's refusal too", { may = { "smtp" } },
    function(conn) conn:write("421 4.3.2 mail.example Too many concurrent SMTP connections; please try again later\r\n") end },
  { "smtp-554", "554 and close: refused by a mail server", { may = { "smtp" } },
    function(conn) conn:write("554 5.7.1 mail.example ESMTP not accepting connections\r\n") end },
  { "smtp-punishes", "a mail server that breaks with whoever speaks first", { may = { "smtp" } },
    function(conn)
      conn:sleep(300)
      if #conn.queue > 0 then conn:write("554 5.5.1 Error: SMTP protocol synchronization\r\n") return end
      talk("220 mail.example ESMTP\r\n", smtp)(conn)
    end },
  { "lmtp", "LMTP says 220, and refuses HELO", { may = { "lmtp" } },
    talk("220 mail.example LMTP ready\r\n", answers { LHLO = EHLO, QUIT = "221 2.0.0 Bye\r\n",
      "502 5.5.2 Unknown command\r\n" }) },
  { "lmtp-unsaid", "LMTP that does not say so in its greeting is still no FTP", { may = { "lmtp" } },
    talk("220 mail.example ready\r\n", answers { LHLO = EHLO, QUIT = "221 2.0.0 Bye\r\n",
      "502 5.5.2 Unknown command\r\n" }) },
  { "dictd", "dictd says 220, and 500 to what it does not know", { may = { "dict" } },
    talk("220 vm dictd 1.13.0/rf on Linux 6.1 <auth.mime> <1.11.1795@vm>\r\n", answers { QUIT = "221 bye\r\n",
      HELP = "113 help text follows\r\nDEFINE database word\r\n.\r\n250 ok\r\n", CLIENT = "250 ok\r\n",
      "500 unknown command\r\n" }) },
  { "dict-unsaid", "a dictionary server with a greeting of its own", { may = { "dict" } },
    talk("220 words.example <mime> <77@words.example>\r\n", answers { QUIT = "221 bye\r\n", CLIENT = "250 ok\r\n",
      HELP = "113 help text follows\r\nDEFINE database word\r\n.\r\n250 ok\r\n",
      ["SHOW"] = "110 1 databases present\r\nbirds \"Birds\"\r\n.\r\n250 ok\r\n", "500 unknown command\r\n" }) },
  { "hylafax", "HylaFAX descends from FTP: 220, SYST and HELP as FTP has them", { may = { "hylafax" } },
    talk("220 fax.example server (HylaFAX (tm) Version 6.0.7) ready.\r\n", answers {
      SYST = "215 UNIX Type: L8 Version: SVR4\r\n", FEAT = "500 'FEAT': Command not recognized.\r\n",
      HELP = "214-The following commands are recognized (* =>'s unimplemented).\r\n    ABOR    ANSWER  FORM    JDELE   JGREP"
        .. "   JINTR   JKILL   JNEW    JOB     JPARM   JQUEUE  JREPLY\r\n214 Direct comments to root.\r\n",
      USER = "230 User in.\r\n", QUIT = "221 Goodbye.\r\n", "500 Command not recognized.\r\n" }) },
  { "svdrp", "VDR says 220, and 214 to HELP", { may = { "svdrp" } },
    talk("220 vdr SVDRP VideoDiskRecorder 2.6.0; Sun Nov 22 12:00:00 2026; UTF-8\r\n", answers {
      HELP = "214-This is VDR version 2.6.0\r\n214-Topics:\r\n214-    CHAN      CLRE      DELC\r\n214 End of HELP info\r\n",
      QUIT = "221 vdr closing connection\r\n", "500 Command unrecognized\r\n" }) },
  { "nntp-200", "NNTP greets with 200", { may = { "nntp" } },
    talk("200 news.example InterNetNews NNRP server INN 2.7.0 ready (posting ok)\r\n", answers {
      HELP = "100 Legal commands\r\n  ARTICLE\r\n  GROUP\r\n.\r\n", QUIT = "205 Bye!\r\n", MODE = "200 ready\r\n",
      "500 What?\r\n" }) },
  { "nntp-201", "or with 201", { may = { "nntp" } },
    talk("201 news.example ready (no posting)\r\n", answers { HELP = "100 Legal commands\r\n.\r\n", QUIT = "205 Bye!\r\n",
      "500 What?\r\n" }) },
  { "nntp-220", "a news server that greets with 220", { may = { "nntp" } },
    talk("220 news.example ready\r\n", answers { HELP = "100 Legal commands\r\n  ARTICLE\r\n.\r\n", QUIT = "205 Bye!\r\n",
      CAPABILITIES = "101 Capabilities\r\nVERSION 2\r\nREADER\r\n.\r\n", MODE = "200 ready\r\n", "500 What?\r\n" }) },
  { "pop3", "POP3 is told by +OK", { may = { "pop3" } },
    talk("+OK POP3 ready <1.2@mail.example>\r\n", answers { QUIT = "+OK\r\n", "-ERR unknown command\r\n" }) },
  { "imap", "IMAP by * OK", { may = { "imap" } },
    talk("* OK [CAPABILITY IMAP4rev1] ready.\r\n", function(line)
      return (line:match("^%S+") or "*") .. " BAD unknown command\r\n"
    end) },
  { "sieve", "ManageSieve speaks first, in quotes", { may = { "sieve", "managesieve" } },
    talk('"IMPLEMENTATION" "Dovecot Pigeonhole"\r\n"SIEVE" "fileinto"\r\n"VERSION" "1.0"\r\nOK "ready."\r\n',
      answers { 'NO "Error in MANAGESIEVE command received by server."\r\n' }) },
  { "irc", "an IRC server speaks first", { may = { "irc" } },
    talk(":irc.example NOTICE * :*** Looking up your hostname...\r\n", function(line)
      return ":irc.example 451 * " .. (line:match("^%S+") or "") .. " :You have not registered\r\n"
    end) },
  { "irc-http", "HTTP stands in its answer to GET, which is no status line", { may = { "irc" } },
    talk(nil, function(line)
      if is_http(line) then return "ERROR :Closing Link: [127.0.0.1] (HTTP request received?)\r\n" end
      return ":irc.example 451 * :You have not registered\r\n"
    end) },
  { "bare-220", "`220  ` and nothing else, ever: nothing settles it", { hint = false },
    talk("220  \r\n", function() return nil end) },
  { "bare-220-500", "`220` and 500 to every question: could be anything", {},
    talk("220\r\n", answers { "500 ?\r\n" }) },
  { "220-help-common", "verbs that any protocol may have make no FTP of HELP's answer", {},
    talk("220 JobTracker v3 ready\r\n", answers { HELP = "214-Commands:\r\n LIST STAT SITE TYPE MODE PORT QUIT\r\n214 end\r\n",
      "500 what?\r\n" }) },
  { "bare-220-same", "220 to everything is no dialogue", {},
    talk("220 ok\r\n", answers { "220 ok\r\n" }) },
  { "220-echo", "220, then our own question back: no answer of an FTP server", {},
    talk("220 ready\r\n", function(line) return line .. "\r\n" end) },
  { "220-211", "211 to everything, asked or not for features", {},
    talk("220 ready\r\n", answers { "211 yes\r\n" }) },
  { "number-2200", "2200 is not 220", {}, talk("2200 widgets in stock\r\n", answers { "0 widgets\r\n" }) },
  { "nut", "upsd answers lines with ERR", { may = { "nut" } }, talk(nil, answers { "ERR UNKNOWN-COMMAND\n" }) },
  { "mysql", "MySQL speaks first, in binary", { may = { "mysql" } }, function(conn)
      conn:write(hex "4a000000 0a" .. "5.7.42-log\0" .. bytes(4) .. "abcdefgh\0" .. hex "fff7 08 0200 ff81 15"
        .. ("\0"):rep(10) .. "ijklmnopqrst\0mysql_native_password\0")
      if conn:read() then conn:write(hex "21000001 ff 8404 23" .. "08S01Got packets out of order") end
    end },
  { "vnc", "RFB speaks first", { may = { "vnc", "rfb" } }, talk("RFB 003.008\n", answers { false }) },
  { "rsyncd", "rsync speaks first", { may = { "rsync" } },
    talk("@RSYNCD: 31.0\n", answers { "@ERROR: protocol startup error\n" }) },
  { "telnet", "telnet options, then a prompt", { may = { "telnet" } },
    talk(hex "fffd18 fffd20 fffb01 fffb03" .. "\r\nlogin: ", answers { "Password: " }) },
  { "ssh", "an SSH banner, whatever else is asked", { may = { "ssh" } }, function(conn)
      conn:write("SSH-2.0-decoy_1.0\r\n")
      if conn:read() then conn:write("Invalid SSH identification string.\r\n") end
    end },
  { "daytime", "says the time and closes", { may = { "daytime" } },
    function(conn) conn:write("Sun Nov 22 12:00:00 2026\r\n") end },
  { "chargen", "text for ever: bounded by whoever listens", { may = { "chargen" } }, function(conn)
      local all, page = {}, {}
      for i = 32, 126 do all[#all + 1] = string.char(i) end
      all = table.concat(all):rep(2)
      for i = 1, 95 do page[i] = all:sub(i, i + 71) .. "\r\n" end
      page = table.concat(page)
      for _ = 1, 200 do
        if not conn:write(page) or not conn:sleep(10) then return end
      end
    end },
  { "finger", "repeats the question inside its answer", { may = { "finger" } },
    talk(nil, function(line) return "finger: " .. line .. ": no such user.\r\n" end) },
  { "gopher", "answers GET as a selector", { may = { "gopher" } }, function(conn)
      if conn:read() then conn:write("3'GET / HTTP/1.0' does not exist (no handler found)\t\terror.host\t1\r\n.\r\n") end
    end },
  { "redis-like", "-ERR to GET", { may = { "redis" } }, talk(nil, answers { PING = "+PONG\r\n",
      GET = "-ERR wrong number of arguments for 'get' command\r\n", "-ERR unknown command\r\n" }) },
  { "memcached-like", "ERROR to everything", { may = { "memcached" } }, talk(nil, answers { "ERROR\r\n" }) },

  -- FTP that is FTP, however it says so.
  { "ftp-cyrillic", "text in Cyrillic, without the letters FTP", { is = "ftp" },
    talk("220 Добро пожаловать на сервер\r\n", ftp) },
  { "ftp-koi8", "the same in KOI8-R: bytes that are no UTF-8", { is = "ftp" },
    talk("220 " .. hex "e4cfc2d2cf20d0cfd6c1cccfd7c1d4d8" .. "\r\n", ftp) },
  { "ftp-lf", "lines end in LF alone", { is = "ftp" },
    talk("220-hello\n220 ready\n", function(line) return (ftp(line):gsub("\r", "")) end) },
  { "ftp-drip", "one byte at a time", { is = "ftp" }, function(conn)
      if conn:drip("220 slow but true\r\n", 40) then talk(nil, ftp)(conn) end
    end },
  { "ftp-3s", "the banner comes after 3 s", { is = "ftp" }, function(conn)
      if conn:sleep(3000) then talk("220 at last\r\n", ftp)(conn) end
    end },
  { "ftp-8s", "the banner comes after 8 s", { is = "ftp" }, function(conn)
      if conn:sleep(8000) then talk("220 Service ready.\r\n", ftp)(conn) end
    end },
  { "ftp-late-number", "the banner comes after 1 s, cut within its number", { is = "ftp" }, function(conn)
      if conn:sleep(1000) and conn:write("22") and conn:sleep(500) then talk("0 at last\r\n", ftp)(conn) end
    end },
  { "ftp-late-cut", "after 3 s, cut behind its number", { is = "ftp" }, function(conn)
      if conn:sleep(3000) and conn:write("220") and conn:sleep(500) then talk(" at last\r\n", ftp)(conn) end
    end },
  { "ftp-120", "120, then 220 a second later", { is = "ftp" }, function(conn)
      conn:write("120 Service ready in 0 minutes.\r\n")
      if conn:sleep(1200) then talk("220 Service ready.\r\n", ftp)(conn) end
    end },
  { "ftp-bare", "`220  ` and nothing else, but FEAT is answered as FTP does", { is = "ftp" }, talk("220  \r\n", ftp) },
  { "ftp-empty", "`220` without even a space", { is = "ftp" }, talk("220\r\n", ftp) },
  { "ftp-smtp-words", "SMTP's words in an FTP greeting", { is = "ftp" },
    talk("220 mail.example ESMTP drop box for uploads\r\n", ftp) },
  { "ftp-many-lines", "a line within the greeting begins with 220 and a space inside", { is = "ftp" },
    talk("220-Welcome.\r\n 220 is our number\r\n220-\r\n\r\n220 End.\r\n", ftp) },
  { "ftp-no-feat", "FEAT unknown: SYST or HELP must do", { is = "ftp" },
    talk("220 Ready.\r\n", with(ftp, { FEAT = "500 'FEAT': command not understood.\r\n" })) },
  { "ftp-login-first", "530 to everything before login", { is = "ftp" },
    talk("220 Ready.\r\n", answers { QUIT = "221 Goodbye.\r\n", USER = "331 Password, please.\r\n",
      "530 Please login with USER and PASS.\r\n" }) },
  { "ftp-login-first-named", "530 to everything before login, with the word in the greeting", { is = "ftp" },
    talk("220 Example FTP server ready.\r\n", answers { QUIT = "221 Goodbye.\r\n", USER = "331 Password, please.\r\n",
      "530 Please login with USER and PASS.\r\n" }) },
  { "ftp-second-421", "every further connection gets 421: one must be enough", { is = "ftp" }, function(conn)
      local first = conn.count.now == 1
      if not first then conn:write("421 Too many connections from your address.\r\n") return end
      talk("220 Ready.\r\n", ftp)(conn)
    end },
  { "ftp-421", "421 and close, in words that only an FTP server uses", { may = { "ftp" }, hint = "ftp" },
    function(conn) conn:write("421 FTP service not available: too many connected users.\r\n") end },
  { "ftp-530", "530 and close: no other service greets so", { may = { "ftp" }, hint = "ftp" },
    function(conn) conn:write("530 Sorry, the maximum number of FTP clients (10) are connected.\r\n") end },
  { "421-host", "a host named ftp is turned away by its mail server in SMTP's very words", { hint = false, may = { "smtp" } },
    function(conn) conn:write("421 ftp.example.org Service not available, closing transmission channel\r\n") end },
  { "ftp-500", "vsftpd that cannot begin says so in words of its own", { is = "ftp" },
    function(conn) conn:write("500 OOPS: vsftpd: cannot locate user specified in 'ftp_username':ftp\r\n") end },
  { "421-anyone", "421 and close, without a word: FTP or mail", { hint = false, may = { "ftp" } },
    function(conn) conn:write("421 Service not available, closing.\r\n") end },
  { "ftp-endless", "220- lines without end: given up, bounded", { may = { "ftp" } }, function(conn)
      for i = 1, 3000 do
        if not conn:write(("220-line %d\r\n"):format(i)) or not conn:sleep(20) then return end
      end
    end },
  { "ftp-escapes", "terminal escapes, NUL and C1 bytes in a true banner", { is = "ftp" },
    talk("220 \27[2J\27]0;owned\7\0\155\49m \194\155\51\49m \226\128\174 FTP ready\r\n", ftp) },
  { "ftp-single", "one client at a time: a second connection is refused for a moment", { hint = "ftp", may = { "ftp" } },
    talk("220 one at a time\r\n", ftp), single = true },

  -- HTTP that is HTTP.
  { "http-plain", "any web server", { is = "http" }, web(PAGE, BAD) },
  { "http-404", "404 with headers is a web server's", { is = "http" },
    web(page_of("404 Not Found", "Server: decoy\r\n", "no"), BAD) },
  { "http-lf", "lines end in LF alone", { is = "http" }, web((PAGE:gsub("\r", "")), BAD) },
  { "http-drip", "the status line dripped a byte at a time", { is = "http" }, web(PAGE, BAD, { drip = 15 }) },
  { "http-late", "the first byte after 2 s", { is = "http" }, web(PAGE, BAD, { late = 2000 }) },
  { "http-no-reason", "no reason phrase", { is = "http" }, web((PAGE:gsub("200 OK", "200")), BAD) },
  { "http-1.1-only", "silent to 1.0", { is = "http" }, web(function(data)
      if data:find("HTTP/1%.1") then return PAGE end
    end, BAD) },
  { "http-host-required", "400 without a Host", { is = "http" }, web(function(data)
      return data:find("\r\nHost:") and PAGE or BAD
    end, BAD) },
  { "http-1.0-only", "505 to 1.1", { is = "http" }, web(function(data)
      return data:find("HTTP/1%.0") and (PAGE:gsub("HTTP/1.1", "HTTP/1.0"))
        or "HTTP/1.0 505 HTTP Version Not Supported\r\n\r\n"
    end, BAD) },
  { "http-501", "501 to GET is a status all the same", { is = "http" },
    web(page_of("501 Not Implemented", "Server: decoy\r\n"), BAD) },
  { "http-408", "408 unasked, after a second", { is = "http" }, function(conn)
      conn:sleep(1000)
      if #conn.queue == 0 then conn:write(page_of("408 Request Timeout", "Server: decoy\r\n")) return end
      web(PAGE, BAD)(conn)
    end },
  { "http-html-to-garbage", "bare HTML without a status line to garbage, as Python's server gives", { is = "http" },
    web("HTTP/1.0 200 OK\r\nServer: SimpleHTTP/0.6 Python/3.11.2\r\n\r\n<title>ls</title>",
      "<!DOCTYPE HTML>\n<html><head><title>Error response</title></head><body><p>Error code: 400</p></body></html>\n") },
  { "http-null-400", "`(null) 400` to garbage, as mini-httpd gives", { is = "http" },
    web(PAGE, "(null) 400 Bad Request\r\nServer: mini_httpd/1.30\r\nConnection: close\r\n\r\n") },
  { "http-tls-port", "400 to plain text on a TLS port: HTTP, if anything", { may = { "http" } },
    web(page_of("400 Bad Request", "Server: nginx/1.22.1\r\n", "<title>400 The plain HTTP request was sent to HTTPS port"
      .. "</title>"), BAD) },
  { "http-unasked", "a page to whoever connects, as portspoof sends it, and no answer to GET", {}, function(conn)
      conn:write("HTTP/1.0 200 OK\r\nServer: Apache/2.2\r\nContent-Type: text/html\r\n\r\n")
      conn:read()
    end },
  { "http-0.9", "bare HTML to everything", { may = { "http" } },
    web("<html><title>old</title></html>\n", "<html><title>old</title></html>\n") },
  { "http-escapes", "terminal escapes, NUL and newlines in Server and title", { is = "http" },
    web(page_of("200 OK", "Server: \27[31mred\27[0m\0\155m\r\n", "<title>\27]0;owned\7\n\194\155 \226\128\174</title>"), BAD) },
  { "http-10mb", "a body of 10 MB without a newline", { is = "http" },
    web(function(_, conn)
      flood(conn, "HTTP/1.1 200 OK\r\nServer: big\r\nContent-Length: 10485760\r\n\r\n", "x")
      return false
    end, BAD) },
  { "http-endless-header", "a header line of 10 MB", { may = { "http" } },
    web(function(_, conn)
      flood(conn, "HTTP/1.1 200 OK\r\nX-Long: ", "x")
      return false
    end, BAD) },
  { "http-h2c", "speaks binary SETTINGS first, as an h2c-only server does", { may = { "http" } }, function(conn)
      conn:write(hex "000000040000000000")
      if conn:read() then conn:write(hex "000008070000000000 00000000 00000001") end
    end },

  -- Like HTTP, and not.
  { "rtsp", "RTSP/1.0 to GET", { may = { "rtsp" } },
    web("RTSP/1.0 400 Bad Request\r\nServer: decoy\r\n\r\n", "RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS\r\n\r\n") },
  { "gst-rtsp", "an HTTP status line to GET (503), RTSP to OPTIONS", { may = { "rtsp" } }, function(conn)
      local data = conn:read()
      while data do
        if data:find("^OPTIONS [^\r\n]* RTSP/1") then
          conn:write("RTSP/1.0 200 OK\r\nCSeq: " .. (data:match("CSeq: *(%d+)") or "1")
            .. "\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY\r\nServer: GStreamer RTSP server\r\n\r\n")
        elseif is_http(data) then
          conn:write("HTTP/1.0 503 Service Unavailable\r\nServer: GStreamer RTSP Server\r\nConnection: close\r\n\r\n")
          return
        else
          return
        end
        data = conn:read()
      end
    end },
  { "gst-rtsp-slow", "the same, each answer 2.5 s late: silence for a while is no answer to the second question",
    { may = { "rtsp" } }, function(conn)
      local data = conn:read()
      if not data or not conn:sleep(2500) then return end
      if data:find("^OPTIONS [^\r\n]* RTSP/1") then
        conn:write("RTSP/1.0 200 OK\r\nCSeq: " .. (data:match("CSeq: *(%d+)") or "1")
          .. "\r\nPublic: OPTIONS, DESCRIBE\r\nServer: GStreamer RTSP server\r\n\r\n")
      elseif is_http(data) then
        conn:write("HTTP/1.0 503 Service Unavailable\r\nServer: GStreamer RTSP Server\r\nConnection: close\r\n\r\n")
      end
    end },
  { "sip", "SIP/2.0 to GET", { may = { "sip" } },
    web("SIP/2.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "SIP/2.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n") },
  { "icy", "ICY 200 to GET", { may = { "icy", "shoutcast" } },
    web("ICY 200 OK\r\nicy-name:decoy\r\ncontent-type:audio/mpeg\r\n\r\n" .. bytes(400), "ICY 404 Resource Not Found\r\n") },
  { "icap", "ICAP/1.0 to GET", { may = { "icap" } },
    web("ICAP/1.0 400 Bad request\r\nServer: C-ICAP/0.5.10\r\nConnection: close\r\n\r\n", false) },
  { "mongodb", "tells a browser, in HTTP, that it is none", { may = { "mongodb" } },
    web("HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 85\r\n\r\n"
      .. "It looks like you are trying to access MongoDB over HTTP on the native driver port.\r\n", false) },
  { "no-http-port", "says in HTTP that it is no HTTP", {},
    web("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nThis is not an HTTP port\n", false) },
  { "rtsp-404", "an RTSP server's 404 to GET, with a date and nothing else", { may = { "rtsp" } },
    web(function(data)
      if data:find("^OPTIONS [^\r\n]* RTSP/1") then return "RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS, DESCRIBE\r\n\r\n" end
      return "HTTP/1.1 404 Not Found\r\nDate: Fri, Nov 27 2026 12:00:00 GMT\r\n\r\n"
    end, function(data)
      return data:find("^OPTIONS [^\r\n]* RTSP/1") and "RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS, DESCRIBE\r\n\r\n" or false
    end) },
  { "amqp", "its own header to whatever is none", { may = { "amqp" } }, function(conn)
      if conn:read() then conn:write("AMQP\0\0\9\1") end
    end },
  { "spamd", "SPAMD/1.0 to GET", { may = { "spamd", "spamassassin" } },
    web("SPAMD/1.0 76 Bad header line: GET / HTTP/1.0\r\n", "SPAMD/1.0 76 Bad header line\r\n") },
  { "tor-socks", "Tor's SOCKS port answers GET with a true 501", { may = { "socks", "socks5", "tor-socks" } },
    function(conn)
      local data = conn:read()
      if not data then return end
      if data:byte(1) == 5 then conn:write(hex "0500") return conn:stay() end
      if data:byte(1) == 4 then conn:write(hex "005b000000000000") return end
      if not is_http(data) then return end
      conn:write("HTTP/1.0 501 Tor is not an HTTP Proxy\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\n"
        .. "<html><head><title>This is a SOCKS Proxy, Not An HTTP Proxy</title></head><body><p>It appears you have"
        .. " configured your web browser to use this Tor port as an HTTP proxy.</p></body></html>")
    end },
  { "says-http", "our request inside its answer", {},
    talk("hello\r\n", function(line) return "You said: " .. line .. "\r\n" end) },
  { "http-word", "HTTP and a space is no status line", {}, web("HTTP request received?\r\n", "what?\r\n") },
  { "http-no-number", "HTTP/1.1 without a status", {}, web("HTTP/1.1 hello there\r\n\r\n", "what?\r\n") },
  { "http-in-text", "a status line, but not at the start", {},
    web("error: HTTP/1.1 200 OK\r\n\r\n", "error: nothing\r\n") },
  { "https-word", "HTTPS/1.1 is no version of ours", {}, web("HTTPS/1.1 200 OK\r\n\r\n", "what?\r\n") },
  { "json-line", "a line of JSON to anything", {},
    web('{"error":"HTTP/1.0 is not JSON"}\n', '{"error":"parse error"}\n') },

  -- Skype on TCP: each sentence of it broken once.
  { "skype-404-400", "exactly Skype's 404 to GET, 400 to garbage", { is = "http" }, skype_tcp { noise = BAD } },
  { "skype-404-404", "exactly Skype's 404 to everything", { is = "http" }, skype_tcp { noise = SKYPE } },
  { "skype-404-silent", "exactly Skype's 404, silence to garbage", { may = { "http" } },
    skype_tcp { noise = function() return nil end } },
  { "skype-404-close", "exactly Skype's 404, garbage closes", { may = { "http" } }, skype_tcp { noise = false } },
  { "skype-404-more", "something after the 404", { may = { "http" } }, skype_tcp { page = SKYPE .. "not here" } },
  { "skype-404-more-later", "something after the 404, a moment later", { may = { "http" } }, function(conn)
      local data = conn:read()
      if not data then return end
      if not is_http(data) then conn:write(random_noise()) return end
      conn:write(SKYPE)
      if conn:sleep(400) then conn:write("<p>not here</p>") end
    end },
  { "skype-404-open", "the 404, but no close", { may = { "http" } },
    skype_tcp { page = function(_, conn) conn:write(SKYPE) return nil end } },
  { "skype-1.1", "the 404 of HTTP/1.1", { may = { "http" } }, skype_tcp { page = "HTTP/1.1 404 Not Found\r\n\r\n" } },
  { "skype-lf", "the 404 with LF alone", { may = { "http" } }, skype_tcp { page = "HTTP/1.0 404 Not Found\n\n" } },
  { "skype-one-crlf", "the 404 without its empty line", { may = { "http" } },
    skype_tcp { page = "HTTP/1.0 404 Not Found\r\n" } },
  { "skype-header", "the 404 with a header", { may = { "http" } },
    skype_tcp { page = "HTTP/1.0 404 Not Found\r\nServer: x\r\n\r\n" } },
  { "skype-200", "200 instead of 404", { may = { "http" } }, skype_tcp { page = "HTTP/1.0 200 OK\r\n\r\n" } },
  { "skype-framed-noise", "frames: a length, and as much noise", { may = { "http" } },
    skype_tcp { noise = function() return string.pack(">s2", bytes(math.random(20, 60))) end } },
  { "skype-constant-noise", "noise that is the same on both connections", { may = { "http" } },
    skype_tcp { noise = fixed_noise } },
  { "skype-hash-noise", "noise that follows from the question: the same when asked the same", { may = { "http" } },
    skype_tcp { noise = function(data) return noise_of(data, 30) end } },
  { "skype-text-noise", "noise that is text", { may = { "http" } }, skype_tcp { noise = function()
      return (bytes(30):gsub(".", function(c) return string.char(33 + c:byte() % 94) end)) .. "\r\n"
    end } },
  { "skype-utf8-noise", "noise that is text in another script", { may = { "http" } }, skype_tcp { noise = function()
      local out = {}
      for i = 1, 14 do out[i] = utf8.char(math.random(0x410, 0x44f)) end
      return table.concat(out) .. "\r\n"
    end } },
  { "skype-echo-noise", "an echo of the garbage", { may = { "http" } }, skype_tcp { noise = function(data) return data end } },
  { "skype-echo-within", "the garbage within noise", { may = { "http" } },
    skype_tcp { noise = function(data) return bytes(8) .. data .. bytes(8) end } },
  { "skype-xor-noise", "the garbage XORed with a constant", { may = { "http" } },
    skype_tcp { noise = function(data) return xor(data, 0x5a) end } },
  { "skype-reversed-noise", "the garbage reversed", { may = { "http" } },
    skype_tcp { noise = function(data) return data:reverse() end } },
  { "skype-header-noise", "noise behind a fixed header", { may = { "http" } },
    skype_tcp { noise = function() return hex "16030100" .. bytes(26) end } },
  { "skype-trailer-noise", "noise before a fixed end", { may = { "http" } },
    skype_tcp { noise = function() return bytes(32) .. "\r\n" end } },
  { "skype-short-noise", "noise of 8 bytes", { may = { "http" } }, skype_tcp { noise = function() return bytes(8) end } },
  { "skype-13-noise", "noise of 13 bytes", { may = { "http" } }, skype_tcp { noise = function() return bytes(13) end } },
  { "skype-zero-noise", "zeros are no noise", { may = { "http" } },
    skype_tcp { noise = function() return ("\0"):rep(math.random(14, 40)) end } },
  { "skype-counter-noise", "a constant and a counter", { may = { "http" } }, skype_tcp { noise = function(_, conn)
      return hex "8000000000000000000000000000" .. string.pack(">I4", conn.number)
    end } },
  { "skype-noise-once", "noise on one connection, silence on the next", { may = { "http" } },
    skype_tcp { noise = function(_, conn)
      conn.memory.noise = (conn.memory.noise or 0) + 1
      if conn.memory.noise == 1 then return random_noise() end
    end } },
  { "skype-noise-to-get", "noise to GET as well", {}, skype_tcp { page = random_noise } },
  { "skype-noise-first", "noise before anything is asked", { may = { "http" } }, function(conn)
      conn:write(bytes(20))
      skype_tcp()(conn)
    end },
  { "skype-404-alert", "the 404, a TLS alert to garbage", { may = { "http" } }, skype_tcp { noise = hex "15030100020246" } },
  { "skype-200-noise", "a page and noise", { may = { "http" } }, skype_tcp { page = PAGE } },
  { "noise-always", "random bytes to everything, and first", {}, function(conn)
      conn:write(bytes(30))
      while conn:read() do if not conn:write(bytes(30)) then return end end
    end },
  { "noise-to-all", "random bytes to everything asked", {}, function(conn)
      while conn:read() do if not conn:write(bytes(40)) then return end end
    end },
  { "tls-alert", "a TLS alert to whatever is no ClientHello", { may = { "tls", "ssl" } }, function(conn)
      if conn:read() then conn:write(hex "15030100020246") end
    end },

  -- Peers that say little, nothing, too much.
  { "echo", "gives back what it gets, the status line of our own request included", { may = { "echo" } }, function(conn)
      while true do
        local data = conn:read()
        if not data or not conn:write(data) then return end
      end
    end },
  { "echo-lower", "gives it back in small letters", { may = { "echo" } }, function(conn)
      while true do
        local data = conn:read()
        if not data or not conn:write(data:lower()) then return end
      end
    end },
  { "discard", "reads and says nothing", { may = { "discard" } }, function(conn) conn:stay() end },
  { "silent", "never says anything, never reads", {}, function(conn) conn:sleep(600000) end },
  { "tarpit", "a byte a second for ever", {}, function(conn)
      while conn:write(string.char(math.random(97, 122))) and conn:sleep(1000) do end
    end },
  { "tarpit-220", "2, 2, 0, and then a byte a second for ever", { may = { "ftp", "smtp" } }, function(conn)
      conn:write("220-")
      while conn:write("x") and conn:sleep(1000) do end
    end },
  { "tarpit-ssh", "endless lines before an SSH banner that never comes", { may = { "ssh" } }, function(conn)
      while conn:write(("%x\r\n"):format(math.random(0, 0xffffff))) and conn:sleep(700) do end
    end },
  { "closes", "closes at once", {}, function() end },
  { "resets", "resets at once", {}, function(conn) conn:reset() end },
  { "closes-on-data", "closes as soon as it is asked", {}, function(conn) conn:read() end },
  { "resets-on-data", "resets as soon as it is asked", {}, function(conn) conn:read() conn:reset() end },
  { "half-closes", "ends its side at once, keeps listening", {}, function(conn)
      conn.handle:shutdown()
      conn:stay()
    end },
  { "flood-10mb", "10 MB without a newline, unasked", {}, function(conn)
      flood(conn, "A", "A")
      conn:stay()
    end },
  { "flood-220", "220 and 10 MB without a newline", { may = { "ftp" } }, function(conn)
      flood(conn, "220 ", "A")
      conn:stay()
    end },
  { "escapes", "escapes, NULs and C1 in a banner of nothing known", {}, function(conn)
      conn:write("\27[2J\27[31mred\27]0;owned\7\0\0\8\8\155\50J\194\155\49m\226\128\174\r\n\127\n")
      conn:stay()
    end },
  { "nul", "a thousand NULs", {}, function(conn) conn:write(("\0"):rep(1000)) conn:stay() end },
  { "single-silent", "for one client, who waits in vain (nbd, gdbserver, iperf3): refused is not closed", {},
    function(conn) conn:stay() end, single = true },

  -- The node as it was, and as it may be.
  { "skype", "the 404 and noise, exactly", { is = "skype" }, skype_tcp() },
  { "skype-late", "the same, 700 ms late", { is = "skype" }, skype_tcp { late = 700 } },
  { "skype-slow", "the same, 2.5 s late: slow is no reason to call it a web server", { may = { "skype" } },
    skype_tcp { late = 2500 } },
  { "skype-stays", "the same, keeping the connection after the noise", { is = "skype" }, skype_tcp { noise =
      function(_, conn) conn:write(random_noise()) return nil end } },
  { "skype-long", "noise of half a kilobyte", { is = "skype" }, skype_tcp { noise = function() return bytes(512) end } },
  { "skype-split", "the 404 in two segments", { is = "skype" }, function(conn)
      local data = conn:read()
      if not data then return end
      if not is_http(data) then conn:write(random_noise()) return end
      conn:write("HTTP/1.0 404 ")
      if conn:sleep(60) then conn:write("Not Found\r\n\r\n") end
    end },
  { "skype-v6", "over IPv6 the TCP side is the same", { may = { "skype" }, hint = "skype" }, skype_tcp(), host = "::1" },
  { "ftp-v6", "FTP over IPv6", { is = "ftp" }, talk("220 Ready.\r\n", ftp), host = "::1" },
}

---------------------------------------------------------------------------------------------------------------------------
-- UDP: a decoy is a function of (request, from, memory) that returns its replies: strings, or { data, late =, socket = }.

local function address(text)
  local a, b, c, d = text:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  return string.char(tonumber(a), tonumber(b), tonumber(c), tonumber(d))
end

-- A refusal as a node sends it, but for what `o` changes:
--   id, kind (5, 7, or a function), fn (the whole byte), address (text, or a function), tail (bytes, or a function)
local function refusal(o)
  o = o or {}
  return function(request, from, memory)
    if #request < 3 then return end -- Nmap's own probes are empty
    local id = o.id and o.id(request, memory) or request:sub(1, 2)
    local kind = o.kind or (math.random(2) == 1 and 5 or 7)
    local fn = o.fn or (math.random(0, 7) * 16 + kind)
    local where = o.address or (from:find(":", 1, true) and "127.0.0.1" or from)
    if type(where) == "function" then where = where(request) end
    if #where ~= 4 then where = address(where) end
    local tail = o.tail or bytes(4)
    if type(tail) == "function" then tail = tail(request, memory) end
    return id .. string.char(fn) .. where .. tail
  end
end

local function node(o)
  o = o or {}
  local reply = refusal(o)
  return function(request, from, memory)
    if #request < 3 then return end
    if o.only and request:byte(3) & 15 ~= o.only then return end
    memory.asked = (memory.asked or 0) + 1
    -- Every third, beginning with the first: a third is lost, and no run of the test is luckier than another.
    if o.drops and memory.asked % 3 == 1 then return end
    return { reply(request, from, memory), late = o.late }
  end
end

local fixed11 = hex "3132" .. hex "17" .. address "127.0.0.1" .. hex "01020304"

local UDP = {
  -- A reply that is the request, or nearly.
  { "udp-echo", "the whole request back is an echo service", { may = { "echo" } }, function(q) return q end },
  { "udp-reversed", "the request reversed", {}, function(q) return q:reverse() end },
  { "udp-last-byte", "the request but for its last byte", {},
    function(q) if #q > 0 then return q:sub(1, -2) .. string.char(q:byte(-1) ~ 1) end end },
  { "udp-longer", "the request and one byte more", {}, function(q) return q .. "\0" end },
  { "udp-head", "the first 11 bytes of the request", {}, function(q) return q:sub(1, 11) end },
  { "udp-copier", "the first 11 bytes with a right function: id, constant global address and a moving tail, all ours", {},
    function(q) if #q >= 11 then return q:sub(1, 2) .. "\23" .. q:sub(4, 11) end end },
  { "udp-qr-bit", "the query with DNS's answer bit set: every relation of DNS, from nothing that answers DNS", {},
    function(q) if #q >= 3 then return q:sub(1, 2) .. string.char(q:byte(3) | 128) .. q:sub(4) end end },
  { "udp-qr-bit-11", "the same, cut to 11 bytes", {},
    function(q) if #q >= 3 then return (q:sub(1, 2) .. string.char(q:byte(3) | 128) .. q:sub(4)):sub(1, 11) end end },
  { "udp-xor", "the request XORed", {}, function(q) return xor(q, 0xff) end },

  -- 11 bytes, and no relation.
  { "udp-constant-11", "the same 11 bytes always, of a refusal's shape", {}, function() return fixed11 end },
  { "udp-random-11", "11 random bytes", {}, function() return bytes(11) end },
  { "udp-text-11", "11 bytes of text", {}, function() return "hello world" end },
  { "udp-id-only", "the id, and nothing else right", {}, function(q) return q:sub(1, 2) .. bytes(9) end },
  { "udp-id-fn", "id and function right, address and tail random", {},
    function(q) return q:sub(1, 2) .. "\23" .. bytes(8) end },

  -- The id must be ours, of this very datagram.
  { "udp-id-swapped", "the id with its bytes swapped", {},
    refusal { id = function(q) return q:sub(1, 2):reverse() end } },
  { "udp-id-plus-one", "the id and one more", {},
    refusal { id = function(q) return string.pack(">I2", ((string.unpack(">I2", q)) + 1) & 65535) end } },
  { "udp-id-half", "the first byte of the id only", {},
    refusal { id = function(q) return q:sub(1, 1) .. string.char(q:byte(2) ~ 0x55) end } },
  { "udp-id-before", "the id of the datagram before", {}, refusal { id = function(q, memory)
      local before = memory.id or bytes(2)
      memory.id = q:sub(1, 2)
      return before
    end } },
  { "udp-id-elsewhere", "bytes 8 and 9 of the request as id", {}, function(q, from, memory)
      if #q >= 10 then return refusal { id = function() return q:sub(9, 10) end }(q, from, memory) end
    end },

  -- The function: low nibble 5 or 7, top bit clear.
  { "udp-fn-85", "low nibble 5, top bit set", {}, refusal { fn = 0x85 } },
  { "udp-fn-97", "low nibble 7, top bit set", {}, refusal { fn = 0x97 } },
  { "udp-fn-16", "low nibble 6", {}, refusal { fn = 0x16 } },
  { "udp-fn-02", "kind 2: data, not a refusal", {}, refusal { fn = 0x02 } },
  { "udp-fn-03", "kind 3: a resend, not a refusal", {}, refusal { fn = 0x13 } },
  { "udp-fn-0d", "low nibble 13: 5 with bit 3 set", {}, refusal { fn = 0x1d } },
  { "udp-fn-0f", "low nibble 15: 7 with bit 3 set", {}, refusal { fn = 0x1f } },

  -- The address: ours, or one globally routable that stays.
  { "udp-private", "a constant private address that is not ours: a guess, no more", {}, refusal { address = "10.1.2.3" } },
  { "udp-students", "the students' replies with our id: a private address, seeds from a list of three", {},
    function(q, _, memory)
      local list = { "17c0a8001374a041f0", "67c0a800131100104f", "37c0a800136808433a" }
      memory.n = (memory.n or 0) % 3 + 1
      return q:sub(1, 2) .. hex(list[memory.n])
    end },
  { "udp-loopback-2", "127.0.0.2 is not ours either", {}, refusal { address = "127.0.0.2" } },
  { "udp-multicast", "a multicast address stays the same, and is nobody's", {}, refusal { address = "224.0.0.251" } },
  { "udp-broadcast", "nor is 255.255.255.255", {}, refusal { address = "255.255.255.255" } },
  { "udp-zero", "nor 0.0.0.0", {}, refusal { address = "0.0.0.0" } },
  { "udp-reserved", "nor 240.0.0.1", {}, refusal { address = "240.0.0.1" } },
  { "udp-test-net", "nor 192.0.2.1, for documents", {}, refusal { address = "192.0.2.1" } },
  { "udp-benchmark", "nor 198.18.0.1, for benchmarks", {}, refusal { address = "198.18.0.1" } },
  { "udp-cgnat", "100.64.0.1 is private to a provider", {}, refusal { address = "100.64.0.1" } },
  { "udp-link-local", "169.254.7.7 is a link's", {}, refusal { address = "169.254.7.7" } },
  { "udp-172", "172.20.0.1 is private", {}, refusal { address = "172.20.0.1" } },
  { "udp-moving-address", "a globally routable address, another each time", {},
    refusal { address = function() return string.char(93, 184) .. bytes(2) end } },
  { "udp-two-addresses", "two global addresses in turn", {}, function(q, from, memory)
      memory.n = (memory.n or 0) + 1
      return refusal { address = memory.n % 2 == 0 and "93.184.216.34" or "151.101.1.69" }(q, from, memory)
    end },

  -- Four moving bytes.
  { "udp-tail-constant", "all right, but the tail stays", {}, refusal { tail = hex "74a041f0" } },
  { "udp-tail-two", "only two bytes of the tail move", {}, refusal { tail = function() return bytes(2) .. "\1\2" end } },
  { "udp-tail-one", "only the last byte moves: a counter", {}, refusal { tail = function(_, memory)
      memory.n = ((memory.n or 0) + 1) & 255
      return "\0\0\0" .. string.char(memory.n)
    end } },
  { "udp-tail-request", "the tail is the request's own bytes 7 to 10", {},
    function(q, from, memory)
      if #q >= 11 then return refusal { tail = q:sub(8, 11) }(q, from, memory) end
    end },
  { "udp-tail-port", "the tail is our port, twice: it moves with the datagrams", {}, function(q, from, memory, port)
      return refusal { tail = string.pack(">I2I2", port, port) }(q, from, memory)
    end },
  { "udp-tail-id", "the tail is the id, twice", {}, refusal { tail = function(q) return q:sub(1, 2):rep(2) end } },
  { "udp-tail-end", "the tail is the request's last four bytes", {},
    function(q, from, memory)
      if #q >= 4 then return refusal { tail = q:sub(-4) }(q, from, memory) end
    end },
  { "udp-tail-hash", "the tail follows from the request: the same when asked the same", {},
    refusal { tail = function(q) return noise_of(q, 4) end } },

  -- 11 bytes, no more, no less.
  { "udp-10", "one byte too few", {}, refusal { tail = function() return bytes(3) end } },
  { "udp-12", "one byte too many", {}, refusal { tail = function() return bytes(5) end } },
  { "udp-22", "eleven too many", {}, refusal { tail = function() return bytes(15) end } },
  { "udp-3", "id and function only", {}, function(q) return q:sub(1, 2) .. "\23" end },
  { "udp-empty", "an empty datagram is an answer, and says nothing", {}, function() return "" end },
  { "udp-one", "one byte", {}, function() return "\7" end },
  { "udp-1400", "1400 random bytes", {}, function() return bytes(1400) end },
  { "udp-65000", "a datagram of 60 kB", {}, function() return bytes(60000) end },

  -- Asked at least twice.
  { "udp-once", "a perfect refusal to the first datagram, then silence", {}, function(q, from, memory)
      memory.n = (memory.n or 0) + 1
      if memory.n == 1 then return refusal()(q, from, memory) end
    end },
  { "udp-once-twice", "two perfect refusals to the first datagram, then silence: one question was answered", {},
    function(q, from, memory)
      memory.n = (memory.n or 0) + 1
      if memory.n == 1 then return refusal()(q, from, memory), refusal()(q, from, memory) end
    end },
  { "udp-then-noise", "perfect once, then random", {}, function(q, from, memory)
      memory.n = (memory.n or 0) + 1
      if memory.n == 1 then return refusal()(q, from, memory) end
      return bytes(11)
    end },
  { "udp-two-replies", "two refusals to each request: a duplicate on the way, or no node", { may = { "skype" } },
    function(q, from, memory) return refusal()(q, from, memory), refusal()(q, from, memory) end },
  { "udp-noise-then-right", "noise before each perfect refusal", { may = { "skype" } },
    function(q, from, memory) return bytes(20), refusal()(q, from, memory) end },
  { "udp-late-10s", "perfect, but after all patience", { state = false }, function(q, from, memory)
      return { refusal()(q, from, memory), late = 60000 }
    end },

  -- From another port, or nobody.
  { "udp-other-port", "perfect, but from another port", { state = false }, function(q, from, memory)
      return { refusal()(q, from, memory), elsewhere = true }
    end },
  { "udp-silent", "says nothing", { state = "open|filtered" }, function() end },

  -- Other protocols' answers, for whoever asks too few bits of them.
  { "udp-snmp-tag", "SNMP's question with the tag of an answer", {},
    function(q) if q:sub(1, 2) == "0)" and q:byte(14) == 0xa0 then return q:sub(1, 13) .. "\xa2" .. q:sub(15) end end },
  { "udp-dns-head", "the first 12 bytes of it", { may = { "domain" } },
    function(q)
      if #q >= 12 then return q:sub(1, 2) .. string.char(q:byte(3) | 128) .. q:sub(4, 12) end
    end },
  { "udp-daytime", "the time in text", { may = { "daytime" } }, function() return "Sun Nov 22 12:00:00 2026\r\n" end },
  { "udp-chargen", "text", { may = { "chargen" } }, function() return ("!\"#$%&'()*+,-./0123456789:;<=>?@"):rep(8) end },
  { "udp-ftp", "FTP's greeting in a datagram", {}, function() return "220 FTP server ready\r\n" end },
  { "udp-http", "a status line in a datagram", {}, function() return PAGE end },
  { "udp-escapes", "escapes in a datagram", {}, function() return "\27[2J\27]0;owned\7\0\155m" end },

  -- The node as it was, and as it may be.
  { "udp-skype-5", "refuses with kind 5, as most did", { is = "skype" }, node { kind = 5, only = 2 } },
  { "udp-skype-7", "refuses with kind 7", { is = "skype" }, node { kind = 7, only = 2 } },
  { "udp-skype-any", "refuses anything of 3 bytes and more", { is = "skype" }, node() },
  { "udp-skype-2", "refuses what looks like kind 2 only", { is = "skype" }, node { only = 2 } },
  { "udp-skype-drops", "drops a third, the first among them", { is = "skype" }, node { only = 2, drops = true } },
  { "udp-skype-late", "answers after 700 ms", { is = "skype" }, node { only = 2, late = 700 } },
  { "udp-skype-nat", "sees us behind a NAT: one globally routable address", { is = "skype" },
    node { only = 2, address = "93.184.216.34" } },
  { "udp-skype-v6", "over IPv6 no 4-byte address is ours: a guess at most", { hint = "skype" }, node { only = 2 },
    host = "::1" },
  { "udp-echo-v6", "an echo over IPv6", { may = { "echo" } }, function(q) return q end, host = "::1" },
}

local function open_udp(decoy, host, port, count)
  local socket = uv.new_udp()
  assert(socket:bind(host, port))
  local memory = {}
  local other
  socket:recv_start(function(err, data, from)
    if err or not from then return end
    data = data or ""
    count.datagrams = count.datagrams + 1
    count.received = count.received + #data
    local function send(reply)
      if reply == nil then return end
      if type(reply) ~= "table" then reply = { reply } end
      if reply[1] == nil then return end
      local through = socket
      if reply.elsewhere then
        if not other then
          other = uv.new_udp()
          other:bind(host, 0)
        end
        through = other
      end
      local function go()
        count.sent = count.sent + #reply[1]
        through:send(reply[1], from.ip, from.port, function() end)
      end
      if not reply.late then go() return end
      local timer = uv.new_timer()
      timer:start(reply.late, 0, function() timer:close() go() end)
    end
    local replies = table.pack(decoy.udp(data, from.ip, memory, from.port))
    for i = 1, replies.n do send(replies[i]) end
  end)
end

---------------------------------------------------------------------------------------------------------------------------

local list_only = arg[1] == "--list"
local names = list_only and {} or { table.unpack(arg) }

local wanted = {}
for _, name in ipairs(names) do wanted[name] = true end

local counts = {}

local function start(rows, transport)
  for _, row in ipairs(rows) do
    local decoy = { name = row[1], why = row[2], truth = row[3], [transport] = row[4], single = row.single }
    if #names == 0 or wanted[decoy.name] then
      wanted[decoy.name] = nil
      local host, port = row.host or "127.0.0.1", list_only and 0 or ports.pick()
      local count = { name = decoy.name, port = port, transport = transport, connections = 0, now = 0, most_at_once = 0,
        datagrams = 0, received = 0, sent = 0, memory = {} }
      counts[#counts + 1] = count
      local open = transport == "tcp" and listen or open_udp
      if not list_only then open(decoy, host, port, count) end
      local truth = {}
      for key, value in pairs(decoy.truth) do truth[key] = value end
      io.write(json.encode { name = decoy.name, host = host, port = port, transport = transport, why = decoy.why,
        truth = truth, single = decoy.single or false }, "\n")
    end
  end
end

local function print_counts()
  for _, count in ipairs(counts) do
    io.write(json.encode { name = count.name, port = count.port, transport = count.transport, received = count.received,
      connections = count.connections, most_at_once = count.most_at_once, datagrams = count.datagrams, sent = count.sent },
      "\n")
  end
  io.write('{"end":true}\n')
  io.flush()
end

start(TCP, "tcp")
start(UDP, "udp")
for name in pairs(wanted) do
  io.stderr:write("decoys.lua: no such decoy: ", name, "\n")
  os.exit(2)
end
if list_only then os.exit(0) end
io.write(json.encode { ready = #counts }, "\n")
io.flush()

local stdin = uv.new_pipe(false)
local rest = ""
for _, signal in ipairs { "sigint", "sigterm", "sighup" } do uv.new_signal():start(signal, function() os.exit(0) end) end
uv.new_signal():start("sigpipe", function() end)
if uv.guess_handle(0) == "pipe" then
  stdin:open(0)
  stdin:read_start(function(err, data)
    if err or not data then os.exit(0) end
    rest = rest .. data
    for line in rest:gmatch("([^\n]*)\n") do
      if line == "counts" then print_counts() end
    end
    rest = rest:match("([^\n]*)$")
  end)
end
uv.run()
