-- daemons.lua - starts the real servers that `fetch` brought, on loopback ports that give nothing away.
--
--   lua5.3 tests/daemons/daemons.lua [--each] DIR [NAME…]     DIR: what was given to `fetch`
--
-- NAME: a server, a family (all of udp/FAMILY.lua or tcp/FAMILY.lua), `udp` or `tcp` (all of these families); no NAME: thirteen
-- of TCP. It prints one JSON line for each port once it listens:
--   {"name":"vsftpd","host":"127.0.0.1","port":24123,"transport":"tcp","service":"ftp","product":"vsftpd","pid":77}
-- then {"ready":N}, and runs until its standard input ends or SIGINT, SIGTERM comes; then every server is gone. A server that
-- does not start ends everything; with --each it is tried once more, then said in a line {"name":"…","failed":"why"}. One that
-- ends later is said in a line {"name":"…","ended":"what it printed"}; the line `again NAME` on standard input starts it anew.
-- As a module: daemons.start(name, dir) -> server | nil, message; server:stop().
--
-- To try one by hand:
--   MYNAH_DEBS=/tmp/debs tests/daemons/fetch /tmp/d FAMILY       # only that family's packages, seconds once they are cached
--   lua5.3 tests/daemons/daemons.lua /tmp/d NAME                 # prints the port; Ctrl-D or Ctrl-C ends it
-- in a network namespace of its own, where nothing reaches the outside and 10.77.0.1 is a second address of loopback:
--   tests/support/netns lua5.3 tests/daemons/daemons.lua /tmp/d NAME
--   nsenter --net --target PID build/bin/mynah identify -sU 127.0.0.1:PORT          # PID: of that lua5.3
local here = (arg and arg[0] or ""):match("^(.*/)") or "./"
if ... == "daemons" then here = (package.searchpath("daemons", package.path) or ""):match("^(.*/)") or here end
package.path = here .. "?.lua;" .. package.path

local uv = require "luv"
local child = require "child"
local ports = require "ports"

local daemons = {}

-- Users as Debian's packages make them; the numbers mean something in the jail only.
local USERS = {
  { "root", 0 }, { "daemon", 1 }, { "mail", 8 }, { "www-data", 33 }, { "ftp", 501 }, { "proftpd", 502 },
  { "opensmtpd", 503 }, { "opensmtpq", 504 }, { "Debian-exim", 505 }, { "dictd", 506 }, { "sshd", 507 },
  { "redis", 508 }, { "memcache", 509 }, { "bind", 510 }, { "nobody", 65534 },
}

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

-- Each server: what it needs in the jail and how it is told to stay in the foreground on one port of 127.0.0.1.
--   service, product  what it must be called; product as a lower-case pattern that the name given must contain, nil where
--                     the server does not say it to a stranger (or only some would ask)
--   said              as product, where the name may be missing
--   transports        where it listens; { "tcp" } where nothing is said
--   files(port)       path below /mynah -> text ("etc/…" is in /etc)
--   prepare           shell, run in the jail as its root before the server; text, or a function of the port
--   command(port)     the server's arguments
-- and where it must be:
--   env               { NAME = "value" }
--   user              one of the users, for a server that refuses to be root
--   settle            milliseconds from the bound port to the first answer
--   host              the address it listens on where 127.0.0.1 is none for it: "10.77.0.1", which there is in `netns` only
--   netns             true: it may only run in `netns`
--   port              the one it is known by, where only that tells what to ask; in `netns` only
--   mortal            "why": strangers' datagrams end it, and that is no fault of ours
-- /dev/null, /dev/urandom, /proc, /tmp, /run, /var/{lib,log,cache,spool,tmp}, localhost in /etc/hosts are there for all.
local SERVERS = {} -- of udp/*.lua and tcp/*.lua

-- A little of everything, for whoever names none.
daemons.names = { "vsftpd", "proftpd", "pure-ftpd", "nginx", "apache2", "lighttpd", "opensmtpd", "exim4", "dictd", "sshd",
  "redis", "memcached", "bind9" }

-- A file a family: { users = { … }, servers = { NAME = row, … } }.
local FAMILIES, BROKEN = {}, {}

--- Names of the servers of these files by transport, sorted by family; what is wrong with the files, as messages.
daemons.udp_names, daemons.tcp_names, daemons.broken = {}, {}, BROKEN
local NAMES = { udp = daemons.udp_names, tcp = daemons.tcp_names }

local function add_family(family, transport, path)
  local chunk, message = loadfile(path)
  local ok, rows = chunk ~= nil, message
  if ok then ok, rows = pcall(chunk) end
  if ok and (type(rows) ~= "table" or type(rows.servers) ~= "table") then ok, rows = false, "returns no { servers = … }" end
  if not ok then
    BROKEN[#BROKEN + 1] = path .. ": " .. tostring(rows)
    return
  end
  for _, user in ipairs(rows.users or {}) do USERS[#USERS + 1] = user end
  local names = {}
  for name, row in pairs(rows.servers) do
    if SERVERS[name] then
      BROKEN[#BROKEN + 1] = ("%s: there is a server %s already"):format(path, name)
    else
      row.transports, row.family = row.transports or { transport }, family
      SERVERS[name], names[#names + 1] = row, name
    end
  end
  table.sort(names)
  if FAMILIES[family] then BROKEN[#BROKEN + 1] = path .. ": there is a family of that name already" end
  FAMILIES[family] = names
  for _, name in ipairs(names) do table.insert(NAMES[transport], name) end
end

local function add_families(transport)
  local scan, found = uv.fs_scandir(here .. transport), {}
  while scan do
    local name = uv.fs_scandir_next(scan)
    if not name then break end
    found[#found + 1] = name:match("^(.*)%.lua$")
  end
  table.sort(found)
  for _, family in ipairs(found) do add_family(family, transport, ("%s%s/%s.lua"):format(here, transport, family)) end
end

add_families "udp"
add_families "tcp"

--- What a row says, read only. @return row or nil
function daemons.row(name) return SERVERS[name] end

local function make_temp(name)
  local base = os.getenv("TMPDIR") or "/tmp"
  return assert(uv.fs_mkdtemp(base .. "/mynah-" .. name .. "-XXXXXX"))
end

local function remove(path)
  local stat = uv.fs_lstat(path)
  if not stat then return end
  if stat.type ~= "directory" then uv.fs_unlink(path) return end
  local scan = uv.fs_scandir(path)
  while scan do
    local name = uv.fs_scandir_next(scan)
    if not name then break end
    remove(path .. "/" .. name)
  end
  uv.fs_rmdir(path)
end

local function make_folders(temp, path)
  for at in path:gmatch("()/") do uv.fs_mkdir(temp .. "/" .. path:sub(1, at - 1), 493) end
end

-- Whether there are users to change to. Who is not root has one number only, in a namespace where it passes for root's.
function daemons.is_root()
  if uv.getuid() ~= 0 then return false end
  local file = io.open("/proc/self/uid_map")
  local count = file and file:read("*a"):match("^%s*0%s+0%s+(%d+)")
  if file then file:close() end
  return tonumber(count or 1) > 65535
end

-- Names of protocols and ports that a server may look up, as the packages bring them.
local function copy_etc(root, temp)
  for _, name in ipairs { "protocols", "services", "rpc", "ethertypes" } do
    local file = io.open(root .. "/etc/" .. name)
    if file then
      write(temp .. "/etc/" .. name, file:read("*a"))
      file:close()
    end
  end
end

local function write_etc(root, temp)
  copy_etc(root, temp)
  local passwd, group, shadow = {}, { "nogroup:x:65534:", "winbindd_priv:x:900:" }, {}
  local real = daemons.is_root()
  for _, user in ipairs(USERS) do
    local name, id = user[1], real and user[2] or 0
    passwd[#passwd + 1] = ("%s:x:%d:%d:%s:/var/%s:/bin/sh"):format(name, id, id, name, name == "ftp" and "ftp" or "empty")
    group[#group + 1] = ("%s:x:%d:"):format(name, id)
    shadow[#shadow + 1] = name .. ":*:19000:0:99999:7:::"
  end
  write(temp .. "/etc/passwd", table.concat(passwd, "\n") .. "\n")
  write(temp .. "/etc/group", table.concat(group, "\n") .. "\n")
  write(temp .. "/etc/shadow", table.concat(shadow, "\n") .. "\n")
  write(temp .. "/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
  write(temp .. "/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n")
  write(temp .. "/etc/mailname", "mail.example\n")
end

-- Whether somebody accepts on this port: looked up in the kernel's table, so that no connection or datagram of ours is the
-- first that a server sees. The states are LISTEN and, for UDP, "not connected".
local STATE = { tcp = "0A", udp = "07" }
local function listens_on(port, transport)
  for _, version in ipairs { "", "6" } do
    local file = io.open("/proc/net/" .. transport .. version)
    local text = file and file:read("*a") or ""
    if file then file:close() end
    if text:find((":%04X 0+:0000 %s"):format(port, STATE[transport])) then return true end
  end
  return false
end

local function listens(server)
  for _, transport in ipairs(server.transports) do
    if not listens_on(server.port, transport) then return false end
  end
  return true
end

local server_mt = {}
server_mt.__index = server_mt

--- Ends the server and removes its folder. Harmless a second time.
function server_mt:stop()
  self.process:stop()
  remove(self.temp)
end

-- The server's command, as another user and with variables where its row says so.
local function command_of(spec, port)
  local words = {}
  if spec.user and daemons.is_root() then
    words = { "chroot", "--userspec=" .. spec.user, "--skip-chdir", "/" }
  end
  if spec.env then
    words[#words + 1] = "env"
    for key, value in pairs(spec.env) do
      words[#words + 1] = type(key) == "number" and value or key .. "=" .. value
    end
  end
  for _, word in ipairs(spec.command(port)) do words[#words + 1] = tostring(word) end
  return words
end

local function fill(root, temp, spec, port)
  uv.fs_chmod(temp, 493)
  uv.fs_mkdir(temp .. "/etc", 493)
  write_etc(root, temp)
  for path, text in pairs(spec.files and spec.files(port) or {}) do
    make_folders(temp, path)
    write(temp .. "/" .. path, text)
  end
  local prepare = spec.prepare or ":"
  if type(prepare) == "function" then prepare = prepare(port) end
  write(temp .. "/prepare", "set -e\nmkdir -p /var/empty /var/lib /var/log /var/cache /var/spool /run/lock\n"
    .. "mkdir -p -m 1777 /var/tmp\nln -s /run /var/run\n" .. prepare .. "\nset +e\n")
end

--- Starts a server and does not wait: see daemons.ready.
-- @param name one of daemons.names, daemons.udp_names or daemons.tcp_names
-- @param dir the folder given to `fetch`
-- @return server { name, host, port, transports, service, product, pid }, or nil, message
function daemons.launch(name, dir)
  local spec = SERVERS[name]
  if not spec then
    return nil, ("no such test server: %s\n%s"):format(tostring(name), table.concat(BROKEN, "\n"))
  end
  local root = uv.fs_realpath(dir .. "/root")
  if not root then return nil, ("%s/root is missing; run tests/daemons/fetch %s"):format(dir, dir) end
  if (spec.netns or spec.host or spec.port) and not os.getenv("MYNAH_NETNS") then
    return nil, name .. " runs in a network namespace of its own only: tests/support/netns lua5.3 …"
  end
  local temp, port = make_temp(name), spec.port or ports.pick()
  -- A row that raises is that row's fault and leaves nothing behind.
  local ok, message = pcall(fill, root, temp, spec, port)
  local words
  if ok then ok, words = pcall(command_of, spec, port) message = words end
  if not ok then remove(temp) return nil, name .. ": " .. tostring(message) end
  local args = { root, temp }
  for _, word in ipairs(words) do args[#args + 1] = word end
  local process
  process, message = child.spawn(here .. "jail", args)
  if not process then remove(temp) return nil, message end
  return setmetatable({ name = name, host = spec.host or "127.0.0.1", port = port, family = spec.family,
    transports = spec.transports or { "tcp" }, service = spec.service, product = spec.product, said = spec.said,
    settle = spec.settle, pid = process.pid, process = process, temp = temp }, server_mt)
end

--- Waits till a launched server listens. @return server, or nil, message with what it printed
function daemons.ready(server, seconds)
  local process = server.process
  local deadline = uv.hrtime() + (seconds or 30) * 1e9
  while not listens(server) do
    if process.exit or uv.hrtime() > deadline then
      local said = process.errors .. table.concat(process.lines, "\n")
      server:stop()
      return nil, ("%s %s: %s"):format(server.name, process.exit and "ended at once (status "
        .. process.exit .. ")" or "does not listen on port " .. server.port, said)
    end
    child.wait(function() return process.exit end, 0.02)
  end
  if server.settle then child.wait(function() return process.exit end, server.settle / 1000) end
  return server
end

--- Starts one server and waits till it listens.
function daemons.start(name, dir)
  local server, message = daemons.launch(name, dir)
  if not server then return nil, message end
  return daemons.ready(server)
end

-- Names, families and `udp` as names of servers.
local function expand(words)
  local names = {}
  for _, word in ipairs(words) do
    local list = NAMES[word] or not SERVERS[word] and FAMILIES[word] or { word }
    for _, name in ipairs(list) do names[#names + 1] = name end
  end
  return names
end

-- Started side by side, so many at a time.
local AT_ONCE = 8

-- Starts them all and gives each, in order, to on_ready(server) or on_failure(name, message).
local function start_all(names, dir, servers, on_ready, on_failure)
  local launched, last = {}, 0
  for i, name in ipairs(names) do
    while last < math.min(#names, i + AT_ONCE - 1) do
      last = last + 1
      local server, message = daemons.launch(names[last], dir)
      launched[last] = server or message
      servers[#servers + 1] = server
    end
    local server, message = launched[i], launched[i]
    if type(server) == "table" then server, message = daemons.ready(server) else server = nil end
    if server then on_ready(server) else on_failure(name, message) end
  end
end

local function main()
  local json = require "cjson"
  local words, each = {}, false
  for _, word in ipairs(arg) do
    if word == "--each" then each = true else words[#words + 1] = word end
  end
  local dir = table.remove(words, 1)
  if not dir then
    io.stderr:write("usage: daemons.lua [--each] DIR [NAME...]\n")
    return 2
  end
  local names = #words > 0 and expand(words) or daemons.names
  for _, message in ipairs(BROKEN) do io.stderr:write("tests/daemons: ", message, "\n") end

  local over, input = false, ""
  local function finish() over = true end
  -- Kept: luv closes a handle that Lua lets go of.
  local handles = {}
  for i, signal in ipairs { "sigint", "sigterm", "sighup" } do
    handles[i] = uv.new_signal()
    handles[i]:start(signal, finish)
  end
  if uv.guess_handle(0) == "pipe" or uv.guess_handle(0) == "tty" then
    handles[0] = uv.guess_handle(0) == "tty" and uv.new_tty(0, true) or uv.new_pipe(false)
    if handles[0].open then handles[0]:open(0) end
    handles[0]:read_start(function(err, data)
      if err or not data then finish() else input = input .. data end
    end)
  end

  local servers, failed, ready = {}, false, 0
  local function say(row)
    print(json.encode(row))
    io.stdout:flush()
  end
  local function on_ready(server)
    if over then error("interrupted", 0) end
    ready = ready + 1
    for _, transport in ipairs(server.transports) do
      say { name = server.name, host = server.host, port = server.port, transport = transport, service = server.service,
        product = server.product, said = server.said, pid = server.pid, family = server.family }
    end
  end
  local function all()
    local again = {}
    start_all(names, dir, servers, on_ready, function(name, message)
      if not each then error(message, 0) end
      again[#again + 1] = name
    end)
    -- The second and last time.
    start_all(again, dir, servers, on_ready, function(name, message) say { name = name, failed = message } end)
    say { ready = ready }
    local gone = {}
    for _, server in ipairs(servers) do gone[server] = server.process.exit ~= nil end
    while not over do
      uv.run("once")
      for _, server in ipairs(servers) do
        if server.process.exit and not gone[server] and not over then
          gone[server] = true
          say { name = server.name, ended = server.process.errors .. table.concat(server.process.lines, "\n") }
        end
      end
      local line, rest = input:match("^([^\n]*)\n(.*)$")
      if line then
        input = rest
        start_all({ line:match("^again (%S+)$") }, dir, servers, on_ready,
          function(name, message) say { name = name, failed = message } end)
      end
    end
  end
  local ok, message = xpcall(all, function(m) return tostring(m) end)
  if not ok and not over then failed = true io.stderr:write("tests/daemons: ", message, "\n") end
  for _, server in ipairs(servers) do server.process:kill() end
  for _, server in ipairs(servers) do server:stop() end
  return failed and 3 or 0
end

if ... == "daemons" then return daemons end
os.exit(main(), true)
