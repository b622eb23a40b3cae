--- Results of identify as a table for people, or as JSON.
-- @module host.report

local host = require "mynah_host"
local identify = require "mynah.identify"
local json = require "host.json"
local out = require "host.out"
local structured = require "host.nse.structured"
local targets = require "host.targets"
local text = require "mynah.text"

local report = {}

--- The keys of a result, in their order.
report.KEYS = {
  "ip", "port", "transport", "state", "reason", "service", "product", "version", "extra", "tls", "confidence", "guess",
  "fresh_bits", "identity_bits", "probe", "rtt_ms", "elapsed_ms", "sent", "received", "reply_port", "reply_hex",
  "evidence", "timestamp",
}

--- One result as one line of JSON.
-- @param keys array; nil: report.KEYS. "scripts" among them comes last: an array of { id, kind, output, data }, or null
function report.json(result, keys)
  keys = keys or report.KEYS
  local others = report.without_scripts(keys)
  if others == keys then return json.object(keys, result) end
  local line = #others > 0 and json.object(others, result):sub(1, -2) .. "," or "{"
  return ('%s"scripts":%s}'):format(line, result.scripts_json or "null")
end

--- The keys of results that scripts were asked about.
report.SCRIPT_KEYS = table.move(report.KEYS, 1, #report.KEYS, 1, {})
report.SCRIPT_KEYS[#report.KEYS + 1] = "scripts"

-- The same array where "scripts" is not among them; else another, the same each time.
local others_of = setmetatable({}, { __mode = "k" })
function report.without_scripts(keys)
  if not others_of[keys] then
    local list = {}
    for _, key in ipairs(keys) do list[#list + 1] = key ~= "scripts" and key or nil end
    others_of[keys] = { #list == #keys and keys or list }
  end
  return others_of[keys][1]
end

--- What scripts said of a result, as one text; nil where they said nothing.
function report.scripts_text(result)
  local parts = {}
  for i, s in ipairs(result.scripts or {}) do parts[i] = s.id .. ": " .. s.text end
  return #parts > 0 and table.concat(parts, "; ") or nil
end

local TITLES = { prerule = "Pre-scan script results:", postrule = "Post-scan script results:",
  hostrule = "Host script results of %s:" }

--- What scripts said of no port, as Nmap prints it.
-- @param word { kind, ip of a host, scripts }
-- @return array of lines
function report.word_lines(word)
  local lines = { TITLES[word.kind]:format(word.ip) }
  for _, s in ipairs(word.scripts) do
    for _, line in ipairs(structured.lines(s.id, s.text)) do lines[#lines + 1] = line end
  end
  return lines
end

local function name_of(result)
  return targets.format(result.ip, result.port) .. "/" .. result.transport
end

local STATE_STYLE = { open = "green", closed = "red" }
local STATE_WIDTH, SERVICE_WIDTH = 13, 9

local function pad(s, width) return s .. (" "):rep(width - #s) end

-- What stands in the service column: a name, a guess with a question mark, or nothing.
local function service_of(result)
  if result.service then return (result.tls and "tls/" or "") .. result.service, "bold" end
  if result.guess then return result.guess .. "?", "yellow" end
  return "-", "dim"
end

local function detail_of(result)
  local parts = {}
  for _, key in ipairs { "product", "version" } do
    if result[key] then parts[#parts + 1] = text.shown(result[key], 60) end
  end
  if result.extra then parts[#parts + 1] = "(" .. text.shown(result.extra, 120) .. ")" end
  if #parts == 0 and not result.service and result.reason then parts[1] = text.shown(result.reason, 60) end
  return table.concat(parts, " ")
end

-- Cut to the terminal's width; in a pipe nothing is cut.
local function fit(s, used)
  if not host.isatty(1) then return s end
  return text.shown(s, math.max(20, host.columns() - used))
end

--- A table that prints its rows in the order of its targets, each as soon as those before it are known.
-- @param list what was asked, array of { ip, port, transport }
-- @param verbose nil or 0: rows; 1: their evidence too; 2: bytes as well
-- @return an object with add(result) and finish()
function report.table(list, verbose)
  verbose = verbose or 0
  local width, place, held, next_row, hidden = 6, {}, {}, 1, {}
  for i, target in ipairs(list) do
    width = math.max(width, #name_of(target))
    place[name_of(target)] = i
  end
  local short = #list > 30 and verbose == 0 -- of many ports, those that say nothing are only counted

  local function indented(s) out.line("    " .. out.style("dim", fit(s, 4))) end

  local function print_evidence(r)
    for _, line in ipairs(r.evidence or {}) do indented(text.shown(line, 500)) end
    if r.confidence and (r.service or r.guess) then
      local bits = r.fresh_bits and ("; %.1f bits fresh, %.1f identity"):format(r.fresh_bits, r.identity_bits or 0) or ""
      local rtt = r.rtt_ms and ("; answered in %.3f ms"):format(r.rtt_ms) or ""
      indented(("confidence %.2f%s%s"):format(r.confidence, bits, rtt))
    end
    local traffic = identify.traffic(r)
    if traffic then indented(traffic) end
    if verbose > 1 and r.reply_hex then indented("reply " .. r.reply_hex) end
  end

  local function print_row(r)
    if short and r.state ~= "open" then
      hidden[r.state] = (hidden[r.state] or 0) + 1
      return
    end
    local service, style = service_of(r)
    local used = width + STATE_WIDTH + math.max(#service, SERVICE_WIDTH) + 6
    out.line((("%s  %s  %s  %s"):format(pad(name_of(r), width),
      out.style(STATE_STYLE[r.state] or "yellow", pad(r.state, STATE_WIDTH)),
      out.style(style, pad(service, SERVICE_WIDTH)), fit(detail_of(r), used)):gsub("%s+$", "")))
    if verbose > 0 then print_evidence(r) end
  end

  out.line(out.style("bold", ("%s  %s  %s  %s"):format(pad("TARGET", width), pad("STATE", STATE_WIDTH),
    pad("SERVICE", SERVICE_WIDTH), "PRODUCT OR REASON")))

  local view = {}

  function view.add(result)
    held[place[name_of(result)]] = result
    while held[next_row] do
      print_row(held[next_row])
      held[next_row] = nil
      next_row = next_row + 1
    end
  end

  function view.finish()
    for i = next_row, #list do
      if held[i] then print_row(held[i]) end
    end
    local states = {}
    for state in pairs(hidden) do states[#states + 1] = state end
    table.sort(states)
    for i, state in ipairs(states) do states[i] = ("%d %s"):format(hidden[state], state) end
    if #states > 0 then out.line("not shown: " .. table.concat(states, ", ")) end
  end

  return view
end

--- Results one after the other, as they come.
-- @param opts table: `json` (with the keys of `fields`, or all); `verbose`: what is not open is shown, too, and the evidence
-- @return an object with add(result), say(word) (as word_lines has it) and flush(): until then lines may wait; of JSON
-- also drain(scan, alike), which
-- adds all answers of a scan that only verifies, as json.rows has them
function report.stream(opts)
  local view, verbose = { flush = out.flush }, opts.verbose or 0
  if opts.json then
    local keys = opts.fields or report.KEYS
    function view.add(r) out.add(report.json(r, keys)) end
    function view.say(word) view.add(word) end
    if report.without_scripts(keys) ~= keys then return view end
    function view.drain(scan, alike)
      local lines = json.rows(scan, keys, alike)
      while lines ~= "" do
        out.add(lines:sub(1, -2))
        lines = json.rows(scan, keys, alike)
      end
    end
    return view
  end
  function view.say(word)
    for _, line in ipairs(report.word_lines(word)) do out.add(line) end
  end
  function view.add(r)
    if r.state ~= "open" and verbose == 0 then return end
    local service, style = service_of(r)
    out.add((("%s  %s  %s  %s"):format(pad(name_of(r), 21), out.style(STATE_STYLE[r.state] or "yellow", pad(r.state, 8)),
      out.style(style, pad(service, SERVICE_WIDTH)), fit(detail_of(r), 45)):gsub("%s+$", "")))
    for _, line in ipairs(verbose > 0 and r.evidence or {}) do out.add("    " .. out.style("dim", text.shown(line, 500))) end
    for _, s in ipairs(r.scripts or {}) do
      for _, line in ipairs(structured.lines(s.id, s.text)) do out.add(line) end
    end
  end
  return view
end

return report
