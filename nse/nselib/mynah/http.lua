--- HTTP: requests that strict servers accept, and what makes an answer HTTP.
-- Pure functions on bytes; mynah.tcp decides what to ask when.
-- @module mynah.http

local text = require "mynah.text"

local http = {}

--- The request of HTTP/1.0, exactly as Skype and the oldest servers know it.
http.GET_10 = "GET / HTTP/1.0\r\n\r\n"

--- What a Skype node says to it, and then it closes.
http.SKYPE_404 = "HTTP/1.0 404 Not Found\r\n\r\n"

--- Ask an RTSP server what it can do.
http.RTSP_OPTIONS = "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"

--- The preface of an HTTP/2 client, with empty SETTINGS.
http.H2_PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"

-- Status lines of the same shape that are another protocol's.
local KIN = { RTSP = "rtsp", SIP = "sip", ICY = "shoutcast", SPAMD = "spamd", ICAP = "icap" }

local AFTER_HOST = "\r\nUser-Agent: Mozilla/5.0 (compatible; mynah)\r\nAccept: */*\r\nConnection: close\r\n\r\n"

--- What stands before and behind the host in request_11.
-- @return two strings
function http.around_host() return "GET / HTTP/1.1\r\nHost: ", AFTER_HOST end

--- A request of HTTP/1.1.
-- @param host name or address as the user gave it
-- @param port number
-- @param method default GET
-- @return bytes
function http.request_11(host, port, method)
  local name = host:find(":", 1, true) and "[" .. host:gsub("%%.*", "") .. "]" or host
  if port ~= 80 then name = name .. ":" .. port end
  return (method or "GET") .. " / HTTP/1.1\r\nHost: " .. name .. AFTER_HOST
end

-- The line at a position, without its end, and the position after it; nil where no line ends.
local function line_at(s, at)
  local stop = s:find("\n", at, true)
  if not stop then return nil end
  return s:sub(at, s:byte(stop - 1) == 13 and stop > at and stop - 2 or stop - 1), stop + 1
end

local HEADER = "^([%w!#$%%&'*+.^_`|~-]+)[ \t]*:[ \t]*([^\n]*)\n"
local CR, SPACE, TAB = ("\r \t"):byte(1, 3)

-- A header's value without what ends its line.
local function without_end(value)
  if value:byte(-1) == CR then value = value:sub(1, -2) end
  local last = value:byte(-1)
  return (last == SPACE or last == TAB) and value:match "^(.-)%s*$" or value
end

--- Read an answer that begins with a status line of HTTP/1.
-- Line ends may be LF alone; the reason may be missing; headers may still be on their way.
-- @param s bytes
-- @return table {version, status (number), reason, line, headers (lower-case name -> value), header_count, names_end (true
-- once the empty line came), body}; or nil
function http.parse(s)
  local line, after = line_at(s, 1)
  if not line or #line > 2048 then return nil end
  local version, status, rest = line:match("^HTTP/(1%.[01]) (%d%d%d)(.*)$")
  if not version or not (rest == "" or rest:find("^ ")) then return nil end
  if tonumber(status) < 100 then return nil end
  local r = { version = version, status = tonumber(status), reason = rest:sub(2), line = line, headers = {},
    header_count = 0 }
  while true do
    local _, stop, name, value = s:find(HEADER, after)
    if name then
      r.header_count = r.header_count + 1
      r.headers[name:lower()] = without_end(value)
      after = stop + 1
    else
      local other, following = line_at(s, after)
      if not other then break end
      after = following
      if other == "" then
        r.names_end, r.body = true, s:sub(after)
        break
      end
    end
  end
  return r
end

--- The line with which a proxy hands a client on, where a server takes no other visitors (PROXY protocol, version 1).
-- @param from, from_port, to, to_port numeric addresses and ports
-- @return bytes
function http.proxy_line(from, from_port, to, to_port)
  local family = from:find(":", 1, true) and "TCP6" or "TCP4"
  return ("PROXY %s %s %s %d %d\r\n"):format(family, from:gsub("%%.*", ""), to:gsub("%%.*", ""), from_port, to_port)
end

-- Headers that a web server sends and that the other protocols on this page do not need. Not Date: an RTSP server's 404 to
-- GET has it, and nothing else.
local WEB = { "server", "content-type", "content-length", "transfer-encoding", "location", "www-authenticate",
  "set-cookie", "etag", "last-modified", "cache-control", "connection", "allow", "proxy-authenticate", "vary", "upgrade",
  "x-powered-by", "accept-ranges", "expires", "pragma" }

--- Does an answer look like one of a web server beyond its status line?
-- @param r what parse gave
-- @return boolean
function http.is_weblike(r)
  for _, name in ipairs(WEB) do
    if r.headers[name] then return true end
  end
  return (r.body or ""):find("<[hH!][tT]?[mM]?[lLDd]?") ~= nil
end

-- What servers of other protocols say in HTTP to browsers that lost their way.
local DISCLAIMERS = {
  { "trying to access MongoDB over HTTP on the native driver port", "mongodb" },
  { "HTTP request to a Hadoop IPC port", "hadoop-ipc" },
  { "Port %d+ is for clickhouse%-client", "clickhouse" },
  { "[Nn]ot an? HTTP [Pp]ort" }, { "[Nn]ot an? HTTP [Ss]er[a-z]+" }, { "does not speak HTTP" },
}
local DISCLAIMER_MOST = 512 -- bytes of a body that says no more than that

--- Does an answer in HTTP say that it comes from something else?
-- @param r what parse gave
-- @return the service, or false where it does not say which, and what it says; nil where it says nothing such
function http.disclaims(r)
  if not r.body or #r.body > DISCLAIMER_MOST then return nil end
  for _, row in ipairs(DISCLAIMERS) do
    local said = r.body:match(row[1])
    if said then return row[2] or false, said end
  end
end

--- The service whose status line this is, where it is not HTTP's.
-- @param s bytes
-- @return "rtsp", "sip", "shoutcast", "spamd", "icap" and the line; or nil
function http.kin(s)
  local line = s:match("^([^\r\n]*)\r?\n")
  if not line then return nil end
  local word, status = line:match("^(%u+)/%d%.%d (%d+)%f[^%d]")
  if not word then word, status = line:match("^(ICY) (%d%d%d)%f[^%d]") end
  if not status or (#status ~= 3 and word ~= "SPAMD") then return nil end
  return KIN[word], line
end

--- Has a whole answer come, or as much of it as is looked at?
-- @param s bytes so far
-- @return true once nothing more is wanted
function http.is_whole(s)
  local r = http.parse(s)
  if not r then
    return #s >= 8 and not ("HTTP/1."):find(s:sub(1, 7), 1, true) and s:find("\n") ~= nil and http.kin(s) ~= nil
  end
  if not r.names_end then return false end
  local length = tonumber(r.headers["content-length"] or "")
  if length and #r.body >= length then return true end
  if r.status == 204 or r.status == 304 then return true end
  return #r.body >= 32768 or r.body:find("</[tT][iI][tT][lL][eE]") ~= nil
    or (r.headers["transfer-encoding"] or ""):lower():find("chunked") ~= nil and r.body:find("\n0\r?\n\r?\n") ~= nil
end

--- The same for HEAD, which is answered without a body.
function http.is_head_whole(s)
  local r = http.parse(s)
  return r and r.names_end or http.is_whole(s)
end

local ENTITIES = { amp = "&", lt = "<", gt = ">", quot = '"', apos = "'", nbsp = " " }

--- The title of a page.
-- @param body bytes of HTML
-- @return printable text, or nil
function http.title(body)
  local _, before = (body or ""):find("<[tT][iI][tT][lL][eE][^>]*>")
  local after = before and body:find("</[tT][iI][tT][lL][eE]", before + 1)
  if not after then return nil end
  local title = body:sub(before + 1, after - 1):gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
  if title:find("&", 1, true) then
    title = title:gsub("&(%a+);", ENTITIES):gsub("&#(%d%d?%d?);", function(n)
      n = tonumber(n)
      return n >= 32 and n < 127 and string.char(n) or nil
    end)
  end
  if title == "" then return nil end
  return text.escape(title, 80)
end

--- Product and version of a Server header.
-- @param server the header's value, or nil
-- @return product, version, the rest; each text or nil
function http.product(server)
  if not server or server == "" then return nil end
  -- UPnP's form: the system, UPnP, and only then the product.
  local system, own = server:match "^(.-),? ?UPnP/%d%.%d,? +(%S.*)$"
  if own and own:find "%a" then
    local name, version, rest = http.product(own)
    return name, version, system ~= "" and text.escape(system, 80) or rest
  end
  local name, version, rest = server:match("^([^/%s][^/]-)/v?([%d][^%s,;]*)%s*(.*)$")
  if not name then name, version = server:match "^(%a[%w _-]-) v?(%d+%.%d[%w.-]*)$" end
  if name then return text.escape(name, 60), text.escape(version, 40), (rest or "") ~= "" and text.escape(rest, 80) or nil end
  return text.escape(server, 80)
end

--- What is told about a web server: product, version, extra.
-- @param r what parse gave
-- @return table {product, version, extra}
function http.describe(r)
  local product, version, rest = http.product(r.headers["server"])
  local extra = { tostring(r.status) }
  local title = http.title(r.body)
  if title then extra[#extra + 1] = ('title "%s"'):format(title) end
  local location = r.headers["location"]
  if location and r.status >= 300 and r.status < 400 then extra[#extra + 1] = "to " .. text.escape(location, 80) end
  if rest then extra[#extra + 1] = rest end
  return { product = product, version = version, extra = table.concat(extra, "; ") }
end

local SETTING_MAX = 0x10

--- Does this begin with a SETTINGS frame of HTTP/2, as a server opens a connection?
-- @param s bytes
-- @param at position of the frame, default 1
-- @return the position after the frame, or nil
function http.h2_settings(s, at)
  at = at or 1
  if #s < at + 8 then return nil end
  local length, kind, flags, stream = (">I3BBI4"):unpack(s, at)
  if kind ~= 4 or flags ~= 0 or stream ~= 0 or length % 6 ~= 0 or length > 96 then return nil end
  if #s < at + 8 + length then return nil end
  for k = 0, length // 6 - 1 do
    local id = (">I2"):unpack(s, at + 9 + 6 * k)
    if id == 0 or id > SETTING_MAX then return nil end
  end
  return at + 9 + length
end

--- Is this how an HTTP/2 server answers our preface: its SETTINGS, and an acknowledgement of ours?
-- @param s bytes
-- @return boolean
function http.is_h2(s)
  local after = http.h2_settings(s)
  return after ~= nil and s:find("\0\0\0\4\1\0\0\0\0", after, true) ~= nil
end

return http
