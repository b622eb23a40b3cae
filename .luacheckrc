-- Lua of the checks and the program: 5.3 and 5.4, no globals of our own.
std = "lua53"
max_line_length = 130
unused_secondaries = false
-- Callbacks often take more than they use.
unused_args = false
files["tests/**/*_spec.lua"].std = "+busted"
files["**/*.nse"].globals = { "description", "author", "license", "categories", "dependencies",
  "portrule", "hostrule", "prerule", "postrule", "action" }
files["**/*.nse"].read_globals = { "SCRIPT_NAME", "SCRIPT_TYPE", "SCRIPT_PATH" }
