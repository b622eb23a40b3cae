-- What standards print: the probes of asked.sig.
local rows = {
  { sig = "amqp", from = "RFC 1945 section 5.1: the page that all are asked for", wire = "474554202f20485454502f312e300d0a0d0a" },
  { sig = "rdp", from = "MS-RDPBCGR section 4.1.1, with the cookie of who asks",
    wire = "0300002c27e00000000000436f6f6b69653a206d737473686173683d656c746f6e730d0a0100080000000000",
    except = { { 3, 2, "the lengths, without a cookie" }, { 11, 33, "the cookie; what is asked for comes at once" } } },
  { sig = "mqtt", from = "MQTT 3.1.1 section 3.1: name, level, flags, a minute, no client identifier; section 3.12: PINGREQ",
    wire = "100c00044d5154540402003c0000c000" },
  { sig = "x11", from = "X Window System Protocol, section 8: byte-order l, version 11.0, no authorization",
    wire = "6c000b000000000000000000" },
  { sig = "git", from = "gitprotocol-pack, section Git Transport, its own example",
    wire = "303033336769742d75706c6f61642d7061636b202f70726f6a6563742e67697400686f73743d6d797365727665722e636f6d00",
    except = { { 2, 2, "the length" }, { 21, 30, "another path and host" } } },
  { sig = "irc-stranger", from = "RFC 2812 section 3.4.2: LUSERS without parameters",
    wire = "4c55534552530d0a" },
  { sig = "postgresql", from = "PostgreSQL documentation, StartupMessage: version 3.0, no parameters",
    wire = "000000090003000000",
    except = { { 3, 1, "the length, without an end of parameters" }, { 4, 4, "a version that never was" },
      { 8, 1, "the end of parameters" } } },
  { sig = "ldap", from = "RFC 4511 section 4.5.1 in the BER of section 5.1: of the root, (objectClass=*), one attribute",
    wire = "303e020400000000633604000a01000a0100020100020100010100870b6f626a656374636c617373"
      .. "30160414737570706f727465644c44415056657273696f6e" },
}

-- A web page, asked for where something else listens.
for _, sig in ipairs { "irc-oops", "irc-number", "xmpp-stream", "nut", "beanstalkd", "gearman" } do
  rows[#rows + 1] = { sig = sig, from = "RFC 1945 section 5: a request line, no headers",
    wire = "474554202f20485454502f312e300d0a0d0a" }
end

return rows
