--[[
  Forget journal entries that SQL has booked; give back the charge of those whose op SQL had booked before.
  KEYS  shard · journal · (account · lots · holds · due)…          ARGV  epoch · caller ms · (entry id · index of its account, from 0 · refund 0 or 1)…
  Returns
    SETTLED  how many entries this call removed (a repeated call removes none)
    STALE    not this epoch, or the journal is not whole
]]
local function settled(keys, args)
  local m = redis.call('HMGET', keys[1], 'ep', 'vt', 'n')
  if m[1] ~= args[1] or armed[keys[1]] ~= args[1] then return { 'STALE' } end
  if redis.call('XLEN', keys[2]) ~= tonumber(m[3] or '-1') then return { 'STALE' } end
  local opened, removed = {}, 0
  for i = 3, #args, 3 do
    local entry = redis.call('XRANGE', keys[2], args[i], args[i])[1]
    if entry and redis.call('XDEL', keys[2], args[i]) == 1 then
      removed = removed + 1
      local account_id, items = entry[2][4], entry[2][10]
      redis.call('HINCRBY', keys[1], 'n', -1)
      if redis.call('HINCRBY', keys[1], 'u' .. account_id, -1) <= 0 then redis.call('HDEL', keys[1], 'u' .. account_id) end
      local first = 3 + 4 * tonumber(args[i + 1])
      local k = { shard = keys[1], account = keys[first], lots = keys[first + 1], holds = keys[first + 2], due = keys[first + 3] }
      local one = opened[first] or { k = k, a = enter(k, args[1], args[2]) }
      opened[first] = one
      -- A load waits for the account's journal to be empty, so an entry that is left belongs to the load of now.
      if one.a then
        for name, total, debt, lots in string.gmatch(items, '([%w_]+)=(%d+),(%d+),([^;]*)') do
          local c = kind(k, one.a, name)
          c.us = c.us - tonumber(total)
          one.a.is_dirty = true
          if args[i + 2] == '1' then
            c.dt = c.dt - tonumber(debt)
            give_back(k, one.a, name, lots)
          end
        end
      end
    end
  end
  for _, one in pairs(opened) do
    if one.a then leave(one.k, one.a) end
  end
  return { 'SETTLED', I(removed) }
end
