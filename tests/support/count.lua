-- Output handler of busted for tests/run: says what failed, what was left out and why, what took long, and at the end one line
-- "mynah-count: PASSED FAILED SKIPPED". A file that breaks off before has no such line.
local busted = require "busted"
local SLOW = 5 -- seconds

return function()
  local handler = require "busted.outputHandlers.base"()

  local function describe(kind, list)
    for _, f in ipairs(list) do
      local where = f.trace and f.trace.short_src and ("%s:%s: "):format(f.trace.short_src, f.trace.currentline) or ""
      print(("%s %s%s"):format(kind, where, f.name or "?"))
      local message = type(f.message) == "string" and f.message or tostring(f.message)
      if type(f.message) == "table" then message = require "pl.pretty".write(f.message) end
      print("    " .. message:gsub("\n", "\n    "))
    end
  end

  handler.testEnd = function(_, _, status)
    io.stdout:write(status == "success" and "." or status == "pending" and "s" or "F")
    io.stdout:flush()
    return nil, true
  end

  handler.suiteEnd = function()
    print()
    describe("FAIL", handler.failures)
    describe("ERROR", handler.errors)
    for _, p in ipairs(handler.pendings) do
      local reason = tostring(p.message or "no reason given"):gsub("^%S+:%d+: ", "")
      print(("SKIP %s: %s"):format(p.name or "?", reason))
    end
    for _, t in ipairs(handler.successes) do
      local took = t.element and t.element.duration
      if took and took > SLOW then print(("slow: %.1f s: %s"):format(took, t.name)) end
    end
    io.stdout:write(("mynah-count: %d %d %d\n"):format(
      handler.successesCount, handler.failuresCount + handler.errorsCount, handler.pendingsCount))
    io.stdout:flush()
    return nil, true
  end

  busted.subscribe({ "test", "end" }, handler.testEnd, { predicate = handler.cancelOnPending })
  busted.subscribe({ "suite", "end" }, handler.suiteEnd)
  return handler
end
