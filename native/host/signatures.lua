--- Where signature files are, and reading them.
-- @module host.signatures

local core = require "mynah_core"
local fail = require "host.fail"
local host = require "mynah_host"
local openssl = require "mynah_openssl"
local text = require "mynah.text"

local signatures = {}

--- The files of a path: itself, or the *.sig files of a folder by name.
-- @raise exit status 2 where it cannot be read
function signatures.files(path)
  local names = host.list(path)
  if not names then return { path } end
  local files = {}
  table.sort(names)
  for _, name in ipairs(names) do
    if name:match("%.sig$") then files[#files + 1] = path:gsub("/+$", "") .. "/" .. name end
  end
  if #files == 0 then fail.input("%s: no *.sig file in this folder", path) end
  return files
end

--- Read a whole file.
-- @raise exit status 2 where it cannot be read
function signatures.read(path)
  local file, message = io.open(path, "rb")
  if not file then fail.input("%s", message) end
  local bytes, why = file:read("a")
  file:close()
  if not bytes then fail.input("%s: %s", path, why or "cannot be read") end
  return bytes
end

--- Where signatures come from when none are named.
function signatures.default()
  local path = os.getenv("MYNAH_SIGNATURES")
  return path and path ~= "" and path or host.share .. "/signatures"
end

--- The file of address ranges that scans leave out.
signatures.blocklist = host.share .. "/signatures/blocklist.txt"

--- What all files below the paths say, as one number: the same text gives the same one.
-- @return hex
function signatures.digest(paths)
  if not paths or #paths == 0 then paths = { signatures.default() } end
  local parts = {}
  for _, path in ipairs(paths) do
    for _, file in ipairs(signatures.files(path)) do parts[#parts + 1] = signatures.read(file) end
  end
  return text.to_hex(openssl.digest("sha256", table.concat(parts, "\0")))
end

--- A database of everything below the paths.
-- @param paths array; empty or nil: the default
-- @raise exit status 2 with file:line:column where something is wrong
function signatures.load(paths)
  if not paths or #paths == 0 then paths = { signatures.default() } end
  local db = assert(core.signatures())
  for _, path in ipairs(paths) do
    for _, file in ipairs(signatures.files(path)) do
      local ok, message = db:add(signatures.read(file), file)
      if not ok then fail.input("%s", message) end
    end
  end
  return db
end

return signatures
