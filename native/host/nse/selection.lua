--- Which scripts run: names, categories, patterns, files, folders, and expressions of these, as `--script` of Nmap takes them.
-- @module host.nse.selection

local host = require "mynah_host"
local files = require "host.nse.files"
local lpeg = require "lpeg"

local selection = {}

-- The index -----------------------------------------------------------------------------------------------

local function read_index(entries, known, folder)
  local text = files.read(folder .. "/scripts/script.db")
  for line in (text or ""):gmatch "[^\n]+" do
    local name = line:match 'filename%s*=%s*"([^"]+)%.nse"'
    if name and not known[name] then
      local categories = {}
      for word in (line:match "categories%s*=%s*(%b{})" or ""):gmatch '"([^"]+)"' do categories[word:lower()] = true end
      known[name] = true
      entries[#entries + 1] = { name = name, categories = categories }
    end
  end
  return text ~= nil
end

-- Our own folder has no index: each script says its categories.
local function read_own(entries, known)
  for _, file in ipairs(host.list(host.share .. "/scripts") or {}) do
    local name = file:match "^(.*)%.nse$"
    if name and not known[name] then
      local text, categories = files.read(host.share .. "/scripts/" .. file) or "", {}
      for word in (text:match "\ncategories%s*=%s*(%b{})" or ""):gmatch '"([^"]+)"' do categories[word:lower()] = true end
      known[name] = true
      entries[#entries + 1] = { name = name, categories = categories }
    end
  end
end

--- All scripts that can be chosen by category or pattern: array of { name=, categories=set }, sorted by name.
function selection.index(folders)
  local entries, known = {}, {}
  for _, folder in ipairs(folders) do
    if read_index(entries, known, folder) then break end
  end
  read_own(entries, known)
  table.sort(entries, function(a, b) return a.name < b.name end)
  return entries
end

-- Expressions ----------------------------------------------------------------------------------------------

local P, S, C = lpeg.P, lpeg.S, lpeg.C
local space = S " \t\n" ^ 0
local word_end = -(P(1) - S " \t\n()")

local function keyword(word)
  local p = P(true)
  for c in word:gmatch "." do p = p * S(c:lower() .. c:upper()) end
  return p * word_end * space
end

local function glob(pattern)
  return "^" .. pattern:lower():gsub("[%^%$%(%)%%%.%[%]%+%-]", "%%%0"):gsub("%*", ".*"):gsub("%?", ".") .. "$"
end

-- A test (entry) giving whether it is meant, and whether by its name.
local function term(word)
  local lower = word:lower():gsub("%.nse$", "")
  local pattern = glob(lower)
  return function(entry)
    if lower == "all" or entry.categories[lower] then return true, false end
    local by_name = entry.name:lower():find(pattern) ~= nil
    return by_name, by_name
  end
end

local function combine_and(a, b)
  if not b then return a end
  return function(entry)
    local one, by_one = a(entry)
    if not one then return false end
    local two, by_two = b(entry)
    return two, by_one or by_two
  end
end

local function combine_or(a, b)
  if not b then return a end
  return function(entry)
    local one, by_one = a(entry)
    local two, by_two = b(entry)
    return one or two, (one and by_one) or (two and by_two)
  end
end

local function negate(a)
  return function(entry) return not a(entry), false end
end

local V = lpeg.V
local grammar = P {
  "all",
  all = space * V "any" * -1,
  any = V "both" * (keyword "or" * V "any") ^ -1 / combine_or,
  both = V "one" * (keyword "and" * V "both") ^ -1 / combine_and,
  one = keyword "not" * V "one" / negate + P "(" * space * V "any" * P ")" * space +
    C((P(1) - S " \t\n(),") ^ 1) * space / term,
}

-- Choosing -------------------------------------------------------------------------------------------------

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

-- Files that a word names: a script's file, a folder, a script of the folders that no index has.
local function files_of(word, folders)
  local listed = host.list(word)
  if listed then
    local list = {}
    for _, name in ipairs(listed) do
      if name:find "%.nse$" then list[#list + 1] = word:gsub("/$", "") .. "/" .. name end
    end
    table.sort(list)
    return list
  end
  for _, path in ipairs { word, word .. ".nse" } do
    if exists(path) then return { path } end
    local found = files.find(folders, "scripts/" .. path)
    if found then return { found } end
  end
  return {}
end

local function name_of(path) return (path:match "([^/]+)$":gsub("%.nse$", "")) end

--- Choose scripts.
-- @param rules array of texts: each a word, a path or an expression; a plus before it: its scripts run even where their
-- rules say no
-- @param folders of host.nse.files
-- @return array of { name=, path=, by_name=, forced= }, sorted by name, none twice; or nil and a message
function selection.choose(rules, folders)
  local index, chosen, by_path = nil, {}, {}
  local function add(name, path, by_name, forced)
    local script = by_path[path]
    if not script then
      script = { name = name, path = path }
      by_path[path] = script
      chosen[#chosen + 1] = script
    end
    script.by_name, script.forced = script.by_name or by_name, script.forced or forced
  end
  for _, rule in ipairs(rules) do
    local forced = rule:sub(1, 1) == "+"
    local text = forced and rule:sub(2) or rule
    local test, count = grammar:match(text), 0
    index = index or selection.index(folders)
    for _, entry in ipairs(test and index or {}) do
      local meant, by_name = test(entry)
      local path = meant and files.find(folders, "scripts/" .. entry.name .. ".nse")
      if path then
        add(entry.name, path, by_name, forced)
        count = count + 1
      end
    end
    for _, path in ipairs(count == 0 and files_of(text, folders) or {}) do
      add(name_of(path), path, true, forced)
      count = count + 1
    end
    if count == 0 then
      return nil, ('script "%s": no script, category, file or folder of that name'):format(rule)
    end
  end
  table.sort(chosen, function(a, b) return a.name < b.name end)
  return chosen
end

return selection
