local nmap = require "nmap"
local stdnse = require "stdnse"

description = [[Sleeps in steps of 100 ms until the other scripts are done, and writes how late each ended, in ms, to a file.]]
license = "BSD-2-Clause"
categories = { "safe" }

-- On one port only: the one named by the argument.
portrule = function(_, port) return port.number == tonumber(nmap.registry.args["timer.port"]) end

action = function()
  local file = assert(io.open(nmap.registry.args["timer.file"], "w"))
  for _ = 1, tonumber(nmap.registry.args["timer.steps"]) do
    local began = nmap.clock_ms()
    stdnse.sleep(0.1)
    file:write(("%.3f\n"):format(nmap.clock_ms() - began - 100))
  end
  file:close()
end
