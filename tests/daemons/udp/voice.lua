-- Voice, media and peer-to-peer: see ../daemons.lua for what a row says.

local MODULES = "/usr/lib/x86_64-linux-gnu/kamailio/modules/"

-- A folder's worth of Erlang: the node has no name, so that no port mapper is started beside it.
local function ejabberd(listener, modules)
  return function(port) return { ["ejabberd.yml"] = ([[
hosts: [ "localhost" ]
loglevel: warning
listen:
  -
    port: %d
    ip: "127.0.0.1"
    transport: udp
    module: %s
modules: %s
]]):format(port, listener, modules) } end
end

local ERLANG = { "/bin/sh", "-c", "export HOME=/run; exec erl -noinput -pa /usr/lib/x86_64-linux-gnu/ejabberd-*/ebin "
  .. "-mnesia dir '\"/run/mnesia\"' -ejabberd config '\"/mynah/ejabberd.yml\"' -ejabberd log_path '\"/run/ejabberd.log\"' "
  .. "-s ejabberd" }

local function erlang() return ERLANG end

local function transmission(service, address)
  return { service = service, host = address ~= "127.0.0.1" and address or nil, env = { HOME = "/run" },
    files = function() return { ["transmission/settings.json"] = '{ "rpc-enabled": false, "lpd-enabled": false }' } end,
    command = function(port) return { "transmission-daemon", "-f", "-g", "/mynah/transmission", "-P", port, "-i", address,
      "-M", "--utp", "--dht", "-w", "/run" } end }
end

local function deluged(service, dht, product)
  return { service = service, product = product, env = { HOME = "/run" },
    files = function(port) return { ["deluge/core.conf"] = ([[{"file": 1, "format": 1}{"listen_ports": [%d, %d],
"random_port": false, "dht": %s, "lsd": false, "upnp": false, "natpmp": false, "listen_interface": "127.0.0.1",
"daemon_port": %d}]]):format(port, port, dht, port + 1) } end,
    command = function(port) return { "deluged", "-d", "-c", "/mynah/deluge", "-u", "127.0.0.1", "-i", "127.0.0.1",
      "-p", port + 1 } end }
end

-- They want a sound card: jackd's dummy, with shared memory of its own.
local function with_jack(name, options)
  return { service = "osc", product = name,
    files = function(port) return { ["start"] = ([[
mount -t tmpfs tmpfs /dev/shm
jackd --no-realtime -d dummy >/dev/null 2>&1 &
sleep 1
exec %s -u %d %s
]]):format(name, port, options) } end,
    command = function() return { "/bin/sh", "/mynah/start" } end }
end

local servers = {
  ["coturn-stun"] = { service = "stun", product = "coturn",
    files = function(port) return { ["turn.conf"] = ([[
listening-ip=127.0.0.1
relay-ip=127.0.0.1
listening-port=%d
realm=example.org
lt-cred-mech
no-tls
no-dtls
no-cli
pidfile=/run/turn.pid
userdb=/run/turndb
log-file=stdout
]]):format(port) } end,
    command = function() return { "turnserver", "-c", "/mynah/turn.conf" } end },

  stund = { service = "stun",
    command = function(port) return { "stund", "-h", "127.0.0.1", "-p", port, "-a", "127.0.0.2", "-o", port + 2 } end },

  kamailio = { service = "sip", product = "kamailio",
    files = function(port) return { ["kamailio.cfg"] = ([[
#!KAMAILIO
log_stderror=yes
children=1
disable_tcp=yes
auto_aliases=no
mpath="%s"
listen=udp:127.0.0.1:%d
loadmodule "sl.so"
request_route { sl_send_reply("404", "Nobody here"); }
]]):format(MODULES, port) } end,
    prepare = "mkdir -p /run/kamailio",
    command = function() return { "kamailio", "-DD", "-E", "-m", "16", "-M", "4", "-Y", "/run/kamailio", "-f",
      "/mynah/kamailio.cfg" } end },

  baresip = { service = "sip", product = "baresip",
    files = function(port) return { ["baresip/config"] = ([[
sip_listen 127.0.0.1:%d
module_path /usr/lib/baresip/modules
module_app account.so
]]):format(port), ["baresip/accounts"] = "<sip:bird@127.0.0.1>;regint=0\n", ["baresip/contacts"] = "" } end,
    command = function() return { "baresip", "-4", "-f", "/mynah/baresip" } end },

  sipp = { service = "sip",
    command = function(port) return { "sipp", "-sn", "uas", "-aa", "-i", "127.0.0.1", "-p", port, "-nostdin",
      "-cp", port + 2 } end },

  ["ejabberd-sip"] = { service = "sip", product = "ejabberd", command = erlang,
    files = ejabberd("ejabberd_sip", "{ mod_sip: {} }") },
  ["ejabberd-stun"] = { service = "stun", product = "p1 stun", command = erlang,
    files = ejabberd("ejabberd_stun", "{}") },

  rtpengine = { service = "rtpengine",
    command = function(port) return { "rtpengine", "--foreground", "--table=-1", "--interface=127.0.0.1", "--log-stderr",
      "--listen-ng=127.0.0.1:" .. port, "--pidfile=/run/rtpengine.pid" } end },

  ["rtpengine-udp"] = { service = "rtpproxy",
    command = function(port) return { "rtpengine", "--foreground", "--table=-1", "--interface=127.0.0.1", "--log-stderr",
      "--listen-udp=127.0.0.1:" .. port, "--pidfile=/run/rtpengine.pid" } end },

  ["osmo-mgw"] = { service = "mgcp",
    files = function(port) return { ["osmo-mgw.cfg"] = ([[
line vty
 no login
 bind 127.0.0.1
ctrl
 bind 127.0.0.1
mgcp
 bind ip 127.0.0.1
 bind port %d
 rtp bind-ip 127.0.0.1
 number endpoints 4
]]):format(port) } end,
    command = function() return { "osmo-mgw", "-c", "/mynah/osmo-mgw.cfg" } end },

  murmurd = { service = "mumble", product = "mumble",
    files = function(port) return { ["murmur.ini"] = ("host=127.0.0.1\nport=%d\ndatabase=/run/murmur.sqlite\nbonjour=false\n"
      .. "logfile=\npidfile=/run/murmur.pid\n"):format(port) } end,
    env = { HOME = "/run" },
    command = function() return { "murmurd", "-fg", "-ini", "/mynah/murmur.ini" } end },

  jamulus = { service = "jamulus", product = "jamulus",
    env = { HOME = "/run" },
    command = function(port) return { "Jamulus", "-s", "-n", "-p", port } end },

  -- Its DHT keeps silent towards 127.0.0.1, so there it is known by uTP alone.
  transmission = transmission("utp", "127.0.0.1"),
  ["transmission-dht"] = transmission("bittorrent-dht", "10.77.0.1"),

  rtorrent = { service = "bittorrent-dht", product = "libtorrent",
    command = function(port) return { "rtorrent", "-n", "-o", ("system.daemon.set=true,dht.mode.set=on,dht.port.set=%d,"
      .. "network.port_range.set=%d-%d,network.bind_address.set=127.0.0.1,session.path.set=/run"):format(port, port, port) }
    end },

  aria2 = { service = "bittorrent-dht", product = "aria2",
    env = { HOME = "/run" },
    command = function(port) return { "aria2c", "--dir=/run", "--enable-dht=true", "--dht-listen-port=" .. port,
      "--listen-port=" .. port, "--dht-file-path=/run/dht.dat", "--quiet",
      "magnet:?xt=urn:btih:6d796e616820616e64206f7468657220626972" .. "64" } end },

  deluged = deluged("bittorrent-dht", "true", "libtorrent"),
  ["deluged-utp"] = deluged("utp", "false"),

  qbittorrent = { service = "bittorrent-dht", product = "libtorrent",
    files = function(port) return { ["qb/qBittorrent/config/qBittorrent.conf"] = ([[
[BitTorrent]
Session\Port=%d
Session\Interface=lo
Session\InterfaceName=lo
Session\InterfaceAddress=127.0.0.1
Session\DHTEnabled=true
[LegalNotice]
Accepted=true
[Preferences]
WebUI\Enabled=true
WebUI\Address=127.0.0.1
WebUI\Port=%d
]]):format(port, port + 1) } end,
    env = { HOME = "/run" },
    command = function() return { "qbittorrent-nox", "--profile=/mynah/qb" } end },

  dhtnode = { service = "opendht",
    env = { HOME = "/run" },
    command = function(port) return { "dhtnode", "-p", port, "-s", "-v" } end },

  -- The same library, in another program.
  ["python-opendht"] = { service = "opendht",
    files = function(port) return { ["node.py"] = ([[
import opendht, threading
node = opendht.DhtRunner()
node.run(port=%d)
threading.Event().wait()
]]):format(port) } end,
    command = function() return { "python3", "/mynah/node.py" } end },

  opentracker = { service = "bittorrent-tracker",
    command = function(port) return { "opentracker", "-i", "127.0.0.1", "-P", port, "-d", "/run" } end },

  amuled = { service = "emule-kad",
    files = function(port) return { ["amule/amule.conf"] = ([[
[eMule]
Port=%d
UDPPort=%d
UDPEnable=1
ConnectToKad=1
ConnectToED2K=0
Autoconnect=1
Address=127.0.0.1
TempDir=/run/temp
IncomingDir=/run/incoming
[ExternalConnect]
AcceptExternalConnections=1
ECPort=%d
ECPassword=5ebe2294ecd0e0f08eab7690d2a6ee69
]]):format(port, port, port + 1) } end,
    env = { HOME = "/run" },
    prepare = "mkdir -p /run/temp /run/incoming",
    command = function() return { "amuled", "-c", "/mynah/amule" } end },

  serf = { service = "memberlist",
    command = function(port) return { "serf", "agent", "-bind=127.0.0.1:" .. port, "-rpc-addr=127.0.0.1:" .. port + 1,
      "-node=bird" } end },

  alertmanager = { service = "memberlist",
    files = function() return { ["alertmanager.yml"] = "route:\n  receiver: none\nreceivers:\n  - name: none\n" } end,
    command = function(port) return { "prometheus-alertmanager", "--config.file=/mynah/alertmanager.yml", "--storage.path=/run",
      "--cluster.listen-address=127.0.0.1:" .. port, "--cluster.advertise-address=127.0.0.1:" .. port,
      "--web.listen-address=127.0.0.1:" .. port + 1 } end },

  ["tox-bootstrapd"] = { service = "tox",
    files = function(port) return { ["tox.conf"] = ([[
port = %d
keys_file_path = "/run/tox.keys"
pid_file_path = "/run/tox.pid"
enable_ipv6 = false
enable_ipv4_fallback = true
enable_lan_discovery = false
enable_tcp_relay = false
tcp_relay_ports = [ %d ]
enable_motd = true
motd = "birds of a feather"
]]):format(port, port) } end,
    command = function() return { "tox-bootstrapd", "--config=/mynah/tox.conf", "--foreground",
      "--log-backend=stdout" } end },

  iaxmodem = { service = "iax",
    files = function(port) return { ["etc/iaxmodem/bird"] = ("device\t/run/ttyIAX0\nowner\troot:root\nmode\t660\nport\t%d\n"
      .. "refresh\t0\nserver\t127.0.0.1\npeername\tbird\nsecret\tnone\ncidname\tbird\ncidnumber\t1\n"
      .. "codec\tslinear\n"):format(port) }
    end,
    command = function() return { "iaxmodem", "bird" } end },

  scsynth = with_jack("scsynth", "-B 127.0.0.1 -R 0 -D 0"),
  supernova = with_jack("supernova", "-B 127.0.0.1"),

  zynaddsubfx = { service = "osc",
    env = { HOME = "/run" },
    command = function(port) return { "zynaddsubfx", "-U", "-O", "null", "-I", "null", "-P", port } end },
}

return { users = { { "uucp", 580 } }, servers = servers }
