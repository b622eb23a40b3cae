-- loader_spec.lua - the scripts under Lua 5.4: in an nmap that embeds it where one is at hand (NMAP54), else by loader.lua, which
-- imitates its engine; and under 5.3 by the same loader, so that what it imitates is known to be right.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local support = require "support"
local child, json, uv = support.child, support.json, support.uv

local SCRIPTS = { "ftp", "http", "identify", "skype", "udp", "version" }
local OURS = { udp = "udp" } -- the transport of a script that takes only one; the others run over TCP here

local function run(version, script, port, transport)
  local process = assert(child.spawn("lua" .. version, {
    here .. "loader.lua", support.root .. "/nse/scripts/mynah-" .. script .. ".nse", "127.0.0.1", tostring(port), transport,
  }, { whole = true, env = support.env {
    MYNAH_NSELIB = support.root .. "/nse/nselib", LUA_CPATH = support.build .. "/lua/" .. version .. "/?.so;;",
    MYNAH_SIGNATURES = false,
  } }))
  child.wait(function() return process.exit and not process.stdout:is_active() end, 60)
  process:stop()
  assert.equal("", process.errors)
  return json.decode(process.rest)
end

describe("scripts", function()
  local ports = {}
  setup(function()
    for _, kind in ipairs { "skype", "ftp", "http" } do
      local _, port = support.demo(kind)
      ports[kind] = port
    end
  end)
  teardown(support.clean)

  for _, version in ipairs { "5.3", "5.4" } do
    for _, script in ipairs(SCRIPTS) do
      it("mynah-" .. script .. " runs in an engine of Lua " .. version, function()
        local kind = (script == "ftp" or script == "http") and script or "skype"
        local found = run(version, script, ports[kind], OURS[script] or "tcp")
        assert.equal("Lua " .. version, found.lua)
        assert.equal(kind == "skype" and "skype2" or kind, found.version.name)
        assert.equal("open", found.state)
        if script ~= "version" then assert.equal(kind, found.output.service) end
      end)
    end

    it("mynah-skype says nothing of a web server, Lua " .. version, function()
      local found = run(version, "skype", ports.http, "tcp")
      assert.equal(json.null, found.output)
      assert.equal(json.null, found.version)
    end)
  end

  local nmap54 = os.getenv "NMAP54"
  it("run in an nmap of Lua 5.4", function()
    if not nmap54 then return pending "NMAP54 names no nmap with Lua 5.4; loader.lua stands in" end
    local args = { "-sT", "-p", tostring(ports.skype), "--script", "mynah-skype", "127.0.0.1" }
    local found = support.nmap(args, { program = nmap54 })
    assert.equal("skype2", found["tcp " .. ports.skype].service)
  end)

  it("are read by both compilers", function()
    for _, script in ipairs(SCRIPTS) do
      for _, version in ipairs { "5.3", "5.4" } do
        local path = support.root .. "/nse/scripts/mynah-" .. script .. ".nse"
        assert.truthy(uv.fs_stat(path))
        assert.truthy(os.execute("luac" .. version .. " -p " .. path))
      end
    end
  end)
end)
