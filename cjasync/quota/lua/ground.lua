-- The arithmetic of bucket.py and ledger.py, where the buckets are: one call books or settles everything, or nothing.
-- One script in five files, which redis.py joins: ground, rate, budget, seats, work.
-- Times are whole microseconds. KEYS[1]: what all keys begin with. ARGV: the work in JSON, and a clock (0: the server's).
local root, work, given = KEYS[1], cjson.decode(ARGV[1]), tonumber(ARGV[2])
local SECOND, MINUTE, DAY = 1e6, 6e7, 8.64e10
local GRAIN, POLL, GRACE, YIELD, LONGER = 1440, 5000, 20000, 5000, 2e6
local KEPT = 259200 -- seconds that a bucket nobody asks for is remembered
local MIDNIGHT_DOUBT = 15 * MINUTE
local ANSWER = 5 * SECOND -- as long as an answer is waited for
local EPOCH, ENOUGH, WIDE, NARROW, LEAST_SPREAD = 4096, 16, 30, 3, 20
local FIRST_MARGIN, LARGEST_MARGIN, FADE = 1e4, 5e5, 256
local SCOPES = { daily = 'calls', points = 'points', sourcing = 'sourcing' }

local function text(n) return string.format('%.0f', n) end
local function ceil_div(a, b) return math.ceil(a / b) end

local function read(key)
  local flat, found = redis.call('HGETALL', key), {}
  for n = 1, #flat, 2 do found[flat[n]] = flat[n + 1] end
  return setmetatable({}, { __index = function(_, field) return tonumber(found[field]) or 0 end }), found
end

local function write(key, fields)
  local flat = {}
  for field, value in pairs(fields) do
    flat[#flat + 1] = field
    flat[#flat + 1] = type(value) == 'number' and text(value) or value
  end
  redis.call('HSET', key, unpack(flat))
  redis.call('EXPIRE', key, KEPT)
end

-- A clock that never runs backwards, although the server's may be set back; and the name of what is kept here.
local function clock()
  local wall = given
  if wall == 0 then
    local time = redis.call('TIME')
    wall = tonumber(time[1]) * SECOND + tonumber(time[2])
  end
  local known, found = read(root .. 'clock')
  local ahead = math.max(known.ahead, known.last - wall)
  redis.call('HSET', root .. 'clock', 'ahead', text(ahead), 'last', text(wall + ahead))
  if work.greeting then redis.call('HSETNX', root .. 'clock', 'era', work.greeting) end
  return wall + ahead, wall, found.era or work.greeting
end

local now, wall, era = clock()
if work.greeting then return { 'now', text(now), era } end
if work.era ~= era then return { 'lost' } end

local Rate, Budget, Seats = {}, {}, {}
