--- Script arguments as Nmap reads them: `a=1,b={c=2,d},e.f="x, y",word`. Words without a name go into array slots.
-- @module host.nse.arguments

local lpeg = require "lpeg"

local arguments = {}

local P, S, C, Cs, Ct, Cc, Cg, V = lpeg.P, lpeg.S, lpeg.C, lpeg.Cs, lpeg.Ct, lpeg.Cc, lpeg.Cg, lpeg.V

local space = S " \t\r\n" ^ 0

-- "…" or '…'; a backslash takes the next character as it is.
local function quoted(quote)
  return P(quote) * Cs((P "\\" / "" * P(1) + (P(1) - S("\\" .. quote))) ^ 0) * P(quote)
end

local plain = C((P(1) - S "={},\"' \t\r\n") * (P(1) - S "={},") ^ 0) / function(text) return (text:gsub("%s+$", "")) end

local function trimmed(p) return space * p * space end

local grammar = P {
  "all",
  all = V "list" * -1,
  list = Ct((V "item" * (P "," * V "item") ^ 0) ^ -1 * P "," ^ -1 * space),
  item = Cg(Ct(trimmed(V "word") * P "=" * trimmed(V "value")) + Ct(Cc(false) * trimmed(V "value"))),
  value = V "table" + V "word" + #S ",}" * Cc "" + -P(1) * Cc "",
  table = P "{" * V "list" * P "}",
  word = quoted '"' + quoted "'" + plain,
}

-- Pairs and single values in the order written, as a table.
local function build(list)
  local result = {}
  for _, item in ipairs(list) do
    local name, value = item[1], item[2]
    if type(value) == "table" then value = build(value) end
    if name then
      result[name] = value
    else
      result[#result + 1] = value
    end
  end
  return result
end

--- Read the text of --script-args.
-- @return table; or nil and a message
function arguments.parse(text)
  local list = grammar:match(text)
  if list then return build(list) end
  return nil, ('script arguments "%s": expected NAME=VALUE,…; values are words, "quoted", or {…}'):format(text)
end

--- Read the text of a file of --script-args-file: as above, and an end of line is as good as a comma.
function arguments.parse_file(text)
  return arguments.parse((text:gsub("%s+$", ""):gsub("[\r\n]+", ",")))
end

--- What both say, the second first.
function arguments.merge(into, more)
  for key, value in pairs(more) do
    if type(key) == "number" then
      into[#into + 1] = value
    else
      into[key] = value
    end
  end
  return into
end

return arguments
