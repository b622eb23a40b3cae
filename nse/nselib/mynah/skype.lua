--- Skype on TCP, as it was: one exact answer to GET, and noise to anything that is no HTTP.
-- Pure functions on bytes; mynah.tcp decides what to ask when. Skype on UDP is data: signatures/skype.sig.
-- @module mynah.skype

local http = require "mynah.http"
local text = require "mynah.text"

local skype = {}

local LEAST = 14 -- bytes of noise that a node sends at least
local ODD = "[^\t\r\n -~]" -- what is in no text

--- Bytes that are no request of anything: neither text nor the start of TLS, SSH, SSLv2, Telnet or HTTP.
-- They end as an HTTP header does, so that a web server answers at once instead of waiting for more.
-- @param random function (n) giving n random bytes
-- @return 36 bytes
function skype.garbage(random)
  -- 0x80 to 0xfe; the first a continuation byte, so that no UTF-8 reader takes it for the start of text.
  local body = random(32):gsub("()(.)", function(i, c)
    local b = c:byte() | 0x80
    if i == 1 then b = 0x81 + b % 0x3e end
    return string.char(b == 0xff and 0xfe or b)
  end)
  return body .. "\r\n\r\n"
end

--- Is this the answer of a node to GET / HTTP/1.0?
-- @param bytes the whole answer
-- @param status of the receive that gave it: the node closes, "eof" or "reset"
-- @return boolean
function skype.is_404(bytes, status)
  return bytes == http.SKYPE_404 and (status == "eof" or status == "reset")
end

local function shares_run(a, b, n)
  for i = 1, #a - n + 1 do
    if b:find(a:sub(i, i + n - 1), 1, true) then return true end
  end
  return false
end

-- True where b is a with one constant added to, or XORed into, every byte, over the first n.
local function is_shifted(a, b, n)
  local x, d = a:byte(1) ~ b:byte(1), (b:byte(1) - a:byte(1)) % 256
  local same_x, same_d = true, true
  for i = 2, n do
    same_x = same_x and a:byte(i) ~ b:byte(i) == x
    same_d = same_d and (b:byte(i) - a:byte(i)) % 256 == d
  end
  return same_x or same_d
end

-- True where the bytes go up or down by a constant step.
local function is_ramp(s, n)
  local d = (s:byte(2) - s:byte(1)) % 256
  for i = 3, n do
    if (s:byte(i) - s:byte(i - 1)) % 256 ~= d then return false end
  end
  return true
end

-- How protocols begin that are no noise; Lua patterns.
local HEADS = {
  "^[\x14-\x18]\3[\0-\4]", "^SSH%-", "^HTTP/", "^RTSP/", "^<[%a!?/]%a%a", "^%d%d%d[ -]", "^%+OK", "^%-ERR", "^%* %u%u",
  "^\0\0", "^\xff[\xfb-\xfe][\0-\x31]", "^\x30[\x80-\x84\x0c-\x7f]\2\1", '^[{%[]%s*["{][%w"]', "^\x80.\1", "^\x1f\x8b",
}

-- True where the first two bytes say how long the rest is, or all of it.
local function is_framed(s)
  local big, little = (">I2"):unpack(s), ("<I2"):unpack(s)
  return big == #s - 2 or little == #s - 2 or big == #s or little == #s
end

--- Is this noise, as a node answers garbage?
-- @param bytes what came
-- @param sent the garbage
-- @return true; or false and what speaks against it
function skype.is_noise(bytes, sent)
  if #bytes < LEAST then return false, ("only %d bytes"):format(#bytes) end
  local head = bytes:sub(1, LEAST)
  local _, odd = head:gsub(ODD, "")
  local _, odd_in_all = bytes:gsub(ODD, "")
  -- One noise in 2600 begins with as many printable bytes; hardly any goes on so.
  if odd < 3 and odd_in_all < #bytes / 4 or text.is_text(bytes) then return false, "text" end
  for _, pattern in ipairs(HEADS) do
    if head:find(pattern) then return false, "the head of a known protocol" end
  end
  local seen, distinct = {}, 0
  for c in head:gmatch(".") do
    if not seen[c] then seen[c], distinct = true, distinct + 1 end
  end
  if distinct < 10 then return false, ("only %d different bytes in %d"):format(distinct, LEAST) end
  if is_ramp(head, LEAST) then return false, "counting bytes" end
  if is_framed(bytes) then return false, "a length in front" end
  if shares_run(sent, bytes, 4) then return false, "what was sent came back" end
  if shares_run(sent:sub(1, 32):reverse(), bytes, 4) then return false, "what was sent came back reversed" end
  if is_shifted(sent, bytes, LEAST) then return false, "what was sent came back masked" end
  return true
end

--- Are these two pieces of noise as different as noise is?
-- @param a what one connection gave
-- @param b what another gave for the same garbage
-- @return true; or false and what they share
function skype.are_unlike(a, b)
  if a:sub(1, 2) == b:sub(1, 2) then return false, "both begin alike" end
  if a:sub(-2) == b:sub(-2) then return false, "both end alike" end
  local equal = 0
  for i = 1, LEAST do
    if a:byte(i) == b:byte(i) then equal = equal + 1 end
  end
  if equal > 2 then return false, ("%d of %d bytes stay"):format(equal, LEAST) end
  if is_shifted(a, b, LEAST) then return false, "one is the other, masked" end
  -- One stream read further: a counter or a generator that goes on where it stopped, and repeats.
  if shares_run(a, b, 4) then return false, "a run of 4 bytes stands in both" end
  return true
end

return skype
