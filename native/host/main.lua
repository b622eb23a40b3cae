--- The mynah program: one table of commands; parses, runs one, returns the exit status.

local argparse = require "argparse"
local config = require "host.config"
local fail = require "host.fail"
local host = require "mynah_host"
local out = require "host.out"

local COMMANDS = { "identify", "scan", "report", "merge", "replay", "learn", "demo", "sig", "nmap", "run" }

local EPILOG = [[
Examples:
  mynah identify 192.0.2.7:80                   what is behind this port, TCP and UDP
  mynah replay capture.pcap 192.0.2.7:34567     send what a client once sent
  mynah learn capture.pcap                      write a signature of what answered it
  mynah demo                                    see it work, on this machine alone

Exit status: 0 done; 1 a negative answer; 2 usage or input error; 3 could not run.]]

-- Parsing ends here when only a text was asked for: raised inside argparse, told apart by this upvalue.
local asked

local function ask(text_of)
  return function()
    asked = text_of
    error("asked for text", 0)
  end
end

local function add_help(parser)
  parser:flag("-h --help"):description("Show this help"):action(ask(function() return parser:get_help() end))
end

local function add_root_options(parser)
  parser:flag("--version"):description("Show the version"):action(ask(function() return "mynah " .. host.version end))
  parser:option("--completion"):argname("SHELL"):choices({ "bash", "zsh", "fish" })
    :description("Print what completes this program's words in bash, zsh or fish")
    :action(function(_, _, shell)
      ask(function() return (parser["get_" .. shell .. "_complete"](parser):gsub("\n$", "")) end)()
    end)
end

-- Every (sub)command gets --help and stops at its first wrong word.
local function finish(parser)
  parser:add_help(false)
  add_help(parser)
  parser:usage_max_width(90):help_max_width(100):help_description_margin(33)
  for _, child in ipairs(parser._commands) do finish(child) end
end

local function build()
  local parser = argparse("mynah", "Names what is really behind an IP and port, by replay and echo.", EPILOG)
  parser:command_target("command")
  local by_name = {}
  add_root_options(parser)
  for _, name in ipairs(COMMANDS) do
    local command = require("host.command." .. name)
    local description = (command.description or command.summary .. "."):gsub("\n", " ")
    command.define(parser:command(name):summary(command.summary):description(description):epilog(command.epilog))
    by_name[name] = command
  end
  finish(parser)
  return parser, by_name
end

-- argparse reads "-sU" as "-s U", "-oX" as "-o X" and "-p -100" as two options; Nmap's users write all of them.
local LONG = { ["-oX"] = "--xml", ["-iL"] = "--input" }

local function translate(words)
  local list, raw = {}, false
  for i, word in ipairs(words) do
    raw = raw or word == "--"
    if raw then
      list[#list + 1] = word
    elseif words[i - 1] == "-p" and word:match("^%-%d*$") then
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
  local parser, by_name = build()
  local first = by_name[words[1]]
  local for_us = #words == 2 and (words[2] == "--help" or words[2] == "-h")
  if first and first.raw and not for_us then return first, { arguments = table.move(words, 2, #words, 1, {}) } end
  if words[1] == "scan" then words = config.expand(words) end
  words = translate(words)
  local ok, parsed, message = pcall(parser.pparse, parser, words)
  if asked then return nil, asked() end
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
