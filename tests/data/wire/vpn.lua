-- vpn.lua - what real clients of key exchange, tunnels, DTLS, QUIC, CoAP, GTP and machines sent, or their standards print.

local IKE1 = "5e4ca38124736e8300000000000000000110020000000000000001d0000001b40000000100000001000001a80101000c0300002401010000" ..
  "8001000780020004800e0100800300018004000e800b0001800c708003000024020100008001000780020002800e0100800300018004000e" ..
  "800b0001800c708003000024030100008001000780020002800e01008003000180040002800b0001800c7080030000240401000080010007" ..
  "80020004800e0080800300018004000e800b0001800c708003000024050100008001000780020002800e0080800300018004000e800b0001" ..
  "800c708003000024060100008001000780020002800e00808003000180040002800b0001800c708003000020070100008001000580020004" ..
  "800300018004000e800b0001800c708003000020080100008001000580020002800300018004000e800b0001800c70800300002009010000" ..
  "80010005800200028003000180040002800b0001800c7080030000200a01000080010005800200018003000180040002800b0001800c7080" ..
  "030000240b0100008001000780020002800e0100800300038004000e800b0001800c7080000000240c0100008001000780020002800e0100" ..
  "8003fde980040002800b0001800c7080"

local IKE2 = "b0a43ee4c71115cc00000000000000002120220800000000000001282200006c000000680101000b0300000c0100000c800e01000300000c" ..
  "0100000c800e0080030000080100000303000008010000020300000802000002030000080200000103000008030000020300000803000001" ..
  "03000008040000020300000804000005000000080400000e2800008800020000f22e756b16ae1b56f489c496775564746e5a52587ce01fa0" ..
  "7cd4fbe3c5d94f5e6319dd0e7f00ee079a5c9f01a1c1c5c027b48b107a6781c80fadbd76285a2f76f9359d6b0fb3d352c832dc9ea6ad36da" ..
  "41d9bcfa9d503049c1efd01099e4f4d67898c1708ebfedf7f40d4217f238221dc166bc3ea5570fa70f85d2a22951eee2000000183c32ac78" ..
  "88545dfa5986ed86fe5ec4485a358e1c"

local DTLS = "16feff000000000000000000c0010000b400000000000000b4fefddb4741a1c28e3bffa8eeec03fca1bb8f04d9dfd3578ecd66abd94fc606" ..
  "b88f2f00000038c02cc030009fcca9cca8ccaac02bc02f009ec024c028006bc023c0270067c00ac0140039c009c0130033009d009c003d00" ..
  "3c0035002f00ff01000052000b000403000102000a000c000a001d0017001e00190018002300000016000000170000000d002a0028040305" ..
  "030603080708080809080a080b080408050806040105010601030303010302040205020602"

-- Its first bytes; the rest is encrypted.
local QUIC = "cd1a2a3a4a12950257343b590a07d24ef1ae8f51f30e28c811bbf379c741d2dff514f56199941c18a3480080000481fca5d7be4b"

local MARKER = "00000000"

return {
  { sig = "ikev1", wire = IKE1, from = "ike-scan 1.9.5 with the same transforms (--trans), captured" },
  { sig = "ikev1-nat-t", wire = MARKER .. IKE1, from = "ike-scan 1.9.5 --nat-t with the same transforms, captured" },
  { sig = "ikev2", wire = "58307a54b058ecd5" .. ("00"):rep(8) .. "00302208000000000000001c",
    from = "RFC 7296 section 3.1, header; the major version as of ike-scan 1.9.5 --ikev2 --headerver=48" },
  { sig = "ikev2-nat-t", wire = MARKER .. "58307a54b058ecd5" .. ("00"):rep(8) .. "00302208000000000000001c",
    from = "RFC 3948 section 2.2, RFC 7296 section 3.1" },
  { sig = "ikev2-init", wire = IKE2, from = "ike-scan 1.9.5 --ikev2, captured",
    except = { { 24, 4, "its length" }, { 28, 424, "it offers other algorithms" } } },
  { sig = "ikev2-init-nat-t", wire = MARKER .. IKE2, from = "RFC 3948 section 2.2; ike-scan 1.9.5 --ikev2, captured",
    except = { { 28, 4, "its length" }, { 32, 424, "it offers other algorithms" } } },
  { sig = "openvpn", wire = "38995ba86c48aec5070000000000", from = "openvpn 2.6.14 --client, captured" },
  { sig = "l2tp", from = "xl2tpd 1.3.18 as LAC, captured",
    wire = "c8020063000000000000000080080000000000018008000000020100800a0000000300000003800a00000004000000000008" ..
      "000000060690800800000007766d00130000000878656c6572616e63652e636f6d800800000009775780080000000a0004",
    except = { { 2, 2, "its length" }, { 38, 61, "attributes in another order, none of them unknown" } } },
  { sig = "nebula", none = "a node sends such a thing only where its peer has lost a tunnel" },
  { sig = "fastd", none = "no fastd names a protocol that there is not" },
  { sig = "n2n-v1", from = "edge 1.3.2, captured",
    wire = "010100006d796e6168000000c04caf6b7d7f00000255555555aa00000000000002000000000000000000000000000000000000000200c34f" ..
      "000000000000000000000000000000000000000000000000002d3814110000",
    except = { { 9, 11, "its name has five letters and noise behind them" }, { 54, 2, "the port that it has" },
      { 81, 6, "a body of noise, compressed; ours is empty" } } },
  { sig = "teredo", from = "RFC 4380 sections 5.1.1 and 5.2.1; RFC 4861 section 4.1",
    wire = "00010000" .. "0102030405060708" .. "00" .. "6000000000083aff" .. "fe800000000000000000ffffffffffff" ..
      "ff020000000000000000000000000002" .. "85007d3700000000" },
  { sig = "dtls", wire = DTLS, from = "openssl 3.0.19 s_client -dtls1_2, captured",
    except = { { 11, 2, "its length" }, { 15, 2, "its length" }, { 23, 2, "its length" },
      { 61, 144, "other algorithms" } } },
  { sig = "quic", wire = QUIC, from = "ngtcp2 0.12.1's client with a reserved version, captured: its first 52 bytes",
    except = { { 0, 1, "bits that its encryption has turned" }, { 5, 1195, "longer ids, and encrypted data for zeros" } } },
  { sig = "coap", wire = "4801ce833132333435363738bb2e77656c6c2d6b6e6f776e04636f7265",
    from = "libcoap 4.3.1's coap-client -T 12345678, captured" },
  { sig = "gtp1-echo", wire = "320100040000000004000000", from = "sgsnemu 1.9.0, captured" },
  { sig = "gtp0-echo", wire = "1e01000008000000ffffffff0000000000000000", from = "sgsnemu --gtpversion 0 1.9.0, captured" },
  { sig = "gtp-user", from = "3GPP TS 29.281 section 5.1, G-PDU; RFC 791 section 3.1",
    wire = "32ff0018" .. "00000001" .. "00010000" .. "450000140000000040fd00000000000000000000" },
  { sig = "gtp-control", wire = "32120004" .. "00000001" .. "00010000", from = "3GPP TS 29.060 section 6, header" },
  { sig = "gtp2-control", wire = "40010009" .. "00000100" .. "0300010000",
    from = "3GPP TS 29.274 sections 5.1, 7.1.1 and 8.5" },
  { sig = "pfcp", wire = "2001000c" .. "00000100" .. "00600004e1b70000",
    from = "3GPP TS 29.244 sections 7.2.2, 7.4.2.1, 8.2.65" },
  { sig = "knxnet-ip", wire = "06100203000e0801c0a8c80cc3b4", from = "KNX specification 3.8.2, DESCRIPTION_REQUEST",
    except = { { 8, 6, "who asks" } } },
  { sig = "knxnet-ip-nat", wire = "06100203000e0801000000000000",
    from = "KNX specification 3.8.2, DESCRIPTION_REQUEST, through NAT" },
  { sig = "bacnet", wire = "810a0011" .. "0104" .. "0005010c" .. "0c023fffff" .. "1946",
    from = "ASHRAE 135 annex J.2.11, clause 6.2.2, annex F.3.5; the device that stands for any: clause 15.5" },
  { sig = "ethernet-ip", wire = "63000000" .. "0000000000000000" .. "0100010203040506" .. "00000000",
    from = "CIP volume 2, sections 2-3.1 and 2-4.2.2" },
  { sig = "fins", wire = "800002000000000163" .. "01" .. "050100", from = "Omron W342 sections 3-2 and 5-3-8",
    except = { { 7, 2, "which node asks" } } },
  { sig = "modbus", wire = "000100000005ff" .. "2b0e0100",
    from = "Modbus application protocol 1.1b3 section 6.21, MBAP in front" },
}
