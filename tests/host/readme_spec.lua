-- The README's programs and commands do what the README says.
local support = dofile((debug.getinfo(1, "S").source:match("^@(.*)/") or ".") .. "/support.lua")

local uv = require "luv"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read "a"
  file:close()
  return bytes
end

local readme = read(support.root .. "/README.md")
local build = os.getenv("MYNAH_BUILD") or support.root .. "/build"

describe("README", function()
  local nodes, path
  setup(function()
    nodes = support.serve { "skype" }
    path = os.tmpname()
    local program = readme:match("```lua\n(local mynah = require \"mynah\"\n.-)```")
    assert(program, "no Lua program in README.md")
    local file = assert(io.open(path, "wb"))
    file:write(program)
    file:close()
  end)
  teardown(function()
    nodes.stop()
    os.remove(path)
  end)

  it("says how the test programs are built, which ./bootstrap build leaves out", function()
    local bootstrap = read(support.root .. "/bootstrap")
    assert.truthy(bootstrap:find("build release -DMYNAH_TESTS=OFF", 1, true))
    local says = readme:match "%*%*Run one test%.%*%* `([^`]+)`"
    assert.truthy(says:find("cmake --preset release -DMYNAH_TESTS=ON && cmake --build --preset release", 1, true), says)
  end)

  for _, version in ipairs { "5.3", "5.4" } do
    it("its Lua program replays the students' probe and prints the relation, Lua " .. version, function()
      local p = support.program("/usr/bin/lua" .. version, { path, "127.0.0.1", tostring(nodes.skype.port) }, {
        env = {
          LUA_PATH = support.root .. "/nse/nselib/?.lua;;", LUA_CPATH = build .. "/lua/" .. version .. "/?.so;;",
          ASAN_OPTIONS = false,
        },
      })
      assert.equal("", p.err)
      assert.equal(0, p.status)
      for i = 1, 3 do assert.truthy(p.lines[i]:find("^9240%x%x7f000001%x%x%x%x%x%x%x%x\t%d+%.%d%d%d ms$"), p.lines[i]) end
      assert.equal("skype: every line of skype holds", p.lines[4])
      assert.truthy(p.out:find("@3:4  = my.ip      7f000001", 1, true), p.out)
    end)
  end

  it("its scan of this machine finds every address, on a smaller net", function()
    local folder = os.tmpname()
    os.remove(folder)
    local words = readme:match "\n(    build/bin/mynah demo %-%-serve http [^\n]*&\n    build/bin/mynah scan [^\n]*\n[^\n]*)\n"
    local script, count = words:gsub("build/bin/mynah", '"$MYNAH"'):gsub("/16", "/23")
    assert.equal(1, count)
    script = script:gsub("&\n", "> served &\nuntil grep -q http served; do sleep 0.1; done\n")
    local p = support.shell(("mkdir %s && cd %s\n%s\nstatus=$?\nkill $!\nexit $status"):format(folder, folder, script))
    os.execute("rm -rf " .. folder)
    assert.equal(0, p.status, p.err)
    assert.truthy(p.out:find("512 results of 512 targets", 1, true), p.out)
    assert.truthy(p.out:find("\n *512  open\n") and p.out:find("\n *512  http\n"), p.out)
    assert.truthy(p.err:find("512 named", 1, true), p.err)
  end)

  it("its program with a loop of its own asks all ports at once, and the loop goes on", function()
    local program = readme:match("```lua\n(local uv, core.-)```")
    local file = support.file("local ticks = 0 require 'luv'.new_timer():start(10, 10, function() ticks = ticks + 1 end)\n" ..
      program .. "\nprint(ticks > 50 and 'ticked')", ".lua")
    local silent = uv.new_udp()
    silent:bind("127.0.0.1", 0)
    local port = tostring(silent:getsockname().port)
    local p = support.program("/usr/bin/lua5.3", { file, "127.0.0.1", port, tostring(nodes.skype.port) }, {
      env = { LUA_PATH = support.root .. "/nse/nselib/?.lua;;", LUA_CPATH = build .. "/lua/5.3/?.so;;", ASAN_OPTIONS = false },
    })
    silent:close()
    assert.equal(("%d\t11 bytes\n%s\tended\nticked\n"):format(nodes.skype.port, port), p.out, p.err)
  end)

  it("its program has about ten lines", function()
    local _, count = readme:match("```lua\n(.-)```"):gsub("\n", "")
    assert.truthy(count <= 10)
  end)
end)
