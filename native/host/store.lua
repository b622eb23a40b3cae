--- Scans kept in a SQLite file, to be gone on with, merged and reported.
--
-- setting(name, value): what was scanned and how far it is, one row each; result(ip, port, transport, …): the keys of
-- `--json`, `evidence` as JSON, one row for each target that answered; `scripts` (since version 2 of the schema, which is the
-- file's user_version): what scripts said of it, as JSON: an array of { id, kind, output, data }; pending = 1: verified, and not
-- asked on yet; script(ip, kind, scripts, timestamp) (since version 3): the same of what they said of no port: of a host, kind
-- hostrule; before and after the scan, kinds prerule and postrule, ip empty.
-- @module host.store

local cjson = require "cjson"
local fail = require "host.fail"
local host = require "mynah_host"
local json = require "host.json"
local report = require "host.report"

local store = {}

local SCHEMA = [[
create table setting (name text primary key, value) without rowid;
create table result (
  ip text, port integer, transport text, state text, reason text, service text, product text, version text, extra text,
  tls integer, confidence real, guess text, fresh_bits real, identity_bits real, probe text, rtt_ms real, elapsed_ms real,
  sent integer, received integer, reply_port integer, reply_hex text, evidence text, timestamp text, scripts text,
  pending integer,
  primary key (ip, port, transport)) without rowid;
create table script (ip text, kind text, scripts text, timestamp text, primary key (ip, kind)) without rowid;
pragma user_version = 3;]]

-- Of files that earlier versions began.
local VERSION = 3
local TO_VERSION = {
  [2] = "alter table result add column scripts text;",
  [3] = "create table script (ip text, kind text, scripts text, timestamp text, primary key (ip, kind)) without rowid; "
    .. "pragma user_version = 3;",
}

local Store = {}
Store.__index = Store

local function must(path, ok, message)
  if not ok then fail.run("%s: %s", path, message) end
  return ok
end

local function columns()
  local marks = {}
  for i in ipairs(report.SCRIPT_KEYS) do marks[i] = "?" end
  return table.concat(report.SCRIPT_KEYS, ", ") .. ", pending", table.concat(marks, ", ") .. ", ?"
end

-- `schema`: of a file that is made; then it and all until the first progress come into being at once, or not at all.
local function wrap(path, db, schema)
  must(path, db:exec "pragma journal_mode = wal; pragma synchronous = normal; begin")
  if schema then must(path, db:exec(schema)) end
  local version = must(path, must(path, db:prepare "pragma user_version"):run())[1]
  for v = version.user_version + 1, VERSION do must(path, db:exec(TO_VERSION[v])) end
  local names, marks = columns()
  local insert = must(path, db:prepare(("insert or replace into result (%s) values (%s)"):format(names, marks)))
  local set = must(path, db:prepare "insert or replace into setting (name, value) values (?, ?)")
  local sayer = must(path, db:prepare "insert or replace into script (ip, kind, scripts, timestamp) values (?, ?, ?, ?)")
  return setmetatable({ path = path, db = db, insert = insert, setter = set, sayer = sayer }, Store)
end

--- Is there nothing at all, or what a scan left that was ended before it began?
function store.is_empty(path)
  local there = io.open(path, "rb")
  if not there then return true end
  there:close()
  local db = host.sqlite(path, "read")
  local asked = db and db:prepare "select count(*) as n from sqlite_master"
  local rows = asked and asked:run()
  if db then db:close() end
  return rows ~= nil and rows[1] ~= nil and rows[1].n == 0
end

--- A new file. One that is there is not touched.
-- @raise exit statuses 2 and 3
function store.create(path)
  if not store.is_empty(path) then fail.input('-o "%s": it is there already; `--resume %s` goes on with it', path, path) end
  return wrap(path, must(path, host.sqlite(path)), SCHEMA)
end

--- A file of an earlier scan.
-- @param mode nil, or "read"
-- @raise exit status 2 where it is none
function store.open(path, mode)
  local there, message = io.open(path, "rb")
  if not there then fail.input("%s", message) end
  there:close()
  local db = must(path, host.sqlite(path, mode))
  local asked = db:prepare "select count(*) as n from setting"
  if not asked or not asked:run() then fail.input("%s: not a file that `mynah scan -o` wrote", path) end
  if mode then return setmetatable({ path = path, db = db }, Store) end
  return wrap(path, db)
end

--- A result, kept with the next progress. `pending`: to be asked on.
function Store:add(r, pending)
  local row = {}
  for i, key in ipairs(report.KEYS) do
    row[i] = r[key]
    if key == "evidence" then row[i] = json.encode(r.evidence or {}) end
  end
  row[#report.KEYS + 1], row[#report.KEYS + 2] = r.scripts_json, pending and 1 or 0
  must(self.path, self.insert:run(table.unpack(row, 1, #report.KEYS + 2)))
end

--- What scripts said of no port, kept likewise: `kind`, `ip` of a host, `scripts_json`, `timestamp`.
function Store:say(word)
  must(self.path, self.sayer:run(word.ip or "", word.kind, word.scripts_json, word.timestamp))
end

function Store:set(name, value) must(self.path, self.setter:run(name, value)) end

--- One setting; nil where there is none.
function Store:get(name)
  local row = must(self.path, must(self.path, self.db:prepare "select value from setting where name = ?"):run(name))[1]
  return row and row.value
end

--- Keep how far the scan is, and all results until here, at once or not at all.
function Store:progress(t)
  for name, value in pairs(t) do self:set(name, value) end
  must(self.path, self.db:exec "commit; begin")
end

local function decode_scripts(r)
  if not r.scripts then return end
  r.scripts_json, r.scripts = r.scripts, cjson.decode(r.scripts)
  for _, s in ipairs(r.scripts) do s.text = s.output end
end

--- Results, in the order of addresses as text; `evidence` and `scripts` are arrays again.
-- @param pending true: only those that wait to be asked on
function Store:results(pending)
  local sql = "select * from result" .. (pending and " where pending = 1" or "") .. " order by ip, port, transport"
  local list = must(self.path, must(self.path, self.db:prepare(sql)):run())
  for _, r in ipairs(list) do
    r.tls, r.evidence = r.tls == 1, cjson.decode(r.evidence or "[]")
    decode_scripts(r)
  end
  return list
end

--- What scripts said of no port: before the scan, of hosts, after it.
function Store:words()
  local asked = self.db:prepare [[
    select * from script order by case kind when 'prerule' then 1 when 'hostrule' then 2 else 3 end, ip]]
  local list = asked and must(self.path, asked:run()) or {} -- a file that an earlier version wrote has none
  for _, word in ipairs(list) do
    word.ip = word.ip ~= "" and word.ip or nil
    decode_scripts(word)
  end
  return list
end

--- @param whole the scan came to its end
function Store:close(whole)
  if self.insert then
    if whole then self:set("finished", 1) end
    must(self.path, self.db:exec "commit")
    self.insert:close()
    self.setter:close()
    self.sayer:close()
  end
  self.db:close()
end

return store
