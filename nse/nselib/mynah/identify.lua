--- One answer for each (address, port, transport): what the checks found, in the shape that users read.
-- @module mynah.identify

local core = require "mynah_core"
local pace = require "mynah.pace"
local signatures = require "mynah.signatures"
local tcp = require "mynah.tcp"
local text = require "mynah.text"
local transport = require "mynah.transport"
local udp = require "mynah.udp"

local identify = {}

local PARALLEL = 200 -- ports at once; a TCP port takes up to six connections
-- TCP ports that begin at once: servers on one machine are made slow by being asked in the same moment, all of them.
local YOUNG_PORTS = 16
local YOUNG = 0.2 -- seconds for which a port counts as such, unless it is done before
local CERTAIN = 0.9
local TURN = 0.005 -- seconds between two looks at whether another port may begin

local function round(x, digits)
  local scale = 10 ^ digits
  return math.floor(x * scale + 0.5) / scale
end

local function milliseconds(seconds)
  return seconds and round(seconds * 1000, 3) or nil
end

local function as_result(target, found, began, ended)
  local named = found.service and found.confidence >= CERTAIN
  local guess = found.guess or (not named and found.service) or nil
  if named then guess = nil end
  return {
    ip = target.ip, port = target.port, transport = target.transport, state = found.state, reason = found.reason,
    service = named and found.service or nil, product = named and found.product or nil,
    version = named and found.version or nil, extra = named and found.extra or nil, tls = found.tls or false,
    confidence = round(found.confidence or 0, 3), guess = guess,
    fresh_bits = found.fresh_bits and round(found.fresh_bits, 1),
    identity_bits = found.identity_bits and round(found.identity_bits, 1), probe = found.probe,
    rtt_ms = milliseconds(found.rtt), elapsed_ms = milliseconds(ended - began), sent = found.sent,
    received = found.received, cpe = named and found.cpe or nil,
    datagrams_sent = found.datagrams_sent, datagrams_received = found.datagrams_received,
    datagrams_most = found.datagrams_most, reply_port = found.reply_port,
    reply_hex = found.reply and text.to_hex(found.reply:sub(1, 1500)) or nil,
    evidence = found.evidence or {}, timestamp = text.timestamp(core.unix()),
  }
end

--- Ask one port. Runs inside a task of the transport.
-- @param t transport
-- @param target table: `ip` numeric address, `port`, `transport` "tcp" or "udp", `name` as the user gave the host (default: ip),
-- `open` true where somebody found it so, `begun` what its connection brought (TCP: see mynah.tcp.settle), `only` the signature
-- (UDP) that is asked, or a set of them, instead of all
-- @param opts table: `signatures` (a database of mynah_core, or a set of mynah.signatures), `timeout` and `patience` in seconds
-- (3 and 30), `attempts` at each probe of a UDP port before silence is believed (3), `max_probes` datagrams to a UDP port at the
-- most (200), `tls` (a function that begins a session as mynah_host.tls does), `pace` of mynah.pace that all UDP ports
-- share, `public_ip`, `max_connections` (6)
-- @return result: ip, port, transport, state, reason, service, product, version, extra, cpe, tls, confidence, guess, fresh_bits,
-- identity_bits, probe, rtt_ms, elapsed_ms, sent, received (bytes), over UDP datagrams_sent, datagrams_received,
-- datagrams_most (never more), reply_port,
-- reply_hex, evidence, timestamp
function identify.port(t, target, opts)
  local sigs = opts.signatures
  if not sigs.probes then sigs = signatures.new(sigs) end
  local check = target.transport == "udp" and udp or tcp
  local began = t:now()
  local asked = { host = target.ip, port = target.port, name = target.name, begun = target.begun }
  local found = check.identify(t, asked, sigs, {
    timeout = opts.timeout, attempts = opts.attempts, patience = opts.patience, public_ip = opts.public_ip,
    max_connections = opts.max_connections, max_probes = opts.max_probes, pace = opts.pace, tls = opts.tls,
    open = target.open, only = target.only,
    random = opts.random or core.random, unix = core.unix,
  })
  return as_result(target, found, found.began or began, t:now())
end

--- What the connection by which a TCP port was found shows already.
-- @param target table: `ip`, `port`, `transport` "tcp", `name`, `begun` as for mynah.tcp.settle, with `time` (when it was
-- accepted, since 1970)
-- @param opts as for port; its signatures are a set
-- @return result, where it is certain; else nil
function identify.settle(target, opts)
  local begun = target.begun
  local found = tcp.settle({ host = target.ip, port = target.port, name = target.name, begun = begun }, opts.signatures, {
    public_ip = opts.public_ip, unix = core.unix,
  })
  return found and as_result(target, found, begun.time - (begun.rtt or 0), core.unix())
end

--- How many datagrams were sent and received, and how many bytes: what a probe costs others, and what it brings.
-- @param result as port returns it, of a UDP port
-- @return text; nil where it is not known
function identify.traffic(result)
  if not result.datagrams_sent then return nil end
  local function told(count, bytes)
    return ("%d datagram%s of %d byte%s"):format(count, count == 1 and "" or "s", bytes, bytes == 1 and "" or "s")
  end
  return ("sent %s (at most %d), received %s"):format(told(result.datagrams_sent, result.sent), result.datagrams_most,
    told(result.datagrams_received, result.received))
end

--- Ask many ports at once.
-- @param loop of mynah.loop
-- @param opts table: `targets` array of { ip, port, transport, name }, `on_result` function (result, target), called as each is
-- settled; `parallel` ports at once (200); `rate` datagrams a second that the engine sends (1000); the rest as for
-- identify.port. A UDP port begins once those before it leave room within the rate, a TCP port once most of those before it are
-- done or no longer young.
-- @return array of results in the order of the targets; or nil and "interrupt"
-- @raise what a check or on_result raised
function identify.run(loop, opts)
  local db = opts.signatures
  local sigs = db.probes and db or signatures.new(db)
  local t = transport.new { loop = loop }
  local results, next_index = {}, 0
  local shared = opts.pace or pace.new { rate = opts.rate, descriptors = core.descriptors and core.descriptors() }
  local settings = setmetatable({ signatures = sigs, pace = shared }, { __index = opts })
  local gates, begun = { udp = loop:lock(), tcp = loop:lock() }, {}
  local function is_busy(over)
    if over == "udp" then return shared:is_busy(t:now()) end
    local young = 0
    for _, at in pairs(begun) do
      if t:now() < at + YOUNG then young = young + 1 end
    end
    return young >= YOUNG_PORTS
  end
  local function wait_for_turn(i, over)
    gates[over]:take()
    while is_busy(over) do t:sleep(TURN) end
    begun[i] = over == "tcp" and t:now() or nil
    gates[over]:release() -- and this one sends before the next looks
  end
  local function worker()
    while next_index < #opts.targets do
      next_index = next_index + 1
      local i = next_index
      wait_for_turn(i, opts.targets[i].transport)
      results[i] = identify.port(t, opts.targets[i], settings)
      begun[i] = nil
      if opts.on_result then opts.on_result(results[i], opts.targets[i]) end
    end
  end
  return loop:run(function()
    local workers = {}
    for i = 1, math.min(opts.parallel or PARALLEL, #opts.targets) do workers[i] = worker end
    t:race(workers)
    return results
  end)
end

return identify
