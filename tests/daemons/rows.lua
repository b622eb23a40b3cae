--- What rows of real servers have in common: see daemons.lua for what a row says.
-- @module rows

local rows = {}

--- Shell that makes a certificate of our own in the jail: /run/cert.pem, /run/key.pem, and both in /run/both.pem.
-- @param name whose it is
function rows.certificate(name)
  return ([[
printf '[req]\ndistinguished_name=dn\n[dn]\n' > /run/req.cnf
openssl req -config /run/req.cnf -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=%s -days 30 \
  -keyout /run/key.pem -out /run/cert.pem 2>/dev/null
cat /run/key.pem /run/cert.pem > /run/both.pem
]]):format(name)
end

--- Set what `more` (or nil) says, too.
-- @return row
function rows.merge(row, more)
  for key, value in pairs(more or {}) do row[key] = value end
  return row
end

--- A server whose port stands in its command, as PORT.
function rows.run(service, command, more)
  return rows.merge({ service = service,
    command = function(port)
      local words = {}
      for word in command:gsub("PORT", tostring(port)):gmatch("%S+") do words[#words + 1] = word end
      return words
    end }, more)
end

--- A server whose port stands in a file of settings, as PORT.
function rows.with_file(service, name, text, command, more)
  local row = rows.run(service, command, more)
  row.files = function(port) return { [name] = (text:gsub("PORT", tostring(port))) } end
  return row
end

return rows
