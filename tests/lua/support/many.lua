--- Signatures by the dozen, for the planner: services p1, p2 …, each with a probe of its own.

local many = {}

--- Text of `count` signatures.
-- @param count how many
-- @param extra text put into each, or a function (i) that gives it
function many.text(count, extra)
  local out = {}
  for i = 1, count do
    local more = type(extra) == "function" and extra(i) or extra or ""
    out[#out + 1] = ([[
service p%d
  title "Protocol %d"
%s
sig p%d
  send  id?8 "ask for protocol %03d"
  @0:8  = $id
  @8    starts "protocol %03d says"
  match   01*8 "ask for protocol %03d" > 01*8 "protocol %03d says yes"
  nomatch 01*8 "ask for protocol %03d" > 01*8 "protocol xxx says yes"
]]):format(i, i, more, i, i, i, i, i, i)
  end
  return table.concat(out)
end

--- A database of them, with the text of others behind.
function many.db(count, extra, others)
  local db = assert(require "mynah_core".signatures())
  assert(db:add(many.text(count, extra), "many.sig"))
  if others then assert(db:add(others, "others.sig")) end
  return db
end

--- The number of the protocol that a datagram asks for; nil where it is none of these.
function many.number(data)
  return tonumber(data:match("^........ask for protocol (%d%d%d)$"))
end

--- The answer to such a datagram.
function many.answer(data)
  local n = many.number(data)
  return n and data:sub(1, 8) .. ("protocol %03d says yes"):format(n)
end

return many
