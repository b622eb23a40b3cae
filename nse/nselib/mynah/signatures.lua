--- The signatures of a database as the checks use them: which to try, in what order, and which of them
-- a reply is judged by.
-- @module mynah.signatures

local likelihood = require "mynah.likelihood"
local text = require "mynah.text"

local signatures = {}

local S = {}
S.__index = S

-- Two draws of entropy that have nothing in common: signatures whose probes agree under both send the same.
local ENTROPY_A = ("\x11\x5a\xc3\x2e\x97\x68\xf4\x0b"):rep(64)
local ENTROPY_B = ("\xa6\x3d\x70\xe9\x1c\x85\x52\xdb"):rep(64)
local WHO = { my = "127.0.0.1", my_port = 40000, peer = "127.0.0.1", peer_port = 40001 }
local WHO_ELSE = { my = "127.0.0.1", my_port = 40002, peer = "127.0.0.1", peer_port = 40001 }
local SPECIFIC = 4 -- bits of identity by which a signature that wants more says more than one that is certain already

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
          head = sample:sub(1, 2), service = info.service,
          order = #self.groups[info.transport] + 1, likelihood = math.huge,
          tells_port = db:compose(name, WHO, ENTROPY_A) ~= db:compose(name, WHO_ELSE, ENTROPY_A),
        }
        by_key[key] = group
        table.insert(self.groups[info.transport], group)
      end
      group.names[#group.names + 1] = name
      group.likelihood = math.min(group.likelihood, likelihood.of(info.service))
    end
  end
  return self
end

--- The probes to try at a port, likeliest first. Signatures that send the same datagram share one.
-- @param transport "udp" or "tcp"
-- @param port number
-- What names the port comes first, then ranges, then the rest; likelier services first among equals.
-- @param only nil, or the name of the one signature whose probe is wanted, or a set of such names
-- @return array of { name (of the first), service (its), names (array), rank (0 to 2), kind ("text" or "binary"), head (its first
-- two bytes, as once drawn), constant (the bytes, where nothing in them is drawn), tells_port (boolean: our own port stands
-- in it) }
function S:probes(transport, port, only)
  local list = {}
  if type(only) == "string" then only = { [only] = true } end
  for _, group in ipairs(self.groups[transport]) do
    local rank, wanted = 0, only == nil
    for _, name in ipairs(group.names) do
      rank, wanted = math.max(rank, self.db:rank(name, port)), wanted or only[name] == true
    end
    list[#list + 1] = wanted and {
      name = group.name, names = group.names, kind = group.kind, constant = group.constant, head = group.head, rank = rank,
      order = group.order, service = group.service,
      likelihood = group.likelihood, tells_port = group.tells_port,
    } or nil
  end
  table.sort(list, function(a, b)
    if a.rank ~= b.rank then return a.rank > b.rank end
    if a.likelihood ~= b.likelihood then return a.likelihood < b.likelihood end
    return a.order < b.order
  end)
  return list
end

--- The signatures over TCP that ask something of their own.
-- @param page what every port is asked: who asks this is left out
-- @return array of names
function S:askers(page)
  local list = {}
  for _, group in ipairs(self.groups.tcp) do
    if group.constant ~= page then table.move(group.names, 1, #group.names, #list + 1, list) end
  end
  return list
end

--- Draw a probe.
-- @param name of a signature
-- @param who table { my, my_port, peer, peer_port }
-- @return bytes; or nil and a message
function S:compose(name, who)
  return self.db:compose(name, who)
end

--- The request of a further step of a signature.
-- @param name of the signature
-- @param step number, as the verdict says it
-- @param pair the one before it
-- @return bytes; or nil and a message
function S:compose_step(name, step, pair)
  return self.db:compose_step(name, step, pair)
end

local RANK = { certain = 3, more = 2, guess = 1, no = 0 }

-- One that is certain wins, unless another says clearly more and only has to be asked on.
local function better(a, b)
  if not b then return true end
  if a.state == "more" and b.state == "certain" then return a.identity_bits > b.identity_bits + SPECIFIC end
  if b.state == "more" and a.state == "certain" then return a.identity_bits + SPECIFIC >= b.identity_bits end
  if a.state ~= b.state then return RANK[a.state] > RANK[b.state] end
  if a.state == "no" then return false end
  local x, y = a.fresh_bits + a.identity_bits, b.fresh_bits + b.identity_bits
  if a.identity_bits ~= b.identity_bits then return a.identity_bits > b.identity_bits end
  return x > y
end

-- What one signature is judged by: the steps of others were no questions of its own.
local function own_pairs(name, pairs_)
  local own
  for i, pair in ipairs(pairs_) do
    if pair.step and pair.of ~= name then
      own = own or table.move(pairs_, 1, i - 1, 1, {})
    elseif own then
      own[#own + 1] = pair
    end
  end
  return own or pairs_
end

--- Judge pairs by several signatures.
-- @param names array of signatures
-- @param pairs_ array of pairs, as mynah_core takes them; that of a step also has `step` and `of`, whose step it was
-- @param control nil, "silent" or "answered"
-- @return the best verdict of mynah_core (state, want, confidence …) and the name of its signature
function S:judge(names, pairs_, control)
  local best, best_name
  for _, name in ipairs(names) do
    local v = self.db:judge(name, own_pairs(name, pairs_), control)
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
