-- Stock scripts of the installed Nmap, unchanged, in Nmap and in `mynah run`, against the same real servers: their text is
-- compared line by line, and their XML.
--
-- A new script is a word in a row here; where it cannot print the same twice, a row in DIFFERS says why, and what of it is
-- compared. tests/daemons/fetch must have run.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path

local support = require "support"

local child = support.child
local DAEMONS = support.root .. "/build/daemons"
local AT_ONCE = 6       -- servers that are asked at the same time
local IDENTICAL = 60    -- scripts, at the least, whose output is the same byte for byte

-- { server, transport, scripts [, arguments] }
local ROWS = {
  { "sshd", "tcp", "banner ssh-hostkey ssh2-enum-algos" },
  { "vsftpd", "tcp", "ftp-anon ftp-syst" },
  { "redis", "tcp", "redis-info" },
  { "memcached", "tcp", "memcached-info" },
  { "opensmtpd", "tcp", "smtp-commands smtp-enum-users smtp-open-relay smtp-vuln-cve2010-4344" },
  { "dictd", "tcp", "dict-info" },
  { "ngircd", "tcp", "irc-unrealircd-backdoor" },
  { "prosody", "tcp", "xmpp-info" },
  { "slapd", "tcp", "ldap-rootdse" },
  { "tigervnc", "tcp", "vnc-info vnc-title" },
  { "xrdp", "tcp", "rdp-enum-encryption" },
  { "telnetd", "tcp", "telnet-encryption" },
  { "dante", "tcp", "socks-auth-info" },
  { "lighttpd-tls", "tcp", "ssl-cert ssl-date ssl-enum-ciphers" },
  { "nginx-401", "tcp", "http-auth" },
  { "apache2", "tcp", "http-trace http-config-backup" },
  { "nginx-site", "tcp", [[http-auth-finder http-comments-displayer http-cookie-flags http-csrf http-devframework
    http-dombased-xss http-enum http-errors http-favicon http-feed http-fetch http-generator http-git http-grep http-malware-host
    http-methods http-mobileversion-checker http-open-proxy http-php-version http-referer-checker http-robots.txt
    http-security-headers http-server-header http-sitemap-generator http-stored-xss http-title http-traceroute
    http-useragent-tester http-vhosts http-headers http-date http-chrono]] },
  { "bind9", "udp", "dns-cache-snoop dns-nsec-enum dns-nsec3-enum dns-nsid dns-check-zone",
    "dns-nsec-enum.domains=example,dns-nsec3-enum.domains=example,dns-check-zone.domain=example" },
  { "coturn-stun", "udp", "stun-info" },
  { "coap-server", "udp", "coap-resources" },
  { "kamailio", "udp", "sip-enum-users" },
  { "snmpd-public", "udp", "snmp-interfaces snmp-processes snmp-sysdescr snmp-info" },
  { "chrony", "udp", "ntp-info" },
  { "inetutils-daytime", "udp", "daytime" },
  { "xdm", "udp", "xdmcp-discover" },
  { "mariadb", "tcp", "mysql-databases mysql-empty-password mysql-info mysql-vuln-cve2012-2122" },
  { "dovecot-imap", "tcp", "imap-capabilities" },
  { "dovecot-pop3", "tcp", "pop3-capabilities" },
  { "exim4", "tcp", "smtp-strangeport" },
  { "x11vnc", "tcp", "vnc-brute" },
  { "xvfb", "tcp", "x11-access" },
  { "ipmi_sim", "udp", "ipmi-version ipmi-cipher-zero" },
  { "inetutils-time", "udp", "rfc868-time" },
}

-- Scripts that do not print the same twice, in Nmap either. `without`: patterns whose matches are left out of the comparison;
-- `order`: only the lines count, or the "words", not their order.
local DIFFERS = {
  ["ftp-syst"] = { why = "counts clients", without = { "client count was %d+" } },
  ["redis-info"] = { why = "counts, times", without = { "Used [^\n]*", "clients[: >]+%d+" } },
  ["memcached-info"] = { why = "counts, times", without = { "time[: >]+[^\n]*", "Uptime[: >]+%d+", "[Uu]sed CPU[^\n]*",
    "connections[: >]+%d+" } },
  ["dict-info"] = { why = "counts, times", without = { "up [%d.]+, %d+ forks %([%d.]+/hour%)" } },
  ["xmpp-info"] = { why = "a stream of its own; tables in the order of pairs", order = true, without = {
    "stream_id[: >]+[%x-]+" } },
  ["http-headers"] = { why = "the date", without = { "Date: [^\n]*" } },
  ["http-date"] = { why = "the date", without = { "%a+, %d+ %a+ %d+ [%d:]+", "%-?%d+s from", "%-?%d+%.%d+",
    "%d+%-%d+%-%d+T[%d:]+" } },
  ["http-chrono"] = { why = "times", without = { "[%d.]+ms" } },
  ["dns-check-zone"] = { why = "tables in the order of pairs", order = true },
  ["snmp-sysdescr"] = { why = "the uptime", without = { "uptime:[^\n]*" } },
  ["snmp-info"] = { why = "the uptime", without = { "Time[^\n]*%d+s", "%d+" } },
  ["snmp-interfaces"] = { why = "traffic that others make", without = { "stats: [^\n]*", "%d[%d.]* %a+ sent[^\n]*" } },
  ["sip-enum-users"] = { why = "the time it took", without = { "in %d+ seconds?, average tps: [%d.]+" } },
  ["ssl-date"] = { why = "the time", without = { "%d+%-%d+%-%d+T[%d:]+", "%-?%d+s from", "%-?%d+%.%d+" } },
  ["ntp-info"] = { why = "the time", without = { "%d+%-%d+%-%d+T[%d:]+" } },
  ["daytime"] = { why = "the time", without = { "[%d:]+" } },
  ["mysql-info"] = { why = "a connection of its own; tables in the order of pairs", order = "words", without = {
    "Thread ID[: >]+%d+", "Salt[: >]+[^\n]*" } },
  ["mysql-vuln-cve2012-2122"] = { why = "tables in the order of pairs", order = "words" },
  ["ipmi-cipher-zero"] = { why = "tables in the order of pairs", order = "words" },
  ["imap-capabilities"] = { why = "tables in the order of pairs", order = "words" },
  ["pop3-capabilities"] = { why = "tables in the order of pairs", order = "words" },
  ["rfc868-time"] = { why = "the time", without = { "%d+%-%d+%-%d+T[%d:]+" } },
  ["xdmcp-discover"] = { why = "a session of its own", without = { "0x%x+", "%x+$", "%x%x%x%x%x%x%x%x+" } },
}

-- Running ---------------------------------------------------------------------------------------------------

local function expression(scripts)
  local list = {}
  for id in scripts:gmatch "%S+" do list[#list + 1] = "+" .. id end
  return table.concat(list, ",")
end

local function nmap_words(row, port, out)
  local words = { "-n", "-Pn", row[2] == "udp" and "-sU" or "-sT", "-p", port, "--script", expression(row[3]), "-oX", out }
  if row[4] then table.move({ "--script-args", row[4] }, 1, 2, #words + 1, words) end
  words[#words + 1] = "127.0.0.1"
  return words
end

local function host_words(row, port, out)
  local words = { "run", expression(row[3]), "127.0.0.1", "-p", (row[2] == "udp" and "U:" or "") .. port, "-oX", out }
  if row[4] then table.move({ "--script-args", row[4] }, 1, 2, #words + 1, words) end
  return words
end

local function says_all(process, scripts)
  for id in scripts:gmatch "%S+" do
    if not process.rest:find("| ?_? ?" .. id:gsub("%p", "%%%0") .. ":") then return false end
  end
  return true
end

-- First Nmap, then the host; a job of one server. Nmap is granted a second try, and it is said: not every server that listens
-- answers yet on a busy machine, and its scripts do not wait for that.
local function start(row, port)
  local job = { row = row, steps = {} }
  local programs = { { support.nmap_path, nmap_words }, { support.mynah, host_words } }
  function job.next()
    local i = #job.steps + 1
    if not programs[i] then return false end
    local out = support.temp ".xml"
    local process = assert(child.spawn(programs[i][1], programs[i][2](row, tostring(port), out), { whole = true }))
    job.steps[i] = { process = process, out = out }
    return true
  end
  function job.done()
    local process = job.steps[#job.steps].process
    if not process.exit or process.stdout:is_active() or process.stderr:is_active() then return false end
    if #job.steps == 1 and not job.again and not says_all(process, row[3]) then
      print(("note: Nmap says nothing of %s at first, tried once more"):format(row[1]))
      job.again, job.steps[1] = true, nil
    end
    return not job.next()
  end
  job.next()
  return job
end

local function run_all(ports)
  local waiting, running, finished = {}, {}, {}
  for i = #ROWS, 1, -1 do waiting[#waiting + 1] = ROWS[i] end
  local ok = child.wait(function()
    for i = #running, 1, -1 do
      if running[i].done() then finished[#finished + 1] = table.remove(running, i) end
    end
    while #running < AT_ONCE and #waiting > 0 do
      local row = table.remove(waiting)
      running[#running + 1] = start(row, ports[row[1] .. row[2]])
    end
    return #running == 0
  end, 200)
  assert(ok, "some do not end")
  return finished
end

-- Comparing --------------------------------------------------------------------------------------------------

-- A script's lines begin at "| ID: "; the first word of a line is its id only where it is one that runs here.
local function split(step, scripts)
  local found, id = {}, nil
  for line in step.process.rest:gmatch "[^\n]+" do
    local word = line:match "^|[_ ] ?([%w.-]+):"
    if word and scripts[word] and line:find("^|_?%s?" .. word:gsub("%p", "%%%0") .. ":") then
      id = word
      found[id] = {}
    end
    if line:sub(1, 1) ~= "|" then id = nil end
    if id then table.insert(found[id], line) end
    if line:sub(1, 2) == "|_" then id = nil end
  end
  return found
end

local function xml_of(text, id)
  local from = text:find(('<script id="%s"'):format(id), 1, true)
  if not from then return nil end
  local _, head = text:find(">", from, true)
  if text:sub(head - 1, head - 1) == "/" then return text:sub(from, head) end
  local _, to = text:find("</script>", head, true)
  return text:sub(from, to)
end

-- The XML of a result in one form: a plain table's named fields come in the order of pairs, which is another in each run of
-- Nmap itself, so they are sorted.
local function canonical(element)
  if type(element) == "string" then return element end
  local places, named = {}, {}
  for _, one in ipairs(element) do
    local text = canonical(one)
    if type(one) == "table" and one["@key"] then named[#named + 1] = text else places[#places + 1] = text end
  end
  table.sort(named)
  local output = element["@output"] and element["@output"] .. "\n" or ""
  return ("<%s %s %s>%s%s</>"):format(element.name, element["@key"] or "", output, table.concat(places, "\n"),
    table.concat(named, "\n"))
end

local function comparable(text, rule)
  for _, pattern in ipairs(rule and rule.without or {}) do text = text:gsub(pattern, "…") end
  if not (rule and rule.order) then return text end
  local lines = {}
  for line in text:gmatch(rule.order == "words" and "[^%s,<>]+" or "[^\n]+") do lines[#lines + 1] = line:gsub("^|[_ ]", "| ") end
  table.sort(lines)
  return table.concat(lines, "\n")
end

local function set_of(words)
  local set = {}
  for word in words:gmatch "%S+" do set[word] = true end
  return set
end

describe("stock scripts in Nmap and in mynah run", function()
  local server, jobs

  setup(function()
    local words = { support.root .. "/tests/daemons/daemons.lua", DAEMONS }
    for _, row in ipairs(ROWS) do words[#words + 1] = row[1] end
    local rows
    server, rows = support.serve(words)
    local ports = {}
    for _, row in ipairs(rows) do ports[row.name .. row.transport] = row.port end
    jobs = run_all(ports)
  end)

  teardown(function()
    if server then server:stop() end
    support.clean()
  end)

  it("print the same, but for what cannot be the same twice", function()
    local identical, wrong, seen = 0, {}, {}
    for _, job in ipairs(jobs) do
      local scripts = set_of(job.row[3])
      local texts = { split(job.steps[1], scripts), split(job.steps[2], scripts) }
      local xmls = { support.read(job.steps[1].out), support.read(job.steps[2].out) }
      for id in pairs(scripts) do
        seen[id] = true
        local rule = DIFFERS[id]
        local a, b = texts[1][id] and table.concat(texts[1][id], "\n"), texts[2][id] and table.concat(texts[2][id], "\n")
        local x, y = xml_of(xmls[1], id), xml_of(xmls[2], id)
        x, y = x and canonical(support.xml.parse(x)), y and canonical(support.xml.parse(y))
        -- The last script of a port is marked by its prefix, which one it is depends on the others.
        if not a then
          wrong[#wrong + 1] = ("%s: Nmap prints nothing, so nothing is compared"):format(id)
        elseif a == b and x == y then
          identical = identical + 1
        elseif not rule or not b or not y or comparable(a, rule) ~= comparable(b, rule) or
          comparable(x, rule) ~= comparable(y, rule) then
          wrong[#wrong + 1] = ("%s on %s:\n--- Nmap\n%s\n%s\n--- mynah\n%s\n%s\n%s"):format(id, job.row[1], a, x, b, y,
            job.steps[2].process.errors)
        end
      end
    end
    local count = 0
    for _ in pairs(seen) do count = count + 1 end
    print(("%d stock scripts, %d of them identical"):format(count, identical))
    assert.equal("", table.concat(wrong, "\n"))
    assert.is_true(count >= 60, count .. " scripts")
    assert.is_true(identical >= IDENTICAL, identical .. " identical")
  end)

  it("are told apart only where the reason is known", function()
    for id, rule in pairs(DIFFERS) do
      local used
      for _, row in ipairs(ROWS) do used = used or set_of(row[3])[id] end
      assert.is_true(used, id)
      assert.is_string(rule.why, id)
    end
  end)

  it("pass nselib's own unit tests alike, suite by suite", function()
    local function suites(text)
      local list, name, total = {}, nil, 0
      for line in text:gmatch "[^\n]+" do
        name = line:match "%] Testing (%S+)$" or name
        local passed, all = line:match "|_(%d+) of (%d+) tests passed"
        if passed then
          list[#list + 1] = ("%s %s/%s"):format(name, passed, all)
          total = total + tonumber(passed)
        end
      end
      return table.concat(list, "\n"), total
    end
    local function run(program, words)
      local process = assert(child.spawn(program, words, { whole = true }))
      assert(child.wait(function() return process.exit and not process.stdout:is_active() end, 60), "does not end")
      return process
    end
    local out = support.temp()
    local in_nmap = run(support.nmap_path, { "-sn", "-n", "-d2", "--script", "unittest", "--script-args", "unittest.run",
      "127.0.0.1" })
    run("/bin/sh", { "-c", ("'%s' run unittest 127.0.0.1 -p 1 -d -d --script-args unittest.run 2>'%s'"):format(
      support.mynah, out) })
    local ours, total = suites(support.read(out))
    assert.equal((suites(in_nmap.rest)), ours)
    assert.is_true(total > 2000, total .. " tests")
  end)
end)
