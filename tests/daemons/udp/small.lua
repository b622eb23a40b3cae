-- The small old services, ONC RPC, Kerberos, caches and the like: see ../daemons.lua for what a row says.

local servers = {}

-- inetd's own services: it takes the port from /etc/services, which is ours.
local function inetd_services(name, port) return ("%s %d/udp\n"):format(name, port) end

local INTERNAL = { "echo", "daytime", "time", "chargen" }

for _, name in ipairs(INTERNAL) do
  servers["inetutils-" .. name] = { service = name,
    files = function(port) return {
      ["etc/services"] = inetd_services(name, port),
      ["inetd.conf"] = ("127.0.0.1:%s dgram udp wait root internal\n"):format(name),
    } end,
    command = function() return { "inetutils-inetd", "-d", "/mynah/inetd.conf" } end }

  servers["openbsd-" .. name] = { service = name,
    -- It answers nobody on loopback.
    host = "10.77.0.1", files = function(port) return {
      ["etc/services"] = inetd_services(name, port),
      ["inetd.conf"] = ("10.77.0.1:%s dgram udp wait root internal\n"):format(name),
    } end,
    command = function() return { "inetd", "-d", "/mynah/inetd.conf" } end }

  servers["xinetd-" .. name] = { service = name,
    files = function(port) return { ["xinetd.conf"] = ([[
service %s
{
  id = it
  type = INTERNAL UNLISTED
  socket_type = dgram
  protocol = udp
  port = %d
  bind = 127.0.0.1
  wait = yes
  user = root
}
]]):format(name, port) } end,
    command = function() return { "xinetd", "-dontfork", "-f", "/mynah/xinetd.conf" } end }
end

-- A datagram server that inetd hands its socket to.
local function behind_inetd(service, path, user)
  return { service = service,
    files = function(port) return {
      ["etc/services"] = inetd_services("it", port),
      ["inetd.conf"] = ("127.0.0.1:it dgram udp wait.9999 %s %s %s\n"):format(user or "root", path:match("%S*"),
        path:match("[^/]*$")),
    } end,
    command = function() return { "inetutils-inetd", "-d", "/mynah/inetd.conf" } end }
end
servers.ntalkd = behind_inetd("talk", "/usr/sbin/in.ntalkd")
servers.otalkd = behind_inetd("talk", "/usr/sbin/in.talkd")
servers["inetutils-talkd"] = behind_inetd("talk", "/usr/sbin/talkd")

servers["memcached-udp"] = { service = "memcached",
  command = function(port) return { "memcached", "-l", "127.0.0.1", "-p", "0", "-U", port, "-u", "memcache",
    "-m", "16", "-t", "1" } end }

servers["memcached-binary"] = { service = "memcached",
  command = function(port) return { "memcached", "-l", "127.0.0.1", "-p", "0", "-U", port, "-u", "memcache",
    "-m", "16", "-t", "1", "-B", "binary" } end }

-- They listen on every address. rpcbind looks its own port up; the others tell it theirs through /run/rpcbind.sock, in the jail.
local function rpc_services(port) return ("sunrpc %d/tcp portmapper\nsunrpc %d/udp portmapper\n"):format(port, port) end
local NETCONFIG = "cp /.etc/netconfig /etc && mkdir -p /run/rpcbind"
local RPCBIND = "rpcbind -w && "

local function rpc(service, command, extra)
  return { service = service, netns = true, prepare = NETCONFIG .. (extra and " && " .. extra or ""),
    files = function(port) return { ["etc/services"] = rpc_services(port + 1), ["etc/exports"] = "" } end,
    command = function(port) return { "sh", "-c", RPCBIND .. "exec " .. command:format(port) } end }
end
servers.rpcbind = { service = "sunrpc", netns = true,
  files = function(port) return { ["etc/services"] = rpc_services(port) } end,
  prepare = NETCONFIG,
  command = function() return { "rpcbind", "-f" } end }
servers.mountd = rpc("mountd", "rpc.mountd -F -p %d", "mkdir -p /var/lib/nfs && touch /var/lib/nfs/etab /var/lib/nfs/rmtab")
servers.statd = rpc("status", "rpc.statd -F -L -p %d", "mkdir -p /var/lib/nfs/sm /var/lib/nfs/sm.bak && touch /var/lib/nfs/state")
servers.rquotad = rpc("rquotad", "rpc.rquotad -F -p %d")
servers.rstatd = behind_inetd("rpc", "/usr/sbin/rpc.rstatd")
servers.rusersd = behind_inetd("rpc", "/usr/sbin/rpc.rusersd")
servers.rwalld = behind_inetd("rpc", "/usr/sbin/rpc.rwalld")
for _, name in ipairs { "rstatd", "rusersd", "rwalld" } do servers[name].prepare = "cp /.etc/netconfig /etc" end

-- It serves several programs, each at a port of its own; key: of the one that is asked.
local function ganesha(service, key)
  return { service = service, netns = true,
    files = function(port)
      local ports = { NFS_Port = port + 2, MNT_Port = port + 3, Rquota_Port = port + 4, NLM_Port = port + 5 }
      ports[key] = port
      return { ["etc/services"] = rpc_services(port + 1), ["ganesha.conf"] = ([[
NFS_CORE_PARAM {
  NFS_Port = %d;
  MNT_Port = %d;
  Rquota_Port = %d;
  NLM_Port = %d;
  NFS_Protocols = 3, 4;
  Enable_NLM = false;
  Bind_addr = 127.0.0.1;
}
]]):format(ports.NFS_Port, ports.MNT_Port, ports.Rquota_Port, ports.NLM_Port) }
    end,
    prepare = NETCONFIG .. " && mkdir -p /run/ganesha /var/lib/nfs/ganesha",
    command = function() return { "sh", "-c", RPCBIND
      .. "exec ganesha.nfsd -F -L /dev/null -p /run/ganesha.pid -f /mynah/ganesha.conf" } end }
end
servers.ganesha, servers["ganesha-mount"] = ganesha("nfs", "NFS_Port"), ganesha("mountd", "MNT_Port")
servers["ganesha-rquota"] = ganesha("rquotad", "Rquota_Port")
servers.ypserv = rpc("ypserv", "ypserv -p %d -d", "mkdir -p /var/yp && domainname mynah")

servers["krb5-kdc"] = { service = "kerberos",
  files = function(port) return { ["etc/krb5.conf"] = "[libdefaults]\n default_realm = MYNAH.EXAMPLE\n",
    ["etc/krb5kdc/kdc.conf"] = ([[
[kdcdefaults]
 kdc_listen = 127.0.0.1:%d
 kdc_tcp_listen = ""
[realms]
 MYNAH.EXAMPLE = { }
[logging]
 kdc = STDERR
]]):format(port) } end,
  prepare = "mkdir -p /var/lib/krb5kdc && kdb5_util create -s -P mynah",
  command = function() return { "krb5kdc", "-n" } end }

servers["heimdal-kdc"] = { service = "kerberos",
  files = function() return { ["etc/krb5.conf"] = "[libdefaults]\n default_realm = MYNAH.EXAMPLE\n[kdc]\n"
    .. " database = {\n dbname = /run/heimdal\n }\n" } end,
  command = function(port) return { "/usr/lib/heimdal-servers/kdc", "-c", "/etc/krb5.conf", "--addresses=127.0.0.1",
    "-P", port } end }

servers["heimdal-kpasswdd"] = { service = "kpasswd",
  files = function() return { ["etc/krb5.conf"] = "[libdefaults]\n default_realm = MYNAH.EXAMPLE\n[kdc]\n"
    .. " database = {\n dbname = /run/heimdal\n }\n" } end,
  command = function(port) return { "/usr/lib/heimdal-servers/kpasswdd", "-c", "/etc/krb5.conf",
    "--addresses=127.0.0.1", "-p", port } end }

servers.kadmind = { service = "kpasswd",
  files = function(port) return { ["etc/krb5.conf"] = "[libdefaults]\n default_realm = MYNAH.EXAMPLE\n",
    ["kadm5.acl"] = "",
    ["etc/krb5kdc/kdc.conf"] = ([[
[realms]
 MYNAH.EXAMPLE = {
  acl_file = /mynah/kadm5.acl
  kadmind_listen = 127.0.0.1:%d
  kpasswd_listen = 127.0.0.1:%d
 }
[logging]
 admin_server = STDERR
]]):format(port + 1, port) } end,
  prepare = "mkdir -p /var/lib/krb5kdc && kdb5_util create -s -P mynah",
  command = function() return { "kadmind", "-nofork" } end }

servers.pyzord = { service = "pyzor",
  prepare = "mkdir -p /run/pyzor",
  command = function(port) return { "pyzord", "--homedir=/run/pyzor", "-e", "gdbm", "-a", "127.0.0.1", "-p", port } end }

servers.iperf = { service = "iperf", mortal = "each datagram is a test to it, and a bad one its last",
  command = function(port) return { "iperf", "-s", "-u", "-B", "127.0.0.1", "-p", port } end }

servers.lbcd = { service = "lbcd",
  command = function(port) return { "lbcd", "-f", "-b", "127.0.0.1", "-p", port, "-P", "/run/lbcd.pid" } end }

-- ICP is ignored where it comes from the address that squid itself sends from. Its shared memory outside the jail
-- gets a name of its own, and none once it is in use.
local function squid(service, icp, htcp)
  return { service = service,
    files = function(port) return { ["squid.conf"] = ([[
http_port 127.0.0.1:%d
icp_port %d
htcp_port %d
udp_incoming_address 127.0.0.1
udp_outgoing_address %s
icp_access allow all
htcp_access allow all
pid_filename none
cache_log /var/log/squid/cache.log
access_log none
coredump_dir /run
visible_hostname mynah
]]):format(port + 1, icp * port, htcp * port, icp == 1 and "127.0.0.2" or "127.0.0.1") } end,
    prepare = "mkdir -p /var/log/squid /var/spool/squid /etc/squid && cp -r /.etc/squid/* /etc/squid/ && "
      .. "chown -R proxy /var/log/squid /var/spool/squid",
    command = function(port) return { "sh", "-c", ("(sleep 5; rm -f /dev/shm/m%d*) & exec squid -N -n m%d -f /mynah/squid.conf")
      :format(port, port) } end }
end
servers["squid-icp"], servers["squid-htcp"] = squid("icp", 1, 0), squid("htcp", 0, 1)

-- It ends itself after half a minute without work, so inetd starts it.
servers.amandad = behind_inetd("amanda", "/usr/lib/amanda/amandad -auth=bsd", "backup")
servers.amandad.prepare = "mkdir -p /var/lib/amanda /var/log/amanda /tmp/amanda && cp /.etc/amanda* /etc/ && "
  .. "chown backup /tmp/amanda /var/log/amanda"

servers["srt-live-transmit"] = { service = "srt",
  command = function(port) return { "srt-live-transmit", "-a", "no", ("srt://127.0.0.1:%d?mode=listener"):format(port),
    "udp://127.0.0.1:9999" } end }

-- The same library, in another program.
servers["srt-file-transmit"] = { service = "srt",
  command = function(port) return { "srt-file-transmit", ("srt://127.0.0.1:%d?mode=listener"):format(port), "file:///tmp/" } end }

servers["osmo-sgsn"] = { service = "gprs-ns", netns = true,
  files = function(port) return { ["sgsn.cfg"] = ([[
sgsn
 gtp local-ip 127.7.7.7
 auth-policy accept-all
ns
 bind udp local
  listen 127.0.0.1 %d
  accept-ipaccess
line vty
 bind 127.7.7.7
ctrl
 bind 127.7.7.7
]]):format(port) } end,
  command = function() return { "osmo-sgsn", "-c", "/mynah/sgsn.cfg" } end }

-- OpenAFS has its ports compiled in and listens on every address: only where nobody else is, behind a relay.
local function afs(command, fixed)
  return { service = "afs", netns = true, settle = 2000,
    prepare = "mkdir -p /etc/openafs/server /var/lib/openafs/db /var/lib/openafs/local /var/log/openafs && "
      .. "echo mynah.example >/etc/openafs/server/ThisCell && "
      .. "printf '>mynah.example\\n127.0.0.1 #mynah\\n' >/etc/openafs/server/CellServDB",
    -- A child of socat for each datagram: with UDP4-LISTEN its port is nobody's for a moment after each.
    command = function(port) return { "sh", "-c",
      ("%s & exec socat -T 20 UDP4-RECVFROM:%d,bind=127.0.0.1,fork UDP4-SENDTO:127.0.0.1:%d"):format(command, port, fixed) } end }
end
servers.bosserver = afs("bosserver -noauth -nofork", 7007)
servers.fileserver = afs("/usr/lib/openafs/fileserver", 7000)

return {
  users = { { "pyzor", 540 }, { "backup", 541 }, { "statd", 542 }, { "proxy", 543 }, { "_rpc", 544 } },
  servers = servers,
}
