-- How every verb that works on an account begins and ends.

local MAX_TYPES = 16

local function names(keys)
  return { shard = keys[1], account = keys[2], lots = keys[3], holds = keys[4], due = keys[5], journal = keys[6],
           token = keys[7] }
end

-- Our own library sends every word; if it does not, nothing is done.
local function expect(args, count) if #args < count then error('words are missing') end end

-- ARGV from `first` on as {name, amount} in order; nil if one is no amount, stands twice, or has a name that is none.
local function items_of(args, first, read)
  local items, seen = {}, {}
  if #args - first + 1 > 2 * MAX_TYPES then return nil end
  for i = first, #args, 2 do
    local name, n = args[i], read(args[i + 1])
    if not n or seen[name] or not string.find(name, '^[%w_]+$') then return nil end
    seen[name] = true
    items[#items + 1] = { name = name, amount = n }
  end
  return items
end

--[[
  Every call that works on an account begins here. Answers the account at this instant, or nil and the refusal.
  `items` name the types whose counters will be needed; `account_id` is for calls that will write to the journal;
  `member` is for whom the call is, nil or empty if for nobody.
]]
local function enter(k, epoch, said, items, account_id, member)
  if account_id and string.match(k.account, ':(%d+)$') ~= account_id then error('keys of another account') end
  local s = account_id and redis.call('HMGET', k.shard, 'ep', 'vt', 'n', 'u' .. account_id)
            or redis.call('HMGET', k.shard, 'ep', 'vt')
  if not is_served(k.shard, epoch, s[1]) then return nil, { 'STALE' } end
  local fields = { 'm', 'w' }
  for i, item in ipairs(items or {}) do fields[i + 2] = 'c:' .. item.name end
  local of_member = member and member ~= '' and #fields + 1
  if of_member then fields[of_member] = 'b:' .. member end
  local v = redis.call('HMGET', k.account, unpack(fields))
  local a = open(k, epoch, v[1], v[2])
  if not a then return nil, { 'COLD' } end
  for i, item in ipairs(items or {}) do read_kind(a, item.name, v[i + 2]) end
  a.epoch, a.id, a.entries, a.own_entries = epoch, account_id, tonumber(s[3] or '0'), tonumber(s[4] or '0')
  a.seen = a.last
  a.now, a.sure = clock(s[2], a.last, said)
  if of_member then read_budget(a, member, v[of_member]) end
  lapse(k, a)
  return a
end

-- The answer where a member's limits have to be loaded first.
local function ask_for_member(k, a, member)
  flush(k, a)
  return { 'MEMBER', member, a.load, I(a.sure) }
end

-- Every call ends here: what changed is written, and the answer given.
local function leave(k, a, ...)
  flush(k, a)
  return { ... }
end
