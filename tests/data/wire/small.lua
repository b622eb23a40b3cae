-- What real clients sent, or standards print: the probes of small.sig, rpc.sig, storage.sig, kerberos.sig, database.sig.
local rows = {
  { sig = "pyzor", from = "pyzor 1.0.0 ping, captured",
    wire = "4f703a2070696e670a5468726561643a2036333636380a50563a20322e310a557365723a20616e6f6e796d6f75730a54696d653a203137393533"
      .. "36353639320a5369673a20643863653231313932363764333339666561656438356330303030373736313264656435363963" .. "0a0a",
    except = { { 31, 80, "who signs it, and when, may be left out" } } },
  { sig = "lbcd", from = "lbcdclient 3.5.2, captured", wire = "0003000000010000" },
  { sig = "sockperf", from = "sockperf 3.7 ping-pong, captured", wire = "000000000000000100030000000e",
    except = { { 10, 4, "its length, with 6 bytes more of text" }, { 14, 6, "the text" } } },
  { sig = "iperf", from = "iperf 2.1.8 -u -R -n 160 -l 160, captured",
    wire = "000000016b031c4c000eaa7b000000006c0100980000000100005dbb000000a000000000000000a000000000"
      .. "000000000400000000020001000800030000000000100000" .. ("00"):rep(92),
    except = { { 24, 4, "the port, here that of the row's daemon" } } },
  { sig = "srt", from = "srt-live-transmit 1.5.1 as caller, captured",
    wire = "80000000000000000007d406000000000000000400000002184b8787000005dc00002000000000013515b861000000000100007f"
      .. "000000000000000000000000",
    except = { { 24, 1, "the top of a number drawn anew" }, { 48, 4, "our address, which stands there the wrong way round" } } },
  { sig = "gprs-ns", from = "osmo-sgsn 1.9.0, captured: NS-ALIVE", wire = "0a",
    except = { { 1, 10, "what is more than the message comes back in the complaint" } } },
  { sig = "kerberos", from = "kinit of krb5-user 1.20.1, captured",
    wire = "6a81b53081b2a103020105a20302010aa31a3018300aa10402020096a2020400300aa10402020095a2020400a48189308186a0070305000000"
      .. "0010a1153013a003020101a10c300a1b086162636465666768a20c1b0a71776572747975696f70a31f301da003020102a11630141b066b7262"
      .. "7467741b0a71776572747975696f70a511180f32303236313132333136343133355aa7060204404ae839a81a30180201120201110201140201"
      .. "1302011002011702011902011a",
    except = { { 133, 15, "till when: the end of time, as others ask for" } } },
  { sig = "kpasswd", from = "RFC 3244 section 2: length, version 1, length of the ticket", wire = "000e00010004",
    except = { { 6, 8, "an empty ticket, and nothing that it would protect" } } },
  { sig = "afs-rx-version", from = "rxdebug -version of openafs-client 1.8.9, captured",
    wire = "000003e7000000000000006500000000000000000d0500000000000000",
    except = { { 28, 1, "a byte behind the header" } } },
  { sig = "memcached", from = "memcached's doc/protocol.txt, UDP protocol: request id, number 0 of 1, 0; then a command",
    wire = "000000000001000076657273696f6e0d0a" },
  { sig = "memcached-binary", from = "memcached's doc/protocol-binary.txt: magic 80, opcode 0b, else empty",
    wire = "0000000000010000800b" .. ("00"):rep(22) },
  { sig = "memcached-tcp", from = "memcached's doc/protocol.txt, version", wire = "76657273696f6e0d0a" },
  { sig = "redis", from = "Redis serialization protocol specification: an array of one bulk string",
    wire = "2a310d0a24340d0a50494e470d0a" },
  { sig = "icp", from = "squid 5.7 to a peer, captured",
    wire = "010200310000000100000000000000000000000000000000687474703a2f2f61626364656667682e696e76616c69642f00" },
  { sig = "htcp", from = "squid 5.7 to a peer, captured",
    wire = "00340001002e10020000000100034745540018687474703a2f2f61626364656667682e696e76616c69642f0003312f3100000002" },
  { sig = "ms-sql-m", from = "MC-SQLR section 2.2.2: CLNT_UCAST_EX", wire = "03" },
  { sig = "amanda", none = "its client asks nobody who is not configured" },
  { sig = "ntalk", none = "clients ask of a type that there is, and with names of people" },
}

-- libtirpc's call; the other programs differ in the number.
local NUMBERS = { rpcbind = 0xa0, nfs = 0xa3, mountd = 0xa5, status = 0xb8, nlockmgr = 0xb5, ypserv = 0xa4, rquotad = 0xab,
  rpc = 0xa0 }
for sig, number in pairs(NUMBERS) do
  local except = { { 3, 1, "here it says which program was asked" }, { 16, 4, "a version that there is not" } }
  if sig == "rpc" then except[3] = { 12, 4, "a program that there is not" } end
  rows[#rows + 1] = { sig = sig, from = "rpcinfo of rpcbind 1.2.6, captured", except = except,
    wire = ("6b07aa350000000000000002000186%02x0000000200000000"):format(number) .. ("00"):rep(16) }
end

for _, sig in ipairs { "daytime-ctime", "daytime-dmy", "time", "time-long", "chargen", "chargen-closing" } do
  rows[#rows + 1] = { sig = sig, none = "RFC 867, 868, 864: what is sent does not matter" }
end
return rows
