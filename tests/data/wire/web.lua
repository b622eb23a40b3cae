-- What standards print: the probes of asked.sig.
local rows = {
  { sig = "rdp", from = "MS-RDPBCGR section 4.1.1, with the cookie of who asks",
    wire = "0300002c27e00000000000436f6f6b69653a206d737473686173683d656c746f6e730d0a0100080000000000",
    except = { { 3, 2, "the lengths, without a cookie" }, { 11, 33, "the cookie; what is asked for comes at once" } } },
}

-- A web page, asked for where something else listens.
for _, sig in ipairs { "irc-oops", "irc-number", "xmpp-stream", "nut", "beanstalkd", "gearman" } do
  rows[#rows + 1] = { sig = sig, from = "RFC 1945 section 5: a request line, no headers",
    wire = "474554202f20485454502f312e300d0a0d0a" }
end

return rows
