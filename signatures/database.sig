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
