--- Ends a command with one line for the user and an exit status; whatever else is raised is a defect of ours.
-- @module host.fail

local fail = {}

fail.NEGATIVE, fail.USAGE, fail.COULD_NOT_RUN = 1, 2, 3

local function raise(status, format, ...)
  local message = select("#", ...) > 0 and format:format(...) or format
  error({ status = status, message = message }, 0)
end

--- Usage or input error: exit status 2.
function fail.input(...) raise(fail.USAGE, ...) end

--- The system or the network does not let us: exit status 3.
function fail.run(...) raise(fail.COULD_NOT_RUN, ...) end

--- Stopped by SIGINT or SIGTERM: exit status 128 + its number, as shells have it.
-- @param number of the signal
function fail.interrupted(number) raise(128 + (number or 2), "interrupted") end

return fail
