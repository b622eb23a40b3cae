# Games. Most of their servers tell anybody what is played; few put anything of ours into the answer. What they answer can be
# much longer than what was asked, so each question is the one with the smallest answer, and the factor is said.

service minetest
  title "Minetest or Luanti server"
  ports udp 30000-30010
  from  "Minetest's src/network/connection.h, its list of servers (serverlist's server.py); observed on Debian's 5.6.1"

# What the game's list of servers asks: an empty message from nobody. The server sets a peer id for us, and repeats that for half
# a minute, faster and faster (2.6 kB for our 8 bytes), unless told that we are gone: the last step, which nothing answers.
sig minetest
  nofresh
  send  4f457403 0000 00 01
  len   = 14
  @0:6  = 4f4574030001               # from the server, peer 1
  @6:6  = 0003ffdc0001               # channel 0, reliable, the first number of all: set peer id
  control q@0 ^ 80
  soft step 4f457403 r@12:2 00 0003
  len   = 0
  match   4f457403 0000 00 01 > 4f45740300010003ffdc00010002
  nomatch 4f457403 0000 00 01 > 4f45740300010003ffdc00000002
  nomatch 4f457403 0000 00 01 > 4f45740300010000001234

service teeworlds
  title "Teeworlds or DDNet server"
  ports udp 8303-8310
  from  "Teeworlds' src/engine/shared/network.h; observed on teeworlds 0.7.5 and ddnet 16.4"

# 0.7: whoever wants anything asks for a token first, in a packet of at least 519 bytes, so that nothing is amplified. The
# number that it acknowledges is not read: ours is 1ff, so that no copy of our header passes for an answer.
sig teeworlds
  send  05ff00 ffffffff 05 token?4 00*508
  len   = 12
  @0:3  = 040000                     # a control packet …
  @3:4  = $token                     # … to us …
  @7    = 05                         # … that gives the server's token
  control q@7 ^ 80
  soft step 21 r@8:4 q@8:4 ffffffff "gie3" 05
  @0    = 21
  @1:4  = q@5:4
  @5:4  = q@1:4
  @13:4 = "inf3"
  @18   ~ m/^(?:[^\x00]*, )?(?<version>[0-9][^\x00]*)\x00/
  version "$version"
  match   05ff00ffffffff05 0a1b2c3d 00*508 > 0400000a1b2c3d05f1c1746a then 21f1c1746a0a1b2c3dffffffff6769653305 > 210a1b2c3df1c1746affffffff696e663305 "0.7.5" 00 "unnamed server" 0000 "dm1" 00 "DM" 00000100080008
  match   05ff00ffffffff05 0a1b2c3d 00*508 > 0400000a1b2c3d053b61eba5 then 213b61eba50a1b2c3dffffffff6769653305 > 210a1b2c3d3b61eba5ffffffff696e663305 302e37e28694302e362e342c2031362e34004d792044444e65742073657276657200005475746f7269616c00546573744444726163654e6574776f72000201008001008001
  nomatch 05ff00ffffffff05 0a1b2c3d 00*508 > 0400000a1b2c3e05f1c1746a
  nomatch 05ff00ffffffff05 0a1b2c3d 00*508 > 0400000a1b2c3d04

# 0.6: one question without a connection; the byte that tells answers apart comes back as a number in decimal. 15 bytes get
# some 90, more where many play.
sig teeworlds-06
  nofresh
  send  ff*10 "gie3" b7
  @0:10 = ffffffffffffffffffff
  @10:8 = "inf3183\0"
  @18   ~ m/^(?:[^\x00]*, )?(?<version>[0-9]\.[0-9][^\x00]*)\x00[^\x00]*\x00[^\x00]*\x00[^\x00]*\x00[0-9]+\x00/
  control q@10 ^ 20
  version "$version"
  match   ff*10 "gie3" b7 > ff*10 "inf3183" 00 "0.6.4, 16.4" 00 "My DDNet server [0/64]" 00 "Tutorial" 00 "TestDDraceNetwor" 00 "0" 00 "0" 00 "16" 00 "0" 00 "16" 00
  nomatch ff*10 "gie3" b7 > ff*10 "inf3182" 00 "0.6.4, 16.4" 00 "My DDNet server [0/64]" 00 "Tutorial" 00 "TestDDraceNetwor" 00 "0" 00 "0" 00 "16" 00 "0" 00 "16" 00

service bzflag
  title "BZFlag server"
  ports udp 5154-5160 tcp 5154-5160
  from  "BZFlag's include/Protocol.h and include/Ping.h; observed on Debian's 2.4.26"

# The ping of the game's list of servers; nothing in it comes back, but the server names its own port. 6 bytes get 60.
sig bzflag
  nofresh
  send  0002 0404 x?2
  @0:2  = len-4
  @2:2  = 0303
  @4:4  = "BZFS"
  @8    ~ m/^(?<version>[0-9]{4})/   # of the protocol
  soft  @16:2 = peer.port
  control q@2 ^ 80
  product "BZFlag"
  extra   "protocol $version"
  match   00020404abcd > 00380303425a4653303232317f0000015dd60000047f00000100000010000100000000000000000000c800c800c800c800c800c800c8000000000000
  nomatch 00020404abcd > 00390303425a4653303232317f0000015dd60000047f00000100000010000100000000000000000000c800c800c800c800c800c800c8000000000000

service armagetron
  title "Armagetron Advanced server"
  ports udp 4534-4540
  from  "Armagetron's src/network/nServerInfo.cpp; observed on Debian's 0.2.9.1.0"

# A request for the small description (52) is answered by it (50): the server's port, low half first, then its name, which is
# empty where it has none in the DNS. Not numbered, so that nothing has to be acknowledged. 8 bytes get 18.
sig armagetron
  nofresh
  send  0034 0000 0000 0011
  len   = 18
  @0:2  = 0032
  @2:4  = 00000005                   # no number; five words follow
  @6:2  = peer.port
  @8:10 = 00000000000000000000
  control q@0 ^ 80
  product "Armagetron Advanced"
  match   0034000000000011 > 0032000000050009 00000000000000000000
  nomatch 0034000000000011 > 0032000000040009 00000000000000000000

# The large description (53, 51) of those that have a name. 8 bytes get some 150.
sig armagetron-large
  nofresh
  send  0035 x?2 0000 0011
  @0:4  = 00330000
  @6:2  = peer.port
  @8:2  = 0000
  @-2:2 = 0000
  stable @0:4
  any @ has "decitade"               # "dedicated" in words of two bytes, the second first …
  any @ has "edidacet"               # … and one byte further on
  control q@0 ^ 80
  product "Armagetron Advanced"
  match   0035000000000011 > 0033000000460009 00000000000f6e55616e656d2064655376727265000000000000000000000011000000252e302e322e395f316c616870326132303033323220326e75786964206465636974616465000000200000000000116f4e68746e6920677073636561692e6c000000000000000400000000000000000000000033330033f3b60ddf000009805c28000f060602060000
  nomatch 0035000000000011 > 0033000000460009 00010000

# To what makes no sense, one whose end is missing here, it denies the login that nobody asked for, three times: "An error
# occurred while processing messages from your client. …", in words of two bytes, the second first. Later it only keeps quiet.
# 8 bytes get 378.
sig armagetron-denied
  nofresh
  send  0034 0000 0fff 0011
  @0:4  = 00030000
  @8:16 = "nAe rrroo ccruer"
  product "Armagetron Advanced"
  match   003400000fff0011 > 00030000003b006d6e4165207272726f6f20636372756572206468776c6920657270636f73656973676e6d20736561736567207372666d6f7920756f20726c636569746e202e68547369752075736c61796c6920646e63697461736561206320696c6e652074726f732072656576207275622e6700000000000000000000
  nomatch 003400000fff0011 > 00040000003b006d6e4165207272726f6f20636372756572206468776c6920657270636f7365697300000000

service openttd
  title "OpenTTD server"
  ports udp 3979 tcp 3979
  from  "OpenTTD's src/network/core; observed on Debian's 13.0"

# Since 12 the answer says only that somebody is there. The bytes behind the request are not read: without them the answer
# would be the request with another last byte.
sig openttd
  nofresh
  send  le16(len) 00 x?8
  @0:3  = 030001
  len   = 3
  control q@2 ^ 80
  step  le16(len) 00 x?4             # asked in other words, it says the same
  @0:3  = 030001
  len   = 3
  match   0b00000102030405060708 > 030001 then 07000001020304 > 030001
  nomatch 0b00000102030405060708 > 030002
  nomatch 0b00000102030405060708 > 030001 then 07000001020304 > 070001

# Until 11 it described the game, with more fields in each version. 11 bytes get some 100.
sig openttd-11
  nofresh
  from  "OpenTTD 1.10's src/network/network_udp.cpp, NetworkUDPSocketHandler::SendNetworkGameInfo"
  send  le16(len) 00 x?8
  len   = 40..255
  @0    = len
  @1:2  = 0001
  @3    = 01..06
  @12   ~ m/^(?s:.*)\x00(?<version>[0-9]+\.[0-9]+\.[0-9]+[^\x00]*)\x00[\x00-\x4f][\x00\x01]...[^\x00]+\x00....[\x00-\x03][\x00\x01]$/
  control q@2 ^ 80
  version "$version"
  step  le16(len) 00 x?4             # asked in other words, it says the same
  len   = 40..255
  @0    = len
  @1:2  = 0001
  match   0b00000102030405060708 > 3c0001 0400 9a470b00 9a470b00 0f000a "Unnamed Server" 00 "1.10.3" 00 16 00 19 00 00 "Random Map" 00 00010001 00 01 then 07000001020304 > 3c0001 0400 9a470b00 9a470b00 0f000a "Unnamed Server" 00 "1.10.3" 00 16 00 19 00 00 "Random Map" 00 00010001 00 01
  nomatch 0b00000102030405060708 > 030001

service chocolate-doom
  title "Doom server (Chocolate Doom and its kin)"
  ports udp 2342
  from  "Chocolate Doom's src/net_structrw.c; observed on chocolate-doom 3.0.0, crispy-doom 5.12.0"

# The query of the game's list of servers. 2 bytes get some 60.
sig chocolate-doom
  nofresh
  send  000d
  len   = 16..1400
  @0:2  = 000e
  any @2 starts "Chocolate Doom "
  any @2 starts "Crispy Doom "
  any @ has "\0CHOCOLATE_DOOM_"     # the first of the protocols that it speaks, since 3.0
  @2    ~ m/^(?<product>[A-Z][A-Za-z -]*?) (?<version>[0-9][^\x00 ]*)\x00....[^\x00]*\x00/
  control q@0 ^ 40
  product "$product"
  version "$version"
  match   000d > 000e "Chocolate Doom 3.0.0" 00000000080400 "Unnamed server" 00 01 "CHOCOLATE_DOOM_0" 00
  match   000d > 000e "Crispy Doom 5.12.0" 00000000080400 "Unnamed server" 00 01 "CHOCOLATE_DOOM_0" 00
  match   000d > 000e "Chocolate Doom 2.3.0" 00000000040000 "Unnamed server" 00
  nomatch 000d > 000f "Chocolate Doom 3.0.0" 00000000080400 "Unnamed server" 00 01 "CHOCOLATE_DOOM_0" 00
  nomatch 000d > 000e "Strawberry Doom 3.0.0" 00000000080400 "Unnamed server" 00

service enet
  title "ENet host (Cube 2, Red Eclipse, Godot, 0 A.D. …)"
  from  "ENet 1.3's include/enet/protocol.h; observed on 1.3.17 (cube2-server)"

# A connection's first packet. The answer verifies our choices: the channels, how packets are throttled, our connection's
# number. Nothing is connected before that is acknowledged: the host repeats it for some seconds, then forgets us.
sig enet
  send  8fff time?2 82ff 0001 00 peer?1 ffff 00000578 00010000 00000001 00*8 00001388 00000002 00000002 id?4 00*4
  len   = 48
  @0    = 80 or 90 or a0 or b0       # its time follows; a session's number; our peer, below 256
  @1    = $peer
  @4:4  = 83ff0001                   # verify connect, on no channel, the first command of all
  @12:2 = 0000                       # so much at once, not more than we said
  @20:4 = 00000001
  @32:12 = q@32:12
  @44:4 = $id
  control q@4 ^ 01
  match   8fff1a2b 82ff0001 0012 ffff 00000578 00008000 00000001 00*8 00001388 00000002 00000002 c0ffee77 00*4 > a0129eeb 83ff0001 0000 0202 00000578 00008000 00000001 00*8 00001388 00000002 00000002 c0ffee77
  nomatch 8fff1a2b 82ff0001 0012 ffff 00000578 00008000 00000001 00*8 00001388 00000002 00000002 c0ffee77 00*4 > a0129eeb 83ff0001 0000 0202 00000578 00008000 00000001 00*8 00001388 00000002 00000002 c0ffee76
  nomatch 8fff1a2b 82ff0001 0012 ffff 00000578 00008000 00000001 00*8 00001388 00000002 00000002 c0ffee77 00*4 > a0129eeb 82ff0001 0000 0202 00000578 00008000 00000001 00*8 00001388 00000002 00000002 c0ffee77

service quake3
  title "Quake III or a descendant"
  ports udp 27960-27970,27950,26000-26010,44400,20000
  from  "id Software's and ioquake3's code/server/sv_main.c; observed on ioquake3 1.36 with OpenArena's game"

# The question of the game's list of servers: the challenge comes back, at the end or in the middle. 23 bytes get some 170; who
# is named is asked once for its status, which may be 1.4 kB.
sig quake3
  send  ffffffff "getinfo " c?11:alnum
  @0:4  = ffffffff
  @4:13 = "infoResponse\n"
  @17   = 5c
  @18 has "challenge\\"
  @18 has $c
  soft @18 ~ m/(?:^|\\)gamename\\(?<product>[^\\]+)/
  control q@4 ^ 01
  product "$product"
  soft step ffffffff "getstatus " c?11:alnum
  @0:4  = ffffffff
  @4:15 = "statusResponse\n"
  @19 has $c
  @19   ~ m/\\version\\(?<version>[^\\ ]+(?: [^\\ ]+)?)/
  version "$version"
  match   ffffffff "getinfo abcdefghijk" > ffffffff "infoResponse\n\\voip\\opus\\g_needpass\\0\\pure\\0\\gametype\\0\\sv_maxclients\\8\\g_humanplayers\\0\\clients\\0\\mapname\\nm\\hostname\\noname\\protocol\\68\\gamename\\Quake3Arena\\challenge\\abcdefghijk"
  match   ffffffff "getinfo abcdefghijk" > ffffffff "infoResponse\n\\challenge\\abcdefghijk\\sv_maxclients\\8\\clients\\0\\mapname\\nm\\hostname\\noname\\protocol\\68"
  match   ffffffff "getinfo abcdefghijk" > ffffffff "infoResponse\n\\gamename\\Xonotic\\modname\\data\\gameversion\\800\\sv_maxclients\\24\\clients\\4\\bots\\2\\mapname\\stormkeep\\hostname\\a server\\protocol\\3\\challenge\\abcdefghijk"
  nomatch ffffffff "getinfo abcdefghijk" > ffffffff "infoResponse\n\\challenge\\abcdefghijl\\sv_maxclients\\8\\clients\\0\\mapname\\nm\\hostname\\noname\\protocol\\68"
  nomatch ffffffff "getinfo abcdefghijk" > ffffffff "statusResponse\n\\challenge\\abcdefghijk\\sv_maxclients\\8\\clients\\0\\mapname\\nm\\hostname\\noname\\protocol\\68"

service doom3
  title "Doom 3, Quake 4 or another id Tech 4 game"
  ports udp 27666,28004,27733
  from  "Doom 3's and dhewm3's framework/async/AsyncServer.cpp, ProcessGetInfoMessage; no server tried"

# 15 bytes get some 300.
sig doom3
  send  ffff "getInfo" 00 c?4
  @0:2  = ffff
  @2:13 = "infoResponse\0"
  @15:4 = $c
  soft @19 ~ m/\x00gamename\x00(?<product>[^\x00]+)\x00/
  soft @19 ~ m/\x00si_version\x00(?<version>[^\x00]+)\x00/
  control q@2 ^ 80
  product "$product"
  version "$version"
  match   ffff "getInfo" 00 01020304 > ffff "infoResponse" 00 01020304 29000100 "si_version" 00 "DOOM 1.3.1.1304 linux-x86" 00 "gamename" 00 "baseDOOM-1" 00 0000 00
  nomatch ffff "getInfo" 00 01020304 > ffff "infoResponse" 00 01020305 29000100 "si_version" 00 "DOOM 1.3.1.1304 linux-x86" 00 "gamename" 00 "baseDOOM-1" 00 0000 00

service quake3-master
  title "Master server of Quake III's kin (dpmaster)"
  ports udp 27950
  from  "dpmaster's doc/techinfo.txt; no server tried"

# Asked for the servers of a game that nobody plays, it sends an empty list: 39 bytes get 29.
sig quake3-master
  nofresh
  send  ffffffff "getservers " g?11:alpha " 3 empty full"
  @0:4  = ffffffff
  @4:18 = "getserversResponse"
  @22   = 5c
  @-7:7 = "\\EOT\0\0\0"
  control q@4 ^ 80
  match   ffffffff "getservers abcdefghijk 3 empty full" > ffffffff "getserversResponse\\EOT" 000000
  nomatch ffffffff "getservers abcdefghijk 3 empty full" > ffffffff "getserversRespond\\EOT" 000000

service quake2
  title "Quake II or a descendant"
  ports udp 27910-27930
  from  "id Software's Quake II server/sv_main.c, SVC_Status; no server tried"

# 14 bytes get some 300, and 30 for each player.
sig quake2
  nofresh
  send  ffffffff "status 01\n"
  @0:4  = ffffffff
  @4:7  = "print\n\\"
  @11   ~ m/^(?:[^\n]*\\)?mapname\\[^\n]*\n/
  soft @11 ~ m/\\version\\(?<version>[^\\\n]+)/
  soft @11 ~ m/\\gamename\\(?<product>[^\\\n]+)/
  control q@4 ^ 80
  product "$product"
  version "$version"
  match   ffffffff "status 01\n" > ffffffff "print\n\\mapname\\q2dm1\\needpass\\0\\gamedate\\Nov 30 2001\\gamename\\baseq2\\maxspectators\\4\\maxclients\\8\\protocol\\34\\cheats\\0\\timelimit\\0\\fraglimit\\0\\dmflags\\16\\deathmatch\\1\\version\\3.21 x86 Jan 1 2002 Linux\\hostname\\noname\n"
  nomatch ffffffff "status 01\n" > ffffffff "prind\n\\mapname\\q2dm1\\needpass\\0\n"

service quakeworld
  title "QuakeWorld server"
  ports udp 27500-27510
  from  "id Software's QuakeWorld server/sv_main.c, SVC_Status; observed on mvdsv 0.35"

# 14 bytes get some 300; 1, for servers that understand it: without the players, who are 40 each.
sig quakeworld
  nofresh
  send  ffffffff "status 01\n"
  @0:4  = ffffffff
  @4:2  = "n\\"
  @5    ~ m/^(?:[^\n]*\\)?\*version\\(?:(?<product>[A-Za-z]+) )?(?<version>[^\\\n]+)/
  control q@4 ^ 80
  product "$product"
  version "$version"
  match   ffffffff "status 01\n" > ffffffff "n\\*version\\MVDSV 0.35\\maxfps\\77\\pm_ktjump\\1\\*gamedir\\qw\\map\\start\\hostname\\unnamed\n" 00
  nomatch ffffffff "status 01\n" > ffffffff "m\\*version\\MVDSV 0.35\\maxfps\\77\\pm_ktjump\\1\\*gamedir\\qw\\map\\start\\hostname\\unnamed\n" 00

service quake
  title "Quake server (NetQuake)"
  ports udp 26000-26010
  from  "id Software's Quake net_dgrm.c, CCREQ_SERVER_INFO; no server tried"

# 13 bytes get some 50.
sig quake
  nofresh
  send  8000 be16(len) 02 "QUAKE" 00 03 00       # the last is not read: without it, our version would echo as theirs
  @0:2  = 8000
  @2:2  = len
  @4    = 83                         # answers "who are you"
  @5    ~ m/^[^\x00]+:[0-9]+\x00[^\x00]*\x00[^\x00]+\x00[\x00-\xff]{2}\x03$/
  @-1   = 03
  control q@4 ^ 80
  match   8000000d 02 "QUAKE" 00 03 00 > 80000026 83 "127.0.0.1:26000" 00 "UNNAMED" 00 "start" 00 000803
  nomatch 8000000d 02 "QUAKE" 00 03 00 > 80000025 83 "127.0.0.1:26000" 00 "UNNAMED" 00 "start" 00 000803

service source-engine
  title "Source or GoldSrc game server"
  ports udp 27015-27050,7777-7790,2457,28015,15777
  from  "Valve's Developer Wiki, Server queries; no server tried"

# Since 2020 a server gives a challenge to whoever asks without: 25 bytes get 9, then 29 get some 100. Nothing of ours comes back.
sig source
  nofresh
  send  ffffffff 54 "Source Engine Query" 00
  @0:5  = ffffffff41
  len   = 9
  control q@4 ^ 80
  step  ffffffff 54 "Source Engine Query" 00 r@5:4
  @0:5  = ffffffff49
  soft @6 ~ m/^[^\x00]*\x00[^\x00]+\x00[^\x00]*\x00(?<product>[^\x00]*)\x00[\x00-\xff]{5}[dlpDLP][lwmoLWMO][\x00\x01][\x00\x01](?<version>[^\x00]+)\x00/
  product "$product"
  version "$version"
  match   ffffffff 54 "Source Engine Query" 00 > ffffffff 41 0a0b0c0d then ffffffff 54 "Source Engine Query" 00 0a0b0c0d > ffffffff 49 11 "A server" 00 "de_dust2" 00 "csgo" 00 "Counter-Strike: Global Offensive" 00 da02 05 14 00 "dl" 00 01 "1.38.5.4" 00 81 8769
  nomatch ffffffff 54 "Source Engine Query" 00 > ffffffff 42 0a0b0c0d
  nomatch ffffffff 54 "Source Engine Query" 00 > ffffffff 41 0a0b0c0d then ffffffff 54 "Source Engine Query" 00 0a0b0c0d > ffffffff 41 0e0f0c0d

# Until then it told at once: 25 bytes get some 100. Its header alone would not do, so it is asked who plays, without a
# challenge, for which it gives one: 9 bytes for 9.
sig source-2004
  nofresh
  send  ffffffff 54 "Source Engine Query" 00
  @0:5  = ffffffff49
  @6    ~ m/^[^\x00]*\x00[^\x00]+\x00[^\x00]*\x00(?<product>[^\x00]*)\x00[\x00-\xff]{5}[dlpDLP][lwmoLWMO][\x00\x01][\x00\x01](?<version>[^\x00]+)\x00/
  control q@4 ^ 80
  product "$product"
  version "$version"
  step  ffffffff 55 ffffffff
  len   = 9
  @0:5  = ffffffff41
  match   ffffffff 54 "Source Engine Query" 00 > ffffffff 49 11 "A server" 00 "de_dust2" 00 "csgo" 00 "Counter-Strike: Global Offensive" 00 da02 05 14 00 "dl" 00 01 "1.38.5.4" 00
  nomatch ffffffff 54 "Source Engine Query" 00 > ffffffff 49 11 "A server" 00 "de_dust2" 00 "csgo" 00 "Counter-Strike: Global Offensive" 00 da02 05 14 00 "xx" 00 01 "1.38.5.4" 00

# GoldSrc before it learned that format.
sig goldsrc
  nofresh
  send  ffffffff 54 "Source Engine Query" 00
  @0:5  = ffffffff6d
  @5    ~ m/^[^\x00]+:[0-9]+\x00[^\x00]*\x00[^\x00]+\x00[^\x00]*\x00(?<product>[^\x00]*)\x00[\x00-\xff]{3}[dlpDLP][lwmoLWMO][\x00\x01]/
  control q@4 ^ 80
  product "$product"
  step  ffffffff 55 ffffffff
  len   = 9
  @0:5  = ffffffff41
  match   ffffffff 54 "Source Engine Query" 00 > ffffffff 6d "127.0.0.1:27015" 00 "A server" 00 "crossfire" 00 "valve" 00 "Half-Life" 00 00 10 2f "dl" 00 00 01 00
  nomatch ffffffff 54 "Source Engine Query" 00 > ffffffff 6d "127.0.0.1:27015" 00 "A server" 00 "crossfire" 00 "valve" 00 "Half-Life" 00 00 10 2f "xx" 00 00 01 00

service raknet
  title "RakNet host (Minecraft Bedrock and others)"
  ports udp 19132,19133
  from  "RakNet's MessageIdentifiers.h and RakPeer.cpp, ID_UNCONNECTED_PING; wiki.vg, Raknet Protocol; no server tried"

# 33 bytes get 33, and what the game adds (some 90 of Minecraft's).
sig raknet
  send  01 t?8 00ffff00fefefefefdfdfdfd12345678 g?8
  len   >= 33
  @0    = 1c
  @1:8  = $t
  @17:16 = 00ffff00fefefefefdfdfdfd12345678
  soft @33 ~ m/^[\x00-\xff]{2}(?<product>MCPE|MCEE);[^;]*;[0-9]+;(?<version>[0-9.]+);/
  control q@9 ^ ff
  product "$product"
  version "$version"
  match   01 0000000012345678 00ffff00fefefefefdfdfdfd12345678 1112131415161718 > 1c 0000000012345678 a1a2a3a4a5a6a7a8 00ffff00fefefefefdfdfdfd12345678 0037 "MCPE;Dedicated Server;390;1.14.60;0;10;132538923;world;"
  nomatch 01 0000000012345678 00ffff00fefefefefdfdfdfd12345678 1112131415161718 > 1c 0000000012345679 a1a2a3a4a5a6a7a8 00ffff00fefefefefdfdfdfd12345678

service minecraft
  title "Minecraft server's query port"
  ports udp 25565
  from  "wiki.vg, Query (GameSpy 4); no server tried"

# The handshake of GameSpy's third query protocol, whose id Minecraft wants without high nibbles. It draws its challenge below
# 2^24; others use all of 32 bits. 7 bytes get up to 14.
sig minecraft
  send  fefd 09 id?4
  len   = 10..14
  @0    = 09
  @1:4  & 0f0f0f0f = q@3:4
  @-1   = 00
  @5    = 31..39                     # at least four digits, but for one in 16,000
  @6    = 30..39
  @7    = 30..39
  @8    = 30..39
  @9    ~ m/^[0-9]{0,4}\x00$/
  control q@0 ^ 80
  match   fefd 09 31323334 > 09 31323334 "9513307" 00
  nomatch fefd 09 31323334 > 09 31323335 "9513307" 00

service gamespy
  title "GameSpy's first query protocol (Unreal, Battlefield 1942 …)"
  ports udp 7778,7777,23000,22000,28900,6515
  from  "GameSpy's Query & Reporting SDK as Unreal Tournament's UdpServerQuery speaks it; no server tried"

# The shortest of its questions: 7 bytes get some 80.
sig gamespy
  nofresh
  send  "\\basic\\"
  @0    = 5c
  @ has "\\queryid\\"
  @1    ~ m/^(?:[^\x00]*\\)?gamename\\(?<product>[^\\]+)\\(?:gamever\\(?<version>[^\\]+)\\)?/
  control q@1 ^ 80
  product "$product"
  version "$version"
  match   "\\basic\\" > "\\gamename\\ut\\gamever\\436\\minnetver\\432\\location\\0\\final\\\\queryid\\52.1"
  nomatch "\\basic\\" > "\\gamename\\ut\\gamever\\436\\minnetver\\432\\location\\0\\final\\"

service ase
  title "All-Seeing Eye query (Multi Theft Auto)"
  ports udp 22126,22003
  from  "MTA's Server/mods/deathmatch/logic/ASE.cpp; All-Seeing Eye's protocol as qstat knows it; no server tried"

# 1 byte gets some 100, and 20 for each player.
sig ase
  nofresh
  send  "s"
  @0:4  = "EYE1"
  @4:4  = 046d7461                   # "mta", its length in front
  @8    ~ m/^[\x02-\x06][0-9]{1,5}[\x01-\xff]/
  control q@0 ^ 80
  product "Multi Theft Auto"
  match   "s" > "EYE1" 04 "mta" 06 "22003" 09 "A server" 12 "MTA:San Andreas" 05 "None" 04 "1.5" 02 "0" 02 "0" 03 "32" 01
  nomatch "s" > "EYE2" 04 "mta" 06 "22003" 09 "A server" 12 "MTA:San Andreas" 05 "None" 04 "1.5" 02 "0" 02 "0" 03 "32" 01

service sauerbraten
  title "Cube 2: Sauerbraten, what is played"
  ports udp 28786
  from  "observed on Debian's cube2-server (protocol 260)"

# The port after the one that players connect to (that one is an ENet host) sends the question back, a number in five bytes here,
# and behind it: players, five or seven numbers, the first of them the protocol in three bytes. 5 bytes get some 20.
sig sauerbraten
  echoes
  send  81 t?4
  len   = 12..120
  @0:5  = q@0:5
  @6    = 05 or 07
  @7    = 80
  @8    = 00..06
  @9    = 01
  product "Sauerbraten"
  match   8111223344 > 8111223344 00 05 800401 00 00 08 00 00 00
  nomatch 8111223344 > 8111223344
  nomatch 8111223344 > 8111223344 00 05 810401 00 00 08 00 00 00
  nomatch 8111223344 > 8111223344 00 0f 80e600 03 00 805802 20 00 808613 00 01 06 00 02 40 00 00 "untitled" 00 00 00

service redeclipse
  title "Red Eclipse, what is played"
  ports udp 28802
  from  "observed on Debian's redeclipse-server 1.6.0"

# The same with fifteen numbers, of which the first is the version. 5 bytes get some 40.
sig redeclipse
  echoes
  send  81 t?4
  len   = 24..400
  @0:5  = q@0:5
  @6    = 0f..12
  @7    = 80
  @8    = d8..ff
  @9    = 00
  @-1   = 00
  product "Red Eclipse"
  match   8111223344 > 8111223344 00 0f 80e600 03 00 805802 20 00 808613 00 01 06 00 02 40 00 00 "untitled" 00 00 00
  nomatch 8111223344 > 8111223344 00 05 800401 00 00 08 00 00 00 0000000000000000

# Not here, and why:
# - what AssaultCube tells, and San Andreas Multiplayer: neither could be tried;
# - RakNet 2, as in Blobby Volley 2: one byte gets one byte (01: 0f, 0d: 0e), which proves too little;
# - Freeciv's, Crossfire's and other games' broadcasts: they answer in their own network, or speak unasked;
# - ENet hosts that want a checksum: the sum covers its own place as zeros.
