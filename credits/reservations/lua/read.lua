--[[
  What an account has, exact to this instant: overdue holds freed, lapsed credits left out.
  KEYS  shard · account · lots · holds · due       ARGV  epoch · caller ms · receipt ms · type…
  Returns
    READ   (type · available · held · unsettled · debt · lapsed)…
    COLD   not loaded
    STALE  not this epoch
]]
local function read(keys, args)
  local k = names(keys)
  local a, refusal = enter(k, args[1], args[2])
  if not a then return refusal end
  reclaim(k, a, nil, tonumber(args[3]))
  local answer = { 'READ' }
  for i = 4, #args do
    local c = kind(k, a, args[i])
    for _, word in ipairs({ args[i], I(available(c)), I(c.hd), I(c.us), I(c.dt), I(c.lp) }) do answer[#answer + 1] = word end
  end
  save(k, a)
  return answer
end
