--- What the user sees: lines on standard output that are checked and flushed, notes and progress on standard error.
-- @module host.out

local fail = require "host.fail"
local host = require "mynah_host"

local out = {}

local function set(name)
  local value = os.getenv(name)
  return value ~= nil and value ~= ""
end

local function colourful()
  return host.isatty(1) and not set("NO_COLOR") and os.getenv("TERM") ~= "dumb"
end

--- True where standard output is a terminal that may show colours.
out.colour = colourful()

local SGR = { bold = "1", dim = "2", red = "31", green = "32", yellow = "33", cyan = "36" }

--- Text in a style ("bold dim red green yellow cyan"), as it is where there are no colours.
function out.style(style, text)
  if not out.colour or text == "" then return text end
  return "\27[" .. SGR[style] .. "m" .. text .. "\27[0m"
end

local shown -- a progress line stands on the terminal

local function clear()
  if shown then
    io.stderr:write("\r\27[K")
    shown = nil
  end
end

local function must(ok, message)
  if not ok then fail.run("cannot write to standard output: %s", message) end
end

--- One line (or several) on standard output, that may wait for the next flush.
-- @raise exit status 3 where standard output takes nothing more
function out.add(text)
  clear()
  must(io.stdout:write(text, "\n"))
end

--- What waits goes out.
function out.flush() must(io.stdout:flush()) end

--- One line (or several) on standard output, gone out when this returns.
-- @raise exit status 3 where standard output takes nothing more
function out.line(text)
  out.add(text)
  out.flush()
end

--- One line for the user on standard error. What a user typed may stand in it, so it is made printable.
function out.note(text)
  clear()
  io.stderr:write("mynah: ", (text:gsub("%c", "?"):gsub("\xc2[\x80-\x9f]", "?")), "\n")
end

--- A line that the next one replaces, on a terminal only.
function out.progress(text)
  if not host.isatty(2) then return end
  io.stderr:write("\r\27[K", text:sub(1, host.columns(2) - 1))
  io.stderr:flush()
  shown = true
end

--- Take the progress line away.
out.clear = clear

return out
