local script = require "mynah.script"

description = [[
Joins the version scan (-sV): names what Nmap's own probes could not, by Mynah's checks and signatures. What Nmap has already
heard is used before anything is asked again.
]]

---
-- @usage nmap -sV <target>
-- @usage nmap -sV --script mynah-version <target>
-- @args mynah.patience how long a connected silent peer is waited for (30s)
-- @args mynah.timeout how long a silent UDP port is waited for (3s)
-- @args mynah.public-ip our address as the target sees it, behind NAT
-- @args mynah.signatures file or folder of signatures instead of the installed ones
-- @output
-- PORT      STATE SERVICE VERSION
-- 48915/tcp open  skype2

author = "the Mynah founders"
license = "BSD-2-Clause"
categories = { "version" }

portrule = function(host, port)
  local version = port.version or {}
  local settled = version.service_dtype == "probed" and (version.name_confidence or 0) >= 10
  return not settled and version.service_tunnel ~= "ssl" and script.rule(host, port)
end

action = script.version_action
