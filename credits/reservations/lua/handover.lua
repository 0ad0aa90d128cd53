--[[
  Let another version of this library take over, or serve beside this one, without a new epoch: leave a mark that its
  adopt looks for. Both are called in one MULTI, so that no mark outlives it.
  KEYS  shard                           ARGV  epoch
  Returns
    HANDED  the mark is there
    STALE   this version is not armed for this epoch: it has nothing to hand over
]]
local function handover(keys, args)
  expect(args, 1)
  if not is_served(keys[1], args[1], redis.call('HGET', keys[1], 'ep')) then return { 'STALE' } end
  redis.call('HSET', keys[1], 'ho', args[1])
  return { 'HANDED' }
end
