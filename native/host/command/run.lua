--- mynah run: NSE scripts without Nmap.

local arguments = require "host.nse.arguments"
local fail = require "host.fail"
local files = require "host.nse.files"
local options = require "host.options"
local targets = require "host.targets"

local command = { name = "run", summary = "Run NSE scripts, ours or Nmap's, without Nmap" }

command.description = [[
Runs scripts for Nmap's Scripting Engine, unchanged, in an engine of its own. Scripts and libraries of an installed Nmap are
found by themselves; without one there are ours. The output is that of Nmap.]]

command.epilog = [[
Examples:
  mynah run banner 192.0.2.7 -p 21,22,25                      one of Nmap's scripts
  mynah run ./mine.nse 192.0.2.7 -p 8000-8100                 a file
  mynah run +http-title,banner 192.0.2.7:8123                 +: whatever its rule says of the port
  mynah run "http-* and safe" 192.0.2.7 -p 80 --script-args http.useragent=me

Exit status: 0 done; 1 a script could not be loaded; 2 usage or input error; 3 could not run.]]

local MEGABYTE = 1 << 20

function command.define(parser)
  parser:argument("words", "Scripts as --script of Nmap takes them, then the target: HOST:PORT, or HOST with -p")
    :argname("SCRIPT... TARGET"):args("2+")
  parser:option("-p --ports", "Ports as in Nmap: 80,U:53,T:1000-2000"):argname("PORTS")
  parser:flag("-sU --udp", "Ports without T: or U: are of UDP")
  parser:flag("-sT --tcp", "Ports without T: or U: are of TCP (the default)")
  parser:flag("--given", "The ports are open: do not look first")
  parser:option("--script-args", "Arguments of scripts: NAME=VALUE,..."):argname("ARGS"):count("*")
  parser:option("--script-args-file", "The same from a file"):argname("FILE")
  parser:option("--datadir", "Look for scripts and libraries of Nmap here first"):argname("FOLDER")
  parser:flag("--without-nmap", "Use nothing of an installed Nmap: our scripts, our small nselib")
  parser:option("-oX --xml", "Write XML of Nmap's form to a file as well; -: instead, to standard output"):argname("FILE")
  parser:flag("--json", "One JSON object a line for each result, on standard output")
  options.add_family(parser)
  parser:flag("-v --verbose", "More of what scripts say; twice: still more"):count("*")
  parser:flag("-d --debug", "What scripts and the engine do, and where scripts failed"):count("*")
  parser:option("--script-timeout", "End a script after so long (default: never)")
    :argname("SECONDS"):convert(options.seconds("--script-timeout"))
  parser:option("--script-busy", "End a script that computes for so long without waiting (default: 10)")
    :argname("SECONDS"):convert(options.seconds("--script-busy")):default("10")
  parser:option("--script-memory", "Megabytes that one script may have (default: 256)")
    :argname("N"):convert(options.integer("--script-memory", 1, 1000000)):default("256")
  parser:option("--script-sockets", "Sockets that one script may have open (default: 200)")
    :argname("N"):convert(options.integer("--script-sockets", 1, 100000)):default("200")
  parser:option("--per-port", "Threads of scripts that are connected to one port at the same time (default: 20)")
    :argname("N"):convert(options.integer("--per-port", 1, 100000)):default("20")
  parser:option("--at-once", "Scripts that run at the same time (default: 1000)")
    :argname("N"):convert(options.integer("--at-once", 1, 1000000)):default("1000")
end

local function read_arguments(args)
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

local function read_targets(args, word)
  local list, message = targets.expand({ word }, {
    ports = args.ports, tcp = args.tcp or not args.udp, udp = args.udp or (args.ports or ""):find "[Uu]:" ~= nil,
    resolve = options.resolver(options.family(args)),
  })
  if not list then fail.input("%s", message) end
  return list
end

-- Several writers as one.
local function all_of(writers)
  local all = {}
  for _, name in ipairs { "phase", "result", "host", "finish" } do
    all[name] = function(_, ...)
      for _, writer in ipairs(writers) do
        if writer[name] then writer[name](writer, ...) end
      end
    end
  end
  return all
end

local function writer_of(args, words)
  local writers = {}
  if args.json then
    writers[1] = require "host.nse.jsonl".writer()
  elseif args.xml ~= "-" then
    writers[1] = require "host.nse.text".writer()
  end
  if args.xml then
    local file, message = io.stdout, nil
    if args.xml ~= "-" then file, message = io.open(args.xml, "wb") end
    if not file then fail.run("cannot write XML: %s", message) end
    table.insert(writers, require "host.nse.xml".writer(file, words))
  end
  return all_of(writers)
end

local function split_scripts(words)
  local scripts = {}
  for _, word in ipairs(words) do
    for part in word:gmatch "[^,]+" do scripts[#scripts + 1] = part:match "^%s*(.-)%s*$" end
  end
  return scripts
end

function command.run(args)
  local words = "mynah run " .. table.concat(args.words, " ")
  if args.json and args.xml == "-" then fail.input("--json and -oX -: only one of them can be on standard output") end
  local list = read_targets(args, table.remove(args.words))
  local run, message = require "host.nse.run".new({
    scripts = split_scripts(args.words), datadir = args.datadir, alone = args.without_nmap,
    arguments = read_arguments(args),
    verbosity = args.verbose or 0, debugging = args.debug or 0, timing = 3, version_intensity = 7,
    family = options.family(args) or "inet", given = args.given, at_once = args.at_once,
    memory = args.script_memory * MEGABYTE, busy = args.script_busy, script_timeout = args.script_timeout,
    sockets = 8000, sockets_per_script = args.script_sockets, threads_per_port = args.per_port,
    on_interrupt = fail.interrupted,
  })
  if not run then fail.input("%s", message) end
  return run:go(list, writer_of(args, words)) > 0 and fail.NEGATIVE or 0
end

return command
