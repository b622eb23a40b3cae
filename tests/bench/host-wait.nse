local nmap = require "nmap"
local stdnse = require "stdnse"

description = [[Waits: for a reply that never comes where host-wait.receive is given, else for time to pass.]]
author, license, categories = "Mynah", "BSD-2-Clause", { "safe" }

portrule = function() return true end

action = function(host, port)
  local ms = tonumber(stdnse.get_script_args "host-wait.ms")
  if not stdnse.get_script_args "host-wait.receive" then return stdnse.sleep(ms / 1000) end
  local socket = nmap.new_socket()
  socket:set_timeout(ms)
  assert(socket:connect(host, port))
  assert(select(2, socket:receive()) == "TIMEOUT")
  socket:close()
end
