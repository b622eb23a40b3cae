--- The module `nmap` of NSE scripts, and what the engine adds to `stdnse`.
-- @module host.nse.api

local core = require "mynah_core"
local files = require "host.nse.files"
local host = require "mynah_host"
local locks = require "host.nse.locks"
local openssl = require "mynah_openssl"
local raw = require "host.nse.raw"
local sockets = require "host.nse.socket"
local targets = require "host.nse.targets"

local api = {}

local FULL_VERSION_INTENSITY = 9 -- of a script that was asked for by name
local USUAL_TTL = 64

local function bad(n, name, message) error(("bad argument #%d to 'nmap.%s' (%s)"):format(n, name, message), 0) end

local function check_table(n, name, value)
  if type(value) ~= "table" then
    bad(n, name, "table expected, got " .. (value == nil and "no value" or type(value)))
  end
  return value
end

-- Ports and hosts -------------------------------------------------------------------------------------------

local function find_host(world, name, value)
  check_table(1, name, value)
  local ip = value.ip or value.targetname
  if type(ip) ~= "string" then bad(1, name, "host table must contain a 'ip' or 'targetname' field") end
  return world.targets:find(ip)
end

local function find_port(world, name, target, value)
  check_table(2, name, value)
  local number, protocol = math.tointeger(tonumber(value.number)), value.protocol
  if not number then bad(2, name, "port number expected") end
  return target and targets.port(target, number, protocol)
end

local function add_ports(nmap, world)
  function nmap.get_port_state(host_table, port_table)
    local target = find_host(world, "get_port_state", host_table)
    local port = find_port(world, "get_port_state", target, port_table)
    return port and targets.copy_port(port)
  end

  function nmap.get_ports(host_table, port_table, protocol, state)
    local target = find_host(world, "get_ports", host_table)
    if not target then return nil end
    return targets.next_port(target, port_table, protocol, state)
  end

  function nmap.set_port_state(host_table, port_table, state)
    if state ~= "open" and state ~= "closed" then
      bad(3, "set_port_state", ("invalid option '%s'"):format(tostring(state)))
    end
    local target = find_host(world, "set_port_state", host_table)
    local port = find_port(world, "set_port_state", target, port_table)
    if port and port.state ~= state then port.state, port.reason = state, "script-set" end
  end

  function nmap.set_port_version(host_table, port_table, probe_state)
    local target = find_host(world, "set_port_version", host_table)
    local port = find_port(world, "set_port_version", target, port_table)
    local known = { hardmatched = true, softmatched = true, nomatch = true, tcpwrapped = true, incomplete = true }
    if probe_state ~= nil and not known[probe_state] then
      bad(3, "set_port_version", ("invalid option '%s'"):format(tostring(probe_state)))
    end
    if port then targets.set_version(port, check_table(2, "set_port_version", port_table.version), probe_state) end
  end

  function nmap.port_is_excluded() return false end
  function nmap.get_payload_length() return 0 end
end

-- The network -----------------------------------------------------------------------------------------------

local function add_network(nmap, world)
  local scheduler = world.scheduler

  function nmap.new_socket(kind, family)
    kind = kind or "tcp"
    if kind ~= "tcp" and kind ~= "udp" then bad(1, "new_socket", ("invalid option '%s'"):format(tostring(kind))) end
    if family ~= nil and family ~= "inet" and family ~= "inet6" then
      bad(2, "new_socket", ("invalid option '%s'"):format(tostring(family)))
    end
    return world.new_socket(kind)
  end

  function nmap.resolve(name, family)
    local wanted = ({ inet = 4, inet6 = 6, unspec = 0 })[family or nmap.address_family()]
    local list = world.lookup(name, wanted)
    if not list then return false, "Failed to resolve" end
    return true, list
  end

  nmap.socket = {
    new = nmap.new_socket,
    sleep = function(seconds) scheduler:sleep(math.max(0, seconds)) end,
    loop = function() end, -- the loop is always run
    get_stats = function() return { connect_waiting = sockets.waiting(world.shared) } end,
    parse_ssl_certificate = function(der) return host.certificate(der) end,
  }

  function nmap.address_family() return world.family end
  function nmap.have_ssl() return true end
  function nmap.is_privileged() return host.is_root() end
  function nmap.get_ttl() return USUAL_TTL end
  function nmap.get_interface() return nil end
  function nmap.list_interfaces() return host.interfaces() end

  function nmap.get_interface_info(name)
    for _, interface in ipairs(host.interfaces()) do
      if interface.device == name then return interface end
    end
    return false, "failed to find interface"
  end

  function nmap.get_dns_servers()
    local list = {}
    for address in ("\n" .. (files.read "/etc/resolv.conf" or "")):gmatch "\nnameserver%s+(%S+)" do
      if core.family(address) then list[#list + 1] = address end
    end
    return list
  end

  function nmap.new_dnet() return raw.new(world.shared) end
end

-- The run ----------------------------------------------------------------------------------------------------

local function script_of(world)
  local thread = world.scheduler.current
  return thread and thread.base.script
end

local function add_run(nmap, world)
  local options = world.options

  function nmap.verbosity()
    local script = script_of(world)
    return options.verbosity + (script and script.by_name and 1 or 0)
  end

  function nmap.debugging() return options.debugging end

  function nmap.version_intensity()
    local script = script_of(world)
    return script and script.by_name and FULL_VERSION_INTENSITY or options.version_intensity
  end

  function nmap.timing_level() return options.timing end
  function nmap.clock() return core.unix() end
  function nmap.clock_ms() return math.floor(core.unix() * 1000) + 0.0 end
  function nmap.log_write(file, text) world.log(file, tostring(text)) end
  function nmap.get_random_bytes(n) return openssl.rand_bytes(n) end

  function nmap.fetchfile(name)
    if type(name) ~= "string" then bad(1, "fetchfile", "string expected") end
    return files.find(world.folders, name)
  end

  function nmap.add_targets(...) return world.targets:add_new(...) end
  function nmap.new_targets_num() return world.targets:count_new() end

  function nmap.new_try(handler)
    return function(ok, ...)
      if ok then return ... end
      if handler then handler() end
      error({ errtype = "nmap.new_try", message = (...) })
    end
  end
end

--- Make the module.
-- @param world table: `scheduler`, `new_socket`, `shared` (of host.nse.socket), `lookup` (name, family) giving an array of
-- addresses, `targets` (of host.nse.targets), `folders`, `family` ("inet" or "inet6"), `log` (file, text), `options`
-- (`verbosity`, `debugging`, `timing`, `version_intensity`, `arguments`)
-- @return the module's table
function api.nmap(world)
  local nmap = { registry = { args = world.options.arguments } }
  nmap.mutex, nmap.condvar = locks.new(world.scheduler)
  add_ports(nmap, world)
  add_network(nmap, world)
  add_run(nmap, world)
  return nmap
end

-- stdnse -------------------------------------------------------------------------------------------------------

-- Ends the script without a word; what is missing stands in `module`.
local Missing = { __tostring = function(e) return "module " .. e.module .. " is missing" end }

--- Whether an error is one that is no news: a module is missing, or a try failed.
-- @return why, nil where it is news
function api.is_silent(problem)
  if getmetatable(problem) == Missing then return tostring(problem) end
  if type(problem) == "table" and rawget(problem, "errtype") == "nmap.new_try" then return tostring(problem.message) end
end

local function address_of(object) return (tostring(object):match "0x(%x+)" or tostring(object)) end

--- Add to stdnse what only the engine knows.
function api.extend(stdnse, world)
  local scheduler, added = world.scheduler, {}
  local function current() return scheduler.current or error("no script is running", 0) end

  function added.base() return current().co end
  function added.gettid() return current().base.co end
  function added.getid() return current().base.script.id end
  function added.gethostport()
    local base = current().base
    return base.host, base.port
  end
  function added.isworker() return current() ~= current().base end

  function added.getinfo()
    local thread = scheduler.current
    if not thread then return "" end
    local base = thread.base
    local place = base.host and " " .. base.host.ip .. (base.port and ":" .. base.port.number or "") or ""
    return ("%s %s:%s%s"):format(base.script.id, thread == base and "M" or "W", address_of(thread.co), place)
  end

  function added.new_thread(fn, ...)
    if type(fn) ~= "function" then error("function expected", 2) end
    local failure
    local worker = scheduler:spawn(fn, {
      base = current().base,
      on_end = function(thread, ok, problem)
        if ok or thread.base.over then return end
        failure = problem
        world.on_worker_error(thread, problem)
      end,
    }, ...)
    return worker.co, function() return coroutine.status(worker.co), failure end
  end

  function added.silent_require(name)
    local ok, module = pcall(require, name)
    if ok then return module end
    world.debug(("%s: %s"):format(name, module))
    error(setmetatable({ module = name }, Missing), 0)
  end

  for name, fn in pairs(added) do rawset(stdnse, name, fn) end -- it lets nobody add globals
end

return api
