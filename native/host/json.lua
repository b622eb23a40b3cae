--- One compact JSON object a line, keys in a given order.
-- @module host.json

local cjson = require "cjson"
local text = require "mynah.text"

local json = {}

local concat, find, type = table.concat, string.find, type -- of what is done for every value

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
  if find(s, "^[ !#-%[%]-~]*$") then return '"' .. s .. '"' end -- nothing in it to be escaped
  if not is_utf8(s) then s = text.escape(s, math.huge) end
  return (cjson.encode(s):gsub("\\(.)", function(c) return c == "/" and "/" or "\\" .. c end)
    :gsub("\xc2([\x80-\x9f])", function(c) return ("\\u%04x"):format(c:byte()) end))
end

local function encode_number(n)
  if math.type(n) == "integer" then return tostring(n) end
  if n ~= n or n == math.huge or n == -math.huge then return "null" end
  return (("%.6f"):format(n):gsub("(%.%d-)0+$", "%1"):gsub("%.$", ".0"))
end

local encode

local function encode_array(list)
  local parts = {}
  for i, value in ipairs(list) do parts[i] = encode(value) end
  return "[" .. table.concat(parts, ",") .. "]"
end

-- Most short strings come again and again.
local SHORT, MANY = 16, 4000
local known, count = {}, 0

local function encode_known(s)
  if count >= MANY then known, count = {}, 0 end
  local text_ = encode_string(s)
  known[s], count = text_, count + 1
  return text_
end

--- A value as JSON: tables are arrays, nil is null; floats have at most six decimals.
function encode(value)
  local kind = type(value)
  if kind == "string" then
    return #value > SHORT and encode_string(value) or known[value] or encode_known(value)
  end
  if kind == "number" then return encode_number(value) end
  if kind == "boolean" then return value and "true" or "false" end
  if kind == "nil" then return "null" end
  return encode_array(value)
end
json.encode = encode

local heads = setmetatable({}, { __mode = "k" }) -- of each order, its keys as they are written; at -i, with null

local function heads_of(order)
  local list = {}
  for i, key in ipairs(order) do
    list[i] = ('%s"%s":'):format(i > 1 and "," or "{", key)
    list[-i] = list[i] .. "null"
  end
  heads[order] = list
  return list
end

--- An object with the keys that `order` names, in that order; what is absent is null.
-- @param order array of keys
-- @param object table
-- @return one line of text
function json.object(order, object)
  local parts, list = {}, heads[order] or heads_of(order)
  for i = 1, #order do
    local value = object[order[i]]
    parts[i] = value == nil and list[-i] or list[i] .. encode(value)
  end
  return concat(parts) .. "}"
end

return json
