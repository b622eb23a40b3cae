# More TCP services that speak first and say who they are.

service pop3
  title "Post office, version 3"
  ports tcp 110,995
  from  "RFC 1939 section 4; sample by hand, no real server asked yet"

sig pop3-dovecot
  over   tcp
  banner
  until  "\n"
  @ starts "+OK Dovecot"
  product "Dovecot"
  match   > "+OK Dovecot (Debian) ready.\r\n"
  nomatch > "+OK Dove ready.\r\n"

sig pop3-said
  over   tcp
  banner
  until  "\n"
  @ starts "+OK "
  @ ~ m/^\+OK [^\r\n]*\bPOP3?\b/
  @ has " POP"
  match   > "+OK POP3 mail.example.org server ready <1896.697170952@mail.example.org>\r\n"
  match   > "+OK Microsoft Exchange POP3 server ready\r\n"
  nomatch > "+OK ready\r\n"

# Who offers APOP says a stamp last, a message-id of its own (RFC 1939, section 7).
sig pop3-apop
  over   tcp
  banner
  until  "\n"
  @ starts "+OK "
  @ ~ m/^\+OK [^\r\n]*<[^<>\s@]+@[^<>\s@]+>\r\n$/
  @-3:3  = ">\r\n"
  from   "observed on Twisted 22.4"
  match   > "+OK <20261128002929.14.1403962400.0@mail.example.org>\r\n"
  match   > "+OK Hello there. <1896.697170952@mail.example.org>\r\n"
  nomatch > "+OK <hello>\r\n"

service imap
  title "Internet message access protocol"
  ports tcp 143,993
  from  "RFC 9051 section 7.1; sample by hand, no real server asked yet"

sig imap
  over   tcp
  banner
  until  "\n"
  @ ~ m/^\* OK \[CAPABILITY IMAP4(?:rev1|rev2)?\b[^\r\n\]]*\](?: (?<product>Dovecot))?/
  @ starts "* OK [CAPABILITY IMAP4"
  product "$product"
  match   > "* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+] Dovecot ready.\r\n"
  nomatch > "* OK ready\r\n"

sig imap-said
  over   tcp
  banner
  until  "\n"
  @ starts "* OK "
  @ ~ m/^\* OK [^\r\n]*\bIMAP4?/
  @ has " IMAP"
  match   > "* OK mail.example.org Cyrus IMAP v2.4.17 server ready\r\n"
  match   > "* OK The Microsoft Exchange IMAP4 service is ready.\r\n"
  nomatch > "* OK ready\r\n"

service sieve
  title "ManageSieve"
  ports tcp 4190
  from  "RFC 5804 section 1.7; sample by hand, no real server asked yet"

sig sieve
  over   tcp
  banner
  @ ~ m/^"IMPLEMENTATION" "(?<product>[A-Za-z]+)[^"\r\n]*"\r\n/
  @ starts "\"IMPLEMENTATION\" \""
  product "$product"
  match   > "\"IMPLEMENTATION\" \"Dovecot (Debian) Pigeonhole\"\r\n\"SIEVE\" \"fileinto\"\r\nOK\r\n"
  nomatch > "\"VERSION\" \"1.0\"\r\n"

service vnc
  title "Remote framebuffer"
  ports tcp 5900-5910
  from  "RFC 6143 section 7.1.1; observed on TigerVNC 1.12"

sig vnc
  over   tcp
  banner
  len    = 12
  @ starts "RFB 00"
  @4:3   ~ digits
  @7     = "."
  @8:3   ~ digits
  @11    = "\n"
  match   > "RFB 003.008\n"
  nomatch > "RFX 003.008\n"

service rsync
  title "rsync daemon"
  ports tcp 873
  from  "observed on rsync 3.5"

sig rsync
  over   tcp
  banner
  @ ~ m/^@RSYNCD: (?<version>[0-9]+\.[0-9]+)/
  @ starts "@RSYNCD: "
  extra  "protocol $version"
  match   > "@RSYNCD: 32.0 sha512 sha256 sha1 md5 md4\n"
  nomatch > "@ERROR: access denied\n"

service nbd
  title "Network block device"
  ports tcp 10809
  from  "NBD protocol document, newstyle negotiation; observed on nbd-server 3.24"

sig nbd
  over   tcp
  banner
  @0:16 = "NBDMAGICIHAVEOPT"
  len   = 18
  match   > "NBDMAGICIHAVEOPT" 0003
  nomatch > "NBDMAGICIHAVENOT" 0003

service mpd
  title "Music Player Daemon"
  ports tcp 6600
  from  "observed on MPD 0.23.5"

sig mpd
  over   tcp
  banner
  until  "\n"
  @ ~ m/^OK MPD (?<version>[0-9]+\.[0-9.]+)\n$/
  @ starts "OK MPD "
  product "MPD"
  version "$version"
  match   > "OK MPD 0.23.5\n"
  nomatch > "OK MPB 0.23.5\n"

service nats
  title "NATS message broker"
  ports tcp 4222
  from  "observed on nats-server 2.9.10"

sig nats
  over   tcp
  banner
  until  "\n"
  @ starts "INFO {\"server_id\":\""
  soft @ ~ m/"version":"(?<version>[0-9][^"]*)"/
  product "nats-server"
  version "$version"
  match   > "INFO {\"server_id\":\"NDACXL77DWW6HWESNDWWQ5MQ\",\"version\":\"2.9.10\",\"proto\":1} \r\n"
  nomatch > "INFO {\"serial\":\"NDACXL77DWW6HWESNDWWQ5MQ\"}\r\n"

service svn
  title "Subversion"
  ports tcp 3690
  from  "observed on svnserve 1.14"

sig svn
  over   tcp
  banner
  @ starts "( success ( 2 2 ( "
  match   > "( success ( 2 2 ( ) ( edit-pipeline svndiff1 accepts-svndiff2 absent-entries commit-revprops depth ) ) ) "
  nomatch > "( failure ( 2 2 ( ) ( ) ) ) "

service gpsd
  title "GPS daemon"
  ports tcp 2947
  from  "observed on gpsd 3.22"

sig gpsd
  over   tcp
  banner
  until  "\n"
  @ starts "{\"class\":\"VERSION\",\"release\":\""
  @ ~ m/"release":"(?<version>[^"]+)"/
  product "gpsd"
  version "$version"
  match   > "{\"class\":\"VERSION\",\"release\":\"3.22\",\"rev\":\"3.22\",\"proto_major\":3,\"proto_minor\":14}\r\n"
  nomatch > "{\"class\":\"VERSION\",\"rev\":\"3.22\"}\r\n"

service tarantool
  title "Tarantool database"
  ports tcp 3301
  from  "observed on Tarantool 2.6.0"

sig tarantool
  over   tcp
  banner
  @ ~ m/^Tarantool (?<version>[0-9][^ ]*) \((?:Binary|Lua console)\)/
  @ starts "Tarantool "
  product "Tarantool"
  version "$version"
  match   > "Tarantool 2.6.0 (Binary) d3f6fb7e-cb21-47c2-b120-faccdd5f3ef1                  \n"
  nomatch > "Tarantula 2.6.0 (Binary)\n"
