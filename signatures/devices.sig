# Devices and servers that say what they are to whoever shouts. None of these runs on Debian: the signatures stand on documents,
# their samples are laid out by those.

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

service ibm-db2
  title "DB2 administration server, discovery"
  ports udp 523
  from  "db2 discovery as Metasploit's db2_version asks, its answer as printed there"

sig ibm-db2
  nofresh
  send  "DB2GETADDR" 00 "SQL08020" 00
  @0:10 = "DB2RETADDR"
  @10   = 00
  @11:3 = "SQL"
  @14   ~ m/^(?<version>[0-9]{5})\x00/
  product "IBM DB2"
  extra "SQL$version"
  match   "DB2GETADDR" 00 "SQL08020" 00 > "DB2RETADDR" 00 "SQL09050" 00 "DBHOST" 00*10
  nomatch "DB2GETADDR" 00 "SQL08020" 00 > "DB2GETADDR" 00 "SQL09050" 00 "DBHOST" 00*10

service digi-addp
  title "Digi devices, ADDP"
  ports udp 2362,2363
  from  "Digi's ADDP: magic, opcode 1 answered by 2, length of the payload; as rapid7's and qbox's descriptions print it"

sig digi-addp
  nofresh
  send  "DIGI" 0001 0006 ffffffffffff
  len   >= 16
  @0:4  = "DIGI"
  @4:2  = 0002
  @6:2  = len-8
  view  tlv 8 1 1 be 1
  tlv.01[0:3] = 00409d or 0004f3     # its hardware address, one of Digi's
  match   "DIGI" 0001 0006 ffffffffffff > "DIGI" 0002 000e 0106 00409d112233 0204 0a000005
  nomatch "DIGI" 0001 0006 ffffffffffff > "DIGI" 0002 000f 0106 00409d112233 0204 0a000005

service lantronix
  title "Lantronix device server, discovery"
  ports udp 30718
  from  "Lantronix' 77FEh query: F6h, answered by F7h in 30 bytes, the hardware address last"

sig lantronix
  nofresh
  send  000000f6
  len   = 30
  @0:4  = 000000f7
  @24:3 = 00204a or 0080a3           # addresses that are Lantronix' own
  match   000000f6 > 000000f7 00000001 "X5" 00*14 00204a010203
  nomatch 000000f6 > 000000f7 00000001 "X5" 00*14 00204b010203

service moxa
  title "Moxa NPort, discovery"
  ports udp 4800
  from  "Moxa's search: 01h, answered by 81h in 24 bytes; as Metasploit's moxa_discover prints it"

sig moxa
  nofresh
  send  0100 0008 00000000
  len   = 24
  @0    = 81
  @2:2  = len
  @14:3 = 0090e8                     # addresses that are Moxa's own
  match   0100 0008 00000000 > 8100 0018 00000000 10518000 1051 0090e8112233 0a000005
  nomatch 0100 0008 00000000 > 8100 0018 00000000 10518000 1051 0090e9112233 0a000005

service ubnt-discovery
  title "Ubiquiti devices, discovery"
  ports udp 10001
  from  "Ubiquiti discovery, version 1: a header with its length, then elements of type and length; as rapid7's sonar describes it"

sig ubnt-discovery
  nofresh
  send  01000000
  len   >= 30
  @0:2  = 0100
  @2:2  = len-4
  view  tlv 4 1 2 be 1
  @4:3  = 02000a or 010006           # hardware address, with the IP address or alone
  any   tlv.02[0:3] = tlv.01[0:3]
  any   tlv.02[6:4] = peer.ip
  soft  tlv.03 ~ m/^[^.]*\.[^.]*\.v(?<version>[0-9.]+[0-9])/
  version "$version"
  product "Ubiquiti"
  match   01000000 > 0100 0039 02000a 24a43c112233 0a000005 01 0006 24a43c112233 03 001e "XM.ar7240.v5.5.6.17762.130528." "xx"
  nomatch 01000000 > 0100 0038 02000a 24a43c112233 0a000005 01 0006 24a43c112233 03 001e "XM.ar7240.v5.5.6.17762.130528." "xx"
