--[[
  Serve an epoch that another version of this library serves: only on the mark of that one's handover, once.
  KEYS  shard                           ARGV  epoch
  Returns
    ADOPTED  this version is armed for the epoch too
    STALE    no mark, or another epoch; nothing changed but the mark, which is gone
]]
local function adopt(keys, args)
  expect(args, 1)
  local s = redis.call('HMGET', keys[1], 'ep', 'ho')
  redis.call('HDEL', keys[1], 'ho')
  if s[1] ~= args[1] or s[2] ~= args[1] then return { 'STALE' } end
  armed[keys[1]] = args[1]
  return { 'ADOPTED' }
end
