// Package strictyaml decodes YAML into a struct and reports every mistake in it at
// once, each with its line and column: keys that the struct does not have, values
// of a wrong type, numbers out of range. Nothing is converted behind the writer's
// back and nothing is ignored.
//
// The struct says what there may be:
//
//	type File struct {
//		Workers int           `yaml:"workers" zero:"refuse"`
//		AckWait time.Duration `yaml:"ack_wait"`
//		Deliver string        `yaml:"deliver" oneof:"all new"`
//		Tenants map[string]T  `yaml:"tenants"`
//	}
//
// A field keeps the value it had when the YAML does not give its key, so defaults
// are set before. zero:"refuse" is for a field whose zero value stands for the
// default and would thus be ignored if it were written down; oneof lists the words
// that a string may be. Durations are written as Go writes them, with a unit. A
// type that implements [encoding.TextUnmarshaler] is decoded from a scalar by it.
//
// [Set] changes one field by its dotted path, with the same rules, for values that
// come from the environment or a flag; [Leaves] lists the paths it takes.
package strictyaml
