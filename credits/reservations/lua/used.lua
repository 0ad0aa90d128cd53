--[[
  When this version of the library was last called on an account.
  Returns
    USED  ms by the server's clock; 0: not since the library was loaded, or the server was started
]]
local function used() return { 'USED', I(seen_ms) } end
