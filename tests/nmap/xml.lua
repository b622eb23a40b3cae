-- xml.lua - Nmap's XML output as tables: what the specs look at, no more.
local xml = {}

local ENTITIES = { lt = "<", gt = ">", amp = "&", quot = '"', apos = "'" }

local function unescape(s)
  return (s:gsub("&(#?)(x?)(%w+);", function(number, hex, name)
    if number == "" then return ENTITIES[hex .. name] end
    return string.char(tonumber(name, hex == "x" and 16 or 10) & 255)
  end))
end

--- A document as nested elements: { name=, attributes…, [1]=child or text, … }.
function xml.parse(text)
  local root = { name = "document" }
  local stack = { root }
  local at = 1
  while true do
    local from, to, closing, name, attributes, empty = text:find("<([/?!]?)([%w-]+)([^>]-)([/?]?)>", at)
    if not from then break end
    local top = stack[#stack]
    if from > at and text:sub(at, from - 1):find("%S") then top[#top + 1] = unescape(text:sub(at, from - 1)) end
    if closing == "/" then
      assert(top.name == name, ("</%s> closes <%s>"):format(name, top.name))
      stack[#stack] = nil
    elseif closing == "" then
      local element = { name = name }
      for key, value in attributes:gmatch('([%w_-]+)="([^"]*)"') do element["@" .. key] = unescape(value) end
      top[#top + 1] = element
      if empty == "" then stack[#stack + 1] = element end
    end
    at = to + 1
  end
  assert(#stack == 1, "it breaks off in <" .. stack[#stack].name .. ">")
  return root
end

local function children(element, name)
  local i = 0
  return function()
    repeat i = i + 1 until not element[i] or element[i].name == name
    return element[i]
  end
end
xml.children = children

--- The first descendant of that name, or nil.
function xml.find(element, name)
  for _, child in ipairs(element) do
    if type(child) == "table" then
      local found = child.name == name and child or xml.find(child, name)
      if found then return found end
    end
  end
end

-- Structured output: <elem key=>text</elem> and <table key=>…</table>.
local function value_of(element)
  local out = {}
  for _, child in ipairs(element) do
    if type(child) == "table" then
      local value = child.name == "elem" and (child[1] or "") or value_of(child)
      out[child["@key"] or #out + 1] = value
    end
  end
  return out
end

--- Every port of a scan: array of { ip, port, transport, state, reason, service, product, version, extra, tunnel, method,
-- scripts }, where scripts maps a script's id to { output = text, … its structured output }.
function xml.ports(text)
  local list = {}
  local run = assert(xml.find(xml.parse(text), "nmaprun"), "no <nmaprun>")
  for host in children(run, "host") do
    local ip = xml.find(host, "address")["@addr"]
    for p in children(xml.find(host, "ports") or {}, "port") do
      local state, service = xml.find(p, "state"), xml.find(p, "service") or {}
      local port = { ip = ip, port = math.tointeger(tonumber(p["@portid"])), transport = p["@protocol"],
        state = state["@state"], reason = state["@reason"], service = service["@name"], product = service["@product"],
        version = service["@version"], extra = service["@extrainfo"], tunnel = service["@tunnel"],
        method = service["@method"], scripts = {} }
      for s in children(p, "script") do
        local value = value_of(s)
        value.output = s["@output"]
        port.scripts[s["@id"]] = value
      end
      list[#list + 1] = port
    end
  end
  return list
end

return xml
