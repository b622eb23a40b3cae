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
local recorded = require "mynah.recorded"
local replay = require "mynah.replay"
local signatures = require "mynah.signatures"

local text = require "mynah.text"

local script = {}

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

local function seconds(name, default)
  local given = stdnse.get_script_args(name)
  if given == nil then return default end
  local value, message = stdnse.parse_timespec(given)
  if not value then error(("%s=%s: expected a time such as 3s or 500ms: %s"):format(name, given, message), 0) end
  return value
end

local function whole(name, default)
  local given = stdnse.get_script_args(name)
  if given == nil then return default end
  local value = tonumber(given)
  if not value or value < 0 or value ~= math.floor(value) then
    error(("%s=%s: expected a whole number"):format(name, given), 0)
  end
  return math.tointeger(value)
end

-- Once a run: signatures and settings, or the message why not.
local function load_settings()
  local paths = stdnse.get_script_args("mynah.signatures")
  local db, message = mynah.load_signatures(paths)
  if not db then error("signatures: " .. message, 0) end
  local public_ip = stdnse.get_script_args("mynah.public-ip")
  if public_ip and not core.family(public_ip) then
    error(("mynah.public-ip=%s: expected an IP address"):format(public_ip), 0)
  end
  return {
    signatures = signatures.new(db), timeout = seconds("mynah.timeout", 3), patience = seconds("mynah.patience", 30),
    attempts = whole("mynah.retries", 2) + 1, public_ip = public_ip, rate = whole("mynah.rate", nil),
  }
end

local settings

--- The settings of this run.
-- @raise what is wrong with a script argument or a signature file
function script.settings()
  if not settings then
    local ok, result = pcall(load_settings)
    settings = ok and result or { failure = result }
  end
  if settings.failure then error(settings.failure, 0) end
  return settings
end

local function identify_now(host, port)
  local t = nse.new(script.settings())
  local target = { ip = host.ip, port = port.number, transport = port.protocol,
    name = host.targetname or host.name ~= "" and host.name or host.ip }
  local ok, result = pcall(identify.port, t, target, script.settings())
  t:close()
  if not ok then error(result, 0) end
  return result
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

--- Enter a verdict into Nmap's table of ports.
function script.announce(host, port, result)
  if result.state == "open" and port.state ~= "open" then nmap.set_port_state(host, port, "open") end
  if result.state == "closed" and port.protocol == "udp" and port.state == "open|filtered" then
    nmap.set_port_state(host, port, "closed")
  end
  if not result.service then return end
  port.version = port.version or {}
  port.version.name = NMAP_NAMES[result.service] or result.service
  port.version.product = result.product
  port.version.version = result.version
  port.version.extrainfo = result.extra
  if result.tls then port.version.service_tunnel = "ssl" end
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
  if #result.evidence > 0 then out.evidence = result.evidence end
  return out
end

--- An action that shows every verdict, or only one service's.
-- @param only name of a service, or nil
-- @return function for a script's `action`
function script.action(only)
  return function(host, port)
    local result = script.result(host, port)
    if only and result.service ~= only and result.guess ~= only then return nil end
    script.announce(host, port, result)
    return script.output(result)
  end
end

-- From what Nmap's own version probes received, where that is enough for a verdict.
local function known(host, port)
  local replies = fingerprint.read(port.version and port.version.service_fp)
  if replies.NULL then
    local sigs = script.settings().signatures
    local pair = { reply = replies.NULL, peer = host.ip, peer_port = port.number }
    local v, name = sigs:judge_banner(pair)
    if v and v.state == "certain" then
      return { state = "open", service = sigs.info[name].service, product = v.product, version = v.version, extra = v.extra,
        confidence = v.confidence, evidence = { "banner, heard by Nmap: " .. text.first_line(replies.NULL, 80) } }
    end
  end
  local r = replies.GetRequest and http.parse(replies.GetRequest)
  if r and r.status < 400 and http.is_weblike(r) then
    local found = http.describe(r)
    found.state, found.service, found.confidence = "open", "http", 0.95
    found.evidence = { "GET, asked by Nmap: " .. text.escape(r.line, 80) }
    return found
  end
end

--- The action of a version script: what Nmap heard is used first, the port asked only after that.
function script.version_action(host, port)
  local result = known(host, port) or script.result(host, port)
  script.announce(host, port, result)
end

-- Replay the payloads of the capture that mynah.pcap names; what was answered, as structured output.
local function replay_capture(host, port, path)
  local capture, message = recorded.read(path, {})
  if not capture then error(message, 0) end
  local payloads, numbers = {}, {}
  for i, p in ipairs(capture.payloads) do payloads[i], numbers[i] = p.data, p.number end
  local t = nse.new(script.settings())
  local ok, results = pcall(replay.run, t, payloads, host.ip, port.number, { parallel = 32 })
  t:close()
  if not ok then error(results, 0) end
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
function script.udp_action(host, port)
  local out = script.action()(host, port)
  local path = stdnse.get_script_args("mynah.pcap")
  if path then
    out = out or stdnse.output_table()
    out.replay = replay_capture(host, port, path)
  end
  return out
end

return script
