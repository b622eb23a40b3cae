-- Targets and ports as users write them.
local support = dofile((debug.getinfo(1, "S").source:match("^@(.*)/") or ".") .. "/support.lua")
assert(support)
local targets = require "host.targets"

local BOTH = { tcp = true, udp = true }

-- "80t 80u 53u": what a list of ports means, short.
local function short(list)
  local parts = {}
  for i, p in ipairs(list) do parts[i] = p.port .. p.transport:sub(1, 1) end
  return table.concat(parts, " ")
end

describe("ports", function()
  for _, row in ipairs {
    { "one port goes to both transports", "80", BOTH, "80t 80u" },
    { "only what was asked", "80", { udp = true }, "80u" },
    { "a list keeps its order", "443,80", { tcp = true }, "443t 80t" },
    { "a range has both ends", "20-22", { tcp = true }, "20t 21t 22t" },
    { "U: is UDP alone", "80,U:53", BOTH, "80t 80u 53u" },
    { "a prefix holds until the next", "U:53,111,T:21,22", BOTH, "53u 111u 21t 22t" },
    { "a prefix before a range", "T:1-3", BOTH, "1t 2t 3t" },
    { "small letters as Nmap takes them", "u:53", BOTH, "53u" },
    { "what is not asked falls away", "80,U:53", { tcp = true }, "80t" },
    { "a port twice is one", "80,80,79-81", { tcp = true }, "80t 79t 81t" },
    { "open at the left", "-2", { tcp = true }, "1t 2t" },
    { "open at the right", "65534-", { tcp = true }, "65534t 65535t" },
    { "the ends of the world", "1,65535", { tcp = true }, "1t 65535t" },
    { "spaces after a comma", "80, 81", { tcp = true }, "80t 81t" },
    { "leading zeros", "080", { tcp = true }, "80t" },
  } do
    it(row[1], function() assert.equal(row[4], short(assert(targets.ports(row[2], row[3])))) end)
  end

  it("- is every port", function()
    local list = assert(targets.ports("-", { udp = true }))
    assert.equal(65535, #list)
    assert.equal(1, list[1].port)
    assert.equal(65535, list[65535].port)
  end)

  for _, row in ipairs {
    { "0", "0" }, { "65536", "65536" }, { "80,0", "0" }, { "70000-80000", "70000" }, { "http", "http" },
    { "", "" }, { "80,,81", "" }, { "80,", "" }, { "99999999999999999999", "99999999999999999999" },
    { "0x50", "0x50" }, { "-1-2", "-1-2" }, { "1--2", "1--2" }, { "80 81", "80 81" },
  } do
    it(("refuses %q and says what it got"):format(row[1]), function()
      local list, message = targets.ports(row[1], BOTH)
      assert.is_nil(list)
      assert.truthy(message:find('"' .. row[2], 1, true), message)
    end)
  end

  it("refuses a backward range", function()
    assert.truthy(select(2, targets.ports("90-80", BOTH)):find("greater", 1, true))
  end)

  it("refuses a prefix that is neither T nor U", function()
    assert.truthy(select(2, targets.ports("S:80", BOTH)):find("U: or T:", 1, true))
  end)

  it("refuses a list that leaves nothing for what is asked", function()
    assert.truthy(select(2, targets.ports("U:53", { tcp = true })):find("none for the transport", 1, true))
  end)
end)

describe("addresses", function()
  for _, row in ipairs {
    { "192.0.2.7:80", "192.0.2.7", 80 }, { "example.net:1", "example.net", 1 }, { "example.net", "example.net" },
    { "[2001:db8::7]:65535", "2001:db8::7", 65535 }, { "[::1]", "::1" }, { "::1", "::1" },
    { "2001:db8::7", "2001:db8::7" }, { "fe80::1%eth0", "fe80::1%eth0" }, { "[fe80::1%2]:53", "fe80::1%2", 53 },
  } do
    it(row[1], function()
      local host, port = targets.address(row[1])
      assert.equal(row[2], host)
      assert.equal(row[3], port)
    end)
  end

  for _, word in ipairs {
    "a:0", "a:65536", "a:", ":80", "", "a:http", "[::1]80", "[::1]:", "[::1]:0", "[]:80", "[127.0.0.1]:80",
    "http://x", "a b:80", "a:-1", "a:1e3", "a:80x",
  } do
    it(("refuses %q"):format(word), function()
      local host, message = targets.address(word)
      assert.is_nil(host)
      assert.equal("string", type(message))
      assert.falsy(message:find("\n"))
    end)
  end
end)

describe("expand", function()
  local asked = {}
  local function resolve(host)
    asked[#asked + 1] = host
    if host == "nowhere" then return nil, "nowhere: unknown host" end
    return host == "two" and { "192.0.2.1", "192.0.2.2" } or { host }
  end

  local function expand(words, options)
    options = options or {}
    options.resolve = resolve
    asked = {}
    return targets.expand(words, options)
  end

  it("asks both transports unless told", function()
    local list = assert(expand { "192.0.2.7:80" })
    assert.same({ { ip = "192.0.2.7", port = 80, transport = "tcp", name = "192.0.2.7" },
      { ip = "192.0.2.7", port = 80, transport = "udp", name = "192.0.2.7" } }, list)
  end)

  it("gives -p to hosts that have no port of their own", function()
    local list = assert(expand({ "a", "b:9", "c" }, { ports = "1-2", tcp = true }))
    local words = {}
    for i, t in ipairs(list) do words[i] = t.ip .. t.port end
    assert.equal("a1 a2 b9 c1 c2", table.concat(words, " "))
  end)

  it("takes a name's first address, and asks for it once", function()
    local list = assert(expand({ "two:1", "two:2" }, { udp = true }))
    assert.equal("192.0.2.1", list[2].ip)
    assert.equal("two", list[2].name)
    assert.same({ "two" }, asked)
  end)

  it("asks nothing twice", function()
    assert.equal(1, #assert(expand({ "a:1", "a:1", "a" }, { ports = "1", tcp = true })))
  end)

  it("wants a port", function()
    assert.truthy(select(2, expand { "a" }):find("no port", 1, true))
  end)

  it("passes on what the resolver says", function()
    assert.equal("nowhere: unknown host", select(2, expand { "nowhere:1" }))
  end)
end)

describe("format", function()
  it("puts IPv6 in brackets", function()
    assert.equal("[::1]:80", targets.format("::1", 80))
    assert.equal("127.0.0.1:80", targets.format("127.0.0.1", 80))
  end)
end)
