--[[
  Apply one credit that SQL has committed: exactly once, in the order of its number.
  KEYS  shard · account · lots · holds · due · journal · token
  ARGV  epoch · caller ms · sv · type · amount kept · debt repaid · sort key
  Returns
    APPLIED  now
    DUP      before; nothing changed
    GAP      an earlier credit is missing: apply that first
    COLD     not loaded; a load under way will begin again and see it
    STALE    not this epoch
]]
local function apply(keys, args)
  local k = names(keys)
  local a, refusal = enter(k, args[1], args[2])
  if not a then
    if refusal[1] == 'COLD' then redis.call('DEL', k.token) end
    return refusal
  end
  local sv = tonumber(args[3])
  if sv <= a.sv then return leave(k, a, 'DUP') end
  if sv > a.sv + 1 then return leave(k, a, 'GAP') end
  local kept, repaid = tonumber(args[5]), tonumber(args[6])
  local c = kind(k, a, args[4])
  c.dt = c.dt - repaid
  c.av = c.av + kept
  put_lot(k, a, args[4], lot_of(args[7]), 0, kept, args[7])
  touch(a, 'sv', I(sv))
  -- A credit may come after its own expiry.
  lapse(k, a, a.sure)
  return leave(k, a, 'APPLIED')
end
