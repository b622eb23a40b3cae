--- What a reply to a probe that was not for it betrays: errors that servers send to what they do not understand.
-- A hint moves a service's own probe to the front and proves nothing.
-- @module mynah.hints

local hints = {}

local function same_start(request, reply, n) return #request >= n and reply:sub(1, n) == request:sub(1, n) end

local function has_own_length(reply, at)
  return #reply >= at + 3 and string.unpack(">I4", reply, at) == #reply
end

-- { services, test(request, reply) }: short, and rather one too many.
local ROWS = {
  { { "domain", "mdns" }, function(q, r) -- our id, a response, no name repeated: FORMERR, NOTIMP, REFUSED
    return #r >= 12 and same_start(q, r, 2) and r:byte(3) & 0x80 ~= 0 and r:byte(4) & 0x0f <= 5 and r:byte(4) & 0x0f > 0
  end },
  { { "sip" }, function(_, r) return r:find("^SIP/2%.0 %d") ~= nil end },
  { { "ssdp" }, function(_, r) return r:find("^HTTP/1%.[01] %d") ~= nil or r:find("^NOTIFY %* HTTP") ~= nil end },
  { { "stun", "turn" }, function(_, r)
    return #r >= 20 and r:byte(1) & 0xc0 == 0 and (r:sub(5, 8) == "\x21\x12\xa4\x42" or r:sub(1, 2) == "\1\x11")
  end },
  { { "coap" }, function(q, r) -- a reset, or an answer of version 1 with our message id
    return #r >= 4 and r:byte(1) & 0xe0 == 0x60 and same_start(q:sub(3), r:sub(3), 2)
  end },
  { { "snmp" }, function(_, r)
    return r:find("^\x30.\x02\x01[\0\1\3]") ~= nil or r:find("^\x30\x81.\x02\x01[\0\1\3]") ~= nil
  end },
  { { "isakmp" }, function(_, r) return has_own_length(r, 25) or has_own_length(r, 29) and r:sub(1, 4) == "\0\0\0\0" end },
  { { "memcached" }, function(_, r)
    return r:find("^........ERROR\r\n") ~= nil or r:find("^........CLIENT_ERROR ") ~= nil
  end },
  { { "tftp" }, function(_, r) return r:find("^\0\5\0[\0-\8]") ~= nil end },
  { { "quake3", "source-engine", "quake2", "quakeworld", "doom3", "quake3-master" }, function(_, r)
    return r:find("^\xff\xff\xff\xff") ~= nil
  end },
  { { "bittorrent-dht", "opendht" }, function(_, r) return r:find("^d1:[a-z]") ~= nil or r:find("^d%d:.*e$") ~= nil end },
  { { "bittorrent-tracker" }, function(_, r) return r:find("^\0\0\0\3") ~= nil end },
  { { "dtls" }, function(_, r) return r:find("^[\x15\x16]\xfe[\xfd\xff]") ~= nil end },
  { { "quic" }, function(_, r) return r:find("^[\x80-\xff]\0\0\0\0") ~= nil end },
  { { "sunrpc", "nfs", "mountd", "nlockmgr", "status", "rquotad", "ypserv", "rpc" }, function(q, r)
    return same_start(q, r, 4) and r:sub(5, 8) == "\0\0\0\1"
  end },
  { { "openvpn" }, function(_, r) return #r >= 14 and r:byte(1) & 0xf8 == 0x40 end },
  { { "mgcp" }, function(_, r) return r:find("^[2-5]%d%d %w+") ~= nil end },
  { { "raknet", "minecraft" }, function(_, r)
    return r:find("\0\xff\xff\0\xfe\xfe\xfe\xfe\xfd\xfd\xfd\xfd\x124Vx", 1, true) ~= nil
  end },
  { { "knxnet-ip" }, function(_, r) return r:find("^\6\x10") ~= nil end },
  { { "bacnet" }, function(_, r) return r:find("^\x81[\0-\x0b]\0") ~= nil end },
  { { "asf-rmcp" }, function(_, r) return r:find("^\6\0") ~= nil end },
  { { "teamspeak3" }, function(_, r) return r:find("^TS3INIT1") ~= nil end },
  -- It ends what it takes for a test, and does not live long under such.
  { { "iperf" }, function(_, r) return #r >= 64 and r:sub(1, 16) == ("\0"):rep(16) and r:byte(17) & 0x88 == 0x88 end },
  { { "osc" }, function(_, r) return r:find("^/fail\0\0\0,") ~= nil end },
  -- A stranger is taken for a new musician and gets the beginning of a session.
  { { "jamulus" }, function(_, r) return #r == 10 and r:find("^\0\0[\x20\xf7][\0\3].\1\0") ~= nil end },
  { { "gprs-ns" }, function(_, r) return r:find("^\8\0\x81.\2") ~= nil end },
}

--- Services whose error a reply looks like.
-- @param request the datagram that was sent
-- @param reply what came
-- @return array of names, mostly empty
function hints.services(request, reply)
  local found = {}
  for _, row in ipairs(ROWS) do
    if row[2](request, reply) then table.move(row[1], 1, #row[1], #found + 1, found) end
  end
  return found
end

return hints
