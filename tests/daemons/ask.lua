-- ask.lua - what the specs that ask by the hundred share: peers in a network namespace of their own, and the built program
-- asking them there.
--
--   local peers = ask.serve({ "crowd.lua", "60" })        -- peers.rows: what it printed before {"ready":N}
--   local results, seconds = ask.identify(peers, { "-p", "20000-20059", "127.1.1.1" })
--   peers:stop()
local here = (package.searchpath("ask", package.path) or ""):match("^(.*/)") or "./"

local json = require "cjson"
local uv = require "luv"
local child = require "child"

local unpack = table.unpack or unpack -- luacheck: ignore 113 (5.1)
local ask = { null = json.null }

local top = uv.fs_realpath(here .. "../..")
local given = os.getenv("MYNAH") or top .. "/build/bin/mynah"
ask.mynah = uv.fs_realpath(given) or given
--- Where `fetch` unpacked the servers.
ask.daemons = os.getenv("MYNAH_DAEMONS") or ask.mynah:gsub("/bin/[^/]*$", "") .. "/daemons"

--- What nsenter is told to run a program beside `peers`; its words come behind.
function ask.inside(peers)
  local words = { "--net", "--target", tostring(peers.process.pid) }
  if uv.getuid() ~= 0 then words[#words + 1] = "--user" words[#words + 1] = "--preserve-credentials" end
  return words
end

local peers_mt = {}
peers_mt.__index = peers_mt

--- Ends them; they may take `grace` seconds to clean up.
function peers_mt:stop(grace)
  self.process:stop(grace or 20)
end

--- Starts a Lua program of this folder inside `netns` and reads its JSON lines until {"ready":N}.
-- @param args its name and arguments
-- @param seconds the longest that it may take
-- @return peers { process, rows, stop }, or raises with what it said
function ask.serve(args, seconds)
  local words = { "sh", "-c", 'ulimit -n "$(ulimit -H -n)"; exec lua5.3 "$@"', "sh" }
  for i, word in ipairs(args) do words[#words + 1] = i == 1 and here .. word or tostring(word) end
  local process = assert(child.spawn(top .. "/tests/support/netns", words, { stdin = true }))
  local ready = child.wait(function()
    return process.exit or (process.lines[#process.lines] or ""):find('^{"ready"')
  end, seconds or 60)
  if not ready or process.exit then
    local said = process.errors
    process:stop(20)
    error(("cannot start %s: %s"):format(table.concat(args, " "):sub(1, 200), said))
  end
  local rows = {}
  for i = 1, #process.lines - 1 do rows[i] = json.decode(process.lines[i]) end
  return setmetatable({ process = process, rows = rows, errors = function() return process.errors end }, peers_mt)
end

--- A command of mynah with --json in the namespace of `peers`.
-- @return results by "host port transport", seconds, the run { exit, err, … }; raises where it hangs or crashes
function ask.run(peers, command, args, seconds)
  local words = ask.inside(peers)
  for _, word in ipairs { ask.mynah, command, "--json", unpack(args) } do words[#words + 1] = word end
  local result = assert(child.run("nsenter", words, seconds or 300))
  local asked = ("mynah %s %s"):format(command, table.concat(args, " "):sub(1, 200))
  if result.late then error("does not end: " .. asked) end
  if result.signal and result.signal ~= 0 then
    error(("ended by signal %d: %s\n%s"):format(result.signal, asked, result.err))
  end
  if result.exit > 1 then error(("ended with status %d: %s\n%s"):format(result.exit, asked, result.err)) end
  local found = {}
  for line in result.out:gmatch("[^\n]+") do
    local object = json.decode(line)
    object.line = line
    for key, value in pairs(object) do
      if value == json.null then object[key] = nil end
    end
    local key = ("%s %d %s"):format(object.ip, object.port, object.transport)
    if found[key] then error("two lines for " .. key) end
    found[key] = object
  end
  return found, result.seconds, result
end

--- The same of `mynah identify`.
function ask.identify(peers, args, seconds) return ask.run(peers, "identify", args, seconds) end

--- A result in some words, for messages.
function ask.told(result)
  if not result then return "no line for it" end
  return ("service %s, guess %s, product %s, confidence %s, state %s, probe %s, sent %s, reply %s\n    %s"):format(
    tostring(result.service), tostring(result.guess), tostring(result.product), tostring(result.confidence), result.state,
    tostring(result.probe), tostring(result.sent), tostring(result.reply_hex):sub(1, 400),
    table.concat(result.evidence or {}, "\n    "))
end

return ask
