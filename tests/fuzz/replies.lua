--- What replies_fuzz.c runs: a TCP server under the virtual engine that says what the fuzzer thought of, identified.
--
-- An input is a list of records: kind, flags, delay, length (2 bytes, the high one first), so many bytes. `kind` says what the
-- bytes answer (KINDS below); of several of one kind each connection takes the next. `delay` is in eighths of a second.
local root, build = ...
package.path = root .. "/tests/lua/support/?.lua;" .. root .. "/nse/nselib/?.lua;" .. package.path
package.cpath = build .. "/lua/" .. _VERSION:match "%d%.%d" .. "/?.so;" .. package.cpath

local identify = require "mynah.identify"
local mynah = require "mynah"
local signatures = require "mynah.signatures"
local virtual = require "virtual"

local KINDS = 8
local BANNER, GET_11, GET_10, TLS, TEXT, BYTES, H2, LATER = 0, 1, 2, 3, 4, 5, 6, 7
local CLOSE, RESET, DRIP, ECHO = 1, 2, 4, 8
local DRIP_MAX = 64 -- bytes that are worth dripping
local CONNECTIONS, SECONDS = 6, 600 -- more than any server may cost

local sigs = signatures.new(assert(mynah.load_signatures { root .. "/signatures" }))

local function read_records(input)
  local records, at = {}, 1
  for kind = 0, KINDS - 1 do records[kind] = {} end
  while at + 4 <= #input do
    local kind, flags, delay, length = (">BBBI2"):unpack(input, at)
    local list = records[kind % KINDS]
    list[#list + 1] = { flags = flags, delay = delay / 8, bytes = input:sub(at + 5, at + 4 + length) }
    at = at + 5 + length
  end
  return records
end

local function kind_of(request)
  if request:find "^GET / HTTP/1%.1" then return GET_11 end
  if request:find "^GET / HTTP/1%.0" then return GET_10 end
  if request:find "^PRI " then return H2 end
  if request:find "^\22\3" then return TLS end
  return request:find "^%a[%w ]+" and TEXT or BYTES
end

-- A server by these records.
local function server(records)
  local used = {}
  local function answer(c, kind, request)
    local list = records[kind]
    if #list == 0 then return end
    used[kind] = (used[kind] or 0) % #list + 1
    local record = list[used[kind]]
    c:after(record.delay, function()
      local bytes = (record.flags & ECHO ~= 0 and request or "") .. record.bytes
      local function done()
        if record.flags & CLOSE ~= 0 then c:close() elseif record.flags & RESET ~= 0 then c:reset() end
      end
      if record.flags & DRIP ~= 0 and bytes ~= "" and #bytes <= DRIP_MAX then return c:drip(bytes, 0.2, done) end
      c:write(bytes)
      done()
    end)
  end
  return function(c)
    local asked = false
    function c:on_data(request)
      answer(self, asked and LATER or kind_of(request), request)
      asked = true
    end
    answer(c, BANNER, "")
  end
end

local function check_text(what, value)
  assert(type(value) == "string" and #value < 4096, what .. " is no short text")
  assert(not value:find "%c", what .. " has control characters: " .. ("%q"):format(value))
end

local function check(result, connections, took)
  assert(result.state == "open" or result.state == "unknown" or result.state == "closed", "state " .. tostring(result.state))
  assert(connections <= CONNECTIONS, connections .. " connections")
  assert(took <= SECONDS, took .. " seconds")
  assert(result.confidence >= 0 and result.confidence <= 1, "confidence " .. result.confidence)
  for _, key in ipairs { "service", "guess", "product", "version", "extra", "probe" } do
    if result[key] then check_text(key, result[key]) end
  end
  for _, line in ipairs(result.evidence) do check_text("evidence", line) end
end

return function(input)
  local world = virtual.new()
  world.tcp[1] = { peer = server(read_records(input)) }
  local began = world.clock
  local results = identify.run(world:loop(), {
    signatures = sigs, targets = { { ip = "127.0.0.1", port = 1, transport = "tcp" } },
  })
  check(results[1], world.tcp[1].accepted or 0, world.clock - began)
end
