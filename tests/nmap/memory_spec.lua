-- memory_spec.lua - valgrind, asan and tsan have nothing to say of the plugin that they do not say of nmap.
--
-- nmap itself leaks a little; what is looked at is each stack: none may pass through mynah_core, and the plugin's scan may
-- show no kind of error that neither a plain scan nor one with a script of three lines shows.
-- MYNAH_ASAN: a module built with asan and ubsan (default build-asan/lua/5.3/mynah_core.so); MYNAH_TSAN: unit_pump built
-- with tsan (default build-tsan/tests/unit_pump). MYNAH_LONG=1: also interrupted scans, -sV, silent ports and 200 of them.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local support = require "support"
local child, ports, uv, xml = support.child, support.ports, support.uv, support.xml

local ROOT = uv.getuid() == 0
local SCRIPTS = "mynah-identify,mynah-udp,mynah-ftp,mynah-http,mynah-skype"

local function output_of(command)
  local pipe = assert(io.popen(command .. " 2>/dev/null"))
  local text = pipe:read("l")
  pipe:close()
  return text or ""
end

local function script(code)
  return support.write(support.temp(".nse"), 'description, categories = "", { "safe" }\n' .. code)
end

-- Scans: name to the words of nmap, and when it is interrupted.
local function scans(nodes, silent)
  local list = ROOT and { "-sT", "-sU" } or { "-sT" }
  local function scan(tcp, udp, ...)
    local words = { table.unpack(list) }
    words[#words + 1] = "-p"
    words[#words + 1] = "T:" .. support.list(tcp) .. (ROOT and ",U:" .. support.list(udp) or "")
    for _, word in ipairs { "127.0.0.1", ... } do words[#words + 1] = word end
    return words
  end
  local all = {
    plugin = { scan(nodes, { nodes[1] }, "--script", SCRIPTS), answers = true },
    plain = { scan(nodes, { nodes[1] }) },
    trivial = { scan(nodes, { nodes[1] }, "--script",
      script "portrule = function() return true end\naction = function() return 'x' end\n") },
  }
  if not support.long then return all end
  all["version plain"] = { scan(nodes, { nodes[1] }, "-sV") }
  all.version = { scan(nodes, { nodes[1] }, "-sV", "--script", "mynah-version") }
  local many = {}
  for i = 1, 200 do many[i] = ports.pick() end
  for i = 1, 4 do many[i] = silent[i] end
  many[5] = nodes[1]
  all.many = { scan({ silent[5] }, many, "--script", SCRIPTS, "--script-args", "mynah.patience=4s") }
  all.interrupted = { scan({ silent[5], nodes[1] }, silent, "--script", SCRIPTS), after = 6 }
  all.timeout = { scan({ silent[5], nodes[1] }, silent, "--script", SCRIPTS, "--host-timeout", "6s") }
  return all
end

-- Run a scan under something: the result of start_nmap.
local function run(scan, options)
  local process, finish = support.start_nmap(scan[1], options)
  if scan.after then
    child.wait(function() return process.exit end, scan.after)
    if not process.exit then uv.kill(process.pid, "sigint") end
  end
  return finish()
end

describe("the plugin's memory", function()
  local peers, all = {}, nil

  setup(function()
    local nodes, silent = {}, {}
    for i, kind in ipairs { "skype", "ftp", "http" } do
      local _, port = support.demo(kind)
      nodes[i] = port
    end
    for i = 1, 4 do
      peers[i] = support.udp()
      silent[i] = peers[i].port
    end
    peers[5] = support.tcp(function(handle, self) self.read(handle) end)
    silent[5] = peers[5].port
    all = scans(nodes, silent)
  end)

  teardown(function()
    for _, peer in ipairs(peers) do peer.close() end
    support.clean()
  end)

  local function answered(result)
    local seen = {}
    for _, p in ipairs(result.ports or {}) do
      local output = p.scripts["mynah-identify"]
      if output and output.service then seen[#seen + 1] = p.transport .. " " .. output.service end
    end
    table.sort(seen)
    assert.equal("tcp ftp, tcp http, tcp skype" .. (ROOT and ", udp skype" or ""), table.concat(seen, ", "))
  end

  -- Each error as its kind and its innermost functions; those that pass through the module, whole; and where memory comes from
  -- that is never given back: whether it counts as lost or as reachable changes from run to run.
  local function valgrind(scan)
    local log = support.temp(".xml")
    local result = run(scan, { program = "valgrind", before = { "--leak-check=full", "--show-leak-kinds=all",
      "--num-callers=50", "--xml=yes", "--xml-file=" .. log, support.nmap_path } })
    local document = xml.parse(support.read(log))
    local kinds, ours, kept = {}, {}, {}
    local function text_of(element, name)
      for _, inner in ipairs(element) do
        if inner.name == name then return tostring(inner[1]) end
      end
      return "?"
    end
    local function visit(element)
      if element.name ~= "error" then
        for _, inner in ipairs(element) do if type(inner) == "table" then visit(inner) end end
        return
      end
      local frames, mine = {}, false
      for _, stack in ipairs(element) do
        for _, frame in ipairs(stack.name == "stack" and stack or {}) do
          frames[#frames + 1] = text_of(frame, "fn")
          mine = mine or text_of(frame, "obj"):find("mynah_core", 1, true)
        end
      end
      local kind = text_of(element, "kind")
      if mine then ours[#ours + 1] = kind .. ": " .. table.concat(frames, " < ") end
      local where = table.concat(frames, " < ", 1, math.min(5, #frames))
      if kind:find "^Leak_" then kept[where] = true end
      if kind:find("Leak_StillReachable") then return end
      kinds[kind .. ": " .. where] = true
    end
    visit(document)
    return result, kinds, table.concat(ours, "\n"), kept
  end

  it("by valgrind", function()
    if output_of("command -v valgrind") == "" then return pending "no valgrind" end
    local known, kept, began = {}, {}, uv.hrtime()
    local counts = {}
    for _, name in ipairs { "plain", "trivial", "version plain" } do
      if all[name] then
        local _, kinds, _, places = valgrind(all[name])
        for kind in pairs(kinds) do known[kind] = true end
        for place in pairs(places) do kept[place] = true end
        counts[#counts + 1] = ("%s %d"):format(name, support.count(kinds))
      end
    end
    for _, name in ipairs { "plugin", "version", "many", "interrupted", "timeout" } do
      local scan = all[name]
      if scan then
        local result, kinds, ours = valgrind(scan)
        if scan.answers then answered(result) end
        counts[#counts + 1] = ("%s %d"):format(name, support.count(kinds))
        -- Nmap's exit at SIGINT frees nothing, of Lua neither: what is still reachable there is no leak.
        if scan.after then ours = ours:gsub("[^\n]*Leak_StillReachable[^\n]*\n?", "") end
        assert.equal("", ours, name)
        for kind in pairs(kinds) do
          local place = kind:match "^Leak_%w+: (.*)"
          assert(known[kind] or kept[place] or scan.after, name .. ": only with the plugin: " .. kind)
        end
      end
    end
    print(("valgrind: kinds of errors: %s (%.0f s)"):format(table.concat(counts, ", "), (uv.hrtime() - began) / 1e9))
  end)

  -- Without these two the tests could pass because no stack ever shows the module: here it leaks, for its object loses its
  -- finalizer.
  local function leak()
    return { { "-sT", "-p", "1", "127.0.0.1", "--script", script [[
      local core = require "mynah_core"
      prerule = function() return true end
      action = function() debug.setmetatable(core.signatures(), nil) end
    ]] } }
  end

  it("by a valgrind that sees the module", function()
    if output_of("command -v valgrind") == "" then return pending "no valgrind" end
    local _, _, ours = valgrind(leak())
    assert(ours:find("Leak_DefinitelyLost", 1, true), "it saw: " .. ours)
  end)

  local module = os.getenv("MYNAH_ASAN") or support.root .. "/build-asan/lua/5.3/mynah_core.so"
  local library = output_of("gcc -print-file-name=libasan.so")

  -- Stacks through the module. Where it is unmapped at the end, as a module not linked with -z nodelete is, its frames have
  -- lost their names; nmap's own all have theirs.
  local function is_ours(log)
    for _, mark in ipairs { "mynah_core", "/native/", "<unknown module>" } do
      if log:find(mark, 1, true) then return true end
    end
    return false
  end

  -- What the sanitizer wrote, of all processes; log.* are removed.
  local function asan(scan)
    local folder = support.temp("-asan")
    assert(uv.fs_mkdir(folder, 448))
    local options = "exitcode=0:halt_on_error=0:detect_leaks=1:log_path=" .. folder .. "/log"
    local result = run(scan, { env = { LD_PRELOAD = library, ASAN_OPTIONS = options,
      UBSAN_OPTIONS = "print_stacktrace=1:log_path=" .. folder .. "/log",
      LUA_CPATH_5_3 = module:gsub("[^/]*$", "?.so;;") } })
    local logs, entries = {}, uv.fs_scandir(folder)
    while entries do
      local name = uv.fs_scandir_next(entries)
      if not name then break end
      logs[#logs + 1] = support.read(folder .. "/" .. name)
    end
    return result, table.concat(logs)
  end

  it("by an asan that sees the module", function()
    if not uv.fs_stat(module) then return pending("no " .. module .. "; set MYNAH_ASAN") end
    if not library:find("^/") then return pending "no libasan" end
    local _, log = asan(leak())
    assert(is_ours(log), "it saw: " .. log)
  end)

  it("by asan and ubsan", function()
    if not uv.fs_stat(module) then return pending("no " .. module .. "; set MYNAH_ASAN") end
    if not library:find("^/") then return pending "no libasan" end
    local began, sizes = uv.hrtime(), {}
    local _, plain = asan(all.plain)
    assert.is_false(is_ours(plain), "plain nmap")
    assert(plain:find("LeakSanitizer", 1, true), "nmap's own leak is not seen: does the sanitizer run?")
    for _, name in ipairs { "plugin", "version", "many", "interrupted", "timeout" } do
      local scan = all[name]
      if scan then
        local result, log = asan(scan)
        if scan.answers then answered(result) end
        assert.is_false(is_ours(log), log)
        assert.is_nil(log:find("ERROR: AddressSanitizer", 1, true), log)
        assert.is_nil((log .. result.err):find("runtime error", 1, true), log .. result.err)
        sizes[#sizes + 1] = ("%s %d"):format(name, select(2, log:gsub("leak of", "")))
      end
    end
    print(("asan: leaks, none of them the module's: plain %d, %s (%.0f s)"):format(select(2, plain:gsub("leak of", "")),
      table.concat(sizes, ", "), (uv.hrtime() - began) / 1e9))
  end)

  it("by tsan, the pump's own test", function()
    local program = os.getenv("MYNAH_TSAN") or support.root .. "/build-tsan/tests/unit_pump"
    if not uv.fs_stat(program) then return pending("no " .. program .. "; build the tsan preset, or set MYNAH_TSAN") end
    local result = assert(child.run(program, {}, 240))
    assert.equal(0, result.exit, result.err)
    assert.is_nil(result.err:find("ThreadSanitizer", 1, true), result.err)
  end)
end)
