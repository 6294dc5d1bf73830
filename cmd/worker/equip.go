package main

import (
	"errors"
	"log/slog"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/cmd/worker/internal/natslink"
	"github.com/spillwaymq/spillway/consumer"
)

// equipment is what a config takes from the machine that it runs on.
type equipment struct {
	mux   *consumer.Mux
	token string // of the operations endpoint
	redis string // its password, "" if the URL has it or there is none
	close func()
}

// equip makes the handlers of cfg, and looks at the programs and files it names. The
// error, one of usage, tells all that is not as it must be; nothing is connected to.
func equip(cfg *config.Config, environ []string, log *slog.Logger) (*equipment, error) {
	mux, closeHandlers, handlersErr := routes(cfg, environ, log, nil)
	token, tokenErr := readToken("ops.token_file", cfg.Ops.TokenFile)
	password, passwordErr := readToken("redis.password_file", cfg.Redis.PasswordFile)
	if err := errors.Join(handlersErr, tokenErr, passwordErr, natslink.CheckFiles(linkOptions(cfg, log))); err != nil {
		if handlersErr == nil {
			closeHandlers()
		}
		return nil, err
	}
	return &equipment{mux: mux, token: token, redis: password, close: closeHandlers}, nil
}
