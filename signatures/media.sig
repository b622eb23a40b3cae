# What carries or steers sound and pictures.

service rtpengine
  title "rtpengine media proxy, ng protocol"
  ports udp 2223,22222,12222
  from  "rtpengine's documentation of the ng control protocol; observed on 10.5.3"

sig rtpengine
  send  c?6:alnum " d7:command4:pinge"
  @0:6  = $c
  @6:2  = " d"
  @8 has "6:result4:pong"
  control q@17 ^ 01
  match   "0a13b0 d7:command4:pinge" > "0a13b0 d6:result4:ponge"
  nomatch "0a13b0 d7:command4:pinge" > "0a13b1 d6:result4:ponge"
  nomatch "0a13b0 d7:command4:pinge" > "0a13b0 d7:command4:ponge"

service rtpproxy
  title "RTPproxy control"
  ports udp 22222,7722
  from  "RTPproxy command protocol 20040107; observed on rtpengine 10.5.3, which speaks it too"

# Which version of the protocol: all say that of 2004, and of what they know besides only when asked for it by name. No
# control: a refusal differs from this request in one letter.
sig rtpproxy
  send  c?4:alnum " V"
  @0:4  = $c
  @4:9  = " 20040107"
  @13   = 0a or 0d
  len   = 14..15
  match   "14a0 V" > "14a0 20040107\n"
  nomatch "14a0 V" > "14a0 20040108\n"
  nomatch "14a0 V" > "14a0 E8\n"

service osc
  title "Open Sound Control"
  ports udp 57110,57120,9000,8000,3819
  from  "OSC 1.0; SuperCollider's Server Command Reference; observed on scsynth 3.13.0"

# OSC fixes no answer. This is what the servers of SuperCollider owe, scsynth and supernova.
sig osc-sync
  send  "/sync" 000000 ",i" 0000 n?4
  @0:8  = "/synced\0"
  @8:4  = ",i\0\0"
  @12:4 = $n
  len   = 16
  control q@1 ^ 20
  soft step "/version" 00*4 "," 00*3
  @0:16 = "/version.reply\0\0"
  @16:2 = ",s"
  @ ~ m/^\/version\.reply\0\0,siisss\0(?<product>[a-z]+)\0/
  product "$product"
  match   "/sync" 000000 ",i" 0000 01020304 > "/synced" 00 ",i" 0000 01020304
  nomatch "/sync" 000000 ",i" 0000 01020304 > "/synced" 00 ",i" 0000 01020305
  nomatch "/sync" 000000 ",i" 0000 01020304 > "/syncer" 00 ",i" 0000 01020304

# Synthesizers on rtosc (ZynAddSubFX and kin) list their parameters; asked for one that does not exist they list nothing.
sig osc-paths
  nofresh
  from  "observed on zynaddsubfx 3.0.6"
  send  "/path-search" 00*4 ",ss" 00 "/" 000000 "mynah" 000000
  @0:8  = "/paths\0\0"
  @8    = ","
  @9:3  = 000000
  len   = 12
  control q@12 ^ 20
  match   "/path-search" 00*4 ",ss" 00 "/" 000000 "mynah" 000000 > "/paths" 0000 "," 000000
  nomatch "/path-search" 00*4 ",ss" 00 "/" 000000 "mynah" 000000 > "/paths" 0000 ",s" 0000
  nomatch "/path-search" 00*4 ",ss" 00 "/" 000000 "mynah" 000000 > "/error" 0000 "," 000000
