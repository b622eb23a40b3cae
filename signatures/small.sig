# The small old services of inetd, and others that do one thing. `echo` has no signature: the prober knows one when all that it
# sends comes back. `discard` never answers. What a quote of the day (RFC 865) says is anybody's text: nothing proves one.

service daytime
  title "Date and time as text"
  ports udp 13
  from  "RFC 867; observed on inetutils-inetd 2.4, openbsd-inetd 0.20221205, xinetd 2.3.15"

sig daytime-ctime                    # Sun Nov 22 16:13:10 2026
  nofresh
  send  "\r\n"
  len   = 24..26
  @0:3  = "Mon" or "Tue" or "Wed" or "Thu" or "Fri" or "Sat" or "Sun"
  @3    = 20
  @4:3  = "Jan" or "Feb" or "Mar" or "Apr" or "May" or "Jun" or "Jul" or "Aug" or "Sep" or "Oct" or "Nov" or "Dec"
  @7    = 20
  @8    = 20 or 30..33
  @9    = 30..39
  @10   = 20
  @11   = 30..32
  @12   = 30..39
  @13   = 3a
  @14   = 30..35
  @15   = 30..39
  @16   = 3a
  @17   = 30..36
  @18   = 30..39
  @19   = 20
  @20:2 = 3230                       # this century
  @22:2 ~ digits
  match   "\r\n" > "Sun Nov 22 16:13:10 2026\r\n"
  nomatch "\r\n" > "Sun Nov 22 16-13-10 2026\r\n"
  nomatch "\r\n" > "Sun Nov 22 16:13:10 2026 and all is well\r\n"

sig daytime-dmy                      # 22 NOV 2026 16:13:13 UTC
  nofresh
  send  "\r\n"
  len   = 20..32
  @0    = 20 or 30..33
  @1    = 30..39
  @2    = 20 or 2d
  @3:3  = "JAN" or "FEB" or "MAR" or "APR" or "MAY" or "JUN" or "JUL" or "AUG" or "SEP" or "OCT" or "NOV" or "DEC"
  @6    = 20 or 2d
  @7:2  = 3230
  @9:2  ~ digits
  @11   = 20
  @12   = 30..32
  @13   = 30..39
  @14   = 3a
  @15   = 30..35
  @16   = 30..39
  @17   = 3a
  @18   = 30..36
  @19   = 30..39
  match   "\r\n" > "22 NOV 2026 16:13:13 UTC\r\n"
  nomatch "\r\n" > "22 NOV 1026 16:13:13 UTC\r\n"

service time
  title "Seconds since 1900"
  ports udp 37
  from  "RFC 868; observed on openbsd-inetd 0.20221205, xinetd 2.3.15, inetutils-inetd 2.4"

sig time
  nofresh
  send  "\r\n"
  len   = 4
  @0:4  ~ now.ntp 600s
  match   "\r\n" > eead9317
  nomatch "\r\n" > eead931700

sig time-long                        # of a machine whose long integers have 8 bytes
  nofresh
  send  "\r\n"
  len   = 8
  @0:4  ~ now.ntp 600s
  @4:4  = 00000000
  from  "observed on inetutils-inetd 2.4"
  match   "\r\n" > eead90d600000000
  nomatch "\r\n" > eead90d600000001

# The ring of printable characters may close anywhere, but not at the start and further on as well.
service chargen
  title "Characters without end"
  ports udp 19
  from  "RFC 864; observed on inetutils-inetd 2.4, openbsd-inetd 0.20221205, xinetd 2.3.15"

sig chargen
  nofresh
  send  "\r\n"
  @1    = add(@0,01)
  @2    = add(@1,01)
  @3    = add(@2,01)
  @4    = add(@3,01)
  @5    = add(@4,01)
  @6    = add(@5,01)
  @7    = add(@6,01)
  @8    = add(@7,01)
  @9    = add(@8,01)
  @10   = add(@9,01)
  len   >= 16
  match   "\r\n" > " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n"
  nomatch "\r\n" > " !\"#%%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n"

sig chargen-closing
  nofresh
  send  "\r\n"
  @21   = add(@20,01)
  @22   = add(@21,01)
  @23   = add(@22,01)
  @24   = add(@23,01)
  @25   = add(@24,01)
  @26   = add(@25,01)
  @27   = add(@26,01)
  @28   = add(@27,01)
  @29   = add(@28,01)
  @30   = add(@29,01)
  len   >= 36
  match   "\r\n" > "{|}~ !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abc\r\n"
  nomatch "\r\n" > "{|}~ !\"#$%&'()*+,-./012355789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abc\r\n"

# A question of no known type: its answer goes to the address that stands in it, which is ours.
service talk
  title "Talk daemon"
  ports udp 518,517
  from  "observed on talkd 0.17 (in.talkd, in.ntalkd), inetutils-talkd 2.4"

sig ntalk
  send  01 t?1:alnum 00*6 0002 my.port my.ip 00*8 0002 my.port my.ip 00*8 00000000 "mynah" 00*7 "nobody" 00*6 00*16
  len   = 24
  @0    = 01
  @1    = $t
  @2    = 05                         # UNKNOWN_REQUEST
  @4:4  = 00000000                   # no invitation
  control q@0 ^ 60                   # another version is another error
  match   01 61 00*6 0002 fd0b 7f000001 00*8 0002 fd0b 7f000001 00*8 00000000 "mynah" 00*7 "nobody" 00*6 00*16 > 016105ed000000000d0000000000000000000000827f0000
  match   01 61 00*6 0002 fd0b 7f000001 00*8 0002 fd0b 7f000001 00*8 00000000 "mynah" 00*7 "nobody" 00*6 00*16 > 016105560000000000000000000000007086a3c2fc7f0000
  nomatch 01 61 00*6 0002 fd0b 7f000001 00*8 0002 fd0b 7f000001 00*8 00000000 "mynah" 00*7 "nobody" 00*6 00*16 > 016205560000000000000000000000007086a3c2fc7f0000
  nomatch 01 61 00*6 0002 fd0b 7f000001 00*8 0002 fd0b 7f000001 00*8 00000000 "mynah" 00*7 "nobody" 00*6 00*16 > 016106560000000000000000000000007086a3c2fc7f0000

service pyzor
  title "Pyzor, digests of spam"
  ports udp 24441
  from  "Pyzor's documentation, chapter Protocol; observed on pyzord 1.0.0"

sig pyzor
  send  "Op: ping\nThread: " t?5:digit "\nPV: 2.1\n\n"
  @ starts "Code: "
  @6:3  ~ digits
  @ has "Diag: "
  @ has "PV: "
  h.thread = $t
  match   "Op: ping\nThread: 23456\nPV: 2.1\n\n" > "Code: 200\nDiag: OK\nPV: 2.1\nThread: 23456\n\n"
  nomatch "Op: ping\nThread: 23456\nPV: 2.1\n\n" > "Code: 200\nDiag: OK\nPV: 2.1\nThread: 23457\n\n"

service lbcd
  title "Load balance client daemon"
  ports udp 4330
  from  "observed on lbcd 3.5.2"

sig lbcd
  send  0003 id?2 0001 0000
  len   >= 40
  @0:2  = 0003 or 0002
  @2:2  = $id
  @4:2  = 0001
  @6:2  = 0001                       # ok
  @8:4  <= @12:4                     # it booted before now
  @12:4 ~ now.unix 12h
  match   0003 a1a2 0001 0000 > 0003a1a2000100016b02de8d6b0315ec00000000022f02c5025e000000000000000000000000068d000000c8
  nomatch 0003 a1a2 0001 0000 > 0003a1a3000100016b02de8d6b0315ec00000000022f02c5025e000000000000000000000000068d000000c8

service sockperf
  title "sockperf server"
  ports udp 11111
  from  "sockperf's message header; observed on sockperf 3.7"

# The message comes back with the client's bit taken out.
sig sockperf
  send  seq?8 0003 be32(len) x?6
  len   = 20
  @0:8  = $seq
  @8:2  = 0002                       # asks for a pong; not from a client
  @10:4 = len
  @14:6 = $x
  control q@9 ^ 01
  match   0000000011223344 0003 00000014 616263646566 > 0000000011223344 0002 00000014 616263646566
  nomatch 0000000011223344 0003 00000014 616263646566 > 0000000011223344 0001 00000014 616263646566

# A server that is asked to send sends: two datagrams of 160 bytes, the second says that it was the last.
service iperf
  title "iperf 2 server"
  ports udp 5001
  from  "iperf 2's datagram header; observed on iperf 2.1.8"

sig iperf
  nofresh
  send  00000001 6b031c4c 000eaa7b 00000000 6c010098 00000001 0000 peer.port 000000a0 00000000
  send  000000a0 00*8 04000000 00020001 00080003 00000000 00100000 pad 160
  len   = 160
  @0:4  = 00000000 or 00000001       # the first datagram
  @4:4  ~ now.unix 90d
  @12:4 = 00000000
  @16:20 = "67890123456789012345"
  match   00000001 6b031c4c 000eaa7b 00000000 6c010098 00000001 00005dbb 000000a0 00000000 000000a0 00*8 04000000 00020001 00080003 00000000 00100000 00*92 > 000000016b031c4c000eaddc00000000363738393031323334353637383930313233343536373839303132333435363738393031323334353637383930313233343536373839303132333435363738393031323334353637383930313233343536373839303132333435363738393031323334353637383930313233343536373839303132333435363738393031323334353637383930313233343536373839
  nomatch 00000001 6b031c4c 000eaa7b 00000000 6c010098 00000001 00005dbb 000000a0 00000000 000000a0 00*8 04000000 00020001 00080003 00000000 00100000 00*92 > 000000016b031c4c000eaddc00000000303132333435363738393031323334353637383930313233343536373839303132333435363738393031323334353637383930313233343536373839303132333435363738393031323334353637383930313233343536373839303132333435363738393031323334353637383930313233343536373839303132333435363738393031323334353637383930313233

# The first of two handshakes, which asks for a cookie.
service srt
  title "Secure Reliable Transport listener"
  ports udp 9000,1935,4900,7001,8890,10080
  from  "draft-sharabayko-srt section 3.2.1 and 4.3.1; observed on srt-live-transmit 1.5.1"

sig srt
  send  80000000 00000000 t?4 00000000 00000004 00000002 2b sn?3 000005dc 00002000 00000001 sock?4 00000000 my.ip 00*12
  len   >= 64
  @0:4  = 80000000                   # a handshake
  @12:4 = $sock                      # for our socket
  @16:4 = 00000005                   # in version 5,
  @22:2 = 4a17                       # by its mark SRT's
  @25:3 = $sn                        # our number of the first packet
  @36:4 = 00000001                   # still the first handshake
  @44:4 != 00000000                  # the cookie
  control q@3 ^ 0f                   # another control packet, in no connection
  match   80000000 00000000 00001234 00000000 00000004 00000002 2b3c4d5e 000005dc 00002000 00000001 3a4b5c6d 00000000 0100007f 00*12 > 80000000000000000c8da7593a4b5c6d0000000500004a172b3c4d5e000005dc00002000000000013a4b5c6dbc9abf4e0100007f000000000000000000000000
  nomatch 80000000 00000000 00001234 00000000 00000004 00000002 2b3c4d5e 000005dc 00002000 00000001 3a4b5c6d 00000000 0100007f 00*12 > 80000000000000000c8da7593a4b5c6d0000000500004a182b3c4d5e000005dc00002000000000013a4b5c6dbc9abf4e0100007f000000000000000000000000

# Is the other side alive? Who does not know us says so, and gives back what we said.
service gprs-ns
  title "GPRS network service (Gb over IP)"
  ports udp 23000,22000,23020
  from  "3GPP TS 48.016 sections 9.2.1, 9.2.7, 10.3; observed on osmo-sgsn 1.9.0"

sig gprs-ns
  send  0a n?10
  @0    = 08                         # NS-STATUS,
  @1    = 00                         # its cause …
  @2    = 81
  @3    < 12                         # … one that the standard knows,
  @4    = 02                         # and what it is about
  @5    = 8b                         # 11 bytes
  @6    = 0a
  @7:10 = $n
  len   = 17
  match   0a 01020304050607080910 > 0800810a028b0a01020304050607080910
  nomatch 0a 01020304050607080910 > 0800810a028c0a01020304050607080910
