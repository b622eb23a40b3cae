--- TCP servers for the tests, as rows: a name that says why it is there, a peer, and what it must be called.
-- The same peers run under the virtual engine and on real sockets (`slow`: virtual only).
-- want: service (false: none), signed (the service where signatures may be asked too), tls, guess, product, version, state;
-- `most` connections it may have cost; hung_up: how it ends a connection that asks for a page ("eof", "reset").

local peers = {}

local function random(n)
  local out = {}
  for i = 1, n do out[i] = string.char(math.random(0, 255)) end
  return table.concat(out)
end

-- Says a banner (or nothing), then answers each line by fn(line, c); nil: silence.
local function lines(banner, fn)
  return function(c)
    local buffer = ""
    if banner then c:write(banner) end
    function c:on_data(bytes)
      buffer = buffer .. bytes
      while true do
        local line, after = buffer:match("^([^\n]*)\n()")
        if not line then return end
        buffer = buffer:sub(after)
        local answer = fn and fn((line:gsub("\r$", "")), self)
        if answer then self:write(answer) end
      end
    end
  end
end

-- Verbs of a command table; `other` answers the rest.
local function verbs(banner, answers, other)
  return lines(banner, function(line, self)
    local verb = line:match("^%S*"):upper()
    local answer = answers[verb]
    if answer == nil then answer = other end
    if type(answer) == "function" then return answer(line, self) end
    return answer
  end)
end

-- Answers once, by fn(all bytes so far, c); nil: not yet.
local function once(fn)
  return function(c)
    local buffer, done = "", false
    function c:on_data(bytes)
      if done then return end
      buffer = buffer .. bytes
      local answer, stay = fn(buffer, self)
      if answer then
        done = true
        self:write(answer)
        if not stay then self:close() end
      end
    end
  end
end

-- A server that reads nothing before it greeted, `seconds` after the connection.
local function late(seconds, greeting, answers, other)
  return function(c)
    local serve, waiting = verbs(nil, answers, other), {}
    function c:on_data(bytes) waiting[#waiting + 1] = bytes end
    c:after(seconds, function()
      c:write(greeting)
      serve(c)
      for _, bytes in ipairs(waiting) do c:on_data(bytes) end
    end)
  end
end

local function is_http(bytes) return bytes:find("^%u+ %S+ HTTP/1%.[01]\r\n") ~= nil end
local function is_request(bytes) return bytes:find("\r\n\r\n", 1, true) end

-- A web server: `answer` for requests, `bad` for what is none.
local function web(answer, bad)
  return once(function(b)
    if not is_request(b) then return nil end
    if is_http(b) then return answer end
    return bad or "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
  end)
end

-- Says `answer` to HTTP, and nothing to anything else.
local function to_browsers(answer)
  return once(function(b) return is_request(b) and is_http(b) and answer end)
end

-- An RTSP server that answers HTTP by `page`.
local function rtsp(page)
  return once(function(b)
    if not is_request(b) then return nil end
    if b:find "^OPTIONS [^\r\n]* RTSP/1.0\r\n" then return "RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS\r\n\r\n", true end
    return page
  end)
end

local SKYPE = "HTTP/1.0 404 Not Found\r\n\r\n"

-- A node: the exact 404, or noise(sent, n of the connection).
local function node(noise, answer)
  return once(function(b, c)
    if b:find("^GET ") then return is_request(b) and (answer or SKYPE) end
    return noise(b, c.n)
  end)
end

-- A node that takes its time for everything.
local function node_late(seconds)
  return function(c)
    once(function(b, self)
      if not is_request(b) then return nil end
      self:after(seconds, function()
        self:write(b:find("^GET ") and SKYPE or random(20))
        self:close()
      end)
      return "", true
    end)(c)
  end
end

local FEAT = "211-Extensions supported:\r\n EPRT\r\n EPSV\r\n MDTM\r\n PASV\r\n REST STREAM\r\n SIZE\r\n TVFS\r\n211 End\r\n"
local LOGIN = "530 Please login with USER and PASS.\r\n"
local UNKNOWN = "500 Unknown command.\r\n"

local function mail(banner, lmtp)
  return verbs(banner, {
    EHLO = not lmtp and "250-mail.example.org\r\n250-PIPELINING\r\n250 SIZE 10240000\r\n" or "500 5.5.1 Unknown\r\n",
    HELO = not lmtp and "250 mail.example.org\r\n" or "500 5.5.1 Unknown\r\n",
    LHLO = lmtp and "250-mail.example.org\r\n250 8BITMIME\r\n" or nil,
    HELP = "214-Commands supported:\r\n214 AUTH HELO EHLO MAIL RCPT DATA NOOP QUIT RSET HELP\r\n",
  }, "500 5.5.2 Error: command not recognized\r\n")
end

local H2 = "\0\0\6\4\0\0\0\0\0\0\3\0\0\0\100"

local function tls_hello(extra)
  local hello = "\3\3" .. ("\xab"):rep(32) .. "\0\xc0\x2f\0\0\0"
  local handshake = "\2" .. (">s3"):pack(hello)
  return "\x16\3\3" .. (">s2"):pack(handshake) .. (extra or "")
end

local NGINX_400 = "HTTP/1.1 400 Bad Request\r\nServer: nginx/1.22.1\r\nDate: x\r\nContent-Type: text/html\r\n"
  .. "Content-Length: 27\r\nConnection: close\r\n\r\n<html>plain to HTTPS</html>"

peers.tcp = {
  -- FTP ---------------------------------------------------------------------------------------------
  { "ftp: vsftpd, 530 to all but FEAT before login", verbs("220 (vsFTPd 3.0.3)\r\n", { FEAT = FEAT }, LOGIN),
    { service = "ftp", product = "vsFTPd", version = "3.0.3", most = 1 } },
  { "ftp: greets with the word SMTP", verbs("220-Welcome to mail.example.org, SMTP and files\r\n220 go ahead\r\n",
    { SYST = "215 UNIX Type: L8\r\n", HELP = "214-Known:\r\n USER PASS CWD RETR STOR PORT PASV LIST\r\n214 end\r\n" },
    "502 Command not implemented\r\n"), { service = "ftp" } },
  { "ftp: multi-line greeting", verbs("220-Welcome\r\n220-to ProFTPD 1.3.8 Server\r\n   indented\r\n220 ready\r\n",
    { FEAT = FEAT }, UNKNOWN), { service = "ftp", product = "ProFTPD", version = "1.3.8" } },
  { "ftp: Pure-FTPd's box of dashes", verbs("220---------- Welcome to Pure-FTPd [privsep] [TLS] ----------\r\n"
    .. "220-You are user number 1 of 50 allowed.\r\n220-Local time is now 12:00. Server port: 21.\r\n"
    .. "220-This is a private system - No anonymous login\r\n220 You will be disconnected after 15 minutes\r\n",
    { FEAT = FEAT }, "530 You aren't logged in\r\n"), { service = "ftp", product = "Pure-FTPd" } },
  { "ftp: FileZilla", verbs("220-FileZilla Server 1.7.3\r\n220 Please visit https://filezilla-project.org/\r\n",
    { FEAT = FEAT }, UNKNOWN), { service = "ftp", product = "FileZilla Server", version = "1.7.3" } },
  { "ftp: Microsoft", verbs("220 Microsoft FTP Service\r\n", { SYST = "215 Windows_NT\r\n" }, UNKNOWN),
    { service = "ftp", product = "Microsoft FTP Service" } },
  { "ftp: 120 first, then 220, and not to be asked between", function(c)
    local ready = false
    verbs("120 Service ready in a moment\r\n", { FEAT = function() return ready and FEAT or "421 Too early\r\n" end },
      "421 Bye\r\n")(c)
    c:after(1, function()
      ready = true
      c:write("220 Now\r\n")
    end)
  end, { service = "ftp" } },
  { "ftp: a greeting that says ESMTP", verbs("220 box ESMTP gateway of the FTP server\r\n", { FEAT = FEAT }, UNKNOWN),
    { service = "ftp" } },
  { "ftp: greets after 8 s, deaf for ever to who speaks before", function(c)
    local early = false
    verbs(nil, { FEAT = FEAT }, UNKNOWN)(c)
    local serve = c.on_data
    function c:on_data() early = true end
    c:after(8, function()
      if early then return end
      c.on_data = serve
      c:write("220 ready\r\n")
    end)
  end, { service = "ftp" }, slow = true },
  { "ftp: greets after 25 s, hangs up on HTTP", late(25, "220 ready\r\n", { FEAT = FEAT,
    GET = function(_, self) self:close() end }, UNKNOWN), { service = "ftp" }, slow = true },
  { "ftp: greeting of 220 and blanks", verbs("220  \r\n", { FEAT = FEAT }, UNKNOWN), { service = "ftp" } },
  { "ftp: greeting of 220 alone", verbs("220\r\n", { FEAT = FEAT }, UNKNOWN), { service = "ftp" } },
  { "ftp: no letters FTP, only SYST", verbs("220 Hello.\r\n", { SYST = "215 UNIX Type: L8\r\n" }, UNKNOWN),
    { service = "ftp" } },
  { "ftp: only HELP", verbs("220 Hello.\r\n", { HELP = "214-The following commands are recognized:\r\n"
    .. " USER PASS ACCT CWD CDUP QUIT PORT PASV TYPE STRU MODE RETR STOR LIST NLST\r\n214 Direct comments to root\r\n" },
    UNKNOWN), { service = "ftp" } },
  { "ftp: tells nothing before login but USER and PASS", verbs("220 ready\r\n", {}, LOGIN), { service = "ftp" } },
  { "ftp: Cyrillic greeting", verbs("220 Добро пожаловать на сервер\r\n", { FEAT = FEAT }, UNKNOWN), { service = "ftp" } },
  { "ftp: lines end in LF alone", verbs("220 ready\n", { FEAT = FEAT:gsub("\r", "") }, UNKNOWN), { service = "ftp" } },
  { "ftp: a byte at a time", function(c)
    verbs(nil, { FEAT = FEAT }, UNKNOWN)(c)
    c:drip("220 (vsFTPd 3.0.5)\r\n", 0.02)
  end, { service = "ftp", version = "3.0.5" } },
  { "ftp: a byte a second", function(c)
    verbs(nil, { FEAT = FEAT }, UNKNOWN)(c)
    c:drip("220 (vsFTPd 3.0.5)\r\n", 1)
  end, { service = "ftp", version = "3.0.5" }, slow = true },
  { "ftp: its features drip for a minute", verbs("220 ready\r\n", { FEAT = function(_, self)
    self:drip(FEAT, 0.5)
  end }, UNKNOWN), { service = "ftp" }, slow = true },
  { "ftp: offers TLS", verbs("220 ready\r\n", { FEAT = "211-Features:\r\n AUTH SSL;TLS;\r\n EPSV\r\n PBSZ\r\n211 End\r\n" },
    UNKNOWN), { service = "ftp", extra = "TLS after AUTH TLS" } },
  { "none: 220, and an answer to FEAT that drips for ever", verbs("220 ready\r\n", { FEAT = function(_, self)
    local function more() self:write("211-x\r\n") self:after(1, more) end
    more()
  end }, UNKNOWN), { service = false, within = 140 }, slow = true },
  { "ftp: greets after 3 s", late(3, "220 ready\r\n", { FEAT = FEAT }, UNKNOWN), { service = "ftp" }, slow = true },
  { "ftp: greets after 8 s", late(8, "220 ready\r\n", { FEAT = FEAT }, UNKNOWN), { service = "ftp", within = 10 },
    slow = true },
  { "ftp: greets after 25 s", late(25, "220 ready\r\n", { FEAT = FEAT }, UNKNOWN), { service = "ftp" }, slow = true },
  { "ftp: greets after 59 s, patience 70", late(59, "220 ready\r\n", { FEAT = FEAT }, UNKNOWN), { service = "ftp" },
    slow = true, patience = 70 },
  { "ftp: slow, and hangs up on HTTP as ProFTPD does", late(2, "220 ready\r\n", { FEAT = FEAT,
    GET = function(_, self) self:close() end }, UNKNOWN), { service = "ftp" } },
  { "ftp: greeting in two pieces", function(c)
    verbs("220 one\r\n", { FEAT = FEAT }, UNKNOWN)(c)
    c:after(0.01, function() c:write("220 two\r\n") end)
  end, { service = "ftp" } },
  { "ftp: multi-line greeting never closed", verbs("220-Welcome\r\n220-to this FTP server\r\n", { FEAT = FEAT }, UNKNOWN),
    { service = "ftp" }, slow = true },
  { "ftp: FEAT has no features, SYST tells", verbs("220 x\r\n", { FEAT = "211 No features\r\n",
    SYST = "215 UNIX Type: L8\r\n" }, "502 not implemented\r\n"), { service = "ftp" } },
  { "ftp: 421 of vsftpd", function(c)
    c:write("421 There are too many connected users, please try later.\r\n")
    c:close()
  end, { service = "ftp" } },
  { "ftp: 421 of Pure-FTPd", function(c)
    c:write("421 Too many connections (8) from this IP\r\n")
    c:close()
  end, { service = "ftp" } },
  { "ftp: 421 of pyftpdlib", function(c)
    c:write("421 Too many connections. Service temporarily unavailable.\r\n")
    c:close()
  end, { service = "ftp" } },
  { "ftp: 530 of ProFTPD, by host", function(c)
    c:write("530 Sorry, the maximum number of connections (1) for your host are already connected.\r\n")
    c:close()
  end, { service = "ftp" } },
  { "ftp: 500 of vsftpd that cannot begin", function(c)
    c:write("500 OOPS: vsftpd: cannot locate user specified in 'ftp_username':ftp\r\n")
    c:close()
  end, { service = "ftp", product = "vsftpd" } },
  { "none: 500 of anybody", function(c)
    c:write("500 vsftpd is not here\r\n")
    c:close()
  end, { service = false } },
  { "ftp: 530, not logged in", function(c)
    c:write("530 User cannot log in, home directory inaccessible.\r\n")
    c:close()
  end, { service = "ftp" } },
  { "none: 530 of dictd", function(c)
    c:write("530 Access denied\r\n")
    c:close()
  end, { service = false, guess = "ftp" } },
  { "ftp: 530 of ProFTPD", function(c)
    c:write("530 Sorry, the maximum number of clients (3) from your host are already connected.\r\n")
    c:close()
  end, { service = "ftp" } },
  { "ftp: 421 that says FTP", function(c) c:write("421 FTP service not available\r\n") c:close() end, { service = "ftp" } },
  { "guess: 421 of a host named ftp, as mail servers name theirs", function(c)
    c:write("421 ftp.example.org Service not available, closing transmission channel\r\n")
    c:close()
  end, { service = false, guess = "ftp" } },
  { "guess: 421 that says nothing", function(c) c:write("421 Service not available, try later\r\n") c:close() end,
    { service = false, guess = "ftp" } },
  { "guess: 421 of a mail server", function(c)
    c:write("421 4.7.0 mail.example.org Error: too many connections\r\n")
    c:close()
  end, { service = false, guess = "smtp" } },
  { "ftp: one client at a time, refuses others", verbs("220 x\r\n", { FEAT = FEAT }, UNKNOWN), { service = "ftp" },
    refuse = function(_, open) return open > 0 end },
  { "ftp: one client at a time, still busy with who found it open", verbs("220 x\r\n", { FEAT = FEAT }, UNKNOWN),
    { service = "ftp" }, refuse = function(count, open) return count <= 2 or open > 0 end, open = true },

  -- What greets like FTP ----------------------------------------------------------------------------
  { "smtp: postfix", mail("220 mail.example.org ESMTP Postfix (Debian/GNU)\r\n"), { service = "smtp" } },
  { "smtp: a greeting without ESMTP", mail("220 mail.example.org ready\r\n"), { service = "smtp" } },
  { "smtp: a greeting that says FTP", mail("220 ftp.example.org FTP and mail\r\n"), { service = "smtp" } },
  { "smtp: a greeting that says vsFTPd", mail("220 (vsFTPd 3.0.3)\r\n"), { service = "smtp" } },
  { "lmtp: dovecot", mail("220 mail.example.org Dovecot ready.\r\n", true), { service = "lmtp" } },
  { "dict: dictd", verbs("220 box dictd 1.13.1/rf on Linux 6.1 <auth.mime> <1.2.3@box>\r\n",
    { HELP = "113 help text follows\r\nDEFINE database word\r\n.\r\n250 ok\r\n" }, "500 unknown command\r\n"),
    { service = "dict" } },
  { "svdrp: VDR", verbs("220 box SVDRP VideoDiskRecorder 2.6.0; Sun Jan 1 2023; UTF-8\r\n",
    { HELP = "214-This is VDR version 2.6.0\r\n214-Topics:\r\n214-    CHAN      CLRE      DELC      DELR      DELT\r\n"
      .. "214-    GRAB HITK LSTC LSTE LSTR LSTT MESG MODC NEWC UPDT\r\n214 End of HELP info\r\n" },
    "500 Command unrecognized\r\n"), { service = "svdrp" } },
  { "guess: 214 with verbs that any protocol may have", verbs("220 JobTracker v3 ready\r\n",
    { HELP = "214-Commands:\r\n LIST STAT SITE TYPE MODE PORT QUIT\r\n214 end\r\n" }, "500 unknown command\r\n"),
    { service = false, guess = "ftp" } },
  { "smtp: knows HELO only", verbs("220 host NO UCE NO UBE NO RELAY PROBES\r\n", { HELO = "250 host Hello there\r\n" },
    "500 Command not implemented\r\n"), { service = "smtp" } },
  { "none: 250 to all that there is", verbs("220 sink ready\r\n", {}, "250 OK\r\n"), { service = false } },
  { "hylafax: says so", verbs("220 box server (HylaFAX (tm) Version 6.0.7) ready.\r\n",
    { SYST = "215 UNIX Type: L8 Version SVR4\r\n" }, "500 not understood\r\n"), { service = "hylafax" } },
  { "hylafax: greeting without its name", verbs("220 ready.\r\n", { SYST = "215 UNIX Type: L8\r\n",
    HELP = "214-The following commands are recognized:\r\n USER PASS PORT PASV TYPE MODE RETR STOR LIST CWD NLST\r\n"
      .. " JNEW JKILL JSUBM JSUSP JPARM JWAIT FNUMBER\r\n214 Direct comments to FaxMaster\r\n" }, "500 not understood\r\n"),
    { service = "hylafax" } },
  { "nntp: 200", verbs("200 news.example.org InterNetNews NNRP server ready (posting ok)\r\n",
    { HELP = "100 Legal commands\r\n  ARTICLE\r\n.\r\n", CAPABILITIES = "101 list\r\nVERSION 2\r\n.\r\n" },
    "500 What?\r\n"), { service = "nntp" } },
  { "none: 220 and the same answer to anything", verbs("220 hello\r\n", {}, "500 no\r\n"), { service = false } },
  { "none: 220 and 250 to anything", verbs("220 hello\r\n", {}, "250 ok\r\n"), { service = false } },
  { "none: 220 and 215 to anything", verbs("220 hello\r\n", {}, "215 UNIX Type: L8\r\n"), { service = false } },
  { "none: 220 and 214 with verbs to anything", verbs("220 hello\r\n", {}, "214 USER PASS RETR STOR LIST PASV\r\n"),
    { service = false } },
  { "none: 220 and 211 with nothing to anything", verbs("220 hello\r\n", {}, "211 fine\r\n"), { service = false } },
  { "none: 220 and an echo", lines("220 hello\r\n", function(line) return line .. "\r\n" end), { service = false } },
  { "none: 220 and an echo with a number", lines("220 hello\r\n", function(line) return "500 " .. line .. "\r\n" end),
    { service = false } },
  { "none: 220 and silence", lines("220 hello\r\n"), { service = false, within = 25 }, slow = true },
  { "none: 220 FTP, and silence", lines("220 FTP server ready\r\n"), { service = false, guess = "ftp" }, slow = true },
  { "none: a mail server that wants TLS first says 530", verbs("220 x\r\n", {}, "530 5.7.0 Must issue a STARTTLS\r\n"),
    { service = false } },
  { "none: 220 drips for ever", function(c)
    local function more() c:write("220-x\r\n") c:after(1, more) end
    more()
  end, { service = false }, slow = true },

  -- HTTP --------------------------------------------------------------------------------------------
  { "http: nginx", web("HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nContent-Type: text/html\r\nContent-Length: 55\r\n\r\n"
    .. "<html><head><title>Welcome &amp; all</title></head></html>"),
    { service = "http", product = "nginx", version = "1.22.1", extra = '200; title "Welcome & all"', most = 2 } },
  { "http: 404 with a body", web("HTTP/1.1 404 Not Found\r\nServer: lighttpd/1.4.69\r\nContent-Length: 3\r\n\r\nno\n"),
    { service = "http", product = "lighttpd" } },
  { "http: 401", web("HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\n\r\n"), { service = "http" } },
  { "http: 503 with headers", web("HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\n\r\n<html>x</html>"),
    { service = "http" } },
  { "http: LF only", web("HTTP/1.0 200 OK\nContent-Type: text/plain\n\nhello"), { service = "http" } },
  { "http: no reason phrase", web("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), { service = "http" } },
  { "http: no header at all", web("HTTP/1.0 200 OK\r\n\r\nhello"), { service = "http" } },
  { "http: a byte at a time", function(c)
    once(function(b, self)
      if is_request(b) then
        self:drip("HTTP/1.1 200 OK\r\nServer: slow/1.0\r\nContent-Length: 2\r\n\r\nhi", 0.01, function() self:close() end)
        return "", true
      end
    end)(c)
  end, { service = "http", product = "slow" } },
  { "http: a byte a second", function(c)
    once(function(b, self)
      if is_request(b) then
        self:drip("HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", 1, function() self:close() end)
        return "", true
      end
    end)(c)
  end, { service = "http" }, slow = true },
  { "http: 1.0 only, silent to 1.1", once(function(b)
    if b:find("HTTP/1.0\r\n\r\n", 1, true) then return "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html>" end
  end), { service = "http" } },
  { "http: wants Host, silent without", once(function(b)
    if b:find("Host: ", 1, true) and is_request(b) then return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" end
  end), { service = "http" } },
  { "http: wants the PROXY protocol, closes on anything else", once(function(b, self)
    if not ("PROXY "):find(b:sub(1, 6), 1, true) then self:close() return nil end
    local port = b:match "^PROXY TCP4 [%d.]+ 127%.0%.0%.1 %d+ (%d+)\r\nGET / HTTP/1%.0\r\n\r\n$"
    if port then return "HTTP/1.1 200 OK\r\nServer: shy/1.0\r\nContent-Length: 0\r\n\r\n" end
  end), { service = "http", product = "shy", extra = "200; wants the PROXY protocol" } },
  { "http: HEAD only, closes on anything else", once(function(b, self)
    if is_request(b) and b:find "^HEAD " then return "HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n" end
    self:close()
  end), { service = "http" } },
  { "http: OPTIONS only, closes on anything else", once(function(b, self)
    if is_request(b) and b:find "^OPTIONS " then return "HTTP/1.1 204 No Content\r\nAllow: OPTIONS\r\n\r\n" end
    self:close()
  end), { service = "http" } },
  { "http: silent to GET, turns away what is no request, answers OPTIONS", once(function(b)
    if not is_request(b) and not b:find "\n" then return nil end
    if b:find "^OPTIONS " then return "HTTP/1.1 200 OK\r\nServer: x/2\r\nContent-Length: 0\r\n\r\n" end
    if not is_http(b) then return "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" end
  end), { service = "http", product = "x", within = 10 } },
  { "http: 408 to everybody before any request", function(c)
    c:write("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    c:close()
  end, { service = "http", within = 10 } },
  { "none: a bare status line to everybody before any request", function(c)
    c:write("HTTP/1.1 200 OK\r\n\r\n")
    c:close()
  end, { service = false } },
  { "none: 400 to anything but GET, to which it says no", once(function(b)
    if b:find "^GET " then return "NO\r\n" end
    return "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
  end), { service = false } },
  { "memcached, as it hangs up on all that HTTP may be", function(c)
    local serve = verbs(nil, { VERSION = "VERSION 1.6.18\r\n" }, "ERROR\r\n")
    serve(c)
    local answer = c.on_data
    function c:on_data(bytes) if bytes:find "HTTP/" then self:close() else answer(self, bytes) end end
  end, { service = false, signed = "memcached" } },
  { "memcached under load: hangs up at once, and answers late", function(c)
    local serve = verbs(nil, { VERSION = "VERSION 1.6.18\r\n" }, "ERROR\r\n")
    serve(c)
    local answer = c.on_data
    function c:on_data(bytes)
      if bytes:find "HTTP/" then self:close() else self:after(0.8, function() answer(self, bytes) end) end
    end
  end, { service = false, signed = "memcached" } },
  -- How they hang up on a page's request says what to ask first within six connections.
  { "mqtt: resets on what is no CONNECT", function(c)
    function c:on_data(bytes)
      if bytes:byte() == 0x10 then self:write("\x20\2\0\0\xd0\0") else self:reset() end
    end
  end, { service = false, signed = "mqtt" }, hung_up = "reset" },
  { "ldap: takes PROXY for a length and waits, closes on the rest", function(c)
    function c:on_data(bytes)
      if bytes:byte() == 0x30 then
        self:write("\x30\x0f" .. bytes:sub(3, 8) .. "\x65\7\10\1\x32\4\0\4\0")
      elseif not bytes:find "^PROXY" then
        self:close()
      end
    end
  end, { service = false, signed = "ldap" }, slow = true, hung_up = "eof" },
  { "socks5: closes on who greets otherwise", function(c)
    function c:on_data(bytes)
      if bytes:byte() == 5 then self:write("\5\0") else self:close() end
    end
  end, { service = "socks5", within = 10 } },
  { "http: keeps the connection open", once(function(b)
    if is_request(b) then return "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello", true end
  end), { service = "http" } },
  { "http: answers after 4 s", function(c)
    once(function(b, self)
      if is_request(b) then
        self:after(4, function() self:write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") self:close() end)
        return "", true
      end
    end)(c)
  end, { service = "http" }, slow = true },
  { "http: one connection after the other", function() end, { service = "http" }, serial = web(
    "HTTP/1.0 200 OK\r\nServer: SimpleHTTP/0.6 Python/3.11.2\r\n\r\n<title>x</title>") },
  { "http: speaks first (408), then answers GET", function(c)
    c:after(0.01, function() if not c.busy then c:write("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n") end end)
    once(function(b)
      c.busy = true
      if is_request(b) then return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" end
    end)(c)
  end, { service = "http" } },
  { "mongodb: tells browsers so", to_browsers("HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    .. "Content-Length: 85\r\n\r\nIt looks like you are trying to access MongoDB over HTTP on the native driver port.\r\n"),
    { service = "mongodb" } },
  { "clickhouse: tells browsers so", to_browsers("HTTP/1.0 400 Bad Request\r\n\r\nPort 9000 is for clickhouse-client program\r\n"
    .. "You must use port 8123 for HTTP.\r\n"), { service = "clickhouse" } },
  { "hadoop-ipc: tells browsers so", to_browsers("HTTP/1.1 404 Not Found\r\nContent-type: text/plain\r\n\r\nIt looks like you "
    .. "are making an HTTP request to a Hadoop IPC port. This is not the correct port for the web interface.\r\n"),
    { service = "hadoop-ipc" } },
  { "none: says in HTTP that it is none", web("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n"
    .. "This is not an HTTP port\n"), { service = false, guess = "http" } },
  { "http: a page about ports that are none", web("HTTP/1.1 200 OK\r\nServer: x\r\n\r\n<html><title>Forum</title>"
    .. ("This is not an HTTP port, they said. "):rep(20)), { service = "http" } },
  { "rtsp: 404 with a date to GET", rtsp "HTTP/1.1 404 Not Found\r\nDate: Fri, Nov 27 2026 12:00:00 GMT\r\n\r\n",
    { service = "rtsp" } },
  { "rtsp: a tunnel through HTTP", rtsp("HTTP/1.0 200 OK\r\nServer: x\r\nContent-Type: application/x-rtsp-tunnelled\r\n\r\n"),
    { service = "rtsp" } },
  { "none: a page to whoever comes, and no answer", function(c)
    c:write("HTTP/1.1 200 OK\r\nServer: Apache/2.2\r\n\r\n")
    once(function(_, self) self:close() end)(c)
  end, { service = false } },
  { "http: an error to whoever comes", function(c)
    c:write("HTTP/1.1 503 Service Unavailable\r\nServer: Apache/2.2\r\nContent-Length: 0\r\n\r\n")
    c:close()
  end, { service = "http" } },
  { "http: nginx's 444 to GET, 400 to garbage", once(function(b, c)
    if not is_request(b) then return nil end
    if is_http(b) then c:close() return "" end
    return "HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n"
  end), { service = "http", product = "nginx" } },
  { "http: garbage turned away at once, the page takes 9 s", function(c)
    once(function(b, self)
      if not is_request(b) then return nil end
      if not is_http(b) then return "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" end
      self:after(9, function() self:write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") self:close() end)
      return "", true
    end)(c)
  end, { service = "http" }, slow = true },
  { "http: refuses while another is connected", web("HTTP/1.0 200 OK\r\nServer: x\r\n\r\n"), { service = "http" },
    refuse = function(_, open) return open > 0 end },
  { "http: hangs up on whoever comes second", function(c)
    if c.others() > 0 then return c:close() end
    web("HTTP/1.0 200 OK\r\nServer: x\r\n\r\n")(c)
  end, { service = "http" } },
  { "none: says an HTTP status to whoever comes, and nothing to GET", function(c)
    c:write("HTTP/1.1 400 Bad Request\r\n\r\n")
  end, { service = false } },
  { "http: h2c alone, speaks first", function(c)
    c:write(H2)
    once(function(b) if b:find("^PRI %*") then return "\0\0\0\4\1\0\0\0\0", true end end)(c)
  end, { service = "http" } },
  { "http: Skype's 404, but garbage gets 400", node(function(b)
    return is_request(b) and "HTTP/1.0 400 Bad Request\r\n\r\n" or nil
  end), { service = "http" } },
  { "http: Skype's 404 to anything", node(function(b) return is_request(b) and SKYPE or nil end), { service = "http" } },
  { "http: Skype's 404, garbage gets bare HTML", node(function() return "<html><body>Bad request syntax</body></html>\r\n" end),
    { service = "http" } },
  { "http: Skype's 404 with a header more", node(function() return random(20) end,
    "HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n"), { service = "http" } },
  { "http: Skype's 404 with a byte more", node(function() return random(20) end, SKYPE .. "x"), { service = "http" } },
  { "http: Skype's 404 of HTTP/1.1", node(function() return random(20) end, "HTTP/1.1 404 Not Found\r\n\r\n"),
    { service = "http" } },
  { "none: Skype's 404, and it stays open", function(c)
    once(function(b) if b:find("^GET ") then return SKYPE, true end return random(20) end)(c)
  end, { service = false, guess = "http" } },
  { "http: haproxy's 400 with (null)", web("HTTP/1.0 200 OK\r\nContent-Type: x\r\n\r\n", "(null) 400 Bad Request\r\n"),
    { service = "http" } },

  -- Kin of HTTP --------------------------------------------------------------------------------------
  { "rtsp: says RTSP to GET", once(function(b)
    return is_request(b) and "RTSP/1.0 400 Bad Request\r\nCSeq: 0\r\n\r\n"
  end),
    { service = "rtsp" } },
  { "rtsp: GStreamer says HTTP 503 to GET", once(function(b)
    if not is_request(b) then return nil end
    if b:find("^GET") then return "HTTP/1.0 503 Service Unavailable\r\nServer: GStreamer RTSP server\r\n\r\n" end
    if b:find("^OPTIONS") then return "RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS, PLAY\r\n\r\n", true end
  end), { service = "rtsp" } },
  { "rtsp: a camera says a bare HTTP 404 to GET", once(function(b)
    if not is_request(b) then return nil end
    if b:find("^GET") then return "HTTP/1.1 404 Stream Not Found\r\n\r\n" end
    if b:find("^OPTIONS") then return "RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS, PLAY\r\n\r\n", true end
    return "RTSP/1.0 400 Bad Request\r\n\r\n"
  end), { service = "rtsp" } },
  { "rtsp: GStreamer takes 3 s for everything", function(c)
    once(function(b, self)
      if not is_request(b) then return nil end
      self:after(3, function()
        self:write(b:find("^OPTIONS") and "RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"
          or "HTTP/1.0 503 Service Unavailable\r\nServer: GStreamer RTSP server\r\n\r\n")
        self:close()
      end)
      return "", true
    end)(c)
  end, { service = "rtsp" }, slow = true },
  { "sip: says SIP to GET", once(function(b) return is_request(b) and "SIP/2.0 400 Bad Request\r\n\r\n" end),
    { service = "sip" } },
  { "shoutcast: ICY 200", once(function(b) return is_request(b) and "ICY 200 OK\r\nicy-name:x\r\n\r\n\xff\xfb" end),
    { service = "shoutcast" } },
  { "spamd: SPAMD/1.0 76", once(function(b) return b:find("\n") and "SPAMD/1.0 76 Bad header line: GET\r\n" end),
    { service = "spamd" } },
  { "socks5: Tor's port says 501 to GET", once(function(b)
    if b:byte(1) == 5 then return "\5\0", true end
    if b:find("^GET") then
      return is_request(b) and "HTTP/1.0 501 Tor is not an HTTP Proxy\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\n"
        .. "<html><head><title>This is a SOCKS Proxy, Not An HTTP Proxy</title></head></html>"
    end
  end), { service = "socks5" } },
  { "none: IRC that speaks of an HTTP request", verbs(nil, {}, ":irc.example.org NOTICE * :HTTP request received?\r\n"),
    { service = false } },
  { "none: HTTP/2.0 in text", once(function(b) return is_request(b) and "HTTP/2.0 200 OK\r\n\r\n" end), { service = false } },
  { "none: HTTP/1.1 with two digits", once(function(b) return is_request(b) and "HTTP/1.1 20 OK\r\n\r\n" end),
    { service = false } },
  { "none: HTTP/1.1 and four digits", once(function(b) return is_request(b) and "HTTP/1.1 2000 OK\r\n\r\n" end),
    { service = false } },
  { "none: HTML without a status line", once(function(b) return is_request(b) and "<html><body>hello</body></html>" end),
    { service = false } },
  { "none: says HTTP/1.1 in a sentence", once(function(b) return is_request(b) and "I speak HTTP/1.1 200 OK\r\n\r\n" end),
    { service = false } },

  -- TLS ----------------------------------------------------------------------------------------------
  { "tls: nginx says 400 in plain text", once(function(b)
    if b:byte(1) == 0x16 then return tls_hello(), true end
    return is_request(b) and NGINX_400
  end), { service = "http", tls = true, product = "nginx" } },
  { "http: nginx's 400, but no TLS there", web(NGINX_400, NGINX_400), { service = "http", tls = false } },
  { "tls: answers text with an alert", once(function(b)
    if b:find("^\x16\3") then return tls_hello(), true end
    return "\x15\3\1\0\2\2\70"
  end), { service = false, tls = true, most = 3 } },
  { "tls: one connection after the other", function() end, { service = false, tls = true }, serial = once(function(b)
    if b:find("^\x16\3") then return tls_hello(), true end
    return "\x15\3\1\0\2\2\70"
  end) },
  { "tls: one after the other, hangs up on text", function() end, { service = false, tls = true },
    serial = once(function(b, c)
      if b:find("^\x16\3") then return tls_hello(), true end
      c:close()
      return ""
    end) },
  { "skype: one connection after the other", function() end, { service = "skype" },
    serial = node(function() return random(20) end) },
  { "tls: resets whoever speaks text", function(c)
    once(function(b)
      if b:find("^\x16\3") then return tls_hello(), true end
      c:reset()
      return ""
    end)(c)
  end, { service = false, tls = true } },
  { "tls: silent to text, refuses our hello", once(function(b)
    return b:find("^\x16\3") and "\x15\3\3\0\2\2\70" or nil
  end), { service = false, tls = true } },
  { "tls: implicit FTPS says 500 OOPS to text", once(function(b)
    if b:find("^\x16\3") then return tls_hello(), true end
    return "500 OOPS: SSL: cannot accept\r\n"
  end), { service = false, tls = true } },
  { "none: TLS-like noise to anything", once(function(b) return #b > 8 and "\x16\3\1" .. random(40) end),
    { service = false, tls = false } },
  { "none: a hello of the right shape, cut", once(function(b) return #b > 8 and "\x16\3\3\0\x31\2\0\0" end),
    { service = false, tls = false } },

  -- Skype ---------------------------------------------------------------------------------------------
  { "skype: a node", node(function() return random(20) end), { service = "skype", most = 5 } },
  { "skype: 14 bytes of noise", node(function() return random(14) end), { service = "skype" } },
  { "skype: 200 bytes of noise, stays open", once(function(b)
    if b:find("^GET ") then return is_request(b) and SKYPE end
    return random(200), true
  end), { service = "skype" } },
  { "skype: noise to HTTP/1.1 as well", once(function(b)
    if b:find("^GET / HTTP/1.0\r\n") then return is_request(b) and SKYPE end
    return random(30)
  end), { service = "skype" } },
  { "skype: dripped", function(c)
    once(function(b, self)
      local answer = b:find("^GET ") and SKYPE or random(16)
      if not is_request(b) then return nil end
      self:drip(answer, 0.01, function() self:close() end)
      return "", true
    end)(c)
  end, { service = "skype" } },
  { "skype: dripped slowly", function(c)
    once(function(b, self)
      if not is_request(b) then return nil end
      self:drip(b:find("^GET ") and SKYPE or random(16), 0.05, function() self:close() end)
      return "", true
    end)(c)
  end, { service = "skype", most = 5 }, slow = true },
  { "skype: answers after 0.5 s", node_late(0.5), { service = "skype" } },
  { "skype: answers after 0.9 s", node_late(0.9), { service = "skype" }, slow = true },
  { "guess: a node that takes 3 s for each answer is not asked all within six connections", node_late(3),
    { service = false, guess = "skype" }, slow = true, max_connections = 5 },
  -- Skype's 404, but no noise as Skype's: bytes for garbage are no web server's answer either.
  { "none: 13 bytes of noise", node(function() return random(13) end), { service = false, guess = "http" } },
  { "http: noise of letters", node(function() return (random(20):gsub(".", function(c)
    return string.char(97 + c:byte() % 26)
  end)) end), { service = "http" } },
  { "none: the same noise always", node(function() return "\x8f\x01\xe3\x9a\x77\x10\xfe\xc2\x55\x81\x99\x02\xb3\xd4\xee" end),
    { service = false, guess = "http" } },
  { "none: what was sent, XORed", node(function(b) return (b:gsub(".", function(c)
    return string.char(c:byte() ~ 0x5a)
  end)) end), { service = false, guess = "http" } },
  { "none: what was sent, XORed by connection", node(function(b, n) return (b:gsub(".", function(c)
    return string.char(c:byte() ~ (n * 37 & 255))
  end)) end), { service = false, guess = "http" } },
  { "none: what was sent, reversed", node(function(b) return b:reverse() end),
    { service = false, guess = "http" } },
  { "none: what was sent", node(function(b) return b end), { service = false, guess = "http" } },
  { "none: a fixed head, then noise", node(function() return "\x81\x02\0\x10" .. random(16) end),
    { service = false, guess = "http" } },
  { "none: a length, then noise", node(function() return "\0\x20" .. random(30) end), { service = false, guess = "http" } },
  { "none: a length that moves, then noise", node(function() return string.pack(">s2", random(math.random(20, 60))) end),
    { service = false, guess = "http" } },
  { "none: noise with a fixed middle", node(function() return random(4) .. "\x99\x88\x77\x66\x55" .. random(8) end),
    { service = false, guess = "http" } },
  { "none: a counter", node(function(_, n)
    local out = {}
    for i = 1, 20 do out[i] = string.char((n * 16 + i) & 255 | 0x80) end
    return table.concat(out)
  end), { service = false, guess = "http" } },
  { "none: the same noise shifted by the connection", node(function(_, n)
    return ("\x8f\x01\xe3\x9a\x77\x10\xfe\xc2\x55\x81\x99\x02\xb3\xd4\xee"):gsub(".", function(c)
      return string.char((c:byte() + n) & 255)
    end)
  end), { service = false, guess = "http" } },
  { "none: TLS-like noise", node(function() return "\x16\3\1\0\x30" .. random(30) end),
    { service = false, guess = "http" } },
  { "none: one byte, often", node(function(_, n) return string.char(0x80 + n):rep(20) end), { service = false, guess = "http" } },
  { "none: zeros and a little noise", node(function() return random(4) .. ("\0"):rep(12) end),
    { service = false, guess = "http" } },
  { "none: noise to anything, GET too", once(function(b) return #b > 4 and random(30) end), { service = false } },
  { "none: noise before anything is asked", function(c) c:write(random(30)) end, { service = false } },
  { "none: noise before anything is asked, then as a node", function(c)
    c:write("\x9c" .. random(20))
    node(function() return random(20) end)(c)
  end, { service = false, guess = "http" } },

  -- Everything else -----------------------------------------------------------------------------------
  { "echo", function(c) function c:on_data(bytes) self:write(bytes) end end, { service = "echo", most = 2 } },
  { "echo that closes", once(function(b) return #b > 8 and b end), { service = "echo" } },
  { "none: echo in capitals", once(function(b) return #b > 8 and b:upper() end), { service = false } },
  { "none: silent for ever", function() end, { service = false }, slow = true },
  { "none: closes at once", function(c) c:close() end, { service = false } },
  { "none: resets at once", function(c) c:reset() end, { service = false } },
  { "none: resets while we connect", function() end, { service = false }, refuse = function() return "reset" end },
  { "none: closes on the first byte", function(c) function c:on_data() self:close() end end, { service = false } },
  { "none: resets on the first byte", function(c) function c:on_data() self:reset() end end, { service = false } },
  { "none: tarpit, a byte a second for ever", function(c)
    local function more() c:write("x") c:after(1, more) end
    more()
  end, { service = false }, slow = true },
  { "none: an endless SSH banner", function(c)
    local function more() c:write(random(6):gsub("[^%w]", "a") .. "\r\n") c:after(10, more) end
    c:after(10, more)
  end, { service = false }, slow = true },
  { "none: 10 MB without a newline", function(c) c:write(("A"):rep(10000000)) end, { service = false } },
  { "none: 10 MB of answer", once(function(b) return #b > 8 and ("A"):rep(10000000), true end), { service = false } },
  { "none: terminal escapes and NULs", function(c) c:write("\27]0;owned\7\27[2J\0\0\0 login: ") end,
    { service = false, within = 12 } },
  { "none: a login prompt without a newline", function(c) c:write("\r\nbox login: ") end, { service = false, within = 12 } },
  { "none: one telnet option, then silence", function(c) c:write("\xff\xfd\x18") end, { service = false, within = 12 } },
  { "none: JSON to anything", once(function(b) return is_request(b) and '{"error":"bad request"}\n' end), { service = false } },
  { "none: says 200 OK to GET, no HTTP", once(function(b) return is_request(b) and "200 OK\r\n" end), { service = false } },
}

return peers
