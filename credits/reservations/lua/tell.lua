--[[
  The end of a settlement: let the next one lead, and tell who waits what the ledger has.
  KEYS  shard · lead · told                  ARGV  epoch · who · what was booked, as JSON
    told  stream  b  {op: fingerprint} of what is in the ledger, for ever; the last few settlements, for a minute
  Returns
    TOLD   whoever was so slow that another one leads by now tells all the same: it stays true
    STALE  not this epoch
]]
local function tell(keys, args)
  expect(args, 3)
  local current = redis.call('HGET', keys[1], 'ep')
  if not is_served(keys[1], args[1], current) then return { 'STALE' } end
  local led = redis.call('HMGET', keys[2], 'w', 'n')
  local is_mine = led[1] == args[2]
  if is_mine then
    redis.call('HDEL', keys[2], 'w', 'u', 'n')
    redis.call('HSET', keys[2], 'p', led[2] or '0')
  end
  if led[2] or not is_mine then
    redis.call('XADD', keys[3], 'MAXLEN', 16, '*', 'b', args[3])
    redis.call('PEXPIRE', keys[3], 60000)
  end
  return { 'TOLD' }
end
