-- Web servers, the odd among them: see ../daemons.lua for what a row says.

local rows = require "rows"

local merge, with_file = rows.merge, rows.with_file
local CERTIFICATE = rows.certificate "web.example"

local PAGE = "mkdir -p /var/www; echo '<title>here</title>' > /var/www/index.html"

local NGINX = [[
daemon off;
user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log /dev/null;
events { worker_connections 64; }
http {
  access_log off;
  server {
    listen 127.0.0.1:%d %s;
    root /var/www;
    %s
  }
}
]]

-- nginx that listens as `listen` says, with more lines in its server block. unsaid: it does not tell its name.
local function nginx(listen, lines, more)
  local row = { service = "http", product = not (more and more.unsaid) and "nginx" or nil,
    files = function(port) return { ["nginx.conf"] = NGINX:format(port, listen, (lines:gsub("PORT", port))) } end,
    prepare = CERTIFICATE .. PAGE .. "; mkdir -p /var/lib/nginx /var/log/nginx",
    command = function() return { "nginx", "-p", "/run/", "-c", "/mynah/nginx.conf", "-e", "/dev/null" } end }
  return merge(row, more)
end

local TLS = "ssl_certificate /run/cert.pem; ssl_certificate_key /run/key.pem; "

local APACHE = [[
ServerRoot /run
ServerName localhost
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
]]

-- A server of /var/www that needs no file of its own.
local function page(product, command, more)
  local row = { service = "http", product = product, prepare = CERTIFICATE .. PAGE, command = command }
  return merge(row, more)
end

-- apache2 that listens as `listen` says (%d: the port), with more lines.
local function apache(listen, lines, more)
  local row = page("apache", function() return { "apache2", "-DFOREGROUND", "-f", "/mynah/apache.conf" } end, more)
  row.files = function(port) return { ["apache.conf"] = APACHE .. listen:format(port) .. "\n" .. lines } end
  return row
end

local function lighttpd(lines, more)
  return rows.with_file("http", "lighttpd.conf",
    'server.document-root = "/var/www"\nserver.bind = "127.0.0.1"\nserver.port = PORT\n' .. lines,
    "lighttpd -D -f /mynah/lighttpd.conf", merge({ product = "lighttpd", prepare = CERTIFICATE .. PAGE }, more))
end

-- haproxy with no server behind it; lines: more for its frontend, bind: more for its port.
local function haproxy(lines, bind)
  return { service = "http",
    files = function(port) return { ["haproxy.cfg"] = ([[
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
frontend front
  bind 127.0.0.1:%d%s
%s  default_backend none
backend none
]]):format(port, bind or "", lines) } end,
    command = function() return { "haproxy", "-db", "-f", "/mynah/haproxy.cfg" } end }
end

-- What scripts for the web look for: files that should not be there, a form, a comment, a cookie, a login.
local SITE = [[
mkdir -p /var/www/.git /var/www/sub /var/www/admin
printf '<html><head><title>A page</title><meta name="generator" content="Gen 1.2"><!-- a comment --></head>
<body><a href="/sub/">sub</a> <a href="page.html">page</a> mail me@example.com
<form action="/login" method="post"><input name="user"><input type="password" name="pw"></form>
<script src="http://other.example/x.js"></script></body></html>' > /var/www/index.html
printf 'User-agent: *\nDisallow: /secret\nDisallow: /admin\n' > /var/www/robots.txt
printf 'ref: refs/heads/main\n' > /var/www/.git/HEAD
printf '[core]\nbare = false\n[remote "origin"]\nurl = https://git.example/x.git\n' > /var/www/.git/config
printf 'a site\n' > /var/www/.git/description
printf 'an icon' > /var/www/favicon.ico
printf '<title>page</title>' > /var/www/page.html
cp /var/www/page.html /var/www/page.html.bak
printf 'text\n' > /var/www/sub/a.txt
touch -d 2020-01-01 /var/www/sub/a.txt
]]
local SITE_LINES = [[autoindex on;
    add_header X-Frame-Options DENY; add_header Set-Cookie "PHPSESSID=abc"; add_header X-Powered-By PHP/5.3.0;
    location /login { return 302 /sub/; }]]

-- It refuses to be root, but for the time that it takes to become somebody else.
local ICECAST = [[
<icecast>
  <limits><sources>2</sources></limits>
  <authentication>
    <source-password>a</source-password><admin-user>a</admin-user><admin-password>a</admin-password>
  </authentication>
  <hostname>localhost</hostname>
  <listen-socket><port>PORT</port><bind-address>127.0.0.1</bind-address></listen-socket>
  <paths>
    <basedir>/usr/share/icecast2</basedir><logdir>/run</logdir>
    <webroot>/usr/share/icecast2/web</webroot><adminroot>/usr/share/icecast2/admin</adminroot>
  </paths>
  <security><changeowner><user>nobody</user><group>nogroup</group></changeowner></security>
</icecast>
]]

local servers = {
  nginx = nginx("", ""),
  darkstat = page("darkstat", function(port) return { "darkstat", "-i", "lo", "-p", port, "-b", "127.0.0.1", "--no-daemon",
    "--chroot", "/tmp", "--user", "nobody" } end),
  icecast = with_file("http", "icecast.xml", ICECAST, "icecast2 -c /mynah/icecast.xml", { product = "icecast",
    prepare = "chmod 777 /run" }),
  -- One after the other, within TLS: each gets its turn when the one before is gone.
  ["openssl-www"] = page(nil, function(port) return { "openssl", "s_server", "-accept", "127.0.0.1:" .. port, "-cert",
    "/run/cert.pem", "-key", "/run/key.pem", "-www", "-quiet" } end, { tls = true, slow = true }),
  ["nginx-site"] = nginx("", SITE_LINES, { prepare = CERTIFICATE .. SITE .. "mkdir -p /var/lib/nginx /var/log/nginx" }),
  ["nginx-tls"] = nginx("ssl", TLS, { tls = true }),
  ["nginx-tls12"] = nginx("ssl", TLS .. "ssl_protocols TLSv1.2;", { tls = true }),
  ["nginx-client-certificate"] = nginx("ssl", TLS .. "ssl_client_certificate /run/cert.pem; ssl_verify_client on;",
    { tls = true }),
  ["nginx-h2c"] = nginx("http2", "", { unsaid = true }),
  ["nginx-h2-tls"] = nginx("ssl http2", TLS, { tls = true }),
  ["nginx-444"] = nginx("", "if ($host != 'known.example') { return 444; }"),
  ["nginx-444-tls"] = nginx("ssl", TLS .. "if ($host != 'known.example') { return 444; }", { tls = true }),
  ["nginx-proxy-protocol"] = nginx("proxy_protocol", ""),
  ["nginx-401"] = nginx("", "auth_basic here; auth_basic_user_file /run/none;"),
  ["nginx-403"] = nginx("", "deny all;"),
  ["nginx-only-head"] = nginx("", "if ($request_method != HEAD) { return 444; }"),
  ["nginx-only-options"] = nginx("", "if ($request_method != OPTIONS) { return 444; }"),
  ["nginx-405"] = nginx("", "return 405;"),
  ["nginx-426"] = nginx("", "return 426;"),
  ["nginx-501"] = nginx("", "return 501;"),
  ["nginx-503"] = nginx("", "return 503;"),
  ["nginx-redirect"] = nginx("", "return 301 https://elsewhere.example/;"),
  ["nginx-bare-404"] = nginx("", "return 404 '';"),
  ["nginx-tls-sni"] = nginx("ssl", TLS .. "} server { listen 127.0.0.1:PORT ssl default_server; ssl_reject_handshake on;",
    { tls = true }),

  apache2 = apache("Listen 127.0.0.1:%d", ""),
  ["apache2-tls"] = apache("Listen 127.0.0.1:%d https", [[
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
LoadModule socache_shmcb_module /usr/lib/apache2/modules/mod_socache_shmcb.so
SSLEngine on
SSLCertificateFile /run/cert.pem
SSLCertificateKeyFile /run/key.pem
]], { tls = true }),
  ["apache2-only-post"] = apache("Listen 127.0.0.1:%d", [[
LoadModule authz_host_module /usr/lib/apache2/modules/mod_authz_host.so
<Location />
<LimitExcept POST>
Require all denied
</LimitExcept>
</Location>
]]),
  ["apache2-strict-host"] = apache("Listen 127.0.0.1:%d", "HttpProtocolOptions Strict RegisteredMethods Require1.0\n"),
  lighttpd = lighttpd('server.username = "www-data"\nserver.groupname = "www-data"\nindex-file.names = ( "index.html" )\n'),
  ["lighttpd-tls"] = lighttpd(
    'server.modules = ( "mod_openssl" )\nssl.engine = "enable"\nssl.pemfile = "/run/cert.pem"\nssl.privkey = "/run/key.pem"\n',
    { tls = true }),
  ["busybox-httpd"] = page(nil, function(port) return { "busybox", "httpd", "-f", "-p", "127.0.0.1:" .. port, "-h",
    "/var/www" } end),
  webfs = page("webfs", function(port) return { "webfsd", "-F", "-i", "127.0.0.1", "-p", port, "-r", "/var/www", "-f",
    "index.html" } end),
  ["mini-httpd"] = page("mini_httpd", function(port) return { "mini_httpd", "-D", "-h", "127.0.0.1", "-p", port, "-d",
    "/var/www" } end),
  ["micro-httpd"] = page("micro_httpd", function(port) return { "socat",
    ("TCP-LISTEN:%d,bind=127.0.0.1,fork,reuseaddr"):format(port), "EXEC:micro-httpd /var/www" } end),
  merecat = page("merecat", function(port) return { "merecat", "-n", "-p", port, "/var/www" } end),
  ["python-http"] = page("simplehttp", function(port) return { "python3", "-m", "http.server", "--bind", "127.0.0.1",
    "--directory", "/var/www", port } end),
  ["twisted-web"] = page("twisted", function(port) return { "twistd3", "-n", "--pidfile=", "web", "--listen",
    ("tcp:%d:interface=127.0.0.1"):format(port), "--path", "/var/www" } end),
  ["caddy-files"] = page("caddy", function(port) return { "caddy", "file-server", "--root", "/var/www", "--listen",
    "127.0.0.1:" .. port } end),
  ["nghttpd-h2c"] = page(nil, function(port) return { "nghttpd", "--no-tls", "-a", "127.0.0.1", "-d", "/var/www", port } end),
  ["nghttpd-tls"] = page(nil, function(port) return { "nghttpd", "-a", "127.0.0.1", "-d", "/var/www", port, "/run/key.pem",
    "/run/cert.pem" } end, { tls = true }),
  tinyproxy = { service = "http", product = "tinyproxy",
    files = function(port) return { ["tinyproxy.conf"] = ("Port %d\nListen 127.0.0.1\nTimeout 60\n"):format(port) } end,
    command = function() return { "tinyproxy", "-d", "-c", "/mynah/tinyproxy.conf" } end },
  privoxy = { service = "http",
    files = function(port) return { ["privoxy.conf"] = ("listen-address 127.0.0.1:%d\n"):format(port) } end,
    prepare = "cp -r /.etc/privoxy /etc/",
    command = function() return { "privoxy", "--no-daemon", "/mynah/privoxy.conf" } end },
  squid = { service = "http", product = "squid",
    files = function(port) return { ["squid.conf"] = ([[
http_port 127.0.0.1:%d
visible_hostname here.example
pid_filename none
cache_log /dev/null
access_log none
cache_effective_user www-data
pinger_enable off
http_access deny all
]]):format(port) } end,
    prepare = "mkdir -p /var/spool/squid /etc/squid; cp -r /.etc/squid/* /etc/squid/",
    command = function() return { "squid", "-N", "-f", "/mynah/squid.conf" } end },
  ["haproxy-503"] = haproxy "",
  ["haproxy-refuses-get"] = haproxy "  http-request reject if METH_GET\n",
  ["haproxy-silent-drop"] = haproxy("  http-request silent-drop if METH_GET\n"),
  ["haproxy-proxy-protocol"] = haproxy("", " accept-proxy"),
}

-- Frameworks, tried by their least program.
local function script(words, path, text, product, more)
  local row = page(product, function(port)
    local list = {}
    for word in words:gmatch("%S+") do list[#list + 1] = (word:gsub("PORT", port)) end
    return list
  end, more)
  row.files = function(port) return { [path] = (text:gsub("PORT", port)) } end
  return row
end

local WSGI = "def app(environ, start):\n  start('200 OK', [('Content-Type', 'text/html')])\n  return [b'<title>here</title>']\n"
local ASGI = [[
async def app(scope, receive, send):
  if scope['type'] == 'http':
    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-type', b'text/html')]})
    await send({'type': 'http.response.body', 'body': b'<title>here</title>'})
]]

for name, row in pairs {
  h2o = script("h2o -c /mynah/h2o.conf", "h2o.conf", [[
listen: {host: 127.0.0.1, port: PORT}
hosts: {"here.example": {paths: {"/": {file.dir: /var/www}}}}
]], "h2o"),
  ["h2o-tls"] = script("h2o -c /mynah/h2o.conf", "h2o.conf", [[
listen: {host: 127.0.0.1, port: PORT, ssl: {certificate-file: /run/cert.pem, key-file: /run/key.pem}}
hosts: {"here.example": {paths: {"/": {file.dir: /var/www}}}}
]], "h2o", { tls = true }),
  php = script("php8.2 -S 127.0.0.1:PORT /mynah/here.php", "here.php", "<title>here</title>\n"),
  webrick = script("ruby /mynah/here.rb", "here.rb", [[
require 'webrick'
WEBrick::HTTPServer.new(BindAddress: '127.0.0.1', Port: PORT, DocumentRoot: '/var/www').start
]], "webrick"),
  gunicorn = script("gunicorn -b 127.0.0.1:PORT here:app", "here.py", WSGI, "gunicorn"),
  waitress = script("python3 here.py", "here.py", WSGI .. "import waitress\nwaitress.serve(app, listen='127.0.0.1:PORT')\n",
    "waitress"),
  tornado = script("python3 here.py", "here.py", [[
import asyncio, tornado.web
async def main():
  tornado.web.Application([]).listen(PORT, '127.0.0.1')
  await asyncio.Event().wait()
asyncio.run(main())
]], "tornado"),
  aiohttp = script("python3 here.py", "here.py", [[
from aiohttp import web
web.run_app(web.Application(), host='127.0.0.1', port=PORT)
]], "python"),
  -- Says 426 to who is no WebSocket.
  websockets = script("python3 here.py", "here.py", [[
import asyncio, websockets
async def main():
  async with websockets.serve(lambda socket: None, '127.0.0.1', PORT): await asyncio.Event().wait()
asyncio.run(main())
]], "python"),
  hypercorn = script("python3 -m hypercorn -b 127.0.0.1:PORT here:app", "here.py", ASGI, "hypercorn"),
  ["hypercorn-tls"] = script("python3 -m hypercorn --certfile /run/cert.pem --keyfile /run/key.pem -b 127.0.0.1:PORT here:app",
    "here.py", ASGI, "hypercorn", { tls = true }),
  uvicorn = script("python3 -m uvicorn --host 127.0.0.1 --port PORT here:app", "here.py", ASGI, "uvicorn"),
  node = script("node here.js", "here.js", "require('http').createServer((q, r) => r.end('here')).listen(PORT, '127.0.0.1')\n"),
  ["node-h2c"] = script("node here.js", "here.js", [[
require('http2').createServer((q, r) => r.end('here')).listen(PORT, '127.0.0.1')
]]),
  ["node-h2-tls"] = script("node here.js", "here.js", [[
const fs = require('fs')
require('http2').createSecureServer({ key: fs.readFileSync('/run/key.pem'), cert: fs.readFileSync('/run/cert.pem') },
  (q, r) => r.end('here')).listen(PORT, '127.0.0.1')
]], nil, { tls = true }),
  -- Its sockets close without a word where nobody upgrades.
  ["node-upgrade-only"] = script("node here.js", "here.js", [[
require('http').createServer((q, r) => q.socket.destroy()).on('upgrade', (q, s) => s.end('HTTP/1.1 101 OK\r\n\r\n'))
  .listen(PORT, '127.0.0.1')
]]),
  hitch = script("hitch --config=/mynah/hitch.conf", "hitch.conf", [[
frontend = { host = "127.0.0.1" port = "PORT" }
backend = "/run/micro"
pem-file = "/run/both.pem"
user = "www-data"
]], nil, { tls = true, prepare = CERTIFICATE .. "cat /run/key.pem /run/cert.pem > /run/both.pem\n" .. PAGE
      .. "\nsocat UNIX-LISTEN:/run/micro,fork,mode=666 EXEC:'micro-httpd /var/www' &\n"
      .. "until [ -S /run/micro ]; do sleep 0.05; done" }),
  cups = script("cupsd -f -c /mynah/cupsd.conf -s /mynah/files.conf", "cupsd.conf", "Listen 127.0.0.1:PORT\n", "cups"),
  websocketd = script("websocketd --address=127.0.0.1 --port=PORT cat", "none", ""),
  ["aria2-rpc"] = script("aria2c --enable-rpc --rpc-listen-port=PORT", "none", ""),
  ["transmission-web"] = script("transmission-daemon -f --no-portmap --no-dht -p PORT -r 127.0.0.1 -g /run/t", "none", ""),
} do servers[name] = row end

return { servers = servers }
