--- Options in a file: the names that the command line has, without their dashes.
--
--     # who answers DNS here
--     target = 10.0.0.0/16
--     probe = dns
--     ports = 53
--     raw
-- @module host.config

local fail = require "host.fail"

local config = {}

--- Put the words of `--config FILE` in its place, so that what is said behind it on the command line counts.
-- @param words array of the command line
-- @return array
-- @raise exit status 2 where the file cannot be read
function config.expand(words)
  local list = {}
  local function read(path)
    local file, message = io.open(path, "r")
    if not file then fail.input("--config %s", message) end
    local text, problem = file:read "a"
    file:close()
    if not text then fail.input("--config %s: %s", path, problem) end
    if text:find("\0", 1, true) then fail.input("--config %s: a NUL byte: expected text", path) end
    local number = 0
    for line in text:gmatch "[^\n]*" do
      number = number + 1
      local name, value = line:match "^%s*([%a][%w-]*)%s*=%s*(.-)%s*$"
      name = name or line:match "^%s*([%a][%w-]*)%s*$"
      if name == "target" then
        for word in (value or ""):gmatch "%S+" do list[#list + 1] = word end
      elseif name then
        list[#list + 1] = "--" .. name
        if value and value ~= "" then list[#list + 1] = value end
      elseif not line:find "^%s*#" and line:find "%S" then
        fail.input("%s:%d: expected NAME = VALUE, or the NAME of a flag", path, number)
      end
    end
  end
  local i = 1
  while words[i] do
    local path = words[i]:match "^%-%-config=(.*)$"
    if path or words[i] == "--config" then
      if not path then i = i + 1 end
      path = path or words[i]
      if not path then fail.input "--config: the name of a file is missing" end
      read(path)
    else
      list[#list + 1] = words[i]
    end
    i = i + 1
  end
  return list
end

--- Options as such a file has them.
-- @param names array of names as the parsed arguments have them, in order
-- @param args parsed arguments
-- @param shown table: for some names, a function of their value that gives text
-- @return text
function config.text(names, args, shown)
  local lines = {}
  for _, name in ipairs(names) do
    local value, option = args[name], name:gsub("_", "-")
    if value == true then
      lines[#lines + 1] = option
    elseif value ~= nil and value ~= false then
      local list = type(value) == "table" and not shown[name] and value or { value }
      for _, each in ipairs(list) do
        lines[#lines + 1] = ("%s = %s"):format(option, shown[name] and shown[name](each) or tostring(each))
      end
    end
  end
  return table.concat(lines, "\n")
end

return config
