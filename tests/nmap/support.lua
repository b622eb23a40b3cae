-- support.lua - what the specs of the plugin share: the user's nmap run with the built module, servers, processes looked at.
--
-- MYNAH_BUILD: the build folder (default build/); NMAP: another nmap; MYNAH_LONG=1: what takes minutes too.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;" .. here .. "../daemons/?.lua;" .. package.path

local child = require "child"
local json = require "cjson"
local ports = require "ports"
local uv = require "luv"
local xml = require "xml"

local support = { child = child, json = json, ports = ports, uv = uv, xml = xml, here = here }

support.root = uv.fs_realpath(here .. "../..")
support.build = uv.fs_realpath(os.getenv("MYNAH_BUILD") or support.root .. "/build")
support.mynah = os.getenv("MYNAH") or support.build .. "/bin/mynah"
support.nmap_path = os.getenv("NMAP") or "nmap"
support.long = os.getenv("MYNAH_LONG") == "1"
assert(uv.fs_stat(support.build .. "/lua/5.3/mynah_core.so"), "the module is not built; set MYNAH_BUILD")

--- The environment of this process as an array, with changes: false takes a variable away.
function support.env(changes)
  local env, all = {}, uv.os_environ()
  for name, value in pairs(changes or {}) do all[name] = value or nil end
  for name, value in pairs(all) do env[#env + 1] = name .. "=" .. value end
  return env
end

-- The plugin without anything installed: NMAPDIR is build/share/mynah, which holds nselib, scripts and signatures.
local function plugin_env(changes)
  local env = {
    NMAPDIR = support.build .. "/share/mynah", LUA_CPATH_5_3 = support.build .. "/lua/5.3/?.so;;",
    LUA_CPATH_5_4 = support.build .. "/lua/5.4/?.so;;", MYNAH_SIGNATURES = false,
  }
  for name, value in pairs(changes or {}) do env[name] = value end
  return support.env(env)
end
support.plugin_env = plugin_env

--- A path for a file that support.clean removes.
function support.temp(suffix)
  local path = os.tmpname()
  os.remove(path)
  path = path .. (suffix or "")
  support.temps[#support.temps + 1] = path
  return path
end
support.temps = {}

function support.write(path, bytes)
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
  return path
end

function support.read(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read("*a")
  file:close()
  return bytes
end

function support.clean()
  child.stop_all()
  for _, path in ipairs(support.temps) do os.execute("rm -rf '" .. path .. "'") end
  support.temps = {}
end

local function words(args)
  if type(args) ~= "string" then return args end
  local list = {}
  for word in args:gmatch("%S+") do list[#list + 1] = word end
  return list
end
support.words = words

--- Start nmap; it ends by itself.
-- @param args array or text split at spaces, without -oX
-- @param options table: `env` changes, `seconds` (240), `program` and `before` (to run it under something else)
-- @return the child, and a function that waits and returns what support.nmap does
function support.start_nmap(args, options)
  options = options or {}
  local out = support.temp(".xml")
  local list = { table.unpack(options.before or {}) }
  for _, word in ipairs { "-n", "-Pn", "-oX", out } do list[#list + 1] = word end
  for _, word in ipairs(words(args)) do list[#list + 1] = word end
  local process = assert(child.spawn(options.program or support.nmap_path, list, { env = plugin_env(options.env), whole = true }))
  local began = uv.hrtime()
  return process, function()
    local over = child.wait(function()
      return process.exit and not process.stdout:is_active() and not process.stderr:is_active()
    end, options.seconds or 240)
    process:stop()
    if not over then error("nmap does not end: " .. table.concat(list, " "):sub(1, 300)) end
    local result = { exit = process.exit, signal = process.signal, out = process.rest, err = process.errors }
    local file = io.open(out)
    local text = file and file:read("*a") or ""
    if file then file:close() end
    result.xml = text
    -- By Nmap's own word where it got that far: who waits for it may do so late.
    result.seconds = tonumber(text:match('<finished [^>]*elapsed="([%d.]+)"')) or (uv.hrtime() - began) / 1e9
    if text:find("</nmaprun>", 1, true) then
      result.ports = xml.ports(text)
      for _, p in ipairs(result.ports) do result[p.transport .. " " .. p.port] = p end
    end
    return result
  end
end

--- Run nmap to its end.
-- @return table: exit, signal, out, err, seconds, xml, ports (array), and each port by "tcp 80"
function support.nmap(args, options)
  local _, finish = support.start_nmap(args, options)
  return finish()
end

--- Start a server program that prints JSON lines until {"ready":N}.
-- @return the child and its rows
function support.serve(args, program, again)
  local self = assert(child.spawn(program or "lua5.3", args, { stdin = true }))
  local ready = child.wait(function()
    return self.exit or (self.lines[#self.lines] or ""):find('^{"ready"')
  end, 60)
  if not ready or self.exit then
    self:stop()
    if not again then
      print("note: " .. table.concat(args, " ") .. " did not start, tried once more: " .. self.errors)
      return support.serve(args, program, true)
    end
    error("cannot start " .. table.concat(args, " ") .. ": " .. self.errors)
  end
  local rows = {}
  for i = 1, #self.lines - 1 do
    rows[i] = json.decode(self.lines[i])
    rows[i].port = math.tointeger(rows[i].port)
  end
  return self, rows
end

--- Start a server of the program's demo.
-- @return child; its port
function support.demo(kind, ...)
  local self = assert(child.spawn(support.mynah, { "demo", "--serve", kind, ... }))
  assert(child.wait(function() return self.exit or self.lines[1] end, 20) and self.lines[1], self.errors)
  return self, math.tointeger(tonumber(self.lines[1]:match(":(%d+) ")))
end

--- A UDP peer in this process: answer(bytes, from) -> bytes or nil. It answers only while uv runs (child.wait does).
-- @return table: port, count of datagrams, log (array of { time, bytes }), close()
function support.udp(answer, port)
  local socket = uv.new_udp()
  assert(socket:bind("127.0.0.1", port or ports.pick()))
  local self = { port = socket:getsockname().port, count = 0, log = {} }
  socket:recv_start(function(err, data, from)
    if err or not from then return end
    self.count = self.count + 1
    self.log[self.count] = { time = uv.hrtime() / 1e9, bytes = data or "", from_port = from.port }
    local reply = answer and answer(data or "", from)
    if reply then socket:try_send(reply, from.ip, from.port) end
  end)
  function self.close()
    socket:close()
    uv.run("nowait")
  end
  return self
end

--- A TCP peer in this process: on_connection(handle).
function support.tcp(on_connection, port)
  local server, handles = uv.new_tcp(), {}
  assert(server:bind("127.0.0.1", port or ports.pick()))
  local self = { port = server:getsockname().port, count = 0, open = 0, most = 0 }
  assert(server:listen(512, function()
    local handle = uv.new_tcp()
    server:accept(handle)
    handles[#handles + 1] = handle
    self.count, self.open = self.count + 1, self.open + 1
    self.most = math.max(self.most, self.open)
    on_connection(handle, self)
  end))
  --- Reads; on_data(bytes) for each piece; the end is counted.
  function self.read(handle, on_data)
    handle:read_start(function(_, bytes)
      if bytes then
        if on_data then on_data(bytes) end
      else
        self.open = self.open - 1
        if not handle:is_closing() then handle:close() end
      end
    end)
  end
  function self.close()
    for _, handle in ipairs(handles) do if not handle:is_closing() then handle:close() end end
    server:close()
    uv.run("nowait")
  end
  return self
end

--- The target of each entry of a folder of /proc, as text; {} where the process is gone.
function support.links(folder)
  local list, scan = {}, uv.fs_scandir(folder)
  while scan do
    local name = uv.fs_scandir_next(scan)
    if not name then break end
    list[name] = uv.fs_readlink(folder .. "/" .. name) or ""
  end
  return list
end

function support.count(list)
  local n = 0
  for _ in pairs(list) do n = n + 1 end
  return n
end

--- Is a file or folder there?
function support.exists(path) return uv.fs_lstat(path) ~= nil end

--- Let time pass, peers answering.
function support.sleep(seconds)
  child.wait(function() return false end, seconds)
end

--- Look again and again until done() is true, or the seconds are over: for what no event tells.
function support.poll(done, seconds)
  local timer = uv.new_timer()
  timer:start(20, 20, function() end)
  local ok = child.wait(done, seconds)
  timer:close()
  uv.run("nowait")
  return ok
end

local ROW_ACTION = [[
local rows = {
%s}
function action()
  local lines = {}
  for i, row in ipairs(rows) do
    local results = table.pack(row())
    for j = 1, results.n do results[j] = tostring(results[j]):gsub("\n", "\\n") end
    lines[i] = i .. " " .. table.concat(results, " ")
  end
  return "\n" .. table.concat(lines, "\n")
end
]]

--- A script that runs pieces of Lua and prints the results of each on a line of its own.
-- @param head text of the script before them: its rule, what the pieces use
-- @param pieces array of the text of functions' bodies
-- @return its path, removed by support.clean
function support.row_script(head, pieces)
  local parts = {}
  for i, body in ipairs(pieces) do parts[i] = ("  function() %s end,\n"):format(body) end
  return support.write(support.temp ".nse", head .. ROW_ACTION:format(table.concat(parts)))
end

--- What such a script printed.
-- @param text output of Nmap or of mynah run
-- @return array of text
function support.row_results(text)
  local found = {}
  for line in text:gmatch "[^\n]+" do
    local number, result = line:match "^|[_ ]?%s?(%d+) (.*)$"
    if number then found[tonumber(number)] = result end
  end
  return found
end

--- Run a program to its end.
-- @return what child.spawn gives, with `rest` and `errors`
function support.run_whole(program, arguments, env)
  local process = assert(child.spawn(program, arguments, { whole = true, env = env }))
  assert(child.wait(function() return process.exit and not process.stdout:is_active() end, 60), "does not end")
  return process
end

--- A list of ports as -p takes it.
function support.list(rows)
  local list = {}
  for i, row in ipairs(rows) do list[i] = ("%d"):format(type(row) == "table" and row.port or row) end
  return table.concat(list, ",")
end

return support
