local script = require "mynah.script"

description = [[
Finds Skype nodes of the old peer-to-peer network on any port. On TCP: GET gets exactly Skype's 404 and a close, anything else
noise that differs each time. On UDP: a replayed datagram is refused in 11 bytes that hold its id, a kind of 5 or 7, our own
address as the node sees it and four bytes that move.

Of all TCP ports Nmap lets 21 at a time be asked by scripts; where many are silent, --max-parallelism 100 asks more at once.
]]

---
-- @usage nmap -p- --script mynah-skype <target>
-- @args mynah.patience how long a connected silent peer is waited for (30s)
-- @args mynah.signatures file or folder of signatures instead of the installed ones
-- @args mynah.public-ip our address as the target sees it, behind NAT
-- @output
-- PORT      STATE SERVICE
-- 48915/tcp open  skype2
-- | mynah-skype:
-- |   service: skype
-- |   confidence: 0.97
-- |   evidence:
-- |     GET / HTTP/1.0: exactly Skype's 404, then closed
-- |     garbage: 48 bytes of noise: a28817fe303570c6b48e26be2a1d
-- |_    the same garbage again: 24 bytes of other noise: 4a73416267b38a63cce172348424
-- @xmloutput
-- <elem key="service">skype</elem>
-- <elem key="confidence">0.97</elem>

author = "the Mynah founders"
license = "BSD-2-Clause"
categories = { "discovery", "safe" }

portrule = script.rule
action = script.action "skype"
