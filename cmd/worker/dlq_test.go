package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// deadLetters is a worker with dead letters of acme, globex and acme.
type deadLetters struct {
	t       *testing.T
	url     string // of the downstream
	nats    string
	answer  chan<- int
	arrived <-chan string
}

func newDeadLetters(t *testing.T) *deadLetters {
	t.Helper()
	url, arrived, answer := downstream(t)
	w := start(t, fileWith(url), "run", "--embedded", "nats")
	js := w.connect()
	w.await("consuming")
	dead, err := js.OrderedConsumer(t.Context(), "JOBS_DEAD", jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tenant := range []string{"acme", "globex", "acme"} {
		answer <- http.StatusUnprocessableEntity
		if _, err := js.Publish(t.Context(), "jobs."+tenant+".x", []byte("\x1b["+tenant)); err != nil {
			t.Fatal(err)
		}
		<-arrived
		if _, err := dead.Next(jetstream.FetchMaxWait(patience)); err != nil {
			t.Fatal(err)
		}
	}
	return &deadLetters{t: t, url: url, nats: js.Conn().ConnectedUrl(), answer: answer, arrived: arrived}
}

// dlq runs "worker dlq" with the config of the worker.
func (d *deadLetters) dlq(command string, args ...string) (code int, stdout, stderr string) {
	d.t.Helper()
	return run(d.t, fileWith(d.url), append([]string{"dlq", command, "--set", "nats.url=" + d.nats}, args...)...)
}

// sequences lists, and returns what is there as "tenant sequence".
func (d *deadLetters) sequences(args ...string) []string {
	d.t.Helper()
	code, stdout, stderr := d.dlq("ls", append([]string{"--json"}, args...)...)
	var entries []struct {
		Sequence uint64
		Tenant   string
	}
	if err := json.Unmarshal([]byte(stdout), &entries); err != nil || code != exitClean {
		d.t.Fatalf("ls: exit code is %d, %v: %s %s", code, err, stdout, stderr)
	}
	var found []string
	for _, e := range entries {
		found = append(found, fmt.Sprintf("%s %d", e.Tenant, e.Sequence))
	}
	return found
}

func (d *deadLetters) want(found []string, want string) {
	d.t.Helper()
	if got := strings.Join(found, ", "); got != want {
		d.t.Errorf("dead letters are %q, want %q", got, want)
	}
}

func TestDeadLettersAreListed(t *testing.T) {
	d := newDeadLetters(t)
	d.want(d.sequences(), "acme 1, globex 2, acme 3")
	d.want(d.sequences("--tenant", "acme", "--reason", "permanent", "--since", "1h"), "acme 1, acme 3")
	d.want(d.sequences("--limit", "2"), "acme 1, globex 2")
	d.want(d.sequences("--reason", "crash"), "")
	d.want(d.sequences("--since", "2999-01-01"), "")

	code, stdout, _ := d.dlq("ls")
	if code != exitClean || !strings.HasPrefix(stdout, "SEQ  DIED") || strings.Count(stdout, "\n") != 4 {
		t.Errorf("exit code is %d, table is\n%s", code, stdout)
	}
	for _, args := range [][]string{{"ls", "--since", "soon"}, {"ls", "--limit", "-1"}, {"show", "x"}, {"discard", "1", "--tenant", "acme"}, {"replay", "1", "--all"}, {"discard", "--all", "--reason", "crash"}} {
		if code, _, stderr := d.dlq(args[0], args[1:]...); code != exitUsage {
			t.Errorf("%q: exit code is %d: %s", args, code, stderr)
		}
	}
}

func TestDeadLettersThatAreAskedForWronglyAreExitTwo(t *testing.T) {
	for want, args := range map[string][]string{
		`--to-subject is "a.*", must be one subject`:                         {"replay", "--all", "--to-subject", "a.*"},
		`--to-subject is "a b", must be one subject`:                         {"replay", "1", "--to-subject", "a b"},
		`it is "abc", must be a number from 1, the SEQ that "worker dlq ls"`: {"show", "abc"},
		`it is "0", must be a number from 1`:                                 {"show", "0"},
		`it is "1x", must be a number from 1`:                                {"discard", "2", "1x"},
		"--limit is -1, must not be negative":                                {"replay", "--limit=-1", "--tenant", "acme"},
	} {
		code, stdout, stderr := run(t, fileWith("http://h"), append([]string{"dlq"}, args...)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit code is %d, want 2 and %q: %s%s", args, code, want, stdout, stderr)
		}
	}
}

func TestNoneAreChangedUnlessItIsSaidWhich(t *testing.T) {
	d := newDeadLetters(t)
	for _, command := range []string{"replay", "discard"} {
		for _, args := range [][]string{nil, {"--json"}, {"--limit", "1"}} {
			code, stdout, stderr := d.dlq(command, args...)
			if code != exitUsage || stdout != "" || !strings.Contains(stderr, "--all") {
				t.Errorf("%s %q: exit code is %d: %s%s", command, args, code, stdout, stderr)
			}
		}
		if code, stdout, _ := d.dlq(command, "--dry-run"); code != exitClean || strings.Count(stdout, "would be") != 3 {
			t.Errorf("exit code of a dry run of %s is %d:\n%s", command, code, stdout)
		}
	}
	d.want(d.sequences(), "acme 1, globex 2, acme 3")
	if code, stdout, stderr := d.dlq("replay", "--all"); code != exitClean || strings.Count(stdout, "replayed to") != 3 {
		t.Errorf("exit code is %d:\n%s%s", code, stdout, stderr)
	}
	d.want(d.sequences(), "")
}

func TestOnlyAListThatWasReadSaysThatThereAreNone(t *testing.T) {
	d := newDeadLetters(t)
	for _, args := range [][]string{{"ls"}, {"ls", "--json"}, {"replay", "--all"}, {"discard", "--all", "--json"}} {
		code, stdout, stderr := d.dlq(args[0], append(args[1:], "--set", "dead_letter.stream=NONE")...)
		if code != exitFailed || stdout != "" || !strings.Contains(stderr, "stream NONE does not exist; there are the streams JOBS, JOBS_DEAD, JOBS_OVERFLOW") {
			t.Errorf("%q: exit code is %d: %q %s", args, code, stdout, stderr)
		}
	}
	for want, args := range map[string][]string{
		"no dead letters of another in stream JOBS_DEAD\n":                           {"--set", "durable=another"},
		"no dead letters of worker in stream JOBS_DEAD match\n":                      {"--tenant", "nobody"},
		"no dead letters of worker in stream JOBS_DEAD match; the reasons are perma": {"--reason", "crsh"},
	} {
		if code, stdout, stderr := d.dlq("ls", args...); code != exitClean || !strings.HasPrefix(stdout, want) {
			t.Errorf("%q: exit code is %d: %q %s", args, code, stdout, stderr)
		}
	}
}

func TestADeadLetterIsShownSoThatItDoesATerminalNoHarm(t *testing.T) {
	d := newDeadLetters(t)
	code, stdout, _ := d.dlq("show", "2")
	if code != exitClean || !strings.Contains(stdout, "globex") || !strings.Contains(stdout, "422") || strings.Contains(stdout, "\x1b") {
		t.Errorf("exit code is %d, shown is\n%s", code, stdout)
	}
	if code, stdout, _ := d.dlq("show", "2", "--payload"); code != exitClean || stdout != "\x1b[globex" {
		t.Errorf("exit code is %d, payload is %q", code, stdout)
	}
	if code, _, stderr := d.dlq("show", "99"); code != exitFailed || !strings.Contains(stderr, "not found") {
		t.Errorf("exit code is %d: %s", code, stderr)
	}
}

func TestDeadLettersAreReplayed(t *testing.T) {
	d := newDeadLetters(t)
	if code, stdout, _ := d.dlq("replay", "--dry-run"); code != exitClean || strings.Count(stdout, "would be replayed") != 3 {
		t.Errorf("exit code of a dry run is %d:\n%s", code, stdout)
	}
	if code, stdout, stderr := d.dlq("replay", "--tenant", "globex"); code != exitClean {
		t.Fatalf("exit code is %d:\n%s%s", code, stdout, stderr)
	}
	d.answer <- http.StatusOK
	if got := <-d.arrived; got != "globex:\x1b[globex" {
		t.Errorf("replayed is %q", got)
	}
	d.want(d.sequences(), "acme 1, acme 3")
	if code, stdout, stderr := d.dlq("replay", "3", "77"); code != exitFailed || !strings.Contains(stderr, "not found") {
		t.Errorf("exit code of one that is not there is %d:\n%s%s", code, stdout, stderr)
	}
	d.answer <- http.StatusOK
	if got := <-d.arrived; got != "acme:\x1b[acme" {
		t.Errorf("replayed is %q", got)
	}
	d.want(d.sequences(), "acme 1")
}

func TestDeadLettersAreDiscarded(t *testing.T) {
	d := newDeadLetters(t)
	if code, stdout, _ := d.dlq("discard", "--dry-run"); code != exitClean || strings.Count(stdout, "would be discarded") != 3 {
		t.Errorf("exit code of a dry run is %d:\n%s", code, stdout)
	}
	if code, stdout, stderr := d.dlq("discard", "1"); code != exitClean {
		t.Errorf("exit code is %d:\n%s%s", code, stdout, stderr)
	}
	d.want(d.sequences(), "globex 2, acme 3")
	if code, stdout, stderr := d.dlq("discard", "--all", "--json"); code != exitClean || !strings.Contains(stdout, `"removed": true`) {
		t.Errorf("exit code is %d:\n%s%s", code, stdout, stderr)
	}
	d.want(d.sequences(), "")
}
