package deploy_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	composeFile  = "../docker-compose.yml"
	workerConfig = "compose/worker.yaml"
)

// compose is what docker-compose.yml may hold: the keys of the compose specification that
// we use, so that a misspelt one is an error.
type compose struct {
	Name     string             `yaml:"name"`
	XWorker  any                `yaml:"x-worker"`
	XLoad    any                `yaml:"x-load"`
	Services map[string]service `yaml:"services"`
	Volumes  map[string]any     `yaml:"volumes"`
	Secrets  map[string]struct {
		File string `yaml:"file"`
	} `yaml:"secrets"`
}

type service struct {
	Image           string            `yaml:"image"`
	Build           *build            `yaml:"build"`
	Entrypoint      []string          `yaml:"entrypoint"`
	Command         []string          `yaml:"command"`
	Environment     map[string]string `yaml:"environment"`
	Restart         string            `yaml:"restart"`
	StopGracePeriod string            `yaml:"stop_grace_period"`
	ReadOnly        bool              `yaml:"read_only"`
	CapDrop         []string          `yaml:"cap_drop"`
	SecurityOpt     []string          `yaml:"security_opt"`
	Ports           []string          `yaml:"ports"`
	Volumes         []string          `yaml:"volumes"`
	Secrets         []string          `yaml:"secrets"`
	DependsOn       any               `yaml:"depends_on"` // a list, or a map with conditions
	Healthcheck     *healthcheck      `yaml:"healthcheck"`
}

type build struct {
	Context string            `yaml:"context"`
	Target  string            `yaml:"target"`
	Args    map[string]string `yaml:"args"`
}

type healthcheck struct {
	Test     []string `yaml:"test"`
	Interval string   `yaml:"interval"`
	Timeout  string   `yaml:"timeout"`
	Retries  int      `yaml:"retries"`
	Disable  bool     `yaml:"disable"`
}

func readCompose(t *testing.T) compose {
	t.Helper()
	var c compose
	decode(t, composeFile, &c)
	if len(c.Services) == 0 {
		t.Fatal("no services")
	}
	return c
}

func TestWhatComposeNamesExists(t *testing.T) {
	c := readCompose(t)
	for _, secret := range c.Secrets {
		read(t, filepath.Join("..", secret.File))
	}
	for name, s := range c.Services {
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if _, ok := c.Volumes[from]; ok {
				continue
			}
			if _, err := os.Stat(filepath.Join("..", from)); err != nil || !strings.HasPrefix(from, "./") || !strings.HasSuffix(v, ":ro") {
				t.Errorf("%s mounts %s: must be a volume, or a file that is here and is read only (%v)", name, v, err)
			}
		}
		for _, secret := range s.Secrets {
			if _, ok := c.Secrets[secret]; !ok {
				t.Errorf("%s wants the secret %s, which is not there", name, secret)
			}
		}
		for on, condition := range dependencies(t, s) {
			other, ok := c.Services[on]
			switch {
			case !ok:
				t.Errorf("%s depends on %s, which is not there", name, on)
			case condition == "service_healthy" && !hasHealthcheck(other):
				t.Errorf("%s waits until %s is healthy, which has no health check", name, on)
			}
		}
	}
}

// dependencies returns what s waits for, with the conditions.
func dependencies(t *testing.T, s service) map[string]string {
	t.Helper()
	all := make(map[string]string)
	switch on := s.DependsOn.(type) {
	case nil:
	case []any:
		for _, name := range on {
			all[name.(string)] = "service_started"
		}
	case map[string]any:
		for name, how := range on {
			all[name] = how.(map[string]any)["condition"].(string)
		}
	default:
		t.Fatalf("depends_on is %T", on)
	}
	return all
}

// hasHealthcheck reports whether s has one, of its own or of the image of the worker.
func hasHealthcheck(s service) bool {
	if s.Healthcheck != nil {
		return !s.Healthcheck.Disable
	}
	return s.Build != nil && s.Build.Target == "worker"
}

func TestImagesArePinnedAndPortsAreLocal(t *testing.T) {
	pinned := regexp.MustCompile(`^[a-z0-9./-]+:v?[0-9]+\.[0-9]+\.[0-9]+(-alpine)?$`)
	dockerfile := read(t, "../Dockerfile")
	for name, s := range readCompose(t).Services {
		switch {
		case s.Build == nil && !pinned.MatchString(s.Image):
			t.Errorf("%s: image %q must have a tag with three numbers", name, s.Image)
		case s.Build != nil && !strings.Contains(dockerfile, " AS "+s.Build.Target+"\n"):
			t.Errorf("%s: the Dockerfile has no stage %q", name, s.Build.Target)
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s publishes %s: a demo is for this machine alone", name, p)
			}
		}
	}
	for _, line := range regexp.MustCompile(`(?m)^FROM .*$`).FindAllString(dockerfile, -1) {
		image := strings.Fields(strings.Replace(line, "--platform=$BUILDPLATFORM ", "", 1))[1]
		if image != "scratch" && !pinned.MatchString(image) {
			t.Errorf("Dockerfile: %s: must have a tag with three numbers", line)
		}
	}
}

func TestTheConfigOfTheWorkersIsValid(t *testing.T) {
	code, out := run(t, worker(t), "validate", "--config", workerConfig, "--file-only")
	if code != 0 || strings.Contains(out, "warning") {
		t.Errorf("validate: exit %d\n%s", code, out)
	}
}

// A command line or a config that is wrong is exit 2; 3 is a NATS that is away.
func TestTheCommandsOfComposeAreUnderstood(t *testing.T) {
	const unreachable = 3
	config := adapted(t, workerConfig, "nats://nats:4222", "nats://"+freeAddress(t), "/run/secrets/ops_token", absolute(t, "compose/demo.token"))
	seen := 0
	c := readCompose(t)
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		s := c.Services[name]
		if s.Build == nil || s.Build.Target != "worker" {
			continue
		}
		seen++
		command := slices.Clone(s.Command)
		if len(command) == 0 {
			command = []string{"run"} // CMD of the Dockerfile
		}
		if code, out := run(t, worker(t), append(command, "--config", config)...); code != unreachable {
			t.Errorf("%s: worker %q: exit %d\n%s", name, command, code, out)
		}
	}
	if seen < 4 {
		t.Errorf("%d services run the worker, want two workers and two loads", seen)
	}
}

func TestWorkersHaveTheTimeToDrain(t *testing.T) {
	if !strings.Contains(read(t, workerConfig), "drain_timeout: 25s") {
		t.Error("the drain timeout is not the 25s that stop_grace_period was made for")
	}
	for name, s := range readCompose(t).Services {
		if strings.HasPrefix(name, "worker-") && s.StopGracePeriod != "55s" {
			t.Errorf("%s: stop_grace_period is %q, must be drain_timeout and half a minute: 55s", name, s.StopGracePeriod)
		}
	}
}

func TestTheTokenIsOneThatTheWorkerTakes(t *testing.T) {
	token := strings.TrimSpace(read(t, "compose/demo.token"))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		t.Errorf("the token is %q, must be printable ASCII without spaces", token)
	}
	if welcome := read(t, "compose/welcome.txt"); !strings.Contains(welcome, token) {
		t.Error("welcome.txt does not tell the token")
	}
}

func TestTheImageIsBuiltOfWhatDockerIsGiven(t *testing.T) {
	ignored := strings.Fields(read(t, "../.dockerignore"))
	for _, needed := range []string{"go.mod", "go.sum", "cmd", "consumer", "tenants", "limiter", "breaker", "flow", "internal", "examples", "LICENSE"} {
		if slices.Contains(ignored, needed) {
			t.Errorf(".dockerignore leaves out %s, which the Dockerfile needs", needed)
		}
	}
	if !slices.Contains(ignored, ".git") {
		t.Error(".dockerignore lets .git in: each commit would build all anew")
	}
	code, out := run(t, worker(t), "version")
	if code != 0 || !strings.HasPrefix(out, "worker v1.2.3-test (0123abc) go1.") {
		t.Errorf("the version is not stamped: exit %d, %s", code, out)
	}
	for _, flag := range []string{"-X main.version=$VERSION", "-X main.revision=$REVISION", "-trimpath", "CGO_ENABLED=0", "USER 65532:65532", `CMD ["/worker", "healthcheck"]`} {
		if !strings.Contains(read(t, "../Dockerfile"), flag) {
			t.Errorf("the Dockerfile has no %s", flag)
		}
	}
}

func absolute(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
