--- Address ranges that no scan of the Internet has a reason to ask.
-- From the IANA registries of special-purpose addresses for IPv4 and IPv6 (RFC 6890 and its updates), multicast (RFC 5771, RFC
-- 4291), and the experimental 240.0.0.0/4 (RFC 1112).
-- @module host.reserved

--- Each { address, length of the prefix, what it is, own = true where somebody who names it means their own network }
return {
  { "0.0.0.0", 8, "this network" },
  { "10.0.0.0", 8, "private", own = true },
  { "100.64.0.0", 10, "shared by a provider's customers" },
  { "127.0.0.0", 8, "loopback", own = true },
  { "169.254.0.0", 16, "link-local", own = true },
  { "172.16.0.0", 12, "private", own = true },
  { "192.0.0.0", 24, "protocol assignments" },
  { "192.0.2.0", 24, "documentation" },
  { "192.88.99.0", 24, "6to4 relays, given up" },
  { "192.168.0.0", 16, "private", own = true },
  { "198.18.0.0", 15, "benchmarks" },
  { "198.51.100.0", 24, "documentation" },
  { "203.0.113.0", 24, "documentation" },
  { "224.0.0.0", 4, "multicast" },
  { "240.0.0.0", 4, "reserved, and broadcast" },
  { "::", 128, "unspecified" },
  { "::1", 128, "loopback", own = true },
  { "::ffff:0:0", 96, "IPv4 in IPv6" },
  { "64:ff9b:1::", 48, "translation" },
  { "100::", 64, "discard" },
  { "2001:db8::", 32, "documentation" },
  { "fc00::", 7, "private", own = true },
  { "fe80::", 10, "link-local", own = true },
  { "ff00::", 8, "multicast" },
}
