--- mynah merge: one result file of several.

local fail = require "host.fail"
local out = require "host.out"
local store = require "host.store"

local command = { name = "merge", summary = "Join the result files of several scans" }

command.description = [[
Writes the results of several .db files of `mynah scan -o` into a new one: each target once. Where two say something of the same
target, the one that names it stands, else the later one. What scripts said of hosts, and before and after a scan,
is joined.]]

command.epilog = [[
Examples:
  mynah merge whole.db part-1.db part-2.db part-3.db

Exit status: 0 joined, and every part was finished; 1 joined, but a part was not; 2 usage or input error; 3 could not run.]]

function command.define(parser)
  parser:argument("output", "The .db file to write")
  parser:argument("input", "The .db files to read"):args("+")
end

local function better(a, b)
  if not b then return true end
  if a.pending ~= b.pending then return a.pending < b.pending end
  if (a.service ~= nil) ~= (b.service ~= nil) then return a.service ~= nil end
  return (a.timestamp or "") > (b.timestamp or "")
end

-- Scripts of a host, and of the run, ran in each part: what they said is joined, and stands once where all said the same.
local function join_words(joined, words)
  for _, word in ipairs(words) do
    local key = word.kind .. " " .. (word.ip or "")
    local all = joined[key]
    if not all then
      joined[key], joined[#joined + 1], word.seen = word, word, { [word.scripts_json] = true }
    elseif not all.seen[word.scripts_json] then
      all.seen[word.scripts_json] = true
      all.scripts_json = all.scripts_json:sub(1, -2) .. "," .. word.scripts_json:sub(2) -- of two arrays one
    end
  end
end

function command.run(args)
  if not store.is_empty(args.output) then
    fail.input("%s: it is there already; merge writes a new file: first the one to write, then those to read", args.output)
  end
  local best, order, first, unfinished, items, words = {}, {}, nil, {}, 0, {}
  for _, path in ipairs(args.input) do
    local part = store.open(path, "read")
    local of = { signatures = part:get "signatures", settings = part:get "settings", version = part:get "version",
      started = part:get "started", key = part:get "key", seed = part:get "seed" }
    first = first or of
    if of.signatures ~= first.signatures then
      fail.input("%s: its results are by other signatures than those of %s", path, args.input[1])
    end
    items = math.max(items, part:get "items" or 0)
    if part:get "finished" ~= 1 then unfinished[#unfinished + 1] = path end
    for _, r in ipairs(part:results()) do
      local key = ("%s %d %s"):format(r.ip, r.port, r.transport)
      if not best[key] then order[#order + 1] = key end
      if better(r, best[key]) then best[key] = r end
    end
    join_words(words, part:words())
    part:close()
  end
  local whole = store.create(args.output)
  for _, key in ipairs(order) do whole:add(best[key], best[key].pending == 1) end
  for _, word in ipairs(words) do whole:say(word) end
  first.items = items
  whole:progress(first)
  whole:close(#unfinished == 0)
  for _, path in ipairs(unfinished) do out.note(("%s: this scan was not finished"):format(path)) end
  out.note(("%d results of %d files"):format(#order, #args.input))
  return #unfinished > 0 and fail.NEGATIVE or 0
end

return command
