--[[
  Give back what a hold still has.
  KEYS  shard · account · lots · holds · due       ARGV  epoch · caller ms · hold · receipt ms
  Returns
    RELEASED  now
    ENDED     state of a hold that ended before; nothing changed
    NONE      no such hold; nothing changed
    COLD      not loaded
    STALE     not this epoch
]]
local function release(keys, args)
  local k = names(keys)
  local a, refusal = enter(k, args[1], args[2])
  if not a then return refusal end
  local text = redis.call('HGET', k.holds, args[3])
  if not text then return leave(k, a, 'NONE') end
  local r = unpack_record(text)
  if r.state ~= 'H' then return leave(k, a, 'ENDED', r.state) end
  if r.load == a.load then empty_hold(k, a, r) end
  r.state, r.due = 'R', a.sure + tonumber(args[4])
  put_record(k, a, args[3], r, false)
  return leave(k, a, 'RELEASED')
end
