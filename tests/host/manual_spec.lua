-- Manual pages and completion say every option of every command, as --help does: all come from the parsers.
local here = debug.getinfo(1, "S").source:match("^@(.*)/") or "."
local support = dofile(here .. "/support.lua")
local run = support.run

local COMMANDS = {}
for name in run("--help").out:match("\nCommands:\n(.-)\n\n"):gmatch "\n?   (%l+) " do COMMANDS[#COMMANDS + 1] = name end
local SUBCOMMANDS = { "sig check", "sig list", "sig show", "sig match" }

-- Every name of an option that `mynah WORDS --help` has.
local function options_of(words)
  local list = {}
  for line in run(words .. " --help").out:match("\nOptions:\n(.*)"):gmatch "[^\n]*" do
    local names = line:match "^   +(%-[^ ]+.*)"
    for name in (names or ""):gsub("  .*", ""):gmatch "%-%-?[%w-]+" do list[#list + 1] = name end
    if line == "" then break end
  end
  return list
end

it("there are all commands", function() assert.truthy(#COMMANDS >= 10 and #options_of "scan" > 40) end)

describe("the manual page of", function()
  -- Both complain on standard output or standard error of what they do not understand.
  local CHECKERS = { "mandoc -T lint -W warning", "groff -mandoc -Tutf8 -ww -z" }

  for _, name in ipairs { "mynah", table.unpack(COMMANDS) } do
    it(name, function()
      local p = run("--manual " .. name)
      assert.equal(0, p.status, p.err)
      local path = support.file(p.out, ".1")
      for _, checker in ipairs(CHECKERS) do
        local checked = support.shell(checker .. " " .. path)
        assert.equal("", (checked.out .. checked.err):gsub("[^\n]*referenced manual not found[^\n]*\n", ""))
      end
      local shown = support.shell("mandoc -T ascii " .. path).out:gsub(".\8", "")
      support.remove()
      local words = { name == "mynah" and "" or name }
      for _, each in ipairs(SUBCOMMANDS) do
        if each:match "^%l+" == name then words[#words + 1] = each end
      end
      for _, each in ipairs(words) do
        for _, option in ipairs(options_of(each)) do
          assert.truthy(shown:find("\n     [^\n]*%f[%w-]" .. option:gsub("%-", "%%-") .. "%f[^%w-]"), option .. ":\n" .. shown)
        end
      end
      for _, heading in ipairs { "NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO" } do
        assert.truthy(shown:find("\n" .. heading .. "\n", 1, true), heading)
      end
    end)
  end

  it("no command is another's", function() assert.equal(2, run("--manual nosuch").status) end)
end)

describe("completion", function()
  -- What bash offers behind these words.
  local function offered(words)
    local list = { "mynah" }
    for word in words:gmatch "%S+" do list[#list + 1] = word end
    list[#list + 1] = "-"
    local p = support.shell(([[bash -c 'eval "$("$MYNAH" --completion bash)"; COMP_WORDS=(%s); COMP_CWORD=%d; _mynah
      printf "%%s\n" "${COMPREPLY[@]}"']]):format(table.concat(list, " "), #list - 1))
    assert.equal("", p.err)
    local set = {}
    for option in p.out:gmatch "%S+" do set[option] = true end
    return set
  end

  for _, words in ipairs { "", table.unpack(table.move(SUBCOMMANDS, 1, #SUBCOMMANDS, #COMMANDS + 1,
    table.move(COMMANDS, 1, #COMMANDS, 1, {}))) } do
    it("of bash offers every option of mynah " .. words, function()
      local set, list = offered(words), options_of(words)
      for _, option in ipairs(list) do assert.truthy(set[option], option) end
      assert.truthy(#list > 0)
    end)
  end

  -- Does the shell understand it, and are all options in it?
  for shell, check in pairs { bash = "bash -n", zsh = "zsh -n", fish = "fish --no-execute" } do
    it("of " .. shell .. " is understood, and has every option", function()
      local p = run("--completion " .. shell)
      assert.equal(0, p.status, p.err)
      local path = support.file(p.out)
      local checked = support.shell(check .. " " .. path)
      support.remove()
      assert.equal("", checked.out .. checked.err)
      assert.equal(0, checked.status)
      for _, words in ipairs(COMMANDS) do
        for _, option in ipairs(options_of(words)) do
          local short = option:match "^%-(%w)$"
          local fish = short and "-s " .. short or option:match "^%-%w" and "-o " .. option:sub(2) or "-l " .. option:sub(3)
          assert.truthy(p.out:find(shell == "fish" and fish or option, 1, true), shell .. ": " .. option)
        end
      end
    end)
  end
end)

describe("what is installed", function()
  it("has a page for each command, completion, and the blocklist", function()
    local build = os.getenv("MYNAH_BUILD") or support.root .. "/build"
    local cache = io.open(build .. "/CMakeCache.txt"):read "a"
    if cache:find "MYNAH_SANITIZE:%w+=%w" then return pending "only ordinary builds install pages" end
    local folder = os.tmpname()
    os.remove(folder)
    local p = support.shell(("DESTDIR=%s cmake --install %s"):format(folder, build))
    assert.equal(0, p.status, p.err)
    local found = support.shell("find " .. folder .. " -type f").out
    os.execute("rm -rf " .. folder)
    local wanted = { "/man1/mynah.1", "/bash-completion/completions/mynah", "/vendor-completions/_mynah", "/mynah.fish",
      "/signatures/blocklist.txt" }
    for _, name in ipairs(COMMANDS) do wanted[#wanted + 1] = "/man1/mynah-" .. name .. ".1" end
    for _, name in ipairs(wanted) do assert.truthy(found:find(name .. "\n", 1, true), name) end
  end)
end)
