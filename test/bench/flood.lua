-- Requests with tokens that are all different and all bad, beginning with number N.
local token = 0

function init(args)
  token = tonumber(args[1])
end

function request()
  token = token + 1
  return wrk.format("GET", "/play/a001/4KB.ts?token=bad" .. token)
end
