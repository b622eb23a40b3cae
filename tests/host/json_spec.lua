-- JSON lines: compact, in order, always valid.
dofile((debug.getinfo(1, "S").source:match("^@(.*)/") or ".") .. "/support.lua")
local cjson = require "cjson"
local json = require "host.json"

describe("encode", function()
  for _, row in ipairs {
    { "a slash stays a slash", "a/b", '"a/b"' },
    { "a backslash before a slash stays one", "a\\/b", '"a\\\\/b"' },
    { "two backslashes before a slash", "\\\\/", '"\\\\\\\\/"' },
    { "quotes", 'say "x"', '"say \\"x\\""' },
    { "an integer has no point", 80, "80" },
    { "a float has at most six decimals", 0.1234567, "0.123457" },
    { "a whole float keeps one decimal", 1.0, "1.0" },
    { "zero", 0.0, "0.0" },
    { "a large integer is not rounded", 9007199254740993, "9007199254740993" },
    { "not a number is null", 0 / 0, "null" },
    { "infinity is null", math.huge, "null" },
    { "true", true, "true" }, { "false", false, "false" }, { "nil", nil, "null" },
    { "an empty array", {}, "[]" },
    { "an array", { "a", 1 }, '["a",1]' },
    { "bytes that are no UTF-8 are escaped, not passed", "\xff\xfe", '"\\\\xff\\\\xfe"' },
    { "a surrogate in UTF-8 is no UTF-8", "\xed\xa0\x80", '"\\\\xed\\\\xa0\\\\x80"' },
    { "a terminal's one-character control sequence", "\xc2\x9b31m", '"\\u009b31m"' },
    { "escape and NUL", "\27[2J\0", '"\\u001b[2J\\u0000"' },
    { "UTF-8 stays", "München", '"München"' },
  } do
    it(row[1], function() assert.equal(row[3], json.encode(row[2])) end)
  end

  it("every byte alone gives a line that a parser reads back", function()
    for b = 0, 255 do
      local line = json.encode(string.char(b) .. "/\\")
      assert.falsy(line:find("[%z\1-\31\127-\255]"), ("byte %d"):format(b))
      assert.equal("string", type(cjson.decode("[" .. line .. "]")[1]))
    end
  end)
end)

describe("object", function()
  it("has the keys in order, absent ones null, no spaces", function()
    assert.equal('{"b":1,"a":null,"c":["x"]}', json.object({ "b", "a", "c" }, { b = 1, c = { "x" }, d = 2 }))
  end)
end)
