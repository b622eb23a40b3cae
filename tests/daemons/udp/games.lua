-- games.lua - rows of game servers: see the head of daemons.lua. Data that a game insists on is made here, as little as it takes.

-- The arguments of a command; PORT stands for the port.
local function run(...)
  local words = { ... }
  return function(port)
    local out = {}
    for i, word in ipairs(words) do out[i] = word:gsub("PORT", port) end
    return out
  end
end

-- Lua 5.1 has no string.pack: a number in four bytes, and many of them.
local function long(n)
  n = n % 2 ^ 32
  local out = {}
  for i = 1, 4 do
    out[i] = string.char(n % 256)
    n = math.floor(n / 256)
  end
  return table.concat(out)
end

local function longs(...)
  local out = {}
  for i, n in ipairs { ... } do out[i] = long(n) end
  return table.concat(out)
end

local function padded(text, width) return text .. ("\0"):rep(width - #text) end

-- A file of lumps: a head, then for each its place and length, then they.
local function lumped(head, lumps, count)
  local places, body, at = {}, {}, #head + 8 * count
  for i = 1, count do
    local lump = lumps[i] or ""
    places[i] = longs(at, #lump)
    body[i] = padded(lump, #lump + -#lump % 4)
    at = at + #body[i]
  end
  return head .. table.concat(places) .. table.concat(body)
end

-- Quake III's map with nothing in it: one plane, one leaf that is all of the world, a place to stand.
local function quake3_map()
  local one = "\0\0\128\63"
  local box = longs(-512, -512, -512, 512, 512, 512)
  return lumped("IBSP" .. long(46), {
    '{\n"classname" "worldspawn"\n}\n{\n"classname" "info_player_deathmatch"\n"origin" "0 0 24"\n}\n\0',
    padded("textures/common/caulk", 64) .. longs(0, 1),
    (one .. longs(0, 0, 0)):rep(2),
    longs(0, -1, -1) .. box,
    longs(0, 0) .. box .. longs(0, 0, 0, 0), "", "",
    ("\0\0\0\196"):rep(3) .. ("\0\0\0\68"):rep(3) .. longs(0, 0, 0, 0),
  }, 17)
end

local function shorts(...)
  local out = {}
  for i, n in ipairs { ... } do out[i] = long(n):sub(1, 2) end
  return table.concat(out)
end

-- Quake's map with nothing in it: one plane, solid behind it.
local function quake_map()
  local box = shorts(-512, -512, -512, 512, 512, 512)
  local one, low, high = "\0\0\128\63", ("\0\0\0\196"):rep(3), ("\0\0\0\68"):rep(3)
  return lumped(longs(29), {
    '{\n"classname" "worldspawn"\n}\n\0',
    one .. longs(0, 0, 0, 0), longs(0), "", "",
    longs(0) .. shorts(-2, -1) .. box .. shorts(0, 0), "", "", "",
    longs(0) .. shorts(-1, -1),
    longs(-2, -1) .. box .. shorts(0, 0) .. longs(0) .. longs(-1, -1) .. box .. shorts(0, 0) .. longs(0), "", "", "",
    low .. high .. longs(0, 0, 0) .. longs(0, 0, 0, 0, 1, 0, 0),
  }, 15)
end

-- What the engine calls, besides the function of the map itself; found by its name, or by its number in a global.
local CALLED = { "main", "StartFrame", "PlayerPreThink", "PlayerPostThink", "ClientKill", "ClientConnect",
  "PutClientInServer", "ClientDisconnect", "SetNewParms", "SetChangeParms" }

-- A game in which nothing happens, as compiled QuakeC: the map's function precaches one model, all others return at once.
-- crc: which layout of globals and fields it was made for; classname: where that field stands; fields: how many there are.
local function quake_progs(crc, classname, fields)
  local texts, length = { "\0" }, 1
  local function text(s)
    local at = length
    texts[#texts + 1], length = s .. "\0", length + #s + 1
    return at
  end
  local class, player = text "classname", text "progs/player.mdl"
  local functions = { ("\0"):rep(36) }
  local function define(first, name)
    functions[#functions + 1] = longs(first, 28, 0, 0, text(name), 0, 0) .. ("\0"):rep(8)
    return #functions - 1
  end
  local globals = {}
  for i = 0, 127 do globals[i] = 0 end
  define(1, "worldspawn")
  for i, name in ipairs(CALLED) do
    local n = define(4, name)
    globals[79 + i], globals[81 + i] = n, n
  end
  globals[100], globals[101] = player, define(-20, "precache_model")
  local statements = ("\0"):rep(8) .. shorts(33, 100, 4, 0, 52, 101, 0, 0) .. ("\0"):rep(16)
  local words = {}
  for i = 0, 127 do words[i + 1] = long(globals[i]) end
  local parts = { statements, ("\0"):rep(8), ("\0"):rep(8) .. shorts(1, classname) .. long(class), table.concat(functions),
    table.concat(texts), table.concat(words) }
  local counts = { 5, 1, 2, #functions, length, 128 }
  local head, at = { longs(6, crc) }, 60
  for i, part in ipairs(parts) do
    head[#head + 1] = longs(at, counts[i])
    parts[i] = padded(part, #part + -#part % 4)
    at = at + #parts[i]
  end
  return table.concat(head) .. long(fields) .. table.concat(parts)
end

-- It makes sure of its data by these; what is in them does not matter.
local function redeclipse_files()
  return { ["config/version.cfg"] = "//\n", ["data/maps/readme.txt"] = "//\n", ["maps/readme.txt"] = "//\n" }
end

return {
  users = {},
  servers = {
    ["chocolate-doom"] = { service = "chocolate-doom", product = "chocolate doom",
      command = run("chocolate-server", "-privateserver", "-port", "PORT") },

    ["crispy-doom"] = { service = "chocolate-doom", product = "crispy doom",
      command = run("crispy-doom", "-dedicated", "-privateserver", "-port", "PORT") },

    teeworlds = { service = "teeworlds",
      command = run("teeworlds-server", "sv_port PORT", "bindaddr 127.0.0.1", "sv_register 0") },

    ddnet = { service = "teeworlds",
      prepare = "mkdir -p /tmp/.local/share/ddnet",
      command = run("DDNet-Server", "sv_ipv4only 1;sv_port PORT;bindaddr 127.0.0.1;sv_register 0") },

    bzflag = { service = "bzflag", product = "bzflag",
      command = run("bzfs", "-p", "PORT", "-i", "127.0.0.1", "-g") },

    minetest = { service = "minetest",
      files = function() return { ["minetest.conf"] = "bind_address = 127.0.0.1\nserver_announce = false\n" } end,
      prepare = "mkdir -p /tmp/world /var/log/minetest; echo 'gameid = devtest' > /tmp/world/world.mt",
      command = run("minetestserver", "--config", "/mynah/minetest.conf", "--world", "/tmp/world", "--port", "PORT"),
      settle = 1000 },

    armagetron = { service = "armagetron", product = "armagetron",
      files = function(port) return { ["autoexec.cfg"] = "SERVER_IP 127.0.0.1\nSERVER_PORT " .. port
        .. "\nTALK_TO_MASTER 0\n", ["server_info.cfg"] = "" } end,
      prepare = "cp -r /.etc/armagetronad-dedicated /tmp/config; mkdir -p /tmp/user/var",
      command = run("armagetronad-dedicated.real", "--datadir", "/usr/share/games/armagetronad", "--configdir",
        "/tmp/config", "--userdatadir", "/tmp/user", "--userconfigdir", "/mynah", "-d") },

    openttd = { service = "openttd",
      files = function() return { ["openttd.cfg"] = "[network]\nserver_name = nm\nserver_game_type = local\n"
        .. "[misc]\ngraphicsset = OpenGFX\n" } end,
      command = run("openttd", "-D", "127.0.0.1:PORT", "-c", "/mynah/openttd.cfg"),
      settle = 1000 },

    -- The port that players connect to, and the one that tells who plays, a number higher.
    sauerbraten = { service = "enet",
      files = function() return { ["data/server-init.cfg"] = "updatemaster 0\n" } end,
      command = run("cube2-server", "-q/mynah/data", "-jPORT", "-i127.0.0.1", "-mlocalhost", "-d0") },

    ["sauerbraten-info"] = { service = "sauerbraten", product = "sauerbraten",
      files = function() return { ["data/server-init.cfg"] = "updatemaster 0\n" } end,
      command = function(port)
        return { "cube2-server", "-q/mynah/data", "-j" .. port - 1, "-i127.0.0.1", "-mlocalhost", "-d0" }
      end },

    redeclipse = { service = "enet", files = redeclipse_files,
      command = run("/usr/lib/games/redeclipse/redeclipse-server", "-h/tmp/redeclipse", "-p/mynah", "-spPORT", "-si127.0.0.1",
        "-sm") },

    ["redeclipse-info"] = { service = "redeclipse", product = "red eclipse", files = redeclipse_files,
      command = function(port)
        return { "/usr/lib/games/redeclipse/redeclipse-server", "-h/tmp/redeclipse", "-p/mynah", "-sp" .. port - 1,
          "-si127.0.0.1", "-sm" }
      end },

    ["python-enet"] = { service = "enet",
      files = function(port) return { ["host.py"] = ([[
import enet
host = enet.Host(enet.Address(b"127.0.0.1", %d), 8, 1, 0, 0)
while True:
    host.service(1000)
]]):format(port) } end,
      command = run("python3", "/mynah/host.py") },

    mvdsv = { service = "quakeworld", product = "mvdsv",
      files = function() return { ["id1/maps/start.bsp"] = quake_map(), ["qw/server.cfg"] = "//\n",
        ["qw/qwprogs.dat"] = quake_progs(54730, 26, 130) } end,
      command = run("mvdsv", "-basedir", "/mynah", "-ip", "127.0.0.1", "-port", "PORT", "+map", "start"),
      settle = 1000 },

    darkplaces = { service = "quake3", product = "darkplaces",
      files = function() return { ["id1/maps/start.bsp"] = quake_map(), ["id1/progs.dat"] = quake_progs(5927, 28, 105) } end,
      command = run("darkplaces-server", "-basedir", "/mynah", "-userdir", "/tmp/darkplaces", "-ip", "127.0.0.1", "-port",
        "PORT", "+sv_public", "0", "+map", "start"),
      settle = 1000 },

    -- The engine of Quake III with the rules of OpenArena, whose data (400 MB) a server that nobody joins does not need.
    openarena = { service = "quake3", product = "quake3arena",
      files = function() return { ["baseoa/default.cfg"] = "//\n", ["baseoa/maps/nm.bsp"] = quake3_map() } end,
      prepare = "ln -s /usr/lib/openarena-server/baseoa/qagamex86_64.so /mynah/baseoa/",
      command = run("/usr/lib/ioquake3/ioq3ded", "+set", "fs_basepath", "/mynah", "+set", "fs_homepath", "/tmp/q3", "+set",
        "com_standalone", "1", "+set", "com_basegame", "baseoa", "+set", "sv_pure", "0", "+set", "vm_game", "0", "+set",
        "net_ip", "127.0.0.1", "+set", "net_port", "PORT", "+set", "dedicated", "1", "+set", "sv_master1", "", "+map", "nm"),
      settle = 1000 },
  },
}
