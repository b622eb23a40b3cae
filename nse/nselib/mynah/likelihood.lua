--- What is likely on a UDP port that says nothing by its number: services, likeliest first.
-- Signatures say at which ports a service lives; this says how often it is met elsewhere. It orders the probes and nothing else.
-- A service that is not named here comes where the star stands, in the order of the files.
-- @module mynah.likelihood

local likelihood = {}

local ORDER = [[
  domain sip ntp snmp stun turn isakmp openvpn wireguard quic dtls coap
  bittorrent-dht source quake3 raknet teamspeak3 mumble-voip mumble skype minetest
  memcached memcache tftp radius l2tp l2f openvpn-tls-auth iax iax2 mgcp mgcp-gateway utp bittorrent-tracker
  mdns llmnr ssdp upnp ws-discovery nat-pmp pcp netbios-ns sunrpc rpcbind kerberos xdmcp echo
  opendht emule-kad kad enet openttd teeworlds ddnet osc jamulus luanti xonotic quake quake2 quakeworld unreal doom
  armagetron bzflag chocolate-doom memberlist n2n fastd nebula tinc vpncloud zerotier
  asf-rmcp ipmi dhcp bootps dhcpv6 icp squid-icp htcp rx afs afs3 rtpengine rtpproxy rtcp rtp iperf2 iperf chrony chronyc
  syslog ptp tracker pyzor dcc statsd
  *
  daytime time chargen quote qotd discard systat talk ntalk rip bfd
  knxnet-ip bacnet ethernet-ip ethernetip modbus dnp3 opcua hart-ip profinet
  gtp-user gtp-control gprs-data gtp pfcp frame-relay-ns ns gb megaco m3ua sctp
]]

local place, rest = {}, nil
do
  local n = 0
  for name in ORDER:gmatch("%S+") do
    n = n + 1
    if name == "*" then rest = n elseif not place[name] then place[name] = n end
  end
end

--- Where a service stands: the smaller, the likelier.
-- @param service name
-- @return number
function likelihood.of(service)
  return place[service] or rest
end

return likelihood
