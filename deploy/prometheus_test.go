package deploy_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A Prometheus that scrapes a worker, with the files of the compose file on loopback.
func TestEveryQueryAnswersOfARealWorker(t *testing.T) {
	prometheus := installed(t, "prometheus")
	address := startWorker(t, "127.0.0.1")
	api := prometheusAPI("http://" + freeAddress(t))
	config := adapted(t, "prometheus/prometheus.yml",
		"/etc/prometheus/alerts.yml", absolute(t, alertsFile),
		"worker-1:8080, worker-2:8080", address,
		"_interval: 5s", "_interval: 1s")
	start(t, prometheus, "--config.file="+config, "--storage.tsdb.path="+t.TempDir(), "--web.listen-address="+strings.TrimPrefix(string(api), "http://"))

	var names []string
	eventually(t, func() (err error) { // two scrapes, for the rates
		if n, err := api.ask(`count_over_time(up{job="spillway"}[1m]) >= 3 and up == 1`); err != nil || n != 1 {
			return fmt.Errorf("%d targets were scraped three times: %w", n, err)
		}
		names, err = api.names()
		return err
	})
	for what, query := range queries(t) {
		for _, name := range metricsIn(query) {
			if !slices.Contains(names, name) {
				t.Errorf("%s: no worker has the metric %s", what, name)
			}
		}
		n, err := api.ask(query)
		if err != nil {
			t.Errorf("%s: %s: %v", what, query, err)
		}
		// What compares is empty when all is well; anything else has an answer.
		if n == 0 && !strings.ContainsAny(query, "<>") && !strings.Contains(query, "==") {
			t.Errorf("%s: %s: is empty", what, query)
		}
	}
	eventually(t, func() error { return api.rulesAreEvaluated(len(alerts(t))) })
}

// queries returns those of the alerts and of the dashboard, by where they are.
func queries(t *testing.T) map[string]string {
	t.Helper()
	variables := strings.NewReplacer("$stream", ".*", "$durable", ".*", "$instance", ".*", "$__rate_interval", "1m")
	all := map[string]string{"KEDA": manifests(t)["ScaledObject"].text("spec", "triggers", 0, "metadata", "query")}
	for _, a := range alerts(t) {
		all["alert "+a.Alert] = a.Expr
	}
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			all["panel "+p.Title+", "+target.RefID] = variables.Replace(target.Expr)
		}
	}
	return all
}

// metricsIn returns the metrics of a query: its words that look like one of ours, of Go's
// or of the process.
func metricsIn(query string) []string {
	return regexp.MustCompile(`\b(?:spillway|go|process)_\w+|\bup\b`).FindAllString(query, -1)
}

// prometheusAPI is the HTTP API of a Prometheus.
type prometheusAPI string

func (p prometheusAPI) get(path string, parameters url.Values, data any) error {
	resp, err := http.Get(string(p) + path + "?" + parameters.Encode())
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer := struct {
		Status   string   `json:"status"`
		Error    string   `json:"error"`
		Warnings []string `json:"warnings"`
		Infos    []string `json:"infos"`
		Data     any      `json:"data"`
	}{Data: data}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" || len(answer.Warnings)+len(answer.Infos) > 0 {
		return fmt.Errorf("%s %s %q %q", answer.Status, answer.Error, answer.Warnings, answer.Infos)
	}
	return nil
}

// ask returns how many series a query has.
func (p prometheusAPI) ask(query string) (int, error) {
	var data struct {
		Result []any `json:"result"`
	}
	err := p.get("/api/v1/query", url.Values{"query": {query}}, &data)
	return len(data.Result), err
}

// names returns all metrics.
func (p prometheusAPI) names() (names []string, err error) {
	return names, p.get("/api/v1/label/__name__/values", nil, &names)
}

func (p prometheusAPI) rulesAreEvaluated(want int) error {
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := p.get("/api/v1/rules", nil, &data); err != nil {
		return err
	}
	good := 0
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			if r.Health == "ok" {
				good++
			} else if r.LastError != "" {
				return fmt.Errorf("%s: %s", r.Name, r.LastError)
			}
		}
	}
	if good != want {
		return fmt.Errorf("%d of %d rules were evaluated", good, want)
	}
	return nil
}
