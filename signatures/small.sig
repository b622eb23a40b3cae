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
  @4    = add(@3,01)
  @8    = add(@7,01)
  @11   = add(@10,01)
  @12   = add(@11,01)
  @13   = add(@12,01)
  len   >= 16
  match   "\r\n" > " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n"
  nomatch "\r\n" > " !\"#%%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n"

sig chargen-closing
  nofresh
  send  "\r\n"
  @21   = add(@20,01)
  @22   = add(@21,01)
  @24   = add(@23,01)
  @28   = add(@27,01)
  @31   = add(@30,01)
  @32   = add(@31,01)
  @33   = add(@32,01)
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
