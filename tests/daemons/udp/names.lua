-- names.lua - servers of names, addresses, clocks and management that Debian has: rows for daemons.lua.
-- Uids 520-539 are ours.

local ZONE = "@ 60 IN SOA ns root 1 60 60 60 60\n@ 60 IN NS ns\nns 60 IN A 127.0.0.1\n"
local BOTH = { "tcp", "udp" }

local servers = {}

servers.unbound = { service = "domain", product = "unbound", transports = BOTH,
  files = function(port) return { ["unbound.conf"] = ([[
server:
  interface: 127.0.0.1@%d
  port: %d
  do-daemonize: no
  use-syslog: no
  chroot: ""
  username: ""
  directory: "/run"
  pidfile: "/run/unbound.pid"
  do-not-query-localhost: yes
  access-control: 127.0.0.0/8 allow
  module-config: "iterator"
  local-zone: "." static
remote-control:
  control-enable: no
]]):format(port, port) } end,
  command = function() return { "unbound", "-d", "-c", "/mynah/unbound.conf" } end }

servers.knot = { service = "domain", product = "knot", transports = BOTH,
  files = function(port) return { ["knot.conf"] = ([[
server:
    rundir: "/run/knot"
    listen: 127.0.0.1@%d
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: error
database:
    storage: "/run/knot"
template:
  - id: default
    storage: "/mynah"
zone:
  - domain: example
    file: "example.zone"
    zonefile-sync: -1
    journal-content: none
]]):format(port), ["example.zone"] = "$ORIGIN example.\n" .. ZONE } end,
  prepare = "mkdir -p /run/knot",
  command = function() return { "knotd", "-c", "/mynah/knot.conf" } end }

servers.nsd = { service = "domain", product = "nsd", transports = BOTH,
  files = function(port) return { ["nsd.conf"] = ([[
server:
  ip-address: 127.0.0.1@%d
  port: %d
  server-count: 1
  do-ip6: no
  username: ""
  chroot: ""
  database: ""
  zonesdir: "/mynah"
  zonelistfile: "/run/nsd.list"
  pidfile: "/run/nsd.pid"
  xfrdfile: "/run/nsd.xfrd"
  xfrdir: "/run"
remote-control:
  control-enable: no
zone:
  name: example
  zonefile: example.zone
]]):format(port, port), ["example.zone"] = "$ORIGIN example.\n" .. ZONE } end,
  command = function() return { "nsd", "-d", "-c", "/mynah/nsd.conf" } end }

servers.pdns = { service = "domain", product = "powerdns", transports = BOTH,
  files = function(port) return { ["pdns.conf"] = ([[
launch=bind
bind-config=/mynah/named.conf
local-address=127.0.0.1
local-port=%d
socket-dir=/run
daemon=no
guardian=no
receiver-threads=1
]]):format(port), ["named.conf"] = 'zone "example" { type master; file "/mynah/example.zone"; };\n',
    ["example.zone"] = "$ORIGIN example.\n" .. ZONE } end,
  command = function() return { "pdns_server", "--config-dir=/mynah" } end }

servers["pdns-recursor"] = { service = "domain", product = "powerdns", transports = BOTH,
  files = function(port) return { ["recursor.conf"] = ([[
local-address=127.0.0.1
local-port=%d
allow-from=127.0.0.0/8
socket-dir=/run
daemon=no
threads=1
pdns-distributes-queries=no
hint-file=/mynah/hints
dont-query=0.0.0.0/0
security-poll-suffix=
auth-zones=example=/mynah/example.zone
]]):format(port), ["hints"] = ". 60 IN NS a.example.\na.example. 60 IN A 127.0.0.9\n",
    ["example.zone"] = "$ORIGIN example.\n" .. ZONE } end,
  command = function() return { "pdns_recursor", "--config-dir=/mynah" } end }

servers.dnsmasq = { service = "domain", product = "dnsmasq", transports = BOTH,
  files = function(port) return { ["dnsmasq.conf"] = ([[
port=%d
listen-address=127.0.0.1
bind-interfaces
no-resolv
no-hosts
user=root
address=/example/127.0.0.1
]]):format(port) } end,
  command = function() return { "dnsmasq", "-k", "-C", "/mynah/dnsmasq.conf", "--log-facility=-" } end }

servers.dnsdist = { service = "domain", transports = BOTH,
  files = function(port) return { ["dnsdist.conf"] = ([[
setLocal("127.0.0.1:%d")
setSecurityPollSuffix("")
addAction(AllRule(), RCodeAction(DNSRCode.REFUSED))
]]):format(port) } end,
  command = function() return { "dnsdist", "--supervised", "--disable-syslog", "-C", "/mynah/dnsdist.conf" } end }

servers.yadifa = { service = "domain", transports = BOTH,
  files = function(port) return { ["yadifad.conf"] = ([[
<main>
  daemonize off
  chroot off
  listen 127.0.0.1 port %d
  server-port %d
  data-path /mynah
  keys-path /mynah
  log-path /run
  xfr-path /run
  pid-file /run/yadifad.pid
  uid 0
  gid 0
  thread-count-by-address 1
  cpu-count-override 1
</main>
<zone>
  domain example
  file example.zone
  type master
</zone>
]]):format(port, port), ["example.zone"] = "$ORIGIN example.\n" .. ZONE } end,
  command = function() return { "yadifad", "--nodaemon", "-c", "/mynah/yadifad.conf" } end }

servers.gdnsd = { service = "domain", product = "gdnsd", transports = BOTH,
  files = function(port) return { ["gdnsd/config"] = ([[
options => {
  listen => "127.0.0.1:%d",
  udp_threads => 1, tcp_threads => 1,
  run_dir => "/run/gdnsd", state_dir => "/run/gdnsd-state",
}
]]):format(port), ["gdnsd/zones/example"] = ZONE } end,
  prepare = "mkdir -p /run/gdnsd /run/gdnsd-state",
  command = function() return { "gdnsd", "-c", "/mynah/gdnsd", "start" } end }

servers["knot-resolver"] = { service = "domain", transports = BOTH,
  files = function(port) return { ["kresd.conf"] = ([[
net.listen("127.0.0.1", %d, { kind = "dns" })
modules.load("policy")
trust_anchors.remove(".")
policy.add(policy.all(policy.REFUSE))
cache.size = 4 * MB
]]):format(port) } end,
  prepare = "mkdir -p /run/kresd",
  command = function() return { "kresd", "-n", "-c", "/mynah/kresd.conf", "/run/kresd" } end }

servers.rbldnsd = { service = "domain", product = "rbldnsd",
  files = function() return { ["list"] = ":127.0.0.2:listed\n127.0.0.2\n" } end,
  command = function(port) return { "rbldnsd", "-n", "-b", "127.0.0.1/" .. port, "-r", "/mynah", "-u", "rbldns",
    "bl.example:ip4set:list" } end }

servers.dnss = { service = "domain",
  command = function(port) return { "dnss", "-enable_dns_to_https", "-dns_listen_addr", "127.0.0.1:" .. port,
    "-https_upstream", "https://127.0.0.1:9/dns-query", "-dns_unqualified_upstream", "127.0.0.1:9",
    "-fallback_upstream", "127.0.0.1:9", "-monitoring_listen_addr", "" } end }

servers["systemd-resolved"] = { service = "domain",
  files = function(port) return { ["etc/systemd/resolved.conf"] = ([[
[Resolve]
DNS=127.0.0.1:9
FallbackDNS=
LLMNR=no
MulticastDNS=no
DNSSEC=no
DNSStubListener=no
DNSStubListenerExtra=127.0.0.1:%d
]]):format(port) } end,
  prepare = "mkdir -p /run/systemd/resolve && chown systemd-resolve:systemd-resolve /run/systemd/resolve",
  command = function() return { "/usr/lib/systemd/systemd-resolved" } end }

servers.chrony = { service = "ntp", transports = { "udp" },
  files = function(port) return { ["chrony.conf"] = ([[
port %d
cmdport 0
bindaddress 127.0.0.1
allow 127.0.0.0/8
local stratum 8
pidfile /run/chronyd.pid
]]):format(port) } end,
  command = function() return { "chronyd", "-d", "-x", "-u", "root", "-f", "/mynah/chrony.conf" } end }

servers["chrony-command"] = { service = "chrony", product = "chrony", transports = { "udp" },
  files = function(port) return { ["chrony.conf"] = ([[
port 0
cmdport %d
bindcmdaddress 127.0.0.1
pidfile /run/chronyd.pid
]]):format(port) } end,
  command = function() return { "chronyd", "-d", "-x", "-u", "root", "-f", "/mynah/chrony.conf" } end }

servers.snmpd = { service = "snmp", product = "net%-snmp", transports = { "udp" },
  files = function(port) return { ["snmpd.conf"] = ([[
agentaddress udp:127.0.0.1:%d
rocommunity nobodyknows 127.0.0.1
]]):format(port) } end,
  prepare = "mkdir -p /var/lib/snmp",
  command = function() return { "snmpd", "-f", "-Lo", "-C", "-c", "/mynah/snmpd.conf" } end }

-- It answers a version 3 question like any other.
servers["snmpd-public"] = { service = "snmp", product = "net%-snmp", transports = { "udp" },
  files = function(port) return { ["snmpd.conf"] = ([[
agentaddress udp:127.0.0.1:%d
rocommunity public 127.0.0.1
sysdescr A test agent
]]):format(port) } end,
  prepare = "mkdir -p /var/lib/snmp",
  command = function() return { "snmpd", "-f", "-Lo", "-C", "-c", "/mynah/snmpd.conf" } end }

servers.snmptrapd = { service = "snmp", product = "net%-snmp", transports = { "udp" },
  files = function() return { ["snmptrapd.conf"] = "disableAuthorization yes\n" } end,
  prepare = "mkdir -p /var/lib/snmp",
  command = function(port) return { "snmptrapd", "-f", "-Lo", "-C", "-c", "/mynah/snmptrapd.conf",
    "udp:127.0.0.1:" .. port } end }

-- What boot ROMs ask for is there.
local TFTP_ROOT = "mkdir -p -m 755 /run/tftp && echo bird >/run/tftp/pxelinux.0 && chmod 644 /run/tftp/pxelinux.0"

servers["tftpd-hpa"] = { service = "tftp", transports = { "udp" },
  prepare = TFTP_ROOT,
  command = function(port) return { "in.tftpd", "-L", "-u", "root", "-a", "127.0.0.1:" .. port, "-s", "/run/tftp" } end }

servers.atftpd = { service = "tftp", transports = { "udp" },
  prepare = TFTP_ROOT,
  command = function(port) return { "atftpd", "--daemon", "--no-fork", "--logfile", "-", "--user", "root.root", "--port",
    tostring(port), "--bind-address", "127.0.0.1", "/run/tftp" } end }

servers.freeradius = { service = "radius", transports = { "udp" },
  files = function(port) return { ["raddb/radiusd.conf"] = ([[
prefix = /usr
raddbdir = /mynah/raddb
libdir = /usr/lib/freeradius
logdir = /run
radacctdir = /run
db_dir = /run
run_dir = /run
pidfile = /run/freeradius.pid
max_requests = 256
security {
  max_attributes = 200
  reject_delay = 0
  status_server = yes
}
thread pool {
  start_servers = 1
  max_servers = 2
  min_spare_servers = 1
  max_spare_servers = 1
}
log {
  destination = stdout
}
client everybody {
  ipaddr = 0.0.0.0/0
  secret = testing123
}
modules {
  always reject {
    rcode = reject
  }
}
server default {
  listen {
    type = auth
    ipaddr = 127.0.0.1
    port = %d
  }
  authorize {
    reject
  }
  authenticate {
  }
}
]]):format(port) } end,
  command = function() return { "freeradius", "-f", "-l", "stdout", "-d", "/mynah/raddb" } end }

servers.radsecproxy = { service = "radius", transports = { "udp" },
  files = function(port) return { ["radsecproxy.conf"] = ([[
ListenUDP 127.0.0.1:%d
client everybody {
  host 0.0.0.0/0
  type udp
  secret testing123
}
realm * {
  replymessage "Nobody here"
}
]]):format(port) } end,
  command = function() return { "radsecproxy", "-f", "-c", "/mynah/radsecproxy.conf" } end }

servers.ipmi_sim = { service = "asf-rmcp", transports = { "udp" },
  files = function(port) return { ["lan.conf"] = ([[
name "mynah"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 %d
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  user 1 true "" "test" user 10 none md2 md5 straight
]]):format(port), ["sim.emu"] = "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\n"
      .. "mc_enable 0x20\n" } end,
  prepare = "mkdir -p /run/ipmi_sim/mynah",
  command = function() return { "ipmi_sim", "-n", "-p", "-c", "/mynah/lan.conf", "-f", "/mynah/sim.emu", "-s",
    "/run/ipmi_sim" } end }

-- It looks its port up in /etc/services.
servers.openntpd = { service = "ntp",
  files = function(port) return { ["etc/services"] = ("ntp %d/udp\n"):format(port),
    ["ntpd.conf"] = "listen on 127.0.0.1\n" } end,
  prepare = "mkdir -p /var/lib/openntpd/run /var/lib/openntpd/db /run/openntpd",
  command = function() return { "openntpd", "-d", "-f", "/mynah/ntpd.conf" } end }

servers.xdm = { service = "xdmcp",
  files = function(port) return { ["xdm-config"] = ([[
DisplayManager.requestPort: %d
DisplayManager.errorLogFile: /dev/stderr
DisplayManager.pidFile: /run/xdm.pid
DisplayManager.servers: /mynah/Xservers
DisplayManager.accessFile: /mynah/Xaccess
DisplayManager.authDir: /run
]]):format(port), Xservers = "", Xaccess = "*\n" } end,
  command = function() return { "xdm", "-nodaemon", "-config", "/mynah/xdm-config" } end }

-- What follows wants an address that is not 127.0.0.1, and a network where nobody else hears it.
servers.nmbd = { service = "netbios-ns", host = "10.77.0.1", netns = true,
  files = function() return { ["smb.conf"] = [[
[global]
netbios name = MYNAH
workgroup = BIRDS
interfaces = 10.77.0.1/24
bind interfaces only = yes
lock directory = /run/samba
state directory = /run/samba
cache directory = /run/samba
pid directory = /run/samba
private dir = /run/samba
log file = /run/samba/log
]] } end,
  prepare = "mkdir -p /run/samba/nmbd /var/log/samba && ip route add broadcast 10.77.0.255 dev lo table local",
  command = function(port) return { "nmbd", "-F", "--no-process-group", "--debug-stdout", "-s", "/mynah/smb.conf", "-p",
    tostring(port) } end }

servers["dnsmasq-dhcp"] = { service = "bootps", host = "10.77.0.1", netns = true,
  files = function(port) return { ["dnsmasq.conf"] = ([[
port=0
dhcp-alternate-port=%d
interface=lo
bind-interfaces
dhcp-range=10.77.0.50,10.77.0.99,1h
dhcp-leasefile=/run/leases
user=root
]]):format(port) } end,
  command = function() return { "dnsmasq", "-k", "-C", "/mynah/dnsmasq.conf", "--log-facility=-" } end }

-- The port of these is fixed, so the kernel gives it another number. That one is held by somebody who hears nothing.
local function moved(port, fixed)
  return ("iptables-nft -w -t nat -A OUTPUT -p udp -d 10.77.0.1 --dport %d -j DNAT --to-destination 10.77.0.1:%d\n")
    :format(port, fixed)
end

local function held(port, server)
  return { "sh", "-c", ("%s & exec socat -u UDP4-RECV:%d,bind=10.77.0.1 OPEN:/dev/null"):format(server, port) }
end

servers.tinydns = { service = "domain", host = "10.77.0.1", netns = true, settle = 500,
  files = function() return { ["data"] = ".example:127.0.0.1:a\n+www.example:127.0.0.2\n" } end,
  prepare = function(port)
    return moved(port, 53) .. "mkdir -p /run/tinydns && cp /mynah/data /run/tinydns && cd /run/tinydns && tinydns-data\ncd /mynah"
  end,
  command = function(port) return held(port, "env IP=10.77.0.1 ROOT=/run/tinydns UID=0 GID=0 tinydns") end }

servers["avahi-daemon"] = { service = "mdns", host = "10.77.0.1", netns = true, settle = 3000,
  files = function() return { ["avahi.conf"] = [[
[server]
use-ipv6=no
enable-dbus=no
host-name=mynah
[publish]
publish-workstation=yes
]] } end,
  prepare = function(port) return moved(port, 5353) .. "mkdir -p /run/avahi-daemon" end,
  command = function(port)
    return held(port, "avahi-daemon -f /mynah/avahi.conf --no-drop-root --no-rlimits --no-chroot")
  end }

servers["python-zeroconf"] = { service = "mdns", netns = true, settle = 3000,
  files = function(port) return { ["publish.py"] = ([[
import socket, threading
from zeroconf import ServiceInfo, Zeroconf
from zeroconf._utils import net
net.new_socket.__defaults__ = (%d,) + net.new_socket.__defaults__[1:]
bird = Zeroconf(interfaces=["127.0.0.1"])
bird.register_service(ServiceInfo("_http._tcp.local.", "bird._http._tcp.local.", 80,
    addresses=[socket.inet_aton("127.0.0.1")], server="bird.local."))
threading.Event().wait()
]]):format(port) } end,
  command = function() return { "python3", "/mynah/publish.py" } end }

servers["dnsmasq-tftp"] = { service = "tftp", host = "10.77.0.1", netns = true, settle = 500,
  files = function() return { ["dnsmasq.conf"] = [[
port=0
listen-address=10.77.0.1
bind-interfaces
enable-tftp
tftp-root=/run/tftp
user=root
]] } end,
  prepare = function(port) return moved(port, 69) .. TFTP_ROOT end,
  command = function(port) return held(port, "dnsmasq -k -C /mynah/dnsmasq.conf --log-facility=-") end }

local function miniupnpd(service, product, fixed, natpmp, upnp)
  return { service = service, product = product, host = "10.77.0.1", netns = true, settle = 1000,
    files = function() return { ["upnp.conf"] = ([[
ext_ifname=lo
ext_ip=93.184.216.34
listening_ip=10.77.0.1/24
http_port=0
enable_natpmp=%s
enable_upnp=%s
uuid=00000000-0000-0000-0000-000000000001
]]):format(natpmp, upnp) } end,
    prepare = function(port) return moved(port, fixed) end,
    command = function(port) return held(port, "miniupnpd -d -f /mynah/upnp.conf") end }
end

servers["miniupnpd-ssdp"] = miniupnpd("ssdp", "miniupnpd", 1900, "no", "yes")
servers["miniupnpd-natpmp"] = miniupnpd("nat-pmp", nil, 5351, "yes", "no")

return { users = { { "snmp", 520 }, { "unbound", 521 }, { "knot", 522 }, { "nsd", 523 }, { "pdns", 524 },
  { "_dnsdist", 525 }, { "yadifa", 526 }, { "gdnsd", 527 }, { "knot-resolver", 528 }, { "systemd-resolve", 529 },
  { "_chrony", 530 }, { "ntpd", 531 }, { "ntpsec", 532 }, { "tftp", 533 }, { "freerad", 534 }, { "rbldns", 535 },
  { "dnsmasq", 536 }, { "avahi", 537 }, { "messagebus", 538 } },
  servers = servers }
