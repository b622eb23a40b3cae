--- The payloads that clients sent, out of a capture.
-- @module mynah.recorded

local core = require "mynah_core"

local recorded = {}

-- The first packet of a 5-tuple names the client: what comes the other way is the server's.
local function side_of(flows, p)
  local there = ("%s %d %s %d"):format(p.from, p.from_port, p.to, p.to_port)
  local back = ("%s %d %s %d"):format(p.to, p.to_port, p.from, p.from_port)
  if flows[there] then return "client", flows[there] end
  if flows[back] then return "server" end
  flows.count = flows.count + 1
  flows[there] = flows.count
  return "client", flows.count
end

--- Read a capture.
-- @param path file name, "-" for standard input
-- @param options table: `filter` (BPF expression or nil), `limit` (payloads at most, or nil)
-- @return table: `payloads`, array of { number=packet, time=seconds since the first, flow=number from 1, client="ip",
-- client_port=, data=, cut=bool }; `tcp`, count of TCP payloads left out; `empty`, of empty datagrams; `damaged`, a message
-- where the file breaks off. Or nil and a message where it is no capture or holds nothing to send
function recorded.read(path, options)
  local capture, message = core.capture(path, options.filter)
  if not capture then return nil, message end
  local result = { payloads = {}, tcp = 0, empty = 0 }
  local flows, list, first = { count = 0 }, result.payloads, nil
  while #list < (options.limit or math.huge) do
    local p, why = capture:next()
    if not p then
      result.damaged = why
      break
    end
    if p.transport ~= "udp" then
      if #p.data > 0 then result.tcp = result.tcp + 1 end
    elseif #p.data == 0 then
      result.empty = result.empty + 1
    else
      local side, flow = side_of(flows, p)
      if side == "client" then
        first = first or p.time_ns
        list[#list + 1] = {
          number = p.number, time = math.max(0, (p.time_ns - first) / 1e9), flow = flow, client = p.from,
          client_port = p.from_port, data = p.data, cut = p.cut,
        }
      end
    end
  end
  capture:close()
  if #list == 0 and result.damaged then return nil, result.damaged end
  if #list == 0 then
    local passed = options.filter and " that the filter lets through" or ""
    return nil, path .. ": no UDP payload of a client in it" .. passed
  end
  return result
end

return recorded
