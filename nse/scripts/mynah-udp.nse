local script = require "mynah.script"

description = [[
Names UDP services on any port by what their replies owe to the probe: bytes of ours that come back, our address as the peer
sees it, lengths and masks that hold. One datagram a known protocol, the likeliest for the port first; nothing is
repeated before all were tried once, and it ends with the first answer that is certain. A port gets at most 200 datagrams,
all ports together at most 1000 a second; what was sent and received is said. With mynah.pcap it also replays the UDP
payloads of a capture and says which were answered.
]]

---
-- @usage nmap -sU -p 1024-2000 --script mynah-udp <target>
-- @usage nmap -sU -p 48915 --script mynah-udp --script-args mynah.pcap=skype.pcap <target>
-- @args mynah.pcap a capture (pcap or pcapng) whose clients' UDP payloads are sent to the port
-- @args mynah.timeout how long a silent port is waited for (3s)
-- @args mynah.retries further datagrams to a silent port (2)
-- @args mynah.public-ip our address as the target sees it, behind NAT
-- @args mynah.signatures file or folder of signatures instead of the installed ones
-- @args mynah.rate datagrams a second, all ports together (1000)
-- @args mynah.max-probes datagrams to one port at the most (200)
-- @output
-- PORT      STATE SERVICE
-- 48915/udp open  skype2
-- | mynah-udp:
-- |   service: skype
-- |   confidence: 0.99
-- |   traffic: sent 12 datagrams of 389 bytes (at most 200), received 4 datagrams of 44 bytes
-- |   evidence:
-- |     @0:2  = $id: 9240
-- |     @3:4  = my.ip: c0a80013
-- |   replay:
-- |     sent: 40
-- |     answered:
-- |_      packet 312: 924002a1… -> 924017c0a8001374a041f0, 0.210 ms
-- @xmloutput
-- <elem key="service">skype</elem>
-- <table key="replay">
--   <elem key="sent">40</elem>
-- </table>

author = "the Mynah founders"
license = "BSD-2-Clause"
categories = { "discovery", "safe" }

portrule = script.rule_of "udp"
action = script.udp_action
