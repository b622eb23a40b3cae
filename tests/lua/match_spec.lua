--- The binding of match.h: what it takes, what it refuses, what it answers. Bytes are judged in tests/unit.

local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
package.path = here .. "/support/?.lua;" .. package.path
local paths = require "paths"

describe("matching", function()
  if not paths.has_core then return pending("mynah_core is not built") end
  local core = require "mynah_core"
  local text = [[
service s
sig s
  nofresh
  send 01
  @0:4 = a1b2c3d4
  vary @4
  give @0:4 as "n"
]]
  local good = { request = "\1", reply = "\xa1\xb2\xc3\xd4\5" }
  local db

  before_each(function()
    db = assert(core.signatures())
    assert(db:add(text, "s.sig"))
  end)

  -- Strings that nothing holds: the collector may take them while C still reads.
  local computed = setmetatable({}, {
    __index = function(_, k) return (k == "request" or k == "reply") and ("\xa1"):rep(100) .. k or nil end,
  })
  local refused = {
    { "a pair that computes its bytes", computed, "plain table" },
    { "no reply", { request = "\1" }, "field 'reply' expected" },
    { "a reply that is a number", { reply = 1 }, "string expected" },
    { "an address that is a name", { reply = "", my = "localhost" }, "numeric addresses" },
    { "an address with a NUL", { reply = "", my = "1.2.3.4\0" }, "NUL" },
    { "a port past the last", { reply = "", my = "1.2.3.4", my_port = 65536 }, "0 to 65535" },
    { "a public address that is a name", { reply = "", public_ip = "here" }, "numeric addresses" },
    { "no table", "x", "table expected" },
  }
  for _, row in ipairs(refused) do
    it("refuses " .. row[1], function()
      for _, call in ipairs { db.match, db.answers_control } do
        local ok, message = pcall(call, db, "s", row[2])
        assert.is_false(ok)
        assert.truthy(message:find(row[3], 1, true), message)
      end
      assert.is_false(pcall(db.judge, db, "s", { row[2] }))
    end)
  end

  it("refuses no pairs, too many, and a control that is none", function()
    local many = {}
    for i = 1, 65 do many[i] = good end
    assert.is_false(pcall(db.judge, db, "s", {}))
    assert.is_false(pcall(db.judge, db, "s", many))
    assert.is_false(pcall(db.judge, db, "s", { good }, "maybe"))
  end)

  it("says what one pair shows", function()
    local m = db:match("s", good)
    assert.is_true(m.matched)
    assert.are.equal(28, m.identity_bits)
    assert.are.equal(0, m.fresh_bits)
    assert.are.same({ line = "@0:4 = a1b2c3d4", held = "yes", got = "a1b2c3d4", bits = 28 }, m.evidence[1])
    assert.are.equal("skipped", m.evidence[2].held)
    assert.are.equal("@0:4 = a1b2c3d4", db:match("s", { request = "\1", reply = "\0" }).first_failed)
  end)

  it("says what a conversation shows, and what it wants", function()
    local v = db:judge("s", { good })
    assert.are.equal("more", v.state)
    assert.are.equal("same", v.want)
    v = db:judge("s", { good, { request = "\1", reply = "\xa1\xb2\xc3\xd4\6" } })
    assert.are.equal("certain", v.state)
    assert.is_nil(v.want)
    assert.is_true(v.confidence >= 0.9)
    assert.are.same({ name = "n", value = "161.178.195.212" }, v.gives[1])
    v = db:judge("s", { good, { request = "\1", reply = "\0" } })
    assert.are.equal("no", v.state)
    assert.are.equal("@0:4 = a1b2c3d4", v.failed)
  end)

  it("finds echoes", function()
    assert.are.same({ 3, 1, 0 }, { core.echo("xabc", "abcy") })
    assert.is_nil((core.echo("ab", "cd")))
  end)
end)
