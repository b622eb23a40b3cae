-- fingerprint_spec.lua - what Nmap's version scan heard, read from its fingerprint as Nmap writes it.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "?.lua;" .. here .. "../../nse/nselib/?.lua;" .. package.path
local support = require "support"
local fingerprint = require "mynah.fingerprint"

local HEAD = "SF-Port21-TCP:V=7.93%I=7%D=11/22%Time=6A1F0B2C%P=x86_64-pc-linux-gnu"

describe("a service fingerprint", function()
  for _, row in ipairs {
    { "of nothing", nil, {} },
    { "that is none", "no fingerprint", {} },
    { "without a reply", HEAD .. ";", {} },
    { "with one", HEAD .. '%r(NULL,8,"220\\x20hi\\r\\n");', { NULL = "220 hi\r\n" } },
    { "with several", HEAD .. '%r(NULL,2,"a\\n")%r(GetRequest,3,"b\\r\\n");', { NULL = "a\n", GetRequest = "b\r\n" } },
    { "with every escape", HEAD .. '%r(NULL,10,"\\0\\t\\\\\\"\\(\\)\\.\\x00\\xfF\\x0a");', { NULL = '\0\t\\"().\0\255\n' } },
    { "with letters after an escape that are hex digits", HEAD .. '%r(NULL,A,"\\nabc\\0ff\\rdd");', { NULL = "\nabc\0ff\rdd" } },
    { "with a backslash before an x", HEAD .. '%r(NULL,4,"\\\\x41");', { NULL = "\\x41" } },
    { "broken into lines, in an escape too", HEAD .. '%r(NULL,8,"22\nSF:0\\x\nSF:20hi\\r\nSF:\\n");', { NULL = "220 hi\r\n" } },
    { "whose reply was cut", HEAD .. '%r(NULL,2A8,"abc");', { NULL = "abc" } },
    { "whose reply is longer than it says", HEAD .. '%r(NULL,1,"abc");', {} },
    { "that breaks off", HEAD .. '%r(NULL,8,"220\\x20hi', {} },
    { "that breaks off in an escape", HEAD .. '%r(NULL,8,"220\\x2")', { NULL = "220x2" } },
    { "that lies about its form", HEAD .. '%r(NULL,zz,"a")%r(,1,"a")%r(X,,"a")', {} },
    { "that is no text", 7, {} },
  } do
    it(row[1], function() assert.same(row[3], fingerprint.read(row[2])) end)
  end

  it("as Nmap itself writes it: every byte comes back", function()
    local all = {}
    for i = 0, 255 do all[i + 1] = string.char(i * 167 % 256) end -- in order it would be chargen
    local said = "mynah " .. table.concat(all) .. '")%r(X,1,"'
    local server = support.tcp(function(handle, self)
      handle:write(said)
      self.read(handle)
    end)
    local path = support.write(support.temp ".nse", [[
      local fingerprint = require "mynah.fingerprint"
      local stdnse = require "stdnse"
      description, categories = "x", { "safe" }
      portrule = function() return true end
      action = function(_, port)
        return (fingerprint.read(port.version.service_fp).NULL:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
      end
    ]])
    local run = support.nmap("-sT -sV --version-intensity 0 -p " .. server.port .. " --script " .. path .. " 127.0.0.1")
    server.close()
    local scripts = run["tcp " .. server.port].scripts
    local output = scripts[path:match("([^/]+)%.nse$")].output
    assert.equal((said:gsub(".", function(c) return ("%02x"):format(c:byte()) end)), output)
    support.clean()
  end)
end)
