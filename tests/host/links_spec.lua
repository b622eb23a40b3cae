-- mynah scan and identify over links of many kinds, in network namespaces of the test's own: "us", where mynah runs, and a, b and
-- c, where others answer. A row is a network, what is asked, and who must be found, by whole frames and through sockets alike.
local here = debug.getinfo(1, "S").source:match("^@(.*)/") or "."
local support = dofile(here .. "/support.lua")
local uv = require "luv"

local IS_ROOT = uv.getuid() == 0
local NAMES = { "us", "a", "b", "c" }
local UDP, TCP = 4053, 4021

-- Answers DNS over UDP and HTTP over TCP at each address it is given, and says who came.
local SERVER = ([[
local uv = require "luv"
uv.new_signal():start("sigpipe", function() end) -- a peer that hangs up
local function say(...) io.write(table.concat({ ... }, " "), "\n") io.flush() end
for _, address in ipairs(arg) do
  local udp, tcp = uv.new_udp(), uv.new_tcp()
  assert(udp:bind(address, UDP))
  udp:recv_start(function(_, bytes, from)
    if not bytes or not from then return end
    say("udp", from.ip)
    if #bytes < 4 then return end
    if #bytes == 12 then -- it names its sender
      local named = ("%d.%d.%d.%d"):format(bytes:byte(9, 12))
      if named == from.ip then udp:send(bytes:sub(1, 8) .. "good", from.ip, from.port) end
      return
    end
    udp:send(bytes:sub(1, 2) .. string.char(bytes:byte(3) | 0x80, bytes:byte(4) | 0x80) .. bytes:sub(5), from.ip, from.port)
  end)
  assert(tcp:bind(address, TCP))
  tcp:listen(64, function()
    local client = uv.new_tcp()
    tcp:accept(client)
    say("tcp", (client:getpeername() or {}).ip or "-")
    client:read_start(function(_, bytes)
      if not bytes then return client:close() end
      client:write "HTTP/1.0 404 Not Found\r\nServer: links\r\n\r\n"
      client:shutdown()
    end)
  end)
end
say "ready"
uv.run()
]]):gsub("UDP", UDP):gsub("TCP", TCP)

-- A veth pair from us to another one, with IPv4 addresses; their loopback may bear what lies behind them.
local function veth(name, ours, peer, theirs)
  return ([[
    ip link add dev NAME netns $us type veth peer name far netns $PEER
    ip -n $us link set NAME up
    ip -n $PEER link set far up
    ip -n $us addr add OURS/24 dev NAME
    ip -n $PEER addr add THEIRS/24 dev far
  ]]):gsub("NAME", name):gsub("OURS", ours):gsub("PEER", peer):gsub("THEIRS", theirs)
end
local TO_A, TO_B = veth("near", "10.66.0.1", "a", "10.66.0.2"), veth("next", "10.68.0.1", "b", "10.68.0.2")

-- a and b as two stations of one link.
local BRIDGED = [[
  ip -n $us link add dev near type bridge
  ip -n $us link set near up
  ip -n $us addr add 10.66.0.1/24 dev near
  for n in a b; do
    ip link add dev to$n netns $us type veth peer name far netns $(eval echo \$$n)
    ip -n $us link set to$n master near up
    ip -n $(eval echo \$$n) link set far up
  done
  ip -n $a addr add 10.66.0.2/24 dev far
  ip -n $b addr add 10.66.0.3/24 dev far
]]

-- A link without headers: what one program reads of a tun device it writes to the other.
local TUN = [[
  socat TUN,tun-name=near0,iff-no-pi TUN,tun-name=far0,iff-no-pi > /dev/null 2>&1 &
  echo $! > $file
  until ip link show dev near0 && ip link show dev far0; do kill -0 $!; sleep 0.05; done > /dev/null 2>&1
  ip link set near0 netns $us name tunnel
  ip link set far0 netns $a name tunnel
  ip -n $us link set tunnel up
  ip -n $a link set tunnel up
  ip -n $us addr add 10.66.0.1 peer 10.66.0.2/32 dev tunnel
  ip -n $a addr add 10.66.0.2 peer 10.66.0.1/32 dev tunnel
  ip -n $us addr add fd66::1/64 dev tunnel nodad
  ip -n $a addr add fd66::2/64 dev tunnel nodad
]]

-- Behind a router, a, at the address that c has there.
local BEHIND_A = [[
  ip link add dev side netns $a type veth peer name far netns $c
  ip -n $a link set side up
  ip -n $c link set far up
  ip -n $a addr add 10.67.0.1/24 dev side
  ip -n $c addr add 10.67.0.9/24 dev far
  ip -n $c route add default via 10.67.0.1
  ip netns exec $a sysctl -qw net.ipv4.ip_forward=1
]]

local function lines(...) return table.concat({ ... }, "\n") end
local function bear(name, ...) -- more addresses, behind whatever leads there
  local list = {}
  for i, address in ipairs { ... } do list[i] = ("ip -n $%s addr add %s/32 dev lo"):format(name, address) end
  return table.concat(list, "\n")
end

-- The name; the network, by shell; the targets, beside ports; who answers, by the namespace that it is in. `lost`: how many
-- targets no way leads to. `device`: what it takes; `lacks`: what a kernel may lack for it. `bears`: frames say
-- from where, too. `many`: one of them, of whom very many ports are asked.
local ROWS = {
  {
    "stations of the link, ourselves among them",
    network = lines(TO_A, "ip -n $a addr add 10.66.0.77/24 dev far"),
    scan = "10.66.0.0/25", a = { "10.66.0.2", "10.66.0.77" },
  },
  {
    "one station of the link", network = TO_A, scan = "10.66.0.2", a = { "10.66.0.2" }, many = "10.66.0.2",
  },
  {
    "a VLAN", lacks = "VLANs (CONFIG_VLAN_8021Q)",
    network = lines(TO_A, "ip -n $us link add link near name near.7 type vlan id 7", "ip -n $us link set near.7 up",
      "ip -n $a link add link far name far.7 type vlan id 7", "ip -n $a link set far.7 up",
      "ip -n $us addr add 10.70.0.1/24 dev near.7", "ip -n $a addr add 10.70.0.2/24 dev far.7",
      "ip -n $a addr add 10.70.0.3/24 dev far.7", "ip -n $us route add 10.71.0.0/24 via 10.70.0.2", bear("a", "10.71.0.5")),
    scan = "10.70.0.0-10.70.0.15 10.71.0.0/28", a = { "10.70.0.2", "10.70.0.3", "10.71.0.5" },
  },
  {
    "a VLAN's router alone", lacks = "VLANs (CONFIG_VLAN_8021Q)",
    network = lines(TO_A, "ip -n $us link add link near name near.7 type vlan id 7", "ip -n $us link set near.7 up",
      "ip -n $a link add link far name far.7 type vlan id 7", "ip -n $a link set far.7 up",
      "ip -n $us addr add 10.70.0.1/24 dev near.7", "ip -n $a addr add 10.70.0.2/24 dev far.7",
      "ip -n $us route add 10.71.0.0/24 via 10.70.0.2", bear("a", "10.71.0.5")),
    scan = "10.71.0.0/28", a = { "10.71.0.5" },
  },
  {
    "IPv6, stations of the link",
    network = lines(TO_A, "ip -n $us addr add fd66::1/64 dev near nodad", "ip -n $a addr add fd66::2/64 dev far nodad",
      "ip -n $a addr add fd66::5/64 dev far nodad"),
    scan = "fd66::/125", a = { "fd66::2", "fd66::5" },
  },
  {
    "IPv6, one station of the link", network = lines(TO_A, "ip -n $us addr add fd66::1/64 dev near nodad",
      "ip -n $a addr add fd66::2/64 dev far nodad"), scan = "fd66::2", a = { "fd66::2" }, many = "fd66::2",
  },
  {
    "IPv6, behind a router that is known by its address of the link",
    network = lines(TO_A, "ip -n $us addr add fe80::1/64 dev near nodad", "ip -n $us addr add 2001:db8::1/128 dev near nodad",
      "ip -n $a addr add fe80::2/64 dev far nodad", "ip -n $a route add 2001:db8::1 dev far",
      "ip -n $us route add 2001:db8:7::/64 via fe80::2 dev near", "ip -n $a addr add 2001:db8:7::5/128 dev lo"),
    scan = "--no-blocklist 2001:db8:7::/125", a = { "2001:db8:7::5" },
  },
  {
    "IPv6, addresses that hold on the link alone", network = lines(TO_A, TO_B, "ip -n $us addr add fe80::1/64 dev next nodad",
      "ip -n $us addr add fe80::1/64 dev near nodad", "ip -n $a addr add fe80::2/64 dev far nodad",
      "ip -n $a addr add fe80::5/64 dev far nodad", "ip -n $b addr add fe80::6/64 dev far nodad"),
    scan = "fe80::2%near fe80::4/126", a = { "fe80::2%far", "fe80::5%far" }, many = "fe80::5%near",
  },
  {
    "a tunnel of IPv4 in IPv4", lacks = "tunnels (CONFIG_NET_IPIP)",
    network = lines(TO_A, "ip -n $us link add name over type ipip local 10.66.0.1 remote 10.66.0.2", "ip -n $us link set over up",
      "ip -n $a link add name over type ipip local 10.66.0.2 remote 10.66.0.1", "ip -n $a link set over up",
      "ip -n $us addr add 10.70.0.1/24 dev over", "ip -n $a addr add 10.70.0.2/24 dev over"),
    scan = "10.70.0.0/28", a = { "10.70.0.2" },
  },
  {
    "a link without headers", device = "/dev/net/tun",
    network = lines(TUN, "ip -n $us route add 10.67.0.0/24 dev tunnel", bear("a", "10.67.0.5")),
    scan = "10.66.0.2 10.67.0.0/28", a = { "10.66.0.2", "10.67.0.5" },
  },
  {
    "a link without headers, IPv6", device = "/dev/net/tun", network = TUN, scan = "fd66::/125", a = { "fd66::2" },
    many = "fd66::2",
  },
  {
    "a router, and who is behind it",
    network = lines(TO_A, BEHIND_A, "ip -n $us route add 10.67.0.0/24 via 10.66.0.2"),
    scan = "10.67.0.0/28", a = { "10.67.0.1" }, c = { "10.67.0.9" }, many = "10.67.0.9",
  },
  {
    "a range that is partly on the link, partly behind a router",
    network = lines(TO_A, bear("a", "10.66.1.5"), "ip -n $us route add 10.66.1.0/24 via 10.66.0.2"),
    scan = "10.66.0.240-10.66.1.15 10.66.0.1-3", a = { "10.66.0.2", "10.66.1.5" }, lost = 1, -- it is the broadcast address
  },
  {
    "a range behind two routers of one link",
    network = lines(BRIDGED, bear("a", "10.67.0.5"), bear("b", "10.67.0.133"),
      "ip -n $us route add 10.67.0.0/25 via 10.66.0.2", "ip -n $us route add 10.67.0.128/25 via 10.66.0.3"),
    scan = "10.67.0.0-10.67.0.15 10.67.0.120-10.67.0.140", a = { "10.67.0.5" }, b = { "10.67.0.133" },
  },
  {
    "a hole in a range, whose two ends lie behind one router",
    network = lines(BRIDGED, bear("a", "10.67.0.5", "10.67.2.5"), bear("b", "10.67.1.5"),
      "ip -n $us route add 10.67.0.0/16 via 10.66.0.2", "ip -n $us route add 10.67.1.0/24 via 10.66.0.3"),
    scan = "10.67.0-2.0-15", a = { "10.67.0.5", "10.67.2.5" }, b = { "10.67.1.5" },
  },
  {
    "a hole that no way leads to",
    network = lines(TO_A, bear("a", "10.67.0.5", "10.67.2.5"), "ip -n $us route add 10.67.0.0/16 via 10.66.0.2",
      "ip -n $us route add unreachable 10.67.1.0/24"),
    scan = "10.67.0-2.0-15", a = { "10.67.0.5", "10.67.2.5" }, lost = 16,
  },
  {
    "two links, each with an address of ours",
    network = lines(TO_A, TO_B, bear("a", "10.67.0.5"), bear("b", "10.67.0.133"),
      "ip -n $us route add 10.67.0.0/25 via 10.66.0.2", "ip -n $us route add 10.67.0.128/25 via 10.68.0.2"),
    scan = "10.67.0.0-10.67.0.15 10.67.0.120-10.67.0.140 127.0.0.1", a = { "10.67.0.5" }, b = { "10.67.0.133" },
    us = { "127.0.0.1" }, bears = true,
  },
  {
    "a rule of a table of its own",
    network = lines(TO_A, TO_B, bear("a", "10.67.0.5", "10.67.2.5"), bear("b", "10.67.1.5"),
      "ip -n $us route add 10.67.0.0/16 via 10.66.0.2", "ip -n $us rule add to 10.67.1.0/24 lookup 77",
      "ip -n $us route add default via 10.68.0.2 table 77"),
    scan = "10.67.0-2.0-15", a = { "10.67.0.5", "10.67.2.5" }, b = { "10.67.1.5" },
  },
  {
    "the interface that is named", network = lines(TO_A, TO_B, bear("a", "10.67.0.5"), bear("b", "10.67.0.6"),
      "ip -n $us route add 10.67.0.0/24 via 10.66.0.2", "ip -n $us route add 10.67.0.0/24 via 10.68.0.2 metric 9"),
    scan = "-e next 10.67.0.0/28", b = { "10.67.0.6" },
  },
  {
    "the address to ask from that is named, which decides on the way", network = lines(TO_A, TO_B, bear("a", "10.67.0.5"),
      bear("b", "10.67.0.6"), "ip -n $us route add 10.67.0.0/24 via 10.66.0.2", "ip -n $us rule add from 10.68.0.1 lookup 77",
      "ip -n $us route add default via 10.68.0.2 table 77"),
    scan = "-S 10.68.0.1 10.67.0.0/28", b = { "10.67.0.6" },
  },
}

local prefix = ("mynah%d"):format(uv.os_getpid())
local file = os.tmpname() -- whom to end, by pid

local function shell(text)
  local head = { "file=" .. file }
  for i, name in ipairs(NAMES) do head[i + 1] = ("%s=%s%s"):format(name, prefix, name) end
  return support.program("/bin/sh", { "-ec", table.concat(head, " ") .. "\n" .. text })
end

local function start(name, path, ...) return support.spawn("/sbin/ip", { "netns", "exec", prefix .. name, path, ... }) end

-- Make a network; false: this kernel cannot.
local function make(row)
  local all = {}
  for i, name in ipairs(NAMES) do all[i] = ("ip netns add $%s; ip -n $%s link set lo up"):format(name, name) end
  local p = shell(lines(table.concat(all, "\n"), row.network))
  assert(p.status == 0 or row.lacks and p.err:find "Unknown device type", p.err)
  return p.status == 0
end

local function unmake()
  shell [[
    for pid in $(cat $file); do kill $pid || true; done 2> /dev/null
    : > $file
    for n in $us $a $b $c; do ip netns del $n || true; done 2> /dev/null
  ]]
end

-- Servers at all addresses that shall answer; and the list of these.
local function serve(row)
  local servers, answering = {}, {}
  for _, name in ipairs(NAMES) do
    if row[name] then
      table.move(row[name], 1, #row[name], #answering + 1, answering)
      servers[#servers + 1] = start(name, "/usr/bin/env", "lua5.3", "-e", SERVER, "-", table.unpack(row[name]))
    end
  end
  for i, address in ipairs(answering) do answering[i] = address:match "^[^%%]+" end
  table.sort(answering)
  for _, server in ipairs(servers) do
    support.wait(function() return server.out:find "ready\n" or server.status end)
    assert(not server.status, server.err)
  end
  return answering, servers
end

local function mynah(words)
  local list = {}
  for word in words:gmatch "%S+" do list[#list + 1] = word end
  return start("us", support.mynah, table.unpack(list))
end

local function open_of(p)
  local list = {}
  for _, row in ipairs(support.rows_of(p)) do
    if row.state == "open" then list[#list + 1] = row.ip end
  end
  table.sort(list)
  return list
end

describe("scan by whole frames refuses", function()
  -- Tunnels of nobody's, one for each network.
  local function tunnels(count)
    local list = {}
    for n = 1, count do
      list[n] = ([[
        ip -n $us tuntap add dev t%d mode tun
        ip -n $us addr add 10.80.%d.1/32 dev t%d
        ip -n $us link set t%d up
        ip -n $us route add 10.81.%d.0/24 dev t%d]]):gsub("%%d", n)
    end
    return table.concat(list, "\n")
  end
  local REFUSED = {
    { "more links than it can listen on", network = tunnels(9), scan = "10.81.1-9.7",
      says = "the targets lie behind more than 8 links: choose one with -e, or scan without --raw" },
    { "more gateways than it keeps", network = lines(TO_A, [[
        for n in $(seq 3 67); do
          ip -n $us neigh add 10.66.0.$n lladdr 02:00:00:00:00:$(printf %02x $n) dev near
          ip -n $us route add 10.81.$n.0/24 via 10.66.0.$n
        done]]), scan = "10.81.3-67.7",
      says = "the targets lie behind more than 64 gateways: scan fewer at a time, or without --raw" },
    { "a router that is silent", network = lines(TO_A, "ip -n $us route add 10.67.0.0/24 via 10.66.0.2",
        "ip -n $us route add 10.68.0.0/24 via 10.66.0.3"), scan = "10.67.0.1 10.68.0.1",
      says = "10.66.0.3 on near does not tell its hardware address" },
    { "an address of nobody's to ask on from", network = TO_A, scan = "-S 192.0.2.77 10.66.0.2",
      says = "mynah: cannot ask on from 192.0.2.77: Cannot assign requested address; --verify-only does without" },
    { "targets that no way leads to", network = TO_A, scan = "10.81.0.0/24 10.82.0.0/24",
      says = "no way to 10.81.0.0: Network is unreachable" },
  }
  for _, row in ipairs(REFUSED) do
    it(row[1], function()
      if not IS_ROOT then return pending "networks of its own need root" end
      finally(unmake)
      make(row)
      local p = mynah(("scan --raw --probe dns -p 53 --timeout 1 %s"):format(row.scan))
      support.wait(p.over, 30)
      assert.equal(3, p.status, p.err)
      assert.truthy(p.err:find(row.says, 1, true), p.err)
    end)
  end
end)

-- How many connections the system of a namespace began.
local function connections(name)
  local p = start(name, "/bin/cat", "/proc/net/snmp")
  support.wait(p.over)
  local names, numbers = p.out:match "Tcp: (%a[^\n]*)\nTcp: ([^\n]*)"
  local place = select(2, names:match "^(.-)ActiveOpens":gsub("%S+", ""))
  for number in numbers:gmatch "%S+" do
    if place == 0 then return tonumber(number) end
    place = place - 1
  end
end

local WAYS = { ("--probe dns -p %d"):format(UDP), ("-sT -p %d"):format(TCP) }

-- A signature whose probe says where it comes from.
local BEARER = 'service bearer\n  title "Bearer"\n  from "this test"\nsig bearer\n  send id?8 my.ip\n  len = 12\n  @0:8 = $id\n'
  .. '  @8:4 = "good"\n'

describe("scan by whole frames, and through sockets, over", function()
  for _, row in ipairs(ROWS) do
    it(row[1], function()
      if not IS_ROOT then return pending "networks of its own need root" end
      if row.device and not uv.fs_stat(row.device) then return pending("no " .. row.device .. " here") end
      finally(unmake)
      if not make(row) then return pending("this kernel has no " .. row.lacks) end
      local answering, servers = serve(row)
      local scans = {}
      for _, way in ipairs(WAYS) do
        for _, path in ipairs { "", " --raw" } do
          local words = ("scan --json --verify-only --timeout 1 %s %s%s"):format(way, row.scan, path)
          scans[#scans + 1] = { words = words, p = mynah(words) }
        end
      end
      for _, scan in ipairs(scans) do
        local p = scan.p
        support.wait(p.over, 30)
        support.finish(p)
        assert.equal(0, p.status, scan.words .. ": " .. p.err)
        assert.same(answering, open_of(p), scan.words .. ": " .. p.err)
        assert.equal(row.lost and 2 * row.lost, support.summary(p)["could not be sent"], p.err)
      end
      if row.bears then
        local path = support.file(BEARER, ".sig")
        local p = mynah(("scan --json --raw --sig %s --timeout 1 -sU -p %d %s"):format(path, UDP, row.scan))
        support.wait(p.over, 30)
        assert.same(answering, open_of(support.finish(p)), p.err)
        support.remove()
      end
      if row.many then
        local p, before = mynah(("identify --json -sT -p %d-%d %s"):format(TCP - 200, TCP + 200, row.many)), connections "us"
        support.wait(p.over, 60)
        support.finish(p)
        local states = {}
        for _, found in ipairs(support.rows_of(p)) do states[found.state] = (states[found.state] or 0) + 1 end
        assert.same({ open = 1, closed = 400 }, states, p.err)
        assert.truthy(connections "us" < before + 100, "not by SYN: " .. p.err)
      end
      for _, server in ipairs(servers) do server.kill() end
    end)
  end
end)

describe("scan hears a router that refuses", function()
  -- What its routes say, and what that is called: where a system connects, it says no more.
  local REFUSALS = {
    { "unreachable", frames = "host-unreach", connections = "host-unreach" },
    { "prohibit", frames = "admin-prohibited", connections = "host-unreach" },
  }
  for _, row in ipairs(REFUSALS) do
    it("as " .. row[1], function()
      if not IS_ROOT then return pending "networks of its own need root" end
      finally(unmake)
      make { network = lines(TO_A, "ip -n $us route add 10.67.0.0/24 via 10.66.0.2",
        "for n in 1 2 3 4; do ip -n $us addr add 10.66.0.1$n/24 dev near; done",
        "ip netns exec $a sysctl -qw net.ipv4.ip_forward=1 net.ipv4.icmp_ratelimit=0",
        ("ip -n $a route add %s 10.67.0.0/24"):format(row[1])) }
      local turn = 0 -- a router says it five times to an address, then once a second
      for i, way in ipairs(WAYS) do
        for _, path in ipairs { "", "--raw" } do
          turn = turn + 1
          local words = ("scan --json --verify-only --timeout 1 10.67.0.4/30 %s %s -S 10.66.0.1%d"):format(way, path, turn)
          local p = mynah(words)
          support.wait(p.over, 30)
          local found = support.rows_of(support.finish(p))
          assert.equal(4, #found, words .. ": " .. p.err)
          for _, each in ipairs(found) do
            assert.equal("filtered", each.state)
            assert.equal(i == 2 and path == "" and row.connections or row.frames, each.reason, words)
          end
        end
      end
    end)
  end
end)

describe("scan by whole frames", function()
  it("bears an address that is not ours, where it is told to", function()
    if not IS_ROOT then return pending "networks of its own need root" end
    finally(unmake)
    make { network = lines(TO_A, "ip -n $a route add 192.0.2.77 via 10.66.0.1") }
    local answering, servers = serve { a = { "10.66.0.2" } }
    for _, way in ipairs(WAYS) do
      local p = mynah(("scan --json --raw --verify-only --timeout 1 -S 192.0.2.77 10.66.0.2 %s"):format(way))
      support.wait(p.over, 30)
      assert.same(answering, open_of(support.finish(p)), p.err)
    end
    support.poll(function() return servers[1].out:find "udp" end)
    assert.equal("192.0.2.77", servers[1].out:match "udp (%S+)")
    servers[1].kill()
  end)
end)

-- The network, the options, and the address that all must come from, whatever asks.
local FROM = {
  { "-S", network = lines(TO_A, "ip -n $us addr add 10.66.0.9/24 dev near"), target = "10.66.0.2", options = "-S 10.66.0.9",
    from = "10.66.0.9" },
  { "-S, over IPv6", network = lines(TO_A, "ip -n $us addr add fd66::1/64 dev near nodad",
      "ip -n $us addr add fd66::9/64 dev near nodad", "ip -n $a addr add fd66::2/64 dev far nodad"), target = "fd66::2",
    options = "-S fd66::9", from = "fd66::9" },
  { "-e", network = lines(TO_A, (TO_B:gsub("$b", "$a"):gsub("far", "other")), bear("a", "10.67.0.5"),
      "ip -n $us route add 10.67.0.0/24 via 10.66.0.2", "ip -n $us route add 10.67.0.0/24 via 10.68.0.2 metric 9"),
    target = "10.67.0.5", options = "-e next", from = "10.68.0.1" },
  { "a zone", network = lines(TO_A, "ip -n $us addr add fe80::1/64 dev near nodad",
      "ip -n $a addr add fe80::2/64 dev far nodad"), target = "fe80::2%near", address = "fe80::2%far", options = "",
    from = "fe80::1" },
}

describe("all that mynah sends, to find and to name, leaves as is said by", function()
  for _, row in ipairs(FROM) do
    it(row[1], function()
      if not IS_ROOT then return pending "networks of its own need root" end
      finally(unmake)
      make(row)
      local _, servers = serve { a = { row.address or row.target } }
      local both = ("-sU -sT -p U:%d,T:%d %s %s"):format(UDP, TCP, row.options, row.target)
      local asked = {}
      for _, words in ipairs { "scan --probe dns " .. both, "scan --probe dns --raw " .. both, "identify --max-probes 5 " .. both,
        ("identify -sT -p %d-%d %s %s"):format(TCP - 200, TCP + 200, row.options, row.target) } do
        servers[1].out = ""
        local p = mynah(words .. " --json --timeout 0.5 --patience 1")
        support.wait(p.over, 60)
        assert.truthy(p.status < 2, words .. ": " .. p.err)
        support.sleep(0.1) -- the server's last words
        local seen = {}
        for transport, from in servers[1].out:gmatch "(%l+) ([%x.:]+)" do
          assert.equal(row.from, from, words)
          seen[transport] = (seen[transport] or 0) + 1
        end
        asked[#asked + 1] = seen
      end
      for i, seen in ipairs(asked) do
        assert.truthy(seen.tcp and seen.tcp >= 1, i)
        assert.truthy(i == 4 or seen.udp >= 2, i)
      end
      if not row.from:find ":" then
        local path = support.file(BEARER, ".sig")
        for _, words in ipairs { "scan --json", "scan --json --raw", "identify --json" } do
          local p = mynah(("%s --sig %s -sU -p %d --timeout 0.5 %s %s"):format(words, path, UDP, row.options, row.target))
          support.wait(p.over, 30)
          assert.equal("bearer", support.rows_of(support.finish(p))[1].service, words .. ": " .. p.err)
        end
        support.remove()
      end
      assert.truthy(servers[1].status == nil, servers[1].err)
      servers[1].kill()
    end)
  end
end)
