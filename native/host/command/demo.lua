--- mynah demo: a Skype-like node, an FTP and an HTTP server on loopback, identified.

local fail = require "host.fail"
local host = require "mynah_host"
local options = require "host.options"
local out = require "host.out"

local command = { name = "demo", summary = "Servers of our own on loopback, identified" }

command.description = [[
Starts a Skype-like node, an FTP server and an HTTP server on loopback ports of this machine, identifies
them and stops them again. With --serve they keep running until SIGTERM or Ctrl-C.]]

command.epilog = [[
Examples:
  mynah demo                                    all three, over TCP, the node over UDP too
  mynah demo --serve skype --port 34567         a node to try things on, until Ctrl-C
  mynah demo --serve skype --drop 0.3 --delay 200   one that loses datagrams and is slow
  mynah demo --serve                            all three, a line each: KIND IP:PORT TRANSPORTS]]

local KINDS = { "skype", "ftp", "http" }

function command.define(parser)
  parser:flag("-v --verbose"):description("Show all evidence"):count("*")
  parser:option("--serve"):argname("KIND"):args("*"):choices(KINDS)
    :description("Keep serving these (skype, ftp, http; default: all)")
  parser:option("--port"):argname("N"):convert(options.integer("--port", 0, 65535))
    :description("With --serve: this port, for one server; 0: any free one")
  parser:option("--bind"):argname("ADDR"):default("127.0.0.1"):description("With --serve: listen on this address")
  parser:option("--refuse"):argname("WHAT"):choices({ "any", "kind2" }):default("kind2")
    :description("The node refuses any datagram of 3 bytes, or those of kind 2")
  parser:option("--public-ip"):argname("IPV4"):convert(options.ipv4("--public-ip"))
    :description("The node reports this address, as to a client behind NAT")
  parser:option("--drop"):argname("P"):convert(options.share("--drop")):default("0")
    :description("The node ignores this share of datagrams, 0 to 1")
  parser:option("--delay"):argname("MS"):convert(options.milliseconds("--delay")):default("0")
    :description("Wait so long before each answer")
end

local function listen(kinds, args)
  local list = {}
  for i, kind in ipairs(kinds) do
    list[i] = {
      kind = kind, bind = args.bind, port = args.port or 0, refuse_any = args.refuse == "any",
      public_ip = args.public_ip, drop = args.drop, delay = args.delay / 1000,
    }
  end
  local nodes, message = host.demo(list)
  if not nodes then fail.run("cannot listen on %s port %d: %s", args.bind, args.port or 0, message) end
  return nodes
end

local function serve(args)
  local kinds = #args.serve > 0 and args.serve or KINDS
  if #kinds > 1 and (args.port or 0) ~= 0 then fail.input("--port is for one server: name it after --serve") end
  local nodes = listen(kinds, args)
  for _, node in ipairs(nodes:list()) do
    local address = (node.ip:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(node.ip, node.port)
    out.line(("%s %s %s"):format(node.kind, address, node.udp and "udp+tcp" or "tcp"))
  end
  local ok, message = nodes:serve()
  if not ok then fail.run("cannot serve: %s", message) end
  return 0
end

local function show(args, nodes)
  local identify = require "host.command.identify"
  local list, expected = {}, {}
  for _, node in ipairs(nodes:list()) do
    for _, transport in ipairs(node.udp and { "tcp", "udp" } or { "tcp" }) do
      list[#list + 1] = { ip = node.ip, port = node.port, transport = transport }
      expected[#list] = node.kind
    end
  end
  local results = identify.show(list, { verbose = math.max(1, args.verbose), patience = 10, timeout = 3 })
  local right = #results == #list
  for i, kind in ipairs(expected) do
    right = right and results[i] and results[i].service == kind
  end
  if right then return 0 end
  out.note("a server of the demo was not named as what it is")
  return fail.NEGATIVE
end

function command.run(args)
  if args.serve then return serve(args) end
  local nodes = listen(KINDS, args)
  local ok, message = nodes:fork()
  if not ok then fail.run("cannot start a process: %s", message) end
  local done, status = xpcall(show, function(problem)
    return type(problem) == "string" and debug.traceback(problem, 2) or problem
  end, args, nodes)
  nodes:stop()
  if not done then error(status, 0) end
  return status
end

return command
