# TCP services that say who they are when they are asked for a web page, which needs no probe of their own, and a few others.

service irc
  title "Internet relay chat"
  ports tcp 6667,6660-6669,6697
  from  "RFC 2812 sections 3.7.4 and 5.2; observed on ngircd 26.1"

sig irc-oops
  over   tcp
  send   "GET / HTTP/1.0\r\n\r\n"
  @ starts "ERROR :\"Oops, HTTP request received? This is IRC!\""
  product "ngIRCd"
  match   "GET / HTTP/1.0\r\n\r\n" > "ERROR :\"Oops, HTTP request received? This is IRC!\"\r\n"
  nomatch "GET / HTTP/1.0\r\n\r\n" > "ERROR :Closing Link\r\n"

# A server that does not know GET, or does not know us yet: a prefix, the number, to whom, the command.
sig irc-number
  over   tcp
  send   "GET / HTTP/1.0\r\n\r\n"
  @0     = ":"
  @ ~ m/^:[A-Za-z0-9.-]+ (?:421|451) \S+ (?:GET )?:[^\r\n]*(?:[Uu]nknown command|not registered)/
  match   "GET / HTTP/1.0\r\n\r\n" > ":irc.example.net 451 * GET :You have not registered\r\n"
  match   "GET / HTTP/1.0\r\n\r\n" > ":irc.example.net 421 * GET :Unknown command\r\n"
  nomatch "GET / HTTP/1.0\r\n\r\n" > ":irc.example.net 001 * :Welcome\r\n"

# Nobody is known yet, so nothing may be asked.
sig irc-stranger
  over   tcp
  send   "LUSERS\r\n"
  @0     = ":"
  @ ~ m/^:[A-Za-z0-9.-]+ 451 \S+ (?:LUSERS )?:[^\r\n]*not registered/
  match   "LUSERS\r\n" > ":irc.example 451 * LUSERS :You have not registered.\r\n"
  match   "LUSERS\r\n" > ":irc.example 451 * :Connection not registered\r\n"
  nomatch "LUSERS\r\n" > ":irc.example 421 * LUSERS :Unknown command\r\n"

# Most servers say first that they look for the client's name, to nobody yet (*), or to AUTH.
sig irc-notice
  over   tcp
  banner
  until  "\n"
  @0     = ":"
  @ ~ m/^:[A-Za-z0-9._-]+ NOTICE (?:AUTH|\*) :/
  @ has " NOTICE "
  from  "observed on BitlBee 3.6, InspIRCd 3.15"
  match   > ":localhost NOTICE * :BitlBee-IRCd initialized, please go on\r\n"
  match   > ":irc.example.net NOTICE AUTH :*** Looking up your hostname...\r\n"
  nomatch > ":irc.example.net NOTICE bird :hello\r\n"

service xmpp-client
  title "Extensible messaging and presence protocol"
  ports tcp 5222
  from  "RFC 6120 sections 4.7 and 4.9; observed on prosody 0.12"

sig xmpp-stream
  over   tcp
  send   "GET / HTTP/1.0\r\n\r\n"
  @ starts "<?xml version='1.0'?>"
  @ has  "<stream:stream"
  @ has  "xmlns:stream='http://etherx.jabber.org/streams'"
  match   "GET / HTTP/1.0\r\n\r\n" > "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' version='1.0' xmlns='jabber:client'><stream:error>"
  nomatch "GET / HTTP/1.0\r\n\r\n" > "<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><title>stream:stream</title>"

service nut
  title "Network UPS tools"
  ports tcp 3493
  from  "RFC 9271 sections 4.2.4 and 4.3; observed on nut 2.8.0"

# GET is a command there, too; it wants other words.
sig nut
  over   tcp
  send   "GET / HTTP/1.0\r\n\r\n"
  @ starts "ERR INVALID-ARGUMENT\n"
  match   "GET / HTTP/1.0\r\n\r\n" > "ERR INVALID-ARGUMENT\n"
  nomatch "GET / HTTP/1.0\r\n\r\n" > "ERR UNKNOWN COMMAND\n"

service beanstalkd
  title "Beanstalk work queue"
  ports tcp 11300
  from  "protocol.txt of beanstalkd 1.12; observed on beanstalkd 1.12"

sig beanstalkd
  over   tcp
  send   "GET / HTTP/1.0\r\n\r\n"
  @ starts "UNKNOWN_COMMAND\r\n"
  match   "GET / HTTP/1.0\r\n\r\n" > "UNKNOWN_COMMAND\r\n"
  nomatch "GET / HTTP/1.0\r\n\r\n" > "UNKNOWN COMMAND\r\n"

service gearman
  title "Gearman job server"
  ports tcp 4730
  from  "gearman.org protocol, administrative commands; observed on gearmand 1.1.20"

sig gearman
  over   tcp
  send   "GET / HTTP/1.0\r\n\r\n"
  @ starts "ERR UNKNOWN_COMMAND Unknown+server+command"
  match   "GET / HTTP/1.0\r\n\r\n" > "ERR UNKNOWN_COMMAND Unknown+server+commandGET\r\n"
  nomatch "GET / HTTP/1.0\r\n\r\n" > "ERR unknown_command Unknown+command\r\n"

service ms-wbt-server
  title "Remote desktop"
  ports tcp 3389
  from  "MS-RDPBCGR sections 2.2.1.1 and 2.2.1.2, ITU-T X.224 section 13.4; observed on xrdp 0.9.21"

# A connection request that offers TLS and CredSSP: which of them is taken, or why none, is said in the confirmation.
sig rdp
  over   tcp
  send   0300 0013 0e e0 0000 0000 00 01 00 0800 03000000
  len    = 19
  @0:2   = 0300
  @2:2   = len
  @4:2   = 0ed0
  @6:2   = 0000
  @11    = 02 or 03
  @13:2  = 0800
  match   0300 0013 0e e0 0000 0000 00 01 00 0800 03000000 > 0300 0013 0e d0 0000 1234 00 02 01 0800 01000000
  nomatch 0300 0013 0e e0 0000 0000 00 01 00 0800 03000000 > 0300 0013 0e e0 0000 0000 00 01 00 0800 03000000

service telnet
  title "Telnet"
  ports tcp 23
  from  "RFC 854; observed on inetutils-telnetd 2.4"

# Options are offered before a word is said: IAC WILL, WONT, DO or DONT, and an option, at least twice.
sig telnet
  over   tcp
  banner
  @0     = ff
  @1     = fb..fe
  @2     = 00..31
  @3     = ff
  @4     = fb..fe
  @5     = 00..31
  match   > fffb25fffb26fffd18
  match   > fffd18fffd20fffd23
  nomatch > fffb25fefb26fffd18
  nomatch > ffffffffffff

service mqtt
  title "Message queue telemetry transport"
  ports tcp 1883,8883
  from  "MQTT 3.1.1 sections 3.1 and 3.2; observed on mosquitto 2.0.11"

# CONNECT without a name, with a clean session, and PINGREQ behind it. It is taken and the ping answered, or refused for a
# reason (01 to 05) and the connection closed. Nothing is kept of it.
sig mqtt
  over   tcp
  send   10 0c 0004 "MQTT" 04 02 003c 0000 c000
  @0     = 20
  @1     = 02
  @2     = 00
  case   @3 = 00
    len    = 6
    @4     = d0
    @5     = 00
  case   @3 = 01..05
    len    = 4
    closes
  match   10 0c 0004 "MQTT" 04 02 003c 0000 c000 > 20020000 d000
  match   10 0c 0004 "MQTT" 04 02 003c 0000 c000 > 20020005
  nomatch 10 0c 0004 "MQTT" 04 02 003c 0000 c000 > 20020006
  nomatch 10 0c 0004 "MQTT" 04 02 003c 0000 c000 > 20020000 d001

service x11
  title "X window system"
  ports tcp 6000,6001-6063
  from  "X11 protocol section 8; observed on Xvfb 21.1"

# Version 11 of who reads numbers with the low byte first, and shows no cookie.
sig x11
  over   tcp
  send   6c 00 0b00 0000 0000 0000 0000
  @2:2   = 0b00
  @4:2   = 0000
  case   @0 = 01                       # welcome
    len    >= 40
    @20:4  = 00010000                  # motion buffer
    @28    = 01..10
    @30:2  = 0000 or 0001 or 0100 or 0101
    soft @40 ~ m/^(?<product>The X\.Org Foundation|The XFree86 Project)/
    product "$product"
  case   @0 = 00                       # not without a cookie
    @8 ~ m/^(?:No protocol specified|Authorization required|Client is not authorized|Protocol version mismatch|Maximum number of clients)/
  match   6c000b000000000000000000 > 01000b0000000400 5db8b800 00002000 ffff1f00 00010000 1400 ffff 01 07 00 00 20 20 08 ff 00000000 "The X.Org Foundation"
  match   6c000b000000000000000000 > 00160b0000000600 "No protocol specified" 0a 0000
  nomatch 6c000b000000000000000000 > 00160b0000000600 "Yes protocol specified" 0a 00

service git
  title "Git repositories"
  ports tcp 9418
  from  "Git documentation, gitprotocol-pack: git transport; observed on git 2.39"

# A repository that is not there: the name is drawn anew, and it comes back with the refusal.
sig git
  over   tcp
  send   "002bgit-upload-pack /" n?10:alnum 00 "host=mynah" 00
  @0:4   ~ m/^00[0-9a-f]{2}/
  @4     starts "ERR "
  @ has  "not exported: /"
  @ has  $n
  match   "002bgit-upload-pack /abcdefghij" 00 "host=mynah" 00 > "003dERR access denied or repository not exported: /abcdefghij"
  nomatch "002bgit-upload-pack /abcdefghij" 00 "host=mynah" 00 > "003dERR access denied or repository not exported: /abcdefghik"

service amqp
  title "Advanced message queuing"
  ports tcp 5672,5671
  from  "AMQP 0-9-1 section 4.2.2, AMQP 1.0 section 2.2: who is asked in no version of its own answers with one, and closes; observed on RabbitMQ 3.10"

sig amqp
  over   tcp
  send   "GET / HTTP/1.0\r\n\r\n"
  len    = 8
  @0:4   = "AMQP"
  @4     = 00..03
  closes
  match   "GET / HTTP/1.0\r\n\r\n" > "AMQP" 00000901
  match   "GET / HTTP/1.0\r\n\r\n" > "AMQP" 03010000
  nomatch "GET / HTTP/1.0\r\n\r\n" > "AMQR" 00000901
