--- mynah run: NSE scripts without Nmap.

local called = require "host.nse.called"
local fail = require "host.fail"
local host = require "mynah_host"
local list = require "host.nse.list"
local options = require "host.options"
local out = require "host.out"

local command = { name = "run", summary = "Run NSE scripts, ours or Nmap's, without Nmap" }

command.description = [[
Runs scripts for Nmap's Scripting Engine, unchanged, in an engine of its own. Scripts and libraries of an installed Nmap are
found by themselves; without one there are ours. The output is that of Nmap.

Targets are those of mynah scan: addresses, names, 10.0.0.0/16, 10.0-3.1,7.*, FIRST-LAST, each with :PORT or with -p, and files of
them. Of many, those that do not answer are only counted. Addresses are not looked up backwards: host.name is empty, as with -n of
Nmap.]]

command.epilog = [[
Examples:
  mynah run banner 192.0.2.7 -p 21,22,25                      one of Nmap's scripts
  mynah run ./mine.nse 192.0.2.7 -p 8000-8100                 a file
  mynah run +http-title,banner 192.0.2.7:8123                 +: whatever its rule says of the port
  mynah run "http-* and safe" 192.0.2.7 -p 80 --script-args http.useragent=me
  mynah run --script banner -p 22 10.0.0.0/16 10.1.0-3.1 example.net    many targets

Exit status: 0 done; 1 a script could not be loaded; 2 usage or input error; 3 could not run.]]

local MEGABYTE = 1 << 20
local SOCKETS = 16000 -- open at once, where the system allows
local FILES = 200     -- descriptors that are kept for all but sockets

function command.define(parser)
  parser:argument("words", "Scripts as --script of Nmap takes them, then the target; see below")
    :argname("SCRIPT... TARGET"):args("*")
  parser:option("--script", "The scripts; every word is a target then (repeatable)"):argname("SCRIPTS"):count("*")
  parser:option("-i --input", "Targets from a file, - for standard input; -iL as in Nmap; every word is a script then "
    .. "(repeatable)"):argname("FILE"):count("*")
  parser:option("--exclude", "Leave these out (repeatable)"):argname("TARGET"):count("*")
  parser:option("--exclude-file", "Leave out what this file names (repeatable)"):argname("FILE"):count("*")
  parser:option("-p --ports", "Numbers of ports, written as in Nmap: 80,U:53,T:1000-2000"):argname("PORTS")
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
  parser:flag("--script-help", "Say what the scripts are for; every word is a script then")
  parser:flag("--script-trace", "Show on standard error what scripts send and receive")
  parser:option("--script-timeout", "End a script after so long (default: never)")
    :argname("SECONDS"):convert(options.seconds("--script-timeout"))
  parser:option("--script-busy", "End a script that computes for so long without waiting")
    :argname("SECONDS"):convert(options.seconds("--script-busy")):default("10")
  parser:option("--script-memory", "Megabytes that one script may have")
    :argname("N"):convert(options.integer("--script-memory", 1, 1000000)):default("256")
  parser:option("--script-sockets", "Sockets that one script may have open")
    :argname("N"):convert(options.integer("--script-sockets", 1, 100000)):default("200")
  parser:option("--per-port", "Threads of scripts that are connected to one port at the same time")
    :argname("N"):convert(options.integer("--per-port", 1, 100000)):default("20")
  parser:option("--at-once", "Scripts that run at the same time")
    :argname("N"):convert(options.integer("--at-once", 1, 1000000)):default("1000")
end

-- The targets: the last word, or with --script or -iL every one that is no script.
local function read_targets(args)
  local words = args.words
  if #args.script == 0 then
    words = #args.input == 0 and { table.remove(args.words) } or {}
    args.script = args.words
  end
  if #args.script == 0 or #words + #args.input == 0 then fail.input("run: expected SCRIPT... TARGET; try `mynah run --help`") end
  local set, message = list.new {
    words = words, files = args.input, exclude = args.exclude, exclude_files = args.exclude_file, ports = args.ports,
    tcp = args.tcp or not args.udp, udp = args.udp or (args.ports or ""):find "[Uu]:" ~= nil,
    resolve = options.resolver(options.family(args)),
  }
  if not set then fail.input("%s", message) end
  return set
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

-- A script as Nmap's --script-help shows it.
local function show_help(run)
  for _, s in ipairs(run.scripts) do
    out.line(("\n%s\nCategories: %s"):format(s.id, table.concat(s.categories, " ")))
    for line in (s.description:gsub("%s+$", "") .. "\n"):gmatch "([^\n]*)\n" do
      out.line((("  " .. line):gsub("%s+$", "")))
    end
  end
end

local function new_run(args, family)
  local run, message = require "host.nse.run".new {
    scripts = called.scripts(args.script), datadir = args.datadir, alone = args.without_nmap,
    arguments = called.arguments(args), verbosity = args.verbose or 0, debugging = args.debug or 0, timing = 3,
    version_intensity = 7, family = family or "inet", given = args.given, at_once = args.at_once,
    memory = args.script_memory * MEGABYTE, busy = args.script_busy, script_timeout = args.script_timeout,
    sockets = math.max(host.descriptors(SOCKETS + FILES) - FILES, FILES),
    sockets_per_script = args.script_sockets, threads_per_port = args.per_port, on_interrupt = fail.interrupted,
    trace = args.script_trace and require "host.nse.tracing".print or nil,
  }
  if not run then fail.input("%s", message) end
  return run
end

-- What the user called, for the report.
local function words_of(args)
  local words = { "mynah run" }
  for _, path in ipairs(args.input) do words[#words + 1] = "-iL " .. path end
  if #args.script > 0 then words[#words + 1] = "--script " .. table.concat(args.script, ",") end
  if args.ports then words[#words + 1] = "-p " .. args.ports end
  for _, word in ipairs(args.words) do words[#words + 1] = word end
  return table.concat(words, " ")
end

function command.run(args)
  local words = words_of(args)
  if args.json and args.xml == "-" then fail.input("--json and -oX -: only one of them can be on standard output") end
  if args.script_help then
    args.script = #args.script > 0 and args.script or args.words
    local run = new_run(args)
    show_help(run)
    return run.broken > 0 and fail.NEGATIVE or 0
  end
  local set = read_targets(args)
  local run = new_run(args, set.family == 6 and "inet6" or "inet")
  return run:go(set, writer_of(args, words)) > 0 and fail.NEGATIVE or 0
end

return command
