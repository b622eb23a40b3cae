--- mynah scan: one datagram to each of very many targets; what answers is verified, then named.

local cjson = require "cjson"
local behind = require "host.nse.behind"
local called = require "host.nse.called"
local config = require "host.config"
local core = require "mynah_core"
local fail = require "host.fail"
local options = require "host.options"
local host = require "mynah_host"
local json = require "host.json"
local out = require "host.out"
local openssl = require "mynah_openssl"
local outputs = require "host.outputs"
local questions = require "host.questions"
local ranges = require "host.ranges"
local report = require "host.report"
local scan_text = require "host.scan_text"
local scanning = require "host.scanning"
local signatures = require "host.signatures"
local sets = require "mynah.signatures"
local store = require "host.store"
local targets = require "host.targets"
local text = require "mynah.text"

local command = { name = "scan", summary = "Ask very many targets one thing, and name what answers" }

command.description = [[
Sends each UDP port the datagrams of the services that live there, or those that --probe names, and asks for one TCP connection
to each TCP port, in random order and without keeping anything of it: a reply is known by what it owes to the datagram that went
to its sender. What answers so is asked on until it is named; the silent are asked --retries times more.

Before it sends, it says what, and how far it is where SIGUSR1 asks; reserved address ranges are left out, but for networks of
one's own that are named.]]

command.epilog = [[
Targets: 192.0.2.7  10.0.0.0/8  10.0-3.1,7.*  10.0.0.1-10.0.3.9  name  192.0.2.7:53  [2001:db8::7]:53  2001:db8::/120

Examples:
  mynah scan -p 53,123,161 10.0.0.0/16                 who answers DNS, NTP and SNMP in this network
  mynah scan 10.0.0.0/24                               every service that the library knows, at its own UDP ports
  mynah scan -p U:53,161,T:22,80 10.0.0.0/24           UDP and TCP
  mynah scan --probe skype -p 10000-50000 192.0.2.7    a node hidden among 40,000 ports
  mynah scan -sT -p 21,80,443 10.0.0.0/16 -o scan.db   which TCP ports are open, and what they are
  mynah scan -sT -p 21 10.0.0.0/16 --script ftp-anon   and what scripts say of them
  mynah scan --probe ntp -p 123 -iL targets.txt --json one JSON object a line for each answer
  mynah scan --probe dns -p 53 10.0.0.0/8 --dry-run    say what would be sent, and send nothing

Exit status: 0 the scan was done; 2 usage or input error; 3 could not run, or not to the end.]]

local OF_SCRIPTS = { "script_args", "script_args_file", "script_timeout", "script_threads", "datadir", "without_nmap" }
local WIDE = 65536 -- addresses of others that nobody scans by mistake

local function rate(word)
  if word == "max" then return 0 end
  return options.rate("--rate")(word)
end

-- The number of this job, from 1, and of how many, as those who start many say it: Slurm's arrays, Kubernetes' indexed jobs
-- (whose count must be written), GNU parallel.
local function job()
  local function number(name) return math.tointeger(tonumber(os.getenv(name) or "")) end
  local task, least = number "SLURM_ARRAY_TASK_ID", number "SLURM_ARRAY_TASK_MIN" or 1
  if task then return task - least + 1, number "SLURM_ARRAY_TASK_COUNT" end
  local index = number "JOB_COMPLETION_INDEX"
  if index then return index + 1, nil end
  return number "PARALLEL_SEQ", nil
end

local function shard(word)
  local i, n = word:match("^(%w+)/(%d+)$")
  if word == "auto" then i = "auto" end
  i, n = tonumber(i) or i, tonumber(n)
  if i == "auto" then
    local index, count = job()
    i, n = index, n or count
    if not i then return nil, ('--shard %s: neither Slurm, Kubernetes nor GNU parallel says which'):format(word) end
    if not n then return nil, '--shard auto: how many parts are there? write auto/N' end
  end
  if math.type(i) and n and i >= 1 and i <= n and n <= 1000000 then return { i - 1, n } end
  return nil, ('--shard "%s": expected I/N with I from 1 to N'):format(word)
end

function command.define(parser)
  parser:argument("target", "What to ask; see below"):args("*")
  parser:option("-p --ports", "Numbers of ports, written as in Nmap: 53,1000-2000, U:53,T:80; without T: or U: they are of UDP, "
    .. "or as -sU and -sT say (default, of UDP: those of the services asked)"):argname("PORTS")
  parser:option("--probe", "UDP: the services or signatures whose datagrams are sent, with commas: each to its own ports, all of "
    .. "them to ports of none (default: those of the port; the likeliest of all where nothing is known of it)")
    :argname("NAMES")
  parser:flag("-sU --udp", "UDP")
  parser:flag("-sT --tcp", "TCP: by connecting, or by SYN with --raw; with -sU: UDP first, then TCP")
  parser:option("--patience", "TCP: wait so long for a silent server to speak (default: 30)")
    :argname("SECONDS"):convert(options.seconds("--patience"))
  parser:option("-i --input", "Targets from a file, - for standard input; -iL as in Nmap (repeatable)")
    :argname("FILE"):count("*")
  parser:option("--exclude", "Leave these out (repeatable)"):argname("TARGET"):count("*")
  parser:option("--exclude-file", "Leave out what this file names (repeatable)"):argname("FILE"):count("*")
  parser:mutex(
    parser:option("--blocklist", "Leave out what this file names instead of the reserved address ranges that Mynah comes with")
      :argname("FILE"),
    parser:flag("--no-blocklist", "Ask reserved address ranges, too"))
  parser:option("--rate", "At most so many datagrams a second to find who answers, and as many to ask them on, or max: as fast "
    .. "as both sides bear (default: 1000)")
    :argname("N"):convert(rate)
  parser:option("--per-host-rate", "Of these, at most so many a second to one address; so are TCP connections, and "
    .. "what scripts begin")
    :argname("N"):convert(options.rate("--per-host-rate"))
  parser:option("--bandwidth", "Send at most so many bits a second, all told: 500k, 20M")
    :argname("BITS"):convert(options.bits("--bandwidth"))
  parser:option("--max-connections", "Open TCP connections at the most, half of them to find what is open, those of scripts "
    .. "among the others (default: 4000 to find it, 10000 to name it)")
    :argname("N"):convert(options.integer("--max-connections", 2, 200000))
  parser:option("--host-timeout", "Give up naming what is at an address, and end its scripts, after so long")
    :argname("SECONDS"):convert(options.seconds("--host-timeout"))
  parser:option("--retries", "Ask the silent so many times more (default: 1)")
    :argname("N"):convert(options.integer("--retries", 0, 7))
  parser:option("--timeout", "Wait so long at the most for the last answers (default: 3)")
    :argname("SECONDS"):convert(options.seconds("--timeout"))
  parser:flag("--raw", "Whole frames past the system's own stack: faster, needs root or CAP_NET_RAW")
  options.add_leaving(parser)
  parser:option("-g --source-port", "The first of the ports that find who answers; not of connections")
    :argname("PORT"):convert(options.integer("--source-port", 1, 65280))
  parser:option("--seed", "The order of the targets: the same number gives the same one")
    :argname("N"):convert(options.integer("--seed", 0, 999999999999999))
  parser:option("--shard", "Ask the I-th of N parts, which together are the whole; all with the same --seed; auto or auto/N: as "
    .. "Slurm, Kubernetes or GNU parallel number this job")
    :argname("I/N"):convert(shard)
  parser:option("--public-ip", "Our address as the Internet sees it, where we are behind NAT")
    :argname("IPV4"):convert(options.ipv4("--public-ip"))
  parser:option("--sig", "Signatures from this file or folder instead of the installed ones (repeatable)")
    :argname("PATH"):count("*")
  options.add_family(parser)
  parser:option("--script", "Run these NSE scripts as mynah run takes them (repeatable): on each open port after the checks, of "
    .. "each host that has one once all are done, before and after the scan")
    :argname("SCRIPTS"):count("*")
  parser:option("--script-args", "Arguments of scripts: NAME=VALUE,... (repeatable)"):argname("ARGS"):count("*")
  parser:option("--script-args-file", "The same from a file"):argname("FILE")
  parser:option("--script-timeout", "End a script after so long (default: never)")
    :argname("SECONDS"):convert(options.seconds("--script-timeout"))
  parser:option("--script-threads", "Scripts that run at the same time, at the most (default: 200)")
    :argname("N"):convert(options.integer("--script-threads", 1, 100000))
  parser:option("--datadir", "Look for scripts and libraries of Nmap here first"):argname("FOLDER")
  parser:flag("--without-nmap", "Use nothing of an installed Nmap: our scripts, our small nselib")
  parser:flag("--verify-only", "Only verify answers; do not ask on until they are named")
  parser:flag("--list", "Print the targets, and send nothing")
  parser:flag("--dry-run", "Say what would be sent, and send nothing")
  parser:option("-o --output", "Write results to this file, chosen by its suffix: .jsonl .csv .xml .gnmap .db (repeatable)")
    :argname("FILE"):count("*")
  parser:option("--fields", "The keys of --json that are written, in this order (.jsonl, .csv and --json)"):argname("KEYS")
    :convert(outputs.fields)
  parser:option("--filter", "Only results of which this holds: KEY=VALUE, KEY!=VALUE, KEY~PART, with commas"):argname("TESTS")
    :convert(outputs.filter)
  parser:option("--config", "Take options from this file: their names without dashes, NAME = VALUE or the NAME of a flag a line")
    :argname("FILE")
  parser:flag("--print-config", "Print the options as such a file has them, and send nothing")
  parser:option("--resume", "Go on with the scan that this .db file keeps, with its own settings"):argname("FILE")
  parser:flag("--continue", "Go on with the scan that the .db file of -o keeps; begin it where there is none yet")
  parser:option("--status-file", "Keep how far the scan is in this file, as JSON"):argname("FILE")
  parser:flag("--yes", ("Ask more than %d addresses without anything excluded"):format(WIDE))
  parser:flag("--json", "One JSON object a line on standard output")
  parser:flag("-v --verbose", "Show errors that came back, and the evidence"):count("*")
end

-- Which transports are asked: as flags say, else as -p does.
local function transports_of(args)
  if args.probe and args.tcp and not args.udp then
    fail.input("--probe sends datagrams, -sT asks over TCP: say -sU -sT for both")
  end
  local asked = { udp = args.udp, tcp = args.tcp }
  if not args.udp and not args.tcp then
    local list, message = targets.port_ranges(args.ports or "1")
    if not list then fail.input("%s", message) end
    for _, range in ipairs(list) do asked[range.only or "udp"] = true end
  end
  if args.probe and not asked.udp then fail.input("--probe sends datagrams, and no UDP port is asked") end
  return asked.udp and asked.tcp and { "udp", "tcp" } or { asked.udp and "udp" or "tcp" }
end

-- The targets of all arguments and files.
local function read_targets(args, transport, again, asked)
  local maker = ranges.new {
    ports = args.ports or asked and asked:own_ports(), transport = transport, questions = asked, again = again,
    resolve = options.resolver(options.family(args)),
  }
  local function must(ok, message)
    if not ok then fail.input("%s", message) end
  end
  for _, word in ipairs(args.target) do must(maker:add(word)) end
  for _, path in ipairs(args.input) do must(maker:file(path, "add")) end
  for _, word in ipairs(args.exclude) do must(maker:exclude(word)) end
  for _, path in ipairs(args.exclude_file) do must(maker:file(path, "exclude")) end
  if #maker.words == 0 and #args.input > 0 then
    fail.input("no target: no open %s port in %s", transport:upper(), table.concat(args.input, ", "))
  elseif #maker.words == 0 then
    fail.input("no target; try `mynah scan --help`")
  end
  if not args.no_blocklist then must(maker:file(args.blocklist or signatures.blocklist, "block")) end
  local set, message = maker:seal()
  must(set, message)
  if set.items == 0 then fail.input("nothing is left to ask: %d addresses are excluded", set.excluded) end
  return set
end

-- What is done one after the other, over each transport.
local function read_sweeps(args, sigs)
  local list, over = {}, transports_of(args)
  for i, transport in ipairs(over) do
    local asked = transport == "udp" and questions.new(sigs, args.probe) or nil
    list[i] = { transport = transport, tcp = transport == "tcp", questions = asked,
      set = read_targets(args, transport, #over > 1, asked) }
  end
  return list
end

-- What would be passed over in silence otherwise.
local function refuse_useless(args, sweeps)
  if args.source and not core.family(args.source) then fail.input('-S "%s": expected an address', args.source) end
  for _, sweep in ipairs(args.interface and sweeps or {}) do
    local zone = sweep.set.zone
    if zone and zone ~= args.interface then fail.input("-e %s: targets are on the link %s", args.interface, zone) end
  end
  for _, sweep in ipairs(args.source_port and not args.raw and sweeps or {}) do
    if sweep.tcp then fail.input "-g: connections leave from any port; add --raw, or ask over UDP alone" end
  end
  for _, name in ipairs(#args.script == 0 and OF_SCRIPTS or {}) do
    local value = args[name]
    if value and not (type(value) == "table" and #value == 0) then
      fail.input("--%s says how scripts run, and there is no --script", (name:gsub("_", "-")))
    end
  end
end

-- Targets of one link, and none is said.
local function refuse_unplaced(args, set)
  if not set.near or set.zone or args.interface then return end
  fail.input("%s: an address of one link; say which, as in %s%%eth0 or by -e eth0", set.near, set.near)
end

local function refuse_wide(args, set)
  if set.others <= WIDE or set.has_excludes or args.yes then return end
  fail.input("%d addresses of others, and nothing is excluded: name an --exclude-file, or say --yes", set.others)
end

local function print_list(args, sweeps)
  if args.shard and args.shard[2] > 1 then fail.input "--list prints the targets of all parts; leave out --shard" end
  for _, sweep in ipairs(sweeps) do
    for n = 0, sweep.set.items - 1 do
      local ip, port, question = sweep.set.whole:item(n)
      if question == 0 then out.line(targets.format(ip, port) .. (#sweeps > 1 and "/" .. sweep.transport or "")) end
    end
  end
  return 0
end

-- What a scan is, as a store keeps it: the rest of the options only say how it is shown.
local KEPT = { "target", "ports", "probe", "input", "exclude", "exclude_file", "blocklist", "no_blocklist", "rate",
  "per_host_rate", "bandwidth", "max_connections", "host_timeout", "retries", "timeout", "raw", "interface", "source",
  "source_port", "udp", "tcp", "patience", "shard", "public_ip", "sig", "ipv4", "ipv6", "verify_only", "script",
  "script_args", "script_args_file", "script_timeout", "script_threads", "datadir", "without_nmap", "yes" }

-- The options as a file for --config.
local function config_text(args)
  local function plain(n) return (math.tointeger(n) and "%d" or "%.15g"):format(n) end
  local names = table.move(KEPT, 1, #KEPT, 1, {})
  table.move({ "seed", "output", "status_file", "json" }, 1, 4, #names + 1, names)
  return config.text(names, args, {
    rate = function(n) return n == 0 and "max" or plain(n) end,
    shard = function(s) return ("%d/%d"):format(s[1] + 1, s[2]) end,
    timeout = plain, patience = plain, per_host_rate = plain, bandwidth = plain, host_timeout = plain,
    script_timeout = plain,
  })
end

-- How many items each sweep has, and what UDP ports are asked: what a scan that goes on must find again.
local function whole_of(scan)
  local parts = {}
  for _, sweep in ipairs(scan.sweeps) do
    parts[#parts + 1] = ("%s %d"):format(sweep.transport, sweep.set.items)
    local name, rows = nil, {}
    if sweep.questions then name, rows = sweep.questions:rows() end
    for _, row in ipairs(rows) do parts[#parts + 1] = ("%d %s"):format(row[1], row[2]) end
    parts[#parts + 1] = name
  end
  return text.to_hex(openssl.digest("sha256", table.concat(parts, "\n")))
end

local function items_of(scan)
  local sum = 0
  for _, sweep in ipairs(scan.sweeps) do sum = sum + sweep.set.items end
  return sum
end

local function settings_of(args)
  local settings = {}
  for _, name in ipairs(KEPT) do settings[name] = args[name] end
  return settings
end

-- Which order a seed stands for (native/core/order.c): another number whenever that changes, or --resume would skip and repeat.
local ORDER = 2

local function keep_settings(kept, args, scan)
  for name, value in pairs {
    settings = cjson.encode(settings_of(args)), signatures = signatures.digest(args.sig), items = items_of(scan),
    questions = whole_of(scan), key = text.to_hex(scan.key), seed = scan.seed, order = ORDER,
    started = text.timestamp(core.unix()), version = host.version,
  } do kept:set(name, value) end
  kept:progress { sweep = 1, settled = 0, settled_pass = 0 }
end

-- The .db among the files of -o is that of a scan which began, in the same words: --resume goes on with it.
local function to_resume(args)
  if args.resume then fail.input "--continue and --resume: one of them is enough" end
  local path
  for i, name in ipairs(args.output) do
    if name:find "%.db$" then path = table.remove(args.output, i) break end
  end
  if not path then fail.input "--continue: which scan? name its file with -o FILE.db" end
  if store.is_empty(path) then
    table.insert(args.output, path)
    return nil
  end
  local kept = store.open(path, "read")
  local before, now = cjson.decode(kept:get "settings"), cjson.decode(cjson.encode(settings_of(args)))
  local seed = kept:get "seed"
  kept:close()
  for _, name in ipairs(KEPT) do
    if name ~= "yes" and json.encode(before[name]) ~= json.encode(now[name]) then
      fail.input("--continue: %s is of a scan with another --%s; `--resume %s` goes on with it", path,
        (name:gsub("_", "-")), path)
    end
  end
  if args.seed and args.seed ~= seed then fail.input("--continue: %s is of a scan with --seed %d", path, seed) end
  return path
end

local function refuse_other(path, name)
  fail.input(name == "target" and "--resume %s: the scan has its own targets" or "--resume %s: the scan has its own --%s",
    path, (name:gsub("_", "-")))
end

-- The settings of a scan that is to be gone on with; a clear refusal where it would be another one.
local function read_settings(path, args)
  for _, name in ipairs(args.continue and {} or KEPT) do
    local value = args[name]
    if name ~= "yes" and value and not (type(value) == "table" and #value == 0) then refuse_other(path, name) end
  end
  if args.seed and not args.continue then refuse_other(path, "seed") end
  local kept = store.open(path)
  for name, value in pairs(cjson.decode(kept:get "settings")) do args[name] = value end
  args.seed = kept:get "seed"
  if kept:get "signatures" ~= signatures.digest(args.sig) then
    fail.input("--resume %s: the signatures have changed since: what is named now could not stand beside what was", path)
  end
  return kept
end

local function resume_config(kept, scan)
  if kept:get "items" ~= items_of(scan) then
    fail.input("--resume %s: there were %d targets, now there are %d: names or files say something else", kept.path,
      kept:get "items", items_of(scan))
  elseif (kept:get "questions" or whole_of(scan)) ~= whole_of(scan) then -- stores of before had one question for all
    fail.input("--resume %s: its ports would be asked something else now; mynah %s, which began it, can go on with it",
      kept.path, kept:get "version")
  elseif kept:get "order" ~= ORDER then
    fail.input("--resume %s: its targets would be asked in another order now, some twice and some never; mynah %s, which began "
      .. "it, can go on with it", kept.path, kept:get "version")
  end
  scan.sweep = kept:get "sweep"
  scan.key = text.from_hex(kept:get "key")
  scan.begin, scan.pass = kept:get "settled", kept:get "settled_pass"
  scan.resumed, scan.resumed_words = kept:results(), kept:words()
  if scan.pass >= scan.attempts then scan.pass = scan.attempts - 1 end
end

local STATUS = { "targets", "asked", "sent", "verified", "errors", "duplicates", "dropped", "pass", "elapsed", "over",
  "timestamp" }

local function write_status(path, counts)
  local whole = host.replaceable(path) -- a device, a pipe or a link stays what it is
  local new = whole and path .. ".new" or path
  local file, message = io.open(new, "w")
  local values = setmetatable({ timestamp = text.timestamp(core.unix()) }, { __index = counts })
  local ok = file
  if file then ok, message = file:write(json.object(STATUS, values), "\n") end
  if ok then ok, message = file:close() end
  if ok and whole then ok, message = os.rename(new, path) end
  if ok then return end
  if file and whole then os.remove(new) end
  fail.run("cannot write --status-file %s: %s", path, message:gsub("^.*: ", ""))
end

-- What keeps the file, about each second. It is there before the scan begins: where it cannot be, that is the time to say so.
local function status_writer(path)
  if not path then return function() end end
  local latest = 0
  local function write(counts)
    if core.now() < latest + 1 and not counts.over then return end
    latest = core.now()
    write_status(path, counts)
  end
  write { asked = 0, sent = 0, verified = 0, errors = 0, duplicates = 0, dropped = 0, pass = 0, elapsed = 0, over = false }
  return write
end

local function words_of(args)
  local words = { "mynah scan" }
  for _, word in ipairs {
    args.udp and "-sU" or "", args.tcp and "-sT" or "", args.probe and "--probe " .. args.probe or "",
    args.ports and "-p " .. args.ports or "", #args.script > 0 and "--script " .. table.concat(args.script, ",") or "",
    #args.input > 0 and "-iL " .. table.concat(args.input, " -iL ") or "",
    #args.exclude > 0 and "--exclude " .. table.concat(args.exclude, " --exclude ") or "",
    #args.exclude_file > 0 and "--exclude-file " .. table.concat(args.exclude_file, " --exclude-file ") or "",
    args.shard and ("--shard %d/%d"):format(args.shard[1] + 1, args.shard[2]) or "",
    table.concat(args.target, " "),
  } do
    if word ~= "" then words[#words + 1] = word end
  end
  return table.concat(words, " ")
end

-- Parts of two orders would overlap: all must be given the same one.
local function seed_of(args)
  local of_array = math.tointeger(tonumber(os.getenv "SLURM_ARRAY_JOB_ID" or ""))
  if args.seed then return args.seed end
  if args.shard and args.shard[2] > 1 then
    return of_array or fail.input "--shard: the parts of a scan need the same --seed N"
  end
  return string.unpack("<I6", core.random(6))
end

-- Of which each takes a file.
local function make_room(connections)
  if not connections then return end
  local wanted, files = connections + 256, core.descriptors()
  if files < wanted then files = host.descriptors(wanted) end
  if files < wanted then
    out.note(("--max-connections %d: only %d files may be open, and so many fewer connections; `ulimit -n %d` allows them")
      :format(connections, files, wanted))
  end
end

local SCRIPTS = { threads = 200, megabytes = 256, busy = 10, sockets = 4000, each = 200, per_port = 20 }

-- The scripts behind the scan.
local function make_scripts(args, sweeps)
  if #args.script == 0 then return nil end
  if args.verify_only then fail.input "--script: scripts run after the checks, which --verify-only leaves out" end
  if args.max_connections == 2 and sweeps[#sweeps].tcp then
    fail.input "--max-connections 2: one finds, one names, and scripts need one, too: 3 are the least with --script"
  end
  local family = core.family((sweeps[1].set.whole:item(0)))
  local run, message = require "host.nse.run".new {
    scripts = called.scripts(args.script), datadir = args.datadir, alone = args.without_nmap, arguments = called.arguments(args),
    verbosity = args.verbose or 0, debugging = 0, timing = 3, version_intensity = 7, family = family == 6 and "inet6" or "inet",
    given = true, at_once = args.script_threads or SCRIPTS.threads, memory = SCRIPTS.megabytes << 20, busy = SCRIPTS.busy,
    script_timeout = args.script_timeout, sockets = SCRIPTS.sockets, sockets_per_script = SCRIPTS.each,
    threads_per_port = SCRIPTS.per_port, on_interrupt = fail.interrupted,
  }
  if not run then fail.input("--script: %s", message) end
  if run.broken > 0 then fail.input("--script: %d of them cannot be loaded", run.broken) end
  return behind.new(run, args.script_threads or SCRIPTS.threads)
end

local function make_config(args, sigs, sweeps)
  local shards = args.shard or { 0, 1 }
  return {
    db = sigs.db, signatures = sigs, sweeps = sweeps, probe = args.probe, seed = seed_of(args), patience = args.patience,
    key = core.random(16), shard = shards[1], shards = shards[2], rate = args.rate or 1000, attempts = 1 + (args.retries or 1),
    timeout = args.timeout, raw = args.raw, interface = args.interface or sweeps[1].set.zone,
    source = args.source, source_port = args.source_port,
    per_host_rate = args.per_host_rate, bandwidth = args.bandwidth, max_connections = args.max_connections,
    host_timeout = args.host_timeout, public_ip = args.public_ip, naming = not args.verify_only,
    quiet = not args.json and (args.verbose or 0) == 0 and #args.output == 0 and not args.resume,
  }
end

function command.run(args)
  host.knocked() -- who asks too early must not end it
  if args.print_config then
    out.line(config_text(args))
    return 0
  end
  if args.continue then args.resume = to_resume(args) end
  local kept = args.resume and read_settings(args.resume, args)
  if kept and kept:get "finished" == 1 then
    out.note(("%s: this scan is finished"):format(args.resume))
    return 0
  end
  local sigs = sets.new(signatures.load(args.sig))
  local sweeps = read_sweeps(args, sigs)
  refuse_useless(args, sweeps)
  if args.list then return print_list(args, sweeps) end
  for _, sweep in ipairs(sweeps) do
    refuse_wide(args, sweep.set)
    refuse_unplaced(args, sweep.set)
  end
  local scan = make_config(args, sigs, sweeps)
  scan.scripts = make_scripts(args, sweeps)
  if kept then resume_config(kept, scan) end
  for _, sweep in ipairs(sweeps) do
    out.note((#sweeps > 1 and sweep.transport:upper() .. ": " or "") .. scan_text.plan(scan, sweep))
  end
  if args.dry_run then
    for _, line in ipairs(scan_text.details(scan)) do out.line(line) end
    return 0
  end
  make_room(args.max_connections)
  local status = status_writer(args.status_file)
  local fields = args.fields or (scan.scripts and report.SCRIPT_KEYS) or report.KEYS
  local files = outputs.open(args.output, {
    words = words_of(args), fields = fields, filter = args.filter, store = kept,
  })
  if files.store and not kept then keep_settings(files.store, args, scan) end
  for _, r in ipairs(kept and scan.resumed or {}) do
    if r.pending ~= 1 then files.again(r) end
  end
  for _, word in ipairs(kept and scan.resumed_words or {}) do -- those before the scan run again, which prepare for the others
    if word.kind == "hostrule" then files.say_again(word) end
  end
  local view = report.stream { json = args.json, verbose = args.verbose, fields = fields }
  local shown = { flush = view.flush, drain = not args.filter and view.drain or nil }
  for _, name in ipairs { "add", "say" } do
    shown[name] = function(r)
      if not args.filter or args.filter(r) then view[name](r) end
    end
  end
  local counts, problem = scanning.run(scan, files, shown, function(line, c)
    out.progress(line)
    if host.knocked() then out.note(line) end
    status(c)
  end)
  files.finish(not problem and not counts.error)
  out.clear()
  out.note(scan_text.summary(counts))
  if problem then error(problem, 0) end
  if counts.error then fail.run("not to the end: %s", counts.error) end
  return 0
end

return command
