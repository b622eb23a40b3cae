--- mynah report: what a stored scan found.

local fail = require "host.fail"
local out = require "host.out"
local page = require "host.page"
local report = require "host.report"
local store = require "host.store"

local command = { name = "report", summary = "Say what a stored scan found" }

command.description = [[
Reads a .db file that `mynah scan -o` wrote, also while the scan goes on, and counts states, services and products.]]

command.epilog = [[
Examples:
  mynah report scan.db
  mynah report --json scan.db | grep '"service":"domain"'
  mynah report --html scan.html scan.db          one page with tables and plots, that needs no network

Exit status: 0 done; 2 usage or input error; 3 could not run.]]

function command.define(parser)
  parser:argument("file", "The .db file of a scan")
  parser:flag("--json", "One JSON object a line for each result")
  parser:option("--html", "Write one self-contained page to this file"):argname("FILE")
end

-- How often each value stands there, most often first.
local function tally(results, key_of)
  local counts, list = {}, {}
  for _, r in ipairs(results) do
    local key = key_of(r)
    if key then
      if not counts[key] then list[#list + 1] = key end
      counts[key] = (counts[key] or 0) + 1
    end
  end
  table.sort(list, function(a, b)
    if counts[a] ~= counts[b] then return counts[a] > counts[b] end
    return a < b
  end)
  for i, key in ipairs(list) do list[i] = { key, counts[key] } end
  return list
end

local function product_of(r)
  if not r.product then return nil end
  return r.product .. (r.version and " " .. r.version or "")
end

local function summary_of(kept, results)
  return {
    settings = { started = kept:get "started", items = kept:get "items", asked = kept:get "asked", sent = kept:get "sent",
      finished = kept:get "finished" == 1, version = kept:get "version" },
    tables = {
      { "State", tally(results, function(r) return r.state end) },
      { "Service", tally(results, function(r)
        return r.service or r.guess and r.guess .. "?" or r.state == "open" and "(open, unnamed)" or nil
      end) },
      { "Product", tally(results, product_of) },
    },
    results = results,
  }
end

local function print_summary(s)
  local c = s.settings
  out.line(("%s results of %s targets; scan of %s, %s"):format(#s.results, c.items or "?", c.started or "?",
    c.finished and "finished" or "not finished: `mynah scan --resume` goes on"))
  for _, t in ipairs(s.tables) do
    if #t[2] > 0 then out.line("\n" .. out.style("bold", t[1])) end
    for _, row in ipairs(t[2]) do out.line(("%8d  %s"):format(row[2], row[1])) end
  end
  for _, word in ipairs(s.words) do out.line("\n" .. table.concat(report.word_lines(word), "\n")) end
end

function command.run(args)
  local kept = store.open(args.file, "read")
  local results = kept:results()
  local words = kept:words()
  if args.json then
    local scripts = #words > 0
    for _, r in ipairs(results) do scripts = scripts or r.scripts ~= nil end
    for _, list in ipairs { results, words } do
      for _, r in ipairs(list) do out.line(report.json(r, scripts and report.SCRIPT_KEYS or nil)) end
    end
    return 0
  end
  local summary = summary_of(kept, results)
  summary.words = words
  if not args.html then
    print_summary(summary)
    return 0
  end
  local file, message = io.open(args.html, "w")
  if not file then fail.run("cannot write %s", message) end
  local ok, why = file:write(page.make(args.file, summary))
  if ok then ok, why = file:close() end
  if not ok then fail.run("cannot write %s: %s", args.html, why) end
  return 0
end

return command
