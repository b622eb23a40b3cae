-- Servers that are no FTP, HTTP or Skype and say so: mail, news, chat, screens, databases, tunnels. See ../daemons.lua for what a
-- row says; `unnamed`: it tells a stranger nothing that could name it, so that any name is wrong.

local rows = require "rows"

local merge, run, with_file = rows.merge, rows.run, rows.with_file
local CERTIFICATE = rows.certificate "other.example"

local DOVECOT = [[
protocols = %s
listen = 127.0.0.1
base_dir = /run/dovecot
state_dir = /run/dovecot
default_internal_user = dovecot
default_internal_group = nogroup
default_login_user = dovenull
ssl = no
log_path = /dev/null
passdb {
  driver = static
  args = nopassword=y
}
service %s {
  chroot =
  inet_listener %s {
    port = %d
  }
  %s
}
]]

-- One of dovecot's protocols; the others of the same process listen nowhere.
local function dovecot(service, protocol, process, listener, more)
  local others = { imap = "inet_listener imaps { port = 0 }", pop3 = "inet_listener pop3s { port = 0 }" }
  return { service = service,
    files = function(port)
      return { ["dovecot.conf"] = DOVECOT:format(protocol, process, listener, port, (others[protocol] or "")
        :gsub("{ (.-) }", "{\n%1\n}")) }
    end,
    product = more and more.product,
    prepare = "mkdir -p /run/dovecot /var/lib/dovecot",
    command = function() return { "dovecot", "-F", "-c", "/mynah/dovecot.conf" } end }
end

-- What a shell line says to each connection.
local function shell(service, line, more)
  local row = { service = service,
    files = function() return { ["peer.sh"] = line .. "\n" } end,
    command = function(port)
      return { "socat", ("TCP-LISTEN:%d,bind=127.0.0.1,reuseaddr,fork"):format(port), "EXEC:sh /mynah/peer.sh" }
    end }
  return merge(row, more)
end

local STUNNEL = [[
foreground = yes
pid =
debug = 0
[inside]
accept = 127.0.0.1:PORT
cert = /run/cert.pem
key = /run/key.pem
exec = /bin/sh
execArgs = sh /mynah/inside.sh
]]

-- TLS with what a shell line says inside.
local function stunnel(service, line, more)
  local row = with_file(service, "stunnel.conf", STUNNEL, "stunnel4 /mynah/stunnel.conf", { tls = true, prepare = CERTIFICATE })
  local files = row.files
  row.files = function(port)
    local all = files(port)
    all["inside.sh"] = line .. "\n"
    return all
  end
  return merge(row, more)
end

local SLAPD = [[
moduleload back_mdb
include /.etc/ldap/schema/core.schema
pidfile /run/slapd.pid
database mdb
suffix "dc=example"
directory /run/ldap
]]

local servers = {
  opensmtpd = with_file("smtp", "smtpd.conf", [[
listen on 127.0.0.1 port PORT hostname mail.example
action "nowhere" relay
match from local for any action "nowhere"
]], "smtpd -d -f /mynah/smtpd.conf", { product = "opensmtpd",
    prepare = "mkdir -p -m 711 /var/spool/smtpd /var/lib/opensmtpd /var/lib/opensmtpd/empty /run/opensmtpd /var/empty" }),
  -- It keeps root only for the configuration whose path was compiled in, so it is put there.
  exim4 = with_file("smtp", "etc/exim4/exim4.conf", [[
primary_hostname = mail.example
local_interfaces = <; 127.0.0.1
daemon_smtp_ports = PORT
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
]], "exim4 -bdf -oP /run/exim4.pid", { product = "exim",
    prepare = "mkdir -p /var/spool/exim4 /var/log/exim4 && chown -R Debian-exim:Debian-exim /var/spool/exim4 /var/log/exim4" }),
  dictd = run("dict", "dictd -d nodetach -c /mynah/dictd.conf -p PORT --listen-to 127.0.0.1", { product = "dictd",
    files = function() return {
      ["dictd.conf"] = [[
global { listen_to 127.0.0.1 }
access { allow * }
database birds { data "/mynah/birds.dict" index "/mynah/birds.index" }
]],
      -- An index line: headword, offset and length in the base 64 of dictd.
      ["birds.index"] = "mynah\tA\tU\n",
      ["birds.dict"] = "mynah\n a bird saying\n",
    } end }),
  sshd = with_file("ssh", "sshd_config", [[
ListenAddress 127.0.0.1:PORT
HostKey /run/sshd_key
PidFile /run/sshd.pid
UsePAM no
UseDNS no
]], "/usr/sbin/sshd -D -e -f /mynah/sshd_config", { product = "openssh",
    prepare = "mkdir -p /run/sshd && ssh-keygen -q -t ed25519 -N '' -f /run/sshd_key" }),
  redis = run("redis", "redis-server --bind 127.0.0.1 --port PORT --dir /tmp --daemonize no", { said = "redis" }),
  memcached = run("memcached", "memcached -l 127.0.0.1 -p PORT -U 0 -u memcache -m 16 -t 1", { said = "memcached" }),
  bind9 = run("domain", "named -f -n 1 -c /mynah/named.conf", { said = "bind", transports = { "tcp", "udp" },
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
    prepare = "mkdir -p /var/cache/bind" }),

  dropbear = run("ssh", "dropbear -F -E -p 127.0.0.1:PORT -r /run/key", { product = "dropbear",
    prepare = "dropbearkey -t ed25519 -f /run/key >/dev/null" }),
  ["dovecot-imap"] = dovecot("imap", "imap", "imap-login", "imap", { product = "dovecot" }),
  ["dovecot-pop3"] = dovecot("pop3", "pop3", "pop3-login", "pop3", { product = "dovecot" }),
  ["dovecot-lmtp"] = dovecot("lmtp", "lmtp", "lmtp", "lmtp"),
  ngircd = with_file("irc", "ngircd.conf", "[Global]\nName = irc.example\nInfo = here\nListen = 127.0.0.1\nPorts = PORT\n"
    .. "MotdPhrase = hello\nServerUID = root\nServerGID = root\n[Options]\nDNS = no\nIdent = no\nPAM = no\n",
    "ngircd -n -f /mynah/ngircd.conf"),
  inspircd = with_file("irc", "inspircd.conf", '<server name="irc.example" description="here" network="net">\n'
    .. '<admin name="a" nick="a" email="a@example">\n<bind address="127.0.0.1" port="PORT" type="clients">\n'
    .. '<connect allow="*" resolvehostnames="no">\n<pid file="/run/inspircd.pid">\n',
    "inspircd --nofork --runasroot --config /mynah/inspircd.conf"),
  mosquitto = with_file("mqtt", "mosquitto.conf", "listener PORT 127.0.0.1\nallow_anonymous true\nuser root\n",
    "mosquitto -c /mynah/mosquitto.conf"),
  ["mosquitto-login"] = with_file("mqtt", "mosquitto.conf", "listener PORT 127.0.0.1\nallow_anonymous false\nuser root\n",
    "mosquitto -c /mynah/mosquitto.conf"),
  ["unbound-tcp"] = with_file("domain", "unbound.conf", 'server:\n interface: 127.0.0.1@PORT\n do-udp: no\n chroot: ""\n'
    .. ' username: ""\n directory: "/mynah"\n pidfile: ""\n use-syslog: no\n do-daemonize: no\n'
    .. 'remote-control:\n control-enable: no\n',
    "unbound -d -c /mynah/unbound.conf"),
  slapd = with_file("ldap", "slapd.conf", SLAPD, "slapd -d 0 -h ldap://127.0.0.1:PORT -f /mynah/slapd.conf",
    { prepare = "mkdir -p /run/ldap" }),
  tigervnc = run("vnc", "Xtigervnc :77 -rfbport PORT -interface 127.0.0.1 -SecurityTypes None -nolisten tcp -nolisten unix"),
  xvfb = { service = "x11",
    command = function(port)
      return { "sh", "-c", ("Xvfb :%d -listen tcp -noreset -nolisten unix -ac"):format(port - 6000) }
    end },
  xrdp = with_file("ms-wbt-server", "xrdp.ini", "[Globals]\nini_version=1\nfork=true\nport=tcp://127.0.0.1:PORT\n"
    .. "security_layer=negotiate\ncertificate=/run/cert.pem\nkey_file=/run/key.pem\nautorun=\n[Logging]\nLogFile=/dev/null\n"
    .. "EnableSyslog=false\n[Channels]\n[Xorg]\nname=x\nlib=libxup.so\n", "xrdp --nodaemon --config /mynah/xrdp.ini",
    { prepare = CERTIFICATE .. "mkdir -p /etc/xrdp && cp -r /.etc/xrdp/. /etc/xrdp; "
      .. "xrdp-keygen xrdp /etc/xrdp/rsakeys.ini >/dev/null" }),
  microsocks = run("socks5", "microsocks -i 127.0.0.1 -p PORT"),
  ["microsocks-login"] = run("socks5", "microsocks -i 127.0.0.1 -p PORT -u bird -P seed"),
  dante = with_file("socks5", "danted.conf", "internal: 127.0.0.1 port = PORT\nexternal: 127.0.0.1\nsocksmethod: none\n"
    .. "clientmethod: none\nuser.privileged: root\nuser.unprivileged: nobody\nclient pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }\n",
    "danted -f /mynah/danted.conf"),
  prosody = with_file("xmpp-client", "prosody.cfg.lua", 'interfaces = { "127.0.0.1" }\nc2s_ports = { PORT }\ns2s_ports = {}\n'
    .. 'modules_disabled = { "s2s" }\ndata_path = "/run/prosody"\npidfile = "/run/prosody/pid"\nrun_as_root = true\n'
    .. 'log = {}\nVirtualHost "xmpp.example"\n', "prosody -F --config /mynah/prosody.cfg.lua",
    { prepare = "mkdir -p /run/prosody" }),
  rsync = with_file("rsync", "rsyncd.conf", "use chroot = no\n[files]\npath = /tmp\n",
    "rsync --daemon --no-detach --address=127.0.0.1 --port=PORT --config=/mynah/rsyncd.conf"),
  ["git-daemon"] = run("git", "git daemon --listen=127.0.0.1 --port=PORT --base-path=/tmp /tmp"),
  telnetd = shell("telnet", "", { command = function(port)
    return { "socat", ("TCP-LISTEN:%d,bind=127.0.0.1,reuseaddr,fork"):format(port), "EXEC:/usr/sbin/telnetd,nofork" }
  end }),
  echo = shell("echo", "exec cat"),
  discard = shell("unknown", "exec cat >/dev/null", { unnamed = true }),
  upsd = { service = "nut", files = function(port) return {
      ["etc/nut/upsd.conf"] = ("LISTEN 127.0.0.1 %d\n"):format(port), ["etc/nut/upsd.users"] = "",
      ["etc/nut/nut.conf"] = "MODE=netserver\n",
      ["etc/nut/ups.conf"] = "[dummy]\ndriver=dummy-ups\nport=x.dev\n" } end,
    prepare = "mkdir -p /run/nut /var/lib/nut",
    command = function() return { "upsd", "-F", "-u", "root" } end },
  leafnode = shell("nntp", "", { files = function()
      return { ["leafnode.conf"] = "server = news.example\nexpire = 20\nhostname = news.birdseed.org\n" }
    end,
    prepare = "cd /var/spool; mkdir -p news/leaf.node news/message.id news/interesting.groups news/failed.postings "
      .. "news/out.going /var/lock/news /etc/news/leafnode; cp /mynah/leafnode.conf /etc/news/leafnode/config; cd /mynah",
    command = function(port)
      return { "socat", ("TCP-LISTEN:%d,bind=127.0.0.1,reuseaddr,fork"):format(port),
        "EXEC:/usr/sbin/leafnode -F /mynah/leafnode.conf,nofork" }
    end }),
  -- With -d it serves one client and is gone.
  ["nbd-server"] = with_file("nbd", "nbd.conf",
    "[generic]\nlistenaddr = 127.0.0.1\nport = PORT\n[disk]\nexportname = /run/disk\n", "sh /run/again.sh",
    { prepare = "truncate -s 1M /run/disk; echo 'while :; do nbd-server -d -C /mynah/nbd.conf; done' >/run/again.sh" }),
  beanstalkd = run("beanstalkd", "beanstalkd -l 127.0.0.1 -p PORT"),
  gearmand = run("gearman", "gearmand -L 127.0.0.1 -p PORT -l stderr"),
  stunnel = stunnel("unknown", "sleep 60", { unnamed = true }),
  ["stunnel-ssh"] = stunnel("ssh", "printf 'SSH-2.0-OpenSSH_9.2p1\\r\\n'; cat >/dev/null"),
  mariadb = run("mysql", "mariadbd --no-defaults --datadir=/run/m --port=PORT --bind-address=127.0.0.1 --socket=/run/s"
    .. " --user=root --skip-grant-tables",
    { prepare = "mkdir -p /run/m/mysql /run/mysqld" }),
  postgresql = run("postgresql", "/usr/lib/postgresql/15/bin/postgres -D /tmp/pg -p PORT -h 127.0.0.1 -k /tmp",
    { user = "nobody", prepare = "mkdir -p /tmp/pg; chown nobody /tmp/pg; chroot --userspec=nobody --skip-chdir / "
      .. "/usr/lib/postgresql/15/bin/initdb -D /tmp/pg -L /usr/share/postgresql/15 --auth=trust -N >/dev/null" }),
  ["tor-socks"] = with_file("socks5", "torrc", "SocksPort 127.0.0.1:PORT\nDisableNetwork 0\nDataDirectory /run/tor\n",
    "tor --quiet -f /mynah/torrc"),
  ["redis-login"] = run("redis", "redis-server --port PORT --bind 127.0.0.1 --requirepass seed --dir /tmp"),
  x11vnc = run("vnc", "sh /mynah/x11vnc.sh", { files = function(port) return { ["x11vnc.sh"] =
    "Xvfb :87 -nolisten tcp &\nsleep 1\nexec x11vnc -display :87 -rfbport " .. port .. " -listen 127.0.0.1 -forever\n" } end }),
  ["openvpn-tcp"] = run("openvpn", "openvpn --dev null --proto tcp-server --local 127.0.0.1 --lport PORT --tls-server"
    .. " --dh none --ca /run/cert.pem --cert /run/cert.pem --key /run/key.pem --ifconfig-noexec --verb 0",
    { prepare = CERTIFICATE, unnamed = true }),
  ["transmission-peers"] = run("bittorrent",
    "transmission-daemon -f -g /run/tr -P PORT -i 127.0.0.1 --no-portmap --no-dht --no-utp"
    .. " --log-error -p 1", { unnamed = true }),
  ["nats-server"] = run("nats", "nats-server -a 127.0.0.1 -p PORT", { product = "nats" }),
  svnserve = run("svn", "svnserve -d --foreground --listen-host 127.0.0.1 --listen-port PORT -r /tmp"),
  gpsd = run("gpsd", "gpsd -N -n -S PORT -F /run/control", { product = "gpsd" }),
  bitlbee = run("irc", "bitlbee -D -n -i 127.0.0.1 -p PORT -u root -d /tmp"),
  aiosmtpd = run("smtp", "aiosmtpd -n -l 127.0.0.1:PORT"),
  ["twisted-pop3"] = run("pop3", "twistd3 -n --pidfile= mail --no-smtp --pop3=tcp:PORT:interface=127.0.0.1"
    .. " --maildirdbmdomain=x=/run/mail"),
  ["twisted-smtp"] = run("smtp", "twistd3 -n --pidfile= mail --smtp=tcp:PORT:interface=127.0.0.1 --pop3=tcp:0"
    .. " --maildirdbmdomain=x=/run/mail"),
  iperf3 = run("unknown", "iperf3 -s -B 127.0.0.1 -p PORT", { unnamed = true }),
  silent = shell("unknown", "sleep 120", { unnamed = true }),
  ["closes-at-once"] = shell("unknown", "exit 0", { unnamed = true }),
  ["closes-when-asked"] = shell("unknown", "head -c 1 >/dev/null", { unnamed = true }),
  ["tarpit"] = shell("unknown", "while :; do printf '%x\\r\\n' $RANDOM; sleep 5; done", { unnamed = true }),
  ["random-bytes"] = shell("unknown", "head -c 64 /dev/urandom; head -c 1 >/dev/null; head -c 64 /dev/urandom",
    { unnamed = true }),
  ["says-220-alone"] = shell("unknown", "printf '220\\r\\n'; cat >/dev/null", { unnamed = true }),
}

-- Within six connections others are asked first, but for the port that they are known by.
for name, port in pairs { mosquitto = 1883, inspircd = 6667, ["git-daemon"] = 9418, xvfb = 6000, postgresql = 5432 } do
  local row = {}
  for key, value in pairs(servers[name]) do row[key] = value end
  row.port = port
  servers[name .. "-known"] = row
end
for name in ("inspircd git-daemon xvfb postgresql"):gmatch "%S+" do
  servers[name].later = "more connections than six: others are likelier on this port"
end

return { users = { { "dovecot", 520 }, { "dovenull", 521 }, { "news", 522 } }, servers = servers }
