package strictyaml_test

import (
	"testing"
	"time"

	"github.com/spillwaymq/spillway/cmd/worker/internal/strictyaml"
)

type file struct {
	Name    string           `yaml:"name" oneof:"one two"`
	Count   int              `yaml:"count" zero:"refuse"`
	Share   float64          `yaml:"share"`
	On      bool             `yaml:"on"`
	Wait    time.Duration    `yaml:"wait"`
	Words   []string         `yaml:"words"`
	Part    *part            `yaml:"part"`
	Parts   map[string]part  `yaml:"parts"`
	Several []part           `yaml:"several"`
	Numbers map[string]*int  `yaml:"numbers"`
	Nested  map[string][]int `yaml:"nested"`
}

type part struct {
	A int    `yaml:"a"`
	B string `yaml:"b"`
}

// Whatever a file holds, it is decoded or refused: it cannot end the program, and
// what is reported has a place in it.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"", "name: one\ncount: 1\n", "part: {a: 1, b: x}", "parts: {x: &p {a: 1}, y: *p, z: {<<: *p, b: q}}",
		"several:\n- a: 1\n- b: |\n    text\n", "a: &a {<<: *a}", "words: [a, [b]]", "count: !!int 3", "share: .inf", "? x\n: y",
		"on: [", "---\na: 1\n---\nb: 2", "name: \"\\x00\"", "numbers: {1: 2, 3: ~}", "part: *none", "<<: 3", "nested: {a: [1, x]}", "count: 0x1F",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v file
		_, problems := strictyaml.Decode("f", data, &v)
		for _, p := range problems {
			if p.Text == "" || p.Source != "f" {
				t.Errorf("problem %+v", p)
			}
		}
		if len(problems) == 0 && v.Name != "" && v.Name != "one" && v.Name != "two" {
			t.Errorf("name is %q", v.Name)
		}
	})
}
