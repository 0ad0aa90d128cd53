--[[
  What an account has, exact to this instant: overdue holds freed, lapsed credits left out.
  KEYS  shard · account · lots · holds · due       ARGV  epoch · caller ms · receipt ms · type…
  Returns
    READ   (type · available · held · unsettled · debt · lapsed)…
    COLD   not loaded
    STALE  not this epoch
]]
local function read(keys, args)
  expect(args, 3)
  local k, said, receipt_ms = names(keys), whole(args[2]), whole(args[3])
  local a, refusal = enter(k, args[1], said)
  if not a then return refusal end
  reclaim(k, a, receipt_ms, true)
  local answer = { 'READ' }
  for i = 4, #args do
    local c, n = kind(k, a, args[i]), #answer
    answer[n + 1], answer[n + 2], answer[n + 3] = args[i], I(reservable(k, a, args[i])), I(c.hd)
    answer[n + 4], answer[n + 5], answer[n + 6] = I(c.us), I(c.dt), I(c.lp)
  end
  flush(k, a)
  return answer
end
