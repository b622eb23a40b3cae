--- What scripts send and receive, a line each, on standard error: --script-trace.
-- @module host.nse.tracing

local out = require "host.out"
local targets = require "host.targets"
local text = require "mynah.text"

local tracing = {}

local SHOWN = 2000 -- bytes of one piece

local ARROWS = { send = ">", receive = "<" }

-- Text as it is, with \xHH for what does not print, a line for each of its lines.
local function lines_of(bytes)
  local lines = {}
  for line in (bytes:sub(1, SHOWN) .. "\n"):gmatch "([^\n]*)\n" do lines[#lines + 1] = text.escape(line, SHOWN) end
  if lines[#lines] == "" then lines[#lines] = nil end
  return lines
end

--- A function for host.nse.socket: (state of the socket, event, bytes).
-- @param event "connect", "close", "send", "receive", or why connecting failed
function tracing.print(s, event, bytes)
  local ip, port = nil, nil
  if s.file then ip, port = s.file:names() end
  local mine = ip and targets.format(ip, port) or "?"
  local peer = s.peer and targets.format(s.peer.ip, s.peer.port) or "?"
  local head = ("%s %s %s %s | "):format((s.tls and "TLS" or (s.kind or s.default):upper()), mine, ARROWS[event] or ">", peer)
  if not bytes then return out.note(head .. event:upper()) end
  for _, line in ipairs(lines_of(bytes)) do out.note(head .. line) end
end

return tracing
