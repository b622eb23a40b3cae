--- mynah sig check|list|show: work on signatures.

local core = require "mynah_core"
local fail = require "host.fail"
local out = require "host.out"
local signatures = require "host.signatures"

local command = { name = "sig", summary = "Check, list or show signatures" }

command.epilog = [[
Examples:
  mynah sig check signatures/            prove every sample and count the evidence
  mynah sig list                         what this program can name
  mynah sig show skype-nack              one signature, line by line]]

function command.define(parser)
  parser:command_target("action")
  local check = parser:command("check", "Prove signature files: samples, evidence, decoys")
  check:argument("path", "A *.sig file, or a folder of them"):args("+")
  local list = parser:command("list", "List what can be recognised")
  list:option("--sig", "Read this file or folder instead of the installed ones (repeatable)")
    :argname("PATH"):count("*")
  local show = parser:command("show", "Show a signature and what its lines are worth")
  show:argument("name", "Name of a signature")
  show:option("--sig", "Read this file or folder instead of the installed ones (repeatable)")
    :argname("PATH"):count("*")
end

local ROW = "%-12s %-20s %6s %9s %8s  %s"

-- Check one file; true where everything in it is accepted.
local function check_file(path, text)
  local db = assert(core.signatures())
  local ok, message = db:add(text, path)
  if not ok then
    out.line(message)
    return false
  end
  local good = true
  for _, row in ipairs(db:check()) do
    local verdict = row.ok and out.style("green", "ok") or out.style("red", "refused")
    out.line(ROW:format(row.service, row.name, ("%.1f"):format(row.fresh_bits), ("%.1f"):format(row.identity_bits),
      row.samples, verdict))
    if not row.ok then
      good = false
      out.line(("%s:%d: %s: %s"):format(path, row.line or 0, row.name, row.problem or "refused"))
    end
  end
  db:close()
  return good
end

local function run_check(args)
  local files = {}
  for _, path in ipairs(args.path) do
    for _, file in ipairs(signatures.files(path)) do
      files[#files + 1] = { path = file, text = signatures.read(file) }
    end
  end
  out.line(out.style("bold", ROW:format("SERVICE", "SIGNATURE", "FRESH", "IDENTITY", "SAMPLES", "VERDICT")))
  local refused = 0
  for _, file in ipairs(files) do
    if not check_file(file.path, file.text) then refused = refused + 1 end
  end
  if refused == 0 then return 0 end
  out.note(("%d of %d file%s refused"):format(refused, #files, #files == 1 and "" or "s"))
  return fail.NEGATIVE
end

local function run_list(args)
  local db = signatures.load(args.sig)
  local row = "%-12s %-20s %-4s %7s  %s"
  out.line(out.style("bold", row:format("SERVICE", "SIGNATURE", "OVER", "BITS", "WHAT")))
  for _, name in ipairs(db:names()) do
    local info = db:info(name)
    local bits = ("%.0f+%.0f"):format(info.fresh_bits, info.identity_bits)
    out.line(row:format(info.service, name, info.transport, bits, info.title))
  end
  return 0
end

local function run_show(args)
  local db = signatures.load(args.sig)
  local info = db:info(args.name)
  if not info then fail.input('no signature "%s"; `mynah sig list` names them all', args.name) end
  out.line(("%s: %s, %s"):format(args.name, info.service, info.title))
  out.line(("  from       %s:%d"):format(info.file, info.line))
  out.line(("  over       %s%s"):format(info.transport, info.banner and ", the peer speaks first" or ""))
  out.line(("  probe      %d bytes, %d of them drawn anew"):format(info.probe_len, info.entropy_len))
  out.line(("  evidence   %.1f bits fresh, %.1f bits identity: %s"):format(info.fresh_bits, info.identity_bits,
    info.enough and "enough to be certain" or "good for a guess"))
  out.line(("  samples    %d"):format(info.samples))
  out.line("  a reply must hold")
  for _, line in ipairs(info.lines) do out.line("    " .. line) end
  return 0
end

local RUN = { check = run_check, list = run_list, show = run_show }

function command.run(args)
  return RUN[args.action](args)
end

return command
