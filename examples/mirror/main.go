// Command mirror keeps a copy of all customers in a SQLite file. It shows how a program follows the feed of changes: from a
// cursor that it keeps together with what it did, so that nothing is lost wherever it is killed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// oncePatience is how long a server may be away for who asks for one look.
const oncePatience = time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mirror:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("mirror", flag.ContinueOnError)
	flags.SetOutput(stderr)
	once := flags.Bool("once", false, "end when the copy is up to date")
	flags.Usage = func() {
		fmt.Fprint(stderr, "mirror keeps a copy of all customers in a SQLite file.\n\n  mirror [-once] FILE\n\n"+
			"CLIENTELE_URL says where they are, CLIENTELE_CLIENT_ID and CLIENTELE_CLIENT_SECRET who signs in.\n\n")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("name one file")
	}
	kept, err := openStore(ctx, flags.Arg(0))
	if err != nil {
		return err
	}
	defer kept.Close()
	calls, err := newCaller(getenv("CLIENTELE_URL"), getenv("CLIENTELE_CLIENT_ID"), getenv("CLIENTELE_CLIENT_SECRET"))
	if err != nil {
		return err
	}
	calls.log = stderr
	if *once {
		calls.patience = oncePatience
	}
	m := &mirror{store: kept, calls: calls, out: stdout, once: *once}
	if err := m.run(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}
