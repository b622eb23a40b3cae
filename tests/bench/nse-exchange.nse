local nmap = require "nmap"

description = [[The exchange of mynah-udp over NSE's own sockets: a 22-byte datagram, three tries of a second each.]]
license = "BSD-2-Clause"
categories = { "safe" }

portrule = function(_, port)
  return port.protocol == "udp" and port.number ~= tonumber(nmap.registry.args["timer.port"])
end

action = function(host, port)
  local socket = nmap.new_socket "udp"
  socket:set_timeout(1000)
  if not socket:connect(host, port) then return end
  local answered
  for _ = 1, 3 do
    socket:send(("\x92\x40\x02"):rep(7) .. "x")
    answered = socket:receive()
    if answered then break end
  end
  socket:close()
  return answered and "answered" or nil
end
