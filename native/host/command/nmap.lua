--- mynah nmap: the user's own nmap with this plugin on its paths, nothing installed.
-- Nmap takes each file from the first folder that has it, and of several script.db only the first counts. So it gets a temporary
-- folder that holds our scripts and libraries, a script.db merged from the one it would have found and ours, and links to all
-- that a given --datadir or NMAPDIR holds.

local fail = require "host.fail"
local host = require "mynah_host"
local out = require "host.out"

local command = { name = "nmap", summary = "The user's nmap with this plugin on its paths" }

command.description = [[
Runs nmap ($NMAP, else the one on PATH) with the arguments given, with Mynah's scripts and libraries where it finds them, and
ends as it ends. Nothing is installed; a given NMAPDIR or --datadir goes on working.]]

command.epilog = [[
Examples:
  mynah nmap -p 48915 --script mynah-skype 192.0.2.7      one script
  mynah nmap -sU -p 1024-2000 --script mynah-udp 192.0.2.7
  mynah nmap -sV 192.0.2.7                                mynah-version joins by itself
  mynah nmap --script "discovery and safe" 192.0.2.7      with Nmap's own

Every other word is nmap's; `nmap --help` explains them.]]

-- The words after `mynah nmap` are nmap's.
command.raw = true

function command.define(parser)
  parser:argument("arguments"):args("*"):argname("NMAP-ARGUMENT"):description("As nmap takes them")
end

-- Files ----------------------------------------------------------------------------------------------

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local bytes = file:read "a"
  file:close()
  return bytes
end

local function given(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

local function find_nmap()
  local name = given "NMAP" or "nmap"
  if name:find "/" then
    return host.executable(name) and name or fail.run("NMAP=%s: no such program", name)
  end
  for folder in (given "PATH" or "/usr/local/bin:/usr/bin:/bin"):gmatch "[^:]+" do
    local path = folder .. "/" .. name
    if host.executable(path) then return path end
  end
  fail.run("no %s on PATH; install it, or name it in NMAP", name)
end

-- A folder that is taken away again, whatever is put into it.
local Folder = {}
Folder.__index = Folder

local function must(ok, message)
  if not ok then fail.run("%s", message) end
  return ok
end

local function new_folder()
  local path = must(host.temp_folder "mynah-nmap")
  return setmetatable({ path = path, made = { path }, names = {} }, Folder)
end

function Folder:mkdir(name)
  local path = self.path .. "/" .. name
  must(host.mkdir(path))
  table.insert(self.made, path)
end

-- The first link of a name wins.
function Folder:link(target, name)
  if self.names[name] then return end
  self.names[name] = true
  must(host.symlink(host.realpath(target) or target, self.path .. "/" .. name))
end

function Folder:write(name, text)
  self.names[name] = true
  local file = must(io.open(self.path .. "/" .. name, "wb"))
  must(file:write(text))
  must(file:close())
end

-- What nmap may have put into it too. Links are removed, never followed.
function Folder:remove()
  for i = #self.made, 1, -1 do
    local path = self.made[i]
    for _, name in ipairs(host.list(path) or {}) do os.remove(path .. "/" .. name) end
    os.remove(path)
  end
end

-- script.db -------------------------------------------------------------------------------------------

-- Names of the scripts in a folder of ours, and their entries.
local function entries_of_ours(folder)
  local ours, entries = {}, {}
  local names = must(host.list(folder))
  table.sort(names)
  for _, name in ipairs(names) do
    if name:find "%.nse$" then
      local list = {}
      local categories = (read(folder .. "/" .. name) or ""):match "\ncategories%s*=%s*{(.-)}" or ""
      for word in categories:gmatch '"([^"]+)"' do list[#list + 1] = ('"%s", '):format(word) end
      table.sort(list)
      ours[name] = true
      entries[#entries + 1] = ('Entry { filename = "%s", categories = { %s} }\n'):format(name, table.concat(list))
    end
  end
  return ours, table.concat(entries)
end

-- The folders in which nmap looks for its files, in its order; where it was built to look is not known, so the usual places
-- end the list.
local function folders_of(nmap, datadir)
  local folders = {}
  local function add(path) folders[#folders + 1] = path end
  add(datadir)
  add(given "NMAPDIR")
  local home = host.home()
  add(home and home .. "/.nmap")
  for _, path in ipairs { nmap, host.realpath(nmap) or nmap } do
    local own = path:match "^(.*)/" or "."
    add(own)
    add(own .. "/../share/nmap")
  end
  add "/usr/share/nmap"
  add "/usr/local/share/nmap"
  return folders
end

local function find_script_db(folders)
  for _, folder in ipairs(folders) do
    local text = read(folder .. "/scripts/script.db")
    if text then return text end
  end
  return ""
end

-- Entries of our scripts in the one that was found are of another installation.
local function merged_script_db(nmap, datadir, scripts)
  local ours, entries = entries_of_ours(scripts)
  local kept = {}
  for line in find_script_db(folders_of(nmap, datadir)):gmatch "[^\n]+" do
    if not ours[line:match 'filename%s*=%s*"([^"]*)"' or ""] then kept[#kept + 1] = line .. "\n" end
  end
  return table.concat(kept) .. entries
end

-- Arguments and environment ------------------------------------------------------------------------------

-- An option of nmap's that the words hold, however it is shortened: where its value stands, the value, and what stands before
-- it in that word. nil where it is not there. getopt takes one dash as two.
local function find_option(words, name, least)
  for i, word in ipairs(words) do
    local short, equals, value = word:match "^%-%-?([^=]*)(=?)(.*)$"
    if short and #short >= #least and name:sub(1, #short) == short then
      if equals == "=" then return i, value, word:sub(1, #word - #value) end
      return i + 1, words[i + 1], ""
    end
    if word == "--" then break end
  end
end

local function mirror(folder, base)
  local inner = { scripts = true, nselib = true }
  for name in pairs(inner) do
    for _, entry in ipairs(host.list(base .. "/" .. name) or {}) do
      folder:link(base .. "/" .. name .. "/" .. entry, name .. "/" .. entry)
    end
  end
  for _, entry in ipairs(host.list(base) or {}) do
    if not inner[entry] then folder:link(base .. "/" .. entry, entry) end
  end
end

local function fill(folder, nmap, datadir)
  local scripts, nselib = host.share .. "/scripts", host.share .. "/nselib"
  local base = datadir or given "NMAPDIR"
  folder:mkdir "scripts"
  folder:mkdir "nselib"
  folder:write("scripts/script.db", merged_script_db(nmap, datadir, scripts))
  for _, name in ipairs(must(host.list(scripts))) do folder:link(scripts .. "/" .. name, "scripts/" .. name) end
  for _, name in ipairs(must(host.list(nselib))) do folder:link(nselib .. "/" .. name, "nselib/" .. name) end
  if base then mirror(folder, base) end
end

-- The folder of our module: built in place, or installed.
local function module_folder(version)
  for _, folder in ipairs { host.exe_dir .. "/../lua/", host.exe_dir .. "/" .. host.libdir .. "/lua/" } do
    local path = host.realpath(folder .. version .. "/mynah_core.so")
    if path then return path:match "^(.*)/" end
  end
end

-- Our module first, then what the user's variables say, then Lua's default.
local function cpath(version)
  local name = "LUA_CPATH_" .. version:gsub("%.", "_")
  local before = os.getenv(name) or os.getenv "LUA_CPATH" or ";;"
  local ours = module_folder(version)
  return name, ours and ours .. "/?.so;" .. before or nil
end

local function environment(changes)
  local env = {}
  for _, entry in ipairs(host.environment()) do
    if changes[entry:match "^[^=]*"] == nil then env[#env + 1] = entry end
  end
  for name, value in pairs(changes) do env[#env + 1] = name .. "=" .. value end
  return env
end

local function run(nmap, words, folder)
  local changes = { MYNAH_SIGNATURES = given "MYNAH_SIGNATURES" or host.share .. "/signatures" }
  for _, version in ipairs { "5.3", "5.4" } do
    local name, value = cpath(version)
    changes[name] = value
  end
  local args = { nmap, table.unpack(words) }
  -- What rewrites the user's script.db must find that one, not ours.
  if not find_option(words, "script-updatedb", "script-u") then
    local at, datadir, before = find_option(words, "datadir", "datad")
    fill(folder, nmap, datadir)
    if datadir then
      args[at + 1] = before .. folder.path
    else
      changes.NMAPDIR = folder.path
    end
  end
  return host.run(nmap, args, environment(changes))
end

function command.run(args)
  local words = args.arguments
  if #words == 0 then
    out.line("usage: mynah nmap NMAP-ARGUMENT...\n\n" .. command.description .. "\n\n" .. command.epilog)
    return fail.USAGE
  end
  local nmap = find_nmap()
  host.hold_signals()
  local folder = new_folder()
  local ok, status, signal, message = pcall(run, nmap, words, folder)
  folder:remove()
  if not ok then error(status, 0) end
  if message then fail.run("cannot run nmap: %s", message) end
  return status or host.end_by(signal) or 128 + signal
end

return command
