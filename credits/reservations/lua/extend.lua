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
  expect(args, 5)
  local k, said, ttl_ms, longest_ms = names(keys), whole(args[2]), whole(args[4]), whole(args[5])
  local a, refusal = enter(k, args[1], said)
  if not a then return refusal end
  local r = record(k, args[3])
  if not r then return leave(k, a, 'NONE') end
  if not is_open(a, r) then return leave(k, a, 'ENDED', r.state == 'H' and 'X' or r.state) end
  local latest = r.made + longest_ms
  set_deadline(a, r, math.min(a.sure + ttl_ms, latest), math.min(a.now + ttl_ms, latest))
  put_record(k, a, args[3], r, false)
  return leave(k, a, 'EXTENDED', I(r.due))
end
