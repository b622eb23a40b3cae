--- UDP servers for the tests, as rows like those of peers.lua: name, peer, want.

local peers = {}

local function random(n)
  local out = {}
  for i = 1, n do out[i] = string.char(math.random(0, 255)) end
  return table.concat(out)
end

local function ip(text)
  return (text:gsub("(%d+)%.?", function(n) return string.char(tonumber(n)) end))
end

local FUNCTIONS = { 0x05, 0x15, 0x25, 0x37, 0x47, 0x57, 0x67, 0x77 }

-- A refusal. o: fn (byte), address, tail, id: functions of the request, or fixed.
local function refusal(d, o)
  o = o or {}
  local fn = o.fn or FUNCTIONS[math.random(#FUNCTIONS)]
  return (o.id or d:sub(1, 2)) .. string.char(fn) .. (o.address or ip "127.0.0.1") .. (o.tail or random(4))
end

local function answer(fn)
  return function(u)
    local reply = fn(u.data, u)
    if reply then u:reply(reply) end
  end
end

local function is_skype(d) return #d >= 3 and d:byte(3) & 0x0f == 2 end

-- A small keyless digest, for decoys that compute what they answer.
local function digest(d, n)
  local h, out = 2166136261, {}
  for i = 1, #d do h = ((h ~ d:byte(i)) * 16777619) & 0xffffffff end
  for i = 1, n do
    h = ((h ~ i) * 16777619) & 0xffffffff
    out[i] = string.char(h >> 24)
  end
  return table.concat(out)
end

local function dns_reply(d)
  return d:sub(1, 2) .. "\x81\x83" .. d:sub(5, 6) .. ("\0"):rep(6) .. d:sub(13)
end

-- Decoys that remember: `mine` keeps one table a row, forgotten by reset.
local kept = {}
local function mine(name)
  kept[name] = kept[name] or {}
  return kept[name]
end

peers.rows = {
  -- What is Skype -------------------------------------------------------------------------------------
  { "skype: refuses anything", answer(function(d) return #d >= 3 and refusal(d) end), { service = "skype", probe = "skype" } },
  { "skype: refuses only kind 2", answer(function(d) return is_skype(d) and refusal(d) end), { service = "skype" } },
  { "skype: function always 17", answer(function(d) return refusal(d, { fn = 0x17 }) end), { service = "skype" } },
  { "skype: drops two of three", answer(function(d, u) return u.n % 3 == 0 and is_skype(d) and refusal(d) end),
    { service = "skype" } },
  { "skype: answers after 0.5 s", function(u)
    if is_skype(u.data) then u:after(0.5, function() u:reply(refusal(u.data)) end) end
  end, { service = "skype" } },
  { "skype: answers after 2.5 s", function(u)
    if is_skype(u.data) then u:after(2.5, function() u:reply(refusal(u.data)) end) end
  end, { service = "skype" }, slow = true },
  { "skype: answers twice", function(u)
    if is_skype(u.data) then u:reply(refusal(u.data)) u:reply(refusal(u.data)) end
  end, { service = "skype" } },
  { "skype: asks something of its own first", function(u)
    if is_skype(u.data) then u:reply("d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t2:aa1:y1:qe") u:reply(refusal(u.data)) end
  end, { service = "skype" } },
  { "skype: sees us behind NAT, the same public address always", answer(function(d)
    return refusal(d, { address = ip "8.8.4.4" })
  end), { service = "skype" } },

  -- What is not ---------------------------------------------------------------------------------------
  { "no: refuses from another port, which no node does", function(u)
    if is_skype(u.data) then u:reply(refusal(u.data), 7) end
  end, { service = false, reply_port = 7 }, virtual = true },
  { "no: only the id comes back", answer(function(d) return d:sub(1, 2) .. random(9) end), { service = false } },
  { "no: a constant seed", answer(function(d) return refusal(d, { tail = "\x74\xa0\x41\xf0" }) end), { service = false } },
  { "no: a seed that counts in one byte", answer(function(d, u)
    return refusal(d, { tail = "\x74\xa0\x41" .. string.char(u.n & 255) })
  end), { service = false } },
  { "no: another's address", answer(function(d) return refusal(d, { address = ip "192.0.2.1" }) end), { service = false } },
  { "guess: a private address that is not ours", answer(function(d)
    return refusal(d, { address = ip "192.168.7.7" })
  end), { service = false, guess = "skype" } },
  { "no: a public address that changes", answer(function(d)
    return refusal(d, { address = string.char(8, math.random(255), math.random(255), 1) })
  end), { service = false } },
  { "no: 10 bytes", answer(function(d) return refusal(d):sub(1, 10) end), { service = false } },
  { "no: 12 bytes", answer(function(d) return refusal(d) .. "\0" end), { service = false } },
  { "no: kind 3", answer(function(d) return refusal(d, { fn = 0x13 }) end), { service = false } },
  { "no: kind 6", answer(function(d) return refusal(d, { fn = 0x16 }) end), { service = false } },
  { "no: top bit set", answer(function(d) return refusal(d, { fn = 0x97 }) end), { service = false } },
  { "no: any function byte", answer(function(d) return refusal(d, { fn = math.random(0, 255) }) end), { service = false } },
  { "no: the seed is the request's", answer(function(d) return refusal(d, { tail = d:sub(4, 7) }) end), { service = false } },
  { "no: the seed is the request's end", answer(function(d) return refusal(d, { tail = d:sub(-4) }) end), { service = false } },
  { "no: the seed is our port, twice", answer(function(d, u)
    return refusal(d, { tail = string.pack(">I2I2", u.from_port, u.from_port) })
  end), { service = false } },
  { "no: the seed is our port, masked, and a counter", answer(function(d, u)
    return refusal(d, { tail = string.pack("<I2I2", u.from_port ~ 0x5aa5, u.n * 257 & 0xffff) })
  end), { service = false } },
  { "no: SNMP's question with the tag of an answer", answer(function(d)
    return d:sub(1, 2) == "\x30\x29" and d:sub(1, 13) .. "\xa2" .. d:sub(15)
  end), { service = false } },
  { "no: the seed is a digest of the request", answer(function(d) return refusal(d, { tail = digest(d, 4) }) end),
    { service = false } },
  { "no: id swapped", answer(function(d) return refusal(d, { id = d:sub(1, 2):reverse() }) end), { service = false } },
  { "no: a constant id", answer(function(d) return refusal(d, { id = "\x92\x40" }) end), { service = false } },
  { "no: the first id again and again", answer(function(d)
    local my = mine "id"
    my.first = my.first or d
    return refusal(my.first)
  end), { service = false } },
  { "no: the first refusal again and again", answer(function(d)
    local my = mine "reply"
    my.first = my.first or refusal(d)
    return my.first
  end), { service = false } },
  { "no: one reply late, each answers the one before", function(u)
    local my = mine "late"
    local last = my.last
    my.last = u.data
    if last then u:reply(refusal(last)) end
  end, { service = false } },
  { "no: reversed", answer(function(d) return d:reverse() end), { service = false } },
  { "no: random of 11 bytes", answer(function() return random(11) end), { service = false } },
  { "no: random of any length", answer(function() return random(math.random(0, 40)) end), { service = false } },
  { "no: a constant", answer(function() return "\x92\x40\x17\xc0\xa8\0\x13\x74\xa0\x41\xf0" end), { service = false } },
  { "no: an empty datagram", answer(function() return "" end), { service = false } },
  { "no: text", answer(function() return "error: bad request\n" end), { service = false } },
  { "no: refuses once, then is silent", answer(function(d, u) return u.n == 1 and is_skype(d) and refusal(d) end),
    { service = false } },
  { "no: the request with a bit set", answer(function(d)
    return #d > 2 and d:sub(1, 2) .. string.char(d:byte(3) | 0x80) .. d:sub(4)
  end), { service = false } },
  { "no: the request cut to 11 bytes, its function set", answer(function(d)
    return #d >= 11 and d:sub(1, 2) .. "\x17" .. d:sub(4, 11)
  end), { service = false } },

  -- Others --------------------------------------------------------------------------------------------
  { "echo", answer(function(d) return d end), { service = "echo" } },
  { "no: an echo with a tail", answer(function(d) return d .. "\r\n" end), { service = false, guess = "echo" } },
  { "no: echo of the first datagram only", answer(function(d, u) return u.n == 1 and d end),
    { service = false } },
  { "silent", function() end, { state = "open|filtered", reason = "no-response", service = false }, slow = true },
  { "dns", answer(function(d)
    if #d > 12 and d:byte(3) & 0x80 == 0 and d:sub(3, 4) == "\1\0" then return dns_reply(d) end
  end), { service = "domain" } },
  { "no: copies a DNS query as its answer, whatever it is", answer(function(d)
    if #d > 12 then return d:sub(1, 2) .. string.char(d:byte(3) | 0x80) .. "\x03" .. d:sub(5) end
  end), { service = false } },
}

--- Forget what stateful decoys keep.
function peers.reset()
  kept = {}
end

return peers
