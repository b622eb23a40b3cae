-- lifetime_spec.lua - nmap with the plugin leaves nothing behind: no process, thread, socket or file, however it ends.
--
-- MYNAH_SEED: the seed of the random moments, which is printed. Processes are found by their session: child.spawn gives each
-- program one of its own. `mynah nmap` killed by -9 cannot clean up: its nmap goes on to its end and its folder stays.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local support = require "support"
local child, ports, uv = support.child, support.ports, support.uv

local function seconds_now() return uv.hrtime() / 1e9 end

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read("a")
  if file then file:close() end
  return text or ""
end

-- Processes of a session: numbers to names.
local function members(session)
  local found, scan = {}, uv.fs_scandir("/proc")
  while scan do
    local name = uv.fs_scandir_next(scan)
    if not name then break end
    if name:find("^%d+$") then
      local program, state, rest = read("/proc/" .. name .. "/stat"):match("%((.*)%) (%S) (.*)$")
      if rest and state ~= "Z" and tonumber(rest:match("^%d+ %d+ (%d+)")) == session then found[tonumber(name)] = program end
    end
  end
  return found
end

local function nmap_of(process)
  for pid, program in pairs(members(process.pid)) do
    if program:find("^nmap") then return pid end
  end
end

local function names_in(folder)
  local list, scan = {}, uv.fs_scandir(folder)
  while scan do
    local name = uv.fs_scandir_next(scan)
    if not name then break end
    list[#list + 1] = name
  end
  return table.concat(list, " ")
end

local function count_in(folder) return select(2, names_in(folder):gsub("%S+", "")) end

local function new_folder()
  local path = support.temp("-life")
  assert(uv.fs_mkdir(path, 448))
  return path
end

local function poll(done, seconds)
  local timer = uv.new_timer() -- wakes child.wait, which looks only after an event
  timer:start(20, 20, function() end)
  local ok = child.wait(done, seconds)
  timer:stop()
  timer:close()
  return ok
end

describe("a scan of very many ports in a network of its own", function()
  local holder, nodes, list = nil, nil, {}

  -- What runs in the namespace keeps the number that it was started with: nsenter becomes the program.
  local function inside(program, args)
    local user = uv.getuid() == 0 and {} or { "-U", "--preserve-credentials" }
    local words = { "-t", tostring(holder.pid), "-n", table.unpack(user) }
    words[#words + 1] = program
    for _, word in ipairs(args) do words[#words + 1] = word end
    return words
  end

  -- The namespace goes with its last process.
  setup(function()
    holder = assert(child.spawn("unshare", { uv.getuid() == 0 and "-n" or "-rn", "sh", "-c",
      "ip link set lo up && echo up && read -r _" }, { stdin = true }))
    poll(function() return holder.exit or holder.lines[1] end, 10)
    if holder.exit or not holder.lines[1] then return end
    nodes = assert(child.spawn("nsenter", inside(support.mynah, { "demo", "--serve", "skype", "skype", "ftp", "ftp",
      "http", "http" })))
    assert(poll(function() return nodes.exit or #nodes.lines >= 6 end, 20) and not nodes.exit, nodes.errors)
    for i, line in ipairs(nodes.lines) do
      local kind, port = line:match("^(%S+) %S+:(%d+) ")
      list[i] = { service = kind, port = math.tointeger(tonumber(port)) }
    end
  end)

  teardown(support.clean)

  -- Local ends of the namespace's sockets that are neither a node's own nor waiting out their time.
  local function strangers()
    local own, found = {}, {}
    for _, node in ipairs(list) do own[node.port] = true end
    for _, name in ipairs { "tcp", "udp", "tcp6", "udp6" } do
      for port, state in read(("/proc/%d/net/%s"):format(holder.pid, name)):gmatch("\n *%d+: %x+:(%x+) %x+:%x+ (%x%x)") do
        local number = tonumber(port, 16)
        local resting = name:find("tcp") and state == "06" or own[number] and (state == "0A" or state == "07")
        if not resting then found[#found + 1] = ("%s port %d state %s"):format(name, number, state) end
      end
    end
    return table.concat(found, ", ")
  end

  local function scan(transport, words)
    if #list == 0 then
      print("no network namespace here: " .. holder.errors)
      pending("no network namespace")
      return
    end
    local tmp = new_folder()
    local process, finish = support.start_nmap(words .. " 127.0.0.1", { program = "nsenter",
      before = inside(support.mynah, { "nmap" }), env = { TMPDIR = tmp, NMAPDIR = false } })
    local nmap, threads, sockets, looks, folders = nil, 0, 0, 0, 0
    poll(function()
      nmap = nmap or nmap_of(process)
      if nmap then
        local at = 0
        for _, target in pairs(support.links(("/proc/%d/fd"):format(nmap))) do
          if target:find("^socket:") then at = at + 1 end
        end
        looks, sockets = looks + 1, math.max(sockets, at)
        threads = math.max(threads, count_in(("/proc/%d/task"):format(nmap)))
        folders = math.max(folders, names_in(tmp) ~= "" and 1 or 0)
      end
      return process.exit
    end, 240)
    local run = finish()
    print(("%s: %.1f s; %d looks in mid-run: at most %d threads, %d sockets"):format(words, run.seconds, looks, threads,
      sockets))
    assert.equal(0, run.exit, run.err)
    assert.equal(2, threads, "Nmap's thread and the pump's, however many scripts run")
    assert.equal(1, folders, "the folder of mynah nmap was there")
    assert.is_true(sockets > 0)
    assert.same({}, members(process.pid))
    assert.is_nil(uv.fs_stat(("/proc/%d/task"):format(nmap)))
    assert.equal("", names_in(tmp))
    poll(function() return strangers() == "" end, 5) -- the nodes too close what is closed
    assert.equal("", strangers())
    for _, node in ipairs(list) do
      if transport == "tcp" or node.service == "skype" then
        local port = assert(run[transport .. " " .. node.port], "no port " .. node.port)
        assert.equal("open", port.state)
        assert.equal(node.service, port.scripts["mynah-identify"].service)
      end
    end
    assert.equal(transport == "tcp" and 6 or 2, #run.ports)
  end

  it("over TCP", function() scan("tcp", "-sT -p- --script mynah-*") end)

  it("over UDP", function()
    if uv.getuid() ~= 0 then
      print("a UDP scan needs root")
      return pending("root")
    end
    -- Not all ports, and not as fast as can be: what the kernel drops of the answers, nmap takes for open, and scripts ask it.
    local own = {}
    for i, node in ipairs(list) do own[i] = node.port end
    scan("udp", "-sU -p 1-10000," .. table.concat(own, ",") .. " --open --max-retries 3 --min-rate 3000 --script mynah-*")
  end)
end)

-- A wildcard needs a script.db, which only mynah nmap brings.
local NAMES = "mynah-identify,mynah-ftp,mynah-http,mynah-skype,mynah-udp,mynah-version"
local SIGNAL = { sigkill = 9, sigterm = 15, sigint = 2 }
local AT_ONCE, MOMENTS = 10, 50
local GRACE = 4 -- seconds: with ten of them on the machine at once

describe("ended at a random moment", function()
  local peers, targets, heard = {}, nil, 0

  setup(function()
    local tcp, udp = {}, {}
    for i = 1, 3 do
      local _, port = support.demo("skype", "--delay", "400", "--drop", "0.3")
      tcp[#tcp + 1], udp[#udp + 1] = port, port
      local silent = support.tcp(function(handle, self)
        heard = heard + 1
        self.read(handle)
      end)
      local mute = support.udp(function() heard = heard + 1 end)
      peers[2 * i - 1], peers[2 * i] = silent, mute
      tcp[#tcp + 1], udp[#udp + 1] = silent.port, mute.port
    end
    udp[#udp + 1] = ports.pick() -- closed
    targets = { "-p", ("T:%s,U:%s"):format(table.concat(tcp, ","), table.concat(udp, ",")) }
  end)

  teardown(function()
    for _, peer in ipairs(peers) do peer.close() end
    support.clean()
  end)

  local WAYS = { "sigkill nmap", "sigterm nmap", "sigint nmap", "timeout nmap", "sigterm mynah", "sigint mynah",
    "sigkill nmap of mynah", "timeout mynah", "sigint group of mynah", "sigkill mynah" }

  local function start(job)
    local words = { "-sT", "-sU", "--max-retries", "1", "--script", NAMES, "--script-args", "mynah.patience=20s",
      targets[1], targets[2], "127.0.0.1" }
    if uv.getuid() ~= 0 then table.remove(words, 2) end
    local signal, rest = job.way:match("^(%S+) (.*)$")
    if signal == "timeout" then
      table.insert(words, 1, ("--host-timeout=%dms"):format(math.floor(job.moment * 1000)))
    end
    job.tmp = new_folder()
    local options = { env = { TMPDIR = job.tmp } }
    if rest:find("mynah") then options.program, options.before, options.env.NMAPDIR = support.mynah, { "nmap" }, false end
    job.process = support.start_nmap(words, options)
    job.began = seconds_now()
    job.signal, job.victim = SIGNAL[signal], rest
    if not job.signal then job.told = job.began + job.moment end
  end

  local function strike(job)
    local pid = job.process.pid
    if job.victim == "nmap of mynah" then
      pid = nmap_of(job.process)
      if not pid then return end -- not started yet: at the next look
    end
    job.told = seconds_now()
    job.members = members(job.process.pid)
    uv.kill(job.victim == "group of mynah" and -pid or pid, job.signal)
  end

  -- One look; true once it is over.
  local function look(job)
    local now = seconds_now()
    if not job.told and now >= job.began + job.moment and not job.process.exit then strike(job) end
    -- The others of its group die of the same end, on a busy machine a moment later.
    if job.process.exit then
      job.ended = job.ended or now
      if next(members(job.process.pid)) and now < job.ended + GRACE then return false end
    end
    if job.process.exit or job.told and now > job.told + GRACE + 3 then
      job.late = job.told and (job.ended or now) - job.told or 0
      job.left = members(job.process.pid)
      job.files = names_in(job.tmp)
      job.over = true
      job.process:kill()
      for pid in pairs(job.left) do uv.kill(pid, "sigkill") end
      job.process:stop()
    end
    return job.over
  end

  local function judge(job)
    local p = job.process
    local function say(text)
      return ("%s after %.3f s: %s (exit %s, signal %s, %.2f s late)\n%s"):format(job.way, job.moment, text,
        tostring(p.exit), tostring(p.signal), job.late, p.errors)
    end
    if not p.exit then return say "does not end" end
    if p.signal == 11 or p.signal == 6 or p.exit >= 128 and (p.exit - 128 == 11 or p.exit - 128 == 6)
      or p.errors:find("SIGSEGV") then
      return say "crashed"
    end
    if not job.told then return say "ended by itself before its moment" end
    if job.late > GRACE then return say "late" end
    local by_signal = job.signal and (p.signal == job.signal or p.exit == 128 + job.signal)
    local told = p.errors:find("caught SIG", 1, true)
    if not job.signal and p.exit ~= 0 then return say "a host timeout is no failure" end
    if job.signal and not by_signal and not (told and p.exit ~= 0) then return say "ended by something else" end
    if job.way == "sigkill mynah" then return nil end
    if next(job.left) then return say "a process stays" end
    if job.files ~= "" then return say("files stay: " .. job.files) end
  end

  it("by signal or --host-timeout, it leaves nothing behind", function()
    local seed = tonumber(os.getenv("MYNAH_SEED") or "") or os.time()
    print("MYNAH_SEED=" .. seed)
    math.randomseed(seed)
    local jobs = {}
    for i = 1, MOMENTS do
      -- Half of them early, where things are being set up.
      local most = math.random(2) == 1 and 1 or 5
      jobs[i] = { way = WAYS[(i - 1) % #WAYS + 1], moment = 0.02 + math.random() * most }
    end
    local began, next_job, active = seconds_now(), 1, {}
    poll(function()
      while #active < AT_ONCE and jobs[next_job] do
        start(jobs[next_job])
        active[#active + 1] = jobs[next_job]
        next_job = next_job + 1
      end
      for i = #active, 1, -1 do
        if look(active[i]) then table.remove(active, i) end
      end
      return #active == 0
    end, 180)
    local worst, problems, started = 0, {}, 0
    for _, job in ipairs(jobs) do
      worst = math.max(worst, job.late or 0)
      problems[#problems + 1] = not job.over and job.way .. ": never came to an end" or judge(job)
      for _, name in pairs(job.members or {}) do if name:find("^nmap") then started = started + 1 break end end
    end
    print(("%d moments in %.1f s, %d of them in a running nmap; the silent peers were asked %d times; the slowest took %.2f s")
      :format(#jobs, seconds_now() - began, started, heard, worst))
    assert.equal("", table.concat(problems, "\n"))
    assert.is_true(heard > MOMENTS, "hardly any was in mid-exchange")
  end)

  -- Medians of how long nmap lives on after SIGINT.
  local function interrupt(words)
    local times = {}
    for i = 1, 3 do
      local process = support.start_nmap(words)
      poll(function() return process.exit end, 2.5)
      local threads = count_in(("/proc/%d/task"):format(process.pid))
      local began = seconds_now()
      uv.kill(process.pid, "sigint")
      child.wait(function() return process.exit end, 10)
      times[i] = seconds_now() - began
      assert(process.exit, "SIGINT does not end it")
      assert.same({}, members(process.pid))
      process:stop()
      times.threads = threads
    end
    table.sort(times)
    return times[2], times.threads
  end

  it("by SIGINT, as fast with a running pump as without", function()
    local script = support.write(support.temp(".nse"), [[
      local stdnse = require "stdnse"
      description, categories = "sleeps", { "safe" }
      portrule = function() return true end
      action = function() stdnse.sleep(30) end
    ]])
    local target = { "-sU", "-p", peers[2].port .. "," .. peers[4].port, "127.0.0.1" }
    if uv.getuid() ~= 0 then target[1], target[3] = "-sT", peers[1].port .. "," .. peers[3].port end
    local plain = { "--max-retries", "0", "--script", script, table.unpack(target) }
    local pumped = { "--max-retries", "0", "--script-args", "mynah.timeout=20s", "--script", "mynah-identify",
      table.unpack(target) }
    local without, one = interrupt(plain)
    local as_long, two = interrupt(pumped)
    print(("SIGINT ends nmap in %.1f ms, %.1f ms with a pump (medians)"):format(without * 1000, as_long * 1000))
    assert.equal(1, one)
    assert.equal(2, two)
    assert(as_long < without + 0.1, "the pump holds up the end")
  end)
end)
