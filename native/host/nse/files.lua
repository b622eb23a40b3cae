--- Where files of NSE are looked for: the user's Nmap, in its own order, then what Mynah brings.
-- @module host.nse.files

local host = require "mynah_host"

local files = {}

local IS_FOLDER = 21 -- EISDIR, the number of the error that reading one gives

local function readable(path)
  local file = io.open(path, "rb")
  if not file then return false end
  local _, _, code = file:read(0)
  file:close()
  return code ~= IS_FOLDER
end

--- The folders, the first that has a file wins.
-- @param options table: `datadir`, of --datadir; `alone`, true: nothing of Nmap's
-- @return array of paths
function files.folders(options)
  local list = {}
  local function add(path) if path and path ~= "" then list[#list + 1] = path end end
  if not options.alone then
    add(options.datadir)
    add(os.getenv "NMAPDIR")
    local home = host.home()
    add(home and home .. "/.nmap")
    add "/usr/share/nmap"
    add "/usr/local/share/nmap"
  end
  add(host.share)
  add(host.share .. "/host") -- the small nselib for where there is no Nmap's
  return list
end

--- The path of a file such as "nselib/data/passwords.lst", nil where no folder has it.
function files.find(folders, name)
  for _, folder in ipairs(folders) do
    local path = folder .. "/" .. name
    if readable(path) then return path end
  end
end

--- All bytes of a file; nil and a message.
function files.read(path)
  local file, message = io.open(path, "rb")
  if not file then return nil, message end
  local bytes, why = file:read "a"
  file:close()
  return bytes, why and ("%s: %s"):format(path, why)
end

--- Have `require` find libraries in these folders before anywhere else but our own modules.
function files.set_path(folders)
  local own = ("%s/nselib/?.lua;%s/?.lua;"):format(host.share, host.share)
  local list = {}
  for _, folder in ipairs(folders) do list[#list + 1] = folder .. "/nselib/?.lua" end
  local rest = package.path:sub(1, #own) == own and package.path:sub(#own + 1) or package.path
  package.path = own .. table.concat(list, ";") .. ";" .. rest
end

return files
