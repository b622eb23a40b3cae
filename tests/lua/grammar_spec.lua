--- signatures/README.md says what the program reads: every block of it parses, and no keyword is left without one.

local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
package.path = here .. "/support/?.lua;" .. package.path
local paths = require "paths"

local function read(path)
  local f = assert(io.open(path, "rb"))
  local bytes = f:read "a"
  f:close()
  return bytes
end

-- The ```sig blocks of a page, each with the number of its first line.
local function blocks_of(page)
  local blocks, block, number = {}, nil, 0
  for line in (page .. "\n"):gmatch "(.-)\n" do
    number = number + 1
    if line == "```sig" then
      block = { line = number + 1, lines = {} }
      blocks[#blocks + 1] = block
    elseif line == "```" then
      block = nil
    elseif block then
      block.lines[#block.lines + 1] = line
    end
  end
  return blocks
end

describe("signatures/README.md", function()
  if not paths.has_core then return pending("mynah_core is not built") end
  local core = require "mynah_core"
  local page = read(paths.root .. "/signatures/README.md")
  local blocks = blocks_of(page)

  local function load(block)
    local db = assert(core.signatures())
    local ok, message = db:add(table.concat(block.lines, "\n"), "README.md")
    assert.is_true(ok, ("block at line %d: %s"):format(block.line, tostring(message)))
    return db
  end

  it("has blocks", function() assert.is_true(#blocks >= 7) end)

  for _, block in ipairs(blocks) do
    it("parses at line " .. block.line, function() assert.is_true(load(block):count() > 0) end)
  end

  it("holds what its samples claim", function()
    local proved = 0
    for _, block in ipairs(blocks) do
      for _, sig in ipairs(load(block):check()) do
        if sig.samples > 0 then
          proved = proved + 1
          assert.is_true(sig.ok, sig.name .. ": " .. tostring(sig.problem))
        end
      end
    end
    assert.are.equal(4, proved)
  end)

  -- Each row of a table names words in backquotes: they stand in a block, or are spelled out in one.
  local words = {
    "service", "title", "ports", "from", "sig", "over", "send", "banner", "nofresh", "from-port", "any", "soft", "vary",
    "stable", "control", "give", "as", "product", "version", "extra", "cpe", "match", "nomatch", "or", "dec", "starts", "has",
    "digits", "my.ip", "my.port", "peer.ip", "peer.port", "sport", "len", "pad", "now.ntp", "until", "again", "view", "case",
    "step", "timing", "closes", "then", "tag.0", "h.received", "json.id", "ben./t", "tlv.1[4:4]", "crc32(q@0:8)", "inet(q@0:12)",
    "sum8(q@2:4)", "r@9:4", "my.ip.text", "=", "!=", "<", ">=", "~", "&", "^",
  }
  for _, word in ipairs(words) do
    it("shows " .. word, function()
      local found = false
      for _, block in ipairs(blocks) do
        for _, line in ipairs(block.lines) do
          for w in line:gsub("#.*", ""):gmatch "%S+" do found = found or w == word end
        end
      end
      assert.is_true(found)
    end)
  end
end)
