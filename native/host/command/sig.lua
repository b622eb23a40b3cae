--- mynah sig check|list|show|match: work on signatures.

local core = require "mynah_core"
local fail = require "host.fail"
local naming = require "host.naming"
local out = require "host.out"
local signatures = require "host.signatures"
local targets = require "host.targets"
local text = require "mynah.text"

local command = { name = "sig", summary = "Check, list, show or try signatures" }

command.epilog = [[
Examples:
  mynah sig check signatures/            prove every sample and count the evidence
  mynah sig list                         what this program can name
  mynah sig show skype                   one signature, line by line
  mynah sig match skype 924002a16665ea0d8c82c30c27cdc5e74e78fea150a6 924017c0a8001374a041f0
  mynah sig match signatures/ capture.pcap]]

local MATCH = [[
Either the name of a signature, the bytes of a request and of a reply in hex: says line by line what holds. Or
signatures (a *.sig file, or a folder) and a capture (pcap or pcapng): prints for each pair of a UDP request and
a reply its number, client, server, service or -, and bits of evidence, with tabs between them.]]

local function add_sig(parser)
  parser:option("--sig", "Read this file or folder instead of the installed ones (repeatable)"):argname("PATH"):count("*")
end

function command.define(parser)
  parser:command_target("action")
  local check = parser:command("check", "Prove signature files: samples, evidence, decoys, overlaps")
  check:argument("path", "A *.sig file, or a folder of them"):args("+")
  add_sig(parser:command("list", "List what can be recognised"))
  local show = parser:command("show", "Show a signature and what its lines are worth")
  show:argument("name", "Name of a signature")
  add_sig(show)
  local match = parser:command("match", "Try a signature on a reply, or name what a capture holds"):description(MATCH)
  match:argument("what", "NAME REQUEST REPLY, or PATH CAPTURE"):args("2-3")
  match:option("--my-ip", "The client's address, for lines about my.ip"):argname("ADDRESS")
  add_sig(match)
end

-- Tables --------------------------------------------------------------------------------------------------------------

-- Rows of words in columns as wide as they need; `right` names the columns of numbers. The last one is as it comes.
local function columns(rows, right)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for i = 1, #row - 1 do widths[i] = math.max(widths[i] or 0, #row[i]) end
  end
  for k, row in ipairs(rows) do
    local parts = {}
    for i, word in ipairs(row) do
      local gap = (" "):rep((widths[i] or 0) - #word)
      parts[i] = right[i] and gap .. word or i < #row and word .. gap or word
    end
    lines[k] = table.concat(parts, "  ")
  end
  return lines
end

local function by_service(a, b)
  if a.service ~= b.service then return a.service < b.service end
  return a.name < b.name
end

local function one_decimal(n) return ("%.1f"):format(n) end

local function plural(n, word) return ("%d %s%s"):format(n, word, n == 1 and "" or "s") end

local function count_services(rows)
  local seen, count = {}, 0
  for _, row in ipairs(rows) do
    if not seen[row.service] then count = count + 1 end
    seen[row.service] = true
  end
  return count
end

-- check ---------------------------------------------------------------------------------------------------------------

-- All files into one database, so that signatures of one are held against samples of another. What cannot be read is told.
local function load_all(paths)
  local db, files, refused = assert(core.signatures()), 0, {}
  for _, path in ipairs(paths) do
    for _, file in ipairs(signatures.files(path)) do
      files = files + 1
      local ok, message = db:add(signatures.read(file), file)
      if not ok then
        refused[file] = true
        out.line(message)
      end
    end
  end
  return db, files, refused
end

local function check_table(db, checked)
  local rows = { { "SERVICE", "SIGNATURE", "PROBE", "FRESH", "IDENTITY", "SAMPLES", "VERDICT" } }
  for _, row in ipairs(checked) do
    local info = db:info(row.name)
    rows[#rows + 1] = { row.service, row.name, info.banner and "banner" or tostring(info.probe_len),
      one_decimal(row.fresh_bits), one_decimal(row.identity_bits), tostring(row.samples), row.ok and "ok" or "refused" }
  end
  return columns(rows, { [3] = true, [4] = true, [5] = true, [6] = true })
end

local function run_check(args)
  local db, files, refused = load_all(args.path)
  local checked = db:check()
  table.sort(checked, by_service)
  local lines = check_table(db, checked)
  out.line(out.style("bold", lines[1]))
  for i, row in ipairs(checked) do
    out.line((lines[i + 1]:gsub("%S+$", function(word) return out.style(row.ok and "green" or "red", word) end)))
    if not row.ok then
      refused[row.file] = true
      out.line(("%s:%d: %s: %s"):format(row.file, row.line or 0, row.name, row.problem or "refused"))
    end
  end
  local bad = 0
  for _ in pairs(refused) do bad = bad + 1 end
  if bad == 0 then
    out.line(("%s of %s in %s"):format(plural(#checked, "signature"), plural(count_services(checked), "service"),
      plural(files, "file")))
    return 0
  end
  out.note(("%d of %s refused"):format(bad, plural(files, "file")))
  return fail.NEGATIVE
end

-- list, show ----------------------------------------------------------------------------------------------------------

local function run_list(args)
  local db, infos = signatures.load(args.sig), {}
  for i, name in ipairs(db:names()) do infos[i] = db:info(name) end
  table.sort(infos, by_service)
  local rows = { { "SERVICE", "SIGNATURE", "OVER", "FRESH", "IDENTITY", "WHAT" } }
  for _, info in ipairs(infos) do
    rows[#rows + 1] = { info.service, info.name, info.transport, ("%.0f"):format(info.fresh_bits),
      ("%.0f"):format(info.identity_bits), info.title }
  end
  for i, line in ipairs(columns(rows, { [4] = true, [5] = true })) do
    out.line(i == 1 and out.style("bold", line) or line)
  end
  return 0
end

local function find(db, name)
  local info = db:info(name)
  if not info then fail.input('no signature "%s"; `mynah sig list` names them all', text.escape(name)) end
  return info
end

local function run_show(args)
  local info = find(signatures.load(args.sig), args.name)
  out.line(("%s: %s, %s"):format(args.name, info.service, info.title))
  out.line(("  from       %s:%d"):format(info.file, info.line))
  out.line(("  over       %s%s"):format(info.transport, info.banner and ", the peer speaks first" or ""))
  out.line(("  probe      %d bytes, %d of them drawn anew"):format(info.probe_len, info.entropy_len))
  out.line(("  evidence   %.1f bits fresh, %.1f bits identity: %s"):format(info.fresh_bits, info.identity_bits,
    info.enough and "enough to be certain" or "good for a guess"))
  out.line(("  samples    %d"):format(info.samples))
  out.line("  a reply must hold")
  for _, line in ipairs(info.lines) do out.line("    " .. line) end
  for i, step in ipairs(info.steps or {}) do
    out.line(("  then, to step %d"):format(i))
    for _, line in ipairs(step) do out.line("    " .. line) end
  end
  return 0
end

-- match ---------------------------------------------------------------------------------------------------------------

local function bytes_of(word, what)
  local bytes = text.from_hex(word)
  if not bytes then fail.input('%s "%s": expected hex bytes', what, text.escape(word)) end
  return bytes
end

local WHY = { yes = "yes", no = "no", public = "yes, a NAT's", private = "a private address", skipped = "-" }
local STYLE = { yes = "green", no = "red", public = "green", private = "yellow", skipped = "dim" }
local SHOWN = 24 -- bytes of what was got

-- What a line looked at: bytes, or how long the reply is.
local function got_text(row, reply)
  if row.got ~= "" then
    return #row.got > 2 * SHOWN and row.got:sub(1, 2 * SHOWN) .. "..." or row.got
  end
  return row.line:find("%f[%w]len%f[^%w]") and ("%d bytes"):format(#reply) or ""
end

local function print_lines(result, reply)
  local rows = { { "HOLDS", "BITS", "GOT", "LINE" } }
  for _, row in ipairs(result.evidence) do
    local counts = row.held == "yes" or row.held == "public"
    rows[#rows + 1] = { WHY[row.held], counts and one_decimal(row.bits) or "", got_text(row, reply), row.line }
  end
  for i, line in ipairs(columns(rows, { [2] = true })) do
    local row = result.evidence[i - 1]
    out.line(out.style(row and STYLE[row.held] or "bold", line))
  end
end

local function fits(db, info, request)
  if info.banner then return request == "" and "the peer speaks first" or "ignored: the peer speaks first" end
  if db:fits(info.name, request) then return "fits the probe" end
  if #request ~= info.probe_len then return ("not the probe, which has %d bytes"):format(info.probe_len) end
  return "not the probe: other fixed bytes, or bytes of another class"
end

local function run_pair(args)
  local db = signatures.load(args.sig)
  local info = find(db, args.what[1])
  local request, reply = bytes_of(args.what[2], "request"), bytes_of(args.what[3], "reply")
  if args.my_ip and not core.family(args.my_ip) then
    fail.input('--my-ip "%s": expected an IP address', text.escape(args.my_ip))
  end
  local result = db:match(info.name, { request = request, reply = reply, my = args.my_ip })
  out.line(("%s: %s, %s"):format(info.name, info.service, info.title))
  out.line(("  request  %s: %s"):format(plural(#request, "byte"), fits(db, info, request)))
  out.line(("  reply    %s"):format(plural(#reply, "byte")))
  print_lines(result, reply)
  if result.matched then
    out.line(out.style("green", "match") .. (": %.1f bits fresh, %.1f bits identity"):format(result.fresh_bits,
      result.identity_bits))
    return 0
  end
  local why = result.first_failed and ("`%s` does not hold"):format(result.first_failed)
    or "the reply begins with the whole request"
  out.line(out.style("red", "no match") .. ": " .. why)
  return fail.NEGATIVE
end

local ROW = "%d\t%s\t%s\t%s\t%.1f"

local function run_capture(args)
  local db = signatures.load { args.what[1] }
  local capture, message = core.capture(args.what[2])
  if not capture then fail.input("%s", message) end
  local pairs_seen, named = 0, 0
  local tcp, damaged = naming.run(db, capture, function(request, service, bits)
    pairs_seen = pairs_seen + 1
    if service then named = named + 1 end
    out.line(ROW:format(pairs_seen, targets.format(request.from, request.from_port),
      targets.format(request.to, request.to_port), service or "-", bits or 0))
  end)
  capture:close()
  if tcp > 0 then out.note(("%s left out: only UDP is named"):format(plural(tcp, "TCP payload"))) end
  if damaged then fail.input("%s", damaged) end
  return named > 0 and 0 or fail.NEGATIVE
end

local function run_match(args)
  return (#args.what == 3 and run_pair or run_capture)(args)
end

local RUN = { check = run_check, list = run_list, show = run_show, match = run_match }

function command.run(args)
  return RUN[args.action](args)
end

return command
