-- mynah demo: names its own servers, leaves nothing behind.
local support = dofile((debug.getinfo(1, "S").source:match("^@(.*)/") or ".") .. "/support.lua")

describe("mynah demo", function()
  it("names the FTP, the HTTP server and the node over TCP and UDP, with evidence", function()
    local p = support.run "demo"
    assert.equal(0, p.status, p.out .. p.err)
    assert.equal("", p.err)
    assert.truthy(p.out:find("\n127.0.0.1:%d+/tcp +open +skype"))
    assert.truthy(p.out:find("\n127.0.0.1:%d+/udp +open +skype"))
    assert.truthy(p.out:find("\n127.0.0.1:%d+/tcp +open +ftp"))
    assert.truthy(p.out:find("\n127.0.0.1:%d+/tcp +open +http"))
    assert.truthy(p.out:find("@0:2  = $id: ", 1, true), "evidence of the echo")
    assert.truthy(p.out:find("bits fresh", 1, true))
    assert.falsy(p.out:find("\27", 1, true), "no colours in a pipe")
  end)

  -- Start it, wait until its child serves, do something to it; then neither may be left.
  local function interrupted(act)
    local p = support.spawn(support.mynah, { "demo", "--delay", "20000" }) -- it must not be done before
    local child
    support.poll(function()
      child = support.children(p.pid)[1]
      return child or p.status
    end)
    assert.truthy(child, "it has a child while it works")
    support.wait_catching(p)
    act(p)
    support.wait(p.over)
    support.poll(function() return not support.alive(child) end)
    return p
  end

  it("leaves no process behind at Ctrl-C", function()
    local p = interrupted(function(p) p.kill("sigint") end)
    assert.equal(130, p.status)
    assert.equal("mynah: interrupted\n", p.err)
  end)

  it("leaves no process behind at SIGTERM", function()
    assert.equal(143, interrupted(function(p) p.kill("sigterm") end).status)
  end)

  it("leaves no process behind even at SIGKILL", function()
    assert.equal(9, interrupted(function(p) p.kill("sigkill") end).signal)
  end)

  it("leaves no process behind when nobody reads", function()
    local p = support.shell('{ "$MYNAH" demo; echo "status $?" >&2; } | head -n 1 >/dev/null')
    assert.truthy(p.err:find("cannot write to standard output: Broken pipe\nstatus 3\n", 1, true), p.err)
  end)
end)
