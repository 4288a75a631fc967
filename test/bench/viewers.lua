-- Requests of N viewers in no order, as nginx tells the service of them; one in a hundred is a new viewer's.
local viewers, fresh = 0, 0

function init(args)
  viewers = tonumber(args[1])
  fresh = viewers
end

function request()
  local viewer = math.random(0, viewers - 1)
  if math.random(100) == 1 then
    viewer = fresh
    fresh = fresh + 1
  end
  local address = string.format("10.%d.%d.%d", math.floor(viewer / 65536) % 256, math.floor(viewer / 256) % 256, viewer % 256)
  return wrk.format("GET", "/auth", {
    ["X-Original-URI"] = string.format("/play/a%03d/low/%d.ts?token=good%d", viewer % 500, math.random(9), viewer),
    ["X-Real-Host"] = "live.example.com",
    ["X-Real-IP"] = address,
    ["X-Real-UA"] = "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36",
  })
end
