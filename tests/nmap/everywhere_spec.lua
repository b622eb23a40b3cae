-- One script, one output: in the user's Nmap, in `mynah run` with the installed nselib and without it, in the program built with
-- the other Lua, and the guide's script in plain Lua, too.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path

local support = require "support"
local child, uv = support.child, support.uv

local OTHER = support.build .. "/other/bin/mynah"

-- What differs from run to run: times, what was drawn anew.
local DRAWN = { "confidence: 0%.%d+", "%d+%.%d+ ms", "attempt %d", "%d+ bytes of o?t?h?e?r? ?noise", "%$id: %x+", "01%.1: %x%x",
  "%x%x%x%x%x%x%x%x+" }

local function comparable(text)
  for _, pattern in ipairs(DRAWN) do text = text:gsub(pattern, "…") end
  -- How many samples it takes to see what moves is drawn, too.
  text = text:gsub("traffic: sent %d+ datagrams? of %d+ bytes(.-), received %d+ datagrams? of %d+ bytes", "traffic: …%1")
  return text
end

-- The lines of scripts in what either prints, in one text.
local function lines_of(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do
    if line:sub(1, 1) == "|" then lines[#lines + 1] = comparable(line) end
  end
  return table.concat(lines, "\n")
end

local function run(program, words)
  local process = assert(child.run(program, words, 60, { env = support.plugin_env() }))
  assert.equal("", process.err)
  return process.out
end

-- Every way to run a script against ports: { name, function giving its output }.
local function ways(script, ports, udp)
  local host = { "run", script, "127.0.0.1", "-p", ports }
  local alone = { "run", "--without-nmap", table.unpack(host, 2) }
  return {
    { "Nmap", function()
      return run(support.nmap_path, { "-n", "-Pn", udp and "-sU" or "-sT", "-p", ports, "--script", script, "127.0.0.1" })
    end },
    { "mynah run", function() return run(support.mynah, host) end },
    { "mynah run --without-nmap", function() return run(support.mynah, alone) end },
    { "mynah run in the other Lua", function() return run(OTHER, host) end },
    { "the same without Nmap", function() return run(OTHER, alone) end },
  }
end

-- { script, server of the demo, transport, what its output has }
local ROWS = {
  { "mynah-identify", "ftp", "tcp", "ftp" },
  { "mynah-identify", "http", "tcp", "http" },
  { "mynah-identify", "skype", "tcp", "skype" },
  { "mynah-ftp", "ftp", "tcp", "FEAT" },
  { "mynah-http", "http", "tcp", "Mynah demo" },
  { "mynah-skype", "skype", "tcp", "skype" },
  { "mynah-skype", "skype", "udp", "my.ip" },
  { "mynah-udp", "skype", "udp", "skype" },
  { here .. "example.nse", "skype", "udp", "sees us at 127.0.0.1" },
}

describe("the same output everywhere", function()
  local nodes, ports = {}, {}
  setup(function()
    for _, kind in ipairs { "ftp", "http", "skype" } do nodes[#nodes + 1], ports[kind] = support.demo(kind) end
  end)
  teardown(function()
    for _, node in ipairs(nodes) do node:stop() end
    support.clean()
  end)

  for _, row in ipairs(ROWS) do
    it(("%s at %s over %s"):format(row[1]:match "[^/]+$", row[2], row[3]), function()
      if row[3] == "udp" and uv.getuid() ~= 0 then return pending "a UDP scan needs root" end
      local expected
      for _, way in ipairs(ways(row[1], (row[3] == "udp" and "U:" or "T:") .. ports[row[2]], row[3] == "udp")) do
        local lines = lines_of(way[2]())
        if expected and lines ~= expected or not lines:find(row[4], 1, true) then -- a machine that stands still makes peers late
          print(("note: %s was run again: %s"):format(way[1], lines))
          lines = lines_of(way[2]())
        end
        assert.truthy(lines:find(row[4], 1, true), way[1] .. ": " .. lines)
        expected = expected or lines
        assert.equal(expected, lines, way[1])
      end
    end)
  end

  for _, version in ipairs { "5.3", "5.4" } do
    it("the guide's script in plain Lua " .. version .. ", by the line that the guide has", function()
      local line = support.read(support.root .. "/README.md"):match "lua5%.3 %-e '(dofile \"example%.nse\".-)'"
      line = line:gsub("example%.nse", here .. "example.nse"):gsub("34567", tostring(ports.skype))
      local process = assert(child.run("lua" .. version, { "-e", line }, 30, { env = support.env {
        LUA_PATH = support.root .. "/nse/nselib/?.lua;;", LUA_CPATH = support.build .. "/lua/" .. version .. "/?.so;;" } }))
      local _, host = table.unpack(ways(here .. "example.nse", "U:" .. ports.skype, true)[2])
      assert.equal("|_example: " .. comparable(process.out), lines_of(host()) .. "\n", process.err)
    end)
  end
end)
