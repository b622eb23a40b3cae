--- TLS over a transport: the same connections, with what is said on them in the clear to us.
-- No certificate is verified: we look at who is there, and tell nothing.
-- @module mynah.secure

local secure = {}

local T = {}
local Conn = {}
Conn.__index = Conn

local KEEP_BYTES = 65536
local NO_SUCH_PROTOCOL = "no application protocol" -- OpenSSL's words for the alert of RFC 7301

-- Connections -----------------------------------------------------------------------------------------

function Conn:flush()
  local bytes = self.session:output()
  if bytes == "" then return true end
  return self.inner:send(bytes)
end

-- Give TLS what comes until done() is neither nil nor false. Returns that, or nil and why not.
function Conn:drive(deadline, done)
  while true do
    local result, why = done()
    self:flush()
    if result then return result end
    if why then return nil, why end
    if self.ended then return nil, self.ended end
    local bytes, status = self.inner:receive(deadline)
    if self.closed then return nil, "closed" end -- by another task, meanwhile
    self.session:feed(bytes)
    if bytes == "" then
      if status == "timeout" or status == "closed" then return nil, status end
      self.ended = status
    end
  end
end

--- Send bytes.
-- @return true; or nil and a reason where the connection is over
function Conn:send(bytes)
  if self.closed then return nil, "closed" end
  local ok = self.session:write(bytes)
  if not ok or not self:flush() then return nil, "reset" end
  self.sent = self.sent + #bytes
  return true
end

--- Receive what comes, as a connection of mynah.transport does.
-- @param deadline
-- @param want function of the bytes so far, or nil
-- @return bytes and a status
function Conn:receive(deadline, want)
  local buffer = ""
  while true do
    if #buffer > 0 and (not want or want(buffer)) then return buffer, "more" end
    if #buffer >= KEEP_BYTES then return buffer, "full" end
    if self.over then return buffer, self.over end
    local bytes, why = self:drive(deadline, function()
      local bytes, why = self.session:read()
      if bytes == "" then return nil end
      if not bytes then return nil, why end
      return bytes
    end)
    if bytes then
      self.received = self.received + #bytes
      buffer = buffer .. bytes
    elseif why == "timeout" or why == "closed" then
      return buffer, why
    else
      self.over = why == "eof" and "eof" or "reset"
    end
  end
end

--- Close. More than once is fine.
function Conn:close()
  if self.closed then return end
  self.closed = true
  self.inner:close()
  self.session:close()
end

-- The transport ---------------------------------------------------------------------------------------

-- What the server's end says of itself, kept for who asks what this is.
local function learn(self, session)
  local info = session:info()
  if not self.info or info.certificate then self.info = info end
  if info.wants_certificate then self.info.wants_certificate = true end
  return info
end

local function shake_hands(self, host, port, deadline)
  local inner, why, reason = self.inner:connect(host, port, deadline)
  if not inner then return nil, why, reason end
  local session, message = self.new_session(self.server_name, self.protocols)
  if not session then
    inner:close()
    return nil, "error: " .. tostring(message), "error"
  end
  local conn = setmetatable({
    inner = inner, session = session, my = inner.my, my_port = inner.my_port, rtt = inner.rtt, sent = 0, received = 0,
  }, Conn)
  local done
  done, why = conn:drive(deadline, function()
    local ok, failed = session:handshake()
    if ok then return true end
    return nil, ok == nil and failed or nil
  end)
  local info = learn(self, session)
  if done then
    conn.protocol = info.alpn
    -- It chose none of ours: from here on it is offered the other, which it may demand and not say so.
    if not info.alpn and self.protocols[1] ~= "h2" then self.protocols = { "h2" } end
    return conn
  end
  local silent = why == "timeout" and inner.received == 0
  conn:close()
  self.failed = why
  if silent then return nil, "busy", "no-response" end -- perhaps it serves one connection after the other
  return nil, "tls: " .. tostring(why), "error"
end

function T:connect(host, port, deadline)
  local conn, why, reason = shake_hands(self, host, port, deadline)
  if conn or self.protocols[1] == "h2" or not tostring(why):find(NO_SUCH_PROTOCOL, 1, true) then return conn, why, reason end
  self.protocols = { "h2" } -- from here on: it speaks nothing older
  return shake_hands(self, host, port, deadline)
end

--- The same transport with TLS on every connection.
-- @param t transport
-- @param new_session function (server name or nil, array of protocols for ALPN) giving a session as mynah_host.tls does
-- @param name of the host as the user gave it, for SNI where it is one
-- @return a transport, whose `info` says what the last handshake told { version, cipher, alpn, certificate { subject, issuer,
-- names }, wants_certificate }, and `failed` why the last one failed
function secure.over(t, new_session, name)
  local is_name = name and name:find("%a") and not name:find(":")
  return setmetatable({
    inner = t, new_session = new_session, server_name = is_name and name or nil, protocols = { "http/1.1" },
  }, { __index = function(_, key) return T[key] or t[key] end })
end

return secure
