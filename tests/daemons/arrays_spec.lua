-- README's "On many machines", word for word but for what is scanned, under GNU parallel, a real Slurm and as Kubernetes would
-- run it: one part is killed and done again, and all parts together are what a single run finds.
local here = debug.getinfo(1, "S").source:match("^@(.*)/") or "."
local support = dofile(here .. "/../host/support.lua")
local cjson = require "cjson"
local uv = require "luv"

local PARTS, HOSTS, SERVERS = 8, 96, 60

local readme = assert(io.open(support.root .. "/README.md")):read "a"
local section = readme:match "\n## On many machines\n(.-)\n## "
local folder, close_servers

local function write(name, text)
  local file = assert(io.open(folder .. "/" .. name, "w"))
  file:write(text)
  file:close()
end

-- The n-th block of a language.
local function block(language, n)
  for text in section:gmatch("```" .. language .. "\n(.-)```") do
    n = n - 1
    if n == 0 then return text end
  end
end

-- A shell in the folder, whose `mynah` keeps its pid beside the file that it writes.
local function shell(command, env)
  env = env or {}
  env.PATH = folder .. ":/usr/sbin:/usr/bin:/sbin:/bin"
  env.TMPDIR = folder
  return support.spawn("/bin/sh", { "-c", ("cd %s && %s"):format(folder, command) }, { env = env })
end

local function done(p, seconds)
  support.wait(p.over, seconds or 60)
  assert.equal(0, p.status, p.err .. p.out)
  return p.out
end

local function exists(name) return uv.fs_stat(folder .. "/" .. name) ~= nil end

local function results_of(name)
  local list = {}
  for _, line in ipairs(support.run { "report", "--json", folder .. "/" .. name }.lines) do
    local r = cjson.decode(line)
    list[#list + 1] = r.ip .. " " .. r.state .. " " .. r.reason
  end
  table.sort(list)
  return list
end

-- Kill -9 the scan of a part as soon as it has sent something.
local function kill_part(i)
  local name = ("part-%d.db"):format(i)
  support.poll(function() return exists(name .. ".pid") and exists(name) end)
  support.sleep(0.4)
  local file = io.open(folder .. "/" .. name .. ".pid")
  local pid = tonumber(file:read "l")
  file:close()
  assert.truthy(support.alive(pid), "the part was over before it was killed")
  uv.kill(pid, "sigkill")
end

local function compare(parts)
  local words = { "merge", folder .. "/whole.db" }
  for _, name in ipairs(parts) do words[#words + 1] = folder .. "/" .. name end
  local merged = support.run(words)
  assert(merged.status == 0, merged.err) -- which part was not finished
  local whole = results_of "whole.db"
  assert.same(results_of "single.db", whole)
  assert.equal(HOSTS, #whole)
end

local function names(first, last)
  local list = {}
  for i = first, last do list[#list + 1] = ("part-%d.db"):format(i) end
  return list
end

describe("README's parts of a scan", function()
  before_each(function()
    folder = assert(uv.fs_mkdtemp "/tmp/mynah-arrays-XXXXXX")
    uv.fs_chmod(folder, 493) -- 0755: munged and slurmd want to see that nobody else may write here
    local port, _, close = support.udp_servers("127.9.0", SERVERS)
    close_servers = close
    local words = ("--verify-only --probe dns -p %d 127.9.0.1-127.9.0.%d --timeout 0.5 --rate 10"):format(port, HOSTS)
    local part, count = block("sh", 1):gsub("%-%-probe dns %-p 53 10%.0%.0%.0/16", words)
    assert.equal(1, count)
    write("part.sh", part)
    write("mynah", ('#!/bin/sh\nfor part; do :; done\necho $$ >"$part.pid"\nexec "%s" "$@"\n'):format(support.mynah))
    uv.fs_chmod(folder .. "/mynah", 493)
    local single = support.run(("scan %s --rate 1000 -o %s/single.db"):format(words:gsub(" %-%-rate 10", ""), folder))
    assert.equal(0, single.status, single.err)
    assert.equal(HOSTS, #results_of "single.db")
  end)
  after_each(function()
    close_servers()
    os.execute(("rm -rf '%s'"):format(folder))
  end)

  it("under GNU parallel", function()
    local command = block("sh", 2):gsub("parallel ", "parallel --will-cite --jobs 8 "):gsub("mynah merge .*", "true")
    local p = shell(command)
    kill_part(3)
    done(p)
    compare(names(1, PARTS))
  end)

  it("in an Indexed Job of Kubernetes", function()
    local yaml = block("yaml", 1)
    local script = yaml:match "command: %[ sh, %-c, '(.-)' %]":gsub("/results", folder)
    assert.equal(PARTS, tonumber(yaml:match "completions: (%d+)"))
    local pods = {}
    local function start(index) pods[index] = shell(script, { JOB_COMPLETION_INDEX = tostring(index) }) end
    for index = 0, PARTS - 1 do start(index) end
    kill_part(3)
    support.wait(pods[3].over)
    assert.equal(9, pods[3].signal)
    start(3) -- restartPolicy: OnFailure
    for index = 0, PARTS - 1 do done(pods[index]) end
    compare(names(0, PARTS - 1))
  end)

  -- Slurm, unpacked by tests/daemons/fetch, on this machine alone: key, ports, state and logs are its own, and nothing of the
  -- system's is touched.
  local ROOT = (os.getenv "MYNAH_DAEMONS" or support.root .. "/build/daemons") .. "/root"
  local PROGRAMS = { "sbatch", "scancel", "scontrol", "sinfo", "squeue", "slurmctld-wlm", "slurmd-wlm", "slurmstepd-wlm",
    "munged", "mungekey" }
  local LIBRARIES = { "munge", "hwloc", "numa", "lz4", "audit", "cap-ng", "pam", "pam_misc", "udev" }
  local CONF = [[
ClusterName=mynah
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=FOLDER/munge.socket
CredType=cred/munge
SlurmctldPort=16817
SlurmdPort=16818
SlurmctldPidFile=FOLDER/slurmctld.pid
SlurmdPidFile=FOLDER/slurmd.pid
SlurmctldLogFile=FOLDER/slurmctld.log
SlurmdLogFile=FOLDER/slurmd.log
StateSaveLocation=FOLDER/state
SlurmdSpoolDir=FOLDER/spool
PluginDir=PLUGINS
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SlurmdParameters=config_overrides
ReturnToService=2
NodeName=worker NodeHostname=localhost NodeAddr=127.0.0.1 CPUs=8
PartitionName=all Nodes=worker Default=YES MaxTime=INFINITE State=UP
]]

  local function slurm(command)
    return shell(command, { SLURM_CONF = folder .. "/slurm.conf", LD_LIBRARY_PATH = folder .. "/lib" })
  end

  -- Programs and libraries where the shell, and the jobs, find them. The C library is the system's. Returns the folder of the
  -- plugins; or nil.
  local function bring_slurm()
    local plugins
    assert(uv.fs_mkdir(folder .. "/lib", 493))
    for _, name in ipairs(PROGRAMS) do
      local place = uv.fs_stat(ROOT .. "/usr/bin/" .. name) and "/usr/bin/" or "/usr/sbin/"
      uv.fs_symlink(ROOT .. place .. name, folder .. "/" .. name:gsub("%-wlm$", ""))
    end
    local list = support.shell(("cd '%s/usr' && ls -d lib/*/*.so* lib/*/slurm-wlm/libslurmfull.so"):format(ROOT)).out
    for path in list:gmatch "[^\n]+" do
      local name, target = path:match "[^/]+$", ROOT .. "/usr/" .. path
      if name == "libslurmfull.so" then
        plugins = target:match "^(.*)/"
        uv.fs_symlink(target, folder .. "/lib/" .. name)
      end
      for _, library in ipairs(LIBRARIES) do
        if name:find("lib" .. library .. ".so.", 1, true) == 1 then uv.fs_symlink(target, folder .. "/lib/" .. name) end
      end
    end
    return plugins
  end

  local function tail(name)
    local file = io.open(folder .. "/" .. name)
    local text = file and file:read "a" or ""
    if file then file:close() end
    return name .. ": " .. text:sub(-400)
  end

  -- Its three daemons; or nil and why it cannot run here.
  local function start_slurm(daemons)
    local plugins = bring_slurm()
    assert(plugins, "no Slurm in " .. ROOT .. ": run tests/daemons/fetch build/daemons")
    write("slurm.conf", (CONF:gsub("%u+", { FOLDER = folder, PLUGINS = plugins })))
    write("cgroup.conf", "CgroupPlugin=cgroup/v1\n")
    for _, name in ipairs { "state", "spool" } do assert(uv.fs_mkdir(folder .. "/" .. name, 493)) end
    local key = slurm "mungekey -c -k munge.key"
    support.wait(key.over)
    if key.status ~= 0 then return nil, "mungekey: " .. key.err end
    local function start(command, ready)
      local p = slurm("exec " .. command)
      daemons[#daemons + 1] = p
      local tries = 0
      repeat
        support.sleep(0.1)
        tries = tries + 1
      until p.status or ready() or tries > 150
      return not p.status and ready()
    end
    local function answers(command, with)
      return function()
        local p = slurm(command)
        support.wait(p.over)
        return p.status == 0 and p.out:find(with) ~= nil
      end
    end
    if not start("munged -F --force --num-threads=2 --key-file=munge.key --socket=$PWD/munge.socket --pid-file=$PWD/munge.pid "
      .. "--log-file=$PWD/munge.log --seed-file=$PWD/munge.seed", function() return exists "munge.socket" end) then
      return nil, "munged: " .. daemons[1].err .. tail "munge.log"
    end
    if not start("slurmctld -c -D -f $SLURM_CONF", answers("scontrol ping", "UP")) then
      return nil, "slurmctld: " .. tail "slurmctld.log"
    end
    if not start("slurmd -D -N worker -f $SLURM_CONF -d $PWD/slurmstepd", answers("sinfo -h -o %T", "idle")) then
      return nil, "slurmd: " .. tail "slurmd.log"
    end
    return true
  end

  it("in an array of Slurm", function()
    local daemons = {}
    finally(function()
      if #daemons == 3 then support.wait(slurm("scancel --quiet --user=$(id -u)").over) end
      for i = #daemons, 1, -1 do
        daemons[i].kill()
        support.wait(daemons[i].over)
      end
    end)
    local ok, why = start_slurm(daemons)
    if not ok then
      local reason = "Slurm does not start here: " .. why:gsub("%s+", " ") .. "; where it does, as root: tests/support/netns "
        .. "lua5.3 /usr/bin/busted tests/daemons/arrays_spec.lua"
      print("\n" .. reason)
      return pending(reason)
    end
    write("array.sh", block("sh", 3))
    assert.truthy(done(slurm "sbatch array.sh"):find "^Submitted batch job %d+\n")
    kill_part(3)
    local tries, requeued = 0, nil
    repeat
      support.sleep(0.2)
      tries = tries + 1
      local left = done(slurm "squeue -h -o '%A %F_%K %T %r'")
      assert.truthy(tries < 1000, left .. tail "slurmctld.log")
      local waits = left:match "(%d+) %d+_3 PENDING BeginTime"
      requeued = requeued or waits
      -- Slurm lets a job that is queued again wait for two minutes.
      if waits then done(slurm(("scontrol update JobId=%s StartTime=now"):format(waits))) end
    until left == ""
    assert.truthy(requeued)
    compare(names(1, PARTS))
  end)
end)
