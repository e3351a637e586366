// Command clientele serves the API; see clientele --help.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/clientele-api/clientele/internal/program"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := program.Run(ctx, program.Environment{
		Args: os.Args[1:], Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	})
	stop()
	os.Exit(code)
}
