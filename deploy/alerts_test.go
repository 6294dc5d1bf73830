package deploy_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	alertsFile     = "prometheus/alerts.yml"
	alertsTestFile = "prometheus/alerts_test.yml"
	runbook        = "https://github.com/spillwaymq/spillway/blob/main/docs/operations.md#"
)

// alert is a rule of alerts.yml.
type alert struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func alerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string  `yaml:"name"`
			Rules []alert `yaml:"rules"`
		} `yaml:"groups"`
	}
	decode(t, alertsFile, &file)
	var all []alert
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("no alerts")
	}
	return all
}

func TestPrometheusTakesTheConfigAndTheAlerts(t *testing.T) {
	promtool := installed(t, "promtool")
	config := adapted(t, "prometheus/prometheus.yml", "/etc/prometheus/alerts.yml", absolute(t, alertsFile))
	for _, args := range [][]string{{"check", "config", config}, {"check", "rules", alertsFile}, {"test", "rules", alertsTestFile}} {
		if code, out := run(t, promtool, args...); code != 0 {
			t.Errorf("promtool %q: exit %d\n%s", args, code, out)
		}
	}
}

// An alert is proven by a time at which it fires and one at which it does not.
func TestEachAlertIsProven(t *testing.T) {
	var file struct {
		RuleFiles []string `yaml:"rule_files"`
		Interval  string   `yaml:"evaluation_interval"`
		Tests     []struct {
			Name     string              `yaml:"name"`
			Interval string              `yaml:"interval"`
			Series   []map[string]string `yaml:"input_series"`
			Alerts   []struct {
				Name string `yaml:"alertname"`
				At   string `yaml:"eval_time"`
				Fire []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		} `yaml:"tests"`
	}
	decode(t, alertsTestFile, &file)
	fires, silent := make(map[string]bool), make(map[string]bool)
	for _, test := range file.Tests {
		for _, a := range test.Alerts {
			fires[a.Name] = fires[a.Name] || len(a.Fire) > 0
			silent[a.Name] = silent[a.Name] || len(a.Fire) == 0
		}
	}
	for _, a := range alerts(t) {
		if !fires[a.Alert] || !silent[a.Alert] {
			t.Errorf("%s has no test in which it fires (%t), or none in which it does not (%t)", a.Alert, fires[a.Alert], silent[a.Alert])
		}
	}
}

func TestEachAlertSaysWhatToDo(t *testing.T) {
	headings := regexp.MustCompile(`(?m)^### (Spillway\w+)$`).FindAllStringSubmatch(read(t, "../docs/operations.md"), -1)
	var described []string
	for _, h := range headings {
		described = append(described, h[1])
	}
	var names []string
	for _, a := range alerts(t) {
		names = append(names, a.Alert)
		if !slices.Contains(described, a.Alert) {
			t.Errorf("docs/operations.md has no heading ### %s", a.Alert)
		}
		if want := runbook + strings.ToLower(a.Alert); a.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url is %q, must be %q", a.Alert, a.Annotations["runbook_url"], want)
		}
		if s := a.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: severity is %q, must be critical or warning", a.Alert, s)
		}
		if a.Annotations["summary"] == "" || a.Annotations["description"] == "" {
			t.Errorf("%s has no summary or no description", a.Alert)
		}
	}
	for _, name := range described {
		if !slices.Contains(names, name) {
			t.Errorf("docs/operations.md describes %s, which is no alert", name)
		}
	}
}
