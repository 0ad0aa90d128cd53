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
  local k = names(keys)
  local m = redis.call('HMGET', k.shard, 'ep', 'vt', 'n', 'u' .. args[2])
  if m[1] ~= args[1] or armed[k.shard] ~= args[1] then return { 'STALE' } end
  if open(k, args[1]) then return { 'LOADED' } end
  -- Entries that vanished from the journal would come back as credits, if a load went on now.
  if redis.call('XLEN', k.journal) ~= tonumber(m[3] or '-1') then return { 'STALE' } end
  if tonumber(m[4] or '0') > 0 then return { 'DRAIN' } end
  local now = clock(m[2], 0, args[4])
  local held = redis.call('GET', k.token)
  if held then
    local since = tonumber(string.match(held, '|(%d+)$'))
    if now - since < 2000 and now >= since then return { 'LOADING' } end
  end
  redis.call('SET', k.token, args[3] .. '|' .. I(now), 'PX', 10000)
  return { 'BEGUN' }
end
