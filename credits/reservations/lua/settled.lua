--[[
  Forget journal entries that SQL has booked; give back the charge of those whose op SQL had booked before.
  KEYS  shard · journal · (account · lots · holds · due)…
  ARGV  epoch · caller ms · (entry id · index of its account, from 0 · refund 0 or 1)…
  Returns
    SETTLED  how many entries this call removed (a repeated call removes none)
    STALE    not this epoch, or the journal is not whole
]]
-- One entry's effect on its account, if that is loaded: a load waits for the account's journal to be empty, so an entry
-- that is left belongs to the load of now.
local function settle_entry(k, a, fields, is_refund)
  local items, member, at = fields[10], fields[16], fields[18]
  for name, total, debt, lots in string.gmatch(items, '([%w_]+)=(%d+),(%d+),([^;]*)') do
    local c = kind(k, a, name)
    c.us, a.us = c.us - tonumber(total), a.us - tonumber(total)
    if is_refund then
      c.dt = c.dt - tonumber(debt)
      give_back(k, a, name, lots)
      if member then unspend_for(k, a, member, name, tonumber(total), tonumber(at)) end
    end
  end
end

local function settled(keys, args)
  expect(args, 2)
  local said = whole(args[2])
  local s = redis.call('HMGET', keys[1], 'ep', 'vt', 'n')
  if not is_served(keys[1], args[1], s[1]) then return { 'STALE' } end
  if redis.call('XLEN', keys[2]) ~= tonumber(s[3] or '-1') then return { 'STALE' } end
  local opened, ids, count_of = {}, {}, {}
  for i = 3, #args, 3 do
    local id, first = args[i], 3 + 4 * whole(args[i + 1])
    if not string.find(id, '^%d+%-%d+$') then error('no id of an entry') end
    local entry = redis.call('XRANGE', keys[2], id, id)[1]
    -- An entry that is gone was settled before, by this call or another: it counts once.
    if entry and not ids[id] then
      ids[id], ids[#ids + 1] = true, id
      local account_id = entry[2][4]
      if string.match(keys[first], ':(%d+)$') ~= account_id then error('an entry of another account') end
      count_of[account_id] = (count_of[account_id] or 0) + 1
      local one = opened[first]
      if not one then
        local k = { shard = keys[1], account = keys[first], lots = keys[first + 1], holds = keys[first + 2], due = keys[first + 3] }
        one = { k = k, a = enter(k, args[1], said) }
        opened[first] = one
      end
      if one.a then settle_entry(one.k, one.a, entry[2], args[i + 2] == '1') end
    end
  end
  for first = 1, #ids, 1000 do redis.call('XDEL', keys[2], unpack(ids, first, math.min(first + 999, #ids))) end
  if #ids > 0 then redis.call('HINCRBY', keys[1], 'n', -#ids) end
  for account_id, n in pairs(count_of) do
    if redis.call('HINCRBY', keys[1], 'u' .. account_id, -n) <= 0 then redis.call('HDEL', keys[1], 'u' .. account_id) end
  end
  for _, one in pairs(opened) do
    if one.a then flush(one.k, one.a) end
  end
  return { 'SETTLED', I(#ids) }
end
