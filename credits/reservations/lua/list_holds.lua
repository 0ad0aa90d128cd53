--[[
  Open holds of an account, the soonest due first; or one hold by its id, receipts included.
  KEYS  shard · account · lots · holds · due       ARGV  epoch · caller ms · receipt ms · limit · hold (may be empty)
  Returns
    HOLDS  (hold · record)…
    COLD   not loaded
    STALE  not this epoch
]]
local function list_holds(keys, args)
  expect(args, 5)
  local k, said, receipt_ms, limit = names(keys), whole(args[2]), whole(args[3]), whole(args[4])
  local a, refusal = enter(k, args[1], said)
  if not a then return refusal end
  reclaim(k, a, receipt_ms, true)
  flush(k, a)
  local answer = { 'HOLDS' }
  if args[5] ~= '' then
    local text = redis.call('HGET', k.holds, args[5])
    if text then answer[2], answer[3] = args[5], text end
    return answer
  end
  local offset, batch = 0, nil
  repeat
    batch = redis.call('ZRANGE', k.due, offset, offset + BATCH - 1)
    local texts = #batch > 0 and redis.call('HMGET', k.holds, unpack(batch))
    for i, hold in ipairs(batch) do
      if #answer > 2 * limit then return answer end
      if texts[i] and string.sub(texts[i], 1, 1) == 'H' then answer[#answer + 1], answer[#answer + 2] = hold, texts[i] end
    end
    offset = offset + BATCH
  until #batch < BATCH
  return answer
end
