--[[
  Forget an account that has nothing the ledger lacks: no hold, nothing unsettled.
  KEYS  shard · account · lots · holds · due       ARGV  epoch · account id · caller ms · idle ms
  Returns
    UNLOADED  it comes back on demand
    BUSY      it has holds, receipts or unsettled entries, or was used less than idle ms ago
    COLD      not loaded
    STALE     not this epoch
]]
local function unload(keys, args)
  local k = names(keys)
  local a, refusal = enter(k, args[1], args[3])
  if not a then return refusal end
  local seen = tonumber(redis.call('HGET', k.account, 't'))
  reclaim(k, a, nil, 0)
  local unsettled_entries = tonumber(redis.call('HGET', k.shard, 'u' .. args[2]) or '0')
  if seen + tonumber(args[4]) > a.sure or a.hn > 0 or unsettled_entries > 0 then return leave(k, a, 'BUSY') end
  redis.call('DEL', k.account, k.lots)
  return { 'UNLOADED' }
end
