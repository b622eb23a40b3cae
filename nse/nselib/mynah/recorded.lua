--- The payloads that clients sent, out of a capture.
-- @module mynah.recorded

local core = require "mynah_core"

local recorded = {}

-- Where a payload of a client belongs; `turn`: the server spoke since its last one.
local function entry_of(p, first, spoke)
  return {
    number = p.number, transport = p.transport, time = math.max(0, (p.time_ns - first) / 1e9), flow = p.flow,
    client = p.from, client_port = p.from_port, data = p.data, cut = p.cut, lost = p.lost or nil,
    turn = p.transport == "tcp" and spoke or nil,
  }
end

--- Read a capture.
-- @param path file name, "-" for standard input
-- @param options table: `filter` (BPF expression or nil), `limit` (payloads at most, or nil), `first` and `last` (numbers of
-- packets, or nil), `side` "client" (default), "server" or "both": whose payloads; `transport` "udp" or "tcp": only those
-- @return table: `payloads`, array of { number=packet, transport="udp" or "tcp", time=seconds since the first, flow=number from
-- 1, client="ip", client_port=, data=, cut=bool, lost=true where bytes before it are missing, turn=true where the other side
-- spoke since the last payload of the flow }; `empty`, count of empty datagrams; `damaged`, a message where the file breaks
-- off. Or nil and a message where it is no capture or holds nothing to send
function recorded.read(path, options)
  local capture, message = core.capture(path, options.filter, { streams = true })
  if not capture then return nil, message end
  local result = { payloads = {}, empty = 0 }
  local list, first, spoke, side = result.payloads, nil, {}, options.side or "client"
  while #list < (options.limit or math.huge) do
    local p, why = capture:next()
    if not p then
      result.damaged = why
      break
    end
    local wanted = p.number >= (options.first or 1) and p.number <= (options.last or math.huge)
      and p.transport == (options.transport or p.transport)
    if #p.data == 0 then
      if p.transport == "udp" then result.empty = result.empty + 1 end
    elseif side ~= "both" and p.side ~= side then
      spoke[p.flow] = true
    elseif wanted then
      first = first or p.time_ns
      list[#list + 1] = entry_of(p, first, spoke[p.flow])
      spoke[p.flow] = nil
    end
  end
  capture:close()
  if #list == 0 and result.damaged then return nil, result.damaged end
  if #list == 0 then
    local passed = (options.filter or options.first or options.last) and " that passes the filter" or ""
    local kind = options.transport and options.transport:upper() .. " " or ""
    local who = side == "both" and "" or (" of a %s"):format(side)
    return nil, ("%s: no %spayload%s in it%s"):format(path, kind, who, passed)
  end
  return result
end

return recorded
