--- Options that several commands share, and their checks: converters for argparse, made for an option's name, give
-- nil and a message.
-- @module host.options

local core = require "mynah_core"

local options = {}

local function number(option, least, most, what)
  return function(word)
    local n = word:match("^%d+%.?%d*$") and tonumber(word)
    if n and n >= least and n <= most then return n end
    return nil, ('%s "%s": expected %s from %g to %g'):format(option, word, what, least, most)
  end
end

function options.seconds(option) return number(option, 0.001, 86400, "seconds") end

function options.rate(option) return number(option, 0.01, 1000000, "a number a second") end

--- Bits a second: 64000, 500k, 20M, 1G.
function options.bits(option)
  local units = { [""] = 1, k = 1e3, m = 1e6, g = 1e9 }
  return function(word)
    local digits, unit = word:match "^(%d+%.?%d*)([kKmMgG]?)$"
    local n = digits and tonumber(digits) * units[unit:lower()]
    if n and n >= 1000 and n <= 1e12 then return n end
    return nil, ('%s "%s": expected bits a second, from 1k on: 500k, 20M, 1G'):format(option, word)
  end
end

function options.share(option) return number(option, 0, 1, "a share") end

function options.milliseconds(option) return number(option, 0, 600000, "milliseconds") end

--- A whole number from `least` to `most`.
function options.integer(option, least, most)
  return function(word)
    local n = word:match("^%d+$") and #word < 16 and math.tointeger(tonumber(word))
    if n and n >= least and n <= most then return n end
    return nil, ('%s "%s": expected a whole number from %d to %d'):format(option, word, least, most)
  end
end

--- An IPv4 address.
function options.ipv4(option)
  return function(word)
    if core.family(word) == 4 then return word end
    return nil, ('%s "%s": expected an IPv4 address'):format(option, word)
  end
end

--- A resolver for host.targets.
-- @param family "inet", "inet6" or nil for either
function options.resolver(family)
  return function(name)
    local ips, message = core.resolve(name, 0, family)
    if not ips then return nil, message end
    return ips
  end
end

--- -4 and -6.
function options.add_family(parser)
  parser:mutex(
    parser:flag("-4 --ipv4", "Names mean IPv4 addresses"),
    parser:flag("-6 --ipv6", "Names mean IPv6 addresses"))
end

--- What add_family read, as core.resolve takes it.
function options.family(args)
  return args.ipv4 and "inet" or args.ipv6 and "inet6" or nil
end

return options
