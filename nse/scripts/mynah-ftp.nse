local script = require "mynah.script"

description = [[
Finds FTP servers on any port: a greeting alone never decides, since mail, dictionary and news servers say 220 or 200 too.
An FTP server answers FEAT, SYST or HELP as only FTP does. Nobody is logged in.

Of all TCP ports Nmap lets 21 at a time be asked by scripts; where many are silent, --max-parallelism 100 asks more at once.
]]

---
-- @usage nmap -p- --script mynah-ftp <target>
-- @args mynah.patience how long a connected silent peer is waited for (30s)
-- @args mynah.signatures file or folder of signatures instead of the installed ones
-- @output
-- PORT     STATE SERVICE VERSION
-- 2121/tcp open  ftp     vsFTPd 3.0.3
-- | mynah-ftp:
-- |   service: ftp
-- |   product: vsFTPd
-- |   version: 3.0.3
-- |   confidence: 0.98
-- |   evidence:
-- |     greeting: 220 (vsFTPd 3.0.3)
-- |_    FEAT: EPRT EPSV MDTM
-- @xmloutput
-- <elem key="service">ftp</elem>
-- <elem key="product">vsFTPd</elem>

author = "the Mynah founders"
license = "BSD-2-Clause"
categories = { "discovery", "safe" }

portrule = script.rule_of "tcp"
action = script.action "ftp"
