package ops_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/ops"
)

// editor changes one tenant on a page, as somebody would.
type editor struct {
	*browser
	tenant string
}

// row is the script of the tenant's row.
func (e editor) row() string {
	return fmt.Sprintf(`[...document.querySelectorAll("#rows tr")].find((e) => e.querySelector("th").textContent === %q)`, e.tenant)
}

// press presses a button of the row: Pause, Resume or Change.
func (e editor) press(button string) {
	e.t.Helper()
	script := fmt.Sprintf(`[...%s?.querySelectorAll("button") ?? []].find((b) => b.textContent === %q)`, e.row(), button)
	e.await(script + ` !== undefined`)
	read[any](e.browser, script+`.click()`)
}

func (e editor) fill(field, value string) {
	e.t.Helper()
	read[any](e.browser, fmt.Sprintf(`document.querySelector("#edit [name=%s]").value = %q`, field, value))
}

func (e editor) submit() {
	e.t.Helper()
	e.do(chromedp.Click("#edit [name=apply]"))
}

// told waits until the dialog says something of a field, which is marked, or "answer" of none.
func (e editor) told(field, want string) {
	e.t.Helper()
	if field == "answer" {
		e.await(fmt.Sprintf(`document.getElementById("edit-answer").textContent.includes(%q)`, want))
		return
	}
	e.await(fmt.Sprintf(`document.getElementById("wrong-%s").textContent.includes(%q)`, field, want))
	e.await(fmt.Sprintf(`document.querySelector("#edit [name=%s]").ariaInvalid === "true"`, field))
}

// done waits until the dialog is closed.
func (e editor) done() {
	e.t.Helper()
	e.await(`!document.getElementById("edit").open`)
}

// shows waits until the last columns of the row match an expression.
func (e editor) shows(expression string) {
	e.t.Helper()
	e.await(fmt.Sprintf(`new RegExp(%q).test(%s?.querySelector(".now").innerText.replaceAll("\n", " "))`, expression, e.row()))
}

func TestATenantIsChangedByWhoHasTheToken(t *testing.T) {
	b := newBrowser(t, 1280, 900)
	s := newScene(nil)
	e := editor{b, `a/b ?%41#<i>`}
	s.tenant(e.tenant, 500, 0)
	th := perform(t, s, ops.Config{Token: token}, nil)
	b.lax = true // refusals are part of this
	b.open(th.url)

	e.press("Pause")
	e.told("token", "The token is needed")
	e.fill("token", "wrong")
	e.submit()
	e.told("token", "This is not the worker's token. Nothing was changed.")
	e.fill("token", token)
	e.fill("weight", "much")
	e.submit()
	e.told("weight", "“much” is no number")
	e.fill("weight", "0")
	e.fill("rate", "often")
	e.fill("ttl", "soon")
	e.submit()
	e.told("rate", `rate is "often", must be a string like "100/s", "5/m" or "1/h"`)
	e.told("ttl", `ttl is "soon", must be a string like "10m"`)
	e.told("weight", "weight is 0, must be between 0.001 and 1000")
	if got := read[string](b, `document.activeElement.name`); got != "weight" {
		t.Errorf("the focus is on %q, want it on the first field that is wrong", got)
	}
	e.fill("weight", "2,5")
	e.fill("max_in_flight", "4")
	e.fill("rate", "10/s")
	e.fill("ttl", "10m")
	e.submit()
	e.done()
	e.shows(`^paused until \d+:\d+:\d+ set by hand: weight 2.5, at most 4 in flight, rate 10/s until \d+:\d+:\d+$`)
	e.press("Change") // for longer
	e.fill("ttl", "48h")
	e.submit()
	e.done()
	e.shows(`^paused until \d+ \w+ \d+`)
	e.press("Resume") // the token is kept: at once
	e.shows(`rate 10/s until \d+ \w+ \d+`)
	e.press("Change")
	e.fill("rate", "")
	e.submit()
	e.done()
	e.shows(`no bound of its rate$`)
	e.press("Change")
	b.do(chromedp.Click("#edit [name=reset]"))
	e.done()
	e.await(fmt.Sprintf(`!%s.textContent.includes("set by hand")`, e.row()))

	s.mu.Lock()
	defer s.mu.Unlock()
	name := fmt.Sprintf("%q", e.tenant)
	want := []string{
		name + ` paused true weight 2.5 max 4 rate "10/s" for 10m0s`,
		name + ` paused true weight 2.5 max 4 rate "10/s" for 48h0m0s`,
		name + ` paused false for 0s`,
		name + ` rate "" for 0s`,
		name + ` reset`,
	}
	if !slices.Equal(s.asked, want) {
		t.Errorf("asked for\n%s, want\n%s", strings.Join(s.asked, "\n"), strings.Join(want, "\n"))
	}
}

func TestARefusedChangeIsToldInTheWordsOfTheWorker(t *testing.T) {
	b := newBrowser(t, 1280, 900)
	s := newScene(nil)
	e := editor{b, "acme"}
	th := perform(t, s, ops.Config{Token: token}, nil)
	b.lax = true
	b.open(th.url)
	s.mu.Lock()
	s.refuse = fmt.Errorf("consumer: %w: bucket JOBS_STATE does not exist", consumer.ErrLivePolicyOff)
	s.mu.Unlock()
	e.press("Change")
	e.submit()
	e.told("answer", "Nothing was changed.")
	e.fill("ttl", "10m")
	e.submit()
	e.told("ttl", "Nothing is set that could end then.")
	e.fill("token", token)
	e.fill("weight", "3")
	e.submit()
	e.told("answer", "The worker refused it: live policy is off: bucket JOBS_STATE does not exist")
	th.play(newScene(nil), ops.Config{}, nil) // it was restarted, and has no token any more
	e.submit()
	e.told("answer", "The worker refused it: no token is configured, and without one nothing can be changed")
	th.away()
	e.submit()
	e.told("answer", "The worker refused it: the worker is away")
}

// A browser takes . and .. in a path for directories, escaped or not.
func TestTenantsThatAreCalledLikeDirectoriesAreLeftToTheCommand(t *testing.T) {
	b := newBrowser(t, 1280, 900)
	s := newScene(nil)
	s.tenant("..", 500, 0)
	s.tenant("...", 500, 0)
	th := perform(t, s, ops.Config{Token: token}, nil)
	b.open(th.url)
	e := editor{b, ".."}
	e.press("Change")
	e.press("Pause")
	if read[bool](b, `document.getElementById("edit").open`) {
		t.Error("the dialog is open")
	}
	if got := read[string](b, e.row()+`.querySelector("button").title`); !strings.Contains(got, "worker tenants") {
		t.Errorf("the button says %q", got)
	}
	e = editor{b, "..."}
	e.press("Change")
	e.fill("token", token)
	e.fill("weight", "2")
	e.submit()
	e.done()
	e.shows("weight 2")
}
