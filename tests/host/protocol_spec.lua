-- A protocol is added by one .sig file and no C: README's ten lines, a peer that answers so, and one that does not.
local support = dofile((debug.getinfo(1, "S").source:match("^@(.*)/") or ".") .. "/support.lua")
local json = require "cjson"
local uv = require "luv"

local function readme()
  local file = assert(io.open(support.root .. "/README.md", "rb"))
  local page = file:read "a"
  file:close()
  return page
end

-- A peer on loopback that answers each datagram by `answer(request)`.
local function peer(answer)
  local socket = uv.new_udp()
  assert(socket:bind("127.0.0.1", 0))
  socket:recv_start(function(_, data, from)
    local reply = data and from and answer(data)
    if reply then socket:send(reply, from.ip, from.port, function() end) end
  end)
  return socket:getsockname().port, function()
    socket:close()
    uv.run "nowait"
  end
end

local function parrot(request)
  local id = request:match "^PRT\1(........)who%?$"
  return id and "PRT\x81" .. id .. "squawk 2.7\r\n"
end

-- Answers in the parrot's words, but owes nothing to what it was asked.
local function tape(request)
  if parrot(request) then return "PRT\x81" .. "polly123" .. "squawk 2.7\r\n" end
end

describe("a protocol of README's ten lines", function()
  local text = readme():match "```sig\n(.-)```"
  local path

  setup(function() path = support.file(assert(text, "no ```sig block in README.md"), ".sig") end)
  teardown(support.remove)

  -- What `identify` with this file alone says of a peer.
  local function identify(answer)
    local port, stop = peer(answer)
    local p = support.run { "identify", "-sU", "--json", "--sig", path, "127.0.0.1:" .. port }
    stop()
    assert.equal("", p.err)
    assert.equal(1, #p.lines)
    local result = json.decode(p.lines[1])
    return result.service ~= json.null and result.service or nil, result
  end

  it("are ten", function()
    local _, count = text:gsub("\n", "")
    assert.equal(10, count)
  end)

  it("pass the checker, alone and beside all that is known", function()
    local p = support.run { "sig", "check", path }
    assert.equal(0, p.status, p.err .. p.out)
    p = support.run { "sig", "check", support.root .. "/signatures", path }
    assert.truthy(p.out:find "\nparrot +parrot [^\n]*ok\n", p.err .. p.out)
  end)

  it("name a peer that answers so, and say its version", function()
    local service, result = identify(parrot)
    assert.equal("parrot", service)
    assert.equal("2.7", result.version)
    assert.equal("open", result.state)
  end)

  it("name no tape of it, no echo, and nobody who turns one bit", function()
    assert.is_nil((identify(tape)))
    assert.not_equal("parrot", (identify(function(q) return q end)))
    assert.is_nil((identify(function(q) return #q > 3 and q:sub(1, 3) .. string.char(q:byte(4) ~ 128) .. q:sub(5) or nil end)))
  end)
end)
