--- Options that several commands share, and their checks: converters for argparse, made for an option's name, give
-- nil and a message.
-- @module host.options

local core = require "mynah_core"
local fail = require "host.fail"

local options = {}

local function number(option, least, most, what)
  return function(word)
    local n = word:match("^%d+%.?%d*$") and tonumber(word)
    if n and n >= least and n <= most then return n end
    return nil, ('%s "%s": expected %s from %.15g to %.15g'):format(option, word, what, least, most)
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

--- -e and -S: how all that is asked leaves.
function options.add_leaving(parser)
  parser:option("-e --interface", "Ask through this interface, whatever routing says"):argname("NAME")
  parser:option("-S --source", "Ask from this address of ours"):argname("ADDRESS")
end

--- Refuse what does not go together.
-- @param args as add_leaving read them
-- @param ip one of the targets, which may name its link by number
function options.check_leaving(args, ip)
  local family = args.source and core.family(args.source)
  if args.source and not family then fail.input('-S "%s": expected an address', args.source) end
  if args.source and family ~= core.family(ip) then fail.input("-S %s: %s is of the other family", args.source, ip) end
  local zone = args.interface and ip:match "%%(%d+)$"
  local link = zone and core.interface_name(math.tointeger(tonumber(zone)))
  if zone and link ~= args.interface then fail.input("-e %s: %s is on the link %s", args.interface, ip, link or zone) end
end

--- What add_family read, as core.resolve takes it.
function options.family(args)
  return args.ipv4 and "inet" or args.ipv6 and "inet6" or nil
end

return options
