package config

import (
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/limiter"
	"github.com/spillwaymq/spillway/limiter/redisbucket"
)

// Redis is what shared rates are counted in.
type Redis struct {
	URL          RedisURL      `yaml:"url"`
	PasswordFile string        `yaml:"password_file"`
	OnError      string        `yaml:"on_error" oneof:"local open closed"`
	Prefix       string        `yaml:"prefix"`
	Timeout      time.Duration `yaml:"timeout" zero:"refuse"`
	Lease        time.Duration `yaml:"lease" zero:"refuse"`
	Processes    int           `yaml:"processes" zero:"refuse"`
}

// defaultRedis returns a Redis without what complete sets.
func defaultRedis() Redis {
	d := redisbucket.Config{}.WithDefaults()
	return Redis{OnError: string(d.OnError), Processes: d.Processes}
}

// complete makes the processes of one durable share their rates, and no others. What only one
// of timeout and lease is given for goes by it.
func (r *Redis) complete(stream, durable string) {
	setDefault(&r.Prefix, "spillway:rate:"+stream+":"+durable)
	setDefault(&r.Lease, max(redisbucket.Config{}.WithDefaults().Lease, 4*r.Timeout))
	setDefault(&r.Timeout, redisbucket.Config{Lease: r.Lease}.WithDefaults().Timeout)
}

// Limiter is r as package redisbucket takes it, without OnDegraded. Every key has its own
// rate: that of Config is never used.
func (r Redis) Limiter() redisbucket.Config {
	return redisbucket.Config{
		Rate:   limiter.Rate{Events: 1, Per: time.Second},
		Prefix: r.Prefix, Timeout: r.Timeout, Lease: r.Lease,
		OnError: redisbucket.OnError(r.OnError), Processes: r.Processes,
	}
}

func (c *checker) checkRedis(f *File) {
	r := f.Redis
	if r.URL == "" {
		c.that(r.PasswordFile == "", "redis.password_file", "redis.password_file is for redis.url, which is empty")
		return
	}
	if err := redisbucket.CheckURL(string(r.URL)); err != nil {
		c.report("redis.url", "redis.url must be like redis://127.0.0.1:6379/0: %s", strings.TrimPrefix(err.Error(), "redisbucket: "))
	} else {
		c.that(r.PasswordFile == "" || !r.URL.hasPassword(), "redis.password_file", "redis.password_file is given, and redis.url has a password: must be one of them")
	}
	c.translateRedis(r.Limiter().Validate())
}

// translateRedis reports what package redisbucket says of its Config in the words of the file.
func (c *checker) translateRedis(err error) {
	if err == nil {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			c.translateRedis(e)
		}
		return
	}
	field, said, _ := strings.Cut(strings.TrimPrefix(err.Error(), "Config."), " is ")
	path := "redis." + snake(field)
	c.report(path, "%s is %s", path, strings.Replace(said, ": must", ", must", 1))
}

// OwnRate is a SharedRate for who checks a config: it shares nothing.
func OwnRate(_ string, r limiter.Rate) (consumer.RateLimiter, error) {
	return limiter.NewTokenBucket(r)
}

// RedisURL is the address of a Redis, which may hold passwords.
type RedisURL string

var (
	redisUser     = regexp.MustCompile(`//.*@`)
	redisPassword = regexp.MustCompile(`([?&](?i:[a-z_]*password)=)[^&#]*`)
)

// String returns u without its users and passwords.
func (u RedisURL) String() string {
	return redisPassword.ReplaceAllString(redisUser.ReplaceAllString(string(u), "//"+mask+"@"), "${1}"+mask)
}

// MarshalYAML hides the users and passwords of u.
func (u RedisURL) MarshalYAML() (any, error) { return u.String(), nil }

func (u RedisURL) hasPassword() bool {
	parsed, err := url.Parse(string(u))
	if err != nil {
		return false
	}
	_, given := parsed.User.Password()
	return given && !isSentinel(parsed) || parsed.Query().Has("password")
}

// With returns u with a password for the servers. Sentinels have their own, if any, before
// their host.
func (u RedisURL) With(password string) string {
	parsed, err := url.Parse(string(u))
	if err != nil || password == "" {
		return string(u)
	}
	if isSentinel(parsed) {
		query := parsed.Query()
		query.Set("password", password)
		parsed.RawQuery = query.Encode()
	} else {
		parsed.User = url.UserPassword(parsed.User.Username(), password)
	}
	return parsed.String()
}

func isSentinel(u *url.URL) bool { return u.Query().Has("master_name") }
