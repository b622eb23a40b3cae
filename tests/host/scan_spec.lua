-- mynah scan from outside: what it would send, what it finds through sockets and whole frames alike, how it ends.
local here = debug.getinfo(1, "S").source:match("^@(.*)/") or "."
local support = dofile(here .. "/support.lua")
local cjson = require "cjson"
local uv = require "luv"
local run = support.run

local IS_ROOT = uv.getuid() == 0

local turned, rows_of, summary = support.turned, support.rows_of, support.summary
local function serve(count, behave) return support.udp_servers("127.7.0", count, behave) end

-- A network of two namespaces: ours, and one behind 10.66.0.2, through which 10.67.0.0/16 goes.
local function with_network(body)
  local name = ("mynah%d"):format(uv.os_getpid())
  local function ip(words) return support.program("/bin/sh", { "-c", "ip " .. words }) end
  local function must(words)
    local p = ip(words)
    assert.equal(0, p.status, words .. ": " .. p.err)
  end
  finally(function()
    ip("netns del " .. name)
    ip("netns del " .. name .. "b")
  end)
  must("netns add " .. name)
  must("netns add " .. name .. "b")
  must(("link add near netns %s type veth peer name far netns %sb"):format(name, name))
  must(("-n %s addr add 10.66.0.1/24 dev near"):format(name))
  must(("-n %s link set near up"):format(name))
  must(("-n %sb link set far up"):format(name))
  must(("-n %s route add 10.67.0.0/16 via 10.66.0.2"):format(name))
  local function mynah(words)
    local args = { "netns", "exec", name, support.mynah }
    for word in words:gmatch "%S+" do args[#args + 1] = word end
    return support.spawn("/sbin/ip", args)
  end
  local beyond = setmetatable({ name = name .. "b" }, {
    __call = function(_, words) must(("-n %sb %s"):format(name, words)) end,
  })
  body(mynah, function(words) must(("-n %s %s"):format(name, words)) end, function(words)
    must(("netns exec %s %s"):format(name, words))
  end, beyond)
end

local function ended(p)
  support.wait(p.over, 30)
  return support.finish(p)
end

describe("scan, before it sends,", function()
  -- Words, exit status, what stands on standard error or (status 0, --list) on standard output.
  local ROWS = {
    { "--list -p 1-2 10.0.0-1.5", 0, "10.0.0.5:1\n10.0.0.5:2\n10.0.1.5:1\n10.0.1.5:2\n" },
    { "--list -p 7 10.0.0.0/30 --exclude 10.0.0.1-10.0.0.2", 0, "10.0.0.0:7\n10.0.0.3:7\n" },
    { "--list [fd00::1]:9 [fd00::1]:7", 0, "[fd00::1]:7\n[fd00::1]:9\n" },
    { "--list -p 9 fd00::/127", 0, "[fd00::]:9\n[fd00::1]:9\n" },
    { "--list -p 9 10.1.*.255 --exclude 10.1.0-254.0-255", 0, "10.1.255.255:9\n" },
    { "--list -p 9 9.255.255.255-10.0.0.0", 0, "9.255.255.255:9\n" }, -- 10/8 was not meant
    { "--list -p 9 9.255.255.255-10.0.0.0 --no-blocklist", 0, "9.255.255.255:9\n10.0.0.0:9\n" },
    { "--dry-run --probe dns -p 53 127.0.0.0/16", 0,
      "65,536 targets (65,536 addresses); domain datagram of 32 bytes to each" },
    { "--dry-run --probe domain -p 53,5353 127.0.0.0/16 --shard 2/3 --seed 5 --rate 50 --retries 0", 0, "43,691 targets "
      .. "(65,536 addresses); domain datagram of 32 bytes to each; at most 50 a second: 15 min for all; part 2 of 3" },
    { "--dry-run --probe dns -p 53 8.0.0.0/8 --exclude 8.8.8.8", 0, "1 address excluded" },
    { "--dry-run --probe dns -p 53 8.0.0.0/8", 2,
      "16777216 addresses of others, and nothing is excluded: name an --exclude-file, or say --yes" },
    { "--dry-run --no-blocklist --probe dns -p 53 0.0.0.0/0", 2, "4294967296 addresses of others" },
    { "--dry-run --probe dns -p 53 2001::/64", 2, "at most 2^62 of them" },
    { "--dry-run --probe dns -p 53 127.0.0.0/8 8.8.8.8", 0, "16,777,217 targets" }, -- one address of others
    { "--probe dns -p 53 127.0.0.1 ::1", 2, "127.0.0.1 and ::1: IPv4 and IPv6 cannot be mixed; scan one after the other" },
    { "--probe dns -p 53 fe80::2", 2, "fe80::2: an address of one link; say which, as in fe80::2%eth0 or by -e eth0" },
    { "--list -p 9 fe80::1%lo [fe80::2%1]:7", 0, "[fe80::1]:9\n[fe80::2]:7\n" },
    { "--list -p 9 fe80::1%lo fe80::2%other", 2, '"fe80::2%other": other targets are on the link lo' },
    { "--list -p 9 fe80::/126 --exclude fe80::2%lo", 0, "[fe80::]:9\n[fe80::1]:9\n[fe80::3]:9\n" },
    { "--probe dns -p 9 fe80::1%lo -e other", 2, "-e other: targets are on the link lo" },
    { "--probe dns -p 53 ::1 -S 127.0.0.1", 3, "IPv4 and IPv6 cannot be mixed" },
    { "--list 10.0.0.1:5 10.0.0.1:3 10.0.0.2:9", 0, "10.0.0.1:3\n10.0.0.1:5\n10.0.0.2:9\n" },
    { "--probe dns -p 53", 2, "no target" },
    { "-sT 127.0.0.1", 2, '"127.0.0.1": no port; write HOST:PORT or add -p PORTS' },
    { "--probe skype 127.0.0.1", 2, '"127.0.0.1": no port; write HOST:PORT or add -p PORTS' },
    { "--probe dns --list 127.0.0.1", 0, "127.0.0.1:53\n" },
    { "--probe dns,ntp --list 127.0.0.1", 0, "127.0.0.1:53\n127.0.0.1:123\n" },
    { "--list -p U:53,T:80,161 127.0.0.1", 0, "127.0.0.1:53/udp\n127.0.0.1:80/tcp\n127.0.0.1:161/tcp\n" },
    { "--list -sU -sT -p 53,U:161 127.0.0.1", 0, "127.0.0.1:53/udp\n127.0.0.1:161/udp\n127.0.0.1:53/tcp\n" },
    { "--dry-run -sU -sT --probe dns -p 53 127.0.0.1", 0, "UDP: 1 target (1 address); domain datagram of 32 bytes to each" },
    { "--dry-run -sU -sT --probe dns -p 53 127.0.0.1", 0, "TCP: 1 target (1 address); one connection to each" },
    { "-sT --probe dns -p 53 127.0.0.1", 2, "--probe sends datagrams, -sT asks over TCP: say -sU -sT for both" },
    { "--probe dns -p T:53 127.0.0.1", 2, "--probe sends datagrams, and no UDP port is asked" },
    { "--probe dns,nosuch -p 53 127.0.0.1", 2, '--probe "nosuch": no signature or service of this name' },
    { "--probe , -p 53 127.0.0.1", 2, '--probe ",": expected names of services or signatures, with commas' },
    { "--dry-run -p 53,123,161,162 127.0.0.0/30", 0, "16 targets (4 addresses); " },
    { "--dry-run -p 53,77 127.0.0.1", 0,
      "to each port its own: domain; 1 port that no service names: domain, the likeliest of all" },
    { "-sT --dry-run -p T:80,U:53-60 127.0.0.1", 0, "1 target (1 address); one connection to each" },
    { "-sT --raw --dry-run -p 80 127.0.0.1", 0, "one SYN to each" },
    { "--probe nosuch -p 53 127.0.0.1", 2, '--probe "nosuch": no signature or service of this name' },
    { "--probe dns-tcp -p 53 127.0.0.1", 2, '--probe "dns-tcp": it sends no datagram' },
    { "--probe dns -p 53 10.0.0.0/33", 2, '"10.0.0.0/33": a prefix of 0 to 32 bits expected' },
    { "--probe dns -p 53 10.0.0.256", 2, '"10.0.0.256": expected an address' },
    { "--probe dns -p 53 240.0.0.1", 2, "nothing is left to ask: 1 addresses are excluded" },
    { "--probe dns -p 99999 127.0.0.1", 2, 'port "99999"' },
    { "--probe dns -p 53 127.0.0.1 --shard 4/3", 2, '--shard "4/3": expected I/N with I from 1 to N' },
    { "--probe dns -p 53 127.0.0.0/24 --shard 1/3", 2, "--shard: the parts of a scan need the same --seed N" },
    { "--probe dns -p 53 127.0.0.1 --shard auto", 2, "--shard auto: neither Slurm, Kubernetes nor GNU parallel says which" },
    { "--probe dns -p 53 127.0.0.1 -o x.txt", 2, '-o "x.txt": expected a name that ends in .jsonl, .csv, .xml, .gnmap or .db' },
    { "--probe dns -p 53 127.0.0.1 -o /nonexistent/x.csv", 3, "cannot write: /nonexistent/x.csv" },
    { "--probe dns -p 53 127.0.0.1 --fields ip,colour", 2, '--fields "colour"' },
    { "--probe dns -p 53 127.0.0.1 --filter colour=red", 2, '--filter "colour=red"' },
    { "--resume /nonexistent/x.db", 2, "/nonexistent/x.db" },
    { "--probe dns -p 53 127.0.0.1 --rate fast", 2, '--rate "fast"' },
    { "--probe dns -p 53 127.0.0.1 --bandwidth 5", 2, '--bandwidth "5": expected bits a second, from 1k on: 500k, 20M, 1G' },
    { "--probe dns -p 53 127.0.0.1 --max-connections 1", 2, '--max-connections "1": expected a whole number from 2' },
    { "--dry-run --probe dns -p 53 127.0.0.0/30 --per-host-rate 2 --bandwidth 64k", 0,
      "at most 1000 a second: at least 1 s for all; 2 a second to one address; 64,000 bits a second" },
    { "--dry-run --probe dns -p 1-1000 127.0.0.0/30 --per-host-rate 0.5", 0, "at most 1000 a second: 33 min for all" },
    { "--probe dns -p 53 127.0.0.1 -e nosuchlink0", 3, "nosuchlink0" },
    { "--probe dns -p 53 127.0.0.1 -S 192.0.2.77", 3, "192.0.2.77" },
    { "-sT -p 9 127.0.0.1 -e nosuchlink0", 3, "cannot connect from any address through nosuchlink0: " },
    { "-sT -p 9 127.0.0.1 -S 192.0.2.77", 3, "cannot connect from 192.0.2.77: " },
    { "-sT -p 9 127.0.0.1 -g 4000", 2, "-g: connections leave from any port; add --raw, or ask over UDP alone" },
    { "-p 53 127.0.0.1 -g 65281", 2, '--source-port "65281": expected a whole number from 1 to 65280' },
    { "--list --shard 1/2 --seed 1 -p 53 127.0.0.1", 2, "--list prints the targets of all parts; leave out --shard" },
    { "-p 53 127.0.0.1 --script-args a=b", 2, "--script-args says how scripts run, and there is no --script" },
    { "-p 53 127.0.0.1 --script-threads 5", 2, "--script-threads says how scripts run, and there is no --script" },
    { "-p 53 127.0.0.1 --fields ,", 2, '--fields ",": expected keys of --json: ip,port,' },
    { "-p 53 127.0.0.1 --fields ip,port,ip", 2, '--fields "ip": it stands there twice' },
    { "-p 53 127.0.0.1 --exclude 127.0.0.1:53", 2, '"127.0.0.1:53": whole addresses are left out, without a port' },
    { "--probe dns -p 53 -iL /nonexistent/list", 2, "/nonexistent/list" },
    { "--list -p 53 -iL /tmp", 2, "/tmp: Is a directory" },
    { "--list -p 53 127.0.0.1 --exclude-file /tmp", 2, "/tmp: Is a directory" },
    { "--list -p 53 127.0.0.1 --blocklist /tmp", 2, "/tmp: Is a directory" },
    { "--config /tmp", 2, "--config /tmp: Is a directory" },
    { "-sT -p 9 127.0.0.1 -oX o.xml", 2, "-oX: write -o FILE.xml" },
    { "-sT -p 9 127.0.0.1 -oA localhost", 2, "-oA: write -o NAME.xml -o NAME.gnmap" },
    { "-sT -p 9 127.0.0.1 -oG localhost", 2, "-oG: write -o FILE.gnmap" },
    { "-sT -p 9 -iR 5", 2, "-iR: there is no drawing of targets" },
    { "-p 53 127.0.0.1 --rate 0", 2, "from 0.01 to 1000000" },
    { "--dry-run -sT --ports -3 127.0.0.1", 0, "3 targets (1 address)" },
  }
  for _, row in ipairs(ROWS) do
    it(row[1], function()
      local p = run("scan " .. row[1])
      assert.equal(row[2], p.status, p.err)
      local lists = row[2] == 0 and row[1]:find "%-%-list"
      local said = lists and p.out or p.err
      assert.truthy(said:find(row[3], 1, true), said)
      if lists then assert.equal(row[3], p.out) end
    end)
  end

  it("reads targets from a file and from standard input, and says where one is wrong", function()
    local list = support.file("10.0.0.1:5 # a note\n\n10.0.0.2\t10.0.0.3:7\n")
    assert.equal("10.0.0.1:5\n10.0.0.2:9\n10.0.0.3:7\n", run("scan --list -p 9 -iL " .. list).out)
    local piped = support.shell("printf '10.0.0.9:1' | \"$MYNAH\" scan --list -iL -")
    assert.equal("10.0.0.9:1\n", piped.out)
    local bad = support.file("10.0.0.1:5\n10.0.0.1/99:5\n")
    local p = run("scan --list -iL " .. bad)
    assert.equal(2, p.status)
    assert.truthy(p.err:find(bad .. ":2: ", 1, true), p.err)
    support.remove()
  end)
end)

describe("scan's blocklist", function()
  it("says of every range where it stands, and no target within one is asked unless it is of one's own", function()
    local ranges, words = 0, { "scan", "--list", "-p", "9", "9.0.0.1" }
    for line in io.lines(support.root .. "/signatures/blocklist.txt") do
      local range, why = line:match "^([%x.:]+/%d+)%s+# (.+)$"
      assert.truthy(range or line == "" or line:find "^#", line)
      if range then
        assert.truthy(why:find "RFC %d+" and (why:find "; IANA[46]$" or why:find "; MCAST$" or why:find "; SPACE$"), line)
        ranges = ranges + 1
        if not range:find ":" then words[#words + 1] = range:match "^[^/]+" end
      end
    end
    assert.equal(29, ranges)
    assert.equal("9.0.0.1:9\n10.0.0.0:9\n127.0.0.0:9\n169.254.0.0:9\n172.16.0.0:9\n192.168.0.0:9\n", run(words).out)
    local six = run "scan --list -p 9 2000::1 2001:db8::1 ff02::1 fec0::1 3fff::1 fe80::1 fd00::1 ::1"
    assert.equal("[::1]:9\n[2000::1]:9\n[fd00::1]:9\n[fe80::1]:9\n", six.out)
  end)

  it("is another file's where one is named, read as every list of targets is", function()
    local path = support.file("9.0.0.1 # not this one\n\n10.1.0.0/16\n10.2.0.4-10.2.0.6\n10.3-4.0.0-3\n")
    local listed = run { "scan", "--list", "-p", "9", "--blocklist", path, "9.0.0.0/30", "224.0.0.1", "10.0.255.255-10.1.0.1",
      "10.2.0.3-10.2.0.5", "10.3.0.1" }
    assert.equal("9.0.0.0:9\n9.0.0.2:9\n9.0.0.3:9\n10.0.255.255:9\n10.2.0.3:9\n10.3.0.1:9\n224.0.0.1:9\n", listed.out)
    assert.equal("10.2.0.5:9\n", run { "scan", "--list", "-p", "9", "--blocklist", path, "10.2.0.5" }.out) -- it was meant
    local printed = run { "scan", "--print-config", "--blocklist", path, "10.2.0.5" }
    assert.truthy(printed.out:find("blocklist = " .. path, 1, true), printed.out)
    for text, message in pairs { ["10.0.0.0/8\n224.0.0.0/33\n"] = ':2: "224.0.0.0/33": a prefix of 0 to 32 bits expected',
      ["9.9.9.9-9.9.9.1\n"] = ':1: "9.9.9.9-9.9.9.1": ' } do
      path = support.file(text)
      local p = run { "scan", "--list", "-p", "9", "--blocklist", path, "9.0.0.1" }
      assert.equal(2, p.status)
      assert.truthy(p.err:find(path .. message, 1, true), p.err)
    end
    assert.truthy(run("scan --list -p 9 --blocklist /nonexistent/x 9.0.0.1").err:find("/nonexistent/x: No such file", 1, true))
    assert.equal(2, run("scan --list -p 9 --blocklist x --no-blocklist 9.0.0.1").status)
    support.remove()
  end)
end)

describe("scan's options", function()
  it("come from a file, and the command line wins", function()
    local words = "-p 53 --probe dns 10.0.0.0/30 10.1.0.0/30 --rate max --retries 3 --raw --seed 5 --shard 2/3 --exclude 10.0.0.1"
      .. " --per-host-rate 2.5 --bandwidth 20M --max-connections 100 --host-timeout 9"
    local printed = run("scan --print-config " .. words)
    assert.equal(0, printed.status, printed.err)
    local path = support.file("# a note\n\n" .. printed.out)
    assert.equal(printed.out, run("scan --print-config --config " .. path).out)
    assert.equal(run("scan --dry-run " .. words).err, run("scan --dry-run --config " .. path).err)
    local other = run(("scan --dry-run --config %s --rate 7 --shard 1/3"):format(path))
    assert.truthy(other.err:find("at most 7 a second", 1, true) and other.err:find("part 1 of 3", 1, true), other.err)
    local bad = support.file("probe = dns\n= 5\n")
    local p = run("scan --config " .. bad)
    assert.equal(2, p.status)
    assert.truthy(p.err:find(bad .. ":2: expected NAME = VALUE", 1, true), p.err)
    local unknown = run("scan --config " .. support.file("colour = red\n"))
    assert.equal(2, unknown.status)
    assert.truthy(unknown.err:find("--colour", 1, true), unknown.err)
    support.remove()
  end)
end)

describe("scan reads", function()
  local XML = [[<?xml version="1.0"?>
<nmaprun scanner="nmap"><host><status state="up"/><address addr="10.0.0.1" addrtype="ipv4"/><address addr="02:00:00:00:00:01"
 addrtype="mac"/><ports><port protocol="udp" portid="53"><state state="open" reason="x"/></port>
<port protocol="tcp" portid="80"><state state="open" reason="x"/></port>
<port protocol="udp" portid="54"><state state="closed" reason="x"/></port></ports></host>
<host><address addr="10.0.0.2" addrtype="ipv4"/>
<ports><port protocol="udp" portid="7"><state state="open|filtered"/></port></ports>
</host></nmaprun>
]]
  -- What wrote it, its text, the targets of UDP in it (-p 9 where it names no port).
  local ROWS = {
    { "XML of nmap", XML, "10.0.0.1:53\n10.0.0.2:7\n" },
    { "grepable of nmap", "# Nmap 7.93 scan\nHost: 10.0.0.1 ()\tStatus: Up\nHost: 10.0.0.1 ()\tPorts: 53/open/udp//domain///, "
      .. "80/open/tcp//http///, 54/closed/udp/////\tIgnored State: closed (1)\n", "10.0.0.1:53\n" },
    { "list of masscan", "#masscan\nopen tcp 80 10.0.0.1 1390380064\nopen udp 53 10.0.0.2 1390380064\n# end\n",
      "10.0.0.2:53\n" },
    { "JSON of masscan", '[\n{   "ip": "10.0.0.1",  '
      .. ' "timestamp": "1", "ports": [ {"port": 53, "proto": "udp", "status": "open"}, '
      .. '{"port": 80, "proto": "tcp", "status": "open"} ] },\n{ "ip": "10.0.0.2", "ports": [ {"port": 5, "proto": "udp", '
      .. '"status": "open"} ] }\n]\n', "10.0.0.1:53\n10.0.0.2:5\n" },
    { "CSV of zmap", "saddr\n10.0.0.1\n10.0.0.2\n", "10.0.0.1:9\n10.0.0.2:9\n" },
    { "CSV of zmap with ports", "classification,saddr,sport\nudp,10.0.0.1,53\n", "10.0.0.1:53\n" },
    { "lines of ours", '{"ip":"10.0.0.1","port":53,"transport":"udp","state":"open"}\n{"ip":"10.0.0.2","port":53,'
      .. '"transport":"udp","state":"closed"}\n{"ip":"10.0.0.3","port":53,"transport":"tcp","state":"open"}\n', "10.0.0.1:53\n" },
    { "CSV of ours", "ip,port,transport,state\r\n10.0.0.1,53,udp,open\r\n10.0.0.2,53,udp,closed\r\n"
      .. "10.0.0.3,53,tcp,open\r\n",
      "10.0.0.1:53\n" },
    { "JSON of old masscans", '[\n{"ip": "10.0.0.1", "ports": [{"port": 5, "proto": "udp", "status": "open"}]},\n'
      .. '{finished: 1}\n]\n',
      "10.0.0.1:5\n" },
    { "lines of naabu", "[fd00::1]:53\n[fd00::2]:53\n", "[fd00::1]:53\n[fd00::2]:53\n" },
  }
  for _, row in ipairs(ROWS) do
    it(row[1], function()
      local p = run("scan --list -p 9 -iL " .. support.file(row[2]))
      support.remove()
      assert.equal(0, p.status, p.err)
      assert.equal(row[3], p.out)
    end)
  end

  it("passes over a byte order mark, and says where a byte is no text", function()
    local marked = support.file "\xEF\xBB\xBF10.0.0.1:5\r\n10.0.0.2:7\r\n"
    assert.equal("10.0.0.1:5\n10.0.0.2:7\n", run("scan --list -iL " .. marked).out)
    local bad = support.file "10.0.0.1:5\n10.0.0.2\0:7\n"
    local p = run("scan --list -iL " .. bad)
    assert.equal(2, p.status, p.err)
    assert.truthy(p.err:find(bad .. ":2: a NUL byte: expected text", 1, true), p.err)
    local config = run("scan --config " .. support.file "target = 10.0.0.1\0\n")
    assert.equal(2, config.status, config.err)
    assert.truthy(config.err:find("a NUL byte: expected text", 1, true), config.err)
    support.remove()
  end)

  it("and says where one is wrong", function()
    local path = support.file('{"ip":"10.0.0.1","port":53}\n{"ip":"10.0.0.300","port":53}\n')
    local p = run("scan --list -iL " .. path)
    assert.equal(2, p.status)
    assert.truthy(p.err:find(path .. ":2: ", 1, true), p.err)
    local pretty = run("scan --list -iL " .. support.file('[\n{\n"ip":"10.0.0.1"}]\n'))
    assert.equal(2, pretty.status)
    assert.truthy(pretty.err:find(":2: expected one whole JSON object on each line", 1, true), pretty.err)
    local other = run("scan --list -iL " .. support.file("#masscan\nopen tcp 80 10.0.0.1 1390380064\n"))
    support.remove()
    assert.equal(2, other.status)
    assert.truthy(other.err:find("no target: no open UDP port in", 1, true), other.err)
  end)
end)

describe("scan finds", function()
  local PATHS = { "", "--raw" }

  for _, path in ipairs(PATHS) do
    local name = path == "" and "through sockets" or "with whole frames"

    it("who answers, " .. name, function()
      if path ~= "" and not IS_ROOT then return pending("whole frames need root") end
      local answers = {
        function(bytes) return { turned(bytes) } end,                                   -- 1: an answer
        function(bytes) return { turned(bytes), turned(bytes) } end,                    -- 2: twice
        function(bytes, times) return times > 1 and { turned(bytes) } or {} end,        -- 3: when asked again
        function() return { "no answer of anything" } end,                              -- 4: garbage
        function(bytes) return { "\0\0" .. turned(bytes):sub(3) } end,                  -- 5: a nonce that is not ours
        function() return {} end,                                                       -- 6: silence
      }
      local port, asked, close = serve(30, function(n, bytes, times) return answers[(n - 1) % 6 + 1](bytes, times) end)
      local p = run(("scan --json --verify-only --probe dns -p %d 127.7.0.1-127.7.0.40 --timeout 1 %s"):format(port, path))
      close()
      assert.equal(0, p.status, p.err)
      local rows = rows_of(p)
      assert.equal(15 + 10, #rows) -- 15 who verify, and ten ports that are closed
      for _, row in ipairs(rows) do
        local n = tonumber(row.ip:match "%d+$")
        assert.equal(n > 30 and "closed" or "open", row.state)
        assert.truthy(n > 30 or (n - 1) % 6 < 3, row.ip)
        assert.equal(n > 30 and "port-unreach" or "udp-response", row.reason)
        assert.equal("dns", row.probe == cjson.null and "dns" or row.probe)
        assert.truthy(row.rtt_ms >= 0 and row.rtt_ms < 1000)
      end
      for n = 1, 30 do assert.equal((n - 1) % 6 < 2 and 1 or 2, asked[n], "127.7.0." .. n) end
      local counts = summary(p)
      assert.same({ sent = 40 + 20, answered = 25, verified = 15, named = 0, duplicates = 5, dropped = 0, unanswered = 15 },
        { sent = counts.sent, answered = counts.answered, verified = counts.verified, named = counts.named,
          duplicates = counts.duplicates, dropped = counts.dropped, unanswered = counts.unanswered }, p.err)
      assert.equal(20, counts["did not verify"])
    end)

    it("rows that say the same, whoever wants them besides, " .. name, function()
      if path ~= "" and not IS_ROOT then return pending("whole frames need root") end
      local port, _, close = serve(20, function(_, bytes) return { turned(bytes) } end)
      local file = os.tmpname() .. ".jsonl"
      local words = ("scan --json --verify-only --probe dns -p %d 127.7.0.1-127.7.0.30 --timeout 1 %s"):format(port, path)
      local alone, beside = run(words), run(words .. " -o " .. file)
      close()
      local stored = {}
      for line in io.lines(file) do stored[#stored + 1] = line end
      os.remove(file)
      assert.same(beside.lines, stored)
      -- Times and nonces are of a moment; that they are there is not.
      local function text_of(lines)
        local list = {}
        for i, line in ipairs(lines) do
          list[i] = line:gsub('"rtt_ms":%d+%.%d%d?%d?,', '"rtt_ms":0,'):gsub('"reply_hex":"%x+"', '"reply_hex":""')
            :gsub('"timestamp":"%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ"', '"timestamp":""')
        end
        table.sort(list)
        return list
      end
      assert.equal(30, #alone.lines)
      assert.same(text_of(beside.lines), text_of(alone.lines))
    end)

    it("each at the time it answered, " .. name, function()
      if path ~= "" and not IS_ROOT then return pending("whole frames need root") end
      local port, _, close = serve(3, function(_, bytes) return { turned(bytes) } end)
      local p = run(("scan --json --verify-only --probe dns -p %d 127.7.0.1-127.7.0.3 --rate 1 %s"):format(port, path))
      close()
      local seconds, count = {}, 0
      for _, row in ipairs(rows_of(p)) do
        local second = row.timestamp:match ":(%d%d)%.%d%d%dZ$"
        count = count + (seconds[second] and 0 or 1)
        seconds[second] = true
      end
      assert.equal(3, #p.lines, p.err)
      assert.truthy(count > 1, p.out) -- one was asked a second and more after another
    end)

    it("the hidden node among other ports, and names it, " .. name, function()
      if path ~= "" and not IS_ROOT then return pending("whole frames need root") end
      local nodes = support.serve { "skype" }
      local low = math.max(1024, nodes.skype.port - 2000)
      local p = run(("scan --json --probe skype -p %d-%d 127.0.0.1 --rate 20000 --retries 0 --timeout 1 %s"):format(low,
        low + 4000, path))
      nodes.stop()
      assert.equal(0, p.status, p.err)
      local named = {}
      for _, row in ipairs(rows_of(p)) do
        if row.service ~= cjson.null then named[#named + 1] = row end
      end
      assert.equal(1, #named)
      assert.equal(nodes.skype.port, named[1].port)
      assert.equal("skype", named[1].service)
      assert.truthy(named[1].confidence >= 0.9)
      assert.equal(1, summary(p).named)
    end)
  end

  for _, path in ipairs(PATHS) do
    it("what listens on TCP, and names it, " .. (path == "" and "by connecting" or "by SYN"), function()
      if path ~= "" and not IS_ROOT then return pending("whole frames need root") end
      local nodes = support.serve()
      local ports = { nodes.skype.port, nodes.ftp.port, nodes.http.port }
      local p = run(("scan -sT --json -p %s,1-200 127.0.0.1 --patience 5 %s"):format(table.concat(ports, ","), path))
      nodes.stop()
      assert.equal(0, p.status, p.err)
      local found, refused = {}, 0
      for _, row in ipairs(rows_of(p)) do
        assert.equal("tcp", row.transport)
        if row.state == "open" then found[row.port] = row.service else refused = refused + 1 end
        if row.state ~= "open" then assert.equal("closed conn-refused", row.state .. " " .. row.reason) end
      end
      assert.equal("skype", found[nodes.skype.port])
      assert.equal("ftp", found[nodes.ftp.port])
      assert.equal("http", found[nodes.http.port])
      assert.truthy(refused > 100)
      assert.equal(203, summary(p).sent)
    end)
  end

  it("every target once in its parts", function()
    local port, asked, close = serve(20, function(_, bytes) return { turned(bytes) } end)
    local seen = {}
    for part = 1, 3 do
      local p = run(("scan --json --verify-only --probe dns -p %d 127.7.0.1-127.7.0.20 --seed 7 --shard %d/3"):format(port, part))
      assert.equal(0, p.status, p.err)
      for _, row in ipairs(rows_of(p)) do seen[#seen + 1] = row.ip end
    end
    close()
    assert.equal(20, #seen)
    for n = 1, 20 do assert.equal(1, asked[n]) end
  end)

  it("nobody in a header copier: it answers the broken question, too", function()
    local port, _, close = serve(3, function(_, bytes) return { turned(bytes) } end)
    local p = run(("scan --json --probe dns -p %d 127.7.0.1-127.7.0.3"):format(port))
    close()
    local rows = rows_of(p)
    assert.equal(3, #rows)
    for _, row in ipairs(rows) do assert.equal(cjson.null, row.service) end
  end)
end)

describe("identify of very many ports", function()
  local PRIVILEGES = {
    { "by SYN", {} },
    { "by connecting", { "setpriv", "--inh-caps=-all", "--bounding-set=-all" } },
  }
  for _, row in ipairs(PRIVILEGES) do
    it("finds first which are open, " .. row[1], function()
      if not IS_ROOT and #row[2] == 0 then return pending("whole frames need root") end
      local nodes = support.serve { "skype" }
      local low = math.max(1024, nodes.skype.port - 1500)
      local args = { support.mynah, "identify", "--json", "-p", ("%d-%d"):format(low, low + 2999), "127.0.0.1" }
      if IS_ROOT then table.move(args, 1, #args, #row[2] + 1) table.move(row[2], 1, #row[2], 1, args) end
      local p = support.program("/usr/bin/env", args, { seconds = 120 })
      nodes.stop()
      assert.equal(0, p.status, p.err)
      local rows, found = rows_of(p), {}
      assert.equal(6000, #rows)
      for _, r in ipairs(rows) do
        if r.port == nodes.skype.port and r.service == "skype" then
          found[#found + 1] = ("%d %s %s"):format(r.port, r.transport, r.state)
        end
        assert.truthy(r.state == "closed" or r.state == "open" or r.state == "open|filtered", r.state)
        if r.state == "closed" then assert.equal(r.transport == "tcp" and "conn-refused" or "port-unreach", r.reason) end
      end
      table.sort(found)
      assert.same({ nodes.skype.port .. " tcp open", nodes.skype.port .. " udp open" }, found)
    end)
  end
end)

describe("identify of very many UDP ports", function()
  -- Silent to whoever does not ask as NTP clients do.
  local function serve_ntp()
    local socket = uv.new_udp()
    assert(socket:bind("127.7.1.1", 0))
    socket:recv_start(function(_, bytes, from)
      if not bytes or not from or #bytes ~= 48 or bytes:byte(1) & 7 ~= 3 then return end
      local now = string.pack(">I4I4", os.time() + 2208988800, 12345)
      socket:send(string.char(0x24, 2, bytes:byte(3), 0xe9) .. ("\0\0\1\0"):rep(2) .. "\127\0\0\1" .. now
        .. bytes:sub(41, 48) .. now .. now, from.ip, from.port, function() end)
    end)
    return socket:getsockname().port, socket
  end

  it("names one that the first datagram did not reach, and says what it does", function()
    local port, socket = serve_ntp()
    local p = run(("identify -sU --json -p %d-%d 127.7.1.1"):format(port - 200, port + 200))
    socket:close()
    assert.equal(0, p.status, p.err)
    assert.truthy(p.err:find("401 UDP ports by one %S+ datagram each are swept first, at most 50000 a second"), p.err)
    local named = {}
    for _, row in ipairs(rows_of(p)) do
      if row.service ~= cjson.null then named[#named + 1] = ("%d %s"):format(row.port, row.service) end
      if row.state == "closed" then assert.truthy(row.sent > 0) end
    end
    assert.same({ port .. " ntp" }, named)
  end)

  -- Behind a filter all are silent.
  it("asks many silent ones once, unless told to ask by every probe", function()
    if not IS_ROOT then return pending("a network of its own needs root") end
    with_network(function(mynah, ip)
      ip "neigh add 10.66.0.2 lladdr 02:00:00:00:00:02 dev near"
      local p = ended(mynah "identify -sU --json --timeout 0.3 -p 20000-20400 10.67.0.9")
      local once = 0
      for _, row in ipairs(rows_of(p)) do
        if (row.evidence[1] or ""):find("asked by one probe alone; --all-probes asks by every one", 1, true) then
          once = once + 1
        end
      end
      assert.truthy(once > 380 and once <= 401, once .. " of 401 asked once: " .. p.err)
    end)
  end)
end)

describe("scan hears", function()
  -- Larger than the link's 1500 bytes, and than a frame of most links.
  local SERVER = [[
    local uv = require "luv"
    local s = uv.new_udp()
    s:bind("10.66.0.2", 4000)
    s:recv_start(function(_, bytes, from)
      if bytes then s:send(bytes:sub(1, 8) .. "here" .. ("x"):rep(tonumber(arg[1])), from.ip, from.port) end
    end)
    uv.run()]]
  local SIGNATURE = 'service parrot\n  title "Parrot"\n  from "this test"\nsig parrot\n  send id?8 "who?"\n  len = %d\n'
    .. '  @0:8 = $id\n  @12:4 = "xxxx"\n'

  for _, size in ipairs { 1400, 3000, 60000 } do
    for _, path in ipairs { "", "--raw" } do
      local how = path == "" and "through sockets" or path
      it(("an answer of %d bytes, in fragments where need be, %s"):format(size, how), function()
        if not IS_ROOT then return pending("a network of its own needs root") end
        local program, signature = os.tmpname(), os.tmpname() .. ".sig"
        for name, content in pairs { [program] = SERVER, [signature] = SIGNATURE:format(12 + size) } do
          local file = assert(io.open(name, "w"))
          file:write(content)
          file:close()
        end
        with_network(function(mynah, _, _, beyond)
          beyond "addr add 10.66.0.2/24 dev far"
          local server = support.spawn("/sbin/ip", { "netns", "exec", beyond.name, "lua5.3", program, tostring(size) })
          local p
          for _ = 1, 20 do -- the server may take its time to begin
            p = ended(mynah(("scan --sig %s --probe parrot -p 4000 10.66.0.2 --json --verify-only --timeout 1 %s")
              :format(signature, path)))
            if #rows_of(p) == 1 and rows_of(p)[1].state == "open" then break end
            support.sleep(0.1)
          end
          server.kill "sigterm"
          support.finish(server)
          assert.equal(0, p.status, p.err)
          local row = assert(rows_of(p)[1], p.err .. server.err)
          assert.equal(12 + size, row.received)
          assert.equal(2 * (12 + size), #row.reply_hex)
        end)
        os.remove(program)
        os.remove(signature)
      end)
    end
  end
end)

describe("scan -sT, and run,", function()
  it("do not take themselves for servers: of few ports of one's own the asked one may be chosen", function()
    if not IS_ROOT then return pending("a network of its own needs root") end
    with_network(function(mynah, ip, inside)
      ip "link set lo up"
      inside "sysctl -qw net.ipv4.ip_local_port_range='40000 40003'"
      for _ = 1, 5 do
        local p = ended(mynah "scan -sT --verify-only --json -p 40000-40003 127.0.0.1 --retries 0 --timeout 1")
        assert.equal(0, p.status, p.err)
        for _, row in ipairs(rows_of(p)) do assert.equal("closed", row.state, p.out) end
        p = ended(mynah "run banner 127.0.0.1 -p 40000-40003")
        assert.falsy(p.out:find(" open ", 1, true), p.out)
      end
    end)
  end)
end)

describe("scan -sT looks, over the connection that finds a port,", function()
  local page = "HTTP/1.1 200 OK\r\nServer: x/1\r\nConnection: close\r\n\r\n<title>A page</title>"
  local function says(text) return function(client) client:write(text) end end
  local function answers(text, keeps)
    return function(client)
      client:read_start(function(_, bytes)
        if not bytes then return end
        client:write(text, function() if not keeps and not client:is_closing() then client:close() end end)
      end)
    end
  end
  local function drips(client)
    client:read_start(function(_, bytes)
      if not bytes then return end
      for i = 0, 7 do
        local timer = uv.new_timer()
        timer:start(100 * i, 0, function()
          timer:close()
          local piece = page:sub(i * #page // 8 + 1, (i + 1) * #page // 8)
          if not client:is_closing() then client:write(piece) end
        end)
      end
    end)
  end
  local function hangs_up(client) client:close() end

  for _, row in ipairs {
    { "at a page", answers(page), "http", most = 1 },
    { "at a page of a server that does not close", answers(page, true), "http", most = 1 },
    { "at a page that comes in pieces", drips, "http", most = 1 },
    { "at a banner that says all", says "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "ssh", most = 1 },
    { "and asks on where a page leaves doubt", answers "HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n", "http", most = 6 },
    { "and waits for who is silent", function() end, nil, most = 6 },
    { "and for who hangs up at once", hangs_up, nil, most = 6 },
  } do
    it(row[1], function()
      local count, asked = 0, {}
      local port, close = support.tcp_server(function(client)
        count = count + 1
        local read_start = client.read_start
        row[2](setmetatable({}, { __index = function(_, key)
          if key ~= "read_start" then return function(_, ...) return client[key](client, ...) end end
          return function(_, fn)
            return read_start(client, function(err, bytes)
              asked[#asked + 1] = bytes
              return fn(err, bytes)
            end)
          end
        end }))
      end)
      local p = run(("scan -sT --json -p %d 127.0.0.1 --patience 1"):format(port))
      close()
      assert.equal(0, p.status, p.err)
      local result = rows_of(p)[1]
      assert.equal("open", result.state)
      assert.equal(row[3] or cjson.null, result.service, p.out)
      assert.truthy(count <= row.most, count .. " connections")
      if row[3] == "http" then
        assert.truthy(asked[1]:find(("^GET / HTTP/1.1\r\nHost: 127%%.0%%.0%%.1:%d\r\n"):format(port)), asked[1])
      end
    end)
  end
end)

describe("scan ends", function()
  it("at an interrupt with what it has, valid and counted", function()
    local port, _, close = serve(20, function(_, bytes) return { turned(bytes) } end)
    local p = support.spawn(support.mynah, { "scan", "--json", "--verify-only", "--probe", "dns", "-p", tostring(port),
      "127.7.0.1-127.7.0.20", "127.8.0.0/16", "--rate", "50", "--seed", "1" })
    support.wait_catching(p)
    support.sleep(0.7)
    p.kill "sigint"
    support.wait(p.over, 10)
    close()
    support.finish(p)
    assert.equal(130, p.status, p.err)
    assert.falsy(p.err:find "\27")
    for _, line in ipairs(p.lines) do assert.equal("table", type(cjson.decode(line))) end
    assert.truthy(summary(p).sent > 0, p.err)
  end)

  it("at once where everybody has answered", function()
    local port, _, close = serve(20, function(_, bytes) return { turned(bytes) } end)
    local before = uv.hrtime()
    local p = run(("scan --verify-only --probe dns -p %d 127.7.0.1-127.7.0.20 --timeout 60"):format(port))
    close()
    assert.equal(0, p.status)
    assert.truthy(uv.hrtime() - before < 30e9) -- not the timeout
  end)

  it("without privileges that it needed only to begin", function()
    if not IS_ROOT then return pending("whole frames need root") end
    local p = support.spawn(support.mynah, { "scan", "--probe", "dns", "-p", "9", "127.8.0.0/16", "--raw", "--rate", "50" })
    local function capabilities() -- of each thread, by its name
      local list = {}
      local tasks = uv.fs_scandir(("/proc/%d/task"):format(p.pid))
      for task in function() return tasks and uv.fs_scandir_next(tasks) end do
        local file = io.open(("/proc/%d/task/%s/status"):format(p.pid, task))
        local text = file and file:read "a" or ""
        if file then file:close() end
        local name, effective = text:match "Name:%s*(%S+)", text:match "CapEff:%s*(%x+)"
        if name then list[name] = effective end
      end
      return list
    end
    support.poll(function() return p.status or capabilities()["mynah-listen"] and capabilities()["mynah-send"] end, 20)
    local found = capabilities()
    p.kill "sigint"
    support.wait(p.over, 10)
    assert.truthy(found["mynah-send"] and found["mynah-listen"] and found["mynah"], p.err)
    for name, effective in pairs(found) do assert.equal("0000000000000000", effective, name) end
  end)
end)

describe("scan with whole frames says", function()
  local function each(name, body)
    it(name, function()
      if not IS_ROOT then return pending("a network of its own needs root") end
      with_network(function(mynah, ip) body(function(words) return mynah("scan " .. words) end, ip) end)
    end)
  end

  each("that the next hop is silent", function(scan)
    local p = ended(scan "--raw --probe dns -p 53 10.67.0.0/24")
    assert.equal(3, p.status)
    assert.truthy(p.err:find("10.66.0.2 on near does not tell its hardware address", 1, true), p.err)
  end)

  each("that there is no way", function(scan)
    for _, path in ipairs { "", "--raw" } do
      local p = ended(scan("--probe dns -p 53 10.99.0.1 " .. path))
      assert.equal(3, p.status)
      assert.truthy(p.err:find("no way to 10.99.0.1: Network is unreachable", 1, true), p.err)
    end
  end)

  each("that the link went down, with what was done until then", function(scan, ip)
    ip "neigh add 10.66.0.2 lladdr 02:00:00:00:00:02 dev near"
    for _, sweeps in ipairs { "", " -sU -sT" } do
      local p = scan("--raw --probe dns -p 53 10.67.0.0/16 --rate 1000 --timeout 1 --retries 0" .. sweeps)
      support.wait_catching(p)
      support.sleep(0.5)
      ip "link set near down"
      ended(p)
      assert.equal(3, p.status, p.err)
      assert.truthy(p.err:find("not to the end: Network is down", 1, true), p.err)
      assert.truthy(summary(p).sent > 0 and summary(p).sent < 65536, p.err)
      ip "link set near up"
      ip "route replace 10.67.0.0/16 via 10.66.0.2"
      ip "neigh replace 10.66.0.2 lladdr 02:00:00:00:00:02 dev near"
    end
  end)

  each("nothing of a link that comes back", function(scan, ip)
    ip "neigh add 10.66.0.2 lladdr 02:00:00:00:00:02 dev near"
    local p = scan "--raw --probe dns -p 53 10.67.0.0/22 --rate 1000 --timeout 3 --retries 0"
    support.wait_catching(p)
    support.sleep(0.2)
    ip "link set near down"
    support.sleep(0.3)
    ip "link set near up"
    ended(p)
    assert.equal(0, p.status, p.err)
    assert.equal(1024, summary(p).sent, p.err)
  end)
end)
