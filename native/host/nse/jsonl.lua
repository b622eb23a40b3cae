--- Results as JSON, one object a line, each as soon as its script is done.
-- Keys: `ip`, `port`, `transport` (null for scripts of a host or of the run), `script`, `kind` of rule, `output` (the text),
-- `data` (what the script returned beside text, null where there is none; a table with both an array and named fields has the
-- array under "").
-- @module host.nse.jsonl

local json = require "host.json"
local out = require "host.out"

local jsonl = {}

local encode

local function encode_named(t)
  local parts, list = {}, {}
  for i, value in ipairs(t) do list[i] = encode(value) end -- its length may be another: stdnse's own tables count their names
  if #list > 0 then parts[1] = '"":[' .. table.concat(list, ",") .. "]" end
  for key, value in pairs(t) do
    if type(key) == "string" then parts[#parts + 1] = json.encode(key) .. ":" .. encode(value) end
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function is_list(t)
  for key in pairs(t) do
    if type(key) == "string" then return false end
  end
  return true
end

function encode(value)
  if type(value) ~= "table" then
    local kind = type(value)
    if kind == "function" or kind == "userdata" or kind == "thread" then value = tostring(value) end
    return json.encode(value)
  end
  if not is_list(value) then return encode_named(value) end
  local parts = {}
  for i, item in ipairs(value) do parts[i] = encode(item) end
  return "[" .. table.concat(parts, ",") .. "]"
end

--- What a script returned, as JSON.
jsonl.encode = encode

local function print_result(kind, host, port, result)
  local fields = {
    { "ip", host and host.ip }, { "port", port and port.number }, { "transport", port and port.protocol },
    { "script", result.id }, { "kind", kind }, { "output", result.text },
  }
  local parts = {}
  for i, field in ipairs(fields) do parts[i] = ('"%s":%s'):format(field[1], json.encode(field[2])) end
  parts[#parts + 1] = '"data":' .. (result.value == nil and "null" or encode(result.value))
  out.line("{" .. table.concat(parts, ",") .. "}")
end

--- A writer as host.nse.text makes one.
function jsonl.writer()
  return {
    phase = function(_, name, results)
      for _, r in ipairs(results) do print_result(name, nil, nil, r) end
    end,
    result = function(_, host, port, r) print_result(port and "portrule" or "hostrule", host, port, r) end,
    host = function() end,
    finish = function() end,
  }
end

return jsonl
