--- What most scripts use of NSE's `stdnse`, for where no Nmap is installed. The engine adds new_thread, base, getid, getinfo,
-- gethostport, gettid, isworker and silent_require.
-- @module stdnse

local nmap = require "nmap"

local stdnse = {}

-- Saying ------------------------------------------------------------------------------------------------

local function say(now, level, format, ...)
  if now < level then return end
  local who = stdnse.getinfo()
  nmap.log_write("stdout", (who ~= "" and "[" .. who .. "] " or "") .. format:format(...))
end

--- Say something where the user asked for so much debugging: debug(level, format, …), or debug(format, …) for level 1.
function stdnse.debug(level, ...)
  if type(level) ~= "number" then return say(nmap.debugging(), 1, level, ...) end
  say(nmap.debugging(), level, ...)
end

--- The same for verbosity.
function stdnse.verbose(level, ...)
  if type(level) ~= "number" then return say(nmap.verbosity(), 1, level, ...) end
  say(nmap.verbosity(), level, ...)
end

for level = 1, 5 do
  stdnse["debug" .. level] = function(...) say(nmap.debugging(), level, ...) end
  stdnse["verbose" .. level] = function(...) say(nmap.verbosity(), level, ...) end
end
stdnse.print_debug, stdnse.print_verbose = stdnse.debug, stdnse.verbose

-- Time ---------------------------------------------------------------------------------------------------

--- Let so many seconds pass for this script.
function stdnse.sleep(seconds) nmap.socket.sleep(seconds) end

function stdnse.clock_ms() return nmap.clock_ms() end

local UNITS = { [""] = 1, s = 1, ms = 0.001, m = 60, h = 3600 }

--- Seconds of "10", "500ms", "2m", "1h"; nil and a message.
function stdnse.parse_timespec(spec)
  if spec == nil then return nil, "Can't parse nil timespec" end
  local number, unit = tostring(spec):match "^([%d.]+)(.*)$"
  local n = tonumber(number)
  if not n then return nil, ('Can\'t parse time specification "%s"'):format(spec) end
  local factor = UNITS[unit]
  if not factor then return nil, ('Can\'t parse time specification "%s" (bad unit "%s")'):format(spec, unit) end
  return n * factor
end

-- Text ----------------------------------------------------------------------------------------------------

--- Hexadecimal digits of bytes, or of a number.
function stdnse.tohex(value)
  if type(value) == "number" then return ("%x"):format(value) end
  return (value:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

--- Bytes of hexadecimal digits, spaces between them allowed; nil and a message.
function stdnse.fromhex(text)
  local digits = text:gsub("%s", "")
  if digits:find "%X" then return nil, "Invalid hexadecimal digits at position " .. digits:find "%X" end
  if #digits % 2 == 1 then return nil, "Odd number of hexadecimal digits" end
  return (digits:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

--- "01:02:…" is for people: an Ethernet address as its twelve digits.
function stdnse.format_mac(mac) return stdnse.tohex(mac) end

--- The text, or another where it is nil or empty.
function stdnse.string_or_blank(text, blank)
  if text == nil or text == "" then return blank or "<blank>" end
  return text
end

--- The name of a host by which it was asked for, else its own, else its address.
function stdnse.get_hostname(host)
  if type(host) ~= "table" then return host end
  for _, name in ipairs { host.targetname or "", host.name or "" } do
    if name ~= "" then return name end
  end
  return host.ip
end

-- Results -----------------------------------------------------------------------------------------------

--- A table that keeps its named fields in the order in which they were first set. Its length is their number.
function stdnse.output_table()
  local order, values = {}, {}
  local function place(key)
    for i, known in ipairs(order) do
      if known == key then return i end
    end
  end
  return setmetatable({}, {
    __index = values,
    __newindex = function(_, key, value)
      local at = place(key)
      if value == nil and at then table.remove(order, at) end
      if value ~= nil and not at then order[#order + 1] = key end
      values[key] = value
    end,
    __len = function() return #order end,
    __pairs = function()
      local i = 0
      return function()
        i = i + 1
        if order[i] ~= nil then return order[i], values[order[i]] end
      end
    end,
  })
end

local function add_lines(lines, data, indent)
  if type(data) ~= "table" then data = { data } end
  for _, value in ipairs(data) do
    if type(value) == "table" then
      if value.name then lines[#lines + 1] = indent .. value.name end
      add_lines(lines, value, indent .. "  ")
    else
      lines[#lines + 1] = indent .. tostring(value)
    end
  end
end

--- A list of texts and of lists, each with an optional `name`, as indented text; nil where it is empty.
function stdnse.format_output(status, data)
  if not status and nmap.debugging() < 1 then return nil end
  local lines = {}
  add_lines(lines, data, "  ")
  if #lines == 0 then return nil end
  return "\n" .. (status and "" or "  ERROR: ") .. table.concat(lines, "\n") .. "\n"
end

-- Arguments --------------------------------------------------------------------------------------------

local function argument(name)
  local args = nmap.registry.args
  if args[name] ~= nil then return args[name] end
  for _, word in ipairs(args) do
    if word == name then return 1 end
  end
  local last = name:match "%.([^.]+)$"
  if last then return args[last] end
end

--- The values of script arguments: of "script.name" also what was given as "name". A word without a value is 1; a table of
-- names gives the first that is there.
function stdnse.get_script_args(...)
  local values = { n = select("#", ...) }
  for i = 1, values.n do
    local names = select(i, ...)
    for _, name in ipairs(type(names) == "table" and names or { names }) do
      if values[i] == nil then values[i] = argument(name) end
    end
  end
  return table.unpack(values, 1, values.n)
end

return stdnse
