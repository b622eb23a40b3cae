--- Results in files, several at once, each chosen by its suffix and valid as far as it got, whatever ends the program.
-- @module host.outputs

local core = require "mynah_core"
local fail = require "host.fail"
local host = require "mynah_host"
local report = require "host.report"
local store = require "host.store"
local structured = require "host.nse.structured"
local xml = require "host.nse.xml"

local outputs = {}

local function open(path, mode)
  local file, message = io.open(path, mode or "wb")
  if not file then fail.run("cannot write: %s", message) end
  file:setvbuf("full", 1 << 16) -- flushed after each result: whole lines reach the file at once
  return file
end

local function put(path, file, text)
  local ok, message = file:write(text)
  if ok then ok, message = file:flush() end
  if not ok then fail.run("cannot write %s: %s", path, message) end
end

local writers = {}

function writers.jsonl(path, options)
  local file = open(path)
  local function add(r) put(path, file, report.json(r, options.fields) .. "\n") end
  return { add = add, say = add, finish = function() file:close() end }
end

-- RFC 4180; lists are joined by "; ".
local function csv_value(value)
  if value == nil then return "" end
  if type(value) == "table" then value = table.concat(value, "; ") end
  local text = tostring(value)
  return text:find '[",\r\n]' and '"' .. text:gsub('"', '""') .. '"' or text
end

-- What scripts said is one text.
local function value_of(r, key)
  if key == "scripts" then return report.scripts_text(r) end
  return r[key]
end

function writers.csv(path, options)
  local file = open(path)
  put(path, file, table.concat(options.fields, ",") .. "\r\n")
  local function add(r)
    local values = {}
    for i, key in ipairs(options.fields) do values[i] = csv_value(value_of(r, key)) end
    put(path, file, table.concat(values, ",") .. "\r\n")
  end
  return { add = add, say = add, finish = function() file:close() end }
end

-- Nmap's grepable form: fields between slashes, which therefore become bars.
local function bare(text) return ((text or ""):gsub("[/%c]", "|")) end

function writers.gnmap(path, options)
  local file = open(path)
  put(path, file, ("# Mynah %s scan initiated %s as: %s\n"):format(host.version, os.date "%a %b %e %H:%M:%S %Y",
    (options.words:gsub("%c", "?"))))
  return {
    add = function(r)
      local product = bare(r.product) .. (r.version and " " .. bare(r.version) or "")
      put(path, file, ("Host: %s ()\tPorts: %d/%s/%s//%s//%s/\n"):format(r.ip, r.port, r.state, r.transport,
        (r.tls and "ssl|" or "") .. bare(r.service), product))
    end,
    finish = function() file:close() end,
  }
end

-- What scripts with that rule said.
local function xml_scripts(r, kind)
  local parts = {}
  for _, s in ipairs(r.scripts or {}) do parts[#parts + 1] = s.kind == kind and structured.xml(s.id, s) or nil end
  return table.concat(parts)
end

local function xml_host(r)
  local of_host = xml_scripts(r, "hostrule")
  local service = r.service and xml.element("service", { "name", r.service, "product", r.product or "", "version",
    r.version or "", "extrainfo", r.extra or "", "tunnel", r.tls and "ssl" or "", "method", "probed",
    "conf", math.floor(r.confidence * 10) }, r.cpe and xml.element("cpe", {}, xml.escape(r.cpe)) or "") or ""
  local state = xml.element("state", { "state", r.state, "reason", r.reason or "unknown", "reason_ttl", 0 })
  return "<host>" .. xml.element("status", { "state", "up", "reason", r.reason or "unknown", "reason_ttl", 0 })
    .. xml.element("address", { "addr", r.ip, "addrtype", core.family(r.ip) == 6 and "ipv6" or "ipv4" })
    .. "<ports>" .. xml.element("port", { "protocol", r.transport, "portid", r.port },
      state .. service .. xml_scripts(r, "portrule")) .. "</ports>"
    .. (of_host ~= "" and "<hostscript>" .. of_host .. "</hostscript>" or "") .. "</host>\n"
end

-- What they said of no port, as Nmap places it.
local function xml_word(word)
  local inner = xml_scripts(word, word.kind)
  if word.kind == "prerule" then return "<prescript>" .. inner .. "</prescript>\n" end
  if word.kind == "postrule" then return "<postscript>" .. inner .. "</postscript>\n" end
  return "<host>" .. xml.element("status", { "state", "up", "reason", word.host_reason or "unknown", "reason_ttl", 0 })
    .. xml.element("address", { "addr", word.ip, "addrtype", core.family(word.ip) == 6 and "ipv6" or "ipv4" })
    .. "<hostscript>" .. inner .. "</hostscript></host>\n"
end

-- Its end is written behind each result, and written over by the next. nmap.dtd knows no scanner but nmap; `args` says which it
-- was.
function writers.xml(path, options)
  local file, began, count = open(path), os.time(), 0
  local function ending(how)
    local now = os.time()
    return "<runstats>" .. xml.element("finished", { "time", now, "timestr", os.date("%a %b %e %H:%M:%S %Y", now),
      "elapsed", now - began, "exit", how }) .. xml.element("hosts", { "up", count, "down", 0, "total", count })
      .. "</runstats></nmaprun>\n"
  end
  put(path, file, '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE nmaprun>\n<nmaprun' .. xml.attributes {
    "scanner", "nmap", "args", options.words, "start", began, "startstr", os.date("%a %b %e %H:%M:%S %Y", began),
    "version", "mynah " .. host.version, "xmloutputversion", "1.05" } .. ">\n"
    .. "<verbose level=\"0\"/><debugging level=\"0\"/>\n")
  local at = file:seek()
  put(path, file, ending "error")
  local function insert(text)
    file:seek("set", at)
    at = at + #text
    put(path, file, text .. ending "error")
  end
  return {
    add = function(r)
      count = count + 1
      insert(xml_host(r))
    end,
    say = function(word) insert(xml_word(word)) end,
    finish = function(how)
      file:seek("set", at)
      put(path, file, ending(how and "success" or "error") .. "\n")
      file:close()
    end,
  }
end

--- Keep what `filter` asks for.
-- @param filter text: KEY=VALUE, KEY!=VALUE or KEY~PART, several with commas: all must hold
-- @return function of a result giving a boolean; or nil and a message
function outputs.filter(filter)
  local tests = {}
  for item in filter:gmatch "[^,]+" do
    local key, sign, value = item:match "^%s*([%a_]+)%s*(!?[=~])%s*(.-)%s*$"
    local known = false
    for _, name in ipairs(report.SCRIPT_KEYS) do known = known or name == key end
    if not known or (sign == "!~") then
      return nil, ('--filter "%s": expected KEY=VALUE, KEY!=VALUE or KEY~PART with a KEY of --json'):format(item)
    end
    tests[#tests + 1] = function(r)
      local has = value_of(r, key)
      local text = has == nil and "" or tostring(has)
      if sign == "~" then return text:find(value, 1, true) ~= nil end
      return (text == value) == (sign == "=")
    end
  end
  return function(r)
    for _, test in ipairs(tests) do
      if not test(r) then return false end
    end
    return true
  end
end

--- The keys that `--fields` names.
-- @return array; or nil and a message
function outputs.fields(text)
  local list, seen = {}, {}
  for name in text:gmatch "[^,%s]+" do
    local known = false
    for _, key in ipairs(report.SCRIPT_KEYS) do known = known or key == name end
    if not known then
      return nil, ('--fields "%s": expected keys of --json: %s'):format(name, table.concat(report.SCRIPT_KEYS, ","))
    end
    if seen[name] then return nil, ('--fields "%s": it stands there twice'):format(name) end
    list[#list + 1], seen[name] = name, true
  end
  if #list == 0 then
    return nil, ('--fields "%s": expected keys of --json: %s'):format(text, table.concat(report.SCRIPT_KEYS, ","))
  end
  return list
end

-- Where one of several cannot be written, none of them is touched. @return the path of the store, or nil
local function check(paths, kept)
  local seen, of_store = {}, nil
  for _, path in ipairs(paths) do
    local suffix = path:match "%.(%a+)$"
    if seen[path] then fail.input('-o "%s": it is named twice', path) end
    seen[path] = true
    if suffix == "db" then
      if kept or of_store then fail.input('-o "%s": one .db file is enough', path) end
      of_store = path
    elseif not writers[suffix] then
      fail.input('-o "%s": expected a name that ends in .jsonl, .csv, .xml, .gnmap or .db', path)
    end
  end
  for _, path in ipairs(paths) do
    if path ~= of_store then open(path, "ab"):close() end
  end
  return of_store
end

--- Open files for results.
-- @param paths array of names that end in .jsonl, .csv, .xml, .gnmap or .db
-- @param options table: `words` what the user called, `fields` (array of keys), `filter` (function of a result, or nil),
-- `store` a store that is open already, instead of the .db among them
-- @return an object: add(result), again(result) (of a store that is open already), found(result) (verified, and still to be
-- named), say(word) and say_again(word) (what scripts said of no port), progress(table), finish(whole), `store`;
-- `is_empty`: there is nothing to be written to
-- @raise exit statuses 2 and 3
function outputs.open(paths, options)
  local list, of_store = {}, check(paths, options.store)
  local kept = of_store and store.create(of_store) or options.store
  for _, path in ipairs(paths) do
    if path ~= of_store then list[#list + 1] = writers[path:match "%.(%a+)$"](path, options) end
  end
  local self = { store = kept, is_empty = #list == 0 and not kept }
  function self.add(r)
    if kept then kept:add(r, false) end
    self.again(r)
  end
  function self.again(r)
    if options.filter and not options.filter(r) then return end
    for _, writer in ipairs(list) do writer.add(r) end
  end
  function self.say(word)
    if kept then kept:say(word) end
    self.say_again(word)
  end
  function self.say_again(word)
    if options.filter and not options.filter(word) then return end
    for _, writer in ipairs(list) do
      if writer.say then writer.say(word) end -- there is no place for it in the grepable form
    end
  end
  function self.found(r)
    if kept then kept:add(r, true) end
  end
  function self.progress(t)
    if kept then kept:progress(t) end
  end
  function self.finish(whole)
    for _, writer in ipairs(list) do writer.finish(whole) end
    if kept then kept:close(whole) end
  end
  return self
end

return outputs
