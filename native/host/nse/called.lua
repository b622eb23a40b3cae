--- What a command line says of scripts.
-- @module host.nse.called

local arguments = require "host.nse.arguments"
local fail = require "host.fail"
local files = require "host.nse.files"

local called = {}

--- The arguments of scripts: of --script-args-file, then of each --script-args.
-- @param args parsed: `script_args_file` or nil, `script_args` (array)
-- @return table as scripts see it
-- @raise exit status 2
function called.arguments(args)
  local result = {}
  local function add(parsed, message)
    if not parsed then fail.input("%s", message) end
    arguments.merge(result, parsed)
  end
  if args.script_args_file then
    local text, message = files.read(args.script_args_file)
    if not text then fail.input("%s", message) end
    add(arguments.parse_file(text))
  end
  for _, text in ipairs(args.script_args) do add(arguments.parse(text)) end
  return result
end

--- Words of --script, with commas, one by one.
function called.scripts(words)
  local scripts = {}
  for _, word in ipairs(words) do
    for part in word:gmatch "[^,]+" do scripts[#scripts + 1] = part:match "^%s*(.-)%s*$" end
  end
  return scripts
end

return called
