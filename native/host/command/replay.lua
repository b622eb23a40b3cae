--- mynah replay: send each recorded payload, say what each got.

local fail = require "host.fail"
local json = require "host.json"
local options = require "host.options"
local out = require "host.out"
local recorded = require "mynah.recorded"
local repeating = require "host.repeating"
local replaying = require "host.replaying"
local targets = require "host.targets"
local text = require "mynah.text"
local wire = require "host.wire"

local command = { name = "replay", summary = "Send the payloads of a capture at a target, say what each got" }

command.description = [[
Takes the payloads that clients sent in a capture (pcap or pcapng), sends each of them to HOST:PORT and says
what came back: bytes, time, and which bytes of the request stand in the reply. Who opened the connection, or
over UDP who spoke first, is the client. What one client port sent over UDP leaves from one port here; each
recorded TCP connection becomes one here, and what the client said after it had heard the server waits for an
answer, or for --timeout.]]

command.epilog = [[
Examples:
  mynah replay capture.pcap 192.0.2.7:34567
  mynah replay --pace burst --timeout 1 capture.pcap 192.0.2.7:34567
  mynah replay --filter 'udp and src host 10.0.0.5' --json capture.pcap [2001:db8::7]:34567

Exit status: 0 something was answered; 1 nothing was; 2 usage or input error; 3 could not run.]]

local function pace(word)
  if word == "recorded" or word == "burst" then return word end
  local n = options.rate("--pace")(word)
  if n then return n end
  return nil, ("--pace \"%s\": expected recorded, burst, or payloads a second"):format(word)
end

function command.define(parser)
  parser:argument("capture", "A pcap or pcapng file, - for standard input")
  parser:argument("target", "HOST:PORT or [IPV6]:PORT")
  parser:option("--pace", "recorded (as in the capture), burst, or payloads a second")
    :argname("PACE"):convert(pace):default("recorded")
  parser:option("--timeout", "Wait so long for an answer to each payload")
    :argname("SECONDS"):convert(options.seconds("--timeout")):default("3")
  parser:option("--limit", "Send at most so many payloads"):argname("N"):convert(options.integer("--limit", 1, 1000000000))
  parser:option("--from", "Only packets from this number on"):argname("N"):target("first")
    :convert(options.integer("--from", 1, 1 << 53))
  parser:option("--to", "Only packets up to this number"):argname("N"):target("last")
    :convert(options.integer("--to", 1, 1 << 53))
  parser:option("--repeat", "Send all of it so many times; say which bytes of the replies stay, come back, or move")
    :argname("N"):target("repeats"):convert(options.integer("--repeat", 1, 1000)):default("1")
  parser:option("--side", "Whose payloads: client, server or both"):choices { "client", "server", "both" }:default("client")
  parser:option("--filter", "Only what this BPF expression lets through"):argname("BPF")
  parser:option("-w --write", "Keep what is sent and heard as a capture, with the kernel's times"):argname("FILE.pcap")
  options.add_family(parser)
  parser:flag("--json", "One JSON object a line for each payload")
  parser:flag("-v --verbose", "Show all bytes of long payloads"):count("*")
end

local KEYS = {
  "packet", "transport", "client", "client_port", "ip", "port", "bytes", "cut", "state", "reason", "replies", "rtt_ms",
  "reply_ip", "reply_port", "echo_bytes", "request_offset", "reply_offset", "request_hex", "reply_hex", "repeats", "answered",
  "bytes_map", "timestamp",
}

local function print_json(p, target, repeats)
  local reply = p.replies and p.replies[1] or {}
  local echo = reply.echo or {}
  out.line(json.object(KEYS, {
    packet = p.number, transport = p.transport, client = p.client, client_port = p.client_port, ip = target.ip,
    port = target.port, bytes = #p.data, cut = p.cut or false, state = p.state, reason = p.reason,
    replies = p.replies and #p.replies or 0,
    rtt_ms = reply.rtt and math.floor(reply.rtt * 1e6 + 0.5) / 1000,
    reply_ip = reply.from, reply_port = reply.from_port, echo_bytes = echo.length,
    request_offset = echo.request_offset, reply_offset = echo.reply_offset,
    request_hex = text.to_hex(p.data), reply_hex = reply.data and text.to_hex(reply.data),
    repeats = repeats,
    answered = p.answered or (p.replies and 1 or 0), bytes_map = p.map,
    timestamp = p.sent_ns and text.timestamp(p.sent_ns / 1e9),
  }))
end

local SHOWN = 48 -- bytes of a payload in the table

-- Hex with the bytes that came back made visible; long ones are cut.
local function show_bytes(bytes, offset, length, verbose)
  local limit = verbose > 0 and #bytes or SHOWN
  local function hex(from, to) -- offsets from 0, `to` not included
    return text.to_hex(bytes:sub(from + 1, math.min(to, limit)))
  end
  local cut = #bytes > limit and (" +%d bytes"):format(#bytes - limit) or ""
  if not offset then return hex(0, #bytes) .. cut end
  return hex(0, offset) .. out.style("green", hex(offset, offset + length)) .. hex(offset + length, #bytes) .. cut
end

local ROW = "%8s  %9s  %6s  %s"

-- What the bytes of all answers did.
local function print_map(p, repeats, margin)
  local least, most = math.huge, 0
  for _, data in ipairs(p.all) do least, most = math.min(least, #data), math.max(most, #data) end
  local bytes = least == most and ("%d bytes"):format(least) or ("%d to %d bytes"):format(least, most)
  out.line(("%sanswered %d of %d times, %s"):format(margin, p.answered, repeats, bytes))
  if p.map then out.line(margin .. "map  " .. p.map:gsub(".", "%0%0")) end
end

local function print_row(p, target, verbose, repeats)
  local result = p.state
  if p.reason and p.state ~= "answered" and p.state ~= "silent" then
    result = ("%s: %s"):format(p.state, text.escape(tostring(p.reason)))
  end
  if p.lost then result = result .. " (bytes before it are missing in the capture)" end
  if p.cut then result = result .. " (cut in the capture)" end
  local what = ROW:format(p.number, ("%.3f s"):format(p.at), #p.data, "")
  local style = ({ answered = "green", refused = "red", unsent = "red", reset = "red", closed = "red", silent = "dim" })[p.state]
  if not p.replies then
    out.line(what .. out.style(style, result))
    return
  end
  for i, reply in ipairs(p.replies) do
    local from = reply.from and (reply.from ~= target.ip or reply.from_port ~= target.port)
      and " from " .. targets.format(reply.from, reply.from_port) or ""
    local rtt = reply.rtt and (" in %.3f ms"):format(reply.rtt * 1000) or ""
    local echo = reply.echo
    out.line((i == 1 and what or (" "):rep(#what)) ..
      out.style(style, ("%s%s, %d bytes%s"):format(result, rtt, #reply.data, from)))
    local margin = (" "):rep(#what)
    out.line(margin .. "sent " .. show_bytes(p.data, echo and echo.request_offset, echo and echo.length, verbose))
    out.line(margin .. "got  " .. show_bytes(reply.data, echo and echo.reply_offset, echo and echo.length, verbose))
    if echo then
      out.line(margin .. out.style("dim", ("%d bytes came back: @%d of the request at @%d"):format(
        echo.length, echo.request_offset, echo.reply_offset)))
    end
  end
  if repeats > 1 then print_map(p, repeats, (" "):rep(#what)) end
end

-- "12-14, 31": packets of payloads that follow each other in the replay, as ranges.
local function ranges(payloads, transport, state)
  local parts, first, last = {}, nil, nil
  local function close()
    if first then parts[#parts + 1] = first == last and tostring(first) or ("%d-%d"):format(first, last) end
    first = nil
  end
  for _, p in ipairs(payloads) do
    if p.transport == transport and p.state == state then
      first, last = first or p.number, p.number
    else
      close()
    end
  end
  close()
  return parts
end

local function summary_line(payloads, transport, state, count)
  local list = ranges(payloads, transport, state)
  local more = #list > 20 and (", and %d ranges more"):format(#list - 20) or ""
  out.line(("packet%s %s%s: %s, %s"):format(count > 1 and "s" or "",
    table.concat(list, ", ", 1, math.min(#list, 20)), more, transport:upper(), state))
end

local STATES = { "answered", "refused", "reset", "closed", "silent", "unsent" }

local function print_summary(payloads, target)
  local counts, parts = { udp = {}, tcp = {} }, {}
  for _, p in ipairs(payloads) do
    local c = counts[p.transport]
    c[p.state] = (c[p.state] or 0) + 1
  end
  out.line("")
  for _, state in ipairs(STATES) do
    local sum = 0
    for _, transport in ipairs { "udp", "tcp" } do
      local n = counts[transport][state]
      if n then summary_line(payloads, transport, state, n) end
      sum = sum + (n or 0)
    end
    if sum > 0 then parts[#parts + 1] = ("%d %s"):format(sum, state) end
  end
  out.line(("%d payload%s for %s: %s"):format(#payloads, #payloads == 1 and "" or "s",
    targets.format(target.ip, target.port), table.concat(parts, ", ")))
end

local function read_target(args)
  local list, message = targets.expand({ args.target },
    { udp = true, resolve = options.resolver(options.family(args)) })
  if not list then fail.input("%s", message) end
  return list[1]
end

local function status_of(payloads)
  local unsent
  for _, p in ipairs(payloads) do
    if p.state == "answered" then return 0 end
    unsent = unsent or (p.state == "unsent" and p)
  end
  for _, p in ipairs(payloads) do
    if p.state ~= "unsent" then return fail.NEGATIVE end
  end
  fail.run("packet %d could not be sent: %s", unsent.number, text.escape(tostring(unsent.reason)))
end

local function open_wire(args, target)
  if not args.write then return nil end
  local kept, message = wire.open(args.write, target)
  if not kept then fail.input("%s", message) end
  return kept
end

local function replay(args, target, payloads)
  local run = args.repeats > 1 and repeating.run or replaying.run
  local kept = open_wire(args, target)
  if not args.json then out.line(out.style("bold", ROW:format("PACKET", "AT", "BYTES", "ANSWER"))) end
  local ok, late = pcall(run, payloads, {
    repeats = args.repeats, ip = target.ip, port = target.port, pace = args.pace, timeout = args.timeout, wire = kept,
    on_payload = function(p)
      if args.json then print_json(p, target, args.repeats) else print_row(p, target, args.verbose, args.repeats) end
    end,
    on_progress = function(sent, of) out.progress(("%d of %d payloads sent"):format(sent, of)) end,
  })
  local whole, message = true, nil
  if kept then whole, message = kept:close() end -- after Ctrl-C, too
  if not ok then error(late, 0) end
  if not whole then fail.run("%s", message) end
  return late
end

function command.run(args)
  local target = read_target(args)
  local capture, message = recorded.read(args.capture, args)
  if not capture then fail.input("%s", message) end
  local payloads = capture.payloads
  local late = replay(args, target, payloads)
  if not args.json then
    print_summary(payloads, target)
    if args.repeats > 1 then out.line("map: e comes back from the request, = stays, * moves") end
  end
  if late > 0 then out.note(("%d replies came later than --timeout after what they answer"):format(late)) end
  if capture.damaged then fail.input("%s; sent what came before", capture.damaged) end
  return status_of(payloads)
end

return command
