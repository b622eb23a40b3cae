--- The signatures of a database as the checks use them: which to try, in what order, and which of them
-- a reply is judged by.
-- @module mynah.signatures

local text = require "mynah.text"

local signatures = {}

local S = {}
S.__index = S

-- Two draws of entropy that have nothing in common: signatures whose probes agree under both send the same.
local ENTROPY_A = ("\x11\x5a\xc3\x2e\x97\x68\xf4\x0b"):rep(64)
local ENTROPY_B = ("\xa6\x3d\x70\xe9\x1c\x85\x52\xdb"):rep(64)
local WHO = { my = "127.0.0.1", my_port = 40000, peer = "127.0.0.1", peer_port = 40001 }

local function fixed_probe(db, name)
  local a, b = db:compose(name, WHO, ENTROPY_A), db:compose(name, WHO, ENTROPY_B)
  return a and b and a .. "|" .. b or name, a and a == b and a or nil
end

--- Read a database once.
-- @param db of mynah_core.signatures, with what it shall hold already added
-- @return the set
function signatures.new(db)
  local self = setmetatable({ db = db, info = {}, banners = {}, groups = { udp = {}, tcp = {} } }, S)
  local by_key = {}
  for _, name in ipairs(db:names()) do
    local info = db:info(name)
    self.info[name] = info
    if info.banner then
      if info.transport == "tcp" then self.banners[#self.banners + 1] = name end
    elseif self.groups[info.transport] then
      local key, constant = fixed_probe(db, name)
      key = info.transport .. ":" .. key
      local group = by_key[key]
      if not group then
        local sample = db:compose(name, WHO) or ""
        group = {
          name = name, names = {}, kind = text.is_text(sample) and "text" or "binary", constant = constant,
          order = #self.groups[info.transport] + 1,
        }
        by_key[key] = group
        table.insert(self.groups[info.transport], group)
      end
      group.names[#group.names + 1] = name
    end
  end
  return self
end

--- The probes to try at a port, likeliest first. Signatures that send the same datagram share one.
-- @param transport "udp" or "tcp"
-- @param port number
-- @return array of { name (of the first), names (array), rank (0 to 2), kind ("text" or "binary"), constant (the bytes, where
-- nothing in them is drawn) }
function S:probes(transport, port)
  local list = {}
  for i, group in ipairs(self.groups[transport]) do
    local rank = 0
    for _, name in ipairs(group.names) do rank = math.max(rank, self.db:rank(name, port)) end
    list[i] = {
      name = group.name, names = group.names, kind = group.kind, constant = group.constant, rank = rank, order = group.order,
    }
  end
  table.sort(list, function(a, b)
    if a.rank ~= b.rank then return a.rank > b.rank end
    return a.order < b.order
  end)
  return list
end

--- Draw a probe.
-- @param name of a signature
-- @param who table { my, my_port, peer, peer_port }
-- @return bytes; or nil and a message
function S:compose(name, who)
  return self.db:compose(name, who)
end

local function better(a, b)
  if not b then return true end
  local rank = { certain = 3, guess = 2, more = 1, no = 0 }
  if a.state ~= b.state then return rank[a.state] > rank[b.state] end
  return a.confidence > b.confidence
end

--- Judge pairs by several signatures.
-- @param names array of signatures
-- @param pairs_ array of pairs, as mynah_core takes them
-- @param control nil, "silent" or "answered"
-- @return the best verdict of mynah_core (state, want, confidence …) and the name of its signature
function S:judge(names, pairs_, control)
  local best, best_name
  for _, name in ipairs(names) do
    local v = self.db:judge(name, pairs_, control)
    if v and better(v, best) then best, best_name = v, name end
  end
  return best, best_name
end

--- Judge what a peer said first.
-- @param pair a pair without a request
-- @return as judge
function S:judge_banner(pair)
  return self:judge(self.banners, { pair })
end

--- What held in a verdict, as short lines for people.
-- @param verdict of mynah_core
-- @param limit at most so many; default 12
-- @return array of text
function signatures.evidence(verdict, limit)
  local lines = {}
  for _, e in ipairs(verdict.evidence or {}) do
    if #lines >= (limit or 12) then break end
    local got = e.got and e.got ~= "" and (": " .. (#e.got > 64 and e.got:sub(1, 64) .. "..." or e.got)) or ""
    if e.held == "no" then
      lines[#lines + 1] = e.line .. " failed" .. got
    elseif e.held == "public" then
      lines[#lines + 1] = e.line .. got .. " (a public address, not ours: behind NAT)"
    elseif e.held == "private" then
      lines[#lines + 1] = e.line .. got .. " (a private address that is not ours)"
    elseif e.held == "yes" then
      lines[#lines + 1] = e.line .. got
    end
  end
  return lines
end

return signatures
