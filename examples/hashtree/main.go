// Command hashtree hashes all files of some directories, in process and without a broker:
//
//	go run ./examples/hashtree /usr/bin /etc
//
// Each directory is a tenant of a tenants.Pool: a few workers are shared, and a directory
// with a million files holds up no other. What cannot be queued makes its walk wait, so
// that memory is bounded however large the directories are.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/spillwaymq/spillway/tenants"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := hashAll(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "hashtree:", err)
		stop()
		os.Exit(1)
	}
}

// hashAll writes the hash and the name of each file below dirs, in the order in which they
// are done. The error has those that could not be read.
func hashAll(ctx context.Context, dirs []string, out io.Writer) error {
	pool, err := tenants.NewPool(tenants.PoolConfig{Workers: runtime.GOMAXPROCS(0), Queue: 64})
	if err != nil {
		return err
	}
	p := &printer{out: out}
	var walks sync.WaitGroup
	for _, dir := range dirs {
		walks.Go(func() { p.note(walk(ctx, pool, dir, p)) })
	}
	walks.Wait()
	return errors.Join(pool.Close(ctx), p.err()) // which waits for what is queued
}

// walk submits the files of a directory. It blocks while its queue is full, and nobody else
// does for it.
func walk(ctx context.Context, pool *tenants.Pool, dir string, p *printer) error {
	return filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			p.note(err)
			return nil
		}
		return pool.Submit(ctx, dir, func(context.Context) {
			sum, err := hash(name)
			p.note(err)
			if err == nil {
				p.print(sum, name)
			}
		})
	})
}

func hash(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// printer is what the workers write to.
type printer struct {
	mu   sync.Mutex // guards the rest; a line is written with it held, so that none is torn
	out  io.Writer
	errs []error
}

func (p *printer) print(sum, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "%s  %s\n", sum, name)
}

func (p *printer) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.errs = append(p.errs, err)
	}
}

func (p *printer) err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.errs...)
}
