-- daemons.lua - starts the real servers that `fetch` brought, on loopback ports that give nothing away.
--
--   lua5.3 tests/daemons/daemons.lua DIR [NAME…]     DIR: what was given to `fetch`; no NAME: all of them
--
-- prints one JSON line for each port once it listens:
--   {"name":"vsftpd","host":"127.0.0.1","port":24123,"transport":"tcp","service":"ftp","product":"vsftpd","pid":77}
-- then {"ready":N}, and runs until its standard input ends or SIGINT, SIGTERM comes; then every server is gone.
-- As a module: daemons.start(name, dir) -> server | nil, message; server:stop().
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
--   service, product  what it must be called; product as a lower-case word that the name given must contain, nil where
--                     the server does not say it to a stranger (or only some would ask)
--   transports        where it listens
--   files(port)       path below /mynah -> text
--   prepare           shell, run in the jail as its root before the server
--   command(port)     the server's arguments
local SERVERS = {
  vsftpd = { service = "ftp", product = "vsftpd",
    -- Its own sandbox wants namespaces inside ours and a seccomp list older than the kernel.
    files = function(port) return { ["vsftpd.conf"] = ([[
listen=YES
listen_ipv6=NO
listen_address=127.0.0.1
listen_port=%d
background=NO
anonymous_enable=YES
anon_root=/var/ftp
secure_chroot_dir=/var/empty
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
]]):format(port) } end,
    prepare = "mkdir -p /var/ftp /var/empty",
    command = function() return { "vsftpd", "/mynah/vsftpd.conf" } end },

  proftpd = { service = "ftp", product = "proftpd",
    files = function(port) return { ["proftpd.conf"] = ([[
ServerType standalone
DefaultAddress 127.0.0.1
SocketBindTight on
Port %d
User proftpd
Group nogroup
UseReverseDNS off
UseIPv6 off
PidFile /run/proftpd.pid
ScoreboardFile /run/proftpd.scoreboard
DelayTable /run/proftpd.delay
WtmpLog off
TransferLog none
SystemLog none
RequireValidShell off
]]):format(port) } end,
    command = function() return { "proftpd", "-n", "-q", "-c", "/mynah/proftpd.conf" } end },

  ["pure-ftpd"] = { service = "ftp", product = "pure%-ftpd",
    prepare = "mkdir -p /var/ftp",
    command = function(port) return { "pure-ftpd", "-S", "127.0.0.1," .. port, "-H", "-4", "-g",
      "/run/pure-ftpd.pid" } end },

  nginx = { service = "http", product = "nginx",
    files = function(port) return { ["nginx.conf"] = ([[
daemon off;
user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log /dev/null;
events { worker_connections 64; }
http {
  access_log off;
  server { listen 127.0.0.1:%d; root /var/www; }
}
]]):format(port) } end,
    prepare = "mkdir -p /var/www /var/lib/nginx /var/log/nginx; echo '<title>nginx here</title>' > /var/www/index.html",
    command = function() return { "nginx", "-p", "/run/", "-c", "/mynah/nginx.conf", "-e", "/dev/null" } end },

  apache2 = { service = "http", product = "apache",
    files = function(port) return { ["apache.conf"] = ([[
ServerRoot /run
ServerName localhost
Listen 127.0.0.1:%d
PidFile /run/apache2.pid
Mutex file:/run default
User www-data
Group www-data
ErrorLog /dev/null
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
ServerLimit 1
StartServers 1
ThreadsPerChild 8
MaxRequestWorkers 8
DocumentRoot /var/www
]]):format(port) } end,
    prepare = "mkdir -p /var/www; echo '<title>apache here</title>' > /var/www/index.html",
    command = function() return { "apache2", "-DFOREGROUND", "-f", "/mynah/apache.conf" } end },

  lighttpd = { service = "http", product = "lighttpd",
    files = function(port) return { ["lighttpd.conf"] = ([[
server.document-root = "/var/www"
server.bind = "127.0.0.1"
server.port = %d
server.username = "www-data"
server.groupname = "www-data"
index-file.names = ( "index.html" )
]]):format(port) } end,
    prepare = "mkdir -p /var/www; echo '<title>lighttpd here</title>' > /var/www/index.html",
    command = function() return { "lighttpd", "-D", "-f", "/mynah/lighttpd.conf" } end },

  opensmtpd = { service = "smtp", product = "opensmtpd",
    files = function(port) return { ["smtpd.conf"] = ([[
listen on 127.0.0.1 port %d hostname mail.example
action "nowhere" relay
match from local for any action "nowhere"
]]):format(port) } end,
    prepare = "mkdir -p -m 711 /var/spool/smtpd /var/lib/opensmtpd /var/lib/opensmtpd/empty /run/opensmtpd /var/empty",
    command = function() return { "smtpd", "-d", "-f", "/mynah/smtpd.conf" } end },

  exim4 = { service = "smtp", product = "exim",
    -- It keeps root only for the configuration whose path was compiled in, so it is put there.
    files = function(port) return { ["etc/exim4/exim4.conf"] = ([[
primary_hostname = mail.example
local_interfaces = <; 127.0.0.1
daemon_smtp_ports = %d
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
keep_environment =
acl_smtp_rcpt = deny
begin acl
deny:
  deny
begin routers
begin transports
]]):format(port) } end,
    prepare = "mkdir -p /var/spool/exim4 /var/log/exim4 && chown -R Debian-exim:Debian-exim /var/spool/exim4 /var/log/exim4",
    command = function() return { "exim4", "-bdf", "-oP", "/run/exim4.pid" } end },

  dictd = { service = "dict", product = "dictd",
    files = function() return {
      ["dictd.conf"] = [[
global { listen_to 127.0.0.1 }
access { allow * }
database birds { data "/mynah/birds.dict" index "/mynah/birds.index" }
]],
      -- An index line: headword, offset and length in the base 64 of dictd.
      ["birds.index"] = "mynah\tA\tU\n",
      ["birds.dict"] = "mynah\n a bird saying\n",
    } end,
    command = function(port) return { "dictd", "-d", "nodetach", "-c", "/mynah/dictd.conf", "-p", tostring(port),
      "--listen-to", "127.0.0.1" } end },

  sshd = { service = "ssh", product = "openssh",
    files = function(port) return { ["sshd_config"] = ([[
ListenAddress 127.0.0.1:%d
HostKey /run/sshd_key
PidFile /run/sshd.pid
UsePAM no
UseDNS no
]]):format(port) } end,
    prepare = "mkdir -p /run/sshd && ssh-keygen -q -t ed25519 -N '' -f /run/sshd_key",
    command = function() return { "/usr/sbin/sshd", "-D", "-e", "-f", "/mynah/sshd_config" } end },

  redis = { service = "redis", said = "redis",
    command = function(port) return { "redis-server", "--bind", "127.0.0.1", "--port", tostring(port), "--save", "",
      "--dir", "/tmp", "--daemonize", "no" } end },

  memcached = { service = "memcached", said = "memcached",
    command = function(port) return { "memcached", "-l", "127.0.0.1", "-p", tostring(port), "-U", "0", "-u", "memcache",
      "-m", "16", "-t", "1" } end },

  bind9 = { service = "domain", said = "bind", transports = { "tcp", "udp" },
    files = function(port) return { ["named.conf"] = ([[
options {
  directory "/var/cache/bind";
  pid-file none;
  session-keyfile none;
  listen-on port %d { 127.0.0.1; };
  listen-on-v6 { none; };
  recursion no;
  dnssec-validation no;
};
controls { };
zone "example" { type primary; file "/mynah/example.zone"; };
]]):format(port), ["example.zone"] = "@ 60 IN SOA ns root 1 60 60 60 60\n@ 60 IN NS ns\nns 60 IN A 127.0.0.1\n" } end,
    prepare = "mkdir -p /var/cache/bind",
    command = function() return { "named", "-f", "-n", "1", "-c", "/mynah/named.conf" } end },
}

daemons.names = { "vsftpd", "proftpd", "pure-ftpd", "nginx", "apache2", "lighttpd", "opensmtpd", "exim4", "dictd", "sshd",
  "redis", "memcached", "bind9" }

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

local function write_etc(temp)
  local passwd, group, shadow = {}, { "nogroup:x:65534:", "winbindd_priv:x:900:" }, {}
  -- Who is not root has one number only, in a namespace where it passes for root's.
  local real = uv.getuid() == 0
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

-- Whether somebody accepts on 127.0.0.1:port: looked up in the kernel's table, so that no connection of ours is the first
-- that a server sees.
local function listens(port)
  local file = io.open("/proc/net/tcp")
  if not file then return false end
  local text = file:read("*a")
  file:close()
  return text:find((":%04X 00000000:0000 0A"):format(port), 1, true) ~= nil
end

local server_mt = {}
server_mt.__index = server_mt

--- Ends the server and removes its folder. Harmless a second time.
function server_mt:stop()
  self.process:stop()
  remove(self.temp)
end

--- Starts a server and does not wait: see daemons.ready.
-- @param name one of daemons.names
-- @param dir the folder given to `fetch`
-- @return server { name, host, port, transports, service, product, pid }, or nil, message
function daemons.launch(name, dir)
  local spec = SERVERS[name]
  if not spec then return nil, "no such test server: " .. tostring(name) end
  local root = uv.fs_realpath(dir .. "/root")
  if not root then return nil, ("%s/root is missing; run tests/daemons/fetch %s"):format(dir, dir) end
  local temp, port = make_temp(name), ports.pick()
  uv.fs_chmod(temp, 493)
  uv.fs_mkdir(temp .. "/etc", 493)
  write_etc(temp)
  for path, text in pairs(spec.files and spec.files(port) or {}) do
    make_folders(temp, path)
    write(temp .. "/" .. path, text)
  end
  write(temp .. "/prepare", "set -e\nmkdir -p /var/empty\nln -s /run /var/run\n" .. (spec.prepare or ":") .. "\n")
  local args = { root, temp }
  for _, word in ipairs(spec.command(port)) do args[#args + 1] = word end
  local process, message = child.spawn(here .. "jail", args)
  if not process then remove(temp) return nil, message end
  return setmetatable({ name = name, host = "127.0.0.1", port = port, transports = spec.transports or { "tcp" },
    service = spec.service, product = spec.product, said = spec.said, pid = process.pid, process = process, temp = temp },
    server_mt)
end

--- Waits till a launched server listens. @return server, or nil, message with what it printed
function daemons.ready(server, seconds)
  local process = server.process
  local deadline = uv.hrtime() + (seconds or 30) * 1e9
  while not listens(server.port) do
    if process.exit or uv.hrtime() > deadline then
      local said = process.errors .. table.concat(process.lines, "\n")
      server:stop()
      return nil, ("%s %s: %s"):format(server.name, process.exit and "ended at once (status "
        .. process.exit .. ")" or "does not listen", said)
    end
    child.wait(function() return process.exit end, 0.02)
  end
  return server
end

--- Starts one server and waits till it listens.
function daemons.start(name, dir)
  local server, message = daemons.launch(name, dir)
  if not server then return nil, message end
  return daemons.ready(server)
end

local function main()
  local json = require "cjson"
  local dir, names = arg[1], {}
  if not dir then
    io.stderr:write("usage: daemons.lua DIR [NAME...]\n")
    return 2
  end
  for i = 2, #arg do names[#names + 1] = arg[i] end
  if #names == 0 then names = daemons.names end

  local over = false
  local function finish() over = true end
  for _, signal in ipairs { "sigint", "sigterm", "sighup" } do uv.new_signal():start(signal, finish) end
  if uv.guess_handle(0) == "pipe" then
    local stdin = uv.new_pipe(false)
    stdin:open(0)
    stdin:read_start(function(err, data) if err or not data then finish() end end)
  end

  local servers, failed = {}, false
  local function all()
    for _, name in ipairs(names) do
      servers[#servers + 1] = assert(daemons.launch(name, dir))
    end
    for _, server in ipairs(servers) do
      if over then return end
      assert(daemons.ready(server))
      for _, transport in ipairs(server.transports) do
        print(json.encode { name = server.name, host = server.host, port = server.port, transport = transport,
          service = server.service, product = server.product, said = server.said, pid = server.pid })
      end
    end
    print(json.encode { ready = #servers })
    io.stdout:flush()
    while not over do uv.run("once") end
  end
  local ok, message = xpcall(all, function(m) return tostring(m) end)
  if not ok then failed = true io.stderr:write("tests/daemons: ", message, "\n") end
  for _, server in ipairs(servers) do server.process:kill() end
  for _, server in ipairs(servers) do server:stop() end
  return failed and 3 or 0
end

if ... == "daemons" then return daemons end
os.exit(main(), true)
