#!/usr/bin/env bash
# Holds what an operator gets in monitoring/ against Prometheus itself: the rules and their tests, the configuration,
# each query of the dashboard. Given what the service exports (a file, or - for standard input), also whether every
# metric that is named is among it, whether its form is good, and whether each query of the dashboard finds something.
# Prints one line for each check and ends at the first that fails. Needs promtool (Debian's package prometheus) and jq.
#
#   curl -s http://127.0.0.1:9090/metrics | test/monitoring/check.sh -
set -euo pipefail
cd "$(dirname "$0")/../.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp monitoring/* "$scratch"
if (($#)); then cat "$1" >"$scratch/metrics.txt"; fi
cd "$scratch"

# A command, quiet unless it fails.
check() {
  local what=$1
  shift
  "$@" >output 2>&1 || { cat output >&2; echo "FAILED  $what" >&2; exit 1; }
  echo "ok      $what"
}

# The dashboard's queries as recording rules, each named by its panel, with what Grafana would put in place.
jq '
  def name: gsub("[^A-Za-z0-9]+"; "_");
  [.panels[] as $p | $p.targets[] | { record: "panel:\($p.title | name):\($p.id)\(.refId)", expr }]
  + [.annotations.list[] | select(.expr) | { record: "annotation:\(.name | name)", expr }]
  | map(.expr |= (gsub("\\$__rate_interval|\\$__range"; "5m") | gsub("\\$(job|instance)"; ".*")))
  | { groups: [{ name: "dashboard", rules: . }] }' grafana-dashboard.json >dashboard-rules.json

touch hls-auth.token
check 'the alerts are good rules' promtool check rules alerts.yml
check 'each fires when it should, and only then' promtool test rules alerts.test.yml
check 'the configuration is one' promtool check config prometheus.yml
check "the dashboard's queries are such" promtool check rules dashboard-rules.json
[[ -f metrics.txt ]] || { echo 'monitoring: no metrics were given to compare with'; exit 0; }

# Prometheus's own lint, for the service's metrics; those of prom-client itself are as they are.
grep -E '^(# (HELP|TYPE) )?hls_auth_' metrics.txt >own.txt
check "the service's metrics are of good form" promtool check metrics <own.txt

# TYPE lines are there before there is a value; a histogram has three names.
awk '/^# TYPE/ { print $3; if ($4 == "histogram") { print $3 "_bucket"; print $3 "_sum"; print $3 "_count" } }' \
  metrics.txt | sort -u >exported.txt
cat alerts.yml grafana-dashboard.json | grep -oE '\b(hls_auth|nodejs|process)_[a-z0-9_]+' | sort -u >named.txt
comm -23 named.txt exported.txt >missing.txt
check 'what rules and dashboard name is exported' diff missing.txt /dev/null

# A query that groups by a label that is not there finds something too, so these are looked up; Prometheus adds two.
{ echo instance; echo job; grep -v '^#' metrics.txt | grep -oE '[a-z_]+="' | tr -d '="'; } | sort -u >labels.txt
cat alerts.yml grafana-dashboard.json | grep -oE 'by \([^)]+\)' | grep -oE '[a-z_]+' | grep -vx by | sort -u >grouped.txt
comm -23 grouped.txt labels.txt >missing.txt
check 'so is every label that they group by' diff missing.txt /dev/null

# Every series that was seen, growing by one each minute: enough for each query to find something, if its labels are
# those of the service.
jq -n --rawfile metrics metrics.txt --slurpfile rules dashboard-rules.json '
  [$metrics | splits("\n") | select(test("^[a-zA-Z_:]")) | sub("\\s+\\S+\\s*$"; "")] as $series
  | { rule_files: ["dashboard-rules.json"], evaluation_interval: "1m", tests: [{
        interval: "1m",
        input_series: $series | map({ series: ., values: "1+1x20" }),
        promql_expr_test: $rules[0].groups[0].rules | map({
          expr: "count(\(.record)) > bool 0", eval_time: "15m", exp_samples: [{ labels: "{}", value: 1 }] }) }] }' \
  >dashboard.test.json
check 'each query of the dashboard finds something' promtool test rules dashboard.test.json
