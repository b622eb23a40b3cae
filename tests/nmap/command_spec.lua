-- command_spec.lua - `mynah nmap`: the user's nmap with the plugin on its paths, nothing installed, nothing left behind.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local support = require "support"
local child, uv = support.child, support.uv

local temp, nodes

-- Run `mynah nmap` with a TMPDIR of its own, which must be empty afterwards.
local function mynah_nmap(args, env)
  local changes = { TMPDIR = temp }
  for _, name in ipairs { "NMAP", "NMAPDIR", "LUA_CPATH", "LUA_CPATH_5_3", "LUA_CPATH_5_4" } do changes[name] = false end
  for name, value in pairs(env or {}) do changes[name] = value end
  local process = assert(child.spawn(support.mynah, { "nmap", table.unpack(args) }, { whole = true, env = support.env(changes) }))
  assert(child.wait(function()
    return process.exit and not process.stdout:is_active() and not process.stderr:is_active()
  end, 120), "it does not end")
  process:stop()
  assert.is_nil(uv.fs_scandir_next(assert(uv.fs_scandir(temp))), "something stays in the temporary folder")
  return process.rest, process.exit, process.errors
end

local function scan(port, ...)
  return { "-n", "-Pn", "-sT", "-p", tostring(port), "127.0.0.1", ... }
end

local OWN = [[
local mynah = require "mynah"
categories = { "safe" }
portrule = function() return true end
action = function() return "mynah " .. mynah.version .. " at hand" end
]]

-- A folder as NMAPDIR or --datadir may name it: a script and a library of the user's own, and a script.db that lists the script.
local function own_folder()
  local folder = support.temp()
  for _, name in ipairs { "", "/scripts", "/nselib" } do assert(uv.fs_mkdir(folder .. name, 448)) end
  support.write(folder .. "/nselib/ownlib.lua", 'local ownlib = { word = "own library" } return ownlib\n')
  support.write(folder .. "/scripts/own-script.nse", [[
local ownlib = require "ownlib"
categories = { "safe" }
portrule = function() return true end
action = function() return ownlib.word end
]])
  support.write(folder .. "/scripts/script.db", 'Entry { filename = "own-script.nse", categories = { "safe", } }\n')
  return folder
end

describe("mynah nmap", function()
  setup(function()
    temp = support.temp()
    assert(uv.fs_mkdir(temp, 448))
    nodes = {}
    for _, kind in ipairs { "skype", "ftp" } do
      local _, port = support.demo(kind)
      nodes[kind] = port
    end
  end)
  teardown(support.clean)

  it("finds a script by its name", function()
    local out, exit = mynah_nmap(scan(nodes.skype, "--script", "mynah-skype"))
    assert.equal(0, exit)
    assert.truthy(out:find("\n" .. nodes.skype .. "/tcp open  skype2", 1, true), out)
  end)

  it("finds scripts by a wildcard and by a category, beside Nmap's own", function()
    local out = mynah_nmap(scan(nodes.ftp, "--script", "mynah-* and safe"))
    assert.truthy(out:find("| mynah-ftp:", 1, true) and out:find("| mynah-identify:", 1, true), out)
    assert.is_nil(out:find("mynah-version", 1, true))
    out = mynah_nmap(scan(nodes.ftp, "--script", "mynah-ftp,banner"))
    assert.truthy(out:find("| mynah-ftp:", 1, true) and out:find("_banner:", 1, true), out)
  end)

  it("lets mynah-version join -sV", function()
    local out = mynah_nmap(scan(nodes.skype, "-sV", "--version-intensity", "0"))
    assert.truthy(out:find(nodes.skype .. "/tcp open  skype2", 1, true), out)
  end)

  it("runs a script of the user's own that requires mynah", function()
    local path = support.write(support.temp(".nse"), OWN)
    local out = mynah_nmap(scan(nodes.ftp, "--script", path))
    assert.truthy(out:find(": mynah %d+%.%d+%.%d+ at hand"), out)
  end)

  for _, given in ipairs { "NMAPDIR", "--datadir", "--datadir=" } do
    it("leaves a given " .. given .. " working, its script.db too", function()
      local folder = own_folder()
      local args, env = scan(nodes.ftp, "--script", "own-* or mynah-ftp"), {}
      if given == "NMAPDIR" then
        env.NMAPDIR = folder
      elseif given == "--datadir" then
        args[#args + 1], args[#args + 2] = "--datadir", folder
      else
        args[#args + 1] = given .. folder
      end
      local out = mynah_nmap(args, env)
      assert.truthy(out:find("_own-script: own library", 1, true), out)
      assert.truthy(out:find("| mynah-ftp:", 1, true), out)
    end)
  end

  it("keeps what the user's LUA_CPATH_5_3 says", function()
    local path = support.write(support.temp(".sh"), '#!/bin/sh\necho "$LUA_CPATH_5_3|$LUA_CPATH_5_4"\n')
    assert(uv.fs_chmod(path, 448))
    local out = mynah_nmap({ "x" }, { NMAP = path, LUA_CPATH_5_3 = "/own/?.so" })
    assert.truthy(out:find("^%S*/lua/5%.3/%?%.so;/own/%?%.so|%S*/lua/5%.4/%?%.so;;;\n$"), out)
  end)

  it("passes words, status and signal on as they are", function()
    local path = support.write(support.temp(".sh"), '#!/bin/sh\n[ "$1" = die ] && kill -9 $$\nprintf "<%s>" "$@"\nexit 7\n')
    assert(uv.fs_chmod(path, 448))
    local out, exit = mynah_nmap({ "--help", "-p", "a b", "" }, { NMAP = path })
    assert.equal("<--help><-p><a b><>", out)
    assert.equal(7, exit)
    assert.equal(137, select(2, mynah_nmap({ "die" }, { NMAP = path })))
  end)

  it("says where there is no nmap", function()
    local _, exit, errors = mynah_nmap({ "x" }, { NMAP = "/nonexistent/nmap" })
    assert.equal(3, exit)
    assert.truthy(errors:find("^mynah: NMAP=/nonexistent/nmap: no such program\n$"), errors)
    _, exit, errors = mynah_nmap({ "x" }, { PATH = temp })
    assert.equal(3, exit)
    assert.truthy(errors:find("no nmap on PATH", 1, true), errors)
  end)
end)
