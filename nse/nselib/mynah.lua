--- Mynah for Lua programs: replay payloads at a port, hold replies against what was sent, say what is behind a port.
-- Needs the C module mynah_core on package.cpath. Functions here bring their own engine and block until done.
-- Wrong types raise; where the world fails, functions return nil and a message.
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

-- Exchanges -------------------------------------------------------------------------------------------

local function with_loop(config, fn)
  local engine, message = core.engine(config)
  if not engine then return nil, message end
  local l = require "mynah.loop".new { engine = engine }
  local results = table.pack(pcall(l.run, l, fn, l))
  engine:close()
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

local function numeric(host, port)
  if math.type(port) ~= "integer" or port < 1 or port > 65535 then
    return nil, ("port %s: expected 1 to 65535"):format(tostring(port))
  end
  if core.family(host) then return host end
  local addresses, message = core.resolve(host, port)
  if not addresses then return nil, message end
  return addresses[1]
end

--- Send recorded payloads at a UDP port, in order, each as it is, and take what each got.
-- @param payloads array of byte strings
-- @param host name or address
-- @param port 1 to 65535
-- @param opts table: `timeout` seconds to wait for each reply (1), `gap` seconds from one to the next (0.01)
-- @return array with one table a payload: sent (bytes), reply (bytes), rtt (seconds, by the kernel's clock), from, from_port,
-- my, my_port, peer, peer_port; where nothing came reason ("no-response", "port-unreach" …) instead. Or nil and a message
function mynah.replay(payloads, host, port, opts)
  local ip, message = numeric(host, port)
  if not ip then return nil, message end
  return with_loop({}, function(l)
    local t = require "mynah.transport".new { loop = l }
    return require "mynah.replay".run(t, payloads, ip, port, opts or {})
  end)
end

--- Say what is behind a port.
-- @param host name or address
-- @param port 1 to 65535
-- @param opts table: `transports` (default { "tcp", "udp" }), `signatures` (default: load_signatures()), `timeout` (3) and
-- `patience` (30) in seconds, `public_ip`, `max_connections` (6)
-- @return array with one result a transport, as `mynah identify --json` prints it; or nil and a message
function mynah.identify(host, port, opts)
  opts = opts or {}
  local ip, message = numeric(host, port)
  if not ip then return nil, message end
  local db, why = opts.signatures, nil
  if not db then db, why = mynah.load_signatures() end
  if not db then return nil, why end
  local targets = {}
  for i, transport in ipairs(opts.transports or { "tcp", "udp" }) do
    targets[i] = { ip = ip, port = port, transport = transport, name = host }
  end
  return with_loop({}, function(l)
    return require "mynah.identify".run(l, setmetatable({ signatures = db, targets = targets }, { __index = opts }))
  end)
end

-- Relations -------------------------------------------------------------------------------------------

local function as_pair(request, reply, opts)
  opts = opts or {}
  return {
    request = request, reply = reply, my = opts.my or "0.0.0.0", my_port = opts.my_port or 0, peer = opts.peer or "0.0.0.0",
    peer_port = opts.peer_port or 0, from = opts.from or opts.peer or "0.0.0.0",
    from_port = opts.from_port or opts.peer_port or 0, public_ip = opts.public_ip, time = opts.time,
  }
end

--- Hold a reply against the request that caused it, by every signature that fits.
-- @param request bytes
-- @param reply bytes
-- @param opts table: `my`, `my_port`, `peer`, `peer_port`, `from`, `from_port` (as replay gives them), `public_ip`, `signatures`
-- @return array, best first, of { name, service, fresh_bits, identity_bits, evidence } for the signatures of which every line
-- holds; empty where none does. Or nil and a message
function mynah.match(request, reply, opts)
  opts = opts or {}
  local db, message = opts.signatures, nil
  if not db then db, message = mynah.load_signatures() end
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
