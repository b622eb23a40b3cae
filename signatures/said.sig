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
