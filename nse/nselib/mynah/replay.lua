--- Send recorded payloads at a UDP port through any transport, and take what each got.
-- Every payload leaves from a source port of its own, so a reply belongs to the payload that it came for.
-- @module mynah.replay

local replay = {}

local PARALLEL = 128 -- payloads in flight
local GAP = 0.01     -- seconds from one payload to the next
local TIMEOUT = 1    -- seconds for each reply

local function fill(entry, event, why, icmp_from)
  if event then
    entry.reply, entry.rtt, entry.from, entry.from_port = event.data, event.rtt, event.from, event.from_port
    entry.my, entry.my_port = event.my, event.my_port
  else
    entry.reason = (why == "ended" or why == "timeout") and "no-response" or why
    entry.icmp_from = icmp_from
  end
end

--- Replay. Runs inside a task of the transport.
-- @param t transport
-- @param payloads array of byte strings
-- @param ip numeric address
-- @param port 1 to 65535
-- @param opts table: `timeout` seconds to wait for each reply (1), `gap` seconds from one to the next (0.01), `parallel` payloads
-- in flight (128), `local_hosts` addresses of ours to send from in turn (the system's choice)
-- @return array with one table a payload: sent (bytes), reply (bytes), rtt (seconds, by the kernel's clock), from, from_port, my,
-- my_port, peer, peer_port; where nothing came reason ("no-response", "port-unreach" …) instead
function replay.run(t, payloads, ip, port, opts)
  local timeout, gap, began = opts.timeout or TIMEOUT, opts.gap or GAP, t:now()
  local results, taken = {}, 0
  local function worker()
    while taken < #payloads do
      taken = taken + 1
      local i = taken
      local entry = { sent = payloads[i], peer = ip, peer_port = port }
      results[i] = entry
      local wait = began + (i - 1) * gap - t:now()
      if wait > 0 then t:sleep(wait) end
      local from = opts.local_hosts and opts.local_hosts[(i - 1) % #opts.local_hosts + 1]
      local x, why = t:udp(ip, port, { payloads[i] }, { timeout = timeout, local_host = from })
      if x then
        fill(entry, x:reply())
        x:close()
      else
        fill(entry, nil, why)
      end
    end
  end
  local workers = {}
  for i = 1, math.min(opts.parallel or PARALLEL, #payloads) do workers[i] = worker end
  t:race(workers)
  return results
end

return replay
