# Lamps, plugs, tuners and players at home. None of these was at hand: written from what their makers, or those who use them, publish.
#
# What cannot be named: Dropbox's LAN sync, Chromecast and Tuya announce and do not answer; Art-Net and Govee answer to a port of
# their own, not to the one that asked; Xiaomi's hello holds nothing but its own bytes.

service lifx
  title "LIFX lamp"
  ports udp 56700
  from  "LIFX LAN protocol: packet contents, GetService (2), StateService (3)"

# Which services are there?
sig lifx
  send  2400 0034 source?4 00*8 00*6 00 seq?1 00*8 0200 0000
  len   = 41
  @0:2  = 2900                       # its length, low byte first
  @2    = 00
  @3    = b...10100                  # protocol 1024, addressable, to us alone
  @4:4  = $source
  @23   = $seq
  @32:2 = 0300                       # StateService
  @36   = 01..05
  match   2400 0034 01020304 00*8 00*6 00 2a 00*8 0200 0000 > 2900 0014 01020304 d073d50013370000 000000000000 00 2a 00*8 0300 0000 01 7cdd0000
  nomatch 2400 0034 01020304 00*8 00*6 00 2a 00*8 0200 0000 > 2900 0014 01020304 d073d50013370000 000000000000 00 2b 00*8 0300 0000 01 7cdd0000
  nomatch 2400 0034 01020304 00*8 00*6 00 2a 00*8 0200 0000 > 2900 0014 01020304 d073d50013370000 000000000000 00 2a 00*8 2d00 0000 01 7cdd0000

service wiz
  title "WiZ lamp"
  ports udp 38899
  from  "the wikis of wizctl and OpenWiz: getPilot"

# Its state. Newer firmware gives our number back, older does not.
sig wiz
  nofresh
  send  "{\"method\":\"getPilot\",\"id\":1" i?4:digit ",\"params\":{}}"
  @0    = "{"
  json.method = "getPilot"
  len.json.result.mac = 12
  json.result.mac ~ m/^[0-9a-f]{12}$/
  json.result.rssi starts "-"
  soft  json.id = q@26:5
  control q@11 ^ 20                  # GetPilot is no method
  match   "{\"method\":\"getPilot\",\"id\":14711,\"params\":{}}" > "{\"method\":\"getPilot\",\"result\":{\"mac\":\"a8bb50343f9a\",\"rssi\":-74,\"state\":true,\"sceneId\":12,\"dimming\":34}}"
  nomatch "{\"method\":\"getPilot\",\"id\":14711,\"params\":{}}" > "{\"method\":\"setPilot\",\"result\":{\"mac\":\"a8bb50343f9a\",\"rssi\":-74,\"state\":true,\"sceneId\":12,\"dimming\":34}}"
  nomatch "{\"method\":\"getPilot\",\"id\":14711,\"params\":{}}" > "{\"method\":\"getPilot\",\"error\":{\"code\":-32601}}"

service yeelight
  title "Yeelight lamp"
  ports udp 1982
  from  "Yeelight WiFi Light Inter-Operation Specification, section 3.1"

sig yeelight
  nofresh
  send  "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1982\r\nMAN: \"ssdp:discover\"\r\nST: wifi_bulb\r\n"
  @ starts "HTTP/1.1 200 OK\r\n"
  h.location starts "yeelight://"
  h.id  starts "0x"
  h.fw_ver ~ m/^(?<version>[0-9]+)/
  h.model ~ m/^(?<model>[a-z0-9]+)/
  product "Yeelight $model"
  version "$version"
  match   "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1982\r\nMAN: \"ssdp:discover\"\r\nST: wifi_bulb\r\n" > "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nDate:\r\nExt:\r\nLocation: yeelight://192.168.1.239:55443\r\nServer: POSIX UPnP/1.0 YGLC/1\r\nid: 0x000000000015243f\r\nmodel: color\r\nfw_ver: 18\r\nsupport: get_prop set_default set_power\r\npower: on\r\nbright: 100\r\n"
  nomatch "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1982\r\nMAN: \"ssdp:discover\"\r\nST: wifi_bulb\r\n" > "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nLocation: http://192.168.1.239:80/\r\nid: 0x000000000015243f\r\nmodel: color\r\nfw_ver: 18\r\n"

service tplink-smarthome
  title "TP-Link Kasa plug or lamp"
  ports udp 9999
  from  "softScheck, Reverse Engineering the TP-Link HS110, 2016"

# {"system":{"get_sysinfo":{}}}, each byte XORed with the one before it, the first with ab. The answer begins alike.
sig tplink-smarthome
  nofresh
  send  d0f281f88bff9af7d5ef94b6d1b4c09fec95e68fe187e8caf08b f68bf6
  @0:26 = d0f281f88bff9af7d5ef94b6d1b4c09fec95e68fe187e8caf08b
  any   @26:9 = a9daadf284e193b18b           # "sw_ver":
  any   @26:9 = a9ccbecc93f09ffb9e           # "err_code
  any   @26:9 = a9c1b6e99ffa88aa90           # "hw_ver":
  len   >= 200
  match   d0f281f88bff9af7d5ef94b6d1b4c09fec95e68fe187e8caf08bf68bf6 > d0f281f88bff9af7d5ef94b6d1b4c09fec95e68fe187e8caf08ba9daadf284e193b18ba998b683ad99b9fb8ee78befcffec6f6ceffcaeab8ddb19fae9cad99ad9dbf93b1d9aef187e290b288aa98b686a488aadea7d7b290aa88c18edaf4a7eaabf9adfdb1e4a3f0a7eebaf9b193ee93ee 00*100
  nomatch d0f281f88bff9af7d5ef94b6d1b4c09fec95e68fe187e8caf08bf68bf6 > d0f281f88bff9af7d5ef94b6d1b4c09fec95e68fe187e8caf08ba9caadf284e193b18b 00*200

service hdhomerun
  title "HDHomeRun tuner"
  ports udp 65001
  from  "libhdhomerun, hdhomerun_pkt.h"

sig hdhomerun
  nofresh
  send  0002 000c 0104 00000001 0204 ffffffff crc32le(q@0:16)
  view  tlv 4 1 1 be 1
  @0:2  = 0003                       # an answer
  @2:2  = len-8
  tlv.1 = 00000001
  len.tlv.2 = 4                      # number of the device
  control q@1 ^ 40                   # a type that is none
  match   0002000c0104000000010204ffffffff4e507f35 > 0003 000f 0104 00000001 0204 1012abcd 1001 02 a1b2c3d4
  nomatch 0002000c0104000000010204ffffffff4e507f35 > 0003 000f 0104 00000002 0204 1012abcd 1001 02 a1b2c3d4
  nomatch 0002000c0104000000010204ffffffff4e507f35 > 0003 0010 0104 00000001 0204 1012abcd 1001 02 a1b2c3d4

service plex
  title "Plex Media Server or player"
  ports udp 32414,32410,32412,32413
  from  "Plex' G'Day Mate discovery, as plexapi's gdm module and its users describe it"

sig plex
  nofresh
  send  "M-SEARCH * HTTP/1.0\r\n\r\n"
  @ starts "HTTP/1.0 200 OK\r\n"
  h.content-type starts "plex/media-"
  h.version ~ m/^(?<version>[0-9]+\.[0-9A-Za-z.-]+)/
  soft  h.name ~ m/^(?<name>[^\r\n]+)/
  version "$version"
  extra "$name"
  match   "M-SEARCH * HTTP/1.0\r\n\r\n" > "HTTP/1.0 200 OK\r\nContent-Type: plex/media-server\r\nName: attic\r\nPort: 32400\r\nResource-Identifier: 0123456789abcdef\r\nUpdated-At: 1444852697\r\nVersion: 0.9.12.13.1464-4ccd2ca\r\n\r\n"
  nomatch "M-SEARCH * HTTP/1.0\r\n\r\n" > "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nVersion: 0.9.12\r\n\r\n"

service slimproto
  title "Lyrion (Logitech) Media Server"
  ports udp 3483
  from  "Slim Devices' wiki: SLIMP3 client protocol; discovery as squeezelite and SqueezePlay ask it"

# Its name and version: letters, a length, a text.
sig slimproto
  nofresh
  send  "eNAME" 00 "JSON" 00 "VERS" 00
  @0:5  = "ENAME"
  @ ~ m/VERS[\x05-\x20](?<version>[0-9]+\.[0-9]+\.[0-9]+)/
  @ has "JSON"
  version "$version"
  product "Media Server"
  control q@0 ^ 20                   # an answer, which nobody answers
  match   "eNAME" 00 "JSON" 00 "VERS" 00 > "ENAME" 05 "attic" "JSON" 04 "9000" "VERS" 05 "7.9.2"
  nomatch "eNAME" 00 "JSON" 00 "VERS" 00 > "eNAME" 05 "attic" "JSON" 04 "9000" "VERS" 05 "7.9.2"
