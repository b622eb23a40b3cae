--- One NSE script: its file, compiled once; each run of it has an environment of its own.
-- @module host.nse.script

local files = require "host.nse.files"

local script = {}

local ENVIRONMENT = { __index = _G }
local RULES = { "prerule", "hostrule", "portrule", "postrule" }

local Script = {}
Script.__index = Script

--- Compile a script.
-- @param entry of host.nse.selection
-- @return script; or nil and a message
function script.load(entry)
  local text, message = files.read(entry.path)
  if not text then return nil, message end
  -- The environment is a local of the chunk, so that all runs share its code.
  local chunk, why = load("local _ENV = ...; " .. text, "@" .. entry.path, "t")
  if not chunk then return nil, why end
  return setmetatable({
    id = entry.name, path = entry.path, by_name = entry.by_name, forced = entry.forced, chunk = chunk,
  }, Script)
end

--- Run the main chunk in a new environment. In a thread: what it does may fail, wait or go on for ever.
-- @param kind "prerule", "hostrule", "portrule" or "postrule"; nil where only the fields are wanted
-- @return the environment
function Script:open(kind)
  local env = setmetatable({ SCRIPT_PATH = self.path, SCRIPT_NAME = self.id, SCRIPT_TYPE = kind }, ENVIRONMENT)
  self.chunk(env)
  return env
end

local function check(ok, path, what)
  if not ok then error(("%s: %s"):format(path, what), 0) end
end

--- Read the fields of a script by running it once, in a thread.
-- @raise a message where it is none of NSE's
function Script:read_fields()
  local env = self:open()
  local function field(name) return rawget(env, name) end
  check(type(field "action") == "function", self.path, "no action: expected a function of that name")
  check(type(field "categories") == "table", self.path, "no categories: expected a table of names")
  self.rules = {}
  for _, rule in ipairs(RULES) do
    local fn = field(rule)
    check(fn == nil or type(fn) == "function", self.path, rule .. " is no function")
    self.rules[rule] = fn ~= nil
  end
  check(self.rules.prerule or self.rules.hostrule or self.rules.portrule or self.rules.postrule, self.path,
    "no rule: expected a function prerule, hostrule, portrule or postrule")
  self.categories, self.dependencies = {}, {}
  for i, word in ipairs(field "categories") do self.categories[i] = tostring(word) end
  for i, word in ipairs(field "dependencies" or {}) do self.dependencies[i] = tostring(word) end
  local description = field "description"
  self.description = type(description) == "string" and description or ""
end

--- Put scripts into levels: each runs after those among them that it depends on.
-- @param scripts array
-- @return array of arrays; or nil and a message where they depend on one another in a circle
function script.levels(scripts)
  local by_id, level_of, levels = {}, {}, {}
  for _, s in ipairs(scripts) do by_id[s.id] = s end
  local function find_level(s, path)
    if level_of[s] then return level_of[s] end
    if path[s] then return nil, s.id end
    path[s] = true
    local level = 1
    for _, name in ipairs(s.dependencies) do
      local before = by_id[name]
      if before then
        local n, circle = find_level(before, path)
        if not n then return nil, circle end
        level = math.max(level, n + 1)
      end
    end
    path[s], level_of[s] = nil, level
    return level
  end
  for _, s in ipairs(scripts) do
    local level, circle = find_level(s, {})
    if not level then return nil, ("script %s depends on itself, by way of others"):format(circle) end
    levels[level] = levels[level] or {}
    table.insert(levels[level], s)
  end
  return levels
end

return script
