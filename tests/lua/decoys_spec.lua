-- Servers that are nothing, asked with the whole library under the virtual engine: not one is named, echo servers as echo.
local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
package.path = here .. "/support/?.lua;" .. package.path
local paths = require "paths"
local virtual = require "virtual"
local identify = require "mynah.identify"

local SEEDS = tonumber(os.getenv "MYNAH_SEEDS") or 8

local function random(n)
  local out = {}
  for i = 1, n do out[i] = string.char(math.random(0, 255)) end
  return table.concat(out)
end

local function last_byte_changed(d)
  return d:sub(1, -2) .. string.char((d:byte(-1) + math.random(255)) & 255)
end

-- A function (request, memory) -> reply; memory is a table of the server's own.
local KINDS = {
  echo = function(d) return d end,
  ["random bytes of 1 to 1400"] = function() return random(math.random(1400)) end,
  ["short random bytes"] = function() return random(math.random(64)) end,
  ["the request reversed"] = function(d) return d:reverse() end,
  ["the request with its last byte changed"] = last_byte_changed,
  ["one constant"] = function(_, my)
    my.reply = my.reply or random(math.random(300))
    return my.reply
  end,
  ["a constant text"] = function() return "ERROR unknown command\r\n" end,
  ["zeros"] = function() return ("\0"):rep(48) end,
  ["the first two bytes, then noise"] = function(d) return d:sub(1, 2) .. random(9) end,
  ["the first four bytes, then zeros"] = function(d) return d:sub(1, 4) .. ("\0"):rep(16) end,
  ["the first eight bytes, then a constant"] = function(d) return d:sub(1, 8) .. "\0\0\0\1 hello, world" end,
  -- One that the Internet routes could be ours behind a NAT: that is a node, as far as anybody can tell.
  ["a NAck with a constant foreign address"] = function(d) return d:sub(1, 2) .. "\x17\203\0\113\9" .. random(4) end,
  ["a NAck with a constant private address"] = function(d) return d:sub(1, 2) .. "\x17\10\1\2\3" .. random(4) end,
  ["a NAck that replays an earlier id"] = function(d, my)
    my.id = my.id or d:sub(1, 2)
    return my.id .. "\x17\127\0\0\1" .. random(4)
  end,
  ["an earlier request's answer"] = function(d, my)
    local before = my.before
    my.before = d
    return before and before:sub(1, 2) .. "\x81\x83" .. before:sub(5, 12) .. before:sub(13) or nil
  end,
  ["11 bytes"] = function(d) return d:sub(1, 1) .. random(10) end,
  ["11 constant bytes"] = function() return "\x92\x40\x17\xc0\xa8\0\x13\x74\xa0\x41\xf0" end,
  ["the header, its top bit set"] = function(d)
    return #d > 2 and d:sub(1, 2) .. string.char(d:byte(3) | 0x80) .. d:sub(4, 12) .. random(8) or nil
  end,
  ["the request, its third byte counted up"] = function(d)
    return #d > 2 and d:sub(1, 2) .. string.char((d:byte(3) + 1) & 255) .. d:sub(4) or nil
  end,
  ["the request, its first byte counted up"] = function(d)
    return #d > 1 and string.char((d:byte(1) + 1) & 255) .. d:sub(2) or nil
  end,
  ["the request, its first bit set"] = function(d)
    return #d > 0 and string.char(d:byte(1) | 0x80) .. d:sub(2) or nil
  end,
  ["the request cut in half"] = function(d) return d:sub(1, #d // 2) end,
  ["the request without its head"] = function(d) return d:sub(5) end,
  ["the request twice"] = function(d) return d:sub(2) .. d end,
  ["a length in front of the request"] = function(d) return string.pack(">I2", #d) .. d end,
  ["a text in front of the request"] = function(d) return "unknown: " .. d end,
  ["every byte complemented"] = function(d) return (d:gsub(".", function(c) return string.char(c:byte() ~ 255) end)) end,
}

local function ask(kind, seed)
  math.randomseed(seed)
  local w, my = virtual.new(), {}
  w.udp[34567] = { peer = function(u)
    local reply = kind(u.data, my)
    if reply then u:reply(reply) end
  end }
  return identify.run(w:loop(), {
    signatures = paths.signatures(), targets = { { ip = "127.0.0.1", port = 34567, transport = "udp" } },
  })[1], w
end

describe("a server that", function()
  if not paths.has_core then return pending("mynah_core is not built") end
  for name, kind in pairs(KINDS) do
    it("says " .. name, function()
      for seed = 1, SEEDS do
        local got, w = ask(kind, seed)
        local story = ("seed %d: %s %s"):format(seed, tostring(got.service), table.concat(got.evidence, "; "))
        assert.equal(name == "echo" and "echo" or nil, got.service, story)
        assert.is_true(#w.log <= 200, #w.log)
      end
    end)
  end
end)
