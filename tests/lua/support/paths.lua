--- Puts the source tree's Lua files and the built module on the paths: MYNAH_BUILD names the build folder.
-- Where the module is not built, a stand-in with a clock and random bytes lets the tests without signatures run.

local paths = {}

local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$")
paths.root = here .. "/../../.."
local build = os.getenv("MYNAH_BUILD") or (paths.root .. "/build")
local version = _VERSION:match("%d%.%d")

package.path = paths.root .. "/nse/nselib/?.lua;" .. here .. "/?.lua;" .. package.path
package.cpath = build .. "/lua/" .. version .. "/?.so;" .. package.cpath

paths.has_core = pcall(require, "mynah_core")
if not paths.has_core then
  package.loaded["mynah_core"] = {
    version = "0", datadir = "/nowhere", now = os.clock, unix = os.time,
    random = function(n)
      local out = {}
      for i = 1, n do out[i] = string.char(math.random(0, 255)) end
      return table.concat(out)
    end,
  }
end

--- A database without signatures, for checks that need none.
function paths.no_signatures()
  return { names = function() return {} end }
end

--- The signatures of the source tree, loaded once.
function paths.signatures()
  if not paths.db then
    paths.db = assert(require "mynah".load_signatures { paths.root .. "/signatures" })
  end
  return paths.db
end

return paths
