--- Learning a signature: captures are read into a learner of mynah_core, a live server may be asked on, and what
-- comes out is proved before anybody gets to see it.
-- @module mynah.learning

local core = require "mynah_core"
local identify = require "mynah.identify"
local pace = require "mynah.pace"
local probing = require "mynah.probing"
local signatures = require "mynah.signatures"

local learning = {}

local Lesson = {}
Lesson.__index = Lesson

local VERIFY = 16       -- datagrams of the budget with which the result is tried
local KEPT = 4096       -- payloads of clients kept for a target
local LONGEST = 1500    -- bytes of a message: what is longer the learner passes over
local NONCE = 2         -- bytes drawn anew with which a study is content
local PORTS = 4         -- ports named in a signature, at most

--- Begin to learn.
-- @return a lesson
function learning.new()
  return setmetatable({
    learner = core.learner(), servers = { count = 0 }, flows = 0, names = {}, payloads = {}, ports = {}, notes = {}, tcp = 0,
    cut = 0,
  }, Lesson)
end

function Lesson:note(...) self.notes[#self.notes + 1] = (...):format(select(2, ...)) end

-- A number for each server: one endpoint is one, wherever it was seen.
function Lesson:server(transport, ip, port)
  local key = ("%s %s %d"):format(transport, ip, port)
  if not self.servers[key] then
    self.servers.count = self.servers.count + 1
    self.servers[key] = self.servers.count
  end
  return self.servers[key]
end

-- Ports of servers that taught, for the signature's line.
function Lesson:note_port(transport, port)
  local list = self.ports[transport] or {}
  self.ports[transport] = list
  for _, known in ipairs(list) do
    if known == port then return end
  end
  if #list < PORTS then list[#list + 1] = port end
end

-- Who serves in this flow: the side that did not open it, also where it answers from another port.
local function served_by(p)
  if p.side == "client" then return p.to, p.to_port end
  return p.from, p.from_port
end

local function base_name(path) return path:match "([^/]*)$" end

function Lesson:keep_payload(p)
  if p.side ~= "client" or p.cut or #p.data == 0 then return end
  if p.transport ~= "udp" then
    self.tcp = self.tcp + 1
  elseif #self.payloads < KEPT then
    self.payloads[#self.payloads + 1] = p.data
  end
end

-- What the learner and a target get to know: one whole message of one side.
function Lesson:tell(p, method)
  if #p.data == 0 then return end
  if method == "said" then self:keep_payload(p) end
  self.learner[method](self.learner, p)
end

-- Does the capture hold less of a datagram than it had? Its length is another then, and what answers a request of which a part
-- is not known answers nothing that is.
function Lesson:is_cut(p, known)
  if p.transport ~= "udp" then return false end
  if p.cut then self.cut = self.cut + 1 end
  if p.side == "client" then known.cut = p.cut end
  return p.cut or known.cut
end

function Lesson:said_of_cut()
  return ("%d datagram%s that the capture holds not all of (snaplen) left out"):format(self.cut, self.cut == 1 and "" or "s")
end

-- A stream has no messages: what one side says before the other speaks is one.
function Lesson:gather(known, p, method)
  if #p.data == 0 and not p.ends and not p.lost then return end
  local function tell()
    if known.held then self:tell(known.held, method) end
    known.held = nil
  end
  if known.held and known.held.side ~= p.side then tell() end
  if p.lost then known.held, known.broken = nil, true end -- the rest would be told in pieces
  if known.broken then return end
  if not known.held then
    known.held = p
  elseif #known.held.data <= LONGEST then
    known.held.data = known.held.data .. p.data
  end
  if p.ends then tell() end
end

-- A server may answer from another port than the one that was asked, as TFTP's do. To the capture that is a flow of its own,
-- begun by the server; here it is the answer to who asked from that port.
local function turned_around(p, flows)
  if p.transport ~= "udp" or flows[p.flow] then return nil end
  local asker = ("%s %d %s"):format(p.to, p.to_port, p.from)
  return flows.asked[asker]
end

local function note_asker(p, known, flows)
  if p.transport == "udp" then flows.asked[("%s %d %s"):format(p.from, p.from_port, p.to)] = known end
end

function Lesson:take(p, method, flows)
  local asked = turned_around(p, flows)
  if asked then
    flows[p.flow], flows.turned[p.flow] = asked, true
  end
  -- What it says from there is the server's, what comes back to it the client's.
  if flows.turned[p.flow] then p.side = p.side == "client" and "server" or "client" end
  local ip, port = served_by(p)
  local known = flows[p.flow]
  if not known then
    self.flows = self.flows + 1
    known = { flow = self.flows, server = self:server(p.transport, ip, port) }
    flows[p.flow], flows.list[#flows.list + 1] = known, known
    if method == "said" then self:note_port(p.transport, port) end
    note_asker(p, known, flows)
  end
  p.flow, p.server = known.flow, known.server
  if self:is_cut(p, known) then return end
  if p.transport == "udp" then self:tell(p, method) else self:gather(known, p, method) end
end

--- Read a capture into the lesson.
-- @param path file name, "-" for standard input
-- @param opts table: `filter`, BPF expression or nil; `against`: these are counter-examples; `on_progress` function (payloads)
-- @return count of payloads; or nil and a message that names the file
function Lesson:read(path, opts)
  local capture, message = core.capture(path, opts.filter, { streams = true })
  if not capture then return nil, message end
  local count, flows, method = 0, { list = {}, asked = {}, turned = {} }, opts.against and "against" or "said"
  while true do
    local p, why = capture:next()
    if not p then
      message = why
      break
    end
    count = count + 1
    self:take(p, method, flows)
    if opts.on_progress and count % 1000 == 0 then opts.on_progress(count) end
  end
  capture:close()
  for _, known in ipairs(flows.list) do
    if known.held then self:tell(known.held, method) end
  end
  if message and count == 0 then return nil, message end
  if message then self:note("%s; learned from what came before", message) end
  if not opts.against then self.names[#self.names + 1] = base_name(path) end
  return count
end

-- A live server -------------------------------------------------------------------------------------------

function Lesson:add_pair(result, server)
  self.flows = self.flows + 1
  self.learner:pair {
    request = result.sent, reply = result.reply, my = result.my, my_port = result.my_port, peer = result.peer,
    peer_port = result.peer_port, from = result.from, from_port = result.from_port, time = core.unix(), transport = "udp",
    server = server, flow = self.flows,
  }
end

local function drawn_bytes(known)
  local n = 0
  for _, span in ipairs(known.nonces) do n = n + span.len end
  return n
end

-- One shape after another, until one has bytes enough that may be drawn anew.
local function study(prober, requests, client)
  local best
  for _, request in ipairs(requests) do
    if best and prober.left < prober.budget // 3 then break end
    local known = prober:study(request, VERIFY, client)
    if known and (not best or drawn_bytes(known) > drawn_bytes(best)) then best = known end
    if best and drawn_bytes(best) >= NONCE then break end
  end
  return best
end

--- Ask a live server on: what the recorded payloads get, then what matters in them. Runs inside a task of the transport.
-- @param t transport
-- @param target table: `ip`, `port`
-- @param opts table: `budget`, `rate`, `on_progress` as mynah.probing takes them
-- @return true; or nil and a message where the server says nothing
function Lesson:ask(t, target, opts)
  local prober = probing.new(t, target.ip, target.port, {
    random = core.random, budget = opts.budget, rate = opts.rate, on_progress = opts.on_progress,
  })
  self.prober, self.target = prober, target
  if #self.payloads == 0 then return nil, "no UDP payload of a client to try at the target" end
  local answered = prober:replay(self.payloads)
  local known = study(prober, probing.shapes(answered), self.payloads)
  if not known then
    return nil, ("%s port %d answered none of %d datagrams"):format(target.ip, target.port, prober.sent)
  end
  local server = self:server("udp", target.ip, target.port)
  self:note_port("udp", target.port)
  for _, result in ipairs(known.pairs) do self:add_pair(result, server) end
  self.template = probing.template(known)
  for _, note in ipairs(prober.notes) do self:note("%s", note) end
  return true
end

-- The result ----------------------------------------------------------------------------------------------

-- What may stand between quotes, and in a name.
local function plain(text) return (text:gsub("[%c\"\\\127-\255]", "?")) end

--- A service's name out of a file's: "Skype 2009.pcap.gz" is "skype-2009".
function learning.name_of(path)
  local name = base_name(path):lower():gsub("%.gz$", ""):gsub("%.[^.]*$", "")
  name = name:gsub("[^%w_.]+", "-"):gsub("^[-.]+", ""):gsub("[-.]+$", "")
  return name:find "^%l" and name or "learned"
end

function Lesson:provenance()
  local words = table.concat(self.names, ", ")
  if self.target then words = ("%s; %s:%d asked"):format(words, self.target.ip, self.target.port) end
  return plain(words)
end

local function port_line(ports)
  local words = {}
  for _, transport in ipairs { "udp", "tcp" } do
    if ports[transport] then
      table.sort(ports[transport])
      words[#words + 1] = transport .. " " .. table.concat(ports[transport], ",")
    end
  end
  return words[1] and table.concat(words, " ")
end

-- The checker's word on the text, alone and beside what is known.
local function prove(text, name)
  local db = assert(core.signatures())
  local ok, message = db:add(text, name .. ".sig")
  if not ok then return nil, message end
  for _, row in ipairs(db:check()) do
    if not row.ok then return nil, ("%s: %s"):format(row.name, row.problem or "refused") end
  end
  return db
end

--- Learn from what was read and heard.
-- @param opts table: `service` name, `title`, `strict`, `known` (a database of signatures whose names are taken, or nil)
-- @return result of learner:learn, with `db` (a database of it alone) and `notes`; or nil, a message and what the learner lacks
function Lesson:finish(opts)
  local name, taken = opts.service, {}
  for _, known in ipairs(opts.known and opts.known:names() or {}) do taken[known] = true end
  if taken[name] then name = name .. "-learned" end
  local result, message, lack = self.learner:learn {
    service = opts.service, sig = name, title = opts.title and plain(opts.title), from = self:provenance(),
    strict = opts.strict or false, ports = port_line(self.ports), template = self.template,
  }
  if not result then return nil, self.cut > 0 and message .. "; " .. self:said_of_cut() or message, lack end
  if self.cut > 0 then self:note("%s", self:said_of_cut()) end
  local db, why = prove(result.text, name)
  if not db then return nil, "what was learned does not pass sig check: " .. why, {} end
  result.db, result.notes, result.service = db, self.notes, opts.service
  return result
end

--- Try what was learned at the server that was asked, with fresh probes, as identify does. Runs inside a task of the transport.
-- @return result of mynah.identify
function Lesson:verify(t, result)
  local most = math.min(VERIFY, self.prober.left)
  if most < 1 then return nil end
  local found = identify.port(t, { ip = self.target.ip, port = self.target.port, transport = "udp" }, {
    signatures = signatures.new(result.db), timeout = 2, patience = 10, max_probes = most,
    pace = pace.new { rate = self.prober.rate },
  })
  self.prober.left = self.prober.left - (found.datagrams_sent or 0)
  self.prober.sent = self.prober.sent + (found.datagrams_sent or 0)
  return found
end

--- All of it.
-- @param t transport, or nil where no server is to be asked
-- @param opts table: `captures` array of paths, `against` array of paths, `filter`, `target` { ip, port } or nil, `budget`,
-- `rate`, `service` (default: after the first capture), `title`, `strict`, `known`, `on_reading` function (path, payloads),
-- `on_progress` function (sent, budget)
-- @return result as Lesson:finish gives it, with `verdict` of the server that was asked and `sent`, datagrams; or nil, a message
-- and a table: `unreadable`, the path that is no capture; `silent`: the target is; `needs`, `pairs` as the learner says them
function learning.run(t, opts)
  local lesson = learning.new()
  for i = 1, #opts.captures + #(opts.against or {}) do
    local path = opts.captures[i] or opts.against[i - #opts.captures]
    local count, message = lesson:read(path, {
      filter = opts.filter, against = i > #opts.captures,
      on_progress = opts.on_reading and function(n) opts.on_reading(path, n) end,
    })
    if not count then return nil, message, { unreadable = path } end
  end
  if opts.target then
    if lesson.tcp > 0 then lesson:note("the target is asked over UDP: %d messages over TCP are not tried", lesson.tcp) end
    local ok, message = lesson:ask(t, opts.target, opts)
    if not ok then return nil, message, { silent = true, sent = lesson.prober.sent } end
  end
  local settings = setmetatable({ service = opts.service or learning.name_of(opts.captures[1]) }, { __index = opts })
  local result, message, lack = lesson:finish(settings)
  if not result then return nil, message, lack or {} end
  if opts.target then result.verdict = lesson:verify(t, result) end
  result.sent = lesson.prober and lesson.prober.sent or 0
  return result
end

return learning
