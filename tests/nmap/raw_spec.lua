-- What scripts capture, and what they send past the system's own sockets: each row in Nmap and in the host, and stock scripts
-- that live by it, in two networks of their own with a link between them.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path

local support = require "support"
local uv = support.uv

-- { what is done, a function's body, what it gives in both }
local ROWS = {
  { "privileged", "return nmap.is_privileged(), nmap.get_ttl(), nmap.get_payload_length(), nmap.get_interface()",
    "true 64 0 nil" },
  { "a frame before one may", "return pcall(dnet.ethernet_send, dnet, 'x')", "false dnet ethernet interface is not open" },
  { "a packet before one may", "return pcall(dnet.ip_send, dnet, 'x')", "false raw socket not open to send" },
  { "ip_open", "return dnet:ip_open()", "true" },
  { "half a packet", "dnet:ip_open() return pcall(dnet.ip_send, dnet, 'x', '127.0.0.1')", "false can't parse ip packet" },
  { "ip_close twice", "dnet:ip_open() return dnet:ip_close(), dnet:ip_close()", "true false raw socket already closed" },
  { "frames of an interface that is none", "return (pcall(dnet.ethernet_open, dnet, 'nosuch0'))", "false" },
  { "frames of loopback", "return pcall(dnet.ethernet_open, dnet, 'lo')",
    "false bad argument #2 to '?' (device is not valid ethernet interface)" },
  { "frames", "return dnet:ethernet_open 'near', " ..
    "dnet:ethernet_send(('\\0'):rep(60)), dnet:ethernet_close(), dnet:ethernet_close()",
    "true true true true" },
  { "a capture that was never opened", "local s = nmap.new_socket() return pcall(s.pcap_receive, s)",
    "false not a pcap socket" },
  { "closing it", "return nmap.new_socket():pcap_close()", "false socket already closed" },
  { "a capture of no interface", "local s = nmap.new_socket() return pcall(s.pcap_open, s, 'nosuch0', 100, false, '')",
    "false can't open pcap reader on nosuch0" },
  { "a filter that is none", "local s = nmap.new_socket() return pcall(s.pcap_open, s, 'lo', 100, false, 'foo bar')",
    "false can't open pcap reader on lo" },
  { "nothing heard", "return hear('udp port 7'):pcap_receive()", "nil TIMEOUT" },
  { "a datagram heard", "local s = hear 'udp port 9' say(9) local ok, n, link, rest, at = s:pcap_receive() " ..
    "return ok, n, stdnse.tohex(link), rest:sub(29), math.type(at), math.abs(at - os.time()) < 9",
    "true 47 0000000000000000000000000800 hello float true" },
  { "the first bytes of it", "local s = hear('udp port 9', 20) say(9) " ..
    "local _, n, _, rest = s:pcap_receive() return n, #rest", "47 6" },
  { "closing a capture twice", "local s = hear '' return s:pcap_close(), s:pcap_close()", "true false socket already closed" },
  { "a packet of one's own", "local s = hear 'udp port 99' dnet:ip_open() local ok = dnet:ip_send(packet, '127.0.0.1') " ..
    "local _, _, _, rest = s:pcap_receive() return ok, rest:sub(29)", "true from afar" },
  { "the same, to where it says", "local s = hear 'udp port 99' dnet:ip_open() dnet:ip_send(packet) " ..
    "local _, _, _, rest = s:pcap_receive() return rest:sub(29)", "from afar" },
  { "no such interface", "return nmap.get_interface_info 'nosuch0'", "false failed to find interface" },
  { "an interface", "local i = nmap.get_interface_info 'near' return i.device, i.address, i.netmask, i.link, i.mtu, i.up, #i.mac",
    "near 10.55.0.1 24 ethernet 1500 up 6" },
}

local HEAD = [[
local nmap, stdnse = require "nmap", require "stdnse"
description, author, license, categories = "d", "a", "l", { "safe" }
function prerule() return true end
local dnet = nmap.new_dnet()
local function hear(filter, most)
  local s = nmap.new_socket()
  s:pcap_open("lo", most or 100, false, filter)
  s:set_timeout(300)
  return s
end
local function say(port)
  local s = nmap.new_socket "udp"
  s:connect("127.0.0.1", port, "udp")
  s:send "hello"
end
local udp = (">I2I2I2I2"):pack(98, 99, 17, 0) .. "from afar"
local packet = (">I1I1I2I2I2I1I1I2"):pack(0x45, 0, 20 + #udp, 7, 0, 64, 17, 0) .. "\127\0\0\1\127\0\0\1" .. udp
]]

-- Stock scripts: { id, what of its output is left out }.
local SCRIPTS = { { "path-mtu" }, { "ipidseq" }, { "sniffer-detect" }, { "qscan", "%d %d+%.%d+ %d+%.%d+" }, { "broadcast-ping" } }

local SETUP = [[
exec 3>&1 >/dev/null 2>&1 # who stays behind holds nobody's pipe
ip link add near type veth peer name far
ip addr add 10.55.0.1/24 dev near && ip link set near up
unshare --net sleep 60 & FAR=$!
trap 'kill $FAR' EXIT
while [ "$(readlink /proc/$FAR/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
ip link set far netns $FAR
far="nsenter --net --target $FAR"
$far ip addr add 10.55.0.2/24 dev far; $far ip link set far up
$far sysctl -qw net.ipv4.icmp_echo_ignore_broadcasts=0
$far lua5.3 -e 'local uv = require "luv" local s = uv.new_tcp() s:bind("10.55.0.2", 8000)
  s:listen(9, function() local c = uv.new_tcp() s:accept(c) c:close() end) uv.run()' & SERVER=$!
trap 'kill $SERVER $FAR' EXIT
until nmap -n -Pn -sT -p 8000 10.55.0.2 | grep -q '8000/tcp open'; do sleep 0.1; done
exec >&3
]]

local function lines_of(text, id, without)
  local lines = {}
  for line in text:gmatch "[^\n]+" do
    local begins = line:find("^|[_ ] ?" .. id:gsub("%p", "%%%0") .. ":")
    if begins or (lines[1] and line:sub(1, 1) == "|" and not line:find "^|[_ ]?[%w-]+:") then
      lines[#lines + 1] = line:sub(3)
    elseif lines[1] then
      break
    end
  end
  return (table.concat(lines, "\n"):gsub(" +", " "):gsub(without or "\0", "…"))
end

describe("captures, frames and packets of scripts", function()
  local outputs

  -- All in one go: the rows and the stock scripts, in Nmap and in the host.
  setup(function()
    if uv.getuid() ~= 0 then return end
    local bodies, ids = {}, {}
    for i, row in ipairs(ROWS) do bodies[i] = row[2] end
    for i, row in ipairs(SCRIPTS) do ids[i] = row[1] end
    local rows, scripts = support.row_script(HEAD, bodies), table.concat(ids, ",")
    local file = support.write(support.temp ".sh", SETUP .. ([[
nmap -n -Pn -sT -p 8000 --script %s 10.55.0.2; echo =====
nmap -n -sS -p 8000,8001 --script %s --script-args interface=near 10.55.0.2; echo =====
"$MYNAH" run %s 10.55.0.2 -p 8000; echo =====
"$MYNAH" run %s 10.55.0.2 -p 8000,8001 --script-args interface=near
]]):format(rows, scripts, rows, scripts))
    local process = support.run_whole(support.root .. "/tests/support/netns", { "sh", file },
      support.env { MYNAH = support.mynah })
    outputs = {}
    for part in (process.rest .. "=====\n"):gmatch "(.-)=====\n" do outputs[#outputs + 1] = part end
    outputs.said = process.rest .. process.errors
  end)
  teardown(support.clean)

  local function root_it(name, fn)
    if uv.getuid() ~= 0 then return pending(name .. " (needs root)") end
    it(name, fn)
  end

  for i, program in pairs { [1] = "Nmap", [3] = "mynah run" } do
    root_it("give in " .. program .. " what the table says", function()
      local found = support.row_results(outputs[i])
      for n, row in ipairs(ROWS) do
        assert.equal(row[1] .. ": " .. row[3], row[1] .. ": " .. tostring(found[n]), outputs.said)
      end
    end)
  end

  for _, row in ipairs(SCRIPTS) do
    root_it("serve " .. row[1] .. " as in Nmap", function()
      local a, b = lines_of(outputs[2], row[1], row[2]), lines_of(outputs[4], row[1], row[2])
      assert.truthy(a ~= "", outputs.said)
      assert.equal(a, b, outputs.said)
    end)
  end
end)
