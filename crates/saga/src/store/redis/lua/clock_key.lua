-- Microseconds since 1970, as a test has set them.
local function clock(prefix)
  return tonumber(redis.call('GET', prefix .. 'clock') or '0')
end
