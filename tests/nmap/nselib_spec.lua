-- Our small nselib beside the installed one: what scripts call gives the same in Nmap, in `mynah run` and in
-- `mynah run --without-nmap`; and our own scripts print the same in all three.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path

local support = require "support"
local child = support.child

-- Expressions; `list` shows a table.
local EXPRESSIONS = {
  "stdnse.get_script_args 'bare', stdnse.get_script_args 'x.y', stdnse.get_script_args 'some.z', stdnse.get_script_args 'none'",
  "stdnse.get_script_args({ 'no', 'x.y' }, 'z')",
  "stdnse.parse_timespec '10', stdnse.parse_timespec '500ms', stdnse.parse_timespec '2m', stdnse.parse_timespec '1h'",
  "stdnse.parse_timespec '1d'", "stdnse.parse_timespec 'x'", "stdnse.parse_timespec(nil)",
  "stdnse.tohex 'a\\0z', stdnse.tohex(255)", "(stdnse.fromhex '61 62'), (stdnse.fromhex '6162')", "stdnse.fromhex '6'",
  "stdnse.get_hostname { ip = '1.2.3.4' }, stdnse.get_hostname { ip = '1.2.3.4', name = 'n' }, stdnse.get_hostname 'text'",
  "stdnse.get_hostname { ip = '1.2.3.4', name = 'n', targetname = 't' }",
  "stdnse.string_or_blank '', stdnse.string_or_blank(nil), stdnse.string_or_blank 'a', stdnse.string_or_blank('', 1)",
  "stdnse.format_mac '\\1\\2\\3\\4\\5\\6'",
  "stdnse.format_output(true, 'x')", "stdnse.format_output(true, { 'a', { name = 'n', 'c' }, { 'e' } })",
  "stdnse.format_output(true, {})", "stdnse.format_output(false, 'x')",
  "list((function() local t = stdnse.output_table() t.b, t.a = 1, 2 t.c = 3 t.b = nil t.a = 5 return t end)())",
  "shortport.portnumber(80)(host, port(80)), shortport.portnumber({ 80, 81 })(host, port(81))",
  "shortport.portnumber(80, 'udp')(host, port(80)), shortport.portnumber(80)(host, port(80, nil, 'closed'))",
  "shortport.portnumber(80, 'tcp', 'closed')(host, port(80, nil, 'closed'))",
  "shortport.portnumber(80)(host, port(80, nil, 'open|filtered'))",
  "shortport.service 'http'(host, port(1, 'http')), shortport.service { 'a', 'b' }(host, port(1, 'b'))",
  "shortport.port_or_service(80, 'http')(host, port(1, 'http')), shortport.port_or_service(80, 'http')(host, port(81, 'x'))",
  "shortport.http(host, port(80, 'x')), shortport.http(host, port(8080, 'http-proxy')), shortport.http(host, port(1, 'https'))",
  "shortport.http(host, port(81, 'x')), shortport.http(host, port(631, 'ipp')), shortport.http(host, port(7080, 'x'))",
  "not not shortport.ssl(host, port(443, 'https')), not not shortport.ssl(host, port(8443, 'x'))",
  "not not shortport.ssl(host, port(81, 'x')), not not shortport.ssl(host, port(995, 'pop3s'))",
}

local HEAD = [[
local nmap, shortport, stdnse = require "nmap", require "shortport", require "stdnse"
description, author, license, categories = "d", "a", "l", { "safe" }
function prerule() return true end
local host = { ip = "127.0.0.1", registry = {} }
local function port(number, service, state)
  return { number = number, protocol = "tcp", service = service, state = state or "open",
    version = { service_tunnel = "none", name = service, name_confidence = 3.0 } }
end
local function list(t)
  local parts = {}
  for key, value in pairs(t) do parts[#parts + 1] = key .. "=" .. tostring(value) end
  return table.concat(parts, ",")
end
]]

local function run(program, words) return support.run_whole(program, words, support.plugin_env {}) end

-- The lines of each script of ours, in any order of the scripts.
local function blocks_of(process)
  local blocks, lines = {}, {}
  for line in process.rest:gmatch "[^\n]+" do
    if line:sub(1, 1) == "|" then lines[#lines + 1] = line end
    if line:sub(1, 2) == "|_" then
      blocks[#blocks + 1] = table.concat(lines, "\n"):gsub("%d+%.%d+ ms", "")
      lines = {}
    end
  end
  table.sort(blocks)
  return table.concat(blocks, "\n")
end

describe("the small nselib", function()
  teardown(support.clean)

  it("gives what the installed one gives", function()
    local parts = {}
    for i, row in ipairs(EXPRESSIONS) do parts[i] = "return " .. row end
    local path = support.row_script(HEAD, parts)
    local args = "bare,x.y=1,z=2"
    local truth = run(support.nmap_path, { "-n", "-sn", "--script", path, "--script-args", args, "127.0.0.1" })
    local in_nmap = support.row_results(truth.rest)
    for _, more in ipairs { "-v", "--without-nmap" } do
      local words = { "run", path, "127.0.0.1", "-p", "1", "--script-args", args, more }
      local process = run(support.mynah, words)
      local found = support.row_results(process.rest)
      for i, row in ipairs(EXPRESSIONS) do
        assert.is_string(in_nmap[i], row .. truth.rest)
        assert.equal(row .. " = " .. in_nmap[i], row .. " = " .. tostring(found[i]), more .. process.errors)
      end
    end
  end)

  it("is enough for our own scripts: they print the same in Nmap, in the host, and in the host without Nmap", function()
    local demo = assert(child.spawn(support.mynah, { "demo", "--serve", "ftp", "http" }))
    assert(child.wait(function() return demo.exit or #demo.lines >= 2 end, 30), "the demo does not start")
    local ports = {}
    for _, line in ipairs(demo.lines) do ports[#ports + 1] = line:match ":(%d+) " end
    local list = table.concat(ports, ",")
    local scripts = "mynah-identify,mynah-ftp,mynah-http"
    local in_nmap = blocks_of(run(support.nmap_path, { "-n", "-Pn", "-sT", "-p", list, "--script", scripts, "127.0.0.1" }))
    assert.truthy(in_nmap:find("service: ftp", 1, true), in_nmap)
    for _, more in ipairs { "-v", "--without-nmap" } do
      assert.equal(in_nmap, blocks_of(run(support.mynah, { "run", scripts, "127.0.0.1", "-p", list, more })), more)
    end
    demo:stop()
  end)
end)
