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
  mynah nmap --script "discovery and safe" 192.0.2.7      with Nmap's own]]

-- The words after `mynah nmap` are nmap's, --help too.
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

local function is_folder(path) return host.list(path) ~= nil end

local function find_nmap()
  local given = os.getenv "NMAP"
  if given and given ~= "" and given:find "/" then
    return host.realpath(given) and given or fail.run("NMAP=%s: no such program", given)
  end
  local name = given and given ~= "" and given or "nmap"
  for folder in (os.getenv "PATH" or "/usr/local/bin:/usr/bin:/bin"):gmatch "[^:]+" do
    local path = folder .. "/" .. name
    if host.realpath(path) and not is_folder(path) then return path end
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
  local path = self.path .. "/" .. name
  must(host.symlink(host.realpath(target) or target, path))
  table.insert(self.made, path)
end

function Folder:write(name, text)
  local path = self.path .. "/" .. name
  local file, message = io.open(path, "wb")
  must(file, message)
  table.insert(self.made, path)
  must(file:write(text))
  must(file:close())
  self.names[name] = true
end

function Folder:remove()
  for i = #self.made, 1, -1 do os.remove(self.made[i]) end
end

-- script.db -------------------------------------------------------------------------------------------

local function entries_of_ours(folder)
  local names, entries = must(host.list(folder)), {}
  table.sort(names)
  for _, name in ipairs(names) do
    if name:find "%.nse$" then
      local list = {}
      local text = read(folder .. "/" .. name) or ""
      local categories = text:match "\ncategories%s*=%s*{(.-)}" or ""
      for word in categories:gmatch '"([^"]+)"' do list[#list + 1] = ('"%s", '):format(word) end
      table.sort(list)
      entries[#entries + 1] = ('Entry { filename = "%s", categories = { %s} }\n'):format(name, table.concat(list))
    end
  end
  return table.concat(entries)
end

-- The folders that nmap looks through after the first, in its order.
local function later_folders(nmap)
  local real = host.realpath(nmap) or nmap
  local own = real:match "^(.*)/" or "."
  local home = host.home()
  return { home and home .. "/.nmap", own, own .. "/../share/nmap", "/usr/share/nmap", "/usr/local/share/nmap" }
end

local function find_script_db(folders)
  for i = 1, 8 do
    local text = folders[i] and read(folders[i] .. "/scripts/script.db")
    if text then return text end
  end
  return ""
end

-- Arguments and environment ------------------------------------------------------------------------------

-- The folder that --datadir names, and where among the words it stands.
local function find_datadir(words)
  for i, word in ipairs(words) do
    local value = word:match "^%-%-datadir=(.*)$"
    if value then return value, i, "--datadir=" end
    if word == "--datadir" and words[i + 1] then return words[i + 1], i + 1, "" end
  end
end

local function mirror(folder, base)
  local inner = { scripts = true, nselib = true }
  for name in pairs(inner) do
    for _, entry in ipairs(host.list(base .. "/" .. name) or {}) do
      if name .. "/" .. entry ~= "scripts/script.db" then
        folder:link(base .. "/" .. name .. "/" .. entry, name .. "/" .. entry)
      end
    end
  end
  for _, entry in ipairs(host.list(base) or {}) do
    if not inner[entry] then folder:link(base .. "/" .. entry, entry) end
  end
end

local function fill(folder, base, nmap)
  local scripts, nselib = host.share .. "/scripts", host.share .. "/nselib"
  folder:mkdir "scripts"
  folder:mkdir "nselib"
  for _, name in ipairs(must(host.list(scripts))) do folder:link(scripts .. "/" .. name, "scripts/" .. name) end
  for _, name in ipairs(must(host.list(nselib))) do folder:link(nselib .. "/" .. name, "nselib/" .. name) end
  if base then mirror(folder, base) end
  local others = later_folders(nmap)
  table.insert(others, 1, base or false)
  folder:write("scripts/script.db", find_script_db(others) .. "\n" .. entries_of_ours(scripts))
end

-- Our modules first, then what the user's variable says, then Lua's default.
local function cpath(version)
  local ours = host.exe_dir .. "/../lua/" .. version
  local name = "LUA_CPATH_" .. version:gsub("%.", "_")
  local before = os.getenv(name) or os.getenv "LUA_CPATH" or ";;"
  if not is_folder(ours) then return name, os.getenv(name) end -- installed: where Lua looks anyway
  return name, ours .. "/?.so;" .. before
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
  local datadir, at, prefix = find_datadir(words)
  local nmapdir = os.getenv "NMAPDIR"
  fill(folder, datadir or (nmapdir ~= "" and nmapdir) or nil, nmap)
  local changes = { MYNAH_SIGNATURES = os.getenv "MYNAH_SIGNATURES" or host.share .. "/signatures" }
  for _, version in ipairs { "5.3", "5.4" } do
    local name, value = cpath(version)
    changes[name] = value
  end
  local args = { nmap, table.unpack(words) }
  if datadir then
    args[at + 1] = prefix .. folder.path
  else
    changes.NMAPDIR = folder.path
  end
  return host.run(nmap, args, environment(changes))
end

function command.run(args)
  local words = args.arguments
  local nmap = find_nmap()
  local folder = new_folder()
  local ok, status, signal, message = pcall(run, nmap, words, folder)
  folder:remove()
  if not ok then error(status, 0) end
  if message then fail.run("cannot run nmap: %s", message) end
  out.clear()
  return status or 128 + signal
end

return command
