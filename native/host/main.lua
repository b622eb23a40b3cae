--- The mynah program: one table of commands; parses, runs one, returns the exit status.

local config = require "host.config"
local fail = require "host.fail"
local out = require "host.out"
local parsers = require "host.parsers"

-- argparse reads "-sU" as "-s U", "-oX" as "-o X" and "-p -100" as two options; Nmap's users write all of them.
local LONG = { ["-oX"] = "--xml", ["-iL"] = "--input" }

-- What Nmap and masscan have and a scan writes otherwise: argparse would take -oA for a file A, and the name for a target.
local OTHERWISE = {
  ["-oX"] = "write -o FILE.xml", ["-oG"] = "write -o FILE.gnmap", ["-oA"] = "write -o NAME.xml -o NAME.gnmap",
  ["-oJ"] = "write -o FILE.jsonl", ["-oL"] = "write -o FILE.csv", ["-oN"] = "send standard output there: > FILE",
  ["-iR"] = "there is no drawing of targets; name networks, and a --seed for their order",
}

local function refuse_otherwise(words)
  for _, word in ipairs(words) do
    if word == "--" then return end
    if OTHERWISE[word] then fail.input("%s: %s", word, OTHERWISE[word]) end
  end
end

local function translate(words)
  local list, raw = {}, false
  for i, word in ipairs(words) do
    raw = raw or word == "--"
    if raw then
      list[#list + 1] = word
    elseif (words[i - 1] == "-p" or words[i - 1] == "--ports") and word:match("^%-%d*$") then
      list[#list] = "-p" .. word
    else
      local transports = word:match("^%-s([UT]+)$")
      for t in (transports or ""):gmatch(".") do list[#list + 1] = t == "U" and "--udp" or "--tcp" end
      if not transports then list[#list + 1] = LONG[word] or word end
    end
  end
  return list
end

-- The command that the words name, for messages: "mynah sig check".
local function named(parser, words)
  local name = "mynah"
  for _, word in ipairs(words) do
    local found
    for _, child in ipairs(parser._commands) do
      if child._name == word then found = child end
    end
    if not found then break end
    name, parser = name .. " " .. word, found
  end
  return name
end

local function parse(words)
  local parser, by_name = parsers.build()
  local first = by_name[words[1]]
  local for_us = #words == 2 and (words[2] == "--help" or words[2] == "-h")
  if first and first.raw and not for_us then return first, { arguments = table.move(words, 2, #words, 1, {}) } end
  if words[1] == "scan" then
    words = config.expand(words)
    refuse_otherwise(words)
  end
  words = translate(words)
  local ok, parsed, message = pcall(parser.pparse, parser, words)
  if parsers.asked() then return nil, parsers.asked()() end
  if not ok then error(parsed, 0) end
  if not parsed then
    local name = named(parser, words)
    local line = message:gsub("\n(%u)", function(c) return "; " .. c:lower() end)
    fail.input("%s; try `%s --help`", line, name)
  end
  return by_name[message.command], message
end

local function run(...)
  local command, args = parse { ... }
  if not command then
    out.line(args)
    return 0
  end
  return command.run(args)
end

-- Only what `fail` raised is for the user; a defect goes on to main.c, with its traceback.
local function on_error(problem)
  if type(problem) == "table" and problem.status then return problem end
  if os.getenv("MYNAH_DEBUG") then return debug.traceback(tostring(problem), 2) end
  return tostring(problem)
end

local ok, result = xpcall(run, on_error, ...)
out.clear()
if ok then return result end
if type(result) ~= "table" then error(result, 0) end
out.note(result.message)
return result.status
