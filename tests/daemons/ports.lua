-- ports.lua - picks port numbers that give nothing away and that nobody uses now.
local uv = require "luv"

local ports = {}

-- Below the kernel's ephemeral range (32768 and up), so that no client's own socket takes the number between our look and
-- the server's bind, and no probe sent to it can meet another probe's socket.
local FIRST, LAST = 20000, 32000

local given, services = {}, nil

local function named_ports()
  local set = {}
  local file = io.open("/etc/services")
  if file then
    for line in file:lines() do
      local port = line:match("^%S+%s+(%d+)/")
      if port then set[tonumber(port)] = true end
    end
    file:close()
  end
  return set
end

local function can_bind(socket, host, port)
  local ok = socket:bind(host, port)
  -- libuv reports a TCP address in use only at listen.
  if ok and socket.listen then ok = socket:listen(1, function() end) end
  socket:close()
  return ok and true or false
end

--- A port free for TCP and UDP, on IPv4 and IPv6, never given twice by one process.
function ports.pick()
  if not services then
    services = named_ports()
    math.randomseed((uv.hrtime() + uv.os_getpid() * 7919) % 2147483647)
  end
  for _ = 1, 2000 do
    local port = math.random(FIRST, LAST)
    if not given[port] and not services[port]
      and can_bind(uv.new_tcp(), "0.0.0.0", port) and can_bind(uv.new_udp(), "0.0.0.0", port)
      and can_bind(uv.new_tcp(), "::1", port) and can_bind(uv.new_udp(), "::1", port) then
      given[port] = true
      return port
    end
  end
  error("no free port between " .. FIRST .. " and " .. LAST)
end

return ports
