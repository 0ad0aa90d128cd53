--[[
  Announce that an account's snapshot is about to be read from SQL.
  KEYS  shard · account · lots · holds · due · journal · token       ARGV  epoch · account id · token · caller ms
  Returns
    BEGUN    read the snapshot now, then finish_load with the same token
    LOADED   it is loaded; nothing to do
    LOADING  somebody else began less than 2 s ago; wait for them
    DRAIN    its journal is not settled: settle first
    STALE    not this epoch, or the journal is not whole
]]
local function begin_load(keys, args)
  expect(args, 4)
  local k, said, account_id = names(keys), whole(args[4]), whole(args[2])
  local s = redis.call('HMGET', k.shard, 'ep', 'vt', 'n', 'u' .. I(account_id))
  if not is_served(k.shard, args[1], s[1]) then return { 'STALE' } end
  local v = redis.call('HMGET', k.account, 'm', 'w')
  if open(k, args[1], v[1], v[2]) then return { 'LOADED' } end
  -- Entries that vanished from the journal would come back as credits, if a load went on now.
  if redis.call('XLEN', k.journal) ~= tonumber(s[3] or '-1') then return { 'STALE' } end
  if tonumber(s[4] or '0') > 0 then return { 'DRAIN' } end
  local now = clock(s[2], 0, said)
  local since = string.match(redis.call('GET', k.token) or '', '|(%d+)$')
  if since and now - tonumber(since) < 2000 and now >= tonumber(since) then return { 'LOADING' } end
  redis.call('SET', k.token, args[3] .. '|' .. I(now), 'PX', 10000)
  return { 'BEGUN' }
end
