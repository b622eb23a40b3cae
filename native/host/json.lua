--- One compact JSON object a line, keys in a given order.
-- @module host.json

local cjson = require "cjson"
local core = require "mynah_core"
local text = require "mynah.text"

local json = {}

local function is_utf8(s)
  local i = s:find("[\x80-\xff]")
  while i do
    local n = text.utf8_at(s, i)
    if not n then return false end
    i = s:find("[\x80-\xff]", i + n)
  end
  return true
end

-- cjson escapes "/", which nobody wants, and leaves the control characters U+0080 to U+009F, which terminals obey.
-- Escapes are read from the left, so that an escaped backslash before a slash stays what it is.
local function encode_string(s)
  if not is_utf8(s) then s = text.escape(s, math.huge) end
  return (cjson.encode(s):gsub("\\(.)", function(c) return c == "/" and "/" or "\\" .. c end)
    :gsub("\xc2([\x80-\x9f])", function(c) return ("\\u%04x"):format(c:byte()) end))
end

--- A value as JSON: tables are arrays, nil is null; floats have at most six decimals.
function json.encode(value)
  return core.json_value(value, encode_string)
end

--- An object with the keys that `order` names, in that order; what is absent is null.
-- @param order array of keys
-- @param object table
-- @return one line of text
function json.object(order, object)
  return core.json_object(order, object, encode_string)
end

--- The answers that wait at a scan, which only verifies, a line each with the keys that `order` names.
-- @param alike table: what of it all have in common
-- @return text, empty where there are none
function json.rows(scan, order, alike)
  return scan:rows(order, alike, encode_string)
end

return json
