--[[
  Make an account's next call load it again: something that its load rests on has changed in SQL (its time zone).
  KEYS  shard · account · lots · holds · due       ARGV  epoch · caller ms
  Returns
    VOIDED  its holds are adopted when it is loaded, as after a restart
    COLD    not loaded: its load will see the change
    STALE   not this epoch
]]
local function void_load(keys, args)
  expect(args, 2)
  local k = names(keys)
  local a, refusal = enter(k, args[1], whole(args[2]))
  if not a then return refusal end
  redis.call('HDEL', k.account, 'm')
  return { 'VOIDED' }
end
