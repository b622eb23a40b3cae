-- command_spec.lua - mynah nmap: the user's nmap as it is, with the plugin on its paths, and nothing left behind.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local support = require "support"
local child, uv, xml = support.child, support.uv, support.xml

local folder, node, port

local function mkdir(...)
  local path = table.concat({ folder, ... }, "/")
  os.execute("mkdir -p '" .. path .. "'")
  return path
end

-- A program in the place of nmap that tells how it was started.
local function fake(name, body)
  local path = mkdir "fake" .. "/" .. name
  support.write(path, "#!/bin/sh\n" .. body .. "\n")
  os.execute("chmod +x " .. path)
  return path
end

-- Temporary folders of ours, now: their place is this test's own.
local function left_behind()
  local list, scan = {}, uv.fs_scandir(mkdir "tmp")
  while scan do
    local name = uv.fs_scandir_next(scan)
    if not name then break end
    list[#list + 1] = name
  end
  return table.concat(list, " ")
end

local CLEAN = { NMAPDIR = false, NMAP = false, LUA_CPATH = false, LUA_CPATH_5_3 = false, LUA_CPATH_5_4 = false,
  MYNAH_SIGNATURES = false }

local function start(args, env, program)
  local changes = { TMPDIR = mkdir "tmp" }
  for name, value in pairs(CLEAN) do changes[name] = value end
  for name, value in pairs(env or {}) do changes[name] = value end
  local list = { "nmap", table.unpack(support.words(args)) }
  return assert(child.spawn(program or support.mynah, list, { env = support.env(changes), whole = true }))
end

local function finish(process, seconds)
  local over = child.wait(function()
    return process.exit and not process.stdout:is_active() and not process.stderr:is_active()
  end, seconds or 60)
  process:stop()
  assert(over, "it does not end")
  return { exit = process.exit, signal = process.signal, out = process.rest, err = process.errors }
end

local function run(...) return finish(start(...)) end

setup(function()
  folder = support.temp()
  uv.fs_mkdir(folder, 493)
  node, port = support.demo("skype")
end)

teardown(function()
  node:stop()
  support.clean()
end)

before_each(function() assert.equal("", left_behind()) end)
after_each(function() assert.equal("", left_behind()) end)

describe("mynah nmap with the user's nmap", function()
  local function names_node(text, service)
    assert(text:find(("\n%d/tcp open  %s"):format(port, service or "skype2")), text)
  end
  local function scan(more, env)
    local args = support.words("-n -Pn -sT -p " .. port)
    for _, word in ipairs(support.words(more)) do args[#args + 1] = word end
    args[#args + 1] = "127.0.0.1"
    return run(args, env)
  end

  it("one script by its name", function()
    local result = scan "--script mynah-skype"
    assert.equal(0, result.exit)
    names_node(result.out)
  end)

  it("our scripts by a pattern, by an expression of categories, beside one of Nmap's", function()
    local by_pattern = start(support.words("-n -Pn -sT -p " .. port .. " --script mynah-* 127.0.0.1"))
    local by_category = start { "-n", "-Pn", "-sT", "-p", tostring(port), "--script",
      "(discovery and safe and mynah-*) or banner", "--script-args", "banner.timeout=1s", "127.0.0.1" }
    by_pattern, by_category = finish(by_pattern), finish(by_category)
    for _, name in ipairs { "mynah-identify", "mynah-skype" } do
      assert(by_pattern.out:find("\n| " .. name, 1, true), by_pattern.out)
      assert(by_category.out:find("\n| " .. name, 1, true), by_category.out .. by_category.err)
    end
    local all = run "--script-help (version,discovery)"
    assert(not all.out:find("did not match"), all.out)
  end)

  it("every script of Nmap's is still there, and each of ours once", function()
    local plain = assert(child.run(support.nmap_path, { "--script-help", "version or mynah-* or banner" }, 60))
    local ours = run { "--script-help", "version or mynah-* or banner" }
    local function names(text)
      local list = {}
      for name in text:gmatch("\n([%w_-]+)\nCategories: ") do
        assert(not list[name], name .. " twice")
        list[name] = true
      end
      return list
    end
    local before, after = names(plain.out), names(ours.out)
    assert(support.count(before) > 5, plain.out)
    for name in pairs(before) do assert(after[name], name .. " is gone") end
    for _, name in ipairs { "identify", "ftp", "http", "skype", "udp", "version" } do
      assert(after["mynah-" .. name], "mynah-" .. name .. " is not there")
      before["mynah-" .. name] = true
    end
    assert.equal(support.count(before), support.count(after))
  end)

  it("-sV brings mynah-version in by itself", function()
    local result = scan "-sV --version-intensity 0"
    names_node(result.out)
  end)

  it("a script of one's own uses the library", function()
    local path = support.write(mkdir "own" .. "/own.nse", [[
local mynah = require "mynah"
description = "own"
categories = { "safe" }
portrule = function() return true end
action = function() return "mynah " .. mynah.version end
]])
    local result = scan("--script " .. path)
    assert(result.out:find("_own: mynah %d+%.%d+"), result.out)
  end)

  for _, how in ipairs { "NMAPDIR", "--datadir=", "--datadir ", "-datadir=", "--datad " } do
    it("a folder of the user's goes on working: " .. how, function()
      local base = mkdir "base"
      mkdir("base", "scripts")
      mkdir("base", "nselib")
      support.write(base .. "/scripts/users.nse", [[
local answer = require "answer"
description = "the user's"
categories = { "users" }
portrule = function() return true end
action = function() return answer end
]])
      support.write(base .. "/nselib/answer.lua", "return 'forty-two'\n")
      support.write(base .. "/scripts/script.db", 'Entry { filename = "users.nse", categories = { "users", } }\n'
        .. 'Entry { filename = "mynah-ftp.nse", categories = { "users", } }\n')
      support.write(base .. "/nmap-services", ("theirs\t%d/tcp\t0.9\n"):format(port))
      local by_env = how == "NMAPDIR"
      local env = { NMAPDIR = by_env and base or false }
      local result = scan((by_env and "" or how .. base) .. " --script users,mynah-skype", env)
      assert.equal(0, result.exit, result.err)
      assert(result.out:find("_users: forty-two", 1, true), result.out .. result.err)
      assert(not result.out:find("mynah-ftp", 1, true), "an entry of another installation counted")
      names_node(result.out)
      local services = scan(by_env and "--open" or how .. base .. " --open", env)
      assert(services.out:find("theirs", 1, true), services.out .. services.err)
      local untouched = support.read(base .. "/scripts/script.db")
      assert(not untouched:find("skype", 1, true))
      assert.is_false(support.exists(base .. "/scripts/mynah-skype.nse"))
    end)
  end

  it("its XML says the same", function()
    local path = support.temp ".xml"
    scan("--script mynah-skype -oX " .. path)
    assert.equal("skype2", xml.ports(support.read(path))[1].service)
  end)
end)

describe("mynah nmap hands over", function()
  it("the arguments as they are, and its standard files", function()
    local program = fake("args", 'for a in "$@"; do echo "[$a]"; done; cat; echo oops >&2')
    local changes = { NMAP = program, TMPDIR = mkdir "tmp" }
    for name, value in pairs(CLEAN) do if name ~= "NMAP" then changes[name] = value end end
    local process = assert(child.spawn(support.mynah, { "nmap", "-sU", "-p", "-100", "", "a b", "--", "--help", "é" },
      { env = support.env(changes), stdin = true, whole = true }))
    process:say("from the terminal")
    process.stdin:close()
    process.stdin = nil
    local result = finish(process)
    assert.equal("[-sU]\n[-p]\n[-100]\n[]\n[a b]\n[--]\n[--help]\n[é]\nfrom the terminal\n", result.out)
    assert.equal("oops\n", result.err)
  end)

  it("the exit status", function()
    for _, status in ipairs { 0, 1, 3, 77, 255 } do
      assert.equal(status, run("x", { NMAP = fake("exits", "exit " .. status) }).exit)
    end
  end)

  it("the signal that ended it", function()
    for _, signal in ipairs { 9, 15, 2, 6, 11 } do
      local result = run("x", { NMAP = fake("dies", "kill -" .. signal .. " $$") })
      assert.equal(signal, result.signal)
    end
  end)

  it("the environment, with Lua's paths put in front of the user's", function()
    local program = fake("env", 'echo "3=$LUA_CPATH_5_3"; echo "4=$LUA_CPATH_5_4"; echo "S=$MYNAH_SIGNATURES"; echo "D=$NMAPDIR"')
    local function get(env)
      env.NMAP = program
      local out = run("x", env).out
      return out:match("3=([^\n]*)"), out:match("4=([^\n]*)"), out:match("S=([^\n]*)"), out:match("D=([^\n]*)")
    end
    local build = uv.fs_realpath(support.build)
    local three, four, signatures, dir = get {}
    assert.equal(build .. "/lua/5.3/?.so;;;", three)
    assert.equal(build .. "/lua/5.4/?.so;;;", four)
    assert.truthy(support.exists(signatures .. "/skype.sig"))
    assert.truthy(dir:find("/mynah%-nmap"))
    three, four = get { LUA_CPATH = "/a/?.so", LUA_CPATH_5_4 = "/b/?.so;;" }
    assert.equal(build .. "/lua/5.3/?.so;/a/?.so", three)
    assert.equal(build .. "/lua/5.4/?.so;/b/?.so;;", four)
    local _, _, given = get { MYNAH_SIGNATURES = "/mine" }
    assert.equal("/mine", given)
  end)

  it("a folder that only we may enter, while it runs", function()
    local result = run("x", { NMAP = fake("looks", 'stat -c %a "$NMAPDIR"; ls "$NMAPDIR" "$NMAPDIR/scripts"; '
      .. 'head -n 1 "$NMAPDIR/nselib/mynah.lua"; touch "$NMAPDIR/scripts/new" "$NMAPDIR/other"') })
    assert.equal("700", result.out:match("^%d+"))
    for _, part in ipairs { "\nmynah-skype.nse\n", "\nscript.db\n", "\n--- Mynah" } do
      assert(result.out:find(part, 1, true), result.out)
    end
  end)

  it("nothing of ours to --script-updatedb, which writes", function()
    local program = fake("updates", 'echo "D=$NMAPDIR $*"')
    assert.equal("D= --script-updatedb\n", run("--script-updatedb", { NMAP = program }).out)
    assert.equal("D=/theirs -script-up\n", run("-script-up", { NMAP = program, NMAPDIR = "/theirs" }).out)
    assert.equal("D= --datadir=/x --script-updatedb\n", run("--datadir=/x --script-updatedb", { NMAP = program }).out)
  end)

  it("the default for what this program ignores", function()
    -- SIGPIPE is ignored here; bit 12 of SigIgn must be clear there.
    local result = run("x", { NMAP = fake("ignores", "grep SigIgn /proc/self/status; grep SigBlk /proc/self/status") })
    local ignored, blocked = result.out:match("SigIgn:%s*(%x+).*SigBlk:%s*(%x+)")
    assert.equal(0, tonumber(ignored, 16) & 0x1000)
    assert.equal(0, tonumber(blocked, 16))
  end)
end)

describe("mynah nmap ended from outside", function()
  local function alive(pid)
    local file = io.open(("/proc/%d/stat"):format(pid))
    local state = file and file:read("*a"):match("%) (%a)")
    if file then file:close() end
    return state ~= nil and state ~= "Z"
  end

  for _, row in ipairs { { "sigint", 2 }, { "sigterm", 15 }, { "sighup", 1 }, { "sigquit", 3 } } do
    it("by " .. row[1] .. ": so does nmap, and the folder goes", function()
      local process = start("x", { NMAP = fake("waits", 'ulimit -c 0; echo $$; exec sleep 100') })
      assert(child.wait(function() return process.rest:find("\n") end, 20), process.errors)
      local pid = tonumber(process.rest:match("%d+"))
      uv.kill(process.pid, row[1])
      local result = finish(process, 20)
      assert.equal(row[2], result.signal)
      assert.is_false(alive(pid))
    end)
  end

  it("what nmap makes of a signal is passed on, after it has cleaned up", function()
    local program = fake("cleans", "trap 'sleep 0.3; echo cleaned; exit 5' INT; echo; while :; do sleep 0.1; done")
    local process = start("x", { NMAP = program })
    assert(child.wait(function() return process.rest:find("\n") end, 20), process.errors)
    uv.kill(process.pid, "sigint")
    local result = finish(process, 20)
    assert.equal("\ncleaned\n", result.out)
    assert.equal(5, result.exit)
  end)

  it("Ctrl-C on a terminal reaches nmap once", function()
    if not support.exists("/usr/bin/script") then return pending("needs script of bsdutils") end
    local counter = fake("counts", [[
n=0
trap 'n=$((n+1))' INT
echo ready
i=0; while [ $i -lt 8 ]; do sleep 0.1; i=$((i+1)); done
echo "interrupted $n times"; exit 4]])
    -- A shell that stays between the two gets the Ctrl-C too, and some end by it when mynah has ended.
    local changes = { NMAP = counter, TMPDIR = mkdir "tmp", SHELL = "/bin/sh" }
    local process = assert(child.spawn("/usr/bin/script", { "-qec", "exec " .. support.mynah .. " nmap x", "/dev/null" },
      { env = support.env(changes), stdin = true, whole = true }))
    assert(child.wait(function() return process.rest:find("ready") end, 20), process.errors)
    process.stdin:write("\3")
    local result = finish(process, 20)
    assert(result.out:find("interrupted 1 times", 1, true), result.out)
    assert.equal(4, result.exit)
  end)

  it("by -9: nmap does not go on alone", function()
    local process = start("x", { NMAP = fake("waits", "echo $$ $NMAPDIR; exec sleep 100") })
    assert(child.wait(function() return process.rest:find("\n") end, 20), process.errors)
    local pid, dir = process.rest:match("(%d+) (%S+)")
    uv.kill(process.pid, "sigkill")
    finish(process, 20)
    assert(support.poll(function() return not alive(tonumber(pid)) end, 10))
    os.execute("rm -rf " .. dir) -- nobody is left to do it
  end)

  it("at any moment: nothing is left behind", function()
    for i = 0, 14 do
      local process = start("-n -Pn -p " .. port .. " --script mynah-identify 127.0.0.1")
      support.sleep(i * 0.02)
      if not process.exit then uv.kill(process.pid, i % 2 == 0 and "sigint" or "sigterm") end
      finish(process, 20)
      -- Before there is a folder, and before signals are held, it just ends.
      assert.equal("", left_behind())
    end
  end)
end)

describe("mynah nmap that cannot", function()
  local function one_line(result, status, part)
    assert.equal(status, result.exit, result.err)
    assert.equal("", result.out)
    assert(result.err:find("^mynah: [^\n]*\n$") and result.err:find(part, 1, true), result.err)
  end

  it("no nmap on PATH", function() one_line(run("x", { PATH = folder }), 3, "no nmap on PATH") end)
  it("NMAP names nothing", function() one_line(run("x", { NMAP = folder .. "/nothing" }), 3, folder .. "/nothing") end)
  it("NMAP is no program", function()
    local path = support.write(mkdir "fake" .. "/text", "")
    one_line(run("x", { NMAP = path }), 3, path)
  end)
  it("NMAP is no program of this machine", function()
    local path = fake("binary", "")
    support.write(path, "\127ELF nonsense")
    one_line(run("x", { NMAP = path }), 3, "cannot run nmap: " .. path)
  end)
  it("no place for the folder", function()
    one_line(run("x", { NMAP = fake("y", ""), TMPDIR = folder .. "/none" }), 3, folder .. "/none")
  end)
  it("a folder on PATH named nmap, a file that nobody may run: the next is taken", function()
    local first, second = mkdir("p1", "nmap"):match("^(.*)/"), mkdir "p2"
    support.write(second .. "/nmap", "#!/bin/sh\necho wrong\n")
    local third = fake("nmap", "echo right"):match("^(.*)/")
    assert.equal("right\n", run("x", { PATH = first .. ":" .. second .. ":" .. third .. ":/usr/bin:/bin" }).out)
  end)

  it("without arguments it explains itself, as --help alone does", function()
    local bare = run ""
    assert.equal(2, bare.exit)
    assert(bare.out:find("usage: mynah nmap", 1, true) and bare.out:find("Examples:", 1, true))
    local help = run "--help"
    assert.equal(0, help.exit)
    assert(help.out:find("^Usage: mynah nmap"), help.out)
  end)
end)

describe("mynah nmap installed", function()
  it("below a DESTDIR: every part is found there", function()
    local dest = folder .. "/dest"
    local installed = assert(child.run("cmake", { "--install", support.build }, 120, { env = support.env { DESTDIR = dest } }))
    assert(installed.exit == 0, installed.out .. installed.err)
    local scan = support.words("-n -Pn -sT -p " .. port .. " --script mynah-* 127.0.0.1")
    local result = finish(start(scan, {}, dest .. "/usr/bin/mynah"))
    assert(result.out:find(("\n%d/tcp open  skype2"):format(port)), result.out .. result.err)
    local look = fake("where", 'echo "$LUA_CPATH_5_3"; echo "$MYNAH_SIGNATURES"; readlink "$NMAPDIR/nselib/mynah.lua"')
    result = finish(start("x", { NMAP = look }, dest .. "/usr/bin/mynah"))
    for line in result.out:gmatch("[^\n]+") do assert.equal(dest, line:sub(1, #dest)) end
  end)

  it("into Nmap's folders: the scripts run by name, with nothing of ours in the environment", function()
    -- The system as it would be, seen by one process only.
    local overlay = ("mount -t overlay overlay -o lowerdir=%s/dest/usr:/usr /usr && exec \"$@\""):format(folder)
    local userns = uv.getuid() == 0 and {} or { "-r" }
    local before = { "-m", table.unpack(userns) }
    for _, word in ipairs { "sh", "-c", overlay, "sh" } do before[#before + 1] = word end
    before[#before + 1] = "true"
    local possible = assert(child.run("unshare", before, 20))
    if possible.exit ~= 0 then return pending("no overlay file system here: " .. possible.err) end
    before[#before] = support.nmap_path
    local env = {}
    for name in pairs(CLEAN) do env[name] = false end
    local result = support.nmap("-sT -p " .. port .. " --script mynah-skype 127.0.0.1",
      { program = "unshare", before = before, env = env })
    assert.equal("skype2", (result["tcp " .. port] or {}).service, result.out .. result.err)
  end)
end)
