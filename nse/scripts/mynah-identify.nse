local script = require "mynah.script"

description = [[
Says what is really behind a port, TCP or UDP, wherever it listens: by what the peer says first, by what it answers, and
by what its answers owe to what was sent (a nonce that comes back, our address as the peer sees it, bytes that move).
At most six TCP connections, and one datagram a known UDP protocol, go to a port.

Of all TCP ports Nmap lets 21 at a time be asked by scripts; where many are silent, --max-parallelism 100 asks more at once.
]]

---
-- @usage nmap -p- --script mynah-identify <target>
-- @usage nmap -p- --max-parallelism 100 --script mynah-identify --script-args mynah.patience=10s <target>
-- @usage nmap -sU -p 1024-2000 --script mynah-identify --script-args mynah.timeout=2s <target>
-- @args mynah.signatures file or folder of signatures instead of the installed ones
-- @args mynah.timeout how long a silent UDP port is waited for (3s)
-- @args mynah.patience how long a connected silent TCP peer is waited for (30s)
-- @args mynah.retries further datagrams to a silent UDP port (2)
-- @args mynah.public-ip our address as the target sees it, behind NAT
-- @args mynah.rate UDP datagrams a second, all ports together (1000)
-- @output
-- PORT      STATE SERVICE REASON  VERSION
-- 48915/udp open  skype2
-- | mynah-identify:
-- |   service: skype
-- |   confidence: 0.99
-- |   fresh_bits: 32.0
-- |   identity_bits: 42.9
-- |   evidence:
-- |     len   = 11
-- |     @0:2  = $id: 9cd2
-- |_    @3:4  = my.ip: 7f000001
-- @xmloutput
-- <elem key="service">skype</elem>
-- <elem key="confidence">0.99</elem>
-- <elem key="fresh_bits">32.0</elem>
-- <elem key="identity_bits">42.9</elem>
-- <table key="evidence">
--   <elem>len   = 11</elem>
--   <elem>@0:2  = $id: 9cd2</elem>
-- </table>

author = "the Mynah founders"
license = "BSD-2-Clause"
categories = { "discovery", "safe" }

portrule = script.rule
action = script.action()
