--[[
  Forget an account that has nothing the ledger lacks: no hold, nothing unsettled.
  KEYS  shard · account · lots · holds · due       ARGV  epoch · account id · caller ms · idle ms
  Returns
    UNLOADED  it comes back on demand
    BUSY      it has holds, receipts or unsettled entries, or changed less than idle ms ago
    COLD      not loaded
    STALE     not this epoch
]]
local function unload(keys, args)
  expect(args, 4)
  local k, said, idle_ms = names(keys), whole(args[3]), whole(args[4])
  local a, refusal = enter(k, args[1], said, nil, args[2])
  if not a then return refusal end
  if a.seen + idle_ms > a.sure then return { 'BUSY' } end
  -- A hold that nobody freed before leaves its receipt for as long again.
  reclaim(k, a, idle_ms, true)
  if a.hn > 0 or a.own_entries > 0 then return leave(k, a, 'BUSY') end
  redis.call('DEL', k.account, k.lots)
  return { 'UNLOADED' }
end
