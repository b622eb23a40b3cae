--- mynah identify: what is there, one row a port.

local fail = require "host.fail"
local host = require "mynah_host"
local options = require "host.options"
local out = require "host.out"
local report = require "host.report"
local session = require "host.session"
local signatures = require "host.signatures"
local sweeping = require "host.sweeping"
local targets = require "host.targets"

local command = { name = "identify", summary = "Say what is behind each port" }

command.description = [[
Asks each port what it is, over TCP and UDP, and names what is proven. A service is named only where its
answers leave no doubt; weaker ideas are shown as a guess, with a question mark.

More than 300 ports of one transport are swept first, which is said: those that are open, or may be, are asked. Of more than
300 UDP ports that stay silent only those that say what would be answered are, but for --all-probes.

A UDP port gets one datagram of each protocol that Mynah knows, the likeliest first, 8 ms apart; what stayed silent is
repeated after that. Never more than --max-probes to one port, and it ends with the first answer that is certain.]]

command.epilog = [[
Examples:
  mynah identify 192.0.2.7:80                   one port, TCP and UDP
  mynah identify -p 21,80,U:34567 192.0.2.7     ports by number, as in Nmap: 80,U:53,T:1000-2000
  mynah identify -v -sU [2001:db8::7]:34567     UDP only, with the evidence
  mynah identify --json -p 1-1024 example.net   one JSON object a line for each port
  mynah identify -sU --max-probes 20 192.0.2.7:4000   the twenty likeliest datagrams at the most

Exit status: 0 something was named; 1 nothing was; 2 usage or input error; 3 could not run.]]

function command.define(parser)
  parser:argument("target", "HOST:PORT, [IPV6]:PORT, or HOST with -p"):args("+")
  parser:option("-p --ports", "Numbers of ports, written as in Nmap: 80,U:53,T:1000-2000"):argname("PORTS")
  parser:flag("-sU --udp", "Ask over UDP (default: UDP and TCP)")
  parser:flag("-sT --tcp", "Ask over TCP (default: UDP and TCP)")
  parser:option("--timeout", "Give a silent UDP port up, and a TCP connect, after so long (default: 3)")
    :argname("SECONDS"):convert(options.seconds("--timeout"))
  parser:option("--patience", "Wait so long for a silent TCP server to speak (default: 30)")
    :argname("SECONDS"):convert(options.seconds("--patience"))
  parser:option("--sig", "Signatures from this file or folder instead of the installed ones (repeatable)")
    :argname("PATH"):count("*")
  parser:option("--public-ip", "Our address as the Internet sees it, where we are behind NAT")
    :argname("IPV4"):convert(options.ipv4("--public-ip"))
  parser:option("--rate", "At most so many UDP packets and TCP connections a second (default: 1000; to sweep: 50000 "
    .. "in networks of one's own, 5000 elsewhere)")
    :argname("N"):convert(options.rate("--rate"))
  parser:option("--max-probes", "At most so many datagrams to one UDP port (default: 200)")
    :argname("N"):convert(options.integer("--max-probes", 1, 10000))
  parser:flag("--all-probes", "Ask all silent UDP ports by every probe, however many there are")
  options.add_leaving(parser)
  options.add_family(parser)
  parser:flag("--json", "One JSON object a line on standard output")
  parser:flag("-v --verbose", "Show the evidence; twice: the reply's bytes too"):count("*")
end

-- With nothing sent, these are this machine's own words, not a router's.
local UNREACHED = { ["net-unreach"] = true, error = true }

-- Why nothing was sent: what the system said, where it said something, and what to look at.
local function why_unreached(results)
  for _, result in pairs(results) do
    for _, line in ipairs(result.evidence or {}) do
      local said = tostring(line):match "^error: (.*)"
      if said and said:find "[Aa]ddress" then
        said = said .. ": is a local port free (net.ipv4.ip_local_port_range), and the address to send from ours?"
      end
      if said then return said end
    end
  end
  return "no route from this machine"
end

--- Ask and print.
-- @param list array of { ip, port, transport }
-- @param opts table: `db`, `patience`, `timeout`, `public_ip`, `rate`, `max_probes`, `all_probes`, `json`,
-- `verbose`, `interface`, `source`
-- @return array of results in the order of the list
function command.show(list, opts)
  local identify = require "mynah.identify"
  local place, results, done = {}, {}, 0
  for i, t in ipairs(list) do place[("%s %d %s"):format(t.ip, t.port, t.transport)] = i end
  local view = opts.json and { add = function(r) out.line(report.json(r)) end, finish = function() end }
    or report.table(list, opts.verbose)
  local function progress() out.progress(("%d of %d done"):format(done, #list)) end
  progress()
  local function on_result(result)
    results[place[("%s %d %s"):format(result.ip, result.port, result.transport)]] = result
    done = done + 1
    view.add(result)
    if done < #list then progress() end
  end
  local ok, problem = pcall(session.run, { rate = opts.rate, interface = opts.interface, source = opts.source }, function(l)
    local db = opts.db or signatures.load()
    local left = sweeping.run(l, list, {
      db = db, rate = opts.rate, timeout = opts.timeout, public_ip = opts.public_ip,
      all_probes = opts.all_probes, interface = opts.interface, source = opts.source, note = out.note,
    }, on_result)
    identify.run(l, {
      targets = left, signatures = db, patience = opts.patience or 30,
      timeout = opts.timeout or 3, public_ip = opts.public_ip, on_result = on_result, rate = opts.rate,
      max_probes = opts.max_probes, tls = host.tls,
    })
  end)
  out.clear()
  view.finish() -- after an interrupt too: what is known is shown
  if not ok then error(problem, 0) end
  return results
end

function command.run(args)
  local db = signatures.load(args.sig)
  local list, message = targets.expand(args.target, {
    ports = args.ports, tcp = args.tcp, udp = args.udp, resolve = options.resolver(options.family(args)),
  })
  if not list then fail.input("%s", message) end
  for _, target in ipairs(list) do options.check_leaving(args, target.ip) end
  local results = command.show(list, {
    db = db, patience = args.patience, timeout = args.timeout, public_ip = args.public_ip, rate = args.rate,
    max_probes = args.max_probes, json = args.json, verbose = args.verbose, all_probes = args.all_probes,
    interface = args.interface, source = args.source,
  })
  local reached = false
  for _, result in pairs(results) do
    if result.service then return 0 end
    reached = reached or result.sent > 0 or not UNREACHED[result.reason]
  end
  if not reached then fail.run("cannot reach %s: %s", args.target[1], why_unreached(results)) end
  return fail.NEGATIVE
end

return command
