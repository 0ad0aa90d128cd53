--[[
  Move a hold's deadline to `ttl` from now, but never beyond `longest` after it was made, and never nearer.
  KEYS  shard · account · lots · holds · due       ARGV  epoch · caller ms · hold · ttl ms · longest ms
  Returns
    EXTENDED  deadline ms
    ENDED     state of a hold that ended; nothing changed
    NONE      no such hold; nothing changed
    COLD      not loaded
    STALE     not this epoch
]]
local function extend(keys, args)
  local k = names(keys)
  local a, refusal = enter(k, args[1], args[2])
  if not a then return refusal end
  local text = redis.call('HGET', k.holds, args[3])
  if not text then return leave(k, a, 'NONE') end
  local r = unpack_record(text)
  if r.state ~= 'H' or r.load ~= a.load then return leave(k, a, 'ENDED', r.state == 'H' and 'X' or r.state) end
  r.due = math.max(r.due, math.min(a.now + tonumber(args[4]), r.made + tonumber(args[5])))
  put_record(k, a, args[3], r, false)
  return leave(k, a, 'EXTENDED', I(r.due))
end
