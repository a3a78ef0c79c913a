local function in_force(claim, found)
  if claim.trickles and not claim.limit then return nil end
  local ours = not (claim.until_points and found.reported == '1') and claim.limit or nil
  return tonumber(found.limit) or ours
end

local function refill(claim, key)
  local state, found = read(key)
  local new = {
    charged = state.charged, returned = state.returned, ends = state.ends,
    trickled = state.trickled, shut = state.shut, newest = state.newest, reported = state.reported,
    dawn = state.dawn,
  }
  if wall >= new.ends or new.ends - wall > 2 * DAY then
    local today = (wall - claim.offset) % DAY
    new.ends = wall - today + DAY
    if new.ends > state.filled or now - state.filled_at >= DAY then
      new.filled, new.returned, new.dawn, new.shut = new.ends, new.charged, new.charged, 0
      -- Whoever brings the day's first request asked for it up to an answer's time ago.
      new.filled_at = now - math.min(wall - (new.ends - DAY), ANSWER)
      if not claim.trickles then
        redis.call('HDEL', key, 'limit')
        found.limit = nil
      end
    end
  end
  local limit = in_force(claim, found)
  if claim.trickles and limit then
    local minutes = math.floor((now - new.trickled) / MINUTE)
    if new.returned >= new.charged then
      new.trickled = now
    elseif minutes > 0 then
      new.returned = math.min(new.charged, new.returned + limit * minutes)
      new.trickled = new.trickled + minutes * MINUTE
    end
  end
  local hour = math.floor(wall / (60 * MINUTE))
  if hour > state.hour then
    redis.call('RPUSH', key .. ':hours', text(hour) .. ' ' .. text(new.charged))
    redis.call('LTRIM', key .. ':hours', -25, -1)
    redis.call('EXPIRE', key .. ':hours', KEPT)
    new.hour = hour
  end
  return new, limit
end

function Budget.take(claim, key)
  local state, limit = refill(claim, key)
  local missing = limit and state.charged - state.returned + (claim.cost + claim.keep - limit) * GRAIN or 0
  local today = state.charged - state.dawn
  local over = claim.cap and today + (claim.cost + claim.cap_keep - claim.cap) * GRAIN > 0
  if now < state.shut or missing > 0 or over then
    write(key, state)
    local midnight, resets = now + state.ends - wall, state.shut
    if over then
      return { 'exhausted', text(midnight - now), claim.key, text(math.floor(today / GRAIN)), text(claim.cap), 'user' }
    end
    if missing > 0 then
      local trickle = claim.trickles and claim.cost + claim.keep <= limit
      resets = math.max(resets, trickle and state.trickled + ceil_div(missing, limit) * MINUTE or midnight)
    end
    local used = ceil_div(state.charged - state.returned, GRAIN)
    local source = (now < state.shut or state.reported == 1 or redis.call('HEXISTS', key, 'limit') == 1) and 'server'
    resets = text(math.min(resets, midnight) - now)
    return { 'exhausted', resets, claim.key, text(used), text(limit or 0), source or 'local' }
  end
  state.charged = state.charged + claim.cost * GRAIN
  write(key, state)
end

-- In the same breath: reports and hours go by what was ever charged.
function Budget.undo(claim, key) redis.call('HINCRBY', key, 'charged', -claim.cost * GRAIN) end

function Budget.give_back(claim, key, job)
  local state = read(key)
  if now - job.ago < state.filled_at then return end
  local back = { dawn = math.min(state.charged, state.dawn + claim.cost * GRAIN) }
  if claim.scope ~= 'points' or job.charged > state.newest then
    back.returned = math.min(state.charged, state.returned + claim.cost * GRAIN)
  end
  write(key, back)
end

local function reconcile(claim, key, total, remaining, charged)
  local state, limit = refill(claim, key)
  if total and claim.limit then state.limit, limit = total, total end
  limit = total or limit
  if remaining and limit and charged >= state.newest then
    state.newest, state.reported, state.trickled = charged, 1, now
    state.returned = charged - math.max(0, limit - remaining) * GRAIN
  end
  write(key, state)
end

local function exhaust(claim, key, job)
  local state, limit = refill(claim, key)
  local size, left = job.refusal.limit or limit, job.refusal.remaining or 0
  local spent = state.charged - state.returned
  if wall - (state.ends - DAY) < MIDNIGHT_DOUBT and (not size or spent * 2 < size * GRAIN) then
    state.shut = now + MINUTE
  elseif not size then
    state.shut = now + (claim.trickles and MINUTE or state.ends - wall)
  elseif claim.trickles then
    return reconcile(claim, key, size, left, job.charged)
  else
    state.limit = size
    state.returned = math.min(state.returned, state.charged - (size - left) * GRAIN)
  end
  write(key, state)
end

function Budget.settle(claim, key, job)
  if job.points and claim.scope == 'points' then
    reconcile(claim, key, job.points.total, job.points.remaining, job.charged)
  elseif job.points and job.points.total and claim.scope == 'calls' then
    write(key, { reported = 1 })
  end
  if job.refusal and SCOPES[job.refusal.kind] == claim.scope then exhaust(claim, key, job) end
end
