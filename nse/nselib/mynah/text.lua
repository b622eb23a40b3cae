--- Text for people: nothing that a peer sends reaches a terminal raw.
-- Pure functions on byte strings; nothing here raises on odd bytes.
-- @module mynah.text

local core = require "mynah_core"

local text = {}

local latest, latest_text -- the second that was shown last

local NAMED = { [9] = "\\t", [10] = "\\n", [13] = "\\r", [92] = "\\\\" }

-- Code points that are valid, yet move the cursor, hide, or turn the direction of writing.
local function is_hidden(cp)
  return cp < 0xa0 or cp == 0xad or cp == 0x61c or (cp >= 0x200b and cp <= 0x200f)
    or (cp >= 0x2028 and cp <= 0x202e) or (cp >= 0x2060 and cp <= 0x206f) or cp == 0xfeff
    or (cp >= 0xfff0 and cp <= 0xfffd) or (cp >= 0xe000 and cp <= 0xf8ff) or cp >= 0xe0000
    or cp % 0x10000 >= 0xfffe
end

--- One UTF-8 sequence of two to four bytes at `i`.
-- @param s bytes
-- @param i position from 1
-- @return length in bytes and code point, or nil where the bytes are no well-formed sequence
function text.utf8_at(s, i)
  local b = s:byte(i)
  if not b then return nil end
  local n, cp, least
  if b >= 0xc2 and b <= 0xdf then
    n, cp, least = 2, b & 0x1f, 0x80
  elseif b >= 0xe0 and b <= 0xef then
    n, cp, least = 3, b & 0x0f, 0x800
  elseif b >= 0xf0 and b <= 0xf4 then
    n, cp, least = 4, b & 0x07, 0x10000
  else
    return nil
  end
  for k = 1, n - 1 do
    local c = s:byte(i + k)
    if not c or c & 0xc0 ~= 0x80 then return nil end
    cp = cp << 6 | c & 0x3f
  end
  if cp < least or cp > 0x10ffff or (cp >= 0xd800 and cp <= 0xdfff) then return nil end
  return n, cp
end

-- `shown`: the text was escaped before, so its backslashes stay as they are.
local function printable(s, limit, shown)
  s = s or ""
  limit = limit or 200
  if #s <= limit and not s:find "[%c\\\x80-\xff]" then return s end -- as most are
  local out, width, i = {}, 0, 1
  while i <= #s do
    local b, n = s:byte(i), 1
    local piece
    if NAMED[b] and not (shown and b == 0x5c) then
      piece = NAMED[b]
    elseif b >= 0x20 and b < 0x7f then
      piece = string.char(b)
    else
      local len, cp = text.utf8_at(s, i)
      if len and not is_hidden(cp) then
        piece, n = s:sub(i, i + len - 1), len
      else
        piece = ("\\x%02x"):format(b)
      end
    end
    local w = n > 1 and 1 or #piece
    if width + w > limit then
      out[#out + 1] = "..."
      break
    end
    out[#out + 1] = piece
    width = width + w
    i = i + n
  end
  return table.concat(out)
end

--- Make bytes printable: ASCII and well-formed, visible UTF-8 stay, the rest becomes `\xHH`, `\r`, `\n`, `\t`.
-- @param s bytes, or nil for ""
-- @param limit at most so many characters of output before it is cut with "..."; default 200
-- @return text without any control character
function text.escape(s, limit) return printable(s, limit, false) end

--- The same for text that was escaped before: what got through all the same is escaped, nothing is twice.
-- @param s text of a result
-- @param limit as for escape
-- @return text without any control character
function text.shown(s, limit) return printable(s, limit, true) end

--- The first line of what a peer said, escaped, without its line end.
-- @param s bytes
-- @param limit as for escape; default 100
-- @return text
function text.first_line(s, limit)
  return text.escape((s or ""):match("^[^\r\n]*"), limit or 100)
end

--- Bytes as lower-case hex digits.
-- @param s bytes
-- @return text of 2 * #s digits
function text.to_hex(s) return core.hex(s) end

--- Hex digits (spaces and colons between bytes are allowed) as bytes.
-- @param hex text
-- @return bytes, or nil and a message saying what is wrong
function text.from_hex(hex)
  local digits = hex:gsub("[%s:]", "")
  local bad = digits:match("[^%x]")
  if bad then return nil, ("not a hex digit: %q"):format(bad) end
  if #digits % 2 == 1 then return nil, "an odd number of hex digits" end
  return (digits:gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end))
end

--- True where every byte is printable ASCII, white space or part of well-formed UTF-8.
-- @param s bytes
-- @return boolean; true for ""
function text.is_text(s)
  return text.count_odd(s, 1) == 0
end

--- How many bytes are no text: control characters and broken UTF-8. A sequence cut by the end is text.
-- @param s bytes
-- @param enough stop counting here; default: count all
-- @return count
function text.count_odd(s, enough)
  local odd, i = 0, 1
  while i <= #s and odd < (enough or math.huge) do
    local b = s:byte(i)
    if (b >= 0x20 and b < 0x7f) or (b >= 9 and b <= 13) then
      i = i + 1
    else
      local n = text.utf8_at(s, i)
      if not n and b >= 0xc2 and b <= 0xf4 and #s - i < 3 and not s:find("[^\x80-\xbf]", i + 1) then
        n = #s - i + 1
      end
      if not n then odd = odd + 1 end
      i = i + (n or 1)
    end
  end
  return odd
end

--- A time as RFC 3339 in UTC with milliseconds.
-- @param unix seconds since 1970, float
-- @return text such as "2024-02-03T04:05:06.789Z"
function text.timestamp(unix)
  local ms = math.floor(unix * 1000 + 0.5)
  if ms // 1000 ~= latest then -- many come within one second
    latest = ms // 1000
    latest_text = os.date("!%Y-%m-%dT%H:%M:%S", latest)
  end
  return latest_text .. (".%03dZ"):format(ms % 1000)
end

return text
