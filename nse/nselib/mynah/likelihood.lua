--- What is likely on a UDP port that says nothing by its number: services, likeliest first.
-- Signatures say at which ports a service lives; this says how often it is met elsewhere. It orders the probes and nothing else.
-- A service that is not named here comes where the star stands, in the order of the files.
-- @module mynah.likelihood

local likelihood = {}

local ORDER = [[
  domain sip ntp snmp stun turn isakmp openvpn quic dtls coap
  bittorrent-dht source-engine quake3 raknet minecraft minetest teamspeak3 mumble skype
  postgresql memcached tftp radius l2tp iax mgcp utp bittorrent-tracker tox emule-kad opendht
  mdns ssdp ws-discovery nat-pmp pcp netbios-ns sunrpc kerberos xdmcp ldap srt echo
  enet openttd teeworlds osc jamulus gamespy ase quakeworld quake2 quake doom3 armagetron bzflag chocolate-doom quake3-master
  memberlist n2n fastd nebula asf-rmcp bootps kpasswd icp afs rtpengine rtpproxy iperf sockperf chrony pyzor
  *
  daytime time chargen quote qotd talk bfd lbcd
  nfs mountd nlockmgr status rquotad ypserv rpc
  knxnet-ip bacnet ethernet-ip modbus fins
  gtp-user gtp-control gtp gprs-data pfcp gprs-ns
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

-- How servers of a service take a web page's request: "reset" where they hang up with some of it unread, "eof" where they read
-- it first, "waits" where they take some texts for the beginning of something longer. Observed on the servers of tests/daemons.
local HANGS_UP = { mqtt = "reset", git = "reset", postgresql = "eof", x11 = "eof", ldap = "waits" }

--- How a server of this service hangs up on a web page's request.
-- @param service name
-- @return "reset", "eof" or "waits"; nil where it is not known
function likelihood.hangs_up(service)
  return HANGS_UP[service]
end

return likelihood
