-- The pure pieces: reading replies, telling noise, escaping. Rows, each with its reason.
local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
package.path = here .. "/support/?.lua;" .. package.path
require "paths"
local ftp = require "mynah.ftp"
local http = require "mynah.http"
local skype = require "mynah.skype"
local text = require "mynah.text"
local tls = require "mynah.tls"

local function random(n)
  local out = {}
  for i = 1, n do out[i] = string.char(math.random(0, 255)) end
  return table.concat(out)
end

describe("text", function()
  local ESCAPES = {
    { "plain text stays", "hello, world", "hello, world" },
    { "the escape character", "\27[2J", "\\x1b[2J" },
    { "line ends and tabs have names", "a\r\n\tb", "a\\r\\n\\tb" },
    { "a backslash is doubled, so that nothing can pose as an escape", "\\x1b", "\\\\x1b" },
    { "NUL and DEL", "\0\127", "\\x00\\x7f" },
    { "Cyrillic stays", "Привет", "Привет" },
    { "C1 in UTF-8 acts on terminals too", "\u{9b}2J", "\\xc2\\x9b2J" },
    { "C1 as a bare byte", "\x9b2J", "\\x9b2J" },
    { "letters that turn the line around", "\u{202e}abc", "\\xe2\\x80\\xaeabc" },
    { "an invisible space", "\u{200b}", "\\xe2\\x80\\x8b" },
    { "a byte order mark", "\u{feff}", "\\xef\\xbb\\xbf" },
    { "a surrogate", "\xed\xa0\x80", "\\xed\\xa0\\x80" },
    { "an overlong slash", "\xc0\xaf", "\\xc0\\xaf" },
    { "a sequence cut short", "\xd0", "\\xd0" },
    { "beyond Unicode", "\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80" },
    { "tags that nobody sees", "\u{e0041}", "\\xf3\\xa0\\x81\\x81" },
  }
  for _, row in ipairs(ESCAPES) do
    it("escapes: " .. row[1], function() assert.are.equal(row[3], text.escape(row[2])) end)
  end

  it("cuts, never inside an escape", function()
    assert.are.equal("ab...", text.escape("ab\0\0\0", 5))
    assert.are.equal(200 + 3, #text.escape(("x"):rep(100000)))
  end)

  it("never lets a control character through", function()
    math.randomseed(3)
    for _ = 1, 2000 do assert.is_nil(text.escape(random(40)):find("%c")) end
  end)

  it("reads and writes hex", function()
    assert.are.equal("\x92\x40\x02", text.from_hex("92 40:02\n"))
    assert.are.equal("924002", text.to_hex("\x92\x40\x02"))
    local nothing, message = text.from_hex("9g")
    assert.is_nil(nothing)
    assert.are.equal('not a hex digit: "g"', message)
    assert.is_nil((text.from_hex("924")))
  end)

  it("writes times", function()
    assert.are.equal("2009-02-13T23:31:30.250Z", text.timestamp(1234567890.25))
  end)
end)

describe("ftp reads", function()
  -- bytes; code, or false (no reply), or nil (not whole yet); lines; what is left
  local ROWS = {
    { "one line", "220 ready\r\n", 220, 1, "" },
    { "LF alone", "220 ready\n", 220, 1, "" },
    { "a code alone", "220\r\n", 220, 1, "" },
    { "a code and blanks", "220  \r\n", 220, 1, "" },
    { "several lines", "220-a\r\n b\r\n220-c\r\n220 d\r\n", 220, 4, "" },
    { "another code inside", "220-a\r\n221 b\r\n220 c\r\n", 220, 3, "" },
    { "what follows is left", "120 wait\r\n220 now\r\n", 120, 1, "220 now\r\n" },
    { "not whole: no newline", "220 rea", nil },
    { "not whole: no last line", "220-a\r\n", nil },
    { "not whole: the code itself", "22", nil },
    { "no number", "hello\r\n", false },
    { "no number, seen before the line ends", "SSH-2.0", false },
    { "four digits", "2200 x\r\n", false },
    { "a letter after the code", "220x\r\n", false },
    { "two digits", "22\r\n", false },
  }
  for _, row in ipairs(ROWS) do
    it(row[1], function()
      local reply, after = ftp.parse_reply(row[2])
      if not row[3] then
        assert.are.equal(row[3], reply)
      else
        assert.are.equal(row[3], reply.code)
        assert.are.equal(row[4], #reply.lines)
        assert.are.equal(row[5], row[2]:sub(after))
      end
    end)
  end

  local PRODUCTS = {
    { "(vsFTPd 3.0.3)", "vsFTPd", "3.0.3" },
    { "ProFTPD 1.3.8 Server (Debian) [::ffff:127.0.0.1]", "ProFTPD", "1.3.8" },
    { "ProFTPD Server (Debian) [127.0.0.1]", "ProFTPD", nil },
    { "---------- Welcome to Pure-FTPd [privsep] [TLS] ----------", "Pure-FTPd", nil },
    { "pyftpdlib 1.5.7 ready.", "pyftpdlib", "1.5.7" },
    { "FileZilla Server 1.7.3", "FileZilla Server", "1.7.3" },
    { "FileZilla Server version 0.9.60 beta", "FileZilla Server", "0.9.60" },
    { "Microsoft FTP Service", "Microsoft FTP Service", nil },
    { "box FTP server (Version wu-2.6.2) ready.", nil, nil },
    { "ftp.example.org ready", nil, nil },
    { "Hello", nil, nil },
  }
  for _, row in ipairs(PRODUCTS) do
    it("product of " .. row[1], function()
      local product, version = ftp.product(row[1])
      assert.are.equal(row[2], product)
      assert.are.equal(row[3], version)
    end)
  end
end)

describe("http reads", function()
  local ROWS = {
    { "the usual", "HTTP/1.1 200 OK\r\nServer: x\r\n\r\nbody", 200, "body" },
    { "no reason", "HTTP/1.0 404\r\n\r\n", 404, "" },
    { "an empty reason", "HTTP/1.0 404 \r\n\r\n", 404, "" },
    { "LF alone", "HTTP/1.1 302 Found\nLocation: /\n\n", 302, "" },
    { "headers still on their way", "HTTP/1.1 200 OK\r\nServ", 200, nil },
    { "not a whole line yet", "HTTP/1.1 200 O" },
    { "HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n" },
    { "HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n" },
    { "lower case", "http/1.1 200 OK\r\n\r\n" },
    { "two blanks", "HTTP/1.1  200 OK\r\n\r\n" },
    { "two digits", "HTTP/1.1 20 OK\r\n\r\n" },
    { "four digits", "HTTP/1.1 2000 OK\r\n\r\n" },
    { "below 100", "HTTP/1.1 099 OK\r\n\r\n" },
    { "a letter after the status", "HTTP/1.1 200OK\r\n\r\n" },
    { "something before", " HTTP/1.1 200 OK\r\n\r\n" },
    { "RTSP", "RTSP/1.0 200 OK\r\n\r\n" },
    { "an endless line", "HTTP/1.1 200 " .. ("x"):rep(5000) .. "\r\n\r\n" },
  }
  for _, row in ipairs(ROWS) do
    it(row[1], function()
      local r = http.parse(row[2])
      assert.are.equal(row[3], r and r.status)
      if r then assert.are.equal(row[4], r.body) end
    end)
  end

  local HEADERS = {
    { "X: a\r\n", x = "a" }, { "X:a\n", x = "a" }, { "X : \ta b \t\r\n", x = "a b" }, { "X:\r\n", x = "" }, { "X: \r\n", x = "" },
    { "X: a:b\r\nY: c\r\n", x = "a:b", y = "c" }, { "X: 1\r\nx: 2\r\n", x = "2" }, { "X: a\rb\r\n", x = "a\rb" },
    { "no header\r\nX: a\r\n", x = "a" }, { ": a\r\n" }, { " X: a\r\n" }, { "X y: a\r\n" },
  }
  for _, row in ipairs(HEADERS) do
    it("headers: " .. text.escape(row[1]), function()
      local r = http.parse("HTTP/1.1 200 OK\r\n" .. row[1] .. "\r\nX: body\r\n")
      assert.are.same({ x = row.x, y = row.y }, r.headers)
      assert.are.equal("X: body\r\n", r.body)
    end)
  end

  local KIN = {
    { "RTSP/1.0 400 Bad Request\r\n", "rtsp" }, { "SIP/2.0 400 Bad Request\r\n", "sip" },
    { "ICY 200 OK\r\n", "shoutcast" }, { "SPAMD/1.0 76 Bad header line\r\n", "spamd" },
    { "HTTP/1.1 200 OK\r\n" }, { "RTSP/1.0 40 Bad\r\n" }, { "ICY\r\n" }, { "SIP/2.0\r\n" }, { "GOPHER/1.0 200 OK\r\n" },
    { "RTSP/1.0 400" },
  }
  for _, row in ipairs(KIN) do
    it("kin: " .. text.escape(row[1]), function() assert.are.equal(row[2], (http.kin(row[1]))) end)
  end

  it("titles, escaped and short", function()
    assert.are.equal("a & b", http.title("<TITLE lang=x>\n a &amp; b \n</Title>"))
    assert.are.equal("\\x1b[2J", http.title("<title>\27[2J</title>"))
    assert.is_nil(http.title("<title></title>"))
    assert.is_true(#http.title("<title>" .. ("x"):rep(500) .. "</title>") <= 90)
  end)

  it("Server headers", function()
    assert.are.same({ "Apache", "2.4.57", "(Debian)" }, { http.product("Apache/2.4.57 (Debian)") })
    assert.are.same({ "Microsoft-IIS", "10.0" }, { http.product("Microsoft-IIS/10.0") })
    assert.are.same({ "cloudflare" }, { http.product("cloudflare") })
    assert.are.same({ "Icecast", "2.4.4" }, { http.product("Icecast 2.4.4") })
    assert.are.same({ "Web server of room 12" }, { http.product("Web server of room 12") })
    assert.are.same({ "MiniDLNA", "1.3.0", "Debian DLNADOC/1.50" },
      { http.product("Debian DLNADOC/1.50 UPnP/1.0 MiniDLNA/1.3.0") })
    assert.are.same({ "Portable SDK for UPnP devices", "1.14.13", "Linux/6.1.0" },
      { http.product("Linux/6.1.0, UPnP/1.0, Portable SDK for UPnP devices/1.14.13") })
    assert.is_nil(http.product(""))
  end)

  it("frames of HTTP/2", function()
    assert.is_truthy(http.h2_settings("\0\0\0\4\0\0\0\0\0"))
    assert.is_truthy(http.h2_settings("\0\0\6\4\0\0\0\0\0\0\3\0\0\0\100"))
    assert.is_nil(http.h2_settings("\0\0\5\4\0\0\0\0\0\0\3\0\0\0\100"), "a length that is no multiple of 6")
    assert.is_nil(http.h2_settings("\0\0\6\4\0\0\0\0\0\0\3\0"), "cut")
    assert.is_nil(http.h2_settings("\0\0\0\4\1\0\0\0\0"), "an acknowledgement")
    assert.is_nil(http.h2_settings("\0\0\0\4\0\0\0\0\1"), "on a stream")
  end)
end)

describe("tls", function()
  it("writes a hello whose lengths fit", function()
    for _, name in ipairs { false, "example.org", "192.0.2.1", "2001:db8::1" } do
      local hello = tls.client_hello(random, name or nil)
      assert.are.equal(#hello - 5, (">I2"):unpack(hello, 4))
      assert.are.equal(#hello - 9, (">I3"):unpack(hello, 7))
      assert.are.equal(name == "example.org", hello:find("example.org", 1, true) ~= nil)
      assert.is_not_nil(hello:find("\0\43\0\5\4\3\4\3\3\0\51\0\38\0\36\0\29\0\32", 1, true), "TLS 1.3 is offered")
    end
  end)

  local hello = "\2\0\0\38\3\3" .. ("r"):rep(32) .. "\0\xc0\x2f\0"
  local ROWS = {
    { "a ServerHello", "\x16\3\3\0\42" .. hello, "TLSv1.2" },
    { "of TLS 1.3", "\x16\3\3\0\42\2\0\0\38\3\3" .. ("r"):rep(32) .. "\0\x13\1\0", "TLSv1.3" },
    { "of TLS 1.2, with a session", "\x16\3\3\0\74\2\0\0\70\3\3" .. ("r"):rep(32) .. "\32" .. ("\x13"):rep(32) .. "\xc0\x2f\0",
      "TLSv1.2" },
    { "of TLS 1.0", "\x16\3\1\0\42\2\0\0\38\3\1" .. ("r"):rep(32), "TLSv1.0" },
    { "an alert", "\x15\3\1\0\2\2\40", "alert" },
    { "an alert of an odd level", "\x15\3\1\0\2\3\40" },
    { "an alert of an odd length", "\x15\3\1\0\3\2\40" },
    { "a record of version 4", "\x16\4\0\0\42" .. hello },
    { "another handshake message", "\x16\3\3\0\42\1" .. hello:sub(2) },
    { "a record too short", "\x16\3\3\0\10" .. hello },
    { "text", "HTTP/1.1 400 Bad Request\r\n" },
    { "nothing", "" },
  }
  for _, row in ipairs(ROWS) do
    it("knows " .. row[1], function() assert.are.equal(row[3], (tls.server_hello(row[2]))) end)
  end
end)

describe("skype", function()
  it("sends garbage that is nothing else", function()
    for _ = 1, 500 do
      local g = skype.garbage(random)
      assert.are.equal(36, #g)
      assert.are.equal("\r\n\r\n", g:sub(-4))
      for c in g:sub(1, 32):gmatch(".") do assert.is_true(c:byte() >= 0x80 and c:byte() < 0xff) end
      assert.is_true(text.count_odd(g) > 0)
      assert.is_true(g:byte() < 0xc0)
    end
  end)

  it("takes noise for noise, but for one in a thousand", function()
    math.randomseed(11)
    local missed = 0
    for i = 1, 3000 do
      local g = skype.garbage(random)
      local a, b = random(14 + i % 60), random(14 + i % 60)
      if not (skype.is_noise(a, g) and skype.are_unlike(a, b)) then missed = missed + 1 end
    end
    assert.is_true(missed <= 6, missed .. " of 3000")
  end)

  -- What was sent in these rows, and noise that passes.
  local SENT = "\x9a\xc1\x83\xf0\xb7\xd4\x8e\xa5\x91\xe6\xcc\x88\xfa\xb3\xd9\x97\xe1\x8c\xba\xc7\xf5\x86\xad\xd0\x9f\xeb\xb2\x84"
    .. "\xc9\xdd\xa8\x96\r\n\r\n"
  local A = "\x8f\x01\xe3\x9a\x77\x10\xfe\xc2\x55\x81\x99\x02\xb3\xd4\xee\x4c"
  local B = "\x3b\xd7\x0c\x41\xae\xf2\x69\x95\xe8\x1d\x50\xbc\x27\x73\x86\xca"
  local NOISE = {
    { true, "noise", A },
    { true, "other noise", B },
    { false, "13 bytes", A:sub(1, 13) },
    { false, "text", "Bad request, go." },
    { false, "text with two odd bytes", "Bad\x80request\x81go" },
    { true, "noise that begins nearly as text, seen of a node",
      "$Q]\xbd'g9(/}-\xcfwbV[l\t. \x9c\xa2\x9cSA\xbb\xd2;\xf1I\x16@u\xd9%" },
    { false, "text with two odd bytes, and more text", "Bad\x80request\x81go on and on\xff and on as only text does" },
    { false, "Cyrillic", "Ошибка запроса" },
    { false, "nine different bytes", "\x80\x91\xa2\xb3\xc4\xd5\xe6\xf7\x08\x80\x91\xa2\xb3\xc4" },
    { false, "counting up", "\x91\x92\x93\x94\x95\x96\x97\x98\x99\x9a\x9b\x9c\x9d\x9e" },
    { false, "counting down by 7", "\xf9\xf2\xeb\xe4\xdd\xd6\xcf\xc8\xc1\xba\xb3\xac\xa5\x9e" },
    { false, "four bytes of what was sent", A:sub(1, 11) .. SENT:sub(9, 12) .. A:sub(12) },
    { true, "three bytes of what was sent: chance, in long noise", A:sub(1, 11) .. SENT:sub(9, 11) .. A:sub(12) },
    { false, "what was sent, reversed", SENT:sub(1, 32):reverse() },
    { false, "what was sent, plus 3", (SENT:gsub(".", function(c) return string.char((c:byte() + 3) & 255) end)) },
    { false, "what was sent, XOR 55", (SENT:gsub(".", function(c) return string.char(c:byte() ~ 0x55) end)) },
    { false, "a TLS record", "\x16\3\1\0\x50" .. A },
    { false, "a TLS alert", "\x15\3\3\0\2" .. A },
    { false, "an SSH banner with odd bytes", "SSH-2.0-\x80\x81\x82\x83\x84\x85\x86" },
    { false, "zeros first", "\0\0" .. A },
    { false, "Telnet's first words", "\xff\xfd\x18" .. A },
    { false, "BER", "\x30\x84\2\1" .. A },
    { false, "its length in front", "\0\x20" .. A .. B },
    { false, "the length of all of it in front", "\x12\0" .. A },
    { true, "two bytes that are no length", "\0\x1f" .. A .. B },
    { false, "gzip", "\x1f\x8b\8\0" .. A },
  }
  for _, row in ipairs(NOISE) do
    it("noise or not: " .. row[2], function() assert.are.equal(row[1], (skype.is_noise(row[3], SENT))) end)
  end

  local UNLIKE = {
    { true, "two pieces of noise", A, B },
    { false, "the same", A, A },
    { false, "the same two bytes first", A, A:sub(1, 2) .. B:sub(3) },
    { false, "the same two bytes last", A, B .. A:sub(-2) },
    { true, "the same last byte", A, B .. A:sub(-1) },
    { true, "the same first byte", A, A:sub(1, 1) .. B:sub(2) },
    { false, "three bytes at their places", A, B:sub(1, 4) .. A:sub(5, 7) .. B:sub(8) },
    { true, "two bytes at their places", A, B:sub(1, 4) .. A:sub(5, 6) .. B:sub(7) },
    { false, "one plus 9", A, (A:gsub(".", function(c) return string.char((c:byte() + 9) & 255) end)) },
    { false, "one XOR a0", A, (A:gsub(".", function(c) return string.char(c:byte() ~ 0xa0) end)) },
    { false, "one stream, read further", A, B:sub(1, 6) .. A:sub(3, 8) .. B:sub(7) },
  }
  for _, row in ipairs(UNLIKE) do
    it("unlike or not: " .. row[2], function() assert.are.equal(row[1], (skype.are_unlike(row[3], row[4]))) end)
  end

  it("knows the 404 by every byte and by the close", function()
    assert.is_true(skype.is_404(http.SKYPE_404, "eof"))
    assert.is_true(skype.is_404(http.SKYPE_404, "reset"))
    assert.is_false(skype.is_404(http.SKYPE_404, "timeout"))
    assert.is_false(skype.is_404(http.SKYPE_404 .. "\n", "eof"))
    assert.is_false(skype.is_404(http.SKYPE_404:gsub("\r", ""), "eof"))
    assert.is_false(skype.is_404(http.SKYPE_404:lower(), "eof"))
  end)
end)
