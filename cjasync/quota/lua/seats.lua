function Seats.take(claim, key, token)
  local seen = tonumber(redis.call('ZSCORE', key, claim.account))
  if not seen and redis.call('ZCARD', key) >= claim.limit then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', text(now - claim.stay))
    local taken = redis.call('ZCARD', key)
    if taken >= claim.limit then
      local first = tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
      return { 'exhausted', text(first + claim.stay - now), claim.key, text(taken), text(claim.limit), 'local' }
    end
  end
  if not seen then
    redis.call('HSET', key .. ':new', claim.account, token)
    redis.call('EXPIRE', key .. ':new', KEPT)
  end
  if not seen or now - seen >= 10 * MINUTE then
    redis.call('ZADD', key, text(now), claim.account)
    redis.call('EXPIRE', key, KEPT)
  end
end

local function turn_away(claim, key)
  if redis.call('HDEL', key .. ':new', claim.account) == 1 then redis.call('ZREM', key, claim.account) end
end

function Seats.undo(claim, key, token)
  if redis.call('HGET', key .. ':new', claim.account) == token then turn_away(claim, key) end
end

function Seats.give_back(claim, key, job) Seats.undo(claim, key, job.token) end

function Seats.settle(claim, key, job)
  if not job.refusal then
    redis.call('HDEL', key .. ':new', claim.account)
    redis.call('ZADD', key, 'NX', text(now), claim.account)
  elseif job.refusal.kind == 'account' then
    turn_away(claim, key)
  end
end
