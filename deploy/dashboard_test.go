package deploy_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

const dashboardFile = "grafana/dashboards/spillway.json"

// panel is a part of the dashboard.
type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Datasource  struct {
		UID string `json:"uid"`
	} `json:"datasource"`
	GridPos     struct{ X, Y, W, H int } `json:"gridPos"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Targets []struct {
		RefID string `json:"refId"`
		Expr  string `json:"expr"`
	} `json:"targets"`
}

func panels(t *testing.T) []panel {
	t.Helper()
	var dashboard struct {
		UID    string  `json:"uid"`
		Title  string  `json:"title"`
		Panels []panel `json:"panels"`
	}
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &dashboard); err != nil {
		t.Fatal(err)
	}
	if dashboard.UID == "" || len(dashboard.Panels) == 0 {
		t.Fatal("the dashboard has no uid, or no panels")
	}
	return dashboard.Panels
}

func TestThePanelsSayWhatTheyShow(t *testing.T) {
	kinds := []string{"stat", "timeseries", "state-timeline", "table"} // none of those that Grafana has given up
	ids := make(map[int]string)
	for _, p := range panels(t) {
		if other, ok := ids[p.ID]; ok {
			t.Errorf("%s and %s have the id %d", p.Title, other, p.ID)
		}
		ids[p.ID] = p.Title
		if p.Type == "row" {
			continue
		}
		if !slices.Contains(kinds, p.Type) {
			t.Errorf("%s is a %s, must be one of %q", p.Title, p.Type, kinds)
		}
		if p.Description == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("%s has no description, no query or another datasource than the variable", p.Title)
		}
		if p.FieldConfig.Defaults.Unit == "" && (p.Type == "stat" || p.Type == "timeseries") {
			t.Errorf("%s has no unit", p.Title)
		}
	}
}

func TestThePanelsDoNotOverlap(t *testing.T) {
	all := panels(t)
	for i, a := range all {
		if a.GridPos.W == 0 || a.GridPos.H == 0 || a.GridPos.X+a.GridPos.W > 24 {
			t.Errorf("%s is %+v, must have a size and be within 24 columns", a.Title, a.GridPos)
		}
		for _, b := range all[i+1:] {
			p, q := a.GridPos, b.GridPos
			if p.X < q.X+q.W && q.X < p.X+p.W && p.Y < q.Y+q.H && q.Y < p.Y+p.H {
				t.Errorf("%s and %s overlap", a.Title, b.Title)
			}
		}
	}
}

func TestTheDashboardIsProvisioned(t *testing.T) {
	var sources struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []struct {
			Name      string         `yaml:"name"`
			UID       string         `yaml:"uid"`
			Type      string         `yaml:"type"`
			Access    string         `yaml:"access"`
			URL       string         `yaml:"url"`
			IsDefault bool           `yaml:"isDefault"`
			Editable  bool           `yaml:"editable"`
			JSONData  map[string]any `yaml:"jsonData"`
		} `yaml:"datasources"`
	}
	decode(t, "grafana/provisioning/datasources/prometheus.yml", &sources)
	if len(sources.Datasources) != 1 || sources.Datasources[0].URL != "http://prometheus:9090" || !sources.Datasources[0].IsDefault {
		t.Errorf("datasources %+v", sources.Datasources)
	}
	var providers struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name           string            `yaml:"name"`
			Type           string            `yaml:"type"`
			AllowUIUpdates bool              `yaml:"allowUiUpdates"`
			Options        map[string]string `yaml:"options"`
		} `yaml:"providers"`
	}
	decode(t, "grafana/provisioning/dashboards/spillway.yml", &providers)
	grafana := readCompose(t).Services["grafana"]
	for _, p := range providers.Providers {
		if !slices.ContainsFunc(grafana.Volumes, func(v string) bool { return strings.Contains(v, ":"+p.Options["path"]+":") }) {
			t.Errorf("the provider %s reads %s, where the compose file mounts nothing", p.Name, p.Options["path"])
		}
	}
	home := grafana.Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
	if !strings.HasSuffix(dashboardFile, strings.TrimPrefix(home, "/var/lib/grafana/")) || home == "" {
		t.Errorf("the home dashboard is %q, which is not %s", home, dashboardFile)
	}
}
