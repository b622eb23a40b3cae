--- mynah learn: find the pattern in a capture, write the signature.

local core = require "mynah_core"
local fail = require "host.fail"
local host = require "mynah_host"
local learning = require "mynah.learning"
local options = require "host.options"
local out = require "host.out"
local probing = require "mynah.probing"
local session = require "host.session"
local signatures = require "host.signatures"
local targets = require "host.targets"
local text = require "mynah.text"
local transport = require "mynah.transport"

local command = { name = "learn", summary = "Learn a signature from captures of clients and servers" }

command.description = [[
Pairs requests with replies in captures (pcap or pcapng), finds what replies owe to the requests they answer,
and writes a signature that names such servers: on standard output, or into a file. Several captures of one
protocol make one signature that holds for all of them. With --target it also replays the recorded payloads
at a live server, over UDP, and changes their bytes to see which of them matter.]]

command.epilog = [[
Examples:
  mynah learn capture.pcap                                   write what was learned
  mynah learn -o skype.sig --service skype one.pcap two.pcap
  mynah learn --not other.pcap --filter 'udp port 34567' capture.pcap
  mynah learn --target 192.0.2.7:34567 --budget 200 -o skype.sig capture.pcap

Exit status: 0 a signature was learned; 1 not enough evidence, a silent target, or one that it does not
name; 2 usage or input error; 3 could not run.]]

local function service(word)
  if word:find "^%l[%l%d_.-]*$" and #word <= 40 then return word end
  return nil, ('--service "%s": expected lower-case letters, digits, - _ and ., a letter first'):format(word)
end

function command.define(parser)
  parser:argument("capture", "A pcap or pcapng file, - for standard input"):args("+")
  parser:option("-o --output", "Write the signature into this file"):argname("FILE.sig")
  parser:option("--service", "What it recognises (default: after the first capture's name)"):argname("NAME"):convert(service)
  parser:option("--title", "The same for people"):argname("TEXT")
  parser:option("--not", "A capture of other protocols, none of which may be named (repeatable)")
    :argname("CAPTURE"):count("*"):target("against")
  parser:option("--filter", "Only what this BPF expression lets through"):argname("BPF")
  parser:flag("--strict", "Add a second signature of this very implementation")
  parser:option("--target", "A live server to ask on: HOST:PORT or [IPV6]:PORT"):argname("HOST:PORT")
  parser:option("--budget", "Send at most so many datagrams to it")
    :argname("N"):convert(options.integer("--budget", 1, 1000000)):default(tostring(probing.BUDGET))
  parser:option("--rate", "Send at most so many a second")
    :argname("N"):convert(options.rate("--rate")):default(tostring(probing.RATE))
  options.add_family(parser)
end

local function read_target(args)
  if not args.target then return nil end
  local list, message = targets.expand({ args.target }, { udp = true, resolve = options.resolver(options.family(args)) })
  if not list then fail.input("%s", message) end
  if #list ~= 1 then fail.input('--target "%s": expected one address and one port', args.target) end
  return list[1]
end

local function plural(n, word) return ("%d %s%s"):format(n, word, n == 1 and "" or "s") end

-- Whole or not at all: a reader never sees half a file, and an interrupt leaves what was there. Devices, pipes and links
-- stay what they are: they are written to.
local function write_file(path, bytes)
  local whole = host.replaceable(path)
  local part = whole and ("%s.%s.part"):format(path, text.to_hex(core.random(4))) or path
  local file, message = io.open(part, "wb")
  if not file then fail.input("%s", message) end
  local ok, why = file:write(bytes)
  if ok then ok, why = file:close() else file:close() end
  if ok and whole then ok, why = os.rename(part, path) end
  if not ok then
    if whole then os.remove(part) end
    fail.run("%s: cannot be written: %s", path, why)
  end
end

local function learn(args, target)
  local opts = {
    captures = args.capture, against = args.against, filter = args.filter, target = target, budget = args.budget,
    rate = args.rate, service = args.service, title = args.title, strict = args.strict, known = signatures.load(),
    on_reading = function(path, n) out.progress(("%s: %d payloads read"):format(text.escape(path), n)) end,
    on_progress = function(sent, of) out.progress(("%d of at most %d datagrams sent"):format(sent, of)) end,
  }
  if not target then return learning.run(nil, opts) end
  out.note(("learn: will send at most %s to %s, %g a second"):format(plural(args.budget, "datagram"),
    targets.format(target.ip, target.port), args.rate))
  return session.run({ rate = args.rate }, function(l)
    return l:run(function() return learning.run(transport.new { loop = l }, opts) end)
  end)
end

local function print_summary(result)
  out.note(("learned from %s of %s in %s: %.1f fresh bits, %.1f identity bits"):format(plural(result.pairs, "pair"),
    plural(result.servers, "server"), plural(result.flows, "flow"), result.fresh_bits, result.identity_bits))
  for _, line in ipairs(result.unexplained or {}) do out.note("not explained: " .. text.escape(line)) end
  for _, line in ipairs(result.notes) do out.note(text.escape(line)) end
end

-- Does the signature name the server that taught it?
local function print_verdict(result, target)
  local verdict = result.verdict
  local where = targets.format(target.ip, target.port)
  out.note(("%s sent to %s"):format(plural(result.sent, "datagram"), where))
  if verdict and verdict.service == result.service then
    out.note(("tried: fresh probes name %s %s"):format(where, verdict.service))
    return 0
  end
  local why = not verdict and "the budget is spent" or verdict.evidence[#verdict.evidence] or verdict.reason or "no answer"
  out.note(("tried: fresh probes do not name %s: %s"):format(where, text.escape(why)))
  return verdict and fail.NEGATIVE or 0
end

function command.run(args)
  local target = read_target(args)
  local result, message, lack = learn(args, target)
  if not result then
    if lack and lack.unreadable then fail.input("%s", message) end
    out.note(message)
    return fail.NEGATIVE
  end
  local signature = result.text:gsub("\n*$", "\n")
  if args.output then write_file(args.output, signature) else out.line((signature:gsub("\n$", ""))) end
  print_summary(result)
  return target and print_verdict(result, target) or 0
end

return command
