# Databases that say where they listen. None of these runs on Debian: it stands on its specification, and so does its sample.

service ms-sql-m
  title "SQL Server Browser"
  ports udp 1434
  from  "MC-SQLR sections 2.2.2 and 2.2.5, example of section 4.2"

sig ms-sql-m
  nofresh
  send  03
  len   >= 40
  @0    = 05
  @3 starts "ServerName;"
  @ has ";InstanceName;"
  @3    ~ m/^ServerName;[^;]+;InstanceName;[^;]+;IsClustered;(?:Yes|No);Version;(?<version>[0-9.]+);/
  product "Microsoft SQL Server"
  version "$version"
  match   03 > 05 5300 "ServerName;ILSUNG1;InstanceName;YUKONSTD;IsClustered;No;Version;9.00.1399.06;;"
  nomatch 03 > 05 5300 "ServerName;ILSUNG1;DatabaseName;YUKONSTD;IsClustered;No;Version;9.00.1399.06;;"

service postgresql
  title "PostgreSQL"
  ports tcp 5432
  from  "PostgreSQL documentation, message formats and error fields; observed on PostgreSQL 15"

# A start by a version that never was. The refusal says so before anybody is asked who he is.
sig postgresql
  over  tcp
  send  00000008 00ff00ff
  @0    = "E"
  @1:4  = len-1
  @5    = "S"
  @ has "\0C0A000\0Munsupported frontend protocol"
  match   00000008 00ff00ff > "E" 0000007f "SFATAL" 00 "VFATAL" 00 "C0A000" 00 "Munsupported frontend protocol 255.255: server supports 3.0 to 3.0" 00 "Fpostmaster.c" 00 "L2195" 00 "RProcessStart" 00 00
  nomatch 00000008 00ff00ff > "E" 0000002a "SFATAL" 00 "VFATAL" 00 "C28000" 00 "Mno encryption" 00 0000

service mysql
  title "MySQL and MariaDB"
  ports tcp 3306
  from  "MySQL documentation, protocol handshake V10; observed on MariaDB 10.11"

sig mysql
  over  tcp
  banner
  @1:2  = 0000
  @3    = 00
  @4    = 0a
  @5    ~ m/^(?:5\.5\.5-)?(?<version>[0-9]+\.[0-9]+\.[0-9]+[^\x00]{0,60})\x00/
  any   @ has "mysql_native_password"
  any   @ has "caching_sha2_password"
  version "$version"
  match   > 5d0000 00 0a "5.5.5-10.11.6-MariaDB-0+deb12u1" 00 1e000000 "3b[_O<rm" 00 fef7 2d 0200 ff81 15 000000000000 1d000000 "{{bLSk*uxDlr" 00 "mysql_native_password" 00
  nomatch > 5d0000 00 0b "5.5.5-10.11.6-MariaDB-0+deb12u1" 00 1e000000 "3b[_O<rm" 00 fef7 2d 0200 ff81 15 000000000000 1d000000 "{{bLSk*uxDlr" 00 "mysql_native_password" 00

# A host that is not in its list is told so at once.
sig mysql-refused
  over  tcp
  banner
  @1:3  = 000000
  @4    = ff
  @5:2  = 6a04 or 6904
  @ ~ m/Host '[^']*' is (?:not allowed to connect to this (?:MySQL|MariaDB) server|blocked because of many connection errors)/
  match   > 430000 00 ff 6a04 "Host '192.0.2.7' is not allowed to connect to this MariaDB server"
  nomatch > 430000 00 ff 6a04 "Host '192.0.2.7' is most welcome to connect to this MariaDB server"
