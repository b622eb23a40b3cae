# Swarms: who they are is no secret among them.

service bittorrent-dht
  title "BitTorrent DHT node"
  ports udp 6881-6889,51413,6890-6999,49152-65535
  from  "BEP 5; observed on libtorrent-rasterbar 2.0.8, libtorrent (rakshasa) 0.13.8, aria2 1.36.0, transmission 3.00"

sig bittorrent-dht
  send  "d1:ad2:id20:" n?20 "e1:q4:ping1:t4:" t?4 "1:y1:qe"
  @0    = "d"
  ben./t = $t
  ben./y = "r"
  len.ben./r/id = 20
  control q@36 ^ 20                  # a key in capitals is none that they know
  case  ben./v starts "LT"
    product "libtorrent (Rasterbar)"
  case  ben./v starts "lt"
    product "libTorrent (rTorrent)"
  case  ben./v starts "A2"
    product "aria2"
  case  ben./v starts "UT"
    product "uTorrent"
  case  ben./v starts "TR"
    product "Transmission"
  case  ben./y = "r"
  match   "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t4:abcd1:y1:qe" > "d1:rd2:id20:mnopqrstuvwxyz123456e1:t4:abcd1:y1:re"
  match   "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t4:abcd1:y1:qe" > "d2:ip6:" 7f000001ad94 "1:rd2:id20:" 640304002bd67163fdc4abec5a84e9b19f47c3bd "1:pi44436ee1:t4:abcd1:v4:LT" 0208 "1:y1:re"
  nomatch "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t4:abcd1:y1:qe" > "d1:rd2:id20:mnopqrstuvwxyz123456e1:t4:abce1:y1:re"
  nomatch "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t4:abcd1:y1:qe" > "d1:rd2:id19:mnopqrstuvwxyz12345e1:t4:abcd1:y1:re"
  nomatch "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t4:abcd1:y1:qe" > "d1:ad2:id20:mnopqrstuvwxyz123456e1:q4:ping1:t4:abcd1:y1:qe"

service bittorrent-tracker
  title "BitTorrent tracker over UDP"
  ports udp 6969,1337,80,451,2710,2920,3391
  from  "BEP 15; observed on opentracker 0.0~git20210823"

# Connect, then scrape a torrent that nobody has: it says so in zeros, or that it knows it not.
sig bittorrent-tracker
  send  00000417 27101980 00000000 t?4
  len   = 16
  @0:4  = 00000000
  @4:4  = $t
  @8:8  != 0000041727101980
  control q@4 ^ 80
  step  r@8:8 00000002 t?4 hash?20
  any   @0:4 = 00000002
  any   @0:4 = 00000003
  @4:4  = $t
  match   00000417 27101980 00000000 11223344 > 00000000 11223344 3aa91f55a9037012 then 3aa91f55a9037012 00000002 55667788 41*20 > 00000002 55667788 00*12
  match   00000417 27101980 00000000 11223344 > 00000000 11223344 3aa91f55a9037012 then 3aa91f55a9037012 00000002 55667788 41*20 > 00000003 55667788 "Connection ID missmatch." 00
  nomatch 00000417 27101980 00000000 11223344 > 00000000 11223344 3aa91f55a9037012 then 3aa91f55a9037012 00000002 55667788 41*20 > 00000002 55667789 00*12
  nomatch 00000417 27101980 00000000 11223344 > 00000001 11223344 3aa91f55a9037012

service utp
  title "uTP, BitTorrent's transport"
  ports udp 6881-6889,51413,6890-6999,49152-65535
  from  "BEP 29; observed on transmission 3.00, libtorrent-rasterbar 2.0.8"

# Data for a connection that is none gets a reset and leaves nothing behind. libutp does so, not everybody.
sig utp-reset
  send  01 00 c?2 ts?4 00000000 00001000 s?2 0000 00
  len   = 20
  @0    = 31
  @1    = 00
  @2:2  = $c
  @18:2 = $s
  control q@0 ^ 04                   # a version that is none
  match   0100 3234 be456c93 00000000 00001000 5678 0000 00 > 3100 3234 00000000 00000000 00000000 a042 5678
  nomatch 0100 3234 be456c93 00000000 00001000 5678 0000 00 > 3100 3234 00000000 00000000 00000000 a042 5679
  nomatch 0100 3234 be456c93 00000000 00001000 5678 0000 00 > 2100 3234 00000000 00000000 00000000 a042 5678

# A connection asked for, with the extension bits that clients send: accepted, finished at once, or reset.
sig utp-syn
  send  41 02 c?2 ts?4 00000000 00000000 s?2 0000 0008 00*8
  len   = 20
  @0    = 21 or 11 or 31
  @1    = 00
  @2:2  = $c
  @18:2 = $s
  control q@0 ^ 04
  vary  @7
  match   4102 1234 671011b2 00000000 00001000 5678 0000 0008 00*8 > 1100 1234 af3a9abb 482a88cb 00100000 1c6e 5678
  nomatch 4102 1234 671011b2 00000000 00001000 5678 0000 0008 00*8 > 1100 1235 af3a9abb 482a88cb 00100000 1c6e 5678
  nomatch 4102 1234 671011b2 00000000 00001000 5678 0000 0008 00*8 > 4100 1234 af3a9abb 482a88cb 00100000 1c6e 5678

service opendht
  title "OpenDHT node"
  ports udp 4222
  from  "OpenDHT's wiki, Protocol; observed on dhtnode 2.4.12"

# Its messages are maps of MessagePack; the answer tells our address as it sees it.
sig opendht
  send  85 a161 81 a26964 c414 n?20 a171 a470696e67 a174 ce t?4:pos a179 a171 a176 a4524e4731
  @0    = 83..8f
  @ has "\xa1\x74\xce"
  @ has $t
  @ has "\xa1y\xa1r"
  @1:7  = a17282a26964c4 or a17281a26964c4
  @8    = 14
  any   @29:5 = a27361c404
  any   @29:5 = a27361c410
  soft  @34:4 = my.ip
  control q@1 ^ 20
  match   85a16181a26964c414a5cc4193b04958f09fef0fb02e454bb19aa38651a171a470696e67a174ce11223344a179a171a176a4524e4731 > 84a17282a26964c414451a1231970d665d628956a3a96affaeb6aad98ca27361c4047f000001a174ce11223344a179a172a176a4524e4731
  nomatch 85a16181a26964c414a5cc4193b04958f09fef0fb02e454bb19aa38651a171a470696e67a174ce11223344a179a171a176a4524e4731 > 84a17282a26964c414451a1231970d665d628956a3a96affaeb6aad98ca27361c4047f000001a174ce11223345a179a172a176a4524e4731
  nomatch 85a16181a26964c414a5cc4193b04958f09fef0fb02e454bb19aa38651a171a470696e67a174ce11223344a179a171a176a4524e4731 > 84a16182a26964c414451a1231970d665d628956a3a96affaeb6aad98ca27361c4047f000001a174ce11223344a179a171a176a4524e4731

service memberlist
  title "memberlist gossip (Serf, Consul, Alertmanager)"
  ports udp 7946,8301,8302,9094
  from  "hashicorp/memberlist: net.go; observed on serf 0.9.4, alertmanager 0.25.0"

# A ping for whoever is there. The ack may travel alone, with news of the cluster, or behind a checksum.
sig memberlist
  send  00 82 a5 "SeqNo" ce n?4:pos a4 "Node" a0
  @0    = 02 or 07 or 0c
  @ has "\xa7Payload"
  @ has $n
  control q@0 ^ 80
  match   00 82a55365714e6fce11223344a44e6f6465a0 > 02 82a75061796c6f6164a0a55365714e6fce11223344
  match   00 82a55365714e6fce11223344a44e6f6465a0 > 0702001600520282a75061796c6f6164a0a55365714e6fce112233440486a441646472a47f000001ab496e6361726e6174696f6e01a44d657461a0a44e6f6465ba30314d38315a5335344b544e534e5851355744504b525a4e3639a4506f7274cd7287a356736ea6010502000000
  nomatch 00 82a55365714e6fce11223344a44e6f6465a0 > 02 82a75061796c6f6164a0a55365714e6fce11223345
  nomatch 00 82a55365714e6fce11223344a44e6f6465a0 > 02 82a75061796c6f6164
# Serf packs its ack, which carries coordinates, and our number with it, in LZW.
sig memberlist-packed
  nofresh
  send  00 82 a5 "SeqNo" ce n?4:pos a4 "Node" a0
  @0:7  = 0982a4416c676f             # compressed, { Algo =
  @7:5  = 00a3427566                 # LZW, Buf =
  len   >= 20
  control q@0 ^ 80
  match   00 82a55365714e6fce11223344a44e6f6465a0 > 0982a4416c676f00a3427566da00ae000f0800a009800f01824e41099387cd9b3064b40110148090aa2064d4d49943a74d193774960118497264a92272e4bc91b3ec07be92234d212993e60c9a903ec8e1ab85681c9a78a3ac9419834924cc91468f2685b9b46453924f911e953ab5d49432719cbc711641c40c22040c91c248460ea93f2303ac4ae2664c18396ec2d049f3c64d00524dcad00923ea1f20525ac9942125268d1c32a4a0aca4d36c8caaa073dc980a5040808002050202
  nomatch 00 82a55365714e6fce11223344a44e6f6465a0 > 0982a4416c676f01a3427566da00ae000f0800a009800f0182

service emule-kad
  title "eMule Kad node"
  ports udp 4672,4665,4662-4672
  from  "eMule's and aMule's Kad version 8; observed on amuled 2.3.3"

# Who are you? Then, under the name that it gave: whom do you know near …? That comes back.
sig emule-kad
  send  e401                         # KADEMLIA2_BOOTSTRAP_REQ
  len   >= 23
  @0:2  = e409
  @20   = 02..0b                     # version of Kad
  @22   = 00                         # number of contacts, at most 20
  step  e421 02 target?16 r@2:16     # KADEMLIA2_REQ: two of them
  @0:2  = e429
  @2:16 = $target
  @18   = 00..14
  match   e401 > e409085545fd9699630e44fa8a872ce4a52a5b50080000 then e421022a0fb67b5343d48fd426e934f59921e7085545fd9699630e44fa8a872ce4a52a > e4292a0fb67b5343d48fd426e934f59921e700
  nomatch e401 > e409085545fd9699630e44fa8a872ce4a52a5b50080000 then e421022a0fb67b5343d48fd426e934f59921e7085545fd9699630e44fa8a872ce4a52a > e4292b0fb67b5343d48fd426e934f59921e700
  nomatch e401 > e408085545fd9699630e44fa8a872ce4a52a5b50080000

service tox
  title "Tox bootstrap node"
  ports udp 33445
  from  "toxcore's other/bootstrap_node_packets.c; observed on tox-bootstrapd 0.2.18"

# Version, 1000000000 and three digits each of major, minor, patch, and a text. Nothing of the question comes back.
sig tox
  nofresh
  send  f0 00*77
  len   = 6..261
  @0:4  = f03b9acd..f03b9ad5         # 1000001000 is version 0.1.0
  @-1   = 00
  control q@0 ^ 80                   # 70: no packet of Tox
  @5    ~ m/^(?<motd>[\x20-\x7e]+)/
  extra "$motd"
  match   f0 00*77 > f03b9ad1e2 "birds of a feather" 00
  nomatch f0 00*77 > f0019ad1e2 "birds of a feather" 00
  nomatch f0 00*77 > f03b9ad1e2

service edonkey
  title "eDonkey server"
  ports udp 4665,4246,4665-4672,5004
  from  "eMule's opcodes.h: OP_GLOBSERVSTATREQ and its answer; The eMule Protocol Specification, 2005, section 7.1"

# How many are here? The number that is asked with comes back; its upper half is that of eMule.
sig edonkey-server
  send  e3 96 c?2 aa55
  len   = 14..64
  @0    = e3
  @1    = 97
  @2:4  = q@2:4
  @8:2  != ffff                      # users
  @9    = 00                         # … fewer than 16 million
  @13   = 00
  control q@0 ^ 40
  match   e396 0102 aa55 > e397 0102aa55 3a020000 c1a40100 a0860100 64000000 d0070000 fb010000 05000000
  nomatch e396 0102 aa55 > e397 0103aa55 3a020000 c1a40100 a0860100 64000000 d0070000 fb010000 05000000
