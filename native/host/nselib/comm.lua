--- Short conversations, as NSE's `comm` has them, for where no Nmap is installed.
-- Options: `timeout` in milliseconds; `proto`; `bytes`, `lines`: how much to wait for.
-- @module comm

local nmap = require "nmap"

local comm = {}

local function receive(socket, options)
  if options.bytes then return socket:receive_bytes(options.bytes) end
  if options.lines then return socket:receive_lines(options.lines) end
  return socket:receive()
end

local function converse(host, port, bytes, options)
  options = options or {}
  local socket = nmap.new_socket()
  if options.timeout then socket:set_timeout(options.timeout) end
  local ok, data = socket:connect(host, port, options.proto)
  if ok and bytes then ok, data = socket:send(bytes) end
  if ok then ok, data = receive(socket, options) end
  socket:close()
  return ok or false, data
end

--- What a port says by itself.
-- @return true and the bytes; or false and why
function comm.get_banner(host, port, options) return converse(host, port, nil, options) end

--- What a port answers to these bytes.
-- @return true and the bytes; or false and why
function comm.exchange(host, port, bytes, options) return converse(host, port, bytes, options) end

return comm
