local script = require "mynah.script"

description = [[
Finds web servers on any port, and tells them from what only looks like one: RTSP, SIP, ICY, a SOCKS port that answers
GET with an error, and Skype, which imitates a web server.

Of all TCP ports Nmap lets 21 at a time be asked by scripts; where many are silent, --max-parallelism 100 asks more at once.
]]

---
-- @usage nmap -p- --script mynah-http <target>
-- @args mynah.patience how long a connected silent peer is waited for (30s)
-- @args mynah.signatures file or folder of signatures instead of the installed ones
-- @output
-- PORT     STATE SERVICE VERSION
-- 8021/tcp open  http    nginx 1.22.1
-- | mynah-http:
-- |   service: http
-- |   product: nginx
-- |   version: 1.22.1
-- |   extra: 200; title "Welcome"
-- |   confidence: 0.99
-- |   evidence:
-- |_    GET / HTTP/1.1: HTTP/1.1 200 OK
-- @xmloutput
-- <elem key="service">http</elem>
-- <elem key="product">nginx</elem>

author = "the Mynah founders"
license = "BSD-2-Clause"
categories = { "discovery", "safe" }

portrule = script.rule_of "tcp"
action = script.action "http"
