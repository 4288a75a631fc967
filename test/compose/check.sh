#!/usr/bin/env bash
# Brings docker-compose.yml up under a name of its own and looks from outside at what it promises: first the demo in
# two dialects, then an operator's middleware and media. Prints one line for each check and ends at the first that
# fails. Leaves nothing behind but the build cache. Needs Docker with compose 2.
set -euo pipefail
cd "$(dirname "$0")/../.."

project=nginx-hls-auth-check-$$
scratch=$(mktemp -d)
settings=(BACKEND_TYPE BACKEND_URL BACKEND_TIMEOUT BACKEND_SLOW BACKEND_CONNECTIONS WHEN_BACKEND_DOWN CHANNEL_PATTERN
  CREDENTIAL_PARAMS TOKENLESS_REQUESTS SESSION_IDLE SESSION_RECHECK DENY_TTL EDGE_TTL
  MAX_SESSIONS MAX_DENIALS EVENTS_URL EVENTS_MIN_DURATION LOG_LEVEL ADMIN_PORT ADMIN_TOKEN
  DEMO_BACKEND MEDIA_DIR)

# Neither a .env in this checkout nor the caller's shell decides what is tested.
unset "${settings[@]}"
compose() { docker compose --project-name "$project" --env-file /dev/null "$@"; }

# A command, quiet unless it fails.
quietly() { "$@" >"$scratch/output" 2>&1 || { cat "$scratch/output" >&2; return 1; }; }

clean_up() {
  local code=$?
  trap - EXIT
  if ((code)) && [[ -n ${is_up-} ]]; then compose logs --tail 20 >&2 || true; fi
  docker rm --force "$project-middleware" >/dev/null 2>&1 || true
  quietly compose down --volumes --remove-orphans --rmi local --timeout 5 || true
  rm -rf "$scratch"
  exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# What it should be, what it is.
check() {
  if [[ $2 != "$3" ]]; then
    echo "FAILED  $1: expected '$2', got '$3'" >&2
    exit 1
  fi
  echo "ok      $1"
}

# Asks until the answer is as expected, for at most 60 s; the last answer goes on to check.
check_soon() {
  local what=$1 expected=$2 deadline=$((SECONDS + 60)) got=
  shift 2
  until got=$("$@" 2>/dev/null || true) && [[ $got == "$expected" ]] || ((SECONDS >= deadline)); do sleep 0.2; done
  check "$what" "$expected" "$got"
}

status() { curl --silent --max-time 5 --output /dev/null --write-out '%{http_code}' "$1"; }
state() { docker inspect --format "$2" "$(compose ps --all --quiet "$1")"; }
# Not `compose logs`, some versions of which put control bytes before each line.
logs() { docker logs "$(compose ps --all --quiet "$1")" 2>/dev/null; }
line() { logs demo | sed -n "s/^$1:\{0,1\} //p" | tail -n 1; }

# The line that the demo printed, run as it stands.
printed() { bash -c "$(line "$1")"; }

free_port() {
  local port
  while port=$((20000 + RANDOM % 12000)); do
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}

docker compose version >/dev/null 2>&1 || { echo 'compose/check.sh needs Docker with compose 2.' >&2; exit 1; }
DEMO_PORT=$(free_port)
export DEMO_PORT
site=http://127.0.0.1:$DEMO_PORT
is_up=yes

quietly compose build
echo "ok      the images are built ($SECONDS s)"

for dialect in http ministra; do
  export DEMO_BACKEND=$dialect
  quietly compose up --detach --wait --wait-timeout 60
  check_soon "$dialect: the demo says where" "$site/" line ready
  check_soon "$dialect: nginx answers" 200 status "$site/"
  check "$dialect: the allowed command" 200 "$(printed allowed)"
  check "$dialect: the denied command" 403 "$(printed denied)"
  check "$dialect: the page speaks this dialect" 1 "$(curl -s "$site/demo/info" | grep -c "\"$dialect\"")"
done

check 'the page has the player' 200 "$(status "$site/hls.min.js")"
before=$(curl -s "$site/play/live/index.m3u8?token=$(curl -s "$site/demo/token")" | grep MEDIA-SEQUENCE)
moves() { curl -s "$site/play/live/index.m3u8?token=$(curl -s "$site/demo/token")" | grep -v "$before" | grep -c SEQUENCE:; }
check_soon 'live moves' 2 moves

check 'hls-auth: healthy' healthy "$(state hls-auth '{{.State.Health.Status}}')"
for service in hls-auth nginx demo; do
  id=$(compose exec -T "$service" id -u)
  check "$service: not root (user $id)" yes "$([[ $id =~ ^[1-9][0-9]*$ ]] && echo yes)"
  refusal=$(compose exec -T "$service" touch /tmp/probe 2>&1 || true)
  check "$service: read-only root" yes "$([[ $refusal == *'Read-only file system'* ]] && echo yes)"
  check "$service: no capabilities, and none to gain" '0000000000000000 1' \
    "$(compose exec -T "$service" awk '/^CapBnd|^NoNewPrivs/ { printf "%s%s", gap, $2; gap = " " }' /proc/1/status)"
done
check 'hls-auth: no port on this machine' '{}' "$(state hls-auth '{{json .HostConfig.PortBindings}}')"
check 'demo: no port on this machine' '{}' "$(state demo '{{json .HostConfig.PortBindings}}')"
check 'nginx: one port on this machine, by IPv4' "0.0.0.0:$DEMO_PORT" \
  "$(state nginx '{{range .HostConfig.PortBindings}}{{range .}}{{.HostIp}}:{{.HostPort}}{{end}}{{end}}')"
check 'nginx: not by IPv6' 000 "$(status "http://[::1]:$DEMO_PORT/")"
sessions() {
  compose exec -T hls-auth node -e 'fetch("http://127.0.0.1:9090/sessions", { headers: { Authorization: "Bearer " + process.env.ADMIN_TOKEN } })
    .then((reply) => reply.json()).then(({ total }) => console.log(total > 0 ? "some" : "none"))'
}
check 'the operator sees who watches, from within' some "$(sessions)"
check 'the question cannot be asked from outside' 404 "$(status "$site/_hls_auth")"

# An operator's: a middleware that knows another token, and a folder with another channel.
unset DEMO_BACKEND
mkdir -p "$scratch/media/news"
printf '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-ENDLIST\n' >"$scratch/media/news/index.m3u8"
chmod -R a+rX "$scratch"
docker run --detach --name "$project-middleware" --network "${project}_default" --network-alias middleware \
  --user node node:24-slim node -e '
    require("node:http").createServer((request, response) => {
      const isAllowed = request.url === "/ask?token=operator" && request.headers["x-channel-id"] === "news"
      response.writeHead(isAllowed ? 200 : 403, isAllowed ? { "X-Session-Name": "operators-viewer" } : {}).end()
    }).listen(9000)' >/dev/null
export BACKEND_TYPE=http BACKEND_URL=http://middleware:9000/ask MEDIA_DIR=$scratch/media
export ADMIN_TOKEN=operators-own-token-of-the-check
# Not with --wait, which takes the demo's end for a failure.
quietly compose up --detach
check_soon 'operator: nginx serves the folder' 200 status "$site/play/news/index.m3u8?token=operator"
check 'operator: a wrong token' 403 "$(status "$site/play/news/index.m3u8?token=demo")"
named() { [[ $(logs nginx) == *'session="operators-viewer"'* ]] && echo yes; }
check_soon "operator: the middleware's name in nginx's log" yes named
from_nginx() { compose exec -T nginx curl -s -o /dev/null -w '%{http_code}' "$@" http://hls-auth:9090/status; }
check 'operator: the sessions page wants its token' 401 "$(from_nginx)"
check 'operator: and opens with it' 200 "$(from_nginx -u "any:$ADMIN_TOKEN")"
verdict() { compose exec -T hls-auth node dist/service/check/main.js "$1" >/dev/null && echo 0 || echo $?; }
check 'operator: a check of a good token, and of a bad one' '0 1' \
  "$(verdict 'http://x/play/news/index.m3u8?token=operator') $(verdict 'http://x/play/news/index.m3u8?token=bad')"
check 'operator: no page of the demo' 404 "$(status "$site/")"
check_soon 'operator: the demo has ended' 'exited 0' state demo '{{.State.Status}} {{.State.ExitCode}}'
check 'operator: and says why' 'BACKEND_URL is set: the demo is not needed.' \
  "$(logs demo | tail -n 1)"

for service in hls-auth nginx; do
  quietly compose restart "$service"
  # While the service is away viewers are let in, so only a refusal shows that it is asked again.
  check_soon "after a restart of $service: a wrong token" 403 status "$site/play/news/index.m3u8?token=wrong"
  check "after a restart of $service: the right one" 200 "$(status "$site/play/news/index.m3u8?token=operator")"
done

# A stopped container does not answer, not even that nothing listens.
playlist=$site/play/news/index.m3u8
for time in 1 2 3; do
  check "hls-auth runs: the right token, $time" 200 "$(status "$playlist?token=operator")"
done
quietly compose stop hls-auth
check 'hls-auth is stopped: the right token' 200 "$(status "$playlist?token=operator")"
check 'hls-auth is stopped: a new one' 403 "$(status "$playlist?token=new")"
quietly compose restart nginx
check_soon 'hls-auth is stopped: nginx starts' 404 status "$site/"
quietly compose start hls-auth
before=$SECONDS
check_soon 'hls-auth runs again: the right token' 200 status "$playlist?token=operator"
check_soon 'hls-auth runs again: a wrong one is asked about' 403 status "$playlist?token=newer"
check 'and that was soon' yes "$( ((SECONDS - before < 8)) && echo yes)"

quietly compose stop --timeout 10
check 'hls-auth: ends with 0' 0 "$(state hls-auth '{{.State.ExitCode}}')"
check 'nginx: ends with 0' 0 "$(state nginx '{{.State.ExitCode}}')"
echo "compose: all as it should be ($SECONDS s)"
