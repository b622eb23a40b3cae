--- What a peer says before it is asked: a number (FTP, mail, news and their kin are asked on the same connection), or
-- something that signatures know.
-- @module mynah.greeting

local ftp = require "mynah.ftp"
local http = require "mynah.http"
local text = require "mynah.text"

local greeting = {}

local QUIET = 0.25    -- seconds without a byte that end a banner of bytes
local TEXT_QUIET = 2  -- the same for text without a newline: a prompt, or one that drips
local SLOW_QUIET = 5  -- the same inside a number

local function banner_quiet(bytes)
  return text.is_text(bytes) and not bytes:find("\n") and TEXT_QUIET or QUIET
end

local function is_whole(bytes)
  return bytes:find("\n$") ~= nil and text.is_text(bytes)
end

local function by_signature(c, conn, bytes, closed)
  return c:named_by(c.sigs:judge_banner(c:pair(conn, nil, bytes, closed)))
end

-- A dialogue's verdict: returned where it is certain, else kept as a guess. `hint`: what signatures know of an FTP banner.
local function settle(c, verdict, hint)
  if not verdict then return nil end
  if verdict.service == "ftp" and hint and hint.service == "ftp" then
    verdict.product, verdict.version = hint.product or verdict.product, hint.version or verdict.version
  end
  if verdict.service then return verdict end
  c:keep_guess(verdict.guess, verdict.confidence, verdict.evidence)
end

local function ask_on(c, conn, d, reply)
  local raw = table.concat(reply.lines, "\r\n") .. "\r\n"
  c:note("greeting: " .. text.escape(reply.lines[1], 80))
  local hint = by_signature(c, conn, raw, d.status == "eof")
  local trusted = hint and hint.service ~= "ftp" and hint or nil
  if reply.code == 220 or reply.code == 120 then
    return settle(c, ftp.judge_220(d, reply, trusted), hint)
  elseif trusted then
    return trusted
  elseif reply.code == 421 or reply.code == 530 or reply.code == 500 then
    return settle(c, ftp.judge_refusal(reply), hint)
  elseif reply.code == 200 or reply.code == 201 then
    return settle(c, ftp.judge_200(d, reply), hint)
  end
end

local function hear_number(c, conn, bytes, deadline)
  local d = ftp.dialogue(c.t, conn, bytes, c.patience)
  local reply = d.greeting(deadline)
  if reply then return ask_on(c, conn, d, reply) end
  local rest = d.buffer == "" and bytes or d.buffer
  c:note("banner: " .. text.first_line(rest, 80))
  return by_signature(c, conn, rest)
end

local function judge_other(c, conn, bytes)
  c.heard = bytes
  c:note("banner: " .. text.first_line(bytes, 80))
  local kin, line = http.kin(bytes)
  if kin then
    return { service = kin, confidence = 0.9, probe = "banner", evidence = { "banner: " .. text.escape(line, 80) } }
  end
  c.h2 = c.h2 or http.h2_settings(bytes) ~= nil
  return by_signature(c, conn, bytes)
end

local function hear_other(c, conn, bytes, deadline)
  local at_once = not text.is_text(bytes) and by_signature(c, conn, bytes)
  if at_once then return at_once end
  if not is_whole(bytes) then
    bytes = c:collect(conn, deadline, is_whole, banner_quiet, bytes)
  end
  return judge_other(c, conn, bytes)
end

--- What a banner tells that needs neither the rest nor an answer of ours.
-- @param c case
-- @param conn table: `my`, `my_port`
-- @param bytes what the peer said
-- @return a certain verdict, or nil
function greeting.at_once(c, conn, bytes)
  if not text.is_text(bytes) then return by_signature(c, conn, bytes) end
  if bytes:find("^%d") or not is_whole(bytes) then return nil end
  return judge_other(c, conn, bytes)
end

--- Hear a peer out that speaks first, and ask back where that tells more.
-- @param c case
-- @param conn the connection it spoke on
-- @param bytes what it said so far
-- @param deadline for the rest
-- @return a certain verdict, or nil (a weaker one is kept as a guess)
function greeting.hear(c, conn, bytes, deadline)
  if #bytes < 4 and bytes:find("^%d+$") then
    bytes = c:collect(conn, deadline, function(s) return #s >= 4 end, function() return SLOW_QUIET end, bytes)
  end
  c.heard = bytes
  if bytes:find("^%d%d%d[ \r\n-]") then return hear_number(c, conn, bytes, deadline) end
  return hear_other(c, conn, bytes, deadline)
end

--- Is this a greeting that came only when the peer had been asked something, because it is slow?
-- @param bytes an answer
function greeting.is_late(bytes)
  return bytes:find("^220[ \r\n-]") ~= nil or bytes:find("^120 ") ~= nil or bytes:find("^20[01] ") ~= nil
end

--- Go on with such a greeting on the connection where it came: what followed it is thrown away.
-- @param c case
-- @param conn connection, still open
-- @param bytes the answer that begins with a greeting
-- @return a certain verdict, or nil
function greeting.hear_late(c, conn, bytes)
  local reply = ftp.parse_reply(bytes)
  if not reply then return nil end
  return ask_on(c, conn, ftp.dialogue(c.t, conn, "", c.patience), reply)
end

return greeting
