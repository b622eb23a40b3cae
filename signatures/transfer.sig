# Files.

service tftp
  title "Trivial file transfer"
  ports udp 69
  from  "RFC 1350 sections 4 and 5; observed on tftpd-hpa 5.2, atftpd 0.8, dnsmasq 2.90"

# Each transfer has a port of its own, and so has the error of one that never began.
sig tftp
  nofresh
  from-port any
  send  0001 n?10:alpha 00 "octet" 00
  len   >= 5
  @0:2  = 0005                       # an error …
  @2:2  = 0000..0002                 # … not found, not allowed, or one without a number
  @4    ~ m/^[ -~]*\x00$/            # in words
  soft  sport != peer.port
  control q@1 ^ 06                   # what it does not know gets another error, or none
  match   00016162636465666768696a00 "octet" 00 > 00050001 "File not found" 00
  nomatch 00016162636465666768696a00 "octet" 00 > 00050004 "Illegal TFTP operation" 00
  nomatch 00016162636465666768696a00 "octet" 00 > 00050001 "File not found"
