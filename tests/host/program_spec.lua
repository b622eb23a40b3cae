-- The program from outside: help, exit statuses, one clear line for each wrong input.
local support = dofile((debug.getinfo(1, "S").source:match("^@(.*)/") or ".") .. "/support.lua")
local run = support.run

-- One line "mynah: …" on standard error, nothing on standard output, no traceback.
local function assert_one_line(p, status, ...)
  assert.equal(status, p.status, p.err)
  assert.equal("", p.out)
  assert.equal(1, select(2, p.err:gsub("\n", "\n")), p.err)
  assert.equal("mynah: ", p.err:sub(1, 7))
  assert.falsy(p.err:find("traceback", 1, true))
  assert.falsy(p.err:find("%.lua:%d"), p.err)
  for _, part in ipairs { ... } do assert.truthy(p.err:find(part, 1, true), p.err) end
end

describe("help and version", function()
  for _, words in ipairs { "--help", "-h", "identify --help", "replay --help", "learn --help", "demo --help", "sig --help",
    "sig check --help", "sig list --help", "sig show --help", "sig match --help" } do
    it("mynah " .. words, function()
      local p = run(words)
      assert.equal(0, p.status)
      assert.equal("", p.err)
      assert.equal("Usage: mynah", p.lines[1]:sub(1, 12))
      for _, line in ipairs(p.lines) do assert.truthy(#line <= 100, line) end
    end)
  end

  for _, command in ipairs { "identify", "replay", "learn", "demo", "sig" } do
    it(command .. " --help shows examples", function()
      assert.truthy(run(command .. " --help").out:find("Examples:\n  mynah " .. command, 1, true))
    end)
  end

  it("--version", function()
    local p = run "--version"
    assert.equal(0, p.status)
    assert.truthy(p.out:match("^mynah %d+%.%d+%.%d+\n$"))
  end)

  for _, shell in ipairs { "bash", "zsh", "fish" } do
    it("--completion " .. shell .. " knows the commands", function()
      local p = run("--completion " .. shell)
      assert.equal(0, p.status)
      for _, word in ipairs { "identify", "replay", "learn", "demo", "patience" } do
        assert.truthy(p.out:find(word, 1, true))
      end
    end)
  end

  it("bash takes what --completion bash prints", function()
    local p = support.shell('"$MYNAH" --completion bash | bash -n')
    assert.equal(0, p.status, p.err)
  end)
end)

describe("usage errors", function()
  for _, row in ipairs {
    { "", "command" }, { "nosuch", "nosuch" }, { "identfy", "identify" }, { "identify", "target" },
    { "identify --nosuch 127.0.0.1:1", "--nosuch" }, { "identify -p", "-p" }, { "replay only", "target" },
    { "sig", "command" }, { "sig check", "path" }, { "--completion tcsh", "'zsh'" },
    { "identify --json=x 127.0.0.1:1", "--json" }, { "identify -4 -6 127.0.0.1:1", "-6" },
    { "demo extra", "too many" }, { "demo --serve gopher", "--serve" },
  } do
    it("mynah " .. row[1], function() assert_one_line(run(row[1]), 2, row[2], "--help`") end)
  end

  it("a subcommand's mistake points at its own help", function()
    assert_one_line(run "sig check --nosuch x", 2, "`mynah sig check --help`")
  end)

  it("control characters of the command line do not reach the terminal", function()
    local p = run { "identify", "--\27[2J", "127.0.0.1:1" }
    assert.equal(2, p.status)
    assert.falsy(p.err:find("\27", 1, true))
    p = run { "identify", "\27[2J:1" }
    assert.equal(2, p.status)
    assert.falsy(p.err:find("\27", 1, true))
  end)
end)

describe("input errors", function()
  for _, row in ipairs {
    { "identify 127.0.0.1:0", "127.0.0.1:0", "1 to 65535" },
    { "identify 127.0.0.1:65536", "65536" },
    { "identify -p 0 127.0.0.1", '"0"' },
    { "identify -p 65536 127.0.0.1", '"65536"' },
    { "identify 127.0.0.1", "no port", "-p" },
    { "identify -p 80 no-such-host.invalid", "no-such-host.invalid" },
    { "identify -4 [::1]:80", "::1" },
    { "identify --timeout 0 127.0.0.1:1", "--timeout", '"0"' },
    { "identify --timeout -1 127.0.0.1:1", "'-1'" },
    { "identify --patience x 127.0.0.1:1", "--patience", '"x"' },
    { "identify --rate 0 127.0.0.1:1", "--rate" },
    { "identify --max-probes 0 127.0.0.1:1", "--max-probes", '"0"' },
    { "identify --public-ip ::1 127.0.0.1:1", "--public-ip", "IPv4" },
    { "identify --sig /nonexistent.sig 127.0.0.1:1", "/nonexistent.sig", "No such file" },
    { "identify --sig /proc/1/mem 127.0.0.1:1", "/proc/1/mem" },
    { "identify -S nowhere 127.0.0.1:1", "-S", '"nowhere": expected an address' },
    { "identify -S 127.0.0.1 [::1]:1", "-S 127.0.0.1: ::1 is of the other family" },
    { "identify -e other [fe80::1%lo]:1", "-e other: fe80::1%1 is on the link lo" },
    { "replay /nonexistent.pcap 127.0.0.1:1", "/nonexistent.pcap", "No such file" },
    { "replay /etc/passwd 127.0.0.1:1", "/etc/passwd", "not a capture" },
    { "replay / 127.0.0.1:1", "/" },
    { "replay x.pcap 127.0.0.1:0", "127.0.0.1:0" },
    { "replay x.pcap 127.0.0.1", "no port" },
    { "replay --pace never x.pcap 127.0.0.1:1", "--pace", "never" },
    { "replay --limit 0 x.pcap 127.0.0.1:1", "--limit" },
    { "sig check /nonexistent", "/nonexistent" },
    { "sig show no-such-signature", "no-such-signature" },
    { "demo --serve --port 4000", "--port" },
    { "demo --serve skype --port 65536", "65536" },
    { "demo --serve skype --drop 2", "--drop" },
    { "demo --serve skype --public-ip nowhere", "--public-ip" },
  } do
    it("mynah " .. row[1], function() assert_one_line(run(row[1]), 2, row[2], row[3]) end)
  end

  it("a signature file that does not parse: file:line:column", function()
    local path = support.file("service x\n  title \"X\"\nsig y\n  send zz\n", ".sig")
    local p = run("identify --sig " .. path .. " 127.0.0.1:1")
    assert_one_line(p, 2, path .. ":4:")
    assert.truthy(p.err:find(path .. ":%d+:%d+: "), p.err)
    support.remove()
  end)

  it("a folder without signatures", function()
    assert_one_line(run("identify --sig " .. support.root .. "/tests/host 127.0.0.1:1"), 2, "no *.sig file")
  end)
end)

-- How to run a program on a machine without any network; nil where that is not allowed here.
local alone
for _, command in ipairs { "unshare -n", "unshare -rn" } do
  if not alone and os.execute(command .. " true 2>/dev/null") then alone = command end
end

describe("what cannot run", function()
  it("an address that is not ours to listen on", function()
    assert_one_line(run "demo --serve skype --bind 192.0.2.1", 3, "cannot listen", "192.0.2.1")
  end)

  it("a port in use", function()
    local nodes = support.serve { "http" }
    assert_one_line(run("demo --serve http --port " .. nodes.http.port), 3, "cannot listen", "in use")
    nodes.stop()
  end)

  it("a machine without a network", function()
    if not alone then return pending("needs network namespaces") end
    local p = support.shell(alone .. ' "$MYNAH" identify --timeout 1 192.0.2.1:80')
    assert.equal(3, p.status, p.out .. p.err)
    assert.truthy(p.err:find("^mynah: [^\n]*\n$"), p.err)
  end)

  it("a machine without a network, for replay", function()
    if not alone then return pending("needs network namespaces") end
    local capture = dofile(support.root .. "/tests/host/capture.lua")
    local path = support.file(capture.write { { data = "abc" } }, ".pcap")
    local p = support.shell(('%s "$MYNAH" replay --timeout 0.2 %s 192.0.2.1:80'):format(alone, path))
    assert.equal(3, p.status, p.out .. p.err)
    assert.truthy(p.err:find("^mynah: [^\n]*\n$"), p.err)
    support.remove()
  end)
end)

describe("standard output", function()
  for _, row in ipairs {
    { "closed", '"$MYNAH" --version >&-' },
    { "full", '"$MYNAH" --version >/dev/full' },
    { "a pipe that nobody reads", '{ sleep 0.1; "$MYNAH" --help; echo $? >&2; } | true; exit 3' },
    { "closed, for results", '"$MYNAH" identify -sT --timeout 1 --json 127.0.0.1:1 >&-' },
    { "a table to a pipe that nobody reads", '{ sleep 0.1; "$MYNAH" identify -sT 127.0.0.1:1; } | true; exit 3' },
  } do
    it(row[1] .. ": one line, status 3", function()
      local p = support.shell(row[2])
      assert.equal(3, p.status)
      assert.truthy(p.err:find("^mynah: cannot write to standard output: [^\n]+\n"), p.err)
      assert.falsy(p.err:find("traceback", 1, true))
    end)
  end

  it("closed standard error does not matter", function()
    assert.equal(2, support.shell('"$MYNAH" nosuch 2>&-').status)
  end)

  it("closed standard files never become sockets: nothing but the probe goes out", function()
    local got = ""
    local port, close = support.tcp_server(function(client)
      client:read_start(function(_, data) got = got .. (data or "") end)
    end)
    local p = support.shell(('"$MYNAH" identify -sT -v --patience 1 127.0.0.1:%d <&- >&- 2>&-'):format(port))
    close()
    assert.equal(3, p.status)
    assert.falsy(got:find("TARGET", 1, true))
    assert.falsy(got:find("mynah:", 1, true))
  end)
end)

describe("standard files closed at the start", function()
  it("are held, so that no socket gets their numbers", function()
    local p = support.spawn("/bin/sh", { "-c", 'exec "$MYNAH" demo --serve skype <&- 2>&-' },
      { env = { MYNAH = support.mynah } })
    support.wait(function() return p.out:find("\n") or p.status end)
    local uv = require "luv"
    for _, fd in ipairs { 0, 2 } do
      assert.equal("/dev/null", uv.fs_readlink(("/proc/%d/fd/%d"):format(p.pid, fd)))
    end
    p.kill()
    support.wait(p.over)
    assert.equal(0, p.status)
  end)
end)

describe("internal errors", function()
  it("are one line without a traceback, status 3; MYNAH_DEBUG=1 shows it", function()
    -- A fake installation whose main.lua fails.
    local folder = os.tmpname()
    os.remove(folder)
    assert.truthy(os.execute(("mkdir -p %s/bin %s/share/mynah/host && cp %s %s/bin/mynah"):format(folder, folder,
      support.mynah, folder)))
    local file = assert(io.open(folder .. "/share/mynah/host/main.lua", "w"))
    file:write("error('boom')\n")
    file:close()
    local p = support.spawn(folder .. "/bin/mynah", {})
    support.wait(p.over)
    assert.equal(3, p.status)
    assert.truthy(p.err:find("^mynah: internal error: [^\n]*boom\n$"), p.err)
    p = support.spawn(folder .. "/bin/mynah", {}, { env = { MYNAH_DEBUG = "1" } })
    support.wait(p.over)
    assert.truthy(p.err:find("traceback", 1, true))
    os.execute("rm -r " .. folder)
  end)
end)

describe("sig", function()
  it("check accepts the shipped signatures", function()
    local p = run("sig check " .. support.root .. "/signatures")
    assert.equal(0, p.status, p.out .. p.err)
    assert.equal("", p.err)
    assert.truthy(p.out:find("skype", 1, true))
    assert.falsy(p.out:find("  refused\n", 1, true) or p.out:find "%d refused")
  end)

  it("check refuses a signature whose sample does not match, and says so", function()
    local path = support.file([[
service x
  title "X"
  ports udp 1
  from "this test"
sig x-one
  send id?2 01
  len = 4
  @0:2 = $id
  match 000001 > 000102
]], ".sig")
    local p = run("sig check " .. path)
    assert.equal(1, p.status, p.out .. p.err)
    assert.truthy(p.out:find(path, 1, true))
    assert.truthy(p.err:find("1 of 1 file refused", 1, true))
    support.remove()
  end)

  it("check names file, line and column of what does not parse, and looks at the other files too", function()
    local bad = support.file("service x\nnonsense here\n", ".sig")
    local p = run { "sig", "check", bad, support.root .. "/signatures/skype.sig" }
    assert.equal(1, p.status)
    assert.truthy(p.out:find(bad .. ":%d+:%d+: "), p.out)
    assert.truthy(p.out:find("skype", 1, true))
    support.remove()
  end)

  it("list and show", function()
    local p = run "sig list"
    assert.equal(0, p.status)
    local name = p.out:match("\nskype%s+(%S+)")
    assert.truthy(name, p.out)
    p = run("sig show " .. name)
    assert.equal(0, p.status)
    assert.truthy(p.out:find("@0:2", 1, true), p.out)
  end)

  it("MYNAH_SIGNATURES names another place", function()
    local p = run("sig list", { env = { MYNAH_SIGNATURES = support.root .. "/signatures/skype.sig" } })
    assert.equal(0, p.status)
    assert.truthy(p.out:find("skype", 1, true))
    p = run("sig list", { env = { MYNAH_SIGNATURES = "/nonexistent" } })
    assert.equal(2, p.status)
  end)
end)
