--[[
  Open holds of an account, the soonest due first; or one hold by its id, receipts included.
  KEYS  shard · account · lots · holds · due       ARGV  epoch · caller ms · receipt ms · limit · hold (may be empty)
                                                         [· due · hold: only what comes after this one]
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
  local from, last, offset, batch = '-inf', '', 0, nil
  if args[6] and args[6] ~= '' then from, last = I(whole(args[6])), args[7] or '' end
  repeat
    batch = redis.call('ZRANGEBYSCORE', k.due, from, '+inf', 'LIMIT', offset, BATCH)
    local texts = #batch > 0 and redis.call('HMGET', k.holds, unpack(batch))
    for i, hold in ipairs(batch) do
      if #answer > 2 * limit then return answer end
      local text = texts[i]
      -- Holds due in the same millisecond are in the order of their names.
      local is_before = last ~= '' and text and hold <= last and string.match(text, '^.|(%d+)') == from
      if text and string.sub(text, 1, 1) == 'H' and not is_before then
        answer[#answer + 1], answer[#answer + 2] = hold, text
      end
    end
    offset = offset + BATCH
  until #batch < BATCH
  return answer
end
