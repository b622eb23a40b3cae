-- Key exchange, tunnels, DTLS, QUIC, CoAP, mobile networks and buildings: see ../daemons.lua for what a row says.

local CERTIFICATE = require "rows".certificate "localhost"

-- For servers whose port is fixed: they listen on an address that is theirs, and each datagram to our port is handed on.
local function relay(port, address, to, command)
  local words = "socat UDP4-RECVFROM:%d,bind=127.0.0.1,fork UDP4-SENDTO:%s:%d & exec %s"
  return { "sh", "-c", words:format(port, address, to, command) }
end

-- One program, three protocols: each row asks for another.
local function ggsn(service, last, to)
  local address = "127.0.0." .. last
  return { service = service,
    files = function() return { ["ggsn.cfg"] = ([[
ggsn ggsn0
 gtp state-dir /run
 gtp bind-ip ADDRESS
 no shutdown ggsn
line vty
 bind ADDRESS
ctrl
 bind ADDRESS
]]):gsub("ADDRESS", address) } end,
    command = function(port) return relay(port, address, to, "osmo-ggsn -c /mynah/ggsn.cfg") end }
end

-- The other end of such tunnels; below is the same library.
local function sgsn(service, last, to)
  local address = "127.0.1." .. last
  return { service = service, netns = true,
    files = function()
      return { ["sgsn.cfg"] = ("sgsn\n gtp local-ip %s\nline vty\n bind %s\nctrl\n bind %s\n"):format(address, address, address) }
    end,
    command = function(port) return relay(port, address, to, "osmo-sgsn -c /mynah/sgsn.cfg") end }
end

local servers = {
  strongswan = { service = "isakmp",
    files = function(port) return { ["etc/strongswan.conf"] = ([[
charon {
  port = %d
  port_nat_t = %d
  load = random nonce aes sha1 sha2 hmac kdf gmp pem pubkey kernel-netlink socket-default vici
  install_routes = no
  install_virtual_ip = no
  user = root
  group = root
  plugins { socket-default { use_ipv6 = no } }
  filelog { stderr { default = 1 } }
}
]]):format(port, port + 1) } end,
    command = function() return { "/usr/lib/ipsec/charon" } end },

  openvpn = { service = "openvpn",
    prepare = CERTIFICATE,
    command = function(port) return { "openvpn", "--tls-server", "--dev", "null", "--proto", "udp4",
      "--local", "127.0.0.1", "--port", port, "--dh", "none", "--ca", "/run/cert.pem", "--cert", "/run/cert.pem",
      "--key", "/run/key.pem", "--verb", "3" } end },

  xl2tpd = { service = "l2tp",
    files = function(port) return { ["xl2tpd.conf"] = ([[
[global]
listen-addr = 127.0.0.1
port = %d
[lns default]
ip range = 10.9.9.2-10.9.9.9
local ip = 10.9.9.1
]]):format(port), ["secrets"] = "" } end,
    prepare = "mkdir -p /run/xl2tpd",
    command = function() return { "xl2tpd", "-D", "-c", "/mynah/xl2tpd.conf", "-s", "/mynah/secrets", "-p", "/run/xl2tpd.pid",
      "-C", "/run/xl2tpd/control" } end },

  ["openssl-dtls"] = { service = "dtls",
    prepare = CERTIFICATE,
    command = function(port) return { "sh", "-c", "sleep 9999 | exec openssl s_server -dtls -listen -4 -accept 127.0.0.1:" .. port
      .. " -cert /run/cert.pem -key /run/key.pem" } end },

  -- gnutls-serv is left out: the first datagram that is no ClientHello wedges it. coturn speaks DTLS too, and is called STUN.

  ["coap-server"] = { service = "coap",
    command = function(port) return { "coap-server-notls", "-A", "127.0.0.1", "-p", port } end },

  ["coap-rd"] = { service = "coap",
    command = function(port) return { "coap-rd-notls", "-A", "127.0.0.1", "-p", port } end },

  caddy = { service = "quic",
    files = function(port) return { ["Caddyfile"] = ([[
{
  admin off
  auto_https off
}
https://127.0.0.1:%d {
  bind 127.0.0.1
  tls /run/cert.pem /run/key.pem
  respond "mynah"
}
]]):format(port) } end,
    prepare = CERTIFICATE,
    env = { HOME = "/run", XDG_DATA_HOME = "/run", XDG_CONFIG_HOME = "/run" },
    command = function() return { "caddy", "run", "--config", "/mynah/Caddyfile", "--adapter", "caddyfile" } end },

  gtlsserver = { service = "quic",
    prepare = CERTIFICATE,
    command = function(port) return { "gtlsserver", "-q", "127.0.0.1", port, "/run/key.pem", "/run/cert.pem" } end },

  fastd = { service = "fastd",
    files = function(port) return { ["fastd.conf"] = ([[
mode tap;
interface "none";
method "null";
bind 127.0.0.1:%d;
secret "40b2d6a0c4bfbf0a11fbf0e0d8bb4f4c3a3a9e2d8a3f5a5d0f3f3a7b1c2d3e4f";
on verify "false";
]]):format(port) } end,
    command = function() return { "fastd", "-c", "/mynah/fastd.conf" } end },

  nebula = { service = "nebula",
    files = function(port) return { ["nebula.yml"] = ([[
pki: { ca: /run/ca.crt, cert: /run/host.crt, key: /run/host.key }
static_host_map: {}
lighthouse: { am_lighthouse: true }
listen: { host: 127.0.0.1, port: %d }
tun: { disabled: true }
firewall: { outbound: [], inbound: [] }
]]):format(port) } end,
    prepare = "cd /run && nebula-cert ca -name mynah && nebula-cert sign -name host -ip 10.9.9.1/24",
    command = function() return { "nebula", "-config", "/mynah/nebula.yml" } end },

  n2n = { service = "n2n",
    command = function(port) return { "supernode", "-f", "-l", port } end },

  -- Its addresses must look global, so the namespace gets two; its port is fixed.
  ["miredo-server"] = { service = "teredo", netns = true,
    files = function() return { ["miredo.conf"] = "ServerBindAddress 11.0.0.1\nServerBindAddress2 11.0.0.2\n" } end,
    prepare = "mkdir -p /run/miredo; ip addr add 11.0.0.1/32 dev lo; ip addr add 11.0.0.2/32 dev lo",
    command = function(port) return relay(port, "11.0.0.1", 3544,
      "miredo-server -f -c /mynah/miredo.conf -u daemon -p /run/miredo/pid") end },

  -- libreswan is left out: the kernel answers port-unreachable for its socket, which unwraps ESP, to whatever does not begin
  -- with four zero bytes, so that the first probe of another kind makes the port look closed.
  -- openiked is left out: it wants PF_KEY sockets, which most kernels no longer have.

  ["osmo-ggsn"] = ggsn("gtp-control", 7, 2123),
  ["osmo-ggsn-user"] = ggsn("gtp-user", 8, 2152),
  ["osmo-ggsn-v0"] = ggsn("gprs-data", 9, 3386),

  ["osmo-sgsn-user"] = sgsn("gtp-user", 8, 2152),
  ["osmo-sgsn-v0"] = sgsn("gprs-data", 9, 3386),

  knxd = { service = "knxnet-ip",
    command = function(port) return { "knxd", "-e", "1.1.1", "-E", "1.1.2:4", "-n", "mynah", "-D", "-T", "-S",
      "224.0.23.12:" .. port, "-b", "dummy:" } end },
}

return { users = {}, servers = servers }
