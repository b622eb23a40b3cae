--- Telling TLS from everything else: one ClientHello by hand, and what may answer it.
-- No cryptography: a ServerHello or an alert in a well-formed record is enough to know TLS.
-- @module mynah.tls

local tls = {}

local SUITES = {
  0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc009, 0xc013, 0xc00a, 0xc014,
  0x009e, 0x009f, 0x0033, 0x0039, 0x009c, 0x009d, 0x002f, 0x0035, 0x000a,
}
local GROUPS = { 0x001d, 0x0017, 0x0018, 0x0019 }
local SIGNATURES = {
  0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201,
}

local function u16_list(list)
  local out = {}
  for i, v in ipairs(list) do out[i] = (">I2"):pack(v) end
  return table.concat(out)
end

local function extension(kind, body)
  return (">I2s2"):pack(kind, body)
end

-- TLS 1.3 by X25519, to which every 32 bytes are a public key, and 1.2 beside it: some servers of 1.3 alone close without an
-- alert where it is not offered.
local function offer_13(random)
  return extension(0x002b, "\4\3\4\3\3") .. extension(0x0033, (">s2"):pack((">I2s2"):pack(0x001d, random(32))))
end

--- A ClientHello of TLS 1.2 and 1.3 in one record.
-- @param random function (n) giving n random bytes
-- @param name host name for SNI, or nil for none
-- @return bytes
function tls.client_hello(random, name)
  local extensions = {
    extension(0x000a, (">s2"):pack(u16_list(GROUPS))),
    extension(0x000b, "\1\0"),
    extension(0x000d, (">s2"):pack(u16_list(SIGNATURES))),
    extension(0xff01, "\0"), -- renegotiation is understood
    offer_13(random),
  }
  if name and name:find("%a") and not name:find(":") then
    table.insert(extensions, 1, extension(0, (">s2"):pack("\0" .. (">s2"):pack(name))))
  end
  local hello = "\3\3" .. random(32) .. "\0" .. (">s2"):pack(u16_list(SUITES)) .. "\1\0"
    .. (">s2"):pack(table.concat(extensions))
  local handshake = "\1" .. (">s3"):pack(hello)
  return "\x16\3\1" .. (">s2"):pack(handshake)
end

local VERSIONS = { [0] = "SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3" }

--- Is this an alert record, as a TLS server answers what it does not like?
-- @param s the first bytes of a reply
-- @return the alert's number, or nil
function tls.alert(s)
  if #s >= 7 and s:find("^\x15\3[\0-\4]\0\2[\1\2]") then return s:byte(7) end
end

--- Is this the record with which a server answers a ClientHello?
-- @param s the first bytes of the reply
-- @return the version as text, or nil; "alert" and the alert's number where the server refused the hello
function tls.server_hello(s)
  local alert = tls.alert(s)
  if alert then return "alert", alert end
  if #s < 11 or not s:find("^\x16\3[\0-\4]") then return nil end
  local record = (">I2"):unpack(s, 4)
  local kind, length = s:byte(6), (">I3"):unpack(s, 7)
  local minor = s:byte(11)
  if kind ~= 2 or s:byte(10) ~= 3 or minor > 4 or record < 42 or record > 16640 or length < 38 then return nil end
  if length > 16384 then return nil end
  local suite = 45 + (s:byte(44) or 0)
  return s:byte(suite) == 0x13 and VERSIONS[4] or VERSIONS[minor] -- a suite of TLS 1.3, which says 1.2 in front
end

return tls
