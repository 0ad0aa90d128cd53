--[[
  Open holds of an account, the soonest due first; or one hold by its id, receipts included.
  KEYS  shard · account · lots · holds · due       ARGV  epoch · caller ms · receipt ms · limit · hold (may be empty)
  Returns
    HOLDS  (hold · record)…
    COLD   not loaded
    STALE  not this epoch
]]
local function list_holds(keys, args)
  local k = names(keys)
  local a, refusal = enter(k, args[1], args[2])
  if not a then return refusal end
  reclaim(k, a, nil, tonumber(args[3]))
  save(k, a)
  local answer = { 'HOLDS' }
  if args[5] ~= '' then
    local text = redis.call('HGET', k.holds, args[5])
    if text then answer[2], answer[3] = args[5], text end
    return answer
  end
  for _, hold in ipairs(redis.call('ZRANGE', k.due, 0, -1)) do
    local text = redis.call('HGET', k.holds, hold)
    if string.sub(text, 1, 1) == 'H' and #answer <= 2 * tonumber(args[4]) then
      answer[#answer + 1], answer[#answer + 2] = hold, text
    end
  end
  return answer
end
