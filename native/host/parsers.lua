--- The one description of all commands and their options: what parses them, what --help, --completion and the manual pages say.
-- @module host.parsers

local argparse = require "argparse"
local host = require "mynah_host"
local manual = require "host.manual"

local parsers = {}

local COMMANDS = { "identify", "scan", "report", "merge", "replay", "learn", "demo", "sig", "nmap", "run" }

local EPILOG = [[
Examples:
  mynah identify 192.0.2.7:80                   what is behind this port, TCP and UDP
  mynah replay capture.pcap 192.0.2.7:34567     send what a client once sent
  mynah learn capture.pcap                      write a signature of what answered it
  mynah demo                                    see it work, on this machine alone

Exit status: 0 done; 1 a negative answer; 2 usage or input error; 3 could not run; 130, 143 stopped by
SIGINT, SIGTERM.]]

-- Parsing ends here when only a text was asked for: raised inside argparse, told apart by this upvalue.
local asked

local function ask(text_of)
  return function()
    asked = text_of
    error("asked for text", 0)
  end
end

--- What was asked for instead of a command, after parsing: a function that gives the text; or nil.
function parsers.asked() return asked end

local function add_help(parser)
  parser:flag("-h --help"):description("Show this help"):action(ask(function() return parser:get_help() end))
end

-- What completes words in a shell. For fish argparse leaves out names like -sU.
local function completion(parser, shell)
  local lines = { (parser["get_" .. shell .. "_complete"](parser):gsub("\n$", "")) }
  for _, child in ipairs(shell == "fish" and parser._commands or {}) do
    for _, option in ipairs(child._options) do
      local name = option._name:match "^%-(%w%w+)$"
      if name then
        lines[#lines + 1] = ("complete -c mynah -n '__fish_mynah_seen_command %s' %s-o %s -d '%s'"):format(child._name,
          option._maxargs > 0 and "-r " or "", name, (option._description:gsub("['\\]", "\\%0")))
      end
    end
  end
  return table.concat(lines, "\n")
end

local function add_root_options(parser)
  parser:flag("--version"):description("Show the version"):action(ask(function() return "mynah " .. host.version end))
  parser:option("--completion"):argname("SHELL"):choices({ "bash", "zsh", "fish" })
    :description("Print what completes this program's words in bash, zsh or fish")
    :action(function(_, _, shell)
      ask(function() return completion(parser, shell) end)()
    end)
  parser:option("--manual"):argname("PAGE"):choices(table.move(COMMANDS, 1, #COMMANDS, 2, { "mynah" }))
    :description("Print a page of the manual, as man -l - reads it: that of a command, or mynah")
    :action(function(_, _, page)
      ask(function() return (manual.page(parser, page, COMMANDS):gsub("\n$", "")) end)()
    end)
end

-- Every (sub)command gets --help and stops at its first wrong word.
local function finish(parser)
  parser:add_help(false)
  add_help(parser)
  parser:usage_max_width(90):help_max_width(100):help_description_margin(33)
  for _, child in ipairs(parser._commands) do finish(child) end
end

--- Build them.
-- @return the parser of the program; a table of the commands' modules by name
function parsers.build()
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

return parsers
