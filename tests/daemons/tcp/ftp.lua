-- FTP servers, plain and in TLS, and with greetings that mislead: see ../daemons.lua for what a row says.

local rows = require "rows"

local merge = rows.merge
local CERTIFICATE = rows.certificate "ftp.example" .. "chmod 600 /run/*.pem\n"

-- Its own sandbox wants namespaces inside ours and a seccomp list older than the kernel.
local VSFTPD = [[
listen=YES
listen_ipv6=NO
listen_address=%s
listen_port=%d
background=NO
anonymous_enable=YES
anon_root=/var/ftp
secure_chroot_dir=/var/empty
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
%s
]]

local function vsftpd(lines, more)
  return merge({ service = "ftp",
    files = function(port) return { ["vsftpd.conf"] = VSFTPD:format("127.0.0.1", port, lines) } end,
    prepare = CERTIFICATE .. "mkdir -p /var/ftp /var/empty",
    command = function() return { "vsftpd", "/mynah/vsftpd.conf" } end }, more)
end

local TLS = "ssl_enable=YES\nrsa_cert_file=/run/cert.pem\nrsa_private_key_file=/run/key.pem\nrequire_ssl_reuse=NO\n"

local PROFTPD = [[
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
%s
]]

local function proftpd(lines, more)
  return merge({ service = "ftp",
    files = function(port) return { ["proftpd.conf"] = PROFTPD:format(port, lines) } end,
    prepare = CERTIFICATE,
    command = function() return { "proftpd", "-n", "-q", "-c", "/mynah/proftpd.conf" } end }, more)
end

local PROFTPD_TLS = "LoadModule mod_tls.c\nTLSEngine on\n"
  .. "TLSECCertificateFile /run/cert.pem\nTLSECCertificateKeyFile /run/key.pem\n"

local function pureftpd(words, more)
  return merge({ service = "ftp", product = "pure%-ftpd",
    prepare = CERTIFICATE .. "mkdir -p /var/ftp /etc/ssl/private && cp /run/both.pem /etc/ssl/private/pure-ftpd.pem",
    command = function(port)
      local command = { "pure-ftpd", "-S", "127.0.0.1," .. port, "-H", "-4", "-g", "/run/pure-ftpd.pid" }
      for word in words:gmatch("%S+") do command[#command + 1] = word end
      return command
    end }, more)
end

-- A server that wants its connection as standard input, as inetd gives it.
local function inetd(command, more)
  return merge({ service = "ftp", prepare = "mkdir -p /var/ftp",
    command = function(port)
      return { "socat", ("TCP-LISTEN:%d,bind=127.0.0.1,reuseaddr,fork"):format(port), "EXEC:" .. command .. ",nofork" }
    end }, more)
end

-- vsftpd on the same port of 127.0.0.2, and before it what passes on every byte, but not as it came.
local FRONT = [[
import socket, sys, threading, time

port, way = int(sys.argv[1]), sys.argv[2]

def pass_on(source, sink, change):
    try:
        while True:
            data = source.recv(4096)
            if not data:
                break
            change(sink, data)
    except OSError:
        pass
    for end in source, sink:
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

def plainly(sink, data):
    sink.sendall(data)

def dripping(sink, data):
    for i in range(len(data)):
        sink.sendall(data[i:i + 1])
        time.sleep(1 if way == "drip" else 0)

def without_cr(sink, data):
    sink.sendall(data.replace(b"\r", b""))

def serve(client):
    if way == "late":
        time.sleep(25)
    server = socket.create_connection(("127.0.0.2", port))
    if way == "120":
        client.sendall(b"120 Service ready in 0 minutes\r\n")
        time.sleep(1)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    change = {"drip": dripping, "bytes": dripping, "lf": without_cr}.get(way, plainly)
    threading.Thread(target=pass_on, args=(client, server, plainly), daemon=True).start()
    pass_on(server, client, change)

listener = socket.create_server(("127.0.0.1", port), backlog=32)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
]]

local function fronted(way, lines, more)
  return merge({ service = "ftp",
    files = function(port) return { ["vsftpd.conf"] = VSFTPD:format("127.0.0.2", port, lines), ["front.py"] = FRONT } end,
    prepare = "mkdir -p /var/ftp /var/empty",
    command = function(port)
      return { "sh", "-c", "vsftpd /mynah/vsftpd.conf & exec python3 /mynah/front.py " .. port .. " " .. way }
    end }, more)
end

local PYFTPD = [[
import sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

authorizer = DummyAuthorizer()
authorizer.add_anonymous("/tmp")
FTPHandler.authorizer = authorizer
exec(sys.argv[2])
FTPServer(("127.0.0.1", int(sys.argv[1])), FTPHandler).serve_forever()
]]

local function pyftpdlib(lines, more)
  return merge({ service = "ftp", files = function() return { ["ftpd.py"] = PYFTPD } end,
    command = function(port) return { "python3", "/mynah/ftpd.py", port, lines } end }, more)
end

-- Connects, is greeted, and stays, so that a server for one client is taken.
local HOLD = [[
import socket, sys, time

while True:
    try:
        held = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        if held.recv(1):
            break
    except OSError:
        pass
    time.sleep(0.1)
time.sleep(3600)
]]

-- The server of a row that serves one client only, with that client. product: it is said to that client, not to us.
local function taken(row)
  local files, command = row.files or function() return {} end, row.command
  row.files = function(port) return merge(files(port), { ["hold.py"] = HOLD }) end
  row.command = function(port)
    local held = { "sh", "-c", 'python3 /mynah/hold.py "$0" & exec "$@"', port }
    for _, word in ipairs(command(port)) do held[#held + 1] = word end
    return held
  end
  row.settle, row.product = 1000, nil
  return row
end

local servers = {
  vsftpd = vsftpd("", { product = "vsftpd" }),
  ["vsftpd-banner"] = vsftpd("ftpd_banner=Welcome to the archive"),
  ["vsftpd-cyrillic"] = vsftpd("ftpd_banner=Добро пожаловать на сервер"),
  ["vsftpd-smtp-words"] = vsftpd("ftpd_banner=mail.example ESMTP Postfix ready"),
  ["vsftpd-auth-tls"] = vsftpd(TLS, { product = "vsftpd", extra = "TLS" }),
  ["vsftpd-tls"] = vsftpd(TLS .. "implicit_ssl=YES", { tls = true, product = "vsftpd" }),
  ["vsftpd-full"] = taken(vsftpd("max_clients=1")),

  proftpd = proftpd("", { product = "proftpd" }),
  ["proftpd-banner"] = proftpd('ServerName "here"\nServerIdent on "mynah is a bird"'),
  ["proftpd-unsaid"] = proftpd("ServerIdent off"),
  ["proftpd-auth-tls"] = proftpd(PROFTPD_TLS, { product = "proftpd", extra = "TLS" }),
  ["proftpd-tls"] = proftpd(PROFTPD_TLS .. "TLSOptions UseImplicitSSL", { tls = true, product = "proftpd" }),
  ["proftpd-full"] = taken(proftpd("MaxConnectionsPerHost 1")),

  ["pure-ftpd"] = pureftpd "",
  ["pure-ftpd-tls-may"] = pureftpd("-Y 1", { extra = "TLS" }),
  ["pure-ftpd-tls-must"] = pureftpd("-Y 3", { extra = "TLS" }),
  ["pure-ftpd-full"] = taken(pureftpd("-c 1")),

  ["inetutils-ftpd"] = inetd("/usr/sbin/ftpd"),
  ["ftpd-ssl"] = inetd("/usr/sbin/in.ftpd"),
  ["pyftpdlib"] = pyftpdlib("", { product = "pyftpdlib" }),
  ["pyftpdlib-blank"] = pyftpdlib("FTPHandler.banner = ''"),
  ["pyftpdlib-lines"] = pyftpdlib("FTPHandler.banner = 'first\\r\\nsecond line of four\\r\\nthird\\r\\nand the last'"),
  ["pyftpdlib-full"] = taken(pyftpdlib("FTPServer.max_cons = 1")),

  ["twisted-ftp"] = rows.run("ftp", "twistd3 -n --pidfile= ftp -p PORT -r /tmp"),

  ["ftp-late"] = fronted("late", "", { slow = true }),
  ["ftp-drip"] = fronted("drip", "ftpd_banner=slow", { slow = true }),
  ["ftp-bytes"] = fronted("bytes", ""),
  ["ftp-120"] = fronted("120", "ftpd_banner=now"),
  ["ftp-lf"] = fronted("lf", "ftpd_banner=lines"),
}

return { servers = servers }
