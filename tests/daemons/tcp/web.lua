-- Web servers, the odd among them: see ../daemons.lua for what a row says.

-- A certificate of our own, made in the jail.
local CERTIFICATE = [[
printf '[req]\ndistinguished_name=dn\n[dn]\n' > /run/req.cnf
openssl req -config /run/req.cnf -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=web.example -days 30 \
  -keyout /run/key.pem -out /run/cert.pem 2>/dev/null
]]

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
    files = function(port) return { ["nginx.conf"] = NGINX:format(port, listen, lines) } end,
    prepare = CERTIFICATE .. "mkdir -p /var/www /var/lib/nginx /var/log/nginx; echo '<title>here</title>' > /var/www/index.html",
    command = function() return { "nginx", "-p", "/run/", "-c", "/mynah/nginx.conf", "-e", "/dev/null" } end }
  for key, value in pairs(more or {}) do row[key] = value end
  return row
end

local TLS = "ssl_certificate /run/cert.pem; ssl_certificate_key /run/key.pem; "

local servers = {
  ["nginx-tls"] = nginx("ssl", TLS, { tls = true }),
  ["nginx-tls12"] = nginx("ssl", TLS .. "ssl_protocols TLSv1.2;", { tls = true }),
  ["nginx-client-certificate"] = nginx("ssl", TLS .. "ssl_client_certificate /run/cert.pem; ssl_verify_client on;",
    { tls = true }),
  ["nginx-h2c"] = nginx("http2", "", { unsaid = true }),
  ["nginx-444"] = nginx("", "if ($host != 'known.example') { return 444; }"),
}

return { servers = servers }
