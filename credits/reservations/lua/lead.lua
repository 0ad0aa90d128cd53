--[[
  Ask to settle a shard's journal. One at a time does, so that one transaction serves all who wait.
  It is advice: who settles without asking is as right, and the ledger's unique keys see to the rest.
  KEYS  shard · journal · lead · told        ARGV  epoch · caller ms · who ('': asks nobody) · lease ms
    lead  hash    w  who settles · u  until when (ms) · n  how many wait to be told · p  how many were told the last time
    told  stream  see tell.lua
  Returns
    LEADING  settle now; for lease ms nobody else is asked to · how many were told the last time
    LED      somebody else settles · the last thing told: what that one tells comes behind it
    STALE    not this epoch, or the journal is not whole
]]
local function lead(keys, args)
  expect(args, 4)
  local said, who, lease_ms = whole(args[2]), args[3], whole(args[4])
  local s = redis.call('HMGET', keys[1], 'ep', 'vt', 'n')
  if not is_served(keys[1], args[1], s[1]) then return { 'STALE' } end
  if tonumber(s[3] or '-1') ~= redis.call('XLEN', keys[2]) then return { 'STALE' } end
  if who == '' then return { 'LEADING', '0' } end
  local now = clock(s[2], 0, said)
  local led = redis.call('HMGET', keys[3], 'w', 'u', 'p')
  local left_ms = led[2] and tonumber(led[2]) - now or 0
  -- A lease longer than any is one of a clock that has been set back since.
  if led[1] and led[1] ~= who and left_ms > 0 and left_ms <= lease_ms then
    redis.call('HINCRBY', keys[3], 'n', 1)
    local last = redis.call('XREVRANGE', keys[4], '+', '-', 'COUNT', 1)[1]
    return { 'LED', last and last[1] or '0-0' }
  end
  redis.call('HSET', keys[3], 'w', who, 'u', I(now + lease_ms))
  redis.call('PEXPIRE', keys[3], 60000)
  return { 'LEADING', led[3] or '0' }
end
