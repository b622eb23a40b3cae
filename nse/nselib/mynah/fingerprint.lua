--- What Nmap's version scan already received, as it stands in port.version.service_fp: the answers to its probes, so
-- that the peer need not be asked again.
-- @module mynah.fingerprint

local fingerprint = {}

local ESCAPES = { r = "\r", n = "\n", t = "\t", ["0"] = "\0", ["\\"] = "\\", ['"'] = '"' }

local function unescape(s)
  return (s:gsub("\\(.)(%x?%x?)", function(c, hex)
    if c == "x" and #hex == 2 then return string.char(tonumber(hex, 16)) end
    return (ESCAPES[c] or c) .. hex
  end))
end

--- Read a service fingerprint.
-- @param text as Nmap prints it after "SF-Port", wrapped lines and all; or nil
-- @return table from the name of Nmap's probe to the bytes that it got (Nmap keeps the first few hundred)
function fingerprint.read(text)
  local replies = {}
  if type(text) ~= "string" then return replies end
  text = text:gsub("\nSF:", "")
  for name, length, body in text:gmatch('%%r%(([%w_-]+),(%x+),"(.-)"%)') do
    local bytes = unescape(body)
    if #bytes <= tonumber(length, 16) then replies[name] = bytes end
  end
  return replies
end

return fingerprint
