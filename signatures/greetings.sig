# TCP services that speak first and say who they are.

service ssh
  title "Secure Shell"
  ports tcp 22
  from  "RFC 4253 section 4.2; observed on OpenSSH 9.2, dropbear 2022.83"

sig ssh
  over   tcp
  banner
  any @ starts "SSH-2.0-"
  any @ starts "SSH-1.99-"           # speaks 2.0 and what came before it
  any @ starts "SSH-1.5-"
  @ ~ m/^SSH-(?:2\.0|1\.[0-9]+)-(?<product>[A-Za-z][A-Za-z.-]*?|[^\r\n]+?)(?:[_-](?<version>[0-9][^\s]*))?(?:[ \r\n]|$)/
  product "$product"
  version "$version"
  match   > "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"
  nomatch > "SSH server ready\r\n"

service smtp
  title "Mail transfer"
  ports tcp 25,465,587
  from  "RFC 5321 section 4.2; observed on postfix, exim 4.96, OpenSMTPD 6.8"

sig smtp
  over   tcp
  banner
  @ starts "220"
  @ ~ m/^220[- ][^\r\n]*?\bE?SMTP\b(?:[ ,;]+(?<product>OpenSMTPD|Exim|Postfix|Sendmail|Haraka)(?:[ \/]+(?<version>[0-9][^\s;]*))?)?/
  @ has "SMTP"
  soft @ has " ESMTP"                # both help where a long name stands in front
  soft @-2:2 = "\r\n"
  product "$product"
  version "$version"
  match   > "220 mail.example.org ESMTP OpenSMTPD\r\n"
  match   > "220 one-of-the-many-outgoing-mail-relays.customers.provider.example.org SMTP\r\n"
  match   > "220-mail.example.org ESMTP Exim 4.96\r\n220 no spam\r\n"
  nomatch > "220 ProFTPD Server ready\r\n"

service dict
  title "Dictionary server"
  ports tcp 2628
  from  "RFC 2229 section 3.1; observed on dictd 1.13"

sig dict
  over   tcp
  banner
  @ ~ m/^220 (?:[^\s<>]+ )?(?:(?<product>dictd)(?: (?<version>[0-9][^\s\/]*))?)?[^\r\n<>]*<[^<>\r\n ]+> <[^<>\r\n ]+@[^<>\r\n ]+>\r?\n$/
  @ starts "220 "
  @ has "> <"
  @ has "auth.mime"
  product "$product"
  version "$version"
  match   > "220 host dictd 1.13.0/rf on Linux 6.1 <auth.mime> <7.1234.1700000000@host>\r\n"
  nomatch > "220 host ready <7.1234.1700000000@host>\r\n"
