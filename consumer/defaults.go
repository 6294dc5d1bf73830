package consumer

// WithDefaults returns a copy of cfg in which every field holds what is in force: the
// default where it had its zero value, and no jitter where that was negative. It is for
// programs that show the defaults or take them over, as Config{}.WithDefaults(); New does
// it by itself. Without a Stream the names of DeadLetter and Overflow, which follow from
// it, are of no use.
func (cfg Config) WithDefaults() Config { return cfg.withDefaults() }
