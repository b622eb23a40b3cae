-- What mynah scan keeps: files of every form, scans that are killed and gone on with, parts that are joined, reports.
local here = debug.getinfo(1, "S").source:match("^@(.*)/") or "."
local support = dofile(here .. "/support.lua")
local cjson = require "cjson"
local uv = require "luv"
local run = support.run

local DTD = "/usr/share/nmap/nmap.dtd"
local KILLS = os.getenv "MYNAH_LONG" and 50 or 6

local function serve(count, delay) return support.udp_servers("127.9.0", count, nil, delay) end

local folder
local function path(name) return folder .. "/" .. name end

local function read(name)
  local file = assert(io.open(path(name), "rb"))
  local bytes = file:read "a"
  file:close()
  return bytes
end

local function lines_of(name)
  local list = {}
  for line in read(name):gmatch "([^\r\n]+)\r?\n" do list[#list + 1] = line end
  return list
end

-- "127.9.0.1 open" of each result in a store, sorted.
local function results_of(name)
  local list = {}
  for _, line in ipairs(run("report --json " .. path(name)).lines) do
    local r = cjson.decode(line)
    list[#list + 1] = r.ip .. " " .. r.state
  end
  table.sort(list)
  return list
end

describe("scan -o", function()
  before_each(function() folder = assert(uv.fs_mkdtemp "/tmp/mynah-outputs-XXXXXX") end)
  after_each(function() os.execute(("rm -rf '%s'"):format(folder)) end)

  it("writes every form at once, each complete", function()
    local port, _, close = serve(20)
    local words = ("scan --verify-only --probe dns -p %d 127.9.0.1-127.9.0.30"):format(port)
    for _, suffix in ipairs { "jsonl", "csv", "xml", "gnmap", "db" } do words = words .. " -o " .. path("a." .. suffix) end
    local list = support.file "127.9.0.250\n"
    words = ("%s --status-file %s --exclude 127.9.0.200 -iL %s --exclude-file %s"):format(words, path "status", list, list)
    local p = run(words)
    support.remove()
    close()
    assert.equal(0, p.status, p.err)
    assert.equal(30, #lines_of "a.jsonl")
    for _, line in ipairs(lines_of "a.jsonl") do assert.equal(port, cjson.decode(line).port) end
    local csv = lines_of "a.csv"
    assert.equal(31, #csv)
    assert.truthy(csv[1]:find "^ip,port,transport,state,reason,service,")
    local gnmap = lines_of "a.gnmap"
    assert.equal(31, #gnmap)
    assert.truthy(gnmap[2]:find(("^Host: 127%%.9%%.0%%.%%d+ %%(%%)\tPorts: %d/%%a+/udp//.*//.*/$"):format(port)), gnmap[2])
    local called = (" -iL %s --exclude 127.9.0.200 --exclude-file %s 127.9.0.1"):format(list, list)
    assert.truthy(gnmap[1]:find(called, 1, true), gnmap[1])
    assert.truthy(read("a.xml"):gsub("&#45;", "-"):find(called, 1, true))
    assert.equal(30, #results_of "a.db")
    local status = cjson.decode(read "status")
    assert.same({ 30, 20, 10, true }, { status.targets, status.verified, status.errors, status.over })
    if not io.open(DTD) then return pending("no nmap.dtd here") end
    local lint = support.program("/usr/bin/env", { "xmllint", "--noout", "--dtdvalid", DTD, path "a.xml" })
    assert.equal(0, lint.status, lint.err)
    assert.equal(30, select(2, read("a.xml"):gsub("<host>", "")))
  end)

  it("is refused before anything is sent where a file cannot be written, and touches none of the others", function()
    local file = assert(io.open(path "kept.jsonl", "w"))
    file:write "of yesterday\n"
    file:close()
    assert(uv.fs_mkdir(path "folder.csv", 493))
    -- What is asked for; what is said.
    local ROWS = {
      { "--status-file " .. path "none/status", "cannot write --status-file " .. path "none/status: No such file or directory" },
      { "--status-file " .. path "folder.csv", "cannot write --status-file " .. path "folder.csv: Is a directory" },
      { "-o " .. path "none/a.db", path "none/a.db: unable to open" },
      { "-o " .. path "folder.csv", "cannot write: " .. path "folder.csv: Is a directory" },
    }
    for _, suffix in ipairs { "jsonl", "csv", "xml", "gnmap" } do
      local name = path("none/a." .. suffix)
      ROWS[#ROWS + 1] = { "-o " .. name, "cannot write: " .. name .. ": No such file or directory" }
    end
    for _, row in ipairs(ROWS) do
      local p = run(("scan -sT -p 1 127.9.0.1 -o %s %s"):format(path "kept.jsonl", row[1]))
      assert.equal(3, p.status, row[1] .. p.err)
      assert.truthy(p.err:find(row[2], 1, true), p.err)
      assert.falsy(p.err:find(" sent,", 1, true), p.err)
      assert.equal("of yesterday\n", read "kept.jsonl")
    end
    assert.is_nil(io.open(path "folder.csv.new"))
    assert.equal(2, run(("scan -sT -p 1 127.9.0.1 -o %s -o a.txt"):format(path "kept.jsonl")).status)
    assert.equal("of yesterday\n", read "kept.jsonl")
  end)

  it("writes XML that ndiff holds against a run of nmap", function()
    local port, _, close = serve(1)
    run(("scan --verify-only --probe dns -p %d 127.9.0.1 -o %s"):format(port, path "ours.xml"))
    close()
    local args = { "nmap", "-n", "-sT", "-Pn", "-p", "1", "127.9.0.1", "-oX", path "nmaps.xml" }
    assert.equal(0, support.program("/usr/bin/env", args).status)
    local p = support.program("/usr/bin/env", { "ndiff", path "nmaps.xml", path "ours.xml" })
    assert.equal(1, p.status, p.err) -- they differ, and it could read both
    assert.truthy(p.out:find(("+%d/udp open"):format(port), 1, true), p.out)
  end)

  it("lets no peer write into it", function()
    local hostile = 'Evil<script>"x",y'
    local port, close = support.tcp_server(function(client)
      client:read_start(function(_, bytes)
        if bytes then client:write(("HTTP/1.1 200 OK\r\nServer: %s\r\nContent-Length: 0\r\n\r\n"):format(hostile)) end
      end)
    end)
    local words = ("scan -sT --patience 3 -p %d 127.0.0.1"):format(port)
    for _, suffix in ipairs { "csv", "xml", "gnmap", "db" } do words = words .. " -o " .. path("e." .. suffix) end
    local p = run(words)
    local kept = run(words:gsub(" %-o.*", "") .. " --json --filter product~Evil")
    local left_out = run(words:gsub(" %-o.*", "") .. " --json --filter product~Good")
    close()
    assert.equal(0, p.status, p.err)
    assert.same({ 1, 0 }, { #kept.lines, #left_out.lines })
    local result = cjson.decode(kept.lines[1])
    assert.equal(hostile, result.product)
    assert.truthy(lines_of("e.csv")[2]:find(',"Evil<script>""x"",y",', 1, true), lines_of("e.csv")[2])
    assert.equal(2, #lines_of "e.csv")
    assert.equal(7, select(2, lines_of("e.gnmap")[2]:gsub("/", "")), lines_of("e.gnmap")[2])
    assert.falsy(read("e.xml"):find("<script>", 1, true))
    assert.equal(0, support.program("/usr/bin/env", { "xmllint", "--noout", path "e.xml" }).status)
    assert.equal(0, run(("report --html %s %s"):format(path "e.html", path "e.db")).status)
    local html = read "e.html"
    assert.truthy(html:find("&lt;script&gt;", 1, true))
    assert.falsy(html:find("<script", 1, true))
  end)

  it("keeps the fields and the results that are asked for", function()
    local port, _, close = serve(4)
    local words = "scan --json --verify-only --probe dns -p %d 127.9.0.1-127.9.0.9 --fields ip,state --filter %s -o %s"
    local p = run(words:format(port, "state=open,ip!=127.9.0.2", path "few.csv"))
    close()
    table.sort(p.lines)
    assert.same({ '{"ip":"127.9.0.1","state":"open"}', '{"ip":"127.9.0.3","state":"open"}', '{"ip":"127.9.0.4","state":"open"}' },
      p.lines)
    assert.equal(4, #lines_of "few.csv")
    assert.equal("ip,state", lines_of("few.csv")[1])
  end)

  it("never writes over a scan, and does not read what is none", function()
    local port, _, close = serve(1)
    local words = ("scan --verify-only --probe dns -p %d 127.9.0.1 -o %s"):format(port, path "a.db")
    assert.equal(0, run(words).status)
    local again = run(words)
    close()
    assert.equal(2, again.status)
    assert.truthy(again.err:find("it is there already", 1, true))
    local twice = run(("scan -p 53 127.9.0.1 -o %s -o %s"):format(path "a.csv", path "a.csv"))
    assert.equal(2, twice.status)
    assert.truthy(twice.err:find("it is named twice", 1, true), twice.err)
    local finished = run("scan --resume " .. path "a.db")
    assert.equal(0, finished.status)
    assert.truthy(finished.err:find("this scan is finished", 1, true))
    local none = support.file("no database\n", ".db")
    assert.equal(2, run("report " .. none).status)
    support.remove()
  end)
end)

describe("a scan that was killed", function()
  before_each(function() folder = assert(uv.fs_mkdtemp "/tmp/mynah-outputs-XXXXXX") end)
  after_each(function() os.execute(("rm -rf '%s'"):format(folder)) end)

  local function start(port, more)
    local args = { "scan", "--verify-only", "--probe", "dns", "-p", tostring(port), "127.9.0.1-127.9.0.120", "--rate", "400",
      "--retries", "0", "--timeout", "0.3", "-o", path "k.xml", "-o", path "k.jsonl", "-o", path "k.db" }
    return support.spawn(support.mynah, more or args)
  end

  -- Until its settings are kept: what is killed before has not begun.
  local function wait_begun(p)
    support.poll(function() return p.status or run("report " .. path "k.db").status == 0 end)
  end

  it(("finds the same when it goes on, %d times over"):format(KILLS), function()
    local port, asked, close = serve(60, 150) -- what is on its way when the scan is killed is not settled
    local expected = {}
    for n = 1, 120 do expected[n] = ("127.9.0.%d %s"):format(n, n <= 60 and "open" or "closed") end
    table.sort(expected)
    for kill = 1, KILLS do
      for n = 1, 60 do asked[n] = nil end
      os.execute(("rm -f '%s'/k.*"):format(folder))
      local p = start(port)
      wait_begun(p)
      support.sleep(0.5 * (kill - 1) / KILLS)
      p.kill "sigkill"
      support.wait(p.over, 10)
      if p.status == 0 and p.signal == 0 then break end -- it was over before
      local left = results_of "k.db"
      for _, line in ipairs(lines_of "k.jsonl") do assert.equal("table", type(cjson.decode(line))) end
      local lint = support.program("/usr/bin/env", { "xmllint", "--noout", path "k.xml" })
      assert.equal(0, lint.status, lint.err)
      local before = table.move(asked, 1, 60, 1, {})
      local resumed = run(("scan --resume %s -o %s --fields ip,state"):format(path "k.db", path "rest.csv"))
      assert.equal(0, resumed.status, resumed.err)
      local csv = {}
      for i, line in ipairs(lines_of "rest.csv") do csv[i - 1] = line:gsub(",", " ") end
      csv[0] = nil
      table.sort(csv)
      assert.same(expected, csv)
      for _, line in ipairs(left) do -- who answered before is not asked again
        local n = tonumber(line:match "(%d+) open")
        if n then assert.equal(before[n], asked[n], "127.9.0." .. n) end
      end
      assert.same(expected, results_of "k.db", ("killed with %d results"):format(#left))
    end
    close()
  end)

  it("asks on those that had only been verified", function()
    local port, _, close = serve(20) -- copiers of headers: the control that unmasks them takes half a second
    local p = start(port, { "scan", "--probe", "dns", "-p", tostring(port), "127.9.0.1-127.9.0.20", "--timeout", "0.2", "-o",
      path "k.db" })
    wait_begun(p)
    support.poll(function() return p.status or #results_of "k.db" > 0 end)
    p.kill "sigkill"
    support.wait(p.over, 10)
    assert.equal(nil, run("report " .. path "k.db").out:find "domain?  ", "none can be judged yet")
    local resumed = run("scan --resume " .. path "k.db")
    close()
    assert.equal(0, resumed.status, resumed.err)
    assert.equal(20, #results_of "k.db")
    assert.truthy(run("report " .. path "k.db").out:find("      20  domain?", 1, true))
    for _, line in ipairs(run("report --json " .. path "k.db").lines) do -- the reply came before
      local r = cjson.decode(line)
      assert.same({ 2 * r.received, true }, { #r.reply_hex, r.received > 0 })
    end
  end)

  -- Silent servers, more than may wait to be asked on, so that answers are left in the queue.
  it("does not take for settled what it had no time to fetch", function()
    local count, server = 13000, uv.new_tcp()
    assert(server:bind("0.0.0.0", 0))
    assert(server:listen(4096, function()
      local client = uv.new_tcp()
      server:accept(client)
      client:read_start(function(_, bytes) if not bytes and not client:is_closing() then client:close() end end)
    end))
    local port = server:getsockname().port
    local p = support.spawn("/bin/sh", { "-c", ([[
ulimit -n 5200; exec "$MYNAH" scan -sT -p %d 127.9.0.0-127.9.50.199 --rate max --retries 0 --timeout 0.3 -o %s \
  --status-file %s --blocklist /dev/null]]):format(port, path "k.db", path "status") }, { env = { MYNAH = support.mynah } })
    support.poll(function()
      local there = io.open(path "status")
      if there then there:close() end
      return p.status or (there and cjson.decode(read "status").verified >= count - 500)
    end, 40)
    support.sleep(5)
    p.kill "sigint"
    support.wait(p.over, 30)
    server:close()
    local look = support.program("/usr/bin/env", { "python3", "-c", ([[
import sqlite3
c = sqlite3.connect("%s")
one = lambda sql: c.execute(sql).fetchone()[0]
print(one("select value from setting where name = 'settled'"), one("select count(*) from result"))]]):format(path "k.db") })
    local settled, kept = look.out:match "(%d+) (%d+)"
    assert.truthy(tonumber(kept) < count, look.out .. look.err .. p.err)
    assert.truthy(tonumber(settled) <= tonumber(kept), look.out .. p.err)
  end)

  it("is refused where the signatures are others, or the words", function()
    local port, _, close = serve(2)
    local p = start(port)
    wait_begun(p)
    p.kill "sigkill"
    support.wait(p.over, 10)
    close()
    local other = support.file('service s\nsig dns\n send id?8\n @0:8 = $id\n', ".sig")
    local env = { MYNAH_SIGNATURES = other }
    local refused = run("scan --resume " .. path "k.db", { env = env })
    assert.equal(2, refused.status)
    assert.truthy(refused.err:find("the signatures have changed since", 1, true), refused.err)
    for words, message in pairs { ["127.0.0.1"] = "its own targets", ["-p 53"] = "its own --ports",
      ["--rate 5"] = "its own --rate",
      ["--exclude 127.9.0.7"] = "its own --exclude", ["--seed 5"] = "its own --seed", ["--retries 0"] = "its own --retries" } do
      refused = run(("scan --resume %s %s"):format(path "k.db", words))
      assert.equal(2, refused.status)
      assert.truthy(refused.err:find(("--resume %s: the scan has "):format(path "k.db") .. message, 1, true), refused.err)
    end
    support.remove()
  end)
end)

describe("parts of a scan", function()
  before_each(function() folder = assert(uv.fs_mkdtemp "/tmp/mynah-outputs-XXXXXX") end)
  after_each(function() os.execute(("rm -rf '%s'"):format(folder)) end)

  it("under GNU parallel, one of them killed and retried, are what a single run finds", function()
    local port, _, close = serve(30)
    local words = ("--verify-only --probe dns -p %d 127.9.0.1-127.9.0.60 --seed 3 --timeout 0.5"):format(port)
    assert.equal(0, run(("scan %s -o %s"):format(words, path "single.db")).status)
    -- The second part kills itself while it scans, the first time; what it left is gone on with.
    local job = support.file(([[
part=%s/part-$1.db
set -- "$1" %s --rate 20 --shard "$1/3" -o "$part" --continue
if [ "$1" = 2 ] && [ ! -e "$part.tried" ]; then
  touch "$part.tried"
  shift; "$MYNAH" scan "$@" & sleep 0.5; kill -9 $!; exit 1
fi
shift; exec "$MYNAH" scan "$@"
]]):format(folder, words), ".sh")
    local p = support.shell(("seq 3 | parallel --will-cite --jobs 3 --retries 3 sh %s {}"):format(job))
    close()
    support.remove()
    assert.equal(0, p.status, p.err)
    local merged = run(("merge %s %s %s %s"):format(path "whole.db", path "part-1.db", path "part-2.db", path "part-3.db"))
    assert.equal(0, merged.status, merged.err)
    assert.same(results_of "single.db", results_of "whole.db")
    assert.equal(60, #results_of "whole.db")
  end)

  it("go on with what there is, whenever they were killed", function()
    local port, _, close = serve(20)
    local file = path "part.db"
    local words = ("scan --verify-only --probe dns -p %d 127.9.0.1-127.9.0.20 --seed 3 --timeout 0.5 --rate 20 -o %s")
      :format(port, file)
    for _, seconds in ipairs { 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6 } do
      local args = {}
      for word in (words .. " --continue"):gmatch "%S+" do args[#args + 1] = word end
      local p = support.spawn(support.mynah, args)
      support.sleep(seconds)
      p.kill "sigkill"
      support.wait(p.over, 10)
    end
    local p = run(words .. " --continue")
    assert.equal(0, p.status, p.err)
    assert.equal(20, #results_of "part.db")
    p = run(words .. " --continue")
    close()
    assert.equal(0, p.status)
    assert.truthy(p.err:find("this scan is finished", 1, true), p.err)
    for more, message in pairs {
      [" --retries 3"] = "is of a scan with another --retries",
      [" --resume " .. file] = "one of them is enough",
    } do
      p = run(words .. " --continue" .. more)
      assert.equal(2, p.status)
      assert.truthy(p.err:find(message, 1, true), p.err)
    end
    p = run(words:gsub("%-%-seed 3", "--seed 4") .. " --continue")
    assert.truthy(p.status == 2 and p.err:find("is of a scan with --seed 3", 1, true), p.err)
    p = run("scan --probe dns -p 53 127.0.0.1 --continue")
    assert.truthy(p.status == 2 and p.err:find("name its file with -o FILE.db", 1, true), p.err)
  end)

  it("that say something of the same target: the one that names it stands", function()
    local nodes = support.serve { "skype" }
    local words = ("scan --probe skype %s -o %s"):format(nodes.skype.address, "%s")
    assert.equal(0, run(words:format(path "named.db")).status)
    assert.equal(0, run(words:format(path "verified.db") .. " --verify-only").status)
    nodes.stop()
    for i, order in ipairs { { "named.db", "verified.db" }, { "verified.db", "named.db" } } do
      local whole = path("whole" .. i .. ".db")
      assert.equal(0, run(("merge %s %s %s"):format(whole, path(order[1]), path(order[2]))).status)
      local lines = run("report --json " .. whole).lines
      assert.equal(1, #lines)
      assert.equal("skype", cjson.decode(lines[1]).service)
    end
  end)

  it("numbered by Slurm, Kubernetes or by hand, are together the whole, and merge says so", function()
    local port, asked, close = serve(30)
    local JOBS = {
      { "auto", { SLURM_ARRAY_TASK_ID = "7", SLURM_ARRAY_TASK_MIN = "7", SLURM_ARRAY_TASK_COUNT = "3" } },
      { "auto/3", { JOB_COMPLETION_INDEX = "1" } },
      { "auto/3", { PARALLEL_SEQ = "3" } },
    }
    for i, job in ipairs(JOBS) do
      local p = run(("scan --verify-only --probe dns -p %d 127.9.0.1-127.9.0.30 --seed 9 --shard %s -o %s"):format(port, job[1],
        path("part" .. i .. ".db")), { env = job[2] })
      assert.equal(0, p.status, p.err)
    end
    close()
    for n = 1, 30 do assert.equal(1, asked[n]) end
    local p = run(("merge %s %s %s %s"):format(path "whole.db", path "part1.db", path "part2.db", path "part3.db"))
    assert.equal(0, p.status, p.err)
    assert.equal(30, #results_of "whole.db")
    local twice = run(("merge %s %s"):format(path "whole.db", path "part1.db"))
    assert.equal(2, twice.status)
    assert.truthy(twice.err:find("whole.db: it is there already; merge writes a new file", 1, true), twice.err)
    local page = run(("report --html %s %s"):format(path "whole.html", path "whole.db"))
    assert.equal(0, page.status, page.err)
    local html = read "whole.html"
    assert.equal(30, select(2, html:gsub("<td>127%.9%.0%.%d+</td>", "")))
    assert.falsy(html:find "https?://" or html:find "src=" or html:find "<script")
    local summary = run("report " .. path "whole.db")
    assert.truthy(summary.out:find("30 results of 30 targets", 1, true), summary.out)
    assert.truthy(summary.out:find("      30  open", 1, true), summary.out)
  end)
end)
