--- What Mynah's scripts for Nmap share: rules, script arguments, one identification a port for all of them,
-- and the way a verdict enters Nmap's results.
-- However many mynah-* scripts run on a port, it is asked once; the others wait and show their part.
-- Script arguments, for every script:
--
--   mynah.signatures   file or folder of signatures instead of the installed ones
--   mynah.timeout      how long a silent UDP port is waited for, default 3s
--   mynah.patience     how long a connected silent TCP peer is waited for, default 30s
--   mynah.retries      further datagrams to a silent UDP port, default 2
--   mynah.public-ip    our address as the target sees it, where a NAT stands between
--   mynah.pcap         mynah-udp: a capture whose UDP payloads are replayed at the port
--   mynah.rate         UDP datagrams a second, all ports together, default 1000
--   mynah.max-probes   datagrams to one UDP port at the most, default 200
--
-- @module mynah.script

local nmap = require "nmap"
local stdnse = require "stdnse"
local core = require "mynah_core"
local fingerprint = require "mynah.fingerprint"
local http = require "mynah.http"
local identify = require "mynah.identify"
local mynah = require "mynah"
local nse = require "mynah.nse"
local pace = require "mynah.pace"
local plan = require "mynah.plan"
local recorded = require "mynah.recorded"
local replay = require "mynah.replay"
local signatures = require "mynah.signatures"

local text = require "mynah.text"

local script = {}

local MOST_PORTS = 200 -- UDP ports asked at once
local TURN = 0.02      -- seconds between two looks at whether another port may begin

-- In Nmap's tables Skype's protocol is called skype2, as Nmap's own script has it.
local NMAP_NAMES = { skype = "skype2" }

--- TCP ports that are open, UDP ports that are open or may be.
function script.rule(_, port)
  if port.protocol == "tcp" then return port.state == "open" end
  return port.protocol == "udp" and (port.state == "open" or port.state == "open|filtered")
end

--- The same for one transport only.
function script.rule_of(transport)
  return function(host, port) return port.protocol == transport and script.rule(host, port) end
end

-- What is wrong for reasons outside this code; anything else that is raised is a defect.
local function fail(...) error({ message = (...):format(select(2, ...)) }, 0) end

-- Script arguments. Read as they are written, `mynah.NAME=VALUE` or `mynah={NAME=VALUE}`: a bare NAME is another script's.
local function given(name)
  local args = nmap.registry.args
  local value = args["mynah." .. name]
  if value == nil and type(args.mynah) == "table" then value = args.mynah[name] end
  return value
end

local function text_of(name)
  local value = given(name)
  if value ~= nil and type(value) ~= "string" then fail("mynah.%s: expected one value", name) end
  return value
end

local function seconds(name, default)
  local value = text_of(name)
  if not value then return default end
  local parsed = stdnse.parse_timespec(value)
  if not parsed or parsed <= 0 or parsed > 86400 then
    fail('mynah.%s "%s": expected a time such as 3s or 500ms, a day at most', name, value)
  end
  return parsed
end

local function whole(name, default, least, most)
  local value = text_of(name)
  if not value then return default end
  local n = value:find("^%d+$") and #value < 16 and math.tointeger(tonumber(value))
  if not n or n < least or n > most then
    fail('mynah.%s "%s": expected a whole number from %d to %d', name, value, least, most)
  end
  return n
end

local function ipv4(name)
  local value = text_of(name)
  if value and core.family(value) ~= 4 then fail('mynah.%s "%s": expected an IPv4 address', name, value) end
  return value
end

local function paths(name)
  local value = given(name)
  if type(value) ~= "table" then return text_of(name) end
  for _, path in ipairs(value) do
    if type(path) ~= "string" then fail("mynah.%s: expected paths", name) end
  end
  return value
end

local KNOWN = { signatures = true, timeout = true, patience = true, retries = true, ["public-ip"] = true, pcap = true,
  rate = true, ["max-probes"] = true }

local function refuse_unknown()
  local args = nmap.registry.args
  local function check(name)
    if not KNOWN[name] then fail("mynah.%s: no such script argument", tostring(name)) end
  end
  for key, value in pairs(args) do
    local name = type(key) == "string" and key:match("^mynah%.(.*)")
    if name then check(name) end
    local bare = type(key) == "number" and type(value) == "string" and value:match("^mynah%.(.*)")
    if bare then
      check(bare)
      fail("mynah.%s: expected a value", bare)
    end
  end
  for name in pairs(type(args.mynah) == "table" and args.mynah or {}) do check(name) end
end

-- UDP ports share one rate, and begin one after the other. Hundreds that begin together would hold up every other script.
local function pace_udp(s)
  s.pace = pace.new { rate = s.rate, descriptors = core.descriptors() }
  s.places, s.gate = {}, {}
  for i = 1, MOST_PORTS do s.places[i] = {} end
end

local function load_settings()
  refuse_unknown()
  local s = {
    timeout = seconds("timeout", 3), patience = seconds("patience", 30), attempts = whole("retries", 2, 0, 20) + 1,
    public_ip = ipv4 "public-ip", rate = whole("rate", nil, 1, 1000000), pcap = text_of "pcap",
    max_probes = whole("max-probes", plan.MOST, 1, 10000),
  }
  local db, message = mynah.load_signatures(paths "signatures")
  if not db then fail("%s", message) end
  s.signatures = signatures.new(db)
  pace_udp(s)
  return s
end

local settings

-- The settings of this run.
local function get_settings()
  if not settings then
    local ok, result = pcall(load_settings)
    settings = ok and result or { failure = result }
  end
  if settings.failure then error(settings.failure, 0) end
  return settings
end

-- Asking ----------------------------------------------------------------------------------------------

-- Wait for a place among the UDP ports that are asked at once, then until those that send leave room for one more. A mutex is
-- free again when its thread is killed, a counter would not be. Returns the place, and what stands for the port until it sends.
local function take_turn(s)
  s.last_place = (s.last_place or 0) % #s.places + 1
  local place, gate, sender = nmap.mutex(s.places[s.last_place]), nmap.mutex(s.gate), {}
  place "lock"
  gate "lock"
  while s.pace:is_busy(core.now()) do stdnse.sleep(TURN) end
  s.pace:sends(sender, core.now(), pace.BEGINS)
  gate "done"
  return place, sender
end

-- Run fn(transport) with what this port needs: TCP ports wait for a place that Nmap gives, UDP ports for one of ours.
local function with_transport(host, port, fn)
  local s = get_settings()
  local config, place, sender = { rate = s.rate }, nil, nil
  if port.protocol == "tcp" then
    config.place = { ip = host.ip, port = port.number }
  else
    place, sender = take_turn(s)
  end
  local results = table.pack(pcall(nse.run, config, function(t)
    if sender then s.pace:sends(sender, nil) end
    return fn(t)
  end))
  if place then place "done" end
  if not results[1] then error(results[2], 0) end
  if results[2] == nil and results[3] then fail("%s", results[3]) end
  return results[2]
end

local function identify_now(host, port)
  local target = { ip = host.ip, port = port.number, transport = port.protocol, open = port.state == "open",
    name = host.targetname or host.name ~= "" and host.name or host.ip }
  return with_transport(host, port, function(t) return identify.port(t, target, get_settings()) end)
end

--- What is behind a port, asked once a run.
-- @return result of mynah.identify
-- @raise what went wrong
function script.result(host, port)
  local registry = nmap.registry
  registry.mynah = registry.mynah or {}
  local key = ("%s %s %d"):format(host.ip, port.protocol, port.number)
  local entry = registry.mynah[key]
  if not entry then
    entry = {}
    registry.mynah[key] = entry
  end
  local mutex = nmap.mutex(entry)
  mutex "lock"
  if not entry.done then
    entry.ok, entry.result = pcall(identify_now, host, port)
    entry.done = true
  end
  mutex "done"
  if not entry.ok then error(entry.result, 0) end
  return entry.result
end

-- What a verdict changes in port.version. Of the service that Nmap itself has found, what it says of the product is kept.
local function set_version(version, result)
  local name = NMAP_NAMES[result.service] or result.service
  if version.service_dtype ~= "probed" or version.name ~= name then
    version.product, version.version, version.extrainfo, version.cpe = nil, nil, nil, nil
  end
  version.name = name
  version.product = version.product or result.product
  version.version = version.version or result.version
  version.extrainfo = version.extrainfo or result.extra
  version.cpe = version.cpe or result.cpe and { result.cpe } or nil
  if result.tls then version.service_tunnel = "ssl" end
end

--- Enter a verdict into Nmap's table of ports.
function script.announce(host, port, result)
  if result.state == "open" and port.state ~= "open" then nmap.set_port_state(host, port, "open") end
  if result.state == "closed" and port.protocol == "udp" and port.state == "open|filtered" then
    nmap.set_port_state(host, port, "closed")
  end
  if not result.service then return end
  port.version = port.version or {}
  set_version(port.version, result)
  nmap.set_port_version(host, port, "hardmatched")
end

--- A verdict as structured output. nil where there is nothing to say.
function script.output(result)
  local out = stdnse.output_table()
  if not (result.service or result.guess or result.tls) then return nil end
  out.service = result.service
  out.guess = result.guess
  out.product = result.product
  out.version = result.version
  out.extra = result.extra
  if result.tls then out.tls = true end
  out.confidence = ("%.2f"):format(result.confidence)
  if result.fresh_bits then out.fresh_bits = ("%.1f"):format(result.fresh_bits) end
  if result.identity_bits then out.identity_bits = ("%.1f"):format(result.identity_bits) end
  out.traffic = identify.traffic(result)
  if #result.evidence > 0 then out.evidence = result.evidence end
  return out
end

local told = {}

-- An action whose failures are one line, said once a run; a defect is raised, and Nmap shows it with -d.
local function action_of(fn)
  return function(host, port)
    local ok, result = pcall(fn, host, port)
    if ok then return result end
    if type(result) ~= "table" or not result.message then error(result, 0) end
    if told[result.message] then return nil end
    told[result.message] = true
    return "ERROR: " .. text.escape(result.message, 500) -- what stdnse has for this shows only with -d
  end
end

local function show(host, port, only)
  local result = script.result(host, port)
  if only and result.service ~= only and result.guess ~= only then return nil end
  script.announce(host, port, result)
  return script.output(result)
end

--- An action that shows every verdict, or only one service's.
-- @param only name of a service, or nil
-- @return function for a script's `action`
function script.action(only)
  return action_of(function(host, port) return show(host, port, only) end)
end

-- From what Nmap's own version probes received, where that is enough for a verdict.
local function known(host, port)
  local replies = fingerprint.read(port.version and port.version.service_fp)
  if replies.NULL then
    local sigs = get_settings().signatures
    local v, name = sigs:judge_banner { reply = replies.NULL, peer = host.ip, peer_port = port.number }
    if v and v.state == "certain" then
      return { state = "open", service = sigs.info[name].service, product = v.product, version = v.version, extra = v.extra }
    end
  end
  local r = replies.GetRequest and http.parse(replies.GetRequest)
  if r and r.status < 400 and http.is_weblike(r) then
    local found = http.describe(r)
    found.state, found.service = "open", "http"
    return found
  end
end

--- The action of a version script: what Nmap heard is used first, the port asked only after that.
script.version_action = action_of(function(host, port)
  script.announce(host, port, known(host, port) or script.result(host, port))
end)

-- Replay the payloads of the capture that mynah.pcap names; what was answered, as structured output.
local function replay_capture(host, port, path)
  local capture, message = recorded.read(path, { transport = "udp" })
  if not capture then fail("%s", message) end
  local payloads, numbers = {}, {}
  for i, p in ipairs(capture.payloads) do payloads[i], numbers[i] = p.data, p.number end
  local results = with_transport(host, port, function(t)
    return replay.run(t, payloads, host.ip, port.number, { parallel = 32 })
  end)
  local out = stdnse.output_table()
  out.sent = #payloads
  out.answered = {}
  for i, r in ipairs(results) do
    if r.reply then
      table.insert(out.answered, ("packet %d: %s -> %s, %.3f ms"):format(numbers[i], text.to_hex(r.sent:sub(1, 64)),
        text.to_hex(r.reply:sub(1, 64)), (r.rtt or 0) * 1000))
    end
  end
  if #out.answered > 0 and port.state ~= "open" then nmap.set_port_state(host, port, "open") end
  return out
end

--- An action for UDP: every verdict; with mynah.pcap also what that capture's payloads got.
script.udp_action = action_of(function(host, port)
  local out = show(host, port)
  local path = get_settings().pcap
  if path then
    out = out or stdnse.output_table()
    out.replay = replay_capture(host, port, path)
  end
  return out
end)

return script
