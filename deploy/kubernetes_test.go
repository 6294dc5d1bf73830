package deploy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// object is a manifest of Kubernetes, as a tree.
type object map[string]any

// at returns what is at a path of keys and indices.
func at(v any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			list, _ := v.([]any)
			if step >= len(list) {
				return nil
			}
			v = list[step]
		}
	}
	return v
}

func (o object) at(path ...any) any { return at(map[string]any(o), path...) }

// text is at, as text: "" where there is nothing.
func (o object) text(path ...any) string {
	if v := o.at(path...); v != nil {
		return fmt.Sprint(v)
	}
	return ""
}

// manifests returns the objects of the kustomization, by their kinds: there is one of each.
func manifests(t *testing.T) map[string]object {
	t.Helper()
	var k struct {
		APIVersion string   `yaml:"apiVersion"`
		Kind       string   `yaml:"kind"`
		Resources  []string `yaml:"resources"`
	}
	decode(t, "kubernetes/kustomization.yaml", &k)
	all := make(map[string]object)
	for _, name := range k.Resources {
		documents := yaml.NewDecoder(bytes.NewReader([]byte(read(t, filepath.Join("kubernetes", name)))))
		for {
			o := make(object)
			err := documents.Decode(&o)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if _, ok := all[o.text("kind")]; ok {
				t.Fatalf("%s: a second %s", name, o.text("kind"))
			}
			all[o.text("kind")] = o
		}
	}
	return all
}

func TestTheManifestsFitTogether(t *testing.T) {
	all := manifests(t)
	versions := map[string]string{
		"ConfigMap": "v1", "Secret": "v1", "Deployment": "apps/v1", "PodDisruptionBudget": "policy/v1",
		"PodMonitor": "monitoring.coreos.com/v1", "ScaledObject": "keda.sh/v1alpha1",
	}
	for kind, version := range versions {
		if got := all[kind].text("apiVersion"); got != version {
			t.Errorf("%s has apiVersion %q, want %s", kind, got, version)
		}
	}
	if len(all) != len(versions) {
		t.Errorf("%d manifests, want %d", len(all), len(versions))
	}
	const label = "app.kubernetes.io/name"
	deployment := all["Deployment"]
	labels := deployment.text("spec", "template", "metadata", "labels", label)
	for kind, path := range map[string][]any{
		"Deployment":          {"spec", "selector", "matchLabels", label},
		"PodDisruptionBudget": {"spec", "selector", "matchLabels", label},
		"PodMonitor":          {"spec", "selector", "matchLabels", label},
	} {
		if got := all[kind].text(path...); got != labels || got == "" {
			t.Errorf("%s selects %q, the pods are labelled %q", kind, got, labels)
		}
	}
	if got := all["ScaledObject"].text("spec", "scaleTargetRef", "name"); got != deployment.text("metadata", "name") {
		t.Errorf("KEDA scales %q", got)
	}
	if got := all["PodMonitor"].text("spec", "jobLabel"); got != label || !strings.HasPrefix(labels, "spillway") {
		t.Errorf("the job is called after %s, which is %s: SpillwayWorkerDown wants spillway", got, labels)
	}
}

func TestThePodHasWhatItMounts(t *testing.T) {
	all := manifests(t)
	deployment := all["Deployment"]
	pod := deployment.at("spec", "template", "spec")
	mounted := make(map[string]string) // file in the container: where it is from
	for i := range 2 {
		volume, mount := at(pod, "volumes", i), at(pod, "containers", 0, "volumeMounts", i)
		if at(volume, "name") != at(mount, "name") {
			t.Fatalf("volume %v and mount %v are of two names", volume, mount)
		}
		path := at(mount, "mountPath").(string)
		if name := at(volume, "configMap", "name"); name != nil {
			if name != all["ConfigMap"].text("metadata", "name") {
				t.Errorf("there is no config map %v", name)
			}
			for key := range all["ConfigMap"].at("data").(map[string]any) {
				mounted[path+"/"+key] = "config"
			}
			continue
		}
		if at(volume, "secret", "secretName") != all["Secret"].text("metadata", "name") {
			t.Errorf("there is no secret %v", at(volume, "secret"))
		}
		key := fmt.Sprint(at(volume, "secret", "items", 0, "key"))
		if all["Secret"].text("stringData", key) == "" {
			t.Errorf("the secret has no %s", key)
		}
		mounted[path+"/"+fmt.Sprint(at(volume, "secret", "items", 0, "path"))] = "secret"
	}
	if config := fmt.Sprint(at(pod, "containers", 0, "env", 0, "value")); mounted[config] != "config" {
		t.Errorf("SPILLWAY_CONFIG is %s, where nothing is mounted: %v", config, mounted)
	}
	text := all["ConfigMap"].text("data", "worker.yaml")
	if !slices.ContainsFunc([]string{"/etc/spillway/ops/token"}, func(f string) bool { return mounted[f] == "secret" && strings.Contains(text, f) }) {
		t.Errorf("ops.token_file is not the secret that is mounted: %v", mounted)
	}
	if at(pod, "securityContext", "runAsNonRoot") != true || at(pod, "containers", 0, "securityContext", "readOnlyRootFilesystem") != true {
		t.Error("the pod may run as root, or write to its image")
	}
	if user := fmt.Sprint(at(pod, "securityContext", "runAsUser")); !strings.Contains(read(t, "../Dockerfile"), "USER "+user+":") {
		t.Errorf("the pod runs as %s, the image as another", user)
	}
}

func TestTheConfigOfThePodsIsValidAndLeavesTimeToDrain(t *testing.T) {
	all := manifests(t)
	path := filepath.Join(t.TempDir(), "worker.yaml")
	if err := os.WriteFile(path, []byte(all["ConfigMap"].text("data", "worker.yaml")), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out := run(t, worker(t), "validate", "--config", path, "--file-only", "--print")
	if code != 0 || strings.Contains(out, "warning") {
		t.Fatalf("validate: exit %d\n%s", code, out)
	}
	_, rest, _ := strings.Cut(out, "drain_timeout: ")
	drain, err := time.ParseDuration(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	grace, err := strconv.Atoi(all["Deployment"].text("spec", "template", "spec", "terminationGracePeriodSeconds"))
	if err != nil || time.Duration(grace)*time.Second < drain+30*time.Second {
		t.Errorf("terminationGracePeriodSeconds is %d, must be at least drain_timeout + 30 s = %v", grace, drain+30*time.Second)
	}
}

// The probes, and what is scraped, are asked of a worker, as of everybody: without a token.
func TestTheProbesAreAnswered(t *testing.T) {
	all := manifests(t)
	container := at(all["Deployment"].at("spec", "template", "spec"), "containers", 0)
	port := at(container, "ports", 0, "name")
	if got := fmt.Sprint(at(container, "ports", 0, "containerPort")); !strings.Contains(all["ConfigMap"].text("data", "worker.yaml"), `"0.0.0.0:`+got+`"`) {
		t.Errorf("ops.listen is not port %s", got)
	}
	paths := []any{all["PodMonitor"].at("spec", "podMetricsEndpoints", 0, "path")}
	if got := all["PodMonitor"].at("spec", "podMetricsEndpoints", 0, "port"); got != port {
		t.Errorf("the pod monitor asks port %v, the container has %v", got, port)
	}
	for _, probe := range []string{"livenessProbe", "readinessProbe"} {
		if got := at(container, probe, "httpGet", "port"); got != port {
			t.Errorf("%s asks port %v, the container has %v", probe, got, port)
		}
		paths = append(paths, at(container, probe, "httpGet", "path"))
	}
	address := startWorker(t, "0.0.0.0")
	for _, path := range paths {
		if err := status(fmt.Sprintf("http://%s%v", address, path), http.StatusOK); err != nil {
			t.Error(err)
		}
	}
	if err := status("http://"+address+"/api/v1/state", http.StatusUnauthorized); err != nil {
		t.Errorf("the state is open to everybody who reaches the pod: %v", err)
	}
}

func TestKEDAAsksForTheBacklog(t *testing.T) {
	scaled := manifests(t)["ScaledObject"]
	query := scaled.text("spec", "triggers", 0, "metadata", "query")
	if scaled.text("spec", "triggers", 0, "type") != "prometheus" || !strings.HasPrefix(query, "max(spillway_backlog_messages{") {
		t.Errorf("KEDA asks %q, must be the maximum of the backlog: each process tells all of it", query)
	}
	if scaled.text("spec", "minReplicaCount") == "0" {
		t.Error("with no process nobody tells the backlog")
	}
}
