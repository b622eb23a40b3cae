--- Mynah for Lua programs and for scripts of Nmap: ask a UDP port reliably, replay payloads, hold replies against what was
-- sent, say what is behind a port.
-- Needs the C module mynah_core on package.cpath. In plain Lua the functions bring their own engine and block until done;
-- in a script of Nmap only the script waits, and everything else goes on. Addresses and ports may be given as Nmap
-- hands them to a script. Wrong types raise; where the world fails, functions return nil and a message.
-- @module mynah
-- @usage
-- local mynah = require "mynah"
-- local probe = mynah.hex "924002a16665ea0d8c82c30c27cdc5e74e78fea150a6"
-- for _, r in ipairs(mynah.replay({ probe }, "127.0.0.1", 34567)) do
--   print(mynah.tohex(r.reply or ""), table.concat(mynah.explain(r.sent, r.reply, r), "\n"))
-- end

local core = require "mynah_core"
local text = require "mynah.text"

local mynah = { version = core.version }

--- Hex digits as bytes; spaces and colons between bytes are allowed.
-- @function mynah.hex
-- @param digits text
-- @return bytes, or nil and a message
mynah.hex = text.from_hex

--- Bytes as hex digits.
-- @function mynah.tohex
-- @param bytes
-- @return text
mynah.tohex = text.to_hex

--- Bytes as printable text.
-- @function mynah.escape
-- @param bytes
-- @param limit characters, default 200
-- @return text
mynah.escape = text.escape

--- Random bytes of the system, for nonces.
-- @function mynah.random
-- @param n how many
-- @return bytes
mynah.random = core.random

-- Signatures ------------------------------------------------------------------------------------------

local function read_file(path)
  local file, message = io.open(path, "rb")
  if not file then return nil, message end
  local bytes, why = file:read("a")
  file:close()
  if not bytes then return nil, path .. ": " .. tostring(why) end
  return bytes
end

local function quoted(path)
  return "'" .. path:gsub("'", "'\\''") .. "'"
end

-- Plain Lua has no directories: the shell lists them. nil where `path` is no folder.
local function list_folder(path)
  local pipe = io.popen("cd -P -- " .. quoted(path) .. " 2>/dev/null && ls -1", "r")
  if not pipe then return nil end
  local names = {}
  for line in pipe:lines() do
    if line:find("%.sig$") then names[#names + 1] = line end
  end
  if not pipe:close() then return nil end
  table.sort(names)
  return names
end

-- The folder of this very file, where it stands in a source tree or an installation.
local function own_folder()
  local source = debug.getinfo(1, "S").source
  return source:match("^@(.*)/[^/]*$") or "."
end

--- Where signatures are looked for when none are named: $MYNAH_SIGNATURES, the source tree, the installation.
-- @return array of paths
function mynah.signature_paths()
  local env = os.getenv("MYNAH_SIGNATURES")
  if env and env ~= "" then return { env } end
  return { own_folder() .. "/../../signatures", own_folder() .. "/../signatures", core.datadir .. "/signatures" }
end

local function add_path(db, path)
  local names = list_folder(path)
  local files = {}
  if names then
    for i, name in ipairs(names) do files[i] = path:gsub("/+$", "") .. "/" .. name end
    if #files == 0 then return nil, path .. ": no *.sig file in this folder" end
  else
    files[1] = path
  end
  for _, file in ipairs(files) do
    local bytes, message = read_file(file)
    if not bytes then return nil, message end
    local ok, why = db:add(bytes, file)
    if not ok then return nil, why end
  end
  return true
end

--- Load signatures.
-- @param paths array of files and folders (of *.sig), or one path; nil: the first of signature_paths() that can be read
-- @return database of mynah_core; or nil and a message ("file:line:column: …" for what does not parse)
function mynah.load_signatures(paths)
  if type(paths) == "string" then paths = { paths } end
  local db = assert(core.signatures())
  if paths then
    for _, path in ipairs(paths) do
      local ok, message = add_path(db, path)
      if not ok then return nil, message end
    end
    return db
  end
  local tried = mynah.signature_paths()
  for i, path in ipairs(tried) do
    local names = list_folder(path)
    if (names and #names > 0) or (#tried == 1 and i == 1) then
      local ok, message = add_path(db, path)
      if not ok then return nil, message end
      return db
    end
  end
  return nil, "no signatures in " .. table.concat(tried, ", ") .. "; set MYNAH_SIGNATURES"
end

local default_db

-- The signatures of a call: those given, else the default ones, read once.
local function signatures_of(opts)
  if opts.signatures then return opts.signatures end
  local message
  if not default_db then default_db, message = mynah.load_signatures() end
  return default_db, message
end

-- Exchanges -------------------------------------------------------------------------------------------

-- Nmap has its library in place before any script is read.
local function inside_nmap() return package.loaded.nmap ~= nil end

local function run_plain(config, fn)
  local engine, message = core.engine { rate = config.rate }
  if not engine then return nil, message end
  local l = require "mynah.loop".new { engine = engine }
  local results = table.pack(pcall(l.run, l, fn, require "mynah.transport".new { loop = l }))
  engine:close()
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

local function run_on_network(config, fn)
  if inside_nmap() then return require "mynah.nse".run(config, fn) end
  return run_plain(config, fn)
end

local function resolve(host, port)
  if not inside_nmap() then return core.resolve(host, port) end
  local ok, addresses = require "nmap".resolve(host) -- core.resolve would hold up every script
  if not ok then return nil, tostring(addresses) end
  return addresses
end

-- A numeric address and a port, of what users and Nmap give; or nil and a message.
local function numeric(host, port)
  if type(host) == "table" then host = host.ip end
  if type(port) == "table" then port = port.number end
  if math.type(port) ~= "integer" or port < 1 or port > 65535 then
    return nil, ("port %s: expected 1 to 65535"):format(tostring(port))
  end
  if type(host) ~= "string" then error("host: expected a name, an address or a host of Nmap's", 3) end
  if core.family(host) then return host, port end
  local addresses, message = resolve(host, port)
  if not addresses then return nil, message end
  return addresses[1], port
end

--- Run a function with the network: many questions at once, TCP too.
-- @param fn function (t); t is a transport as mynah.transport describes it: t:udp, t:connect, t:race, t:sleep, t:now. What it
-- opens is closed when fn returns
-- @return what fn returns; or nil and a message where there is no network to be had
-- @raise what fn raises
-- @usage
-- local first = mynah.run(function(t)            -- the faster of two servers
--   local function ask(ip)
--     return function()
--       local x = t:udp(ip, 123, { probe }, { timeout = 2 })
--       return x:reply() and ip
--     end
--   end
--   return t:race { ask "192.0.2.1", ask "192.0.2.2" }
-- end)
function mynah.run(fn) return run_on_network({}, fn) end

--- Ask a UDP port reliably: while it is silent the question is repeated, from another source port each time, so that a late
-- answer still belongs to the datagram that it came for; times are the kernel's. A reply from another port or address
-- is one too: look at `from` and `from_port`.
-- @param host name, address, or host of Nmap's
-- @param port 1 to 65535, or port of Nmap's
-- @param payloads what to send: one string, sent up to three times; or an array, one for each time, best with a fresh nonce
-- in each
-- @param opts table: `timeout` seconds to listen after the last (3); `accept`, a function (reply) that says false to what is
-- not the answer: then the next is waited for
-- @return reply: `data`, `request` (the payload that it answers), `attempt` (which), `rtt` in seconds, `from`, `from_port`, `my`,
-- `my_port`, `peer`, `peer_port`; or nil and a reason: "no-response", "port-unreach" …, or a message
-- @usage
-- action = function(host, port)
--   local query = mynah.random(2) .. mynah.hex "01000001000000000000" .. "\7version\4bind\0\0\16\0\3"
--   local reply, why = mynah.exchange(host, port, query)
--   return reply and ("%d bytes in %.3f ms"):format(#reply.data, reply.rtt * 1000) or why
-- end
function mynah.exchange(host, port, payloads, opts)
  opts = opts or {}
  local ip, number = numeric(host, port)
  if not ip then return nil, number end
  if type(payloads) == "string" then payloads = { payloads, payloads, payloads } end
  return run_on_network({}, function(t)
    local x, why = t:udp(ip, number, payloads, { timeout = opts.timeout or 3 })
    if not x then return nil, why end
    local event
    repeat
      event, why = x:reply()
    until not event or not opts.accept or opts.accept(event)
    if not event then return nil, why == "ended" and "no-response" or why end
    event.peer, event.peer_port = ip, number
    return event
  end)
end

--- Send recorded payloads at a UDP port, in order, each as it is and once, and take what each got.
-- @param payloads array of byte strings
-- @param host name, address, or host of Nmap's
-- @param port 1 to 65535, or port of Nmap's
-- @param opts table: `timeout` seconds to wait for each reply (1), `gap` seconds from one to the next (0.01)
-- @return array with one table a payload: sent (bytes), reply (bytes), rtt (seconds, by the kernel's clock), from, from_port,
-- my, my_port, peer, peer_port; where nothing came reason ("no-response", "port-unreach" …) instead. Or nil and a message
-- @usage
-- local results = mynah.replay(payloads, host, port, { timeout = 1 })
-- for i, r in ipairs(results) do
--   if r.reply then print(i, #r.reply, r.rtt) end
-- end
function mynah.replay(payloads, host, port, opts)
  local ip, number = numeric(host, port)
  if not ip then return nil, number end
  return run_on_network({}, function(t)
    return require "mynah.replay".run(t, payloads, ip, number, opts or {})
  end)
end

--- Say what is behind a port.
-- @param host name, address, or host of Nmap's
-- @param port 1 to 65535, or port of Nmap's
-- @param opts table: `transports` (default { "tcp", "udp" }), `signatures` (default: load_signatures()), `timeout` (3),
-- `patience` (30), in seconds, `public_ip`, `max_connections` (6)
-- @return array with one result a transport, as `mynah identify --json` prints it; or nil and a message
-- @usage
-- local result = mynah.identify("192.0.2.7", 34567, { transports = { "udp" } })[1]
-- print(result.service, result.confidence, table.concat(result.evidence, "\n"))
function mynah.identify(host, port, opts)
  opts = opts or {}
  local ip, number = numeric(host, port)
  if not ip then return nil, number end
  local db, why = signatures_of(opts)
  if not db then return nil, why end
  local targets, config = {}, {}
  for i, transport in ipairs(opts.transports or { "tcp", "udp" }) do
    targets[i] = { ip = ip, port = number, transport = transport, name = type(host) == "string" and host or nil }
    if transport == "tcp" then config.place = targets[i] end
  end
  return run_on_network(config, function(t)
    return require "mynah.identify".run(t.loop, setmetatable({ signatures = db, targets = targets }, { __index = opts }))
  end)
end

--- Learn a signature: what replies owe to requests, from captures, and from a live server where one is named.
-- @param opts table: `captures` array of paths (pcap, pcapng), `against` array of paths of other protocols, `filter` (BPF
-- expression), `host` and `port` of a server to ask on, over UDP, with what clients sent in the captures; `budget`
-- datagrams at the most (300), `rate` a second (20); `service` name (default: after the first capture), `title`, `strict`
-- (a second signature, of the implementation), `signatures` (a database whose names are taken; default: load_signatures())
-- @return table: `text` of the signature, `names`, `pairs`, `servers`, `flows`, `fresh_bits`, `identity_bits`,
-- `unexplained` and `notes` (arrays of text), `db` (a database of it alone, for match and identify), `sent` (datagrams),
-- `verdict` (what identify says of the server by it). Or nil, a message, and a table: `needs` and `pairs` where evidence
-- lacks, `unreadable` path, `silent`
-- @usage
-- local learned = assert(mynah.learn { captures = { "skype.pcap" }, host = "192.0.2.7", port = 34567 })
-- print(learned.text)
function mynah.learn(opts)
  local learning = require "mynah.learning"
  local settings = setmetatable({ known = opts.signatures or signatures_of(opts) }, { __index = opts })
  if not opts.host then return learning.run(nil, settings) end
  local ip, number = numeric(opts.host, opts.port)
  if not ip then return nil, number, {} end
  settings.target = { ip = ip, port = number }
  return run_on_network({}, function(t) return learning.run(t, settings) end)
end

-- Relations -------------------------------------------------------------------------------------------

local function as_pair(request, reply, opts)
  opts = opts or {}
  return {
    request = request, reply = reply, my = opts.my or "0.0.0.0", my_port = opts.my_port or 0, peer = opts.peer or "0.0.0.0",
    peer_port = opts.peer_port or 0, from = opts.from or opts.peer or "0.0.0.0",
    from_port = opts.from_port or opts.peer_port or 0, public_ip = opts.public_ip, time = opts.time or core.unix(),
  }
end

--- Hold a reply against the request that caused it, by every signature that fits.
-- @param request bytes
-- @param reply bytes
-- @param opts table: `my`, `my_port`, `peer`, `peer_port`, `from`, `from_port` (as replay gives them), `public_ip`, `time` (unix
-- seconds of the reply; now), `signatures`
-- @return array, best first, of { name, service, fresh_bits, identity_bits, evidence } for the signatures of which every line
-- holds; empty where none does. Or nil and a message
-- @usage
-- local reply = mynah.exchange(host, port, probe)
-- local best = reply and mynah.match(reply.request, reply.data, reply)[1]
-- print(best and best.service)
function mynah.match(request, reply, opts)
  opts = opts or {}
  local db, message = signatures_of(opts)
  if not db then return nil, message end
  local found = {}
  for _, name in ipairs(db:names()) do
    local info = db:info(name)
    if not info.banner then
      local m = db:match(name, as_pair(request, reply, opts))
      if m.matched then
        found[#found + 1] = { name = name, service = info.service, fresh_bits = m.fresh_bits,
          identity_bits = m.identity_bits, evidence = m.evidence }
      end
    end
  end
  table.sort(found, function(a, b) return a.identity_bits > b.identity_bits end)
  return found
end

local function bytes_word(n)
  return n == 1 and "1 byte" or n .. " bytes"
end

--- Say in words what a reply owes to the request, line by line: by the signature that fits best, else by what came back.
-- @param request bytes
-- @param reply bytes, or nil where none came
-- @param opts as for match
-- @return array of text, printable; or nil and a message
function mynah.explain(request, reply, opts)
  if not reply then return { "no reply" .. (opts and opts.reason and ": " .. opts.reason or "") } end
  local found, message = mynah.match(request, reply, opts)
  if not found then return nil, message end
  local lines = {}
  if found[1] then
    lines[1] = ("%s: every line of %s holds"):format(found[1].service, found[1].name)
    for _, e in ipairs(found[1].evidence) do
      if e.held ~= "skipped" then lines[#lines + 1] = ("  %-18s %s"):format(e.line, e.got or "") end
    end
    return lines
  end
  local length, at, to = core.echo(request, reply)
  if length then
    lines[1] = ("%s of the request at offset %d came back at offset %d"):format(bytes_word(length), at, to)
  else
    lines[1] = "nothing of the request came back"
  end
  return lines
end

return mynah
