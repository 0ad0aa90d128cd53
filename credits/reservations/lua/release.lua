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
  expect(args, 4)
  local k, said, receipt_ms = names(keys), whole(args[2]), whole(args[4])
  local a, refusal = enter(k, args[1], said)
  if not a then return refusal end
  local r = record(k, args[3])
  if not r then return leave(k, a, 'NONE') end
  if not is_open(a, r) then return leave(k, a, 'ENDED', r.state == 'H' and 'X' or r.state) end
  empty_hold(k, a, r)
  r.state, r.due = 'R', a.sure + receipt_ms
  put_record(k, a, args[3], r, false)
  return leave(k, a, 'RELEASED')
end
