--- What scripts return, as Nmap prints it: text with `|` before each line, and XML.
-- A table is its array first, then its named fields in the order of its own __pairs; any other key is left out.
-- @module host.nse.structured

local structured = {}

local function plain(value) return type(value) ~= "table" end

local function named(t)
  local list = {}
  for key, value in pairs(t) do
    if type(key) == "string" then list[#list + 1] = { key, value } end
  end
  return list
end

local text_of

-- A value beneath its key or its place in an array.
local function add_text(parts, indent, key, value)
  local head = "\n" .. indent .. (key and key .. ": " or "")
  if plain(value) then
    parts[#parts + 1] = head .. tostring(value)
  else
    parts[#parts + 1] = head .. text_of(value, indent .. "  ")
  end
end

function text_of(t, indent)
  local meta = getmetatable(t)
  if type(meta) == "table" and meta.__tostring then return tostring(t) end
  local parts = {}
  for _, value in ipairs(t) do add_text(parts, indent, nil, value) end
  for _, pair in ipairs(named(t)) do add_text(parts, indent, pair[1], pair[2]) end
  return table.concat(parts)
end

--- A structured value as text.
function structured.text(value)
  if plain(value) then return tostring(value) end
  return text_of(value, "  ")
end

local ENTITIES = {
  ["<"] = "&lt;", [">"] = "&gt;", ["&"] = "&amp;", ['"'] = "&quot;", ["'"] = "&apos;",
  ["\t"] = "&#x9;", ["\n"] = "&#xa;", ["\r"] = "&#xd;",
}

--- Make text printable: every byte that is none of ASCII's, but for `kept`, becomes \xHH.
local function escape(text, kept)
  return (text:gsub("[^ -~" .. kept .. "]", function(c) return ("\\x%02X"):format(c:byte()) end))
end

-- Two dashes would end a comment.
local function escape_dashes(dashes) return "-" .. ("&#45;"):rep(#dashes - 1) end

--- Text for XML.
function structured.escape_xml(text)
  return (escape(text, "\t\r\n"):gsub("[<>&\"'\t\r\n]", ENTITIES):gsub("%-%-+", escape_dashes))
end

local xml_of

local function add_xml(parts, key, value)
  local attribute = key and (' key="%s"'):format(structured.escape_xml(key)) or ""
  if plain(value) then
    parts[#parts + 1] = ("<elem%s>%s</elem>\n"):format(attribute, structured.escape_xml(tostring(value)))
  else
    parts[#parts + 1] = ("<table%s>\n%s</table>\n"):format(attribute, xml_of(value))
  end
end

function xml_of(t)
  local parts = {}
  for _, value in ipairs(t) do add_xml(parts, nil, value) end
  for _, pair in ipairs(named(t)) do add_xml(parts, pair[1], pair[2]) end
  return table.concat(parts)
end

--- What a script returned as a result.
-- @param value first value: a table or another, or nil
-- @param text second value: the text, nil where the first gives it
-- @return table: `text`, `value` (nil where there is only text); nil where there is nothing
function structured.result(value, text)
  if value == nil and text == nil then return nil end
  if type(value) == "string" and text == nil then return { text = value } end
  if text ~= nil and text ~= "" then return { text = tostring(text), value = value } end
  return { text = structured.text(value), value = value }
end

--- The lines of a result, each with what stands before it.
function structured.lines(id, text)
  text = escape(text, "\t\n")
  if text == "" then return {} end
  if text:sub(-1) ~= "\n" then text = text .. "\n" end
  local lines = {}
  for line in text:gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
  for i, line in ipairs(lines) do
    lines[i] = (i == #lines and "|_" or "| ") .. (i == 1 and id .. ": " or "") .. line
  end
  return lines
end

--- A result as the element that Nmap writes.
function structured.xml(id, result)
  local head = ('<script id="%s" output="%s"'):format(structured.escape_xml(id), structured.escape_xml(result.text))
  if result.value == nil then return head .. "/>" end
  local body = plain(result.value) and structured.escape_xml(tostring(result.value)) or xml_of(result.value)
  return head .. ">" .. body .. "</script>"
end

return structured
