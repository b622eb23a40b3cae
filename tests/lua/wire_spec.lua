--- The bytes of every signature's probe, beside bytes that a real client sent or a standard prints (tests/data/wire/*.lua).
--
-- A row: { sig = "stun", wire = "0001…", from = "RFC 5769 section 2.1", except = { { offset, count, "why" }, … } }. The probe
-- is composed many times; what differs from time to time is drawn anew, and the rest must be what stands on the wire, but for
-- `except`. A wire that is longer or shorter than the probe needs an `except` that reaches behind the shorter one's end.
-- { sig = …, none = "why" }: there is nothing to compare with. A step has `step = 1, before = { request, reply }`.

local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
package.path = here .. "/support/?.lua;" .. package.path
local paths = require "paths"

local function list(folder, ending)
  local files = {}
  local pipe = assert(io.popen(("ls '%s'"):format(folder)))
  for name in pipe:lines() do
    if name:sub(-#ending) == ending then files[#files + 1] = name end
  end
  pipe:close()
  return files
end

local function unhex(text)
  text = text:gsub("%s", "")
  assert(#text % 2 == 0 and not text:find "%X", "no hex: " .. text)
  return (text:gsub("..", function(pair) return string.char(tonumber(pair, 16)) end))
end

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function load_rows()
  local rows = {}
  local folder = paths.root .. "/tests/data/wire"
  for _, name in ipairs(list(folder, ".lua")) do
    for i, row in ipairs(assert(loadfile(folder .. "/" .. name))()) do
      row.where = ("tests/data/wire/%s, row %d (%s)"):format(name, i, tostring(row.sig))
      rows[#rows + 1] = row
    end
  end
  return rows
end

-- Often enough that a nibble drawn anew is the same in all of them once in 16^31.
local TIMES = 32

-- A probe and a mask of its fixed bits: 0f, f0 or ff where that nibble is the same every time.
local function compose(db, row)
  local function once()
    if row.step then
      local before = { request = unhex(row.before[1]), reply = unhex(row.before[2]) }
      return assert(db:compose_step(row.sig, row.step, before))
    end
    return assert(db:compose(row.sig, { my = "192.0.2.1", my_port = 40000, peer = "192.0.2.2", peer_port = 50000 }))
  end
  local probe, varies = once(), {}
  for _ = 2, TIMES do
    local other = once()
    assert(#other == #probe, row.where .. ": its probe has no fixed length")
    for i = 1, #probe do varies[i] = (varies[i] or 0) | (probe:byte(i) ~ other:byte(i)) end
  end
  for i = 1, #probe do
    local bits = varies[i]
    varies[i] = (bits & 0xf0 == 0 and 0xf0 or 0) | (bits & 0x0f == 0 and 0x0f or 0)
  end
  return probe, varies
end

-- Offsets (from 0) that `except` names.
local function excused(row)
  local set = {}
  for _, one in ipairs(row.except or {}) do
    assert(#one == 3 and type(one[3]) == "string" and #one[3] > 3, row.where .. ": an except is { offset, count, \"why\" }")
    for at = one[1], one[1] + one[2] - 1 do set[at] = true end
  end
  return set
end

local function compare(db, row)
  local probe, fixed = compose(db, row)
  local wire, skip = unhex(row.wire), excused(row)
  local compared = 0
  for at = 0, math.max(#probe, #wire) - 1 do
    local a, b = probe:byte(at + 1), wire:byte(at + 1)
    if not skip[at] then
      assert(a and b, ("%s: %d bytes of probe, %d on the wire:\n  %s\n  %s"):format(row.where, #probe, #wire, hex(probe),
        hex(wire)))
      local mask = fixed[at + 1]
      assert((a ~ b) & mask == 0, ("%s: byte %d is %02x, on the wire %02x (%s):\n  %s\n  %s"):format(row.where, at, a, b,
        row.from, hex(probe), hex(wire)))
      if mask ~= 0 then compared = compared + 1 end
    end
  end
  -- A row that excuses all it could compare says nothing.
  assert(compared > 0 or #probe == 0, row.where .. ": nothing is compared")
end

describe("the bytes on the wire", function()
  if not paths.has_core then return pending("mynah_core is not built") end
  local rows = load_rows()
  local db = paths.signatures()
  local known, seen = {}, {}
  for _, name in ipairs(db:names()) do known[name] = db:info(name) end

  for _, row in ipairs(rows) do
    it("of " .. row.where:match("tests/data/wire/(.*)$"), function()
      assert(known[row.sig], row.where .. ": there is no such signature")
      if row.none then
        assert(type(row.none) == "string" and #row.none > 10, row.where .. ": say why there is nothing to compare with")
        assert(not row.wire, row.where .. ": either wire or none")
        return
      end
      assert(type(row.from) == "string" and #row.from > 5, row.where .. ": say where the bytes are from")
      compare(db, row)
    end)
    seen[row.sig] = true
  end

  it("are known for every signature that sends some", function()
    local missing = {}
    for _, name in ipairs(db:names()) do
      local info = known[name]
      if not info.banner and info.probe_len > 0 and not seen[name] then
        missing[#missing + 1] = ("%s (%s)"):format(name, info.file:match("[^/]*$"))
      end
    end
    assert(#missing == 0, #missing .. " signatures have no row in tests/data/wire: " .. table.concat(missing, ", "))
  end)
end)
