--[[
  Begin an epoch: from now on only callers of this epoch are served.
  Only the caller whose compare-and-swap in SQL made the epoch may call it, once, without retries.
  KEYS  shard · journal                 ARGV  epoch · virtual clock (0 or 1)
  Returns
    ARMED   the epoch is on; the journal's entries, if any survived, are counted anew
    OLD     an epoch at least as new is on; nothing changed
]]
local function arm(keys, args)
  expect(args, 2)
  local epoch = whole(args[1])
  local current = redis.call('HGET', keys[1], 'ep')
  if current and epoch <= tonumber(current) then return { 'OLD' } end
  local counts, total, from = {}, 0, '-'
  repeat
    local batch = redis.call('XRANGE', keys[2], from, '+', 'COUNT', 500)
    for _, entry in ipairs(batch) do
      local account = entry[2][4]
      -- An entry that cannot be read keeps the total from being settled, not the accounts from being counted.
      if account then counts[account] = (counts[account] or 0) + 1 end
      total = total + 1
      from = '(' .. entry[1]
    end
  until #batch < 500
  redis.call('DEL', keys[1])
  redis.call('HSET', keys[1], 'ep', I(epoch), 'vt', args[2], 'n', I(total))
  for account, n in pairs(counts) do redis.call('HSET', keys[1], 'u' .. account, I(n)) end
  armed[keys[1]] = I(epoch)
  return { 'ARMED' }
end
