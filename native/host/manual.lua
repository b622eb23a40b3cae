--- Pages of the manual, in mdoc(7): what the parsers say, and prose of man/NAME.mdoc that no --help has room for.
-- Such a file begins with paragraphs of the description; from its first .Sh on it stands behind the options.
-- @module host.manual

local host = require "mynah_host"

local manual = {}

local DATE = "November 27, 2026" -- of the last change to the prose

local function escape(text) return (text:gsub("\\", "\\e"):gsub("\n([.'])", "\n\\&%1"):gsub("^([.'])", "\\&%1")) end

-- An argument of a macro: what would be taken for a macro's name, or for the end of a sentence, is not.
local function word(text)
  text = escape(text):gsub('"', '\\(dq')
  return #text <= 3 and "\\&" .. text or text
end

-- mdoc wants a line for each sentence.
local function sentences(text) return (escape(text):gsub("([%a%)][.?!])%s(%u)", "%1\n%2")) end

-- Paragraphs, filled: the parsers have two spaces between them.
local function paragraphs(text)
  return (sentences((text:gsub("%s+$", ""))):gsub("%s%s+", "\n.Pp\n"))
end

local function literal(text) return ".Bd -literal -offset indent\n" .. escape(text) .. "\n.Ed" end

local function flag(name) return "Fl " .. word(name:gsub("^%-", "")) end

local function names_of(element) -- of its arguments
  local list = {}
  for _, name in ipairs(element:_get_argument_list()) do list[#list + 1] = word((name:gsub("[%[%]<>]", ""))) end
  return list
end

local function takes(element)
  local list = names_of(element)
  return #list > 0 and " Ar " .. table.concat(list, " ") or ""
end

local function description(element)
  local text = element._description or ""
  if element._default then text = text .. (" (default: %s)"):format(element._default) end
  return sentences(text)
end

local function options_of(parser)
  local lines = {}
  for _, option in ipairs(parser._options) do
    local aliases = {}
    for _, name in ipairs(option._aliases) do aliases[#aliases + 1] = flag(name) end
    lines[#lines + 1] = ".It " .. table.concat(aliases, " , ") .. takes(option)
    lines[#lines + 1] = description(option)
  end
  return ".Bl -tag -width Ds\n" .. table.concat(lines, "\n") .. "\n.El"
end

local function arguments_of(parser)
  local lines = {}
  for _, argument in ipairs(parser._arguments) do
    lines[#lines + 1] = ".It" .. takes(argument)
    lines[#lines + 1] = description(argument)
  end
  return #lines > 0 and ".Bl -tag -width Ds\n" .. table.concat(lines, "\n") .. "\n.El\n" or ""
end

local function synopsis(parser, name)
  local lines = { ".Nm " .. name }
  for _, option in ipairs(parser._options) do
    if #parser._commands == 0 or option._maxargs == 0 then
      lines[#lines + 1] = ".Op " .. flag(option._name) .. takes(option)
    end
  end
  for _, argument in ipairs(parser._arguments) do
    lines[#lines + 1] = "." .. takes(argument):sub(2)
  end
  if #parser._commands > 0 then lines[#lines + 1] = ".Ar command ..." end
  return table.concat(lines, "\n")
end

-- The paragraphs of an epilog by what stands before their colon.
local function parts_of(epilog)
  local parts = {}
  for part in ((epilog or "") .. "\n\n"):gmatch "(.-)\n\n+" do
    local head, body = part:match "^(%u[%a ]+):%s(.*)$"
    if head then parts[#parts + 1] = { head = head, body = body } end
  end
  return parts
end

local function exit_status(body)
  local lines = {}
  for status, what in (body:gsub("%s+", " "):gsub("%.$", "") .. ";"):gmatch "(%d[%d, ]*) (.-);" do
    lines[#lines + 1] = (".It %s\n%s"):format(status, escape(what))
  end
  return ".Sh EXIT STATUS\n.Bl -tag -width Ds -compact\n" .. table.concat(lines, "\n") .. "\n.El"
end

local function read(path)
  local file = io.open(path, "r")
  local text = file and file:read "a" or ""
  if file then file:close() end
  local first, rest = text:match "^(.-)\n?(%.Sh .*)$"
  return (first or text):gsub("\n$", ""), (rest or ""):gsub("\n$", "")
end

local function commands_of(parser, name)
  local lines = {}
  for _, child in ipairs(parser._commands) do
    lines[#lines + 1] = (".Ss %s %s"):format(name, child._name)
    lines[#lines + 1] = paragraphs(child._description or child._summary)
    lines[#lines + 1] = arguments_of(child) .. options_of(child)
  end
  return table.concat(lines, "\n")
end

-- Those of the whole program have pages of their own.
local function pages_of(parser)
  local lines = {}
  for _, child in ipairs(parser._commands) do
    lines[#lines + 1] = (".It Cm %s\n%s; see\n.Xr mynah-%s 1 ."):format(child._name, escape(child._summary), child._name)
  end
  return ".Bl -tag -width Ds\n" .. table.concat(lines, "\n") .. "\n.El"
end

local function see_also(page, commands)
  local lines = {}
  for _, name in ipairs(commands) do
    if name ~= page then lines[#lines + 1] = (".Xr mynah-%s 1 ,"):format(name) end
  end
  if page ~= "mynah" then lines[#lines + 1] = ".Xr mynah 1 ," end
  table.sort(lines)
  lines[#lines + 1] = ".Xr nmap 1 ,\n.Xr pcap-filter 7"
  return ".Sh SEE ALSO\n" .. table.concat(lines, "\n")
end

--- A page.
-- @param root parser of the program
-- @param page "mynah", or the name of a command
-- @param commands array of the names of all
-- @return text
function manual.page(root, page, commands)
  local is_root, parser = page == "mynah", root
  for _, child in ipairs(root._commands) do
    if child._name == page then parser = child end
  end
  local title = is_root and "mynah" or "mynah-" .. page
  local name = is_root and "mynah" or "mynah " .. page
  local summary = (is_root and root._description or parser._summary):gsub("%.$", "")
  local prose, rest = read(("%s/host/man/%s.mdoc"):format(host.share, page))
  local lines = {
    ('.\\" %s.1 - made by `mynah --manual %s`'):format(title, page),
    ".Dd " .. DATE, (".Dt %s 1"):format(title:upper()), ".Os", ".Sh NAME", ".Nm " .. title, ".Nd " .. escape(summary),
    ".Sh SYNOPSIS", synopsis(parser, name), ".Sh DESCRIPTION",
  }
  local function add(text)
    if text ~= "" then lines[#lines + 1] = text end
  end
  if not is_root then add(paragraphs(parser._description or parser._summary .. ".")) end
  if not is_root and prose ~= "" then add ".Pp" end
  add(prose)
  local last = {}
  for _, part in ipairs(parts_of(parser._epilog)) do
    if part.head == "Examples" then
      last[2] = ".Sh EXAMPLES\n" .. literal((part.body:gsub("^%s+", ""):gsub("\n  ", "\n")))
    elseif part.head == "Exit status" then
      last[1] = exit_status(part.body)
    else
      add((".Pp\n%s:\n%s"):format(part.head, literal(part.body)))
    end
  end
  add(arguments_of(parser) .. options_of(parser))
  add(is_root and ".Pp\nIts commands:\n" .. pages_of(parser) or commands_of(parser, name))
  add(rest)
  add(last[1] or "")
  add(last[2] or "")
  add(see_also(page, commands))
  return table.concat(lines, "\n") .. "\n"
end

return manual
