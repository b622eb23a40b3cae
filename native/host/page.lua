--- A stored scan as one page of HTML: tables, and plots as SVG; it fetches nothing.
-- @module host.page

local report = require "host.report"

local page = {}

local ROWS = 20000 -- of results at the most: a page is for people
local BARS = 15
local STYLE = [[
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1c2733}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #dfe5ea;vertical-align:top}
th{background:#f3f6f8;position:sticky;top:0}td.n{text-align:right}
svg text{font:12px system-ui,sans-serif;fill:#1c2733}rect{fill:#2a7f9e}
@media(prefers-color-scheme:dark){body{background:#12181e;color:#d7e0e8}th{background:#1c252e}
th,td{border-color:#2b3742}svg text{fill:#d7e0e8}rect{fill:#4fb3d4}}]]

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

-- What a peer said must not become part of the page.
local function escape(value)
  return (tostring(value == nil and "" or value):gsub("[&<>\"']", ENTITIES):gsub("[%z\1-\8\11\12\14-\31\127]", "\u{fffd}"))
end

-- Horizontal bars: rows of { label, number }.
local function bars(title, rows)
  local most, parts = 1, {}
  for i = 1, math.min(BARS, #rows) do most = math.max(most, rows[i][2]) end
  for i = 1, math.min(BARS, #rows) do
    local y, width = (i - 1) * 24, math.max(1, rows[i][2] / most * 420)
    parts[#parts + 1] = ('<text x="190" y="%d" text-anchor="end">%s</text><rect x="200" y="%d" width="%.1f" height="16"/>'
      .. '<text x="%.1f" y="%d">%d</text>'):format(y + 14, escape(rows[i][1]:sub(1, 28)), y + 2, width, 206 + width, y + 14,
      rows[i][2])
  end
  return ('<h2>%s</h2><svg role="img" aria-label="%s" viewBox="0 0 700 %d" width="700">%s</svg>'):format(escape(title),
    escape(title), math.min(BARS, #rows) * 24 + 4, table.concat(parts))
end

-- Round trips by powers of two of a millisecond.
local function round_trips(results)
  local counts, low, high = {}, nil, nil
  for _, r in ipairs(results) do
    if r.rtt_ms and r.rtt_ms > 0 then
      local power = math.floor(math.log(r.rtt_ms, 2))
      counts[power] = (counts[power] or 0) + 1
      low, high = math.min(low or power, power), math.max(high or power, power)
    end
  end
  local rows = {}
  for power = low or 1, high or 0 do
    rows[#rows + 1] = { ("%g to %g ms"):format(2.0 ^ power, 2.0 ^ (power + 1)), counts[power] or 0 }
  end
  return rows
end

-- Answers over the time of the scan, in at most 15 stretches.
local function over_time(results)
  local times, first, last = {}, nil, nil
  for i, r in ipairs(results) do
    local y, mo, d, h, mi, s = (r.timestamp or ""):match "^(%d+)-(%d+)-(%d+)T(%d+):(%d+):([%d.]+)Z"
    if y then
      times[i] = os.time { year = y, month = mo, day = d, hour = h, min = mi, sec = 0 } + tonumber(s)
      first, last = math.min(first or times[i], times[i]), math.max(last or times[i], times[i])
    end
  end
  if not first then return {} end
  local width, counts, rows = math.max((last - first) / BARS, 0.001), {}, {}
  for _, time in pairs(times) do
    local n = math.min(BARS, math.floor((time - first) / width) + 1)
    counts[n] = (counts[n] or 0) + 1
  end
  for n = 1, BARS do rows[n] = { ("%.1f s"):format((n - 1) * width), counts[n] or 0 } end
  return rows
end

local COLUMNS = { { "ip", "Address" }, { "port", "Port", "n" }, { "transport", "" }, { "state", "State" },
  { "service", "Service" },
  { "product", "Product" }, { "version", "Version" }, { "rtt_ms", "RTT, ms", "n" }, { "confidence", "Confidence", "n" } }

-- With what scripts said, where they said anything.
local function columns_of(results)
  for _, r in ipairs(results) do
    if r.scripts then
      local list = table.move(COLUMNS, 1, #COLUMNS, 1, {})
      list[#list + 1] = { "scripts", "Scripts" }
      return list
    end
  end
  return COLUMNS
end

local function cells(r, columns)
  local parts = {}
  for i, c in ipairs(columns) do
    local value = r[c[1]]
    if c[1] == "scripts" then value = report.scripts_text(r) end
    if c[1] == "service" and not value and r.guess then value = r.guess .. "?" end
    parts[i] = ("<td%s>%s</td>"):format(c[3] and ' class="n"' or "", escape(value))
  end
  return table.concat(parts)
end

-- What scripts said of no port.
local function words_tables(words)
  local parts = {}
  for _, word in ipairs(words) do
    local lines = report.word_lines(word)
    parts[#parts + 1] = ("<h2>%s</h2><pre>%s</pre>"):format(escape(lines[1]), escape(table.concat(lines, "\n", 2)))
  end
  return table.concat(parts, "\n")
end

local function results_table(results)
  local parts, columns = { "<h2>Results</h2><table><thead><tr>" }, columns_of(results)
  for _, c in ipairs(columns) do parts[#parts + 1] = "<th>" .. c[2] .. "</th>" end
  parts[#parts + 1] = "</tr></thead><tbody>\n"
  for i = 1, math.min(ROWS, #results) do parts[#parts + 1] = "<tr>" .. cells(results[i], columns) .. "</tr>\n" end
  parts[#parts + 1] = "</tbody></table>"
  if #results > ROWS then parts[#parts + 1] = ("<p>%d more; `mynah report --json` has all.</p>"):format(#results - ROWS) end
  return table.concat(parts)
end

--- Make the page.
-- @param title text
-- @param summary table: `settings`, `tables` (array of { title, rows of { label, number } }), `results`,
-- `words` of scripts
-- @return HTML
function page.make(title, summary)
  local s = summary.settings
  local parts = { ('<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
    .. 'content="width=device-width"><title>%s</title><style>%s</style></head><body>\n<h1>%s</h1><p>%d results of %s targets; '
    .. "began %s; %s.</p>"):format(escape(title), STYLE, escape(title), #summary.results, escape(s.items or "?"),
    escape(s.started or "?"), s.finished and "finished" or "not finished") }
  for _, t in ipairs(summary.tables) do
    if #t[2] > 0 then parts[#parts + 1] = bars(t[1] .. "s", t[2]) end
  end
  parts[#parts + 1] = bars("Round trips", round_trips(summary.results))
  parts[#parts + 1] = bars("Answers over time", over_time(summary.results))
  parts[#parts + 1] = results_table(summary.results)
  parts[#parts + 1] = words_tables(summary.words)
  parts[#parts + 1] = "</body></html>\n"
  return table.concat(parts, "\n")
end

return page
