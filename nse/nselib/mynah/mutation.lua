--- What changing a request teaches: how to change it, and what the replies to changed requests say of its bytes.
-- Pure functions on byte strings: nothing is sent here, no clock is read, chance comes in as an argument.
-- Offsets count from 0, as in signatures.
-- @module mynah.mutation

local mutation = {}

-- Bytes ------------------------------------------------------------------------------------------------

local function with_bytes(s, offset, bytes) return s:sub(1, offset) .. bytes .. s:sub(offset + #bytes + 1) end

--- A request with the bits of `mask` of one byte turned.
function mutation.flip(request, offset, mask)
  return with_bytes(request, offset, string.char(request:byte(offset + 1) ~ mask))
end

local CLASSES = {
  { "digit", "^%d$", "0123456789" },
  { "alpha", "^%l$", "abcdefghijklmnopqrstuvwxyz" },
  { "alnum", "^[%l%d]$", "abcdefghijklmnopqrstuvwxyz0123456789" },
}

local LEAST_TEXT = 4 -- bytes that are letters by chance no more

--- What a run of bytes may be drawn from so that it stays the text that it is.
-- @param bytes
-- @param is_text it is known that it must stay one, however short it is
-- @return "digit", "alpha", "alnum"; nil: any bytes will do; and the characters of the class
function mutation.class_of(bytes, is_text)
  for _, class in ipairs(CLASSES) do
    local all = is_text or #bytes >= LEAST_TEXT
    for i = 1, #bytes do all = all and bytes:sub(i, i):find(class[2]) ~= nil end
    if all then return class[1], class[3] end
  end
end

local TURNS = { { "%d", "0", 10 }, { "%l", "a", 26 }, { "%u", "A", 26 } }

--- A request with one byte changed as little as can be: a digit stays a digit, a letter one of its kind.
-- @return the request, and whether the byte is such a one
function mutation.nudge(request, offset)
  local c = request:sub(offset + 1, offset + 1)
  for _, turn in ipairs(TURNS) do
    if c:find(turn[1]) then
      local first = turn[2]:byte()
      return with_bytes(request, offset, string.char(first + (c:byte() - first + 1) % turn[3])), true
    end
  end
  return mutation.flip(request, offset, 0x01), false
end

--- Draw the bytes at some offsets anew.
-- @param request bytes
-- @param spans array of { offset=, len=, text= it must stay one }
-- @param random function (n) -> n bytes
-- @return bytes; a text among them is drawn from the class that it belongs to
function mutation.redraw(request, spans, random)
  for _, span in ipairs(spans) do
    local _, letters = mutation.class_of(request:sub(span.offset + 1, span.offset + span.len), span.text)
    local drawn = random(span.len)
    if letters then
      drawn = drawn:gsub(".", function(c)
        local i = c:byte() % #letters + 1
        return letters:sub(i, i)
      end)
    end
    request = with_bytes(request, span.offset, drawn)
  end
  return request
end

--- Offsets as spans of neighbours.
-- @param offsets array, ascending
-- @param kinds as classify gives them: what must stay a text stands in spans of its own; nil: no such difference
-- @return array of { offset=, len=, text= }
function mutation.spans(offsets, kinds)
  local spans = {}
  for _, offset in ipairs(offsets) do
    local last, is_text = spans[#spans], kinds ~= nil and kinds[offset + 1] == "text"
    if last and last.offset + last.len == offset and last.text == is_text then
      last.len = last.len + 1
    else
      spans[#spans + 1] = { offset = offset, len = 1, text = is_text }
    end
  end
  return spans
end

-- Lengths and checksums --------------------------------------------------------------------------------

local CRC = {}
for i = 0, 255 do
  local c = i
  for _ = 1, 8 do c = c & 1 == 1 and (c >> 1) ~ 0xedb88320 or c >> 1 end
  CRC[i] = c
end

local function crc32(s)
  local c = 0xffffffff
  for i = 1, #s do c = CRC[(c ~ s:byte(i)) & 255] ~ (c >> 8) end
  return c ~ 0xffffffff
end

local function inet(s) -- RFC 1071
  local sum = 0
  for i = 1, #s, 2 do sum = sum + (s:byte(i) << 8) + (s:byte(i + 1) or 0) end
  while sum > 0xffff do sum = (sum & 0xffff) + (sum >> 16) end
  return ~sum & 0xffff
end

local function sum8(s)
  local sum = 0
  for i = 1, #s do sum = sum + s:byte(i) end
  return -sum & 0xff
end

local SUMS = {
  crc32 = { width = 4, pack = ">I4", of = crc32 },
  crc32le = { width = 4, pack = "<I4", of = crc32 },
  inet = { width = 2, pack = ">I2", of = inet },
  sum8 = { width = 1, pack = "B", of = sum8 },
}
local SUM_ORDER = { "crc32", "crc32le", "inet", "sum8" }

--- The bytes that a field must have in a request.
-- @param request bytes
-- @param field { kind="length", offset=, width=, endian=, add= } or { kind=a sum, offset=, from=, len= }, where `tail` says that
-- the sum goes to the end, however long the request is
function mutation.field_bytes(request, field)
  if field.kind == "length" then
    local n = math.max(0, #request + field.add)
    return string.pack((field.endian == "be" and ">I" or "<I") .. field.width, n & (1 << 8 * field.width) - 1)
  end
  local sum = SUMS[field.kind]
  local to = field.tail and #request or field.from + field.len
  return string.pack(sum.pack, sum.of(request:sub(field.from + 1, to)))
end

local function width_of(field) return field.width or SUMS[field.kind].width end

--- Make the lengths, then the checksums, of a changed request right again. A field that no longer lies in it is left out.
-- @param request bytes
-- @param fields array; lengths before sums
function mutation.fix(request, fields)
  for _, field in ipairs(fields) do
    if field.offset + width_of(field) <= #request then
      request = with_bytes(request, field.offset, mutation.field_bytes(request, field))
    end
  end
  return request
end

--- Is this offset inside a field?
function mutation.in_field(offset, fields)
  for _, field in ipairs(fields) do
    if offset >= field.offset and offset < field.offset + width_of(field) then return true end
  end
  return false
end

local function is_blank(bytes) return not bytes:find("[^%z]") end

local LEAST_LENGTH = 4 -- smaller numbers are everywhere

--- Fields that may be a length: a number that is the request's own, less what stands before or in front of it.
-- @return array of fields, likeliest first: those whose count begins right behind them, then those that count all
function mutation.lengths(request)
  local found = {}
  for _, width in ipairs { 4, 2 } do
    for offset = 0, math.min(#request - width, 64) do
      local bytes = request:sub(offset + 1, offset + width)
      for _, endian in ipairs { "be", "le" } do
        local value = string.unpack((endian == "be" and ">I" or "<I") .. width, bytes)
        local left_out = #request - value
        -- It counts from the first byte, from its own, from behind it, or from behind a header that it stands in.
        local from_there = left_out == 0 or left_out == offset or left_out >= offset + width
        if value >= LEAST_LENGTH and from_there and left_out <= math.max(offset + width, 20) then
          local likely = left_out == offset + width and 0 or left_out == 0 and 1 or 2
          found[#found + 1] = { kind = "length", offset = offset, width = width, endian = endian, add = -left_out,
            likely = likely, order = #found }
        end
      end
    end
  end
  table.sort(found, function(a, b)
    if a.likely ~= b.likely then return a.likely < b.likely end
    return a.order < b.order
  end)
  return found
end

-- A sum covers all before its field or all behind it, with or without a few bytes at the rim.
local function ranges(request, offset, width)
  local list, behind = {}, offset + width
  for _, from in ipairs { 0, 2, 4, 8 } do
    if offset - from >= 4 then list[#list + 1] = { from = from, len = offset - from } end
  end
  if #request - behind >= 4 then list[#list + 1] = { from = behind, len = #request - behind, tail = true } end
  return list
end

--- Fields that are a checksum of other bytes of the request. A small one is so by chance now and then: try it.
-- @return array of fields
function mutation.sums(request)
  local found = {}
  for _, kind in ipairs(SUM_ORDER) do
    local sum = SUMS[kind]
    for offset = 0, #request - sum.width do
      local bytes = request:sub(offset + 1, offset + sum.width)
      for _, range in ipairs(is_blank(bytes) and {} or ranges(request, offset, sum.width)) do
        local field = { kind = kind, offset = offset, from = range.from, len = range.len, tail = range.tail }
        if mutation.field_bytes(request, field) == bytes then found[#found + 1] = field end
      end
    end
  end
  return found
end

-- Replies ----------------------------------------------------------------------------------------------

--- What the answers to one and the same request have in common.
-- @param replies array of bytes, at least one
-- @return { lens = set of lengths, reply = the first, stable = set of offsets (from 0) that never moved }
function mutation.shape(replies)
  local shape = { lens = {}, reply = replies[1], stable = {} }
  for _, reply in ipairs(replies) do shape.lens[#reply] = true end
  for i = 1, #replies[1] do
    local same = true
    for _, reply in ipairs(replies) do same = same and reply:byte(i) == replies[1]:byte(i) end
    if same then shape.stable[i - 1] = true end
  end
  return shape
end

--- Another answer to the unchanged request, maybe later: what moved in it, such as a clock's second, is not stable.
function mutation.add_to_shape(shape, reply)
  shape.lens[#reply] = true
  for at in pairs(shape.stable) do
    if reply:byte(at + 1) ~= shape.reply:byte(at + 1) then shape.stable[at] = nil end
  end
end

-- The set of differences, as XOR, between a request and its change: what a reply that follows it may show.
local function changes(request, changed)
  local set = {}
  for i = 1, math.max(#request, #changed) do
    local a, b = request:byte(i), changed:byte(i)
    if a ~= b then
      if a and b then set[a ~ b] = true end
      if b then set[-1 - b] = true end
    end
  end
  return set
end

--- Offsets of a reply that moved although nothing in the request's change explains it.
-- @param shape of the unchanged request
-- @param request, changed the two requests
-- @param reply to the changed one
-- @return array of offsets; nil where the reply has another length
function mutation.unexplained(shape, request, changed, reply)
  if not shape.lens[#reply] then return nil end
  local set, moved = changes(request, changed), {}
  for i = 1, #reply do
    local a, b = shape.reply:byte(i), reply:byte(i)
    if a and a ~= b and shape.stable[i - 1] and not set[a ~ b] and not set[-1 - b] then moved[#moved + 1] = i - 1 end
  end
  return moved
end

--- Bytes that move in the replies to most changes, such as a checksum of the reply, say nothing of one of them.
-- @param shape
-- @param trials array of { sent=, reply=bytes or nil }
function mutation.settle(shape, request, trials)
  local counts, answered = {}, 0
  for _, trial in ipairs(trials) do
    local moved = trial.reply and mutation.unexplained(shape, request, trial.sent, trial.reply)
    if moved then
      answered = answered + 1
      for _, at in ipairs(moved) do counts[at] = (counts[at] or 0) + 1 end
    end
  end
  for at, n in pairs(counts) do
    if answered >= 4 and n * 2 > answered then shape.stable[at] = nil end
  end
end

--- What a reply to a changed request is.
-- @return "dead" (none), "other" (another shape) or "same"
function mutation.kind(shape, request, changed, reply)
  if not reply then return "dead" end
  local moved = mutation.unexplained(shape, request, changed, reply)
  return (moved == nil or #moved > 0) and "other" or "same"
end

--- Does a request's byte come back? Both of its changes must, at one place.
-- @param offset of the byte
-- @param trials array of { sent=, reply= } whose change is at this offset
function mutation.comes_back(shape, request, offset, trials)
  local places = {}
  local was = request:byte(offset + 1)
  for i = 1, #shape.reply do
    if shape.reply:byte(i) == was then places[i] = true end
  end
  for _, trial in ipairs(trials) do
    local now = trial.sent:byte(offset + 1)
    for i in pairs(places) do
      if not trial.reply or trial.reply:byte(i) ~= now then places[i] = nil end
    end
  end
  return #trials > 0 and next(places) ~= nil
end

--- Sum up what the changes of single bytes taught.
-- @param shape, request as before
-- @param trials array of { offset=, sent=, reply=, nudged= a letter or digit that became another }
-- @return array by offset + 1 of "dead", "other", "free", "text" (free as long as it stays letter or digit) or nil (not
-- tried), and array of the same of booleans: it comes back
function mutation.classify(shape, request, trials)
  local by_offset, kinds, back = {}, {}, {}
  for _, trial in ipairs(trials) do
    by_offset[trial.offset] = by_offset[trial.offset] or {}
    table.insert(by_offset[trial.offset], trial)
  end
  for offset, list in pairs(by_offset) do
    local dead, other, nudged = true, false, {}
    for _, trial in ipairs(list) do
      local kind = mutation.kind(shape, request, trial.sent, trial.reply)
      dead, other = dead and kind == "dead", other or kind ~= "same"
      if trial.nudged and kind == "same" then nudged[1] = trial end
    end
    local is_text = other and nudged[1] ~= nil
    kinds[offset + 1] = dead and "dead" or is_text and "text" or other and "other" or "free"
    back[offset + 1] = (is_text or not other) and mutation.comes_back(shape, request, offset, is_text and nudged or list)
  end
  return kinds, back
end

--- Requests that are alike: of one length, and the same in half of their bytes.
function mutation.are_alike(a, b)
  if #a ~= #b then return false end
  local same = 0
  for i = 1, #a do
    if a:byte(i) == b:byte(i) then same = same + 1 end
  end
  return same * 2 >= #a
end

return mutation
