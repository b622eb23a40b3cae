--- What a scan says of itself: what it will send, how far it is, what came of it.
-- @module host.scan_text

local scan_text = {}

-- Large numbers, readable.
local function told(n, one, many)
  local digits = tostring(n):reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
  return ("%s %s"):format(digits, n == 1 and one or many)
end

local function span(seconds)
  if seconds < 120 then return ("%.0f s"):format(math.max(1, seconds)) end
  if seconds < 7200 then return ("%.0f min"):format(seconds / 60) end
  return ("%.1f h"):format(seconds / 3600)
end

local function share_of(config, sweep)
  local whole = sweep.set.items
  return whole // config.shards + (config.shard < whole % config.shards and 1 or 0)
end

local SOME = 6 -- kinds of datagrams that are named

-- What goes to each target, and how many of these there are.
local function what_of(config, sweep)
  local count = share_of(config, sweep)
  if sweep.tcp then return config.raw and "one SYN to each" or "one connection to each", count end
  local kinds, names = sweep.questions:kinds(), {}
  if #kinds == 1 and sweep.set.items == sweep.set.targets then
    return ("%s datagram of %d bytes to each"):format(kinds[1].service, kinds[1].bytes), count
  end
  local seen = {}
  for _, kind in ipairs(kinds) do
    if not seen[kind.service] then names[#names + 1], seen[kind.service] = kind.service, true end
  end
  local more = #names > SOME and (" and %d more"):format(#names - SOME) or ""
  local what = ("%s, to each port its own: %s%s"):format(told(count, "datagram", "datagrams"),
    table.concat(names, ", ", 1, math.min(#names, SOME)), more)
  local unnamed, likeliest = sweep.questions:unnamed()
  if unnamed > 0 and not config.probe then
    what = what .. ("; %s that no service names: %s, the likeliest of all"):format(told(unnamed, "port", "ports"), likeliest)
  end
  return what, sweep.set.targets
end

--- Everything that a scan will send, a line each.
-- @param config as host.scanning.run has it
-- @return array of text
function scan_text.details(config)
  local lines = {}
  for _, sweep in ipairs(config.sweeps) do
    for _, kind in ipairs(sweep.questions and sweep.questions:kinds() or {}) do
      lines[#lines + 1] = ("%s (%s): %d bytes to U:%s"):format(kind.service, kind.name, kind.bytes, kind.ports)
    end
    local unit = not sweep.tcp and "datagrams" or config.raw and "SYNs" or "connections"
    lines[#lines + 1] = ("%s to find who answers, at the most"):format(told(config.attempts * share_of(config, sweep),
      unit:sub(1, -2), unit))
  end
  return lines
end

--- What a sweep of a scan will send, as one line.
-- @param config as host.scanning.run has it
-- @param sweep one of its sweeps
function scan_text.plan(config, sweep)
  local what, targets = what_of(config, sweep)
  local count = share_of(config, sweep)
  local parts = {
    told(targets, "target", "targets") .. " (" .. told(sweep.set.addresses, "address", "addresses") .. ")",
    what,
  }
  if config.attempts > 1 then parts[#parts + 1] = ("the silent get %d more"):format(config.attempts - 1) end
  if config.rate > 0 then
    local rate = math.min(config.rate, (config.per_host_rate or math.huge) * sweep.set.addresses)
    parts[#parts + 1] = ("at most %g a second: %s%s for all"):format(config.rate, config.bandwidth and "at least " or "",
      span(count / rate))
  else
    parts[#parts + 1] = "as fast as both sides bear"
  end
  local counts, first = config.scripts and config.scripts.counts or {}, true
  for _, row in ipairs { { "ports", "for what is open" }, { "hosts", "for its hosts" }, { "prerule", "before the scan" },
    { "postrule", "after it" } } do
    local n = counts[row[1]]
    if n then parts[#parts + 1], first = (first and told(n, "script", "scripts") or n) .. " " .. row[2], false end
  end
  if config.per_host_rate then parts[#parts + 1] = ("%g a second to one address"):format(config.per_host_rate) end
  if config.bandwidth then parts[#parts + 1] = told(math.floor(config.bandwidth), "bit", "bits") .. " a second" end
  if sweep.set.excluded > 0 then parts[#parts + 1] = told(sweep.set.excluded, "address", "addresses") .. " excluded" end
  if config.shards > 1 then parts[#parts + 1] = ("part %d of %d"):format(config.shard + 1, config.shards) end
  return table.concat(parts, "; ")
end

--- What came of it, as one line.
-- @param c counts as host.scanning.run gives them
function scan_text.summary(c)
  local parts = {
    told(c.sent, "sent", "sent"), told(c.verified + c.errors, "answered", "answered"), told(c.verified, "verified", "verified"),
    told(c.named, "named", "named"), told(c.duplicates, "duplicate", "duplicates"), told(c.dropped, "dropped", "dropped"),
    told(c.unanswered, "unanswered", "unanswered"),
  }
  for _, extra in ipairs {
    { c.scripts, "result of scripts", "results of scripts" }, { c.unverified, "did not verify" },
    { c.strangers, "from strangers" }, { c.send_errors, "could not be sent" },
  } do
    if extra[1] > 0 then parts[#parts + 1] = told(extra[1], extra[2], extra[3] or extra[2]) end
  end
  local times = ("%.2f s in all"):format(c.seconds)
  if c.verified > 0 then times = times .. (", the last verified after %.2f s"):format(c.elapsed) end
  return table.concat(parts, ", ") .. "; " .. times
end

--- How far a scan is, as one line.
-- @param c counts as host.scanning.run gives them
-- @param pending how many wait to be asked on, or are
function scan_text.progress(c, pending)
  local rate = c.elapsed > 0 and c.sent / c.elapsed or 0
  local line = ("%d of %d asked, %.0f a second, %d verified"):format(c.asked, c.targets, rate, c.verified)
  if c.pass == 0 and rate > 0 and c.asked < c.targets then
    line = line .. ", " .. span((c.targets - c.asked) / rate) .. " left"
  end
  if c.pass > 0 then line = line .. (", the silent again (%d)"):format(c.pass) end
  return pending > 0 and line .. (", %d are asked on"):format(pending) or line
end

return scan_text
