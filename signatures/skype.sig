# Skype as it was until 2014: a peer-to-peer node that refuses in clear what it cannot decrypt.

service skype
  title "Skype node"
  ports udp 1024-65535
  from  "students' capture 2009; Biondi & Desclaux, Silver Needle in the Skype, 2006; 37 refusals of a client's capture of 2007"

sig skype
  send  id?2 02 a16665ea0d x?14      # kind 2: data, whose checksum a stranger cannot get right
  len   = 11
  @0:2  = $id                        # the id that was sent comes back
  @2    = b0...01.1                  # kind 5 or 7, top bit clear
  @3:4  = my.ip                      # as the node sees us: our address, or the public one of our NAT
  vary  @7:4                         # a seed, another one in every refusal
  give  @3:4 as "prober's public address"
  match   924002a16665ea0d8c82c30c27cdc5e74e78fea150a6 > 924017c0a8001374a041f0 my.ip 192.168.0.19
  match   924002a16665ea0d8c82c30c27cdc5e74e78fea150a6 > 924067c0a800131100104f my.ip 192.168.0.19
  match   924002a16665ea0d8c82c30c27cdc5e74e78fea150a6 > 924037c0a8001368 08433a my.ip 192.168.0.19
  nomatch 924002a16665ea0d8c82c30c27cdc5e74e78fea150a6 > 924002a16665ea0d8c82c30c27cdc5e74e78fea150a6
  nomatch 924002a16665ea0d8c82c30c27cdc5e74e78fea150a6 > 924017c0a8001374a041f000 my.ip 192.168.0.19    # 12 bytes
  nomatch 924002a16665ea0d8c82c30c27cdc5e74e78fea150a6 > 924016c0a8001374a041f0 my.ip 192.168.0.19      # kind 6
  nomatch 924002a16665ea0d8c82c30c27cdc5e74e78fea150a6 > 924097c0a8001374a041f0 my.ip 192.168.0.19      # top bit set
  nomatch 924002a16665ea0d8c82c30c27cdc5e74e78fea150a6 > 402417c0a8001374a041f0 my.ip 192.168.0.19      # another id
